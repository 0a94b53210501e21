//! A request under construction.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use ::http::header::{ACCEPT_ENCODING, CONTENT_TYPE};
use ::http::{HeaderMap, HeaderName, HeaderValue, Method};
use bytes::Bytes;
use futures::stream::BoxStream;
use url::Url;

use super::{CookieJar, Credential, Error, Origin, SignedUrl};
use crate::pace::Calls;
use crate::types::{ByteCount, Failure};

/// What may happen to a request that got no clear answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// Idempotent: tried again on connect errors, time-outs, 429, 502-504 and HTML pages.
    Safe,
    /// Tried again only when no byte of it can have reached the server (connect errors).
    IfNotSent,
}

/// A request body.
pub enum Body {
    /// No body.
    Empty,
    /// In memory, in order; can be sent again.
    Chunks(Vec<Bytes>),
    /// Exactly `len` bytes that pass once. An error inside, and any other length, ends the
    /// request before its last byte.
    Stream {
        /// Content-Length.
        len: ByteCount,
        /// The bytes.
        stream: BoxStream<'static, Result<Bytes, Failure>>,
    },
}

/// A request under construction.
pub struct Request {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) signed: bool,
    pub(super) secret_path: bool,
    pub(super) guarded: bool,
    pub(super) headers: HeaderMap,
    /// Behind a lock that nobody contends for: a stream can be sent to another thread but not
    /// shared, and the futures that hold a request must be able to move.
    pub(super) body: Mutex<Body>,
    pub(super) repeat: Repeat,
    pub(super) first_byte: Option<Duration>,
    pub(super) min_bytes_per_minute: Option<u64>,
    pub(super) expect_continue: bool,
    pub(super) cookies: Option<CookieJar>,
    pub(super) pace: Option<Arc<Calls>>,
}

impl Request {
    /// A request to an address that a person typed, or that is derived from one. Repeats are
    /// [`Repeat::Safe`] for GET and HEAD, otherwise [`Repeat::IfNotSent`].
    pub fn new(method: Method, url: Url) -> Self {
        let repeat = if matches!(method, Method::GET | Method::HEAD) {
            Repeat::Safe
        } else {
            Repeat::IfNotSent
        };
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        Self {
            method,
            url,
            signed: false,
            secret_path: false,
            guarded: false,
            headers,
            body: Mutex::new(Body::Empty),
            repeat,
            first_byte: None,
            min_bytes_per_minute: None,
            expect_continue: false,
            cookies: None,
            pace: None,
        }
    }

    /// A request to a signed address: carries no credential, and its host is guarded against
    /// private and metadata addresses.
    pub fn signed(method: Method, url: &SignedUrl) -> Self {
        let mut request = Self::new(method, url.expose().clone()).guarded();
        request.signed = true;
        request
    }

    /// Guards the host against private and metadata addresses: for an address that an API
    /// returned, rather than one that a person typed.
    #[must_use]
    pub fn guarded(mut self) -> Self {
        self.guarded = true;
        self
    }

    /// Says that the path holds a secret: logs show a digest of the address instead.
    #[must_use]
    pub fn secret_path(mut self) -> Self {
        self.secret_path = true;
        self
    }

