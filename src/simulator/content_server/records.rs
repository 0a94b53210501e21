//! Records management: classifications, records with their official and final flags, holds.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::answer::{Answer, INACCESSIBLE, Outcome, Refusal, list};
use super::arguments::as_number;
use super::call::Call;
use super::categories::token_of;
use super::nodes::full_date;
use super::permissions::{Rights, lacking};
use super::world::World;

/// Fields of a record that a caller may set, and what they are before.
const FIELDS: [(&str, Option<&str>); 17] = [
    ("accession", None),
    ("addressee", None),
    ("cycle_period", None),
    ("essential", Some("NR")),
    ("establishment", None),
    ("file_status", Some("ACTIVE")),
    ("last_review_date", None),
    ("next_review_date", None),
    ("originator", None),
    ("received_date", None),
    ("record_date", None),
    ("rsi", None),
    ("sent_to", None),
    ("status_date", None),
    ("storage", Some("EL")),
    ("subject", None),
    ("file_number", None),
];

/// What makes a node a record.
#[derive(Clone, Debug)]
pub(super) struct Record {
    class: i64,
    fields: BTreeMap<String, Value>,
    pub(super) official: bool,
    pub(super) finalised: bool,
    revision: u64,
}

/// A hold, and the nodes it is on.
struct Hold {
    name: String,
    kind: String,
    comment: String,
    applied: String,
    to_remove: Option<String>,
    active: bool,
    patron: i64,
    items: BTreeSet<i64>,
}

/// All holds by id.
#[derive(Default)]
pub(super) struct Holds(BTreeMap<i64, Hold>);

impl Holds {
    /// Whether an active hold is on the node.
    pub(super) fn active_on(&self, node: i64) -> bool {
        self.0
            .values()
            .any(|hold| hold.active && hold.items.contains(&node))
    }

    fn json(&self, id: i64) -> Value {
        let Some(hold) = self.0.get(&id) else {
            return Value::Null;
        };
        json!({
            "HoldID": id, "HoldName": hold.name, "ActiveHold": i32::from(hold.active), "OBJECT": hold.items.len(),
            "ApplyPatron": hold.patron, "DateApplied": hold.applied, "HoldComment": hold.comment,
            "HoldType": hold.kind, "DateToRemove": hold.to_remove, "DateRemoved": null, "RemovalPatron": null,
            "RemovalComment": null, "EditDate": null, "EditPatron": null, "AlternateHoldID": null, "ParentID": 0,
        })
    }
}

/// The ids of a `classifications` role: `{"create_id":[],"id":[55]}`.
pub(super) fn class_ids(role: &Value) -> Vec<i64> {
    let ids = role.get("id").and_then(Value::as_array);
    ids.into_iter().flatten().filter_map(as_number).collect()
}

/// The record that a new node is to be by `roles.rmclassifications`: `class_id`, `official` and
/// fields, none of which the reference spells out.
pub(super) fn of_role(world: &World, call: &Call, roles: &Map<String, Value>) -> Option<Record> {
    let role = roles.get("rmclassifications")?;
    let given = |key: &str| match &role[key] {
        Value::Array(all) => all.first().and_then(as_number),
        one => as_number(one),
    };
    let class = given("class_id").or_else(|| given("id"))?;
    let mut record = fresh(world, call, class);
    for (name, _) in FIELDS {
        if let Some(text) = role[name].as_str() {
            record.fields.insert(name.to_owned(), written(name, text));
        }
    }
    record.official = role["official"] == true || role["official"] == "true";
    Some(record)
}

/// A record of a class as it begins.
fn fresh(world: &World, call: &Call, class: i64) -> Record {
    let day = call.now.strftime("%Y-%m-%dT00:00:00").to_string();
    let mut record = Record {
        class,
        fields: ["record_date", "status_date"]
            .map(|name| (name.to_owned(), json!(day)))
            .into(),
        official: false,
        finalised: false,
        revision: 0,
    };
    if let Some(code) = world.retention.of_class(class) {
        record.fields.insert("rsi".to_owned(), code.into());
    }
    record
}

