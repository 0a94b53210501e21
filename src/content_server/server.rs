//! Facts about the server and about who we are there.

use std::time::Duration;

use ::http::Method;
use serde_json::Value;

use super::Client;
use super::call::{api_url, broken};
use super::errors::{self, Effect, Error};
use super::wire;
use crate::http::Request;
use crate::types::Failure;

/// An answer about the server itself is small.
const ANSWER_LIMIT: usize = 1 << 20;

/// What the server says about itself. Everything is optional: fields come and go with releases.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerInfo {
    /// The release, such as `25.4`.
    pub version: Option<String>,
    /// How long a session lives without (or since, see [`sliding`](Self::sliding)) a request.
    pub session_timeout: Option<Duration>,
    /// Whether each request prolongs the session; otherwise it ends a fixed time after sign-in.
    pub sliding: Option<bool>,
    /// Whether sign-in takes a domain.
    pub domains: Option<bool>,
}

/// The signed-in user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CurrentUser {
    /// The user's id, as permissions and reservations name it.
    pub id: i64,
    /// The login name.
    pub name: String,
}

#[derive(serde::Deserialize)]
struct UserRow {
    #[serde(deserialize_with = "wire::whole")]
    id: i64,
    #[serde(default, deserialize_with = "wire::text")]
    name: String,
}

impl Client {
    /// Whether a REST interface answers at the configured address. Needs no sign-in.
    ///
    /// # Errors
    ///
    /// `Unsupported` when something else answers there; otherwise what kept it from answering.
    pub async fn ping(&self) -> Result<(), Failure> {
        let doing = "looking for content server";
        let url = api_url(&self.0.config.url, "v1/ping");
        let answer = async {
            let answer = self
                .0
                .http
                .call(Request::new(Method::GET, url), ANSWER_LIMIT)
                .await
                .map_err(|error| broken(error, None))?;
            errors::read(answer.status, &answer.body, answer.retry_after())
        };
        answer
            .await
            .map(drop)
            .map_err(|error: Error| error.into_failure(Effect::Repeatable).context(doing))
    }

    /// What the server says about itself.
    ///
    /// # Errors
    ///
    /// As any read: transient ones are worth a repeat.
    pub async fn server_info(&self) -> Result<ServerInfo, Failure> {
        let answer = self
            .json(self.call(Method::GET, "v1/serverinfo"))
            .await
            .map_err(|error| {
                error
                    .into_failure(Effect::Repeatable)
                    .context("asking for the server's facts")
            })?;
        let server = wire::within(&answer, "server");
        let sessions = wire::within(&answer, "sessions");
        let flag = |section: Option<&Value>, key| section?.get(key)?.as_bool();
        Ok(ServerInfo {
            version: server.and_then(|server| match server.get("version")? {
                Value::String(version) => Some(version.clone()),
                Value::Number(version) => Some(version.to_string()),
                _ => None,
            }),
            session_timeout: sessions
                .and_then(|sessions| wire::number(sessions.get("session_timeout")?))
                .map(Duration::from_millis),
            sliding: flag(sessions, "expire_after_last_request"),
            domains: flag(server, "domain_access_enabled"),
        })
    }

    /// Who we are signed in as; also the cheapest call that proves and renews the session.
    ///
    /// # Errors
    ///
    /// As any read; `StopEverything` when the sign-in is refused.
    pub async fn current_user(&self) -> Result<CurrentUser, Failure> {
        let read = async {
            let answer = self.json(self.call(Method::GET, "v1/auth")).await?;
            let data = wire::saying(&answer, "id")?;
            let user: UserRow = wire::parse(data, "data")?;
            Ok(CurrentUser {
                id: user.id,
                name: user.name,
            })
        };
        read.await.map_err(|error: Error| {
            error
                .into_failure(Effect::Repeatable)
                .context("asking who is signed in")
        })
    }
}
