//! `status`: what a run has reached; the ledger's facts, and those of the process at work.

use std::path::Path;

use serde_json::json;

use super::exit::Exit;
use super::output::{BAD, BOLD, DIM, GOOD, WARN, styled};
use super::words;
use super::{Context, freeze, rights, when};
use crate::control::{Client, Doing, LiveFacts, Status};
use crate::flows::standing;
use crate::ledger::{ClassCount, Item, Reader};
use crate::types::{FailureClass, ItemId, RunId, display_bytes};

/// Show what a run has reached, what stopped and what helps
///
/// Confirmed bytes, rates, what limits them, failures by class with their remedies. Works beside a
/// running process and after a dead one.
///
/// Examples:
///   longhaul status
///   longhaul status --state failed
///   longhaul status --json
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Arguments {
    /// The run [default: the last]
    #[arg(long, value_name = "N")]
    run: Option<i64>,
    /// List the items in this state
    #[arg(long, value_name = "STATE")]
    state: Option<String>,
}

const PAGE: usize = 500;
/// Items of a state that are shown to people; `--state` shows all.
const SHOWN: usize = 20;
/// Licences that end within so many days are said.
const AHEAD: i64 = 30;

/// Where a run stands, as far as this process can see; `None` without a run.
pub(crate) async fn look(
    reader: &Reader,
    ledger: &Path,
    run: Option<RunId>,
) -> anyhow::Result<Option<Status>> {
    let Some(run) = reader.run(run)? else {
        return Ok(None);
    };
    let owner = reader.owner().filter(|owner| owner.alive);
    let live = if owner.is_some() {
        live(ledger).await
    } else {
        None
    };
    let facts = reader.facts(run.id)?;
    let now = jiff::Timestamp::now().as_millisecond();
    Ok(Some(Status::new(run, owner, facts, live, now)))
}

/// What the process at work says; nothing when it cannot be asked.
async fn live(ledger: &Path) -> Option<LiveFacts> {
    let asked = async { Client::connect(ledger).await?.facts().await };
    match asked.await {
        Ok(facts) => Some(facts),
        Err(error) => {
            tracing::debug!(%error, "the process at work was not asked");
            None
        }
    }
}

