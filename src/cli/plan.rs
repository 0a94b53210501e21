//! `plan`: what a run would do, without doing it.
//!
//! Reads iconik, Content Server and the ledger, and changes none of them. Asset by asset as
//! decisions come, then the numbers.

mod explain;
mod report;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum;
use futures::stream::TryStreamExt as _;
use serde_json::Value;

use super::exit::{Ended, Exit};
use super::output::{BAD, DIM, GOOD, styled};
use super::run::{Moving, finality};
use super::select::{Filters, Selection};
use super::words::brief;
use super::{Context, archive, connect, migrate, publish, signals};
use crate::flows::package::{self, Foresight, Kept, key_of};
use crate::flows::plan::probe::{Chosen, probe};
use crate::flows::plan::saved::{FORMAT, Header, Writing};
use crate::flows::plan::{
    Action, Decision, Depth, Known, Planner, Rules, Totals, Verdict, Version,
};
use crate::ledger::Reader;
use crate::settings::{self, Resolved};
use crate::transfer::Oversize;
use crate::types::display_bytes;

/// Say what a run would do, how long it takes and what it costs; changes nothing
///
/// What moves, and why each asset is in or out. Changes nothing at either end.
///
/// Examples:
///   longhaul plan archive 8ae2c3d4-0000-11ee-8000-0242ac120002
///   longhaul plan archive 8ae2c3d4-0000-11ee-8000-0242ac120002 --depth listing --summary
///   longhaul plan migrate --query 'title:promo*' --min-size 1GiB --out friday.jsonl
///   longhaul plan migrate --search 5f0c3a52-0000-11ee-8000-0242ac120002 --summary --probe
///   longhaul plan migrate --csv library.csv --explain 0b1c2d3e-0000-11ee-8000-0242ac120002
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Planned,
}

#[derive(Debug, clap::Subcommand)]
enum Planned {
    /// Plan what `archive` would do
    ///
    /// Example: longhaul plan archive 8ae2c3d4-0000-11ee-8000-0242ac120002 --out friday.jsonl
    #[command(verbatim_doc_comment)]
    Archive {
        /// Say what a package would miss too: the edits are read for the media they use
        #[arg(long, conflicts_with_all = ["explain", "depth"])]
        package: bool,
        #[command(flatten)]
        what: archive::What,
        #[command(flatten)]
        planning: Planning,
        #[command(flatten)]
        moving: Moving,
        #[command(flatten)]
        filters: Filters,
    },
    /// Plan what `migrate` would do
    ///
    /// Example: longhaul plan migrate --query 'title:promo*' --where region=AT --summary
    #[command(verbatim_doc_comment)]
    Migrate {
        #[command(flatten)]
        what: migrate::What,
        #[command(flatten)]
        planning: Planning,
        #[command(flatten)]
        moving: Moving,
        #[command(flatten)]
        filters: Filters,
    },
    /// Plan what `publish` would do
    ///
    /// Example: longhaul plan publish 8ae2c3d4-0000-11ee-8000-0242ac120002
    #[command(verbatim_doc_comment)]
    Publish {
        #[command(flatten)]
        what: publish::What,
        #[command(flatten)]
        planning: Planning,
        #[command(flatten)]
        moving: Moving,
        #[command(flatten)]
        filters: Filters,
    },
}

/// How often somebody who waits is told how far it is.
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// How closely to look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum How {
    /// The search index alone: a call for a hundred assets; no bytes, no files
    Listing,
    /// Every asset's formats and files, and the destination: four calls an asset and more
    #[default]
    Full,
}

/// Flags of a plan.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Planning {
    /// How closely to look at each asset
    #[arg(long, value_enum, default_value = "full")]
    depth: How,
    /// Save the plan here, for `archive --plan` or `migrate --plan`; the file must not be there yet
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Say of this one asset why it is in or out, with its files and names
    #[arg(long, value_name = "ASSET", conflicts_with_all = ["out", "depth"])]
    explain: Option<String>,
    /// Read a bounded amount of the three largest masters (72 MiB each at most), to say how long a run takes
    /// when the ledger has none to go by
    #[arg(long, conflicts_with_all = ["explain", "depth"])]
    probe: bool,
    /// Print the numbers alone, not a line for each asset
    #[arg(long)]
    summary: bool,
    /// End with exit code 4 when nothing would move
    #[arg(long)]
    fail_if_empty: bool,
}

