//! Takes one item from wherever it stands to published: each of its files step by step, then one
//! move that makes it visible.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::json;

use super::ends::{Opened, Restore, SourceFile, Validator};
use super::plan::{self, Belongs, JoinManifest, JoinSegment, Way};
use super::state::{Step, Target};
use super::{Conflict, Shared, ledger_failure};
use crate::ledger::{Change, Entry, File, FilePatch, Item, ItemPatch, NewPost};
use crate::types::{
    Failure, FailureClass, NodeId, ProofLevel, Reason, Role, Sha256Digest, VersionNumber,
};

/// Files of a folder item in hand at once.
const FILES_AT_ONCE: usize = 4;
/// Rows read from the ledger at once.
const PAGE: usize = 256;
/// Restarts of one file (lost sessions, changed sources) before a person is asked.
const RESTARTS: u32 = 5;

/// Where a file is created.
#[derive(Clone, Copy, Debug)]
pub(super) enum Placement {
    /// As a document of its own, staged under its marker and published by itself.
    Alone,
    /// In a staged folder that is published as a whole.
    Inside(NodeId),
}

/// One file on its way.
pub(super) struct Mover<'a> {
    pub(super) shared: Arc<Shared>,
    pub(super) item: &'a Item,
    pub(super) file: File,
    pub(super) placement: Placement,
    /// Hash state over the whole master before this segment.
    pub(super) outer: Option<Vec<u8>>,
}

/// A file that is ready to be published.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ready {
    node: NodeId,
    version: VersionNumber,
    sha256: Sha256Digest,
    level: ProofLevel,
    /// Already where people see it (a new version of a published document).
    visible: bool,
}

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

