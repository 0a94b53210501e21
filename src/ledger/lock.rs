//! The lock file beside the ledger: one owner at a time, who it is, and how far it had come.
//!
//! The operating system's lock on `<ledger>.lock` ends with the process, however it ends. The
//! file itself stays: its first line counts the ledger's commits, written after each of them
//! without a sync. As long as the machine stays up that number is exact, so a ledger that knows
//! fewer commits than its lock file has lost its tail or was restored from a copy. A third line,
//! written when the ledger is closed in order, is the digest of the closed file: a bit that flips
//! while nobody works is noticed by whoever opens it next.

use std::fs::{File, TryLockError};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tracing::warn;
use xxhash_rust::xxh3::Xxh3;

use super::{Error, now, place};

/// Digits of the counter, so that it can be overwritten in place.
const DIGITS: usize = 20;

/// A reader that asks whether the owner lives holds the lock for an instant.
const TRIES: u32 = 10;
const BETWEEN_TRIES: Duration = Duration::from_millis(20);

/// Who owns, or last owned, a ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// Process id.
    pub pid: u32,
    /// What it called itself, such as `archive`.
    pub text: String,
    /// When it opened the ledger, Unix milliseconds.
    pub since: i64,
    /// Whether it still runs.
    #[serde(skip)]
    pub alive: bool,
    /// Which ledger it was.
    ledger: String,
}

/// What the last owner left in the lock file.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Left {
    /// Id of the ledger; empty when the file was new or makes no sense.
    pub(super) ledger: String,
    /// Commits that ledger had.
    pub(super) commits: u64,
    /// Digest of its file, if it was closed in order with that many commits.
    pub(super) closed: Option<String>,
}

/// The held lock; released when dropped.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
    path: PathBuf,
    failed: bool,
}

impl Lock {
    /// Takes the lock of the ledger at `ledger`.
    ///
    /// # Errors
    ///
    /// [`Error::InUse`] when another process has it, [`Error::BadPath`] when the lock file cannot
    /// be opened.
    pub(super) fn take(ledger: &Path) -> Result<(Self, Left), Error> {
        let path = place::beside(ledger, ".lock");
        let bad = |error: std::io::Error| Error::BadPath {
            path: ledger.to_owned(),
            problem: format!("its lock file {}: {error}", path.display()),
        };
        let file = place::open_lock(&path).map_err(bad)?;
        let mut tries = 0;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if tries < TRIES => {
                    tries += 1;
                    std::thread::sleep(BETWEEN_TRIES);
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(Error::InUse {
                        path: ledger.to_owned(),
                        owner: match read(&path).and_then(|(owner, ..)| owner) {
                            Some(owner) => format!("process {} ({})", owner.pid, owner.text),
                            None => "another process".into(),
                        },
                    });
                }
                Err(TryLockError::Error(error)) => return Err(bad(error)),
            }
        }
        let left = match read(&path) {
            Some((Some(owner), commits, closed)) => Left {
                ledger: owner.ledger,
                commits,
                closed,
            },
            _ => Left::default(),
        };
        Ok((
            Self {
                file,
                path,
                failed: false,
            },
            left,
        ))
    }

    /// Writes who owns the ledger now.
    ///
    /// # Errors
    ///
    /// [`Error::BadPath`] when the file cannot be written.
    pub(super) fn describe(&self, ledger: &str, owner: &str, commits: u64) -> Result<(), Error> {
        let owner = Owner {
            pid: std::process::id(),
            text: owner.chars().take(200).collect(),
            since: now(),
            alive: true,
            ledger: ledger.to_owned(),
        };
        let text = serde_json::to_string(&owner).unwrap_or_default();
        let text = format!("{commits:0DIGITS$}\n{text}\n");
        self.file
            .set_len(0)
            .and_then(|()| self.file.write_all_at(text.as_bytes(), 0))
            .map_err(|error| Error::BadPath {
                path: self.path.clone(),
                problem: error.to_string(),
            })
    }

    /// Notes how many commits the ledger has. A failure costs only the ability to notice a lost
    /// tail, so it is logged once and otherwise ignored.
    pub(super) fn count(&mut self, commits: u64) {
        let text = format!("{commits:0DIGITS$}");
        if let Err(error) = self.file.write_all_at(text.as_bytes(), 0)
            && !std::mem::replace(&mut self.failed, true)
        {
            warn!(path = %self.path.display(), %error, "the lock file cannot be written");
        }
    }

    /// Notes the digest of the ledger's closed file. Without it the next owner cannot tell whether
    /// the file is as it was left, so a failure is only logged.
    pub(super) fn closed(&self, ledger: &Path) {
        let noted = digest_of(ledger).and_then(|digest| {
            let end = self.file.metadata()?.len();
            self.file
                .write_all_at(format!("closed {digest}\n").as_bytes(), end)
        });
        if let Err(error) = noted {
            warn!(path = %self.path.display(), %error, "the closed ledger's digest was not noted");
        }
    }

    /// Makes what the file says durable.
    pub(super) fn sync(&self) {
        if let Err(error) = self.file.sync_all() {
            warn!(path = %self.path.display(), %error, "the lock file cannot be synced");
        }
    }
}

