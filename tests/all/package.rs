//! The package of a campaign: made, left alone, gone on with after a kill, written to disk, damaged
//! and looked at again. `.ci/package` lets the public tools judge one too.

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;
use longhaul::sidecar::{bagit, premis};
use longhaul::simulator::Options;
use longhaul::simulator::campaign::{AssetSpec, Campaign, FileSpec, edits};
use longhaul::simulator::faults::{Action, Rule};
use longhaul::simulator::iconik::view_id;
use longhaul::transfer::{Content, Destination as _, NewContent};
use longhaul::types::{MIB, NodeId, Sha256Digest, VersionNote};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::{Extra, Systems, of_type, replace};

fn start(campaign: Campaign) -> Systems {
    Systems::start(Options::with(campaign))
}

/// Two masters, the second of that name.
fn one_and(second: &str) -> Campaign {
    let file = |name: &str, seed| FileSpec::generated(name, seed, 70_000);
    Campaign::new()
        .asset(AssetSpec::new("One", vec![file("one.mxf", 1)]))
        .asset(AssetSpec::new("Two", vec![file(second, 2)]))
}

/// Archives with a package; the exit code and what became of it.
fn pack(systems: &Systems) -> (i32, Value) {
    let collection = systems.simulator.collection();
    let (code, lines) = systems.run(&["archive", &collection, "--package"]);
    (code, of_type(&lines, "package").clone())
}

/// Writes the package to disk; where it is.
fn export(systems: &Systems) -> std::path::PathBuf {
    let lines = systems.must(&["package", "export", "--to", "out"]);
    let to = of_type(&lines, "package_exported")["to"].as_str();
    systems.place.path().join(to.expect("a directory"))
}

fn digest(path: &Path) -> Sha256Digest {
    let content = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    Sha256Digest(Sha256::digest(content).into())
}

/// Every file below, by its path.
fn files(top: &Path) -> BTreeMap<String, Sha256Digest> {
    let mut found = BTreeMap::new();
    let mut folders = vec![top.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(top).expect("below");
                found.insert(name.to_str().expect("UTF-8").to_owned(), digest(&path));
            }
        }
    }
    found
}

/// A bag on disk holds what its lists say, all of it and nothing else.
#[track_caller]
fn is_whole(bag: &Path) -> Vec<String> {
    let read = |name: &str| std::fs::read_to_string(bag.join(name)).expect("a list");
    let payload = bagit::read_manifest(&read("manifest-sha256.txt")).expect("a manifest");
    let tags = bagit::read_manifest(&read("tagmanifest-sha256.txt")).expect("a manifest");
    let mut listed = payload.clone();
    listed.extend(tags);
    let mut there = files(bag);
    there.remove("tagmanifest-sha256.txt").expect("it is there");
    assert_eq!(there, listed);
    let bytes: u64 = payload
        .keys()
        .map(|path| std::fs::metadata(bag.join(path)).expect("a file").len())
        .sum();
    let oxum = bagit::oxum(bytes, payload.len() as u64);
    assert_eq!(
        bagit::info_value(&read("bag-info.txt"), "Payload-Oxum"),
        Some(oxum.as_str())
    );
    payload.into_keys().collect()
}

fn campaign_of(bag: &Path) -> Value {
    let text = std::fs::read(bag.join("campaign.json")).expect("the campaign");
    serde_json::from_slice(&text).expect("JSON")
}

#[test]
fn a_package_says_what_is_in_a_campaign_and_what_is_missing() {
    let systems = start(edits());
    let (code, packed) = pack(&systems);
    assert_eq!(code, 1, "gaps are no success");
    assert_eq!(packed["complete"], true);
    assert_eq!(packed["gaps"], 2);
    assert_eq!(packed["title"], "BRANDX-Q1");
    let bag = export(&systems);
    let payload = is_whole(&bag);
    for path in [
        "data/masters/TV30.mxf",
        "data/masters/TV30.mxf.metadata.json",
        "data/masters/Harbour 100 _.mov",
        "data/edl/TV30.edl",
        "data/edl/TV30.otio",
        "data/edl/TV30.aaf",
        "data/ascmhl/ascmhl_chain.xml",
    ] {
        assert!(payload.contains(&path.to_owned()), "{path} of {payload:#?}");
    }
    let campaign = campaign_of(&bag);
    let assets = systems.assets(&["A002C006_141024_R2EC", "Jingle"]);
    let resolved = |clip: &str| {
        let references = campaign["source_references"].as_array().expect("a list");
        let found = references.iter().find(|reference| {
            reference["clip"]
                .as_str()
                .is_some_and(|is| is.ends_with(clip))
        });
        found.unwrap_or_else(|| panic!("{clip} of {references:#?}"))["iconik_asset"].clone()
    };
    assert_eq!(resolved("A002C006_141024_R2EC.MOV"), json!(assets[0]));
    assert_eq!(resolved("A002C006_141024_R2EC.mov"), json!(assets[0]));
    assert_eq!(resolved("TONE-440.WAV"), json!(assets[1]));
    assert_eq!(resolved("B001C001_LOST.MOV"), Value::Null);
    assert_eq!(resolved("drone_take_4.mov"), Value::Null);
    // Every file of the bag's payload is an item, with its digest.
    let items = campaign["items"].as_array().expect("items");
    assert_eq!(items.len(), payload.len());
    for item in items {
        let path = item["path"].as_str().expect("a path");
        assert_eq!(
            item["sha256"],
            digest(&bag.join(path)).to_string(),
            "{path}"
        );
    }
    assert_eq!(campaign["approvals"][0]["outcome"], "approved");
    assert_eq!(campaign["approvals"][0]["subject"], "TV spot, 30 seconds");
    // Whoever voted is named, and can be found again by id.
    let approval = &campaign["approvals"][0];
    assert!(approval["by_id"].as_str().is_some_and(|id| id.len() == 36));
    assert_ne!(approval["by"], approval["by_id"], "{approval}");
    let said = std::fs::read_to_string(bag.join("approvals.json")).expect("approvals");
    assert!(said.contains("Colours are final <ok>"), "{said}");
    let page = std::fs::read_to_string(bag.join("summary.html")).expect("the summary");
    assert!(page.contains("B001C001_LOST.MOV") && page.contains("TV30.mxf"));
    let fetch = std::fs::read_to_string(bag.join("fetch.txt")).expect("where the masters are");
    let fetch = bagit::read_fetch(&fetch).expect("a list");
    assert!(
        fetch.iter().all(|file| !file.url.contains('?')),
        "no signed address"
    );
    systems.stop();
}

