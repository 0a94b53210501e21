//! From creative sign-off to formal approval: a workflow for each asset version, exactly once.
//!
//! When the review of a filed asset's current version is complete in iconik, the workflow that the
//! routes choose is started in Content Server with the document attached, and watched to its end.
//! What comes of it is told to iconik, marked on the document, and kept: [`Rejections`] has
//! `publish` refuse a version that was rejected.
//!
//! ```text
//! filed item ─ approved in iconik ─ route ─ draft ─ fill ─ start ─ watch ─ outcome
//!                                             │              │                ├─ document marked
//!                         the ledger has it before each ─────┘                └─ iconik told
//! ```
//!
//! A start whose answer was lost is looked up by the marker in the process's title. Processes that
//! are deleted or started by another user cannot be found so; a start that is not found therefore
//! waits for a person, and is never made a second time by itself. Nor is one that a lost ledger
//! knew of.
//!
//! | File | Holds |
//! |---|---|
//! | `mod.rs` | which assets are looked at, and what follows for each |
//! | `case.rs` | what the ledger remembers of an asset version |
//! | `route.rs` | which workflow, with which form values |
//! | `start.rs` | the start |
//! | `earlier.rs` | what was begun and the ledger does not know |
//! | `watch.rs` | how far a process is |
//! | `outcome.rs` | what came of it |
//! | `tell.rs` | what both systems are told |
//! | `decide.rs` | what a person says about it |

mod case;
mod decide;
mod earlier;
mod outcome;
mod route;
mod start;
mod tell;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;

pub use case::{Case, Ending, Progress, Stage, Step, Verdict};
pub use decide::{Listed, Ruling, decide, listed};
pub use outcome::{Rule, Source};
pub use route::{Route, startable};
pub use start::is_own_comment;
pub use tell::{Mark, TELLABLE, Tell};

use super::metadata::edited_since_last;
use super::publish::Approved;
use super::write_back::ItemSource;
use super::{Error, Systems};
use crate::ledger::{Change, Entry, Item, Ledger, Reader};
use crate::sidecar::mapping::Binding;
use crate::types::{AssetId, FailureClass, ItemId, NodeId, Reason, VersionId, VersionNumber};

/// The name under which the ledger remembers what this flow knows.
pub const FLOW: &str = "approval";
/// Filed items read from the ledger at once.
const PAGE: usize = 200;
/// Where the start of the last run stands in the ledger.
const CURSOR: &str = "approval looked at";

/// What is approved, by whom, and who is told.
#[derive(Clone, Debug)]
pub struct Policy {
    /// When an asset is ready for it.
    pub when: Approved,
    /// Which field of the source fills which attribute: routes and forms go by its names.
    pub binding: Binding,
    /// The ways; the first that takes an asset counts.
    pub routes: Vec<Route>,
    /// What came of a process.
    pub outcome: Rule,
    /// The word on the document.
    pub mark: Option<Mark>,
    /// What iconik's metadata is told.
    pub tell: Option<Tell>,
    /// Whether iconik's review gets a vote.
    pub vote: bool,
}

impl Policy {
    /// Tells one policy from another.
    fn digest(&self) -> String {
        digest(&(&self.when, &self.binding, &self.routes))
    }
}

/// A short digest of something as it is shown.
fn digest(of: &impl std::fmt::Debug) -> String {
    use sha2::{Digest as _, Sha256};
    hex::encode(&Sha256::digest(format!("{of:?}"))[..8])
}

/// A run of the flow.
pub struct Approvals<'a> {
    /// Both systems.
    pub systems: &'a Systems,
    /// The ledger.
    pub ledger: &'a Ledger,
    /// What is approved, by whom, and who is told.
    pub policy: &'a Policy,
    /// Look at every filed asset in iconik, and offer again what was refused.
    pub full: bool,
    /// Say what would be done, and do nothing.
    pub dry_run: bool,
}

/// What was decided about an asset version.
#[derive(Clone, Debug, Serialize)]
pub struct Decision {
    /// The asset.
    pub asset: AssetId,
    /// Its version.
    pub version: VersionId,
    /// The item's title.
    pub title: String,
    /// Its document.
    pub node: NodeId,
    /// The route; empty where none is chosen.
    pub route: String,
    /// The process, when there is one.
    pub process: Option<i64>,
    /// What follows.
    pub outcome: Outcome,
    /// Why, for people.
    pub why: String,
}

/// What follows for an asset version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Its process is started.
    Started,
    /// Its process was started before, and found by its marker.
    Found,
    /// Its process has moved on.
    Moved,
    /// It is approved.
    Approved,
    /// It is rejected.
    Rejected,
    /// Whether its process was started is not known: a person has to look.
    Unclear,
    /// What came of its process is not known: a person has to say.
    Puzzling,
    /// A system does not take what it is given.
    Refused,
    /// Its document or its asset is not there any more, or may not be seen.
    Gone,
    /// It is not complete in iconik.
    NotComplete,
}