impl Mover<'_> {
    /// Takes the file to the step before publishing.
    async fn run(&mut self) -> Result<Ready, Failure> {
        loop {
            let step = Step::of(&self.file).map_err(|error| Failure::stop(error.to_string()))?;
            let outcome = match step {
                Step::Planned => self.begin().await,
                Step::Open { session } => self.fill(session).await,
                Step::Intent {
                    intent,
                    session,
                    sha256,
                } => self.commit(intent, session, sha256).await,
                Step::Committed {
                    node,
                    version,
                    sha256,
                    found,
                } => self.prove(node, version, sha256, found).await,
                Step::Proved { .. } => {
                    let patch = FilePatch {
                        step: Some("dressed".into()),
                        ..Default::default()
                    };
                    self.advance(patch, None).await
                }
                Step::Dressed {
                    node,
                    version,
                    sha256,
                    level,
                } => {
                    let visible = self.is_version().await;
                    return Ok(Ready {
                        node,
                        version,
                        sha256,
                        level,
                        visible,
                    });
                }
            };
            if let Err(failure) = outcome {
                self.heal(failure).await?;
            }
        }
    }

    /// Failures that mean "this file starts again".
    async fn heal(&mut self, failure: Failure) -> Result<(), Failure> {
        let again = matches!(failure.reason, Reason::SessionGone | Reason::SourceChanged);
        if !again
            || self.file.restarts >= RESTARTS
            || matches!(self.file.step.as_str(), "committed" | "proved" | "dressed")
        {
            return Err(failure);
        }
        if self.file.offset > 0 || self.outer.is_some() {
            // A segment of a master that changed: the segments before it are of another content.
            if failure.reason == Reason::SourceChanged {
                return Err(Failure::item(Reason::SourceChanged, failure.message));
            }
        }
        self.start_over(&failure.message).await
    }

    async fn begin(&mut self) -> Result<(), Failure> {
        let target = match self.belongs().await? {
            Belongs::Found {
                node,
                version,
                sha256,
            } => {
                let patch = FilePatch {
                    step: Some("committed".into()),
                    node: Some(Some(node)),
                    version: Some(Some(version)),
                    sha256: Some(sha256.map(|digest| digest.0.to_vec())),
                    intent: Some(None),
                    ..Default::default()
                };
                return self
                    .advance(
                        patch,
                        Some((
                            "found",
                            json!({"node": node, "version": version, "sha256": sha256}),
                        )),
                    )
                    .await;
            }
            Belongs::In(target) => target,
        };
        let way = if self.file.content.is_some() {
            Way::Small
        } else {
            let opened = self.open_source().await?;
            let window = self.shared.destination.window().await?;
            let config = &self.shared.config;
            let way = plan::way_in(
                self.file.size,
                window,
                config.single_post_max,
                config.oversize,
                self.measured_rate(),
            )?;
            if !opened.ranges && way == Way::Session {
                return Err(Failure::item(
                    Reason::NoRanges,
                    format!(
                        "the storage of {} does not honour byte ranges, so it cannot be sent in parts",
                        self.file.name
                    ),
                ));
            }
            way
        };
        match way {
            Way::Small => {
                let (claim, chunks, state) = self.whole().await?;
                drop((claim, chunks));
                self.intend(target, Some(state.sha256())).await
            }
            Way::Post => self.intend(target, None).await,
            Way::Session => {
                let session = self
                    .shared
                    .destination
                    .open_session(&self.file.name, self.file.size, &self.file.mime)
                    .await?;
                let patch = FilePatch {
                    step: Some("open".into()),
                    session: Some(Some((
                        session.key.0.clone(),
                        session.part_size,
                        session.parts,
                    ))),
                    ..Default::default()
                };
                let facts = json!({"part_size": session.part_size, "parts": session.parts});
                self.advance(patch, Some(("session-opened", facts))).await
            }
            Way::Split(largest) => self.split(largest).await,
        }
    }

    async fn fill(&mut self, session: super::ends::Session) -> Result<(), Failure> {
        if self.pin()?.is_none() {
            self.open_source().await?;
        }
        let state = self.send_parts(&session).await?;
        self.end_check().run(&state).await?;
        let target = match self.belongs().await? {
            Belongs::In(target) => target,
            Belongs::Found { node, .. } => {
                return Err(Failure::item(
                    Reason::NameTaken,
                    format!("node {node} appeared under this file's marker while it was sent"),
                ));
            }
        };
        if let Some(outer) = state.outer() {
            let patch = FilePatch {
                outer_state: Some(Some(outer.save())),
                ..Default::default()
            };
            self.advance(patch, None).await?;
        }
        self.intend(target, Some(state.sha256())).await
    }

    /// Touches the source and pins the file to what it holds now.
    pub(super) async fn open_source(&mut self) -> Result<Opened, Failure> {
        let file = self.source_file();
        let opened = match self.shared.source.open(&file).await {
            Err(failure) if failure.class == FailureClass::Resign => {
                // An address that was handed out near its end may expire once more at once.
                self.shared.source.renew(&file).await?;
                match self.shared.source.open(&file).await {
                    Err(failure) if failure.class == FailureClass::Resign => {
                        self.shared.source.renew(&file).await?;
                        self.shared.source.open(&file).await
                    }
                    other => other,
                }
            }
            Err(failure) if failure.reason == Reason::ColdStorage => {
                match self.shared.source.restore(&file).await? {
                    Restore::Ready => self.shared.source.open(&file).await,
                    Restore::Underway => {
                        return Err(Failure {
                            class: FailureClass::RetryLater,
                            reason: Reason::ColdStorage,
                            message: format!(
                                "{} is being restored from cold storage",
                                self.file.name
                            ),
                            retry_after: failure.retry_after,
                        });
                    }
                }
            }
            other => other,
        }?;
        self.check_opened(&opened)?;
        let validator = serde_json::to_string(&opened.validator)
            .map_err(|error| Failure::stop(format!("a validator cannot be written: {error}")))?;
        let md5 = opened.md5.map(|md5| md5.to_string());
        let patch = FilePatch {
            validator: Some(Some(validator)),
            // A segment is no whole file: the quoted MD5 says nothing about it.
            md5: (self.outer.is_none() && md5.is_some()).then_some(md5),
            ..Default::default()
        };
        self.advance(patch, None).await?;
        Ok(opened)
    }

    /// Replaces a master that fits no way in by its segments and their manifest.
    async fn split(&mut self, largest: u64) -> Result<(), Failure> {
        let base = self.marker()?;
        let derive = |role: &Role| {
            crate::types::Marker::derive(&crate::types::MarkerFields {
                instance: "",
                domain: "",
                asset: base.as_str(),
                version: "",
                format: "",
                file: "",
                role,
            })
            .to_string()
        };
        let files = plan::segments(
            &self.file,
            largest,
            |name| self.shared.destination.map_name(name),
            derive,
        );
        let change = Change::new()
            .replace_files(self.item.id, files)
            .item(
                self.item.id,
                ItemPatch {
                    kind: Some("split".into()),
                    ..Default::default()
                },
            )
            .journal(self.entry(
                "split",
                json!({"largest_segment": largest, "size": self.file.size}),
            ));
        self.shared
            .ledger
            .apply(change)
            .await
            .map_err(ledger_failure)?;
        Err(Failure::new(
            FailureClass::RetryLater,
            Reason::Stopped,
            "split into segments",
        )
        .now())
    }

    pub(super) fn is_master(&self) -> bool {
        self.file.role == Role::Master.name()
    }

    /// Whether the file is one segment of a split master.
    pub(super) fn is_segment(&self) -> bool {
        matches!(Role::from_name(&self.file.role), Some(Role::Segment(_)))
    }

    /// Whether the commit added a version to a published document.
    async fn is_version(&self) -> bool {
        let created = self
            .file
            .intent
            .as_deref()
            .and_then(|text| serde_json::from_str::<super::state::Intent>(text).ok())
            .is_some_and(|intent| matches!(intent.target, Target::Create { .. }));
        // Without an intent it was found by a look-up: where it stands decides at publishing.
        !created && self.file.intent.is_some()
    }

    pub(super) fn suffixed_name(&self) -> String {
        let marker = self.item.kin.first().unwrap_or(&self.item.marker);
        suffixed(&self.file.name, marker, |name| {
            self.shared.destination.map_name(name)
        })
    }

    pub(super) fn source_file(&self) -> SourceFile {
        SourceFile {
            locator: self.file.locator.clone(),
            name: self.file.name.clone(),
            size: self.file.size,
        }
    }

    pub(super) fn pin(&self) -> Result<Option<Validator>, Failure> {
        let Some(text) = &self.file.validator else {
            return Ok(None);
        };
        serde_json::from_str(text).map(Some).map_err(|error| {
            Failure::stop(format!(
                "file {} has an unreadable validator: {error}",
                self.file.id
            ))
        })
    }

    /// Writes facts and step in one transaction, then reads the row again.
    pub(super) async fn advance(
        &mut self,
        patch: FilePatch,
        event: Option<(&str, serde_json::Value)>,
    ) -> Result<(), Failure> {
        if let Some(after) = &patch.step
            && !Step::may_follow(&self.file.step, after)
        {
            return Err(Failure::defect(format_args!(
                "file {} cannot go from {} to {after}",
                self.file.id, self.file.step
            )));
        }
        let mut change = Change::new().file(self.file.id, patch);
        if let Some((event, facts)) = event {
            change = change.journal(self.entry(event, facts));
        }
        self.shared
            .ledger
            .apply(change)
            .await
            .map_err(ledger_failure)?;
        self.reload().await
    }

    pub(super) async fn reload(&mut self) -> Result<(), Failure> {
        let rows = self
            .shared
            .ledger
            .files(self.file.item, self.file.seq, 1)
            .await
            .map_err(ledger_failure)?;
        self.file = rows.into_iter().next().ok_or_else(|| {
            Failure::stop(format!("file {} vanished from the ledger", self.file.id))
        })?;
        Ok(())
    }

    pub(super) fn entry(&self, event: &str, data: serde_json::Value) -> Entry {
        Entry {
            run: Some(self.item.run),
            item: Some(self.item.id),
            file: Some(self.file.id),
            event: event.to_owned(),
            data: data.to_string(),
        }
    }

    pub(super) async fn journal(
        &self,
        event: &str,
        data: serde_json::Value,
    ) -> Result<(), Failure> {
        self.shared
            .ledger
            .apply(Change::new().journal(self.entry(event, data)))
            .await
            .map_err(ledger_failure)
    }
}

