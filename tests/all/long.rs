//! The long checks: a large master killed again and again, and the memory of a larger one. They
//! want the release build and some minutes, so `cargo test` passes them by:
//! `cargo test --release --test all -- --ignored --nocapture long`.

use std::process::Stdio;
use std::time::Duration;

use longhaul::simulator::content_server::{Config, Keep, Multipart, duplicates};
use longhaul::simulator::faults::System;
use longhaul::simulator::{Options, Simulator, campaign, masters};
use longhaul::types::{ByteCount, GIB, KIB, MIB, display_bytes};
use serde_json::Value;

use crate::support::{Place, json_lines};

const PART: ByteCount = 16 * MIB;
const UPLOADS: u64 = 3;
const BUDGET: ByteCount = 128 * MIB;
/// What the process may hold beside the byte budget.
const BESIDE: ByteCount = 96 * MIB;

/// Both systems with one master of `size`, and settings for them.
fn systems(size: ByteCount, keep: Keep) -> (tokio::runtime::Runtime, Simulator, Place) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let defaults = Options::with(campaign::one(size));
    let options = Options {
        content_server: Config {
            keep,
            request_limit: Duration::from_secs(60),
            multipart: Multipart {
                max_size: 2 * size,
                part_size: PART,
                ..Multipart::default()
            },
            ..defaults.content_server
        },
        ..defaults
    };
    let simulator = runtime
        .block_on(Simulator::start(options))
        .expect("free ports");
    let place = Place::new();
    let settings = format!(
        "{}uploads = {UPLOADS}\n\n[transfer]\nmemory = \"{} MiB\"\n",
        simulator.settings_toml(),
        BUDGET / MIB
    );
    place.write("longhaul.toml", &settings);
    (runtime, simulator, place)
}

fn finish(place: &Place, arguments: &[&str]) -> Vec<Value> {
    let done = place
        .bare()
        .args(arguments)
        .arg("--json")
        .output()
        .expect("longhaul starts");
    let lines = json_lines(&done.stdout);
    assert_eq!(done.status.code(), Some(0), "{arguments:?}: {lines:?}");
    lines
}

#[test]
#[ignore = "long: run with --ignored, in the release build"]
fn long_ten_kills_of_a_2_gib_master_leave_one_version_and_move_only_parts_in_flight_again() {
    let size = 2 * GIB;
    let (runtime, simulator, place) = systems(size, Keep::Recognise);
    let collection = simulator.collection();
    let mut arguments = vec!["archive", &collection];
    let mut kills = 0;
    let seed = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .subsec_nanos();
    eprintln!("seed {seed}");
    let mut random = u64::from(seed) | 1;
    while kills < 10 {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let mut child = place
            .bare()
            .args(&arguments)
            // 2 GiB take some 13 s, of which ten kills see about 8.
            .args(["--limit-bandwidth", "160 MiB/s", "--json"])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(300 + random % 900));
        assert!(
            child.try_wait().unwrap().is_none(),
            "it ended before kill {kills}"
        );
        child.kill().unwrap();
        child.wait().unwrap();
        kills += 1;
        let status = place
            .bare()
            .args(["status", "--json"])
            .output()
            .expect("longhaul starts");
        let begun = status.status.success() || status.status.code() == Some(75);
        if begun && json_lines(&status.stdout).len() > 1 {
            arguments = vec!["resume"];
        }
    }
    finish(&place, &arguments);
    let sent: u64 = simulator
        .history()
        .of(System::ContentServer)
        .iter()
        .filter(|record| record.path.contains("/multipart/") && record.method == "POST")
        .map(|record| record.request_bytes)
        .sum();
    let again = sent.saturating_sub(size);
    eprintln!("{} sent again after {kills} kills", display_bytes(again));
    // A part in a form has a head and a tail beside its bytes.
    let forms = simulator.history().count() * KIB;
    assert!(
        again <= kills * UPLOADS * PART + forms,
        "{again} bytes were sent again"
    );
    let filed = simulator.content_server().visible_versions();
    assert!(duplicates(&filed).is_empty());
    let digest = masters::sha256(1, size);
    let ours: Vec<_> = filed
        .iter()
        .filter(|version| version.size == size)
        .collect();
    assert_eq!(ours.len(), 1, "one version of the master: {filed:?}");
    assert_eq!(
        ours[0].sha256.map(|digest| digest.to_string()),
        Some(digest)
    );
    assert_eq!(
        finish(&place, &["verify"])
            .iter()
            .find(|line| line["type"] == "verified")
            .unwrap()["differ"],
        0
    );
    finish(&place, &["audit", "verify"]);
    runtime.block_on(simulator.stop());
}

#[test]
#[ignore = "long: run with --ignored, in the release build"]
fn long_an_8_gib_master_needs_no_more_memory_than_the_budget_and_96_mib() {
    let size = 8 * GIB;
    let (runtime, simulator, place) = systems(size, Keep::Drop);
    let collection = simulator.collection();
    let lines = finish(&place, &["archive", &collection, "--verify", "sent"]);
    let summary = lines.iter().find(|line| line["type"] == "summary").unwrap();
    assert_eq!(
        summary["states"][0]["state"], "done",
        "the master is filed: {summary}"
    );
    assert!(summary["bytes_confirmed"].as_u64().unwrap() >= size);
    let peak = summary["peak_memory"].as_u64().expect("the kernel tells");
    eprintln!(
        "peak memory {} with a budget of {}, {:.1} s, {:.1} s of CPU",
        display_bytes(peak),
        display_bytes(BUDGET),
        summary["seconds"].as_f64().unwrap(),
        summary["cpu_seconds"].as_f64().unwrap()
    );
    assert!(peak <= BUDGET + BESIDE, "{} at peak", display_bytes(peak));
    runtime.block_on(simulator.stop());
}
