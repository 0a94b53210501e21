//! What a bucket takes in the manner of Google Cloud Storage: resumable uploads.
//!
//! A signed POST begins a session; whoever knows its address puts bytes in order, each chunk but
//! the last a multiple of 256 KiB. An answer of 308 says how far it is.

use bytes::BytesMut;
use http::Method;

use super::uploads::tag;
use super::{Bucket, Exchange, Master, Object, Reply, key, refusal};

/// Largest body of one request here.
const BODY: u64 = 256 << 20;
/// What every chunk but the last is a multiple of.
const STEP: u64 = 256 << 10;

/// A resumable upload.
#[derive(Default)]
pub(super) struct Session {
    path: String,
    content: BytesMut,
    /// The object is made.
    done: bool,
}

impl Bucket {
    /// Begins a session.
    pub(super) fn begin_session(&self, exchange: &Exchange) -> Reply {
        if exchange.method != Method::POST {
            return refusal(405, "MethodNotAllowed", "Method not allowed");
        }
        if exchange
            .header("content-length")
            .is_some_and(|len| len != "0")
        {
            return refusal(
                400,
                "InvalidArgument",
                "The request to begin has no content",
            );
        }
        let mut inner = self.inner();
        inner.serial += 1;
        let id = format!("session-{}-secret", inner.serial);
        let path = exchange.path().to_owned();
        let place = format!("{}{path}?upload_id={id}", inner.url);
        let session = Session {
            path,
            ..Session::default()
        };
        inner.sessions.insert(id.clone(), session);
        Reply::new(201)
            .header("location", &place)
            .header("x-guploader-uploadid", &id)
            .header("content-length", "0")
    }

    /// Answers a request to a session; nothing when it is to none.
    pub(super) async fn session(&self, exchange: &mut Exchange) -> Option<Reply> {
        let id = exchange.query().get("upload_id").cloned()?;
        let range = exchange.header("content-range").map(str::to_owned);
        let body = match exchange.body.read_all(BODY).await {
            Ok(body) => body,
            Err(error) => return Some(refusal(400, "IncompleteBody", &error.to_string())),
        };
        let wrong = |what: &str| Some(refusal(400, "InvalidArgument", what));
        let key = key(exchange);
        let mut inner = self.inner();
        if exchange.method == Method::DELETE {
            let known = inner.sessions.remove(&id).is_some();
            return Some(Reply::new(if known { 499 } else { 404 }));
        }
        let most = inner.google_takes.unwrap_or(u64::MAX);
        let own = inner.sessions.get_mut(&id);
        let Some(own) = own.filter(|own| own.path == exchange.path()) else {
            return Some(refusal(404, "NoSuchUpload", "The upload does not exist"));
        };
        if own.done {
            return Some(Reply::new(200));
        }
        let have = own.content.len() as u64;
        let range = range.unwrap_or_else(|| match body.len() {
            0 => "bytes */0".to_owned(),
            len => format!("bytes 0-{}/{len}", len - 1),
        });
        let Some((range, total)) = range
            .strip_prefix("bytes ")
            .and_then(|range| range.split_once('/'))
            .and_then(|(range, total)| Some((range, total.parse::<u64>().ok()?)))
        else {
            return wrong("Failed to parse Content-Range header.");
        };
        if range != "*" {
            let ends = range
                .split_once('-')
                .and_then(|(first, last)| Some((first.parse().ok()?, last.parse().ok()?)));
            let Some((first, last)): Option<(u64, u64)> = ends else {
                return wrong("Failed to parse Content-Range header.");
            };
            let len = body.len() as u64;
            if last.checked_sub(first).is_none_or(|most| most + 1 != len) || last >= total {
                return wrong("The Content-Range does not fit the content.");
            }
            if first > have {
                return wrong("Bytes are missing before the Content-Range.");
            }
            if last + 1 != total && !len.is_multiple_of(STEP) {
                return wrong("Chunks are multiples of 256 KiB.");
            }
            // What is there already is passed over.
            let from = usize::try_from(have - first).unwrap_or(usize::MAX);
            let rest = body.slice(from.min(body.len())..);
            let rest = rest.slice(..rest.len().min(usize::try_from(most).unwrap_or(usize::MAX)));
            own.content.extend_from_slice(&rest);
        }
        let have = own.content.len() as u64;
        if have < total {
            let reply = Reply::new(308);
            return Some(match have {
                0 => reply,
                _ => reply.header("range", &format!("bytes=0-{}", have - 1)),
            });
        }
        own.done = true;
        let content = std::mem::take(&mut own.content).freeze();
        drop(inner);
        let etag = tag(&content);
        self.put(&key, Object::new(Master::literal(content), &etag));
        Some(Reply::new(200).header("etag", &format!("\"{etag}\"")))
    }

    /// Most bytes that a session keeps of one chunk: a store may take less than was sent.
    pub fn set_google_takes(&self, most: Option<u64>) {
        self.inner().google_takes = most;
    }

    /// Forgets the sessions, as the store does after a week.
    pub fn forget_sessions(&self) {
        self.inner().sessions.clear();
    }
}
