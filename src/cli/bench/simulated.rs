//! Between the built-in simulators.
//!
//! They run in this process, the transfer in a child whose CPU time and peak memory the kernel
//! counts apart. Both share the machine's cores, so the figures are below what two more machines at
//! the ends would give; they compare settings and releases on one machine, in one run. Content
//! that arrived is dropped after it was counted, unless it is to be read back.

use anyhow::Context as _;

use super::{Arguments, Measured};
use crate::cli::exit::{Ended, Exit};
use crate::cli::simulate::child::{Longhaul, of_type, unexpected};
use crate::simulator::Simulator;
use crate::simulator::server::LinkSettings;
use crate::simulator::workload::Workload;
use crate::types::{GIB, MIB, display_bytes};

/// Refuses what leaves nothing to measure.
pub(super) fn check(arguments: &Arguments) -> anyhow::Result<()> {
    let total = arguments.size.checked_mul(u64::from(arguments.count));
    if total.is_none_or(|total| total == 0) {
        return Err(Ended::usage("--size and --count leave nothing to measure"));
    }
    if arguments.part_size == 0 {
        return Err(Ended::usage("--part-size must be at least 1 byte"));
    }
    Ok(())
}

/// What is measured.
pub(super) fn title(arguments: &Arguments) -> String {
    format!(
        "{} x {} {}",
        arguments.count,
        display_bytes(arguments.size),
        if arguments.single_post {
            "as single POSTs".to_owned()
        } else {
            format!("in parts of {}", display_bytes(arguments.part_size))
        }
    )
}

/// Files everything once, with a fresh ledger in fresh systems.
pub(super) async fn once(arguments: &Arguments) -> anyhow::Result<Measured> {
    let total = arguments.size * u64::from(arguments.count);
    let workload = workload(arguments);
    let simulator = Simulator::start(workload.options()).await?;
    let folder = tempfile::tempdir().context("making a folder for the ledger")?;
    let settings = format!(
        "{}uploads = {}\n\n[transfer]\nmemory = \"{} B\"\nverify = \"{}\"\nsidecar = false\n",
        workload.settings_toml(&simulator),
        arguments.uploads,
        arguments.memory,
        if arguments.read_back {
            "read-back"
        } else {
            "sent"
        },
    );
    let longhaul = Longhaul::within(folder.path(), &settings)?;
    let collection = simulator.collection();
    let (code, lines) = longhaul.finish(&["archive", &collection, "--json"]).await?;
    simulator.stop().await;
    if code != 0 {
        return Err(unexpected("archive", code, &lines));
    }
    let summary = of_type(&lines, "summary")
        .ok_or_else(|| unexpected("archive, which reported nothing,", code, &lines))?;
    let number = |key: &str| summary[key].as_f64().unwrap_or(0.0);
    let seconds = number("seconds").max(f64::EPSILON);
    if summary["bytes_confirmed"].as_u64() != Some(total) {
        return Err(Ended(
            Exit::Defect,
            format!(
                "{} of {total} bytes were confirmed",
                summary["bytes_confirmed"]
            ),
        )
        .into());
    }
    Ok(Measured {
        seconds,
        mib_per_second: total as f64 / MIB as f64 / seconds,
        cpu_seconds_per_gib: number("cpu_seconds") * GIB as f64 / total as f64,
        peak_memory: summary["peak_memory"].as_u64(),
        waited_seconds: summary["waited_seconds"]
            .as_object()
            .cloned()
            .unwrap_or_default(),
    })
}

fn workload(arguments: &Arguments) -> Workload {
    let link = LinkSettings {
        latency_ms: arguments.latency,
        per_connection: arguments.per_connection,
        ..LinkSettings::default()
    };
    Workload {
        part_size: arguments.part_size,
        single_post: arguments.single_post,
        md5: arguments.md5,
        readable: arguments.read_back,
        bucket_link: link.clone(),
        content_server_link: link,
        ..Workload::new(u64::from(arguments.count), arguments.size)
    }
}
