//! From an address to a connection: names, guard, TCP or proxy, TLS.
//!
//! Our own connector, because rustls reads 4 KiB at a time and holds 64 KiB of output unless
//! told otherwise: a 256 KiB buffer on either side reads 1.2 times and sends 1.4 times as fast.

use std::error::Error as StdError;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use ::http::{HeaderValue, Uri};
use futures::future::BoxFuture;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::BufReader;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tower_service::Service;
use url::Url;

use super::guard::{Guard, is_loopback, literal};
use super::{Config, Error, Origin, TLS_BUFFER, tls};

/// Idle time before TCP asks whether the peer is still there.
const KEEPALIVE: Duration = Duration::from_secs(45);
/// How long a name is looked up that the proxy will resolve anyway.
const PROXIED_LOOKUP: Duration = Duration::from_secs(2);

/// Turns a name into addresses.
pub(super) type Lookup =
    Arc<dyn Fn(String) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> + Send + Sync>;

/// The system's own resolver.
pub(super) fn system_lookup() -> Lookup {
    Arc::new(|name| {
        Box::pin(async move { Ok(tokio::net::lookup_host((name, 0)).await?.collect()) })
    })
}

/// A resolver that lets only judged addresses through, so that a name cannot change its mind
/// between check and connect.
#[derive(Clone)]
pub(super) struct Resolver {
    lookup: Lookup,
    guard: Option<Arc<Guard>>,
}

impl Resolver {
    async fn resolve(self, host: String) -> Result<Vec<SocketAddr>, Error> {
        let fail = |cause: String| Error::Dns {
            host: host.clone(),
            cause,
        };
        let mut found = (self.lookup)(host.clone())
            .await
            .map_err(|error| fail(error.to_string()))?;
        let mut refused = None;
        if let Some(guard) = &self.guard {
            found.retain(|address| {
                let verdict = guard.check_address(&host, address.ip());
                let passes = verdict.is_ok();
                refused = refused.take().or(verdict.err());
                passes
            });
        }
        match refused {
            Some(refused) if found.is_empty() => Err(refused),
            None if found.is_empty() => Err(fail("the name exists without one".to_owned())),
            _ => Ok(found),
        }
    }
}

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = Error;
    type Future = BoxFuture<'static, Result<Self::Response, Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let resolving = self.clone().resolve(name.as_str().to_owned());
        Box::pin(async move { Ok(resolving.await?.into_iter()) })
    }
}

/// Opens connections for hyper's pool.
#[derive(Clone)]
pub(super) struct Connector(Arc<Parts>);

struct Parts {
    /// To addresses that are trusted, the proxy's among them.
    open: HttpConnector<Resolver>,
    /// To addresses that are judged, when this connector guards.
    guarded: Option<(HttpConnector<Resolver>, Resolver)>,
    guard: Arc<Guard>,
    tls: Arc<ClientConfig>,
    proxy: Option<Arc<Matcher>>,
    limit: Duration,
    congestion_control: Option<String>,
}

impl Connector {
    /// A connector; `guarded` for addresses that an API returned.
    pub(super) fn new(
        config: &Config,
        guard: &Arc<Guard>,
        tls: &Arc<ClientConfig>,
        proxy: Option<Arc<Matcher>>,
        lookup: &Lookup,
        guarded: bool,
    ) -> Self {
        let tcp = |guard| {
            let resolver = Resolver {
                lookup: Arc::clone(lookup),
                guard,
            };
            let mut tcp = HttpConnector::new_with_resolver(resolver.clone());
            tcp.enforce_http(false);
            tcp.set_nodelay(true);
            tcp.set_keepalive(Some(KEEPALIVE));
            // The kernel's own stall limit ends what no task waits for any more: a peer that
            // answered early and reads no further.
            #[cfg(target_os = "linux")]
            tcp.set_tcp_user_timeout(Some(config.stall_timeout * 2));
            // Several addresses share the limit, so that a dead first one leaves time for others.
            tcp.set_connect_timeout(Some(config.connect_timeout));
            (tcp, resolver)
        };
        Self(Arc::new(Parts {
            open: tcp(None).0,
            guarded: guarded.then(|| tcp(Some(Arc::clone(guard)))),
            guard: Arc::clone(guard),
            tls: Arc::clone(tls),
            proxy,
            limit: config.connect_timeout,
            congestion_control: config.congestion_control.clone(),
        }))
    }

