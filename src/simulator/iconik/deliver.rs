//! Makes the requests that iconik makes: webhooks, custom actions, buttons of jobs.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use url::Url;

use super::notify::Delivery;

/// Largest answer that is read.
const ANSWER: usize = 64 * 1024;

/// Posts a delivery; its JSON answer (null without one), or why it failed. Only `http` addresses
/// on this machine are reached: a simulator never speaks to the outside.
pub(super) async fn deliver(delivery: &Delivery, patience: Duration) -> Result<Value, String> {
    match tokio::time::timeout(patience, post(delivery)).await {
        Ok(result) => result,
        Err(_) => Err(format!("no answer within {} s", patience.as_secs_f32())),
    }
}

async fn post(delivery: &Delivery) -> Result<Value, String> {
    let url = Url::parse(&delivery.url).map_err(|e| e.to_string())?;
    let host = url.host_str().unwrap_or("");
    if url.scheme() != "http" || !["127.0.0.1", "localhost", "[::1]"].contains(&host) {
        return Err("only http addresses on this machine are reached".to_owned());
    }
    let address = (
        host.trim_matches(['[', ']']),
        url.port_or_known_default().unwrap_or(80),
    );
    let stream = TcpStream::connect(address)
        .await
        .map_err(|e| e.to_string())?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|e| e.to_string())?;
    let driver = tokio::spawn(connection);
    let target = url[url::Position::BeforePath..url::Position::AfterQuery].to_owned();
    let mut request = Request::post(target)
        .header("host", format!("{host}:{}", address.1))
        .header("content-type", "application/json");
    for (name, value) in &delivery.headers {
        request = request.header(name, value);
    }
    let request = request
        .body(Full::new(Bytes::from(delivery.body.to_string())))
        .map_err(|e| e.to_string())?;
    let reply = sender
        .send_request(request)
        .await
        .map_err(|e| e.to_string())?;
    let status = reply.status();
    let body = Limited::new(reply.into_body(), ANSWER).collect().await;
    driver.abort();
    if !status.is_success() {
        return Err(format!("answered {status}"));
    }
    let body = body.map_err(|e| e.to_string())?.to_bytes();
    Ok(serde_json::from_slice(&body).unwrap_or(Value::Null))
}
