//! Why the ledger could not do what was asked, and what that means for the run.

use std::path::PathBuf;

use rusqlite::ErrorCode;

use crate::types::{Failure, FailureClass, Reason};

/// What happened to the store underneath. None of these heals by itself while the process runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The disk or the file's quota is full.
    Full,
    /// Reading, writing or syncing failed.
    Io,
    /// The file or its directory cannot be written.
    ReadOnly,
    /// The file's content makes no sense.
    Corrupt,
    /// The writer thread has ended.
    Stopped,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Full => "the disk is full",
            Self::Io => "the disk failed",
            Self::ReadOnly => "it cannot be written",
            Self::Corrupt => "its file is damaged",
            Self::Stopped => "its writer has stopped",
        })
    }
}

/// Why the ledger could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Another process owns the ledger. Given up; the other process goes on.
    #[error("{path} is in use by {owner}; `longhaul status` shows what it is doing")]
    InUse {
        /// The ledger's file.
        path: PathBuf,
        /// Process id and command of the owner.
        owner: String,
    },
    /// The path cannot hold a ledger.
    #[error("{path} cannot hold a ledger: {problem}")]
    BadPath {
        /// The path as given.
        path: PathBuf,
        /// What is in the way and what to do.
        problem: String,
    },
    /// Locks and shared memory cannot be trusted there.
    #[error("{path} is on a network file system ({kind}); put the ledger on a local disk")]
    NetworkFileSystem {
        /// The ledger's file.
        path: PathBuf,
        /// The file system's name.
        kind: &'static str,
    },
    /// A file of somebody else's; it was not touched.
    #[error("{path} is not a ledger of longhaul; name another file")]
    NotALedger {
        /// The file.
        path: PathBuf,
    },
    /// This longhaul does not know the file's schema.
    #[error("{path} was written by a newer longhaul (schema {found}); use that version")]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: i64,
    },
    /// The file's schema is older than a reader understands, or it is being created.
    #[error(
        "{path} has schema {found} and this longhaul reads {wanted}; a command that writes to it brings it up to date"
    )]
    Older {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// The schema wanted.
        wanted: i64,
    },
    /// The SQLite linked in has a defect that can damage files with several connections.
    #[error("this build uses SQLite {found}; {wanted} or later is needed")]
    OldLibrary {
        /// Its version.
        found: &'static str,
        /// The version wanted.
        wanted: &'static str,
    },
    /// The file cannot be trusted; it was left as it is.
    #[error(
        "{path} is damaged ({detail}); keep the file, and build a new ledger from the destination with `longhaul adopt`"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found.
        detail: String,
    },
    /// The store failed; every later call fails the same way, so nothing is done unrecorded.
    #[error("the ledger cannot go on, {fault}: {detail}")]
    Store {
        /// What happened.
        fault: Fault,
        /// What the store said.
        detail: String,
    },
    /// Somebody else held the file for longer than the time limit. Nothing was changed; safe to
    /// try again.
    #[error("the ledger's file stayed locked by another program; is it open in a database tool?")]
    Busy,
    /// A row holds what no longhaul writes there.
    #[error("row {row} of table {table} cannot be read: column {column} holds {problem}")]
    BadRow {
        /// The table.
        table: &'static str,
        /// The row's number.
        row: i64,
        /// The column.
        column: String,
        /// What was found, without the value itself.
        problem: &'static str,
    },
    /// The row to change is not there.
    #[error("the ledger has no {table} {row}")]
    Missing {
        /// The table.
        table: &'static str,
        /// The row's number.
        row: i64,
    },
    /// A number beyond what a row can hold.
    #[error("{what} of {value} is more than the ledger can hold")]
    TooLarge {
        /// What the number is.
        what: &'static str,
        /// The number.
        value: u64,
    },
    /// An item cannot wait for the one it names.
    #[error("item {key} cannot wait for {after}: {problem}")]
    Order {
        /// The item's key.
        key: String,
        /// The key it names.
        after: String,
        /// Why not.
        problem: &'static str,
    },
    /// A value that must not be stored where the caller wants it.
    #[error("the ledger refuses {what}: {problem}")]
    Refused {
        /// What was to be stored.
        what: &'static str,
        /// Why not.
        problem: String,
    },
}

