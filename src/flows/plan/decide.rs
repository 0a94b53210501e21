//! What becomes of each asset of a selection.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use futures::stream::{BoxStream, StreamExt, TryStreamExt};
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use super::{Action, Decision, Verdict, Version};
use crate::content_server::fold;
use crate::flows::intake::{self, Duplicates, Intake, Looked};
use crate::flows::publish;
use crate::flows::{Error, Systems, Wanted};
use crate::iconik::{Found, Master, Method};
use crate::ledger::{NewItem, Reader};
use crate::transfer::{Node, Oversize, Source as _, Window, pieces, suffixed};
use crate::types::{AssetId, Failure, NodeId, VersionNote};

/// Assets looked at at once; iconik's call limit is the brake, not this.
const AT_ONCE: usize = 8;
/// Disturbances of iconik that one asset waits out, a minute in all.
const WAITS: u32 = 6;
/// Items of one asset that are read from the ledger; no asset has more versions.
const VERSIONS: usize = 10_000;
/// Files of a mounted master that are looked for; the rest of a long sequence is trusted.
const LOOKED_FOR: usize = 100;

/// What decides how a file goes in.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// Largest single POST.
    pub single_post_max: Option<u64>,
    /// What becomes of files that fit no way in.
    pub oversize: Oversize,
    /// Where unfinished documents wait.
    pub staging: NodeId,
}

/// One file of an asset, and how it would be filed.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct PlannedFile {
    /// The item's key.
    pub key: String,
    /// Its name at the source.
    pub source: String,
    /// Its folder inside the item's.
    pub dir: String,
    /// Its name at the destination.
    pub name: String,
    /// Bytes.
    pub bytes: u64,
    /// The MD5 that the source quotes.
    pub md5: Option<String>,
}

/// Plans. Cheap to clone.
#[derive(Clone)]
pub struct Planner(Arc<Inner>);

struct Inner {
    systems: Systems,
    intake: Intake,
    rules: Rules,
    window: Option<Window>,
    ledger: Option<Mutex<Reader>>,
}

impl Planner {
    /// A planner; the destination is asked for its upload window. `ledger` is what earlier runs
    /// recorded, if there is one.
    ///
    /// # Errors
    ///
    /// The destination's failure.
    pub async fn new(
        systems: Systems,
        intake: Intake,
        rules: Rules,
        ledger: Option<Reader>,
    ) -> Result<Self, Error> {
        let window = systems.destination.window().await?;
        Ok(Self(Arc::new(Inner {
            systems,
            // What a sidecar holds is read when it is filed, not when it is planned.
            intake: Intake {
                sidecar: false,
                ..intake
            },
            rules,
            window,
            ledger: ledger.map(Mutex::new),
        })))
    }

    /// The sizes that the destination takes through upload sessions.
    pub fn window(&self) -> Option<Window> {
        self.0.window
    }

    /// The files of an asset's versions as they would be filed: item key, name at the source, and
    /// the file.
    ///
    /// # Errors
    ///
    /// iconik's.
    pub async fn files(&self, wanted: &Wanted) -> Result<Vec<PlannedFile>, Error> {
        let inner = &self.0;
        let looked = intake::look_patiently(&inner.systems, &inner.intake, wanted, WAITS).await?;
        let mut files = Vec::new();
        for (item, master) in looked.items {
            let sources = master.map(|master| master.files).unwrap_or_default();
            for (file, source) in item.files.into_iter().zip(sources) {
                files.push(PlannedFile {
                    key: item.key.clone(),
                    source: source.name,
                    dir: file.dir,
                    name: file.name,
                    bytes: file.size,
                    md5: file.md5,
                });
            }
        }
        Ok(files)
    }

