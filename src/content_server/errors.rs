//! What Content Server's refusals mean.
//!
//! The server answers business errors with 400 or 500 and a JSON `error` text, seldom with 404 or
//! 409; gateways and restarts answer with HTML, sometimes under a 200. So the text decides first,
//! the status second. [`read`] turns a complete answer into its JSON or an [`Error`];
//! [`Error::into_failure`] then says what the caller does next, which differs between a call that
//! may be repeated and a commit, whose outcome must be looked up whenever it is not certain.

use std::time::Duration;

use ::http::StatusCode;
use serde_json::Value;

use crate::types::{Failure, FailureClass, Reason};

/// Longest quotation of the server's words in a message, in characters.
const LONGEST_QUOTE: usize = 240;
/// Characters kept at either end of what the server quotes.
const QUOTED_ENDS: usize = 30;
/// Words this long made of ticket and key letters are taken for secrets and left out.
const SECRET_LENGTH: usize = 40;

/// What repeating a call would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// Nothing more than the first time.
    Repeatable,
    /// It could make something twice: an unclear outcome is ambiguous.
    Commit,
}

/// What a refusal says, as far as callers act on the difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The ticket is missing, bad or expired.
    SignedOut,
    /// The name is taken in that container.
    NameTaken,
    /// The category is on the node already.
    CategoryThere,
    /// Missing or not permitted; the server does not say which.
    Inaccessible,
    /// Not permitted.
    Forbidden,
    /// Somebody else changed the object in between.
    EditConflict,
    /// Reserved or locked.
    Reserved,
    /// A record that takes no changes.
    Held,
    /// Quota or disk full.
    Full,
    /// The body is too large for the server or for something in front of it.
    TooLarge,
    /// The upload session is unknown, expired or somebody else's.
    SessionGone,
    /// The upload session is closed (or empty).
    SessionClosed,
    /// The part was accepted before.
    PartThere,
    /// The route does not exist on this server.
    NoRoute,
    /// Too many requests.
    Throttled,
    /// Certainly refused, and would be again.
    Invalid,
    /// A restart, an overload or a gateway.
    Disturbance,
    /// An error of the application with a text nobody has described.
    Unknown,
}

/// A complete answer that is a refusal.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// What it means.
    pub(super) meaning: Meaning,
    /// The HTTP status, or the one stated in the body.
    pub(super) status: u16,
    /// The server's words, shortened and without secrets.
    pub(super) text: String,
    /// How long the server asked us to wait.
    pub(super) retry_after: Option<Duration>,
}

/// Why a call came to nothing, before it is known what repeating it would do.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// The server refused.
    #[error("content server answered {}: {}{}", .0.status, .0.text, .0.advice())]
    Refused(Refusal),
    /// No complete answer came. `not_done` when the server cannot have acted.
    #[error("{failure}")]
    Broken { failure: Failure, not_done: bool },
    /// A success that says nothing usable.
    #[error(
        "content server's answer cannot be used: {0}; where a page came, a portal or proxy may have answered in its place"
    )]
    Unreadable(String),
    /// Signing in was refused or impossible; the call itself was not carried out.
    #[error("{0}")]
    SignIn(Failure),
}

impl Refusal {
    /// What to do about a refusal whose own words do not say it.
    fn advice(&self) -> &'static str {
        match self.meaning {
            Meaning::TooLarge => {
                "; a web server or proxy before it takes no body of that size in one request: raise \
                 its limit, or have upload sessions (Large File Upload) turned on for that size; \
                 nothing was stored"
            }
            Meaning::Throttled => {
                "; too many calls for it or for a gateway before it: lower content_server.uploads, or have the limit raised for longhaul's user"
            }
            _ => "",
        }
    }
}

impl Error {
    /// The refusal's meaning, if it is one.
    pub(super) fn meaning(&self) -> Option<Meaning> {
        match self {
            Self::Refused(refusal) => Some(refusal.meaning),
            _ => None,
        }
    }

