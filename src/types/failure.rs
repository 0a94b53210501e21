//! How things go wrong, and how much was proved.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How far the content of a stored version has been proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProofLevel {
    /// Nothing compared.
    None,
    /// The byte count agrees on both sides.
    Size,
    /// The bytes sent hash to the recorded SHA-256, and the sizes agree.
    Sent,
    /// The destination computed a digest of its own and it is equal.
    Stored,
    /// The stored version was read again after the commit and its SHA-256 is equal.
    ReadBack,
}

impl ProofLevel {
    /// The level's name in reports and the ledger.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Size => "size",
            Self::Sent => "sent",
            Self::Stored => "stored",
            Self::ReadBack => "read-back",
        }
    }

    /// The level with that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [
            Self::None,
            Self::Size,
            Self::Sent,
            Self::Stored,
            Self::ReadBack,
        ]
        .into_iter()
        .find(|level| level.as_str() == name)
    }
}

impl fmt::Display for ProofLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a failure asks of the caller. Everything shown to people uses these six.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureClass {
    /// A passing disturbance: try again after a short, jittered wait.
    RetryNow,
    /// Throttled, locked or full: try again after a longer wait; no attempt is burned.
    RetryLater,
    /// The signed address no longer opens: ask for a new one.
    Resign,
    /// The session or token is no longer accepted: sign in again, once.
    SignInAgain,
    /// This item cannot be done as it is: park it with the reason and go on.
    ItemIsWrong,
    /// Nothing can go on: stop the run and say why.
    StopEverything,
}

impl FailureClass {
    /// The class's name in output and the ledger.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RetryNow => "retry-now",
            Self::RetryLater => "retry-later",
            Self::Resign => "re-sign",
            Self::SignInAgain => "sign-in-again",
            Self::ItemIsWrong => "item-is-wrong",
            Self::StopEverything => "stop-everything",
        }
    }

    /// All six, mildest first.
    pub const ALL: [Self; 6] = [
        Self::RetryNow,
        Self::RetryLater,
        Self::Resign,
        Self::SignInAgain,
        Self::ItemIsWrong,
        Self::StopEverything,
    ];

    /// The class with that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.as_str() == name)
    }

    /// The class in words.
    pub fn title(self) -> &'static str {
        match self {
            Self::RetryNow => "retry now",
            Self::RetryLater => "retry later",
            Self::Resign => "re-sign",
            Self::SignInAgain => "sign in again",
            Self::ItemIsWrong => "item is wrong",
            Self::StopEverything => "stop everything",
        }
    }

    /// What helps when an item of this class is in `state` for `reason`, by the reason's name.
    pub fn remedy_for(self, state: &str, reason: Option<&str>) -> &'static str {
        match (self, state, reason) {
            (Self::RetryLater, "waiting", Some("full")) => {
                "make room: Content Server's storage or the folder's quota is full; each is tried again at its time, `longhaul retry --class retry-later` tries at once"
            }
            (Self::RetryLater, "waiting", Some("locked")) => {
                "whoever reserved it gives it back; each is tried again at its time, `longhaul retry --class retry-later` tries at once"
            }
            (Self::RetryLater, "waiting", Some("cold-storage")) => {
                "nothing to do: the storage is bringing it back, which takes hours; it is looked at again by itself, `longhaul retry --class retry-later` looks at once"
            }
            (_, "held", Some("incomplete" | "paper-missing")) => {
                "once it is there, run the same command again: it is looked at again by itself; or settle one for good: `longhaul decide KEY --decline --because TEXT`"
            }
            (Self::ItemIsWrong, "parked", Some("inaccessible")) => {
                "see that it is still there and that longhaul's user may see it, then `longhaul retry --class item-is-wrong`; or settle one for good: `longhaul decide KEY --decline --because TEXT`"
            }
            _ => self.remedy(state),
        }
    }

    /// What helps when items of this class are in `state`.
    pub fn remedy(self, state: &str) -> &'static str {
        match state {
            "quarantined" => {
                return "what is stored is not what was sent: look at the node, then `longhaul decide KEY` with --retry, --afresh or --decline, and --because TEXT";
            }
            "held" | "conflict" => {
                return "settle it in Content Server, then `longhaul retry --state held,conflict`; or settle one for good: `longhaul decide KEY --decline --because TEXT`";
            }
            "parked" if self == Self::RetryLater => {
                return "it was not ready: once it is, `longhaul resume --retry parked` looks at it again";
            }
            _ => {}
        }
        match self {
            Self::RetryNow => {
                "a passing disturbance that did not pass: look at the network and at both systems, then `longhaul retry --class retry-now`"
            }
            Self::RetryLater => {
                "throttled, locked or full: nothing to do, each is tried again at its time; `longhaul retry --class retry-later` tries at once"
            }
            Self::Resign => {
                "the storage refuses signed addresses: see that iconik's storage still grants access and that this machine's clock is right, then `longhaul retry --class re-sign`"
            }
            Self::SignInAgain => {
                "a sign-in is no longer accepted: see that user and secret are valid (`longhaul doctor`), then `longhaul retry --class sign-in-again`"
            }
            Self::ItemIsWrong => {
                "mend what the message names, then `longhaul retry --class item-is-wrong`; or settle one for good: `longhaul decide KEY --decline --because TEXT`"
            }
            Self::StopEverything => "mend what the message names, then `longhaul resume` goes on",
        }
    }
}

