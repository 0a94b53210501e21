//! Records: classifications, and what records management keeps of a node.
//!
//! A node with a records classification is a record. It has a status, dates and a retention
//! schedule (RSI); an official record is locked for most people, a finalised one for everybody.
//! Every change carries the token of the state it starts from, so that two writers cannot
//! overwrite each other. The reference leaves most answers to writes open, so what counts is what
//! is read back: a write that is there was done, whatever was answered.

use std::collections::BTreeMap;
use std::time::Duration;

use ::http::Method;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value, json};
use tracing::debug;

use super::errors::{Effect, Error, Meaning};
use super::wire::{maybe_flag, maybe_text};
use super::{Client, wire};
use crate::types::{Failure, FailureClass, NodeId, Reason};

/// How long a record that was finalised is watched before it is looked at again later.
const FINAL_WITHIN: [Duration; 5] = [
    Duration::ZERO,
    Duration::from_millis(200),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
];

/// How long after that.
const FINAL_AGAIN: Duration = Duration::from_secs(300);

/// A classification on a node.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Classification {
    /// The classification's node.
    #[serde(deserialize_with = "node_id")]
    pub id: NodeId,
    /// Its name, when said.
    #[serde(default, deserialize_with = "wire::text")]
    pub name: String,
}

/// The fields of a record that can be set. As wishes: what is `None` stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RecordFields {
    /// The status code, such as `ACTIVE`.
    #[serde(deserialize_with = "maybe_text")]
    pub status: Option<String>,
    /// Since when it has that status.
    #[serde(deserialize_with = "maybe_text")]
    pub status_date: Option<String>,
    /// The date that retention may be counted from.
    #[serde(deserialize_with = "maybe_text")]
    pub record_date: Option<String>,
    /// When it was received.
    #[serde(deserialize_with = "maybe_text")]
    pub received_date: Option<String>,
    /// The retention schedule's code.
    #[serde(deserialize_with = "maybe_text")]
    pub rsi: Option<String>,
    /// The vital record code, such as `NR`.
    #[serde(deserialize_with = "maybe_text")]
    pub essential: Option<String>,
    /// The storage medium code, such as `EL`.
    #[serde(deserialize_with = "maybe_text")]
    pub storage: Option<String>,
    /// The accession code.
    #[serde(deserialize_with = "maybe_text")]
    pub accession: Option<String>,
    /// What it is about.
    #[serde(deserialize_with = "maybe_text")]
    pub subject: Option<String>,
    /// Who it is from.
    #[serde(deserialize_with = "maybe_text")]
    pub originator: Option<String>,
    /// Who it is to.
    #[serde(deserialize_with = "maybe_text")]
    pub addressee: Option<String>,
    /// Who else has it.
    #[serde(deserialize_with = "maybe_text")]
    pub sent_to: Option<String>,
    /// The organisation it is from.
    #[serde(deserialize_with = "maybe_text")]
    pub establishment: Option<String>,
    /// How often a vital record is reviewed: 365, 7, 1, 3, 2 or 12.
    #[serde(deserialize_with = "maybe_text")]
    pub cycle_period: Option<String>,
    /// When it is reviewed next.
    #[serde(deserialize_with = "maybe_text")]
    pub next_review_date: Option<String>,
}

