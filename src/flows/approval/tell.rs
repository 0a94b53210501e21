//! What both systems are told of an approval: a word on the document, metadata, lines of history
//! and a vote in iconik.
//!
//! What has to be there is worked out from the case and compared with what the case remembers; only
//! the difference is written, each with a journal line before that has what it overwrites. What a
//! system refuses is said until it is mended and not offered again while it stays the same.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::case::{begun_key, ended_key};
use super::{Approvals, Case, Decision, Ending, Outcome, Stage, Subject, Verdict};
use crate::flows::Error;
use crate::iconik::{WriteMode, Writing};
use crate::sidecar::mapping::BoundField;
use crate::types::{Failure, FailureClass, ViewId};

/// The attribute on the document that says how far its approval is.
#[derive(Clone, Debug, PartialEq)]
pub struct Mark {
    /// The attribute.
    pub field: BoundField,
    /// Its word while a process runs.
    pub running: Option<String>,
    /// Its word when it is approved.
    pub approved: Option<String>,
    /// Its word when it is rejected.
    pub rejected: Option<String>,
}

/// Fields of a metadata view that are told about an approval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tell {
    /// The view.
    pub view: ViewId,
    /// What is told (one of [`TELLABLE`]), and the field it goes to.
    pub fields: Vec<(String, String)>,
}

/// What iconik's metadata can be told.
pub const TELLABLE: [&str; 11] = [
    "status", "outcome", "route", "process", "step", "steps", "approver", "comment", "date", "due",
    "document",
];

