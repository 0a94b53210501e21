//! Source, destination and ledger side by side: what agrees, and what does not. Changes nothing
//! but what is remembered of retention, because the server is asked anyway.
//!
//! In full, everything the run's selection names is looked at in the source, in the ledger and at
//! the destination; then what the run filed and the selection no longer names; then the target
//! folder for documents and versions that the ledger does not know. Streamed: kept in mind are 16
//! bytes of each item and 16 of each filed version. A sample looks at items alone.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use futures::stream::{self, StreamExt, TryStreamExt};
use serde::Serialize;
use xxhash_rust::xxh3::{xxh3_64_with_seed, xxh3_128};

use super::intake::{self, Intake};
use super::package::retire;
use super::retention::Remembering;
use super::{Enumerate, Error, Systems, Wanted};
use crate::content_server::{Area, Compared, Filing};
use crate::ledger::{File, Item, NewItem, Reader};
use crate::pace::Pace;
use crate::transfer::{Kept, Record, read_back};
use crate::types::{
    AssetId, ByteCount, Failure, FailureClass, ItemId, NodeId, Reason, RunId, Sha256Digest,
    VersionNumber,
};

const AT_ONCE: usize = 4;
const PAGE: usize = 500;
/// Differences of one record that are told one by one.
const TOLD: usize = 8;
/// Disturbances of iconik that one asset waits out, a minute in all.
const WAITS: u32 = 6;
const ATTEMPTS: u32 = 6;

/// What comparing found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// Source, ledger and destination agree.
    Equal,
    /// It should be at the destination and is not.
    Missing,
    /// It is at the destination and the ledger does not know it.
    Extra,
    /// What is stored is not what was filed.
    Differs,
    /// The source changed after it was filed, or no longer has it.
    ChangedSince,
    /// It waits for a person.
    Held,
    /// A filter or a person left it out.
    Excluded,
}

impl Class {
    /// In words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "equal",
            Self::Missing => "missing",
            Self::Extra => "extra",
            Self::Differs => "differs",
            Self::ChangedSince => "changed-since",
            Self::Held => "held",
            Self::Excluded => "excluded",
        }
    }

    /// Whether it is a difference.
    pub fn is_difference(self) -> bool {
        matches!(
            self,
            Self::Missing | Self::Extra | Self::Differs | Self::ChangedSince
        )
    }
}

/// One finding.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// What it is.
    pub class: Class,
    /// The item's key; empty for what no item owns.
    pub key: String,
    /// Its title, or the name at the destination.
    pub title: String,
    /// The node.
    pub node: Option<NodeId>,
    /// Bytes.
    pub bytes: ByteCount,
    /// What exactly.
    pub detail: String,
    /// What was filed of its record and could not be compared, because the server does not have
    /// it.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub not_compared: BTreeSet<Area>,
    /// Whether its metadata name another place now and it stays by policy.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub stays: bool,
    /// What its record is kept under now, as far as the server says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retention: Option<Kept>,
}

/// A sample of items.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// How many.
    pub items: usize,
    /// Which: the same seed looks at the same items.
    pub seed: u64,
}

/// What to compare, and how.
pub struct Comparison<'a> {
    /// Both systems.
    pub systems: &'a Systems,
    /// The ledger.
    pub ledger: Reader,
    /// The run.
    pub run: RunId,
    /// How its masters became items.
    pub intake: Intake,
    /// The pace of reading back.
    pub pace: &'a Pace,
    /// Whether stored bytes are read and hashed.
    pub read: bool,
    /// Where what records are kept under is remembered.
    pub remembering: &'a Remembering,
}

type Each<'a> = dyn FnMut(Finding) + 'a;

/// What an item keeps of its source when longhaul has written it itself.
const OWN: &str = "{}";

/// What the source has of an item now.
enum Source<'a> {
    /// What was filed; it was not looked at.
    AsFiled,
    /// Nothing under its key.
    Gone,
    /// This.
    Now(&'a NewItem),
}

/// What the walk keeps in mind of the ledger.
struct Looked<'a> {
    of: &'a Comparison<'a>,
    ledger: Mutex<&'a Reader>,
    /// Filed versions by node and number, sorted.
    filed: Vec<(i64, i64)>,
}

