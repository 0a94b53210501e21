//! The control socket `<ledger>.sock`: the one way another shell steers a run at work, or asks how
//! it goes.
//!
//! Only the process that owns the ledger serves it, for as long as its engine runs; so whatever
//! lies there when a process begins is of a dead one and is replaced. The socket has mode 0600,
//! and both sides ask the kernel who is at the other end: nobody but the owner's own user and root
//! is answered. A request is one line of JSON, so is the answer; both are versioned and of bounded
//! length. Every change is in the journal, with who made it.
//!
//! | Request | Does |
//! |---|---|
//! | `facts` | says what only the process knows: rates, limits in force, what limits the rate, outages |
//! | `pause`, `resume` | nothing new is begun, until a time perhaps; it is again |
//! | `drain` | finishes what is in hand and ends; with `now`, leaves at once |
//! | `limit`, `unlimit` | bandwidth, calls, uploads, reads; until a time; back to the settings |
//! | `retry` | sends stopped items back to the start, with the parts they have |
//!
//! [`Live`] is what a process offers: it carries the requests out, and looks after the times at
//! which limits and pauses end. What has an end time is kept in the ledger and survives the process. [`Status`] is what people are shown: the ledger's facts, which anybody may
//! read, with those of the process when one is at work. So all views agree.

mod bounds;
mod client;
mod kept;
mod live;
mod meter;
mod pause;
mod protocol;
mod retry;
mod server;
mod status;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

pub use bounds::{Bounds, Inherited, inherited};
pub use client::Client;
pub use live::{Live, Means};
pub use protocol::{Ask, From, InForce, Knob, Limits, LiveFacts, Outage, Override, Retry, VERSION};
pub use retry::{Retried, retry, would_retry};
pub use server::{Server, serve};
pub use status::{Doing, Status};

/// Why a request was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody serves that ledger.
    #[error("no process is at work on {}", ledger.display())]
    Nobody {
        /// The ledger.
        ledger: PathBuf,
    },
    /// Something is there that cannot be spoken with.
    #[error("the control socket {}: {problem}", socket.display())]
    Socket {
        /// The socket.
        socket: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The process does not do it, and says why.
    #[error("{0}")]
    Refused(String),
    /// The ledger could not record or answer.
    #[error(transparent)]
    Ledger(#[from] crate::ledger::Error),
}

/// Where the socket of a ledger is.
pub fn socket_of(ledger: &Path) -> PathBuf {
    let mut path = ledger.as_os_str().to_owned();
    path.push(".sock");
    path.into()
}

/// A path that a socket's address can hold: at most 107 bytes. A longer one goes through an open
/// descriptor of its folder, which must live as long as the path is used.
fn addressable(path: &Path) -> std::io::Result<(PathBuf, Option<std::fs::File>)> {
    use std::os::fd::AsRawFd;
    const LONGEST: usize = 100;
    if path.as_os_str().len() <= LONGEST {
        return Ok((path.to_owned(), None));
    }
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let name = path
        .file_name()
        .ok_or(std::io::ErrorKind::InvalidFilename)?;
    let folder = std::fs::File::open(folder)?;
    let short = PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd())).join(name);
    Ok((short, Some(folder)))
}
