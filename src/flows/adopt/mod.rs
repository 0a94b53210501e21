//! What another tool loaded into Content Server: documents are matched to assets and marked, so that
//! a migration knows them and does not file them twice.
//!
//! A pair of an asset and a document comes from a list, from an attribute of the document, or from
//! the master's name in a folder. It is taken only when nothing is open: one file, one version to
//! match, the same size, and the stored bytes, read back, have the digest of the source's (the MD5
//! that iconik quotes, or the source read as well). Then the version's description gets the marker
//! and the digest before whatever people wrote in it, and the ledger knows the version as one that
//! was found. Whatever is not clear stays as it is and waits for a person.
//!
//! Killed anywhere it can be run again: the description says what was done, and a pair that is
//! marked is only recorded.
//!
//! | File | Holds |
//! |---|---|
//! | `mod.rs` | what becomes of a pair |
//! | `pairs.rs` | pairs from a list and from an attribute |

mod pairs;

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures::stream::{BoxStream, StreamExt as _, TryStreamExt as _};
use md5::{Digest as _, Md5};
use serde_json::json;

use super::intake::{self, Intake};
use super::{Error, Systems, Wanted};
use crate::iconik::{Master, MasterFile};
use crate::ledger::{Adopted, Change, Entry, Fact, Ledger, NewItem, Reader};
use crate::pace::Pace;
use crate::transfer::{HashState, Source as _, Version, read_back};
use crate::types::{
    AssetId, ByteCount, ByteRange, Failure, FailureClass, MIB, Md5Digest, NodeId, Reason,
    Sha256Digest, VersionNote, display_bytes,
};

pub use pairs::{by_attribute, listed};

/// The flow's name in the ledger.
pub const FLOW: &str = "adopt";
const FIELD: &str = "unclear";
/// Pairs looked at at once.
const AT_ONCE: usize = 4;
/// Disturbances that one asset or body waits out.
const WAITS: u32 = 6;
/// Bytes of the source asked for at once.
const RANGE: ByteCount = 64 * MIB;
/// Characters that a description holds.
const DESCRIPTION: usize = 255;

/// An asset and the document that may hold its master.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The asset.
    pub asset: AssetId,
    /// The document; without, the one with the master's name.
    pub node: Option<NodeId>,
}

/// What became of a pair.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Matched {
    /// The asset.
    pub asset: AssetId,
    /// Its title; the id when it cannot be read.
    pub title: String,
    /// The document.
    pub node: Option<NodeId>,
    /// `adopted`, `would-compare` (when nothing is to be written), `known` already, `absent`, or
    /// `unclear`.
    pub outcome: &'static str,
    /// For people.
    pub detail: String,
}

/// What matching needs.
pub struct Matching {
    /// Both systems.
    pub systems: Systems,
    /// How masters become items; sidecars are not looked at.
    pub intake: Intake,
    /// The bandwidth.
    pub pace: std::sync::Arc<Pace>,
    /// Where documents are looked for by name.
    pub folder: NodeId,
    /// What earlier runs recorded, when there is a ledger.
    pub reader: Option<Reader>,
    /// Where it is recorded; nothing is written at either end without.
    pub ledger: Option<Ledger>,
}

/// What a look came to before it is said.
enum Verdict {
    Is(&'static str, String),
    /// Nothing can be said of it without a person.
    Unclear(String),
}

impl Matching {
    /// Hands what becomes of each pair to `each`, in order.
    ///
    /// # Errors
    ///
    /// That of a system that stays away, and the ledger's. What concerns one pair makes it unclear.
    pub async fn go(
        &self,
        pairs: BoxStream<'_, Result<Pair, Error>>,
        mut each: impl FnMut(&Matched),
    ) -> Result<(), Error> {
        let in_hand = Mutex::new(HashSet::new());
        let in_hand = &in_hand;
        let mut looks = pairs
            .map(|pair| async move { self.pair(pair?, in_hand).await })
            .buffered(AT_ONCE);
        while let Some(matched) = looks.try_next().await? {
            self.remember(&matched).await?;
            each(&matched);
        }
        Ok(())
    }

