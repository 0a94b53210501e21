//! How far a process is, and what came of it.

use serde_json::json;

use super::outcome::{Evidence, Source};
use super::{Approvals, Case, Decision, Ending, Outcome, Progress, Stage, Step, Subject, Verdict};
use crate::content_server::{
    Process, ProcessActivity, ProcessComment, ProcessInfo, ProcessStatus, ProcessStep,
};
use crate::flows::Error;
use crate::types::NodeId;

impl Approvals<'_> {
    /// Looks at a process that was started, or may have been.
    pub(super) async fn look_after(
        &self,
        subject: &Subject,
        case: &mut Option<Case>,
    ) -> Result<Vec<Decision>, Error> {
        let Some(known) = case.clone() else {
            return Ok(Vec::new());
        };
        match known.stage {
            Stage::Sent { draft } | Stage::Unclear { draft } => {
                self.look_up(subject, case, draft).await
            }
            Stage::Running { process, progress } => {
                self.watch(subject, case, process, progress).await
            }
            Stage::Lost { .. } => {
                let why = known.why();
                Ok(vec![subject.decision(case.as_ref(), Outcome::Unclear, why)])
            }
            Stage::Puzzling { .. } => {
                let why = known.why();
                Ok(vec![subject.decision(
                    case.as_ref(),
                    Outcome::Puzzling,
                    why,
                )])
            }
            _ => Ok(Vec::new()),
        }
    }

    pub(super) async fn watch(
        &self,
        subject: &Subject,
        case: &mut Option<Case>,
        process: i64,
        before: Progress,
    ) -> Result<Vec<Decision>, Error> {
        let server = &self.systems.content_server;
        let Some(found) = server.process(process).await? else {
            let why = "is archived or deleted, and its end was not seen".to_owned();
            return self.puzzle(subject, case, process, why, before).await;
        };
        let info = server.process_info(process).await?;
        let progress = progress_of(&found, &info);
        if found.status == ProcessStatus::Stopped {
            let why = "was stopped before its end".to_owned();
            return self.puzzle(subject, case, process, why, progress).await;
        }
        if found.status == ProcessStatus::Completed {
            return match self.ending(case, &found, &info).await? {
                Ok(ending) => self.end(subject, case, process, ending, progress).await,
                Err(why) => self.puzzle(subject, case, process, why, progress).await,
            };
        }
        if progress == before {
            return Ok(Vec::new());
        }
        let data = json!({"process": process, "progress": progress});
        let next = self.staged(subject, case, Stage::Running { process, progress });
        self.remember(subject, &next, Some(("approval-moved", data)))
            .await?;
        let why = next.why();
        *case = Some(next);
        Ok(vec![subject.decision(case.as_ref(), Outcome::Moved, why)])
    }

    /// What came of a process that is completed, or why that cannot be told.
    async fn ending(
        &self,
        case: &Option<Case>,
        process: &Process,
        info: &ProcessInfo,
    ) -> Result<Result<Ending, String>, Error> {
        let server = &self.systems.content_server;
        let mut activities = Vec::new();
        let mut document = Vec::new();
        match &self.policy.outcome.from {
            Source::Activities => activities = self.activities(process).await?,
            Source::Document(field) => {
                let node = case.as_ref().map_or(NodeId(0), |case| case.node);
                let categories = server.categories(node).await?;
                let own = categories.iter().find(|own| own.id.0 == field.category);
                document = own.map_or(Vec::new(), |own| field.read(&own.values.0));
            }
            _ => {}
        }
        Ok(self.policy.outcome.judge(&Evidence {
            process,
            info,
            activities: &activities,
            document: &document,
        }))
    }

    /// What people did in every part of a process, with their names.
    async fn activities(
        &self,
        process: &Process,
    ) -> Result<Vec<(ProcessActivity, Option<String>)>, Error> {
        let server = &self.systems.content_server;
        let steps = process.completed.iter().chain(&process.current);
        let mut parts: Vec<i64> = steps.filter_map(|step| step.subprocess_id).collect();
        // The main part of a process has the process's own number.
        parts.push(process.id);
        parts.sort_unstable();
        parts.dedup();
        let mut all = Vec::new();
        for part in parts {
            for activity in server.process_activities(process.id, part).await? {
                if all.iter().any(|(own, _)| *own == activity) {
                    continue;
                }
                all.push((activity, None));
            }
        }
        for (activity, name) in &mut all {
            let Some(user) = activity.user_id else {
                continue;
            };
            let said = activity.action.as_deref().unwrap_or_default();
            if said.eq_ignore_ascii_case("initiate") {
                continue;
            }
            // A name is for people: the number serves where it may not be read.
            let known = match server.member_name(user).await {
                Ok(known) => known,
                Err(error) => {
                    tracing::debug!(user, %error, "a member's name is not known");
                    None
                }
            };
            *name = Some(known.unwrap_or_else(|| format!("user {user}")));
        }
        Ok(all)
    }

    async fn end(
        &self,
        subject: &Subject,
        case: &mut Option<Case>,
        process: i64,
        ending: Ending,
        progress: Progress,
    ) -> Result<Vec<Decision>, Error> {
        let data = json!({"process": process, "ending": ending, "progress": progress, "read_from": format!("{:?}", self.policy.outcome.from)});
        let outcome = match ending.verdict {
            Verdict::Approved => Outcome::Approved,
            Verdict::Rejected => Outcome::Rejected,
        };
        let why = ending.to_string();
        let stage = Stage::Ended {
            process: Some(process),
            ending,
            progress,
        };
        let next = self.staged(subject, case, stage);
        self.remember(subject, &next, Some(("approval-ended", data)))
            .await?;
        *case = Some(next);
        Ok(vec![subject.decision(case.as_ref(), outcome, why)])
    }

    async fn puzzle(
        &self,
        subject: &Subject,
        case: &mut Option<Case>,
        process: i64,
        why: String,
        progress: Progress,
    ) -> Result<Vec<Decision>, Error> {
        let data = json!({"process": process, "why": why, "progress": progress});
        let stage = Stage::Puzzling {
            process,
            why,
            progress,
        };
        let next = self.staged(subject, case, stage);
        self.remember(subject, &next, Some(("approval-puzzling", data)))
            .await?;
        let why = next.why();
        *case = Some(next);
        Ok(vec![subject.decision(
            case.as_ref(),
            Outcome::Puzzling,
            why,
        )])
    }
}

