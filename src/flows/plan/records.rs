//! What versions become beyond their bytes, counted: classes, places, marks, access, papers, rights.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::{Action, ClassRetention, Decision, Version};
use crate::flows::intake::{self, reason_name};
use crate::types::Reason;

/// Names that are counted one by one; what comes later counts as others.
const NAMES: usize = 200;

/// How many versions have each of some names. Memory is bounded: names beyond the first two hundred
/// are counted together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Versions by name.
    pub names: BTreeMap<String, u64>,
    /// Versions with other names.
    pub others: u64,
}

impl Tally {
    fn add(&mut self, name: &str) {
        if let Some(count) = self.names.get_mut(name) {
            *count += 1;
        } else if self.names.len() < NAMES {
            self.names.insert(name.to_owned(), 1);
        } else {
            self.others += 1;
        }
    }

    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The names, the most frequent first, those of the same count by name.
    pub fn ranked(&self) -> Vec<(&str, u64)> {
        let mut all: Vec<(&str, u64)> = self
            .names
            .iter()
            .map(|(name, count)| (name.as_str(), *count))
            .collect();
        all.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        all
    }
}

/// The record side of a plan: of the versions that move, and of those that are filed already and
/// whose record would be another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Records {
    /// Versions that become records, or documents with a place of their own.
    pub versions: u64,
    /// By the node of their records classification.
    pub classes: Tally,
    /// What each of these classes means for retention, as far as that is known.
    pub retention: BTreeMap<String, ClassRetention>,
    /// By plain classification.
    pub classifications: Tally,
    /// By workspace and folders.
    pub places: Tally,
    /// By `official`, `final`, `clearance N`, `marking X`, `shortcuts to papers`
    /// and what rights sidecars are.
    pub marks: Tally,
    /// By who has rights of their own.
    pub access: Tally,
    /// By what their licence says: its status, or how many licences there are.
    pub rights: Tally,
    /// Papers that are documents already, counted with each version that they prove.
    pub papers_filed: u64,
    /// Papers that are filed first.
    pub papers_to_file: u64,
    /// Versions that are held because a required paper is missing.
    pub papers_missing: u64,
    /// Versions that wait for papers which this plan files first.
    pub after_papers: u64,
}

impl Records {
    /// Whether there is nothing to say.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Adds the versions of an asset.
    pub(super) fn add(&mut self, decision: &Decision) {
        for version in decision.versions.iter().flatten() {
            if intake::is_paper(&version.key) {
                self.papers_to_file += u64::from(version.action.moves());
                continue;
            }
            // One that an earlier run held says so in its fingerprint alone.
            let held = format!("refused {}", reason_name(Reason::PaperMissing));
            let missing = version.action == Action::Blocked && version.fingerprint == held;
            self.papers_missing += u64::from(missing);
            self.after_papers += u64::from(version.why == AFTER);
            if version.action.moves() || version.why == CHANGED {
                self.version(version);
            }
        }
    }

    fn version(&mut self, version: &Version) {
        if let Some(rights) = &version.rights {
            self.rights.add(rights);
        }
        let Some(record) = &version.record else {
            return;
        };
        let words = Words::of(record);
        self.versions += 1;
        self.papers_filed += words.papers;
        if let Some(place) = &words.place {
            self.places.add(place);
        }
        if let Some(class) = words.class {
            self.classes.add(&class.to_string());
        }
        for class in &words.classifications {
            self.classifications.add(&class.to_string());
        }
        for mark in &words.marks {
            self.marks.add(mark);
        }
        if let Some(access) = &words.access {
            self.access.add(access);
        }
    }
}

/// Why a version moves only after its papers.
pub(super) const AFTER: &str = "after-its-papers";
/// Why a version that is filed already is dealt with.
pub(super) const CHANGED: &str = "record-changed";

