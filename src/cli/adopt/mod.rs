//! `adopt`: learns from the destination what a lost ledger knew.

mod loaded;

use serde_json::json;

use super::exit::{Ended, Exit};
use super::output::{BAD, DIM, GOOD, styled};
use super::{Context, connect};
use crate::ledger::{Change, Entry};
use crate::transfer::{Destination, survey};
use crate::types::NodeId;

/// Learn from Content Server what a lost or older ledger does not know: walk the target and
/// staging folders and record every version that carries longhaul's marker, wherever people have
/// moved it. Changes nothing there. Afterwards the same archive or migration run again finds what
/// is filed instead of filing it twice.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// Walk this folder too (node id): where people may have moved documents to
    #[arg(long, value_name = "NODE")]
    folder: Vec<i64>,
    /// Only count what would be recorded; a ledger that is not there is not made
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Loaded(loaded::Arguments),
}

const PAGE: usize = 200;
/// Doubled markers that are printed one by one.
const SHOWN: u64 = 20;

pub(crate) async fn run(context: &Context, arguments: Arguments) -> anyhow::Result<Exit> {
    if let Some(Command::Loaded(arguments)) = arguments.command {
        return Box::pin(loaded::run(context, arguments)).await;
    }
    let settings = context.settings(Vec::new())?;
    let server = settings.content_server()?;
    let ledger = if arguments.dry_run {
        None
    } else {
        Some(connect::open_ledger(&settings.ledger.path, "adopt")?)
    };
    let http = connect::http_client(&settings)?;
    let destination = connect::content_server(&settings, &http).await?;
    let output = &context.output;
    let mut tops = vec![server.target.folder, server.target.staging];
    tops.extend(arguments.folder.iter().copied().map(NodeId));
    for top in &tops {
        // A folder that was named must be there: a walk of nothing would find nothing and say so.
        destination
            .node(*top)
            .await
            .map_err(|failure| failure.context(format!("folder {top}")))?;
    }
    let (mut folders, mut documents, mut versions, mut closed) = (0u64, 0u64, 0u64, 0u64);
    let mut last = None;
    survey(&destination, &tops, async |seen| {
        if last != Some(seen.folder) {
            last = Some(seen.folder);
            folders += 1;
        }
        documents += seen.documents;
        versions += seen.versions.len() as u64;
        for node in &seen.closed {
            closed += 1;
            output.say(format!(
                "{} node {node} may not be seen by this user: what lies there is not known",
                styled(BAD, "closed")
            ));
            output.event("closed", json!({"node": node}));
        }
        if let Some(ledger) = &ledger {
            ledger.adopt(seen.versions).await?;
        }
        if documents > 0 && documents.is_multiple_of(1000) {
            output.note(format!("{documents} documents looked at"));
        }
        anyhow::Ok(())
    })
    .await?;

    let Some(ledger) = ledger else {
        output.event(
            "adopted",
            json!({"folders": folders, "documents": documents, "versions": versions, "closed": closed, "doubled": null, "dry_run": true}),
        );
        output.say(format!(
            "{documents} documents in {folders} folders looked at: {versions} versions of longhaul's would be recorded"
        ));
        return Ok(if closed > 0 {
            Exit::SomeFailed
        } else {
            Exit::Done
        });
    };
    let mut doubled = 0u64;
    let mut after = String::new();
    loop {
        let page = ledger.doubled(&after, PAGE).await?;
        let Some(end) = page.last() else { break };
        after.clone_from(&end.marker);
        for one in &page {
            doubled += 1;
            let places: Vec<String> = one
                .versions
                .iter()
                .map(|(node, version)| format!("node {node} version {version}"))
                .collect();
            if doubled <= SHOWN {
                output.say(format!(
                    "{} {}: {}",
                    styled(BAD, "more than once"),
                    one.marker,
                    places.join(", ")
                ));
            }
            output.event(
                "doubled",
                json!({"marker": one.marker, "versions": one.versions.iter().map(|(node, version)| json!({"node": node, "version": version})).collect::<Vec<_>>()}),
            );
        }
    }
    let facts = json!({"folders": folders, "documents": documents, "versions": versions, "closed": closed, "doubled": doubled, "dry_run": false});
    ledger
        .apply(Change::new().journal(Entry {
            event: "adopted".into(),
            data: facts.to_string(),
            ..Entry::default()
        }))
        .await?;
    output.event("adopted", facts);
    output.say(format!(
        "{documents} documents in {folders} folders looked at: {}",
        styled(GOOD, format!("{versions} versions of longhaul's"))
    ));
    output.note(styled(
        DIM,
        "run the same archive or migration again: what is filed is found, proved by reading it back, and not filed twice",
    ));
    if doubled > 0 {
        return Err(Ended(
            Exit::Mismatch,
            format!("{doubled} files have more than one version: a person decides which stays (--json lists them all)"),
        )
        .into());
    }
    Ok(if closed > 0 {
        Exit::SomeFailed
    } else {
        Exit::Done
    })
}
