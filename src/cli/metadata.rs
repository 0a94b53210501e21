//! `metadata`: the mapped fields of filed assets, both ways.

use serde_json::json;

use super::exit::{Ended, Exit};
use super::output::{BAD, BOLD, DIM, GOOD, WARN, styled};
use super::{Context, connect, record, who};
use crate::flows::metadata::{self, Conflict, Decision, FLOW, Outcome, Sync, Take, Totals};
use crate::settings::Resolved;
use crate::sidecar::mapping::merge::Side;
use crate::types::AssetId;

/// Keep the mapped metadata of filed assets in step, both ways.
///
/// Looks at what was edited since the last time on either side; safe to run every five minutes. A
/// run that finds nothing new writes nothing. Edits of both sides that differ follow the field's
/// `truth`, or wait for a person (exit code 3).
///
/// Examples:
///   longhaul metadata
///   longhaul metadata --full                      # compare everything, once a week
///   longhaul metadata --dry-run --json
///   longhaul metadata conflicts
///   longhaul metadata decide ASSET campaign --take iconik --because 'ticket 4711'
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment, args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// Compare every filed asset, not only what seems changed
    #[arg(long)]
    full: bool,
    /// Say what would be written, and write nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List the fields that wait for a person
    ///
    /// Example: longhaul metadata conflicts --json
    #[command(verbatim_doc_comment)]
    Conflicts,
    Decide(Decide),
}

