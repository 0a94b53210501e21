//! The commands against both simulated systems, over real sockets, as a user runs them.

use std::process::Stdio;
use std::time::Duration;

use longhaul::simulator::{Options, campaign};

use crate::support::{Systems, items, of_type};

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
fn killed_again_and_again_the_archive_ends_as_if_nothing_had_happened() {
    let systems = Systems::start(Options::with(campaign::small()));
    let collection = systems.simulator.collection();
    let mut arguments = vec!["archive", &collection];
    let mut kills = 0;
    for patience in [150, 400, 700, 1100, 1600] {
        let mut child = systems
            .place
            .bare()
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
