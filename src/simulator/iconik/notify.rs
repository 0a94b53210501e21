//! `/notifications/v1/webhooks/…` and custom actions: what iconik tells other systems.
//!
//! Nothing is signed; configured headers are all there is. A webhook that fails is marked
//! `FAILING` and, when it still fails five hours later, `DISABLED` for good.

use http::Method;
use serde_json::{Value, json};

use super::assets::{check_choices, demand};
use super::call::{Answer, Call, invalid, missing, refuse};
use super::table::{Kind, Row, text};
use super::world::World;

const CONTEXTS: [&str; 8] = [
    "ASSET",
    "ASSET_SUBCLIP",
    "SHARED_ASSET",
    "COLLECTION",
    "SHARED_COLLECTION",
    "BULK",
    "SAVED_SEARCH",
    "NONE",
];

/// Whom a delivery is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Webhook(String),
    CustomAction(String),
    Button,
}

/// A request that iconik makes.
#[derive(Clone, Debug)]
pub(super) struct Delivery {
    pub(super) purpose: Purpose,
    pub(super) url: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Value,
}

/// Headers configured on a webhook or custom action.
fn headers(row: &Row) -> Vec<(String, String)> {
    let headers = row.get("headers").and_then(Value::as_object);
    headers
        .into_iter()
        .flatten()
        .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
        .collect()
}

impl World {
    pub(super) fn notifications(&mut self, call: &Call<'_>, path: &[&str]) -> Answer {
        match (&call.method, path) {
            (&Method::GET, ["webhooks"]) => {
                let hooks = self.tables.get(&Kind::Webhook);
                let hooks: Vec<Value> = hooks
                    .into_iter()
                    .flat_map(|t| t.iter())
                    .cloned()
                    .map(Value::Object)
                    .collect();
                call.page_list(500, &hooks)
            }
            (&Method::POST, ["webhooks"]) => {
                call.need("can_write_webhooks")?;
                let body = call.object()?;
                demand(body, &["url", "event_type", "status"])?;
                check_choices(body, &[("status", &["ENABLED", "DISABLED"])])?;
                let own = self.next_id(Kind::Webhook);
                let mut hook = body.clone();
                hook.insert("id".into(), own.clone().into());
                hook.insert("date_created".into(), self.clock.stamp().into());
                hook.insert("date_modified".into(), self.clock.stamp().into());
                self.table(Kind::Webhook).put(&own, hook.clone());
                Ok((201, hook.into()))
            }
            (method, ["webhooks", hook]) => {
                let found = self
                    .row(Kind::Webhook, hook)
                    .ok_or_else(|| missing("Webhook"))?;
                match *method {
                    // One of the GETs that are documented as 201.
                    Method::GET => Ok((201, found.into())),
                    Method::PUT => {
                        call.need("can_write_webhooks")?;
                        let body = call.object()?.clone();
                        demand(&body, &["url", "event_type", "status"])?;
                        let changed = self.change(Kind::Webhook, hook, |row| {
                            row.extend(body.into_iter().filter(|(k, _)| k != "id"));
                            row.remove("first_failed_at");
                        });
                        Ok((200, changed.map_or(Value::Null, Value::Object)))
                    }
                    Method::DELETE => {
                        self.table(Kind::Webhook).remove(hook);
                        Ok((204, Value::Null))
                    }
                    _ => Err(refuse(405, "Method not allowed")),
                }
            }
            _ => Err(refuse(404, "Not found")),
        }
    }

