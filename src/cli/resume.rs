//! `resume`: goes on with a run.

use std::path::Path;

use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::json;

use super::run::{self, Moving, Prepared};
use super::select::{From, Selection};
use super::{Context, connect, freeze, steer, who, words};
use crate::cli::exit::{Ended, Exit};
use crate::control::{self, Ask, Bounds, Client};
use crate::flows::intake::Intake;
use crate::flows::{self, Wanted};
use crate::ledger::{Ledger, Reader};
use crate::settings::Resolved;
use crate::types::{AssetId, ItemId, RunId, display_bytes};

const PAGE: usize = 500;

/// Go on with a run that was paused, stopped, killed, or has failed items to try again
///
/// Un-pauses the run at work, when there is one; otherwise the last run goes on here. Finished parts are kept; an enumeration that was cut is taken up again.
///
/// Examples:
///   longhaul resume
///   longhaul resume --retry failed,parked
///   longhaul resume --retry parked --dry-run
///   longhaul resume --until 06:00 --max-failures 20
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Arguments {
    /// The run [default: the last]
    #[arg(long, value_name = "N")]
    run: Option<i64>,
    /// Also try again what ended in these states: failed, parked, held, conflict
    #[arg(long, value_name = "STATE", value_delimiter = ',', num_args = 0.., default_missing_value = "failed")]
    retry: Option<Vec<String>>,
    /// Go on with a migration although it is frozen; the journal says who
    #[arg(long)]
    despite_freeze: bool,
    /// Without the --until, --max-bytes and --max-failures that the run had
    #[arg(long)]
    unbounded: bool,
    /// Only say what would go on
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    moving: Moving,
}

pub(crate) async fn run(context: &Context, arguments: Arguments) -> anyhow::Result<Exit> {
    let states = arguments.retry.unwrap_or_default();
    for state in &states {
        if !["failed", "parked", "held", "conflict"].contains(&state.as_str()) {
            return Err(Ended::usage(format!(
                "--retry {state}: the states are failed, parked, held, conflict (what is quarantined needs a person)"
            )));
        }
    }
    let settings = arguments.moving.settings(context)?;
    let path = connect::must_exist(&settings)?;
    if arguments.dry_run {
        let (run, despite) = (arguments.run, arguments.despite_freeze);
        return would_resume(context, &settings, path, run, states, despite).await;
    }
    if let Some(said) = unpause(&settings, path, &arguments.moving, &states).await? {
        steer::say(context, "resume", &said);
        return Ok(Exit::Done);
    }
    settings.systems()?;
    let ledger = connect::open_ledger(path, "resume")?;
    let run = ledger
        .run(arguments.run.map(RunId))
        .await?
        .ok_or_else(|| no_such_run(arguments.run))?;
    freeze::allow(&ledger, &run, arguments.despite_freeze).await?;
    let connected = connect::connect(&settings).await?;
    // Whoever resumes has perhaps just made room or given a lock back: what waits is tried now. A
    // commit of unknown outcome still keeps its quiet time, which is not the item's to shorten.
    ledger.requeue(run.id, &["waiting"], None).await?;
    if !states.is_empty() {
        let names: Vec<&str> = states.iter().map(String::as_str).collect();
        let count = ledger.requeue(run.id, &names, None).await?;
        context
            .output
            .note(format!("{count} items will be tried again"));
    }
    let selection = Selection::of_run(&run);
    // Its enumeration has reached its end: how it selected matters only to what is looked at again.
    let selection = match selection {
        Err(error) if !run.scan_done || !states.is_empty() => return Err(error),
        other => other.ok(),
    };
    let assets = if !run.scan_done {
        let selection = selection.as_ref();
        // A collection that is gone is said by the enumeration, which also waits for iconik.
        if let Some(selection) = selection
            && !matches!(selection.from, From::Collections(_))
        {
            selection.check(&connected.systems).await?;
        }
        selection.map(|selection| selection.enumerate(&connected.systems))
    } else {
        (!states.is_empty()).then(|| -> flows::Enumerate {
            let (ledger, run) = (ledger.clone(), run.id);
            Box::new(move || {
                let assets = unplanned(ledger.clone(), run, states.clone());
                Ok(assets.map_ok(Wanted::from).boxed())
            })
        })
    };
    let intake = match &selection {
        Some(selection) => selection.intake(&settings, &connected).await?,
        None => Intake::default(),
    };
    let told: serde_json::Value = serde_json::from_str(&run.arguments).unwrap_or_default();
    let package = match selection.as_ref().filter(|_| told["package"] == true) {
        Some(selection) => Some(run::ordered(&settings, &connected, selection).await?),
        None => None,
    };
    let bounds = match arguments.unbounded {
        true => arguments.moving.bounds()?,
        false => take_over(context, &ledger, run.id, arguments.moving.bounds()?).await?,
    };
    let prepared = Prepared {
        intake,
        collection: selection.and_then(|selection| selection.collections().into_iter().next()),
        settings,
        connected,
        ledger,
        run: run.id,
        wait: !arguments.moving.no_wait,
        bounds,
        package,
    };
    run::drive(context, prepared, assets).await
}

/// The bounds that are given, and those that the run had and that still hold; says which.
async fn take_over(
    context: &Context,
    ledger: &Ledger,
    run: RunId,
    given: Bounds,
) -> anyhow::Result<Bounds> {
    let had = control::inherited(ledger, run).await?;
    let (holds, over) = (had.holds.without(given), had.over.without(given));
    if !holds.is_empty() {
        context.output.note(format!(
            "run {run} keeps its bounds: {}; --until, --max-bytes and --max-failures set others, --unbounded takes them off",
            words::kept_bounds(holds)
        ));
    }
    if !over.is_empty() {
        context.output.note(format!(
            "what run {run} was told before no longer holds: {}",
            words::passed_bounds(over)
        ));
    }
    Ok(given.or(holds))
}

