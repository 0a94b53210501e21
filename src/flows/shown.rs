//! A run as people see it inside iconik: a job with its progress in bytes and its steps.
//!
//! It is a display and nothing else: whatever iconik says to it, the run goes on.

use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};

use serde_json::json;
use sha2::{Digest as _, Sha256};
use tokio::sync::OnceCell;

use super::Error;
use super::drive::{Drive, not_done};
use crate::iconik::{JobEnd, JobReport, NewJob, Step, StepStatus, Told};
use crate::ledger::StateCount;
use crate::transfer::Outcome;
use crate::types::{ByteCount, JobId};

/// What a run is at, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// Looking at assets, and filing what it finds.
    Filing,
    /// Making packages.
    Packing,
    /// Telling iconik what is left to tell.
    Telling,
    /// Over.
    Over,
}

/// The job of a run, once there is one; none where it may not be made.
pub(super) struct Shown {
    job: OnceCell<Option<JobReport>>,
    /// Bytes that were done before this process.
    before: ByteCount,
    state: Mutex<State>,
}

struct State {
    phase: Phase,
    /// How far the steps were when iconik was told last.
    told: Vec<StepStatus>,
}

impl Shown {
    /// Nothing shown yet, of a run of which `summary` was there before.
    pub(super) fn new(summary: &[StateCount]) -> Self {
        Self {
            job: OnceCell::new(),
            before: done(summary),
            state: Mutex::new(State {
                phase: Phase::Filing,
                told: Vec::new(),
            }),
        }
    }

    /// The run goes on to another phase.
    pub(super) fn enter(&self, phase: Phase) {
        self.lock().phase = phase;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drive {
    /// Shows how far the run is.
    pub(super) async fn show(&self, shown: &Shown) -> Result<(), Error> {
        let Some(job) = self.job_of(shown).await? else {
            return Ok(());
        };
        if job.is_open() {
            self.show_steps(shown, job, None).await;
        }
        if job.is_due() {
            let summary = self.ledger.summary(self.run).await?;
            let all = summary.iter().map(|count| count.bytes).sum();
            let scanned = self.scan.done.load(Ordering::SeqCst);
            let message = match shown.lock().phase {
                Phase::Filing => "filing in Content Server",
                Phase::Packing => "packing the campaign",
                Phase::Telling | Phase::Over => "telling iconik",
            };
            let _told = job
                .progress(
                    self.processed(shown, &summary),
                    scanned.then_some(all),
                    message,
                )
                .await;
        }
        Ok(())
    }

    /// Closes the job, unless the run goes on later.
    pub(super) async fn show_end(&self, shown: &Shown, outcome: &Outcome) -> Result<(), Error> {
        let Some(job) = self.job_of(shown).await? else {
            return Ok(());
        };
        let summary = self.ledger.summary(self.run).await?;
        let end = match outcome {
            Outcome::Finished => match not_done(&summary) {
                0 => JobEnd::Finished,
                open => JobEnd::Warning(format!("{open} items are not done")),
            },
            Outcome::Failed(failure) => JobEnd::Failed(failure.to_string()),
            // It goes on: the job stays open.
            Outcome::Stopped | Outcome::Waiting => return Ok(()),
        };
        let failed = match &end {
            JobEnd::Failed(why) => Some(why.as_str()),
            JobEnd::Finished | JobEnd::Warning(_) => {
                shown.enter(Phase::Over);
                None
            }
        };
        self.show_steps(shown, job, failed).await;
        let all = summary.iter().map(|count| count.bytes).sum();
        let _told = job.finish(&end, self.processed(shown, &summary), all).await;
        Ok(())
    }

    /// Bytes of the run that are done: by earlier processes, and confirmed by this one.
    fn processed(&self, shown: &Shown, summary: &[StateCount]) -> ByteCount {
        let confirmed = self.engine.progress().confirmed.load(Ordering::Relaxed);
        let all = summary.iter().map(|count| count.bytes).sum();
        // What was there already needed no confirming.
        (shown.before + confirmed).max(done(summary)).min(all)
    }

    /// Tells how far the steps are, when that is not what iconik was told last.
    async fn show_steps(&self, shown: &Shown, job: &JobReport, failed: Option<&str>) {
        let scanned = self.scan.done.load(Ordering::SeqCst);
        let packs = self.package.is_some();
        let phase = shown.lock().phase;
        let steps = steps(job.id(), phase, scanned, packs, failed);
        let now: Vec<StepStatus> = steps.iter().map(|step| step.status.clone()).collect();
        if shown.lock().told == now {
            return;
        }
        if matches!(job.steps(&steps).await, Told::Done | Told::Skipped) {
            shown.lock().told = now;
        }
    }

    /// The job that shows the run; none before there is anything to show. What waits for a person
    /// is looked at by every run from a timer, and is nothing to show by itself.
    async fn job_of<'a>(&self, shown: &'a Shown) -> Result<Option<&'a JobReport>, Error> {
        if !shown.job.initialized() && self.ledger.meta(&self.job_key()).await?.is_none() {
            let items = self.ledger.summary(self.run).await?;
            if items.iter().all(|count| count.state == "held") {
                return Ok(None);
            }
        }
        Ok(shown.job.get_or_init(|| self.job()).await.as_ref())
    }

