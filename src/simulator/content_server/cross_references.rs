//! Cross-references between nodes, and their kinds.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::answer::{Answer, Outcome, Refusal, records_done};
use super::call::Call;
use super::nodes::properties;
use super::permissions::{Rights, lacking};
use super::security::{CLOSED, reached};
use super::world::World;

/// Text for a call on many nodes that does not say enough.
const UNSAID: &str = "ID is not specified or Cross-Reference type is not specified";

/// A kind of cross-references.
pub(super) struct Kind {
    /// Its code, and that of the kind at the other end.
    pub(super) code: String,
    pub(super) related: String,
    pub(super) description: String,
    /// The hold that goes with it, or 0.
    pub(super) hold: i64,
}

/// All cross-references: the node, the kind, the other node, and what was said about it.
#[derive(Default)]
pub(super) struct CrossReferences {
    kinds: Vec<Kind>,
    all: BTreeMap<(i64, String, i64), String>,
}

impl CrossReferences {
    /// Defines a kind.
    pub(super) fn define(&mut self, kind: &str) {
        if self.kind(kind).is_none() {
            self.kinds.push(Kind {
                code: kind.to_owned(),
                related: kind.to_owned(),
                description: kind.to_owned(),
                hold: 0,
            });
        }
    }

    /// Defines a kind and the one at its other end, each with what it is called; whether the first
    /// is new.
    pub(super) fn pair(&mut self, one: (&str, &str), other: (&str, &str), hold: i64) -> bool {
        if self.kind(one.0).is_some() {
            return false;
        }
        for (own, related) in [(one, other), (other, one)] {
            if self.kind(own.0).is_none() {
                self.kinds.push(Kind {
                    code: own.0.to_owned(),
                    related: related.0.to_owned(),
                    description: own.1.to_owned(),
                    hold,
                });
            }
        }
        true
    }

    /// The kinds there are.
    pub(super) fn kinds(&self) -> impl Iterator<Item = &Kind> {
        self.kinds.iter()
    }

    fn kind(&self, code: &str) -> Option<&Kind> {
        self.kinds.iter().find(|kind| kind.code == code)
    }
}

fn shown(kind: &Kind) -> Value {
    json!({
        "xref_type": kind.code, "related_code": kind.related, "desc": kind.description,
        "disabled": false, "hold_id": kind.hold,
    })
}

/// `GET /v1/xrefs`.
pub(super) fn kinds(world: &World) -> Outcome {
    let rows: Vec<Value> = world.cross_references.kinds.iter().map(shown).collect();
    Ok(Answer::Json(json!({"data": rows, "definitions": {}})))
}

/// `GET /v1/xrefs/{type}`.
pub(super) fn kind(world: &World, code: &str) -> Outcome {
    let kind = world.cross_references.kind(code);
    let kind = kind.ok_or_else(|| Refusal::bad("Could not get a Cross-Reference"))?;
    Ok(Answer::Json(shown(kind)))
}

/// `POST /v1/xrefs`: defines a kind and the one that is its other end.
pub(super) fn create_kind(world: &mut World, call: &Call) -> Outcome {
    let text = |key: &str| {
        let given = call.arguments.text(key).filter(|text| !text.is_empty());
        given.ok_or_else(|| missing(key))
    };
    let (code, related) = (text("xref_type")?, text("related_code")?);
    let (desc, related_desc) = (text("desc")?, text("related_desc")?);
    let unread = || Refusal::new(404, "Please provide integer value for the Hold ID");
    let hold = call.arguments.number("hold_id").map_err(|_| unread())?;
    let hold = hold.ok_or_else(unread)?;
    let refs = &mut world.cross_references;
    if !refs.pair((&code, &desc), (&related, &related_desc), hold) {
        return Err(Refusal::bad("Cross-Reference already exists."));
    }
    world.record(call, "xref_type", None, json!({"type": code}));
    Ok(records_done(0))
}

/// `DELETE /v1/xrefs/{type}`, unless something is referred to by it.
pub(super) fn delete_kind(world: &mut World, call: &Call, code: &str) -> Outcome {
    let missing = || Refusal::new(404, "Cross-Reference does not exist.");
    world.cross_references.kind(code).ok_or_else(missing)?;
    let mut used = world.cross_references.all.keys();
    if used.any(|(_, kind, _)| kind == code) {
        return Err(Refusal::bad("Cross-Reference is in use."));
    }
    world
        .cross_references
        .kinds
        .retain(|kind| kind.code != code);
    world.record(call, "xref_type", None, json!({"removed": code}));
    Ok(records_done(0))
}

/// `GET /v1/nodes/{id}/xrefs`.
pub(super) fn browse(world: &World, call: &Call, id: i64) -> Outcome {
    reached(world, call, id)?;
    let own = world.cross_references.all.iter();
    let rows: Vec<Value> = own
        .filter(|((node, ..), _)| *node == id)
        .filter_map(|((_, kind, other), comment)| {
            let node = world.visible(call.user, *other)?;
            let mut row = properties(world, call, node);
            row["xref_id"] = other.to_string().into();
            row["xref_type"] = kind.as_str().into();
            let known = world.cross_references.kind(kind);
            row["related_code"] = known.map_or(kind.as_str(), |kind| &kind.related).into();
            row["comment"] = comment.as_str().into();
            row["removable"] = true.into();
            row["ver_num"] = 0.into();
            Some(row)
        })
        .collect();
    Ok(Answer::Json(
        json!({"data": rows, "definitions": {}, "showTab": true}),
    ))
}

