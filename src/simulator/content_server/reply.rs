//! From an outcome to what goes over the wire: headers, envelopes, streamed content.

use bytes::Bytes;
use futures::StreamExt;
use http::header::{CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE};
use jiff::Timestamp;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::answer::{Answer, Download, Outcome};
use super::config::Config;
use super::content::parse_range;
use crate::simulator::server::Reply;
use crate::types::{ByteRange, KIB};

/// Bytes of content read and sent at a time.
const FRAME: u64 = 256 * KIB;

/// How the answers of one request are wrapped.
pub(super) struct Sealed {
    suppress: bool,
    head: bool,
    announce: bool,
    ranges: bool,
    /// Set by a cluster for clients that have no node yet.
    pub(super) cookie: Option<String>,
}

impl Sealed {
    /// For a request with or without `suppress_response_codes`, with or without a body in its
    /// answer.
    pub(super) fn new(config: &Config, suppress: bool, head: bool) -> Self {
        Self {
            suppress,
            head,
            announce: config.announce_expiry,
            ranges: config.ranges,
            cookie: None,
        }
    }

    /// The answer, with a fresh ticket if there is one.
    pub(super) fn reply(
        &self,
        outcome: Outcome,
        ticket: Option<(String, Timestamp)>,
        range: Option<&str>,
    ) -> Reply {
        let mut reply = match outcome {
            Ok(Answer::Content(download)) => self.content(download, range),
            Ok(Answer::Json(body)) => self.json(200, body),
            Err(refusal) => {
                let (status, body, page) = refusal.into_parts();
                match body {
                    Value::String(page_text) if page => Reply::html(status, page_text),
                    body => self.json(status, body),
                }
            }
        };
        if let Some((ticket, expires)) = ticket {
            reply = reply.header("OTCSTicket", &ticket);
            if self.announce {
                let expires = expires.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
                reply = reply.header("OTCSTicketExpires", &expires);
            }
        }
        let now = httpdate::fmt_http_date(std::time::SystemTime::now());
        reply = reply.header("Date", &now);
        match &self.cookie {
            Some(cookie) => reply.add_header("Set-Cookie", cookie),
            None => reply,
        }
    }

    fn json(&self, status: u16, mut body: Value) -> Reply {
        let mut sent = status;
        if self.suppress {
            if let Value::Object(members) = &mut body {
                members.insert("statusCode".to_owned(), status.into());
            }
            sent = 200;
        }
        let reply = Reply::json(sent, &body)
            .header(CONTENT_TYPE.as_str(), "application/json; charset=UTF-8")
            .header(
                "Cache-Control",
                "no-cache, no-store, must-revalidate, max-age=0",
            )
            .header("Pragma", "no-cache")
            .header("Expires", "0");
        match (self.head, reply.len()) {
            (true, Some(len)) => reply.header(CONTENT_LENGTH.as_str(), &len.to_string()),
            _ => reply,
        }
    }

    fn content(&self, download: Download, range: Option<&str>) -> Reply {
        let Download {
            blob,
            flips,
            mime,
            file_name,
        } = download;
        let len = blob.len();
        let asked = range
            .filter(|_| self.ranges)
            .and_then(|header| parse_range(header, len));
        let (status, span) = match asked {
            None => (200, ByteRange::new(0, len)),
            Some(Ok(span)) => (206, span),
            Some(Err(())) => {
                return Reply::new(416).header(CONTENT_RANGE.as_str(), &format!("bytes */{len}"));
            }
        };
        let pieces: Vec<ByteRange> = match self.head {
            true => Vec::new(),
            false => span.pieces(FRAME).collect(),
        };
        let frames = futures::stream::iter(pieces).map(move |piece| {
            let size = usize::try_from(piece.len()).unwrap_or(0);
            let mut frame = vec![0; size];
            blob.read(piece.start, &mut frame)?;
            for flip in &flips {
                if let Some(byte) = flip
                    .checked_sub(piece.start)
                    .and_then(|at| frame.get_mut(usize::try_from(at).ok()?))
                {
                    *byte ^= 1;
                }
            }
            Ok(Bytes::from(frame))
        });
        let plain: String = file_name
            .chars()
            .map(|c| {
                if c.is_ascii() && !matches!(c, '"' | '\\') {
                    c
                } else {
                    '_'
                }
            })
            .collect();
        let encoded = utf8_percent_encode(&file_name, NON_ALPHANUMERIC);
        let disposition = format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}");
        let mut reply = Reply::stream(Some(span.len()), frames.boxed())
            .status(status)
            .header(CONTENT_TYPE.as_str(), &mime)
            .header(CONTENT_DISPOSITION.as_str(), &disposition);
        if self.head {
            reply = reply.header(CONTENT_LENGTH.as_str(), &len.to_string());
        }
        if status == 206 {
            let text = format!("bytes {}-{}/{len}", span.start, span.end - 1);
            reply = reply.header(CONTENT_RANGE.as_str(), &text);
        }
        if self.ranges {
            reply = reply.header("Accept-Ranges", "bytes");
        }
        reply
    }
}
