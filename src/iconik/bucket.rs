//! What an object store's answer means: is it the range asked for, of the generation pinned?
//!
//! Every answer is compared, not only the first. An answer that is not exactly what was asked for
//! is refused before its first byte is used.

use ::http::header::{
    CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, LAST_MODIFIED, LOCATION,
};
use ::http::{HeaderMap, HeaderName, StatusCode};
use std::time::Duration;

use crate::transfer::Validator;
use crate::types::{ByteCount, ByteRange, Failure, FailureClass, Reason};

/// What an answer's head says about the content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// Bytes of the whole object.
    pub(super) size: ByteCount,
    /// Whether the answer is the range asked for, rather than the whole object.
    pub(super) partial: bool,
    etag: Option<String>,
    last_modified: Option<String>,
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

/// Reads `bytes 0-9/100` as a half-open range and the total.
fn content_range(text: &str) -> Option<(ByteRange, ByteCount)> {
    let (range, total) = text.strip_prefix("bytes ")?.trim().split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
    let total = total.parse().ok()?;
    (first <= last && last < total).then(|| (ByteRange::new(first, last + 1), total))
}

/// Judges a successful answer to a request for `range`. `whole` is the object's size when the
/// range is all of it: then an answer without ranges serves as well.
pub(super) fn head(
    status: StatusCode,
    headers: &HeaderMap,
    range: ByteRange,
    whole: Option<ByteCount>,
) -> Result<Head, Failure> {
    if let Some(encoding) = text(headers, &CONTENT_ENCODING)
        .filter(|encoding| !encoding.is_empty() && !encoding.eq_ignore_ascii_case("identity"))
    {
        let encoding: String = encoding.chars().take(40).collect();
        return Err(Failure::item(
            Reason::Other,
            format!(
                "the storage sends the file with content-encoding {encoding:?}; its bytes cannot be compared"
            ),
        ));
    }
    let kind = text(headers, &CONTENT_TYPE)
        .unwrap_or_default()
        .to_ascii_lowercase();
    let length: Option<u64> = text(headers, &CONTENT_LENGTH).and_then(|len| len.parse().ok());
    // A weak tag does not promise equal bytes.
    let etag = text(headers, &ETAG)
        .filter(|etag| !etag.is_empty() && !etag.starts_with("W/"))
        .map(str::to_owned);
    let last_modified = text(headers, &LAST_MODIFIED).map(str::to_owned);
    let quoted = headers.get(CONTENT_RANGE);
    if status == StatusCode::PARTIAL_CONTENT {
        if kind.starts_with("multipart/") {
            return Err(Failure::transient(
                "the storage answered with several ranges in one",
            ));
        }
        let Some((got, size)) = text(headers, &CONTENT_RANGE).and_then(content_range) else {
            return Err(Failure::transient(
                "the storage answered 206 without a range that can be read",
            ));
        };
        if got != range {
            return Err(Failure::transient(format!(
                "the storage answered with bytes {got}, asked for were {range}"
            )));
        }
        if length.is_some_and(|length| length != range.len()) {
            return Err(Failure::transient(format!(
                "the storage announced {} bytes for range {range}",
                length.unwrap_or_default()
            )));
        }
        return Ok(Head {
            size,
            partial: true,
            etag,
            last_modified,
        });
    }
    // A whole answer (200).
    if quoted.is_some() {
        return Err(Failure::transient(
            "the storage answered 200 and quotes a range",
        ));
    }
    let html = kind.starts_with("text/html");
    match (whole, length) {
        (Some(size), Some(length)) if size == length => Ok(Head {
            size,
            partial: false,
            etag,
            last_modified,
        }),
        // A captive portal, or a proxy's excuse.
        _ if html => Err(Failure::transient(
            "a web page came instead of the file's bytes",
        )),
        (Some(size), Some(length)) => Err(changed(format!(
            "the file has {length} bytes now, expected were {size}"
        ))),
        (Some(_), None) => Err(Failure::transient("the storage did not announce a length")),
        (None, _) => Err(Failure::new(
            FailureClass::RetryNow,
            Reason::NoRanges,
            format!("the storage does not honour byte ranges ({status} for range {range})"),
        )),
    }
}

impl Head {
    /// The generation this answer belongs to.
    pub(super) fn validator(&self) -> Validator {
        Validator {
            size: self.size,
            etag: self.etag.clone(),
            last_modified: self.last_modified.clone(),
        }
    }

