//! Hands bytes to the destination: parts of an upload session, or one streamed body.
//!
//! Two ways through a session. When two parts fit the budget, parts are assembled in memory and
//! sent in parallel, each from memory again when its sending fails. When they do not, one part at
//! a time is streamed through a window of the budget and re-read to be sent again. Either way a
//! part's digest and the hash state after it are durable before the part can be complete at the
//! destination, so that after a crash only parts without an acknowledgement move again, and what
//! moves again is compared with what was hashed.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;

use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;
use xxhash_rust::xxh3::Xxh3;

use super::budget::Claim;
use super::ends::{ByteStream, Content, PartReceipt, Session};
use super::fetch::{CHUNK, Reader};
use super::hash::{self, HashState, Hashed, Outer};
use super::mover::Mover;
use super::pieces::PIECE;
use super::progress::{Gauge, Progress};
use super::tuner::Permit;
use super::{Shared, ledger_failure};
use crate::ledger::{Change, FilePatch, Part};
use crate::sidecar;
use crate::telemetry::crash_point;
use crate::types::{ByteCount, ByteRange, Failure, FailureClass, MIB, Reason, TransferId};

/// Chunks that are between stages of a streamed body at any time: one being filled, seven in the
/// hashes' queues and hands, one with the HTTP client.
const BETWEEN_STAGES: ByteCount = 9;

/// How soon a waiting file notices that more may be read at once.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

