//! The shapes of Content Server's answers, read tolerantly.
//!
//! Live servers answer `results` as an object; the reference text draws every object of its second
//! interface inside a list, and some answers without `results` at all. Both are read. Numbers may
//! come as texts; fields appear and vanish between releases. Only what longhaul acts on is read,
//! and what is missing is an error that names the field.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::errors::Error;
use crate::transfer::{Node, Version};
use crate::types::{NodeId, VersionNumber};

/// Subtype of a folder.
pub(super) const FOLDER: i64 = 0;
/// Subtype of a shortcut.
pub(super) const SHORTCUT: i64 = 1;
/// Subtype of a generation: one version of another document.
const GENERATION: i64 = 2;
/// Subtype of a compound document.
pub(super) const COMPOUND: i64 = 136;
/// Subtype of a document.
pub(super) const DOCUMENT: i64 = 144;
/// Subtypes that hold other nodes: folder, category folder, compound document, project, business
/// workspace, and the volumes. Only asked when the server does not say it of the node itself.
const CONTAINERS: [i64; 14] = [
    FOLDER, 132, COMPOUND, 202, 848, 133, 141, 142, 198, 402, 550, 751, 862, 882,
];

/// One page of a listing.
pub(super) struct Page<T> {
    pub(super) rows: Vec<T>,
    /// Whether the server says (or the page's fullness suggests) that more follow.
    pub(super) more: bool,
    /// How many rows there are on all pages, when the server says so.
    pub(super) total: Option<u64>,
}

/// What stands below `key`; of a list, its first element.
pub(super) fn within<'a>(value: &'a Value, key: &str) -> Option<&'a Value> {
    match value.get(key)? {
        Value::Array(rows) => rows.first(),
        other => Some(other),
    }
}

/// The one result of an answer: `results`, or its only element.
pub(super) fn result(answer: &Value) -> Result<&Value, Error> {
    within(answer, "results")
        .filter(|value| value.is_object())
        .ok_or_else(|| missing("results"))
}

/// The object that says `key`: `results.data`, `results`, `data` or the answer itself.
pub(super) fn saying<'a>(answer: &'a Value, key: &str) -> Result<&'a Value, Error> {
    let results = within(answer, "results");
    let places = [
        results.and_then(|results| within(results, "data")),
        results,
        within(answer, "data"),
        Some(answer),
    ];
    let found = places.into_iter().flatten();
    found
        .into_iter()
        .find(|place| place.get(key).is_some())
        .ok_or_else(|| missing(&format!("results.data.{key}")))
}

/// Every `<section>.<name>` of a row, whichever of the two are lists.
pub(super) fn parts<'a>(
    row: &'a Value,
    section: &str,
    name: &'a str,
) -> impl Iterator<Item = &'a Value> {
    let places = row.get(section).map(listed).unwrap_or_default().iter();
    places
        .filter_map(move |place| place.get(name))
        .flat_map(listed)
        .filter(|value| !value.is_null())
}

/// The elements of a list; anything else is its own only element.
fn listed(value: &Value) -> &[Value] {
    match value {
        Value::Array(rows) => rows,
        single => std::slice::from_ref(single),
    }
}

/// `results.data.<section>`; when that is a list, its last element.
pub(super) fn section<'a>(answer: &'a Value, name: &'a str) -> Result<&'a Value, Error> {
    parts(result(answer)?, "data", name)
        .last()
        .filter(|value| value.is_object())
        .ok_or_else(|| missing(&format!("results.data.{name}")))
}

