//! What a row came to, and the tables.

use std::fmt::Write as _;
use std::path::Path;

use longhaul::telemetry::Resources;
use longhaul::types::{GIB, MIB};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// One run of one side.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Figures {
    pub(crate) seconds: f64,
    pub(crate) mib_per_second: f64,
    pub(crate) cpu_seconds: f64,
    pub(crate) cpu_seconds_per_gib: f64,
    pub(crate) peak_mib: f64,
}

impl Figures {
    /// Of `total` bytes in `seconds`.
    pub(crate) fn of(total: u64, seconds: f64, used: Resources) -> Self {
        Self::new(
            total,
            seconds,
            used.cpu.as_secs_f64(),
            used.peak_memory.unwrap_or(0),
        )
    }

    pub(crate) fn new(total: u64, seconds: f64, cpu_seconds: f64, peak: u64) -> Self {
        Self {
            seconds,
            mib_per_second: total as f64 / MIB as f64 / seconds,
            cpu_seconds,
            cpu_seconds_per_gib: cpu_seconds * GIB as f64 / total as f64,
            peak_mib: peak as f64 / MIB as f64,
        }
    }
}

/// The median of what `of` says of each run.
pub(crate) fn median<T>(runs: &[T], of: impl Fn(&T) -> f64) -> f64 {
    let mut values: Vec<f64> = runs.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        len if len % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

/// A line of the table.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) what: String,
    pub(crate) longhaul: String,
    pub(crate) yardstick: String,
    pub(crate) target: String,
    pub(crate) came_to: String,
    pub(crate) met: Option<bool>,
    /// Every run, for whoever wants to look closer.
    pub(crate) runs: Value,
}

/// Where and with what it was measured.
pub(crate) fn machine() -> Value {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let model = read("/proc/cpuinfo")
        .lines()
        .find_map(|line| {
            line.strip_prefix("model name")?
                .split_once(": ")
                .map(|(_, name)| name.to_owned())
        })
        .unwrap_or_default();
    let memory = read("/proc/meminfo")
        .lines()
        .find_map(|line| {
            line.strip_prefix("MemTotal:")?
                .trim()
                .strip_suffix(" kB")?
                .parse::<u64>()
                .ok()
        })
        .unwrap_or(0);
    json!({
        "cpu": model,
        "cores": std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        "memory_gib": memory.div_ceil(1 << 20),
        "kernel": read("/proc/sys/kernel/osrelease").trim(),
        "load_before": read("/proc/loadavg").split(' ').next().and_then(|load| load.parse::<f64>().ok()),
        "congestion_control": "cubic",
        "date": jiff::Zoned::now().date().to_string(),
        "longhaul": env!("CARGO_PKG_VERSION"),
    })
}

/// The machine in one line.
pub(crate) fn machine_line(machine: &Value) -> String {
    format!(
        "{}, {} cores, {} GiB, Linux {}, loopback with {}, load before {}, {}",
        machine["cpu"].as_str().unwrap_or_default(),
        machine["cores"],
        machine["memory_gib"],
        machine["kernel"].as_str().unwrap_or_default(),
        machine["congestion_control"].as_str().unwrap_or_default(),
        machine["load_before"],
        machine["date"].as_str().unwrap_or_default(),
    )
}

/// The table as Markdown.
pub(crate) fn markdown(machine: &Value, rows: &[Row]) -> String {
    let mut text = format!("{}\n\n", machine_line(machine));
    text.push_str("| What | longhaul | yardstick | target | came to |\n|---|---|---|---|---|\n");
    for row in rows {
        let verdict = match row.met {
            Some(true) => "✓ ",
            Some(false) => "✗ ",
            None => "",
        };
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {verdict}{} |",
            row.what, row.longhaul, row.yardstick, row.target, row.came_to
        );
    }
    text
}

/// Writes both tables into `folder`.
pub(crate) fn write(folder: &Path, machine: &Value, rows: &[Row]) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder)?;
    std::fs::write(folder.join("results.md"), markdown(machine, rows))?;
    let all = json!({"machine": machine, "rows": rows});
    std::fs::write(
        folder.join("results.json"),
        serde_json::to_string_pretty(&all)?,
    )?;
    Ok(())
}
