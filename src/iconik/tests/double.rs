//! A scripted peer that plays API and bucket at once, on one loopback port.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::http;
use crate::iconik::{Client, Config};

/// A request as it came.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) method: String,
    /// Without the leading `/API`.
    pub(super) path: String,
    pub(super) query: HashMap<String, String>,
    pub(super) headers: HashMap<String, String>,
    pub(super) body: Value,
}

impl Seen {
    pub(super) fn is(&self, method: &str, path: &str) -> bool {
        self.method == method && self.path == path
    }

    pub(super) fn query(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str)
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

/// What to answer.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    /// Bytes of the body after which the connection is cut.
    cut: Option<usize>,
}

impl Reply {
    pub(super) fn status(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Vec::new(),
            cut: None,
        }
    }

    pub(super) fn json(value: Value) -> Self {
        Self::status(200)
            .header("Content-Type", "application/json")
            .body(value.to_string())
    }

    pub(super) fn error(status: u16, message: &str) -> Self {
        Self {
            status,
            ..Self::json(json!({ "errors": [message] }))
        }
    }

    pub(super) fn header(mut self, name: &str, value: impl ToString) -> Self {
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }

    pub(super) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    pub(super) fn cut(mut self, after: usize) -> Self {
        self.cut = Some(after);
        self
    }
}

type Script = dyn Fn(&Seen) -> Reply + Send + Sync;

/// The peer; it goes away with the test's runtime.
pub(super) struct Double {
    pub(super) address: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Double {
    /// Starts one that answers as `script` says, given its own address.
    pub(super) async fn start<S>(script: impl FnOnce(String) -> S) -> Self
    where
        S: Fn(&Seen) -> Reply + Send + Sync + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let script: Arc<Script> = Arc::new(script(address.clone()));
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let log = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (script, log) = (Arc::clone(&script), Arc::clone(&log));
                tokio::spawn(async move { serve(stream, &*script, &log).await });
            }
        });
        Self { address, seen }
    }

    pub(super) fn config(&self) -> Config {
        Config {
            calls_per_second: 10_000,
            ..Config::new(self.address.parse().unwrap(), "app", "canary-token".into())
        }
    }

    pub(super) fn client(&self) -> Client {
        self.client_with(self.config())
    }

    pub(super) fn client_with(&self, config: Config) -> Client {
        let http = http::Client::new(http::Config {
            plain_http: vec!["loopback".into()],
            proxy_from_environment: false,
            attempts: 2,
            backoff: Duration::from_millis(1),
            throttle_patience: Duration::ZERO,
            ..http::Config::default()
        });
        Client::new(http.unwrap(), config).unwrap()
    }

    /// Every request so far.
    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// How many requests went to `path`.
    pub(super) fn count(&self, path: &str) -> usize {
        self.seen().iter().filter(|seen| seen.path == path).count()
    }
}

async fn serve(mut stream: TcpStream, script: &Script, log: &Mutex<Vec<Seen>>) {
    while let Some(seen) = read(&mut stream).await {
        let reply = script(&seen);
        log.lock().unwrap().push(seen);
        let mut head = format!("HTTP/1.1 {} X\r\n", reply.status);
        for (name, value) in &reply.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(&format!("Content-Length: {}\r\n\r\n", reply.body.len()));
        let sent = reply.cut.unwrap_or(reply.body.len());
        let done = stream.write_all(head.as_bytes()).await.is_ok()
            && stream.write_all(&reply.body[..sent]).await.is_ok();
        if !done || reply.cut.is_some() {
            return;
        }
    }
}

async fn read(stream: &mut TcpStream) -> Option<Seen> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut lines = head.lines();
    let mut words = lines.next()?.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let headers: HashMap<String, String> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let len: usize = headers
        .get("content-length")
        .map_or(0, |len| len.parse().unwrap());
    while bytes.len() < end + 4 + len {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    let url = url::Url::parse(&format!("http://x{target}")).unwrap();
    Some(Seen {
        method,
        path: url.path().trim_start_matches("/API").to_owned(),
        query: url.query_pairs().into_owned().collect(),
        headers,
        body: serde_json::from_slice(&bytes[end + 4..]).unwrap_or_default(),
    })
}