impl RecordFields {
    /// The wishes, by the names that the server uses in text.
    fn named(&self) -> BTreeMap<&'static str, &str> {
        let all = [
            ("status", &self.status),
            ("status_date", &self.status_date),
            ("record_date", &self.record_date),
            ("received_date", &self.received_date),
            ("rsi", &self.rsi),
            ("essential", &self.essential),
            ("storage", &self.storage),
            ("accession", &self.accession),
            ("subject", &self.subject),
            ("originator", &self.originator),
            ("addressee", &self.addressee),
            ("sent_to", &self.sent_to),
            ("establishment", &self.establishment),
            ("cycle_period", &self.cycle_period),
            ("next_review_date", &self.next_review_date),
        ];
        all.into_iter()
            .filter_map(|(name, value)| Some((name, value.as_deref()?)))
            .collect()
    }

    /// The wishes that `there` does not fulfil. A day equals its midnight.
    fn missing(&self, there: &Self) -> BTreeMap<&'static str, &str> {
        let day = |text: &str| text.strip_suffix("T00:00:00").unwrap_or(text).to_owned();
        let there = there.named();
        let mut wanted = self.named();
        wanted
            .retain(|name, value| day(there.get(name).copied().unwrap_or_default()) != day(value));
        wanted
    }
}

/// What records management keeps of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordState {
    /// The record; `None` for a node that is not one.
    pub record: Option<Record>,
    /// Whether it can be finalised now by us; `None` when the server does not say. A record that
    /// cannot is final already, or we may not.
    pub can_finalise: Option<bool>,
    /// Whether we may classify it as a record now; `None` when the server does not say.
    pub can_classify: Option<bool>,
    /// The token of this state, which a change of it carries.
    token: Option<String>,
}

/// A node that is a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The records classification; `None` when only an inherited one is said.
    pub class: Option<NodeId>,
    /// The classification it has from its container.
    pub inherited_class: Option<NodeId>,
    /// The file number, which the server gives.
    pub file_number: Option<String>,
    /// Whether it is the official copy.
    pub official: bool,
    /// Everything that can be set.
    pub fields: RecordFields,
}

#[derive(Deserialize)]
struct Row {
    #[serde(default, deserialize_with = "wire::maybe_whole")]
    rmclassification_id: Option<i64>,
    #[serde(default, deserialize_with = "wire::maybe_whole")]
    inherited_rmclassification_id: Option<i64>,
    #[serde(default, deserialize_with = "maybe_text")]
    file_number: Option<String>,
    #[serde(default, deserialize_with = "maybe_flag")]
    official: Option<bool>,
    /// The status by the name that live servers give it.
    #[serde(default, deserialize_with = "maybe_text")]
    file_status: Option<String>,
    #[serde(flatten)]
    fields: RecordFields,
}

impl RecordState {
    fn read(answer: &Value) -> Result<Self, Error> {
        let rows = match answer.get("data") {
            Some(Value::Array(rows)) => rows.as_slice(),
            Some(single @ Value::Object(_)) => std::slice::from_ref(single),
            Some(Value::Null) => &[],
            // Rows are not promised for a node that is no record; what it may become is.
            None if answer.get("canRMClassify").is_some() => &[],
            _ => return Err(wire::missing("data")),
        };
        let class = |id: Option<i64>| id.filter(|id| *id > 0).map(NodeId);
        let mut record = None;
        for row in rows {
            let row: Row = wire::parse(row, "data")?;
            let (own, inherited) = (
                class(row.rmclassification_id),
                class(row.inherited_rmclassification_id),
            );
            // A row without any classification describes a node that is no record yet.
            if own.is_some() || inherited.is_some() {
                record = Some(Record {
                    class: own,
                    inherited_class: inherited,
                    file_number: row.file_number,
                    official: row.official.unwrap_or(false),
                    fields: RecordFields {
                        status: row.file_status.or(row.fields.status),
                        ..row.fields
                    },
                });
                break;
            }
        }
        let flag = |name: &str| maybe_flag(answer.get(name)?).ok().flatten();
        Ok(Self {
            record,
            can_finalise: flag("canFinalize"),
            can_classify: flag("canRMClassify"),
            token: answer
                .get("rm_metadataToken")
                .and_then(|token| maybe_text(token).ok()?),
        })
    }

    fn is_class(&self, class: NodeId) -> bool {
        self.record
            .as_ref()
            .is_some_and(|record| record.class == Some(class))
    }

    fn is_official(&self) -> bool {
        self.record.as_ref().is_some_and(|record| record.official)
    }