impl Comparison<'_> {
    /// Compares everything.
    ///
    /// # Errors
    ///
    /// The systems' and the ledger's.
    pub async fn full(&self, assets: &Enumerate, each: &mut Each<'_>) -> Result<(), Error> {
        let looked = Looked::new(self)?;
        let mut seen: HashSet<u128> = HashSet::new();
        let mut walk = assets()?
            .map(|wanted| async {
                let wanted = wanted?;
                Box::pin(looked.asset(&wanted)).await
            })
            .buffered(AT_ONCE);
        while let Some(found) = walk.next().await {
            for finding in found? {
                // A list may name an asset twice.
                if seen.insert(xxh3_128(finding.key.as_bytes())) {
                    each(finding);
                }
            }
        }
        drop(walk);
        let mut after = ItemId(0);
        loop {
            let items = self.ledger.items(self.run, None, after, PAGE)?;
            let Some(last) = items.last() else { break };
            after = last.id;
            let rest = items.into_iter();
            let rest = rest.filter(|item| !seen.contains(&xxh3_128(item.key.as_bytes())));
            looked.items(rest.collect(), each).await?;
        }
        looked.extras(each).await
    }

    /// Compares a sample of the run's items; how many items there are to choose from.
    ///
    /// # Errors
    ///
    /// The systems' and the ledger's.
    pub async fn sample(&self, sample: Sample, each: &mut Each<'_>) -> Result<u64, Error> {
        let looked = Looked::new(self)?;
        // The items with the smallest numbers by key and seed: every item has the same chance.
        let mut chosen: BinaryHeap<(u64, Reverse<i64>)> = BinaryHeap::new();
        let (mut after, mut all) = (ItemId(0), 0);
        loop {
            let items = self.ledger.items(self.run, None, after, PAGE)?;
            let Some(last) = items.last() else { break };
            after = last.id;
            for item in &items {
                all += 1;
                let lot = xxh3_64_with_seed(item.key.as_bytes(), sample.seed);
                chosen.push((lot, Reverse(item.id.0)));
                if chosen.len() > sample.items {
                    chosen.pop();
                }
            }
        }
        let mut ids: Vec<i64> = chosen.into_iter().map(|(_, Reverse(id))| id).collect();
        ids.sort_unstable();
        for ids in ids.chunks(PAGE) {
            let mut items = Vec::with_capacity(ids.len());
            for id in ids {
                items.extend(self.ledger.item(ItemId(*id))?);
            }
            looked.items(items, each).await?;
        }
        Ok(all)
    }
}

impl<'a> Looked<'a> {
    fn new(of: &'a Comparison<'a>) -> Result<Self, Error> {
        let mut filed = Vec::new();
        let mut after = 0;
        loop {
            let page = of.ledger.filed_versions(after, 10_000)?;
            let Some((last, _, _)) = page.last() else {
                break;
            };
            after = *last;
            filed.extend(page.iter().map(|(_, node, version)| (node.0, version.0)));
        }
        filed.sort_unstable();
        filed.dedup();
        Ok(Self {
            of,
            ledger: Mutex::new(&of.ledger),
            filed,
        })
    }

    /// A read takes well under a millisecond.
    fn read<T>(
        &self,
        read: impl FnOnce(&Reader) -> Result<T, crate::ledger::Error>,
    ) -> Result<T, Error> {
        let ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(read(&ledger)?)
    }

    /// The highest version of a node that the ledger filed.
    fn highest(&self, node: NodeId) -> Option<i64> {
        let end = self.filed.partition_point(|(known, _)| *known <= node.0);
        let (known, version) = self.filed.get(end.checked_sub(1)?)?;
        (*known == node.0).then_some(*version)
    }

