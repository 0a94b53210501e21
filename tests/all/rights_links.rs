//! Shortcuts from a record to the papers that prove its rights.

use std::collections::BTreeMap;

use longhaul::content_server::{ApplyTo, Client, Grant, Holder, Rendition, Right};
use longhaul::simulator::Options;
use longhaul::simulator::campaign::{AssetSpec, Campaign, FileSpec};
use longhaul::simulator::faults::{Action, Rule, System};
use longhaul::simulator::iconik::Kind;
use longhaul::transfer::{Destination as _, Node};
use longhaul::types::{KIB, NodeId};
use serde_json::{Value, json};

use crate::support::{Extra, Systems, items, of_type, replace};

const SETTINGS: &str = r#"
[publish]
approved = "any"
place = "/{campaign}"
permissions = { public = "none" }
rename = true
relocate = true
[rights]
fields = { status = "rights_status", owner = "owner" }
shortcuts = true
[rights.papers.release]
role = "talent-release"
relation = "RELEASE"
[rights.papers.licence]
role = "licence"
field = "licence_node"
"#;

fn start() -> Systems {
    let master = |title: &str, file: &str, seed: u64| {
        AssetSpec::new(title, vec![FileSpec::generated(file, seed, 40 * KIB)])
            .value("rights_status", &["cleared"])
            .value("owner", &["Agency Nord"])
            .value("campaign", &["Spring"])
            .value("licence_node", &[])
    };
    let form = AssetSpec::new(
        "Release form",
        vec![FileSpec::generated("release.pdf", 5, 3 * KIB)],
    );
    let campaign = Campaign::new()
        .asset(master("Spot", "spot.mov", 1))
        .asset(master("Teaser", "teaser.mov", 2))
        .asset(reel())
        .asset(form);
    let extra = Extra {
        sections: SETTINGS,
        ..Extra::default()
    };
    let systems = Systems::with(Options::with(campaign), extra);
    for title in ["Spot", "Teaser"] {
        let (master, form) = (id_of(&systems, title), id_of(&systems, "Release form"));
        systems.simulator.iconik().relate(&master, "RELEASE", &form);
    }
    systems
}

/// A master of several files.
fn reel() -> AssetSpec {
    let frame = |number: u64| FileSpec::generated(&format!("frame-{number}.dpx"), number, 2 * KIB);
    AssetSpec::new("Reel", (1..=3).map(frame).collect())
        .value("rights_status", &["cleared"])
        .value("campaign", &["Spring"])
}

fn id_of(systems: &Systems, title: &str) -> String {
    systems.assets(&[title]).remove(0)
}

/// The command that publishes these assets.
fn publish(systems: &Systems, titles: &[&str], more: &[&str]) -> Vec<String> {
    let path = systems.place.path().join("ids.txt");
    std::fs::write(&path, systems.assets(titles).join("\n")).expect("a list");
    let list = path.to_str().expect("a plain path");
    let command = ["publish", "--ids", list].into_iter();
    command
        .chain(more.iter().copied())
        .map(str::to_owned)
        .collect()
}

fn run(systems: &Systems, titles: &[&str], more: &[&str]) -> (i32, Vec<Value>) {
    let arguments = publish(systems, titles, more);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    systems.run(&arguments)
}

#[track_caller]
fn must(systems: &Systems, titles: &[&str], more: &[&str]) -> Vec<Value> {
    let (code, lines) = run(systems, titles, more);
    assert_eq!(code, 0, "{lines:#?}");
    lines
}

fn set_value(systems: &Systems, title: &str, field: &str, value: &str) {
    let asset = id_of(systems, title);
    let iconik = systems.simulator.iconik();
    assert!(iconik.set_values(&asset, field, &[value]), "{field}");
}

/// Every shortcut below a folder.
fn below(systems: &Systems, folder: i64) -> Vec<Node> {
    systems.person(async |server: Client| {
        let (mut found, mut open) = (Vec::new(), vec![NodeId(folder)]);
        while let Some(folder) = open.pop() {
            let (nodes, more) = server.children(folder, 1).await?;
            assert!(!more, "few are there");
            for node in nodes {
                if node.container {
                    open.push(node.id);
                } else if node.original.is_some() {
                    found.push(node);
                }
            }
        }
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    })
}