    /// The wishes that are not so.
    fn missing<'a>(&self, wanted: &'a RecordFields) -> BTreeMap<&'static str, &'a str> {
        match &self.record {
            Some(record) => wanted.missing(&record.fields),
            None => wanted.named(),
        }
    }
}

impl Client {
    /// The plain classifications of a node.
    ///
    /// # Errors
    ///
    /// `Inaccessible` when the node is missing or forbidden, `Unsupported` where there are no
    /// classifications; otherwise as any read.
    pub async fn classifications(&self, node: NodeId) -> Result<Vec<Classification>, Failure> {
        self.list_classifications(node)
            .await
            .map_err(failed(format!(
                "reading the classifications of node {node}"
            )))
    }

    /// Adds plain classifications to a node; those that are there stay. Safe to repeat. The server
    /// only takes the whole set: one that somebody else adds at the same moment may be lost.
    ///
    /// # Errors
    ///
    /// As [`classifications`](Self::classifications).
    pub async fn add_classifications(
        &self,
        node: NodeId,
        classes: &[NodeId],
    ) -> Result<(), Failure> {
        let add = async {
            let mut ids: Vec<i64> = self
                .list_classifications(node)
                .await?
                .into_iter()
                .map(|there| there.id.0)
                .collect();
            let before = ids.len();
            for class in classes {
                if !ids.contains(&class.0) {
                    ids.push(class.0);
                }
            }
            if ids.len() == before {
                return Ok(Vec::new());
            }
            let path = format!("v1/nodes/{node}/classifications");
            let call = || self.call(Method::POST, &path).repeatable().mute();
            let change =
                json!({"class_id": ids, "apply_to_sub_items": false, "inherit_flag": false});
            let answer = self.write(call, &change).await;
            let there = self.list_classifications(node).await?;
            let missing = classes
                .iter()
                .filter(|class| there.iter().all(|there| there.id != **class));
            let missing: Vec<String> = missing.map(NodeId::to_string).collect();
            match answer {
                Err(error) if !missing.is_empty() => Err(error),
                _ => Ok(missing),
            }
        };
        let doing = format!("adding classifications to node {node}");
        let missing = add.await.map_err(failed(doing.clone()))?;
        if missing.is_empty() {
            return Ok(());
        }
        Err(Failure::item(
            Reason::Other,
            format!(
                "{doing}: the server took them and does not keep {}",
                missing.join(", ")
            ),
        ))
    }

    async fn list_classifications(&self, node: NodeId) -> Result<Vec<Classification>, Error> {
        let path = format!("v1/nodes/{node}/classifications");
        let answer = self.json(self.call(Method::GET, &path)).await?;
        match answer.get("data") {
            Some(Value::Array(rows)) => rows.iter().map(|row| wire::parse(row, "data")).collect(),
            Some(Value::Null) => Ok(Vec::new()),
            _ => Err(wire::missing("data")),
        }
    }

    /// What records management keeps of a node.
    ///
    /// # Errors
    ///
    /// `Inaccessible` when the node is missing or forbidden, `Unsupported` where there is no
    /// records management; otherwise as any read.
    pub async fn record_state(&self, node: NodeId) -> Result<RecordState, Failure> {
        self.get_record(node)
            .await
            .map_err(failed(format!("reading the record of node {node}")))
    }

    pub(super) async fn get_record(&self, node: NodeId) -> Result<RecordState, Error> {
        let path = format!("v1/nodes/{node}/rmclassifications");
        RecordState::read(&self.json(self.call(Method::GET, &path)).await?)
    }

