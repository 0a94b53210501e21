//! The codes of records management: what statuses, storage media and the like there are.

use serde_json::{Map, Value, json};

use super::answer::{Answer, Outcome, Refusal};
use super::call::Call;
use super::world::World;

/// The tables: their name as the new form of the list has it, as the call that adds to them has it,
/// and the codes that are there from the start.
const TABLES: [(&str, &str, &[&str]); 9] = [
    ("accession", "accession", &[]),
    ("essential", "essential", &["NR", "VITAL"]),
    (
        "hold_type",
        "hold_type",
        &["Legal", "LEGAL", "AUDIT", "FOIA"],
    ),
    ("retention_stage", "stage", &["ACTIVE", "INACTIVE", "FINAL"]),
    ("rsi_rule", "rule_code", &[]),
    ("rsi_status", "rsi_status", &["ACTIVE", "DRAFT", "OBSOLETE"]),
    (
        "status",
        "file_status",
        &["ACTIVE", "CLOSED", "EXPIRED", "OBSOLETE", "SUPERSEDED"],
    ),
    ("storage", "storage", &["EL"]),
    // Nothing adds to this one.
    ("disposition", "", &[]),
];

/// Periods after which a vital record is looked at again.
pub(super) const CYCLES: [(i64, &str); 6] = [
    (1, "Monthly"),
    (2, "Semi-annual"),
    (3, "Quarterly"),
    (7, "Weekly"),
    (12, "Annual"),
    (365, "Daily"),
];

/// What a retention schedule does with what is due.
const ACTIONS: [(i64, &str); 11] = [
    (0, "None"),
    (1, "Change Status"),
    (7, "Close"),
    (8, "Finalize Record"),
    (9, "Mark Official"),
    (10, "Export"),
    (11, "Update Storage Provider"),
    (12, "Delete Electronic Format"),
    (15, "Purge Versions"),
    (16, "Make Rendition"),
    (32, "Destroy"),
];

/// The date that a stage of a schedule counts from.
pub(super) const DATES: [(i64, &str); 7] = [
    (91, "Create Date"),
    (92, "Reserved Date"),
    (93, "Modification Date"),
    (94, "Status Date"),
    (95, "Record Date"),
    (131, "Date Last Version Added"),
    (132, "Date Version Created"),
];

/// How a stage of a schedule finds its date.
pub(super) const EVENTS: [(i64, &str); 5] = [
    (1, "Calculated Date"),
    (2, "Calendar Calculation"),
    (3, "Event Based"),
    (4, "Fixed Date"),
    (5, "Permanent"),
];

struct Code {
    table: String,
    code: String,
    description: String,
    /// What only some tables have.
    more: Map<String, Value>,
}

/// All codes.
pub(super) struct Codes(Vec<Code>);

impl Default for Codes {
    fn default() -> Self {
        let tables = TABLES.iter();
        let all = tables.flat_map(|(table, _, codes)| {
            codes.iter().map(|code| Code {
                table: (*table).to_owned(),
                code: (*code).to_owned(),
                description: (*code).to_owned(),
                more: Map::new(),
            })
        });
        Self(all.collect())
    }
}

impl Codes {
    /// Whether a table has that code; an empty table is one that nobody has set up, and takes all.
    pub(super) fn has(&self, table: &str, code: &str) -> bool {
        let mut own = self.0.iter().filter(|own| own.table == table).peekable();
        own.peek().is_none() || own.any(|own| own.code == code)
    }

    fn of(&self, table: &str) -> Vec<Value> {
        let own = self.0.iter().filter(|own| own.table == table);
        own.map(|own| {
            let mut row = json!({"code": own.code, "description": own.description});
            if let Value::Object(row) = &mut row {
                row.extend(own.more.clone());
            }
            row
        })
        .collect()
    }
}

/// What an action code is called; the code itself where it is none of the server's.
pub(super) fn action_name(code: &str) -> String {
    let number = code.parse::<i64>().ok();
    let found = ACTIONS.iter().find(|(own, _)| Some(*own) == number);
    found.map_or_else(|| code.to_owned(), |(_, name)| (*name).to_owned())
}

fn table(rows: Vec<Value>) -> Value {
    json!({"default_value": rows.first().map(|row| row["code"].clone()), "values": rows})
}

