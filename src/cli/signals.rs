//! Ctrl-C and SIGTERM: the first drains, the second leaves, the third kills.

use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};

use super::output::Output;
use crate::transfer::Stop;

/// Takes the signal of a file that would grow beyond the process's limit, whose default would kill
/// without a word. The write then fails, and the ledger says why it cannot go on.
pub(crate) fn take_file_size() {
    #[cfg(target_os = "linux")]
    if let Err(error) = signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw())) {
        tracing::debug!(%error, "a file that is too large ends the process");
    }
}

/// Listens until the process ends; the returned handles are cancelled in turn.
pub(crate) fn listen(output: Arc<Output>) -> std::io::Result<Stop> {
    let stop = Stop::default();
    let (mut interrupt, mut terminate) = (
        signal(SignalKind::interrupt())?,
        signal(SignalKind::terminate())?,
    );
    let handles = stop.clone();
    tokio::spawn(async move {
        for count in 1u8.. {
            let code = tokio::select! {
                _ = interrupt.recv() => 130,
                _ = terminate.recv() => 143,
            };
            match count {
                1 => {
                    output.note("stopping (first signal): parts in hand are finished and recorded, then it ends with 75.\nOnce more leaves at once; `longhaul resume` goes on either way");
                    output.event("stopping", serde_json::json!({"how": "drain"}));
                    handles.drain.cancel();
                }
                2 => {
                    output.note("leaving (second signal): what is recorded stands, what is in flight moves again after `longhaul resume`.\nOnce more ends the process where it stands");
                    output.event("stopping", serde_json::json!({"how": "leave"}));
                    handles.drain.cancel();
                    handles.leave.cancel();
                }
                _ => {
                    output.note(
                        "ended (third signal): what is recorded stands; `longhaul resume` goes on",
                    );
                    output.event("stopping", serde_json::json!({"how": "end"}));
                    super::leave(code)
                }
            }
        }
    });
    Ok(stop)
}
