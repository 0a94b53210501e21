//! `reconcile`: compares source, destination and ledger; or looks after the staging folder.

use std::collections::BTreeMap;

use serde_json::json;

use super::exit::{Ended, Exit};
use super::output::{BAD, DIM, GOOD, WARN, styled};
use super::select::Selection;
use super::{Context, connect};
use crate::content_server::{self, Area};
use crate::flows::intake::Intake;
use crate::flows::reconcile::{Class, Comparison, Finding, Sample, at_most};
use crate::flows::retention::Remembering;
use crate::ledger::{Change, Entry, Ledger};
use crate::transfer::{Destination, Node, set_aside_name};
use crate::types::{ItemId, Marker, RunId, display_bytes};

/// Compare source, destination and ledger, and name every difference; changes nothing at either end
///
/// Each item is equal, missing, extra, differs, changed-since (at the source), held or excluded. A
/// difference ends it with 65. In full it enumerates the run's selection again and looks for documents
/// in the target folder that the ledger does not know; a sample looks at items alone and says how sure
/// that makes. What was filed of a record and the server does not have (any more), such as records
/// management, is said once and everything else is compared. What a record is kept under (schedule, next
/// due date) is remembered for the reports, when no other process is at work on the ledger. With --staging it looks after the staging folder instead: what is on its way, what a late
/// request left behind, what another ledger's run owns. A twin of something that is already published is
/// set aside under another name; nothing is ever deleted.
///
/// Examples:
///   longhaul reconcile
///   longhaul reconcile --run 3 --level read-back --sample 300 --seed 7
///   longhaul reconcile --staging --dry-run
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Arguments {
    /// The run [default: the last]
    #[arg(long, value_name = "N")]
    run: Option<i64>,
    /// How far: size alone, or read back and hash what is stored
    #[arg(long, value_name = "LEVEL", default_value = "size", value_parser = ["size", "read-back"])]
    level: String,
    /// Only this many items, chosen by lot
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    sample: Option<u32>,
    /// Which lot; the same seed chooses the same items [default: by lot, and said]
    #[arg(long, value_name = "S", requires = "sample")]
    seed: Option<u64>,
    /// Look after the staging folder instead; sets aside what a late request left behind
    #[arg(long, conflicts_with_all = ["run", "sample"])]
    staging: bool,
    /// With --staging: only say what would be set aside
    #[arg(long, requires = "staging")]
    dry_run: bool,
}

pub(crate) async fn run(context: &Context, arguments: Arguments) -> anyhow::Result<Exit> {
    if arguments.staging {
        return staging(context, arguments).await;
    }
    compare(context, arguments).await
}

