//! `/jobs/v1/…`: the display record of work, iconik's own and other people's.

use http::Method;
use serde_json::{Value, json};

use super::assets::{check_choices, demand, sort_by};
use super::call::{Answer, Call, Refusal, invalid, missing, refuse};
use super::table::{Kind, Row, row, text};
use super::world::World;

const STATES: [&str; 10] = [
    "READY",
    "STARTED",
    "FINISHED",
    "FINISHED_WITH_WARNING",
    "FAILED",
    "WAITING",
    "ABORT_PENDING",
    "ABORTED",
    "SKIPPED",
    "PAUSED",
];

const STEP_STATES: [&str; 5] = ["IN_PROGRESS", "WAITING", "FAILED", "DONE", "SKIPPED"];

const TYPES: [&str; 31] = [
    "MEDIAINFO",
    "TRANSCODE",
    "KEYFRAMES",
    "EXPORT",
    "DELETE",
    "REINDEX",
    "MOVE",
    "TRANSFER",
    "ANALYZE",
    "METADATA",
    "CUSTOM",
    "SCAN",
    "ARCHIVE",
    "RESTORE",
    "RESTORE_FROM_GLACIER",
    "ACL",
    "COPY",
    "TRANSCRIPTION",
    "REQUEST_COLLECTION_MAP",
    "COLLECTION_CUSTOM_ORDER",
    "STORAGE_GATEWAY_FILE_INGEST",
    "MARK_MISSING",
    "FACE_RECOGNITION",
    "SET_APPROVAL",
    "REQUEST_APPROVAL",
    "CHANGE_PERSON",
    "CONFIRM_PERSON",
    "DELETE_PERSON",
    "AUTOMATION",
    "REVIEW_REQUEST",
    "CONVERT_SAVED_SEARCH_TO_COLLECTION",
];

/// A call that a press of a button makes: address and body.
pub(super) type Button = (String, Value);

impl World {
    pub(super) fn jobs(&mut self, call: &Call<'_>, path: &[&str]) -> Answer {
        self.finish_thawing();
        match (&call.method, path) {
            (&Method::GET, ["jobs"]) => self.list_jobs(call),
            (&Method::POST, ["jobs"]) => self.create_job(call),
            (&Method::PUT, ["jobs", "state"]) => self.set_state(call),
            (&Method::PUT, ["jobs", "priority"]) => Ok((200, json!({}))),
            (&Method::GET, ["jobs", job]) => {
                call.need("can_read_jobs")?;
                let found = self.row(Kind::Job, job).ok_or_else(|| missing("Job"))?;
                Ok((200, self.shown_job(found)))
            }
            (&Method::PATCH | &Method::PUT, ["jobs", job, rest @ ..]) => {
                call.need("can_write_jobs")?;
                if self.row(Kind::Job, job).is_none() {
                    return Err(missing("Job"));
                }
                match rest {
                    [] => self.change_job(call, job),
                    ["steps"] => self.change_steps(call, job),
                    ["steps", step] => self.change_step(call, job, step),
                    _ => Err(refuse(404, "Not found")),
                }
            }
            (&Method::DELETE, ["jobs", job]) => {
                let old = self.table(Kind::Job).remove(job);
                old.ok_or_else(|| missing("Job"))?;
                Ok((204, Value::Null))
            }
            _ => Err(refuse(404, "Not found")),
        }
    }

    /// A job with what is derived: percent, and the progress of children.
    fn shown_job(&self, mut job: Row) -> Value {
        let number = |field: &str| job.get(field).and_then(Value::as_u64);
        // Without a total the processed number counts as percent.
        let total = number("progress_total").filter(|&t| t > 0).unwrap_or(100);
        let done = number("progress_processed").unwrap_or(0);
        let progress = (done.saturating_mul(100) / total).min(100);
        job.insert("progress".into(), progress.into());
        if job.get("has_children") == Some(&Value::Bool(true)) {
            let own = text(&job, "id").to_owned();
            let table = self.tables.get(&Kind::Job);
            let children: Row = table
                .into_iter()
                .flat_map(|t| t.iter())
                .filter(|child| text(child, "parent_id") == own)
                .map(|child| {
                    let get = |field: &str| child.get(field).cloned().unwrap_or(json!(0));
                    let progress = json!({
                        "status": child["status"],
                        "progress_processed": get("progress_processed"),
                        "progress_total": get("progress_total"),
                    });
                    (text(child, "id").to_owned(), progress)
                })
                .collect();
            job.insert("children_progress".into(), children.into());
        }
        job.into()
    }

