//! Categories: named groups of attributes on a node.
//!
//! An attribute's key is `{category}_{attribute}`, or `{category}_{set}_{row}_{attribute}` within a
//! set; `{category}_1` is no attribute but the category itself. Attribute ids are the server's, so
//! what they mean is looked up in [`AttributeDefinition`]s and never assumed.

use std::collections::BTreeMap;

use ::http::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Client;
use super::errors::{Effect, Error, Meaning};
use super::wire;
use crate::types::{Failure, NodeId};

/// Values by attribute key: a text, number or truth value, a list of them for attributes with
/// several values, or an object per language for keys ending in `_multilingual`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CategoryValues(pub BTreeMap<String, Value>);

impl CategoryValues {
    /// Whether there is nothing to set.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a category with its default values, when a node is created with it.
    #[must_use]
    pub fn apply(mut self, category: NodeId) -> Self {
        self.0.insert(format!("{category}_1"), json!({}));
        self
    }

    /// Sets an attribute.
    #[must_use]
    pub fn set(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.0.insert(key.into(), value.into());
        self
    }
}

/// A category on a node, with its values.
#[derive(Clone, Debug, PartialEq)]
pub struct Category {
    /// The category's node.
    pub id: NodeId,
    /// Its name, when the server said it.
    pub name: Option<String>,
    /// Its values by attribute key.
    pub values: CategoryValues,
}

/// What an attribute is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct AttributeDefinition {
    /// Its key.
    pub key: String,
    /// Its name, which people see and settings use.
    #[serde(deserialize_with = "wire::text")]
    pub name: String,
    /// `category` for the category itself, `set` for a set, `user` or `member` for user ids.
    #[serde(deserialize_with = "wire::text")]
    pub persona: String,
    /// `String`, `Integer`, `Date`, `Boolean`, `Real`, `User`, `Assoc`.
    #[serde(deserialize_with = "wire::text")]
    pub type_name: String,
    /// Whether it holds several values.
    #[serde(deserialize_with = "said")]
    pub multi_value: bool,
    /// Whether the server refuses nodes without it.
    #[serde(deserialize_with = "said")]
    pub required: bool,
    /// Whether it refuses changes.
    #[serde(deserialize_with = "said")]
    pub read_only: bool,
    /// Most characters of a text.
    #[serde(deserialize_with = "wire::maybe_count")]
    pub max_length: Option<u64>,
}

impl Client {
    /// The categories of a node.
    ///
    /// # Errors
    ///
    /// `Inaccessible` when the node is missing or forbidden; otherwise as any read.
    pub async fn categories(&self, node: NodeId) -> Result<Vec<Category>, Failure> {
        self.list_categories(node).await.map_err(|error| {
            error
                .into_failure(Effect::Repeatable)
                .context(format!("reading the categories of node {node}"))
        })
    }

    /// Sets attributes of one category on a node, adding the category when it is not there. Other
    /// attributes stay. Safe to repeat.
    ///
    /// # Errors
    ///
    /// Values that do not fit the definition are refused as a whole (`ItemIsWrong`).
    pub async fn set_category(
        &self,
        node: NodeId,
        category: NodeId,
        values: &CategoryValues,
    ) -> Result<(), Failure> {
        let set = async {
            let present = self
                .list_categories(node)
                .await?
                .iter()
                .any(|there| there.id == category);
            if !present {
                match self.add_category(node, category, values).await {
                    Err(error) if error.meaning() == Some(Meaning::CategoryThere) => {}
                    other => return other,
                }
            }
            if values.is_empty() {
                return Ok(());
            }
            let path = format!("v2/nodes/{node}/categories/{category}");
            let call = || self.call(Method::PUT, &path).repeatable();
            self.write_fields(call, &json!(values)).await.map(drop)
        };
        set.await.map_err(|error: Error| {
            error
                .into_failure(Effect::Repeatable)
                .context(format!("setting category {category} on node {node}"))
        })
    }

