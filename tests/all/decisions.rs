//! What a person decides, and what is found again when the ledger is lost or a late request left
//! something in staging.

use longhaul::simulator::Options;
use longhaul::simulator::campaign::{AssetSpec, Campaign, FileSpec};
use longhaul::simulator::faults::{Action, Rule, System};
use longhaul::simulator::iconik::Kind;
use longhaul::simulator::masters;
use longhaul::transfer::{Content, Destination, NewContent};
use longhaul::types::{KIB, MIB, NodeId, VersionNote};
use serde_json::{Value, json};

use crate::support::{Extra, Systems, items, of_type};

const SIZES: [u64; 3] = [300 * KIB, 3 * MIB + 5, 17];

/// Three masters, filed one way and the other.
fn three() -> Options {
    let campaign = (1..)
        .zip(SIZES)
        .fold(Campaign::new(), |campaign, (seed, size)| {
            let file = FileSpec::generated(&format!("master-{seed}.mxf"), seed, size);
            campaign.asset(AssetSpec::new(&format!("Master {seed}"), vec![file]))
        });
    Options::with(campaign)
}

fn forget(systems: &Systems) {
    for name in [
        "longhaul.db",
        "longhaul.db-wal",
        "longhaul.db-shm",
        "longhaul.db.lock",
    ] {
        let _absent = std::fs::remove_file(systems.place.path().join(name));
    }
}

/// Masters and sidecars, all of them: two documents for each.
#[track_caller]
fn count(systems: &Systems) -> usize {
    systems.versions().len()
}

fn key_of(lines: &[Value], title: &str) -> String {
    let item = lines
        .iter()
        .find(|line| line["type"] == "item" && line["title"] == title);
    let item = item.unwrap_or_else(|| panic!("no item {title:?} in {lines:#?}"));
    item["key"].as_str().expect("a key").to_owned()
}

fn decided(systems: &Systems, key: &str) -> Value {
    let lines = systems.must(&["audit", "--item", key]);
    let line = lines.iter().find(|line| line["event"] == "decided");
    line.expect("a decision in the journal")["data"].clone()
}

#[test]
fn a_lost_ledger_adopts_what_people_moved_and_nothing_is_filed_twice() {
    let systems = Systems::start(three());
    systems.archive(&[]);
    assert_eq!(count(&systems), 6);
    let target = NodeId(systems.simulator.parts().target);
    let moved = NodeId(systems.named("master-2.mxf")[0].node);
    let elsewhere = systems.person(async |client| {
        let folder = client.create_container(target, "Elsewhere").await?;
        client.publish(moved, folder, "The one we like.mxf").await?;
        Ok(folder.0)
    });
    forget(&systems);

    let lines = systems.must(&["adopt"]);
    let adopted = of_type(&lines, "adopted");
    assert_eq!(
        (&adopted["versions"], &adopted["doubled"]),
        (&json!(6), &json!(0))
    );
    let lines = systems.archive(&[]);
    assert_eq!(items(of_type(&lines, "summary"), "done"), 3);
    assert_eq!(count(&systems), 6, "nothing is filed twice");
    let liked = systems.named("The one we like.mxf");
    assert_eq!((liked.len(), liked[0].parent), (1, elsewhere));

    // A second walk finds the same; one that names no folder says so.
    let lines = systems.must(&["adopt", "--folder", &elsewhere.to_string()]);
    assert_eq!(of_type(&lines, "adopted")["versions"], 6);
    let (code, lines) = systems.run(&["adopt", "--folder", "99999999"]);
    assert_eq!(code, 2, "{lines:#?}");
    assert!(
        of_type(&lines, "exit")["message"]
            .to_string()
            .contains("99999999")
    );
    systems.stop();
}

