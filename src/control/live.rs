//! A run at work, as seen through the control socket: carries requests out, ends limits at their
//! time, and drains when a bound of the run is reached.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::bounds::Bounds;
use super::kept::{self, Paused};
use super::meter::Meter;
use super::protocol::{Ask, From, InForce, Knob, Limits, LiveFacts, Outage, Override};
use super::{Error, retry};
use crate::flows::drive::Scan;
use crate::ledger::{Change, Entry, Fact, Ledger};
use crate::pace::{Calls, Pace};
use crate::transfer::{self, Progress, Steer, Stop};
use crate::types::{RunId, display_bytes};

/// Times, bounds and rates are looked after this often.
const TICK: Duration = Duration::from_millis(500);

/// Systems that are away, asked for whenever somebody looks.
type Outages = Box<dyn Fn() -> Vec<transfer::Outage> + Send + Sync>;

/// What a run is steered by.
pub struct Means {
    /// The ledger, for the journal.
    pub ledger: Ledger,
    /// The run.
    pub run: RunId,
    /// The engine's handle.
    pub steer: Arc<Steer>,
    /// The bandwidth.
    pub pace: Arc<Pace>,
    /// The calls to iconik.
    pub calls: Arc<Calls>,
    /// How the run is told to end.
    pub stop: Stop,
    /// The engine's counters.
    pub progress: Arc<Progress>,
    /// The enumeration's.
    pub scan: Arc<Scan>,
    /// Systems that are away.
    pub outages: Outages,
}

/// A run at work.
pub struct Live {
    pub(super) means: Means,
    bounds: Bounds,
    since: i64,
    state: Mutex<State>,
    /// One change at a time, so that the journal has them in their order.
    pub(super) turn: tokio::sync::Mutex<()>,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) paused: Option<Paused>,
    draining: Option<String>,
    pub(super) overrides: Vec<Override>,
    meter: Meter,
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Live")
            .field("run", &self.means.run)
            .field("bounds", &self.bounds)
            .finish_non_exhaustive()
    }
}

/// Unix milliseconds.
pub(super) fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

impl Live {
    /// A run at work, which drains at these bounds.
    pub fn new(means: Means, bounds: Bounds) -> Arc<Self> {
        let live = Self {
            means,
            bounds,
            since: now_ms(),
            state: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
        };
        live.sample();
        Arc::new(live)
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks after times, bounds and rates for as long as it is polled.
    pub async fn look_after(&self) -> std::convert::Infallible {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            self.tick(now_ms()).await;
        }
    }

    pub(super) async fn tick(&self, now: i64) {
        self.sample();
        self.follow_calendar();
        self.end_limits(now).await;
        self.end_pause(now).await;
        if self.state().draining.is_some() {
            return;
        }
        if self.means.stop.drain.is_cancelled() {
            self.note_signal().await;
            return;
        }
        if let Some(why) = self.bound(now) {
            self.state().draining = Some(why.clone());
            tracing::info!(%why, "draining");
            self.journal(&json!({"what": "drain", "by": why})).await;
            self.means.stop.drain.cancel();
        }
    }

    fn follow_calendar(&self) {
        let now = jiff::Timestamp::now();
        self.means.pace.follow(&now);
        let closed = self.means.pace.closed_until(&now).is_some();
        if self.means.steer.close(closed) {
            tracing::info!(closed, "the calendar's window");
        }
    }

    /// A drain that nobody asked for through the socket came by a signal; says so in the journal,
    /// once.
    pub async fn note_signal(&self) {
        if !self.means.stop.drain.is_cancelled() || self.state().draining.is_some() {
            return;
        }
        let why = "a signal (Ctrl-C or SIGTERM)".to_owned();
        self.state().draining = Some(why.clone());
        self.journal(&json!({"what": "drain", "by": why})).await;
    }

    fn sample(&self) {
        let confirmed = self.means.progress.confirmed.load(Relaxed);
        self.state().meter.note(Instant::now(), confirmed);
    }