    /// Whether the server missed what it was sent: it may look for it elsewhere in the request. The
    /// reference, its authors' own clients and its modules do not agree on whether parameters stand
    /// in fields of their own or in the field `body`.
    pub(super) fn misses_parameters(&self) -> bool {
        let words = ["missing", "required", "parameter", "argument"];
        match self {
            Self::Refused(refusal) if refusal.meaning == Meaning::Invalid => {
                let text = without_quoted(&refusal.text).to_lowercase();
                words.iter().any(|word| text.contains(word))
            }
            _ => false,
        }
    }

    /// Whether the server took the question and answered it otherwise than asked for. Asked again it
    /// would say the same; a disturbance, a lost session and somebody else's work pass.
    pub(super) fn is_answer(&self) -> bool {
        use Meaning::{
            Disturbance, EditConflict, Full, PartThere, Reserved, SessionClosed, SessionGone,
            SignedOut, Throttled,
        };
        match self {
            Self::Refused(refusal) => !matches!(
                refusal.meaning,
                Disturbance
                    | EditConflict
                    | Full
                    | PartThere
                    | Reserved
                    | SessionClosed
                    | SessionGone
                    | SignedOut
                    | Throttled
            ),
            Self::Unreadable(_) => true,
            Self::Broken { .. } | Self::SignIn(_) => false,
        }
    }

    /// What the caller does next. A commit's failure always carries a reason that says whether
    /// something may have been made.
    pub(super) fn into_failure(self, effect: Effect) -> Failure {
        let message = self.to_string();
        match self {
            Self::Refused(refusal) => refusal.into_failure(effect, message),
            Self::Unreadable(_) => {
                let reason = match effect {
                    Effect::Commit => Reason::Ambiguous,
                    Effect::Repeatable => Reason::Other,
                };
                Failure::new(FailureClass::RetryNow, reason, message)
            }
            Self::Broken { failure, not_done } => settle(failure, effect, not_done),
            Self::SignIn(failure) => settle(failure, effect, true),
        }
    }

    /// As [`into_failure`](Self::into_failure) for a commit that carries content. What is wrong with
    /// the content itself is said as it is: it has nothing to do with where it was sent.
    pub(super) fn of_content(self, doing: String) -> Failure {
        let own = matches!(&self, Self::Broken { failure, .. } if failure.class == FailureClass::ItemIsWrong);
        let failure = self.into_failure(Effect::Commit);
        if own { failure } else { failure.context(doing) }
    }
}

/// Gives a commit's failure the reason that says whether the commit may have happened; other calls
/// have nothing to look up. A more exact reason of a call that was certainly not carried out stays.
pub(super) fn settle(mut failure: Failure, effect: Effect, not_done: bool) -> Failure {
    failure.reason = match (effect, failure.reason) {
        (Effect::Commit, _) if !not_done => Reason::Ambiguous,
        (Effect::Commit, Reason::Other | Reason::Ambiguous) => Reason::NotDone,
        (Effect::Repeatable, Reason::Ambiguous) => Reason::Other,
        (_, reason) => reason,
    };
    failure
}

impl Refusal {
    fn into_failure(self, effect: Effect, message: String) -> Failure {
        use FailureClass::{ItemIsWrong, RetryLater, RetryNow, SignInAgain};
        let refused = match effect {
            Effect::Commit => Reason::NotDone,
            Effect::Repeatable => Reason::Other,
        };
        let unclear = match effect {
            Effect::Commit => Reason::Ambiguous,
            Effect::Repeatable => Reason::Other,
        };
        let (class, reason) = match self.meaning {
            Meaning::SignedOut => (SignInAgain, refused),
            Meaning::NameTaken => (ItemIsWrong, Reason::NameTaken),
            Meaning::CategoryThere | Meaning::Invalid => (ItemIsWrong, refused),
            Meaning::Inaccessible | Meaning::Forbidden => (ItemIsWrong, Reason::Inaccessible),
            Meaning::EditConflict => (RetryNow, refused),
            Meaning::Reserved => (RetryLater, Reason::Locked),
            Meaning::Held => (ItemIsWrong, Reason::Held),
            Meaning::Full => (RetryLater, Reason::Full),
            Meaning::TooLarge => (ItemIsWrong, Reason::TooLarge),
            Meaning::SessionGone => (RetryNow, Reason::SessionGone),
            Meaning::SessionClosed => (RetryNow, Reason::SessionClosed),
            Meaning::PartThere => (RetryNow, refused),
            Meaning::NoRoute => (ItemIsWrong, Reason::Unsupported),
            Meaning::Throttled => (RetryLater, refused),
            Meaning::Disturbance if self.retry_after.is_some() => (RetryLater, unclear),
            Meaning::Disturbance | Meaning::Unknown => (RetryNow, unclear),
        };
        let mut failure = Failure::new(class, reason, message);
        failure.retry_after = self.retry_after;
        failure
    }
}