impl Mover<'_> {
    /// The reader of this file's bytes; ranges are those of the source file.
    pub(super) fn reader(&self) -> Result<Reader, Failure> {
        let pin = self.pin()?.ok_or_else(|| {
            Failure::stop(format!("file {} is open without a validator", self.file.id))
        })?;
        Ok(Reader::new(
            Arc::clone(&self.shared),
            self.source_file()?,
            pin,
        ))
    }

    /// `range` of this file as a range of the source file (segments start further in).
    fn at_source(&self, range: ByteRange) -> ByteRange {
        ByteRange::new(self.file.offset + range.start, self.file.offset + range.end)
    }

    fn first_state(&self) -> Result<HashState, Failure> {
        // A manifest's row holds what is quoted of the master that it joins.
        let quoted = self.file.content.is_none() && self.file.md5.is_some();
        let state = HashState::new(quoted && self.shared.config.source_md5);
        match &self.outer {
            Some(saved) => {
                let outer = Outer::load(saved)
                    .map_err(|error| Failure::stop(format!("file {}: {error}", self.file.id)))?;
                Ok(state.within(&outer))
            }
            None => Ok(state),
        }
    }

    /// Sends every part that is not acknowledged yet; the state after the last byte.
    pub(super) async fn send_parts(&mut self, session: &Session) -> Result<HashState, Failure> {
        let recorded = self
            .shared
            .ledger
            .parts(self.file.id)
            .await
            .map_err(ledger_failure)?;
        // Parts are hashed in order, so what is recorded is a prefix; anything else is damage.
        let hashed = recorded
            .iter()
            .zip(1..)
            .take_while(|(part, number)| part.number == *number)
            .count();
        let recorded = &recorded[..hashed];
        let frontier = recorded
            .last()
            .map_or(0, |last| session.part(last.number, self.file.size).end);
        let reader = self.reader()?;
        let state = match recorded.last().map(|last| HashState::load(&last.state)) {
            None => self.first_state()?,
            Some(Ok(state)) if state.position() == frontier => state,
            Some(_) => {
                tracing::warn!(file = %self.file.id, frontier, "saved hash state unusable, reading the prefix again");
                self.hash_again(&reader, frontier).await?
            }
        };
        let window = self.shared.budget.total() / 2 < session.part_size;
        let again: VecDeque<Part> = recorded
            .iter()
            .filter(|part| !part.acked)
            .cloned()
            .collect();
        if !again.is_empty() || frontier > 0 {
            self.journal(
                "resumed",
                serde_json::json!({"frontier": frontier, "parts_again": again.len(), "parts_recorded": recorded.len()}),
            )
            .await?;
        }
        for part in &again {
            Progress::add(
                &self.shared.progress.resent,
                session.part(part.number, self.file.size).len(),
            );
        }
        let rest = u32::try_from(hashed).unwrap_or(u32::MAX).saturating_add(1)..=session.parts;
        if window {
            for part in again {
                self.send_streamed(&reader, session, part.number, None, Some(&part.digest))
                    .await?;
            }
            let mut state = state;
            for number in rest {
                self.shared.may_begin().await;
                self.check_drain()?;
                state = self
                    .send_streamed_retrying(&reader, session, number, state)
                    .await?;
            }
            Ok(state)
        } else {
            self.send_buffered(&reader, session, again, rest, state)
                .await
        }
    }

    /// Reads the first `frontier` bytes again for the hash alone: a saved state was unusable, or
    /// there is none.
    async fn hash_again(&self, reader: &Reader, frontier: ByteCount) -> Result<HashState, Failure> {
        self.journal("prefix-reread", serde_json::json!({"bytes": frontier}))
            .await?;
        let _claim = self.claim(PIECE).await;
        let chunks = reader.ordered(self.at_source(ByteRange::new(0, frontier)), PIECE, PIECE);
        let mut hashed = self.hashed(self.first_state()?, frontier, chunks);
        let mut last = None;
        while let Some(chunk) = hashed.next().await {
            last = Some(chunk?.state);
        }
        last.ok_or_else(|| Failure::transient("the prefix could not be read again"))
    }

    /// Chunks behind the hash.
    fn hashed(
        &self,
        state: HashState,
        expected: ByteCount,
        chunks: ByteStream,
    ) -> BoxStream<'static, Result<Hashed, Failure>> {
        let progress = Arc::clone(&self.shared.progress);
        hash::through(state, expected, chunks, progress, self.shared.hash_inline())
    }

    async fn claim(&self, bytes: ByteCount) -> Claim {
        let _waiting = Gauge::up(&self.shared.progress.waiting_memory);
        self.shared.budget.claim(bytes).await
    }

    fn check_drain(&self) -> Result<(), Failure> {
        if self.shared.stop.drain.is_cancelled() {
            return Err(stopped());
        }
        Ok(())
    }

    /// Parts assembled in memory, sent in parallel.
    async fn send_buffered(
        &self,
        reader: &Reader,
        session: &Session,
        again: VecDeque<Part>,
        rest: std::ops::RangeInclusive<u32>,
        state: HashState,
    ) -> Result<HashState, Failure> {
        let size = self.file.size;
        let (depth, most) = (self.shared.read_ahead(), self.shared.most_ahead());
        let mut sends: JoinSet<Result<(), Failure>> = JoinSet::new();
        let todo: Vec<(u32, ByteRange)> = again
            .iter()
            .map(|part| part.number)
            .chain(rest.clone())
            .map(|number| (number, session.part(number, size)))
            .map(|(number, range)| (number, self.at_source(range)))
            .collect();
        let (to_fetched, mut fetched) = mpsc::channel::<Fetching>(most);
        let _feeder = AbortOnDropHandle::new(tokio::spawn(feed(
            Arc::clone(&self.shared),
            reader.clone(),
            todo,
            Arc::new(Semaphore::new(depth)),
            to_fetched,
        )));
        let sender = Sender {
            shared: Arc::clone(&self.shared),
            session: session.clone(),
            file: self.file.id,
        };
        // Parts recorded before: compared with their digest, not hashed again.
        for part in again {
            let Some(mut fetching) = fetched.recv().await else {
                return Err(stopped());
            };
            let mut chunks = Vec::new();
            let mut digest = Xxh3::new();
            while let Some(chunk) = fetching.chunks.recv().await {
                let chunk = chunk?;
                digest.update(&chunk);
                chunks.push(chunk);
            }
            same_part(&part.digest, digest.digest128(), part.number)?;
            sends.spawn(
                sender
                    .clone()
                    .send(part.number, chunks, fetching.claim, fetching.place),
            );
        }
        // The rest: one stream of chunks through the hash, cut into parts again behind it.
        let left = size
            - session
                .part(rest.start().saturating_sub(1), size)
                .end
                .min(size);
        let (to_meta, mut meta) =
            mpsc::channel::<(u32, ByteCount, Claim, OwnedSemaphorePermit)>(most);
        let flat = futures::stream::try_unfold(
            (
                fetched,
                to_meta,
                None::<mpsc::Receiver<Result<Bytes, Failure>>>,
            ),
            |(mut fetched, to_meta, mut chunks)| async move {
                loop {
                    if let Some(receiver) = &mut chunks
                        && let Some(chunk) = receiver.recv().await
                    {
                        return Ok(Some((chunk?, (fetched, to_meta, chunks))));
                    }
                    let Some(next) = fetched.recv().await else {
                        return Ok(None);
                    };
                    if to_meta
                        .send((next.number, next.len, next.claim, next.place))
                        .await
                        .is_err()
                    {
                        return Ok(None);
                    }
                    chunks = Some(next.chunks);
                }
            },
        );
        let mut hashed = self.hashed(state.clone(), left, flat.boxed());
        let mut last = state;
        let mut part: Option<Assembling> = None;
        // Parts that are hashed wait here for their rows, which are written in order and together;
        // the hash goes on meanwhile.
        let mut complete = Vec::new();
        let mut recording: Option<BoxFuture<'_, Result<Vec<Assembling>, Failure>>> = None;
        let mut more = true;
        while more || recording.is_some() || !complete.is_empty() {
            if recording.is_none() && !complete.is_empty() {
                recording = Some(self.record_parts(std::mem::take(&mut complete)).boxed());
            }
            tokio::select! {
                biased;
                Some(sent) = sends.join_next(), if !sends.is_empty() => joined(sent)?,
                recorded = async { recording.as_mut().expect("asked for above").await },
                    if recording.is_some() =>
                {
                    recording = None;
                    for part in recorded? {
                        sends.spawn(sender.clone().send(part.number, part.chunks, part.claim, part.place));
                    }
                }
                next = hashed.next(), if more => {
                    let Some(next) = next else {
                        more = false;
                        continue;
                    };
                    let Hashed { bytes, state } = next?;
                    let mut assembling = match part.take() {
                        Some(assembling) => assembling,
                        None => Assembling::new(meta.recv().await.ok_or_else(stopped)?),
                    };
                    assembling.push(bytes);
                    last = state;
                    if assembling.complete() {
                        crash_point("part-hashed");
                        let row = Part {
                            number: assembling.number,
                            digest: assembling.digest.digest128().to_be_bytes().to_vec(),
                            state: last.save(),
                            acked: false,
                        };
                        complete.push((row, assembling));
                    } else {
                        part = Some(assembling);
                    }
                }
            }
        }
        while let Some(sent) = sends.join_next().await {
            joined(sent)?;
        }
        if last.position() != size {
            return Err(stopped());
        }
        Ok(last)
    }

    /// Makes parts durable before they are sent.
    async fn record_parts(
        &self,
        complete: Vec<(Part, Assembling)>,
    ) -> Result<Vec<Assembling>, Failure> {
        let mut change = Change::new();
        let mut parts = Vec::with_capacity(complete.len());
        for (row, part) in complete {
            change = change.part(self.file.id, row);
            parts.push(part);
        }
        let _waiting = Gauge::up(&self.shared.progress.waiting_ledger);
        self.shared
            .ledger
            .apply(change)
            .await
            .map_err(ledger_failure)?;
        Ok(parts)
    }

    /// One part streamed through a window, tried again by reading it again.
    async fn send_streamed_retrying(
        &self,
        reader: &Reader,
        session: &Session,
        number: u32,
        state: HashState,
    ) -> Result<HashState, Failure> {
        let mut attempt = 0;
        loop {
            let recorded = self
                .shared
                .ledger
                .parts(self.file.id)
                .await
                .map_err(ledger_failure)?;
            let outcome = match recorded.iter().find(|part| part.number == number) {
                None => {
                    self.send_streamed(reader, session, number, Some(state.clone()), None)
                        .await
                }
                // The last chunk may have left: what is sent again must be what was hashed.
                Some(part) => {
                    let after = HashState::load(&part.state)
                        .map_err(|error| Failure::transient(error.to_string()))?;
                    let sent = self
                        .send_streamed(reader, session, number, None, Some(&part.digest))
                        .await;
                    sent.map(|_| Some(after))
                }
            };
            match outcome {
                Ok(Some(state)) => return Ok(state),
                Ok(None) => {
                    return Err(Failure::defect(
                        "a streamed part ended without a hash state",
                    ));
                }
                Err(failure) => {
                    attempt += 1;
                    again_after(&self.shared, &failure, attempt)
                        .await
                        .ok_or(failure)?;
                    Progress::add(
                        &self.shared.progress.resent,
                        session.part(number, self.file.size).len(),
                    );
                }
            }
        }
    }

    /// Streams one part. With `state` it is hashed and recorded before its last chunk leaves;
    /// with `expected` it is compared before its last chunk leaves.
    async fn send_streamed(
        &self,
        reader: &Reader,
        session: &Session,
        number: u32,
        state: Option<HashState>,
        expected: Option<&[u8]>,
    ) -> Result<Option<HashState>, Failure> {
        let range = session.part(number, self.file.size);
        let (claim, window) = self.window().await;
        let _upload = self.upload_permit().await;
        let chunks = reader.ordered(self.at_source(range), window, PIECE);
        let last = Arc::new(Mutex::new(None));
        let ledger = self.shared.ledger.clone();
        let file = self.file.id;
        let expected = expected.map(<[u8]>::to_vec);
        let hashed: BoxStream<'static, Result<(Bytes, Option<HashState>), Failure>> = match state {
            Some(state) => self
                .hashed(state, range.len(), chunks)
                .map(|hashed| hashed.map(|hashed| (hashed.bytes, Some(hashed.state))))
                .boxed(),
            None => chunks.map(|chunk| chunk.map(|bytes| (bytes, None))).boxed(),
        };
        let digest = Xxh3::new();
        let seen = Arc::clone(&last);
        let stream = futures::stream::try_unfold(
            (hashed, digest, 0),
            move |(mut hashed, mut digest, mut at)| {
                let (ledger, seen, expected) =
                    (ledger.clone(), Arc::clone(&seen), expected.clone());
                async move {
                    let Some(next) = hashed.next().await else {
                        return Ok(None);
                    };
                    let (bytes, state) = next?;
                    digest.update(&bytes);
                    at += bytes.len() as u64;
                    if at == range.len() {
                        if let Some(expected) = &expected {
                            same_part(expected, digest.digest128(), number)?;
                        }
                        if let Some(state) = state {
                            crash_point("part-hashed");
                            let row = Part {
                                number,
                                digest: digest.digest128().to_be_bytes().to_vec(),
                                state: state.save(),
                                acked: false,
                            };
                            ledger
                                .apply(Change::new().part(file, row))
                                .await
                                .map_err(ledger_failure)?;
                            *seen.lock().expect("nothing panics while holding it") = Some(state);
                        }
                    }
                    Ok(Some((bytes, (hashed, digest, at))))
                }
            },
        );
        let content = Content::Stream {
            len: range.len(),
            stream: stream.boxed(),
        };
        crash_point("part-sending");
        let sent = {
            let _waiting = Gauge::up(&self.shared.progress.waiting_destination);
            self.shared
                .destination
                .send_part(session, number, content)
                .await
        };
        drop(claim);
        sent?;
        Progress::add(&self.shared.progress.sent, range.len());
        acknowledge(&self.shared, file, number, range.len()).await?;
        let state = last.lock().expect("nothing panics while holding it").take();
        Ok(state)
    }

    /// Memory for a streamed body, and how much of it may be read ahead.
    async fn window(&self) -> (Claim, ByteCount) {
        let total = self.shared.budget.total();
        let bytes = (total / 4).clamp((8 * MIB).min(total), 4 * PIECE);
        (
            self.claim(bytes).await,
            bytes.saturating_sub(BETWEEN_STAGES * CHUNK),
        )
    }

    pub(super) async fn upload_permit(&self) -> Permit {
        let waiting = &self.shared.progress.waiting_upload;
        self.shared.uploads.acquire(waiting).await
    }

    /// The whole file as one hashed body of a POST. `before_last` runs with the finished state
    /// before the last chunk leaves and can still refuse the commit. The claim and permit must
    /// live until the answer is there.
    pub(super) async fn body(&self) -> Result<(Body, Content), Failure> {
        let reader = self.reader()?;
        let (claim, window) = self.window().await;
        let permit = self.upload_permit().await;
        let size = self.file.size;
        let check = self.end_check()?;
        let range = self.at_source(ByteRange::new(0, size));
        // A storage without ranges gives the whole at once or nothing.
        let chunks = if size <= PIECE || check.open().await?.ranges {
            reader.ordered(range, window, PIECE)
        } else {
            reader.chunks(range)
        };
        let hashed = self.hashed(self.first_state()?, size, chunks);
        let end = Arc::new(Mutex::new(None));
        let seen = Arc::clone(&end);
        let stream = futures::stream::try_unfold(hashed, move |mut hashed| {
            let (seen, check) = (Arc::clone(&seen), check.clone());
            async move {
                let Some(next) = hashed.next().await else {
                    return Ok(None);
                };
                let Hashed { bytes, state } = next?;
                if state.position() > size / 2 {
                    crash_point("body-half");
                }
                if state.position() == size {
                    crash_point("body-sent");
                    check.run(&state).await?;
                    *seen.lock().expect("nothing panics while holding it") = Some(state);
                }
                Ok(Some((bytes, hashed)))
            }
        });
        let content = Content::Stream {
            len: size,
            stream: stream.boxed(),
        };
        Ok((
            Body {
                end,
                _claim: claim,
                _permit: permit,
            },
            content,
        ))
    }

    /// The whole file in memory with its finished state, for small files and inline content.
    pub(super) async fn whole(&self) -> Result<(Claim, Vec<Bytes>, HashState), Failure> {
        let claim = self.claim(self.file.size.max(1)).await;
        let mut state = self.first_state()?;
        let mut chunks = Vec::new();
        if let Some(content) = &self.file.content {
            let content = match &self.master {
                Some(sha256) => sidecar::with_master_digest(content, sha256),
                None => content.clone(),
            };
            state.update(&content);
            chunks.push(Bytes::from(content));
        } else if self.file.size > 0 {
            let mut stream = self
                .reader()?
                .chunks(self.at_source(ByteRange::new(0, self.file.size)));
            while let Some(chunk) = stream.next().await {
                let chunk = chunk?;
                state.update(&chunk);
                chunks.push(chunk);
            }
        }
        self.check_md5(&state)?;
        Ok((claim, chunks, state))
    }

    /// Reads the source once more for its digest alone (the answer to a streamed body was lost).
    pub(super) async fn hash_source(&self) -> Result<HashState, Failure> {
        if self.file.content.is_some() || self.file.size == 0 {
            return Ok(self.whole().await?.2);
        }
        self.hash_again(&self.reader()?, self.file.size).await
    }
}

