//! The commands against both simulated systems, over real sockets, as a user runs them.

use std::process::Stdio;
use std::time::Duration;

use longhaul::simulator::campaign::{AssetSpec, Campaign, FileSpec};
use longhaul::simulator::content_server::Multipart;
use longhaul::simulator::{Options, campaign};
use longhaul::types::{KIB, MIB};

use crate::support::{Extra, Systems, items, of_type, replace};

#[test]
fn a_campaign_is_archived_verified_exported_and_not_filed_twice() {
    let systems = Systems::start(Options::with(campaign::small()));
    let collection = systems.simulator.collection();
    let (code, lines) = systems.run(&["archive", &collection]);
    assert_eq!(code, 1, "three assets need a person: {lines:?}");
    let first = of_type(&lines, "summary").clone();
    assert_eq!((items(&first, "done"), items(&first, "parked")), (17, 3));
    assert_eq!(first["left_out"], 3);
    let filed = systems.versions().len();

    let (code, lines) = systems.run(&["verify"]);
    assert_eq!(code, 0, "{lines:?}");
    assert_eq!(of_type(&lines, "verified")["differ"], 0);
    assert_eq!(systems.run(&["audit", "verify"]).0, 0);

    let file = lines.iter().find(|line| line["type"] == "file").unwrap();
    let (node, digest) = (file["node"].to_string(), file["sha256"].clone());
    let (code, lines) = systems.run(&["export", "--node", &node, "--to", "out.bin"]);
    assert_eq!(code, 0, "{lines:?}");
    assert_eq!(of_type(&lines, "exported")["sha256"], digest);
    assert_eq!(
        systems
            .run(&["export", "--node", &node, "--to", "out.bin"])
            .0,
        2
    );

    let (_, lines) = systems.run(&["archive", &collection]);
    assert_eq!(of_type(&lines, "summary")["already_done"], 17);
    assert_eq!(systems.versions().len(), filed);
    systems.stop();
}

#[test]
fn versions_are_counted_as_configured() {
    for (versioning, counted) in [
        ("standard", [(0, 1), (0, 2)]),
        ("major", [(1, 0), (2, 0)]),
        ("minor", [(0, 1), (0, 2)]),
    ] {
        // One goes in a single request, the other through an upload session.
        let names = ["small.mxf", "large.mxf"];
        let sizes = [5 * KIB, 3 * MIB];
        let file = |at: usize| vec![FileSpec::generated(names[at], at as u64 + 1, sizes[at])];
        let campaign = Campaign::new()
            .asset(AssetSpec::new("Small", file(0)))
            .asset(AssetSpec::new("Large", file(1)));
        let content_server = format!("versioning = \"{versioning}\"");
        let extra = Extra {
            content_server: &content_server,
            ..Extra::default()
        };
        let mut options = Options::with(campaign);
        options.content_server.multipart = Multipart {
            min_size: MIB,
            part_size: MIB,
            ..Multipart::default()
        };
        let systems = Systems::with(options, extra);
        systems.archive(&[]);
        for (at, name) in names.into_iter().enumerate() {
            replace(&systems, name, at as u64 + 9, sizes[at]);
        }
        systems.archive(&[]);
        for name in names {
            let versions = systems.named(name);
            let are: Vec<_> = versions.iter().map(|version| version.counted).collect();
            assert_eq!(are, counted, "{name}, {versioning}");
        }
        systems.stop();
    }
}

#[test]
fn killed_again_and_again_the_archive_ends_as_if_nothing_had_happened() {
    let systems = Systems::start(Options::with(campaign::small()));
    let collection = systems.simulator.collection();
    let mut arguments = vec!["archive", &collection];
    let mut kills = 0;
    for patience in [150, 400, 700, 1100, 1600] {
        let mut child = systems
            .place
            .killable()
            .args(&arguments)
            .args(["--limit-bandwidth", "16 MiB/s", "--json"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(patience));
        kills += u32::from(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
        // A process killed before its first run leaves nothing to resume.
        let (_, lines) = systems.run(&["status"]);
        if lines.iter().any(|line| line["type"] == "status") {
            arguments = vec!["resume"];
        }
    }
    assert!(kills > 0, "nothing was killed");
    let (code, lines) = systems.run(&arguments);
    assert_eq!(code, 1, "{lines:?}");
    let summary = of_type(&lines, "summary");
    assert_eq!((items(summary, "done"), items(summary, "parked")), (17, 3));
    assert_eq!(
        summary["left_out"], 3,
        "counted once, however often it was enumerated"
    );
    systems.versions();
    let (code, lines) = systems.run(&["verify"]);
    assert_eq!(code, 0, "{lines:?}");
    assert_eq!(systems.run(&["audit", "verify"]).0, 0);
    systems.stop();
}
