//! The client: one request's attempts.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ::http::header::{COOKIE, EXPECT, PROXY_AUTHORIZATION, USER_AGENT};
use ::http::{HeaderMap, HeaderValue, Method, Uri};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::capture_connection;
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::Instant;
use tracing::{Instrument as _, debug, debug_span};

use super::connect::{Connector, Lookup, chain, own, system_lookup};
use super::guard::Guard;
use super::origin::digest;
use super::response::Limits;
use super::retry::{Gates, Verdict, backoff, judge};
use super::send::{Gate, Payload, SendBody};
use super::{
    Answer, Config, DRAIN_LIMIT, Error, HEAD_LIMIT, Origin, Repeat, Request, Response, tls,
};
use crate::telemetry::spans;

/// Idle connections are dropped before the usual servers drop them (Tomcat 20 s): a request on a
/// connection that is just being closed has no clear outcome.
const IDLE: Duration = Duration::from_secs(15);
/// Idle connections kept per host: more than the most streams longhaul opens to one.
const MAX_IDLE: usize = 64;
/// Most bytes a connection reads at once, and the longest head of an answer.
const BUFFER: usize = 1 << 20;
/// How long an answer that will not be used is read to keep its connection.
const DRAIN_TIME: Duration = Duration::from_secs(1);
/// As every request introduces us.
const AGENT: &str = concat!("longhaul/", env!("CARGO_PKG_VERSION"));

/// The client. Cheap to clone; clones share connections.
#[derive(Clone)]
pub struct Client(Arc<Parts>);

struct Parts {
    config: Config,
    guard: Arc<Guard>,
    /// To addresses that a person typed.
    open: (Pool<Connector, SendBody>, Connector),
    /// To addresses that an API returned. Its own pool: a connection that was opened without a
    /// guard is never used by a guarded request.
    guarded: (Pool<Connector, SendBody>, Connector),
    gates: Gates,
}

/// A request that was found fit to be sent.
struct Checked {
    request: Request,
    payload: Payload,
    origin: Origin,
    uri: Uri,
    host: Arc<str>,
    limits: Limits,
    /// The path, or the digest of an address that holds a secret.
    shown: String,
}

impl Client {
    /// Builds a client.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] for an unreadable CA file or an entry that is no CIDR.
    pub fn new(config: Config) -> Result<Self, Error> {
        let proxy = config.proxy_from_environment.then(Matcher::from_env);
        Self::with(config, proxy, &system_lookup())
    }

    /// As [`new`](Self::new), with the outside world given.
    pub(super) fn with(
        config: Config,
        proxy: Option<Matcher>,
        lookup: &Lookup,
    ) -> Result<Self, Error> {
        let guard = Arc::new(Guard::new(&config)?);
        let tls = tls::config(config.ca_file.as_deref())?;
        let proxy = proxy.map(Arc::new);
        let pool = |guarded| {
            let connector = Connector::new(&config, &guard, &tls, proxy.clone(), lookup, guarded);
            let pool = Pool::builder(TokioExecutor::new())
                // Above the default of 400 KiB: fewer turns for the same bytes.
                .http1_max_buf_size(BUFFER)
                .pool_timer(TokioTimer::new())
                .pool_idle_timeout(IDLE)
                .pool_max_idle_per_host(MAX_IDLE)
                .build(connector.clone());
            (pool, connector)
        };
        let (open, guarded) = (pool(false), pool(true));
        Ok(Self(Arc::new(Parts {
            open,
            guarded,
            guard,
            gates: Gates::default(),
            config,
        })))
    }

    /// Sends a request; any complete response head is `Ok`, whatever its status (429, 502-504
    /// and HTML error pages only after the attempts of a repeatable request are used up).
    ///
    /// # Errors
    ///
    /// See [`Error`]; [`Error::not_sent`] tells whether the server can have seen it.
    pub async fn send(&self, request: Request) -> Result<Response, Error> {
        self.drive(
            request,
            |response| std::future::ready(Ok(response)),
            |_| false,
        )
        .await
    }

    /// Sends a request and reads the whole answer, at most `limit` bytes. A repeatable request
    /// is tried again when the body is cut as well, and when a success brings a page for people
    /// (or nothing, where something was read): so servers that restart and portals answer.
    ///
    /// # Errors
    ///
    /// Those of [`send`](Self::send) and [`Response::bytes`].
    pub async fn call(&self, request: Request, limit: usize) -> Result<Answer, Error> {
        let read = request.method == Method::GET;
        self.drive(
            request,
            |response| response.answer(limit),
            |answer| answer.says_nothing(read),
        )
        .await
    }

