//! Content of any size that is never stored: bytes worked out from a seed and an offset.
//!
//! A generated master is one random table of prime length, entered at a place that depends on
//! the seed and repeated; so a range, part or chunk put in the wrong place shows, whatever power
//! of two its size is. Every 8 MiB carry a stamp of seed and position, which makes masters
//! differ from one another and catches even misplacement by a multiple of the table. Reading
//! costs nothing: the pieces are slices of the one table, which stays in the cache.

use std::io;
use std::sync::{Arc, LazyLock};

use bytes::{Bytes, BytesMut};
use futures::stream::{self, BoxStream, StreamExt};
use md5::Md5;
use sha2::{Digest, Sha256};

use crate::types::{ByteCount, ByteRange, KIB, MIB};

/// Table length in bytes: the largest prime below 1 MiB.
pub const PERIOD: u64 = 1_048_573;

/// Largest piece handed out, in bytes.
const PIECE: u64 = 256 * KIB;

/// A stamp begins every so many bytes.
const STAMP_EVERY: u64 = 8 * MIB;

/// Length of a stamp in bytes.
const STAMP: u64 = 16;

/// The table, followed by its own beginning so that a piece never has to wrap.
static TABLE: LazyLock<Bytes> = LazyLock::new(|| {
    let mut table = Vec::new();
    let mut state = 0x6c6f_6e67_6861_756c;
    while (table.len() as u64) < PERIOD {
        table.extend_from_slice(&next(&mut state).to_le_bytes());
    }
    table.truncate(index(PERIOD));
    table.extend_from_within(..index(PIECE));
    table.into()
});

/// A table index; everything indexed is below 2 MiB.
fn index(offset: u64) -> usize {
    usize::try_from(offset).expect("a table index fits into memory")
}

/// splitmix64: small, and every state gives another number.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mix(*state)
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The stamp of block `block` of a master.
fn stamp(seed: u64, block: u64) -> [u8; 16] {
    let mut state = mix(seed) ^ block;
    let (a, b) = (next(&mut state), next(&mut state) ^ seed);
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&a.to_le_bytes());
    bytes[8..].copy_from_slice(&b.to_le_bytes());
    bytes
}

/// The bytes from `offset` on, at least one and at most `most` (which is not 0), without a copy
/// except for stamps.
pub fn piece(seed: u64, offset: u64, most: u64) -> Bytes {
    let (block, within) = (offset / STAMP_EVERY, offset % STAMP_EVERY);
    let most = most.clamp(1, PIECE);
    if within < STAMP {
        let len = most.min(STAMP - within);
        let stamp = stamp(seed, block);
        return Bytes::copy_from_slice(&stamp[index(within)..index(within + len)]);
    }
    let len = most.min(STAMP_EVERY - within);
    let start = (mix(seed) % PERIOD + offset % PERIOD) % PERIOD;
    TABLE.slice(index(start)..index(start + len))
}

/// Writes the bytes from `offset` on into `buffer`.
pub fn fill(seed: u64, offset: u64, buffer: &mut [u8]) {
    let mut done = 0;
    while done < buffer.len() {
        let at = offset + done as u64;
        let bytes = piece(seed, at, (buffer.len() - done) as u64);
        buffer[done..done + bytes.len()].copy_from_slice(&bytes);
        done += bytes.len();
    }
}

/// The SHA-256 of a generated master, as 64 hex digits.
pub fn sha256(seed: u64, size: ByteCount) -> String {
    Master::generated(seed, size).sha256()
}

#[derive(Clone, Debug)]
enum Content {
    Generated { seed: u64, size: ByteCount },
    Literal(Bytes),
}

/// The content of one object. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Master {
    content: Content,
    /// Offsets whose lowest bit is flipped.
    flips: Arc<[u64]>,
}

impl Master {
    /// `size` bytes generated from `seed`.
    pub fn generated(seed: u64, size: ByteCount) -> Self {
        Self {
            content: Content::Generated { seed, size },
            flips: Arc::new([]),
        }
    }

    /// These bytes; a real file embedded in the program, for example.
    pub fn literal(bytes: impl Into<Bytes>) -> Self {
        Self {
            content: Content::Literal(bytes.into()),
            flips: Arc::new([]),
        }
    }

    /// The same content with the lowest bit of the byte at `at` flipped (corruption at rest).
    #[must_use]
    pub fn flipped(mut self, at: u64) -> Self {
        self.flips = self.flips.iter().copied().chain([at]).collect();
        self
    }

    /// Size in bytes.
    pub fn size(&self) -> ByteCount {
        match &self.content {
            Content::Generated { size, .. } => *size,
            Content::Literal(bytes) => bytes.len() as u64,
        }
    }

