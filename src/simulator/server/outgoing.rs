//! The reply body on its way out: faults, pace and counting.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt};
use hyper::body::{Body, Frame};

use super::Traffic;
use super::exchange::flip;
use super::history::Entry;
use super::link::{Link, Pacer, piece_of};
use super::plan::ReplyPlan;
use super::reply::HangUp;
use super::socket::Line;

/// Ends a connection without more ado.
#[derive(Debug, thiserror::Error)]
#[error("the connection was ended on purpose")]
pub(super) struct Hangup;

/// What hyper sends.
pub(super) struct Outgoing {
    stream: BoxStream<'static, Result<Bytes, Hangup>>,
    entry: Arc<Entry>,
    empty: bool,
}

impl Outgoing {
    pub(super) fn new(sending: Sending, empty: bool) -> Self {
        let entry = Arc::clone(&sending.entry);
        let stream = futures::stream::unfold(Some(sending), |sending| async {
            let mut sending = sending?;
            match sending.next().await? {
                Ok(data) => Some((Ok(data), Some(sending))),
                Err(hangup) => Some((Err(hangup), None)),
            }
        });
        Self {
            stream: stream.boxed(),
            entry,
            empty,
        }
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Hangup;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Hangup>>> {
        let frame = self.stream.poll_next_unpin(cx);
        if let Poll::Ready(None) = frame {
            self.entry.end();
        }
        frame.map(|frame| frame.map(|data| data.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.empty
    }
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        self.entry.end();
    }
}

/// A body's bytes and everything that happens to them.
pub(super) struct Sending {
    pub(super) inner: BoxStream<'static, io::Result<Bytes>>,
    pub(super) plan: ReplyPlan,
    pub(super) line: Arc<Line>,
    pub(super) entry: Arc<Entry>,
    pub(super) traffic: Arc<Traffic>,
    pub(super) link: Link,
    pub(super) pacer: Pacer,
    pub(super) rest: Bytes,
    pub(super) sent: u64,
}

impl Sending {
    async fn next(&mut self) -> Option<Result<Bytes, Hangup>> {
        if let Some((_, how)) = self.plan.cut.filter(|(after, _)| self.sent >= *after) {
            self.line.flush().await;
            if how == HangUp::Reset {
                self.line.reset.store(true, Ordering::Release);
            }
            return Some(Err(Hangup));
        }
        if let Some((_, silence)) = self.plan.stall.take_if(|(after, _)| self.sent >= *after) {
            match silence {
                Some(silence) => tokio::time::sleep(silence).await,
                None => std::future::pending().await,
            }
        }
        while self.rest.is_empty() {
            match self.inner.next().await {
                Some(Ok(data)) => self.rest = data,
                Some(Err(error)) => {
                    tracing::debug!(error = %error, "reply body failed");
                    self.line.flush().await;
                    return Some(Err(Hangup));
                }
                None if self.plan.extra > 0 => {
                    let bytes = usize::try_from(self.plan.extra).unwrap_or(0);
                    self.plan.extra = 0;
                    self.rest = Bytes::from(vec![b'+'; bytes]);
                }
                None if self.plan.delta > 0 => {
                    // Announced longer than it is: what there is leaves first.
                    self.line.flush().await;
                    return Some(Err(Hangup));
                }
                None => return None,
            }
        }
        let mut most = self.rest.len();
        let mut until = |offset: u64| {
            if let Ok(left @ 1..) = usize::try_from(offset.saturating_sub(self.sent)) {
                most = most.min(left);
            }
        };
        if let Some((after, _)) = self.plan.cut {
            until(after);
        }
        if let Some((after, _)) = self.plan.stall {
            until(after);
        }
        let mut trickle = None;
        if let Some((after, rate)) = self.plan.trickle {
            until(after);
            if self.sent >= after {
                most = most.min(piece_of(rate));
                trickle = Some(rate);
            }
        }
        if let Some(piece) = self.link.piece() {
            most = most.min(piece);
        }
        let data = self.rest.split_to(most);
        if let Some(rate) = trickle {
            self.pacer.pass(rate, data.len()).await;
        }
        self.link.down(&self.pacer, data.len()).await;
        let start = self.sent;
        self.sent += data.len() as u64;
        self.traffic.add(data.len());
        self.entry.reply_bytes.store(self.sent, Ordering::Relaxed);
        Some(Ok(match self.plan.flip {
            Some(at) => flip(data, start, at),
            None => data,
        }))
    }
}
