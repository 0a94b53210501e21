//! Helpers: a `longhaul` in its own directory with a clean environment, and its JSON lines.

pub(crate) mod audit;
pub(crate) mod schema;
mod systems;

use std::path::{Path, PathBuf};

use assert_cmd::Command;
use serde_json::Value;

pub(crate) use systems::{Extra, Systems, items, of_type, replace};

/// An empty directory, in memory where the system has room there: ledgers sync every record, and a
/// process that is killed loses nothing that it wrote to either.
pub(crate) fn directory() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let room = rustix::fs::statvfs(memory).map_or(0, |found| found.f_bavail * found.f_frsize);
    match room > 2 << 30 {
        true => tempfile::tempdir_in(memory).or_else(|_| tempfile::tempdir()),
        false => tempfile::tempdir(),
    }
    .expect("a temporary directory")
}

const CALLS: &str = "LONGHAUL_ICONIK_CALLS_PER_SECOND";

/// A directory of its own that `longhaul` runs in.
pub(crate) struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    /// An empty directory.
    pub(crate) fn new() -> Self {
        Self { dir: directory() }
    }

    /// The directory.
    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Writes a file only its owner can read.
    pub(crate) fn write(&self, name: &str, content: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let path = self.path().join(name);
        std::fs::write(&path, content).expect("a file in a temporary directory");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))
            .expect("the mode of an own file");
        path
    }

    /// The program, in this directory. Nothing of the tester's own settings reaches it.
    pub(crate) fn longhaul(&self) -> Command {
        Command::from_std(self.bare())
    }

    /// The same as a plain command, for tests that hold its pipes.
    pub(crate) fn bare(&self) -> std::process::Command {
        // A long run can be given a copy, so that the next build does not change it half way.
        let program = std::env::var_os("LONGHAUL_UNDER_TEST");
        let program = program.unwrap_or_else(|| env!("CARGO_BIN_EXE_longhaul").into());
        let mut command = std::process::Command::new(program);
        command
            .env_clear()
            .env("HOME", self.path())
            // What a system refuses is refused again at once; nothing is learned by waiting.
            .env("LONGHAUL_NETWORK_RETRY_WAIT", "40 ms")
            // The simulated iconik sets no limit; `killable` is for those who must not be too quick.
            .env(CALLS, "1000");
        if let Some(path) = std::env::var_os("PATH") {
            command.env("PATH", path);
        }
        command.current_dir(self.path());
        command
    }

    /// The same, asking iconik as often as by default: still at work when the test kills it.
    pub(crate) fn killable(&self) -> std::process::Command {
        let mut command = self.bare();
        command.env_remove(CALLS);
        command
    }
}

/// Reads JSON lines and checks what holds for all of them: each is as the schema says, and the last, and only the last, is the exit.
#[track_caller]
pub(crate) fn json_lines(output: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(output).expect("JSON lines are UTF-8");
    let lines: Vec<Value> = text
        .lines()
        .map(|line| {
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in line {line:?}"))
        })
        .collect();
    for (i, line) in lines.iter().enumerate() {
        assert_eq!(line["schema"], "longhaul/1", "{line}");
        assert!(line["type"].is_string(), "{line}");
        assert_eq!(line["type"] == "exit", i + 1 == lines.len(), "{line}");
        if let Err(why) = schema::check_line(line) {
            panic!("{why}, in {line}");
        }
    }
    assert!(!lines.is_empty(), "at least the exit line");
    lines
}
