//! One atomic change, and how its operations become statements.

use rusqlite::types::Value;
use rusqlite::{Connection, params, params_from_iter};

use super::decode::stored;
use super::items;
use super::rows::{Entry, Fact, FilePatch, ItemPatch, NewFile, NewPost, Part};
use super::writer::Tx;
use super::{Error, facts, outbox};
use crate::types::{ItemId, TransferId};

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
    Fact(Fact),
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

    /// Replaces an item's files (a master becomes segments). Their parts go with them.
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

    /// Remembers a fact, in place of the one that was there.
    #[must_use]
    pub fn fact(mut self, fact: Fact) -> Self {
        self.ops.push(Op::Fact(fact));
        self
    }

    /// Does the operations in order.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`] when a row to change is not there, [`Error::TooLarge`] and
    /// [`Error::Refused`] for values that cannot be stored; the caller then undoes the rest.
    pub(super) fn apply(self, tx: &mut Tx<'_>) -> Result<(), Error> {
        for op in self.ops {
            match op {
                Op::Item(id, patch) => patch_item(tx.conn, id, patch)?,
                Op::File(id, patch) => patch_file(tx.conn, id, patch)?,
                Op::Part(file, part) => put_part(tx.conn, file, &part)?,
                Op::Ack(file, number) => ack(tx.conn, file, number)?,
                Op::ClearParts(file) => {
                    exists(tx.conn, "file", file.0)?;
                    tx.conn
                        .prepare_cached("DELETE FROM part WHERE file = ?1")?
                        .execute([file.0])?;
                }
                Op::ReplaceFiles(item, files) => items::replace_files(tx.conn, item, &files)?,
                Op::Journal(entry) => tx.journal(&entry)?,
                Op::Post(post) => outbox::add(tx.conn, &post)?,
                Op::Fact(fact) => facts::put(tx.conn, &fact)?,
            }
        }
        Ok(())
    }
}

/// The assignments of an UPDATE. Few combinations occur, so their statements stay cached.
#[derive(Default)]
struct Assignments {
    sql: String,
    values: Vec<Value>,
}

impl Assignments {
    fn assign(&mut self, assignment: std::fmt::Arguments<'_>, value: Value) {
        if !self.sql.is_empty() {
            self.sql.push_str(", ");
        }
        self.sql.push_str(&assignment.to_string());
        self.values.push(value);
    }

    /// Sets a column if there is something to set it to.
    fn set<T: Into<Value>>(&mut self, column: &'static str, value: Option<T>) {
        if let Some(value) = value {
            self.assign(format_args!("{column} = ?"), value.into());
        }
    }

    /// Adds to a column's number.
    fn add(&mut self, column: &'static str, number: i64) {
        if number != 0 {
            self.assign(format_args!("{column} = {column} + ?"), number.into());
        }
    }

    fn apply(mut self, conn: &Connection, table: &'static str, row: i64) -> Result<(), Error> {
        if self.sql.is_empty() {
            return exists(conn, table, row);
        }
        self.values.push(row.into());
        let changed = conn
            .prepare_cached(&format!("UPDATE {table} SET {} WHERE id = ?", self.sql))?
            .execute(params_from_iter(self.values))?;
        found(table, row, changed)
    }
}

fn patch_item(conn: &Connection, id: ItemId, patch: ItemPatch) -> Result<(), Error> {
    let mut row = Assignments::default();
    row.set("folded", patch.name.as_deref().map(items::folded));
    row.set("name", patch.name);
    row.set("state", patch.state);
    row.set("kind", patch.kind);
    row.set("proof", patch.proof);
    row.set("parent", patch.parent.map(|id| id.0));
    row.set("container", patch.container.map(|id| id.map(|id| id.0)));
    row.set("node", patch.node.map(|id| id.map(|id| id.0)));
    row.set("version", patch.version.map(|number| number.map(|n| n.0)));
    row.set("attempts", patch.attempts);
    row.set("next_at", patch.next_at);
    if let Some(failure) = patch.failure {
        let (class, reason, message) = match failure {
            Some((class, reason, message)) => (Some(class), Some(reason), Some(message)),
            None => (None, None, None),
        };
        row.set("class", Some(class));
        row.set("reason", Some(reason));
        row.set("message", Some(message));
    }
    row.apply(conn, "item", id.0)
}

