//! `doctor --probe`: asks a server how it behaves, leaves nothing behind whatever happens, and what
//! it learnt is what the commands after it go by.

use std::process::Stdio;

use bytes::Bytes;
use longhaul::content_server::Client;
use longhaul::simulator::Options;
use longhaul::simulator::campaign::{AssetSpec, Campaign, FileSpec};
use longhaul::simulator::content_server::{Config, MoveAndRename, Multipart, Names};
use longhaul::simulator::faults::{Action, Rule, System};
use longhaul::transfer::{Content, Destination as _, NewContent};
use longhaul::types::{KIB, MIB, NodeId};
use serde_json::Value;

use crate::support::{Extra, Systems, items, of_type, replace};

const QUICK: Extra<'static> = Extra {
    iconik: "calls_per_second = 1000",
    content_server: "",
    sections: "[transfer]\nsidecar = false\n",
};

fn start(name: &str, server: impl FnOnce(&mut Config)) -> Systems {
    let file = FileSpec::generated(name, 1, 5 * KIB);
    let campaign = Campaign::new().asset(AssetSpec::new("Master", vec![file]));
    let mut options = Options::with(campaign);
    options.quirks.calls_per_second = None;
    server(&mut options.content_server);
    Systems::with(options, QUICK)
}

/// A server that does everything in the awkward way.
fn awkward(server: &mut Config) {
    server.ranges = false;
    server.move_and_rename = MoveAndRename::Refused;
    server.version_notes = false;
    server.external_on_create = false;
    server.description_limit = 120;
    server.body_limit = Some(50 * MIB);
    server.names = Names {
        limit: 100,
        refused: ":?'".to_owned(),
        final_dots: false,
        astral: false,
    };
    server.multipart = Multipart {
        min_size: 100 * KIB,
        part_size: 64 * KIB,
        max_size: MIB,
        require_all_parts: false,
        single_use: false,
        ..Multipart::default()
    };
}

/// The verdict on a question, and what was seen.
#[track_caller]
fn answer(lines: &[Value], question: &str) -> (String, String) {
    let of = |line: &&Value| line["type"] == "probe" && line["question"] == question;
    let line = lines.iter().find(of);
    let line = line.unwrap_or_else(|| panic!("no answer to {question} in {lines:#?}"));
    let text = |field: &str| line[field].as_str().expect("a text").to_owned();
    (text("verdict"), text("seen"))
}

#[track_caller]
fn verdicts(lines: &[Value], expected: &[(&str, &str)]) {
    for (question, verdict) in expected {
        let (is, seen) = answer(lines, question);
        assert_eq!(is, *verdict, "{question}: {seen}");
    }
}

/// What is in staging, by name.
fn staged(systems: &Systems) -> Vec<String> {
    let staging = NodeId(systems.simulator.parts().staging);
    let listed = systems.person(|server: Client| async move { server.children(staging, 1).await });
    listed.0.into_iter().map(|node| node.name).collect()
}

/// Whether the process of a probe died at that place.
fn probe_dies_at(systems: &Systems, place: &str) -> bool {
    use std::os::unix::process::ExitStatusExt;
    let done = systems
        .place
        .bare()
        .args(["doctor", "--probe", "--yes", "--json"])
        .env("LONGHAUL_CRASH", place)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .expect("longhaul starts");
    done.signal().is_some()
}

#[test]
fn nothing_is_written_before_somebody_agrees() {
    let systems = start("master.mxf", |_| {});
    let (code, lines) = systems.run(&["doctor", "--probe"]);
    assert_eq!(code, 2, "{lines:#?}");
    let said = of_type(&lines, "exit")["message"].to_string();
    assert!(said.contains("--yes") && said.contains("staging"), "{said}");
    let lines = systems.must(&["doctor", "--probe", "--dry-run"]);
    let planned = lines.iter().filter(|line| line["type"] == "probe_planned");
    let (asked, not): (Vec<_>, Vec<_>) = planned.partition(|line| line["does"].is_string());
    assert!(asked.len() >= 19 && not.len() >= 5);
    assert_eq!(systems.simulator.content_server().history().len(), 0);
    assert!(!systems.place.path().join("longhaul.db").exists());
    systems.stop();
}