/// A field as it is kept: a date has a time.
fn written(name: &str, text: &str) -> Value {
    let date = name.ends_with("_date").then(|| full_date(text)).flatten();
    date.unwrap_or_else(|| text.to_owned()).into()
}

fn seen(world: &World, call: &Call, id: i64) -> Result<(), Refusal> {
    let seen = world.visible(call.user, id);
    seen.map(|_| ()).ok_or_else(|| Refusal::bad(INACCESSIBLE))
}

/// `GET /v1/nodes/{id}/classifications`.
pub(super) fn classifications(world: &mut World, call: &Call, id: i64) -> Outcome {
    let node = world
        .visible(call.user, id)
        .ok_or_else(|| Refusal::bad(INACCESSIBLE))?;
    let row = |class: &i64| {
        let name = world
            .tree
            .get(*class)
            .map_or_else(|| class.to_string(), |node| node.name.clone());
        json!({"id": class, "name": name, "type": 199, "selectable": true, "management_type": "manual", "score": null,
            "inherit_flag": false, "classvolumeid": null, "parent_managed": null})
    };
    let rows: Vec<_> = node.classifications.iter().map(row).collect();
    Ok(Answer::Json(json!({
        "bCanApplyClass": true, "bCanRemoveClass": true, "canModify": true, "classVolumeID": 2048, "data": rows,
        "definitions": {}, "definitions_map": {"name": ["menu"]}, "definitions_order": ["name"],
    })))
}

/// `POST /v1/nodes/{id}/classifications`: the list replaces what was there.
pub(super) fn classify(world: &mut World, call: &Call, id: i64) -> Outcome {
    seen(world, call, id)?;
    lacking(world, call.user, id, Rights::ATTRIBUTES, "classify")?;
    let classes = call.arguments.numbers("class_id")?;
    let classes = classes.ok_or_else(|| Refusal::bad("Missing required parameter"))?;
    let below = call.arguments.flag("apply_to_sub_items")?.unwrap_or(false);
    for id in world.tree.reach(id, if below { 2 } else { 0 }) {
        if let Some(node) = world.tree.get_mut(id) {
            node.classifications.clone_from(&classes);
        }
    }
    world.record(call, "classify", Some(id), json!({"classes": classes}));
    Ok(Answer::Json(json!({"results": {"ok": true}})))
}

/// `DELETE /v1/nodes/{id}/classifications/{class}`.
pub(super) fn unclassify(world: &mut World, call: &Call, id: i64, class: i64) -> Outcome {
    seen(world, call, id)?;
    if let Some(node) = world.tree.get_mut(id) {
        node.classifications.retain(|other| *other != class);
    }
    world.record(call, "classify", Some(id), json!({"removed": class}));
    Ok(Answer::Json(json!({"results": {"ok": true}})))
}

fn token(id: i64, record: Option<&Record>) -> String {
    token_of(&[id, -1], record.map_or(0, |record| record.revision))
}

/// `GET /v1/nodes/{id}/rmclassifications`.
pub(super) fn details(world: &mut World, call: &Call, id: i64) -> Outcome {
    let node = world
        .visible(call.user, id)
        .ok_or_else(|| Refusal::bad(INACCESSIBLE))?;
    let record = node.record.as_ref();
    let row = |record: &Record| {
        let mut row = json!({
            "rmclassification_id": record.class, "inherited_rmclassification_id": null,
            "default_rmclassification_id": null, "multiple_classifications": [], "official": record.official,
        });
        for (name, default) in FIELDS {
            row[name] = record
                .fields
                .get(name)
                .cloned()
                .unwrap_or_else(|| json!(default));
        }
        row
    };
    let rows: Vec<_> = record.map(row).into_iter().collect();
    let finalised = record.is_some_and(|record| record.finalised);
    Ok(Answer::Json(json!({
        "canBeUnclassified": !finalised, "canFinalize": record.is_some() && !finalised, "canRemoveClass": !finalised,
        "canRMClassify": !finalised, "classVolumeID": 2164, "data": rows, "rm_metadataToken": token(id, record),
        "multiClass": true, "showTab": true, "inherit_from": false, "definitions": {}, "fields_order": [],
        "fields_to_show": {}, "vitalRecordCodes": [],
    })))
}

