//! What the engine is doing, as counters that anybody may read at any time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::types::ByteCount;

/// Counters of one process. Bytes only ever grow; gauges go up and down.
#[derive(Debug, Default)]
pub struct Progress {
    /// Bytes read from the source, re-reads included.
    pub read: AtomicU64,
    /// Bytes handed to the destination, re-sends included.
    pub sent: AtomicU64,
    /// Bytes the destination acknowledged for the first time (part or commit).
    pub confirmed: AtomicU64,
    /// Bytes sent again because an earlier sending was lost or started over.
    pub resent: AtomicU64,
    /// Bytes read back for proof.
    pub read_back: AtomicU64,
    /// Items finished by this process.
    pub items_done: AtomicU64,
    /// Reads that the source refused or broke off.
    pub refused_source: AtomicU64,
    /// Sendings that the destination refused or broke off.
    pub refused_destination: AtomicU64,
    /// Reads at once that the tuner allows now.
    pub streams: AtomicU64,
    /// Uploads at once that the tuner allows now.
    pub uploads: AtomicU64,
    /// Items that stopped short of done in this process: failed, or in need of a person.
    pub items_stopped: AtomicU64,
    /// Items in hand.
    pub items_active: AtomicU64,
    /// Tasks waiting for memory.
    pub waiting_memory: Waiting,
    /// Tasks waiting for their turn to read.
    pub waiting_stream: Waiting,
    /// Tasks waiting for an upload permit.
    pub waiting_upload: Waiting,
    /// Tasks waiting for the rate limit.
    pub waiting_pace: Waiting,
    /// Tasks waiting for the source to send.
    pub waiting_source: Waiting,
    /// Threads that hash; a thread that works counts as one that waits for itself.
    pub hashing: Waiting,
    /// Tasks sending to the destination or waiting for its answer.
    pub waiting_destination: Waiting,
    /// Tasks waiting for a document or version to be made of what was sent.
    pub waiting_commit: Waiting,
    /// Tasks waiting for the ledger to be on disk.
    pub waiting_ledger: Waiting,
    /// The stages as they were a moment ago.
    sampled: Mutex<Option<Sample>>,
    /// Names of the items in hand, for the live view.
    titles: Mutex<Vec<String>>,
}

/// How many tasks wait for one thing now, and how long all of them have waited for it.
#[derive(Debug, Default)]
pub struct Waiting(Mutex<Spent>);

#[derive(Debug, Default)]
struct Spent {
    tasks: u32,
    /// Task time up to `since`, summed over all tasks.
    time: Duration,
    since: Option<Instant>,
}

impl Spent {
    fn until(&self, now: Instant) -> Duration {
        let passed = self
            .since
            .map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        self.time + passed * self.tasks
    }
}

impl Waiting {
    /// Tasks that wait now.
    pub fn tasks(&self) -> u64 {
        self.lock().tasks.into()
    }

    /// Task time waited so far, summed over all tasks; two tasks that wait one second each make
    /// two.
    pub fn waited(&self) -> Duration {
        self.spent(Instant::now())
    }

    fn spent(&self, now: Instant) -> Duration {
        self.lock().until(now)
    }

    fn change(&self, tasks: impl FnOnce(u32) -> u32) {
        let now = Instant::now();
        let mut spent = self.lock();
        *spent = Spent {
            tasks: tasks(spent.tasks),
            time: spent.until(now),
            since: Some(now),
        };
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Spent> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts one waiting task for as long as it lives.
#[derive(Debug)]
pub(super) struct Gauge<'a>(&'a Waiting);

impl<'a> Gauge<'a> {
    pub(super) fn up(waiting: &'a Waiting) -> Self {
        waiting.change(|tasks| tasks + 1);
        Self(waiting)
    }
}

impl Drop for Gauge<'_> {
    fn drop(&mut self) {
        self.0.change(|tasks| tasks.saturating_sub(1));
    }
}

impl Progress {
    pub(super) fn add(counter: &AtomicU64, bytes: ByteCount) {
        counter.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn set(gauge: &AtomicU64, value: usize) {
        gauge.store(value as u64, Ordering::Relaxed);
    }

    pub(super) fn begin(&self, title: &str) {
        self.items_active.fetch_add(1, Ordering::Relaxed);
        if let Ok(mut titles) = self.titles.lock() {
            titles.push(title.to_owned());
        }
    }

    pub(super) fn end(&self, title: &str) {
        self.items_active.fetch_sub(1, Ordering::Relaxed);
        if let Ok(mut titles) = self.titles.lock()
            && let Some(at) = titles.iter().position(|t| t == title)
        {
            titles.remove(at);
        }
    }

    /// Titles of the items in hand.
    pub fn titles(&self) -> Vec<String> {
        self.titles
            .lock()
            .map(|titles| titles.clone())
            .unwrap_or_default()
    }

    fn stages(&self) -> [&Waiting; STAGES] {
        [
            &self.waiting_source,
            &self.waiting_stream,
            &self.waiting_memory,
            &self.hashing,
            &self.waiting_pace,
            &self.waiting_upload,
            &self.waiting_destination,
            &self.waiting_commit,
            &self.waiting_ledger,
        ]
    }

    /// Task time spent at each stage so far, by its name in reports: waiting for it, or, in the
    /// hash, at work.
    pub fn waited(&self) -> [(&'static str, Duration); STAGES] {
        let stages = self.stages();
        std::array::from_fn(|stage| (NAMES[stage], stages[stage].waited()))
    }

    /// What holds the rate back now, as a text for people; `None` when nothing is in hand. Looks
    /// at the last second or so, and at what runs while it is asked for the first time.
    pub fn limited_by(&self) -> Option<&'static str> {
        if self.items_active.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let now = Instant::now();
        let spent = self.stages().map(|stage| stage.spent(now));
        let mut sampled = self.sampled.lock().unwrap_or_else(PoisonError::into_inner);
        let shares = match &mut *sampled {
            Some(sample) if now.duration_since(sample.at) < SAMPLE => sample.shares,
            before => {
                let shares = match before {
                    Some(sample) => sample.shares_until(now, spent),
                    None => self.stages().map(|stage| stage.tasks() as f64),
                };
                *before = Some(Sample {
                    at: now,
                    spent,
                    shares,
                });
                shares
            }
        };
        Some(limit(shares))
    }
}

fn limit(shares: [f64; STAGES]) -> &'static str {
    limiting_stage(|name| {
        let stage = NAMES.iter().position(|stage| *stage == name);
        stage.map_or(0.0, |stage| shares[stage])
    })
}

