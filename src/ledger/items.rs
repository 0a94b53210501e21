//! Adding items to a run, taking those that are due, and sending stopped ones back to the start.
//!
//! There is one row per key, ever. What adding a key again means depends on how far its row has
//! come; the cases are in [`add`] and, as a table, in [`Ledger::add_items`](super::Ledger::add_items).

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, params};
use serde_json::json;
use unicode_normalization::UnicodeNormalization;

use super::Error;
use super::change::{exists, found};
use super::decode::{self, limit_of, stored};
use super::rows::{Added, Entry, Item, NewFile, NewItem};
use super::writer::Tx;
use crate::types::{ByteCount, ItemId, Role, RunId};

/// States from which a person or `retry` may send an item back to the start.
pub const STOPPED: [&str; 6] = [
    "failed",
    "parked",
    "held",
    "conflict",
    "quarantined",
    "waiting",
];

/// The reasons of items that are held until their source has what they lack.
const INCOMPLETE: [&str; 2] = ["incomplete", "paper-missing"];
/// The reason of items that are held because another asset has their content.
const DUPLICATE: &str = "duplicate";
/// What the fingerprints of items begin with that are only there to say why.
const REFUSED: &str = "refused ";

/// The name as a container compares it: NFC, lower case.
pub(super) fn folded(name: &str) -> String {
    name.nfc().flat_map(char::to_lowercase).nfc().collect()
}

/// What adding needs to know of a row with the same key.
struct Known {
    id: i64,
    run: i64,
    state: String,
    fingerprint: String,
    node: Option<i64>,
    version: Option<i64>,
    reason: Option<String>,
    record: Option<String>,
    in_doubt: bool,
}

impl Known {
    fn find(conn: &Connection, key: &str) -> Result<Option<Self>, Error> {
        Ok(conn
            .prepare_cached(
                "SELECT id, run, state, fingerprint, node, version, reason, record, EXISTS (
                     SELECT 1 FROM file
                     WHERE item = item.id AND intent IS NOT NULL AND file.version IS NULL)
                 FROM item WHERE key = ?1",
            )?
            .query_row([key], |row| {
                Ok(Self {
                    id: row.get(0)?,
                    run: row.get(1)?,
                    state: row.get(2)?,
                    fingerprint: row.get(3)?,
                    node: row.get(4)?,
                    version: row.get(5)?,
                    reason: row.get(6)?,
                    record: row.get(7)?,
                    in_doubt: row.get(8)?,
                })
            })
            .optional()?)
    }

    /// Whether it is held for what its source lacks.
    fn is_incomplete(&self) -> bool {
        self.state == "held"
            && self
                .reason
                .as_deref()
                .is_some_and(|reason| INCOMPLETE.contains(&reason))
    }

    /// Whether it waits for a person's word because another asset has its content.
    fn is_duplicate(&self) -> bool {
        self.state == "held" && self.reason.as_deref() == Some(DUPLICATE)
    }

    /// Whether it is filed as its source has it, even when something about it is missing now.
    fn was_filed(&self) -> bool {
        let has_content = !self.fingerprint.starts_with(REFUSED);
        self.state == "done" || (self.is_incomplete() && has_content && self.node.is_some())
    }

    /// Whether what was filed is still what the source says, or all that it ever had: the same
    /// fingerprint, another copy of the same files, or nothing any more.
    fn is_content_of(&self, conn: &Connection, item: &NewItem) -> Result<bool, Error> {
        Ok(self.fingerprint == item.fingerprint
            || says_only_why(item)
            || is_same_content(conn, self.id, item)?)
    }

    /// Whether its files must stay as they are: the engine is at work on them, a commit of them
    /// may still arrive, or they are evidence.
    fn is_fixed(&self) -> bool {
        self.in_doubt || self.state == "active" || self.state == "quarantined"
    }
}