    /// A decision for each asset, in the order of the selection. Those of a selection that may
    /// name an asset twice are made `unique`.
    pub fn decisions(
        &self,
        assets: BoxStream<'static, Result<Wanted, Error>>,
        unique: bool,
    ) -> BoxStream<'static, Result<Decision, Error>> {
        let inner = Arc::clone(&self.0);
        let mut once = once(unique, |wanted: &Wanted| wanted.asset.0.clone());
        let hold = inner.intake.duplicates == Duplicates::Hold;
        let mut taken = Taken::default();
        assets
            .try_filter(move |wanted| std::future::ready(once(wanted)))
            .map(move |wanted| {
                let inner = Arc::clone(&inner);
                async move { inner.decide(&wanted?).await }
            })
            .buffered(AT_ONCE)
            .map_ok(move |(mut decision, claims)| {
                settle(&mut decision, claims, &mut taken, hold);
                decision
            })
            .boxed()
    }

    /// A decision for each asset by what the search index and the ledger say alone.
    pub fn quick(
        &self,
        assets: BoxStream<'static, Result<Found, Error>>,
        unique: bool,
    ) -> BoxStream<'static, Result<Decision, Error>> {
        let inner = Arc::clone(&self.0);
        let mut once = once(unique, |found: &Found| found.id.clone());
        assets
            .try_filter(move |found| std::future::ready(once(found)))
            .map(move |found| inner.glance(found?))
            .boxed()
    }
}

/// Whether something comes for the first time, where that matters: 16 bytes are kept of each then.
fn once<T>(unique: bool, identity: impl Fn(&T) -> String + Send) -> impl FnMut(&T) -> bool + Send {
    let mut seen = HashSet::new();
    move |it| !unique || seen.insert(xxh3_128(identity(it).as_bytes()))
}

/// What a version would have that another asset of the plan may have or want too.
#[derive(Default)]
struct Claims {
    /// Its name, and the name it would be filed under if that is taken.
    name: Option<(u64, String)>,
    /// Its content, as the source quotes it.
    content: Option<u128>,
    /// Whether it is filed even when another asset has its content.
    settled: bool,
}

/// What earlier assets of a plan have.
#[derive(Default)]
struct Taken {
    names: HashSet<u64>,
    /// The key of the first version with each content.
    contents: HashMap<u128, Box<str>>,
}

/// Two assets of one plan may want the same name; the later one gets another. Two may have the same
/// content; the policy says what becomes of the later one.
fn settle(decision: &mut Decision, claims: Vec<Claims>, taken: &mut Taken, hold: bool) {
    let mut held = false;
    let versions = decision.versions.iter_mut().flatten();
    for (version, claims) in versions.zip(claims) {
        if let Some(content) = claims.content {
            let first = taken
                .contents
                .entry(content)
                .or_insert_with(|| version.key.as_str().into());
            if version.duplicate_of.is_none() && intake::asset_of(first) != decision.asset.0 {
                version.duplicate_of = Some(first.to_string());
            }
        }
        if let Some(twin) = &version.duplicate_of
            && version.action.moves()
        {
            if hold && !claims.settled {
                version.action = Action::Blocked;
                version.why = "duplicate".to_owned();
                version.detail =
                    format!("the same content as {twin}: it would be held for a person");
                held = true;
                continue;
            }
            if version.detail.is_empty() {
                version.detail = format!("the same content as {twin}");
            }
        }
        let Some((name, other)) = claims.name else {
            continue;
        };
        if !taken.names.insert(name) && version.filed_as.is_none() {
            version.detail = "another asset of this plan is filed under its name".to_owned();
            version.filed_as = Some(other);
        }
    }
    if held {
        judge(decision);
    }
}

/// What becomes of an asset, by its versions.
fn judge(decision: &mut Decision) {
    let versions = decision.versions.as_deref().unwrap_or_default();
    let first = |wanted: &dyn Fn(&Version) -> bool| versions.iter().find(|v| wanted(v));
    let (verdict, version) = if let Some(moving) = first(&|v| v.action.moves()) {
        (Verdict::In, Some(moving))
    } else if let Some(blocked) = first(&|v| v.action == Action::Blocked) {
        (Verdict::Blocked, Some(blocked))
    } else {
        // What is found there is read back, but nothing moves.
        (Verdict::Out, versions.last())
    };
    let (why, detail) = match version {
        Some(version) => (version.why.clone(), version.detail.clone()),
        None => (
            "nothing-planned".to_owned(),
            "no version of the plan is left".to_owned(),
        ),
    };
    (decision.verdict, decision.why, decision.detail) = (verdict, why, detail);
}

