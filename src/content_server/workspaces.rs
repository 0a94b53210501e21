//! Business workspaces: their types, finding and making them, who works in them, and what they
//! are related to.
//!
//! A workspace is a container with a type; it may stand for an object of another application,
//! which is then its key. Nothing but that key or its name in its parent tells two workspaces
//! apart, so [`ensure_workspace`](Client::ensure_workspace) looks for both before it makes one,
//! and again after a reply that was lost.

use ::http::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use tracing::debug;

use super::call::{Call, segment};
use super::categories::CategoryValues;
use super::errors::{Effect, Error, Meaning};
use super::{Client, wire};
use crate::transfer::Destination as _;
use crate::types::{Failure, FailureClass, NodeId, Reason};

/// Rows per page: the server's own default and maximum.
const PAGE: u32 = 500;
/// Pages after which a listing counts as endless.
const MOST_PAGES: u32 = 10_000;

/// A kind of workspace that the server knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkspaceType {
    /// The type's id.
    pub id: i64,
    /// Its name, which people see and settings use.
    pub name: String,
    /// What workspaces of this type are made from; empty when we may see none.
    pub templates: Vec<WorkspaceTemplate>,
    /// Whether its workspaces are managed as records, when the server says so.
    pub records: Option<bool>,
}

/// What a workspace is made from.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct WorkspaceTemplate {
    /// The template's node.
    #[serde(deserialize_with = "wire::whole")]
    pub id: i64,
    /// Its name.
    #[serde(default, deserialize_with = "wire::text")]
    pub name: String,
}

/// An object of another application that a workspace stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectReference {
    /// The external system, as it is configured in Content Server.
    pub system: String,
    /// The business object type.
    pub kind: String,
    /// The object's key there.
    pub id: String,
}

/// A workspace as listings show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workspace {
    /// The workspace's node.
    pub id: NodeId,
    /// Its name.
    pub name: String,
    /// The container it lies in, when said.
    pub parent: Option<NodeId>,
    /// The id of its type, when said.
    pub kind: Option<i64>,
    /// The name of its type, when said.
    pub type_name: Option<String>,
}

/// A workspace to find or make.
#[derive(Clone, Debug)]
pub struct NewWorkspace {
    /// The id of its type.
    pub kind: i64,
    /// The template's node.
    pub template: i64,
    /// Its name; map it first ([`map_name`](super::map_name)).
    pub name: String,
    /// Where it lies; the type's rule decides when nothing is said.
    pub parent: Option<NodeId>,
    /// A description, or nothing.
    pub description: String,
    /// Attribute values from the start.
    pub categories: CategoryValues,
    /// The object it stands for.
    pub reference: Option<ObjectReference>,
}

/// A role of a workspace.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct WorkspaceRole {
    /// The role's id; rights can be granted to it as to a group.
    #[serde(deserialize_with = "wire::whole")]
    pub id: i64,
    /// Its name.
    #[serde(default, deserialize_with = "wire::text")]
    pub name: String,
    /// Whether its members lead the workspace.
    #[serde(default, deserialize_with = "wire::maybe_flag")]
    pub leader: Option<bool>,
}

/// Somebody who takes part in a workspace.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Participant {
    /// The member's id.
    #[serde(deserialize_with = "wire::whole")]
    pub id: i64,
    /// The login name, or the group's name.
    #[serde(default, deserialize_with = "wire::text")]
    pub name: String,
    /// 0 for a user, 1 for a group.
    #[serde(default, rename = "type", deserialize_with = "wire::maybe_whole")]
    pub kind: Option<i64>,
}

/// How one workspace stands to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// The other is its parent.
    Parent,
    /// The other is its child.
    Child,
}

impl Relation {
    fn as_str(self) -> &'static str {
        match self {
            Self::Parent => "parent",
            Self::Child => "child",
        }
    }
}

#[derive(Deserialize)]
struct TypeRow {
    #[serde(deserialize_with = "wire::whole")]
    wksp_type_id: i64,
    #[serde(default, deserialize_with = "wire::text")]
    wksp_type_name: String,
    #[serde(default)]
    templates: Option<Vec<WorkspaceTemplate>>,
    #[serde(default, deserialize_with = "wire::maybe_flag")]
    rm_enabled: Option<bool>,
}

