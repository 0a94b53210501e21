//! Holds new items back while a system is away or full: a circuit breaker per system.
//!
//! An outage is not the items' fault: none of them burns an attempt for it, none is taken only to
//! fail, and work goes on by itself when the system is back. Whether it is an outage is asked, not
//! guessed: a system that answers a plain question is there, and the item is what is wrong. While
//! it is away the same question is asked again, by one asker, at growing intervals; the first
//! answer ends the outage.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::Shared;
use super::ends::SourceFile;
use crate::ledger::{Change, Entry, Item};
use crate::types::{Failure, FailureClass, Reason, RunId};

/// Longest wait between two looks at a system that is away.
const LONGEST: Duration = Duration::from_secs(60);
/// The first wait, as a multiple of the first wait between attempts.
const FIRST: u32 = 16;
/// A question that is not answered by then was not answered.
const ANSWER: Duration = Duration::from_secs(90);
/// Whether a question is due is looked at this often.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// One of the two systems.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The one that masters come from.
    Source,
    /// The one that they are filed in.
    Destination,
}

impl End {
    /// Its name in the journal.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Destination => "destination",
        }
    }
}

/// A system that is away.
#[derive(Clone, Debug)]
pub struct Outage {
    /// Which.
    pub end: End,
    /// Since when, in Unix milliseconds; 0 when it is only full.
    pub since: i64,
    /// Until it is asked again.
    pub next: Duration,
    /// Questions it did not answer.
    pub asked: u32,
    /// What it said, or what happened instead.
    pub error: String,
    /// It is there, but has no room.
    pub full: bool,
}

/// Why nothing new is taken.
#[derive(Debug, Default)]
pub(crate) struct Hold(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// The destination is full until then.
    full: Option<Instant>,
    away: Vec<Away>,
}

#[derive(Clone, Debug)]
pub(super) struct Away {
    end: End,
    since: i64,
    row: u32,
    next: Instant,
    error: String,
    /// A file whose bytes come from a host that could not be reached.
    file: Option<SourceFile>,
}

/// The wait after `row` questions without an answer.
fn interval(first: Duration, row: u32) -> Duration {
    first
        .saturating_mul(FIRST)
        .saturating_mul(1 << row.min(16))
        .min(LONGEST)
}

impl Hold {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether new items have to wait.
    pub(super) fn active(&self) -> bool {
        let state = self.state();
        !state.away.is_empty() || state.full.is_some_and(|until| until > Instant::now())
    }

    /// Something got filed: there is room, and the destination is there. The outage that ends, if
    /// there was one.
    pub(super) fn filed(&self) -> Option<Away> {
        let mut state = self.state();
        let begun = state.full.take();
        drop(state);
        if begun.is_some() {
            tracing::info!("the destination has room again");
        }
        self.back(End::Destination)
    }

    /// Holds for `wait`; a longer hold stays.
    pub(super) fn hold(&self, wait: Duration) {
        let mut state = self.state();
        let until = Instant::now() + wait;
        state.full = Some(state.full.map_or(until, |known| known.max(until)));
    }

    /// A system was found away; how long until it is asked again, and whether that is news. Items
    /// that were in hand when it went share one outage.
    fn away(&self, first: Duration, found: Found, at: i64) -> (Duration, bool) {
        let mut state = self.state();
        let now = Instant::now();
        if let Some(known) = state.away.iter().find(|away| away.end == found.end) {
            return (known.next.saturating_duration_since(now), false);
        }
        let wait = interval(first, 0);
        state.away.push(Away {
            end: found.end,
            since: at,
            row: 1,
            next: now + wait,
            error: found.failure.message,
            file: found.file,
        });
        (wait, true)
    }

    /// The system that is to be asked now.
    fn due(&self) -> Option<Away> {
        let now = Instant::now();
        let state = self.state();
        state.away.iter().find(|away| away.next <= now).cloned()
    }

    /// It did not answer.
    fn still(&self, end: End, first: Duration, error: String) {
        let mut state = self.state();
        if let Some(away) = state.away.iter_mut().find(|away| away.end == end) {
            away.next = Instant::now() + interval(first, away.row);
            away.row += 1;
            away.error = error;
        }
    }

    /// It is back; the outage, if there was one.
    fn back(&self, end: End) -> Option<Away> {
        let mut state = self.state();
        let at = state.away.iter().position(|away| away.end == end)?;
        Some(state.away.remove(at))
    }

