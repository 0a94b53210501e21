//! The JSON lines are what `fixtures/schema/longhaul-1.json` says. Every line that any test here
//! reads is checked against it; these tests see to it that every command and every type is among
//! them, and that the checker finds what is wrong.

use std::collections::BTreeSet;
use std::path::Path;

use longhaul::simulator::Options;
use longhaul::simulator::campaign::{AssetSpec, Campaign, FileSpec};
use serde_json::{Value, json};

use crate::support::schema::{check_line, schema};
use crate::support::{Extra, Systems, of_type};

/// The types that the sources print.
fn printed() -> BTreeSet<String> {
    fn walk(folder: &Path, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).expect("a source folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                walk(&path, found);
                continue;
            }
            let text = std::fs::read_to_string(&path).expect("a source file");
            let calls = text.match_indices(".event(");
            for (at, what) in calls.chain(text.match_indices("json_type: ")) {
                let rest = text[at + what.len()..].trim_start();
                if let Some(rest) = rest.strip_prefix('"') {
                    found.insert(rest.split('"').next().unwrap_or_default().to_owned());
                }
            }
        }
    }
    let mut found = BTreeSet::new();
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cli");
    walk(&sources, &mut found);
    found
}

#[test]
fn the_schema_has_exactly_the_types_that_are_printed() {
    let defined: BTreeSet<String> = schema()["$defs"]
        .as_object()
        .expect("definitions")
        .keys()
        .cloned()
        .collect();
    assert_eq!(printed(), defined);
    for (kind, of_kind) in schema()["$defs"].as_object().expect("definitions") {
        assert_eq!(of_kind["properties"]["type"]["const"], *kind);
        assert_eq!(of_kind["properties"]["schema"]["const"], "longhaul/1");
        assert!(
            of_kind["description"].is_string(),
            "{kind} is not explained"
        );
        let reference = json!({"$ref": format!("#/$defs/{kind}")});
        let all = schema()["oneOf"].as_array().expect("all types");
        assert!(all.contains(&reference), "{kind} is not among all types");
    }
}

const SETTINGS: &str = r#"
[map.fields.campaign]
category = "Media record"
attribute = "Campaign"
[rights]
fields = { status = "rights_status" }
[approval]
routes = [{ name = "release", map = "Release approval" }]
when = "any"
[lifecycle]
expiry = "expires_on"
[references]
audience = 999
[package]
originals = "remove"
"#;

