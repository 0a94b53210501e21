//! `bench`: masters through the whole pipeline, measured.
//!
//! Without assets the built-in simulators are the ends ([`simulated`]); with some, the configured
//! ones ([`real`]).

mod real;
#[cfg(feature = "simulator")]
mod simulated;

use std::path::PathBuf;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Context;
use super::exit::{Ended, Exit};
use super::output::{BOLD, DIM, styled};
use crate::transfer;
use crate::types::{ByteCount, display_bytes, parse_size};

/// Measure how fast masters go through
///
/// Without assets, synthetic masters are filed from and in the built-in simulators on this machine,
/// with a ledger on disk, in a temporary folder. With --asset or --collection, those masters are
/// filed from the configured iconik in a scratch folder of the configured Content Server, which is
/// deleted again; iconik is only read.
///
/// Examples:
///   longhaul bench --size 8GiB --json > today.json
///   longhaul bench --size 8GiB --compare today.json
///   longhaul bench --collection 8ae2c3d4-0000-11ee-8000-0242ac120002 --most 20GiB --yes
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Arguments {
    /// Size of each master
    #[arg(long, value_name = "SIZE", default_value = "1 GiB", value_parser = size, conflicts_with = "real")]
    size: ByteCount,
    /// Masters, all planned at once
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=10_000), conflicts_with = "real")]
    count: u16,
    /// Part size of the simulated server's upload sessions
    #[arg(long, value_name = "SIZE", default_value = "16 MiB", value_parser = size, conflicts_with = "real")]
    part_size: ByteCount,
    /// Send each master as one form POST instead
    #[arg(long, conflicts_with = "real")]
    single_post: bool,
    /// Let iconik quote an MD5, which is then computed too
    #[arg(long, conflicts_with = "real")]
    md5: bool,
    /// Read every version back
    #[arg(long)]
    read_back: bool,
    /// Uploads at once
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=64), conflicts_with = "real")]
    uploads: u16,
    /// Byte budget of the transfer
    #[arg(long, value_name = "SIZE", default_value = "256 MiB", value_parser = size, conflicts_with = "real")]
    memory: ByteCount,
    /// Latency of every request at both ends, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 0, conflicts_with = "real")]
    latency: u64,
    /// Bandwidth of each connection at both ends, per second
    #[arg(long, value_name = "SIZE", value_parser = size, conflicts_with = "real")]
    per_connection: Option<ByteCount>,
    /// Runs, of which the median is quoted
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=50))]
    runs: u8,
    /// JSON lines of an earlier `bench --json` to compare with
    #[arg(long, value_name = "FILE")]
    compare: Option<PathBuf>,
    #[command(flatten)]
    real: Real,
}

/// Masters of the configured iconik.
#[derive(Clone, Debug, clap::Args)]
#[group(id = "real", multiple = true)]
struct Real {
    /// Measure between the configured systems, with the masters of this asset (repeatable)
    #[arg(long, value_name = "ASSET")]
    asset: Vec<String>,
    /// Measure between the configured systems, with the masters of this collection
    #[arg(long, value_name = "COLLECTION", conflicts_with = "asset")]
    collection: Option<String>,
    /// Most bytes a run may move there
    #[arg(long, value_name = "SIZE", value_parser = size)]
    most: Option<ByteCount>,
    /// Agree to what is written there: a scratch folder in the staging folder, deleted again
    #[arg(long)]
    yes: bool,
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

/// Ends to measure between.
enum Ends {
    Real(Box<real::Bench>),
    #[cfg(feature = "simulator")]
    Simulated,
}

pub(crate) async fn run(context: &Context, arguments: Arguments) -> anyhow::Result<Exit> {
    let before = arguments.compare.as_deref().map(read_earlier).transpose()?;
    let output = &context.output;
    if arguments.real.asset.is_empty() && arguments.real.collection.is_none() {
        if arguments.real.most.is_some() || arguments.real.yes {
            return Err(Ended::usage(
                "--most and --yes belong to a measurement between the configured systems: name its masters with --asset or --collection",
            ));
        }
        #[cfg(feature = "simulator")]
        simulated::check(&arguments)?;
        #[cfg(feature = "simulator")]
        return measure(context, &arguments, before, Ends::Simulated).await;
        #[cfg(not(feature = "simulator"))]
        return Err(Ended::usage(
            "this longhaul was built without simulators: name masters of the configured iconik with --asset or --collection",
        ));
    }
    let bench = real::Bench::prepare(context, &arguments).await?;
    output.note(styled(DIM, bench.said()));
    measure(context, &arguments, before, Ends::Real(Box::new(bench))).await
}

/// Runs it as often as asked, and says what it came to.
async fn measure(
    context: &Context,
    arguments: &Arguments,
    before: Option<(Value, Measured)>,
    mut ends: Ends,
) -> anyhow::Result<Exit> {
    let output = &context.output;
    let conditions = match &ends {
        Ends::Real(bench) => bench.conditions(),
        #[cfg(feature = "simulator")]
        Ends::Simulated => conditions(arguments),
    };
    let title = match &ends {
        Ends::Real(bench) => bench.title(),
        #[cfg(feature = "simulator")]
        Ends::Simulated => simulated::title(arguments),
    };
    output.say(styled(
        BOLD,
        format!("{title}, {} cores", conditions["cores"]),
    ));
    let measured = async {
        let mut runs = Vec::new();
        for number in 1..=arguments.runs {
            let measured = match &mut ends {
                Ends::Real(bench) => Box::pin(bench.once(number)).await?,
                #[cfg(feature = "simulator")]
                Ends::Simulated => simulated::once(arguments).await?,
            };
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
        anyhow::Ok(runs)
    }
    .await;
    // Whatever became of the runs, nothing stays behind.
    match &ends {
        Ends::Real(bench) => bench.clean(context).await,
        #[cfg(feature = "simulator")]
        Ends::Simulated => {}
    }
    let mut runs = measured?;
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
        display_bytes(conditions["memory"].as_u64().unwrap_or(0))
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

/// The result in a file of an earlier bench.
fn read_earlier(path: &std::path::Path) -> anyhow::Result<(Value, Measured)> {
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
}

/// What the figures depend on; two results with the same ones can be compared.
#[cfg(feature = "simulator")]
fn conditions(arguments: &Arguments) -> Value {
    json!({
        "size": arguments.size, "count": arguments.count, "part_size": arguments.part_size,
        "single_post": arguments.single_post, "md5": arguments.md5, "read_back": arguments.read_back,
        "uploads": arguments.uploads, "memory": arguments.memory, "latency_ms": arguments.latency,
        "per_connection": arguments.per_connection, "optimised": !cfg!(debug_assertions),
        "cores": cores(),
    })
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
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
    use crate::types::MIB;

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
