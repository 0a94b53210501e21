//! Rights with the media: the sidecar, the papers that prove it, and questions about them.

use std::time::Duration;

use longhaul::simulator::Options;
use longhaul::simulator::campaign::{AssetSpec, Campaign, FileSpec};
use longhaul::types::{KIB, NodeId};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::support::{Extra, Systems, items, of_type};

const SETTINGS: &str = r#"
[publish]
approved = "any"
[rights]
fields = { status = "rights_status", owner = "owner", licensee = "licensee", ends = "expires_on", regions = "region", media = "media" }
words = { regions = { emea = ["150", "002", "145"] } }
cross_reference = "Supporting document"
[rights.papers.release]
role = "talent-release"
relation = "RELEASE"
required = { field = "talent", values = ["yes"] }
[rights.papers.licence]
role = "licence"
field = "licence_node"
"#;

fn asset(title: &str, seed: u64) -> AssetSpec {
    let file = format!("{}.mov", title.to_lowercase());
    AssetSpec::new(title, vec![FileSpec::generated(&file, seed, 40 * KIB)])
        .value("region", &["emea"])
        .value("rights_status", &["restricted"])
        .value("owner", &["Agency Nord"])
        .value("licensee", &["Brand X"])
}

fn on_the_web(asset: AssetSpec) -> AssetSpec {
    asset.value("media", &["web"])
}

fn campaign() -> Campaign {
    let soon = jiff::Zoned::now()
        .date()
        .tomorrow()
        .expect("a day")
        .to_string();
    Campaign::new()
        .asset(
            on_the_web(asset("Spot", 1))
                .value("talent", &["yes"])
                .value("expires_on", &["2099-12-31"])
                .value("licence_node", &[]),
        )
        .asset(
            on_the_web(asset("Teaser", 2))
                .value("talent", &["yes"])
                .value("expires_on", &[&soon]),
        )
        .asset(on_the_web(asset("Loner", 3)).value("talent", &["yes"]))
        .asset(asset("Muddle", 4).value("media", &["pigeon post"]))
        .asset(
            AssetSpec::new(
                "Release form",
                vec![FileSpec::generated("release.pdf", 5, 3 * KIB)],
            )
            .value("rights_status", &["pending"]),
        )
}

fn start() -> Systems {
    let extra = Extra {
        sections: SETTINGS,
        ..Extra::default()
    };
    let systems = Systems::with(Options::with(campaign()), extra);
    // Two masters need the same form.
    for title in ["Spot", "Teaser"] {
        let (master, form) = (id_of(&systems, title), id_of(&systems, "Release form"));
        systems.simulator.iconik().relate(&master, "RELEASE", &form);
    }
    systems
}

fn id_of(systems: &Systems, title: &str) -> String {
    systems.assets(&[title]).remove(0)
}

fn ids(systems: &Systems, titles: &[&str]) -> String {
    let ids = systems.assets(titles);
    let path = systems.place.path().join("ids.txt");
    std::fs::write(&path, ids.join("\n")).expect("a list");
    path.to_str().expect("a plain path").to_owned()
}

/// Everything at Content Server that could show a change.
fn effects(systems: &Systems) -> usize {
    systems.simulator.content_server().history().len()
}

#[test]
fn reconcile_misses_a_paper_and_the_way_to_it() {
    let systems = start();
    let list = ids(&systems, &["Spot"]);
    systems.must(&["publish", "--ids", &list]);
    let (code, lines) = systems.run(&["reconcile"]);
    assert_eq!(code, 0, "{lines:#?}");
    let form = systems.named("release.pdf")[0].node;
    assert!(systems.simulator.content_server().delete(form));
    let before = effects(&systems);
    let (code, lines) = systems.run(&["reconcile"]);
    assert_eq!(code, 65, "{lines:#?}");
    let found = |class: &str| -> Vec<String> {
        let found = lines
            .iter()
            .filter(|line| line["type"] == "reconciled_item" && line["class"] == class);
        found
            .map(|line| format!("{}: {}", line["title"], line["detail"]))
            .collect()
    };
    let (missing, differs) = (found("missing"), found("differs"));
    assert_eq!((missing.len(), differs.len()), (1, 1), "{lines:#?}");
    assert!(missing[0].contains(&format!("node {form} version 1 is gone")));
    let lacks = format!("to node {form}");
    assert!(
        differs[0].contains("Spot") && differs[0].contains(&lacks),
        "{differs:?}"
    );
    assert_eq!(effects(&systems), before, "it changes nothing");
    systems.stop();
}

