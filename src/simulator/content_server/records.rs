//! Records management: what makes a node a record, with its official and final flags.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::answer::{Answer, Outcome, Refusal, records_done};
use super::arguments::as_number;
use super::call::Call;
use super::categories::token_of;
use super::classifications::known;
use super::codes::CYCLES;
use super::nodes::{Node, RECORDS_CLASS, full_date};
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
    /// Further records classifications.
    secondary: Vec<i64>,
    revision: u64,
}

/// What every change of a finalised record is refused with.
const FINAL: &str = "This item is a finalized record and cannot be changed.";

impl Record {
    /// Whether it is of that class, in the first or in another place.
    pub(super) fn is_of(&self, class: i64) -> bool {
        self.class == class || self.secondary.contains(&class)
    }

    /// A field of it.
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        self.fields.get(name).and_then(Value::as_str)
    }

    /// Its classifications as its details list them, when there are several.
    fn classes(&self) -> Vec<Value> {
        let row = |class: &i64, primary: bool| json!({"classNumber": class, "fileNumber": self.field("file_number"), "primary": primary, "RSI": self.field("rsi")});
        match self.secondary.is_empty() {
            true => Vec::new(),
            false => std::iter::once(row(&self.class, true))
                .chain(self.secondary.iter().map(|class| row(class, false)))
                .collect(),
        }
    }
}

/// The record that a new node is to be by `roles.rmclassifications`: `class_id`, `official` and
/// fields, none of which the reference spells out.
pub(super) fn of_role(
    world: &World,
    call: &Call,
    roles: &Map<String, Value>,
) -> Result<Option<Record>, Refusal> {
    let Some(role) = roles.get("rmclassifications") else {
        return Ok(None);
    };
    let given = |key: &str| match &role[key] {
        Value::Array(all) => all.first().and_then(as_number),
        one => as_number(one),
    };
    let Some(class) = given("class_id").or_else(|| given("id")) else {
        return Ok(None);
    };
    known(world, call, class, RECORDS_CLASS, "rmclassify")?;
    let mut record = fresh(world, call, class);
    for (name, _) in FIELDS {
        if let Some(text) = role[name].as_str() {
            record.fields.insert(name.to_owned(), written(name, text)?);
        }
    }
    if let Some(status) = role["status"].as_str() {
        record
            .fields
            .insert("file_status".to_owned(), status.into());
    }
    check_codes(world, &record)?;
    record.official = role["official"] == true || role["official"] == "true";
    Ok(Some(record))
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
        secondary: Vec::new(),
        revision: 0,
    };
    if let Some(code) = world.retention.of_class(class) {
        record.fields.insert("rsi".to_owned(), code.into());
    }
    record
}

/// A field as it is kept: a date has a time.
fn written(name: &str, text: &str) -> Result<Value, Refusal> {
    if !name.ends_with("_date") || text.is_empty() {
        return Ok(match text {
            "" => Value::Null,
            text => text.into(),
        });
    }
    let date = full_date(text).ok_or_else(|| Refusal::datatype(name))?;
    Ok(date.into())
}

/// Whether the codes of a record are among those that are set up.
fn check_codes(world: &World, record: &Record) -> Result<(), Refusal> {
    let text = |name: &str| record.fields.get(name).and_then(Value::as_str);
    for (name, table, called) in [
        ("file_status", "status", "Status"),
        ("essential", "essential", "Essential"),
        ("storage", "storage", "Storage"),
        ("accession", "accession", "Accession"),
    ] {
        if text(name).is_some_and(|code| !world.codes.has(table, code)) {
            return Err(Refusal::bad(format!("Incorrect {called} specified.")));
        }
    }
    if text("rsi").is_some_and(|code| !world.retention.knows(code)) {
        return Err(Refusal::bad("Incorrect RSI specified."));
    }
    let cycle = text("cycle_period");
    let known = |cycle: &str| CYCLES.iter().any(|(code, _)| code.to_string() == cycle);
    match cycle.is_none_or(known) {
        true => Ok(()),
        false => Err(Refusal::bad("Incorrect Cycle Period specified.")),
    }
}

