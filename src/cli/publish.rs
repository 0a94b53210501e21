//! `publish`: final media become records.

use std::path::PathBuf;

use super::run::{self, Moving};
use super::select::{self, Filters, Selection};
use super::{Context, archive, plan};
use crate::cli::exit::Exit;
use crate::flows::migrate::Library;

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
pub(crate) struct What {
    #[command(flatten)]
    from: From,
    /// Column of the CSV that holds asset ids
    #[arg(long, value_name = "NAME", default_value = "id", requires = "csv")]
    id_column: String,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct From {
    /// Collection ids
    #[arg(value_name = "COLLECTION")]
    collections: Vec<String>,
    /// Id of a saved search
    #[arg(long, value_name = "ID")]
    search: Option<String>,
    /// Query in iconik's search syntax
    #[arg(long, value_name = "QUERY")]
    query: Option<String>,
    /// File with an asset id on each line
    #[arg(long, value_name = "FILE")]
    ids: Option<PathBuf>,
    /// CSV file with a header line
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Do exactly what this saved plan says, and say what has changed since
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
}

impl What {
    pub(crate) fn selection(self, filters: Filters) -> anyhow::Result<Selection> {
        let command = "publish";
        let From {
            collections,
            search,
            query,
            ids,
            csv,
            plan,
        } = self.from;
        let library = match (search, query, ids, csv, plan) {
            (_, _, _, _, Some(path)) => {
                return Selection::new(command, Selection::plan(command, path)?, filters);
            }
            (Some(id), ..) => Library::SavedSearch(id),
            (_, Some(query), ..) => Library::Query(query),
            (_, _, Some(path), ..) => Library::Ids(path),
            (_, _, _, Some(path), _) => Library::Csv(path, self.id_column),
            _ => {
                let from = archive::collections(&collections)?;
                return Selection::new(command, from, filters);
            }
        };
        Selection::new(command, select::From::Library(library), filters)
    }
}

pub(crate) async fn run(context: &Context, arguments: Arguments) -> anyhow::Result<Exit> {
    let mut selection = arguments.what.selection(arguments.filters)?;
    selection.again = arguments.again;
    if arguments.dry_run {
        return plan::dry_run(context, selection, &arguments.moving).await;
    }
    run::start(context, selection, &arguments.moving, false).await
}