/// Sets the fields among the arguments.
fn fill(record: &mut Record, call: &Call) -> Result<(), Refusal> {
    for (name, _) in FIELDS {
        if let Some(text) = call.arguments.text(name) {
            record.fields.insert(name.to_owned(), written(name, &text));
        }
    }
    if let Some(status) = call.arguments.text("status") {
        record
            .fields
            .insert("file_status".to_owned(), status.into());
    }
    if let Some(cycle) = record.fields.get("cycle_period").and_then(Value::as_str)
        && !["", "1", "2", "3", "7", "12", "365"].contains(&cycle)
    {
        return Err(Refusal::bad("Incorrect Cycle Period specified."));
    }
    if let Some(official) = call.arguments.flag("official")? {
        record.official = official;
    }
    record.revision += 1;
    Ok(())
}

fn fresh_token(call: &Call, id: i64, record: Option<&Record>, needed: bool) -> Result<(), Refusal> {
    match call.arguments.text("rm_metadataToken") {
        Some(given) if given != token(id, record) => Err(Refusal::new(
            409,
            "Could not update metadata (edit conflict).",
        )),
        None if needed => Err(Refusal::missing("rm_metadataToken")),
        _ => Ok(()),
    }
}

/// `POST /v1/nodes/{id}/rmclassifications`: declares a record.
pub(super) fn declare(world: &mut World, call: &Call, id: i64) -> Outcome {
    seen(world, call, id)?;
    lacking(world, call.user, id, Rights::ATTRIBUTES, "rmclassify")?;
    let class = call.arguments.need_number("class_id")?;
    let before = world.tree.get(id).and_then(|node| node.record.clone());
    if before.as_ref().is_some_and(|record| record.finalised) {
        return Err(Refusal::bad(
            "This item is a finalized record and cannot be changed.",
        ));
    }
    fresh_token(call, id, before.as_ref(), false)?;
    let mut record = before.unwrap_or_else(|| fresh(world, call, class));
    record.class = class;
    if let Some(code) = world.retention.of_class(class) {
        record.fields.insert("rsi".to_owned(), code.into());
    }
    fill(&mut record, call)?;
    let below = call.arguments.flag("apply_to_sub_items")?.unwrap_or(false);
    for id in world.tree.reach(id, if below { 2 } else { 0 }) {
        if let Some(node) = world.tree.get_mut(id) {
            node.record = Some(record.clone());
        }
    }
    world.record(
        call,
        "record",
        Some(id),
        json!({"class": class, "official": record.official}),
    );
    Ok(Answer::Json(json!({"results": {"ok": true}})))
}

/// `PUT /v1/nodes/{id}/rmclassifications`.
pub(super) fn edit(world: &mut World, call: &Call, id: i64) -> Outcome {
    let node = world
        .visible(call.user, id)
        .ok_or_else(|| Refusal::bad("Cannot retrieve node"))?;
    let mut record = node
        .record
        .clone()
        .ok_or_else(|| Refusal::bad("Cannot retrieve node"))?;
    fresh_token(call, id, Some(&record), true)?;
    if record.finalised {
        return Err(Refusal::bad(
            "This item is a finalized record and cannot be changed.",
        ));
    }
    fill(&mut record, call)?;
    let official = record.official;
    if let Some(node) = world.tree.get_mut(id) {
        node.record = Some(record);
    }
    world.record(call, "record", Some(id), json!({"official": official}));
    Ok(Answer::Json(json!({"results": {"ok": true}})))
}

