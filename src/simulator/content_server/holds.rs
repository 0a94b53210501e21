//! Holds, their groups, and the nodes they are on.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::answer::{Answer, Outcome, Refusal, named_list, records_done};
use super::call::Call;
use super::nodes::{full_date, listing};
use super::security::reached;
use super::world::World;

/// Rows of a page, unasked.
const PAGE: u32 = 25;
/// The name of the place where holds lie that are in no group.
const TOP: &str = "Hold Maintenance";

/// A hold, and the nodes it is on.
#[derive(Default)]
struct Hold {
    name: String,
    kind: String,
    comment: String,
    applied: String,
    to_remove: Option<String>,
    /// When it was suspended, by whom and why.
    removed: Option<(String, i64, String)>,
    edited: Option<(String, i64)>,
    alternate: String,
    /// The group it lies in.
    group: Option<i64>,
    patron: i64,
    items: BTreeSet<i64>,
}

impl Hold {
    fn active(&self) -> bool {
        self.removed.is_none()
    }
}

/// All holds and all groups of them, by id.
#[derive(Default)]
pub(super) struct Holds {
    all: BTreeMap<i64, Hold>,
    groups: BTreeMap<i64, String>,
}

impl Holds {
    /// Whether an active hold is on the node.
    pub(super) fn active_on(&self, node: i64) -> bool {
        let mut all = self.all.values();
        all.any(|hold| hold.active() && hold.items.contains(&node))
    }

    /// Makes a group of holds.
    pub(super) fn add_group(&mut self, id: i64, name: &str) {
        self.groups.insert(id, name.to_owned());
    }

    /// The groups, by id.
    pub(super) fn groups(&self) -> impl Iterator<Item = (i64, &str)> {
        self.groups.iter().map(|(id, name)| (*id, name.as_str()))
    }

    /// How many holds there are, and how many times one is on a node.
    pub(super) fn counts(&self) -> (usize, usize) {
        let on = self.all.values().map(|hold| hold.items.len());
        (self.all.len(), on.sum())
    }

    fn named(&self, name: &str) -> Option<i64> {
        let found = self.all.iter().find(|(_, hold)| hold.name == name);
        found.map(|(id, _)| *id)
    }
}

/// A hold as the lists of holds show it. What nobody said is null; unsaid, the other id is the name.
fn shown(world: &World, id: i64, hold: &Hold) -> Value {
    let removed = hold.removed.as_ref();
    let edited = hold.edited.as_ref();
    json!({
        "HoldID": id, "HoldName": hold.name, "ActiveHold": i32::from(hold.active()), "OBJECT": null,
        "ApplyPatron": world.members.name(hold.patron), "DateApplied": hold.applied,
        "HoldComment": hold.comment, "HoldType": hold.kind, "DateToRemove": hold.to_remove,
        "DateRemoved": removed.map(|(at, ..)| at),
        "RemovalPatron": removed.map(|(_, by, _)| world.members.name(*by)),
        "RemovalComment": removed.map(|(.., why)| why),
        "EditDate": edited.map(|(at, _)| at),
        "EditPatron": edited.map(|(_, by)| world.members.name(*by)),
        "AlternateHoldID": hold.alternate, "ParentID": hold.group,
    })
}

/// The dates of a hold among the arguments, with their times; `wrong` for one that is none.
fn date(call: &Call, key: &str, wrong: &str) -> Result<Option<String>, Refusal> {
    let given = call.arguments.text(key).filter(|text| !text.is_empty());
    let read = |text: String| full_date(&text).ok_or_else(|| Refusal::bad(wrong));
    given.map(read).transpose()
}

/// `POST /v1/holds`.
pub(super) fn create_hold(world: &mut World, call: &Call) -> Outcome {
    const WRONG: &str = "Could not insert into the Hold Disposition table";
    let text = |key: &str| call.arguments.text(key).filter(|text| !text.is_empty());
    let applied = date(call, "date_applied", WRONG)?;
    let (Some(name), Some(kind), Some(applied)) = (text("name"), text("type"), applied) else {
        return Err(Refusal::bad(WRONG));
    };
    let group = call.arguments.number("parent_id")?.filter(|id| *id != 0);
    let placed = group.is_none_or(|group| world.holds.groups.contains_key(&group));
    if world.holds.named(&name).is_some() || !placed {
        return Err(Refusal::bad(WRONG));
    }
    let to_remove = date(call, "date_to_remove", WRONG)?;
    let id = add_hold(world, call.user, &name, &kind, &applied);
    if let Some(hold) = world.holds.all.get_mut(&id) {
        hold.comment = text("comment").unwrap_or_default();
        hold.to_remove = to_remove;
        hold.alternate = text("alternate_id").unwrap_or(name.clone());
        hold.group = group;
    }
    let detail = json!({"hold": id, "name": name});
    world.record(call, "hold_created", None, detail);
    Ok(Answer::Json(json!({"holdID": id})))
}

