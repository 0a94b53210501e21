//! The start of a process: recorded before it is made, looked up before it is repeated.

use serde_json::json;

use super::case::begun_key;
use super::route::{self, Fields, Route};
use super::{Approvals, Case, Decision, Outcome, Progress, Stage, Subject};
use crate::content_server::NewProcess;
use crate::flows::Error;
use crate::flows::publish::{Approved, values_of};
use crate::iconik::{Asset, AssetStatus};
use crate::types::{AssetId, Failure, FailureClass, Marker, MarkerFields, NodeId, Reason, Role};

/// Most characters of a title in front of the marker.
const TITLE: usize = 150;

/// A process that can be started.
pub(super) struct Ready<'a> {
    pub(super) route: &'a Route,
    fields: Fields<'a>,
    /// Their digest.
    values: String,
    pub(super) map: i64,
    why: String,
}

/// Why it cannot be.
enum Not {
    Ready { why: String, pending: bool },
    Possible(String),
    Here(Failure),
}

impl From<Error> for Not {
    fn from(error: Error) -> Self {
        Self::Here(error.into_failure())
    }
}

impl From<Failure> for Not {
    fn from(failure: Failure) -> Self {
        Self::Here(failure)
    }
}

/// How the comment begins that a process is started with.
fn begins(asset: &AssetId) -> String {
    format!("iconik asset {asset}, version ")
}

/// Whether a process's comment is the one that longhaul started it with.
pub fn is_own_comment(text: &str, asset: &AssetId) -> bool {
    text.starts_with(&begins(asset))
}

