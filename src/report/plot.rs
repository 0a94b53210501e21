//! Speed over time as an inline picture: bars of bytes a second, with outages, pauses and limits.

use std::fmt::Write as _;

use super::{Mark, Speed, moment};
use crate::types::{ByteCount, display_bytes};

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 116.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 26.0;
const BOTTOM: f64 = 34.0;

/// The picture; `None` when nothing moved. Every text in it is our own: numbers, times and words.
pub(super) fn svg(speed: &Speed, marks: &[Mark]) -> Option<String> {
    if speed.total() == 0 {
        return None;
    }
    let (start, end) = (speed.start, speed.end());
    let peak = nice(speed.peak());
    let (inner, tall) = (WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM);
    let span = (end - start).max(1) as f64;
    let x = |at: i64| LEFT + inner * ((at.clamp(start, end) - start) as f64 / span);
    let y = |rate: ByteCount| TOP + tall * (1.0 - (rate as f64 / peak as f64).min(1.0));
    let mut svg = format!(
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"Speed over time, at most {}/s\" preserveAspectRatio=\"xMidYMid meet\">",
        display_bytes(speed.peak())
    );
    for mark in marks
        .iter()
        .filter(|mark| mark.to.is_some() || mark.kind == "outage" || mark.kind == "pause")
    {
        let (from, to) = (x(mark.from), x(mark.to.unwrap_or(end)));
        let _ = write!(
            svg,
            "<rect class=\"m-{}\" x=\"{from:.1}\" y=\"{TOP}\" width=\"{:.1}\" height=\"{tall}\"/>",
            mark.kind,
            (to - from).max(2.0)
        );
    }
    for step in 0..=4u64 {
        let rate = peak / 4 * step;
        let at = y(rate);
        let _ = write!(
            svg,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}/s</text>",
            WIDTH - RIGHT,
            LEFT - 8.0,
            at + 4.0,
            display_bytes(rate)
        );
    }
    let bar = inner / speed.bytes.len().max(1) as f64;
    for (i, bytes) in speed
        .bytes
        .iter()
        .enumerate()
        .filter(|(_, bytes)| **bytes > 0)
    {
        let top = y(speed.rate(*bytes));
        let _ = write!(
            svg,
            "<rect class=\"bar\" x=\"{:.2}\" y=\"{top:.1}\" width=\"{:.2}\" height=\"{:.1}\"/>",
            LEFT + bar * i as f64,
            (bar - 0.6).max(0.6),
            (TOP + tall - top).max(0.8)
        );
    }
    for (number, mark) in (1..).zip(marks) {
        let at = x(mark.from);
        let _ = write!(
            svg,
            "<line class=\"at\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{:.1}\" y2=\"{:.1}\"/>",
            TOP - 6.0,
            TOP + tall
        );
        // More numbers than these could not be told apart.
        if marks.len() <= 24 {
            let _ = write!(
                svg,
                "<text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{number}</text>",
                TOP - 10.0
            );
        }
    }
    for (at, anchor) in [(start, "start"), (end, "end")] {
        let _ = write!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{}</text>",
            x(at),
            HEIGHT - 10.0,
            moment(at)
        );
    }
    svg.push_str("</svg>");
    Some(svg)
}

/// The next number above that reads well on an axis of four steps.
fn nice(rate: ByteCount) -> ByteCount {
    let mut step: ByteCount = 1;
    loop {
        for factor in [4, 8, 16, 40, 80, 160, 400, 800] {
            let top = step.saturating_mul(factor);
            if top >= rate {
                return top;
            }
        }
        step = step.saturating_mul(1024);
        if step == ByteCount::MAX {
            return step;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_moved_nothing_has_no_picture_and_one_that_did_shows_its_marks() {
        let mut speed = Speed::new(0);
        assert_eq!(svg(&speed, &[]), None);
        speed.add(0, 9_000, 90 << 20);
        let marks = [
            Mark {
                kind: "outage",
                from: 2_000,
                to: Some(4_000),
                what: "<b>".into(),
            },
            Mark {
                kind: "drain",
                from: 8_000,
                to: None,
                what: "x".into(),
            },
        ];
        let picture = svg(&speed, &marks).unwrap();
        assert_eq!(picture.matches("class=\"bar\"").count(), 9);
        assert_eq!(picture.matches("class=\"m-outage\"").count(), 1);
        assert_eq!(picture.matches("class=\"at\"").count(), 2);
        assert!(!picture.contains("<b>"), "{picture}");
        assert!(
            picture.contains("1970-01-01 00:00:10 UTC")
                && picture.contains(&format!("{}/s", display_bytes(16 << 20)))
        );
    }

    #[test]
    fn an_axis_ends_above_the_peak() {
        for rate in [1, 4, 5, 1000, 1025, 700 << 20, u64::MAX] {
            assert!(nice(rate) >= rate, "{rate}");
        }
        assert_eq!(nice(10 << 20), 16 << 20);
    }
}