/// One page of rows, each `data.<section>` of an element of `results`. Elements without that
/// section (`versions: []` of a node that has none) are left out.
///
/// # Errors
///
/// [`Error::Unreadable`] for rows that do not parse and for a server that answered with another
/// page than the one asked for: going on would loop or leave rows out.
pub(super) fn page<T: DeserializeOwned>(
    answer: &Value,
    name: &str,
    page: u32,
    limit: u32,
) -> Result<Page<T>, Error> {
    let listed = match answer.get("results") {
        Some(results @ (Value::Array(_) | Value::Object(_))) => listed(results),
        // No children; but a document always has a version, and to take a hiccup for "none" would
        // file it twice.
        Some(Value::Null) if name != "versions" => &[],
        _ => return Err(missing("results")),
    };
    let values = listed.iter().flat_map(|row| parts(row, "data", name));
    let rows = values
        .filter(|value| value.is_object())
        .map(|value| parse(value, name))
        .collect::<Result<Vec<_>, _>>()?;
    let paging = within(answer, "collection")
        .and_then(|collection| within(collection, "paging"))
        .or_else(|| within(answer, "paging"));
    let number = |key| paging.and_then(|paging| number(paging.get(key)?));
    if let Some(answered) = number("page")
        && answered != u64::from(page)
        && !rows.is_empty()
    {
        return Err(Error::Unreadable(format!(
            "page {page} was asked for and page {answered} came"
        )));
    }
    // A server may cap the page size, so a page is only judged by its fullness when nothing else
    // says whether it was the last.
    let more = match (
        number("page_total"),
        number("range_max"),
        number("total_count"),
    ) {
        (Some(last), _, _) => u64::from(page) < last,
        (None, Some(end), Some(total)) => end < total,
        _ if paging.is_some_and(names_next) => true,
        _ => {
            let came = listed.len().max(rows.len()) as u64;
            came >= number("limit").unwrap_or_else(|| u64::from(limit))
        }
    };
    Ok(Page {
        more: more && !rows.is_empty(),
        total: number("total_count"),
        rows,
    })
}

/// Whether the facts of a page name a next one.
fn names_next(paging: &Value) -> bool {
    let named = |place: &str| paging.pointer(place).and_then(|next| next.get("href"));
    ["/links/data/next", "/links/next", "/actions/next"]
        .into_iter()
        .filter_map(named)
        .any(|href| href.as_str().is_some_and(|href| !href.is_empty()))
}

/// Reads one object, naming the field that did not parse.
pub(super) fn parse<T: DeserializeOwned>(value: &Value, what: &str) -> Result<T, Error> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        Error::Unreadable(format!("{what}.{path}: {}", error.into_inner()))
    })
}

pub(super) fn missing(field: &str) -> Error {
    Error::Unreadable(format!("{field} is missing"))
}

pub(super) fn number(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

pub(super) fn signed(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// A whole number, also as a text.
pub(super) fn whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    let value = Value::deserialize(deserializer)?;
    signed(&value).ok_or_else(|| serde::de::Error::custom("a whole number was expected"))
}

/// A whole number that is not negative, also as a text.
pub(super) fn count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let value = Value::deserialize(deserializer)?;
    number(&value).ok_or_else(|| serde::de::Error::custom("a number of bytes was expected"))
}

/// A whole number that may be missing, null or no number at all.
pub(super) fn maybe_whole<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<i64>, D::Error> {
    Ok(signed(&Value::deserialize(deserializer)?))
}

/// A count that may be missing, null or no number at all.
pub(super) fn maybe_count<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<u64>, D::Error> {
    Ok(number(&Value::deserialize(deserializer)?))
}

/// A switch, also as a text or a number.
pub(super) fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Bool(flag) => Ok(flag),
        Value::Number(number) if number.as_u64().is_some_and(|n| n < 2) => {
            Ok(number.as_u64() == Some(1))
        }
        Value::String(text) if text.eq_ignore_ascii_case("true") => Ok(true),
        Value::String(text) if text.eq_ignore_ascii_case("false") => Ok(false),
        _ => Err(serde::de::Error::custom("true or false was expected")),
    }
}

/// A text, also as a number.
pub(super) fn key<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::String(text) => Ok(text),
        Value::Number(number) => Ok(number.to_string()),
        _ => Err(serde::de::Error::custom("a text was expected")),
    }
}

/// A text that may be missing or null.
pub(super) fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.unwrap_or_default())
}

/// A text, also as a number; nothing when it is missing, null, empty or something else.
pub(super) fn maybe_text<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::String(text) if !text.is_empty() => Some(text),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    })
}

/// A switch, also as a text or a number; nothing when it is anything else.
pub(super) fn maybe_flag<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<bool>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::Bool(flag) => Some(flag),
        Value::Number(number) => number.as_i64().map(|number| number != 0),
        Value::String(text) => match text.trim().to_ascii_lowercase().as_str() {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => None,
        },
        _ => None,
    })
}

