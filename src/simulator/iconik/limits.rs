//! How many calls an application may make: 50 a second, and 1000 in any 20 seconds.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Window of the second limit.
const WINDOW: Duration = Duration::from_secs(20);

/// Calls that may come at once before the rate holds.
const BURST: f64 = 100.0;

/// The calls of each application.
#[derive(Debug, Default)]
pub(super) struct Limiter(Mutex<HashMap<String, Usage>>);

#[derive(Debug)]
struct Usage {
    tokens: f64,
    filled: Instant,
    calls: VecDeque<Instant>,
}

/// What the limiter says to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Go on; so many calls are left.
    Pass { remaining: u64 },
    /// Too many; try again after this time.
    Wait(Duration),
}

impl Limiter {
    /// Counts a call of `app` against `rate` calls a second.
    pub(super) fn take(&self, app: &str, rate: u32) -> Verdict {
        let mut apps = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let burst = BURST.min(f64::from(rate) * 2.0);
        let usage = apps.entry(app.to_owned()).or_insert_with(|| Usage {
            tokens: burst,
            filled: now,
            calls: VecDeque::new(),
        });
        let rate = f64::from(rate.max(1));
        let filled = now.duration_since(usage.filled).as_secs_f64() * rate;
        usage.tokens = (usage.tokens + filled).min(burst);
        usage.filled = now;
        while usage
            .calls
            .front()
            .is_some_and(|&at| now.duration_since(at) > WINDOW)
        {
            usage.calls.pop_front();
        }
        let in_window = usage.calls.len() as f64;
        let most = rate * WINDOW.as_secs_f64();
        if in_window >= most {
            let oldest = usage.calls.front().copied().unwrap_or(now);
            return Verdict::Wait(WINDOW.saturating_sub(now.duration_since(oldest)));
        }
        if usage.tokens < 1.0 {
            return Verdict::Wait(Duration::from_secs_f64((1.0 - usage.tokens) / rate));
        }
        usage.tokens -= 1.0;
        usage.calls.push_back(now);
        let remaining = usage.tokens.min(most - in_window - 1.0).max(0.0);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 0 and the burst"
        )]
        let remaining = remaining as u64;
        Verdict::Pass { remaining }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_passes_then_fifty_a_second_then_a_thousand_in_twenty() {
        let limiter = Limiter::default();
        let pass = || matches!(limiter.take("a", 50), Verdict::Pass { .. });
        assert_eq!((0..200).filter(|_| pass()).count(), 100);
        let mut passed = 100;
        for _ in 0..18 {
            tokio::time::advance(Duration::from_secs(1)).await;
            passed += (0..60).filter(|_| pass()).count();
        }
        assert_eq!(passed, 1000);
        tokio::time::advance(Duration::from_millis(500)).await;
        assert!(!pass());
        assert!(matches!(
            limiter.take("b", 50),
            Verdict::Pass { remaining: 99 }
        ));
        tokio::time::advance(WINDOW).await;
        assert!(pass());
    }
}
