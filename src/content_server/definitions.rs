//! Categories as they are defined, found by the names that people use.
//!
//! The server has no call for a definition alone: a node that has the category says it in full,
//! and the form for adding the category to a node says the rest. The folder that everything is
//! filed in is asked both ways, the fuller answer first. How a form writes types, dates and sets is
//! documented nowhere: it is read as far as it speaks, and what it leaves open is a text.

use std::collections::{BTreeMap, VecDeque};

use ::http::Method;
use serde::Deserialize as _;
use serde_json::Value;

use super::categories::{AttributeDefinition, attributes};
use super::errors::{Effect, Error};
use super::{Client, wire};
use crate::sidecar::mapping::{AttributeFacts, CategoryFacts, SetFacts};
use crate::transfer::Destination as _;
use crate::types::{Failure, NodeId};

/// The volume that holds the categories.
const VOLUME: &str = "v2/volumes/133";
/// Folders of the volume that are looked into; a category further away is named by its id.
const MOST_FOLDERS: usize = 500;

impl Client {
    /// The definitions of categories, each named by its name or its id. `node` is one that they
    /// can be added to.
    ///
    /// # Errors
    ///
    /// `ItemIsWrong` when the server has no such category; otherwise as any read.
    pub async fn category_facts(
        &self,
        names: &[&str],
        node: NodeId,
    ) -> Result<Vec<CategoryFacts>, Failure> {
        let mut found = Vec::with_capacity(names.len());
        let mut open: Vec<&str> = Vec::new();
        for name in names {
            match name.parse::<i64>() {
                Ok(id) => {
                    let category = self.node(NodeId(id)).await?;
                    found.push((category.id, category.name));
                }
                Err(_) => open.push(name),
            }
        }
        found.extend(self.find_categories(&mut open).await?);
        let mut facts = Vec::with_capacity(found.len());
        for (id, name) in found {
            let attributes = self.attributes_of(id, node).await.map_err(|error| {
                error.into_failure(Effect::Repeatable).context(format!(
                    "reading the definition of category {name:?} ({id})"
                ))
            })?;
            facts.push(CategoryFacts {
                id: id.0,
                name,
                attributes,
            });
        }
        Ok(facts)
    }

    /// Looks through the categories volume until every name is found; what is not stays in `open`.
    async fn find_categories(
        &self,
        open: &mut Vec<&str>,
    ) -> Result<Vec<(NodeId, String)>, Failure> {
        let mut found = Vec::new();
        if open.is_empty() {
            return Ok(found);
        }
        let volume = async {
            let answer = self.json(self.call(Method::GET, VOLUME)).await?;
            let id = wire::section(&answer, "properties")?.get("id");
            id.and_then(wire::signed)
                .ok_or_else(|| wire::missing("properties.id"))
        };
        let volume = volume.await.map_err(|error: Error| {
            error
                .into_failure(Effect::Repeatable)
                .context("finding the categories volume".to_owned())
        })?;
        let mut folders = VecDeque::from([NodeId(volume)]);
        let mut looked = 0;
        while let Some(folder) = folders.pop_front() {
            looked += 1;
            let mut page = 1;
            loop {
                let (nodes, more) = self.children(folder, page).await?;
                for node in nodes {
                    let wanted = open
                        .iter()
                        .position(|name| name.trim().eq_ignore_ascii_case(node.name.trim()));
                    if node.container {
                        folders.push_back(node.id);
                    } else if let Some(at) = wanted {
                        open.remove(at);
                        found.push((node.id, node.name));
                    }
                }
                if !more || open.is_empty() {
                    break;
                }
                page += 1;
            }
            if open.is_empty() || looked >= MOST_FOLDERS {
                break;
            }
        }
        Ok(found)
    }

    async fn attributes_of(
        &self,
        category: NodeId,
        node: NodeId,
    ) -> Result<Vec<AttributeFacts>, Error> {
        let path = format!("v2/nodes/{node}/categories/{category}");
        let full = self
            .json(self.call(Method::GET, &path).flag("metadata"))
            .await
            .ok()
            .and_then(|answer| {
                let all = attributes(wire::result(&answer).ok()?, "metadata");
                Some(of_metadata(category, &all))
            })
            .filter(|attributes| !attributes.is_empty());
        if let Some(attributes) = full {
            return Ok(attributes);
        }
        let call = self
            .call(Method::GET, "v1/forms/nodes/categories/create")
            .query("id", &node.to_string())
            .query("category_id", &category.to_string());
        let answer = self.json(call).await?;
        // The reference draws the form without the list around it.
        let form = match wire::within(&answer, "forms") {
            Some(form) => form,
            None if answer.get("schema").is_some() => &answer,
            None => return Err(wire::missing("forms")),
        };
        Ok(of_form(category, form))
    }
}

