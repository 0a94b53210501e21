//! Jobs: how longhaul's progress shows inside iconik, and how iconik's own work is looked up.
//!
//! A job is a display record. Whatever goes wrong with one, the run it shows goes on: every call
//! of a [`JobReport`] answers [`Told`] instead of failing.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ::http::Method;
use futures::{StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::call::Call;
use super::pages::{Rows, Style};
use super::tolerant::{date, id, text, words};
use super::{Client, Error};
use crate::types::{AssetId, ByteCount, CollectionId, JobId};

/// Shortest time between two progress messages: they count against the rate limit, and nobody
/// reads faster.
const EVERY: Duration = Duration::from_secs(5);
/// Most of a message that is sent, in characters.
const MESSAGE_LIMIT: usize = 1000;

words! {
    /// How far a job is.
    JobStatus {
        /// Waiting to be started.
        Ready = "READY",
        /// Running.
        Started = "STARTED",
        /// Waiting for something.
        Waiting = "WAITING",
        /// Paused by a person.
        Paused = "PAUSED",
        /// Done.
        Finished = "FINISHED",
        /// Done, with remarks.
        FinishedWithWarning = "FINISHED_WITH_WARNING",
        /// Not done.
        Failed = "FAILED",
        /// About to be stopped.
        AbortPending = "ABORT_PENDING",
        /// Stopped by a person.
        Aborted = "ABORTED",
        /// Not needed.
        Skipped = "SKIPPED",
    }
}

words! {
    /// How far a step of a job is.
    StepStatus {
        /// Not begun.
        Waiting = "WAITING",
        /// Under way.
        InProgress = "IN_PROGRESS",
        /// Done.
        Done = "DONE",
        /// Not done.
        Failed = "FAILED",
        /// Not needed.
        Skipped = "SKIPPED",
    }
}

/// A job.
#[derive(Clone, Debug, Deserialize)]
pub struct Job {
    /// Its id.
    #[serde(deserialize_with = "id")]
    pub id: JobId,
    /// What it does: `RESTORE`, `TRANSFER`, `CUSTOM`, …
    #[serde(default, rename = "type", deserialize_with = "text")]
    pub kind: Option<String>,
    /// How far it is.
    #[serde(default)]
    pub status: JobStatus,
    /// Why it failed.
    #[serde(default, deserialize_with = "text")]
    pub error_message: Option<String>,
    /// When it was made.
    #[serde(default, deserialize_with = "date")]
    pub date_created: Option<Timestamp>,
}

impl Job {
    /// Whether it may still do something.
    pub fn is_active(&self) -> bool {
        matches!(
            self.status,
            JobStatus::Ready
                | JobStatus::Started
                | JobStatus::Waiting
                | JobStatus::Paused
                | JobStatus::AbortPending
                | JobStatus::Other(_)
        )
    }
}

/// A job to show.
#[derive(Clone, Debug, Default)]
pub struct NewJob {
    /// Shown in the list of jobs.
    pub title: String,
    /// What kind of custom job, such as `LONGHAUL_PUBLISH`.
    pub custom_type: String,
    /// The collection it works on, when it is one.
    pub collection: Option<CollectionId>,
    /// The asset it works on, when it is one.
    pub asset: Option<AssetId>,
    /// Bytes to move, when known.
    pub total: Option<ByteCount>,
    /// Other facts to keep with it, such as the run's number. Never secrets.
    pub facts: Map<String, Value>,
}

/// How a job ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobEnd {
    /// Everything was done.
    Finished,
    /// Done, with something to look at.
    Warning(String),
    /// Not done.
    Failed(String),
}

/// A step of a job.
#[derive(Clone, Debug)]
pub struct Step {
    /// A UUID, chosen by the caller, the same in every update.
    pub id: String,
    /// What people read.
    pub label: String,
    /// How far it is.
    pub status: StepStatus,
    /// A remark.
    pub message: Option<String>,
}

/// What became of a message to iconik. None of it is a reason to stop.
#[derive(Debug)]
pub enum Told {
    /// iconik has it.
    Done,
    /// Not sent: the last one is too recent, or the job may not be written any more.
    Skipped,
    /// iconik did not take it.
    Refused(Error),
}

/// Shows one run as a job.
#[derive(Debug)]
pub struct JobReport {
    client: Client,
    id: JobId,
    state: Mutex<ReportState>,
}

#[derive(Debug, Default)]
struct ReportState {
    sent: Option<Instant>,
    /// Not before this: iconik asked us to wait, or did not take the last one.
    until: Option<Instant>,
    muted: bool,
}

impl ReportState {
    fn is_open(&self, now: Instant) -> bool {
        !self.muted && self.until.is_none_or(|until| until <= now)
    }

    fn is_due(&self, now: Instant) -> bool {
        let early = self.sent.is_some_and(|sent| now < sent + EVERY);
        self.is_open(now) && !early
    }
}

impl Client {
    /// The jobs of an asset, newest first.
    pub fn jobs_of(&self, asset: &AssetId) -> Rows<Job> {
        let call = Call::get(
            &["jobs", "v1", "jobs"],
            "can_read_jobs",
            format!("listing the jobs of asset {asset}"),
        )
        .query("object_id", asset)
        .query("sort", "date_created,desc")
        .query("facets", false);
        self.rows(call, Style::Page, true)
    }

