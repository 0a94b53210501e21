//! Maps, drafts, processes, their steps, and what people did and said in them.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::content_server::wire;
use crate::content_server::wire::maybe_text;
use crate::types::NodeId;

/// The form value that names a process.
const TITLE: &str = "WorkflowForm_Title";

/// A map: what processes are started from.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct WorkflowMap {
    /// The map's node.
    #[serde(rename = "DataID", deserialize_with = "wire::whole")]
    pub id: i64,
    /// Its name.
    #[serde(default, rename = "Name", deserialize_with = "wire::text")]
    pub name: String,
}

/// A process to find or start.
#[derive(Clone, Debug)]
pub struct NewProcess {
    /// The map.
    pub map: NodeId,
    /// The documents that are attached.
    pub documents: Vec<NodeId>,
    /// Ours alone: the process is found again by this. It becomes part of the title.
    pub marker: String,
    /// The title in front of the marker.
    pub title: String,
    /// Form values by key (`WorkflowForm_10`). An empty text is refused for numbers: leave it out.
    pub values: BTreeMap<String, Value>,
    /// The initiator's comment, or nothing.
    pub comment: String,
}

impl NewProcess {
    /// The title that the process gets.
    pub fn whole_title(&self) -> String {
        match self.title.trim() {
            "" => format!("[{}]", self.marker),
            title => format!("{title} [{}]", self.marker),
        }
    }

    /// The form values that a draft is filled with: those given, and the title.
    pub fn form(&self) -> BTreeMap<String, Value> {
        let mut values = self.values.clone();
        values.insert(TITLE.to_owned(), self.whole_title().into());
        values
    }
}

/// The form of a draft.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DraftForm {
    /// The fields by their keys, each with what people see, as far as it is said.
    pub fields: BTreeMap<String, String>,
    /// The values that are in it.
    pub values: Map<String, Value>,
}

/// How far a process is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProcessStatus {
    /// It runs.
    Running,
    /// It runs and is late.
    Late,
    /// It came to its end. Whether that was a yes or a no is not said here.
    Completed,
    /// Somebody stopped it.
    Stopped,
    /// A word that no release was known to use.
    Other(String),
}

impl ProcessStatus {
    pub(super) fn of(word: &str) -> Self {
        match word.to_ascii_lowercase().as_str() {
            "ontime" => Self::Running,
            "workflowlate" => Self::Late,
            "completed" => Self::Completed,
            "stopped" => Self::Stopped,
            _ => Self::Other(word.to_owned()),
        }
    }

    /// Whether nothing more will happen.
    pub fn is_over(&self) -> bool {
        matches!(self, Self::Completed | Self::Stopped)
    }
}

/// A step of a process.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ProcessStep {
    /// The part of the process it is in.
    #[serde(default, deserialize_with = "wire::maybe_whole")]
    pub subprocess_id: Option<i64>,
    /// The step's id there.
    #[serde(default, deserialize_with = "wire::maybe_whole")]
    pub task_id: Option<i64>,
    /// Its name.
    #[serde(default, rename = "task_name", deserialize_with = "wire::text")]
    pub name: String,
    /// The server's word for its state.
    #[serde(default, rename = "task_status", deserialize_with = "maybe_text")]
    pub status: Option<String>,
    /// When it began.
    #[serde(default, rename = "task_start_date", deserialize_with = "maybe_text")]
    pub started: Option<String>,
    /// When it is due.
    #[serde(default, rename = "task_due_date", deserialize_with = "maybe_text")]
    pub due: Option<String>,
    /// Those who have it: first and last name, else the login name.
    #[serde(default, rename = "task_assignees", deserialize_with = "assignees")]
    pub assignees: Vec<String>,
}