impl Inner {
    fn ledger<T: Default>(
        &self,
        read: impl FnOnce(&Reader) -> Result<T, crate::ledger::Error>,
    ) -> Result<T, Error> {
        match &self.ledger {
            // A read takes well under a millisecond.
            Some(ledger) => Ok(read(
                &ledger.lock().unwrap_or_else(PoisonError::into_inner),
            )?),
            None => Ok(T::default()),
        }
    }

    fn glance(&self, found: Found) -> Result<Decision, Error> {
        let mut decision = Decision {
            title: found.title.clone().unwrap_or_default(),
            verdict: Verdict::Out,
            why: String::new(),
            detail: String::new(),
            collections: Vec::new(),
            versions: None,
            views: 0,
            asset: AssetId(found.id.clone()),
        };
        if let Some((why, detail)) = found.without_master() {
            (decision.why, decision.detail) = (why.as_str().to_owned(), detail);
        } else if let Err(refused) = self.intake.filter.found(&found) {
            (decision.why, decision.detail) = (refused.why.to_owned(), refused.detail);
        } else {
            decision.verdict = Verdict::In;
            let prefix = format!("{}/", found.id);
            let items = self.ledger(|ledger| ledger.items_below(&prefix, VERSIONS))?;
            let done = items.iter().filter(|item| item.state == "done").count();
            decision.why = match (items.len(), done) {
                (0, _) => "new",
                (all, done) if all == done => "filed-before",
                _ => "unfinished",
            }
            .to_owned();
            if done > 0 {
                decision.detail = format!(
                    "{done} versions are filed; whether they or others are new only --depth full says"
                );
            }
        }
        Ok(decision)
    }

    async fn decide(&self, wanted: &Wanted) -> Result<(Decision, Vec<Claims>), Error> {
        let looked = intake::look_patiently(&self.systems, &self.intake, wanted, WAITS).await?;
        let Looked {
            title,
            collections,
            views,
            items,
            left_out,
            changes,
            ends: _,
        } = looked;
        let mut decision = Decision {
            asset: wanted.asset.clone(),
            title,
            verdict: Verdict::Out,
            why: String::new(),
            detail: String::new(),
            collections,
            versions: None,
            views,
        };
        let mut claims = Vec::with_capacity(items.len());
        let mut versions: Vec<Version> = Vec::with_capacity(items.len());
        let mut place = Place::default();
        for (item, master) in &items {
            let (version, own) = self.version(item, master.as_ref(), &mut place).await?;
            claims.push(own);
            versions.push(version);
        }
        decision.versions = Some(versions);
        if let Some((why, detail)) = left_out {
            (decision.why, decision.detail) = (why.to_owned(), detail);
        } else {
            judge(&mut decision);
        }
        for (what, _, detail) in changes {
            if !decision.detail.is_empty() {
                decision.detail.push_str("; ");
            }
            decision
                .detail
                .push_str(&format!("since the plan: {what}, {detail}"));
        }
        Ok((decision, claims))
    }