fn token(id: i64, record: Option<&Record>) -> String {
    token_of(&[id, -1], record.map_or(0, |record| record.revision))
}

/// `GET /v1/nodes/{id}/rmclassifications`.
pub(super) fn details(world: &mut World, call: &Call, id: i64) -> Outcome {
    let missing = || Refusal::bad(format!("Could not get node for {id}"));
    let node = world.visible(call.user, id).ok_or_else(missing)?;
    let record = node.record.as_ref();
    let row = |record: &Record| {
        let mut row = json!({
            "rmclassification_id": record.class, "inherited_rmclassification_id": null,
            "default_rmclassification_id": null, "multiple_classifications": record.classes(), "official": record.official,
            "name": world.tree.get(record.class).map(|class| class.name.as_str()), "type": RECORDS_CLASS,
            "class_selectable": true, "management_type": "manual", "score": null, "is_primary": true,
            "record_type": 0, "record_officer_id": null, "record_officer_name": null,
            "records_manager_id": null, "records_manager_name": null, "inherit_from": false,
            "secondary_class_ids": record.secondary, "extradata": null,
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
        "canRMClassify": !finalised, "classVolumeID": world.tree.volume(550).map(|node| node.id), "data": rows, "rm_metadataToken": token(id, record),
        "multiClass": true, "showTab": true, "inherit_from": false, "definitions": {}, "fields_order": FIELDS.map(|(name, _)| name),
        "fields_to_show": {}, "vitalRecordCodes": [], "haveFAtoClassify": true,
        "inheritanceMetadataUpdate": {}, "updateRSIWithRecordType": 0,
    })))
}

/// Sets the fields among the arguments.
fn fill(world: &World, record: &mut Record, call: &Call) -> Result<(), Refusal> {
    for (name, _) in FIELDS {
        if let Some(text) = call.arguments.text(name) {
            record.fields.insert(name.to_owned(), written(name, &text)?);
        }
    }
    if let Some(status) = call.arguments.text("status") {
        record
            .fields
            .insert("file_status".to_owned(), status.into());
    }
    if let Some(others) = call.arguments.numbers("secondary_class_ids")? {
        for class in &others {
            known(world, call, *class, RECORDS_CLASS, "rmclassify")?;
        }
        record.secondary = others;
    }
    check_codes(world, record)?;
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
    world.seen(call.user, id)?;
    lacking(world, call.user, id, Rights::ATTRIBUTES, "rmclassify")?;
    let class = call.arguments.need_number("class_id")?;
    known(world, call, class, RECORDS_CLASS, "rmclassify")?;
    let before = world.tree.get(id).and_then(|node| node.record.clone());
    fresh_token(call, id, before.as_ref(), before.is_some())?;
    let mut record = of_class(world, call, before, class)?;
    fill(world, &mut record, call)?;
    let below = call.arguments.flag("apply_to_sub_items")?.unwrap_or(false);
    let official = record.official;
    for id in world.tree.reach(id, if below { 2 } else { 0 }) {
        let may = world.rights(call.user, id).has(Rights::ATTRIBUTES);
        let node = world.tree.get_mut(id).filter(|_| may);
        let free = |node: &&mut Node| !node.record.as_ref().is_some_and(|own| own.finalised);
        if let Some(node) = node.filter(free) {
            node.record = Some(record.clone());
        }
    }
    let detail = json!({"class": class, "official": official});
    world.record(call, "record", Some(id), detail);
    Ok(records_done(0))
}

/// What a record is as one of that class; what is no record yet begins as one.
fn of_class(
    world: &World,
    call: &Call,
    before: Option<Record>,
    class: i64,
) -> Result<Record, Refusal> {
    if before.as_ref().is_some_and(|record| record.finalised) {
        return Err(Refusal::bad(FINAL));
    }
    let mut record = before.unwrap_or_else(|| fresh(world, call, class));
    record.class = class;
    if let Some(code) = world.retention.of_class(class) {
        record.fields.insert("rsi".to_owned(), code.into());
    }
    Ok(record)
}

