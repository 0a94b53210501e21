//! Reading: one read-only connection, for the owner's pool and for other processes.
//!
//! A connection holds no transaction between calls, so it never keeps the log from being folded
//! in, and each call sees everything that was acknowledged before it began.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension, Params, Row, params};

use super::decode::{self, limit_of};
use super::items::{self, DUE};
use super::journal::{self, Chain};
use super::lock::{self, Owner};
use super::place::{self, Found};
use super::rows::{Doubled, Fact, File, Item, Line, NewItem, Part, Post, Run, StateCount};
use super::{Error, adopted, facts, meta, open, outbox};
use crate::types::{ItemId, NodeId, RunId, TransferId};

/// A read-only view of a ledger: works while its owner runs and after it died, takes no lock and
/// never creates or changes the file. Blocking calls; one thread at a time.
#[derive(Debug)]
pub struct Reader {
    pub(super) conn: Connection,
    path: PathBuf,
}

/// Commands whose runs only file papers of their own. The same command goes on with what it left;
/// they are nothing that a person, or a service after a reboot, means by the last run.
const ASIDE: &str = "'exchange', 'lifecycle', 'package check'";

impl Reader {
    /// Opens the ledger of another process, or of none.
    ///
    /// # Errors
    ///
    /// [`Error::BadPath`] when there is no ledger, [`Error::NotALedger`], [`Error::Newer`],
    /// [`Error::Older`], [`Error::Damaged`], [`Error::NetworkFileSystem`].
    pub fn open(path: &Path) -> Result<Self, Error> {
        open::check_library()?;
        if place::inspect(path)? == Found::Nothing {
            return Err(Error::BadPath {
                path: path.to_owned(),
                problem: "there is none yet; a command that moves something creates it".into(),
            });
        }
        let reader = Self::connect(path)?;
        reader.check_schema().map_err(|error| error.at(path))?;
        Ok(reader)
    }

    fn check_schema(&self) -> Result<(), Error> {
        let found = open::schema(&self.conn)?;
        let path = self.path.clone();
        match found.cmp(&open::KNOWN) {
            std::cmp::Ordering::Greater => Err(Error::Newer { path, found }),
            std::cmp::Ordering::Less => Err(Error::Older {
                path,
                found,
                wanted: open::KNOWN,
            }),
            std::cmp::Ordering::Equal => Ok(()),
        }
    }

