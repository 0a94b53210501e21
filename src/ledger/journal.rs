//! The journal: what happened, in lines that are chained by SHA-256.
//!
//! A line's digest is the SHA-256 of the previous line's digest (64 hex digits), a line feed and
//! the line as [`Line::canonical`] writes it; before the first line stands [`GENESIS`]. A changed,
//! removed, inserted or exchanged line therefore breaks the chain at that line. The last line's
//! number and digest are also kept beside the rows, in the same transaction, so a removed tail
//! shows as well. Who can write the whole file can still forge a whole chain: keep an exported
//! head elsewhere to exclude that.

use std::fmt;

use rusqlite::types::Value;
use rusqlite::{Connection, params, params_from_iter};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::decode::{Cells, limit_of};
use super::rows::{Entry, Line};
use super::{Error, meta};
use crate::types::{ItemId, RunId};

/// What the first line is chained to.
pub const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

const COLUMNS: &str = "seq, at, run, item, file, event, data, digest";

/// The journal's last line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) seq: i64,
    pub(super) digest: String,
}

impl Head {
    fn genesis() -> Self {
        Self {
            seq: 0,
            digest: GENESIS.into(),
        }
    }

    /// The head as it is kept beside the rows.
    pub(super) fn load(conn: &Connection) -> Result<Option<Self>, Error> {
        let Some(text) = meta::get(conn, meta::HEAD)? else {
            return Ok(Some(Self::genesis()));
        };
        Ok(text.split_once(' ').and_then(|(seq, digest)| {
            Some(Self {
                seq: seq.parse().ok()?,
                digest: digest.to_owned(),
            })
        }))
    }

    /// Keeps the head beside the rows.
    pub(super) fn store(&self, conn: &Connection) -> Result<(), Error> {
        meta::set(conn, meta::HEAD, &format!("{} {}", self.seq, self.digest))
    }

    /// Whether the journal's last row is this line.
    pub(super) fn is_last(&self, conn: &Connection) -> Result<bool, Error> {
        let last = lines(conn, None, None, self.seq.saturating_sub(1), 2)?;
        Ok(match last.as_slice() {
            [] => self.seq == 0,
            [line] => line.seq == self.seq && line.digest == self.digest,
            _ => false,
        })
    }

    /// Appends a line.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] when the entry's data is not a JSON object.
    pub(super) fn append(
        &mut self,
        conn: &Connection,
        at: i64,
        entry: &Entry,
    ) -> Result<(), Error> {
        let data = match entry.data.trim() {
            "" => "{}".into(),
            // Line feeds cannot stand inside a JSON text's strings: a line stays one line.
            data => data.replace(['\n', '\r'], " "),
        };
        if !data.starts_with('{') || serde_json::from_str::<serde::de::IgnoredAny>(&data).is_err() {
            return Err(Error::Refused {
                what: "a journal line",
                problem: format!("the facts of {:?} are not a JSON object", entry.event),
            });
        }
        let mut line = Line {
            seq: self.seq + 1,
            at,
            run: entry.run,
            item: entry.item,
            file: entry.file,
            event: entry.event.clone(),
            data,
            digest: String::new(),
        };
        line.digest = line.chained_to(&self.digest);
        conn.prepare_cached(
            "INSERT INTO journal (seq, at, run, item, file, event, data, digest)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute(params![
            line.seq,
            line.at,
            line.run.map(|id| id.0),
            line.item.map(|id| id.0),
            line.file.map(|id| id.0),
            line.event,
            line.data,
            line.digest,
        ])?;
        self.seq = line.seq;
        self.digest = line.digest;
        Ok(())
    }
}

impl Line {
    /// The line as JSON without its digest, byte for byte what the digest covers: the fields in
    /// the order of the struct, no spaces but those inside `data`, which stands as it was stored.
    pub fn canonical(&self) -> String {
        let mut text = self.head();
        text.push('}');
        text
    }

    /// The line as exported: one JSON object on one line, the digest last.
    pub fn to_json(&self) -> String {
        format!("{},\"digest\":\"{}\"}}", self.head(), self.digest)
    }

    /// The digest the line has to have after a line with the digest `previous`, hex.
    pub fn chained_to(&self, previous: &str) -> String {
        let mut hasher = Sha256::new();
        hasher.update(previous);
        hasher.update("\n");
        hasher.update(self.canonical());
        hex::encode(hasher.finalize())
    }

    fn head(&self) -> String {
        #[derive(Serialize)]
        struct Fields<'a> {
            seq: i64,
            at: i64,
            run: Option<i64>,
            item: Option<i64>,
            file: Option<i64>,
            event: &'a str,
        }
        let fields = Fields {
            seq: self.seq,
            at: self.at,
            run: self.run.map(|id| id.0),
            item: self.item.map(|id| id.0),
            file: self.file.map(|id| id.0),
            event: &self.event,
        };
        let mut text = serde_json::to_string(&fields).expect("integers and a text are always JSON");
        text.pop();
        text.push_str(",\"data\":");
        text.push_str(&self.data);
        text
    }
}

