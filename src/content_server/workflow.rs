//! Workflows: maps, drafts, and what became of a process.
//!
//! A process starts as a draft, which nobody sees, is filled, and is then initiated. The start's
//! reply may be lost, and nothing but its title tells one process of a map from another; so a
//! title carries a marker of ours, and [`ensure_process`](Client::ensure_process) looks for the
//! marker before it starts one and again after an unclear reply. There is no call-back: who waits
//! for an end asks again.

use std::collections::BTreeMap;

use ::http::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tracing::debug;

use super::errors::{Effect, Error};
use super::records::maybe_text;
use super::{Client, wire};
use crate::types::{Failure, NodeId, Reason};

/// The form value that names a process.
const TITLE: &str = "WorkflowForm_Title";
/// What the server answers for a process that was archived or deleted.
const NO_STATUS: &str = "could not access task status";
/// The states that processes are listed by.
const STATES: [&str; 4] = ["ontime", "workflowlate", "completed", "stopped"];

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
    fn of(word: &str) -> Self {
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

#[derive(Deserialize)]
struct Details {
    #[serde(default, deserialize_with = "wire::text")]
    wf_name: String,
    #[serde(deserialize_with = "wire::text")]
    status: String,
    #[serde(default, deserialize_with = "maybe_text")]
    date_initiated: Option<String>,
    #[serde(default, deserialize_with = "maybe_text")]
    due_date: Option<String>,
}

impl Client {
    /// The maps that a document can be sent into from its container.
    ///
    /// # Errors
    ///
    /// As any read.
    pub async fn workflow_maps(
        &self,
        document: NodeId,
        parent: NodeId,
    ) -> Result<Vec<WorkflowMap>, Failure> {
        let read = async {
            let call = self
                .call(Method::GET, "v2/docworkflows")
                .query("doc_id", &document.to_string())
                .query("parent_id", &parent.to_string());
            let answer = self.json(call).await?;
            rows(result_data(&answer), "results.data")
        };
        read.await
            .map_err(failed(format!("listing the workflows for node {document}")))
    }

    /// Makes a draft with these documents attached. Nobody sees it; one whose reply was lost stays
    /// behind unused.
    ///
    /// # Errors
    ///
    /// `ItemIsWrong` when the map or a document cannot be used.
    pub async fn draft_process(&self, map: NodeId, documents: &[NodeId]) -> Result<i64, Failure> {
        let draft = async {
            let mut parameters = json!({ "workflow_id": map.0 });
            if !documents.is_empty() {
                let ids: Vec<_> = documents.iter().map(NodeId::to_string).collect();
                parameters["doc_ids"] = ids.join(",").into();
                // A text in the reference, and in what the official client sends.
                parameters["AttachDocuments"] = "true".into();
            }
            let call = self
                .call(Method::POST, "v2/draftprocesses")
                .body(&parameters);
            number(&self.json(call).await?, "draftprocess_id")
        };
        draft
            .await
            .map_err(failed(format!("drafting a process of map {map}")))
    }

    /// The form of a draft.
    ///
    /// # Errors
    ///
    /// As any read.
    pub async fn draft_form(&self, draft: i64) -> Result<DraftForm, Failure> {
        let read = async {
            let call = self
                .call(Method::GET, "v1/forms/draftprocesses/update")
                .query("draftprocess_id", &draft.to_string());
            let answer = self.json(call).await?;
            let Some(Value::Array(forms)) = answer.get("forms") else {
                return Err(wire::missing("forms"));
            };
            let mut form = DraftForm::default();
            for part in forms {
                if let Some(Value::Object(values)) = part.get("data") {
                    form.values.extend(values.clone());
                }
                let fields = part.pointer("/schema/properties");
                for (key, field) in fields.and_then(Value::as_object).into_iter().flatten() {
                    let shown = field
                        .get("title")
                        .or_else(|| part.pointer("/options/fields")?.get(key)?.get("label"));
                    let shown = shown.and_then(Value::as_str).unwrap_or_default();
                    form.fields.insert(key.clone(), shown.to_owned());
                }
            }
            Ok(form)
        };
        read.await
            .map_err(failed(format!("reading the form of draft {draft}")))
    }

    /// Sets form values of a draft. Safe to repeat.
    ///
    /// # Errors
    ///
    /// `ItemIsWrong` for values that the map does not take.
    pub async fn fill_draft(
        &self,
        draft: i64,
        values: &BTreeMap<String, Value>,
    ) -> Result<(), Failure> {
        let call = self
            .call(Method::PUT, &format!("v2/draftprocesses/{draft}"))
            .body(&json!({"action": "formUpdate", "values": values}))
            .repeatable();
        let filled = self.json(call).await.map(drop);
        filled.map_err(failed(format!("filling draft {draft}")))
    }

    /// Starts a process from a draft; its id. Not safe to repeat: look for its marker first.
    ///
    /// # Errors
    ///
    /// `Ambiguous` when it may have started.
    pub async fn initiate_draft(&self, draft: i64, comment: &str) -> Result<i64, Failure> {
        let start = async {
            let mut parameters = json!({"action": "Initiate"});
            if !comment.is_empty() {
                parameters["comment"] = comment.into();
            }
            let call = self
                .call(Method::PUT, &format!("v2/draftprocesses/{draft}"))
                .body(&parameters)
                .limit(self.0.config.request_limit);
            number(&self.json(call).await?, "process_id")
        };
        start.await.map_err(|error: Error| {
            error
                .into_failure(Effect::Commit)
                .context(format!("starting draft {draft}"))
        })
    }

    /// The process that we started with that marker in its title, running or over. Archived and
    /// deleted ones are not found: keep the id of what was started, or ask
    /// [`archived_process`](Self::archived_process).
    ///
    /// # Errors
    ///
    /// As any read.
    pub async fn find_process(&self, marker: &str) -> Result<Option<i64>, Failure> {
        let found = self.find_processes(&[marker.to_owned()]).await?;
        Ok(found.into_values().next())
    }

    /// The same for several markers in one look: the process of each that has one, by the marker's
    /// place in the list.
    ///
    /// # Errors
    ///
    /// As any read.
    pub async fn find_processes(
        &self,
        markers: &[String],
    ) -> Result<BTreeMap<usize, i64>, Failure> {
        let find = async {
            let mut found = BTreeMap::new();
            for state in STATES {
                let call = self
                    .call(Method::GET, "v2/workflows/status")
                    .query("Kind", "Initiated")
                    .query("wstatus", state);
                let answer = self.json(call).await?;
                let page = wire::page::<Map<String, Value>>(&answer, "wfstatus", 1, u32::MAX)?;
                for row in page.rows {
                    let Some(at) = marked(&row, markers) else {
                        continue;
                    };
                    let id = row
                        .get("process_id")
                        .and_then(wire::signed)
                        .ok_or_else(|| wire::missing("wfstatus.process_id"))?;
                    // Were there two, the first one is the one that counts.
                    let first = found.entry(at).or_insert(id);
                    *first = id.min(*first);
                }
            }
            Ok(found)
        };
        find.await.map_err(failed(format!(
            "looking for the process [{}]",
            markers.first().map_or("", String::as_str)
        )))
    }

    /// The archived process of a map with one of these markers in its title, with the marker's
    /// place in the list; the one of the last marker that has one. Nothing found proves nothing:
    /// how the list is filtered, and whether it has titles, is the server's own.
    ///
    /// # Errors
    ///
    /// As any read.
    pub async fn archived_process(
        &self,
        map: NodeId,
        markers: &[String],
    ) -> Result<Option<(usize, i64)>, Failure> {
        let find = async {
            let call = self
                .call(Method::GET, "v2/workflows/status/active")
                .query("mapObjId", &map.to_string())
                .query("Kind", "Initiated")
                .query("status", "ARCHIVED");
            let answer = self.json(call).await?;
            let mut found = None;
            // The reference draws one bare row, a live list wraps many: a row is what names a
            // process.
            let mut waiting: Vec<&Value> = answer.get("results").into_iter().collect();
            while let Some(value) = waiting.pop() {
                match value {
                    Value::Array(values) => waiting.extend(values),
                    Value::Object(row) => {
                        waiting.extend(row.values());
                        let id = row.get("Work_WorkID").and_then(wire::signed);
                        if let (Some(at), Some(id)) = (marked(row, markers), id) {
                            found = found.max(Some((at, id)));
                        }
                    }
                    _ => {}
                }
            }
            Ok(found)
        };
        find.await
            .map_err(failed(format!("listing archived processes of map {map}")))
    }

    /// Finds the process with that marker, or starts it; `true` when it was started now. Safe to
    /// repeat.
    ///
    /// # Errors
    ///
    /// `Ambiguous` when the reply was lost and nothing is there yet: repeating looks first. As
    /// [`draft_process`](Self::draft_process) and [`fill_draft`](Self::fill_draft).
    pub async fn ensure_process(&self, new: &NewProcess) -> Result<(i64, bool), Failure> {
        if new.marker.trim().is_empty() {
            return Err(Failure::defect("a process without a marker"));
        }
        if let Some(there) = self.find_process(&new.marker).await? {
            return Ok((there, false));
        }
        let draft = self.draft_process(new.map, &new.documents).await?;
        self.fill_draft(draft, &new.form()).await?;
        match self.initiate_draft(draft, &new.comment).await {
            Ok(process) => Ok((process, true)),
            Err(failure) if failure.reason == Reason::Ambiguous => {
                debug!(draft, %failure, "looked up again");
                match self.find_process(&new.marker).await? {
                    Some(process) => Ok((process, true)),
                    None => Err(failure),
                }
            }
            Err(failure) => Err(failure),
        }
    }

    /// What became of a process; `None` when it was archived or deleted.
    ///
    /// # Errors
    ///
    /// As any read.
    pub async fn process(&self, process: i64) -> Result<Option<Process>, Failure> {
        let read = async {
            let path = format!("v2/workflows/status/processes/{process}");
            let answer = match self.json(self.call(Method::GET, &path)).await {
                Ok(answer) => answer,
                Err(Error::Refused(refusal))
                    if refusal.text.to_ascii_lowercase().contains(NO_STATUS) =>
                {
                    return Ok(None);
                }
                Err(error) => return Err(error),
            };
            let result = wire::result(&answer)?;
            let details = result
                .get("wf_details")
                .ok_or_else(|| wire::missing("results.wf_details"))?;
            let details: Details = wire::parse(details, "wf_details")?;
            if details.status.is_empty() {
                return Err(wire::missing("results.wf_details.status"));
            }
            let steps = |name: &str| {
                let path = format!("/step_list/{name}");
                rows(result.pointer(&path), "results.step_list")
            };
            Ok(Some(Process {
                id: process,
                title: details.wf_name,
                status: ProcessStatus::of(&details.status),
                started: details.date_initiated,
                due: details.due_date,
                completed: steps("completed")?,
                current: steps("current")?,
                attachments: result
                    .pointer("/attachments/attachment_folder_id")
                    .and_then(wire::signed)
                    .filter(|id| *id > 0)
                    .map(NodeId),
            }))
        };
        read.await
            .map_err(failed(format!("asking for process {process}")))
    }

    /// What was said and recorded in a process.
    ///
    /// # Errors
    ///
    /// As any read.
    pub async fn process_info(&self, process: i64) -> Result<ProcessInfo, Failure> {
        let read = async {
            let call = self
                .call(Method::GET, "v2/workflows/status/info")
                .query("workid", &process.to_string());
            let answer = self.json(call).await?;
            // The reference draws it without a wrapper, live answers of its kind have one.
            let inner = match answer.get("results") {
                Some(_) => wire::result(&answer)?,
                None => &answer,
            };
            let info = inner
                .get("data")
                .filter(|data| data.is_object())
                .unwrap_or(inner);
            if info.get("comments").is_none() && info.get("auditInfo").is_none() {
                return Err(wire::missing("comments"));
            }
            Ok(ProcessInfo {
                comments: rows(info.get("comments"), "comments")?,
                audit: rows(info.get("auditInfo"), "auditInfo")?,
                attributes: info.get("Attributes").cloned().unwrap_or_default(),
            })
        };
        let mut info: ProcessInfo = read.await.map_err(failed(format!(
            "reading what was said in process {process}"
        )))?;
        for said in &mut info.comments {
            said.name = self.called(said.user_id).await;
        }
        for event in &mut info.audit {
            event.name = self.called(event.user_id).await;
        }
        Ok(info)
    }

    /// What a user is called: for people, so that nothing fails for the want of it.
    async fn called(&self, user: Option<i64>) -> Option<String> {
        let user = user.filter(|id| *id > 0)?;
        self.member_name(user).await.unwrap_or_else(|failure| {
            debug!(user, %failure, "a member's name is not known");
            None
        })
    }

    /// What people did in a part of a process, newest first where the server orders it so.
    ///
    /// # Errors
    ///
    /// As any read.
    pub async fn process_activities(
        &self,
        process: i64,
        subprocess: i64,
    ) -> Result<Vec<ProcessActivity>, Failure> {
        let read = async {
            let path = format!("v2/processes/{process}/subprocesses/{subprocess}/activities");
            let call = self.call(Method::GET, &path).query("limit", "1000");
            let answer = self.json(call).await?;
            rows(result_data(&answer), "results.data")
        };
        read.await.map_err(failed(format!(
            "reading the activities of process {process}"
        )))
    }
}

fn failed(doing: String) -> impl FnOnce(Error) -> Failure {
    move |error| error.into_failure(Effect::Repeatable).context(doing)
}

/// Which of the markers a row has. Which field has the title is not documented; a marker is in no
/// other.
fn marked(row: &Map<String, Value>, markers: &[String]) -> Option<usize> {
    markers.iter().rposition(|marker| {
        let wanted = format!("[{marker}]");
        let has = |value: &Value| value.as_str().is_some_and(|text| text.contains(&wanted));
        row.values().any(has)
    })
}

fn result_data(answer: &Value) -> Option<&Value> {
    match answer.get("results")? {
        rows @ Value::Array(_) => Some(rows),
        results => results.get("data"),
    }
}

/// The rows of a list; none where it is null or missing altogether.
fn rows<T: serde::de::DeserializeOwned>(list: Option<&Value>, what: &str) -> Result<Vec<T>, Error> {
    match list {
        Some(Value::Array(rows)) => rows.iter().map(|row| wire::parse(row, what)).collect(),
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(_) => Err(Error::Unreadable(format!("{what} is no list"))),
    }
}

/// An id of `results`, or of the answer itself.
fn number(answer: &Value, name: &str) -> Result<i64, Error> {
    let inner = wire::result(answer).unwrap_or(answer);
    inner
        .get(name)
        .and_then(wire::signed)
        .filter(|id| *id > 0)
        .ok_or_else(|| wire::missing(&format!("results.{name}")))
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
