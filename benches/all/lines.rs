//! Lines that are slow, ends that are busy, and limits that are set: what the tuner and the pace
//! make of them.

use std::time::Duration;

use longhaul::simulator::Simulator;
use longhaul::simulator::server::LinkSettings;
use longhaul::simulator::workload::Workload;
use longhaul::types::{GIB, MIB};
use serde_json::json;
use tokio::time::Instant;

use crate::Plan;
use crate::ours::{Longhaul, Told, figures};
use crate::report::Row;

/// Bytes per second of each connection of the slow line.
const PER_CONNECTION: u64 = 20 * MIB;
/// Its latency in milliseconds.
const LATENCY: u64 = 100;
/// Connections that longhaul may open to it.
const CONNECTIONS: u64 = 16;
/// Time to find the best number of streams.
const FOUND_WITHIN: Duration = Duration::from_secs(30);

/// Time in which the sockets between the source and the limiter are filled.
const FILLED_AFTER: Duration = Duration::from_secs(1);
/// Seconds that each limit is measured for.
const LIMITED: u64 = 20;

/// What passed by when, from the start of the process.
struct Seen {
    samples: Vec<(Duration, u64)>,
}

impl Seen {
    /// MiB per second between two times.
    fn rate(&self, from: Duration, to: Duration) -> f64 {
        let at = |time: Duration| {
            let after = self.samples.iter().find(|(at, _)| *at >= time);
            *after
                .or(self.samples.last())
                .unwrap_or(&(Duration::ZERO, 0))
        };
        let ((start, before), (end, after)) = (at(from), at(to));
        (after - before) as f64 / MIB as f64 / (end - start).as_secs_f64().max(0.001)
    }

    /// Most bytes in any second from `start` on.
    fn busiest_second(&self, start: Duration) -> f64 {
        let mut most = 0.0_f64;
        let mut last = 0;
        for (first, (from, before)) in self.samples.iter().enumerate() {
            if *from < start {
                continue;
            }
            last = last.max(first);
            while last + 1 < self.samples.len()
                && self.samples[last + 1].0 - *from <= Duration::from_secs(1)
            {
                last += 1;
            }
            most = most.max((self.samples[last].1 - before) as f64);
        }
        most
    }
}

