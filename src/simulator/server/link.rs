//! The link in front of a server: latency, bandwidth and how many connections it takes.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// How a link behaves. The default is as fast as the machine.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LinkSettings {
    /// Added before each request is worked on, in milliseconds.
    pub latency_ms: u64,
    /// Bytes per second of each connection, each way.
    pub per_connection: Option<u64>,
    /// Bytes per second of all connections together, each way.
    pub total: Option<u64>,
    /// Connections served at once; more wait to be accepted.
    pub connections: Option<usize>,
    /// Uploads at once that are served at full speed; every further one adds `strain_ms` to all.
    pub strained_above: Option<usize>,
    /// What each of those adds, in milliseconds.
    pub strain_ms: u64,
    /// Uploads at once beyond which further ones are refused with 503.
    pub busy_above: Option<usize>,
}

/// A link whose settings may change while it is used; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Link(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    settings: Mutex<LinkSettings>,
    uploads: AtomicUsize,
    up: Pacer,
    down: Pacer,
}

/// An upload that is counted; forgotten on drop.
pub(super) struct Upload(Link);

impl Drop for Upload {
    fn drop(&mut self) {
        self.0.0.uploads.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Link {
    /// A link with these settings.
    pub fn new(settings: LinkSettings) -> Self {
        let link = Self::default();
        link.set(settings);
        link
    }

    fn guard(&self) -> MutexGuard<'_, LinkSettings> {
        self.0
            .settings
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The present settings.
    pub fn settings(&self) -> LinkSettings {
        self.guard().clone()
    }

    /// Changes the settings, for exchanges under way too.
    pub fn set(&self, settings: LinkSettings) {
        *self.guard() = settings;
    }

    pub(super) fn latency(&self) -> Duration {
        Duration::from_millis(self.guard().latency_ms)
    }

    /// Counts an upload until the guard is dropped; `None` when the server is too busy for it.
    pub(super) fn upload(&self) -> Option<Upload> {
        let upload = Upload(self.clone());
        let now = self.0.uploads.fetch_add(1, Ordering::Relaxed) + 1;
        let busy = self.guard().busy_above.is_some_and(|most| now > most);
        (!busy).then_some(upload)
    }

    /// What the uploads of this moment add to each of them.
    pub(super) fn strain(&self) -> Duration {
        let settings = self.guard();
        let now = self.0.uploads.load(Ordering::Relaxed);
        let above = settings
            .strained_above
            .map_or(0, |most| now.saturating_sub(most));
        Duration::from_millis(settings.strain_ms.saturating_mul(above as u64))
    }

    pub(super) fn connections(&self) -> Option<usize> {
        self.guard().connections
    }

    /// Bytes that may pass in one piece, so that a slow link is smooth; `None` without limit.
    pub(super) fn piece(&self) -> Option<usize> {
        let settings = self.guard();
        let slowest = match (settings.per_connection, settings.total) {
            (Some(a), Some(b)) => a.min(b),
            (Some(a), None) | (None, Some(a)) => a,
            (None, None) => return None,
        };
        Some(piece_of(slowest))
    }

    /// Waits for the turn of `bytes` towards the server.
    pub(super) async fn up(&self, own: &Pacer, bytes: usize) {
        self.pass(own, &self.0.up, bytes).await;
    }

    /// Waits for the turn of `bytes` towards the client.
    pub(super) async fn down(&self, own: &Pacer, bytes: usize) {
        self.pass(own, &self.0.down, bytes).await;
    }

    async fn pass(&self, own: &Pacer, shared: &Pacer, bytes: usize) {
        let (each, total) = {
            let settings = self.guard();
            (settings.per_connection, settings.total)
        };
        // Both turns are taken at once: taken one after the other, their waits would add up.
        let turns = [
            each.map(|r| own.turn(r, bytes)),
            total.map(|r| shared.turn(r, bytes)),
        ];
        if let Some(until) = turns.into_iter().flatten().max() {
            tokio::time::sleep_until(until).await;
        }
    }
}

/// About a twentieth of a second of `rate`, between 1 byte and 256 KiB.
pub(super) fn piece_of(rate: u64) -> usize {
    usize::try_from((rate / 20).clamp(1, 256 * 1024)).unwrap_or(256 * 1024)
}

/// How far a sender that woke up late may catch up: timers are exact to a millisecond, and a link
/// that forgot what that costs would be several per cent slower than it says.
const CATCH_UP: Duration = Duration::from_millis(20);

/// Hands out turns at a rate: each asker gets the next free moment and sleeps until it.
#[derive(Debug, Default)]
pub(super) struct Pacer(Mutex<Option<Instant>>);

impl Pacer {
    pub(super) async fn pass(&self, rate: u64, bytes: usize) {
        tokio::time::sleep_until(self.turn(rate, bytes)).await;
    }

    fn turn(&self, rate: u64, bytes: usize) -> Instant {
        let cost = Duration::from_secs_f64(bytes as f64 / rate.max(1) as f64);
        let mut next = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let late = now.checked_sub(CATCH_UP).unwrap_or(now);
        let until = next.map_or(now, |next| next.max(late)) + cost;
        *next = Some(until);
        until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_link_lets_its_rate_pass_and_no_more() {
        let link = Link::new(LinkSettings {
            per_connection: Some(1000),
            total: Some(1500),
            ..LinkSettings::default()
        });
        let (a, b) = (Pacer::default(), Pacer::default());
        let start = Instant::now();
        let one = async {
            for _ in 0..20 {
                link.down(&a, 50).await;
            }
        };
        let other = async {
            for _ in 0..20 {
                link.down(&b, 50).await;
            }
        };
        tokio::join!(one, other);
        let took = start.elapsed().as_secs_f64();
        assert!(
            (1.3..1.5).contains(&took),
            "2000 bytes at 1500/s took {took}"
        );
    }
}
