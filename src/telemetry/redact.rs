//! Takes secrets out of a line of text: values that were registered, queries of addresses,
//! values beside telling names, and signed tokens.

use std::borrow::Cow;
use std::sync::{PoisonError, RwLock};

use secrecy::{ExposeSecret, SecretString};

/// What stands where a secret was.
const REDACTED: &str = "[redacted]";
/// Shorter values would take innocent text with them.
const MIN_SECRET: usize = 6;

/// Names whose value is a secret wherever they are followed by `=`, or quoted before a colon.
const NAMES: [&str; 21] = [
    "access_key",
    "access_token",
    "api_key",
    "awsaccesskeyid",
    "client_secret",
    "id_token",
    "passwd",
    "password",
    "refresh_token",
    "secret",
    "sig",
    "signature",
    "ticket",
    "token",
    "upload_id",
    "x-amz-credential",
    "x-amz-security-token",
    "x-amz-signature",
    "x-goog-credential",
    "x-goog-signature",
    "x-goog-security-token",
];
/// Headers whose value is a secret after a plain colon or comma as well.
const HEADERS: [&str; 8] = [
    "app-id",
    "auth-token",
    "authorization",
    "cookie",
    "otcsticket",
    "otdsticket",
    "proxy-authorization",
    "set-cookie",
];
/// Headers whose value has spaces in it.
const SPACED: [&str; 4] = [
    "authorization",
    "cookie",
    "proxy-authorization",
    "set-cookie",
];

static SECRETS: RwLock<Vec<SecretString>> = RwLock::new(Vec::new());

/// Has a value taken out of every line from now on, as it is and as URLs and JSON write it.
/// Values under six characters are not taken: they would tear innocent text.
pub fn register_secret(value: &str) {
    if value.len() < MIN_SECRET {
        return;
    }
    let encoded: String = url::form_urlencoded::byte_serialize(value.as_bytes()).collect();
    let percent = percent_encoding::utf8_percent_encode(value, percent_encoding::NON_ALPHANUMERIC);
    let json = serde_json::Value::from(value).to_string();
    let json = json.trim_matches('"').to_owned();
    let mut secrets = SECRETS.write().unwrap_or_else(PoisonError::into_inner);
    for form in [value.to_owned(), encoded, percent.to_string(), json] {
        if !secrets.iter().any(|known| known.expose_secret() == form) {
            secrets.push(form.into());
        }
    }
    // The longest first: a secret may contain another.
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.expose_secret().len()));
}

/// The text without what looks like, or is known to be, a secret. Everything else stays as it is;
/// a JSON line stays JSON.
pub fn scrub(text: &str) -> Cow<'_, str> {
    let mut text = Cow::Borrowed(text);
    for secret in SECRETS
        .read()
        .unwrap_or_else(PoisonError::into_inner)
        .iter()
    {
        if text.contains(secret.expose_secret()) {
            text = Cow::Owned(text.replace(secret.expose_secret(), REDACTED));
        }
    }
    for find in [addresses, named, tokens] {
        let spans = find(&text);
        if !spans.is_empty() {
            text = Cow::Owned(cut(&text, &spans));
        }
    }
    text
}

/// Start and end of what is to be replaced, in order and apart.
type Spans = Vec<(usize, usize)>;

fn cut(text: &str, spans: &Spans) -> String {
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for &(from, to) in spans {
        if from < at {
            continue;
        }
        out.push_str(&text[at..from]);
        out.push_str(REDACTED);
        at = to;
    }
    out.push_str(&text[at..]);
    out
}

/// Length of the piece at the start of `text` that `inside` accepts.
fn run(text: &str, inside: impl Fn(char) -> bool) -> usize {
    text.find(|c| !inside(c)).unwrap_or(text.len())
}

fn in_address(c: char) -> bool {
    !c.is_whitespace() && !matches!(c, '"' | '\'' | '<' | '>' | '\\' | '`' | '{' | '}')
}

/// User names and passwords, queries and fragments of addresses.
fn addresses(text: &str) -> Spans {
    let mut spans = Spans::new();
    for (at, scheme) in text.match_indices("://") {
        let start = at + scheme.len();
        let end = start + run(&text[start..], in_address);
        let authority = start + run(&text[start..end], |c| !matches!(c, '/' | '?' | '#'));
        // Before a lone `@` there is nothing to hide.
        if let Some(user) = text[start..authority].rfind('@').filter(|user| *user > 0) {
            spans.push((start, start + user));
        }
        if let Some(query) = text[authority..end].find(['?', '#']) {
            let query = authority + query + 1;
            if query < end {
                spans.push((query, end));
            }
        }
    }
    spans
}

fn in_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

/// Values beside a telling name.
fn named(text: &str) -> Spans {
    // The same length as `text`, so that places agree.
    let lower = text.to_ascii_lowercase();
    let bytes = lower.as_bytes();
    let mut spans = Spans::new();
    let mut at = 0;
    while at < bytes.len() {
        if !in_name(bytes[at]) {
            at += 1;
            continue;
        }
        let start = at;
        while at < bytes.len() && in_name(bytes[at]) {
            at += 1;
        }
        let name = &lower[start..at];
        let header = HEADERS.contains(&name);
        if !header && !NAMES.contains(&name) {
            continue;
        }
        if let Some(value) = value_after(&lower[at..], header) {
            let value = at + value;
            let spaced = SPACED.contains(&name);
            let end = value
                + run(&text[value..], |c| {
                    !matches!(c, '"' | '\'' | '\\' | '\r' | '\n')
                        && (spaced
                            || !(c.is_whitespace() || matches!(c, '&' | ',' | ';' | ')' | '}')))
                });
            if end > value {
                spans.push((value, end));
                at = end;
            }
        }
    }
    spans
}

