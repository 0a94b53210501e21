//! `package`: a campaign's package, written to a disk or looked at again; its originals retired.

mod check;
mod export;
mod retire;

use super::{Context, connect};
use crate::cli::exit::{Ended, Exit};
use crate::flows::package::{self, Kept};
use crate::ledger::Ledger;
use crate::settings::Resolved;
use crate::types::CollectionId;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Write a whole package to a directory, every file read from Content Server and compared
    Export(export::Arguments),
    /// Look whether everything of a package is still in Content Server
    Check(check::Arguments),
    Retire(retire::Arguments),
}

pub(crate) async fn run(context: &Context, command: Command) -> anyhow::Result<Exit> {
    match command {
        Command::Export(arguments) => export::run(context, arguments).await,
        Command::Check(arguments) => check::run(context, arguments).await,
        Command::Retire(arguments) => Box::pin(retire::run(context, arguments)).await,
    }
}

/// The ledger, the package that is meant, and what is kept of it once it is begun.
async fn opened(
    settings: &Resolved,
    command: &str,
    asked: Option<String>,
) -> anyhow::Result<(Ledger, CollectionId, Option<Kept>)> {
    let ledger = connect::open_ledger(connect::must_exist(settings)?, command)?;
    let collection = chosen(ledger.meta(package::LIST).await?.as_deref(), asked)?;
    let kept = package::kept(&ledger, &collection).await?;
    Ok((ledger, collection, kept))
}

/// The package that is meant.
fn chosen(list: Option<&str>, asked: Option<String>) -> anyhow::Result<CollectionId> {
    let all = package::list(list);
    let asked = asked.map(CollectionId);
    match (asked, all.as_slice()) {
        (Some(asked), all) if all.contains(&asked) => Ok(asked),
        (Some(asked), _) => Err(Ended::usage(format!(
            "the ledger knows no package of collection {asked}; `longhaul archive {asked} --package` makes it"
        ))),
        (None, [only]) => Ok(only.clone()),
        (None, []) => Err(Ended::usage(
            "the ledger knows no package; `longhaul archive COLLECTION --package` makes one",
        )),
        (None, all) => Err(Ended::usage(format!(
            "there are {} packages; name one with --collection",
            all.len()
        ))),
    }
}
