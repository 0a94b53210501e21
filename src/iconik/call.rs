//! One call to the API: its address, its secrets, its pace, and what its status means.

use std::time::Duration;

use ::http::{HeaderName, Method, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::Url;

use super::error::quote;
use super::{Client, Error};
use crate::http::{Answer, JSON_LIMIT, Repeat, Request};

pub(super) const APP_ID: HeaderName = HeaderName::from_static("app-id");
pub(super) const AUTH_TOKEN: HeaderName = HeaderName::from_static("auth-token");

/// The address every path starts from: ends in `/API/`, whatever was configured.
pub(super) fn api_base(configured: &Url) -> Url {
    let mut base = configured.clone();
    base.set_query(None);
    base.set_fragment(None);
    let path = base.path().trim_end_matches('/');
    let path = path.strip_suffix("/API").unwrap_or(path);
    base.set_path(&format!("{path}/API/"));
    base
}

/// Attempts at an answer that can be read.
const UNREADABLE: u32 = 4;
/// Unit of the waits between them.
const UNREADABLE_WAIT: Duration = Duration::from_millis(100);

/// A call under construction.
#[derive(Clone)]
pub(super) struct Call {
    method: Method,
    path: Vec<String>,
    query: Vec<(&'static str, String)>,
    body: Option<Value>,
    repeat: Option<Repeat>,
    role: &'static str,
    doing: String,
}

impl Call {
    /// `path` are the segments below `/API/`; each is encoded, and a slash ends the path. `role`
    /// is the one iconik's documentation asks for; `doing` names the call in errors.
    pub(super) fn new(
        method: Method,
        path: &[&str],
        role: &'static str,
        doing: impl Into<String>,
    ) -> Self {
        Self {
            method,
            path: path.iter().map(|&segment| segment.to_owned()).collect(),
            query: Vec::new(),
            body: None,
            repeat: None,
            role,
            doing: doing.into(),
        }
    }

    fn may_be_repeated(&self) -> bool {
        match self.repeat {
            Some(repeat) => repeat == Repeat::Safe,
            None => self.method == Method::GET,
        }
    }

    pub(super) fn get(path: &[&str], role: &'static str, doing: impl Into<String>) -> Self {
        Self::new(Method::GET, path, role, doing)
    }

    pub(super) fn query(mut self, name: &'static str, value: impl ToString) -> Self {
        self.set_query(name, value);
        self
    }

    pub(super) fn set_query(&mut self, name: &'static str, value: impl ToString) {
        self.query.retain(|(other, _)| *other != name);
        self.query.push((name, value.to_string()));
    }

    pub(super) fn body(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }

    pub(super) fn set_member(&mut self, name: &str, value: Value) {
        if let Some(Value::Object(members)) = &mut self.body {
            members.insert(name.to_owned(), value);
        }
    }

    /// The call changes nothing that a repeat would change again.
    pub(super) fn repeatable(mut self) -> Self {
        self.repeat = Some(Repeat::Safe);
        self
    }

    pub(super) fn doing(&self) -> &str {
        &self.doing
    }

    fn url(&self, base: &Url) -> Result<Url, Error> {
        let mut url = base.clone();
        {
            let bad = |id: &str| Error::Id {
                doing: self.doing.clone(),
                id: id.chars().take(60).collect(),
            };
            let mut segments = url.path_segments_mut().map_err(|()| bad(base.as_str()))?;
            segments.pop_if_empty();
            for segment in &self.path {
                // The URL rules give dots a meaning, encoded ones too; an id that has it is none.
                let plain = segment.replace("%2e", ".").replace("%2E", ".");
                if matches!(plain.as_str(), "" | "." | "..") {
                    return Err(bad(segment));
                }
                segments.push(segment);
            }
            segments.push("");
        }
        if !self.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&self.query);
        }
        Ok(url)
    }
}

