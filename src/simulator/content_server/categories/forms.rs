//! Forms for people (Alpaca): one category, or all of a node's in the form of the role `categories`.

use serde_json::{Map, Value, json};

use super::super::answer::{Answer, Outcome, Refusal};
use super::super::call::Call;
use super::super::nodes::Node;
use super::super::world::World;
use super::calls::node;
use super::values::{begun, passed_on, rows};
use super::{Applied, Attribute, AttributeKind, Definition, token};

/// `GET /v1/forms/nodes/categories/create` and `/update`: the form of one category.
pub(in super::super) fn form(world: &mut World, call: &Call, update: bool) -> Outcome {
    let argument = |name: &str| match update {
        true => call.arguments.required(name),
        false => call
            .arguments
            .number(name)?
            .ok_or_else(|| Refusal::bad("Could not retrieve form. Invalid or missing parameters")),
    };
    let id = argument("id")?;
    let asked = match update {
        true => Some(argument("category_id")?),
        false => call.arguments.number("category_id")?,
    };
    let node = node(world, call, id)?;
    let Some(category) = asked else {
        return Ok(Answer::Json(json!({"forms": [picker(id)]})));
    };
    let missing = || match update {
        true => format!("Category ID {category} is not a category on node {id}"),
        false => format!("Category {category} has no version"),
    };
    let missing = || Refusal::failed(missing());
    let definition = world.definitions.get(&category).ok_or_else(missing)?;
    let own = node.categories.get(&category);
    let (action, token, own) = match update {
        true => {
            let own = own.ok_or_else(missing)?;
            let action = ("PUT", format!("api/v1/nodes/{id}/categories/{category}"));
            (action, token(id, category, own), own.clone())
        }
        false => {
            let action = ("POST", format!("api/v1/nodes/{id}/categories"));
            let own = own.cloned().unwrap_or_else(|| begun(definition));
            (action, String::new(), own)
        }
    };
    let Category {
        data,
        fields,
        properties,
    } = one(definition, &own, &token);
    let form = json!({
        "data": data,
        "options": {"fields": fields, "form": sent_to(action.0, &action.1)},
        "schema": {"properties": properties, "type": "object"},
    });
    Ok(Answer::Json(json!({"forms": [form]})))
}

/// Where a form is sent.
pub(in super::super) fn sent_to(method: &str, action: &str) -> Value {
    json!({"attributes": {"action": action, "method": method}, "renderForm": true})
}

/// The form in which a category is chosen.
fn picker(id: i64) -> Value {
    let control = json!({
        "action": "api/v1/forms/nodes/categories/create", "method": "GET", "name": "Browse",
        "parameters": {"filter_types": [132, 133], "select_types": [131]},
    });
    json!({
        "data": {"category_id": null},
        "options": {
            "fields": {"category_id": {
                "hidden": false, "hideInitValidationError": true, "label": "Category", "readonly": false,
                "type": "otcs_node_picker", "type_control": control,
            }},
            "form": sent_to("POST", &format!("api/v1/nodes/{id}/categories")),
        },
        "schema": {
            "properties": {"category_id": {"readonly": false, "required": true, "title": "Category", "type": "integer"}},
            "type": "object",
        },
    })
}

/// `GET /v1/forms/nodes/create`: general properties, and the categories that the container passes on
/// or that are asked for.
pub(in super::super) fn create_form(world: &mut World, call: &Call) -> Outcome {
    let parent = call.arguments.required("parent_id")?;
    let subtype = call.arguments.required("type")?;
    let asked = call.arguments.numbers("category_id")?.unwrap_or_default();
    super::super::nodes::can_be_made(world, call, parent, subtype)?;
    let mut applied = passed_on(world, parent);
    add_asked(world, &mut applied, &asked)?;
    let general = super::super::nodes::create_fields(call, parent, subtype);
    let mut forms = vec![general];
    forms.extend(of_role(world, None, &applied));
    Ok(Answer::Json(json!({"forms": forms})))
}

/// Adds categories to those that a form shows already.
///
/// # Errors
///
/// One that is no category.
pub(in super::super) fn add_asked(
    world: &World,
    applied: &mut super::AppliedAll,
    asked: &[i64],
) -> Result<(), Refusal> {
    for category in asked {
        let definition = world.definitions.get(category).ok_or_else(|| {
            Refusal::bad(format!("Category ID {category} is not a valid category."))
        })?;
        applied
            .entry(*category)
            .or_insert_with(|| begun(definition));
    }
    Ok(())
}

/// The form with a node's categories.
pub(in super::super) fn of_node(world: &World, node: &Node) -> Option<Value> {
    of_role(world, Some(node.id), &node.categories)
}

