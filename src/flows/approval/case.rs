//! What the ledger remembers of one asset version's approval.
//!
//! A case goes `waiting → intended → drafted → sent → running → ended`; each step is durable before
//! the next outside effect. A start that got no answer and is not found is `unclear`, and an end
//! that cannot be explained is `puzzling`: both wait for a person.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp, civil};
use serde::{Deserialize, Serialize};

use super::FLOW;
use crate::flows::Error;
use crate::ledger::Fact;
use crate::types::{AssetId, Failure, NodeId, VersionId, VersionNumber};

/// No zone is further from UTC than this; dates of the server have none.
const FURTHEST_ZONE: SignedDuration = SignedDuration::from_hours(14);

/// The approval of one asset version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Case {
    /// The item's title.
    pub title: String,
    /// The asset version's number.
    pub number: i64,
    /// Its document.
    pub node: NodeId,
    /// The document's version that it was filed as.
    pub document_version: Option<VersionNumber>,
    /// The route that was chosen; empty before one is.
    pub route: String,
    /// Which attempt this is: a person may start another.
    pub attempt: u32,
    /// How far it is.
    pub stage: Stage,
    /// What both systems were told.
    #[serde(default)]
    pub done: Done,
}

/// How far a case is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "kebab-case")]
pub enum Stage {
    /// It is not complete in iconik.
    Waiting {
        /// What is missing.
        why: String,
        /// Somebody was asked for it: it is looked at each time.
        pending: bool,
        /// The settings that it was held against.
        policy: String,
    },
    /// It could not be started.
    Refused {
        /// Why.
        why: String,
        /// The settings that it was tried with.
        policy: String,
        /// The asset's values that it was tried with.
        values: String,
    },
    /// A process is about to be drafted.
    Intended,
    /// A draft is there, and not started.
    Drafted {
        /// The draft.
        draft: i64,
    },
    /// The draft is being started: the answer is not known.
    Sent {
        /// The draft.
        draft: i64,
    },
    /// The draft may have been started, and no process is found.
    Unclear {
        /// The draft.
        draft: i64,
    },
    /// Something was begun for it that the ledger knows nothing of.
    Lost {
        /// What is known.
        why: String,
    },
    /// The process runs.
    Running {
        /// The process.
        process: i64,
        /// How far it was when last looked at.
        progress: Progress,
    },
    /// The process is over, and what came of it cannot be told.
    Puzzling {
        /// The process.
        process: i64,
        /// What is not understood.
        why: String,
        /// Its steps as they were last seen.
        progress: Progress,
    },
    /// It is decided.
    Ended {
        /// The process, unless a person decided without one.
        process: Option<i64>,
        /// The decision.
        ending: Ending,
        /// Its steps.
        progress: Progress,
    },
}

/// The final word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Yes.
    Approved,
    /// No.
    Rejected,
}

impl Verdict {
    /// The word for people and machines.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Rejected => "rejected",
        }
    }
}

/// Who decided what, when and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ending {
    /// The decision.
    pub verdict: Verdict,
    /// Who, as far as it is known.
    pub by: Option<String>,
    /// When, as the server writes it.
    pub at: Option<String>,
    /// What was said.
    pub comment: Option<String>,
}

/// How far a process is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The server's word, or `late`.
    pub status: String,
    /// When it is due.
    pub due: Option<String>,
    /// Its steps, those that are over first.
    pub steps: Vec<Step>,
}

/// A step of a process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Its name.
    pub name: String,
    /// Whether it is over.
    pub over: bool,
    /// Who has it, or had it.
    pub by: Vec<String>,
    /// When it is due.
    pub due: Option<String>,
    /// Whether the server calls it late.
    pub late: bool,
    /// What was last said at it.
    pub comment: Option<String>,
    /// When that was said, or when it began.
    pub date: Option<String>,
}

impl Progress {
    /// The steps that are late at `now`.
    pub fn overdue(&self, now: Timestamp) -> impl Iterator<Item = &Step> {
        self.steps
            .iter()
            .filter(move |step| !step.over && (step.late || is_past(step.due.as_deref(), now)))
    }

    /// Whether it, or a step of it, is late at `now`.
    pub fn is_overdue(&self, now: Timestamp) -> bool {
        self.status == "late"
            || is_past(self.due.as_deref(), now)
            || self.overdue(now).next().is_some()
    }