impl fmt::Display for FailureClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What exactly went wrong, where the engine acts on the difference. Everything else is
/// [`Reason::Other`], for which the [`FailureClass`] says enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// No difference the engine acts on.
    Other,
    /// The request never left this machine, or was certainly refused: nothing was done.
    NotDone,
    /// The request may have been carried out; only a look-up can tell.
    Ambiguous,
    /// The name is taken in that container (it may be our own late commit).
    NameTaken,
    /// The upload session is unknown or has expired.
    SessionGone,
    /// The session was already closed (or is empty).
    SessionClosed,
    /// The object is not there. Only from a complete, authenticated, successful answer.
    NotFound,
    /// The object is not there or may not be accessed; the other system does not say which.
    Inaccessible,
    /// Reserved or locked by somebody.
    Locked,
    /// A record that takes no new content: finalised, official or on hold.
    Held,
    /// The source lacks what must be there: a required value, a paper, an approval.
    Incomplete,
    /// A paper that proves the rights is required and not there.
    PaperMissing,
    /// Another asset has the same content, and a person is to say whether it is filed as well.
    Duplicate,
    /// No space left at the destination.
    Full,
    /// The source changed while it was read: other entity tag, size or date.
    SourceChanged,
    /// The source does not honour byte ranges.
    NoRanges,
    /// The source's bytes are in cold storage and must be restored first.
    ColdStorage,
    /// A digest or size differs from the one expected.
    Mismatch,
    /// The body is too large for the other side or for something between.
    TooLarge,
    /// Work was told to stop (drain, checkpoint, limit).
    Stopped,
    /// The feature does not exist on that server.
    Unsupported,
    /// The sign-in is refused: nobody can go on as that user.
    Refused,
    /// The ledger cannot be read or written.
    Ledger,
    /// Something that cannot happen did: a mistake of longhaul's own.
    Defect,
}

impl Reason {
    /// Whether a commit that failed for this reason certainly had no effect, now or later. What is
    /// not known to be so does not count.
    pub fn nothing_done(self) -> bool {
        matches!(
            self,
            Self::NotDone
                | Self::Inaccessible
                | Self::Locked
                | Self::Held
                | Self::Incomplete
                | Self::PaperMissing
                | Self::Duplicate
                | Self::Full
                | Self::TooLarge
                | Self::Unsupported
                | Self::Refused
        )
    }
}

/// A failure as the engine and everything above sees it: the class decides what happens next.
///
/// The message is for people: lower case, no final full stop, never a secret or signed address.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// What the caller does next.
    pub class: FailureClass,
    /// The difference the engine acts on.
    pub reason: Reason,
    /// What went wrong, where, and what to do.
    pub message: String,
    /// How long the other side asked us to wait.
    pub retry_after: Option<Duration>,
}

impl Failure {
    /// A failure of `class` for `reason`.
    pub fn new(class: FailureClass, reason: Reason, message: impl Into<String>) -> Self {
        Self {
            class,
            reason,
            message: message.into(),
            retry_after: None,
        }
    }

    /// This item cannot be done as it is.
    pub fn item(reason: Reason, message: impl Into<String>) -> Self {
        Self::new(FailureClass::ItemIsWrong, reason, message)
    }

    /// A passing disturbance.
    pub fn transient(message: impl Into<String>) -> Self {
        Self::new(FailureClass::RetryNow, Reason::Other, message)
    }

    /// Nothing can go on.
    pub fn stop(message: impl Into<String>) -> Self {
        Self::new(FailureClass::StopEverything, Reason::Other, message)
    }

    /// A mistake of longhaul's own: stops everything, and says so.
    pub fn defect(message: impl fmt::Display) -> Self {
        Self::new(
            FailureClass::StopEverything,
            Reason::Defect,
            format!("{message}; this is a defect, please report it"),
        )
    }

    /// The same failure with what was being done in front of the message.
    #[must_use]
    pub fn context(mut self, doing: impl fmt::Display) -> Self {
        self.message = format!("{doing}: {}", self.message);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_has_a_name_that_is_read_again_and_a_remedy_with_a_command() {
        for class in FailureClass::ALL {
            assert_eq!(FailureClass::from_name(class.as_str()), Some(class));
            for state in [
                "failed",
                "waiting",
                "parked",
                "held",
                "conflict",
                "quarantined",
            ] {
                assert!(
                    class.remedy(state).contains("`longhaul "),
                    "{class} {state}"
                );
            }
            assert_eq!(class.title().replace(' ', "-"), class.as_str());
        }
        for reason in ["full", "locked", "cold-storage"] {
            let remedy = FailureClass::RetryLater.remedy_for("waiting", Some(reason));
            assert!(remedy.contains("`longhaul "), "{reason}");
            assert_ne!(remedy, FailureClass::RetryLater.remedy("waiting"));
        }
    }
}