/// An item of the campaign by its path.
#[track_caller]
fn item<'a>(campaign: &'a Value, path: &str) -> &'a Value {
    let items = campaign["items"].as_array().expect("items");
    let found = items.iter().find(|item| item["path"] == path);
    found.unwrap_or_else(|| panic!("{path} of {items:#?}"))
}

#[test]
fn each_paper_says_what_a_file_is_who_released_it_and_where_it_is() {
    let brief = AssetSpec::new(
        "Brief",
        vec![FileSpec::real("brief.pdf", b"%PDF-1.7 brief")],
    );
    let systems = start(edits().asset(brief));
    systems.configure(Extra {
        sections: "[rights]\nfields = { status = \"rights_status\", owner = \"owner\" }\n",
        ..Extra::default()
    });
    pack(&systems);
    let bag = export(&systems);
    is_whole(&bag);
    let campaign = campaign_of(&bag);
    // Sidecars are beside what they are about, and it names them.
    assert_eq!(
        item(&campaign, "data/edl/TV30.edl")["sidecars"],
        json!([
            "data/edl/TV30.edl.metadata.json",
            "data/edl/TV30.edl.rights.jsonld"
        ])
    );
    let document = item(&campaign, "data/documents/brief.pdf");
    assert_eq!(document["kind"], "supporting-document");
    assert_eq!(document["sidecars"].as_array().map(Vec::len), Some(2));
    item(&campaign, "data/documents/brief.pdf.metadata.json");
    // Who released it, whatever the policy.
    let release = &item(&campaign, "data/masters/TV30.mxf")["release"];
    assert_eq!(
        (&release["final"], &release["by"]),
        (&json!(true), &json!(["Ada Editor"]))
    );
    assert!(
        release["at"]
            .as_str()
            .is_some_and(|at| at.starts_with("2026-")),
        "{release}"
    );
    let other = &item(&campaign, "data/masters/tone-440.wav")["release"];
    assert_eq!(other["final"], false);
    assert_eq!(other["says"], "nobody has asked for its approval");
    // The history is filed before the papers that name its documents.
    let items = campaign["items"].as_array().expect("items");
    let fixity: Vec<&Value> = items
        .iter()
        .filter(|item| item["kind"] == "fixity")
        .collect();
    assert_eq!(fixity.len(), 2);
    for one in fixity {
        assert_eq!(one["level"], "read-back", "{one}");
        let name = one["path"]
            .as_str()
            .and_then(|path| path.rsplit('/').next());
        let filed = systems.named(name.expect("a name")).remove(0);
        assert_eq!(one["otcs"]["node"], json!(filed.node), "{one}");
    }
    // What nobody knows is no licence.
    let rights = campaign["rights"].as_array().expect("rights");
    let unknown = rights.iter().filter(|one| one["known"] == false);
    assert_eq!((unknown.count(), rights.len()), (7, 8));
    let premis = std::fs::read_to_string(bag.join("premis.xml")).expect("PREMIS");
    assert_eq!(premis.matches("<rightsBasis>other").count(), 7);
    assert_eq!(premis.matches("<rightsBasis>license").count(), 1);
    assert!(!premis.contains("forbidden: use"));
    // A package's name is nobody else's.
    let info = std::fs::read_to_string(bag.join("bag-info.txt")).expect("the bag");
    let id = bagit::info_value(&info, "External-Identifier").expect("a name");
    let collection = systems.simulator.collection();
    assert!(
        id.starts_with(&format!("urn:longhaul:package:{collection}:")),
        "{id}"
    );
    assert_eq!(
        bagit::info_value(&info, "Internal-Sender-Identifier"),
        Some("run 1")
    );
    systems.stop();
}

