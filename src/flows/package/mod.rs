//! The end-of-campaign package: a bag in Content Server that can be checked without longhaul.
//!
//! The masters stay where they are filed; the package is a folder of papers about them, with
//! `fetch.txt` saying where each is. Everything the papers say is kept beside the ledger's rows as
//! [`Kept`], recorded before the first paper is written: a run that is killed makes the same
//! papers again, byte for byte, and one that finds nothing new writes nothing at all. Each paper
//! is an item with a marker and goes through the engine like a master; the list that closes the
//! bag goes last, in a round of its own.
//!
//! A path of the bag never comes to mean other content, because a fixity history cannot say so:
//! new content of a file gets a path of its own, and the old one stays, as its version does.
//!
//! | File | Holds |
//! |---|---|
//! | `facts` | what is kept of a package |
//! | `gather` | where that comes from |
//! | `filed` | the ledger's files as payload |
//! | `paths` | what it is called in the bag |
//! | `release` | whether it is final, and who released it |
//! | `lacking` | why nothing of an asset is there |
//! | `sources` | what the edits use |
//! | `foresee` | what would be missing, before anything is filed |
//! | `proving` | rights, and the papers that prove them |
//! | `papers` | the documents made of it |
//! | `found` | a package that another ledger left |
//! | `place` | the folder, compound document or workspace they go to |
//! | `mark` | telling the collection that it is packed |
//! | `check` | looking at a package again |
//! | [`retire`] | archiving or removing the originals in iconik |

mod check;
mod facts;
mod filed;
mod foresee;
mod found;
mod gather;
mod lacking;
mod mark;
mod papers;
mod paths;
mod place;
mod proving;
mod release;
pub mod retire;
mod sources;

pub use check::{Checked, Look, check};
pub use facts::{
    Comment, Facts, FiledPaper, Generation, Happened, Kept, Licence, Part, Payload, Proof, key_of,
};
pub use foresee::{Foreseen, Foresight};
pub use mark::{Mark, Told};
pub use papers::{Paper, papers};
pub use place::{Container, Place};
pub use release::{Finality, Only};
pub use retire::Originals;
pub use sources::{Sources, outside};

use std::collections::BTreeMap;

use serde_json::json;

use super::own::Own;
use super::{Error, Systems};
use crate::ledger::{Chain, Change, Entry, Item, Ledger, NewItem};
use crate::pace::Pace;
use crate::sidecar::mhl;
use crate::transfer::{Engine, Outcome};
use crate::types::{
    ByteCount, CollectionId, Failure, FailureClass, Marker, MarkerFields, NodeId, ProofLevel,
    Reason, Role, RunId, VersionNumber,
};

/// What packages are made with.
#[derive(Clone, Debug, Default)]
pub struct Order {
    /// The collections, a package each.
    pub collections: Vec<CollectionId>,
    /// Address of Content Server, up to and including the program.
    pub address: String,
    /// Whose campaigns they are.
    pub organization: Option<String>,
    /// Where packages go.
    pub place: Place,
    /// The most files that one may list: its papers are made in memory.
    pub most_files: usize,
    /// What a collection is told once its package is complete.
    pub mark: Option<Mark>,
    /// What becomes of assets outside the campaign that its edits use.
    pub sources: Sources,
    /// Which masters it takes.
    pub finality: Finality,
}

impl Order {
    /// A package of these facts, as the one `before` goes on.
    fn stamped(&self, systems: &Systems, facts: Facts, before: &Kept) -> Kept {
        let mut now = Kept {
            facts,
            organization: self.organization.clone(),
            address: self.address.clone(),
            ..before.clone()
        };
        now.fingerprint = papers::fingerprint(&systems.instance, &now);
        now
    }
}

/// What a run works with.
#[derive(Clone, Copy)]
pub struct Bench<'a> {
    /// Both systems.
    pub systems: &'a Systems,
    /// The ledger.
    pub ledger: &'a Ledger,
    /// The engine.
    pub engine: &'a Engine,
    /// The pace.
    pub pace: &'a Pace,
    /// The run.
    pub run: RunId,
    /// Where packages go.
    pub place: &'a Place,
}

