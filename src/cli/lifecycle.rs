//! `lifecycle`: what is not used any more goes to review, and its outcome is carried out.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;

use super::connect::Connected;
use super::exit::{Ended, Exit};
use super::output::{BAD, BOLD, DIM, GOOD, WARN, styled};
use super::{Context, connect, signals, who};
use crate::content_server;
use crate::flows::lifecycle::{
    self, Approval, Decision, FLOW, Lifecycle, Mark, Outcome, Place, Policy, Stage, Step, Totals,
    certificate,
};
use crate::ledger::{Fact, Ledger, NewRun};
use crate::settings::{OutcomePlace, Resolved};
use crate::sidecar::mapping::{self, BoundField, FieldKind, FieldMap, Truth};
use crate::transfer;
use crate::types::{AssetId, NodeId};

/// Carry what is obsolete, superseded or expired in iconik through retention.
///
/// The mark is written to the record, Content Server's outcome is read and carried out in iconik:
/// retain, archive or destroy. Safe to run every five minutes. Nothing is destroyed unless
/// `lifecycle.destroy` allows it, the outcome says so, a person decided it and no hold protects the
/// document; what is destroyed goes to iconik's recycle bin, and a certificate is filed. What waits
/// for a person makes the exit code 3.
///
/// Examples:
///   longhaul lifecycle
///   longhaul lifecycle --full                     # look at everything, once a week
///   longhaul lifecycle --dry-run --json
///   longhaul lifecycle list
///   longhaul lifecycle decide ASSET --outcome destroy --because 'board decision 12/26'
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment, args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// Look at every filed asset, not only what seems changed
    #[arg(long)]
    full: bool,
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Decide in your name what the outcome `destroy` asks a person for
    #[arg(long)]
    yes: bool,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List the assets on their way, and what they wait for
    ///
    /// Example: longhaul lifecycle list --waiting --json
    #[command(verbatim_doc_comment)]
    List(List),
    Decide(Decide),
}

#[derive(Debug, clap::Args)]
struct List {
    /// Only those that wait for a person
    #[arg(long)]
    waiting: bool,
    /// Also those whose way is over
    #[arg(long, conflicts_with = "waiting")]
    all: bool,
}

