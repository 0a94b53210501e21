//! Retention schedules (RSIs): their stages, when a node is due by them, and who approved them.

use std::collections::BTreeMap;

use jiff::civil::{Date, DateTime};
use jiff::{Span, Timestamp};
use serde_json::{Map, Value, json};

use super::answer::{Answer, Outcome, Refusal, named_list, records_done};
use super::call::Call;
use super::codes::{self, DATES, EVENTS};
use super::nodes::{Node, full_date, listing};
use super::permissions::Rights;
use super::records;
use super::security::reached;
use super::world::World;

/// Rows of a page, unasked and at most.
const PAGE: (u32, u32) = (25, 100);

/// What a caller says of a stage: the argument, the column that shows it, and whether it is a
/// number or a switch (as 0 and 1).
const STAGE: [(&str, &str, Column); 17] = [
    ("stage", "RetStage", Column::Text),
    ("objectType", "ObjectType", Column::Text),
    ("ruleCode", "RSIRuleCode", Column::Text),
    ("ruleComment", "EventComment", Column::Text),
    ("dateToUse", "DateToUse", Column::Number),
    ("yearEndMonth", "YearEndMonth", Column::Number),
    ("yearEndDay", "YearEndDay", Column::Number),
    ("retentionYears", "RetYears", Column::Number),
    ("retentionMonths", "RetMonths", Column::Number),
    ("retentionDays", "RetDays", Column::Number),
    ("retentionIntervals", "RetIntervals", Column::Number),
    ("eventCondition", "EventRule", Column::Text),
    ("description", "ActionDescription", Column::Text),
    ("disposition", "Disposition", Column::Text),
    ("fixedRetention", "FixedRet", Column::Switch),
    ("maximumRetention", "MaximumRet", Column::Switch),
    ("markOfficialRendition", "MakeRendition", Column::Switch),
];

/// Arguments that no column shows.
const HIDDEN: [(&str, Column); 6] = [
    ("newStatus", Column::Text),
    ("minNumVersionsToKeep", Column::Number),
    ("purgeSuperseded", Column::Switch),
    ("purgeMajors", Column::Switch),
    ("categoryId", Column::Number),
    ("categoryAttributeId", Column::Number),
];

#[derive(Clone, Copy)]
enum Column {
    Text,
    Number,
    Switch,
}

/// How a stage finds its date: the numbers of the interface.
const CALENDAR: i64 = 2;
const EVENT: i64 = 3;
const FIXED: i64 = 4;
const PERMANENT: i64 = 5;

/// A stage of a schedule: what is to be done when.
struct Stage {
    id: i64,
    event: i64,
    fixed: Option<String>,
    action: String,
    /// Everything else, by argument.
    said: Map<String, Value>,
    approved: Option<Approval>,
}

/// Who approved a stage.
#[derive(Clone)]
struct Approval {
    user: i64,
    date: String,
    comment: String,
}