/// Adds items to a run. See [`Ledger::add_items`](super::Ledger::add_items).
pub(super) fn add(tx: &mut Tx<'_>, run: RunId, items: &[NewItem]) -> Result<Added, Error> {
    let mut added = Added::default();
    let mut already_done_elsewhere = 0;
    // Ids of rows that may be given another predecessor.
    let mut open = Vec::with_capacity(items.len());
    for item in items {
        let id = match Known::find(tx.conn, &item.key)? {
            None => {
                added.new += 1;
                Some(insert(tx, run, item)?)
            }
            Some(known) if is_incomplete(item) && known.was_filed() => {
                added.taken_over += 1;
                hold(tx, run, &known, item)?;
                Some(known.id)
            }
            Some(known)
                if known.is_incomplete()
                    && known.was_filed()
                    && known.fingerprint == item.fingerprint =>
            {
                release(tx, &known)?;
                if touch(tx, run, &known, item)? {
                    added.reopened += 1;
                    Some(known.id)
                } else {
                    added.already_done += 1;
                    already_done_elsewhere += i64::from(known.run != run.0);
                    None
                }
            }
            Some(known) if known.state == "done" && known.is_content_of(tx.conn, item)? => {
                // What the source has lost by now was filed all the same.
                if !says_only_why(item) && touch(tx, run, &known, item)? {
                    added.reopened += 1;
                    Some(known.id)
                } else {
                    added.already_done += 1;
                    // A page that is added twice finds its own items; they were not done before.
                    already_done_elsewhere += i64::from(known.run != run.0);
                    None
                }
            }
            Some(known) if known.state == "done" => {
                added.reopened += 1;
                renew(tx, run, &known, item, "reopened")?;
                Some(known.id)
            }
            Some(known) => {
                added.taken_over += 1;
                take_over(tx, run, &known, item)?;
                Some(known.id)
            }
        };
        open.push(id);
    }
    for (item, id) in items.iter().zip(open) {
        if let (Some(after), Some(id)) = (&item.after, id) {
            chain(tx.conn, id, item, after)?;
        }
    }
    let changed = tx
        .conn
        .prepare_cached("UPDATE run SET already_done = already_done + ?2 WHERE id = ?1")?
        .execute(params![run.0, already_done_elsewhere])?;
    found("run", run.0, changed)?;
    Ok(added)
}

fn insert(tx: &mut Tx<'_>, run: RunId, item: &NewItem) -> Result<i64, Error> {
    let refused = item.refused.as_ref();
    // Said at once: each change of a row's bytes is counted again.
    let sizes = item.files.iter().map(|file| file.size);
    let bytes = sizes.fold(0, ByteCount::saturating_add);
    tx.conn
        .prepare_cached(
            "INSERT INTO item (run, key, kind, title, parent, name, folded, marker, kin,
                 fingerprint, source, state, class, reason, message, record, files, bytes)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16,
                 ?17, ?18)",
        )?
        .execute(params![
            run.0,
            item.key,
            item.kind,
            item.title,
            item.parent,
            item.name,
            folded(&item.name),
            item.marker,
            kin(item),
            item.fingerprint,
            item.source,
            state_of(item),
            refused.map(|refused| &refused.0),
            refused.map(|refused| &refused.1),
            refused.map(|refused| &refused.2),
            item.record,
            item.files.len() as i64,
            stored("an item's size", bytes)?,
        ])?;
    let id = tx.conn.last_insert_rowid();
    let (files, bytes) = insert_files(tx.conn, ItemId(id), &item.files)?;
    journal(
        tx,
        run,
        id,
        "planned",
        json!({
            "key": item.key, "name": item.name, "parent": item.parent, "marker": item.marker,
            "files": files, "bytes": bytes, "refused": refused.map(|refused| &refused.1),
        }),
    )?;
    Ok(id)
}

/// An unfinished item of the same key becomes this run's.
fn take_over(tx: &mut Tx<'_>, run: RunId, known: &Known, item: &NewItem) -> Result<(), Error> {
    let same = known.fingerprint == item.fingerprint;
    if known.is_fixed() {
        tx.conn
            .prepare_cached("UPDATE item SET run = ?2 WHERE id = ?1")?
            .execute([known.id, run.0])?;
        if !same {
            // The row keeps the old fingerprint, so that the next enumeration opens it again.
            journal(
                tx,
                run,
                known.id,
                "change-deferred",
                json!({ "state": known.state, "in_doubt": known.in_doubt }),
            )?;
        }
        return Ok(());
    }
    if !same {
        return renew(tx, run, known, item, "replanned");
    }
    // A name under which something was staged or published stays: the engine may have chosen it.
    tx.conn
        .prepare_cached(
            "UPDATE item SET run = ?2, title = ?3, source = ?4, kin = ?5,
                 parent = iif(container IS NULL AND node IS NULL, ?6, parent),
                 name = iif(container IS NULL AND node IS NULL, ?7, name),
                 folded = iif(container IS NULL AND node IS NULL, ?8, folded),
                 record = coalesce(?9, record)
             WHERE id = ?1",
        )?
        .execute(params![
            known.id,
            run.0,
            item.title,
            item.source,
            kin(item),
            item.parent,
            item.name,
            folded(&item.name),
            item.record,
        ])?;
    let before_it_began = matches!(known.state.as_str(), "planned" | "waiting");
    let stopped = matches!(known.state.as_str(), "failed" | "parked")
        || known.is_incomplete()
        || known.is_duplicate();
    if let Some((class, reason, message)) = &item.refused {
        if before_it_began || stopped {
            tx.conn
                .prepare_cached(
                    "UPDATE item SET state = ?5, class = ?2, reason = ?3, message = ?4
                     WHERE id = ?1",
                )?
                .execute(params![known.id, class, reason, message, state_of(item)])?;
        }
    } else if stopped && known.run != run.0 {
        // Another run is another chance; what waits for a person goes on waiting.
        tx.conn
            .prepare_cached(
                "UPDATE item SET state = 'planned', attempts = 0, next_at = 0, class = NULL,
                     reason = NULL, message = NULL WHERE id = ?1",
            )?
            .execute([known.id])?;
    }
    Ok(())
}

