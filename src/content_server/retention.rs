//! Retention: when a record is due and for what, and what a disposition review decided.
//!
//! The reference draws no complete answer for either, so rows are looked for by the field
//! that makes them what they are, wherever in the answer they stand. An answer without a place for
//! rows is an error and never "none".

use std::collections::{BTreeMap, BTreeSet};

use ::http::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use tracing::debug;

use super::errors::{Effect, Error};
use super::records::{Record, failed};
use super::wire::maybe_text;
use super::{Client, wire};
use crate::transfer::Kept;
use crate::transfer::kept::day_of;
use crate::types::{Failure, NodeId};

/// Pages after which a listing counts as endless.
const MOST_PAGES: u32 = 10_000;
/// Snapshots of a disposition search that are looked through, newest first.
const MOST_SNAPSHOTS: usize = 20;

/// A stage of a record's retention schedule.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct RetentionStage {
    /// Its name.
    #[serde(default, rename = "Stage", deserialize_with = "maybe_text")]
    pub stage: Option<String>,
    /// When it is due, as the server writes it.
    #[serde(default, rename = "CalculatedDate", deserialize_with = "maybe_text")]
    pub due: Option<String>,
    /// What is to be done then: a code or a word.
    #[serde(default, rename = "ActionToPerform", deserialize_with = "maybe_text")]
    pub action: Option<String>,
    /// The disposition, in the schedule's own words.
    #[serde(default, rename = "Disposition", deserialize_with = "maybe_text")]
    pub disposition: Option<String>,
}

/// A schedule that is assigned to a node.
#[derive(Deserialize)]
struct Assigned {
    #[serde(default, deserialize_with = "maybe_text")]
    rsi: Option<String>,
}

/// What a disposition review holds about a node.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct DispositionEntry {
    /// The node.
    #[serde(deserialize_with = "wire::whole")]
    id: i64,
    /// What is to be done: a code or a word.
    #[serde(default, rename = "disp_action", deserialize_with = "maybe_text")]
    pub action: Option<String>,
    /// When it was due.
    #[serde(default, rename = "calculated_date", deserialize_with = "maybe_text")]
    pub due: Option<String>,
    /// The reviewer's decision: `pending`, `approve` or `reject`.
    #[serde(default, rename = "review_decision", deserialize_with = "maybe_text")]
    pub decision: Option<String>,
    /// What the reviewer said.
    #[serde(default, rename = "review_comments", deserialize_with = "maybe_text")]
    pub comment: Option<String>,
}

impl DispositionEntry {
    /// Whether the reviewer approved the action; `None` while nothing is decided.
    pub fn approved(&self) -> Option<bool> {
        let decision = self.decision.as_deref()?.trim().to_ascii_lowercase();
        match decision.as_str() {
            word if word.starts_with("approve") => Some(true),
            word if word.starts_with("reject") => Some(false),
            _ => None,
        }
    }
}

impl Client {
    /// The stages of a record's retention schedule, with when each is due.
    ///
    /// # Errors
    ///
    /// `Inaccessible` when the node is missing or forbidden, `Unsupported` where there is no
    /// records management; otherwise as any read.
    pub async fn retention(
        &self,
        node: NodeId,
        schedule: &str,
    ) -> Result<Vec<RetentionStage>, Failure> {
        let stages = self.stages(node, schedule).await;
        stages.map_err(|error: Error| {
            error
                .into_failure(Effect::Repeatable)
                .context(format!("reading when node {node} is due by {schedule:?}"))
        })
    }

    async fn stages(&self, node: NodeId, schedule: &str) -> Result<Vec<RetentionStage>, Error> {
        if schedule.contains(['/', '?', '#', '%']) {
            return Err(Error::Unreadable(format!(
                "the schedule's code {schedule:?} cannot stand in an address"
            )));
        }
        let path = format!("v1/nodes/{node}/rsi/{schedule}/GetRSIDetails");
        self.data_rows(&path).await
    }

    async fn data_rows<T: serde::de::DeserializeOwned>(&self, path: &str) -> Result<Vec<T>, Error> {
        let answer = self.json(self.call(Method::GET, path)).await?;
        match answer.get("data") {
            Some(Value::Array(rows)) => rows.iter().map(|row| wire::parse(row, "data")).collect(),
            Some(Value::Null) => Ok(Vec::new()),
            _ => Err(wire::missing("data")),
        }
    }

