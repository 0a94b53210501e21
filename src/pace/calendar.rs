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
}

/// A text that describes no window.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} {text:?} is not understood; {expected}")]
pub struct BadWindow {
    what: &'static str,
    text: String,
    expected: &'static str,
}

const DAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];

impl Window {
    /// Reads a window: `days` such as `mon-fri` or `sat,sun`, times such as `08:00` (`24:00` for
    /// the end of the day), and an IANA time zone. A `to` at or before `from` is on the next day.
    ///
    /// # Errors
    ///
    /// [`BadWindow`] names the part that is not understood.
    pub fn parse(
        days: &str,
        from: &str,
        to: &str,
        zone: &str,
        bytes_per_second: Option<ByteCount>,
    ) -> Result<Self, BadWindow> {
        let bad = |what, text: &str, expected| BadWindow {
            what,
            text: text.to_owned(),
            expected,
        };
        let time = |what, text: &str| {
            let text = text.trim();
            let wanted = if text == "24:00" { "00:00" } else { text };
            wanted
                .parse::<Time>()
                .map_err(|_| bad(what, text, "write a time such as 08:00"))
        };
        Ok(Self {
            days: parse_days(days)
                .ok_or_else(|| bad("days", days, "write days such as mon-fri or sat,sun"))?,
            from: time("from", from)?,
            to: time("to", to)?,
            zone: TimeZone::get(zone).map_err(|_| {
                bad(
                    "zone",
                    zone,
                    "write an IANA time zone such as Europe/Berlin",
                )
            })?,
            bytes_per_second,
        })
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

fn parse_days(text: &str) -> Option<Vec<Weekday>> {
    let day = |name: &str| {
        let name = name.trim().to_ascii_lowercase();
        DAYS.iter().position(|(short, _)| *short == name)
    };
    let mut days = Vec::new();
    for part in text.split(',') {
        match part.split_once('-') {
            Some((first, last)) => {
                let (first, last) = (day(first)?, day(last)?);
                // fri-mon runs over the end of the week.
                let count = (last + 7 - first) % 7 + 1;
                days.extend((0..count).map(|step| DAYS[(first + step) % 7].1));
            }
            None => days.push(DAYS[day(part)?].1),
        }
    }
    Some(days)
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
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(window: &Window, at: &str) -> bool {
        window.open_at(&at.parse().unwrap())
    }

    #[test]
    fn office_hours_follow_the_zone_through_the_change_of_the_clocks() {
        let window = Window::parse("mon-fri", "08:00", "18:00", "Europe/Berlin", None).unwrap();
        // Wednesday in winter (UTC+1) and in summer (UTC+2).
        assert!(open(&window, "2026-01-14T07:30:00Z") && !open(&window, "2026-01-14T06:30:00Z"));
        assert!(open(&window, "2026-07-15T06:30:00Z") && !open(&window, "2026-07-15T16:30:00Z"));
        assert!(!open(&window, "2026-07-18T10:00:00Z"), "a Saturday");
    }

    #[test]
    fn a_window_over_midnight_belongs_to_the_day_it_begins() {
        let window = Window::parse("fri", "22:00", "06:00", "UTC", None).unwrap();
        assert!(open(&window, "2026-07-17T23:00:00Z") && open(&window, "2026-07-18T05:00:00Z"));
        assert!(!open(&window, "2026-07-17T05:00:00Z") && !open(&window, "2026-07-18T22:30:00Z"));
    }

    #[test]
    fn day_lists_and_ranges_over_the_week_end_are_understood() {
        let window = Window::parse("fri-mon", "00:00", "24:00", "UTC", None).unwrap();
        for (day, expected) in [
            ("17", true),
            ("18", true),
            ("19", true),
            ("20", true),
            ("21", false),
        ] {
            assert_eq!(
                open(&window, &format!("2026-07-{day}T12:00:00Z")),
                expected,
                "{day}"
            );
        }
    }

    #[test]
    fn what_is_not_understood_is_named() {
        for (days, from, zone, what) in [
            ("monday", "08:00", "UTC", "days"),
            ("mon", "8 o'clock", "UTC", "from"),
            ("mon", "08:00", "Mars/Olympus", "zone"),
        ] {
            let error = Window::parse(days, from, "18:00", zone, None).unwrap_err();
            assert!(error.to_string().starts_with(what), "{error}");
        }
    }
}
