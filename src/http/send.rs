//! A request body on its way out: counted, cut in pieces, and watched.
//!
//! hyper cuts a body that is longer than its Content-Length and still reports success, so the
//! bytes are counted here, and the last piece is held back until the end of the body is seen: a
//! server never gets a whole request of the wrong length. [`Meter`] knows who has the floor; a
//! pause of our own source is never held against the server.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{Stream as _, StreamExt as _};
use http_body::{Frame, SizeHint};
use hyper_util::client::legacy::connect::CaptureConnection;
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, Sleep};

use super::response::{Limits, Progress};
use super::{Body, Direction, Error, PIECE};
use crate::types::{ByteCount, Failure};

/// How long a server that says nothing to `Expect: 100-continue` is given before the body goes
/// out anyway.
const CONTINUE_GRACE: Duration = Duration::from_secs(3);

type FailureStream = BoxStream<'static, Result<Bytes, Failure>>;

/// A body before it is sent, from which each attempt opens its own [`SendBody`].
pub(super) enum Payload {
    /// Held in memory.
    Chunks(Vec<Bytes>),
    /// Passes once: the first attempt that starts it takes it.
    Stream {
        len: ByteCount,
        slot: Arc<Mutex<Option<FailureStream>>>,
    },
}

impl Payload {
    /// Takes a body over. A stream announced as empty is checked here, since nobody asks an empty
    /// body for bytes.
    pub(super) async fn new(body: Body) -> Result<Self, Error> {
        Ok(match body {
            Body::Empty => Self::Chunks(Vec::new()),
            Body::Chunks(chunks) => Self::Chunks(chunks),
            Body::Stream { len: 0, mut stream } => {
                while let Some(data) = stream.next().await {
                    let offered = data.map_err(Error::Source)?.len() as u64;
                    if offered > 0 {
                        return Err(Error::BodyLength {
                            expected: 0,
                            offered,
                        });
                    }
                }
                Self::Chunks(Vec::new())
            }
            Body::Stream { len, stream } => Self::Stream {
                len,
                slot: Arc::new(Mutex::new(Some(stream))),
            },
        })
    }

    /// Whether another attempt could send it.
    pub(super) fn can_be_sent(&self) -> bool {
        match self {
            Self::Chunks(_) => true,
            Self::Stream { slot, .. } => slot
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .is_some(),
        }
    }

    /// The body of one attempt.
    pub(super) fn open(&self, host: &Arc<str>, limits: Limits, gate: Option<Gate>) -> SendBody {
        let (feed, len) = match self {
            Self::Chunks(chunks) => (
                Feed::Chunks(chunks.iter().cloned().collect()),
                chunks.iter().map(|chunk| chunk.len() as u64).sum(),
            ),
            Self::Stream { len, slot } => (Feed::Unopened(Arc::clone(slot)), *len),
        };
        SendBody {
            feed,
            gate,
            len,
            offered: 0,
            left: len,
            ready: Bytes::new(),
            last: Bytes::new(),
            meter: Arc::new(Meter::new(Arc::clone(host), limits, len == 0)),
        }
    }
}

enum Feed {
    Chunks(VecDeque<Bytes>),
    Unopened(Arc<Mutex<Option<FailureStream>>>),
    Stream(FailureStream),
}

impl Feed {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Failure>>> {
        loop {
            match self {
                Self::Chunks(chunks) => return Poll::Ready(chunks.pop_front().map(Ok)),
                Self::Stream(stream) => return Pin::new(stream).poll_next(cx),
                Self::Unopened(slot) => {
                    let taken = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
                    // Taken by an attempt that got further; then nothing is left to offer.
                    let Some(stream) = taken else {
                        return Poll::Ready(None);
                    };
                    *self = Self::Stream(stream);
                }
            }
        }
    }
}

/// Opens when the server says 100 Continue, or says nothing for a while.
pub(super) struct Gate {
    agreed: oneshot::Receiver<()>,
    grace: Pin<Box<Sleep>>,
}

