//! `verify`: reads what is filed back and compares it with the record.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::json;

use super::output::{BAD, GOOD, styled};
use super::{Context, connect};
use crate::cli::exit::{Ended, Exit};
use crate::ledger::{Change, Entry, File, Item, Ledger};
use crate::pace::Pace;
use crate::transfer::{Destination, read_back};
use crate::types::{FailureClass, ItemId, Reason, RunId, Sha256Digest, display_bytes};

/// Read back what a run or an item filed, hash it, and compare with the record. Nothing is
/// repaired; every difference is named.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The run [default: the last]
    #[arg(long, value_name = "N", conflicts_with = "item")]
    run: Option<i64>,
    /// Items, by key as `status` shows them
    #[arg(long, value_name = "KEY")]
    item: Vec<String>,
    /// How far: read-back, or size alone
    #[arg(long, value_name = "LEVEL", default_value = "read-back", value_parser = ["read-back", "size"])]
    level: String,
}

const PAGE: usize = 200;
const ATTEMPTS: u32 = 6;

/// What the checks came to.
#[derive(Default)]
struct Tally {
    files: u64,
    bytes: Arc<AtomicU64>,
    exits: Vec<Exit>,
}

pub(crate) async fn run(context: &Context, arguments: Arguments) -> anyhow::Result<Exit> {
    let settings = context.settings(Vec::new())?;
    let ledger = connect::open_ledger(connect::must_exist(&settings)?, "verify")?;
    let http = connect::http_client(&settings)?;
    let destination = connect::content_server(&settings, &http).await?;
    let pace = connect::pace(&settings);
    let check = Check {
        context,
        ledger: &ledger,
        destination: &destination,
        pace: &pace,
        read: arguments.level == "read-back",
    };
    let mut tally = Tally::default();
    let mut elsewhere = None;
    if arguments.item.is_empty() {
        let run = ledger
            .run(arguments.run.map(RunId))
            .await?
            .ok_or_else(|| Ended::usage("the ledger has no such run"))?;
        elsewhere = (run.already_done > 0).then_some((run.id, run.already_done));
        let mut after = ItemId(0);
        loop {
            let items = ledger.items(run.id, Some("done"), after, PAGE).await?;
            let Some(last) = items.last() else { break };
            after = last.id;
            for item in &items {
                check.item(item, &mut tally).await?;
            }
        }
    } else {
        for key in &arguments.item {
            let item = ledger
                .item_by_key(key)
                .await?
                .ok_or_else(|| Ended::usage(format!("the ledger has no item {key:?}")))?;
            check.item(&item, &mut tally).await?;
        }
    }
    let bytes = tally.bytes.load(Ordering::Relaxed);
    let bad = tally
        .exits
        .iter()
        .filter(|exit| **exit != Exit::Done)
        .count();
    let exit = Exit::of_all(tally.exits);
    context.output.event(
        "verified",
        json!({"files": tally.files, "bytes": bytes, "level": arguments.level, "differ": bad}),
    );
    let what = if check.read {
        format!("read back, {}", display_bytes(bytes))
    } else {
        "sizes compared".to_owned()
    };
    let text = if bad == 0 {
        styled(GOOD, "all as recorded")
    } else {
        styled(BAD, format!("{bad} not as recorded"))
    };
    context
        .output
        .say(format!("{} files {what}: {text}", tally.files));
    if let Some((run, items)) = elsewhere {
        context.output.say(format!(
            "{items} items that run {run} found done before belong to earlier runs; `--run` names one"
        ));
    }
    Ok(exit)
}

struct Check<'a> {
    context: &'a Context,
    ledger: &'a Ledger,
    destination: &'a dyn Destination,
    pace: &'a Pace,
    read: bool,
}

impl Check<'_> {
    async fn item(&self, item: &Item, tally: &mut Tally) -> anyhow::Result<()> {
        let mut from = 0;
        loop {
            let files = self.ledger.files(item.id, from, PAGE).await?;
            let Some(last) = files.last() else {
                return Ok(());
            };
            from = last.seq + 1;
            for file in &files {
                let exit = self.file(item, file, tally).await?;
                tally.files += 1;
                tally.exits.push(exit);
            }
        }
    }

    async fn file(&self, item: &Item, file: &File, tally: &mut Tally) -> anyhow::Result<Exit> {
        let recorded = (|| {
            let digest: [u8; 32] = file.sha256.as_deref()?.try_into().ok()?;
            Some((file.node?, file.version?, Sha256Digest(digest)))
        })();
        let Some((node, version, digest)) = recorded else {
            return self
                .differs(item, file, "the record has no node, version or digest")
                .await;
        };
        let stored = match self.destination.versions(node).await {
            Ok(versions) => versions.into_iter().find(|stored| stored.number == version),
            Err(failure)
                if failure.reason == Reason::Inaccessible || failure.reason == Reason::NotFound =>
            {
                None
            }
            Err(failure) => return Err(failure.into()),
        };
        let Some(stored) = stored else {
            return self
                .differs(
                    item,
                    file,
                    &format!("node {node} version {version} is gone or may not be seen"),
                )
                .await;
        };
        if stored.size != file.size {
            return self
                .differs(
                    item,
                    file,
                    &format!("it holds {} bytes instead of {}", stored.size, file.size),
                )
                .await;
        }
        if self.read {
            let bytes = Arc::clone(&tally.bytes);
            let mut count = move |read: &[u8]| {
                bytes.fetch_add(read.len() as u64, Ordering::Relaxed);
                Ok(())
            };
            match read_back(
                self.destination,
                self.pace,
                node,
                version,
                file.size,
                ATTEMPTS,
                &mut count,
            )
            .await
            {
                Ok(found) if found == digest => {}
                Ok(found) => {
                    return self
                        .differs(
                            item,
                            file,
                            &format!("it hashes to {found}, the record says {digest}"),
                        )
                        .await;
                }
                Err(failure) if failure.class == FailureClass::ItemIsWrong => {
                    return self.differs(item, file, &failure.message).await;
                }
                Err(failure) => return Err(failure.into()),
            }
        }
        let level = if self.read { "read-back" } else { "size" };
        self.note(
            item,
            file,
            "verified",
            json!({"node": node, "version": version, "sha256": digest, "level": level}),
        )
        .await?;
        self.context.output.event("file", json!({"item": item.key, "file": file.name, "node": node, "version": version, "sha256": digest, "as_recorded": true}));
        Ok(Exit::Done)
    }

    async fn differs(&self, item: &Item, file: &File, what: &str) -> anyhow::Result<Exit> {
        self.context.output.say(format!(
            "{} {} of {}: {what}",
            styled(BAD, "differs"),
            file.name,
            item.title
        ));
        self.context.output.event("file", json!({"item": item.key, "file": file.name, "node": file.node, "as_recorded": false, "message": what}));
        self.note(
            item,
            file,
            "differs",
            json!({"what": what, "node": file.node, "version": file.version}),
        )
        .await?;
        Ok(Exit::Mismatch)
    }

    async fn note(
        &self,
        item: &Item,
        file: &File,
        event: &str,
        data: serde_json::Value,
    ) -> anyhow::Result<()> {
        let entry = Entry {
            run: Some(item.run),
            item: Some(item.id),
            file: Some(file.id),
            event: event.into(),
            data: data.to_string(),
        };
        Ok(self.ledger.apply(Change::new().journal(entry)).await?)
    }
}
