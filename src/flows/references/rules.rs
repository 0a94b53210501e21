//! Which documents are shown where: a rule, and the places in Content Server that it leads to.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::super::publish::Template;
use crate::content_server::{Client, Complete, Listed, ListedPage};
use crate::sidecar::mapping::BoundField;
use crate::types::{CollectionId, Failure, NodeId, Reason, ViewId};

/// Most documents that one rule may choose for one collection: a reference list that nobody reads
/// to its end is a rule that was written too wide.
pub const MOST: usize = 2_000;

/// Which documents are shown for which collections.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Its name in the settings.
    pub name: String,
    /// The collections it is for.
    pub collections: Vec<CollectionId>,
    /// Where its documents are.
    pub origin: Origin,
    /// Names of folders below, to the one that is listed.
    pub path: Vec<Template>,
    /// Whether folders below are looked into.
    pub deep: bool,
    /// Only documents with one of these values of an attribute.
    pub only: Option<(BoundField, Vec<String>)>,
    /// How they are shown.
    pub show: Show,
    /// What a link is called, from the document's facts.
    pub title: Template,
}

/// Where documents are.
#[derive(Clone, Debug)]
pub enum Origin {
    /// In a container.
    Folder(NodeId),
    /// In the one workspace of a type with that name.
    Workspace {
        /// The type's name.
        kind: String,
        /// The workspace's name.
        name: Template,
    },
    /// Wherever the server's search finds them.
    Search(Template),
}

/// How documents are shown.
#[derive(Clone, Debug)]
pub enum Show {
    /// As links, in the collection itself or in another one.
    Links(Option<CollectionId>),
    /// As addresses in a field of the collection.
    Field(ViewId, String),
}

/// Where a document is shown, as it is remembered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// As a link in this collection.
    Links(CollectionId),
    /// In a view's field.
    Field(ViewId, String),
}

impl Rule {
    /// Where its documents are shown for a collection.
    pub(super) fn place(&self, collection: &CollectionId) -> Place {
        match &self.show {
            Show::Links(into) => Place::Links(into.clone().unwrap_or_else(|| collection.clone())),
            Show::Field(view, field) => Place::Field(view.clone(), field.clone()),
        }
    }

    /// The documents that it chooses for a collection with these values.
    ///
    /// # Errors
    ///
    /// A place that is not there, or not one; what the server refuses; more than [`MOST`].
    pub(super) async fn choose(
        &self,
        server: &Client,
        values: &BTreeMap<String, String>,
    ) -> Result<Vec<Listed>, Failure> {
        let mut chosen = Vec::new();
        match &self.origin {
            Origin::Search(words) => {
                let words = fill(words, values)?;
                let mut complete = Complete::default();
                let mut page = 1;
                loop {
                    let found = server.searched(&words, page).await?;
                    let next = complete.take(&found)?;
                    self.take(server, found, &mut chosen).await?;
                    match next {
                        Some(next) => page = next,
                        None => return Ok(chosen),
                    }
                }
            }
            Origin::Folder(folder) => self.below(server, *folder, values, &mut chosen).await?,
            Origin::Workspace { kind, name } => {
                let name = fill(name, values)?;
                let workspace = workspace(server, kind, &name).await?;
                self.below(server, workspace, values, &mut chosen).await?;
            }
        }
        Ok(chosen)
    }

    async fn below(
        &self,
        server: &Client,
        base: NodeId,
        values: &BTreeMap<String, String>,
        chosen: &mut Vec<Listed>,
    ) -> Result<(), Failure> {
        let names = self.path.iter().map(|name| fill(name, values));
        let names = names.collect::<Result<Vec<_>, _>>()?;
        let start = server.find_path(base, &names).await?.ok_or_else(|| {
            Failure::item(
                Reason::Other,
                format!("node {base} has no folder {:?}", names.join("/")),
            )
        })?;
        let mut waiting = VecDeque::from([start]);
        let mut looked_into = std::collections::BTreeSet::from([start]);
        while let Some(folder) = waiting.pop_front() {
            let mut complete = Complete::default();
            let mut page = 1;
            loop {
                let found = server.listed_in(folder, page).await?;
                let next = complete.take(&found)?;
                if self.deep {
                    let folders = found.rows.iter().filter(|row| row.container);
                    waiting.extend(
                        folders
                            .map(|row| row.node)
                            .filter(|node| looked_into.insert(*node)),
                    );
                }
                self.take(server, found, chosen).await?;
                match next {
                    Some(next) => page = next,
                    None => break,
                }
            }
        }
        Ok(())
    }

    async fn take(
        &self,
        server: &Client,
        page: ListedPage,
        chosen: &mut Vec<Listed>,
    ) -> Result<(), Failure> {
        for row in page.rows.into_iter().filter(|row| row.document) {
            if chosen.len() >= MOST {
                return Err(Failure::item(
                    Reason::Other,
                    format!("chooses more than {MOST} documents; narrow it down"),
                ));
            }
            if self.fits(server, row.node).await? {
                chosen.push(row);
            }
        }
        Ok(())
    }

    /// Whether a document has one of the wanted values.
    pub(super) async fn fits(&self, server: &Client, node: NodeId) -> Result<bool, Failure> {
        let Some((field, wanted)) = &self.only else {
            return Ok(true);
        };
        let categories = server.categories(node).await?;
        let own = categories
            .into_iter()
            .find(|category| category.id.0 == field.category);
        let values: BTreeMap<String, Value> = own.map(|own| own.values.0).unwrap_or_default();
        Ok(field.read(&values).iter().any(|has| wanted.contains(has)))
    }
}

async fn workspace(server: &Client, kind: &str, name: &str) -> Result<NodeId, Failure> {
    let item = |what: String| Failure::item(Reason::Other, what);
    let types = server.workspace_types().await?;
    let own = types.iter().find(|own| own.name == kind).ok_or_else(|| {
        let names: Vec<&str> = types.iter().map(|own| own.name.as_str()).collect();
        item(format!(
            "there is no workspace type {kind:?}; the server has: {}",
            names.join(", ")
        ))
    })?;
    let found = server.workspaces_named(own.id, name).await?;
    match found.as_slice() {
        [one] => Ok(one.id),
        [] => Err(item(format!("there is no {kind} workspace {name:?}"))),
        many => Err(item(format!(
            "there are {} {kind} workspaces {name:?}; name the folder by its node id",
            many.len()
        ))),
    }
}

/// A template with a collection's values.
fn fill(template: &Template, values: &BTreeMap<String, String>) -> Result<String, Failure> {
    template
        .fill(|name| values.get(name).cloned())
        .map_err(|name| {
            Failure::item(
                Reason::Other,
                format!(
                    "{:?} needs a value of `{name}`, and the collection has none",
                    template.to_string()
                ),
            )
        })
}
