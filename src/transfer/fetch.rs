//! Reads a master by ranges, ahead of the hash, pinned to one generation of its content.
//!
//! [`Reader::chunks`] heals what can be healed inside one range: a cut, a stall or an expired
//! address is answered by asking again from the first missing byte, so that whoever sends the
//! bytes on (even inside one long POST) never notices. [`Reader::ordered`] runs several such
//! ranges at once and yields their chunks in file order; a window bounds what is ahead.
//!
//! Chunks are copied out of the network's buffers into buffers of their own size: one kept byte
//! would otherwise pin a whole read buffer, and the copy costs 3 % of the hash.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::Shared;
use super::ends::{ByteStream, SourceFile, Validator};
use super::progress::{Gauge, Progress};
use super::tuner::Permit;
use crate::types::{ByteCount, ByteRange, Failure, FailureClass, MIB, Reason};

/// The unit of hashing and hand-over: large enough that queues cost nothing, small enough that
/// windows of a few make a pipeline.
pub(super) const CHUNK: ByteCount = MIB;

/// Renewals of a signed address without a byte of progress before the item is parked.
const RENEWALS: u32 = 3;

/// Answers without a range in a row before the storage counts as one that knows none.
const WHOLE_ANSWERS: u32 = 3;

/// An address that does not open even when it was just signed: access is withdrawn.
pub(super) fn withdrawn(failure: Failure) -> Failure {
    if failure.class != FailureClass::Resign {
        return failure;
    }
    Failure::item(
        Reason::Inaccessible,
        format!(
            "renewed addresses did not open either; access to the file is withdrawn: {failure}"
        ),
    )
}

/// Reads one file. Cheap to clone.
#[derive(Clone)]
pub(super) struct Reader {
    shared: Arc<Shared>,
    file: Arc<SourceFile>,
    pin: Arc<Validator>,
}

impl Reader {
    pub(super) fn new(shared: Arc<Shared>, file: SourceFile, pin: Validator) -> Self {
        Self {
            shared,
            file: Arc::new(file),
            pin: Arc::new(pin),
        }
    }

    /// The bytes of `range` in order, in chunks of at most [`CHUNK`] bytes that never cross a
    /// multiple of it from the range's start.
    pub(super) fn chunks(&self, range: ByteRange) -> ByteStream {
        let state = Reading {
            reader: self.clone(),
            at: range.start,
            end: range.end,
            body: None,
            asked: None,
            left_over: Bytes::new(),
            attempts: 0,
            renewals: 0,
        };
        futures::stream::try_unfold(state, |mut state| async move {
            Ok(state.next_chunk().await?.map(|chunk| (chunk, state)))
        })
        .boxed()
    }

    /// The bytes of `range` in order, read by several GETs of `piece` bytes at once with at most
    /// `window` bytes ahead of the consumer. Dropping the stream stops the reads. Part boundaries
    /// are respected by the callers.
    pub(super) fn ordered(
        &self,
        range: ByteRange,
        window: ByteCount,
        piece: ByteCount,
    ) -> ByteStream {
        let ahead = window / piece;
        if range.len() <= piece || ahead < 2 {
            return self.chunks(range);
        }
        let slots = Arc::new(Semaphore::new(usize::try_from(ahead).unwrap_or(1)));
        let (to_consumer, pieces) = mpsc::channel(1);
        let reader = self.clone();
        let feeder = tokio::spawn(async move {
            for range in range.pieces(piece) {
                let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
                    return;
                };
                // Deep enough for the whole piece: its memory is claimed, so it never waits.
                let depth = usize::try_from(piece / CHUNK).unwrap_or(1);
                let (to_piece, chunks) = mpsc::channel(depth);
                let mut stream = reader.chunks(range);
                let task = AbortOnDropHandle::new(tokio::spawn(async move {
                    while let Some(chunk) = stream.next().await {
                        let failed = chunk.is_err();
                        if to_piece.send(chunk).await.is_err() || failed {
                            return;
                        }
                    }
                }));
                if to_consumer.send((chunks, task, slot)).await.is_err() {
                    return;
                }
            }
        });
        let feeder = AbortOnDropHandle::new(feeder);
        chain(range, feeder, pieces)
    }
}

/// One range being read: its chunks, its task, and its place in the window.
type Piece = (
    mpsc::Receiver<Result<Bytes, Failure>>,
    AbortOnDropHandle<()>,
    tokio::sync::OwnedSemaphorePermit,
);

/// Chains pieces in order; a piece that ends short (its task was lost) is an error.
fn chain(
    range: ByteRange,
    feeder: AbortOnDropHandle<()>,
    pieces: mpsc::Receiver<Piece>,
) -> ByteStream {
    let state = (range.start, None::<Piece>, pieces, feeder);
    futures::stream::try_unfold(
        state,
        move |(mut at, mut current, mut pieces, feeder)| async move {
            loop {
                if at == range.end {
                    return Ok(None);
                }
                if current.is_none() {
                    current = pieces.recv().await;
                }
                let Some((chunks, _, _)) = &mut current else {
                    return Err(Failure::transient("the reading task ended early"));
                };
                match chunks.recv().await {
                    Some(chunk) => {
                        let chunk = chunk?;
                        at += chunk.len() as u64;
                        return Ok(Some((chunk, (at, current, pieces, feeder))));
                    }
                    None => current = None,
                }
            }
        },
    )
    .boxed()
}

