//! Security clearances: levels and supplemental markings, of nodes and of users.
//!
//! Nobody is kept from seeing a node by them here.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::answer::{Answer, Outcome, Refusal};
use super::arguments::as_number;
use super::call::Call;
use super::nodes::Node;
use super::permissions::Rights;
use super::world::World;

/// Text for a node that cannot be reached, as records management says it.
pub(super) const CLOSED: &str = "Accessibility error. Not enough permissions.";

/// A node that the caller sees.
///
/// # Errors
///
/// The refusal of records management for one that is missing or hidden.
pub(super) fn reached<'a>(world: &'a World, call: &Call, id: i64) -> Result<&'a Node, Refusal> {
    let node = world.visible(call.user, id);
    node.ok_or_else(|| Refusal::bad(CLOSED))
}

/// A level and markings; 0 is no level.
type Clearance = (i64, Vec<String>);

/// The clearances of nodes and of users that have any.
#[derive(Default)]
pub(super) struct Clearances {
    nodes: BTreeMap<i64, Clearance>,
    users: BTreeMap<i64, Clearance>,
}

impl Clearances {
    /// Sets what a node has.
    pub(super) fn set(&mut self, node: i64, clearance: Clearance) {
        self.nodes.insert(node, clearance);
    }
}

/// The clearance and markings that a new node is to have by `roles.securityclearances`, whose
/// members the reference does not name: those of the call of its own.
pub(super) fn of_role(roles: &Map<String, Value>) -> Option<Clearance> {
    let role = roles.get("securityclearances")?;
    let level = ["clearance_level", "level", "id"];
    let level = level.iter().find_map(|key| as_number(&role[*key]))?;
    let marks = role["supplemental_markings"].as_array();
    let marks = marks.into_iter().flatten();
    let marks = marks.filter_map(Value::as_str).map(str::to_owned);
    Some((level, marks.collect()))
}

fn markings(all: &[String]) -> Value {
    all.iter()
        .map(|mark| json!({"supplemental_marking": mark, "desc": ""}))
        .collect()
}

fn levels(level: i64) -> Value {
    let name = format!("Level {level}");
    let row = (level != 0).then(|| json!({"desc": name, "name": name, "security_level": level}));
    row.into_iter().collect()
}

/// Texts of a list: repeated, joined by spaces, or a JSON list in one text.
fn list(call: &Call, key: &str) -> Vec<String> {
    let texts = call.arguments.texts(key);
    if let [one] = texts.as_slice()
        && let Ok(all) = serde_json::from_str::<Vec<String>>(one)
    {
        return all;
    }
    let words = texts.iter().flat_map(|text| text.split_whitespace());
    words.map(str::to_owned).collect()
}

/// `GET` and `PUT /v1/nodes/{id}/securityclearances`.
pub(super) fn of_node(world: &mut World, call: &Call, id: i64, set: bool) -> Outcome {
    reached(world, call, id)?;
    let may = world.rights(call.user, id).has(Rights::PERMISSIONS);
    if set {
        if !may {
            return Err(Refusal::bad(CLOSED));
        }
        let level = call.arguments.number("clearance_level")?;
        let marks = call.arguments.has("supplemental_markings");
        let marks = marks.then(|| list(call, "supplemental_markings"));
        let own = world.clearances.nodes.entry(id).or_default();
        own.0 = level.unwrap_or(own.0);
        own.1 = marks.unwrap_or_else(|| std::mem::take(&mut own.1));
        world.record(call, "security", Some(id), json!({}));
    }
    let (level, marks) = world.clearances.nodes.get(&id).cloned().unwrap_or_default();
    Ok(Answer::Json(json!({
        "data": {
            "clearance_level": level, "supplemental_markings": markings(&marks),
            "can_user_edit_security": may, "inherit_from": false,
            "has_user_security_codes": world.clearances.users.contains_key(&call.user),
        },
        "definitions": {}, "NumSecLevel": 0,
    })))
}

