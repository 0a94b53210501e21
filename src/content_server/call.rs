//! One call: its address and body, the credential it carries, and the one repeat it gets when the
//! session turned out to be over.

use std::sync::Arc;
use std::time::Duration;

use ::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use futures::future::BoxFuture;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use url::Url;

use super::Client;
use super::errors::{self, Effect, Error, Meaning};
use super::form::{Form, Watch};
use crate::http::{self, Body, CookieJar, JSON_LIMIT, Repeat, Request, Response};
use crate::types::{Failure, MIB};

/// Contents from this size on are announced first (`Expect: 100-continue`), so that a refusal
/// comes before they are sent. Below, the round trip costs more than it saves.
const ANNOUNCE: u64 = 64 * MIB;

/// The address of `path` (below `/api`, already encoded) on the server at `base`.
pub(super) fn api_url(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("{}/api/{path}", base.path().trim_end_matches('/')));
    url
}

/// One piece of a path, with everything that could end it encoded.
pub(super) fn segment(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// What a call sends.
enum Payload {
    Nothing,
    Fields(Vec<(String, String)>),
    Form(Box<Form>),
}

/// A call to the REST interface.
pub(super) struct Call {
    method: Method,
    url: Url,
    headers: Vec<(HeaderName, HeaderValue)>,
    payload: Payload,
    repeat: Option<Repeat>,
    limit: Option<Duration>,
    cookies: Option<CookieJar>,
    secret_path: bool,
    announced: bool,
    mute: bool,
}

impl Call {
    /// Adds a query parameter.
    pub(super) fn query(mut self, name: &str, value: &str) -> Self {
        self.url.query_pairs_mut().append_pair(name, value);
        self
    }

    /// Adds a query parameter that has no value.
    pub(super) fn flag(mut self, name: &str) -> Self {
        self.url.query_pairs_mut().append_key_only(name);
        self
    }

    pub(super) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Sends form fields; a name may repeat.
    pub(super) fn fields<K, V>(mut self, fields: impl IntoIterator<Item = (K, V)>) -> Self
    where
        K: Into<String>,
        V: Into<String>,
    {
        self.payload = Payload::Fields(
            fields
                .into_iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        );
        self
    }

    /// Sends structured parameters: JSON in the form field `body`. The server's core calls take
    /// no JSON request bodies.
    pub(super) fn body(self, parameters: &Value) -> Self {
        self.fields([("body", parameters.to_string())])
    }

    /// Sends a form with a file.
    pub(super) fn form(mut self, form: Form) -> Self {
        self.payload = Payload::Form(Box::new(form));
        self
    }

    /// Says that repeating the call does nothing more than the first time.
    pub(super) fn repeatable(mut self) -> Self {
        self.repeat = Some(Repeat::Safe);
        self
    }

    /// Time to the response head.
    pub(super) fn limit(mut self, limit: Duration) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Says that the path holds an upload session's key.
    pub(super) fn secret_path(mut self) -> Self {
        self.secret_path = true;
        self
    }

    /// Asks for agreement before the body, whatever its size.
    pub(super) fn announced(mut self) -> Self {
        self.announced = true;
        self
    }

    /// Says that the reference states no answer to this call: a success may then have no body. What
    /// it did must be read back.
    pub(super) fn mute(mut self) -> Self {
        self.mute = true;
        self
    }

    /// Uses the cookies of an upload session.
    pub(super) fn cookies(mut self, jar: CookieJar) -> Self {
        self.cookies = Some(jar);
        self
    }

    /// Whether the body can be sent once more.
    pub(super) fn replayable(&self) -> bool {
        match &self.payload {
            Payload::Nothing | Payload::Fields(_) => true,
            Payload::Form(form) => form.replayable(),
        }
    }

    fn request(&mut self) -> Result<(Request, Option<Arc<Watch>>), Error> {
        let mut request = Request::new(self.method.clone(), self.url.clone());
        for (name, value) in &self.headers {
            request = request.header(name.clone(), value.clone());
        }
        let mut watch = None;
        match &mut self.payload {
            Payload::Nothing => {}
            Payload::Fields(fields) => {
                let fields: Vec<_> = fields
                    .iter()
                    .map(|(n, v)| (n.as_str(), v.as_str()))
                    .collect();
                request = request.form(&fields);
            }
            Payload::Form(form) => {
                let (body, seen) = form.body().ok_or_else(|| Error::Broken {
                    failure: Failure::transient(
                        "the content has passed already and must be read again",
                    ),
                    not_done: true,
                })?;
                let content_type = HeaderValue::try_from(form.content_type())
                    .expect("a boundary of letters, digits and dashes fits in a header");
                request = request.header(header::CONTENT_TYPE, content_type);
                let large = matches!(body, Body::Stream { len, .. } if len >= ANNOUNCE);
                if large || self.announced {
                    request = request.expect_continue();
                }
                request = request.body(body);
                watch = seen;
            }
        }
        if let Some(repeat) = self.repeat {
            request = request.repeat(repeat);
        }
        if let Some(limit) = self.limit {
            request = request.first_byte(limit);
        }
        if self.secret_path {
            request = request.secret_path();
        }
        if let Some(jar) = &self.cookies {
            request = request.cookies(jar);
        }
        Ok((request, watch))
    }
}

/// Which statuses a caller reads the body of itself.
type Take = fn(StatusCode) -> bool;

/// A complete answer, or one whose body the caller reads itself.
enum Reply {
    Json(Value),
    Open(Response),
}

impl Client {
    /// A call to `path` below `/api`, whose pieces are encoded already.
    pub(super) fn call(&self, method: Method, path: &str) -> Call {
        Call {
            method,
            url: api_url(&self.0.config.url, path),
            headers: Vec::new(),
            payload: Payload::Nothing,
            repeat: None,
            limit: None,
            cookies: None,
            secret_path: false,
            announced: false,
            mute: false,
        }
    }

    /// Makes a call and reads its JSON.
    pub(super) async fn json(&self, call: Call) -> Result<Value, Error> {
        match self.run(call, None).await? {
            Reply::Json(value) => Ok(value),
            Reply::Open(_) => Err(Error::Unreadable("an unread body".into())),
        }
    }

    /// Makes a call with these parameters in `body`, or in fields of their own where the server
    /// does not look for them there.
    pub(super) async fn write(
        &self,
        call: impl Fn() -> Call,
        parameters: &Value,
    ) -> Result<Value, Error> {
        match self.json(call().body(parameters)).await {
            Err(error) if error.misses_parameters() => match plain_fields(parameters) {
                Some(fields) => self.json(call().fields(fields)).await,
                None => Err(error),
            },
            other => other,
        }
    }

    /// The same the other way round: fields first.
    pub(super) async fn write_fields(
        &self,
        call: impl Fn() -> Call,
        parameters: &Value,
    ) -> Result<Value, Error> {
        let Some(fields) = plain_fields(parameters) else {
            return self.json(call().body(parameters)).await;
        };
        match self.json(call().fields(fields)).await {
            Err(error) if error.misses_parameters() => self.json(call().body(parameters)).await,
            other => other,
        }
    }

    /// Makes a call and hands out the answer unread when `take` agrees to its status; other
    /// answers are errors.
    pub(super) async fn open(&self, call: Call, take: Take) -> Result<Response, Error> {
        match self.run(call, Some(take)).await? {
            Reply::Open(response) => Ok(response),
            Reply::Json(_) => Err(Error::Unreadable("an answer without content".into())),
        }
    }

    async fn run(&self, mut call: Call, take: Option<Take>) -> Result<Reply, Error> {
        let (http, sign_in) = (&self.0.http, &self.0.sign_in);
        let mut repeated = false;
        if !call.replayable() {
            self.prove_session().await?;
        }
        loop {
            let pass = sign_in.pass().await.map_err(Error::SignIn)?;
            let (request, watch) = call.request()?;
            let broken = |error| broken(error, watch.as_deref());
            let request = request.credential(&pass.credential).map_err(broken)?;
            let answer = match take {
                None => http.call(request, JSON_LIMIT).await.map_err(broken)?,
                Some(take) => {
                    let response = http.send(request).await.map_err(broken)?;
                    if take(response.status()) {
                        sign_in.seen(&pass, response.status(), response.headers());
                        return Ok(Reply::Open(response));
                    }
                    response.answer(JSON_LIMIT).await.map_err(broken)?
                }
            };
            sign_in.seen(&pass, answer.status, &answer.headers);
            let blank = answer.body.iter().all(u8::is_ascii_whitespace);
            if call.mute && blank && answer.status.is_success() {
                return Ok(Reply::Json(Value::Null));
            }
            let read = errors::read(answer.status, &answer.body, answer.retry_after());
            let signed_out =
                matches!(&read, Err(error) if error.meaning() == Some(Meaning::SignedOut));
            if signed_out && !repeated {
                sign_in
                    .renew(pass.generation)
                    .await
                    .map_err(Error::SignIn)?;
                if call.replayable() {
                    repeated = true;
                    continue;
                }
            }
            return read.map(Reply::Json);
        }
    }

    /// Makes sure that the session is accepted before a body that cannot be sent twice. The look
    /// carries no body, so it signs in again by itself; its failure means that the call behind it
    /// was not made. (Boxed by type: a call proves the session with a call.)
    fn prove_session(&self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async {
            if !self.0.sign_in.pass().await.map_err(Error::SignIn)?.doubtful {
                return Ok(());
            }
            match self.json(self.call(Method::GET, "v1/auth")).await {
                Ok(_) => Ok(()),
                Err(error) => Err(Error::SignIn(error.into_failure(Effect::Repeatable))),
            }
        })
    }
}

