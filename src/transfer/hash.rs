//! Hashes a master's bytes in file order while they pass, and can stop and go on.
//!
//! SHA-256 needs the bytes in order; ranges arrive in any. The fetch stage hands chunks over in
//! order, a thread of its own hashes them (off the reactor: SHA-256 is the slowest thing on the
//! way), and they leave behind it. The state after any byte can be saved with a check value and
//! a format number, so that a resumed transfer never hashes a byte twice; a damaged state is
//! refused and that file's prefix is read again.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt};
use md5::Md5;
use sha2::Sha256;
use sha2::digest::Digest;
use sha2::digest::common::hazmat::SerializableState;
use tokio::sync::mpsc;
use tokio_util::sync::PollSender;

use super::progress::{Gauge, Progress};
use crate::types::{ByteCount, Failure, KIB, Md5Digest, Sha256Digest};

/// Format number of saved states. `sha2` promises its layout within 0.11.x only, so a golden
/// test guards it.
const FORMAT: u8 = 1;
const CHECK_LEN: usize = 8;
const HAS_MD5: u8 = 1;
const HAS_OUTER: u8 = 2;

/// Bytes below which hashing inline costs less than handing over to a thread.
const INLINE_BELOW: ByteCount = 512 * KIB;

/// A saved state that cannot be used; the prefix must be read again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the saved hash state is damaged or of another format: {0}")]
pub struct BadState(&'static str);

/// The running digests of one file.
#[derive(Clone)]
pub struct HashState {
    sha256: Sha256,
    /// Of this file; in a segment of the whole master, which is what the source quotes.
    md5: Option<Md5>,
    /// Runs on over all segments of a split master.
    outer: Option<Sha256>,
    position: ByteCount,
}

impl std::fmt::Debug for HashState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HashState")
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}

impl HashState {
    /// The state before the first byte; MD5 only when the source quotes one to compare with.
    pub fn new(with_md5: bool) -> Self {
        Self {
            sha256: Sha256::new(),
            md5: with_md5.then(Md5::new),
            outer: None,
            position: 0,
        }
    }

    /// Also carries `outer`, the state over the whole master up to this segment, along.
    #[must_use]
    pub fn within(mut self, outer: &Outer) -> Self {
        self.outer = Some(outer.sha256.clone());
        self.md5.clone_from(&outer.md5);
        self
    }

    /// Bytes hashed so far.
    pub fn position(&self) -> ByteCount {
        self.position
    }

    /// Whether an MD5 is computed too.
    pub fn has_md5(&self) -> bool {
        self.md5.is_some()
    }

    /// Hashes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        if let Some(md5) = &mut self.md5 {
            md5.update(bytes);
        }
        if let Some(outer) = &mut self.outer {
            outer.update(bytes);
        }
        self.position += bytes.len() as u64;
    }

    /// The SHA-256 of the bytes so far.
    pub fn sha256(&self) -> Sha256Digest {
        Sha256Digest(self.sha256.clone().finalize().into())
    }

    /// The MD5 of the bytes so far; within a segment of the whole master's.
    pub fn md5(&self) -> Option<Md5Digest> {
        finish_md5(self.md5.as_ref())
    }

    /// The state over the whole master, for the next segment.
    pub fn outer(&self) -> Option<Outer> {
        Some(Outer {
            sha256: self.outer.clone()?,
            md5: self.md5.clone(),
        })
    }

    /// The state as bytes to store: format, flags, position, digest states, check value.
    pub fn save(&self) -> Vec<u8> {
        let mut out = vec![
            FORMAT,
            if self.md5.is_some() { HAS_MD5 } else { 0 }
                | if self.outer.is_some() { HAS_OUTER } else { 0 },
        ];
        out.extend_from_slice(&self.position.to_be_bytes());
        out.extend_from_slice(&self.sha256.serialize());
        if let Some(md5) = &self.md5 {
            out.extend_from_slice(&md5.serialize());
        }
        if let Some(outer) = &self.outer {
            out.extend_from_slice(&outer.serialize());
        }
        seal(out)
    }

    /// Reads a stored state.
    ///
    /// # Errors
    ///
    /// [`BadState`] when a bit of it changed or its format is another's.
    pub fn load(stored: &[u8]) -> Result<Self, BadState> {
        let body = unseal(stored)?;
        let mut rest = body;
        let [format, flags] = take(&mut rest)?;
        if format != FORMAT {
            return Err(BadState("unknown format number"));
        }
        let position = u64::from_be_bytes(take(&mut rest)?);
        let sha256 = load_sha256(&mut rest)?;
        let md5 = if flags & HAS_MD5 != 0 {
            Some(load_md5(&mut rest)?)
        } else {
            None
        };
        let outer = if flags & HAS_OUTER != 0 {
            Some(load_sha256(&mut rest)?)
        } else {
            None
        };
        if !rest.is_empty() {
            return Err(BadState("too long"));
        }
        Ok(Self {
            sha256,
            md5,
            outer,
            position,
        })
    }
}

