//! The loopback HTTP server under every simulated system, and where faults are injected.
//!
//! A [`Service`] answers [`Exchange`]s with [`Reply`]s and knows nothing of sockets. The server
//! gives it streamed bodies both ways, and does to the connection what the rules in
//! [`faults`](super::faults) ask for: cuts at a byte, resets, silence, trickling, wrong lengths.
//! Work goes on when the client has gone, as on a real server, so a lost reply does not undo a
//! commit; and a request's life is limited, so that nothing takes effect long after.
//!
//! The pacer of a link belongs to the exchange: a connection carries one at a time.

mod exchange;
mod history;
mod link;
mod outgoing;
mod plan;
mod reply;
mod socket;

pub use exchange::{BodyError, Exchange, RequestBody};
pub use history::{History, Record};
pub use link::{Link, LinkSettings};
pub use reply::{HangUp, Reply, ReplyBody};

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::future::BoxFuture;
use http::header::{CONTENT_LENGTH, RANGE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::exchange::{Activity, request_body};
use self::history::Entry;
use self::link::Pacer;
use self::outgoing::{Hangup, Outgoing, Sending};
use self::plan::Plan;
use self::socket::{Line, Socket};
use super::faults::{Facts, Faults, System};

/// How long open connections may finish when the server stops.
const GRACE: Duration = Duration::from_millis(500);
/// Shortest body that counts as an upload.
const UPLOAD: u64 = 64 * 1024;

/// A simulated system behind a [`Server`].
pub trait Service: Send + Sync + 'static {
    /// Its name in logs.
    fn name(&self) -> &'static str;

    /// Answers one request. The future runs on its own task: it is not dropped when the client
    /// leaves, only when the request's time limit ends.
    fn call(self: Arc<Self>, exchange: Exchange) -> BoxFuture<'static, Reply>;
}

/// How a server is set up.
#[derive(Clone, Debug)]
pub struct Config {
    /// Which system's rules apply.
    pub system: System,
    /// Loopback port; 0 takes a free one.
    pub port: u16,
    /// How long a request may be worked on after its last byte was read. Then its work is
    /// dropped and the connection closes without a reply.
    pub request_limit: Option<Duration>,
    /// The link in front.
    pub link: Link,
    /// The rules.
    pub faults: Faults,
    /// The log.
    pub history: History,
}

impl Config {
    /// A free port, no limits, its own rules and log.
    pub fn new(system: System) -> Self {
        Self {
            system,
            port: 0,
            request_limit: None,
            link: Link::default(),
            faults: Faults::new(),
            history: History::new(),
        }
    }
}

/// Body bytes a system has moved, both ways.
#[derive(Debug, Default)]
struct Traffic(AtomicU64);

