//! Exit codes: one table, one order.

use crate::types::{Failure, FailureClass, Reason};
use crate::{flows, http, iconik, ledger, settings};

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Everything asked for is done.
    Done,
    /// Some items failed or are parked.
    SomeFailed,
    /// The command line or the settings are wrong.
    Usage,
    /// Records on hold or final take no new content.
    Held,
    /// Nothing matched, and the flag that asks for this code was given.
    Empty,
    /// A digest or size differs from the record.
    Mismatch,
    /// A system cannot be reached.
    Unreachable,
    /// A defect of longhaul.
    Defect,
    /// The ledger cannot be read or written.
    Ledger,
    /// Stopped on request; a resume goes on.
    Stopped,
    /// A sign-in or a permission is refused.
    Refused,
}

/// If several apply, the first of these counts.
const ORDER: [Exit; 11] = [
    Exit::Defect,
    Exit::Ledger,
    Exit::Mismatch,
    Exit::Refused,
    Exit::Unreachable,
    Exit::Stopped,
    Exit::SomeFailed,
    Exit::Held,
    Exit::Usage,
    Exit::Empty,
    Exit::Done,
];

/// Every code with what it means: the manual pages have it from here, and a test holds the README
/// to it.
pub(crate) const TABLE: [(Exit, &str); 11] = [
    (Exit::Done, "everything asked for is done"),
    (
        Exit::SomeFailed,
        "some items failed or are parked; `status` says which and why",
    ),
    (Exit::Usage, "the command line or settings are wrong"),
    (Exit::Held, "records on hold or final take no new content"),
    (
        Exit::Empty,
        "nothing matched (only with the flag that asks for it)",
    ),
    (Exit::Mismatch, "a digest or size differs from the record"),
    (Exit::Unreachable, "a system cannot be reached"),
    (Exit::Defect, "a defect of longhaul"),
    (Exit::Ledger, "the ledger cannot be read or written"),
    (Exit::Stopped, "stopped on request; `resume` goes on"),
    (Exit::Refused, "a sign-in or a permission is refused"),
];

impl Exit {
    /// The process's exit code.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::SomeFailed => 1,
            Self::Usage => 2,
            Self::Held => 3,
            Self::Empty => 4,
            Self::Mismatch => 65,
            Self::Unreachable => 69,
            Self::Defect => 70,
            Self::Ledger => 74,
            Self::Stopped => 75,
            Self::Refused => 77,
        }
    }

    /// The code's name in JSON lines.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::SomeFailed => "some-failed",
            Self::Usage => "usage",
            Self::Held => "held",
            Self::Empty => "empty",
            Self::Mismatch => "mismatch",
            Self::Unreachable => "unreachable",
            Self::Defect => "defect",
            Self::Ledger => "ledger",
            Self::Stopped => "stopped",
            Self::Refused => "refused",
        }
    }

    /// The one of several that counts.
    pub(crate) fn of_all(exits: impl IntoIterator<Item = Exit>) -> Exit {
        let seen: Vec<_> = exits.into_iter().collect();
        ORDER
            .into_iter()
            .find(|exit| seen.contains(exit))
            .unwrap_or(Exit::Done)
    }

    /// The code for items left in that state.
    pub(crate) fn of_state(state: &str) -> Exit {
        match state {
            "done" | "declined" => Exit::Done,
            "held" => Exit::Held,
            "quarantined" => Exit::Mismatch,
            "planned" | "active" | "waiting" => Exit::Stopped,
            _ => Exit::SomeFailed,
        }
    }

    /// The code for an error, by the first cause that says one.
    pub(crate) fn of_error(error: &anyhow::Error) -> Exit {
        error.chain().find_map(of_cause).unwrap_or(Exit::SomeFailed)
    }
}