/// A filing in words for people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words {
    /// The workspace and the folders in it, or the folders below the target.
    pub place: Option<String>,
    /// The node of its records classification.
    pub class: Option<i64>,
    /// Nodes of plain classifications.
    pub classifications: Vec<i64>,
    /// `official`, `final`, `clearance N`, `marking X`, `shortcuts to papers`.
    pub marks: Vec<String>,
    /// Who has rights of their own; ids are those of Content Server.
    pub access: Option<String>,
    /// Papers that prove its rights.
    pub papers: u64,
    /// Values of categories.
    pub values: u64,
}

impl Words {
    /// The words of a filing; nothing of one that cannot be read.
    pub fn of(filing: &Value) -> Self {
        let texts = |value: &Value| -> Vec<String> {
            let all = value.as_array().into_iter().flatten();
            let named = all
                .filter_map(Value::as_str)
                .filter(|text| !text.is_empty());
            named.map(str::to_owned).collect()
        };
        let mut place: Vec<String> = Vec::new();
        let workspace = &filing["workspace"];
        if let Some(name) = workspace["name"].as_str() {
            let kind = workspace["kind"].as_str().unwrap_or("workspace");
            place.push(format!("{kind} {name}"));
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
        let papers = marks["papers"].as_array().map_or(0, Vec::len) as u64;
        if marks["shortcuts"] == true && papers > 0 {
            said.push("shortcuts to papers".to_owned());
        }
        if marks["relates_rights"] == true {
            said.push("rights as a related item".to_owned());
        }
        if filing["rendition"].is_object() {
            said.push("rights as a rendition".to_owned());
        }
        let values = filing["categories"].as_object().into_iter().flatten();
        let values = values.filter_map(|(_, values)| values.as_object());
        let classes = marks["classifications"].as_array().into_iter().flatten();
        Self {
            place: (!place.is_empty()).then(|| place.join(" / ")),
            class: marks["records_class"].as_i64(),
            classifications: classes.filter_map(Value::as_i64).collect(),
            marks: said,
            access: access(&filing["rights"]),
            papers,
            values: values.map(|values| values.len() as u64).sum(),
        }
    }
}

/// Rights of its own in words.
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
    fn what_is_asked_for_is_said_in_words() {
        let words = Words::of(&json!({
            "base": 1,
            "workspace": {"kind": "Campaign", "name": "BRANDX", "create": true},
            "folders": ["emea", "final"],
            "categories": {"9": {"9_2": "a", "9_3": "b"}},
            "rights": {"owner": 1000, "group": null, "public": [], "custom": {"2001": ["see", "modify"]}},
            "marks": {"records_class": 77, "classifications": [5], "official": true, "finalise": true,
                "clearance": 3, "markings": ["EU"], "papers": [5, 6], "shortcuts": true, "external": {}},
        }));
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(words.place, text("Campaign BRANDX / emea / final"));
        assert_eq!((words.class, words.papers, words.values), (Some(77), 2, 2));
        assert_eq!(words.classifications, [5]);
        assert_eq!(
            words.marks,
            [
                "official",
                "final",
                "clearance 3",
                "marking EU",
                "shortcuts to papers"
            ]
        );
        assert_eq!(
            words.access,
            text("owner 1000; public nothing; 2001 see modify")
        );
        for filing in [
            Value::Null,
            json!({"base": 1}),
            json!([1]),
            json!({"marks": 7}),
        ] {
            assert_eq!(Words::of(&filing), Words::default(), "{filing}");
        }
    }

    #[test]
    fn names_beyond_the_first_ones_are_counted_together() {
        let mut tally = Tally::default();
        for number in 0..1000 {
            tally.add(&format!("{number:04}"));
            tally.add("0007");
        }
        assert_eq!(tally.names.len(), NAMES);
        assert_eq!(tally.ranked()[0], ("0007", 1001));
        let sum: u64 = tally.names.values().sum();
        assert_eq!(sum + tally.others, 2000);
    }
}
