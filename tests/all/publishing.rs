//! `publish` and `map test`: final media become records with values, rights and a place.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Stdio;
use std::time::Duration;

use longhaul::content_server::{ApplyTo, CategoryValues, Grant, Holder, Right};
use longhaul::simulator::Options;
use longhaul::simulator::campaign::{AssetSpec, Campaign, FileSpec};
use longhaul::simulator::faults::{Action, Rule, System};
use longhaul::simulator::iconik::Kind;
use longhaul::transfer::{Content, Destination as _, NewContent};
use longhaul::types::{KIB, NodeId};
use serde_json::{Value, json};

use crate::support::{Extra, Systems, items, of_type, replace};

const SETTINGS: &str = r#"
[map.fields.campaign]
category = "Media record"
attribute = "Campaign"
required = true
[map.fields.rights_status]
category = "Media record"
attribute = "Rights status"
values = { cleared = "CLEARED", restricted = "RESTRICTED" }
default = "UNKNOWN"
[map.fields.region]
category = "Media record"
attribute = "Region"
[map.fields.expiry_date]
iconik = "expires_on"
category = "Media record"
attribute = "Expiry date"
type = "date"
[map.fields.licensor]
iconik = "owner"
category = "Media record"
set = "Rights"
attribute = "Licensor"
[publish]
place = "/{campaign}/{region}"
permissions = { public = "none" }
"#;

fn asset(title: &str, seed: u64) -> AssetSpec {
    let file = format!("{}.mov", title.to_lowercase());
    AssetSpec::new(title, vec![FileSpec::generated(&file, seed, 40 * KIB)])
        .value("region", &["emea"])
        .value("rights_status", &["cleared"])
        .value("expires_on", &["2027-07-01"])
        .value("owner", &["Agency Nord"])
}

fn approved(asset: AssetSpec) -> AssetSpec {
    asset.with(|asset| asset.approval = Some(("APPROVED", vec!["APPROVED"])))
}

fn campaign() -> Campaign {
    let spring = |asset: AssetSpec| asset.value("campaign", &["Spring/26"]);
    Campaign::new()
        .asset(approved(spring(asset("Spot", 1))))
        .asset(spring(asset("Rejected", 2)).with(|asset| {
            asset.approval = Some(("NOT_APPROVED", vec!["NOT_APPROVED"]));
        }))
        .asset(spring(asset("Unasked", 3)))
        .asset(approved(asset("Homeless", 4)))
}

fn start(settings: &str) -> Systems {
    let extra = Extra {
        sections: settings,
        ..Extra::default()
    };
    Systems::with(Options::with(campaign()), extra)
}

/// Everything that could show a change.
fn effects(systems: &Systems) -> (usize, usize) {
    (
        systems.simulator.iconik().writes().len(),
        systems.simulator.content_server().history().len(),
    )
}

#[track_caller]
fn node_of(systems: &Systems, name: &str) -> NodeId {
    let found = systems.named(name);
    NodeId(found.first().unwrap_or_else(|| panic!("no {name}")).node)
}

fn values(systems: &Systems, node: NodeId) -> Value {
    let categories = systems.person(|server| async move { server.categories(node).await });
    let record = categories
        .into_iter()
        .find(|category| category.name.as_deref() == Some("Media record"))
        .expect("the category");
    let id = record.id.to_string();
    let values = record.values.0.into_iter();
    values
        .filter_map(|(key, value)| {
            let key = key.strip_prefix(&format!("{id}_"))?.to_owned();
            (!value.is_null() && value != "").then_some((key, value))
        })
        .filter(|(key, _)| key != "1")
        .collect::<serde_json::Map<_, _>>()
        .into()
}

fn path(systems: &Systems, node: NodeId) -> Vec<String> {
    systems.person(|server| async move {
        let mut names = Vec::new();
        let mut at = server.node(node).await?;
        while at.name != "Masters" {
            names.insert(0, at.name.clone());
            at = server.node(at.parent).await?;
        }
        Ok(names)
    })
}