#[test]
fn a_friendly_server_is_asked_everything_and_left_as_it_was() {
    let systems = start("master.mxf", |server| {
        server.ranges = true;
        server.multipart.min_size = 100 * KIB;
        server.multipart.part_size = 64 * KIB;
    });
    let lines = systems.must(&["doctor", "--probe", "--yes"]);
    verdicts(
        &lines,
        &[
            ("duplicate-name", "ok"),
            ("case", "ok"),
            ("name-length", "ok"),
            ("name-characters", "ok"),
            ("name-emoji", "ok"),
            ("name-ends", "ok"),
            ("move-and-rename", "ok"),
            ("version-note", "ok"),
            ("version-number", "ok"),
            ("description-length", "ok"),
            ("range", "ok"),
            ("empty-file", "ok"),
            ("external-identity", "ok"),
            ("category-on-create", "unknown"),
            ("upload-sessions", "ok"),
            ("upload-hole", "ok"),
            ("upload-part-twice", "ok"),
            ("upload-key-twice", "ok"),
            ("late-commit", "unknown"),
        ],
    );
    let gone = lines
        .iter()
        .find(|line| line["type"] == "probe_scratch" && line["state"] == "deleted")
        .expect("the scratch is deleted");
    assert_eq!(gone["in_recycle_bin"], true);
    assert!(staged(&systems).is_empty());
    let server = systems.simulator.content_server();
    assert_eq!(server.uploads(), 0, "no session is left open");
    let history = server.history().len();
    let doctor = systems.must(&["doctor"]);
    let profile = doctor.iter().find(|line| line["what"] == "profile");
    assert_eq!(profile.expect("a line")["verdict"], "ok");
    assert_eq!(
        server.history().len(),
        history,
        "doctor alone writes nothing"
    );
    systems.archive(&[]);
    assert_eq!(systems.named("master.mxf").len(), 1);
    systems.stop();
}

#[test]
fn a_category_that_is_mapped_is_asked_for() {
    let systems = start("master.mxf", |_| {});
    let map = "[map.fields.campaign]\ncategory = \"Media record\"\nattribute = \"Campaign\"\n";
    systems.configure(Extra {
        sections: map,
        ..Extra::default()
    });
    let lines = systems.must(&["doctor", "--probe", "--yes"]);
    let (verdict, seen) = answer(&lines, "category-on-create");
    assert_eq!(verdict, "ok", "{seen}");
    assert!(seen.contains("Media record"), "{seen}");
    systems.stop();
}

#[test]
fn what_an_awkward_server_said_is_what_the_next_run_goes_by() {
    let name = format!("Why? {} final \u{1F3AC}.mxf", "long ".repeat(30));
    let systems = start(&name, awkward);
    let collection = systems.simulator.collection();
    // Nobody has asked yet: the server's refusal is the first that is heard of it.
    let (code, lines) = systems.run(&["archive", &collection, "--no-wait"]);
    assert_eq!(code, 1, "{lines:#?}");
    assert_eq!(items(of_type(&lines, "summary"), "done"), 0);

    let lines = systems.must(&["doctor", "--probe", "--yes"]);
    verdicts(
        &lines,
        &[
            ("name-length", "warn"),
            ("name-characters", "warn"),
            ("name-emoji", "warn"),
            ("name-ends", "warn"),
            ("move-and-rename", "warn"),
            ("version-note", "warn"),
            ("range", "warn"),
            ("external-identity", "warn"),
            ("description-length", "ok"),
            ("single-post", "warn"),
            ("upload-hole", "warn"),
            ("upload-part-twice", "ok"),
            ("upload-key-twice", "warn"),
        ],
    );
    let (_, seen) = answer(&lines, "name-length");
    assert!(
        seen.starts_with("100 characters are kept, not 101"),
        "{seen}"
    );
    assert_eq!(answer(&lines, "name-characters").1, "not kept: ?'");
    let (_, seen) = answer(&lines, "single-post");
    assert!(
        seen.contains("100 MiB are refused when announced"),
        "{seen}"
    );
    let profile = &of_type(&lines, "profile")["profile"];
    assert_eq!(profile["names"]["limit"], 100);
    assert_eq!(profile["move_and_rename"], false);

    let lines = systems.archive(&[]);
    assert_eq!(items(of_type(&lines, "summary"), "done"), 1, "{lines:#?}");
    let visible = systems.versions();
    assert_eq!(visible.len(), 1);
    let filed = &visible[0].name;
    assert!(filed.encode_utf16().count() <= 100, "{filed}");
    assert!(
        filed.starts_with("Why_ long") && filed.ends_with(".mxf"),
        "{filed}"
    );
    let history = systems.simulator.content_server().history();
    assert_eq!(
        systems.archive(&[]).last().expect("an end")["code"],
        0,
        "a second run"
    );
    assert_eq!(
        systems.simulator.content_server().history().len(),
        history.len(),
        "nothing new, nothing written"
    );
    systems.stop();
}