/// Makes a node a record of a class that is known to be one.
pub(super) fn declare_as(
    world: &mut World,
    call: &Call,
    id: i64,
    class: i64,
) -> Result<(), Refusal> {
    let before = world.tree.get(id).and_then(|node| node.record.clone());
    let mut record = of_class(world, call, before, class)?;
    record.revision += 1;
    if let Some(node) = world.tree.get_mut(id) {
        node.record = Some(record);
    }
    world.record(call, "record", Some(id), json!({"class": class}));
    Ok(())
}

/// `PUT /v1/nodes/{id}/rmclassifications`.
pub(super) fn edit(world: &mut World, call: &Call, id: i64) -> Outcome {
    let mut record = own(world, call, id)?.clone();
    lacking(world, call.user, id, Rights::ATTRIBUTES, "rmclassify")?;
    fresh_token(call, id, Some(&record), true)?;
    if record.finalised {
        return Err(Refusal::bad(FINAL));
    }
    if let Some(class) = call.arguments.number("class_id")? {
        known(world, call, class, RECORDS_CLASS, "rmclassify")?;
        record.class = class;
    }
    fill(world, &mut record, call)?;
    let official = record.official;
    if let Some(node) = world.tree.get_mut(id) {
        node.record = Some(record);
    }
    world.record(call, "record", Some(id), json!({"official": official}));
    Ok(records_done(0))
}

/// The record that a node is.
fn own<'a>(world: &'a World, call: &Call, id: i64) -> Result<&'a Record, Refusal> {
    let record = world
        .visible(call.user, id)
        .and_then(|node| node.record.as_ref());
    record.ok_or_else(|| Refusal::bad("Cannot retrieve node"))
}

/// `DELETE /v1/nodes/{id}/rmclassifications/{class}`, with the token in the address.
pub(super) fn undeclare(world: &mut World, call: &Call, id: i64, class: i64) -> Outcome {
    world.seen(call.user, id)?;
    lacking(world, call.user, id, Rights::ATTRIBUTES, "rmclassify")?;
    let before = world.tree.get(id).and_then(|node| node.record.as_ref());
    fresh_token(call, id, before, before.is_some())?;
    undeclare_as(world, call, id, class)?;
    Ok(records_done(0))
}

/// Makes a record of a class an ordinary node.
pub(super) fn undeclare_as(
    world: &mut World,
    call: &Call,
    id: i64,
    class: i64,
) -> Result<(), Refusal> {
    let node = world.tree.get_mut(id);
    let record = node.as_ref().and_then(|node| node.record.as_ref());
    if !record.is_some_and(|record| record.class == class && !record.finalised) {
        let text = "Could not delete records in table RM_PartRecords";
        return Err(Refusal::bad(text));
    }
    if let Some(node) = node {
        node.record = None;
    }
    world.record(call, "record", Some(id), json!({"removed": class}));
    Ok(())
}

/// The ids of a call on many records, every one of which the caller may change.
fn many(world: &World, call: &Call) -> Result<Vec<i64>, Refusal> {
    let ids = call.arguments.numbers("ids")?.unwrap_or_default();
    if ids.is_empty() {
        return Err(Refusal::new(404, "ID is required"));
    }
    for id in &ids {
        own(world, call, *id)?;
        lacking(world, call.user, *id, Rights::ATTRIBUTES, "rmclassify")?;
    }
    Ok(ids)
}

