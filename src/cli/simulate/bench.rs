//! `bench`: masters through the whole pipeline on this machine, measured.
//!
//! The simulators run in this process, the transfer in a child whose CPU time and peak memory the
//! kernel counts apart. Both share the machine's cores, so the figures are below what two more
//! machines at the ends would give; they compare settings and releases on one machine, in one
//! run. Content that arrived is dropped after it was counted, unless it is to be read back.

use std::path::PathBuf;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::child::{Longhaul, of_type, unexpected};
use crate::cli::Context;
use crate::cli::exit::{Ended, Exit};
use crate::cli::output::{BOLD, DIM, styled};
use crate::simulator::Simulator;
use crate::simulator::server::LinkSettings;
use crate::simulator::workload::Workload;
use crate::transfer;
use crate::types::{ByteCount, GIB, MIB, display_bytes, parse_size};

/// Measure how fast masters go through on this machine.
///
/// Synthetic masters are filed from and in the built-in simulators, with a ledger on disk, in a
/// temporary folder. Example: `longhaul bench --size 8GiB --json > today.json`, later
/// `longhaul bench --size 8GiB --compare today.json`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Size of each master
    #[arg(long, value_name = "SIZE", default_value = "1 GiB", value_parser = size)]
    size: ByteCount,
    /// Masters, all planned at once
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    count: u16,
    /// Part size of the simulated server's upload sessions
    #[arg(long, value_name = "SIZE", default_value = "16 MiB", value_parser = size)]
    part_size: ByteCount,
    /// Send each master as one form POST instead
    #[arg(long)]
    single_post: bool,
    /// Let iconik quote an MD5, which is then computed too
    #[arg(long)]
    md5: bool,
    /// Read every version back
    #[arg(long)]
    read_back: bool,
    /// Uploads at once
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=64))]
    uploads: u16,
    /// Byte budget of the transfer
    #[arg(long, value_name = "SIZE", default_value = "256 MiB", value_parser = size)]
    memory: ByteCount,
    /// Latency of every request at both ends, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 0)]
    latency: u64,
    /// Bandwidth of each connection at both ends, per second
    #[arg(long, value_name = "SIZE", value_parser = size)]
    per_connection: Option<ByteCount>,
    /// Runs, of which the median is quoted
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=50))]
    runs: u8,
    /// JSON lines of an earlier `bench --json` to compare with
    #[arg(long, value_name = "FILE")]
    compare: Option<PathBuf>,
}

fn size(text: &str) -> Result<ByteCount, String> {
    parse_size(text).map_err(|error| error.to_string())
}

/// What one run came to.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Measured {
    seconds: f64,
    mib_per_second: f64,
    cpu_seconds_per_gib: f64,
    peak_memory: Option<ByteCount>,
    waited_seconds: serde_json::Map<String, Value>,
}

pub(crate) async fn run(context: &Context, arguments: Arguments) -> anyhow::Result<Exit> {
    let total = arguments
        .size
        .checked_mul(u64::from(arguments.count))
        .filter(|total| *total > 0)
        .ok_or_else(|| Ended::usage("--size and --count leave nothing to measure"))?;
    if arguments.part_size == 0 {
        return Err(Ended::usage("--part-size must be at least 1 byte"));
    }
    let before = arguments
        .compare
        .as_deref()
        .map(|path| {
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("reading {}", path.display()))
                .map_err(|error| Ended::usage(format!("{error:#}")))?;
            earlier(&text).ok_or_else(|| {
                Ended::usage(format!(
                    "{} holds no `bench` line; make one with `longhaul bench --json > {}`",
                    path.display(),
                    path.display()
                ))
            })
        })
        .transpose()?;
    let output = &context.output;
    let conditions = conditions(&arguments);
    output.say(styled(
        BOLD,
        format!(
            "{} x {} {}, {} cores",
            arguments.count,
            display_bytes(arguments.size),
            if arguments.single_post {
                "as single POSTs".to_owned()
            } else {
                format!("in parts of {}", display_bytes(arguments.part_size))
            },
            conditions["cores"]
        ),
    ));
    let mut runs = Vec::new();
    for number in 1..=arguments.runs {
        let measured = once(&arguments, total).await?;
        output.note(styled(
            DIM,
            format!(
                "  run {number}: {:.0} MiB/s, {:.2} s of CPU a GiB, {}",
                measured.mib_per_second,
                measured.cpu_seconds_per_gib,
                peak(measured.peak_memory)
            ),
        ));
        output.event("bench-run", json!({"number": number, "measured": measured}));
        runs.push(measured);
    }
    runs.sort_by(|a, b| a.mib_per_second.total_cmp(&b.mib_per_second));
    let (slowest, fastest) = (runs[0].mib_per_second, runs[runs.len() - 1].mib_per_second);
    let median = runs.swap_remove(runs.len() / 2);
    output.say(format!(
        "  {:.0} MiB/s, the median of {} ({slowest:.0} to {fastest:.0})",
        median.mib_per_second, arguments.runs
    ));
    output.say(format!(
        "  {:.2} s of CPU a GiB, {} (budget {})",
        median.cpu_seconds_per_gib,
        peak(median.peak_memory),
        display_bytes(arguments.memory)
    ));
    let limit = limit(&median);
    output.say(format!("  limited by {limit}: {}", advice(limit)));
    for (stage, share) in shares(&median) {
        output.note(styled(
            DIM,
            format!("    {stage:<12} {share:>5.1} tasks on average"),
        ));
    }
    output.event(
        "bench",
        json!({
            "conditions": conditions, "median": median, "slowest_mib_per_second": slowest,
            "fastest_mib_per_second": fastest, "limited_by": limit,
        }),
    );
    if let Some((conditions_then, then)) = before {
        compare(context, &median, &then, conditions == conditions_then);
    }
    Ok(Exit::Done)
}

