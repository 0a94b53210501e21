//! What became of a process, and what people did and said in it.

use ::http::Method;
use serde::Deserialize;
use tracing::debug;

use super::words::{Process, ProcessActivity, ProcessInfo, ProcessStatus};
use super::{NO_STATUS, failed, result_data, rows};
use crate::content_server::errors::Error;
use crate::content_server::wire::maybe_text;
use crate::content_server::{Client, wire};
use crate::types::{Failure, NodeId};

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
