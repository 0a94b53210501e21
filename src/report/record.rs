//! What an item is beyond its bytes: where it is filed, under which class and marks, who may see
//! it, what proves its rights, and when they end. As it was asked for at filing: nothing is read
//! from a server.

use serde::Serialize;
use serde_json::Value;

use super::shown;
use crate::flows::plan::Words;
use crate::ledger::{self, Item, Reader};

/// The name under which the last days of each asset's licences are remembered.
pub(super) const RIGHTS: &str = "rights";

/// The reason of items that are held for a required paper.
pub(super) const PAPER_MISSING: &str = "paper-missing";

/// The kinds that a report counts, in order, and what they mean.
pub(super) const KINDS: [(&str, &str); 8] = [
    ("place", "in a workspace or folder that its metadata names"),
    ("class", "under a records classification"),
    ("official", "marked as the official copy"),
    ("final", "finalised: no new content"),
    ("clearance", "behind a security clearance or marking"),
    ("access", "with permissions of its own"),
    ("papers", "with papers that prove its rights"),
    ("licence-ends", "with a licence that has a last day"),
];

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
}

impl Record {
    /// The record side of an item. `rights` says whether the ledger remembers any last day.
    pub(super) fn of(
        item: &Item,
        asset: &str,
        rights: bool,
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
        if rights {
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
        Ok(own)
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
            papers_missing: None,
            licence_ends: None,
        }
    }

    /// The kinds of [`KINDS`] that it is.
    pub(super) fn kinds(&self) -> impl Iterator<Item = &'static str> {
        let marked = |what: &str| {
            let marks = self.marks.iter().flat_map(|marks| marks.split(", "));
            let mut first = marks.map(|mark| mark.split(' ').next().unwrap_or_default());
            first.any(|word| word == what)
        };
        let is = [
            self.place.is_some(),
            self.records_class.is_some(),
            marked("official"),
            marked("final"),
            marked("clearance") || marked("marking"),
            self.access.is_some(),
            self.papers > 0,
            self.licence_ends.is_some(),
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
        let kinds: Vec<&str> = record.kinds().collect();
        assert_eq!(kinds.len(), KINDS.len() - 1, "{kinds:?}");
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
