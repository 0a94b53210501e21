//! A migration as a project: the delta until cut-over, the freeze, duplicates, and what another
//! tool had loaded before.

use std::process::Stdio;
use std::time::Duration;

use longhaul::simulator::Options;
use longhaul::simulator::campaign::{AssetSpec, Campaign, Checksum, FileSpec};
use longhaul::simulator::iconik::Kind;
use longhaul::types::{KIB, MIB};
use serde_json::{Value, json};

use crate::support::{Extra, Systems, items, of_type, replace};

const ALL: &[&str] = &["migrate", "--query", "*"];

/// Four masters; the last is in the recycle bin.
fn library() -> Systems {
    let campaign = (1..=4).fold(Campaign::new(), |campaign, seed| {
        let file = FileSpec::generated(&format!("master-{seed}.mxf"), seed, 40 * KIB + seed);
        campaign.asset(AssetSpec::new(&format!("Master {seed}"), vec![file]))
    });
    let systems = Systems::start(Options::with(campaign));
    status(&systems, "Master 4", "DELETED");
    systems
}

fn status(systems: &Systems, title: &str, status: &str) {
    let id = systems.assets(&[title]).remove(0);
    let changed = json!({"status": status});
    assert!(systems.simulator.iconik().change(Kind::Asset, &id, changed));
}

/// Calls to both systems that change something.
fn written(systems: &Systems) -> (usize, usize) {
    (
        systems.simulator.content_server().history().len(),
        systems.simulator.iconik().writes().len(),
    )
}

/// What a look found: the change and the title, in order.
fn changes(lines: &[Value]) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let mut found: Vec<_> = lines
        .iter()
        .filter(|line| line["type"] == "changed_since_freeze")
        .map(|line| (text(&line["change"]), text(&line["title"])))
        .collect();
    found.sort();
    found
}

fn events(systems: &Systems) -> Vec<String> {
    let lines = systems.must(&["audit"]);
    let lines = lines.iter().filter(|line| line["type"] == "journal");
    lines
        .map(|line| line["event"].as_str().expect("a word").to_owned())
        .collect()
}

#[test]
fn the_delta_moves_what_is_new_or_changed_and_nothing_else() {
    let systems = library();
    let lines = systems.must(ALL);
    assert_eq!(items(of_type(&lines, "summary"), "done"), 3);
    let before = systems.simulator.content_server().history().len();
    let lines = systems.must(ALL);
    let summary = of_type(&lines, "summary");
    assert_eq!(
        (items(summary, "done"), &summary["already_done"]),
        (0, &json!(3))
    );
    assert_eq!(systems.simulator.content_server().history().len(), before);

    replace(&systems, "master-1.mxf", 91, 50 * KIB);
    status(&systems, "Master 4", "ACTIVE");
    let lines = systems.must(ALL);
    let summary = of_type(&lines, "summary");
    assert_eq!(
        (items(summary, "done"), &summary["already_done"]),
        (2, &json!(2))
    );
    assert_eq!(systems.named("master-1.mxf").len(), 2, "a second version");
    assert_eq!(systems.named("master-4.mxf").len(), 1);
    systems.stop();
}

