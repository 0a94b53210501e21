//! The checkpoint store: what every run, item, file and part has reached, in SQLite.
//!
//! One writer thread takes [`Change`]s from a channel and commits everything that is queued in
//! one transaction, durable before it answers. Readers use their own read-only connections and
//! see whatever was acknowledged. One process owns a ledger, by a lock that ends with it; others
//! look at it through a [`Reader`].
//!
//! ```text
//! apply ─┐                          ┌─ <ledger>.lock   who, and how many commits
//! apply ─┼─ queue ─ writer thread ──┤
//! apply ─┘   one transaction, then  └─ <ledger>        and its log, -wal
//!            all answers                   ▲
//! run, items, files …  ─ a few read-only ──┤
//! Reader (another process) ────────────────┘
//! ```
//!
//! What the ledger promises: an answered change survives a kill and a power cut; an unanswered
//! one is there whole or not at all; after a fault of the disk nothing more is accepted
//! ([`Error::is_fatal`]), so that nothing is done in the outside world without a record; and an
//! owner learns when the ledger may be older than the world ([`Ledger::start_barrier`]).
//!
//! It knows neither steps nor which may follow which: states and steps are texts here, and become
//! the engine's own types after its checks. This is the only module with SQL.

mod adopted;
mod change;
mod decode;
mod desk;
mod error;
mod facts;
mod items;
mod journal;
mod lock;
mod meta;
mod open;
mod outbox;
mod place;
mod reader;
mod report;
mod rows;
#[cfg(test)]
pub(crate) mod tests;
mod twins;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::params;
use tokio::sync::Semaphore;

pub use change::Change;
pub use desk::{ClassCount, Facts, InHand, ProofCount};
pub use error::{Error, Fault};
pub use items::STOPPED;
pub use journal::{Break, Chain, GENESIS};
pub use lock::Owner;
pub use open::Barrier;
pub use reader::Reader;
pub use report::FileTotals;
pub use twins::{Repeated, Same, Twin};

pub use rows::{
    Added, Adopted, Doubled, Entry, Fact, File, FilePatch, Item, ItemPatch, Line, NewFile, NewItem,
    NewPost, NewRun, Part, Post, Run, StateCount,
};

use crate::types::{ByteCount, ItemId, NodeId, RunId, TransferId};

/// Connections for reads at the same time. A read takes well under a millisecond; more only help
/// while a report pages through a long run.
const READERS: usize = 4;

/// The owner's handle: reads and writes. Cheap to clone.
///
/// When the last clone is dropped, what is queued is written, the stop is marked as clean and the
/// lock released; the drop waits for that (milliseconds). Every call but those reads may be
/// dropped midway: its change then happens whole or not at all.
#[derive(Clone)]
pub struct Ledger(Arc<Inner>);

struct Inner {
    path: PathBuf,
    barrier: Option<(Barrier, i64)>,
    /// Declared before the writer: the last connection to close folds in the log.
    readers: Pool,
    writer: writer::Writer,
    latch: writer::Latch,
}

struct Pool {
    idle: Arc<Mutex<Vec<Reader>>>,
    permits: Arc<Semaphore>,
}

impl std::fmt::Debug for Ledger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ledger")
            .field("path", &self.0.path)
            .finish_non_exhaustive()
    }
}

impl Ledger {
    /// Opens or creates the ledger and takes ownership of it. `owner` is a short text for other
    /// processes to read, such as `archive`; the process id is added. Items left `active` by a
    /// dead process become `planned` again. Blocks for as long as reading the file once takes.
    ///
    /// # Errors
    ///
    /// [`Error::InUse`], [`Error::BadPath`], [`Error::NetworkFileSystem`], [`Error::NotALedger`],
    /// [`Error::Newer`], [`Error::Damaged`], or a fault of the store.
    pub fn open(path: &Path, owner: &str) -> Result<Self, Error> {
        let open::Opened { state, barrier } = open::open(path, owner)?;
        let latch = state.latch.clone();
        Ok(Self(Arc::new(Inner {
            path: path.to_owned(),
            barrier,
            readers: Pool {
                idle: Arc::default(),
                permits: Arc::new(Semaphore::new(READERS)),
            },
            writer: writer::Writer::start(state)?,
            latch,
        })))
    }