/// The JSON of a complete answer, or why there is none.
///
/// An `error` text under a success status is an error (calls made with `suppress_response_codes`
/// and some modules answer so), with the status that the body states, 500 otherwise.
///
/// # Errors
///
/// [`Error::Refused`] for refusals, [`Error::Unreadable`] for a success without usable JSON.
pub(super) fn read(
    status: StatusCode,
    body: &[u8],
    retry_after: Option<Duration>,
) -> Result<Value, Error> {
    let json: Option<Value> = serde_json::from_slice(body).ok();
    let text = json.as_ref().and_then(error_text);
    let stated = json
        .as_ref()
        .and_then(|json| json.get("statusCode")?.as_u64())
        .and_then(|code| u16::try_from(code).ok())
        .filter(|code| *code >= 400);
    if status.is_success() && text.is_none() && stated.is_none() {
        return match json {
            Some(json @ (Value::Object(_) | Value::Array(_))) => Ok(json),
            _ => Err(Error::Unreadable(format!(
                "status {}, {}",
                status.as_u16(),
                describe_page(body)
            ))),
        };
    }
    let status = match stated {
        Some(stated) => stated,
        None if status.is_success() => 500,
        None => status.as_u16(),
    };
    let (meaning, text) = match (text, &json) {
        (Some(text), _) => (of_text(status, &text), quote(&text)),
        (None, Some(json)) => match other_text(json) {
            Some(text) => (of_text(status, text), quote(text)),
            None => (of_text(status, ""), "no error text".to_owned()),
        },
        (None, None) if (300..400).contains(&status) => (
            Meaning::Disturbance,
            "a redirect, which is never followed; check the address".to_owned(),
        ),
        // Known words are the application's own, however they are wrapped.
        (None, None) => match plain_text(body).filter(|text| known(text).is_some()) {
            Some(text) => (of_text(status, &text), quote(&text)),
            None => (of_page(status, body), describe_page(body)),
        },
    };
    Err(Error::Refused(Refusal {
        meaning,
        status,
        text,
        retry_after,
    }))
}

/// The error text of a JSON answer, when it is one.
fn error_text(json: &Value) -> Option<String> {
    let text = match json.get("error") {
        Some(Value::String(text)) if !text.is_empty() => text.clone(),
        Some(Value::Object(error)) => match error.get("message") {
            Some(Value::String(text)) => text.clone(),
            _ => Value::Object(error.clone()).to_string(),
        },
        // Records management answers 200 and says in the body that it did nothing.
        _ => match json.get("results") {
            Some(results) if results.get("ok") == Some(&Value::Bool(false)) => results
                .get("errMsg")
                .and_then(Value::as_str)
                .unwrap_or("not done")
                .to_owned(),
            _ => return None,
        },
    };
    Some(match json.get("errorDetail") {
        Some(Value::String(detail)) if !detail.is_empty() => format!("{text} ({detail})"),
        _ => text,
    })
}

/// The words of a refusal without `error`: its only text, or one by another name.
fn other_text(json: &Value) -> Option<&str> {
    let named = ["errorDetail", "errMsg", "message", "error_description"];
    let text = match json {
        Value::String(text) => Some(text.as_str()),
        other => named.iter().find_map(|name| other.get(name)?.as_str()),
    };
    text.filter(|text| !text.trim().is_empty())
}