    /// An asset of the selection.
    async fn asset(&self, wanted: &Wanted) -> Result<Vec<Finding>, Error> {
        let (systems, intake) = (self.of.systems, &self.of.intake);
        let looked = intake::look_patiently(systems, intake, wanted, WAITS).await?;
        let mut found = Vec::new();
        if let Some((why, detail)) = looked.left_out {
            found.push(Finding {
                class: Class::Excluded,
                key: format!("{}/-", wanted.asset),
                title: looked.title.clone(),
                node: None,
                bytes: 0,
                detail: format!("{why}: {detail}"),
                not_compared: BTreeSet::new(),
                stays: false,
                retention: None,
            });
        }
        for (new, _) in looked.items {
            let row = self.read(|ledger| ledger.item_by_key(&new.key))?;
            match row {
                Some(item) => found.push(self.item(&item, Source::Now(&new)).await?),
                None => found.push(Finding {
                    class: Class::Missing,
                    bytes: intake::master_bytes(&new),
                    key: new.key,
                    title: new.title,
                    node: None,
                    detail: "new at the source, not in the ledger; the same run again files it"
                        .into(),
                    not_compared: BTreeSet::new(),
                    stays: false,
                    retention: None,
                }),
            }
        }
        Ok(found)
    }

    /// Items of the ledger, each with a look at its asset.
    async fn items(&self, items: Vec<Item>, each: &mut Each<'_>) -> Result<(), Error> {
        let mut assets: BTreeMap<String, Vec<Item>> = BTreeMap::new();
        for item in items {
            if intake::is_paper(&item.key) || item.source == OWN {
                // A paper is found by the rules of whoever needs it, and what a flow has written
                // itself is nowhere else: only the document is looked at.
                each(self.item(&item, Source::AsFiled).await?);
                continue;
            }
            let asset = intake::asset_of(&item.key).to_owned();
            assets.entry(asset).or_default().push(item);
        }
        // All versions, unfiltered: an item of an asset that is no longer selected is still filed.
        let intake = Intake {
            all_versions: true,
            ..Intake::default()
        };
        let mut walk = stream::iter(assets)
            .map(|(asset, items)| {
                let intake = &intake;
                async move {
                    let wanted = Wanted::from(AssetId(asset));
                    let looked =
                        intake::look_patiently(self.of.systems, intake, &wanted, WAITS).await?;
                    let mut found = Vec::new();
                    for item in &items {
                        let now = looked.items.iter().find(|(new, _)| new.key == item.key);
                        let now = now.map_or(Source::Gone, |(new, _)| Source::Now(new));
                        found.push(self.item(item, now).await?);
                    }
                    Ok::<_, Error>(found)
                }
            })
            .buffered(AT_ONCE);
        while let Some(found) = walk.try_next().await? {
            found.into_iter().for_each(&mut *each);
        }
        Ok(())
    }

    /// One item against the source as it is now and the destination.
    async fn item(&self, item: &Item, now: Source<'_>) -> Result<Finding, Error> {
        let mut finding = Finding {
            class: Class::Equal,
            key: item.key.clone(),
            title: item.title.clone(),
            node: item.node,
            bytes: item.bytes,
            detail: String::new(),
            not_compared: BTreeSet::new(),
            stays: false,
            retention: None,
        };
        let message = item.message.as_deref().unwrap_or("no reason recorded");
        match item.state.as_str() {
            "done" => {}
            "declined" => {
                finding.class = Class::Excluded;
                finding.detail = message.to_owned();
                return Ok(finding);
            }
            "held" | "conflict" | "parked" | "quarantined" => {
                finding.class = Class::Held;
                finding.detail = format!("{}: {message}", item.state);
                return Ok(finding);
            }
            "failed" => {
                finding.class = Class::Missing;
                finding.detail = format!("not filed: {message}");
                return Ok(finding);
            }
            state => {
                finding.class = Class::Missing;
                finding.detail = format!("not filed yet: {state}");
                return Ok(finding);
            }
        }
        if let Some((class, detail)) = self.stored(item).await? {
            (finding.class, finding.detail) = (class, detail);
            return Ok(finding);
        }
        let (compared, kept) = self.record(item).await?;
        let Compared {
            differences,
            unsupported,
            stays,
        } = compared;
        finding.stays = stays;
        finding.not_compared = unsupported;
        if let Some((node, kept)) = item.node.zip(kept.clone()) {
            self.of.remembering.add(node, kept).await?;
        }
        finding.retention = kept;
        if !differences.is_empty() {
            let node = item.node.unwrap_or(NodeId(0));
            finding.class = Class::Differs;
            finding.detail = format!("node {node}: {}", differences.join("; "));
            return Ok(finding);
        }
        let changed = match now {
            Source::AsFiled => None,
            Source::Gone => Some("the source no longer has this version".to_owned()),
            Source::Now(now) => match &now.refused {
                Some((.., why)) if now.files.is_empty() && now.fingerprint != item.fingerprint => {
                    Some(format!(
                        "the source no longer has it as it was filed: {why}"
                    ))
                }
                _ if self.read(|ledger| ledger.is_content_of(item, now))? => None,
                _ => Some("the source's size, checksum or date is not what was filed".to_owned()),
            },
        };
        if let Some(changed) = changed {
            // What longhaul itself took away after it was filed is missing by intention.
            let asset = intake::asset_of(&item.key);
            match self.read(|ledger| retire::retired(ledger, asset))? {
                Some(retired) => finding.detail = retired.to_string(),
                None => {
                    finding.class = Class::ChangedSince;
                    finding.detail = changed;
                }
            }
        }
        Ok(finding)
    }