    /// Makes a node a record of `class` with these fields; the state afterwards, as read. Safe to
    /// repeat: what is so already is not written. A record of another class is not moved.
    ///
    /// # Errors
    ///
    /// `Held` when it is final, or a record of another class; `ItemIsWrong` for codes the server
    /// does not have and for fields that it does not keep.
    pub async fn declare_record(
        &self,
        node: NodeId,
        class: NodeId,
        fields: &RecordFields,
    ) -> Result<RecordState, Failure> {
        let doing = || format!("making node {node} a record of class {class}");
        let before = self.get_record(node).await.map_err(failed(doing()))?;
        let own = before.record.as_ref().and_then(|record| record.class);
        if let Some(other) = own
            && other != class
        {
            return Err(Failure::item(
                Reason::Held,
                format!("node {node} is a record of class {other} already, not of {class}"),
            ));
        }
        if own.is_none() {
            let change = |state: &RecordState| {
                let mut change = as_parameters(fields.named());
                change.insert("class_id".to_owned(), class.0.into());
                change.insert("apply_to_sub_items".to_owned(), false.into());
                // The first classification goes without a token where the server gave none.
                insert_token(&mut change, state);
                change
            };
            self.change_record(node, Method::POST, before, change, |state| {
                state.is_class(class)
            })
            .await
            .map_err(failed(doing()))?;
        }
        // A server may not take every field along with the class.
        self.edit_record(node, fields, None)
            .await
            .map_err(|failure| failure.context(doing()))
    }

    /// Sets fields of a record, and makes it official where `official` says so; the state
    /// afterwards, as read. Safe to repeat: what is so already is not written.
    ///
    /// # Errors
    ///
    /// `NotFound` when the node is no record, `Held` when it is final; `ItemIsWrong` for codes the
    /// server does not have and for fields that it does not keep. Somebody else's change in
    /// between is looked at once; a second one is `RetryNow`.
    pub async fn edit_record(
        &self,
        node: NodeId,
        fields: &RecordFields,
        official: Option<bool>,
    ) -> Result<RecordState, Failure> {
        let doing = || format!("changing the record of node {node}");
        let before = self.get_record(node).await.map_err(failed(doing()))?;
        if before.record.is_none() {
            return Err(Failure::item(
                Reason::NotFound,
                format!("node {node} is no record"),
            ));
        }
        let done = |state: &RecordState| {
            state.missing(fields).is_empty()
                && official.is_none_or(|official| state.is_official() == official)
        };
        if done(&before) {
            return Ok(before);
        }
        let change = |state: &RecordState| {
            let mut named = state.missing(fields);
            // The same field has another name on this call.
            let status = named.remove("status");
            let mut change = as_parameters(named);
            if let Some(status) = status {
                change.insert("file_status".to_owned(), status.into());
            }
            if let Some(official) = official
                && state.is_official() != official
            {
                change.insert("official".to_owned(), official.into());
            }
            insert_token(&mut change, state);
            change
        };
        let after = self
            .change_record(node, Method::PUT, before, change, done)
            .await
            .map_err(failed(doing()))?;
        if done(&after) {
            return Ok(after);
        }
        let mut lost: Vec<&str> = after.missing(fields).into_keys().collect();
        if official.is_some_and(|official| after.is_official() != official) {
            lost.push("official");
        }
        Err(Failure::item(
            Reason::Other,
            format!(
                "{}: the server took it and still says otherwise: {}",
                doing(),
                lost.join(", ")
            ),
        ))
    }