/// Decide whose edit of a field counts, and carry it over.
///
/// Example: longhaul metadata decide ASSET campaign --take content-server --because 'legal said so'
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
struct Decide {
    /// The asset's id
    #[arg(value_name = "ASSET")]
    asset: String,
    /// The field, as the mapping names it
    #[arg(value_name = "FIELD")]
    field: String,
    /// Whose edit counts
    #[arg(long, value_enum)]
    take: Whose,
    /// Why, for the journal
    #[arg(long, value_name = "TEXT")]
    because: String,
    /// Only say what would be decided
    #[arg(long)]
    dry_run: bool,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Whose {
    /// iconik's
    Iconik,
    /// Content Server's
    ContentServer,
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
        Some(Command::Conflicts) => conflicts(context, &settings),
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
    if settings.map.is_empty() {
        return Err(Ended::usage(
            "no field is mapped: `map.fields` in the settings says which iconik field belongs to which category attribute",
        ));
    }
    let ledger = connect::open_ledger(connect::must_exist(settings)?, "metadata")?;
    let connected = connect::connect(settings).await?;
    let systems = &connected.systems;
    let binding = record::binding(&settings.map, &systems.content_server, systems.target).await?;
    let sync = Sync {
        systems,
        ledger: &ledger,
        binding: &binding,
        full: look.full,
        dry_run: look.dry_run,
    };
    let mut each = |decision: &Decision| say(context, decision, look.dry_run);
    let totals = match &look.only {
        Some(asset) => sync.one(asset, &mut each).await?,
        None => sync.run(&mut each).await?,
    };
    let open = connect::waiting(settings, FLOW)?;
    summary(context, &totals, open, look.dry_run);
    let undone = [Outcome::Conflict, Outcome::Refused, Outcome::Gone];
    let held = open > 0 || undone.iter().any(|what| totals.outcomes.contains_key(what));
    let exit = if held { Exit::Held } else { Exit::Done };
    if !look.dry_run {
        let found = totals.outcomes.iter();
        let found = found.map(|(what, count)| (what.as_str().to_owned(), *count));
        connect::note(&ledger, FLOW, exit, found).await?;
    }
    Ok(exit)
}

fn say(context: &Context, decision: &Decision, dry_run: bool) {
    let output = &context.output;
    let mut line = serde_json::to_value(decision).unwrap_or_default();
    line["dry_run"] = dry_run.into();
    output.event("metadata", line);
    let style = match decision.outcome {
        Outcome::ToContentServer | Outcome::ToIconik => GOOD,
        Outcome::Conflict => WARN,
        Outcome::Refused | Outcome::Gone => BAD,
    };
    let what = match decision.outcome {
        Outcome::ToContentServer => format!(
            "{} → Content Server (had {})",
            shown(&decision.iconik),
            shown(&decision.content_server)
        ),
        Outcome::ToIconik => format!(
            "{} → iconik (had {})",
            shown(&decision.content_server),
            shown(&decision.iconik)
        ),
        Outcome::Conflict => format!(
            "iconik has {}, Content Server has {}",
            edit(&decision.iconik),
            edit(&decision.content_server)
        ),
        Outcome::Refused | Outcome::Gone => String::new(),
    };
    output.say(format!(
        "{} {} {} {what}",
        styled(style, decision.outcome.as_str()),
        styled(BOLD, &decision.title),
        decision.field
    ));
    output.note(styled(
        DIM,
        format!(
            "  asset {}, node {}: {}",
            decision.asset, decision.node, decision.why
        ),
    ));
}

fn summary(context: &Context, totals: &Totals, open: u64, dry_run: bool) {
    let output = &context.output;
    output.event(
        "metadata_summary",
        json!({
            "assets": totals.assets, "compared": totals.compared, "outcomes": totals.outcomes,
            "waiting": open, "dry_run": dry_run,
        }),
    );
    let count = |what: Outcome| totals.outcomes.get(&what).copied().unwrap_or(0);
    output.say(format!(
        "{} filed assets, {} compared: {} values to Content Server, {} to iconik, {} refused, {} gone{}",
        totals.assets,
        totals.compared,
        count(Outcome::ToContentServer),
        count(Outcome::ToIconik),
        count(Outcome::Refused),
        count(Outcome::Gone),
        if dry_run { " (nothing was written)" } else { "" },
    ));
    if open > 0 {
        output.say(format!(
            "{open} fields wait for a person: `longhaul metadata conflicts`"
        ));
    }
}

fn conflicts(context: &Context, settings: &Resolved) -> anyhow::Result<Exit> {
    const PAGE: usize = 200;
    let reader = connect::existing_ledger(settings)?;
    let output = &context.output;
    let mut after = (String::new(), String::new());
    let mut found = 0;
    loop {
        let page = reader.remembered_page(FLOW, (&after.0, &after.1), true, PAGE)?;
        for conflict in page.iter().filter_map(metadata::conflict_of) {
            found += 1;
            one(context, &conflict);
        }
        match page.last() {
            Some(fact) if page.len() == PAGE => {
                after = (fact.object.clone(), fact.field.clone());
            }
            _ => break,
        }
    }
    if found == 0 {
        output.say("no field waits for a person");
        return Ok(Exit::Done);
    }
    output.note(styled(
        DIM,
        "`longhaul metadata decide ASSET FIELD --take iconik|content-server --because TEXT`",
    ));
    Ok(Exit::Held)
}

fn one(context: &Context, conflict: &Conflict) {
    context.output.event(
        "metadata_conflict",
        serde_json::to_value(conflict).unwrap_or_default(),
    );
    context.output.say(format!(
        "{} {}: iconik has {}, Content Server has {}",
        conflict.asset,
        styled(BOLD, &conflict.field),
        edit(&conflict.iconik),
        edit(&conflict.content_server)
    ));
}

async fn decide(context: &Context, settings: &Resolved, decision: Decide) -> anyhow::Result<Exit> {
    let because = who::because(&decision.because)?;
    let asset = AssetId(decision.asset);
    let take = match decision.take {
        Whose::Iconik => Take::Iconik,
        Whose::ContentServer => Take::ContentServer,
    };
    let none = || {
        Ended::usage(format!(
            "no edit of `{}` of asset {asset} waits for a decision; `longhaul metadata conflicts` lists those that do",
            decision.field
        ))
    };
    if decision.dry_run {
        let reader = connect::existing_ledger(settings)?;
        let facts = reader.remembered(FLOW, asset.as_str())?;
        let own = facts
            .iter()
            .find(|fact| fact.open && fact.field == decision.field);
        let conflict = own.and_then(metadata::conflict_of).ok_or_else(none)?;
        one(context, &conflict);
        return Ok(Exit::Done);
    }
    {
        let ledger = connect::open_ledger(connect::must_exist(settings)?, "metadata decide")?;
        let who = who::described();
        let field = &decision.field;
        metadata::decide(&ledger, &asset, field, take, &who, because)
            .await?
            .ok_or_else(none)?;
    }
    let look = Look {
        full: true,
        dry_run: false,
        only: Some(asset),
    };
    go(context, settings, &look).await
}

fn shown(side: &Side) -> String {
    if side.values.is_empty() {
        "nothing".to_owned()
    } else {
        let quoted: Vec<String> = side.values.iter().map(|v| format!("{v:?}")).collect();
        quoted.join(", ")
    }
}

/// A side's values with when and by whom.
fn edit(side: &Side) -> String {
    let by = side.by.as_deref().map(|by| format!(" by {by}"));
    let at = side
        .at
        .map(|at| format!(" at {}", at.strftime("%Y-%m-%d %H:%M:%SZ")));
    format!(
        "{}{}{}",
        shown(side),
        by.unwrap_or_default(),
        at.unwrap_or_default()
    )
}