/// What a key `{category}_{attribute}` or `{category}_{set}_x_{attribute}` names.
enum Key {
    Attribute(i64),
    InSet(i64, i64),
}

fn key_of(category: NodeId, key: &str) -> Option<Key> {
    let rest = key.strip_prefix(&format!("{category}_"))?;
    if rest.ends_with("_multilingual") {
        return None;
    }
    let mut parts = rest.split('_');
    let first: i64 = parts.next()?.parse().ok()?;
    match (parts.next(), parts.next(), parts.next()) {
        // `_1` is the category itself.
        (None, ..) => (first > 1).then_some(Key::Attribute(first)),
        (Some(_row), Some(attribute), None) => Some(Key::InSet(first, attribute.parse().ok()?)),
        _ => None,
    }
}

/// The definitions that a node with the category gives.
fn of_metadata(category: NodeId, definitions: &BTreeMap<&str, &Value>) -> Vec<AttributeFacts> {
    let read = |key: &str| AttributeDefinition::deserialize(*definitions.get(key)?).ok();
    let mut attributes: Vec<AttributeFacts> = Vec::new();
    for (key, raw) in definitions {
        let (Some(place), Some(definition)) = (key_of(category, key), read(key)) else {
            continue;
        };
        if definition.persona == "set" {
            continue;
        }
        let (id, set) = match place {
            Key::Attribute(id) => (id, None),
            Key::InSet(set, id) => {
                let named = read(&format!("{category}_{set}"));
                let rows = definitions
                    .get(format!("{category}_{set}").as_str())
                    .and_then(|set| set.get("multi_value_length_max"))
                    .and_then(wire::number);
                let facts = SetFacts {
                    id: set,
                    name: named.map(|set| set.name).unwrap_or_default(),
                    rows: rows.filter(|rows| *rows > 0),
                };
                (id, Some(facts))
            }
        };
        let facts = AttributeFacts {
            id,
            set,
            name: definition.name,
            kind: definition.type_name,
            persona: match definition.persona.as_str() {
                persona @ ("user" | "member") => persona.to_owned(),
                _ => String::new(),
            },
            multiple: definition.multi_value,
            required: definition.required,
            read_only: definition.read_only,
            max_length: definition.max_length.filter(|most| *most > 0),
            options: words(raw.get("valid_values")),
        };
        // A set's attribute is there for every row.
        let twin = |other: &AttributeFacts| {
            other.id == facts.id
                && other.set.as_ref().map(|set| set.id) == facts.set.as_ref().map(|set| set.id)
        };
        if !attributes.iter().any(twin) {
            attributes.push(facts);
        }
    }
    attributes
}

/// The definitions that the form for adding the category gives. It may leave a type open, which is
/// then a text.
fn of_form(category: NodeId, form: &Value) -> Vec<AttributeFacts> {
    let empty = Value::Null;
    let schema = form.pointer("/schema/properties").unwrap_or(&empty);
    let options = form.pointer("/options/fields").unwrap_or(&empty);
    let mut attributes = Vec::new();
    for (key, property) in schema.as_object().into_iter().flatten() {
        let Some(Key::Attribute(id)) = key_of(category, key) else {
            continue;
        };
        let shown = options.get(key).unwrap_or(&empty);
        let items = property.get("items");
        let inside = items.unwrap_or(property).get("properties");
        match inside.and_then(Value::as_object) {
            None => attributes.push(of_property(id, None, property, shown)),
            Some(members) => {
                let set = SetFacts {
                    id,
                    name: name_of(property, shown),
                    rows: match items {
                        None => Some(1),
                        Some(_) => property.get("maxItems").and_then(Value::as_u64),
                    },
                };
                let shown = shown
                    .pointer("/items/fields")
                    .or_else(|| shown.pointer("/fields/item/fields"))
                    .or_else(|| shown.get("fields"))
                    .unwrap_or(&empty);
                for (key, member) in members {
                    if let Some(Key::InSet(_, id)) = key_of(category, key) {
                        let shown = shown.get(key).unwrap_or(&empty);
                        attributes.push(of_property(id, Some(set.clone()), member, shown));
                    }
                }
            }
        }
    }
    attributes
}

