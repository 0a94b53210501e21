//! Rate limits: bandwidth and requests, with a calendar, on a clock that tests can hold.
//!
//! Everything is governor underneath, on tokio's clock, so that waiting and counting never
//! disagree. Bandwidth is counted in KiB: governor steps in whole nanoseconds a cell, so byte
//! cells would turn 600 MB/s into 1 GB/s. Askers are served first come, first served. Any limit
//! can change while it is waited for; the change takes effect within a fifth of a second.

mod bandwidth;
mod calendar;
mod calls;
mod clock;

pub use bandwidth::Bandwidth;
pub use calendar::{Calendar, Window};
pub use calls::Calls;

use std::sync::Mutex;

use crate::types::ByteCount;

/// The bandwidth of one run: the process's limit, a limit of the run's own, a calendar that
/// overrides the process's limit while one of its windows is open, and what a person sets
/// meanwhile, which counts before both.
#[derive(Debug, Default)]
pub struct Pace {
    global: Bandwidth,
    run: Bandwidth,
    base: Mutex<Option<ByteCount>>,
    calendar: Mutex<Calendar>,
    by_person: Mutex<Option<Option<ByteCount>>>,
}

impl Pace {
    /// A pace of `bytes_per_second` outside the calendar's windows, `None` for no limit.
    pub fn new(bytes_per_second: Option<ByteCount>, calendar: Calendar) -> Self {
        let pace = Self::default();
        pace.set(bytes_per_second);
        *pace
            .calendar
            .lock()
            .expect("nothing panics while holding it") = calendar;
        pace.follow(&jiff::Timestamp::now());
        pace
    }

    /// Changes the limit outside the calendar's windows.
    pub fn set(&self, bytes_per_second: Option<ByteCount>) {
        *self.base.lock().expect("nothing panics while holding it") = bytes_per_second;
        self.follow(&jiff::Timestamp::now());
    }

    /// What a person wants instead of the limit and the calendar; `Some(None)` is no limit at all,
    /// `None` gives both back.
    pub fn set_by_person(&self, wanted: Option<Option<ByteCount>>) {
        *self
            .by_person
            .lock()
            .expect("nothing panics while holding it") = wanted;
        self.follow(&jiff::Timestamp::now());
    }

    /// Until when the calendar lets nothing be begun, when that is so at `now`.
    pub fn closed_until(&self, now: &jiff::Timestamp) -> Option<jiff::Timestamp> {
        self.calendar
            .lock()
            .expect("nothing panics while holding it")
            .closed_until(now)
    }

    /// Changes this run's own limit.
    pub fn set_run(&self, bytes_per_second: Option<ByteCount>) {
        self.run.set(bytes_per_second);
    }

    /// The limit in force at this moment, in bytes per second.
    pub fn limit(&self) -> Option<ByteCount> {
        match (self.global.limit(), self.run.limit()) {
            (Some(global), Some(run)) => Some(global.min(run)),
            (global, run) => global.or(run),
        }
    }

    /// Applies what the calendar says at `now`; called every few seconds by whoever owns the run.
    pub fn follow(&self, now: &jiff::Timestamp) {
        let base = *self.base.lock().expect("nothing panics while holding it");
        let calendar = self
            .calendar
            .lock()
            .expect("nothing panics while holding it");
        let rate = calendar
            .at(now)
            .map_or(base, |window| window.bytes_per_second);
        drop(calendar);
        let by_person = *self
            .by_person
            .lock()
            .expect("nothing panics while holding it");
        let rate = by_person.unwrap_or(rate);
        if self.global.limit() != rate {
            tracing::info!(bytes_per_second = rate, "bandwidth limit changed");
            self.global.set(rate);
        }
    }

    /// Waits until `bytes` may pass.
    pub async fn take(&self, bytes: ByteCount) {
        self.run.take(bytes).await;
        self.global.take(bytes).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::MIB;

    #[tokio::test(start_paused = true)]
    async fn an_open_window_overrides_the_base_limit_and_gives_it_back() {
        let window = calendar::tests::window(
            &calendar::tests::WORKDAYS,
            "08:00",
            "18:00",
            "Europe/Berlin",
            Some(MIB),
        );
        let pace = Pace::new(Some(8 * MIB), Calendar::new(vec![window]));
        pace.follow(&"2026-03-04T12:00:00+01:00".parse().unwrap());
        assert_eq!(pace.limit(), Some(MIB));
        pace.follow(&"2026-03-04T19:00:00+01:00".parse().unwrap());
        assert_eq!(pace.limit(), Some(8 * MIB));
        pace.set_run(Some(2 * MIB));
        assert_eq!(pace.limit(), Some(2 * MIB));
        pace.set_run(None);
        pace.set_by_person(Some(Some(3 * MIB)));
        pace.follow(&"2026-03-04T12:00:00+01:00".parse().unwrap());
        assert_eq!(
            pace.limit(),
            Some(3 * MIB),
            "a person counts before the calendar"
        );
        pace.set_by_person(Some(None));
        assert_eq!(pace.limit(), None, "no limit at all");
        pace.set_by_person(None);
        pace.follow(&"2026-03-04T12:00:00+01:00".parse().unwrap());
        assert_eq!(pace.limit(), Some(MIB));
    }
}