/// Whether an item has no content and only says why.
fn says_only_why(item: &NewItem) -> bool {
    item.fingerprint.starts_with(REFUSED)
}

impl NewItem {
    /// Why its source has nothing of it now, when that is so: a done item stays done then.
    pub fn nothing_left(&self) -> Option<&str> {
        let (.., message) = self.refused.as_ref()?;
        (says_only_why(self) && !is_incomplete(self)).then_some(message)
    }
}

/// Whether an item's masters are another copy of those that the row `id` has: other ids, the same
/// names and sizes, and the same checksums. A checksum that is the same beside the same id proves
/// nothing, because the date is another; where none is quoted, an archived copy alone counts.
pub(super) fn is_same_content(conn: &Connection, id: i64, item: &NewItem) -> Result<bool, Error> {
    let masters = || item.files.iter().filter(|file| file.content.is_none());
    let master = Role::Master.name();
    let mut filed: HashMap<(String, String), (i64, Option<String>, String)> = HashMap::new();
    let mut pieces: i64 = 0;
    {
        let mut statement = conn.prepare_cached(
            "SELECT role, dir, name, size, md5, marker FROM file WHERE item = ?1 AND content IS NULL",
        )?;
        let mut rows = statement.query([id])?;
        while let Some(row) = rows.next()? {
            let size: i64 = row.get(3)?;
            if row.get::<_, String>(0)? == master {
                let of = (row.get(1)?, row.get(2)?);
                filed.insert(of, (size, row.get(4)?, row.get(5)?));
            } else {
                pieces += size;
            }
        }
    }
    if masters().next().is_none() {
        return Ok(false);
    }
    if filed.is_empty() {
        // The segments of a master that was split.
        let size: u64 = masters().map(|file| file.size).sum();
        return Ok(item.archived && pieces > 0 && i64::try_from(size) == Ok(pieces));
    }
    if filed.len() != masters().count() {
        return Ok(false);
    }
    Ok(masters().all(|file| {
        let key = (file.dir.clone(), file.name.clone());
        filed.get(&key).is_some_and(|(size, md5, marker)| {
            let same = i64::try_from(file.size) == Ok(*size);
            let checked = match (md5, &file.md5) {
                (Some(then), Some(now)) if !then.eq_ignore_ascii_case(now) => return false,
                (Some(_), Some(_)) => *marker != file.marker,
                _ => false,
            };
            same && (checked || item.archived)
        })
    }))
}

/// Whether an item is only there to say what its source lacks.
fn is_incomplete(item: &NewItem) -> bool {
    let refused = item.refused.as_ref();
    refused.is_some_and(|(_, reason, _)| INCOMPLETE.contains(&reason.as_str()))
}

/// Holds what was filed before and lacks something now. What is known of its files stays: once it
/// is complete again it goes on from there, and content that is the same is not filed anew.
fn hold(tx: &mut Tx<'_>, run: RunId, known: &Known, item: &NewItem) -> Result<(), Error> {
    let Some((class, reason, message)) = &item.refused else {
        return Ok(());
    };
    let changed = tx
        .conn
        .prepare_cached(
            "UPDATE item SET run = ?2, title = ?3, state = 'held', class = ?4, reason = ?5,
                 message = ?6
             WHERE id = ?1 AND (state <> 'held' OR message IS NOT ?6 OR run <> ?2)",
        )?
        .execute(params![known.id, run.0, item.title, class, reason, message])?;
    if changed > 0 && !known.is_incomplete() {
        journal(
            tx,
            run,
            known.id,
            "held-incomplete",
            json!({ "node": known.node, "why": message }),
        )?;
    }
    Ok(())
}

