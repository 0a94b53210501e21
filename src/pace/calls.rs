//! Requests per second to one system.

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use tokio::time::Instant;

use super::clock::{Moment, TokioClock};

/// Below this many remaining calls the limiter spreads what is left over the rest of the window.
const SCARCE: u32 = 20;

type Limiter = RateLimiter<NotKeyed, InMemoryState, TokioClock, NoOpMiddleware<Moment>>;

#[derive(Debug)]
struct Limit {
    per_second: u32,
    limiter: Limiter,
}

impl Limit {
    fn new(per_second: u32) -> Arc<Self> {
        let per_second = per_second.max(1);
        let rate = NonZeroU32::new(per_second).unwrap_or(NonZeroU32::MIN);
        let burst = NonZeroU32::new(per_second / 5).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::per_second(rate).allow_burst(burst);
        Arc::new(Self {
            per_second,
            limiter: RateLimiter::direct_with_clock(quota, TokioClock),
        })
    }
}

/// A limit on calls, first come, first served. It can be lowered while it is waited for.
#[derive(Debug)]
pub struct Calls {
    limit: ArcSwap<Limit>,
    ceiling: u32,
    turn: tokio::sync::Mutex<()>,
    held_until: Mutex<Option<Instant>>,
}

impl Calls {
    /// `per_second` calls a second (at least one), in bursts of at most a fifth of that.
    pub fn new(per_second: u32) -> Self {
        let limit = Limit::new(per_second);
        Self {
            ceiling: limit.per_second,
            limit: ArcSwap::new(limit),
            turn: tokio::sync::Mutex::default(),
            held_until: Mutex::default(),
        }
    }

    /// Makes it `per_second` calls a second: at least one, and never more than at first. How many
    /// it is now.
    pub fn set(&self, per_second: u32) -> u32 {
        let wanted = per_second.clamp(1, self.ceiling);
        if wanted != self.per_second() {
            self.limit.store(Limit::new(wanted));
        }
        wanted
    }

    /// Calls a second.
    pub fn per_second(&self) -> u32 {
        self.limit.load().per_second
    }

    /// The most it can be set to.
    pub fn ceiling(&self) -> u32 {
        self.ceiling
    }

    /// Waits until one call may be made.
    pub async fn take(&self) {
        let _turn = self.turn.lock().await;
        loop {
            let held = *self
                .held_until
                .lock()
                .expect("nothing panics while holding it");
            if let Some(until) = held.filter(|until| *until > Instant::now()) {
                tokio::time::sleep_until(until).await;
                continue;
            }
            let limit = self.limit.load_full();
            let wait = match limit.limiter.check() {
                Ok(()) => return,
                Err(not_until) => not_until.wait_time_from(TokioClock.now()),
            };
            tokio::time::sleep(wait).await;
        }
    }

    /// Takes note of how many calls the other side says are left: close to none, a pause follows.
    pub fn note_remaining(&self, left: u32) {
        if left < SCARCE {
            self.hold(Duration::from_millis(u64::from(SCARCE - left) * 50));
        }
    }

    /// Holds every call back for `wait`; a hold never shortens another.
    pub fn hold(&self, wait: Duration) {
        let until = Instant::now() + wait;
        let mut held = self
            .held_until
            .lock()
            .expect("nothing panics while holding it");
        if held.is_none_or(|held| held < until) {
            *held = Some(until);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn calls_stay_under_the_published_limit() {
        let calls = Calls::new(45);
        let start = Instant::now();
        for _ in 0..450 {
            calls.take().await;
        }
        let rate = 450.0 / start.elapsed().as_secs_f64();
        assert!((44.0..46.5).contains(&rate), "{rate}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_lower_rate_holds_from_the_next_call_and_is_never_above_the_first() {
        let calls = Calls::new(45);
        assert_eq!(calls.set(1000), 45);
        assert_eq!(calls.set(5), 5);
        let start = Instant::now();
        for _ in 0..50 {
            calls.take().await;
        }
        let rate = 50.0 / start.elapsed().as_secs_f64();
        assert!((4.8..5.3).contains(&rate), "{rate}");
        assert_eq!(calls.set(0), 1, "none at all would be a pause");
    }

    #[tokio::test(start_paused = true)]
    async fn a_hold_keeps_every_call_back() {
        let calls = Calls::new(1000);
        calls.hold(Duration::from_secs(7));
        calls.hold(Duration::from_secs(1));
        let start = Instant::now();
        calls.take().await;
        assert!(start.elapsed() >= Duration::from_secs(7));
        calls.note_remaining(0);
        calls.take().await;
        assert!(start.elapsed() >= Duration::from_secs(8));
    }
}