    async fn pair(&self, pair: Pair, in_hand: &Mutex<HashSet<NodeId>>) -> Result<Matched, Error> {
        let wanted = Wanted::from(pair.asset.clone());
        let intake = Intake {
            // How many there are decides whether it is clear which one a document holds.
            all_versions: true,
            sidecar: false,
            publish: None,
            rights: None,
            ..self.intake.clone()
        };
        let looked = intake::look_patiently(&self.systems, &intake, &wanted, WAITS).await?;
        let mut matched = Matched {
            asset: pair.asset,
            title: looked.title,
            node: pair.node,
            outcome: "unclear",
            detail: String::new(),
        };
        let mut items = looked.items;
        let count = items.len();
        let newest = items.pop();
        let hindrance = match (&looked.left_out, &newest) {
            (Some((_, why)), _) => Some(why.clone()),
            (None, None | Some((NewItem { refused: None, .. }, None))) => {
                Some("it has no master".to_owned())
            }
            (None, Some((item, _))) if item.refused.is_some() => {
                item.refused.as_ref().map(|refused| refused.2.clone())
            }
            (None, Some((item, Some(master)))) if item.kind != "document" || master.many => {
                Some("its master is a set of files, which are not matched".to_owned())
            }
            (None, Some(_)) if count > 1 && self.intake.all_versions => Some(format!(
                "it has {count} versions, and which one the document holds is not known; iconik.versions = \"current\" matches the newest alone"
            )),
            (None, Some(_)) => None,
        };
        let looked = async {
            match (hindrance, newest) {
                (Some(why), newest) => {
                    // Without a document there is nothing to be unclear about.
                    if matched.node.is_none() {
                        matched.node = match &newest {
                            Some((item, _)) => self.named(item).await?,
                            None => None,
                        };
                    }
                    Ok(match matched.node {
                        Some(_) => Verdict::Unclear(why),
                        None => Verdict::Is("absent", why),
                    })
                }
                (None, Some((item, Some(master)))) => {
                    self.matched(&item, &master, &mut matched.node, in_hand)
                        .await
                }
                (None, _) => Ok(Verdict::Unclear("it has no master".to_owned())),
            }
        };
        let verdict = match looked.await {
            Err(Error::Engine(failure))
                if failure.class == FailureClass::ItemIsWrong || is_hidden(&failure) =>
            {
                Verdict::Unclear(failure.message)
            }
            other => other?,
        };
        (matched.outcome, matched.detail) = match verdict {
            Verdict::Is(word, detail) => (word, detail),
            Verdict::Unclear(detail) => ("unclear", detail),
        };
        Ok(matched)
    }

    async fn matched(
        &self,
        item: &NewItem,
        master: &Master,
        node: &mut Option<NodeId>,
        in_hand: &Mutex<HashSet<NodeId>>,
    ) -> Result<Verdict, Error> {
        let unclear = |text: String| Ok(Verdict::Unclear(text));
        let (Some(file), Some(source)) = (item.files.first(), master.files.first()) else {
            return unclear("it has no file".to_owned());
        };
        let found = match *node {
            Some(node) => Some(node),
            None => self.named(item).await?,
        };
        let Some(found) = found else {
            let text = format!("folder {} has no {:?}", self.folder, item.name);
            return Ok(Verdict::Is("absent", text));
        };
        *node = Some(found);
        if let Some(verdict) = self.known(item, &file.marker, found)? {
            return Ok(verdict);
        }
        let held = || in_hand.lock().unwrap_or_else(PoisonError::into_inner);
        if !held().insert(found) {
            return unclear("another asset is matched with the same document".to_owned());
        }
        let verdict = self.compare(item, master, source, found).await;
        held().remove(&found);
        verdict
    }

    /// What has the name that an item would be filed under.
    async fn named(&self, item: &NewItem) -> Result<Option<NodeId>, Error> {
        let there = self.systems.destination.child(self.folder, &item.name);
        Ok(there.await?.map(|there| there.id))
    }