/// The form of the role `categories`, where there are any; with the tokens of a node that has them.
pub(in super::super) fn of_role(
    world: &World,
    node: Option<i64>,
    applied: &super::AppliedAll,
) -> Option<Value> {
    let (mut data, mut fields, mut properties) = (Map::new(), Map::new(), Map::new());
    for (id, own) in applied {
        let Some(definition) = world.definitions.get(id) else {
            continue;
        };
        let token = node.map(|node| token(node, *id, own)).unwrap_or_default();
        let category = one(definition, own, &token);
        data.insert(id.to_string(), category.data.into());
        let shown = json!({"fields": category.fields, "label": definition.name, "hidden": false});
        fields.insert(id.to_string(), shown);
        let holds = json!({
            "properties": category.properties, "title": definition.name, "type": "object",
        });
        properties.insert(id.to_string(), holds);
    }
    (!data.is_empty()).then(|| {
        json!({
            "role_name": "categories",
            "data": data,
            "options": {"fields": fields, "form": sent_to("PUT", "")},
            "schema": {"properties": properties, "type": "object"},
        })
    })
}

/// One category in a form.
struct Category {
    data: Map<String, Value>,
    fields: Map<String, Value>,
    properties: Map<String, Value>,
}

fn one(definition: &Definition, applied: &Applied, token: &str) -> Category {
    let id = definition.id;
    let mut data = Map::from_iter([(format!("{id}_1"), json!({"metadata_token": token}))]);
    for attribute in &definition.attributes {
        let key = format!("{id}_{}", attribute.id);
        let value = |key: String, own: &Attribute| {
            applied
                .values
                .get(&key)
                .cloned()
                .unwrap_or_else(|| own.unset())
        };
        let AttributeKind::Set(members) = &attribute.kind else {
            data.insert(key.clone(), value(key, attribute));
            continue;
        };
        let row = |row: usize| -> Map<String, Value> {
            let cell = |own: &Attribute| {
                let shown = match attribute.multiple {
                    true => format!("{key}_x_{}", own.id),
                    false => format!("{key}_1_{}", own.id),
                };
                (shown, value(format!("{key}_{row}_{}", own.id), own))
            };
            members.iter().map(cell).collect()
        };
        let rows: Vec<Value> = (1..=rows(&applied.values, &key))
            .map(|n| row(n).into())
            .collect();
        if attribute.multiple {
            data.insert(key.clone(), rows.into());
            data.insert(format!("{key}_1"), Value::Null);
        } else {
            let only = rows.into_iter().next().unwrap_or_default();
            data.insert(key.clone(), only);
        }
    }
    let (fields, mut properties) = looks(&id.to_string(), &definition.attributes);
    let pseudo = json!({"readonly": true, "required": false, "type": "object"});
    properties.insert(format!("{id}_1"), pseudo);
    Category {
        data,
        fields,
        properties,
    }
}

/// How attributes are shown and what they hold, by key.
fn looks(prefix: &str, attributes: &[Attribute]) -> (Map<String, Value>, Map<String, Value>) {
    let (mut fields, mut properties) = (Map::new(), Map::new());
    for attribute in attributes {
        let key = format!("{prefix}_{}", attribute.id);
        let mut field = json!({
            "hidden": false, "hideInitValidationError": true, "label": attribute.name, "readonly": false,
        });
        let mut holds = match &attribute.kind {
            AttributeKind::Integer => {
                field["type"] = "integer".into();
                json!({"type": "integer"})
            }
            AttributeKind::User => {
                field["type"] = "otcs_user_picker".into();
                json!({"type": "integer"})
            }
            AttributeKind::Boolean => {
                field["type"] = "checkbox".into();
                json!({"type": "boolean"})
            }
            AttributeKind::Text => {
                field["type"] = "text".into();
                json!({"type": "string", "multilingual": null})
            }
            AttributeKind::Date => {
                field["type"] = "datetime".into();
                json!({"type": "string", "format": "datetime"})
            }
            AttributeKind::Set(members) => {
                let row = if attribute.multiple { "x" } else { "1" };
                let (shown, members) = looks(&format!("{key}_{row}"), members);
                field["fields"] = match attribute.multiple {
                    true => json!({"item": {"fields": shown}}),
                    false => shown.into(),
                };
                json!({"type": "object", "properties": members})
            }
        };
        if let Some(most) = attribute.max_length {
            holds["maxLength"] = most.into();
        }
        let mut property = match attribute.multiple {
            true => {
                let least = i32::from(matches!(attribute.kind, AttributeKind::Set(_)));
                json!({"type": "array", "items": holds, "minItems": least, "maxItems": attribute.most})
            }
            false => holds,
        };
        property["title"] = attribute.name.clone().into();
        property["required"] = attribute.required.into();
        property["readonly"] = false.into();
        fields.insert(key.clone(), field);
        properties.insert(key, property);
    }
    (fields, properties)
}