/// Runs an archive while `count` is looked at ten times a second; killed after `most`.
async fn watch(
    longhaul: &Longhaul,
    simulator: &Simulator,
    most: Duration,
    count: impl Fn(&Simulator) -> u64,
) -> anyhow::Result<(Seen, Option<Vec<serde_json::Value>>)> {
    let mut child = longhaul.start(&["archive", &simulator.collection()])?;
    let start = Instant::now();
    let mut samples = Vec::new();
    while start.elapsed() < most && child.try_wait()?.is_none() {
        samples.push((start.elapsed(), count(simulator)));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    samples.push((start.elapsed(), count(simulator)));
    let lines = if child.try_wait()?.is_some() {
        let done = child.wait_with_output().await?;
        let text = String::from_utf8_lossy(&done.stdout);
        Some(
            text.lines()
                .filter_map(|line| serde_json::from_str(line).ok())
                .collect(),
        )
    } else {
        child.kill().await?;
        None
    };
    Ok((Seen { samples }, lines))
}

pub(crate) async fn slow(_plan: &Plan) -> anyhow::Result<Row> {
    let workload = Workload {
        part_size: 32 * MIB,
        bucket_link: LinkSettings {
            latency_ms: LATENCY,
            per_connection: Some(PER_CONNECTION),
            ..LinkSettings::default()
        },
        ..Workload::new(1, 64 * GIB)
    };
    let told = Told {
        memory: GIB,
        more: format!("\n[source]\nstreams = {CONNECTIONS}\n"),
        ..Told::default()
    };
    let simulator = Simulator::start(workload.options()).await?;
    let longhaul = Longhaul::new(&simulator, &workload, &told, |text| text)?;
    let most = FOUND_WITHIN + Duration::from_secs(20);
    let (seen, _) = watch(&longhaul, &simulator, most, Simulator::bytes_read).await?;
    simulator.stop().await;
    let best = (CONNECTIONS * PER_CONNECTION / MIB) as f64;
    let found = (0..u32::try_from(FOUND_WITHIN.as_secs())?)
        .map(|second| Duration::from_secs(1) * second)
        .find(|at| seen.rate(*at, *at + Duration::from_secs(3)) >= 0.9 * best);
    let after = seen.rate(FOUND_WITHIN, most);
    Ok(Row {
        what: format!(
            "A line of {LATENCY} ms and 20 MiB/s a connection, {CONNECTIONS} connections allowed, parts of 32 MiB"
        ),
        longhaul: format!("{after:.0} MiB/s after 30 s"),
        yardstick: format!("{best:.0} MiB/s"),
        target: "≥ 0.90 within 30 s".into(),
        came_to: match found {
            Some(at) => format!("{:.2}, reached after {} s", after / best, at.as_secs()),
            None => format!("{:.2}", after / best),
        },
        met: Some(after >= 0.9 * best && found.is_some()),
        runs: json!({"mib_per_second": after, "reached_after": found.map(|at| at.as_secs())}),
    })
}

/// An end whose uploads are slow each, strained above 6 at once, and refused above 12.
fn busy() -> Workload {
    Workload {
        part_size: 4 * MIB,
        content_server_link: LinkSettings {
            per_connection: Some(10 * MIB),
            strained_above: Some(6),
            strain_ms: 150,
            busy_above: Some(12),
            ..LinkSettings::default()
        },
        ..Workload::new(1, 64 * GIB)
    }
}

/// MiB per second with `uploads`, tuned or not, and the refusals of the whole time.
async fn goodput(uploads: u32, tune: bool, seconds: u64, from: u64) -> anyhow::Result<(f64, u64)> {
    let workload = busy();
    let told = Told {
        uploads,
        more: format!("tune = {tune}\n"),
        ..Told::default()
    };
    let simulator = Simulator::start(workload.options()).await?;
    let longhaul = Longhaul::new(&simulator, &workload, &told, |text| text)?;
    let most = Duration::from_secs(seconds);
    let (seen, _) = watch(&longhaul, &simulator, most, Simulator::bytes_written).await?;
    let records = simulator.history().records();
    let refused = records
        .iter()
        .filter(|record| record.status == Some(503))
        .count();
    simulator.stop().await;
    Ok((seen.rate(Duration::from_secs(from), most), refused as u64))
}

pub(crate) async fn throttled(plan: &Plan) -> anyhow::Result<Row> {
    let mut best = (0, 0.0);
    for uploads in [4, 5, 6, 7, 8, 10] {
        let (rate, _) = goodput(uploads, false, 12, 2).await?;
        plan.note(&format!("{uploads} uploads, fixed: {rate:.1} MiB/s"));
        if rate > best.1 {
            best = (uploads, rate);
        }
    }
    let (tuned, refused) = goodput(32, true, 90, 30).await?;
    let ratio = tuned / best.1;
    Ok(Row {
        what: "A server strained above 6 uploads and refusing above 12 (uploads = 32)".into(),
        longhaul: format!("{tuned:.1} MiB/s from 30 s to 90 s, {refused} refusals in 90 s"),
        yardstick: format!("{:.1} MiB/s, the best fixed number ({})", best.1, best.0),
        target: "≥ 0.90 of it, no storm of refusals".into(),
        came_to: format!("{ratio:.2} of it"),
        met: Some(ratio >= 0.9 && refused < 90),
        runs: json!({"best_fixed": best, "tuned": tuned, "refused": refused}),
    })
}

pub(crate) async fn limits(plan: &Plan) -> anyhow::Result<Row> {
    let (mut said, mut all, mut runs) = (Vec::new(), true, Vec::new());
    for mib in [50, 200, 800, 1536_u64] {
        let size = mib * MIB * LIMITED;
        let workload = Workload::new(1, size);
        let told = Told {
            more: format!("\n[pace]\nbandwidth = \"{mib} MiB/s\"\n"),
            ..Told::default()
        };
        let simulator = Simulator::start(workload.options()).await?;
        let longhaul = Longhaul::new(&simulator, &workload, &told, |text| text)?;
        let (seen, lines) = watch(
            &longhaul,
            &simulator,
            Duration::from_secs(120),
            Simulator::bytes_read,
        )
        .await?;
        simulator.stop().await;
        figures(&lines.unwrap_or_default(), size)?;
        // What the sockets between hold has passed the source and not the limiter: it is filled
        // once, at the start, and is no rate.
        let first = seen.samples.iter().find(|sample| sample.1 > 0);
        let filled = first.map_or(Duration::ZERO, |sample| sample.0) + FILLED_AFTER;
        let last = seen.samples.iter().find(|sample| sample.1 >= size);
        let last = last.map_or(filled, |sample| sample.0);
        let rate = seen.rate(filled, last);
        let second = seen.busiest_second(filled) / MIB as f64;
        let off = (rate / mib as f64 - 1.0) * 100.0;
        plan.note(&format!(
            "limit {mib} MiB/s: {rate:.1} MiB/s ({off:+.1} %), busiest second {second:.0} MiB"
        ));
        all &= off.abs() <= 2.0;
        said.push(format!(
            "{mib}: {rate:.0} ({off:+.1} %), busiest second {second:.0}"
        ));
        runs.push(json!({"limit": mib, "rate": rate, "busiest_second": second}));
    }
    Ok(Row {
        what: format!("Bandwidth limits in MiB/s, {LIMITED} s each"),
        longhaul: said.join("; "),
        yardstick: String::new(),
        target: "average within 2 %".into(),
        came_to: if all {
            "all within 2 %".into()
        } else {
            "not all".into()
        },
        met: Some(all),
        runs: json!(runs),
    })
}
