//! The storage bucket behind iconik's signed addresses, in the manner of S3.
//!
//! Addresses carry their date, lifetime and a signature over method and path, so that a HEAD on
//! a GET address is refused, as on S3. An exchange that began in time runs to its end; only new
//! requests meet an expired address. Objects are masters, most of them never stored.

mod uploads;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::future::BoxFuture;
use futures::stream::StreamExt;
use hmac::{Hmac, KeyInit, Mac};
use http::Method;
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::clock::Clock;
use super::masters::Master;
use super::server::{Exchange, Reply, Service};
use crate::types::{ByteCount, ByteRange};

/// Everything but unreserved characters and the slash is escaped in a key.
const KEY: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/');

/// The key that signs; a simulator has no secrets.
const SECRET: &[u8] = b"longhaul simulated bucket";

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
}

impl Bucket {
    /// An empty bucket whose addresses live for `ttl_ms`.
    pub fn new(clock: Clock, ttl_ms: u64) -> Self {
        Self(Arc::new(Shared {
            clock,
            inner: Mutex::new(Inner {
                ttl_ms,
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

    /// A signed address for `method` on `key`, valid from now on. With `attachment` the object
    /// comes back as a download of that name.
    pub fn sign(&self, method: &str, key: &str, attachment: Option<&str>) -> String {
        let disposition =
            attachment.map(|name| format!("attachment; filename=\"{}\"", name.replace('"', "'")));
        let further = disposition.iter();
        let further: Vec<(&str, &str)> = further
            .map(|name| ("response-content-disposition", name.as_str()))
            .collect();
        self.sign_with(method, key, &further)
    }

    /// The same with further parameters, as the parts of an upload have them.
    pub fn sign_with(&self, method: &str, key: &str, further: &[(&str, &str)]) -> String {
        let now = self.0.clock.now();
        let mut inner = self.inner();
        inner.serial += 1;
        let path = format!("/masters/{}", utf8_percent_encode(key, KEY));
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query
            .append_pair("X-Amz-Algorithm", "AWS4-HMAC-SHA256")
            .append_pair(
                "X-Amz-Credential",
                "SIMULATED/20260105/eu-west-1/s3/aws4_request",
            )
            .append_pair("X-Amz-Date", &now.strftime("%Y%m%dT%H%M%SZ").to_string())
            .append_pair("X-Amz-Expires", &inner.ttl_ms.div_ceil(1000).to_string())
            .append_pair("X-Amz-SignedHeaders", "host");
        query.extend_pairs(further);
        // The real service counts whole seconds; tests want links that live shorter.
        let end = now.as_millisecond().saturating_add_unsigned(inner.ttl_ms);
        let query = query
            .append_pair("x-end-ms", &end.to_string())
            .append_pair("x-serial", &inner.serial.to_string())
            .finish();
        let signature = signature(method, &path, &query);
        format!("{}{path}?{query}&X-Amz-Signature={signature}", inner.url)
    }

    async fn answer(&self, mut exchange: Exchange) -> Reply {
        if matches!(exchange.method, Method::PUT | Method::POST | Method::DELETE) {
            return match self.check(&exchange) {
                Ok(_) => self.store(&mut exchange).await,
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
        let signature = match self.check(exchange) {
            Ok(signature) => signature,
            Err(reply) => return *reply,
        };
        if let Some(id) = exchange.query().get("uploadId") {
            return self.list_parts(id);
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

    /// Checks signature and expiry; gives the signature, which names the link.
    fn check(&self, exchange: &Exchange) -> Result<String, Box<Reply>> {
        let query = exchange.uri.query().unwrap_or("");
        let Some((signed, given)) = query.split_once("&X-Amz-Signature=") else {
            return Err(refusal(403, "AccessDenied", "Access Denied").into());
        };
        if signature(exchange.method.as_str(), exchange.path(), signed) != given {
            return Err(refusal(
                403,
                "SignatureDoesNotMatch",
                "The request signature we calculated does not match the signature you provided.",
            )
            .into());
        }
        let parameters = exchange.query();
        let end: i64 = parameters
            .get("x-end-ms")
            .and_then(|end| end.parse().ok())
            .unwrap_or(0);
        if exchange.faults.expire_url() || self.0.clock.now_ms() >= end {
            return Err(expired().into());
        }
        Ok(given.to_owned())
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
        if let Some(disposition) = parameters.get("response-content-disposition") {
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

fn signature(method: &str, path: &str, query: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET).expect("HMAC takes keys of any length");
    mac.update(format!("{method}\n{path}\n{query}").as_bytes());
    hex::encode(mac.finalize().into_bytes())
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

/// What a Range header asks for.
#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    Part(ByteRange),
    /// Nothing of it exists: 416.
    Beyond,
}

/// Reads a single byte range; anything else is ignored, as S3 does.
fn parse_range(text: &str, size: ByteCount) -> Option<Wanted> {
    let (start, end) = text.strip_prefix("bytes=")?.split_once('-')?;
    let range = match (start.trim(), end.trim()) {
        ("", last) => {
            let last: u64 = last.parse().ok()?;
            ByteRange::new(size.saturating_sub(last), size)
        }
        (start, "") => ByteRange::new(start.parse().ok()?, size),
        (start, end) => {
            let (start, end): (u64, u64) = (start.parse().ok()?, end.parse().ok()?);
            if end < start {
                return None;
            }
            ByteRange::new(start, end.saturating_add(1).min(size))
        }
    };
    Some(if range.is_empty() || range.start >= size {
        Wanted::Beyond
    } else {
        Wanted::Part(range)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::faults::{Action, Rule, System};
    use crate::simulator::server::{Config, Server};
    use crate::simulator::testing::{Got, send};

    async fn start(bucket: &Bucket, rules: Vec<Rule>) -> Server {
        let config = Config::new(System::Bucket);
        for rule in rules {
            config.faults.add(rule);
        }
        let server = Server::start(config, Arc::new(bucket.clone()))
            .await
            .unwrap();
        bucket.set_url(&server.url());
        server
    }

    fn bucket() -> (Bucket, Clock) {
        let clock = Clock::default();
        let bucket = Bucket::new(clock.clone(), 60_000);
        let object = Object::new(Master::generated(3, 1_000_000), "e1");
        bucket.put("Card/ü 1:2.mxf", object);
        (bucket, clock)
    }

    async fn ask(url: &str, headers: &[(&str, &str)]) -> Got {
        send("GET", url, headers, "").await.unwrap()
    }

    #[tokio::test]
    async fn a_signed_get_brings_the_whole_object_or_a_range_of_it() {
        let (bucket, _) = bucket();
        let _server = start(&bucket, vec![]).await;
        let url = bucket.sign("GET", "Card/ü 1:2.mxf", Some("a\"b.mxf"));
        let master = Master::generated(3, 1_000_000);
        let whole = ask(&url, &[]).await;
        assert_eq!(whole.status, 200);
        assert_eq!(whole.body, master.read(ByteRange::new(0, 1_000_000)));
        assert_eq!(whole.header("etag"), Some("\"e1\""));
        assert_eq!(
            whole.header("content-disposition"),
            Some("attachment; filename=\"a'b.mxf\"")
        );
        assert!(whole.header("last-modified").is_some());
        for (asked, range) in [
            ("bytes=0-0", 0..1),
            ("bytes=999999-2000000", 999_999..1_000_000),
            ("bytes=-5", 999_995..1_000_000),
            ("bytes=300000-", 300_000..1_000_000),
        ] {
            let part = ask(&url, &[("range", asked)]).await;
            assert_eq!(part.status, 206, "{asked}");
            let expected = format!("bytes {}-{}/1000000", range.start, range.end - 1);
            assert_eq!(part.header("content-range"), Some(expected.as_str()));
            assert_eq!(
                part.body,
                master.read(ByteRange::new(range.start, range.end))
            );
        }
        let beyond = ask(&url, &[("range", "bytes=1000000-")]).await;
        assert_eq!(beyond.status, 416);
        assert_eq!(beyond.header("content-range"), Some("bytes */1000000"));
        assert_eq!(ask(&url, &[("range", "bytes=0-1,5-6")]).await.status, 200);
    }

    #[tokio::test]
    async fn conditions_pin_the_entity_tag() {
        let (bucket, _) = bucket();
        let _server = start(&bucket, vec![]).await;
        let url = bucket.sign("GET", "Card/ü 1:2.mxf", None);
        let range = ("range", "bytes=0-9");
        assert_eq!(
            ask(&url, &[range, ("if-range", "\"e1\"")]).await.status,
            206
        );
        assert_eq!(
            ask(&url, &[range, ("if-range", "\"e2\"")]).await.status,
            200
        );
        assert_eq!(
            ask(&url, &[range, ("if-match", "\"e1\"")]).await.status,
            206
        );
        assert_eq!(
            ask(&url, &[range, ("if-match", "\"e2\"")]).await.status,
            412
        );
    }

    #[tokio::test]
    async fn the_method_is_part_of_the_signature() {
        let (bucket, _) = bucket();
        let _server = start(&bucket, vec![]).await;
        let url = bucket.sign("GET", "Card/ü 1:2.mxf", None);
        let head = send("HEAD", &url, &[], "").await.unwrap();
        assert_eq!(head.status, 403);
        let signed = bucket.sign("HEAD", "Card/ü 1:2.mxf", None);
        let head = send("HEAD", &signed, &[], "").await.unwrap();
        assert_eq!(
            (head.status, head.header("content-length")),
            (200, Some("1000000"))
        );
        let forged = url.replace("x-serial", "x-serjal");
        assert!(
            ask(&forged, &[])
                .await
                .text()
                .contains("SignatureDoesNotMatch")
        );
        assert_eq!(ask(url.split('?').next().unwrap(), &[]).await.status, 403);
    }

    #[tokio::test]
    async fn an_address_expires_by_the_clock_by_its_use_or_by_a_fault() {
        let (bucket, clock) = bucket();
        let _server = start(&bucket, vec![Rule::new(Action::ExpireUrl).nth(2)]).await;
        let url = bucket.sign("GET", "Card/ü 1:2.mxf", None);
        assert_eq!(ask(&url, &[]).await.status, 200);
        let refused = ask(&url, &[]).await;
        assert_eq!(refused.status, 403);
        assert!(
            refused
                .text()
                .contains("<Message>Request has expired</Message>")
        );
        assert_eq!(ask(&url, &[]).await.status, 200);
        clock.advance(60_000);
        assert_eq!(ask(&url, &[]).await.status, 403);

        let mut object = bucket.get("Card/ü 1:2.mxf").unwrap();
        object.link_serves = Some(500_000);
        bucket.put("half", object);
        let first = bucket.sign("GET", "half", None);
        assert_eq!(
            ask(&first, &[("range", "bytes=0-499999")]).await.status,
            206
        );
        assert_eq!(ask(&first, &[("range", "bytes=500000-")]).await.status, 403);
        let second = bucket.sign("GET", "half", None);
        assert_eq!(
            ask(&second, &[("range", "bytes=500000-")]).await.status,
            206
        );
    }

    #[tokio::test]
    async fn a_cold_object_is_refused_until_it_has_thawed() {
        let (bucket, clock) = bucket();
        let mut object = bucket.get("Card/ü 1:2.mxf").unwrap();
        object.temperature = Temperature::Cold;
        bucket.put("cold", object);
        let _server = start(&bucket, vec![]).await;
        let url = bucket.sign("GET", "cold", None);
        assert!(ask(&url, &[]).await.text().contains("InvalidObjectState"));
        assert!(bucket.thaw("cold", 5_000));
        assert_eq!(ask(&url, &[]).await.status, 403);
        clock.advance(5_000);
        assert_eq!(ask(&url, &[]).await.status, 200);
        let gone = bucket.sign("GET", "nothing", None);
        assert!(ask(&gone, &[]).await.text().contains("NoSuchKey"));
    }

    #[tokio::test]
    async fn credentials_that_stray_to_the_bucket_are_counted() {
        let (bucket, _) = bucket();
        let _server = start(&bucket, vec![]).await;
        let url = bucket.sign("GET", "Card/ü 1:2.mxf", None);
        ask(&url, &[]).await;
        assert_eq!(bucket.leaks(), 0);
        ask(&url, &[("Auth-Token", "x")]).await;
        assert_eq!(bucket.leaks(), 1);
    }
}