    /// What of an item's record is not as it was filed: place, values, rights, marks, papers, and
    /// place and rights of the sidecars beside it. And what it is kept under now.
    async fn record(&self, item: &Item) -> Result<(Compared, Option<Kept>), Error> {
        let (Some(node), Some(record)) = (item.node, &item.record) else {
            return Ok((Compared::default(), None));
        };
        // A later version of the same document has made another record of it since.
        let is_latest = item.version.map(|version| version.0) >= self.highest(node);
        if !is_latest {
            return Ok((Compared::default(), None));
        }
        let unread = |error| Failure::stop(format!("a record cannot be read: {error}"));
        let record: Record = serde_json::from_str(record).map_err(unread)?;
        let filed = record.filed(&item.name, item.parent);
        let filing: Filing = serde_json::from_value(record.filing.clone()).map_err(unread)?;
        let server = &self.of.systems.content_server;
        let companions = self.companions(item, node)?;
        let mut compared = server
            .compare_filing(node, &companions, filed, &filing)
            .await?;
        if item.kind != "document" && filing.rights.is_some() {
            self.inside(item, &filing, &mut compared).await?;
        }
        let kept = match filing.marks.records_class {
            Some(_) => server.kept_under(node).await?,
            None => None,
        };
        Ok((compared, kept))
    }

    /// Compares the rights of what lies inside a folder.
    async fn inside(
        &self,
        item: &Item,
        filing: &Filing,
        compared: &mut Compared,
    ) -> Result<(), Error> {
        let server = &self.of.systems.content_server;
        let (mut from, mut more) = (0, 0);
        loop {
            let files = self.read(|ledger| ledger.files(item.id, from, PAGE))?;
            let Some(last) = files.last() else { break };
            from = last.seq + 1;
            let nodes: Vec<NodeId> = files.iter().filter_map(|file| file.node).collect();
            let found = server.compare_inside(&nodes, filing).await?;
            compared.unsupported.extend(found.unsupported);
            for difference in found.differences {
                match compared.differences.len() < TOLD {
                    true => compared.differences.push(difference),
                    false => more += 1,
                }
            }
        }
        if more > 0 {
            compared
                .differences
                .push(format!("and {more} more inside it"));
        }
        Ok(())
    }

    /// The documents beside an item's own; what lies inside a folder is looked at by itself.
    fn companions(&self, item: &Item, node: NodeId) -> Result<Vec<NodeId>, Error> {
        if item.kind != "document" {
            return Ok(Vec::new());
        }
        // A document has few files: itself and its sidecars.
        let files = self.read(|ledger| ledger.files(item.id, 0, PAGE))?;
        let nodes = files.into_iter().filter_map(|file| file.node);
        Ok(nodes.filter(|other| *other != node).collect())
    }

    /// What is wrong with what is stored of an item, the worst first.
    async fn stored(&self, item: &Item) -> Result<Option<(Class, String)>, Error> {
        let mut worst: Option<(Class, String)> = None;
        let mut from = 0;
        loop {
            let files = self.read(|ledger| ledger.files(item.id, from, PAGE))?;
            let Some(last) = files.last() else {
                return Ok(worst);
            };
            from = last.seq + 1;
            for file in &files {
                if let Some((class, detail)) = self.file(file).await? {
                    let weight = |class| match class {
                        Class::Missing => 3,
                        Class::Differs => 2,
                        _ => 1,
                    };
                    let detail = format!("{}: {detail}", file.name);
                    if worst
                        .as_ref()
                        .is_none_or(|(known, _)| weight(class) > weight(*known))
                    {
                        worst = Some((class, detail));
                    }
                }
            }
        }
    }

