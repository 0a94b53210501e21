//! `retry`: tries stopped items again, by class, state, key or all.

use serde_json::json;

use super::exit::{Ended, Exit};
use super::{Context, connect, steer, who};
use crate::control::{self, Ask, Client, Retry};
use crate::ledger::{Change, Entry, Item, Reader};
use crate::types::{FailureClass, RunId};

/// Try stopped items again, with the parts they have
///
/// Those that failed, or those of a class, a state, a key, or all. Finished parts stay, so only what is
/// missing moves. A run at work takes them up at once; otherwise `longhaul resume` does.
///
/// Examples:
///   longhaul retry                        # what failed
///   longhaul retry --class re-sign        # after the storage grants access again
///   longhaul retry --state parked,held
///   longhaul retry KEY                    # one item, by key as `status` shows it
///   longhaul retry --all --dry-run
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Arguments {
    /// Items, by key as `status` shows them
    #[arg(value_name = "KEY", conflicts_with_all = ["class", "state", "all"])]
    keys: Vec<String>,
    /// Items of this class: retry-now, retry-later, re-sign, sign-in-again, item-is-wrong
    #[arg(long, value_name = "CLASS")]
    class: Option<String>,
    /// Items in these states: failed, parked, held, conflict, waiting
    #[arg(long, value_name = "STATE", value_delimiter = ',')]
    state: Vec<String>,
    /// Everything that can be tried again
    #[arg(long, conflicts_with = "state")]
    all: bool,
    /// The run [default: the last]
    #[arg(long, value_name = "N")]
    run: Option<i64>,
    /// Only say what would be tried again
    #[arg(long)]
    dry_run: bool,
}

pub(crate) async fn run(context: &Context, arguments: Arguments) -> anyhow::Result<Exit> {
    if let Some(class) = &arguments.class
        && FailureClass::from_name(class).is_none()
    {
        let known = FailureClass::ALL.map(FailureClass::as_str).join(", ");
        return Err(Ended::usage(format!(
            "--class {class}: the classes are {known}"
        )));
    }
    let wanted = Retry {
        states: arguments.state,
        class: arguments.class,
        keys: arguments.keys,
        all: arguments.all,
    };
    let settings = context.settings(Vec::new())?;
    let path = connect::must_exist(&settings)?;
    let explained = |error| steer::explained(&settings, "retry", error);
    if arguments.dry_run {
        let reader = Reader::open(path)?;
        let run = reader
            .run(arguments.run.map(RunId))?
            .ok_or_else(no_such_run)?;
        let would = control::would_retry(&reader, run.id, &wanted, |item| would(context, item));
        let would = would.map_err(explained)?;
        let more = match (would.unplanned, would.items, would.others) {
            (0, 0, others) if others > 0 => {
                format!("; {others} stopped in another state (`--all` takes them too)")
            }
            (0, _, _) => String::new(),
            (unplanned, _, _) => format!("; {unplanned} more could not be planned"),
        };
        let plural = if would.items == 1 { "" } else { "s" };
        let said = format!("{} item{plural} would be tried again{more}", would.items);
        steer::say(context, "retry", &said);
        return Ok(Exit::Done);
    }
    match Client::connect(path).await {
        Ok(mut client) => {
            let live = client.facts().await.map_err(explained)?;
            if arguments.run.is_none_or(|run| run == live.run) {
                let asked = client.ask(Ask::Retry(wanted), &who::asks("retry")).await;
                steer::say(context, "retry", &asked.map_err(explained)?);
                return Ok(Exit::Done);
            }
            return Err(Ended::usage(format!(
                "run {} is at work; another run's items can be tried again when it has ended",
                live.run
            )));
        }
        Err(control::Error::Nobody { .. }) => {}
        Err(error) => return Err(explained(error)),
    }
    let ledger = connect::open_ledger(path, "retry")?;
    let run = ledger
        .run(arguments.run.map(RunId))
        .await?
        .ok_or_else(no_such_run)?;
    let done = control::retry(&ledger, run.id, &wanted)
        .await
        .map_err(explained)?;
    let facts = json!({
        "what": "retry", "by": who::asks("retry").to_string(), "items": done.items,
        "states": wanted.states, "class": wanted.class, "keys": wanted.keys, "all": wanted.all,
    });
    let entry = Entry {
        run: Some(run.id),
        event: "steered".into(),
        data: facts.to_string(),
        ..Default::default()
    };
    ledger.apply(Change::new().journal(entry)).await?;
    steer::say(context, "retry", &done.to_string());
    if done.items > 0 {
        context.output.note("`longhaul resume` carries it out");
    }
    Ok(Exit::Done)
}

fn no_such_run() -> anyhow::Error {
    Ended::usage("the ledger has no such run; `longhaul status` shows the last")
}

/// An item that would be tried again.
pub(super) fn would(context: &Context, item: &Item) {
    context.output.event(
        "decided",
        json!({"item": item.id, "key": item.key, "title": item.title, "decision": "retry", "state": item.state, "dry_run": true}),
    );
    let why = item.message.as_deref().unwrap_or("no reason recorded");
    context.output.say(format!(
        "would try again {}, is {}: {why} ({})",
        item.title, item.state, item.key
    ));
}
