//! Filing: where a record goes, what it says and who may see it.
//!
//! A [`Filing`] is worked out by a flow, kept in the ledger as JSON, and carried out by the
//! engine's words [`place`](crate::transfer::Destination::place), `prepare`, `dress` and `seal`.
//! Everything is compared with what is there and only differences are written: a run that finds
//! nothing new writes nothing.
//!
//! | File | Holds |
//! |---|---|
//! | `mod.rs` | the filing, and the values of its categories |
//! | `place.rs` | the workspace and the folders it goes to |
//! | `rights.rs` | who may do what with it |
//! | `marks.rs` | classifications, official, final, clearance |
//! | `papers.rs` | shortcuts to the papers that prove its rights |
//! | `compare.rs` | what of a filing is not so |

mod compare;
mod marks;
mod papers;
mod place;
mod rights;

use std::collections::{BTreeMap, BTreeSet};

pub use compare::{Area, Compared};
pub use marks::Marks;
pub use papers::is_staged_link;
pub(super) use place::Places;
pub use place::WorkspacePlace;
pub use rights::Rights;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Client;
use super::categories::CategoryValues;
use super::renditions::Rendition;
use crate::transfer::Part;
use crate::types::{Failure, NodeId, Reason};

/// What Content Server is to make of a document or folder beyond its bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Filing {
    /// The folder that everything is filed below.
    pub base: NodeId,
    /// The workspace in it that takes its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace: Option<WorkspacePlace>,
    /// Folders below it, or below the workspace; made when missing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub folders: Vec<String>,
    /// Values by category and attribute key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub categories: BTreeMap<i64, BTreeMap<String, Value>>,
    /// Who may do what with it; the server's own rules when there is nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rights: Option<Rights>,
    /// The rendition that its newest version has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rendition: Option<Rendition>,
    /// What makes it a record, last of all.
    #[serde(default)]
    pub marks: Marks,
}

impl Filing {
    /// Nothing but a place: the folder itself.
    pub fn below(base: NodeId) -> Self {
        Self {
            base,
            workspace: None,
            folders: Vec::new(),
            categories: BTreeMap::new(),
            rights: None,
            rendition: None,
            marks: Marks::default(),
        }
    }
}

/// A filing as the engine hands it over.
pub(super) fn read(filing: &Value) -> Result<Filing, Failure> {
    serde_json::from_value(filing.clone())
        .map_err(|error| Failure::stop(format!("a record's filing cannot be read: {error}")))
}

impl Client {
    /// Rights and values of a document, as far as they are not so already.
    pub(super) async fn dress_node(
        &self,
        node: NodeId,
        filing: &Filing,
        part: Part,
    ) -> Result<(), Failure> {
        self.set_rights(node, filing).await?;
        if part == Part::Master {
            self.write_values(node, &filing.categories).await?;
        }
        Ok(())
    }

    /// Gives a node these values, as far as it does not have them; other attributes stay.
    ///
    /// # Errors
    ///
    /// As [`set_category`](Self::set_category).
    pub async fn write_values(
        &self,
        node: NodeId,
        categories: &BTreeMap<i64, BTreeMap<String, Value>>,
    ) -> Result<(), Failure> {
        if categories.is_empty() {
            return Ok(());
        }
        let there: BTreeMap<i64, BTreeMap<String, Value>> = self
            .categories(node)
            .await?
            .into_iter()
            .map(|category| (category.id.0, category.values.0))
            .collect();
        let mut written = Vec::new();
        for (category, wanted) in categories {
            let values = differences(there.get(category), wanted);
            if let Some(values) = values {
                self.set_category(node, NodeId(*category), &CategoryValues(values))
                    .await?;
                written.push((category, wanted));
            }
        }
        if written.is_empty() {
            return Ok(());
        }
        // What counts is what the server keeps, not that it took it.
        let there = self.categories(node).await?;
        let lost: Vec<String> = written
            .into_iter()
            .flat_map(|(category, wanted)| {
                let kept = there.iter().find(|there| there.id.0 == *category);
                lost(*category, kept.map(|kept| &kept.values.0), wanted)
            })
            .collect();
        if lost.is_empty() {
            return Ok(());
        }
        Err(Failure::item(
            Reason::Other,
            format!(
                "node {node}: the server took its category values and does not keep {}",
                lost.join(", ")
            ),
        ))
    }
}

