//! How a run is said in words: the same in `status`, in `top` and beside a run at work.

use std::time::Duration;

use super::when::moment;
use crate::control::{Bounds, Doing, Outage, Override, Status};
use crate::types::display_bytes;

/// A duration for people, in its two largest units.
pub(crate) fn brief(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    if days > 0 {
        format!("{days} d {hours} h")
    } else if hours > 0 {
        format!("{hours} h {minutes} min")
    } else if minutes > 0 {
        format!("{minutes} min")
    } else {
        format!("{seconds} s")
    }
}

/// A number with its thousands apart.
pub(crate) fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The system that is away, by its own name.
fn system(outage: &Outage) -> &'static str {
    match outage.system.as_str() {
        "destination" => "Content Server",
        _ => "iconik or its storage",
    }
}

/// Most attempts that one of several items burned.
pub(crate) fn attempts(most: u64) -> String {
    match most {
        1 => "1 attempt".to_owned(),
        most => format!("up to {most} attempts"),
    }
}

/// A system that is away: since when, and what comes next.
pub(crate) fn outage(outage: &Outage) -> String {
    let system = system(outage);
    let next = brief(Duration::from_secs(outage.next_in));
    if outage.full {
        return format!("{system} is full, next try in {next}");
    }
    format!(
        "{system} unreachable since {}, next try in {next}",
        moment(outage.since)
    )
}

/// A limit that a person set.
pub(crate) fn limit(limit: &Override) -> String {
    let value = match (limit.knob.as_str(), limit.value) {
        ("bandwidth", 0) => "no bandwidth limit".to_owned(),
        ("bandwidth", rate) => format!("{}/s", display_bytes(rate)),
        ("calls", calls) => format!("{calls} calls/s"),
        (knob, value) => format!("{value} {knob}"),
    };
    let until = limit
        .until
        .map_or_else(String::new, |until| format!(" until {}", moment(until)));
    format!("{value}{until}, set by {}", limit.by)
}

/// What becomes of the run at the moment.
pub(crate) fn doing(status: &Status) -> String {
    let process = || match (&status.live, &status.owner) {
        (_, Some(owner)) => format!(
            " ({}, process {})",
            owner.text.replace(&format!(", process {}", owner.pid), ""),
            owner.pid
        ),
        (Some(live), None) => format!(" (process {})", live.pid),
        (None, None) => String::new(),
    };
    match status.doing() {
        Doing::AtWork => match status.live.as_ref().and_then(|live| live.outages.first()) {
            Some(outage) => format!("waits for {}{}", system(outage), process()),
            None => format!("at work{}", process()),
        },
        Doing::Paused(who) => {
            let until = status.live.as_ref().and_then(|live| live.paused_until);
            let until = until.map_or_else(String::new, |at| format!(" until {}", moment(at)));
            format!("paused{until} by {who}; `longhaul resume` goes on")
        }
        Doing::Closed(until) => format!(
            "waits: the calendar lets nothing be begun until {}",
            moment(until)
        ),
        Doing::Draining(why) => format!("draining: {why}"),
        Doing::Held(by) => format!("not at work; in the hands of {by}"),
        Doing::Gone => "its process is gone; `longhaul resume` goes on".to_owned(),
        Doing::Stopped(outcome) => format!("{outcome}; `longhaul resume` goes on"),
        Doing::Ended(outcome) => outcome,
    }
}

/// Items found, and whether that is all.
pub(crate) fn scan(status: &Status) -> String {
    let run = &status.run;
    let mut text = match status.items_total() {
        1 => "1 item found".to_owned(),
        items => format!("{} items found", number(items)),
    };
    if run.already_done > 0 {
        text.push_str(&format!(", {} done before", number(run.already_done)));
    }
    if run.left_out > 0 {
        text.push_str(&format!(", {} left out", number(run.left_out)));
    }
    match (&status.live, status.scanning()) {
        (Some(live), true) => text.push_str(&format!(
            "; still enumerating ({} assets seen), totals may grow",
            number(live.seen)
        )),
        (None, true) => text.push_str("; the enumeration has not reached its end"),
        _ => {}
    }
    text
}

/// Confirmed bytes and items.
pub(crate) fn moved(status: &Status) -> String {
    format!(
        "{} of {} confirmed, {} of {} items done",
        display_bytes(status.confirmed()),
        display_bytes(status.bytes_total()),
        number(status.items(&["done"])),
        number(status.items_total()),
    )
}

