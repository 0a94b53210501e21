//! A migration as a project: the delta until cut-over, the freeze, duplicates, and what another
//! tool had loaded before.

use std::process::Stdio;
use std::time::Duration;

use longhaul::content_server::CategoryValues;
use longhaul::simulator::Options;
use longhaul::simulator::campaign::{AssetSpec, Campaign, Checksum, FileSpec};
use longhaul::simulator::iconik::Kind;
use longhaul::simulator::masters::Master;
use longhaul::transfer::{Content, Destination, NewContent};
use longhaul::types::{ByteRange, KIB, MIB, NodeId};
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
    // The one without a checksum has that content too; the plan says how many it cannot compare.
    assert_eq!(totals["uncompared_without_md5"], 1);
    let text = systems
        .place
        .bare()
        .args(["plan", "migrate", "--query", "*", "--summary"])
        .output()
        .expect("longhaul starts");
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    assert!(
        text.contains("1 versions are filed without a look for duplicates: iconik quotes no MD5"),
        "{text}"
    );
    let lines = systems.must(&["doctor"]);
    assert!(
        lines.iter().any(|line| line["what"] == "duplicates"),
        "{lines:?}"
    );
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

/// What another tool did: a document of that name and content, described by its people.
fn load(systems: &Systems, folder: NodeId, name: &str, content: Vec<u8>) -> NodeId {
    systems.person(async |client| {
        let content = NewContent::Body {
            file_name: name.into(),
            mime: "application/mxf".into(),
            content: Content::Chunks(vec![content.into()]),
        };
        let made = client.create_document(folder, name, content).await?;
        client
            .describe(made.node, made.version, "loaded in 2019, tape 7")
            .await?;
        Ok(made.node)
    })
}

fn bytes_of(seed: u64, size: u64) -> Vec<u8> {
    Master::generated(seed, size).read(ByteRange::new(0, size))
}

/// What became of each asset, by title.
fn outcomes(lines: &[Value]) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let mut found: Vec<_> = lines
        .iter()
        .filter(|line| line["type"] == "matched")
        .map(|line| (text(&line["title"]), text(&line["outcome"])))
        .collect();
    found.sort();
    found
}

/// Four assets; all but one were loaded before, one of them with other bytes.
fn loaded() -> Systems {
    let file = |name: &str, seed, checksum| {
        FileSpec::generated(name, seed, 60 * KIB + seed).checksum(checksum)
    };
    let campaign = [
        ("Absent", file("absent.mxf", 1, Checksum::Md5)),
        ("Other", file("other.mxf", 2, Checksum::Md5)),
        ("Quoted", file("quoted.mxf", 3, Checksum::Md5)),
        ("Unquoted", file("unquoted.mxf", 4, Checksum::Absent)),
    ]
    .into_iter()
    .fold(Campaign::new(), |campaign, (title, file)| {
        campaign.asset(AssetSpec::new(title, vec![file]))
    });
    let systems = Systems::start(Options::with(campaign));
    let target = NodeId(systems.simulator.parts().target);
    let mut other = bytes_of(2, 60 * KIB + 2);
    other[7] ^= 1;
    load(&systems, target, "other.mxf", other);
    load(&systems, target, "quoted.mxf", bytes_of(3, 60 * KIB + 3));
    load(&systems, target, "unquoted.mxf", bytes_of(4, 60 * KIB + 4));
    systems
}

fn pairs(all: [(&str, &str); 4]) -> Vec<(String, String)> {
    all.map(|(title, outcome)| (title.to_owned(), outcome.to_owned()))
        .to_vec()
}

const BY_NAME: &[&str] = &["adopt", "loaded", "--query", "*", "--by", "name"];