#[test]
fn a_plan_sees_a_name_that_is_taken_in_the_records_own_place() {
    let systems = start(&SETTINGS.replace("/{campaign}/{region}", "/{region}"));
    let target = NodeId(systems.simulator.parts().target);
    systems.person(async |client| {
        let folder = client
            .create_folder(target, "emea", &CategoryValues::default())
            .await?;
        let content = NewContent::Body {
            file_name: "spot.mov".into(),
            mime: "video/quicktime".into(),
            content: Content::Chunks(vec![bytes::Bytes::from_static(b"somebody else's")]),
        };
        client.create_document(folder, "spot.mov", content).await
    });
    let (_, lines) = systems.run(&["plan", "publish", &systems.simulator.collection()]);
    let spot = lines.iter().find(|line| line["title"] == "Spot").unwrap();
    let version = &spot["versions"][0];
    assert_eq!(version["record"]["folders"], json!(["emea"]), "{spot}");
    let name = version["filed_as"].as_str().expect("another name");
    assert!(name.starts_with("spot~"), "{name}");
}

#[test]
fn final_media_become_records_with_values_rights_and_a_place() {
    let systems = start(SETTINGS);
    let collection = systems.simulator.collection();
    let (code, lines) = systems.run(&["publish", &collection]);
    assert_eq!(code, 3, "{lines:#?}");
    let summary = of_type(&lines, "summary");
    assert_eq!((items(summary, "done"), items(summary, "held")), (1, 1));
    assert_eq!(summary["left_out"], 2);
    let held = of_type(&lines, "item");
    assert_eq!(
        (&held["title"], &held["reason"]),
        (&json!("Homeless"), &json!("incomplete"))
    );
    let message = held["message"].as_str().unwrap();
    assert!(message.contains("`campaign` has no value"), "{message}");

    let node = node_of(&systems, "spot.mov");
    // A slash in a value is no way into another folder.
    let place = path(&systems, node);
    assert_eq!(place.len(), 3, "{place:?}");
    assert_eq!((place[1].as_str(), place[2].as_str()), ("emea", "spot.mov"));
    assert_eq!(
        values(&systems, node),
        json!({
            "3": "Spring/26", "4": "CLEARED", "6": ["emea"], "8": "2027-07-01T00:00:00",
            "9_1_2": "Agency Nord",
        })
    );
    for name in ["spot.mov", "spot.mov.metadata.json"] {
        let node = node_of(&systems, name);
        let grants = systems.person(|server| async move { server.permissions(node).await });
        let public = grants.iter().find(|grant| grant.holder == Holder::Public);
        assert!(
            public.is_none_or(|grant| !grant.rights.contains(&Right::See)),
            "{name}: {grants:?}"
        );
    }
    let sidecar = node_of(&systems, "spot.mov.metadata.json").to_string();
    systems.must(&["export", "--node", &sidecar, "--to", "sidecar.json"]);
    let sidecar = std::fs::read(systems.place.path().join("sidecar.json")).unwrap();
    let sidecar: Value = serde_json::from_slice(&sidecar).unwrap();
    assert_eq!(sidecar["format"], "longhaul-metadata/1");
    let master = &systems.named("spot.mov")[0];
    assert_eq!(sidecar["asset"]["sha256"], json!(master.sha256));
    assert_eq!(sidecar["asset"]["size"], 40 * KIB);
    assert_eq!(sidecar["fields"]["expiry_date"]["value"], "2027-07-01");
    assert_eq!(sidecar["fields"]["region"]["value"], json!(["emea"]));
    let why = systems.must(&["audit"]);
    let left_out: Vec<&str> = why
        .iter()
        .filter(|line| line["event"] == "left-out")
        .filter_map(|line| line["data"]["detail"].as_str())
        .collect();
    assert!(
        left_out.contains(&"it was rejected")
            && left_out.contains(&"nobody has asked for its approval"),
        "{left_out:?}"
    );
    systems.stop();
}

