//! Cross-references: a node and another one that has to do with it, with the kind of relation.
//!
//! They belong to records management. Kinds are defined by an administrator. The reference says
//! little of how the other end is named in a listing (`xref_id` as text, `id` as number), so both
//! are read; an addition that is there afterwards was made, whatever was answered.

use ::http::Method;
use serde_json::Value;

use super::Client;
use super::errors::Error;
use super::records::failed;
use super::wire;
use crate::types::{Failure, NodeId, Reason};

/// A cross-reference of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CrossReference {
    /// Its kind.
    pub kind: String,
    /// The other node.
    pub to: NodeId,
}

impl Client {
    /// The kinds of cross-references that the server defines.
    ///
    /// # Errors
    ///
    /// `Unsupported` where there is no records management; otherwise as any read.
    pub async fn cross_reference_kinds(&self) -> Result<Vec<String>, Failure> {
        let kinds = async {
            let answer = self.json(self.call(Method::GET, "v1/xrefs")).await?;
            rows(&answer)?.iter().map(kind_of).collect::<Result<_, _>>()
        };
        kinds
            .await
            .map_err(failed("listing the kinds of cross-references".to_owned()))
    }

    /// The cross-references of a node.
    ///
    /// # Errors
    ///
    /// `Unsupported` where there is no records management; otherwise as any read.
    pub async fn cross_references(&self, node: NodeId) -> Result<Vec<CrossReference>, Failure> {
        self.list_cross_references(node)
            .await
            .map_err(failed(format!(
                "reading the cross-references of node {node}"
            )))
    }

    /// Cross-references a node to `others`, as far as it is not so already. Safe to repeat.
    ///
    /// # Errors
    ///
    /// As [`cross_references`](Self::cross_references); the server's for a kind that it does not
    /// define.
    pub async fn add_cross_references(
        &self,
        node: NodeId,
        kind: &str,
        others: &[NodeId],
        comment: &str,
    ) -> Result<(), Failure> {
        if others.is_empty() {
            return Ok(());
        }
        let add = async {
            let is_there =
                |all: &[CrossReference], other: NodeId| all.iter().any(|one| one.is(kind, other));
            let there = self.list_cross_references(node).await?;
            let mut added = Vec::new();
            for other in others {
                if is_there(&there, *other) {
                    continue;
                }
                let call = self
                    .call(Method::POST, &format!("v1/nodes/{node}/xrefs"))
                    .query("xref_type", kind)
                    .query("xref_id", &other.to_string())
                    .query("comment", comment)
                    .mute();
                if let Err(error) = self.json(call).await
                    && !is_there(&self.list_cross_references(node).await?, *other)
                {
                    return Err(error);
                }
                added.push(*other);
            }
            if added.is_empty() {
                return Ok(Vec::new());
            }
            // An answer without a body says nothing of what was done.
            let there = self.list_cross_references(node).await?;
            added.retain(|other| !is_there(&there, *other));
            Ok(added)
        };
        let doing = format!("cross-referencing node {node} as {kind:?}");
        let missing = add.await.map_err(failed(doing.clone()))?;
        if missing.is_empty() {
            return Ok(());
        }
        let missing: Vec<String> = missing.iter().map(NodeId::to_string).collect();
        Err(Failure::item(
            Reason::Other,
            format!(
                "{doing}: the server took it and does not keep what leads to {}",
                missing.join(", ")
            ),
        ))
    }

    async fn list_cross_references(&self, node: NodeId) -> Result<Vec<CrossReference>, Error> {
        let path = format!("v1/nodes/{node}/xrefs");
        let answer = self.json(self.call(Method::GET, &path)).await?;
        rows(&answer)?
            .iter()
            .map(|row| {
                Ok(CrossReference {
                    kind: kind_of(row)?,
                    to: other_end(row).ok_or_else(|| wire::missing("data.xref_id"))?,
                })
            })
            .collect()
    }
}

impl CrossReference {
    /// Whether it is the one that is wanted; the server may spell a kind in another case.
    pub(super) fn is(&self, kind: &str, to: NodeId) -> bool {
        self.to == to && self.kind.eq_ignore_ascii_case(kind)
    }
}

fn kind_of(row: &Value) -> Result<String, Error> {
    let kind = row["xref_type"].as_str();
    Ok(kind
        .ok_or_else(|| wire::missing("data.xref_type"))?
        .to_owned())
}

fn other_end(row: &Value) -> Option<NodeId> {
    let mut ends = ["xref_id", "id"].into_iter().map(|name| &row[name]);
    ends.find_map(|end| end.as_i64().or_else(|| end.as_str()?.trim().parse().ok()))
        .map(NodeId)
}

fn rows(answer: &Value) -> Result<&[Value], Error> {
    match answer.get("data") {
        Some(Value::Array(rows)) => Ok(rows),
        Some(Value::Null) => Ok(&[]),
        _ => Err(wire::missing("data")),
    }
}