/// Texts whose wording is known, in the order they are tried. Names quoted by the server are cut
/// out before, so that a document called "on hold" is not taken for one.
const TEXTS: &[(&str, Meaning)] = &[
    // Upload sessions; the key's text also speaks of permission, so these come first.
    ("has already been uploaded", Meaning::PartThere),
    ("session expired", Meaning::SessionGone),
    ("uploadkey is invalid", Meaning::SessionGone),
    ("already closed upload", Meaning::SessionClosed),
    ("invalid blockid", Meaning::Invalid),
    ("invalid block size", Meaning::Invalid),
    ("attribute group already exists", Meaning::CategoryThere),
    ("already exists", Meaning::NameTaken),
    ("mappings registry", Meaning::NoRoute),
    (
        "item you requested could not be accessed",
        Meaning::Inaccessible,
    ),
    ("could not get a node", Meaning::Inaccessible),
    ("could not get node", Meaning::Inaccessible),
    ("could not get a member", Meaning::Inaccessible),
    ("could not locate node", Meaning::Inaccessible),
    // Records management says so of what is missing, too.
    ("accessibility error", Meaning::Inaccessible),
    ("insufficient permissions", Meaning::Forbidden),
    ("insufficient privileges", Meaning::Forbidden),
    ("insufficient view permissions", Meaning::Forbidden),
    ("no permissions to access", Meaning::Forbidden),
    ("authentication required", Meaning::SignedOut),
    ("edit conflict", Meaning::EditConflict),
    ("reserved by", Meaning::Reserved),
    ("is reserved", Meaning::Reserved),
    ("been reserved", Meaning::Reserved),
    ("already reserved", Meaning::Reserved),
    ("locked by", Meaning::Reserved),
    ("is locked", Meaning::Reserved),
    ("been locked", Meaning::Reserved),
    ("on hold", Meaning::Held),
    ("a hold", Meaning::Held),
    ("finalized", Meaning::Held),
    ("finalised", Meaning::Held),
    ("official", Meaning::Held),
    ("is a record", Meaning::Held),
    ("managed record", Meaning::Held),
    ("quota", Meaning::Full),
    ("disk full", Meaning::Full),
    ("disk is full", Meaning::Full),
    ("disk space", Meaning::Full),
    ("no space", Meaning::Full),
    ("enough space", Meaning::Full),
    ("insufficient space", Meaning::Full),
    ("please try again", Meaning::Disturbance),
    ("error processing request", Meaning::Disturbance),
    ("content server client error", Meaning::Disturbance),
    ("pattern of argument", Meaning::Invalid),
    ("invalid datatype", Meaning::Invalid),
    ("missing required parameter", Meaning::Invalid),
    ("body parameter", Meaning::Invalid),
    ("parameters are required", Meaning::Invalid),
    ("invalid parameter", Meaning::Invalid),
    ("parameters are invalid", Meaning::Invalid),
    ("could not process object", Meaning::Invalid),
    ("could not create a new", Meaning::Invalid),
    ("not registered", Meaning::Invalid),
    ("within the upload directory", Meaning::Invalid),
    ("is not specified", Meaning::Invalid),
    ("too many items", Meaning::Invalid),
    ("error getting version for node", Meaning::Inaccessible),
    ("version is not found", Meaning::Inaccessible),
];

/// The body as a short text of its own: no page and no JSON.
fn plain_text(body: &[u8]) -> Option<String> {
    const LONGEST: usize = 2_000;
    let text = std::str::from_utf8(body).ok()?.trim();
    let plain = !text.is_empty() && text.len() <= LONGEST && !text.contains(['<', '{']);
    plain.then(|| text.to_owned())
}

/// What a text means whose wording is known.
fn known(text: &str) -> Option<Meaning> {
    let words = without_quoted(text).to_lowercase();
    let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
    let found = TEXTS.iter().find(|(fragment, _)| words.contains(fragment));
    found.map(|(_, meaning)| *meaning)
}

