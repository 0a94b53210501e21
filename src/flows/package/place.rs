//! Where a package is: a folder, a compound document or a business workspace, found again or made.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::facts::Kept;
use super::papers;
use crate::content_server::{self, Filing};
use crate::flows::publish::{Workspace, values_of};
use crate::flows::{Error, Systems};
use crate::sidecar::mapping::Binding;
use crate::sidecar::mhl;
use crate::transfer::{Answer, suffixed};
use crate::types::{CollectionId, Failure, FailureClass, NodeId, Reason, VersionNote};

const ATTEMPTS: u32 = 8;

/// What a package is in Content Server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Container {
    /// A folder with the campaign's name.
    #[default]
    Folder,
    /// A compound document with the campaign's name.
    Compound,
    /// The business workspace itself.
    Workspace,
}

impl Container {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Folder, Self::Compound, Self::Workspace];

    /// Its name in settings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Folder => "folder",
            Self::Compound => "compound",
            Self::Workspace => "workspace",
        }
    }

    /// What its own containers are: a compound document takes no folders.
    fn inside(self) -> content_server::Container {
        match self {
            Self::Compound => content_server::Container::CompoundDocument,
            Self::Folder | Self::Workspace => content_server::Container::Folder,
        }
    }
}

/// Where packages go.
#[derive(Clone, Debug, Default)]
pub struct Place {
    /// What a new package is.
    pub container: Container,
    /// The business workspace that it is in, or is; the target folder when there is none.
    pub workspace: Option<Workspace>,
    /// The mapping, for the values of a new workspace.
    pub binding: Binding,
}

impl Place {
    /// The container that a collection's package is in, or is.
    async fn base(
        &self,
        systems: &Systems,
        collection: &CollectionId,
        title: &str,
    ) -> Result<NodeId, Error> {
        let Some(workspace) = &self.workspace else {
            return Ok(systems.target);
        };
        let read = systems.iconik.collection(collection).await?;
        let metadata = systems.iconik.collection_metadata(&read).await?;
        let values = values_of(&metadata);
        let bound = self.binding.bind(&values);
        let value = |field: &str| match field {
            "title" => Some(title.to_owned()),
            "collection_id" => Some(collection.to_string()),
            _ => values.get(field)?.first().map(|value| match value {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            }),
        };
        let place = workspace
            .fill(&bound, &self.binding, value)
            .map_err(|field| {
                Failure::item(
                    Reason::Incomplete,
                    format!(
                        "the package of {title} needs a value of `{field}` for its workspace ({}), and the collection has none",
                        workspace.name
                    ),
                )
            })?;
        let filing = Filing {
            workspace: Some(place),
            ..Filing::below(systems.target)
        };
        Ok(again(|| Box::pin(systems.content_server.place_of(&filing))).await?)
    }
}

/// The containers that papers go to.
pub(super) struct Folders {
    top: NodeId,
    history: NodeId,
}

impl Folders {
    /// The package's containers, and what they are.
    pub(super) async fn of(
        systems: &Systems,
        place: &Place,
        collection: &CollectionId,
        kept: &Kept,
    ) -> Result<(Self, Container), Error> {
        // One that is begun stays what it is, whatever the settings say by now.
        let (top, container) = match kept.folder {
            Some(known) => (known, kept.container),
            None => {
                let title = &kept.facts.title;
                let base = place.base(systems, collection, title).await?;
                let top = match place.container {
                    Container::Workspace => base,
                    other => match free(systems, base, collection, title).await? {
                        Spot::There(node) => node,
                        Spot::Free(name) => holder(systems, base, &name, other.inside()).await?,
                    },
                };
                (top, place.container)
            }
        };
        let inside = container.inside();
        let data = holder(systems, top, "data", inside).await?;
        let history = holder(systems, data, mhl::FOLDER, inside).await?;
        Ok((Self { top, history }, container))
    }

    pub(super) fn top(&self) -> NodeId {
        self.top
    }

    pub(super) fn of_path(&self, path: &str) -> NodeId {
        if path.contains('/') {
            self.history
        } else {
            self.top
        }
    }
}

