//! `archive`: everything in collections.

use serde_json::json;

use super::run::{self, Moving, Prepared};
use super::{Context, connect};
use crate::cli::exit::{Ended, Exit};
use crate::flows;
use crate::ledger::NewRun;
use crate::types::CollectionId;

/// File every master of one or more collections, and of the collections in them.
///
/// Safe to repeat: what is filed and unchanged is not touched again.
///
/// Example: longhaul archive 8ae2c3d4-0000-11ee-8000-0242ac120002
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Arguments {
    /// Collection ids
    #[arg(required = true, value_name = "COLLECTION")]
    collections: Vec<String>,
    #[command(flatten)]
    moving: Moving,
}

pub(crate) async fn run(context: &Context, arguments: Arguments) -> anyhow::Result<Exit> {
    for id in &arguments.collections {
        if uuid::Uuid::try_parse(id).is_err() {
            return Err(Ended::usage(format!(
                "{id:?} is no collection id; ids look like 8ae2c3d4-0000-11ee-8000-0242ac120002 (the end of the collection's address in iconik)"
            )));
        }
    }
    let settings = arguments.moving.settings(context)?;
    settings.systems()?;
    let ledger = connect::open_ledger(&settings.ledger.path, "archive")?;
    let connected = connect::connect(&settings).await?;
    let collections: Vec<CollectionId> = arguments
        .collections
        .into_iter()
        .map(CollectionId)
        .collect();
    flows::archive::check(&connected.systems, &collections).await?;
    let assets = walk(&connected.systems, &collections);
    let arguments_text = json!({"collections": collections}).to_string();
    let run = ledger
        .start_run(NewRun {
            command: "archive".into(),
            arguments: arguments_text,
        })
        .await?;
    let prepared = Prepared {
        settings,
        connected,
        ledger,
        run,
        collection: collections.into_iter().next(),
        wait: !arguments.moving.no_wait,
        bounds: arguments.moving.bounds()?,
    };
    run::drive(context, prepared, Some(assets)).await
}

/// The enumeration of collections.
pub(crate) fn walk(systems: &flows::Systems, collections: &[CollectionId]) -> flows::Enumerate {
    let (systems, collections) = (systems.clone(), collections.to_vec());
    Box::new(move || Ok(flows::archive::assets(&systems, &collections)))
}