    /// The systems that are away.
    pub(super) fn outages(&self) -> Vec<Outage> {
        let now = Instant::now();
        let state = self.state();
        let outage = |away: &Away| Outage {
            end: away.end,
            since: away.since,
            next: away.next.saturating_duration_since(now),
            asked: away.row,
            error: away.error.clone(),
            full: false,
        };
        let full = state.full.filter(|until| *until > now).map(|until| Outage {
            end: End::Destination,
            since: 0,
            next: until - now,
            asked: 0,
            error: "no room".to_owned(),
            full: true,
        });
        state.away.iter().map(outage).chain(full).collect()
    }
}

/// A system that did not answer a plain question.
struct Found {
    end: End,
    failure: Failure,
    file: Option<SourceFile>,
}

/// Whether a call failed because the system did not do its work at all.
fn passing(failure: &Failure) -> bool {
    matches!(
        failure.class,
        FailureClass::RetryNow | FailureClass::RetryLater
    )
}

/// Whether a failure may be an outage's: it would burn an attempt, or says only "later".
fn suspicious(failure: &Failure) -> bool {
    match failure.class {
        FailureClass::RetryNow | FailureClass::SignInAgain => failure.reason != Reason::Stopped,
        FailureClass::RetryLater => matches!(failure.reason, Reason::Other | Reason::NotDone),
        _ => false,
    }
}

impl Shared {
    /// A failure that would burn an attempt of its item, unless a system is away: then the item
    /// waits with all the others, as long as it takes.
    pub(super) async fn blame(&self, item: &Item, failure: Failure) -> Failure {
        if !suspicious(&failure) || self.draining() {
            return failure;
        }
        let Some(found) = self.who_is_away(item).await else {
            // It may have come back between the failure and the question.
            if self.hold.active() {
                return Failure {
                    class: FailureClass::RetryLater,
                    retry_after: Some(interval(self.config.first_backoff, 0)),
                    ..failure
                };
            }
            return failure;
        };
        let (end, away) = (found.end, found.failure.message.clone());
        let (wait, news) = self
            .hold
            .away(self.config.first_backoff, found, self.now_ms());
        if news {
            tracing::warn!(system = end.as_str(), error = %away, ?wait, "a system is away; nothing new is begun until it is back");
            let facts = json!({"system": end.as_str(), "error": away});
            self.note(item.run, "outage", facts).await;
        }
        Failure {
            class: FailureClass::RetryLater,
            // Not before the next question to the system is answered.
            retry_after: Some(wait.max(Duration::from_secs(1).min(self.config.first_backoff))),
            message: format!("{} (a system is away: {away})", failure.message),
            ..failure
        }
    }

    async fn who_is_away(&self, item: &Item) -> Option<Found> {
        for end in [End::Destination, End::Source] {
            if let Err(failure) = self.ask(end, None).await {
                let file = None;
                return Some(Found { end, failure, file });
            }
        }
        // The bytes may come from another host than the one that knows of them. A request that
        // never got there says that it is away; any other answer is about this file.
        let files = self
            .ledger
            .files(item.id, 0, super::item::PAGE)
            .await
            .ok()?;
        let file = files.iter().find(|file| file.content.is_none())?;
        let file = SourceFile {
            locator: file.locator.clone(),
            name: file.name.clone(),
            size: file.size,
        };
        let failure = self.ask(End::Source, Some(&file)).await.err()?;
        Some(Found {
            end: End::Source,
            failure,
            file: Some(file),
        })
    }

    /// Asks a system something plain.
    ///
    /// # Errors
    ///
    /// Why it is taken for away.
    async fn ask(&self, end: End, file: Option<&SourceFile>) -> Result<(), Failure> {
        let question = async {
            match (end, file) {
                (End::Destination, _) => self
                    .destination
                    .node(self.config.staging)
                    .await
                    .map(drop)
                    .or_else(|failure| {
                        if passing(&failure) {
                            Err(failure)
                        } else {
                            Ok(())
                        }
                    }),
                (End::Source, None) => self.source.reachable().await.or_else(|failure| {
                    if passing(&failure) {
                        Err(failure)
                    } else {
                        Ok(())
                    }
                }),
                (End::Source, Some(file)) => match self.source.open(file).await {
                    Err(failure) if passing(&failure) && failure.reason == Reason::NotDone => {
                        Err(failure)
                    }
                    _ => Ok(()),
                },
            }
        };
        tokio::time::timeout(ANSWER, question)
            .await
            .unwrap_or_else(|_| {
                Err(Failure::transient(format!(
                    "no answer within {} s",
                    ANSWER.as_secs()
                )))
            })
    }

