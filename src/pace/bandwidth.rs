//! Bytes per second.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

use super::clock::{Moment, TokioClock};
use crate::types::{ByteCount, GIB, KIB};

/// A change of the limit is noticed by waiters at least this often.
const NOTICE: Duration = Duration::from_millis(200);
/// Grants of one size keep askers of different sizes fair.
const GRANT: ByteCount = 64 * KIB;
/// Above 500 MB/s grants of 64 KiB cost more than they even out.
const FAST: ByteCount = 500_000_000;

type Limiter = RateLimiter<NotKeyed, InMemoryState, TokioClock, NoOpMiddleware<Moment>>;

#[derive(Debug)]
struct Limit {
    bytes_per_second: ByteCount,
    cell: ByteCount,
    grant: ByteCount,
    limiter: Limiter,
}

/// A bandwidth limit that can change while it is waited for. Without a limit it costs nothing.
#[derive(Debug, Default)]
pub struct Bandwidth {
    limit: ArcSwapOption<Limit>,
    turn: tokio::sync::Mutex<ByteCount>,
}

impl Bandwidth {
    /// Sets the limit in bytes per second; `None` and values that cannot be counted remove it.
    pub fn set(&self, bytes_per_second: Option<ByteCount>) {
        self.limit
            .store(bytes_per_second.and_then(Limit::new).map(Arc::new));
    }

    /// The limit in bytes per second.
    pub fn limit(&self) -> Option<ByteCount> {
        self.limit
            .load()
            .as_ref()
            .map(|limit| limit.bytes_per_second)
    }

    /// Waits until `bytes` may pass. First come, first served; dropping the future gives the
    /// place up and at most one grant is lost.
    pub async fn take(&self, bytes: ByteCount) {
        let mut left = bytes;
        while left > 0 {
            if self.limit.load().is_none() {
                return;
            }
            // Fractions of a cell are carried over, so that small frames are neither free nor dear.
            let mut carried = self.turn.lock().await;
            let Some(limit) = self.limit.load_full() else {
                return;
            };
            let asked = left.min(limit.grant);
            let due = *carried + asked;
            let cells = due / limit.cell;
            if let Some(cells) = u32::try_from(cells).ok().and_then(NonZeroU32::new) {
                limit.wait(cells, &self.limit).await;
            }
            *carried = due % limit.cell;
            left -= asked;
        }
    }
}

impl Limit {
    fn new(bytes_per_second: ByteCount) -> Option<Self> {
        let cell = if bytes_per_second > 4 * GIB {
            4 * KIB
        } else {
            KIB
        };
        // One grant is at most 1 % of a second, so that slow limits stay smooth.
        let widest = if bytes_per_second > FAST {
            4 * GRANT
        } else {
            GRANT
        };
        let grant = (bytes_per_second / 100 / cell * cell).clamp(cell, widest);
        let burst = (4 * grant).max(bytes_per_second / 50) / cell;
        let rate = NonZeroU32::new(u32::try_from((bytes_per_second / cell).max(1)).ok()?)?;
        let burst = NonZeroU32::new(u32::try_from(burst.max(1)).ok()?)?;
        let quota = Quota::per_second(rate).allow_burst(burst);
        Some(Self {
            bytes_per_second,
            cell,
            grant,
            limiter: RateLimiter::direct_with_clock(quota, TokioClock),
        })
    }

