//! The calls that ask a server how it behaves. They write, and only into a scratch folder.
//!
//! A scratch folder and what is made in it carry one mark as their description. What does not
//! carry it, and is not known by its id to be of the trial that was made in it, is somebody
//! else's: [`Client::delete_scratch`] looks at every node below before it deletes the folder, and
//! leaves all of it where one is foreign.

use std::collections::VecDeque;

use ::http::{HeaderValue, Method, StatusCode, header};
use bytes::Bytes;
use futures::{StreamExt, stream};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Client;
use super::commit::{created, file_part, new_node};
use super::errors::{Effect, Error};
use super::form::Form;
use super::versions::{content_status, range_start};
use super::wire::{self, DOCUMENT, FOLDER};
use crate::transfer::{ByteStream, Committed, Content, NewContent};
use crate::types::{ByteCount, Failure, FailureClass, NodeId, Reason, VersionNumber};

/// Most nodes that a scratch folder can have; one with more has become something else.
const MOST_NODES: usize = 10_000;

/// A node of a scratch, as the server describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marked {
    /// Its id.
    pub id: NodeId,
    /// The container it is in.
    pub parent: NodeId,
    /// Its name.
    pub name: String,
    /// Whether other nodes can be in it.
    pub container: bool,
    /// Its description, which holds the mark.
    pub description: String,
    /// The external identity it has.
    pub external_identity: String,
}

#[derive(Deserialize)]
struct Row {
    #[serde(deserialize_with = "wire::whole")]
    id: i64,
    #[serde(deserialize_with = "wire::whole")]
    parent_id: i64,
    #[serde(default, deserialize_with = "wire::text")]
    name: String,
    #[serde(default)]
    container: Option<bool>,
    #[serde(default, rename = "type", deserialize_with = "wire::maybe_whole")]
    subtype: Option<i64>,
    #[serde(default, deserialize_with = "wire::text")]
    description: String,
    #[serde(default, deserialize_with = "wire::text")]
    external_identity: String,
}

impl From<Row> for Marked {
    fn from(row: Row) -> Self {
        Self {
            id: NodeId(row.id),
            parent: NodeId(row.parent_id),
            name: row.name,
            container: row.container.unwrap_or(row.subtype == Some(FOLDER)),
            description: row.description,
            external_identity: row.external_identity,
        }
    }
}

/// A node to make in a scratch.
pub struct ScratchNode<'a> {
    /// The container.
    pub parent: NodeId,
    /// The name.
    pub name: &'a str,
    /// What it carries as its description.
    pub mark: &'a str,
    /// A document's content; a folder has none.
    pub content: Option<NewContent>,
    /// Further parameters of the call.
    pub with: Value,
}

/// What came of a range that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RangeSeen {
    /// The status of the answer.
    pub status: u16,
    /// The first byte that the answer says it begins with.
    pub start: Option<u64>,
    /// How many bytes came.
    pub bytes: u64,
}

/// What was said to a body that was announced and never sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Announced {
    /// Nothing against it.
    NotRefused,
    /// It is too large.
    TooLarge,
    /// Something else.
    Otherwise(String),
}

impl Client {
    /// Makes a node in a scratch. The answer is not trusted with the name, which servers may
    /// change: read the node.
    ///
    /// # Errors
    ///
    /// As [`create_document`](crate::transfer::Destination::create_document).
    pub async fn create_in_scratch(&self, node: ScratchNode<'_>) -> Result<Committed, Failure> {
        let doing = format!("making {:?} in the scratch {}", node.name, node.parent);
        self.post_scratch(node)
            .await
            .map_err(|error| error.into_failure(Effect::Commit).context(doing))
    }

    async fn post_scratch(&self, node: ScratchNode<'_>) -> Result<Committed, Error> {
        let subtype = if node.content.is_some() {
            DOCUMENT
        } else {
            FOLDER
        };
        let none = super::CategoryValues::default();
        let mut parameters = new_node(subtype, node.parent, node.name, &none);
        parameters["description"] = node.mark.into();
        if let Value::Object(with) = node.with {
            for (key, value) in with {
                parameters[key] = value;
            }
        }
        let call = self.call(Method::POST, "v2/nodes");
        let (call, key) = match node.content {
            None => (call.body(&parameters), None),
            Some(NewContent::Session(session)) => {
                parameters["upload_key"] = session.key.as_str().into();
                let call = call.body(&parameters).cookies(self.jar(&session.key));
                (call, Some(session.key))
            }
            Some(NewContent::Body {
                file_name,
                mime,
                content,
            }) => {
                let file = file_part(&file_name, &mime, content);
                let form = Form::new(&[("body", &parameters.to_string())], file);
                (call.form(form), None)
            }
        };
        let answer = self.commit(call, key.as_ref()).await?;
        let properties = created(&answer, node.name)?;
        Ok(Committed {
            node: NodeId(properties.id),
            version: VersionNumber(1),
            size: properties.size,
        })
    }