/// What became of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub id: i64,
    /// Its title, which has the marker.
    pub title: String,
    /// How far it is.
    pub status: ProcessStatus,
    /// When it was started, as the server writes it: its own time, without a zone.
    pub started: Option<String>,
    /// When it is due.
    pub due: Option<String>,
    /// Steps that are over.
    pub completed: Vec<ProcessStep>,
    /// Steps that somebody has now.
    pub current: Vec<ProcessStep>,
    /// The container that its attachments are in.
    pub attachments: Option<NodeId>,
}

/// What was said and recorded in a process: a map has no field for its outcome, it shows here or
/// in what the map writes on the document.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProcessInfo {
    /// What people wrote.
    pub comments: Vec<ProcessComment>,
    /// What happened.
    pub audit: Vec<ProcessEvent>,
    /// The map's attributes as the server gives them: their shape is the map's own.
    pub attributes: Value,
}

/// A comment in a process.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ProcessComment {
    /// Who wrote it: the login name.
    #[serde(default, rename = "USERNAME", deserialize_with = "maybe_text")]
    pub user: Option<String>,
    /// Their user id.
    #[serde(default, rename = "USERID", deserialize_with = "wire::maybe_whole")]
    pub user_id: Option<i64>,
    /// What they are called, as far as that may be read.
    #[serde(skip)]
    pub name: Option<String>,
    /// At which step.
    #[serde(default, rename = "STEPNAME", deserialize_with = "maybe_text")]
    pub step: Option<String>,
    /// When.
    #[serde(default, rename = "DATESAVED", deserialize_with = "maybe_text")]
    pub date: Option<String>,
    /// What it says.
    #[serde(default, rename = "COMMENTS", deserialize_with = "wire::text")]
    pub text: String,
}

/// An event of a process.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ProcessEvent {
    /// Who did it: the login name.
    #[serde(default, rename = "USER_NAME", deserialize_with = "maybe_text")]
    pub user: Option<String>,
    /// Their user id.
    #[serde(default, rename = "USER_ID", deserialize_with = "wire::maybe_whole")]
    pub user_id: Option<i64>,
    /// What they are called, as far as that may be read.
    #[serde(skip)]
    pub name: Option<String>,
    /// When.
    #[serde(default, rename = "AUDIT_DATE", deserialize_with = "maybe_text")]
    pub date: Option<String>,
    /// What.
    #[serde(default, rename = "AUDIT_MSG", deserialize_with = "wire::text")]
    pub what: String,
}

impl ProcessComment {
    /// Who wrote it, for people.
    pub fn by(&self) -> Option<String> {
        self.name.clone().or_else(|| self.user.clone())
    }
}

impl ProcessEvent {
    /// Who did it, for people.
    pub fn by(&self) -> Option<String> {
        self.name.clone().or_else(|| self.user.clone())
    }
}

/// An activity of a process: a step that somebody acted on.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ProcessActivity {
    /// What was done, in the map's own words as a rule (`Approve`, `Reject`).
    #[serde(default, deserialize_with = "maybe_text")]
    pub action: Option<String>,
    /// What was said with it.
    #[serde(default, deserialize_with = "maybe_text")]
    pub comment: Option<String>,
    /// When.
    #[serde(default, deserialize_with = "maybe_text")]
    pub date: Option<String>,
    /// Who: a user id.
    #[serde(default, deserialize_with = "wire::maybe_whole")]
    pub user_id: Option<i64>,
}

/// The login names in `{"assignee": [{"loginName": …}]}`.
fn assignees<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let value = Value::deserialize(deserializer)?;
    let people = value.get("assignee").and_then(Value::as_array);
    Ok(people
        .into_iter()
        .flatten()
        .filter_map(|person| {
            let of = |name: &str| person.get(name).and_then(Value::as_str).map(str::trim);
            let names = [of("firstName"), of("lastName")];
            let names = names.into_iter().flatten().filter(|name| !name.is_empty());
            let names: Vec<&str> = names.collect();
            match names.is_empty() {
                true => of("loginName").map(str::to_owned),
                false => Some(names.join(" ")),
            }
        })
        .filter(|name| !name.is_empty())
        .collect())
}
