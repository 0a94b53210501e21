//! What a bucket takes in the manner of Backblaze B2: whole files, and large ones in parts.
//!
//! Each address has a token of its own that a header brings, and both are for one file.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use http::Method;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use sha1::{Digest as _, Sha1};

use super::uploads::tag;
use super::{Bucket, Exchange, Master, Object, Reply};

/// Largest body of one request here.
const BODY: u64 = 256 << 20;
/// Smallest part but the last.
const SMALLEST: usize = 5_000_000;

/// A large file that was begun.
#[derive(Default)]
pub(super) struct Large {
    key: String,
    parts: BTreeMap<u32, (Bytes, String)>,
}

/// What a token opens.
pub(super) struct Opens {
    key: String,
    /// Parts of this large file, else a whole file.
    large: Option<String>,
    until: i64,
}

fn wrong(status: u16, code: &str, message: &str) -> Reply {
    Reply::json(
        status,
        &json!({"status": status, "code": code, "message": message}),
    )
}

impl Bucket {
    /// An address and a token that take a whole file, or parts of a large one.
    pub fn open_b2(&self, key: &str, large: Option<&str>) -> (String, String) {
        let now = self.0.clock.now_ms();
        let mut inner = self.inner();
        inner.serial += 1;
        let (serial, url) = (inner.serial, &inner.url);
        let verb = match large {
            Some(_) => "b2_upload_part",
            None => "b2_upload_file",
        };
        let url = format!("{url}/b2api/v3/{verb}/c001_{serial}");
        let token = format!("4_token-{serial}-secret");
        let opens = Opens {
            key: key.to_owned(),
            large: large.map(str::to_owned),
            until: now.saturating_add_unsigned(inner.ttl_ms),
        };
        inner.tokens.insert(token.clone(), opens);
        (url, token)
    }

    /// Begins a large file; its id.
    pub fn begin_b2(&self, key: &str) -> String {
        let mut inner = self.inner();
        inner.serial += 1;
        let id = format!("4_zlarge_f{}", inner.serial);
        let large = Large {
            key: key.to_owned(),
            ..Large::default()
        };
        inner.large.insert(id.clone(), large);
        id
    }

    /// Whether a large file was begun and neither finished nor cancelled.
    pub fn knows_b2(&self, id: &str) -> bool {
        self.inner().large.contains_key(id)
    }

    /// Gives a large file up; whether there was one.
    pub fn cancel_b2(&self, id: &str) -> bool {
        self.inner().large.remove(id).is_some()
    }

    /// Makes a large file of its parts.
    ///
    /// # Errors
    ///
    /// B2's code for what is wrong.
    pub fn finish_b2(&self, id: &str, list: &[&str]) -> Result<(), &'static str> {
        let mut inner = self.inner();
        let own = inner.large.get(id).ok_or("bad_request")?;
        let numbered = own.parts.keys().copied().eq((1..).take(own.parts.len()));
        let same = own
            .parts
            .values()
            .map(|(_, sha1)| sha1.as_str())
            .eq(list.iter().copied());
        if !numbered || !same || own.parts.len() < 2 {
            return Err("bad_request");
        }
        let sizes = own.parts.values().rev().skip(1);
        if sizes.into_iter().any(|(part, _)| part.len() < SMALLEST) {
            return Err("bad_request");
        }
        let mut whole = BytesMut::new();
        for (part, _) in own.parts.values() {
            whole.extend_from_slice(part);
        }
        let key = own.key.clone();
        inner.large.remove(id);
        drop(inner);
        let etag = tag(&whole);
        self.put(&key, Object::new(Master::literal(whole.freeze()), &etag));
        Ok(())
    }

    /// Takes a file or a part.
    pub(super) async fn store_b2(&self, exchange: &mut Exchange) -> Reply {
        let header = |name: &str| exchange.header(name).map(str::to_owned);
        let (token, digest) = (header("authorization"), header("x-bz-content-sha1"));
        let (name, number) = (header("x-bz-file-name"), header("x-bz-part-number"));
        let typed = header("content-type").is_some();
        let body = match exchange.body.read_all(BODY).await {
            Ok(body) => body,
            Err(error) => return wrong(400, "bad_request", &error.to_string()),
        };
        let now = self.0.clock.now_ms();
        let mut inner = self.inner();
        let serial = exchange.path().rsplit("c001_").next().unwrap_or_default();
        let own = token.filter(|token| *token == format!("4_token-{serial}-secret"));
        let Some(opens) = own.and_then(|token| inner.tokens.get(&token)) else {
            return wrong(401, "bad_auth_token", "Invalid authorization token");
        };
        if opens.until <= now || exchange.faults.expire_url() {
            return wrong(401, "expired_auth_token", "Authorization token has expired");
        }
        let (key, large) = (opens.key.clone(), opens.large.clone());
        if exchange.method != Method::POST {
            return wrong(405, "method_not_allowed", "only POST is supported");
        }
        let sum = hex::encode(Sha1::digest(&body));
        if digest.as_deref() != Some(&sum) {
            return wrong(400, "bad_request", "Sha1 did not match data received");
        }
        let Some(large) = large else {
            let name = name.unwrap_or_default();
            if percent_decode_str(&name).decode_utf8_lossy() != key || !typed {
                return wrong(
                    400,
                    "bad_request",
                    "The file name or type is missing or wrong",
                );
            }
            drop(inner);
            let etag = tag(&body);
            self.put(&key, Object::new(Master::literal(body), &etag));
            return Reply::json(200, &json!({"fileName": key, "contentSha1": sum}));
        };
        let number = number.and_then(|number| number.parse().ok());
        let number = number.filter(|number| (1..=10_000).contains(number));
        let (Some(own), Some(number)) = (inner.large.get_mut(&large), number) else {
            return wrong(400, "bad_request", "No such file or part number");
        };
        own.parts.insert(number, (body, sum.clone()));
        let answer: Value = json!({"partNumber": number, "contentSha1": sum});
        Reply::json(200, &answer)
    }
}
