//! `migrate`: a legacy library.

use std::path::PathBuf;

use super::run::{self, Moving};
use super::select::{self, Filters, Selection};
use super::{Context, plan};
use crate::cli::exit::Exit;
use crate::flows::migrate::Library;

/// File the masters that a saved search, a query, an id list or a CSV names.
///
/// Repeat it until cut-over: only what is new or changed moves.
///
/// Examples:
///   longhaul migrate --search 5f0c3a52-0000-11ee-8000-0242ac120002
///   longhaul migrate --query 'status:ACTIVE AND title:promo*' --where region=AT
///   longhaul migrate --csv library.csv --id-column asset_id --dry-run
///   longhaul migrate --plan friday.jsonl
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) what: What,
    /// Say what would be done, and do nothing (see `longhaul plan`)
    #[arg(long)]
    dry_run: bool,
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
        let command = "migrate";
        let From {
            search,
            query,
            ids,
            csv,
            plan,
        } = self.from;
        if let Some(path) = plan {
            return Selection::new(command, Selection::plan(command, path)?, filters);
        }
        let library = match (search, query, ids, csv) {
            (Some(id), ..) => Library::SavedSearch(id),
            (_, Some(query), ..) => Library::Query(query),
            (_, _, Some(path), _) => Library::Ids(path),
            (_, _, _, path) => Library::Csv(path.unwrap_or_default(), self.id_column),
        };
        Selection::new(command, select::From::Library(library), filters)
    }
}

pub(crate) async fn run(context: &Context, arguments: Arguments) -> anyhow::Result<Exit> {
    let selection = arguments.what.selection(arguments.filters)?;
    if arguments.dry_run {
        return plan::dry_run(context, selection, &arguments.moving).await;
    }
    run::start(context, selection, &arguments.moving, false).await
}