impl Outcome {
    /// The word for people and machines.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Found => "found",
            Self::Moved => "moved",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
            Self::Unclear => "unclear",
            Self::Puzzling => "puzzling",
            Self::Refused => "refused",
            Self::Gone => "gone",
            Self::NotComplete => "not-complete",
        }
    }
}

/// What a run came to.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Totals {
    /// Filed assets.
    pub assets: u64,
    /// Processes that run.
    pub running: u64,
    /// Of these, those with a step that is late.
    pub overdue: u64,
    /// Decisions by what followed.
    pub outcomes: BTreeMap<Outcome, u64>,
}

/// A filed version of an asset.
#[derive(Clone, Debug)]
struct Subject {
    asset: AssetId,
    version: VersionId,
    number: i64,
    title: String,
    node: NodeId,
    document_version: Option<VersionNumber>,
    item: ItemId,
    /// Whether it is the newest one that is filed: only that speaks for document and asset.
    newest: bool,
}

impl Subject {
    fn of(item: Item) -> Option<Self> {
        let source: ItemSource = serde_json::from_str(&item.source).ok()?;
        let (_, version) = item.key.split_once('/')?;
        Some(Self {
            version: VersionId(version.to_owned()),
            asset: source.asset,
            number: source.version_number,
            node: item.node?,
            document_version: item.version,
            item: item.id,
            title: item.title,
            newest: false,
        })
    }

    fn decision(&self, case: Option<&Case>, outcome: Outcome, why: String) -> Decision {
        Decision {
            asset: self.asset.clone(),
            version: self.version.clone(),
            title: self.title.clone(),
            node: self.node,
            route: case.map(|case| case.route.clone()).unwrap_or_default(),
            process: case.and_then(Case::process),
            outcome,
            why,
        }
    }

    fn new_case(&self, stage: Stage) -> Case {
        Case {
            title: self.title.clone(),
            number: self.number,
            node: self.node,
            document_version: self.document_version,
            route: String::new(),
            attempt: 1,
            stage,
            done: case::Done::default(),
        }
    }
}

type Each<'a> = &'a mut (dyn FnMut(&Decision) + Send);