    /// The first piece of `range`, which is not empty and lies within the content.
    fn first(&self, range: ByteRange) -> Bytes {
        let bytes = match &self.content {
            Content::Generated { seed, .. } => piece(*seed, range.start, range.len()),
            Content::Literal(bytes) => {
                let end = range.end.min(range.start + PIECE);
                bytes.slice(index(range.start)..index(end))
            }
        };
        let covered = ByteRange::new(range.start, range.start + bytes.len() as u64);
        let mut hits = self
            .flips
            .iter()
            .filter(|&&at| covered.start <= at && at < covered.end)
            .peekable();
        if hits.peek().is_none() {
            return bytes;
        }
        let mut changed = BytesMut::from(bytes.as_ref());
        for at in hits {
            changed[index(at - covered.start)] ^= 1;
        }
        changed.freeze()
    }

    /// The pieces of `range`, in order; what lies beyond the end is left out.
    pub fn pieces(&self, range: ByteRange) -> impl Iterator<Item = Bytes> + Send + use<> {
        let mut left = ByteRange::new(range.start, range.end.min(self.size()));
        let master = self.clone();
        std::iter::from_fn(move || {
            if left.is_empty() {
                return None;
            }
            let bytes = master.first(left);
            left = ByteRange::new(left.start + bytes.len() as u64, left.end);
            Some(bytes)
        })
    }

    /// The bytes of `range` as a reply body.
    pub fn stream(&self, range: ByteRange) -> BoxStream<'static, io::Result<Bytes>> {
        stream::iter(self.pieces(range).map(Ok)).boxed()
    }

    /// The bytes of `range` in memory; for tests and small files.
    pub fn read(&self, range: ByteRange) -> Vec<u8> {
        let mut bytes = Vec::new();
        for piece in self.pieces(range) {
            bytes.extend_from_slice(&piece);
        }
        bytes
    }

    /// The whole content's SHA-256, as 64 hex digits. Reads all of it.
    pub fn sha256(&self) -> String {
        self.digest::<Sha256>()
    }

    /// The whole content's MD5, as 32 hex digits. Reads all of it.
    pub fn md5(&self) -> String {
        self.digest::<Md5>()
    }

    fn digest<D: Digest>(&self) -> String {
        let mut hasher = D::new();
        for piece in self.pieces(ByteRange::new(0, self.size())) {
            hasher.update(&piece);
        }
        hex::encode(hasher.finalize())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_period_is_prime() {
        let limit = 1024;
        assert!((2..=limit).all(|n| !PERIOD.is_multiple_of(n)) && limit * limit > PERIOD);
    }

    proptest! {
        #[test]
        fn any_piece_of_a_master_equals_that_piece_of_the_whole(
            seed: u64,
            offset in 0u64..40 * MIB,
            len in 0usize..200_000,
            flip in 0u64..200_000,
        ) {
            let range = ByteRange::new(offset, offset + len as u64);
            let master = Master::generated(seed, 64 * MIB);
            let mut whole = vec![0; len];
            fill(seed, offset, &mut whole);
            prop_assert_eq!(&master.read(range), &whole);
            for (at, byte) in whole.iter().enumerate().step_by(997) {
                prop_assert_eq!(piece(seed, offset + at as u64, 1)[0], *byte);
            }
            if flip < len as u64 {
                let flipped = master.flipped(offset + flip).read(range);
                whole[index(flip)] ^= 1;
                prop_assert_eq!(flipped, whole);
            }
        }
    }

    #[test]
    fn misplaced_parts_of_every_usual_size_show() {
        let master = Master::generated(7, 200 * MIB);
        let head = master.read(ByteRange::new(64, 128));
        for shift in [KIB, 64 * KIB, MIB, 5 * MIB, 8 * MIB, 100 * MIB] {
            let other = master.read(ByteRange::new(64 + shift, 128 + shift));
            assert_ne!(head, other, "moved by {shift}");
        }
        // A multiple of the period repeats the table, but not the stamps.
        let (a, b) = (0, 8 * MIB * PERIOD);
        assert_ne!(piece(7, a, 16), piece(7, b, 16));
        assert_eq!(piece(7, a + 16, 16), piece(7, b + 16, 16));
    }

    #[test]
    fn seeds_make_masters_differ_and_sizes_do_not() {
        assert_ne!(sha256(1, 64), sha256(2, 64));
        let long = Master::generated(1, 1000).read(ByteRange::new(0, 64));
        assert_eq!(
            long,
            Master::generated(1, 64).read(ByteRange::new(0, 1 << 40))
        );
    }

    #[test]
    fn digests_are_the_well_known_ones() {
        assert_eq!(
            Master::generated(1, 0).md5(),
            "d41d8cd98f00b204e9800998ecf8427e"
        );
        assert_eq!(
            Master::literal("abc").sha256(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