/// What checking the chain found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Chain {
    /// Every line follows from the one before it, and the last is the one that was recorded.
    Whole {
        /// Number of lines.
        lines: i64,
        /// Digest of the last line ([`GENESIS`] when there is none); keep it elsewhere.
        digest: String,
    },
    /// The first line that does not.
    Broken {
        /// Its number.
        seq: i64,
        /// What is wrong.
        why: Break,
    },
}

/// What is wrong with a line of the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Break {
    /// The line is missing.
    Gap,
    /// A line stands where none belongs: before the first, or after the last recorded one.
    Order,
    /// The digest does not follow from the line and the one before it.
    Digest,
    /// The row holds what no longhaul writes.
    Unreadable(String),
    /// The record of the last line is missing or differs from it.
    Head,
}

impl fmt::Display for Break {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gap => f.write_str("the line is missing"),
            Self::Order => f.write_str("a line stands where none belongs"),
            Self::Digest => f.write_str("its digest does not follow from it and the line before"),
            Self::Unreadable(problem) => f.write_str(problem),
            Self::Head => f.write_str("it is not the line that was recorded as the last"),
        }
    }
}

/// Checks every line, in one pass and constant memory.
pub(super) fn verify(conn: &Connection) -> Result<Chain, Error> {
    // One transaction: the lines and the record of the last must be of the same moment.
    let snapshot = conn.unchecked_transaction()?;
    let recorded = Head::load(&snapshot)?;
    let mut at = Head::genesis();
    let mut statement = snapshot.prepare(&format!("SELECT {COLUMNS} FROM journal ORDER BY seq"))?;
    let mut rows = statement.query([])?;
    let broken = |seq, why| Ok(Chain::Broken { seq, why });
    while let Some(row) = rows.next()? {
        let line = match line(&mut Cells::new(row, "journal")?) {
            Ok(line) => line,
            Err(error @ Error::BadRow { row, .. }) => {
                return broken(row, Break::Unreadable(error.to_string()));
            }
            Err(error) => return Err(error),
        };
        let expected = at.seq + 1;
        if line.seq < expected {
            return broken(line.seq, Break::Order);
        }
        if line.seq > expected {
            return broken(expected, Break::Gap);
        }
        if line.chained_to(&at.digest) != line.digest {
            return broken(line.seq, Break::Digest);
        }
        at = Head {
            seq: line.seq,
            digest: line.digest,
        };
    }
    match recorded {
        Some(recorded) if recorded == at => Ok(Chain::Whole {
            lines: at.seq,
            digest: at.digest,
        }),
        Some(recorded) if recorded.seq > at.seq => broken(at.seq + 1, Break::Gap),
        Some(recorded) if recorded.seq < at.seq => broken(recorded.seq + 1, Break::Order),
        _ => broken(at.seq, Break::Head),
    }
}

/// Lines above `after`, of a run or item if given, in order.
pub(super) fn lines(
    conn: &Connection,
    run: Option<RunId>,
    item: Option<ItemId>,
    after: i64,
    limit: usize,
) -> Result<Vec<Line>, Error> {
    let mut sql = format!("SELECT {COLUMNS} FROM journal WHERE seq > ?");
    let mut values = vec![Value::from(after)];
    if let Some(run) = run {
        sql.push_str(" AND run = ?");
        values.push(run.0.into());
    }
    if let Some(item) = item {
        sql.push_str(" AND item = ?");
        values.push(item.0.into());
    }
    sql.push_str(" ORDER BY seq LIMIT ?");
    values.push(limit_of(limit).into());
    let mut statement = conn.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(values))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(line(&mut Cells::new(row, "journal")?)?);
    }
    Ok(found)
}

fn line(cells: &mut Cells<'_>) -> Result<Line, Error> {
    Ok(Line {
        seq: cells.int()?,
        at: cells.int()?,
        run: cells.opt_int()?.map(RunId),
        item: cells.opt_int()?.map(ItemId),
        file: cells.opt_int()?.map(crate::types::TransferId),
        event: cells.text()?,
        data: cells.text()?,
        digest: cells.text()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::TransferId;

    /// The format is a promise to whoever checks an export with other tools.
    #[test]
    fn a_line_reads_and_hashes_the_same_for_ever() {
        let mut line = Line {
            seq: 1,
            at: 1_700_000_000_000,
            run: Some(RunId(1)),
            item: Some(ItemId(2)),
            file: None,
            event: "planned".into(),
            data: r#"{"name":"A \"B\""}"#.into(),
            digest: String::new(),
        };
        assert_eq!(
            line.canonical(),
            r#"{"seq":1,"at":1700000000000,"run":1,"item":2,"file":null,"event":"planned","data":{"name":"A \"B\""}}"#
        );
        line.digest = line.chained_to(GENESIS);
        let mut hasher = Sha256::new();
        hasher.update([b'0'; 64]);
        hasher.update(b"\n");
        hasher.update(line.canonical());
        assert_eq!(line.digest, hex::encode(hasher.finalize()));
        let parsed: serde_json::Value = serde_json::from_str(&line.to_json()).unwrap();
        assert_eq!(parsed["data"]["name"], "A \"B\"");
        assert_eq!(parsed["digest"], line.digest.as_str());
        assert_ne!(
            line.digest,
            Line {
                file: Some(TransferId(0)),
                ..line.clone()
            }
            .chained_to(GENESIS)
        );
    }
}
