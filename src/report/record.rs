//! What an item is beyond its bytes: where it is filed, under which class and marks, who may see
//! it, what proves its rights, and when they end. As it was asked for at filing, and its retention as it
//! was read last: nothing is read from a server.

use jiff::civil::Date;
use jiff::{Timestamp, ToSpan};
use serde::Serialize;
use serde_json::Value;

use super::shown;
use crate::flows::plan::Words;
use crate::ledger::{self, Item, Reader};
use crate::transfer::kept;

/// The name under which the last days of each asset's licences are remembered.
pub(super) const RIGHTS: &str = "rights";

/// The reason of items that are held for a required paper.
pub(super) const PAPER_MISSING: &str = "paper-missing";

/// The kinds that a report counts, in order, and what they mean.
pub(super) const KINDS: [(&str, &str); 13] = [
    ("place", "in a workspace or folder that its metadata names"),
    ("class", "under a records classification"),
    ("official", "marked as the official copy"),
    ("final", "finalised: no new content"),
    ("clearance", "behind a security clearance or marking"),
    ("access", "with permissions of its own"),
    ("papers", "with papers that prove its rights"),
    ("licence-ends", "with a licence that has a last day"),
    (
        "schedule",
        "records under a retention schedule, as last read",
    ),
    ("no-schedule", "records without one, as last read"),
    (
        "schedule-not-read",
        "records of which it was not read; `longhaul reconcile` reads it",
    ),
    ("overdue", "records whose due date is past, as last read"),
    (
        "due-in-a-year",
        "records that are due within a year, as last read",
    ),
];

/// What is known of an item's retention.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Retention {
    /// It has a schedule.
    Scheduled,
    /// It has a schedule whose dates the server did not tell.
    DatesNotTold,
    /// It has none.
    NoSchedule,
    /// It is a record, and what it is kept under was not read.
    NotRead,
}

impl Retention {
    /// In words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::DatesNotTold => "dates-not-told",
            Self::NoSchedule => "no-schedule",
            Self::NotRead => "not-read",
        }
    }
}

/// An item as a record; nothing of it for plain filing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Record {
    /// The workspace and the folders in it, or the folders below the target.
    pub place: Option<String>,
    /// The node of its records classification.
    pub records_class: Option<i64>,
    /// `official`, `final`, `clearance N`, `marking X`, separated by commas.
    pub marks: Option<String>,
    /// Who has rights of their own, in words.
    pub access: Option<String>,
    /// Papers that prove its rights.
    pub papers: u64,
    /// The required papers that it is held for, in words.
    pub papers_missing: Option<String>,
    /// The last day of its licence; of several each with its name, separated by semicolons.
    pub licence_ends: Option<String>,
    /// What is known of its retention; nothing for what is no record.
    pub retention: Option<Retention>,
    /// The code of its retention schedule, as it was read.
    pub retention_schedule: Option<String>,
    /// When it is due next, as the server wrote it.
    pub retention_due: Option<String>,
    /// When that was read.
    pub retention_read: Option<Timestamp>,
}

/// What the ledger remembers of any item, so that nobody looks for what is not there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Remembers {
    rights: bool,
    retention: bool,
}

impl Remembers {
    pub(super) fn of(reader: &Reader) -> Result<Self, ledger::Error> {
        let rights = reader.remembered_page(RIGHTS, ("", ""), false, 1)?;
        Ok(Self {
            rights: !rights.is_empty(),
            retention: kept::any(reader)?,
        })
    }
}

impl Record {
    /// The record side of an item.
    pub(super) fn of(
        item: &Item,
        asset: &str,
        remembers: Remembers,
        reader: &Reader,
    ) -> Result<Self, ledger::Error> {
        let record: Value = item
            .record
            .as_deref()
            .and_then(|text| serde_json::from_str(text).ok())
            .unwrap_or_default();
        let mut own = Self::asked(&record["filing"]);
        if item.state == "held" && item.reason.as_deref() == Some(PAPER_MISSING) {
            own.papers_missing = item.message.as_deref().map(shown);
        }
        if remembers.rights {
            let mut ends = Vec::new();
            for fact in reader.remembered(RIGHTS, asset)? {
                let known: Value = serde_json::from_str(&fact.data).unwrap_or_default();
                if let Some(day) = known["ends"].as_str() {
                    let licence = shown(&fact.field);
                    ends.push(format!("{licence} {day}").trim().to_owned());
                }
            }
            own.licence_ends = (!ends.is_empty()).then(|| ends.join("; "));
        }
        own.retained(item, remembers, reader)?;
        Ok(own)
    }