/// Ends the hold of what was filed before and is complete again.
fn release(tx: &mut Tx<'_>, known: &Known) -> Result<(), Error> {
    tx.conn
        .prepare_cached(
            "UPDATE item SET state = 'done', class = NULL, reason = NULL, message = NULL
             WHERE id = ?1",
        )?
        .execute([known.id])?;
    Ok(())
}

/// Opens a done item again when its record or a document of its own (a sidecar) is another now;
/// whether it did. What has not changed keeps its progress.
fn touch(tx: &mut Tx<'_>, run: RunId, known: &Known, item: &NewItem) -> Result<bool, Error> {
    // Plain filing takes no record away.
    let record = item.record.is_some() && known.record != item.record;
    let moved = known.fingerprint != item.fingerprint;
    let (mut documents, mut added) = (Vec::new(), Vec::new());
    for file in item.files.iter().filter(|file| file.content.is_some()) {
        // By its role too: another copy of the content has other ids, and so other markers.
        let other: Option<(i64, bool)> = tx
            .conn
            .prepare_cached(
                "SELECT id, content IS NOT ?3 FROM file
                 WHERE item = ?1 AND (marker = ?2 OR (?5 AND role = ?4 AND content IS NOT NULL))
                 ORDER BY marker <> ?2 LIMIT 1",
            )?
            .query_row(
                params![known.id, file.marker, file.content, file.role, moved],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .optional()?;
        match other {
            None => added.push(file),
            Some((id, true)) => documents.push((id, file)),
            Some((_, false)) => {}
        }
    }
    if !record && documents.is_empty() && added.is_empty() {
        return Ok(false);
    }
    let followed: bool = tx
        .conn
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM item WHERE after = ?1)")?
        .query_row([known.id], |row| row.get(0))?;
    if followed {
        // A later version's record and documents are the ones that count by now.
        return Ok(false);
    }
    for (id, file) in &documents {
        let size = stored("a file's size", file.size)?;
        tx.conn
            .prepare_cached(
                "UPDATE item SET bytes = bytes + ?2 - (SELECT size FROM file WHERE id = ?3)
                 WHERE id = ?1",
            )?
            .execute([known.id, size, *id])?;
        // The node stays: it says whose next version this is.
        tx.conn
            .prepare_cached(
                "UPDATE file SET step = 'planned', content = ?2, size = ?3, sha256 = NULL,
                     intent = NULL, version = NULL, proof = 'none' WHERE id = ?1",
            )?
            .execute(params![id, file.content, size])?;
    }
    insert_files(tx.conn, ItemId(known.id), added.iter().copied())?;
    let documents = documents.iter().map(|(_, file)| *file);
    let documents: Vec<&str> = documents.chain(added).map(|file| &*file.role).collect();
    tx.conn
        .prepare_cached(
            "UPDATE item SET run = ?2, title = ?3, source = ?4, kin = ?5,
                 record = coalesce(?6, record), state = 'planned', attempts = 0, next_at = 0
             WHERE id = ?1",
        )?
        .execute(params![
            known.id,
            run.0,
            item.title,
            item.source,
            kin(item),
            item.record,
        ])?;
    journal(
        tx,
        run,
        known.id,
        "touched",
        json!({ "node": known.node, "record": record, "documents": documents }),
    )?;
    Ok(true)
}

/// Plans a known item anew, with other content. Its node and the name it was published under
/// stay, so that the content becomes another version of it.
fn renew(
    tx: &mut Tx<'_>,
    run: RunId,
    known: &Known,
    item: &NewItem,
    event: &str,
) -> Result<(), Error> {
    let refused = item.refused.as_ref();
    tx.conn
        .prepare_cached(
            "UPDATE item SET run = ?2, kind = ?3, title = ?4, kin = ?5, fingerprint = ?6,
                 source = ?7, state = ?8, class = ?9, reason = ?10, message = ?11, marker = ?12,
                 parent = iif(node IS NULL, ?13, parent), name = iif(node IS NULL, ?14, name),
                 folded = iif(node IS NULL, ?15, folded),
                 container = NULL, version = NULL, proof = 'none', attempts = 0, next_at = 0,
                 record = coalesce(?16, record)
             WHERE id = ?1",
        )?
        .execute(params![
            known.id,
            run.0,
            item.kind,
            item.title,
            kin(item),
            item.fingerprint,
            item.source,
            state_of(item),
            refused.map(|refused| &refused.0),
            refused.map(|refused| &refused.1),
            refused.map(|refused| &refused.2),
            item.marker,
            item.parent,
            item.name,
            folded(&item.name),
            item.record,
        ])?;
    replace_files(tx.conn, ItemId(known.id), &item.files)?;
    journal(
        tx,
        run,
        known.id,
        event,
        json!({
            "node": known.node, "version": known.version,
            "fingerprint": item.fingerprint, "fingerprint_before": known.fingerprint,
        }),
    )
}