fn numbered(codes: &[(i64, &str)]) -> Value {
    let row = |(code, name): &(i64, &str)| json!({"code": code, "description": name});
    table(codes.iter().map(row).collect())
}

/// `GET /v1` and `/v2/recordsmanagement/rmcodes`.
pub(super) fn list(world: &World, call: &Call) -> Outcome {
    let kinds = world.cross_references.kinds();
    if call.v1 {
        let rows = |table: &str, name: &str| -> Value {
            let own = world.codes.0.iter().filter(|own| own.table == table);
            own.map(|own| json!({name: own.code, "description": own.description}))
                .collect()
        };
        let names = world.retention.schedules.names();
        let cycle = |(code, name): &(i64, &str)| json!({"cycleperiod": code, "description": name});
        return Ok(Answer::Json(json!({
            "rmaccession": rows("accession", "accession"),
            "rmcycleperiod": CYCLES.iter().map(cycle).collect::<Value>(),
            "rmdocxreftyp": kinds.map(|kind| json!({"docxref": kind.code, "description": kind.description, "relatedcode": kind.related})).collect::<Value>(),
            "rmesscode": rows("essential", "essential"),
            "rmholdtype": rows("hold_type", "holdtype"),
            "rmrsi": names.map(|(name, title)| json!({"rsi": name, "description": title})).collect::<Value>(),
            "rmstatuscode": rows("status", "status"),
            "rmstorage": rows("storage", "storage"),
        })));
    }
    let mut data = Map::new();
    for (name, ..) in TABLES {
        data.insert(name.to_owned(), table(world.codes.of(name)));
    }
    for (name, codes) in [
        ("action_code", &ACTIONS[..]),
        ("cycle_period", &CYCLES[..]),
        ("date_to_use", &DATES[..]),
        ("event_type", &EVENTS[..]),
    ] {
        data.insert(name.to_owned(), numbered(codes));
    }
    let kinds = kinds.map(|kind| {
        json!({"code": kind.code, "description": kind.description, "related_code": kind.related, "hold_id": kind.hold})
    });
    data.insert("cross_reference".to_owned(), table(kinds.collect()));
    let groups = world.holds.groups();
    let groups = groups.map(|(id, name)| json!({"code": id, "description": name}));
    data.insert("hold_groups".to_owned(), table(groups.collect()));
    Ok(call.results(json!({"data": data, "ok": true, "errMsg": ""})))
}

/// `POST /v1/recordsmanagement/rmcodes/{name}`.
pub(super) fn add(world: &mut World, call: &Call, name: &str) -> Outcome {
    let text = |key: &str| call.arguments.text(key).filter(|text| !text.is_empty());
    let code = text("code").ok_or_else(|| Refusal::missing("code"))?;
    let description = text("description").unwrap_or_default();
    if name == "xref_type" {
        let related = text("relatedCode").ok_or_else(|| Refusal::missing("relatedCode"))?;
        let of_related = text("relatedDescription").unwrap_or_default();
        let refs = &mut world.cross_references;
        if !refs.pair((&code, &description), (&related, &of_related), 0) {
            return Err(Refusal::bad("Could not insert into the table"));
        }
        return Ok(Answer::Json(
            json!({"code": code, "description": description}),
        ));
    }
    let found = TABLES.iter().find(|(_, by, _)| *by == name);
    let (table, ..) = found.ok_or_else(|| Refusal::bad("Could not get table description"))?;
    let mut all = world.codes.0.iter();
    if all.any(|own| own.table == *table && own.code == code) {
        return Err(Refusal::bad("Could not insert into the table"));
    }
    let mut more = Map::new();
    match name {
        "essential" => {
            let vital = call.arguments.flag("vitalRec")?;
            let vital = vital.ok_or_else(|| Refusal::missing("vitalRec"))?;
            more.insert("vital".to_owned(), vital.into());
        }
        "hold_type" => {
            let period = call.arguments.need_number("DefaultPeriod")?;
            more.insert("default_period".to_owned(), json!(period));
        }
        "stage" => {
            let order = call.arguments.need_number("stageOrder")?;
            more.insert("ret_stage_order".to_owned(), json!(order));
        }
        _ => {}
    }
    let (table, description) = ((*table).to_owned(), description);
    let answer = json!({"code": code, "description": description});
    world.codes.0.push(Code {
        table,
        code,
        description,
        more,
    });
    Ok(Answer::Json(answer))
}
