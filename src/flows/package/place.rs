//! The folders of a package: found again or made.

use std::time::Duration;

use super::facts::Kept;
use crate::flows::{Error, Systems};
use crate::sidecar::mhl;
use crate::transfer::{Answer, suffixed};
use crate::types::{Failure, FailureClass, NodeId, Reason, VersionNote};

const ATTEMPTS: u32 = 8;

/// The folders that papers go to.
pub(super) struct Folders {
    top: NodeId,
    history: NodeId,
}

impl Folders {
    /// The package's folders. `marker` is that of the paper by which a folder is known as ours.
    pub(super) async fn of(systems: &Systems, kept: &Kept, marker: &str) -> Result<Self, Error> {
        let top = match kept.folder {
            None => top(systems, &kept.facts.title, marker).await?,
            Some(known) => known,
        };
        let data = folder(systems, top, "data").await?;
        let history = folder(systems, data, mhl::FOLDER).await?;
        Ok(Self { top, history })
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

/// A folder under the campaign's name that is ours or free; under that name and a suffix when
/// somebody else has it.
async fn top(systems: &Systems, title: &str, marker: &str) -> Result<NodeId, Error> {
    let map = |name: &str| systems.destination.map_name(name);
    for name in [map(title), suffixed(title, marker, map)] {
        match again(|| systems.destination.child(systems.target, &name)).await? {
            None => return folder(systems, systems.target, &name).await,
            Some(node) if node.container && is_ours(systems, node.id, marker).await? => {
                return Ok(node.id);
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
async fn is_ours(systems: &Systems, folder: NodeId, marker: &str) -> Result<bool, Error> {
    let destination = &systems.destination;
    if let Some(paper) = again(|| destination.child(folder, super::papers::LAST)).await? {
        let versions = again(|| destination.versions(paper.id)).await?;
        return Ok(versions.iter().any(|version| {
            VersionNote::parse(&version.description)
                .is_some_and(|note| note.marker.as_str() == marker)
        }));
    }
    let (children, more) = again(|| destination.children(folder, 1)).await?;
    Ok(!more
        && children
            .iter()
            .all(|child| child.container && child.name == "data"))
}

/// The folder of that name, made when it is not there.
async fn folder(systems: &Systems, parent: NodeId, name: &str) -> Result<NodeId, Error> {
    let path = [name.to_owned()];
    let made = again(|| Box::pin(systems.content_server.folder_at(parent, &path)));
    Ok(made.await?)
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