/// `DELETE /v1/nodes/{id}/rmclassifications/{class}`.
pub(super) fn undeclare(world: &mut World, call: &Call, id: i64, class: i64) -> Outcome {
    let node = world
        .visible(call.user, id)
        .ok_or_else(|| Refusal::bad("Cannot retrieve node"))?;
    let record = node
        .record
        .as_ref()
        .filter(|record| record.class == class && !record.finalised);
    record.ok_or_else(|| Refusal::bad("Cannot retrieve node"))?;
    if let Some(node) = world.tree.get_mut(id) {
        node.record = None;
    }
    world.record(call, "record", Some(id), json!({"removed": class}));
    Ok(Answer::Json(json!({"results": {"ok": true}})))
}

/// `PUT /v1/rmclassifications/finalizerecords`.
pub(super) fn finalise(world: &mut World, call: &Call) -> Outcome {
    let ids = call.arguments.numbers("ids")?;
    let ids = ids.ok_or_else(|| Refusal::new(404, "Missing required parameter 'ids'"))?;
    finalise_all(world, call, &ids)?;
    Ok(Answer::Json(
        json!({"results": {"ok": true, "errMsg": "", "id": 0}}),
    ))
}

fn finalise_all(world: &mut World, call: &Call, ids: &[i64]) -> Result<(), Refusal> {
    let records = |id: &i64| {
        world
            .visible(call.user, *id)
            .is_some_and(|node| node.record.is_some())
    };
    if !ids.iter().all(records) {
        return Err(Refusal::bad("Cannot retrieve node"));
    }
    for id in ids {
        make_final(world, *id);
        world.record(call, "finalise", Some(*id), json!({}));
    }
    Ok(())
}

/// Finalises a node; one that is no record becomes one.
pub(super) fn make_final(world: &mut World, id: i64) {
    if let Some(node) = world.tree.get_mut(id) {
        let record = node.record.get_or_insert_with(|| Record {
            class: 0,
            fields: BTreeMap::new(),
            official: true,
            finalised: false,
            revision: 0,
        });
        record.finalised = true;
        record.revision += 1;
    }
}

/// `POST /v1/rmqueues`: the one task known here is done at once.
pub(super) fn queue(world: &mut World, call: &Call) -> Outcome {
    let id = call.arguments.need_number("id")?;
    if call.arguments.text("task_name").as_deref() != Some("rm_FinalizeRecord") {
        return Err(Refusal::bad("Pattern of argument was not recognized."));
    }
    seen(world, call, id).map_err(|_| Refusal::new(404, "Cannot retrieve node"))?;
    finalise_all(world, call, &[id])?;
    Ok(Answer::Json(
        json!({"errMsg": "", "http_status_code": 200, "location": "", "task_status": "completed"}),
    ))
}

/// `POST /v1/holds`.
pub(super) fn create_hold(world: &mut World, call: &Call) -> Outcome {
    let text = |key: &str| call.arguments.text(key).filter(|text| !text.is_empty());
    let refusal = || Refusal::bad("Could not insert into the Hold Disposition table");
    let (Some(name), Some(kind), Some(applied)) =
        (text("name"), text("type"), text("date_applied"))
    else {
        return Err(refusal());
    };
    if world.holds.0.values().any(|hold| hold.name == name) {
        return Err(refusal());
    }
    let id = add_hold(world, call.user, &name, &kind, &applied);
    if let Some(hold) = world.holds.0.get_mut(&id) {
        hold.comment = text("comment").unwrap_or_default();
        hold.to_remove = text("date_to_remove");
    }
    world.record(
        call,
        "hold_created",
        None,
        json!({"hold": id, "name": name}),
    );
    Ok(Answer::Json(json!({"holdID": id})))
}

