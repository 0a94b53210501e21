//! Cookies of one upload session, so that a balancer keeps it on one frontend.
//!
//! Deliberately small: cookies are bound to the origin that set them, paths and domains are
//! ignored, and only `Max-Age` and `Expires` in the past (deletion) are honoured.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use ::http::header::SET_COOKIE;
use ::http::{HeaderMap, HeaderValue};

use super::Origin;

/// More than any balancer sets; bounds what a server can make us keep.
const MAX_COOKIES: usize = 64;
/// Longest name and value together, as browsers have it.
const MAX_COOKIE: usize = 4096;

type Jar = HashMap<Origin, BTreeMap<String, String>>;

/// Cookies, shared between clones. `Debug` shows how many, never what.
#[derive(Clone, Default)]
pub struct CookieJar(Arc<Mutex<Jar>>);

impl CookieJar {
    /// Takes in every `Set-Cookie` of a response.
    pub(super) fn learn(&self, origin: &Origin, headers: &HeaderMap) {
        let mut jar = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for text in headers
            .get_all(SET_COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok())
        {
            let mut fields = text.split(';');
            let Some((name, value)) = fields.next().and_then(|pair| pair.split_once('=')) else {
                continue;
            };
            let (name, value) = (name.trim(), value.trim());
            if name.is_empty() || name.len() + value.len() > MAX_COOKIE {
                continue;
            }
            let cookies = jar.entry(origin.clone()).or_default();
            if fields.any(is_expired) {
                cookies.remove(name);
            } else if cookies.len() < MAX_COOKIES || cookies.contains_key(name) {
                cookies.insert(name.to_owned(), value.to_owned());
            }
        }
    }

    /// The `Cookie` header for a request to `origin`.
    pub(super) fn header(&self, origin: &Origin) -> Option<HeaderValue> {
        let jar = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let cookies = jar.get(origin).filter(|cookies| !cookies.is_empty())?;
        let text = cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect::<Vec<_>>()
            .join("; ");
        let mut value = HeaderValue::from_str(&text).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

impl fmt::Debug for CookieJar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let jar = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let cookies: usize = jar.values().map(BTreeMap::len).sum();
        write!(f, "CookieJar({cookies} cookies)")
    }
}

/// Whether an attribute of `Set-Cookie` says that the cookie is to be forgotten.
fn is_expired(attribute: &str) -> bool {
    let Some((name, value)) = attribute.split_once('=') else {
        return false;
    };
    let value = value.trim();
    match name.trim().to_ascii_lowercase().as_str() {
        "max-age" => value == "0" || value.starts_with('-'),
        "expires" => httpdate::parse_http_date(value).is_ok_and(|at| at <= SystemTime::now()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::*;

    fn origin(text: &str) -> Origin {
        Origin::of(&Url::parse(text).unwrap()).unwrap()
    }

    fn set(jar: &CookieJar, origin: &Origin, lines: &[&'static str]) {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(SET_COOKIE, HeaderValue::from_static(line));
        }
        jar.learn(origin, &headers);
    }

    #[test]
    fn cookies_are_kept_replaced_and_forgotten_and_clones_share_them() {
        let (jar, here) = (CookieJar::default(), origin("https://cs.example"));
        assert_eq!(jar.header(&here), None);
        set(
            &jar.clone(),
            &here,
            &[
                "ROUTE=a1; Path=/otcs; HttpOnly",
                "LLCookie=x%2F=; Secure",
                "nonsense",
            ],
        );
        assert_eq!(jar.header(&here).unwrap(), "LLCookie=x%2F=; ROUTE=a1");
        set(&jar, &here, &["ROUTE=b2", "LLCookie=; Max-Age=0"]);
        assert_eq!(jar.header(&here).unwrap(), "ROUTE=b2");
        set(
            &jar,
            &here,
            &["ROUTE=; Expires=Thu, 01 Jan 1970 00:00:00 GMT"],
        );
        assert_eq!(jar.header(&here), None);
    }

    #[test]
    fn cookies_never_go_to_another_origin_nor_into_a_log() {
        let (jar, here) = (CookieJar::default(), origin("https://cs.example"));
        set(&jar, &here, &["ROUTE=canary; Domain=.example"]);
        for other in [
            "http://cs.example",
            "https://cs.example:8443",
            "https://example",
        ] {
            assert_eq!(jar.header(&origin(other)), None, "{other}");
        }
        assert!(jar.header(&here).unwrap().is_sensitive());
        assert_eq!(format!("{jar:?}"), "CookieJar(1 cookies)");
    }

    #[test]
    fn a_server_cannot_fill_the_jar_without_end() {
        let (jar, here) = (CookieJar::default(), origin("https://cs.example"));
        let mut headers = HeaderMap::new();
        for n in 0..200 {
            headers.append(SET_COOKIE, format!("c{n}=v").parse().unwrap());
        }
        headers.append(
            SET_COOKIE,
            format!("big={}", "v".repeat(5000)).parse().unwrap(),
        );
        jar.learn(&here, &headers);
        assert_eq!(format!("{jar:?}"), "CookieJar(64 cookies)");
    }
}