/// The properties of a node.
#[derive(Debug, Deserialize)]
pub(super) struct Properties {
    #[serde(deserialize_with = "whole")]
    pub(super) id: i64,
    #[serde(default, deserialize_with = "maybe_whole")]
    pub(super) parent_id: Option<i64>,
    #[serde(default, deserialize_with = "text")]
    pub(super) name: String,
    #[serde(default, rename = "type", deserialize_with = "maybe_whole")]
    pub(super) subtype: Option<i64>,
    #[serde(default, deserialize_with = "maybe_flag")]
    pub(super) container: Option<bool>,
    #[serde(default, deserialize_with = "maybe_count")]
    pub(super) size: Option<u64>,
    #[serde(default, deserialize_with = "maybe_flag")]
    pub(super) reserved: Option<bool>,
    #[serde(default, deserialize_with = "maybe_whole")]
    pub(super) reserved_user_id: Option<i64>,
    #[serde(default)]
    pub(super) reserved_user_id_expand: Option<Value>,
    #[serde(default, deserialize_with = "maybe_whole")]
    pub(super) original_id: Option<i64>,
}

impl Properties {
    /// As the engine sees it.
    ///
    /// # Errors
    ///
    /// [`Error::Unreadable`] when the id, the name or the parent is missing: a look-up that
    /// guessed one could take another node for ours.
    pub(super) fn into_node(self) -> Result<Node, Error> {
        if self.id <= 0 {
            return Err(Error::Unreadable(format!("{} is no node id", self.id)));
        }
        if self.name.is_empty() {
            return Err(missing(&format!("the name of node {}", self.id)));
        }
        let parent = self
            .parent_id
            .ok_or_else(|| missing(&format!("the parent of node {}", self.id)))?;
        let container = self
            .container
            .unwrap_or_else(|| self.subtype.is_some_and(|kind| CONTAINERS.contains(&kind)));
        Ok(Node {
            id: NodeId(self.id),
            parent: NodeId(parent),
            container,
            size: if container { None } else { self.size },
            reserved_by: self.reserved_by(),
            // A document may carry the field without standing for anything.
            original: self
                .original_id
                .filter(|id| *id > 0 && matches!(self.subtype, Some(SHORTCUT | GENERATION)))
                .map(NodeId),
            name: self.name,
        })
    }

    fn reserved_by(&self) -> Option<String> {
        let user = self.reserved_user_id.filter(|user| *user > 0);
        if !self.reserved.unwrap_or(user.is_some()) {
            return None;
        }
        let name = self
            .reserved_user_id_expand
            .as_ref()
            .and_then(|user| user.get("name")?.as_str())
            .filter(|name| !name.is_empty());
        Some(match (name, user) {
            (Some(name), _) => name.to_owned(),
            (None, Some(user)) => format!("user {user}"),
            (None, None) => "somebody".to_owned(),
        })
    }
}

/// A version of a document.
#[derive(Debug, Deserialize)]
pub(super) struct VersionRow {
    #[serde(deserialize_with = "whole")]
    pub(super) version_number: i64,
    #[serde(deserialize_with = "count")]
    pub(super) file_size: u64,
    #[serde(default, deserialize_with = "text")]
    pub(super) description: String,
    #[serde(default, deserialize_with = "text")]
    pub(super) file_name: String,
}

