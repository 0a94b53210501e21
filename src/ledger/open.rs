//! Opening a ledger as its owner: checks, migrations, and what the last owner left behind.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use tracing::{info, warn};

use super::journal::{self, Chain, Head};
use super::lock::{self, Left, Lock};
use super::place::{self, Found};
use super::writer::{Latch, State};
use super::{Error, meta, now};

/// Migrations in order; a file's `user_version` counts those it has been through. Only ever
/// append: an older file is brought up to date, a newer one refused.
const MIGRATIONS: [&str; 6] = [
    include_str!("schema/0001.sql"),
    include_str!("schema/0002.sql"),
    include_str!("schema/0003.sql"),
    include_str!("schema/0004.sql"),
    include_str!("schema/0005.sql"),
    include_str!("schema/0006.sql"),
];

/// The schema this longhaul reads and writes.
pub(super) const KNOWN: i64 = MIGRATIONS.len() as i64;

/// Earlier ones can damage a file in WAL mode when two connections write or fold in at once.
const LIBRARY: (i32, &str) = (3_051_003, "3.51.3");

/// Another program (a database tool, a backup) may hold the file for a moment.
const BUSY: Duration = Duration::from_secs(30);

/// Pages of log before it is folded in: 16 MiB, so that a sync of the file itself stays rare
/// next to the syncs of the commits.
const CHECKPOINT_PAGES: i64 = 4000;

/// A barrier is found again by every process that opens within this time, so that one killed
/// while waiting does not spare the next the wait. Longer than any server's request limit.
const BARRIER_LIFE_MS: i64 = 2 * 60 * 60 * 1000;

/// Why requests of an earlier process may still take effect, or have taken effect unrecorded:
/// items that add versions look first and wait before their first commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Barrier {
    /// The machine was started anew and the ledger had not been closed in order.
    Rebooted,
    /// The ledger knows fewer commits than its lock file: it was restored from a copy, or its
    /// tail was lost.
    Restored,
    /// The ledger came here without its lock file, or the lock file is another ledger's.
    Moved,
}

impl Barrier {
    const ALL: [Self; 3] = [Self::Rebooted, Self::Restored, Self::Moved];

    /// Its name in logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rebooted => "rebooted",
            Self::Restored => "restored",
            Self::Moved => "moved",
        }
    }
}

/// A ledger just opened.
pub(super) struct Opened {
    pub(super) state: State,
    pub(super) barrier: Option<(Barrier, i64)>,
}

/// Opens or creates the ledger and takes ownership.
pub(super) fn open(path: &Path, owner: &str) -> Result<Opened, Error> {
    check_library()?;
    place::inspect(path)?;
    let (lock, left) = Lock::take(path)?;
    // Looked at again under the lock: somebody may have created it meanwhile.
    let found = place::inspect(path)?;
    place::prepare(path)?;
    own(path, owner, lock, &left, found).map_err(|error| error.at(path))
}

fn own(path: &Path, owner: &str, lock: Lock, left: &Left, found: Found) -> Result<Opened, Error> {
    // Before SQLite touches the file.
    let kept = Kept::of(path, left)?;
    let conn = connect(path)?;
    let schema = schema(&conn)?;
    if schema > KNOWN {
        return Err(Error::Newer {
            path: path.to_owned(),
            found: schema,
        });
    }
    if found == Found::Ledger {
        check_content(&conn, path)?;
        if schema > 0 {
            check_kept(&conn, path, kept, left)?;
        }
    }
    configure(&conn, path)?;
    migrate(&conn, schema)?;
    let head = load_head(&conn, path)?;

    conn.execute_batch("BEGIN IMMEDIATE")?;
    let past = Past::load(&conn)?;
    let boot = boot_id();
    let at = now();
    let barrier = match past.barrier(left, &boot) {
        Some(barrier) => {
            warn!(path = %path.display(), reason = barrier.as_str(), "requests of an earlier process may still take effect");
            Some((barrier, at))
        }
        None => past.still_standing(at),
    };
    match barrier {
        Some((barrier, since)) => meta::set(
            &conn,
            meta::BARRIER,
            &format!("{} {since}", barrier.as_str()),
        )?,
        None => meta::remove(&conn, meta::BARRIER)?,
    }
    let id = match past.id {
        Some(id) => id,
        None => {
            let id = uuid::Uuid::new_v4().to_string();
            meta::set(&conn, meta::ID, &id)?;
            id
        }
    };
    let commits = past.commits.max(left.commits) + 1;
    meta::set(&conn, meta::COMMITS, &commits.to_string())?;
    meta::set(&conn, meta::CLEAN, "no")?;
    meta::set(&conn, meta::BOOT, &boot)?;
    let orphans = conn.execute(
        "UPDATE item SET state = 'planned', next_at = 0 WHERE state = 'active'",
        [],
    )?;
    conn.execute_batch("COMMIT")?;
    if orphans > 0 {
        info!(
            items = orphans,
            "items of a process that died are planned again"
        );
    }
    lock.describe(&id, owner, commits)?;
    Ok(Opened {
        state: State {
            path: path.to_owned(),
            conn,
            lock,
            head,
            commits,
            latch: Latch::default(),
        },
        barrier,
    })
}