/// A package as a run left it.
#[derive(Clone, Debug)]
pub struct Packed {
    /// The collection.
    pub collection: CollectionId,
    /// Its title.
    pub title: String,
    /// The folder in Content Server; none while there is nothing to pack.
    pub folder: Option<NodeId>,
    /// Files in it, papers of the bag's top aside.
    pub files: u64,
    /// Their bytes.
    pub bytes: ByteCount,
    /// What is missing.
    pub gaps: u64,
    /// What is left out and no gap.
    pub left_out: u64,
    /// Papers written by this run.
    pub written: u64,
    /// Whether all papers are filed.
    pub complete: bool,
    /// Whether the collection was told, when it is to be.
    pub told: Option<Told>,
}

/// What is kept of a collection's package; nothing when it has none.
///
/// # Errors
///
/// The ledger's.
pub async fn kept(ledger: &Ledger, collection: &CollectionId) -> Result<Option<Kept>, Error> {
    let text = ledger.meta(&key_of(collection)).await?;
    text.map(|text| read(&text)).transpose()
}

/// Reads what is kept of a package.
///
/// # Errors
///
/// When another version of longhaul wrote it.
pub fn read(text: &str) -> Result<Kept, Error> {
    serde_json::from_str(text).map_err(|error| {
        Failure::stop(format!(
            "what the ledger keeps of a package cannot be read: {error}"
        ))
        .into()
    })
}

/// Makes or renews the package of every collection of the order.
///
/// # Errors
///
/// Those of both systems and the ledger; what was recorded stands, and a resume goes on.
pub async fn pack(bench: Bench<'_>, order: &Order) -> Result<(Outcome, Vec<Packed>), Error> {
    let mut all = Vec::new();
    for collection in &order.collections {
        let mut before = kept(bench.ledger, collection).await?.unwrap_or_default();
        let facts = gather::gather(bench, order, collection, &before.facts).await?;
        if facts.payload.is_empty() {
            all.push(Packed {
                collection: collection.clone(),
                title: facts.title.clone(),
                folder: None,
                files: 0,
                bytes: 0,
                gaps: facts.gaps() as u64,
                left_out: facts.left_out.len() as u64,
                written: 0,
                complete: false,
                told: None,
            });
            continue;
        }
        let mut now = order.stamped(bench.systems, facts, &before);
        if now.fingerprint != before.fingerprint
            && let Some(there) =
                found::unknown(bench, order, collection, &before, &now.facts.title).await?
        {
            before = there;
            let facts = gather::gather(bench, order, collection, &before.facts).await?;
            now = order.stamped(bench.systems, facts, &before);
        }
        if now.fingerprint != before.fingerprint {
            begin(bench, collection, &mut now).await?;
            history(&mut now);
        }
        let (failed, held) = (now.facts.failed, now.facts.held);
        let (outcome, mut packed) = file(bench, collection, now).await?;
        // A campaign with something failed or waiting is not over.
        if let Some(mark) = order.mark.as_ref().filter(|_| packed.complete)
            && failed + held == 0
            && let Some(folder) = packed.folder
            && let Some(kept) = kept(bench.ledger, collection).await?
        {
            let told = mark.tell(bench.systems, collection, &kept, folder);
            packed.told = Some(told.await?);
        }
        all.push(packed);
        if !matches!(outcome, Outcome::Finished) {
            return Ok((outcome, all));
        }
    }
    Ok((Outcome::Finished, all))
}

