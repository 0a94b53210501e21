//! `/metadata/v1/…`: fields, views, categories and the values of objects.

use http::Method;
use serde_json::{Value, json};

use super::assets::demand;
use super::call::{Answer, Call, Refusal, invalid, missing, refuse};
use super::table::{Kind, Row, row, text, without_nulls};
use super::world::{ValueKey, World};

impl World {
    pub(super) fn metadata(&mut self, call: &Call<'_>, path: &[&str]) -> Answer {
        match (&call.method, path) {
            (&Method::GET, ["fields"]) => {
                let names: Vec<String> = self
                    .fields
                    .iter()
                    .map(|f| text(f, "name").to_owned())
                    .collect();
                let mut call_with_default = call.query.clone();
                call_with_default
                    .entry("per_page".into())
                    .or_insert_with(|| "500".into());
                let call = Call {
                    query: call_with_default,
                    method: call.method.clone(),
                    path: call.path,
                    body: Value::Null,
                    token: call.token.clone(),
                };
                call.after(500, "last_field_name", &names, |name| {
                    Some(self.fields.get(name)?.clone().into())
                })
            }
            (&Method::GET, ["fields", name]) => {
                let found = self
                    .fields
                    .get(name)
                    .ok_or_else(|| missing("Metadata field"))?;
                Ok((200, found.clone().into()))
            }
            (&Method::POST, ["fields"]) => {
                self.admin_only(call)?;
                let body = call.object()?;
                demand(body, &["name", "label", "field_type"])?;
                let name = text(body, "name").to_owned();
                if self.fields.get(&name).is_some() {
                    return Err(refuse(409, "Metadata field exists"));
                }
                self.fields.put(&name, body.clone());
                Ok((201, call.body.clone()))
            }
            (&Method::GET, ["views"]) => {
                let views = self.tables.get(&Kind::View);
                let views: Vec<Value> = views
                    .into_iter()
                    .flat_map(|t| t.iter())
                    .cloned()
                    .map(Value::Object)
                    .collect();
                Ok((200, json!({"objects": views})))
            }
            (&Method::GET, ["views", view]) => {
                let view = self
                    .row(Kind::View, view)
                    .ok_or_else(|| missing("Metadata view"))?;
                let merge = call.flag("merge_fields", true)?;
                Ok((
                    200,
                    if merge {
                        self.merged(view)
                    } else {
                        view.into()
                    },
                ))
            }
            (&Method::POST, ["views"]) => {
                self.admin_only(call)?;
                let body = call.object()?;
                demand(body, &["name", "view_fields"])?;
                let mut view = body.clone();
                let own = self.next_id(Kind::View);
                view.insert("id".into(), own.clone().into());
                self.table(Kind::View).put(&own, view.clone());
                Ok((201, view.into()))
            }
            (&Method::GET, [object_type, "categories"]) => {
                let rows: Vec<Value> = self
                    .categories
                    .iter()
                    .filter(|((kind, _), _)| kind == object_type)
                    .map(|(_, category)| category.clone().into())
                    .collect();
                Ok((200, json!({"objects": rows})))
            }
            (&Method::POST, [object_type, "categories"]) => {
                let body = call.object()?;
                demand(body, &["name", "label"])?;
                let key = ((*object_type).to_owned(), text(body, "name").to_owned());
                if self.categories.contains_key(&key) {
                    return Err(refuse(409, "Metadata category exists"));
                }
                let mut category = body.clone();
                category.insert("object_type".into(), (*object_type).into());
                self.categories.insert(key, category.clone());
                Ok((201, category.into()))
            }
            (&Method::GET, [object_type, "categories", name, rest @ ..]) => {
                let key = ((*object_type).to_owned(), (*name).to_owned());
                let found = self
                    .categories
                    .get(&key)
                    .ok_or_else(|| missing("Metadata category"))?;
                if rest.is_empty() {
                    return Ok((200, found.clone().into()));
                }
                let ids = found.get("view_ids").and_then(Value::as_array);
                let views: Vec<Value> = ids
                    .into_iter()
                    .flatten()
                    .filter_map(|id| self.row(Kind::View, id.as_str()?))
                    .map(|view| self.merged(view))
                    .collect();
                let mut category = found.clone();
                category.insert("views".into(), views.into());
                Ok((200, category.into()))
            }
            (&Method::PUT | &Method::POST, [object_type, "views", view]) => {
                self.bulk(call, object_type, view)
            }
            (_, ["assets", _, sub, object, "views", view]) if *sub != "versions" => {
                self.values(call, sub, object, "", view)
            }
            (_, [object_type, object, "versions", version, "views", view]) => {
                self.values(call, object_type, object, version, view)
            }
            (_, [object_type, object, "views", view]) => {
                self.values(call, object_type, object, "", view)
            }
            (_, [object_type, object]) => {
                self.admin_only(call)?;
                self.all_values(call, object_type, object)
            }
            _ => Err(refuse(404, "Not found")),
        }
    }