#[test]
fn a_package_of_final_masters_alone_lists_the_others_as_left_out_and_not_as_gaps() {
    let systems = start(edits());
    let only = "[package]\nonly = \"final\"\n";
    systems.configure(Extra {
        sections: only,
        ..Extra::default()
    });
    let foreseen = || {
        let collection = systems.simulator.collection();
        let lines = systems.must(&["plan", "archive", &collection, "--package", "--summary"]);
        let package = of_type(&lines, "summary")["package"].clone();
        (package["gaps"].clone(), package["left_out"].clone())
    };
    let (gaps, out) = foreseen();
    assert_eq!(gaps.as_array().map(Vec::len), Some(2), "{gaps:#?}");
    let out: Vec<&Value> = out.as_array().expect("a list").iter().collect();
    assert_eq!(out.len(), 3, "{out:#?}");
    let says = |one: &&&Value| {
        one["path"] == "Jingle" && one["reason"].to_string().contains("nobody has asked")
    };
    assert!(out.iter().any(|one| says(&one)), "{out:#?}");

    let (code, packed) = pack(&systems);
    // The gaps are the edits' lost clips, as before.
    assert_eq!(
        (code, &packed["gaps"], &packed["left_out"]),
        (1, &json!(2), &json!(3))
    );
    let bag = export(&systems);
    let payload = is_whole(&bag);
    for path in ["data/masters/TV30.mxf", "data/edl/TV30.edl"] {
        assert!(payload.contains(&path.to_owned()), "{path} of {payload:#?}");
    }
    assert!(
        !payload.iter().any(|path| path.contains("tone-440")),
        "{payload:#?}"
    );
    let campaign = campaign_of(&bag);
    assert_eq!(campaign["totals"]["left_out"], 3);
    assert_eq!(campaign["exceptions"], json!([]));
    let out = campaign["left_out"].as_array().expect("what is left out");
    let jingle = out.iter().find(|out| out["title"] == "Jingle").expect("it");
    assert_eq!(jingle["why"], "not-final");
    let reason = jingle["reason"].as_str().expect("a reason");
    assert!(
        reason.contains("`package.only`") && reason.contains("nobody has asked"),
        "{reason}"
    );
    // What an edit uses of it is known, and no gap.
    let clip = reference(&campaign, "TONE-440.WAV");
    assert_eq!(clip["iconik_asset"], jingle["asset"]);
    assert!(
        clip["gap"].is_null() && clip["left_out"].is_string(),
        "{clip}"
    );
    let page = std::fs::read_to_string(bag.join("summary.html")).expect("the summary");
    assert!(page.contains("Left out, and no gap") && page.contains("Jingle"));
    assert!(page.contains("Not complete: there are 2 gaps"));
    // Nothing new, nothing written.
    let effects = systems.simulator.content_server().history().len();
    assert_eq!(pack(&systems).1["written"], 0);
    assert_eq!(systems.simulator.content_server().history().len(), effects);
    // Where sources are taken too, it comes as one.
    systems.configure(Extra {
        sections: &format!("{only}sources = \"include\"\n"),
        ..Extra::default()
    });
    assert_eq!(foreseen().1, json!([]));
    let (_, packed) = pack(&systems);
    assert_eq!(packed["left_out"], 0);
    assert!(is_whole(&export(&systems)).contains(&"data/sources/tone-440.wav".to_owned()));
    systems.stop();
}

#[test]
fn a_package_of_which_nothing_is_final_is_not_made_and_says_so() {
    let file = FileSpec::generated("one.mxf", 1, 7_000);
    let systems = start(Campaign::new().asset(AssetSpec::new("One", vec![file])));
    systems.configure(Extra {
        sections: "[package]\nonly = \"final\"\n",
        ..Extra::default()
    });
    let (code, packed) = pack(&systems);
    assert_eq!((code, &packed["folder"]), (1, &Value::Null));
    assert_eq!(
        (&packed["left_out"], &packed["complete"]),
        (&json!(1), &json!(false))
    );
    assert!(systems.named("bagit.txt").is_empty());
    systems.stop();
}

#[test]
fn what_a_filter_left_out_of_a_campaign_is_listed_as_missing() {
    let systems = start(edits());
    let collection = systems.simulator.collection();
    let filtered = ["archive", &collection, "--package", "--name", "TV*"];
    let (code, lines) = systems.run(&filtered);
    let packed = of_type(&lines, "package");
    // Three assets, the four uses of them in edits, and the two clips that nobody has.
    assert_eq!((code, &packed["gaps"]), (1, &json!(9)), "{packed}");
    let bag = export(&systems);
    let campaign = campaign_of(&bag);
    let missing = campaign["exceptions"].as_array().expect("what is missing");
    let jingle = missing
        .iter()
        .find(|one| one["path"] == "Jingle")
        .expect("it");
    let reason = jingle["reason"].as_str().expect("a reason");
    assert!(
        reason.contains("filter-name") && reason.contains("TV*"),
        "{reason}"
    );
    let page = std::fs::read_to_string(bag.join("summary.html")).expect("the summary");
    assert!(page.contains("Jingle") && page.contains("Not complete"));
    let effects = systems.simulator.content_server().history().len();
    let (_, lines) = systems.run(&filtered);
    assert_eq!(of_type(&lines, "package")["written"], 0);
    assert_eq!(systems.simulator.content_server().history().len(), effects);
    // Without the filter they are in it.
    assert_eq!(pack(&systems).1["gaps"], 2);
    systems.stop();
}

/// The campaign with an edit's missing clip in another collection, and two assets that could be
/// its other one.
fn with_rushes() -> Campaign {
    let outside = |title: &str, name: &str, seed| {
        AssetSpec::new(title, vec![FileSpec::generated(name, seed, MIB / 2)])
            .with(|asset| asset.collections = vec![1])
    };
    edits()
        .collection("Rushes", &[])
        .asset(outside("B001C001_LOST.MOV", "B001C001_LOST.MOV", 81))
        .asset(outside("drone_take_4.mov", "take4.mov", 82))
        .asset(outside("Drone_Take_4.mov", "take4b.mov", 83))
        .asset(outside("drone_take_40.mov", "take40.mov", 84))
}

/// What is said of a clip of the campaign's edits.
fn reference(campaign: &Value, clip: &str) -> Value {
    let all = campaign["source_references"].as_array().expect("a list");
    let is = |one: &&Value| one["clip"].as_str().is_some_and(|is| is.ends_with(clip));
    all.iter().find(is).expect("the clip").clone()
}

