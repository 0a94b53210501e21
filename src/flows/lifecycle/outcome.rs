//! What Content Server says of a record: its outcome, and the holds that protect it.
//!
//! A word that the settings do not translate is no outcome but a question.

use std::collections::BTreeSet;

use serde_json::Value;

use super::mark::day_of;
use super::{Error, Lifecycle, Outcome, Place, Run, Subject, Work};
use crate::content_server::DispositionEntry;
use crate::sidecar::mapping::BoundField;
use crate::types::{Failure, NodeId, Reason};

/// An outcome with where it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Read {
    pub(super) outcome: Outcome,
    pub(super) source: String,
}

impl Lifecycle<'_> {
    /// Asks a disposition search about several nodes at once.
    pub(super) async fn ask_reviews(
        &self,
        nodes: &BTreeSet<NodeId>,
        run: &mut Run<'_>,
    ) -> Result<(), Error> {
        run.reviews.clear();
        if let Some((Place::Disposition(search), _)) = &self.policy.outcome {
            let server = &self.systems.content_server;
            let mut found = server.dispositions(*search, nodes).await?;
            run.reviews = nodes
                .iter()
                .map(|node| (*node, found.remove(node)))
                .collect();
        }
        Ok(())
    }

    /// The outcome; `None` while there is none. With `run`, what its page was told already counts.
    pub(super) async fn outcome_now(
        &self,
        work: &Work<'_>,
        run: Option<&Run<'_>>,
    ) -> Result<Option<Read>, Error> {
        let Some((place, _)) = &self.policy.outcome else {
            return Ok(None);
        };
        let node = work.subject.node;
        match place {
            Place::Attribute(field) => self.of_attribute(node, field).await,
            Place::Schedule => self.of_schedule(work).await,
            Place::Disposition(search) => {
                let known = run.and_then(|run| run.reviews.get(&node).cloned());
                let entry = match known {
                    Some(entry) => entry,
                    None => {
                        let server = &self.systems.content_server;
                        let asked = BTreeSet::from([node]);
                        server.dispositions(*search, &asked).await?.remove(&node)
                    }
                };
                entry.map_or(Ok(None), |entry| self.of_review(*search, &entry))
            }
        }
    }

    async fn of_attribute(&self, node: NodeId, field: &BoundField) -> Result<Option<Read>, Error> {
        let categories = self.systems.content_server.categories(node).await?;
        let own = categories.iter().find(|one| one.id.0 == field.category);
        let words = own.map_or_else(Vec::new, |category| field.read(&category.values.0));
        let name = &field.attribute.name;
        match words.as_slice() {
            [] => Ok(None),
            [word] => self
                .translate(&[Some(word)], &format!("attribute {name:?}"))
                .map(Some),
            many => Err(unclear(format!(
                "attribute {name:?} has several values, {}; an outcome is one",
                many.join(", ")
            ))),
        }
    }

    async fn of_schedule(&self, work: &Work<'_>) -> Result<Option<Read>, Error> {
        let (server, node) = (&self.systems.content_server, work.subject.node);
        let state = server.record_state(node).await?;
        let record = state
            .record
            .ok_or_else(|| unclear(format!("node {node} is no record, so it has no schedule")))?;
        let Some(code) = record.fields.rsi.clone() else {
            if !self.dry_run {
                self.keep(node, &record.kept(Some(&[]))).await?;
            }
            return Err(unclear(format!(
                "the record of node {node} has no retention schedule; give it one, or read the outcome elsewhere (`lifecycle.outcome`)"
            )));
        };
        let today = jiff::Timestamp::now()
            .to_zoned(jiff::tz::TimeZone::UTC)
            .date();
        let mut found: Option<Read> = None;
        let stages = server.retention(node, &code).await?;
        if !self.dry_run {
            self.keep(node, &record.kept(Some(&stages))).await?;
        }
        for stage in stages {
            let Some(due) = &stage.due else { continue };
            let day = day_of(due).ok_or_else(|| {
                unclear(format!(
                    "schedule {code:?} is due at {due:?}, which is no date"
                ))
            })?;
            if day > today {
                continue;
            }
            let words = [stage.action.as_ref(), stage.disposition.as_ref()];
            let source = format!("schedule {code:?}, due {day}");
            let read = self.translate(&words, &source)?;
            if found
                .as_ref()
                .is_some_and(|before| before.outcome != read.outcome)
            {
                return Err(unclear(format!(
                    "schedule {code:?} has several stages due with different outcomes"
                )));
            }
            found = Some(read);
        }
        Ok(found)
    }

    fn of_review(&self, search: NodeId, entry: &DispositionEntry) -> Result<Option<Read>, Error> {
        let source = format!("disposition search {search}");
        match entry.approved() {
            None => Ok(None),
            Some(true) => self.translate(&[entry.action.as_ref()], &source).map(Some),
            Some(false) => self
                .translate(&[Some(&"reject".to_owned())], &source)
                .map(Some),
        }
    }

    /// The outcome behind the first of the words that the settings know.
    fn translate(&self, words: &[Option<&String>], source: &str) -> Result<Read, Error> {
        let values = self.policy.outcome.as_ref().map(|(_, values)| values);
        let mut given = words.iter().flatten();
        let known = given.find_map(|word| values?.get(&word.trim().to_lowercase()));
        known.map_or_else(
            || {
                let words: Vec<String> = words.iter().flatten().map(|w| format!("{w:?}")).collect();
                Err(unclear(format!(
                    "{source} says {}, which `lifecycle.outcome.values` does not translate; add it there",
                    if words.is_empty() { "nothing".to_owned() } else { words.join(" and ") }
                )))
            },
            |outcome| {
                Ok(Read {
                    outcome: *outcome,
                    source: source.to_owned(),
                })
            },
        )
    }

    /// What protects any of an asset's documents, in words; `None` when nothing does.
    pub(super) async fn protection(&self, subject: &Subject) -> Result<Option<String>, Error> {
        let mut said = Vec::new();
        for node in subject.nodes() {
            let over = self.systems.content_server.holds_over(node).await?;
            for (on, hold) in over.holds.iter().filter(|(_, hold)| hold.protects()) {
                said.push(format!(
                    "hold {} ({:?}) is on node {on}",
                    hold.id, hold.name
                ));
            }
            for above in over.unseen {
                said.push(format!(
                    "node {above} above node {node} may not be seen, so its holds are not known"
                ));
            }
        }
        said.dedup();
        Ok((!said.is_empty()).then(|| said.join("; ")))
    }
}

fn unclear(message: String) -> Error {
    Failure::item(Reason::Incomplete, message).into()
}

/// A decision's words for the journal.
pub(super) fn as_json(read: &Read) -> Value {
    serde_json::json!({"outcome": read.outcome, "source": read.source})
}
