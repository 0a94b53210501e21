//! `audit`: the chained journal.

use serde_json::{Value, json};

use super::Context;
use super::exit::{Ended, Exit};
use super::output::{DIM, GOOD, styled};
use crate::ledger::{Chain, Reader};
use crate::types::{ItemId, RunId};

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
}

const PAGE: usize = 1000;

pub(crate) fn run(context: &Context, arguments: &Arguments) -> anyhow::Result<Exit> {
    let settings = context.settings(Vec::new())?;
    let output = &context.output;
    let ledger = super::connect::existing_ledger(&settings)?;
    if arguments.command.is_some() {
        return verify(context, &ledger);
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
