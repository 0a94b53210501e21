//! Renditions: what a version's content is in other forms, one of each type, kept with the version.
//!
//! A rendition has no description that could hold a marker: it is known by its type, and compared
//! byte for byte.

use ::http::{HeaderValue, Method, StatusCode, header};
use bytes::Bytes;
use futures::StreamExt;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tracing::debug;

use super::Client;
use super::errors::{Effect, Error, Meaning, settle};
use super::form::{FilePart, Form};
use crate::transfer::{Content, Version};
use crate::types::{Failure, NodeId, Reason, VersionNote, VersionNumber};

/// A rendition that a document is to have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rendition {
    /// Its type.
    pub kind: String,
    /// The name of its file.
    pub file_name: String,
    /// Its media type.
    pub mime: String,
    /// Its content.
    pub content: String,
}

/// How a version stands to a rendition.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// It has none of that type.
    Absent,
    /// It has one with other content.
    Other,
    /// It is there.
    Same,
}

impl Client {
    /// Gives a document's newest version this rendition, in place of another of its type. Nothing is
    /// done when it is there, or when the newest version is not one that longhaul filed.
    ///
    /// # Errors
    ///
    /// `Unsupported` on a server without renditions; `Inaccessible` when we may not; an item's when
    /// the server took it and does not keep it.
    pub async fn keep_rendition(&self, node: NodeId, wanted: &Rendition) -> Result<(), Failure> {
        let kind = &wanted.kind;
        let doing = format!("the rendition {kind:?} of node {node}");
        let failed = |error: Error| error.into_failure(Effect::Repeatable).context(&doing);
        let Some(version) = self.own_newest(node).await.map_err(failed)? else {
            return Ok(());
        };
        let before = self.rendition_state(node, version, wanted).await;
        let (method, path) = match before.map_err(failed)? {
            State::Same => return Ok(()),
            State::Absent => (Method::POST, format!("v2/nodes/{node}/versions/renditions")),
            State::Other => {
                let path = format!("v2/nodes/{node}/versions/{version}/renditions");
                (Method::PUT, path)
            }
        };
        let file = FilePart {
            field: "file",
            file_name: &wanted.file_name,
            mime: &wanted.mime,
            content: Content::Chunks(vec![Bytes::from(wanted.content.clone())]),
        };
        let ending = wanted.file_name.rsplit_once('.').map_or("", |(_, end)| end);
        let fields = [("rendition_type", kind.as_str()), ("file_type", ending)];
        let call = self.call(method, &path).form(Form::new(&fields, file));
        let answer = self.json(call).await;
        // What counts is what the server keeps, whatever it answered.
        match (self.rendition_state(node, version, wanted).await, answer) {
            (Ok(State::Same), answer) => {
                if let Err(error) = answer {
                    debug!(%node, %error, "is kept all the same");
                }
                Ok(())
            }
            (_, Err(error)) | (Err(error), _) => Err(failed(error)),
            (Ok(_), Ok(_)) => Err(Failure::item(
                Reason::Other,
                format!("{doing}: the server took it and does not keep it"),
            )),
        }
    }

    /// Whether this server knows renditions at all. `node` may be any that we may see: what it says
    /// of a folder, which can have none, is an answer.
    ///
    /// # Errors
    ///
    /// As any read, but for a refusal that only knows renditions.
    pub async fn knows_renditions(&self, node: NodeId) -> Result<bool, Failure> {
        let call = self.call(Method::GET, &format!("v2/nodes/{node}/versions/renditions"));
        match self.json(call).await {
            Ok(_) => Ok(true),
            Err(error) => match error.meaning() {
                Some(Meaning::NoRoute) => Ok(false),
                Some(Meaning::Invalid | Meaning::Unknown) => Ok(true),
                _ => Err(error
                    .into_failure(Effect::Repeatable)
                    .context(format!("asking for renditions of node {node}"))),
            },
        }
    }

    /// What of a document's rendition is not as it was filed, for people.
    pub(super) async fn other_rendition(
        &self,
        node: NodeId,
        wanted: &Rendition,
    ) -> Result<Vec<String>, Failure> {
        let kind = &wanted.kind;
        let look = async {
            Ok(match self.own_newest(node).await? {
                None => None,
                Some(version) => match self.rendition_state(node, version, wanted).await? {
                    State::Same => None,
                    State::Absent => {
                        Some(format!("version {version} lacks its rendition {kind:?}"))
                    }
                    State::Other => Some(format!(
                        "the rendition {kind:?} of version {version} holds other content than was filed"
                    )),
                },
            })
        };
        let found = look.await.map_err(|error: Error| {
            let doing = format!("looking at the rendition {kind:?} of node {node}");
            error.into_failure(Effect::Repeatable).context(doing)
        })?;
        Ok(found.into_iter().collect())
    }

    /// The newest version, if longhaul filed it, as far as versions say that.
    async fn own_newest(&self, node: NodeId) -> Result<Option<VersionNumber>, Error> {
        let versions = self.list_versions(node).await?;
        let is_ours = |version: &Version| VersionNote::parse(&version.description).is_some();
        let told = versions.iter().any(is_ours);
        let newest = versions.last();
        Ok(newest
            .filter(|newest| is_ours(newest) || !told)
            .map(|newest| newest.number))
    }

    async fn rendition_state(
        &self,
        node: NodeId,
        version: VersionNumber,
        wanted: &Rendition,
    ) -> Result<State, Error> {
        let path = format!("v2/nodes/{node}/versions/{version}/renditions");
        let answer = self.json(self.call(Method::GET, &path)).await?;
        if !lists(&answer["results"], &wanted.kind) {
            return Ok(State::Absent);
        }
        let call = self
            .call(Method::GET, &format!("{path}/content"))
            .query("rendition_type", &wanted.kind)
            .header(
                header::ACCEPT_ENCODING,
                HeaderValue::from_static("identity"),
            )
            .limit(self.0.config.request_limit);
        let response = self.open(call, |status| status == StatusCode::OK).await?;
        let mut stream = response.stream();
        let mut rest = wanted.content.as_bytes();
        while let Some(frame) = stream.next().await {
            let frame = frame.map_err(|error| settle_read(error.into_failure()))?;
            match rest.strip_prefix(&*frame) {
                Some(after) => rest = after,
                None => return Ok(State::Other),
            }
        }
        Ok(match rest.is_empty() {
            true => State::Same,
            false => State::Other,
        })
    }
}

fn settle_read(failure: Failure) -> Error {
    Error::Broken {
        failure: settle(failure, Effect::Repeatable, true),
        not_done: true,
    }
}

/// Whether a list of renditions has one of that type. Rows are told by the field alone, bare or
/// below a name of their own.
fn lists(data: &Value, kind: &str) -> bool {
    match data {
        Value::Array(rows) => rows.iter().any(|row| lists(row, kind)),
        Value::Object(row) => match row.get("rendition_type") {
            Some(own) => own == kind,
            None => row.values().any(|inner| lists(inner, kind)),
        },
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_rendition_is_found_in_every_form_of_a_list() {
        let row = json!({"rendition_type": "rights", "file_name": "a.jsonld"});
        for (data, there) in [
            (json!([row]), true),
            (json!([{"versions": row}]), true),
            (json!({"versions": [row]}), true),
            (json!({"data": [row]}), true),
            (json!([{"data": row}]), true),
            (json!([{"data": [{"versions": row}]}]), true),
            (row.clone(), true),
            (json!([]), false),
            (json!([{"rendition_type": "pdf"}]), false),
            (Value::Null, false),
        ] {
            assert_eq!(lists(&data, "rights"), there, "{data}");
        }
    }
}