/// Makes a hold.
pub(super) fn add_hold(world: &mut World, user: i64, name: &str, kind: &str, applied: &str) -> i64 {
    let id = world.id();
    let hold = Hold {
        name: name.to_owned(),
        kind: kind.to_owned(),
        applied: applied.to_owned(),
        alternate: name.to_owned(),
        patron: user,
        ..Hold::default()
    };
    world.holds.all.insert(id, hold);
    id
}

/// `PUT /v1/holds`: a removal date suspends the hold, an empty one takes it up again.
pub(super) fn edit_hold(world: &mut World, call: &Call) -> Outcome {
    const WRONG: &str = "Could not update Hold Disposition table";
    let id = call.arguments.need_number("id")?;
    let text = |key: &str| call.arguments.text(key);
    let name = text("name").filter(|name| !name.is_empty());
    let taken = name.as_ref().and_then(|name| world.holds.named(name));
    let kind = text("type").filter(|kind| !kind.is_empty());
    if taken.is_some_and(|other| other != id) {
        return Err(Refusal::bad(WRONG));
    }
    let applied = date(call, "date_applied", WRONG)?;
    let to_remove = date(call, "date_to_remove", WRONG)?;
    let removed = date(call, "date_removed", WRONG)?;
    let now = call.now.strftime("%Y-%m-%dT%H:%M:%S").to_string();
    let hold = world.holds.all.get_mut(&id);
    let hold = hold.ok_or_else(|| Refusal::bad(WRONG))?;
    hold.name = name.unwrap_or_else(|| std::mem::take(&mut hold.name));
    hold.kind = kind.unwrap_or_else(|| std::mem::take(&mut hold.kind));
    hold.applied = applied.unwrap_or_else(|| std::mem::take(&mut hold.applied));
    if let Some(comment) = text("comment") {
        hold.comment = comment;
    }
    if let Some(alternate) = text("alternate_id") {
        hold.alternate = alternate;
    }
    if call.arguments.has("date_to_remove") {
        hold.to_remove = to_remove;
    }
    if call.arguments.has("date_removed") {
        let why = text("removal_comment").unwrap_or_default();
        hold.removed = removed.map(|at| (at, call.user, why));
    }
    hold.edited = Some((now, call.user));
    world.record(call, "hold_edited", None, json!({"hold": id}));
    Ok(Answer::Json(json!({"holdID": id})))
}

/// Takes a hold away that is on nothing.
fn drop_hold(world: &mut World, call: &Call, id: i64) -> bool {
    let hold = world.holds.all.get(&id);
    if !hold.is_some_and(|hold| hold.items.is_empty()) {
        return false;
    }
    world.holds.all.remove(&id);
    world.record(call, "hold_deleted", None, json!({"hold": id}));
    true
}

/// What deleting a hold is refused with.
const IN_USE: &str = "Error deleting Hold. Hold may not exist or is in use.";

/// `DELETE /v1/holds/{id}`.
pub(super) fn delete_hold(world: &mut World, call: &Call, id: i64) -> Outcome {
    match drop_hold(world, call, id) {
        true => Ok(records_done(id)),
        false => Err(Refusal::bad(IN_USE)),
    }
}

/// `DELETE /v2/hold?id=` or `?holdname=`.
pub(super) fn delete_asked(world: &mut World, call: &Call) -> Outcome {
    match asked(world, call)? {
        Some(id) if drop_hold(world, call, id) => Ok(records_done(id)),
        _ => Err(Refusal::records(IN_USE)),
    }
}

/// The hold that `id` or else `holdname` means.
fn asked(world: &World, call: &Call) -> Result<Option<i64>, Refusal> {
    Ok(match call.arguments.number("id")? {
        Some(id) => Some(id),
        None => call
            .arguments
            .text("holdname")
            .and_then(|name| world.holds.named(&name)),
    })
}

/// `GET /v1/holds` and `/v2/holds`.
pub(super) fn holds(world: &mut World, call: &Call) -> Outcome {
    let all = world.holds.all.iter();
    if call.v1 {
        let row = |(id, hold): (&i64, &Hold)| json!({"HoldID": id, "HoldName": hold.name, "ActiveHold": hold.active()});
        return Ok(Answer::Json(all.map(row).collect()));
    }
    let total = world.holds.all.len();
    let page = call.page_of(u32::try_from(total.max(1)).unwrap_or(u32::MAX), u32::MAX)?;
    let rows = all.skip(page.skip()).take(page.limit);
    let rows = rows.map(|(id, hold)| shown(world, *id, hold)).collect();
    Ok(named_list(&call.href, "holds", rows, page, total))
}

