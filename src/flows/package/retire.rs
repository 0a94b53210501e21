//! Retiring a packed campaign in iconik: its originals are archived or removed there, asset by
//! asset, and only what is proved to be in Content Server.
//!
//! An asset is kept, with the reason, unless all of this holds at that moment: the package is
//! complete and has every version that iconik has a file of; each is filed as iconik has it now,
//! was read back from Content Server, and is still there; every copy that would go has the same
//! files; no hold is on the documents or above them; no collection outside the campaign has the
//! asset too. What is removed goes into iconik's recycle bin, copy by copy; asset, proxies and
//! metadata stay. What is about to be done is in the journal before it is done.

use std::collections::{HashMap, HashSet};
use std::fmt;

use futures::TryStreamExt as _;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::facts::Kept;
use super::gather::ATTEMPTS;
use super::{Bench, check};
use crate::flows::intake::{self, Intake};
use crate::flows::{Error, Wanted};
use crate::iconik::{ArchiveStatus, Asset, AssetStatus, FileSetStatus, FileType, Master};
use crate::ledger::{Change, Entry, Fact, File, Item, Reader};
use crate::sidecar::campaign::Kind;
use crate::transfer::read_back;
use crate::types::{
    AssetId, CollectionId, Failure, FormatId, NodeId, ProofLevel, Reason, Role, Sha256Digest,
    StorageId, VersionNumber,
};

/// The name under which the ledger remembers what was retired.
const FLOW: &str = "retire";
const FIELD: &str = "original";
/// Assets looked at at once; iconik's call limit is the brake.
const AT_ONCE: usize = 4;
/// Disturbances that a look waits out.
const WAITS: u32 = 4;
const PAGE: usize = 500;
/// How long iconik may take to archive what it was asked to.
const ARCHIVED_WITHIN: SignedDuration = SignedDuration::from_hours(24);

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
    let facts = reader.remembered(FLOW, asset)?;
    Ok(facts
        .first()
        .and_then(|fact| serde_json::from_str(&fact.data).ok()))
}

/// What was found of an asset before anything is done.
enum Found {
    /// Nothing is left to do.
    Over(String),
    /// It stays.
    Stays(String),
    /// It may go: the documents that it rests on.
    Ready(Box<Ready>),
}

struct Ready {
    asset: Asset,
    /// The original formats, one for each version.
    formats: Vec<FormatId>,
    nodes: Vec<NodeId>,
    /// What iconik's history is told.
    filed: String,
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
        .filter(|file| matches!(file.kind, Kind::Master | Kind::EditDecisionRecord))
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

impl Campaign<'_> {
    /// Looks at an asset and everything that it rests on; its title, and what was found.
    async fn look(&self, id: &AssetId) -> Result<(String, Found), Error> {
        let iconik = &self.bench.systems.iconik;
        let asset = match iconik.asset(id).await {
            Ok(asset) if asset.status != AssetStatus::Deleted => asset,
            Ok(asset) => return Ok((asset.title, Found::Over("it is in the recycle bin".into()))),
            Err(error) if error.is_not_found() => {
                return Ok((
                    id.to_string(),
                    Found::Over("iconik no longer has it".into()),
                ));
            }
            Err(error) => return Err(error.into()),
        };
        let title = asset.title.clone();
        let found = match self.examine(asset).await {
            Ok(found) => found,
            // What concerns one asset alone stops no other.
            Err(Error::Engine(failure)) if is_about_one(&failure) => {
                Found::Stays(failure.to_string())
            }
            Err(Error::Iconik(error)) if error.is_forbidden() || error.is_not_found() => {
                Found::Stays(error.to_string())
            }
            Err(error) => return Err(error),
        };
        Ok((title, found))
    }