fn progress_of(process: &Process, info: &ProcessInfo) -> Progress {
    let status = match &process.status {
        ProcessStatus::Running => "running",
        ProcessStatus::Late => "late",
        ProcessStatus::Completed => "completed",
        ProcessStatus::Stopped => "stopped",
        ProcessStatus::Other(word) => word,
    };
    let step = |step: &ProcessStep, over: bool| {
        let comment = info.comments.iter().rev().find(|said| {
            said.step.as_deref().is_some_and(|name| name == step.name) && !said.text.is_empty()
        });
        let mut by = step.assignees.clone();
        if let Some(user) = comment.and_then(ProcessComment::by)
            && over
        {
            by = vec![user];
        }
        let word = step.status.as_deref().unwrap_or_default();
        Step {
            name: step.name.clone(),
            over,
            by,
            due: step.due.clone(),
            late: !over && word.to_ascii_lowercase().contains("late"),
            comment: comment.map(|said| said.text.clone()),
            date: comment
                .and_then(|said| said.date.clone())
                .or_else(|| step.started.clone()),
        }
    };
    let completed = process.completed.iter().map(|own| step(own, true));
    let current = process.current.iter().map(|own| step(own, false));
    Progress {
        status: status.to_owned(),
        due: process.due.clone(),
        steps: completed.chain(current).collect(),
    }
}
