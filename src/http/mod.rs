//! One HTTP client for both systems and the storage behind them.
//!
//! Only this module dials out. It keeps connections alive, limits every wait (connect, first
//! byte, stall, minimum progress), streams bodies in both directions without copying, retries by
//! failure class where a repeat is safe, follows no redirects, binds credentials to their origin
//! and never lets a secret or signed address reach a log or error.

use std::sync::Arc;
use std::time::Duration;

use ::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use bytes::Bytes;
use futures::stream::BoxStream;
use secrecy::SecretString;
use url::Url;

use crate::types::Failure;

/// How the client behaves; every default has its reason beside it.
#[derive(Clone, Debug)]
pub struct Config {
    /// Time to connect, TLS included.
    pub connect_timeout: Duration,
    /// Time to the response head after the request was sent, unless a request says otherwise.
    pub first_byte_timeout: Duration,
    /// Longest silence while a body moves, in either direction.
    pub stall_timeout: Duration,
    /// Fewest bytes per minute while a body moves, or the peer counts as a slow-loris.
    pub min_bytes_per_minute: u64,
    /// A private CA bundle (PEM) beside the platform's roots.
    pub ca_file: Option<std::path::PathBuf>,
    /// Whether `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` are honoured.
    pub proxy_from_environment: bool,
    /// Hosts that may be reached without TLS.
    pub plain_http: Vec<String>,
    /// Private ranges that guarded requests may reach, as CIDRs.
    pub allow: Vec<String>,
    /// Attempts for requests that may be repeated.
    pub attempts: u32,
}

impl Default for Config {
    fn default() -> Self {
        todo!()
    }
}

/// Scheme, host and port that a credential belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    scheme: String,
    host: String,
    port: u16,
}

impl Origin {
    /// The origin of an absolute http(s) URL.
    pub fn of(_url: &Url) -> Result<Self, Error> {
        todo!()
    }
}

/// Secret headers that are only ever sent to one origin.
#[derive(Clone, Debug)]
pub struct Credential {
    origin: Origin,
    headers: Vec<(HeaderName, SecretString)>,
}

impl Credential {
    /// Headers for `origin`.
    pub fn new(origin: Origin, headers: Vec<(HeaderName, SecretString)>) -> Self {
        Self { origin, headers }
    }
}

/// An address whose query is a secret. `Debug` and `Display` show scheme, host and a digest.
#[derive(Clone)]
pub struct SignedUrl(Url);

impl SignedUrl {
    /// Reads a signed address; the error does not repeat it.
    pub fn parse(_text: &str) -> Result<Self, Error> {
        todo!()
    }
}

/// What may happen to a request that got no clear answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// Idempotent: tried again on connect errors, time-outs, 429, 502-504 and HTML pages.
    Safe,
    /// Tried again only when no byte of it can have reached the server (connect errors).
    IfNotSent,
}

/// A request body.
pub enum Body {
    /// No body.
    Empty,
    /// In memory, in order; can be sent again.
    Chunks(Vec<Bytes>),
    /// Exactly `len` bytes that pass once. An error inside ends the request incomplete.
    Stream {
        /// Content-Length.
        len: u64,
        /// The bytes.
        stream: BoxStream<'static, Result<Bytes, Failure>>,
    },
}

/// Cookies of one upload session, so that a balancer keeps it on one frontend.
#[derive(Clone, Debug, Default)]
pub struct CookieJar {}

/// A request under construction.
pub struct Request {
    method: Method,
    url: Url,
    signed: bool,
    headers: HeaderMap,
    body: Body,
    repeat: Repeat,
    first_byte: Option<Duration>,
    total: Option<Duration>,
    cookies: Option<CookieJar>,
}

impl Request {
    /// A request; repeats are [`Repeat::Safe`] for GET and HEAD, otherwise [`Repeat::IfNotSent`].
    pub fn new(_method: Method, _url: Url) -> Self {
        todo!()
    }

    /// A request to a signed address: carries no credential, and its host is guarded against
    /// private and metadata addresses.
    pub fn signed(_method: Method, _url: &SignedUrl) -> Self {
        todo!()
    }

    /// Adds a header.
    #[must_use]
    pub fn header(self, _name: HeaderName, _value: HeaderValue) -> Self {
        todo!()
    }

    /// Adds a credential's headers.
    ///
    /// # Errors
    ///
    /// [`Error::CredentialOrigin`] when the request goes to another origin, or is signed.
    pub fn credential(self, _credential: &Credential) -> Result<Self, Error> {
        todo!()
    }

    /// Sets the body.
    #[must_use]
    pub fn body(self, _body: Body) -> Self {
        todo!()
    }

    /// Sets a form-urlencoded body and its content type.
    #[must_use]
    pub fn form(self, _fields: &[(&str, &str)]) -> Self {
        todo!()
    }

    /// Sets a JSON body and its content type.
    #[must_use]
    pub fn json(self, _value: &serde_json::Value) -> Self {
        todo!()
    }

    /// Says whether the request may be repeated.
    #[must_use]
    pub fn repeat(self, _repeat: Repeat) -> Self {
        todo!()
    }

    /// Time to the response head, when it differs from the configured one (long server work).
    #[must_use]
    pub fn first_byte(self, _limit: Duration) -> Self {
        todo!()
    }

    /// Uses and fills a cookie jar.
    #[must_use]
    pub fn cookies(self, _jar: &CookieJar) -> Self {
        todo!()
    }
}

/// A response whose body has not been read.
pub struct Response {}

impl Response {
    /// The status.
    pub fn status(&self) -> StatusCode {
        todo!()
    }

    /// The headers.
    pub fn headers(&self) -> &HeaderMap {
        todo!()
    }

    /// Reads the body whole, at most `limit` bytes.
    pub async fn bytes(self, _limit: usize) -> Result<Bytes, Error> {
        todo!()
    }

    /// The body as it arrives; ends in an error on a stall, a trickle, a cut or surplus bytes.
    pub fn stream(self) -> BoxStream<'static, Result<Bytes, Error>> {
        todo!()
    }
}

/// Why an exchange failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Placeholder.
    #[error("placeholder")]
    Placeholder,
}

impl Error {
    /// Whether no byte of the request can have taken effect at the server.
    pub fn not_sent(&self) -> bool {
        todo!()
    }

    /// As the engine sees it.
    pub fn into_failure(self) -> Failure {
        todo!()
    }
}

/// The client. Cheap to clone; clones share connections.
#[derive(Clone)]
pub struct Client(Arc<()>);

impl Client {
    /// Builds a client.
    pub fn new(_config: Config) -> Result<Self, Error> {
        todo!()
    }

    /// Sends a request; any complete response head is `Ok`, whatever its status (429, 502-504
    /// only after the attempts of a repeatable request are used up).
    pub async fn send(&self, _request: Request) -> Result<Response, Error> {
        todo!()
    }
}
