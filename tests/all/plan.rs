//! What `plan` says, that it changes nothing, and that a saved plan is followed.

use std::collections::BTreeSet;
use std::io::{BufRead as _, Read as _, Write as _};

use longhaul::simulator::campaign::{
    self, AssetSpec, Campaign, CollectionSpec, FileSpec, StorageKind,
};
use longhaul::simulator::faults::{Action, Rule, System};
use longhaul::simulator::iconik::Kind;
use longhaul::simulator::{Options, campaign::Checksum};
use longhaul::transfer::{Content, Destination, NewContent};
use longhaul::types::{KIB, MIB, NodeId};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::{Extra, Systems, items, json_lines, of_type, replace};

/// Six masters of different kinds, sizes and values.
fn six() -> Options {
    let asset = |title: &str, file: &str, seed, size| {
        AssetSpec::new(title, vec![FileSpec::generated(file, seed, size)])
    };
    let campaign = Campaign::new()
        .collection("Below", &[0])
        .asset(asset("Promo 30s", "promo-30.mxf", 1, 3 * MIB).value("rights_status", &["cleared"]))
        .asset(asset("Promo 60s", "promo-60.mxf", 2, MIB).value("rights_status", &["restricted"]))
        .asset(asset("Poster", "poster.psd", 3, 300 * KIB))
        .asset(asset("Making of", "making: of.mov", 4, 2 * MIB))
        .asset(asset("Spot", "spot.mov", 5, 40 * KIB).with(|asset| {
            asset.versions[0][0].sets[0].storage = StorageKind::SecondCloud;
            asset.fields = json!({"date_created": "2025-03-01T00:00:00+00:00"});
        }))
        .asset(asset("Trailer", "trailer.mov", 6, 17).with(|asset| asset.collections = vec![1]));
    Options::with(campaign)
}

fn planned(lines: &[Value]) -> Vec<&Value> {
    lines
        .iter()
        .filter(|line| line["type"] == "plan_item")
        .collect()
}

/// The titles with that verdict.
fn titles(lines: &[Value], verdict: &str) -> BTreeSet<String> {
    planned(lines)
        .into_iter()
        .filter(|line| line["verdict"] == verdict)
        .map(|line| line["title"].as_str().expect("a title").to_owned())
        .collect()
}

#[track_caller]
fn item<'a>(lines: &'a [Value], title: &str) -> &'a Value {
    let found = planned(lines)
        .into_iter()
        .find(|line| line["title"] == title);
    found.unwrap_or_else(|| panic!("no {title:?} in {lines:#?}"))
}

fn set(titles: &[&str]) -> BTreeSet<String> {
    titles.iter().map(|&title| title.to_owned()).collect()
}

/// Everything that could show a change: what iconik was told, and every effect at Content Server.
fn effects(systems: &Systems) -> (usize, usize) {
    (
        systems.simulator.iconik().writes().len(),
        systems.simulator.content_server().history().len(),
    )
}

fn calls(systems: &Systems, since: u64) -> u64 {
    let records = systems.simulator.history().of(System::Iconik);
    let counted = records.iter().filter(|record| record.number > since);
    counted.count() as u64
}

fn last_call(systems: &Systems) -> u64 {
    let records = systems.simulator.history().records();
    records
        .iter()
        .map(|record| record.number)
        .max()
        .unwrap_or(0)
}

