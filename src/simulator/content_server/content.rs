//! The bytes of versions and parts: received as they come, read back by range.
//!
//! Small content stays in memory; the rest lies in one spool file without a name, so nothing is
//! left behind when the process ends, however it ends. Content that turns out to be a registered
//! master is compared while it arrives and kept as a reference: a master of any size can be
//! filed and read back without disk.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use sha2::{Digest, Sha256};

use super::config::Keep;
use crate::simulator::masters::Master;
use crate::types::{ByteCount, ByteRange, KIB, Sha256Digest};

/// Content up to this size stays in memory.
const INLINE: usize = 16 * 1024;
/// Unit of allocation in the spool; unwritten parts of a block take no disk.
const BLOCK: u64 = 256 * KIB;
/// Bytes worked on at a time.
const STEP: usize = 64 * 1024;

/// A registered master.
struct Known {
    master: Master,
    digest: OnceLock<Sha256Digest>,
}

impl Known {
    fn digest(&self) -> Sha256Digest {
        *self.digest.get_or_init(|| {
            let mut hasher = Sha256::new();
            for piece in self.pieces(0, self.master.size()) {
                hasher.update(&piece);
            }
            Sha256Digest(hasher.finalize().into())
        })
    }

    /// `len` bytes from `from`.
    fn pieces(&self, from: u64, len: u64) -> impl Iterator<Item = bytes::Bytes> + use<> {
        self.master
            .pieces(ByteRange::new(from, from.saturating_add(len)))
    }

    /// Fills `out` with the bytes from `from`.
    fn fill(&self, from: u64, out: &mut [u8]) {
        let mut done = 0;
        for piece in self.pieces(from, out.len() as u64) {
            out[done..done + piece.len()].copy_from_slice(&piece);
            done += piece.len();
        }
    }

    /// Whether `bytes` are what the master holds from `from`.
    fn agrees(&self, from: u64, bytes: &[u8]) -> bool {
        let len = bytes.len() as u64;
        if from.saturating_add(len) > self.master.size() {
            return false;
        }
        let mut rest = bytes;
        for piece in self.pieces(from, len) {
            let (now, later) = rest.split_at(piece.len());
            if now != piece {
                return false;
            }
            rest = later;
        }
        true
    }
}

/// `len` cut to `most`, as an index.
fn fit(len: u64, most: usize) -> usize {
    usize::try_from(len).unwrap_or(usize::MAX).min(most)
}

/// Where content is kept, and the masters it may be recognised as.
pub(super) struct Store {
    spool: Arc<Spool>,
    known: Mutex<Vec<Arc<Known>>>,
    held: Arc<AtomicU64>,
}

struct Spool {
    file: File,
    next: AtomicU64,
    free: Mutex<Vec<u64>>,
}

impl Spool {
    fn take(&self) -> u64 {
        let free = self
            .free
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        free.unwrap_or_else(|| self.next.fetch_add(1, Ordering::Relaxed))
    }
}

/// Blocks of the spool; given back on drop.
struct Blocks {
    spool: Arc<Spool>,
    list: Vec<u64>,
}

impl Drop for Blocks {
    fn drop(&mut self) {
        let mut free = self
            .spool
            .free
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        free.append(&mut self.list);
    }
}

impl Blocks {
    fn write(&mut self, mut at: u64, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let (index, inside) = (fit(at / BLOCK, usize::MAX), at % BLOCK);
            while self.list.len() <= index {
                self.list.push(self.spool.take());
            }
            let take = fit(BLOCK - inside, bytes.len());
            let offset = self.list[index] * BLOCK + inside;
            self.spool.file.write_all_at(&bytes[..take], offset)?;
            bytes = &bytes[take..];
            at += take as u64;
        }
        Ok(())
    }

    fn read(&self, mut at: u64, mut out: &mut [u8]) -> io::Result<()> {
        while !out.is_empty() {
            let (index, inside) = (fit(at / BLOCK, usize::MAX), at % BLOCK);
            let take = fit(BLOCK - inside, out.len());
            let block = self.list.get(index).ok_or(io::ErrorKind::UnexpectedEof)?;
            let (now, rest) = out.split_at_mut(take);
            self.spool.file.read_exact_at(now, block * BLOCK + inside)?;
            out = rest;
            at += take as u64;
        }
        Ok(())
    }
}