#[derive(Deserialize)]
struct Row {
    #[serde(deserialize_with = "wire::whole")]
    id: i64,
    #[serde(default, deserialize_with = "wire::text")]
    name: String,
    #[serde(default, deserialize_with = "wire::maybe_whole")]
    parent_id: Option<i64>,
    #[serde(default, deserialize_with = "wire::maybe_whole")]
    wnf_wksp_type_id: Option<i64>,
    #[serde(default)]
    wksp_type_name: Option<String>,
}

impl From<Row> for Workspace {
    fn from(row: Row) -> Self {
        Self {
            id: NodeId(row.id),
            name: row.name,
            parent: row.parent_id.map(NodeId),
            kind: row.wnf_wksp_type_id,
            type_name: row.wksp_type_name.filter(|name| !name.is_empty()),
        }
    }
}

impl Client {
    /// The workspace types that we may see, with their templates.
    ///
    /// # Errors
    ///
    /// `Unsupported` where there are no workspaces. A server without any type may refuse the
    /// question instead of answering with none.
    pub async fn workspace_types(&self) -> Result<Vec<WorkspaceType>, Failure> {
        let read = async {
            let call = self
                .call(Method::GET, "v2/businessworkspacetypes")
                .query("expand_templates", "true");
            let answer = self.json(call).await?;
            let page = wire::page::<TypeRow>(&answer, "properties", 1, u32::MAX)?;
            Ok(page
                .rows
                .into_iter()
                .map(|row| WorkspaceType {
                    id: row.wksp_type_id,
                    name: row.wksp_type_name,
                    templates: row.templates.unwrap_or_default(),
                    records: row.rm_enabled,
                })
                .collect())
        };
        read.await.map_err(read_failure(
            "listing the workspace types (a server that has none refuses this)".to_owned(),
        ))
    }

    /// The workspaces of a type with exactly that name. Names are unique within one parent only,
    /// so there may be several.
    ///
    /// # Errors
    ///
    /// As any read.
    pub async fn workspaces_named(&self, kind: i64, name: &str) -> Result<Vec<Workspace>, Failure> {
        let doing = format!("looking for workspace {name:?} of type {kind}");
        let ask = || {
            self.call(Method::GET, "v2/businessworkspaces")
                .query("where_workspace_type_id", &kind.to_string())
                .query("where_name", name)
                // Without it only those that were opened lately are looked at.
                .query("expanded_view", "true")
        };
        let mut found = self
            .workspace_pages(ask)
            .await
            .map_err(read_failure(doing))?;
        found.retain(|workspace| {
            workspace.name == name && workspace.kind.is_none_or(|own| own == kind)
        });
        Ok(found)
    }

    /// The workspace that stands for an object of another application.
    ///
    /// # Errors
    ///
    /// As any read.
    pub async fn workspace_of_object(
        &self,
        object: &ObjectReference,
    ) -> Result<Option<Workspace>, Failure> {
        let path = format!(
            "v2/externalsystems/{}/botypes/{}/boids/{}",
            segment(&object.system),
            segment(&object.kind),
            segment(&object.id)
        );
        let read = async {
            let answer = match self.json(self.call(Method::GET, &path)).await {
                Ok(answer) => answer,
                Err(Error::Refused(refusal))
                    if refusal.status == 404 && refusal.meaning != Meaning::Disturbance =>
                {
                    return Ok(None);
                }
                Err(error) => return Err(error),
            };
            match answer.get("results") {
                None | Some(Value::Null) => return Ok(None),
                Some(Value::Array(rows)) if rows.is_empty() => return Ok(None),
                Some(Value::Object(result)) if result.is_empty() => return Ok(None),
                Some(_) => {}
            }
            let row: Row = wire::parse(wire::section(&answer, "properties")?, "properties")?;
            Ok(Some(Workspace::from(row)))
        };
        read.await.map_err(read_failure(format!(
            "looking for the workspace of {} {:?} in {:?}",
            object.kind, object.id, object.system
        )))
    }