#[test]
fn what_an_edit_uses_and_the_campaign_lacks_is_looked_for_in_all_of_iconik() {
    let systems = start(with_rushes());
    let assets = systems.assets(&["B001C001_LOST.MOV", "drone_take_4.mov", "Drone_Take_4.mov"]);
    let (code, packed) = pack(&systems);
    assert_eq!((code, &packed["gaps"]), (1, &json!(2)));
    let campaign = campaign_of(&export(&systems));
    let gap = |clip: &str| {
        reference(&campaign, clip)["gap"]
            .as_str()
            .map(str::to_owned)
    };
    let lost = gap("B001C001_LOST.MOV").expect("a gap");
    assert!(
        lost.contains(&assets[0]) && lost.contains("`package.sources`"),
        "{lost}"
    );
    let drone = gap("drone_take_4.mov").expect("a gap");
    assert!(
        drone.starts_with("2 assets outside the campaign"),
        "{drone}"
    );
    assert!(
        drone.contains(&assets[1]) && drone.contains(&assets[2]),
        "{drone}"
    );
    assert!(systems.named("B001C001_LOST.MOV").is_empty());

    // Filed and packed with the campaign, and killed on the way there.
    systems.configure(Extra {
        sections: "[package]\nsources = \"include\"",
        ..Extra::default()
    });
    let collection = systems.simulator.collection();
    #[cfg(debug_assertions)]
    systems.die(&["archive", &collection, "--package"], "committed:1");
    let (code, packed) = pack(&systems);
    assert_eq!((code, &packed["gaps"]), (1, &json!(1)));
    let bag = export(&systems);
    let payload = is_whole(&bag);
    for path in [
        "data/sources/B001C001_LOST.MOV",
        "data/sources/B001C001_LOST.MOV.metadata.json",
    ] {
        assert!(payload.contains(&path.to_owned()), "{path} of {payload:#?}");
    }
    let campaign = campaign_of(&bag);
    let lost = reference(&campaign, "B001C001_LOST.MOV");
    assert_eq!(
        (&lost["iconik_asset"], &lost["gap"]),
        (&json!(assets[0]), &Value::Null)
    );
    let items = campaign["items"].as_array().expect("items");
    let source = items.iter().find(|item| item["kind"] == "source-reference");
    assert_eq!(
        source.expect("a source")["iconik"]["asset"],
        json!(assets[0])
    );
    assert_eq!(systems.named("B001C001_LOST.MOV").len(), 1);
    assert!(systems.named("take4.mov").is_empty(), "nobody guesses");

    let effects = systems.simulator.content_server().history().len();
    let (_, packed) = pack(&systems);
    assert_eq!(packed["written"], 0);
    assert_eq!(systems.simulator.content_server().history().len(), effects);

    // It is not the campaign's to retire.
    systems.configure(Extra {
        sections: "[package]\nsources = \"include\"\noriginals = \"remove\"",
        ..Extra::default()
    });
    let (_, lines) = systems.run(&["package", "retire", "--dry-run"]);
    let decided = lines.iter().filter(|line| line["type"] == "package_retire");
    assert!(decided.clone().count() > 3);
    assert!(
        !decided
            .clone()
            .any(|line| line["asset"] == json!(assets[0]))
    );
    systems.stop();
}

#[test]
fn a_plan_says_what_a_package_would_miss_and_changes_nothing() {
    let junk = AssetSpec::new("Junk", vec![FileSpec::real("junk.edl", b"\x00\xffno list")]);
    let systems = start(with_rushes().asset(junk));
    let collection = systems.simulator.collection();
    let foreseen = |arguments: &[&str]| {
        let lines = systems.must(arguments);
        of_type(&lines, "summary")["package"].clone()
    };
    let plan = ["plan", "archive", &collection, "--package", "--summary"];
    let before = foreseen(&plan);
    assert_eq!(
        (&before["edits"], &before["sources"]),
        (&json!(4), &json!(1))
    );
    let gaps = before["gaps"].as_array().expect("gaps").clone();
    let said: Vec<&str> = gaps
        .iter()
        .filter_map(|gap| gap["reason"].as_str())
        .collect();
    assert_eq!(gaps.len(), 3, "{gaps:#?}");
    assert!(
        said[0].contains("used by TV30.edl; it is asset"),
        "{said:#?}"
    );
    assert!(
        said[1].contains("used by TV30.otio; 2 assets outside"),
        "{said:#?}"
    );
    assert!(
        said[2].contains("source references cannot be read"),
        "{said:#?}"
    );
    assert!(systems.versions().is_empty());
    assert_eq!(
        foreseen(&["archive", &collection, "--package", "--dry-run"]),
        before
    );
    assert_eq!(foreseen(&plan[..3]), Value::Null);
    // What a filter leaves out is the campaign's all the same.
    let filtered = [
        "plan",
        "archive",
        &collection,
        "--package",
        "--format",
        "edl",
    ];
    let gaps = foreseen(&filtered)["gaps"].to_string();
    assert!(
        gaps.contains("of the campaign, of which nothing is filed"),
        "{gaps}"
    );
    // What is filed since is foreseen alike.
    let (_, packed) = pack(&systems);
    assert_eq!(packed["gaps"], 3);
    assert_eq!(foreseen(&plan), before);
    systems.stop();
}

#[test]
fn a_token_that_may_not_search_leaves_gaps_that_say_so() {
    let systems = start(with_rushes());
    let faults = systems.simulator.faults();
    faults.add(
        Rule::new(Action::Status {
            code: 403,
            headers: BTreeMap::new(),
            body: r#"{"errors": ["can_search"]}"#.to_owned(),
            applied: false,
            read_body: true,
        })
        .path("/API/search/v1/search/")
        .always(),
    );
    let (code, packed) = pack(&systems);
    assert_eq!((code, &packed["complete"]), (1, &json!(true)));
    let campaign = campaign_of(&export(&systems));
    let lost = reference(&campaign, "B001C001_LOST.MOV");
    let gap = lost["gap"].as_str().expect("a gap");
    assert!(
        gap.contains("iconik was not searched") && gap.contains("can_search"),
        "{gap}"
    );
    systems.stop();
}

