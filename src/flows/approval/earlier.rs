//! Approvals that were begun and that the ledger does not know: it was lost, or an old copy of it
//! was put back.
//!
//! Before the first start for a version its process is looked for by marker, every attempt that a
//! person may have allowed, among running, finished and archived ones; then in what iconik's
//! history was told, and on the document. What was begun is taken up again. What cannot be known
//! waits for a person.

use std::collections::BTreeMap;

use futures::TryStreamExt as _;
use serde_json::json;

use super::start::Ready;
use super::tell::{Told, told_by};
use super::{Approvals, Case, Decision, Ending, FLOW, Outcome, Progress, Stage, Subject, Verdict};
use crate::flows::Error;
use crate::types::{FailureClass, NodeId};

/// Attempts that are looked for: a person allows each after the first.
const ATTEMPTS: u32 = 16;

/// What is found of an approval that the ledger does not know.
pub(super) enum Earlier {
    /// Its process.
    Process { id: i64, attempt: u32 },
    /// Its process is archived or deleted, and iconik's history has what came of it.
    Ended {
        process: i64,
        route: String,
        ending: Ending,
    },
    /// Something was begun, and nobody can tell what came of it.
    Unknown(String),
}

impl Approvals<'_> {
    /// What is found of a version's approval; nothing when none was begun.
    pub(super) async fn earlier(
        &self,
        subject: &Subject,
        ready: &Ready<'_>,
    ) -> Result<Option<Earlier>, Error> {
        let server = &self.systems.content_server;
        let markers: Vec<String> = (1..=ATTEMPTS)
            .map(|attempt| self.marker(subject, attempt))
            .collect();
        let attempt = |at: usize| u32::try_from(at + 1).unwrap_or(ATTEMPTS);
        let listed = server.find_processes(&markers).await?;
        let archived = match server.archived_process(NodeId(ready.map), &markers).await {
            Ok(found) => found,
            // A server without that list has not told that nothing is archived.
            Err(failure) if failure.class == FailureClass::ItemIsWrong => {
                tracing::debug!(%failure, "archived processes are not listed");
                None
            }
            Err(failure) => return Err(failure.into()),
        };
        // The last attempt is the one that counts.
        let listed = listed.into_iter().next_back();
        if let Some((at, id)) =
            listed.filter(|(at, _)| archived.is_none_or(|(other, _)| *at >= other))
        {
            return Ok(Some(Earlier::Process {
                id,
                attempt: attempt(at),
            }));
        }
        let told = self.told_before(subject).await?;
        if let Some((process, route, ending)) = told.ended
            && archived.is_none_or(|(_, id)| id == process)
            && server.process(process).await?.is_none()
        {
            return Ok(Some(Earlier::Ended {
                process,
                route,
                ending,
            }));
        }
        if let Some((at, id)) = archived {
            return Ok(Some(Earlier::Process {
                id,
                attempt: attempt(at),
            }));
        }
        if let Some(process) = told.begun {
            return Ok(Some(Earlier::Unknown(format!(
                "iconik's history says that process {process} was begun for it, and no process of longhaul's has its marker"
            ))));
        }
        if told.others || self.is_known(subject).await? {
            // Of other versions something is known, and of this one nothing.
            return Ok(None);
        }
        Ok(self.marked_before(subject).await?.map(|word| {
            Earlier::Unknown(format!(
                "the ledger knows of no approval of this asset, and its document says {word:?}"
            ))
        }))
    }

    /// What longhaul left in the history of the asset about approvals of its versions.
    async fn told_before(&self, subject: &Subject) -> Result<Before, Error> {
        let iconik = &self.systems.iconik;
        let me = iconik.validate().await?.user.as_ref();
        let me = me.and_then(|user| user.id.clone());
        let mut lines = iconik.history(&subject.asset, Some("CUSTOM"));
        let mut before = Before::default();
        let mut begun = None;
        let mut ended = BTreeMap::new();
        loop {
            let line = match lines.try_next().await {
                Ok(Some(line)) => line,
                Ok(None) => break,
                Err(error) => {
                    let failure = error.into_failure();
                    if failure.class != FailureClass::ItemIsWrong {
                        return Err(failure.into());
                    }
                    tracing::debug!(asset = %subject.asset, %failure, "its history is not shown");
                    break;
                }
            };
            // What others write there proves nothing.
            if me.is_none() || line.user_id != me {
                continue;
            }
            let text = line.description.unwrap_or_default();
            let Some((number, told)) = told_by(&text, &self.systems.instance) else {
                continue;
            };
            if number != subject.number {
                before.others = true;
                continue;
            }
            match told {
                // Lines of one moment come in any order, and processes are numbered in theirs.
                Told::Begun(process) => begun = begun.max(Some((line.date_created, process))),
                Told::Ended(process, route, ending) => {
                    ended.entry(process).or_insert((route, ending));
                }
            }
        }
        let last = begun.map(|(_, process)| process);
        before.begun = last;
        if let Some(process) = last.or_else(|| ended.keys().next_back().copied()) {
            let found = ended.remove(&process);
            before.ended = found.map(|(route, ending)| (process, route, ending));
        }
        Ok(before)
    }

    /// Whether the ledger remembers an approval of another version of the asset.
    async fn is_known(&self, subject: &Subject) -> Result<bool, Error> {
        let facts = self.ledger.remembered(FLOW, subject.asset.as_str()).await?;
        for fact in facts
            .iter()
            .filter(|fact| fact.field != subject.version.as_str())
        {
            let case = Case::of(fact)?;
            if case.progress().is_some() || case.is_open() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The word that an approval left on the document.
    async fn marked_before(&self, subject: &Subject) -> Result<Option<String>, Error> {
        let Some(mark) = &self.policy.mark else {
            return Ok(None);
        };
        let categories = self.systems.content_server.categories(subject.node).await?;
        let own = categories
            .iter()
            .find(|own| own.id.0 == mark.field.category);
        let values = own.map_or(Vec::new(), |own| mark.field.read(&own.values.0));
        let words = [&mark.running, &mark.approved, &mark.rejected];
        let ours = |value: &String| words.iter().any(|word| word.as_ref() == Some(value));
        Ok(values.into_iter().find(ours))
    }

    /// Goes on with what was found.
    pub(super) async fn take_up(
        &self,
        subject: &Subject,
        case: &mut Option<Case>,
        mut next: Case,
        earlier: Earlier,
    ) -> Result<Vec<Decision>, Error> {
        match earlier {
            Earlier::Process { id, attempt } => {
                next.attempt = attempt;
                *case = Some(next);
                self.started(subject, case, id, Outcome::Found).await
            }
            Earlier::Ended {
                process,
                route,
                ending,
            } => {
                next.route = route;
                next.stage = Stage::Ended {
                    process: Some(process),
                    ending: ending.clone(),
                    progress: Progress::default(),
                };
                next.done.said_before(process, next.attempt, ending.verdict);
                let data =
                    json!({"process": process, "ending": ending, "read_from": "iconik's history"});
                self.remember(subject, &next, Some(("approval-found", data)))
                    .await?;
                let outcome = match ending.verdict {
                    Verdict::Approved => Outcome::Approved,
                    Verdict::Rejected => Outcome::Rejected,
                };
                let why =
                    format!("{ending}; process {process} is archived, iconik's history says so");
                *case = Some(next);
                Ok(vec![subject.decision(case.as_ref(), outcome, why)])
            }
            Earlier::Unknown(why) => {
                next.stage = Stage::Lost { why };
                let why = next.why();
                let data = json!({"why": why});
                self.remember(subject, &next, Some(("approval-unclear", data)))
                    .await?;
                *case = Some(next);
                Ok(vec![subject.decision(case.as_ref(), Outcome::Unclear, why)])
            }
        }
    }
}

/// What iconik's history has about a version.
#[derive(Default)]
struct Before {
    /// The process that was begun last.
    begun: Option<i64>,
    /// What came of it, with its route.
    ended: Option<(i64, String, Ending)>,
    /// Whether it has lines about other versions.
    others: bool,
}
