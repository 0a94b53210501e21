//! What people want to know of a run, in a few queries: the same whether its process runs or died.

use rusqlite::params;

use super::Error;
use super::decode::Cells;
use super::items::STOPPED;
use super::reader::Reader;
use super::rows::StateCount;
use crate::types::{ByteCount, ItemId, RunId};

/// Items in hand that are shown one by one.
const IN_HAND: usize = 64;

/// Where a run stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Items and bytes by state.
    pub states: Vec<StateCount>,
    /// Items that are done, by proof level.
    pub proofs: Vec<ProofCount>,
    /// Items that stopped, or wait after a failure, by state, class and reason.
    pub classes: Vec<ClassCount>,
    /// Items in hand, oldest first, at most 64.
    pub in_hand: Vec<InHand>,
    /// Bytes of unfinished items that are at the destination: acknowledged parts, and files that
    /// are committed already.
    pub confirmed_unfinished: ByteCount,
    /// Items that cannot begin before somebody acts; see [`Reader::blocked`].
    pub blocked: u64,
    /// Messages to other systems that are not delivered.
    pub outbox: u64,
}

/// Done items of one proof level.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProofCount {
    /// The level.
    pub proof: String,
    /// Items.
    pub items: u64,
    /// Their bytes.
    pub bytes: ByteCount,
}

/// Items that stopped in the same way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClassCount {
    /// Their state.
    pub state: String,
    /// The failure class; empty when nothing failed.
    pub class: String,
    /// The reason.
    pub reason: String,
    /// Items.
    pub items: u64,
    /// Most attempts that one of them burned.
    pub attempts: u64,
    /// When the first of them is tried again, in Unix milliseconds; 0 for at once or never.
    pub next_at: i64,
    /// The message of one of them.
    pub example: String,
}

/// An item in hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InHand {
    /// Its number.
    pub id: ItemId,
    /// Its title.
    pub title: String,
    /// Its bytes.
    pub bytes: ByteCount,
    /// Those of them that are at the destination.
    pub confirmed: ByteCount,
}

/// The bytes of a part: all have one size but the last.
const PART_BYTES: &str = "CASE WHEN part.number < file.part_count THEN file.part_size
    ELSE file.size - (file.part_count - 1) * file.part_size END";

impl Reader {
    /// What people want to know of a run.
    pub fn facts(&self, run: RunId) -> Result<Facts, Error> {
        Ok(Facts {
            states: self.summary(run)?,
            proofs: self.proofs(run)?,
            classes: self.classes(run)?,
            in_hand: self.in_hand(run)?,
            confirmed_unfinished: self.parts_confirmed(run)? + self.committed(run)?,
            blocked: self.blocked(run)?,
            outbox: self.posts_waiting()?,
        })
    }

    fn proofs(&self, run: RunId) -> Result<Vec<ProofCount>, Error> {
        self.many(
            "SELECT proof, items, bytes FROM tally
             WHERE run = ?1 AND state = 'done' AND items <> 0 ORDER BY proof",
            [run.0],
            |row| {
                let mut cells = Cells::of_group(row, "item", run.0);
                Ok(ProofCount {
                    proof: cells.text()?,
                    items: cells.count()?,
                    bytes: cells.count()?,
                })
            },
        )
    }

    fn classes(&self, run: RunId) -> Result<Vec<ClassCount>, Error> {
        let states = serde_json::to_string(&STOPPED).expect("a list of texts is always JSON");
        self.many(
            "SELECT state, coalesce(class, ''), coalesce(reason, ''), count(*), max(attempts),
                 min(next_at), coalesce(max(message), '')
             FROM item INDEXED BY item_state
             WHERE run = ?1 AND state IN (SELECT value FROM json_each(?2))
             GROUP BY 1, 2, 3 ORDER BY 1, 4 DESC",
            params![run.0, states],
            |row| {
                Ok(ClassCount {
                    state: row.get(0)?,
                    class: row.get(1)?,
                    reason: row.get(2)?,
                    items: row.get::<_, i64>(3)?.unsigned_abs(),
                    attempts: row.get::<_, i64>(4)?.unsigned_abs(),
                    next_at: row.get(5)?,
                    example: row.get(6)?,
                })
            },
        )
    }

    fn in_hand(&self, run: RunId) -> Result<Vec<InHand>, Error> {
        // Files that are through count whole, open ones by their acknowledged parts.
        let mut items = self.many(
            &format!(
                "SELECT item.id, title, bytes, committed
                     + (SELECT coalesce(sum({PART_BYTES}), 0) FROM file JOIN part ON part.file = file.id
                        WHERE file.item = item.id AND part.acked = 1 AND file.version IS NULL)
                 FROM item INDEXED BY item_state WHERE run = ?1 AND state = 'active'
                 ORDER BY item.id LIMIT ?2"
            ),
            params![run.0, IN_HAND as i64],
            |row| {
                Ok(InHand {
                    id: ItemId(row.get(0)?),
                    title: row.get(1)?,
                    bytes: row.get::<_, i64>(2)?.unsigned_abs(),
                    confirmed: row.get::<_, i64>(3)?.unsigned_abs(),
                })
            },
        )?;
        for item in &mut items {
            item.confirmed = item.confirmed.min(item.bytes);
        }
        Ok(items)
    }

    /// Acknowledged parts of this run. Parts are forgotten when their file is committed, so there
    /// are few of them: the cross joins begin with them, and not with all items.
    fn parts_confirmed(&self, run: RunId) -> Result<ByteCount, Error> {
        let found = self.many(
            &format!(
                "SELECT coalesce(sum({PART_BYTES}), 0) FROM part
                 CROSS JOIN file ON file.id = part.file CROSS JOIN item ON item.id = file.item
                 WHERE part.acked = 1 AND file.part_size IS NOT NULL AND item.run = ?1
                     AND item.state <> 'done' AND file.version IS NULL"
            ),
            [run.0],
            |row| Ok(row.get::<_, i64>(0)?.unsigned_abs()),
        )?;
        Ok(found.into_iter().next().unwrap_or(0))
    }

    /// Files of unfinished items that are committed.
    fn committed(&self, run: RunId) -> Result<ByteCount, Error> {
        let found = self.many(
            "SELECT coalesce(sum(committed), 0) FROM tally WHERE run = ?1 AND state <> 'done'",
            [run.0],
            |row| Ok(row.get::<_, i64>(0)?.unsigned_abs()),
        )?;
        Ok(found.into_iter().next().unwrap_or(0))
    }
}