/// What was written and is not there. A value that the server spells in its own way is there;
/// whether it means the same, `reconcile` says.
fn lost(
    category: i64,
    there: Option<&BTreeMap<String, Value>>,
    wanted: &BTreeMap<String, Value>,
) -> Vec<String> {
    let Some(there) = there else {
        return vec![format!("category {category}")];
    };
    // A switch that is off may be read as none.
    let is_said = |value: &Value| !is_empty(value) && *value != Value::Bool(false);
    let wanted = wanted.iter().filter(|(_, value)| is_said(value));
    wanted
        .filter(|(key, _)| there.get(*key).is_none_or(is_empty))
        .map(|(key, _)| format!("attribute {key}"))
        .collect()
}

/// The values that have to be written; `None` when the category is there and says the same.
/// Surplus rows of a set are emptied.
fn differences(
    there: Option<&BTreeMap<String, Value>>,
    wanted: &BTreeMap<String, Value>,
) -> Option<BTreeMap<String, Value>> {
    let Some(there) = there else {
        return Some(wanted.clone());
    };
    let mut values: BTreeMap<String, Value> = wanted
        .iter()
        .filter(|(key, value)| !there.get(*key).is_some_and(|now| same(now, value)))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    let rows: BTreeSet<(&str, u32)> = wanted.keys().filter_map(|key| row_of(key)).collect();
    for (key, value) in there {
        let Some((set, row)) = row_of(key) else {
            continue;
        };
        let ours = rows.iter().any(|(other, _)| *other == set);
        if ours && !rows.contains(&(set, row)) && !is_empty(value) {
            values.insert(format!("{set}_{row}"), Value::from(""));
        }
    }
    (!values.is_empty()).then_some(values)
}

/// The set and the row that a key `{category}_{set}_{row}_{attribute}` is in.
fn row_of(key: &str) -> Option<(&str, u32)> {
    let (rest, attribute) = key.rsplit_once('_')?;
    let (set, row) = rest.rsplit_once('_')?;
    attribute.parse::<u32>().ok()?;
    set.contains('_')
        .then(|| row.parse().ok())
        .flatten()
        .map(|row| (set, row))
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(values) => values.iter().all(is_empty),
        _ => false,
    }
}

/// Whether two values are one to the server: numbers may come as texts, a single value as a list,
/// a day with or without its midnight.
pub(super) fn same(a: &Value, b: &Value) -> bool {
    fn words(value: &Value) -> Vec<String> {
        match value {
            Value::Null => Vec::new(),
            Value::Array(values) => values.iter().flat_map(words).collect(),
            Value::String(text) if text.is_empty() => Vec::new(),
            Value::String(text) => vec![text.strip_suffix("T00:00:00").unwrap_or(text).to_owned()],
            other => vec![other.to_string()],
        }
    }
    words(a) == words(b)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_server_s_own_spelling_of_a_value_is_no_difference() {
        for (a, b) in [
            (json!("2026-12-31T00:00:00"), json!("2026-12-31")),
            (json!("7"), json!(7)),
            (json!(["AT"]), json!("AT")),
            (json!(null), json!("")),
        ] {
            assert!(same(&a, &b), "{a} {b}");
        }
        assert!(!same(&json!(["AT", "DE"]), &json!(["DE", "AT"])));
        assert!(!same(&json!("2026-12-31T08:00:00"), &json!("2026-12-31")));
    }

    #[test]
    fn what_was_written_and_is_not_there_is_lost_and_another_spelling_is_not() {
        let map =
            |value: Value| -> BTreeMap<String, Value> { serde_json::from_value(value).unwrap() };
        let wanted = map(json!({"9_2": "Spring", "9_3": ["AT"], "9_4": "", "9_5": "1.50"}));
        let there = map(json!({"9_2": "Spring ", "9_3": [], "9_4": "old", "9_5": 1.5}));
        assert_eq!(lost(9, Some(&there), &wanted), ["attribute 9_3"]);
        assert_eq!(lost(9, None, &wanted), ["category 9"]);
    }

    #[test]
    fn what_is_so_already_is_not_written_and_surplus_rows_are_emptied() {
        let map =
            |value: Value| -> BTreeMap<String, Value> { serde_json::from_value(value).unwrap() };
        let wanted = map(json!({"9_2": "Spring", "9_8_1_2": "Agency"}));
        let there = map(json!({
            "9_2": "Spring", "9_3": "kept", "9_8_1_2": "Agency", "9_8_2_2": "Label", "9_8_3_2": "",
        }));
        let values = differences(Some(&there), &wanted).unwrap();
        assert_eq!(json!(values), json!({"9_8_2": ""}));
        let there = map(json!({"9_2": "Spring", "9_8_1_2": "Agency", "9_8_2_2": null}));
        assert_eq!(differences(Some(&there), &wanted), None);
        assert_eq!(differences(None, &wanted), Some(wanted));
    }
}