#[test]
fn a_plan_counts_what_masters_become_as_records() {
    let systems = start();
    let class = systems
        .simulator
        .content_server()
        .add_records_class("Media");
    let settings = SETTINGS.replace(
        "approved = \"any\"",
        &format!(
            "approved = \"any\"\nplace = \"/{{region}}\"\nrecords_class = {class}\nofficial = true"
        ),
    );
    systems.configure(Extra {
        sections: &settings,
        ..Extra::default()
    });
    let list = ids(&systems, &["Spot", "Teaser", "Loner", "Muddle"]);
    let before = effects(&systems);
    let records = |lines: &[Value]| of_type(lines, "summary")["totals"]["records"].clone();
    let before_plan = systems.must(&["plan", "publish", "--ids", &list]);
    let conflicts = |lines: &[Value]| of_type(lines, "summary")["totals"]["conflicts"].clone();
    let told = records(&before_plan);
    // The form first, for both; Spot and Teaser wait for it, Loner has none, Muddle is not understood.
    let counts = |told: &Value| {
        [
            "versions",
            "papers_to_file",
            "after_papers",
            "papers_missing",
            "papers_filed",
        ]
        .map(|name| told[name].as_u64().expect("a number"))
    };
    assert_eq!(counts(&told), [2, 1, 2, 1, 0], "{told:#}");
    assert_eq!(conflicts(&before_plan), 0, "one paper has one name");
    systems.run(&["publish", "--ids", &list, "--again"]);
    let told = records(&systems.must(&["publish", "--ids", &list, "--again", "--dry-run"]));
    assert_eq!(counts(&told), [2, 0, 0, 1, 2], "{told:#}");
    assert_eq!(told["classes"]["names"], json!({class.to_string(): 2}));
    assert_eq!(told["places"]["names"], json!({"emea": 2}));
    assert_eq!(told["marks"]["names"], json!({"official": 2}));
    assert_eq!(told["rights"]["names"], json!({"restricted": 2}));
    let text = systems
        .place
        .longhaul()
        .args(["publish", "--ids", &list, "--again", "--dry-run"])
        .output();
    let text = String::from_utf8(text.expect("longhaul starts").stdout).expect("a text");
    for part in [
        "2 versions become records:".to_owned(),
        format!("    by records classification\n             2 {class}"),
        "    by place\n             2 emea".to_owned(),
        "    by rights\n             2 restricted".to_owned(),
        "           2 papers are documents already".to_owned(),
        "           1 versions are held: a required paper is missing".to_owned(),
    ] {
        assert!(text.contains(&part), "{part:?} in {text}");
    }
    let (_, lines) = systems.run(&["report"]);
    let missing: Vec<&Value> = lines
        .iter()
        .filter(|line| line["type"] == "report_item" && !line["papers_missing"].is_null())
        .collect();
    assert_eq!(missing.len(), 1, "{lines:#?}");
    assert_eq!(missing[0]["title"], "Loner");
    let said = missing[0]["papers_missing"].to_string();
    assert!(said.contains("its talent-release is missing"), "{said}");
    assert_eq!(of_type(&lines, "report")["papers_missing"], 1);
    systems.run(&["report", "--out", "r.html"]);
    let page = std::fs::read_to_string(systems.place.path().join("r.html")).expect("the page");
    let (_, item) = page
        .split_once("Missing papers: ")
        .expect("it stands with the item");
    assert!(item.contains("its talent-release is missing"), "{page}");
    assert_ne!(effects(&systems), before);
    systems.stop();
}