/// Where one range read stands.
struct Reading {
    reader: Reader,
    at: ByteCount,
    end: ByteCount,
    /// The open answer, and the right to read it.
    body: Option<(ByteStream, Permit)>,
    /// The open request: when it was made, its bytes, and how long its answer took to begin.
    asked: Option<(Instant, ByteCount, Duration)>,
    left_over: Bytes,
    attempts: u32,
    renewals: u32,
}

impl Reading {
    async fn next_chunk(&mut self) -> Result<Option<Bytes>, Failure> {
        let want = CHUNK.min(self.end - self.at);
        if want == 0 {
            return Ok(None);
        }
        let capacity = usize::try_from(want).unwrap_or(usize::MAX);
        let mut chunk = self.reader.shared.buffers.take(capacity);
        while chunk.len() < capacity {
            if self.left_over.is_empty() {
                match self.next_frame(self.at + chunk.len() as u64).await {
                    Ok(frame) => self.left_over = frame,
                    Err(failure) => {
                        (self.body, self.asked) = (None, None);
                        self.recover(failure).await?;
                        continue;
                    }
                }
            }
            let take = self.left_over.len().min(capacity - chunk.len());
            chunk.extend(&self.left_over.split_to(take));
        }
        self.at += want;
        if self.at == self.end
            && let Some((asked, bytes, first)) = self.asked.take()
        {
            let pieces = &self.reader.shared.pieces;
            pieces.note(bytes, first, asked.elapsed());
        }
        Ok(Some(chunk.freeze()))
    }

    /// The next bytes from `at`, opening the range there when no body is open.
    async fn next_frame(&mut self, at: ByteCount) -> Result<Bytes, Failure> {
        let shared = &self.reader.shared;
        if self.body.is_none() {
            let permit = shared
                .streams
                .acquire(&shared.progress.waiting_stream)
                .await;
            let _waiting = Gauge::up(&shared.progress.waiting_source);
            let range = ByteRange::new(at, self.end);
            let asked = Instant::now();
            let stream = shared
                .source
                .read(&self.reader.file, range, &self.reader.pin)
                .await?;
            self.asked = Some((asked, range.len(), asked.elapsed()));
            self.body = Some((stream, permit));
        }
        let frame = {
            let _waiting = Gauge::up(&shared.progress.waiting_source);
            let (body, _) = self.body.as_mut().expect("opened just above");
            body.next().await
        };
        let frame = frame.unwrap_or_else(|| {
            Err(Failure::transient(format!(
                "the source ended before byte {} of {}",
                self.end, self.reader.file.name
            )))
        })?;
        if frame.is_empty() {
            return Ok(frame);
        }
        if frame.len() as u64 > self.end - at {
            return Err(Failure::transient(format!(
                "the source sent more than bytes {at}..{}",
                self.end
            )));
        }
        self.attempts = 0;
        self.renewals = 0;
        Progress::add(&shared.progress.read, frame.len() as u64);
        let _waiting = Gauge::up(&shared.progress.waiting_pace);
        shared.pace.take(frame.len() as u64).await;
        Ok(frame)
    }

    /// Waits, renews, or gives up.
    async fn recover(&mut self, failure: Failure) -> Result<(), Failure> {
        let shared = &self.reader.shared;
        // An address that expired says nothing of how much the source can take.
        if failure.class != FailureClass::Resign {
            Progress::add(&shared.progress.refused_source, 1);
        }
        if shared.draining() {
            // A drain does not wait for a source that does not answer.
            return Err(failure);
        }
        match failure.class {
            FailureClass::RetryNow if failure.reason != Reason::SourceChanged => {
                self.attempts += 1;
                // A whole answer may be a passing whim of something between; three are not.
                let whole = failure.reason == Reason::NoRanges && self.attempts >= WHOLE_ANSWERS;
                if whole || self.attempts >= shared.config.attempts {
                    return Err(failure);
                }
                tracing::debug!(file = %self.reader.file.name, at = self.at, attempt = self.attempts, error = %failure, "reading again");
                tokio::time::sleep(shared.config.backoff(self.attempts)).await;
                Ok(())
            }
            FailureClass::Resign => {
                self.renewals += 1;
                if self.renewals > RENEWALS {
                    return Err(withdrawn(failure));
                }
                shared.source.renew(&self.reader.file).await
            }
            FailureClass::RetryLater => {
                self.attempts += 1;
                let wait = failure
                    .retry_after
                    .unwrap_or(shared.config.backoff(self.attempts));
                if self.attempts >= shared.config.attempts || wait > Duration::from_secs(60) {
                    return Err(failure);
                }
                tokio::time::sleep(wait).await;
                Ok(())
            }
            _ => Err(failure),
        }
    }
}