    /// What a record is kept under; `None` for what is no record, and where the server has no
    /// records management, does not let us look or answers something else. A schedule whose dates
    /// alone are not told is there without them.
    ///
    /// # Errors
    ///
    /// Passing disturbances alone.
    pub async fn kept_under(&self, node: NodeId) -> Result<Option<Kept>, Failure> {
        let doing = || format!("reading what node {node} is kept under");
        let state = told(self.get_record(node).await).map_err(failed(doing()))?;
        let Some(record) = state.and_then(|state| state.record) else {
            return Ok(None);
        };
        let stages = match &record.fields.rsi {
            Some(schedule) => told(self.stages(node, schedule).await).map_err(failed(doing()))?,
            None => Some(Vec::new()),
        };
        Ok(Some(record.kept(stages.as_deref())))
    }

    /// The codes of the schedules that are assigned to a records classification, sorted; `None`
    /// where the server does not tell.
    ///
    /// # Errors
    ///
    /// Passing disturbances alone.
    pub async fn schedules_of(&self, class: NodeId) -> Result<Option<Vec<String>>, Failure> {
        let path = format!("v1/nodes/{class}/rsis");
        let rows = told(self.data_rows::<Assigned>(&path).await)
            .map_err(failed(format!("reading the schedules of class {class}")))?;
        Ok(rows.map(|rows| {
            let codes = rows.into_iter().filter_map(|row| row.rsi);
            codes.collect::<BTreeSet<_>>().into_iter().collect()
        }))
    }

    /// What the snapshots of a disposition search hold about `nodes`; of each node what its newest
    /// snapshot says.
    ///
    /// # Errors
    ///
    /// `Inaccessible` when there is no such search or it may not be seen; otherwise as any read.
    pub async fn dispositions(
        &self,
        search: NodeId,
        nodes: &BTreeSet<NodeId>,
    ) -> Result<BTreeMap<NodeId, DispositionEntry>, Failure> {
        let read = async {
            let mut found = BTreeMap::new();
            if nodes.is_empty() {
                return Ok(found);
            }
            let path = format!("v2/snapshottable/{search}");
            let mut snapshots: Vec<String> = Vec::new();
            self.each_row(&path, "qdate", |row| {
                if let Some(date) = row.get("qdate").and_then(text_of) {
                    snapshots.push(date);
                }
                Ok(true)
            })
            .await?;
            // Newest first: the dates are texts of one form, or numbers.
            snapshots.sort_by_key(|date| (date.len(), date.clone()));
            for date in snapshots.iter().rev().take(MOST_SNAPSHOTS) {
                let path = format!("v2/nodes/{search}/disposition-snapshots/qdate/{date}");
                self.each_row(&path, "disp_action", |row| {
                    let entry: DispositionEntry = wire::parse(row, "disposition")?;
                    let node = NodeId(entry.id);
                    if nodes.contains(&node) {
                        found.entry(node).or_insert(entry);
                    }
                    Ok(found.len() < nodes.len())
                })
                .await?;
                if found.len() == nodes.len() {
                    break;
                }
            }
            Ok(found)
        };
        read.await.map_err(|error: Error| {
            error
                .into_failure(Effect::Repeatable)
                .context(format!("reading what disposition search {search} decided"))
        })
    }

    /// Starts a disposition search, which makes a snapshot of what is due. Not safe to repeat: each
    /// start makes one.
    ///
    /// # Errors
    ///
    /// `ItemIsWrong` when there is no such search or it may not be started; `Ambiguous` when it
    /// may have started.
    pub async fn start_disposition_search(&self, search: NodeId) -> Result<(), Failure> {
        let path = format!("v1/nodes/{search}/startdispsearch");
        let call = self
            .call(Method::POST, &path)
            .limit(self.0.config.request_limit);
        // What a success says is described nowhere.
        let started = self.open(call, |status| status.is_success()).await;
        started.map(drop).map_err(|error: Error| {
            error
                .into_failure(Effect::Commit)
                .context(format!("starting disposition search {search}"))
        })
    }

