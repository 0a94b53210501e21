//! Search, saved searches, and the ways a person names a set of assets.

use std::collections::HashSet;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use xxhash_rust::xxh3::xxh3_128;

use super::call::Call;
use super::pages::{Rows, Style};
use super::tolerant::{date, id, text, texts, words};
use super::{ArchiveStatus, AssetKind, AssetStatus, Client, Error};
use crate::types::{AssetId, CollectionId};

words! {
    /// What kind of object a listing's row is.
    ObjectType {
        /// An asset.
        Assets = "assets",
        /// A collection.
        Collections = "collections",
    }
}

/// A row of a search or of a collection's contents, as the index knows it: a hint of what to read,
/// not the truth about it.
#[derive(Clone, Debug, Deserialize)]
pub struct Found {
    /// Id of the asset or collection.
    #[serde(deserialize_with = "id")]
    pub id: String,
    /// What it is; missing in some listings of assets.
    #[serde(default)]
    pub object_type: ObjectType,
    /// Title.
    #[serde(default, deserialize_with = "text")]
    pub title: Option<String>,
    /// What kind of asset.
    #[serde(default, rename = "type")]
    pub kind: AssetKind,
    /// Whether it is in the recycle bin; the index lags.
    #[serde(default)]
    pub status: AssetStatus,
    /// Whether it is archived; the index lags.
    #[serde(default)]
    pub archive_status: ArchiveStatus,
    /// When it was made.
    #[serde(default, deserialize_with = "date")]
    pub date_created: Option<Timestamp>,
    /// When it was changed last.
    #[serde(default, deserialize_with = "date")]
    pub date_modified: Option<Timestamp>,
    /// The collections it is in, as far as the listing says.
    #[serde(default, deserialize_with = "texts")]
    pub in_collections: Vec<String>,
}

impl Found {
    /// An asset that the index does not know, or not yet.
    pub fn unknown(id: AssetId) -> Self {
        Self {
            id: id.0,
            object_type: ObjectType::Assets,
            title: None,
            kind: AssetKind::default(),
            status: AssetStatus::default(),
            archive_status: ArchiveStatus::default(),
            date_created: None,
            date_modified: None,
            in_collections: Vec::new(),
        }
    }

    /// Whether the row is a collection.
    pub fn is_collection(&self) -> bool {
        self.object_type == ObjectType::Collections
    }

    /// Whether the row is an asset.
    pub fn is_asset(&self) -> bool {
        self.object_type == ObjectType::Assets || self.object_type == ObjectType::default()
    }
}

/// A set of assets as a person names it.
#[derive(Clone, Debug, PartialEq)]
pub enum Selection {
    /// These assets, in this order.
    Assets(Vec<AssetId>),
    /// Everything in a collection and below it.
    Collection(CollectionId),
    /// What a query in Lucene syntax finds.
    Query(String),
    /// What search criteria find, as iconik's search call takes them.
    Criteria(Value),
    /// What a saved search finds.
    SavedSearch(String),
}

impl Client {
    /// The assets of a selection, each once, without those in the recycle bin.
    pub fn select(&self, selection: &Selection) -> Rows<AssetId> {
        if let Selection::Assets(ids) = selection {
            let mut seen = HashSet::new();
            let ids: Vec<_> = ids
                .iter()
                .filter(|id| seen.insert(id.as_str()))
                .cloned()
                .map(Ok)
                .collect();
            return stream::iter(ids).boxed();
        }
        self.select_found(selection)
            .map_ok(|row| AssetId(row.id))
            .boxed()
    }

    /// The same as the index knows them: a call for a hundred assets rather than for each.
    pub fn select_found(&self, selection: &Selection) -> Rows<Found> {
        let found = match selection {
            Selection::Assets(ids) => self.search(json!({
                "filter": {"operator": "AND", "terms": [{"name": "id", "value_in": ids}]}
            })),
            // A walk finds each once by itself.
            Selection::Collection(collection) => return self.walk(collection),
            Selection::Query(query) => self.search(json!({ "query": query })),
            Selection::Criteria(criteria) => self.search(criteria.clone()),
            Selection::SavedSearch(search) => self.saved_search(search),
        };
        let mut seen = HashSet::new();
        found
            .try_filter(move |row| {
                let wanted = row.is_asset()
                    && row.status != AssetStatus::Deleted
                    && seen.insert(xxh3_128(row.id.as_bytes()));
                std::future::ready(wanted)
            })
            .boxed()
    }

    /// What search criteria find. Only assets are asked for; order and end are stable while the
    /// index changes, because each page continues after the last row's sort keys.
    pub fn search(&self, criteria: Value) -> Rows<Found> {
        let call = Call::new(
            ::http::Method::POST,
            &["search", "v1", "search"],
            "can_search",
            "searching",
        )
        .query("page", 1)
        .query("generate_signed_url", false)
        .query("generate_signed_download_url", false)
        .query("save_search_history", false)
        .body(stable(criteria))
        .repeatable();
        self.rows(call, Style::SearchAfter, false)
    }

