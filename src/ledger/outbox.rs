//! The outbox: messages to other systems, kept until one attempt succeeded.
//!
//! A row's number is the same at every attempt, so the other side can recognise a repetition.
//! Delivered rows stay as a record.

use rusqlite::{Connection, params};

use super::Error;
use super::change::found;
use super::decode::{self, limit_of};
use super::rows::{NewPost, Post};

pub(super) fn add(conn: &Connection, post: &NewPost) -> Result<(), Error> {
    conn.prepare_cached("INSERT INTO outbox (item, kind, payload) VALUES (?1, ?2, ?3)")?
        .execute(params![post.item.map(|id| id.0), post.kind, post.payload])?;
    Ok(())
}

/// New rows first, in the order they came; then those put off, by the time they are due.
pub(super) fn due(conn: &Connection, now: i64, limit: usize) -> Result<Vec<Post>, Error> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {} FROM outbox WHERE delivered IS NULL AND next_at <= ?1
         ORDER BY next_at, id LIMIT ?2",
        decode::POST
    ))?;
    let mut rows = statement.query([now, limit_of(limit)])?;
    let mut posts = Vec::new();
    while let Some(row) = rows.next()? {
        posts.push(decode::post(row)?);
    }
    Ok(posts)
}

/// When the first undelivered row is due.
pub(super) fn next(conn: &Connection) -> Result<Option<i64>, Error> {
    Ok(conn
        .prepare_cached("SELECT min(next_at) FROM outbox WHERE delivered IS NULL AND next_at < ?1")?
        .query_row([REFUSED], |row| row.get(0))?)
}

/// The number of rows that are not delivered.
pub(super) fn waiting(conn: &Connection) -> Result<u64, Error> {
    let count: i64 = conn
        .prepare_cached("SELECT count(*) FROM outbox WHERE delivered IS NULL")?
        .query_row([], |row| row.get(0))?;
    Ok(count.unsigned_abs())
}

/// Counts an attempt before it is made: what comes after a crash knows that there may have been one.
pub(super) fn begun(conn: &Connection, id: i64) -> Result<(), Error> {
    let changed = conn
        .prepare_cached("UPDATE outbox SET attempts = attempts + 1 WHERE id = ?1")?
        .execute([id])?;
    found("outbox", id, changed)
}

pub(super) fn done(conn: &Connection, id: i64, now: i64) -> Result<(), Error> {
    let changed = conn
        .prepare_cached(
            "UPDATE outbox SET delivered = coalesce(delivered, ?2), message = NULL WHERE id = ?1",
        )?
        .execute([id, now])?;
    found("outbox", id, changed)
}

/// A row that the other side refused is due no more, until it is offered again.
const REFUSED: i64 = i64::MAX;

pub(super) fn refused(conn: &Connection, id: i64, message: &str) -> Result<(), Error> {
    later(conn, id, REFUSED, message)
}

/// Makes refused rows due again.
pub(super) fn again(conn: &Connection) -> Result<(), Error> {
    conn.prepare_cached("UPDATE outbox SET next_at = 0 WHERE delivered IS NULL AND next_at = ?1")?
        .execute([REFUSED])?;
    Ok(())
}

/// How many rows were refused, and what the other side said of the last.
pub(super) fn refusals(conn: &Connection) -> Result<Option<(u64, String)>, Error> {
    let (count, message): (i64, Option<String>) = conn
        .prepare_cached(
            "SELECT count(*), (SELECT message FROM outbox
                 WHERE delivered IS NULL AND next_at = ?1 ORDER BY id DESC LIMIT 1)
             FROM outbox WHERE delivered IS NULL AND next_at = ?1",
        )?
        .query_row([REFUSED], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok((count > 0).then(|| (count.unsigned_abs(), message.unwrap_or_default())))
}

pub(super) fn later(conn: &Connection, id: i64, next_at: i64, message: &str) -> Result<(), Error> {
    let changed = conn
        .prepare_cached("UPDATE outbox SET next_at = ?2, message = ?3 WHERE id = ?1")?
        .execute(params![id, next_at, message])?;
    found("outbox", id, changed)
}
