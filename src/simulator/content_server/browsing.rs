//! What clients that show containers to people ask beside the listing: columns, facets, unique
//! names, and who may see what is classified.

use serde_json::{Map, Value, json};

use super::answer::{Answer, INACCESSIBLE, Outcome, Refusal};
use super::arguments::as_number;
use super::call::Call;
use super::nodes::Node;
use super::permissions::Rights;
use super::world::World;

/// `GET /v2/nodes/{id}/columns`: those every container has.
pub(super) fn columns(world: &World, call: &Call, id: i64) -> Outcome {
    world
        .visible(call.user, id)
        .ok_or_else(|| Refusal::inaccessible(400))?;
    Ok(call.results(json!({
        "columns_to_display": {
            "global_columns": ["Type", "Name", "Size", "Modified"], "inherited_columns": [],
            "local_columns": {"available_columns": [], "displayed_columns": []},
        },
        "columns_to_sort": {
            "inherited_sort": {"column_id": null, "column_name": null, "sort_direction": null},
            "local_sort": {"local_sort_column": [], "local_sort_order": []},
        },
    })))
}

/// `GET /v2/facets/{id}`: none is set up.
pub(super) fn facets(world: &World, call: &Call, id: i64) -> Outcome {
    world
        .visible(call.user, id)
        .ok_or_else(|| Refusal::inaccessible(400))?;
    Ok(call.results(json!({
        "data": {"facets": {}, "values": {"available": [], "selected": []}},
    })))
}

/// `GET /v2/uniquenames`: the asked names that are nicknames.
pub(super) fn unique_names(world: &World, call: &Call) -> Outcome {
    let asked = call
        .arguments
        .text("where_names")
        .ok_or_else(|| Refusal::missing("where_names"))?;
    let rows: Vec<Value> = asked
        .trim_matches(['{', '}'])
        .split(',')
        .map(str::trim)
        .filter_map(|name| {
            let named = |node: &&Node| node.nickname.as_deref() == Some(name);
            let node = world.visible(call.user, world.tree.iter().find(named)?.id)?;
            Some(json!({"NodeId": node.id, "NodeName": node.name, "UniqueName": name}))
        })
        .collect();
    Ok(call.results(rows.into()))
}

/// The clearance and markings that a new node is to have by `roles.securityclearances`, whose
/// members the reference does not name: those of the call of its own.
pub(super) fn of_role(roles: &Map<String, Value>) -> Option<(i64, Vec<String>)> {
    let role = roles.get("securityclearances")?;
    let level = ["clearance_level", "level", "id"];
    let level = level.iter().find_map(|key| as_number(&role[*key]))?;
    let marks = role["supplemental_markings"].as_array();
    let marks = marks.into_iter().flatten();
    let marks = marks.filter_map(Value::as_str).map(str::to_owned);
    Some((level, marks.collect()))
}

/// `GET` and `PUT /v1/nodes/{id}/securityclearances`.
pub(super) fn clearances(world: &mut World, call: &Call, id: i64, set: bool) -> Outcome {
    world
        .visible(call.user, id)
        .ok_or_else(|| Refusal::bad(INACCESSIBLE))?;
    let may = world.rights(call.user, id).has(Rights::PERMISSIONS);
    if set {
        if !may {
            return Err(Refusal::bad(
                "Insufficient permissions to perform that action",
            ));
        }
        let level = call.arguments.number("clearance_level")?;
        let marks = call.arguments.has("supplemental_markings");
        let marks = marks.then(|| call.arguments.texts("supplemental_markings"));
        let own = world.clearances.entry(id).or_default();
        own.0 = level.unwrap_or(own.0);
        own.1 = marks.unwrap_or_else(|| std::mem::take(&mut own.1));
    }
    let (level, marks) = world.clearances.get(&id).cloned().unwrap_or_default();
    let marks: Vec<Value> = marks
        .iter()
        .map(|mark| json!({"supplemental_marking": mark, "desc": ""}))
        .collect();
    Ok(Answer::Json(json!({"data": {
        "clearance_level": level, "supplemental_markings": marks, "can_user_edit_security": may,
        "inherit_from": false,
    }})))
}
