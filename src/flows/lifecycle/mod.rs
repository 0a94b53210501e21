//! Lifecycle: what is obsolete, superseded or expired in iconik is told to its record, and what
//! Content Server makes of the record is carried out in iconik.
//!
//! ```text
//! marked ── status and date written, successor linked ──▶ in review ──▶ outcome
//!                                                                        │ retain: nothing
//!                                 a hold stops it, whenever it comes ◀───┤ archive: status or storage
//!                                                                        └ destroy: recycle bin,
//!                                                                          then a certificate
//! ```
//!
//! An asset's [`Case`] is kept in the ledger and names the step that it has reached; each step is
//! journalled with who, what and why before its effect, and what is written is compared with what
//! is there, so that whoever is killed in between goes on and does nothing twice.
//!
//! Nothing is destroyed unless the settings allow it, Content Server's outcome says so, a person
//! decided it, and no hold protects the document or anything it lies in. Holds and outcome are read
//! once more right before the asset goes into the recycle bin, and the holds once more after: one
//! that came in that very moment takes the asset out again. A hold voids the decision. Nothing is
//! purged.
//!
//! | File | Holds |
//! |---|---|
//! | `mod.rs` | which assets are looked at |
//! | `steps.rs` | in which order the steps of a case follow |
//! | `terms.rs` | marks, outcomes, steps, and what the settings ask for |
//! | `case.rs` | what the ledger keeps of an asset; a person's decision |
//! | `mark.rs` | what iconik says of an asset |
//! | `record.rs` | what the record is told, and told no more |
//! | `outcome.rs` | what Content Server says: outcome and holds |
//! | `act.rs` | carrying it out |
//! | `search.rs` | starting a disposition search |
//! | `certificate.rs` | the proof of a destruction |

mod act;
mod case;
pub mod certificate;
mod mark;
mod outcome;
mod record;
mod search;
mod steps;
mod terms;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::TryStreamExt as _;
use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::json;

pub use case::{Approval, Case, End, Stage, case_of, decide};
pub use terms::{Archive, Decision, Mark, Outcome, Place, Policy, Step, Totals};

use self::case::Known;
use super::write_back::ItemSource;
use super::{Error, Systems};
use crate::iconik::Selection;
use crate::ledger::{Item, Ledger};
use crate::types::{AssetId, FailureClass, NodeId, Reason};

/// The name under which the ledger remembers what this flow knows.
pub const FLOW: &str = "lifecycle";
/// Filed items read from the ledger at once.
const PAGE: usize = 200;
/// How far before the last run's start a quick look begins: iconik's index lags behind.
const OVERLAP: Duration = Duration::from_secs(600);
/// Where the start of the last run stands in the ledger.
const CURSOR: &str = "lifecycle looked at";
/// Assets in a row that may fail in passing before the run does.
const PATIENCE: u32 = 5;

/// A run of the flow.
pub struct Lifecycle<'a> {
    /// Both systems.
    pub systems: &'a Systems,
    /// The ledger.
    pub ledger: &'a Ledger,
    /// What is done.
    pub policy: &'a Policy,
    /// Who runs it.
    pub who: String,
    /// Whether who runs it decides what the outcome asks a person for.
    pub yes: bool,
    /// Look at everything, not only what seems changed.
    pub full: bool,
    /// Say what would be done, and do nothing.
    pub dry_run: bool,
}

/// A filed asset with all its documents.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The asset.
    pub asset: AssetId,
    /// Its title.
    pub title: String,
    /// The document of its newest version.
    pub node: NodeId,
    /// Its filed versions.
    pub items: Vec<Item>,
}

impl Subject {
    fn of(item: Item) -> Option<Self> {
        let source: ItemSource = serde_json::from_str(&item.source).ok()?;
        Some(Self {
            asset: source.asset,
            title: item.title.clone(),
            node: item.node?,
            items: vec![item],
        })
    }

    /// Adds another of its versions.
    fn add(&mut self, other: Self) {
        let number = |item: Option<&Item>| {
            let source = item.and_then(|item| serde_json::from_str(&item.source).ok());
            source.map_or(0, |source: ItemSource| source.version_number)
        };
        let newest = self.items.iter().find(|item| item.node == Some(self.node));
        if number(other.items.first()) >= number(newest) {
            self.node = other.node;
            self.title = other.title;
        }
        self.items.extend(other.items);
    }

    /// All its documents.
    fn nodes(&self) -> BTreeSet<NodeId> {
        self.items.iter().filter_map(|item| item.node).collect()
    }
}

