//! Progress while a run moves: one live line on a terminal, a line a minute without one, a
//! `progress` line every few seconds in JSON. Only confirmed bytes count.

use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;
use tokio::time::Instant;

use super::output::Output;
use super::words::{self, brief};
use crate::control::{Doing, Live, Status};
use crate::ledger::Ledger;
use crate::types::{RunId, display_bytes};

const FRAME: Duration = Duration::from_millis(500);
const LINE: Duration = Duration::from_secs(60);
const JSON: Duration = Duration::from_secs(5);
/// States in which a person has to look.
pub(crate) const TROUBLE: [&str; 5] = ["failed", "parked", "held", "conflict", "quarantined"];

/// What progress is read from.
pub(crate) struct Watch {
    pub(crate) output: Arc<Output>,
    pub(crate) ledger: Ledger,
    pub(crate) run: RunId,
    pub(crate) live: Arc<Live>,
}

/// What a look at the work shows.
pub(crate) struct Shown {
    /// One line for people.
    pub(crate) text: String,
    /// The type of the JSON line.
    pub(crate) json_type: &'static str,
    /// What it holds.
    pub(crate) data: serde_json::Value,
}

/// Shows what `look` finds, until dropped.
pub(crate) async fn show<F>(output: Arc<Output>, look: impl Fn() -> F)
where
    F: Future<Output = Option<Shown>>,
{
    let live = !output.json() && std::io::stderr().is_terminal();
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
        output.above(Some(bar.clone()));
    }
    let _clear = Clear(bar.clone(), Arc::clone(&output));
    let every = if live {
        FRAME
    } else if output.json() {
        JSON
    } else {
        LINE
    };
    let mut tick = tokio::time::interval(every);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    tick.tick().await;
    loop {
        tick.tick().await;
        let began = Instant::now();
        let Some(shown) = look().await else {
            continue;
        };
        if live {
            bar.set_message(shown.text);
            bar.tick();
        } else {
            output.note(shown.text);
            output.event(shown.json_type, shown.data);
        }
        // Looking may take a moment; it gets a tenth of the time at most.
        tokio::time::sleep(began.elapsed() * 9).await;
    }
}

impl Watch {
    /// Shows progress until dropped.
    pub(crate) async fn show(self) {
        let watch = &self;
        show(Arc::clone(&self.output), || async move {
            let status = watch.status().await?;
            Some(Shown {
                text: text(&status),
                json_type: "progress",
                data: line(&status),
            })
        })
        .await;
    }

    async fn status(&self) -> Option<Status> {
        let run = self.ledger.run(Some(self.run)).await.ok()??;
        let facts = self.ledger.facts(self.run).await.ok()?;
        let now = jiff::Timestamp::now().as_millisecond();
        Some(Status::new(run, None, facts, Some(self.live.facts()), now))
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

/// One line for people.
pub(crate) fn text(status: &Status) -> String {
    let mut text = format!(
        "{} of {} items{}, {} of {} confirmed",
        words::number(status.items(&["done"])),
        words::number(status.items_total()),
        if status.scanning() { " so far" } else { "" },
        display_bytes(status.confirmed()),
        display_bytes(status.bytes_total()),
    );
    if let Some(live) = &status.live {
        text.push_str(&format!(", {}/s", display_bytes(live.rate_now)));
    }
    let (waiting, trouble) = (status.items(&["waiting"]), status.items(&TROUBLE));
    if waiting > 0 {
        text.push_str(&format!(", {waiting} waiting"));
    }
    if trouble > 0 {
        text.push_str(&format!(", {trouble} need a look"));
    }
    if let Some((least, most)) = status.left() {
        text.push_str(&format!(", {} to {} left", brief(least), brief(most)));
    }
    let Some(live) = &status.live else {
        return text;
    };
    match (status.doing(), live.outages.first()) {
        (Doing::AtWork, Some(outage)) => text.push_str(&format!(" · {}", words::outage(outage))),
        (Doing::AtWork, None) => {
            if let Some(limited) = &live.limited_by {
                text.push_str(&format!(" · held by {limited}"));
            }
        }
        _ => text.push_str(&format!(" · {}", words::doing(status))),
    }
    text
}

fn line(status: &Status) -> serde_json::Value {
    let live = status.live.as_ref();
    let all = status.json();
    json!({
        "items_done": status.items(&["done"]), "items": status.items_total(), "items_waiting": status.items(&["waiting"]),
        "items_need_a_look": status.items(&TROUBLE), "bytes_filed": status.bytes(&["done"]), "bytes_planned": status.bytes_total(),
        "bytes_confirmed": live.map(|live| live.confirmed), "bytes_per_second": live.map(|live| live.rate_now),
        "bytes_per_second_ten_minutes": live.and_then(|live| live.rate_ten), "scanning": status.scanning(),
        "seconds_left": all["seconds_left"], "limited_by": live.and_then(|live| live.limited_by.clone()),
        "doing": all["doing"], "outages": live.map(|live| &live.outages),
    })
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn what_needs_a_look_and_what_is_left_are_in_the_line() {
        let text = text(&sample::at_work());
        for part in [
            "184 of 402 items,",
            "5 need a look",
            "4 waiting",
            "left",
            "held by Content Server",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        let paused = super::text(&sample::paused());
        assert!(
            paused.contains("paused by anna") && !paused.contains("held by"),
            "{paused}"
        );
        let away = super::text(&sample::outage());
        assert!(away.contains("Content Server unreachable since"), "{away}");
    }
}
