//! Bytes over time in a fixed number of intervals, whatever the run's length.

use serde::Serialize;

use crate::types::ByteCount;

/// Most intervals; with one more they are joined in pairs.
const MOST: usize = 240;
/// Width of the first intervals, in milliseconds.
const FIRST: i64 = 1000;

/// Bytes in intervals of one width.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Speed {
    /// Where the first interval begins, in Unix milliseconds.
    pub start: i64,
    /// Width of each, in milliseconds.
    pub width: i64,
    /// Bytes of each.
    pub bytes: Vec<ByteCount>,
}

impl Speed {
    pub(super) fn new(start: i64) -> Self {
        Self {
            start,
            width: FIRST,
            bytes: Vec::new(),
        }
    }

    /// Bytes that moved between two moments, spread evenly.
    pub(super) fn add(&mut self, from: i64, to: i64, bytes: ByteCount) {
        let from = from.max(self.start);
        let to = to.max(from);
        // A clock that was set wrong for a while must not stretch the plot over centuries.
        while usize::try_from((to - self.start) / self.width).unwrap_or(usize::MAX) >= MOST {
            self.halve();
        }
        let at = |moment: i64| usize::try_from((moment - self.start) / self.width).unwrap_or(0);
        let (first, last) = (at(from), at(to));
        if self.bytes.len() <= last {
            self.bytes.resize(last + 1, 0);
        }
        let span = u128::from((to - from).unsigned_abs()).max(1);
        let mut given: ByteCount = 0;
        for i in first..=last {
            let end = self.start + self.width * (i64::try_from(i).unwrap_or(0) + 1);
            // What has been given up to the interval's end; the last gets the rest.
            let upto = if i == last {
                bytes
            } else {
                let passed = u128::from((end - from).unsigned_abs());
                ByteCount::try_from(u128::from(bytes) * passed / span)
                    .unwrap_or(bytes)
                    .min(bytes)
            };
            self.bytes[i] = self.bytes[i].saturating_add(upto - given);
            given = upto;
        }
    }

    fn halve(&mut self) {
        self.width = self.width.saturating_mul(2);
        self.bytes = self
            .bytes
            .chunks(2)
            .map(|pair| {
                pair.iter()
                    .fold(0, |sum: u64, bytes| sum.saturating_add(*bytes))
            })
            .collect();
    }

    /// All bytes.
    pub fn total(&self) -> ByteCount {
        self.bytes
            .iter()
            .fold(0, |sum: u64, bytes| sum.saturating_add(*bytes))
    }

    /// Bytes a second of the fastest interval.
    pub fn peak(&self) -> ByteCount {
        let most = self.bytes.iter().copied().max().unwrap_or(0);
        self.rate(most)
    }

    /// An interval's bytes as bytes a second.
    pub(super) fn rate(&self, bytes: ByteCount) -> ByteCount {
        let rate = u128::from(bytes) * 1000 / u128::from(self.width.unsigned_abs().max(1));
        ByteCount::try_from(rate).unwrap_or(ByteCount::MAX)
    }

    /// Where the last interval ends.
    pub(super) fn end(&self) -> i64 {
        let intervals = i64::try_from(self.bytes.len()).unwrap_or(0);
        self.start
            .saturating_add(self.width.saturating_mul(intervals))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bytes_are_spread_over_the_time_they_took() {
        let mut speed = Speed::new(1_000);
        speed.add(1_500, 3_500, 200);
        assert_eq!(speed.bytes, [50, 100, 50]);
        speed.add(0, 0, 7);
        assert_eq!(
            speed.bytes,
            [57, 100, 50],
            "before the start counts at the start"
        );
        assert_eq!((speed.total(), speed.peak()), (207, 100));
    }

    proptest! {
        #[test]
        fn none_is_lost_and_intervals_stay_few(
            adds in prop::collection::vec((0i64..10_000_000_000, 0i64..1_000_000_000, 0u64..1 << 40), 0..40),
        ) {
            let mut speed = Speed::new(5_000);
            let mut sum = 0;
            for (from, lasted, bytes) in adds {
                speed.add(from, from + lasted, bytes);
                sum += bytes;
            }
            prop_assert_eq!(speed.total(), sum);
            prop_assert!(speed.bytes.len() <= MOST);
        }
    }
}