    /// What its node is kept under.
    fn retained(
        &mut self,
        item: &Item,
        remembers: Remembers,
        reader: &Reader,
    ) -> Result<(), ledger::Error> {
        let known = match item.node {
            Some(node) if remembers.retention => kept::of(reader, node)?,
            _ => None,
        };
        let Some(known) = known else {
            let is_record = self.records_class.is_some() && item.state == "done";
            self.retention = is_record.then_some(Retention::NotRead);
            return Ok(());
        };
        self.retention = Some(match &known.kept.schedule {
            None => Retention::NoSchedule,
            Some(_) if known.kept.unsaid => Retention::DatesNotTold,
            Some(_) => Retention::Scheduled,
        });
        self.retention_schedule = known.kept.schedule.as_deref().map(shown);
        self.retention_due = known.kept.due.as_deref().map(shown);
        self.retention_read = Timestamp::from_millisecond(known.at).ok();
        Ok(())
    }

    /// The day that it is due next, when the server wrote one.
    pub(super) fn due_day(&self) -> Option<Date> {
        kept::day_of(self.retention_due.as_deref()?)
    }

    /// What was asked of the destination.
    fn asked(filing: &Value) -> Self {
        let words = Words::of(filing);
        let shown = |text: String| shown(&text);
        Self {
            place: words.place.map(shown),
            records_class: words.class,
            marks: (!words.marks.is_empty()).then(|| shown(words.marks.join(", "))),
            access: words.access,
            papers: words.papers,
            ..Self::default()
        }
    }

    /// The kinds of [`KINDS`] that it is on a day.
    pub(super) fn kinds(&self, today: Date) -> impl Iterator<Item = &'static str> {
        let marked = |what: &str| {
            let marks = self.marks.iter().flat_map(|marks| marks.split(", "));
            let mut first = marks.map(|mark| mark.split(' ').next().unwrap_or_default());
            first.any(|word| word == what)
        };
        let due = self.due_day();
        let in_a_year = today.checked_add(1.year()).unwrap_or(Date::MAX);
        let is = [
            self.place.is_some(),
            self.records_class.is_some(),
            marked("official"),
            marked("final"),
            marked("clearance") || marked("marking"),
            self.access.is_some(),
            self.papers > 0,
            self.licence_ends.is_some(),
            matches!(
                self.retention,
                Some(Retention::Scheduled | Retention::DatesNotTold)
            ),
            self.retention == Some(Retention::NoSchedule),
            self.retention == Some(Retention::NotRead),
            due.is_some_and(|due| due < today),
            due.is_some_and(|due| due >= today && due <= in_a_year),
        ];
        KINDS
            .into_iter()
            .zip(is)
            .filter_map(|((kind, _), is)| is.then_some(kind))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_was_asked_has_every_kind_but_what_only_the_ledger_knows() {
        let record = Record::asked(&json!({
            "base": 1,
            "workspace": {"kind": "Campaign", "name": "BRANDX", "create": true},
            "rights": {"owner": 1000, "group": null, "public": [], "custom": {"2001": ["see", "modify"]}},
            "marks": {"records_class": 77, "official": true, "finalise": true, "clearance": 3,
                "markings": ["EU"], "papers": [5, 6], "external": {}},
        }));
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(record.place, text("Campaign BRANDX"));
        assert_eq!(
            record.marks,
            text("official, final, clearance 3, marking EU")
        );
        let today = Date::constant(2026, 11, 26);
        let kinds: Vec<&str> = record.kinds(today).collect();
        assert_eq!(kinds.len(), KINDS.len() - 6, "{kinds:?}");
    }

    #[test]
    fn what_is_due_is_overdue_from_the_next_day_and_near_for_a_year() {
        let kinds = |due: &str| -> Vec<&str> {
            let record = Record {
                retention: Some(Retention::Scheduled),
                retention_due: Some(due.to_owned()),
                ..Record::default()
            };
            record.kinds(Date::constant(2026, 11, 26)).collect()
        };
        assert_eq!(kinds("2026-11-25T00:00:00"), ["schedule", "overdue"]);
        assert_eq!(kinds("2026-11-26"), ["schedule", "due-in-a-year"]);
        assert_eq!(kinds("2027-11-26"), ["schedule", "due-in-a-year"]);
        assert_eq!(kinds("2027-11-27"), ["schedule"]);
        assert_eq!(kinds("when the project ends"), ["schedule"]);
    }

    #[test]
    fn plain_filing_and_rubbish_are_no_record() {
        for filing in [
            Value::Null,
            json!({"base": 1}),
            json!([1]),
            json!({"marks": 7}),
        ] {
            assert_eq!(Record::asked(&filing), Record::default(), "{filing}");
        }
    }
}