async fn compare(context: &Context, arguments: Arguments) -> anyhow::Result<Exit> {
    let settings = context.settings(Vec::new())?;
    let output = &context.output;
    let ledger = connect::existing_ledger(&settings)?;
    let run = ledger.run(arguments.run.map(RunId))?.ok_or_else(|| {
        Ended::usage("the ledger has no such run; `longhaul status` shows the last")
    })?;
    let selection = match Selection::of_run(&run) {
        Ok(selection) => Some(selection),
        // A sample enumerates nothing.
        Err(_) if arguments.sample.is_some() => None,
        Err(error) => return Err(error),
    };
    let connected = connect::connect(&settings).await?;
    let pace = connect::pace(&settings);
    let intake = match &selection {
        Some(selection) => selection.intake(&settings, &connected).await?,
        None => Intake::default(),
    };
    let remembering = Remembering::new(
        settings.ledger.path.clone(),
        format!("longhaul reconcile, process {}", std::process::id()),
    );
    let comparison = Comparison {
        remembering: &remembering,
        systems: &connected.systems,
        ledger,
        run: run.id,
        intake: Intake {
            // What a sidecar holds is not compared; its stored bytes are.
            sidecar: false,
            ..intake
        },
        pace: &pace,
        read: arguments.level == "read-back",
    };
    let mut counts: BTreeMap<Class, (u64, u64)> = BTreeMap::new();
    let mut not_compared: BTreeMap<Area, u64> = BTreeMap::new();
    let mut stays: u64 = 0;
    let mut each = |finding: Finding| {
        let (items, bytes) = counts.entry(finding.class).or_default();
        *items += 1;
        *bytes += finding.bytes;
        stays += u64::from(finding.stays);
        for area in &finding.not_compared {
            *not_compared.entry(*area).or_default() += 1;
        }
        if let Ok(facts) = serde_json::to_value(&finding) {
            output.event("reconciled_item", facts);
        }
        let style = match finding.class {
            // Counted below; the JSON lines name them.
            Class::Equal | Class::Excluded => return,
            Class::Held => WARN,
            _ => BAD,
        };
        output.say(format!(
            "{} {}: {}",
            styled(style, finding.class.as_str()),
            finding.title,
            finding.detail
        ));
        if !finding.key.is_empty() {
            output.say(styled(DIM, format!("         {}", finding.key)));
        }
    };
    let sampled = match (arguments.sample, selection) {
        (Some(items), _) => {
            let seed = arguments.seed.unwrap_or_else(rand::random);
            let sample = Sample {
                items: items as usize,
                seed,
            };
            let all = Box::pin(comparison.sample(sample, &mut each)).await?;
            Some((seed, all))
        }
        (None, Some(selection)) => {
            let assets = selection.enumerate(&connected.systems);
            Box::pin(comparison.full(&assets, &mut each)).await?;
            None
        }
        (None, None) => return Err(Ended::usage("the run does not say what it enumerates")),
    };
    let missed = remembering.finish().await?;
    let looked_at: u64 = counts.values().map(|(items, _)| items).sum();
    let differences: u64 = counts
        .iter()
        .filter(|(class, _)| class.is_difference())
        .map(|(_, (items, _))| items)
        .sum();
    let held = counts.contains_key(&Class::Held);
    let confidence = sampled.map(|(seed, all)| {
        let most = (differences == 0).then(|| at_most(looked_at, all));
        json!({"seed": seed, "of": all, "at_most_differ": most, "confidence": 0.95})
    });
    let classes: Vec<_> = counts
        .iter()
        .map(|(class, (items, bytes))| json!({"class": class, "items": items, "bytes": bytes}))
        .collect();
    output.event(
        "reconciliation",
        json!({"run": run.id, "level": arguments.level, "looked_at": looked_at, "differences": differences, "classes": classes, "not_compared": not_compared, "stays": stays, "sample": confidence}),
    );
    output.say(styled(
        if differences == 0 { GOOD } else { BAD },
        format!("{looked_at} looked at, {differences} differ"),
    ));
    for (class, (items, bytes)) in &counts {
        output.say(format!(
            "  {items:>6} {} ({})",
            class.as_str(),
            display_bytes(*bytes)
        ));
    }
    if stays > 0 {
        output.say(format!(
            "{stays} stay where they were filed although their metadata name another place: `publish.relocate` is false"
        ));
    }
    for (area, items) in &not_compared {
        output.say(styled(
            WARN,
            format!(
                "not compared: {}, which this server does not have; {items} were filed with them",
                area.as_str()
            ),
        ));
    }
    if let Some(missed) = missed {
        output.say(styled(
            DIM,
            format!(
                "what {} records are kept under was read and is not remembered: {}",
                missed.records, missed.why
            ),
        ));
    }
    if let Some((seed, all)) = sampled {
        let sure = if looked_at >= all {
            "that is all of them".to_owned()
        } else if differences == 0 {
            format!(
                "none differs, so at 95 % confidence at most {:.2} % of all {all} do",
                at_most(looked_at, all) * 100.0
            )
        } else {
            format!("{differences} differ: look at all {all}, without --sample")
        };
        output.say(format!("sample of {looked_at} items, seed {seed}: {sure}"));
    }
    Ok(match (differences, held) {
        (0, false) => Exit::Done,
        (0, true) => Exit::Held,
        _ => Exit::Mismatch,
    })
}

#[derive(Default)]
struct Tally {
    on_its_way: u64,
    set_aside: u64,
    unknown: u64,
    foreign: u64,
    misplaced: u64,
}

