//! Google Cloud Storage: a resumable upload, whatever the size.
//!
//! iconik signs a POST that begins a session; a plain PUT to the same address is refused. The
//! session's address opens the upload to whoever has it, so it is kept in memory only: within a
//! run the store is asked how far it is after each disturbance, and only the rest is sent; a run
//! that was killed begins another session, and the old one lapses at the store.
//!
//! Source: Google Cloud Storage, "Resumable uploads" (XML API).

use ::http::header::{HeaderName, LOCATION, RANGE};
use ::http::{HeaderValue, Method as Verb, StatusCode};
use bytes::Bytes;

use super::Upload;
use super::content::{Ask, address};
use crate::http::{Answer, Body, Repeat, SignedUrl};
use crate::iconik::Client;
use crate::types::{ByteCount, Failure, FailureClass};

/// How often in a row the store may take nothing of a chunk.
const ATTEMPTS: u32 = 4;
/// Where the store names a session without giving its address.
const SESSION: HeaderName = HeaderName::from_static("x-guploader-uploadid");

/// What the store has of a session.
enum Have {
    /// So many bytes from the beginning.
    Bytes(ByteCount),
    /// Everything: the object is made.
    All,
}

impl Client {
    /// Begins a session.
    pub(super) async fn begin_session(&self, upload: &Upload) -> Result<SignedUrl, Failure> {
        let url = address(self.upload_addresses(upload).await?.upload_url, upload)?;
        let ask = Ask::new(Verb::POST, &url, Body::Empty)
            .header("x-goog-resumable", HeaderValue::from_static("start"));
        let answer = self.store(ask, upload).await?;
        match (answer.header(&LOCATION), answer.header(&SESSION)) {
            (Some(session), _) => SignedUrl::parse(session).map_err(Failure::from),
            (None, Some(id)) => Ok(url.with(&[("upload_id", id)])),
            (None, None) => Err(Failure::transient(
                "the storage began a resumable upload and did not say where it is",
            )),
        }
    }

    /// Sends the bytes from `start` on, as far as the store does not have them.
    pub(super) async fn put_chunk(
        &self,
        upload: &Upload,
        session: &SignedUrl,
        start: ByteCount,
        content: Bytes,
    ) -> Result<(), Failure> {
        let end = start + content.len() as u64;
        let (mut from, mut attempt) = (start, 1);
        loop {
            let rest = usize::try_from(from - start).unwrap_or(usize::MAX);
            let rest = content.slice(rest.min(content.len())..);
            let range = match rest.is_empty() {
                true => format!("bytes */{}", upload.size),
                false => format!("bytes {from}-{}/{}", end - 1, upload.size),
            };
            let have = match self.put_range(session, &range, rest).await {
                Err(failure) if passing(&failure) && attempt < ATTEMPTS => {
                    tracing::debug!(file = %upload.file(), attempt, %failure, "asking how far the upload is");
                    attempt += 1;
                    self.session_state(upload, session).await
                }
                other => other,
            };
            let have = match have {
                Ok(Have::All) => upload.size,
                Ok(Have::Bytes(have)) => have,
                Err(failure) if passing(&failure) && attempt < ATTEMPTS => {
                    attempt += 1;
                    continue;
                }
                Err(failure) => return Err(failure.context(&upload.name)),
            };
            if have < start || have > end {
                // What went before is not in memory any more.
                let what = format!(
                    "the storage has {have} bytes of an upload that was at {start}; it is sent anew"
                );
                return Err(Failure::transient(what).context(&upload.name));
            }
            if have == end {
                return Ok(());
            }
            if have > from {
                attempt = 1;
            } else if attempt >= ATTEMPTS {
                let what = format!("the storage took nothing of an upload beyond byte {have}");
                return Err(Failure::transient(what).context(&upload.name));
            } else {
                attempt += 1;
            }
            from = have;
        }
    }

    /// How far a session is.
    async fn session_state(&self, upload: &Upload, session: &SignedUrl) -> Result<Have, Failure> {
        let range = format!("bytes */{}", upload.size);
        self.put_range(session, &range, Bytes::new()).await
    }

    async fn put_range(
        &self,
        session: &SignedUrl,
        range: &str,
        content: Bytes,
    ) -> Result<Have, Failure> {
        let range = HeaderValue::from_str(range)
            .map_err(|_| Failure::transient("a range cannot be written"))?;
        let body = match content.is_empty() {
            true => Body::Empty,
            false => Body::Chunks(vec![content]),
        };
        let mut ask = Ask::new(Verb::PUT, session, body).header("content-range", range);
        // After a lost answer the store is asked first.
        ask.repeat = Repeat::IfNotSent;
        let (answer, refusal) = self.ask_store(ask).await?;
        match (answer.status, refusal) {
            (StatusCode::PERMANENT_REDIRECT, _) => Ok(Have::Bytes(persisted(&answer)?)),
            (StatusCode::NOT_FOUND | StatusCode::GONE, _) => Err(Failure::new(
                // A new session, like a new address.
                FailureClass::Resign,
                crate::types::Reason::Other,
                "the storage does not know the resumable upload any more",
            )),
            (_, None) => Ok(Have::All),
            (_, Some(refusal)) => Err(refusal),
        }
    }
}

/// Bytes that the store says it has: `Range: bytes=0-N`, nothing of it before the first.
fn persisted(answer: &Answer) -> Result<ByteCount, Failure> {
    let Some(range) = answer.header(&RANGE) else {
        return Ok(0);
    };
    let last = range.trim().strip_prefix("bytes=0-");
    let last = last.and_then(|last| last.parse::<u64>().ok());
    let end = last.and_then(|last| last.checked_add(1));
    end.ok_or_else(|| Failure::transient("the storage does not say how far the upload is"))
}

fn passing(failure: &Failure) -> bool {
    matches!(
        failure.class,
        FailureClass::RetryNow | FailureClass::RetryLater
    )
}
