//! What a person may get wrong, and systems that are not there or not what they should be: each
//! ends at once with the right code and an error that names what, where, and what to do; nothing is
//! lost, nothing panics, no secret is shown.

use std::net::TcpListener;

use longhaul::ledger::Ledger;
use longhaul::simulator::campaign::{AssetSpec, Campaign, FileSpec};
use longhaul::simulator::faults::{Action, Rule, System};
use longhaul::simulator::iconik::Kind;
use longhaul::simulator::{Options, Simulator};

use crate::support::{Extra, Systems};

fn systems() -> Systems {
    let file = FileSpec::generated("master.mxf", 1, 5_000);
    let campaign = Campaign::new().asset(AssetSpec::new("Master", vec![file]));
    Systems::start(Options::with(campaign))
}

/// Writes the settings with `from` replaced.
#[track_caller]
fn settings(systems: &Systems, from: &str, to: &str) {
    let own = systems.simulator.settings_toml();
    assert!(own.contains(from), "{from:?} is not in {own}");
    systems
        .place
        .write("longhaul.toml", &own.replacen(from, to, 1));
}

/// Runs a command that must end with `code` and say `words`; what it said.
#[track_caller]
fn fails(systems: &Systems, arguments: &[&str], code: i32, words: &[&str]) -> String {
    let done = systems
        .place
        .bare()
        .args(arguments)
        .stdin(std::process::Stdio::null())
        .output()
        .expect("longhaul starts");
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&done.stderr),
        String::from_utf8_lossy(&done.stdout)
    );
    assert_eq!(done.status.code(), Some(code), "{arguments:?}: {said}");
    for word in words {
        assert!(said.contains(word), "{word:?} is not in: {said}");
    }
    assert!(!said.contains("panicked"), "{said}");
    assert!(!said.contains("simulated-iconik-token"), "{said}");
    said
}

#[track_caller]
fn archive(systems: &Systems, code: i32, words: &[&str]) {
    let collection = systems.simulator.collection();
    fails(systems, &["archive", &collection], code, words);
}

fn nothing_filed(systems: &Systems) -> bool {
    systems.versions().is_empty()
}

#[test]
fn wrong_credentials_are_refused_by_name() {
    let systems = systems();
    settings(&systems, "simulated-iconik-token", "another");
    archive(
        &systems,
        77,
        &["iconik.url = ", "iconik.token", "iconik.app_id"],
    );
    settings(&systems, "password = \"simulated\"", "password = \"wrong\"");
    archive(
        &systems,
        77,
        &[
            "content_server.url = ",
            "svc-longhaul",
            "check the name and the secret",
        ],
    );
    assert!(nothing_filed(&systems));
    systems.stop();
}

#[test]
fn what_is_asked_for_and_is_not_there_is_named() {
    let systems = systems();
    let unknown = "8ae2c3d4-0000-11ee-8000-0242ac120002";
    let asset = systems.assets(&["Master"]).remove(0);
    for (arguments, words) in [
        (
            vec!["archive", unknown],
            vec![unknown, "not found in iconik"],
        ),
        (vec!["archive", &asset], vec![asset.as_str(), "collection"]),
        (vec!["archive", "no id"], vec!["\"no id\"", "ids look like"]),
        (
            vec!["migrate", "--search", unknown],
            vec![unknown, "saved search"],
        ),
        (
            vec!["migrate", "--csv", "none.csv"],
            vec!["none.csv", "cannot be opened"],
        ),
        (
            vec!["export", "--node", "987654", "--to", "out"],
            vec!["987654"],
        ),
    ] {
        fails(&systems, &arguments, 2, &words);
    }
    systems.place.write("ids", &format!("{unknown}\n"));
    fails(
        &systems,
        &["migrate", "--ids", "ids"],
        1,
        &[unknown, "not found in iconik"],
    );
    assert!(nothing_filed(&systems) && !systems.place.path().join("out").exists());
    systems.stop();
}

#[test]
fn a_target_that_takes_no_masters_is_found_before_any_is_moved() {
    let systems = systems();
    let folder = |simulator: &Simulator, name: &str| {
        let server = simulator.content_server();
        let id = server.add_folder(longhaul::simulator::content_server::ENTERPRISE, name);
        server.publish(id, &["see", "see_contents"]).unwrap();
        id
    };
    let shelf = folder(&systems.simulator, "Shelf");
    let id = shelf.to_string();
    let collection = systems.simulator.collection();
    let archive = ["archive", &collection, "--target", &id];
    let words = [
        "content_server.target.folder",
        &id,
        "Shelf",
        "may not add items",
    ];
    fails(&systems, &archive, 77, &words);
    fails(
        &systems,
        &["archive", &collection, "--target", "999999"],
        2,
        &[
            "content_server.target.folder = 999999",
            "content_server.url = ",
        ],
    );
    assert!(nothing_filed(&systems));

    systems.archive(&[]);
    let document = systems.named("master.mxf")[0].node.to_string();
    fails(
        &systems,
        &["archive", &collection, "--target", &document],
        2,
        &["master.mxf", "no folder"],
    );
    systems.stop();
}

