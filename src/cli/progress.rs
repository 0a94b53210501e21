//! Progress while a run moves: one live line on a terminal, a line a minute without one, a
//! `progress` line every few seconds in JSON. Only confirmed bytes count.

use std::collections::VecDeque;
use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;
use tokio::time::Instant;

use super::output::Output;
use crate::flows::drive::Scan;
use crate::ledger::{Ledger, StateCount};
use crate::transfer::Progress;
use crate::types::{RunId, display_bytes};

const FRAME: Duration = Duration::from_millis(500);
const LINE: Duration = Duration::from_secs(60);
const JSON: Duration = Duration::from_secs(5);
/// Rates are taken over this long, so that they mean something.
const RATE_OVER: Duration = Duration::from_secs(10);

/// What progress is read from.
pub(crate) struct Watch {
    pub(crate) output: Arc<Output>,
    pub(crate) ledger: Ledger,
    pub(crate) run: RunId,
    pub(crate) progress: Arc<Progress>,
    pub(crate) scan: Arc<Scan>,
}

impl Watch {
    /// Shows progress until dropped.
    pub(crate) async fn show(self) {
        let live = !self.output.json() && std::io::stderr().is_terminal();
        let bar = ProgressBar::with_draw_target(
            None,
            if live {
                ProgressDrawTarget::stderr_with_hz(4)
            } else {
                ProgressDrawTarget::hidden()
            },
        );
        if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg}") {
            bar.set_style(style);
        }
        if live {
            self.output.above(Some(bar.clone()));
        }
        let _clear = Clear(bar.clone(), Arc::clone(&self.output));
        let every = if live {
            FRAME
        } else if self.output.json() {
            JSON
        } else {
            LINE
        };
        let mut rate = Rate::default();
        let mut tick = tokio::time::interval(every);
        tick.tick().await;
        loop {
            tick.tick().await;
            let confirmed = self.progress.confirmed.load(Ordering::Relaxed);
            let per_second = rate.sample(Instant::now(), confirmed);
            let Ok(summary) = self.ledger.summary(self.run).await else {
                continue;
            };
            let line = Line::of(&summary, confirmed, per_second, &self.scan, &self.progress);
            if live {
                bar.set_message(line.text());
                bar.tick();
            } else {
                self.output.note(line.text());
                self.output.event("progress", line.json());
            }
        }
    }
}

/// Takes the bar from the screen when nobody watches any more.
struct Clear(ProgressBar, Arc<Output>);

impl Drop for Clear {
    fn drop(&mut self) {
        self.1.above(None);
        self.0.finish_and_clear();
    }
}

/// Bytes per second over the last seconds.
#[derive(Default)]
struct Rate(VecDeque<(Instant, u64)>);

impl Rate {
    fn sample(&mut self, now: Instant, bytes: u64) -> u64 {
        self.0.push_back((now, bytes));
        while self.0.len() > 2 && self.0.front().is_some_and(|(at, _)| now - *at > RATE_OVER) {
            self.0.pop_front();
        }
        let Some((at, first)) = self.0.front() else {
            return 0;
        };
        let millis = u64::try_from((now - *at).as_millis()).unwrap_or(u64::MAX);
        (bytes - first)
            .saturating_mul(1000)
            .checked_div(millis)
            .unwrap_or(0)
    }
}

struct Line {
    done: u64,
    items: u64,
    trouble: u64,
    waiting: u64,
    bytes_done: u64,
    bytes: u64,
    confirmed: u64,
    per_second: u64,
    scanning: bool,
    limited_by: Option<&'static str>,
}