/// Makes a hold.
pub(super) fn add_hold(world: &mut World, user: i64, name: &str, kind: &str, applied: &str) -> i64 {
    let id = world.id();
    let hold = Hold {
        name: name.to_owned(),
        kind: kind.to_owned(),
        comment: String::new(),
        applied: applied.to_owned(),
        to_remove: None,
        active: true,
        patron: user,
        items: BTreeSet::new(),
    };
    world.holds.0.insert(id, hold);
    id
}

/// `PUT /v1/holds`: a removal date suspends the hold.
pub(super) fn edit_hold(world: &mut World, call: &Call) -> Outcome {
    let id = call.arguments.need_number("id")?;
    let removed = call
        .arguments
        .text("date_removed")
        .filter(|date| !date.is_empty());
    let missing = || Refusal::bad("Could not insert into the Hold Disposition table");
    let hold = world.holds.0.get_mut(&id).ok_or_else(missing)?;
    hold.active = removed.is_none();
    if let Some(comment) = call.arguments.text("comment") {
        hold.comment = comment;
    }
    world.record(call, "hold_edited", None, json!({"hold": id}));
    Ok(Answer::Json(json!({"holdID": id})))
}

/// `DELETE /v1/holds/{id}`.
pub(super) fn delete_hold(world: &mut World, call: &Call, id: i64) -> Outcome {
    let unused = world
        .holds
        .0
        .get(&id)
        .is_some_and(|hold| hold.items.is_empty());
    if !unused {
        return Err(Refusal::bad(
            "Error deleting Hold. Hold may not exist or is in use.",
        ));
    }
    world.holds.0.remove(&id);
    world.record(call, "hold_deleted", None, json!({"hold": id}));
    Ok(Answer::Json(
        json!({"results": {"ok": true, "errMsg": "", "id": id}}),
    ))
}

/// `GET /v1/holds` and `/v2/holds`.
pub(super) fn holds(world: &mut World, call: &Call) -> Outcome {
    let ids = world.holds.0.keys().copied();
    if call.v1 {
        let row = |id| {
            let hold = world.holds.json(id);
            json!({"HoldID": hold["HoldID"], "HoldName": hold["HoldName"], "ActiveHold": hold["ActiveHold"]})
        };
        return Ok(Answer::Json(ids.map(row).collect()));
    }
    let total = world.holds.0.len();
    let page = call.page_of(u32::try_from(total.max(1)).unwrap_or(u32::MAX), u32::MAX)?;
    let rows: Vec<_> = ids
        .skip(page.skip())
        .take(page.limit)
        .map(|id| world.holds.json(id))
        .collect();
    Ok(with_data(
        call,
        list(&call.href, Vec::new(), page, total, None),
        json!({"holds": rows}),
    ))
}

/// A list answer whose `results` are an object.
fn with_data(call: &Call, answer: Answer, data: Value) -> Answer {
    match answer {
        Answer::Json(mut json) => {
            json["results"] = json!({"data": data});
            Answer::Json(json)
        }
        Answer::Content(_) => call.results(json!({"data": data})),
    }
}

/// `GET /v2/holds/{id}` and `/v2/hold?id=` or `?holdname=`.
pub(super) fn hold(world: &mut World, call: &Call, id: Option<i64>) -> Outcome {
    let name = call.arguments.text("holdname");
    let id = id.or(call.arguments.number("id")?).or_else(|| {
        let found = world
            .holds
            .0
            .iter()
            .find(|(_, hold)| Some(&hold.name) == name.as_ref());
        found.map(|(id, _)| *id)
    });
    let found = id.map_or(Value::Null, |id| world.holds.json(id));
    if found.is_null() {
        let results = json!({"ok": false, "errMsg": "Hold not found.", "id": 0});
        return Err(Refusal::json(
            400,
            json!({"error": "Hold not found.", "results": results}),
        ));
    }
    Ok(call.results(json!({"data": {"hold": found}})))
}

