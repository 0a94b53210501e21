//! `/auth/v1/…` and `/users/v1/…`: tokens and the users they act for.

use http::Method;
use serde_json::{Value, json};

use super::assets::demand;
use super::call::{Answer, Call, Token, missing, refuse};
use super::table::{Kind, text};
use super::world::World;
use crate::simulator::clock::stamp;

/// The password of every simulated user.
pub const PASSWORD: &str = "simulated";

impl World {
    pub(super) fn auth(&mut self, call: &Call<'_>, path: &[&str]) -> Answer {
        match (&call.method, path) {
            (&Method::GET, ["auth", "token"]) => Ok((200, json!({}))),
            (&Method::POST, ["auth", "token"]) => {
                let token = self.mint(&call.token, None);
                Ok((201, self.shown_token(&token)))
            }
            (&Method::PUT, ["auth", "token"]) => Ok((200, self.shown_token(&call.token))),
            (&Method::DELETE, ["auth", "token"]) => {
                self.tokens.retain(|t| t.token != call.token.token);
                Ok((200, json!({})))
            }
            (&Method::POST, ["apps", app, "token"]) => {
                let expires = call.body.get("expires_in").and_then(Value::as_i64);
                let mut like = call.token.clone();
                (*app).clone_into(&mut like.app_id);
                let token = self.mint(&like, expires.map(|s| s.saturating_mul(1000)));
                Ok((201, self.shown_token(&token)))
            }
            _ => Err(refuse(404, "Not found")),
        }
    }

    /// Signs a user in by password; the one call without a token.
    pub(super) fn login(&mut self, body: &Value) -> Answer {
        let body = body
            .as_object()
            .ok_or_else(|| refuse(400, "Invalid input"))?;
        demand(body, &["email", "password"])?;
        let users = self.tables.get(&Kind::User);
        let user = users
            .into_iter()
            .flat_map(|t| t.iter())
            .find(|user| text(user, "email") == text(body, "email"))
            .filter(|_| text(body, "password") == PASSWORD)
            .map(|user| text(user, "id").to_owned())
            .ok_or_else(|| refuse(401, "Invalid email or password"))?;
        let like = Token {
            token: String::new(),
            app_id: self
                .tokens
                .first()
                .map(|t| t.app_id.clone())
                .unwrap_or_default(),
            user,
            admin: false,
            denied: Vec::new(),
            expires_ms: None,
        };
        let token = self.mint(&like, Some(24 * 3_600_000));
        Ok((201, self.shown_token(&token)))
    }

    /// A further token with the rights of another.
    pub(super) fn mint(&mut self, like: &Token, lives_ms: Option<i64>) -> Token {
        let name = self.next_id(Kind::Other);
        let token = Token {
            token: format!("simulated-{name}"),
            expires_ms: lives_ms.map(|ms| self.clock.now_ms().saturating_add(ms)),
            ..like.clone()
        };
        self.tokens.push(token.clone());
        token
    }

    fn shown_token(&mut self, token: &Token) -> Value {
        let mut shown = json!({
            "token": token.token,
            "id": self.next_id(Kind::Other),
            "app_id": token.app_id,
            "user_id": token.user,
            "system_domain_id": self.domain,
            "system_domain_status": "ACTIVE",
            "is_admin": token.admin,
            "is_super_admin": false,
            "date_created": self.clock.stamp(),
            "date_modified": self.clock.stamp(),
        });
        if let Some(at) = token
            .expires_ms
            .and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok())
        {
            shown["expires"] = stamp(at).into();
        }
        shown
    }

    pub(super) fn users(&mut self, call: &Call<'_>, path: &[&str]) -> Answer {
        match (&call.method, path) {
            (&Method::GET, ["users", "current"]) => {
                let mut user = self
                    .row(Kind::User, &call.token.user)
                    .ok_or_else(|| missing("User"))?;
                user.insert("is_admin".into(), call.token.admin.into());
                user.insert("app_id".into(), call.token.app_id.clone().into());
                Ok((200, user.into()))
            }
            (&Method::GET, ["users", "current", "roles"]) => Ok((200, json!({"roles": []}))),
            (&Method::GET, ["users"]) => {
                call.need("can_read_users")?;
                let users = self.tables.get(&Kind::User);
                let users: Vec<Value> = users
                    .into_iter()
                    .flat_map(|t| t.iter())
                    .cloned()
                    .map(Value::Object)
                    .collect();
                call.page_list(500, &users)
            }
            (&Method::GET, ["users", user]) => {
                call.need("can_read_users")?;
                let user = self.row(Kind::User, user).ok_or_else(|| missing("User"))?;
                Ok((200, user.into()))
            }
            _ => Err(refuse(404, "Not found")),
        }
    }

    /// `/users-notifications/v1/notifications/`: messages to users are kept for audits only.
    pub(super) fn messages(&mut self, call: &Call<'_>, path: &[&str]) -> Answer {
        match (&call.method, path) {
            (&Method::POST, ["notifications"]) => {
                let mut message = call.object()?.clone();
                let fields = [
                    "event_type",
                    "message_long",
                    "message_short",
                    "object_id",
                    "object_type",
                    "recipient_id",
                    "sender_id",
                ];
                demand(&message, &fields)?;
                message.insert("id".into(), self.next_id(Kind::Other).into());
                message.insert("date_created".into(), self.clock.stamp().into());
                Ok((201, message.into()))
            }
            _ => Err(refuse(404, "Not found")),
        }
    }

    /// `/acls/v1/acl/…`: everyone may do everything with what they can see.
    pub(super) fn acls(&mut self, call: &Call<'_>, path: &[&str]) -> Answer {
        match (&call.method, path) {
            (&Method::GET, ["acl", object_type, object, "permissions"]) => Ok((
                200,
                json!({
                    "object_type": object_type, "object_key": object,
                    "permissions": ["read", "write", "delete", "change-acl"],
                }),
            )),
            _ => Err(refuse(404, "Not found")),
        }
    }
}
