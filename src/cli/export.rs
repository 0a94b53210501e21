//! `export`: writes a filed master out again; the segments of a split one are joined.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::json;

use super::{Context, connect};
use crate::cli::exit::{Ended, Exit};
use crate::transfer::Whole;
use crate::types::{Failure, NodeId, Reason, Sha256Digest, display_bytes};

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

pub(super) const ATTEMPTS: u32 = 6;

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
    let content = Whole::find(&destination, node).await?;
    let size = content.size();
    let digest = if to_stdout {
        content
            .read(&destination, &pace, ATTEMPTS, &mut |bytes| {
                context.output.raw(bytes).map_err(unwritten)
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
        let digest = content
            .read(&destination, &pace, ATTEMPTS, &mut |bytes| {
                file.write_all(bytes).map_err(unwritten)
            })
            .await?;
        expect(&content, digest)?;
        file.as_file().sync_all()?;
        file.persist_noclobber(&arguments.to)
            .with_context(|| format!("writing {}", arguments.to.display()))?;
        digest
    };
    expect(&content, digest)?;
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

/// Compares what was read with what the destination has a note of.
fn expect(content: &Whole, digest: Sha256Digest) -> anyhow::Result<()> {
    match content.sha256 {
        Some(expected) if expected != digest => Err(Ended(
            Exit::Mismatch,
            format!("what was read hashes to {digest}, which is not what was filed"),
        )
        .into()),
        _ => Ok(()),
    }
}

pub(super) fn unwritten(error: std::io::Error) -> Failure {
    Failure::item(Reason::Other, format!("writing what was read: {error}"))
}
