//! Brings files back from cold storage, and finds out how far that is.
//!
//! iconik documents one call, the restore of an archived format, and answers it without naming a
//! job; objects that a bucket's own rules moved to Glacier show as a job of another type. So the
//! truth is looked up each time, the bytes first, then the asset's jobs, and a restore is asked
//! for only when neither speaks against it. Asking twice is harmless but shows in people's lists.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ::http::{Method as Verb, StatusCode};
use serde_json::json;
use tokio::time::Instant;

use super::call::Call;
use super::reader::complete;
use super::{Error, FileStatus, Job, JobStatus, Locator, Method, Reader};
use crate::transfer::{Restore, SourceFile};
use crate::types::{Failure, FailureClass, FormatId, JobId, Reason};

/// How long a restore that was asked for may stay out of the list of jobs.
const UNLISTED: Duration = Duration::from_secs(1800);

/// First wait before a restore is looked at again, and the longest one.
const SOON: Duration = Duration::from_secs(2);
const SELDOM: Duration = Duration::from_secs(60);

/// Restores asked for by this process, by format.
#[derive(Default)]
pub(super) struct Restores(Mutex<HashMap<FormatId, Asked>>);

#[derive(Clone)]
struct Asked {
    when: Instant,
    /// The newest restore job before we asked.
    before: Option<JobId>,
}

impl Restores {
    fn get(&self, format: &FormatId) -> Option<Asked> {
        let asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        asked.get(format).cloned()
    }

    fn set(&self, format: &FormatId, asked: Option<Asked>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match asked {
            Some(asked) => all.insert(format.clone(), asked),
            None => all.remove(format),
        };
    }
}

impl Reader {
    pub(super) async fn restore_file(&self, file: &SourceFile) -> Result<Restore, Failure> {
        let at = Locator::parse(&file.locator)?;
        let named = |failure: Failure| failure.context(&file.name);
        let entry = self.client.address_now(&at).await?;
        match complete(&entry.row) {
            Ok(()) if at.method == Method::File => return Ok(Restore::Ready),
            Ok(()) => match self.probe(&at, &entry, file.size).await {
                Ok(_) => {
                    self.client.0.restores.set(&at.format, None);
                    return Ok(Restore::Ready);
                }
                Err(failure) if failure.reason == Reason::ColdStorage => {}
                Err(failure) => return Err(named(failure)),
            },
            Err(failure) if failure.reason == Reason::ColdStorage => {}
            Err(failure) => return Err(named(failure)),
        }
        let archived = entry.row.status == FileStatus::Archived;
        self.thaw(&at, archived).await.map_err(named)
    }

    async fn thaw(&self, at: &Locator, archived: bool) -> Result<Restore, Failure> {
        let newest = match self.client.newest_restore(&at.asset).await {
            Ok(newest) => newest,
            // Without a look at the jobs we rely on what this process asked for.
            Err(error) if error.is_forbidden() => None,
            Err(error) => return Err(error.into()),
        };
        if newest.as_ref().is_some_and(Job::is_active) {
            return Ok(self.underway(at));
        }
        let newest_id = newest.as_ref().map(|job| job.id.clone());
        if let Some(asked) = self.client.0.restores.get(&at.format) {
            match newest {
                Some(job) if newest_id != asked.before => {
                    self.client.0.restores.set(&at.format, None);
                    return match job.status {
                        JobStatus::Finished | JobStatus::FinishedWithWarning if archived => {
                            Err(Failure::item(
                                Reason::SourceChanged,
                                "the archived format was restored as another copy; plan the asset again",
                            ))
                        }
                        // The bytes follow the job by a while.
                        JobStatus::Finished | JobStatus::FinishedWithWarning => {
                            Ok(self.underway(at))
                        }
                        _ => Err(Failure::item(
                            Reason::ColdStorage,
                            format!(
                                "iconik's restore ended as {}: {}; look at the job there, then retry",
                                job.status,
                                job.error_message.as_deref().unwrap_or("no message")
                            ),
                        )),
                    };
                }
                _ if asked.when.elapsed() < UNLISTED => return Ok(self.underway(at)),
                _ => {}
            }
        }
        self.ask(at).await?;
        self.client.0.restores.set(
            &at.format,
            Some(Asked {
                when: Instant::now(),
                before: newest_id,
            }),
        );
        Ok(self.underway(at))
    }

    /// Looks come soon after the request, then ever more seldom: a restore takes minutes to hours.
    fn underway(&self, at: &Locator) -> Restore {
        let asked = self.client.0.restores.get(&at.format);
        let look_again = asked.map_or(SELDOM, |asked| {
            (asked.when.elapsed() / 2).clamp(SOON, SELDOM)
        });
        Restore::Underway { look_again }
    }

    async fn ask(&self, at: &Locator) -> Result<(), Failure> {
        let call = Call::new(
            Verb::POST,
            &[
                "files",
                "v1",
                "assets",
                at.asset.as_str(),
                "formats",
                at.format.as_str(),
                "restore",
            ],
            "can_restore_archived_formats",
            format!("restoring format {} of asset {}", at.format, at.asset),
        )
        .body(json!({}));
        match self.client.done(&call).await {
            Ok(()) => Ok(()),
            // Somebody else asked first.
            Err(Error::Status { status, .. }) if status == StatusCode::CONFLICT => Ok(()),
            Err(
                error @ (Error::Status { .. } | Error::NotFound { .. } | Error::Forbidden { .. }),
            ) => {
                let failure = error.into_failure();
                if failure.class != FailureClass::ItemIsWrong {
                    return Err(failure);
                }
                Err(Failure::item(
                    Reason::ColdStorage,
                    format!(
                        "{}; restore the file in iconik or in its bucket (it needs \
                         s3:RestoreObject there), then retry",
                        failure.message
                    ),
                ))
            }
            Err(error) => Err(error.into()),
        }
    }
}