/// The running digests over a whole master that is filed in segments.
#[derive(Clone)]
pub struct Outer {
    sha256: Sha256,
    md5: Option<Md5>,
}

impl Outer {
    /// Before the first segment; MD5 only when the source quotes one to compare with.
    pub fn new(with_md5: bool) -> Self {
        Self {
            sha256: Sha256::new(),
            md5: with_md5.then(Md5::new),
        }
    }

    /// The SHA-256 of the segments so far.
    pub fn sha256(&self) -> Sha256Digest {
        Sha256Digest(self.sha256.clone().finalize().into())
    }

    /// The MD5 of the segments so far.
    pub fn md5(&self) -> Option<Md5Digest> {
        finish_md5(self.md5.as_ref())
    }

    /// The state as bytes to store.
    pub fn save(&self) -> Vec<u8> {
        let mut out = vec![FORMAT];
        out.extend_from_slice(&self.sha256.serialize());
        if let Some(md5) = &self.md5 {
            out.extend_from_slice(&md5.serialize());
        }
        seal(out)
    }

    /// Reads a stored state.
    ///
    /// # Errors
    ///
    /// [`BadState`] when it is damaged.
    pub fn load(stored: &[u8]) -> Result<Self, BadState> {
        let mut rest = unseal(stored)?;
        let [format] = take(&mut rest)?;
        if format != FORMAT {
            return Err(BadState("unknown format number"));
        }
        let sha256 = load_sha256(&mut rest)?;
        let md5 = match rest {
            [] => None,
            _ => Some(load_md5(&mut rest)?),
        };
        if !rest.is_empty() {
            return Err(BadState("too long"));
        }
        Ok(Self { sha256, md5 })
    }
}

fn finish_md5(running: Option<&Md5>) -> Option<Md5Digest> {
    running.map(|md5| Md5Digest(md5.clone().finalize().into()))
}

fn load_md5(rest: &mut &[u8]) -> Result<Md5, BadState> {
    let size = Md5::new().serialize().len();
    let (state, tail) = rest.split_at_checked(size).ok_or(BadState("too short"))?;
    *rest = tail;
    let state = state.try_into().map_err(|_| BadState("too short"))?;
    Md5::deserialize(state).map_err(|_| BadState("not an MD5 state"))
}

fn load_sha256(rest: &mut &[u8]) -> Result<Sha256, BadState> {
    let size = Sha256::new().serialize().len();
    let (state, tail) = rest.split_at_checked(size).ok_or(BadState("too short"))?;
    *rest = tail;
    let state = state.try_into().map_err(|_| BadState("too short"))?;
    Sha256::deserialize(state).map_err(|_| BadState("not a SHA-256 state"))
}

fn seal(mut body: Vec<u8>) -> Vec<u8> {
    let check = Sha256::digest(&body);
    body.extend_from_slice(&check[..CHECK_LEN]);
    body
}

fn unseal(stored: &[u8]) -> Result<&[u8], BadState> {
    let at = stored
        .len()
        .checked_sub(CHECK_LEN)
        .ok_or(BadState("too short"))?;
    let (body, check) = stored.split_at(at);
    if Sha256::digest(body)[..CHECK_LEN] == *check {
        Ok(body)
    } else {
        Err(BadState("its check value differs"))
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], BadState> {
    let (head, tail) = rest.split_first_chunk::<N>().ok_or(BadState("too short"))?;
    *rest = tail;
    Ok(*head)
}

/// What is handed to the hash at once.
pub(super) trait Portion: Send + Unpin + 'static {
    /// Hands out its bytes in order.
    fn each(&self, take: impl FnMut(&[u8]));
}