fn shortcuts(systems: &Systems) -> Vec<Node> {
    let parts = systems.simulator.parts();
    assert_eq!(below(systems, parts.staging), [], "none is left in staging");
    below(systems, parts.target)
}

fn names(systems: &Systems) -> Vec<String> {
    let all = shortcuts(systems).into_iter();
    all.map(|shortcut| shortcut.name).collect()
}

fn node_of(systems: &Systems, name: &str) -> NodeId {
    NodeId(systems.named(name)[0].node)
}

fn folder_of(systems: &Systems, name: &str) -> NodeId {
    NodeId(systems.named(name)[0].parent)
}

/// Everything at Content Server that could show a change.
fn effects(systems: &Systems) -> usize {
    systems.simulator.content_server().history().len()
}

fn made(systems: &Systems) -> usize {
    let history = systems.simulator.content_server().history();
    let made = |event: &&Value| event["kind"] == "create" && event["type"] == 1;
    history.iter().filter(made).count()
}

fn journal(systems: &Systems, event: &str) -> Vec<Value> {
    let lines = systems.must(&["audit"]);
    let of = |line: &&Value| line["event"] == event;
    lines.iter().filter(of).cloned().collect()
}

fn without_records(systems: &Systems) {
    for path in [
        "*/xrefs*",
        "*/rmclassifications*",
        "*/holds*",
        "*/recordmanagement*",
    ] {
        let gone = Rule::new(Action::Status {
            code: 400,
            headers: BTreeMap::new(),
            body: json!({"error": "The REST API URL could not be found in the mappings registry"})
                .to_string(),
            applied: false,
            read_body: true,
        });
        let gone = gone.on(System::ContentServer).path(path);
        systems.simulator.faults().add(gone.always());
    }
}

#[track_caller]
fn found(lines: &[Value], title: &str) -> (String, String) {
    let found = lines
        .iter()
        .find(|line| line["type"] == "reconciled_item" && line["title"] == title);
    let found = found.unwrap_or_else(|| panic!("{title} in {lines:#?}"));
    let text = |name: &str| found[name].as_str().unwrap_or_default().to_owned();
    (text("class"), text("detail"))
}

#[test]
fn without_records_management_papers_stand_beside_their_record() {
    let systems = start();
    without_records(&systems);
    let told = systems.must(&["doctor"]);
    let line = told
        .iter()
        .find(|line| line["what"] == "shortcuts to papers");
    assert_eq!(line.expect("a line")["verdict"], "ok", "{told:#?}");
    let lines = must(&systems, &["Spot", "Teaser"], &[]);
    assert_eq!(items(of_type(&lines, "summary"), "done"), 3);

    let form = node_of(&systems, "release.pdf");
    let all = shortcuts(&systems);
    assert_eq!(
        names(&systems),
        [
            "spot.mov.rights.release.pdf",
            "teaser.mov.rights.release.pdf"
        ]
    );
    for shortcut in &all {
        assert_eq!(shortcut.original, Some(form));
        assert_eq!(
            shortcut.parent,
            folder_of(&systems, "spot.mov.rights.jsonld")
        );
        let id = shortcut.id;
        let grants = systems.person(|server| async move { server.permissions(id).await });
        let public = grants.iter().find(|grant| grant.holder == Holder::Public);
        assert!(
            public.is_none_or(|grant| grant.rights.is_empty()),
            "{grants:?}"
        );
    }
    // Nobody saw a name before its rights were set: what people see was never created there.
    let history = systems.simulator.content_server().history();
    let staging = systems.simulator.parts().staging;
    let created = history
        .iter()
        .filter(|event| event["kind"] == "create" && event["type"] == 1);
    assert!(created.clone().all(|event| event["parent"] == staging));
    assert_eq!(created.count(), 2);
    let line = journal(&systems, "linked");
    assert_eq!(line.len(), 2, "{line:#?}");
    assert_eq!(line[0]["data"]["links"][0]["to"], form.0, "{line:#?}");

    let before = effects(&systems);
    let lines = must(&systems, &["Spot", "Teaser"], &[]);
    assert_eq!(of_type(&lines, "summary")["already_done"], 2, "{lines:#?}");
    assert_eq!(effects(&systems), before, "a second run writes nothing");
    must(&systems, &["Spot", "Teaser"], &["--again"]);
    assert_eq!(effects(&systems), before, "not even one that looks again");
    let arguments = publish(&systems, &["Spot", "Teaser"], &["--again", "--dry-run"]);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let told = systems.must(&arguments);
    let marks = &of_type(&told, "summary")["totals"]["records"]["marks"]["names"];
    assert_eq!(marks, &json!({"shortcuts to papers": 2}), "{told:#?}");
    let (code, lines) = systems.run(&["reconcile"]);
    assert_eq!(code, 0, "a shortcut is no extra document: {lines:#?}");
    systems.stop();
}