impl Line {
    fn of(
        summary: &[StateCount],
        confirmed: u64,
        per_second: u64,
        scan: &Scan,
        progress: &Progress,
    ) -> Self {
        let items = |wanted: &[&str]| -> u64 {
            summary
                .iter()
                .filter(|count| wanted.contains(&count.state.as_str()))
                .map(|count| count.items)
                .sum()
        };
        Self {
            done: items(&["done"]),
            items: summary.iter().map(|count| count.items).sum(),
            trouble: items(&["failed", "parked", "held", "conflict", "quarantined"]),
            waiting: items(&["waiting"]),
            bytes_done: summary
                .iter()
                .filter(|count| count.state == "done")
                .map(|count| count.bytes)
                .sum(),
            bytes: summary.iter().map(|count| count.bytes).sum(),
            confirmed,
            per_second,
            scanning: !scan.done.load(Ordering::Relaxed),
            limited_by: progress.limited_by(),
        }
    }

    /// Time left as a range: the rate of the last seconds, a fifth up and a half down. Only once
    /// the enumeration has ended and the rate means something.
    fn left(&self) -> Option<(Duration, Duration)> {
        let open = self.bytes.saturating_sub(self.bytes_done);
        if self.scanning || self.per_second == 0 || open == 0 {
            return None;
        }
        let seconds = open as f64 / self.per_second as f64;
        Some((
            Duration::try_from_secs_f64(seconds * 0.8).ok()?,
            Duration::try_from_secs_f64(seconds * 1.5).ok()?,
        ))
    }

    fn text(&self) -> String {
        let mut text = format!(
            "{} of {} items{}, {} filed, {} confirmed, {}/s",
            self.done,
            self.items,
            if self.scanning { " so far" } else { "" },
            display_bytes(self.bytes_done),
            display_bytes(self.confirmed),
            display_bytes(self.per_second),
        );
        if self.waiting > 0 {
            text.push_str(&format!(", {} waiting", self.waiting));
        }
        if self.trouble > 0 {
            text.push_str(&format!(", {} need a look", self.trouble));
        }
        if let Some((least, most)) = self.left() {
            text.push_str(&format!(", {} to {} left", brief(least), brief(most)));
        }
        if let Some(limited) = self.limited_by {
            text.push_str(&format!(" · held by {limited}"));
        }
        text
    }

    fn json(&self) -> serde_json::Value {
        json!({
            "items_done": self.done, "items": self.items, "items_waiting": self.waiting,
            "items_need_a_look": self.trouble, "bytes_filed": self.bytes_done, "bytes_planned": self.bytes,
            "bytes_confirmed": self.confirmed, "bytes_per_second": self.per_second, "scanning": self.scanning,
            "seconds_left": self.left().map(|(least, most)| [least.as_secs(), most.as_secs()]),
            "limited_by": self.limited_by,
        })
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    fn count(state: &str, items: u64, bytes: u64) -> StateCount {
        StateCount {
            state: state.into(),
            items,
            bytes,
        }
    }

    #[test]
    fn time_left_is_said_only_when_it_means_something() {
        let scan = Scan::default();
        let progress = Progress::default();
        let summary = [count("done", 1, 1000), count("planned", 1, 3000)];
        assert_eq!(
            Line::of(&summary, 0, 10, &scan, &progress).left(),
            None,
            "still scanning"
        );
        scan.done.store(true, Ordering::Relaxed);
        assert_eq!(
            Line::of(&summary, 0, 0, &scan, &progress).left(),
            None,
            "no rate"
        );
        let line = Line::of(&summary, 0, 10, &scan, &progress);
        assert_eq!(
            line.left(),
            Some((Duration::from_secs(240), Duration::from_secs(450)))
        );
        assert!(
            line.text().contains("4 min to 7 min left"),
            "{}",
            line.text()
        );
    }

    #[test]
    fn what_needs_a_look_is_counted() {
        let summary = [
            count("parked", 2, 0),
            count("held", 1, 0),
            count("waiting", 4, 0),
        ];
        let text = Line::of(&summary, 0, 0, &Scan::default(), &Progress::default()).text();
        assert!(
            text.contains("3 need a look") && text.contains("4 waiting"),
            "{text}"
        );
    }
}
