//! `archive`: everything in collections.

use std::path::PathBuf;

use super::run::{self, Moving};
use super::select::{Filters, From, Selection};
use super::{Context, plan};
use crate::cli::exit::{Ended, Exit};
use crate::types::CollectionId;

/// File every master of one or more collections, and of the collections in them.
///
/// Safe to repeat: what is filed and unchanged is not touched again.
///
/// Examples:
///   longhaul archive 8ae2c3d4-0000-11ee-8000-0242ac120002
///   longhaul archive 8ae2c3d4-0000-11ee-8000-0242ac120002 --format mxf --min-size 1GiB --dry-run
///   longhaul archive --plan friday.jsonl
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) what: What,
    /// Say what would be done, and do nothing (see `longhaul plan`)
    #[arg(long)]
    dry_run: bool,
    /// End with a package of each collection: manifests, fixity history, summary
    #[arg(long)]
    package: bool,
    #[command(flatten)]
    pub(crate) moving: Moving,
    #[command(flatten)]
    pub(crate) filters: Filters,
}

#[derive(Debug, clap::Args)]
pub(crate) struct What {
    /// Collection ids
    #[arg(
        required_unless_present = "plan",
        conflicts_with = "plan",
        value_name = "COLLECTION"
    )]
    collections: Vec<String>,
    /// Do exactly what this saved plan says, and say what has changed since
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
}

impl What {
    pub(crate) fn selection(self, filters: Filters) -> anyhow::Result<Selection> {
        let command = "archive";
        if let Some(path) = self.plan {
            return Selection::new(command, Selection::plan(command, path)?, filters);
        }
        Selection::new(command, collections(&self.collections)?, filters)
    }
}

/// Collections as people write them.
pub(crate) fn collections(ids: &[String]) -> anyhow::Result<From> {
    for id in ids {
        if uuid::Uuid::try_parse(id).is_err() {
            return Err(Ended::usage(format!(
                "{id:?} is no collection id; ids look like 8ae2c3d4-0000-11ee-8000-0242ac120002 (the end of the collection's address in iconik)"
            )));
        }
    }
    Ok(From::Collections(
        ids.iter().cloned().map(CollectionId).collect(),
    ))
}

pub(crate) async fn run(context: &Context, arguments: Arguments) -> anyhow::Result<Exit> {
    let selection = arguments.what.selection(arguments.filters)?;
    if arguments.dry_run {
        return plan::dry_run(context, selection, &arguments.moving, arguments.package).await;
    }
    Box::pin(run::start(
        context,
        selection,
        &arguments.moving,
        arguments.package,
    ))
    .await
}
