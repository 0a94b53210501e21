//! `reconcile`: compares the staging folder with the ledger.

use serde_json::json;

use super::exit::Exit;
use super::output::{BAD, DIM, styled};
use super::{Context, connect};
use crate::ledger::{Change, Entry, Ledger};
use crate::transfer::{Destination, Node, set_aside_name};
use crate::types::{ItemId, Marker};

/// Compare the staging folder with the ledger: what is on its way, what a late request left
/// behind, what another ledger's run owns. A twin of something that is already published is set
/// aside under another name; nothing is ever deleted.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Only say what would be set aside
    #[arg(long)]
    dry_run: bool,
}

#[derive(Default)]
struct Tally {
    on_its_way: u64,
    set_aside: u64,
    unknown: u64,
    foreign: u64,
    misplaced: u64,
}

pub(crate) async fn run(context: &Context, arguments: Arguments) -> anyhow::Result<Exit> {
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