impl Gate {
    /// Has a request ask first.
    pub(super) fn on<B>(request: &mut ::http::Request<B>) -> Self {
        let (sender, agreed) = oneshot::channel();
        let sender = Mutex::new(Some(sender));
        hyper::ext::on_informational(request, move |response| {
            if response.status() == ::http::StatusCode::CONTINUE {
                let sender = sender.lock().unwrap_or_else(PoisonError::into_inner).take();
                // Nobody listens any more when the grace time was over first.
                let _ = sender.map(|sender| sender.send(()));
            }
        });
        Self {
            agreed,
            grace: Box::pin(tokio::time::sleep(CONTINUE_GRACE)),
        }
    }

    /// `Ready(true)` opens; `Ready(false)` says that a final answer came instead.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        if let Poll::Ready(agreed) = Pin::new(&mut self.agreed).poll(cx) {
            return Poll::Ready(agreed.is_ok());
        }
        ready!(self.grace.as_mut().poll(cx));
        Poll::Ready(true)
    }
}

/// The body of one attempt.
pub(super) struct SendBody {
    feed: Feed,
    gate: Option<Gate>,
    len: ByteCount,
    offered: ByteCount,
    left: ByteCount,
    ready: Bytes,
    /// What completes the length, until the end is seen.
    last: Bytes,
    meter: Arc<Meter>,
}

impl SendBody {
    pub(super) fn meter(&self) -> Arc<Meter> {
        Arc::clone(&self.meter)
    }

    /// Waits for a piece that may leave.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Bytes, Error>> {
        loop {
            if !self.ready.is_empty() {
                let piece = self.ready.split_to(self.ready.len().min(PIECE));
                return Poll::Ready(Ok(piece));
            }
            let item = ready!(self.feed.poll_next(cx));
            let wrong = |offered| {
                Poll::Ready(Err(Error::BodyLength {
                    expected: self.len,
                    offered,
                }))
            };
            match item {
                Some(Ok(data)) if data.is_empty() => {}
                Some(Ok(data)) => {
                    self.offered += data.len() as u64;
                    if self.offered > self.len {
                        return wrong(self.offered);
                    }
                    if self.offered == self.len {
                        self.last = data;
                    } else {
                        self.ready = data;
                    }
                }
                Some(Err(failure)) => return Poll::Ready(Err(Error::Source(failure))),
                None if self.offered < self.len => return wrong(self.offered),
                None => self.ready = std::mem::take(&mut self.last),
            }
        }
    }
}

