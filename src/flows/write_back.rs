//! What iconik is told about a filed master: its external id and a line of history.
//!
//! Messages wait in the ledger's outbox until they are delivered, so that they survive a crash; a
//! message that iconik refuses for good is journalled and given up, never a reason to fail a run.
//! An attempt is counted before it is made: when its outcome is unknown, the history is read before
//! the line is added again.

use std::time::Duration;

use serde::Deserialize;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{Error, Systems};
use crate::iconik::{ExternalId, WriteMode, Writing};
use crate::ledger::{Change, Entry, Ledger, Post};
use crate::telemetry::crash_point;
use crate::types::{AssetId, FailureClass, NodeId, StorageId, VersionNumber, ViewId};

/// Attempts before a message is given up.
const ATTEMPTS: u32 = 12;
const BATCH: usize = 32;

/// What the flows keep about an item in its `source` column.
#[derive(Clone, Debug, Deserialize, serde::Serialize)]
pub struct ItemSource {
    /// The asset.
    pub asset: AssetId,
    /// Number of its version.
    pub version_number: i64,
    /// The storage the master was read from.
    pub storage: Option<StorageId>,
}

/// Fields of a metadata view that are told what was filed.
#[derive(Clone, Debug)]
pub struct Told {
    /// The view.
    pub view: ViewId,
    /// What is told, and the field it goes to.
    pub fields: Vec<(Fact, String)>,
    /// Address of a node for people, up to its id.
    pub link: String,
}

/// What can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fact {
    /// The document's id.
    Record,
    /// The version's number.
    Version,
    /// An address that opens the document.
    Link,
    /// The digest of its content.
    Sha256,
    /// How far it is proved.
    Proof,
    /// When it was filed.
    Filed,
}

impl Fact {
    /// The fact of that word.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "record" => Self::Record,
            "version" => Self::Version,
            "link" => Self::Link,
            "sha256" => Self::Sha256,
            "proof" => Self::Proof,
            "filed" => Self::Filed,
            _ => return None,
        })
    }
}

impl Told {
    fn values(&self, receipt: &Receipt) -> Vec<Writing> {
        let value = |fact: Fact| match fact {
            Fact::Record => Some(receipt.node.to_string()),
            Fact::Version => receipt.version.map(|version| version.to_string()),
            Fact::Link => Some(format!("{}{}", self.link, receipt.node)),
            Fact::Sha256 => receipt.sha256.clone(),
            Fact::Proof => Some(receipt.proof.clone()),
            Fact::Filed => Some(jiff::Timestamp::now().strftime("%Y-%m-%d").to_string()),
        };
        self.fields
            .iter()
            .map(|(fact, field)| Writing {
                field: field.clone(),
                values: value(*fact).into_iter().collect(),
                mode: WriteMode::Overwrite,
            })
            .collect()
    }
}

#[derive(Deserialize)]
struct Receipt {
    node: NodeId,
    version: Option<VersionNumber>,
    sha256: Option<String>,
    proof: String,
}

/// Delivers what is due, until `over`; the number delivered. A message that has been begun is
/// brought to its end.
///
/// # Errors
///
/// Only the ledger's: iconik's are put off or given up.
pub async fn deliver(
    systems: &Systems,
    ledger: &Ledger,
    over: &CancellationToken,
) -> Result<usize, Error> {
    let now = jiff::Timestamp::now().as_millisecond();
    let mut delivered = 0;
    for post in ledger.posts_due(now, BATCH).await? {
        if over.is_cancelled() {
            break;
        }
        ledger.post_begun(post.id).await?;
        crash_point("telling");
        match tell(systems, ledger, &post).await {
            Ok((note, refused)) => {
                crash_point("told");
                ledger
                    .apply(Change::new().journal(entry(&post, "told-iconik", &note)))
                    .await?;
                match refused {
                    None => ledger.post_done(post.id).await?,
                    // The settings name what iconik does not take: the next run offers it again.
                    Some(why) => ledger.post_refused(post.id, &why).await?,
                }
                delivered += 1;
            }
            Err(Error::Ledger(error)) => return Err(error.into()),
            Err(error) => {
                let message = error.to_string();
                let failure = error.into_failure();
                let for_good =
                    failure.class == FailureClass::ItemIsWrong || post.attempts + 1 >= ATTEMPTS;
                if for_good {
                    tracing::warn!(post = post.id, error = %message, "iconik was not told");
                    ledger
                        .apply(Change::new().journal(entry(
                            &post,
                            "iconik-not-told",
                            &json!({"error": message}),
                        )))
                        .await?;
                    ledger.post_done(post.id).await?;
                } else {
                    let wait = failure
                        .retry_after
                        .unwrap_or(Duration::from_secs(2 << post.attempts.min(9)));
                    let next =
                        now.saturating_add(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX));
                    ledger.post_later(post.id, next, &message).await?;
                }
            }
        }
    }
    Ok(delivered)
}