    /// Tries a request until its answer is final and `finish` is done with it.
    async fn drive<T, F>(
        &self,
        request: Request,
        finish: impl Fn(Response) -> F,
        hollow: impl Fn(&T) -> bool,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let checked = self.check(request).await?;
        let span = debug_span!(
            spans::REQUEST,
            method = %checked.request.method,
            host = %checked.host,
            path = %checked.shown,
        );
        self.repeat(&checked, finish, hollow).instrument(span).await
    }

    async fn repeat<T, F>(
        &self,
        checked: &Checked,
        finish: impl Fn(Response) -> F,
        hollow: impl Fn(&T) -> bool,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let config = &self.0.config;
        let safe = checked.request.repeat == Repeat::Safe;
        let (mut attempt, mut throttled, mut patience) = (1, 0, config.throttle_patience);
        loop {
            self.0.gates.pass(&checked.origin).await;
            if let Some(calls) = &checked.request.pace {
                calls.take().await;
            }
            let started = Instant::now();
            let outcome = match self.attempt(checked).await {
                Ok(response) => {
                    let took = started.elapsed();
                    let verdict = judge(response.status, &response.headers, config.retry_after_cap);
                    debug!(
                        status = response.status.as_u16(),
                        attempt,
                        ms = took.as_millis(),
                        "answered"
                    );
                    match verdict {
                        Verdict::Throttled(asked) => {
                            throttled += 1;
                            let wait = asked.unwrap_or_else(|| {
                                backoff(throttled, config.backoff * 2, config.backoff_cap)
                            });
                            self.0.gates.hold(&checked.origin, wait);
                            let again = safe && checked.payload.can_be_sent();
                            if again && !patience.is_zero() && wait <= patience {
                                // What counts is waiting, not attempts; the least share keeps a
                                // server that asks for no wait from being asked for ever.
                                patience -= wait.max(config.throttle_patience / 100).min(patience);
                                discard(response).await;
                                continue;
                            }
                        }
                        Verdict::Disturbed
                            if safe
                                && attempt < config.attempts
                                && checked.payload.can_be_sent() =>
                        {
                            discard(response).await;
                            self.pause(&mut attempt).await;
                            continue;
                        }
                        Verdict::Disturbed | Verdict::Final => {}
                    }
                    finish(response).await
                }
                Err(error) => {
                    debug!(%error, attempt, ms = started.elapsed().as_millis(), "failed");
                    Err(error)
                }
            };
            match outcome {
                Err(error)
                    if error.is_passing()
                        && (safe || error.not_sent())
                        && attempt < config.attempts
                        && checked.payload.can_be_sent() =>
                {
                    self.pause(&mut attempt).await;
                }
                Ok(done)
                    if safe
                        && hollow(&done)
                        && attempt < config.attempts
                        && checked.payload.can_be_sent() =>
                {
                    debug!(attempt, "an answer without content");
                    self.pause(&mut attempt).await;
                }
                outcome => return outcome,
            }
        }
    }

    async fn pause(&self, attempt: &mut u32) {
        let config = &self.0.config;
        tokio::time::sleep(backoff(*attempt, config.backoff, config.backoff_cap)).await;
        *attempt += 1;
    }