/// Parameters as form fields, those with several values repeated; nothing when one has members of
/// its own.
fn plain_fields(parameters: &Value) -> Option<Vec<(String, String)>> {
    let mut fields = Vec::new();
    for (name, value) in parameters.as_object()? {
        match value {
            // A name without a value takes away what is there.
            Value::Array(values) if values.is_empty() => fields.push((name.clone(), String::new())),
            Value::Array(values) => {
                for value in values {
                    fields.push((name.clone(), scalar(value)?));
                }
            }
            value => fields.push((name.clone(), scalar(value)?)),
        }
    }
    Some(fields)
}

/// A value as a field holds it; nothing clears it.
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::Null => Some(String::new()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) => Some(text.clone()),
        Value::Array(_) | Value::Object(_) => None,
    }
}

/// What a broken exchange says about the call: nothing was done when it was not sent, or when its
/// body never became complete.
pub(super) fn broken(error: http::Error, watch: Option<&Watch>) -> Error {
    if let Some(failure) = watch.and_then(Watch::failure) {
        return Error::Broken {
            failure,
            not_done: true,
        };
    }
    // A success for half a body is a server with ideas of its own: it may have made something.
    let early = matches!(error, http::Error::AnsweredEarly { .. });
    let cut = watch.is_some_and(|watch| !watch.whole());
    Error::Broken {
        not_done: error.not_sent() || (cut && !early),
        failure: error.into_failure(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn plain_values_become_form_fields_and_objects_do_not() {
        let values = json!({
            "9_2": "x", "9_3": ["a", "b"], "9_4": 7, "9_5": true, "9_6": null, "9_7": [],
        });
        let fields = plain_fields(&values).unwrap();
        let fields: Vec<_> = fields
            .iter()
            .map(|(k, v)| (k.as_str(), v.as_str()))
            .collect();
        assert_eq!(
            fields,
            [
                ("9_2", "x"),
                ("9_3", "a"),
                ("9_3", "b"),
                ("9_4", "7"),
                ("9_5", "true"),
                ("9_6", ""),
                ("9_7", "")
            ]
        );
        assert!(plain_fields(&json!({"9_2_multilingual": {"en": "x"}})).is_none());
    }
}
