//! A packed campaign's originals are archived or removed in iconik: only what is proved to be in
//! Content Server, each once, killed at any moment; and nothing of it is filed again afterwards.

use std::collections::BTreeMap;
use std::time::Duration;

use longhaul::simulator::Options;
use longhaul::simulator::campaign::{AssetSpec, Campaign, FileSetSpec, FileSpec, StorageKind};
use longhaul::simulator::iconik::{Kind, storage_id};
use serde_json::{Value, json};

use crate::support::{Extra, Systems, of_type, replace};

const BECAUSE: [&str; 3] = ["--yes", "--because", "campaign over"];

fn asset(number: u64) -> AssetSpec {
    let file = FileSpec::generated(&format!("clip{number}.mov"), number + 1, 20_000);
    AssetSpec::new(&format!("Clip {number}"), vec![file])
}

/// A campaign whose package is made, under these settings of `[package]`.
fn packed(campaign: Campaign, package: &str, more: &str) -> Systems {
    let systems = Systems::start(Options::with(campaign));
    systems.configure(Extra {
        sections: &format!("[package]\nenabled = true\n{package}\n{more}"),
        ..Extra::default()
    });
    systems.archive(&[]);
    systems
}

/// The exit code, and what became of each asset by its title.
fn retire(systems: &Systems, flags: &[&str]) -> (i32, BTreeMap<String, (String, String)>) {
    let (code, lines) = systems.run(&[&["package", "retire"], flags].concat());
    let decided = lines
        .iter()
        .filter(|line| line["type"] == "package_retire")
        .map(|line| {
            let text = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
            (text("title"), (text("step"), text("why")))
        });
    (code, decided.collect())
}

/// The states of an asset's file sets in iconik.
fn sets(systems: &Systems, title: &str) -> Vec<String> {
    let asset = systems.assets(&[title]).remove(0);
    let rows = systems.simulator.iconik().rows(Kind::FileSet);
    rows.iter()
        .filter(|row| row["asset_id"] == *asset)
        .map(|row| row["status"].as_str().unwrap_or_default().to_owned())
        .collect()
}

/// How many changes there were at both ends and in the journal.
fn changes(systems: &Systems) -> (usize, usize, usize) {
    (
        systems.simulator.iconik().writes().len(),
        systems.simulator.content_server().history().len(),
        systems.must(&["audit"]).len(),
    )
}

/// A plan says that everything is filed already.
#[track_caller]
fn nothing_is_planned(systems: &Systems) {
    let lines = systems.must(&["plan", "archive", &systems.simulator.collection()]);
    let actions: Vec<&Value> = lines
        .iter()
        .filter_map(|line| line["versions"].as_array())
        .flatten()
        .map(|version| &version["action"])
        .collect();
    assert!(!actions.is_empty(), "{lines:#?}");
    assert!(
        actions.iter().all(|action| *action == "already-filed"),
        "{actions:?}"
    );
}

fn reconciled(systems: &Systems) -> Value {
    let lines = systems.must(&["reconcile"]);
    of_type(&lines, "reconciliation").clone()
}

