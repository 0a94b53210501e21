//! What the engine is doing, as counters that anybody may read at any time.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
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
    /// Items in hand.
    pub items_active: AtomicU64,
    /// Tasks waiting for memory.
    pub waiting_memory: Waiting,
    /// Tasks waiting for an upload permit.
    pub waiting_upload: Waiting,
    /// Tasks waiting for the rate limit.
    pub waiting_pace: Waiting,
    /// Tasks waiting for the source to send.
    pub waiting_source: Waiting,
    /// Tasks waiting for the destination to answer.
    pub waiting_destination: Waiting,
    /// Names of the items in hand, for the live view.
    titles: Mutex<Vec<String>>,
}

/// How many tasks wait for one thing now, and how long all of them have waited for it.
#[derive(Debug, Default)]
pub struct Waiting {
    tasks: AtomicU64,
    nanos: AtomicU64,
}

impl Waiting {
    /// Tasks that wait now.
    pub fn tasks(&self) -> u64 {
        self.tasks.load(Ordering::Relaxed)
    }

    /// Task time waited and over, summed over all tasks; two tasks that wait one second each make
    /// two.
    pub fn waited(&self) -> Duration {
        Duration::from_nanos(self.nanos.load(Ordering::Relaxed))
    }
}

/// Counts one waiting task for as long as it lives.
#[derive(Debug)]
pub(super) struct Gauge<'a> {
    waiting: &'a Waiting,
    since: Instant,
}

impl<'a> Gauge<'a> {
    pub(super) fn up(waiting: &'a Waiting) -> Self {
        waiting.tasks.fetch_add(1, Ordering::Relaxed);
        let since = Instant::now();
        Self { waiting, since }
    }
}

impl Drop for Gauge<'_> {
    fn drop(&mut self) {
        let nanos = u64::try_from(self.since.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.waiting.nanos.fetch_add(nanos, Ordering::Relaxed);
        self.waiting.tasks.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Progress {
    pub(super) fn add(counter: &AtomicU64, bytes: ByteCount) {
        counter.fetch_add(bytes, Ordering::Relaxed);
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

    /// Task time waited for each thing so far, by its name in reports.
    pub fn waited(&self) -> [(&'static str, Duration); 5] {
        [
            ("source", self.waiting_source.waited()),
            ("memory", self.waiting_memory.waited()),
            ("upload", self.waiting_upload.waited()),
            ("destination", self.waiting_destination.waited()),
            ("pace", self.waiting_pace.waited()),
        ]
    }

    /// What holds the rate back now, as a text for people; `None` when nothing is in hand.
    pub fn limited_by(&self) -> Option<&'static str> {
        if self.items_active.load(Ordering::Relaxed) == 0 {
            return None;
        }
        if self.waiting_pace.tasks() > 0 {
            return Some("the bandwidth limit");
        }
        [
            (self.waiting_upload.tasks(), "the upload cap"),
            (self.waiting_destination.tasks(), "the destination"),
            (self.waiting_memory.tasks(), "the memory budget"),
            (self.waiting_source.tasks(), "the source"),
        ]
        .into_iter()
        .filter(|(waiting, _)| *waiting > 0)
        .max_by_key(|(waiting, _)| *waiting)
        .map(|(_, name)| name)
        .or(Some("hashing"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_what_limits_the_rate() {
        let progress = Progress::default();
        assert_eq!(progress.limited_by(), None);
        progress.begin("a");
        assert_eq!(progress.limited_by(), Some("hashing"));
        let source = Gauge::up(&progress.waiting_source);
        assert_eq!(progress.limited_by(), Some("the source"));
        let pace = Gauge::up(&progress.waiting_pace);
        assert_eq!(progress.limited_by(), Some("the bandwidth limit"));
        drop((pace, source));
        assert_eq!(progress.titles(), ["a"]);
        progress.end("a");
        assert_eq!(progress.limited_by(), None);
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
