//! Pauses, and what a person set until a time for an earlier process.

use serde_json::json;

use super::Error;
use super::kept::{self, Paused};
use super::live::{Live, describe, moment, now_ms};

impl Live {
    /// Takes up what a person set for an earlier process until a time that has not come, and says so
    /// in the journal: pauses and limits, for people.
    ///
    /// # Errors
    ///
    /// The ledger's.
    pub async fn take_up(&self) -> Result<Vec<String>, crate::ledger::Error> {
        let _turn = self.turn.lock().await;
        let now = now_ms();
        let kept = kept::read(&self.means.ledger).await?;
        let mut said = Vec::new();
        let mut over = Vec::new();
        let mut facts = Vec::new();
        for limit in kept.limits {
            let (knob, value) = (limit.knob, limit.value);
            // The settings may allow less by now; then they are the limit.
            if limit.until.is_none_or(|until| until <= now) || self.check(knob, value).is_err() {
                facts.push(kept::no_limit(knob, now));
                over.push(knob.as_str());
                continue;
            }
            self.set(knob, Some(value));
            let until = moment(limit.until);
            said.push(format!(
                "{}{until}, set by {}",
                describe(knob, value),
                limit.by
            ));
            self.state().overrides.push(limit);
        }
        match kept.pause {
            Some(paused) if paused.until.is_some_and(|until| until > now) => {
                self.means.steer.pause(true);
                said.push(format!(
                    "paused{} by {}; `longhaul resume` goes on",
                    moment(paused.until),
                    paused.by
                ));
                self.state().paused = Some(paused);
            }
            Some(_) => {
                facts.push(kept::pause(None, now));
                over.push("pause");
            }
            None => {}
        }
        if !over.is_empty() {
            let data = json!({"what": "limit-over", "by": "its end time", "limits": over});
            self.keep(&data, facts).await?;
        }
        if !said.is_empty() {
            self.keep(
                &json!({"what": "taken-up", "by": "the ledger", "set": said}),
                Vec::new(),
            )
            .await?;
        }
        Ok(said)
    }

    pub(super) async fn pause(&self, by: String, until: Option<i64>) -> Result<String, Error> {
        let run = self.means.run;
        let now = now_ms();
        if until.is_some_and(|until| until <= now) {
            return Err(Error::Refused("that time has passed".to_owned()));
        }
        let known = self.state().paused.clone();
        if let Some(known) = known.filter(|known| until.is_none() || known.until == until) {
            return Ok(format!(
                "run {run} is paused already{}, by {}",
                moment(known.until),
                known.by
            ));
        }
        let paused = Paused { by, until };
        let facts = json!({"what": "pause", "by": paused.by, "until": until});
        self.keep(&facts, vec![kept::pause(Some(&paused), now)])
            .await?;
        self.state().paused = Some(paused);
        self.means.steer.pause(true);
        Ok(format!(
            "run {run} is paused{}: parts in flight are finished, nothing new is begun; `longhaul resume` goes on",
            moment(until)
        ))
    }

    /// Goes on when the time of a pause is over.
    pub(super) async fn end_pause(&self, now: i64) {
        let over = |paused: &Paused| paused.until.is_some_and(|until| until <= now);
        if !self.state().paused.as_ref().is_some_and(over) {
            return;
        }
        let _turn = self.turn.lock().await;
        if self.state().paused.take_if(|paused| over(paused)).is_none() {
            return;
        }
        self.means.steer.pause(false);
        let data = json!({"what": "resume", "by": "its end time"});
        self.note(&data, vec![kept::pause(None, now)]).await;
    }

    pub(super) async fn resume(&self, by: String) -> Result<String, Error> {
        let run = self.means.run;
        if self.state().paused.is_none() {
            return Ok(
                match self.means.pace.closed_until(&jiff::Timestamp::now()) {
                    Some(until) => format!(
                        "run {run} is not paused; the calendar lets nothing be begun until {until}"
                    ),
                    None => format!("run {run} is at work and not paused"),
                },
            );
        }
        let facts = vec![kept::pause(None, now_ms())];
        self.keep(&json!({"what": "resume", "by": by}), facts)
            .await?;
        self.state().paused = None;
        self.means.steer.pause(false);
        Ok(format!("run {run} goes on"))
    }
}