#[test]
fn a_second_run_over_the_same_campaign_writes_nothing_at_all() {
    let systems = start(edits());
    pack(&systems);
    let before = systems.versions();
    let effects = systems.simulator.content_server().history().len();
    let (code, packed) = pack(&systems);
    assert_eq!(code, 1, "the gaps are still there");
    assert_eq!(packed["written"], 0);
    assert_eq!(packed["complete"], true);
    assert_eq!(systems.versions().len(), before.len());
    assert_eq!(systems.simulator.content_server().history().len(), effects);
    systems.stop();
}

#[test]
fn new_content_gets_a_path_and_a_generation_and_the_old_one_stays() {
    let systems = start(one_and("two.mxf"));
    assert_eq!(pack(&systems).0, 0);
    let first = is_whole(&export(&systems));
    replace(&systems, "one.mxf", 9, 80_000);
    let (code, packed) = pack(&systems);
    assert_eq!((code, &packed["complete"]), (0, &json!(true)));
    let bag = export(&systems);
    let second = is_whole(&bag);
    for path in &first {
        assert!(second.contains(path), "{path} is gone");
    }
    assert!(
        second.contains(&"data/masters/one.v2.mxf".to_owned()),
        "{second:#?}"
    );
    assert!(
        !second.contains(&"data/masters/two.v2.mxf".to_owned()),
        "{second:#?}"
    );
    let manifests = second.iter().filter(|path| path.ends_with(".mhl"));
    assert_eq!(manifests.count(), 2);
    assert_eq!(
        std::fs::metadata(bag.join("data/masters/one.v2.mxf"))
            .unwrap()
            .len(),
        80_000
    );
    // No paper is there twice, under any name.
    let papers = systems.named("campaign.json");
    assert_eq!(papers.len(), 2, "a version each");
    assert!(papers.iter().all(|paper| paper.node == papers[0].node));
    assert_eq!(
        systems.named("bagit.txt").len(),
        1,
        "what has not changed is left alone"
    );
    systems.stop();
}

/// Puts the ledger aside under a name; the one of another name is the ledger then, if it is there.
fn change_ledger(systems: &Systems, aside: &str, back: &str) {
    for end in ["", "-wal", "-shm"] {
        let path = |name: &str| systems.place.path().join(format!("{name}.db{end}"));
        let _absent = std::fs::rename(path("longhaul"), path(aside));
        let _absent = std::fs::rename(path(back), path("longhaul"));
    }
}

fn generations(payload: &[String]) -> Vec<String> {
    let all = payload.iter().filter(|path| path.ends_with(".mhl"));
    all.cloned().collect()
}

#[test]
fn another_ledger_goes_on_with_the_package_and_its_history_and_the_first_does_after_it() {
    let systems = start(one_and("two & 2.mxf"));
    assert_eq!(pack(&systems).0, 0);
    let bag = export(&systems);
    let first = is_whole(&bag);
    let named = |bag: &Path| {
        let info = std::fs::read_to_string(bag.join("bag-info.txt")).expect("bag-info.txt");
        let id = bagit::info_value(&info, "External-Identifier");
        id.expect("a name").to_owned()
    };
    let name = named(&bag);
    let events = |bag: &Path| -> Vec<String> {
        let text = std::fs::read_to_string(bag.join("premis.xml")).expect("premis.xml");
        let events = premis::events_of(&text).expect("a record").into_iter();
        events.map(|event| format!("{event:?}")).collect()
    };
    let seen = events(&bag);
    assert!(!seen.is_empty());

    // A ledger that knows nothing of it.
    change_ledger(&systems, "first", "second");
    systems.must(&["adopt"]);
    replace(&systems, "one.mxf", 9, 80_000);
    let (code, packed) = pack(&systems);
    assert_eq!((code, &packed["complete"]), (0, &json!(true)));
    let lines = systems.must(&["audit"]);
    let taken = lines
        .iter()
        .find(|line| line["event"] == "package-taken-over")
        .expect("a line of the journal");
    assert_eq!(taken["data"]["generations"], 1);
    let bag = export(&systems);
    let second = is_whole(&bag);
    for path in &first {
        assert!(second.contains(path), "{path} of {second:#?}");
    }
    assert!(second.contains(&"data/masters/one.v2.mxf".to_owned()));
    assert_eq!(generations(&second).len(), 2);
    assert_eq!(named(&bag), name, "it is the same package");
    // What the first ledger saw is told on.
    let later = events(&bag);
    for event in &seen {
        assert!(later.contains(event), "{event} of {later:#?}");
    }
    let (code, packed) = pack(&systems);
    assert_eq!((code, &packed["written"]), (0, &json!(0)));

    // And back to the first, which does not know what the second did.
    change_ledger(&systems, "second", "first");
    replace(&systems, "one.mxf", 11, 90_000);
    assert_eq!(pack(&systems).0, 0);
    let bag = export(&systems);
    let third = is_whole(&bag);
    for path in &second {
        assert!(third.contains(path), "{path} of {third:#?}");
    }
    assert!(
        third.contains(&"data/masters/one.v3.mxf".to_owned()),
        "{third:#?}"
    );
    assert_eq!(generations(&third).len(), 3);
    let text = std::fs::read_to_string(bag.join("premis.xml")).expect("premis.xml");
    let ids = premis::events_of(&text).expect("a record").into_iter();
    let ids: Vec<String> = ids.map(|event| event.id.to_string()).collect();
    let once: std::collections::BTreeSet<&String> = ids.iter().collect();
    assert_eq!(once.len(), ids.len(), "each event once");
    let papers = systems.named("campaign.json");
    assert!(
        papers.iter().all(|paper| paper.node == papers[0].node),
        "one folder"
    );
    systems.must(&["package", "check"]);
    systems.stop();
}