/// Decide what becomes of an asset, and carry it out as far as nothing stops it.
///
/// Example: longhaul lifecycle decide ASSET --outcome archive --because 'ticket 4711'
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
struct Decide {
    /// The asset's id
    #[arg(value_name = "ASSET")]
    asset: String,
    /// What becomes of it
    #[arg(long, value_enum)]
    outcome: Word,
    /// Why, for the journal and the certificate
    #[arg(long, value_name = "TEXT")]
    because: String,
    /// Only say what would be decided
    #[arg(long)]
    dry_run: bool,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Word {
    /// It stays as it is
    Retain,
    /// It is archived
    Archive,
    /// It goes into the recycle bin
    Destroy,
}

impl Word {
    fn outcome(self) -> Outcome {
        match self {
            Self::Retain => Outcome::Retain,
            Self::Archive => Outcome::Archive,
            Self::Destroy => Outcome::Destroy,
        }
    }
}

pub(crate) async fn run(context: &Context, arguments: Arguments) -> anyhow::Result<Exit> {
    let settings = context.settings(Vec::new())?;
    match arguments.command {
        None => {
            let look = Look {
                full: arguments.full,
                dry_run: arguments.dry_run,
                yes: arguments.yes,
                only: None,
            };
            go(context, &settings, &look).await
        }
        Some(Command::List(which)) => list(context, &settings, &which),
        Some(Command::Decide(decision)) => decide(context, &settings, decision).await,
    }
}

/// What a run looks at.
struct Look {
    full: bool,
    dry_run: bool,
    yes: bool,
    only: Option<AssetId>,
}

async fn go(context: &Context, settings: &Resolved, look: &Look) -> anyhow::Result<Exit> {
    let marks = &settings.lifecycle;
    if marks.status.is_none() && marks.relation.is_none() && marks.expiry.is_none() {
        return Err(Ended::usage(
            "nothing says what is not used any more: set `lifecycle.status`, `lifecycle.relation` or `lifecycle.expiry`",
        ));
    }
    let ledger = connect::open_ledger(connect::must_exist(settings)?, "lifecycle")?;
    let connected = connect::connect(settings).await?;
    let policy = policy(
        settings,
        &connected.systems.content_server,
        connected.systems.target,
    )
    .await?;
    let who = who::described();
    let flow = Lifecycle {
        systems: &connected.systems,
        ledger: &ledger,
        policy: &policy,
        who: who.clone(),
        yes: look.yes,
        full: look.full,
        dry_run: look.dry_run,
    };
    let mut each = |decision: &Decision| say(context, decision, look.dry_run);
    let mut totals = match &look.only {
        Some(asset) => flow.one(asset, &mut each).await?,
        None => flow.run(&mut each).await?,
    };
    let mut ended = transfer::Outcome::Finished;
    if !totals.uncertified.is_empty() && !look.dry_run {
        ended = certify(context, settings, &connected, &ledger, &policy, &mut totals).await?;
    }
    let open = connect::waiting(settings, FLOW)?;
    summary(context, &totals, open, look.dry_run);
    let held = open > 0 || totals.steps.keys().any(|step| step.waits());
    let exit = match ended {
        transfer::Outcome::Stopped | transfer::Outcome::Waiting => Exit::Stopped,
        transfer::Outcome::Failed(failure) => return Err(crate::flows::Error::from(failure).into()),
        transfer::Outcome::Finished if held => Exit::Held,
        transfer::Outcome::Finished => Exit::Done,
    };
    if !look.dry_run {
        let found = totals.steps.iter();
        let found = found.map(|(what, count)| (what.as_str().to_owned(), *count));
        connect::note(&ledger, "lifecycle", exit, found).await?;
    }
    Ok(exit)
}

/// Files the certificates of what was destroyed, as a run of its own.
async fn certify(
    context: &Context,
    settings: &Resolved,
    connected: &Connected,
    ledger: &Ledger,
    policy: &Policy,
    totals: &mut Totals,
) -> anyhow::Result<transfer::Outcome> {
    let stop = signals::listen(Arc::clone(&context.output))?;
    let pace = connect::pace(settings);
    let engine = connect::engine(settings, connected, ledger, &pace, stop, false)?;
    let run = ledger
        .start_run(NewRun {
            command: "lifecycle".to_owned(),
            arguments: json!({"certificates": totals.uncertified}).to_string(),
        })
        .await?;
    ledger.scan_progress(run, None, true, 0).await?;
    let assets = std::mem::take(&mut totals.uncertified);
    let who = who::described();
    let bench = certificate::Bench {
        systems: &connected.systems,
        ledger,
        engine: &engine,
        policy,
        run,
        who: &who,
    };
    let mut each = |decision: &Decision| {
        *totals.steps.entry(decision.step).or_default() += 1;
        say(context, decision, false);
    };
    let filed = certificate::file(bench, &assets, &mut each).await;
    let word = match &filed {
        Ok(transfer::Outcome::Finished) => "done",
        Ok(transfer::Outcome::Stopped | transfer::Outcome::Waiting) => "stopped",
        Ok(_) | Err(_) => "failed",
    };
    ledger.give_back(run).await?;
    ledger.end_run(run, word, word == "done").await?;
    Ok(filed?)
}

/// The policy, with every name found in the server's definitions.
pub(super) async fn policy(
    settings: &Resolved,
    server: &content_server::Client,
    target: NodeId,
) -> anyhow::Result<Policy> {
    let lifecycle = &settings.lifecycle;
    let map = |name: &str, category: &str, attribute: &str, kind: FieldKind| FieldMap {
        name: name.to_owned(),
        source: name.to_owned(),
        category: category.to_owned(),
        set: None,
        attribute: attribute.to_owned(),
        kind,
        values: BTreeMap::new(),
        default: None,
        required: false,
        truth: Truth::Iconik,
    };
    let mut maps = Vec::new();
    if let Some(told) = &lifecycle.attribute {
        let words = told.values.iter();
        maps.push(FieldMap {
            values: words
                .map(|(mark, word)| (mark.as_str().to_owned(), word.clone()))
                .collect(),
            ..map(
                "attribute",
                &told.category,
                &told.attribute,
                FieldKind::Text,
            )
        });
        if let Some(date) = &told.date {
            maps.push(map("attribute.date", &told.category, date, FieldKind::Date));
        }
    }
    let place = lifecycle.outcome.as_ref().map(|outcome| &outcome.place);
    if let Some(OutcomePlace::Attribute(category, attribute)) = place {
        maps.push(map("outcome", category, attribute, FieldKind::Text));
    }
    let mut bound: BTreeMap<String, BoundField> = BTreeMap::new();
    if !maps.is_empty() {
        let mut names: Vec<&str> = maps.iter().map(|field| field.category.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        let categories = server.category_facts(&names, target).await?;
        let binding = mapping::resolve(&maps, &categories).map_err(|wrong| {
            let lines: Vec<String> = wrong
                .iter()
                .map(|mismatch| format!("`lifecycle.{}` {}", mismatch.field, mismatch.what))
                .collect();
            Ended::usage(lines.join("\n"))
        })?;
        let fields = binding.fields.into_iter();
        bound.extend(fields.map(|field| (field.map.name.clone(), field)));
    }
    let outcome = lifecycle.outcome.as_ref().and_then(|outcome| {
        let place = match &outcome.place {
            OutcomePlace::Attribute(..) => Place::Attribute(Box::new(bound.remove("outcome")?)),
            OutcomePlace::Schedule => Place::Schedule,
            OutcomePlace::Disposition(search, _) => Place::Disposition(*search),
        };
        Some((place, outcome.values.clone()))
    });
    Ok(Policy {
        status: lifecycle.status.clone(),
        relation: lifecycle.relation.clone(),
        expiry: lifecycle.expiry.clone(),
        record_status: lifecycle.record_status.clone(),
        attribute: bound.remove("attribute"),
        date: bound.remove("attribute.date"),
        review_days: lifecycle.review_days,
        cross_reference: lifecycle.cross_reference.clone(),
        outcome,
        start_search: matches!(place, Some(OutcomePlace::Disposition(_, true))),
        archive: lifecycle.archive.clone(),
        destroy: lifecycle.destroy,
        certificates: lifecycle.certificates.clone(),
    })
}

fn say(context: &Context, decision: &Decision, dry_run: bool) {
    let output = &context.output;
    let mut line = serde_json::to_value(decision).unwrap_or_default();
    line["dry_run"] = dry_run.into();
    output.event("lifecycle", line);
    let style = match decision.step {
        Step::Destroyed | Step::Held => BAD,
        Step::Approve | Step::Gone | Step::Later => WARN,
        _ => GOOD,
    };
    let mark = decision.mark.map_or("", Mark::as_str);
    output.say(format!(
        "{} {} {mark}",
        styled(style, decision.step.as_str()),
        styled(BOLD, &decision.title),
    ));
    let due = decision
        .due
        .as_ref()
        .map(|due| format!(", due {due}"))
        .unwrap_or_default();
    output.note(styled(
        DIM,
        format!(
            "  asset {}, node {}{due}: {}",
            decision.asset, decision.node, decision.why
        ),
    ));
}

fn summary(context: &Context, totals: &Totals, open: u64, dry_run: bool) {
    let output = &context.output;
    output.event(
        "lifecycle_summary",
        json!({
            "assets": totals.assets, "looked_at": totals.looked_at, "in_review": totals.in_review,
            "search": totals.search, "steps": totals.steps, "waiting": open, "dry_run": dry_run,
        }),
    );
    if let Some(search) = totals.search {
        let is = if dry_run { "would be" } else { "is" };
        output.say(format!("disposition search {search} {is} started"));
    }
    let steps: Vec<String> = totals
        .steps
        .iter()
        .map(|(step, count)| format!("{count} {}", step.as_str()))
        .collect();
    let steps = if steps.is_empty() {
        "nothing new".to_owned()
    } else {
        steps.join(", ")
    };
    output.say(format!(
        "{} filed assets, {} looked at, {} in review: {steps}{}",
        totals.assets,
        totals.looked_at,
        totals.in_review,
        if dry_run { " (nothing was done)" } else { "" },
    ));
    if open > 0 {
        output.say(format!(
            "{open} wait for a person: `longhaul lifecycle list --waiting`"
        ));
    }
}

fn list(context: &Context, settings: &Resolved, which: &List) -> anyhow::Result<Exit> {
    const PAGE: usize = 200;
    let reader = connect::existing_ledger(settings)?;
    let mut after = (String::new(), String::new());
    let (mut shown, mut waiting) = (0, false);
    loop {
        let page = reader.remembered_page(FLOW, (&after.0, &after.1), which.waiting, PAGE)?;
        for fact in &page {
            let Some(case) = lifecycle::case_of(fact) else {
                continue;
            };
            if which.all || case.is_unfinished() || fact.open {
                shown += 1;
                waiting |= fact.open;
                one(context, fact, &case);
            }
        }
        match page.last() {
            Some(fact) if page.len() == PAGE => {
                after = (fact.object.clone(), fact.field.clone());
            }
            _ => break,
        }
    }
    if shown == 0 {
        context.output.say("no asset is on its way");
    }
    Ok(if waiting { Exit::Held } else { Exit::Done })
}

fn one(context: &Context, fact: &Fact, case: &lifecycle::Case) {
    let stage = match case.stage {
        Stage::Closed(end) => serde_json::to_value(end),
        stage => serde_json::to_value(stage),
    };
    let stage = stage.unwrap_or_default();
    context.output.event(
        "lifecycle_case",
        json!({
            "asset": fact.object, "stage": stage, "mark": case.mark, "why": case.why,
            "since": case.since, "due": case.due, "waits": fact.open, "problem": case.problem,
            "decided": case.approval,
        }),
    );
    let style = if fact.open { WARN } else { GOOD };
    context.output.say(format!(
        "{} {} {}: {}",
        styled(style, stage.as_str().unwrap_or_default()),
        fact.object,
        case.mark.map_or("", Mark::as_str),
        case.problem.as_deref().unwrap_or(&case.why),
    ));
}

async fn decide(context: &Context, settings: &Resolved, decision: Decide) -> anyhow::Result<Exit> {
    let because = who::because(&decision.because)?;
    let asset = AssetId(decision.asset);
    let approval = Approval {
        outcome: decision.outcome.outcome(),
        who: who::described(),
        because: because.to_owned(),
        at: jiff::Timestamp::now(),
    };
    let none = || {
        Ended::usage(format!(
            "asset {asset} is not on its way to an outcome; `longhaul lifecycle list` shows those that are"
        ))
    };
    if decision.dry_run {
        let reader = connect::existing_ledger(settings)?;
        let facts = reader.remembered(FLOW, asset.as_str())?;
        let own = facts
            .iter()
            .find_map(|fact| Some((fact, lifecycle::case_of(fact)?)));
        let (fact, case) = own
            .filter(|(_, case)| case.is_decidable())
            .ok_or_else(none)?;
        one(context, fact, &case);
        return Ok(Exit::Done);
    }
    {
        let ledger = connect::open_ledger(connect::must_exist(settings)?, "lifecycle decide")?;
        lifecycle::decide(&ledger, &asset, approval)
            .await?
            .ok_or_else(none)?;
    }
    let look = Look {
        full: true,
        dry_run: false,
        yes: false,
        only: Some(asset),
    };
    go(context, settings, &look).await
}
