//! The client against scripted servers on real sockets.

mod bodies;
mod exchange;
mod server;
mod trust;

use std::time::Duration;

use ::http::Method;
use url::Url;

use super::connect::system_lookup;
use super::{Client, Config, Request};

/// Limits short enough for tests; never what a test measures.
fn quick() -> Config {
    Config {
        connect_timeout: Duration::from_secs(5),
        first_byte_timeout: Duration::from_secs(5),
        stall_timeout: Duration::from_secs(5),
        min_bytes_per_minute: 0,
        attempts: 3,
        backoff: Duration::from_millis(1),
        retry_after_cap: Duration::from_millis(5),
        throttle_patience: Duration::from_secs(1),
        plain_http: vec!["loopback".to_owned()],
        ..Config::default()
    }
}

/// A client that knows no proxy.
fn client(config: Config) -> Client {
    Client::with(config, None, &system_lookup()).unwrap()
}

fn get(url: &str) -> Request {
    Request::new(Method::GET, Url::parse(url).unwrap())
}

fn post(url: &str) -> Request {
    Request::new(Method::POST, Url::parse(url).unwrap())
}