pub(crate) async fn run(context: &Context, arguments: Arguments) -> anyhow::Result<Exit> {
    let mut package = false;
    let (selection, planning, moving) = match arguments.command {
        Planned::Archive {
            package: asked,
            what,
            planning,
            moving,
            filters,
        } => {
            package = asked;
            (what.selection(filters)?, planning, moving)
        }
        Planned::Migrate {
            what,
            planning,
            moving,
            filters,
        } => (what.selection(filters)?, planning, moving),
        Planned::Publish {
            what,
            planning,
            moving,
            filters,
        } => (what.selection(filters)?, planning, moving),
    };
    Box::pin(go(context, selection, &moving, &planning, package)).await
}

/// The plan of a selection, instead of its run.
pub(crate) async fn dry_run(
    context: &Context,
    selection: Selection,
    moving: &Moving,
    package: bool,
) -> anyhow::Result<Exit> {
    let planning = Planning::default();
    Box::pin(go(context, selection, moving, &planning, package)).await
}

async fn go(
    context: &Context,
    selection: Selection,
    moving: &Moving,
    planning: &Planning,
    package: bool,
) -> anyhow::Result<Exit> {
    let settings = moving.settings(context)?;
    settings.systems()?;
    if planning.depth == How::Listing {
        let needed = selection.filter.needs_detail();
        if !needed.is_empty() {
            return Err(Ended::usage(format!(
                "--depth listing does not see what {} asks for; leave it out or use --depth full",
                needed.join(", ")
            )));
        }
    }
    // A file without content is what a run leaves that was cut short before it began.
    let ledger = match std::fs::metadata(&settings.ledger.path) {
        Ok(facts) if facts.len() > 0 => Some(Reader::open(&settings.ledger.path)?),
        _ => None,
    };
    let mut known = match &ledger {
        Some(ledger) => Known::of(ledger)?,
        None => Known::default(),
    };
    let packed = match &ledger {
        Some(ledger) => packed(ledger, &selection)?,
        None => Vec::new(),
    };
    let connected = connect::connect(&settings).await?;
    let systems = connected.systems.clone();
    selection.check(&systems).await?;
    let (_, server) = settings.systems()?;
    let rules = Rules {
        single_post_max: server.single_post_max,
        oversize: match settings.transfer.oversize {
            settings::Oversize::Refuse => Oversize::Refuse,
            settings::Oversize::Split => Oversize::Split,
        },
        staging: connected.staging,
    };
    let intake = selection.intake(&settings, &connected).await?;
    let planner = Planner::new(systems.clone(), intake.clone(), rules, ledger).await?;
    if let Some(asset) = &planning.explain {
        return explain::explain(context, &selection, &systems, &planner, asset).await;
    }
    let depth = match planning.depth {
        How::Listing => Depth::Listing,
        How::Full => Depth::Full,
    };
    let header = Header {
        format: FORMAT.to_owned(),
        longhaul: env!("CARGO_PKG_VERSION").to_owned(),
        made: jiff::Timestamp::now(),
        command: selection.command.to_owned(),
        selection: selection.source(),
        filter: selection.filter.clone(),
        depth,
        all_versions: intake.all_versions,
        domain: systems.domain.clone(),
        instance: systems.instance.clone(),
        target: systems.target.0,
    };
    let mut file = match &planning.out {
        Some(path) => Some(Writing::begin(path, &header)?),
        None => None,
    };
    let mut decisions = match depth {
        Depth::Full => planner.decisions(selection.enumerate(&systems)()?, selection.may_repeat()),
        Depth::Listing => planner.quick(selection.found(&systems)?, selection.may_repeat()),
    };
    let stop = signals::listen(Arc::clone(&context.output))?;
    let begun = tokio::time::Instant::now();
    let mut totals = Totals::default();
    let mut chosen = Chosen::default();
    let package = package || (selection.command == "archive" && settings.package.enabled);
    let foresees = package && depth == Depth::Full;
    let mut foresight = foresees.then(|| Foresight::of(settings.package.only, &packed));
    let mut tick = tokio::time::interval_at(begun + TOLD_EVERY, TOLD_EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let decision = tokio::select! {
            biased;
            () = stop.drain.cancelled() => {
                return Err(Ended(
                    Exit::Stopped,
                    "the plan is not complete and was not saved".to_owned(),
                )
                .into());
            }
            _ = tick.tick() => {
                let calls = systems.iconik.calls_made();
                context.output.note(styled(DIM, format!(
                    "  {} assets looked at so far, {calls} calls, {}", totals.assets, brief(begun.elapsed())
                )));
                continue;
            }
            decision = decisions.try_next() => decision?,
        };
        let Some(decision) = decision else { break };
        totals.add(&decision, intake.sidecar);
        for version in decision.versions.iter().flatten() {
            chosen.offer(&decision.asset, version);
        }
        if let Some(foresight) = &mut foresight {
            foresight.offer(&decision);
        }
        if let Some(file) = &mut file {
            file.add(&decision)?;
        }
        if !planning.summary {
            show(context, &decision);
        }
    }
    drop(decisions);
    let end = file.map(Writing::finish).transpose()?;
    planner.retention(&mut totals.records).await?;
    if planning.probe {
        let pace = connect::pace(&settings);
        known.probe = tokio::select! {
            biased;
            () = stop.drain.cancelled() => None,
            probed = Box::pin(probe(&systems, &intake, &pace, chosen)) => Some(probed?),
        };
    }
    let foreseen = match foresight {
        Some(foresight) => {
            let pace = connect::pace(&settings);
            let (policy, finality) = (settings.package.sources, finality(&settings)?);
            let looked = foresight.look(&systems, &intake, &pace, policy, &finality);
            tokio::select! {
                biased;
                () = stop.drain.cancelled() => None,
                looked = Box::pin(looked) => Some(looked?),
            }
        }
        None => None,
    };
    let stated = match (&selection.from, depth) {
        (super::select::From::Collections(ids), Depth::Listing) => {
            let mut sum = Some(0);
            for id in ids {
                let size = systems.iconik.collection_size(id).await?;
                sum = sum.zip(size).map(|(sum, size): (u64, u64)| sum + size);
            }
            sum
        }
        _ => None,
    };
    let facts = report::Facts {
        settings: &settings,
        totals: &totals,
        known: &known,
        depth,
        stated,
        made: systems.iconik.calls_made(),
        took: begun.elapsed(),
        window: planner.window(),
        saved: planning.out.as_deref().zip(end.as_ref()),
        changed: matches!(selection.from, super::select::From::Plan(_)),
        foreseen: foreseen.as_ref(),
    };
    report::report(context, selection.command, &facts);
    if planning.fail_if_empty && totals.assets_in == 0 {
        return Ok(Exit::Empty);
    }
    Ok(Exit::Done)
}

