//! Keeps as many items in hand as the settings allow, until nothing is left or somebody says stop.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use serde_json::json;
use tokio::task::JoinSet;

use super::{Engine, Shared, item, ledger_failure};
use crate::ledger::{Change, Entry, Item, ItemPatch};
use crate::telemetry::crash_point;
use crate::types::{Failure, FailureClass, Reason, RunId};

/// Look for new work at least this often: the enumeration may have added some.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Longest wait before an item that waits is tried again.
const PATIENCE: Duration = Duration::from_secs(15 * 60);

/// How a run's work in this process ended.
#[derive(Debug)]
pub enum Outcome {
    /// Nothing is left that could be done now; the items' states say how each ended.
    Finished,
    /// Told to stop; a resume goes on.
    Stopped,
    /// Only items that wait are left, and the settings say not to wait for them.
    Waiting,
    /// Nothing can go on.
    Failed(Failure),
}

impl Engine {
    /// Works on a run until nothing is left. `scanning` says whether items may still be added.
    /// Dropping the future is safe at any time: what was recorded stands, the rest moves again.
    pub async fn run(&self, run: RunId, scanning: impl Fn() -> bool + Send) -> Outcome {
        let shared = &self.shared;
        let work = self.work(run, scanning);
        tokio::select! {
            biased;
            () = shared.stop.leave.cancelled() => Outcome::Stopped,
            outcome = work => outcome,
            () = super::tuner::tune(shared), if shared.config.tune => Outcome::Stopped,
            never = shared.look_after_outages(run) => match never {},
        }
    }