#[test]
fn a_frozen_migration_moves_nothing_and_says_what_has_changed_since() {
    let systems = library();
    systems.must(ALL);
    let (code, _) = systems.run(&["freeze", "--because", " "]);
    assert_eq!(code, 2, "a reason is asked for");
    let because = ["--because", "cut-over, change 4711"];
    let lines = systems.must(&[&["freeze"], &because[..], &["--dry-run"]].concat());
    assert_eq!(of_type(&lines, "freeze")["dry_run"], true);
    assert!(!events(&systems).contains(&"frozen".to_owned()));
    let lines = systems.must(&[&["freeze"], &because[..]].concat());
    assert_eq!(of_type(&lines, "freeze")["not_moved"], 0);
    // The first mark stands.
    systems.must(&["freeze", "--because", "again"]);

    let before = written(&systems);
    let lines = systems.must(ALL);
    let look = of_type(&lines, "freeze");
    assert_eq!((&look["assets"], &look["changes"]), (&json!(3), &json!({})));

    replace(&systems, "master-1.mxf", 91, 50 * KIB);
    status(&systems, "Master 2", "DELETED");
    status(&systems, "Master 4", "ACTIVE");
    let third = systems.assets(&["Master 3"]).remove(0);
    assert!(
        systems
            .simulator
            .iconik()
            .set_values(&third, "campaign", &["Summer"])
    );
    let expected: Vec<(String, String)> = [
        ("changed", "Master 1"),
        ("gone", "Master 2"),
        ("metadata-changed", "Master 3"),
        ("new", "Master 4"),
    ]
    .map(|(change, title)| (change.to_owned(), title.to_owned()))
    .to_vec();
    let (code, lines) = systems.run(&[ALL, &["--dry-run"]].concat());
    assert_eq!((code, changes(&lines)), (3, expected.clone()), "{lines:#?}");
    for _ in 0..2 {
        let (code, lines) = systems.run(ALL);
        assert_eq!((code, changes(&lines)), (3, expected.clone()));
    }
    assert_eq!(
        written(&systems),
        before,
        "nothing is written at either end"
    );
    let lines = systems.must(&["status"]);
    let line = of_type(&lines, "freeze");
    assert_eq!(line["because"], "cut-over, change 4711");
    assert_eq!(line["changes"]["gone"], 1, "{line}");
    let looks = events(&systems);
    let looks = looks.iter().filter(|event| *event == "looked-since-freeze");
    assert_eq!(looks.count(), 2, "only what is another finding");

    systems.must(&["freeze", "--lift", "--because", "a late delivery"]);
    let lines = systems.must(ALL);
    assert_eq!(items(of_type(&lines, "summary"), "done"), 3, "{lines:#?}");
    systems.must(&["freeze", "--lift", "--because", "nothing to lift"]);
    let events = events(&systems);
    let count = |wanted: &str| events.iter().filter(|event| *event == wanted).count();
    assert_eq!((count("frozen"), count("freeze-lifted")), (1, 1));
    systems.stop();
}