#[test]
fn papers_come_first_and_the_sidecar_names_them() {
    let systems = start();
    let list = ids(&systems, &["Spot", "Teaser", "Loner", "Muddle"]);
    let (code, lines) = systems.run(&["publish", "--ids", &list]);
    assert_eq!(code, 3, "{lines:#?}");
    let summary = of_type(&lines, "summary");
    assert_eq!(
        (items(summary, "done"), items(summary, "held")),
        (3, 2),
        "{lines:#?}"
    );
    let held: Vec<String> = lines
        .iter()
        .filter(|line| line["type"] == "item")
        .map(|line| format!("{}: {}", line["title"], line["message"]))
        .collect();
    let held = held.join("\n");
    assert!(held.contains("its talent-release is missing"), "{held}");
    assert!(held.contains("pigeon-post"), "{held}");

    // One form, however many need it.
    let form = systems.named("release.pdf");
    assert_eq!(form.len(), 1);
    let policy = systems.json_of("spot.mov.rights.jsonld");
    let spot = id_of(&systems, "Spot");
    assert_eq!(policy["@type"], "Set");
    assert_eq!(
        policy["permission"][0]["target"],
        format!("urn:iconik:asset:{spot}")
    );
    let paper = &policy["lh:document"][0];
    assert!(
        paper["@id"]
            .as_str()
            .unwrap()
            .ends_with(&format!(":node:{}", form[0].node))
    );
    assert_eq!(paper["lh:role"], "talent-release");
    let node = NodeId(systems.named("spot.mov")[0].node);
    let references = systems.person(|server| async move { server.cross_references(node).await });
    assert_eq!(references.len(), 1);
    assert_eq!(references[0].to, NodeId(form[0].node));

    let before = effects(&systems);
    let (_, lines) = systems.run(&["publish", "--ids", &list]);
    assert_eq!(of_type(&lines, "summary")["already_done"], 2, "{lines:#?}");
    assert_eq!(effects(&systems), before, "a second run writes nothing");
    let (code, lines) = systems.run(&["reconcile"]);
    assert_eq!(code, 3, "{lines:#?}");

    // A licence for it: the sidecar and the cross-references follow, the master stays.
    let version = systems.named("spot.mov")[0].version;
    let note = systems.named("teaser.mov.metadata.json")[0].node;
    set_value(&systems, "Spot", "licence_node", &note.to_string());
    systems.run(&["publish", "--ids", &list]);
    let policy = systems.json_of("spot.mov.rights.jsonld");
    assert_eq!(policy["@type"], "Agreement");
    assert_eq!(policy["lh:document"].as_array().unwrap().len(), 2);
    assert_eq!(systems.named("spot.mov")[0].version, version);

    // A paper that is taken away holds what was filed, and gives it back without moving it again.
    let versions = systems.simulator.content_server().visible_versions().len();
    set_value(&systems, "Spot", "licence_node", "999999");
    let (code, lines) = systems.run(&["publish", "--ids", &list]);
    assert_eq!(code, 3);
    let held = of_type(&lines, "summary");
    assert_eq!(items(held, "held"), 3, "{lines:#?}");
    assert!(lines.iter().any(|line| {
        line["message"]
            .as_str()
            .is_some_and(|m| m.contains("999999"))
    }));
    set_value(&systems, "Spot", "licence_node", &note.to_string());
    let (_, lines) = systems.run(&["publish", "--ids", &list]);
    assert_eq!(of_type(&lines, "summary")["already_done"], 2, "{lines:#?}");
    assert_eq!(
        systems.simulator.content_server().visible_versions().len(),
        versions
    );
}

fn set_value(systems: &Systems, title: &str, field: &str, value: &str) {
    let asset = id_of(systems, title);
    let iconik = systems.simulator.iconik();
    assert!(iconik.set_values(&asset, field, &[value]), "{field}");
}

#[test]
fn questions_are_answered_with_the_rule_that_decides() {
    let systems = start();
    let spot = id_of(&systems, "Spot");
    for (wanted, code, verdict, because) in [
        (
            "web, AT, 2027-07-01",
            0,
            "allowed",
            "all its conditions hold",
        ),
        ("web, US, 2027-07-01", 3, "not-allowed", "region one of"),
        ("tv, AT, 2027-07-01", 3, "not-allowed", "media one of web"),
        ("web, AT, 2100-01-01", 3, "not-allowed", "until 2099-12-31"),
        ("web", 3, "unknown", "cannot be told"),
    ] {
        let (ended, lines) = systems.run(&["rights", "test", &spot, "--use", wanted]);
        let answer = of_type(&lines, "rights_answer");
        assert_eq!(
            (ended, answer["verdict"].as_str().unwrap()),
            (code, verdict),
            "{answer}"
        );
        assert!(
            answer["because"].as_str().unwrap().contains(because),
            "{answer}"
        );
    }
    let muddle = id_of(&systems, "Muddle");
    let (code, lines) = systems.run(&["rights", "test", &muddle, "--use", "AT"]);
    assert_eq!(code, 3);
    assert_eq!(of_type(&lines, "rights_answer")["verdict"], "unknown");
    let (code, lines) = systems.run(&["rights", "show", &muddle]);
    assert_eq!(code, 3);
    let shown = of_type(&lines, "rights");
    assert!(
        shown["problems"][0]
            .as_str()
            .unwrap()
            .contains("pigeon-post"),
        "{shown}"
    );
    let pending = id_of(&systems, "Release form");
    let (_, lines) = systems.run(&["rights", "test", &pending, "--use", "web, AT"]);
    assert_eq!(
        of_type(&lines, "rights_answer")["because"],
        "the rights are pending"
    );
    let (code, _) = systems.run(&["rights", "test", &spot, "--use", "pigeon"]);
    assert_eq!(code, 2);
}