    /// A workspace by its node.
    ///
    /// # Errors
    ///
    /// `Inaccessible` when it is missing, forbidden or no workspace.
    pub async fn workspace(&self, id: NodeId) -> Result<Workspace, Failure> {
        let read = async {
            let path = format!("v2/businessworkspaces/{id}");
            let answer = self.json(self.call(Method::GET, &path)).await?;
            let row: Row = wire::parse(wire::section(&answer, "properties")?, "properties")?;
            if row.id != id.0 {
                return Err(Error::Unreadable(format!(
                    "workspace {id} was asked for and {} came",
                    row.id
                )));
            }
            Ok(Workspace::from(row))
        };
        read.await
            .map_err(read_failure(format!("reading workspace {id}")))
    }

    /// The workspace that a node lies in, or is; `None` when it lies in none.
    ///
    /// # Errors
    ///
    /// `Inaccessible` when the node itself is missing or forbidden; otherwise as any read.
    pub async fn workspace_around(&self, node: NodeId) -> Result<Option<NodeId>, Failure> {
        let doing = || format!("looking for the workspace around node {node}");
        let path = format!("v1/nodes/{node}/businessworkspace");
        match self.json(self.call(Method::GET, &path)).await {
            Ok(answer) => {
                // Some releases wrap it as v2 does.
                let facts = answer
                    .get("data")
                    .or_else(|| answer.get("results"))
                    .unwrap_or(&answer);
                let id = facts.get("id").and_then(wire::signed);
                Ok(id.filter(|id| *id > 0).map(NodeId))
            }
            // "None" and "not for you" sound alike; the node itself tells them apart.
            Err(error)
                if matches!(
                    error.meaning(),
                    Some(Meaning::Inaccessible | Meaning::Invalid)
                ) =>
            {
                self.node(node)
                    .await
                    .map_err(|failure| failure.context(doing()))?;
                Ok(None)
            }
            Err(error) => Err(read_failure(doing())(error)),
        }
    }

    /// Finds or makes a workspace. What is there already stays as it is: its template, categories
    /// and description are not compared. Safe to repeat.
    ///
    /// Its object decides when it has one, then its name in its parent, then its name within its
    /// type. `true` when it was made now.
    ///
    /// # Errors
    ///
    /// `NameTaken` when something else has the name, or when several workspaces of that type do.
    /// `Ambiguous` when the reply was lost and nothing is there yet: repeating looks first.
    pub async fn ensure_workspace(&self, wanted: &NewWorkspace) -> Result<(NodeId, bool), Failure> {
        if let Some(there) = self.find_wanted(wanted).await? {
            return Ok((there, false));
        }
        match self.create_workspace(wanted).await {
            Ok(id) => Ok((id, true)),
            Err(failure) if matches!(failure.reason, Reason::NameTaken | Reason::Ambiguous) => {
                debug!(name = wanted.name, %failure, "looked up again");
                match self.find_wanted(wanted).await? {
                    Some(there) => Ok((there, failure.reason == Reason::Ambiguous)),
                    None => Err(failure),
                }
            }
            Err(failure) => Err(failure),
        }
    }

    /// The workspace that is wanted, if it is there.
    ///
    /// # Errors
    ///
    /// As [`ensure_workspace`](Self::ensure_workspace), without those of making.
    pub async fn find_wanted(&self, wanted: &NewWorkspace) -> Result<Option<NodeId>, Failure> {
        let taken = |what: String| Failure::item(Reason::NameTaken, what);
        if let Some(object) = &wanted.reference
            && let Some(there) = self.workspace_of_object(object).await?
        {
            return Ok(Some(there.id));
        }
        if let Some(parent) = wanted.parent {
            let Some(node) = self.child(parent, &wanted.name).await? else {
                return Ok(None);
            };
            let other = |what: &str| {
                taken(format!(
                    "{:?} in node {parent} is {what}; rename it or choose another name",
                    wanted.name
                ))
            };
            let there = match self.workspace(node.id).await {
                Ok(there) => there,
                Err(failure) if failure.class == FailureClass::ItemIsWrong => {
                    return Err(other("no workspace"));
                }
                Err(failure) => return Err(failure),
            };
            if there.kind.is_some_and(|kind| kind != wanted.kind) {
                return Err(other("a workspace of another type"));
            }
            if wanted.reference.is_some() {
                return Err(other("a workspace of another object"));
            }
            return Ok(Some(there.id));
        }
        if wanted.reference.is_some() {
            return Ok(None);
        }
        let found = self.workspaces_named(wanted.kind, &wanted.name).await?;
        match found.as_slice() {
            [] => Ok(None),
            [one] => Ok(Some(one.id)),
            more => Err(taken(format!(
                "{} workspaces of type {} are called {:?}; name the parent",
                more.len(),
                wanted.kind,
                wanted.name
            ))),
        }
    }

