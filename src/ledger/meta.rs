//! Values kept beside the rows. The ledger's own begin with `ledger.`, and only it sets them.

use rusqlite::{Connection, OptionalExtension, params};

use super::Error;

/// The ledger's random id.
pub(super) const ID: &str = "ledger.id";
/// Transactions committed since it was created.
pub(super) const COMMITS: &str = "ledger.commits";
/// Number and digest of the journal's last line.
pub(super) const HEAD: &str = "ledger.head";
/// Boot id of the machine while it was last open.
pub(super) const BOOT: &str = "ledger.boot";
/// `yes` once it was closed in order.
pub(super) const CLEAN: &str = "ledger.clean-stop";
/// When and why a start barrier was last found necessary.
pub(super) const BARRIER: &str = "ledger.barrier";

const OWN: &str = "ledger.";

pub(super) fn get(conn: &Connection, key: &str) -> Result<Option<String>, Error> {
    Ok(conn
        .prepare_cached("SELECT value FROM meta WHERE key = ?1")?
        .query_row([key], |row| row.get(0))
        .optional()?)
}

pub(super) fn set(conn: &Connection, key: &str, value: &str) -> Result<(), Error> {
    conn.prepare_cached(
        "INSERT INTO meta (key, value) VALUES (?1, ?2)
         ON CONFLICT (key) DO UPDATE SET value = excluded.value",
    )?
    .execute(params![key, value])?;
    Ok(())
}

pub(super) fn remove(conn: &Connection, key: &str) -> Result<(), Error> {
    conn.prepare_cached("DELETE FROM meta WHERE key = ?1")?
        .execute([key])?;
    Ok(())
}

/// Refuses keys that are the ledger's own.
pub(super) fn check_key(key: &str) -> Result<(), Error> {
    if key.starts_with(OWN) {
        return Err(Error::Refused {
            what: "a value beside the rows",
            problem: format!("keys that begin with {OWN} are the ledger's own"),
        });
    }
    Ok(())
}