/// What holds the rate back, from how many tasks were at each stage on average: `share` of a name
/// that [`Progress::waited`] reports, which is its time divided by the time that passed.
///
/// A stage that is full makes those before it wait, so the last full one counts: for its own
/// permits (`stream`, `memory`, `upload`) nobody waits unless what is behind them is slow.
pub fn limiting_stage(share: impl Fn(&str) -> f64) -> &'static str {
    let [
        source,
        stream,
        memory,
        hash,
        pace,
        upload,
        destination,
        commit,
        ledger,
    ] = NAMES.map(share);
    if pace > 0.25 {
        return "the bandwidth limit";
    }
    if upload > 0.5 {
        return "the upload cap";
    }
    // A thread that never rests.
    if hash > 0.8 {
        return "hashing";
    }
    if memory > 0.5 && destination < 0.5 {
        return "the memory budget";
    }
    [
        (source + stream, "the source"),
        (destination, "the destination"),
        (commit, "the commit"),
        (ledger, "the ledger"),
        (hash, "hashing"),
    ]
    .into_iter()
    .max_by(|a, b| a.0.total_cmp(&b.0))
    .map_or("hashing", |(_, name)| name)
}

/// Stages that are watched.
const STAGES: usize = NAMES.len();

/// Their names in reports.
const NAMES: [&str; 9] = [
    "source",
    "stream",
    "memory",
    "hash",
    "pace",
    "upload",
    "destination",
    "commit",
    "ledger",
];

/// Time over which stages are compared.
const SAMPLE: Duration = Duration::from_secs(1);

/// The stages at a moment.
#[derive(Debug)]
struct Sample {
    at: Instant,
    spent: [Duration; STAGES],
    shares: [f64; STAGES],
}

impl Sample {
    fn shares_until(&self, now: Instant, spent: [Duration; STAGES]) -> [f64; STAGES] {
        let seconds = now.duration_since(self.at).as_secs_f64();
        std::array::from_fn(|stage| {
            spent[stage].saturating_sub(self.spent[stage]).as_secs_f64() / seconds
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_says_what_limits_the_rate() {
        let progress = Progress::default();
        assert_eq!(progress.limited_by(), None);
        progress.begin("a");
        let source = Gauge::up(&progress.waiting_source);
        assert_eq!(progress.limited_by(), Some("the source"));
        let pace = Gauge::up(&progress.waiting_pace);
        assert_eq!(
            progress.limited_by(),
            Some("the source"),
            "not every moment"
        );
        tokio::time::advance(SAMPLE).await;
        assert_eq!(progress.limited_by(), Some("the bandwidth limit"));
        drop((pace, source));
        assert_eq!(progress.titles(), ["a"]);
        progress.end("a");
        assert_eq!(progress.limited_by(), None);
    }

    #[test]
    fn a_stage_that_is_full_is_the_limit_and_not_those_it_makes_wait() {
        // source, stream, memory, hash, pace, upload, destination, commit, ledger
        assert_eq!(
            limit([9.0, 4.0, 0.0, 0.3, 0.0, 0.0, 0.4, 0.0, 0.0]),
            "the source"
        );
        assert_eq!(
            limit([0.1, 0.0, 1.0, 0.97, 0.0, 0.0, 1.4, 0.0, 0.0]),
            "hashing"
        );
        assert_eq!(
            limit([0.1, 0.0, 1.0, 0.4, 0.0, 0.1, 2.9, 0.0, 0.0]),
            "the destination"
        );
        assert_eq!(
            limit([0.1, 0.0, 1.0, 0.4, 0.0, 2.0, 2.9, 0.0, 0.0]),
            "the upload cap"
        );
        assert_eq!(
            limit([0.2, 0.0, 2.0, 0.3, 0.0, 0.0, 0.1, 0.0, 0.0]),
            "the memory budget"
        );
        assert_eq!(
            limit([1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 2.0, 0.0, 9.0]),
            "the ledger"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn time_waited_is_summed_over_tasks() {
        let progress = Progress::default();
        let (one, two) = (
            Gauge::up(&progress.waiting_source),
            Gauge::up(&progress.waiting_source),
        );
        tokio::time::advance(Duration::from_secs(3)).await;
        assert_eq!(progress.waiting_source.tasks(), 2);
        drop((one, two));
        assert_eq!(progress.waited()[0], ("source", Duration::from_secs(6)));
        assert_eq!(progress.waiting_source.tasks(), 0);
    }
}