impl Approvals<'_> {
    /// Starts what is ready and looks after what runs. Every decision is told to `each`.
    ///
    /// # Errors
    ///
    /// The ledger's, and what makes no sense to go on with: a system that is away, a sign-in that
    /// is refused. One asset's own trouble is a decision.
    pub async fn run(&self, each: Each<'_>) -> Result<Totals, Error> {
        let begun = Timestamp::now();
        let edited = edited_since_last(self.systems, self.ledger, CURSOR, self.full).await?;
        let mut totals = Totals::default();
        let mut after = String::new();
        let mut group: Vec<Subject> = Vec::new();
        loop {
            let page = self.ledger.filed(&after, PAGE).await?;
            let ended = page.len() < PAGE;
            if let Some(item) = page.last() {
                after.clone_from(&item.key);
            }
            // An asset's versions follow each other.
            for subject in page.into_iter().filter_map(Subject::of) {
                if group.first().is_some_and(|own| own.asset != subject.asset) {
                    let versions = std::mem::take(&mut group);
                    self.asset(versions, edited.as_ref(), &mut totals, each)
                        .await?;
                }
                group.push(subject);
            }
            if ended {
                break;
            }
        }
        self.asset(group, edited.as_ref(), &mut totals, each)
            .await?;
        if !self.dry_run {
            self.ledger.set_meta(CURSOR, &begun.to_string()).await?;
        }
        Ok(totals)
    }

    /// The same for one asset.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub async fn one(&self, asset: &AssetId, each: Each<'_>) -> Result<Totals, Error> {
        let mut totals = Totals::default();
        let page = self.ledger.filed(&format!("{asset}/"), PAGE).await?;
        let own = page.into_iter().filter_map(Subject::of);
        let own = own.filter(|subject| subject.asset == *asset).collect();
        self.asset(own, None, &mut totals, each).await?;
        Ok(totals)
    }

    /// Looks at the filed versions of one asset.
    async fn asset(
        &self,
        mut versions: Vec<Subject>,
        edited: Option<&BTreeSet<AssetId>>,
        totals: &mut Totals,
        each: Each<'_>,
    ) -> Result<(), Error> {
        versions.sort_by_key(|subject| subject.number);
        let Some(last) = versions.last_mut() else {
            return Ok(());
        };
        last.newest = true;
        totals.assets += 1;
        let mut cases = BTreeMap::new();
        for fact in self.ledger.remembered(FLOW, last.asset.as_str()).await? {
            cases.insert(fact.field.clone(), Case::of(&fact)?);
        }
        for subject in &versions {
            let mut case = cases.remove(subject.version.as_str());
            let mut decisions = Vec::new();
            let looked = self
                .version(subject, &mut case, edited, &mut decisions)
                .await;
            let mut ended: Result<(), Error> = Ok(());
            if let Err(error) = looked {
                let failure = error.into_failure();
                let own = failure.class == FailureClass::ItemIsWrong
                    || failure.reason == Reason::Incomplete;
                if own {
                    let why = failure.to_string();
                    decisions.push(subject.decision(case.as_ref(), Outcome::Gone, why));
                } else {
                    ended = Err(failure.into());
                }
            }
            for decision in &decisions {
                *totals.outcomes.entry(decision.outcome).or_default() += 1;
                each(decision);
            }
            ended?;
            if let Some(Stage::Running { progress, .. }) = case.as_ref().map(|case| &case.stage) {
                totals.running += 1;
                totals.overdue += u64::from(progress.is_overdue(Timestamp::now()));
            }
        }
        Ok(())
    }

    /// What follows for one version, given what is known of it. What was decided before something
    /// went wrong is in `decisions` too.
    async fn version(
        &self,
        subject: &Subject,
        case: &mut Option<Case>,
        edited: Option<&BTreeSet<AssetId>>,
        decisions: &mut Vec<Decision>,
    ) -> Result<(), Error> {
        let is_new = edited.is_none_or(|edited| edited.contains(&subject.asset));
        match case.as_ref().map(|case| &case.stage) {
            // An older version was either taken care of while it was current, or is history.
            None if !subject.newest => return Ok(()),
            None | Some(Stage::Intended | Stage::Drafted { .. }) => {}
            Some(Stage::Waiting {
                pending, policy, ..
            }) => {
                let look = *pending || is_new || *policy != self.policy.digest();
                if !look || !subject.newest {
                    return Ok(());
                }
            }
            Some(Stage::Refused { why, policy, .. }) => {
                if !is_new && *policy == self.policy.digest() || !subject.newest {
                    let why = why.clone();
                    decisions.push(subject.decision(case.as_ref(), Outcome::Refused, why));
                    return Ok(());
                }
            }
            Some(_) => {
                decisions.extend(self.look_after(subject, case).await?);
                decisions.extend(self.settle(subject, case).await?);
                return Ok(());
            }
        }
        decisions.extend(self.consider(subject, case).await?);
        decisions.extend(self.settle(subject, case).await?);
        Ok(())
    }

    /// Remembers a case, with a journal line where something has happened.
    async fn remember(
        &self,
        subject: &Subject,
        case: &Case,
        line: Option<(&str, serde_json::Value)>,
    ) -> Result<(), Error> {
        if self.dry_run {
            return Ok(());
        }
        let now = Timestamp::now().as_millisecond();
        let mut change = Change::new().fact(case.fact(&subject.asset, &subject.version, now));
        if let Some((event, mut data)) = line {
            data["asset"] = json!(subject.asset);
            data["version"] = json!(subject.version);
            data["node"] = json!(case.node);
            change = change.journal(Entry {
                item: Some(subject.item),
                event: event.to_owned(),
                data: data.to_string(),
                ..Entry::default()
            });
        }
        self.ledger.apply(change).await?;
        Ok(())
    }
}

/// The versions that approval processes rejected, as the ledger remembers them.
#[derive(Clone, Debug)]
pub struct Rejections(Arc<Mutex<Reader>>);

impl Rejections {
    /// Those of a ledger; none while it does not exist.
    ///
    /// # Errors
    ///
    /// The ledger's.
    pub fn in_ledger(path: &Path) -> Result<Option<Self>, crate::ledger::Error> {
        if !path.exists() {
            return Ok(None);
        }
        let reader = Reader::open(path)?;
        Ok(Some(Self(Arc::new(Mutex::new(reader)))))
    }

    /// Why a version was rejected; nothing when it was not.
    ///
    /// # Errors
    ///
    /// The ledger's, and what it has that cannot be read.
    pub fn of(&self, asset: &AssetId, version: &VersionId) -> Result<Option<String>, Error> {
        let facts = {
            let reader = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            reader.remembered(FLOW, asset.as_str())?
        };
        let Some(fact) = facts.iter().find(|fact| fact.field == version.as_str()) else {
            return Ok(None);
        };
        let case = Case::of(fact)?;
        Ok(match &case.stage {
            Stage::Ended {
                ending, process, ..
            } if ending.verdict == Verdict::Rejected => Some(format!(
                "version {} was {ending} (approval {:?}{}); a new version is needed",
                case.number,
                case.route,
                process.map_or(String::new(), |process| format!(", process {process}"))
            )),
            _ => None,
        })
    }
}
