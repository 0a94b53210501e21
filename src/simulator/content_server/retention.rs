//! Disposition searches with their snapshots, and holds that are put on at a given moment.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::answer::{Answer, Outcome, Refusal};
use super::call::Call;
use super::nodes::properties;
use super::schedules::Schedules;
use super::world::World;
use super::{holds, records};

/// Rows of a page, unasked and at most.
const PAGE: u32 = 25;
const MOST: u32 = 100;

/// What a disposition review holds about a node.
struct Entry {
    action: String,
    decision: String,
}

/// A hold that is put on a node once its holds were read so many times.
struct LateHold {
    node: i64,
    name: String,
    reads: u32,
}

/// Everything that is kept about retention.
#[derive(Default)]
pub(super) struct Retention {
    /// The retention schedules.
    pub(super) schedules: Schedules,
    /// By disposition search, snapshot and node.
    snapshots: BTreeMap<(i64, String), BTreeMap<i64, Entry>>,
    late: Vec<LateHold>,
    /// What disposition searches look for: a record's status, and what is done with it.
    searches: BTreeMap<i64, (String, String)>,
}

impl Retention {
    /// Makes a node a disposition search for records of a status.
    pub(super) fn add_search(&mut self, search: i64, status: &str, action: &str) {
        let criteria = (status.to_owned(), action.to_owned());
        self.searches.insert(search, criteria);
    }

    /// The schedule of a records classification.
    pub(super) fn of_class(&self, class: i64) -> Option<&str> {
        self.schedules.of_class(class)
    }

    /// Whether there is a schedule of that name.
    pub(super) fn knows(&self, code: &str) -> bool {
        self.schedules.names().any(|(name, _)| name == code)
    }

    /// The name of the schedule that has this name or this number.
    pub(super) fn name_of(&self, code: &str) -> Option<&str> {
        self.schedules.name_of(code)
    }

    /// Puts a node into a snapshot of a disposition search.
    pub(super) fn review(&mut self, at: (i64, &str), node: i64, action: &str, decision: &str) {
        let entry = Entry {
            action: action.to_owned(),
            decision: decision.to_owned(),
        };
        let snapshot = self.snapshots.entry((at.0, at.1.to_owned())).or_default();
        snapshot.insert(node, entry);
    }

    /// Puts a hold on a node after its holds were read `reads` times more.
    pub(super) fn hold_after(&mut self, node: i64, name: &str, reads: u32) {
        self.late.push(LateHold {
            node,
            name: name.to_owned(),
            reads,
        });
    }

    /// How many nodes are in snapshots.
    pub(super) fn reviewed(&self) -> usize {
        self.snapshots.values().map(BTreeMap::len).sum()
    }

    /// The snapshots of a disposition search, oldest first.
    pub(super) fn dates(&self, search: i64) -> Vec<String> {
        let own = self.snapshots.keys().filter(|(of, _)| *of == search);
        own.map(|(_, date)| date.clone()).collect()
    }

    /// The holds whose moment has come with one more read of a node's holds.
    fn come(&mut self, node: i64) -> Vec<String> {
        let mut names = Vec::new();
        self.late.retain_mut(|late| {
            if late.node != node {
                return true;
            }
            late.reads = late.reads.saturating_sub(1);
            if late.reads == 0 {
                names.push(late.name.clone());
            }
            late.reads > 0
        });
        names
    }
}

/// Puts on the holds whose moment has come, after the holds of a node were answered.
pub(super) fn put_late_holds(world: &mut World, call: &Call, node: i64) {
    for name in world.retention.come(node) {
        let date = call.now.strftime("%Y-%m-%dT%H:%M:%S").to_string();
        let hold = holds::add_hold(world, call.user, &name, "Legal", &date);
        holds::hold_node(world, hold, node);
    }
}

/// `POST /v1/nodes/{id}/startdispsearch`: a snapshot of what is there now, all of it undecided.
pub(super) fn start(world: &mut World, call: &Call, search: i64) -> Outcome {
    world.seen(call.user, search)?;
    let criteria = world.retention.searches.get(&search).cloned();
    let (status, action) = criteria.ok_or_else(|| Refusal::bad("Insufficient Permissions"))?;
    let date = call.now.strftime("D%Y%m%d%H%M%S%6f").to_string();
    for node in records::with_status(world, &status) {
        let at = (search, date.as_str());
        world.retention.review(at, node, &action, "pending");
    }
    world.retention.snapshots.entry((search, date)).or_default();
    world.record(call, "disposition search", Some(search), Value::Null);
    Ok(call.done())
}

/// `GET /v2/snapshottable/{id}`.
pub(super) fn snapshots(world: &mut World, call: &Call, search: i64) -> Outcome {
    let node = world.visible(call.user, search);
    let node = node.ok_or_else(|| Refusal::bad("Could not get snapshots"))?;
    let own = world.retention.snapshots.iter();
    let rows: Vec<Value> = own
        .filter(|((of, _), _)| *of == search)
        .map(|((_, date), entries)| {
            let data = json!({
                "qdate": date, "snapshot_status": "Completed", "review_status": "In review",
                "settings": "", "record_count": entries.len(), "id": search, "type": node.subtype,
                "name": node.name, "actioned_count": 0, "hide_finish": false,
                "hide_changereview": false, "hide_changeaction": false,
                "hide_performaction": false, "deletable": true,
            });
            json!({"data": data, "metadata": {}, "metadata_order": []})
        })
        .collect();
    let (page, total) = (call.page_of(PAGE, MOST)?, rows.len());
    let rows = rows.into_iter().skip(page.skip()).take(page.limit);
    Ok(Answer::Json(json!({
        "paging": page.paging(total, &call.href), "data": rows.collect::<Value>(),
        "definitions": {}, "definitions_order": [],
    })))
}

/// `GET /v2/nodes/{id}/disposition-snapshots/qdate/{qdate}`.
pub(super) fn snapshot(world: &mut World, call: &Call, search: i64, date: &str) -> Outcome {
    let missing = || Refusal::bad(format!("Could not get node for {search}"));
    world.visible(call.user, search).ok_or_else(missing)?;
    let entries = world.retention.snapshots.get(&(search, date.to_owned()));
    let entries = entries.ok_or_else(|| Refusal::bad("Snapshot not found."))?;
    let (page, total) = (call.page_of(PAGE, MOST)?, entries.len());
    let rows = entries.iter().skip(page.skip()).take(page.limit);
    let rows = rows.map(|(id, entry)| {
        let node = world.tree.get(*id);
        let mut data = node.map_or_else(|| json!({}), |node| properties(world, call, node));
        for (key, value) in [
            ("id", json!(id)),
            ("disposition_id", json!(search)),
            ("qdate", json!(date)),
            ("disp_action", json!(entry.action)),
            ("calculated_date", Value::Null),
            ("stage_count", json!(1)),
            ("review_decision", json!(entry.decision)),
            ("review_comments", Value::Null),
            ("action_performed", Value::Null),
        ] {
            data[key] = value;
        }
        json!({"actions": {"data": {}, "map": {}, "order": []}, "data": data, "metadata": {}, "metadata_order": []})
    });
    let rows: Value = rows.collect();
    Ok(Answer::Json(json!({
        "collection": {"paging": page.paging(total, &call.href)},
        "results": {
            "columns": [], "data": rows, "definitions": {}, "definitions_map": {},
            "definitions_order": [], "dispNodeID": search,
        },
    })))
}