#[cfg(debug_assertions)]
#[test]
fn a_history_that_another_ledger_had_no_time_to_close_is_gone_on_with() {
    let systems = start(one_and("two.mxf"));
    assert_eq!(pack(&systems).0, 0);
    change_ledger(&systems, "first", "second");
    systems.must(&["adopt"]);
    replace(&systems, "one.mxf", 9, 80_000);
    let collection = systems.simulator.collection();
    // The master, the new manifest, the chain.
    systems.die(&["archive", &collection, "--package"], "done:3");
    let count = |name: &str| systems.named(name).len();
    assert_eq!(
        (count("ascmhl_chain.xml"), count("tagmanifest-sha256.txt")),
        (2, 1)
    );
    change_ledger(&systems, "second", "first");
    replace(&systems, "two.mxf", 11, 90_000);
    let (code, packed) = pack(&systems);
    assert_eq!((code, &packed["complete"]), (0, &json!(true)));
    assert_eq!(generations(&is_whole(&export(&systems))).len(), 3);
    systems.stop();
}

#[test]
fn a_package_of_another_ledger_that_cannot_be_read_is_left_as_it_is() {
    let file = FileSpec::generated("one.mxf", 1, 70_000);
    let systems = start(Campaign::new().asset(AssetSpec::new("One", vec![file])));
    assert_eq!(pack(&systems).0, 0);
    change_ledger(&systems, "first", "second");
    systems.must(&["adopt"]);
    let paper = systems.named("campaign.json").pop().expect("a paper");
    let server = systems.simulator.content_server();
    let collection = systems.simulator.collection();
    let is_left = |why: &str| {
        let before = systems.versions();
        let mut archive = systems.place.longhaul();
        let output = archive.args(["archive", &collection, "--package"]).output();
        let output = output.expect("longhaul runs");
        assert_eq!(output.status.code(), Some(65));
        let stderr = String::from_utf8_lossy(&output.stderr);
        let said = format!("is of another ledger and cannot be taken over: campaign.json: {why}");
        assert!(stderr.contains(&said), "{stderr}");
        assert_eq!(systems.versions(), before);
    };
    assert!(server.corrupt(paper.node, paper.version, 20));
    is_left("");
    // Its files would be lost with it.
    assert!(server.delete(paper.node));
    is_left("it is not there");
    systems.stop();
}

#[cfg(debug_assertions)]
#[test]
fn a_package_that_is_killed_half_way_is_gone_on_with() {
    for (place, occurrence) in [("committed", 3), ("commit-answered", 2), ("done", 7)] {
        let systems = start(edits());
        let collection = systems.simulator.collection();
        systems.archive(&[]);
        let before = systems.versions().len();
        let arguments = ["archive", &collection, "--package"];
        systems.die(&arguments, &format!("{place}:{occurrence}"));
        assert!(
            systems.named("tagmanifest-sha256.txt").is_empty(),
            "{place}"
        );
        let (code, lines) = systems.run(&["resume"]);
        assert_eq!(code, 1, "{place}: {lines:#?}");
        let packed = of_type(&lines, "package");
        assert_eq!(packed["complete"], true, "{place}");
        let versions = systems.versions();
        assert!(versions.len() > before);
        assert!(
            versions.iter().all(|version| version.version == 1),
            "{place}: nothing twice"
        );
        is_whole(&export(&systems));
        systems.stop();
    }
}

#[test]
fn an_export_that_was_cut_is_gone_on_with_and_a_foreign_directory_is_left_alone() {
    let systems = start(edits());
    pack(&systems);
    let bag = export(&systems);
    std::fs::remove_file(bag.join("data/masters/TV30.mxf")).expect("a file");
    std::fs::remove_file(bag.join("tagmanifest-sha256.txt")).expect("a file");
    std::fs::write(bag.join("data/edl/TV30.edl"), "cut").expect("a file");
    let lines = systems.must(&["package", "export", "--to", "out"]);
    assert_eq!(of_type(&lines, "package_exported")["written"], 3);
    is_whole(&bag);
    let foreign = systems.place.path().join("elsewhere/BRANDX-Q1");
    std::fs::create_dir_all(&foreign).expect("a folder");
    std::fs::write(foreign.join("mine.txt"), "mine").expect("a file");
    let (code, _) = systems.run(&["package", "export", "--to", "elsewhere"]);
    assert_eq!(code, 2);
    assert_eq!(files(&foreign).len(), 1);
    systems.stop();
}

#[test]
fn a_paper_that_somebody_deleted_is_filed_afresh_by_decision() {
    let systems = start(edits());
    pack(&systems);
    let lost = systems.named("manifest-sha256.txt").remove(0).node;
    assert!(systems.simulator.content_server().delete(lost));
    let (code, lines) = systems.run(&["package", "check"]);
    assert_eq!(code, 65);
    let bad = &of_type(&lines, "package_checked")["bad"];
    assert_eq!(bad[0]["path"], "manifest-sha256.txt", "{bad}");
    // The check that adds a generation cannot renew it, and says so; it can still be looked at.
    systems.run(&["package", "check", "--read-back"]);
    assert_eq!(systems.run(&["package", "check"]).0, 65);
    let key = format!(
        "package:{}/manifest-sha256.txt",
        systems.simulator.collection()
    );
    systems.must(&["decide", &key, "--afresh", "--because", "deleted by hand"]);
    let (_, lines) = systems.run(&["resume"]);
    assert_eq!(of_type(&lines, "package")["complete"], true, "{lines:#?}");
    systems.must(&["package", "check"]);
    is_whole(&export(&systems));
    systems.stop();
}