    fn admin_only(&self, call: &Call<'_>) -> Result<(), Refusal> {
        if call.token.admin {
            return Ok(());
        }
        Err(refuse(403, "Permission denied: administrators only"))
    }

    /// A view whose fields carry their definitions.
    fn merged(&self, mut view: Row) -> Value {
        for field in view
            .get_mut("view_fields")
            .and_then(Value::as_array_mut)
            .into_iter()
            .flatten()
        {
            let Some(field) = field.as_object_mut() else {
                continue;
            };
            if let Some(definition) = self.fields.get(text(field, "name")) {
                let mut merged = definition.clone();
                merged.extend(std::mem::take(field));
                *field = merged;
            }
        }
        view.into()
    }

    fn object_exists(&self, object_type: &str, object: &str) -> bool {
        let kind = match object_type {
            "assets" => Kind::Asset,
            "collections" => Kind::Collection,
            "segments" => Kind::Segment,
            _ => return true,
        };
        self.row(kind, object).is_some()
    }

    fn values(
        &mut self,
        call: &Call<'_>,
        object_type: &str,
        object: &str,
        version: &str,
        view: &str,
    ) -> Answer {
        let key: ValueKey = (
            object_type.into(),
            object.into(),
            version.into(),
            view.into(),
        );
        match call.method {
            Method::GET => {
                call.need("can_read_metadata_values")?;
                if !self.object_exists(object_type, object) {
                    return Err(missing("Object"));
                }
                let found = self.values.get(&key);
                let found =
                    found.ok_or_else(|| missing("Metadata values for this object and view"))?;
                Ok((200, self.with_object(found.clone(), &key)))
            }
            Method::PUT => {
                call.need("can_write_metadata_values")?;
                let view = self
                    .row(Kind::View, view)
                    .ok_or_else(|| missing("Metadata view"))?;
                if !self.object_exists(object_type, object) {
                    return Err(missing("Object"));
                }
                let body = call.object()?;
                self.check_values(body, Some(&view))?;
                let saved = self.save(key.clone(), body);
                if object_type == "assets" {
                    self.history(object, &call.token.user, "METADATA", text(&view, "name"));
                }
                let reply = self.with_object(saved, &key);
                self.event(
                    [object_type, "metadata", "update"],
                    object,
                    &call.token.user,
                    reply.clone(),
                );
                Ok((200, reply))
            }
            _ => Err(refuse(405, "Method not allowed")),
        }
    }

    /// Fills a field wherever a view has it, behind the API's back; whether there is one.
    pub(super) fn set_values(&mut self, asset: &str, field: &str, values: &[&str]) -> bool {
        let views: Vec<String> = self
            .table(Kind::View)
            .iter()
            .filter(|view| {
                let fields = view.get("view_fields").and_then(Value::as_array);
                fields.is_some_and(|all| all.iter().any(|f| f["name"] == field))
            })
            .map(|view| text(view, "id").to_owned())
            .collect();
        let given: Vec<Value> = values.iter().map(|value| json!({"value": value})).collect();
        let body = row(json!({"metadata_values": {field: {"field_values": given}}}));
        for view in &views {
            let key = (
                "assets".into(),
                asset.to_owned(),
                String::new(),
                view.clone(),
            );
            self.save(key, &body);
        }
        let now = self.clock.stamp();
        self.change(Kind::Asset, asset, |row| {
            row.insert("date_modified".into(), now.into());
        });
        !views.is_empty()
    }

    fn with_object(&self, values: Row, key: &ValueKey) -> Value {
        let mut values = without_nulls(values);
        values.insert("object_type".into(), key.0.clone().into());
        values.insert("object_id".into(), key.1.clone().into());
        if !key.2.is_empty() {
            values.insert("version_id".into(), key.2.clone().into());
        }
        values.into()
    }

    /// Refuses fields outside the view and values outside a field's options or type.
    fn check_values(&self, body: &Row, view: Option<&Row>) -> Result<(), Refusal> {
        demand(body, &["metadata_values"])?;
        let values = body["metadata_values"]
            .as_object()
            .ok_or_else(|| invalid("metadata_values", "Not a valid mapping."))?;
        for (name, value) in values {
            let listed = |view: &Row| {
                let fields = view.get("view_fields").and_then(Value::as_array);
                fields.is_some_and(|all| all.iter().any(|f| f["name"] == name.as_str()))
            };
            if !view.is_none_or(listed) {
                return Err(invalid(name, "Field is not part of the view."));
            }
            let definition = self
                .fields
                .get(name)
                .ok_or_else(|| invalid(name, "Unknown field."))?;
            let given = value["field_values"]
                .as_array()
                .ok_or_else(|| invalid(name, "field_values: Missing data for required field."))?;
            let mode = value["mode"].as_str().unwrap_or("overwrite");
            if !["overwrite", "append", "delete"].contains(&mode) {
                return Err(invalid(
                    name,
                    "mode: Must be one of: append, delete, overwrite.",
                ));
            }
            if given.len() > 1 && definition.get("multi") != Some(&Value::Bool(true)) {
                return Err(invalid(name, "Field does not take several values."));
            }
            for one in given {
                check_value(definition, &one["value"]).map_err(|error| invalid(name, &error))?;
            }
        }
        Ok(())
    }

