//! Metadata: which views apply to an asset, and the values in them.
//!
//! Values are asked for view by view, because only administrators may ask for all of them. A view
//! without values answers 404, which means empty; one the token's user may not see is noted.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use ::http::Method;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use tokio::sync::Mutex;

use super::call::Call;
use super::tolerant::{id, list, scalar, text, texts};
use super::{Asset, Client, Collection, Error};
use crate::types::{AssetId, CollectionId, VersionId, ViewId};

/// A layout mark inside a view, not a field.
const SEPARATOR: &str = "__separator__";

/// Everything an asset's metadata views hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metadata {
    /// The category the views were found by; `None` when the asset has none.
    pub category: Option<String>,
    /// The views in the category's order, those without values included.
    pub views: Vec<ViewValues>,
    /// What the token's user may not see: views by id, or the word `categories` or `views`.
    pub hidden: Vec<String>,
}

/// One view's fields.
#[derive(Clone, Debug, PartialEq)]
pub struct ViewValues {
    /// The view.
    pub id: ViewId,
    /// The name people gave it.
    pub name: String,
    /// The fields in the view's order.
    pub fields: Vec<FieldValues>,
}

/// One field's values.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldValues {
    /// The field's name in the interface.
    pub name: String,
    /// The name people gave it.
    pub label: Option<String>,
    /// Its type, such as `date` or `drop_down`.
    pub kind: Option<String>,
    /// Its values as they came: texts as a rule, numbers and flags now and then.
    pub values: Vec<Value>,
}

impl Metadata {
    /// Fields with values by name, as texts. A field in several views is there once; iconik keeps
    /// one value per field.
    pub fn flat(&self) -> BTreeMap<&str, Vec<String>> {
        let mut flat = BTreeMap::new();
        for field in self.views.iter().flat_map(|view| &view.fields) {
            let values: Vec<String> = field.values.iter().map(as_text).collect();
            if !values.is_empty() {
                flat.entry(field.name.as_str()).or_insert(values);
            }
        }
        flat
    }
}

fn as_text(value: &Value) -> String {
    scalar(value).unwrap_or_else(|| value.to_string())
}

/// How values are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteMode {
    /// In place of what is there; no values empty the field.
    Overwrite,
    /// Beside what is there.
    Append,
    /// Taken away from what is there.
    Delete,
}

/// Values for one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Writing {
    /// The field's name.
    pub field: String,
    /// The values.
    pub values: Vec<String>,
    /// What happens to those that are there.
    pub mode: WriteMode,
}

#[derive(Deserialize)]
struct Category {
    #[serde(default, deserialize_with = "text")]
    name: Option<String>,
    #[serde(default, deserialize_with = "texts")]
    view_ids: Vec<String>,
    /// The same views in full; either may be left out.
    #[serde(default, deserialize_with = "list")]
    views: Vec<Named>,
}

#[derive(Deserialize)]
struct Named {
    #[serde(default, deserialize_with = "text")]
    id: Option<String>,
}

impl Category {
    fn views(&self) -> impl Iterator<Item = &str> {
        let own = self.view_ids.iter().map(String::as_str);
        let full = self.views.iter().filter_map(|view| view.id.as_deref());
        own.chain(full).filter(|id| !id.is_empty())
    }
}

/// A listing that comes whole.
#[derive(Deserialize)]
#[serde(bound = "T: DeserializeOwned")]
struct Listed<T> {
    #[serde(default, deserialize_with = "list")]
    objects: Vec<T>,
}

struct View {
    name: String,
    fields: Vec<ViewField>,
}

#[derive(Deserialize)]
struct RawView {
    #[serde(default, deserialize_with = "text")]
    name: Option<String>,
    #[serde(default, deserialize_with = "list")]
    view_fields: Vec<ViewField>,
}