    async fn wait(self: &Arc<Self>, cells: NonZeroU32, current: &ArcSwapOption<Limit>) {
        loop {
            match self.limiter.check_n(cells) {
                // A grant never exceeds the burst; were it to, it would pass.
                Err(_) | Ok(Ok(())) => return,
                Ok(Err(not_until)) => {
                    let wait = not_until.wait_time_from(TokioClock.now());
                    tokio::time::sleep(wait.min(NOTICE)).await;
                }
            }
            let replaced = !matches!(&*current.load(), Some(now) if Arc::ptr_eq(now, self));
            if replaced {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;
    use crate::types::MIB;

    #[tokio::test(start_paused = true)]
    async fn the_average_is_within_two_percent_of_the_limit() {
        for rate in [MIB, 50 * MIB, 200 * MIB, 800 * MIB, 3 * GIB / 2] {
            let pace = Bandwidth::default();
            pace.set(Some(rate));
            let start = Instant::now();
            let mut passed = 0;
            while passed < 10 * rate {
                pace.take(300_000).await;
                passed += 300_000;
            }
            let measured = passed as f64 / start.elapsed().as_secs_f64();
            let ratio = measured / rate as f64;
            assert!((0.98..1.02).contains(&ratio), "{rate}: {ratio}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn no_window_of_a_second_passes_more_than_the_rate_and_one_burst() {
        let pace = Bandwidth::default();
        pace.set(Some(10 * MIB));
        let start = Instant::now();
        let mut passed = Vec::new();
        for _ in 0..2_000 {
            pace.take(16 * KIB).await;
            passed.push(start.elapsed());
        }
        for (first, from) in passed.iter().enumerate() {
            let last = passed.partition_point(|at| *at < *from + Duration::from_secs(1));
            let bytes = (last - first) as u64 * 16 * KIB;
            assert!(
                bytes <= 10 * MIB + 4 * GRANT + 10 * MIB / 50,
                "{bytes} bytes in a second"
            );
        }
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]
        #[test]
        fn no_window_passes_more_than_its_rate_and_one_burst(
            rate in 64 * KIB..2_000 * MIB,
            sizes in proptest::collection::vec(1..256 * KIB, 1..6),
            window_ms in 20u64..3_000,
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .start_paused(true)
                .build()
                .unwrap();
            let passed: Vec<(Duration, u64)> = runtime.block_on(async {
                let pace = Arc::new(Bandwidth::default());
                pace.set(Some(rate));
                let start = Instant::now();
                let askers = sizes.iter().map(|&size| {
                    let pace = Arc::clone(&pace);
                    async move {
                        let mut passed = Vec::new();
                        for _ in 0..60 {
                            pace.take(size).await;
                            passed.push((start.elapsed(), size));
                        }
                        passed
                    }
                });
                let mut all = futures::future::join_all(askers).await.concat();
                all.sort_unstable();
                all
            });
            let window = Duration::from_millis(window_ms);
            // A take is counted when its last byte passes: all but one grant of each asker's may
            // have passed before the window.
            let pending: u64 = sizes.iter().sum();
            let burst = (4 * GRANT * 4).max(rate / 50);
            let allowed = rate * window_ms / 1_000 + burst + pending;
            for (first, (from, _)) in passed.iter().enumerate() {
                let bytes: u64 = passed[first..]
                    .iter()
                    .take_while(|(at, _)| *at < *from + window)
                    .map(|(_, size)| size)
                    .sum();
                proptest::prop_assert!(bytes <= allowed, "{bytes} bytes in {window:?} at {rate}/s");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_is_noticed_by_those_who_wait() {
        let pace = Arc::new(Bandwidth::default());
        pace.set(Some(KIB));
        let waiter = tokio::spawn({
            let pace = Arc::clone(&pace);
            async move { pace.take(MIB).await }
        });
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(!waiter.is_finished());
        let start = Instant::now();
        pace.set(None);
        waiter.await.unwrap();
        assert!(start.elapsed() <= Duration::from_millis(300));
    }

    #[tokio::test(start_paused = true)]
    async fn askers_of_different_sizes_share_fairly() {
        let pace = Arc::new(Bandwidth::default());
        pace.set(Some(10 * MIB));
        let ask = |bytes: u64| {
            let pace = Arc::clone(&pace);
            tokio::spawn(async move {
                let (start, mut passed) = (Instant::now(), 0u64);
                while start.elapsed() < Duration::from_secs(10) {
                    pace.take(bytes).await;
                    passed += bytes;
                }
                passed as f64
            })
        };
        let (small, large) = (ask(GRANT), ask(MIB));
        let ratio = small.await.unwrap() / large.await.unwrap();
        assert!((0.8..1.25).contains(&ratio), "{ratio}");
    }
}
