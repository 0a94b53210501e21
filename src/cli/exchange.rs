//! `exchange`: reviews and decisions of both systems in one record.

use std::collections::BTreeMap;

use serde_json::json;

use super::exit::{Ended, Exit};
use super::output::{BAD, BOLD, DIM, GOOD, styled};
use super::{Context, connect, record, signals};
use crate::content_server;
use crate::flows::exchange::{self, Choice, Decision, Exchange, FLOW, Line, Outcome, Totals};
use crate::iconik::SegmentKind;
use crate::settings::{Resolved, ShowAs};
use crate::sidecar::mapping::BoundField;
use crate::types::{AssetId, NodeId};

/// Different troubles of many assets that are told apart.
const KINDS: usize = 100;

/// Carry comments, markers, review status and approvals over, both ways, each once.
///
/// What is new in iconik goes into the asset's review record, two documents beside its master
/// (JSON and HTML) that get a version each time; what is new in Content Server goes into the same
/// record and is shown in iconik with its author and time. Edits and withdrawals are lines of
/// their own. Safe to run every five minutes; a run that finds nothing new writes nothing.
///
/// Examples:
///   longhaul exchange
///   longhaul exchange --full                      # what a search does not tell as well
///   longhaul exchange --asset ASSET --dry-run
///   longhaul exchange list ASSET
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment, args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// Only this asset
    #[arg(long, value_name = "ASSET")]
    asset: Option<String>,
    /// Read the remarks of every filed asset, not only of those that seem changed
    #[arg(long)]
    full: bool,
    /// Say what would be recorded and shown, and write nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    List(List),
}

/// List what is recorded of reviews, from the ledger.
///
/// Example: longhaul exchange list --json
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
struct List {
    /// Only this asset
    #[arg(value_name = "ASSET")]
    asset: Option<String>,
}

pub(crate) async fn run(context: &Context, arguments: Arguments) -> anyhow::Result<Exit> {
    let settings = context.settings(Vec::new())?;
    match &arguments.command {
        None => go(context, &settings, &arguments).await,
        Some(Command::List(list)) => listed(context, &settings, list.asset.as_deref()),
    }
}

async fn go(context: &Context, settings: &Resolved, arguments: &Arguments) -> anyhow::Result<Exit> {
    let only = match arguments.asset.as_deref().map(str::trim) {
        Some("") => return Err(Ended::usage("--asset needs an asset's id")),
        only => only.map(|id| AssetId(id.to_owned())),
    };
    let ledger = connect::open_ledger(connect::must_exist(settings)?, FLOW)?;
    if let Some(asset) = &only {
        let filed = ledger.filed(&format!("{asset}/"), 1).await?;
        if !filed
            .iter()
            .any(|item| item.key.starts_with(&format!("{asset}/")))
        {
            return Err(Ended::usage(format!(
                "nothing is filed of asset {asset}; `longhaul publish` or `longhaul archive` files it"
            )));
        }
    }
    let connected = connect::connect(settings).await?;
    let choice = Choice {
        record: settings.exchange.record.clone(),
        comments: attribute(
            settings,
            &connected.systems.content_server,
            connected.systems.target,
        )
        .await?,
        workflow: settings.exchange.workflow,
        show_as: match settings.exchange.show_as {
            ShowAs::Comment => SegmentKind::Comment,
            ShowAs::Generic => SegmentKind::Generic,
        },
    };
    let stop = signals::listen(std::sync::Arc::clone(&context.output))?;
    let pace = connect::pace(settings);
    let engine = connect::engine(settings, &connected, &ledger, &pace, stop, true)?;
    let exchange = Exchange {
        systems: &connected.systems,
        ledger: &ledger,
        engine: &engine,
        choice: &choice,
        full: arguments.full,
        full_every: settings.exchange.full_every,
        dry_run: arguments.dry_run,
    };
    let mut alike = Alike::default();
    let mut each = |decision: &Decision| {
        say(
            context,
            decision,
            arguments.dry_run,
            alike.is_news(decision),
        );
    };
    let totals = exchange.run(only.as_ref(), &mut each).await?;
    alike.say(context);
    summary(context, &totals, arguments.dry_run);
    let undone = [Outcome::Refused, Outcome::Gone];
    let held = totals.unfiled > 0 || undone.iter().any(|what| totals.outcomes.contains_key(what));
    let exit = match (totals.stopped, held) {
        (true, _) => Exit::Stopped,
        (false, true) => Exit::Held,
        (false, false) => Exit::Done,
    };
    if !arguments.dry_run {
        let found = totals.outcomes.iter();
        let found = found.map(|(what, count)| (what.as_str().to_owned(), *count));
        connect::note(&ledger, FLOW, exit, found).await?;
    }
    Ok(exit)
}

