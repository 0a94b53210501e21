//! From SQLite's cells to rows and back, with every number checked.
//!
//! Rows outlive code and files can be edited: a value no longhaul writes is an error that names
//! table, row and column, never a panic and never a wrapped number.

use rusqlite::Row;
use rusqlite::types::{FromSql, ValueRef};

use super::Error;
use super::rows::{File, Item, Part, Post, Run};
use crate::types::{ByteCount, ItemId, NodeId, RunId, TransferId, VersionNumber};

pub(super) const RUN: &str = "id, command, arguments, started, ended, scan_done, scan_cursor, \
     already_done, left_out, outcome";
pub(super) const ITEM: &str = "id, run, key, after, kind, title, parent, name, marker, kin, \
     fingerprint, source, state, container, node, version, proof, bytes, files, attempts, \
     next_at, class, reason, message, record";
pub(super) const FILE: &str = "id, item, seq, role, marker, name, dir, size, offset, mime, \
     locator, md5, content, step, validator, session_key, part_size, part_count, sha256, \
     outer_state, intent, node, version, proof, bytes_sent, restarts";
pub(super) const PART: &str = "file, number, digest, state, acked";
pub(super) const POST: &str = "id, item, kind, payload, attempts";

/// Reads a row's cells from left to right. The first is the row's number, for errors.
pub(super) struct Cells<'a> {
    row: &'a Row<'a>,
    table: &'static str,
    number: i64,
    next: usize,
}

impl<'a> Cells<'a> {
    pub(super) fn new(row: &'a Row<'a>, table: &'static str) -> Result<Self, Error> {
        Ok(Self {
            row,
            table,
            number: row.get(0)?,
            next: 0,
        })
    }

    /// A row of totals: errors name the number it was asked for.
    pub(super) fn of_group(row: &'a Row<'a>, table: &'static str, number: i64) -> Self {
        Self {
            row,
            table,
            number,
            next: 0,
        }
    }

    fn bad(&self, problem: &'static str) -> Error {
        let column = self.row.as_ref().column_name(self.next.saturating_sub(1));
        Error::BadRow {
            table: self.table,
            row: self.number,
            column: column.unwrap_or_default().to_owned(),
            problem,
        }
    }

    fn cell<T: FromSql>(&mut self, problem: &'static str) -> Result<T, Error> {
        let index = self.next;
        self.next += 1;
        self.row.get(index).map_err(|_| self.bad(problem))
    }

    pub(super) fn int(&mut self) -> Result<i64, Error> {
        self.cell("no whole number")
    }

    pub(super) fn opt_int(&mut self) -> Result<Option<i64>, Error> {
        self.cell("no whole number")
    }

    /// A number that cannot be negative, nor beyond what its type holds.
    pub(super) fn count<T: TryFrom<i64>>(&mut self) -> Result<T, Error> {
        let value = self.int()?;
        T::try_from(value).map_err(|_| self.bad("a number that is impossible there"))
    }

    pub(super) fn flag(&mut self) -> Result<bool, Error> {
        match self.int()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(self.bad("neither 0 nor 1")),
        }
    }

    pub(super) fn text(&mut self) -> Result<String, Error> {
        self.cell("no text")
    }

    pub(super) fn opt_text(&mut self) -> Result<Option<String>, Error> {
        self.cell("no text")
    }

    pub(super) fn blob(&mut self) -> Result<Vec<u8>, Error> {
        self.cell("no bytes")
    }

    pub(super) fn opt_blob(&mut self) -> Result<Option<Vec<u8>>, Error> {
        self.cell("no bytes")
    }

    fn texts(&mut self) -> Result<Vec<String>, Error> {
        let text = self.text()?;
        serde_json::from_str(&text).map_err(|_| self.bad("no JSON list of texts"))
    }

    fn is_null(&self) -> bool {
        matches!(self.row.get_ref(self.next), Ok(ValueRef::Null))
    }
}

/// A number as a row holds it.
///
/// # Errors
///
/// [`Error::TooLarge`] above `i64::MAX`.
pub(super) fn stored(what: &'static str, value: u64) -> Result<i64, Error> {
    i64::try_from(value).map_err(|_| Error::TooLarge { what, value })
}

