//! Where a run stands, for people: the ledger's facts and, when a process is at work, its own.

use std::time::Duration;

use serde_json::{Value, json};

use super::protocol::LiveFacts;
use crate::ledger::{Facts, Owner, Run};
use crate::types::{ByteCount, FailureClass};

/// Time left beyond this means nothing.
const FAR: Duration = Duration::from_secs(90 * 24 * 3600);

/// What becomes of a run at the moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Doing {
    /// A process works on it.
    AtWork,
    /// A person paused it.
    Paused(String),
    /// The calendar lets nothing be begun until then, Unix milliseconds.
    Closed(i64),
    /// It finishes what is in hand, and why.
    Draining(String),
    /// Another command has the ledger; it cannot be steered.
    Held(String),
    /// Its process is gone without a word.
    Gone,
    /// It was stopped, or failed; a resume goes on.
    Stopped(String),
    /// It has ended.
    Ended(String),
}

/// Where a run stands.
#[derive(Clone, Debug)]
pub struct Status {
    /// The run.
    pub run: Run,
    /// The process that has the ledger.
    pub owner: Option<Owner>,
    /// What the ledger says.
    pub facts: Facts,
    /// What the process at work says.
    pub live: Option<LiveFacts>,
    /// When it was asked, Unix milliseconds.
    pub now: i64,
}

/// Whether the owner's command moves masters; others only have the ledger for a while.
fn moves(owner: &Owner) -> bool {
    ["archive", "migrate", "publish", "resume"]
        .iter()
        .any(|command| owner.text.starts_with(&format!("longhaul {command}")))
}

impl Status {
    /// Puts together what is known. `owner` is a process that is alive; `live` is of this run.
    pub fn new(
        run: Run,
        owner: Option<Owner>,
        facts: Facts,
        live: Option<LiveFacts>,
        now: i64,
    ) -> Self {
        let live = live.filter(|live| live.run == run.id.0);
        Self {
            run,
            owner,
            facts,
            live,
            now,
        }
    }

    /// What becomes of it at the moment.
    pub fn doing(&self) -> Doing {
        if let Some(live) = &self.live {
            if let Some(why) = &live.draining {
                return Doing::Draining(why.clone());
            }
            if let Some(who) = &live.paused {
                return Doing::Paused(who.clone());
            }
            return live.closed_until.map_or(Doing::AtWork, Doing::Closed);
        }
        match (&self.owner, self.run.outcome.as_str()) {
            // It may not be asked yet, or be too busy to answer.
            (Some(owner), "running") if moves(owner) => Doing::AtWork,
            (Some(owner), _) => Doing::Held(owner.text.clone()),
            (None, "running") => Doing::Gone,
            (None, outcome @ ("stopped" | "failed")) => Doing::Stopped(outcome.to_owned()),
            (None, outcome) => Doing::Ended(outcome.to_owned()),
        }
    }

    /// Items in these states.
    pub fn items(&self, states: &[&str]) -> u64 {
        let counts = self.facts.states.iter();
        let counts = counts.filter(|count| states.contains(&count.state.as_str()));
        counts.map(|count| count.items).sum()
    }

    /// Bytes of items in these states.
    pub fn bytes(&self, states: &[&str]) -> ByteCount {
        let counts = self.facts.states.iter();
        let counts = counts.filter(|count| states.contains(&count.state.as_str()));
        counts.map(|count| count.bytes).sum()
    }

    /// Items of the run.
    pub fn items_total(&self) -> u64 {
        self.facts.states.iter().map(|count| count.items).sum()
    }

    /// Bytes of the run's items.
    pub fn bytes_total(&self) -> ByteCount {
        self.facts.states.iter().map(|count| count.bytes).sum()
    }

    /// Bytes that the destination acknowledged and that are still wanted.
    pub fn confirmed(&self) -> ByteCount {
        let confirmed = self.bytes(&["done"]) + self.facts.confirmed_unfinished;
        confirmed.min(self.bytes_total())
    }