/// A run at work.
struct Run<'a> {
    totals: Totals,
    each: &'a mut (dyn FnMut(&Decision) + Send),
    today: Date,
    /// Assets that others supersede, found in this run.
    superseded: Vec<AssetId>,
    /// What a disposition search says, of the nodes that it was asked about.
    reviews: BTreeMap<NodeId, Option<crate::content_server::DispositionEntry>>,
    /// Records of other unfinished cases.
    in_review: BTreeSet<NodeId>,
    /// When a disposition search was started last.
    searched: Option<Timestamp>,
    /// Records that a disposition search may be started for.
    unsearched: BTreeSet<NodeId>,
    /// Assets in a row that failed in passing.
    passing: u32,
}

/// An asset at work.
struct Work<'a> {
    subject: &'a Subject,
    known: Known,
    case: Case,
    /// Whether a person has to see to it, as this look found.
    waits: bool,
}

impl Run<'_> {
    fn say(&mut self, work: &Work<'_>, step: Step, why: impl Into<String>) {
        self.tell(
            work.subject,
            work.case.mark,
            step,
            why,
            work.case.due.clone(),
        );
    }

    fn tell(
        &mut self,
        subject: &Subject,
        mark: Option<Mark>,
        step: Step,
        why: impl Into<String>,
        due: Option<String>,
    ) {
        *self.totals.steps.entry(step).or_default() += 1;
        (self.each)(&Decision {
            asset: subject.asset.clone(),
            title: subject.title.clone(),
            node: subject.node,
            step,
            mark,
            why: why.into(),
            due,
        });
    }
}