#[test]
fn adopting_names_what_is_there_more_than_once() {
    let systems = Systems::start(three());
    systems.archive(&[]);
    let first = systems.named("master-3.mxf").remove(0);
    let target = NodeId(first.parent);
    let note = VersionNote::parse(&first.description).expect("a marker");
    systems.person(async |client| {
        let content = NewContent::Body {
            file_name: "copy.mxf".into(),
            mime: "application/mxf".into(),
            content: Content::Chunks(vec![bytes::Bytes::from_static(b"another content")]),
        };
        let made = client.create_document(target, "copy.mxf", content).await?;
        client
            .describe(made.node, made.version, &note.to_string())
            .await
    });
    let (code, lines) = systems.run(&["adopt"]);
    assert_eq!(code, 65, "{lines:#?}");
    let doubled = of_type(&lines, "doubled");
    assert_eq!(doubled["marker"], note.marker.as_str());
    assert_eq!(doubled["versions"].as_array().map(Vec::len), Some(2));
    systems.stop();
}

#[test]
fn a_twin_in_staging_is_set_aside_and_never_published() {
    let systems = Systems::start(three());
    systems.archive(&[]);
    let filed = systems.named("master-1.mxf").remove(0);
    let marker = filed.marker.expect("a marker").to_string();
    let staging = systems.simulator.parts().staging;
    let make = |name: String| {
        systems.person(async |client| {
            let content = NewContent::Body {
                file_name: "late".into(),
                mime: "application/octet-stream".into(),
                content: Content::Chunks(vec![bytes::Bytes::from_static(b"late")]),
            };
            client
                .create_document(NodeId(staging), &name, content)
                .await
        })
    };
    let twin = make(marker.clone()).node;
    make("somebody's notes.txt".into());
    make("a".repeat(26));

    let lines = systems.must(&["reconcile", "--staging", "--dry-run"]);
    assert_eq!(of_type(&lines, "reconciled")["set_aside"], 1);
    let find = |name: &str| systems.simulator.content_server().child(staging, name);
    assert_eq!(find(&marker), Some(twin.0), "a dry run changes nothing");
    let lines = systems.must(&["reconcile", "--staging"]);
    let told = of_type(&lines, "reconciled");
    assert_eq!(
        (&told["set_aside"], &told["unknown"], &told["foreign"]),
        (&json!(1), &json!(1), &json!(1))
    );
    assert_eq!(find(&marker), None);
    assert_eq!(find(&format!("set-aside {marker} {twin}")), Some(twin.0));
    // The next look finds it aside, and the next run publishes none of it.
    let lines = systems.must(&["reconcile", "--staging"]);
    assert_eq!(of_type(&lines, "reconciled")["set_aside"], 1);
    systems.archive(&[]);
    assert_eq!(systems.named("master-1.mxf").len(), 1);
    systems.stop();
}

#[test]
fn an_item_that_is_declined_is_settled_and_stays_so() {
    let systems = Systems::with(
        {
            let mut options = three();
            options.content_server.multipart.enabled = false;
            options
        },
        Extra {
            content_server: "single_post_max = \"1MiB\"",
            ..Extra::default()
        },
    );
    let collection = systems.simulator.collection();
    let (code, lines) = systems.run(&["archive", &collection]);
    assert_eq!(code, 1, "{lines:#?}");
    let key = key_of(&lines, "Master 2");

    let (code, _) = systems.run(&["decide", &key, "--decline"]);
    assert_eq!(code, 2, "a decision needs its reason");
    let (code, _) = systems.run(&["decide", &key, "--because", "x"]);
    assert_eq!(code, 2, "and a reason its decision");
    let (code, lines) = systems.run(&["decide", "no-such-item", "--decline", "--because", "x"]);
    assert_eq!(code, 2);
    assert!(
        of_type(&lines, "exit")["message"]
            .to_string()
            .contains("no-such-item")
    );
    systems.must(&[
        "decide",
        &key,
        "--decline",
        "--because",
        "a proxy is enough",
    ]);
    let told = decided(&systems, &key);
    assert_eq!(
        (&told["decision"], &told["because"]),
        (&json!("decline"), &json!("a proxy is enough"))
    );
    assert!(
        told["by"].as_str().is_some_and(|by| by.contains("uid")),
        "{told}"
    );

    systems.must(&["resume"]);
    let lines = systems.archive(&[]);
    assert_eq!(items(of_type(&lines, "summary"), "declined"), 1);
    assert!(systems.named("master-2.mxf").is_empty());

    // Minds change: it can be taken up again once the limit fits.
    systems.configure(Extra {
        content_server: "single_post_max = \"8MiB\"",
        ..Extra::default()
    });
    systems.must(&[
        "decide",
        &key,
        "--retry",
        "--because",
        "the master after all",
    ]);
    systems.must(&["resume"]);
    assert_eq!(systems.named("master-2.mxf").len(), 1);
    systems.stop();
}