    /// Refuses what must not be sent, before anything is.
    async fn check(&self, mut request: Request) -> Result<Checked, Error> {
        let config = &self.0.config;
        request.url.set_fragment(None);
        let origin = Origin::of(&request.url)?;
        self.0.guard.check_scheme(&origin, request.guarded)?;
        let uri = request.url.as_str().parse().map_err(|_| {
            Error::InvalidUrl(format!(
                "{} with characters that HTTP does not allow",
                origin.authority()
            ))
        })?;
        let per_minute = request
            .min_bytes_per_minute
            .unwrap_or(config.min_bytes_per_minute);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a positive number of bytes; a float casts to the nearest one"
        )]
        let min_bytes = (per_minute as f64 * config.progress_window.as_secs_f64() / 60.0) as u64;
        let shown = if request.signed || request.secret_path {
            format!("#{}", digest(&request.url))
        } else {
            request.url.path().to_owned()
        };
        let body = std::mem::replace(&mut request.body, Mutex::new(super::Body::Empty))
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        Ok(Checked {
            payload: Payload::new(body).await?,
            host: origin.authority().into(),
            limits: Limits {
                stall: config.stall_timeout,
                min_bytes,
                window: config.progress_window,
                retry_after_cap: config.retry_after_cap,
            },
            request,
            origin,
            uri,
            shown,
        })
    }

    async fn attempt(&self, checked: &Checked) -> Result<Response, Error> {
        let Checked {
            request,
            origin,
            host,
            limits,
            ..
        } = checked;
        let (pool, connector) = if request.guarded {
            &self.0.guarded
        } else {
            &self.0.open
        };
        let mut sent = ::http::Request::new(());
        *sent.method_mut() = request.method.clone();
        *sent.uri_mut() = checked.uri.clone();
        *sent.headers_mut() = self.headers(checked, connector);
        let mut gate = None;
        if request.expect_continue {
            sent.headers_mut()
                .insert(EXPECT, HeaderValue::from_static("100-continue"));
            gate = Some(Gate::on(&mut sent));
        }
        let body = checked.payload.open(host, *limits, gate);
        let meter = body.meter();
        let mut sent = sent.map(|()| body);
        let connection = capture_connection(&mut sent);
        let first_byte = request
            .first_byte
            .unwrap_or(self.0.config.first_byte_timeout);

        let answer = tokio::select! {
            biased;
            answer = pool.request(sent) => answer,
            late = meter.watch(connection, first_byte) => return Err(meter.fault().unwrap_or(late)),
        };
        // What our own body says is the cause; what hyper says then is only its consequence.
        let answer =
            answer.map_err(|error| meter.fault().unwrap_or_else(|| failed(host, &error)))?;
        if let Some(fault) = meter.fault() {
            return Err(fault);
        }
        let (head, body) = answer.into_parts();
        if head_size(&head.headers) > HEAD_LIMIT {
            return Err(Error::BodyTooLarge {
                host: host.to_string(),
                limit: HEAD_LIMIT,
            });
        }
        let abandon = meter.answered();
        if abandon.is_some() && head.status.is_success() {
            return Err(Error::AnsweredEarly {
                host: host.to_string(),
                status: head.status.as_u16(),
            });
        }
        if let Some(jar) = &request.cookies {
            jar.learn(origin, &head.headers);
        }
        if let Some(calls) = &request.pace
            && let Some(left) = remaining(&head.headers)
        {
            calls.note_remaining(left);
        }
        Ok(Response {
            status: head.status,
            headers: head.headers,
            body,
            host: Arc::clone(host),
            limits: *limits,
            abandon,
        })
    }

    fn headers(&self, checked: &Checked, connector: &Connector) -> HeaderMap {
        let Checked {
            request,
            origin,
            uri,
            ..
        } = checked;
        let mut headers = request.headers.clone();
        headers
            .entry(USER_AGENT)
            .or_insert(HeaderValue::from_static(AGENT));
        if let Some(cookie) = request.cookies.as_ref().and_then(|jar| jar.header(origin)) {
            let both = headers
                .get(COOKIE)
                .map(|own| [own.as_bytes(), b"; ", cookie.as_bytes()].concat())
                .and_then(|both| HeaderValue::from_bytes(&both).ok());
            let mut cookie = both.unwrap_or(cookie);
            cookie.set_sensitive(true);
            headers.insert(COOKIE, cookie);
        }
        if let Some(value) = connector.proxy_authorization(origin, uri) {
            headers.insert(PROXY_AUTHORIZATION, value);
        }
        headers
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("config", &self.0.config)
            .finish_non_exhaustive()
    }
}

/// Reads a short answer that nobody wants, so that its connection can be used again.
async fn discard(response: Response) {
    // Whether it could be read makes no difference: then the connection is simply closed.
    let _ = tokio::time::timeout(DRAIN_TIME, response.bytes(DRAIN_LIMIT)).await;
}

/// What the server says is left of its rate limit.
fn remaining(headers: &HeaderMap) -> Option<u32> {
    headers
        .get("ratelimit-remaining")?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()
}

fn head_size(headers: &HeaderMap) -> u64 {
    headers
        .iter()
        .map(|(name, value)| (name.as_str().len() + value.len() + 4) as u64)
        .sum()
}

/// A failed exchange, from hyper's point of view.
fn failed(host: &Arc<str>, error: &hyper_util::client::legacy::Error) -> Error {
    if let Some(error) = own(error) {
        return error;
    }
    if error.is_connect() {
        return Error::Connect {
            host: host.to_string(),
            cause: chain(error),
        };
    }
    let source = std::error::Error::source(error);
    match source.and_then(|source| source.downcast_ref::<hyper::Error>()) {
        // hyper gives a request back that was queued on a connection which closed before it.
        Some(error) if error.is_canceled() => Error::Unsent {
            host: host.to_string(),
        },
        Some(error) => broken(host, error),
        None => Error::Broken {
            host: host.to_string(),
            cause: chain(error),
        },
    }
}

/// A connection that broke, or spoke something else than HTTP.
pub(super) fn broken(host: &str, error: &hyper::Error) -> Error {
    let host = host.to_owned();
    if error.is_parse_too_large() {
        return Error::BodyTooLarge {
            host,
            limit: HEAD_LIMIT,
        };
    }
    let cause = if error.is_incomplete_message() {
        "the connection was closed before the answer".to_owned()
    } else if error.is_parse() {
        format!("the answer is not HTTP ({})", chain(error))
    } else {
        chain(error)
    };
    Error::Broken { host, cause }
}