    /// A connection to a file that was checked already.
    pub(super) fn connect(path: &Path) -> Result<Self, Error> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let conn = Connection::open_with_flags(path, flags)?;
        conn.busy_timeout(Duration::from_secs(10))?;
        conn.set_prepared_statement_cache_capacity(64);
        conn.pragma_update(None, "query_only", true)?;
        open::distrust(&conn)?;
        Ok(Self {
            conn,
            path: path.to_owned(),
        })
    }

    /// Who owns the ledger, or owned it last, and whether it still runs.
    pub fn owner(&self) -> Option<Owner> {
        lock::owner(&self.path)
    }

    /// A run, or the latest one that moved masters; one that only filed papers of its own is taken
    /// when there is no other.
    ///
    /// # Errors
    ///
    /// Like those of all reads: [`Error::BadRow`] for a row no longhaul writes, [`Error::Busy`],
    /// or a fault of the store.
    pub fn run(&self, id: Option<RunId>) -> Result<Option<Run>, Error> {
        let columns = decode::RUN;
        match id {
            Some(id) => self.one(
                &format!("SELECT {columns} FROM run WHERE id = ?1"),
                [id.0],
                decode::run,
            ),
            None => self.one(
                &format!(
                    "SELECT {columns} FROM run
                     ORDER BY command IN ({ASIDE}), id DESC LIMIT 1"
                ),
                [],
                decode::run,
            ),
        }
    }

    /// Up to `limit` runs with an id above `after`, in order.
    pub fn runs(&self, after: RunId, limit: usize) -> Result<Vec<Run>, Error> {
        self.many(
            &format!(
                "SELECT {} FROM run WHERE id > ?1 ORDER BY id LIMIT ?2",
                decode::RUN
            ),
            [after.0, limit_of(limit)],
            decode::run,
        )
    }

    /// One item.
    pub fn item(&self, id: ItemId) -> Result<Option<Item>, Error> {
        self.one(
            &format!("SELECT {} FROM item WHERE id = ?1", decode::ITEM),
            [id.0],
            decode::item,
        )
    }

    /// An item by its key.
    pub fn item_by_key(&self, key: &str) -> Result<Option<Item>, Error> {
        self.one(
            &format!("SELECT {} FROM item WHERE key = ?1", decode::ITEM),
            [key],
            decode::item,
        )
    }

    /// Whether an item is filed and is still what the source says of it, its content perhaps in
    /// another copy there.
    pub fn is_content_of(&self, known: &Item, now: &NewItem) -> Result<bool, Error> {
        Ok(known.fingerprint == now.fingerprint
            || items::is_same_content(&self.conn, known.id.0, now)?)
    }

    /// Up to `limit` items whose key begins with `prefix`, which does not end in the last
    /// character there is.
    pub fn items_below(&self, prefix: &str, limit: usize) -> Result<Vec<Item>, Error> {
        self.items_below_after(prefix, "", limit)
    }

    /// The same, from the first key behind `after` on: the next page of a long list.
    pub fn items_below_after(
        &self,
        prefix: &str,
        after: &str,
        limit: usize,
    ) -> Result<Vec<Item>, Error> {
        self.many(
            &format!(
                "SELECT {} FROM item WHERE key >= ?1 AND key > ?2 AND key < ?1 || char(0x10FFFF)
                 ORDER BY key LIMIT ?3",
                decode::ITEM
            ),
            params![prefix, after, limit_of(limit)],
            decode::item,
        )
    }

    /// Hands every item whose key begins with `prefix` to `each`, by key; a page of them is in
    /// memory at once.
    pub fn each_item_below(&self, prefix: &str, mut each: impl FnMut(Item)) -> Result<(), Error> {
        const PAGE: usize = 500;
        let mut after = String::new();
        loop {
            let items = self.items_below_after(prefix, &after, PAGE)?;
            let Some(last) = items.last() else {
                return Ok(());
            };
            after.clone_from(&last.key);
            let is_last = items.len() < PAGE;
            items.into_iter().for_each(&mut each);
            if is_last {
                return Ok(());
            }
        }
    }

    /// The nodes found to hold a version with one of these markers.
    pub fn adopted(&self, markers: &[String]) -> Result<Vec<NodeId>, Error> {
        adopted::nodes(&self.conn, markers)
    }

    /// Markers above `after` that more than one version was found to have.
    pub fn doubled(&self, after: &str, limit: usize) -> Result<Vec<Doubled>, Error> {
        adopted::doubled(&self.conn, after, limit)
    }

    /// Up to `limit` filed items whose key is behind `after`, by key.
    pub fn filed(&self, after: &str, limit: usize) -> Result<Vec<Item>, Error> {
        self.many(
            &format!(
                "SELECT {} FROM item WHERE key > ?1 AND state = 'done' AND node IS NOT NULL
                 ORDER BY key LIMIT ?2",
                decode::ITEM
            ),
            params![after, limit_of(limit)],
            decode::item,
        )
    }

    /// Everything that a flow remembers of an object, by field.
    pub fn remembered(&self, flow: &str, object: &str) -> Result<Vec<Fact>, Error> {
        facts::of(&self.conn, flow, object)
    }

    /// Up to `limit` facts of a flow behind `after` (object and field); only open ones when asked.
    pub fn remembered_page(
        &self,
        flow: &str,
        after: (&str, &str),
        open: bool,
        limit: usize,
    ) -> Result<Vec<Fact>, Error> {
        facts::page(&self.conn, flow, after, open, limit)
    }

    /// How many facts of each flow are open, by name.
    pub fn open_questions(&self) -> Result<Vec<(String, u64)>, Error> {
        facts::open_counts(&self.conn)
    }

    /// Which of these markers are known, each with its item: one look through all items and files.
    pub fn owners(&self, markers: &[String]) -> Result<Vec<(String, ItemId)>, Error> {
        let markers = serde_json::to_string(markers).expect("a list of texts is always JSON");
        self.many(
            "WITH wanted (marker) AS MATERIALIZED (SELECT value FROM json_each(?1))
             SELECT marker, id FROM item WHERE marker IN wanted
             UNION SELECT marker, item FROM file WHERE marker IN wanted",
            [markers],
            |row| Ok((row.get(0)?, ItemId(row.get(1)?))),
        )
    }

    /// Items to be published in `parent` under `name` or a name that a container takes for the
    /// same (case, composed or decomposed letters), oldest first.
    pub fn items_named(&self, parent: NodeId, name: &str) -> Result<Vec<Item>, Error> {
        self.many(
            &format!(
                "SELECT {} FROM item WHERE parent = ?1 AND folded = ?2 ORDER BY id",
                decode::ITEM
            ),
            params![parent.0, super::items::folded(name)],
            decode::item,
        )
    }

    /// Items of a run in a state (any, when `None`), by id above `after`.
    pub fn items(
        &self,
        run: RunId,
        state: Option<&str>,
        after: ItemId,
        limit: usize,
    ) -> Result<Vec<Item>, Error> {
        match state {
            Some(state) => self.many(
                &items_sql(true),
                params![run.0, after.0, limit_of(limit), state],
                decode::item,
            ),
            None => self.many(
                &items_sql(false),
                [run.0, after.0, limit_of(limit)],
                decode::item,
            ),
        }
    }

    /// A page of an item's files with `seq` at or above `from`, in order.
    pub fn files(&self, item: ItemId, from: u64, limit: usize) -> Result<Vec<File>, Error> {
        let from = i64::try_from(from).unwrap_or(i64::MAX);
        self.many(
            &format!(
                "SELECT {} FROM file WHERE item = ?1 AND seq >= ?2 ORDER BY seq LIMIT ?3",
                decode::FILE
            ),
            [item.0, from, limit_of(limit)],
            decode::file,
        )
    }

    /// All recorded parts of a file, in order.
    pub fn parts(&self, file: TransferId) -> Result<Vec<Part>, Error> {
        self.many(
            &format!(
                "SELECT {} FROM part WHERE file = ?1 ORDER BY number",
                decode::PART
            ),
            [file.0],
            decode::part,
        )
    }

    /// Items and bytes of a run by state.
    pub fn summary(&self, run: RunId) -> Result<Vec<StateCount>, Error> {
        self.many(SUMMARY, [run.0], |row| {
            let mut cells = decode::Cells::of_group(row, "item", run.0);
            Ok(StateCount {
                state: cells.text()?,
                items: cells.count()?,
                bytes: cells.count()?,
            })
        })
    }

    /// The newest run of a command, or the newest that came to its end.
    pub fn last_run(&self, command: &str, done: bool) -> Result<Option<Run>, Error> {
        let only = if done { "AND outcome = 'done'" } else { "" };
        self.one(
            &format!(
                "SELECT {} FROM run WHERE command = ?1 {only} ORDER BY id DESC LIMIT 1",
                decode::RUN
            ),
            [command],
            decode::run,
        )
    }

    /// Items of all runs of a command by state.
    pub fn states_of(&self, command: &str) -> Result<BTreeMap<String, u64>, Error> {
        let counted = self.many(
            "SELECT state, sum(items) FROM tally
                WHERE items <> 0 AND run IN (SELECT id FROM run WHERE command = ?1) GROUP BY state",
            [command],
            |row| {
                let mut cells = decode::Cells::of_group(row, "item", 0);
                Ok((cells.text()?, cells.count()?))
            },
        )?;
        Ok(counted.into_iter().collect())
    }

    /// Planned or waiting items of a run that cannot begin before somebody acts, because an item
    /// they come after, directly or through others, has stopped short of done or is left over
    /// from another run.
    pub fn blocked(&self, run: RunId) -> Result<u64, Error> {
        let count: i64 = self
            .conn
            .prepare_cached(BLOCKED)?
            .query_row([run.0], |row| row.get(0))?;
        Ok(count.unsigned_abs())
    }

    /// The earliest `next_at` of the run's waiting and planned items, if any are left that do not
    /// come after an unfinished item.
    pub fn next_due(&self, run: RunId) -> Result<Option<i64>, Error> {
        let mut earliest: Option<i64> = None;
        for state in ["planned", "waiting"] {
            let next: Option<i64> = self
                .conn
                .prepare_cached(&next_due_sql(state))?
                .query_row([run.0], |row| row.get(0))
                .optional()?;
            earliest = [earliest, next].into_iter().flatten().min();
        }
        Ok(earliest)
    }

    /// Outbox rows that are due: new ones in the order they came, then those put off by the time
    /// they are due.
    pub fn posts_due(&self, now: i64, limit: usize) -> Result<Vec<Post>, Error> {
        outbox::due(&self.conn, now, limit)
    }

    /// When the first undelivered outbox row is due, in Unix milliseconds.
    pub fn posts_next(&self) -> Result<Option<i64>, Error> {
        outbox::next(&self.conn)
    }

    /// How many outbox rows were refused, and what the other side said of the last.
    pub fn posts_refused(&self) -> Result<Option<(u64, String)>, Error> {
        outbox::refusals(&self.conn)
    }

    /// Outbox rows that have not been delivered.
    pub fn posts_waiting(&self) -> Result<u64, Error> {
        outbox::waiting(&self.conn)
    }

    /// Journal lines above `after`, of a run or item if given, in order.
    pub fn journal(
        &self,
        run: Option<RunId>,
        item: Option<ItemId>,
        after: i64,
        limit: usize,
    ) -> Result<Vec<Line>, Error> {
        journal::lines(&self.conn, run, item, after, limit)
    }

    /// Checks the whole journal, in constant memory.
    pub fn verify_chain(&self) -> Result<Chain, Error> {
        journal::verify(&self.conn)
    }

    /// A value kept beside the rows.
    pub fn meta(&self, key: &str) -> Result<Option<String>, Error> {
        meta::get(&self.conn, key)
    }

    fn one<T>(
        &self,
        sql: &str,
        params: impl Params,
        decode: impl Fn(&Row<'_>) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        Ok(self.many(sql, params, decode)?.pop())
    }

    pub(super) fn many<T>(
        &self,
        sql: &str,
        params: impl Params,
        decode: impl Fn(&Row<'_>) -> Result<T, Error>,
    ) -> Result<Vec<T>, Error> {
        let mut statement = self.conn.prepare_cached(sql)?;
        let mut rows = statement.query(params)?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(decode(row)?);
        }
        Ok(found)
    }
}

