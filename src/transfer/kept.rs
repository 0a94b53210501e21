//! What the destination keeps a record under, as it said when it was asked; remembered in the
//! ledger with the moment, because reports ask nobody.
//!
//! | Remembered under | Object | Field | Says |
//! |---|---|---|---|
//! | `retention` | the node | | what it is kept under |
//! | `retention by class` | the class's node | the schedule's code | that records of this class were kept under it |
//! | `retention by day` | the day | the node | that something is due then |

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::ledger::{self, Change, Fact, Ledger, Reader};
use crate::types::NodeId;

const FLOW: &str = "retention";
const BY_CLASS: &str = "retention by class";
const BY_DAY: &str = "retention by day";
/// Facts read at once.
const PAGE: usize = 500;
/// Schedules of one class that are told.
const MOST: usize = 20;

/// What a record is kept under.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Kept {
    /// The class that it is a record of.
    pub class: Option<NodeId>,
    /// The retention schedule's code; `None` when it has none.
    pub schedule: Option<String>,
    /// When something is due next, as the destination wrote it; `None` when nothing is.
    pub due: Option<String>,
    /// Whether the schedule was told and its dates were not.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub unsaid: bool,
}

/// What is remembered of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remembered {
    /// What it was kept under.
    pub kept: Kept,
    /// When it was read, in Unix milliseconds.
    pub at: i64,
}

impl Kept {
    /// The day that something is due, when the text begins with one.
    pub fn due_day(&self) -> Option<Date> {
        day_of(self.due.as_deref()?)
    }

    /// Adds to `change` what has to be remembered of `node`, as read now.
    ///
    /// # Errors
    ///
    /// The ledger's.
    pub async fn remember(
        &self,
        ledger: &Ledger,
        change: Change,
        node: NodeId,
    ) -> Result<Change, ledger::Error> {
        let at = jiff::Timestamp::now().as_millisecond();
        let fact = |flow: &str, object: String, field: String, data: String| Fact {
            flow: flow.to_owned(),
            object,
            field,
            data,
            open: false,
            at,
        };
        let before = ledger.remembered(FLOW, &node.to_string()).await?;
        let before = before.first().map(remembered);
        let before = before.and_then(|before| before.kept.due_day());
        let now = self.due_day();
        let mut change = change;
        // A day that counts no more is left empty.
        if let Some(before) = before.filter(|before| now != Some(*before)) {
            let none = fact(BY_DAY, before.to_string(), node.to_string(), String::new());
            change = change.fact(none);
        }
        if let Some(day) = now {
            let due = fact(BY_DAY, day.to_string(), node.to_string(), "due".to_owned());
            change = change.fact(due);
        }
        if let Some(class) = self.class {
            let schedule = self.schedule.clone().unwrap_or_default();
            change = change.fact(fact(BY_CLASS, class.to_string(), schedule, String::new()));
        }
        let data = serde_json::to_string(self).unwrap_or_default();
        Ok(change.fact(fact(FLOW, node.to_string(), String::new(), data)))
    }
}

/// What is remembered of a node.
///
/// # Errors
///
/// The ledger's.
pub fn of(reader: &Reader, node: NodeId) -> Result<Option<Remembered>, ledger::Error> {
    let facts = reader.remembered(FLOW, &node.to_string())?;
    Ok(facts.first().map(remembered))
}

/// Whether anything is remembered at all.
///
/// # Errors
///
/// The ledger's.
pub fn any(reader: &Reader) -> Result<bool, ledger::Error> {
    Ok(!reader.remembered_page(FLOW, ("", ""), false, 1)?.is_empty())
}

/// The schedules that records of a class were kept under, the one read last first, each with when
/// that was in Unix milliseconds; `None` stands for no schedule.
///
/// # Errors
///
/// The ledger's.
pub fn of_class(
    reader: &Reader,
    class: NodeId,
) -> Result<Vec<(Option<String>, i64)>, ledger::Error> {
    let mut facts = reader.remembered(BY_CLASS, &class.to_string())?;
    facts.sort_by_key(|fact| std::cmp::Reverse(fact.at));
    facts.truncate(MOST);
    let named = facts.into_iter().map(|fact| {
        let schedule = Some(fact.field).filter(|code| !code.is_empty());
        (schedule, fact.at)
    });
    Ok(named.collect())
}

/// How many records were due before `today`, as they were read.
///
/// # Errors
///
/// The ledger's.
pub fn overdue(reader: &Reader, today: Date) -> Result<u64, ledger::Error> {
    let today = today.to_string();
    let mut after = (String::new(), String::new());
    let mut count = 0;
    loop {
        let page = reader.remembered_page(BY_DAY, (&after.0, &after.1), false, PAGE)?;
        for fact in &page {
            // Days are texts that sort as they follow each other.
            if fact.object >= today {
                return Ok(count);
            }
            count += u64::from(!fact.data.is_empty());
        }
        match page.last() {
            Some(last) if page.len() == PAGE => after = (last.object.clone(), last.field.clone()),
            _ => return Ok(count),
        }
    }
}

/// The day that a date of the destination begins with.
pub fn day_of(text: &str) -> Option<Date> {
    text.get(..10)?.parse().ok()
}

fn remembered(fact: &Fact) -> Remembered {
    Remembered {
        kept: serde_json::from_str(&fact.data).unwrap_or_default(),
        at: fact.at,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(schedule: &str, due: &str) -> Kept {
        let text = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        Kept {
            class: Some(NodeId(77)),
            schedule: text(schedule),
            due: text(due),
            unsaid: false,
        }
    }

    #[tokio::test]
    async fn a_record_counts_once_by_what_was_read_last() {
        let place = crate::ledger::tests::directory();
        let path = place.path().join("ledger.db");
        let ledger = Ledger::open(&path, "test").unwrap();
        let reader = Reader::open(&path).unwrap();
        let today: Date = "2026-11-26".parse().unwrap();
        assert!(!any(&reader).unwrap());
        let node = NodeId(5);
        assert_eq!(of(&reader, node).unwrap(), None);
        for (kept, late) in [
            (kept("M1", "2020-01-01T00:00:00"), 1),
            (kept("M1", "2020-01-01T00:00:00"), 1),
            (kept("M2", "2026-11-26"), 0),
            (kept("M2", "2026-11-25"), 1),
            (kept("M2", "soon"), 0),
            (kept("", ""), 0),
        ] {
            let change = kept.remember(&ledger, Change::new(), node).await.unwrap();
            ledger.apply(change).await.unwrap();
            assert_eq!(overdue(&reader, today).unwrap(), late, "{kept:?}");
            assert_eq!(of(&reader, node).unwrap().unwrap().kept, kept);
        }
        assert!(any(&reader).unwrap());
        let known = of_class(&reader, NodeId(77)).unwrap();
        assert_eq!(known.len(), 3, "{known:?}");
        assert!(of_class(&reader, NodeId(78)).unwrap().is_empty());
    }

    #[test]
    fn only_a_day_is_a_day() {
        assert!(day_of("2027-01-31T00:00:00").is_some());
        for odd in [
            "",
            "soon",
            "31.01.2027",
            "2027-13-01",
            "2027-1-1",
            "äöüäöüäöü",
        ] {
            assert_eq!(day_of(odd), None, "{odd}");
        }
    }
}