    /// The bound that is reached, in words.
    fn bound(&self, now: i64) -> Option<String> {
        let Bounds {
            until,
            max_bytes,
            max_failures,
        } = self.bounds;
        if until.is_some_and(|until| until <= now) {
            return Some("--until: its time has come".to_owned());
        }
        let confirmed = self.means.progress.confirmed.load(Relaxed);
        if let Some(most) = max_bytes
            && confirmed >= most
        {
            let (most, confirmed) = (display_bytes(most), display_bytes(confirmed));
            return Some(format!("--max-bytes {most}: {confirmed} are confirmed"));
        }
        let stopped = self.means.progress.items_stopped.load(Relaxed);
        max_failures
            .filter(|most| *most > 0 && stopped >= *most)
            .map(|most| format!("--max-failures {most}: {stopped} items stopped"))
    }

    /// Why it drains, when it does.
    pub fn draining(&self) -> Option<String> {
        self.state().draining.clone()
    }

    /// Carries a request out: what was done, and the facts if they were asked for.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] when it makes no sense now; the ledger's, when the change could not be
    /// recorded.
    pub(super) async fn apply(
        &self,
        ask: &Ask,
        from: &From,
    ) -> Result<(String, Option<Box<LiveFacts>>), Error> {
        if *ask == Ask::Facts {
            return Ok((String::new(), Some(Box::new(self.facts()))));
        }
        let _turn = self.turn.lock().await;
        let by = from.to_string();
        let said = match ask {
            Ask::Facts => String::new(),
            Ask::Pause { until } => self.pause(by, *until).await?,
            Ask::Resume => self.resume(by).await?,
            Ask::Drain { now } => self.drain(by, *now).await?,
            Ask::Limit(limits) => self.limit(limits, by).await?,
            Ask::Unlimit => self.unlimit(by).await?,
            Ask::Retry(wanted) => {
                let done = retry(&self.means.ledger, self.means.run, wanted).await?;
                let mut facts = json!({"what": "retry", "by": by, "items": done.items});
                if let (Value::Object(facts), Ok(Value::Object(wanted))) =
                    (&mut facts, serde_json::to_value(wanted))
                {
                    facts.extend(wanted);
                }
                self.record(&facts).await?;
                done.to_string()
            }
        };
        Ok((said, None))
    }

    async fn drain(&self, by: String, now: bool) -> Result<String, Error> {
        let run = self.means.run;
        let what = if now { "leave" } else { "drain" };
        self.record(&json!({"what": what, "by": by})).await?;
        self.state().draining = Some(by);
        self.means.stop.drain.cancel();
        if now {
            self.means.stop.leave.cancel();
            return Ok(format!(
                "run {run} leaves at once; what is in flight moves again after `longhaul resume`"
            ));
        }
        Ok(format!(
            "run {run} drains: parts in hand are finished and recorded, then it ends with 75; `longhaul resume` goes on"
        ))
    }

    async fn limit(&self, limits: &Limits, by: String) -> Result<String, Error> {
        let Limits {
            bandwidth,
            calls,
            uploads,
            streams,
            until,
        } = limits;
        let whole = |value: &Option<u32>| value.map(u64::from);
        let wanted: Vec<(Knob, u64)> = [
            (Knob::Bandwidth, *bandwidth),
            (Knob::Calls, whole(calls)),
            (Knob::Uploads, whole(uploads)),
            (Knob::Streams, whole(streams)),
        ]
        .into_iter()
        .filter_map(|(knob, value)| Some((knob, value?)))
        .collect();
        if wanted.is_empty() {
            return Err(Error::Refused("no limit is named".to_owned()));
        }
        if until.is_some_and(|until| until <= now_ms()) {
            return Err(Error::Refused("that time has passed".to_owned()));
        }
        for (knob, value) in &wanted {
            self.check(*knob, *value)?;
        }
        let mut facts = json!({"what": "limit", "by": by, "until": until});
        for (knob, value) in &wanted {
            facts[knob.as_str()] = json!(value);
        }
        let limits: Vec<Override> = wanted
            .into_iter()
            .map(|(knob, value)| Override {
                knob,
                value,
                until: *until,
                by: by.clone(),
            })
            .collect();
        let now = now_ms();
        let kept = limits.iter().map(|limit| kept::limit(limit, now)).collect();
        self.keep(&facts, kept).await?;
        let mut said = Vec::new();
        for limit in limits {
            self.set(limit.knob, Some(limit.value));
            said.push(describe(limit.knob, limit.value));
            let mut state = self.state();
            state.overrides.retain(|known| known.knob != limit.knob);
            state.overrides.push(limit);
        }
        let until = match until {
            Some(_) => moment(*until),
            None => " until `longhaul limit --clear` or the end of the process".to_owned(),
        };
        Ok(format!(
            "run {}: {}{until}",
            self.means.run,
            said.join(", ")
        ))
    }