    async fn version(
        &self,
        item: &NewItem,
        master: Option<&Master>,
        place: &mut Place,
    ) -> Result<(Version, Claims), Error> {
        let mut version = Version {
            key: item.key.clone(),
            number: master.map_or(0, |master| master.version_number),
            action: Action::NewDocument,
            why: "new".to_owned(),
            detail: String::new(),
            fingerprint: item.fingerprint.clone(),
            bytes: intake::master_bytes(item),
            files: item.files.len() as u64,
            name: item.name.clone(),
            renamed_from: None,
            names_changed: 0,
            filed_as: None,
            duplicate_of: None,
            uncompared: intake::uncompared(item).map(str::to_owned),
            node: None,
            version: None,
            segments: 0,
            storage: None,
            cloud: false,
            archived: false,
            record: filing_of(item),
        };
        let folder = item.kind == "folder";
        if folder {
            version.action = Action::NewFolder;
        }
        let known = self.ledger(|ledger| ledger.item_by_key(&item.key))?;
        let same = known
            .as_ref()
            .is_some_and(|known| known.fingerprint == item.fingerprint);
        if let Some(known) = &known {
            (version.node, version.version) = (known.node, known.version);
            // A name that was chosen once stays.
            if known.node.is_some() {
                version.name.clone_from(&known.name);
                place.document = known
                    .node
                    .filter(|_| known.kind == "document")
                    .or(place.document);
            }
            let settled = match known.state.as_str() {
                "done" if same && item.record.is_some() && known.record != item.record => Some((
                    Action::AlreadyFiled,
                    "record-changed",
                    format!(
                        "run {} filed it; its values, rights or place are others now",
                        known.run
                    ),
                )),
                "done" if same => Some((
                    Action::AlreadyFiled,
                    "already-filed",
                    format!("run {} filed it, and it has not changed since", known.run),
                )),
                "declined" if same => Some((
                    Action::Declined,
                    "declined",
                    "a person decided that it is not filed".to_owned(),
                )),
                "quarantined" => Some((Action::Blocked, "quarantined", said(known))),
                // Whether it still waits for that the policy says.
                "held" if same && known.reason.as_deref() == Some("duplicate") => None,
                "held" if same && intake::comes_after_papers(item) => None,
                "held" | "conflict" if same => {
                    Some((Action::Blocked, "held-or-conflict", said(known)))
                }
                _ => None,
            };
            if let Some((action, why, detail)) = settled {
                (version.action, version.why, version.detail) = (action, why.to_owned(), detail);
                return Ok((version, Claims::default()));
            }
        }
        if let (Some((_, _, message)), Some(master)) = (&item.refused, master)
            && intake::comes_after_papers(item)
        {
            version.why = "after-its-papers".to_owned();
            version.detail.clone_from(message);
            version.bytes = master.files.iter().map(|file| file.size).sum();
            version.files = master.files.len() as u64;
            return Ok((version, Claims::default()));
        }
        if let Some((_, _, message)) = &item.refused {
            version.action = Action::Blocked;
            version.why = refusal(item).to_owned();
            let word = format!(" ({})", version.why);
            version.detail = message.strip_suffix(&word).unwrap_or(message).to_owned();
            return Ok((version, Claims::default()));
        }
        let Some(master) = master else {
            return Ok((version, Claims::default()));
        };
        self.describe(item, master, &mut version).await?;
        if let Some((why, detail)) = self.hindrance(item, master, &mut version).await? {
            version.action = Action::Blocked;
            (version.why, version.detail) = (why.to_owned(), detail);
            return Ok((version, Claims::default()));
        }
        match &known {
            Some(known) if known.state == "done" => {
                version.why = "changed".to_owned();
                version.detail = "the source has changed since it was filed".to_owned();
            }
            Some(known) => {
                version.why = "unfinished".to_owned();
                version.detail = format!("run {} left it {}", known.run, known.state);
            }
            None => {}
        }
        let marker = item.kin.first().filter(|_| !folder).unwrap_or(&item.marker);
        let other = suffixed(&item.name, marker, |name| {
            self.systems.destination.map_name(name)
        });
        if version.node.is_none() || !folder {
            // A place that will be made has nothing in the way.
            let parent = publish::place_now(&self.systems, item).await?;
            if let Some(parent) = parent {
                let there = NewItem {
                    parent: parent.0,
                    ..item.clone()
                };
                self.look_there(&there, &other, &mut version, place).await?;
            }
        }
        let takes_name = matches!(version.action, Action::NewDocument | Action::NewFolder)
            && version.filed_as.is_none()
            && version.node.is_none();
        let name = xxh3_64(fold(&item.name).as_bytes());
        let mut claims = Claims {
            name: takes_name.then_some((name, other)),
            ..Claims::default()
        };
        if let Some((md5, size)) = intake::quoted(item) {
            let asset = intake::asset_of(&item.key);
            let twin = self.ledger(|ledger| ledger.twin(md5, size, asset))?;
            version.duplicate_of = twin.map(|twin| twin.key);
            claims.content = Some(xxh3_128(format!("{md5} {size}").as_bytes()));
            claims.settled = known.is_some_and(|known| intake::is_settled(&known, item));
        }
        Ok((version, claims))
    }