/// What keeps a streamed body's resources, and its digest once the last byte has been offered.
pub(super) struct Body {
    end: Arc<Mutex<Option<HashState>>>,
    _claim: Claim,
    _permit: Permit,
}

impl Body {
    pub(super) fn state(&self) -> Option<HashState> {
        self.end
            .lock()
            .expect("nothing panics while holding it")
            .clone()
    }
}

/// A part whose chunks are being fetched.
struct Fetching {
    number: u32,
    len: ByteCount,
    claim: Claim,
    place: OwnedSemaphorePermit,
    chunks: mpsc::Receiver<Result<Bytes, Failure>>,
}

/// A part whose chunks have passed the hash.
struct Assembling {
    number: u32,
    len: ByteCount,
    have: ByteCount,
    claim: Claim,
    place: OwnedSemaphorePermit,
    chunks: Vec<Bytes>,
    digest: Xxh3,
}

impl Assembling {
    fn new((number, len, claim, place): (u32, ByteCount, Claim, OwnedSemaphorePermit)) -> Self {
        Self {
            number,
            len,
            have: 0,
            claim,
            place,
            chunks: Vec::new(),
            digest: Xxh3::new(),
        }
    }

    fn push(&mut self, bytes: Bytes) {
        self.digest.update(&bytes);
        self.have += bytes.len() as u64;
        self.chunks.push(bytes);
    }