/// Whether a file is as its last owner closed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kept {
    /// To the last bit.
    Whole,
    /// It has other bytes.
    Changed,
    /// Its owner died, or nobody said how it was closed.
    Unknown,
}

impl Kept {
    fn of(path: &Path, left: &Left) -> Result<Self, Error> {
        let log = std::fs::metadata(place::beside(path, "-wal"));
        let Some(closed) = &left.closed else {
            return Ok(Self::Unknown);
        };
        if log.is_ok_and(|log| log.len() > 0) {
            return Ok(Self::Unknown);
        }
        match lock::digest_of(path) {
            Ok(found) if found == *closed => Ok(Self::Whole),
            Ok(_) => Ok(Self::Changed),
            Err(error) => Err(Error::BadPath {
                path: path.to_owned(),
                problem: error.to_string(),
            }),
        }
    }
}

/// Refuses a file that changed since it was closed, unless it is another one (restored from a
/// copy, or brought from elsewhere), and a file whose owner died if its journal is not whole.
///
/// The second is for a copy that was put in place of a ledger while the log of the newer one still
/// lay beside it. SQLite would take both for one. If the log was ever begun anew in between, the
/// journal lines of that time are in neither.
fn check_kept(conn: &Connection, path: &Path, kept: Kept, left: &Left) -> Result<(), Error> {
    let past = Past::load(conn)?;
    let damaged = |detail: String| {
        Err(Error::Damaged {
            path: path.to_owned(),
            detail,
        })
    };
    let same = past.id.as_ref() == Some(&left.ledger);
    if kept == Kept::Changed && same && past.commits >= left.commits {
        return damaged(format!(
            "it is not as longhaul closed it; if a person changed it on purpose, move {} away",
            place::beside(path, ".lock").display()
        ));
    }
    if kept != Kept::Whole
        && let Chain::Broken { seq, why } = journal::verify(conn)?
    {
        return damaged(format!("its journal breaks at line {seq}: {why}"));
    }
    Ok(())
}

/// What the file says of its past.
struct Past {
    id: Option<String>,
    commits: u64,
    clean: bool,
    boot: String,
    barrier: Option<(Barrier, i64)>,
}

impl Past {
    fn load(conn: &Connection) -> Result<Self, Error> {
        let barrier = meta::get(conn, meta::BARRIER)?.and_then(|text| {
            let (name, since) = text.split_once(' ')?;
            let barrier = Barrier::ALL.into_iter().find(|b| b.as_str() == name)?;
            Some((barrier, since.parse().ok()?))
        });
        Ok(Self {
            id: meta::get(conn, meta::ID)?,
            commits: meta::get(conn, meta::COMMITS)?
                .and_then(|text| text.parse().ok())
                .unwrap_or(0),
            clean: meta::get(conn, meta::CLEAN)?.as_deref() == Some("yes"),
            boot: meta::get(conn, meta::BOOT)?.unwrap_or_default(),
            barrier,
        })
    }

    /// Whether this open needs a barrier, seen from what the lock file says and the machine's
    /// boot id. A process killed on the same boot needs none: nothing it wrote is lost.
    fn barrier(&self, left: &Left, boot: &str) -> Option<Barrier> {
        match &self.id {
            // A new file where a ledger had been at work.
            None => (left.commits > 0).then_some(Barrier::Restored),
            Some(id) if *id != left.ledger => Some(Barrier::Moved),
            Some(_) if self.commits < left.commits => Some(Barrier::Restored),
            Some(_) if !self.clean && (self.boot != boot || boot.is_empty()) => {
                Some(Barrier::Rebooted)
            }
            Some(_) => None,
        }
    }

    fn still_standing(&self, now: i64) -> Option<(Barrier, i64)> {
        // A clock that was set back makes it stand longer, not shorter.
        self.barrier
            .filter(|(_, since)| now.saturating_sub(*since) < BARRIER_LIFE_MS)
    }
}

/// Refuses a SQLite that is too old to be trusted.
pub(super) fn check_library() -> Result<(), Error> {
    if rusqlite::version_number() < LIBRARY.0 {
        return Err(Error::OldLibrary {
            found: rusqlite::version(),
            wanted: LIBRARY.1,
        });
    }
    Ok(())
}

fn connect(path: &Path) -> Result<Connection, Error> {
    // Without the flag for URIs: a path that begins with "file:" is a path.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags)?;
    conn.busy_timeout(BUSY)?;
    conn.set_prepared_statement_cache_capacity(128);
    distrust(&conn)?;
    // Asked of SQLite, not of the file: a process killed while it created the ledger leaves a file
    // with a header that SQLite takes back here, to nothing.
    let pages: i64 = conn.pragma_query_value(None, "page_count", |row| row.get(0))?;
    if pages == 0 {
        // Before there is a log, so that it is in the file's header from the first moment.
        conn.pragma_update(None, "application_id", place::APPLICATION_ID)?;
    }
    Ok(conn)
}

