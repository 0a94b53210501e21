//! A response: its head at once, its body whole or as it arrives, every wait limited.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use ::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use ::http::{HeaderMap, HeaderName, StatusCode};
use bytes::{Bytes, BytesMut};
use futures::stream::BoxStream;
use futures::{Stream, StreamExt};
use http_body::Body as _;
use hyper::body::Incoming;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, Sleep};

use super::send::Abandon;
use super::{Direction, Error, retry};
use crate::types::ByteCount;

/// The limits a body is read under.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) stall: Duration,
    /// Fewest bytes per `window` in which the peer had the floor.
    pub(super) min_bytes: ByteCount,
    pub(super) window: Duration,
    pub(super) retry_after_cap: Duration,
}

/// A response whose body has not been read.
#[derive(Debug)]
pub struct Response {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Incoming,
    pub(super) host: Arc<str>,
    pub(super) limits: Limits,
    /// Ends a request body that the server answered before it had all of it.
    pub(super) abandon: Option<Abandon>,
}

/// A response whose body has been read whole.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    host: Arc<str>,
    retry_after_cap: Duration,
}

impl Response {
    /// The status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// A header's first value, when it is there and is text.
    pub fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// How long the server asks us to wait, at most the configured cap; `None` when it does not
    /// say so or cannot be understood.
    pub fn retry_after(&self) -> Option<Duration> {
        retry::retry_after(&self.headers, self.limits.retry_after_cap)
    }

    /// Reads the body whole, at most `limit` bytes.
    ///
    /// # Errors
    ///
    /// [`Error::BodyTooLarge`] beyond `limit`, before reading it when its length is announced;
    /// else what [`stream`](Self::stream) can end in.
    pub async fn bytes(self, limit: usize) -> Result<Bytes, Error> {
        let too_large = Error::BodyTooLarge {
            host: self.host.to_string(),
            limit: limit as u64,
        };
        if self.content_length().is_some_and(|len| len > limit as u64) {
            return Err(too_large);
        }
        let mut frames = self.frames(None);
        let Some(first) = frames.next().await.transpose()? else {
            return Ok(Bytes::new());
        };
        if first.len() > limit {
            return Err(too_large);
        }
        let mut whole: Option<BytesMut> = None;
        while let Some(frame) = frames.next().await.transpose()? {
            let whole = whole.get_or_insert_with(|| BytesMut::from(&first[..]));
            if whole.len() + frame.len() > limit {
                return Err(too_large);
            }
            whole.extend_from_slice(&frame);
        }
        Ok(whole.map_or(first, BytesMut::freeze))
    }

    /// Reads the body whole, at most `limit` bytes, with the head beside it.
    ///
    /// # Errors
    ///
    /// Those of [`bytes`](Self::bytes).
    pub async fn answer(self, limit: usize) -> Result<Answer, Error> {
        let (status, headers) = (self.status, self.headers.clone());
        let (host, retry_after_cap) = (Arc::clone(&self.host), self.limits.retry_after_cap);
        Ok(Answer {
            status,
            headers,
            body: self.bytes(limit).await?,
            host,
            retry_after_cap,
        })
    }

    /// Reads a JSON body of at most `limit` bytes, [`JSON_LIMIT`](super::JSON_LIMIT) as a rule.
    ///
    /// # Errors
    ///
    /// [`Error::Decode`] with the field that did not fit; those of [`bytes`](Self::bytes).
    pub async fn json<T: DeserializeOwned>(self, limit: usize) -> Result<T, Error> {
        self.answer(limit).await?.json()
    }

