//! Who is talked to: certificates, guarded addresses, proxies.

use std::collections::HashMap;
use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ::http::Method;
use hyper_util::client::proxy::matcher::Matcher;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::super::connect::{Lookup, system_lookup};
use super::super::{Client, Config, Error, Request, SignedUrl};
use super::server::{Server, Step, whole};
use super::{client, get, post, quick};
use crate::types::{FailureClass, Reason};

/// Names that resolve to these addresses; a port of 0 takes the URL's.
fn names(table: &[(&str, &[IpAddr])]) -> Lookup {
    let table: HashMap<String, Vec<IpAddr>> = table
        .iter()
        .map(|(name, addresses)| ((*name).to_owned(), addresses.to_vec()))
        .collect();
    Arc::new(move |name| {
        let found = table.get(&name).cloned();
        Box::pin(async move {
            let found = found.ok_or_else(|| std::io::Error::other("no such name"))?;
            Ok(found.into_iter().map(|ip| SocketAddr::new(ip, 0)).collect())
        })
    })
}

fn loopback() -> IpAddr {
    IpAddr::from([127, 0, 0, 1])
}

struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    file: tempfile::NamedTempFile,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        // Two authorities of one name differ by key alone, which is another error.
        let name = format!("authority {}", uuid::Uuid::new_v4());
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(issuer.pem().as_bytes()).unwrap();
        Self { issuer, file }
    }

    /// A server's side for `name`, valid until `end`.
    fn server(&self, name: &str, end: SystemTime) -> Arc<rustls::ServerConfig> {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let day = Duration::from_secs(86_400);
        params.not_before = (SystemTime::now() - 400 * day).into();
        params.not_after = end.into();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let config =
            rustls::ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_no_client_auth()
                .with_single_cert(
                    vec![certificate.der().clone()],
                    PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
                )
                .unwrap();
        Arc::new(config)
    }

    fn config(&self) -> Config {
        Config {
            ca_file: Some(self.file.path().to_owned()),
            ..quick()
        }
    }
}

fn tomorrow() -> SystemTime {
    SystemTime::now() + Duration::from_secs(86_400)
}

async fn over_tls(config: Config, tls: Arc<rustls::ServerConfig>) -> (Server, Result<(), Error>) {
    let server = Server::with_tls(vec![whole("200 OK", "", "hello")], tls).await;
    let names = names(&[("files.test", &[loopback()])]);
    let client = Client::with(config, None, &names).unwrap();
    let outcome = match client
        .send(get(&format!("https://files.test:{}/", server.port)))
        .await
    {
        Ok(response) => response
            .bytes(10)
            .await
            .map(|body| assert_eq!(body, "hello")),
        Err(error) => Err(error),
    };
    (server, outcome)
}

#[tokio::test]
async fn a_private_authority_is_trusted_when_its_file_is_given() {
    let authority = Authority::new();
    let (_, outcome) = over_tls(
        authority.config(),
        authority.server("files.test", tomorrow()),
    )
    .await;
    outcome.unwrap();
}

#[tokio::test]
async fn bad_certificates_are_permanent_clear_and_no_byte_is_sent() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let yesterday = SystemTime::now() - Duration::from_secs(86_400);
    for (tls, words) in [
        (authority.server("files.test", yesterday), "expired"),
        (authority.server("other.test", tomorrow()), "another name"),
        (stranger.server("files.test", tomorrow()), "network.ca_file"),
    ] {
        let (server, outcome) = over_tls(authority.config(), tls).await;
        let error = outcome.unwrap_err();
        assert!(matches!(error, Error::Tls { .. }), "{error}");
        assert!(error.to_string().contains(words), "{error}");
        assert!(error.not_sent() && !error.is_passing());
        assert_eq!(server.accepted(), 1, "it was tried again");
        assert!(server.seen().is_empty());
        assert_eq!(error.into_failure().class, FailureClass::StopEverything);
    }
}

#[tokio::test]
async fn a_server_without_tls_or_with_an_old_one_is_not_talked_to() {
    let plain = Server::start(vec![vec![Step::Write(
        b"HTTP/1.1 400 Bad\r\n\r\n".to_vec(),
    )]])
    .await;
    let names = names(&[("files.test", &[loopback()])]);
    let client = Client::with(quick(), None, &names).unwrap();
    let error = client
        .send(get(&format!("https://files.test:{}/", plain.port)))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Tls { .. }), "{error}");
    assert!(plain.seen().is_empty());
}

