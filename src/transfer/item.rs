//! Takes one item from wherever it stands to published: each of its files step by step, then one
//! move that makes it visible.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::json;

use super::ends::{Destination, Part};
use super::mover::{Mover, Placement};
use super::plan::{JoinManifest, JoinSegment};
use super::record::Dresser;
use super::{Conflict, Shared, ledger_failure};
use crate::ledger::{Change, Entry, FilePatch, Item, ItemPatch, NewPost};
use crate::telemetry::crash_point;
use crate::types::{Failure, NodeId, ProofLevel, Reason, Role, Sha256Digest, VersionNumber};

/// Files of a folder item in hand at once.
const FILES_AT_ONCE: usize = 4;
/// Rows read from the ledger at once.
pub(super) const PAGE: usize = 256;

/// The name an item is published under when its own is taken: `name~xxxxxx.ext`.
pub fn suffixed(name: &str, marker: &str, map_name: impl Fn(&str) -> String) -> String {
    let mark: String = marker.chars().take(6).collect();
    match name.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() && extension.len() <= 8 => {
            map_name(&format!("{stem}~{mark}.{extension}"))
        }
        _ => map_name(&format!("{name}~{mark}")),
    }
}

/// The name that a planned one has at the destination: as planned, unless what is known of the
/// destination since then says that it cannot hold it.
pub(super) fn held(destination: &dyn Destination, planned: &str) -> String {
    if destination.holds(planned) {
        planned.to_owned()
    } else {
        destination.map_name(planned)
    }
}

/// Takes an item to done.
pub(super) async fn run(shared: &Arc<Shared>, item: &Item) -> Result<(), Failure> {
    let mut dresser = Dresser::of(shared, item)?;
    let placed = dresser.place().await?;
    let item = placed.as_ref().unwrap_or(item);
    let published = match item.kind.as_str() {
        "folder" | "split" => folder(shared, item, &dresser).await?,
        _ => documents(shared, item, &dresser).await?,
    };
    let (parent, renamed) = dresser.settle(&published).await?;
    let published = Published {
        name: renamed.unwrap_or(published.name),
        ..published
    };
    let kept = dresser.kept(published.node).await?;
    let patch = ItemPatch {
        state: Some("done".into()),
        node: Some(Some(published.node)),
        version: Some(published.version),
        parent,
        name: Some(published.name.clone()),
        proof: Some(published.level.as_str().into()),
        failure: Some(None),
        ..Default::default()
    };
    let receipt = json!({
        "title": item.title, "node": published.node, "version": published.version, "name": published.name,
        "parent": parent.unwrap_or(item.parent), "files": item.files, "bytes": item.bytes, "sha256": published.sha256, "proof": published.level,
    });
    let mut change = Change::new();
    if let Some(kept) = kept {
        let mut read = json!(kept);
        read["node"] = json!(published.node);
        change = kept
            .remember(&shared.ledger, change, published.node)
            .await
            .map_err(ledger_failure)?
            .journal(entry(item, "retention-read", &read));
    }
    let change = change
        .item(item.id, patch)
        .journal(entry(item, "done", &receipt))
        .post(NewPost {
            item: Some(item.id),
            kind: "filed".into(),
            payload: receipt.to_string(),
        });
    shared.ledger.apply(change).await.map_err(ledger_failure)?;
    crash_point("done");
    Ok(())
}

/// An item where people see it.
pub(super) struct Published {
    pub(super) node: NodeId,
    version: Option<VersionNumber>,
    pub(super) name: String,
    level: ProofLevel,
    sha256: Option<Sha256Digest>,
    /// The documents that accompany it.
    pub(super) companions: Vec<NodeId>,
}