/// A decision as its JSON line.
fn event(decision: &Decision) -> Value {
    serde_json::to_value(decision).unwrap_or_default()
}

/// What is kept of the packages of a selection's collections.
fn packed(ledger: &Reader, selection: &Selection) -> anyhow::Result<Vec<Kept>> {
    let mut all = Vec::new();
    for collection in selection.collections() {
        if let Some(text) = ledger.meta(&key_of(&collection))? {
            all.push(package::read(&text)?);
        }
    }
    Ok(all)
}

/// One asset on one line.
fn show(context: &Context, decision: &Decision) {
    let output = &context.output;
    output.event("plan_item", event(decision));
    if output.json() {
        return;
    }
    let (style, word) = match decision.verdict {
        Verdict::In => (GOOD, "in     "),
        Verdict::Out => (DIM, "out    "),
        Verdict::Blocked => (BAD, "blocked"),
    };
    let title = if decision.title.is_empty() {
        decision.asset.as_str()
    } else {
        &decision.title
    };
    let mut line = format!("{} {title}: {}", styled(style, word), decision.why);
    if !decision.detail.is_empty() {
        line.push_str(&format!(" ({})", decision.detail));
    }
    output.say(line);
    for version in decision.versions.iter().flatten() {
        if version.action.moves() {
            output.say(styled(DIM, format!("          {}", moves(version))));
        }
    }
}

/// What becomes of a version that moves.
fn moves(version: &Version) -> String {
    let what = match (version.action, version.node) {
        (Action::NewVersion, Some(node)) => format!("new version of node {node}"),
        (Action::NewVersion, None) => "new version of the document before it".to_owned(),
        (Action::NewFolder, _) => format!("new folder of {} files", version.files),
        _ => "new document".to_owned(),
    };
    let mut text = format!("{what}, {}: {}", display_bytes(version.bytes), version.name);
    if let Some(from) = &version.renamed_from {
        text.push_str(&format!(" (from {from:?})"));
    }
    if let Some(other) = &version.filed_as {
        text.push_str(&format!(", but that name is taken: {other}"));
    }
    if version.segments > 0 {
        text.push_str(&format!(", in {} segments", version.segments));
    }
    if version.archived {
        text.push_str(", archived: a restore comes first");
    }
    text
}

/// The settings' own word for what happens to files that fit no way in.
fn oversize(settings: &Resolved) -> &'static str {
    match settings.transfer.oversize {
        settings::Oversize::Refuse => "refuse",
        settings::Oversize::Split => "split",
    }
}
