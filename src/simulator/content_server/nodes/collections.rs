//! Collections: lists of nodes that stay where they are.

use serde_json::json;

use super::super::answer::{INACCESSIBLE, Outcome, Refusal};
use super::super::call::Call;
use super::super::permissions::{Rights, lacking};
use super::super::world::World;
use super::types::COLLECTION;

/// Most ids that one call takes.
const LIMIT: usize = 30;

/// Whether the call takes out of a collection instead of putting in.
fn removing(call: &Call) -> Result<Option<bool>, Refusal> {
    match call.arguments.text("operation").as_deref() {
        None => Ok(None),
        Some("add") => Ok(Some(false)),
        Some("remove") => Ok(Some(true)),
        Some(other) => Err(Refusal::bad(format!(
            "Invalid value '{other}' specified for argument 'operation'"
        ))),
    }
}

/// The node is a collection that the caller may change.
fn changeable(world: &World, call: &Call, id: i64) -> Result<(), Refusal> {
    let node = world
        .visible(call.user, id)
        .ok_or_else(|| Refusal::bad(INACCESSIBLE))?;
    if node.subtype != COLLECTION {
        return Err(Refusal::action("collect"));
    }
    lacking(world, call.user, id, Rights::MODIFY, "collect")
}

/// Puts one node in a collection or takes it out; the text says why not.
fn change(
    world: &mut World,
    call: &Call,
    collection: i64,
    id: i64,
    remove: bool,
) -> Result<(), String> {
    if world.visible(call.user, id).is_none() {
        return Err(INACCESSIBLE.to_owned());
    }
    if id == collection {
        return Err("A collection cannot be in itself.".to_owned());
    }
    let Some(node) = world.tree.get_mut(collection) else {
        return Err(INACCESSIBLE.to_owned());
    };
    match remove {
        true if !node.collected.remove(&id) => {
            return Err(format!("The item {id} is not in the collection."));
        }
        true => {}
        false => {
            node.collected.insert(id);
        }
    }
    node.touch(call.user, call.now);
    let kind = if remove { "uncollect" } else { "collect" };
    world.record(call, kind, Some(id), json!({"collection": collection}));
    Ok(())
}

/// `PUT /v2/nodes/{id}` with `collection_id`: one node.
pub(super) fn collect(world: &mut World, call: &Call, id: i64, collection: i64) -> Outcome {
    let remove = removing(call)?.unwrap_or(false);
    changeable(world, call, collection)?;
    change(world, call, collection, id, remove).map_err(Refusal::bad)?;
    Ok(call.done())
}

/// `PUT /v2/nodes/{id}/collection`: many nodes at once, each with its own outcome.
pub(in super::super) fn update(world: &mut World, call: &Call, collection: i64) -> Outcome {
    changeable(world, call, collection)?;
    let remove = removing(call)?.ok_or_else(|| Refusal::missing("operation"))?;
    let ids = call
        .arguments
        .numbers("ids")?
        .ok_or_else(|| Refusal::missing("ids"))?;
    if ids.len() > LIMIT {
        return Err(Refusal::bad(format!(
            "The parameter 'ids' takes at most {LIMIT} node IDs."
        )));
    }
    let mut errors = Vec::new();
    for id in &ids {
        if let Err(error) = change(world, call, collection, *id, remove) {
            let node = world.visible(call.user, *id);
            let name = node.map_or("", |node| &node.name);
            errors.push(json!({"id": id, "name": name, "error": error}));
        }
    }
    Ok(call.results(json!([{"data": [{"status": [{
        "total_count": ids.len(),
        "success_count": ids.len() - errors.len(),
        "error_count": errors.len(),
        "errors": errors,
    }]}]}])))
}