    async fn examine(&self, asset: Asset) -> Result<Found, Error> {
        let stays = |why: String| Ok(Found::Stays(why));
        if let Originals::Status = self.retirement.originals
            && asset.archive_status == ArchiveStatus::Archived
        {
            return Ok(Found::Over("iconik shows it as archived".to_owned()));
        }
        if let Some(elsewhere) = self.elsewhere(&asset).await? {
            return stays(format!(
                "it is in collection {elsewhere} too, which is not part of the campaign"
            ));
        }
        let everything = Intake {
            all_versions: true,
            ..Intake::default()
        };
        let wanted = Wanted::from(asset.id.clone());
        let looked =
            intake::look_patiently(self.bench.systems, &everything, &wanted, WAITS).await?;
        let (mut formats, mut nodes, mut filed) = (Vec::new(), Vec::new(), Vec::new());
        for (new, master) in looked.items {
            let Some(master) = master else {
                // A version without an original has nothing to retire.
                continue;
            };
            let version = master.version_number;
            if master.archived {
                continue;
            }
            let known = self.bench.ledger.item_by_key(&new.key).await?;
            let Some(item) = known else {
                return stays(format!("version {version} is not filed"));
            };
            if item.state != "done" {
                return stays(format!("version {version} is {}", item.state));
            }
            if !self.bench.ledger.is_content_of(&item, &new).await? {
                return stays(format!("version {version} changed since it was filed"));
            }
            if let Some(why) = self.proof(&item, &mut nodes).await? {
                return stays(format!("version {version}: {why}"));
            }
            if self.retirement.originals == Originals::Remove
                && let Some(why) = self.other_copies(&master).await?
            {
                return stays(format!("version {version}: {why}"));
            }
            filed.push(match (item.node, item.version) {
                (Some(node), Some(number)) => format!("node {node} version {number}"),
                (Some(node), None) => format!("node {node}"),
                _ => item.key.clone(),
            });
            formats.push(master.format);
        }
        if formats.is_empty() {
            return Ok(Found::Over(
                "no original of it is left to retire".to_owned(),
            ));
        }
        if let Some(held) = self.holds(&nodes).await? {
            return stays(held);
        }
        Ok(Found::Ready(Box::new(Ready {
            asset,
            formats,
            nodes,
            filed: filed.join(", "),
        })))
    }

    /// A collection outside the campaign that has the asset.
    async fn elsewhere(&self, asset: &Asset) -> Result<Option<CollectionId>, Error> {
        for collection in &asset.in_collections {
            if !self.is_below(collection).await? {
                return Ok(Some(collection.clone()));
            }
        }
        Ok(None)
    }

    /// Whether a collection is the campaign's, or somewhere in it.
    async fn is_below(&self, collection: &CollectionId) -> Result<bool, Error> {
        let mut known = self.below.lock().await;
        if let Some(known) = known.get(collection.as_str()) {
            return Ok(*known);
        }
        let mut open = vec![collection.clone()];
        let mut seen: HashSet<String> = HashSet::new();
        let mut below = false;
        while let Some(next) = open.pop() {
            if next == *self.collection || known.get(next.as_str()) == Some(&true) {
                below = true;
                break;
            }
            if !seen.insert(next.0.clone()) {
                continue;
            }
            match self.bench.systems.iconik.collection(&next).await {
                Ok(there) => open.extend(there.parents.into_iter().map(CollectionId)),
                Err(error) if error.is_not_found() || error.is_forbidden() => {}
                Err(error) => return Err(error.into()),
            }
        }
        known.insert(collection.0.clone(), below);
        Ok(below)
    }

    /// Why an item's content is not proved to be in Content Server and in the package; nothing when
    /// it is. Its documents are added to `nodes`.
    async fn proof(&self, item: &Item, nodes: &mut Vec<NodeId>) -> Result<Option<String>, Error> {
        let split = item.kind == "split";
        if split
            && !item
                .node
                .is_some_and(|node| self.held.contains(&(node, None)))
        {
            return Ok(Some("it is not in the package".to_owned()));
        }
        let mut from = 0;
        loop {
            let files = self.bench.ledger.files(item.id, from, PAGE).await?;
            let Some(last) = files.last() else {
                return Ok(None);
            };
            from = last.seq + 1;
            for file in &files {
                let is_content = matches!(
                    Role::from_name(&file.role),
                    Some(Role::Master | Role::Segment(_))
                );
                if !is_content {
                    continue;
                }
                if let Some(why) = self.proof_of_file(file, split, nodes).await? {
                    return Ok(Some(format!("{} {why}", file.name)));
                }
            }
        }
    }

