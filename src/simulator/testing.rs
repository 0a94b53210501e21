//! A small HTTP client for the tests of the simulator: one connection a request, and what came
//! before a broken end is kept.

use bytes::Bytes;
use http::{HeaderMap, Method, Request};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use url::Url;

/// What came back.
#[derive(Debug)]
pub(crate) struct Got {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    /// The body ended early.
    pub(crate) broken: bool,
}

impl Got {
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|_| panic!("no JSON: {}", String::from_utf8_lossy(&self.body)))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|v| v.to_str().unwrap())
    }
}

/// Sends one request on a fresh connection; an error when there was no reply at all.
pub(crate) async fn send(
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Result<Got, hyper::Error> {
    let url = Url::parse(url).unwrap();
    let address = format!("127.0.0.1:{}", url.port().unwrap());
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let driver = tokio::spawn(connection);
    let target = match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    };
    let mut request = Request::builder()
        .method(Method::from_bytes(method.as_bytes()).unwrap())
        .uri(target)
        .header("host", "localhost");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(body.into())).unwrap();
    let mut reply = sender.send_request(request).await?;
    let mut got = Got {
        status: reply.status().as_u16(),
        headers: reply.headers().clone(),
        body: Vec::new(),
        broken: false,
    };
    while let Some(frame) = reply.frame().await {
        match frame {
            Ok(frame) => got.body.extend_from_slice(frame.data_ref().unwrap()),
            Err(_) => {
                got.broken = true;
                break;
            }
        }
    }
    driver.abort();
    Ok(got)
}

/// A GET without headers.
pub(crate) async fn get(url: &str) -> Result<Got, hyper::Error> {
    send("GET", url, &[], Bytes::new()).await
}
