//! A whole campaign at its end, through every flow of the record: published, its rights asked about,
//! packed, each of them killed half way and gone on with; compared, exported, and left alone by a
//! second run. The campaign is what `simulate --campaign season` shows, with its own settings.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use longhaul::sidecar::bagit;
use longhaul::simulator::Options;
use longhaul::simulator::campaign::season;
use longhaul::types::NodeId;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::support::{Extra, Systems, items, of_type};

/// Final masters, the theme and the frames; those of which a release form is missing are held.
const PUBLISHED: u64 = 40;
const PAPERS: u64 = 3;
const HELD: u64 = 2;
const NOT_FINAL: u64 = 15;

fn start() -> Systems {
    let extra = Extra {
        iconik: "calls_per_second = 1000",
        ..Extra::default()
    };
    Systems::with(Options::with(season()), extra)
}

/// Runs a command that is killed again and again, each time a little later, and then to its end.
fn through_kills(systems: &Systems, arguments: &[&str]) -> (i32, Vec<Value>) {
    for patience in [300, 700, 1_200] {
        systems.kill_after(Duration::from_millis(patience), arguments);
    }
    systems.run(arguments)
}

/// Everything that could show a change, at both ends.
fn effects(systems: &Systems) -> (usize, usize) {
    (
        systems.simulator.iconik().writes().len(),
        systems.simulator.content_server().history().len(),
    )
}

/// Nothing that people see is there twice: a document has one version, and a name is in a place once.
#[track_caller]
fn nothing_twice(systems: &Systems) {
    let versions = systems.versions();
    let places: BTreeSet<(i64, &str)> = versions
        .iter()
        .map(|version| (version.parent, version.name.as_str()))
        .collect();
    assert_eq!(places.len(), versions.len(), "{versions:#?}");
    assert!(versions.iter().all(|version| version.version == 1));
}

/// The names of the containers that a master is in, below the target.
fn path(systems: &Systems, name: &str) -> Vec<String> {
    let node = NodeId(systems.named(name)[0].node);
    systems.person(|server| async move {
        use longhaul::transfer::Destination as _;
        let mut names = Vec::new();
        let mut at = server.node(node).await?;
        while at.name != "Masters" {
            names.insert(0, at.name.clone());
            at = server.node(at.parent).await?;
        }
        Ok(names)
    })
}

/// The records class of a master, and whether it is official.
fn class(systems: &Systems, name: &str) -> (NodeId, bool) {
    let node = NodeId(systems.named(name)[0].node);
    let record = systems.person(|server| async move { server.record_state(node).await });
    let record = record.record.expect("a record");
    (record.class.expect("a class"), record.official)
}

/// The records class that the settings name after this word.
fn wanted_class(systems: &Systems, word: &str) -> NodeId {
    let settings = &systems.simulator.parts().settings;
    let (_, after) = settings.split_once(word).expect("a class");
    let id = after.split([' ', ',']).next().expect("an id");
    NodeId(id.parse().expect("a number"))
}