#[test]
fn licences_that_are_about_to_end_are_listed_from_what_was_filed() {
    let systems = start();
    let list = ids(&systems, &["Spot", "Teaser"]);
    systems.must(&["publish", "--ids", &list]);
    let lines = systems.must(&["rights", "expiring", "--within", "30d"]);
    let ending = of_type(&lines, "rights_ending");
    assert_eq!(ending["title"], "Teaser");
    assert_eq!(of_type(&lines, "rights_ending_summary")["licences"], 1);
    let teaser = id_of(&systems, "Teaser");
    let wanted = "web, AT, 2099-01-01";
    let (code, lines) = systems.run(&["rights", "test", &teaser, "--use", wanted, "--filed"]);
    assert_eq!(
        (code, &of_type(&lines, "rights_answer")["verdict"]),
        (3, &json!("not-allowed"))
    );
    set_value(&systems, "Teaser", "expires_on", "2099-12-31");
    systems.must(&["publish", "--ids", &list]);
    let lines = systems.must(&["rights", "expiring"]);
    assert_eq!(of_type(&lines, "rights_ending_summary")["licences"], 0);
    let (code, _) = systems.run(&["rights", "test", &teaser, "--use", wanted, "--filed"]);
    assert_eq!(code, 0);
}

#[test]
fn a_plan_counts_masters_whose_papers_the_same_run_files() {
    let systems = start();
    let list = ids(&systems, &["Spot", "Loner"]);
    let lines = systems.run(&["plan", "publish", "--ids", &list]).1;
    let of = |title: &str| {
        let planned = |line: &&Value| line["type"] == "plan_item" && line["title"] == title;
        let found = lines.iter().find(planned);
        found.unwrap_or_else(|| panic!("{title} in {lines:#?}"))
    };
    assert_eq!(of("Spot")["verdict"], "in", "{}", of("Spot"));
    let versions = of("Spot")["versions"].as_array().expect("versions");
    let master = versions.iter().find(|one| one["why"] == "after-its-papers");
    let master = master.unwrap_or_else(|| panic!("{versions:#?}"));
    assert_eq!(master["bytes"], 40 * KIB);
    assert_eq!(master["action"], "new-document");
    assert!(master["detail"].to_string().contains("release.pdf"));
    // What lacks a paper that is nowhere stays with a person.
    assert_eq!(of("Loner")["verdict"], "blocked");
    systems.stop();
}

#[test]
fn a_package_holds_the_papers_once_and_says_what_they_prove() {
    let systems = start();
    let collection = systems.simulator.collection();
    let archive = ["archive", &collection, "--package"];
    let pack = || of_type(&systems.run(&archive).1, "package").clone();
    assert_eq!(pack()["complete"], true);
    let lines = systems.must(&["package", "export", "--to", "out"]);
    let to = of_type(&lines, "package_exported")["to"].as_str();
    let bag = systems.place.path().join(to.expect("a directory"));
    let read = |name: &str| std::fs::read(bag.join(name)).expect("a file of the package");
    let campaign: Value = serde_json::from_slice(&read("campaign.json")).expect("JSON");
    let rights = campaign["rights"].as_array().expect("rights");
    let of = |master: &str| {
        let sidecar = format!("data/masters/{master}.rights.jsonld");
        let found = rights.iter().find(|one| one["sidecar"] == sidecar);
        found.unwrap_or_else(|| panic!("{sidecar} in {rights:#?}"))
    };
    let release = json!([{"role": "talent-release", "path": "data/rights/release.pdf"}]);
    assert_eq!(of("spot.mov")["papers"], release);
    assert_eq!(of("teaser.mov")["papers"], release, "one paper for both");
    assert_eq!(of("spot.mov")["ends"], "2099-12-31");
    assert!(
        of("spot.mov")["says"]
            .to_string()
            .contains("media one of web")
    );
    let items = campaign["items"].as_array().expect("items");
    let papers: Vec<&Value> = items
        .iter()
        .filter(|item| item["path"].to_string().contains("data/rights/"))
        .collect();
    assert_eq!(papers.len(), 1, "{papers:#?}");
    let digest = hex::encode(Sha256::digest(read("data/rights/release.pdf")));
    assert_eq!(papers[0]["sha256"], digest);
    let premis = String::from_utf8(read("premis.xml")).expect("a text");
    let proved = format!(
        ":node:{}</licenseDocumentationIdentifierValue>",
        papers[0]["otcs"]["node"]
    );
    assert!(premis.contains(&proved), "{premis}");
    let page = String::from_utf8(read("summary.html")).expect("a text");
    assert!(page.contains("talent-release: data/rights/release.pdf"));

    let before = effects(&systems);
    assert_eq!(pack()["written"], 0);
    assert_eq!(effects(&systems), before, "nothing new writes nothing");
    systems.stop();
}