impl Portion for Bytes {
    fn each(&self, mut take: impl FnMut(&[u8])) {
        take(self);
    }
}

impl Portion for Vec<Bytes> {
    fn each(&self, mut take: impl FnMut(&[u8])) {
        for bytes in self {
            take(bytes);
        }
    }
}

/// A portion the hash has passed, with the state after it.
#[derive(Debug)]
pub(super) struct Hashed<T = Bytes> {
    /// The bytes.
    pub(super) bytes: T,
    /// The state after the last of them.
    pub(super) state: HashState,
}

/// Portions in file order.
pub(super) type Portions<T> = BoxStream<'static, Result<T, Failure>>;

/// Puts the hash between a stream of chunks in file order and whoever sends them on.
///
/// `expected` is the number of bytes to come; short streams are hashed inline, and all but those
/// with an MD5 when `inline` says so. A failure in
/// `chunks` comes out after everything hashed before it. Dropping the result stops the thread at
/// the next chunk. MD5 takes nearly three times as long as SHA-256, so it has a thread of its own
/// behind the first.
pub(super) fn through<T: Portion>(
    state: HashState,
    expected: ByteCount,
    chunks: Portions<T>,
    progress: Arc<Progress>,
    inline: bool,
) -> BoxStream<'static, Result<Hashed<T>, Failure>> {
    let mut state = state;
    if expected < INLINE_BELOW || (inline && !state.has_md5()) {
        return chunks
            .map(move |chunk| {
                chunk.map(|bytes| {
                    let _busy = Gauge::up(&progress.hashing);
                    bytes.each(|bytes| state.update(bytes));
                    Hashed {
                        bytes,
                        state: state.clone(),
                    }
                })
            })
            .boxed();
    }
    // Depth 2 on both sides keeps the thread busy; what is queued is already claimed.
    let (to_thread, mut chunks_in) = mpsc::channel::<T>(2);
    let (hashed_out, mut from_thread) = mpsc::channel::<Hashed<T>>(2);
    let md5 = state.md5.take();
    let watched = Arc::clone(&progress);
    tokio::task::spawn_blocking(move || {
        while let Some(bytes) = chunks_in.blocking_recv() {
            {
                let _busy = Gauge::up(&watched.hashing);
                bytes.each(|bytes| state.update(bytes));
            }
            let state = state.clone();
            if hashed_out.blocking_send(Hashed { bytes, state }).is_err() {
                break;
            }
        }
    });
    if let Some(mut md5) = md5 {
        let (out, with_md5) = mpsc::channel::<Hashed<T>>(2);
        let mut without = std::mem::replace(&mut from_thread, with_md5);
        tokio::task::spawn_blocking(move || {
            while let Some(mut hashed) = without.blocking_recv() {
                {
                    let _busy = Gauge::up(&progress.hashing);
                    hashed.bytes.each(|bytes| md5.update(bytes));
                }
                hashed.state.md5 = Some(md5.clone());
                if out.blocking_send(hashed).is_err() {
                    break;
                }
            }
        });
    }
    Through {
        feed: Some((chunks, PollSender::new(to_thread))),
        failure: None,
        from_thread,
    }
    .boxed()
}

/// Feeds the hashing thread and yields what comes back, in one poll: back-pressure without a
/// second task.
struct Through<T> {
    feed: Option<(Portions<T>, PollSender<T>)>,
    failure: Option<Failure>,
    from_thread: mpsc::Receiver<Hashed<T>>,
}