    /// What the settings allow at most is not passed from here.
    pub(super) fn check(&self, knob: Knob, value: u64) -> Result<(), Error> {
        let in_force = self.in_force();
        let (most, setting) = match knob {
            Knob::Bandwidth => return Ok(()),
            Knob::Calls => (u64::from(in_force.calls.1), "iconik.calls_per_second"),
            Knob::Uploads => (in_force.uploads.1 as u64, "content_server.uploads"),
            Knob::Streams => (in_force.streams.1 as u64, "source.streams"),
        };
        if value == 0 {
            return Err(Error::Refused(format!(
                "{} of none at all is a pause: `longhaul pause`",
                knob.as_str()
            )));
        }
        if value > most {
            return Err(Error::Refused(format!(
                "{setting} = {most} is the most that the settings allow this process; for more, change the setting and start it anew"
            )));
        }
        Ok(())
    }

    async fn unlimit(&self, by: String) -> Result<String, Error> {
        let known: Vec<Knob> = self.state().overrides.iter().map(|o| o.knob).collect();
        if known.is_empty() {
            return Ok(format!("run {} has the settings' limits", self.means.run));
        }
        let knobs: Vec<&str> = known.iter().map(|knob| knob.as_str()).collect();
        let now = now_ms();
        let kept = known.iter().map(|knob| kept::no_limit(*knob, now));
        let facts = json!({"what": "unlimit", "by": by, "limits": knobs});
        self.keep(&facts, kept.collect()).await?;
        for knob in known {
            self.set(knob, None);
        }
        self.state().overrides.clear();
        Ok(format!(
            "run {} has the settings' limits again",
            self.means.run
        ))
    }

    /// Gives limits back whose time is over.
    async fn end_limits(&self, now: i64) {
        let over = |known: &Override| known.until.is_some_and(|until| until <= now);
        if !self.state().overrides.iter().any(over) {
            return;
        }
        let _turn = self.turn.lock().await;
        let ended: Vec<Knob> = {
            let mut state = self.state();
            let ended = state.overrides.iter().filter(|known| over(known));
            let ended = ended.map(|known| known.knob).collect();
            state.overrides.retain(|known| !over(known));
            ended
        };
        for knob in &ended {
            self.set(*knob, None);
        }
        let knobs: Vec<&str> = ended.iter().map(|knob| knob.as_str()).collect();
        let kept = ended.iter().map(|knob| kept::no_limit(*knob, now));
        let data = json!({"what": "limit-over", "by": "its end time", "limits": knobs});
        self.note(&data, kept.collect()).await;
    }

    /// Sets a limit, or gives the settings' back.
    pub(super) fn set(&self, knob: Knob, value: Option<u64>) {
        let Means {
            steer, pace, calls, ..
        } = &self.means;
        let places = value.and_then(|value| usize::try_from(value).ok());
        match knob {
            Knob::Bandwidth => {
                pace.set_by_person(value.map(|rate| (rate > 0).then_some(rate)));
            }
            Knob::Calls => {
                let value = value.and_then(|value| u32::try_from(value).ok());
                calls.set(value.unwrap_or(calls.ceiling()));
            }
            Knob::Uploads => steer.limit_uploads(places),
            Knob::Streams => steer.limit_streams(places),
        }
    }

    fn in_force(&self) -> InForce {
        let Means {
            steer, pace, calls, ..
        } = &self.means;
        let (uploads, streams) = (steer.uploads(), steer.streams());
        InForce {
            bandwidth: pace.limit(),
            calls: (calls.per_second(), calls.ceiling()),
            uploads: (uploads.limit, uploads.cap),
            streams: (streams.limit, streams.cap),
            tuned: (uploads.now, streams.now),
        }
    }