    /// The ledger's file.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Whether the ledger may be older than the world: items that add versions must wait the
    /// quiet time from now and look before their first commit.
    pub fn started_after_unclean_boot(&self) -> bool {
        self.0.barrier.is_some()
    }

    /// Why, and since when (Unix milliseconds): an earlier process may have waited part of the
    /// quiet time already.
    pub fn start_barrier(&self) -> Option<(Barrier, i64)> {
        self.0.barrier
    }

    /// Applies a change; returns once it is durable.
    ///
    /// # Errors
    ///
    /// Like those of all writes: [`Error::Missing`], [`Error::TooLarge`] and [`Error::Refused`]
    /// leave everything as it was; so does [`Error::Busy`], which may be tried again; an error
    /// that [is fatal](Error::is_fatal) ends the ledger's work.
    pub async fn apply(&self, change: Change) -> Result<(), Error> {
        self.write(move |tx| change.apply(tx)).await
    }

    /// Applies a change and reads a file as it stands then: place `seq` of an item's.
    pub async fn advance(&self, change: Change, item: ItemId, seq: u64) -> Result<File, Error> {
        self.write(move |tx| {
            change.apply(tx)?;
            reader::file(tx.conn, item, seq)
        })
        .await
    }

    /// Starts a run.
    pub async fn start_run(&self, run: NewRun) -> Result<RunId, Error> {
        self.write(move |tx| {
            tx.conn
                .prepare_cached(
                    "INSERT INTO run (command, arguments, started, outcome)
                     VALUES (?1, ?2, ?3, 'running')",
                )?
                .execute(params![run.command, run.arguments, tx.now()])?;
            Ok(RunId(tx.conn.last_insert_rowid()))
        })
        .await
    }

    /// Records how far the enumeration got, and how many assets it left out since the last call.
    pub async fn scan_progress(
        &self,
        run: RunId,
        cursor: Option<String>,
        done: bool,
        left_out: u64,
    ) -> Result<(), Error> {
        self.write(move |tx| scanned(tx, run, cursor.as_deref(), done, left_out))
            .await
    }

    /// An enumeration starts from its beginning, perhaps again: what an earlier one counted is
    /// counted anew, and the run is at work.
    pub async fn begin_scan(&self, run: RunId) -> Result<(), Error> {
        self.write(move |tx| {
            let changed = tx
                .conn
                .prepare_cached(
                    "UPDATE run SET scan_cursor = NULL, scan_done = 0, left_out = 0,
                         already_done = 0
                     WHERE id = ?1",
                )?
                .execute([run.0])?;
            change::found("run", run.0, changed)
        })
        .await
    }

    /// Ends a run, or the present process's work on it. `ended` is false when it can be resumed,
    /// or when it is: `end_run(run, "running", false)`.
    pub async fn end_run(&self, run: RunId, outcome: &str, ended: bool) -> Result<(), Error> {
        let outcome = outcome.to_owned();
        self.write(move |tx| {
            let at = ended.then_some(tx.now());
            let changed = tx
                .conn
                .prepare_cached("UPDATE run SET outcome = ?2, ended = ?3 WHERE id = ?1")?
                .execute(params![run.0, outcome, at])?;
            change::found("run", run.0, changed)
        })
        .await
    }

    /// A run, or the latest one.
    pub async fn run(&self, id: Option<RunId>) -> Result<Option<Run>, Error> {
        self.read(move |reader| reader.run(id)).await
    }

    /// Adds items to a run in one transaction; safe to repeat. Every new item gets a journal line
    /// `planned`.
    ///
    /// | Row of that key | Fingerprint | Becomes |
    /// |---|---|---|
    /// | none | | planned; parked if refused |
    /// | done | the same | as it is, still its own run's: already done |
    /// | done | another | this run's, planned with the new files; node and name stay: reopened |
    /// | unfinished | the same | this run's, progress kept; if failed or parked in another run, planned again |
    /// | unfinished | another | this run's, planned with the new files |
    /// | active, quarantined, or a commit in doubt | any | this run's, otherwise as it is; a change is found again by the next enumeration |
    ///
    /// # Errors
    ///
    /// [`Error::Order`] when `after` names an item that is neither in the ledger nor among these;
    /// nothing is added then.
    pub async fn add_items(&self, run: RunId, items: Vec<NewItem>) -> Result<Added, Error> {
        self.write(move |tx| items::add(tx, run, &items)).await
    }