pub(crate) async fn run(context: &Context, arguments: &Arguments) -> anyhow::Result<Exit> {
    let settings = context.settings(Vec::new())?;
    let output = &context.output;
    let reader = super::connect::existing_ledger(&settings)?;
    let Some(status) = look(&reader, &settings.ledger.path, arguments.run.map(RunId)).await? else {
        output.say("no run yet");
        flows(context, &reader)?;
        return Ok(Exit::Done);
    };
    output.event("status", status.json());
    for line in lines(&status) {
        output.say(line);
    }
    let states: Vec<&str> = match &arguments.state {
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
    for state in states {
        let all = output.json() || arguments.state.is_some();
        list(context, &reader, &status, state, all)?;
    }
    if arguments.state.is_none() && arguments.run.is_none() {
        flows(context, &reader)?;
    }
    Ok(Exit::Done)
}

/// How the other flows stand, and how many licences are about to end.
fn flows(context: &Context, reader: &Reader) -> anyhow::Result<()> {
    let output = &context.output;
    if let Some((facts, said)) = freeze::line(reader)? {
        output.event("freeze", facts);
        output.say(format!("{} {said}", styled(BOLD, "migration")));
    }
    for flow in standing::all(reader)? {
        output.event(
            "flow_standing",
            serde_json::to_value(&flow).unwrap_or_default(),
        );
        let ended = match flow.last_success {
            Some(at) => format!("went through {}", when::moment(at.as_millisecond())),
            None => "never went through".to_owned(),
        };
        let found: Vec<String> = flow
            .found
            .iter()
            .map(|(what, count)| format!("{count} {}", what.replace('-', " ")))
            .collect();
        let found = if found.is_empty() {
            String::new()
        } else {
            format!(", found {}", found.join(", "))
        };
        output.say(format!("{} {ended}{found}", styled(BOLD, flow.flow)));
        if flow.code.is_some_and(|code| !matches!(code, 0 | 3)) {
            output.say(format!("  {}", styled(WARN, "was stopped since")));
        }
        let files = flow.code.is_none() && flow.conflicts.is_some();
        let waits = if files {
            "wait for a run"
        } else {
            "wait for a person"
        };
        let counts = [
            (flow.waiting, waits, if files { WARN } else { BAD }),
            (
                flow.conflicts.filter(|_| files).unwrap_or(0),
                "conflicts",
                BAD,
            ),
            (flow.overdue.unwrap_or(0), "overdue", WARN),
            (flow.held, "held", BAD),
        ];
        let counts: Vec<String> = counts
            .iter()
            .filter(|(count, ..)| *count > 0)
            .map(|(count, what, style)| styled(*style, format!("{count} {what}")).to_string())
            .collect();
        if !counts.is_empty() {
            output.say(format!("  {}", counts.join(", ")));
        }
    }
    let ending = rights::soon(reader, AHEAD)?;
    if ending > 0 {
        output.event("rights_soon", json!({"days": AHEAD, "licences": ending}));
        output.say(format!(
            "{} (`longhaul rights expiring`)",
            styled(WARN, format!("{ending} licences end within {AHEAD} days"))
        ));
    }
    Ok(())
}

/// The lines above the items.
fn lines(status: &Status) -> Vec<String> {
    let doing = words::doing(status);
    let doing = match status.doing() {
        Doing::AtWork => styled(GOOD, doing),
        Doing::Gone => styled(BAD, doing),
        Doing::Paused(_) | Doing::Closed(_) | Doing::Draining(_) => styled(WARN, doing),
        _ => doing,
    };
    let run = &status.run;
    let mut lines = vec![format!(
        "{} {}, begun {}: {doing}",
        styled(BOLD, format!("run {}", run.id)),
        run.command,
        when::moment(run.started)
    )];
    let mut line = |name: &str, text: String| lines.push(format!("  {name:<9}{text}"));
    line("scan", words::scan(status));
    line("moved", words::moved(status));
    if let Some(rate) = words::rate(status) {
        line("rate", rate);
    }
    line("proof", words::proof(status));
    if let Some(limits) = words::limits(status) {
        line("limit", limits);
    }
    if let Some(live) = &status.live {
        for limit in &live.overrides {
            line("", words::limit(limit));
        }
        for outage in &live.outages {
            line("outage", styled(BAD, words::outage(outage)));
            line("", styled(DIM, &outage.error));
        }
    }
    if let Some(bounds) = words::bounds(status) {
        line("ends", bounds);
    }
    if status.facts.outbox > 0 {
        line(
            "iconik",
            format!("{} messages to it wait", status.facts.outbox),
        );
    }
    for count in &status.facts.states {
        let style = match count.state.as_str() {
            "done" => GOOD,
            "planned" | "active" | "waiting" | "declined" => DIM,
            _ => BAD,
        };
        lines.push(format!(
            "  {:>6} {} ({})",
            words::number(count.items),
            styled(style, &count.state),
            display_bytes(count.bytes)
        ));
    }
    if status.facts.blocked > 0 {
        lines.push(format!(
            "  {:>6} wait for an earlier version that is not done",
            status.facts.blocked
        ));
    }
    let failed = status.facts.classes.iter();
    let failed: Vec<&ClassCount> = failed.filter(|count| !count.class.is_empty()).collect();
    if !failed.is_empty() {
        lines.push(styled(BOLD, "failures by class"));
    }
    for count in failed {
        lines.extend(class(count));
    }
    lines
}

/// Items that stopped in the same way, and what helps.
fn class(count: &ClassCount) -> Vec<String> {
    let class = FailureClass::from_name(&count.class);
    let title = match class {
        Some(class) => class.title(),
        None => count.class.as_str(),
    };
    let attempts = match count.attempts {
        0 => String::new(),
        n => format!(", {}", words::attempts(n)),
    };
    let next = if count.state == "waiting" {
        format!(", next try {}", when::moment(count.next_at))
    } else {
        String::new()
    };
    let mut lines = vec![
        format!(
            "  {:>6} {} ({}: {}{attempts}{next})",
            words::number(count.items),
            styled(BAD, title),
            count.state,
            count.reason,
        ),
        match count.items {
            0 | 1 => format!("         {}", count.example),
            _ => format!("         such as: {}", count.example),
        },
    ];
    if let Some(remedy) = class.map(|class| class.remedy(&count.state)) {
        lines.push(styled(DIM, format!("         {remedy}")));
    }
    lines
}

/// The items in a state, each with its key and what a person can do.
fn list(
    context: &Context,
    reader: &Reader,
    status: &Status,
    state: &str,
    all: bool,
) -> anyhow::Result<()> {
    let output = &context.output;
    let mut after = ItemId(0);
    let mut shown = 0;
    'pages: loop {
        let items = reader.items(status.run.id, Some(state), after, PAGE)?;
        let Some(last) = items.last() else { break };
        after = last.id;
        for item in &items {
            if !all && shown == SHOWN {
                output.say(format!(
                    "  … `longhaul status --run {} --state {state}` lists them all",
                    status.run.id
                ));
                break 'pages;
            }
            shown += 1;
            one(context, state, item);
        }
    }
    if shown > 0
        && let Some(remedy) = super::decide::remedy(state)
    {
        output.note(styled(DIM, format!("  {remedy}")));
    }
    Ok(())
}

