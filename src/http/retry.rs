//! When and how long to wait before a request is repeated.
//!
//! Waits between attempts double and have full jitter, so that many clients that failed together
//! do not come back together. A server that throttles is obeyed by every request to its host:
//! the [`Gates`] hold them all until the time it named.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use ::http::header::RETRY_AFTER;
use ::http::{HeaderMap, StatusCode};
use rand::RngExt as _;
use tokio::time::Instant;

use super::Origin;
use super::response::is_html;

/// The wait that a response asks for: whole seconds or an HTTP date, at most `cap`. `None` when
/// there is none, or nonsense.
///
/// Source: RFC 9110, section 10.2.3.
pub(super) fn retry_after(headers: &HeaderMap, cap: Duration) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit is a very long time, not nonsense.
        text.parse().map_or(Duration::MAX, Duration::from_secs)
    } else {
        let until = httpdate::parse_http_date(text).ok()?;
        until.duration_since(SystemTime::now()).unwrap_or_default()
    };
    Some(wait.min(cap))
}

/// What a response head says about repeating.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Final: the caller's to read.
    Final,
    /// The server, or something before it, has a passing disturbance.
    Disturbed,
    /// The server asks for fewer requests.
    Throttled(Option<Duration>),
}

/// Sorts a response head.
pub(super) fn judge(status: StatusCode, headers: &HeaderMap, cap: Duration) -> Verdict {
    let asked = retry_after(headers, cap);
    let html = headers
        .get(::http::header::CONTENT_TYPE)
        .is_some_and(is_html);
    match status.as_u16() {
        429 => Verdict::Throttled(asked),
        503 if asked.is_some() => Verdict::Throttled(asked),
        502..=504 => Verdict::Disturbed,
        500..=599 if html => Verdict::Disturbed,
        _ => Verdict::Final,
    }
}

/// The wait before attempt `attempt + 1`: anything up to `base` doubled per attempt.
pub(super) fn backoff(attempt: u32, base: Duration, cap: Duration) -> Duration {
    let most = base
        .saturating_mul(1 << attempt.saturating_sub(1).min(16))
        .min(cap);
    most.mul_f64(rand::rng().random_range(0.0..=1.0))
}

/// Until when each origin asked to be left alone.
#[derive(Debug, Default)]
pub(super) struct Gates(Mutex<HashMap<Origin, Instant>>);

impl Gates {
    /// Holds every request to `origin` back for `wait`; a longer hold stays.
    pub(super) fn hold(&self, origin: &Origin, wait: Duration) {
        let now = Instant::now();
        let mut gates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        gates.retain(|_, until| *until > now);
        let until = gates.entry(origin.clone()).or_insert(now);
        *until = (*until).max(now + wait);
    }

    fn until(&self, origin: &Origin) -> Option<Instant> {
        let gates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        gates.get(origin).copied()
    }

    /// Waits until `origin` may be asked again. Dropping the wait loses nothing.
    pub(super) async fn pass(&self, origin: &Origin) {
        while let Some(until) = self.until(origin) {
            let now = Instant::now();
            if until <= now {
                return;
            }
            // Those who waited together do not all start in the same instant.
            let spread = (until - now).mul_f64(rand::rng().random_range(0.0..0.1));
            tokio::time::sleep_until(until + spread.min(Duration::from_secs(2))).await;
        }
    }
}