#[test]
fn a_check_finds_what_rotted_and_adds_a_generation_that_says_so() {
    let systems = start(edits());
    pack(&systems);
    let lines = systems.must(&["package", "check"]);
    assert_eq!(of_type(&lines, "package_checked")["bad"], json!([]));
    let lines = systems.must(&["package", "check", "--read-back"]);
    let good = of_type(&lines, "package_checked")["good"].as_u64();
    assert!(good > Some(20), "{good:?}");
    assert_eq!(of_type(&lines, "package")["complete"], true);
    let second = systems
        .versions()
        .into_iter()
        .find(|version| version.name.starts_with("0002_data_"))
        .expect("a second generation");
    assert!(
        VersionNote::parse(&second.description).is_some(),
        "it has a marker"
    );
    let master = systems.named("TV30.mxf").remove(0);
    assert!(
        systems
            .simulator
            .content_server()
            .corrupt(master.node, master.version, 7)
    );
    // Sizes do not tell.
    systems.must(&["package", "check"]);
    let (code, lines) = systems.run(&["package", "check", "--read-back"]);
    assert_eq!(code, 65);
    let bad = of_type(&lines, "package_checked")["bad"].clone();
    assert_eq!(bad[0]["path"], "data/masters/TV30.mxf");
    assert_eq!(bad.as_array().map(Vec::len), Some(1));
    // What rotted is not written to a disk.
    let (code, _) = systems.run(&["package", "export", "--to", "out"]);
    assert_eq!(code, 65);
    let third = systems.place.path().join("out/BRANDX-Q1/data/ascmhl");
    let text: String = std::fs::read_dir(third)
        .expect("the history was written before")
        .map(|entry| std::fs::read_to_string(entry.expect("an entry").path()).expect("XML"))
        .collect();
    assert_eq!(text.matches("action=\"failed\"").count(), 2, "both digests");
    assert!(text.contains("action=\"verified\"") && text.contains("action=\"original\""));
    // What somebody put on top is what people see.
    let paper = NodeId(systems.named("campaign.json").remove(0).node);
    let junk = NewContent::Body {
        file_name: "campaign.json".to_owned(),
        mime: "application/json".to_owned(),
        content: Content::Chunks(vec![Bytes::from_static(b"junk")]),
    };
    systems.person(|server| async move { server.add_version(paper, "mine", junk).await });
    let (code, lines) = systems.run(&["package", "check"]);
    let bad = &of_type(&lines, "package_checked")["bad"];
    assert_eq!((code, bad.as_array().map(Vec::len)), (65, Some(1)), "{bad}");
    assert_eq!(bad[0]["path"], "campaign.json");
    assert!(
        bad[0]["problem"].to_string().contains("did not file"),
        "{bad}"
    );
    // Papers are read in any case.
    let page = systems.named("summary.html").pop().expect("a page");
    let server = systems.simulator.content_server();
    assert!(server.corrupt(page.node, page.version, 3));
    let (code, lines) = systems.run(&["package", "check"]);
    let bad = &of_type(&lines, "package_checked")["bad"];
    assert_eq!((code, bad.as_array().map(Vec::len)), (65, Some(2)), "{bad}");
    assert_eq!(bad[1]["path"], "summary.html");
    assert!(
        bad[1]["problem"].to_string().contains("other bytes"),
        "{bad}"
    );
    systems.stop();
}

#[test]
fn a_package_can_be_a_compound_document_or_a_business_workspace() {
    for container in ["compound", "workspace", "folder"] {
        let systems = start(edits());
        systems.configure(Extra {
            sections: &format!(
                "[package]\ncontainer = \"{container}\"\n\
                 workspace = {{ type = \"Campaign\", name = \"Campaign {{title}}\" }}\n"
            ),
            ..Extra::default()
        });
        let (code, packed) = pack(&systems);
        assert_eq!(
            (code, &packed["complete"]),
            (1, &json!(true)),
            "{container}"
        );
        let folder = NodeId(packed["folder"].as_i64().expect("a node"));
        let (inside, listed) = systems.person(|server| async move {
            let around = server.workspace_around(folder).await?;
            let workspace = around.expect("it is in a workspace, or is one");
            let listed = server.listed_in(folder, 1).await?;
            Ok((server.workspace(workspace).await?, listed))
        });
        assert_eq!(inside.name, "Campaign BRANDX-Q1");
        assert_eq!(inside.id == folder, container == "workspace");
        let data = listed.rows.iter().find(|node| node.name == "data");
        let kind = match container {
            "compound" => "Compound Document",
            _ => "Folder",
        };
        assert_eq!(data.expect("the payload").kind, kind, "{container}");
        // Nothing twice, and it is checked and written like any other.
        let effects = systems.simulator.content_server().history().len();
        assert_eq!(pack(&systems).1["written"], 0);
        assert_eq!(systems.simulator.content_server().history().len(), effects);
        systems.must(&["package", "check", "--read-back"]);
        is_whole(&export(&systems));
        systems.stop();
    }
}

#[test]
fn a_workspace_that_cannot_be_found_or_made_is_said_and_the_masters_stay_filed() {
    let systems = start(edits());
    for (workspace, said) in [
        (
            "{ type = \"Campaing\", name = \"x\" }",
            "`package.workspace.type` names",
        ),
        (
            "{ type = \"Campaign\", name = \"{region}\" }",
            "needs a value of `region` for its workspace",
        ),
        (
            "{ type = \"Campaign\", name = \"x\", create = false }",
            "`package.workspace.create` is false",
        ),
    ] {
        systems.configure(Extra {
            sections: &format!("[package]\nworkspace = {workspace}\n"),
            ..Extra::default()
        });
        let collection = systems.simulator.collection();
        let (code, lines) = systems.run(&["archive", &collection, "--package"]);
        let message = of_type(&lines, "exit")["message"].to_string();
        assert!(code != 0 && message.contains(said), "{code}: {message}");
    }
    assert!(!systems.named("TV30.mxf").is_empty());
    systems.configure(Extra::default());
    assert_eq!(pack(&systems).1["complete"], true);
    systems.stop();
}