/// `POST /v1/rmclassifications/RMMetadata`: fields of many records, all or none, under names of
/// their own and without a token.
pub(super) fn edit_all(world: &mut World, call: &Call) -> Outcome {
    let ids = many(world, call)?;
    let mut changed = Vec::new();
    for id in &ids {
        let mut record = own(world, call, *id)?.clone();
        if record.finalised {
            return Err(Refusal::bad(FINAL));
        }
        for (argument, name) in [
            ("accession", "accession"),
            ("docDate", "record_date"),
            ("essential", "essential"),
            ("fileStatus", "file_status"),
            ("nextReviewDate", "next_review_date"),
            ("rsi", "rsi"),
            ("statusDate", "status_date"),
            ("storage", "storage"),
            ("vitalRecordCycle", "cycle_period"),
        ] {
            let text = call.arguments.text(argument);
            if let Some(text) = text.filter(|text| !text.is_empty()) {
                record.fields.insert(name.to_owned(), written(name, &text)?);
            }
        }
        if call.arguments.flag("rsiRemove")?.unwrap_or(false) {
            record.fields.insert("rsi".to_owned(), Value::Null);
        }
        check_codes(world, &record)?;
        if let Some(official) = call.arguments.flag("official")? {
            record.official = official;
        }
        record.revision += 1;
        changed.push((*id, record));
    }
    for (id, record) in changed {
        let detail = json!({"official": record.official});
        if let Some(node) = world.tree.get_mut(id) {
            node.record = Some(record);
        }
        world.record(call, "record", Some(id), detail);
    }
    Ok(records_done(0))
}

/// `PUT /v1/rmclassifications/finalizerecords`.
pub(super) fn finalise(world: &mut World, call: &Call) -> Outcome {
    let missing = || Refusal::new(404, "ID is not an integer or is missing");
    let ids = call.arguments.numbers("ids").map_err(|_| missing())?;
    if ids.is_none_or(|ids| ids.is_empty()) {
        return Err(missing());
    }
    for id in many(world, call)? {
        make_final(world, id);
        world.record(call, "finalise", Some(id), json!({}));
    }
    Ok(records_done(0))
}

/// Finalises a node; one that is no record becomes one.
pub(super) fn make_final(world: &mut World, id: i64) {
    if let Some(node) = world.tree.get_mut(id) {
        let record = node.record.get_or_insert_with(|| Record {
            class: 0,
            fields: BTreeMap::new(),
            official: true,
            finalised: false,
            secondary: Vec::new(),
            revision: 0,
        });
        record.finalised = true;
        record.revision += 1;
    }
}

/// Nodes that are records of a status, be it the one that records begin with.
pub(super) fn with_status(world: &World, status: &str) -> Vec<i64> {
    let first = FIELDS.iter().find(|(name, _)| *name == "file_status");
    let first = first.and_then(|(_, first)| *first);
    let of = |record: &Record| record.field("file_status").or(first) == Some(status);
    let records = world
        .tree
        .iter()
        .filter(|node| node.record.as_ref().is_some_and(of));
    records.map(|node| node.id).collect()
}

/// Nodes that are records with a schedule.
pub(super) fn with_schedule(world: &World, code: &str) -> Vec<i64> {
    let of = |record: &Record| record.field("rsi") == Some(code);
    let records = world
        .tree
        .iter()
        .filter(|node| node.record.as_ref().is_some_and(of));
    records.map(|node| node.id).collect()
}

/// Gives the records with a schedule its new name.
pub(super) fn rename_schedule(world: &mut World, from: &str, to: &str) {
    for id in with_schedule(world, from) {
        if let Some(record) = world.tree.get_mut(id).and_then(|node| node.record.as_mut()) {
            record.fields.insert("rsi".to_owned(), to.into());
        }
    }
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
    world.seen(call.user, id)?;
    lacking(world, call.user, id, Rights::ATTRIBUTES, "rmclassify")?;
    let code = match on {
        true => {
            let code = call.arguments.text("rsi").unwrap_or_default();
            // By its name; some clients know it by its number only.
            let code = world.retention.name_of(&code).map(str::to_owned);
            Value::from(code.ok_or_else(|| Refusal::bad("Incorrect RSI specified."))?)
        }
        false => Value::Null,
    };
    let record = world.tree.get_mut(id).and_then(|node| node.record.as_mut());
    let record = record.filter(|record| record.is_of(class) && !record.finalised);
    let record = record.ok_or_else(|| Refusal::bad("Cannot retrieve node"))?;
    record.fields.insert("rsi".to_owned(), code.clone());
    record.revision += 1;
    world.record(call, "record", Some(id), json!({"rsi": code}));
    Ok(records_done(0))
}
