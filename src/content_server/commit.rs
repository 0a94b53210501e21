//! The calls that make something visible: folders, documents, versions.
//!
//! A new document or version takes its content from a closed upload session (plain form fields, as
//! the official browser client sends them) or from the call's own body (one streamed form). What
//! comes back is compared with what was asked for before it counts as committed: an answer that
//! names nothing, or something else, leaves the outcome open.

use std::sync::atomic::Ordering;

use ::http::Method;
use serde_json::{Value, json};
use tracing::warn;

use super::call::Call;
use super::categories::CategoryValues;
use super::errors::{Effect, Error, Meaning};
use super::folders::Container;
use super::form::{FilePart, Form};
use super::names::fold;
use super::versions::description;
use super::wire::{self, COMPOUND, DOCUMENT, FOLDER, Properties};
use super::{Client, Versioning};
use crate::transfer::{Committed, Content, NewContent};
use crate::types::{Failure, FailureClass, NodeId, Reason, UploadKey, VersionNumber};

impl Client {
    /// Creates a folder that carries categories from the start.
    ///
    /// # Errors
    ///
    /// As [`create_container`](crate::transfer::Destination::create_container).
    pub async fn create_folder(
        &self,
        parent: NodeId,
        name: &str,
        categories: &CategoryValues,
    ) -> Result<NodeId, Failure> {
        self.create_holder(Container::Folder, parent, name, categories)
            .await
    }

    /// Creates something that holds documents.
    pub(super) async fn create_holder(
        &self,
        kind: Container,
        parent: NodeId,
        name: &str,
        categories: &CategoryValues,
    ) -> Result<NodeId, Failure> {
        let (subtype, what) = match kind {
            Container::Folder => (FOLDER, "folder"),
            Container::CompoundDocument => (COMPOUND, "compound document"),
        };
        let create = async {
            let call = self
                .call(Method::POST, "v2/nodes")
                .body(&new_node(subtype, parent, name, categories));
            let answer = self.commit(call, None).await?;
            Ok(NodeId(created(&answer, name)?.id))
        };
        create.await.map_err(|error: Error| {
            error
                .into_failure(Effect::Commit)
                .context(format!("creating {what} {name:?} in node {parent}"))
        })
    }

    /// Creates a document that carries categories from the start. Whether the server takes them
    /// together with an upload session is not documented: read them back.
    ///
    /// # Errors
    ///
    /// As [`create_document`](crate::transfer::Destination::create_document).
    pub async fn create_document_with(
        &self,
        parent: NodeId,
        name: &str,
        content: NewContent,
        categories: &CategoryValues,
    ) -> Result<Committed, Failure> {
        self.post_document(parent, name, content, categories)
            .await
            .map_err(|error| {
                error.of_content(format!("creating document {name:?} in node {parent}"))
            })
    }

    async fn post_document(
        &self,
        parent: NodeId,
        name: &str,
        content: NewContent,
        categories: &CategoryValues,
    ) -> Result<Committed, Error> {
        let mut parameters = new_node(DOCUMENT, parent, name, categories);
        for (name, on) in self.counted(true) {
            parameters[name] = on.into();
        }
        let call = || self.call(Method::POST, "v2/nodes");
        let answer = match content {
            NewContent::Session(session) => {
                let key = session.key;
                parameters["upload_key"] = key.as_str().into();
                let call = || {
                    call()
                        .cookies(self.jar(&key))
                        .limit(self.0.config.request_limit)
                };
                // The official browser client sends fields; the reference asks for `body`.
                let answer = self.write_fields(call, &parameters).await?;
                self.forget_session(&key);
                answer
            }
            NewContent::Body {
                file_name,
                mime,
                content,
            } => {
                let file = file_part(&file_name, &mime, content);
                let form = Form::new(&[("body", &parameters.to_string())], file);
                self.commit(call().form(form), None).await?
            }
        };
        let properties = created(&answer, name)?;
        Ok(Committed {
            node: NodeId(properties.id),
            version: VersionNumber(1),
            size: properties.size,
        })
    }

    /// Adds a version. Servers without the v2 route have a v1 twin; once that is known it is used
    /// straight away.
    pub(super) async fn post_version(
        &self,
        node: NodeId,
        note: &str,
        content: NewContent,
    ) -> Result<Committed, Error> {
        if self.0.old_versions.load(Ordering::Relaxed) {
            return self.try_version("v1", node, note, content).await;
        }
        let spare = spare(&content);
        match self.try_version("v2", node, note, content).await {
            Err(error) if error.meaning() == Some(Meaning::NoRoute) => {
                warn!(%node, "this server adds versions through its v1 interface only");
                self.0.old_versions.store(true, Ordering::Relaxed);
                match spare {
                    Some(content) => self.try_version("v1", node, note, content).await,
                    None => Err(Error::Broken {
                        failure: Failure::new(
                            FailureClass::RetryNow,
                            Reason::NotDone,
                            "the server has no v2 route for versions; the next attempt uses v1",
                        ),
                        not_done: true,
                    }),
                }
            }
            other => other,
        }
    }