#[derive(Clone, Deserialize)]
struct ViewField {
    #[serde(deserialize_with = "id")]
    name: String,
    #[serde(default, deserialize_with = "text")]
    label: Option<String>,
    #[serde(default, deserialize_with = "text")]
    field_type: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawValues {
    #[serde(deserialize_with = "members")]
    metadata_values: Map<String, Value>,
}

fn members<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Map<String, Value>, D::Error> {
    Ok(match Value::deserialize(d)? {
        Value::Object(members) => members,
        _ => Map::new(),
    })
}

/// Views and categories by id; an account has few and they change rarely.
#[derive(Default)]
pub(super) struct ViewCache {
    views: Mutex<HashMap<ViewId, Option<Arc<View>>>>,
    /// `None` inside when they may not be read.
    categories: tokio::sync::OnceCell<Option<Vec<Category>>>,
    /// The same for collections.
    collection_categories: tokio::sync::OnceCell<Option<Vec<Category>>>,
    /// Ids of every view, asked for where there are no categories; `None` when they may not be
    /// listed.
    every: tokio::sync::OnceCell<Option<Vec<String>>>,
}

/// What values belong to.
#[derive(Clone, Copy)]
enum Owner<'a> {
    Asset(&'a AssetId, Option<&'a VersionId>),
    Collection(&'a CollectionId),
}

impl Owner<'_> {
    /// iconik's word for its kind.
    fn kind(self) -> &'static str {
        match self {
            Self::Asset(..) => "assets",
            Self::Collection(_) => "collections",
        }
    }
}

impl std::fmt::Display for Owner<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Asset(asset, _) => write!(f, "asset {asset}"),
            Self::Collection(collection) => write!(f, "collection {collection}"),
        }
    }
}

impl Client {
    /// The metadata of an asset, of one of its versions when `version` is given. The newest
    /// version's values are the asset's own: they are read as such, because an account that does
    /// not keep metadata by version has nothing under a version's address.
    ///
    /// # Errors
    ///
    /// Whatever prevents a clear answer. What may not be seen is no error: it is noted.
    pub async fn metadata_of(
        &self,
        asset: &Asset,
        version: Option<&VersionId>,
    ) -> Result<Metadata, Error> {
        let current = asset.current_version().map(|newest| &newest.id);
        let version = version.filter(|version| current != Some(*version));
        self.metadata_in(Owner::Asset(&asset.id, version), asset.category.as_deref())
            .await
    }

    /// The metadata of a collection.
    ///
    /// # Errors
    ///
    /// As [`metadata_of`](Self::metadata_of).
    pub async fn collection_metadata(&self, collection: &Collection) -> Result<Metadata, Error> {
        let owner = Owner::Collection(&collection.id);
        self.metadata_in(owner, collection.category.as_deref())
            .await
    }

    async fn metadata_in(
        &self,
        owner: Owner<'_>,
        category: Option<&str>,
    ) -> Result<Metadata, Error> {
        let mut metadata = Metadata {
            category: category.map(str::to_owned),
            ..Metadata::default()
        };
        let Some(categories) = self.categories(owner.kind()).await? else {
            metadata.hidden.push("categories".to_owned());
            return Ok(metadata);
        };
        let Some(views) = self.views_in(owner.kind(), categories, category).await? else {
            metadata.hidden.push("views".to_owned());
            return Ok(metadata);
        };
        for view in views {
            let Some(definition) = self.view(&view).await? else {
                metadata.hidden.push(view.0);
                continue;
            };
            match self.values(owner, &view).await {
                Ok(values) => metadata.views.push(filled(view, &definition, &values)),
                Err(error) if error.is_forbidden() => metadata.hidden.push(view.0),
                Err(error) => return Err(error),
            }
        }
        Ok(metadata)
    }

    /// The values that a collection has in one view, as texts by field.
    ///
    /// # Errors
    ///
    /// Whatever prevents a clear answer. A view without values is empty.
    pub async fn collection_values(
        &self,
        collection: &CollectionId,
        view: &ViewId,
    ) -> Result<BTreeMap<String, Vec<String>>, Error> {
        let owner = Owner::Collection(collection);
        let values = self.values(owner, view).await?;
        let read = values.iter().map(|(field, held)| {
            let texts = values_in(held).iter().map(as_text).collect();
            (field.clone(), texts)
        });
        Ok(read.collect())
    }

    /// How many views the asset's metadata is in: as many calls reading it takes.
    ///
    /// # Errors
    ///
    /// Whatever prevents a clear answer.
    pub async fn views_of(&self, asset: &Asset) -> Result<u64, Error> {
        let categories = self.categories("assets").await?.unwrap_or_default();
        let views = self.views_in("assets", categories, asset.category.as_deref());
        Ok(views.await?.map_or(0, |views| views.len() as u64))
    }

