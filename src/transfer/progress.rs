//! What the engine is doing, as counters that anybody may read at any time.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

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
    pub waiting_memory: AtomicU64,
    /// Tasks waiting for an upload permit.
    pub waiting_upload: AtomicU64,
    /// Tasks waiting for the rate limit.
    pub waiting_pace: AtomicU64,
    /// Tasks waiting for the source to send.
    pub waiting_source: AtomicU64,
    /// Tasks waiting for the destination to answer.
    pub waiting_destination: AtomicU64,
    /// Names of the items in hand, for the live view.
    titles: Mutex<Vec<String>>,
}

/// Counts one waiting task for as long as it lives.
#[derive(Debug)]
pub(super) struct Gauge<'a>(&'a AtomicU64);

impl<'a> Gauge<'a> {
    pub(super) fn up(gauge: &'a AtomicU64) -> Self {
        gauge.fetch_add(1, Ordering::Relaxed);
        Self(gauge)
    }
}

impl Drop for Gauge<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
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

    /// What holds the rate back now, as a text for people; `None` when nothing is in hand.
    pub fn limited_by(&self) -> Option<&'static str> {
        let load = |gauge: &AtomicU64| gauge.load(Ordering::Relaxed);
        if load(&self.items_active) == 0 {
            return None;
        }
        if load(&self.waiting_pace) > 0 {
            return Some("the bandwidth limit");
        }
        [
            (load(&self.waiting_upload), "the upload cap"),
            (load(&self.waiting_destination), "the destination"),
            (load(&self.waiting_memory), "the memory budget"),
            (load(&self.waiting_source), "the source"),
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
}