    fn save(&mut self, key: ValueKey, body: &Row) -> Row {
        let now = self.clock.stamp();
        let saved = self
            .values
            .entry(key)
            .or_insert_with(|| row(json!({"metadata_values": {}, "date_created": now})));
        saved.insert("date_modified".into(), now.clone().into());
        let stored = saved
            .get_mut("metadata_values")
            .and_then(Value::as_object_mut);
        let given = body.get("metadata_values").and_then(Value::as_object);
        if let (Some(stored), Some(given)) = (stored, given) {
            for (name, value) in given {
                let new: Vec<Value> = value["field_values"]
                    .as_array()
                    .cloned()
                    .unwrap_or_default();
                let mut old: Vec<Value> = stored
                    .get(name)
                    .and_then(|v| v["field_values"].as_array())
                    .cloned()
                    .unwrap_or_default();
                let same = |a: &Value, b: &Value| a["value"] == b["value"];
                let kept = match value["mode"].as_str() {
                    Some("append") => {
                        let fresh: Vec<Value> = new
                            .into_iter()
                            .filter(|n| !old.iter().any(|o| same(o, n)))
                            .collect();
                        old.extend(fresh);
                        old
                    }
                    Some("delete") => {
                        old.retain(|o| !new.iter().any(|n| same(o, n)));
                        old
                    }
                    _ => new,
                };
                stored.insert(
                    name.clone(),
                    json!({"field_values": kept, "date_created": now}),
                );
            }
        }
        saved.clone()
    }

    /// Values without a view: administrators only, no check against a view, any object id.
    fn all_values(&mut self, call: &Call<'_>, object_type: &str, object: &str) -> Answer {
        match call.method {
            Method::GET => {
                let mut merged = Row::new();
                for ((kind, own, version, _), values) in &self.values {
                    if kind == object_type && own == object && version.is_empty() {
                        let values = values.get("metadata_values").and_then(Value::as_object);
                        merged.extend(values.cloned().unwrap_or_default());
                    }
                }
                Ok((
                    200,
                    json!({
                        "metadata_values": merged, "object_type": object_type, "object_id": object,
                    }),
                ))
            }
            Method::PUT => {
                let body = call.object()?;
                self.check_values(body, None)?;
                let key = (
                    object_type.to_owned(),
                    object.to_owned(),
                    String::new(),
                    String::new(),
                );
                let saved = self.save(key.clone(), body);
                Ok((200, self.with_object(saved, &key)))
            }
            _ => Err(refuse(405, "Method not allowed")),
        }
    }

    fn bulk(&mut self, call: &Call<'_>, object_type: &str, view: &str) -> Answer {
        call.need("can_write_metadata_values")?;
        let found = self
            .row(Kind::View, view)
            .ok_or_else(|| missing("Metadata view"))?;
        let body = call.object()?;
        demand(body, &["object_ids"])?;
        self.check_values(body, Some(&found))?;
        let ids = body["object_ids"].as_array().cloned().unwrap_or_default();
        if ids.len() > 500 {
            return Err(invalid("object_ids", "Longer than maximum length 500."));
        }
        for object in ids.iter().filter_map(Value::as_str) {
            let key = (
                object_type.to_owned(),
                object.to_owned(),
                String::new(),
                view.to_owned(),
            );
            self.save(key, body);
        }
        Ok((202, json!({})))
    }
}

/// Checks one value against its field's type and options.
fn check_value(definition: &Row, value: &Value) -> Result<(), String> {
    let text_value = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(flag) => flag.to_string(),
        Value::Null => return Err("Field may not be null.".to_owned()),
        _ => return Err("Not a valid value.".to_owned()),
    };
    let valid = match text(definition, "field_type") {
        "integer" => text_value.parse::<i64>().is_ok(),
        "float" => text_value.parse::<f64>().is_ok(),
        "boolean" => ["true", "false"].contains(&text_value.as_str()),
        "date" => text_value.parse::<jiff::civil::Date>().is_ok(),
        "datetime" => {
            text_value.parse::<jiff::Timestamp>().is_ok()
                || text_value.parse::<jiff::civil::DateTime>().is_ok()
        }
        "email" => text_value.contains('@'),
        "drop_down" => {
            let options = definition.get("options").and_then(Value::as_array);
            options.is_none_or(|all| all.iter().any(|o| o["value"] == text_value.as_str()))
        }
        _ => true,
    };
    if valid {
        return Ok(());
    }
    Err(format!(
        "{text_value:?} is not a valid {} value.",
        text(definition, "field_type")
    ))
}