#[test]
fn a_packed_collection_says_so_in_iconik_once() {
    let file = |name: &str, seed| FileSpec::generated(name, seed, 7_000);
    let systems = start(Campaign::new().asset(AssetSpec::new("One", vec![file("one.mxf", 1)])));
    let view = view_id(1);
    let mark = |values: &str| {
        systems.configure(Extra {
            sections: &format!(
                "[package]\nmark = {{ view = \"{view}\", values = {{ {values} }} }}\n"
            ),
            ..Extra::default()
        });
    };
    mark("archive_state = \"kept\", archive_date = \"{day}\", archive_link = \"{link}\"");
    let (code, packed) = pack(&systems);
    assert_eq!((code, &packed["collection_marked"]), (0, &json!("now")));
    let collection = systems.simulator.collection();
    let iconik = systems.simulator.iconik();
    let says = iconik.values("collections", &collection, &view);
    let says = says.expect("values").to_string();
    let link = format!("/app/nodes/{}", packed["folder"]);
    assert!(says.contains("kept") && says.contains(&link), "{says}");
    let values = || {
        let writes = iconik.writes().into_iter();
        writes
            .filter(|write| write.path.contains("/views/"))
            .count()
    };
    let before = values();
    assert_eq!(pack(&systems).1["collection_marked"], "before");
    assert_eq!(values(), before);
    // What iconik does not take is said, and is no success.
    mark("nowhere = \"x\"");
    let (code, packed) = pack(&systems);
    assert_eq!((code, &packed["collection_marked"]), (1, &json!("refused")));
    mark("archive_state = \"{when}\"");
    let (code, lines) = systems.run(&["archive", &collection, "--package"]);
    assert_eq!(code, 2);
    let message = of_type(&lines, "exit")["message"].to_string();
    assert!(
        message.contains("{when}") && message.contains("{day}"),
        "{message}"
    );
    systems.stop();
}

#[test]
fn a_split_master_is_in_the_package_with_its_events_and_is_checked() {
    let mut options = Options::with(Campaign::new().asset(AssetSpec::new(
        "Long",
        vec![FileSpec::generated("long.mxf", 1, 20 * MIB + 5)],
    )));
    options.content_server.multipart.max_size = 9 * MIB;
    let systems = Systems::with(
        options,
        Extra {
            sections: "[transfer]\noversize = \"split\"",
            ..Extra::default()
        },
    );
    assert_eq!(pack(&systems).0, 0);
    let bag = export(&systems);
    let payload = is_whole(&bag);
    let part = |number: u32| format!("data/masters/long.mxf/long.mxf.{number:03}");
    let parts: Vec<String> = (1..=3).map(part).collect();
    assert!(
        parts.iter().all(|part| payload.contains(part)),
        "{payload:#?}"
    );
    assert!(payload.contains(&"data/masters/long.mxf/long.mxf.join.json".to_owned()));
    // Every part has an address for a public tool, and together they are the master.
    let read = |name: &str| std::fs::read_to_string(bag.join(name)).expect("a list");
    let fetched = bagit::read_fetch(&read("fetch.txt")).expect("a list");
    let listed = |part: &String| fetched.iter().any(|file| file.path == *part);
    assert!(parts.iter().all(listed), "{fetched:#?}");
    let campaign = campaign_of(&bag);
    let split = &campaign["split_masters"][0];
    assert_eq!(split["path"], "data/masters/long.mxf");
    assert_eq!(split["parts"], json!(parts));
    assert_eq!(
        split["sidecars"],
        json!(["data/masters/long.mxf.metadata.json"])
    );
    let whole: Vec<u8> = parts
        .iter()
        .flat_map(|part| std::fs::read(bag.join(part)).expect("a part"))
        .collect();
    assert_eq!(whole.len() as u64, 20 * MIB + 5);
    let sha256 = Sha256Digest(Sha256::digest(whole).into()).to_string();
    assert_eq!(split["sha256"], sha256);
    assert!(read("bag-info.txt").contains(&sha256));
    let items = campaign["items"].as_array().expect("items");
    let first = items.iter().find(|item| item["path"] == json!(parts[0]));
    assert_eq!(first.expect("an item")["part_of"], split["path"]);
    let history = payload
        .iter()
        .find(|path| path.ends_with(".mhl"))
        .expect("a history");
    assert!(
        read(history).contains("long.mxf.002"),
        "parts are in the history"
    );
    let premis = std::fs::read_to_string(bag.join("premis.xml")).expect("PREMIS");
    assert!(
        premis.contains("iconik-file") && premis.contains(&parts[2]),
        "{premis}"
    );
    assert!(premis.matches("<event>").count() >= 6, "{premis}");
    let lines = systems.must(&["package", "check", "--read-back"]);
    assert_eq!(of_type(&lines, "package_checked")["bad"], json!([]));
    let segment = systems.named("long.mxf.002").remove(0);
    let server = systems.simulator.content_server();
    assert!(server.corrupt(segment.node, segment.version, 7));
    let (code, lines) = systems.run(&["package", "check", "--read-back"]);
    assert_eq!(code, 65);
    let bad = of_type(&lines, "package_checked")["bad"].clone();
    assert_eq!(bad[0]["path"], json!(parts[1]));
    systems.stop();
}

#[test]
fn a_package_of_more_files_than_it_may_list_is_refused_and_the_masters_stay_filed() {
    let systems = start(edits());
    systems.configure(Extra {
        sections: "[package]\nfiles = 5\n",
        ..Extra::default()
    });
    let collection = systems.simulator.collection();
    let (code, lines) = systems.run(&["archive", &collection, "--package"]);
    let message = of_type(&lines, "exit")["message"].to_string();
    assert!(
        code != 0 && message.contains("`package.files`"),
        "{code}: {message}"
    );
    assert!(!systems.named("TV30.mxf").is_empty());
    assert!(systems.named("bagit.txt").is_empty());
    systems.configure(Extra::default());
    assert_eq!(pack(&systems).1["complete"], true);
    systems.stop();
}
