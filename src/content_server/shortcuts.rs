//! Shortcuts: nodes that stand for another one.
//!
//! They are ordinary nodes of subtype 1 with `original_id`; making, moving, renaming and rights are
//! those of any node. Which record one of ours belongs to is told by its description, so that it
//! is known whatever it is called.

use std::collections::BTreeSet;

use ::http::Method;
use serde::Deserialize;
use serde_json::Value;
use tracing::debug;

use super::Client;
use super::categories::CategoryValues;
use super::commit::{created, new_node};
use super::errors::{Effect, Error};
use super::wire::{self, SHORTCUT};
use crate::types::{Failure, NodeId, Reason};

/// Pages after which a listing counts as endless.
const MOST_PAGES: u32 = 100_000;

/// A shortcut as a listing shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shortcut {
    pub(super) id: NodeId,
    pub(super) parent: NodeId,
    pub(super) name: String,
    pub(super) description: String,
    /// The node it stands for.
    pub(super) original: NodeId,
}

#[derive(Deserialize)]
struct Row {
    #[serde(deserialize_with = "wire::whole")]
    id: i64,
    #[serde(default, deserialize_with = "wire::text")]
    name: String,
    #[serde(default, deserialize_with = "wire::text")]
    description: String,
    #[serde(default, rename = "type", deserialize_with = "wire::maybe_whole")]
    subtype: Option<i64>,
    #[serde(default, deserialize_with = "wire::maybe_whole")]
    original_id: Option<i64>,
}

impl Client {
    /// The shortcuts in a container whose names have `part` in them, as the server compares.
    ///
    /// # Errors
    ///
    /// As any read.
    pub(super) async fn shortcuts_in(
        &self,
        parent: NodeId,
        part: &str,
    ) -> Result<Vec<Shortcut>, Failure> {
        self.list_shortcuts(parent, part).await.map_err(|error| {
            error
                .into_failure(Effect::Repeatable)
                .context(format!("listing the shortcuts in node {parent}"))
        })
    }

    async fn list_shortcuts(&self, parent: NodeId, part: &str) -> Result<Vec<Shortcut>, Error> {
        let limit = self.0.config.page_size;
        let (mut found, mut seen) = (Vec::new(), BTreeSet::new());
        for number in 1..MOST_PAGES {
            let call = self
                .call(Method::GET, &format!("v2/nodes/{parent}/nodes"))
                .query("page", &number.to_string())
                .query("limit", &limit.to_string())
                .query("sort", "asc_name")
                .query("show_hidden", "true")
                .query("fields", "properties")
                .query("where_type", &SHORTCUT.to_string())
                .query("where_name", part);
            let answer = self.json(call).await?;
            let page = wire::page::<Row>(&answer, "properties", number, limit)?;
            let mut new = false;
            for row in page.rows {
                new |= seen.insert(row.id);
                // A server may take a filter for a hint.
                if row.subtype.is_some_and(|kind| kind != SHORTCUT) {
                    continue;
                }
                let id = NodeId(row.id);
                let original = match row.original_id.filter(|original| *original > 0) {
                    Some(original) => NodeId(original),
                    // A listing may say less than the node.
                    None => match self.get_node(id).await?.original {
                        Some(original) => original,
                        None => continue,
                    },
                };
                found.push(Shortcut {
                    id,
                    parent,
                    name: row.name,
                    description: row.description,
                    original,
                });
            }
            if !page.more {
                return Ok(found);
            }
            if !new {
                break;
            }
        }
        Err(Error::Unreadable(format!(
            "the pages of node {parent} repeat themselves"
        )))
    }

    /// The shortcut of that name to `original`, found or made. Safe to repeat: one that a lost
    /// answer left behind is found again.
    ///
    /// # Errors
    ///
    /// `NameTaken` when something else has the name; the server's refusal of a shortcut.
    pub(super) async fn ensure_shortcut(
        &self,
        parent: NodeId,
        name: &str,
        original: NodeId,
        description: &str,
    ) -> Result<NodeId, Failure> {
        let doing = || format!("creating shortcut {name:?} to node {original} in node {parent}");
        let plain = |error: Error| error.into_failure(Effect::Repeatable).context(doing());
        let mut made = false;
        loop {
            if let Some(node) = self.find_child(parent, name).await.map_err(plain)? {
                if node.original == Some(original) {
                    return Ok(node.id);
                }
                return Err(Failure::item(
                    Reason::NameTaken,
                    format!(
                        "{name:?} in node {parent} is node {} and no shortcut to node {original}; rename it",
                        node.id
                    ),
                ));
            }
            let failure = match self
                .create_shortcut(parent, name, original, description)
                .await
            {
                Ok(node) => return Ok(node),
                Err(error) => error.into_failure(Effect::Commit).context(doing()),
            };
            let unclear = matches!(failure.reason, Reason::NameTaken | Reason::Ambiguous);
            if made || !unclear {
                return Err(failure);
            }
            debug!(%parent, name, %failure, "looked up again");
            made = true;
        }
    }

    async fn create_shortcut(
        &self,
        parent: NodeId,
        name: &str,
        original: NodeId,
        description: &str,
    ) -> Result<NodeId, Error> {
        let mut parameters = new_node(SHORTCUT, parent, name, &CategoryValues::default());
        parameters["original_id"] = original.0.into();
        parameters["description"] = description.into();
        let call = self.call(Method::POST, "v2/nodes").body(&parameters);
        let answer = self.commit(call, None).await?;
        Ok(NodeId(created(&answer, name)?.id))
    }

    /// Whether this user may create shortcuts in a container; `None` when the server's list of what
    /// may be created there names nothing that is understood as one.
    ///
    /// # Errors
    ///
    /// As any read.
    pub async fn takes_shortcuts(&self, parent: NodeId) -> Result<Option<bool>, Failure> {
        let path = format!("v1/nodes/{parent}/addablenodetypes");
        let listed = async {
            let answer = self.json(self.call(Method::GET, &path)).await?;
            let types = answer.get("data").and_then(Value::as_object);
            let types = types.ok_or_else(|| wire::missing("data"))?;
            let mut links = types.values();
            // The keys are not documented, the addresses beside them are those of create forms.
            Ok(
                if types.contains_key("1") || links.any(|link| makes(link, SHORTCUT)) {
                    Some(true)
                } else if types.is_empty() {
                    Some(false)
                } else {
                    None
                },
            )
        };
        listed.await.map_err(|error: Error| {
            error
                .into_failure(Effect::Repeatable)
                .context(format!("asking what can be created in node {parent}"))
        })
    }
}

/// Whether a link is that of the form which creates nodes of a subtype.
fn makes(link: &Value, subtype: i64) -> bool {
    let wanted = format!("type={subtype}");
    let text = link.to_string();
    text.match_indices(&wanted).any(|(at, _)| {
        let before = text[..at].ends_with(['?', '&']);
        let after = text[at + wanted.len()..].chars().next();
        before && !after.is_some_and(|next| next.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_create_form_names_its_subtype() {
        let form = |query: &str| json!(format!("api/v1/forms/nodes/create?{query}"));
        assert!(makes(&form("type=1&parent_id=2000"), 1));
        assert!(makes(&json!({"href": form("parent_id=2000&type=1")}), 1));
        assert!(!makes(&form("type=144&parent_id=2000"), 1));
        assert!(!makes(&form("subtype=1"), 1));
        assert!(!makes(&Value::Null, 1));
    }
}