/// `GET /v1/securityclearances`: the caller's own.
pub(super) fn own(world: &World, call: &Call) -> Outcome {
    let own = world.clearances.users.get(&call.user);
    let (level, marks) = own.cloned().unwrap_or_default();
    Ok(Answer::Json(json!({
        "definitions": {"clearance_levels": {}, "supplemental_markings": {}},
        "data": {
            "clearance_levels": {"definitions": {}, "data": levels(level)},
            "supplemental_markings": {"definitions": {}, "data": markings(&marks)},
        },
    })))
}

/// `GET /v1/securityclearances/settings`.
pub(super) fn settings() -> Outcome {
    Ok(Answer::Json(json!({"security_enabled": true})))
}

/// `GET` and `POST /v2/members/usersecurity/{user}/securityclearancelevel`.
pub(super) fn user_level(world: &mut World, call: &Call, user: i64, set: bool) -> Outcome {
    if set {
        let refuse = || Refusal::bad("Could not update user Security Clearance Level");
        let level = call.arguments.number("securityLevel")?.ok_or_else(refuse)?;
        administers(world, call, user).ok_or_else(refuse)?;
        world.clearances.users.entry(user).or_default().0 = level;
    }
    let own = world.clearances.users.get(&user);
    Ok(Answer::Json(
        json!({"data": levels(own.map_or(0, |own| own.0))}),
    ))
}

/// `GET` and `POST /v2/members/usersecurity/{user}/supplementalmarkings`.
pub(super) fn user_markings(world: &mut World, call: &Call, user: i64, set: bool) -> Outcome {
    if set {
        let refuse = || Refusal::bad("Could not set user Supplemental Markings");
        administers(world, call, user).ok_or_else(refuse)?;
        world.clearances.users.entry(user).or_default().1 = list(call, "suppMarks");
    }
    let own = world.clearances.users.get(&user);
    let own = own.map_or(&[][..], |own| &own.1);
    Ok(Answer::Json(
        json!({"definitions": {}, "data": markings(own)}),
    ))
}

/// Whether there is that user and the caller administers users.
fn administers(world: &World, call: &Call, user: i64) -> Option<()> {
    let own = world.members.get(user).filter(|own| !own.is_group());
    let asks = world.members.get(call.user)?;
    (own.is_some() && asks.may("privilege_user_admin_rights")).then_some(())
}

/// `POST /v1/UpdateSecurityClearanceLevel`: many nodes; without a level, it is taken away.
pub(super) fn update_levels(world: &mut World, call: &Call) -> Outcome {
    let ids = many(world, call)?;
    let level = call.arguments.number("currentSecurity")?.unwrap_or(0);
    for id in ids {
        world.clearances.nodes.entry(id).or_default().0 = level;
        world.record(call, "security", Some(id), json!({"level": level}));
    }
    Ok(Answer::Json(json!({"results": {"ok": true}})))
}

/// `POST /v1/UpdateSupplementalMarkings`: adds markings to many nodes (2) or takes them away (3).
pub(super) fn update_markings(world: &mut World, call: &Call) -> Outcome {
    let ids = many(world, call)?;
    let marks = list(call, "supplemental_markings");
    let add = match call.arguments.number("action")? {
        Some(2) => true,
        Some(3) => false,
        _ => return Err(unsaid()),
    };
    for id in ids {
        let own = &mut world.clearances.nodes.entry(id).or_default().1;
        own.retain(|mark| !marks.contains(mark));
        if add {
            own.extend(marks.clone());
        }
        world.record(call, "security", Some(id), json!({"markings": marks}));
    }
    Ok(Answer::Json(json!({"results": {"ok": true}})))
}

fn unsaid() -> Refusal {
    Refusal::new(404, "Missing parameter or format not correct")
}

/// The nodes of a call on many, all of which the caller may change.
fn many(world: &World, call: &Call) -> Result<Vec<i64>, Refusal> {
    let ids = call.arguments.numbers("ids").map_err(|_| unsaid())?;
    let ids = ids.filter(|ids| !ids.is_empty()).ok_or_else(unsaid)?;
    let may = |id: &i64| world.rights(call.user, *id).has(Rights::PERMISSIONS);
    match ids.iter().all(may) {
        true => Ok(ids),
        false => Err(Refusal::bad(CLOSED)),
    }
}