impl<T: Portion> Stream for Through<T> {
    type Item = Result<Hashed<T>, Failure>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            let mut fed = false;
            if let Some((chunks, to_thread)) = &mut this.feed
                && let Poll::Ready(reserved) = to_thread.poll_reserve(cx)
            {
                let next = match reserved {
                    Ok(()) => chunks.poll_next_unpin(cx),
                    Err(_) => Poll::Ready(None),
                };
                match next {
                    Poll::Ready(Some(Ok(bytes))) => fed = to_thread.send_item(bytes).is_ok(),
                    Poll::Ready(Some(Err(failure))) => {
                        this.failure = Some(failure);
                        this.feed = None;
                    }
                    Poll::Ready(None) => this.feed = None,
                    Poll::Pending => {}
                }
            }
            match this.from_thread.poll_recv(cx) {
                Poll::Ready(Some(hashed)) => return Poll::Ready(Some(Ok(hashed))),
                Poll::Ready(None) => return Poll::Ready(this.failure.take().map(Err)),
                Poll::Pending if fed => {}
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::types::MIB;

    fn bytes(len: usize) -> Vec<u8> {
        (0..len).map(|i| u8::try_from(i % 251).unwrap()).collect()
    }

    proptest! {
        #[test]
        fn a_saved_state_goes_on_as_if_it_had_never_stopped(len in 0usize..3000, cut in 0usize..3000, md5: bool, outer: bool) {
            let data = bytes(len);
            let cut = cut.min(len);
            let start = || {
                let state = HashState::new(md5);
                if outer { state.within(&Outer::new(md5)) } else { state }
            };
            let mut whole = start();
            whole.update(&data);
            let mut first = start();
            first.update(&data[..cut]);
            let mut second = HashState::load(&first.save()).unwrap();
            prop_assert_eq!(second.position(), cut as u64);
            second.update(&data[cut..]);
            prop_assert_eq!(second.sha256(), whole.sha256());
            prop_assert_eq!(second.md5(), whole.md5());
            let outer_of = |state: HashState| state.outer().map(|outer| (outer.sha256(), outer.md5()));
            let stored = second.outer().map(|outer| Outer::load(&outer.save()).unwrap());
            prop_assert_eq!(stored.map(|outer| (outer.sha256(), outer.md5())), outer_of(whole.clone()));
            prop_assert_eq!(outer_of(second), outer_of(whole));
        }
    }

    #[test]
    fn every_flipped_bit_of_a_saved_state_is_noticed() {
        let mut state = HashState::new(true);
        state.update(&bytes(1000));
        let saved = state.save();
        for bit in 0..saved.len() * 8 {
            let mut damaged = saved.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(HashState::load(&damaged).is_err(), "bit {bit}");
        }
        for cut in 0..saved.len() {
            assert!(HashState::load(&saved[..cut]).is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn the_stored_layout_is_the_one_older_ledgers_hold() {
        let mut state = HashState::new(false);
        state.update(b"abc");
        assert_eq!(
            hex::encode(&state.save()[..42]),
            "0100000000000000000367e6096a85ae67bb72f36e3c3af54fa57f520e518c68059babd9831f19cde05b"
                .split_at(84)
                .0,
        );
        assert_eq!(
            state.sha256().to_string(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[tokio::test]
    async fn chunks_come_out_in_order_with_the_state_after_each() {
        let data = bytes(3 << 20);
        let chunks: Vec<_> = data
            .chunks(100_000)
            .map(|c| Ok(Bytes::copy_from_slice(c)))
            .collect();
        for (with_md5, inline) in [(false, false), (true, false), (false, true)] {
            let chunks = chunks.clone();
            let out: Vec<_> = through(
                HashState::new(with_md5),
                3 * MIB,
                futures::stream::iter(chunks).boxed(),
                Arc::default(),
                inline,
            )
            .collect()
            .await;
            let mut check = HashState::new(with_md5);
            let mut seen = Vec::new();
            for hashed in out {
                let hashed = hashed.unwrap();
                check.update(&hashed.bytes);
                seen.extend_from_slice(&hashed.bytes);
                assert_eq!(hashed.state.save(), check.save());
            }
            assert_eq!(seen, data);
        }
    }

    #[tokio::test]
    async fn a_failure_comes_out_after_what_was_hashed_before_it() {
        for expected in [10, MIB] {
            let chunks = futures::stream::iter([
                Ok(Bytes::from_static(b"one")),
                Ok(Bytes::from_static(b"two")),
                Err(Failure::transient("cut")),
            ]);
            let out: Vec<_> = through(
                HashState::new(false),
                expected,
                chunks.boxed(),
                Arc::default(),
                false,
            )
            .collect()
            .await;
            assert_eq!(out.len(), 3);
            assert_eq!(out[1].as_ref().unwrap().state.position(), 6);
            assert_eq!(out[2].as_ref().unwrap_err().message, "cut");
        }
    }
}
