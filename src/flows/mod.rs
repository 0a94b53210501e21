//! What longhaul is used for. Each flow is one file and works from the command line alone.
//!
//! | Flow | File | Reads → writes |
//! |---|---|---|
//! | End-of-campaign archive | [`archive`] | collections → documents, versions and folders with sidecars |
//! | The package of a campaign | [`package`] | what was filed → a bag that public tools check |
//! | Publication as records | [`publish`] | final, approved assets → records with values, rights and a place |
//! | Rights with the media | [`rights`] | licences and papers → a rights sidecar, documents, cross-references |
//! | Migration of a library | [`migrate`] | saved search, query, id list or CSV → the same |
//! | What another tool loaded | [`adopt`] | documents that are there → the marker in their description |
//! | Formal approval | [`approval`] | assets approved in iconik → a workflow; its outcome → iconik |
//! | Lifecycle | [`lifecycle`] | marks in iconik → record status; outcome → archive, recycle bin, certificate |
//! | Reviews and decisions in one record | [`exchange`] | remarks and approvals ⇄ review records |
//! | Metadata in step | [`metadata`] | mapped fields of filed assets ⇄ category attributes |
//! | References | [`references`] | documents that the audience may read → links and copies at collections and assets |
//!
//! All flows share [`filter`] (which assets of a selection are wanted), [`intake`] (which masters,
//! as ledger items), [`drive`] (the engine, the enumeration and the reports side by side; `shown` is
//! the job that iconik shows of it) and
//! [`write_back`] (what iconik is told afterwards). [`standing`] remembers how each ended. [`plan`] says what a flow
//! would do; [`probe`] asks the destination how it behaves; [`trial`] moves masters into a scratch to be measured.

pub mod adopt;
pub mod approval;
pub mod archive;
pub mod drive;
pub mod exchange;
pub mod filter;
pub mod intake;
pub mod lifecycle;
pub mod metadata;
pub mod migrate;
mod own;
pub mod package;
pub mod plan;
pub mod probe;
pub mod publish;
pub mod reconcile;
pub mod references;
pub mod retention;
pub mod rights;
mod shown;
pub mod standing;
pub mod trial;
pub mod write_back;

use std::sync::Arc;

use futures::stream::{BoxStream, StreamExt as _};

use crate::transfer::Destination;
use crate::types::{AssetId, Failure, FailureClass, NodeId, Reason};
use crate::{content_server, iconik};

/// Both systems, signed in, and what names things between them.
#[derive(Clone)]
pub struct Systems {
    /// The source system.
    pub iconik: iconik::Client,
    /// The destination, as the engine sees it.
    pub destination: Arc<dyn Destination>,
    /// The same system, for what the engine has no word for.
    pub content_server: content_server::Client,
    /// The configured name of the Content Server instance: part of every marker.
    pub instance: String,
    /// iconik's system domain: part of every marker.
    pub domain: String,
    /// The folder that masters are published in.
    pub target: NodeId,
    /// What iconik's metadata is told of a filed record.
    pub told: Option<Arc<write_back::Told>>,
}

/// Why a flow could not go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// iconik could not answer.
    #[error(transparent)]
    Iconik(#[from] iconik::Error),
    /// The ledger could not record or answer.
    #[error(transparent)]
    Ledger(#[from] crate::ledger::Error),
    /// A list of assets could not be opened.
    #[error("{path} cannot be opened")]
    Unopened {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// A list of assets could not be read.
    #[error("{path}, line {line}: {what}")]
    List {
        /// The file.
        path: String,
        /// The line, from 1.
        line: u64,
        /// What is wrong with it, and what to write instead.
        what: String,
    },
    /// A saved plan cannot be written, read or followed.
    #[error("{path} {what}")]
    Plan {
        /// The file.
        path: String,
        /// What is wrong with it, and what to do.
        what: String,
    },
    /// The engine stopped.
    #[error(transparent)]
    Engine(#[from] Failure),
}

/// An asset to look at.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The asset.
    pub asset: AssetId,
    /// What the plan that is followed says of it.
    pub planned: Option<Box<plan::Decision>>,
}

impl From<AssetId> for Wanted {
    fn from(asset: AssetId) -> Self {
        Self {
            asset,
            planned: None,
        }
    }
}

/// Begins an enumeration: every call gives all its assets from the start.
pub type Enumerate =
    Box<dyn Fn() -> Result<BoxStream<'static, Result<Wanted, Error>>, Error> + Send + Sync>;

/// The assets of a saved plan that a run has to look at.
///
/// # Errors
///
/// A plan that cannot be read any more.
pub fn follow(
    saved: &plan::saved::Saved,
) -> Result<BoxStream<'static, Result<Wanted, Error>>, Error> {
    let decisions = saved.decisions()?.filter_map(|decision| match decision {
        Ok(decision) if !decision.is_wanted() => None,
        Ok(decision) => Some(Ok(Wanted {
            asset: decision.asset.clone(),
            planned: Some(Box::new(decision)),
        })),
        Err(error) => Some(Err(error)),
    });
    Ok(futures::stream::iter(decisions).boxed())
}

impl Error {
    /// Whether the same may well succeed later.
    fn is_passing(&self) -> bool {
        matches!(self, Self::Iconik(error) if error.is_passing())
    }

    /// As the engine would class it.
    pub fn into_failure(self) -> Failure {
        match self {
            Self::Iconik(error) => error.into_failure(),
            Self::Ledger(error) => Failure::new(
                FailureClass::StopEverything,
                Reason::Ledger,
                error.to_string(),
            ),
            Self::List { .. } | Self::Unopened { .. } | Self::Plan { .. } => Failure::new(
                FailureClass::StopEverything,
                Reason::Other,
                self.to_string(),
            ),
            Self::Engine(failure) => failure,
        }
    }
}
