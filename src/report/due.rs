//! What records are kept under, the first of them that are due.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Serialize;

use super::collect::LISTED;
use super::record::Retention;
use super::{Row, moment};
use crate::transfer::kept;

/// A record with its retention.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Due {
    /// The item's key.
    pub key: String,
    /// Its title.
    pub title: String,
    /// The node.
    pub node: Option<i64>,
    /// What is known.
    pub retention: Retention,
    /// The code of its schedule.
    pub schedule: Option<String>,
    /// When it is due next, as the server wrote it.
    pub due: Option<String>,
    /// When that was read.
    pub read: Option<Timestamp>,
}

impl Due {
    /// The schedule in words.
    pub(super) fn schedule_in_words(&self) -> &str {
        match (self.retention, &self.schedule) {
            (Retention::NotRead, _) => "not read",
            (_, Some(schedule)) => schedule,
            (_, None) => "none",
        }
    }

    /// The due date in words.
    pub(super) fn due_in_words(&self) -> &str {
        match (self.retention, &self.due) {
            (_, Some(due)) => due.strip_suffix("T00:00:00").unwrap_or(due),
            (Retention::DatesNotTold, None) => "not told by the server",
            (Retention::Scheduled, None) => "no date",
            (_, None) => "",
        }
    }

    /// Whether its day is past at a moment, in milliseconds.
    pub(super) fn is_past(&self, at: i64) -> bool {
        let today = Timestamp::from_millisecond(at).map(|at| at.to_zoned(TimeZone::UTC).date());
        let due = self.due.as_deref().and_then(kept::day_of);
        due.zip(today.ok()).is_some_and(|(due, today)| due < today)
    }

    /// When it was read, in words.
    pub(super) fn read_in_words(&self) -> String {
        self.read
            .map_or_else(String::new, |read| moment(read.as_millisecond()))
    }
}

/// The records of a run, of which those that are due first are kept.
#[derive(Debug, Default)]
pub(super) struct Dues {
    /// How many there are.
    pub(super) items: u64,
    first: BTreeMap<(Date, i64), Due>,
}

impl Dues {
    /// Takes an item up, if it is a record.
    pub(super) fn add(&mut self, row: &Row) {
        let Some(retention) = row.record.retention else {
            return;
        };
        self.items += 1;
        // What has no day comes last.
        let day = row.record.due_day().unwrap_or(Date::MAX);
        let place = (day, row.item);
        let is_last = self
            .first
            .last_key_value()
            .is_some_and(|(last, _)| *last < place);
        if self.first.len() >= LISTED && is_last {
            return;
        }
        let due = Due {
            key: row.key.clone(),
            title: row.title.clone(),
            node: row.node,
            retention,
            schedule: row.record.retention_schedule.clone(),
            due: row.record.retention_due.clone(),
            read: row.record.retention_read,
        };
        self.first.insert(place, due);
        if self.first.len() > LISTED {
            self.first.pop_last();
        }
    }

    /// Those that are due first, in that order.
    pub(super) fn listed(&self) -> Vec<Due> {
        self.first.values().cloned().collect()
    }
}