#[test]
fn an_asset_that_could_not_be_planned_is_looked_at_again_by_a_resume() {
    let campaign = Campaign::new()
        .asset(AssetSpec::new(
            "Master 1",
            vec![FileSpec::generated("master-1.mxf", 1, KIB)],
        ))
        .asset(
            AssetSpec::new(
                "No original",
                vec![FileSpec::generated("master-2.mxf", 2, KIB)],
            )
            .with(|asset| asset.versions[0][0].name = "PPRO_PROXY".to_owned()),
        );
    let systems = Systems::start(Options::with(campaign));
    let collection = systems.simulator.collection();
    let (code, lines) = systems.run(&["archive", &collection]);
    assert_eq!(code, 1, "{lines:#?}");
    let key = key_of(&lines, "No original");
    let (code, lines) = systems.run(&["resume", "--retry", "parked"]);
    assert_eq!(
        code, 1,
        "still parked, and nothing else is wrong: {lines:#?}"
    );
    assert_eq!(items(of_type(&lines, "summary"), "parked"), 1);
    let (code, lines) = systems.run(&["decide", &key, "--retry", "--because", "x"]);
    assert_eq!(code, 2);
    let message = of_type(&lines, "exit")["message"].to_string();
    assert!(message.contains("resume --retry parked"), "{message}");

    let formats = systems.simulator.iconik().rows(Kind::Format);
    let format = formats.iter().find(|row| row["name"] == "PPRO_PROXY");
    let format = format.expect("a format")["id"].as_str().expect("an id");
    let iconik = systems.simulator.iconik();
    assert!(iconik.change(Kind::Format, format, json!({"name": "ORIGINAL"})));
    systems.must(&["resume", "--retry", "parked"]);
    assert_eq!(systems.named("master-2.mxf").len(), 1);
    systems.stop();
}

#[test]
fn what_was_damaged_on_its_way_is_quarantined_and_filed_afresh_by_decision() {
    let systems = Systems::start(three());
    // One bit of every long body on its way in: only reading back can tell.
    let flips = systems.simulator.faults().add(
        Rule::new(Action::FlipBit {
            at: 100_000,
            request: true,
        })
        .on(System::ContentServer)
        .method("POST")
        .path("*/nodes")
        .always(),
    );
    let collection = systems.simulator.collection();
    let (code, lines) = systems.run(&["archive", &collection]);
    assert_eq!(code, 65, "{lines:#?}");
    assert!(systems.named("master-1.mxf").is_empty(), "nobody sees it");
    let keys = [key_of(&lines, "Master 1"), key_of(&lines, "Master 2")];
    let decide = |how: &str, because: &str| {
        systems.must(&["decide", &keys[0], &keys[1], how, "--because", because]);
    };

    // Trying again finds the same bytes.
    decide("--retry", "perhaps the read was at fault");
    let (code, _) = systems.run(&["resume"]);
    assert_eq!(code, 65);
    assert!(systems.simulator.faults().remove(flips));
    decide("--afresh", "damaged on its way");
    systems.must(&["resume"]);
    for (seed, size) in [(1, SIZES[0]), (2, SIZES[1])] {
        let filed = systems.named(&format!("master-{seed}.mxf"));
        assert_eq!(filed.len(), 1);
        assert_eq!(
            filed[0].sha256.map(|digest| digest.to_string()),
            Some(masters::sha256(seed, size))
        );
    }
    let lines = systems.must(&["reconcile", "--staging"]);
    assert_eq!(
        of_type(&lines, "reconciled")["set_aside"],
        2,
        "the evidence is kept"
    );
    systems.stop();
}
