//! `verify`: reads what is filed back and compares it with the record.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::{Stream, TryStreamExt};
use serde_json::json;
use tokio::time::Instant;

use super::output::{BAD, GOOD, styled};
use super::progress::{self, Shown};
use super::{Context, connect, words};
use crate::cli::exit::{Ended, Exit};
use crate::ledger::{Change, Entry, File, Item, Ledger};
use crate::pace::Pace;
use crate::transfer::{Destination, read_back};
use crate::types::{ByteCount, FailureClass, ItemId, Reason, RunId, Sha256Digest, display_bytes};

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
    /// Files that are checked at once [default: as many as `content_server.uploads`]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    at_once: Option<u16>,
}

const PAGE: usize = 200;
const ATTEMPTS: u32 = 6;

/// What the checks came to so far.
#[derive(Default)]
struct Tally {
    files: AtomicU64,
    bytes: AtomicU64,
    differ: AtomicU64,
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
        tally: Tally::default(),
    };
    let mut elsewhere = None;
    let (mut named, mut run) = (VecDeque::new(), None);
    let mut total = 0;
    if arguments.item.is_empty() {
        let found = ledger
            .run(arguments.run.map(RunId))
            .await?
            .ok_or_else(|| Ended::usage("the ledger has no such run"))?;
        elsewhere = (found.already_done > 0).then_some((found.id, found.already_done));
        let states = ledger.summary(found.id).await?;
        let done = states.iter().filter(|state| state.state == "done");
        total = done.map(|state| state.bytes).sum();
        run = Some(found.id);
    } else {
        for key in &arguments.item {
            let item = ledger
                .item_by_key(key)
                .await?
                .ok_or_else(|| Ended::usage(format!("the ledger has no item {key:?}")))?;
            total += item.bytes;
            named.push_back(item);
        }
    }
    let at_once = arguments
        .at_once
        .map_or(settings.content_server()?.uploads, u32::from);
    let checks = filed(&ledger, run, named)
        .map_ok(|(item, file)| {
            let check = &check;
            async move { check.file(&item, &file).await }
        })
        .try_buffer_unordered(usize::try_from(at_once).unwrap_or(1))
        .try_collect::<()>();
    let started = Instant::now();
    let shown = progress::show(Arc::clone(&context.output), || async {
        Some(check.tally.shown(total, started))
    });
    tokio::select! {
        checked = checks => checked?,
        () = shown => {}
    }
    let [files, bytes, differ] = check.tally.counts();
    context.output.event(
        "verified",
        json!({"files": files, "bytes": bytes, "level": arguments.level, "differ": differ}),
    );
    let what = if check.read {
        format!("read back, {}", display_bytes(bytes))
    } else {
        "sizes compared".to_owned()
    };
    let text = if differ == 0 {
        styled(GOOD, "all as recorded")
    } else {
        styled(BAD, format!("{differ} not as recorded"))
    };
    context.output.say(format!("{files} files {what}: {text}"));
    if let Some((run, items)) = elsewhere {
        context.output.say(format!(
            "{items} items that run {run} found done before belong to earlier runs; `--run` names one"
        ));
    }
    Ok(if differ == 0 {
        Exit::Done
    } else {
        Exit::Mismatch
    })
}

impl Tally {
    /// Files, bytes that were read, and files that are not as recorded.
    fn counts(&self) -> [u64; 3] {
        [&self.files, &self.bytes, &self.differ].map(|count| count.load(Ordering::Relaxed))
    }

    fn shown(&self, total: ByteCount, started: Instant) -> Shown {
        let [files, bytes, differ] = self.counts();
        let seconds = started.elapsed().as_secs().max(1);
        let mut text = format!(
            "{} files as recorded, {} of {} read back, {}/s",
            words::number(files - differ.min(files)),
            display_bytes(bytes),
            display_bytes(total.max(bytes)),
            display_bytes(bytes / seconds),
        );
        if differ > 0 {
            text.push_str(&format!(", {differ} not as recorded"));
        }
        Shown {
            text,
            json_type: "verifying",
            data: json!({"files": files, "bytes": bytes, "bytes_total": total, "differ": differ}),
        }
    }
}

/// The files of a run's done items, then those of the named ones, page by page.
fn filed(
    ledger: &Ledger,
    run: Option<RunId>,
    named: VecDeque<Item>,
) -> impl Stream<Item = anyhow::Result<(Arc<Item>, File)>> {
    struct Walk {
        run: Option<RunId>,
        after: ItemId,
        items: VecDeque<Item>,
        files: VecDeque<File>,
        /// The item whose files are listed, and where its next page begins.
        item: Option<(Arc<Item>, u64)>,
    }
    let walk = Walk {
        run,
        after: ItemId(0),
        items: named,
        files: VecDeque::new(),
        item: None,
    };
    futures::stream::try_unfold(walk, move |mut walk| async move {
        loop {
            if let (Some((item, _)), Some(file)) = (&walk.item, walk.files.pop_front()) {
                return Ok(Some(((Arc::clone(item), file), walk)));
            }
            if let Some((item, from)) = &mut walk.item {
                walk.files = ledger.files(item.id, *from, PAGE).await?.into();
                match walk.files.back() {
                    Some(last) => *from = last.seq + 1,
                    None => walk.item = None,
                }
            } else if let Some(next) = walk.items.pop_front() {
                walk.item = Some((Arc::new(next), 0));
            } else if let Some(run) = walk.run {
                walk.items = ledger
                    .items(run, Some("done"), walk.after, PAGE)
                    .await?
                    .into();
                match walk.items.back() {
                    Some(last) => walk.after = last.id,
                    None => walk.run = None,
                }
            } else {
                return Ok(None);
            }
        }
    })
}

struct Check<'a> {
    context: &'a Context,
    ledger: &'a Ledger,
    destination: &'a dyn Destination,
    pace: &'a Pace,
    read: bool,
    tally: Tally,
}

impl Check<'_> {
    /// Compares one file with the record.
    async fn file(&self, item: &Item, file: &File) -> anyhow::Result<()> {
        let count = |count: &AtomicU64| count.fetch_add(1, Ordering::Relaxed);
        if !self.is_as_recorded(item, file).await? {
            count(&self.tally.differ);
        }
        count(&self.tally.files);
        Ok(())
    }

    async fn is_as_recorded(&self, item: &Item, file: &File) -> anyhow::Result<bool> {
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
            let mut count = |read: &[u8]| {
                let len = read.len() as u64;
                self.tally.bytes.fetch_add(len, Ordering::Relaxed);
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
        Ok(true)
    }

    async fn differs(&self, item: &Item, file: &File, what: &str) -> anyhow::Result<bool> {
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
        Ok(false)
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