#[test]
fn a_second_run_writes_nothing_and_changes_are_followed_without_a_second_document() {
    let systems = start(&format!("{SETTINGS}relocate = true\n"));
    let collection = systems.simulator.collection();
    systems.run(&["publish", &collection]);
    let jobs = systems.simulator.iconik().rows(Kind::Job);
    let job = jobs.iter().find(|job| job["custom_type"] == "LONGHAUL");
    let job = job.expect("the run shows itself in iconik");
    assert!(
        job["status"] != "STARTED" && job["status"] != "READY",
        "{job}"
    );
    assert_eq!(job["progress_processed"], job["progress_total"], "{job}");
    assert!(
        job["progress_total"].as_u64().is_some_and(|all| all > 0),
        "{job}"
    );
    let steps: Vec<(&str, &str)> = job["steps"]
        .as_array()
        .expect("its steps")
        .iter()
        .map(|step| {
            (
                step["label"].as_str().unwrap(),
                step["status"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        steps,
        [
            ("Look at the assets", "DONE"),
            ("File in Content Server", "DONE"),
            ("Tell iconik", "DONE"),
        ]
    );
    let before = effects(&systems);
    let filed = systems.versions().len();
    let (code, lines) = systems.run(&["publish", &collection]);
    assert_eq!(code, 3, "{lines:#?}");
    assert_eq!(of_type(&lines, "summary")["already_done"], 1);
    let after = effects(&systems);
    assert_eq!(before.1, after.1, "nothing was written");

    // Another campaign: the same document, elsewhere, with another value; no new content.
    let asset = systems.assets(&["Spot"]).remove(0);
    systems
        .simulator
        .iconik()
        .set_values(&asset, "campaign", &["Autumn"]);
    systems.run(&["publish", &collection]);
    let node = node_of(&systems, "spot.mov");
    assert_eq!(path(&systems, node), ["Autumn", "emea", "spot.mov"]);
    assert_eq!(values(&systems, node)["3"], "Autumn");
    assert_eq!(systems.named("spot.mov").len(), 1, "one version");
    assert_eq!(
        systems.named("spot.mov.metadata.json").len(),
        2,
        "its sidecar says the new value, as a version of the same document"
    );
    assert_eq!(systems.versions().len(), filed + 1);

    // New content: a new version of that document, where it is now.
    replace(&systems, "spot.mov", 77, 50 * KIB);
    systems.run(&["publish", &collection]);
    let versions = systems.named("spot.mov");
    assert_eq!(versions.len(), 2);
    assert!(versions.iter().all(|version| version.node == node.0));

    // What was missing is there: the item goes on.
    let asset = systems.assets(&["Homeless"]).remove(0);
    systems
        .simulator
        .iconik()
        .set_values(&asset, "campaign", &["Autumn"]);
    let lines = systems.must(&["publish", &collection]);
    assert_eq!(items(of_type(&lines, "summary"), "done"), 1);
    assert_eq!(
        path(&systems, node_of(&systems, "homeless.mov"))[0],
        "Autumn"
    );
    systems.stop();
}

#[test]
fn the_mapping_is_tried_on_one_asset_and_what_does_not_fit_is_said() {
    let systems = start(SETTINGS);
    let asset = systems.assets(&["Spot", "Homeless"]);
    let before = effects(&systems);
    let lines = systems.must(&["map", "test", &asset[0]]);
    let field = |name: &str| {
        let found = lines
            .iter()
            .find(|line| line["type"] == "mapped_field" && line["field"] == name);
        found.unwrap_or_else(|| panic!("no {name}")).clone()
    };
    assert_eq!(field("rights_status")["written"], json!(["CLEARED"]));
    assert_eq!(field("rights_status")["origin"], "translated");
    assert_eq!(field("expiry_date")["attribute"], "Expiry date");
    assert_eq!(of_type(&lines, "mapped_asset")["place"][1], "emea");
    let (code, lines) = systems.run(&["map", "test", &asset[1]]);
    assert_eq!(code, 3, "{lines:#?}");
    assert_eq!(effects(&systems), before, "nothing was written");

    let wrong = SETTINGS
        .replace("attribute = \"Region\"", "attribute = \"Regions\"")
        .replace("type = \"date\"", "type = \"boolean\"");
    systems.configure(Extra {
        sections: &wrong,
        ..Extra::default()
    });
    let (code, lines) = systems.run(&["publish", &systems.simulator.collection()]);
    let said = of_type(&lines, "exit")["message"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(code, 2, "{said}");
    assert!(
        said.contains("`map.fields.region` names the attribute \"Regions\"")
            && said.contains("Campaign")
            && said.contains("`map.fields.expiry_date` is of type `boolean`"),
        "{said}"
    );
    systems.stop();
}

#[test]
fn killed_again_and_again_a_record_ends_as_if_nothing_had_happened() {
    let many = (0..12).fold(Campaign::new(), |campaign, number| {
        let region = ["emea", "amer", "apac"][number % 3];
        let asset = asset(&format!("Clip{number}"), number as u64 + 1)
            .value("campaign", &["Spring"])
            .with(|asset| {
                asset.metadata.retain(|(field, _)| field != "region");
                asset.metadata.push(("region".into(), vec![region.into()]));
            });
        campaign.asset(approved(asset))
    });
    let extra = Extra {
        sections: SETTINGS,
        ..Extra::default()
    };
    let systems = Systems::with(Options::with(many), extra);
    let collection = systems.simulator.collection();
    let mut arguments = vec!["publish", collection.as_str()];
    for patience in [200, 300, 400, 500, 700] {
        let mut child = systems
            .place
            .killable()
            .args(&arguments)
            .args(["--limit-bandwidth", "512 KiB/s", "--json"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(patience));
        child.kill().unwrap();
        child.wait().unwrap();
        let (_, lines) = systems.run(&["status"]);
        if lines.iter().any(|line| line["type"] == "status") {
            arguments = vec!["resume"];
        }
    }
    systems.must(&arguments);
    // One folder for each value, one document for each master and each sidecar, all with values.
    assert_eq!(systems.versions().len(), 24);
    let folders = systems.simulator.content_server().history();
    let made = folders
        .iter()
        .filter(|event| event["kind"] == "create" && event["type"] == 0);
    assert_eq!(made.count(), 4, "one folder for each value");
    for number in 0..12 {
        let node = node_of(&systems, &format!("clip{number}.mov"));
        assert_eq!(values(&systems, node)["3"], "Spring");
        let region = ["emea", "amer", "apac"][number % 3];
        assert_eq!(path(&systems, node)[..2], ["Spring", region]);
    }
    let before = systems.simulator.content_server().history().len();
    systems.must(&["publish", &collection]);
    assert_eq!(systems.simulator.content_server().history().len(), before);
    systems.stop();
}

/// Settings that make records of everything, in workspaces.
fn records(systems: &Systems, more: &str) -> String {
    let server = systems.simulator.content_server();
    let plain = server.add_classification("Campaign media");
    let (cleared, other) = (
        server.add_records_class("Cleared media"),
        server.add_records_class("Other media"),
    );
    let settings = SETTINGS.replace("place = \"/{campaign}/{region}\"", "place = \"/{region}\"");
    format!(
        "{settings}\n\
         workspace = {{ type = \"Campaign\", name = \"{{campaign}}\", fields = [\"campaign\"] }}\n\
         classifications = [{plain}]\n\
         records_class = {{ field = \"rights_status\", values = {{ cleared = {cleared} }}, default = {other} }}\n\
         {more}\n"
    )
}

#[test]
fn a_record_is_filed_in_its_workspace_classified_and_final_and_then_takes_no_content() {
    let systems = start("");
    let settings = records(&systems, "official = true\nfinalise = true");
    let extra = Extra {
        sections: &settings,
        ..Extra::default()
    };
    systems.configure(extra);
    let collection = systems.simulator.collection();
    let (code, lines) = systems.run(&["publish", &collection]);
    assert_eq!(code, 3, "{lines:#?}");
    assert_eq!(items(of_type(&lines, "summary"), "done"), 1, "{lines:#?}");
    let node = node_of(&systems, "spot.mov");
    let (around, classes, record) = systems.person(|server| async move {
        Ok((
            server.workspace_around(node).await?,
            server.classifications(node).await?,
            server.record_state(node).await?,
        ))
    });
    let workspace = around.expect("it is in a workspace");
    let found = systems.person(|server| async move { server.workspace(workspace).await });
    assert!(found.name.contains("Spring"), "{found:?}");
    assert_eq!(
        classes
            .iter()
            .map(|class| class.name.as_str())
            .collect::<Vec<_>>(),
        ["Campaign media"]
    );
    let record_of = record.record.expect("a record");
    assert!(record_of.official);
    let class = record_of.class.expect("a class");
    let class = systems.person(|server| async move { server.node(class).await });
    assert_eq!(class.name, "Cleared media", "by iconik's word for it");
    assert_eq!(record.can_finalise, Some(false), "it is final");

    let before = effects(&systems);
    systems.run(&["publish", &collection]);
    assert_eq!(effects(&systems).1, before.1, "nothing is written twice");

    // Looked at again it is as it was filed, final or not.
    let (_, lines) = systems.run(&["publish", &collection, "--again"]);
    let done = items(of_type(&lines, "summary"), "done");
    assert_eq!((done, effects(&systems).1), (1, before.1), "{lines:#?}");

    replace(&systems, "spot.mov", 78, 50 * KIB);
    let (code, lines) = systems.run(&["publish", &collection]);
    assert_eq!(code, 3);
    let held: Vec<_> = lines
        .iter()
        .filter(|line| line["type"] == "item" && line["title"] == "Spot")
        .collect();
    assert_eq!(held[0]["reason"], "held", "{lines:#?}");
    assert_eq!(systems.named("spot.mov").len(), 1);

    // By policy a document of its own, beside the final one.
    let settings = format!("{settings}locked = \"supersede\"\n");
    systems.configure(Extra {
        sections: &settings,
        ..Extra::default()
    });
    let (_, lines) = systems.run(&["retry", "--state", "held"]);
    assert_eq!(of_type(&lines, "exit")["code"], 0, "{lines:#?}");
    let (_, lines) = systems.run(&["publish", &collection]);
    let versions = systems.versions();
    let masters: Vec<_> = versions
        .iter()
        .filter(|version| version.name.starts_with("spot") && version.name.ends_with(".mov"))
        .collect();
    assert_eq!(masters.len(), 2, "{lines:#?}");
    assert!(masters.iter().all(|version| version.version == 1));
    systems.stop();
}

#[test]
fn what_the_server_takes_and_does_not_keep_is_no_record() {
    let systems = start("");
    let settings = records(&systems, "official = true\nfinalise = true");
    let settings = settings.replace("public = \"none\"", "public = \"read\"");
    systems.configure(Extra {
        sections: &settings,
        ..Extra::default()
    });
    let collection = systems.simulator.collection();
    let faults = systems.simulator.faults();
    for (method, path, words) in [
        ("PUT", "*/permissions/public*", "everybody lacks rights"),
        ("POST", "*/nodes/*/categories*", "does not keep category"),
        ("POST", "*/nodes/*/classifications", "does not keep 3"),
    ] {
        let taken = Action::Status {
            code: 200,
            headers: BTreeMap::new(),
            body: "{}".to_owned(),
            applied: false,
            read_body: true,
        };
        let rule = Rule::new(taken).on(System::ContentServer);
        let rule = faults.add(rule.method(method).path(path).always());
        let (code, lines) = systems.run(&["publish", &collection]);
        assert_eq!(code, 1, "{path}: {lines:#?}");
        let spot = lines
            .iter()
            .find(|line| line["type"] == "item" && line["title"] == "Spot");
        let message = spot.expect("it failed")["message"].to_string();
        assert!(message.contains(words), "{path}: {message}");
        assert!(faults.remove(rule));
        systems.must(&["retry"]);
    }
    systems.run(&["publish", &collection]);
    let (_, lines) = systems.run(&["reconcile"]);
    let spot = lines
        .iter()
        .find(|line| line["type"] == "reconciled_item" && line["title"] == "Spot");
    assert_eq!(spot.expect("the record")["class"], "equal", "{lines:#?}");
    assert_eq!(systems.named("spot.mov").len(), 1);
    systems.stop();
}

#[test]
fn a_hold_above_a_record_stops_new_content() {
    let systems = start(SETTINGS);
    let collection = systems.simulator.collection();
    systems.run(&["publish", &collection]);
    let node = node_of(&systems, "spot.mov");
    let parent = systems.person(|server| async move { Ok(server.node(node).await?.parent) });
    systems
        .simulator
        .content_server()
        .hold(parent.0, "Case 4711");
    replace(&systems, "spot.mov", 79, 50 * KIB);
    let (code, lines) = systems.run(&["publish", &collection]);
    assert_eq!(code, 3);
    let message = lines
        .iter()
        .find(|line| line["type"] == "item" && line["title"] == "Spot")
        .map(|line| line["message"].as_str().unwrap().to_owned())
        .expect("it is held");
    assert!(message.contains("Case 4711"), "{message}");
    assert_eq!(systems.named("spot.mov").len(), 1);
    systems.stop();
}

#[test]
fn reconcile_finds_what_somebody_changed_about_a_record() {
    let systems = start(SETTINGS);
    let collection = systems.simulator.collection();
    systems.run(&["publish", &collection]);
    let spot = |lines: &[Value]| {
        let found = lines
            .iter()
            .find(|line| line["type"] == "reconciled_item" && line["title"] == "Spot");
        found.expect("the record").clone()
    };
    let (_, lines) = systems.run(&["reconcile"]);
    assert_eq!(spot(&lines)["class"], "equal", "{lines:#?}");
    let node = node_of(&systems, "spot.mov");
    systems.person(|server| async move {
        let category = server.categories(node).await?.remove(0);
        let key = format!("{}_3", category.id);
        let wanted = BTreeMap::from([(category.id.0, BTreeMap::from([(key, json!("Mine"))]))]);
        server.write_values(node, &wanted).await?;
        let grant = Grant {
            holder: Holder::Public,
            rights: [Right::See].into(),
        };
        server
            .set_permissions(node, &grant, ApplyTo::ThisItem)
            .await
    });
    let (code, lines) = systems.run(&["reconcile"]);
    assert_eq!(code, 65, "{lines:#?}");
    let found = spot(&lines);
    let detail = found["detail"].as_str().unwrap();
    assert_eq!(found["class"], "differs");
    assert!(
        detail.contains("\"Mine\"") && detail.contains("everybody"),
        "{detail}"
    );
    systems.run(&["publish", &collection, "--again"]);
    let (_, lines) = systems.run(&["reconcile"]);
    assert_eq!(spot(&lines)["class"], "equal", "it is mended: {lines:#?}");
    let before = effects(&systems);
    systems.run(&["publish", &collection]);
    assert_eq!(effects(&systems).1, before.1, "and that is all");
    systems.stop();
}

#[test]
fn reconcile_looks_at_what_lies_beside_a_record_too() {
    let systems = start(SETTINGS);
    let collection = systems.simulator.collection();
    systems.run(&["publish", &collection]);
    let sidecar = node_of(&systems, "spot.mov.metadata.json");
    systems.person(|server| async move {
        let grant = Grant {
            holder: Holder::Public,
            rights: [Right::See].into(),
        };
        server
            .set_permissions(sidecar, &grant, ApplyTo::ThisItem)
            .await
    });
    let spot = |lines: &[Value]| {
        let found = lines
            .iter()
            .find(|line| line["type"] == "reconciled_item" && line["title"] == "Spot");
        found.expect("the record").clone()
    };
    let (code, lines) = systems.run(&["reconcile"]);
    assert_eq!((code, &spot(&lines)["class"]), (65, &json!("differs")));
    let detail = spot(&lines)["detail"].as_str().expect("a text").to_owned();
    let beside = format!("beside it, node {sidecar}: everybody has other rights");
    assert!(detail.contains(&beside), "{detail}");
    systems.run(&["publish", &collection, "--again"]);
    let (_, lines) = systems.run(&["reconcile"]);
    assert_eq!(spot(&lines)["class"], "equal", "it is mended: {lines:#?}");
    systems.stop();
}

#[test]
fn reconcile_compares_everything_that_the_server_has() {
    let systems = start("");
    let settings = records(
        &systems,
        "security = { field = \"rights_status\", values = { CLEARED = { level = 20, markings = [] } } }",
    );
    systems.configure(Extra {
        sections: &settings,
        ..Extra::default()
    });
    let collection = systems.simulator.collection();
    systems.run(&["publish", &collection]);
    let node = node_of(&systems, "spot.mov");
    // Records management is taken away, and somebody changes what is left.
    let gone = Rule::new(Action::Status {
        code: 400,
        headers: BTreeMap::new(),
        body: json!({"error": "The REST API URL could not be found in the mappings registry"})
            .to_string(),
        applied: false,
        read_body: true,
    });
    let gone = gone.on(System::ContentServer).path("*/rmclassifications");
    systems.simulator.faults().add(gone.always());
    let compared = |expected: &str| -> Value {
        let (code, lines) = systems.run(&["reconcile"]);
        let told = of_type(&lines, "reconciliation");
        assert_eq!(told["not_compared"], json!({"records": 1}), "{lines:#?}");
        let found = lines
            .iter()
            .find(|line| line["type"] == "reconciled_item" && line["title"] == "Spot");
        let found = found.expect("the record").clone();
        assert_eq!(found["class"], expected, "{code} {lines:#?}");
        assert_eq!(found["not_compared"], json!(["records"]));
        found
    };
    compared("equal");
    systems.person(|server| async move {
        let category = server.categories(node).await?.remove(0);
        let key = format!("{}_3", category.id);
        let wanted = BTreeMap::from([(category.id.0, BTreeMap::from([(key, json!("Mine"))]))]);
        server.write_values(node, &wanted).await?;
        server.set_security(node, Some(30), &BTreeSet::new()).await
    });
    let detail = compared("differs")["detail"].to_string();
    assert!(
        detail.contains("Mine") && detail.contains("security clearance is another"),
        "{detail}"
    );
    let done = systems.place.longhaul().arg("reconcile").output();
    let text = String::from_utf8(done.expect("longhaul starts").stdout).expect("a text");
    let said = "not compared: records management, which this server does not have";
    assert_eq!(text.matches(said).count(), 1, "{text}");
    systems.stop();
}

#[test]
fn without_relocate_a_record_stays_and_nothing_is_made_for_another_place() {
    let systems = start(SETTINGS);
    let collection = systems.simulator.collection();
    systems.run(&["publish", &collection]);
    let node = node_of(&systems, "spot.mov");
    let before = path(&systems, node);
    let asset = systems.assets(&["Spot"]).remove(0);
    let iconik = systems.simulator.iconik();
    assert!(iconik.set_values(&asset, "campaign", &["Autumn"]));
    let (_, lines) = systems.run(&["publish", &collection]);
    assert_eq!(items(of_type(&lines, "summary"), "done"), 1, "{lines:#?}");
    assert_eq!(path(&systems, node), before);
    assert_eq!(values(&systems, node)["3"], "Autumn");
    let made = systems.simulator.content_server().history();
    assert!(
        made.iter().all(|effect| effect["name"] != "Autumn"),
        "{made:#?}"
    );
    let (code, lines) = systems.run(&["reconcile"]);
    assert_eq!(code, 3, "another asset is held: {lines:#?}");
    let told = of_type(&lines, "reconciliation");
    assert_eq!(
        (&told["differences"], &told["stays"]),
        (&json!(0), &json!(1))
    );
    systems.stop();
}

/// The view that has a field for the record's id.
fn archive_view(systems: &Systems) -> String {
    let views = systems.simulator.iconik().rows(Kind::View);
    let mut views = views.iter();
    let view = views.find(|view| view["view_fields"].to_string().contains("archive_package"));
    view.expect("a view")["id"]
        .as_str()
        .expect("an id")
        .to_owned()
}

#[test]
fn what_iconik_does_not_take_is_said_and_told_again_once_it_is_mended() {
    let systems = start("");
    let id = &archive_view(&systems);
    let asset = systems.assets(&["Spot"]).remove(0);
    let told = |view: &str| {
        let write_back =
            format!("write_back = {{ view = {view:?}, record = \"archive_package\" }}\n");
        systems.configure(Extra {
            sections: &format!("{SETTINGS}{write_back}"),
            ..Extra::default()
        });
        systems.run(&["publish", &systems.simulator.collection()])
    };
    // Twice: it is offered once in each run, and stays.
    for _ in 0..2 {
        let (code, lines) = told("00000000-0000-0000-0000-00000000abcd");
        assert_eq!(code, 1, "{lines:#?}");
        assert_eq!(of_type(&lines, "summary")["not_told"], 1);
    }
    let (code, lines) = told(id);
    assert_eq!(code, 3, "another asset is held: {lines:#?}");
    assert_eq!(of_type(&lines, "summary")["not_told"], 0);
    assert_eq!(of_type(&lines, "summary")["outbox"], 0);
    let values = systems.simulator.iconik().values("assets", &asset, id);
    assert_eq!(
        values.unwrap()["archive_package"]["field_values"][0]["value"],
        node_of(&systems, "spot.mov").to_string()
    );
    systems.stop();
}

#[test]
fn iconik_is_told_in_its_metadata_and_that_makes_no_news() {
    let systems = start("");
    let id = archive_view(&systems);
    let settings = format!(
        "{SETTINGS}write_back = {{ view = {id:?}, record = \"archive_package\", filed = \"archive_date\" }}\n"
    );
    systems.configure(Extra {
        sections: &settings,
        ..Extra::default()
    });
    let collection = systems.simulator.collection();
    systems.run(&["publish", &collection]);
    let node = node_of(&systems, "spot.mov");
    let asset = systems.assets(&["Spot"]).remove(0);
    let told = systems
        .simulator
        .iconik()
        .values("assets", &asset, &id)
        .unwrap();
    assert_eq!(
        told["archive_package"]["field_values"][0]["value"],
        node.to_string()
    );
    let before = effects(&systems);
    let (_, lines) = systems.run(&["publish", &collection]);
    assert_eq!(of_type(&lines, "summary")["already_done"], 1);
    assert_eq!(effects(&systems).1, before.1);
    // Plain filing of the same asset neither takes the record away nor writes its sidecar anew.
    systems.run(&["archive", &collection]);
    assert_eq!(systems.named("spot.mov.metadata.json").len(), 1);
    let (_, lines) = systems.run(&["publish", &collection]);
    assert_eq!(of_type(&lines, "summary")["already_done"], 1);
    systems.stop();
}