fn patch_file(conn: &Connection, id: TransferId, patch: FilePatch) -> Result<(), Error> {
    let mut row = Assignments::default();
    if let Some(size) = patch.size {
        let size = stored("a file's size", size)?;
        // The item's total follows.
        conn.prepare_cached(
            "UPDATE item SET bytes = bytes + ?2 - (SELECT size FROM file WHERE id = ?1)
             WHERE id = (SELECT item FROM file WHERE id = ?1)",
        )?
        .execute([id.0, size])?;
        row.set("size", Some(size));
    }
    if let Some(session) = patch.session {
        let (key, size, count) = match session {
            Some((key, size, count)) => (
                Some(key),
                Some(stored("a part's size", size)?),
                Some(i64::from(count)),
            ),
            None => (None, None, None),
        };
        row.set("session_key", Some(key));
        row.set("part_size", Some(size));
        row.set("part_count", Some(count));
    }
    if let Some(Some(digest)) = &patch.sha256 {
        check_digest("a file's digest", digest, &[32])?;
    }
    row.set("step", patch.step);
    row.set("validator", patch.validator);
    row.set("sha256", patch.sha256);
    row.set("md5", patch.md5);
    row.set("outer_state", patch.outer_state);
    row.set("intent", patch.intent);
    row.set("node", patch.node.map(|id| id.map(|id| id.0)));
    row.set("version", patch.version.map(|number| number.map(|n| n.0)));
    row.set("proof", patch.proof);
    row.set("content", patch.content);
    row.add(
        "bytes_sent",
        stored("a number of bytes", patch.add_bytes_sent)?,
    );
    row.add("restarts", patch.add_restarts.into());
    row.apply(conn, "file", id.0)
}

fn put_part(conn: &Connection, file: TransferId, part: &Part) -> Result<(), Error> {
    exists(conn, "file", file.0)?;
    check_digest("a part's digest", &part.digest, &[0, 16])?;
    conn.prepare_cached(
        "INSERT INTO part (file, number, digest, state, acked) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (file, number) DO UPDATE
         SET digest = excluded.digest, state = excluded.state, acked = excluded.acked",
    )?
    .execute(params![
        file.0,
        part.number,
        part.digest,
        part.state,
        part.acked
    ])?;
    Ok(())
}

fn ack(conn: &Connection, file: TransferId, number: u32) -> Result<(), Error> {
    let changed = conn
        .prepare_cached("UPDATE part SET acked = 1 WHERE file = ?1 AND number = ?2")?
        .execute(params![file.0, number])?;
    found("part", number.into(), changed)
}

fn check_digest(what: &'static str, digest: &[u8], lengths: &[usize]) -> Result<(), Error> {
    if lengths.contains(&digest.len()) {
        return Ok(());
    }
    Err(Error::Refused {
        what,
        problem: format!("it has {} bytes", digest.len()),
    })
}

/// Fails if a statement changed no row.
pub(super) fn found(table: &'static str, row: i64, changed: usize) -> Result<(), Error> {
    if changed == 0 {
        return Err(Error::Missing { table, row });
    }
    Ok(())
}

/// Fails if the table has no such row.
pub(super) fn exists(conn: &Connection, table: &'static str, row: i64) -> Result<(), Error> {
    let there = conn
        .prepare_cached(&format!("SELECT 1 FROM {table} WHERE id = ?1"))?
        .exists([row])?;
    found(table, row, usize::from(there))
}