#[test]
fn every_asset_is_in_out_or_blocked_with_its_reason_and_nothing_is_changed() {
    let systems = Systems::start(Options::with(campaign::small()));
    let collection = systems.simulator.collection();
    let before = effects(&systems);
    let lines = systems.must(&["plan", "archive", &collection]);
    assert_eq!(effects(&systems), before);
    for record in systems.simulator.history().records() {
        let reads = record.method == "GET"
            || record.path.contains("/auth")
            || record.path.contains("/validation/")
            || record.path.contains("/search");
        assert!(reads, "{} {}", record.method, record.path);
    }
    let files: Vec<_> = std::fs::read_dir(systems.place.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(files, ["longhaul.toml"], "not even a ledger");

    let summary = of_type(&lines, "summary");
    let totals = &summary["totals"];
    assert_eq!(
        (
            &totals["assets_in"],
            &totals["assets_out"],
            &totals["assets_blocked"]
        ),
        (&json!(16), &json!(3), &json!(3))
    );
    for (title, verdict, why) in [
        ("Feature", "in", "new"),
        ("Proxy only", "blocked", "no-original"),
        ("Still growing", "blocked", "unfinished"),
        ("On the shelf", "blocked", "no-mount"),
        ("Brand portal", "out", "no-bytes"),
        ("Feature: opening", "out", "subclip"),
    ] {
        let line = item(&lines, title);
        assert_eq!(
            (&line["verdict"], &line["why"]),
            (&json!(verdict), &json!(why)),
            "{line}"
        );
        assert!(verdict == "in" || line["detail"].as_str().is_some_and(|text| text.len() > 10));
    }
    // The numbers are the sums of the lines.
    let moving = |field: &str| -> u64 {
        let versions = planned(&lines)
            .into_iter()
            .filter_map(|line| line["versions"].as_array());
        let versions = versions.flatten().filter(|version| {
            matches!(
                version["action"].as_str(),
                Some("new-document" | "new-version" | "new-folder")
            )
        });
        versions
            .map(|version| version[field].as_u64().expect("a number"))
            .sum()
    };
    assert_eq!(
        (totals["bytes"].as_u64(), totals["files"].as_u64()),
        (Some(moving("bytes")), Some(moving("files")))
    );
    let named = &item(&lines, "Größe: 东京 🎬 «Schnitt»")["versions"][0];
    assert_eq!(named["renamed_from"], "Größe: 东京 🎬.mov");
    assert_eq!(totals["names_changed"], 2);
    let two = &item(&lines, "Trailer")["versions"];
    assert_eq!(
        (&two[0]["action"], &two[1]["action"]),
        (&json!("new-document"), &json!("new-version"))
    );
    assert_eq!(summary["history"], json!([]), "no run, no guess");
    assert_eq!(summary["hours"]["low"], Value::Null);

    // What was planned is what is then done.
    let start = last_call(&systems);
    let (code, lines) = systems.run(&["archive", &collection]);
    assert_eq!(code, 1);
    let done = of_type(&lines, "summary");
    assert_eq!((items(done, "done"), items(done, "parked")), (17, 3));
    let masters: Vec<_> = systems
        .versions()
        .into_iter()
        .filter(|version| !version.name.ends_with(".json"))
        .collect();
    let bytes: u64 = masters.iter().map(|version| version.size).sum();
    assert_eq!(
        (totals["files"].as_u64(), totals["bytes"].as_u64()),
        (Some(masters.len() as u64), Some(bytes))
    );
    let versions =
        ["new_documents", "new_versions", "new_folders"].map(|kind| totals[kind].as_u64().unwrap());
    assert_eq!(versions.iter().sum::<u64>(), 17);
    let (estimated, made) = (totals["calls"].as_u64().unwrap(), calls(&systems, start));
    assert!(
        estimated * 10 >= made * 8 && made * 10 >= estimated * 8,
        "estimated {estimated} calls, made {made}"
    );

    // A second look: everything is filed, and the finished run says how fast it went.
    let (code, lines) = systems.run(&["plan", "archive", &collection, "--fail-if-empty"]);
    assert_eq!(code, 4, "{lines:#?}");
    assert_eq!(item(&lines, "Feature")["why"], "already-filed");
    assert_eq!(of_type(&lines, "summary")["totals"]["already_filed"], 17);
    systems.stop();
}

#[test]
fn filters_leave_out_the_same_assets_in_a_plan_and_in_a_run() {
    let systems = Systems::start(six());
    let collection = systems.simulator.collection();
    let below = systems.simulator.iconik().rows(Kind::Collection)[1]["id"].clone();
    let below = below.as_str().unwrap().to_owned();
    let listed = systems.assets(&["Spot", "Poster"]).join("\n");
    systems.place.write("some.txt", &listed);
    let all = set(&[
        "Promo 30s",
        "Promo 60s",
        "Poster",
        "Making of",
        "Spot",
        "Trailer",
    ]);
    for (flags, kept, why) in [
        (
            &["--name", "promo*"][..],
            &["Promo 30s", "Promo 60s"][..],
            "filter-name",
        ),
        (
            &["--name", "promo*", "--not-name", "*60s"],
            &["Promo 30s"],
            "filter-name",
        ),
        (
            &["--min-size", "1MiB"],
            &["Promo 30s", "Promo 60s", "Making of"],
            "filter-size",
        ),
        (&["--max-size", "17"], &["Trailer"], "filter-size"),
        (
            &["--format", "mov", "--format", "psd"],
            &["Poster", "Making of", "Spot", "Trailer"],
            "filter-format",
        ),
        (
            &["--where", "rights_status=CLEAR*"],
            &["Promo 30s"],
            "filter-where",
        ),
        (
            &["--created-before", "2025-03-02"],
            &["Spot"],
            "filter-created",
        ),
        (
            &["--in-collection", &below],
            &["Trailer"],
            "filter-collection",
        ),
        (
            &["--only-ids", "some.txt"],
            &["Spot", "Poster"],
            "filter-ids",
        ),
    ] {
        let lines = systems.must(&[&["plan", "archive", collection.as_str()], flags].concat());
        assert_eq!(titles(&lines, "in"), set(kept), "{flags:?}");
        let out: BTreeSet<String> = all.difference(&set(kept)).cloned().collect();
        assert_eq!(titles(&lines, "out"), out, "{flags:?}");
        for line in planned(&lines)
            .into_iter()
            .filter(|line| line["verdict"] == "out")
        {
            assert_eq!(line["why"], why, "{line}");
            assert!(!line["detail"].as_str().unwrap().is_empty(), "{line}");
        }
    }
    let storages = systems.simulator.iconik().rows(Kind::Storage);
    let second = storages[1]["name"].as_str().expect("a name");
    let flags = ["plan", "archive", collection.as_str(), "--storage", second];
    assert_eq!(titles(&systems.must(&flags), "in"), set(&["Spot"]));

    // The run leaves out what its plan left out, and its journal says why.
    let lines = systems.archive(&["--where", "rights_status=cleared"]);
    let summary = of_type(&lines, "summary");
    assert_eq!(
        (items(summary, "done"), &summary["left_out"]),
        (1, &json!(5))
    );
    let journal = systems.must(&["audit"]);
    let left: Vec<_> = journal
        .iter()
        .filter(|line| line["event"] == "left-out")
        .collect();
    assert_eq!(left.len(), 5);
    assert!(
        left.iter()
            .all(|line| line["data"]["why"] == "filter-where"),
        "{left:#?}"
    );
    // `--dry-run` is the plan of the same selection, with the same filters.
    let lines = systems.archive(&["--where", "rights_status=*", "--dry-run"]);
    assert_eq!(titles(&lines, "in"), set(&["Promo 60s"]));
    assert_eq!(item(&lines, "Promo 30s")["why"], "already-filed");
    let lines = systems.must(&[
        "migrate",
        "--query",
        "title:promo*",
        "--max-size",
        "2MiB",
        "--dry-run",
    ]);
    assert_eq!(titles(&lines, "in"), set(&["Promo 60s"]));
    assert_eq!(systems.named("promo-60.mxf").len(), 0);
    systems.stop();
}

/// Takes an asset out of a collection, as a person would.
fn take_out(systems: &Systems, collection: &str, asset: &str) {
    let url = systems.simulator.iconik_url();
    let host = url.trim_start_matches("http://").trim_end_matches('/');
    let iconik = systems.simulator.iconik();
    let mut stream = std::net::TcpStream::connect(host).expect("the simulator listens");
    write!(
        stream,
        "DELETE /API/assets/v1/collections/{collection}/contents/assets/{asset}/ HTTP/1.1\r\n\
         Host: {host}\r\nApp-ID: {}\r\nAuth-Token: {}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        iconik.app_id(),
        iconik.token()
    )
    .expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.contains(" 204 "), "{answer}");
}

