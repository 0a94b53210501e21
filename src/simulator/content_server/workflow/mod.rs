//! Workflows: maps, drafts, and processes that people, scripts or a test move along.
//!
//! A map's steps come one after the other; `Reject` ends a process, and the last step does. The
//! outcome is in no field: it shows in activities, comments, audit and attributes. An archived or
//! deleted process is in no list and has no status; a suspended one is in no list by status.

mod process;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

pub use process::{StepScript, WorkflowMap, WorkflowStep};

use self::process::{Draft, Process};
use super::answer::{Outcome, Refusal};
use super::call::Call;
use super::members::Members;
use super::world::World;

/// What the server says of a process that it does not show.
const NO_STATUS: &str = "Could not access task status";

/// Maps, drafts and processes by id.
#[derive(Default)]
pub(super) struct Workflows {
    maps: BTreeMap<i64, WorkflowMap>,
    drafts: BTreeMap<i64, Draft>,
    processes: BTreeMap<i64, Process>,
}

impl Workflows {
    /// Adds a map that documents can be sent into.
    pub(super) fn add_map(&mut self, id: i64, map: WorkflowMap) {
        self.maps.insert(id, map);
    }

    /// Moves a process to a status; whether it exists.
    pub(super) fn set_status(&mut self, process: i64, status: &str) -> bool {
        let found = self.processes.get_mut(&process);
        found.is_some_and(|process| {
            if status == "completed" {
                process.at = process.steps.len();
            }
            status.clone_into(&mut process.status);
            true
        })
    }

    /// A person acts at the present step of a process, or steers it.
    ///
    /// # Errors
    ///
    /// Why not.
    pub(super) fn act(
        &mut self,
        members: &Members,
        id: i64,
        (action, comment): (&str, &str),
        values: serde_json::Map<String, Value>,
        now: Timestamp,
    ) -> Result<(), String> {
        let process = self.processes.get_mut(&id);
        let process = process.ok_or_else(|| format!("there is no process {id}"))?;
        if matches!(action, "suspend" | "resume" | "stop" | "archive" | "delete") {
            return process.steer(action).map_err(str::to_owned);
        }
        let login = process.assignee(process.at).to_owned();
        let user = members.login(&login).map_or(0, |member| member.id);
        process.values.extend(values);
        process
            .act(action, comment, (user, &login), now)
            .map_err(str::to_owned)
    }

    /// Every process: id, map, title, status, present step, documents.
    pub(super) fn shown(&self, now: Timestamp) -> Value {
        let rows = self.processes.iter().map(|(id, process)| {
            json!({
                "process": id, "map": process.map, "title": self.title(process), "status": process.word(now),
                "step": process.steps.get(process.at).map(|step| &step.name), "documents": process.documents,
                "values": process.values, "comment": process.comment,
            })
        });
        rows.collect()
    }

    fn title(&self, process: &Process) -> Value {
        let map = self.maps.get(&process.map);
        process.title(map.map_or("", |map| &map.name))
    }

    fn usable(&self, map: i64, user: i64) -> Option<&WorkflowMap> {
        let found = self.maps.get(&map)?;
        (found.only.is_empty() || found.only.contains(&user)).then_some(found)
    }

    /// A process whose status can be read.
    fn there(&self, id: i64) -> Result<&Process, Refusal> {
        let found = self.processes.get(&id).filter(|process| process.is_there());
        found.ok_or_else(|| Refusal::bad(NO_STATUS))
    }
}

/// The server's own time, without a zone.
fn stamp(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S").to_string()
}

fn person(members: &Members, login: &str) -> Value {
    let member = members.login(login);
    let id = member.map_or(0, |member| member.id);
    let (first, last) = member
        .map(|member| member.called.clone())
        .unwrap_or_default();
    json!({"userId": id, "loginName": login, "firstName": first, "lastName": last, "emailAddress": "", "phone": ""})
}

/// `GET /v2/docworkflows`.
pub(super) fn maps(world: &mut World, call: &Call) -> Outcome {
    let rows: Vec<_> = world
        .workflows
        .maps
        .iter()
        .filter(|(id, _)| world.workflows.usable(**id, call.user).is_some())
        .map(|(id, map)| json!({"DataID": id, "Name": map.name, "WorkflowType": "1_1"}))
        .collect();
    Ok(call.results(json!({"data": rows})))
}

fn draft(world: &mut World, call: &Call) -> Result<Draft, Refusal> {
    let map = call.arguments.need_number("workflow_id")?;
    let found = world.workflows.usable(map, call.user);
    found.ok_or_else(|| Refusal::bad(format!("Could not Loadmap {map}")))?;
    let documents = call.arguments.numbers("doc_ids")?.unwrap_or_default();
    if documents
        .iter()
        .any(|id| world.visible(call.user, *id).is_none())
    {
        return Err(Refusal::bad("Error getting node from ID"));
    }
    Ok(Draft {
        map,
        documents,
        values: serde_json::Map::new(),
    })
}