    /// Names, storage and pieces.
    async fn describe(
        &self,
        item: &NewItem,
        master: &Master,
        version: &mut Version,
    ) -> Result<(), Error> {
        let original = if master.many {
            Some(&master.name)
        } else {
            master.files.first().map(|file| &file.name)
        };
        // A later version of a sequence is named by its number, which nobody calls a change.
        let numbered = format!("{} v{}", master.name, master.version_number);
        version.renamed_from = original
            .filter(|original| **original != item.name && numbered != item.name)
            .cloned();
        let inner = item.files.iter().zip(&master.files);
        version.names_changed = if master.many {
            inner.filter(|(file, from)| file.name != from.name).count() as u64
                + u64::from(version.renamed_from.is_some())
        } else {
            u64::from(version.renamed_from.is_some())
        };
        let storage = match &master.storage {
            Some(id) => self.systems.iconik.storage(id).await?,
            None => None,
        };
        version.storage = storage
            .as_ref()
            .map(|storage| storage.label().to_owned())
            .or_else(|| master.storage.as_ref().map(|id| id.0.clone()));
        version.cloud = master.method.is_cloud();
        version.archived = master.archived;
        Ok(())
    }

    /// What a person must do before it can be filed.
    async fn hindrance(
        &self,
        item: &NewItem,
        master: &Master,
        version: &mut Version,
    ) -> Result<Option<(&'static str, String)>, Error> {
        for file in &item.files {
            let rules = &self.rules;
            match pieces(
                file.size,
                self.window,
                rules.single_post_max,
                rules.oversize,
            ) {
                Ok(1) => {}
                Ok(pieces) => version.segments += pieces,
                Err(failure) => {
                    return Ok(Some(("oversize", format!("{}: {failure}", file.name))));
                }
            }
        }
        if master.method != Method::File {
            return Ok(None);
        }
        if let Err(failure) = self.systems.iconik.check_mount(master).await {
            return Ok(Some(("no-mount", failure.to_string())));
        }
        // A mounted storage is at hand: whether its files are there costs next to nothing.
        let reader = self.systems.iconik.reader();
        for file in master.files.iter().take(LOOKED_FOR) {
            if let Err(failure) = reader.open(&master.source_file(file)).await {
                return Ok(Some(("missing-file", failure.to_string())));
            }
        }
        Ok(None)
    }

    /// Looks at the destination, as the engine would before it sends a byte: whose is what has
    /// the document's name?
    async fn look_there(
        &self,
        item: &NewItem,
        other: &str,
        version: &mut Version,
        place: &mut Place,
    ) -> Result<(), Error> {
        let folder = item.kind == "folder";
        if place.document.is_none() {
            let found = self.find(item, other, folder, version).await?;
            place.document = found;
        }
        let Some(node) = place.document.filter(|_| !folder) else {
            // An earlier version that moves with this plan makes the document.
            if place.to_be_made && !folder {
                version.action = Action::NewVersion;
            }
            place.to_be_made |= !folder;
            return Ok(());
        };
        version.node = Some(node);
        version.action = Action::NewVersion;
        for stored in self.systems.destination.versions(node).await? {
            let ours = VersionNote::parse(&stored.description)
                .is_some_and(|note| note.marker.as_str() == item.marker);
            // The ledger knows that its version has other content.
            let known = version.version == Some(stored.number);
            if ours && stored.size == version.bytes && !known {
                version.action = Action::AlreadyThere;
                version.version = Some(stored.number);
                version.why = "already-there".to_owned();
                version.detail = format!(
                    "version {} of node {node} has its marker and size; a run reads it back",
                    stored.number
                );
            }
        }
        Ok(())
    }