    async fn create_workspace(&self, wanted: &NewWorkspace) -> Result<NodeId, Failure> {
        let create = async {
            let call = self
                .call(Method::POST, "v2/businessworkspaces")
                .body(&parameters(wanted))
                .limit(self.0.config.request_limit);
            let answer = self.json(call).await?;
            let result = wire::result(&answer)?;
            let id = result
                .get("id")
                .or_else(|| result.pointer("/data/properties/id"))
                .and_then(wire::signed)
                .filter(|id| *id > 0);
            id.map(NodeId).ok_or_else(|| wire::missing("results.id"))
        };
        create.await.map_err(|error: Error| {
            error
                .into_failure(Effect::Commit)
                .context(format!("creating workspace {:?}", wanted.name))
        })
    }

    /// The roles of a workspace.
    ///
    /// # Errors
    ///
    /// As any read.
    pub async fn workspace_roles(&self, workspace: NodeId) -> Result<Vec<WorkspaceRole>, Failure> {
        let path = format!("v2/businessworkspaces/{workspace}/roles");
        self.whole_list(&path).await.map_err(read_failure(format!(
            "reading the roles of workspace {workspace}"
        )))
    }

    /// Who takes part in a workspace: everybody, each once, or the members of one role.
    ///
    /// # Errors
    ///
    /// As any read.
    pub async fn participants(
        &self,
        workspace: NodeId,
        role: Option<i64>,
    ) -> Result<Vec<Participant>, Failure> {
        // The workspace's own list of members names its roles, with ten members of each.
        let roles = match role {
            Some(role) => vec![role],
            None => {
                let roles = self.workspace_roles(workspace).await?;
                roles.into_iter().map(|role| role.id).collect()
            }
        };
        let mut all: Vec<Participant> = Vec::new();
        for role in roles {
            let path = format!("v2/businessworkspaces/{workspace}/roles/{role}/members");
            let members: Vec<Participant> = self.whole_list(&path).await.map_err(read_failure(
                format!("reading the members of workspace {workspace}"),
            ))?;
            for member in members {
                if all.iter().all(|other| other.id != member.id) {
                    all.push(member);
                }
            }
        }
        Ok(all)
    }

    /// Makes a user or group a member of a role. Safe to repeat.
    ///
    /// # Errors
    ///
    /// As any call that may be repeated.
    pub async fn add_participant(
        &self,
        workspace: NodeId,
        role: i64,
        member: i64,
    ) -> Result<(), Failure> {
        let there = self.participants(workspace, Some(role)).await?;
        if there.iter().any(|other| other.id == member) {
            return Ok(());
        }
        let path = format!("v2/businessworkspaces/{workspace}/roles/{role}/members");
        let call = self
            .call(Method::POST, &path)
            .fields([("id", member.to_string())]);
        let Err(error) = self.json(call).await else {
            return Ok(());
        };
        // The reply may be lost, or somebody was quicker.
        let there = self.participants(workspace, Some(role)).await?;
        if there.iter().any(|other| other.id == member) {
            return Ok(());
        }
        Err(read_failure(format!(
            "adding member {member} to role {role} of workspace {workspace}"
        ))(error))
    }