impl http_body::Body for SendBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = self.get_mut();
        if this.left == 0 {
            return Poll::Ready(None);
        }
        if let Err(error) = ready!(this.meter.poll_asked(cx)) {
            return Poll::Ready(Some(Err(error)));
        }
        if let Some(gate) = &mut this.gate {
            let open = ready!(gate.poll(cx));
            this.gate = None;
            if !open {
                this.meter.close();
                return this.meter.poll_asked(cx).map(|asked| asked.err().map(Err));
            }
        }
        let piece = ready!(this.poll_piece(cx));
        Poll::Ready(Some(match piece {
            Ok(piece) => {
                this.left -= piece.len() as u64;
                this.meter.handed(piece.len() as u64, this.left == 0);
                Ok(Frame::data(piece))
            }
            Err(error) => {
                this.meter.fail(error.clone());
                Err(error)
            }
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// Who has the floor.
#[derive(Clone, Copy, Debug)]
enum Phase {
    /// Nobody asked for the body yet: the head is on its way.
    Unasked,
    /// Our own source.
    Ours,
    /// The server, since then.
    Theirs(Instant),
    /// The body is out, or no longer wanted; the answer is awaited since then.
    Over(Instant),
}

#[derive(Debug)]
struct State {
    phase: Phase,
    /// Size of the piece that the server is taking.
    piece: ByteCount,
    progress: Progress,
    /// Why the body ended early.
    fault: Option<Error>,
    /// Whether every byte has been handed over.
    complete: bool,
    /// Whether the answer came before that: nothing more is sent.
    closed: bool,
    /// Whether that answer has been read or dropped: the connection may end.
    abandoned: bool,
    waker: Option<Waker>,
}

/// What a body's sending looks like from outside; shared by the body, the watch and the answer.
#[derive(Debug)]
pub(super) struct Meter {
    host: Arc<str>,
    limits: Limits,
    state: Mutex<State>,
    over: Notify,
}

impl Meter {
    fn new(host: Arc<str>, limits: Limits, empty: bool) -> Self {
        Self {
            host,
            limits,
            state: Mutex::new(State {
                phase: if empty {
                    Phase::Over(Instant::now())
                } else {
                    Phase::Unasked
                },
                piece: 0,
                progress: Progress::new(),
                fault: None,
                complete: empty,
                closed: false,
                abandoned: false,
                waker: None,
            }),
            over: Notify::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// hyper has room for another piece: the one before is on its way.
    fn poll_asked(&self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let mut state = self.state();
        if state.closed && !state.abandoned {
            state.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        if state.closed {
            return Poll::Ready(Err(Error::Broken {
                host: self.host.to_string(),
                cause: "it answered before it had the whole body".to_owned(),
            }));
        }
        if let Phase::Theirs(since) = state.phase {
            let piece = state.piece;
            let moved = state.progress.add(piece, since.elapsed(), &self.limits);
            if let Err(bytes) = moved {
                let error = Error::Trickle {
                    host: self.host.to_string(),
                    direction: Direction::Sending,
                    bytes,
                    window: self.limits.window,
                };
                state.fault = Some(error.clone());
                return Poll::Ready(Err(error));
            }
        }
        state.phase = Phase::Ours;
        Poll::Ready(Ok(()))
    }

    fn handed(&self, bytes: ByteCount, last: bool) {
        let mut state = self.state();
        state.piece = bytes;
        state.phase = Phase::Theirs(Instant::now());
        if last {
            state.complete = true;
            state.phase = Phase::Over(Instant::now());
            self.over.notify_one();
        }
    }

    fn fail(&self, error: Error) {
        self.state().fault = Some(error);
    }

    /// Stops sending, because the answer is here or on its way.
    fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        state.phase = Phase::Over(Instant::now());
        self.over.notify_one();
    }

    /// Why the body ended early, if it did.
    pub(super) fn fault(&self) -> Option<Error> {
        self.state().fault.clone()
    }

    /// The head of the answer is here. When the body is not out, sending stops, and the returned
    /// guard ends the connection once the answer has been read or dropped.
    pub(super) fn answered(self: &Arc<Self>) -> Option<Abandon> {
        if self.state().complete {
            return None;
        }
        self.close();
        Some(Abandon(Arc::clone(self)))
    }

    /// Runs until a limit is passed, beside the exchange it watches. The clock for the head of
    /// the answer only starts when the connection stands and the body is out.
    pub(super) async fn watch(
        &self,
        mut connection: CaptureConnection,
        first_byte: Duration,
    ) -> Error {
        connection.wait_for_connection_metadata().await;
        let connected = Instant::now();
        let stall = self.limits.stall;
        loop {
            let phase = self.state().phase;
            let until = match phase {
                Phase::Unasked => connected + stall,
                Phase::Ours => Instant::now() + stall,
                Phase::Theirs(since) => since + stall,
                Phase::Over(since) => since.max(connected) + first_byte,
            };
            if until > Instant::now() {
                tokio::select! {
                    () = self.over.notified() => {}
                    () = tokio::time::sleep_until(until) => {}
                }
                continue;
            }
            let host = self.host.to_string();
            return match phase {
                Phase::Over(_) => Error::FirstByteTimeout {
                    host,
                    limit: first_byte,
                },
                _ => Error::Stall {
                    host,
                    direction: Direction::Sending,
                    limit: stall,
                },
            };
        }
    }
}

/// Ends, when dropped, a connection on which the answer overtook the body.
pub(super) struct Abandon(Arc<Meter>);

impl fmt::Debug for Abandon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Abandon")
    }
}

impl Drop for Abandon {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.abandoned = true;
        if let Some(waker) = state.waker.take() {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::stream;
    use http_body_util::BodyExt as _;
    use proptest::prelude::*;

    use super::*;

    fn limits() -> Limits {
        Limits {
            stall: Duration::from_secs(30),
            min_bytes: 1 << 20,
            window: Duration::from_secs(60),
            retry_after_cap: Duration::from_secs(900),
        }
    }

    fn stream(len: u64, items: Vec<Result<Bytes, Failure>>) -> Payload {
        Payload::Stream {
            len,
            slot: Arc::new(Mutex::new(Some(stream::iter(items).boxed()))),
        }
    }

    fn open(payload: &Payload) -> SendBody {
        payload.open(&"a.test:443".into(), limits(), None)
    }

    /// What leaves, and how it ends.
    async fn drain(mut body: SendBody) -> (Vec<u8>, Option<Error>) {
        let mut out = Vec::new();
        while let Some(frame) = body.frame().await {
            match frame {
                Ok(frame) => out.extend_from_slice(&frame.into_data().unwrap()),
                Err(error) => return (out, Some(error)),
            }
        }
        (out, None)
    }

    proptest! {
        #[test]
        fn the_last_byte_only_leaves_when_the_length_is_right(
            sizes in proptest::collection::vec(0usize..200_000, 0..6),
            error in -3i64..=3,
        ) {
            let total: usize = sizes.iter().sum();
            let len = (total as i64 + error).max(1) as u64;
            let items = sizes.iter().map(|&size| Ok(Bytes::from(vec![7; size]))).collect();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
            let (out, fault) = runtime.block_on(async { drain(open(&stream(len, items))).await });
            if len == total as u64 {
                prop_assert!(fault.is_none());
                prop_assert_eq!(out.len(), total);
            } else {
                prop_assert!((out.len() as u64) < len);
                let is_length = matches!(fault, Some(Error::BodyLength { expected, .. }) if expected == len);
                prop_assert!(is_length);
            }
        }
    }

    #[tokio::test]
    async fn a_failure_of_the_source_ends_the_body_and_is_remembered() {
        let failure = Failure::stop("the disk is gone");
        let body = open(&stream(
            10,
            vec![Ok(Bytes::from_static(b"12345")), Err(failure)],
        ));
        let meter = body.meter();
        let (out, fault) = drain(body).await;
        assert_eq!(out, b"12345");
        assert!(matches!(fault, Some(Error::Source(_))));
        assert!(
            matches!(meter.fault(), Some(Error::Source(failure)) if failure.message == "the disk is gone")
        );
    }

    #[tokio::test]
    async fn chunks_can_be_opened_again_and_a_started_stream_cannot() {
        let chunks = Payload::Chunks(vec![Bytes::from_static(b"ab"), Bytes::from_static(b"c")]);
        assert_eq!(drain(open(&chunks)).await.0, b"abc");
        assert_eq!(drain(open(&chunks)).await.0, b"abc");
        assert!(chunks.can_be_sent());

        let once = stream(2, vec![Ok(Bytes::from_static(b"ab"))]);
        drop(open(&once));
        assert!(once.can_be_sent(), "nobody had asked for it");
        assert_eq!(drain(open(&once)).await.0, b"ab");
        assert!(!once.can_be_sent());
    }

    #[tokio::test]
    async fn a_stream_announced_as_empty_must_be() {
        let body = |items: Vec<Result<Bytes, Failure>>| Body::Stream {
            len: 0,
            stream: stream::iter(items).boxed(),
        };
        assert!(Payload::new(body(vec![Ok(Bytes::new())])).await.is_ok());
        let more = Payload::new(body(vec![Ok(Bytes::from_static(b"x"))])).await;
        assert!(matches!(
            more.err(),
            Some(Error::BodyLength {
                expected: 0,
                offered: 1
            })
        ));
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_source_is_not_held_against_the_server_but_a_slow_server_is() {
        // The source takes ten minutes for its second piece.
        let slow = stream::iter([0u64, 600]).then(|secs| async move {
            tokio::time::sleep(Duration::from_secs(secs)).await;
            Ok(Bytes::from_static(b"12345"))
        });
        let slow = Payload::Stream {
            len: 10,
            slot: Arc::new(Mutex::new(Some(slow.boxed()))),
        };
        assert!(drain(open(&slow)).await.1.is_none());

        // The server takes a piece of 64 KiB every 29 s: no stall, and still too slow.
        let mut body = open(&Payload::Chunks(vec![Bytes::from(vec![0; 1 << 20])]));
        let mut taken = 0;
        let fault = loop {
            match body.frame().await.unwrap() {
                Ok(frame) => taken += frame.into_data().unwrap().len(),
                Err(error) => break error,
            }
            tokio::time::sleep(Duration::from_secs(29)).await;
        };
        assert!(matches!(
            fault,
            Error::Trickle {
                direction: Direction::Sending,
                ..
            }
        ));
        assert!(taken <= 4 * PIECE, "{taken}");
    }
}