/// One file of an item.
pub(super) fn file(conn: &Connection, item: ItemId, seq: u64) -> Result<File, Error> {
    let sql = format!(
        "SELECT {} FROM file WHERE item = ?1 AND seq = ?2",
        decode::FILE
    );
    let seq = decode::stored("a file's place", seq)?;
    let mut statement = conn.prepare_cached(&sql)?;
    let mut rows = statement.query([item.0, seq])?;
    match rows.next()? {
        Some(row) => decode::file(row),
        None => Err(Error::Missing {
            table: "file",
            row: seq,
        }),
    }
}

pub(super) const SUMMARY: &str = "SELECT state, sum(items), sum(bytes) FROM tally
    WHERE run = ?1 AND items <> 0 GROUP BY state ORDER BY state";

pub(super) const BLOCKED: &str = "WITH RECURSIVE stuck (id) AS (
        SELECT item.id FROM item INDEXED BY item_blocked JOIN item AS first ON first.id = item.after
        WHERE item.run = ?1 AND item.blocked = 1 AND item.state IN ('planned', 'waiting')
            AND first.state NOT IN ('done', 'declined')
            AND (first.state NOT IN ('planned', 'waiting', 'active') OR first.run <> ?1)
        UNION
        SELECT item.id FROM stuck JOIN item ON item.after = stuck.id
        WHERE item.run = ?1 AND item.state IN ('planned', 'waiting'))
    SELECT count(*) FROM stuck";

pub(super) fn next_due_sql(state: &'static str) -> String {
    format!(
        "SELECT next_at FROM item INDEXED BY item_due
         WHERE run = ?1 AND state = '{state}' AND {DUE} ORDER BY next_at LIMIT 1"
    )
}

pub(super) fn items_sql(by_state: bool) -> String {
    let (index, state) = if by_state {
        ("item_state", "AND state = ?4")
    } else {
        ("item_run", "")
    };
    format!(
        "SELECT {} FROM item INDEXED BY {index} WHERE run = ?1 {state} AND id > ?2
         ORDER BY id LIMIT ?3",
        decode::ITEM
    )
}
