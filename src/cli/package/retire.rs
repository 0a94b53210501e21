//! `package retire`: a packed campaign's originals are archived or removed in iconik.

use std::collections::BTreeMap;

use serde_json::json;

use super::opened;
use crate::cli::exit::{Ended, Exit};
use crate::cli::output::{BOLD, DIM, GOOD, WARN, styled};
use crate::cli::{Context, connect, signals, who};
use crate::flows::package::retire::{self, Originals, Retirement, Step};
use crate::flows::package::{Bench, Place};
use crate::types::RunId;

/// Archive or remove a packed campaign's originals in iconik, as `package.originals` says
///
/// An asset goes only when its package is complete, every version of it is filed as iconik has it
/// now, was read back from Content Server and is still there, no hold protects it, and no other
/// collection has it; otherwise it is kept, with the reason, and the exit code is 3. What is
/// removed goes into iconik's recycle bin; the asset, its proxies and its metadata stay. Safe to
/// repeat, and to go on with after a kill.
///
/// Examples:
///   longhaul package retire --dry-run
///   longhaul package retire --yes --because 'campaign over, ticket 4711'
///   longhaul package retire --read-back --yes --because 'board decision 12/26'
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Arguments {
    /// Read every byte back from Content Server once more before
    #[arg(long)]
    read_back: bool,
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Do it: what is removed can be brought back only while it is in iconik's recycle bin
    #[arg(long, conflicts_with = "dry_run")]
    yes: bool,
    /// Why, for the journal and iconik's history
    #[arg(long, value_name = "TEXT", required_unless_present = "dry_run")]
    because: Option<String>,
    /// The collection [default: the only one that has a package]
    #[arg(long, value_name = "ID")]
    collection: Option<String>,
}

pub(super) async fn run(context: &Context, arguments: Arguments) -> anyhow::Result<Exit> {
    let settings = context.settings(Vec::new())?;
    settings.systems()?;
    let originals = settings.package.originals.clone();
    if originals == Originals::Keep {
        return Err(Ended::usage(
            "`package.originals` keeps them; set it to \"status\", \"remove\" or { storage = \"ID\" } first",
        ));
    }
    if !arguments.dry_run && !arguments.yes {
        return Err(Ended::usage(
            "this changes what iconik has of the campaign: look with --dry-run, then say --yes",
        ));
    }
    let because = match &arguments.because {
        Some(text) => who::because(text)?.to_owned(),
        None => String::new(),
    };
    let (ledger, collection, kept) =
        opened(&settings, "package retire", arguments.collection).await?;
    let kept = kept
        .filter(|kept| kept.complete)
        .ok_or_else(|| {
            Ended::usage(format!(
                "the package of {collection} is not complete; `longhaul archive {collection} --package` goes on with it"
            ))
        })?;
    let connected = connect::connect(&settings).await?;
    let stop = signals::listen(std::sync::Arc::clone(&context.output))?;
    let pace = connect::pace(&settings);
    let engine = connect::engine(&settings, &connected, &ledger, &pace, stop.clone(), true)?;
    let place = Place::default();
    let bench = Bench {
        systems: &connected.systems,
        ledger: &ledger,
        engine: &engine,
        pace: &pace,
        run: RunId(0),
        place: &place,
    };
    let retirement = Retirement {
        originals,
        read_back: arguments.read_back,
        dry_run: arguments.dry_run,
        who: who::described(),
        because,
    };
    let mut counts: BTreeMap<Step, u64> = BTreeMap::new();
    let work = retire::retire(bench, &collection, &kept, &retirement, |decision| {
        *counts.entry(decision.step).or_default() += 1;
        let (style, said) = word(decision.step, arguments.dry_run);
        context.output.event(
            "package_retire",
            json!({
                "asset": decision.asset, "title": decision.title, "step": decision.step,
                "why": decision.why, "dry_run": arguments.dry_run,
            }),
        );
        if decision.step != Step::Before {
            context.output.say(format!(
                "{} {}: {}",
                styled(style, said),
                decision.title,
                decision.why
            ));
        }
    });
    tokio::select! {
        done = work => done?,
        () = stop.drain.cancelled() => {
            context.output.say("stopped; the same command goes on");
            return Ok(Exit::Stopped);
        }
    }
    let of = |step: Step| counts.get(&step).copied().unwrap_or(0);
    context.output.event(
        "package_retired",
        json!({
            "collection": collection, "title": kept.facts.title, "dry_run": arguments.dry_run,
            "marked": of(Step::Marked), "archived": of(Step::Archived),
            "archiving": of(Step::Archiving), "removed": of(Step::Removed),
            "before": of(Step::Before), "kept": of(Step::Kept),
        }),
    );
    let counted: Vec<String> = counts
        .iter()
        .map(|(step, count)| format!("{count} {}", word(*step, arguments.dry_run).1))
        .collect();
    context.output.say(format!(
        "{}: {}",
        styled(BOLD, &kept.facts.title),
        counted.join(", ")
    ));
    Ok(match (of(Step::Kept), of(Step::Archiving)) {
        (0, 0) => Exit::Done,
        (0, _) => Exit::Stopped,
        _ => Exit::Held,
    })
}

fn word(step: Step, dry_run: bool) -> (anstyle::Style, &'static str) {
    match (step, dry_run) {
        (Step::Marked, false) => (GOOD, "shown as archived"),
        (Step::Marked, true) => (GOOD, "would be shown as archived"),
        (Step::Archived, false) => (GOOD, "archived"),
        (Step::Archived, true) => (GOOD, "would be archived"),
        (Step::Removed, false) => (GOOD, "removed"),
        (Step::Removed, true) => (GOOD, "would be removed"),
        (Step::Archiving, _) => (DIM, "being archived"),
        (Step::Before, _) => (DIM, "as before"),
        (Step::Kept, _) => (WARN, "kept"),
    }
}
