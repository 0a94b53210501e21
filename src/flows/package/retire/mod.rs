//! Retiring a packed campaign in iconik: its originals are archived or removed there, asset by
//! asset, and only what is proved to be in Content Server.
//!
//! An asset is kept, with the reason, unless all of this holds at that moment: the package is
//! complete and has every version that iconik has a file of; each is filed as iconik has it now,
//! was read back from Content Server, and is still there; every copy that would go has the same
//! files; no hold is on the documents or above them; no collection outside the campaign has the
//! asset too. What is removed goes into iconik's recycle bin, copy by copy; asset, proxies and
//! metadata stay. What is about to be done is in the journal before it is done.

mod act;
mod look;

use std::collections::{HashMap, HashSet};
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use self::look::Found;
use super::Bench;
use super::facts::Kept;
use crate::flows::Error;
use crate::ledger::{Fact, Reader};
use crate::sidecar::campaign::Kind;
use crate::types::{AssetId, CollectionId, NodeId, StorageId, VersionNumber};

/// The name under which the ledger remembers what was retired.
const FLOW: &str = "retire";
/// Assets looked at at once; iconik's call limit is the brake.
const AT_ONCE: usize = 4;

/// What becomes of a packed campaign's originals in iconik.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Originals {
    /// They stay as they are.
    #[default]
    Keep,
    /// iconik shows the asset as archived; no byte moves.
    Status,
    /// iconik moves them to an archive storage.
    Archive(StorageId),
    /// Every copy goes into iconik's recycle bin.
    Remove,
}

/// Who wants it done, and how.
#[derive(Clone, Debug)]
pub struct Retirement {
    /// What becomes of the originals.
    pub originals: Originals,
    /// Whether every byte is read back from Content Server once more before.
    pub read_back: bool,
    /// Only say what would be done.
    pub dry_run: bool,
    /// Who decided it.
    pub who: String,
    /// Why.
    pub because: String,
}

/// What became of an asset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// iconik shows it as archived.
    Marked,
    /// Its originals are in the archive storage.
    Archived,
    /// iconik is moving them there.
    Archiving,
    /// Its originals are in the recycle bin.
    Removed,
    /// That was so before.
    Before,
    /// It stays as it is, for the reason given.
    Kept,
}

/// An asset and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Decision {
    /// The asset.
    pub asset: AssetId,
    /// Its title.
    pub title: String,
    /// What became of it.
    pub step: Step,
    /// Why, for people.
    pub why: String,
}

/// What the ledger remembers of an asset that was retired.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retired {
    /// Whether it is done, or was begun.
    done: bool,
    /// What was to be done.
    how: String,
    /// When.
    at: Timestamp,
    /// Who decided it.
    who: String,
    /// Why.
    because: String,
}

impl fmt::Display for Retired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let day = self.at.strftime("%Y-%m-%d");
        write!(
            f,
            "retired at the source on {day} by {} ({}): {}",
            self.who, self.because, self.how
        )
    }
}

/// What the ledger remembers of an asset; nothing when it was never retired.
///
/// # Errors
///
/// The ledger's.
pub fn retired(reader: &Reader, asset: &str) -> Result<Option<Retired>, crate::ledger::Error> {
    Ok(known(&reader.remembered(FLOW, asset)?))
}

fn known(facts: &[Fact]) -> Option<Retired> {
    serde_json::from_str(&facts.first()?.data).ok()
}

/// Retires every asset of a package; each is said as it is decided.
///
/// # Errors
///
/// Those of both systems and the ledger; what was recorded stands, and another run goes on.
pub async fn retire(
    bench: Bench<'_>,
    collection: &CollectionId,
    kept: &Kept,
    retirement: &Retirement,
    mut say: impl FnMut(Decision),
) -> Result<(), Error> {
    let held: HashSet<(NodeId, Option<VersionNumber>)> = kept
        .facts
        .payload
        .iter()
        .map(|file| (file.node, file.version))
        .collect();
    let mut assets: Vec<AssetId> = kept
        .facts
        .payload
        .iter()
        .filter(|file| {
            matches!(
                file.kind,
                Kind::Master | Kind::EditDecisionRecord | Kind::SupportingDocument
            )
        })
        .map(|file| AssetId(file.asset.clone()))
        .collect();
    assets.sort();
    assets.dedup();
    let campaign = Campaign {
        bench,
        collection,
        held,
        retirement,
        below: tokio::sync::Mutex::default(),
    };
    // Looks and acts take turns: a look that nobody polls must not hold what an act waits for.
    for some in assets.chunks(AT_ONCE) {
        let looks = some.iter().map(|asset| campaign.look(asset));
        let looked = futures::future::try_join_all(looks).await?;
        for (asset, (title, found)) in some.iter().zip(looked) {
            let (step, why) = match found {
                Found::Over(why) => (campaign.finish(asset, &title).await?, why),
                Found::Stays(why) => (Step::Kept, why),
                Found::Ready(ready) => campaign.act(*ready).await?,
            };
            say(Decision {
                asset: asset.clone(),
                title,
                step,
                why,
            });
        }
    }
    Ok(())
}

struct Campaign<'a> {
    bench: Bench<'a>,
    collection: &'a CollectionId,
    held: HashSet<(NodeId, Option<VersionNumber>)>,
    retirement: &'a Retirement,
    /// Whether a collection is in the campaign's, as far as it was looked up.
    below: tokio::sync::Mutex<HashMap<String, bool>>,
}
