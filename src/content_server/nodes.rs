//! Nodes: by id, by name, in their containers; moving and renaming.

use std::collections::HashSet;

use ::http::Method;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tracing::debug;

use super::Client;
use super::errors::{Effect, Error, Meaning};
use super::wire::{self, Page, Properties};
use crate::transfer::Node;
use crate::types::{Failure, NodeId, Reason};

/// Most ids that one list call takes.
const LIST_LIMIT: usize = 250;
/// Pages after which a listing counts as endless.
const MOST_PAGES: u32 = 100_000;
/// The reserver's name beside its id.
const EXPAND: (&str, &str) = ("expand", "properties{reserved_user_id}");

impl Client {
    /// The nodes among `ids` that we may see, in no particular order; the others are left out by
    /// the server.
    ///
    /// # Errors
    ///
    /// As any read.
    pub async fn nodes(&self, ids: &[NodeId]) -> Result<Vec<Node>, Failure> {
        self.properties_of(ids, Properties::into_node).await
    }

    /// What `read` makes of the properties of those nodes among `ids` that we may see.
    pub(super) async fn properties_of<P: DeserializeOwned, T>(
        &self,
        ids: &[NodeId],
        read: impl Fn(P) -> Result<T, Error>,
    ) -> Result<Vec<T>, Failure> {
        let mut nodes = Vec::with_capacity(ids.len());
        for ids in ids.chunks(LIST_LIMIT) {
            let listed = async {
                let call = || self.call(Method::POST, "v2/nodes/list").repeatable();
                let ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
                let wanted = json!({"ids": ids, "fields": "properties"});
                let answer = self.write_fields(call, &wanted).await?;
                // All of them come on one page, however the server counts.
                let page = wire::page::<P>(&answer, "properties", 1, u32::MAX)?;
                page.rows
                    .into_iter()
                    .map(&read)
                    .collect::<Result<Vec<_>, _>>()
            };
            nodes.extend(listed.await.map_err(|error: Error| {
                error
                    .into_failure(Effect::Repeatable)
                    .context(format!("listing {} nodes", ids.len()))
            })?);
        }
        Ok(nodes)
    }

    pub(super) async fn get_node(&self, id: NodeId) -> Result<Node, Error> {
        let call = self
            .call(Method::GET, &format!("v2/nodes/{id}"))
            .query("fields", "properties")
            .query(EXPAND.0, EXPAND.1);
        let answer = self.json(call).await?;
        let properties: Properties =
            wire::parse(wire::section(&answer, "properties")?, "properties")?;
        if properties.id != id.0 {
            return Err(Error::Unreadable(format!(
                "node {id} was asked for and node {} came",
                properties.id
            )));
        }
        properties.into_node()
    }

    /// One page of a container's children by name, which is unique within it and so a stable
    /// order. `name` filters by the server's idea of similarity, not exactly.
    pub(super) async fn get_children(
        &self,
        parent: NodeId,
        name: Option<&str>,
        page: u32,
    ) -> Result<Page<Node>, Error> {
        let limit = self.0.config.page_size;
        let mut call = self
            .call(Method::GET, &format!("v2/nodes/{parent}/nodes"))
            .query("page", &page.to_string())
            .query("limit", &limit.to_string())
            .query("sort", "asc_name")
            .query("show_hidden", "true")
            .query("fields", "properties")
            .query(EXPAND.0, EXPAND.1);
        if let Some(name) = name {
            call = call.query("where_name", name);
        }
        let answer = self.json(call).await?;
        let page = wire::page::<Properties>(&answer, "properties", page, limit)?;
        Ok(Page {
            rows: page
                .rows
                .into_iter()
                .map(Properties::into_node)
                .collect::<Result<_, _>>()?,
            more: page.more,
            total: page.total,
        })
    }

    /// The rows of the server's name check, one for each of `names` that is taken in `parent`;
    /// `None` where there is no such check.
    async fn taken(&self, parent: NodeId, names: &[&str]) -> Result<Option<Vec<Value>>, Error> {
        let call = self
            .call(Method::POST, "v1/validation/nodes/names")
            .body(&json!({"parent_id": parent.0, "names": names}))
            .repeatable();
        let mut answer = match self.json(call).await {
            Ok(answer) => answer,
            Err(error) if error.meaning() == Some(Meaning::NoRoute) => return Ok(None),
            Err(error) => return Err(error),
        };
        match answer.get_mut("results").map(Value::take) {
            Some(Value::Array(collisions)) => Ok(Some(collisions)),
            Some(Value::Null) => Ok(Some(Vec::new())),
            _ => Err(wire::missing("results")),
        }
    }