/// `POST /v2/draftprocesses`.
pub(super) fn create_draft(world: &mut World, call: &Call) -> Outcome {
    let draft = draft(world, call)?;
    let id = world.id();
    let mut results = json!({"draftprocess_id": id});
    if !draft.documents.is_empty() {
        results["workflow_type"] = "1_1".into();
    }
    world.workflows.drafts.insert(id, draft);
    Ok(call.results(results))
}

/// `GET /v1/forms/draftprocesses/update`.
pub(super) fn form(world: &mut World, call: &Call) -> Outcome {
    let id = call.arguments.need_number("draftprocess_id")?;
    let draft = world
        .workflows
        .drafts
        .get(&id)
        .ok_or_else(|| Refusal::bad("Error getting node from ID"))?;
    let map = world.workflows.maps.get(&draft.map);
    let labels = map.into_iter().flat_map(|map| &map.form);
    let mut fields = serde_json::Map::new();
    let mut properties = serde_json::Map::new();
    for (id, label) in labels {
        let key = format!("WorkflowForm_{id}");
        fields.insert(key.clone(), json!({"label": label}));
        properties.insert(key, json!({"title": label, "type": "string"}));
    }
    Ok(super::answer::Answer::Json(json!({
        "data": {"title": map.map(|map| &map.name), "instructions": "", "actions": [{"key": "Initiate", "label": "Start"}]},
        "forms": [{"data": draft.values, "options": {"fields": fields}, "schema": {"properties": properties, "type": "object"}}],
    })))
}

fn start(world: &mut World, call: &Call, draft: Draft) -> i64 {
    let comment = call.arguments.text("comment").unwrap_or_default();
    let id = world.id();
    let Draft {
        map,
        documents,
        values,
    } = draft;
    let detail = json!({"process": id, "map": map, "documents": documents});
    let steps = world.workflows.maps.get(&map).map(|map| map.steps.clone());
    let process = Process {
        map,
        user: call.user,
        login: world.members.name(call.user),
        started: call.now,
        documents,
        values,
        comment,
        steps: steps.unwrap_or_default(),
        at: 0,
        since: call.now,
        acts: Vec::new(),
        status: "ontime".to_owned(),
        read: 0,
    };
    world.workflows.processes.insert(id, process);
    world.record(call, "workflow", None, detail);
    id
}

/// `PUT /v2/draftprocesses/{id}`.
pub(super) fn update_draft(world: &mut World, call: &Call, id: i64) -> Outcome {
    let missing = || Refusal::bad("Error getting node from ID");
    match call.arguments.text("action").as_deref() {
        Some("formUpdate") => {
            let values = call.arguments.object("values").unwrap_or_default();
            let draft = world.workflows.drafts.get_mut(&id).ok_or_else(missing)?;
            draft.values = values;
            Ok(call.done())
        }
        Some("Initiate") => {
            let draft = world.workflows.drafts.remove(&id).ok_or_else(missing)?;
            let process = start(world, call, draft);
            Ok(call.results(
                json!({"custom_message": "", "process_id": process, "WorkID": process, "WRID": 0}),
            ))
        }
        _ => Err(Refusal::bad("The requested action is unknown")),
    }
}

/// `POST /v2/draftprocesses/startwf`.
pub(super) fn start_now(world: &mut World, call: &Call) -> Outcome {
    let draft = draft(world, call)?;
    let process = start(world, call, draft);
    Ok(call.results(json!({"custom_message": "", "process_id": process})))
}

/// `GET /v2/workflows/status`: the caller's processes, of the asked statuses.
pub(super) fn list(world: &mut World, call: &Call) -> Outcome {
    let wanted = call.arguments.texts("wstatus");
    let of = |(id, process): (&i64, &Process)| {
        let login = process.assignee(process.at);
        let step = process.steps.get(process.at);
        json!({"data": {"wfstatus": {
            "process_id": id, "subprocess_id": id, "task_id": process.at + 1, "wf_name": world.workflows.title(process),
            "status_key": process.word(call.now), "step_name": step.map(|step| &step.name), "steps_count": process.steps.len(),
            "date_initiated": stamp(process.started), "due_date": process.due().map(stamp).unwrap_or_default(),
            "assignee": [person(&world.members, login)], "assignee_count": 1, "current_assignee": login,
            "comments_on": true, "parallel_steps": [],
        }}})
    };
    let rows: Vec<_> = world
        .workflows
        .processes
        .iter()
        .filter(|(_, process)| process.user == call.user && process.is_there())
        .filter(|(_, process)| {
            let word = process.word(call.now);
            wanted.is_empty() || wanted.iter().any(|wanted| wanted == word)
        })
        .map(of)
        .collect();
    Ok(call.results(rows.into()))
}