    /// Hands rows that have `field` to `each`, page after page, until it has enough.
    async fn each_row(
        &self,
        path: &str,
        field: &str,
        mut each: impl FnMut(&Value) -> Result<bool, Error>,
    ) -> Result<(), Error> {
        let limit = self.0.config.page_size;
        let mut last: Option<Value> = None;
        for number in 1..MOST_PAGES {
            let call = self
                .call(Method::GET, path)
                .query("page", &number.to_string())
                .query("limit", &limit.to_string());
            let answer = self.json(call).await?;
            let rows = rows_with(&answer, field)?;
            // A server that ignores paging answers everything each time.
            if rows.first().copied() == last.as_ref() {
                return Ok(());
            }
            for row in &rows {
                if !each(row)? {
                    return Ok(());
                }
            }
            if rows.len() < limit as usize {
                return Ok(());
            }
            last = rows.first().map(|row| (*row).clone());
        }
        Err(Error::Unreadable(format!("the pages of {path} do not end")))
    }
}

/// What the server said; `None` when it answered and what it answered is not what was asked for.
fn told<T>(answer: Result<T, Error>) -> Result<Option<T>, Error> {
    match answer {
        Ok(told) => Ok(Some(told)),
        Err(error) if error.is_answer() => {
            debug!(%error, "not told");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

impl Record {
    /// What it is kept under, with the stages of its schedule as far as they were told.
    pub fn kept(&self, stages: Option<&[RetentionStage]>) -> Kept {
        let due = stages.unwrap_or_default().iter();
        let due = due.filter_map(|stage| stage.due.as_deref());
        // Stages may come in any order. A text that is no day is better than none.
        let next = due.min_by_key(|due| (day_of(due).is_none(), day_of(due)));
        Kept {
            class: self.class.or(self.inherited_class),
            schedule: self.fields.rsi.clone(),
            due: next.map(str::to_owned),
            unsaid: stages.is_none(),
        }
    }
}

/// The objects with `field` in the first place that has any, wherever it stands below `results` or
/// `data`: the rows of a list, or what each row holds. A definition of the field is not one.
fn rows_with<'a>(answer: &'a Value, field: &str) -> Result<Vec<&'a Value>, Error> {
    fn find<'a>(value: &'a Value, field: &str) -> Vec<&'a Value> {
        match value {
            Value::Object(object) if object.get(field).is_some_and(|own| !own.is_object()) => {
                vec![value]
            }
            Value::Object(object) => {
                let mut found = object.values().map(|inner| find(inner, field));
                found.find(|rows| !rows.is_empty()).unwrap_or_default()
            }
            Value::Array(list) => list.iter().flat_map(|inner| find(inner, field)).collect(),
            _ => Vec::new(),
        }
    }
    let within = answer.get("results").or_else(|| answer.get("data"));
    match within {
        Some(within @ (Value::Object(_) | Value::Array(_))) => Ok(find(within, field)),
        Some(Value::Null) => Ok(Vec::new()),
        _ => Err(wire::missing("results")),
    }
}

fn text_of(value: &Value) -> Option<String> {
    serde_json::from_value::<Text>(json!({ "text": value }))
        .ok()?
        .text
}

#[derive(Deserialize)]
struct Text {
    #[serde(deserialize_with = "maybe_text")]
    text: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_found_wherever_they_stand_and_a_page_without_a_place_for_them_is_an_error() {
        let row = json!({"qdate": 7, "record_count": 1});
        for answer in [
            json!({"results": [row]}),
            json!({"results": {"data": {"rows": [row]}}}),
            json!({"results": [{"data": [row]}]}),
            json!({"data": {"snapshots": [row]}}),
            json!({"data": [{"actions": {"data": {}}, "data": row, "metadata": {"qdate": {}}}]}),
            json!({"results": {"columns": [], "data": [{"data": row}], "definitions": {"qdate": {}}}}),
        ] {
            assert_eq!(rows_with(&answer, "qdate").unwrap(), [&row], "{answer}");
        }
        assert!(
            rows_with(&json!({"results": []}), "qdate")
                .unwrap()
                .is_empty()
        );
        assert!(rows_with(&json!({"error": 1}), "qdate").is_err());
        assert!(rows_with(&json!({"results": 7}), "qdate").is_err());
    }

    #[test]
    fn only_a_clear_word_is_a_decision() {
        let entry = |decision: Value| -> DispositionEntry {
            serde_json::from_value(
                json!({"id": "7", "disp_action": 32, "review_decision": decision}),
            )
            .unwrap()
        };
        assert_eq!(entry(json!("Approved")).approved(), Some(true));
        assert_eq!(entry(json!("reject")).approved(), Some(false));
        assert_eq!(entry(json!("pending")).approved(), None);
        assert_eq!(entry(json!(null)).approved(), None);
        assert_eq!(entry(json!(null)).action.as_deref(), Some("32"));
    }
}