    /// The body as it arrives; ends in an error on a stall, a trickle or a cut. Bytes beyond the
    /// announced length never come out, and their connection is dropped. A body without any
    /// announced length ends where the connection does: use [`exactly`](Self::exactly) when the
    /// length is known.
    pub fn stream(self) -> BoxStream<'static, Result<Bytes, Error>> {
        self.frames(None).boxed()
    }

    /// The body as it arrives, which must be exactly `len` bytes long: a shorter or longer one
    /// ends in an error before its last bytes come out.
    pub fn exactly(self, len: ByteCount) -> BoxStream<'static, Result<Bytes, Error>> {
        self.frames(Some(len)).boxed()
    }

    /// Content-Length, when it was announced.
    pub fn content_length(&self) -> Option<ByteCount> {
        self.header(&CONTENT_LENGTH)?.trim().parse().ok()
    }

    fn frames(self, expected: Option<ByteCount>) -> Frames {
        let encoding = self
            .header(&CONTENT_ENCODING)
            .filter(|encoding| !encoding.trim().eq_ignore_ascii_case("identity"))
            .map(|encoding| Error::Encoded {
                host: self.host.to_string(),
                encoding: encoding.chars().take(40).collect(),
            });
        let announced = self.content_length();
        let refusal = encoding.or_else(|| {
            let (expected, announced) = (expected?, announced?);
            (expected != announced).then(|| Error::WrongLength {
                host: self.host.to_string(),
                expected,
                offered: announced,
            })
        });
        Frames {
            body: self.body,
            host: self.host,
            limits: self.limits,
            refusal,
            expected,
            held: None,
            received: 0,
            timer: None,
            progress: Progress::new(),
            done: false,
            _abandon: self.abandon,
        }
    }
}

impl Answer {
    /// A header's first value, when it is there and is text.
    pub fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// How long the server asks us to wait; see [`Response::retry_after`].
    pub fn retry_after(&self) -> Option<Duration> {
        retry::retry_after(&self.headers, self.retry_after_cap)
    }

    /// Whether this is a page for people where data was asked for; see [`looks_like_html`].
    pub fn looks_like_html(&self) -> bool {
        looks_like_html(&self.headers, &self.body)
    }

    /// Whether this success is a page for people, or empty where something was to be `read`.
    pub(super) fn says_nothing(&self, read: bool) -> bool {
        let empty = || read && self.body.iter().all(u8::is_ascii_whitespace);
        self.status.is_success()
            && self.status != StatusCode::NO_CONTENT
            && (self.looks_like_html() || empty())
    }

    /// Reads the body as JSON.
    ///
    /// # Errors
    ///
    /// [`Error::Decode`] with the field that did not fit, without the values in it.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        let fail = |path: String, cause: String| Error::Decode {
            host: self.host.to_string(),
            path,
            cause,
        };
        if self.looks_like_html() {
            return Err(fail(
                ".".to_owned(),
                "an HTML page came instead of JSON".to_owned(),
            ));
        }
        let mut deserializer = serde_json::Deserializer::from_slice(&self.body);
        let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
            fail(
                error.path().to_string(),
                without_values(&error.inner().to_string()),
            )
        })?;
        deserializer
            .end()
            .map_err(|error| fail(".".to_owned(), without_values(&error.to_string())))?;
        Ok(value)
    }
}

/// Serde quotes the value it did not like; it may be a token or a signed address.
fn without_values(text: &str) -> String {
    match (text.find('"'), text.rfind('"')) {
        (Some(from), Some(to)) if from < to => {
            format!("{}\"…\"{}", &text[..from], &text[to + 1..])
        }
        _ => text.to_owned(),
    }
}

/// Whether an answer is a page for people: by its content type, its first characters, or one of
/// the sentences that Content Server shows when threads, database or search are exhausted.
pub fn looks_like_html(headers: &HeaderMap, body: &[u8]) -> bool {
    if headers.get(CONTENT_TYPE).is_some_and(is_html) {
        return true;
    }
    let head = String::from_utf8_lossy(&body[..body.len().min(4096)]).to_ascii_lowercase();
    let head = head.trim_start_matches('\u{feff}').trim_start();
    if head.starts_with('{') || head.starts_with('[') {
        return false;
    }
    head.starts_with("<!doctype html")
        || head.starts_with("<html")
        || head.contains("error processing request")
        || head.contains("content server client error")
        || head.contains("please try again")
}

/// Whether a content type is that of an HTML page.
pub(super) fn is_html(content_type: &::http::HeaderValue) -> bool {
    let text = content_type.as_bytes();
    let starts = |prefix: &[u8]| {
        text.get(..prefix.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    };
    starts(b"text/html") || starts(b"application/xhtml")
}

/// How much moved while the peer had the floor.
#[derive(Debug)]
pub(super) struct Progress {
    bytes: ByteCount,
    waited: Duration,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self {
            bytes: 0,
            waited: Duration::ZERO,
        }
    }

    /// Adds what moved after the peer had the floor for `waited`. Once it had it for a whole
    /// window, the bytes of that window come back if they are too few.
    pub(super) fn add(
        &mut self,
        bytes: ByteCount,
        waited: Duration,
        limits: &Limits,
    ) -> Result<(), ByteCount> {
        self.bytes += bytes;
        self.waited += waited;
        if self.waited < limits.window {
            return Ok(());
        }
        // A wait may overshoot the window; what is asked for grows with it.
        let share = self.waited.as_secs_f64() / limits.window.as_secs_f64().max(f64::EPSILON);
        let enough = self.bytes as f64 >= limits.min_bytes as f64 * share;
        let moved = self.bytes;
        *self = Self::new();
        if enough { Ok(()) } else { Err(moved) }
    }
}