#[test]
fn a_saved_plan_is_followed_and_what_has_changed_since_is_listed() {
    let systems = Systems::start(six());
    let collection = systems.simulator.collection();
    let before = effects(&systems);
    let flags = [
        "plan",
        "archive",
        &collection,
        "--not-name",
        "*60s",
        "--out",
        "friday.jsonl",
    ];
    let lines = systems.must(&flags);
    assert_eq!(of_type(&lines, "summary")["saved"]["assets"], 6);
    assert_eq!(effects(&systems), before);
    let (code, _) = systems.run(&flags);
    assert_eq!(code, 2, "a plan is not written over");

    let iconik = systems.simulator.iconik();
    let ids = systems.assets(&["Poster", "Making of", "Spot", "Trailer"]);
    replace(&systems, "poster.psd", 77, 400 * KIB);
    let versions = &iconik.row(Kind::Asset, &ids[1]).unwrap()["versions"];
    let mut second = versions[0].clone();
    second["id"] = "00000009-0000-1000-8000-6c6f6e676861".into();
    second["version_number"] = 2.into();
    assert!(iconik.change(
        Kind::Asset,
        &ids[1],
        json!({"versions": [versions[0], second]})
    ));
    assert!(iconik.change(Kind::Asset, &ids[2], json!({"status": "DELETED"})));
    let below = iconik.rows(Kind::Collection)[1]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    take_out(&systems, &below, &ids[3]);

    // A dry run of the plan says the same as following it.
    let lines = systems.must(&["archive", "--plan", "friday.jsonl", "--dry-run"]);
    assert_eq!(
        titles(&lines, "in"),
        set(&["Promo 30s", "Poster", "Making of"])
    );
    assert!(
        item(&lines, "Poster")["detail"]
            .to_string()
            .contains("content-changed")
    );

    let lines = systems.must(&["archive", "--plan", "friday.jsonl"]);
    let summary = of_type(&lines, "summary");
    assert_eq!(items(summary, "done"), 3, "{summary}");
    assert_eq!(
        summary["changed_since_plan"],
        json!({"content-changed": 1, "gone": 1, "new-version": 1, "no-longer-selected": 1})
    );
    let journal = systems.must(&["audit"]);
    let changed: Vec<(&str, &str)> = journal
        .iter()
        .filter(|line| line["event"] == "changed-since-plan")
        .map(|line| {
            (
                line["data"]["title"].as_str().unwrap(),
                line["data"]["change"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(changed.len(), 4, "{changed:?}");
    for expected in [
        ("Poster", "content-changed"),
        ("Making of", "new-version"),
        ("Spot", "gone"),
        ("Trailer", "no-longer-selected"),
    ] {
        assert!(changed.contains(&expected), "{expected:?} in {changed:?}");
    }
    let filed: BTreeSet<String> = systems
        .versions()
        .into_iter()
        .map(|version| version.name)
        .filter(|name| !name.ends_with(".metadata.json"))
        .collect();
    assert_eq!(filed.len(), 3, "{filed:?}");
    assert!(filed.contains("promo-30.mxf") && filed.contains("poster.psd"));
    assert_eq!(
        systems.named("poster.psd")[0].size,
        400 * KIB,
        "as it is now"
    );

    // Followed again: nothing is left to do.
    let lines = systems.must(&["archive", "--plan", "friday.jsonl"]);
    assert_eq!(of_type(&lines, "summary")["already_done"], 3);
    systems.stop();
}

#[test]
fn a_plan_that_is_damaged_or_was_made_for_something_else_is_refused() {
    let systems = Systems::start(six());
    let collection = systems.simulator.collection();
    systems.must(&[
        "plan",
        "archive",
        &collection,
        "--out",
        "plan.jsonl",
        "--summary",
    ]);
    let whole = std::fs::read_to_string(systems.place.path().join("plan.jsonl")).unwrap();
    // The digest is made anew: only the content is wrong then.
    let sealed = |text: &str| {
        let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
        let end: Value = serde_json::from_str(lines.pop().unwrap()).unwrap();
        let digest = hex::encode(Sha256::digest(lines.concat()));
        let end = json!({"end": {"assets": end["end"]["assets"], "sha256": digest}});
        format!("{}{end}\n", lines.concat())
    };
    assert_eq!(sealed(&whole), whole);
    let token = systems.simulator.iconik().token();
    assert!(
        !whole.contains(token) && !whole.contains("http"),
        "no secret, no address"
    );
    let header: Value = serde_json::from_str(whole.lines().next().unwrap()).unwrap();
    let domain = header["plan"]["domain"].as_str().unwrap();
    let before = effects(&systems);
    for (text, command, says) in [
        (
            whole.replacen("Poster", "Roster", 1),
            "archive",
            "changed, added or taken away",
        ),
        (whole[..whole.len() / 2].to_owned(), "archive", "cut short"),
        (
            sealed(&whole.replacen("longhaul-plan/1", "longhaul-plan/2", 1)),
            "archive",
            "longhaul-plan/2",
        ),
        (
            sealed(&whole.replacen(domain, "another-domain", 1)),
            "archive",
            "another-domain",
        ),
        (whole.clone(), "migrate", "plan of `archive`"),
        ("asset,title\n".to_owned(), "archive", "no plan of longhaul"),
        (String::new(), "archive", "no plan of longhaul"),
    ] {
        systems.place.write("other.jsonl", &text);
        let (code, lines) = systems.run(&[command, "--plan", "other.jsonl"]);
        let message = of_type(&lines, "exit")["message"].to_string();
        assert_eq!(code, 2, "{message}");
        assert!(message.contains(says), "{says}: {message}");
    }
    let (code, lines) = systems.run(&["archive", "--plan", "plan.jsonl", "--name", "x"]);
    assert_eq!(code, 2, "{lines:?}");
    let (code, _) = systems.run(&["archive", "--plan", "none.jsonl"]);
    assert_eq!(code, 2);
    systems.configure(Extra {
        content_server: "name = \"another\"",
        ..Extra::default()
    });
    let (code, lines) = systems.run(&["archive", "--plan", "plan.jsonl"]);
    assert_eq!(code, 2, "{lines:?}");
    assert_eq!(effects(&systems), before);
    systems.stop();
}

#[test]
fn names_that_are_taken_and_versions_that_only_the_destination_knows_are_seen() {
    let systems = Systems::start(six());
    let collection = systems.simulator.collection();
    let target = NodeId(systems.simulator.parts().target);
    systems.archive(&["--name", "Promo 30s"]);
    systems.person(async |client| {
        let content = NewContent::Body {
            file_name: "spot.mov".into(),
            mime: "video/quicktime".into(),
            content: Content::Chunks(vec![bytes::Bytes::from_static(b"somebody else's")]),
        };
        client.create_document(target, "spot.mov", content).await
    });
    for name in [
        "longhaul.db",
        "longhaul.db-wal",
        "longhaul.db-shm",
        "longhaul.db.lock",
    ] {
        let _absent = std::fs::remove_file(systems.place.path().join(name));
    }
    let lines = systems.must(&["plan", "archive", &collection]);
    let promo = item(&lines, "Promo 30s");
    assert_eq!(
        (&promo["verdict"], &promo["why"]),
        (&json!("out"), &json!("already-there"))
    );
    let other = item(&lines, "Spot")["versions"][0]["filed_as"].clone();
    let totals = &of_type(&lines, "summary")["totals"];
    assert_eq!(
        (&totals["conflicts"], &totals["already_there"]),
        (&json!(1), &json!(1))
    );

    systems.archive(&[]);
    let other = other.as_str().expect("another name");
    assert_eq!(
        systems.named(other).len(),
        1,
        "filed under the name that was planned"
    );
    assert_eq!(systems.named("promo-30.mxf").len(), 1);
    // The content of a filed master changes: a new version of its node.
    replace(&systems, "promo-60.mxf", 99, MIB + 1);
    let lines = systems.must(&["plan", "archive", &collection]);
    let promo = &item(&lines, "Promo 60s")["versions"][0];
    assert_eq!(
        (&promo["action"], &promo["why"]),
        (&json!("new-version"), &json!("changed"))
    );
    assert_eq!(promo["node"], systems.named("promo-60.mxf")[0].node);
    assert_eq!(titles(&lines, "in"), set(&["Promo 60s"]));
    systems.stop();
}

#[test]
fn two_assets_that_want_one_name_are_told_apart() {
    let twin = |title: &str, seed| {
        let file = FileSpec::generated("Master.mov", seed, 50 * KIB).checksum(Checksum::Md5);
        AssetSpec::new(title, vec![file])
    };
    let systems = Systems::start(Options::with(
        Campaign::new()
            .asset(twin("First", 1))
            .asset(twin("Second", 2)),
    ));
    let collection = systems.simulator.collection();
    let lines = systems.must(&["plan", "archive", &collection]);
    let taken: Vec<&Value> = planned(&lines)
        .into_iter()
        .filter(|line| line["versions"][0]["filed_as"].is_string())
        .collect();
    assert_eq!(taken.len(), 1, "{lines:#?}");
    assert_eq!(of_type(&lines, "summary")["totals"]["conflicts"], 1);
    systems.archive(&[]);
    let names: BTreeSet<String> = systems
        .versions()
        .into_iter()
        .map(|version| version.name)
        .filter(|name| name.ends_with(".mov"))
        .collect();
    assert_eq!(names.len(), 2, "{names:?}");
    systems.stop();
}

#[test]
fn masters_above_the_window_are_blocked_or_split_as_the_setting_says() {
    let mut options = six();
    options.content_server.multipart.min_size = 100 * KIB;
    options.content_server.multipart.max_size = MIB;
    let systems = Systems::start(options);
    let collection = systems.simulator.collection();
    let lines = systems.must(&["plan", "archive", &collection]);
    assert_eq!(titles(&lines, "blocked"), set(&["Promo 30s", "Making of"]));
    let promo = item(&lines, "Promo 30s");
    assert_eq!(promo["why"], "oversize");
    assert!(
        promo["detail"].to_string().contains("split"),
        "the remedy: {promo}"
    );
    systems.configure(Extra {
        sections: "[transfer]\noversize = \"split\"\n\n[prices]\negress = \"0.5 EUR/KiB\"",
        ..Extra::default()
    });
    let lines = systems.must(&["plan", "archive", &collection]);
    assert_eq!(titles(&lines, "blocked"), set(&[]));
    let segments = item(&lines, "Promo 30s")["versions"][0]["segments"].clone();
    let summary = of_type(&lines, "summary");
    assert_eq!(summary["totals"]["split"], 2);
    let bytes = summary["totals"]["bytes"].as_u64().unwrap();
    let cost = &summary["costs"][0];
    assert_eq!(
        (&cost["what"], cost["bytes"].as_u64()),
        (&json!("egress"), Some(bytes))
    );
    assert_eq!(
        cost["millionths"].as_u64(),
        Some((bytes * 500_000).div_ceil(KIB))
    );
    systems.archive(&["--name", "Promo 30s"]);
    let filed = systems
        .versions()
        .into_iter()
        .filter(|version| version.name.starts_with("promo-30.mxf.0"))
        .count();
    assert_eq!(segments, filed);
    systems.stop();
}

#[test]
fn one_asset_is_explained_whether_the_selection_names_it_or_not() {
    let systems = Systems::start(six());
    let collection = systems.simulator.collection();
    let ids = systems.assets(&["Making of", "Poster", "Trailer"]);
    let explain = |flags: &[&str], asset: &str| {
        let lines =
            systems.must(&[&["plan", "archive", &collection, "--explain", asset], flags].concat());
        let [line] = planned(&lines)[..] else {
            panic!("one line, not {lines:#?}")
        };
        line.clone()
    };
    let line = explain(&[], &ids[0]);
    assert_eq!(
        (&line["verdict"], &line["selected"]),
        (&json!("in"), &json!(true))
    );
    assert_eq!(line["files"][0]["source"], "making: of.mov");
    assert_ne!(line["files"][0]["name"], "making: of.mov");
    assert_eq!(line["files"][0]["bytes"], 2 * MIB);
    let line = explain(&["--max-size", "100KiB"], &ids[1]);
    assert_eq!(
        (&line["verdict"], &line["why"]),
        (&json!("out"), &json!("filter-size"))
    );
    let below = systems.simulator.iconik().rows(Kind::Collection)[1]["id"].clone();
    let flags = [
        "plan",
        "archive",
        below.as_str().unwrap(),
        "--explain",
        &ids[0],
    ];
    let lines = systems.must(&flags);
    let line = planned(&lines)[0];
    assert_eq!(
        (&line["why"], &line["selected"]),
        (&json!("not-selected"), &json!(false))
    );
    assert!(
        line["by_itself"]
            .as_str()
            .is_some_and(|text| text.starts_with("new")),
        "{line}"
    );
    let (code, _) = systems.run(&["plan", "archive", &collection, "--explain", "Making of"]);
    assert_eq!(code, 2);
    systems.stop();
}

#[test]
fn a_quick_count_asks_the_index_alone_and_says_what_it_cannot_see() {
    let systems = Systems::start(Options::with(campaign::library(1_000, 64 * KIB)));
    let collection = systems.simulator.collection();
    let start = last_call(&systems);
    let flags = [
        "plan",
        "archive",
        &collection,
        "--depth",
        "listing",
        "--name",
        "Library 00000*",
        "--out",
        "quick.jsonl",
    ];
    let lines = systems.must(&flags);
    let summary = of_type(&lines, "summary");
    assert_eq!(
        (
            &summary["totals"]["assets_in"],
            &summary["totals"]["assets_out"]
        ),
        (&json!(100), &json!(900))
    );
    assert_eq!(summary["stated_bytes"], 1_000 * 64 * KIB);
    assert!(calls(&systems, start) < 30, "a call for a hundred assets");
    assert_eq!(summary["calls_made"].as_u64(), Some(calls(&systems, start)));
    let (code, lines) = systems.run(&[
        "plan",
        "archive",
        &collection,
        "--depth",
        "listing",
        "--min-size",
        "1KiB",
    ]);
    assert_eq!(code, 2);
    assert!(
        of_type(&lines, "exit")["message"]
            .to_string()
            .contains("--min-size")
    );

    // Lists are asked for by the hundred too, and what the index does not know is not lost.
    let ids: Vec<String> = std::fs::read_to_string(systems.place.path().join("quick.jsonl"))
        .unwrap()
        .lines()
        .filter_map(|line| {
            Some(
                serde_json::from_str::<Value>(line).ok()?["asset"]["asset"]
                    .as_str()?
                    .to_owned(),
            )
        })
        .chain(["0b1c2d3e-0000-11ee-8000-0242ac120002".to_owned()])
        .collect();
    systems.place.write("ids.txt", &ids.join("\n"));
    let start = last_call(&systems);
    let lines = systems.must(&["plan", "migrate", "--ids", "ids.txt", "--depth", "listing"]);
    assert_eq!(of_type(&lines, "summary")["totals"]["assets"], 1_001);
    assert!(calls(&systems, start) < 50);

    // A quick count can be followed: it is the list alone.
    let lines = systems.must(&["archive", "--plan", "quick.jsonl", "--dry-run"]);
    assert_eq!(of_type(&lines, "summary")["totals"]["assets_in"], 100);
    systems.stop();
}

#[test]
fn a_library_of_which_nothing_is_selected_moves_nothing() {
    let systems = Systems::start(Options::with(Campaign {
        collections: vec![CollectionSpec {
            title: "Empty".into(),
            parents: Vec::new(),
        }],
        ..Campaign::new()
    }));
    let collection = systems.simulator.collection();
    let (code, lines) = systems.run(&["plan", "archive", &collection, "--fail-if-empty"]);
    assert_eq!(code, 4, "{lines:?}");
    let lines = systems.must(&["plan", "archive", &collection, "--out", "empty.jsonl"]);
    assert_eq!(of_type(&lines, "summary")["saved"]["assets"], 0);
    let lines = systems.must(&["archive", "--plan", "empty.jsonl"]);
    assert_eq!(of_type(&lines, "summary")["states"], json!([]));
    systems.stop();
}

#[test]
fn what_is_archived_unmounted_or_missing_is_said() {
    let on = |title: &str, file: &str, seed, storage| {
        AssetSpec::new(title, vec![FileSpec::generated(file, seed, 70 * KIB)]).with(|asset| {
            asset.versions[0][0].sets[0] = asset.versions[0][0].sets[0].clone().on(storage)
        })
    };
    let systems = Systems::start(Options::with(
        Campaign::new()
            .asset(on("Cold", "cold.mov", 1, StorageKind::Archive))
            .asset(on("Near", "near.mov", 2, StorageKind::OnPremise)),
    ));
    let collection = systems.simulator.collection();
    let lines = systems.must(&["plan", "archive", &collection]);
    let cold = &item(&lines, "Cold")["versions"][0];
    assert_eq!(
        (&cold["action"], &cold["archived"]),
        (&json!("new-document"), &json!(true))
    );
    let totals = &of_type(&lines, "summary")["totals"];
    assert_eq!(
        (&totals["archived"], &totals["archived_bytes"]),
        (&json!(1), &json!(70 * KIB))
    );
    assert_eq!(item(&lines, "Near")["why"], "no-mount");

    let storages = systems.simulator.iconik().rows(Kind::Storage);
    let near = storages
        .iter()
        .find(|row| row["method"] == "FILE")
        .expect("on premise");
    let share = systems.place.path().join("share");
    std::fs::create_dir(&share).unwrap();
    std::fs::write(share.join("another.mov"), b"x").unwrap();
    let mounts = format!("mounts = {{ {} = {:?} }}", near["id"], share);
    systems.configure(Extra {
        iconik: &mounts,
        ..Extra::default()
    });
    let lines = systems.must(&["plan", "archive", &collection]);
    let near = item(&lines, "Near");
    assert_eq!(near["why"], "missing-file", "{near}");
    assert!(near["detail"].to_string().contains("near.mov"), "{near}");
    systems.stop();
}

#[test]
fn a_run_that_follows_a_plan_is_resumed_with_that_plan_and_then_tells_how_fast_it_was() {
    let systems = Systems::start(six());
    let ids = systems
        .assets(&["Promo 30s", "Promo 60s", "Making of", "Spot"])
        .join("\n");
    systems.place.write("ids.txt", &ids);
    let flags = [
        "plan",
        "migrate",
        "--ids",
        "ids.txt",
        "--min-size",
        "1MiB",
        "--out",
        "plan.jsonl",
    ];
    systems.must(&flags);
    std::fs::remove_file(systems.place.path().join("ids.txt")).unwrap();
    // The enumeration cannot end before iconik answers for the last asset.
    let last = systems.assets(&["Making of"]).remove(0);
    let away = Action::Status {
        code: 503,
        headers: std::collections::BTreeMap::new(),
        body: String::new(),
        applied: false,
        read_body: true,
    };
    let rule = Rule::new(away).on(System::Iconik);
    let rule = rule.path(&format!("*/assets/{last}/")).always();
    systems.simulator.faults().add(rule);
    let mut child = systems
        .place
        .bare()
        .args(["migrate", "--plan", "plan.jsonl", "--json"])
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let begun = || {
        let (_, lines) = systems.run(&["status"]);
        lines.iter().any(|line| line["type"] == "status")
    };
    while !begun() {
        assert!(child.try_wait().unwrap().is_none(), "it has not ended yet");
    }
    child.kill().unwrap();
    child.wait().unwrap();
    systems.simulator.faults().clear();

    // Another plan in its place is not taken for the one that the run began with.
    let plan = systems.place.path().join("plan.jsonl");
    let kept = std::fs::read(&plan).unwrap();
    std::fs::remove_file(&plan).unwrap();
    systems.place.write("ids.txt", &ids);
    systems.must(&["plan", "migrate", "--ids", "ids.txt", "--out", "plan.jsonl"]);
    let (code, lines) = systems.run(&["resume"]);
    assert_eq!(code, 2, "{lines:#?}");
    let message = of_type(&lines, "exit")["message"].to_string();
    assert!(message.contains("not the plan"), "{message}");
    std::fs::write(&plan, kept).unwrap();
    let lines = systems.must(&["resume", "--limit-bandwidth", "2MiB/s"]);
    assert_eq!(items(of_type(&lines, "summary"), "done"), 3, "{lines:#?}");
    assert_eq!(
        systems.named("spot.mov").len(),
        0,
        "below the smallest size"
    );

    // The run took more than a second, so that its rate is one to go by.
    systems
        .place
        .write("one.txt", &systems.assets(&["Poster"])[0]);
    let lines = systems.must(&["plan", "migrate", "--ids", "one.txt"]);
    let summary = of_type(&lines, "summary");
    assert_eq!(
        summary["history"].as_array().map(Vec::len),
        Some(1),
        "{summary}"
    );
    let hours = &summary["hours"];
    assert!(hours["low"].as_f64().unwrap() >= hours["least"].as_f64().unwrap());
    assert!(hours["high"].as_f64().unwrap() >= hours["low"].as_f64().unwrap());
    systems.stop();
}

#[test]
fn a_plan_that_is_interrupted_saves_nothing_and_changes_nothing() {
    let systems = Systems::start(Options::with(campaign::library(2_000, KIB)));
    let collection = systems.simulator.collection();
    let before = effects(&systems);
    let mut child = systems
        .place
        .bare()
        .args([
            "plan",
            "archive",
            &collection,
            "--out",
            "plan.jsonl",
            "--json",
        ])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut first = String::new();
    lines.read_line(&mut first).unwrap();
    assert!(first.contains("plan_item"), "{first}");
    let pid = child.id().to_string();
    let sent = std::process::Command::new("kill")
        .args(["-INT", &pid])
        .status();
    assert!(sent.unwrap().success());
    let mut rest = String::new();
    lines.read_to_string(&mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(75));
    let lines = json_lines(format!("{first}{rest}").as_bytes());
    assert!(lines.len() < 2_000, "it had not ended");
    assert_eq!(of_type(&lines, "exit")["name"], "stopped");
    let files: Vec<_> = std::fs::read_dir(systems.place.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(files, ["longhaul.toml"]);
    assert_eq!(effects(&systems), before);
    systems.stop();
}