impl Approvals<'_> {
    /// Brings both systems to what the case says.
    pub(super) async fn settle(
        &self,
        subject: &Subject,
        case: &mut Option<Case>,
    ) -> Result<Vec<Decision>, Error> {
        let Some(case) = case.as_mut() else {
            return Ok(Vec::new());
        };
        if self.dry_run || case.progress().is_none() {
            return Ok(Vec::new());
        }
        let mut refused = Vec::new();
        // Document and asset are the newest version's; an older one only has its history.
        if subject.newest {
            refused.extend(self.mark(subject, case).await?);
            refused.extend(self.tell(subject, case).await?);
        }
        self.say(subject, case).await?;
        refused.extend(self.vote(subject, case).await?);
        let decisions = refused
            .into_iter()
            .map(|why| subject.decision(Some(case), Outcome::Refused, why));
        Ok(decisions.collect())
    }

    async fn mark(&self, subject: &Subject, case: &mut Case) -> Result<Option<String>, Error> {
        let Some(mark) = &self.policy.mark else {
            return Ok(None);
        };
        let word = match &case.stage {
            Stage::Running { .. } => &mark.running,
            Stage::Ended { ending, .. } => match ending.verdict {
                Verdict::Approved => &mark.approved,
                Verdict::Rejected => &mark.rejected,
            },
            _ => return Ok(None),
        };
        let Some(word) = word else { return Ok(None) };
        if case.done.marked.as_ref() == Some(word) {
            return Ok(None);
        }
        if let Some(why) = self.known_refusal(case, "mark", word) {
            return Ok(Some(why));
        }
        let server = &self.systems.content_server;
        let category = mark.field.category;
        let write = async {
            let there = server.categories(case.node).await?;
            let own = there.iter().find(|own| own.id.0 == category);
            let before = own.map_or(Vec::new(), |own| mark.field.read(&own.values.0));
            if before == [word.as_str()] {
                return Ok(());
            }
            let data =
                json!({"attribute": mark.field.attribute.name, "before": before, "after": word});
            self.remember(subject, case, Some(("approval-marking", data)))
                .await
                .map_err(Error::into_failure)?;
            let keyed = mark.field.keyed(&[Value::from(word.as_str())]);
            let values = BTreeMap::from([(category, keyed.into_iter().collect())]);
            server.write_values(case.node, &values).await
        };
        let written = write.await;
        if written.is_ok() {
            case.done.marked = Some(word.clone());
        }
        self.settled(subject, case, "mark", word, written).await
    }

    async fn tell(&self, subject: &Subject, case: &mut Case) -> Result<Option<String>, Error> {
        let Some(tell) = &self.policy.tell else {
            return Ok(None);
        };
        let values = told(tell, case);
        if values == case.done.told {
            return Ok(None);
        }
        let attempt = json!(values).to_string();
        if let Some(why) = self.known_refusal(case, "tell", &attempt) {
            return Ok(Some(why));
        }
        let iconik = &self.systems.iconik;
        let asset = iconik.asset(&subject.asset).await?;
        let current = asset.current_version();
        if current.is_none_or(|current| current.id != subject.version) {
            // The asset speaks of a newer version now, whose own approval will tell it.
            return Ok(None);
        }
        let metadata = iconik.metadata_of(&asset, None).await?;
        let flat = metadata.flat();
        let differs = |(field, values): &(&String, &Vec<String>)| {
            flat.get(field.as_str()).map_or(&[][..], Vec::as_slice) != values.as_slice()
        };
        let writings: Vec<Writing> = values
            .iter()
            .filter(differs)
            .map(|(field, values)| Writing {
                field: field.clone(),
                values: values.clone(),
                mode: WriteMode::Overwrite,
            })
            .collect();
        let mut written = Ok(());
        if !writings.is_empty() {
            let fields = writings.iter().map(|own| own.field.as_str());
            let before: BTreeMap<&str, _> = fields.map(|f| (f, flat.get(f))).collect();
            let data = json!({"view": tell.view, "before": before, "after": values});
            self.remember(subject, case, Some(("approval-telling", data)))
                .await?;
            written = iconik
                .write_values(&subject.asset, &tell.view, &writings)
                .await
                .map_err(crate::iconik::Error::into_failure);
        }
        if written.is_ok() {
            case.done.told = values;
        }
        self.settled(subject, case, "tell", &attempt, written).await
    }

    /// Lines of history, each once.
    async fn say(&self, subject: &Subject, case: &mut Case) -> Result<(), Error> {
        for (key, line) in lines(case, &self.systems.instance) {
            if case.done.said.contains(&key) {
                continue;
            }
            let iconik = &self.systems.iconik;
            // What was begun before may have got there.
            let there = case.done.saying.as_ref() == Some(&key)
                && iconik.has_history(&subject.asset, &line).await?;
            if !there {
                case.done.saying = Some(key.clone());
                let data = json!({"history": line});
                self.remember(subject, case, Some(("approval-saying", data)))
                    .await?;
                match iconik.add_history(&subject.asset, &line).await {
                    Ok(()) => {}
                    Err(error) => {
                        let failure = error.into_failure();
                        if failure.class != FailureClass::ItemIsWrong {
                            return Err(failure.into());
                        }
                        // A line that may not be left is no reason to stop an approval.
                        tracing::warn!(asset = %subject.asset, %failure, "no line of history");
                    }
                }
            }
            case.done.saying = None;
            case.done.said.push(key);
            self.remember(subject, case, None).await?;
        }
        Ok(())
    }

    async fn vote(&self, subject: &Subject, case: &mut Case) -> Result<Option<String>, Error> {
        let Stage::Ended { ending, .. } = &case.stage else {
            return Ok(None);
        };
        let verdict = ending.verdict;
        if !self.policy.vote || case.done.voted == Some(verdict) {
            return Ok(None);
        }
        if let Some(why) = self.known_refusal(case, "vote", verdict.as_str()) {
            return Ok(Some(why));
        }
        let data = json!({"vote": verdict});
        self.remember(subject, case, Some(("approval-voting", data)))
            .await?;
        let voted = self
            .systems
            .iconik
            .vote(
                &subject.asset,
                &subject.version,
                verdict == Verdict::Approved,
            )
            .await
            .map_err(crate::iconik::Error::into_failure);
        if voted.is_ok() {
            case.done.voted = Some(verdict);
        }
        self.settled(subject, case, "vote", verdict.as_str(), voted)
            .await
    }

    /// Why the same was refused before, unless it is to be offered again.
    fn known_refusal(&self, case: &Case, what: &str, attempt: &str) -> Option<String> {
        let (before, why) = case.done.refused.get(what)?;
        (before == attempt && !self.full).then(|| why.clone())
    }

    /// Remembers that something was taken, or why it was not.
    async fn settled(
        &self,
        subject: &Subject,
        case: &mut Case,
        what: &str,
        attempt: &str,
        written: Result<(), Failure>,
    ) -> Result<Option<String>, Error> {
        match written {
            Ok(()) => {
                case.done.refused.remove(what);
                self.remember(subject, case, None).await?;
                Ok(None)
            }
            Err(failure) if failure.class == FailureClass::ItemIsWrong => {
                let why = format!("`approval.{what}`: {failure}");
                let known = (attempt.to_owned(), why.clone());
                let known = case.done.refused.insert(what.to_owned(), known);
                let same = known.is_some_and(|(before, _)| before == attempt);
                let data = json!({"what": what, "why": why});
                let line = (!same).then_some(("approval-not-told", data));
                self.remember(subject, case, line).await?;
                Ok(Some(why))
            }
            Err(failure) => Err(failure.into()),
        }
    }
}