    /// Refuses an answer of another generation than `pin`.
    pub(super) fn check(&self, pin: &Validator) -> Result<(), Failure> {
        if self.size != pin.size {
            return Err(changed(format!(
                "the file has {} bytes now, pinned were {}",
                self.size, pin.size
            )));
        }
        match (&pin.etag, &self.etag) {
            (Some(pinned), Some(etag)) if pinned != etag => {
                return Err(changed("the file's entity tag changed while it was read"));
            }
            (Some(_), Some(_)) => return Ok(()),
            _ => {}
        }
        match (&pin.last_modified, &self.last_modified) {
            (Some(pinned), Some(date)) if pinned != date => Err(changed(
                "the file's modification date changed while it was read",
            )),
            (Some(_), Some(_)) => Ok(()),
            // The tag is gone and nothing else speaks for this being the same content.
            _ if pin.etag.is_some() => Err(changed("the storage no longer quotes an entity tag")),
            _ => Ok(()),
        }
    }
}

fn changed(message: impl Into<String>) -> Failure {
    Failure::new(FailureClass::RetryNow, Reason::SourceChanged, message)
}

/// What a refusal of an object store asks of the caller. `body` is its XML or JSON, of which only
/// well-known words are used: it may repeat the address.
pub(super) fn refusal(
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    retry_after: Option<Duration>,
) -> Failure {
    let body = String::from_utf8_lossy(&body[..body.len().min(16 << 10)]);
    let says = |word: &str| body.contains(word);
    let mut failure = match status.as_u16() {
        403 if says("InvalidObjectState") => Failure::new(
            FailureClass::RetryLater,
            Reason::ColdStorage,
            "the file's bytes are in cold storage",
        ),
        401 | 403 => resign("the storage no longer accepts the signed address", status),
        400 if [
            "ExpiredToken",
            "Request has expired",
            "TokenRefreshRequired",
            "InvalidToken",
            "bad_auth_token",
            "expired_auth_token",
        ]
        .iter()
        .any(|word| says(word)) =>
        {
            resign("the signed address has expired", status)
        }
        404 | 410 => Failure::item(
            Reason::NotFound,
            format!("the storage does not have the file ({status})"),
        ),
        412 | 416 => changed(format!("the file is not what it was ({status})")),
        429 | 503 => Failure::new(
            FailureClass::RetryLater,
            Reason::Other,
            format!("the storage asks to slow down ({status})"),
        ),
        408 | 500..=599 => Failure::transient(format!("the storage answered {status}")),
        300..=399 => {
            let place = if headers.contains_key(LOCATION) {
                "elsewhere"
            } else {
                "nowhere"
            };
            Failure::item(
                Reason::Other,
                format!(
                    "the storage redirects {place} ({status}); redirects of signed addresses are not followed"
                ),
            )
        }
        _ if says("SlowDown") || says("RequestTimeout") => {
            Failure::transient(format!("the storage answered {status}"))
        }
        _ => Failure::item(Reason::Other, format!("the storage answered {status}")),
    };
    failure.retry_after = retry_after;
    failure
}

fn resign(message: &str, status: StatusCode) -> Failure {
    Failure::new(
        FailureClass::Resign,
        Reason::Other,
        format!("{message} ({status})"),
    )
}