#[test]
fn only_what_is_safe_goes_and_nothing_of_it_is_filed_again() {
    let campaign = (0..2)
        .map(asset)
        .fold(Campaign::new(), Campaign::asset)
        .collection("Somebody else's", &[])
        .asset(asset(2).with(|asset| asset.collections = vec![0, 1]))
        .asset(asset(3));
    let systems = packed(campaign, "originals = \"remove\"", "");
    let held = systems.named("clip1.mov").remove(0).node;
    systems
        .simulator
        .content_server()
        .hold(held, "Audit of 2026");
    replace(&systems, "clip3.mov", 77, 20_000);
    let before = changes(&systems);
    // Not without a word, and a look changes nothing.
    assert_eq!(systems.run(&["package", "retire"]).0, 2);
    assert_eq!(
        systems
            .run(&["package", "retire", "--because", "campaign over"])
            .0,
        2
    );
    let (code, seen) = retire(&systems, &["--dry-run"]);
    assert_eq!(code, 3);
    assert_eq!(seen["Clip 0"].0, "removed");
    assert_eq!(changes(&systems), before);

    let (code, done) = retire(&systems, &BECAUSE);
    assert_eq!(code, 3, "{done:#?}");
    assert_eq!(done["Clip 0"].0, "removed");
    for (title, why) in [
        ("Clip 1", "Audit of 2026"),
        ("Clip 2", "which is not part of the campaign"),
        ("Clip 3", "changed since it was filed"),
    ] {
        let (step, said) = &done[title];
        assert!(step == "kept" && said.contains(why), "{title}: {said}");
        assert_eq!(sets(&systems, title), ["ACTIVE"], "{title}");
    }
    assert_eq!(sets(&systems, "Clip 0"), ["DELETED"]);
    let removed = systems.assets(&["Clip 0"]).remove(0);
    let iconik = systems.simulator.iconik();
    let row = iconik.row(Kind::Asset, &removed).expect("the asset stays");
    assert_eq!(row["status"], "ACTIVE");
    let told = iconik.writes().into_iter().any(|write| {
        write.path.contains("/history/")
            && write.body["operation_description"]
                .as_str()
                .is_some_and(|line| line.contains("originals removed, filed as node"))
    });
    assert!(told, "a reader of its history finds where it is");
    let journal = systems.must(&["audit"]);
    let of = |event: &str| journal.iter().filter(|line| line["event"] == event).count();
    assert_eq!((of("retiring"), of("retired")), (1, 1));

    // Once more: nothing happens at all.
    let before = changes(&systems);
    let (code, again) = retire(&systems, &BECAUSE);
    assert_eq!((code, again["Clip 0"].0.as_str()), (3, "before"));
    assert_eq!(changes(&systems), before);

    // What was filed stays filed, and what is missing by intention is no difference.
    let versions = systems.versions().len();
    systems.archive(&[]);
    assert_eq!(systems.named("clip0.mov").len(), 1);
    assert!(
        systems.versions().len() > versions,
        "clip 3 has new content"
    );
    assert_eq!(reconciled(&systems)["differences"], 0);
    systems.must(&["package", "check"]);
    systems.stop();
}

#[test]
fn originals_that_moved_to_an_archive_are_not_filed_again() {
    let storage = storage_id(StorageKind::Archive);
    let package = format!("originals = {{ storage = \"{storage}\" }}");
    let campaign = (0..3).map(asset).fold(Campaign::new(), Campaign::asset);
    let systems = packed(campaign, &package, "");
    let (code, done) = retire(&systems, &BECAUSE);
    assert_eq!(code, 0, "{done:#?}");
    assert!(
        done.values().all(|(step, _)| step == "archived"),
        "{done:#?}"
    );
    assert_eq!(sets(&systems, "Clip 0"), ["ARCHIVED", "ACTIVE"]);
    let (code, again) = retire(&systems, &BECAUSE);
    assert_eq!(code, 0);
    assert!(
        again.values().all(|(step, _)| step == "before"),
        "{again:#?}"
    );
    let effects = systems.simulator.content_server().history().len();
    nothing_is_planned(&systems);
    systems.archive(&[]);
    assert_eq!(systems.simulator.content_server().history().len(), effects);
    assert_eq!(reconciled(&systems)["differences"], 0);
    systems.stop();
}

#[test]
fn what_somebody_else_took_away_after_it_was_filed_stays_filed() {
    let campaign = (0..2).map(asset).fold(Campaign::new(), Campaign::asset);
    let systems = packed(campaign, "", "");
    let gone = systems.assets(&["Clip 0"]).remove(0);
    let iconik = systems.simulator.iconik();
    for set in iconik.rows(Kind::FileSet) {
        if set["asset_id"] == *gone {
            let id = set["id"].as_str().expect("an id");
            assert!(iconik.change(Kind::FileSet, id, json!({"status": "DELETED"})));
        }
    }
    let effects = systems.simulator.content_server().history().len();
    nothing_is_planned(&systems);
    systems.archive(&[]);
    assert_eq!(systems.simulator.content_server().history().len(), effects);
    systems.must(&["verify"]);
    // It is said by the command that compares.
    let (code, lines) = systems.run(&["reconcile"]);
    assert_eq!(code, 65, "{lines:#?}");
    let found = lines.iter().find(|line| line["class"] == "changed-since");
    let detail = found.expect("a finding")["detail"].to_string();
    assert!(
        detail.contains("no longer has it as it was filed"),
        "{detail}"
    );
    systems.stop();
}

