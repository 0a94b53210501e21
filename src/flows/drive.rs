//! Runs a flow: enumeration, engine and reports side by side.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::intake::{self, Intake};
use super::shown::{Phase, Shown};
use super::{Enumerate, Error, Systems, package, write_back};
use crate::ledger::{Ledger, StateCount};
use crate::pace::Pace;
use crate::transfer::{Engine, Outcome, Progress};
use crate::types::{AssetId, CollectionId, RunId};

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
        let shown = Shown::new(&self.ledger.summary(self.run).await?);
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
                Outcome::Finished => {
                    shown.enter(Phase::Packing);
                    self.pack().await
                }
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
                    _ = tick.tick() => self.housekeeping(&shown, &over).await?,
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
            shown.enter(Phase::Telling);
            self.show(&shown).await?;
            self.tell_the_rest().await?;
        } else if let Ok(ended) = tokio::time::timeout(LAST_WORDS, care).await {
            ended?;
        }
        self.show_end(&shown, &outcome).await?;
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

    async fn housekeeping(&self, shown: &Shown, over: &CancellationToken) -> Result<(), Error> {
        self.follow_calendar();
        write_back::deliver(&self.systems, &self.ledger, over).await?;
        // The report throttles itself and never fails a run.
        self.show(shown).await
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
