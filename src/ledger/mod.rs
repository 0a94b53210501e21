//! The checkpoint store: what every run, item, file and part has reached, in SQLite.
//!
//! One writer thread takes [`Change`]s from a channel and commits everything that is queued in
//! one transaction, durable before it answers. Readers use their own read-only connection.

mod rows;

use std::path::{Path, PathBuf};

pub use rows::{
    Added, Entry, File, FilePatch, Item, ItemPatch, Line, NewFile, NewItem, NewPost, NewRun, Part,
    Post, Run, StateCount,
};

use crate::types::{ItemId, RunId, TransferId};

/// Why the ledger could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Another process owns the ledger.
    #[error("{path} is in use by process {owner}; `longhaul status` shows what it is doing")]
    InUse {
        /// The ledger's file.
        path: PathBuf,
        /// Process id and command of the owner.
        owner: String,
    },
    /// Placeholder.
    #[error("ledger: {0}")]
    Other(String),
}

/// One atomic change: everything in it is durable together, in the order it was added, or none
/// of it happened.
#[derive(Debug, Default)]
pub struct Change {
    ops: Vec<Op>,
}

#[derive(Debug)]
enum Op {
    Item(ItemId, ItemPatch),
    File(TransferId, FilePatch),
    Part(TransferId, Part),
    Ack(TransferId, u32),
    ClearParts(TransferId),
    ReplaceFiles(ItemId, Vec<NewFile>),
    Journal(Entry),
    Post(NewPost),
}

impl Change {
    /// An empty change.
    pub fn new() -> Self {
        Self::default()
    }

    /// Changes an item's row.
    #[must_use]
    pub fn item(mut self, id: ItemId, patch: ItemPatch) -> Self {
        self.ops.push(Op::Item(id, patch));
        self
    }

    /// Changes a file's row.
    #[must_use]
    pub fn file(mut self, id: TransferId, patch: FilePatch) -> Self {
        self.ops.push(Op::File(id, patch));
        self
    }

    /// Records a part that has been hashed (inserts or replaces its row).
    #[must_use]
    pub fn part(mut self, file: TransferId, part: Part) -> Self {
        self.ops.push(Op::Part(file, part));
        self
    }

    /// Marks a recorded part as acknowledged.
    #[must_use]
    pub fn ack(mut self, file: TransferId, number: u32) -> Self {
        self.ops.push(Op::Ack(file, number));
        self
    }

    /// Forgets every part of a file (its session is gone, or its source changed).
    #[must_use]
    pub fn clear_parts(mut self, file: TransferId) -> Self {
        self.ops.push(Op::ClearParts(file));
        self
    }

    /// Replaces an item's files (a master becomes segments).
    #[must_use]
    pub fn replace_files(mut self, item: ItemId, files: Vec<NewFile>) -> Self {
        self.ops.push(Op::ReplaceFiles(item, files));
        self
    }

    /// Appends a journal line.
    #[must_use]
    pub fn journal(mut self, entry: Entry) -> Self {
        self.ops.push(Op::Journal(entry));
        self
    }

    /// Puts a message in the outbox.
    #[must_use]
    pub fn post(mut self, post: NewPost) -> Self {
        self.ops.push(Op::Post(post));
        self
    }
}

/// The owner's handle: reads and writes. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Ledger {}

impl Ledger {
    /// Opens or creates the ledger and takes ownership of it. `owner` is a short text for other
    /// processes to read, such as `archive (pid 4711)`. Items left `active` by a dead process
    /// become `planned` again.
    ///
    /// # Errors
    ///
    /// See [`Error`]: in use, on a network file system, written by a newer longhaul, damaged.
    pub fn open(_path: &Path, _owner: &str) -> Result<Self, Error> {
        todo!()
    }

    /// Applies a change; returns once it is durable.
    pub async fn apply(&self, _change: Change) -> Result<(), Error> {
        todo!()
    }

    /// Starts a run.
    pub async fn start_run(&self, _run: NewRun) -> Result<RunId, Error> {
        todo!()
    }

    /// Records how far the enumeration got, and how many assets it left out since the last call.
    pub async fn scan_progress(
        &self,
        _run: RunId,
        _cursor: Option<String>,
        _done: bool,
        _left_out: u64,
    ) -> Result<(), Error> {
        todo!()
    }

    /// Ends a run, or the present process's work on it. `ended` is false when it can be resumed.
    pub async fn end_run(&self, _run: RunId, _outcome: &str, _ended: bool) -> Result<(), Error> {
        todo!()
    }

    /// A run, or the latest one.
    pub async fn run(&self, _id: Option<RunId>) -> Result<Option<Run>, Error> {
        todo!()
    }

    /// Adds items to a run in one transaction; safe to repeat.
    pub async fn add_items(&self, _run: RunId, _items: Vec<NewItem>) -> Result<Added, Error> {
        todo!()
    }

    /// Takes up to `limit` items of the run that are due at `now` (Unix milliseconds), whose
    /// predecessor is done, and marks them `active`. Oldest first.
    pub async fn take_items(
        &self,
        _run: RunId,
        _now: i64,
        _limit: usize,
    ) -> Result<Vec<Item>, Error> {
        todo!()
    }

    /// One item.
    pub async fn item(&self, _id: ItemId) -> Result<Option<Item>, Error> {
        todo!()
    }

    /// An item by its key.
    pub async fn item_by_key(&self, _key: &str) -> Result<Option<Item>, Error> {
        todo!()
    }

    /// A page of an item's files with `seq` at or above `from`, in order.
    pub async fn files(
        &self,
        _item: ItemId,
        _from: u64,
        _limit: usize,
    ) -> Result<Vec<File>, Error> {
        todo!()
    }

    /// All recorded parts of a file, in order.
    pub async fn parts(&self, _file: TransferId) -> Result<Vec<Part>, Error> {
        todo!()
    }

    /// Items of a run in a state (any, when `None`), by id above `after`.
    pub async fn items(
        &self,
        _run: RunId,
        _state: Option<&str>,
        _after: ItemId,
        _limit: usize,
    ) -> Result<Vec<Item>, Error> {
        todo!()
    }

    /// Items and bytes of a run by state.
    pub async fn summary(&self, _run: RunId) -> Result<Vec<StateCount>, Error> {
        todo!()
    }

    /// The earliest `next_at` of the run's waiting and planned items, if any are left.
    pub async fn next_due(&self, _run: RunId) -> Result<Option<i64>, Error> {
        todo!()
    }

    /// Outbox rows that are due, oldest first.
    pub async fn posts_due(&self, _now: i64, _limit: usize) -> Result<Vec<Post>, Error> {
        todo!()
    }

    /// Marks an outbox row as delivered.
    pub async fn post_done(&self, _id: i64) -> Result<(), Error> {
        todo!()
    }

    /// Puts an outbox row off after a failed attempt.
    pub async fn post_later(&self, _id: i64, _next_at: i64, _message: &str) -> Result<(), Error> {
        todo!()
    }

    /// Journal lines above `after`, of a run or item if given.
    pub async fn journal(
        &self,
        _run: Option<RunId>,
        _item: Option<ItemId>,
        _after: i64,
        _limit: usize,
    ) -> Result<Vec<Line>, Error> {
        todo!()
    }

    /// A value kept beside the rows (instance id, boot id, clean stop).
    pub async fn meta(&self, _key: &str) -> Result<Option<String>, Error> {
        todo!()
    }

    /// Sets a value kept beside the rows.
    pub async fn set_meta(&self, _key: &str, _value: &str) -> Result<(), Error> {
        todo!()
    }
}