    pub(super) fn custom_actions(&mut self, call: &Call<'_>, rest: &[&str]) -> Answer {
        let all = |world: &Self, context: Option<&str>| -> Vec<Value> {
            let actions = world.tables.get(&Kind::Action);
            let rows = actions.into_iter().flat_map(|t| t.iter());
            rows.filter(|a| context.is_none_or(|c| text(a, "context") == c))
                .cloned()
                .map(Value::Object)
                .collect()
        };
        match (&call.method, rest) {
            (&Method::GET, []) => call.page_list(500, &all(self, None)),
            (&Method::GET, [context]) => call.page_list(500, &all(self, Some(context))),
            (&Method::POST, [context]) => {
                let mut action = call.object()?.clone();
                if !CONTEXTS.contains(context) {
                    return Err(invalid("context", "Unknown context."));
                }
                demand(&action, &["title", "url"])?;
                check_choices(&action, &[("type", &["OPEN", "POST"])])?;
                let own = self.next_id(Kind::Action);
                action.insert("id".into(), own.clone().into());
                action.insert("context".into(), (*context).into());
                action.insert("status".into(), "HEALTHY".into());
                self.table(Kind::Action).put(&own, action.clone());
                Ok((201, action.into()))
            }
            (method, [context, action, rest @ ..]) => {
                let found = self
                    .row(Kind::Action, action)
                    .ok_or_else(|| missing("Custom action"))?;
                match (method.clone(), rest) {
                    (Method::GET, []) => Ok((201, found.into())),
                    (Method::PATCH | Method::PUT, []) => {
                        let body = call.object()?.clone();
                        let changed = self.change(Kind::Action, action, |row| {
                            row.extend(body.into_iter().filter(|(k, _)| k != "id"));
                        });
                        Ok((200, changed.map_or(Value::Null, Value::Object)))
                    }
                    (Method::DELETE, []) => {
                        self.table(Kind::Action).remove(action);
                        Ok((204, Value::Null))
                    }
                    (Method::POST, ["callback"]) => self.trigger(call, context, &found),
                    _ => Err(refuse(404, "Not found")),
                }
            }
            _ => Err(refuse(404, "Not found")),
        }
    }

    /// Calls a custom action as a click would, with a token minted for the clicking user.
    fn trigger(&mut self, call: &Call<'_>, context: &str, action: &Row) -> Answer {
        let mut like = call.token.clone();
        if let Some(app) = action.get("app_id").and_then(Value::as_str) {
            app.clone_into(&mut like.app_id);
        }
        let token = self.mint(&like, Some(self.action_token_ms));
        let given = |name: &str| call.body.get(name).cloned().unwrap_or(json!([]));
        let date = self.clock.stamp();
        let body = json!({
            "user_id": call.token.user,
            "system_domain_id": self.domain,
            "context": context,
            "action_id": action["id"],
            "asset_ids": given("asset_ids"),
            "collection_ids": given("collection_ids"),
            "saved_search_ids": given("saved_search_ids"),
            "metadata_view_id": call.body.get("metadata_view_id"),
            "metadata_values": call.body.get("metadata_values"),
            "date_created": date.trim_end_matches("+00:00"),
            "auth_token": token.token,
        });
        self.deliveries.push(Delivery {
            purpose: Purpose::CustomAction(text(action, "id").to_owned()),
            url: text(action, "url").to_owned(),
            headers: headers(action),
            body,
        });
        Ok((200, json!({})))
    }

    /// Turns what happened into requests to the webhooks that asked for it, and presses of
    /// buttons into requests to their addresses.
    pub(super) fn dispatch(&mut self) -> Vec<Delivery> {
        let hooks: Vec<Row> = match self.tables.get(&Kind::Webhook) {
            Some(table) => table.iter().cloned().collect(),
            None => Vec::new(),
        };
        for event in std::mem::take(&mut self.events) {
            for hook in hooks.iter().filter(|hook| wants(hook, &event)) {
                let delivery = Delivery {
                    purpose: Purpose::Webhook(text(hook, "id").to_owned()),
                    url: text(hook, "url").to_owned(),
                    headers: headers(hook),
                    body: event.clone(),
                };
                if self.webhook_duplicates {
                    self.deliveries.push(delivery.clone());
                }
                self.deliveries.push(delivery);
            }
        }
        for (url, body) in std::mem::take(&mut self.buttons) {
            self.deliveries.push(Delivery {
                purpose: Purpose::Button,
                url,
                headers: Vec::new(),
                body,
            });
        }
        let mut due = std::mem::take(&mut self.deliveries);
        if self.webhook_reorder {
            due.reverse();
            // Every other one waits for the next change.
            let late = due.extract_if(.., |d| matches!(d.purpose, Purpose::Webhook(_)));
            let late: Vec<Delivery> = late.collect();
            due.extend(std::mem::replace(&mut self.held_back, late));
        }
        due
    }