enum Bytes {
    Inline(Vec<u8>),
    Spooled(Blocks),
    Known { known: Arc<Known>, from: u64 },
    Dropped(Option<Sha256Digest>),
}

/// One contiguous piece of received content; its bytes count as held until it is dropped.
struct Piece {
    bytes: Bytes,
    len: u64,
    held: Arc<AtomicU64>,
}

impl Drop for Piece {
    fn drop(&mut self) {
        self.held.fetch_sub(self.len, Ordering::Relaxed);
    }
}

/// Received content, whole. Clones share the bytes.
#[derive(Clone)]
pub(super) struct Blob(Arc<BlobInner>);

struct BlobInner {
    pieces: Vec<Arc<Piece>>,
    len: u64,
    digest: OnceLock<Option<Sha256Digest>>,
}

impl Blob {
    fn of(pieces: Vec<Arc<Piece>>) -> Self {
        let len = pieces.iter().map(|piece| piece.len).sum();
        Self(Arc::new(BlobInner {
            pieces,
            len,
            digest: OnceLock::new(),
        }))
    }

    /// The contents of `parts`, one after another.
    pub(super) fn joined<'a>(parts: impl IntoIterator<Item = &'a Blob>) -> Self {
        let pieces = parts.into_iter().flat_map(|part| &part.0.pieces);
        Self::of(pieces.cloned().collect())
    }

    /// Length in bytes.
    pub(super) fn len(&self) -> u64 {
        self.0.len
    }

    /// Whether the bytes can be read.
    pub(super) fn readable(&self) -> bool {
        let gone = |piece: &Arc<Piece>| matches!(piece.bytes, Bytes::Dropped(_)) && piece.len > 0;
        !self.0.pieces.iter().any(gone)
    }

    /// Whether every byte is kept as a reference to a registered master.
    pub(super) fn recognised(&self) -> bool {
        let known = |piece: &Arc<Piece>| matches!(piece.bytes, Bytes::Known { .. });
        !self.0.pieces.is_empty() && self.0.pieces.iter().all(known)
    }

    /// Fills `out` with the bytes from `at`.
    ///
    /// # Errors
    ///
    /// The spool could not be read, the range ends beyond the content, or the bytes were not
    /// kept.
    pub(super) fn read(&self, mut at: u64, mut out: &mut [u8]) -> io::Result<()> {
        let mut start = 0;
        for piece in &self.0.pieces {
            let end = start + piece.len;
            if at < end && !out.is_empty() {
                let take = fit(end - at, out.len());
                let (now, rest) = out.split_at_mut(take);
                let inside = at - start;
                match &piece.bytes {
                    Bytes::Inline(bytes) => {
                        let from = fit(inside, bytes.len());
                        now.copy_from_slice(&bytes[from..from + take]);
                    }
                    Bytes::Spooled(blocks) => blocks.read(inside, now)?,
                    Bytes::Known { known, from } => known.fill(from + inside, now),
                    Bytes::Dropped(_) => return Err(io::ErrorKind::NotFound.into()),
                }
                out = rest;
                at += take as u64;
            }
            start = end;
        }
        match out.is_empty() {
            true => Ok(()),
            false => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    /// The SHA-256 of the content as received; worked out once, by reading it all unless it is
    /// a whole master. `None` when the bytes were not kept.
    pub(super) fn digest(&self) -> Option<Sha256Digest> {
        *self.0.digest.get_or_init(|| {
            if let [piece] = self.0.pieces.as_slice()
                && let Bytes::Dropped(digest) = &piece.bytes
            {
                return *digest;
            }
            if let Some(known) = self.whole() {
                return Some(known.digest());
            }
            let (mut hasher, mut buffer, mut at) = (Sha256::new(), vec![0; STEP], 0);
            while at < self.len() {
                let take = fit(self.len() - at, buffer.len());
                self.read(at, &mut buffer[..take]).ok()?;
                hasher.update(&buffer[..take]);
                at += take as u64;
            }
            Some(Sha256Digest(hasher.finalize().into()))
        })
    }

    /// The master that this content is, from its first byte to its last.
    fn whole(&self) -> Option<&Known> {
        let mut at = 0;
        let mut whole: Option<&Arc<Known>> = None;
        for piece in &self.0.pieces {
            match &piece.bytes {
                Bytes::Known { known, from } if *from == at => {
                    if whole.is_some_and(|before| !Arc::ptr_eq(before, known)) {
                        return None;
                    }
                    whole = Some(known);
                }
                _ => return None,
            }
            at += piece.len;
        }
        whole
            .filter(|known| known.master.size() == at)
            .map(Arc::as_ref)
    }
}

impl Store {
    /// An empty store whose spool lies in `dir`, or in the system's temporary directory.
    ///
    /// # Errors
    ///
    /// The spool file could not be made.
    pub(super) fn new(dir: Option<&Path>) -> io::Result<Self> {
        let file = match dir {
            Some(dir) => tempfile::tempfile_in(dir)?,
            None => tempfile::tempfile()?,
        };
        Ok(Self {
            spool: Arc::new(Spool {
                file,
                next: AtomicU64::new(0),
                free: Mutex::new(Vec::new()),
            }),
            known: Mutex::new(Vec::new()),
            held: Arc::new(AtomicU64::new(0)),
        })
    }

    /// Makes `master` recognisable.
    pub(super) fn register(&self, master: Master) {
        let digest = OnceLock::new();
        let known = Arc::new(Known { master, digest });
        self.known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(known);
    }

    /// Bytes of content held, references and dropped content included.
    pub(super) fn held(&self) -> ByteCount {
        self.held.load(Ordering::Relaxed)
    }

    /// Starts receiving content that begins at byte `from` of a file; `of` is that file's size
    /// when it is known beforehand.
    pub(super) fn receive(&self, keep: Keep, from: u64, of: Option<u64>) -> Sink {
        let suits = |known: &&Arc<Known>| {
            let size = known.master.size();
            from < size && of.is_none_or(|of| of == size)
        };
        let candidates = match keep {
            Keep::Recognise => {
                let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
                known.iter().filter(suits).cloned().collect()
            }
            Keep::Store | Keep::Drop | Keep::Count => Vec::new(),
        };
        Sink {
            candidates,
            from,
            len: 0,
            inline: Vec::new(),
            blocks: None,
            dropped: matches!(keep, Keep::Drop | Keep::Count),
            hasher: (keep == Keep::Drop).then(Sha256::new),
            spool: Arc::clone(&self.spool),
            held: Arc::clone(&self.held),
        }
    }
}

/// Content on its way in. Dropping it forgets what arrived.
pub(super) struct Sink {
    /// Masters that agree with every byte so far; while there are any, nothing is stored.
    candidates: Vec<Arc<Known>>,
    from: u64,
    len: u64,
    inline: Vec<u8>,
    blocks: Option<Blocks>,
    /// Whether nothing but the length and perhaps the digest stays.
    dropped: bool,
    hasher: Option<Sha256>,
    spool: Arc<Spool>,
    held: Arc<AtomicU64>,
}

impl Sink {
    /// Takes the next bytes.
    ///
    /// # Errors
    ///
    /// The spool could not be written.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.dropped {
            if let Some(hasher) = &mut self.hasher {
                hasher.update(bytes);
            }
        } else if self.candidates.is_empty() {
            self.store(bytes)?;
        } else {
            let last = Arc::clone(&self.candidates[0]);
            let at = self.from + self.len;
            self.candidates.retain(|known| known.agrees(at, bytes));
            if self.candidates.is_empty() {
                // Up to here the content was that master's: it is produced once more.
                let (total, mut buffer) = (self.len, vec![0; STEP]);
                self.len = 0;
                while self.len < total {
                    let take = fit(total - self.len, buffer.len());
                    last.fill(self.from + self.len, &mut buffer[..take]);
                    self.store(&buffer[..take])?;
                    self.len += take as u64;
                }
                self.store(bytes)?;
            }
        }
        self.len += bytes.len() as u64;
        Ok(())
    }

    fn store(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.blocks.is_none() && self.inline.len() + bytes.len() <= INLINE {
            self.inline.extend_from_slice(bytes);
            return Ok(());
        }
        let blocks = self.blocks.get_or_insert_with(|| Blocks {
            spool: Arc::clone(&self.spool),
            list: Vec::new(),
        });
        if !self.inline.is_empty() {
            blocks.write(0, &self.inline)?;
            self.inline = Vec::new();
        }
        blocks.write(self.len, bytes)
    }

    /// The content received.
    pub(super) fn finish(mut self) -> Blob {
        let bytes = if self.dropped {
            let hasher = self.hasher.take().filter(|_| self.from == 0);
            Bytes::Dropped(hasher.map(|hasher| Sha256Digest(hasher.finalize().into())))
        } else if self.len > 0 && !self.candidates.is_empty() {
            // A whole master before one that only begins the same.
            let end = self.from + self.len;
            let exact = |known: &Arc<Known>| known.master.size() == end;
            let index = self.candidates.iter().position(exact).unwrap_or(0);
            Bytes::Known {
                known: self.candidates.swap_remove(index),
                from: self.from,
            }
        } else if let Some(blocks) = self.blocks.take() {
            Bytes::Spooled(blocks)
        } else {
            Bytes::Inline(std::mem::take(&mut self.inline))
        };
        self.held.fetch_add(self.len, Ordering::Relaxed);
        Blob::of(vec![Arc::new(Piece {
            bytes,
            len: self.len,
            held: self.held,
        })])
    }
}

