//! `approval`: formal approval in Content Server of what is approved in iconik.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::json;

use super::exit::{Ended, Exit};
use super::output::{BAD, BOLD, DIM, GOOD, WARN, styled};
use super::{Context, connect, record, who};
use crate::content_server;
use crate::flows::approval::{
    self, Approvals, Decision, FLOW, Listed, Mark, Outcome, Policy, Route, Rule, Ruling, Source,
    Tell, Totals, Verdict,
};
use crate::flows::publish::Template;
use crate::settings::{OutcomeFrom, Resolved};
use crate::sidecar::mapping::{BoundField, FieldMap};
use crate::types::{AssetId, NodeId, VersionId, ViewId};

/// Facts read from the ledger at once.
const PAGE: usize = 200;

/// Start the formal approval of what is approved in iconik, and bring back what comes of it.
///
/// Each filed asset whose review is complete goes into the workflow that `approval.routes` chooses,
/// once for each of its versions; running processes are looked at. Safe to run every five minutes: a
/// run with nothing new writes nothing. What cannot be explained waits for a person (exit code 3).
///
/// Examples:
///   longhaul approval
///   longhaul approval --dry-run --json
///   longhaul approval --full                      # every asset; offers again what was refused
///   longhaul approval list --overdue
///   longhaul approval decide ASSET --started 159314 --because 'found in the archive'
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment, args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// Look at every filed asset in iconik, and offer again what was refused
    #[arg(long)]
    full: bool,
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    List(List),
    Decide(Decide),
}

/// List approvals that run, are late, were refused or wait for a person.
///
/// Example: longhaul approval list --overdue --json
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
struct List {
    /// Only those with a step that is late
    #[arg(long)]
    overdue: bool,
    /// Also those that are over, and assets that are not complete in iconik
    #[arg(long, conflicts_with = "overdue")]
    all: bool,
}