#[test]
fn commands_beside_the_runs_go_by_what_was_learnt_too() {
    let systems = start("master.mxf", |server| server.ranges = false);
    systems.must(&["doctor", "--probe", "--yes"]);
    systems.archive(&[]);
    let key = {
        let lines = systems.must(&["status", "--state", "done"]);
        of_type(&lines, "item")["key"]
            .as_str()
            .expect("a key")
            .to_owned()
    };
    let export = ["export", "--item", key.as_str(), "--to", "copy.mxf"];
    for arguments in [&["verify"][..], &export] {
        systems.simulator.history().clear();
        // A read that is cut goes on: from the first byte, where ranges are passed over.
        let cut = Rule::new(Action::CutBody { after: 2_000 })
            .on(System::ContentServer)
            .path("*/content*");
        let cut = systems.simulator.faults().add(cut);
        systems.must(arguments);
        assert_eq!(
            systems.simulator.faults().fired(cut),
            1,
            "{arguments:?} was not cut"
        );
        let mut reads = systems.simulator.history().of(System::ContentServer);
        reads.retain(|record| record.path.contains("/content"));
        assert!(reads.len() > 1, "{arguments:?}: {reads:?}");
        assert!(
            reads.iter().all(|record| record.range.is_none()),
            "{arguments:?}: {reads:?}"
        );
    }
    systems.stop();
}

#[test]
fn a_server_that_only_moves_gets_the_name_first() {
    let systems = start("master.mxf", |server| {
        server.move_and_rename = MoveAndRename::MoveOnly;
    });
    let lines = systems.must(&["doctor", "--probe", "--yes"]);
    let (verdict, seen) = answer(&lines, "move-and-rename");
    assert_eq!(
        (verdict.as_str(), seen.as_str()),
        ("warn", "moved, but not renamed")
    );
    let before = systems.simulator.content_server().history().len();
    systems.archive(&[]);
    let history = systems.simulator.content_server().history();
    let moves: Vec<&Value> = history[before..]
        .iter()
        .filter(|event| event["kind"] == "move")
        .collect();
    assert_eq!(moves.len(), 1, "{moves:#?}");
    assert_eq!(
        moves[0]["from"]["name"], "master.mxf",
        "nobody sees it under another name: {moves:#?}"
    );
    assert_eq!(systems.named("master.mxf").len(), 1);
    systems.stop();
}

#[test]
fn a_lost_answer_makes_no_second_version_where_notes_are_dropped() {
    let systems = start("master.mxf", |server| server.version_notes = false);
    systems.must(&["doctor", "--probe", "--yes"]);
    systems.archive(&[]);
    replace(&systems, "master.mxf", 7, 5 * KIB);
    let lost = Rule::new(Action::DropReply)
        .on(System::ContentServer)
        .method("POST")
        .path("*/nodes/*/versions");
    systems.simulator.faults().add(lost);
    let lines = systems.archive(&[]);
    assert_eq!(items(of_type(&lines, "summary"), "done"), 1, "{lines:#?}");
    let versions = systems.named("master.mxf");
    assert_eq!(versions.len(), 2, "{versions:#?}");
    systems.stop();
}

