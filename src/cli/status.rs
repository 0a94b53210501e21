//! `status`: what a run has reached, from the ledger alone.

use serde_json::json;

use super::Context;
use super::exit::Exit;
use super::output::{BAD, BOLD, DIM, GOOD, styled};
use crate::types::{ItemId, RunId, display_bytes};

/// Show what a run has reached. Works beside a running process and after a dead one.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The run [default: the last]
    #[arg(long, value_name = "N")]
    run: Option<i64>,
    /// List the items in this state
    #[arg(long, value_name = "STATE")]
    state: Option<String>,
}

const PAGE: usize = 500;

pub(crate) fn run(context: &Context, arguments: &Arguments) -> anyhow::Result<Exit> {
    let settings = context.settings(Vec::new())?;
    let output = &context.output;
    let ledger = super::connect::existing_ledger(&settings)?;
    let Some(run) = ledger.run(arguments.run.map(RunId))? else {
        output.say("no run yet");
        return Ok(Exit::Done);
    };
    let summary = ledger.summary(run.id)?;
    let owner = ledger.owner().filter(|owner| owner.alive);
    let blocked = ledger.blocked(run.id)?;
    output.event(
        "status",
        json!({
            "run": run.id, "command": run.command, "started": run.started, "ended": run.ended, "outcome": run.outcome,
            "running": owner.is_some(), "scan_done": run.scan_done, "already_done": run.already_done, "left_out": run.left_out,
            "blocked": blocked, "outbox": ledger.posts_waiting()?,
            "states": summary.iter().map(|count| json!({"state": count.state, "items": count.items, "bytes": count.bytes})).collect::<Vec<_>>(),
        }),
    );
    let doing = match (&owner, run.outcome.as_str()) {
        (Some(owner), _) => styled(
            GOOD,
            format!("in the hands of {} (process {})", owner.text, owner.pid),
        ),
        (None, "running") => styled(BAD, "its process is gone; `longhaul resume` goes on"),
        (None, "stopped" | "failed") => format!("{}; `longhaul resume` goes on", run.outcome),
        (None, outcome) => outcome.to_owned(),
    };
    output.say(format!(
        "{} {}: {doing}",
        styled(BOLD, format!("run {}", run.id)),
        run.command
    ));
    if !run.scan_done {
        output.say("  the enumeration has not reached its end");
    }
    for count in &summary {
        output.say(format!(
            "  {:>6} {} ({})",
            count.items,
            count.state,
            display_bytes(count.bytes)
        ));
    }
    if run.already_done > 0 {
        output.say(format!("  {:>6} done before, unchanged", run.already_done));
    }
    if run.left_out > 0 {
        output.say(format!(
            "  {:>6} left out by a filter or with nothing to file",
            run.left_out
        ));
    }
    if blocked > 0 {
        output.say(format!(
            "  {blocked:>6} wait for an earlier version that is not done"
        ));
    }
    let wanted: Vec<&str> = match &arguments.state {
        Some(state) => vec![state.as_str()],
        None => vec![
            "waiting",
            "failed",
            "parked",
            "held",
            "conflict",
            "quarantined",
        ],
    };
    for state in wanted {
        let mut any = false;
        let mut after = ItemId(0);
        loop {
            let items = ledger.items(run.id, Some(state), after, PAGE)?;
            let Some(last) = items.last() else { break };
            after = last.id;
            any = true;
            for item in &items {
                let message = item.message.as_deref().unwrap_or_default();
                let when = if state == "waiting" {
                    format!(" (next try {})", at(item.next_at))
                } else {
                    String::new()
                };
                output.say(format!(
                    "  {state} {}{}",
                    item.title,
                    if message.is_empty() {
                        when
                    } else {
                        format!(": {message}{when}")
                    }
                ));
                output.say(styled(DIM, format!("         {}", item.key)));
                output.event(
                    "item",
                    json!({
                        "item": item.id, "key": item.key, "title": item.title, "state": state, "class": item.class, "reason": item.reason,
                        "message": item.message, "attempts": item.attempts, "next_at": item.next_at, "node": item.node,
                        "version": item.version, "proof": item.proof, "bytes": item.bytes,
                    }),
                );
            }
        }
        if any && let Some(remedy) = super::decide::remedy(state) {
            output.note(styled(DIM, format!("  {remedy}")));
        }
    }
    Ok(Exit::Done)
}

fn at(milliseconds: i64) -> String {
    jiff::Timestamp::from_millisecond(milliseconds).map_or_else(
        |_| "unknown".into(),
        |at| at.strftime("%Y-%m-%d %H:%M:%SZ").to_string(),
    )
}