/// Makes item `id` wait for the item with the key `after`.
fn chain(conn: &Connection, id: i64, item: &NewItem, after: &str) -> Result<(), Error> {
    let wrong = |problem| Error::Order {
        key: item.key.clone(),
        after: after.to_owned(),
        problem,
    };
    let (first, done): (i64, bool) = conn
        .prepare_cached("SELECT id, state IN ('done', 'declined') FROM item WHERE key = ?1")?
        .query_row([after], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?
        .ok_or_else(|| wrong("it is not in the ledger"))?;
    let circle: bool = conn
        .prepare_cached(
            "WITH RECURSIVE before (id) AS (
                 SELECT ?1 UNION
                 SELECT item.after FROM before JOIN item ON item.id = before.id
                 WHERE item.after IS NOT NULL)
             SELECT EXISTS (SELECT 1 FROM before WHERE id = ?2)",
        )?
        .query_row([first, id], |row| row.get(0))?;
    if circle {
        return Err(wrong("they would wait for each other"));
    }
    conn.prepare_cached("UPDATE item SET after = ?2, blocked = ?3 WHERE id = ?1")?
        .execute(params![id, first, !done])?;
    Ok(())
}

fn kin(item: &NewItem) -> String {
    serde_json::to_string(&item.kin).expect("a list of texts is always JSON")
}

fn state_of(item: &NewItem) -> &'static str {
    match &item.refused {
        Some((_, reason, _)) if INCOMPLETE.contains(&reason.as_str()) || reason == DUPLICATE => {
            "held"
        }
        Some(_) => "parked",
        None => "planned",
    }
}

fn journal(
    tx: &mut Tx<'_>,
    run: RunId,
    item: i64,
    event: &str,
    data: serde_json::Value,
) -> Result<(), Error> {
    tx.journal(&Entry {
        run: Some(run),
        item: Some(ItemId(item)),
        file: None,
        event: event.to_owned(),
        data: data.to_string(),
    })
}

/// Adds files behind those that an item has; updates its totals, which are returned.
fn insert_files<'a>(
    conn: &Connection,
    item: ItemId,
    files: impl IntoIterator<Item = &'a NewFile>,
) -> Result<(i64, i64), Error> {
    let (mut count, bytes): (i64, i64) = conn
        .prepare_cached(
            "SELECT coalesce(max(seq) + 1, 0), coalesce(sum(size), 0) FROM file WHERE item = ?1",
        )?
        .query_row([item.0], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let mut statement = conn.prepare_cached(
        "INSERT INTO file (item, seq, role, marker, name, dir, size, offset, mime, locator, md5,
             validator, content)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
    )?;
    let mut bytes = bytes.unsigned_abs();
    for file in files {
        statement.execute(params![
            item.0,
            count,
            file.role,
            file.marker,
            file.name,
            file.dir,
            stored("a file's size", file.size)?,
            stored("a file's offset", file.offset)?,
            file.mime,
            file.locator,
            file.md5,
            file.validator,
            file.content,
        ])?;
        bytes = bytes.saturating_add(file.size);
        count += 1;
    }
    let (files, bytes) = (count, stored("an item's size", bytes)?);
    conn.prepare_cached(
        "UPDATE item SET files = ?2, bytes = ?3 WHERE id = ?1 AND (files <> ?2 OR bytes <> ?3)",
    )?
    .execute([item.0, files, bytes])?;
    Ok((files, bytes))
}