/// What a JSON error means.
fn of_text(status: u16, text: &str) -> Meaning {
    match (known(text), status) {
        (Some(meaning), _) => meaning,
        (None, 401) => Meaning::SignedOut,
        (None, 403) => Meaning::Forbidden,
        (None, 408 | 502..=504) => Meaning::Disturbance,
        (None, 409) => Meaning::EditConflict,
        (None, 413) => Meaning::TooLarge,
        (None, 423) => Meaning::Reserved,
        (None, 429) => Meaning::Throttled,
        (None, 507) => Meaning::Full,
        (None, 400..=499) => Meaning::Invalid,
        (None, _) => Meaning::Unknown,
    }
}

/// What an answer without JSON means: it comes from a gateway, a web server or a restart, never
/// from the application in good health.
fn of_page(status: u16, body: &[u8]) -> Meaning {
    match status {
        401 => Meaning::SignedOut,
        413 => Meaning::TooLarge,
        // IIS says "content length too large" as 404.13.
        404 if contains(body, "404.13") => Meaning::TooLarge,
        429 => Meaning::Throttled,
        _ => Meaning::Disturbance,
    }
}

fn contains(body: &[u8], fragment: &str) -> bool {
    body.windows(fragment.len())
        .take(64 * 1024)
        .any(|window| window == fragment.as_bytes())
}

/// Says what kind of page came instead of JSON, with its title when it has one.
fn describe_page(body: &[u8]) -> String {
    if body.iter().all(u8::is_ascii_whitespace) {
        return "an empty body".to_owned();
    }
    let text = String::from_utf8_lossy(&body[..body.len().min(64 * 1024)]);
    let lower = text.to_ascii_lowercase();
    let title = lower.find("<title>").and_then(|at| {
        let start = at + "<title>".len();
        let end = start + lower.get(start..)?.find('<')?;
        text.get(start..end)
    });
    match title {
        Some(title) => format!("a page titled \"{}\"", quote(title)),
        None if lower.contains("<html") => "an HTML page".to_owned(),
        None => "no JSON".to_owned(),
    }
}

/// The text without what the server put in quotation marks (names and arguments, which may hold
/// any words and apostrophes): from the first opening to the last closing mark.
fn without_quoted(text: &str) -> String {
    let opening = text.match_indices('\'').map(|(at, _)| at).find(|at| {
        text[..*at]
            .chars()
            .next_back()
            .is_none_or(|c| !c.is_alphanumeric())
    });
    let closing = text.match_indices('\'').map(|(at, _)| at).rfind(|at| {
        text[at + 1..]
            .chars()
            .next()
            .is_none_or(|c| !c.is_alphanumeric())
    });
    match (opening, closing) {
        (Some(opening), Some(closing)) if opening < closing => {
            format!("{} {}", &text[..opening], &text[closing + 1..])
        }
        _ => text.to_owned(),
    }
}

/// The server's words as they may stand in a message: one line, shortened, without anything that
/// looks like a ticket, a key or the query of an address.
pub(super) fn quote(text: &str) -> String {
    let text = &shorten_quoted(text);
    let mut quoted = String::new();
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()) {
        if word.is_empty() {
            continue;
        }
        if !quoted.is_empty() {
            quoted.push(' ');
        }
        let word = match word.find('?') {
            Some(at) if word.contains("://") => &word[..at],
            _ => word,
        };
        if looks_secret(word) {
            quoted.push_str("[removed]");
        } else {
            quoted.push_str(word);
        }
    }
    match quoted.char_indices().nth(LONGEST_QUOTE) {
        Some((cut, _)) => format!("{}…", &quoted[..cut]),
        None => quoted,
    }
}