#[test]
fn every_command_prints_what_the_schema_says() {
    let file = |name: &str, seed| FileSpec::generated(name, seed, 5_000);
    let lost = file("lost.mxf", 3).with(|file| file.lost = true);
    let campaign = Campaign::new()
        .asset(AssetSpec::new("Master", vec![file("master.mxf", 1)]))
        .asset(AssetSpec::new("Lost", vec![lost]));
    let extra = Extra {
        sections: SETTINGS,
        ..Extra::default()
    };
    let systems = Systems::with(Options::with(campaign), extra);
    let collection = systems.simulator.collection();
    let asset = systems.assets(&["Master"]).remove(0);
    let mut seen = BTreeSet::new();
    let mut runs = |arguments: &[&str], code: i32| -> Vec<Value> {
        let (ended, lines) = systems.run(arguments);
        assert_eq!(ended, code, "{arguments:?}: {lines:#?}");
        for line in &lines {
            if let Err(why) = check_line(line) {
                panic!("{arguments:?}: {why}: {line}");
            }
            seen.insert(line["type"].as_str().expect("a type").to_owned());
        }
        lines
    };
    runs(&["init", "another.toml"], 0);
    runs(&["settings", "show", "--origin"], 0);
    runs(&["settings", "check"], 0);
    runs(&["doctor"], 0);
    runs(&["doctor", "--probe", "--dry-run"], 0);
    runs(&["doctor", "--probe", "--yes"], 0);
    runs(&["completions", "bash"], 0);
    runs(&["man"], 0);
    let written = runs(&["man", "--out", "pages", "--dry-run"], 0);
    assert!(written.len() > 20 && !systems.place.path().join("pages").exists());
    runs(&["man", "--out", "pages"], 0);
    assert!(
        systems
            .place
            .path()
            .join("pages/longhaul-plan-migrate.1")
            .exists()
    );
    runs(&["plan", "archive", &collection, "--depth", "listing"], 0);
    runs(&["plan", "archive", &collection, "--explain", &asset], 0);
    runs(&["plan", "archive", &collection, "--out", "plan.jsonl"], 0);
    runs(&["map", "test", &asset], 0);
    runs(&["rights", "show", &asset], 0);
    runs(&["rights", "test", &asset, "--use", "web"], 3);
    runs(&["plan", "publish", &collection], 0);
    runs(&["publish", &collection], 0);
    runs(&["metadata", "--dry-run"], 0);
    runs(&["rights", "expiring"], 0);
    runs(&["references", "--dry-run"], 0);
    runs(&["references", "list"], 0);
    runs(&["exchange"], 0);
    runs(&["exchange", "list"], 0);
    runs(&["audit", "report", "--out", "audit.html"], 0);
    let flows = format!("flows = [\"publish {collection}\", \"metadata\"]\n");
    systems.place.write("flows.toml", &flows);
    runs(&["run", "flows.toml", "--dry-run"], 0);
    let ended = runs(&["run", "flows.toml"], 0);
    let codes = ended.iter().filter(|line| line["type"] == "flow");
    assert_eq!(codes.filter(|line| line["code"] == 0).count(), 2);
    runs(&["archive", &collection], 1);
    runs(&["approval"], 0);
    runs(&["approval", "list"], 0);
    runs(&["archive", "--plan", "plan.jsonl"], 1);
    let status = runs(&["status", "--state", "parked"], 0);
    let parked = of_type(&status, "item")["key"]
        .as_str()
        .expect("a key")
        .to_owned();
    runs(&["status"], 0);
    runs(&["status", "--run", "3"], 0);
    runs(&["top"], 0);
    runs(&["audit"], 0);
    runs(&["audit", "verify"], 0);
    runs(&["reconcile", "--staging", "--dry-run"], 0);
    // The lost master waits for a person.
    runs(&["reconcile", "--run", "3"], 3);
    runs(&["report", "--run", "3"], 0);
    runs(&["report", "--run", "3", "--out", "report.html"], 0);
    runs(&["verify", "--run", "3"], 0);
    let node = systems.named("master.mxf")[0].node.to_string();
    runs(&["export", "--node", &node, "--to", "out.mxf"], 0);
    let decide = ["decide", &parked, "--decline", "--because", "it is lost"];
    let dry = [&decide[..], &["--dry-run"]].concat();
    assert_eq!(of_type(&runs(&dry, 0), "decided")["dry_run"], true);
    let journal = runs(&["audit"], 0);
    assert!(
        journal.iter().all(|line| line["event"] != "decided"),
        "nothing was changed"
    );
    runs(&["retry", "--state", "parked"], 0);
    runs(&["resume", "--dry-run"], 0);
    runs(&["resume"], 1);
    runs(&decide, 0);
    runs(&["drain"], 0);
    // The lost master is a gap.
    runs(&["archive", &collection, "--package"], 1);
    runs(&["package", "export", "--to", "packages"], 0);
    runs(&["package", "check"], 0);
    runs(&["package", "retire", "--dry-run"], 0);
    assert!(
        systems
            .simulator
            .iconik()
            .set_values(&asset, "expires_on", &["2020-01-01"])
    );
    runs(&["lifecycle"], 0);
    runs(&["lifecycle", "list"], 0);
    std::fs::remove_file(systems.place.path().join("longhaul.db")).expect("the ledger");
    let dry = runs(&["adopt", "--dry-run"], 0);
    assert!(of_type(&dry, "adopted")["versions"].as_u64() > Some(0));
    assert!(
        !systems.place.path().join("longhaul.db").exists(),
        "no ledger is made"
    );
    runs(&["adopt"], 0);
    let by_name = ["adopt", "loaded", "--query", "title:Master", "--by", "name"];
    runs(&by_name, 0);
    runs(&["freeze", "--because", "cut-over"], 0);
    // The lost master was never moved.
    runs(&["migrate", "--query", "*"], 3);
    runs(&["archive", "no id"], 2);
    systems.stop();
    // What needs a signal, a damaged world or minutes is printed in other tests, or not at all.
    let elsewhere = [
        "progress",
        "verifying",
        "stopping",
        "closed",
        "doubled",
        "staged",
        "simulated",
        "step",
        "killed",
        "demo",
        "bench-run",
        "bench-scratch",
        "bench",
        "bench-compared",
        "metadata",
        "metadata_conflict",
        "rights_ending",
        "rights_soon",
        "reference",
        "reference_shown",
        "reference_waiting",
        "exchange",
        "exchange_line",
    ];
    let missing: Vec<String> = printed()
        .into_iter()
        .filter(|kind| !seen.contains(kind) && !elsewhere.contains(&kind.as_str()))
        .collect();
    assert!(missing.is_empty(), "never printed: {missing:?}");
}

#[test]
fn a_line_that_is_not_as_the_schema_says_is_found() {
    let good =
        json!({"schema": "longhaul/1", "type": "exit", "code": 0, "name": "done", "message": null});
    assert_eq!(check_line(&good), Ok(()));
    for (field, value, words) in [
        ("schema", json!("longhaul/2"), "exit.schema"),
        ("type", json!("exti"), "no type"),
        ("code", json!("0"), "exit.code"),
        ("code", json!(3000), "one of"),
        ("name", json!("fine"), "one of"),
        ("message", json!(7), "exit.message"),
    ] {
        let mut bad = good.clone();
        bad[field] = value;
        let why = check_line(&bad).expect_err("a wrong line");
        assert!(why.contains(words), "{why}");
    }
    let mut bad = good;
    bad.as_object_mut().expect("an object").remove("name");
    assert!(
        check_line(&bad)
            .expect_err("a field is missing")
            .contains("exit.name")
    );
}
