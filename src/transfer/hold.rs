//! Holds new items back while a system is away or full.
//!
//! An outage is not the items' fault: none of them burns an attempt for it, none is taken only to
//! fail, and work goes on by itself when the system is back. Whether it is an outage is asked, not
//! guessed: a system that answers a plain question is there, and the item is what is wrong.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::Shared;
use super::ends::SourceFile;
use crate::ledger::Item;
use crate::types::{Failure, FailureClass, Reason};

/// Longest wait between two looks at a system that is away.
const LONGEST: Duration = Duration::from_secs(60);
/// The first wait, as a multiple of the first wait between attempts.
const FIRST: u32 = 16;

/// Until when nothing new is taken.
#[derive(Debug, Default)]
pub(crate) struct Hold(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    until: Option<Instant>,
    /// Outages seen in a row, each after the hold of the one before.
    row: u32,
}

impl Hold {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether new items have to wait.
    pub(super) fn active(&self) -> bool {
        self.state()
            .until
            .is_some_and(|until| until > Instant::now())
    }

    /// Something got done: whatever was away is back.
    pub(super) fn over(&self) {
        *self.state() = State::default();
    }

    /// Holds for `wait`; a longer hold stays.
    pub(super) fn hold(&self, wait: Duration) {
        let mut state = self.state();
        let until = Instant::now() + wait;
        state.until = Some(state.until.map_or(until, |known| known.max(until)));
    }

    /// A system was found away; how long until the next look. Items that were in hand when it
    /// went share one hold.
    fn away(&self, first: Duration) -> Duration {
        let mut state = self.state();
        let now = Instant::now();
        if let Some(until) = state.until.filter(|until| *until > now) {
            return until - now;
        }
        let wait = first
            .saturating_mul(FIRST)
            .saturating_mul(1 << state.row.min(16))
            .min(LONGEST);
        state.row += 1;
        state.until = Some(now + wait);
        wait
    }
}

/// Whether a call failed because the system did not do its work at all.
fn passing(failure: &Failure) -> bool {
    matches!(
        failure.class,
        FailureClass::RetryNow | FailureClass::RetryLater
    )
}

impl Shared {
    /// A failure that would burn an attempt of its item, unless a system is away: then the item
    /// waits with all the others, as long as it takes.
    pub(super) async fn blame(&self, item: &Item, failure: Failure) -> Failure {
        let ends_attempt = matches!(
            failure.class,
            FailureClass::RetryNow | FailureClass::SignInAgain
        ) && failure.reason != Reason::Stopped;
        if !ends_attempt || self.draining() {
            return failure;
        }
        let Some(away) = self.who_is_away(item).await else {
            return failure;
        };
        let wait = self.hold.away(self.config.first_backoff);
        tracing::warn!(error = %away, ?wait, "a system is away; nothing new is begun until it is back");
        Failure {
            class: FailureClass::RetryLater,
            retry_after: Some(wait),
            message: format!("{} (a system is away: {})", failure.message, away.message),
            ..failure
        }
    }

    async fn who_is_away(&self, item: &Item) -> Option<Failure> {
        if let Err(failure) = self.destination.node(self.config.staging).await
            && passing(&failure)
        {
            return Some(failure);
        }
        if let Err(failure) = self.source.reachable().await
            && passing(&failure)
        {
            return Some(failure);
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
        match self.source.open(&file).await {
            Err(failure) if passing(&failure) && failure.reason == Reason::NotDone => Some(failure),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn holds_grow_to_a_minute_are_shared_and_end_with_the_first_success() {
        let hold = Hold::default();
        assert!(!hold.active());
        let first = Duration::from_millis(250);
        let wait = hold.away(first);
        assert_eq!(wait, Duration::from_secs(4));
        // Seven more items were in hand when the system went.
        for _ in 0..7 {
            assert!(hold.away(first) <= wait);
        }
        let mut waits = Vec::new();
        for _ in 0..6 {
            tokio::time::sleep(LONGEST).await;
            assert!(!hold.active());
            waits.push(hold.away(first).as_secs());
        }
        assert_eq!(waits, [8, 16, 32, 60, 60, 60]);
        hold.over();
        assert!(!hold.active());
        assert_eq!(hold.away(first), Duration::from_secs(4));
        hold.hold(Duration::from_secs(1));
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert!(hold.active(), "a longer hold stays");
    }
}