impl Client {
    /// Sends a call; only a 2xx is `Ok`.
    pub(super) async fn send(&self, call: &Call) -> Result<Answer, Error> {
        let exchange = |source| Error::Exchange {
            doing: call.doing.clone(),
            source,
        };
        let mut request = Request::new(call.method.clone(), call.url(&self.0.base)?)
            .pace(&self.0.calls)
            .credential(&self.0.credential)
            .map_err(exchange)?;
        if let Some(body) = &call.body {
            request = request.json(body);
        }
        if let Some(repeat) = call.repeat {
            request = request.repeat(repeat);
        }
        self.0
            .made
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let answer = self
            .0
            .http
            .call(request, JSON_LIMIT)
            .await
            .map_err(exchange)?;
        if answer.status.is_success() {
            return Ok(answer);
        }
        Err(refusal(call, &answer))
    }

    /// Sends a call and reads its JSON answer. A page for people, or JSON that breaks off, in
    /// place of an answer passes: a call that may be repeated is.
    pub(super) async fn json<T: DeserializeOwned>(&self, call: &Call) -> Result<T, Error> {
        let mut attempt = 1;
        let read = loop {
            let answer = self.send(call).await?;
            let read = answer.json();
            // JSON of another shape than expected is no disturbance: it would come again.
            let disturbed = || serde_json::from_slice::<Value>(&answer.body).is_err();
            if read.is_ok() || attempt == UNREADABLE || !call.may_be_repeated() || !disturbed() {
                break read;
            }
            tracing::debug!(doing = %call.doing, attempt, "the answer is no JSON, asking again");
            tokio::time::sleep(UNREADABLE_WAIT * 2u32.pow(attempt)).await;
            attempt += 1;
        };
        read.map_err(|source| Error::Exchange {
            doing: call.doing.clone(),
            source,
        })
    }

    /// Sends a call whose answer says nothing more than its status.
    pub(super) async fn done(&self, call: &Call) -> Result<(), Error> {
        let answer = self.send(call).await?;
        // A portal's page is no proof that iconik did anything.
        if answer.looks_like_html() {
            return Err(Error::Status {
                doing: call.doing.clone(),
                status: StatusCode::BAD_GATEWAY,
                said: "a web page came instead of an answer".to_owned(),
                retry_after: None,
            });
        }
        Ok(())
    }
}

fn refusal(call: &Call, answer: &Answer) -> Error {
    let doing = call.doing.clone();
    let said = quote(&answer.body);
    let retry_after = answer.retry_after();
    // A page for people does not come from the API: whatever its status says, it says nothing
    // about the token or the object.
    let page = answer.looks_like_html();
    match answer.status {
        StatusCode::TOO_MANY_REQUESTS => Error::Throttled { doing, retry_after },
        status if page && !status.is_server_error() => Error::Status {
            doing,
            status: StatusCode::BAD_GATEWAY,
            said: format!("a web page with status {status} came instead of an answer"),
            retry_after,
        },
        StatusCode::UNAUTHORIZED => Error::Token { doing, said },
        StatusCode::FORBIDDEN => Error::Forbidden {
            doing,
            role: call.role,
            said,
        },
        StatusCode::NOT_FOUND | StatusCode::GONE => Error::NotFound { doing, said },
        status => Error::Status {
            doing,
            status,
            said,
            retry_after,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(path: &[&str]) -> Result<String, Error> {
        let base = api_base(&Url::parse("https://app.iconik.io").unwrap());
        Call::get(path, "role", "reading")
            .url(&base)
            .map(String::from)
    }

    #[test]
    fn every_spelling_of_the_region_leads_to_the_same_address() {
        for configured in [
            "https://app.iconik.io",
            "https://app.iconik.io/",
            "https://app.iconik.io/API",
            "https://app.iconik.io/API/?x#y",
        ] {
            let base = api_base(&Url::parse(configured).unwrap());
            assert_eq!(base.as_str(), "https://app.iconik.io/API/");
        }
    }

    #[test]
    fn paths_end_in_a_slash_and_ids_stay_one_segment() {
        assert_eq!(
            url(&["assets", "v1", "assets", "a b/c?d"]).unwrap(),
            "https://app.iconik.io/API/assets/v1/assets/a%20b%2Fc%3Fd/"
        );
    }

    #[test]
    fn an_id_cannot_climb_out_of_its_path() {
        for id in ["", ".", "..", "%2e%2E"] {
            assert!(
                matches!(url(&["assets", id]), Err(Error::Id { .. })),
                "{id:?}"
            );
        }
    }
}
