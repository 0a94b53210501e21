//! How many streams at each end: raised while more bring more, lowered when the end refuses.
//!
//! Every end has [`Permits`], of which at most the configured cap are ever out. A [`Climber`]
//! judges windows of time: goodput is compared with that of the level before, a raise that brought
//! less than half of what it promised is taken back, and a refusal (throttled, busy, cut) lowers
//! the level at once. Both keep away from what did not help for a while that doubles. Nothing is
//! judged while the permits were not the limit: a slow hash or a bandwidth limit says nothing
//! about an end.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::Shared;
use super::progress::{Gauge, Progress, Waiting};
use crate::types::{ByteCount, display_bytes};

/// Reads at once to begin with: on a fast line two keep the hash busy.
pub(super) const READS: usize = 2;
/// Uploads at once to begin with: what the destination's own clients use.
pub(super) const UPLOADS: usize = 3;
/// How often the counters are looked at.
const TICK: Duration = Duration::from_millis(250);
/// Time for a new level to show, before it is measured.
const SETTLE: Duration = Duration::from_millis(500);
/// Shortest window that is judged.
const WINDOW: Duration = Duration::from_millis(1000);
/// A window without a single completion is judged all the same after this.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a level that did not help is kept away from, at first and at most.
const AVOID: (Duration, Duration) = (Duration::from_secs(20), Duration::from_secs(600));

/// Permits whose number changes while they are out.
#[derive(Debug)]
pub(super) struct Permits {
    semaphore: Arc<Semaphore>,
    level: Mutex<Level>,
    cap: usize,
}

#[derive(Debug)]
struct Level {
    target: usize,
    /// Permits to withdraw when they come back.
    excess: usize,
}

/// One permit; back on drop.
#[derive(Debug)]
pub(super) struct Permit {
    permits: Arc<Permits>,
    inner: Option<OwnedSemaphorePermit>,
}

impl Permits {
    /// `target` permits now, never more than `cap`.
    pub(super) fn new(target: usize, cap: usize) -> Self {
        let cap = cap.max(1);
        let target = target.clamp(1, cap);
        Self {
            semaphore: Arc::new(Semaphore::new(target)),
            level: Mutex::new(Level { target, excess: 0 }),
            cap,
        }
    }

    /// Waits for a permit, first come first served.
    pub(super) async fn acquire(self: &Arc<Self>, waiting: &Waiting) -> Permit {
        let _waiting = Gauge::up(waiting);
        let inner = Arc::clone(&self.semaphore).acquire_owned().await;
        Permit {
            permits: Arc::clone(self),
            inner: Some(inner.expect("nobody closes the permits")),
        }
    }

    /// Permits that may be out.
    pub(super) fn target(&self) -> usize {
        self.level().target
    }

    /// Most permits there ever are.
    pub(super) fn cap(&self) -> usize {
        self.cap
    }

    /// Changes how many permits may be out; those that are out already stay until they come back.
    pub(super) fn set(&self, target: usize) {
        let target = target.clamp(1, self.cap);
        let mut level = self.level();
        if target > level.target {
            let more = target - level.target;
            let kept = more.min(level.excess);
            level.excess -= kept;
            self.semaphore.add_permits(more - kept);
        } else {
            let less = level.target - target;
            let gone = self.semaphore.forget_permits(less);
            level.excess += less - gone;
        }
        level.target = target;
    }

    fn level(&self) -> std::sync::MutexGuard<'_, Level> {
        self.level.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut level = self.permits.level();
        if level.excess > 0 {
            level.excess -= 1;
            if let Some(inner) = self.inner.take() {
                inner.forget();
            }
        }
    }
}

/// What one window showed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    /// Bytes per second that got through.
    pub(super) goodput: f64,
    /// Refusals by the end.
    pub(super) refusals: u64,
    /// Whether somebody waited for a permit.
    pub(super) wanted: bool,
}

/// Decides the level of one end from windows; pure, so that tests can be the end.
#[derive(Clone, Debug)]
pub(super) struct Climber {
    level: usize,
    cap: usize,
    /// The level before the present one was tried, and its goodput.
    before: Option<(usize, f64)>,
    /// What the present level usually brings.
    usual: Option<f64>,
    /// A window that spoke against the present level: one may be chance, two in a row are not.
    doubt: Option<f64>,
    avoid: Option<Avoid>,
}

/// A level that did not help.
#[derive(Clone, Copy, Debug)]
struct Avoid {
    level: usize,
    until: Duration,
    time: Duration,
}