    fn complete(&self) -> bool {
        self.have == self.len
    }
}

/// Claims memory for the parts in order and starts reading each as soon as it has its claim.
async fn feed(
    shared: Arc<Shared>,
    reader: Reader,
    todo: Vec<(u32, ByteRange)>,
    places: Arc<Semaphore>,
    fetched: mpsc::Sender<Fetching>,
) {
    let mut tasks = JoinSet::new();
    let mut depth = shared.read_ahead();
    for (number, range) in todo {
        let place = loop {
            // The tuner may have found out since that more reads at once bring more.
            let now = shared.read_ahead();
            places.add_permits(now.saturating_sub(depth));
            depth = depth.max(now);
            tokio::select! {
                place = Arc::clone(&places).acquire_owned() => break place,
                () = tokio::time::sleep(LOOK_AGAIN) => {}
            }
        };
        let Ok(place) = place else { return };
        shared.may_begin().await;
        if shared.stop.drain.is_cancelled() {
            break;
        }
        let claim = {
            let _waiting = Gauge::up(&shared.progress.waiting_memory);
            shared.budget.claim(range.len()).await
        };
        // Deep enough for the whole part: its memory is claimed, so reading never waits here.
        let chunks = usize::try_from(range.len().div_ceil(CHUNK))
            .unwrap_or(1)
            .max(1)
            + 1;
        let (to_part, chunks) = mpsc::channel(chunks);
        let ahead = range.len().saturating_mul(depth as u64);
        let piece = shared.pieces.within(ahead, shared.streams.target());
        let mut stream = reader.ordered(range, range.len().max(piece), piece);
        tasks.spawn(async move {
            while let Some(chunk) = stream.next().await {
                let failed = chunk.is_err();
                if to_part.send(chunk).await.is_err() || failed {
                    return;
                }
            }
        });
        let fetching = Fetching {
            number,
            len: range.len(),
            claim,
            place,
            chunks,
        };
        if fetched.send(fetching).await.is_err() {
            return;
        }
        while tasks.try_join_next().is_some() {}
    }
    drop(fetched);
    while tasks.join_next().await.is_some() {}
}

