//! How fast longhaul is, beside a bare relay on the same ends in the same run.
//!
//! `cargo bench` measures every row and writes `target/bench/results.md` and `results.json`;
//! `cargo bench -- multipart tls` measures those two; `--quick` takes smaller masters and fewer
//! runs, for a first look. Each row's constants stand on top of its file. longhaul runs as a child
//! process as a user would run it, with a ledger on disk; so does the yardstick; the simulated
//! systems and the sink run in this process. Both sides therefore share the machine's cores with
//! the ends. Variants run in turn after one warm-up; a row quotes medians, and the ratio is the
//! median of the ratios of runs side by side.

#![allow(
    clippy::print_stdout,
    missing_docs,
    reason = "a program that prints its measurements"
)]

mod ends;
mod lines;
mod masters;
mod micro;
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
