//! Memory whatever the size and number, a million items, a resume, a read-back.

use std::time::Duration;

use longhaul::ledger::{Ledger, NewFile, NewItem, NewRun};
use longhaul::simulator::Simulator;
use longhaul::simulator::workload::Workload;
use longhaul::transfer::HashState;
use longhaul::types::{GIB, KIB, MIB, display_bytes};
use serde_json::json;
use tokio::time::Instant;

use crate::Plan;
use crate::ours::{Longhaul, Told};
use crate::report::Row;

/// Items of the large ledger.
const ITEMS: u64 = 1_000_000;
/// Items added at once.
const PAGE: u64 = 1000;

pub(crate) async fn memory(plan: &Plan) -> anyhow::Result<Row> {
    let told = Told::default();
    let budget = told.memory;
    let largest = if plan.quick { 8 * GIB } else { 64 * GIB };
    let (mut said, mut peak) = (Vec::new(), 0.0_f64);
    for (count, size) in [
        (1, GIB),
        (1, 8 * GIB),
        (1, largest),
        (8, GIB),
        (32, GIB / 4),
    ] {
        let workload = Workload::new(count, size);
        let told = Told {
            items: 32,
            ..told.clone()
        };
        let simulator = Simulator::start(workload.options()).await?;
        let longhaul = Longhaul::new(&simulator, &workload, &told, |text| text)?;
        let (figures, _) = longhaul.archive(&simulator, count * size).await?;
        simulator.stop().await;
        plan.note(&format!(
            "{count} x {}: {:.0} MiB",
            display_bytes(size),
            figures.peak_mib
        ));
        said.push(format!(
            "{count} x {}: {:.0}",
            display_bytes(size),
            figures.peak_mib
        ));
        peak = peak.max(figures.peak_mib);
    }
    let allowed = (96 * MIB + budget) / MIB;
    Ok(Row {
        what: format!("Peak memory in MiB, budget {}", display_bytes(budget)),
        longhaul: said.join("; "),
        yardstick: String::new(),
        target: format!("≤ {allowed} MiB for all"),
        came_to: format!("{peak:.0} MiB at most"),
        met: Some(peak <= allowed as f64),
        runs: json!(said),
    })
}

fn item(number: u64) -> NewItem {
    let marker = format!("{number:026}");
    NewItem {
        key: format!("asset-{number:08}/1"),
        kind: "document".into(),
        title: format!("Master {number:08}"),
        parent: 1,
        name: format!("master-{number:08}.mxf"),
        marker: marker.clone(),
        fingerprint: format!("{number:064}"),
        source: "{}".into(),
        files: vec![NewFile {
            role: "master".into(),
            marker,
            name: format!("master-{number:08}.mxf"),
            size: GIB,
            mime: "application/mxf".into(),
            locator: format!("{{\"asset\":\"{number:036}\"}}"),
            ..NewFile::default()
        }],
        ..NewItem::default()
    }
}

pub(crate) async fn items(plan: &Plan) -> anyhow::Result<Row> {
    let workload = Workload::new(1, MIB);
    let simulator = Simulator::start(workload.options()).await?;
    let longhaul = Longhaul::new(&simulator, &workload, &Told::default(), |text| text)?;
    let path = longhaul.folder.path().join("longhaul.db");
    let items = plan.scaled(ITEMS);
    let ledger = Ledger::open(&path, "bench")?;
    let new = NewRun {
        command: "archive".into(),
        arguments: "{}".into(),
    };
    let run = ledger.start_run(new).await?;
    let start = Instant::now();
    let mut spent_making = Duration::ZERO;
    for page in 0..items / PAGE {
        let making = Instant::now();
        let made = (page * PAGE..(page + 1) * PAGE).map(item).collect();
        spent_making += making.elapsed();
        ledger.add_items(run, made).await?;
    }
    let rate = items as f64 / (start.elapsed() - spent_making).as_secs_f64();
    plan.note(&format!("{rate:.0} items/s planned"));
    ledger.end_run(run, "stopped", false).await?;
    drop(ledger);
    let start = Instant::now();
    longhaul.run(&["status"]).await?;
    let status = start.elapsed();
    plan.note(&format!("status in {} ms", status.as_millis()));
    let start = Instant::now();
    drop(Ledger::open(&path, "bench")?);
    let open = start.elapsed();
    plan.note(&format!("opened in {} ms", open.as_millis()));
    simulator.stop().await;
    Ok(Row {
        what: format!("{items} planned items"),
        longhaul: format!(
            "{rate:.0} items/s planned, `status` {} ms, ledger opened in {:.1} s",
            status.as_millis(),
            open.as_secs_f64()
        ),
        yardstick: String::new(),
        target: "≥ 20,000 items/s; < 100 ms; < 5 s".into(),
        came_to: String::new(),
        met: Some(rate >= 20_000.0 && status.as_millis() < 100 && open.as_secs() < 5),
        runs: json!({"items_per_second": rate, "status_ms": status.as_secs_f64() * 1000.0, "open_ms": open.as_secs_f64() * 1000.0}),
    })
}