/// Every file is a document of its own: the sidecars are published before the master.
async fn documents(
    shared: &Arc<Shared>,
    item: &Item,
    dresser: &Dresser<'_>,
) -> Result<Published, Failure> {
    let files = shared
        .ledger
        .files(item.id, 0, PAGE)
        .await
        .map_err(ledger_failure)?;
    let mut ready = Vec::with_capacity(files.len());
    let mut moved = None;
    for file in files {
        let mut mover = Mover::new(shared, item, file, Placement::Alone, None);
        mover.master = moved;
        let done = mover.run().await?;
        let part = if mover.is_master() {
            moved = Some(done.sha256);
            Part::Master
        } else {
            Part::Companion
        };
        dresser.dress(done.node, part).await?;
        ready.push((mover.name(), mover.suffixed_name(), mover.is_master(), done));
    }
    ready.sort_by_key(|(_, _, master, _)| *master);
    let level = ready
        .iter()
        .map(|(_, _, _, done)| done.level)
        .min()
        .unwrap_or(ProofLevel::None);
    let mut published = None;
    let mut companions = Vec::new();
    for (name, other, master, done) in ready {
        let name = if done.visible {
            name
        } else {
            publish(shared, item, done.node, done.created, &name, &other).await?
        };
        if master {
            published = Some((name, done));
        } else {
            companions.push(done.node);
        }
    }
    let (name, done) =
        published.ok_or_else(|| Failure::item(Reason::Other, "nothing is planned for it"))?;
    Ok(Published {
        node: done.node,
        version: Some(done.version),
        name,
        level,
        sha256: Some(done.sha256),
        companions,
    })
}

/// Many files in one folder: staged under the item's marker, published by one move.
async fn folder(
    shared: &Arc<Shared>,
    item: &Item,
    dresser: &Dresser<'_>,
) -> Result<Published, Failure> {
    let top = match item.container {
        Some(top) => top,
        None => {
            let top = staged_folder(shared, item).await?;
            let patch = ItemPatch {
                container: Some(Some(top)),
                ..Default::default()
            };
            let change = Change::new().item(item.id, patch).journal(entry(
                item,
                "folder-staged",
                &json!({"node": top}),
            ));
            shared.ledger.apply(change).await.map_err(ledger_failure)?;
            top
        }
    };
    let mut folders = HashMap::from([(String::new(), top)]);
    let (level, sha256) = if item.kind == "split" {
        split_files(shared, item, top).await?
    } else {
        (folder_files(shared, item, &mut folders).await?, None)
    };
    dresser.dress(top, Part::Master).await?;
    let other = suffixed(&item.name, &item.marker, |name| {
        shared.destination.map_name(name)
    });
    let name = held(&*shared.destination, &item.name);
    let name = publish(shared, item, top, false, &name, &other).await?;
    Ok(Published {
        node: top,
        version: None,
        name,
        level,
        sha256,
        companions: Vec::new(),
    })
}

/// The item's folder: in staging under its marker, or already published by work that this ledger
/// does not know of.
async fn staged_folder(shared: &Arc<Shared>, item: &Item) -> Result<NodeId, Failure> {
    let destination = &shared.destination;
    let staging = shared.config.staging;
    if let Some(node) = destination.child(staging, &item.marker).await? {
        return Ok(node.id);
    }
    let first = shared
        .ledger
        .files(item.id, 0, 1)
        .await
        .map_err(ledger_failure)?;
    let other = suffixed(&item.name, &item.marker, |name| destination.map_name(name));
    let held_name = |name: &str| held(&**destination, name);
    for name in [&held_name(&item.name), &other] {
        if let Some(folder) = destination.child(item.parent, name).await?
            && folder.container
            && let Some(file) = first.first()
            && let Some(inside) = folder_inside(shared, folder.id, &file.dir).await?
            && let Some(child) = destination.child(inside, &held_name(&file.name)).await?
            && child.is_document()
        {
            let versions = destination.versions(child.id).await?;
            let ours = versions.iter().any(|version| {
                crate::types::VersionNote::parse(&version.description)
                    .is_some_and(|note| note.marker.as_str() == file.marker)
            });
            if ours {
                return Ok(folder.id);
            }
        }
    }
    if let Some(file) = first.first()
        && file.dir.is_empty()
    {
        for node in shared.adopted(vec![file.marker.clone()]).await? {
            if node.name == held_name(&file.name) {
                return Ok(node.parent);
            }
        }
    }
    create_folder(shared, staging, &item.marker).await
}

/// The folder at that place inside a folder, when there is one.
async fn folder_inside(
    shared: &Arc<Shared>,
    top: NodeId,
    dir: &str,
) -> Result<Option<NodeId>, Failure> {
    let mut at = top;
    for name in dir.split('/').filter(|name| !name.is_empty()) {
        let name = shared.destination.map_name(name);
        match shared.destination.child(at, &name).await? {
            Some(node) if node.container => at = node.id,
            _ => return Ok(None),
        }
    }
    Ok(Some(at))
}