#[test]
fn a_campaign_is_published_by_its_regimes_and_regions_whatever_kills_the_run() {
    let systems = start();
    let collection = systems.simulator.collection();
    let (code, lines) = through_kills(&systems, &["publish", &collection]);
    assert_eq!(code, 3, "{lines:#?}");
    let summary = of_type(&lines, "summary");
    assert_eq!(
        (items(summary, "held"), &summary["left_out"]),
        (HELD, &json!(NOT_FINAL))
    );
    let held: Vec<&Value> = lines.iter().filter(|line| line["type"] == "item").collect();
    assert!(
        held.iter().all(|item| item["reason"] == "paper-missing"),
        "{held:#?}"
    );
    nothing_twice(&systems);
    let seen = |end: &str| {
        let versions = systems.versions();
        versions
            .iter()
            .filter(|one| one.name.ends_with(end))
            .count() as u64
    };
    // Each of the frames' four files; each master has a metadata and a rights sidecar.
    assert_eq!(seen(".mxf") + seen(".wav") + seen(".dpx"), PUBLISHED + 3);
    assert_eq!(seen(".pdf"), PAPERS);
    assert_eq!(seen(".metadata.json"), PUBLISHED);
    assert_eq!(seen(".rights.jsonld"), PUBLISHED);

    assert_eq!(
        path(&systems, "NORTH_01.mxf"),
        ["Harbour North", "emea", "NORTH_01.mxf"]
    );
    assert_eq!(
        path(&systems, "SOUTH_01.mxf"),
        ["Harbour South", "apac", "SOUTH_01.mxf"]
    );
    // Cleared, restricted, pending.
    for (name, wanted) in [
        ("NORTH_01.mxf", "{ CLEARED = "),
        ("NORTH_03.mxf", "}, default = "),
        ("SOUTH_02.mxf", "}, default = "),
    ] {
        let wanted = wanted_class(&systems, wanted);
        assert_eq!(class(&systems, name), (wanted, true), "{name}");
    }
    // A master under licence names its release form.
    let rights = systems.json_of("NORTH_03.mxf.rights.jsonld");
    let form = systems.named("release-anna.pdf")[0].node;
    let forms = rights["lh:document"].to_string();
    assert!(forms.contains(&form.to_string()), "{rights:#}");

    let asset = |title: &str| systems.assets(&[title]).remove(0);
    for (title, uses, answer) in [
        ("North 03", "web, AT, 2030-07-01", "allowed"),
        ("North 03", "cinema, AT, 2030-07-01", "not-allowed"),
        ("North 03", "web, AU, 2030-07-01", "not-allowed"),
        ("South 02", "web, AU, 2030-07-01", "not-allowed"),
    ] {
        let (_, lines) = systems.run(&["rights", "test", &asset(title), "--use", uses]);
        let said = of_type(&lines, "rights_answer");
        assert_eq!(said["verdict"], answer, "{title}, {uses}: {said:#}");
    }

    let before = effects(&systems);
    let (code, _) = systems.run(&["publish", &collection]);
    assert_eq!(
        (code, effects(&systems)),
        (3, before),
        "nothing is written twice"
    );
    // The held ones wait; all others are as they were filed.
    let (code, lines) = systems.run(&["reconcile"]);
    assert_eq!(code, 3, "{lines:#?}");
    let looked_at = lines
        .iter()
        .filter(|line| line["type"] == "reconciled_item");
    let classes: BTreeSet<&str> = looked_at
        .filter_map(|line| line["class"].as_str())
        .collect();
    assert_eq!(classes, BTreeSet::from(["equal", "excluded", "held"]));
    systems.stop();
}

#[test]
fn a_campaign_is_packed_with_its_gaps_whatever_kills_the_run() {
    let systems = start();
    let collection = systems.simulator.collection();
    systems.run(&["publish", &collection]);
    let (code, lines) = through_kills(&systems, &["archive", &collection, "--package"]);
    assert_eq!(code, 1, "there are gaps: {lines:#?}");
    let packed = of_type(&lines, "package");
    // Two held masters, two clips that nobody has, and one that the timeline says is missing.
    assert_eq!(
        (&packed["complete"], &packed["gaps"]),
        (&json!(true), &json!(5)),
        "{packed:#}"
    );
    nothing_twice(&systems);

    let before = effects(&systems);
    let (_, lines) = systems.run(&["archive", &collection, "--package"]);
    assert_eq!(of_type(&lines, "package")["written"], 0);
    assert_eq!(effects(&systems).1, before.1, "nothing is written twice");
    systems.must(&["package", "check", "--read-back"]);

    let lines = systems.must(&["package", "export", "--to", "out"]);
    let bag = of_type(&lines, "package_exported")["to"].as_str();
    let bag = systems.place.path().join(bag.expect("a directory"));
    let read = |path: &str| {
        std::fs::read(bag.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    };
    let manifest = String::from_utf8(read("manifest-sha256.txt")).expect("UTF-8");
    let manifest = bagit::read_manifest(&manifest).expect("a manifest");
    for (path, digest) in &manifest {
        let found: [u8; 32] = Sha256::digest(read(path)).into();
        assert_eq!(found, digest.0, "{path}");
    }
    for path in [
        "data/masters/NORTH_07.mxf",
        "data/edl/north.edl",
        "data/edl/south.otio",
        "data/documents/brief.txt",
        "data/rights/release-anna.pdf",
        "data/rights/music-licence.pdf",
    ] {
        assert!(manifest.contains_key(path), "{path} of {manifest:#?}");
    }
    let campaign: Value = serde_json::from_slice(&read("campaign.json")).expect("JSON");
    let references: BTreeMap<&str, bool> = campaign["source_references"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| (one["clip"].as_str().expect("a name"), one["gap"].is_null()))
        .collect();
    for (clip, is_there) in [
        ("NORTH_01.MXF", true),
        ("SKYLINE_STOCK.MOV", false),
        ("SOUTH_07.mxf", true),
        ("DRONE_4711.mov", false),
        ("harbour-theme.wav", true),
    ] {
        let found = references.iter().find(|(name, _)| name.ends_with(clip));
        let (_, resolved) = found.unwrap_or_else(|| panic!("{clip} of {references:#?}"));
        assert_eq!(*resolved, is_there, "{clip}");
    }
    let finals = campaign["items"].as_array().expect("items").iter();
    let finals = finals.filter(|item| item["release"]["final"] == true && item["kind"] == "master");
    assert!(finals.count() as u64 >= PUBLISHED - HELD, "{campaign:#}");
    systems.stop();
}
