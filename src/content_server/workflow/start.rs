//! Drafts, and a process of each marker: started once, and found again.

use std::collections::BTreeMap;

use ::http::Method;
use serde_json::{Map, Value, json};
use tracing::debug;

use super::words::{DraftForm, NewProcess, WorkflowMap};
use super::{failed, number, result_data, rows};
use crate::content_server::errors::{Effect, Error};
use crate::content_server::{Client, wire};
use crate::types::{Failure, NodeId, Reason};

/// The states that processes are listed by.
const STATES: [&str; 4] = ["ontime", "workflowlate", "completed", "stopped"];

impl Client {
    /// The maps that a document can be sent into from its container.
    ///
    /// # Errors
    ///
    /// As any read.
    pub async fn workflow_maps(
        &self,
        document: NodeId,
        parent: NodeId,
    ) -> Result<Vec<WorkflowMap>, Failure> {
        let read = async {
            let call = self
                .call(Method::GET, "v2/docworkflows")
                .query("doc_id", &document.to_string())
                .query("parent_id", &parent.to_string());
            let answer = self.json(call).await?;
            rows(result_data(&answer), "results.data")
        };
        read.await
            .map_err(failed(format!("listing the workflows for node {document}")))
    }

    /// Makes a draft with these documents attached. Nobody sees it; one whose reply was lost stays
    /// behind unused.
    ///
    /// # Errors
    ///
    /// `ItemIsWrong` when the map or a document cannot be used.
    pub async fn draft_process(&self, map: NodeId, documents: &[NodeId]) -> Result<i64, Failure> {
        let draft = async {
            let mut parameters = json!({ "workflow_id": map.0 });
            if !documents.is_empty() {
                let ids: Vec<_> = documents.iter().map(NodeId::to_string).collect();
                parameters["doc_ids"] = ids.join(",").into();
                // A text in the reference, and in what the official client sends.
                parameters["AttachDocuments"] = "true".into();
            }
            let call = self
                .call(Method::POST, "v2/draftprocesses")
                .body(&parameters);
            number(&self.json(call).await?, "draftprocess_id")
        };
        draft
            .await
            .map_err(failed(format!("drafting a process of map {map}")))
    }

    /// The form of a draft.
    ///
    /// # Errors
    ///
    /// As any read.
    pub async fn draft_form(&self, draft: i64) -> Result<DraftForm, Failure> {
        let read = async {
            let call = self
                .call(Method::GET, "v1/forms/draftprocesses/update")
                .query("draftprocess_id", &draft.to_string());
            let answer = self.json(call).await?;
            let Some(Value::Array(forms)) = answer.get("forms") else {
                return Err(wire::missing("forms"));
            };
            let mut form = DraftForm::default();
            for part in forms {
                if let Some(Value::Object(values)) = part.get("data") {
                    form.values.extend(values.clone());
                }
                let fields = part.pointer("/schema/properties");
                for (key, field) in fields.and_then(Value::as_object).into_iter().flatten() {
                    let shown = field
                        .get("title")
                        .or_else(|| part.pointer("/options/fields")?.get(key)?.get("label"));
                    let shown = shown.and_then(Value::as_str).unwrap_or_default();
                    form.fields.insert(key.clone(), shown.to_owned());
                }
            }
            Ok(form)
        };
        read.await
            .map_err(failed(format!("reading the form of draft {draft}")))
    }

    /// Sets form values of a draft. Safe to repeat.
    ///
    /// # Errors
    ///
    /// `ItemIsWrong` for values that the map does not take.
    pub async fn fill_draft(
        &self,
        draft: i64,
        values: &BTreeMap<String, Value>,
    ) -> Result<(), Failure> {
        let call = self
            .call(Method::PUT, &format!("v2/draftprocesses/{draft}"))
            .body(&json!({"action": "formUpdate", "values": values}))
            .repeatable();
        let filled = self.json(call).await.map(drop);
        filled.map_err(failed(format!("filling draft {draft}")))
    }

    /// Starts a process from a draft; its id. Not safe to repeat: look for its marker first.
    ///
    /// # Errors
    ///
    /// `Ambiguous` when it may have started.
    pub async fn initiate_draft(&self, draft: i64, comment: &str) -> Result<i64, Failure> {
        let start = async {
            let mut parameters = json!({"action": "Initiate"});
            if !comment.is_empty() {
                parameters["comment"] = comment.into();
            }
            let call = self
                .call(Method::PUT, &format!("v2/draftprocesses/{draft}"))
                .body(&parameters)
                .limit(self.0.config.request_limit);
            number(&self.json(call).await?, "process_id")
        };
        start.await.map_err(|error: Error| {
            error
                .into_failure(Effect::Commit)
                .context(format!("starting draft {draft}"))
        })
    }

