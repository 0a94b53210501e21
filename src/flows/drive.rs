//! Runs a flow: enumeration, engine and reports side by side.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::json;
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

use super::intake::{self, Intake};
use super::{Enumerate, Error, Systems, package, write_back};
use crate::iconik::{JobEnd, JobReport, NewJob};
use crate::ledger::{Ledger, StateCount};
use crate::pace::Pace;
use crate::transfer::{Engine, Outcome, Progress};
use crate::types::{AssetId, CollectionId, JobId, RunId};

/// Outbox, calendar and job are looked after this often.
const HOUSEKEEPING: Duration = Duration::from_millis(500);
/// A message to iconik that is half way told when somebody says stop is given this long.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// At its end a run waits this long for an iconik that had a passing disturbance; what is not told
/// by then is told by the next `resume`.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the enumeration has come to; read while it runs.
#[derive(Debug, Default)]
pub struct Scan {
    /// Assets seen.
    pub seen: AtomicU64,
    /// Items added or found again.
    pub planned: AtomicU64,
    /// Assets left out, with a journal line each.
    pub left_out: AtomicU64,
    /// Whether it has reached its end.
    pub done: AtomicBool,
    changes: Mutex<BTreeMap<&'static str, u64>>,
}

impl Scan {
    /// Counts something that is not as the plan that is followed says.
    pub(super) fn changed(&self, what: &'static str) {
        *self.lock().entry(what).or_default() += 1;
    }

