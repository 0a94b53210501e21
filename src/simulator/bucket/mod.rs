//! The storage bucket behind iconik's signed addresses, in the manner of S3, Google Cloud
//! Storage, Azure or B2, as the address says.
//!
//! Addresses carry their date, lifetime and a signature, so that a HEAD on a GET address is
//! refused, as on S3. An exchange that began in time runs to its end; only new requests meet an
//! expired address. Objects are masters, most of them never stored.
//!
//! | File | Holds |
//! |---|---|
//! | `mod.rs` | the objects, and how they are read |
//! | `signing` | addresses of each vendor: made and checked |
//! | `range` | `Range` headers |
//! | `uploads`, `google`, `azure`, `b2` | how each vendor takes content |

mod azure;
mod b2;
mod google;
mod range;
mod signing;
mod uploads;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::future::BoxFuture;
use futures::stream::StreamExt;
use http::Method;
use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};

use range::{Wanted, parse_range};
pub use signing::Vendor;
pub(crate) use uploads::LISTED;

use super::clock::Clock;
use super::masters::Master;
use super::server::{Exchange, Reply, Service};
use crate::types::ByteRange;

/// Links whose use is counted; the oldest are forgotten together.
const LINKS: usize = 10_000;

/// Whether an object can be read at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Temperature {
    /// Readable.
    Warm,
    /// In Glacier: 403 until restored.
    Cold,
    /// Being restored, readable from this moment of the simulator's clock (milliseconds) on.
    Thawing(i64),
}

/// One object.
#[derive(Clone, Debug)]
pub struct Object {
    /// Its bytes.
    pub master: Master,
    /// Its entity tag with quotes; a weak one begins with `W/`. None sends none.
    pub etag: Option<String>,
    /// When it was written.
    pub last_modified: Timestamp,
    /// Whether it can be read.
    pub temperature: Temperature,
    /// Each signed address serves so many bytes and then counts as expired.
    pub link_serves: Option<u64>,
    /// Range headers are ignored.
    pub no_ranges: bool,
}

impl Object {
    /// An ordinary object.
    pub fn new(master: Master, etag: &str) -> Self {
        Self {
            master,
            etag: Some(format!("\"{etag}\"")),
            last_modified: Timestamp::UNIX_EPOCH,
            temperature: Temperature::Warm,
            link_serves: None,
            no_ranges: false,
        }
    }
}

/// Works out objects that are not in the store (a large library).
pub type Lookup = Arc<dyn Fn(&str) -> Option<Object> + Send + Sync>;

/// The objects of a bucket and the rules for its addresses; clones share them.
#[derive(Clone)]
pub struct Bucket(Arc<Shared>);

struct Shared {
    clock: Clock,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    url: String,
    ttl_ms: u64,
    objects: HashMap<String, Object>,
    lookup: Option<Lookup>,
    used: HashMap<String, u64>,
    leaks: u64,
    serial: u64,
    uploads: HashMap<String, uploads::Parts>,
    sessions: HashMap<String, google::Session>,
    blocks: HashMap<String, azure::Blocks>,
    large: HashMap<String, b2::Large>,
    tokens: HashMap<String, b2::Opens>,
    google_takes: Option<u64>,
    azure_may: &'static str,
}

