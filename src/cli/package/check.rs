//! `package check`: whether everything of a package is still in Content Server.

use serde_json::json;

use super::opened;
use crate::cli::exit::{Ended, Exit};
use crate::cli::output::{BAD, GOOD, styled};
use crate::cli::run::say_packed;
use crate::cli::{Context, connect, record, signals};
use crate::flows::package::{self, Bench, Look};
use crate::ledger::NewRun;
use crate::transfer::Outcome;
use crate::types::{RunId, display_bytes};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Read every byte, and add a generation to the fixity history
    #[arg(long)]
    read_back: bool,
    /// The collection [default: the only one that has a package]
    #[arg(long, value_name = "ID")]
    collection: Option<String>,
}

pub(super) async fn run(context: &Context, arguments: Arguments) -> anyhow::Result<Exit> {
    let settings = context.settings(Vec::new())?;
    settings.systems()?;
    let (ledger, collection, kept) =
        opened(&settings, "package check", arguments.collection).await?;
    let kept =
        kept.ok_or_else(|| Ended::usage(format!("the package of {collection} is not begun yet")))?;
    if !kept.complete && !arguments.read_back {
        context.output.note(format!(
            "the package is not complete yet; `longhaul archive {collection} --package` goes on with it"
        ));
    }
    let connected = connect::connect(&settings).await?;
    let place = record::package_place(&settings, &connected).await?;
    let stop = signals::listen(std::sync::Arc::clone(&context.output))?;
    let pace = connect::pace(&settings);
    let engine = connect::engine(&settings, &connected, &ledger, &pace, stop, true)?;
    // Looking alone is no run: `resume` goes on with the last one that moved something.
    let run = if arguments.read_back {
        let new = NewRun {
            command: "package check".to_owned(),
            arguments: json!({"collection": collection}).to_string(),
        };
        let run = ledger.start_run(new).await?;
        ledger.scan_progress(run, None, true, 0).await?;
        Some(run)
    } else {
        None
    };
    let bench = Bench {
        systems: &connected.systems,
        ledger: &ledger,
        engine: &engine,
        pace: &pace,
        run: run.unwrap_or(RunId(0)),
        place: &place,
    };
    let look = if arguments.read_back {
        Look::ReadBack
    } else {
        Look::Size
    };
    let title = kept.facts.title.clone();
    let looked = package::check(bench, &collection, kept, look).await;
    let word = match &looked {
        Ok((Outcome::Finished, ..)) => "done",
        Ok((Outcome::Stopped | Outcome::Waiting, ..)) => "stopped",
        Ok(_) | Err(_) => "failed",
    };
    if let Some(run) = run {
        ledger.give_back(run).await?;
        ledger.end_run(run, word, word == "done").await?;
    }
    let (outcome, checked, packed) = looked?;
    context.output.event(
        "package_checked",
        json!({
            "collection": collection, "title": title, "run": run,
            "level": if arguments.read_back { "read-back" } else { "size" },
            "good": checked.good, "bytes": checked.bytes,
            "bad": checked.bad.iter().map(|(path, problem)| json!({"path": path, "problem": problem})).collect::<Vec<_>>(),
        }),
    );
    for (path, problem) in &checked.bad {
        context
            .output
            .say(format!("{} {path}: {problem}", styled(BAD, "differs")));
    }
    context.output.say(format!(
        "{title}: {} files agree ({}), {} do not",
        styled(GOOD, checked.good.to_string()),
        display_bytes(checked.bytes),
        checked.bad.len()
    ));
    let mut exits = Vec::new();
    if let Some(packed) = &packed {
        say_packed(context, packed);
        if !packed.complete {
            exits.push(Exit::Stopped);
        }
    }
    if !checked.bad.is_empty() {
        exits.push(Exit::Mismatch);
    }
    match outcome {
        Outcome::Finished => {}
        Outcome::Stopped | Outcome::Waiting => exits.push(Exit::Stopped),
        Outcome::Failed(failure) => return Err(failure.into()),
    }
    Ok(Exit::of_all(exits))
}