impl Failure {
    /// The same failure, to be taken up again at once.
    fn now(mut self) -> Self {
        self.retry_after = Some(std::time::Duration::ZERO);
        self
    }
}

/// Takes an item to done.
pub(super) async fn run(shared: &Arc<Shared>, item: &Item) -> Result<(), Failure> {
    let published = match item.kind.as_str() {
        "folder" | "split" => folder(shared, item).await?,
        _ => documents(shared, item).await?,
    };
    let patch = ItemPatch {
        state: Some("done".into()),
        node: Some(Some(published.node)),
        version: Some(published.version),
        name: Some(published.name.clone()),
        proof: Some(published.level.as_str().into()),
        failure: Some(None),
        ..Default::default()
    };
    let receipt = json!({
        "title": item.title, "node": published.node, "version": published.version, "name": published.name,
        "parent": item.parent, "files": item.files, "bytes": item.bytes, "sha256": published.sha256, "proof": published.level,
    });
    let change = Change::new()
        .item(item.id, patch)
        .journal(entry(item, "done", &receipt))
        .post(NewPost {
            item: Some(item.id),
            kind: "filed".into(),
            payload: receipt.to_string(),
        });
    shared.ledger.apply(change).await.map_err(ledger_failure)
}

struct Published {
    node: NodeId,
    version: Option<VersionNumber>,
    name: String,
    level: ProofLevel,
    sha256: Option<Sha256Digest>,
}