/// What the figures depend on; two results with the same ones can be compared.
fn conditions(arguments: &Arguments) -> Value {
    json!({
        "size": arguments.size, "count": arguments.count, "part_size": arguments.part_size,
        "single_post": arguments.single_post, "md5": arguments.md5, "read_back": arguments.read_back,
        "uploads": arguments.uploads, "memory": arguments.memory, "latency_ms": arguments.latency,
        "per_connection": arguments.per_connection, "optimised": !cfg!(debug_assertions),
        "cores": std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
    })
}

/// Files everything once, with a fresh ledger in fresh systems.
async fn once(arguments: &Arguments, total: ByteCount) -> anyhow::Result<Measured> {
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

fn peak(memory: Option<ByteCount>) -> String {
    memory.map_or_else(
        || "peak memory unknown".to_owned(),
        |bytes| format!("{} of memory at most", display_bytes(bytes)),
    )
}

/// How many tasks were at each stage on average, waiting for it (or hashing), most first.
fn shares(measured: &Measured) -> Vec<(&str, f64)> {
    let mut shares: Vec<(&str, f64)> = measured
        .waited_seconds
        .iter()
        .map(|(stage, seconds)| {
            let share = seconds.as_f64().unwrap_or(0.0) / measured.seconds;
            (stage.as_str(), share)
        })
        .filter(|(_, share)| *share >= 0.05)
        .collect();
    shares.sort_by(|a, b| b.1.total_cmp(&a.1));
    shares
}

fn limit(measured: &Measured) -> &'static str {
    transfer::limiting_stage(|stage| {
        let seconds = measured.waited_seconds.get(stage).and_then(Value::as_f64);
        seconds.unwrap_or(0.0) / measured.seconds
    })
}

/// What would make it faster.
fn advice(limit: &str) -> &'static str {
    match limit {
        "the source" => "a faster line to the storage, or more `source.streams`",
        "the upload cap" => {
            "a higher `content_server.uploads` (`--uploads` here), if the server's people agree"
        }
        "the destination" => "a faster line to Content Server, or larger parts there",
        "the memory budget" => "a larger `transfer.memory` (`--memory` here)",
        "the bandwidth limit" => "a higher `pace.bandwidth`",
        "the commit" => "more `transfer.items`, so that others move meanwhile",
        "the ledger" => "a faster disk under the ledger, or more `transfer.items`",
        _ => "only faster cores; several masters at once use more of them",
    }
}

/// The conditions and the median of an earlier result.
fn earlier(text: &str) -> Option<(Value, Measured)> {
    let line = text
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .rfind(|line| line["type"] == "bench")?;
    let median = serde_json::from_value(line["median"].clone()).ok()?;
    Some((line["conditions"].clone(), median))
}

fn compare(context: &Context, now: &Measured, then: &Measured, alike: bool) {
    let percent = |now: f64, then: f64| (now / then - 1.0) * 100.0;
    let rate = percent(now.mib_per_second, then.mib_per_second);
    let cpu = percent(now.cpu_seconds_per_gib, then.cpu_seconds_per_gib);
    context.output.say(format!(
        "  against the earlier result: throughput {rate:+.1} %, CPU a GiB {cpu:+.1} %"
    ));
    if !alike {
        context.output.say(
            "  the two were measured under different conditions, so this says little about the program",
        );
    }
    context.output.event(
        "bench-compared",
        json!({"throughput_percent": rate, "cpu_percent": cpu, "same_conditions": alike}),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(waited: Value) -> Measured {
        Measured {
            seconds: 10.0,
            mib_per_second: 100.0,
            cpu_seconds_per_gib: 1.0,
            peak_memory: Some(5 * MIB),
            waited_seconds: waited.as_object().cloned().unwrap(),
        }
    }

    #[test]
    fn what_limits_the_rate_is_named_with_what_would_help() {
        let of = |waited| limit(&measured(waited));
        let source = of(json!({"source": 9.0, "hash": 3.0, "memory": 0.0}));
        assert!(advice(source).contains("source.streams"), "{source}");
        let hash = of(json!({"source": 1.0, "memory": 30.0, "hash": 9.5}));
        assert!(advice(hash).contains("cores"), "{hash}");
        assert!(advice(of(json!({"upload": 20.0}))).contains("--uploads"));
        let measured = measured(json!({"hash": 9.5, "source": 1.0, "pace": 0.1}));
        assert_eq!(shares(&measured), [("hash", 0.95), ("source", 0.1)]);
    }

    #[test]
    fn the_last_result_of_earlier_lines_is_read() {
        let line = |rate: f64| {
            let median = Measured {
                mib_per_second: rate,
                ..measured(json!({}))
            };
            json!({"type": "bench", "conditions": {"size": 1}, "median": median}).to_string()
        };
        let text = format!("{}\nrubbish\n{}\n", line(1.0), line(2.0));
        let (conditions, median) = earlier(&text).unwrap();
        assert_eq!(conditions["size"], 1);
        assert!((median.mib_per_second - 2.0).abs() < f64::EPSILON);
        assert!(earlier("{\"type\":\"exit\"}\n").is_none());
    }
}
