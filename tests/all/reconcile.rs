//! Source, destination and ledger side by side, from outside.

use longhaul::simulator::Options;
use longhaul::simulator::campaign::{AssetSpec, Campaign, FileSpec, faulty};
use longhaul::simulator::iconik::Quirks;
use longhaul::transfer::{Content, Destination, NewContent};
use longhaul::types::{KIB, MIB, NodeId};
use serde_json::Value;

use crate::support::{Systems, of_type, replace};

const MASTERS: u64 = 4;

fn masters() -> Options {
    of_size(70 * KIB)
}

fn of_size(size: u64) -> Options {
    let campaign = (1..=MASTERS).fold(Campaign::new(), |campaign, seed| {
        let file = FileSpec::generated(&format!("master-{seed}.mxf"), seed, size + seed);
        campaign.asset(AssetSpec::new(&format!("Master {seed}"), vec![file]))
    });
    Options::with(campaign)
}

/// Title or name and class of everything that is not equal.
fn findings(lines: &[Value]) -> Vec<(String, String)> {
    let text = |line: &Value, key: &str| line[key].as_str().expect("a text").to_owned();
    let mut found: Vec<_> = lines
        .iter()
        .filter(|line| line["type"] == "reconciled_item" && line["class"] != "equal")
        .map(|line| (text(line, "title"), text(line, "class")))
        .collect();
    found.sort();
    found
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(a, b): &(&str, &str)| ((*a).to_owned(), (*b).to_owned());
    expected.iter().map(owned).collect()
}

#[test]
fn what_agrees_is_equal_and_a_sample_says_how_sure_that_makes() {
    let systems = Systems::start(masters());
    systems.archive(&[]);
    let before = systems.simulator.content_server().history().len();
    let lines = systems.must(&["reconcile", "--level", "read-back"]);
    let told = of_type(&lines, "reconciliation");
    assert_eq!(
        (told["looked_at"].as_u64(), told["differences"].as_u64()),
        (Some(MASTERS), Some(0))
    );
    assert!(findings(&lines).is_empty());

    let lines = systems.must(&["reconcile", "--sample", "2", "--seed", "7"]);
    let sample = &of_type(&lines, "reconciliation")["sample"];
    assert_eq!(
        (sample["seed"].as_u64(), sample["of"].as_u64()),
        (Some(7), Some(MASTERS))
    );
    assert_eq!(
        sample["at_most_differ"], 1.0,
        "two items say nothing of four"
    );
    let looked = |lines: &[Value]| -> Vec<Value> {
        let items = lines
            .iter()
            .filter(|line| line["type"] == "reconciled_item");
        items.map(|line| line["key"].clone()).collect()
    };
    let again = systems.must(&["reconcile", "--sample", "2", "--seed", "7"]);
    assert_eq!((looked(&lines).len(), looked(&lines)), (2, looked(&again)));
    let after = systems.simulator.content_server().history().len();
    assert_eq!(before, after, "it changes nothing");
    systems.stop();
}

#[test]
fn every_kind_of_difference_is_named() {
    let systems = Systems::start(masters());
    systems.archive(&[]);
    let server = systems.simulator.content_server();
    let node = |name: &str| systems.named(name).remove(0);

    // The source changes, a stored bit flips, somebody adds a document and a version.
    replace(&systems, "master-1.mxf", 91, 90 * KIB);
    let flipped = node("master-2.mxf");
    assert!(server.corrupt(flipped.node, flipped.version, 1000));
    let target = NodeId(systems.simulator.parts().target);
    let third = NodeId(node("master-3.mxf").node);
    let body = |name: &str| NewContent::Body {
        file_name: name.into(),
        mime: "text/plain".into(),
        content: Content::Chunks(vec![bytes::Bytes::from_static(b"not ours")]),
    };
    systems.person(async |client| {
        client
            .create_document(target, "notes.txt", body("notes.txt"))
            .await?;
        client.add_version(third, "by hand", body("by hand")).await
    });

    let (code, lines) = systems.run(&["reconcile"]);
    assert_eq!(code, 65, "{lines:#?}");
    assert_eq!(
        findings(&lines),
        pairs(&[
            ("Master 1", "changed-since"),
            ("Master 3", "extra"),
            ("notes.txt", "extra")
        ]),
        "sizes cannot see the bit"
    );
    let (code, lines) = systems.run(&["reconcile", "--level", "read-back"]);
    assert_eq!(code, 65);
    assert!(
        findings(&lines).contains(&("Master 2".into(), "differs".into())),
        "{lines:#?}"
    );
    assert_eq!(of_type(&lines, "reconciliation")["differences"], 4);
    systems.stop();
}

