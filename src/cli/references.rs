//! `references`: Content Server documents inside iconik.

use futures::TryStreamExt as _;
use serde_json::json;

use super::exit::{Ended, Exit};
use super::output::{BAD, BOLD, DIM, GOOD, WARN, styled};
use super::{Context, connect};
use crate::content_server;
use crate::flows::Systems;
use crate::flows::publish::Template;
use crate::flows::references::{
    self, Copying, Decision, FLOW, Origin, Outcome, References, Remembered, Rule, Show, Totals,
};
use crate::settings::{ReferenceOrigin, ReferenceRule, ReferenceShow, Resolved};
use crate::sidecar::mapping::{self, BoundField, FieldMap};
use crate::types::{FailureClass, NodeId};

/// Show Content Server documents inside iconik, as links that open there.
///
/// Follows the rules of `references.rules`: documents of a folder, workspace or search are shown at
/// collections and assets, as far as `references.audience` may read them. Content is copied only
/// where a rule says so (`copy`). Safe to run every five minutes; a run that finds nothing new
/// writes nothing. A rule that cannot be followed is held (exit code 3) and takes nothing away,
/// except from those who may not read it any more.
///
/// Examples:
///   longhaul references
///   longhaul references --full                    # look at every link in iconik too, once a week
///   longhaul references --dry-run --json
///   longhaul references list
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment, args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// Look at every link in iconik, and mend what was changed there
    #[arg(long)]
    full: bool,
    /// Say what would be shown and withdrawn, and write nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List the documents that are shown, and the rules that wait for a person
    ///
    /// Example: longhaul references list --json
    #[command(verbatim_doc_comment)]
    List,
}

pub(crate) async fn run(context: &Context, arguments: Arguments) -> anyhow::Result<Exit> {
    let settings = context.settings(Vec::new())?;
    match arguments.command {
        None => go(context, &settings, arguments.full, arguments.dry_run).await,
        Some(Command::List) => list(context, &settings),
    }
}

async fn go(
    context: &Context,
    settings: &Resolved,
    full: bool,
    dry_run: bool,
) -> anyhow::Result<Exit> {
    let configured = &settings.references;
    let audience = match configured.audience {
        Some(audience) => audience,
        None if configured.rules.is_empty() => {
            return Err(Ended::usage(
                "nothing is configured: `references.rules` says which documents are shown where, `references.audience` to whom",
            ));
        }
        None => {
            return Err(Ended::usage(
                "`references.audience` is not set: the id of the Content Server group whose rights decide what is shown",
            ));
        }
    };
    let (_, server) = settings.systems()?;
    let mut opens = server.url.clone();
    if let Ok(mut path) = opens.path_segments_mut() {
        path.pop_if_empty().extend(["app", "nodes", ""]);
    }
    let path = settings.ledger.path.as_path();
    let ledger = if dry_run && !path.exists() {
        None
    } else {
        Some(connect::open_ledger(path, "references")?)
    };
    let connected = connect::connect(settings).await?;
    let systems = &connected.systems;
    confirm(audience, &systems.content_server).await?;
    confirm_relations(&configured.rules, systems).await?;
    let mut rules = Vec::new();
    for rule in &configured.rules {
        rules.push(compiled(rule, &systems.content_server, systems.target).await?);
    }
    let flow = References {
        systems,
        ledger: ledger.as_ref(),
        rules: &rules,
        audience,
        opens: opens.as_str(),
        full,
        dry_run,
    };
    let totals = flow
        .run(&mut |decision: &Decision| say(context, decision, dry_run))
        .await?;
    summary(context, &totals, dry_run);
    let held = totals.outcomes.contains_key(&Outcome::Held);
    let exit = if held { Exit::Held } else { Exit::Done };
    if let (false, Some(ledger)) = (dry_run, &ledger) {
        let found = totals.outcomes.iter();
        let found = found.map(|(what, count)| (what.as_str().to_owned(), *count));
        connect::note(ledger, "references", exit, found).await?;
    }
    Ok(exit)
}

/// Sees to it that the audience exists: nobody may read anything for one that does not, and all
/// that is shown would be withdrawn.
pub(super) async fn confirm(audience: i64, server: &content_server::Client) -> anyhow::Result<()> {
    let what = match server.member(audience).await {
        Ok(member) if member.deleted == Some(true) => "it is deleted".to_owned(),
        Ok(_) => return Ok(()),
        Err(failure) if failure.class == FailureClass::ItemIsWrong => failure.to_string(),
        // A missing member looks like a server in trouble; either way nothing may be withdrawn.
        Err(failure) => {
            return Err(failure
                .context("`references.audience` cannot be confirmed as a user or group")
                .into());
        }
    };
    Err(Ended::usage(format!(
        "`references.audience`: {audience} is no user or group of Content Server that longhaul can find ({what})"
    )))
}