    /// What is not as the plan that is followed says, and how often.
    pub fn changes(&self) -> BTreeMap<&'static str, u64> {
        self.lock().clone()
    }

    pub(super) fn forget_changes(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, u64>> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The job that shows a run inside iconik, once there is one; none where it may not be made.
type Job = OnceCell<Option<JobReport>>;

/// A run being driven.
pub struct Drive {
    /// Both systems.
    pub systems: Systems,
    /// The ledger.
    pub ledger: Ledger,
    /// The engine.
    pub engine: Engine,
    /// The pace, for the calendar.
    pub pace: Arc<Pace>,
    /// The run.
    pub run: RunId,
    /// How masters become items.
    pub intake: Intake,
    /// The enumeration's counters.
    pub scan: Arc<Scan>,
    /// Collection that the iconik job is shown at.
    pub collection: Option<CollectionId>,
    /// The packages that are made of what is filed, once all of it is.
    pub package: Option<package::Order>,
    /// Those that were made.
    pub packed: Mutex<Vec<package::Packed>>,
}

impl Drive {
    /// The engine's counters.
    pub fn progress(&self) -> Arc<Progress> {
        self.engine.progress()
    }

    /// Works until nothing is left or somebody says stop. `assets` is `None` when an earlier
    /// process reached the end of the enumeration.
    ///
    /// # Errors
    ///
    /// The enumeration's, once the engine has finished what it had: nothing recorded is lost.
    pub async fn go(&self, assets: Option<Enumerate>) -> Result<Outcome, Error> {
        self.follow_calendar();
        self.ledger.posts_again().await?;
        let job = Job::new();
        let scanned_all = AtomicBool::new(false);
        let scanned = async {
            let outcome = match &assets {
                Some(assets) => {
                    intake::scan(
                        &self.systems,
                        &self.ledger,
                        self.run,
                        &self.intake,
                        assets,
                        &self.scan,
                    )
                    .await
                }
                None => Ok(()),
            };
            scanned_all.store(outcome.is_ok(), Ordering::SeqCst);
            self.scan.done.store(true, Ordering::SeqCst);
            outcome
        };
        let moved = async {
            let outcome = self
                .engine
                .run(self.run, || !self.scan.done.load(Ordering::SeqCst))
                .await;
            if !matches!(outcome, Outcome::Finished) || !scanned_all.load(Ordering::SeqCst) {
                return Ok(outcome);
            }
            match self.after_papers().await? {
                Outcome::Finished => self.pack().await,
                other => Ok(other),
            }
        };
        let work = async {
            // When the engine is told to stop, the enumeration stops with it: a resume goes on.
            tokio::pin!(scanned);
            tokio::pin!(moved);
            tokio::select! {
                outcome = &mut moved => (None, outcome),
                scan = &mut scanned => (Some(scan), moved.await),
            }
        };
        tokio::pin!(work);
        // Beside the work, never instead of it: what is half way through a call holds its turn.
        let over = CancellationToken::new();
        let care = async {
            let mut tick = tokio::time::interval(HOUSEKEEPING);
            tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    () = over.cancelled() => return Ok(()),
                    _ = tick.tick() => self.housekeeping(&job, &over).await?,
                }
            }
        };
        tokio::pin!(care);
        let (scan, outcome) = tokio::select! {
            done = &mut work => done,
            // Only a ledger that fails ends it before it is told to.
            Err(error) = &mut care => return Err(error),
        };
        let outcome = match outcome {
            Ok(outcome) => outcome,
            Err(error) => {
                over.cancel();
                let _ended = tokio::time::timeout(LAST_WORDS, care).await;
                return Err(error);
            }
        };
        // A message that is being told is told to its end: dropped half way, it would be told twice.
        over.cancel();
        // Whoever said stop does not wait for iconik: the outbox keeps what is left.
        if matches!(outcome, Outcome::Finished | Outcome::Waiting) {
            care.await?;
            self.tell_the_rest().await?;
        } else if let Ok(ended) = tokio::time::timeout(LAST_WORDS, care).await {
            ended?;
        }
        self.finish_job(&job, &outcome).await?;
        scan.unwrap_or(Ok(()))?;
        Ok(outcome)
    }

    /// Files the masters that were held until their papers were filed.
    async fn after_papers(&self) -> Result<Outcome, Error> {
        if self.intake.rights.is_none() {
            return Ok(Outcome::Finished);
        }
        let (systems, ledger, scan) = (&self.systems, &self.ledger, &self.scan);
        match intake::scan_waiting(systems, ledger, self.run, &self.intake, scan).await? {
            0 => Ok(Outcome::Finished),
            _ => Ok(self.engine.run(self.run, || false).await),
        }
    }

    /// Files assets that the enumeration did not find.
    async fn file_more(&self, assets: Vec<AssetId>) -> Result<Outcome, Error> {
        if assets.is_empty() {
            return Ok(Outcome::Finished);
        }
        let (systems, ledger, scan) = (&self.systems, &self.ledger, &self.scan);
        intake::scan_more(systems, ledger, self.run, &self.intake, assets, scan).await?;
        match self.engine.run(self.run, || false).await {
            Outcome::Finished => self.after_papers().await,
            other => Ok(other),
        }
    }

    /// Makes the packages that were ordered.
    async fn pack(&self) -> Result<Outcome, Error> {
        let Some(order) = &self.package else {
            return Ok(Outcome::Finished);
        };
        let bench = package::Bench {
            systems: &self.systems,
            ledger: &self.ledger,
            engine: &self.engine,
            pace: &self.pace,
            run: self.run,
            place: &order.place,
        };
        if order.sources == package::Sources::Include {
            let used = package::outside(bench, order).await?;
            match self.file_more(used).await? {
                Outcome::Finished => {}
                other => return Ok(other),
            }
        }
        let (outcome, packed) = package::pack(bench, order).await?;
        *self.packed.lock().unwrap_or_else(PoisonError::into_inner) = packed;
        Ok(outcome)
    }

    /// Applies what the calendar says now.
    fn follow_calendar(&self) {
        let now = jiff::Timestamp::now();
        self.pace.follow(&now);
        let closed = self.pace.closed_until(&now).is_some();
        if self.engine.steer().close(closed) {
            tracing::info!(closed, "the calendar's window");
        }
    }

    /// Empties the outbox, as far as iconik's disturbances pass soon.
    async fn tell_the_rest(&self) -> Result<(), Error> {
        let open = CancellationToken::new();
        let until = tokio::time::Instant::now() + PATIENCE;
        loop {
            while write_back::deliver(&self.systems, &self.ledger, &open).await? > 0 {}
            let Some(next) = self.ledger.posts_next().await? else {
                return Ok(());
            };
            let now = jiff::Timestamp::now().as_millisecond();
            let wait = Duration::from_millis(next.saturating_sub(now).max(0).unsigned_abs());
            if tokio::time::Instant::now() + wait > until {
                return Ok(());
            }
            tokio::select! {
                biased;
                () = self.engine.stopping() => return Ok(()),
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    async fn housekeeping(&self, job: &Job, over: &CancellationToken) -> Result<(), Error> {
        self.follow_calendar();
        write_back::deliver(&self.systems, &self.ledger, over).await?;
        if let Some(job) = self.shown(job).await? {
            let confirmed = self.engine.progress().confirmed.load(Ordering::Relaxed);
            // The report throttles itself and never fails a run.
            let _told = job.progress(confirmed, "filing in Content Server").await;
        }
        Ok(())
    }

    /// The job that shows the run inside iconik; none before there is anything to show. What waits
    /// for a person is looked at by every run from a timer, and is nothing to show by itself.
    async fn shown<'a>(&self, job: &'a Job) -> Result<Option<&'a JobReport>, Error> {
        if !job.initialized() && self.ledger.meta(&self.job_key()).await?.is_none() {
            let items = self.ledger.summary(self.run).await?;
            if items.iter().all(|count| count.state == "held") {
                return Ok(None);
            }
        }
        Ok(job.get_or_init(|| self.job()).await.as_ref())
    }

    fn job_key(&self) -> String {
        format!("job of run {}", self.run)
    }

    /// The job of the run; the same one after a resume. A token without the right to write jobs is
    /// no reason to stop.
    async fn job(&self) -> Option<JobReport> {
        let key = self.job_key();
        if let Ok(Some(id)) = self.ledger.meta(&key).await {
            return Some(self.systems.iconik.report_to(JobId(id)));
        }
        let new = NewJob {
            title: format!("longhaul run {}", self.run),
            custom_type: "LONGHAUL".into(),
            collection: self.collection.clone(),
            facts: json!({"run": self.run})
                .as_object()
                .cloned()
                .unwrap_or_default(),
            ..Default::default()
        };
        match self.systems.iconik.start_job(&new).await {
            Ok(job) => {
                if let Err(error) = self.ledger.set_meta(&key, job.id().as_str()).await {
                    tracing::warn!(%error, "the job's id was not recorded");
                }
                Some(job)
            }
            Err(error) => {
                tracing::warn!(%error, "no job is shown in iconik");
                None
            }
        }
    }

    async fn finish_job(&self, job: &Job, outcome: &Outcome) -> Result<(), Error> {
        let Some(job) = self.shown(job).await? else {
            return Ok(());
        };
        let confirmed = self.engine.progress().confirmed.load(Ordering::Relaxed);
        let end = match outcome {
            Outcome::Finished => {
                let open: u64 = not_done(&self.ledger.summary(self.run).await?);
                if open == 0 {
                    JobEnd::Finished
                } else {
                    JobEnd::Warning(format!("{open} items are not done"))
                }
            }
            Outcome::Failed(failure) => JobEnd::Failed(failure.to_string()),
            // It goes on: the job stays open.
            Outcome::Stopped | Outcome::Waiting => return Ok(()),
        };
        let _told = job.finish(&end, confirmed).await;
        Ok(())
    }
}

/// Items that are neither done nor declined by a person.
pub fn not_done(summary: &[StateCount]) -> u64 {
    summary
        .iter()
        .filter(|count| !matches!(count.state.as_str(), "done" | "declined"))
        .map(|count| count.items)
        .sum()
}