#[test]
fn reconcile_misses_a_shortcut_and_who_may_see_it_and_again_mends_both() {
    let systems = start();
    must(&systems, &["Spot", "Teaser"], &[]);
    let all = shortcuts(&systems);
    assert!(systems.simulator.content_server().delete(all[0].id.0));
    let open = all[1].id;
    systems.person(|server| async move {
        let grant = Grant {
            holder: Holder::Public,
            rights: [Right::See].into(),
        };
        server
            .set_permissions(open, &grant, ApplyTo::ThisItem)
            .await
    });
    let before = effects(&systems);
    let (code, lines) = systems.run(&["reconcile"]);
    assert_eq!(code, 65, "{lines:#?}");
    assert_eq!(effects(&systems), before, "it changes nothing");
    let form = node_of(&systems, "release.pdf");
    let (class, detail) = found(&lines, "Spot");
    assert_eq!(class, "differs");
    assert!(
        detail.contains(&format!("it lacks the shortcut to node {form}")),
        "{detail}"
    );
    let (_, detail) = found(&lines, "Teaser");
    let beside = format!("beside it, node {open}: everybody has other rights");
    assert!(detail.contains(&beside), "{detail}");

    must(&systems, &["Spot", "Teaser"], &["--again"]);
    assert_eq!(names(&systems).len(), 2);
    let (code, lines) = systems.run(&["reconcile"]);
    assert_eq!(code, 0, "{lines:#?}");

    // A paper that is gone leaves a shortcut that leads nowhere.
    assert!(systems.simulator.content_server().delete(form.0));
    let (code, lines) = systems.run(&["reconcile"]);
    assert_eq!(code, 65);
    let (_, detail) = found(&lines, "Spot");
    assert!(
        detail.contains(&format!("its paper, node {form}, is gone")),
        "{detail}"
    );
    systems.stop();
}

