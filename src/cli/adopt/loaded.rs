//! `adopt loaded`: marks what another tool loaded, once it is the same bytes.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::TryStreamExt as _;
use serde_json::json;

use crate::cli::exit::{Ended, Exit};
use crate::cli::output::{BAD, DIM, GOOD, styled};
use crate::cli::select::{Filters, From, Named, Selection};
use crate::cli::{Context, connect, record, signals};
use crate::flows::adopt::{FLOW, Matching, Pair, by_attribute, listed};
use crate::flows::migrate::Library;
use crate::ledger::Reader;
use crate::sidecar::mapping::{BoundField, FieldKind, FieldMap, Truth};
use crate::types::NodeId;

/// Match documents that another tool loaded to assets, and mark them, so that a migration knows them.
///
/// A document is taken only when its size is the master's and its bytes, read back, have the MD5 that
/// iconik quotes or the digest of the source, which is read then. Its description gets the marker
/// before what people wrote in it. What is not clear is left alone, said, and makes the exit code 3.
///
/// Examples:
///   longhaul adopt loaded --query '*' --by name --dry-run
///   longhaul adopt loaded --csv loaded.csv --id-column asset --by node --node-column node
///   longhaul adopt loaded --by attribute --attribute 'Media record/Asset id' --folder 48210
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Arguments {
    /// What tells which document is an asset's
    #[arg(long, value_enum)]
    by: By,
    /// Where documents are looked for, by name or attribute [default: the target folder]
    #[arg(long, value_name = "NODE")]
    folder: Option<i64>,
    /// Column of the CSV that holds node ids
    #[arg(long, value_name = "NAME", default_value = "node")]
    node_column: String,
    /// Attribute that holds the asset's id
    #[arg(long, value_name = "CATEGORY/ATTRIBUTE")]
    attribute: Option<String>,
    /// Say what would be compared, read no content and write nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    named: Named,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum By {
    /// The name that the master would be filed under, in the folder
    Name,
    /// The node of each asset, in a CSV
    Node,
    /// An attribute of the documents below the folder
    Attribute,
}