#[test]
fn killed_anywhere_papers_and_masters_are_filed_once() {
    let systems = start();
    let list = ids(&systems, &["Spot", "Teaser"]);
    for milliseconds in [120, 200, 300, 450, 700] {
        systems.kill_after(
            Duration::from_millis(milliseconds),
            &["publish", "--ids", &list],
        );
    }
    systems.must(&["publish", "--ids", &list]);
    for name in [
        "release.pdf",
        "spot.mov",
        "spot.mov.rights.jsonld",
        "teaser.mov",
        "teaser.mov.rights.jsonld",
    ] {
        let found = systems.named(name);
        assert_eq!(found.len(), 1, "{name}");
        assert_eq!(found[0].version, 1, "{name}");
    }
}

#[test]
fn doctor_looks_for_what_papers_need() {
    let systems = start();
    let lines = systems.must(&["doctor"]);
    let found = lines.iter().find(|line| line["what"] == "cross-references");
    assert_eq!(found.expect("a line")["verdict"], "ok");
    let path = systems.place.path().join("longhaul.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let text = text.replace("\"Supporting document\"", "\"Nobody's kind\"");
    std::fs::write(&path, text).unwrap();
    let (code, lines) = systems.run(&["doctor"]);
    assert_eq!(code, 2, "{lines:#?}");
    let found = lines.iter().find(|line| line["what"] == "cross-references");
    let found = found.expect("a line")["found"].as_str().unwrap();
    assert!(found.contains("none of Supporting document"), "{found}");
}

#[test]
fn each_of_several_licences_keeps_its_terms_and_its_last_day() {
    let soon = jiff::Zoned::now().date().tomorrow().expect("a day");
    let soon = soon.to_string();
    let spot = AssetSpec::new("Spot", vec![FileSpec::generated("spot.mov", 1, 40 * KIB)])
        .value("rights_status", &["cleared"])
        .value("media", &["tv"])
        .value("expires_on", &[&soon])
        .value("keywords", &["web"])
        .value("licence_node", &["2099-12-31"]);
    let extra = Extra {
        sections: "[publish]\napproved = \"any\"\n[rights]\nfields = { status = \"rights_status\" }\n\
            [rights.licences.tv]\nfields = { media = \"media\", ends = \"expires_on\" }\n\
            [rights.licences.online]\nfields = { media = \"keywords\", ends = \"licence_node\" }\n",
        ..Extra::default()
    };
    let systems = Systems::with(Options::with(Campaign::new().asset(spot)), extra);
    let list = ids(&systems, &["Spot"]);
    systems.must(&["publish", "--ids", &list]);
    let policy = systems.json_of("spot.mov.rights.jsonld");
    let permissions = policy["permission"].as_array().expect("permissions");
    let names: Vec<&Value> = permissions.iter().map(|one| &one["lh:licence"]).collect();
    assert_eq!(names.len(), 2, "{policy:#}");
    assert!(names.contains(&&json!("tv")) && names.contains(&&json!("online")));
    let asset = id_of(&systems, "Spot");
    for (wanted, verdict, rule) in [
        ("web, AT, 2099-01-01", "allowed", "permission (online)"),
        ("tv, AT", "allowed", "permission (tv)"),
        ("tv, AT, 2099-01-01", "not-allowed", "permission ("),
    ] {
        let (_, lines) = systems.run(&["rights", "test", &asset, "--use", wanted, "--filed"]);
        let answer = of_type(&lines, "rights_answer");
        assert_eq!(answer["verdict"], verdict, "{wanted}: {answer}");
        assert!(answer["rule"].as_str().expect("a rule").starts_with(rule));
    }
    let lines = systems.must(&["rights", "expiring", "--within", "30d"]);
    assert_eq!(of_type(&lines, "rights_ending_summary")["licences"], 1);
    assert_eq!(of_type(&lines, "rights_ending")["licence"], "tv");
    let lines = systems.must(&["report"]);
    let ends = format!("online 2099-12-31; tv {soon}");
    let row = of_type(&lines, "report_item");
    assert_eq!(row["licence_ends"], json!(ends), "{row}");
    let before = effects(&systems);
    systems.must(&["publish", "--ids", &list]);
    assert_eq!(effects(&systems), before, "nothing new, nothing written");
    systems.stop();
}

