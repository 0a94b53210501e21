//! `resume`: goes on with a run.

use std::path::{Path, PathBuf};

use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::Value;

use super::run::{self, Moving, Prepared};
use super::{Context, connect, steer, who};
use crate::cli::exit::{Ended, Exit};
use crate::control::{self, Ask, Client};
use crate::flows;
use crate::flows::migrate::Library;
use crate::ledger::{Ledger, Run};
use crate::settings::Resolved;
use crate::types::{AssetId, CollectionId, ItemId, RunId};

const PAGE: usize = 500;

/// Go on with a run that was paused, stopped, killed, or has failed items to try again
///
/// Un-pauses the run at work, when there is one; otherwise the last run goes on here. Finished parts are kept; an enumeration that was cut is taken up again.
///
/// Examples:
///   longhaul resume
///   longhaul resume --retry failed,parked
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
    if let Some(said) = unpause(&settings, path, &arguments.moving, &states).await? {
        steer::say(context, "resume", &said);
        return Ok(Exit::Done);
    }
    settings.systems()?;
    let ledger = connect::open_ledger(path, "resume")?;
    let run = ledger.run(arguments.run.map(RunId)).await?.ok_or_else(|| {
        Ended::usage(match arguments.run {
            Some(number) => {
                format!("the ledger has no run {number}; `longhaul status` shows the last")
            }
            None => {
                "the ledger has no run yet; start one with `longhaul archive` or `longhaul migrate`"
                    .to_owned()
            }
        })
    })?;
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
    let told: Value = serde_json::from_str(&run.arguments).unwrap_or_default();
    let collections = collections(&told);
    let assets = if run.scan_done {
        (!states.is_empty()).then(|| -> flows::Enumerate {
            let (ledger, run) = (ledger.clone(), run.id);
            Box::new(move || Ok(unplanned(ledger.clone(), run, states.clone())))
        })
    } else if run.command == "archive" {
        Some(super::archive::walk(&connected.systems, &collections))
    } else {
        Some(super::migrate::list(
            &connected.systems,
            &library(&run, &told)?,
        )?)
    };
    let prepared = Prepared {
        settings,
        connected,
        ledger,
        run: run.id,
        collection: collections.into_iter().next(),
        wait: !arguments.moving.no_wait,
        bounds: arguments.moving.bounds()?,
    };
    run::drive(context, prepared, assets).await
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

fn collections(told: &Value) -> Vec<CollectionId> {
    let ids = told["collections"].as_array().into_iter().flatten();
    ids.filter_map(|id| id.as_str().map(CollectionId::from))
        .collect()
}

fn library(run: &Run, told: &Value) -> anyhow::Result<Library> {
    let text = |key: &str| told[key].as_str().map(str::to_owned);
    let found = text("search")
        .map(Library::SavedSearch)
        .or_else(|| text("query").map(Library::Query))
        .or_else(|| text("ids").map(|path| Library::Ids(PathBuf::from(path))))
        .or_else(|| {
            Some(Library::Csv(
                PathBuf::from(text("csv")?),
                text("id_column")?,
            ))
        });
    found.ok_or_else(|| {
        Ended::usage(format!("run {} was recorded without saying what it enumerates; start it anew, nothing is filed twice", run.id))
    })
}
