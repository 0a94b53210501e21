//! The server as its clients see it, over real sockets.

mod access;
mod collections;
mod faults;
mod filing;
mod finding;
mod forms;
mod metadata;
mod people;
mod records;
mod renditions;
mod shortcuts;
mod uploads;

use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::simulator::faults::{Action, Faults, Rule, System};
use crate::simulator::testing::{self, Got};

/// A server with a folder, an administrator's ticket and no limits on upload sizes.
struct Site {
    cs: Arc<ContentServer>,
    _server: Server,
    url: String,
    faults: Faults,
    ticket: String,
    folder: i64,
}

impl Site {
    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::default();
        config.multipart.min_size = 0;
        config.multipart.part_size = 1000;
        change(&mut config);
        let cs = ContentServer::new(config).unwrap();
        let setup = server::Config::new(System::ContentServer);
        let faults = setup.faults.clone();
        let server = cs.serve(setup).await.unwrap();
        let url = format!("{}{}/api", server.url(), cs.config().cgi);
        let folder = cs.add_folder(ENTERPRISE, "Masters");
        let mut site = Self {
            cs,
            _server: server,
            url,
            faults,
            ticket: String::new(),
            folder,
        };
        site.ticket = site.login(ADMIN_NAME, ADMIN_PASSWORD).await;
        site
    }

    async fn login(&self, name: &str, password: &str) -> String {
        let form = format!("username={name}&password={password}");
        let got = self.raw("POST", "/v1/auth", &[FORM], form).await;
        got.json()["ticket"].as_str().unwrap().to_owned()
    }

    /// Adds a user who may read, and signs in as that user.
    async fn reader(&self) -> (i64, String) {
        let user = User {
            name: "ann".into(),
            password: "pw".into(),
            administrator: false,
        };
        (self.cs.add_user(user), self.login("ann", "pw").await)
    }

    async fn raw(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Vec<u8>>,
    ) -> Got {
        self.try_raw(method, path, headers, body).await.unwrap()
    }

    async fn try_raw(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Vec<u8>>,
    ) -> Result<Got, hyper::Error> {
        testing::send(method, &format!("{}{path}", self.url), headers, body.into()).await
    }

    async fn as_user(&self, ticket: &str, method: &str, path: &str, form: &str) -> Got {
        self.raw(method, path, &[FORM, ("OTCSTicket", ticket)], form)
            .await
    }

    async fn get(&self, path: &str) -> Got {
        self.as_user(&self.ticket, "GET", path, "").await
    }

    async fn form(&self, method: &str, path: &str, form: &str) -> Got {
        self.as_user(&self.ticket, method, path, form).await
    }

    async fn body(&self, method: &str, path: &str, body: Value) -> Got {
        self.form(method, path, &packed(&body)).await
    }

    async fn upload(&self, path: &str, fields: &[(&str, &str)], file: (&str, &str, &[u8])) -> Got {
        let headers = [MULTIPART, ("OTCSTicket", self.ticket.as_str())];
        self.raw("POST", path, &headers, multipart(fields, Some(file)))
            .await
    }

    /// Creates a document through one form; its id.
    async fn document(&self, name: &str, content: &[u8]) -> i64 {
        let body = json!({"type": 144, "parent_id": self.folder, "name": name}).to_string();
        let got = self
            .upload("/v2/nodes", &[("body", &body)], ("file", name, content))
            .await;
        assert_eq!(got.status, 200, "{}", got.text());
        id(&got)
    }

    async fn children(&self) -> Vec<String> {
        let got = self
            .get(&format!("/v2/nodes/{}/nodes?limit=100", self.folder))
            .await
            .json();
        let name = |row: &Value| {
            row["data"]["properties"]["name"]
                .as_str()
                .unwrap()
                .to_owned()
        };
        got["results"]
            .as_array()
            .unwrap()
            .iter()
            .map(name)
            .collect()
    }

    async fn properties(&self, id: i64) -> Value {
        self.get(&format!("/v2/nodes/{id}")).await.json()["results"]["data"]["properties"].clone()
    }

    fn fault(&self, method: &str, path: &str, action: Action) {
        self.faults.add(Rule::new(action).method(method).path(path));
    }
}

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
const MULTIPART: (&str, &str) = ("content-type", "multipart/form-data; boundary=XX");

/// A `body` field with that JSON, url-encoded.
fn packed(body: &Value) -> String {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.append_pair("body", &body.to_string());
    form.finish()
}

fn multipart(fields: &[(&str, &str)], file: Option<(&str, &str, &[u8])>) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in fields {
        out.extend_from_slice(
            format!("--XX\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
                .as_bytes(),
        );
    }
    if let Some((field, name, content)) = file {
        let head = format!(
            "--XX\r\nContent-Disposition: form-data; name=\"{field}\"; filename=\"{name}\"\r\n\
            Content-Type: application/octet-stream\r\n\r\n"
        );
        out.extend_from_slice(head.as_bytes());
        out.extend_from_slice(content);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"--XX--\r\n");
    out
}

#[track_caller]
fn id(got: &Got) -> i64 {
    got.json()["results"]["data"]["properties"]["id"]
        .as_i64()
        .unwrap()
}

#[track_caller]
fn refused(got: &Got, status: u16, text: &str) {
    assert_eq!(got.status, status, "{}", got.text());
    let json = got.json();
    let error = json["error"].as_str().unwrap();
    assert!(error.contains(text), "{error:?} says nothing of {text:?}");
}
