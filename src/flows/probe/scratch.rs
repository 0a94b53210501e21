//! The scratch folder: its mark is in the ledger before the folder is on the server, and stays
//! there until the folder is certainly gone.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Error;
use crate::content_server::{Client, ScratchNode};
use crate::ledger::Ledger;
use crate::telemetry::crash_point;
use crate::transfer::Destination as _;
use crate::types::{Failure, NodeId, Reason};

const KEY: &str = "probe scratch";
/// How long a folder that was asked for may still appear: longer than any request lives.
const LATE_HOURS: i64 = 6;

/// A scratch folder.
pub(super) struct Scratch {
    /// Its id.
    pub(super) node: NodeId,
    /// Its name, and the description of everything in it.
    pub(super) mark: String,
    /// Where it is.
    parent: NodeId,
}

/// A mark that may be on the server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Noted {
    server: String,
    parent: i64,
    mark: String,
    since: Timestamp,
}

/// A scratch folder and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// Its id.
    pub node: NodeId,
    /// Its name.
    pub name: String,
    /// What became of it.
    pub removed: Removed,
}

/// What became of a scratch folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Removed {
    /// It is deleted.
    Deleted {
        /// Whether it lies in the recycle bin now; `None` when the server does not show its bin.
        in_bin: Option<bool>,
    },
    /// It stays, because it is not certain that all of it is the probe's.
    Foreign(String),
    /// It could not be deleted now; the next probe tries again.
    Failed(String),
}

async fn noted(ledger: &Ledger) -> Result<Vec<Noted>, Error> {
    let text = ledger.meta(KEY).await?;
    Ok(text
        .and_then(|text| serde_json::from_str(&text).ok())
        .unwrap_or_default())
}

async fn note(ledger: &Ledger, noted: &[Noted]) -> Result<(), Error> {
    let text = serde_json::to_string(noted).unwrap_or_default();
    Ok(ledger.set_meta(KEY, &text).await?)
}

async fn forget(ledger: &Ledger, mark: &str) -> Result<(), Error> {
    let mut all = noted(ledger).await?;
    all.retain(|one| one.mark != mark);
    note(ledger, &all).await
}

impl Scratch {
    /// Makes a scratch folder in `parent`.
    pub(super) async fn make(
        client: &Client,
        ledger: &Ledger,
        server: &str,
        parent: NodeId,
    ) -> Result<Self, Error> {
        let mark = format!("longhaul-probe-{}", uuid::Uuid::new_v4().simple());
        let mut all = noted(ledger).await?;
        all.push(Noted {
            server: server.to_owned(),
            parent: parent.0,
            mark: mark.clone(),
            since: Timestamp::now(),
        });
        note(ledger, &all).await?;
        crash_point("probe-noted");
        let made = client
            .create_in_scratch(ScratchNode {
                parent,
                name: &mark,
                mark: &mark,
                content: None,
                with: serde_json::Value::Null,
            })
            .await;
        let node = match made {
            Ok(made) => made.node,
            Err(failure) => match client.child(parent, &mark).await? {
                Some(node) => node.id,
                None => {
                    if failure.reason.nothing_done() {
                        forget(ledger, &mark).await?;
                    }
                    return Err(failure.into());
                }
            },
        };
        crash_point("probe-made");
        if client.marked(node).await?.description != mark {
            return Err(Failure::item(
                Reason::Unsupported,
                format!(
                    "the server does not keep the description of a new folder, so a scratch could not be told from other folders; delete the empty folder {mark} (node {node}) by hand"
                ),
            )
            .into());
        }
        Ok(Self { node, mark, parent })
    }

    /// Removes it.
    pub(super) async fn remove(self, client: &Client, ledger: &Ledger) -> Result<Left, Error> {
        remove(client, ledger, self.node, self.parent, self.mark).await
    }
}

async fn remove(
    client: &Client,
    ledger: &Ledger,
    node: NodeId,
    parent: NodeId,
    mark: String,
) -> Result<Left, Error> {
    let removed = match client.delete_scratch(node, parent, &mark, &|_| false).await {
        Ok(Some(foreign)) => Removed::Foreign(foreign),
        Ok(None) => {
            crash_point("probe-deleted");
            let in_bin = client.in_recycle_bin(&mark).await.ok();
            forget(ledger, &mark).await?;
            Removed::Deleted { in_bin }
        }
        Err(failure) => Removed::Failed(failure.message),
    };
    Ok(Left {
        node,
        name: mark,
        removed,
    })
}

/// Removes what earlier probes left on this server.
pub(super) async fn clean(
    client: &Client,
    ledger: &Ledger,
    server: &str,
) -> Result<Vec<Left>, Error> {
    let mut found = Vec::new();
    for one in noted(ledger).await? {
        if one.server != server {
            continue;
        }
        let parent = NodeId(one.parent);
        match client.child(parent, &one.mark).await {
            Ok(Some(node)) => {
                found.push(remove(client, ledger, node.id, parent, one.mark).await?);
            }
            // A call that was cut off may still make it.
            Ok(None) if one.since.duration_until(Timestamp::now()).as_hours() < LATE_HOURS => {}
            Ok(None) => forget(ledger, &one.mark).await?,
            // Its parent is gone, and it with it.
            Err(failure) if failure.reason == Reason::Inaccessible => {}
            Err(failure) => return Err(failure.into()),
        }
    }
    Ok(found)
}
