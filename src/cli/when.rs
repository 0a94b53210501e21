//! Times as people write them: `18:00`, `2026-03-02 06:00`, or with a zone; and how they are shown.

use jiff::civil::{DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use super::exit::Ended;

/// Reads an end time: a time of day (the next one, in this machine's zone), a date and time, or a
/// timestamp with its zone. In Unix milliseconds.
pub(crate) fn until(flag: &str, text: &str) -> anyhow::Result<i64> {
    until_from(text, Timestamp::now(), TimeZone::system()).ok_or_else(|| {
        Ended::usage(format!(
            "{flag} {text}: expects a time such as \"18:00\", \"2026-03-02 06:00\" or \"2026-03-02T06:00:00Z\""
        ))
    })
}

fn until_from(text: &str, now: Timestamp, zone: TimeZone) -> Option<i64> {
    let text = text.trim();
    if let Ok(at) = text.parse::<Timestamp>() {
        return Some(at.as_millisecond());
    }
    if let Ok(at) = text.parse::<DateTime>()
        && text.contains(':')
    {
        return Some(at.to_zoned(zone).ok()?.timestamp().as_millisecond());
    }
    let (hours, minutes) = text.split_once(':')?;
    let time = Time::new(hours.parse().ok()?, minutes.parse().ok()?, 0, 0).ok()?;
    let today = now.to_zoned(zone.clone()).date();
    let at = today.to_datetime(time).to_zoned(zone.clone()).ok()?;
    let at = if at.timestamp() > now {
        at
    } else {
        let tomorrow = today.checked_add(1.day()).ok()?;
        tomorrow.to_datetime(time).to_zoned(zone).ok()?
    };
    Some(at.timestamp().as_millisecond())
}

/// A moment for people, in this machine's zone: the time of day, with the date when it is not
/// today.
pub(crate) fn moment(milliseconds: i64) -> String {
    moment_from(milliseconds, Timestamp::now(), TimeZone::system())
}

fn moment_from(milliseconds: i64, now: Timestamp, zone: TimeZone) -> String {
    let Ok(at) = Timestamp::from_millisecond(milliseconds) else {
        return "an unknown time".to_owned();
    };
    let (at, now) = (at.to_zoned(zone.clone()), now.to_zoned(zone));
    if at.date() == now.date() {
        at.strftime("%H:%M").to_string()
    } else {
        at.strftime("%Y-%m-%d %H:%M").to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_day_is_the_next_one_in_the_zone() {
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        let now: Timestamp = "2026-03-27T17:30:00Z".parse().unwrap();
        let read = |text: &str| {
            let at = until_from(text, now, berlin.clone())?;
            Some(Timestamp::from_millisecond(at).unwrap().to_string())
        };
        assert_eq!(read("18:45").as_deref(), Some("2026-03-27T17:45:00Z"));
        assert_eq!(read("06:00").as_deref(), Some("2026-03-28T05:00:00Z"));
        // Over the change of the clocks.
        assert_eq!(
            read("2026-03-30 06:00").as_deref(),
            Some("2026-03-30T04:00:00Z")
        );
        assert_eq!(
            read("2026-03-30T06:00:00Z").as_deref(),
            Some("2026-03-30T06:00:00Z")
        );
        for wrong in ["", "6", "24:61", "2026-03-30", "soon", "-1:00"] {
            assert_eq!(read(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_moment_of_another_day_has_its_date() {
        let now: Timestamp = "2026-03-27T12:00:00Z".parse().unwrap();
        let shown = |text: &str| {
            let at: Timestamp = text.parse().unwrap();
            moment_from(at.as_millisecond(), now, TimeZone::UTC)
        };
        assert_eq!(shown("2026-03-27T18:05:59Z"), "18:05");
        assert_eq!(shown("2026-03-28T06:00:00Z"), "2026-03-28 06:00");
    }
}
