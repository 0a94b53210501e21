//! The server's clock: it runs with tokio's, and a test can put it forward.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// Time since the server's start, plus what it was put forward by.
pub(super) struct Clock {
    start: Instant,
    wall: Timestamp,
    ahead_ms: AtomicU64,
}

impl Clock {
    pub(super) fn new() -> Self {
        Self {
            start: Instant::now(),
            wall: Timestamp::now(),
            ahead_ms: AtomicU64::new(0),
        }
    }

    /// Time since the start.
    pub(super) fn now(&self) -> Duration {
        self.start.elapsed() + Duration::from_millis(self.ahead_ms.load(Ordering::Relaxed))
    }

    /// The date and time that objects are stamped with.
    pub(super) fn wall(&self) -> Timestamp {
        let passed = SignedDuration::try_from(self.now()).unwrap_or(SignedDuration::MAX);
        self.wall.checked_add(passed).unwrap_or(Timestamp::MAX)
    }

    /// Puts the clock forward.
    pub(super) fn advance(&self, by: Duration) {
        let ms = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        self.ahead_ms.fetch_add(ms, Ordering::Relaxed);
    }
}