#[test]
fn what_another_tool_loaded_is_adopted_when_it_is_the_same_bytes_and_not_filed_again() {
    let systems = loaded();
    let before = written(&systems);
    let lines = systems.must(&[BY_NAME, &["--dry-run"]].concat());
    let would = [
        ("Absent", "absent"),
        ("Other", "would-compare"),
        ("Quoted", "would-compare"),
        ("Unquoted", "would-compare"),
    ];
    assert_eq!(outcomes(&lines), pairs(would));
    assert_eq!(written(&systems), before);
    assert!(!systems.place.path().join("longhaul.db").exists());

    // Killed once it has said whose the first one is, and before that is recorded.
    let mut command = systems.place.bare();
    command.args(BY_NAME).arg("--json");
    command.env("LONGHAUL_CRASH", "adopted-described:1");
    let killed = command.output().expect("longhaul starts");
    assert!(!killed.status.success());
    let (code, lines) = systems.run(BY_NAME);
    assert_eq!(code, 3, "{lines:#?}");
    let found = outcomes(&lines);
    let is = |title: &str| {
        let one = found.iter().find(|(name, _)| name == title);
        one.expect("a line").1.clone()
    };
    assert_eq!(
        (is("Absent").as_str(), is("Other").as_str()),
        ("absent", "unclear")
    );
    for title in ["Quoted", "Unquoted"] {
        assert!(
            ["adopted", "known"].contains(&is(title).as_str()),
            "{found:?}"
        );
    }
    for name in ["quoted.mxf", "unquoted.mxf"] {
        let version = systems.named(name).remove(0);
        assert!(version.marker.is_some(), "{name}");
        assert!(
            version.description.ends_with("loaded in 2019, tape 7"),
            "people's words stay: {}",
            version.description
        );
    }
    let other = systems.named("other.mxf").remove(0);
    assert_eq!(
        other.description, "loaded in 2019, tape 7",
        "nothing is guessed"
    );
    let status = systems.must(&["status"]);
    let adopt = status.iter().find(|line| line["flow"] == "adopt");
    assert_eq!(adopt.expect("how it stands")["waiting"], 1);

    let before = written(&systems);
    let (code, lines) = systems.run(BY_NAME);
    let again = [
        ("Absent", "absent"),
        ("Other", "unclear"),
        ("Quoted", "known"),
        ("Unquoted", "known"),
    ];
    assert_eq!((code, outcomes(&lines)), (3, pairs(again)));
    assert_eq!(written(&systems), before, "a second time writes nothing");

    let lines = systems.must(ALL);
    assert_eq!(items(of_type(&lines, "summary"), "done"), 4, "{lines:#?}");
    for name in ["absent.mxf", "quoted.mxf", "unquoted.mxf"] {
        assert_eq!(systems.named(name).len(), 1, "{name} is there once");
    }
    systems.must(&["verify"]);
    systems.stop();
}

