//! `migrate`: a legacy library.

use std::path::PathBuf;

use serde_json::json;

use super::run::{self, Moving, Prepared};
use super::{Context, connect};
use crate::cli::exit::Exit;
use crate::flows;
use crate::flows::migrate::{Library, assets};
use crate::ledger::NewRun;

/// File the masters that a saved search, a query, an id list or a CSV names.
///
/// Repeat it until cut-over: only what is new or changed moves.
///
/// Examples:
///   longhaul migrate --search 5f0c3a52-0000-11ee-8000-0242ac120002
///   longhaul migrate --query 'status:ACTIVE AND title:promo*'
///   longhaul migrate --csv library.csv --id-column asset_id
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Arguments {
    #[command(flatten)]
    from: From,
    /// Column of the CSV that holds asset ids
    #[arg(long, value_name = "NAME", default_value = "id", requires = "csv")]
    id_column: String,
    #[command(flatten)]
    moving: Moving,
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
}

impl Arguments {
    fn library(&self) -> Library {
        let From {
            search,
            query,
            ids,
            csv,
        } = &self.from;
        match (search, query, ids, csv) {
            (Some(id), ..) => Library::SavedSearch(id.clone()),
            (_, Some(query), ..) => Library::Query(query.clone()),
            (_, _, Some(path), _) => Library::Ids(path.clone()),
            (_, _, _, path) => {
                Library::Csv(path.clone().unwrap_or_default(), self.id_column.clone())
            }
        }
    }
}

/// What a run was told, for a resume to enumerate again.
pub(crate) fn told(library: &Library) -> serde_json::Value {
    match library {
        Library::SavedSearch(id) => json!({"search": id}),
        Library::Query(query) => json!({"query": query}),
        Library::Ids(path) => json!({"ids": path}),
        Library::Csv(path, column) => json!({"csv": path, "id_column": column}),
    }
}

/// The enumeration of a library. A list is checked to its end at once.
pub(crate) fn list(
    systems: &flows::Systems,
    library: &Library,
) -> Result<flows::Enumerate, flows::Error> {
    drop(assets(systems, library)?);
    let (systems, library) = (systems.clone(), library.clone());
    Ok(Box::new(move || assets(&systems, &library)))
}

pub(crate) async fn run(context: &Context, arguments: Arguments) -> anyhow::Result<Exit> {
    let settings = arguments.moving.settings(context)?;
    settings.systems()?;
    let library = absolute(arguments.library());
    let ledger = connect::open_ledger(&settings.ledger.path, "migrate")?;
    let connected = connect::connect(&settings).await?;
    let assets = list(&connected.systems, &library)?;
    let run = ledger
        .start_run(NewRun {
            command: "migrate".into(),
            arguments: told(&library).to_string(),
        })
        .await?;
    let prepared = Prepared {
        settings,
        connected,
        ledger,
        run,
        collection: None,
        wait: !arguments.moving.no_wait,
        bounds: arguments.moving.bounds()?,
    };
    run::drive(context, prepared, Some(assets)).await
}

/// A resume may be started in another folder.
fn absolute(library: Library) -> Library {
    let full = |path: PathBuf| std::path::absolute(&path).unwrap_or(path);
    match library {
        Library::Ids(path) => Library::Ids(full(path)),
        Library::Csv(path, column) => Library::Csv(full(path), column),
        other => other,
    }
}