pub(crate) async fn calls(plan: &Plan) -> anyhow::Result<Row> {
    const LIMIT: u32 = 45;
    let mut said = Vec::new();
    let mut used = 0.0;
    for limit in [Some(LIMIT), None] {
        let assets = if limit.is_some() { 400 } else { 2000 };
        let workload = Workload {
            single_post: true,
            calls_per_second: limit,
            ..Workload::new(assets, 4 * KIB)
        };
        let told = Told {
            uploads: 8,
            items: 16,
            ..Told::default()
        };
        let simulator = Simulator::start(workload.options()).await?;
        let longhaul = Longhaul::new(&simulator, &workload, &told, |text| text)?;
        let (figures, _) = longhaul.archive(&simulator, assets * 4 * KIB).await?;
        let records = simulator
            .history()
            .of(longhaul::simulator::faults::System::Iconik);
        let (first, last) = (records.first(), records.last());
        let seconds = (last.map_or(0, |r| r.at_ms) - first.map_or(0, |r| r.at_ms)) as f64 / 1000.0;
        let calls = records.len() as f64;
        simulator.stop().await;
        let per_asset = calls / assets as f64;
        match limit {
            Some(limit) => {
                used = calls / seconds / f64::from(limit);
                said.push(format!(
                    "{:.0} % of {limit} calls/s used, {per_asset:.1} calls an asset",
                    used * 100.0
                ));
            }
            None => said.push(format!(
                "without limit {:.0} assets/s",
                assets as f64 / figures.seconds
            )),
        }
        plan.note(said.last().map_or("", String::as_str));
    }
    Ok(Row {
        what: "iconik's call limit, assets of one 4 KiB file".into(),
        longhaul: said.join("; "),
        yardstick: String::new(),
        target: "≥ 95 % of the calls allowed".into(),
        came_to: format!("{:.0} %", used * 100.0),
        met: Some(used >= 0.95),
        runs: json!(said),
    })
}

pub(crate) async fn resume(plan: &Plan) -> anyhow::Result<Row> {
    let size = plan.scaled(8 * GIB);
    let part = 16 * MIB;
    let workload = Workload::new(1, size);
    let simulator = Simulator::start(workload.options()).await?;
    let longhaul = Longhaul::new(&simulator, &workload, &Told::default(), |text| text)?;
    let mut child = longhaul.start(&["archive", &simulator.collection()])?;
    while simulator.bytes_written() < size / 2 {
        anyhow::ensure!(
            child.try_wait()?.is_none(),
            "it ended before it could be killed"
        );
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    child.kill().await?;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let before = simulator.bytes_written();
    let start = Instant::now();
    let mut child = longhaul.start(&["resume"])?;
    while simulator.bytes_written() <= before + MIB {
        anyhow::ensure!(
            child.try_wait()?.is_none(),
            "the resume ended without sending"
        );
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let first = start.elapsed();
    let ended = child.wait().await?;
    anyhow::ensure!(ended.success(), "the resume ended with {ended}");
    let twice = simulator.bytes_written().saturating_sub(size);
    simulator.stop().await;
    let in_flight = 5 * part;
    Ok(Row {
        what: format!("Resume after a kill at 50 % of {}", display_bytes(size)),
        longhaul: format!(
            "first part on the wire after {} ms, {} moved twice",
            first.as_millis(),
            display_bytes(twice)
        ),
        yardstick: String::new(),
        target: format!(
            "< 1 s, at most the parts in flight ({})",
            display_bytes(in_flight)
        ),
        came_to: String::new(),
        met: Some(first < Duration::from_secs(1) && twice <= in_flight),
        runs: json!({"first_ms": first.as_secs_f64() * 1000.0, "twice": twice}),
    })
}

pub(crate) async fn verify(plan: &Plan) -> anyhow::Result<Row> {
    let size = plan.scaled(8 * GIB);
    let workload = Workload {
        readable: true,
        ..Workload::new(1, size)
    };
    let simulator = Simulator::start(workload.options()).await?;
    let longhaul = Longhaul::new(&simulator, &workload, &Told::default(), |text| text)?;
    longhaul.archive(&simulator, size).await?;
    let start = Instant::now();
    longhaul.run(&["verify"]).await?;
    let read = size as f64 / MIB as f64 / start.elapsed().as_secs_f64();
    simulator.stop().await;
    let chunk = vec![7; 1 << 20];
    let start = Instant::now();
    let mut state = HashState::new(false);
    while state.position() < 2 * GIB {
        state.update(&chunk);
    }
    std::hint::black_box(state.sha256());
    let hash = 2048.0 / start.elapsed().as_secs_f64();
    Ok(Row {
        what: format!("Read-back of {}", display_bytes(size)),
        longhaul: format!("{read:.0} MiB/s"),
        yardstick: format!("SHA-256 alone {hash:.0} MiB/s"),
        target: "the hash's speed".into(),
        came_to: format!("{:.2} of it", read / hash),
        met: Some(read >= 0.9 * hash),
        runs: json!({"read": read, "hash": hash}),
    })
}