    /// [`add_items`](Self::add_items) and [`scan_progress`](Self::scan_progress) in one: a page of
    /// the enumeration is counted exactly once, wherever the process dies.
    pub async fn add_page(
        &self,
        run: RunId,
        items: Vec<NewItem>,
        cursor: Option<String>,
        done: bool,
        left_out: u64,
    ) -> Result<Added, Error> {
        self.write(move |tx| {
            let added = items::add(tx, run, &items)?;
            scanned(tx, run, cursor.as_deref(), done, left_out)?;
            Ok(added)
        })
        .await
    }

    /// Takes up to `limit` items of the run that are due at `now` (Unix milliseconds), whose
    /// predecessor is done, and marks them `active`. Oldest first.
    pub async fn take_items(&self, run: RunId, now: i64, limit: usize) -> Result<Vec<Item>, Error> {
        self.write(move |tx| items::take(tx.conn, run, now, limit))
            .await
    }

    /// Sends items of the run that stopped in one of `states` (`failed`, `parked`, `held`,
    /// `conflict`, `quarantined`, `waiting`), with that failure class if one is given, back to
    /// `planned` with their attempts forgotten. How many there were. Items without files were
    /// refused when they were planned; only another look at the source can help them.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] for any other state.
    pub async fn requeue(
        &self,
        run: RunId,
        states: &[&str],
        class: Option<&str>,
    ) -> Result<u64, Error> {
        let states: Vec<String> = states.iter().map(|&state| state.to_owned()).collect();
        let class = class.map(str::to_owned);
        self.write(move |tx| items::requeue(tx, run, &states, class.as_deref()))
            .await
    }

    /// Sends one item that stopped in one of [`STOPPED`] back to `planned`, as
    /// [`requeue`](Self::requeue) does. Whether it did.
    pub async fn requeue_item(&self, item: ItemId) -> Result<bool, Error> {
        self.write(move |tx| items::requeue_item(tx, item)).await
    }

    /// Items of the run that nobody has in hand any more go back to `planned`: their process goes
    /// on without them. How many there were.
    pub async fn give_back(&self, run: RunId) -> Result<u64, Error> {
        self.write(move |tx| items::give_back(tx.conn, run)).await
    }

    /// What people want to know of a run; see [`Reader::facts`].
    pub async fn facts(&self, run: RunId) -> Result<Facts, Error> {
        self.read(move |reader| reader.facts(run)).await
    }

    /// Records versions of longhaul's that were found at the destination. Safe to repeat.
    pub async fn adopt(&self, found: Vec<Adopted>) -> Result<(), Error> {
        self.write(move |tx| adopted::add(tx.conn, &found)).await
    }

    /// The nodes found to hold a version with one of these markers.
    pub async fn adopted(&self, markers: Vec<String>) -> Result<Vec<NodeId>, Error> {
        self.read(move |reader| reader.adopted(&markers)).await
    }

    /// Up to `limit` markers above `after` that more than one version was found to have, each with
    /// those versions.
    pub async fn doubled(&self, after: &str, limit: usize) -> Result<Vec<Doubled>, Error> {
        let after = after.to_owned();
        self.read(move |reader| reader.doubled(&after, limit)).await
    }

    /// The first item of another asset with this content; see [`Reader::twin`].
    pub async fn twin(
        &self,
        md5: &str,
        size: ByteCount,
        asset: &str,
    ) -> Result<Option<Twin>, Error> {
        let (md5, asset) = (md5.to_owned(), asset.to_owned());
        self.read(move |reader| reader.twin(&md5, size, &asset))
            .await
    }

    /// Which of these markers are known, each with its item.
    pub async fn owners(&self, markers: Vec<String>) -> Result<Vec<(String, ItemId)>, Error> {
        self.read(move |reader| reader.owners(&markers)).await
    }

    /// One item.
    pub async fn item(&self, id: ItemId) -> Result<Option<Item>, Error> {
        self.read(move |reader| reader.item(id)).await
    }

    /// An item by its key.
    pub async fn item_by_key(&self, key: &str) -> Result<Option<Item>, Error> {
        let key = key.to_owned();
        self.read(move |reader| reader.item_by_key(&key)).await
    }

    /// Whether an item is filed and is still what the source says of it, its content perhaps in
    /// another copy there.
    pub async fn is_content_of(&self, known: &Item, now: &NewItem) -> Result<bool, Error> {
        let (known, now) = (known.clone(), now.clone());
        self.read(move |reader| reader.is_content_of(&known, &now))
            .await
    }