/// Values by iconik's field.
fn told(tell: &Tell, case: &Case) -> BTreeMap<String, Vec<String>> {
    let ending = match &case.stage {
        Stage::Ended { ending, .. } => Some(ending),
        _ => None,
    };
    let progress = case.progress();
    let day = |date: &Option<String>| {
        let date = date.as_deref()?;
        Some(date.split(['T', ' ']).next().unwrap_or(date).to_owned())
    };
    let value = |what: &str| -> Vec<String> {
        let one = |text: Option<String>| text.into_iter().collect();
        match what {
            "status" if case.is_open() => vec!["waits for a decision".to_owned()],
            "status" => vec![case.word().to_owned()],
            "outcome" => one(ending.map(|ending| ending.verdict.as_str().to_owned())),
            "route" => one(Some(case.route.clone()).filter(|route| !route.is_empty())),
            "process" => one(case.process().map(|process| process.to_string())),
            "step" => one(progress
                .map(|progress| progress.current().join(", "))
                .filter(|step| !step.is_empty())),
            "steps" => progress
                .iter()
                .flat_map(|progress| &progress.steps)
                .map(|step| described(step, day(&step.date)))
                .collect(),
            "approver" => one(ending.and_then(|ending| ending.by.clone())),
            "comment" => one(ending.and_then(|ending| ending.comment.clone())),
            "date" => one(ending.and_then(|ending| day(&ending.at))),
            "due" => one(progress.filter(|_| ending.is_none()).and_then(|progress| {
                let steps = progress.steps.iter().filter(|step| !step.over);
                day(&progress.due).or_else(|| steps.filter_map(|step| day(&step.due)).min())
            })),
            "document" => vec![case.node.to_string()],
            _ => Vec::new(),
        }
    };
    let fields = tell.fields.iter();
    fields
        .map(|(what, field)| (field.clone(), value(what)))
        .collect()
}

/// One step in a line: `Legal: done, anna, 2026-10-03, "fine"`.
fn described(step: &super::Step, day: Option<String>) -> String {
    let state = match (step.over, step.late) {
        (true, _) => "done",
        (false, true) => "late",
        (false, false) => "open",
    };
    let mut words = vec![state.to_owned()];
    words.extend(step.by.iter().cloned());
    words.extend(day);
    words.extend(step.comment.as_ref().map(|comment| format!("{comment:?}")));
    format!("{}: {}", step.name, words.join(", "))
}

/// How the two lines of history begin.
const BEGUN: &str = "Approval begun: ";
const ENDED: &str = "Approval ended, ";

/// The lines of history that a case has, with the name that each is remembered by.
fn lines(case: &Case, instance: &str) -> Vec<(String, String)> {
    let of = |process: Option<i64>| {
        let process = process.map_or("a person's word".to_owned(), |id| format!("process {id}"));
        format!(
            "version {} of the asset, {} approval in Content Server {instance}, {process}",
            case.number, case.route
        )
    };
    let mut lines = Vec::new();
    if let Some(process) = case.process() {
        lines.push((begun_key(process), format!("{BEGUN}{}", of(Some(process)))));
    }
    if let Stage::Ended {
        process, ending, ..
    } = &case.stage
    {
        lines.push((
            ended_key(case.attempt, ending.verdict),
            format!("{ENDED}{ending} ({})", of(*process)),
        ));
    }
    lines
}