    fn list_jobs(&self, call: &Call<'_>) -> Answer {
        call.need("can_read_jobs")?;
        let table = self.tables.get(&Kind::Job);
        let mut rows: Vec<Value> = table
            .into_iter()
            .flat_map(|t| t.iter())
            .filter(|job| {
                let fields = ["parent_id", "object_id", "object_type", "created_by"];
                let lists = ["status", "type"];
                let date = |field: &str| {
                    call.param(field)
                        .is_none_or(|range| within(text(job, field), range))
                };
                fields
                    .iter()
                    .all(|f| call.param(f).is_none_or(|w| text(job, f) == w))
                    && lists.iter().all(|f| {
                        call.param(f)
                            .is_none_or(|w| w.split(',').any(|w| text(job, f) == w))
                    })
                    && date("date_created")
                    && date("date_modified")
            })
            .map(|job| self.shown_job(job.clone()))
            .collect();
        // The newest first unless asked otherwise.
        rows.reverse();
        sort_by(&mut rows, call.param("sort").unwrap_or(""));
        let (status, mut reply) = call.page_list(100, &rows)?;
        reply["facets"] = json!({});
        Ok((status, reply))
    }

    fn create_job(&mut self, call: &Call<'_>) -> Answer {
        call.need("can_write_jobs")?;
        let body = call.object()?;
        demand(body, &["title", "type", "status"])?;
        check_job(body)?;
        let own = self.next_id(Kind::Job);
        let now = self.clock.stamp();
        let mut job = row(json!({
            "priority": 5, "progress_processed": 0, "has_children": false, "steps": [],
            "message": "", "error_message": "", "metadata": {},
            "job_context": {}, "custom_type": null, "object_id": null, "object_type": null,
            "parent_id": null,
        }));
        job.extend(body.clone());
        job.insert("id".into(), own.clone().into());
        job.insert("created_by".into(), call.token.user.clone().into());
        job.insert("date_created".into(), now.clone().into());
        job.insert("date_modified".into(), now.clone().into());
        let steps = job
            .get("steps")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        let steps: Vec<Value> = steps
            .into_iter()
            .map(|s| self.with_step_id(s, &now))
            .collect();
        job.insert("steps".into(), steps.into());
        self.table(Kind::Job).put(&own, job.clone());
        let shown = self.shown_job(job);
        self.event(
            ["jobs", "entity", "create"],
            &own,
            &call.token.user,
            shown.clone(),
        );
        Ok((201, shown))
    }

    fn with_step_id(&mut self, mut step: Value, now: &str) -> Value {
        if let Some(step) = step.as_object_mut() {
            if !step.contains_key("id") {
                step.insert("id".into(), self.next_id(Kind::Step).into());
            }
            step.insert("date_updated".into(), now.into());
        }
        step
    }

    /// Finished jobs are changed without complaint, as iconik does.
    fn change_job(&mut self, call: &Call<'_>, job: &str) -> Answer {
        let body = call.object()?.clone();
        check_job(&body)?;
        let keep = [
            "id",
            "progress",
            "children_progress",
            "created_by",
            "date_created",
            "steps",
        ];
        let changed = self.change(Kind::Job, job, |row| {
            row.extend(
                body.into_iter()
                    .filter(|(k, _)| !keep.contains(&k.as_str())),
            );
        });
        let shown = self.shown_job(changed.ok_or_else(|| missing("Job"))?);
        self.event(
            ["jobs", "entity", "update"],
            job,
            &call.token.user,
            shown.clone(),
        );
        Ok((200, shown))
    }

