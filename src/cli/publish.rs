//! `publish`: final media become records.

use super::run::{self, Moving};
use super::select::{Filters, Named, Selection};
use super::{Context, archive, plan};
use crate::cli::exit::Exit;

/// File final, approved masters as records: with values, rights, a place and the marks that the
/// settings ask for.
///
/// Safe to repeat: a record that is as it should be is not touched. What is not final is left out,
/// what lacks something is held; `longhaul plan publish` says which and why.
///
/// Examples:
///   longhaul publish 8ae2c3d4-0000-11ee-8000-0242ac120002
///   longhaul publish --query 'status:ACTIVE' --where campaign=Spring --dry-run
///   longhaul publish --ids final.txt
///   longhaul publish 8ae2c3d4-0000-11ee-8000-0242ac120002 --again
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) what: What,
    /// Say what would be done, and do nothing (see `longhaul plan`)
    #[arg(long)]
    dry_run: bool,
    /// Look at every record again, and mend what somebody changed about it
    #[arg(long)]
    again: bool,
    #[command(flatten)]
    pub(crate) moving: Moving,
    #[command(flatten)]
    pub(crate) filters: Filters,
}

#[derive(Debug, clap::Args)]
#[command(group(
    clap::ArgGroup::new("from")
        .required(true)
        .args(["collections", "search", "query", "ids", "csv", "plan"])
))]
pub(crate) struct What {
    /// Collection ids
    #[arg(value_name = "COLLECTION")]
    collections: Vec<String>,
    #[command(flatten)]
    named: Named,
}

impl What {
    pub(crate) fn selection(self, filters: Filters) -> anyhow::Result<Selection> {
        let command = "publish";
        let from = match self.named.from(command)? {
            Some(from) => from,
            None => archive::collections(&self.collections)?,
        };
        Selection::new(command, from, filters)
    }
}

pub(crate) async fn run(context: &Context, arguments: Arguments) -> anyhow::Result<Exit> {
    let mut selection = arguments.what.selection(arguments.filters)?;
    selection.again = arguments.again;
    if arguments.dry_run {
        return plan::dry_run(context, selection, &arguments.moving, false).await;
    }
    Box::pin(run::start(context, selection, &arguments.moving, false)).await
}