/// `GET /v2/workflows/status/active`: in spite of its name the archived ones too, when asked.
pub(super) fn active(world: &mut World, call: &Call) -> Outcome {
    let map = call.arguments.number("mapObjId")?;
    let name = call.arguments.text("search_name").unwrap_or_default();
    let archived = call.arguments.text("status").as_deref() == Some("ARCHIVED");
    let code = |process: &Process| match process.status.as_str() {
        "archived" => 3,
        "completed" => 2,
        "stopped" => 1,
        _ => 0,
    };
    let rows: Vec<_> = world
        .workflows
        .processes
        .iter()
        .filter(|(_, process)| process.user == call.user && process.status != "deleted")
        .filter(|(_, process)| (process.status == "archived") == archived)
        .filter(|(_, process)| map.is_none_or(|map| map == process.map))
        .map(|(id, process)| (id, process, world.workflows.title(process)))
        .filter(|(_, _, title)| title.as_str().is_some_and(|title| title.contains(&name)))
        .map(|(id, process, title)| {
            json!({
                "Work_WorkID": id, "Work_Status": code(process), "Work_OwnerID": process.user,
                "Work_ManagerID": process.user, "Map_MapObjID": process.map, "SubWork_SubWorkID": id,
                "SubWork_Title": title, "SubWork_Status": code(process),
                "SubWork_DateInitiated": stamp(process.started),
            })
        })
        .collect();
    Ok(call.results(rows.into()))
}

/// `GET /v2/workflows/status/processes/{id}`. Whoever has a script acts before.
pub(super) fn status(world: &mut World, call: &Call, id: i64) -> Outcome {
    let script = world.workflows.processes.get_mut(&id);
    if let Some(script) = script.and_then(Process::scripted) {
        let said = (script.action.as_str(), script.comment.as_str());
        let none = serde_json::Map::new();
        world
            .workflows
            .act(&world.members, id, said, none, call.now)
            .map_err(Refusal::bad)?;
    }
    let process = world.workflows.there(id)?;
    let step = |at: usize| {
        let over = at < process.at;
        let act = process.acts.iter().find(|act| act.step == at);
        let login = act.map_or_else(|| process.assignee(at), |act| &act.login);
        let before = process.acts.iter().find(|act| act.step + 1 == at);
        json!({
            "process_id": id, "subprocess_id": id, "task_id": at + 1, "task_name": process.steps[at].name,
            "task_due_date": process.due().filter(|_| !over).map(stamp).unwrap_or_default(),
            "task_start_date": stamp(before.map_or(process.started, |act| act.at)),
            "task_status": if over { "completed" } else { process.word(call.now) },
            "task_assignees": {"assignee": [person(&world.members, login)], "assigneeCount": 1, "currentAssignee": login},
        })
    };
    let at = process.at.min(process.steps.len());
    let completed: Vec<Value> = (0..at).map(step).collect();
    let open = !process.is_over() && at < process.steps.len();
    let current: Vec<Value> = open.then(|| step(at)).into_iter().collect();
    Ok(call.results(json!({
        "attachments": {"attachment_folder_id": 0, "ids": process.documents},
        "data_packages": [{"TYPE": 1, "SUBTYPE": 2, "USERDATA": process.values, "DESCRIPTION": ""}],
        "permissions": {"Archive": true, "ChangeAttr": true, "ChangeRoute": true, "Delete": true, "ManagerPerms": true,
            "SeeDetail": true, "Stop": true, "Suspend": true},
        "step_list": {"completed": completed, "current": current, "next": []},
        "wf_details": {"date_initiated": stamp(process.started), "due_date": "", "initiator": person(&world.members, &process.login),
            "status": process.word(call.now), "wf_name": world.workflows.title(process), "work_workID": id},
    })))
}

