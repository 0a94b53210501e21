//! Categories as their calls show them: values, definitions, and the keys of both.

use serde_json::{Map, Value, json};

use super::super::call::Call;
use super::super::nodes::Node;
use super::super::world::World;
use super::values::rows;
use super::{Applied, Attribute, AttributeKind, Definition, TEXT};

/// Every attribute's value of a category on a node.
pub(super) fn values(definition: &Definition, applied: &Applied) -> Map<String, Value> {
    let mut values = Map::new();
    let mut put = |key: String, attribute: &Attribute| {
        let value = applied.values.get(&key).cloned();
        values.insert(key, value.unwrap_or_else(|| attribute.unset()));
    };
    for attribute in &definition.attributes {
        let key = format!("{}_{}", definition.id, attribute.id);
        let AttributeKind::Set(members) = &attribute.kind else {
            put(key, attribute);
            continue;
        };
        for row in 1..=rows(&applied.values, &key) {
            for member in members {
                put(format!("{key}_{row}_{}", member.id), member);
            }
        }
    }
    values
}

fn entry(definition: &Definition, attribute: &Attribute, key: &str) -> Value {
    let (persona, kind, number) = match attribute.kind {
        AttributeKind::Text => ("categoryattribute", "String", -1),
        AttributeKind::Integer => ("categoryattribute", "Integer", 2),
        AttributeKind::Date => ("categoryattribute", "Date", -7),
        AttributeKind::Boolean => ("categoryattribute", "Boolean", 5),
        AttributeKind::User => ("user", "Integer", 2),
        AttributeKind::Set(_) => ("set", "Assoc", -18),
    };
    let room = attribute.room();
    let length = match attribute.kind {
        AttributeKind::Text => json!(attribute.max_length.unwrap_or(TEXT)),
        _ => Value::Null,
    };
    json!({
        "allow_undefined": false, "bulk_shared": false, "default_value": attribute.default, "description": null,
        "hidden": false, "key": key, "key_value_pairs": false, "max_length": length, "min_length": null,
        "multi_select": false, "multi_value": attribute.multiple, "multi_value_length_default": 1,
        "multi_value_length_fixed": !attribute.multiple, "multi_value_length_max": room,
        "multi_value_max_length": null, "multi_value_min_length": null, "multi_value_unique": false,
        "multiline": false, "multilingual": false, "name": attribute.name, "password": false, "persona": persona,
        "read_only": false, "regex": "", "required": attribute.required, "type": number, "type_name": kind,
        "valid_values": [], "valid_values_name": [], "category": definition.id,
    })
}

/// The definitions of a category, by key; the category itself first.
pub(super) fn definitions(definition: &Definition) -> Value {
    let ids = definition.attributes.iter().flat_map(|attribute| {
        let members: &[Attribute] = match &attribute.kind {
            AttributeKind::Set(members) => members,
            _ => &[],
        };
        std::iter::once(attribute.id).chain(members.iter().map(|member| member.id))
    });
    let next = ids.max().unwrap_or(1) + 1;
    let mut entries = Map::new();
    entries.insert(
        definition.id.to_string(),
        json!({
            "allow_undefined": false, "bulk_shared": false, "default_value": null, "description": null, "hidden": false,
            "key": definition.id.to_string(), "key_value_pairs": false, "multi_value": false,
            "multi_value_length_default": 1, "multi_value_length_fixed": true, "multi_value_length_max": 1,
            "multi_value_max_length": null, "multi_value_min_length": null, "multi_value_unique": false,
            "name": definition.name, "next_id": next, "persona": "category", "read_only": true, "required": false,
            "type": -18, "type_name": "Assoc", "valid_values": [], "valid_values_name": [],
        }),
    );
    for attribute in &definition.attributes {
        let key = format!("{}_{}", definition.id, attribute.id);
        if let AttributeKind::Set(members) = &attribute.kind {
            for member in members {
                let key = format!("{key}_x_{}", member.id);
                entries.insert(key.clone(), entry(definition, member, &key));
            }
        }
        entries.insert(key.clone(), entry(definition, attribute, &key));
    }
    Value::Object(entries)
}

pub(super) fn keys(definition: &Definition) -> Vec<String> {
    let key = |attribute: &Attribute| format!("{}_{}", definition.id, attribute.id);
    definition.attributes.iter().map(key).collect()
}

/// The lists for the `categories` section of a node answer: values and definitions.
pub(in super::super) fn in_node(world: &World, node: &Node) -> (Vec<Value>, Vec<Value>) {
    let known = |(id, applied): (&i64, &Applied)| {
        let definition = world.definitions.get(id)?;
        Some((values(definition, applied).into(), definitions(definition)))
    };
    node.categories.iter().filter_map(known).unzip()
}

/// The keys of each category on a node.
pub(in super::super) fn map(world: &World, node: &Node) -> Value {
    let known = node
        .categories
        .keys()
        .filter_map(|id| world.definitions.get(id));
    Value::Object(
        known
            .map(|definition| (definition.id.to_string(), json!(keys(definition))))
            .collect(),
    )
}

/// One entry of the category calls.
pub(super) fn row(call: &Call, definition: &Definition, applied: &Applied) -> Value {
    let id = definition.id.to_string();
    let mut row = json!({"data": {"categories": values(definition, applied)}});
    if call.shape.metadata {
        row["metadata"] = json!({"categories": definitions(definition)});
        row["metadata_map"] = json!({"categories": {&id: keys(definition)}});
        row["metadata_order"] = json!({"categories": [id]});
    }
    row
}