/// Sees to it that the account has the kinds of relations that rules name.
async fn confirm_relations(rules: &[ReferenceRule], systems: &Systems) -> anyhow::Result<()> {
    let kinds = rules.iter().filter_map(|rule| match &rule.show {
        ReferenceShow::Related(kind, _) => Some((rule, kind)),
        _ => None,
    });
    let kinds: Vec<_> = kinds.collect();
    if kinds.is_empty() {
        return Ok(());
    }
    let known: Vec<_> = systems.iconik.relation_types().try_collect().await?;
    for (rule, kind) in kinds {
        if !known.iter().any(|own| own.name == *kind) {
            let names: Vec<&str> = known.iter().map(|own| own.name.as_str()).collect();
            return Err(Ended::usage(format!(
                "`references.rules.{}.relation`: iconik has no kind of relation {kind:?}; it has: {}",
                rule.name,
                names.join(", ")
            )));
        }
    }
    Ok(())
}

/// A rule with every name of it found in the server's definitions.
pub(super) async fn compiled(
    rule: &ReferenceRule,
    server: &content_server::Client,
    target: NodeId,
) -> anyhow::Result<Rule> {
    let only = match &rule.only {
        Some(only) => Some(bound(rule, only, server, target).await?),
        None => None,
    };
    let template = |entry: &str, text: &str| {
        let name = &rule.name;
        Template::parse(text)
            .map_err(|error| Ended::usage(format!("`references.rules.{name}.{entry}`: {error}")))
    };
    let copying = rule.copy.as_ref().map(|copy| Copying {
        storage: copy.storage.clone(),
        versions: copy.versions,
    });
    let wanted = rule.only.iter().flat_map(|(_, _, values)| values);
    let wanted: Vec<Template> = wanted
        .map(|value| template("only.values", value))
        .collect::<Result<_, _>>()?;
    Ok(Rule {
        name: rule.name.clone(),
        collections: rule.collections.clone(),
        assets: rule.assets.clone(),
        assets_of: rule.assets_of.clone(),
        origin: match &rule.origin {
            ReferenceOrigin::Folder(folder) => Origin::Folder(*folder),
            ReferenceOrigin::Workspace(kind, name) => Origin::Workspace {
                kind: kind.clone(),
                name: template("workspace", name)?,
            },
            ReferenceOrigin::Search(words) => Origin::Search(template("search", words)?),
        },
        path: rule
            .path
            .iter()
            .map(|name| template("path", name))
            .collect::<Result<_, _>>()?,
        deep: rule.deep,
        only: only.map(|field| (field, wanted)),
        show: match (&rule.show, copying) {
            (ReferenceShow::Links(into), None) => Show::Links(into.clone()),
            (ReferenceShow::Links(into), Some(copying)) => Show::Copies(into.clone(), copying),
            (ReferenceShow::Field(view, field), _) => Show::Field(view.clone(), field.clone()),
            (ReferenceShow::Related(kind, into), None) => Show::Related(kind.clone(), into.clone()),
            (ReferenceShow::Related(kind, into), Some(copying)) => {
                Show::RelatedCopies(kind.clone(), into.clone(), copying)
            }
        },
        title: template("title", &rule.title)?,
    })
}

/// The attribute that `only` names, found in the server's definitions.
async fn bound(
    rule: &ReferenceRule,
    only: &(String, String, Vec<String>),
    server: &content_server::Client,
    target: NodeId,
) -> anyhow::Result<BoundField> {
    let (category, attribute, _) = only;
    let map = FieldMap {
        name: rule.name.clone(),
        source: rule.name.clone(),
        category: category.clone(),
        set: None,
        attribute: attribute.clone(),
        kind: mapping::FieldKind::default(),
        values: std::collections::BTreeMap::new(),
        default: None,
        required: false,
        truth: mapping::Truth::default(),
    };
    let facts = server.category_facts(&[category.as_str()], target).await?;
    let wrong = |what: &str| {
        let name = &rule.name;
        Ended::usage(format!("`references.rules.{name}.only` {what}"))
    };
    let binding = mapping::resolve(&[map], &facts).map_err(|mismatches| {
        let whats: Vec<&str> = mismatches.iter().map(|one| one.what.as_str()).collect();
        wrong(&whats.join("; "))
    })?;
    let field = binding.fields.into_iter().next();
    field.ok_or_else(|| wrong("names no attribute"))
}

