//! Why a call to iconik failed, and what that asks of the caller.
//!
//! iconik's error bodies are untyped (`{"errors": [..]}` or `{"errors": {..}}`): they are quoted,
//! shortened and with everything that looks like a secret or an address cut out, never matched.

use std::time::Duration;

use ::http::StatusCode;
use serde_json::Value;

use crate::http;
use crate::types::{Failure, FailureClass, Reason};

/// Longest quotation of an answer inside an error, in characters.
const QUOTE_LIMIT: usize = 240;

/// Why a call to iconik failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The settings cannot be used. Nothing was sent; only a change helps.
    #[error("iconik settings: {0}")]
    Config(String),
    /// The exchange itself failed, or its answer was no readable document; repeatable calls were
    /// repeated already.
    #[error("{doing}: {source}")]
    Exchange {
        /// What was being done.
        doing: String,
        /// What happened.
        #[source]
        source: http::Error,
    },
    /// The token is missing, revoked or expired. Nothing can go on.
    #[error(
        "{doing}: iconik does not accept the token; make a new application token \
         (Admin > Settings > Application Tokens), set it as iconik.token and its application as iconik.app_id{}", quoted(.said)
    )]
    Token {
        /// What was being done.
        doing: String,
        /// What iconik said.
        said: String,
    },
    /// The token's user may not do this.
    #[error(
        "{doing}: iconik refuses; the token's user needs the role {role} \
         and access to the object{}", quoted(.said)
    )]
    Forbidden {
        /// What was being done.
        doing: String,
        /// The role the operation needs.
        role: &'static str,
        /// What iconik said.
        said: String,
    },
    /// A complete answer said that the object does not exist.
    #[error("{doing}: not found in iconik{}; check the id, deleted ones are not found either", quoted(.said))]
    NotFound {
        /// What was being done.
        doing: String,
        /// What iconik said.
        said: String,
    },
    /// Too many calls. Tried again later; no attempt is burned.
    #[error("{doing}: iconik asks for fewer calls (429)")]
    Throttled {
        /// What was being done.
        doing: String,
        /// How long iconik asked us to wait.
        retry_after: Option<Duration>,
    },
    /// Any other refusal. 5xx are tried again, the rest is given up.
    #[error("{doing}: iconik answered {status}{}", quoted(.said))]
    Status {
        /// What was being done.
        doing: String,
        /// The status.
        status: StatusCode,
        /// What iconik said.
        said: String,
        /// How long iconik asked us to wait.
        retry_after: Option<Duration>,
    },
    /// A listing repeats itself or never ends. Given up: going on could lose or repeat rows.
    #[error("{doing}: the listing does not advance ({why})")]
    Listing {
        /// What was being done.
        doing: String,
        /// How it showed.
        why: String,
    },
    /// An id that cannot be part of an address.
    #[error("{doing}: {id:?} is not a usable id")]
    Id {
        /// What was being done.
        doing: String,
        /// The id, shortened.
        id: String,
    },
}

fn quoted(text: &str) -> String {
    if text.is_empty() {
        String::new()
    } else {
        format!(" ({text})")
    }
}

impl Error {
    /// Whether a complete answer said that the object does not exist.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }

    /// Whether iconik, or the way to it, has a passing disturbance: nothing is wrong with what was
    /// asked.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Exchange { source, .. } => source.is_passing(),
            Self::Throttled { .. } => true,
            Self::Status { status, .. } => {
                status.is_server_error() || *status == StatusCode::REQUEST_TIMEOUT
            }
            _ => false,
        }
    }

    /// Whether the token's user may not do it.
    pub fn is_forbidden(&self) -> bool {
        matches!(self, Self::Forbidden { .. })
    }

    /// As the engine sees it.
    pub fn into_failure(self) -> Failure {
        let message = self.to_string();
        let (class, reason, retry_after) = match self {
            Self::Exchange { doing, source } => return source.into_failure().context(doing),
            Self::Config(_) => (FailureClass::StopEverything, Reason::Other, None),
            Self::Token { .. } => (FailureClass::StopEverything, Reason::Refused, None),
            Self::NotFound { .. } => (FailureClass::ItemIsWrong, Reason::NotFound, None),
            Self::Throttled { retry_after, .. } => {
                (FailureClass::RetryLater, Reason::Other, retry_after)
            }
            Self::Status {
                status,
                retry_after,
                ..
            } => {
                let class = match status.as_u16() {
                    503 => FailureClass::RetryLater,
                    408 | 500..=599 => FailureClass::RetryNow,
                    _ => FailureClass::ItemIsWrong,
                };
                (class, Reason::Other, retry_after)
            }
            Self::Forbidden { .. } | Self::Listing { .. } | Self::Id { .. } => {
                (FailureClass::ItemIsWrong, Reason::Other, None)
            }
        };
        Failure {
            class,
            reason,
            message,
            retry_after,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        error.into_failure()
    }
}