    /// A node with its mark.
    ///
    /// # Errors
    ///
    /// As any read.
    pub async fn marked(&self, node: NodeId) -> Result<Marked, Failure> {
        let read = async {
            let call = self
                .call(Method::GET, &format!("v2/nodes/{node}"))
                .query("fields", "properties");
            let answer = self.json(call).await?;
            let row: Row = wire::parse(wire::section(&answer, "properties")?, "properties")?;
            if row.id != node.0 {
                return Err(Error::Unreadable(format!(
                    "node {node} was asked for and node {} came",
                    row.id
                )));
            }
            Ok(Marked::from(row))
        };
        read.await.map_err(|error: Error| {
            error
                .into_failure(Effect::Repeatable)
                .context(format!("reading node {node}"))
        })
    }

    async fn marked_children(&self, parent: NodeId) -> Result<Vec<Marked>, Error> {
        let limit = self.0.config.page_size;
        let mut rows: Vec<Marked> = Vec::new();
        for number in 1.. {
            let call = self
                .call(Method::GET, &format!("v2/nodes/{parent}/nodes"))
                .query("page", &number.to_string())
                .query("limit", &limit.to_string())
                .query("sort", "asc_name")
                .query("show_hidden", "true")
                .query("fields", "properties");
            let answer = self.json(call).await?;
            let page = wire::page::<Row>(&answer, "properties", number, limit)?;
            let before = rows.len();
            rows.extend(page.rows.into_iter().map(Marked::from));
            if !page.more || rows.len() == before || rows.len() > MOST_NODES {
                if page.total.is_some_and(|total| total > rows.len() as u64) {
                    return Err(Error::Unreadable(format!(
                        "{} of {} children of node {parent} were listed",
                        rows.len(),
                        page.total.unwrap_or_default()
                    )));
                }
                break;
            }
        }
        Ok(rows)
    }

    /// Scratch folders in a container: those whose name begins with `prefix` and is their mark.
    ///
    /// # Errors
    ///
    /// As any read.
    pub async fn scratches(&self, parent: NodeId, prefix: &str) -> Result<Vec<Marked>, Failure> {
        let mut children = self.marked_children(parent).await.map_err(|error| {
            error
                .into_failure(Effect::Repeatable)
                .context(format!("listing node {parent}"))
        })?;
        children.retain(|node| node.name.starts_with(prefix) && node.description == node.name);
        Ok(children)
    }

    /// Deletes a scratch folder with everything in it, provided that it is one: the folder carries
    /// `mark`, and every node below does or is `own`. `Ok(Some(..))` says what does not, and
    /// nothing is deleted.
    ///
    /// # Errors
    ///
    /// As any read; a refusal to delete.
    pub async fn delete_scratch(
        &self,
        folder: NodeId,
        parent: NodeId,
        mark: &str,
        own: &(dyn Fn(NodeId) -> bool + Sync),
    ) -> Result<Option<String>, Failure> {
        let doing = || format!("deleting the scratch {folder}");
        let top = self.marked(folder).await?;
        if mark.is_empty() || top.description != mark || top.parent != parent || !top.container {
            return Ok(Some(format!(
                "node {folder} {:?} does not say of itself that it is a scratch",
                top.name
            )));
        }
        let look = async {
            // Folders to look into, and whether they are in an item of a trial: the directories of
            // a camera card are known by no id, and what lies in them is.
            let mut folders = VecDeque::from([(folder, false)]);
            let mut seen = 0;
            while let Some((at, inside)) = folders.pop_front() {
                for child in self.marked_children(at).await? {
                    seen += 1;
                    let known = own(child.id);
                    let ours = child.description == mark || known || (inside && child.container);
                    if !ours || seen > MOST_NODES {
                        return Ok(Some(format!(
                            "node {} {:?} in it was not made by longhaul",
                            child.id, child.name
                        )));
                    }
                    if child.container {
                        folders.push_back((child.id, inside || known));
                    }
                }
            }
            Ok(None)
        };
        let foreign = look
            .await
            .map_err(|error: Error| error.into_failure(Effect::Repeatable).context(doing()))?;
        if foreign.is_some() {
            return Ok(foreign);
        }
        let call = self
            .call(Method::DELETE, &format!("v2/nodes/{folder}"))
            .repeatable()
            .limit(self.0.config.request_limit);
        match self.json(call).await {
            Ok(_) => Ok(None),
            Err(error) => Err(error.into_failure(Effect::Repeatable).context(doing())),
        }
    }