    async fn work(&self, run: RunId, scanning: impl Fn() -> bool) -> Outcome {
        let shared = &self.shared;
        let mut hands: JoinSet<Result<(), Failure>> = JoinSet::new();
        // Later than now only for items whose turn a clock that was set back has put out of reach.
        let mut horizon = 0;
        loop {
            let draining = shared.stop.drain.is_cancelled();
            // Read before looking for items: what was added before the scan ended is then seen.
            let more_to_come = scanning();
            let free = shared.config.items.max(1).saturating_sub(hands.len());
            let mut taken = 0;
            let held = shared.hold.active();
            let open = shared.steer.is_open();
            if !draining && free > 0 && !held && open {
                let now = shared.now_ms().max(horizon);
                let items = match shared.ledger.take_items(run, now, free).await {
                    Ok(items) => items,
                    Err(error) => return Outcome::Failed(ledger_failure(error)),
                };
                taken = items.len();
                if taken > 0 {
                    crash_point("taken");
                }
                for item in items {
                    hands.spawn(one(Arc::clone(shared), item));
                }
            }
            if hands.is_empty() {
                if draining {
                    return Outcome::Stopped;
                }
                if held && !shared.config.wait {
                    return Outcome::Waiting;
                }
                if taken == 0 && !more_to_come && !held && open {
                    let now = shared.now_ms();
                    match shared.ledger.next_due(run).await {
                        Err(error) => return Outcome::Failed(ledger_failure(error)),
                        Ok(None) => return Outcome::Finished,
                        // No item waits so long: the clock was set back since.
                        Ok(Some(due)) if due > now.saturating_add(longest_ms(shared)) => {
                            horizon = due;
                            continue;
                        }
                        Ok(Some(due)) if due > now && !shared.config.wait => {
                            return Outcome::Waiting;
                        }
                        Ok(Some(_)) => {}
                    }
                }
            }
            tokio::select! {
                Some(done) = hands.join_next(), if !hands.is_empty() => {
                    let failure = match done {
                        Ok(Ok(())) => continue,
                        Ok(Err(failure)) => failure,
                        Err(error) => Failure::defect(format_args!("a transfer ended early: {error}")),
                    };
                    return Outcome::Failed(failure);
                }
                () = shared.stop.drain.cancelled(), if !draining => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }
}

/// One item; an error only when nothing at all can go on.
async fn one(shared: Arc<Shared>, item: Item) -> Result<(), Failure> {
    shared.progress.begin(&item.title);
    let outcome = std::panic::AssertUnwindSafe(item::run(&shared, &item))
        .catch_unwind()
        .await;
    shared.progress.end(&item.title);
    match outcome {
        Ok(Ok(())) => {
            shared
                .progress
                .items_done
                .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            if let Some(away) = shared.hold.filed() {
                shared.note_back(item.run, &away).await;
            }
            Ok(())
        }
        Ok(Err(failure)) => {
            let failure = shared.blame(&item, failure).await;
            settle(&shared, &item, failure).await
        }
        Err(_) => Err(Failure::defect(format_args!("{} ended early", item.title))),
    }
}

/// Records how an item that did not get to its end stands now.
async fn settle(shared: &Shared, item: &Item, failure: Failure) -> Result<(), Failure> {
    let (state, attempts, wait) = next_state(shared, item, &failure);
    // The journal and the summary tell people; the log is for whoever looks closer.
    tracing::debug!(item = %item.id, title = %item.title, state, class = %failure.class, error = %failure, "item not done");
    let next_at = shared
        .now_ms()
        .saturating_add(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX));
    if failure.reason == Reason::Full {
        // More would only be sent to be refused.
        shared.hold.hold(wait);
        tracing::warn!(error = %failure, ?wait, "the destination is full; nothing new is begun for a while");
    }
    if !matches!(state, "planned" | "waiting") {
        shared
            .progress
            .items_stopped
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }
    let told_to_stop = failure.reason == Reason::Stopped;
    let reason = serde_json::to_value(failure.reason)
        .ok()
        .and_then(|value| value.as_str().map(str::to_owned));
    let patch = ItemPatch {
        state: Some(state.into()),
        attempts: Some(attempts),
        next_at: Some(if state == "planned" && told_to_stop {
            0
        } else {
            next_at
        }),
        failure: (!told_to_stop).then(|| {
            Some((
                failure.class.as_str().to_owned(),
                reason.unwrap_or_default(),
                failure.message.clone(),
            ))
        }),
        ..Default::default()
    };
    let mut change = Change::new().item(item.id, patch);
    if !told_to_stop {
        change = change.journal(Entry {
            run: Some(item.run),
            item: Some(item.id),
            file: None,
            event: state.into(),
            data: json!({
                "class": failure.class, "reason": failure.reason, "error": failure.message,
                "attempts": attempts, "next_at": next_at,
            })
            .to_string(),
        });
    }
    shared.ledger.apply(change).await.map_err(ledger_failure)?;
    if failure.class == FailureClass::StopEverything {
        Err(failure)
    } else {
        Ok(())
    }
}

/// State, attempts burned, and the wait before the next try.
fn next_state(shared: &Shared, item: &Item, failure: &Failure) -> (&'static str, u32, Duration) {
    // What a drain cut short burned no attempt: a resume takes it up at once, and an intent in the
    // ledger still waits its quiet time.
    let passing = !matches!(
        failure.class,
        FailureClass::ItemIsWrong | FailureClass::StopEverything
    );
    if failure.reason == Reason::Stopped || (shared.draining() && passing) {
        return ("planned", item.attempts, Duration::ZERO);
    }
    match failure.class {
        FailureClass::RetryNow | FailureClass::Resign | FailureClass::SignInAgain => {
            let attempts = item.attempts + 1;
            if attempts >= shared.config.attempts {
                // Addresses that never open are access withdrawn: that is for a person.
                let end = match failure.class {
                    FailureClass::Resign => "parked",
                    _ => "failed",
                };
                (end, attempts, Duration::ZERO)
            } else {
                (
                    "waiting",
                    attempts,
                    failure
                        .retry_after
                        .unwrap_or_else(|| shared.config.backoff(attempts + 2)),
                )
            }
        }
        FailureClass::RetryLater => {
            // Throttled or waiting: no attempt is burned, but a short answer does not spin.
            let wait = failure
                .retry_after
                .unwrap_or(Duration::from_secs(60))
                .max(shared.config.first_backoff)
                .min(longest(shared));
            ("waiting", item.attempts, wait)
        }
        FailureClass::ItemIsWrong => {
            let state = match failure.reason {
                Reason::Held | Reason::Incomplete => "held",
                Reason::NameTaken => "conflict",
                Reason::Mismatch => "quarantined",
                _ => "parked",
            };
            (state, item.attempts + 1, Duration::ZERO)
        }
        FailureClass::StopEverything => ("planned", item.attempts, Duration::ZERO),
    }
}

/// Longest wait of any item.
fn longest(shared: &Shared) -> Duration {
    PATIENCE.max(shared.config.commit_quiet)
}

fn longest_ms(shared: &Shared) -> i64 {
    i64::try_from(longest(shared).as_millis()).unwrap_or(i64::MAX)
}