/// `GET /v2/workflows/status/info`: what was said and done.
pub(super) fn info(world: &mut World, call: &Call) -> Outcome {
    let id = call.arguments.need_number("workid")?;
    let process = world.workflows.there(id)?;
    let line = |task: usize, user: i64, login: &str, step: &str, at: Timestamp, said: &str| json!({"TASKID": task, "USERID": user, "USERNAME": login, "STEPNAME": step, "DATESAVED": stamp(at), "COMMENTS": said});
    let name = |at: usize| process.steps.get(at).map_or("", |step| step.name.as_str());
    let mut comments = Vec::new();
    if !process.comment.is_empty() {
        let (user, login) = (process.user, process.login.as_str());
        let said = line(
            0,
            user,
            login,
            "Initiator",
            process.started,
            &process.comment,
        );
        comments.push(said);
    }
    let event = |at: Timestamp, user: i64, login: &str, what: String| json!({"AUDIT_DATE": stamp(at), "USER_NAME": login, "USER_ID": user, "AUDIT_MSG": what});
    let begun = "Workflow initiated".to_owned();
    let mut audit = vec![event(process.started, process.user, &process.login, begun)];
    for act in &process.acts {
        let step = name(act.step);
        if !act.comment.is_empty() {
            let task = act.step + 1;
            comments.push(line(task, act.user, &act.login, step, act.at, &act.comment));
        }
        let what = format!("Step {step:?}: {}", act.action);
        audit.push(event(act.at, act.user, &act.login, what));
        if process.steps.get(act.step).is_some_and(|own| own.signature) {
            let what = format!("Step {step:?}: electronically signed by {}", act.login);
            audit.push(event(act.at, act.user, &act.login, what));
        }
    }
    if process.is_over() {
        let what = format!("Workflow {}", process.status);
        audit.push(event(process.since, process.user, &process.login, what));
    }
    let mut attributes = process.values.clone();
    let map = world.workflows.maps.get(&process.map);
    let labelled = map.into_iter().flat_map(|map| &map.form).map(|(id, label)| {
        json!({"id": id, "name": label, "value": process.values.get(&format!("WorkflowForm_{id}"))})
    });
    attributes.insert("fields".to_owned(), labelled.collect());
    Ok(call.results(json!({
        "Attributes": attributes, "auditInfo": audit, "comments": comments, "generalInfo": [{"work_workID": id}],
        "stepList": [], "ManagerList": [process.login],
    })))
}

/// `GET /v2/processes/{id}/subprocesses/{sub}/activities`, newest first.
pub(super) fn activities(world: &mut World, call: &Call, id: i64) -> Outcome {
    let process = world.workflows.there(id)?;
    let row = |action: &str, comment: &str, at: Timestamp, user: i64| json!({"action": action, "action_properties": {}, "comment": comment, "date": stamp(at), "user_id": user});
    let acts = process.acts.iter().rev();
    let begun = row("Initiate", &process.comment, process.started, process.user);
    let rows: Vec<_> = acts
        .map(|act| row(&act.action, &act.comment, act.at, act.user))
        .chain([begun])
        .collect();
    Ok(call.results(json!({"data": rows})))
}

/// `PUT /v2/processes/{id}/subprocesses/{sub}/tasks/{task}`: whoever has a step acts.
pub(super) fn act(world: &mut World, call: &Call, id: i64, task: i64) -> Outcome {
    let process = world.workflows.there(id)?;
    let now = i64::try_from(process.at)
        .unwrap_or(i64::MAX)
        .saturating_add(1);
    let login = world.members.name(call.user);
    if task != now || !process.assignee(process.at).eq_ignore_ascii_case(&login) {
        return Err(Refusal::bad("The task is not assigned to you"));
    }
    let signs = process
        .steps
        .get(process.at)
        .is_some_and(|own| own.signature);
    let proof = call.arguments.object("authentication_info");
    let password = proof.as_ref().and_then(|proof| proof.get("password"));
    if signs
        && call.arguments.text("action").as_deref() != Some("formUpdate")
        && !password
            .and_then(Value::as_str)
            .is_some_and(|password| world.members.signs(call.user, password))
    {
        return Err(Refusal::bad("Authentication failed: 662306821"));
    }
    let (action, custom) = (
        call.arguments.text("action"),
        call.arguments.text("custom_action"),
    );
    let comment = call.arguments.text("comment").unwrap_or_default();
    let (action, values) = match (action.as_deref(), custom.as_deref()) {
        (Some(_), Some(_)) | (None, None) => {
            return Err(Refusal::bad("The requested action is unknown"));
        }
        (Some("formUpdate"), None) => {
            let values = call.arguments.object("values").unwrap_or_default();
            if let Some(process) = world.workflows.processes.get_mut(&id) {
                process.values.extend(values);
            }
            return Ok(call.done());
        }
        (Some("SendOn"), None) => ("SendOn", serde_json::Map::new()),
        (None, Some(custom)) => (custom, serde_json::Map::new()),
        (Some(_), None) => return Err(Refusal::bad("The requested action is unknown")),
    };
    world
        .workflows
        .act(&world.members, id, (action, &comment), values, call.now)
        .map_err(Refusal::bad)?;
    Ok(call.done())
}

/// `PUT /v2/processes/{id}/status` and `DELETE /v2/processes/{id}`: managers steer a process.
pub(super) fn steer(world: &mut World, call: &Call, id: i64, word: &str) -> Outcome {
    let process = world.workflows.there(id)?;
    if process.user != call.user {
        return Err(Refusal::bad("You do not have permission to do this"));
    }
    let process = world.workflows.processes.get_mut(&id);
    let steered = process.map_or(Err(NO_STATUS), |process| process.steer(word));
    steered.map_err(Refusal::bad)?;
    Ok(call.done())
}