/// Creates a folder, or finds the one that an unclear answer left behind.
async fn create_folder(
    shared: &Arc<Shared>,
    parent: NodeId,
    name: &str,
) -> Result<NodeId, Failure> {
    let mut attempt = 0;
    loop {
        if let Some(node) = shared.destination.child(parent, name).await? {
            if node.container {
                return Ok(node.id);
            }
            return Err(Failure::item(
                Reason::NameTaken,
                format!("{name} in node {parent} is a document, not a folder"),
            ));
        }
        match shared.destination.create_container(parent, name).await {
            Ok(node) => return Ok(node),
            Err(failure)
                if matches!(failure.reason, Reason::Ambiguous | Reason::NameTaken)
                    && attempt < shared.config.attempts =>
            {
                attempt += 1;
                tokio::time::sleep(shared.config.backoff(attempt)).await;
            }
            Err(failure) => return Err(failure),
        }
    }
}

async fn folder_files(
    shared: &Arc<Shared>,
    item: &Item,
    folders: &mut HashMap<String, NodeId>,
) -> Result<ProofLevel, Failure> {
    use futures::{StreamExt, TryStreamExt, stream};
    let mut level = ProofLevel::ReadBack;
    let mut from = 0;
    loop {
        let page = shared
            .ledger
            .files(item.id, from, PAGE)
            .await
            .map_err(ledger_failure)?;
        let Some(last) = page.last() else {
            return Ok(level);
        };
        from = last.seq + 1;
        let mut placed = Vec::with_capacity(page.len());
        for file in page {
            let container = folder_of(shared, folders, &file.dir).await?;
            placed.push((file, container));
        }
        let lowest = stream::iter(placed.into_iter().map(|(file, container)| async move {
            if shared.stop.drain.is_cancelled() && file.step == "planned" {
                return Err(super::send::stopped());
            }
            let mut mover = Mover::new(shared, item, file, Placement::Inside(container), None);
            mover.run().await.map(|ready| ready.level)
        }))
        .buffer_unordered(FILES_AT_ONCE)
        .try_fold(ProofLevel::ReadBack, |lowest, level| async move {
            Ok(lowest.min(level))
        })
        .await?;
        level = level.min(lowest);
    }
}

async fn folder_of(
    shared: &Arc<Shared>,
    folders: &mut HashMap<String, NodeId>,
    dir: &str,
) -> Result<NodeId, Failure> {
    if let Some(node) = folders.get(dir) {
        return Ok(*node);
    }
    let (mut at, mut path) = (folders[""], String::new());
    for name in dir.split('/').filter(|name| !name.is_empty()) {
        if !path.is_empty() {
            path.push('/');
        }
        path.push_str(name);
        at = match folders.get(&path) {
            Some(node) => *node,
            None => {
                let node = create_folder(shared, at, &shared.destination.map_name(name)).await?;
                folders.insert(path.clone(), node);
                node
            }
        };
    }
    Ok(at)
}

/// Segments in order, because one hash runs over all of them; then the manifest that joins them.
async fn split_files(
    shared: &Arc<Shared>,
    item: &Item,
    top: NodeId,
) -> Result<(ProofLevel, Option<Sha256Digest>), Failure> {
    let mut level = ProofLevel::ReadBack;
    let quoted = quoted_md5(shared, item).await?;
    let mut outer = super::hash::Outer::new(quoted.is_some()).save();
    let mut manifest = Vec::new();
    let mut from = 0;
    let mut whole = None;
    loop {
        let page = shared
            .ledger
            .files(item.id, from, PAGE)
            .await
            .map_err(ledger_failure)?;
        let Some(last) = page.last() else {
            return Ok((level, whole));
        };
        from = last.seq + 1;
        for mut file in page {
            let (name, offset, size) = (file.name.clone(), file.offset, file.size);
            let join = file.role == Role::Join.name();
            if join && file.step == "planned" {
                let over_all = super::hash::Outer::load(&outer)
                    .map_err(|error| Failure::stop(format!("item {}: {error}", item.id)))?;
                super::commit::check_md5(quoted.as_deref(), over_all.md5(), &item.name)?;
                let content = serde_json::to_vec_pretty(&JoinManifest {
                    schema: JoinManifest::SCHEMA.into(),
                    name: item.name.clone(),
                    size: item_size(&manifest),
                    sha256: over_all.sha256(),
                    segments: std::mem::take(&mut manifest),
                })
                .map_err(|error| {
                    Failure::stop(format!("a joining manifest cannot be written: {error}"))
                })?;
                let patch = FilePatch {
                    size: Some(content.len() as u64),
                    content: Some(Some(content)),
                    ..Default::default()
                };
                shared
                    .ledger
                    .apply(Change::new().file(file.id, patch))
                    .await
                    .map_err(ledger_failure)?;
                file = shared
                    .ledger
                    .files(item.id, file.seq, 1)
                    .await
                    .map_err(ledger_failure)?
                    .into_iter()
                    .next()
                    .ok_or_else(|| Failure::stop("a manifest vanished from the ledger"))?;
            }
            let segment = !join && file.content.is_none();
            let mut mover = Mover::new(
                shared,
                item,
                file,
                Placement::Inside(top),
                segment.then(|| outer.clone()),
            );
            mover.master = whole;
            let ready = mover.run().await?;
            level = level.min(ready.level);
            if join {
                whole = super::hash::Outer::load(&outer)
                    .ok()
                    .map(|outer| outer.sha256());
            } else if segment {
                manifest.push(JoinSegment {
                    name,
                    offset,
                    size,
                    sha256: ready.sha256,
                });
                if let Some(after) = mover.file.outer_state.take() {
                    outer = after;
                } else {
                    outer = mover.outer_after().await?;
                }
            }
        }
    }
}

