//! A package that this ledger does not know, or not as it is by now: another ledger made it, or this
//! one was lost. What it lists keeps its paths, and its fixity history goes on.

use std::collections::HashMap;

use serde_json::json;

use super::facts::{Generation, Happened, Kept, Part, Payload};
use super::{Bench, Order, filed, papers, place};
use crate::flows::Error;
use crate::ledger::{Change, Entry};
use crate::sidecar::bagit;
use crate::sidecar::campaign::{Kind, Listing};
use crate::sidecar::mhl::{self, Digests};
use crate::sidecar::premis;
use crate::transfer::read_back;
use crate::types::{
    ByteCount, CollectionId, Failure, MIB, NodeId, Reason, Sha256Digest, VersionNote, VersionNumber,
};

const ATTEMPTS: u32 = 6;
/// Bytes that a paper has for each file at most, beside [`MIB`].
const PER_FILE: ByteCount = 16 * 1024;

/// What is there of a collection's package that this ledger does not know; nothing when it knows
/// all, or there is none.
pub(super) async fn unknown(
    bench: Bench<'_>,
    order: &Order,
    collection: &CollectionId,
    known: &Kept,
    title: &str,
) -> Result<Option<Kept>, Error> {
    let (systems, place) = (bench.systems, bench.place);
    let folder = match known.folder {
        Some(folder) if is_ours(bench, collection, known, folder).await? => return Ok(None),
        Some(folder) => folder,
        None => match place::begun(systems, place, collection, title).await? {
            Some(folder) => folder,
            None => return Ok(None),
        },
    };
    let mut found = match read(bench, order, folder).await {
        Err(Error::Engine(failure)) if failure.reason == Reason::Mismatch => {
            let why = format!(
                "the package of {title} in folder {folder} is of another ledger and cannot be taken over: {}; \
                 work with that ledger, or move the folder elsewhere and pack again",
                failure.message
            );
            return Err(Failure::item(failure.reason, why).into());
        }
        other => other?,
    };
    found.container = match known.folder {
        Some(_) => known.container,
        None => place.container,
    };
    // What this ledger knows of it counts before what papers say; the same event counts once.
    let told = std::mem::take(&mut found.facts.events);
    found.facts.events.clone_from(&known.facts.events);
    found.facts.events.extend(told);
    let entry = Entry {
        run: Some(bench.run),
        event: "package-taken-over".to_owned(),
        data: json!({
            "collection": collection, "title": title, "folder": folder,
            "files": found.facts.payload.len(), "generations": found.generations.len(),
        })
        .to_string(),
        ..Entry::default()
    };
    bench.ledger.apply(Change::new().journal(entry)).await?;
    Ok(Some(found))
}