/// A new level and why.
pub(super) type Verdict = (usize, &'static str);

impl Climber {
    pub(super) fn new(level: usize, cap: usize) -> Self {
        Self {
            level: level.clamp(1, cap),
            cap,
            before: None,
            usual: None,
            doubt: None,
            avoid: None,
        }
    }

    /// Judges a window that ended `at` (since the start); the new level, when it changes.
    pub(super) fn judge(&mut self, at: Duration, window: Window) -> Option<Verdict> {
        let before = self.before.take();
        if window.refusals > 0 {
            self.shun(at, self.level);
            return self.go(self.lower(), "the end refuses");
        }
        if let Some((level, goodput)) = before {
            let seen = window.goodput.max(self.doubt.unwrap_or(0.0));
            let gain = seen / goodput.max(1.0);
            if level < self.level {
                let promised = self.level as f64 / level as f64;
                // Without demand the new level was never tried.
                if window.wanted && gain - 1.0 < (promised - 1.0) / 2.0 {
                    if self.doubt.replace(seen).is_none() {
                        self.before = before;
                        return None;
                    }
                    self.shun(at, self.level);
                    return self.go(level, "more streams brought no more");
                }
                if self.avoid.is_some_and(|avoid| self.level >= avoid.level) {
                    self.avoid = None;
                }
            } else if gain < 1.05 {
                return self.go(level, "fewer streams brought no more");
            }
        }
        if !window.wanted {
            return None;
        }
        let usual = *self.usual.get_or_insert(window.goodput);
        if window.goodput < usual * 0.7 && self.level > 1 {
            self.doubt.replace(window.goodput)?;
            self.before = Some((self.level, window.goodput));
            return self.go(
                self.lower(),
                "it became slower; perhaps it has too much to do",
            );
        }
        self.doubt = None;
        self.usual = Some(usual.mul_add(0.7, window.goodput * 0.3));
        let next = self.higher(at);
        if next == self.level {
            return None;
        }
        self.before = Some((self.level, window.goodput));
        self.go(next, "each stream still brings its share")
    }

    /// The next level to try; halfway to one that is avoided.
    fn higher(&self, at: Duration) -> usize {
        match self.avoid {
            Some(avoid) if at < avoid.until => {
                let ceiling = avoid.level.saturating_sub(1).min(self.cap);
                self.level + ceiling.saturating_sub(self.level).div_ceil(2)
            }
            // Tried again after a while, carefully.
            Some(_) => (self.level + 1).min(self.cap),
            None => (self.level + (self.level / 2).max(1)).min(self.cap),
        }
    }

    fn lower(&self) -> usize {
        (self.level * 3 / 4).clamp(1, self.level.saturating_sub(1).max(1))
    }

    /// Keeps away from a level, for twice as long when it was tried again after a while.
    fn shun(&mut self, at: Duration, level: usize) {
        let (level, time) = match self.avoid {
            Some(avoid) if at < avoid.until => (level.min(avoid.level), avoid.time),
            Some(avoid) => (level, (avoid.time * 2).min(AVOID.1)),
            None => (level, AVOID.0),
        };
        self.avoid = Some(Avoid {
            level,
            until: at + time,
            time,
        });
    }

    fn go(&mut self, level: usize, why: &'static str) -> Option<Verdict> {
        let changed = level != self.level;
        if changed {
            (self.usual, self.doubt) = (None, None);
        }
        self.level = level;
        changed.then_some((level, why))
    }
}

/// One end as the tuner sees it.
struct End<'a> {
    name: &'static str,
    permits: &'a Arc<Permits>,
    waiting: &'a Waiting,
    climber: Climber,
    bytes: Box<dyn Fn() -> ByteCount + Send + Sync + 'a>,
    refusals: Box<dyn Fn() -> u64 + Send + Sync + 'a>,
    since: Instant,
    at: (ByteCount, u64),
    wanted: u32,
    looks: u32,
}

impl End<'_> {
    fn look(&mut self, started: Instant) {
        let elapsed = self.since.elapsed();
        let (bytes, refusals) = ((self.bytes)(), (self.refusals)());
        self.looks += 1;
        self.wanted += u32::from(self.waiting.tasks() > 0);
        let refused = refusals > self.at.1;
        if !refused && (elapsed < WINDOW || bytes == self.at.0 && elapsed < PATIENCE) {
            return;
        }
        let window = Window {
            goodput: (bytes - self.at.0) as f64 / elapsed.as_secs_f64().max(0.001),
            refusals: refusals - self.at.1,
            // Most of the time, not just once.
            wanted: self.wanted * 2 >= self.looks,
        };
        let from = self.permits.target();
        if let Some((to, why)) = self.climber.judge(started.elapsed(), window) {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a rate for the log: finite and not negative"
            )]
            let goodput = window.goodput as u64;
            tracing::info!(
                end = self.name, from, to, cap = self.permits.cap(), why,
                goodput = %format_args!("{}/s", display_bytes(goodput)),
                refusals = window.refusals, "streams changed",
            );
            self.permits.set(to);
            self.begin(SETTLE);
        } else {
            self.begin(Duration::ZERO);
        }
    }

    /// Starts a window after `settle`.
    fn begin(&mut self, settle: Duration) {
        self.since = Instant::now() + settle;
        self.at = ((self.bytes)(), (self.refusals)());
        (self.wanted, self.looks) = (0, 0);
    }
}

