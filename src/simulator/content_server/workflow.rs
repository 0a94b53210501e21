//! Workflows: maps, drafts, and processes that a test moves along.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::answer::{Outcome, Refusal};
use super::call::Call;
use super::world::World;

/// A draft on its way to a process.
struct Draft {
    map: i64,
    documents: Vec<i64>,
    values: Value,
}

/// A started process.
struct Process {
    map: i64,
    user: i64,
    started: String,
    documents: Vec<i64>,
    values: Value,
    status: String,
    comment: String,
}

impl Process {
    /// What people see: the title of its form, else its map's name.
    fn title(&self, workflows: &Workflows) -> Value {
        let named = self.values.get("WorkflowForm_Title");
        let named = named.and_then(Value::as_str).filter(|t| !t.is_empty());
        let map = workflows.maps.get(&self.map).map(String::as_str);
        json!(named.or(map))
    }
}

/// Maps, drafts and processes by id.
#[derive(Default)]
pub(super) struct Workflows {
    maps: BTreeMap<i64, String>,
    drafts: BTreeMap<i64, Draft>,
    processes: BTreeMap<i64, Process>,
}

impl Workflows {
    /// Adds a map that documents can be sent into.
    pub(super) fn add_map(&mut self, id: i64, name: &str) {
        self.maps.insert(id, name.to_owned());
    }

    /// Moves a process to a status; whether it exists.
    pub(super) fn set_status(&mut self, process: i64, status: &str) -> bool {
        let found = self.processes.get_mut(&process);
        found.is_some_and(|process| {
            status.clone_into(&mut process.status);
            true
        })
    }
}

/// `GET /v2/docworkflows`.
pub(super) fn maps(world: &mut World, call: &Call) -> Outcome {
    let rows: Vec<_> = world
        .workflows
        .maps
        .iter()
        .map(|(id, name)| json!({"DataID": id, "Name": name, "WorkflowType": "1_1"}))
        .collect();
    Ok(call.results(json!({"data": rows})))
}

fn draft(world: &mut World, call: &Call) -> Result<Draft, Refusal> {
    let map = call.arguments.need_number("workflow_id")?;
    let name = world.workflows.maps.get(&map);
    name.ok_or_else(|| Refusal::bad(format!("Could not Loadmap {map}")))?;
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
        values: json!({}),
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
    let title = world.workflows.maps.get(&draft.map);
    Ok(super::answer::Answer::Json(json!({
        "data": {"title": title, "instructions": "", "actions": [{"key": "Initiate", "label": "Start"}]},
        "forms": [{"data": draft.values, "options": {"fields": {}}, "schema": {"properties": {}, "type": "object"}}],
    })))
}

fn start(world: &mut World, call: &Call, draft: Draft) -> i64 {
    let comment = call.arguments.text("comment").unwrap_or_default();
    let id = world.id();
    let started = call.now.strftime("%Y-%m-%dT%H:%M:%S").to_string();
    let Draft {
        map,
        documents,
        values,
    } = draft;
    let detail = json!({"process": id, "map": map, "documents": documents});
    let status = "ontime".to_owned();
    let process = Process {
        map,
        user: call.user,
        started,
        documents,
        values,
        status,
        comment,
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
            draft.values = Value::Object(values);
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
        let login = world.members.name(process.user);
        let person = json!({"userId": process.user, "loginName": login, "firstName": "", "lastName": "",
            "emailAddress": "", "phone": ""});
        json!({"data": {"wfstatus": {
            "process_id": id, "subprocess_id": id, "task_id": 1, "wf_name": process.title(&world.workflows),
            "status_key": process.status, "step_name": "Review", "steps_count": 1, "date_initiated": process.started,
            "due_date": "", "assignee": [person], "assignee_count": 1, "current_assignee": login,
            "comments_on": true, "parallel_steps": [],
        }}})
    };
    let rows: Vec<_> = world
        .workflows
        .processes
        .iter()
        .filter(|(_, process)| process.user == call.user)
        .filter(|(_, process)| wanted.is_empty() || wanted.contains(&process.status))
        .map(of)
        .collect();
    Ok(call.results(rows.into()))
}

/// `GET /v2/workflows/status/processes/{id}`.
pub(super) fn status(world: &mut World, call: &Call, id: i64) -> Outcome {
    let process = world.workflows.processes.get(&id);
    let process = process.ok_or_else(|| Refusal::bad("Could not access task status"))?;
    let login = world.members.name(process.user);
    let person =
        json!({"userId": process.user, "loginName": login, "firstName": "", "lastName": ""});
    let step = json!({
        "process_id": id, "subprocess_id": id, "task_id": 1, "task_name": "Review", "task_due_date": "",
        "task_start_date": process.started, "task_status": process.status,
        "task_assignees": {"assignee": [person.clone()], "assigneeCount": 1, "currentAssignee": login},
    });
    let over = matches!(process.status.as_str(), "completed" | "stopped");
    let (completed, current) = if over {
        (vec![step], vec![])
    } else {
        (vec![], vec![step])
    };
    Ok(call.results(json!({
        "attachments": {"attachment_folder_id": 0, "ids": process.documents},
        "data_packages": [{"TYPE": 1, "SUBTYPE": 2, "USERDATA": process.values, "DESCRIPTION": ""}],
        "permissions": {"Archive": true, "ChangeAttr": true, "ChangeRoute": true, "Delete": true, "ManagerPerms": true,
            "SeeDetail": true, "Stop": true, "Suspend": true},
        "step_list": {"completed": completed, "current": current, "next": []},
        "wf_details": {"date_initiated": process.started, "due_date": "", "initiator": person, "status": process.status,
            "wf_name": process.title(&world.workflows), "work_workID": id},
    })))
}

/// `GET /v2/workflows/status/info`: what was said and done.
pub(super) fn info(world: &mut World, call: &Call) -> Outcome {
    let id = call.arguments.need_number("workid")?;
    let process = world.workflows.processes.get(&id);
    let process = process.ok_or_else(|| Refusal::bad("Could not access task status"))?;
    let login = world.members.name(process.user);
    let said = (!process.comment.is_empty()).then(|| {
        json!({"TASKID": 0, "USERID": process.user, "USERNAME": login, "STEPNAME": "Initiator",
            "DATESAVED": process.started, "COMMENTS": process.comment})
    });
    let mut audit = vec![
        json!({"AUDIT_DATE": process.started, "USER_NAME": login, "USER_ID": process.user,
        "AUDIT_MSG": "Workflow initiated"}),
    ];
    if matches!(process.status.as_str(), "completed" | "stopped") {
        audit.push(
            json!({"AUDIT_DATE": process.started, "USER_NAME": login, "USER_ID": process.user,
            "AUDIT_MSG": format!("Workflow {}", process.status)}),
        );
    }
    Ok(call.results(json!({
        "Attributes": process.values, "auditInfo": audit,
        "comments": said.into_iter().collect::<Vec<_>>(), "generalInfo": [{"work_workID": id}],
        "stepList": [], "ManagerList": [login],
    })))
}

/// `GET /v2/processes/{id}/subprocesses/{sub}/activities`.
pub(super) fn activities(world: &mut World, call: &Call, id: i64) -> Outcome {
    let process = world.workflows.processes.get(&id);
    let process = process.ok_or_else(|| Refusal::bad("Could not access task status"))?;
    let row = json!({"action": "Initiate", "action_properties": {}, "comment": process.comment,
        "date": process.started, "user_id": process.user});
    Ok(call.results(json!({"data": [row]})))
}