    /// The names of the steps that somebody has now.
    pub fn current(&self) -> Vec<&str> {
        let current = self.steps.iter().filter(|step| !step.over);
        current.map(|step| step.name.as_str()).collect()
    }
}

/// Whether a date of the server is past in every zone.
fn is_past(date: Option<&str>, now: Timestamp) -> bool {
    let Some(date) = date else { return false };
    if let Ok(at) = date.parse::<Timestamp>() {
        return at < now;
    }
    let civil = date.parse::<civil::DateTime>();
    let due = civil.and_then(|civil| civil.to_zoned(jiff::tz::TimeZone::UTC));
    due.is_ok_and(|due| now.duration_since(due.timestamp()) > FURTHEST_ZONE)
}

/// What both systems were told of a case.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Done {
    /// The word on the document.
    pub marked: Option<String>,
    /// Values by iconik's field.
    pub told: BTreeMap<String, Vec<String>>,
    /// Lines of history that are there.
    pub said: Vec<String>,
    /// The line that is being added.
    pub saying: Option<String>,
    /// The vote that was given, or could not be.
    pub voted: Option<Verdict>,
    /// What was not taken, by what it was: not offered again while it stays the same.
    pub refused: BTreeMap<String, (String, String)>,
}

impl Done {
    /// Notes the lines of history of an approval that was found ended.
    pub(super) fn said_before(&mut self, process: i64, attempt: u32, verdict: Verdict) {
        self.said = vec![begun_key(process), ended_key(attempt, verdict)];
    }
}

/// What the line of history about a start is remembered by.
pub(super) fn begun_key(process: i64) -> String {
    format!("started {process}")
}

/// What the line of history about an end is remembered by.
pub(super) fn ended_key(attempt: u32, verdict: Verdict) -> String {
    format!("ended {attempt} {}", verdict.as_str())
}

impl Ending {
    /// What [`Display`](std::fmt::Display) wrote.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let verdicts = [Verdict::Approved, Verdict::Rejected];
        let (verdict, mut rest) = verdicts
            .iter()
            .find_map(|verdict| Some((*verdict, text.strip_prefix(verdict.as_str())?)))?;
        let part = |rest: &mut &str, begins: &str, ends: &[&str]| {
            let own = rest.strip_prefix(begins)?;
            let end = ends.iter().filter_map(|end| own.find(end)).min();
            let (own, left) = own.split_at(end.unwrap_or(own.len()));
            *rest = left;
            Some(own.to_owned())
        };
        let by = part(&mut rest, " by ", &[" on 2", ": "]);
        let at = part(&mut rest, " on ", &[": "]);
        let comment = part(&mut rest, ": ", &[]);
        rest.is_empty().then_some(Self {
            verdict,
            by,
            at,
            comment,
        })
    }
}

impl Case {
    /// The process, as far as there is one.
    pub fn process(&self) -> Option<i64> {
        match &self.stage {
            Stage::Running { process, .. } | Stage::Puzzling { process, .. } => Some(*process),
            Stage::Ended { process, .. } => *process,
            _ => None,
        }
    }

    /// Its steps, as far as there are any.
    pub fn progress(&self) -> Option<&Progress> {
        match &self.stage {
            Stage::Running { progress, .. }
            | Stage::Puzzling { progress, .. }
            | Stage::Ended { progress, .. } => Some(progress),
            _ => None,
        }
    }

    /// Whether a person has to decide.
    pub fn is_open(&self) -> bool {
        matches!(
            self.stage,
            Stage::Unclear { .. } | Stage::Lost { .. } | Stage::Puzzling { .. }
        )
    }

