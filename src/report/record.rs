//! What an item is beyond its bytes: where it is filed, under which class and marks, who may see
//! it, what proves its rights, and when they end. As it was asked for at filing: nothing is read
//! from a server.

use serde::Serialize;
use serde_json::Value;

use super::shown;
use crate::ledger::{self, Item, Reader};

/// The name under which each asset's last day is remembered.
pub(super) const RIGHTS: &str = "rights";

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
    /// The last day of its licence.
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
        if rights {
            let facts = reader.remembered(RIGHTS, asset)?;
            let known: Value = facts
                .first()
                .and_then(|fact| serde_json::from_str(&fact.data).ok())
                .unwrap_or_default();
            own.licence_ends = known["ends"].as_str().map(str::to_owned);
        }
        Ok(own)
    }

    /// What was asked of the destination.
    fn asked(filing: &Value) -> Self {
        let texts = |value: &Value| -> Vec<String> {
            let all = value.as_array().into_iter().flatten();
            let named = all
                .filter_map(Value::as_str)
                .filter(|text| !text.is_empty());
            named.map(shown).collect()
        };
        let mut place: Vec<String> = Vec::new();
        let workspace = &filing["workspace"];
        if let Some(name) = workspace["name"].as_str() {
            let kind = workspace["kind"].as_str().unwrap_or("workspace");
            place.push(format!("{} {}", shown(kind), shown(name)));
        }
        place.extend(texts(&filing["folders"]));
        let marks = &filing["marks"];
        let mut said = Vec::new();
        if marks["official"] == true {
            said.push("official".to_owned());
        }
        if marks["finalise"] == true {
            said.push("final".to_owned());
        }
        if let Some(level) = marks["clearance"].as_i64() {
            said.push(format!("clearance {level}"));
        }
        let markings = texts(&marks["markings"]).into_iter();
        said.extend(markings.map(|marking| format!("marking {marking}")));
        let joined = |all: Vec<String>, between: &str| (!all.is_empty()).then(|| all.join(between));
        Self {
            place: joined(place, " / "),
            records_class: marks["records_class"].as_i64(),
            marks: joined(said, ", "),
            access: access(&filing["rights"]),
            papers: marks["papers"].as_array().map_or(0, Vec::len) as u64,
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

/// Rights of its own in words; ids are those of Content Server.
fn access(rights: &Value) -> Option<String> {
    let names = |rights: &Value| {
        let all = rights.as_array().into_iter().flatten();
        all.filter_map(Value::as_str).collect::<Vec<_>>().join(" ")
    };
    let rights = rights.as_object()?;
    let holder = |id: &str, what: &str| {
        let id = rights.get(id)?.as_i64()?;
        Some(format!("{what} {id}"))
    };
    let mut said: Vec<String> = [holder("owner", "owner"), holder("group", "group")]
        .into_iter()
        .flatten()
        .collect();
    let public = rights.get("public").map(&names).unwrap_or_default();
    said.push(if public.is_empty() {
        "public nothing".to_owned()
    } else {
        format!("public {public}")
    });
    let custom = rights.get("custom").and_then(Value::as_object);
    for (id, rights) in custom.into_iter().flatten() {
        said.push(format!("{id} {}", names(rights)));
    }
    Some(said.join("; "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_was_asked_is_said_in_words() {
        let record = Record::asked(&json!({
            "base": 1,
            "workspace": {"kind": "Campaign", "name": "BRANDX", "create": true},
            "folders": ["emea", "final"],
            "rights": {"owner": 1000, "group": null, "public": [], "custom": {"2001": ["see", "modify"]}},
            "marks": {"records_class": 77, "official": true, "finalise": true, "clearance": 3,
                "markings": ["EU"], "papers": [5, 6], "external": {}},
        }));
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(record.place, text("Campaign BRANDX / emea / final"));
        assert_eq!(record.records_class, Some(77));
        assert_eq!(
            record.marks,
            text("official, final, clearance 3, marking EU")
        );
        assert_eq!(
            record.access,
            text("owner 1000; public nothing; 2001 see modify")
        );
        assert_eq!(record.papers, 2);
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