#[test]
fn what_a_killed_probe_left_is_removed_by_the_next() {
    let systems = start("master.mxf", |_| {});
    for place in [
        "probe-noted:1",
        "probe-made:1",
        "probe-answered:8",
        "probe-deleted:1",
    ] {
        assert!(probe_dies_at(&systems, place), "{place}");
        let left = staged(&systems);
        let expected = usize::from(place.starts_with("probe-made") || place.starts_with("probe-a"));
        assert_eq!(left.len(), expected, "{place}: {left:?}");
        let lines = systems.must(&["doctor", "--probe", "--yes"]);
        let deleted = lines
            .iter()
            .filter(|line| line["type"] == "probe_scratch" && line["state"] == "deleted");
        assert_eq!(deleted.count(), 1 + expected, "{place}: {lines:#?}");
        assert!(staged(&systems).is_empty(), "{place}");
    }
    systems.stop();
}

#[test]
fn a_folder_that_holds_anything_of_somebody_elses_is_left() {
    let systems = start("master.mxf", |_| {});
    assert!(probe_dies_at(&systems, "probe-answered:8"));
    let staging = NodeId(systems.simulator.parts().staging);
    // Somebody puts a document of theirs there; somebody else makes a folder of such a name.
    systems.person(|server: Client| async move {
        let (nodes, _) = server.children(staging, 1).await?;
        let content = NewContent::Body {
            file_name: "mine.txt".to_owned(),
            mime: "text/plain".to_owned(),
            content: Content::Chunks(vec![Bytes::from_static(b"mine")]),
        };
        server
            .create_document(nodes[0].id, "mine.txt", content)
            .await?;
        server
            .create_container(staging, "longhaul-probe-0123456789abcdef0123456789abcdef")
            .await
    });
    let (code, lines) = systems.run(&["doctor", "--probe", "--yes"]);
    assert_eq!(code, 1, "{lines:#?}");
    let left = lines
        .iter()
        .find(|line| line["type"] == "probe_scratch" && line["state"] == "left")
        .expect("it is said");
    let said = left["message"].to_string();
    assert!(
        said.contains("mine.txt") && said.contains("by hand"),
        "{said}"
    );
    assert_eq!(staged(&systems).len(), 2);
    systems.stop();
}

#[test]
fn a_server_of_another_release_is_not_taken_for_the_one_that_was_asked() {
    let systems = start("Why?.mxf", |server| {
        server.names.refused = ":?".to_owned();
    });
    systems.must(&["doctor", "--probe", "--yes"]);
    let server = systems.simulator.content_server();
    let newer = |server: &mut Config| {
        server.version = "26.1".to_owned();
        server.names = Names::default();
    };
    server.configure(newer).expect("a version");
    let lines = systems.must(&["doctor"]);
    let profile = lines.iter().find(|line| line["what"] == "profile");
    let profile = profile.expect("a line about the profile");
    assert_eq!(profile["verdict"], "warn");
    assert!(profile["found"].to_string().contains("26.1"), "{profile}");
    let done = systems
        .place
        .bare()
        .args(["archive", &systems.simulator.collection()])
        .stdin(Stdio::null())
        .output()
        .expect("longhaul starts");
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.success(), "{said}");
    assert!(said.contains("what was learnt is not followed"), "{said}");
    assert_eq!(systems.named("Why?.mxf").len(), 1, "as if nobody had asked");
    systems.stop();
}

#[test]
fn a_size_or_a_place_that_cannot_be_is_refused_before_anything() {
    let systems = start("master.mxf", |_| {});
    for (flags, word) in [
        (["--send-up-to", "much"], "--send-up-to"),
        (["--send-up-to", "1 TiB"], "256 MiB"),
    ] {
        let (code, lines) = systems.run(&[&["doctor", "--probe", "--yes"], &flags[..]].concat());
        assert_eq!(code, 2, "{lines:#?}");
        assert!(
            of_type(&lines, "exit")["message"]
                .to_string()
                .contains(word)
        );
    }
    let (code, _) = systems.run(&["doctor", "--yes"]);
    assert_eq!(code, 2, "--yes agrees to a probe only");
    systems.stop();
}