/// Every file is a document of its own: the sidecars are published before the master.
async fn documents(shared: &Arc<Shared>, item: &Item) -> Result<Published, Failure> {
    let files = shared
        .ledger
        .files(item.id, 0, PAGE)
        .await
        .map_err(ledger_failure)?;
    let mut ready = Vec::with_capacity(files.len());
    for file in files {
        let mut mover = Mover {
            shared: Arc::clone(shared),
            item,
            file,
            placement: Placement::Alone,
            outer: None,
        };
        let done = mover.run().await?;
        ready.push((
            mover.file.name.clone(),
            mover.suffixed_name(),
            mover.is_master(),
            done,
        ));
    }
    ready.sort_by_key(|(_, _, master, _)| *master);
    let level = ready
        .iter()
        .map(|(_, _, _, done)| done.level)
        .min()
        .unwrap_or(ProofLevel::None);
    let mut published = None;
    for (name, other, master, done) in ready {
        let name = if done.visible {
            name
        } else {
            publish(shared, item, done.node, &name, &other).await?
        };
        if master {
            published = Some((name, done));
        }
    }
    let (name, done) =
        published.ok_or_else(|| Failure::stop(format!("item {} has no master", item.id)))?;
    Ok(Published {
        node: done.node,
        version: Some(done.version),
        name,
        level,
        sha256: Some(done.sha256),
    })
}

/// Many files in one folder: staged under the item's marker, published by one move.
async fn folder(shared: &Arc<Shared>, item: &Item) -> Result<Published, Failure> {
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
    let other = suffixed(&item.name, &item.marker, |name| {
        shared.destination.map_name(name)
    });
    let name = publish(shared, item, top, &item.name, &other).await?;
    Ok(Published {
        node: top,
        version: None,
        name,
        level,
        sha256,
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
    for name in [&item.name, &other] {
        if let Some(folder) = destination.child(item.parent, name).await?
            && folder.container
            && let Some(file) = first.first()
            && file.dir.is_empty()
            && let Some(child) = destination.child(folder.id, &file.name).await?
            && !child.container
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
    create_folder(shared, staging, &item.marker).await
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
            let mut mover = Mover {
                shared: Arc::clone(shared),
                item,
                file,
                placement: Placement::Inside(container),
                outer: None,
            };
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
    let mut outer = super::hash::Outer::new().save();
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
                let digest = super::hash::Outer::load(&outer)
                    .map_err(|error| Failure::stop(format!("item {}: {error}", item.id)))?
                    .sha256();
                let content = serde_json::to_vec_pretty(&JoinManifest {
                    schema: JoinManifest::SCHEMA.into(),
                    name: item.name.clone(),
                    size: item_size(&manifest),
                    sha256: digest,
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
            let mut mover = Mover {
                shared: Arc::clone(shared),
                item,
                file,
                placement: Placement::Inside(top),
                outer: segment.then(|| outer.clone()),
            };
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

fn item_size(segments: &[JoinSegment]) -> u64 {
    segments.iter().map(|segment| segment.size).sum()
}

impl Mover<'_> {
    /// The hash state over the whole master after this segment, when it was not recorded on the
    /// way (a segment posted in one body, or found already filed): the segment is read again.
    async fn outer_after(&mut self) -> Result<Vec<u8>, Failure> {
        if self.pin()?.is_none() {
            self.open_source().await?;
        }
        let state = self.hash_source().await?;
        let outer = state
            .outer()
            .ok_or_else(|| Failure::defect("a segment without an outer hash"))?
            .save();
        let patch = FilePatch {
            outer_state: Some(Some(outer.clone())),
            ..Default::default()
        };
        self.advance(patch, None).await?;
        Ok(outer)
    }
}

/// Moves and renames a node to where people see it; the name it got.
async fn publish(
    shared: &Arc<Shared>,
    item: &Item,
    node: NodeId,
    name: &str,
    other: &str,
) -> Result<String, Failure> {
    let destination = &shared.destination;
    let at = destination.node(node).await?;
    if at.parent == item.parent {
        // Published before, perhaps renamed by a person since: that is theirs to decide.
        return Ok(at.name);
    }
    if at.parent != shared.config.staging {
        tracing::warn!(%node, parent = %at.parent, "moved by somebody else; left where it is");
        return Ok(at.name);
    }
    let mut attempt = 0;
    let mut wanted = name;
    loop {
        match destination.publish(node, item.parent, wanted).await {
            Ok(()) => {}
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

fn entry(item: &Item, event: &str, data: &serde_json::Value) -> Entry {
    Entry {
        run: Some(item.run),
        item: Some(item.id),
        file: None,
        event: event.into(),
        data: data.to_string(),
    }
}
