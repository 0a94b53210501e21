//! What flows remember of objects on both sides, to tell later what has changed.

use rusqlite::{Connection, Row, params};

use super::Error;
use super::decode::{Cells, limit_of};
use super::rows::Fact;

const FACT: &str = "at, flow, object, field, data, open";

/// Remembers a fact, in place of the one that was there.
pub(super) fn put(conn: &Connection, fact: &Fact) -> Result<(), Error> {
    conn.prepare_cached(
        "INSERT INTO fact (flow, object, field, data, open, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT DO UPDATE SET data = excluded.data, open = excluded.open, at = excluded.at",
    )?
    .execute(params![
        fact.flow,
        fact.object,
        fact.field,
        fact.data,
        fact.open,
        fact.at
    ])?;
    Ok(())
}

/// Everything that a flow remembers of an object, by field.
pub(super) fn of(conn: &Connection, flow: &str, object: &str) -> Result<Vec<Fact>, Error> {
    many(
        conn,
        &format!("SELECT {FACT} FROM fact WHERE flow = ?1 AND object = ?2 ORDER BY field"),
        params![flow, object],
    )
}

/// Up to `limit` facts of a flow behind `after` (object and field); only open ones when asked.
pub(super) fn page(
    conn: &Connection,
    flow: &str,
    after: (&str, &str),
    open: bool,
    limit: usize,
) -> Result<Vec<Fact>, Error> {
    let condition = if open { "AND open = 1" } else { "" };
    many(
        conn,
        &format!(
            "SELECT {FACT} FROM fact WHERE flow = ?1 {condition} AND (object, field) > (?2, ?3)
             ORDER BY object, field LIMIT ?4"
        ),
        params![flow, after.0, after.1, limit_of(limit)],
    )
}

/// How many facts of each flow are open, by name.
pub(super) fn open_counts(conn: &Connection) -> Result<Vec<(String, u64)>, Error> {
    let mut statement =
        conn.prepare_cached("SELECT flow, count(*) FROM fact WHERE open = 1 GROUP BY flow")?;
    let counts = statement.query_map([], |row| {
        Ok((row.get(0)?, row.get::<_, i64>(1)?.unsigned_abs()))
    })?;
    Ok(counts.collect::<Result<_, _>>()?)
}

fn many(conn: &Connection, sql: &str, values: impl rusqlite::Params) -> Result<Vec<Fact>, Error> {
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query(values)?;
    let mut facts = Vec::new();
    while let Some(row) = rows.next()? {
        facts.push(fact(row)?);
    }
    Ok(facts)
}

fn fact(row: &Row<'_>) -> Result<Fact, Error> {
    let mut cells = Cells::new(row, "fact")?;
    Ok(Fact {
        at: cells.int()?,
        flow: cells.text()?,
        object: cells.text()?,
        field: cells.text()?,
        data: cells.text()?,
        open: cells.flag()?,
    })
}
