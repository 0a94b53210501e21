//! `decide`: what a person makes of an item that stopped.

use serde_json::json;

use super::exit::{Ended, Exit};
use super::output::{GOOD, styled};
use super::{Context, connect, who};
use crate::ledger::{Change, Entry, File, FilePatch, Item, ItemPatch, Ledger, STOPPED};
use crate::settings::Resolved;
use crate::transfer::{Destination as _, SetAside, set_aside};
use crate::types::{FailureClass, NodeId, Reason};

/// Decide what becomes of items that stopped: failed, parked, held, in conflict or quarantined.
/// The decision, its reason and who took it are in the journal. `longhaul resume` carries it out.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("decision").required(true).args(["retry", "afresh", "decline"])))]
pub(crate) struct Arguments {
    /// Items, by key as `status` shows them
    #[arg(required = true, value_name = "KEY")]
    items: Vec<String>,
    /// Try again from where it stopped
    #[arg(long)]
    retry: bool,
    /// File the bytes again from the start; what is stored in staging is set aside, not deleted
    #[arg(long)]
    afresh: bool,
    /// Do not file it; later versions of the asset no longer wait for it
    #[arg(long)]
    decline: bool,
    /// Why, for the journal
    #[arg(long, value_name = "TEXT")]
    because: String,
    /// Only say what would be decided
    #[arg(long)]
    dry_run: bool,
}

const PAGE: usize = 200;

pub(crate) async fn run(context: &Context, arguments: Arguments) -> anyhow::Result<Exit> {
    let because = who::because(&arguments.because)?;
    let settings = context.settings(Vec::new())?;
    let ledger = connect::open_ledger(connect::must_exist(&settings)?, "decide")?;
    let mut items = Vec::with_capacity(arguments.items.len());
    // All are looked at before any is changed.
    for key in &arguments.items {
        let item = ledger.item_by_key(key).await?.ok_or_else(|| {
            Ended::usage(format!(
                "the ledger has no item {key:?}; `longhaul status` shows keys"
            ))
        })?;
        if item.state != "declined" && !STOPPED.contains(&item.state.as_str()) {
            return Err(Ended::usage(format!(
                "{:?} is {}: there is nothing to decide",
                item.title, item.state
            )));
        }
        if item.files == 0 && !arguments.decline {
            return Err(Ended::usage(format!(
                "{:?} could not be planned, so there is nothing to file yet: `longhaul resume --retry {}` looks at it in iconik again",
                item.title, item.state
            )));
        }
        items.push(item);
    }
    let decision = if arguments.retry {
        "retry"
    } else if arguments.afresh {
        "afresh"
    } else {
        "decline"
    };
    if arguments.dry_run {
        for item in &items {
            let (id, key, title, state) = (item.id, &item.key, &item.title, &item.state);
            context.output.event(
                "decided",
                json!({"item": id, "key": key, "title": title, "decision": decision, "state": state, "dry_run": true}),
            );
            context
                .output
                .say(format!("would decide {title}: {decision}, is {state}"));
        }
        return Ok(Exit::Done);
    }
    for item in items {
        let mut change = Change::new();
        let mut gone = false;
        if arguments.afresh {
            (change, gone) = afresh(&settings, &ledger, &item, change).await?;
        }
        let state = if arguments.decline {
            "declined"
        } else {
            "planned"
        };
        let patch = ItemPatch {
            state: Some(state.into()),
            attempts: Some(0),
            next_at: Some(0),
            node: gone.then_some(None),
            version: gone.then_some(None),
            failure: if arguments.decline {
                Some(Some((
                    FailureClass::ItemIsWrong.to_string(),
                    "declined".into(),
                    format!("declined: {because}"),
                )))
            } else {
                Some(None)
            },
            ..Default::default()
        };
        let facts = json!({
            "decision": decision, "because": because, "by": who::described(),
            "state": item.state, "class": item.class, "reason": item.reason, "message": item.message,
        });
        change = change.item(item.id, patch).journal(Entry {
            run: Some(item.run),
            item: Some(item.id),
            file: None,
            event: "decided".into(),
            data: facts.to_string(),
        });
        ledger.apply(change).await?;
        context.output.event(
            "decided",
            json!({"item": item.id, "key": item.key, "title": item.title, "decision": decision, "state": state, "dry_run": false}),
        );
        context.output.say(format!(
            "{} {}: {decision}, was {}",
            styled(GOOD, "decided"),
            item.title,
            item.state
        ));
    }
    if !arguments.decline {
        context.output.note("`longhaul resume` carries it out");
    }
    Ok(Exit::Done)
}

/// What to do about items in that state, when a person has to do something.
pub(crate) fn remedy(state: &str) -> Option<&'static str> {
    Some(match state {
        "failed" => {
            "`longhaul retry` tries these again and keeps their finished parts (then `longhaul resume`, when no run is at work)"
        }
        "parked" | "held" | "conflict" => {
            "mend the cause and run `longhaul resume --retry parked,held,conflict`, or settle one for good: `longhaul decide KEY --decline --because TEXT`"
        }
        "quarantined" => {
            "look at the node, then `longhaul decide KEY` with --retry (read it back again), --afresh (set it aside and file the bytes again) or --decline, and --because TEXT"
        }
        _ => return None,
    })
}

/// Sets aside what is stored and not proved, and sends those files back to their start; whether the
/// item's document is gone, as far as anybody can tell.
async fn afresh(
    settings: &Resolved,
    ledger: &Ledger,
    item: &Item,
    mut change: Change,
) -> anyhow::Result<(Change, bool)> {
    let staging = settings.content_server()?.target.staging;
    let http = connect::http_client(settings)?;
    let destination = connect::content_server(settings, &http).await?;
    let mut from = 0;
    loop {
        let files = ledger.files(item.id, from, PAGE).await?;
        let Some(last) = files.last() else {
            // A document that is no longer there gets no version more: another one is made.
            let gone = match item.node {
                Some(node) => matches!(
                    destination.node(node).await,
                    Err(failure) if matches!(failure.reason, Reason::NotFound | Reason::Inaccessible)
                ),
                None => false,
            };
            return Ok((change, gone));
        };
        from = last.seq + 1;
        for file in &files {
            if matches!(file.step.as_str(), "proved" | "dressed") {
                continue;
            }
            if let (Some(node), Some(version)) = (file.node, file.version) {
                let became = set_aside(&destination, staging, &file.marker, node, version).await?;
                change = change.journal(note(item, file, node, became));
                if let SetAside::Published { parent } = became {
                    return Err(Ended::usage(format!(
                        "node {node} version {version} of {:?} can be seen in folder {parent}: delete that version in Content Server if it is wrong, then decide --afresh again",
                        item.title
                    )));
                }
            }
            let patch = FilePatch {
                step: Some("planned".into()),
                session: Some(None),
                sha256: Some(None),
                outer_state: Some(None),
                intent: Some(None),
                node: Some(None),
                version: Some(None),
                validator: file
                    .role
                    .starts_with("segment-")
                    .then(|| file.validator.clone())
                    .or(Some(None)),
                proof: Some("none".into()),
                ..Default::default()
            };
            change = change.clear_parts(file.id).file(file.id, patch);
        }
    }
}

fn note(item: &Item, file: &File, node: NodeId, became: SetAside) -> Entry {
    Entry {
        run: Some(item.run),
        item: Some(item.id),
        file: Some(file.id),
        event: "set-aside".into(),
        data: json!({"node": node, "became": format!("{became:?}")}).to_string(),
    }
}
