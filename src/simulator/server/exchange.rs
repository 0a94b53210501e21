//! A request as a service sees it: parsed head, streamed body, and the faults meant for it.

use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::stream::{BoxStream, Stream, StreamExt};
use http::{HeaderMap, Method, Uri};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use percent_encoding::percent_decode_str;
use tokio::time::Instant;

use super::Traffic;
use super::history::Entry;
use super::link::{Link, Pacer};
use super::plan::RequestPlan;
use super::socket::Line;
use crate::simulator::faults::ServiceFaults;

/// One request and everything a service may ask about it.
pub struct Exchange {
    /// Method.
    pub method: Method,
    /// Path and query, as sent.
    pub uri: Uri,
    /// Headers.
    pub headers: HeaderMap,
    /// Body; may be streamed or collected.
    pub body: RequestBody,
    /// Faults that only the service can carry out.
    pub faults: ServiceFaults,
    /// Number of the connection in the history.
    pub connection: u64,
    /// How long a request may be worked on after its last byte; nothing may take effect later.
    pub request_limit: Option<Duration>,
}

impl Exchange {
    /// The path as sent.
    pub fn path(&self) -> &str {
        self.uri.path()
    }

    /// The path's parts between slashes, decoded; a trailing slash adds none.
    pub fn segments(&self) -> Vec<String> {
        self.path()
            .split('/')
            .filter(|s| !s.is_empty())
            .map(|s| percent_decode_str(s).decode_utf8_lossy().into_owned())
            .collect()
    }

    /// The query's pairs, decoded, in order.
    pub fn query_pairs(&self) -> Vec<(String, String)> {
        url::form_urlencoded::parse(self.uri.query().unwrap_or("").as_bytes())
            .into_owned()
            .collect()
    }

    /// The query as a map; the last of several wins.
    pub fn query(&self) -> HashMap<String, String> {
        self.query_pairs().into_iter().collect()
    }

    /// A header as text; none when it is missing or not text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// Why a request body could not be read.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The connection broke, or a fault cut it.
    #[error("the request body ended early")]
    Broken(#[from] io::Error),
    /// More bytes than the service takes.
    #[error("the request body is larger than {0} bytes")]
    TooLarge(u64),
}

/// The moment of the last sign of life of a request; its time limit counts from there.
#[derive(Debug)]
pub(super) struct Activity(Mutex<Instant>);

impl Activity {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Instant::now()))
    }

    pub(super) fn touch(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    pub(super) fn last(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request body: a stream of the frames as they arrive.
pub struct RequestBody {
    /// Never locked, only reached through `&mut`: it makes an exchange `Sync`.
    stream: Mutex<BoxStream<'static, io::Result<Bytes>>>,
    length: Option<u64>,
}

impl RequestBody {
    /// Content-Length, when the request has one.
    pub fn length(&self) -> Option<u64> {
        self.length
    }

    /// Everything, when it is at most `limit` bytes.
    ///
    /// # Errors
    ///
    /// [`BodyError`] for a broken or larger body; the rest is not read.
    pub async fn read_all(&mut self, limit: u64) -> Result<Bytes, BodyError> {
        let mut first: Option<Bytes> = None;
        let mut more = BytesMut::new();
        let mut total = 0u64;
        while let Some(frame) = self.next().await {
            let frame = frame?;
            total += frame.len() as u64;
            if total > limit {
                return Err(BodyError::TooLarge(limit));
            }
            match (&first, more.is_empty()) {
                (None, true) => first = Some(frame),
                (_, _) => {
                    if let Some(first) = first.take() {
                        more.extend_from_slice(&first);
                    }
                    more.extend_from_slice(&frame);
                }
            }
        }
        Ok(first.unwrap_or_else(|| more.freeze()))
    }

    /// Reads the rest and drops it; the number of bytes.
    ///
    /// # Errors
    ///
    /// The connection broke.
    pub async fn drain(&mut self) -> io::Result<u64> {
        let mut total = 0;
        while let Some(frame) = self.next().await {
            total += frame?.len() as u64;
        }
        Ok(total)
    }
}

impl Stream for RequestBody {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let stream = self
            .stream
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        stream.poll_next_unpin(cx)
    }
}

/// Everything that happens to request frames before the service sees them.
struct Reading {
    incoming: Incoming,
    read: u64,
    plan: RequestPlan,
    line: Arc<Line>,
    entry: Arc<Entry>,
    activity: Arc<Activity>,
    traffic: Arc<Traffic>,
    link: Link,
    pacer: Pacer,
}

impl Reading {
    async fn next(&mut self) -> Option<io::Result<Bytes>> {
        loop {
            if let Some(after) = self.plan.cut.filter(|&after| self.read >= after) {
                tracing::trace!(after, "request body cut");
                if self.plan.reset {
                    self.line.reset.store(true, Ordering::Release);
                }
                self.line.doomed.store(true, Ordering::Release);
                return Some(Err(io::ErrorKind::ConnectionAborted.into()));
            }
            if let Some((_, silence)) = self.plan.stall.take_if(|(after, _)| self.read >= *after) {
                match silence {
                    Some(silence) => tokio::time::sleep(silence).await,
                    None => std::future::pending().await,
                }
                self.activity.touch();
            }
            let frame = match self.incoming.frame().await? {
                Ok(frame) => frame,
                Err(error) => return Some(Err(io::Error::other(error))),
            };
            let Ok(data) = frame.into_data() else {
                continue;
            };
            let start = self.read;
            self.read += data.len() as u64;
            self.traffic.add(data.len());
            self.entry.request_bytes.store(self.read, Ordering::Relaxed);
            self.link.up(&self.pacer, data.len()).await;
            self.activity.touch();
            return Some(Ok(match self.plan.flip {
                Some(at) => flip(data, start, at),
                None => data,
            }));
        }
    }
}

/// `data`, which starts at offset `start` of its body, with the lowest bit of byte `at` flipped.
pub(super) fn flip(data: Bytes, start: u64, at: u64) -> Bytes {
    match usize::try_from(at.wrapping_sub(start)) {
        Ok(index) if at >= start && index < data.len() => {
            let mut changed = BytesMut::from(data.as_ref());
            changed[index] ^= 1;
            changed.freeze()
        }
        _ => data,
    }
}

#[expect(
    clippy::too_many_arguments,
    reason = "the parts of one connection, gathered in one place"
)]
pub(super) fn request_body(
    incoming: Incoming,
    length: Option<u64>,
    plan: RequestPlan,
    line: Arc<Line>,
    entry: Arc<Entry>,
    activity: Arc<Activity>,
    traffic: Arc<Traffic>,
    link: Link,
) -> RequestBody {
    let reading = Reading {
        incoming,
        read: 0,
        plan,
        line,
        entry,
        activity,
        traffic,
        link,
        pacer: Pacer::default(),
    };
    let stream = futures::stream::unfold(Some(reading), |reading| async {
        let mut reading = reading?;
        match reading.next().await? {
            Ok(data) => Some((Ok(data), Some(reading))),
            // A broken body stays broken: nothing follows the error.
            Err(error) => Some((Err(error), None)),
        }
    });
    RequestBody {
        stream: Mutex::new(stream.boxed()),
        length,
    }
}
