//! Looks over what the destination holds without changing it: versions that carry a marker.

use std::collections::HashSet;

use futures::{StreamExt, TryStreamExt, stream};

use super::Shared;
use super::ends::{Destination, Node};
use crate::ledger::Adopted;
use crate::types::{Failure, NodeId, Reason, VersionNote, VersionNumber};

/// Documents whose versions are asked for at the same time.
const AT_ONCE: usize = 8;

/// Folders between a file and staging: an item's own and those of a card's directories.
const FOLDERS: usize = 16;

/// One page of a walk.
#[derive(Debug)]
pub struct Seen {
    /// The folder it is of.
    pub folder: NodeId,
    /// Documents on the page.
    pub documents: u64,
    /// Versions of longhaul's among theirs.
    pub versions: Vec<Adopted>,
    /// Folders and documents that may not be seen.
    pub closed: Vec<NodeId>,
}

/// Walks everything below `tops`, page by page. What may not be seen is named, not passed over in
/// silence. Memory holds one page and the folders still to come of the pages above it.
///
/// # Errors
///
/// The destination's failure, unless it is that one node may not be seen; or what `each` fails with.
pub async fn survey<E: From<Failure>>(
    destination: &dyn Destination,
    tops: &[NodeId],
    mut each: impl AsyncFnMut(Seen) -> Result<(), E>,
) -> Result<(), E> {
    let mut walked = HashSet::new();
    let mut open: Vec<(NodeId, u32)> = tops.iter().rev().map(|top| (*top, 1)).collect();
    while let Some((folder, page)) = open.pop() {
        // A folder that was named and lies within another that was named is walked once.
        if page == 1 && tops.contains(&folder) && !walked.insert(folder) {
            continue;
        }
        let mut seen = Seen {
            folder,
            documents: 0,
            versions: Vec::new(),
            closed: Vec::new(),
        };
        let (children, more) = match destination.children(folder, page).await {
            Ok(found) => found,
            Err(failure) if hidden(&failure) => {
                seen.closed.push(folder);
                each(seen).await?;
                continue;
            }
            Err(failure) => return Err(failure.into()),
        };
        if more {
            open.push((folder, page + 1));
        }
        let (folders, mut documents): (Vec<Node>, Vec<Node>) =
            children.into_iter().partition(|node| node.container);
        documents.retain(Node::is_document);
        open.extend(folders.iter().map(|node| (node.id, 1)));
        seen.documents = documents.len() as u64;
        let found: Vec<(NodeId, Option<Vec<Adopted>>)> = stream::iter(documents)
            .map(|node| async move {
                match versions_of(destination, node.id).await {
                    Ok(versions) => Ok((node.id, Some(versions))),
                    Err(failure) if hidden(&failure) => Ok((node.id, None)),
                    Err(failure) => Err(failure),
                }
            })
            .buffered(AT_ONCE)
            .try_collect()
            .await?;
        for (node, versions) in found {
            match versions {
                Some(versions) => seen.versions.extend(versions),
                None => seen.closed.push(node),
            }
        }
        each(seen).await?;
    }
    Ok(())
}

fn hidden(failure: &Failure) -> bool {
    matches!(failure.reason, Reason::Inaccessible | Reason::NotFound)
}

async fn versions_of(destination: &dyn Destination, node: NodeId) -> Result<Vec<Adopted>, Failure> {
    let versions = destination.versions(node).await?;
    Ok(versions
        .into_iter()
        .filter_map(|version| {
            let note = VersionNote::parse(&version.description)?;
            Some(Adopted {
                marker: note.marker.to_string(),
                node,
                version: version.number,
                size: version.size,
                sha256: note.sha256.map(|digest| digest.0.to_vec()),
            })
        })
        .collect())
}

impl Shared {
    /// Documents that a survey found under one of these markers and that are still there.
    pub(super) async fn adopted(&self, markers: Vec<String>) -> Result<Vec<Node>, Failure> {
        let known = self
            .ledger
            .adopted(markers)
            .await
            .map_err(super::ledger_failure)?;
        let mut found = Vec::new();
        for id in known {
            match self.destination.node(id).await {
                Ok(node) => found.push(node),
                // Deleted since, or closed to us: it is nowhere for our purposes.
                Err(failure) if hidden(&failure) => {}
                Err(failure) => return Err(failure),
            }
        }
        Ok(found)
    }
}

/// The name that something in staging gets when it is no longer to be published.
pub fn set_aside_name(marker: &str, node: NodeId) -> String {
    format!("set-aside {marker} {node}")
}

/// What became of a stored version that a person wants to be filed afresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetAside {
    /// Nobody sees it any more; it keeps its bytes under another name in staging.
    Renamed,
    /// It was gone already.
    Gone,
    /// People can see it: taking it away is their decision.
    Published {
        /// Where it is.
        parent: NodeId,
    },
}

/// Takes a stored version out of the way of its bytes being filed afresh, if it is still in
/// staging. Safe to repeat.
///
/// # Errors
///
/// The destination's failure.
pub async fn set_aside(
    destination: &dyn Destination,
    staging: NodeId,
    marker: &str,
    node: NodeId,
    version: VersionNumber,
) -> Result<SetAside, Failure> {
    let versions = match destination.versions(node).await {
        Ok(versions) => versions,
        Err(failure) if hidden(&failure) => return Ok(SetAside::Gone),
        Err(failure) => return Err(failure),
    };
    if versions.iter().all(|stored| stored.number != version) {
        return Ok(SetAside::Gone);
    }
    let parent = destination.node(node).await?.parent;
    // The folder of an item of many files, and folders in it, wait in staging themselves.
    let mut above = parent;
    for _ in 0..FOLDERS {
        if above == staging {
            break;
        }
        above = destination.node(above).await?.parent;
    }
    if above != staging {
        return Ok(SetAside::Published { parent });
    }
    destination
        .rename(node, &set_aside_name(marker, node))
        .await?;
    Ok(SetAside::Renamed)
}