/// `GET /v1/nodes/{id}/holds`.
pub(super) fn node_holds(world: &mut World, call: &Call, id: i64) -> Outcome {
    seen(world, call, id)?;
    let on = world
        .holds
        .0
        .iter()
        .filter(|(_, hold)| hold.items.contains(&id));
    let row = |(hold_id, hold): (&i64, &Hold)| {
        json!({
            "id": id, "name": world.tree.get(id).map(|node| node.name.as_str()), "subtype": world.tree.get(id).map(|node| node.subtype),
            "parent_id": world.tree.get(id).map(|node| node.parent), "hold_id": hold_id, "hold_name": hold.name,
            "hold_type": hold.kind, "hold_comment": hold.comment, "hold_appliedmethod": "Direct",
            "active": i32::from(hold.active), "applied_by": world.members.name(hold.patron), "date_applied": hold.applied,
            "removable": true, "userid": 0, "queryid": 0, "docxreftyp": 0,
        })
    };
    let rows: Vec<_> = on.map(row).collect();
    super::retention::put_late_holds(world, call, id);
    Ok(Answer::Json(json!({"data": rows})))
}

/// `POST /v1/nodes/{id}/holds`.
pub(super) fn apply(world: &mut World, call: &Call, id: i64) -> Outcome {
    seen(world, call, id)?;
    let hold = call.arguments.number("hold_id")?;
    let hold = hold.ok_or_else(|| Refusal::bad("Missing LLPARAMS_LIST"))?;
    put_on(world, call, hold, &[id])?;
    Ok(Answer::Json(json!({"results": {"ok": true}})))
}

/// Puts a hold on nodes.
fn put_on(world: &mut World, call: &Call, hold: i64, ids: &[i64]) -> Result<(), Refusal> {
    let missing = || Refusal::bad("Hold not found.");
    world
        .holds
        .0
        .get_mut(&hold)
        .ok_or_else(missing)?
        .items
        .extend(ids);
    for id in ids {
        world.record(call, "hold", Some(*id), json!({"hold": hold}));
    }
    Ok(())
}

/// Puts a hold on a node, whoever asks.
pub(super) fn hold_node(world: &mut World, hold: i64, id: i64) {
    if let Some(hold) = world.holds.0.get_mut(&hold) {
        hold.items.insert(id);
    }
}

/// Takes a hold off a node, whoever asks.
pub(super) fn release(world: &mut World, hold: i64, id: i64) -> bool {
    let hold = world.holds.0.get_mut(&hold);
    hold.is_some_and(|hold| hold.items.remove(&id))
}

fn take_off(world: &mut World, call: &Call, hold: i64, id: i64) -> bool {
    let removed = release(world, hold, id);
    if removed {
        world.record(call, "hold_removed", Some(id), json!({"hold": hold}));
    }
    removed
}

/// `DELETE /v1/nodes/{id}/holds/{hold}`.
pub(super) fn remove(world: &mut World, call: &Call, id: i64, hold: i64) -> Outcome {
    seen(world, call, id)?;
    match take_off(world, call, hold, id) {
        true => Ok(Answer::Json(json!({"results": {"ok": true}}))),
        false => Err(Refusal::bad("Object does not have this Hold")),
    }
}

/// `POST /v1/rmclassifications/applyhold` and `/removehold`.
pub(super) fn bulk(world: &mut World, call: &Call, on: bool) -> Outcome {
    let hold = call.arguments.number("holdID")?;
    let hold = hold.ok_or_else(|| Refusal::new(404, "Missing required parameter 'holdID'"))?;
    let ids = call.arguments.numbers("ids")?.unwrap_or_default();
    if on {
        put_on(world, call, hold, &ids)?;
    } else {
        for id in ids {
            take_off(world, call, hold, id);
        }
    }
    Ok(Answer::Json(
        json!({"results": {"ok": true, "errMsg": "", "id": hold}}),
    ))
}

