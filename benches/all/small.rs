//! Many small files against a client that makes the same calls and nothing else.

use std::collections::BTreeMap;

use longhaul::simulator::Simulator;
use longhaul::simulator::workload::Workload;
use longhaul::types::KIB;
use serde_json::json;

use crate::Plan;
use crate::ours::{Longhaul, Told};
use crate::report::Row;

/// Files.
const COUNT: u64 = 10_000;
/// Bytes of each.
const SIZE: u64 = 64 * KIB;

/// Ids in paths are alike to whoever counts calls.
fn shape(path: &str) -> String {
    path.split('/')
        .map(|part| {
            let id = part.len() >= 32 || part.bytes().all(|byte| byte.is_ascii_digit());
            if id && !part.is_empty() { "{id}" } else { part }
        })
        .collect::<Vec<_>>()
        .join("/")
}

pub(crate) async fn row(plan: &Plan) -> anyhow::Result<Row> {
    let count = plan.scaled(COUNT);
    let workload = Workload {
        single_post: true,
        ..Workload::new(count, SIZE)
    };
    let told = Told {
        uploads: 8,
        items: 16,
        ..Told::default()
    };
    let simulator = Simulator::start(workload.options()).await?;
    let longhaul = Longhaul::new(&simulator, &workload, &told, |text| text)?;
    let (figures, _) = longhaul.archive(&simulator, count * SIZE).await?;
    let mut calls: BTreeMap<String, u64> = BTreeMap::new();
    for record in simulator.history().records() {
        let path = record.path.split('?').next().unwrap_or_default();
        *calls
            .entry(format!("{} {}", record.method, shape(path)))
            .or_default() += 1;
    }
    for (call, times) in &calls {
        plan.note(&format!(
            "{:>7.2} a file  {call}",
            *times as f64 / count as f64
        ));
    }
    plan.note(&format!(
        "{:.0} files/s, {:.1} ms of CPU a file",
        count as f64 / figures.seconds,
        figures.cpu_seconds * 1000.0 / count as f64
    ));
    simulator.stop().await;
    Ok(Row {
        what: format!("{count} files of 64 KiB"),
        longhaul: format!("{:.0} files/s", count as f64 / figures.seconds),
        yardstick: String::new(),
        target: String::new(),
        came_to: String::new(),
        met: None,
        runs: json!({"longhaul": figures}),
    })
}