    /// Whether none of `names` is taken in `parent`, in one call where the server has a check.
    pub(super) async fn names_free(&self, parent: NodeId, names: &[&str]) -> Result<bool, Error> {
        if let Some(collisions) = self.taken(parent, names).await? {
            return Ok(collisions.is_empty());
        }
        for name in names {
            if self.find_listed(parent, name).await?.is_some() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Who holds `name` in `parent`. The server's own check decides where it exists; it may name a
    /// node whose name differs by case, when its database takes the two for one. Servers without
    /// it are asked for the children instead, and those are compared exactly.
    pub(super) async fn find_child(
        &self,
        parent: NodeId,
        name: &str,
    ) -> Result<Option<Node>, Error> {
        let Some(collisions) = self.taken(parent, &[name]).await? else {
            return self.find_listed(parent, name).await;
        };
        let Some(collision) = collisions.first() else {
            return Ok(None);
        };
        let holder: Holder = match wire::parse(collision, "results[0]") {
            Ok(holder) => holder,
            // Taken, but the server does not say by whom.
            Err(error) => {
                debug!(%parent, error = %error, "name check without an id");
                return match self.find_listed(parent, name).await? {
                    Some(node) => Ok(Some(node)),
                    None => Err(error),
                };
            }
        };
        let node = self.get_node(NodeId(holder.id)).await?;
        if node.parent != parent {
            return Err(Error::Unreadable(format!(
                "node {} holds the name in node {parent} and is itself in node {}; it may have just been moved",
                node.id, node.parent
            )));
        }
        Ok(Some(node))
    }

    async fn find_listed(&self, parent: NodeId, name: &str) -> Result<Option<Node>, Error> {
        let mut seen = HashSet::new();
        for number in 1..MOST_PAGES {
            let page = self.get_children(parent, Some(name), number).await?;
            let mut new = false;
            for node in page.rows {
                new |= seen.insert(node.id);
                if node.name == name {
                    return Ok(Some(node));
                }
            }
            if !page.more {
                return match page.total {
                    // Somebody created or removed a sibling meanwhile, or rows were left out.
                    Some(total) if total != seen.len() as u64 => Err(Error::Unreadable(format!(
                        "{} of {total} similar names were listed",
                        seen.len()
                    ))),
                    _ => Ok(None),
                };
            }
            if !new {
                break;
            }
        }
        Err(Error::Unreadable(format!(
            "the pages of node {parent} repeat themselves"
        )))
    }

    /// Moves and renames on a server that does not do both at once: renamed where nobody looks,
    /// then moved. Safe to repeat.
    pub(super) async fn move_in_two(
        &self,
        node: NodeId,
        parent: NodeId,
        name: &str,
    ) -> Result<(), Failure> {
        let plain = |error: Error| error.into_failure(Effect::Repeatable);
        let at = self.get_node(node).await.map_err(plain)?;
        if at.name != name {
            match self.put_node(node, None, Some(name)).await.map_err(plain) {
                // Not the name that people see: another document on its way out has it.
                Err(failure) if failure.reason == Reason::NameTaken && at.parent != parent => {
                    return Err(Failure::transient(format!(
                        "this server moves and renames one after the other, and another document has the name in node {} for the moment: {failure}",
                        at.parent
                    )));
                }
                other => other?,
            }
        }
        if at.parent != parent {
            self.put_node(node, Some(parent), None)
                .await
                .map_err(plain)?;
        }
        Ok(())
    }

    /// Changes a node's parent, its name, or both. The answer is only looked at for being a
    /// success; recovery reads the node.
    pub(super) async fn put_node(
        &self,
        node: NodeId,
        parent: Option<NodeId>,
        name: Option<&str>,
    ) -> Result<(), Error> {
        let mut change = json!({});
        if let Some(name) = name {
            change["name"] = name.into();
        }
        if let Some(parent) = parent {
            change["parent_id"] = parent.0.into();
        }
        let call = self
            .call(Method::PUT, &format!("v2/nodes/{node}"))
            .body(&change)
            .limit(self.0.config.request_limit);
        self.json(call).await.map(drop)
    }
}

/// A row of the name check.
#[derive(serde::Deserialize)]
struct Holder {
    #[serde(deserialize_with = "wire::whole")]
    id: i64,
}
