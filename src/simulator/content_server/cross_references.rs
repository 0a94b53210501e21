//! Cross-references between nodes, and their kinds.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::answer::{Answer, INACCESSIBLE, Outcome, Refusal};
use super::call::Call;
use super::permissions::{Rights, lacking};
use super::world::World;

/// All cross-references: the node, the kind, the other node.
#[derive(Default)]
pub(super) struct CrossReferences {
    kinds: Vec<String>,
    all: BTreeSet<(i64, String, i64)>,
}

impl CrossReferences {
    /// Defines a kind.
    pub(super) fn define(&mut self, kind: &str) {
        if !self.kinds.iter().any(|own| own == kind) {
            self.kinds.push(kind.to_owned());
        }
    }

    /// The kinds there are.
    pub(super) fn kinds(&self) -> impl Iterator<Item = &str> {
        self.kinds.iter().map(String::as_str)
    }
}

/// `GET /v1/xrefs`.
pub(super) fn kinds(world: &World) -> Outcome {
    let kinds = world.cross_references.kinds.iter();
    let rows: Vec<Value> = kinds
        .map(|kind| {
            json!({"xref_type": kind, "related_code": kind, "desc": kind, "disabled": false, "hold_id": 0})
        })
        .collect();
    Ok(Answer::Json(json!({"data": rows, "definitions": {}})))
}

/// `GET /v1/nodes/{id}/xrefs`.
pub(super) fn browse(world: &World, call: &Call, id: i64) -> Outcome {
    seen(world, call, id)?;
    let own = world.cross_references.all.iter();
    let rows: Vec<Value> = own
        .filter(|(node, ..)| *node == id)
        .filter_map(|(_, kind, other)| {
            let node = world.visible(call.user, *other)?;
            Some(json!({
                "id": other, "xref_id": other.to_string(), "xref_type": kind, "related_code": kind,
                "name": node.name, "type": node.subtype, "parent_id": node.parent, "comment": "", "removable": true,
            }))
        })
        .collect();
    Ok(Answer::Json(
        json!({"data": rows, "definitions": {}, "showTab": true}),
    ))
}

/// `POST /v1/nodes/{id}/xrefs`.
pub(super) fn add(world: &mut World, call: &Call, id: i64) -> Outcome {
    seen(world, call, id)?;
    lacking(world, call.user, id, Rights::ATTRIBUTES, "cross-reference")?;
    let missing = |name: &str| Refusal::bad(format!("Argument {name:?} is required."));
    let kind = call.arguments.text("xref_type");
    let kind = kind.ok_or_else(|| missing("xref_type"))?;
    let other = call.arguments.number("xref_id")?;
    let other = other.ok_or_else(|| missing("xref_id"))?;
    call.arguments
        .text("comment")
        .ok_or_else(|| missing("comment"))?;
    if !world.cross_references.kinds.contains(&kind) {
        return Err(Refusal::bad("Invalid Cross-Reference type"));
    }
    seen(world, call, other)?;
    world.cross_references.all.insert((id, kind.clone(), other));
    world.record(call, "xref", Some(id), json!({"type": kind, "to": other}));
    Ok(Answer::Json(json!({"results": {"ok": true}})))
}

/// `DELETE /v1/nodes/{id}/xrefs/{type}/refnodes/{other}`.
pub(super) fn remove(world: &mut World, call: &Call, id: i64, kind: &str, other: i64) -> Outcome {
    seen(world, call, id)?;
    let one = (id, kind.to_owned(), other);
    if !world.cross_references.all.remove(&one) {
        return Err(Refusal::bad("Cross-Reference does not exist."));
    }
    world.record(
        call,
        "xref_removed",
        Some(id),
        json!({"type": kind, "to": other}),
    );
    Ok(Answer::Json(json!({"results": {"ok": true}})))
}

fn seen(world: &World, call: &Call, id: i64) -> Result<(), Refusal> {
    let node = world.visible(call.user, id);
    node.map(|_| ()).ok_or_else(|| Refusal::bad(INACCESSIBLE))
}