fn of_cause(cause: &(dyn std::error::Error + 'static)) -> Option<Exit> {
    if let Some(exit) = cause.downcast_ref::<Ended>() {
        return Some(exit.0);
    }
    if cause.is::<settings::Problems>() || cause.is::<settings::SecretError>() {
        return Some(Exit::Usage);
    }
    if cause.is::<ledger::Error>() {
        return Some(Exit::Ledger);
    }
    if let Some(failure) = cause.downcast_ref::<Failure>() {
        return Some(of_failure(failure));
    }
    if let Some(error) = cause.downcast_ref::<flows::Error>() {
        return match error {
            flows::Error::List { .. }
            | flows::Error::Unopened { .. }
            | flows::Error::Plan { .. } => Some(Exit::Usage),
            flows::Error::Ledger(_) => Some(Exit::Ledger),
            flows::Error::Engine(failure) => Some(of_failure(failure)),
            flows::Error::Iconik(error) => Some(of_iconik(error)),
        };
    }
    if let Some(error) = cause.downcast_ref::<iconik::Error>() {
        return Some(of_iconik(error));
    }
    match cause.downcast_ref::<http::Error>()? {
        http::Error::Config(_) => Some(Exit::Usage),
        _ => Some(Exit::Unreachable),
    }
}

fn of_iconik(error: &iconik::Error) -> Exit {
    match error {
        iconik::Error::NotFound { .. } | iconik::Error::Config(_) => Exit::Usage,
        iconik::Error::Token { .. } | iconik::Error::Forbidden { .. } => Exit::Refused,
        _ => Exit::Unreachable,
    }
}

fn of_failure(failure: &Failure) -> Exit {
    match (failure.class, failure.reason) {
        (_, Reason::Held) => Exit::Held,
        (_, Reason::Mismatch) => Exit::Mismatch,
        (_, Reason::NotFound | Reason::Inaccessible) => Exit::Usage,
        (_, Reason::Refused) | (FailureClass::SignInAgain, _) => Exit::Refused,
        (_, Reason::Ledger) => Exit::Ledger,
        (_, Reason::Defect) => Exit::Defect,
        (FailureClass::ItemIsWrong, _) => Exit::SomeFailed,
        _ => Exit::Unreachable,
    }
}

/// An error that knows its exit code.
#[derive(Debug, thiserror::Error)]
#[error("{1}")]
pub(crate) struct Ended(pub(crate) Exit, pub(crate) String);

impl Ended {
    /// The command line or its files are wrong.
    pub(crate) fn usage(message: impl Into<String>) -> anyhow::Error {
        Self(Exit::Usage, message.into()).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readme_prints_this_table() {
        let readme = include_str!("../../README.md");
        let (_, rest) = readme
            .split_once("| Code | Name | Means |\n|---|---|---|\n")
            .expect("the table of exit codes");
        let printed: Vec<&str> = rest
            .lines()
            .take_while(|line| line.starts_with('|'))
            .collect();
        let rows: Vec<String> = TABLE
            .iter()
            .map(|(exit, means)| format!("| {} | {} | {means} |", exit.code(), exit.name()))
            .collect();
        assert_eq!(printed, rows);
        assert!(
            ORDER
                .iter()
                .all(|exit| TABLE.iter().any(|(of, _)| of == exit))
        );
        let order: Vec<String> = ORDER
            .iter()
            .filter(|exit| !matches!(exit, Exit::Usage | Exit::Empty | Exit::Done))
            .map(|exit| exit.code().to_string())
            .collect();
        let sentence = format!(
            "If several apply, the first of {} counts.",
            order.join(", ")
        );
        assert!(readme.contains(&sentence), "{sentence}");
    }

    #[test]
    fn the_most_serious_of_several_counts() {
        assert_eq!(
            Exit::of_all([Exit::Done, Exit::Held, Exit::SomeFailed]),
            Exit::SomeFailed
        );
        assert_eq!(
            Exit::of_all([Exit::Stopped, Exit::Mismatch, Exit::Unreachable]),
            Exit::Mismatch
        );
        assert_eq!(Exit::of_all([Exit::Ledger, Exit::Defect]).code(), 70);
        assert_eq!(Exit::of_all([]), Exit::Done);
    }

    #[test]
    fn an_error_keeps_its_code_under_any_context() {
        let error = Ended::usage("no such file")
            .context("reading the list")
            .context("migrate");
        assert_eq!(Exit::of_error(&error), Exit::Usage);
        let refused = iconik::Error::Token {
            doing: "signing in".to_owned(),
            said: String::new(),
        };
        let failure = anyhow::Error::from(refused.into_failure());
        assert_eq!(Exit::of_error(&failure), Exit::Refused);
        let error = anyhow::Error::from(Failure::stop("no route").context("iconik"));
        assert_eq!(Exit::of_error(&error), Exit::Unreachable);
    }
}