#[test]
fn what_should_be_there_and_is_not_is_missing() {
    let systems = Systems::start(masters());
    systems.archive(&[]);
    let server = systems.simulator.content_server();
    // One document is deleted; of another only the sidecar.
    assert!(server.delete(systems.named("master-2.mxf")[0].node));
    let sidecar = systems.named("master-3.mxf.metadata.json")[0].node;
    assert!(server.delete(sidecar));
    let before = server.history().len();
    let (code, lines) = systems.run(&["reconcile"]);
    assert_eq!(code, 65, "{lines:#?}");
    assert_eq!(
        findings(&lines),
        pairs(&[("Master 2", "missing"), ("Master 3", "missing")])
    );
    let detail = |title: &str| {
        let mut found = lines
            .iter()
            .filter(|line| line["type"] == "reconciled_item" && line["title"] == title);
        let found = found.next().expect("the finding");
        found["detail"].as_str().expect("a text").to_owned()
    };
    assert!(detail("Master 2").contains("is gone"), "{lines:#?}");
    let gone = format!("node {sidecar} version 1 is gone");
    assert!(detail("Master 3").contains(&gone), "{lines:#?}");
    let (_, lines) = systems.run(&["reconcile", "--level", "read-back"]);
    assert_eq!(of_type(&lines, "reconciliation")["differences"], 2);
    let (code, lines) = systems.run(&["reconcile", "--sample", "4", "--seed", "1"]);
    assert_eq!(code, 65);
    assert_eq!(of_type(&lines, "reconciliation")["differences"], 2);
    assert_eq!(server.history().len(), before, "it changes nothing");
    systems.stop();
}

#[test]
fn what_the_selection_has_now_and_the_ledger_never_saw_is_missing() {
    let asset = |title: &str, seed: u64, region: &str| {
        let file = FileSpec::generated(&format!("{title}.mxf"), seed, 20 * KIB);
        AssetSpec::new(title, vec![file]).value("region", &[region])
    };
    let campaign = Campaign::new()
        .asset(asset("north", 1, "emea"))
        .asset(asset("south", 2, "apac"));
    let systems = Systems::start(Options::with(campaign));
    systems.archive(&["--where", "region=emea"]);
    let (code, lines) = systems.run(&["reconcile"]);
    assert_eq!(code, 0, "{lines:#?}");
    assert_eq!(findings(&lines), pairs(&[("south", "excluded")]));

    // It comes to fit the filter after the run.
    let south = systems.assets(&["south"]).remove(0);
    let iconik = systems.simulator.iconik();
    assert!(iconik.set_values(&south, "region", &["emea"]));
    let (code, lines) = systems.run(&["reconcile"]);
    assert_eq!(code, 65, "{lines:#?}");
    assert_eq!(findings(&lines), pairs(&[("south", "missing")]));
    let told = lines.iter().find(|line| line["class"] == "missing");
    let told = told.expect("the finding");
    let detail = told["detail"].as_str().expect("a text");
    assert!(detail.contains("not in the ledger"), "{detail}");
    assert_eq!(told["bytes"], 20 * KIB);

    // What it says helps does.
    systems.archive(&["--where", "region=emea"]);
    assert_eq!(systems.named("south.mxf").len(), 1);
    let (_, lines) = systems.run(&["reconcile", "--run", "1"]);
    assert!(findings(&lines).is_empty(), "{lines:#?}");
    systems.stop();
}

#[test]
fn what_still_waits_is_missing_until_it_is_filed() {
    let mut campaign = faulty();
    campaign.assets.retain(|asset| asset.title == "In Glacier");
    let systems = Systems::start(Options {
        quirks: Quirks {
            thaw_ms: 600_000,
            ..Quirks::default()
        },
        ..Options::with(campaign)
    });
    let collection = systems.simulator.collection();
    let (code, _) = systems.run(&["archive", &collection, "--no-wait"]);
    assert_eq!(code, 75);
    let (code, lines) = systems.run(&["reconcile"]);
    assert_eq!(code, 65, "{lines:#?}");
    assert_eq!(findings(&lines), pairs(&[("In Glacier", "missing")]));
    let told = of_type(&lines, "reconciled_item");
    assert_eq!(told["detail"], "not filed yet: waiting");
    systems.stop();
}

#[test]
fn a_held_item_waits_and_an_unplanned_one_too() {
    let options = {
        let mut options = of_size(2 * MIB);
        options.content_server.multipart.enabled = false;
        options
    };
    let systems = Systems::with(
        options,
        crate::support::Extra {
            content_server: "single_post_max = \"1MiB\"",
            ..crate::support::Extra::default()
        },
    );
    let collection = systems.simulator.collection();
    let (code, _) = systems.run(&["archive", &collection]);
    assert_eq!(code, 1);
    let (code, lines) = systems.run(&["reconcile"]);
    assert_eq!(code, 3, "held, nothing differs: {lines:#?}");
    assert_eq!(findings(&lines).len() as u64, MASTERS);
    assert!(findings(&lines).iter().all(|(_, class)| class == "held"));
    systems.stop();
}