fn say(context: &Context, decision: &Decision, dry_run: bool) {
    let output = &context.output;
    let mut line = serde_json::to_value(decision).unwrap_or_default();
    line["dry_run"] = dry_run.into();
    output.event("reference", line);
    let style = match decision.outcome {
        Outcome::Shown | Outcome::Updated => GOOD,
        Outcome::Withdrawn => WARN,
        Outcome::Held => BAD,
    };
    output.say(format!(
        "{} {} {}",
        styled(style, decision.outcome.as_str()),
        styled(BOLD, &decision.rule),
        decision.title
    ));
    let node = decision.node.map(|node| format!(", node {node}"));
    let place = match (&decision.asset, &decision.collection) {
        (Some(asset), _) => format!("asset {asset}"),
        (None, Some(collection)) => format!("collection {collection}"),
        (None, None) => String::new(),
    };
    output.note(styled(
        DIM,
        format!("  {place}{}: {}", node.unwrap_or_default(), decision.why),
    ));
}

fn summary(context: &Context, totals: &Totals, dry_run: bool) {
    context.output.event(
        "references_summary",
        json!({
            "chosen": totals.chosen, "hidden": totals.hidden, "outcomes": totals.outcomes,
            "dry_run": dry_run,
        }),
    );
    let count = |what: Outcome| totals.outcomes.get(&what).copied().unwrap_or(0);
    context.output.say(format!(
        "{} documents chosen, {} of them not for the audience: {} shown, {} updated, {} withdrawn, {} held{}",
        totals.chosen,
        totals.hidden,
        count(Outcome::Shown),
        count(Outcome::Updated),
        count(Outcome::Withdrawn),
        count(Outcome::Held),
        if dry_run { " (nothing was written)" } else { "" },
    ));
}

fn list(context: &Context, settings: &Resolved) -> anyhow::Result<Exit> {
    const PAGE: usize = 200;
    let reader = connect::existing_ledger(settings)?;
    let output = &context.output;
    let mut after = (String::new(), String::new());
    let (mut shown, mut waiting) = (0, 0);
    loop {
        let page = reader.remembered_page(FLOW, (&after.0, &after.1), false, PAGE)?;
        for fact in &page {
            match references::remembered(fact) {
                Some((rule, Remembered::Document(node, known))) if known.shown => {
                    shown += 1;
                    let (place, asset, collection) = match known.at_asset {
                        true => ("asset", Some(&fact.object), None),
                        false => ("collection", None, Some(&fact.object)),
                    };
                    output.event(
                        "reference_shown",
                        json!({
                            "rule": rule, "collection": collection, "asset": asset, "node": node,
                            "copy": known.copy,
                            "name": known.name, "kind": known.kind, "version": known.version,
                            "state": known.state, "changed": known.changed, "address": known.address,
                            "link": known.link, "pending": known.pending, "since": fact.at,
                        }),
                    );
                    output.say(format!("{} {}", styled(BOLD, rule), known.title));
                    output.note(styled(
                        DIM,
                        format!("  {place} {}, {}", fact.object, known.address),
                    ));
                    let copy = known.copy.as_ref();
                    if let Some(digest) = copy.and_then(|copy| copy.sha256.as_ref()) {
                        output.note(styled(DIM, format!("  copied, sha256 {digest}")));
                    }
                }
                Some((rule, Remembered::Waiting(known))) if fact.open => {
                    waiting += 1;
                    output.event(
                        "reference_waiting",
                        json!({
                            "rule": rule, "object": fact.object, "why": known.why, "since": fact.at,
                        }),
                    );
                    output.say(format!(
                        "{} {} at {}: {}",
                        styled(BAD, "held"),
                        styled(BOLD, rule),
                        fact.object,
                        known.why
                    ));
                }
                _ => {}
            }
        }
        match page.last() {
            Some(fact) if page.len() == PAGE => {
                after = (fact.object.clone(), fact.field.clone());
            }
            _ => break,
        }
    }
    let waits = match waiting {
        0 => "no rule waits".to_owned(),
        places => format!("rules wait at {places} collections or assets"),
    };
    output.say(format!("{shown} documents are shown, {waits}"));
    Ok(if waiting > 0 { Exit::Held } else { Exit::Done })
}