/// `GET /v2/holditems/{hold}`.
pub(super) fn items(world: &mut World, call: &Call, hold: i64) -> Outcome {
    let page = call.page(&world.config)?;
    let ids: Vec<i64> = world
        .holds
        .0
        .get(&hold)
        .map(|hold| hold.items.iter().copied().collect())
        .unwrap_or_default();
    let seen: Vec<_> = ids
        .iter()
        .filter_map(|id| world.visible(call.user, *id))
        .collect();
    let rows = seen.iter().skip(page.skip()).take(page.limit);
    let rows = rows
        .map(|node| super::nodes::node_data(world, call, node))
        .collect();
    Ok(list(&call.href, rows, page, seen.len(), None))
}

/// Nodes that are records of a status.
pub(super) fn with_status(world: &World, status: &str) -> Vec<i64> {
    let of =
        |record: &Record| record.fields.get("file_status").and_then(Value::as_str) == Some(status);
    let records = world
        .tree
        .iter()
        .filter(|node| node.record.as_ref().is_some_and(of));
    records.map(|node| node.id).collect()
}

/// A record's class and the code of its schedule; nothing where it has none.
pub(super) fn schedule_of(world: &World, id: i64) -> Option<(i64, &str)> {
    let record = world.tree.get(id)?.record.as_ref()?;
    let code = record.fields.get("rsi")?.as_str()?;
    (!code.is_empty()).then_some((record.class, code))
}

/// `POST` and `DELETE /v1/nodes/{id}/rmclassifications/{class}/rsis`: assigns a schedule to a record,
/// or takes it away.
pub(super) fn schedule(world: &mut World, call: &Call, id: i64, class: i64, on: bool) -> Outcome {
    seen(world, call, id)?;
    let code = match on {
        true => {
            let code = call.arguments.text("rsi").unwrap_or_default().to_owned();
            if !world.retention.codes().any(|known| known == code) {
                return Err(Refusal::bad("Incorrect RSI specified."));
            }
            Value::from(code)
        }
        false => Value::Null,
    };
    let record = world.tree.get_mut(id).and_then(|node| node.record.as_mut());
    let record = record.filter(|record| record.class == class && !record.finalised);
    let record = record.ok_or_else(|| Refusal::bad("Cannot retrieve node"))?;
    record.fields.insert("rsi".to_owned(), code.clone());
    record.revision += 1;
    world.record(call, "record", Some(id), json!({"rsi": code}));
    Ok(Answer::Json(json!({"results": {"ok": true}})))
}

/// `GET /v2/rsis` and `/v1/rsis`.
pub(super) fn schedules(world: &World, call: &Call) -> Outcome {
    let codes: Vec<&str> = world.retention.codes().collect();
    let row = |code: &&str| json!({"RSI": code, "RSIStatus": "ACTIVE", "ObjectType": "LRM"});
    if call.v1 {
        let rows: Vec<_> = codes.iter().map(row).collect();
        return Ok(Answer::Json(json!({"data": rows})));
    }
    let page = call.page_of(25, 100)?;
    let rows: Vec<_> = codes
        .iter()
        .skip(page.skip())
        .take(page.limit)
        .map(row)
        .collect();
    Ok(with_data(
        call,
        list(&call.href, Vec::new(), page, codes.len(), None),
        json!({"rsis": rows}),
    ))
}

/// `GET /v2/recordsmanagement/rmcodes`.
pub(super) fn codes(call: &Call) -> Outcome {
    let code = |name: &str, codes: &[&str]| {
        let rows = codes
            .iter()
            .map(|code| json!({"code": code, "description": code}));
        (name.to_owned(), rows.collect::<Value>())
    };
    let tables = [
        code("essential", &["NR", "VITAL"]),
        code(
            "file_status",
            &["ACTIVE", "CLOSED", "EXPIRED", "OBSOLETE", "SUPERSEDED"],
        ),
        code("storage", &["EL"]),
    ];
    let data: Map<_, _> = tables.into_iter().collect();
    Ok(call.results(json!({"data": data})))
}