/// Decide about an approval that waits for a person, and carry on.
///
/// Example: longhaul approval decide ASSET --outcome rejected --because 'stopped by legal, ticket 4711'
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
#[command(group = clap::ArgGroup::new("ruling").required(true))]
struct Decide {
    /// The asset's id
    #[arg(value_name = "ASSET")]
    asset: String,
    /// The asset version's id, when several wait
    #[arg(long, value_name = "ID")]
    asset_version: Option<String>,
    /// Its process is this one
    #[arg(long, value_name = "PROCESS", group = "ruling", value_parser = clap::value_parser!(i64).range(1..))]
    started: Option<i64>,
    /// There is no process, or its end does not count: start another
    #[arg(long, group = "ruling")]
    start_again: bool,
    /// What came of its process
    #[arg(long, group = "ruling", value_enum)]
    outcome: Option<Word>,
    /// Why, for the journal
    #[arg(long, value_name = "TEXT")]
    because: String,
    /// Only say what would be decided
    #[arg(long)]
    dry_run: bool,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Word {
    /// Yes
    Approved,
    /// No
    Rejected,
}

pub(crate) async fn run(context: &Context, arguments: Arguments) -> anyhow::Result<Exit> {
    let settings = context.settings(Vec::new())?;
    match arguments.command {
        None => {
            let look = Look {
                full: arguments.full,
                dry_run: arguments.dry_run,
                only: None,
            };
            go(context, &settings, &look).await
        }
        Some(Command::List(arguments)) => list(context, &settings, &arguments),
        Some(Command::Decide(decision)) => decide(context, &settings, decision).await,
    }
}

/// What a run looks at.
struct Look {
    full: bool,
    dry_run: bool,
    only: Option<AssetId>,
}

async fn go(context: &Context, settings: &Resolved, look: &Look) -> anyhow::Result<Exit> {
    configured(settings)?;
    let ledger = connect::open_ledger(connect::must_exist(settings)?, "approval")?;
    let connected = connect::connect(settings).await?;
    let systems = &connected.systems;
    let policy = policy(settings, &systems.content_server, systems.target).await?;
    let approvals = Approvals {
        systems,
        ledger: &ledger,
        policy: &policy,
        full: look.full,
        dry_run: look.dry_run,
    };
    let mut each = |decision: &Decision| say(context, decision, look.dry_run);
    let totals = match &look.only {
        Some(asset) => approvals.one(asset, &mut each).await?,
        None => approvals.run(&mut each).await?,
    };
    let open = connect::waiting(settings, FLOW)?;
    summary(context, &totals, open, look.dry_run);
    let undone = [
        Outcome::Unclear,
        Outcome::Puzzling,
        Outcome::Refused,
        Outcome::Gone,
    ];
    let held = open > 0 || undone.iter().any(|what| totals.outcomes.contains_key(what));
    let exit = if held { Exit::Held } else { Exit::Done };
    if !look.dry_run {
        let found = totals.outcomes.iter();
        let found = found
            .map(|(what, count)| (what.as_str().to_owned(), *count))
            .chain([
                ("running".to_owned(), totals.running),
                ("overdue".to_owned(), totals.overdue),
            ]);
        connect::note(&ledger, FLOW, exit, found).await?;
    }
    Ok(exit)
}

fn configured(settings: &Resolved) -> anyhow::Result<()> {
    if settings.approval.routes.is_empty() {
        return Err(Ended::usage(
            "no route is configured: `approval.routes` in the settings says which workflow map an asset goes into, such as [{ name = \"legal\", map = \"Legal review\" }]",
        ));
    }
    Ok(())
}

/// The policy, with every name found.
/// The policy, with every name found in the server's definitions.
pub(super) async fn policy(
    settings: &Resolved,
    server: &content_server::Client,
    target: NodeId,
) -> anyhow::Result<Policy> {
    let approval = &settings.approval;
    let mut routes = Vec::new();
    for route in &approval.routes {
        let mut form = BTreeMap::new();
        for (label, text) in &route.form {
            let template = Template::parse(text).map_err(|error| {
                let key = format!("approval.routes.{}.form", route.name);
                Ended::usage(format!("`{key}`: {error}"))
            })?;
            form.insert(label.clone(), template);
        }
        routes.push(Route {
            name: route.name.clone(),
            map: route.map.clone(),
            when: route.when.clone(),
            form,
        });
    }
    let from = match &approval.outcome.from {
        OutcomeFrom::Activities => Source::Activities,
        OutcomeFrom::Comments => Source::Comments,
        OutcomeFrom::Audit => Source::Audit,
        OutcomeFrom::Steps => Source::Steps,
        OutcomeFrom::Attribute(name) => Source::Attribute(name.clone()),
        OutcomeFrom::Document(field) => {
            Source::Document(Box::new(attribute(field, server, target).await?))
        }
    };
    let mark = match &approval.mark {
        None => None,
        Some(mark) => Some(Mark {
            field: attribute(&mark.field, server, target).await?,
            running: mark.running.clone(),
            approved: mark.approved.clone(),
            rejected: mark.rejected.clone(),
        }),
    };
    Ok(Policy {
        when: approval.when.clone(),
        binding: record::binding(&settings.map, server, target).await?,
        routes,
        outcome: Rule {
            from,
            approved: approval.outcome.approved.clone(),
            rejected: approval.outcome.rejected.clone(),
        },
        mark,
        tell: approval.tell.as_ref().map(|(view, fields)| Tell {
            view: ViewId(view.clone()),
            fields: fields.clone(),
        }),
        vote: approval.vote,
    })
}

/// An attribute of `[approval]`, found in the definitions.
async fn attribute(
    field: &FieldMap,
    server: &content_server::Client,
    target: NodeId,
) -> anyhow::Result<BoundField> {
    let found = record::find(std::slice::from_ref(field), server, target).await?;
    let found = found.map_err(|wrong| {
        let said: Vec<String> = wrong
            .iter()
            .map(|mismatch| format!("`approval.{}` {}", mismatch.field, mismatch.what))
            .collect();
        Ended::usage(said.join("\n"))
    })?;
    let bound = found.fields.into_iter().next();
    bound.ok_or_else(|| Ended::usage(format!("`approval.{}` names no attribute", field.name)))
}

fn say(context: &Context, decision: &Decision, dry_run: bool) {
    let output = &context.output;
    let mut line = serde_json::to_value(decision).unwrap_or_default();
    line["dry_run"] = dry_run.into();
    output.event("approval", line);
    let style = match decision.outcome {
        Outcome::Started | Outcome::Found | Outcome::Approved => GOOD,
        Outcome::Rejected | Outcome::Refused | Outcome::Gone => BAD,
        Outcome::Unclear | Outcome::Puzzling => WARN,
        Outcome::Moved | Outcome::NotComplete => DIM,
    };
    output.say(format!(
        "{} {}: {}",
        styled(style, decision.outcome.as_str()),
        styled(BOLD, &decision.title),
        decision.why
    ));
    let process = decision
        .process
        .map_or(String::new(), |process| format!(", process {process}"));
    output.note(styled(
        DIM,
        format!(
            "  asset {}, node {}{process}",
            decision.asset, decision.node
        ),
    ));
}

fn summary(context: &Context, totals: &Totals, open: u64, dry_run: bool) {
    let output = &context.output;
    output.event(
        "approval_summary",
        json!({
            "assets": totals.assets, "running": totals.running, "overdue": totals.overdue,
            "outcomes": totals.outcomes, "waiting": open, "dry_run": dry_run,
        }),
    );
    let counts: Vec<String> = totals
        .outcomes
        .iter()
        .map(|(outcome, count)| format!("{count} {}", outcome.as_str()))
        .collect();
    output.say(format!(
        "{} filed assets: {}; {} in approval, {} of them late{}",
        totals.assets,
        if counts.is_empty() {
            "nothing new".to_owned()
        } else {
            counts.join(", ")
        },
        totals.running,
        totals.overdue,
        if dry_run { " (nothing was done)" } else { "" },
    ));
    if open > 0 {
        output.say(format!(
            "{open} wait for a person: `longhaul approval list`"
        ));
    }
}

fn list(context: &Context, settings: &Resolved, arguments: &List) -> anyhow::Result<Exit> {
    let reader = connect::existing_ledger(settings)?;
    let now = Timestamp::now();
    let mut after = (String::new(), String::new());
    let (mut shown, mut open) = (0_u64, 0_u64);
    loop {
        let page = reader.remembered_page(FLOW, (&after.0, &after.1), false, PAGE)?;
        for fact in &page {
            let listed = approval::listed(fact, now)?;
            open += u64::from(listed.open);
            let wanted = match listed.stage {
                "approved" | "rejected" | "not-complete" => arguments.all,
                _ => !arguments.overdue || listed.overdue,
            };
            if wanted {
                shown += 1;
                one(context, &listed);
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
        context.output.say(match arguments.overdue {
            true => "no approval is late",
            false => "no approval is under way",
        });
    }
    if open > 0 {
        context.output.note(styled(
            DIM,
            "`longhaul approval decide ASSET --started PROCESS | --start-again | --outcome approved|rejected --because TEXT`",
        ));
        return Ok(Exit::Held);
    }
    Ok(Exit::Done)
}

fn one(context: &Context, listed: &Listed) {
    let output = &context.output;
    output.event(
        "approval_case",
        serde_json::to_value(listed).unwrap_or_default(),
    );
    let style = match (listed.open, listed.overdue, listed.stage) {
        (true, ..) | (_, true, _) => WARN,
        (_, _, "refused" | "rejected") => BAD,
        _ => GOOD,
    };
    let late = if listed.overdue { ", late" } else { "" };
    output.say(format!(
        "{} {}: {}",
        styled(style, format!("{}{late}", listed.stage)),
        styled(BOLD, &listed.title),
        listed.why
    ));
    for step in listed.steps.iter().filter(|step| !step.over) {
        let due = step
            .due
            .as_deref()
            .map_or(String::new(), |due| format!(", due {due}"));
        output.say(format!(
            "  {} with {}{due}",
            step.name,
            match step.by.as_slice() {
                [] => "nobody".to_owned(),
                people => people.join(", "),
            }
        ));
    }
    let process = listed
        .process
        .map_or(String::new(), |process| format!(", process {process}"));
    output.note(styled(
        DIM,
        format!(
            "  asset {}, version {}, node {}{process}",
            listed.asset, listed.version, listed.node
        ),
    ));
}

async fn decide(context: &Context, settings: &Resolved, decision: Decide) -> anyhow::Result<Exit> {
    let because = who::because(&decision.because)?;
    configured(settings)?;
    let asset = AssetId(decision.asset);
    let version = decision.asset_version.map(VersionId);
    let ruling = match (decision.started, decision.outcome) {
        (Some(process), _) => Ruling::Started(process),
        (None, Some(Word::Approved)) => Ruling::Outcome(Verdict::Approved),
        (None, Some(Word::Rejected)) => Ruling::Outcome(Verdict::Rejected),
        (None, None) => Ruling::StartAgain,
    };
    let none = || {
        Ended::usage(format!(
            "no approval of asset {asset} waits for a decision; `longhaul approval list` lists those that do"
        ))
    };
    if let Ruling::Started(process) = ruling {
        let http = connect::http_client(settings)?;
        let server = connect::content_server(settings, &http).await?;
        let found = server.process(process).await?;
        let Some(found) = found else {
            return Err(Ended::usage(format!(
                "Content Server does not show a process {process}: it is archived or deleted, or is none; say --outcome when its end is known"
            )));
        };
        context
            .output
            .note(format!("process {process} is {:?}", found.title));
    }
    if decision.dry_run {
        let reader = connect::existing_ledger(settings)?;
        let now = Timestamp::now();
        let facts = reader.remembered(FLOW, asset.as_str())?;
        let own = facts.iter().find(|fact| {
            fact.open
                && version
                    .as_ref()
                    .is_none_or(|version| fact.field == version.as_str())
        });
        one(context, &approval::listed(own.ok_or_else(none)?, now)?);
        return Ok(Exit::Done);
    }
    {
        let ledger = connect::open_ledger(connect::must_exist(settings)?, "approval decide")?;
        let who = who::described();
        approval::decide(&ledger, &asset, version.as_ref(), ruling, &who, because)
            .await?
            .ok_or_else(none)?
            .map_err(Ended::usage)?;
    }
    context.output.note(format!(
        "recorded; {}",
        match ruling {
            Ruling::Started(process) => format!("process {process} is watched"),
            Ruling::StartAgain => "another process is started".to_owned(),
            Ruling::Outcome(verdict) => format!("it is {}", verdict.as_str()),
        }
    ));
    let look = Look {
        full: true,
        dry_run: false,
        only: Some(asset),
    };
    go(context, settings, &look).await
}