    /// Up to `limit` items whose key begins with `prefix` and is behind `after`, by key; an empty
    /// `after` gives the first page.
    pub async fn items_below_after(
        &self,
        prefix: &str,
        after: &str,
        limit: usize,
    ) -> Result<Vec<Item>, Error> {
        let (prefix, after) = (prefix.to_owned(), after.to_owned());
        self.read(move |reader| reader.items_below_after(&prefix, &after, limit))
            .await
    }

    /// Items to be published in `parent` under `name` or a name that a container takes for the
    /// same, oldest first.
    pub async fn items_named(&self, parent: NodeId, name: &str) -> Result<Vec<Item>, Error> {
        let name = name.to_owned();
        self.read(move |reader| reader.items_named(parent, &name))
            .await
    }

    /// A page of an item's files with `seq` at or above `from`, in order.
    pub async fn files(&self, item: ItemId, from: u64, limit: usize) -> Result<Vec<File>, Error> {
        self.read(move |reader| reader.files(item, from, limit))
            .await
    }

    /// All recorded parts of a file, in order.
    pub async fn parts(&self, file: TransferId) -> Result<Vec<Part>, Error> {
        self.read(move |reader| reader.parts(file)).await
    }

    /// Items of a run in a state (any, when `None`), by id above `after`.
    pub async fn items(
        &self,
        run: RunId,
        state: Option<&str>,
        after: ItemId,
        limit: usize,
    ) -> Result<Vec<Item>, Error> {
        let state = state.map(str::to_owned);
        self.read(move |reader| reader.items(run, state.as_deref(), after, limit))
            .await
    }

    /// Items and bytes of a run by state.
    pub async fn summary(&self, run: RunId) -> Result<Vec<StateCount>, Error> {
        self.read(move |reader| reader.summary(run)).await
    }

    /// Items of a run that cannot begin before somebody acts; see [`Reader::blocked`].
    pub async fn blocked(&self, run: RunId) -> Result<u64, Error> {
        self.read(move |reader| reader.blocked(run)).await
    }

    /// The earliest `next_at` of the run's waiting and planned items, if any are left. Those that
    /// come after an unfinished item do not count: they have no time of their own.
    pub async fn next_due(&self, run: RunId) -> Result<Option<i64>, Error> {
        self.read(move |reader| reader.next_due(run)).await
    }

    /// Outbox rows that are due: new ones in the order they came, then those put off.
    pub async fn posts_due(&self, now: i64, limit: usize) -> Result<Vec<Post>, Error> {
        self.read(move |reader| reader.posts_due(now, limit)).await
    }

    /// When the first undelivered outbox row is due, in Unix milliseconds.
    pub async fn posts_next(&self) -> Result<Option<i64>, Error> {
        self.read(move |reader| reader.posts_next()).await
    }

    /// How many outbox rows were refused, and what the other side said of the last.
    pub async fn posts_refused(&self) -> Result<Option<(u64, String)>, Error> {
        self.read(|reader| reader.posts_refused()).await
    }

    /// Number of outbox rows that are not delivered.
    pub async fn posts_waiting(&self) -> Result<u64, Error> {
        self.read(move |reader| reader.posts_waiting()).await
    }

    /// Everything that a flow remembers of an object, by field.
    pub async fn remembered(&self, flow: &str, object: &str) -> Result<Vec<Fact>, Error> {
        let (flow, object) = (flow.to_owned(), object.to_owned());
        self.read(move |reader| reader.remembered(&flow, &object))
            .await
    }

    /// Up to `limit` facts of a flow behind `after` (object and field).
    pub async fn remembered_page(
        &self,
        flow: &str,
        after: (&str, &str),
        limit: usize,
    ) -> Result<Vec<Fact>, Error> {
        let (flow, object, field) = (flow.to_owned(), after.0.to_owned(), after.1.to_owned());
        self.read(move |reader| reader.remembered_page(&flow, (&object, &field), false, limit))
            .await
    }

    /// Up to `limit` filed items whose key is behind `after`, by key.
    pub async fn filed(&self, after: &str, limit: usize) -> Result<Vec<Item>, Error> {
        let after = after.to_owned();
        self.read(move |reader| reader.filed(&after, limit)).await
    }

