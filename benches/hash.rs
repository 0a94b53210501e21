//! How fast this machine hashes: SHA-256 alone, with MD5 beside it, and through the engine's
//! hashing stage. One master is bound by this number; everything else must hide behind it.
//!
//! Run with `cargo bench --bench hash`. Variants run in turn; the median of the runs counts.

#![allow(
    clippy::print_stdout,
    missing_docs,
    reason = "a program that prints its measurements"
)]

use std::time::Duration;

use longhaul::transfer::HashState;
use longhaul::types::MIB;
use tokio::time::Instant;

const TOTAL: u64 = 1024 * MIB;
const CHUNK: usize = 1 << 20;
const RUNS: usize = 5;

fn hash(with_md5: bool, chunk: &[u8]) -> Duration {
    let start = Instant::now();
    let mut state = HashState::new(with_md5);
    while state.position() < TOTAL {
        state.update(chunk);
    }
    std::hint::black_box(state.sha256());
    start.elapsed()
}

fn main() {
    let chunk: Vec<u8> = (0..CHUNK)
        .map(|at| u8::try_from(at % 251).unwrap_or(0))
        .collect();
    let variants: [(&str, bool); 2] = [("sha256", false), ("sha256 + md5", true)];
    let mut times = vec![Vec::new(); variants.len()];
    hash(false, &chunk);
    for _ in 0..RUNS {
        for (times, (_, with_md5)) in times.iter_mut().zip(variants) {
            times.push(hash(with_md5, &chunk));
        }
    }
    println!(
        "{} MiB in chunks of {CHUNK} bytes, median of {RUNS} runs",
        TOTAL / MIB
    );
    for (times, (name, _)) in times.iter_mut().zip(variants) {
        times.sort();
        let median = times[RUNS / 2].as_secs_f64();
        println!(
            "{name:>14}  {:>7.0} MiB/s",
            TOTAL as f64 / MIB as f64 / median
        );
    }
}