/// Tunes both ends for as long as it is polled.
pub(super) async fn tune(shared: &Shared) {
    let progress = &shared.progress;
    let of = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    let end = |name, permits, waiting, bytes, refusals| End {
        name,
        permits,
        waiting,
        climber: Climber::new(permits.target(), permits.cap()),
        bytes,
        refusals,
        since: Instant::now(),
        at: (0, 0),
        wanted: 0,
        looks: 0,
    };
    let mut ends = [
        end(
            "source",
            &shared.streams,
            &progress.waiting_stream,
            Box::new(move || of(&progress.read)) as Box<dyn Fn() -> u64 + Send + Sync>,
            Box::new(move || of(&progress.refused_source)) as Box<dyn Fn() -> u64 + Send + Sync>,
        ),
        end(
            "destination",
            &shared.uploads,
            &progress.waiting_upload,
            Box::new(move || of(&progress.sent)),
            Box::new(move || of(&progress.refused_destination)),
        ),
    ];
    for end in &mut ends {
        end.begin(Duration::ZERO);
    }
    let started = Instant::now();
    loop {
        tokio::time::sleep(TICK).await;
        for end in &mut ends {
            if end.since <= Instant::now() {
                end.look(started);
            } else {
                // Still settling: what came meanwhile belongs to no level.
                let since = end.since;
                end.begin(Duration::ZERO);
                end.since = since;
            }
        }
        Progress::set(&progress.streams, shared.streams.target());
        Progress::set(&progress.uploads, shared.uploads.target());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn permits_shrink_as_they_come_back_and_grow_at_once() {
        let waiting = Waiting::default();
        let permits = Arc::new(Permits::new(3, 5));
        let held = futures::future::join_all((0..3).map(|_| permits.acquire(&waiting))).await;
        permits.set(1);
        assert_eq!(permits.semaphore.available_permits(), 0);
        drop(held);
        assert_eq!(permits.semaphore.available_permits(), 1);
        permits.set(99);
        assert_eq!(
            (permits.target(), permits.semaphore.available_permits()),
            (5, 5)
        );
        let one = permits.acquire(&waiting).await;
        permits.set(1);
        permits.set(2);
        drop(one);
        assert_eq!(permits.semaphore.available_permits(), 2);
    }

    /// Runs a climber against an end whose goodput and refusals depend on the level.
    fn climb(cap: usize, windows: u32, end: impl Fn(usize) -> (f64, u64)) -> Vec<usize> {
        let mut climber = Climber::new(READS, cap);
        let mut levels = vec![climber.level];
        for number in 1..=windows {
            let (goodput, refusals) = end(climber.level);
            let window = Window {
                goodput,
                refusals,
                wanted: true,
            };
            climber.judge(Duration::from_secs(2) * number, window);
            levels.push(climber.level);
        }
        levels
    }

    #[test]
    fn a_line_slow_per_stream_is_filled_to_the_cap() {
        let levels = climb(32, 12, |level| (level as f64 * 20e6, 0));
        assert_eq!(levels.last(), Some(&32), "{levels:?}");
        assert!(levels.iter().all(|level| *level <= 32));
    }

    #[test]
    fn streams_that_bring_nothing_are_taken_back() {
        let levels = climb(32, 60, |level| (200e6 * (level.min(6) as f64 / 6.0), 0));
        let most = levels.iter().max().unwrap();
        assert!(*most <= 13, "{levels:?}");
        let settled = &levels[levels.len() / 2..];
        let mean = settled.iter().sum::<usize>() as f64 / settled.len() as f64;
        assert!((5.0..8.0).contains(&mean), "{levels:?}");
    }

    #[test]
    fn an_end_that_refuses_is_asked_for_less_and_seldom_again_for_more() {
        let levels = climb(32, 200, |level| {
            let refused = u64::from(level > 5);
            (level.min(5) as f64 * 10e6, refused)
        });
        let refused = levels.iter().filter(|level| **level > 5).count();
        assert!(refused <= 8, "{refused} of 200 windows above: {levels:?}");
        let good = levels
            .iter()
            .filter(|level| (4..=5).contains(*level))
            .count();
        assert!(good * 10 >= levels.len() * 8, "{levels:?}");
    }

    #[test]
    fn an_end_that_slows_down_under_load_is_kept_where_it_gives_most() {
        // Best at 8; beyond it every stream more costs.
        let goodput = |level: usize| match level {
            0..=8 => level as f64 * 10e6,
            more => 80e6 * (8.0 / more as f64),
        };
        let levels = climb(64, 200, |level| (goodput(level), 0));
        let settled = &levels[20..];
        let mean = settled.iter().map(|level| goodput(*level)).sum::<f64>() / settled.len() as f64;
        assert!(mean > 0.9 * 80e6, "{mean}: {levels:?}");
    }

    #[test]
    fn without_demand_nothing_changes() {
        let mut climber = Climber::new(4, 32);
        for number in 1..20 {
            let window = Window {
                goodput: 1e6,
                refusals: 0,
                wanted: false,
            };
            assert!(climber.judge(Duration::from_secs(number), window).is_none());
        }
    }
}
