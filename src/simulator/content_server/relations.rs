//! Workspaces that are related to each other.

use std::collections::BTreeSet;

use serde_json::Value;

use super::answer::{INACCESSIBLE, Outcome, Refusal};
use super::call::Call;
use super::nodes::Node;
use super::workspaces;
use super::world::World;

/// Pairs of related workspaces, the parent first.
pub(super) type Relations = BTreeSet<(i64, i64)>;

/// Both ends of a relation, the parent first.
fn pair(call: &Call, workspace: i64, other: i64) -> Result<(i64, i64), Refusal> {
    match call.arguments.text("rel_type").as_deref() {
        None | Some("child") => Ok((workspace, other)),
        Some("parent") => Ok((other, workspace)),
        Some(_) => Err(Refusal::bad("Invalid value for rel_type")),
    }
}

/// `POST /v2/businessworkspaces/{id}/relateditems`.
pub(super) fn relate(world: &mut World, call: &Call, workspace: i64) -> Outcome {
    let other = call.arguments.need_number("rel_bw_id")?;
    if !workspaces::exists(world, call, other) || other == workspace {
        return Err(Refusal::bad(INACCESSIBLE));
    }
    let pair = pair(call, workspace, other)?;
    if !world.workspaces.relations.insert(pair) {
        return Err(Refusal::bad("The relation already exists."));
    }
    Ok(call.done())
}

/// `DELETE /v2/businessworkspaces/{id}/relateditems/{other}`.
pub(super) fn part(world: &mut World, call: &Call, workspace: i64, other: i64) -> Outcome {
    let pair = pair(call, workspace, other)?;
    match world.workspaces.relations.remove(&pair) {
        true => Ok(call.done()),
        false => Err(Refusal::bad("The relation could not be found.")),
    }
}

/// The types of workspaces that are asked for; none means all.
fn kinds(call: &Call) -> Result<Option<Vec<i64>>, Refusal> {
    match call.arguments.numbers("where_workspace_type_ids")? {
        Some(all) => Ok(Some(all)),
        None => call.arguments.numbers("where_workspace_type_id"),
    }
}

/// `GET /v2/businessworkspaces/{id}/relateditems`: those of both directions, unless one is asked
/// for.
pub(super) fn related(world: &World, call: &Call, workspace: i64) -> Outcome {
    let asked = call
        .arguments
        .text("where_rel_types")
        .or_else(|| call.arguments.text("where_relationtype"))
        .filter(|asked| !asked.is_empty());
    let wants = |kind: &str| asked.as_ref().is_none_or(|asked| asked.contains(kind));
    let name = call.arguments.text("where_name").unwrap_or_default();
    let (name, kinds) = (name.to_lowercase(), kinds(call)?);
    let pairs = world.workspaces.relations.iter();
    let ends = pairs.filter_map(|&(parent, child)| {
        if parent == workspace && wants("child") {
            Some((child, "child"))
        } else if child == workspace && wants("parent") {
            Some((parent, "parent"))
        } else {
            None
        }
    });
    let found: Vec<(&Node, &str)> = ends
        .filter_map(|(id, kind)| Some((world.visible(call.user, id)?, kind)))
        .filter(|(node, _)| node.name.to_lowercase().starts_with(&name))
        .filter(|(node, _)| workspaces::is_of(world, node.id, kinds.as_deref()))
        .collect();
    let row = |(node, kind): (&Node, &str)| {
        let mut row = workspaces::row(world, call, node);
        row["data"]["properties"]["rel_type"] = kind.into();
        row
    };
    workspaces::listed(call, found, |(node, _)| node, row)
}

/// `GET /v2/businessworkspaces/{id}/relateditemspicklist`: workspaces that are not related yet.
pub(super) fn candidates(world: &World, call: &Call, workspace: i64) -> Outcome {
    let kinds = kinds(call)?;
    let parent = call.arguments.text("where_rel_type").as_deref() == Some("parent");
    let name = call.arguments.text("where_name").unwrap_or_default();
    let open = |node: &&Node| {
        let pair = match parent {
            true => (node.id, workspace),
            false => (workspace, node.id),
        };
        node.id != workspace
            && !world.workspaces.relations.contains(&pair)
            && workspaces::is_of(world, node.id, kinds.as_deref())
            && workspaces::is_called(node, &name.replace("starts_with_", "startswith_"))
    };
    let found: Vec<&Node> = workspaces::all(world, call).filter(open).collect();
    let row = |node: &Node| -> Value { workspaces::row(world, call, node) };
    workspaces::listed(call, found, |node| node, row)
}