/// A page's length as SQL wants it.
pub(super) fn limit_of(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

pub(super) fn run(row: &Row<'_>) -> Result<Run, Error> {
    let mut cells = Cells::new(row, "run")?;
    Ok(Run {
        id: RunId(cells.int()?),
        command: cells.text()?,
        arguments: cells.text()?,
        started: cells.int()?,
        ended: cells.opt_int()?,
        scan_done: cells.flag()?,
        scan_cursor: cells.opt_text()?,
        already_done: cells.count()?,
        left_out: cells.count()?,
        outcome: cells.text()?,
    })
}

pub(super) fn item(row: &Row<'_>) -> Result<Item, Error> {
    let mut cells = Cells::new(row, "item")?;
    Ok(Item {
        id: ItemId(cells.int()?),
        run: RunId(cells.int()?),
        key: cells.text()?,
        after: cells.opt_int()?.map(ItemId),
        kind: cells.text()?,
        title: cells.text()?,
        parent: NodeId(cells.int()?),
        name: cells.text()?,
        marker: cells.text()?,
        kin: cells.texts()?,
        fingerprint: cells.text()?,
        source: cells.text()?,
        state: cells.text()?,
        container: cells.opt_int()?.map(NodeId),
        node: cells.opt_int()?.map(NodeId),
        version: cells.opt_int()?.map(VersionNumber),
        proof: cells.text()?,
        bytes: cells.count()?,
        files: cells.count()?,
        attempts: cells.count()?,
        next_at: cells.int()?,
        class: cells.opt_text()?,
        reason: cells.opt_text()?,
        message: cells.opt_text()?,
        record: cells.opt_text()?,
    })
}

pub(super) fn file(row: &Row<'_>) -> Result<File, Error> {
    let mut cells = Cells::new(row, "file")?;
    Ok(File {
        id: TransferId(cells.int()?),
        item: ItemId(cells.int()?),
        seq: cells.count()?,
        role: cells.text()?,
        marker: cells.text()?,
        name: cells.text()?,
        dir: cells.text()?,
        size: cells.count()?,
        offset: cells.count()?,
        mime: cells.text()?,
        locator: cells.text()?,
        md5: cells.opt_text()?,
        content: cells.opt_blob()?,
        step: cells.text()?,
        validator: cells.opt_text()?,
        session: session(&mut cells)?,
        sha256: digest(&mut cells)?,
        outer_state: cells.opt_blob()?,
        intent: cells.opt_text()?,
        node: cells.opt_int()?.map(NodeId),
        version: cells.opt_int()?.map(VersionNumber),
        proof: cells.text()?,
        bytes_sent: cells.count()?,
        restarts: cells.count()?,
    })
}

fn session(cells: &mut Cells<'_>) -> Result<Option<(String, ByteCount, u32)>, Error> {
    if cells.is_null() {
        cells.next += 3;
        return Ok(None);
    }
    Ok(Some((cells.text()?, cells.count()?, cells.count()?)))
}

fn digest(cells: &mut Cells<'_>) -> Result<Option<Vec<u8>>, Error> {
    let found = cells.opt_blob()?;
    match &found {
        Some(bytes) if bytes.len() != 32 => Err(cells.bad("a digest that has not 32 bytes")),
        _ => Ok(found),
    }
}

pub(super) fn part(row: &Row<'_>) -> Result<Part, Error> {
    let mut cells = Cells::new(row, "part")?;
    let _file = cells.int()?;
    Ok(Part {
        number: cells.count()?,
        digest: cells.blob()?,
        state: cells.blob()?,
        acked: cells.flag()?,
    })
}

pub(super) fn post(row: &Row<'_>) -> Result<Post, Error> {
    let mut cells = Cells::new(row, "outbox")?;
    Ok(Post {
        id: cells.int()?,
        item: cells.opt_int()?.map(ItemId),
        kind: cells.text()?,
        payload: cells.text()?,
        attempts: cells.count()?,
    })
}