    /// The process that we started with that marker in its title, running or over. Archived and
    /// deleted ones are not found: keep the id of what was started, or ask
    /// [`archived_process`](Self::archived_process).
    ///
    /// # Errors
    ///
    /// As any read.
    pub async fn find_process(&self, marker: &str) -> Result<Option<i64>, Failure> {
        let found = self.find_processes(&[marker.to_owned()]).await?;
        Ok(found.into_values().next())
    }

    /// The same for several markers in one look: the process of each that has one, by the marker's
    /// place in the list.
    ///
    /// # Errors
    ///
    /// As any read.
    pub async fn find_processes(
        &self,
        markers: &[String],
    ) -> Result<BTreeMap<usize, i64>, Failure> {
        let find = async {
            let mut found = BTreeMap::new();
            for state in STATES {
                let call = self
                    .call(Method::GET, "v2/workflows/status")
                    .query("Kind", "Initiated")
                    .query("wstatus", state);
                let answer = self.json(call).await?;
                let page = wire::page::<Map<String, Value>>(&answer, "wfstatus", 1, u32::MAX)?;
                for row in page.rows {
                    let Some(at) = marked(&row, markers) else {
                        continue;
                    };
                    let id = row
                        .get("process_id")
                        .and_then(wire::signed)
                        .ok_or_else(|| wire::missing("wfstatus.process_id"))?;
                    // Were there two, the first one is the one that counts.
                    let first = found.entry(at).or_insert(id);
                    *first = id.min(*first);
                }
            }
            Ok(found)
        };
        find.await.map_err(failed(format!(
            "looking for the process [{}]",
            markers.first().map_or("", String::as_str)
        )))
    }

    /// The archived process of a map with one of these markers in its title, with the marker's
    /// place in the list; the one of the last marker that has one. Nothing found proves nothing:
    /// how the list is filtered, and whether it has titles, is the server's own.
    ///
    /// # Errors
    ///
    /// As any read.
    pub async fn archived_process(
        &self,
        map: NodeId,
        markers: &[String],
    ) -> Result<Option<(usize, i64)>, Failure> {
        let find = async {
            let call = self
                .call(Method::GET, "v2/workflows/status/active")
                .query("mapObjId", &map.to_string())
                .query("Kind", "Initiated")
                .query("status", "ARCHIVED");
            let answer = self.json(call).await?;
            let mut found = None;
            // The reference draws one bare row, a live list wraps many: a row is what names a
            // process.
            let mut waiting: Vec<&Value> = answer.get("results").into_iter().collect();
            while let Some(value) = waiting.pop() {
                match value {
                    Value::Array(values) => waiting.extend(values),
                    Value::Object(row) => {
                        waiting.extend(row.values());
                        let id = row.get("Work_WorkID").and_then(wire::signed);
                        if let (Some(at), Some(id)) = (marked(row, markers), id) {
                            found = found.max(Some((at, id)));
                        }
                    }
                    _ => {}
                }
            }
            Ok(found)
        };
        find.await
            .map_err(failed(format!("listing archived processes of map {map}")))
    }

    /// Finds the process with that marker, or starts it; `true` when it was started now. Safe to
    /// repeat.
    ///
    /// # Errors
    ///
    /// `Ambiguous` when the reply was lost and nothing is there yet: repeating looks first. As
    /// [`draft_process`](Self::draft_process) and [`fill_draft`](Self::fill_draft).
    pub async fn ensure_process(&self, new: &NewProcess) -> Result<(i64, bool), Failure> {
        if new.marker.trim().is_empty() {
            return Err(Failure::defect("a process without a marker"));
        }
        if let Some(there) = self.find_process(&new.marker).await? {
            return Ok((there, false));
        }
        let draft = self.draft_process(new.map, &new.documents).await?;
        self.fill_draft(draft, &new.form()).await?;
        match self.initiate_draft(draft, &new.comment).await {
            Ok(process) => Ok((process, true)),
            Err(failure) if failure.reason == Reason::Ambiguous => {
                debug!(draft, %failure, "looked up again");
                match self.find_process(&new.marker).await? {
                    Some(process) => Ok((process, true)),
                    None => Err(failure),
                }
            }
            Err(failure) => Err(failure),
        }
    }
}

/// Which of the markers a row has. Which field has the title is not documented; a marker is in no
/// other.
fn marked(row: &Map<String, Value>, markers: &[String]) -> Option<usize> {
    markers.iter().rposition(|marker| {
        let wanted = format!("[{marker}]");
        let has = |value: &Value| value.as_str().is_some_and(|text| text.contains(&wanted));
        row.values().any(has)
    })
}