impl Approvals<'_> {
    /// Starts the process of a version that is ready for it.
    pub(super) async fn consider(
        &self,
        subject: &Subject,
        case: &mut Option<Case>,
    ) -> Result<Vec<Decision>, Error> {
        let asset = self.systems.iconik.asset(&subject.asset).await?;
        let metadata = self.systems.iconik.metadata_of(&asset, None).await?;
        let source = values_of(&metadata);
        let values = super::digest(&(&asset.title, &source));
        if let Some(Stage::Refused {
            why,
            policy,
            values: before,
        }) = case.as_ref().map(|case| &case.stage)
            && *before == values
            && *policy == self.policy.digest()
            && !self.full
        {
            let why = why.clone();
            return Ok(vec![subject.decision(case.as_ref(), Outcome::Refused, why)]);
        }
        let ready = async {
            let why = self.complete(subject, &asset, &metadata).await?;
            let fields = Fields::new(
                &self.policy.binding,
                &source,
                &asset.title,
                asset.id.as_str(),
            );
            let route = route::choose(&self.policy.routes, &fields).map_err(Not::Possible)?;
            let node = self.systems.destination.node(subject.node).await?;
            let maps = self
                .systems
                .content_server
                .workflow_maps(subject.node, node.parent)
                .await?;
            let map = route.find_map(&maps).map_err(Not::Possible)?;
            Ok(Ready {
                route,
                fields,
                values: values.clone(),
                map,
                why,
            })
        };
        match ready.await {
            Ok(ready) => self.start(subject, case, ready).await,
            Err(Not::Ready { why, pending }) => {
                let policy = self.policy.digest();
                let stage = Stage::Waiting {
                    why: why.clone(),
                    pending,
                    policy,
                };
                let news = !matches!(case.as_ref().map(|case| &case.stage),
                    Some(Stage::Waiting { why: before, .. }) if *before == why);
                let same = case.as_ref().is_some_and(|case| case.stage == stage);
                let next = self.staged(subject, case, stage);
                if !same {
                    self.remember(subject, &next, None).await?;
                }
                *case = Some(next);
                let decision = subject.decision(case.as_ref(), Outcome::NotComplete, why);
                Ok(news.then_some(decision).into_iter().collect())
            }
            Err(Not::Possible(why)) => self.refuse(subject, case, why, values).await,
            Err(Not::Here(failure)) => Err(failure.into()),
        }
    }

    /// Why an asset version is ready, or is not.
    async fn complete(
        &self,
        subject: &Subject,
        asset: &Asset,
        metadata: &crate::iconik::Metadata,
    ) -> Result<String, Not> {
        let not = |why: String, pending| Err(Not::Ready { why, pending });
        if asset.status == AssetStatus::Deleted {
            return not("it is in iconik's recycle bin".to_owned(), false);
        }
        match asset.current_version() {
            Some(current) if current.id == subject.version => {}
            Some(current) => {
                let number = current
                    .version_number
                    .map_or(current.id.to_string(), |number| number.to_string());
                return not(
                    format!("version {number} is current in iconik, and not filed yet"),
                    false,
                );
            }
            None => {
                return not(
                    "no version of it exists in iconik any more".to_owned(),
                    false,
                );
            }
        }
        match &self.policy.when {
            Approved::Review => {
                let review = self
                    .systems
                    .iconik
                    .review_of(asset)
                    .await
                    .map_err(Error::from)?;
                if !review.is_approved() {
                    return not(review.to_string(), !review.is_none());
                }
                let at = review.change_date.map_or(String::new(), |at| {
                    format!(" since {}", at.strftime("%Y-%m-%d %H:%M:%SZ"))
                });
                Ok(format!("approved in iconik{at}"))
            }
            when => match when.refusal(self.systems, asset, metadata).await? {
                Some(why) => not(why, false),
                None => Ok(match when {
                    Approved::Field { field, .. } => format!("`{field}` says so in iconik"),
                    _ => "every filed asset is approved formally".to_owned(),
                }),
            },
        }
    }

    /// Drafts, fills and starts.
    async fn start(
        &self,
        subject: &Subject,
        case: &mut Option<Case>,
        ready: Ready<'_>,
    ) -> Result<Vec<Decision>, Error> {
        let why = format!(
            "{}; route {:?} to map {}",
            ready.why, ready.route.name, ready.map
        );
        let stage = match case.as_ref().map(|case| &case.stage) {
            Some(stage @ Stage::Drafted { .. }) => stage.clone(),
            _ => Stage::Intended,
        };
        let known = case.as_ref().is_some_and(|case| {
            matches!(case.stage, Stage::Intended | Stage::Drafted { .. })
                && case.route == ready.route.name
        });
        let mut next = self.staged(subject, case, stage);
        next.route.clone_from(&ready.route.name);
        if !known
            && next.attempt == 1
            && let Some(earlier) = self.earlier(subject, &ready).await?
        {
            return self.take_up(subject, case, next, earlier).await;
        }
        let mut new = self.process(subject, &next, &ready);
        if self.dry_run {
            let decision = subject.decision(Some(&next), Outcome::Started, why);
            return Ok(vec![decision]);
        }
        if !known {
            let data = json!({"route": next.route, "map": ready.map, "marker": new.marker, "title": new.whole_title(),
                "attempt": next.attempt, "document_version": subject.document_version, "why": why});
            self.remember(subject, &next, Some(("approval-intended", data)))
                .await?;
        }
        *case = Some(next.clone());
        let server = &self.systems.content_server;
        if let Some(process) = server.find_process(&new.marker).await? {
            return self.started(subject, case, process, Outcome::Found).await;
        }
        let draft = match self.drafted(subject, &mut next, &ready, &mut new).await {
            Ok(Ok(draft)) => draft,
            Ok(Err(why)) => return self.refuse(subject, case, why, ready.values).await,
            Err(failure) if failure.class == FailureClass::ItemIsWrong => {
                return self
                    .refuse(subject, case, failure.to_string(), ready.values)
                    .await;
            }
            Err(failure) => return Err(failure.into()),
        };
        next.stage = Stage::Sent { draft };
        let data = json!({"route": next.route, "draft": draft, "values": new.form(), "comment": new.comment});
        self.remember(subject, &next, Some(("approval-starting", data)))
            .await?;
        *case = Some(next.clone());
        match server.initiate_draft(draft, &new.comment).await {
            Ok(process) => self.started(subject, case, process, Outcome::Started).await,
            Err(failure) if failure.reason == Reason::Ambiguous => {
                tracing::info!(draft, %failure, "looked up by its marker");
                self.look_up(subject, case, draft).await
            }
            Err(failure) if failure.class == FailureClass::ItemIsWrong => {
                self.refuse(subject, case, failure.to_string(), ready.values)
                    .await
            }
            Err(failure) => {
                // It was certainly not started: the next run starts this draft.
                next.stage = Stage::Drafted { draft };
                self.remember(subject, &next, None).await?;
                Err(failure.into())
            }
        }
    }

    /// The filled draft, or what its form lacks.
    async fn drafted(
        &self,
        subject: &Subject,
        next: &mut Case,
        ready: &Ready<'_>,
        new: &mut NewProcess,
    ) -> Result<Result<i64, String>, Failure> {
        let server = &self.systems.content_server;
        let draft = match next.stage {
            Stage::Drafted { draft } => draft,
            _ => {
                let draft = server.draft_process(new.map, &new.documents).await?;
                next.stage = Stage::Drafted { draft };
                self.remember(subject, next, None)
                    .await
                    .map_err(Error::into_failure)?;
                draft
            }
        };
        let form = match ready.route.needs_form() {
            true => Some(server.draft_form(draft).await?),
            false => None,
        };
        match ready.route.values(&ready.fields, form.as_ref()) {
            Ok(values) => new.values = values,
            Err(why) => return Ok(Err(why)),
        }
        server.fill_draft(draft, &new.form()).await?;
        Ok(Ok(draft))
    }

    fn process(&self, subject: &Subject, case: &Case, ready: &Ready<'_>) -> NewProcess {
        let title: String = subject.title.chars().take(TITLE).collect();
        let filed = subject.document_version.map_or(String::new(), |version| {
            format!(", document version {version}")
        });
        NewProcess {
            map: NodeId(ready.map),
            documents: vec![subject.node],
            marker: self.marker(subject, case.attempt),
            title: format!("Approval of {title}"),
            values: std::collections::BTreeMap::new(),
            comment: format!(
                "{}{}{filed}: {}",
                begins(&subject.asset),
                subject.number,
                ready.why
            ),
        }
    }

    /// What the process of a version is found by.
    pub(super) fn marker(&self, subject: &Subject, attempt: u32) -> String {
        let marker = Marker::derive(&MarkerFields {
            instance: &self.systems.instance,
            domain: &self.systems.domain,
            asset: subject.asset.as_str(),
            version: subject.version.as_str(),
            format: "approval",
            file: &attempt.to_string(),
            role: &Role::Master,
        });
        format!("lh1 {marker}")
    }

    /// A start that got no clear answer: its process is found, or a person has to look.
    pub(super) async fn look_up(
        &self,
        subject: &Subject,
        case: &mut Option<Case>,
        draft: i64,
    ) -> Result<Vec<Decision>, Error> {
        let attempt = case.as_ref().map_or(1, |case| case.attempt);
        let marker = self.marker(subject, attempt);
        let found = self.systems.content_server.find_process(&marker).await?;
        if let Some(process) = found {
            return self.started(subject, case, process, Outcome::Found).await;
        }
        let known = case.as_ref().is_some_and(Case::is_open);
        let next = self.staged(subject, case, Stage::Unclear { draft });
        let why = next.why();
        if !known {
            let data = json!({"draft": draft, "marker": marker, "why": why});
            self.remember(subject, &next, Some(("approval-unclear", data)))
                .await?;
        }
        *case = Some(next);
        Ok(vec![subject.decision(case.as_ref(), Outcome::Unclear, why)])
    }

    pub(super) async fn started(
        &self,
        subject: &Subject,
        case: &mut Option<Case>,
        process: i64,
        outcome: Outcome,
    ) -> Result<Vec<Decision>, Error> {
        let progress = Progress::default();
        let mut next = self.staged(subject, case, Stage::Running { process, progress });
        if outcome == Outcome::Found {
            // Its line of history may be there.
            next.done.saying = Some(begun_key(process));
        }
        let word = match outcome {
            Outcome::Found => "approval-found",
            _ => "approval-started",
        };
        let data = json!({"process": process, "route": next.route});
        self.remember(subject, &next, Some((word, data))).await?;
        let why = format!("route {:?}", next.route);
        *case = Some(next);
        let mut decisions = vec![subject.decision(case.as_ref(), outcome, why)];
        if !self.dry_run {
            // Its first step is news together with its start; the next run looks again.
            let looked = self
                .watch(subject, case, process, Progress::default())
                .await;
            match looked {
                Ok(more) => {
                    decisions.extend(more.into_iter().filter(|d| d.outcome != Outcome::Moved))
                }
                Err(Error::Ledger(error)) => return Err(error.into()),
                Err(error) => tracing::warn!(process, %error, "started, and not looked at yet"),
            }
        }
        Ok(decisions)
    }

    async fn refuse(
        &self,
        subject: &Subject,
        case: &mut Option<Case>,
        why: String,
        values: String,
    ) -> Result<Vec<Decision>, Error> {
        let policy = self.policy.digest();
        let stage = Stage::Refused {
            why: why.clone(),
            policy,
            values,
        };
        let same = case.as_ref().is_some_and(|case| case.stage == stage);
        let next = self.staged(subject, case, stage);
        if !same {
            let data = json!({"route": next.route, "why": why});
            self.remember(subject, &next, Some(("approval-refused", data)))
                .await?;
        }
        *case = Some(next);
        Ok(vec![subject.decision(case.as_ref(), Outcome::Refused, why)])
    }

    /// The case at another stage.
    pub(super) fn staged(&self, subject: &Subject, case: &Option<Case>, stage: Stage) -> Case {
        match case {
            Some(case) => Case {
                stage,
                ..case.clone()
            },
            None => subject.new_case(stage),
        }
    }
}