    /// Assets with these words in their titles one after the other: some have more than them.
    pub fn titled(&self, title: &str) -> Rows<Found> {
        let escaped = title.replace('\\', "\\\\").replace('"', "\\\"");
        self.select_found(&active(&format!("title:\"{escaped}\"")))
    }

    /// Assets whose titles are this word, a dot and an extension: the index takes such a title for
    /// one word, which the word alone does not find.
    pub fn titled_with_extension(&self, word: &str) -> Rows<Found> {
        let escaped: String = word
            .chars()
            .flat_map(|character| {
                let plain = character.is_alphanumeric() || matches!(character, '_' | '.');
                (!plain).then_some('\\').into_iter().chain([character])
            })
            .collect();
        self.select_found(&active(&format!("title:{escaped}.*")))
    }

    /// What a saved search finds: its criteria are read and run. Where they cannot be read, its
    /// own result pages are.
    pub fn saved_search(&self, search: &str) -> Rows<Found> {
        let client = self.clone();
        let path = ["search", "v1", "search", "saved", search].map(str::to_owned);
        let doing = format!("reading saved search {search}");
        stream::once(async move {
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            let call = Call::get(&path, "can_read_saved_searches", doing);
            let saved: Value = client
                .json(&call.clone().query("include_results", false))
                .await?;
            Ok::<_, Error>(match criteria_of(&saved) {
                Some(criteria) => client.search(criteria),
                None => client.rows(call.query("include_results", true), Style::Page, false),
            })
        })
        .try_flatten()
        .boxed()
    }
}

/// Assets that a query finds and that are not in the recycle bin.
fn active(query: &str) -> Selection {
    Selection::Criteria(json!({
        "query": query,
        "filter": {"operator": "AND", "terms": [{"name": "status", "value": "ACTIVE"}]}
    }))
}

/// What [`Found`] holds.
const FIELDS: [&str; 9] = [
    "id",
    "object_type",
    "title",
    "type",
    "status",
    "archive_status",
    "date_created",
    "date_modified",
    "in_collections",
];

/// The criteria inside a saved search, wherever that generation of the API keeps them.
fn criteria_of(saved: &Value) -> Option<Value> {
    ["/search_criteria_document/criteria", "/criteria"]
        .iter()
        .filter_map(|at| saved.pointer(at))
        .find(|criteria| {
            criteria
                .as_object()
                .is_some_and(|members| !members.is_empty())
        })
        .cloned()
}

/// Criteria that list assets only, in an order that never changes its mind: nulls are dropped
/// (echoed back they are refused), the id breaks ties.
fn stable(criteria: Value) -> Value {
    let mut criteria = without_nulls(criteria);
    let Some(members) = criteria.as_object_mut() else {
        return criteria;
    };
    members.insert("doc_types".to_owned(), json!(["assets"]));
    // Whole documents carry files, keyframes and metadata: a page of them can be megabytes.
    members.insert("include_fields".to_owned(), json!(FIELDS));
    for unused in ["facets", "exclude_fields", "search_after"] {
        members.remove(unused);
    }
    let mut sort: Vec<Value> = match members.get("sort") {
        Some(Value::Array(keys)) if !keys.is_empty() => keys.clone(),
        _ => vec![json!({ "name": "date_created", "order": "asc" })],
    };
    if !sort.iter().any(|key| key["name"] == "id") {
        sort.push(json!({ "name": "id", "order": "asc" }));
    }
    members.insert("sort".to_owned(), sort.into());
    criteria
}

fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(members) => members
            .into_iter()
            .filter(|(_, member)| !member.is_null())
            .map(|(name, member)| (name, without_nulls(member)))
            .collect(),
        Value::Array(items) => items.into_iter().map(without_nulls).collect(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn criteria_are_made_stable_and_free_of_nulls() {
        let criteria = stable(json!({
            "query": "title:x", "facets": ["a"], "metadata_view_id": null,
            "filter": {"operator": "AND", "terms": [{"name": "a", "value": null, "exists": true}]},
            "sort": [{"name": "title", "order": "desc"}], "doc_types": ["collections"]
        }));
        assert_eq!(
            criteria,
            json!({
                "query": "title:x", "doc_types": ["assets"], "include_fields": FIELDS,
                "filter": {"operator": "AND", "terms": [{"name": "a", "exists": true}]},
                "sort": [{"name": "title", "order": "desc"}, {"name": "id", "order": "asc"}]
            })
        );
        assert_eq!(stable(json!({}))["sort"][0]["name"], "date_created");
    }

    #[test]
    fn criteria_are_found_in_both_shapes_of_a_saved_search() {
        let criteria = json!({"query": "x"});
        let document = json!({"objects": [], "search_criteria_document": {"criteria": criteria}});
        assert_eq!(criteria_of(&document), Some(criteria.clone()));
        assert_eq!(criteria_of(&json!({"criteria": criteria})), Some(criteria));
        assert_eq!(criteria_of(&json!({"criteria": {}})), None);
        assert_eq!(criteria_of(&json!([])), None);
    }
}
