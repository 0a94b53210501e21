//! The parts by themselves: hash, form framing, ledger commit.

use longhaul::ledger::{Change, Entry, Ledger, NewRun};
use longhaul::transfer::HashState;
use longhaul::types::{GIB, MIB};
use serde_json::json;
use tokio::time::Instant;

use crate::Plan;
use crate::report::{Row, median};

/// Bytes hashed in one run.
const HASHED: u64 = GIB;
/// Ledger changes in one run, by one task and by 64.
const CHANGES: u64 = 2000;

fn hash(with_md5: bool) -> f64 {
    let chunk: Vec<u8> = (0..1 << 20).map(|at: u32| (at % 251) as u8).collect();
    let start = Instant::now();
    let mut state = HashState::new(with_md5);
    while state.position() < HASHED {
        state.update(&chunk);
    }
    std::hint::black_box(state.sha256());
    (HASHED / MIB) as f64 / start.elapsed().as_secs_f64()
}

async fn changes(tasks: u64) -> anyhow::Result<f64> {
    let folder = tempfile::tempdir()?;
    let ledger = Ledger::open(&folder.path().join("longhaul.db"), "bench")?;
    let run = ledger
        .start_run(NewRun {
            command: "bench".into(),
            arguments: "{}".into(),
        })
        .await?;
    let start = Instant::now();
    let all = (0..tasks).map(|_| {
        let ledger = ledger.clone();
        tokio::spawn(async move {
            for _ in 0..CHANGES / tasks.min(8) {
                let line = Entry {
                    run: Some(run),
                    item: None,
                    file: None,
                    event: "bench".into(),
                    data: "{}".into(),
                };
                ledger.apply(Change::new().journal(line)).await?;
            }
            anyhow::Ok(())
        })
    });
    for task in futures::future::join_all(all).await {
        task??;
    }
    let done = tasks * (CHANGES / tasks.min(8));
    Ok(done as f64 / start.elapsed().as_secs_f64())
}

pub(crate) async fn row(plan: &Plan) -> anyhow::Result<Row> {
    let (mut sha, mut both, mut one, mut many) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..plan.runs {
        sha.push(hash(false));
        both.push(hash(true));
        one.push(changes(1).await?);
        many.push(changes(64).await?);
    }
    let of = |runs: &[f64]| median(runs, |run| *run);
    Ok(Row {
        what: "Parts by themselves".into(),
        longhaul: format!(
            "SHA-256 {:.0} MiB/s, with MD5 on one thread {:.0} MiB/s; durable ledger changes {:.0}/s by one task, {:.0}/s by 64",
            of(&sha),
            of(&both),
            of(&one),
            of(&many)
        ),
        yardstick: String::new(),
        target: String::new(),
        came_to: String::new(),
        met: None,
        runs: json!({"sha256": sha, "sha256_md5": both, "changes_one": one, "changes_64": many}),
    })
}
