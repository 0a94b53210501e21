//! The simulator's wall clock: the machine's, plus what a test has added.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::Timestamp;

/// A clock that can be moved; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Clock(Arc<AtomicI64>);

impl Clock {
    /// Milliseconds since 1970.
    pub fn now_ms(&self) -> i64 {
        Timestamp::now()
            .as_millisecond()
            .saturating_add(self.0.load(Ordering::Relaxed))
    }

    /// The present moment.
    pub fn now(&self) -> Timestamp {
        Timestamp::from_millisecond(self.now_ms()).unwrap_or(Timestamp::MAX)
    }

    /// Moves the clock, ahead or back. Addresses expire, caches and grace periods run out.
    pub fn advance(&self, ms: i64) {
        self.0.fetch_add(ms, Ordering::Relaxed);
    }

    /// As iconik's databases write it: `2026-01-05T09:00:00.000000+00:00`.
    pub fn stamp(&self) -> String {
        stamp(self.now())
    }
}

/// A date as iconik's databases write it.
pub fn stamp(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.%6f+00:00").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_have_microseconds_and_a_zone() {
        let at = Timestamp::from_microsecond(1_767_603_600_000_001).unwrap();
        assert_eq!(stamp(at), "2026-01-05T09:00:00.000001+00:00");
    }

    #[test]
    fn a_moved_clock_stays_moved_for_all() {
        let clock = Clock::default();
        let other = clock.clone();
        let before = clock.now_ms();
        other.advance(3_600_000);
        assert!(clock.now_ms() >= before + 3_600_000);
    }
}