    /// The word for how far it is.
    pub fn word(&self) -> &'static str {
        match &self.stage {
            Stage::Waiting { .. } => "not-complete",
            Stage::Refused { .. } => "refused",
            Stage::Intended | Stage::Drafted { .. } | Stage::Sent { .. } => "starting",
            Stage::Unclear { .. } | Stage::Lost { .. } => "unclear",
            Stage::Running { .. } => "running",
            Stage::Puzzling { .. } => "puzzling",
            Stage::Ended { ending, .. } => ending.verdict.as_str(),
        }
    }

    /// Why it is there, for people.
    pub fn why(&self) -> String {
        match &self.stage {
            Stage::Waiting { why, .. } | Stage::Refused { why, .. } => why.clone(),
            Stage::Intended | Stage::Drafted { .. } => "the next run starts its process".to_owned(),
            Stage::Sent { .. } => "the next run looks whether its process was started".to_owned(),
            Stage::Unclear { draft } => format!(
                "its process may have been started from draft {draft}: the server gave no clear answer, and no process has its marker in the title; look for it in Content Server (archived and suspended ones too), then `longhaul approval decide ASSET --started PROCESS`, or `--start-again` when there is none"
            ),
            Stage::Lost { why } => format!(
                "{why}; look for its process in Content Server (archived ones too), then `longhaul approval decide ASSET --started PROCESS`, `--outcome approved|rejected`, or `--start-again` when there was none"
            ),
            Stage::Running { progress, .. } => match progress.current().as_slice() {
                [] => format!("the process says {}", progress.status),
                steps => format!("at {} ({})", steps.join(", "), progress.status),
            },
            Stage::Puzzling { process, why, .. } => format!(
                "process {process} {why}; `longhaul approval decide ASSET --outcome approved|rejected`, or `--start-again`"
            ),
            Stage::Ended { ending, .. } => ending.to_string(),
        }
    }

    /// As the ledger keeps it.
    pub(super) fn fact(&self, asset: &AssetId, version: &VersionId, at: i64) -> Fact {
        Fact {
            flow: FLOW.to_owned(),
            object: asset.to_string(),
            field: version.to_string(),
            data: serde_json::to_string(self).unwrap_or_default(),
            open: self.is_open(),
            at,
        }
    }

    /// The case that a fact of this flow describes. What cannot be read is no reason to start
    /// another process.
    ///
    /// # Errors
    ///
    /// `StopEverything`.
    pub fn of(fact: &Fact) -> Result<Self, Error> {
        serde_json::from_str(&fact.data).map_err(|error| {
            Failure::stop(format!(
                "what the ledger remembers of the approval of asset {}, version {}, cannot be read: {error}; a newer longhaul may have written it",
                fact.object, fact.field
            ))
            .into()
        })
    }
}

impl std::fmt::Display for Ending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.verdict.as_str())?;
        if let Some(by) = &self.by {
            write!(f, " by {by}")?;
        }
        if let Some(at) = &self.at {
            write!(f, " on {}", at.split('T').next().unwrap_or(at))?;
        }
        match &self.comment {
            Some(comment) => write!(f, ": {comment}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_late_when_the_server_says_so_or_its_date_is_past_in_every_zone() {
        let now: Timestamp = "2026-10-03T12:00:00Z".parse().unwrap();
        let late = |due: Option<&str>, late: bool| {
            let step = Step {
                due: due.map(str::to_owned),
                late,
                ..Step::default()
            };
            let progress = Progress {
                steps: vec![step],
                ..Progress::default()
            };
            progress.is_overdue(now)
        };
        assert!(!late(None, false) && late(None, true));
        assert!(late(Some("2026-10-02T21:00:00"), false));
        assert!(!late(Some("2026-10-03T11:00:00"), false), "some zone's now");
        assert!(late(Some("2026-10-03T11:00:00Z"), false));
        assert!(!late(Some("soon"), false));
    }

    #[test]
    fn an_ending_is_read_as_it_was_written() {
        for (by, at, comment) in [
            (Some("anna"), Some("2026-10-04"), Some("fine: on 2nd look")),
            (Some("anna on tour"), None, Some("yes")),
            (None, Some("2026-10-04"), None),
            (None, None, Some("by all means")),
            (None, None, None),
        ] {
            let ending = Ending {
                verdict: Verdict::Rejected,
                by: by.map(str::to_owned),
                at: at.map(str::to_owned),
                comment: comment.map(str::to_owned),
            };
            assert_eq!(Ending::parse(&ending.to_string()), Some(ending));
        }
        assert_eq!(Ending::parse("approvedly"), None);
        assert_eq!(Ending::parse("perhaps"), None);
    }

    #[test]
    fn a_case_that_cannot_be_read_is_no_missing_one() {
        let fact = Fact {
            object: "a".to_owned(),
            field: "v".to_owned(),
            data: "{\"stage\":\"unheard\"}".to_owned(),
            ..Fact::default()
        };
        let said = Case::of(&fact).unwrap_err().to_string();
        assert!(said.contains("asset a, version v"), "{said}");
    }
}
