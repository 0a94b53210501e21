//! Half-open byte intervals.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::ByteCount;

/// `start..end`, in bytes from the start of the file; `end` is exclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ByteRange {
    /// First byte.
    pub start: ByteCount,
    /// One past the last byte; never below `start`.
    pub end: ByteCount,
}

impl ByteRange {
    /// The range `start..end`. An `end` below `start` gives an empty range at `start`.
    pub fn new(start: ByteCount, end: ByteCount) -> Self {
        Self {
            start,
            end: end.max(start),
        }
    }

    /// Number of bytes covered.
    pub fn len(&self) -> ByteCount {
        self.end - self.start
    }

    /// Whether no byte is covered.
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Consecutive pieces of at most `size` bytes that cover this range exactly, in order.
    /// A `size` of 0 counts as 1.
    pub fn pieces(self, size: ByteCount) -> impl Iterator<Item = ByteRange> + Send {
        let size = size.max(1);
        let mut start = self.start;
        std::iter::from_fn(move || {
            (start < self.end).then(|| {
                let piece = Self::new(start, self.end.min(start.saturating_add(size)));
                start = piece.end;
                piece
            })
        })
    }
}

impl fmt::Display for ByteRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.start, self.end)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn pieces_cover_the_range_once_and_in_order(start in 0u64..1 << 40, len in 0u64..5_000, size in 0u64..700) {
            let whole = ByteRange::new(start, start + len);
            let mut at = whole.start;
            for piece in whole.pieces(size) {
                prop_assert_eq!(piece.start, at);
                prop_assert!(!piece.is_empty() && piece.len() <= size.max(1));
                at = piece.end;
            }
            prop_assert_eq!(at, whole.end);
        }
    }

    #[test]
    fn the_last_piece_at_the_end_of_the_number_line_does_not_overflow() {
        let whole = ByteRange::new(u64::MAX - 3, u64::MAX);
        assert_eq!(whole.pieces(u64::MAX).count(), 1);
    }
}