/// Sends finished parts.
#[derive(Clone)]
struct Sender {
    shared: Arc<Shared>,
    session: Session,
    file: TransferId,
}

impl Sender {
    async fn send(
        self,
        number: u32,
        chunks: Vec<Bytes>,
        claim: Claim,
        place: OwnedSemaphorePermit,
    ) -> Result<(), Failure> {
        let shared = &self.shared;
        let len = chunks.iter().map(|chunk| chunk.len() as u64).sum();
        let mut attempt = 0;
        loop {
            let sent = {
                let waiting = &shared.progress.waiting_upload;
                let _permit = shared.uploads.acquire(waiting).await;
                crash_point("part-sending");
                let _waiting = Gauge::up(&shared.progress.waiting_destination);
                shared
                    .destination
                    .send_part(&self.session, number, Content::Chunks(chunks.clone()))
                    .await
            };
            match sent {
                Ok(receipt) => {
                    if receipt == PartReceipt::AlreadyThere {
                        tracing::debug!(file = %self.file, number, "part was there already");
                    }
                    break;
                }
                Err(failure) => {
                    attempt += 1;
                    again_after(shared, &failure, attempt)
                        .await
                        .ok_or(failure)?;
                    Progress::add(&shared.progress.resent, len);
                }
            }
        }
        Progress::add(&shared.progress.sent, len);
        drop((chunks, claim, place));
        acknowledge(shared, self.file, number, len).await
    }
}