#[test]
fn assets_that_are_licences_say_what_may_be_done_with_a_master() {
    let deal = |title: &str, media: &str, ends: &str| {
        AssetSpec::new(title, vec![FileSpec::generated("deal.pdf", 9, KIB)])
            .value("media", &[media])
            .value("expires_on", &[ends])
    };
    let film = |title: &str, seed| {
        let file = format!("{}.mov", title.to_lowercase());
        AssetSpec::new(title, vec![FileSpec::generated(&file, seed, 40 * KIB)])
            .value("rights_status", &["restricted"])
            .value("owner", &["Agency Nord"])
    };
    let campaign = Campaign::new()
        .asset(film("Film", 1).with(|a| a.relations = vec![("LICENCE", 2), ("LICENCE", 3)]))
        .asset(film("Orphan", 2))
        .asset(deal("TV deal", "tv", "2031-12-31"))
        .asset(deal("Web deal", "web", "2029-06-30"));
    let settings = r#"
[publish]
approved = "any"
[rights]
fields = { status = "rights_status", owner = "owner" }
[rights.licences.deal]
fields = { media = "media", ends = "expires_on" }
relation = "LICENCE"
"#;
    let extra = Extra {
        sections: settings,
        ..Extra::default()
    };
    let systems = Systems::with(Options::with(campaign), extra);
    let list = ids(&systems, &["Film", "Orphan"]);
    systems.must(&["publish", "--ids", &list]);
    let film = id_of(&systems, "Film");
    let answer = |asset: &str, wanted: &str, filed: bool| {
        let mut command = vec!["rights", "test", asset, "--use", wanted];
        if filed {
            command.push("--filed");
        }
        let (_, lines) = systems.run(&command);
        let answer = of_type(&lines, "rights_answer");
        (answer["verdict"].clone(), answer["rule"].to_string())
    };
    for filed in [false, true] {
        let (verdict, rule) = answer(&film, "web, AT, 2029-01-01", filed);
        assert_eq!(verdict, "allowed", "{rule}");
        assert!(rule.contains("deal: Web deal"), "{rule}");
        assert_eq!(answer(&film, "web, AT, 2030-01-01", filed).0, "not-allowed");
        assert_eq!(answer(&film, "tv, AT, 2030-01-01", filed).0, "allowed");
        assert_eq!(
            answer(&film, "cinema, AT, 2029-01-01", filed).0,
            "not-allowed"
        );
        // No licence, no permission.
        let orphan = id_of(&systems, "Orphan");
        assert_ne!(answer(&orphan, "web, AT, 2029-01-01", filed).0, "allowed");
    }

    // What a licence says now reaches its masters with the next run.
    let before = effects(&systems);
    systems.must(&["publish", "--ids", &list]);
    assert_eq!(effects(&systems), before, "nothing is written twice");
    let web = id_of(&systems, "Web deal");
    let iconik = systems.simulator.iconik();
    assert!(iconik.set_values(&web, "expires_on", &["2035-06-30"]));
    systems.must(&["publish", "--ids", &list]);
    assert_eq!(answer(&film, "web, AT, 2030-01-01", true).0, "allowed");

    // One that says what nobody understands holds the master.
    assert!(iconik.set_values(&web, "media", &["pigeon post"]));
    let (code, lines) = systems.run(&["publish", "--ids", &list]);
    assert_eq!(code, 3, "{lines:#?}");
    let held = of_type(&lines, "item")["message"].to_string();
    assert!(
        held.contains("Web deal") && held.contains("pigeon-post"),
        "{held}"
    );
    systems.stop();
}