/// The attribute that comments are written in, as the server knows it.
pub(super) async fn attribute(
    settings: &Resolved,
    server: &content_server::Client,
    target: NodeId,
) -> anyhow::Result<Option<BoundField>> {
    let Some(map) = &settings.exchange.comments else {
        return Ok(None);
    };
    let binding = record::binding(std::slice::from_ref(map), server, target).await;
    let binding = binding.map_err(|error| match error.downcast::<Ended>() {
        Ok(Ended(exit, text)) => {
            let text = text.replace("`map.fields.exchange.comments`", "`exchange.comments`");
            Ended(exit, text).into()
        }
        Err(error) => error,
    })?;
    Ok(binding.fields.into_iter().next())
}

/// Troubles that many assets have: people are told of each once, with their number.
#[derive(Default)]
struct Alike(BTreeMap<String, (String, u64)>);

impl Alike {
    /// Whether people have to be told of it now.
    fn is_news(&mut self, decision: &Decision) -> bool {
        if decision.line.is_some() {
            return true;
        }
        // The same words but for what they are about.
        let own = [
            decision.asset.to_string(),
            decision.title.clone(),
            decision.node.to_string(),
        ];
        let own = own.iter().filter(|own| !own.is_empty());
        let what = own.fold(decision.why.clone(), |why, own| why.replace(own, "…"));
        let full = self.0.len() >= KINDS;
        match self.0.get_mut(&what) {
            Some((_, more)) => {
                *more += 1;
                false
            }
            None => {
                if !full {
                    self.0.insert(what, (decision.why.clone(), 0));
                }
                true
            }
        }
    }

    fn say(&self, context: &Context) {
        for (why, more) in self.0.values().filter(|(_, more)| *more > 0) {
            let more = match more {
                1 => "1 more asset".to_owned(),
                more => format!("{more} more assets"),
            };
            context
                .output
                .say(format!("{} as well: {why}", styled(BAD, more)));
        }
    }
}

fn say(context: &Context, decision: &Decision, dry_run: bool, aloud: bool) {
    let output = &context.output;
    let mut data = serde_json::to_value(decision).unwrap_or_default();
    data["dry_run"] = dry_run.into();
    output.event("exchange", data);
    if !aloud {
        return;
    }
    let style = match decision.outcome {
        Outcome::ToContentServer | Outcome::ToIconik => GOOD,
        Outcome::Refused | Outcome::Gone => BAD,
    };
    let what = decision.line.as_ref().map(described).unwrap_or_default();
    output.say(format!(
        "{} {} {what}",
        styled(style, decision.outcome.as_str()),
        styled(BOLD, &decision.title),
    ));
    output.note(styled(
        DIM,
        format!(
            "  asset {}, node {}: {}",
            decision.asset, decision.node, decision.why
        ),
    ));
}

/// A line in a few words.
fn described(line: &Line) -> String {
    let said = &line.said;
    let at = said.at.as_ref().map(|at| format!(" at {at}"));
    format!(
        "{} {} by {}{}: {:?}",
        line.kind.as_str(),
        line.event.as_str(),
        said.by(),
        at.unwrap_or_default(),
        said.text
    )
}

fn summary(context: &Context, totals: &Totals, dry_run: bool) {
    let output = &context.output;
    output.event(
        "exchange_summary",
        json!({
            "assets": totals.assets, "looked": totals.looked, "full": totals.full, "outcomes": totals.outcomes, "documents": totals.documents,
            "unfiled": totals.unfiled, "run": totals.run, "dry_run": dry_run,
        }),
    );
    let count = |what: Outcome| totals.outcomes.get(&what).copied().unwrap_or(0);
    output.say(format!(
        "{} filed assets, {} looked at: {} lines from iconik, {} from Content Server, {} documents filed, {} refused, {} gone{}",
        totals.assets,
        totals.looked,
        count(Outcome::ToContentServer),
        count(Outcome::ToIconik),
        totals.documents,
        count(Outcome::Refused),
        count(Outcome::Gone),
        if dry_run { " (nothing was written)" } else { "" },
    ));
    if totals.unfiled > 0 {
        output.say(format!(
            "{} documents of review records are not filed: `longhaul status` says why, `longhaul retry` tries again",
            totals.unfiled
        ));
    }
}

fn listed(context: &Context, settings: &Resolved, asset: Option<&str>) -> anyhow::Result<Exit> {
    const PAGE: usize = 200;
    let reader = connect::existing_ledger(settings)?;
    let output = &context.output;
    let mut after = (asset.unwrap_or_default().to_owned(), String::new());
    let mut found = 0;
    'pages: loop {
        let page = reader.remembered_page(FLOW, (&after.0, &after.1), false, PAGE)?;
        for fact in &page {
            if asset.is_some_and(|asset| asset != fact.object) {
                break 'pages;
            }
            let Some((asset, line)) = exchange::line_of(fact) else {
                continue;
            };
            found += 1;
            output.event("exchange_line", json!({"asset": asset, "line": line}));
            output.say(format!("{asset} #{} {}", line.seq, described(&line)));
        }
        match page.last() {
            Some(fact) if page.len() == PAGE => after = (fact.object.clone(), fact.field.clone()),
            _ => break,
        }
    }
    if found == 0 {
        output.say("no review is recorded");
    }
    Ok(Exit::Done)
}