    /// What a plain request through a proxy must carry to be let through.
    pub(super) fn proxy_authorization(&self, origin: &Origin, uri: &Uri) -> Option<HeaderValue> {
        if origin.scheme() == "https" {
            return None;
        }
        let mut value = self.0.proxy_for(origin, uri)?.basic_auth()?.clone();
        value.set_sensitive(true);
        Some(value)
    }
}

impl Parts {
    /// The proxy for an address. Loopback is always reached directly.
    fn proxy_for(&self, origin: &Origin, uri: &Uri) -> Option<Intercept> {
        if is_loopback(origin.host()) {
            return None;
        }
        self.proxy.as_ref()?.intercept(uri)
    }

    async fn connect(&self, uri: Uri) -> Result<Conn, Error> {
        let url =
            Url::parse(&uri.to_string()).map_err(|error| Error::InvalidUrl(error.to_string()))?;
        let origin = Origin::of(&url)?;
        let guarded = self
            .guarded
            .as_ref()
            .filter(|_| !self.guard.trusts(&origin));
        if guarded.is_some() {
            self.guard.check_literal(origin.host())?;
        }
        let (tcp, proxied) = match self.proxy_for(&origin, &uri) {
            Some(proxy) => {
                if let Some((_, resolver)) = guarded {
                    judge_name(resolver, &origin).await?;
                }
                self.through(proxy, &origin, uri).await?
            }
            None => {
                let mut tcp = guarded.map_or(&self.open, |(tcp, _)| tcp).clone();
                let stream = tcp.call(uri).await;
                let stream = stream.map_err(|error| tcp_error(&origin.authority(), &error))?;
                (stream.into_inner(), false)
            }
        };
        #[cfg(target_os = "linux")]
        if let Some(name) = &self.congestion_control
            && let Err(error) = rustix::net::sockopt::set_tcp_congestion(&tcp, name)
        {
            // Slower than wished for is no reason to move nothing.
            tracing::warn!(%error, name, "this system does not have that congestion control; `network.congestion_control` has no effect");
        }
        if origin.scheme() == "https" {
            self.handshake(tcp, &origin).await
        } else {
            Ok(Conn::Plain(TokioIo::new(tcp), proxied))
        }
    }

    /// A stream to `origin` through a proxy, and whether requests on it name the whole address.
    async fn through(
        &self,
        proxy: Intercept,
        origin: &Origin,
        uri: Uri,
    ) -> Result<(TcpStream, bool), Error> {
        let name = proxy.uri().authority().map_or("", |name| name.as_str());
        // The settings may have a user name and password here; those stay unsaid.
        let name = name.rsplit('@').next().unwrap_or_default().to_owned();
        let fail = |cause: String, permanent: bool| Error::Proxy {
            proxy: name.clone(),
            cause,
            permanent,
        };
        if proxy.uri().scheme_str() != Some("http") {
            return Err(fail("only http:// proxies are supported".to_owned(), true));
        }
        let mut tcp = self.open.clone();
        if origin.scheme() != "https" {
            let stream = tcp.call(proxy.uri().clone()).await;
            let stream = stream.map_err(|error| fail(chain(&error), false))?;
            return Ok((stream.into_inner(), true));
        }
        let mut tunnel = Tunnel::new(proxy.uri().clone(), tcp);
        if let Some(auth) = proxy.basic_auth() {
            tunnel = tunnel.with_auth(auth.clone());
        }
        let stream = tunnel.call(uri).await.map_err(|error| {
            // hyper-util keeps the error's type to itself; its text is all there is.
            let cause = chain(&error);
            let permanent = cause.contains("proxy authorization required");
            fail(in_words(&cause), permanent)
        })?;
        Ok((stream.into_inner(), false))
    }

    async fn handshake(&self, tcp: TcpStream, origin: &Origin) -> Result<Conn, Error> {
        let host = origin.host().trim_matches(['[', ']']).to_owned();
        let name = ServerName::try_from(host).map_err(|_| Error::Tls {
            host: origin.authority(),
            cause: "no certificate can be for that name".to_owned(),
        })?;
        let reader = BufReader::with_capacity(TLS_BUFFER, tcp);
        let stream = TlsConnector::from(Arc::clone(&self.tls))
            .connect_with(name, reader, |tls| tls.set_buffer_limit(Some(TLS_BUFFER)))
            .await
            .map_err(|error| match tls::explain(&error) {
                Some(cause) => Error::Tls {
                    host: origin.authority(),
                    cause,
                },
                None => Error::Connect {
                    host: origin.authority(),
                    cause: format!("during the TLS handshake: {error}"),
                },
            })?;
        Ok(Conn::Tls(Box::new(TokioIo::new(stream))))
    }
}