impl Stage {
    fn text(&self, key: &str) -> &str {
        self.said
            .get(key)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    fn number(&self, key: &str) -> i64 {
        self.said.get(key).and_then(Value::as_i64).unwrap_or(0)
    }

    /// The date that it counts from, of a node.
    fn base(&self, node: &Node) -> Option<DateTime> {
        let utc = |at: Timestamp| at.to_zoned(jiff::tz::TimeZone::UTC).datetime();
        let field = |name: &str| node.record.as_ref()?.field(name)?.parse().ok();
        match self.number("dateToUse") {
            91 => Some(utc(node.created)),
            92 => node.reserved.map(|(_, at)| utc(at)),
            93 => Some(utc(node.modified)),
            94 => field("status_date"),
            95 => field("record_date"),
            131 | 132 => node.latest().map(|version| utc(version.created)),
            _ => None,
        }
    }

    /// When a node is due by it; `None` for what is permanent or waits for something to happen.
    fn due(&self, node: &Node) -> Option<String> {
        match self.event {
            FIXED => self.fixed.clone(),
            EVENT | PERMANENT => None,
            _ => {
                let span = Span::new()
                    .try_years(self.number("retentionYears"))
                    .ok()?
                    .try_months(self.number("retentionMonths"))
                    .ok()?
                    .try_days(self.number("retentionDays"))
                    .ok()?;
                let mut due = self.base(node)?.checked_add(span).ok()?;
                if self.event == CALENDAR {
                    due = self.year_end(due)?;
                }
                Some(due.strftime("%Y-%m-%dT%H:%M:%S").to_string())
            }
        }
    }

    /// The first end of a year from a date on, as the schedule counts years.
    fn year_end(&self, from: DateTime) -> Option<DateTime> {
        let part = |key: &str, last: i8| match i8::try_from(self.number(key)) {
            Ok(number) if number > 0 => number,
            _ => last,
        };
        let (month, day) = (part("yearEndMonth", 12), part("yearEndDay", 31));
        let end = |year: i16| {
            let first = Date::new(year, month, 1).ok()?;
            let last = first.last_of_month();
            Some(if day < last.day() {
                first.with().day(day).build().ok()?
            } else {
                last
            })
        };
        let this = end(from.year())?;
        let found = if this < from.date() {
            end(from.year().checked_add(1)?)?
        } else {
            this
        };
        Some(found.to_datetime(from.time()))
    }
}

/// A retention schedule.
#[derive(Default)]
struct Schedule {
    name: String,
    status: String,
    status_date: Option<String>,
    title: String,
    subject: String,
    description: String,
    created: Option<String>,
    controlled: bool,
    /// When it was discontinued, and why.
    discontinued: Option<(String, String)>,
    stages: Vec<Stage>,
    /// Stage, what was done, by whom it was entered.
    approvals: Vec<(i64, Approval, i64)>,
}

/// All schedules, by number, and which records classification has which.
#[derive(Default)]
pub(super) struct Schedules {
    all: BTreeMap<i64, Schedule>,
    of_classes: BTreeMap<i64, String>,
    last: i64,
}

impl Schedules {
    fn next(&mut self) -> i64 {
        self.last += 1;
        self.last
    }

    fn ensure(&mut self, code: &str) -> i64 {
        if let Some(id) = self.id(code) {
            return id;
        }
        let id = self.next();
        let schedule = Schedule {
            name: code.to_owned(),
            status: "ACTIVE".to_owned(),
            ..Schedule::default()
        };
        self.all.insert(id, schedule);
        id
    }

    /// Makes or changes a schedule of one stage.
    pub(super) fn set(&mut self, code: &str, due: &str, action: &str) {
        let id = self.ensure(code);
        if let Some(schedule) = self.all.get_mut(&id) {
            schedule.stages.clear();
        }
        self.add_stage(code, "Final", Some(due), action);
    }

    /// Adds a stage that is due at a date, or never, to a schedule.
    pub(super) fn add_stage(&mut self, code: &str, name: &str, due: Option<&str>, action: &str) {
        let (schedule, id) = (self.ensure(code), self.next());
        let said = json!({"stage": name, "objectType": "LRM", "dateToUse": 94});
        let stage = Stage {
            id,
            event: if due.is_some() { FIXED } else { PERMANENT },
            fixed: due.map(str::to_owned),
            action: action.to_owned(),
            said: said.as_object().cloned().unwrap_or_default(),
            approved: None,
        };
        if let Some(schedule) = self.all.get_mut(&schedule) {
            schedule.stages.push(stage);
        }
    }

    /// Assigns a schedule to a records classification.
    pub(super) fn assign(&mut self, class: i64, code: &str) {
        self.of_classes.insert(class, code.to_owned());
    }

    /// The schedule of a records classification.
    pub(super) fn of_class(&self, class: i64) -> Option<&str> {
        self.of_classes.get(&class).map(String::as_str)
    }

    fn id(&self, code: &str) -> Option<i64> {
        let found = self.all.iter().find(|(_, own)| own.name == code);
        found.map(|(id, _)| *id)
    }

    fn by_name(&self, code: &str) -> Option<&Schedule> {
        self.all.get(&self.id(code)?)
    }

    /// The name of the schedule that has this name or this number.
    pub(super) fn name_of(&self, code: &str) -> Option<&str> {
        let by_number = || self.all.get(&code.parse().ok()?);
        let found = self.by_name(code).or_else(by_number);
        found.map(|schedule| schedule.name.as_str())
    }