/// `GET /v2/holds/{id}` and `/v2/hold?id=` or `?holdname=`; a name beside an id in the address
/// counts.
pub(super) fn hold(world: &mut World, call: &Call, id: Option<i64>) -> Outcome {
    let id = match (call.arguments.text("holdname"), id) {
        (None, Some(id)) => Some(id),
        _ => asked(world, call)?,
    };
    let found = id.and_then(|id| Some((id, world.holds.all.get(&id)?)));
    let (id, hold) = found.ok_or_else(|| Refusal::records("Hold not found."))?;
    Ok(call.results(json!({"data": {"hold": shown(world, id, hold)}, "ok": true, "errMsg": ""})))
}

/// `GET /v1/nodes/{id}/holds`.
pub(super) fn node_holds(world: &mut World, call: &Call, id: i64) -> Outcome {
    let node = reached(world, call, id)?;
    let on = world.holds.all.iter();
    let on = on.filter(|(_, hold)| hold.items.contains(&id));
    let row = |(hold_id, hold): (&i64, &Hold)| {
        json!({
            "id": id, "name": node.name, "subtype": node.subtype, "parent_id": node.parent,
            "hold_id": hold_id, "hold_name": hold.name, "hold_type": hold.kind,
            "hold_comment": hold.comment, "hold_appliedmethod": "Direct", "active": hold.active(),
            "applied_by": world.members.name(hold.patron), "date_applied": hold.applied,
            "removable": true, "userid": 0, "queryid": 0, "docxreftyp": null,
        })
    };
    let rows: Vec<_> = on.map(row).collect();
    super::retention::put_late_holds(world, call, id);
    Ok(Answer::Json(json!({"data": rows, "definitions": {}})))
}

/// `POST /v1/nodes/{id}/holds`.
pub(super) fn apply(world: &mut World, call: &Call, id: i64) -> Outcome {
    world.seen(call.user, id)?;
    let hold = call.arguments.number("hold_id")?;
    let hold = hold.ok_or_else(|| Refusal::bad("Missing LLPARAMS_LIST"))?;
    put_on(world, call, hold, &[id])?;
    Ok(records_done(0))
}

/// Puts a hold on nodes, all of which the caller has to see.
fn put_on(world: &mut World, call: &Call, hold: i64, ids: &[i64]) -> Result<(), Refusal> {
    for id in ids {
        world.seen(call.user, *id)?;
    }
    let known = world.holds.all.get_mut(&hold);
    let known = known.ok_or_else(|| Refusal::bad("Hold not found."))?;
    known.items.extend(ids);
    for id in ids {
        world.record(call, "hold", Some(*id), json!({"hold": hold}));
    }
    Ok(())
}

/// Puts a hold on a node, whoever asks.
pub(super) fn hold_node(world: &mut World, hold: i64, id: i64) {
    if let Some(hold) = world.holds.all.get_mut(&hold) {
        hold.items.insert(id);
    }
}

/// Takes a hold off a node, whoever asks.
pub(super) fn release(world: &mut World, hold: i64, id: i64) -> bool {
    let hold = world.holds.all.get_mut(&hold);
    hold.is_some_and(|hold| hold.items.remove(&id))
}

fn take_off(world: &mut World, call: &Call, hold: i64, id: i64) -> bool {
    let removed = release(world, hold, id);
    if removed {
        let why = call.arguments.text("removeComments");
        let detail = json!({"hold": hold, "comment": why});
        world.record(call, "hold_removed", Some(id), detail);
    }
    removed
}

/// `DELETE /v1/nodes/{id}/holds/{hold}`.
pub(super) fn remove(world: &mut World, call: &Call, id: i64, hold: i64) -> Outcome {
    world.seen(call.user, id)?;
    // Holds come onto nodes directly here, never through a query, a user or a cross-reference.
    let through = call.arguments.number("queryID")?.unwrap_or(0) != 0
        || call.arguments.number("userID")?.unwrap_or(0) != 0
        || call
            .arguments
            .text("docxreftyp")
            .is_some_and(|kind| !kind.is_empty());
    match !through && take_off(world, call, hold, id) {
        true => Ok(records_done(0)),
        false => Err(Refusal::bad("Object does not have this Hold")),
    }
}