    /// The published document that is this asset's; what else has its name is noted.
    async fn find(
        &self,
        item: &NewItem,
        other: &str,
        folder: bool,
        version: &mut Version,
    ) -> Result<Option<NodeId>, Error> {
        let destination = &self.systems.destination;
        let mut markers = vec![item.marker.clone()];
        markers.extend(item.kin.iter().cloned());
        for id in self.ledger(|ledger| ledger.adopted(&markers))? {
            match destination.node(id).await {
                Ok(node) if !node.container && node.parent != self.rules.staging => {
                    return Ok(Some(id));
                }
                Ok(_) => {}
                Err(failure) if is_hidden(&failure) => {}
                Err(failure) => return Err(failure.into()),
            }
        }
        for name in [item.name.as_str(), other] {
            let Some(node) = destination.child(self.systems.target, name).await? else {
                continue;
            };
            if self.is_ours(&node, &markers, item, folder).await? {
                if !folder {
                    return Ok(Some(node.id));
                }
                version.node = Some(node.id);
                version.action = Action::AlreadyThere;
                version.why = "already-there".to_owned();
                version.detail = format!(
                    "folder {} holds a file with its marker; a run files what is missing",
                    node.id
                );
                return Ok(None);
            }
            if name == item.name {
                version.detail = format!("its name is taken by node {}", node.id);
                version.filed_as = Some(other.to_owned());
                // The node is not its own: only the text names it.
            }
        }
        // A name that another item of the ledger is going to take.
        if version.filed_as.is_none() {
            let named =
                self.ledger(|ledger| ledger.items_named(self.systems.target, &item.name))?;
            let own = intake::asset_of(&item.key);
            let rival = named.iter().find(|rival| {
                intake::asset_of(&rival.key) != own
                    && matches!(rival.state.as_str(), "planned" | "active" | "waiting")
            });
            if let Some(rival) = rival {
                version.detail = format!("its name is taken by {} of run {}", rival.key, rival.run);
                version.filed_as = Some(other.to_owned());
            }
        }
        Ok(None)
    }

    async fn is_ours(
        &self,
        node: &Node,
        markers: &[String],
        item: &NewItem,
        folder: bool,
    ) -> Result<bool, Error> {
        let destination = &self.systems.destination;
        if node.container != folder {
            return Ok(false);
        }
        let mut document = node.id;
        let mut wanted = markers;
        let first;
        if folder {
            let Some(file) = item.files.first() else {
                return Ok(false);
            };
            for name in file.dir.split('/').filter(|name| !name.is_empty()) {
                match destination.child(document, name).await? {
                    Some(inside) if inside.container => document = inside.id,
                    _ => return Ok(false),
                }
            }
            match destination.child(document, &file.name).await? {
                Some(child) if !child.container => document = child.id,
                _ => return Ok(false),
            }
            first = [file.marker.clone()];
            wanted = &first;
        }
        let versions = destination.versions(document).await?;
        Ok(versions.iter().any(|version| {
            VersionNote::parse(&version.description)
                .is_some_and(|note| wanted.iter().any(|marker| marker == note.marker.as_str()))
        }))
    }
}

/// What is known of where an asset's document is, from one version to the next.
#[derive(Default)]
struct Place {
    document: Option<NodeId>,
    to_be_made: bool,
}

fn is_hidden(failure: &Failure) -> bool {
    use crate::types::Reason;
    matches!(failure.reason, Reason::Inaccessible | Reason::NotFound)
}

fn said(item: &crate::ledger::Item) -> String {
    let message = item.message.as_deref().unwrap_or("no reason recorded");
    format!("run {} left it {}: {message}", item.run, item.state)
}

/// The word for a refused item, from its fingerprint: `refused no-original`.
/// What a record becomes, as its item says it.
fn filing_of(item: &NewItem) -> Option<serde_json::Value> {
    let record: crate::transfer::Record = serde_json::from_str(item.record.as_deref()?).ok()?;
    Some(record.filing)
}

fn refusal(item: &NewItem) -> &str {
    item.fingerprint
        .strip_prefix("refused ")
        .unwrap_or(&item.fingerprint)
}
