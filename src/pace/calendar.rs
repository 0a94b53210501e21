//! Limits by time of day, in a time zone.

use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;

use crate::types::ByteCount;

/// One window of the week with its own limit.
#[derive(Clone, Debug)]
pub struct Window {
    days: Vec<Weekday>,
    from: Time,
    to: Time,
    zone: TimeZone,
    /// Bytes per second inside the window; `None` for no limit.
    pub bytes_per_second: Option<ByteCount>,
    /// Whether nothing may be begun inside the window.
    pub closed: bool,
}

impl Window {
    /// A window that begins on `days` at `from` and ends at `to`, in `zone`. A `to` at or before
    /// `from` is on the next day; equal means 24 hours.
    pub fn new(
        days: Vec<Weekday>,
        from: Time,
        to: Time,
        zone: TimeZone,
        bytes_per_second: Option<ByteCount>,
    ) -> Self {
        Self {
            days,
            from,
            to,
            zone,
            bytes_per_second,
            closed: false,
        }
    }

    /// The same window, in which nothing may be begun.
    #[must_use]
    pub fn closed(self) -> Self {
        Self {
            closed: true,
            ..self
        }
    }

    fn open_at(&self, now: &jiff::Timestamp) -> bool {
        let local = now.to_zoned(self.zone.clone());
        let (day, time) = (local.weekday(), local.time());
        if self.from < self.to {
            return self.days.contains(&day) && self.from <= time && time < self.to;
        }
        // Over midnight: the evening belongs to today's window, the morning to yesterday's.
        (self.days.contains(&day) && time >= self.from)
            || (self.days.contains(&day.previous()) && time < self.to)
    }
}

/// Windows in order; the first that is open counts.
#[derive(Clone, Debug, Default)]
pub struct Calendar {
    windows: Vec<Window>,
}

impl Calendar {
    /// A calendar of these windows.
    pub fn new(windows: Vec<Window>) -> Self {
        Self { windows }
    }

    /// The window that is open at `now`.
    pub fn at(&self, now: &jiff::Timestamp) -> Option<&Window> {
        self.windows.iter().find(|window| window.open_at(now))
    }

    /// Until when nothing may be begun, when that is so at `now`: to the minute, and at most a
    /// week ahead.
    pub fn closed_until(&self, now: &jiff::Timestamp) -> Option<jiff::Timestamp> {
        const MINUTES: i64 = 7 * 24 * 60;
        let closed = |at: &jiff::Timestamp| self.at(at).is_some_and(|window| window.closed);
        if !closed(now) {
            return None;
        }
        let minute = now.as_second().div_euclid(60);
        let ahead = (1..=MINUTES).find_map(|ahead| {
            let at = jiff::Timestamp::from_second((minute + ahead) * 60).ok()?;
            (!closed(&at)).then_some(at)
        });
        ahead.or_else(|| jiff::Timestamp::from_second((minute + MINUTES) * 60).ok())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) const WORKDAYS: [Weekday; 5] = [
        Weekday::Monday,
        Weekday::Tuesday,
        Weekday::Wednesday,
        Weekday::Thursday,
        Weekday::Friday,
    ];

    pub(crate) fn window(
        days: &[Weekday],
        from: &str,
        to: &str,
        zone: &str,
        rate: Option<ByteCount>,
    ) -> Window {
        let zone = TimeZone::get(zone).unwrap();
        Window::new(
            days.to_vec(),
            from.parse().unwrap(),
            to.parse().unwrap(),
            zone,
            rate,
        )
    }

    fn open(window: &Window, at: &str) -> bool {
        window.open_at(&at.parse().unwrap())
    }

    #[test]
    fn office_hours_follow_the_zone_through_the_change_of_the_clocks() {
        let window = window(&WORKDAYS, "08:00", "18:00", "Europe/Berlin", None);
        // Wednesday in winter (UTC+1) and in summer (UTC+2).
        assert!(open(&window, "2026-01-14T07:30:00Z") && !open(&window, "2026-01-14T06:30:00Z"));
        assert!(open(&window, "2026-07-15T06:30:00Z") && !open(&window, "2026-07-15T16:30:00Z"));
        assert!(!open(&window, "2026-07-18T10:00:00Z"), "a Saturday");
    }

    #[test]
    fn a_window_over_midnight_belongs_to_the_day_it_begins() {
        let window = window(&[Weekday::Friday], "22:00", "06:00", "UTC", None);
        assert!(open(&window, "2026-07-17T23:00:00Z") && open(&window, "2026-07-18T05:00:00Z"));
        assert!(!open(&window, "2026-07-17T05:00:00Z") && !open(&window, "2026-07-18T22:30:00Z"));
    }

    #[test]
    fn a_closed_window_says_when_it_opens_again() {
        let nights = window(&WORKDAYS, "08:00", "18:00", "Europe/Berlin", None).closed();
        let calendar = Calendar::new(vec![nights]);
        let until = |at: &str| {
            let until = calendar.closed_until(&at.parse().unwrap());
            until.map(|until| until.to_string())
        };
        assert_eq!(
            until("2026-03-04T12:00:30+01:00").as_deref(),
            Some("2026-03-04T17:00:00Z")
        );
        assert_eq!(until("2026-03-04T19:00:00+01:00"), None);
        let always = window(&WORKDAYS, "00:00", "00:00", "UTC", None).closed();
        let calendar = Calendar::new(vec![always]);
        let until = calendar.closed_until(&"2026-03-06T12:00:00Z".parse().unwrap());
        assert_eq!(until, "2026-03-07T00:00:00Z".parse().ok(), "a Saturday");
    }

    #[test]
    fn equal_times_mean_the_whole_day() {
        let window = window(&[Weekday::Saturday], "00:00", "00:00", "UTC", None);
        assert!(open(&window, "2026-07-18T00:00:00Z") && open(&window, "2026-07-18T23:59:59Z"));
        assert!(!open(&window, "2026-07-19T00:00:00Z"));
    }
}