impl Traffic {
    fn add(&self, bytes: usize) {
        self.0.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

/// A running server; stops when dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: CancellationToken,
    tasks: TaskTracker,
    traffic: Arc<Traffic>,
}

impl Server {
    /// Listens on loopback and serves until stopped or dropped.
    ///
    /// # Errors
    ///
    /// The port cannot be bound.
    pub async fn start(config: Config, service: Arc<dyn Service>) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, config.port)).await?;
        let address = listener.local_addr()?;
        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        let traffic = Arc::new(Traffic::default());
        let shared = Arc::new(Shared {
            config,
            service,
            traffic: Arc::clone(&traffic),
            stop: stop.clone(),
            tasks: tasks.clone(),
        });
        tasks.spawn(shared.accept(listener));
        Ok(Self {
            address,
            stop,
            tasks,
            traffic,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:PORT`, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Body bytes moved so far, both ways.
    pub fn moved(&self) -> u64 {
        self.traffic.0.load(Ordering::Relaxed)
    }

    /// Takes no new connections, lets open ones finish for a moment and waits for them.
    pub async fn stop(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

struct Shared {
    config: Config,
    service: Arc<dyn Service>,
    traffic: Arc<Traffic>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Shared {
    async fn accept(self: Arc<Self>, listener: TcpListener) {
        let open = TaskTracker::new();
        loop {
            while self
                .config
                .link
                .connections()
                .is_some_and(|most| open.len() >= most)
            {
                tokio::select! {
                    () = self.stop.cancelled() => return,
                    // Rarely looked at, and only under a cap: polling keeps the cap changeable.
                    () = tokio::time::sleep(Duration::from_millis(5)) => {}
                }
            }
            let stream = tokio::select! {
                () = self.stop.cancelled() => return,
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => stream,
                    Err(error) => {
                        // Out of descriptors: wait for connections to end.
                        tracing::warn!(error = %error, "cannot accept");
                        tokio::time::sleep(Duration::from_millis(20)).await;
                        continue;
                    }
                },
            };
            let connection = Arc::clone(&self).connection(stream);
            self.tasks.spawn(open.track_future(connection));
        }
    }

    async fn connection(self: Arc<Self>, stream: TcpStream) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(error = %error, "no TCP_NODELAY");
        }
        // Algorithms that pace themselves measure a loopback, not a line.
        #[cfg(target_os = "linux")]
        if let Err(error) = rustix::net::sockopt::set_tcp_congestion(&stream, "cubic") {
            tracing::debug!(error = %error, "no cubic");
        }
        let line = Arc::new(Line::new(self.config.history.connection()));
        let io = TokioIo::new(Socket::new(stream, Arc::clone(&line)));
        let service = service_fn(|request| Arc::clone(&self).answer(request, Arc::clone(&line)));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(None)
            .serve_connection(io, service);
        let mut connection = std::pin::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = self.stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                match tokio::time::timeout(GRACE, connection).await {
                    Ok(ended) => ended,
                    Err(_) => return,
                }
            }
        };
        if let Err(error) = ended {
            tracing::trace!(error = %error, service = self.service.name(), "connection ended");
        }
    }

    async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
        line: Arc<Line>,
    ) -> Result<Response<Outgoing>, Hangup> {
        let (mut head, incoming) = request.into_parts();
        let actions = self.config.faults.take(&Facts {
            system: self.config.system,
            method: head.method.as_str(),
            path: head.uri.path(),
            query: head.uri.query().unwrap_or(""),
            moved: self.traffic.0.load(Ordering::Relaxed),
        });
        let names = actions.iter().map(|a| a.name().to_owned()).collect();
        let entry = self.config.history.begin(
            self.config.system,
            line.number,
            head.method.as_str(),
            head.uri.path(),
            head.headers
                .get(RANGE)
                .and_then(|range| range.to_str().ok()),
            names,
        );
        let mut plan = Plan::new(actions);
        if plan.ignore_range {
            head.headers.remove(RANGE);
        }
        let activity = Arc::new(Activity::new());
        let length = incoming.size_hint().exact();
        let mut body = request_body(
            incoming,
            length,
            std::mem::take(&mut plan.request),
            Arc::clone(&line),
            Arc::clone(&entry),
            Arc::clone(&activity),
            Arc::clone(&self.traffic),
            self.config.link.clone(),
        );
        let wait = self.config.link.latency() + plan.before;
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        let upload = match length {
            Some(bytes) if bytes >= UPLOAD => {
                let Some(upload) = self.config.link.upload() else {
                    let _ = body.drain().await;
                    entry.answered(503);
                    let reply = Reply::text(503, "busy").header("retry-after", "1");
                    return Ok(self.send(reply, plan, line, entry, false));
                };
                tokio::time::sleep(self.config.link.strain()).await;
                Some(upload)
            }
            _ => None,
        };
        let head_only = head.method == Method::HEAD;
        let reply = match plan.refuse.take() {
            Some(instead) => {
                if instead.read_body {
                    // A body that breaks off changes nothing: the answer is a refusal.
                    let _ = body.drain().await;
                }
                instead.reply
            }
            None => {
                let exchange = Exchange {
                    method: head.method,
                    uri: head.uri,
                    headers: head.headers,
                    body,
                    faults: std::mem::take(&mut plan.service),
                    connection: line.number,
                    request_limit: self.config.request_limit,
                };
                activity.touch();
                let reply = self.work(exchange, activity).await;
                if !plan.after.is_zero() {
                    tokio::time::sleep(plan.after).await;
                }
                match plan.replace.take() {
                    Some(instead) => instead.reply,
                    None => reply,
                }
            }
        };
        drop(upload);
        let doomed = line.doomed.load(Ordering::Acquire);
        if let Some(how) = reply.hang_up.or(doomed.then_some(HangUp::Close)) {
            if how == HangUp::Reset {
                line.reset.store(true, Ordering::Release);
            }
            entry.end();
            return Err(Hangup);
        }
        entry.answered(reply.status.as_u16());
        let reply = plan.change_head(reply);
        Ok(self.send(reply, plan, line, entry, head_only))
    }

    /// Has the service answer on its own task, within the request's time limit.
    async fn work(&self, exchange: Exchange, activity: Arc<Activity>) -> Reply {
        let service = Arc::clone(&self.service);
        let limit = self.config.request_limit;
        let stop = self.stop.clone();
        let task = self.tasks.spawn(async move {
            let outlived = async {
                match limit {
                    Some(limit) => outlived(&activity, limit).await,
                    None => std::future::pending().await,
                }
            };
            let stopped = async {
                stop.cancelled().await;
                tokio::time::sleep(GRACE).await;
            };
            tokio::select! {
                reply = service.call(exchange) => reply,
                () = outlived => Reply::hang_up(),
                () = stopped => Reply::hang_up(),
            }
        });
        task.await.unwrap_or_else(|error| {
            tracing::error!(error = %error, service = self.service.name(), "service failed");
            Reply::hang_up()
        })
    }

    fn send(
        &self,
        reply: Reply,
        plan: Plan,
        line: Arc<Line>,
        entry: Arc<Entry>,
        head_only: bool,
    ) -> Response<Outgoing> {
        let bodiless = matches!(
            reply.status,
            StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
        );
        let length = reply.len().map(|len| {
            let len = len.saturating_add(plan.body.extra);
            len.saturating_add_signed(plan.body.delta)
        });
        let mut headers = reply.headers;
        // A HEAD reply may announce what a GET would bring; otherwise the body decides. hyper
        // believes the header as long as the body's own size is not exact.
        let announced = head_only && headers.contains_key(CONTENT_LENGTH);
        if let Some(length) = length.filter(|_| !bodiless && !announced) {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        let empty = head_only || bodiless || length == Some(0);
        let sending = Sending {
            inner: if empty {
                futures::StreamExt::boxed(futures::stream::empty())
            } else {
                reply.body.into_stream()
            },
            plan: plan.body,
            line,
            entry,
            traffic: Arc::clone(&self.traffic),
            link: self.config.link.clone(),
            pacer: Pacer::default(),
            rest: bytes::Bytes::new(),
            sent: 0,
        };
        let mut response = Response::new(Outgoing::new(sending, empty));
        *response.status_mut() = reply.status;
        *response.headers_mut() = headers;
        response
    }
}

/// Ends when nothing has happened to a request for `limit`.
async fn outlived(activity: &Activity, limit: Duration) {
    loop {
        let due = activity.last() + limit;
        tokio::time::sleep_until(due).await;
        if activity.last() + limit <= tokio::time::Instant::now() {
            return;
        }
    }
}

/// A service made from a function; handy for small endpoints.
pub struct FnService<F> {
    name: &'static str,
    answer: F,
}

impl<F> FnService<F>
where
    F: Fn(Exchange) -> BoxFuture<'static, Reply> + Send + Sync + 'static,
{
    /// Calls `answer` for every request.
    pub fn new(name: &'static str, answer: F) -> Arc<Self> {
        Arc::new(Self { name, answer })
    }
}

impl<F> Service for FnService<F>
where
    F: Fn(Exchange) -> BoxFuture<'static, Reply> + Send + Sync + 'static,
{
    fn name(&self) -> &'static str {
        self.name
    }

    fn call(self: Arc<Self>, exchange: Exchange) -> BoxFuture<'static, Reply> {
        (self.answer)(exchange)
    }
}

#[cfg(test)]
mod tests;