impl Lifecycle<'_> {
    /// Looks at filed assets and carries each case as far as it goes. Every step is told to `each`.
    ///
    /// # Errors
    ///
    /// The ledger's, and what makes no sense to go on with: a system that is away, a sign-in that
    /// is refused. One asset's own trouble is a decision.
    pub async fn run(&self, each: &mut (dyn FnMut(&Decision) + Send)) -> Result<Totals, Error> {
        let begun = Timestamp::now();
        self.check_relation().await?;
        let edited = self.edited_in_iconik().await?;
        let mut run = begin(each);
        run.searched = self.last_search().await?;
        let mut after = String::new();
        let mut last: Option<Subject> = None;
        loop {
            let page = self.ledger.filed(&after, PAGE).await?;
            let ended = page.len() < PAGE;
            if let Some(item) = page.last() {
                after.clone_from(&item.key);
            }
            // An asset's versions follow each other.
            let mut subjects: Vec<Subject> = last.take().into_iter().collect();
            for subject in page.into_iter().filter_map(Subject::of) {
                match subjects.last_mut() {
                    Some(before) if before.asset == subject.asset => before.add(subject),
                    _ => subjects.push(subject),
                }
            }
            if !ended {
                last = subjects.pop();
            }
            self.look_at(subjects, edited.as_ref(), &mut run).await?;
            if ended {
                break;
            }
        }
        for asset in std::mem::take(&mut run.superseded) {
            if let Some(subject) = self.subject(&asset).await? {
                self.look(&subject, &mut run).await?;
            }
        }
        self.start_search(&mut run).await?;
        if !self.dry_run {
            self.ledger.set_meta(CURSOR, &begun.to_string()).await?;
        }
        Ok(run.totals)
    }

    /// The same for one asset, however quick the look.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub async fn one(
        &self,
        asset: &AssetId,
        each: &mut (dyn FnMut(&Decision) + Send),
    ) -> Result<Totals, Error> {
        let mut run = begin(each);
        if let Some(subject) = self.subject(asset).await? {
            run.totals.assets = 1;
            self.look(&subject, &mut run).await?;
        }
        Ok(run.totals)
    }

    /// A filed asset; nothing when it is not filed.
    async fn subject(&self, asset: &AssetId) -> Result<Option<Subject>, Error> {
        subject(self.ledger, asset).await
    }

    /// The assets that iconik's index calls changed since the last run; `None` when everything has
    /// to be looked at.
    async fn edited_in_iconik(&self) -> Result<Option<BTreeSet<AssetId>>, Error> {
        let last = self.ledger.meta(CURSOR).await?;
        let last = last.and_then(|text| text.parse::<Timestamp>().ok());
        let Some(last) = last.filter(|_| !self.full) else {
            return Ok(None);
        };
        let since = last
            .checked_sub(jiff::SignedDuration::try_from(OVERLAP).unwrap_or_default())
            .unwrap_or(last);
        let criteria = json!({
            "doc_types": ["assets"],
            "filter": {"operator": "AND", "terms": [
                {"name": "date_modified", "range": {"min": since.to_string()}},
            ]},
        });
        let selected = self.systems.iconik.select(&Selection::Criteria(criteria));
        Ok(Some(selected.try_collect().await?))
    }

    async fn look_at(
        &self,
        subjects: Vec<Subject>,
        edited: Option<&BTreeSet<AssetId>>,
        run: &mut Run<'_>,
    ) -> Result<(), Error> {
        let mut wanted = Vec::new();
        let mut reviewed = BTreeSet::new();
        for subject in subjects {
            run.totals.assets += 1;
            let facts = self.ledger.remembered(FLOW, subject.asset.as_str()).await?;
            let known = Known::of(&facts)?;
            let fresh = known.case.as_ref().is_none_or(|case| {
                matches!(case.stage, Stage::None | Stage::Closed(End::Withdrawn))
            });
            let due = fresh && known.expires.is_some_and(|day| day < run.today);
            let is_edited = edited.is_none_or(|edited| edited.contains(&subject.asset));
            if known.is_unfinished() {
                reviewed.insert(subject.node);
            }
            if is_edited || known.is_unfinished() || due {
                wanted.push(subject);
            }
        }
        self.ask_reviews(&reviewed, run).await?;
        for subject in &wanted {
            self.look(subject, run).await?;
        }
        Ok(())
    }

    /// Looks at one asset; its own trouble is a decision.
    async fn look(&self, subject: &Subject, run: &mut Run<'_>) -> Result<(), Error> {
        run.totals.looked_at += 1;
        let facts = self.ledger.remembered(FLOW, subject.asset.as_str()).await?;
        let known = Known::of(&facts)?;
        let mut work = Work {
            subject,
            case: known.case.clone().unwrap_or_default(),
            known,
            waits: false,
        };
        if work.known.is_unfinished() {
            run.in_review.extend(subject.nodes());
        }
        let error = match self.advance(&mut work, run).await {
            Ok(()) => {
                run.passing = 0;
                if !work.case.is_unfinished() {
                    let over = subject.nodes();
                    run.in_review.retain(|node| !over.contains(node));
                }
                if let (Stage::Review, Some(told)) = (work.case.stage, work.case.told)
                    && run.searched.is_none_or(|searched| searched < told)
                {
                    run.unsearched.extend(subject.nodes());
                }
                if work.known.open && !work.waits && !self.dry_run {
                    // What stopped it before is over.
                    work.case.problem = None;
                    self.save(&mut work, false, None).await?;
                }
                return Ok(());
            }
            Err(Error::Ledger(error)) => return Err(error.into()),
            Err(error) => error.into_failure(),
        };
        match error.class {
            FailureClass::ItemIsWrong => self.hold(&mut work, run, &error.message).await,
            _ if error.reason == Reason::Incomplete => {
                self.hold(&mut work, run, &error.message).await
            }
            FailureClass::RetryNow | FailureClass::RetryLater => {
                run.passing += 1;
                if run.passing >= PATIENCE {
                    return Err(error.into());
                }
                run.say(&work, Step::Later, error.message);
                Ok(())
            }
            _ => Err(error.into()),
        }
    }
}

fn begin(each: &mut (dyn FnMut(&Decision) + Send)) -> Run<'_> {
    Run {
        totals: Totals::default(),
        each,
        today: Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date(),
        superseded: Vec::new(),
        reviews: BTreeMap::new(),
        in_review: BTreeSet::new(),
        searched: None,
        unsearched: BTreeSet::new(),
        passing: 0,
    }
}

/// A filed asset; nothing when it is not filed.
async fn subject(ledger: &Ledger, asset: &AssetId) -> Result<Option<Subject>, Error> {
    let mut found: Option<Subject> = None;
    let mut after = format!("{asset}/");
    loop {
        let page = ledger.filed(&after, PAGE).await?;
        let full = page.len() == PAGE;
        for item in page {
            after.clone_from(&item.key);
            let Some(subject) = Subject::of(item).filter(|subject| subject.asset == *asset) else {
                return Ok(found);
            };
            match &mut found {
                Some(found) => found.add(subject),
                None => found = Some(subject),
            }
        }
        if !full {
            return Ok(found);
        }
    }
}
