//! What clients that show containers to people ask beside the listing: columns, facets, links,
//! unique names.

use serde_json::{Value, json};

use super::answer::{Outcome, Refusal};
use super::call::Call;
use super::nodes::Node;
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

/// `GET /v2/nodes/{id}/copylink`: the address that people send each other.
pub(super) fn copy_link(world: &World, call: &Call, id: i64, url: &str) -> Outcome {
    let missing = || match world.tree.get(id) {
        Some(_) => Refusal::inaccessible(500),
        None => Refusal::inaccessible(404),
    };
    world.visible(call.user, id).ok_or_else(missing)?;
    Ok(call.results(json!({"link": format!("{url}/app/nodes/{id}")})))
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
