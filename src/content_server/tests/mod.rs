//! The client against a scripted server on a real socket.
//!
//! The server reads each request whole, writes it down and answers what the test's closure says;
//! it knows nothing of Content Server but the sign-in.

mod commit;
mod cross_references;
mod dress;
mod reading;
mod records;
mod renditions;
mod retention;
mod session;
mod shapes;
mod shortcuts;
mod upload;
mod workflow;
mod workspaces;

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use ::http::{HeaderMap, Method, Response, StatusCode};
use bytes::Bytes;
use futures::stream;
use http_body_util::{BodyExt, Full};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::{Auth, Client, Config};
use crate::http;
use crate::types::Failure;

/// One request as it arrived.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) method: Method,
    /// Below `/otcs/cs.exe/api/`, still encoded.
    pub(super) path: String,
    pub(super) query: HashMap<String, String>,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Seen {
    /// Method and path, as tests match on them.
    pub(super) fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    pub(super) fn ticket(&self) -> &str {
        self.header("otcsticket")
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    /// The form-urlencoded fields, in order.
    pub(super) fn fields(&self) -> Vec<(String, String)> {
        assert_eq!(
            self.header("content-type"),
            "application/x-www-form-urlencoded"
        );
        url::form_urlencoded::parse(&self.body)
            .into_owned()
            .collect()
    }

    /// The JSON in the form field `body`.
    pub(super) fn parameters(&self) -> Value {
        let fields = self.fields();
        assert_eq!(fields.len(), 1, "{fields:?}");
        assert_eq!(fields[0].0, "body");
        serde_json::from_str(&fields[0].1).unwrap()
    }

    /// The form parts as a stranger reads them: name, file name, type, content.
    pub(super) async fn parts(&self) -> Vec<(String, Option<String>, Option<String>, Bytes)> {
        assert_eq!(
            self.header("content-length").parse::<usize>().unwrap(),
            self.body.len()
        );
        let boundary = multer::parse_boundary(self.header("content-type")).unwrap();
        let body = stream::iter([Ok::<_, Infallible>(self.body.clone())]);
        let mut reader = multer::Multipart::new(body, boundary);
        let mut parts = Vec::new();
        while let Some(field) = reader.next_field().await.unwrap() {
            parts.push((
                field.name().unwrap().to_owned(),
                field.file_name().map(str::to_owned),
                field.content_type().map(ToString::to_string),
                field.bytes().await.unwrap(),
            ));
        }
        parts
    }
}

/// What the script answers.
pub(super) enum Reply {
    /// A status, headers, a body.
    Answer(u16, Vec<(&'static str, String)>, Bytes),
    /// The connection ends without a word, after the whole request was read.
    Hangup,
}

pub(super) fn ok(body: Value) -> Reply {
    status(200, body)
}

pub(super) fn status(code: u16, body: Value) -> Reply {
    let json = ("content-type", "application/json; charset=UTF-8".to_owned());
    Reply::Answer(code, vec![json], body.to_string().into())
}

pub(super) fn error(code: u16, text: &str) -> Reply {
    status(code, json!({ "error": text }))
}

pub(super) fn html(code: u16, text: &str) -> Reply {
    let body = format!("<html><body>{text}</body></html>");
    Reply::Answer(
        code,
        vec![("content-type", "text/html".into())],
        body.into(),
    )
}

impl Reply {
    /// The same answer with another header.
    pub(super) fn with(self, name: &'static str, value: impl Into<String>) -> Self {
        match self {
            Self::Answer(code, mut headers, body) => {
                headers.push((name, value.into()));
                Self::Answer(code, headers, body)
            }
            Self::Hangup => Self::Hangup,
        }
    }
}

/// The server.
pub(super) struct Server {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    logins: Arc<AtomicU32>,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    /// Serves `script`, which answers sign-ins itself.
    pub(super) async fn bare(script: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let (script, log) = (Arc::new(script), Arc::clone(&seen));
        let task = tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                let (script, log) = (Arc::clone(&script), Arc::clone(&log));
                let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
                    let (script, log) = (Arc::clone(&script), Arc::clone(&log));
                    async move {
                        let (head, body) = request.into_parts();
                        let body = body.collect().await.map_err(|_| "cut")?.to_bytes();
                        let path = head.uri.path();
                        let seen = Seen {
                            method: head.method,
                            path: path
                                .strip_prefix("/otcs/cs.exe/api/")
                                .unwrap_or(path)
                                .to_owned(),
                            query: url::form_urlencoded::parse(
                                head.uri.query().unwrap_or_default().as_bytes(),
                            )
                            .into_owned()
                            .collect(),
                            headers: head.headers,
                            body,
                        };
                        log.lock().unwrap().push(seen.clone());
                        match script(&seen) {
                            Reply::Answer(code, headers, body) => {
                                let mut response =
                                    Response::builder().status(StatusCode::from_u16(code).unwrap());
                                for (name, value) in headers {
                                    response = response.header(name, value);
                                }
                                Ok(response.body(Full::new(body)).unwrap())
                            }
                            Reply::Hangup => Err("hang up"),
                        }
                    }
                });
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(socket), service),
                );
            }
        });
        Self {
            address,
            seen,
            logins: Arc::default(),
            task,
        }
    }

    /// Serves `script` behind a sign-in that hands out `ticket-1`, `ticket-2` and so on.
    pub(super) async fn start(script: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        let logins = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&logins);
        let mut server = Self::bare(move |seen| {
            if seen.line() == "POST v1/auth" {
                let number = count.fetch_add(1, Ordering::SeqCst) + 1;
                ok(json!({ "ticket": format!("ticket-{number}") }))
            } else {
                script(seen)
            }
        })
        .await;
        server.logins = logins;
        server
    }

    /// A client of this server, with a password.
    pub(super) fn client(&self) -> Client {
        self.client_with(Auth::Password {
            user: "ann".into(),
            password: "canary-password".into(),
            domain: None,
        })
    }

    pub(super) fn client_with(&self, auth: Auth) -> Client {
        let url = self.url("/otcs/cs.exe");
        Client::new(wires(), Config::new(url, "test", auth)).unwrap()
    }

    pub(super) fn url(&self, path: &str) -> url::Url {
        format!("http://{}{path}", self.address).parse().unwrap()
    }

    pub(super) fn logins(&self) -> u32 {
        self.logins.load(Ordering::SeqCst)
    }

    /// The requests so far, without sign-ins.
    pub(super) fn seen(&self) -> Vec<Seen> {
        let all = self.seen.lock().unwrap();
        all.iter()
            .filter(|seen| seen.line() != "POST v1/auth")
            .cloned()
            .collect()
    }

    /// The only request so far, apart from sign-ins.
    #[track_caller]
    pub(super) fn only(&self) -> Seen {
        let mut seen = self.seen();
        assert_eq!(
            seen.len(),
            1,
            "{:?}",
            seen.iter().map(Seen::line).collect::<Vec<_>>()
        );
        seen.remove(0)
    }
}

/// An HTTP client for loopback that wastes no time on repeats.
pub(super) fn wires() -> http::Client {
    http::Client::new(http::Config {
        proxy_from_environment: false,
        plain_http: vec!["loopback".into()],
        attempts: 2,
        backoff: std::time::Duration::from_millis(1),
        throttle_patience: std::time::Duration::ZERO,
        ..http::Config::default()
    })
    .unwrap()
}

/// No message may hold a secret, wherever it came from.
#[track_caller]
pub(super) fn keeps_secrets(failure: &Failure) {
    let text = format!("{failure:?}");
    for secret in ["canary", "ticket-"] {
        assert!(!text.contains(secret), "{text}");
    }
}

/// A document's properties in the shape of a v2 answer.
pub(super) fn document(id: i64, parent: i64, name: &str, size: u64) -> Value {
    json!({"id": id, "parent_id": parent, "name": name, "type": 144, "container": false,
        "size": size, "reserved": false, "reserved_user_id": 0})
}

/// A v2 answer with one node.
pub(super) fn single(properties: Value) -> Value {
    json!({"links": {"data": {}}, "results": {"data": {"properties": properties}}})
}