/// Where the value begins behind a name: after `=`, `":`, and for headers also `:` and `",`.
fn value_after(rest: &str, header: bool) -> Option<usize> {
    let quotes = run(rest, |c| matches!(c, '"' | '\'' | '\\'));
    let separator = quotes + run(&rest[quotes..], |c| c == ' ');
    let follows = match rest[separator..].chars().next()? {
        '=' => true,
        ':' => header || quotes > 0,
        ',' => header && quotes > 0,
        _ => false,
    };
    let value = separator + 1;
    follows.then(|| value + run(&rest[value..], |c| matches!(c, ' ' | '"' | '\'' | '\\')))
}

/// Signed tokens (JWT): three parts, the first of which begins with an encoded `{"`.
fn tokens(text: &str) -> Spans {
    let mut spans = Spans::new();
    for (at, _) in text.match_indices("eyJ") {
        let len = run(&text[at..], |c| {
            c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')
        });
        if len > 20 && text[at..at + len].contains('.') {
            spans.push((at, at + len));
        }
    }
    spans
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(scrub(text), expected);
    }

    #[test]
    fn queries_and_passwords_of_addresses_go_and_the_place_stays() {
        check(
            "GET https://b.s3.test/a/b.mxf?X-Amz-Credential=AKIA&X-Amz-Signature=f00 failed",
            "GET https://b.s3.test/a/b.mxf?[redacted] failed",
        );
        check(
            "proxy http://user:pass@proxy.test:3128, then",
            "proxy http://[redacted]@proxy.test:3128, then",
        );
        check(
            r#"{"url":"https://a.test/x?sig=abc%2B","n":1}"#,
            r#"{"url":"https://a.test/x?[redacted]","n":1}"#,
        );
        check("https://a.test/#token", "https://a.test/#[redacted]");
    }

    #[test]
    fn values_beside_telling_names_go_in_every_notation() {
        for (text, expected) in [
            ("token=abc next", "token=[redacted] next"),
            ("sv=2024&sig=abc%3D&se=x", "sv=2024&sig=[redacted]&se=x"),
            ("OTCSTicket: abc==", "OTCSTicket: [redacted]"),
            (
                r#"("otcsticket", "abc==")"#,
                r#"("otcsticket", "[redacted]")"#,
            ),
            (
                r#"{"ticket":"abc","id":3}"#,
                r#"{"ticket":"[redacted]","id":3}"#,
            ),
            (
                r#"{\"access_token\": \"abc\"}"#,
                r#"{\"access_token\": \"[redacted]\"}"#,
            ),
            ("Authorization: Bearer a b c", "Authorization: [redacted]"),
            ("Cookie: a=b; c=d\nnext", "Cookie: [redacted]\nnext"),
            (
                "Auth-Token: 0-1-2, App-ID: 3-4",
                "Auth-Token: [redacted], App-ID: [redacted]",
            ),
            ("password = hunter22", "password = [redacted]"),
        ] {
            check(text, expected);
        }
    }

    #[test]
    fn signed_tokens_go_wherever_they_stand() {
        check(
            "got eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln!",
            "got [redacted]!",
        );
    }

    #[test]
    fn ordinary_text_stays_as_it_is() {
        for text in [
            "design=good signal=3 tokens=5 ticketing=no",
            "the token: expired",
            "sign in again, the ticket was refused",
            "eyJust a word",
            "12:30 https://cs.test/otcs/cs.exe/api/v2/nodes/1 → 200 in 4 ms",
            r#"{"state":"done","sha256":"e3b0c442"}"#,
        ] {
            check(text, text);
            assert!(matches!(scrub(text), Cow::Borrowed(_)));
        }
    }

    #[test]
    fn registered_values_go_as_they_are_and_as_they_are_encoded() {
        register_secret("pa\"ss wörd/1");
        register_secret("abc");
        for text in [
            "x pa\"ss wörd/1 y",
            "x pa%22ss+w%C3%B6rd%2F1 y",
            "x pa%22ss%20w%C3%B6rd%2F1 y",
            "x pa\\\"ss wörd/1 y",
        ] {
            check(text, "x [redacted] y");
        }
        check("abcdef", "abcdef");
    }

    #[test]
    fn a_lone_at_sign_hides_nobody_in_the_second_pass_either() {
        let once = scrub("http://http://@token=?http://").into_owned();
        assert_eq!(scrub(&once), once);
    }

    proptest! {
        #[test]
        fn scrubbing_never_panics_and_is_done_after_one_pass(
            text in r#"(https?://|[?&=:;,"'\\ @#{}]|token|sig|Cookie|OTCSTicket|eyJ|[a-zé.]{0,9}){0,20}"#
        ) {
            let once = scrub(&text).into_owned();
            prop_assert_eq!(scrub(&once), once.clone());
        }

        #[test]
        fn a_signature_in_a_query_never_survives(before in "[ a-z\"(]{0,10}", path in "[a-z/.]{0,20}", value in "[A-Za-z0-9%]{12,40}") {
            let line = format!("{before}https://h.test/{path}?a=1&X-Amz-Signature={value}&b=2");
            prop_assert!(!scrub(&line).contains(&value));
        }
    }
}