    fn job_key(&self) -> String {
        format!("job of run {}", self.run)
    }

    /// The job of the run; the same one after a resume. A token without the right to write jobs is
    /// no reason to stop.
    async fn job(&self) -> Option<JobReport> {
        let key = self.job_key();
        if let Ok(Some(id)) = self.ledger.meta(&key).await {
            return Some(self.systems.iconik.report_to(JobId(id)));
        }
        let new = NewJob {
            title: format!("longhaul run {}", self.run),
            custom_type: "LONGHAUL".into(),
            collection: self.collection.clone(),
            facts: json!({"run": self.run})
                .as_object()
                .cloned()
                .unwrap_or_default(),
            ..Default::default()
        };
        match self.systems.iconik.start_job(&new).await {
            Ok(job) => {
                if let Err(error) = self.ledger.set_meta(&key, job.id().as_str()).await {
                    tracing::warn!(%error, "the job's id was not recorded");
                }
                Some(job)
            }
            Err(error) => {
                tracing::warn!(%error, "no job is shown in iconik");
                None
            }
        }
    }
}

/// Bytes of items that are done.
fn done(summary: &[StateCount]) -> ByteCount {
    let done = summary.iter().filter(|count| count.state == "done");
    done.map(|count| count.bytes).sum()
}

/// The steps of a run: what is over, what it is at, what comes. `failed` is why it ended early.
fn steps(job: &JobId, phase: Phase, scanned: bool, packs: bool, failed: Option<&str>) -> Vec<Step> {
    let of = |own: Phase| match phase.cmp(&own) {
        std::cmp::Ordering::Less if failed.is_some() => StepStatus::Skipped,
        std::cmp::Ordering::Less => StepStatus::Waiting,
        std::cmp::Ordering::Equal if failed.is_some() => StepStatus::Failed,
        std::cmp::Ordering::Equal => StepStatus::InProgress,
        std::cmp::Ordering::Greater => StepStatus::Done,
    };
    let looking = match (scanned, of(Phase::Filing)) {
        (true, _) => StepStatus::Done,
        (false, status) => status,
    };
    let mut all = vec![
        ("Look at the assets", looking),
        ("File in Content Server", of(Phase::Filing)),
    ];
    if packs {
        all.push(("Pack the campaign", of(Phase::Packing)));
    }
    all.push(("Tell iconik", of(Phase::Telling)));
    all.into_iter()
        .map(|(label, status)| Step {
            id: id_of(job, label),
            label: label.to_owned(),
            message: failed
                .filter(|_| status == StepStatus::Failed)
                .map(str::to_owned),
            status,
        })
        .collect()
}

/// A step's id: the same one whichever process tells of it.
fn id_of(job: &JobId, label: &str) -> String {
    let digest: [u8; 32] = Sha256::digest(format!("{job} {label}")).into();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    uuid::Builder::from_random_bytes(bytes)
        .into_uuid()
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(phase: Phase, scanned: bool, packs: bool, failed: Option<&str>) -> Vec<String> {
        let steps = steps(&JobId("j".to_owned()), phase, scanned, packs, failed);
        let told = steps.iter().map(|step| step.status.to_string());
        told.collect()
    }

    #[test]
    fn steps_go_from_waiting_to_done_in_their_order() {
        assert_eq!(
            said(Phase::Filing, false, true, None),
            ["IN_PROGRESS", "IN_PROGRESS", "WAITING", "WAITING"]
        );
        assert_eq!(
            said(Phase::Filing, true, false, None),
            ["DONE", "IN_PROGRESS", "WAITING"]
        );
        assert_eq!(
            said(Phase::Packing, true, true, None),
            ["DONE", "DONE", "IN_PROGRESS", "WAITING"]
        );
        assert_eq!(said(Phase::Over, true, true, None), ["DONE"; 4]);
        assert_eq!(
            said(Phase::Packing, true, true, Some("no")),
            ["DONE", "DONE", "FAILED", "SKIPPED"]
        );
    }

    #[test]
    fn a_step_has_one_id_in_every_process() {
        let job = JobId("j".to_owned());
        let ids = |phase| -> Vec<String> {
            let steps = steps(&job, phase, true, true, None);
            steps.into_iter().map(|step| step.id).collect()
        };
        assert_eq!(ids(Phase::Filing), ids(Phase::Over));
        assert!(ids(Phase::Filing)[0].parse::<uuid::Uuid>().is_ok());
    }
}
