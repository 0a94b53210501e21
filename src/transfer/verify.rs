//! Proves what is stored: size and marker always, and the bytes themselves when the policy asks.

use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use serde_json::json;

use super::Shared;
use super::ends::{ByteStream, Destination};
use super::fetch::CHUNK;
use super::hash::{self, HashState};
use super::mover::Mover;
use super::progress::{Gauge, Progress};
use crate::ledger::FilePatch;
use crate::pace::Pace;
use crate::sidecar::mhl;
use crate::telemetry::crash_point;
use crate::types::{
    ByteCount, Failure, FailureClass, NodeId, ProofLevel, Reason, Sha256Digest, VersionNote,
    VersionNumber,
};

/// Memory of one read-back: what the hash's queues hold.
const READ_BACK_MEMORY: ByteCount = 8 * CHUNK;

/// Reads a stored version and hashes it; a cut is healed by reading on from the byte it came to.
/// `sink` gets the bytes in order, each once.
///
/// # Errors
///
/// The destination's failure after `attempts` tries without progress, a mismatch of `size`, or the
/// sink's own.
pub async fn read_back(
    destination: &dyn Destination,
    pace: &Pace,
    node: NodeId,
    version: VersionNumber,
    size: ByteCount,
    attempts: u32,
    sink: &mut (dyn FnMut(&[u8]) -> Result<(), Failure> + Send),
) -> Result<Sha256Digest, Failure> {
    let what = (node, version, size);
    read_on(destination, pace, what, attempts, sink, None).await
}

/// As [`read_back`]; within a run it stands still while the run is paused. A body that is cut
/// meanwhile is read on from where it was.
async fn read_on(
    destination: &dyn Destination,
    pace: &Pace,
    (node, version, size): (NodeId, VersionNumber, u64),
    attempts: u32,
    sink: &mut (dyn FnMut(&[u8]) -> Result<(), Failure> + Send),
    run: Option<&Shared>,
) -> Result<Sha256Digest, Failure> {
    let mut state = HashState::new(false);
    let mut tries = 0;
    while state.position() < size || (size == 0 && tries == 0) {
        let from = state.position();
        let outcome = async {
            let body = destination.read(node, version, from).await?;
            let portions = gathered(body);
            let mut hashed =
                hash::through(state.clone(), size - from, portions, Arc::default(), false);
            while let Some(chunk) = hashed.next().await {
                let chunk = chunk?;
                let len = chunk.state.position() - state.position();
                state = chunk.state;
                if state.position() > size {
                    return Err(Failure::item(
                        Reason::Mismatch,
                        format!("node {node} version {version} holds more than the {size} bytes that were filed"),
                    ));
                }
                for bytes in &chunk.bytes {
                    sink(bytes)?;
                }
                crash_point("reading-back");
                pace.take(len).await;
                if let Some(run) = run {
                    run.may_begin().await;
                }
            }
            Ok::<(), Failure>(())
        }
        .await;
        tries = if state.position() > from {
            0
        } else {
            tries + 1
        };
        let short = || {
            Failure::transient(format!(
                "node {node} version {version} ended at byte {} of {size}",
                state.position()
            ))
        };
        match outcome {
            Ok(()) if state.position() == size => break,
            Ok(()) if tries >= attempts => {
                return Err(Failure::item(Reason::Mismatch, short().message));
            }
            Err(failure)
                if tries >= attempts
                    || !matches!(
                        failure.class,
                        FailureClass::RetryNow | FailureClass::SignInAgain
                    ) =>
            {
                return Err(failure);
            }
            _ => tokio::time::sleep(std::time::Duration::from_millis(100 << tries.min(8))).await,
        }
    }
    Ok(state.sha256())
}

/// The frames of a body in portions of about [`CHUNK`] bytes: a body comes in frames as small as
/// the socket had them, and each hand-over to the hash wakes two threads. What came before a
/// failure comes out before it.
fn gathered(body: ByteStream) -> hash::Portions<Vec<Bytes>> {
    futures::stream::unfold((body.fuse(), None), |(mut body, failure)| async move {
        if let Some(failure) = failure {
            return Some((Err(failure), (body, None)));
        }
        let (mut frames, mut len) = (Vec::new(), 0);
        while len < CHUNK {
            match body.next().await {
                Some(Ok(frame)) => {
                    len += frame.len() as u64;
                    frames.push(frame);
                }
                Some(Err(failure)) if frames.is_empty() => {
                    return Some((Err(failure), (body, None)));
                }
                Some(Err(failure)) => return Some((Ok(frames), (body, Some(failure)))),
                None if frames.is_empty() => return None,
                None => return Some((Ok(frames), (body, None))),
            }
        }
        Some((Ok(frames), (body, None)))
    })
    .boxed()
}