/// Any bytes as a `Content-Range`, in answers to requests for several ranges.
#[cfg(any(test, fuzzing))]
pub(crate) fn fuzz(bytes: &[u8]) {
    let Ok(value) = ::http::HeaderValue::from_bytes(bytes) else {
        return;
    };
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_RANGE, value);
    let quoted = text(&headers, &CONTENT_RANGE).and_then(content_range);
    for range in [
        ByteRange::new(0, 1),
        ByteRange::new(10, 20),
        ByteRange::new(0, u64::MAX),
    ] {
        if let Ok(found) = head(StatusCode::PARTIAL_CONTENT, &headers, range, None) {
            let (got, size) = quoted.expect("a range was taken that cannot be read");
            assert_eq!((got, size), (range, found.size));
            assert!(range.end <= size);
        }
        // A whole answer that quotes a range is no whole answer.
        assert!(head(StatusCode::OK, &headers, range, Some(range.len())).is_err());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                (
                    HeaderName::from_bytes(name.as_bytes()).unwrap(),
                    value.parse().unwrap(),
                )
            })
            .collect()
    }

    const RANGE: ByteRange = ByteRange { start: 10, end: 20 };

    fn partial(pairs: &[(&str, &str)]) -> Result<Head, Failure> {
        head(StatusCode::PARTIAL_CONTENT, &headers(pairs), RANGE, None)
    }

    #[test]
    fn a_range_is_taken_only_when_it_is_the_one_asked_for() {
        let good = partial(&[("content-range", "bytes 10-19/100"), ("etag", "\"a\"")]).unwrap();
        assert_eq!(good.validator().etag.as_deref(), Some("\"a\""));
        assert_eq!(good.size, 100);
        for bad in [
            "bytes 10-18/100",
            "bytes 0-9/100",
            "bytes 10-19/*",
            "bytes 10-19",
            "bytes 19-10/100",
            "bytes 10-19/15",
            "10-19/100",
        ] {
            let failure = partial(&[("content-range", bad)]).unwrap_err();
            assert_eq!(failure.class, FailureClass::RetryNow, "{bad}");
        }
        assert!(partial(&[]).is_err());
        assert!(
            partial(&[
                ("content-range", "bytes 10-19/100"),
                ("content-length", "9")
            ])
            .is_err()
        );
        let several = [
            ("content-range", "bytes 10-19/100"),
            ("content-type", "multipart/byteranges; boundary=x"),
        ];
        assert!(partial(&several).is_err());
        let encoded = [
            ("content-range", "bytes 10-19/100"),
            ("content-encoding", "gzip"),
        ];
        assert_eq!(
            partial(&encoded).unwrap_err().class,
            FailureClass::ItemIsWrong
        );
    }

    #[test]
    fn a_whole_answer_serves_only_a_request_for_the_whole() {
        let whole =
            |pairs: &[(&str, &str)], size| head(StatusCode::OK, &headers(pairs), RANGE, size);
        let refused = whole(&[("content-length", "100")], None).unwrap_err();
        assert_eq!(refused.reason, Reason::NoRanges);
        assert!(
            !whole(&[("content-length", "100")], Some(100))
                .unwrap()
                .partial
        );
        let other = whole(&[("content-length", "99")], Some(100)).unwrap_err();
        assert_eq!(other.reason, Reason::SourceChanged);
        let page = whole(
            &[("content-length", "99"), ("content-type", "text/html")],
            Some(100),
        );
        assert_eq!(page.unwrap_err().reason, Reason::Other);
        let portal = whole(&[("content-type", "text/html")], None).unwrap_err();
        assert_eq!(
            (portal.class, portal.reason),
            (FailureClass::RetryNow, Reason::Other)
        );
        let quotes = [
            ("content-length", "100"),
            ("content-range", "bytes 10-19/100"),
        ];
        assert!(whole(&quotes, Some(100)).is_err());
    }

    #[test]
    fn another_generation_is_noticed_by_tag_size_or_date() {
        let answer = |pairs: &[(&str, &str)]| {
            let mut all = vec![("content-range", "bytes 10-19/100")];
            all.extend(pairs);
            partial(&all).unwrap()
        };
        let first = answer(&[("etag", "\"a\""), ("last-modified", "Mon")]).validator();
        assert!(
            answer(&[("etag", "\"a\""), ("last-modified", "Tue")])
                .check(&first)
                .is_ok()
        );
        let reason = |pairs: &[(&str, &str)]| answer(pairs).check(&first).unwrap_err().reason;
        assert_eq!(reason(&[("etag", "\"b\"")]), Reason::SourceChanged);
        assert_eq!(reason(&[("etag", "W/\"a\"")]), Reason::SourceChanged);
        assert!(answer(&[("last-modified", "Mon")]).check(&first).is_ok());
        let smaller = Validator { size: 99, ..first };
        assert!(answer(&[("etag", "\"a\"")]).check(&smaller).is_err());
        let untagged = answer(&[("etag", "W/\"a\"")]).validator();
        assert!(answer(&[("etag", "W/\"b\"")]).check(&untagged).is_ok());
    }

    #[test]
    fn refusals_say_what_to_do() {
        let of = |status: u16, body: &str| {
            let status = StatusCode::from_u16(status).unwrap();
            let failure = refusal(status, &HeaderMap::new(), body.as_bytes(), None);
            (failure.class, failure.reason)
        };
        use FailureClass::{ItemIsWrong, Resign, RetryLater, RetryNow};
        let expired =
            "<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>";
        assert_eq!(of(403, expired), (Resign, Reason::Other));
        assert_eq!(
            of(400, "<Code>ExpiredToken</Code>"),
            (Resign, Reason::Other)
        );
        assert_eq!(
            of(400, "<Code>InvalidArgument</Code>"),
            (ItemIsWrong, Reason::Other)
        );
        assert_eq!(
            of(403, "<Code>InvalidObjectState</Code>"),
            (RetryLater, Reason::ColdStorage)
        );
        assert_eq!(of(404, ""), (ItemIsWrong, Reason::NotFound));
        assert_eq!(of(416, ""), (RetryNow, Reason::SourceChanged));
        assert_eq!(
            of(503, "<Code>SlowDown</Code>"),
            (RetryLater, Reason::Other)
        );
        assert_eq!(of(500, ""), (RetryNow, Reason::Other));
        assert_eq!(of(307, ""), (ItemIsWrong, Reason::Other));
    }

    proptest! {
        #[test]
        fn no_content_range_makes_the_reading_panic(text in "\\PC{0,40}", a in any::<u64>(), b in any::<u64>(), c in any::<u64>()) {
            content_range(&text);
            if let Some((range, total)) = content_range(&format!("bytes {a}-{b}/{c}")) {
                prop_assert!(!range.is_empty() && range.end <= total);
            }
        }
    }
}