async fn staging(context: &Context, arguments: Arguments) -> anyhow::Result<Exit> {
    let settings = context.settings(Vec::new())?;
    let staging = settings.content_server()?.target.staging;
    let ledger = connect::open_ledger(connect::must_exist(&settings)?, "reconcile")?;
    let http = connect::http_client(&settings)?;
    let destination = connect::content_server(&settings, &http).await?;
    let mut tally = Tally::default();
    let mut page = 1;
    loop {
        let (children, more) = destination.children(staging, page).await?;
        let markers = children.iter().map(|node| node.name.clone()).collect();
        let owners = ledger.owners(markers).await?;
        for node in &children {
            let owner = owners.iter().find(|(marker, _)| *marker == node.name);
            let owner = owner.map(|(_, item)| *item);
            one(
                context,
                &ledger,
                &destination,
                node,
                owner,
                arguments.dry_run,
                &mut tally,
            )
            .await?;
        }
        if !more {
            break;
        }
        page += 1;
    }
    let output = &context.output;
    output.event(
        "reconciled",
        json!({"on_its_way": tally.on_its_way, "set_aside": tally.set_aside, "unknown": tally.unknown, "foreign": tally.foreign, "misplaced": tally.misplaced}),
    );
    output.say(format!(
        "staging: {} on their way, {} set aside, {} of no item in this ledger, {} not longhaul's",
        tally.on_its_way, tally.set_aside, tally.unknown, tally.foreign
    ));
    if tally.unknown > 0 {
        output.note(styled(
            DIM,
            "what no item owns belongs to another ledger's run, or to one that was lost: `longhaul adopt`, then the same archive or migration again, takes it up",
        ));
    }
    if tally.misplaced > 0 {
        return Ok(Exit::Mismatch);
    }
    Ok(Exit::Done)
}

async fn one(
    context: &Context,
    ledger: &Ledger,
    destination: &dyn Destination,
    node: &Node,
    owner: Option<ItemId>,
    dry_run: bool,
    tally: &mut Tally,
) -> anyhow::Result<()> {
    let output = &context.output;
    let said = |what: &str, detail: String| {
        let style = match what {
            "on its way" | "set aside" | "foreign" => DIM,
            _ => BAD,
        };
        output.say(format!(
            "{} node {} {:?}{detail}",
            styled(style, what),
            node.id,
            node.name
        ));
        output.event(
            "staged",
            json!({"node": node.id, "name": node.name, "is": what, "item": owner, "bytes": node.size}),
        );
    };
    let item = match owner {
        Some(id) => ledger.item(id).await?,
        None => None,
    };
    match item {
        Some(item) if item.state == "done" && item.node == Some(node.id) => {
            tally.misplaced += 1;
            said(
                "misplaced",
                format!(
                    ": the ledger says it was published as {:?}; was it moved back?",
                    item.title
                ),
            );
        }
        Some(item) if item.state == "done" => {
            tally.set_aside += 1;
            let name = set_aside_name(&node.name, node.id);
            let verb = if dry_run {
                "would be renamed"
            } else {
                "renamed"
            };
            said(
                "twin",
                format!(": {:?} is published already; {verb} {name:?}", item.title),
            );
            if !dry_run {
                destination.rename(node.id, &name).await?;
                let entry = Entry {
                    run: Some(item.run),
                    item: Some(item.id),
                    file: None,
                    event: "set-aside".into(),
                    data: json!({"node": node.id, "name": name}).to_string(),
                };
                ledger.apply(Change::new().journal(entry)).await?;
            }
        }
        Some(item) => {
            tally.on_its_way += 1;
            said(
                "on its way",
                format!(": part of {:?}, which is {}", item.title, item.state),
            );
        }
        None if content_server::is_staged_link(node) => {
            tally.on_its_way += 1;
            let to = node.original.map_or(0, |id| id.0);
            said("on its way", format!(": a shortcut to node {to}"));
        }
        None if node.name.starts_with("set-aside ") => {
            tally.set_aside += 1;
            said("set aside", String::new());
        }
        None if node.name.parse::<Marker>().is_ok() => {
            tally.unknown += 1;
            said("unknown", String::new());
        }
        None => {
            tally.foreign += 1;
            said("foreign", String::new());
        }
    }
    Ok(())
}