impl Error {
    /// Whether the ledger is unusable from here on: drain, and end with the exit code for it.
    pub fn is_fatal(&self) -> bool {
        matches!(self, Self::Store { .. } | Self::Damaged { .. })
    }

    /// What the error asks of the caller.
    pub fn class(&self) -> FailureClass {
        match self {
            Self::Busy => FailureClass::RetryLater,
            Self::BadRow { .. }
            | Self::Missing { .. }
            | Self::TooLarge { .. }
            | Self::Order { .. }
            | Self::Refused { .. } => FailureClass::ItemIsWrong,
            Self::InUse { .. }
            | Self::BadPath { .. }
            | Self::NetworkFileSystem { .. }
            | Self::NotALedger { .. }
            | Self::Newer { .. }
            | Self::Older { .. }
            | Self::OldLibrary { .. }
            | Self::Damaged { .. }
            | Self::Store { .. } => FailureClass::StopEverything,
        }
    }

    pub(super) fn stopped() -> Self {
        Self::Store {
            fault: Fault::Stopped,
            detail: "see the errors before this one".into(),
        }
    }

    /// The fault and its text, when every later call has to fail with it.
    pub(super) fn fault(&self) -> Option<(Fault, String)> {
        match self {
            Self::Store { fault, detail } => Some((*fault, detail.clone())),
            _ => None,
        }
    }

    /// The same error with the file's name, where the file itself turned out to be the trouble.
    pub(super) fn at(self, path: &std::path::Path) -> Self {
        match self {
            Self::Store {
                fault: Fault::Corrupt,
                detail,
            } => Self::Damaged {
                path: path.to_owned(),
                detail,
            },
            other => other,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::new(error.class(), Reason::Other, error.to_string())
    }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        let refused = |problem: String| Self::Refused {
            what: "a statement",
            problem,
        };
        let rusqlite::Error::SqliteFailure(failure, message) = error else {
            return refused(error.to_string());
        };
        // Messages name tables and columns, never values.
        let detail = message.unwrap_or_else(|| failure.to_string());
        let fault = match failure.code {
            ErrorCode::DiskFull => Fault::Full,
            ErrorCode::SystemIoFailure
            | ErrorCode::CannotOpen
            | ErrorCode::FileLockingProtocolFailed
            | ErrorCode::OutOfMemory => Fault::Io,
            ErrorCode::ReadOnly | ErrorCode::PermissionDenied => Fault::ReadOnly,
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => Fault::Corrupt,
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => return Self::Busy,
            _ => return refused(detail),
        };
        Self::Store { fault, detail }
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::ffi;

    use super::*;

    #[track_caller]
    fn check(code: i32, fatal: bool, class: FailureClass) {
        let error = Error::from(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None));
        assert_eq!(error.is_fatal(), fatal, "{error}");
        assert_eq!(error.class(), class, "{error}");
    }

    #[test]
    fn only_what_the_store_cannot_recover_from_is_fatal() {
        check(ffi::SQLITE_FULL, true, FailureClass::StopEverything);
        check(ffi::SQLITE_IOERR_FSYNC, true, FailureClass::StopEverything);
        check(ffi::SQLITE_CANTOPEN, true, FailureClass::StopEverything);
        check(ffi::SQLITE_READONLY, true, FailureClass::StopEverything);
        check(ffi::SQLITE_CORRUPT, true, FailureClass::StopEverything);
        check(ffi::SQLITE_NOTADB, true, FailureClass::StopEverything);
        check(ffi::SQLITE_BUSY, false, FailureClass::RetryLater);
        check(
            ffi::SQLITE_CONSTRAINT_UNIQUE,
            false,
            FailureClass::ItemIsWrong,
        );
        check(ffi::SQLITE_TOOBIG, false, FailureClass::ItemIsWrong);
    }
}
