//! Steering a run at work from another shell, and what it says of itself, from outside.

use std::process::{Child, Stdio};
use std::time::Duration;

use longhaul::simulator::Options;
use longhaul::simulator::campaign::{AssetSpec, Campaign, FileSpec};
use longhaul::simulator::faults::{Action, Rule, System};
use longhaul::types::{ByteCount, MIB};
use serde_json::Value;
use tokio::time::Instant;

use crate::support::{Extra, Systems, items, of_type};

/// A master of twelve parts.
const LONG: (u64, ByteCount) = (1, 12 * MIB);
/// One that is read whole.
const SMALL: (u64, ByteCount) = (3, 70_001);

struct Desk {
    systems: Systems,
}

impl Desk {
    fn new(masters: &[(u64, ByteCount)]) -> Self {
        Self::with(masters, "")
    }

    fn with(masters: &[(u64, ByteCount)], sections: &str) -> Self {
        let campaign = masters
            .iter()
            .fold(Campaign::new(), |campaign, (seed, size)| {
                let file = FileSpec::generated(&format!("master-{seed}.mxf"), *seed, *size);
                campaign.asset(AssetSpec::new(&format!("Master {seed}"), vec![file]))
            });
        let mut options = Options::with(campaign);
        options.quirks.calls_per_second = None;
        let sections = format!(
            "[transfer]\nsidecar = false\n[network]\nfirst_byte_timeout = \"2 s\"\nstall_timeout = \"1 s\"\n{sections}"
        );
        let extra = Extra {
            iconik: "calls_per_second = 1000",
            sections: &sections,
            ..Extra::default()
        };
        Self {
            systems: Systems::with(options, extra),
        }
    }

    fn archive(&self, flags: &[&str]) -> Child {
        let collection = self.systems.simulator.collection();
        self.start(&[&["archive", &collection], flags].concat())
    }

    fn start(&self, arguments: &[&str]) -> Child {
        self.systems
            .place
            .bare()
            .args(arguments)
            .arg("--json")
            .env("USER", "anna")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("longhaul starts")
    }

    /// Parts that Content Server has stored.
    fn parts(&self) -> usize {
        let history = self.systems.simulator.content_server().history();
        history
            .iter()
            .filter(|effect| effect["kind"] == "part")
            .count()
    }