/// Whether the history and what closes the bag are as this ledger left them, or as it was about to
/// when it was killed.
async fn is_ours(
    bench: Bench<'_>,
    collection: &CollectionId,
    known: &Kept,
    folder: NodeId,
) -> Result<bool, Error> {
    let chain = format!("data/{}/{}", mhl::FOLDER, mhl::CHAIN);
    let own = papers::papers(&bench.systems.instance, known);
    for path in [chain.as_str(), papers::LAST] {
        let closed = filed(bench.ledger, collection, path).await?;
        let node = match closed {
            Some((node, _)) => Some(node),
            // The history begins with the first file that was measured; this one always ends it.
            None if path == papers::LAST => {
                let destination = &bench.systems.destination;
                let there = place::again(|| destination.child(folder, path)).await?;
                there.map(|paper| paper.id)
            }
            None => None,
        };
        let Some(node) = node else { continue };
        let version = closed.map(|(_, version)| version);
        let own = own.iter().find(|paper| paper.path == path);
        let own = own.map(|paper| papers::digest(&paper.content));
        if is_another(bench, node, version, own).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether the newest version of a paper is of another ledger: later than `known`, and not `own`.
async fn is_another(
    bench: Bench<'_>,
    node: NodeId,
    known: Option<VersionNumber>,
    own: Option<Sha256Digest>,
) -> Result<bool, Error> {
    let newest = match place::again(|| bench.systems.destination.versions(node)).await {
        Ok(versions) => versions.into_iter().next_back(),
        // It was deleted: it is filed again.
        Err(failure) if matches!(failure.reason, Reason::NotFound | Reason::Inaccessible) => None,
        Err(failure) => return Err(failure.into()),
    };
    let later = newest.filter(|newest| known.is_none_or(|known| newest.number > known));
    // What a person put on top is a finding of `package check`, and no package of a ledger.
    let note = later.and_then(|later| VersionNote::parse(&later.description));
    Ok(note.is_some_and(|note| own.is_none() || note.sha256 != own))
}

/// Reads a package as far as it is needed to go on with it.
async fn read(bench: Bench<'_>, order: &Order, folder: NodeId) -> Result<Kept, Error> {
    let most = MIB + order.most_files as u64 * PER_FILE;
    let text =
        |parent: NodeId, name: String| async move { paper(bench, parent, &name, most).await };
    let mut kept = Kept {
        folder: Some(folder),
        ..Kept::default()
    };
    let mut digests: HashMap<String, Digests> = HashMap::new();
    if let Some(history) = history_folder(bench, folder).await?
        && let Some(chain) = text(history, mhl::CHAIN.to_owned()).await?
    {
        for (name, c4) in mhl::chain_of(&chain).map_err(|error| bad(mhl::CHAIN, error))? {
            let xml = text(history, name.clone()).await?;
            let xml = xml.ok_or_else(|| bad(&name, "it is not there"))?;
            if mhl::c4(xml.as_bytes()) != c4 {
                return Err(bad(&name, "it is not what the chain lists").into());
            }
            let files = mhl::digests_of(&xml).map_err(|error| bad(&name, error))?;
            let path = |path: &str| format!("data/{path}");
            let paths = files.iter().map(|(file, _)| path(file)).collect();
            for (file, measured) in files {
                if let Some(measured) = measured {
                    digests.insert(path(&file), measured);
                }
            }
            kept.generations.push(Generation { name, xml, paths });
        }
    }
    if let Some(info) = text(folder, papers::INFO.to_owned()).await? {
        let id = bagit::info_value(&info, "External-Identifier");
        kept.id = id.filter(|id| id.starts_with("urn:")).map(str::to_owned);
    }
    // Without them what is closed would lose what it lists.
    let last = place::again(|| bench.systems.destination.child(folder, papers::LAST)).await?;
    let listed = async |name: &str| match text(folder, name.to_owned()).await? {
        None if last.is_some() => Err(Error::from(bad(name, "it is not there"))),
        found => Ok(found),
    };
    if let Some(campaign) = listed(papers::CAMPAIGN).await? {
        let listing = Listing::from_json(campaign.as_bytes());
        let listing = listing.map_err(|error| bad(papers::CAMPAIGN, error))?;
        kept.facts.payload = payload(&listing, &digests);
    }
    if let Some(record) = listed(papers::RECORD).await? {
        let events = premis::events_of(&record).map_err(|error| bad(papers::RECORD, error))?;
        kept.facts.events = happened(events, &bench.systems.instance, &kept.facts.payload);
    }
    Ok(kept)
}

async fn history_folder(bench: Bench<'_>, folder: NodeId) -> Result<Option<NodeId>, Error> {
    let destination = &bench.systems.destination;
    let Some(data) = place::again(|| destination.child(folder, "data")).await? else {
        return Ok(None);
    };
    let history = place::again(|| destination.child(data.id, mhl::FOLDER)).await?;
    Ok(history.map(|history| history.id))
}

/// The newest version of a paper; none when it is not there.
async fn paper(
    bench: Bench<'_>,
    parent: NodeId,
    name: &str,
    most: ByteCount,
) -> Result<Option<String>, Error> {
    let destination = &*bench.systems.destination;
    let filed = destination.map_name(name);
    let Some(node) = place::again(|| destination.child(parent, &filed)).await? else {
        return Ok(None);
    };
    let versions = place::again(|| destination.versions(node.id)).await?;
    let Some(newest) = versions.last() else {
        return Ok(None);
    };
    if newest.size > most {
        let size = newest.size;
        return Err(bad(
            name,
            format!("{size} bytes are more than `package.files` allows"),
        )
        .into());
    }
    let mut content = Vec::new();
    let mut sink = |bytes: &[u8]| {
        content.extend_from_slice(bytes);
        Ok(())
    };
    let (number, size) = (newest.number, newest.size);
    let pace = bench.pace;
    read_back(
        destination,
        pace,
        node.id,
        number,
        size,
        ATTEMPTS,
        &mut sink,
    )
    .await?;
    let text = String::from_utf8(content).map_err(|error| bad(name, error))?;
    Ok(Some(text))
}

/// The files that a package lists, apart from its own papers.
fn payload(listing: &Listing, digests: &HashMap<String, Digests>) -> Vec<Payload> {
    let part = |whole: &String| {
        let found = listing.split_masters.iter().find(|one| one.path == *whole);
        found.map(|found| Part {
            whole: whole.clone(),
            sha256: found.sha256,
            size: found.size,
            node: NodeId(found.node),
        })
    };
    let items = listing.items.iter();
    items
        .filter(|item| item.kind != Kind::Fixity && bagit::is_inside(&item.path))
        .filter_map(|item| {
            // One that an older package lists whole has no document, and is listed by its parts now.
            let otcs = item.otcs.as_ref()?;
            let iconik = item.iconik.clone();
            let (asset, asset_version, file) = iconik
                .map(|ids| (ids.asset, ids.version, ids.file))
                .unwrap_or_default();
            let mime = mime_guess::from_path(&item.path).first_or_octet_stream();
            Some(Payload {
                path: item.path.clone(),
                kind: item.kind,
                size: item.size,
                sha256: item.sha256,
                level: item.level,
                mime: mime.to_string(),
                asset,
                asset_version,
                file,
                node: NodeId(otcs.node),
                version: Some(VersionNumber(otcs.version)),
                digests: digests.get(&item.path).copied(),
                at: listing.created,
                release: item.release.clone(),
                part: item.part_of.as_ref().and_then(part),
            })
        })
        .collect()
}

/// What happened to the files of a package, by their paths.
fn happened(events: Vec<premis::Event>, instance: &str, payload: &[Payload]) -> Vec<Happened> {
    let paths: HashMap<String, &str> = payload
        .iter()
        .map(|file| {
            (
                papers::urn(instance, file.node, file.version),
                file.path.as_str(),
            )
        })
        .collect();
    let path = |event: &premis::Event| {
        let (_, object) = event.object.as_ref()?;
        paths.get(object).copied().map(str::to_owned)
    };
    let events = events.into_iter();
    events
        .map(|event| Happened {
            path: path(&event).unwrap_or_default(),
            id: event.id,
            kind: event.kind,
            at: event.at,
            detail: event.detail,
        })
        .collect()
}

fn bad(name: &str, why: impl std::fmt::Display) -> Failure {
    Failure::item(Reason::Mismatch, format!("{name}: {why}"))
}