/// Stamps new papers.
async fn begin(bench: Bench<'_>, collection: &CollectionId, kept: &mut Kept) -> Result<(), Error> {
    // A name of a manifest is exact to the second.
    let now = jiff::Timestamp::now();
    kept.created = jiff::Timestamp::from_second(now.as_second()).unwrap_or(now);
    kept.run = bench.run.to_string();
    kept.head = match bench.ledger.verify_chain().await? {
        Chain::Whole { digest, .. } => digest,
        Chain::Broken { seq, .. } => format!("broken at line {seq}"),
    };
    kept.complete = false;
    // A run's number is one of its ledger's.
    let id = || format!("urn:longhaul:package:{collection}:{}", uuid::Uuid::new_v4());
    kept.id.get_or_insert_with(id);
    Ok(())
}

/// Adds what the history does not know yet.
fn history(kept: &mut Kept) {
    let known = kept.in_history();
    let fresh: Vec<&Payload> = kept
        .facts
        .payload
        .iter()
        .filter(|file| !known.contains(file.path.as_str()))
        .collect();
    let unmeasured = fresh.iter().filter(|file| file.digests.is_none()).count();
    let hashed = fresh
        .iter()
        .filter_map(|file| {
            Some(mhl::Hashed {
                path: scoped(&file.path).to_owned(),
                size: file.size,
                modified: None,
                digests: file.digests?,
                action: mhl::Action::Original,
                at: file.at,
            })
        })
        .collect();
    let mut comment = format!("run {}", kept.run);
    if unmeasured > 0 {
        comment.push_str(&format!(
            "; {unmeasured} files were not read back and have no digest here, manifest-sha256.txt has theirs"
        ));
    }
    kept.add_generation(hashed, comment, false);
}

/// A path as the history writes it.
fn scoped(path: &str) -> &str {
    path.strip_prefix("data/").unwrap_or(path)
}

/// Files the papers of what is kept, as far as they are not filed yet.
async fn file(
    bench: Bench<'_>,
    collection: &CollectionId,
    mut kept: Kept,
) -> Result<(Outcome, Packed), Error> {
    let facts = &kept.facts;
    let history: Vec<Paper> = papers::history(&kept);
    let mut packed = Packed {
        collection: collection.clone(),
        title: facts.title.clone(),
        folder: kept.folder,
        files: (history.len() + facts.payload.len()) as u64,
        bytes: history
            .iter()
            .map(|paper| paper.content.len() as u64)
            .sum::<u64>()
            + facts.payload.iter().map(|file| file.size).sum::<u64>(),
        gaps: facts.gaps() as u64,
        left_out: facts.left_out.len() as u64,
        written: 0,
        complete: kept.complete,
        told: None,
    };
    if kept.complete {
        return Ok((Outcome::Finished, packed));
    }
    // Before the first effect: whoever goes on after a kill makes the same papers.
    save(bench.ledger, collection, &kept).await?;
    let (folders, container) =
        place::Folders::of(bench.systems, bench.place, collection, &kept).await?;
    kept.container = container;
    kept.folder = Some(folders.top());
    packed.folder = kept.folder;
    save(bench.ledger, collection, &kept).await?;
    // The history first: the others say where it is.
    let filed = match round(bench, collection, &folders, &history, &mut packed).await? {
        Ok(filed) => filed,
        Err(outcome) => return Ok((outcome, packed)),
    };
    kept.filed = filed;
    save(bench.ledger, collection, &kept).await?;
    let papers = papers(&bench.systems.instance, &kept);
    let (last, first): (Vec<Paper>, Vec<Paper>) = papers
        .into_iter()
        .skip(history.len())
        .partition(|paper| paper.path == papers::LAST);
    for some in [first, last] {
        match round(bench, collection, &folders, &some, &mut packed).await? {
            Ok(_) => {}
            Err(outcome) => return Ok((outcome, packed)),
        }
    }
    kept.complete = true;
    save(bench.ledger, collection, &kept).await?;
    packed.complete = true;
    let entry = Entry {
        run: Some(bench.run),
        event: "packed".to_owned(),
        data: json!({
            "collection": collection, "title": packed.title, "folder": packed.folder,
            "files": packed.files, "bytes": packed.bytes, "gaps": packed.gaps,
            "papers": packed.written, "generations": kept.generations.len(),
        })
        .to_string(),
        ..Entry::default()
    };
    bench.ledger.apply(Change::new().journal(entry)).await?;
    Ok((Outcome::Finished, packed))
}