    /// What the attributes of a category on a node are.
    ///
    /// # Errors
    ///
    /// A failure of class `ItemIsWrong` when the node does not have the category.
    pub async fn category_definition(
        &self,
        node: NodeId,
        category: NodeId,
    ) -> Result<Vec<AttributeDefinition>, Failure> {
        let read = async {
            let path = format!("v2/nodes/{node}/categories/{category}");
            let answer = self
                .json(self.call(Method::GET, &path).flag("metadata"))
                .await?;
            definitions(wire::result(&answer)?)
        };
        read.await.map_err(|error: Error| {
            error.into_failure(Effect::Repeatable).context(format!(
                "reading the definition of category {category} on node {node}"
            ))
        })
    }

    async fn add_category(
        &self,
        node: NodeId,
        category: NodeId,
        values: &CategoryValues,
    ) -> Result<(), Error> {
        let path = format!("v2/nodes/{node}/categories");
        let mut parameters = json!(values);
        parameters["category_id"] = category.0.into();
        self.write_fields(|| self.call(Method::POST, &path), &parameters)
            .await
            .map(drop)
    }

    async fn list_categories(&self, node: NodeId) -> Result<Vec<Category>, Error> {
        let call = self
            .call(Method::GET, &format!("v2/nodes/{node}/categories"))
            .flag("metadata");
        let answer = self.json(call).await?;
        let rows = match answer.get("results") {
            Some(Value::Array(rows)) => rows.as_slice(),
            Some(single @ Value::Object(_)) => std::slice::from_ref(single),
            Some(Value::Null) => &[],
            _ => return Err(wire::missing("results")),
        };
        let mut categories: BTreeMap<i64, Category> = BTreeMap::new();
        for row in rows {
            let definitions = attributes(row, "metadata");
            let named = |id: i64| {
                definitions
                    .get(id.to_string().as_str())?
                    .get("name")?
                    .as_str()
            };
            for (key, value) in attributes(row, "data") {
                let Some(id) = category_of(key) else { continue };
                let category = categories.entry(id).or_insert_with(|| Category {
                    id: NodeId(id),
                    name: named(id).map(str::to_owned),
                    values: CategoryValues::default(),
                });
                category.values.0.insert(key.to_owned(), value.clone());
            }
        }
        Ok(categories.into_values().collect())
    }
}

/// The members of `<section>.categories`: of an object, or of a list with one for each category.
pub(super) fn attributes<'a>(row: &'a Value, section: &str) -> BTreeMap<&'a str, &'a Value> {
    wire::parts(row, section, "categories")
        .filter_map(Value::as_object)
        .flatten()
        .map(|(key, value)| (key.as_str(), value))
        .collect()
}

/// A switch; what is missing, null or not said is off.
fn said<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Ok(wire::maybe_flag(deserializer)?.unwrap_or_default())
}

/// The category that a key belongs to.
fn category_of(key: &str) -> Option<i64> {
    key.split('_').next()?.parse().ok()
}

fn definitions(result: &Value) -> Result<Vec<AttributeDefinition>, Error> {
    let all = attributes(result, "metadata");
    if all.is_empty() {
        return Err(wire::missing("results.metadata.categories"));
    }
    all.into_iter()
        .map(|(key, value)| {
            let mut definition: AttributeDefinition = wire::parse(value, key)?;
            key.clone_into(&mut definition.key);
            Ok(definition)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definitions_tolerate_fields_that_are_null_or_missing() {
        let result = json!({"metadata":{"categories":{
            "9":{"key":"9","name":"Rights","persona":"category","type_name":null},
            "9_2":{"name":"Owner","type_name":"String","required":true,"max_length":254,"persona":""}}}});
        let all = definitions(&result).unwrap();
        assert_eq!(
            (all[0].name.as_str(), all[0].persona.as_str()),
            ("Rights", "category")
        );
        assert_eq!(
            (all[1].key.as_str(), all[1].required, all[1].max_length),
            ("9_2", true, Some(254))
        );
    }
}