/// The folder of a package that somebody has begun for this collection, as its papers say.
pub(super) async fn begun(
    systems: &Systems,
    place: &Place,
    collection: &CollectionId,
    title: &str,
) -> Result<Option<NodeId>, Error> {
    let base = place.base(systems, collection, title).await?;
    let top = match place.container {
        Container::Workspace => Some(base),
        Container::Folder | Container::Compound => {
            match free(systems, base, collection, title).await? {
                Spot::There(node) => Some(node),
                Spot::Free(_) => None,
            }
        }
    };
    Ok(match top {
        Some(top) if holds(systems, top, collection).await? == Some(true) => Some(top),
        _ => None,
    })
}

/// Where a package can go.
enum Spot {
    /// To a container that is there.
    There(NodeId),
    /// To a new one of that name.
    Free(String),
}

/// A container under the campaign's name that is ours or free; under that name and a suffix when
/// somebody else has it.
async fn free(
    systems: &Systems,
    base: NodeId,
    collection: &CollectionId,
    title: &str,
) -> Result<Spot, Error> {
    let map = |name: &str| systems.destination.map_name(name);
    let marker = super::marker(systems, collection, papers::LAST);
    for name in [map(title), suffixed(title, &marker, map)] {
        match again(|| systems.destination.child(base, &name)).await? {
            None => return Ok(Spot::Free(name)),
            Some(node) if node.container && is_ours(systems, node.id, collection).await? => {
                return Ok(Spot::There(node.id));
            }
            Some(_) => {}
        }
    }
    Err(Failure::item(
        Reason::NameTaken,
        format!("the names that a package of {title} could have are taken by other nodes"),
    )
    .into())
}

/// Whether a folder is a package of ours: empty but for its own folders, or with our paper in it.
async fn is_ours(
    systems: &Systems,
    folder: NodeId,
    collection: &CollectionId,
) -> Result<bool, Error> {
    if let Some(ours) = holds(systems, folder, collection).await? {
        return Ok(ours);
    }
    let destination = &systems.destination;
    let (children, more) = again(|| destination.children(folder, 1)).await?;
    Ok(!more
        && children
            .iter()
            .all(|child| child.container && child.name == "data"))
}

/// Whether the papers by which a package is known in a folder are ours; none where there are none.
async fn holds(
    systems: &Systems,
    folder: NodeId,
    collection: &CollectionId,
) -> Result<Option<bool>, Error> {
    let destination = &systems.destination;
    // Any of them may be the only one that somebody came to.
    for path in [papers::LAST, papers::CAMPAIGN, papers::INFO] {
        let Some(paper) = again(|| destination.child(folder, path)).await? else {
            continue;
        };
        let marker = super::marker(systems, collection, path);
        let versions = again(|| destination.versions(paper.id)).await?;
        let ours = versions.iter().any(|version| {
            VersionNote::parse(&version.description)
                .is_some_and(|note| note.marker.as_str() == marker)
        });
        return Ok(Some(ours));
    }
    Ok(None)
}

/// The container of that name, made when it is not there.
async fn holder(
    systems: &Systems,
    parent: NodeId,
    name: &str,
    kind: content_server::Container,
) -> Result<NodeId, Error> {
    let server = &systems.content_server;
    Ok(again(|| Box::pin(server.container_in(parent, name, kind))).await?)
}

fn passes(failure: &Failure) -> bool {
    matches!(
        failure.class,
        FailureClass::RetryNow | FailureClass::RetryLater | FailureClass::SignInAgain
    )
}

fn wait(attempt: u32) -> Duration {
    Duration::from_millis(100 << attempt.min(8))
}

/// A call that only looks, repeated while its failures pass.
pub(super) async fn again<'a, T>(call: impl Fn() -> Answer<'a, T>) -> Result<T, Failure> {
    let mut attempt = 0;
    loop {
        match call().await {
            Err(failure) if passes(&failure) && attempt < ATTEMPTS => {
                tokio::time::sleep(wait(attempt)).await;
                attempt += 1;
            }
            other => return other,
        }
    }
}
