//! Which documents are shown where: a rule, and the places in Content Server that it leads to.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::super::publish::Template;
use super::{Copying, Object};
use crate::content_server::{Client, Complete, Listed, ListedPage};
use crate::sidecar::mapping::BoundField;
use crate::types::{AssetId, CollectionId, Failure, NodeId, Reason, ViewId};

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
    /// The assets it is for.
    pub assets: Vec<AssetId>,
    /// Collections whose assets it is for.
    pub assets_of: Vec<CollectionId>,
    /// Where its documents are.
    pub origin: Origin,
    /// Names of folders below, to the one that is listed.
    pub path: Vec<Template>,
    /// Whether folders below are looked into.
    pub deep: bool,
    /// Only documents with one of these values of an attribute; a value that the object lacks
    /// chooses nothing.
    pub only: Option<(BoundField, Vec<Template>)>,
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
    /// As addresses in a field of the collection or asset.
    Field(ViewId, String),
    /// As links that the asset has a relation of this kind to, in a collection or in none.
    Related(String, Option<CollectionId>),
    /// As assets with a copy of the content.
    Copies(Option<CollectionId>, Copying),
    /// As such assets that the asset has a relation of this kind to.
    RelatedCopies(String, Option<CollectionId>, Copying),
}

impl Show {
    /// How content is copied, where it is.
    pub(super) fn copying(&self) -> Option<&Copying> {
        match self {
            Self::Copies(_, copying) | Self::RelatedCopies(_, _, copying) => Some(copying),
            _ => None,
        }
    }
}

/// Where a document is shown, as it is remembered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// As a link in this collection.
    Links(CollectionId),
    /// In a view's field.
    Field(ViewId, String),
    /// As a link that the asset is related to, by this kind of relation.
    Related(String, Option<CollectionId>),
    /// As an asset with a copy, in this collection.
    Copies(CollectionId),
    /// As an asset with a copy that the asset is related to, by this kind of relation.
    RelatedCopies(String, Option<CollectionId>),
}

impl Place {
    /// Whether the asset there has the content.
    pub(super) fn is_copy(&self) -> bool {
        matches!(self, Self::Copies(_) | Self::RelatedCopies(..))
    }

    /// The collection of the asset there.
    pub(super) fn collection(&self) -> Option<&CollectionId> {
        match self {
            Self::Links(collection) | Self::Copies(collection) => Some(collection),
            Self::Related(_, collection) | Self::RelatedCopies(_, collection) => {
                collection.as_ref()
            }
            Self::Field(..) => None,
        }
    }

    /// The kind of relation to the asset there.
    pub(super) fn relation(&self) -> Option<&str> {
        match self {
            Self::Related(kind, _) | Self::RelatedCopies(kind, _) => Some(kind),
            _ => None,
        }
    }
}

impl Rule {
    /// Where its documents are shown for an object.
    ///
    /// # Errors
    ///
    /// A way of showing that the object does not have; settings do not allow it.
    pub(super) fn place(&self, object: &Object) -> Result<Place, Failure> {
        let into = |into: &Option<CollectionId>| match (into, object) {
            (Some(into), _) => Ok(into.clone()),
            (None, Object::Collection(own)) => Ok(own.clone()),
            (None, Object::Asset(_)) => Err(Failure::defect("a link at an asset needs a relation")),
        };
        Ok(match &self.show {
            Show::Links(to) => Place::Links(into(to)?),
            Show::Field(view, field) => Place::Field(view.clone(), field.clone()),
            Show::Related(kind, into) => Place::Related(kind.clone(), into.clone()),
            Show::Copies(to, _) => Place::Copies(into(to)?),
            Show::RelatedCopies(kind, into, _) => Place::RelatedCopies(kind.clone(), into.clone()),
        })
    }

    /// The values of the attribute that documents need one of; `None` where they need none.
    pub(super) fn wanted(&self, values: &BTreeMap<String, String>) -> Option<Vec<String>> {
        let (_, wanted) = self.only.as_ref()?;
        let fill = |wanted: &Template| wanted.fill(|name| values.get(name).cloned()).ok();
        Some(wanted.iter().filter_map(fill).collect())
    }

    /// The documents that it chooses for an object with these values.
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
        let wanted = self.wanted(values);
        if wanted.as_ref().is_some_and(Vec::is_empty) {
            return Ok(chosen);
        }
        let wanted = wanted.as_ref();
        match &self.origin {
            Origin::Search(words) => {
                let words = fill(words, values)?;
                let mut complete = Complete::default();
                let mut page = 1;
                loop {
                    let found = server.searched(&words, page).await?;
                    let next = complete.take(&found)?;
                    self.take(server, found, wanted, &mut chosen).await?;
                    match next {
                        Some(next) => page = next,
                        None => return Ok(chosen),
                    }
                }
            }
            Origin::Folder(folder) => {
                let from = (*folder, values, wanted);
                self.below(server, from, &mut chosen).await?;
            }
            Origin::Workspace { kind, name } => {
                let name = fill(name, values)?;
                let workspace = workspace(server, kind, &name).await?;
                let from = (workspace, values, wanted);
                self.below(server, from, &mut chosen).await?;
            }
        }
        Ok(chosen)
    }

    async fn below(
        &self,
        server: &Client,
        (base, values, wanted): (NodeId, &BTreeMap<String, String>, Option<&Vec<String>>),
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
                self.take(server, found, wanted, chosen).await?;
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
        wanted: Option<&Vec<String>>,
        chosen: &mut Vec<Listed>,
    ) -> Result<(), Failure> {
        for row in page.rows.into_iter().filter(|row| row.document) {
            if chosen.len() >= MOST {
                return Err(Failure::item(
                    Reason::Other,
                    format!("chooses more than {MOST} documents; narrow it down"),
                ));
            }
            if self.fits(server, row.node, wanted).await? {
                chosen.push(row);
            }
        }
        Ok(())
    }

    /// Whether a document has one of the wanted values.
    pub(super) async fn fits(
        &self,
        server: &Client,
        node: NodeId,
        wanted: Option<&Vec<String>>,
    ) -> Result<bool, Failure> {
        let (Some((field, _)), Some(wanted)) = (&self.only, wanted) else {
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

/// A template with an object's values.
fn fill(template: &Template, values: &BTreeMap<String, String>) -> Result<String, Failure> {
    template
        .fill(|name| values.get(name).cloned())
        .map_err(|name| {
            Failure::item(
                Reason::Other,
                format!(
                    "{:?} needs a value of `{name}`, and there is none here",
                    template.to_string()
                ),
            )
        })
}