/// Tells it: what became of each part, and why the metadata were refused if they were.
async fn tell(
    systems: &Systems,
    ledger: &Ledger,
    post: &Post,
) -> Result<(serde_json::Value, Option<String>), Error> {
    let Some(item) = (match post.item {
        Some(id) => ledger.item(id).await?,
        None => None,
    }) else {
        return Ok((json!({"skipped": "no item"}), None));
    };
    let (Ok(source), Ok(receipt)) = (
        serde_json::from_str::<ItemSource>(&item.source),
        serde_json::from_str::<Receipt>(&post.payload),
    ) else {
        let note = json!({"skipped": "not a receipt of this version of longhaul"});
        return Ok((note, None));
    };
    let prefix = format!("urn:otcs:{}:node:", systems.instance);
    let ours = format!("{prefix}{}", receipt.node);
    let storages: Vec<StorageId> = source.storage.iter().cloned().collect();
    let written = systems
        .iconik
        .write_external_id(
            &source.asset,
            &ours,
            |there| there.starts_with(&prefix),
            &storages,
        )
        .await;
    // The two are rights of their own: a token that may not change assets may still leave a line.
    let external_id = match written {
        Ok(ExternalId::Written) => "written".to_owned(),
        Ok(ExternalId::AlreadyThere) => "already ours".to_owned(),
        Ok(ExternalId::Taken(_)) => "left: used by somebody else".to_owned(),
        Ok(ExternalId::FilledByScanner) => "left: filled by the storage's scanner".to_owned(),
        Err(error) => {
            let failure = error.into_failure();
            if failure.class != FailureClass::ItemIsWrong {
                return Err(failure.into());
            }
            tracing::warn!(post = post.id, error = %failure, "the external id was not written");
            format!("refused: {failure}")
        }
    };
    let mut refused = None;
    let metadata = match &systems.told {
        None => "not asked for".to_owned(),
        Some(told) => {
            let values = told.values(&receipt);
            let written = systems
                .iconik
                .write_values(&source.asset, &told.view, &values)
                .await;
            match written {
                Ok(()) => "written".to_owned(),
                Err(error) => {
                    let failure = error.into_failure();
                    if failure.class != FailureClass::ItemIsWrong {
                        return Err(failure.into());
                    }
                    tracing::warn!(post = post.id, error = %failure, "the metadata was not written");
                    refused = Some(failure.to_string());
                    format!("refused: {failure}")
                }
            }
        }
    };
    let line = format!(
        "Filed in Content Server {} as node {}{}, version {} of the asset, proof {}{}",
        systems.instance,
        receipt.node,
        receipt
            .version
            .map(|version| format!(" version {version}"))
            .unwrap_or_default(),
        source.version_number,
        receipt.proof,
        receipt
            .sha256
            .map(|digest| format!(", sha256 {digest}"))
            .unwrap_or_default(),
    );
    // What was begun before may have got there.
    if post.attempts == 0 || !systems.iconik.has_history(&source.asset, &line).await? {
        systems.iconik.add_history(&source.asset, &line).await?;
    }
    let note = json!({"asset": source.asset, "external_id": external_id, "metadata": metadata});
    Ok((note, refused))
}

fn entry(post: &Post, event: &str, data: &serde_json::Value) -> Entry {
    Entry {
        item: post.item,
        event: event.into(),
        data: data.to_string(),
        ..Default::default()
    }
}
