//! The commands against both simulated systems, over real sockets, as a user runs them.

use std::process::Stdio;
use std::time::Duration;

use longhaul::simulator::content_server::duplicates;
use longhaul::simulator::{Options, Simulator, campaign};
use serde_json::Value;

use crate::support::{Place, json_lines};

/// Both systems with the small campaign, and a directory with settings for them.
struct Systems {
    runtime: tokio::runtime::Runtime,
    simulator: Simulator,
    place: Place,
}

impl Systems {
    fn start() -> Self {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let options = Options::with(campaign::small());
        let simulator = runtime
            .block_on(Simulator::start(options))
            .expect("free ports");
        let place = Place::new();
        place.write("longhaul.toml", &simulator.settings_toml());
        Self {
            runtime,
            simulator,
            place,
        }
    }

    /// Runs a command to its end: its exit code and JSON lines.
    fn run(&self, arguments: &[&str]) -> (i32, Vec<Value>) {
        let done = self.place.bare().args(arguments).arg("--json").output();
        let done = done.expect("longhaul starts");
        (
            done.status.code().expect("nobody killed it"),
            json_lines(&done.stdout),
        )
    }

    fn versions(&self) -> usize {
        let versions = self.simulator.content_server().visible_versions();
        assert_eq!(duplicates(&versions).len(), 0, "a version is there twice");
        versions.len()
    }
}

fn of_type<'a>(lines: &'a [Value], kind: &str) -> &'a Value {
    let found = lines.iter().find(|line| line["type"] == kind);
    found.unwrap_or_else(|| panic!("no {kind} line in {lines:?}"))
}

/// Items of a summary in one state.
fn items(summary: &Value, state: &str) -> u64 {
    let states = summary["states"].as_array().expect("states");
    let found = states.iter().find(|count| count["state"] == state);
    found.map_or(0, |count| count["items"].as_u64().expect("a number"))
}

#[test]
fn a_campaign_is_archived_verified_exported_and_not_filed_twice() {
    let systems = Systems::start();
    let collection = systems.simulator.collection();
    let (code, lines) = systems.run(&["archive", &collection]);
    assert_eq!(code, 1, "three assets need a person: {lines:?}");
    let first = of_type(&lines, "summary").clone();
    assert_eq!((items(&first, "done"), items(&first, "parked")), (17, 3));
    assert_eq!(first["left_out"], 3);
    let filed = systems.versions();

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
    assert_eq!(systems.versions(), filed);
    systems.runtime.block_on(systems.simulator.stop());
}

#[test]
fn killed_again_and_again_the_archive_ends_as_if_nothing_had_happened() {
    let systems = Systems::start();
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
    systems.runtime.block_on(systems.simulator.stop());
}