/// What an error body says, for people: the `errors` member flattened, or the text itself.
pub(super) fn quote(body: &[u8]) -> String {
    let text = match serde_json::from_slice::<Value>(body) {
        Ok(value) => {
            let errors = value.get("errors").unwrap_or(&value);
            let mut parts = Vec::new();
            flatten(errors, "", &mut parts);
            parts.join("; ")
        }
        Err(_) if body.trim_ascii_start().starts_with(b"<") => "a page instead of data".to_owned(),
        Err(_) => String::from_utf8_lossy(&body[..body.len().min(4 * QUOTE_LIMIT)]).into_owned(),
    };
    shorten(&redact(&text))
}

fn flatten(value: &Value, at: &str, parts: &mut Vec<String>) {
    if parts.len() >= 8 {
        return;
    }
    match value {
        Value::Null => {}
        Value::Array(items) => items.iter().for_each(|item| flatten(item, at, parts)),
        Value::Object(members) => {
            for (name, member) in members {
                let at = if at.is_empty() {
                    name.clone()
                } else {
                    format!("{at}.{name}")
                };
                flatten(member, &at, parts);
            }
        }
        leaf => {
            let text = leaf
                .as_str()
                .map_or_else(|| leaf.to_string(), str::to_owned);
            parts.push(if at.is_empty() {
                text
            } else {
                format!("{at}: {text}")
            });
        }
    }
}

/// Cuts out what may be a secret: addresses, and long runs without a space (tokens, signatures).
fn redact(text: &str) -> String {
    text.split_whitespace()
        .map(|word| {
            if word.contains("://") {
                "[address]"
            } else if word.chars().count() > 64 || word.starts_with("eyJ") {
                "[cut]"
            } else {
                word
            }
        })
        .collect::<Vec<_>>()
        .join(" ")
}

fn shorten(text: &str) -> String {
    let clean: String = text.chars().filter(|c| !c.is_control()).collect();
    let clean = clean.trim_end_matches('.');
    match clean.char_indices().nth(QUOTE_LIMIT) {
        Some((end, _)) => format!("{}…", &clean[..end]),
        None => clean.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_shapes_of_error_bodies_are_quoted() {
        assert_eq!(
            quote(br#"{"errors": ["Collection does not exist"]}"#),
            "Collection does not exist"
        );
        assert_eq!(
            quote(br#"{"errors": {"title": ["Missing data for required field."]}}"#),
            "title: Missing data for required field"
        );
        assert_eq!(quote(b"plain words"), "plain words");
        assert_eq!(quote(b""), "");
    }

    #[test]
    fn quotations_are_short_and_hold_no_secret() {
        let token = format!("eyJ{}", "a".repeat(200));
        let body = format!(
            r#"{{"errors": ["bad token {token}", "see https://bucket.test/k?X-Amz-Signature=abc {}"]}}"#,
            "word ".repeat(200)
        );
        let quoted = quote(body.as_bytes());
        assert!(
            !quoted.contains("eyJ") && !quoted.contains("Signature"),
            "{quoted}"
        );
        assert!(quoted.chars().count() <= QUOTE_LIMIT + 1);
    }

    #[test]
    fn classes_say_what_happens_next() {
        let token = Error::Token {
            doing: "reading asset a".into(),
            said: String::new(),
        };
        assert!(token.to_string().contains("iconik.token"));
        assert_eq!(token.into_failure().class, FailureClass::StopEverything);
        let forbidden = Error::Forbidden {
            doing: "reading file f".into(),
            role: "can_read_files",
            said: String::new(),
        };
        let failure = forbidden.into_failure();
        assert_eq!(failure.class, FailureClass::ItemIsWrong);
        assert!(failure.message.contains("can_read_files"));
        let status = |status| {
            Error::Status {
                doing: String::new(),
                status,
                said: String::new(),
                retry_after: None,
            }
            .into_failure()
            .class
        };
        assert_eq!(status(StatusCode::BAD_GATEWAY), FailureClass::RetryNow);
        assert_eq!(
            status(StatusCode::SERVICE_UNAVAILABLE),
            FailureClass::RetryLater
        );
        assert_eq!(status(StatusCode::CONFLICT), FailureClass::ItemIsWrong);
    }
}