    /// Waits until `there` is true, at most a minute.
    #[track_caller]
    fn until(&self, what: &str, mut there: impl FnMut(&Self) -> bool) {
        let started = Instant::now();
        while !there(self) {
            assert!(started.elapsed() < Duration::from_secs(60), "never: {what}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The number of parts once it has not changed for a while.
    fn settled_parts(&self) -> usize {
        let mut seen = (self.parts(), Instant::now());
        while seen.1.elapsed() < Duration::from_millis(700) {
            std::thread::sleep(Duration::from_millis(20));
            if self.parts() != seen.0 {
                seen = (self.parts(), Instant::now());
            }
        }
        seen.0
    }

    fn status(&self) -> Value {
        of_type(&self.systems.must(&["status"]), "status").clone()
    }

    /// What a command that steers said.
    #[track_caller]
    fn told(&self, arguments: &[&str]) -> String {
        let lines = self.systems.must(arguments);
        let said = of_type(&lines, "steered")["said"].as_str();
        said.expect("a text").to_owned()
    }

    /// The message of a command that must end with `code`.
    #[track_caller]
    fn refused(&self, arguments: &[&str], code: i32) -> String {
        let (ended, lines) = self.systems.run(arguments);
        assert_eq!(ended, code, "{lines:#?}");
        let message = of_type(&lines, "exit")["message"].as_str();
        message.expect("a message").to_owned()
    }

    /// What the journal has of changes: what, and by whom.
    fn steered(&self) -> Vec<(String, String)> {
        let lines = self.systems.must(&["audit"]);
        let lines = lines
            .iter()
            .filter(|line| line["type"] == "journal" && line["event"] == "steered");
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        lines
            .map(|line| (text(&line["data"]["what"]), text(&line["data"]["by"])))
            .collect()
    }

    #[track_caller]
    fn ends(&self, mut child: Child, code: i32) {
        let status = child.wait().expect("an end");
        assert_eq!(status.code(), Some(code), "{status}");
        let socket = self.systems.place.path().join("longhaul.db.sock");
        assert!(!socket.exists(), "the socket goes with its process");
    }

    fn published(&self) -> usize {
        let target = self.systems.simulator.parts().target;
        let versions = self.systems.versions();
        versions
            .iter()
            .filter(|version| version.parent == target)
            .count()
    }
}

#[test]
fn a_pause_stops_the_bytes_and_resume_goes_on() {
    let desk = Desk::new(&[LONG]);
    let child = desk.archive(&["--limit-bandwidth", "6 MiB/s"]);
    desk.until("two parts", |desk| desk.parts() >= 2);
    let said = desk.told(&["pause"]);
    assert!(said.contains("paused"), "{said}");
    let before = desk.settled_parts();
    assert!(before < 12, "it was paused half way");
    let bucket = |desk: &Desk| desk.systems.simulator.history().of(System::Bucket).len();
    let read = bucket(&desk);
    std::thread::sleep(Duration::from_millis(700));
    assert_eq!(
        (desk.parts(), bucket(&desk)),
        (before, read),
        "nothing moves"
    );

    let status = desk.status();
    assert_eq!(status["doing"], "paused", "{status}");
    assert_eq!(status["seconds_left"], Value::Null);
    assert_eq!(
        status["bytes_confirmed"],
        before as u64 * MIB,
        "what is acknowledged"
    );
    assert_eq!(status["in_hand"][0]["bytes_confirmed"], before as u64 * MIB);
    assert!(desk.told(&["pause"]).contains("already"));

    let refused = desk.refused(&["resume", "--retry", "failed"], 2);
    assert!(refused.contains("longhaul retry"), "{refused}");
    let refused = desk.refused(&["resume", "--max-bytes", "1 GiB"], 2);
    assert!(refused.contains("longhaul limit"), "{refused}");
    assert!(desk.told(&["resume"]).contains("goes on"));
    desk.ends(child, 0);
    assert_eq!((desk.parts(), desk.published()), (12, 1), "no part twice");

    let steered = desk.steered();
    let what: Vec<&str> = steered.iter().map(|(what, _)| what.as_str()).collect();
    assert_eq!(what, ["pause", "resume"]);
    assert!(steered[0].1.contains("`longhaul pause`"), "{steered:?}");
    desk.systems.must(&["audit", "verify"]);
    desk.systems.stop();
}

#[test]
fn what_has_an_end_time_survives_a_kill_until_then() {
    let desk = Desk::new(&[LONG]);
    let mut child = desk.archive(&["--limit-bandwidth", "2 MiB/s"]);
    desk.until("a part", |desk| desk.parts() >= 1);
    desk.told(&["limit", "--uploads", "1", "--for", "1h"]);
    desk.told(&["limit", "--streams", "2"]);
    desk.told(&["pause", "--for", "1h"]);
    let refused = desk.refused(&["pause", "--until", "2020-01-01 06:00"], 2);
    assert!(refused.contains("passed"), "{refused}");
    child.kill().expect("it can be killed");
    child.wait().expect("it is dead");
    let before = desk.parts();

    let child = desk.start(&["resume"]);
    desk.until("it is paused", |desk| desk.status()["doing"] == "paused");
    let process = desk.status()["process"].clone();
    assert_eq!(process["limits"]["uploads"], serde_json::json!([1, 3]));
    assert_eq!(
        process["limits"]["streams"],
        serde_json::json!([32, 32]),
        "what has no end ends with its process"
    );
    assert!(process["paused_until"].is_i64(), "{process}");
    assert_eq!(desk.settled_parts(), before, "nothing moves");
    assert!(desk.told(&["resume"]).contains("goes on"));
    desk.told(&["limit", "--clear"]);
    desk.ends(child, 0);
    let steered = desk.steered();
    let what: Vec<&str> = steered.iter().map(|(what, _)| what.as_str()).collect();
    assert_eq!(
        what,
        ["limit", "limit", "pause", "taken-up", "resume", "unlimit"]
    );
    // Nothing is left for the next one.
    desk.systems.archive(&[]);
    assert_eq!(desk.steered().len(), 6);
    desk.systems.stop();
}

#[test]
fn a_limit_holds_until_it_is_cleared_and_never_passes_the_settings() {
    let desk = Desk::new(&[LONG]);
    let child = desk.archive(&["--limit-bandwidth", "4 MiB/s"]);
    desk.until("a part", |desk| desk.parts() >= 1);
    let refused = desk.refused(&["limit", "--uploads", "64"], 2);
    assert!(refused.contains("content_server.uploads = 3"), "{refused}");
    let refused = desk.refused(&["limit", "--bandwidth", "fast"], 2);
    assert!(refused.contains("600 MiB/s"), "{refused}");
    let refused = desk.refused(&["limit"], 2);
    assert!(refused.contains("--bandwidth"), "{refused}");

    let said = desk.told(&[
        "limit",
        "--bandwidth",
        "32 KiB/s",
        "--uploads",
        "1",
        "--for",
        "1h",
    ]);
    assert!(
        said.contains("32.0 KiB/s") && said.contains("1 upload at once"),
        "{said}"
    );
    let before = desk.settled_parts();
    // 32 KiB/s is a part in 32 seconds.
    std::thread::sleep(Duration::from_secs(1));
    let after = desk.parts();
    assert!(
        after <= before + 1 && after < 12,
        "{before} parts, then {after}"
    );
    let process = desk.status()["process"].clone();
    assert_eq!(process["limits"]["bandwidth"], 32 * 1024, "{process}");
    assert_eq!(process["limits"]["uploads"], serde_json::json!([1, 3]));
    assert!(process["overrides"][0]["until"].is_i64(), "{process}");

    desk.told(&["limit", "--bandwidth", "unlimited"]);
    desk.ends(child, 0);
    assert_eq!((desk.parts(), desk.published()), (12, 1));
    let steered = desk.steered();
    let what: Vec<&str> = steered.iter().map(|(what, _)| what.as_str()).collect();
    assert_eq!(what, ["limit", "limit"], "a refusal is no change");
    desk.systems.stop();
}

#[test]
fn a_drain_ends_with_75_and_loses_nothing() {
    for now in [false, true] {
        let desk = Desk::new(&[LONG, SMALL]);
        let child = desk.archive(&["--limit-bandwidth", "6 MiB/s"]);
        desk.until("three parts", |desk| desk.parts() >= 3);
        let flags: &[&str] = if now {
            &["drain", "--now", "--wait"]
        } else {
            &["drain", "--wait"]
        };
        desk.told(flags);
        let status = desk.status();
        assert_eq!(
            (&status["doing"], &status["running"]),
            (&"stopped".into(), &false.into())
        );
        assert_eq!(items(&status, "active"), 0, "nobody has anything in hand");
        assert_eq!(status["process"], Value::Null, "a dead run has no rates");
        desk.ends(child, 75);
        assert!(desk.parts() < 12);
        let what = if now { "leave" } else { "drain" };
        assert_eq!(desk.steered()[0].0, what);
        desk.systems.must(&["resume"]);
        assert_eq!(desk.published(), 2);
        if !now {
            assert_eq!(desk.parts(), 12, "a drain sends nothing twice");
        }
        desk.systems.stop();
    }
}

#[test]
fn bounds_end_a_run_by_themselves() {
    // What is in hand when a bound is reached is finished: so little is in hand.
    let narrow = "[source]\nstreams = 1\n";
    let desk = Desk::with(&[LONG], narrow);
    for wrong in [
        ["--until", "soon"],
        ["--max-bytes", "much"],
        ["--max-failures", "0"],
    ] {
        let collection = desk.systems.simulator.collection();
        let (code, _) = desk
            .systems
            .run(&[&["archive", &collection], &wrong[..]].concat());
        assert_eq!(code, 2, "{wrong:?}");
    }
    let child = desk.archive(&["--limit-bandwidth", "2 MiB/s", "--max-bytes", "1 MiB"]);
    desk.ends(child, 75);
    let parts = desk.parts();
    assert!((1..12).contains(&parts), "{parts}");
    let steered = desk.steered();
    assert!(
        steered[0].1.starts_with("--max-bytes 1.00 MiB"),
        "{steered:?}"
    );
    let (code, lines) = desk.systems.run(&["resume", "--until", "2020-01-01 00:00"]);
    assert_eq!(code, 75);
    let summary = of_type(&lines, "summary");
    let why = summary["stopped_by"].as_str().unwrap_or_default();
    assert!(why.starts_with("--until"), "{summary}");
    desk.systems.must(&["resume"]);
    assert_eq!((desk.parts(), desk.published()), (12, 1));
    desk.systems.stop();
}

#[test]
fn what_is_left_of_a_bound_holds_after_a_kill_until_it_is_reached() {
    let desk = Desk::with(&[LONG], "[source]\nstreams = 1\n");
    let bounds = ["--until", "2199-01-01 00:00", "--max-bytes", "4 MiB"];
    let mut child = desk.archive(&[&["--limit-bandwidth", "1 MiB/s"][..], &bounds].concat());
    desk.until("a part", |desk| desk.parts() > 0);
    child.kill().expect("an own child");
    child.wait().expect("an own child");
    let done = desk
        .systems
        .place
        .bare()
        .args(["resume", "--limit-bandwidth", "2 MiB/s"])
        .output()
        .expect("longhaul starts");
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert_eq!(done.status.code(), Some(75), "{said}");
    assert!(
        said.contains("run 1 keeps its bounds: it drains at 2199-01-01 00:00, after "),
        "{said}"
    );
    assert!(desk.parts() < 12, "{}", desk.parts());
    // Reached: whoever goes on wants more. The time is named anew.
    let (code, lines) = desk.systems.run(&["resume", "--until", "2020-01-01 00:00"]);
    assert_eq!(code, 75, "{lines:?}");
    let why = of_type(&lines, "summary")["stopped_by"].to_string();
    assert!(why.contains("--until"), "{why}");
    desk.systems.must(&["resume"]);
    assert_eq!((desk.parts(), desk.published()), (12, 1));
    desk.systems.stop();
}

#[test]
fn nothing_is_begun_in_a_closed_window() {
    let window =
        "[pace]\ncalendar = [{ from = \"00:00\", to = \"00:00\", bandwidth = \"pause\" }]\n";
    let desk = Desk::with(&[SMALL], window);
    let child = desk.archive(&[]);
    desk.until("a plan", |desk| {
        let (code, lines) = desk.systems.run(&["status"]);
        code == 0
            && lines[0]["type"] == "status"
            && lines[0]["doing"] == "closed"
            && lines[0]["items"] == 1
    });
    let said = desk.told(&["resume"]);
    assert!(said.contains("calendar"), "{said}");
    assert_eq!(desk.systems.versions().len(), 0);
    desk.told(&["drain"]);
    desk.ends(child, 75);
    desk.systems.stop();
}

#[test]
fn steering_without_a_run_says_that_nothing_runs() {
    let desk = Desk::new(&[SMALL]);
    let refused = desk.refused(&["pause"], 2);
    assert!(refused.contains("there is no ledger"), "{refused}");
    desk.systems.archive(&[]);
    for command in [&["pause"][..], &["limit", "--uploads", "1"]] {
        let refused = desk.refused(command, 2);
        assert!(refused.contains("nothing runs on"), "{refused}");
    }
    assert!(desk.told(&["drain"]).contains("nothing runs"));
    // Without a terminal the last word of a run is one line.
    let lines = desk.systems.must(&["top"]);
    let status = of_type(&lines, "status");
    assert_eq!(
        (&status["doing"], &status["items_done"]),
        (&"ended".into(), &1.into())
    );
    desk.systems.stop();
}

/// The storage refuses this master's addresses from now on.
fn withdrawn(desk: &Desk, seed: u64) -> u64 {
    let rule = Rule::new(Action::Status {
        code: 403,
        headers: Default::default(),
        body: "<Error><Code>AccessDenied</Code></Error>".into(),
        applied: false,
        read_body: true,
    });
    let rule = rule
        .on(System::Bucket)
        .method("GET")
        .path(&format!("*master-{seed}.mxf"))
        .always();
    desk.systems.simulator.faults().add(rule)
}

#[test]
fn a_retry_by_class_keeps_the_parts_that_are_there() {
    let desk = Desk::new(&[LONG, SMALL]);
    let child = desk.archive(&["--limit-bandwidth", "6 MiB/s"]);
    desk.until("three parts", |desk| desk.parts() >= 3);
    let rule = withdrawn(&desk, 1);
    desk.ends(child, 1);
    let parts = desk.parts();
    assert!((3..12).contains(&parts), "{parts} parts are there");
    let status = desk.status();
    let failure = &status["failures"][0];
    assert_eq!(
        (&failure["class"], &failure["state"]),
        (&"item-is-wrong".into(), &"parked".into())
    );
    assert_eq!(failure["items"], 1);
    let remedy = failure["remedy"].as_str().unwrap_or_default();
    assert!(
        remedy.contains("longhaul retry --class item-is-wrong"),
        "{failure}"
    );

    desk.systems.simulator.faults().remove(rule);
    let refused = desk.refused(&["retry", "--class", "wrong"], 2);
    assert!(refused.contains("item-is-wrong"), "{refused}");
    assert!(
        desk.told(&["retry", "--class", "re-sign"])
            .starts_with("there is nothing to try again")
    );
    assert!(
        desk.told(&["retry", "--class", "item-is-wrong"])
            .starts_with("1 item ")
    );
    desk.systems.must(&["resume"]);
    assert_eq!(
        (desk.parts(), desk.published()),
        (12, 2),
        "finished parts stay"
    );
    let (what, by) = desk.steered().pop().expect("a line");
    assert!(
        what == "retry" && by.contains("`longhaul retry`"),
        "{what} {by}"
    );
    desk.systems.stop();
}

#[test]
fn a_run_at_work_takes_up_what_is_tried_again() {
    let desk = Desk::new(&[LONG, SMALL]);
    let rule = withdrawn(&desk, 3);
    let child = desk.archive(&["--limit-bandwidth", "2 MiB/s"]);
    desk.until("a parked item", |desk| {
        let (code, lines) = desk.systems.run(&["status"]);
        code == 0
            && lines
                .iter()
                .any(|line| line["type"] == "item" && line["state"] == "parked")
    });
    desk.systems.simulator.faults().remove(rule);
    let lines = desk.systems.must(&["status", "--state", "parked"]);
    let key = of_type(&lines, "item")["key"]
        .as_str()
        .expect("a key")
        .to_owned();
    let refused = desk.refused(&["retry", "no/such"], 2);
    assert!(refused.contains("no item"), "{refused}");
    assert!(desk.told(&["retry", &key]).starts_with("1 item "));
    desk.told(&["limit", "--bandwidth", "unlimited"]);
    desk.ends(child, 0);
    assert_eq!(desk.published(), 2);
    desk.systems.stop();
}

#[test]
fn an_outage_burns_no_attempt_and_ends_by_itself() {
    let masters: Vec<_> = (1..=12).map(|seed| (seed, 70_000 + seed)).collect();
    let desk = Desk::new(&masters);
    let child = desk.archive(&["--limit-bandwidth", "128 KiB/s"]);
    desk.until("one is filed", |desk| desk.published() > 0);
    let down = Rule::new(Action::Status {
        code: 503,
        headers: Default::default(),
        body: "down".into(),
        applied: false,
        read_body: true,
    });
    let faults = desk.systems.simulator.faults();
    let rule = faults.add(down.on(System::ContentServer).always());
    let mut asked = 0;
    desk.until("it was asked again", |desk| {
        let outages = desk.status()["process"]["outages"].clone();
        asked = outages[0]["asked"].as_u64().unwrap_or(0).max(asked);
        asked >= 2
    });
    let status = desk.status();
    let outage = &status["process"]["outages"][0];
    assert_eq!(outage["system"], "destination", "{outage}");
    assert!(outage["since"].as_i64().is_some_and(|since| since > 0));
    assert_eq!(items(&status, "failed"), 0);
    let text = desk
        .systems
        .place
        .bare()
        .arg("status")
        .output()
        .expect("it ran");
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    assert!(text.contains("Content Server unreachable since"), "{text}");
    desk.systems.simulator.faults().remove(rule);
    desk.told(&["limit", "--bandwidth", "unlimited"]);
    desk.ends(child, 0);
    assert_eq!(desk.published(), 12);
    let lines = desk.systems.must(&["audit"]);
    let of = |event: &str| -> Vec<&Value> {
        let lines = lines.iter().filter(|line| line["type"] == "journal");
        lines.filter(|line| line["event"] == event).collect()
    };
    assert!(!of("outage").is_empty() && of("outage").len() == of("outage-over").len());
    for line in of("waiting") {
        assert_eq!(line["data"]["attempts"], 0, "{line}");
    }
    desk.systems.stop();
}