/// Replaces an item's files; their parts go with them.
pub(super) fn replace_files(
    conn: &Connection,
    item: ItemId,
    files: &[NewFile],
) -> Result<(), Error> {
    exists(conn, "item", item.0)?;
    // The documents of its own (sidecars) stay the same documents, with new versions.
    let own: Vec<(String, i64)> = conn
        .prepare_cached(
            "SELECT marker, node FROM file
             WHERE item = ?1 AND content IS NOT NULL AND node IS NOT NULL",
        )?
        .query_map([item.0], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    conn.prepare_cached("DELETE FROM file WHERE item = ?1")?
        .execute([item.0])?;
    insert_files(conn, item, files)?;
    for (marker, node) in own {
        conn.prepare_cached("UPDATE file SET node = ?3 WHERE item = ?1 AND marker = ?2")?
            .execute(params![item.0, marker, node])?;
    }
    Ok(())
}

/// Takes due items. See [`Ledger::take_items`](super::Ledger::take_items).
pub(super) fn take(
    conn: &Connection,
    run: RunId,
    now: i64,
    limit: usize,
) -> Result<Vec<Item>, Error> {
    let mut due: Vec<Item> = Vec::new();
    for state in ["planned", "waiting"] {
        let mut statement = conn.prepare_cached(&take_sql(state))?;
        let mut rows = statement.query(params![run.0, now, limit_of(limit)])?;
        while let Some(row) = rows.next()? {
            due.push(decode::item(row)?);
        }
    }
    due.sort_by_key(|item| item.id);
    due.truncate(limit);
    for item in &mut due {
        conn.prepare_cached("UPDATE item SET state = 'active' WHERE id = ?1")?
            .execute([item.id.0])?;
        item.state = "active".into();
    }
    Ok(due)
}

/// The condition of the index `item_due`, word for word, or SQLite would not use it.
pub(super) const DUE: &str = "blocked = 0 AND state IN ('planned', 'waiting')";

/// The due items of one state in the order of the index, so that a limit ends the search.
pub(super) fn take_sql(state: &'static str) -> String {
    format!(
        "SELECT {} FROM item INDEXED BY item_due
         WHERE run = ?1 AND state = '{state}' AND {DUE} AND next_at <= ?2
         ORDER BY next_at, id LIMIT ?3",
        decode::ITEM
    )
}

/// Sends stopped items back to the start. See [`Ledger::requeue`](super::Ledger::requeue).
pub(super) fn requeue(
    tx: &mut Tx<'_>,
    run: RunId,
    states: &[String],
    class: Option<&str>,
) -> Result<u64, Error> {
    exists(tx.conn, "run", run.0)?;
    let mut items = 0;
    for state in states {
        if !STOPPED.contains(&state.as_str()) {
            return Err(Error::Refused {
                what: "to plan items again",
                problem: format!("{state:?} is no state they can be sent back from"),
            });
        }
        items += tx
            .conn
            .prepare_cached(
                "UPDATE item SET state = 'planned', attempts = 0, next_at = 0, class = NULL,
                     reason = NULL, message = NULL
                 WHERE run = ?1 AND state = ?2 AND files > 0 AND (?3 IS NULL OR class = ?3)",
            )?
            .execute(params![run.0, state, class])?;
    }
    if items > 0 {
        tx.journal(&Entry {
            run: Some(run),
            event: "requeued".into(),
            data: json!({ "states": states, "class": class, "items": items }).to_string(),
            ..Entry::default()
        })?;
    }
    Ok(items as u64)
}

/// Sends one stopped item back to the start. See [`Ledger::requeue_item`](super::Ledger::requeue_item).
pub(super) fn requeue_item(tx: &mut Tx<'_>, item: ItemId) -> Result<bool, Error> {
    let found: Option<(i64, String, i64)> = tx
        .conn
        .prepare_cached("SELECT run, state, files FROM item WHERE id = ?1")?
        .query_row([item.0], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let Some((run, state, files)) = found else {
        return Ok(false);
    };
    if files == 0 || !STOPPED.contains(&state.as_str()) {
        return Ok(false);
    }
    tx.conn
        .prepare_cached(
            "UPDATE item SET state = 'planned', attempts = 0, next_at = 0, class = NULL,
                 reason = NULL, message = NULL
             WHERE id = ?1",
        )?
        .execute([item.0])?;
    journal(
        tx,
        RunId(run),
        item.0,
        "requeued",
        json!({ "states": [state], "items": 1 }),
    )?;
    Ok(true)
}

/// Items in nobody's hands any more. See [`Ledger::give_back`](super::Ledger::give_back).
pub(super) fn give_back(conn: &Connection, run: RunId) -> Result<u64, Error> {
    let items = conn
        .prepare_cached(
            "UPDATE item SET state = 'planned', next_at = 0 WHERE run = ?1 AND state = 'active'",
        )?
        .execute([run.0])?;
    Ok(items as u64)
}
