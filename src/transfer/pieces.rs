//! How many bytes one ranged GET asks for.
//!
//! Every request waits once for its first byte. Where that wait is a small part of the request's
//! time, pieces of [`PIECE`] bytes start the hash soonest; on a line of long latency, or of slow
//! connections, it is time in which a connection carries nothing, and pieces double until it is
//! small again.

use std::sync::Mutex;
use std::time::Duration;

use crate::types::{ByteCount, MIB};

/// The smallest piece.
pub(super) const PIECE: ByteCount = 16 * MIB;
/// The largest: several are in memory at once.
const LARGEST: ByteCount = 64 * MIB;
/// Shares of a request's time before its first byte between which pieces stay as they are.
const SHARE: (f64, f64) = (0.015, 0.05);
/// Requests that speak for or against a size before it changes.
const SAMPLES: u32 = 4;

/// The size of pieces, found out from the requests that were made.
#[derive(Debug)]
pub(super) struct Pieces {
    seen: Mutex<Seen>,
}

#[derive(Debug)]
struct Seen {
    size: ByteCount,
    /// Seconds before first bytes and in all, of requests of the present size.
    first: f64,
    all: f64,
    samples: u32,
}

impl Default for Pieces {
    fn default() -> Self {
        let seen = Seen {
            size: PIECE,
            first: 0.0,
            all: 0.0,
            samples: 0,
        };
        Self {
            seen: Mutex::new(seen),
        }
    }
}

impl Pieces {
    /// Bytes that a request asks for now.
    pub(super) fn size(&self) -> ByteCount {
        self.seen().size
    }

    /// The same, but small enough for `streams` requests in `ahead` bytes of memory.
    pub(super) fn within(&self, ahead: ByteCount, streams: usize) -> ByteCount {
        let most = ahead / (streams as u64).max(1);
        let mut size = self.size();
        while size > PIECE && size > most {
            size /= 2;
        }
        size
    }

    /// Takes note of a request of `bytes` that took `all`, `first` of it until the answer began.
    /// Requests of other sizes than the present one say nothing of it.
    pub(super) fn note(&self, bytes: ByteCount, first: Duration, all: Duration) {
        let mut seen = self.seen();
        if bytes != seen.size {
            return;
        }
        seen.first += first.as_secs_f64();
        seen.all += all.as_secs_f64();
        seen.samples += 1;
        if seen.samples < SAMPLES {
            return;
        }
        let share = seen.first / seen.all.max(f64::EPSILON);
        let size = if share > SHARE.1 {
            (seen.size * 2).min(LARGEST)
        } else if share < SHARE.0 {
            (seen.size / 2).max(PIECE)
        } else {
            seen.size
        };
        if size != seen.size {
            tracing::debug!(
                from = seen.size,
                to = size,
                share,
                "bytes a request changed"
            );
        }
        *seen = Seen {
            size,
            first: 0.0,
            all: 0.0,
            samples: 0,
        };
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The size that a line of this latency and rate a connection settles at.
    fn settles(latency: f64, bytes_per_second: f64) -> ByteCount {
        let pieces = Pieces::default();
        for _ in 0..100 {
            let size = pieces.size();
            let all = latency + size as f64 / bytes_per_second;
            let time = Duration::from_secs_f64;
            pieces.note(size, time(latency), time(all));
        }
        pieces.size()
    }

    #[test]
    fn pieces_grow_where_waiting_for_the_first_byte_costs_much() {
        assert_eq!(settles(0.001, 500e6), PIECE);
        assert_eq!(
            settles(0.05, 20e6),
            2 * PIECE,
            "0.05 of 0.9 seconds were 6 %"
        );
        assert_eq!(settles(0.1, 20e6), LARGEST, "0.1 of 1.8 seconds were 6 %");
        assert_eq!(settles(3.0, 1e9), LARGEST, "never more than this");
    }

    #[test]
    fn large_pieces_leave_room_for_all_streams() {
        let pieces = Pieces::default();
        for _ in 0..2 * SAMPLES {
            pieces.note(
                pieces.size(),
                Duration::from_secs(1),
                Duration::from_secs(2),
            );
        }
        assert_eq!(pieces.size(), LARGEST);
        assert_eq!(pieces.within(1 << 30, 16), LARGEST);
        assert_eq!(pieces.within(512 * MIB, 16), LARGEST / 2);
        assert_eq!(pieces.within(64 * MIB, 16), PIECE);
    }

    #[test]
    fn a_line_that_became_fast_gets_small_pieces_again() {
        let pieces = Pieces::default();
        let note = |first, all| {
            for _ in 0..SAMPLES {
                pieces.note(
                    pieces.size(),
                    Duration::from_millis(first),
                    Duration::from_millis(all),
                );
            }
        };
        note(100, 900);
        assert_eq!(pieces.size(), 2 * PIECE);
        note(100, 2500);
        assert_eq!(pieces.size(), 2 * PIECE, "4 % are neither much nor little");
        pieces.note(PIECE, Duration::ZERO, Duration::from_secs(100));
        note(1, 500);
        assert_eq!(pieces.size(), PIECE);
    }
}