    /// Sets a header. `Accept-Encoding` stays `identity`.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        if name != ACCEPT_ENCODING {
            self.headers.insert(name, value);
        }
        self
    }

    /// Adds a credential's headers.
    ///
    /// # Errors
    ///
    /// [`Error::CredentialOrigin`] when the request goes to another origin, or is signed;
    /// [`Error::Config`] when the secret cannot be a header.
    pub fn credential(mut self, credential: &Credential) -> Result<Self, Error> {
        let origin = Origin::of(&self.url)?;
        if self.signed || origin != *credential.origin() {
            return Err(Error::CredentialOrigin {
                host: origin.to_string(),
                belongs: credential.origin().to_string(),
            });
        }
        for (name, value) in credential.values()? {
            self.headers.insert(name, value);
        }
        Ok(self)
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: Body) -> Self {
        self.body = Mutex::new(body);
        self
    }

    /// Sets a form-urlencoded body and its content type.
    #[must_use]
    pub fn form(self, fields: &[(&str, &str)]) -> Self {
        let text = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(fields)
            .finish();
        self.header(
            CONTENT_TYPE,
            HeaderValue::from_static("application/x-www-form-urlencoded"),
        )
        .body(Body::Chunks(vec![text.into()]))
    }

    /// Sets a JSON body and its content type.
    #[must_use]
    pub fn json(self, value: &serde_json::Value) -> Self {
        self.header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .body(Body::Chunks(vec![value.to_string().into()]))
    }

    /// Says whether the request may be repeated.
    #[must_use]
    pub fn repeat(mut self, repeat: Repeat) -> Self {
        self.repeat = repeat;
        self
    }

    /// Time to the response head, when it differs from the configured one (long server work).
    #[must_use]
    pub fn first_byte(mut self, limit: Duration) -> Self {
        self.first_byte = Some(limit);
        self
    }

    /// Fewest bytes per minute while a body moves, when it differs from the configured number.
    #[must_use]
    pub fn min_bytes_per_minute(mut self, bytes: u64) -> Self {
        self.min_bytes_per_minute = Some(bytes);
        self
    }

    /// Asks the server to agree before the body is sent (`Expect: 100-continue`), so that a
    /// refusal comes before gigabytes do. A server that does not know the header gets the body
    /// after a short wait.
    #[must_use]
    pub fn expect_continue(mut self) -> Self {
        self.expect_continue = true;
        self
    }

    /// Uses and fills a cookie jar.
    #[must_use]
    pub fn cookies(mut self, jar: &CookieJar) -> Self {
        self.cookies = Some(jar.clone());
        self
    }

    /// Every attempt waits for a call permit first; what the server says about its rate limit is
    /// reported back.
    #[must_use]
    pub fn pace(mut self, calls: &Arc<Calls>) -> Self {
        self.pace = Some(Arc::clone(calls));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credential(origin: &str) -> Credential {
        Credential::new(
            Origin::of(&Url::parse(origin).unwrap()).unwrap(),
            vec![(HeaderName::from_static("otcsticket"), "canary".into())],
        )
    }

    #[test]
    fn a_credential_goes_to_its_own_origin_only() {
        let to = |url: &str| Request::new(Method::GET, Url::parse(url).unwrap());
        let mine = credential("https://cs.example");
        assert!(
            to("https://cs.example/otcs/cs.exe?x")
                .credential(&mine)
                .is_ok()
        );
        for other in [
            "http://cs.example/",
            "https://cs.example:444/",
            "https://cs.example.evil.test/",
            "https://cs.example@evil.test/",
        ] {
            let error = to(other).credential(&mine).err().unwrap();
            assert!(error.not_sent());
            assert!(!error.to_string().contains("canary"), "{error}");
        }
    }

    #[test]
    fn a_signed_request_takes_no_credential_even_for_the_same_origin() {
        let url = SignedUrl::parse("https://cs.example/file?sig=1").unwrap();
        let refused =
            Request::signed(Method::GET, &url).credential(&credential("https://cs.example"));
        assert!(matches!(
            refused.err(),
            Some(Error::CredentialOrigin { .. })
        ));
    }

    #[test]
    fn compressed_answers_are_never_asked_for() {
        let request = Request::new(Method::GET, Url::parse("https://a.test/").unwrap())
            .header(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        assert_eq!(request.headers[ACCEPT_ENCODING], "identity");
    }

    #[test]
    fn forms_are_encoded() {
        let request = Request::new(Method::POST, Url::parse("https://a.test/").unwrap())
            .form(&[("password", "a&b=c d+é")]);
        let Body::Chunks(chunks) = request.body.into_inner().unwrap() else {
            panic!("a form is held in memory");
        };
        assert_eq!(chunks.concat(), b"password=a%26b%3Dc+d%2B%C3%A9");
    }
}
