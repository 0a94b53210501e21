//! What a record is told of its asset: status and date, an attribute, a review date, a reference
//! to its successor; and its former status when the mark is taken away.

use std::collections::BTreeMap;

use jiff::{Span, Timestamp};
use serde_json::{Value, json};

use super::case::{Before, End, Stage};
use super::mark::Marked;
use super::{Error, Lifecycle, Mark, Run, Step, Work};
use crate::content_server::{Category, RecordFields};
use crate::ledger::Change;
use crate::sidecar::mapping::BoundField;
use crate::transfer::Kept;
use crate::types::{Failure, NodeId, Reason};

impl Lifecycle<'_> {
    /// Begins a case: what the record has now is kept before it is overwritten.
    pub(super) async fn begin_case(
        &self,
        work: &mut Work<'_>,
        run: &mut Run<'_>,
        marked: Marked,
    ) -> Result<(), Error> {
        let since = marked.since.unwrap_or(run.today).to_string();
        // A mark that takes another's place leaves what the record had before the first.
        let told = match work.case.stage {
            Stage::None | Stage::Found | Stage::Closed(End::Withdrawn) => None,
            _ => Some(work.case.before.clone()),
        };
        work.case = super::Case {
            stage: Stage::Found,
            problem: work.case.problem.take(),
            mark: Some(marked.mark),
            why: marked.why,
            since,
            successor: marked.successor,
            ..super::Case::default()
        };
        if self.dry_run {
            run.say(work, Step::Marked, work.case.why.clone());
            return Ok(());
        }
        let now = self.now(work.subject.node).await?;
        let fields = self.fields(work)?;
        let line = json!({
            "why": work.case.why, "since": work.case.since, "successor": work.case.successor,
            "overwrites": now, "writes": fields, "values": self.values(work)?,
        });
        work.case.before = told.unwrap_or(now);
        work.case.stage = Stage::Marked;
        self.save(work, false, Some(("lifecycle-marking", line)))
            .await
    }

    /// Tells the record; what is so already is not written.
    pub(super) async fn tell_record(
        &self,
        work: &mut Work<'_>,
        run: &mut Run<'_>,
    ) -> Result<(), Error> {
        let server = &self.systems.content_server;
        let node = work.subject.node;
        let fields = self.fields(work)?;
        if fields != RecordFields::default() {
            server.edit_record(node, &fields, None).await?;
        }
        server.write_values(node, &self.values(work)?).await?;
        work.case.due = self.due(node).await?;
        work.case.stage = Stage::Review;
        work.case.told = Some(jiff::Timestamp::now());
        work.case.problem = None;
        let held = match self.protection(work.subject).await {
            Ok(held) => held,
            // What has no holds is told all the same, and never destroyed.
            Err(Error::Engine(failure)) if failure.reason == Reason::Unsupported => None,
            Err(error) => return Err(error),
        };
        let line = json!({"why": work.case.why, "due": work.case.due, "held": held});
        self.save(work, false, Some(("lifecycle-marked", line)))
            .await?;
        let held = held.map_or_else(String::new, |held| format!("; {held}"));
        run.say(work, Step::Marked, format!("{}{held}", work.case.why));
        Ok(())
    }

    /// What is set on the record.
    fn fields(&self, work: &Work<'_>) -> Result<RecordFields, Error> {
        let status = work
            .case
            .mark
            .and_then(|mark| self.policy.record_status.get(&mark));
        let review = self.policy.review_days.map(|days| {
            let since: jiff::civil::Date = work.case.since.parse()?;
            since.checked_add(Span::new().try_days(days)?)
        });
        let review = review.transpose().map_err(|error| {
            Failure::stop(format!("a review date cannot be worked out: {error}"))
        })?;
        Ok(RecordFields {
            status: status.cloned(),
            status_date: status.map(|_| work.case.since.clone()),
            next_review_date: review.map(|day| day.to_string()),
            ..RecordFields::default()
        })
    }

    /// What is set in its categories.
    fn values(&self, work: &Work<'_>) -> Result<BTreeMap<i64, BTreeMap<String, Value>>, Error> {
        let mut values: BTreeMap<i64, BTreeMap<String, Value>> = BTreeMap::new();
        let (Some(field), Some(mark)) = (&self.policy.attribute, work.case.mark) else {
            return Ok(values);
        };
        if !field.map.values.contains_key(mark.as_str()) {
            return Ok(values);
        }
        let mut put = |field: &BoundField, word: &str| {
            let source = BTreeMap::from([(field.map.source.clone(), vec![Value::from(word)])]);
            let outcome = field.outcome(&source);
            if let Some(problem) = outcome.problem {
                return Err(Failure::item(
                    Reason::Incomplete,
                    format!("`lifecycle.attribute` {problem}"),
                ));
            }
            let category = values.entry(field.category).or_default();
            category.extend(field.keyed(&outcome.written));
            Ok(())
        };
        put(field, mark.as_str())?;
        if let Some(date) = &self.policy.date {
            put(date, &work.case.since)?;
        }
        Ok(values)
    }

    /// What the record has now of everything that may be overwritten.
    async fn now(&self, node: NodeId) -> Result<Before, Error> {
        let mut before = Before::default();
        let server = &self.systems.content_server;
        if !self.policy.record_status.is_empty() || self.policy.review_days.is_some() {
            let state = server.record_state(node).await?;
            let record = state.record.ok_or_else(|| {
                Failure::item(
                    Reason::Incomplete,
                    format!(
                        "node {node} is no record, so it has no status; `publish.records_class` makes records, and without `lifecycle.record_status` and `lifecycle.review_days` none is needed"
                    ),
                )
            })?;
            before.record = RecordFields {
                status: record.fields.status,
                status_date: record.fields.status_date,
                next_review_date: record.fields.next_review_date,
                ..RecordFields::default()
            };
        }
        if let Some(field) = &self.policy.attribute {
            let categories = server.categories(node).await?;
            before.attribute = words(&categories, field);
            let date = self.policy.date.as_ref();
            before.date = date.map_or_else(Vec::new, |field| words(&categories, field));
        }
        Ok(before)
    }

    /// When the record is due, as far as the server says so; remembered, for the reports.
    async fn due(&self, node: NodeId) -> Result<Option<String>, Error> {
        let Some(kept) = self.systems.content_server.kept_under(node).await? else {
            return Ok(None);
        };
        self.keep(node, &kept).await?;
        Ok(kept.due)
    }

    /// Remembers what a record is kept under, as it was read now.
    pub(super) async fn keep(&self, node: NodeId, kept: &Kept) -> Result<(), Error> {
        let change = kept.remember(self.ledger, Change::new(), node).await?;
        Ok(self.ledger.apply(change).await?)
    }

    /// Refers from a superseded record to its successor, once that is filed.
    pub(super) async fn link(&self, work: &mut Work<'_>, run: &mut Run<'_>) -> Result<(), Error> {
        let (Some(kind), Some(Mark::Superseded), Some(successor), false) = (
            &self.policy.cross_reference,
            work.case.mark,
            work.case.successor.clone(),
            work.case.linked,
        ) else {
            return Ok(());
        };
        let Some(filed) = self.subject(&successor).await? else {
            return Ok(());
        };
        let why = format!(
            "node {} refers to its successor, node {}",
            work.subject.node, filed.node
        );
        if self.dry_run {
            run.say(work, Step::Linked, why);
            return Ok(());
        }
        let line = json!({"why": why, "successor": successor, "to": filed.node, "type": kind});
        self.save(work, work.known.open, Some(("lifecycle-linking", line)))
            .await?;
        let comment = format!("superseded since {}", work.case.since);
        self.systems
            .content_server
            .add_cross_references(work.subject.node, kind, &[filed.node], &comment)
            .await?;
        work.case.linked = true;
        self.save(work, work.known.open, None).await?;
        run.say(work, Step::Linked, why);
        Ok(())
    }

    /// The mark is gone: the record gets its former status back where it still has ours.
    pub(super) async fn withdraw(
        &self,
        work: &mut Work<'_>,
        run: &mut Run<'_>,
    ) -> Result<(), Error> {
        let why = "it is marked no more in iconik; the record has its former status again";
        if self.dry_run {
            run.say(work, Step::Withdrawn, why);
            return Ok(());
        }
        let node = work.subject.node;
        if work.case.stage == Stage::Found {
            return self
                .close(
                    work,
                    run,
                    End::Withdrawn,
                    Step::Withdrawn,
                    "it is marked no more in iconik; its record was never told",
                )
                .await;
        }
        let now = self.now(node).await?;
        let ours = self.fields(work)?;
        let before = work.case.before.clone();
        let line = json!({"why": why, "overwrites": now, "writes": before, "at": Timestamp::now()});
        self.save(work, false, Some(("lifecycle-withdrawing", line)))
            .await?;
        if ours.status.is_some() && now.record.status == ours.status {
            let former = RecordFields {
                next_review_date: None,
                ..before.record
            };
            let server = &self.systems.content_server;
            server.edit_record(node, &former, None).await?;
        }
        let told = self.values(work)?;
        if let Some(field) = self.policy.attribute.as_ref().filter(|_| !told.is_empty()) {
            let mut values: BTreeMap<i64, BTreeMap<String, Value>> = BTreeMap::new();
            let mut put = |field: &BoundField, now: &[String], former: &[String]| {
                let own = told.get(&field.category);
                let ours = own.map_or_else(Vec::new, |own| field.read(own));
                if now == ours.as_slice() {
                    let former: Vec<Value> = former.iter().cloned().map(Value::from).collect();
                    let category = values.entry(field.category).or_default();
                    category.extend(field.keyed(&former));
                }
            };
            put(field, &now.attribute, &before.attribute);
            if let Some(date) = &self.policy.date {
                put(date, &now.date, &before.date);
            }
            let server = &self.systems.content_server;
            server.write_values(node, &values).await?;
        }
        self.close(work, run, End::Withdrawn, Step::Withdrawn, why)
            .await
    }
}

/// The values that a node's categories have for a field.
fn words(categories: &[Category], field: &BoundField) -> Vec<String> {
    let own = categories.iter().find(|one| one.id.0 == field.category);
    own.map_or_else(Vec::new, |category| field.read(&category.values.0))
}
