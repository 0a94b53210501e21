//! Workflow maps with their steps, and processes that go through them.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// A workflow map: what a process goes through.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkflowMap {
    /// Its name.
    pub name: String,
    /// Its steps, one after the other.
    #[serde(default)]
    pub steps: Vec<WorkflowStep>,
    /// Labels of its form by attribute id.
    #[serde(default)]
    pub form: BTreeMap<i64, String>,
    /// Members that may start it; everybody when there are none.
    #[serde(default)]
    pub only: Vec<i64>,
}

/// A step of a map.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkflowStep {
    /// Its name.
    pub name: String,
    /// Login name of who gets it; the initiator when unset.
    #[serde(default)]
    pub assignee: Option<String>,
    /// Hours from the start of the step until it is due.
    #[serde(default)]
    pub due_hours: Option<i64>,
    /// What its assignee does by itself.
    #[serde(default)]
    pub script: Option<StepScript>,
    /// Whether whoever acts has to sign with the password.
    #[serde(default)]
    pub signature: bool,
}

/// What somebody does at a step without being told.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepScript {
    /// The action: `Approve`, `Reject` or `SendOn`.
    pub action: String,
    /// What is said with it.
    #[serde(default)]
    pub comment: String,
    /// How often the process's status is read before.
    #[serde(default)]
    pub after: u32,
}

impl WorkflowMap {
    /// A map with these steps.
    pub fn new(name: &str, steps: Vec<WorkflowStep>) -> Self {
        Self {
            name: name.to_owned(),
            steps,
            form: BTreeMap::new(),
            only: Vec::new(),
        }
    }

    /// With a field in its form.
    #[must_use]
    pub fn field(mut self, id: i64, label: &str) -> Self {
        self.form.insert(id, label.to_owned());
        self
    }
}

impl WorkflowStep {
    /// A step that somebody has.
    pub fn new(name: &str, assignee: &str) -> Self {
        Self {
            name: name.to_owned(),
            assignee: Some(assignee.to_owned()),
            ..Self::default()
        }
    }

    /// Due so many hours after it begins.
    #[must_use]
    pub fn due(mut self, hours: i64) -> Self {
        self.due_hours = Some(hours);
        self
    }

    /// To be signed with the password by whoever acts.
    #[must_use]
    pub fn signed(mut self) -> Self {
        self.signature = true;
        self
    }

    /// With what is done at it by itself, when the status is read after this many readings.
    #[must_use]
    pub fn script(mut self, action: &str, comment: &str, after: u32) -> Self {
        self.script = Some(StepScript {
            action: action.to_owned(),
            comment: comment.to_owned(),
            after,
        });
        self
    }
}

/// A draft on its way to a process.
pub(super) struct Draft {
    pub(super) map: i64,
    pub(super) documents: Vec<i64>,
    pub(super) values: Map<String, Value>,
}

/// Something that was done in a process.
pub(super) struct Act {
    pub(super) step: usize,
    pub(super) action: String,
    pub(super) comment: String,
    pub(super) login: String,
    pub(super) user: i64,
    pub(super) at: Timestamp,
}

/// A started process.
pub(super) struct Process {
    pub(super) map: i64,
    pub(super) user: i64,
    pub(super) login: String,
    pub(super) started: Timestamp,
    pub(super) documents: Vec<i64>,
    pub(super) values: Map<String, Value>,
    pub(super) comment: String,
    pub(super) steps: Vec<WorkflowStep>,
    /// The step that somebody has now.
    pub(super) at: usize,
    /// When that began.
    pub(super) since: Timestamp,
    pub(super) acts: Vec<Act>,
    /// `ontime` while it runs.
    pub(super) status: String,
    /// How often its status was read at this step.
    pub(super) read: u32,
}

impl Process {
    /// Whether nothing more happens.
    pub(super) fn is_over(&self) -> bool {
        matches!(
            self.status.as_str(),
            "completed" | "stopped" | "archived" | "deleted"
        )
    }

    /// Whether its status can still be read.
    pub(super) fn is_there(&self) -> bool {
        !matches!(self.status.as_str(), "archived" | "deleted")
    }

    /// When the present step is due.
    pub(super) fn due(&self) -> Option<Timestamp> {
        let hours = self.steps.get(self.at)?.due_hours?;
        self.since
            .checked_add(SignedDuration::from_hours(hours))
            .ok()
    }

    /// The server's word for how it is at `now`.
    pub(super) fn word(&self, now: Timestamp) -> &str {
        let late = self.due().is_some_and(|due| due < now);
        match self.status.as_str() {
            "ontime" if late => "workflowlate",
            word => word,
        }
    }

    /// The login name of who has a step.
    pub(super) fn assignee(&self, step: usize) -> &str {
        let own = self
            .steps
            .get(step)
            .and_then(|step| step.assignee.as_deref());
        own.unwrap_or(&self.login)
    }

    /// Somebody acts at the present step; why not, when that cannot be.
    pub(super) fn act(
        &mut self,
        action: &str,
        comment: &str,
        (user, login): (i64, &str),
        now: Timestamp,
    ) -> Result<(), &'static str> {
        if self.status == "suspended" {
            return Err("The workflow is suspended");
        }
        if self.is_over() {
            return Err("Could not access task status");
        }
        self.acts.push(Act {
            step: self.at,
            action: action.to_owned(),
            comment: comment.to_owned(),
            login: login.to_owned(),
            user,
            at: now,
        });
        self.at += 1;
        (self.since, self.read) = (now, 0);
        // Whoever says no ends it.
        if action == "Reject" || self.at >= self.steps.len() {
            self.status = "completed".to_owned();
        }
        Ok(())
    }

    /// Suspends, resumes, stops or archives it; why not, when that cannot be.
    pub(super) fn steer(&mut self, word: &str) -> Result<(), &'static str> {
        let next = match (word, self.status.as_str()) {
            ("suspend", "ontime") => "suspended",
            ("resume", "suspended") => "ontime",
            ("stop", "ontime" | "suspended") => "stopped",
            ("archive", "completed" | "stopped") => "archived",
            ("delete", "archived" | "deleted") => return Err("Could not access task status"),
            ("delete", _) => "deleted",
            _ => return Err("The requested status is not possible"),
        };
        next.clone_into(&mut self.status);
        Ok(())
    }

    /// What its present assignee does by itself.
    pub(super) fn scripted(&mut self) -> Option<StepScript> {
        if self.status != "ontime" {
            return None;
        }
        let script = self.steps.get(self.at)?.script.clone()?;
        let due = self.read >= script.after;
        self.read += 1;
        due.then_some(script)
    }

    /// Its title for people: the form's, else the map's name.
    pub(super) fn title(&self, map: &str) -> Value {
        let named = self.values.get("WorkflowForm_Title");
        let named = named.and_then(Value::as_str).filter(|t| !t.is_empty());
        json!(named.unwrap_or(map))
    }
}