#[test]
fn what_was_never_read_back_is_kept_until_it_is() {
    let systems = packed(
        Campaign::new().asset(asset(0)).asset(asset(1)),
        "originals = \"remove\"",
        "[transfer]\nverify = \"sent\"",
    );
    let (code, kept) = retire(&systems, &BECAUSE);
    assert_eq!(code, 3);
    for (step, why) in kept.values() {
        assert!(
            step == "kept" && why.contains("was never read back"),
            "{why}"
        );
    }
    let master = systems.named("clip0.mov").remove(0);
    let server = systems.simulator.content_server();
    assert!(server.corrupt(master.node, master.version, 7));
    let (code, done) = retire(&systems, &[&["--read-back"], &BECAUSE[..]].concat());
    assert_eq!(code, 3);
    assert!(done["Clip 0"].1.contains("reads back as"), "{done:#?}");
    assert_eq!(sets(&systems, "Clip 0"), ["ACTIVE"]);
    assert_eq!(sets(&systems, "Clip 1"), ["DELETED"]);
    systems.stop();
}

#[test]
fn a_copy_with_other_files_keeps_an_asset() {
    let two = |title: &str, other: FileSpec| {
        AssetSpec::new(title, vec![FileSpec::generated("a.mov", 1, 9_000)]).with(|asset| {
            let copy = FileSetSpec::new(vec![other]).on(StorageKind::SecondCloud);
            asset.versions[0][0].sets.push(copy);
        })
    };
    let campaign = Campaign::new()
        .asset(two("Same", FileSpec::generated("a.mov", 1, 9_000)))
        .asset(two("Other", FileSpec::generated("a.mov", 1, 9_001)));
    let systems = packed(campaign, "originals = \"remove\"", "");
    let (code, done) = retire(&systems, &BECAUSE);
    assert_eq!(code, 3, "{done:#?}");
    assert_eq!(done["Same"].0, "removed");
    assert_eq!(sets(&systems, "Same"), ["DELETED", "DELETED"]);
    assert!(done["Other"].1.contains("has other files"), "{done:#?}");
    systems.stop();
}

#[test]
fn killed_at_any_moment_each_asset_goes_once() {
    let campaign = (0..8).map(asset).fold(Campaign::new(), Campaign::asset);
    let systems = packed(campaign, "originals = \"remove\"", "");
    let command = [&["package", "retire"], &BECAUSE[..]].concat();
    for patience in [60, 90, 120, 150] {
        systems.kill_after(Duration::from_millis(patience), &command);
    }
    let (code, done) = retire(&systems, &BECAUSE);
    assert_eq!(code, 0, "{done:#?}");
    let writes = systems.simulator.iconik().writes();
    let mut removed: Vec<&str> = writes
        .iter()
        .filter(|write| write.method == "DELETE")
        .map(|write| write.path.as_str())
        .collect();
    removed.sort_unstable();
    let all = removed.len();
    removed.dedup();
    assert_eq!((all, removed.len()), (8, 8));
    let told = writes.iter().filter(|write| {
        let line = write.body["operation_description"].as_str();
        line.is_some_and(|line| line.contains("originals removed"))
    });
    assert_eq!(told.count(), 8, "said once each");
    let journal = systems.must(&["audit"]);
    let retired = journal.iter().filter(|line| line["event"] == "retired");
    assert_eq!(retired.count(), 8);
    systems.stop();
}

#[test]
fn nothing_goes_by_default_or_without_a_whole_package() {
    let systems = Systems::start(Options::with(Campaign::new().asset(asset(0))));
    systems.archive(&["--package"]);
    let message = |flags: &[&str]| {
        let (code, lines) = systems.run(&[&["package", "retire"], flags].concat());
        assert_eq!(code, 2, "{lines:#?}");
        of_type(&lines, "exit")["message"].to_string()
    };
    assert!(message(&["--dry-run"]).contains("`package.originals` keeps them"));
    systems.configure(Extra {
        sections: "[package]\noriginals = \"remove\"\n",
        ..Extra::default()
    });
    assert!(message(&["--because", "x"]).contains("--dry-run"));
    assert!(message(&["--yes", "--because", " "]).contains("--because"));
    let unknown = message(&["--dry-run", "--collection", "nowhere"]);
    assert!(
        unknown.contains("no package of collection nowhere"),
        "{unknown}"
    );
    assert_eq!(sets(&systems, "Clip 0"), ["ACTIVE"]);
    systems.stop();
}