    /// Finalises a record: nothing of it can be changed afterwards, by anybody. Safe to repeat.
    ///
    /// # Errors
    ///
    /// `NotFound` when the node is no record; `Inaccessible` when we may not; `RetryNow`, in five
    /// minutes, while the server took it and still says that it can be finalised. Where the server does not say
    /// whether it can be, its answer to the call is all there is.
    pub async fn finalise_record(&self, node: NodeId) -> Result<(), Failure> {
        let doing = || format!("finalising the record of node {node}");
        let state = self.get_record(node).await.map_err(failed(doing()))?;
        if state.record.is_none() {
            return Err(Failure::item(
                Reason::NotFound,
                format!("node {node} is no record"),
            ));
        }
        let call = self
            .call(Method::PUT, "v1/rmclassifications/finalizerecords")
            .fields([("ids", node.to_string())])
            .limit(self.0.config.request_limit)
            .mute();
        let mut answer = self.json(call).await.map(drop);
        if answer.as_ref().err().and_then(Error::meaning) == Some(Meaning::NoRoute) {
            // The queue is the other way in; it works on its own time.
            let call = self
                .call(Method::POST, "v1/rmqueues")
                .query("task_name", "rm_FinalizeRecord")
                .query("id", &node.to_string())
                .query("apply_subitems", "false")
                .mute();
            answer = self.json(call).await.map(drop);
        }
        if let Err(error) = answer {
            let after = self.get_record(node).await.map_err(failed(doing()))?;
            let is_final = match error.meaning() {
                Some(Meaning::Held) => true,
                // What one that is final already is answered with is not documented.
                Some(Meaning::Invalid | Meaning::Unknown) => after.can_finalise == Some(false),
                _ => state.can_finalise == Some(true) && after.can_finalise == Some(false),
            };
            if is_final {
                debug!(%node, %error, "is final already");
                return Ok(());
            }
            return Err(failed(doing())(error));
        }
        // The reference says nothing of the answer, so it proves nothing.
        for wait in FINAL_WITHIN {
            tokio::time::sleep(wait).await;
            let after = self.get_record(node).await.map_err(failed(doing()))?;
            if after.can_finalise != Some(true) {
                return Ok(());
            }
        }
        // Its queue may be slow. One that never does it counts as a disturbance that did not pass.
        let mut failure = Failure::transient(format!(
            "{}: the server took it and says that it is not final yet; see what its records queue does",
            doing()
        ));
        failure.retry_after = Some(FINAL_AGAIN);
        Err(failure)
    }

    /// Sends a change of a record, once more when somebody else was quicker, and reads the state
    /// afterwards. An error only counts when what was wanted is not there.
    async fn change_record(
        &self,
        node: NodeId,
        method: Method,
        mut state: RecordState,
        change: impl Fn(&RecordState) -> Map<String, Value>,
        done: impl Fn(&RecordState) -> bool,
    ) -> Result<RecordState, Error> {
        let path = format!("v1/nodes/{node}/rmclassifications");
        let mut repeated = false;
        loop {
            let call = || {
                self.call(method.clone(), &path)
                    .limit(self.0.config.request_limit)
                    .mute()
            };
            let answer = self.write(call, &Value::Object(change(&state))).await;
            let after = self.get_record(node).await?;
            let Err(error) = answer else {
                return Ok(after);
            };
            if done(&after) {
                debug!(%node, %error, "is so all the same");
                return Ok(after);
            }
            // What a stale token is answered with is not documented; that the token is another
            // one now says enough.
            let stale = match error.meaning() {
                Some(Meaning::EditConflict) => true,
                Some(Meaning::Invalid | Meaning::Unknown) => after.token != state.token,
                _ => false,
            };
            if !stale || repeated {
                return Err(error);
            }
            repeated = true;
            state = after;
        }
    }
}

pub(super) fn failed(doing: String) -> impl FnOnce(Error) -> Failure {
    move |error| {
        let mut failure = error.into_failure(Effect::Repeatable).context(doing);
        if failure.class == FailureClass::ItemIsWrong && failure.reason == Reason::Unsupported {
            failure = failure.context("this server has no records management");
        }
        failure
    }
}

fn as_parameters(named: BTreeMap<&'static str, &str>) -> Map<String, Value> {
    named
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.into()))
        .collect()
}

fn insert_token(change: &mut Map<String, Value>, state: &RecordState) {
    if let Some(token) = &state.token {
        change.insert("rm_metadataToken".to_owned(), token.as_str().into());
    }
}

fn node_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<NodeId, D::Error> {
    wire::whole(deserializer).map(NodeId)
}
