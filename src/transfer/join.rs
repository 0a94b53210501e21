//! A filed master as it is read again: one version, or the segments of a split one in order.

use futures::StreamExt as _;
use sha2::{Digest as _, Sha256};

use super::plan::JoinManifest;
use super::verify::read_back;
use super::{Destination, Node};
use crate::pace::Pace;
use crate::types::{
    ByteCount, Failure, FailureClass, NodeId, Reason, Role, Sha256Digest, VersionNote,
    VersionNumber,
};

/// The largest manifest that is read.
const MANIFEST_MAX: usize = 32 << 20;

/// What holds a filed master's bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whole {
    /// Node, version and size of each piece, in order.
    pub pieces: Vec<(NodeId, VersionNumber, ByteCount)>,
    /// SHA-256 of all of it, when that is noted at the destination.
    pub sha256: Option<Sha256Digest>,
}

impl Whole {
    /// One version of a document.
    pub fn version(node: NodeId, version: VersionNumber, size: ByteCount) -> Self {
        Self {
            pieces: vec![(node, version, size)],
            sha256: None,
        }
    }

    /// The newest version of a document, or the segments in a split master's folder.
    ///
    /// # Errors
    ///
    /// `NotFound` for a document without a version and a folder without a joining manifest,
    /// `Mismatch` when a segment is missing; otherwise as any read.
    pub async fn find(destination: &dyn Destination, id: NodeId) -> Result<Self, Failure> {
        let node = destination.node(id).await?;
        if let Some(original) = node.original {
            return Err(Failure::item(
                Reason::NotFound,
                format!(
                    "node {id} has no content of its own: it stands for node {original}; name that one"
                ),
            ));
        }
        if !node.container {
            let versions = destination.versions(id).await?;
            let last = versions.last().ok_or_else(|| {
                Failure::item(Reason::NotFound, format!("node {id} has no version"))
            })?;
            return Ok(Self {
                sha256: VersionNote::parse(&last.description).and_then(|note| note.sha256),
                ..Self::version(id, last.number, last.size)
            });
        }
        let mut page = 1;
        let mut children = Vec::new();
        loop {
            let (nodes, more) = destination.children(id, page).await?;
            children.extend(nodes);
            if !more {
                break;
            }
            page += 1;
        }
        let join = children
            .iter()
            .find(|child| child.name.ends_with(".join.json"))
            .ok_or_else(|| {
                Failure::item(
                    Reason::NotFound,
                    format!(
                        "node {id} is a folder without a {} manifest",
                        Role::Join.name()
                    ),
                )
            })?;
        let manifest = manifest(destination, join).await?;
        let mut pieces = Vec::with_capacity(manifest.segments.len());
        for segment in &manifest.segments {
            let missing = |what: String| Failure::item(Reason::Mismatch, what);
            let node = children
                .iter()
                .find(|child| child.name == segment.name)
                .ok_or_else(|| {
                    missing(format!(
                        "segment {} is missing from node {id}",
                        segment.name
                    ))
                })?;
            let versions = destination.versions(node.id).await?;
            let version = versions
                .last()
                .ok_or_else(|| missing(format!("segment {} has no version", segment.name)))?;
            if version.size != segment.size {
                return Err(missing(format!(
                    "segment {} holds {} bytes, filed were {}",
                    segment.name, version.size, segment.size
                )));
            }
            pieces.push((node.id, version.number, segment.size));
        }
        Ok(Self {
            pieces,
            sha256: Some(manifest.sha256),
        })
    }

    /// Bytes of all pieces.
    pub fn size(&self) -> ByteCount {
        self.pieces.iter().map(|(_, _, size)| size).sum()
    }

    /// Reads the pieces one after the other; the digest of what was read. `attempts` is for each
    /// piece, reading on from where it broke off.
    ///
    /// # Errors
    ///
    /// Those of [`read_back`]; what `sink` refuses.
    pub async fn read(
        &self,
        destination: &dyn Destination,
        pace: &Pace,
        attempts: u32,
        sink: &mut (dyn FnMut(&[u8]) -> Result<(), Failure> + Send),
    ) -> Result<Sha256Digest, Failure> {
        if let [(node, version, size)] = self.pieces.as_slice() {
            return read_back(destination, pace, *node, *version, *size, attempts, sink).await;
        }
        let mut hasher = Sha256::new();
        let mut both = |bytes: &[u8]| {
            hasher.update(bytes);
            sink(bytes)
        };
        for (node, version, size) in &self.pieces {
            read_back(
                destination,
                pace,
                *node,
                *version,
                *size,
                attempts,
                &mut both,
            )
            .await?;
        }
        Ok(Sha256Digest(hasher.finalize().into()))
    }
}

async fn manifest(destination: &dyn Destination, join: &Node) -> Result<JoinManifest, Failure> {
    let versions = destination.versions(join.id).await?;
    let version = versions
        .last()
        .map_or(VersionNumber(1), |version| version.number);
    let mut bytes = Vec::new();
    let mut body = destination.read(join.id, version, 0).await?;
    while let Some(chunk) = body.next().await {
        bytes.extend_from_slice(&chunk?);
        if bytes.len() > MANIFEST_MAX {
            return Err(Failure::item(
                Reason::Other,
                format!("node {} is too large for a joining manifest", join.id),
            ));
        }
    }
    serde_json::from_slice(&bytes).map_err(|error| {
        Failure::new(
            FailureClass::ItemIsWrong,
            Reason::Other,
            format!(
                "node {} is no joining manifest of this version of longhaul: {error}",
                join.id
            ),
        )
    })
}
