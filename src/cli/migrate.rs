//! `migrate`: a legacy library.

use super::run::{self, Moving};
use super::select::{Filters, Named, Selection};
use super::{Context, freeze, plan};
use crate::cli::exit::{Ended, Exit};

/// File the masters that a saved search, a query, an id list or a CSV names.
///
/// Repeat it until cut-over: only what is new or changed moves, by the dates, sizes and checksums that
/// iconik states. After `longhaul freeze` it moves nothing and says what has changed since.
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
    /// Move although the migration is frozen; the journal says who
    #[arg(long)]
    despite_freeze: bool,
    #[command(flatten)]
    pub(crate) moving: Moving,
    #[command(flatten)]
    pub(crate) filters: Filters,
}

#[derive(Debug, clap::Args)]
#[command(group(
    clap::ArgGroup::new("from").required(true).args(["search", "query", "ids", "csv", "plan"])
))]
pub(crate) struct What {
    #[command(flatten)]
    named: Named,
}

impl What {
    pub(crate) fn selection(self, filters: Filters) -> anyhow::Result<Selection> {
        let command = "migrate";
        let from = self.named.from(command)?;
        let from = from.ok_or_else(|| {
            Ended::usage("say what to migrate: --search, --query, --ids, --csv or --plan")
        })?;
        Selection::new(command, from, filters)
    }
}

pub(crate) async fn run(context: &Context, arguments: Arguments) -> anyhow::Result<Exit> {
    let selection = arguments.what.selection(arguments.filters)?;
    let mut moving = arguments.moving;
    moving.despite_freeze = arguments.despite_freeze;
    if arguments.dry_run {
        let settings = moving.settings(context)?;
        return match freeze::standing(&settings)? {
            Some(frozen) if !moving.despite_freeze => {
                freeze::look(context, &settings, &selection, &frozen, None).await
            }
            _ => plan::dry_run(context, selection, &moving, false).await,
        };
    }
    Box::pin(run::start(context, selection, &moving, false)).await
}