    /// The newest job that restores something of an asset.
    pub(super) async fn newest_restore(&self, asset: &AssetId) -> Result<Option<Job>, Error> {
        let mut newest: Option<Job> = None;
        // Newest first, as a rule; a few pages make up for exceptions.
        let mut jobs = self.jobs_of(asset).take(300);
        while let Some(job) = jobs.try_next().await? {
            let restores = matches!(
                job.kind.as_deref(),
                Some("RESTORE" | "RESTORE_FROM_GLACIER")
            );
            if restores
                && newest
                    .as_ref()
                    .is_none_or(|old| job.date_created > old.date_created)
            {
                newest = Some(job);
            }
        }
        Ok(newest)
    }

    /// Makes a job that shows a run.
    ///
    /// # Errors
    ///
    /// Any; the caller goes on without a job.
    pub async fn start_job(&self, new: &NewJob) -> Result<JobReport, Error> {
        let mut body = json!({
            "title": clip(&new.title),
            "type": "CUSTOM",
            "custom_type": new.custom_type,
            "status": JobStatus::Started,
            "started_at": Timestamp::now().to_string(),
            "progress_processed": 0,
            "metadata": new.facts,
        });
        let mut set = |name: &str, value: Value| body[name] = value;
        if let Some(total) = new.total {
            set("progress_total", total.into());
        }
        if let Some(asset) = &new.asset {
            set("object_type", "assets".into());
            set("object_id", asset.as_str().into());
            if let Some(collection) = &new.collection {
                let related = json!([{ "object_type": "collections", "object_id": collection }]);
                set("related_objects", related);
            }
        } else if let Some(collection) = &new.collection {
            set("object_type", "collections".into());
            set("object_id", collection.as_str().into());
        }
        let call = Call::new(
            Method::POST,
            &["jobs", "v1", "jobs"],
            "can_write_jobs",
            "making a job",
        )
        .body(body);
        let job: Job = self.json(&call).await?;
        Ok(self.report_to(job.id))
    }

    /// Goes on showing a run as a job that was made earlier.
    pub fn report_to(&self, job: JobId) -> JobReport {
        JobReport {
            client: self.clone(),
            id: job,
            state: Mutex::default(),
        }
    }
}

impl JobReport {
    /// The job's id, to go on with after a restart.
    pub fn id(&self) -> &JobId {
        &self.id
    }

    /// Whether iconik may be told anything now: after a refusal not at once, or not at all.
    pub fn is_open(&self) -> bool {
        self.lock().is_open(Instant::now())
    }

    /// Whether [`progress`](Self::progress) would be sent now.
    pub fn is_due(&self) -> bool {
        self.lock().is_due(Instant::now())
    }

    /// Shows how far the run is, in bytes; sent every few seconds at most. `total` is `None` as long
    /// as nobody knows it.
    pub async fn progress(
        &self,
        processed: ByteCount,
        total: Option<ByteCount>,
        message: &str,
    ) -> Told {
        if !self.may_send() {
            return Told::Skipped;
        }
        let mut body = json!({ "progress_processed": processed, "message": clip(message) });
        if let Some(total) = total {
            body["progress_total"] = total.into();
        }
        self.patch(&[], body).await
    }

    /// Shows the run's steps; always sent, so call it when one changes.
    pub async fn steps(&self, steps: &[Step]) -> Told {
        let steps: Vec<Value> = steps
            .iter()
            .map(|step| {
                let mut body = json!({ "id": step.id, "label": step.label, "status": step.status });
                if let Some(message) = &step.message {
                    body["message"] = clip(message).into();
                }
                body
            })
            .collect();
        self.patch(&["steps"], json!({ "steps": steps })).await
    }

    /// Closes the job. Safe to repeat.
    pub async fn finish(&self, end: &JobEnd, processed: ByteCount, total: ByteCount) -> Told {
        let mut body = json!({
            "progress_processed": processed,
            "progress_total": total,
            "completed_at": Timestamp::now().to_string(),
        });
        match end {
            JobEnd::Finished => body["status"] = json!(JobStatus::Finished),
            JobEnd::Warning(message) => {
                body["status"] = json!(JobStatus::FinishedWithWarning);
                body["message"] = clip(message).into();
            }
            JobEnd::Failed(message) => {
                body["status"] = json!(JobStatus::Failed);
                body["error_message"] = clip(message).into();
            }
        }
        self.patch(&[], body).await
    }

    fn may_send(&self) -> bool {
        let mut state = self.lock();
        let now = Instant::now();
        let due = state.is_due(now);
        if due {
            state.sent = Some(now);
        }
        due
    }

    fn lock(&self) -> MutexGuard<'_, ReportState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn patch(&self, below: &[&str], body: Value) -> Told {
        let mut path = vec!["jobs", "v1", "jobs", self.id.as_str()];
        path.extend(below);
        let call = Call::new(
            Method::PATCH,
            &path,
            "can_write_jobs",
            format!("updating job {}", self.id),
        )
        .body(body);
        let Err(error) = self.client.done(&call).await else {
            return Told::Done;
        };
        tracing::warn!(job = %self.id, error = %error, "iconik does not show the progress");
        let mut state = self.lock();
        match &error {
            Error::Forbidden { .. } | Error::NotFound { .. } => state.muted = true,
            Error::Throttled { retry_after, .. } => {
                state.until = Some(Instant::now() + retry_after.unwrap_or(10 * EVERY));
            }
            _ => state.until = Some(Instant::now() + 10 * EVERY),
        }
        Told::Refused(error)
    }
}

fn clip(message: &str) -> String {
    message.chars().take(MESSAGE_LIMIT).collect()
}