pub(crate) async fn run(context: &Context, arguments: Arguments) -> anyhow::Result<Exit> {
    let Arguments {
        by,
        folder,
        node_column,
        attribute,
        dry_run,
        named,
    } = arguments;
    let from = named.from("migrate")?;
    // What is wrong with the flags is said before anybody is asked.
    let pairs = match (&from, by) {
        (Some(From::Library(Library::Csv(path, column))), By::Node) => {
            Some(listed(path, column, &node_column)?)
        }
        (_, By::Node) => {
            return Err(Ended::usage(
                "--by node reads the pairs from a CSV: --csv FILE, with --id-column and --node-column",
            ));
        }
        (None, By::Name) => {
            return Err(Ended::usage(
                "say which assets: --search, --query, --ids, --csv or --plan",
            ));
        }
        (Some(_), By::Attribute) => {
            return Err(Ended::usage(
                "--by attribute takes the documents below --folder, and their attribute names the assets: leave the selection out",
            ));
        }
        _ => None,
    };
    let attribute = match (by, attribute) {
        (By::Attribute, Some(text)) => Some(text),
        (By::Attribute, None) => {
            return Err(Ended::usage(
                "--by attribute needs --attribute 'CATEGORY/ATTRIBUTE'",
            ));
        }
        (_, Some(_)) => return Err(Ended::usage("--attribute goes with --by attribute")),
        (_, None) => None,
    };
    let settings = context.settings(Vec::new())?;
    settings.systems()?;
    let path = &settings.ledger.path;
    let ledger = if dry_run {
        None
    } else {
        Some(connect::open_ledger(path, "adopt")?)
    };
    // A file without content is what a run leaves that was cut short before it began.
    let reader = match std::fs::metadata(path) {
        Ok(facts) if facts.len() > 0 => Some(Reader::open(path)?),
        _ => None,
    };
    let connected = connect::connect(&settings).await?;
    let systems = &connected.systems;
    let folder = folder.map_or(systems.target, NodeId);
    let container = systems.destination.node(folder).await;
    let container = container.map_err(|failure| failure.context(format!("folder {folder}")))?;
    if !container.container {
        return Err(Ended::usage(format!(
            "node {folder} is no folder; name a folder's node id with --folder"
        )));
    }
    let of = from.unwrap_or_else(|| From::Library(Library::Query("*".into())));
    let selection = Selection::new("migrate", of, Filters::default())?;
    let pairs = match (pairs, &attribute) {
        (Some(pairs), _) => pairs,
        (None, Some(text)) => {
            let field = bound(text, &connected).await?;
            by_attribute(systems, folder, field)
        }
        (None, None) => {
            selection.check(systems).await?;
            let assets = selection.enumerate(systems)()?;
            Box::pin(assets.map_ok(|wanted| Pair {
                asset: wanted.asset,
                node: None,
            }))
        }
    };
    let matching = Matching {
        intake: selection.intake(&settings, &connected).await?,
        systems: systems.clone(),
        pace: connect::pace(&settings),
        folder,
        reader,
        ledger,
    };
    let output = &context.output;
    let stop = signals::listen(Arc::clone(output))?;
    let mut counts: BTreeMap<&'static str, u64> = BTreeMap::new();
    let went = matching.go(pairs, |matched| {
        *counts.entry(matched.outcome).or_default() += 1;
        let mut line = serde_json::to_value(matched).unwrap_or_default();
        line["dry_run"] = dry_run.into();
        output.event("matched", line);
        let style = match matched.outcome {
            "unclear" => BAD,
            "adopted" => GOOD,
            _ => DIM,
        };
        let node = matched
            .node
            .map_or_else(String::new, |node| format!(", node {node}"));
        output.say(format!(
            "{} {}{node}: {}",
            styled(style, matched.outcome.replace('-', " ")),
            matched.title,
            matched.detail
        ));
    });
    let stopped = tokio::select! {
        biased;
        // Whatever was described and not recorded is found again by its marker.
        () = stop.drain.cancelled() => true,
        went = went => { went?; false }
    };
    let unclear = counts.get("unclear").copied().unwrap_or(0);
    let exit = match (stopped, unclear) {
        (true, _) => Exit::Stopped,
        (false, 0) => Exit::Done,
        (false, _) => Exit::Held,
    };
    if let Some(ledger) = &matching.ledger {
        let found = counts
            .iter()
            .map(|(what, count)| ((*what).to_owned(), *count));
        connect::note(ledger, FLOW, exit, found).await?;
    }
    output.event(
        "matched_summary",
        json!({"counts": counts, "dry_run": dry_run}),
    );
    let counted: Vec<String> = counts
        .iter()
        .map(|(what, count)| format!("{count} {}", what.replace('-', " ")))
        .collect();
    output.say(if counted.is_empty() {
        "nothing to match".to_owned()
    } else {
        counted.join(", ")
    });
    if counts.contains_key("adopted") {
        output.note(styled(
            DIM,
            "the next `longhaul migrate` finds what is adopted and does not file it again",
        ));
    }
    Ok(exit)
}

/// The attribute, found in the server's definitions.
async fn bound(text: &str, connected: &connect::Connected) -> anyhow::Result<BoundField> {
    let (category, attribute) = text.split_once('/').ok_or_else(|| {
        Ended::usage(format!(
            "--attribute {text}: expects CATEGORY/ATTRIBUTE, such as 'Media record/Asset id'"
        ))
    })?;
    let field = FieldMap {
        name: "asset".into(),
        source: "asset".into(),
        category: category.trim().into(),
        set: None,
        attribute: attribute.trim().into(),
        kind: FieldKind::default(),
        values: BTreeMap::new(),
        default: None,
        required: false,
        truth: Truth::default(),
    };
    let systems = &connected.systems;
    let found = record::find(&[field], &systems.content_server, systems.target).await?;
    let wrong = |what: String| Ended::usage(format!("--attribute {text}: {what}"));
    let binding = found.map_err(|wrongs| {
        let texts: Vec<String> = wrongs.into_iter().map(|one| one.what.to_string()).collect();
        wrong(texts.join("; "))
    })?;
    let mut fields = binding.fields.into_iter();
    fields
        .next()
        .ok_or_else(|| wrong("is not defined there".to_owned()))
}