    async fn try_version(
        &self,
        interface: &str,
        node: NodeId,
        note: &str,
        content: NewContent,
    ) -> Result<Committed, Error> {
        let note = description(note);
        let call = self.call(Method::POST, &format!("{interface}/nodes/{node}/versions"));
        let (call, key) = match content {
            NewContent::Session(session) => {
                let key = session.key;
                let mut fields = vec![
                    ("upload_key", key.as_str().to_owned()),
                    ("description", note.to_owned()),
                ];
                let counted = self.counted(false).into_iter();
                fields.extend(counted.map(|(name, on)| (name, on.to_string())));
                let call = call.fields(fields).cookies(self.jar(&key));
                (call, Some(key))
            }
            NewContent::Body {
                file_name,
                mime,
                content,
            } => {
                let file = file_part(&file_name, &mime, content);
                let mut fields = vec![("description", note)];
                let counted = self.counted(false).into_iter();
                fields.extend(counted.map(|(name, on)| (name, if on { "true" } else { "false" })));
                (call.form(Form::new(&fields, file)), None)
            }
        };
        let answer = self.commit(call, key.as_ref()).await?;
        added(&answer, node)
    }

    /// What the server is told of how a version counts, when that is not its own way: of a new
    /// document, or of a version added to one.
    fn counted(&self, new: bool) -> Vec<(&'static str, bool)> {
        let major = match self.0.config.versioning {
            Versioning::Standard => return Vec::new(),
            Versioning::Major => true,
            Versioning::Minor => false,
        };
        let mut told = vec![("add_major_version", major)];
        if new {
            told.push(("advanced_versioning", true));
        }
        told
    }

    /// Sends a commit: the server may work on it for as long as a request lives there.
    pub(super) async fn commit(&self, call: Call, key: Option<&UploadKey>) -> Result<Value, Error> {
        let answer = self.json(call.limit(self.0.config.request_limit)).await?;
        if let Some(key) = key {
            self.forget_session(key);
        }
        Ok(answer)
    }
}

pub(super) fn file_part<'a>(file_name: &'a str, mime: &'a str, content: Content) -> FilePart<'a> {
    FilePart {
        field: "file",
        file_name,
        mime,
        content,
    }
}

/// The same content once more, when it does not pass only once.
fn spare(content: &NewContent) -> Option<NewContent> {
    match content {
        NewContent::Session(session) => Some(NewContent::Session(session.clone())),
        NewContent::Body {
            file_name,
            mime,
            content: Content::Chunks(chunks),
        } => Some(NewContent::Body {
            file_name: file_name.clone(),
            mime: mime.clone(),
            content: Content::Chunks(chunks.clone()),
        }),
        NewContent::Body { .. } => None,
    }
}

pub(super) fn new_node(
    subtype: i64,
    parent: NodeId,
    name: &str,
    categories: &CategoryValues,
) -> Value {
    let mut node = json!({"type": subtype, "parent_id": parent.0, "name": name});
    if !categories.is_empty() {
        node["roles"] = json!({ "categories": categories });
    }
    node
}

/// What a create call's answer says was made. A name is compared loosely: a server that trims or
/// normalises made our node, one that names another thing answered somebody else's call.
pub(super) fn created(answer: &Value, name: &str) -> Result<Properties, Error> {
    let properties = match wire::section(answer, "properties") {
        Ok(properties) => properties,
        // The v1 shape.
        Err(error) => answer.get("id").map(|_| answer).ok_or(error)?,
    };
    let properties: Properties = wire::parse(properties, "properties")?;
    if properties.id <= 0 {
        return Err(Error::Unreadable(format!(
            "{} is no node id",
            properties.id
        )));
    }
    if !properties.name.is_empty() && fold(properties.name.trim()) != fold(name.trim()) {
        return Err(Error::Unreadable(format!(
            "{name:?} was asked for and node {} with another name came",
            properties.id
        )));
    }
    Ok(properties)
}

/// What an add-version call's answer says was made, in either interface's shape.
fn added(answer: &Value, node: NodeId) -> Result<Committed, Error> {
    #[derive(serde::Deserialize)]
    struct Added {
        #[serde(default, deserialize_with = "wire::maybe_whole")]
        id: Option<i64>,
        #[serde(deserialize_with = "wire::whole")]
        version_number: i64,
        #[serde(default, deserialize_with = "wire::maybe_count")]
        file_size: Option<u64>,
    }
    let version = match wire::section(answer, "versions") {
        Ok(version) => version,
        Err(error) => answer.get("version_number").map(|_| answer).ok_or(error)?,
    };
    let version: Added = wire::parse(version, "versions")?;
    if version.id.is_some_and(|id| id != node.0) || version.version_number < 1 {
        return Err(Error::Unreadable(format!(
            "a version of node {node} was added and version {} of node {} came",
            version.version_number,
            version.id.unwrap_or(node.0)
        )));
    }
    Ok(Committed {
        node,
        version: VersionNumber(version.version_number),
        size: version.file_size,
    })
}
