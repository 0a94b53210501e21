//! What records management says of itself as a whole: counts, settings, volumes.

use serde_json::{Map, Value, json};

use super::answer::{Answer, Outcome, Refusal};
use super::call::Call;
use super::nodes::{DOCUMENT, FOLDER, WORKSPACE, can_be_made};
use super::records::Record;
use super::world::World;

/// Subtypes that classifications and records management look after.
const MANAGED: [i64; 3] = [FOLDER, DOCUMENT, WORKSPACE];

fn records(world: &World) -> impl Iterator<Item = &Record> {
    world.tree.iter().filter_map(|node| node.record.as_ref())
}

/// `GET /v1/rmstatistics/holds`.
pub(super) fn holds(world: &World) -> Outcome {
    let (holds, items) = world.holds.counts();
    Ok(Answer::Json(
        json!({"directHoldsCount": items, "totalCount": holds}),
    ))
}

/// `GET /v1/rmstatistics/rsis`: how many records each schedule has.
pub(super) fn schedules(world: &World) -> Outcome {
    let names = world.retention.schedules.names();
    let row = |(name, _): (&str, &str)| {
        let own = records(world).filter(|record| record.field("rsi") == Some(name));
        json!({"rsi": name, "cnt": own.count()})
    };
    Ok(Answer::Json(
        json!({"data": names.map(row).collect::<Value>()}),
    ))
}

/// `GET /v1/rmclassifications/managedrecords`.
pub(super) fn managed(world: &World) -> Outcome {
    Ok(Answer::Json(
        json!({"managedRecordsCnt": records(world).count()}),
    ))
}

/// `GET /v1/rmclassifications/dispositions`: what is in the snapshots of disposition searches.
pub(super) fn dispositions(world: &World) -> Outcome {
    Ok(Answer::Json(
        json!({"dispositionsCnt": world.retention.reviewed()}),
    ))
}

/// `GET /v1/rmclassifications/compliance`: all records, those with a schedule, and those that are
/// out of date by their status.
pub(super) fn compliance(world: &World) -> Outcome {
    let count = |wanted: fn(&Record) -> bool| records(world).filter(|own| wanted(own)).count();
    let old = |own: &Record| matches!(own.field("file_status"), Some("OBSOLETE" | "EXPIRED"));
    Ok(Answer::Json(json!({
        "oldCnt": count(old), "retentionCnt": count(|own| own.field("rsi").is_some()),
        "totalCnt": count(|_| true),
    })))
}

fn volume(world: &World, kind: i64) -> Option<i64> {
    world.tree.volume(kind).map(|node| node.id)
}

/// `GET /v1/rmclassifications/createinfo` and `/v1/classifications/createinfo`.
pub(super) fn create_info(world: &World, call: &Call, of_records: bool) -> Outcome {
    let subtype = call.arguments.required("objType")?;
    let managed = MANAGED.contains(&subtype);
    if !of_records {
        let volume = volume(world, 198);
        return Ok(Answer::Json(
            json!({"canclassify": managed, "classvolumeid": volume}),
        ));
    }
    let parent = call.arguments.required("parentId")?;
    let can = managed && can_be_made(world, call, parent, subtype).is_ok();
    Ok(Answer::Json(json!({
        "canrmclassify": can, "classvolumeid": volume(world, 550), "multiclass": true,
        "records_details": {"fields_order": {}, "definitions": {}},
    })))
}

/// `GET /v1/rmclassifications/settings`.
pub(super) fn settings(world: &World) -> Outcome {
    let managed: Map<String, Value> = MANAGED
        .iter()
        .map(|kind| (kind.to_string(), true.into()))
        .collect();
    let mut all = json!({
        "adminAuthority_Name": "", "bCanRMClassify": true, "catalog_mode": false,
        "default_classification_id": null, "default_classification_path": "",
        "defaultClassBySubType": {}, "dispButtons": {}, "fn_sep": "-", "inheritList": {},
        "licensingConfirmation": false, "managedTypes": managed, "num_results": 25,
        "rejectCommentRequired": false, "rm_volume_id": volume(world, 550),
    });
    for button in [
        "apply_hold_button",
        "classfy_button",
        "classified_icon",
        "declare_record_button",
        "hold_icon",
        "official_icon",
        "remove_class_button",
        "remove_hold_button",
        "rm_metadata_button",
        "rsi_standard_browse",
        "xref_button",
    ] {
        all[button] = true.into();
    }
    Ok(Answer::Json(all))
}

/// `GET /v1/classifications/settings`.
pub(super) fn classification_settings(world: &World) -> Outcome {
    Ok(Answer::Json(
        json!({"managedList": MANAGED, "classvolumeid": volume(world, 198)}),
    ))
}

/// `GET /v2/classificationvolume`.
pub(super) fn classification_volume(world: &World) -> Outcome {
    let node = world.tree.volume(198);
    let node = node.ok_or_else(|| Refusal::inaccessible(400))?;
    Ok(Answer::Json(
        json!({"id": node.id, "name": node.name, "type": node.subtype}),
    ))
}