/// Kills a run of the whole library once something of it is at the destination.
fn killed_half_way(systems: &Systems) {
    let slow = [ALL, &["--limit-bandwidth", "6 MiB/s", "--json"]].concat();
    let mut child = systems
        .place
        .bare()
        .args(slow)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("longhaul starts");
    let arrived = || {
        let history = systems.simulator.content_server().history();
        history.iter().any(|effect| effect["kind"] == "part")
    };
    while !arrived() {
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().expect("it can be killed");
    child.wait().expect("it is dead");
}

#[test]
fn a_run_that_was_killed_is_not_resumed_over_a_freeze_unless_that_is_asked_for() {
    let campaign = (1..=2).fold(Campaign::new(), |campaign, seed| {
        let file = FileSpec::generated(&format!("master-{seed}.mxf"), seed, 12 * MIB);
        campaign.asset(AssetSpec::new(&format!("Master {seed}"), vec![file]))
    });
    let systems = Systems::start(Options::with(campaign));
    killed_half_way(&systems);
    let lines = systems.must(&["freeze", "--because", "cut-over"]);
    assert!(
        of_type(&lines, "freeze")["not_moved"].as_u64() > Some(0),
        "{lines:#?}"
    );
    let before = written(&systems);
    for resume in [&["resume"][..], &["resume", "--dry-run"]] {
        let (code, lines) = systems.run(resume);
        assert_eq!(code, 3, "{lines:#?}");
        let message = of_type(&lines, "exit")["message"].to_string();
        assert!(
            message.contains("cut-over") && message.contains("--despite-freeze"),
            "{message}"
        );
    }
    let (code, lines) = systems.run(ALL);
    assert_eq!(code, 3);
    let found = changes(&lines);
    assert!(
        found.iter().any(|(change, _)| change == "not-moved"),
        "{found:?}"
    );
    assert_eq!(written(&systems), before);

    let lines = systems.must(&["resume", "--despite-freeze", "--dry-run"]);
    let would = of_type(&lines, "would_resume");
    assert!(would["items"].as_u64() > Some(0), "{would}");
    assert_eq!(written(&systems), before);
    systems.must(&["resume", "--despite-freeze"]);
    systems.must(&[ALL, &["--despite-freeze"]].concat());
    let lines = systems.must(ALL);
    assert_eq!(changes(&lines), []);
    assert!(events(&systems).contains(&"moved-despite-freeze".to_owned()));
    for seed in 1..=2 {
        assert_eq!(systems.named(&format!("master-{seed}.mxf")).len(), 1);
    }
    systems.stop();
}

/// Four assets: three with the same content, of which one has no checksum.
fn alike(policy: &str) -> Systems {
    let file =
        |name: &str, seed, checksum| FileSpec::generated(name, seed, 30 * KIB).checksum(checksum);
    let campaign = [
        ("One", file("one.mxf", 1, Checksum::Md5)),
        ("Same", file("same.mxf", 1, Checksum::Md5)),
        ("Unquoted", file("unquoted.mxf", 1, Checksum::Absent)),
        ("Other", file("other.mxf", 2, Checksum::Md5)),
    ]
    .into_iter()
    .fold(Campaign::new(), |campaign, (title, file)| {
        campaign.asset(AssetSpec::new(title, vec![file]))
    });
    let sections = format!("[migrate]\nduplicates = \"{policy}\"");
    let extra = Extra {
        sections: &sections,
        ..Extra::default()
    };
    Systems::with(Options::with(campaign), extra)
}

#[test]
fn the_same_content_is_filed_for_each_asset_and_said_in_plan_and_report() {
    let systems = alike("file");
    let lines = systems.must(&["plan", "migrate", "--query", "*"]);
    let totals = &of_type(&lines, "summary")["totals"];
    assert_eq!(
        (&totals["duplicates"], &totals["assets_in"]),
        (&json!(1), &json!(4))
    );
    assert_eq!(totals["duplicate_bytes"], 30 * KIB);
    let lines = systems.must(ALL);
    assert_eq!(items(of_type(&lines, "summary"), "done"), 4);
    let lines = systems.must(&["report"]);
    let repeated = &of_type(&lines, "report")["repeated"];
    // By digest the one without a checksum is found as well.
    assert_eq!(
        (
            &repeated["contents"],
            &repeated["copies"],
            &repeated["bytes"]
        ),
        (&json!(1), &json!(2), &json!(60 * KIB))
    );
    assert_eq!(
        repeated["largest"][0]["filed"].as_array().map(Vec::len),
        Some(3)
    );
    systems.must(&["report", "--out", "report.html"]);
    let page = std::fs::read_to_string(systems.place.path().join("report.html")).expect("a page");
    assert!(page.contains("The same content for several assets"));
    systems.stop();
}

#[test]
fn a_duplicate_is_held_until_a_person_says_what_becomes_of_it() {
    let systems = alike("hold");
    let lines = systems.must(&["plan", "migrate", "--query", "*"]);
    let totals = &of_type(&lines, "summary")["totals"];
    assert_eq!(
        (&totals["assets_blocked"], &totals["assets_in"]),
        (&json!(1), &json!(3))
    );
    assert_eq!(totals["waiting"]["duplicate"]["assets"], 1);
    let key = |lines: &[Value]| {
        let item = of_type(lines, "item");
        assert_eq!(
            (&item["state"], &item["reason"]),
            (&json!("held"), &json!("duplicate"))
        );
        item["key"].as_str().expect("a key").to_owned()
    };
    let (code, lines) = systems.run(ALL);
    assert_eq!(code, 3, "{lines:#?}");
    assert_eq!(items(of_type(&lines, "summary"), "done"), 3);
    let held = key(&lines);
    let before = written(&systems);
    let (code, lines) = systems.run(ALL);
    assert_eq!((code, key(&lines)), (3, held.clone()), "it goes on waiting");
    assert_eq!(written(&systems).0, before.0);

    // What would be tried again is said, and nothing is changed.
    let lines = systems.must(&["retry", "--state", "held", "--dry-run"]);
    let decided = of_type(&lines, "decided");
    assert_eq!(
        (&decided["key"], &decided["dry_run"]),
        (&json!(held), &json!(true))
    );
    let lines = systems.must(&["resume", "--retry", "held", "--dry-run"]);
    assert_eq!(of_type(&lines, "would_resume")["retried"], 1);
    let (code, _) = systems.run(&["retry", "--state", "done", "--dry-run"]);
    assert_eq!(code, 2);
    let lines = systems.must(&["status", "--state", "held"]);
    assert_eq!(key(&lines), held);

    systems.must(&["decide", &held, "--retry", "--because", "both are wanted"]);
    // The word stands, whichever command carries it out.
    let lines = systems.must(ALL);
    assert_eq!(items(of_type(&lines, "summary"), "done"), 1, "{lines:#?}");
    for name in ["one.mxf", "same.mxf", "unquoted.mxf", "other.mxf"] {
        assert_eq!(systems.named(name).len(), 1, "{name}");
    }
    systems.must(ALL);
    systems.stop();
}