/// Who owns or last owned the ledger at `ledger`; `None` when that is not known.
pub(super) fn owner(ledger: &Path) -> Option<Owner> {
    let path = place::beside(ledger, ".lock");
    let (owner, ..) = read(&path)?;
    let mut owner = owner?;
    let file = File::open(&path).ok()?;
    owner.alive = matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock));
    Some(owner)
}

/// The digest of a closed ledger's file. It finds what a disk or a copy did to it; against
/// somebody who wants to deceive there is the chain of the journal.
pub(super) fn digest_of(ledger: &Path) -> std::io::Result<String> {
    let mut file = BufReader::with_capacity(1 << 20, File::open(ledger)?);
    let mut hasher = Xxh3::new();
    loop {
        let bytes = file.fill_buf()?;
        if bytes.is_empty() {
            return Ok(format!("{:032x}", hasher.digest128()));
        }
        hasher.update(bytes);
        let len = bytes.len();
        file.consume(len);
    }
}

/// The owner, the count and the closed file's digest in a lock file; `None` when there is no
/// counter in it.
fn read(path: &Path) -> Option<(Option<Owner>, u64, Option<String>)> {
    let mut text = String::new();
    File::open(path)
        .ok()?
        .take(4096)
        .read_to_string(&mut text)
        .ok()?;
    let (count, rest) = text.split_once('\n')?;
    let mut rest = rest.lines();
    let owner = rest.next().and_then(|line| serde_json::from_str(line).ok());
    let closed = rest
        .next()
        .and_then(|line| line.strip_prefix("closed "))
        .map(str::to_owned);
    Some((owner, count.parse().ok()?, closed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_tells_the_second_who_has_it_and_ends_with_its_holder() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = dir.path().join("l.db");
        assert_eq!(owner(&ledger), None);
        let (mut lock, left) = Lock::take(&ledger).unwrap();
        assert_eq!(left, Left::default());
        lock.describe("id", "archive", 7).unwrap();
        lock.count(12);

        let error = Lock::take(&ledger).unwrap_err().to_string();
        let who = format!("process {} (archive)", std::process::id());
        assert!(error.contains(&who), "{error}");
        assert!(error.contains("longhaul status"), "{error}");
        assert!(owner(&ledger).unwrap().alive);

        drop(lock);
        assert!(!owner(&ledger).unwrap().alive);
        let (_lock, left) = Lock::take(&ledger).unwrap();
        assert_eq!((left.ledger.as_str(), left.commits), ("id", 12));
    }

    #[test]
    fn a_lock_file_that_makes_no_sense_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = dir.path().join("l.db");
        for text in ["", "\n", "12", "x\n{}\n", "00000000000000000012\n{\"pid\":"] {
            std::fs::write(place::beside(&ledger, ".lock"), text).unwrap();
            assert_eq!(Lock::take(&ledger).unwrap().1, Left::default(), "{text:?}");
        }
    }

    #[test]
    fn a_link_in_place_of_the_lock_file_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = dir.path().join("l.db");
        let other = dir.path().join("other");
        std::fs::write(&other, "keep").unwrap();
        std::os::unix::fs::symlink(&other, place::beside(&ledger, ".lock")).unwrap();
        assert!(Lock::take(&ledger).is_err());
        assert_eq!(std::fs::read(&other).unwrap(), b"keep");
    }
}
