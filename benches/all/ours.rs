//! longhaul's side of a row: the program as a user runs it, against the simulated systems.

use std::os::unix::fs::OpenOptionsExt as _;
use std::process::Stdio;

use anyhow::Context as _;
use longhaul::simulator::Simulator;
use longhaul::simulator::workload::Workload;
use longhaul::types::{ByteCount, MIB};
use serde_json::Value;

use crate::report::Figures;

/// What longhaul is told beside the workload.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) memory: ByteCount,
    pub(crate) uploads: u32,
    pub(crate) items: usize,
    pub(crate) verify: &'static str,
    /// More lines of settings.
    pub(crate) more: String,
}

impl Default for Told {
    fn default() -> Self {
        Self {
            memory: 256 * MIB,
            uploads: 3,
            items: 8,
            verify: "sent",
            more: String::new(),
        }
    }
}

/// A folder with settings and a ledger in it.
pub(crate) struct Longhaul {
    pub(crate) folder: tempfile::TempDir,
}

impl Longhaul {
    /// Settings for a simulator; `edit` changes their text.
    pub(crate) fn new(
        simulator: &Simulator,
        workload: &Workload,
        told: &Told,
        edit: impl Fn(String) -> String,
    ) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let settings = format!(
            "{}uploads = {}\n\n[transfer]\nmemory = \"{} B\"\nitems = {}\nverify = \"{}\"\nsidecar = false\n{}",
            workload.settings_toml(simulator),
            told.uploads,
            told.memory,
            told.items,
            told.verify,
            told.more,
        );
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(folder.path().join("longhaul.toml"))?;
        std::io::Write::write_all(&mut file, edit(settings).as_bytes())?;
        Ok(Self { folder })
    }

    /// Starts a command.
    pub(crate) fn start(&self, arguments: &[&str]) -> anyhow::Result<tokio::process::Child> {
        tokio::process::Command::new(env!("CARGO_BIN_EXE_longhaul"))
            .args(arguments)
            .arg("--config")
            .arg(self.folder.path().join("longhaul.toml"))
            .arg("--ledger")
            .arg(self.folder.path().join("longhaul.db"))
            .args(["--json", "--quiet", "--log-level"])
            // The tuner's decisions: BENCH_LOG=longhaul=info cargo bench -- slow-line
            .arg(std::env::var("BENCH_LOG").unwrap_or_else(|_| "error".into()))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .spawn()
            .context("starting longhaul")
    }

    /// Runs a command to its end; its JSON lines.
    pub(crate) async fn run(&self, arguments: &[&str]) -> anyhow::Result<Vec<Value>> {
        let done = self.start(arguments)?.wait_with_output().await?;
        let lines: Vec<Value> = String::from_utf8_lossy(&done.stdout)
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect();
        anyhow::ensure!(
            done.status.success(),
            "longhaul {} ended with {}: {}",
            arguments.join(" "),
            done.status,
            lines.last().unwrap_or(&Value::Null)
        );
        Ok(lines)
    }

    /// Files the whole collection.
    pub(crate) async fn archive(
        &self,
        simulator: &Simulator,
        total: ByteCount,
    ) -> anyhow::Result<(Figures, Value)> {
        let lines = self.run(&["archive", &simulator.collection()]).await?;
        figures(&lines, total)
    }
}

/// The figures in a summary, and the summary.
pub(crate) fn figures(lines: &[Value], total: ByteCount) -> anyhow::Result<(Figures, Value)> {
    let summary = lines
        .iter()
        .find(|line| line["type"] == "summary")
        .context("longhaul reported nothing")?;
    anyhow::ensure!(
        summary["bytes_confirmed"].as_u64() == Some(total),
        "{} of {total} bytes were confirmed",
        summary["bytes_confirmed"]
    );
    let number = |key: &str| summary[key].as_f64().unwrap_or(f64::NAN);
    let peak = summary["peak_memory"].as_u64().unwrap_or(0);
    let figures = Figures::new(total, number("seconds"), number("cpu_seconds"), peak);
    Ok((figures, summary.clone()))
}