/// What a `Range` header asks for of content of `len` bytes: `None` when it is no single byte
/// range (the whole is sent), an error when it cannot be satisfied.
pub(super) fn parse_range(header: &str, len: u64) -> Option<Result<ByteRange, ()>> {
    let (first, last) = header.trim().strip_prefix("bytes=")?.split_once('-')?;
    let (first, last) = (first.trim(), last.trim());
    let range = match (first.is_empty(), last.is_empty()) {
        (true, true) => return None,
        (true, false) => ByteRange::new(len.saturating_sub(last.parse().ok()?), len),
        (false, true) => ByteRange::new(first.parse().ok()?, len),
        (false, false) => {
            let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
            if last < first {
                return None;
            }
            ByteRange::new(first, last.saturating_add(1).min(len))
        }
    };
    Some(match range.start < len && !range.is_empty() {
        true => Ok(range),
        false => Err(()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(size: usize, seed: u64) -> Vec<u8> {
        let size = size as u64;
        Master::generated(seed, size).read(ByteRange::new(0, size))
    }

    fn take(store: &Store, keep: Keep, content: &[u8], frame: usize) -> Blob {
        let mut sink = store.receive(keep, 0, None);
        for chunk in content.chunks(frame) {
            sink.write(chunk).unwrap();
        }
        sink.finish()
    }

    #[track_caller]
    fn check(blob: &Blob, expected: &[u8]) {
        assert_eq!(blob.len(), expected.len() as u64);
        let mut back = vec![0; expected.len()];
        blob.read(0, &mut back).unwrap();
        assert!(back == expected);
        let middle = expected.len() / 3;
        let mut tail = vec![0; expected.len() - middle];
        blob.read(middle as u64, &mut tail).unwrap();
        assert!(tail == expected[middle..]);
        assert_eq!(
            blob.digest().unwrap().0,
            <[u8; 32]>::from(Sha256::digest(expected))
        );
        assert!(blob.read(1, &mut vec![0; expected.len() + 1]).is_err());
    }

    #[test]
    fn content_of_every_size_is_read_back() {
        let store = Store::new(None).unwrap();
        for size in [0, 1, INLINE, INLINE + 1, 700_001] {
            check(
                &take(&store, Keep::Store, &bytes(size, 3), 10_007),
                &bytes(size, 3),
            );
        }
        assert_eq!(store.held(), 0);
    }

    #[test]
    fn parts_are_joined_in_the_order_given() {
        let store = Store::new(None).unwrap();
        let whole = bytes(600_000, 9);
        let parts: Vec<_> = whole
            .chunks(250_000)
            .map(|part| take(&store, Keep::Store, part, 7_919))
            .collect();
        check(&Blob::joined(&parts), &whole);
        assert_eq!(store.held(), 600_000);
    }

    #[test]
    fn a_registered_master_takes_no_room_and_a_near_copy_is_stored_whole() {
        let store = Store::new(None).unwrap();
        for seed in 0..3 {
            store.register(Master::generated(seed, 900_000));
        }
        let exact = bytes(900_000, 1);
        let blob = take(&store, Keep::Recognise, &exact, 30_011);
        assert!(blob.recognised());
        check(&blob, &exact);
        assert_eq!(store.spool.next.load(Ordering::Relaxed), 0);

        let mut copy = exact.clone();
        copy[800_000] ^= 1;
        let blob = take(&store, Keep::Recognise, &copy, 30_011);
        assert!(!blob.recognised());
        check(&blob, &copy);
    }

    #[test]
    fn a_master_is_recognised_from_parts_that_arrive_out_of_order() {
        let store = Store::new(None).unwrap();
        store.register(Master::generated(5, 500_000));
        let whole = bytes(500_000, 5);
        let mut parts: Vec<_> = [2usize, 0, 1]
            .map(|n| {
                let from = n * 200_000;
                let mut sink = store.receive(Keep::Recognise, from as u64, Some(500_000));
                sink.write(&whole[from..(from + 200_000).min(500_000)])
                    .unwrap();
                (n, sink.finish())
            })
            .into();
        parts.sort_by_key(|(n, _)| *n);
        let blob = Blob::joined(parts.iter().map(|(_, part)| part));
        assert!(blob.recognised());
        check(&blob, &whole);
        assert_eq!(store.spool.next.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn blocks_of_forgotten_content_are_used_again() {
        let store = Store::new(None).unwrap();
        drop(take(&store, Keep::Store, &bytes(600_000, 0), 50_000));
        let used = store.spool.next.load(Ordering::Relaxed);
        check(
            &take(&store, Keep::Store, &bytes(600_000, 1), 50_000),
            &bytes(600_000, 1),
        );
        assert_eq!(store.spool.next.load(Ordering::Relaxed), used);
    }

    #[test]
    fn dropped_content_keeps_its_length_and_digest_only() {
        let store = Store::new(None).unwrap();
        let blob = take(&store, Keep::Drop, &bytes(1000, 0), 100);
        assert_eq!(blob.len(), 1000);
        assert!(!blob.readable());
        assert_eq!(
            blob.digest().unwrap().0,
            <[u8; 32]>::from(Sha256::digest(bytes(1000, 0)))
        );
    }

    #[test]
    fn ranges_are_read_as_the_standard_says() {
        let range = |start, end| Some(Ok(ByteRange::new(start, end)));
        for (header, expected) in [
            ("bytes=0-9", range(0, 10)),
            ("bytes=90-", range(90, 100)),
            ("bytes=-10", range(90, 100)),
            ("bytes=50-500", range(50, 100)),
            ("bytes=100-", Some(Err(()))),
            ("bytes=9-3", None),
            ("bytes=-", None),
            ("items=0-1", None),
            ("bytes=0-1,3-4", None),
        ] {
            assert_eq!(parse_range(header, 100), expected, "{header}");
        }
    }
}