impl Bucket {
    /// An empty bucket whose addresses live for `ttl_ms`.
    pub fn new(clock: Clock, ttl_ms: u64) -> Self {
        Self(Arc::new(Shared {
            clock,
            inner: Mutex::new(Inner {
                ttl_ms,
                azure_may: "rcw",
                ..Inner::default()
            }),
        }))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where the bucket's server listens; part of every address.
    pub fn set_url(&self, url: &str) {
        self.inner().url = url.trim_end_matches('/').to_owned();
    }

    /// Lifetime of addresses signed from now on, in milliseconds.
    pub fn set_ttl(&self, ms: u64) {
        self.inner().ttl_ms = ms;
    }

    /// Lifetime of new addresses, in milliseconds.
    pub fn ttl(&self) -> u64 {
        self.inner().ttl_ms
    }

    /// Works out objects that were not put.
    pub fn set_lookup(&self, lookup: Lookup) {
        self.inner().lookup = Some(lookup);
    }

    /// Adds or replaces an object.
    pub fn put(&self, key: &str, object: Object) {
        self.inner().objects.insert(key.to_owned(), object);
    }

    /// Removes an object; whether it was there.
    pub fn remove(&self, key: &str) -> bool {
        self.inner().objects.remove(key).is_some()
    }

    /// An object.
    pub fn get(&self, key: &str) -> Option<Object> {
        let inner = self.inner();
        match inner.objects.get(key) {
            Some(object) => Some(object.clone()),
            None => inner.lookup.as_ref().and_then(|lookup| lookup(key)),
        }
    }

    /// Brings a cold object back, readable after `ms`; whether there was one.
    pub fn thaw(&self, key: &str, ms: i64) -> bool {
        let ready = self.0.clock.now_ms().saturating_add(ms);
        match self.inner().objects.get_mut(key) {
            Some(object) if object.temperature == Temperature::Cold => {
                object.temperature = Temperature::Thawing(ready);
                true
            }
            _ => false,
        }
    }

    /// Requests that carried another system's credentials.
    pub fn leaks(&self) -> u64 {
        self.inner().leaks
    }

    async fn answer(&self, mut exchange: Exchange) -> Reply {
        if matches!(exchange.method, Method::PUT | Method::POST | Method::DELETE) {
            if exchange.path().starts_with("/b2api/") {
                return self.store_b2(&mut exchange).await;
            }
            if let Some(reply) = self.session(&mut exchange).await {
                return reply;
            }
            return match self.check(&exchange) {
                Ok((_, Vendor::S3)) => self.store(&mut exchange).await,
                Ok((_, Vendor::Google)) => self.begin_session(&exchange),
                Ok((_, Vendor::Azure)) => self.store_blob(&mut exchange).await,
                Err(reply) => *reply,
            };
        }
        let exchange = &exchange;
        let leaked = ["auth-token", "app-id", "otcsticket", "authorization"]
            .iter()
            .any(|name| exchange.headers.contains_key(*name));
        if leaked {
            self.inner().leaks += 1;
        }
        if exchange.method != Method::GET && exchange.method != Method::HEAD {
            return refusal(
                405,
                "MethodNotAllowed",
                "The specified method is not allowed",
            );
        }
        let (signature, vendor) = match self.check(exchange) {
            Ok(checked) => checked,
            Err(reply) => return *reply,
        };
        if vendor == Vendor::Azure && exchange.query().contains_key("comp") {
            return self.list_blocks(exchange);
        }
        if let Some(id) = exchange.query().get("uploadId") {
            return self.list_parts(id, exchange);
        }
        let Some(object) = self.get(&key(exchange)) else {
            return refusal(404, "NoSuchKey", "The specified key does not exist.");
        };
        let warm = match object.temperature {
            Temperature::Warm => true,
            Temperature::Cold => false,
            Temperature::Thawing(ready) => self.0.clock.now_ms() >= ready,
        };
        if !warm {
            return refusal(
                403,
                "InvalidObjectState",
                "The operation is not valid for the object's storage class",
            );
        }
        if let Some(most) = object.link_serves
            && self
                .inner()
                .used
                .get(&signature)
                .is_some_and(|&n| n >= most)
        {
            return expired();
        }
        self.serve(exchange, &object, signature)
    }

    fn serve(&self, exchange: &Exchange, object: &Object, link: String) -> Reply {
        let size = object.master.size();
        let etag = object.etag.as_deref().unwrap_or("");
        let modified = httpdate::fmt_http_date(object.last_modified.into());
        if let Some(wanted) = exchange.header("if-match")
            && wanted != "*"
            && !wanted.split(',').any(|tag| tag.trim() == etag)
        {
            return refusal(
                412,
                "PreconditionFailed",
                "At least one of the pre-conditions you specified did not hold",
            );
        }
        let pinned = exchange
            .header("if-range")
            .is_none_or(|pin| (pin == etag && !pin.starts_with("W/")) || pin == modified);
        let wanted = exchange
            .header("range")
            .filter(|_| pinned && !object.no_ranges)
            .and_then(|text| parse_range(text, size));
        let range = match wanted {
            Some(Wanted::Beyond) => {
                return refusal(
                    416,
                    "InvalidRange",
                    "The requested range is not satisfiable",
                )
                .header("content-range", &format!("bytes */{size}"));
            }
            Some(Wanted::Part(range)) => Some(range),
            None => None,
        };
        let mut reply = Reply::new(200);
        let sent = range.unwrap_or(ByteRange::new(0, size));
        if range.is_some() {
            let value = format!("bytes {}-{}/{size}", sent.start, sent.end - 1);
            reply = reply.status(206).header("content-range", &value);
        }
        if let Some(etag) = &object.etag {
            reply = reply.header("etag", etag);
        }
        let parameters = exchange.query();
        let disposition = parameters.get("response-content-disposition");
        if let Some(disposition) = disposition.or_else(|| parameters.get("rscd")) {
            reply = reply.header("content-disposition", disposition);
        }
        reply = reply
            .header(
                "accept-ranges",
                if object.no_ranges { "none" } else { "bytes" },
            )
            .header("last-modified", &modified)
            .header("content-type", "application/octet-stream");
        if exchange.method == Method::HEAD {
            return reply.header("content-length", &sent.len().to_string());
        }
        let mut stream = object.master.stream(sent);
        if object.link_serves.is_some() {
            stream = self.counted(stream, link);
        }
        let body = Reply::stream(Some(sent.len()), stream);
        Reply {
            body: body.body,
            ..reply
        }
    }

    /// Counts what a link has served.
    fn counted(
        &self,
        stream: futures::stream::BoxStream<'static, std::io::Result<bytes::Bytes>>,
        link: String,
    ) -> futures::stream::BoxStream<'static, std::io::Result<bytes::Bytes>> {
        let bucket = self.clone();
        stream
            .inspect(move |piece| {
                if let Ok(piece) = piece {
                    let mut inner = bucket.inner();
                    if inner.used.len() >= LINKS {
                        inner.used.clear();
                    }
                    *inner.used.entry(link.clone()).or_default() += piece.len() as u64;
                }
            })
            .boxed()
    }
}

impl Service for Bucket {
    fn name(&self) -> &'static str {
        "bucket"
    }

    fn call(self: Arc<Self>, exchange: Exchange) -> BoxFuture<'static, Reply> {
        Box::pin(async move { self.answer(exchange).await })
    }
}

/// The object that a request is about.
fn key(exchange: &Exchange) -> String {
    let encoded = exchange.path().strip_prefix("/masters/").unwrap_or("");
    percent_decode_str(encoded).decode_utf8_lossy().into_owned()
}

fn refusal(status: u16, code: &str, message: &str) -> Reply {
    let xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code>\
         <Message>{message}</Message><RequestId>SIMULATED0000000</RequestId></Error>"
    );
    Reply::new(status).content("application/xml", xml)
}

fn expired() -> Reply {
    refusal(403, "AccessDenied", "Request has expired")
}

#[cfg(test)]
mod tests;