    /// Whether something that we deleted today under that name lies in the recycle bin.
    ///
    /// # Errors
    ///
    /// A server that does not show its bin.
    pub async fn in_recycle_bin(&self, name: &str) -> Result<bool, Failure> {
        let call = self
            .call(Method::GET, "v2/volumes/recyclebin/nodes")
            .query("mode", "user_deleted_today")
            .query("where_name", name)
            .query("fields", "properties");
        let read = async {
            let answer = self.json(call).await?;
            let page = wire::page::<Row>(&answer, "properties", 1, self.0.config.page_size)?;
            Ok(page.rows.iter().any(|row| row.name == name))
        };
        read.await.map_err(|error: Error| {
            error
                .into_failure(Effect::Repeatable)
                .context("looking into the recycle bin")
        })
    }

    /// Moves and renames in one call, whatever is known of the server.
    ///
    /// # Errors
    ///
    /// As any call that may be repeated.
    pub async fn try_move_and_rename(
        &self,
        node: NodeId,
        parent: NodeId,
        name: &str,
    ) -> Result<(), Failure> {
        self.put_node(node, Some(parent), Some(name))
            .await
            .map_err(|error| error.into_failure(Effect::Repeatable))
    }

    /// Describes a version with the whole text, however long.
    ///
    /// # Errors
    ///
    /// As any call that may be repeated.
    pub async fn try_description(
        &self,
        node: NodeId,
        version: VersionNumber,
        text: &str,
    ) -> Result<(), Failure> {
        let call = self
            .call(Method::PUT, &format!("v2/nodes/{node}/versions/{version}"))
            .fields([("description", text)])
            .repeatable();
        self.json(call)
            .await
            .map(drop)
            .map_err(|error| error.into_failure(Effect::Repeatable))
    }

    /// Asks for a version's content from byte `from`, and says what came.
    ///
    /// # Errors
    ///
    /// As any read.
    pub async fn try_range(
        &self,
        node: NodeId,
        version: VersionNumber,
        from: ByteCount,
    ) -> Result<RangeSeen, Failure> {
        let path = format!("v2/nodes/{node}/versions/{version}/content");
        let range =
            HeaderValue::try_from(format!("bytes={from}-")).expect("digits fit in a header");
        let call = self
            .call(Method::GET, &path)
            .header(
                header::ACCEPT_ENCODING,
                HeaderValue::from_static("identity"),
            )
            .header(header::RANGE, range)
            .limit(self.0.config.part_limit);
        let response = self
            .open(call, content_status)
            .await
            .map_err(|error| error.into_failure(Effect::Repeatable))?;
        let (status, start) = (response.status(), range_start(response.headers()));
        let mut body = response.stream();
        let mut bytes = 0;
        while let Some(frame) = body.next().await {
            bytes += frame
                .map_err(|error| {
                    let failure = error.into_failure();
                    super::errors::settle(failure, Effect::Repeatable, true)
                })?
                .len() as u64;
        }
        Ok(RangeSeen {
            status: status.as_u16(),
            start: start.filter(|_| status == StatusCode::PARTIAL_CONTENT),
            bytes,
        })
    }

    /// Announces a document of `size` bytes and never sends it: the request is asked about first
    /// and given up before its content, so that nothing can come of it.
    pub async fn announce(&self, parent: NodeId, size: ByteCount) -> Announced {
        const NEVER: &str = "announced, never sent";
        let never = || Failure::new(FailureClass::ItemIsWrong, Reason::Stopped, NEVER);
        let none: ByteStream = stream::once(async move { Err::<Bytes, _>(never()) }).boxed();
        let content = Content::Stream {
            len: size,
            stream: none,
        };
        let file = file_part("announced.bin", "application/octet-stream", content);
        let body = json!({"type": DOCUMENT, "parent_id": parent.0, "name": "announced.bin"});
        let call = self
            .call(Method::POST, "v2/nodes")
            .form(Form::new(&[("body", &body.to_string())], file))
            .announced();
        match self.json(call).await {
            Ok(_) => Announced::Otherwise("a success without the content".to_owned()),
            Err(error) => {
                let failure = error.into_failure(Effect::Commit);
                match failure.reason {
                    Reason::TooLarge => Announced::TooLarge,
                    Reason::Stopped => Announced::NotRefused,
                    _ => Announced::Otherwise(failure.message),
                }
            }
        }
    }
}
