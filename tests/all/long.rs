//! The long checks: a large master killed again and again, and the memory of a larger one. They
//! want the release build and some minutes, so `cargo test` passes them by:
//! `cargo test --release --test all -- --ignored --nocapture long`.

use std::process::Stdio;
use std::time::Duration;

use longhaul::simulator::content_server::{Config, Multipart};
use longhaul::simulator::faults::System;
use longhaul::simulator::{Options, campaign, masters};
use longhaul::types::{ByteCount, GIB, KIB, MIB, display_bytes};

use crate::support::{Extra, Systems, json_lines, of_type};

const PART: ByteCount = 16 * MIB;
const UPLOADS: u64 = 3;
const BUDGET: ByteCount = 128 * MIB;
/// What the process may hold beside the byte budget.
const BESIDE: ByteCount = 96 * MIB;

/// Both systems with one master of `size`, and settings for them.
fn systems(size: ByteCount) -> Systems {
    let defaults = Options::with(campaign::one(size));
    let options = Options {
        content_server: Config {
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
    Systems::with(
        options,
        Extra {
            content_server: &format!("uploads = {UPLOADS}"),
            sections: &format!("[transfer]\nmemory = \"{} MiB\"", BUDGET / MIB),
            ..Extra::default()
        },
    )
}

#[test]
#[ignore = "long: run with --ignored, in the release build"]
fn long_ten_kills_of_a_2_gib_master_leave_one_version_and_move_only_parts_in_flight_again() {
    let size = 2 * GIB;
    let systems = systems(size);
    let collection = systems.simulator.collection();
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
        let mut child = systems
            .place
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
        let status = systems
            .place
            .bare()
            .args(["status", "--json"])
            .output()
            .expect("longhaul starts");
        let begun = status.status.success() || status.status.code() == Some(75);
        if begun && json_lines(&status.stdout).len() > 1 {
            arguments = vec!["resume"];
        }
    }
    systems.must(&arguments);
    let sent: u64 = systems
        .simulator
        .history()
        .of(System::ContentServer)
        .iter()
        .filter(|record| record.path.contains("/multipart/") && record.method == "POST")
        .map(|record| record.request_bytes)
        .sum();
    let again = sent.saturating_sub(size);
    eprintln!("{} sent again after {kills} kills", display_bytes(again));
    // A part in a form has a head and a tail beside its bytes.
    let forms = systems.simulator.history().count() * KIB;
    assert!(
        again <= kills * UPLOADS * PART + forms,
        "{again} bytes were sent again"
    );
    let filed = systems.versions();
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
    let lines = systems.must(&["verify"]);
    assert_eq!(of_type(&lines, "verified")["differ"], 0);
    systems.must(&["audit", "verify"]);
    systems.stop();
}

#[test]
#[ignore = "long: run with --ignored, in the release build"]
fn long_an_8_gib_master_needs_no_more_memory_than_the_budget_and_96_mib() {
    let size = 8 * GIB;
    let systems = systems(size);
    let lines = systems.archive(&[]);
    let summary = of_type(&lines, "summary");
    assert_eq!(
        summary["states"][0]["state"], "done",
        "the master is filed: {summary}"
    );
    assert!(summary["bytes_confirmed"].as_u64().unwrap() >= size);
    assert!(summary["bytes_read_back"].as_u64().unwrap() >= size);
    let filed = systems.named("master.mxf");
    assert_eq!((filed.len(), filed[0].size), (1, size));
    let peak = summary["peak_memory"].as_u64().expect("the kernel tells");
    eprintln!(
        "peak memory {} with a budget of {}, {:.1} s, {:.1} s of CPU",
        display_bytes(peak),
        display_bytes(BUDGET),
        summary["seconds"].as_f64().unwrap(),
        summary["cpu_seconds"].as_f64().unwrap()
    );
    assert!(peak <= BUDGET + BESIDE, "{} at peak", display_bytes(peak));
    systems.stop();
}

#[test]
#[ignore = "long: run with --ignored, in the release build"]
fn long_a_master_above_the_one_published_window_is_split_joined_and_read_back() {
    // The only window that public sources show ends at 3.39 GiB.
    let size = 4 * GIB + 17;
    let defaults = Options::with(campaign::one(size));
    let options = Options {
        content_server: Config {
            request_limit: Duration::from_secs(60),
            multipart: Multipart::default(),
            ..defaults.content_server
        },
        ..defaults
    };
    let systems = Systems::with(
        options,
        Extra {
            sections: "[transfer]\noversize = \"split\"",
            ..Extra::default()
        },
    );
    systems.archive(&[]);
    let segments: Vec<u64> = systems
        .versions()
        .iter()
        .filter(|version| version.name.starts_with("master.mxf.0"))
        .map(|version| version.size)
        .collect();
    assert_eq!(segments.len(), 2, "{segments:?}");
    assert_eq!(segments.iter().sum::<u64>(), size);
    let lines = systems.must(&["verify"]);
    assert_eq!(of_type(&lines, "verified")["differ"], 0);
    let join = systems.named("master.mxf.join.json");
    let folder = join[0].parent.to_string();
    let lines = systems.must(&["export", "--node", &folder, "--to", "joined.bin"]);
    assert_eq!(
        of_type(&lines, "exported")["sha256"],
        masters::sha256(1, size)
    );
    systems.stop();
}
