//! Rates of confirmed bytes, over the last ten seconds and the last ten minutes.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use crate::types::ByteCount;

/// "Now" is this long, so that it means something.
const NOW: Duration = Duration::from_secs(10);
/// The longer window.
const TEN: Duration = Duration::from_secs(600);
/// Before this long the longer rate means nothing.
const FIRST: Duration = Duration::from_secs(60);
/// Samples are at least this far apart.
const APART: Duration = Duration::from_millis(400);

/// Samples of one counter.
#[derive(Debug, Default)]
pub(super) struct Meter(VecDeque<(Instant, ByteCount)>);

impl Meter {
    /// Notes what the counter says at `now`.
    pub(super) fn note(&mut self, now: Instant, bytes: ByteCount) {
        if self.0.back().is_some_and(|(at, _)| now - *at < APART) {
            return;
        }
        self.0.push_back((now, bytes));
        while self.0.len() > 2 && self.0[1].0 + TEN < now {
            self.0.pop_front();
        }
    }

    /// Bytes per second over the last ten seconds, up to `now`.
    pub(super) fn now(&self, now: Instant, bytes: ByteCount) -> ByteCount {
        self.over(NOW, now, bytes).map_or(0, |(rate, _)| rate)
    }

    /// Bytes per second over the last ten minutes, or since the start after a minute.
    pub(super) fn ten(&self, now: Instant, bytes: ByteCount) -> Option<ByteCount> {
        let (rate, span) = self.over(TEN, now, bytes)?;
        (span >= FIRST).then_some(rate)
    }

    fn over(
        &self,
        window: Duration,
        now: Instant,
        bytes: ByteCount,
    ) -> Option<(ByteCount, Duration)> {
        let (at, first) = self
            .0
            .iter()
            .find(|(at, _)| *at + window >= now)
            .or(self.0.back())?;
        let span = now.saturating_duration_since(*at);
        let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        let rate = bytes
            .saturating_sub(*first)
            .saturating_mul(1000)
            .checked_div(millis)?;
        Some((rate, span))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_two_rates_follow_their_own_windows() {
        let mut meter = Meter::default();
        let mut bytes = 0;
        assert_eq!(meter.now(Instant::now(), 0), 0);
        for second in 0..700 {
            meter.note(Instant::now(), bytes);
            if second == 30 {
                assert_eq!(meter.ten(Instant::now(), bytes), None, "too early");
            }
            tokio::time::advance(Duration::from_secs(1)).await;
            bytes += if second < 690 { 100 } else { 1000 };
        }
        let now = Instant::now();
        assert_eq!(meter.now(now, bytes), 1000);
        let ten = meter.ten(now, bytes).unwrap();
        assert!((114..=116).contains(&ten), "{ten}");
        assert!(meter.0.len() <= 603, "old samples are forgotten");
    }
}