fn of_property(id: i64, set: Option<SetFacts>, property: &Value, shown: &Value) -> AttributeFacts {
    let word = |value: &Value, name: &str| {
        let text = value.get(name).and_then(Value::as_str);
        text.unwrap_or_default().to_owned()
    };
    let multiple = word(property, "type") == "array";
    let own = property
        .get("items")
        .filter(|_| multiple)
        .unwrap_or(property);
    let looks = format!("{} {}", word(own, "format"), word(shown, "type"));
    let kind = match word(own, "type").as_str() {
        _ if looks.contains("date") => "Date",
        "integer" => "Integer",
        "number" => "Real",
        "boolean" => "Boolean",
        _ => "String",
    };
    let flag = |name: &str| property.get(name).and_then(Value::as_bool) == Some(true);
    AttributeFacts {
        id,
        set,
        name: name_of(property, shown),
        kind: kind.to_owned(),
        persona: if looks.contains("user") || looks.contains("member") {
            "user".to_owned()
        } else {
            String::new()
        },
        multiple,
        required: flag("required"),
        read_only: flag("readonly"),
        max_length: own.get("maxLength").and_then(Value::as_u64),
        options: words(own.get("enum")),
    }
}

fn name_of(property: &Value, shown: &Value) -> String {
    let name = property.get("title").or_else(|| shown.get("label"));
    name.and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// The texts of a list; numbers as they are written.
fn words(list: Option<&Value>) -> Vec<String> {
    let values = list.and_then(Value::as_array).into_iter().flatten();
    values
        .filter_map(|value| match value {
            Value::String(text) if !text.is_empty() => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_node_s_definitions_are_read_with_sets_and_lists() {
        let definitions = json!({
            "9": {"name": "Media", "persona": "category"},
            "9_1": {"name": "token"},
            "9_2": {"name": "Campaign", "type_name": "String", "required": true, "max_length": 254,
                    "valid_values": ["Spring", "", "Autumn"]},
            "9_3": {"name": "Owner", "type_name": "Integer", "persona": "user", "max_length": 0},
            "9_4": {"name": "Rights", "persona": "set", "type_name": "Assoc", "multi_value_length_max": 5},
            "9_4_x_2": {"name": "Party", "type_name": "String", "multi_value": true},
            "9_4_1_2": {"name": "Party", "type_name": "String", "multi_value": true},
            "9_2_multilingual": {"name": "Campaign"},
        });
        let answer = json!({"metadata": {"categories": definitions}});
        let all = of_metadata(NodeId(9), &attributes(&answer, "metadata"));
        let names: Vec<_> = all.iter().map(|a| (a.id, a.name.as_str())).collect();
        assert_eq!(names, [(2, "Campaign"), (3, "Owner"), (2, "Party")]);
        assert_eq!(all[0].options, ["Spring", "Autumn"]);
        assert_eq!((all[1].persona.as_str(), all[1].max_length), ("user", None));
        let set = all[2].set.as_ref().unwrap();
        assert_eq!(
            (set.id, set.name.as_str(), set.rows),
            (4, "Rights", Some(5))
        );
    }

    #[test]
    fn a_form_says_what_it_can_and_the_rest_is_a_text() {
        let form = json!({
            "schema": {"properties": {
                "9_2": {"type": "string", "title": "Campaign", "maxLength": 32, "required": true},
                "9_3": {"type": "string", "title": "Expiry", "format": "datetime"},
                "9_4": {"type": "array", "items": {"type": "string", "enum": ["DE", "AT"]}},
                "9_5": {"type": "integer", "title": "Owner"},
                "9_6": {"type": "array", "title": "Rights", "maxItems": 3, "items": {"type": "object",
                    "properties": {"9_6_x_2": {"type": "string", "title": "Party"}}}},
                "9_7": {"title": "Odd"},
            }},
            "options": {"fields": {"9_4": {"label": "Region"}, "9_5": {"type": "otcs_user_picker"}}},
        });
        let all = of_form(NodeId(9), &form);
        let said: Vec<_> = all
            .iter()
            .map(|a| {
                (
                    a.name.as_str(),
                    a.kind.as_str(),
                    a.multiple,
                    a.persona.as_str(),
                )
            })
            .collect();
        assert_eq!(
            said,
            [
                ("Campaign", "String", false, ""),
                ("Expiry", "Date", false, ""),
                ("Region", "String", true, ""),
                ("Owner", "Integer", false, "user"),
                ("Party", "String", false, ""),
                ("Odd", "String", false, ""),
            ]
        );
        assert_eq!(all[2].options, ["DE", "AT"]);
        assert_eq!(all[4].set.as_ref().unwrap().rows, Some(3));
        for rubbish in [json!(null), json!([]), json!({"schema": {"properties": 7}})] {
            assert!(of_form(NodeId(9), &rubbish).is_empty());
            let answer = json!({"metadata": {"categories": rubbish}});
            assert!(of_metadata(NodeId(9), &attributes(&answer, "metadata")).is_empty());
        }
    }
}
