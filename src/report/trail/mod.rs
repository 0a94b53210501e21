//! The audit trail of assets: what is filed of them, who approved which content and when, and what
//! happened to it since. One walk over the ledger's items and one over its journal, which checks
//! the chain of digests on the way; memory holds a line at a time and the ids of the assets that
//! were asked for.

//!
//! | File | Holds |
//! |---|---|
//! | `mod.rs` | both walks |
//! | `event` | what a line of the journal says, for people and in PREMIS's words |
//! | `pages` | the forms that are written |

mod event;
mod pages;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use serde_json::Value;

use self::pages::{Filed, Pages};
use super::Error;
use crate::ledger::{GENESIS, Item, Line, Reader};
use crate::telemetry::scrub;
use crate::types::ItemId;

/// Rows read at once.
const PAGE: usize = 500;
/// Items whose asset is kept in mind.
const KEPT: usize = 4096;

/// How a trail is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// For people.
    Html,
    /// Events, a row each.
    Csv,
    /// One JSON document.
    Json,
    /// PREMIS 3.0: the files, and the events that its vocabulary has a word for.
    Premis,
}

/// What a trail came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trail {
    /// Filed files that it names.
    pub files: u64,
    /// Assets among them.
    pub assets: u64,
    /// Events.
    pub lines: u64,
    /// Whether every line of the journal follows from the one before it.
    pub intact: bool,
    /// Digest of the journal's last line; none when the chain is broken.
    pub head: Option<String>,
}

/// Writes the trail of these assets, or of all.
///
/// # Errors
///
/// The ledger's and the writer's.
pub fn write(
    ledger: &Reader,
    assets: Option<&BTreeSet<String>>,
    form: Form,
    to: &mut dyn Write,
) -> Result<Trail, Error> {
    let mut trail = Trail::default();
    let mut pages = Pages::begin(form, to)?;
    let mut known = Known {
        ledger,
        assets: BTreeMap::new(),
        contents: BTreeMap::new(),
    };
    filed(
        ledger,
        assets,
        &mut |file| {
            trail.files += 1;
            pages.file(to, file)
        },
        &mut trail.assets,
    )?;
    pages.middle(to)?;
    let mut previous = GENESIS.to_owned();
    let (mut after, mut intact) = (0, true);
    loop {
        let lines = ledger.journal(None, None, after, PAGE)?;
        for line in &lines {
            intact &= line.seq == after + 1 && line.chained_to(&previous) == line.digest;
            after = line.seq;
            previous.clone_from(&line.digest);
            let data: Value = serde_json::from_str(&line.data).unwrap_or_default();
            let asset = known.asset_of(line, &data)?;
            let wanted = match assets {
                None => true,
                Some(assets) => asset.as_ref().is_some_and(|asset| assets.contains(asset)),
            };
            if wanted {
                trail.lines += 1;
                let content = known.content_of(line)?;
                let event = event::happened(line, data, asset.unwrap_or_default(), content);
                pages.event(to, &event)?;
            }
        }
        if lines.len() < PAGE {
            break;
        }
    }
    trail.intact = intact;
    trail.head = intact.then_some(previous);
    pages.end(to, &trail)?;
    Ok(trail)
}

/// The assets of items, by a look-up each that is kept for a while.
struct Known<'a> {
    ledger: &'a Reader,
    assets: BTreeMap<i64, Option<String>>,
    contents: BTreeMap<i64, String>,
}

impl Known<'_> {
    fn asset_of(&mut self, line: &Line, data: &Value) -> Result<Option<String>, Error> {
        if let Some(asset) = data["asset"].as_str() {
            return Ok(Some(asset.to_owned()));
        }
        let Some(ItemId(id)) = line.item else {
            return Ok(None);
        };
        if let Some(asset) = self.assets.get(&id) {
            return Ok(asset.clone());
        }
        let item = self.ledger.item(ItemId(id))?;
        let asset = item.as_ref().and_then(asset_of);
        if self.assets.len() >= KEPT {
            self.assets.clear();
        }
        self.assets.insert(id, asset.clone());
        Ok(asset)
    }

    /// The digest of what is filed of a line's item; empty when nothing is.
    fn content_of(&mut self, line: &Line) -> Result<String, Error> {
        let Some(ItemId(id)) = line.item.filter(|_| event::is_decision(&line.event)) else {
            return Ok(String::new());
        };
        if let Some(content) = self.contents.get(&id) {
            return Ok(content.clone());
        }
        let files = self.ledger.files(ItemId(id), 0, 1)?;
        let digest = files.first().and_then(|file| file.sha256.as_ref());
        let content = digest.map(hex::encode).unwrap_or_default();
        if self.contents.len() >= KEPT {
            self.contents.clear();
        }
        self.contents.insert(id, content.clone());
        Ok(content)
    }
}

/// The asset that an item is of: a master's source names it, a review record's key does.
fn asset_of(item: &Item) -> Option<String> {
    let source: Value = serde_json::from_str(&item.source).unwrap_or_default();
    if let Some(asset) = source["asset"].as_str() {
        return Some(asset.to_owned());
    }
    let rest = item.key.strip_prefix("exchange:")?;
    Some(rest.rsplit_once('/')?.0.to_owned())
}

fn filed(
    ledger: &Reader,
    assets: Option<&BTreeSet<String>>,
    each: &mut dyn FnMut(&Filed) -> Result<(), Error>,
    count: &mut u64,
) -> Result<(), Error> {
    let mut after = String::new();
    let mut last = String::new();
    loop {
        let items = ledger.filed(&after, PAGE)?;
        for item in &items {
            let Some(asset) = asset_of(item) else {
                continue;
            };
            if assets.is_some_and(|assets| !assets.contains(&asset)) {
                continue;
            }
            // The items of an asset follow each other, those of its record aside.
            if !item.key.starts_with("exchange:") && asset != last {
                *count += 1;
                last.clone_from(&asset);
            }
            let mut from = 0;
            loop {
                let files = ledger.files(item.id, from, PAGE)?;
                for file in &files {
                    each(&Filed {
                        asset: asset.clone(),
                        title: scrub(&item.title).into_owned(),
                        name: scrub(&file.name).into_owned(),
                        sha256: file.sha256.as_ref().map(hex::encode),
                        bytes: file.size,
                        mime: file.mime.clone(),
                        node: file.node.or(item.node).map(|node| node.0),
                        version: file.version.or(item.version).map(|version| version.0),
                        proof: item.proof.clone(),
                    })?;
                }
                from += files.len() as u64;
                if files.len() < PAGE {
                    break;
                }
            }
        }
        match items.last() {
            Some(item) if items.len() == PAGE => after.clone_from(&item.key),
            _ => return Ok(()),
        }
    }
}