    async fn proof_of_file(
        &self,
        file: &File,
        split: bool,
        nodes: &mut Vec<NodeId>,
    ) -> Result<Option<String>, Error> {
        let sha256: Option<[u8; 32]> = file
            .sha256
            .as_deref()
            .and_then(|digest| digest.try_into().ok());
        let (Some(node), Some(version), Some(sha256)) = (file.node, file.version, sha256) else {
            return Ok(Some("is not filed".to_owned()));
        };
        if !split && !self.held.contains(&(node, Some(version))) {
            return Ok(Some(
                "is not in the package; `longhaul archive COLLECTION --package` renews it"
                    .to_owned(),
            ));
        }
        nodes.push(node);
        if let Some(wrong) = check::stored(self.bench, node, version, file.size).await? {
            return Ok(Some(format!("is not as it was filed: {wrong}")));
        }
        if self.retirement.read_back && !self.retirement.dry_run {
            let read = read_back(
                &*self.bench.systems.destination,
                self.bench.pace,
                node,
                version,
                file.size,
                ATTEMPTS,
                &mut |_| Ok(()),
            )
            .await?;
            let filed = Sha256Digest(sha256);
            return Ok((read != filed).then(|| format!("reads back as {read}, filed was {filed}")));
        }
        let level = ProofLevel::from_name(&file.proof).unwrap_or(ProofLevel::None);
        Ok((level != ProofLevel::ReadBack && !self.retirement.read_back).then(|| {
            format!(
                "was never read back (it is proved by {}); `longhaul verify`, or --read-back here, does",
                level.as_str()
            )
        }))
    }

    /// Why other copies of a master are not what was filed; nothing when they are, or there are
    /// none.
    async fn other_copies(&self, master: &Master) -> Result<Option<String>, Error> {
        let iconik = &self.bench.systems.iconik;
        let mut wanted: Vec<(String, u64)> = master
            .files
            .iter()
            .map(|file| (file.name.clone(), file.size))
            .collect();
        wanted.sort();
        let mut sets = iconik.file_sets(&master.asset, &master.format);
        while let Some(set) = sets.try_next().await? {
            if set.id == master.file_set || set.status != FileSetStatus::Active || set.is_archive {
                continue;
            }
            let mut found = Vec::new();
            let mut files = iconik.files(&master.asset, &set.id, false);
            while let Some(file) = files.try_next().await? {
                if file.kind != FileType::Directory {
                    found.push((file.display_name().to_owned(), file.size.unwrap_or(0)));
                }
                if found.len() > wanted.len() {
                    break;
                }
            }
            found.sort();
            if found != wanted {
                return Ok(Some(format!(
                    "another copy of it (file set {}) has other files than were filed",
                    set.id
                )));
            }
        }
        Ok(None)
    }

    /// What protects a document, or may.
    async fn holds(&self, nodes: &[NodeId]) -> Result<Option<String>, Error> {
        for node in nodes {
            let over = match self.bench.systems.content_server.holds_over(*node).await {
                Ok(over) => over,
                // A server without records management holds nothing.
                Err(failure) if failure.reason == Reason::Unsupported => return Ok(None),
                Err(failure) => return Err(failure.into()),
            };
            if let Some((on, hold)) = over.holds.iter().find(|(_, hold)| hold.protects()) {
                return Ok(Some(format!(
                    "hold {} ({:?}) is on node {on}",
                    hold.id, hold.name
                )));
            }
            if let Some(above) = over.unseen.first() {
                return Ok(Some(format!(
                    "node {above} above node {node} may not be seen, so its holds are not known"
                )));
            }
        }
        Ok(None)
    }

    /// Records the end of what an earlier run began, when there is nothing left to do.
    async fn finish(&self, asset: &AssetId, title: &str) -> Result<Step, Error> {
        let Some(begun) = self.begun(asset).await? else {
            return Ok(Step::Before);
        };
        if begun.done || self.retirement.dry_run {
            return Ok(Step::Before);
        }
        self.note(asset, title, &begun.how, "", true).await?;
        Ok(match self.retirement.originals {
            Originals::Archive(_) => Step::Archived,
            Originals::Remove => Step::Removed,
            Originals::Status => Step::Marked,
            Originals::Keep => Step::Before,
        })
    }

    /// What the ledger remembers of an asset.
    async fn begun(&self, asset: &AssetId) -> Result<Option<Retired>, Error> {
        let facts = self.bench.ledger.remembered(FLOW, asset.as_str()).await?;
        Ok(facts
            .first()
            .and_then(|fact| serde_json::from_str(&fact.data).ok()))
    }

