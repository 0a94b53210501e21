//! Workflows: maps, drafts, and what became of a process.
//!
//! A process starts as a draft, which nobody sees, is filled, and is then initiated. The start's
//! reply may be lost, and nothing but its title tells one process of a map from another; so a
//! title carries a marker of ours, and [`ensure_process`](Client::ensure_process) looks for the
//! marker before it starts one and again after an unclear reply. There is no call-back: who waits
//! for an end asks again.
//!
//! | File | Holds |
//! |---|---|
//! | `words` | maps, drafts, processes, their steps, and what people did and said in them |
//! | `start` | drafts, and a process of each marker |
//! | `watch` | what became of a process |

mod start;
mod watch;
mod words;

use serde_json::Value;

pub use words::{
    DraftForm, NewProcess, Process, ProcessActivity, ProcessComment, ProcessEvent, ProcessInfo,
    ProcessStatus, ProcessStep, WorkflowMap,
};

use super::errors::{Effect, Error};
use super::wire;
use crate::types::Failure;

/// What the server answers for a process that was archived or deleted.
const NO_STATUS: &str = "could not access task status";

fn failed(doing: String) -> impl FnOnce(Error) -> Failure {
    move |error| error.into_failure(Effect::Repeatable).context(doing)
}

fn result_data(answer: &Value) -> Option<&Value> {
    match answer.get("results")? {
        rows @ Value::Array(_) => Some(rows),
        results => results.get("data"),
    }
}

/// The rows of a list; none where it is null or missing altogether.
fn rows<T: serde::de::DeserializeOwned>(list: Option<&Value>, what: &str) -> Result<Vec<T>, Error> {
    match list {
        Some(Value::Array(rows)) => rows.iter().map(|row| wire::parse(row, what)).collect(),
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(_) => Err(Error::Unreadable(format!("{what} is no list"))),
    }
}

/// An id of `results`, or of the answer itself.
fn number(answer: &Value, name: &str) -> Result<i64, Error> {
    let inner = wire::result(answer).unwrap_or(answer);
    inner
        .get(name)
        .and_then(wire::signed)
        .filter(|id| *id > 0)
        .ok_or_else(|| wire::missing(&format!("results.{name}")))
}
