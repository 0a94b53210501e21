//! One HTTP client for both systems and the storage behind them.
//!
//! Only this module dials out. It keeps connections alive, limits every wait (connect, first
//! byte, stall, minimum progress), streams bodies in both directions without copying, retries by
//! failure class where a repeat is safe, follows no redirects, binds credentials to their origin
//! and never lets a secret or signed address reach a log or error.
//!
//! ```text
//! Request ─ checked (scheme, origin, guard) ─ gate of its host ─ call permit ─┐
//!    ▲ repeated with jitter, when that is safe                                │
//!    └──────────────────────────────────────────── attempt ◄──────────────────┘
//!                      connect: names → guard → TCP (or proxy) → TLS
//!                      send:    counted body, stall and progress watched
//!                      receive: head within its limit → Response
//! ```
//!
//! It leaves to others what a status or document means: any complete response head is `Ok`.
//! What was read by ranges, renewed or resumed is the caller's affair too.

mod client;
mod connect;
mod cookies;
mod error;
mod guard;
mod origin;
mod request;
mod response;
mod retry;
mod send;
#[cfg(test)]
mod tests;
mod tls;

use std::path::PathBuf;
use std::time::Duration;

pub use client::Client;
pub use cookies::CookieJar;
pub use error::{Direction, Error};
pub use origin::{Credential, Origin, SignedUrl};
pub use request::{Body, Repeat, Request};
pub use response::{Answer, Response, looks_like_html};

#[cfg(any(test, fuzzing))]
pub(crate) use retry::fuzz as fuzz_retry_after;

use crate::types::KIB;

/// Largest JSON answer that is read: far above any page of either system, far below what would
/// hurt.
pub const JSON_LIMIT: usize = 32 << 20;

/// How the client behaves; every default has its reason beside it.
#[derive(Clone, Debug)]
pub struct Config {
    /// Time to connect: name, TCP, proxy and TLS together.
    pub connect_timeout: Duration,
    /// Time to the response head after the request was sent, unless a request says otherwise.
    pub first_byte_timeout: Duration,
    /// Longest silence while a body moves, in either direction.
    pub stall_timeout: Duration,
    /// Congestion control of every connection, as the kernel names it; `None` leaves the system's.
    pub congestion_control: Option<String>,
    /// Fewest bytes per minute while a body moves, or the peer counts as a slow-loris. Only time
    /// in which the peer had the floor counts.
    pub min_bytes_per_minute: u64,
    /// How long progress is measured before it is judged.
    pub progress_window: Duration,
    /// A private CA bundle (PEM) beside the platform's roots.
    pub ca_file: Option<PathBuf>,
    /// Whether `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` are honoured. Loopback is always
    /// reached directly.
    pub proxy_from_environment: bool,
    /// Hosts that may be reached without TLS; the word `loopback` stands for this machine, and
    /// then guarded requests may reach it as well.
    pub plain_http: Vec<String>,
    /// Private ranges that guarded requests may reach, as CIDRs.
    pub allow: Vec<String>,
    /// Hosts that a person typed and that guarded requests may therefore reach whatever their
    /// address.
    pub trusted_hosts: Vec<String>,
    /// Attempts for requests that may be repeated; being throttled burns none.
    pub attempts: u32,
    /// Longest first wait before a repeat; it doubles with every attempt, with full jitter.
    pub backoff: Duration,
    /// Longest wait before a repeat.
    pub backoff_cap: Duration,
    /// Longest wait that a server's `Retry-After` can ask for.
    pub retry_after_cap: Duration,
    /// Longest time one request lets itself be throttled before the answer is handed on.
    pub throttle_patience: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            // Two lost SYNs (1 s + 2 s + 4 s) and a slow handshake still pass.
            connect_timeout: Duration::from_secs(10),
            // The systems' own clients give up at 60 s by default.
            first_byte_timeout: Duration::from_secs(60),
            // A healthy TCP connection recovers from loss well within this.
            stall_timeout: Duration::from_secs(30),
            // The administrator of the machine knows its lines.
            congestion_control: None,
            // 8.5 KiB/s: slower than any usable link, faster than a slow-loris.
            min_bytes_per_minute: 512 * KIB,
            progress_window: Duration::from_secs(60),
            ca_file: None,
            proxy_from_environment: true,
            plain_http: Vec::new(),
            allow: Vec::new(),
            trusted_hosts: Vec::new(),
            // First wait up to 0.5 s, last up to 4 s: rides out a restarted frontend; longer
            // outages are the engine's, which keeps them in the ledger.
            attempts: 5,
            backoff: Duration::from_millis(500),
            backoff_cap: Duration::from_secs(30),
            retry_after_cap: Duration::from_secs(15 * 60),
            throttle_patience: Duration::from_secs(15 * 60),
        }
    }
}

/// Largest response head, in bytes: what a proxy or IIS would itself refuse.
const HEAD_LIMIT: u64 = 64 * KIB;
/// Read buffer below TLS: rustls reads 4 KiB at a time without one (measured 1.2x).
const TLS_BUFFER: usize = 256 << 10;
/// Pieces a request body is handed over in: small enough that a slow but living link takes one
/// well within the stall limit.
const PIECE: usize = 64 << 10;
/// Longest error page or throttled answer that is read to keep its connection.
const DRAIN_LIMIT: usize = 64 << 10;