    /// What the ledger says of the asset's version.
    fn known(&self, item: &NewItem, marker: &str, node: NodeId) -> Result<Option<Verdict>, Error> {
        let Some(reader) = &self.reader else {
            return Ok(None);
        };
        if let Some(known) = reader.item_by_key(&item.key)? {
            match known.node {
                Some(own) if own == node => {
                    let text = format!("run {} knows it", known.run);
                    return Ok(Some(Verdict::Is("known", text)));
                }
                Some(own) => {
                    return Ok(Some(Verdict::Unclear(format!(
                        "run {} filed it as node {own}",
                        known.run
                    ))));
                }
                None => {}
            }
            let begun = reader.files(known.id, 0, 1)?;
            if known.state == "active" || begun.iter().any(|file| file.intent.is_some()) {
                return Ok(Some(Verdict::Unclear(format!(
                    "run {} is filing it: `longhaul resume` first",
                    known.run
                ))));
            }
        }
        let nodes = reader.adopted(&[marker.to_owned()])?;
        if nodes.contains(&node) {
            let text = "it was adopted before".to_owned();
            return Ok(Some(Verdict::Is("known", text)));
        }
        Ok(nodes
            .first()
            .map(|other| Verdict::Unclear(format!("node {other} has a version with its marker"))))
    }

    async fn compare(
        &self,
        item: &NewItem,
        master: &Master,
        source: &MasterFile,
        node: NodeId,
    ) -> Result<Verdict, Error> {
        let unclear = |text: String| Ok(Verdict::Unclear(text));
        let Some(file) = item.files.first() else {
            return unclear("it has no file".to_owned());
        };
        let destination = &self.systems.destination;
        if !destination.node(node).await?.is_document() {
            return unclear(format!("node {node} is no document"));
        }
        let versions = destination.versions(node).await?;
        let Some(last) = versions.last() else {
            return unclear(format!("node {node} has no version"));
        };
        for version in &versions {
            let Some(note) = VersionNote::parse(&version.description) else {
                continue;
            };
            if note.marker.to_string() != file.marker {
                return unclear(format!(
                    "version {} of node {node} carries the marker of another master",
                    version.number
                ));
            }
            if version.number == last.number
                && version.size == file.size
                && let Some(sha256) = note.sha256
            {
                if self.ledger.is_some() {
                    self.record(item, node, version, sha256).await?;
                }
                return Ok(Verdict::Is("known", "it carries its marker".to_owned()));
            }
        }
        if last.size != file.size {
            return unclear(format!(
                "version {} of node {node} has {} bytes, the master {}",
                last.number, last.size, file.size
            ));
        }
        if file.size == 0 {
            return unclear("an empty file says nothing of whose it is".to_owned());
        }
        if self.ledger.is_none() {
            let how = match source.md5 {
                Some(_) => "with the MD5 that iconik quotes",
                None => "with the source, which would be read as well",
            };
            let text = format!(
                "{} would be read back and compared {how}",
                display_bytes(file.size)
            );
            return Ok(Verdict::Is("would-compare", text));
        }
        let mut md5 = Md5::new();
        let mut sink = |bytes: &[u8]| {
            if source.md5.is_some() {
                md5.update(bytes);
            }
            Ok(())
        };
        let stored = read_back(
            &**destination,
            &self.pace,
            node,
            last.number,
            file.size,
            WAITS,
            &mut sink,
        )
        .await?;
        let (same, how) = match source.md5 {
            Some(quoted) => (
                Md5Digest(md5.finalize().into()) == quoted,
                "the MD5 that iconik quotes",
            ),
            None => (
                self.digest_of_source(master, source).await? == stored,
                "the digest of the source",
            ),
        };
        if !same {
            return unclear(format!(
                "version {} of node {node}, read back, has not {how}",
                last.number
            ));
        }
        let note = format!("lh1 {} sha256={stored}", file.marker);
        let rest = last.description.trim();
        // A note of ours without a digest is completed; what people wrote stays behind it.
        let rest = match VersionNote::parse(rest) {
            Some(_) => "",
            None => rest,
        };
        let text = format!("{note} {rest}");
        let text = text.trim_end();
        if text.chars().count() > DESCRIPTION {
            return unclear(format!(
                "the description of version {} of node {node} has no room for the marker",
                last.number
            ));
        }
        destination.describe(node, last.number, text).await?;
        let written = destination.versions(node).await?;
        let written = written.iter().find(|version| version.number == last.number);
        let says = written.and_then(|version| VersionNote::parse(&version.description));
        if says.is_none_or(|says| says.sha256 != Some(stored)) {
            return unclear(format!("node {node} did not keep the description"));
        }
        crate::telemetry::crash_point("adopted-described");
        self.record(item, node, last, stored).await?;
        let text = format!("version {} of node {node} has {how}", last.number);
        Ok(Verdict::Is("adopted", text))
    }