/// The frames of a body, each awaited no longer than the stall limit.
struct Frames {
    body: Incoming,
    host: Arc<str>,
    limits: Limits,
    /// Why the body is not to be read at all.
    refusal: Option<Error>,
    expected: Option<ByteCount>,
    /// The frame that completes the expected length, until the end is seen.
    held: Option<Bytes>,
    received: ByteCount,
    /// Runs while the peer has the floor; the instant is when it got it.
    timer: Option<(Instant, Pin<Box<Sleep>>)>,
    progress: Progress,
    done: bool,
    _abandon: Option<Abandon>,
}

impl Frames {
    /// Waits for the next frame; `None` at the end of the body.
    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        loop {
            match Pin::new(&mut self.body).poll_frame(cx) {
                Poll::Ready(frame) => {
                    let waited = self
                        .timer
                        .take()
                        .map_or(Duration::ZERO, |(since, _)| since.elapsed());
                    let Some(frame) = frame else {
                        return Poll::Ready(None);
                    };
                    let frame = frame.map_err(|error| self.cut(&error))?;
                    // Trailers carry nothing we use.
                    let Ok(data) = frame.into_data() else {
                        continue;
                    };
                    self.received += data.len() as u64;
                    self.progress
                        .add(data.len() as u64, waited, &self.limits)
                        .map_err(|bytes| Error::Trickle {
                            host: self.host.to_string(),
                            direction: Direction::Receiving,
                            bytes,
                            window: self.limits.window,
                        })?;
                    return Poll::Ready(Some(Ok(data)));
                }
                Poll::Pending => {
                    let stall = self.limits.stall;
                    let (_, timer) = self.timer.get_or_insert_with(|| {
                        (Instant::now(), Box::pin(tokio::time::sleep(stall)))
                    });
                    ready!(timer.as_mut().poll(cx));
                    return Poll::Ready(Some(Err(Error::Stall {
                        host: self.host.to_string(),
                        direction: Direction::Receiving,
                        limit: stall,
                    })));
                }
            }
        }
    }

    fn cut(&self, error: &hyper::Error) -> Error {
        if error.is_incomplete_message() || ends_early(error) {
            return Error::Incomplete {
                host: self.host.to_string(),
                received: self.received,
            };
        }
        super::client::broken(&self.host, error)
    }

    fn wrong_length(&self, expected: ByteCount) -> Error {
        Error::WrongLength {
            host: self.host.to_string(),
            expected,
            offered: self.received,
        }
    }

    /// As [`poll_body`](Self::poll_body), holding the last expected frame back until the end.
    fn poll_exact(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        let Some(expected) = self.expected else {
            return self.poll_body(cx);
        };
        loop {
            match ready!(self.poll_body(cx)?) {
                Some(data) if data.is_empty() => {}
                Some(data) if self.received < expected => return Poll::Ready(Some(Ok(data))),
                Some(data) if self.received == expected => self.held = Some(data),
                None if self.received == expected => {
                    self.expected = None;
                    self.done = true;
                    return Poll::Ready(self.held.take().map(Ok));
                }
                _ => return Poll::Ready(Some(Err(self.wrong_length(expected)))),
            }
        }
    }
}

/// Whether a connection ended before its body did; over TLS also one that ended without farewell.
fn ends_early(error: &hyper::Error) -> bool {
    std::error::Error::source(error)
        .and_then(|cause| cause.downcast_ref::<std::io::Error>())
        .is_some_and(|cause| cause.kind() == std::io::ErrorKind::UnexpectedEof)
}

impl Stream for Frames {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.done {
            return Poll::Ready(None);
        }
        let item = match self.refusal.take() {
            Some(error) => Some(Err(error)),
            None => ready!(self.poll_exact(cx)),
        };
        // After an error the body is not polled again: its connection is closed on drop.
        if !matches!(item, Some(Ok(_))) {
            self.done = true;
        }
        Poll::Ready(item)
    }
}