    fn change_steps(&mut self, call: &Call<'_>, job: &str) -> Answer {
        let body = call.object()?;
        demand(body, &["steps"])?;
        let given = body["steps"]
            .as_array()
            .cloned()
            .ok_or_else(|| invalid("steps", "Not a valid list."))?;
        let now = self.clock.stamp();
        let found = self.row(Kind::Job, job).ok_or_else(|| missing("Job"))?;
        let mut steps = found
            .get("steps")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        for step in given {
            check_step(&step)?;
            match steps
                .iter_mut()
                .find(|s| step["id"].is_string() && s["id"] == step["id"])
            {
                Some(there) => {
                    let own = there.as_object_mut().zip(step.as_object());
                    if let Some((there, step)) = own {
                        there.extend(step.clone());
                        there.insert("date_updated".into(), now.clone().into());
                    }
                }
                None => steps.push(self.with_step_id(step, &now)),
            }
        }
        let changed = self.change(Kind::Job, job, |row| {
            row.insert("steps".into(), steps.into());
        });
        Ok((200, self.shown_job(changed.ok_or_else(|| missing("Job"))?)))
    }

    fn change_step(&mut self, call: &Call<'_>, job: &str, step: &str) -> Answer {
        let body = call.object()?.clone();
        check_step(&call.body)?;
        let mut hit = false;
        let changed = self.change(Kind::Job, job, |row| {
            let steps = row.get_mut("steps").and_then(Value::as_array_mut);
            for one in steps.into_iter().flatten() {
                if one["id"] == step
                    && let Some(one) = one.as_object_mut()
                {
                    one.extend(body.clone());
                    one.insert("id".into(), step.into());
                    hit = true;
                }
            }
        });
        if !hit {
            return Err(missing("Job step"));
        }
        Ok((200, self.shown_job(changed.ok_or_else(|| missing("Job"))?)))
    }

    /// What the buttons of the job list do.
    fn set_state(&mut self, call: &Call<'_>) -> Answer {
        let body = call.object()?;
        demand(body, &["action", "job_ids"])?;
        let actions = ["PAUSE", "RESUME", "ABORT", "RESTART"];
        check_choices(body, &[("action", &actions)])?;
        let action = text(body, "action");
        let ids = body["job_ids"].as_array().cloned().unwrap_or_default();
        if ids.len() > 500 {
            return Err(invalid("job_ids", "Longer than maximum length 500."));
        }
        for job in ids.iter().filter_map(Value::as_str) {
            let state = match action {
                "PAUSE" => "PAUSED",
                "ABORT" => "ABORT_PENDING",
                _ => "STARTED",
            };
            let Some(row) = self.change(Kind::Job, job, |row| {
                row.insert("status".into(), state.into());
            }) else {
                continue;
            };
            let url = row
                .get("action_context")
                .and_then(|c| c[action]["url"].as_str());
            if let Some(url) = url {
                let body = json!({"action": action, "job_id": job, "user_id": call.token.user});
                self.buttons.push((url.to_owned(), body));
            }
        }
        Ok((201, json!({})))
    }
}

fn check_job(body: &Row) -> Result<(), Refusal> {
    check_choices(body, &[("status", &STATES), ("type", &TYPES)])?;
    for field in ["progress_processed", "progress_total"] {
        if body.get(field).is_some_and(|n| n.as_u64().is_none()) {
            return Err(invalid(field, "Not a valid integer."));
        }
    }
    for step in body
        .get("steps")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        check_step(step)?;
    }
    Ok(())
}

fn check_step(step: &Value) -> Result<(), Refusal> {
    let step = step
        .as_object()
        .ok_or_else(|| invalid("steps", "Not a valid step."))?;
    check_choices(step, &[("status", &STEP_STATES)])
}

/// Whether a date lies in `from;to`, in which `*` is open; a single date means that day.
fn within(date: &str, range: &str) -> bool {
    let (from, to) = range.split_once(';').unwrap_or((range, range));
    let open = |bound: &str| bound.is_empty() || bound == "*";
    let head = |bound: &str| date.get(..bound.len()).unwrap_or(date).to_owned();
    (open(from) || date >= from) && (open(to) || head(to).as_str() <= to)
}