    /// Does what the policy says with an asset that may go.
    async fn act(&self, ready: Ready) -> Result<(Step, String), Error> {
        let iconik = &self.bench.systems.iconik;
        let id = ready.asset.id.clone();
        let (title, filed) = (&ready.asset.title, &ready.filed);
        let (how, step) = match &self.retirement.originals {
            Originals::Keep => {
                return Ok((Step::Kept, "`package.originals` keeps them".to_owned()));
            }
            Originals::Status => ("shown as archived", Step::Marked),
            Originals::Archive(_) => ("originals moved to the archive storage", Step::Archived),
            Originals::Remove => ("originals removed", Step::Removed),
        };
        let why = format!("filed as {filed}");
        if self.retirement.dry_run {
            return Ok((step, why));
        }
        // Holds once more: the look may be some time ago.
        if let Some(held) = self.holds(&ready.nodes).await? {
            return Ok((Step::Kept, held));
        }
        match &self.retirement.originals {
            Originals::Keep => {}
            Originals::Status => {
                self.note(&id, title, how, filed, false).await?;
                iconik
                    .set_archive_status(&id, &ArchiveStatus::Archived)
                    .await?;
            }
            Originals::Archive(storage) => {
                let now = Timestamp::now();
                let asked = self.begun(&id).await?.filter(|before| {
                    !before.done && now.duration_since(before.at) < ARCHIVED_WITHIN
                });
                if asked.is_none() {
                    self.note(&id, title, how, filed, false).await?;
                    let archiving = iconik.archiving(&id).await?;
                    for format in archiving
                        .open
                        .iter()
                        .filter(|own| ready.formats.contains(own))
                    {
                        iconik.archive_format(&id, format, storage).await?;
                    }
                }
                let archiving = iconik.archiving(&id).await?;
                if archiving.failed > 0 {
                    return Ok((
                        Step::Kept,
                        "iconik says that archiving failed; its jobs say why".to_owned(),
                    ));
                }
                if !archiving.open.is_empty() || archiving.underway > 0 {
                    return Ok((Step::Archiving, "iconik is moving the originals".to_owned()));
                }
            }
            Originals::Remove => {
                self.note(&id, title, how, filed, false).await?;
                let line = format!("longhaul: originals removed, {why}");
                // Said before it is done: a reader of the history finds where they are.
                match iconik.has_history(&id, &line).await {
                    Ok(false) => {
                        if let Err(error) = iconik.add_history(&id, &line).await {
                            tracing::warn!(asset = %id, %error, "iconik's history was not told");
                        }
                    }
                    Ok(true) => {}
                    Err(error) => {
                        tracing::warn!(asset = %id, %error, "iconik's history was not read")
                    }
                }
                for format in &ready.formats {
                    let sets: Vec<_> = iconik.file_sets(&id, format).try_collect().await?;
                    for set in sets {
                        if set.status == FileSetStatus::Active && !set.is_archive {
                            iconik.bin_file_set(&id, format, &set.id).await?;
                        }
                    }
                }
            }
        }
        self.note(&id, title, how, filed, true).await?;
        Ok((step, why))
    }

    /// Records what is about to be done, or is.
    async fn note(
        &self,
        asset: &AssetId,
        title: &str,
        how: &str,
        filed: &str,
        done: bool,
    ) -> Result<(), Error> {
        let now = Timestamp::now();
        let retired = Retired {
            done,
            how: how.to_owned(),
            at: now,
            who: self.retirement.who.clone(),
            because: self.retirement.because.clone(),
        };
        let entry = Entry {
            event: if done { "retired" } else { "retiring" }.to_owned(),
            data: json!({
                "asset": asset, "title": title, "collection": self.collection,
                "how": how, "filed": filed, "who": retired.who, "because": retired.because,
                "read_back": self.retirement.read_back,
            })
            .to_string(),
            ..Entry::default()
        };
        let fact = Fact {
            flow: FLOW.to_owned(),
            object: asset.to_string(),
            field: FIELD.to_owned(),
            data: serde_json::to_string(&retired).unwrap_or_default(),
            open: false,
            at: now.as_millisecond(),
        };
        let change = Change::new().fact(fact).journal(entry);
        self.bench.ledger.apply(change).await?;
        Ok(())
    }
}

/// Whether a failure says something of one asset, and nothing of the systems.
fn is_about_one(failure: &Failure) -> bool {
    failure.class == crate::types::FailureClass::ItemIsWrong
}
