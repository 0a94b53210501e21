//! How fast longhaul is, beside a bare relay on the same ends in the same run.
//!
//! `cargo bench` measures every row and writes `target/bench/results.md` and `results.json`;
//! `cargo bench -- multipart tls` measures those two; `--quick` takes smaller masters and fewer
//! runs, for a first look. Each row's constants stand on top of its file. longhaul runs as a child
//! process as a user would run it, with a ledger on disk; so does the yardstick; the simulated
//! systems run in this process. Both sides therefore share the machine's cores with the ends, and
//! both go to the same ends. Variants run in turn after one warm-up; a row quotes medians, and the
//! ratio is the median of the ratios of runs side by side: on a machine that is busy with other
//! things the rates fall, the ratios hold.
//!
//! # Looking closer
//!
//! - A flame graph of one master: `perf record -F 499 -g target/release/longhaul bench --size 8GiB
//!   --runs 1`, then `perf script` into any flame graph tool. The release profile keeps line tables.
//!   Two processes show: the one with a thread called `ledger` is the transfer, the other the ends.
//! - The tuner's decisions with their numbers: `BENCH_LOG=longhaul=info cargo bench -- slow-line`.
//! - Where a run waited, by stage: `longhaul bench`, or `waited_seconds` of any run's summary.
//!
//! What dominates today, in the transfer's process. One large master: SHA-256 45 to 50 % (it is the
//! limit), sending 20 %, receiving 7 %, copying each chunk out of the network's buffers 8 %, the
//! part digests 3 %, the ledger 2 %. Small files: the ledger a quarter (the frames of its log and
//! their sync), waking threads a tenth, sending and receiving 10 %, the rest JSON and HTTP in small
//! pieces.
//!
//! # What was tried and kept, and what was not
//!
//! Kept: buffers of chunks used again (a tenth of the CPU of a large master was page faults), rows of
//! parts written beside the hash instead of between its chunks, MD5 on its own thread, hashing on the
//! thread that has the bytes once there are as many files as cores, one ledger record less before a
//! small file's POST, no compilation of a statement for every other LIMIT. Not kept: reading further
//! ahead than the streams need on a fast line, because what waits is out of the cache when it is
//! hashed; with many streams, which must be slow ones, twice as many parts are kept ahead.

#![allow(
    clippy::print_stdout,
    missing_docs,
    reason = "a program that prints its measurements"
)]

mod ends;
mod lines;
mod masters;
mod micro;
mod others;
mod ours;
mod report;
mod scale;
mod small;
mod yardstick;

use std::path::Path;

use futures::future::LocalBoxFuture;

/// Runs of each variant after the warm-up.
const RUNS: usize = 5;

/// What the command line asks for.
pub(crate) struct Plan {
    rows: Vec<String>,
    pub(crate) runs: usize,
    pub(crate) quick: bool,
}

impl Plan {
    fn of(arguments: impl Iterator<Item = String>) -> Self {
        let mut plan = Self {
            rows: Vec::new(),
            runs: RUNS,
            quick: false,
        };
        for argument in arguments {
            match argument.as_str() {
                // Cargo says that of every bench.
                "--bench" => {}
                "--quick" => (plan.quick, plan.runs) = (true, 3),
                name => plan.rows.push(name.to_owned()),
            }
        }
        plan
    }

    fn wants(&self, name: &str) -> bool {
        self.rows.is_empty() || self.rows.iter().any(|row| row == name)
    }

    /// A size for this plan.
    pub(crate) fn scaled(&self, size: u64) -> u64 {
        if self.quick { size / 4 } else { size }
    }

    /// Tells how it goes.
    pub(crate) fn note(&self, text: &str) {
        eprintln!("  {text}");
    }
}

type Measure = for<'a> fn(&'a Plan) -> LocalBoxFuture<'a, anyhow::Result<report::Row>>;

/// Every row, in the order of the table.
const ROWS: &[(&str, Measure)] = &[
    ("multipart", |plan| Box::pin(masters::multipart(plan))),
    ("single-post", |plan| Box::pin(masters::single_post(plan))),
    ("md5", |plan| Box::pin(masters::with_md5(plan))),
    ("eight", |plan| Box::pin(masters::eight(plan))),
    ("tls", |plan| Box::pin(masters::tls(plan))),
    ("small", |plan| Box::pin(small::row(plan))),
    ("slow-line", |plan| Box::pin(lines::slow(plan))),
    ("throttled", |plan| Box::pin(lines::throttled(plan))),
    ("limits", |plan| Box::pin(lines::limits(plan))),
    ("memory", |plan| Box::pin(scale::memory(plan))),
    ("items", |plan| Box::pin(scale::items(plan))),
    ("calls", |plan| Box::pin(scale::calls(plan))),
    ("resume", |plan| Box::pin(scale::resume(plan))),
    ("verify", |plan| Box::pin(scale::verify(plan))),
    ("others", |plan| Box::pin(others::row(plan))),
    ("micro", |plan| Box::pin(micro::row(plan))),
];

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    if std::env::args().nth(1).as_deref() == Some("yardstick") {
        let job = arguments.nth(1).unwrap_or_default();
        return yardstick::child(&job).map_err(|error| anyhow::anyhow!(error));
    }
    if std::env::args().nth(1).as_deref() == Some("yardstick-small") {
        return small::child(&arguments.nth(1).unwrap_or_default());
    }
    let plan = Plan::of(arguments);
    let unknown = plan
        .rows
        .iter()
        .find(|row| !ROWS.iter().any(|(name, _)| name == row));
    if let Some(unknown) = unknown {
        let names: Vec<&str> = ROWS.iter().map(|(name, _)| *name).collect();
        anyhow::bail!(
            "there is no row {unknown:?}; there are {}",
            names.join(", ")
        );
    }
    let machine = report::machine();
    println!("{}", report::machine_line(&machine));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let mut rows = Vec::new();
    for (name, measure) in ROWS.iter().filter(|(name, _)| plan.wants(name)) {
        eprintln!("{name}");
        rows.push(runtime.block_on(measure(&plan))?);
        report::write(Path::new("target/bench"), &machine, &rows)?;
    }
    println!("{}", report::markdown(&machine, &rows));
    Ok(())
}