    /// The views of a category. In an account without any category assets have every view there is;
    /// `None` when those may not be listed.
    async fn views_in(
        &self,
        kind: &'static str,
        categories: &[Category],
        category: Option<&str>,
    ) -> Result<Option<Vec<ViewId>>, Error> {
        if kind != "assets" || !categories.is_empty() {
            return Ok(Some(views_for(categories, category)));
        }
        let every = self.0.views.every.get_or_try_init(|| async {
            let call = Call::get(
                &["metadata", "v1", "views"],
                "can_read_metadata_views",
                "listing metadata views",
            );
            match self.json::<Listed<Named>>(&call).await {
                Ok(found) => Ok(Some(
                    found
                        .objects
                        .into_iter()
                        .filter_map(|view| view.id)
                        .collect(),
                )),
                Err(error) if error.is_forbidden() => Ok(None),
                Err(error) if error.is_not_found() => Ok(Some(Vec::new())),
                Err(error) => Err(error),
            }
        });
        let every: &Option<Vec<String>> = every.await?;
        Ok(every
            .as_ref()
            .map(|ids| ids.iter().cloned().map(ViewId).collect()))
    }

    /// Whether there is a metadata field of that name; `None` when fields may not be read.
    ///
    /// # Errors
    ///
    /// Whatever prevents a clear answer.
    pub async fn has_field(&self, name: &str) -> Result<Option<bool>, Error> {
        let call = Call::get(
            &["metadata", "v1", "fields", name],
            "can_read_metadata_fields",
            format!("reading metadata field {name:?}"),
        );
        match self.json::<serde::de::IgnoredAny>(&call).await {
            Ok(_) => Ok(Some(true)),
            Err(error) if error.is_not_found() => Ok(Some(false)),
            Err(error) if error.is_forbidden() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The names of all metadata fields; none where they cannot be listed, as behind some gateways.
    ///
    /// # Errors
    ///
    /// Whatever prevents a clear answer.
    pub async fn field_names(&self) -> Result<BTreeSet<String>, Error> {
        const PER_PAGE: usize = 500;
        let mut names = BTreeSet::new();
        let mut last: Option<String> = None;
        loop {
            let mut call = Call::get(
                &["metadata", "v1", "fields"],
                "can_read_metadata_fields",
                "listing metadata fields".to_owned(),
            )
            .query("per_page", PER_PAGE);
            if let Some(last) = &last {
                call = call.query("last_field_name", last);
            }
            let page = match self.json::<Listed<ViewField>>(&call).await {
                Ok(listed) => listed.objects,
                Err(error) if error.is_not_found() || error.is_forbidden() => return Ok(names),
                Err(error) => return Err(error),
            };
            let (rows, known) = (page.len(), names.len());
            last = page.last().map(|field| field.name.clone());
            names.extend(page.into_iter().map(|field| field.name));
            // A listing that repeats itself is over too.
            if rows < PER_PAGE || names.len() == known {
                return Ok(names);
            }
        }
    }

    /// The names of a view's fields; nothing when there is no such view that may be read.
    ///
    /// # Errors
    ///
    /// Whatever prevents a clear answer.
    pub async fn view_fields(&self, view: &ViewId) -> Result<Option<Vec<String>>, Error> {
        let view = self.view(view).await?;
        Ok(view.map(|view| view.fields.iter().map(|field| field.name.clone()).collect()))
    }

    /// Writes values into a view's fields. Safe to repeat unless values are appended.
    ///
    /// # Errors
    ///
    /// [`Error::Status`] with 400 for a value or field the view does not take.
    pub async fn write_values(
        &self,
        asset: &AssetId,
        view: &ViewId,
        values: &[Writing],
    ) -> Result<(), Error> {
        self.put_values(Owner::Asset(asset, None), view, values)
            .await
    }

    /// Writes values into a view's fields of a collection.
    ///
    /// # Errors
    ///
    /// As [`write_values`](Self::write_values).
    pub async fn write_collection_values(
        &self,
        collection: &CollectionId,
        view: &ViewId,
        values: &[Writing],
    ) -> Result<(), Error> {
        self.put_values(Owner::Collection(collection), view, values)
            .await
    }

    async fn put_values(
        &self,
        owner: Owner<'_>,
        view: &ViewId,
        values: &[Writing],
    ) -> Result<(), Error> {
        let appends = values.iter().any(|value| value.mode == WriteMode::Append);
        let call = Call::new(
            Method::PUT,
            &values_path(owner, view),
            "can_write_metadata_values",
            format!("writing metadata of {owner}"),
        )
        .body(body(values));
        self.done(&if appends { call } else { call.repeatable() })
            .await
    }

    async fn values(&self, owner: Owner<'_>, view: &ViewId) -> Result<Map<String, Value>, Error> {
        let call = Call::get(
            &values_path(owner, view),
            "can_read_metadata_values",
            format!("reading metadata of {owner}"),
        );
        match self.json::<RawValues>(&call).await {
            Ok(values) => Ok(values.metadata_values),
            // No values were saved for this view yet.
            Err(error) if error.is_not_found() => Ok(Map::new()),
            Err(error) => Err(error),
        }
    }

    async fn categories(&self, kind: &'static str) -> Result<Option<&[Category]>, Error> {
        let kept = match kind {
            "collections" => &self.0.views.collection_categories,
            _ => &self.0.views.categories,
        };
        let categories = kept
            .get_or_try_init(|| async {
                let call = Call::get(
                    &["metadata", "v1", kind, "categories"],
                    "can_read_metadata_categories",
                    "listing metadata categories",
                );
                match self.json::<Listed<Category>>(&call).await {
                    Ok(found) => Ok(Some(found.objects)),
                    Err(error) if error.is_forbidden() => Ok(None),
                    Err(error) if error.is_not_found() => Ok(Some(Vec::new())),
                    Err(error) => Err(error),
                }
            })
            .await?;
        Ok(categories.as_deref())
    }

    /// A view's definition; `None` when it is gone or may not be seen.
    async fn view(&self, view: &ViewId) -> Result<Option<Arc<View>>, Error> {
        let mut kept = self.0.views.views.lock().await;
        if let Some(known) = kept.get(view) {
            return Ok(known.clone());
        }
        let call = Call::get(
            &["metadata", "v1", "views", view.as_str()],
            "can_read_metadata_views",
            format!("reading metadata view {view}"),
        )
        .query("merge_fields", true);
        let found = match self.json::<RawView>(&call).await {
            Ok(raw) => Some(Arc::new(View {
                name: raw.name.unwrap_or_default(),
                fields: raw
                    .view_fields
                    .into_iter()
                    .filter(|field| field.name != SEPARATOR)
                    .collect(),
            })),
            Err(error) if error.is_forbidden() || error.is_not_found() => None,
            Err(error) => return Err(error),
        };
        kept.insert(view.clone(), found.clone());
        Ok(found)
    }
}

fn values_path<'a>(owner: Owner<'a>, view: &'a ViewId) -> Vec<&'a str> {
    let mut path = vec!["metadata", "v1", owner.kind()];
    match owner {
        Owner::Asset(asset, version) => {
            path.push(asset.as_str());
            if let Some(version) = version {
                path.extend(["versions", version.as_str()]);
            }
        }
        Owner::Collection(collection) => path.push(collection.as_str()),
    }
    path.extend(["views", view.as_str()]);
    path
}

/// The views of an asset's category; without one those of the category `default`, and failing that
/// every view there is, each once.
fn views_for(categories: &[Category], category: Option<&str>) -> Vec<ViewId> {
    let named = |name: &str| categories.iter().find(|c| c.name.as_deref() == Some(name));
    let chosen = category
        .filter(|name| !name.is_empty())
        .and_then(named)
        .or_else(|| named("default"));
    let mut views: Vec<ViewId> = Vec::new();
    let all = chosen.map_or_else(|| categories.iter().collect(), |category| vec![category]);
    for id in all.into_iter().flat_map(Category::views) {
        if !views.iter().any(|view| view.as_str() == id) {
            views.push(ViewId(id.to_owned()));
        }
    }
    views
}

fn filled(id: ViewId, view: &View, values: &Map<String, Value>) -> ViewValues {
    let mut fields: Vec<FieldValues> = view
        .fields
        .iter()
        .map(|field| FieldValues {
            name: field.name.clone(),
            label: field.label.clone(),
            kind: field.field_type.clone(),
            values: values.get(&field.name).map(values_in).unwrap_or_default(),
        })
        .collect();
    // Values of fields the view no longer shows are kept all the same.
    for (name, value) in values {
        if name != SEPARATOR && !view.fields.iter().any(|field| field.name == *name) {
            fields.push(FieldValues {
                name: name.clone(),
                label: None,
                kind: None,
                values: values_in(value),
            });
        }
    }
    ViewValues {
        id,
        name: view.name.clone(),
        fields,
    }
}

/// The values of a field: `{"field_values": [{"value": ..}]}`, or the search index's flat list.
fn values_in(field: &Value) -> Vec<Value> {
    let list = match field {
        Value::Object(members) => members.get("field_values").unwrap_or(&Value::Null),
        other => other,
    };
    let items = match list {
        Value::Array(items) => items.as_slice(),
        Value::Null => &[],
        one => std::slice::from_ref(one),
    };
    items
        .iter()
        .map(|item| item.get("value").unwrap_or(item))
        .filter(|value| !value.is_null())
        .cloned()
        .collect()
}

fn body(values: &[Writing]) -> Value {
    let fields: Map<String, Value> = values
        .iter()
        .map(|writing| {
            let list: Vec<Value> = writing
                .values
                .iter()
                .map(|v| json!({ "value": v }))
                .collect();
            let mut field = json!({ "field_values": list });
            match writing.mode {
                // The default; left out, because older accounts do not know the member.
                WriteMode::Overwrite => {}
                WriteMode::Append => field["mode"] = "append".into(),
                WriteMode::Delete => field["mode"] = "delete".into(),
            }
            (writing.field.clone(), field)
        })
        .collect();
    json!({ "metadata_values": fields })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_of_values_is_read() {
        assert_eq!(
            values_in(&json!({"field_values": [{"value": "a"}, {"value": 7}]})),
            [json!("a"), json!(7)]
        );
        assert_eq!(values_in(&json!(["a", "b"])), [json!("a"), json!("b")]);
        assert_eq!(values_in(&json!("a")), [json!("a")]);
        let labelled = json!({"field_values": [{"value": {"url": "u", "label": "l"}}]});
        assert_eq!(values_in(&labelled), [json!({"url": "u", "label": "l"})]);
        for empty in [
            json!(null),
            json!([]),
            json!({}),
            json!({"field_values": null}),
            json!([null]),
        ] {
            assert!(values_in(&empty).is_empty(), "{empty}");
        }
    }

    #[test]
    fn the_category_names_the_views_and_default_stands_in() {
        let categories: Listed<Category> = serde_json::from_value(json!({"objects": [
            {"name": "default", "view_ids": ["d"]},
            {"name": "spots", "view_ids": ["s", "s", null, "t"]},
            {"name": "films", "views": [{"id": "f"}, {"name": "no id"}]},
        ]}))
        .unwrap();
        let views = |category| {
            views_for(&categories.objects, category)
                .into_iter()
                .map(|view| view.0)
                .collect::<Vec<_>>()
        };
        assert_eq!(views(Some("spots")), ["s", "t"]);
        assert_eq!(views(Some("films")), ["f"]);
        assert_eq!(views(None), ["d"]);
        assert_eq!(views(Some("gone")), ["d"]);
        let all: Vec<_> = views_for(&categories.objects[1..], None);
        assert_eq!(all.len(), 3);
    }

    #[test]
    fn writing_keeps_to_the_published_shape() {
        let writing = |mode, values: &[&str]| Writing {
            field: "state".into(),
            values: values.iter().map(|&v| v.to_owned()).collect(),
            mode,
        };
        assert_eq!(
            body(&[writing(WriteMode::Overwrite, &["kept"])]),
            json!({"metadata_values": {"state": {"field_values": [{"value": "kept"}]}}})
        );
        let appended = body(&[writing(WriteMode::Append, &["a"])]);
        assert_eq!(appended["metadata_values"]["state"]["mode"], "append");
    }

    #[test]
    fn flat_values_are_texts_by_field() {
        let field = |name: &str, values: Vec<Value>| FieldValues {
            name: name.into(),
            label: None,
            kind: None,
            values,
        };
        let metadata = Metadata {
            views: vec![ViewValues {
                id: "v".into(),
                name: String::new(),
                fields: vec![
                    field("b", vec![json!(true), json!("x")]),
                    field("a", vec![]),
                ],
            }],
            ..Metadata::default()
        };
        assert_eq!(
            metadata.flat(),
            BTreeMap::from([("b", vec!["true".into(), "x".into()])])
        );
    }
}