    /// Whether the totals may still grow.
    pub fn scanning(&self) -> bool {
        match &self.live {
            Some(live) => live.scanning,
            None => !self.run.scan_done,
        }
    }

    /// Time left as a range, from the faster and the slower of the two rates; only when it means
    /// something: everything is found, work goes on, and it has gone on for a minute.
    pub fn left(&self) -> Option<(Duration, Duration)> {
        let live = self.live.as_ref()?;
        let ten = live.rate_ten?;
        if self.scanning() || self.doing() != Doing::AtWork || !live.outages.is_empty() {
            return None;
        }
        let open = self
            .bytes(&["planned", "active", "waiting"])
            .saturating_sub(self.facts.confirmed_unfinished);
        let now = if live.rate_now == 0 {
            ten
        } else {
            live.rate_now
        };
        let (slow, fast) = (now.min(ten), now.max(ten));
        if open == 0 || slow == 0 {
            return None;
        }
        let after = |rate: ByteCount, factor: f64| {
            Duration::try_from_secs_f64(open as f64 / rate as f64 * factor).ok()
        };
        // Commits, read-backs and small files take their time beside the bytes.
        let (least, most) = (after(fast, 0.95)?, after(slow, 1.25)?);
        (most < FAR).then_some((least, most))
    }

    /// All of it as JSON. Fields are only ever added.
    pub fn json(&self) -> Value {
        let facts = &self.facts;
        let (run, live) = (&self.run, &self.live);
        let (word, why): (&str, Value) = match self.doing() {
            Doing::AtWork => ("at-work", Value::Null),
            Doing::Paused(who) => ("paused", json!(who)),
            Doing::Closed(until) => ("closed", json!(until)),
            Doing::Draining(why) => ("draining", json!(why)),
            Doing::Held(by) => ("held", json!(by)),
            Doing::Gone => ("gone", Value::Null),
            Doing::Stopped(outcome) => ("stopped", json!(outcome)),
            Doing::Ended(outcome) => ("ended", json!(outcome)),
        };
        json!({
            "run": run.id, "command": run.command, "started": run.started, "ended": run.ended, "outcome": run.outcome,
            "running": self.owner.is_some(), "scan_done": run.scan_done, "already_done": run.already_done, "left_out": run.left_out,
            "blocked": facts.blocked, "outbox": facts.outbox,
            "states": facts.states.iter().map(|count| json!({"state": count.state, "items": count.items, "bytes": count.bytes})).collect::<Vec<_>>(),
            "doing": word, "why": why, "at": self.now, "scanning": self.scanning(),
            "items": self.items_total(), "items_done": self.items(&["done"]),
            "bytes_planned": self.bytes_total(), "bytes_confirmed": self.confirmed(),
            "bytes_per_second": live.as_ref().map(|live| live.rate_now),
            "bytes_per_second_ten_minutes": live.as_ref().and_then(|live| live.rate_ten),
            "seconds_left": self.left().map(|(least, most)| [least.as_secs(), most.as_secs()]),
            "limited_by": live.as_ref().and_then(|live| live.limited_by.clone()),
            "proofs": facts.proofs.iter().map(|count| json!({"proof": count.proof, "items": count.items, "bytes": count.bytes})).collect::<Vec<_>>(),
            "failures": facts.classes.iter().map(|count| json!({
                "state": count.state, "class": count.class, "reason": count.reason, "items": count.items,
                "attempts": count.attempts, "next_at": (count.state == "waiting").then_some(count.next_at),
                "example": count.example, "remedy": FailureClass::from_name(&count.class).map(|class| class.remedy(&count.state)),
            })).collect::<Vec<_>>(),
            "in_hand": facts.in_hand.iter().map(|item| json!({"item": item.id, "title": item.title, "bytes": item.bytes, "bytes_confirmed": item.confirmed})).collect::<Vec<_>>(),
            "process": live,
        })
    }
}