#[test]
fn pairs_come_from_a_list_or_an_attribute_and_what_is_wrong_is_refused() {
    let systems = loaded();
    let ids = systems.assets(&["Quoted", "Unquoted", "Absent"]);
    let quoted = systems.named("quoted.mxf")[0].node;
    let unquoted = systems.named("unquoted.mxf")[0].node;
    let by_node = ["adopt", "loaded", "--csv", "loaded.csv", "--by", "node"];
    let list = |rows: &[(&str, i64)]| {
        let rows: Vec<String> = rows
            .iter()
            .map(|(id, node)| format!("{id},{node}\n"))
            .collect();
        systems
            .place
            .write("loaded.csv", &format!("id,node\n{}", rows.concat()));
    };
    list(&[
        (&ids[0], quoted),
        (&ids[1], 99_999_999),
        (&ids[2], unquoted),
    ]);
    let (code, lines) = systems.run(&by_node);
    assert_eq!(code, 3);
    let found: Vec<&Value> = lines
        .iter()
        .filter(|line| line["type"] == "matched")
        .collect();
    let words: Vec<&Value> = found.iter().map(|line| &line["outcome"]).collect();
    assert_eq!(words, ["adopted", "unclear", "unclear"], "{lines:#?}");
    assert!(
        found[2]["detail"].to_string().contains("bytes"),
        "{}",
        found[2]
    );

    // A document that is one asset's is no other's.
    list(&[(&ids[2], quoted)]);
    let (code, lines) = systems.run(&by_node);
    assert_eq!(code, 3);
    let detail = of_type(&lines, "matched")["detail"].to_string();
    assert!(detail.contains("another master"), "{detail}");

    let target = NodeId(systems.simulator.parts().target);
    let id = ids[1].clone();
    systems.person(async |client| {
        let facts = client.category_facts(&["Media asset"], target).await?;
        let title = facts[0].attributes.iter().find(|own| own.name == "Title");
        let key = format!("{}_{}", facts[0].id, title.expect("an attribute").id);
        let values = CategoryValues([(key, json!(id))].into_iter().collect());
        client
            .set_category(NodeId(unquoted), NodeId(facts[0].id), &values)
            .await
    });
    let by_attribute = [
        "adopt",
        "loaded",
        "--by",
        "attribute",
        "--attribute",
        "Media asset/Title",
    ];
    let lines = systems.must(&by_attribute);
    let line = of_type(&lines, "matched");
    assert_eq!(
        (&line["title"], &line["outcome"]),
        (&json!("Unquoted"), &json!("adopted"))
    );

    for (arguments, says) in [
        (&["--by", "node"][..], "--csv"),
        (&["--by", "name"], "--query"),
        (&["--by", "attribute"], "--attribute"),
        (
            &["--by", "attribute", "--attribute", "Title"],
            "CATEGORY/ATTRIBUTE",
        ),
        (
            &["--by", "attribute", "--attribute", "Media asset/Nothing"],
            "Nothing",
        ),
        (
            &["--by", "name", "--query", "*", "--folder", "99999999"],
            "99999999",
        ),
        (
            &[
                "--by",
                "node",
                "--csv",
                "loaded.csv",
                "--node-column",
                "place",
            ],
            "--node-column",
        ),
    ] {
        let (code, lines) = systems.run(&[&["adopt", "loaded"], arguments].concat());
        let message = of_type(&lines, "exit")["message"].to_string();
        assert_eq!(code, 2, "{arguments:?}: {message}");
        assert!(message.contains(says), "{message}");
    }
    systems.stop();
}

#[test]
fn a_probe_reads_a_little_writes_nothing_and_says_how_long_it_takes() {
    let campaign = (1..=2).fold(Campaign::new(), |campaign, seed| {
        let file = FileSpec::generated(&format!("master-{seed}.mxf"), seed, 12 * MIB);
        campaign.asset(AssetSpec::new(&format!("Master {seed}"), vec![file]))
    });
    let systems = Systems::start(Options::with(campaign));
    let before = written(&systems);
    let plan = ["plan", "migrate", "--query", "*", "--summary"];
    let lines = systems.must(&plan);
    let summary = of_type(&lines, "summary");
    assert_eq!(
        (&summary["probe"], &summary["hours"]["low"]),
        (&Value::Null, &Value::Null)
    );
    let lines = systems.must(&[&plan[..], &["--probe"]].concat());
    let summary = of_type(&lines, "summary");
    let probe = &summary["probe"];
    assert_eq!(
        (&probe["masters"], &probe["bytes"]),
        (&json!(2), &json!(24 * MIB))
    );
    let hours = &summary["hours"];
    assert!(hours["low"].as_f64() > Some(0.0), "{hours}");
    assert!(hours["low"].as_f64() <= hours["high"].as_f64(), "{hours}");
    assert_eq!(written(&systems), before);
    assert!(!systems.place.path().join("longhaul.db").exists());
    let (code, _) = systems.run(&[&plan[..], &["--probe", "--depth", "listing"]].concat());
    assert_eq!(code, 2);
    systems.stop();
}