/// Files some papers; where each is, or how the engine ended without all of them.
async fn round(
    bench: Bench<'_>,
    collection: &CollectionId,
    folders: &place::Folders,
    papers: &[Paper],
    packed: &mut Packed,
) -> Result<Result<BTreeMap<String, FiledPaper>, Outcome>, Error> {
    let mut items = Vec::new();
    for paper in papers {
        let parent = folders.of_path(&paper.path);
        items.push(item(bench.systems, collection, parent, paper));
    }
    let added = bench.ledger.add_items(bench.run, items.clone()).await?;
    packed.written += added.new + added.reopened + added.taken_over;
    match bench.engine.run(bench.run, || false).await {
        Outcome::Finished => {}
        other => return Ok(Err(other)),
    }
    let mut filed = BTreeMap::new();
    for (item, paper) in items.iter().zip(papers) {
        let done = bench.ledger.item_by_key(&item.key).await?;
        let is_it = |done: &Item| done.state == "done" && done.fingerprint == item.fingerprint;
        let Some(done) = done.filter(is_it) else {
            // Its own state says why; what closes the bag waits for it.
            return Ok(Err(Outcome::Finished));
        };
        let (Some(node), Some(version)) = (done.node, done.version) else {
            return Ok(Err(Outcome::Finished));
        };
        let level = ProofLevel::from_name(&done.proof).unwrap_or(ProofLevel::None);
        filed.insert(
            paper.path.clone(),
            FiledPaper {
                node,
                version,
                level,
            },
        );
    }
    Ok(Ok(filed))
}

async fn save(ledger: &Ledger, collection: &CollectionId, kept: &Kept) -> Result<(), Error> {
    let text = serde_json::to_string(kept).map_err(|error| {
        Failure::new(
            FailureClass::StopEverything,
            Reason::Other,
            format!("a package cannot be recorded: {error}"),
        )
    })?;
    ledger.set_meta(&key_of(collection), &text).await?;
    let mut all = list(ledger.meta(LIST).await?.as_deref());
    if !all.contains(collection) {
        all.push(collection.clone());
        let text = serde_json::to_string(&all).unwrap_or_default();
        ledger.set_meta(LIST, &text).await?;
    }
    Ok(())
}

/// Where the list of packages is kept beside the ledger's rows.
pub const LIST: &str = "packages";

/// The collections that have a package, as the list says.
pub fn list(text: Option<&str>) -> Vec<CollectionId> {
    text.and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default()
}

/// The key of a paper's item.
pub fn item_key(collection: &CollectionId, path: &str) -> String {
    format!("package:{collection}/{path}")
}

fn marker(systems: &Systems, collection: &CollectionId, path: &str) -> String {
    Marker::derive(&MarkerFields {
        instance: &systems.instance,
        domain: &systems.domain,
        asset: collection.as_str(),
        version: "package",
        format: "package",
        file: path,
        role: &Role::Master,
    })
    .to_string()
}

fn item(systems: &Systems, collection: &CollectionId, parent: NodeId, paper: &Paper) -> NewItem {
    let name = paper.path.rsplit('/').next().unwrap_or_default();
    let own = Own {
        key: item_key(collection, &paper.path),
        title: format!("package: {}", paper.path),
        parent,
        name: systems.destination.map_name(name),
        marker: marker(systems, collection, &paper.path),
        mime: paper.mime,
        content: paper.content.clone(),
    };
    own.item()
}

/// Where a paper is filed.
///
/// # Errors
///
/// The ledger's.
pub async fn filed(
    ledger: &Ledger,
    collection: &CollectionId,
    path: &str,
) -> Result<Option<(NodeId, VersionNumber)>, Error> {
    let item = ledger.item_by_key(&item_key(collection, path)).await?;
    Ok(item
        .filter(|item| item.state == "done")
        .and_then(|item| item.node.zip(item.version)))
}