    /// Keeps the state of a webhook or custom action after a delivery.
    pub(super) fn delivered(&mut self, delivery: &Delivery, result: &Result<Value, String>) {
        let (now, now_ms) = (self.clock.stamp(), self.clock.now_ms());
        let patience = self.webhook_patience_ms;
        match &delivery.purpose {
            Purpose::Webhook(hook) => {
                self.change(Kind::Webhook, hook, |row| match result {
                    Ok(_) => {
                        row.insert("status".into(), "ENABLED".into());
                        row.remove("first_failed_at");
                    }
                    Err(error) => {
                        let since = text(row, "first_failed_at").parse::<jiff::Timestamp>();
                        let over = since.is_ok_and(|s| now_ms - s.as_millisecond() >= patience);
                        let status = if over { "DISABLED" } else { "FAILING" };
                        row.insert("status".into(), status.into());
                        row.entry("first_failed_at").or_insert(now.into());
                        row.insert("last_error".into(), error.clone().into());
                        row.insert("last_payload".into(), delivery.body.clone());
                    }
                });
            }
            Purpose::CustomAction(action) => {
                self.change(Kind::Action, action, |row| match result {
                    Ok(_) => {
                        row.insert("status".into(), "HEALTHY".into());
                    }
                    Err(error) => {
                        row.insert("status".into(), "FAILING".into());
                        row.insert("last_error".into(), error.clone().into());
                        row.insert("last_error_date".into(), now.into());
                    }
                });
            }
            Purpose::Button => {}
        }
    }
}

/// Whether a webhook asked for an event.
fn wants(hook: &Row, event: &Value) -> bool {
    let live = ["ENABLED", "FAILING"].contains(&text(hook, "status"));
    let filter = |field: &str| match hook.get(field) {
        Some(Value::String(wanted)) if !wanted.is_empty() => event[field] == wanted.as_str(),
        _ => true,
    };
    live && ["event_type", "realm", "operation", "object_id"]
        .iter()
        .all(|f| filter(f))
        && text(hook, "query")
            .split(" AND ")
            .all(|part| condition(part.trim(), event))
}

/// One comparison of a webhook's query, such as `data.size>0`.
fn condition(part: &str, event: &Value) -> bool {
    let part = part.trim_matches(['(', ')']);
    let Some(at) = part.find(['=', '!', '<', '>']) else {
        return true;
    };
    let (path, rest) = part.split_at(at);
    let operator_len = rest.chars().take_while(|c| "=!<>".contains(*c)).count();
    let (operator, wanted) = rest.split_at(operator_len);
    let value = path
        .trim()
        .split('.')
        .fold(event, |value, field| &value[field]);
    let wanted = wanted.trim().trim_matches('"');
    let order = match (value.as_f64(), wanted.parse::<f64>()) {
        (Some(value), Ok(wanted)) => value.partial_cmp(&wanted),
        _ => Some(value.as_str().unwrap_or("").cmp(wanted)),
    };
    let Some(order) = order else { return false };
    match operator {
        "=" => order.is_eq(),
        "!=" => order.is_ne(),
        "<" => order.is_lt(),
        ">" => order.is_gt(),
        "<=" => order.is_le(),
        ">=" => order.is_ge(),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_filters_on_nested_fields() {
        let event = json!({"data": {"status": "CLOSED", "size": 5}});
        for (query, holds) in [
            ("data.status=\"CLOSED\" AND data.size>0", true),
            ("data.status!=\"CLOSED\"", false),
            ("data.size>=6", false),
            ("", true),
        ] {
            let all = query.split(" AND ").all(|part| condition(part, &event));
            assert_eq!(all, holds, "{query}");
        }
    }
}