    async fn file(&self, file: &File) -> Result<Option<(Class, String)>, Error> {
        let digest = file.sha256.as_deref().and_then(|d| d.try_into().ok());
        let (Some(node), Some(version), Some(digest)) =
            (file.node, file.version, digest.map(Sha256Digest))
        else {
            let detail = "the record has no node, version or digest".into();
            return Ok(Some((Class::Differs, detail)));
        };
        let gone = || {
            let detail = format!("node {node} version {version} is gone or may not be seen");
            Some((Class::Missing, detail))
        };
        let destination = self.of.systems.destination.as_ref();
        let versions = match destination.versions(node).await {
            Ok(versions) => versions,
            Err(failure) if hidden(&failure) => return Ok(gone()),
            Err(failure) => return Err(failure.into()),
        };
        let Some(stored) = versions.iter().find(|stored| stored.number == version) else {
            return Ok(gone());
        };
        let differs = |detail: String| Ok(Some((Class::Differs, detail)));
        if stored.size != file.size {
            return differs(format!(
                "node {node} version {version} holds {} bytes instead of {}",
                stored.size, file.size
            ));
        }
        if self.of.read {
            let (size, mut sink) = (file.size, |_: &[u8]| Ok(()));
            let pace = self.of.pace;
            let read = read_back(destination, pace, node, version, size, ATTEMPTS, &mut sink);
            match read.await {
                Ok(found) if found == digest => {}
                Ok(found) => {
                    return differs(format!(
                        "node {node} version {version} hashes to {found}, the record says {digest}"
                    ));
                }
                Err(failure) if failure.class == FailureClass::ItemIsWrong => {
                    return differs(failure.message);
                }
                Err(failure) => return Err(failure.into()),
            }
        }
        // Said once of each document: with its newest version of ours.
        let later: Vec<VersionNumber> = match self.highest(node) {
            Some(highest) if highest == version.0 => versions
                .iter()
                .map(|stored| stored.number)
                .filter(|number| number.0 > highest)
                .collect(),
            _ => Vec::new(),
        };
        Ok(later.first().map(|number| {
            let detail =
                format!("node {node} has version {number}, which the ledger does not know");
            (Class::Extra, detail)
        }))
    }

    /// Documents below the target folder that the ledger does not know.
    async fn extras(&self, each: &mut Each<'_>) -> Result<(), Error> {
        let destination = Arc::clone(&self.of.systems.destination);
        let mut open = vec![(self.of.systems.target, 1)];
        let mut walked = HashSet::new();
        while let Some((folder, page)) = open.pop() {
            if page == 1 && !walked.insert(folder) {
                continue;
            }
            let (children, more) = match destination.children(folder, page).await {
                Ok(found) => found,
                Err(failure) if hidden(&failure) && page == 1 => continue,
                Err(failure) => return Err(failure.into()),
            };
            if more {
                open.push((folder, page + 1));
            }
            for node in children {
                if node.container {
                    open.push((node.id, 1));
                } else if node.is_document() && self.highest(node.id).is_none() {
                    each(Finding {
                        class: Class::Extra,
                        key: String::new(),
                        title: node.name,
                        node: Some(node.id),
                        bytes: node.size.unwrap_or(0),
                        detail: format!(
                            "a document in folder {folder} that the ledger does not know"
                        ),
                        not_compared: BTreeSet::new(),
                        stays: false,
                        retention: None,
                    });
                }
            }
        }
        Ok(())
    }
}

fn hidden(failure: &Failure) -> bool {
    matches!(failure.reason, Reason::Inaccessible | Reason::NotFound)
}

/// What a sample without differences says of all: the share that may differ, at 95 %.
pub fn at_most(looked_at: u64, all: u64) -> f64 {
    if looked_at >= all {
        return 0.0;
    }
    (3.0 / looked_at.max(1) as f64).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_says_no_more_than_the_rule_of_three() {
        assert!((at_most(300, 10_000) - 0.01).abs() < 1e-9);
        assert!((at_most(1, 10_000) - 1.0).abs() < 1e-9, "one says nothing");
        assert!(at_most(50, 50).abs() < 1e-9, "all were looked at");
    }
}