/// The MD5 that the source quotes of the whole master: the joining manifest's row holds it.
async fn quoted_md5(shared: &Shared, item: &Item) -> Result<Option<String>, Failure> {
    if !shared.config.source_md5 {
        return Ok(None);
    }
    let mut from = 0;
    loop {
        let page = shared
            .ledger
            .files(item.id, from, PAGE)
            .await
            .map_err(ledger_failure)?;
        let Some(last) = page.last() else {
            return Ok(None);
        };
        from = last.seq + 1;
        let join = page.into_iter().find(|file| file.role == Role::Join.name());
        if let Some(join) = join {
            return Ok(join.md5);
        }
    }
}

fn item_size(segments: &[JoinSegment]) -> u64 {
    segments.iter().map(|segment| segment.size).sum()
}

/// Moves and renames a node to where people see it; the name it got.
async fn publish(
    shared: &Arc<Shared>,
    item: &Item,
    node: NodeId,
    created: bool,
    name: &str,
    other: &str,
) -> Result<String, Failure> {
    let destination = &shared.destination;
    // What was created a moment ago stands in staging.
    if !created {
        let at = destination.node(node).await?;
        if at.parent == item.parent {
            // Published before, perhaps renamed by a person since: that is theirs to decide.
            return Ok(at.name);
        }
        if at.parent != shared.config.staging {
            tracing::warn!(%node, parent = %at.parent, "moved by somebody else; left where it is");
            return Ok(at.name);
        }
    }
    let mut attempt = 0;
    let mut wanted = name;
    loop {
        crash_point("publishing");
        match destination.publish(node, item.parent, wanted).await {
            Ok(()) => crash_point("published"),
            Err(failure) if failure.reason == Reason::NameTaken => {
                if wanted == name && shared.config.conflict == Conflict::Suffix {
                    let taken = entry(
                        item,
                        "name-taken",
                        &json!({"name": name, "published_as": other}),
                    );
                    shared
                        .ledger
                        .apply(Change::new().journal(taken))
                        .await
                        .map_err(ledger_failure)?;
                    wanted = other;
                    continue;
                }
                return Err(failure.context(format!("publishing as {wanted:?}")));
            }
            Err(failure) => {
                attempt += 1;
                super::send::again_after(shared, &failure, attempt)
                    .await
                    .ok_or(failure)?;
            }
        }
        let at = destination.node(node).await?;
        if at.parent == item.parent && at.name == wanted {
            return Ok(at.name);
        }
        attempt += 1;
        if attempt >= shared.config.attempts {
            return Err(Failure::transient(format!(
                "node {node} is still not published as {wanted:?}"
            )));
        }
        // A server that moves or renames, but not both at once: rename here, then move.
        if at.parent == shared.config.staging && attempt > 1 {
            destination.rename(node, wanted).await?;
        }
    }
}

pub(super) fn entry(item: &Item, event: &str, data: &serde_json::Value) -> Entry {
    Entry {
        run: Some(item.run),
        item: Some(item.id),
        file: None,
        event: event.into(),
        data: data.to_string(),
    }
}