#[test]
fn they_follow_a_record_that_is_moved_and_renamed_and_what_is_wanted_no_more_stays() {
    let systems = start();
    must(&systems, &["Spot", "Teaser"], &[]);
    let first = shortcuts(&systems).remove(0);
    let (spring, note) = (
        folder_of(&systems, "spot.mov"),
        node_of(&systems, "teaser.mov.rights.jsonld"),
    );
    // Another campaign and another name of the file: another place, another name.
    set_value(&systems, "Spot", "campaign", "Autumn");
    set_value(&systems, "Spot", "licence_node", &note.to_string());
    let iconik = systems.simulator.iconik();
    let rows = iconik.rows(Kind::File);
    let file = rows
        .iter()
        .find(|row| row["original_name"] == "spot.mov" || row["name"] == "spot.mov");
    let file = file.expect("the file")["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let named = json!({"name": "film.mov", "original_name": "film.mov"});
    assert!(iconik.change(Kind::File, &file, named));
    must(&systems, &["Spot"], &[]);
    let autumn = folder_of(&systems, "film.mov");
    assert_ne!(autumn, spring);
    assert_eq!(
        names(&systems),
        [
            "film.mov.rights.release.pdf",
            "film.mov.rights.teaser.mov.rights.jsonld",
            "teaser.mov.rights.release.pdf"
        ]
    );
    let moved = shortcuts(&systems);
    assert_eq!(
        (moved[0].id, moved[0].parent),
        (first.id, autumn),
        "the same one"
    );
    assert_eq!(moved[1].parent, autumn);
    assert_eq!(moved[2].parent, spring);

    // New content, and a paper that it does not need.
    set_value(&systems, "Spot", "licence_node", "");
    set_value(&systems, "Spot", "owner", "Agency West");
    replace(&systems, "film.mov", 9, 50 * KIB);
    must(&systems, &["Spot"], &[]);
    assert_eq!(systems.named("film.mov").len(), 2);
    assert_eq!(shortcuts(&systems), moved, "none is taken away or made");
    // It goes where its record goes all the same.
    set_value(&systems, "Spot", "campaign", "Winter");
    must(&systems, &["Spot"], &[]);
    let winter = folder_of(&systems, "film.mov");
    let after = shortcuts(&systems);
    assert_eq!((after[0].parent, after[1].parent), (winter, winter));
    let (code, lines) = systems.run(&["reconcile"]);
    assert_eq!(code, 0, "{lines:#?}");
    assert_eq!(made(&systems), 3);
    systems.stop();
}

#[test]
fn a_lost_ledger_finds_them_again_whatever_a_person_called_the_record() {
    let systems = start();
    must(&systems, &["Spot", "Teaser"], &[]);
    let before = shortcuts(&systems);
    std::fs::remove_file(systems.place.path().join("longhaul.db")).expect("the ledger");
    systems.must(&["adopt"]);
    must(&systems, &["Spot", "Teaser"], &[]);
    assert_eq!(shortcuts(&systems), before);
    // The ledger does not say that a person renamed the record since.
    let spot = node_of(&systems, "spot.mov");
    systems.person(|server| async move { server.rename(spot, "my spot.mov").await });
    must(&systems, &["Spot", "Teaser"], &["--again"]);
    let after = shortcuts(&systems);
    assert_eq!(after.len(), 2);
    assert!(after.iter().any(|one| one.id == before[0].id));
    assert_eq!(made(&systems), 2);
    let (code, lines) = systems.run(&["reconcile"]);
    assert_eq!(code, 0, "{lines:#?}");
    systems.stop();
}

#[test]
fn somebody_else_s_node_keeps_its_name() {
    let systems = start();
    must(&systems, &["Teaser"], &[]);
    let spring = folder_of(&systems, "teaser.mov");
    let folder = systems.person(|server| async move {
        let name = "spot.mov.rights.release.pdf";
        server.create_container(spring, name).await
    });
    must(&systems, &["Spot"], &[]);
    let all = shortcuts(&systems);
    let form = all[0].original.expect("a paper");
    let name = format!("spot.mov.rights.release~{form}.pdf");
    assert_eq!(all[0].name, name);
    let there = systems.person(|server| async move { server.node(folder).await });
    assert_eq!(there.name, "spot.mov.rights.release.pdf");
    let (code, lines) = systems.run(&["reconcile"]);
    assert_eq!(code, 0, "{lines:#?}");
    must(&systems, &["Spot"], &["--again"]);
    assert_eq!(shortcuts(&systems), all);

    // A shortcut has no content of its own, and says where it is.
    let id = all[0].id.to_string();
    let (code, lines) = systems.run(&["export", "--node", &id, "--to", "it.pdf"]);
    assert_ne!(code, 0);
    let said = of_type(&lines, "exit")["message"].to_string();
    assert!(said.contains(&format!("stands for node {form}")), "{said}");
    systems.stop();
}

#[test]
fn a_sequence_has_its_shortcut_inside_and_one_in_a_folder_of_papers_is_the_paper() {
    let systems = start();
    let form = id_of(&systems, "Release form");
    let reel = id_of(&systems, "Reel");
    systems.simulator.iconik().relate(&reel, "RELEASE", &form);
    must(&systems, &["Spot", "Reel"], &[]);
    let form = node_of(&systems, "release.pdf");
    let all = shortcuts(&systems);
    let inside = folder_of(&systems, "frame-1.dpx");
    let own = all.iter().find(|one| one.parent == inside);
    let own = own.unwrap_or_else(|| panic!("{all:#?}"));
    assert_eq!(own.original, Some(form));
    let folder = systems.person(|server| async move { server.node(inside).await });
    assert_eq!(own.name, format!("{}.rights.release.pdf", folder.name));

    // Papers are looked for among shortcuts too: what they stand for is found, and found once.
    let spring = folder_of(&systems, "spot.mov");
    let more = format!(
        "{SETTINGS}[rights.papers.shelf]\nrole = \"licence\"\nfolder = {spring}\nfiles = \"*.rights.release.pdf\"\n"
    );
    systems.configure(Extra {
        sections: &more,
        ..Extra::default()
    });
    must(&systems, &["Spot"], &[]);
    assert_eq!(shortcuts(&systems), all, "none leads to a shortcut");
    let sidecar = systems.named("spot.mov.rights.jsonld");
    assert_eq!(sidecar.len(), 2, "the sidecar says what it proves besides");
    // Somebody who loads what is there by name walks past them.
    std::fs::remove_file(systems.place.path().join("longhaul.db")).expect("the ledger");
    let lines = systems.must(&["adopt", "--dry-run"]);
    let adopted = of_type(&lines, "adopted");
    assert_eq!(adopted["versions"], systems.versions().len(), "{adopted}");
    systems.stop();
}

/// Publishes these assets and is killed at the how-manieth passing of a place.
#[cfg(debug_assertions)]
#[track_caller]
fn kill_at(systems: &Systems, titles: &[&str], place: &str, occurrence: u8) {
    let arguments = publish(systems, titles, &[]);
    let arguments: Vec<&str> = arguments.iter().map(|one| &**one).collect();
    systems.die(&arguments, &format!("{place}:{occurrence}"));
}

#[cfg(debug_assertions)]
#[test]
fn killed_on_the_way_elsewhere_record_sidecars_and_shortcut_arrive_together() {
    // Two sidecars, the shortcut, the record.
    for occurrence in 1..=4 {
        let systems = start();
        must(&systems, &["Spot"], &[]);
        let before = shortcuts(&systems).remove(0);
        set_value(&systems, "Spot", "campaign", "Autumn");
        kill_at(&systems, &["Spot"], "following", occurrence);
        must(&systems, &["Spot"], &[]);
        let autumn = folder_of(&systems, "spot.mov");
        assert_ne!(autumn, before.parent);
        assert_eq!(folder_of(&systems, "spot.mov.rights.jsonld"), autumn);
        let moved = Node {
            parent: autumn,
            ..before
        };
        assert_eq!(shortcuts(&systems), [moved], "{occurrence}");
        assert_eq!(made(&systems), 1);
        let (code, lines) = systems.run(&["reconcile"]);
        assert_eq!(code, 0, "{occurrence}: {lines:#?}");
        systems.stop();
    }
}

#[cfg(debug_assertions)]
#[test]
fn killed_at_every_step_there_is_one_for_each_paper() {
    for place in [
        "link-making",
        "link-made",
        "link-moving",
        "link-moved",
        "done",
    ] {
        // The form is done first, then the masters.
        for occurrence in if place == "done" { [2, 3] } else { [1, 2] } {
            let systems = start();
            kill_at(&systems, &["Spot", "Teaser"], place, occurrence);
            if place == "link-made" {
                let lines = systems.must(&["reconcile", "--staging"]);
                assert!(lines.iter().any(|line| {
                    let name = line["name"].as_str().unwrap_or_default();
                    name.starts_with("paper-") && line["is"] == "on its way"
                }));
            }
            must(&systems, &["Spot", "Teaser"], &[]);
            assert_eq!(
                names(&systems),
                [
                    "spot.mov.rights.release.pdf",
                    "teaser.mov.rights.release.pdf"
                ],
                "{place}"
            );
            assert_eq!(made(&systems), 2, "{place}: none was made twice");
            let (code, lines) = systems.run(&["reconcile"]);
            assert_eq!(code, 0, "{place}: {lines:#?}");
            systems.stop();
        }
    }
}

/// The settings with another kind of rights sidecar.
fn with_sidecar(systems: &Systems, sidecar: &str) {
    let wanted =
        format!("sidecar = {sidecar}\ncross_reference = \"Supporting document\"\nshortcuts = true");
    let sections = SETTINGS.replace("shortcuts = true", &wanted);
    systems.configure(Extra {
        sections: &sections,
        ..Extra::default()
    });
}

#[test]
fn a_rights_sidecar_is_a_rendition_of_the_master_by_policy_and_follows_the_licence() {
    let systems = start();
    with_sidecar(&systems, "{ rendition = \"rights\" }");
    let ready = systems.must(&["doctor"]);
    let says = |part: &str| ready.iter().any(|line| line.to_string().contains(part));
    assert!(says("documents can have renditions"), "{ready:#?}");
    must(&systems, &["Spot", "Reel"], &[]);
    let spot = node_of(&systems, "spot.mov");
    // As a document and as a rendition, of the same bytes; what has no versions has none.
    let sidecar = systems.json_of("spot.mov.rights.jsonld");
    let renditions = || {
        let history = systems.simulator.content_server().history();
        let of = |event: &&Value| {
            event["kind"]
                .as_str()
                .is_some_and(|kind| kind.contains("rendition"))
        };
        history.iter().filter(of).cloned().collect::<Vec<_>>()
    };
    assert_eq!(renditions().len(), 1, "{:#?}", renditions());
    let (code, lines) = systems.run(&["reconcile"]);
    assert_eq!(code, 0, "{lines:#?}");
    let before = effects(&systems);
    must(&systems, &["Spot", "Reel"], &[]);
    assert_eq!(effects(&systems), before, "nothing is written twice");

    // Somebody puts another in its place.
    let other = Rendition {
        kind: "rights".to_owned(),
        file_name: "mine.json".to_owned(),
        mime: "application/json".to_owned(),
        content: "{}".to_owned(),
    };
    systems.person(|server| async move { server.keep_rendition(spot, &other).await });
    let (code, lines) = systems.run(&["reconcile"]);
    assert_eq!(code, 65);
    let (_, detail) = found(&lines, "Spot");
    assert!(
        detail.contains("holds other content than was filed"),
        "{detail}"
    );
    must(&systems, &["Spot"], &["--again"]);
    assert_eq!(systems.run(&["reconcile"]).0, 0);

    // A changed licence is another rendition of the same version.
    set_value(&systems, "Spot", "owner", "Agency Ost");
    must(&systems, &["Spot"], &[]);
    assert_ne!(systems.json_of("spot.mov.rights.jsonld"), sidecar);
    assert_eq!(systems.named("spot.mov").len(), 1);
    assert_eq!(systems.run(&["reconcile"]).0, 0);
    systems.stop();
}

#[test]
fn a_rights_sidecar_is_a_related_item_of_the_record_by_policy() {
    let systems = start();
    with_sidecar(&systems, "\"related\"");
    must(&systems, &["Spot"], &[]);
    let spot = node_of(&systems, "spot.mov");
    let sidecar = node_of(&systems, "spot.mov.rights.jsonld");
    let others = |systems: &Systems| -> Vec<NodeId> {
        let all = systems.person(|server| async move { server.cross_references(spot).await });
        all.iter().map(|one| one.to).collect()
    };
    assert!(
        others(&systems).contains(&sidecar),
        "{:?}",
        others(&systems)
    );
    let before = effects(&systems);
    must(&systems, &["Spot"], &["--again"]);
    assert_eq!(effects(&systems), before, "nothing is written twice");
    assert_eq!(systems.run(&["reconcile"]).0, 0);
    systems.stop();
}

#[test]
fn a_related_sidecar_needs_the_kind_of_its_cross_reference() {
    let systems = start();
    let sections = SETTINGS.replace("shortcuts = true", "sidecar = \"related\"");
    systems.configure(Extra {
        sections: &sections,
        ..Extra::default()
    });
    let (code, lines) = run(&systems, &["Spot"], &[]);
    assert_eq!(code, 2, "{lines:#?}");
    let said = of_type(&lines, "exit")["message"].to_string();
    assert!(
        said.contains("`rights.sidecar` is") && said.contains("`rights.cross_reference`"),
        "{said}"
    );
    systems.stop();
}

#[test]
fn reconcile_sees_who_may_see_what_lies_inside_a_folder_and_again_mends_it() {
    let systems = start();
    must(&systems, &["Reel"], &[]);
    assert_eq!(systems.run(&["reconcile"]).0, 0);
    let frame = node_of(&systems, "frame-2.dpx");
    systems.person(|server| async move {
        let grant = Grant {
            holder: Holder::Public,
            rights: [Right::See].into(),
        };
        server
            .set_permissions(frame, &grant, ApplyTo::ThisItem)
            .await
    });
    let (code, lines) = systems.run(&["reconcile"]);
    assert_eq!(code, 65, "{lines:#?}");
    let (class, detail) = found(&lines, "Reel");
    assert_eq!(class, "differs");
    let inside = format!("inside it, node {frame}: everybody has other rights");
    assert!(detail.contains(&inside), "{detail}");
    must(&systems, &["Reel"], &["--again"]);
    let (code, lines) = systems.run(&["reconcile"]);
    assert_eq!(code, 0, "{lines:#?}");
    systems.stop();
}