/// The text with what the server quotes of ours (a name of 300 characters) cut in its middle, so
/// that the server's own words behind it are still there.
fn shorten_quoted(text: &str) -> String {
    let (Some(opening), Some(closing)) = (text.find('\''), text.rfind('\'')) else {
        return text.to_owned();
    };
    let (before, rest) = text.split_at(opening);
    let (inside, after) = rest.split_at(closing - opening);
    let letters: Vec<char> = inside.chars().collect();
    if letters.len() <= 2 * QUOTED_ENDS + 1 {
        return text.to_owned();
    }
    let start: String = letters[..QUOTED_ENDS].iter().collect();
    let end: String = letters[letters.len() - QUOTED_ENDS..].iter().collect();
    format!("{before}{start}…{end}{after}")
}

fn looks_secret(word: &str) -> bool {
    word.split(|c: char| !(c.is_ascii_alphanumeric() || "+/=_*-%".contains(c)))
        .any(|run| run.len() >= SECRET_LENGTH)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Result<Value, Error> {
        read(StatusCode::from_u16(status).unwrap(), body.as_bytes(), None)
    }

    fn refusal(status: u16, body: &str) -> Error {
        answer(status, body).unwrap_err()
    }

    #[track_caller]
    fn check(status: u16, text: &str, meaning: Meaning) {
        let body = serde_json::json!({ "error": text }).to_string();
        assert_eq!(
            refusal(status, &body).meaning(),
            Some(meaning),
            "{status} {text}"
        );
    }

    #[track_caller]
    fn becomes(
        status: u16,
        body: &str,
        effect: Effect,
        class: FailureClass,
        reason: Reason,
    ) -> Failure {
        let failure = refusal(status, body).into_failure(effect);
        assert_eq!(
            (failure.class, failure.reason),
            (class, reason),
            "{failure}"
        );
        failure
    }

    #[test]
    fn every_described_text_has_its_meaning() {
        use Meaning::*;
        let sorry = "Sorry, the item you requested could not be accessed. Either it does not exist, or you do not have permission to access it. If you were sent a link to this item, please contact the sender for assistance.";
        for (status, text, meaning) in [
            (
                400,
                "The REST API URL could not be found in the mappings registry",
                NoRoute,
            ),
            (400, "Pattern of argument was not recognized.", Invalid),
            (400, "Invalid datatype specified for argument 'id'", Invalid),
            (400, "Could not get a node for 42", Inaccessible),
            (500, "Could not get a node for 42", Inaccessible),
            (500, "Could not get a member for 42", Inaccessible),
            (400, "Could not get node for 42", Inaccessible),
            (400, sorry, Inaccessible),
            (500, sorry, Inaccessible),
            (401, "Authentication Required", SignedOut),
            (
                401,
                "Insufficient permissions to perform that action",
                Forbidden,
            ),
            (400, "Missing required parameter 'File'", Invalid),
            (400, "Body parameter is invalid", Invalid),
            (
                400,
                "Parameters are required for PUT, POST, and PATCH methods",
                Invalid,
            ),
            (
                400,
                "Could not process object, invalid action 'versions-add'",
                Invalid,
            ),
            (
                500,
                "An item with the name 'Director's cut' already exists.",
                NameTaken,
            ),
            (400, "An item with the name 'a' already exists.", NameTaken),
            (
                409,
                "Could not update metadata (edit conflict).",
                EditConflict,
            ),
            (
                400,
                "The attribute group 'Rights' already exists",
                CategoryThere,
            ),
            (
                500,
                "Failed to complete request. Either the UploadKey is invalid, or you do not have permission to access this upload session",
                SessionGone,
            ),
            (500, "Multipart Upload session expired", SessionGone),
            (
                500,
                "Invalid BlockID: Expected BlockID between 1 and 3",
                Invalid,
            ),
            (
                500,
                "Invalid BlockID: BlockID 2 has already been uploaded.",
                PartThere,
            ),
            (
                500,
                "Invalid status. Cannot close an empty or already closed upload.",
                SessionClosed,
            ),
            (
                500,
                "Invalid block size: File size must be between 5 and 9 bytes.",
                Invalid,
            ),
            (
                500,
                "Could not locate node: 5, The version is not found",
                Inaccessible,
            ),
            (500, "The item is reserved by Ann", Reserved),
            (400, "Node is finalized and cannot be changed", Held),
            (400, "This item is on hold", Held),
            (500, "Storage quota exceeded", Full),
            (500, "There is not enough space on the disk", Full),
            (404, "Nickname not found", Invalid),
            (403, "not for you", Forbidden),
            (403, "Insufficient View Permissions", Forbidden),
            (500, "Insufficient privileges", Forbidden),
            (400, "Could not get a member for 5", Inaccessible),
            (
                400,
                "Accessibility error. Not enough permissions.",
                Inaccessible,
            ),
            (500, "Something nobody described", Unknown),
        ] {
            check(status, text, meaning);
        }
    }

    #[test]
    fn words_inside_a_quoted_name_decide_nothing() {
        check(
            500,
            "An item with the name 'cut on hold, reserved by Ann' already exists.",
            Meaning::NameTaken,
        );
        check(
            500,
            "Unexpected trouble with 'quota locked by finalized'",
            Meaning::Unknown,
        );
        check(
            500,
            "Can't store it, the item is on hold, don't ask again",
            Meaning::Held,
        );
    }

    #[test]
    fn pages_are_disturbances_except_the_ones_that_name_a_limit() {
        for (status, body, meaning) in [
            (
                500,
                "<html>Error Processing Request</html>",
                Meaning::Disturbance,
            ),
            (502, "<html></html>", Meaning::Disturbance),
            (503, "", Meaning::Disturbance),
            (404, "<html>not found</html>", Meaning::Disturbance),
            (
                404,
                "<html><h2>HTTP Error 404.13 - Not Found</h2></html>",
                Meaning::TooLarge,
            ),
            (
                413,
                "<html>Request Entity Too Large</html>",
                Meaning::TooLarge,
            ),
            (413, "{}", Meaning::TooLarge),
            (429, "slow down", Meaning::Throttled),
            (302, "", Meaning::Disturbance),
        ] {
            assert_eq!(
                refusal(status, body).meaning(),
                Some(meaning),
                "{status} {body}"
            );
        }
    }

    #[test]
    fn a_plain_text_counts_where_its_words_are_known() {
        let taken = "An item with the name 'a' already exists.";
        assert_eq!(refusal(500, taken).meaning(), Some(Meaning::NameTaken));
        let unknown = "upstream connect error";
        assert_eq!(refusal(400, unknown).meaning(), Some(Meaning::Disturbance));
        let elsewhere = serde_json::json!({ "errorDetail": taken }).to_string();
        assert_eq!(refusal(500, &elsewhere).meaning(), Some(Meaning::NameTaken));
        let page = "<html>An item already exists</html>";
        assert_eq!(refusal(500, page).meaning(), Some(Meaning::Disturbance));
    }

    #[test]
    fn a_commit_tells_certain_refusals_from_unclear_outcomes() {
        use FailureClass::*;
        let commit = Effect::Commit;
        becomes(
            401,
            r#"{"error":"Authentication Required"}"#,
            commit,
            SignInAgain,
            Reason::NotDone,
        );
        becomes(
            400,
            r#"{"error":"Missing required parameter 'name'"}"#,
            commit,
            ItemIsWrong,
            Reason::NotDone,
        );
        becomes(
            403,
            r#"{"error":"no"}"#,
            commit,
            ItemIsWrong,
            Reason::Inaccessible,
        );
        becomes(
            404,
            r#"{"error":"no"}"#,
            commit,
            ItemIsWrong,
            Reason::NotDone,
        );
        becomes(413, "<html/>", commit, ItemIsWrong, Reason::TooLarge);
        becomes(
            500,
            r#"{"error":"An item with the name 'a' already exists."}"#,
            commit,
            ItemIsWrong,
            Reason::NameTaken,
        );
        becomes(
            500,
            r#"{"error":"strange"}"#,
            commit,
            RetryNow,
            Reason::Ambiguous,
        );
        becomes(
            500,
            "<html>Please try again</html>",
            commit,
            RetryNow,
            Reason::Ambiguous,
        );
        becomes(502, "<html/>", commit, RetryNow, Reason::Ambiguous);
        becomes(404, "<html/>", commit, RetryNow, Reason::Ambiguous);
        becomes(200, "<html/>", commit, RetryNow, Reason::Ambiguous);
        becomes(200, "", commit, RetryNow, Reason::Ambiguous);
        becomes(200, "null", commit, RetryNow, Reason::Ambiguous);
        becomes(302, "", commit, RetryNow, Reason::Ambiguous);
    }

    #[test]
    fn a_read_is_tried_again_after_the_same_disturbances() {
        use FailureClass::*;
        let read = Effect::Repeatable;
        becomes(
            500,
            "<html>Content Server Client Error</html>",
            read,
            RetryNow,
            Reason::Other,
        );
        becomes(200, "<html/>", read, RetryNow, Reason::Other);
        becomes(200, "", read, RetryNow, Reason::Other);
        becomes(
            409,
            r#"{"error":"Could not update metadata (edit conflict)."}"#,
            read,
            RetryNow,
            Reason::Other,
        );
        becomes(
            500,
            r#"{"error":"The disk is full"}"#,
            read,
            RetryLater,
            Reason::Full,
        );
        becomes(
            500,
            r#"{"error":"Item is locked"}"#,
            read,
            RetryLater,
            Reason::Locked,
        );
    }

    #[test]
    fn an_error_under_a_success_status_is_an_error() {
        assert_eq!(
            refusal(
                200,
                r#"{"error":"Authentication Required","statusCode":401}"#
            )
            .meaning(),
            Some(Meaning::SignedOut)
        );
        assert_eq!(
            refusal(
                200,
                r#"{"results":{"ok":false,"errMsg":"Item is on hold","id":0}}"#
            )
            .meaning(),
            Some(Meaning::Held)
        );
        assert_eq!(
            refusal(200, r#"{"error":"odd"}"#).meaning(),
            Some(Meaning::Unknown)
        );
        assert!(answer(200, r#"{"error":"","statusCode":200,"id":1}"#).is_ok());
        assert!(answer(200, r#"{"error":null,"results":{}}"#).is_ok());
    }

    #[test]
    fn what_certainly_did_not_happen_keeps_its_exact_reason() {
        let broken = |not_done, reason| {
            Error::Broken {
                failure: Failure::new(FailureClass::RetryNow, reason, "x"),
                not_done,
            }
            .into_failure(Effect::Commit)
            .reason
        };
        assert_eq!(broken(true, Reason::Other), Reason::NotDone);
        assert_eq!(broken(true, Reason::SourceChanged), Reason::SourceChanged);
        assert_eq!(broken(false, Reason::Other), Reason::Ambiguous);
    }

    #[test]
    fn quotations_are_short_single_lines_without_secrets() {
        let ticket = "aB3+".repeat(23);
        let text = format!(
            "bad\r\nticket {ticket} at https://cs.example/x?ticket=1 {}",
            "w ".repeat(400)
        );
        let quoted = quote(&text);
        assert!(
            quoted.starts_with("bad ticket [removed] at https://cs.example/x w"),
            "{quoted}"
        );
        assert!(quoted.chars().count() <= LONGEST_QUOTE + 1);
        assert!(!quoted.contains("aB3+aB3+"));
    }

    #[test]
    fn a_long_name_does_not_hide_what_is_said_of_it() {
        let name = "it's ".repeat(60);
        let text = format!("the length of '{name}' is greater than the maximum length (100)");
        let quoted = quote(&text);
        assert!(
            quoted.ends_with("greater than the maximum length (100)"),
            "{quoted}"
        );
        assert!(quoted.starts_with("the length of 'it's it's"), "{quoted}");
        assert_eq!(quote("name 'a' is taken"), "name 'a' is taken");
    }

    #[test]
    fn a_page_is_named_by_its_title() {
        let error = refusal(500, "<HTML><Title>Down for\nmaintenance</title></html>");
        assert!(
            error.to_string().contains("Down for maintenance"),
            "{error}"
        );
    }
}
