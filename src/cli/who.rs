//! Who gives a command, and why: what the journal keeps of it.

use super::exit::Ended;
use crate::control::From;

/// The user of this machine, by name as far as it is known.
fn name() -> Option<String> {
    ["SUDO_USER", "USER", "LOGNAME"]
        .iter()
        .find_map(|key| std::env::var(key).ok().filter(|name| !name.is_empty()))
}

/// The user, for the journal.
pub(crate) fn described() -> String {
    let uid = rustix::process::getuid().as_raw();
    match name() {
        Some(name) => format!("{name} (uid {uid})"),
        None => format!("uid {uid}"),
    }
}

/// Why, for the journal.
pub(crate) fn because(text: &str) -> anyhow::Result<&str> {
    let text = text.trim();
    if text.is_empty() {
        return Err(Ended::usage(
            "--because needs a reason: an audit asks for it",
        ));
    }
    Ok(text)
}

/// Who asks a process at work, by which command.
pub(crate) fn asks(command: &str) -> From {
    From {
        user: name().unwrap_or_default(),
        command: format!("longhaul {command}"),
        uid: rustix::process::geteuid().as_raw(),
        pid: i32::try_from(std::process::id()).unwrap_or(0),
    }
}