impl Shared {
    pub(super) async fn read_back(
        &self,
        node: NodeId,
        version: VersionNumber,
        size: ByteCount,
    ) -> Result<(Sha256Digest, Option<mhl::Digests>), Failure> {
        let mut history = self.config.history_digests.then(mhl::Hasher::default);
        let _claim = self.budget.claim(READ_BACK_MEMORY.min(size.max(1))).await;
        let _waiting = Gauge::up(&self.progress.waiting_destination);
        let stored = read_on(
            &*self.destination,
            &self.pace,
            (node, version, size),
            self.config.attempts,
            &mut |bytes| {
                Progress::add(&self.progress.read_back, bytes.len() as u64);
                if let Some(history) = &mut history {
                    history.update(bytes);
                }
                Ok(())
            },
            Some(self),
        )
        .await?;
        Ok((stored, history.map(|history| history.digests())))
    }
}

impl Mover<'_> {
    /// Writes the marker and digest into the version's description, compares the size, and reads
    /// back as far as the policy asks.
    pub(super) async fn prove(
        &mut self,
        node: NodeId,
        version: VersionNumber,
        sha256: Option<Sha256Digest>,
        found: bool,
    ) -> Result<(), Failure> {
        let digest = match sha256 {
            Some(digest) => digest,
            // The body's digest was lost with the answer: the source is read again for it.
            None => self.source_digest().await?,
        };
        let note = VersionNote {
            marker: self.marker()?,
            sha256: Some(digest),
        };
        let mut level = self
            .shared
            .config
            .verify
            .level(self.file.size)
            .max(ProofLevel::Size);
        if found {
            level = ProofLevel::ReadBack;
        } else {
            self.check_stored(node, version, &note).await?;
        }
        let mut history = None;
        if level == ProofLevel::ReadBack {
            let (stored, digests) = self.shared.read_back(node, version, self.file.size).await?;
            if stored != digest {
                return Err(Failure::item(
                    Reason::Mismatch,
                    format!(
                        "node {node} version {version} reads back as {stored} but {digest} was sent"
                    ),
                ));
            }
            history = digests;
        }
        if found {
            // Only now: a version that only looked like ours keeps the description it had.
            self.check_stored(node, version, &note).await?;
        }
        let patch = FilePatch {
            step: Some("proved".into()),
            sha256: Some(Some(digest.0.to_vec())),
            proof: Some(level.as_str().into()),
            ..Default::default()
        };
        let mut facts = json!({"node": node, "version": version, "sha256": digest, "level": level, "size": self.file.size});
        if let Some(mhl::Digests { xxh128, xxh64 }) = history {
            facts["xxh128"] = format!("{xxh128:032x}").into();
            facts["xxh64"] = format!("{xxh64:016x}").into();
        }
        self.advance(patch, Some(("proved", facts))).await?;
        crash_point("proved");
        Ok(())
    }

    async fn check_stored(
        &self,
        node: NodeId,
        version: VersionNumber,
        note: &VersionNote,
    ) -> Result<(), Failure> {
        let destination = &self.shared.destination;
        // Nobody can have described what was created just now: there is nothing to look at before.
        let mut describe = self.created;
        for _ in 0..3 {
            if describe {
                crash_point("describing");
                destination
                    .describe(node, version, &note.to_string())
                    .await?;
            }
            describe = true;
            let versions = destination.versions(node).await?;
            let stored = versions
                .iter()
                .find(|stored| stored.number == version)
                .ok_or_else(|| {
                    Failure::item(
                        Reason::NotFound,
                        format!("node {node} no longer has version {version}; was it deleted?"),
                    )
                })?;
            if stored.size != self.file.size {
                return Err(Failure::item(
                    Reason::Mismatch,
                    format!(
                        "node {node} version {version} holds {} bytes but {} were sent",
                        stored.size, self.file.size
                    ),
                ));
            }
            if VersionNote::parse(&stored.description).as_ref() == Some(note) {
                return Ok(());
            }
        }
        Err(Failure::transient(format!(
            "the description of node {node} version {version} does not keep the marker that was written"
        )))
    }
}