    async fn record(
        &self,
        item: &NewItem,
        node: NodeId,
        version: &Version,
        sha256: Sha256Digest,
    ) -> Result<(), Error> {
        let (Some(ledger), Some(file)) = (&self.ledger, item.files.first()) else {
            return Ok(());
        };
        let found = Adopted {
            marker: file.marker.clone(),
            node,
            version: version.number,
            size: version.size,
            sha256: Some(sha256.0.to_vec()),
        };
        ledger.adopt(vec![found]).await?;
        let data = json!({"key": item.key, "node": node, "version": version.number, "sha256": sha256, "size": version.size});
        let entry = Entry {
            event: "adopted-loaded".into(),
            data: data.to_string(),
            ..Entry::default()
        };
        Ok(ledger.apply(Change::new().journal(entry)).await?)
    }

    /// Reads the source and hashes it.
    async fn digest_of_source(
        &self,
        master: &Master,
        file: &MasterFile,
    ) -> Result<Sha256Digest, Failure> {
        let reader = self.systems.iconik.reader();
        let source = master.source_file(file);
        let opened = reader.open(&source).await?;
        let mut state = HashState::new(false);
        let mut tries = 0;
        while state.position() < file.size {
            let from = state.position();
            let to = match opened.ranges {
                true => from.saturating_add(RANGE).min(file.size),
                false => file.size,
            };
            let read = async {
                let range = ByteRange::new(from, to);
                let mut body = reader.read(&source, range, &opened.validator).await?;
                while let Some(bytes) = body.try_next().await? {
                    state.update(&bytes);
                    self.pace.take(bytes.len() as u64).await;
                }
                Ok::<(), Failure>(())
            };
            let Err(failure) = read.await else {
                tries = 0;
                continue;
            };
            let again = matches!(
                failure.class,
                FailureClass::RetryNow | FailureClass::Resign | FailureClass::SignInAgain
            );
            if !again || tries >= WAITS {
                return Err(failure);
            }
            if failure.class == FailureClass::Resign {
                reader.renew(&source).await?;
            }
            if !opened.ranges {
                state = HashState::new(false);
            }
            tries += 1;
            tokio::time::sleep(Duration::from_millis(100 << tries)).await;
        }
        Ok(state.sha256())
    }

    /// What is unclear waits for a person in the ledger until it is clear.
    async fn remember(&self, matched: &Matched) -> Result<(), Error> {
        let Some(ledger) = &self.ledger else {
            return Ok(());
        };
        let open = matched.outcome == "unclear";
        let data = json!({"node": matched.node, "title": matched.title, "detail": matched.detail});
        let data = data.to_string();
        let known = ledger.remembered(FLOW, &matched.asset.0).await?;
        let known = known.iter().find(|fact| fact.field == FIELD);
        let is_new = match known {
            Some(fact) => fact.open != open || (open && fact.data != data),
            None => open,
        };
        if !is_new {
            return Ok(());
        }
        let fact = Fact {
            flow: FLOW.into(),
            object: matched.asset.0.clone(),
            field: FIELD.into(),
            data,
            open,
            at: jiff::Timestamp::now().as_millisecond(),
        };
        Ok(ledger.apply(Change::new().fact(fact)).await?)
    }
}

fn is_hidden(failure: &Failure) -> bool {
    matches!(failure.reason, Reason::Inaccessible | Reason::NotFound)
}