/// `POST /v1/rmclassifications/applyhold` and `/removehold`.
pub(super) fn bulk(world: &mut World, call: &Call, on: bool) -> Outcome {
    let hold = call.arguments.number("holdID")?;
    let hold = hold.ok_or_else(|| Refusal::new(404, "Hold ID is not specified"))?;
    let ids = call.arguments.numbers("ids")?.unwrap_or_default();
    if ids.is_empty() {
        return Err(Refusal::new(404, "ID is not specified"));
    }
    if on {
        put_on(world, call, hold, &ids)?;
    } else {
        for id in &ids {
            world.seen(call.user, *id)?;
        }
        if !world.holds.all.contains_key(&hold) {
            return Err(Refusal::bad("Hold not found."));
        }
        for id in ids {
            take_off(world, call, hold, id);
        }
    }
    Ok(records_done(hold))
}

/// `PUT /v1/holds/move`: into a group, or (0) out of every one. The ids stand with spaces between
/// them.
pub(super) fn shift(world: &mut World, call: &Call) -> Outcome {
    let missing = || Refusal::bad("Missing data");
    let group = call.arguments.number("holdGroupID")?.ok_or_else(missing)?;
    let texts = call.arguments.texts("holdIDs");
    let words = texts.iter().flat_map(|text| {
        text.split(|c: char| c.is_whitespace() || matches!(c, ',' | '[' | ']'))
            .filter(|word| !word.is_empty())
    });
    let ids: Vec<i64> = words
        .map(str::parse)
        .collect::<Result<_, _>>()
        .map_err(|_| Refusal::datatype("holdIDs"))?;
    let known = ids.iter().all(|id| world.holds.all.contains_key(id));
    if ids.is_empty() || !known || (group != 0 && !world.holds.groups.contains_key(&group)) {
        return Err(missing());
    }
    for id in &ids {
        if let Some(hold) = world.holds.all.get_mut(id) {
            hold.group = (group != 0).then_some(group);
        }
    }
    world.record(
        call,
        "hold_moved",
        None,
        json!({"holds": ids, "group": group}),
    );
    Ok(records_done(group))
}

/// `GET /v2/holdmaintenance/{id}`: what lies in a group of holds, or (0) in none.
pub(super) fn maintenance(world: &mut World, call: &Call, group: i64) -> Outcome {
    let title = match group {
        0 => Some(TOP),
        _ => world.holds.groups.get(&group).map(String::as_str),
    };
    let title = title.ok_or_else(|| Refusal::inaccessible(400))?.to_owned();
    let page = call.page_of(PAGE, world.config.page_limit)?;
    let own = (group != 0).then_some(group);
    let mut rows: Vec<(String, Value)> = Vec::new();
    if group == 0 {
        rows.extend(world.holds.groups.iter().map(|(id, name)| {
            let inside = world
                .holds
                .all
                .values()
                .filter(|hold| hold.group == Some(*id));
            let row = json!({
                "id": id, "name": name, "type": 834, "type_name": "Hold Group", "container": true,
                "parent_id": 0, "childcount": inside.count(), "openable": true, "editable": true,
                "deletable": true, "movable": false, "userholdenabled": false,
            });
            (name.clone(), row)
        }));
    }
    for (id, hold) in world.holds.all.iter().filter(|(_, hold)| hold.group == own) {
        let row = json!({
            "id": id, "name": hold.name, "type": 833, "type_name": "Hold", "container": false,
            "parent_id": group, "comment": hold.comment, "childcount": hold.items.len(),
            "openable": true, "editable": true, "deletable": hold.items.is_empty(), "movable": true,
            "userholdenabled": false, "active": i32::from(hold.active()),
            "apply_patron": world.members.name(hold.patron), "hold_type": hold.kind,
            "create_date": hold.applied, "modify_date": hold.edited.as_ref().map(|(at, _)| at),
            "create_user_id": hold.patron, "date_to_remove": hold.to_remove,
        });
        rows.push((hold.name.clone(), row));
    }
    rows.sort_by_key(|row| row.0.to_lowercase());
    if call.arguments.text("sort").as_deref() == Some("desc_name") {
        rows.reverse();
    }
    let total = rows.len();
    let rows: Vec<Value> = rows
        .into_iter()
        .skip(page.skip())
        .take(page.limit)
        .map(|(_, row)| json!({"actions": {"data": {}, "map": {}, "order": []}, "data": row, "metadata": {}, "metadata_order": []}))
        .collect();
    Ok(Answer::Json(json!({
        "paging": page.paging(total, &call.href), "data": rows, "definitions": {}, "definitions_order": [],
        "title": title, "parentid": 0, "bCanEditHold": true, "bCanAddHold": true,
    })))
}

/// `GET /v2/holditems/{hold}` and `/page`.
pub(super) fn items(world: &mut World, call: &Call, hold: i64) -> Outcome {
    let hold = world.holds.all.get(&hold);
    let hold = hold.ok_or_else(|| Refusal::inaccessible(400))?;
    let ids: Vec<i64> = hold.items.iter().copied().collect();
    listing(world, call, &ids, PAGE)
}
