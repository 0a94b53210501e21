//! A measured transfer between the configured ends that leaves nothing behind.
//!
//! iconik is only read: no external id, no history, no job. What is filed goes to a scratch folder
//! with a staging folder and one for each run in it, under markers that no other run looks for,
//! and is deleted at the end (into Content Server's recycle bin, as everything that is deleted
//! there). A scratch that a killed trial left is found by its name and is said, never deleted: what
//! it holds can no longer be told from what somebody may have put there.

use std::collections::BTreeSet;

use serde_json::Value;

use super::drive::Scan;
use super::intake::{self, Intake};
use super::{Enumerate, Error, Systems};
use crate::content_server::{Client, ScratchNode};
use crate::ledger::{Ledger, StateCount};
use crate::transfer::{Engine, Outcome};
use crate::types::{ByteCount, Failure, ItemId, NodeId, Reason, RunId};

/// What names of scratch folders begin with.
pub const PREFIX: &str = "longhaul-bench-";
const PAGE: usize = 500;

/// A scratch folder, and a staging folder in it.
#[derive(Debug)]
pub struct Scratch {
    /// Its id.
    pub node: NodeId,
    /// Its name, and its description.
    pub mark: String,
    /// Where it is.
    parent: NodeId,
    /// Masters are staged here.
    pub staging: NodeId,
}

impl Scratch {
    /// Makes one in `parent`.
    ///
    /// # Errors
    ///
    /// The server's, and one that does not keep the description of a folder.
    pub async fn make(client: &Client, parent: NodeId) -> Result<Self, Failure> {
        let mark = format!("{PREFIX}{}", uuid::Uuid::new_v4().simple());
        let node = folder(client, parent, &mark, &mark).await?;
        if client.marked(node).await?.description != mark {
            return Err(Failure::item(
                Reason::Unsupported,
                format!(
                    "the server does not keep the description of a new folder, so a scratch could not be told from other folders; delete the empty folder {mark} (node {node}) by hand"
                ),
            ));
        }
        Ok(Self {
            staging: folder(client, node, "staged", &mark).await?,
            node,
            mark,
            parent,
        })
    }

    /// Makes a folder in it that a run publishes in.
    ///
    /// # Errors
    ///
    /// The server's.
    pub async fn target(&self, client: &Client, name: &str) -> Result<NodeId, Failure> {
        folder(client, self.node, name, &self.mark).await
    }

    /// Removes it with what these runs made in it; `Ok(Some(..))` says what else is in
    /// it, and then it stays.
    ///
    /// # Errors
    ///
    /// The server's and the ledger's.
    pub async fn remove(
        &self,
        client: &Client,
        runs: &[(Ledger, RunId)],
    ) -> Result<Option<String>, Error> {
        let own = made(runs).await?;
        let is_own = move |node| own.contains(&node);
        let (node, parent) = (self.node, self.parent);
        Ok(client
            .delete_scratch(node, parent, &self.mark, &is_own)
            .await?)
    }
}

async fn folder(
    client: &Client,
    parent: NodeId,
    name: &str,
    mark: &str,
) -> Result<NodeId, Failure> {
    let node = ScratchNode {
        parent,
        name,
        mark,
        content: None,
        with: Value::Null,
    };
    Ok(client.create_in_scratch(node).await?.node)
}

/// Every node that these runs are known to have made.
async fn made(runs: &[(Ledger, RunId)]) -> Result<BTreeSet<NodeId>, Error> {
    let mut nodes = BTreeSet::new();
    for (ledger, run) in runs {
        let mut after = ItemId(0);
        loop {
            let items = ledger.items(*run, None, after, PAGE).await?;
            let Some(last) = items.last() else { break };
            after = last.id;
            for item in &items {
                nodes.extend(item.node);
                nodes.extend(item.container);
                let mut from = 0;
                loop {
                    let files = ledger.files(item.id, from, PAGE).await?;
                    let Some(last) = files.last() else { break };
                    from = last.seq + 1;
                    nodes.extend(files.iter().filter_map(|file| file.node));
                }
            }
        }
    }
    Ok(nodes)
}

/// Plans a run: what it would move, by state.
///
/// # Errors
///
/// The enumeration's and the ledger's.
pub async fn plan(
    systems: &Systems,
    ledger: &Ledger,
    run: RunId,
    intake: &Intake,
    assets: &Enumerate,
) -> Result<Vec<StateCount>, Error> {
    intake::scan(systems, ledger, run, intake, assets, &Scan::default()).await?;
    Ok(ledger.summary(run).await?)
}

/// Moves what was planned; the bytes that arrived. What cannot be moved counts for nothing.
///
/// # Errors
///
/// What stopped the run; nothing that arrived, with the message of a master that did not.
pub async fn run(engine: &Engine, ledger: &Ledger, run: RunId) -> Result<ByteCount, Error> {
    match engine.run(run, || false).await {
        Outcome::Finished => {}
        Outcome::Failed(failure) => return Err(failure.into()),
        Outcome::Stopped | Outcome::Waiting => {
            return Err(Failure::transient("the trial was stopped").into());
        }
    }
    let states = ledger.summary(run).await?;
    let done = states.iter().filter(|count| count.state == "done");
    let bytes = done.map(|count| count.bytes).sum();
    if bytes > 0 {
        return Ok(bytes);
    }
    let mut said = None;
    for count in states {
        let stopped = ledger.items(run, Some(&count.state), ItemId(0), 1).await?;
        said = stopped.into_iter().find_map(|item| item.message).or(said);
    }
    Err(Failure::item(
        Reason::Unsupported,
        format!(
            "no master arrived: {}",
            said.unwrap_or_else(|| "no message".to_owned())
        ),
    )
    .into())
}