/// The file may have been edited: nothing in it runs code, and damage is an error early.
pub(super) fn distrust(conn: &Connection) -> Result<(), Error> {
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    conn.pragma_update(None, "cell_size_check", true)?;
    // Without it a statement with a bound LIMIT is compiled anew for every other value.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}

/// The number of migrations the file has been through.
pub(super) fn schema(conn: &Connection) -> Result<i64, Error> {
    Ok(conn.pragma_query_value(None, "user_version", |row| row.get(0))?)
}

/// Reads the whole file once: finds torn pages and rows out of place.
fn check_content(conn: &Connection, path: &Path) -> Result<(), Error> {
    let found: String = conn.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if found == "ok" {
        return Ok(());
    }
    // SQLite heads its findings with a line of its own.
    let findings = found.lines().filter(|line| !line.starts_with("***"));
    Err(Error::Damaged {
        path: path.to_owned(),
        detail: findings.collect::<Vec<_>>().join("; "),
    })
}

fn configure(conn: &Connection, path: &Path) -> Result<(), Error> {
    let mode: String =
        conn.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if mode != "wal" {
        return Err(Error::BadPath {
            path: path.to_owned(),
            problem: "its file system has no shared memory for files (write-ahead log)".into(),
        });
    }
    conn.pragma_update(None, "synchronous", "FULL")?;
    // Systems whose sync does not reach the disk's own cache by itself.
    conn.pragma_update(None, "fullfsync", true)?;
    conn.pragma_update(None, "checkpoint_fullfsync", true)?;
    conn.pragma_update(None, "foreign_keys", true)?;
    conn.pragma_update(None, "temp_store", "MEMORY")?;
    conn.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    conn.pragma_update(None, "journal_size_limit", 64 * 1024 * 1024)?;
    Ok(())
}

fn migrate(conn: &Connection, schema: i64) -> Result<(), Error> {
    for (number, migration) in (1..).zip(MIGRATIONS) {
        if number <= schema {
            continue;
        }
        let step = conn.unchecked_transaction()?;
        step.execute_batch(migration)?;
        step.pragma_update(None, "user_version", number)?;
        step.commit()?;
        info!(schema = number, "the ledger has a new schema");
    }
    Ok(())
}

/// The journal's last line, which must be the one that was recorded as the last.
fn load_head(conn: &Connection, path: &Path) -> Result<Head, Error> {
    if let Some(head) = Head::load(conn)?
        && head.is_last(conn)?
    {
        return Ok(head);
    }
    Err(Error::Damaged {
        path: path.to_owned(),
        detail: "the journal does not end with the line recorded as its last".into(),
    })
}

/// Names the time since the machine was started; empty where that cannot be known.
fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map(|text| text.trim().to_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn past(commits: u64, clean: bool, boot: &str) -> Past {
        Past {
            id: Some("id".into()),
            commits,
            clean,
            boot: boot.into(),
            barrier: None,
        }
    }

    #[track_caller]
    fn check(past: &Past, lock: (&str, u64), boot: &str, expected: Option<Barrier>) {
        let left = Left {
            ledger: lock.0.into(),
            commits: lock.1,
            closed: None,
        };
        assert_eq!(past.barrier(&left, boot), expected);
    }

    #[test]
    fn a_barrier_stands_wherever_the_ledger_may_be_older_than_the_world() {
        // A clean stop, and a kill on the same boot, lose nothing.
        check(&past(9, true, "a"), ("id", 9), "a", None);
        check(&past(9, true, "a"), ("id", 9), "b", None);
        check(&past(9, false, "a"), ("id", 9), "a", None);
        // Killed between a commit and its count.
        check(&past(10, false, "a"), ("id", 9), "a", None);

        check(
            &past(9, false, "a"),
            ("id", 9),
            "b",
            Some(Barrier::Rebooted),
        );
        check(&past(9, false, ""), ("id", 9), "", Some(Barrier::Rebooted));
        check(&past(8, true, "a"), ("id", 9), "a", Some(Barrier::Restored));
        check(
            &past(8, false, "a"),
            ("id", 9),
            "a",
            Some(Barrier::Restored),
        );
        check(&past(9, true, "a"), ("", 0), "a", Some(Barrier::Moved));
        check(&past(9, true, "a"), ("other", 9), "a", Some(Barrier::Moved));

        let new = Past {
            id: None,
            ..past(0, false, "")
        };
        check(&new, ("", 0), "a", None);
        check(&new, ("id", 9), "a", Some(Barrier::Restored));
    }

    #[test]
    fn a_barrier_outlives_the_process_that_found_it_and_ends_with_time() {
        let past = Past {
            barrier: Some((Barrier::Restored, 1_000)),
            ..past(9, true, "a")
        };
        assert_eq!(past.still_standing(2_000), past.barrier);
        assert_eq!(past.still_standing(500), past.barrier);
        assert_eq!(past.still_standing(1_000 + BARRIER_LIFE_MS), None);
        assert_eq!(past.still_standing(i64::MAX), None);
        assert_eq!(past.still_standing(i64::MIN), past.barrier);
    }
}