    /// What only this process knows.
    pub fn facts(&self) -> LiveFacts {
        let Means {
            run,
            pace,
            progress,
            scan,
            outages,
            ..
        } = &self.means;
        let confirmed = progress.confirmed.load(Relaxed);
        let now = Instant::now();
        let closed = pace.closed_until(&jiff::Timestamp::now());
        let state = self.state();
        let idle = state.paused.is_some() || closed.is_some();
        LiveFacts {
            run: run.0,
            pid: std::process::id(),
            since: self.since,
            paused: state.paused.as_ref().map(|paused| paused.by.clone()),
            paused_until: state.paused.as_ref().and_then(|paused| paused.until),
            closed_until: closed.map(jiff::Timestamp::as_millisecond),
            draining: state.draining.clone(),
            scanning: !scan.done.load(Relaxed),
            seen: scan.seen.load(Relaxed),
            confirmed,
            resent: progress.resent.load(Relaxed),
            read_back: progress.read_back.load(Relaxed),
            rate_now: state.meter.now(now, confirmed),
            rate_ten: state.meter.ten(now, confirmed),
            limits: self.in_force(),
            overrides: state.overrides.clone(),
            limited_by: limited_by(progress).filter(|_| !idle),
            outages: outages().into_iter().map(Outage::from).collect(),
            stop_at: self.bounds.until,
            max_bytes: self.bounds.max_bytes,
            max_failures: self.bounds.max_failures,
            stopped_here: progress.items_stopped.load(Relaxed),
        }
    }

    /// A change is in the journal before it takes effect.
    async fn record(&self, facts: &Value) -> Result<(), Error> {
        Ok(self.keep(facts, Vec::new()).await?)
    }

    /// The same, with what is kept of it for a later process.
    pub(super) async fn keep(
        &self,
        facts: &Value,
        kept: Vec<Fact>,
    ) -> Result<(), crate::ledger::Error> {
        let entry = Entry {
            run: Some(self.means.run),
            event: "steered".into(),
            data: facts.to_string(),
            ..Default::default()
        };
        let change = kept.into_iter().fold(Change::new(), Change::fact);
        self.means.ledger.apply(change.journal(entry)).await
    }

    /// What happens by itself happens also when it cannot be recorded; the engine's next step
    /// finds out about the ledger.
    async fn journal(&self, facts: &Value) {
        self.note(facts, Vec::new()).await;
    }

    pub(super) async fn note(&self, facts: &Value, kept: Vec<Fact>) {
        if let Err(error) = self.keep(facts, kept).await {
            tracing::warn!(%error, "a change was not recorded");
        }
    }
}

/// What limits the rate, in words for people.
fn limited_by(progress: &Progress) -> Option<String> {
    let name = match progress.limited_by()? {
        "the destination" => "Content Server",
        "the commit" => "Content Server's commit",
        "the source" => "iconik's storage",
        other => other,
    };
    Some(name.to_owned())
}

/// The end of what a person set, for people.
pub(super) fn moment(until: Option<i64>) -> String {
    until
        .and_then(|until| jiff::Timestamp::from_millisecond(until).ok())
        .map_or_else(String::new, |until| format!(" until {until:.0}"))
}

pub(super) fn describe(knob: Knob, value: u64) -> String {
    match (knob, value) {
        (Knob::Bandwidth, 0) => "no bandwidth limit".to_owned(),
        (Knob::Bandwidth, rate) => format!("at most {}/s", display_bytes(rate)),
        (Knob::Calls, calls) => format!("{calls} calls a second to iconik"),
        (Knob::Uploads, 1) => "1 upload at once".to_owned(),
        (Knob::Uploads, uploads) => format!("{uploads} uploads at once"),
        (Knob::Streams, 1) => "1 read at once".to_owned(),
        (Knob::Streams, streams) => format!("{streams} reads at once"),
    }
}

impl std::convert::From<transfer::Outage> for Outage {
    fn from(outage: transfer::Outage) -> Self {
        Self {
            system: outage.end.as_str().to_owned(),
            since: outage.since,
            next_in: outage.next.as_secs(),
            asked: outage.asked,
            error: outage.error,
            full: outage.full,
        }
    }
}

impl std::fmt::Display for super::Retried {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.items, self.unplanned) {
            (0, 0) => f.write_str("there is nothing to try again")?,
            (1, _) => f.write_str("1 item will be tried again, with the parts it has")?,
            (items, _) => write!(
                f,
                "{items} items will be tried again, with the parts they have"
            )?,
        }
        if self.items == 0 && self.others > 0 {
            write!(
                f,
                "; {} stopped in another state: `longhaul status` says why, `longhaul retry --all` tries them too",
                self.others
            )?;
        }
        if self.unplanned > 0 {
            write!(
                f,
                "; {} could not be planned: `longhaul resume --retry parked` looks at them in iconik again",
                self.unplanned
            )?;
        }
        Ok(())
    }
}
