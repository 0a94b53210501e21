//! Filing: where a record goes, what it says and who may see it.
//!
//! A [`Filing`] is worked out by a flow, kept in the ledger as JSON, and carried out by the
//! engine's words [`place`](crate::transfer::Destination::place), `prepare`, `dress` and `seal`.
//! Everything is compared with what is there and only differences are written: a run that finds
//! nothing new writes nothing.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Client;
use super::categories::CategoryValues;
use super::permissions::{ApplyTo, Grant, Holder, Right};
use crate::transfer::Part;
use crate::types::{Failure, NodeId};

/// What Content Server is to make of a document or folder beyond its bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Filing {
    /// The folder that everything is filed below.
    pub base: NodeId,
    /// Folders below it, or below the workspace; made when missing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub folders: Vec<String>,
    /// Values by category and attribute key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub categories: BTreeMap<i64, BTreeMap<String, Value>>,
    /// Who may do what with it; the server's own rules when there is nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rights: Option<Rights>,
}

impl Filing {
    /// Nothing but a place: the folder itself.
    pub fn below(base: NodeId) -> Self {
        Self {
            base,
            folders: Vec::new(),
            categories: BTreeMap::new(),
            rights: None,
        }
    }
}

/// Who may do what with a record. Users and groups that are not named have no rights of their
/// own; owner and owner group keep theirs unless they are named.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rights {
    /// The owner, by id.
    pub owner: Option<i64>,
    /// The owner's rights.
    pub owner_rights: Option<BTreeSet<String>>,
    /// The owner group, by id.
    pub group: Option<i64>,
    /// The group's rights.
    pub group_rights: Option<BTreeSet<String>>,
    /// Everybody's rights.
    pub public: BTreeSet<String>,
    /// Rights of users and groups, by id.
    pub custom: BTreeMap<i64, BTreeSet<String>>,
}

impl Rights {
    /// The grants that have to be set, and the holders whose grants have to go.
    fn changes(&self, there: &[Grant]) -> (Vec<Grant>, Vec<i64>) {
        let rights = |names: &BTreeSet<String>| -> BTreeSet<Right> {
            names
                .iter()
                .filter_map(|name| Right::from_name(name))
                .collect()
        };
        let mut set = Vec::new();
        for grant in there {
            let (id, wanted) = match grant.holder {
                Holder::Owner(_) => (self.owner, &self.owner_rights),
                Holder::Group(_) => (self.group, &self.group_rights),
                _ => continue,
            };
            let wanted = wanted.as_ref().map_or_else(|| grant.rights.clone(), rights);
            let holder = match grant.holder {
                Holder::Owner(now) => Holder::Owner(id.or(now)),
                Holder::Group(now) => Holder::Group(id.or(now)),
                other => other,
            };
            if holder != grant.holder || wanted != grant.rights {
                set.push(Grant {
                    holder,
                    rights: wanted,
                });
            }
        }
        let public = rights(&self.public);
        let has_public = there
            .iter()
            .find(|grant| grant.holder == Holder::Public)
            .map_or_else(BTreeSet::new, |grant| grant.rights.clone());
        if public != has_public {
            set.push(Grant {
                holder: Holder::Public,
                rights: public,
            });
        }
        for (id, names) in &self.custom {
            let wanted = Grant {
                holder: Holder::Custom(*id),
                rights: rights(names),
            };
            if !there.contains(&wanted) {
                set.push(wanted);
            }
        }
        let gone = there.iter().filter_map(|grant| match grant.holder {
            Holder::Custom(id) if !self.custom.contains_key(&id) => Some(id),
            _ => None,
        });
        // What takes rights away comes first: for a moment too few may see it, never too many.
        set.sort_by_key(|grant| grant.rights.len());
        (set, gone.collect())
    }
}

/// A filing as the engine hands it over.
pub(super) fn read(filing: &Value) -> Result<Filing, Failure> {
    serde_json::from_value(filing.clone())
        .map_err(|error| Failure::stop(format!("a record's filing cannot be read: {error}")))
}

impl Client {
    /// The container that a record belongs in, found or made.
    pub(super) async fn place_of(&self, filing: &Filing) -> Result<NodeId, Failure> {
        self.folder_at(filing.base, &filing.folders).await
    }

    /// Rights and values of a document, as far as they are not so already.
    pub(super) async fn dress_node(
        &self,
        node: NodeId,
        filing: &Filing,
        part: Part,
    ) -> Result<(), Failure> {
        self.set_rights(node, filing).await?;
        if part == Part::Companion || filing.categories.is_empty() {
            return Ok(());
        }
        let there: BTreeMap<i64, BTreeMap<String, Value>> = self
            .categories(node)
            .await?
            .into_iter()
            .map(|category| (category.id.0, category.values.0))
            .collect();
        for (category, wanted) in &filing.categories {
            let values = differences(there.get(category), wanted);
            if let Some(values) = values {
                self.set_category(node, NodeId(*category), &CategoryValues(values))
                    .await?;
            }
        }
        Ok(())
    }

    /// Who may do what, as far as it is not so already.
    pub(super) async fn set_rights(&self, node: NodeId, filing: &Filing) -> Result<(), Failure> {
        let Some(rights) = &filing.rights else {
            return Ok(());
        };
        let (set, gone) = rights.changes(&self.permissions(node).await?);
        for id in gone {
            self.remove_permissions(node, id).await?;
        }
        for grant in set {
            self.set_permissions(node, &grant, ApplyTo::ThisItem)
                .await?;
        }
        Ok(())
    }
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

    fn names(rights: &[&str]) -> BTreeSet<String> {
        rights.iter().map(|&name| name.to_owned()).collect()
    }

    fn grant(holder: Holder, rights: &[Right]) -> Grant {
        Grant {
            holder,
            rights: rights.iter().copied().collect(),
        }
    }

    #[test]
    fn only_differences_of_rights_are_changed_and_strangers_lose_theirs() {
        let rights = Rights {
            group: Some(55),
            public: BTreeSet::new(),
            custom: BTreeMap::from([(7, names(&["see"])), (8, names(&["see", "see_contents"]))]),
            ..Rights::default()
        };
        let there = [
            grant(Holder::Owner(Some(1)), &[Right::See, Right::Delete]),
            grant(Holder::Group(Some(2)), &[Right::See]),
            grant(Holder::Public, &[Right::See]),
            grant(Holder::Custom(7), &[Right::See]),
            grant(Holder::Custom(9), &[Right::Modify]),
        ];
        let (set, gone) = rights.changes(&there);
        assert_eq!(gone, [9]);
        assert_eq!(
            set,
            [
                grant(Holder::Public, &[]),
                grant(Holder::Group(Some(55)), &[Right::See]),
                grant(Holder::Custom(8), &[Right::See, Right::SeeContents]),
            ]
        );
        let after = [
            grant(Holder::Owner(Some(1)), &[Right::See, Right::Delete]),
            grant(Holder::Group(Some(55)), &[Right::See]),
            grant(Holder::Public, &[]),
            grant(Holder::Custom(7), &[Right::See]),
            grant(Holder::Custom(8), &[Right::See, Right::SeeContents]),
        ];
        assert_eq!(rights.changes(&after), (Vec::new(), Vec::new()));
    }

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
