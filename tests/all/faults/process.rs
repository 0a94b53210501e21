//! Faults of this process and its machine: signals, two owners, a ledger from another time, few
//! descriptors, full disks and little memory.

use std::process::{Child, Stdio};
use std::time::Duration;

use longhaul::simulator::Options;
use longhaul::simulator::server::LinkSettings;
use longhaul::types::MIB;
use rustix::process::{Pid, Signal, kill_process};

use super::bench::{Bench, PARTS, POST, SMALL, campaign, name};
use crate::support::{Extra, Systems, items, of_type};

fn signal(child: &Child, signal: Signal) {
    let pid = i32::try_from(child.id()).expect("a process id");
    kill_process(Pid::from_raw(pid).expect("a process id"), signal).expect("a signal");
}

/// A master that takes some seconds at the rates used here.
const LONG: (u64, u64) = (1, 12 * MIB);

#[test]
fn f43_a_lost_or_older_ledger_doubles_nothing() {
    let mut options = Options::with(campaign(&[PARTS, SMALL]));
    options.content_server.request_limit = Duration::from_secs(1);
    let mut bench = Bench::with(options);
    bench.files(&[PARTS, SMALL]);
    let ledger = bench.systems.place.path().join("longhaul.db");
    let backup = std::fs::read(&ledger).expect("a ledger");

    // An older copy, from before both got a version.
    bench.save_over(&name(PARTS.0), 41, PARTS.1 + 1);
    bench.save_over(&name(SMALL.0), 43, SMALL.1 + 1);
    bench.systems.archive(&[]);
    let second = bench.systems.versions();
    assert_eq!(second.len(), 4);
    std::fs::write(&ledger, backup).expect("the older copy");
    let lines = bench.systems.archive(&[]);
    assert_eq!(items(of_type(&lines, "summary"), "done"), 2, "{lines:#?}");
    assert_eq!(bench.systems.versions(), second, "found, not added again");

    // None at all.
    std::fs::remove_file(&ledger).expect("a ledger");
    let before = bench.systems.simulator.content_server().history().len();
    let lines = bench.systems.archive(&[]);
    assert_eq!(items(of_type(&lines, "summary"), "done"), 2, "{lines:#?}");
    assert_eq!(bench.systems.versions(), second);
    let after = bench.systems.simulator.content_server().history().len();
    assert_eq!(after, before, "nothing at all was written");
    let lines = bench.systems.must(&["verify"]);
    assert_eq!(of_type(&lines, "verified")["differ"], 0);
    bench.stop();
}

#[test]
fn f45_the_first_sigterm_drains_and_the_second_leaves() {
    for twice in [false, true] {
        let bench = Bench::new(&[LONG, SMALL]);
        let mut child = bench.spawn(&["--limit-bandwidth", "6 MiB/s"]);
        bench.until("three parts", |bench| bench.effects("part").len() >= 3);
        signal(&child, Signal::TERM);
        if twice {
            std::thread::sleep(Duration::from_millis(50));
            // Drained already, it has left; then there is nobody to tell.
            if child.try_wait().expect("a child").is_none() {
                signal(&child, Signal::TERM);
            }
        }
        let status = child.wait().expect("an end");
        assert_eq!(status.code(), Some(75), "{status}");
        let stored = bench.effects("part").len();
        assert!(stored < 12, "it was stopped half way");
        let lines = bench.systems.must(&["status"]);
        let status = of_type(&lines, "status");
        assert_eq!(status["outcome"], "stopped");
        // Whoever has left has nothing in hand, however it left.
        assert_eq!(items(status, "active"), 0, "{status}");

        bench.systems.must(&["resume"]);
        bench.filed(&[LONG, SMALL]);
        bench.parts_stored_once(12);
        if !twice {
            let sent = bench.requests(
                longhaul::simulator::faults::System::ContentServer,
                "POST",
                "/multipart/",
            );
            let parts = sent.iter().filter(|r| r.path.matches('/').count() == 7);
            assert_eq!(parts.count(), 12, "a drain sends nothing twice");
        }
        bench.stop();
    }
}

#[test]
fn f47_a_second_process_on_a_ledger_is_told_who_has_it() {
    let bench = Bench::new(&[LONG]);
    let mut first = bench.spawn(&["--limit-bandwidth", "6 MiB/s"]);
    bench.until("a part", |bench| !bench.effects("part").is_empty());
    let (code, lines) = bench.archive(&[]);
    assert_eq!(code, 74, "{lines:#?}");
    let message = of_type(&lines, "exit")["message"].clone();
    let message = message.as_str().expect("a message");
    let owner = format!("process {}", first.id());
    assert!(
        message.contains(&owner) && message.contains("longhaul.db"),
        "{message}"
    );
    // Looking on is allowed.
    let lines = bench.systems.must(&["status"]);
    assert_eq!(of_type(&lines, "status")["running"], true);
    first.kill().expect("a kill");
    first.wait().expect("an end");
    bench.systems.must(&["resume"]);
    bench.filed(&[LONG]);
    bench.parts_stored_once(12);
    bench.stop();
}

#[test]
fn f54_few_descriptors_and_a_full_log_disk_end_no_run_in_a_panic() {
    let bench = Bench::new(&[PARTS, POST, SMALL]);
    let collection = bench.systems.simulator.collection();
    let limited = |descriptors: u32, stdout: Stdio| {
        let mut child = std::process::Command::new("sh");
        child
            .arg("-c")
            .arg(format!(
                "ulimit -n {descriptors}; exec \"$0\" \"$@\" 2>/dev/full"
            ))
            .arg(env!("CARGO_BIN_EXE_longhaul"))
            .args(["archive", &collection, "--json", "--log-level", "trace"])
            .env_clear()
            .current_dir(bench.systems.place.path())
            .stdin(Stdio::null())
            .stdout(stdout);
        child.spawn().expect("sh starts")
    };
    let full = std::fs::File::options()
        .write(true)
        .open("/dev/full")
        .expect("a full disk");
    let status = limited(40, full.into()).wait().expect("an end");
    let code = status.code().expect("no signal");
    assert!([0, 1, 69, 74, 75].contains(&code), "{status}");

    // Whoever read standard output is gone.
    let mut child = limited(256, Stdio::piped());
    drop(child.stdout.take());
    let status = child.wait().expect("an end");
    let code = status.code().expect("no signal");
    assert!([0, 1, 69, 75].contains(&code), "{status}");

    bench.systems.run(&["resume", "--retry", "failed"]);
    bench.systems.archive(&[]);
    bench.filed(&[PARTS, POST, SMALL]);
    bench.stop();
}

#[test]
fn f55_memory_stays_within_the_budget_when_the_destination_is_slow() {
    let masters: Vec<_> = (1..=4).map(|seed| (seed, 24 * MIB + seed)).collect();
    let mut options = Options::with(campaign(&masters));
    options.content_server.request_limit = Duration::from_secs(30);
    // The source would fill 96 MiB long before the destination has taken them.
    options.content_server_link = LinkSettings {
        total: Some(80 * MIB),
        ..LinkSettings::default()
    };
    let systems = Systems::with(
        options,
        Extra {
            sections: "[transfer]\nsidecar = false\nverify = \"sent\"\nmemory = \"12 MiB\"",
            ..Extra::default()
        },
    );
    let lines = systems.archive(&[]);
    let summary = of_type(&lines, "summary");
    assert_eq!(items(summary, "done"), 4);
    let peak = summary["peak_memory"].as_u64().expect("a peak");
    assert!(peak <= (96 + 12) * MIB, "{peak} bytes");
    assert_eq!(systems.versions().len(), 4);
    systems.stop();
}