/// Any bytes as a `Retry-After`.
#[cfg(any(test, fuzzing))]
pub(crate) fn fuzz(bytes: &[u8]) {
    let cap = Duration::from_secs(900);
    if let Ok(value) = ::http::HeaderValue::from_bytes(bytes) {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, value);
        assert!(retry_after(&headers, cap).is_none_or(|wait| wait <= cap));
        for status in [200, 429, 500, 503] {
            let status = StatusCode::from_u16(status).expect("a status");
            if let Verdict::Throttled(Some(wait)) = judge(status, &headers, cap) {
                assert!(wait <= cap && status != StatusCode::OK);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use url::Url;

    use super::*;

    const CAP: Duration = Duration::from_secs(900);

    fn asked(text: &str) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, text.parse().unwrap());
        retry_after(&headers, CAP)
    }

    #[test]
    fn retry_after_is_read_as_seconds_or_a_date_and_capped() {
        let secs = Duration::from_secs;
        assert_eq!(asked("7"), Some(secs(7)));
        assert_eq!(asked(" 0 "), Some(Duration::ZERO));
        assert_eq!(asked("86400"), Some(CAP));
        assert_eq!(asked("99999999999999999999999"), Some(CAP));
        assert_eq!(asked("Thu, 01 Jan 1970 00:00:00 GMT"), Some(Duration::ZERO));
        let soon = httpdate::fmt_http_date(SystemTime::now() + secs(100));
        let wait = asked(&soon).unwrap();
        assert!(wait <= secs(100) && wait >= secs(90), "{wait:?}");
        let far = httpdate::fmt_http_date(SystemTime::now() + secs(10_000_000_000));
        assert_eq!(asked(&far), Some(CAP));
        for garbage in ["", "-5", "soon", "1.5", "0x10"] {
            assert_eq!(asked(garbage), None, "{garbage:?}");
        }
    }

    #[test]
    fn gateway_errors_and_html_pages_pass_but_json_errors_are_final() {
        let mut html = HeaderMap::new();
        html.insert(
            ::http::header::CONTENT_TYPE,
            "Text/HTML; charset=utf-8".parse().unwrap(),
        );
        let plain = HeaderMap::new();
        let judge = |status: u16, headers: &HeaderMap| {
            super::judge(StatusCode::from_u16(status).unwrap(), headers, CAP)
        };
        for status in [502, 503, 504] {
            assert_eq!(judge(status, &plain), Verdict::Disturbed);
        }
        assert_eq!(judge(500, &html), Verdict::Disturbed);
        assert_eq!(judge(500, &plain), Verdict::Final);
        assert_eq!(judge(200, &html), Verdict::Final);
        assert_eq!(judge(404, &html), Verdict::Final);
        assert_eq!(judge(429, &plain), Verdict::Throttled(None));
        let mut asked = HeaderMap::new();
        asked.insert(RETRY_AFTER, "3".parse().unwrap());
        let three = Some(Duration::from_secs(3));
        assert_eq!(judge(503, &asked), Verdict::Throttled(three));
        assert_eq!(judge(429, &asked), Verdict::Throttled(three));
    }

    proptest! {
        #[test]
        fn backoff_never_exceeds_its_cap_nor_the_doubled_base(attempt in 0u32..200, base in 0u64..10_000) {
            let (base, cap) = (Duration::from_millis(base), Duration::from_secs(30));
            let wait = backoff(attempt, base, cap);
            prop_assert!(wait <= cap);
            prop_assert!(wait <= base.saturating_mul(1 << attempt.saturating_sub(1).min(16)));
        }

        #[test]
        fn no_header_makes_retry_after_panic(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            if let Ok(value) = ::http::HeaderValue::from_bytes(&bytes) {
                let mut headers = HeaderMap::new();
                headers.insert(RETRY_AFTER, value);
                prop_assert!(retry_after(&headers, CAP).is_none_or(|wait| wait <= CAP));
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_gate_holds_every_request_to_its_origin_and_no_other() {
        let origin = |text: &str| Origin::of(&Url::parse(text).unwrap()).unwrap();
        let (here, there) = (origin("https://a.test"), origin("https://b.test"));
        let gates = Gates::default();
        let start = Instant::now();
        gates.hold(&here, Duration::from_secs(60));
        gates.hold(&here, Duration::from_secs(5));
        gates.pass(&there).await;
        assert_eq!(start.elapsed(), Duration::ZERO);
        gates.pass(&here).await;
        assert!(start.elapsed() >= Duration::from_secs(60));
        assert!(start.elapsed() <= Duration::from_secs(62));
        gates.pass(&here).await;
    }
}