fn missing(name: &str) -> Refusal {
    Refusal::bad(format!("Argument {name:?} is required."))
}

/// Refers from one node to another.
fn put(world: &mut World, call: &Call, id: i64, (kind, other): (&str, i64), comment: String) {
    let one = (id, kind.to_owned(), other);
    world.cross_references.all.insert(one, comment);
    world.record(call, "xref", Some(id), json!({"type": kind, "to": other}));
}

/// Takes a reference away; whether there was one.
fn take(world: &mut World, call: &Call, id: i64, kind: &str, other: i64) -> bool {
    let one = (id, kind.to_owned(), other);
    let removed = world.cross_references.all.remove(&one).is_some();
    if removed {
        let detail = json!({"type": kind, "to": other});
        world.record(call, "xref_removed", Some(id), detail);
    }
    removed
}

fn known(world: &World, kind: &str) -> Result<(), Refusal> {
    let known = world.cross_references.kind(kind);
    known
        .map(|_| ())
        .ok_or_else(|| Refusal::bad("Invalid Cross-Reference type"))
}

/// `POST /v1/nodes/{id}/xrefs`.
pub(super) fn add(world: &mut World, call: &Call, id: i64) -> Outcome {
    changeable(world, call, id)?;
    let kind = call.arguments.text("xref_type");
    let kind = kind.ok_or_else(|| missing("xref_type"))?;
    let other = call.arguments.number("xref_id")?;
    let other = other.ok_or_else(|| missing("xref_id"))?;
    let comment = call.arguments.text("comment");
    let comment = comment.ok_or_else(|| missing("comment"))?;
    known(world, &kind)?;
    reached(world, call, other)?;
    put(world, call, id, (&kind, other), comment);
    Ok(Answer::Json(json!({"results": {"ok": true}})))
}

/// `PUT /v1/nodes/{id}/xrefs`: takes away several, `{other}_{type}` each, with spaces between them.
pub(super) fn remove_listed(world: &mut World, call: &Call, id: i64) -> Outcome {
    changeable(world, call, id)?;
    let list = call.arguments.text("uniqueIDList");
    let list = list.ok_or_else(|| missing("uniqueIDList"))?;
    let mut listed: Vec<(i64, String)> = Vec::new();
    for word in list.split_whitespace() {
        let begun = word
            .split_once('_')
            .and_then(|(other, kind)| Some((other.parse().ok()?, kind.to_owned())));
        match (begun, listed.last_mut()) {
            (Some(one), _) => listed.push(one),
            // A type may have spaces of its own.
            (None, Some((_, kind))) => *kind = format!("{kind} {word}"),
            (None, None) => return Err(Refusal::datatype("uniqueIDList")),
        }
    }
    for (other, kind) in listed {
        take(world, call, id, &kind, other);
    }
    Ok(Answer::Json(json!({"results": {"ok": true}})))
}

/// `DELETE /v1/nodes/{id}/xrefs/{type}/refnodes/{other}`.
pub(super) fn remove(world: &mut World, call: &Call, id: i64, kind: &str, other: i64) -> Outcome {
    changeable(world, call, id)?;
    match take(world, call, id, kind, other) {
        true => Ok(Answer::Json(json!({"results": {"ok": true}}))),
        false => Err(Refusal::bad("Cross-Reference does not exist.")),
    }
}

/// `POST /v1/rmclassifications/assignxref` and `removexref`: many nodes at once. Taking away names
/// the other node, the kind or both.
pub(super) fn bulk(world: &mut World, call: &Call, on: bool) -> Outcome {
    let unsaid = || Refusal::new(404, UNSAID);
    let ids = call.arguments.numbers("ids")?.unwrap_or_default();
    let kind = call.arguments.text("xref_type");
    let kind = kind.filter(|kind| !kind.is_empty());
    let other = call.arguments.number("xref_id")?;
    if ids.is_empty() || (on && (kind.is_none() || other.is_none())) {
        return Err(unsaid());
    }
    for id in &ids {
        changeable(world, call, *id)?;
    }
    match (on, kind, other) {
        (true, Some(kind), Some(other)) => {
            known(world, &kind)?;
            reached(world, call, other)?;
            let comment = call.arguments.text("comment").unwrap_or_default();
            for id in ids {
                put(world, call, id, (&kind, other), comment.clone());
            }
        }
        (_, None, None) => return Err(unsaid()),
        (_, kind, other) => {
            let meant = |(node, own, to): &(i64, String, i64)| {
                ids.contains(node)
                    && kind.as_ref().is_none_or(|kind| kind == own)
                    && other.is_none_or(|other| other == *to)
            };
            let all = world.cross_references.all.keys();
            let gone: Vec<_> = all.filter(|one| meant(one)).cloned().collect();
            for (id, kind, other) in gone {
                take(world, call, id, &kind, other);
            }
        }
    }
    Ok(records_done(0))
}

/// Whether the caller may change a node's references.
fn changeable(world: &World, call: &Call, id: i64) -> Result<(), Refusal> {
    reached(world, call, id)?;
    lacking(world, call.user, id, Rights::ATTRIBUTES, "cross-reference")
        .map_err(|_| Refusal::bad(CLOSED))
}