/// What a line of history tells about an approval.
#[derive(Debug, PartialEq)]
pub(super) enum Told {
    /// Its process was begun.
    Begun(i64),
    /// Its process, its route, and what came of it.
    Ended(i64, String, Ending),
}

/// What a line of history says, with the number of the asset's version, when longhaul wrote it
/// about this instance.
pub(super) fn told_by(line: &str, instance: &str) -> Option<(i64, Told)> {
    let of = |text: &str| -> Option<(i64, String, i64)> {
        let (number, rest) = text
            .strip_prefix("version ")?
            .split_once(" of the asset, ")?;
        let place = format!(" approval in Content Server {instance}, process ");
        let (route, process) = rest.rsplit_once(&place)?;
        Some((
            number.parse().ok()?,
            route.to_owned(),
            process.parse().ok()?,
        ))
    };
    if let Some(rest) = line.strip_prefix(BEGUN) {
        let (number, _, process) = of(rest)?;
        return Some((number, Told::Begun(process)));
    }
    let rest = line.strip_prefix(ENDED)?.strip_suffix(')')?;
    let (ending, _) = rest.rsplit_once(" (version ")?;
    let (number, route, process) = of(rest.get(ending.len() + 2..)?)?;
    Some((number, Told::Ended(process, route, Ending::parse(ending)?)))
}

#[cfg(test)]
mod tests {
    use super::super::{Ending, Progress, Step};
    use super::*;
    use crate::types::NodeId;

    fn case(stage: Stage) -> Case {
        Case {
            title: "Spot".to_owned(),
            number: 2,
            node: NodeId(7),
            document_version: None,
            route: "legal".to_owned(),
            attempt: 1,
            stage,
            done: super::super::case::Done::default(),
        }
    }

    #[test]
    fn iconik_is_told_where_it_is_and_at_the_end_by_whom_when_and_why() {
        let tell = Tell {
            view: ViewId("v".to_owned()),
            fields: TELLABLE
                .map(|what| (what.to_owned(), what.to_owned()))
                .to_vec(),
        };
        let step = |over: bool| Step {
            name: "Legal".to_owned(),
            over,
            by: vec!["anna".to_owned()],
            due: Some("2026-10-09T17:00:00".to_owned()),
            late: false,
            comment: over.then(|| "no licence".to_owned()),
            date: Some("2026-10-03T10:00:00".to_owned()),
        };
        let progress = |over: bool| Progress {
            status: "running".to_owned(),
            due: None,
            steps: vec![step(over)],
        };
        let running = told(
            &tell,
            &case(Stage::Running {
                process: 9,
                progress: progress(false),
            }),
        );
        assert_eq!(running["status"], ["running"]);
        assert_eq!(running["steps"], ["Legal: open, anna, 2026-10-03"]);
        assert_eq!(running["due"], ["2026-10-09"]);
        assert!(running["outcome"].is_empty() && running["comment"].is_empty());
        let ended = case(Stage::Ended {
            process: Some(9),
            ending: Ending {
                verdict: Verdict::Rejected,
                by: Some("anna".to_owned()),
                at: Some("2026-10-04T10:00:00".to_owned()),
                comment: Some("no licence".to_owned()),
            },
            progress: progress(true),
        });
        let told = told(&tell, &ended);
        assert_eq!(told["outcome"], ["rejected"]);
        assert_eq!(told["approver"], ["anna"]);
        assert_eq!(told["comment"], ["no licence"]);
        assert_eq!(told["date"], ["2026-10-04"]);
        assert!(told["step"].is_empty() && told["due"].is_empty());
        let lines = lines(&ended, "cs");
        assert_eq!(lines.len(), 2);
        assert_eq!(told_by(&lines[0].1, "cs"), Some((2, Told::Begun(9))));
        let Stage::Ended { mut ending, .. } = ended.stage else {
            unreachable!("it is ended");
        };
        ending.at = Some("2026-10-04".to_owned());
        let read = Told::Ended(9, "legal".to_owned(), ending);
        assert_eq!(told_by(&lines[1].1, "cs"), Some((2, read)));
        assert_eq!(told_by(&lines[1].1, "other"), None);
        assert_eq!(told_by("Approval begun: version x", "cs"), None);
        assert!(
            lines[1]
                .1
                .contains("rejected by anna on 2026-10-04: no licence")
        );
    }
}
