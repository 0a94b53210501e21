//! What becomes of each asset of a selection.

use std::sync::{Arc, Mutex, PoisonError};

use futures::stream::{BoxStream, StreamExt, TryStreamExt};
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use super::records::{AFTER, CHANGED};
use super::settle::{Claims, Taken, judge, once, settle};
use super::there::Place;
use super::{Action, Decision, Verdict, Version};
use crate::content_server::fold;
use crate::flows::intake::{self, Duplicates, Intake, Looked};
use crate::flows::publish;
use crate::flows::{Error, Systems, Wanted};
use crate::iconik::{Found, Master};
use crate::ledger::{NewItem, Reader};
use crate::sidecar::rights::Policy;
use crate::transfer::{Oversize, Window, suffixed};
use crate::types::{AssetId, NodeId, Role};

/// Assets looked at at once; iconik's call limit is the brake, not this.
const AT_ONCE: usize = 8;
/// Disturbances of iconik that one asset waits out, a minute in all.
const WAITS: u32 = 6;

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
pub struct Planner(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) systems: Systems,
    intake: Intake,
    pub(super) rules: Rules,
    pub(super) window: Option<Window>,
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

impl Inner {
    /// What the ledger says; nothing without one.
    pub(super) fn ledger<T: Default>(
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
            let (mut all, mut done) = (0u64, 0u64);
            self.ledger(|ledger| {
                ledger.each_item_below(&prefix, |item| {
                    all += 1;
                    done += u64::from(item.state == "done");
                })
            })?;
            decision.why = match (all, done) {
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
            rights: rights_of(item),
        };
        let folder = item.kind == "folder";
        if folder {
            version.action = Action::NewFolder;
        }
        let known = self.ledger(|ledger| ledger.item_by_key(&item.key))?;
        let same = match &known {
            Some(known) => self.ledger(|ledger| ledger.is_content_of(known, item))?,
            None => false,
        };
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
                    CHANGED,
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
                "done" if item.nothing_left().is_some() => Some((
                    Action::AlreadyFiled,
                    "already-filed",
                    format!(
                        "run {} filed it; the source has nothing of it now: {}",
                        known.run,
                        item.nothing_left().unwrap_or_default()
                    ),
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
            version.why = AFTER.to_owned();
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
}

fn said(item: &crate::ledger::Item) -> String {
    let message = item.message.as_deref().unwrap_or("no reason recorded");
    format!("run {} left it {}: {message}", item.run, item.state)
}

/// What a record becomes, as its item says it.
fn filing_of(item: &NewItem) -> Option<serde_json::Value> {
    let record: crate::transfer::Record = serde_json::from_str(item.record.as_deref()?).ok()?;
    Some(record.filing)
}

/// What the rights sidecar of an item says as a whole.
fn rights_of(item: &NewItem) -> Option<String> {
    let mut sidecars = item
        .files
        .iter()
        .filter(|file| Role::from_name(&file.role) == Some(Role::Rights));
    let policy = Policy::parse(sidecars.next()?.content.as_deref()?).ok()?;
    let word = match policy.status {
        Some(status) => status.as_str(),
        None if policy.permissions.is_empty() => "nothing permitted",
        None => "permitted",
    };
    Some(match policy.permissions.len() {
        0 | 1 => word.to_owned(),
        several => format!("{word}, {several} licences"),
    })
}

/// The word for a refused item, from its fingerprint: `refused no-original`.
fn refusal(item: &NewItem) -> &str {
    item.fingerprint
        .strip_prefix("refused ")
        .unwrap_or(&item.fingerprint)
}
