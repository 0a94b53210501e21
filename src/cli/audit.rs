//! `audit`: the chained journal.

use std::collections::BTreeSet;
use std::path::PathBuf;

use futures::TryStreamExt as _;
use serde_json::{Value, json};

use super::Context;
use super::exit::{Ended, Exit};
use super::new_file::NewFile;
use super::output::{BAD, DIM, GOOD, styled};
use crate::ledger::{Chain, Reader};
use crate::report::trail::{self, Form};
use crate::settings::Resolved;
use crate::types::{CollectionId, ItemId, RunId};

/// Show the journal of a run or an item, or check the chain of digests over all of it.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    /// Lines of this run
    #[arg(long, value_name = "N")]
    run: Option<i64>,
    /// Lines of this item (its key, as `status` shows it)
    #[arg(long, value_name = "KEY")]
    item: Option<String>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Check that no line of the journal was changed, removed or added
    Verify,
    Report(Report),
}

/// Write the audit trail of assets: what is filed, who approved which content and when, and what
/// happened to it since.
///
/// The whole journal is read and its chain checked on the way; a broken chain ends with 65 and says
/// so in the report.
///
/// Examples:
///   longhaul audit report --asset ASSET --out trail.html
///   longhaul audit report --collection COLLECTION --out trail.xml     # PREMIS 3.0
///   longhaul audit report --out trail.csv                             # everything
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
struct Report {
    /// Only this asset; may be given several times
    #[arg(long, value_name = "ASSET")]
    asset: Vec<String>,
    /// Only the assets that this collection holds now, at any depth
    #[arg(long, value_name = "COLLECTION")]
    collection: Option<String>,
    /// The file to write; its ending says how: .html, .csv, .json or .xml (PREMIS)
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Replace the file
    #[arg(long)]
    force: bool,
}

const PAGE: usize = 1000;

pub(crate) async fn run(context: &Context, arguments: &Arguments) -> anyhow::Result<Exit> {
    let settings = context.settings(Vec::new())?;
    let output = &context.output;
    let ledger = super::connect::existing_ledger(&settings)?;
    match &arguments.command {
        Some(Command::Verify) => return verify(context, &ledger),
        Some(Command::Report(report)) => return trail(context, &settings, &ledger, report).await,
        None => {}
    }
    let item = match &arguments.item {
        None => None,
        Some(key) => Some(
            ledger
                .item_by_key(key)?
                .ok_or_else(|| {
                    Ended::usage(format!(
                        "the ledger has no item {key:?}; `longhaul status` shows keys"
                    ))
                })?
                .id,
        ),
    };
    let mut after = 0;
    loop {
        let lines = ledger.journal(arguments.run.map(RunId), item, after, PAGE)?;
        let Some(last) = lines.last() else { break };
        after = last.seq;
        for line in &lines {
            let at = jiff::Timestamp::from_millisecond(line.at)
                .map_or_else(|_| String::new(), |at| at.to_string());
            let subject = match line.item {
                Some(ItemId(id)) => format!("item {id}"),
                None => String::from("run"),
            };
            output.say(format!(
                "{} {subject:>9}  {:<16} {}",
                styled(DIM, &at),
                line.event,
                line.data
            ));
            let data: Value = serde_json::from_str(&line.data).unwrap_or_default();
            output.event(
                "journal",
                json!({"seq": line.seq, "at": at, "run": line.run, "item": line.item, "file": line.file, "event": line.event, "data": data, "digest": line.digest}),
            );
        }
    }
    Ok(Exit::Done)
}

fn verify(context: &Context, ledger: &Reader) -> anyhow::Result<Exit> {
    match ledger.verify_chain()? {
        Chain::Whole { lines, digest } => {
            context.output.event(
                "audit",
                json!({"intact": true, "lines": lines, "digest": digest}),
            );
            context
                .output
                .say(styled(GOOD, format!("{lines} journal lines, chain intact")));
            context.output.say(styled(
                DIM,
                format!("the last line's digest, to keep elsewhere: {digest}"),
            ));
            Ok(Exit::Done)
        }
        Chain::Broken { seq, why } => {
            context.output.event(
                "audit",
                json!({"intact": false, "first_bad_line": seq, "why": why.to_string()}),
            );
            Err(Ended(
                Exit::Mismatch,
                format!("the journal was changed: line {seq}: {why}"),
            )
            .into())
        }
    }
}

async fn trail(
    context: &Context,
    settings: &Resolved,
    ledger: &Reader,
    report: &Report,
) -> anyhow::Result<Exit> {
    let form = match report.out.extension().and_then(|ending| ending.to_str()) {
        Some("html" | "htm") => Form::Html,
        Some("csv") => Form::Csv,
        Some("json") => Form::Json,
        Some("xml") => Form::Premis,
        _ => {
            return Err(Ended::usage(format!(
                "--out {} ends in none of .html, .csv, .json and .xml, which say what is written",
                report.out.display()
            )));
        }
    };
    let file = NewFile::at(&report.out, &settings.ledger.path, report.force)?;
    let assets = wanted(settings, report).await?;
    for asset in report.asset.iter() {
        if ledger.items_below(&format!("{asset}/"), 1)?.is_empty() {
            return Err(Ended::usage(format!(
                "the ledger knows nothing of asset {asset}"
            )));
        }
    }
    let written = file.write(|writer| Ok(trail::write(ledger, assets.as_ref(), form, writer)?))?;
    let output = &context.output;
    output.event(
        "audit_report",
        json!({
            "assets": written.assets, "lines": written.lines, "intact": written.intact,
            "head": written.head, "file": file.path(),
        }),
    );
    output.say(format!(
        "{} files of {} assets and {} events written to {}",
        written.files,
        written.assets,
        written.lines,
        file.path().display()
    ));
    if written.intact {
        output.say(styled(GOOD, "chain intact"));
        return Ok(Exit::Done);
    }
    output.say(styled(BAD, "the journal was changed"));
    verify(context, ledger)
}

/// The assets that are asked for; none for all.
async fn wanted(settings: &Resolved, report: &Report) -> anyhow::Result<Option<BTreeSet<String>>> {
    if report.asset.is_empty() && report.collection.is_none() {
        return Ok(None);
    }
    let mut assets: BTreeSet<String> = report.asset.iter().cloned().collect();
    if let Some(collection) = &report.collection {
        let http = super::connect::http_client(settings)?;
        let iconik = super::connect::iconik(settings, &http).await?;
        let mut found = iconik.walk(&CollectionId(collection.clone()));
        while let Some(found) = found.try_next().await? {
            assets.insert(found.id);
        }
    }
    Ok(Some(assets))
}