    /// Names and titles.
    pub(super) fn names(&self) -> impl Iterator<Item = (&str, &str)> {
        let all = self.all.values();
        all.map(|own| (own.name.as_str(), own.title.as_str()))
    }
}

/// A schedule with one of its stages, as the lists show both in one row.
fn row(id: i64, schedule: &Schedule, stage: Option<&Stage>) -> Value {
    let discontinued = schedule.discontinued.as_ref();
    let mut row = json!({
        "RSIID": id, "RSI": schedule.name, "Title": schedule.title, "Subject": schedule.subject,
        "Description": schedule.description, "CreateDate": schedule.created, "RSIStatus": schedule.status,
        "StatusDate": schedule.status_date, "DiscontFlag": i32::from(discontinued.is_some()),
        "DiscontDate": discontinued.map(|(date, _)| date), "DiscontComment": discontinued.map(|(_, why)| why),
        "Active": i32::from(discontinued.is_none()), "DispControl": i32::from(schedule.controlled),
        "RSIScheduleID": stage.map(|stage| stage.id), "RecordType": null,
        "EventType": stage.map(|stage| stage.event),
        "EventRuleDate": stage.and_then(|stage| stage.fixed.as_deref()),
        "StageAction": stage.map(|stage| codes::action_name(&stage.action)),
        "ActionCode": stage.map(|stage| stage.action.as_str()),
        "ApprovalFlag": stage.map(|stage| i32::from(stage.approved.is_some())),
    });
    for (argument, column, kind) in STAGE {
        let said = stage.and_then(|stage| stage.said.get(argument));
        row[column] = match (said, kind) {
            (Some(said), _) => said.clone(),
            (None, Column::Switch) if stage.is_some() => 0.into(),
            (None, _) => Value::Null,
        };
    }
    row
}

fn rows_of(id: i64, schedule: &Schedule) -> Vec<Value> {
    match schedule.stages.is_empty() {
        true => vec![row(id, schedule, None)],
        false => schedule
            .stages
            .iter()
            .map(|stage| row(id, schedule, Some(stage)))
            .collect(),
    }
}

/// `GET /v2/rsis`, and `GET` and `POST /v1/rsis`: the names that `query` is in.
pub(super) fn list(world: &World, call: &Call) -> Outcome {
    let all = &world.retention.schedules.all;
    if call.v1 {
        let part = call
            .arguments
            .text("query")
            .unwrap_or_default()
            .to_lowercase();
        let found = all
            .values()
            .filter(|own| own.name.to_lowercase().contains(&part));
        let rows: Vec<_> = found.map(|own| json!({"name": own.name})).collect();
        return Ok(Answer::Json(json!({"data": {"fast_codes": rows}})));
    }
    let rows = all.iter().flat_map(|(id, own)| rows_of(*id, own));
    paged(call, "rsis", rows.collect())
}

fn paged(call: &Call, name: &str, rows: Vec<Value>) -> Outcome {
    let page = call.page_of(PAGE.0, PAGE.1)?;
    let total = rows.len();
    let rows = rows.into_iter().skip(page.skip()).take(page.limit);
    Ok(named_list(&call.href, name, rows.collect(), page, total))
}

fn wrong() -> Refusal {
    Refusal::records("Incorrect RSI specified")
}

fn schedule(world: &World, id: i64) -> Result<&Schedule, Refusal> {
    world.retention.schedules.all.get(&id).ok_or_else(wrong)
}

/// `GET /v2/rsis/{id}`.
pub(super) fn get(world: &World, call: &Call, id: i64) -> Outcome {
    paged(call, "rsis", rows_of(id, schedule(world, id)?))
}

/// `GET /v2/rsis/{id}/schedules/{stage}`.
pub(super) fn get_stage(world: &World, call: &Call, id: i64, stage: i64) -> Outcome {
    let own = schedule(world, id)?;
    let found = own.stages.iter().find(|own| own.id == stage);
    let found = found.ok_or_else(|| Refusal::records("Incorrect RSI Schedule specified"))?;
    let row = row(id, own, Some(found));
    Ok(call.results(json!({"data": {"schedule": row}, "ok": true, "errMsg": ""})))
}

/// The answer of the two lists that a screen shows.
fn screen(call: &Call, title: &str, rows: Vec<Value>, more: Value) -> Outcome {
    let page = call.page_of(PAGE.0, PAGE.1)?;
    let total = rows.len();
    let none = json!({"data": {}, "map": {}, "order": []});
    let rows: Vec<Value> = rows
        .into_iter()
        .skip(page.skip())
        .take(page.limit)
        .map(|row| json!({"actions": none, "data": row, "metadata": {}, "metadata_order": []}))
        .collect();
    let mut answer = json!({
        "paging": page.paging(total, &call.href), "data": rows, "definitions": {},
        "definitions_order": [], "title": title,
    });
    if let (Value::Object(answer), Value::Object(more)) = (&mut answer, more) {
        answer.extend(more);
    }
    Ok(Answer::Json(answer))
}

/// `GET /v2/rsischedule/{id}`: the stages of a schedule.
pub(super) fn stages(world: &World, call: &Call, id: i64) -> Outcome {
    let own = schedule(world, id).map_err(|_| Refusal::bad("Insufficient Permissions"))?;
    let rows = own.stages.iter().map(|stage| row(id, own, Some(stage)));
    let may = manages(world, call);
    let more = json!({"bCanEditRSI": may, "bCanAddRSI": may, "bCanDeleteRSI": may, "bApprovalEnabled": true, "rsi_unique_id": id});
    screen(call, &own.name, rows.collect(), more)
}

/// `GET /v2/rsismaintenance`: every schedule.
pub(super) fn maintenance(world: &World, call: &Call) -> Outcome {
    let rows = world.retention.schedules.all.iter().map(|(id, own)| {
        json!({
            "id": id, "name": own.name, "type": 552, "type_name": "RSI", "comment": own.description,
            "openable": true, "editable": true, "deletable": true, "create_date": own.created,
            "childcount": own.stages.len(), "container": false, "title": own.title,
            "rsistatus": own.status, "statusdate": own.status_date,
            "discont_flag": own.discontinued.is_some(), "disp_control": own.controlled,
            "approval_flag": own.stages.iter().all(|stage| stage.approved.is_some()),
        })
    });
    let may = manages(world, call);
    let more = json!({"bCanEditRSI": may, "bCanAddRSI": may, "bApprovalEnabled": true});
    screen(call, "RSI Maintenance", rows.collect(), more)
}

fn manages(world: &World, call: &Call) -> bool {
    let volume = world.tree.volume(550).map(|node| node.id);
    volume.is_some_and(|volume| world.rights(call.user, volume).has(Rights::ADD))
}

fn allowed(world: &World, call: &Call) -> Result<(), Refusal> {
    match manages(world, call) {
        true => Ok(()),
        false => Err(Refusal::records("Insufficient Permissions")),
    }
}

fn date(call: &Call, key: &str) -> Result<Option<String>, Refusal> {
    let given = call.arguments.text(key).filter(|text| !text.is_empty());
    let read = |text: String| {
        let wrong = format!("Invalid datatype specified for argument '{key}'");
        full_date(&text).ok_or_else(|| Refusal::records(&wrong))
    };
    given.map(read).transpose()
}

fn text(call: &Call, key: &str) -> Option<String> {
    call.arguments.text(key).filter(|text| !text.is_empty())
}

fn missing(key: &str) -> Refusal {
    Refusal::records(&format!("Missing required parameter '{key}'"))
}

/// Sets what the arguments say of a schedule.
fn describe(schedule: &mut Schedule, call: &Call) -> Result<(), Refusal> {
    let status_date = date(call, "statusDate")?;
    let discontinued = date(call, "discontinueDate")?;
    for (key, place) in [
        ("status", &mut schedule.status),
        ("title", &mut schedule.title),
        ("subject", &mut schedule.subject),
        ("description", &mut schedule.description),
    ] {
        if let Some(text) = call.arguments.text(key) {
            *place = text;
        }
    }
    schedule.status_date = status_date.or(schedule.status_date.take());
    if let Some(controlled) = call.arguments.flag("dispcontrol")? {
        schedule.controlled = controlled;
    }
    if let Some(off) = call.arguments.flag("discontinue")? {
        let today = || call.now.strftime("%Y-%m-%dT%H:%M:%S").to_string();
        let why = call.arguments.text("discontinueComment");
        schedule.discontinued =
            off.then(|| (discontinued.unwrap_or_else(today), why.unwrap_or_default()));
    }
    Ok(())
}

/// `POST /v2/rsischedules`.
pub(super) fn create(world: &mut World, call: &Call) -> Outcome {
    allowed(world, call)?;
    let name = text(call, "name").ok_or_else(|| missing("name"))?;
    let status = text(call, "status").ok_or_else(|| missing("status"))?;
    if world.retention.schedules.id(&name).is_some() {
        return Err(Refusal::records(&format!("RSI '{name}' already exists.")));
    }
    if !world.codes.has("rsi_status", &status) {
        return Err(Refusal::records("Incorrect RSI Status specified"));
    }
    let mut schedule = Schedule {
        name: name.clone(),
        created: Some(call.now.strftime("%Y-%m-%dT%H:%M:%S").to_string()),
        ..Schedule::default()
    };
    describe(&mut schedule, call)?;
    let id = world.retention.schedules.next();
    world.retention.schedules.all.insert(id, schedule);
    world.record(call, "schedule", None, json!({"rsi": name, "id": id}));
    Ok(records_done(id))
}

/// `PUT /v2/rsischedules/{id}`, and `PUT /v2/rsischedule` with the number or the old name among
/// the arguments.
pub(super) fn update(world: &mut World, call: &Call, id: Option<i64>) -> Outcome {
    allowed(world, call)?;
    let named = text(call, "name").and_then(|name| world.retention.schedules.id(&name));
    let id = id.or(call.arguments.number("id")?).or(named);
    let id = id.ok_or_else(wrong)?;
    let before = schedule(world, id)?.name.clone();
    let name = text(call, "newName").filter(|name| *name != before);
    let all = &world.retention.schedules;
    if let Some(name) = name.as_ref().filter(|name| all.id(name).is_some()) {
        return Err(Refusal::records(&format!("RSI '{name}' already exists.")));
    }
    if let Some(status) = text(call, "status")
        && !world.codes.has("rsi_status", &status)
    {
        return Err(Refusal::records("Incorrect RSI Status specified"));
    }
    if let Some(own) = world.retention.schedules.all.get_mut(&id) {
        describe(own, call)?;
        if let Some(name) = name {
            own.name.clone_from(&name);
            let classes = world.retention.schedules.of_classes.values_mut();
            for code in classes.filter(|code| **code == before) {
                code.clone_from(&name);
            }
            records::rename_schedule(world, &before, &name);
        }
    }
    world.record(call, "schedule", None, json!({"id": id}));
    get(world, call, id)
}

/// `DELETE /v2/rsischedules/{id}`, and without a number by `id` or `name`. One that something has
/// stays.
pub(super) fn delete(world: &mut World, call: &Call, id: Option<i64>) -> Outcome {
    allowed(world, call)?;
    let named = text(call, "name").and_then(|name| world.retention.schedules.id(&name));
    let id = match id.or(call.arguments.number("id")?) {
        Some(id) => id,
        None => named.ok_or_else(wrong)?,
    };
    let name = schedule(world, id)?.name.clone();
    let mut classes = world.retention.schedules.of_classes.values();
    if classes.any(|code| *code == name) || !records::with_schedule(world, &name).is_empty() {
        return Err(Refusal::records("Error deleting RSI. RSI is in use."));
    }
    world.retention.schedules.all.remove(&id);
    world.record(call, "schedule", None, json!({"id": id, "removed": true}));
    Ok(records_done(id))
}

/// Sets what the arguments say of a stage.
fn describe_stage(stage: &mut Stage, call: &Call) -> Result<(), Refusal> {
    if let Some(event) = call.arguments.number("eventType")? {
        if !EVENTS.iter().any(|(own, _)| *own == event) {
            return Err(Refusal::records("Incorrect Event Type specified"));
        }
        stage.event = event;
    }
    stage.fixed = date(call, "fixedDate")?.or(stage.fixed.take());
    if stage.event == FIXED && stage.fixed.is_none() {
        return Err(missing("fixedDate"));
    }
    if let Some(action) = text(call, "actionCode") {
        stage.action = action;
    }
    let shown = STAGE.iter().map(|(argument, _, kind)| (*argument, *kind));
    for (argument, kind) in shown.chain(HIDDEN) {
        if !call.arguments.has(argument) {
            continue;
        }
        let value = match kind {
            Column::Text => json!(call.arguments.text(argument)),
            Column::Number => json!(call.arguments.number(argument)?),
            Column::Switch => json!(call.arguments.flag(argument)?.map(i32::from)),
        };
        stage.said.insert(argument.to_owned(), value);
    }
    if !["LIV", "LRM"].contains(&stage.text("objectType")) {
        return Err(Refusal::records("Incorrect Object Type specified"));
    }
    let base = stage.number("dateToUse");
    let known =
        base == 0 || DATES.iter().any(|(own, _)| *own == base) || (120..=122).contains(&base);
    match known {
        true => Ok(()),
        false => Err(Refusal::records("Incorrect Date To Use specified")),
    }
}

/// `POST /v2/rsischedules/{id}/stages`.
pub(super) fn create_stage(world: &mut World, call: &Call, id: i64) -> Outcome {
    allowed(world, call)?;
    schedule(world, id)?;
    for key in ["objectType", "stage", "eventType"] {
        text(call, key).ok_or_else(|| missing(key))?;
    }
    let mut stage = Stage {
        id: 0,
        event: 1,
        fixed: None,
        action: "0".to_owned(),
        said: Map::new(),
        approved: None,
    };
    describe_stage(&mut stage, call)?;
    stage.id = world.retention.schedules.next();
    let made = stage.id;
    if let Some(own) = world.retention.schedules.all.get_mut(&id) {
        own.stages.push(stage);
    }
    world.record(call, "schedule", None, json!({"id": id, "stage": made}));
    Ok(records_done(made))
}

/// Whether a schedule has that stage.
fn has(world: &World, id: i64, stage: i64) -> Result<(), Refusal> {
    let mut stages = schedule(world, id)?.stages.iter();
    match stages.any(|own| own.id == stage) {
        true => Ok(()),
        false => Err(Refusal::records("Incorrect RSI Schedule specified")),
    }
}

fn stage_mut(world: &mut World, id: i64, stage: i64) -> Option<&mut Stage> {
    let own = world.retention.schedules.all.get_mut(&id)?;
    own.stages.iter_mut().find(|own| own.id == stage)
}

/// `PUT` and `DELETE /v2/rsischedules/{id}/stages/{stage}`.
pub(super) fn change_stage(
    world: &mut World,
    call: &Call,
    id: i64,
    stage: i64,
    on: bool,
) -> Outcome {
    allowed(world, call)?;
    has(world, id, stage)?;
    if on {
        if let Some(own) = stage_mut(world, id, stage) {
            describe_stage(own, call)?;
        }
    } else if let Some(own) = world.retention.schedules.all.get_mut(&id) {
        own.stages.retain(|own| own.id != stage);
    }
    world.record(
        call,
        "schedule",
        None,
        json!({"id": id, "stage": stage, "there": on}),
    );
    Ok(records_done(stage))
}

/// `PUT /v2/rsischedules/{id}/approve/{stage}`.
pub(super) fn approve(world: &mut World, call: &Call, id: i64, stage: i64) -> Outcome {
    allowed(world, call)?;
    has(world, id, stage)?;
    let on = match text(call, "updateApproval").as_deref() {
        Some("updateapproval") => true,
        Some("removeapproval") => false,
        _ => return Err(missing("updateApproval")),
    };
    let user = call
        .arguments
        .number("approvedByUserID")?
        .unwrap_or(call.user);
    if world.members.get(user).is_none() {
        let text = format!("Could not get a member for {user}");
        return Err(Refusal::records(&text));
    }
    let today = || call.now.strftime("%Y-%m-%dT%H:%M:%S").to_string();
    let approval = Approval {
        user,
        date: date(call, "approvedDate")?.unwrap_or_else(today),
        comment: text(call, "approvalComment").unwrap_or_default(),
    };
    if let Some(own) = stage_mut(world, id, stage) {
        own.approved = on.then(|| approval.clone());
    }
    if let Some(own) = world.retention.schedules.all.get_mut(&id) {
        own.approvals.push((stage, approval, call.user));
    }
    world.record(
        call,
        "schedule",
        None,
        json!({"id": id, "stage": stage, "approved": on}),
    );
    Ok(records_done(stage))
}

/// `GET /v2/rsischedules/{id}/approvalhistory`.
pub(super) fn approvals(world: &World, call: &Call, id: i64) -> Outcome {
    let own = schedule(world, id).map_err(|_| Refusal::bad("Insufficient Permissions"))?;
    let member = |id: i64| world.members.get(id).map(|member| member.json());
    let rows = own.approvals.iter().map(|(stage, approval, by)| {
        let of = own.stages.iter().find(|own| own.id == *stage);
        json!({
            "user_id": approval.user, "approved_date": approval.date,
            "approval_comments": approval.comment, "approval_date": approval.date, "owner_id": by,
            "ret_stage": of.map(|of| of.text("stage")), "user_id_expand": member(approval.user),
            "owner_id_expand": member(*by), "approved_by_expand": member(approval.user),
            "approval_by_expand": member(*by),
        })
    });
    screen(
        call,
        &own.name,
        rows.collect(),
        json!({"rsi_unique_id": id}),
    )
}

/// `GET /v2/rsiitems/{id}` and `/page`: the records that have a schedule.
pub(super) fn items(world: &mut World, call: &Call, id: i64) -> Outcome {
    let own = world.retention.schedules.all.get(&id);
    let name = own.ok_or_else(|| Refusal::inaccessible(400))?.name.clone();
    let ids = records::with_schedule(world, &name);
    listing(world, call, &ids, PAGE.0)
}

/// `GET /v1/nodes/{id}/rsi/{rsi}/GetRSIDetails`: the stages of a schedule for a node.
pub(super) fn details(world: &mut World, call: &Call, id: i64, code: &str) -> Outcome {
    let node = reached(world, call, id)?;
    let own = world.retention.schedules.by_name(code);
    let own = own.ok_or_else(|| Refusal::bad("Incorrect RSI specified."))?;
    let name = |of: &[(i64, &'static str)], number: i64| {
        let found = of.iter().find(|(own, _)| *own == number);
        found.map(|(_, name)| *name)
    };
    let row = |stage: &Stage| {
        let action = stage
            .action
            .parse::<i64>()
            .map_or_else(|_| json!(stage.action), |code| json!(code));
        json!({
            "Stage": stage.text("stage"), "RetentionRule": name(&EVENTS, stage.event),
            "MetEventRule": stage.event != EVENT, "CalculatedDate": stage.due(node),
            "ActionToPerform": action, "Disposition": stage.text("disposition"),
            "Comment": stage.text("ruleComment"), "RuleCode": stage.text("ruleCode"),
            "DateToUse": name(&DATES, stage.number("dateToUse")),
            "DateToUseValue": stage.base(node).map(|at| at.strftime("%Y-%m-%dT%H:%M:%S").to_string()),
            "RetentionYears": stage.number("retentionYears"), "RetentionMonths": stage.number("retentionMonths"),
            "RetentionDays": stage.number("retentionDays"), "Year-EndMonth": stage.number("yearEndMonth"),
            "Year-EndDay": stage.number("yearEndDay"), "Intervals": stage.number("retentionIntervals"),
            "EventBased": stage.event == EVENT, "FixedDate": stage.event == FIXED,
            "Permanent": stage.event == PERMANENT, "AutomaticProcess": codes::action_name(&stage.action),
            "ActionInfo": stage.text("description"), "DisplayEvent": stage.text("eventCondition"),
            "ActionInt": stage.action, "NumVersToKeep": stage.number("minNumVersionsToKeep"),
            "MakeRendition": stage.number("markOfficialRendition") == 1,
        })
    };
    let rows: Vec<_> = own.stages.iter().map(row).collect();
    Ok(Answer::Json(json!({"data": rows})))
}

/// `GET /v1/nodes/{id}/rsis`: the schedules assigned to a record, or to a records classification.
pub(super) fn assigned(world: &World, call: &Call, id: i64) -> Outcome {
    reached(world, call, id)?;
    let own = records::schedule_of(world, id);
    let class = world.retention.of_class(id).map(|code| (id, code));
    let rows = own.into_iter().chain(class);
    let rows: Vec<_> = rows
        .map(|(class, code)| json!({"class_id": class, "rsi": code}))
        .collect();
    Ok(Answer::Json(json!({"data": rows, "definitions": {}})))
}