#[tokio::test]
async fn a_peer_that_closes_without_farewell_is_fine_once_the_body_is_complete_and_else_a_cut() {
    let authority = Authority::new();
    let reply = |len| format!("HTTP/1.1 200 OK\r\nContent-Length: {len}\r\n\r\nhello");
    for (len, complete) in [(5, true), (6, false)] {
        let script = vec![Step::Read, Step::Write(reply(len).into()), Step::Reset];
        let tls = authority.server("files.test", tomorrow());
        let server = Server::with_tls(vec![script], tls).await;
        let names = names(&[("files.test", &[loopback()])]);
        let client = Client::with(authority.config(), None, &names).unwrap();
        let request = post(&format!("https://files.test:{}/", server.port));
        let outcome = match client.send(request).await {
            Ok(response) => response.bytes(10).await,
            Err(error) => Err(error),
        };
        // A reset may also overtake the bytes before it; then both are cuts.
        assert!(complete || outcome.is_err(), "{outcome:?}");
    }
}

#[test]
fn an_unreadable_authority_is_a_settings_error() {
    let mut empty = tempfile::NamedTempFile::new().unwrap();
    empty.write_all(b"no certificate here").unwrap();
    for path in [empty.path(), std::path::Path::new("/nonexistent/ca.pem")] {
        let config = Config {
            ca_file: Some(path.to_owned()),
            ..quick()
        };
        let error = Client::with(config, None, &system_lookup()).err().unwrap();
        assert!(matches!(error, Error::Config(_)), "{error}");
        assert!(
            error.to_string().contains(&*path.to_string_lossy()),
            "{error}"
        );
    }
}

#[tokio::test]
async fn guarded_requests_are_refused_before_a_connection_is_opened() {
    let server = Server::start(vec![]).await;
    let strict = Config {
        plain_http: vec![],
        ..quick()
    };
    let client = client(strict);
    for host in [
        "127.0.0.1",
        "0x7f.1",
        "2130706433",
        "0.0.0.0",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "localhost",
        "169.254.169.254",
    ] {
        let text = format!("https://{host}:{}/key?X-Amz-Signature=canary", server.port);
        let signed = SignedUrl::parse(&text).unwrap();
        let error = client
            .send(Request::signed(Method::GET, &signed))
            .await
            .unwrap_err();
        assert!(
            matches!(error, Error::RefusedAddress { .. }),
            "{host}: {error}"
        );
        assert!(!error.to_string().contains("canary"), "{error}");
        let failure = error.into_failure();
        assert_eq!(
            (failure.class, failure.reason),
            (FailureClass::ItemIsWrong, Reason::NotDone)
        );

        let plain = SignedUrl::parse(&text.replace("https", "http")).unwrap();
        let error = client
            .send(Request::signed(Method::GET, &plain))
            .await
            .unwrap_err();
        assert!(
            matches!(error, Error::PlainHttp { guarded: true, .. }),
            "{host}: {error}"
        );
    }
    assert_eq!(server.accepted(), 0);
}

#[tokio::test]
async fn a_name_that_turns_to_a_private_address_is_refused_and_a_mixed_one_uses_the_public_part() {
    let server = Server::start(vec![]).await;
    let names = names(&[
        ("rebind.test", &[loopback()]),
        ("metadata.test", &[IpAddr::from([169, 254, 169, 254])]),
    ]);
    // Even with loopback open to those who say so: this name does not say so.
    let client = Client::with(quick(), None, &names).unwrap();
    for host in ["rebind.test", "metadata.test"] {
        let request = get(&format!("https://{host}:{}/", server.port)).guarded();
        let error = client.send(request).await.unwrap_err();
        assert!(matches!(error, Error::RefusedAddress { .. }), "{error}");
    }
    assert_eq!(server.accepted(), 0);
}

#[tokio::test]
async fn a_connection_opened_for_a_typed_address_is_no_way_round_the_guard() {
    let authority = Authority::new();
    let tls = authority.server("files.test", tomorrow());
    let scripts = vec![whole("200 OK", "", ""), whole("200 OK", "", "")];
    let server = Server::with_tls(scripts, tls).await;
    let names = names(&[("files.test", &[loopback()])]);
    let url = format!("https://files.test:{}/", server.port);

    let client = Client::with(authority.config(), None, &names).unwrap();
    assert!(client.send(get(&url)).await.is_ok());
    let error = client.send(get(&url).guarded()).await.unwrap_err();
    assert!(matches!(error, Error::RefusedAddress { .. }), "{error}");

    // Allowed by range, or by name.
    for config in [
        Config {
            allow: vec!["127.0.0.0/8".to_owned()],
            ..authority.config()
        },
        Config {
            trusted_hosts: vec!["files.test".to_owned()],
            ..authority.config()
        },
    ] {
        let tls = authority.server("files.test", tomorrow());
        let server = Server::with_tls(vec![whole("200 OK", "", "")], tls).await;
        let client = Client::with(config, None, &names).unwrap();
        let request = get(&format!("https://files.test:{}/", server.port)).guarded();
        assert!(client.send(request).await.is_ok());
    }
}