impl From<VersionRow> for Version {
    fn from(row: VersionRow) -> Self {
        Self {
            number: VersionNumber(row.version_number),
            size: row.file_size,
            description: row.description,
            file_name: row.file_name,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_documents_properties_become_a_node() {
        let answer = json!({"results":{"data":{"properties":{
            "id":4711,"name":"a.mov","parent_id":"2000","type":144,"container":false,"size":894283,
            "reserved":true,"reserved_user_id":1000,"reserved_date":null}}}});
        let node = parse::<Properties>(section(&answer, "properties").unwrap(), "p")
            .unwrap()
            .into_node()
            .unwrap();
        assert_eq!(
            node,
            Node {
                id: NodeId(4711),
                parent: NodeId(2000),
                name: "a.mov".into(),
                container: false,
                size: Some(894_283),
                reserved_by: Some("user 1000".into()),
                original: None,
            }
        );
    }

    #[test]
    fn a_shortcut_names_what_it_stands_for_and_a_document_stands_for_itself() {
        let original = |kind: i64| {
            let value = json!({"id":5,"name":"s","parent_id":1,"type":kind,"original_id":"9"});
            let node = parse::<Properties>(&value, "p").unwrap().into_node();
            node.unwrap().original
        };
        assert_eq!(original(1), Some(NodeId(9)));
        assert_eq!(original(2), Some(NodeId(9)));
        assert_eq!(original(144), None);
    }

    #[test]
    fn a_folder_has_no_size_and_a_free_node_no_reserver() {
        let folder: Properties = parse(
            &json!({"id":5,"name":"f","parent_id":-1,"type":0,"size":3,"reserved":false,"reserved_user_id":0}),
            "p",
        )
        .unwrap();
        let node = folder.into_node().unwrap();
        assert!(node.container && node.size.is_none() && node.reserved_by.is_none());
    }

    #[test]
    fn the_reservers_name_is_used_when_it_was_expanded() {
        let node: Properties = parse(
            &json!({"id":5,"name":"f","parent_id":1,"reserved":true,"reserved_user_id":7,"reserved_user_id_expand":{"name":"ann"}}),
            "p",
        )
        .unwrap();
        assert_eq!(
            node.into_node().unwrap().reserved_by.as_deref(),
            Some("ann")
        );
    }

    #[test]
    fn a_node_without_its_facts_is_refused_by_the_name_of_the_field() {
        for (value, field) in [
            (json!({"name":"x","parent_id":1}), "id"),
            (json!({"id":1,"parent_id":1}), "name"),
            (json!({"id":1,"name":"x"}), "parent"),
            (json!({"id":{},"name":"x","parent_id":1}), "id"),
            (json!({"id":0,"name":"x","parent_id":1}), "id"),
        ] {
            let error = parse::<Properties>(&value, "p")
                .and_then(Properties::into_node)
                .unwrap_err();
            assert!(error.to_string().contains(field), "{error}");
        }
    }

    #[test]
    fn pages_are_read_with_and_without_paging_facts() {
        let row =
            |number: i64| json!({"data":{"versions":{"version_number":number,"file_size":"9"}}});
        let answer = json!({"collection":{"paging":{"page":1,"page_total":2,"total_count":3}},"results":[row(1),row(2)]});
        let first = page::<VersionRow>(&answer, "versions", 1, 2).unwrap();
        assert!(first.more && first.total == Some(3) && first.rows[1].file_size == 9);
        let answer = json!({"results":[row(1)]});
        assert!(!page::<VersionRow>(&answer, "versions", 1, 2).unwrap().more);
        assert!(page::<VersionRow>(&answer, "versions", 1, 1).unwrap().more);
        let capped = json!({"collection":{"paging":{"page":1,"range_max":1,"total_count":3}},"results":[row(1)]});
        assert!(page::<VersionRow>(&capped, "versions", 1, 9).unwrap().more);
        let capped = json!({"collection":{"paging":{"page":1,"limit":1}},"results":[row(1)]});
        assert!(page::<VersionRow>(&capped, "versions", 1, 9).unwrap().more);
        let none = json!({"results":[{"data":{"versions":[]}}]});
        assert!(
            page::<VersionRow>(&none, "versions", 1, 1)
                .unwrap()
                .rows
                .is_empty()
        );
    }

    #[test]
    fn no_children_may_be_null_but_a_document_without_versions_is_unreadable() {
        let answer = json!({"results": null});
        let children = page::<Properties>(&answer, "properties", 1, 9).unwrap();
        assert!(children.rows.is_empty() && !children.more);
        assert!(page::<VersionRow>(&answer, "versions", 1, 9).is_err());
        assert!(page::<Properties>(&json!({}), "properties", 1, 9).is_err());
    }

    #[test]
    fn another_page_than_the_one_asked_for_is_refused() {
        let answer = json!({"collection":{"paging":{"page":1,"page_total":9}},
            "results":[{"data":{"versions":{"version_number":1,"file_size":1}}}]});
        assert!(page::<VersionRow>(&answer, "versions", 2, 1).is_err());
    }
}
