//! The queue of records management: tasks that are taken in at once and done later.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::answer::{Answer, Outcome, Refusal};
use super::call::Call;
use super::permissions::Rights;
use super::records;
use super::world::World;

/// The one task there is.
const FINALISE: &str = "rm_FinalizeRecord";

struct Task {
    nodes: Vec<i64>,
    user: i64,
    /// When its turn comes, by the server's clock.
    due: Duration,
    done: bool,
}

/// All tasks by id.
#[derive(Default)]
pub(super) struct Queue(BTreeMap<i64, Task>);

fn shown(id: i64, done: bool) -> Value {
    json!({
        "errMsg": "", "http_status_code": if done { 200 } else { 202 },
        "location": format!("/api/v1/rmqueues/{id}"),
        "task_status": if done { "completed" } else { "pending" },
    })
}

/// Does what is due by `clock`.
pub(super) fn work(world: &mut World, call: &Call) {
    let due = |task: &Task| !task.done && task.due <= call.clock;
    let ripe: Vec<i64> = world
        .queue
        .0
        .iter()
        .filter(|(_, task)| due(task))
        .map(|(id, _)| *id)
        .collect();
    for id in ripe {
        let Some(task) = world.queue.0.get_mut(&id) else {
            continue;
        };
        task.done = true;
        let (nodes, user) = (task.nodes.clone(), task.user);
        for node in nodes {
            records::make_final(world, node);
            world.record_by(call, user, "finalise", node);
        }
    }
}

/// `POST /v1/rmqueues`.
pub(super) fn add(world: &mut World, call: &Call) -> Outcome {
    let name = call.arguments.text("task_name");
    let name = name.ok_or_else(|| Refusal::missing("task_name"))?;
    if name != FINALISE {
        return Err(Refusal::bad(format!("Task name '{name}' is not supported")));
    }
    let top = call.arguments.need_number("id")?;
    world
        .visible(call.user, top)
        .ok_or_else(|| Refusal::new(404, "The object does not exist"))?;
    if !world.rights(call.user, top).has(Rights::ATTRIBUTES) {
        let text = "Accessibility error. Not enough permissions.";
        return Err(Refusal::new(403, text));
    }
    let below = call.arguments.flag("apply_subitems")?.unwrap_or(false);
    let nodes: Vec<i64> = world
        .tree
        .reach(top, if below { 2 } else { 0 })
        .into_iter()
        .filter(|id| {
            world
                .tree
                .get(*id)
                .is_some_and(|node| node.record.is_some())
        })
        .collect();
    if nodes.is_empty() {
        return Err(Refusal::bad("Cannot retrieve node"));
    }
    let due = call.clock + world.config.queue_lag;
    let id = world.id();
    let (user, done) = (call.user, false);
    let task = Task {
        nodes,
        user,
        due,
        done,
    };
    world.queue.0.insert(id, task);
    work(world, call);
    status(world, id)
}

/// `GET /v1/rmqueues/{id}`.
pub(super) fn status(world: &World, id: i64) -> Outcome {
    let task = world.queue.0.get(&id);
    let task = task.ok_or_else(|| Refusal::new(404, "Error retrieving cache"))?;
    Ok(Answer::Json(shown(id, task.done)))
}

/// `DELETE /v1/rmqueues/{id}`: finalising is never called off.
pub(super) fn abort(world: &World, id: i64) -> Outcome {
    status(world, id)?;
    Err(Refusal::bad("Finalize operation can not be aborted."))
}