    /// The workspaces that are related to one.
    ///
    /// # Errors
    ///
    /// As any read.
    pub async fn related_workspaces(
        &self,
        workspace: NodeId,
        relation: Relation,
    ) -> Result<Vec<Workspace>, Failure> {
        let path = format!("v2/businessworkspaces/{workspace}/relateditems");
        let ask = || {
            // The single form is marked as deprecated and is what every client sends.
            self.call(Method::GET, &path)
                .query("where_relationtype", relation.as_str())
        };
        self.workspace_pages(ask)
            .await
            .map_err(read_failure(format!(
                "reading what is related to workspace {workspace}"
            )))
    }

    /// Relates two workspaces. Safe to repeat.
    ///
    /// # Errors
    ///
    /// As any call that may be repeated.
    pub async fn relate_workspaces(
        &self,
        workspace: NodeId,
        relation: Relation,
        other: NodeId,
    ) -> Result<(), Failure> {
        let related = || async {
            let there = self.related_workspaces(workspace, relation).await?;
            Ok::<_, Failure>(there.iter().any(|there| there.id == other))
        };
        if related().await? {
            return Ok(());
        }
        let path = format!("v2/businessworkspaces/{workspace}/relateditems");
        let call = self.call(Method::POST, &path).fields([
            ("rel_bw_id", other.to_string()),
            ("rel_type", relation.as_str().to_owned()),
        ]);
        let Err(error) = self.json(call).await else {
            return Ok(());
        };
        if related().await? {
            return Ok(());
        }
        Err(read_failure(format!(
            "relating workspaces {workspace} and {other}"
        ))(error))
    }

    /// All rows of a list that comes whole.
    async fn whole_list<T: serde::de::DeserializeOwned>(
        &self,
        path: &str,
    ) -> Result<Vec<T>, Error> {
        let answer = self.json(self.call(Method::GET, path)).await?;
        let page = wire::page::<T>(&answer, "properties", 1, u32::MAX)?;
        // The reference draws no pages of it: a server that makes some says too little.
        match page.total {
            Some(total) if total > page.rows.len() as u64 => Err(Error::Unreadable(format!(
                "{} of {total} rows were listed",
                page.rows.len()
            ))),
            _ => Ok(page.rows),
        }
    }

    async fn workspace_pages(&self, ask: impl Fn() -> Call) -> Result<Vec<Workspace>, Error> {
        let mut found: Vec<Workspace> = Vec::new();
        for number in 1..MOST_PAGES {
            let call = ask()
                .query("page", &number.to_string())
                .query("limit", &PAGE.to_string());
            let answer = self.json(call).await?;
            let page = wire::page::<Row>(&answer, "properties", number, PAGE)?;
            let before = found.len();
            for row in page.rows {
                if !found.iter().any(|there| there.id.0 == row.id) {
                    found.push(row.into());
                }
            }
            if !page.more {
                return Ok(found);
            }
            if found.len() == before {
                break;
            }
        }
        Err(Error::Unreadable(
            "the pages of workspaces repeat themselves".to_owned(),
        ))
    }
}

fn read_failure(doing: String) -> impl FnOnce(Error) -> Failure {
    move |error| error.into_failure(Effect::Repeatable).context(doing)
}

/// What the create call takes: attributes are nested by category here, unlike on plain nodes.
fn parameters(wanted: &NewWorkspace) -> Value {
    let mut parameters = json!({
        "template_id": wanted.template,
        "wksp_type_id": wanted.kind,
        "type": 848,
        "name": wanted.name,
        "description": wanted.description,
    });
    if let Some(parent) = wanted.parent {
        parameters["parent_id"] = parent.0.into();
    }
    if let Some(object) = &wanted.reference {
        parameters["ext_system_id"] = object.system.as_str().into();
        parameters["bo_type"] = object.kind.as_str().into();
        parameters["bo_id"] = object.id.as_str().into();
    }
    if !wanted.categories.is_empty() {
        let mut nested = json!({});
        for (key, value) in &wanted.categories.0 {
            let category = key.split('_').next().unwrap_or_default();
            nested[category][key] = value.clone();
        }
        parameters["roles"] = json!({ "categories": nested });
    }
    parameters
}
