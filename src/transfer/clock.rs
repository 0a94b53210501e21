//! The machine's own clock, which nobody sets.
//!
//! How long ago a commit was sent decides whether it can still take effect, so that span is never
//! taken from the calendar: a clock that is put forward would end a quiet time early. Time since
//! the machine was started, sleep included, goes on through restarts of the process; over a
//! restart of the machine only the time this process has run is certain.

use std::sync::OnceLock;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A moment in the life of one start of the machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Uptime {
    /// Names the start of the machine; empty where that cannot be known.
    boot: String,
    /// Milliseconds since then.
    ms: u64,
}

impl Uptime {
    /// Now.
    pub(super) fn now() -> Self {
        static BOOT: OnceLock<String> = OnceLock::new();
        let boot = BOOT.get_or_init(|| {
            std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
                .map(|text| text.trim().to_owned())
                .unwrap_or_default()
        });
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
        let millis = u64::try_from(now.tv_nsec / 1_000_000).unwrap_or(0);
        Self {
            boot: boot.clone(),
            ms: seconds.saturating_mul(1000).saturating_add(millis),
        }
    }

    /// The time from `earlier` to here; `None` when they are not of the same start.
    pub(super) fn since(&self, earlier: &Self) -> Option<Duration> {
        (!self.boot.is_empty() && self.boot == earlier.boot)
            .then(|| self.ms.checked_sub(earlier.ms))
            .flatten()
            .map(Duration::from_millis)
    }
}

/// The least time that has certainly gone by since a commit was sent. `sent` is missing in rows of
/// older ledgers; `calendar` is what the clock on the wall says, `ran` how long this process has.
pub(super) fn waited(
    now: &Uptime,
    sent: Option<&Uptime>,
    calendar: Duration,
    ran: Duration,
) -> Duration {
    sent.and_then(|sent| now.since(sent))
        .unwrap_or(calendar.min(ran))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn at(boot: &str, ms: u64) -> Uptime {
        Uptime {
            boot: boot.into(),
            ms,
        }
    }

    #[test]
    fn a_clock_that_is_put_forward_or_back_changes_no_quiet_time() {
        let (now, sent) = (at("a", 5_000), at("a", 3_000));
        for calendar in [Duration::ZERO, HOUR * 24 * 365] {
            let waited = waited(&now, Some(&sent), calendar, HOUR);
            assert_eq!(waited, Duration::from_secs(2));
        }
    }

    #[test]
    fn after_a_new_start_of_the_machine_only_the_time_of_this_process_counts() {
        let now = at("b", 900_000_000);
        let ran = Duration::from_secs(7);
        assert_eq!(waited(&now, Some(&at("a", 3_000)), HOUR, ran), ran);
        // A machine that does not name its starts, a ledger without the moment, and an uptime
        // that runs backwards are no better.
        let nameless = at("", 9_000);
        assert_eq!(waited(&nameless, Some(&at("", 1)), HOUR, ran), ran);
        assert_eq!(waited(&now, None, HOUR, ran), ran);
        assert_eq!(waited(&now, Some(&at("b", 900_000_001)), HOUR, ran), ran);
        let calendar = Duration::from_secs(1);
        assert_eq!(waited(&now, None, calendar, ran), calendar);
    }

    #[test]
    fn the_machines_clock_moves_on_and_reads_back_from_its_text() {
        let earlier = Uptime::now();
        let text = serde_json::to_string(&earlier).unwrap();
        let read: Uptime = serde_json::from_str(&text).unwrap();
        assert_eq!(read, earlier);
        if !earlier.boot.is_empty() {
            assert!(Uptime::now().since(&read).is_some());
        }
    }
}