async fn acknowledge(
    shared: &Shared,
    file: TransferId,
    number: u32,
    len: ByteCount,
) -> Result<(), Failure> {
    crash_point("part-answered");
    let patch = FilePatch {
        add_bytes_sent: len,
        ..Default::default()
    };
    shared
        .ledger
        .apply(Change::new().ack(file, number).file(file, patch))
        .await
        .map_err(ledger_failure)?;
    crash_point("part-acknowledged");
    Progress::add(&shared.progress.confirmed, len);
    Ok(())
}

/// Waits before a repeat; `None` when it must not or need not be repeated here.
pub(super) async fn again_after(shared: &Shared, failure: &Failure, attempt: u32) -> Option<()> {
    Progress::add(&shared.progress.refused_destination, 1);
    let repeatable = matches!(
        failure.class,
        FailureClass::RetryNow | FailureClass::RetryLater | FailureClass::SignInAgain
    ) && !matches!(
        failure.reason,
        Reason::SessionGone
            | Reason::SourceChanged
            | Reason::Mismatch
            | Reason::Stopped
            // People have to act first: the item waits, and holds neither memory nor a place.
            | Reason::Full
            | Reason::Locked
    );
    // A drain does not wait for a destination that does not answer.
    if !repeatable || attempt >= shared.config.attempts || shared.draining() {
        return None;
    }
    let wait = failure
        .retry_after
        .unwrap_or_else(|| shared.config.backoff(attempt));
    tracing::debug!(attempt, ?wait, error = %failure, "sending again");
    tokio::time::sleep(wait.min(std::time::Duration::from_secs(60))).await;
    Some(())
}

fn same_part(expected: &[u8], digest: u128, number: u32) -> Result<(), Failure> {
    if expected == digest.to_be_bytes() {
        return Ok(());
    }
    Err(Failure::new(
        FailureClass::RetryNow,
        Reason::SourceChanged,
        format!("part {number} read again differs from what was hashed: the source changed"),
    ))
}

fn joined(sent: Result<Result<(), Failure>, tokio::task::JoinError>) -> Result<(), Failure> {
    sent.unwrap_or_else(|error| {
        Err(Failure::defect(format_args!(
            "a sending task ended early: {error}"
        )))
    })
}

/// Work was told to stop between two parts.
pub(super) fn stopped() -> Failure {
    Failure::new(
        FailureClass::RetryLater,
        Reason::Stopped,
        "stopped between two parts; a resume goes on here",
    )
}
