//! Versions of longhaul's that a walk over the destination found: what a lost ledger knew.

use rusqlite::{Connection, params};

use super::Error;
use super::decode::{limit_of, stored};
use super::rows::{Adopted, Doubled};
use crate::types::{NodeId, VersionNumber};

/// Records versions; one that is known already is brought up to date.
pub(super) fn add(conn: &Connection, found: &[Adopted]) -> Result<(), Error> {
    let mut statement = conn.prepare_cached(
        "INSERT INTO adopted (marker, node, version, size, sha256) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT DO UPDATE SET size = excluded.size, sha256 = excluded.sha256",
    )?;
    for one in found {
        statement.execute(params![
            one.marker,
            one.node.0,
            one.version.0,
            stored("size", one.size)?,
            one.sha256
        ])?;
    }
    Ok(())
}

/// The nodes that hold a version with one of these markers, lowest first.
pub(super) fn nodes(conn: &Connection, markers: &[String]) -> Result<Vec<NodeId>, Error> {
    let markers = serde_json::to_string(markers).expect("a list of texts is always JSON");
    let mut statement = conn.prepare_cached(
        "SELECT DISTINCT node FROM adopted
         WHERE marker IN (SELECT value FROM json_each(?1)) ORDER BY node",
    )?;
    let nodes = statement.query_map([markers], |row| row.get(0).map(NodeId))?;
    Ok(nodes.collect::<Result<_, _>>()?)
}

/// Up to `limit` markers after `after` that more than one version has, with those versions.
pub(super) fn doubled(conn: &Connection, after: &str, limit: usize) -> Result<Vec<Doubled>, Error> {
    let mut statement = conn.prepare_cached(
        "SELECT marker, node, version FROM adopted WHERE marker IN (
             SELECT marker FROM adopted WHERE marker > ?1
             GROUP BY marker HAVING count(*) > 1 ORDER BY marker LIMIT ?2)
         ORDER BY marker, node, version",
    )?;
    let mut rows = statement.query(params![after, limit_of(limit)])?;
    let mut found: Vec<Doubled> = Vec::new();
    while let Some(row) = rows.next()? {
        let marker: String = row.get(0)?;
        let at = (NodeId(row.get(1)?), VersionNumber(row.get(2)?));
        match found.last_mut() {
            Some(last) if last.marker == marker => last.versions.push(at),
            _ => found.push(Doubled {
                marker,
                versions: vec![at],
            }),
        }
    }
    Ok(found)
}
