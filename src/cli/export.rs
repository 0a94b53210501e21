//! `export`: writes a filed master out again; the segments of a split one are joined.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use futures::StreamExt;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::{Context, connect};
use crate::cli::exit::{Ended, Exit};
use crate::pace::Pace;
use crate::transfer::{Destination, JoinManifest, read_back};
use crate::types::{
    ByteCount, Failure, NodeId, Reason, Role, Sha256Digest, VersionNote, VersionNumber,
    display_bytes,
};

/// Write a filed master to a file or standard output, comparing its SHA-256 on the way. A split
/// master's segments are joined.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The item, by key as `status` shows it
    #[arg(long, value_name = "KEY", required_unless_present = "node")]
    item: Option<String>,
    /// A document, or the folder of a split master, by node id; works without a ledger
    #[arg(long, value_name = "NODE", conflicts_with = "item")]
    node: Option<i64>,
    /// Where to write: a file that does not exist yet, or - for standard output
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
}

/// What to write, in order, and the digest of all of it.
pub(super) struct Content {
    pub(super) pieces: Vec<(NodeId, VersionNumber, ByteCount)>,
    pub(super) sha256: Option<Sha256Digest>,
}

const ATTEMPTS: u32 = 6;

pub(crate) async fn run(context: &Context, arguments: Arguments) -> anyhow::Result<Exit> {
    let settings = context.settings(Vec::new())?;
    let to_stdout = arguments.to == Path::new("-");
    if to_stdout && context.output.json() {
        return Err(Ended::usage(
            "--json and --to - would mix on standard output; name a file",
        ));
    }
    if !to_stdout && arguments.to.exists() {
        return Err(Ended::usage(format!(
            "{} exists; export does not overwrite",
            arguments.to.display()
        )));
    }
    let http = connect::http_client(&settings)?;
    let destination = connect::content_server(&settings, &http).await?;
    let pace = connect::pace(&settings);
    let node = match (&arguments.item, arguments.node) {
        (Some(key), _) => {
            let item = connect::existing_ledger(&settings)?
                .item_by_key(key)?
                .ok_or_else(|| Ended::usage(format!("the ledger has no item {key:?}")))?;
            let node = item.node.ok_or_else(|| {
                Ended::usage(format!(
                    "{} is not filed yet: it is {}",
                    item.title, item.state
                ))
            })?;
            if item.kind == "folder" {
                return Err(Ended::usage(format!(
                    "{} is a folder of {} files; export its documents by --node",
                    item.title, item.files
                )));
            }
            node
        }
        (None, Some(node)) => NodeId(node),
        (None, None) => return Err(Ended::usage("name an --item or a --node")),
    };
    let content = find(&destination, node).await?;
    let size: ByteCount = content.pieces.iter().map(|(_, _, size)| size).sum();
    let digest = if to_stdout {
        write(&destination, &pace, &content, |bytes| {
            context.output.raw(bytes)
        })
        .await?
    } else {
        let folder = match arguments.to.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        if !folder.is_dir() {
            return Err(Ended::usage(format!(
                "there is no directory {}; create it first",
                folder.display()
            )));
        }
        let mut file = tempfile::NamedTempFile::new_in(folder)
            .with_context(|| format!("writing in {}", folder.display()))?;
        let digest = write(&destination, &pace, &content, |bytes| file.write_all(bytes)).await?;
        file.as_file().sync_all()?;
        file.persist_noclobber(&arguments.to)
            .with_context(|| format!("writing {}", arguments.to.display()))?;
        digest
    };
    if !to_stdout {
        context.output.say(format!(
            "{} to {}, sha256 {digest}",
            display_bytes(size),
            arguments.to.display()
        ));
        context.output.event(
            "exported",
            json!({"node": node, "bytes": size, "sha256": digest, "to": arguments.to}),
        );
    }
    Ok(Exit::Done)
}

pub(super) async fn find(destination: &dyn Destination, id: NodeId) -> anyhow::Result<Content> {
    let node = destination.node(id).await?;
    if !node.container {
        let versions = destination.versions(id).await?;
        let last = versions
            .last()
            .ok_or_else(|| Ended::usage(format!("node {id} has no version")))?;
        let sha256 = VersionNote::parse(&last.description).and_then(|note| note.sha256);
        return Ok(Content {
            pieces: vec![(id, last.number, last.size)],
            sha256,
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
            Ended::usage(format!(
                "node {id} is a folder without a {} manifest",
                Role::Join.name()
            ))
        })?;
    let version = destination
        .versions(join.id)
        .await?
        .last()
        .map_or(VersionNumber(1), |version| version.number);
    let mut bytes = Vec::new();
    let mut body = destination.read(join.id, version, 0).await?;
    while let Some(chunk) = body.next().await {
        bytes.extend_from_slice(&chunk?);
        anyhow::ensure!(
            bytes.len() < 32 << 20,
            "node {} is too large for a joining manifest",
            join.id
        );
    }
    let manifest: JoinManifest = serde_json::from_slice(&bytes).with_context(|| {
        format!(
            "node {} is no joining manifest of this version of longhaul",
            join.id
        )
    })?;
    let mut pieces = Vec::with_capacity(manifest.segments.len());
    for segment in &manifest.segments {
        let node = children
            .iter()
            .find(|child| child.name == segment.name)
            .ok_or_else(|| {
                Ended(
                    Exit::Mismatch,
                    format!("segment {} is missing from node {id}", segment.name),
                )
            })?;
        let version = destination.versions(node.id).await?;
        let version = version.last().ok_or_else(|| {
            Ended(
                Exit::Mismatch,
                format!("segment {} has no version", segment.name),
            )
        })?;
        pieces.push((node.id, version.number, segment.size));
    }
    Ok(Content {
        pieces,
        sha256: Some(manifest.sha256),
    })
}

/// Writes the pieces one after the other; the digest of what was written.
pub(super) async fn write(
    destination: &dyn Destination,
    pace: &Pace,
    content: &Content,
    mut sink: impl FnMut(&[u8]) -> std::io::Result<()> + Send,
) -> anyhow::Result<Sha256Digest> {
    let mut hasher = Sha256::new();
    let mut write = |bytes: &[u8]| {
        hasher.update(bytes);
        sink(bytes).map_err(|error| {
            Failure::item(Reason::Other, format!("writing what was read: {error}"))
        })
    };
    for (node, version, size) in &content.pieces {
        read_back(
            destination,
            pace,
            *node,
            *version,
            *size,
            ATTEMPTS,
            &mut write,
        )
        .await?;
    }
    let digest = Sha256Digest(hasher.finalize().into());
    if content.sha256.is_some_and(|expected| expected != digest) {
        return Err(Ended(
            Exit::Mismatch,
            format!("what was read hashes to {digest}, which is not what was filed"),
        )
        .into());
    }
    Ok(digest)
}