#[test]
fn a_ledger_that_is_none_of_ours_is_refused_and_left_as_it_is() {
    let systems = systems();
    let path = systems.place.path().join("longhaul.db");
    let read = || std::fs::read(&path).expect("the file is still there");

    systems.place.write("longhaul.db", &"rubbish ".repeat(1000));
    archive(&systems, 74, &["longhaul.db is not a ledger of longhaul"]);
    fails(&systems, &["status"], 74, &["longhaul.db"]);
    assert_eq!(read(), "rubbish ".repeat(1000).as_bytes());
    std::fs::remove_file(&path).unwrap();

    std::fs::create_dir(&path).unwrap();
    archive(&systems, 74, &["it is a directory"]);
    std::fs::remove_dir(&path).unwrap();

    systems.archive(&[]);
    let own = read();
    for cut in [100, 5_000] {
        std::fs::write(&path, &own[..cut]).unwrap();
        archive(&systems, 74, &["longhaul.db"]);
        assert_eq!(read(), &own[..cut], "a damaged ledger is kept");
    }
    // SQLite keeps the schema's number at byte 60, in network order.
    let mut newer = own.clone();
    newer[60..64].copy_from_slice(&999u32.to_be_bytes());
    std::fs::write(&path, &newer).unwrap();
    for arguments in [vec!["status"], vec!["resume"], vec!["verify"]] {
        fails(&systems, &arguments, 74, &["newer longhaul", "999"]);
    }
    assert_eq!(read(), newer);
    assert_eq!(
        systems.versions().len(),
        2,
        "the master and its sidecar, once"
    );
    systems.stop();
}

#[test]
fn a_ledger_in_use_names_its_holder_and_can_be_looked_at() {
    let systems = systems();
    systems.archive(&[]);
    let path = systems.place.path().join("longhaul.db");
    let held = Ledger::open(&path, "longhaul archive, process 4711").unwrap();
    let collection = systems.simulator.collection();
    for arguments in [vec!["archive", &collection], vec!["resume"], vec!["verify"]] {
        let words = [
            "in use",
            "longhaul archive, process 4711",
            "longhaul status",
        ];
        fails(&systems, &arguments, 74, &words);
    }
    fails(&systems, &["status"], 0, &["in the hands of", "done"]);
    drop(held);
    systems.stop();
}

#[test]
fn a_missing_ledger_is_said_and_none_is_made() {
    let systems = systems();
    for arguments in [
        vec!["status"],
        vec!["resume"],
        vec!["verify"],
        vec!["audit"],
        vec!["export", "--item", "x", "--to", "-"],
    ] {
        fails(
            &systems,
            &arguments,
            2,
            &["there is no ledger at", "longhaul.db"],
        );
    }
    assert!(!systems.place.path().join("longhaul.db").exists());
    let elsewhere = [
        "--ledger",
        "none/such/l.db",
        "archive",
        "8ae2c3d4-0000-11ee-8000-0242ac120002",
    ];
    fails(
        &systems,
        &elsewhere,
        74,
        &["there is no directory", "create it first"],
    );
    systems.stop();
}

#[test]
fn an_export_never_overwrites_and_names_a_missing_directory() {
    let systems = systems();
    systems.archive(&[]);
    let node = systems.named("master.mxf")[0].node.to_string();
    systems.place.write("there", "mine");
    let to = |name: &'static str| ["export", "--node", &node, "--to", name].map(str::to_owned);
    let run = |name, words: &[&str]| {
        let arguments = to(name);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        fails(&systems, &arguments, 2, words);
    };
    run("there", &["there", "does not overwrite"]);
    run("no/such/out", &["there is no directory", "no/such"]);
    let kept = std::fs::read_to_string(systems.place.path().join("there")).unwrap();
    assert_eq!(kept, "mine");
    systems.stop();
}

#[test]
fn systems_that_are_not_there_are_unreachable_by_name() {
    let systems = systems();
    // Bound and let go: nobody answers there.
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let (iconik, server) = (
        systems.simulator.iconik_url(),
        systems.simulator.content_server_url(),
    );
    let nobody = format!("http://{free}");
    settings(&systems, &iconik, &nobody);
    archive(
        &systems,
        69,
        &["iconik.url = ", &free.to_string(), "Connection refused"],
    );
    settings(&systems, &server, &format!("{nobody}/cs"));
    archive(
        &systems,
        69,
        &[
            "content_server.url = ",
            &free.to_string(),
            "Connection refused",
        ],
    );
    // TLS spoken to a port that speaks none.
    settings(&systems, &iconik, &iconik.replace("http:", "https:"));
    archive(&systems, 69, &["iconik.url = ", "speaks no TLS"]);
    settings(&systems, &server, &server.replace("http:", "https:"));
    archive(&systems, 69, &["content_server.url = ", "speaks no TLS"]);
    // The right host, another program.
    settings(&systems, "/otcs/cs.exe", "/livelink/none.exe");
    archive(
        &systems,
        69,
        &["content_server.url = ", "/livelink/none.exe"],
    );
    assert!(nothing_filed(&systems));
    systems.stop();
}

#[test]
fn a_page_for_people_in_place_of_data_is_no_answer() {
    for (system, words) in [
        (System::Iconik, ["iconik.url = ", "a web page came"]),
        (
            System::ContentServer,
            ["content_server.url = ", "HTML page"],
        ),
    ] {
        let systems = systems();
        let portal = Action::Html {
            code: 200,
            body: Some("<html>Welcome to the hotel</html>".into()),
            applied: false,
        };
        systems
            .simulator
            .faults()
            .add(Rule::new(portal).on(system).always());
        archive(&systems, 69, &words);
        assert!(nothing_filed(&systems));
        let assets = systems.simulator.iconik().rows(Kind::Asset);
        assert!(assets.iter().all(|asset| asset["external_id"].is_null()));
        systems.stop();
    }
}

#[test]
fn unusable_network_settings_are_usage_errors() {
    let systems = systems();
    for (ca_file, words) in [
        ("none.pem", ["none.pem", "No such file"]),
        ("text", ["text", "PEM"]),
    ] {
        systems.place.write("text", "not a certificate");
        let sections = format!("[network]\nca_file = \"{ca_file}\"\n");
        systems.configure(Extra {
            sections: &sections,
            ..Extra::default()
        });
        archive(&systems, 2, &words);
    }
    systems.stop();
}