fn one(context: &Context, state: &str, item: &Item) {
    let output = &context.output;
    let message = item.message.as_deref().unwrap_or_default();
    let class = item.class.as_deref().and_then(FailureClass::from_name);
    let mut what = String::new();
    if let Some(class) = class {
        what.push_str(&format!(" [{}]", class.title()));
    }
    if !message.is_empty() {
        what.push_str(&format!(": {message}"));
    }
    if state == "waiting" {
        what.push_str(&format!(" (next try {})", when::moment(item.next_at)));
    }
    output.say(format!("  {state} {}{what}", item.title));
    output.say(styled(DIM, format!("         {}", item.key)));
    output.event(
        "item",
        json!({
            "item": item.id, "key": item.key, "title": item.title, "state": state, "class": item.class, "reason": item.reason,
            "message": item.message, "attempts": item.attempts, "next_at": item.next_at, "node": item.node,
            "version": item.version, "proof": item.proof, "bytes": item.bytes,
            "remedy": class.map(|class| class.remedy_for(state, item.reason.as_deref())),
        }),
    );
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    fn shown(status: &Status) -> String {
        lines(status).join("\n")
    }

    #[test]
    fn a_run_at_work_says_what_moves_what_limits_it_and_what_helps() {
        let text = shown(&sample::at_work());
        for part in [
            "at work (longhaul archive, process 4711)",
            "402 items found, 12 done before, 7 left out",
            "184 of 402 items done",
            "612 MiB/s now · 588 MiB/s over 10 min",
            "read-back 171 · sent 13",
            "Content Server; at most 700 MiB/s, 3 of 3 uploads, 8 of 32 reads, 45 calls/s",
            "set by anna (uid 1000",
            "drains after 20 failures (5 so far)",
            "re-sign",
            "up to 8 attempts",
            "`longhaul retry --class re-sign`",
            "next try ",
            "1 wait for an earlier version",
        ] {
            assert!(text.contains(part), "{part:?} in\n{text}");
        }
    }

    #[test]
    fn a_dead_run_has_everything_but_rates() {
        let text = shown(&sample::dead());
        assert!(text.contains("its process is gone"), "{text}");
        assert!(text.contains("184 of 402 items done") && text.contains("re-sign"));
        assert!(
            !text.contains("/s now") && !text.contains("left\n"),
            "{text}"
        );
    }

    #[test]
    fn an_outage_and_a_pause_are_said_first() {
        assert!(shown(&sample::outage()).contains("Content Server unreachable since"));
        assert!(shown(&sample::paused()).contains("paused by anna"));
    }
}
