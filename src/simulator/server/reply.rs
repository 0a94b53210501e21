//! What a service answers: a status, headers and a body that may be a stream.

use std::io;

use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::Serialize;

/// The body of a [`Reply`].
pub enum ReplyBody {
    /// In memory.
    Full(Bytes),
    /// Passing once. With a length it is announced, otherwise sent in chunks.
    Stream {
        /// Content-Length.
        len: Option<u64>,
        /// The bytes; an error cuts the connection.
        stream: BoxStream<'static, io::Result<Bytes>>,
    },
}

/// How a service ends an exchange without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HangUp {
    /// Closes the connection.
    Close,
    /// Resets it.
    Reset,
}

/// The answer to an exchange.
pub struct Reply {
    /// Status code.
    pub status: StatusCode,
    /// Headers, without Content-Length (the body knows) unless it is to differ (HEAD).
    pub headers: HeaderMap,
    /// Body.
    pub body: ReplyBody,
    /// Set to end the connection instead of answering.
    pub hang_up: Option<HangUp>,
}

impl Reply {
    /// An answer without a body. A code outside 100–999 becomes 500.
    pub fn new(status: u16) -> Self {
        Self {
            status: StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            headers: HeaderMap::new(),
            body: ReplyBody::Full(Bytes::new()),
            hang_up: None,
        }
    }

    /// A JSON answer.
    pub fn json(status: u16, value: &impl Serialize) -> Self {
        match serde_json::to_vec(value) {
            Ok(text) => Self::new(status).content("application/json", text),
            Err(error) => Self::text(500, error.to_string()),
        }
    }

    /// A plain text answer.
    pub fn text(status: u16, text: impl Into<String>) -> Self {
        Self::new(status).content("text/plain; charset=utf-8", text.into())
    }

    /// A page.
    pub fn html(status: u16, text: impl Into<String>) -> Self {
        Self::new(status).content("text/html; charset=utf-8", text.into())
    }

    /// A streamed answer; the status is 200.
    pub fn stream(len: Option<u64>, stream: BoxStream<'static, io::Result<Bytes>>) -> Self {
        Self {
            body: ReplyBody::Stream { len, stream },
            ..Self::new(200)
        }
    }

    /// No answer at all: the connection closes.
    pub fn hang_up() -> Self {
        Self {
            hang_up: Some(HangUp::Close),
            ..Self::new(500)
        }
    }

    /// No answer at all: the connection is reset.
    pub fn reset() -> Self {
        Self {
            hang_up: Some(HangUp::Reset),
            ..Self::new(500)
        }
    }

    /// With this body of this type.
    #[must_use]
    pub fn content(mut self, kind: &str, body: impl Into<Bytes>) -> Self {
        self.body = ReplyBody::Full(body.into());
        self.header(CONTENT_TYPE.as_str(), kind)
    }

    /// With this status.
    #[must_use]
    pub fn status(mut self, status: u16) -> Self {
        self.status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        self
    }

    /// With this header, replacing one of the same name. Names and values that HTTP cannot carry
    /// are left out.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        if let (Ok(name), Ok(value)) = (
            HeaderName::from_bytes(name.as_bytes()),
            HeaderValue::from_bytes(value.as_bytes()),
        ) {
            self.headers.insert(name, value);
        }
        self
    }

    /// With one more header of this name (cookies).
    #[must_use]
    pub fn add_header(mut self, name: &str, value: &str) -> Self {
        if let (Ok(name), Ok(value)) = (
            HeaderName::from_bytes(name.as_bytes()),
            HeaderValue::from_bytes(value.as_bytes()),
        ) {
            self.headers.append(name, value);
        }
        self
    }

    /// Body length when known before it is sent.
    pub fn len(&self) -> Option<u64> {
        match &self.body {
            ReplyBody::Full(bytes) => Some(bytes.len() as u64),
            ReplyBody::Stream { len, .. } => *len,
        }
    }

    /// Whether the body is known to be empty.
    pub fn is_empty(&self) -> bool {
        self.len() == Some(0)
    }
}

impl ReplyBody {
    pub(super) fn into_stream(self) -> BoxStream<'static, io::Result<Bytes>> {
        match self {
            Self::Full(bytes) if bytes.is_empty() => futures::stream::empty().boxed(),
            Self::Full(bytes) => futures::stream::iter([Ok(bytes)]).boxed(),
            Self::Stream { stream, .. } => stream,
        }
    }
}
