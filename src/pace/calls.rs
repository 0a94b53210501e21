//! Requests per second to one system.

use std::num::NonZeroU32;
use std::sync::Mutex;
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use tokio::time::Instant;

use super::clock::{Moment, TokioClock};

/// Below this many remaining calls the limiter spreads what is left over the rest of the window.
const SCARCE: u32 = 20;

/// A limit on calls, first come, first served.
#[derive(Debug)]
pub struct Calls {
    limiter: RateLimiter<NotKeyed, InMemoryState, TokioClock, NoOpMiddleware<Moment>>,
    turn: tokio::sync::Mutex<()>,
    held_until: Mutex<Option<Instant>>,
}

impl Calls {
    /// `per_second` calls a second (at least one), in bursts of at most a fifth of that.
    pub fn new(per_second: u32) -> Self {
        let rate = NonZeroU32::new(per_second.max(1)).unwrap_or(NonZeroU32::MIN);
        let burst = NonZeroU32::new((per_second / 5).max(1)).unwrap_or(NonZeroU32::MIN);
        Self {
            limiter: RateLimiter::direct_with_clock(
                Quota::per_second(rate).allow_burst(burst),
                TokioClock,
            ),
            turn: tokio::sync::Mutex::default(),
            held_until: Mutex::default(),
        }
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
            match self.limiter.check() {
                Ok(()) => return,
                Err(not_until) => {
                    tokio::time::sleep(not_until.wait_time_from(TokioClock.now())).await
                }
            }
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