/// Rates; `None` without a process at work.
pub(crate) fn rate(status: &Status) -> Option<String> {
    let live = status.live.as_ref()?;
    let mut text = format!("{}/s now", display_bytes(live.rate_now));
    if let Some(ten) = live.rate_ten {
        text.push_str(&format!(" · {}/s over 10 min", display_bytes(ten)));
    }
    if let Some((least, most)) = status.left() {
        text.push_str(&format!(" · {} to {} left", brief(least), brief(most)));
    }
    Some(text)
}

/// Done items by proof level.
pub(crate) fn proof(status: &Status) -> String {
    let counts = status.facts.proofs.iter();
    let counts: Vec<String> = counts
        .map(|count| format!("{} {}", count.proof, number(count.items)))
        .collect();
    if counts.is_empty() {
        "nothing is done yet".to_owned()
    } else {
        counts.join(" · ")
    }
}

/// What limits the rate, and the limits in force.
pub(crate) fn limits(status: &Status) -> Option<String> {
    let live = status.live.as_ref()?;
    let force = &live.limits;
    let bandwidth = force.bandwidth.map_or_else(
        || "no bandwidth limit".to_owned(),
        |rate| format!("at most {}/s", display_bytes(rate)),
    );
    let by = live
        .limited_by
        .as_ref()
        .map_or_else(String::new, |name| format!("{name}; "));
    Some(format!(
        "{by}{bandwidth}, {} of {} uploads, {} of {} reads, {} calls/s",
        force.tuned.0, force.uploads.0, force.tuned.1, force.streams.0, force.calls.0
    ))
}

/// Bounds of a run, as the process that goes on with it says them.
pub(crate) fn kept_bounds(bounds: Bounds) -> String {
    let at = bounds.until.map(|at| format!("at {}", moment(at)));
    let bytes = bounds
        .max_bytes
        .map(|most| format!("after {} more", display_bytes(most)));
    let failures = bounds
        .max_failures
        .map(|most| format!("after {most} failures from now on"));
    let said: Vec<String> = [at, bytes, failures].into_iter().flatten().collect();
    format!("it drains {}", said.join(", "))
}

/// Bounds that no longer hold, each with why.
pub(crate) fn passed_bounds(bounds: Bounds) -> String {
    let at = bounds
        .until
        .map(|at| format!("--until {} has passed", moment(at)));
    let bytes = bounds
        .max_bytes
        .map(|most| format!("--max-bytes {} is reached", display_bytes(most)));
    let said: Vec<String> = [at, bytes].into_iter().flatten().collect();
    said.join(", ")
}

/// When it drains by itself.
pub(crate) fn bounds(status: &Status) -> Option<String> {
    let live = status.live.as_ref()?;
    let at = live.stop_at.map(|at| format!("at {}", moment(at)));
    let bytes = live
        .max_bytes
        .map(|most| format!("after {} by this process", display_bytes(most)));
    let failures = live
        .max_failures
        .map(|most| format!("after {most} failures ({} so far)", live.stopped_here));
    let bounds: Vec<String> = [at, bytes, failures].into_iter().flatten().collect();
    (!bounds.is_empty()).then(|| format!("drains {}", bounds.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_durations_are_for_people() {
        assert_eq!(number(41_208), "41,208");
        assert_eq!(
            (number(7), number(999), number(1_000_000)),
            ("7".into(), "999".into(), "1,000,000".into())
        );
        assert_eq!(brief(Duration::from_secs(7_500)), "2 h 5 min");
        assert_eq!(brief(Duration::from_secs(40)), "40 s");
    }

    #[test]
    fn an_outage_says_since_when_and_what_comes_next() {
        let away = Outage {
            system: "destination".into(),
            since: jiff::Timestamp::now().as_millisecond(),
            next_in: 40,
            asked: 3,
            error: "refused".into(),
            full: false,
        };
        let text = outage(&away);
        assert!(
            text.starts_with("Content Server unreachable since ")
                && text.ends_with("next try in 40 s"),
            "{text}"
        );
        let full = Outage { full: true, ..away };
        assert_eq!(outage(&full), "Content Server is full, next try in 40 s");
    }
}
