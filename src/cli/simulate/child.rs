//! This program as a child process: what `demo` and `bench` run, kill and measure.

use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::Context as _;
use serde_json::Value;
use tokio::process::{Child, Command};

use crate::cli::exit::{Ended, Exit};

/// This program, run as a user would.
pub(crate) struct Longhaul {
    pub(crate) settings: PathBuf,
    pub(crate) ledger: PathBuf,
}

impl Longhaul {
    /// In `folder`, with settings of its own.
    pub(crate) fn within(folder: &Path, settings: &str) -> anyhow::Result<Self> {
        let longhaul = Self {
            settings: folder.join("longhaul.toml"),
            ledger: folder.join("longhaul.db"),
        };
        write_private(&longhaul.settings, settings)?;
        Ok(longhaul)
    }

    /// Starts a command; its lines come through a pipe.
    pub(crate) fn start(&self, arguments: &[&str]) -> anyhow::Result<Child> {
        let program = std::env::current_exe().context("finding this program")?;
        Command::new(program)
            .args(arguments)
            .arg("--config")
            .arg(&self.settings)
            .arg("--ledger")
            .arg(&self.ledger)
            .arg("--quiet")
            .args(["--log-level", "error"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("starting longhaul")
    }

    /// Runs a command to its end: its exit code and JSON lines.
    pub(crate) async fn finish(&self, arguments: &[&str]) -> anyhow::Result<(i32, Vec<Value>)> {
        let done = self.start(arguments)?.wait_with_output().await?;
        let lines = String::from_utf8_lossy(&done.stdout)
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect();
        Ok((done.status.code().unwrap_or(-1), lines))
    }
}

/// The first line of that type.
pub(crate) fn of_type<'a>(lines: &'a [Value], kind: &str) -> Option<&'a Value> {
    lines.iter().find(|line| line["type"] == kind)
}

/// A command of this program ended as it must not.
pub(crate) fn unexpected(command: &str, code: i32, lines: &[Value]) -> anyhow::Error {
    let message = of_type(lines, "exit")
        .and_then(|line| line["message"].as_str())
        .unwrap_or("no message");
    Ended(
        Exit::Defect,
        format!("`longhaul {command}` ended with {code}: {message}"),
    )
    .into()
}

fn write_private(path: &Path, text: &str) -> anyhow::Result<()> {
    use std::io::Write as _;
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(text.as_bytes())?;
    Ok(())
}