    /// Counts an attempt at an outbox row, before it is made.
    pub async fn post_begun(&self, id: i64) -> Result<(), Error> {
        self.write(move |tx| outbox::begun(tx.conn, id)).await
    }

    /// Marks an outbox row as delivered. Safe to repeat.
    pub async fn post_done(&self, id: i64) -> Result<(), Error> {
        self.write(move |tx| outbox::done(tx.conn, id, tx.now()))
            .await
    }

    /// Puts an outbox row off until [`posts_again`](Self::posts_again): the other side refused it.
    pub async fn post_refused(&self, id: i64, message: &str) -> Result<(), Error> {
        let message = message.to_owned();
        self.write(move |tx| outbox::refused(tx.conn, id, &message))
            .await
    }

    /// Makes refused outbox rows due again: somebody may have mended why.
    pub async fn posts_again(&self) -> Result<(), Error> {
        self.write(|tx| outbox::again(tx.conn)).await
    }

    /// Puts an outbox row off after a failed attempt.
    pub async fn post_later(&self, id: i64, next_at: i64, message: &str) -> Result<(), Error> {
        let message = message.to_owned();
        self.write(move |tx| outbox::later(tx.conn, id, next_at, &message))
            .await
    }

    /// Journal lines above `after`, of a run or item if given.
    pub async fn journal(
        &self,
        run: Option<RunId>,
        item: Option<ItemId>,
        after: i64,
        limit: usize,
    ) -> Result<Vec<Line>, Error> {
        self.read(move |reader| reader.journal(run, item, after, limit))
            .await
    }

    /// Checks the whole journal: every line follows from the one before it.
    pub async fn verify_chain(&self) -> Result<Chain, Error> {
        self.read(Reader::verify_chain).await
    }

    /// A value kept beside the rows (instance id, boot id, clean stop).
    pub async fn meta(&self, key: &str) -> Result<Option<String>, Error> {
        let key = key.to_owned();
        self.read(move |reader| reader.meta(&key)).await
    }

    /// Sets a value kept beside the rows.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] for the ledger's own keys, which begin with `ledger.`.
    pub async fn set_meta(&self, key: &str, value: &str) -> Result<(), Error> {
        meta::check_key(key)?;
        let (key, value) = (key.to_owned(), value.to_owned());
        self.write(move |tx| meta::set(tx.conn, &key, &value)).await
    }

    /// Has every commit after the next `commits` fail as if the disk did.
    #[cfg(test)]
    pub(crate) fn fail_after(&self, commits: u64) {
        self.0.latch.fail_after(commits);
    }

    async fn write<T, F>(&self, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&mut writer::Tx<'_>) -> Result<T, Error> + Send + 'static,
    {
        self.0.writer.write(work).await
    }

    /// Runs `read` on a thread that may block, with one of a few connections.
    async fn read<T, F>(&self, read: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&Reader) -> Result<T, Error> + Send + 'static,
    {
        self.0.writer.check()?;
        let permits = Arc::clone(&self.0.readers.permits);
        let permit = permits
            .acquire_owned()
            .await
            .map_err(|_| Error::stopped())?;
        let idle = Arc::clone(&self.0.readers.idle);
        let path = self.0.path.clone();
        let task = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let pool = || idle.lock().unwrap_or_else(PoisonError::into_inner);
            let kept = pool().pop();
            let reader = match kept {
                Some(reader) => reader,
                None => Reader::connect(&path)?,
            };
            let outcome = read(&reader);
            if outcome.is_ok() {
                pool().push(reader);
            }
            outcome
        });
        let outcome = task.await.map_err(|_| Error::stopped())?;
        if let Err(error) = &outcome {
            self.0.latch.note(error);
        }
        outcome
    }
}

fn scanned(
    tx: &mut writer::Tx<'_>,
    run: RunId,
    cursor: Option<&str>,
    done: bool,
    left_out: u64,
) -> Result<(), Error> {
    let left_out = decode::stored("a number of assets", left_out)?;
    let changed = tx
        .conn
        .prepare_cached(
            "UPDATE run SET scan_cursor = ?2, scan_done = ?3, left_out = left_out + ?4
             WHERE id = ?1",
        )?
        .execute(params![run.0, cursor, done, left_out])?;
    change::found("run", run.0, changed)
}

/// Unix milliseconds.
fn now() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}
