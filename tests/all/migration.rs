//! A migration as a project: the delta until cut-over, the freeze, duplicates, and what another
//! tool had loaded before.

use std::time::Duration;

use longhaul::simulator::Options;
use longhaul::simulator::campaign::{AssetSpec, Campaign, FileSpec};
use longhaul::simulator::iconik::Kind;
use longhaul::types::KIB;
use serde_json::{Value, json};

use crate::support::{Systems, items, of_type, replace};

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

#[test]
fn a_run_that_was_killed_is_not_resumed_over_a_freeze_unless_that_is_asked_for() {
    let systems = library();
    let slow = [ALL, &["--limit-bandwidth", "16 KiB/s"]].concat();
    systems.kill_after(Duration::from_millis(1_200), &slow);
    // A process that dies before it has a ledger has nothing to freeze.
    systems.run(
        &[
            ALL,
            &[
                "--limit-bandwidth",
                "16 KiB/s",
                "--max-bytes",
                "1",
                "--no-wait",
            ],
        ]
        .concat(),
    );
    let lines = systems.must(&["freeze", "--because", "cut-over"]);
    assert!(
        of_type(&lines, "freeze")["not_moved"].as_u64() > Some(0),
        "{lines:#?}"
    );
    let before = written(&systems);
    let (code, lines) = systems.run(&["resume"]);
    assert_eq!(code, 3, "{lines:#?}");
    let message = of_type(&lines, "exit")["message"].to_string();
    assert!(
        message.contains("cut-over") && message.contains("--despite-freeze"),
        "{message}"
    );
    let (code, lines) = systems.run(ALL);
    assert_eq!(code, 3);
    assert!(
        changes(&lines)
            .iter()
            .any(|(change, _)| change == "not-moved")
    );
    assert_eq!(written(&systems), before);

    systems.must(&["resume", "--despite-freeze"]);
    systems.must(&[ALL, &["--despite-freeze"]].concat());
    let lines = systems.must(ALL);
    assert_eq!(changes(&lines), []);
    let events = events(&systems);
    assert!(events.contains(&"moved-despite-freeze".to_owned()));
    systems.stop();
}