    /// Asks systems that are away whether they are back, for as long as it is polled.
    pub(super) async fn look_after_outages(&self, run: RunId) -> std::convert::Infallible {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let Some(away) = self.hold.due() else {
                continue;
            };
            let mut answer = self.ask(away.end, None).await;
            if answer.is_ok() && away.file.is_some() {
                answer = self.ask(away.end, away.file.as_ref()).await;
            }
            match answer {
                Ok(()) => {
                    if let Some(away) = self.hold.back(away.end) {
                        self.note_back(run, &away).await;
                    }
                }
                Err(failure) => {
                    tracing::info!(system = away.end.as_str(), error = %failure, "still away");
                    self.hold
                        .still(away.end, self.config.first_backoff, failure.message);
                }
            }
        }
    }

    pub(super) async fn note_back(&self, run: RunId, away: &Away) {
        tracing::warn!(system = away.end.as_str(), "the system is back");
        let seconds = self.now_ms().saturating_sub(away.since) / 1000;
        let facts = json!({"system": away.end.as_str(), "since": away.since, "seconds": seconds, "asked": away.row});
        self.note(run, "outage-over", facts).await;
    }

    /// A line in the journal that no step depends on. A ledger that cannot take it stops the run
    /// at its next step.
    pub(super) async fn note(&self, run: RunId, event: &str, facts: serde_json::Value) {
        let entry = Entry {
            run: Some(run),
            event: event.to_owned(),
            data: facts.to_string(),
            ..Default::default()
        };
        if let Err(error) = self.ledger.apply(Change::new().journal(entry)).await {
            tracing::warn!(%error, event, "not recorded");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(end: End) -> Found {
        Found {
            end,
            failure: Failure::transient("connection refused"),
            file: None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn questions_grow_apart_to_a_minute_are_shared_and_end_with_the_first_answer() {
        let hold = Hold::default();
        assert!(!hold.active());
        let first = Duration::from_millis(250);
        let (wait, news) = hold.away(first, found(End::Destination), 7);
        assert_eq!((wait, news), (Duration::from_secs(4), true));
        // Seven more items were in hand when the system went.
        for _ in 0..7 {
            let (shared, news) = hold.away(first, found(End::Destination), 9);
            assert!(shared <= wait && !news);
        }
        let mut waits = Vec::new();
        for _ in 0..6 {
            tokio::time::sleep(LONGEST).await;
            assert!(hold.active(), "until it answers, however long it takes");
            let due = hold.due().expect("it is asked");
            hold.still(due.end, first, "still nothing".into());
            assert!(hold.due().is_none(), "by one, once");
            waits.push(hold.outages()[0].next.as_secs());
        }
        assert_eq!(waits, [8, 16, 32, 60, 60, 60]);
        let outage = &hold.outages()[0];
        assert_eq!((outage.since, outage.asked), (7, 7));
        assert_eq!(outage.error, "still nothing");
        assert!(hold.back(End::Destination).is_some());
        assert!(!hold.active() && hold.outages().is_empty());
        assert_eq!(
            hold.away(first, found(End::Destination), 0).0,
            Duration::from_secs(4)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn each_system_has_an_outage_of_its_own() {
        let hold = Hold::default();
        let first = Duration::from_millis(250);
        hold.away(first, found(End::Source), 0);
        hold.away(first, found(End::Destination), 0);
        assert!(
            hold.filed().is_some(),
            "the destination takes something again"
        );
        assert!(hold.active(), "the source is still away");
        assert!(hold.back(End::Source).is_some() && !hold.active());
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_destination_holds_until_its_time_or_until_something_is_filed() {
        let hold = Hold::default();
        hold.hold(Duration::from_secs(60));
        hold.hold(Duration::from_secs(1));
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert!(hold.active(), "a longer hold stays");
        assert!(hold.outages()[0].full);
        assert!(hold.filed().is_none(), "no outage ended");
        assert!(!hold.active());
    }
}