#[tokio::test]
async fn signed_addresses_of_a_loopback_simulator_work_when_loopback_is_listed() {
    let server = Server::start(vec![whole("200 OK", "", "bytes")]).await;
    let signed = SignedUrl::parse(&server.url("/key?sig=1")).unwrap();
    let response = client(quick())
        .send(Request::signed(Method::GET, &signed))
        .await
        .unwrap();
    assert_eq!(response.bytes(10).await.unwrap(), "bytes");
}

/// A proxy that keeps each CONNECT or absolute request's head and, for CONNECT, joins the two
/// sides.
async fn proxy(target: u16, verdict: &'static str) -> (u16, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let task = tokio::spawn(async move {
        let (mut inside, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(inside.read_u8().await.unwrap());
        }
        inside.write_all(verdict.as_bytes()).await.unwrap();
        if verdict.contains(" 200 Established") {
            let mut outside = TcpStream::connect(("127.0.0.1", target)).await.unwrap();
            // Ends when either side does; which one is of no interest.
            let _ = tokio::io::copy_bidirectional(&mut inside, &mut outside).await;
        }
        String::from_utf8(head).unwrap()
    });
    (port, task)
}

fn through(config: Config, port: u16, names: &Lookup) -> Client {
    let address = format!("http://user:canary@127.0.0.1:{port}");
    let matcher = Matcher::builder()
        .http(address.clone())
        .https(address)
        .build();
    Client::with(config, Some(matcher), names).unwrap()
}

#[tokio::test]
async fn https_goes_through_the_proxys_tunnel_with_its_credentials() {
    let authority = Authority::new();
    let tls = authority.server("files.test", tomorrow());
    let server =
        Server::with_tls(vec![whole("200 OK", "Connection: close\r\n", "hello")], tls).await;
    let (port, task) = proxy(server.port, "HTTP/1.1 200 Established\r\n\r\n").await;
    // The name is known to the proxy alone.
    let client = through(authority.config(), port, &names(&[]));
    let request = get(&format!("https://files.test:{}/", server.port)).guarded();
    let body = client.send(request).await.unwrap().bytes(10).await.unwrap();
    assert_eq!(body, "hello");
    drop(client);
    let head = task.await.unwrap();
    assert!(
        head.starts_with(&format!("CONNECT files.test:{} HTTP/1.1", server.port)),
        "{head}"
    );
    assert!(
        head.contains("Proxy-Authorization: Basic dXNlcjpjYW5hcnk="),
        "{head}"
    );
    assert!(
        !server.seen()[0]
            .head
            .to_lowercase()
            .contains("proxy-authorization")
    );
}

#[tokio::test]
async fn plain_requests_name_the_whole_address_to_the_proxy() {
    let reply = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let (port, task) = proxy(0, reply).await;
    let config = Config {
        plain_http: vec!["plain.test".to_owned()],
        ..quick()
    };
    let client = through(config, port, &names(&[]));
    let response = client.send(get("http://plain.test/a?b")).await.unwrap();
    assert_eq!(response.bytes(10).await.unwrap(), "ok");
    let head = task.await.unwrap().to_lowercase();
    assert!(
        head.starts_with("get http://plain.test/a?b http/1.1"),
        "{head}"
    );
    assert!(head.contains("proxy-authorization: basic "), "{head}");
}

#[tokio::test]
async fn a_proxy_that_wants_other_credentials_is_named_without_them_and_not_asked_again() {
    let (port, _task) = proxy(0, "HTTP/1.1 407 Who Are You\r\n\r\n").await;
    let client = through(quick(), port, &names(&[]));
    let error = client.send(get("https://files.test/")).await.unwrap_err();
    assert!(
        matches!(
            error,
            Error::Proxy {
                permanent: true,
                ..
            }
        ),
        "{error}"
    );
    assert!(error.not_sent());
    assert!(!error.to_string().contains("canary"), "{error}");
    assert!(!format!("{client:?}").contains("canary"));
}

#[tokio::test]
async fn the_proxy_is_no_way_round_the_guard_and_loopback_goes_direct() {
    let server = Server::start(vec![whole("200 OK", "", "")]).await;
    let names = names(&[("inside.test", &[IpAddr::from([10, 0, 0, 1])])]);
    // Nothing listens there: whatever asked the proxy would fail to connect.
    let client = through(quick(), 1, &names);
    for host in ["inside.test", "10.0.0.1", "[fd00::1]"] {
        let error = client
            .send(get(&format!("https://{host}/")).guarded())
            .await
            .unwrap_err();
        assert!(matches!(error, Error::RefusedAddress { .. }), "{error}");
    }
    assert!(client.send(get(&server.url("/"))).await.is_ok());
}