fn no_such_run(number: Option<i64>) -> anyhow::Error {
    Ended::usage(match number {
        Some(number) => {
            format!("the ledger has no run {number}; `longhaul status` shows the last")
        }
        None => {
            "the ledger has no run yet; start one with `longhaul archive` or `longhaul migrate`"
                .to_owned()
        }
    })
}

/// What would go on, by the ledger and the process at work alone.
async fn would_resume(
    context: &Context,
    settings: &Resolved,
    path: &Path,
    number: Option<i64>,
    states: Vec<String>,
    despite_freeze: bool,
) -> anyhow::Result<Exit> {
    let output = &context.output;
    let reader = Reader::open(path)?;
    let status = super::status::look(&reader, path, number.map(RunId)).await?;
    let status = status.ok_or_else(|| no_such_run(number))?;
    let run = &status.run;
    let left = ["planned", "active", "waiting"];
    let (items, bytes) = (status.items(&left), status.bytes(&left));
    let mut line = json!({
        "run": run.id, "command": run.command, "at_work": status.live.is_some(), "unpauses": false,
        "enumerates": !run.scan_done, "items": items, "bytes": bytes, "retried": 0, "unplanned": 0,
        "outbox": status.facts.outbox, "frozen": false,
    });
    let title = format!("run {} ({})", run.id, run.command);
    if let Some(live) = &status.live {
        line["unpauses"] = live.paused.is_some().into();
        output.event("would_resume", line);
        output.say(match &live.paused {
            Some(who) => format!("{title} is at work, paused by {who}: it would go on"),
            None => format!("{title} is at work and not paused: nothing would change"),
        });
        return Ok(Exit::Done);
    }
    if let Some(owner) = status.owner.as_ref() {
        return Err(Ended::usage(format!(
            "{} has {}: nothing can be resumed until it has ended",
            owner.text,
            path.display()
        )));
    }
    let mut retried = control::Retried::default();
    if !states.is_empty() {
        let wanted = control::Retry {
            states,
            ..control::Retry::default()
        };
        let would = control::would_retry(&reader, run.id, &wanted, |item| {
            super::retry::would(context, item);
        });
        retried = would.map_err(|error| steer::explained(settings, "resume", error))?;
    }
    let frozen = freeze::refusal(&reader, run)?.filter(|_| !despite_freeze);
    line["retried"] = retried.items.into();
    line["unplanned"] = retried.unplanned.into();
    line["frozen"] = frozen.is_some().into();
    output.event("would_resume", line);
    output.say(format!(
        "{title} would go on with {items} items ({})",
        display_bytes(bytes)
    ));
    if retried.items > 0 {
        output.say(format!("  and {} that stopped", retried.items));
    }
    if retried.unplanned > 0 {
        output.say(format!(
            "  and look at {} in iconik again that could not be planned",
            retried.unplanned
        ));
    }
    if !run.scan_done {
        output.say("  and take up its enumeration, which was cut");
    }
    if status.facts.outbox > 0 {
        output.say(format!(
            "  and tell iconik of {} filed",
            status.facts.outbox
        ));
    }
    match frozen {
        Some(why) => Err(Ended(Exit::Held, why).into()),
        None => Ok(Exit::Done),
    }
}

/// Un-pauses the run at work, when there is one; what it said.
async fn unpause(
    settings: &Resolved,
    path: &Path,
    moving: &Moving,
    states: &[String],
) -> anyhow::Result<Option<String>> {
    let explained = |error| steer::explained(settings, "resume", error);
    let mut client = match Client::connect(path).await {
        Ok(client) => client,
        // A socket that cannot be spoken with is of a process that has the ledger, or of none;
        // opening the ledger tells which.
        Err(control::Error::Nobody { .. } | control::Error::Socket { .. }) => return Ok(None),
        Err(error) => return Err(explained(error)),
    };
    if !states.is_empty() {
        return Err(Ended::usage(
            "a run is at work: `longhaul retry` tells it which items to try again",
        ));
    }
    if moving.any() {
        return Err(Ended::usage(
            "a run is at work, and these flags are for one that begins: `longhaul limit` changes its limits",
        ));
    }
    let asked = client.ask(Ask::Resume, &who::asks("resume")).await;
    asked.map(Some).map_err(explained)
}

/// Assets of items in these states that were refused when they were planned: they have no files
/// to try again.
fn unplanned(
    ledger: Ledger,
    run: RunId,
    states: Vec<String>,
) -> BoxStream<'static, Result<AssetId, flows::Error>> {
    let first = (states.into_iter(), None::<String>, ItemId(0));
    stream::try_unfold(first, move |(mut states, state, after)| {
        let ledger = ledger.clone();
        async move {
            let Some(state) = state.or_else(|| states.next()) else {
                return Ok::<_, flows::Error>(None);
            };
            let items = ledger.items(run, Some(&state), after, PAGE).await?;
            let next = match items.last() {
                Some(last) => (states, Some(state), last.id),
                None => (states, None, ItemId(0)),
            };
            let assets: Vec<_> = items
                .iter()
                .filter(|item| item.files == 0)
                .filter_map(|item| item.key.split_once('/'))
                .map(|(asset, _)| Ok(AssetId(asset.to_owned())))
                .collect();
            Ok(Some((stream::iter(assets), next)))
        }
    })
    .try_flatten()
    .boxed()
}