/// What a proxy's refusal means, and what to do.
fn in_words(cause: &str) -> String {
    let advice = if cause.contains("proxy authorization required") {
        "it wants another name and password than it was given; put them into the proxy's variable, \
         before its host, with a colon between and an @ behind"
    } else if cause.contains("unsuccessful") {
        "it refuses to connect to that host; have the host allowed there, or name it in NO_PROXY \
         when it can be reached directly"
    } else if cause.contains("failed to create underlying connection") {
        "it cannot be reached; check HTTPS_PROXY and HTTP_PROXY, or set network.proxy = \"none\""
    } else {
        return cause.to_owned();
    };
    format!("{advice} ({cause})")
}

/// Judges what a name resolves to here, though the proxy will resolve it for itself. A name that
/// only the proxy knows passes.
async fn judge_name(resolver: &Resolver, origin: &Origin) -> Result<(), Error> {
    if literal(origin.host()).is_some() {
        return Ok(());
    }
    let resolving = resolver.clone().resolve(origin.host().to_owned());
    match tokio::time::timeout(PROXIED_LOOKUP, resolving).await {
        Ok(Err(refused @ Error::RefusedAddress { .. })) => Err(refused),
        _ => Ok(()),
    }
}

/// Finds our own error inside the connector's, or says what the system said.
fn tcp_error(host: &str, error: &(dyn StdError + 'static)) -> Error {
    own(error).unwrap_or_else(|| Error::Connect {
        host: host.to_owned(),
        cause: system_words(error).unwrap_or_else(|| chain(error)),
    })
}

/// What the operating system's refusal means, where people ask what it means.
fn system_words(error: &(dyn StdError + 'static)) -> Option<String> {
    let system = causes(error).find_map(|cause| cause.downcast_ref::<io::Error>())?;
    let meaning = match system.kind() {
        io::ErrorKind::ConnectionRefused => {
            "nothing listens at that port; is the address right, and the service up?"
        }
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => {
            "there is no way to it from this machine; look at the network, VPN and routes"
        }
        io::ErrorKind::TimedOut => {
            "nobody answers; a firewall may swallow the connection, or the service is down"
        }
        _ => return None,
    };
    Some(format!("{meaning} ({system})"))
}

/// Our own error, when it is the cause of another.
pub(super) fn own(error: &(dyn StdError + 'static)) -> Option<Error> {
    causes(error).find_map(|cause| cause.downcast_ref::<Error>().cloned())
}

/// An error and its causes in one line.
pub(super) fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = String::new();
    for cause in causes(error) {
        let cause = cause.to_string();
        if !text.contains(&cause) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&cause);
        }
    }
    text
}

fn causes<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let error = next?;
        next = error.source();
        Some(error)
    })
}

impl Service<Uri> for Connector {
    type Response = Conn;
    type Error = Error;
    type Future = BoxFuture<'static, Result<Conn, Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let parts = Arc::clone(&self.0);
        Box::pin(async move {
            let host = uri.authority().map(ToString::to_string).unwrap_or_default();
            let limit = parts.limit;
            tokio::time::timeout(limit, parts.connect(uri))
                .await
                .unwrap_or(Err(Error::ConnectTimeout { host, limit }))
        })
    }
}

/// An open connection.
pub(super) enum Conn {
    /// Without TLS; the flag says that a proxy wants to see whole addresses.
    Plain(TokioIo<TcpStream>, bool),
    /// With TLS, straight or through a tunnel.
    Tls(Box<TokioIo<TlsStream<BufReader<TcpStream>>>>),
}

impl Connection for Conn {
    fn connected(&self) -> Connected {
        match self {
            Self::Plain(_, proxied) => Connected::new().proxy(*proxied),
            Self::Tls(_) => Connected::new(),
        }
    }
}

macro_rules! delegate {
    ($self:ident, $io:ident => $call:expr) => {
        match $self.get_mut() {
            Conn::Plain($io, _) => {
                let $io = Pin::new($io);
                $call
            }
            Conn::Tls($io) => {
                let $io = Pin::new(&mut **$io);
                $call
            }
        }
    };
}

impl Read for Conn {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        delegate!(self, io => io.poll_read(cx, buf))
    }
}

impl Write for Conn {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        delegate!(self, io => io.poll_write(cx, buf))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        delegate!(self, io => io.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        delegate!(self, io => io.poll_shutdown(cx))
    }

    // Without these two, vectored writes become single ones: 0.77 of the rate.
    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(io, _) => io.is_write_vectored(),
            Self::Tls(io) => io.is_write_vectored(),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        delegate!(self, io => io.poll_write_vectored(cx, bufs))
    }
}
