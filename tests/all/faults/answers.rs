//! Answers that are not what they seem, and the names and addresses inside them: pages for
//! people, endless JSON, awkward names, and addresses that lead elsewhere.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::TcpListener;

use longhaul::simulator::Options;
use longhaul::simulator::campaign::{self, AssetSpec, Campaign, FileSpec};
use longhaul::simulator::faults::{Action, Rule, System};
use longhaul::types::MIB;

use super::bench::{Bench, PARTS, POST, SMALL, name, path, trouble};
use crate::support::{items, of_type};

/// A complete answer with this body.
fn body(code: u16, body: impl Into<String>) -> Action {
    Action::Status {
        code,
        headers: BTreeMap::new(),
        body: body.into(),
        applied: false,
        read_body: true,
    }
}

fn page() -> Action {
    Action::Html {
        code: 200,
        body: None,
        applied: false,
    }
}

fn server(method: &str, path: &str, action: Action) -> Rule {
    Rule::new(action)
        .on(System::ContentServer)
        .method(method)
        .path(path)
}

#[test]
fn f20_pages_for_people_and_broken_json_are_never_taken_for_data() {
    let masters = [PARTS, POST, SMALL];
    let mut bench = Bench::new(&masters);
    let broken = || body(200, r#"{"results": {"data": ["#);
    let iconik = |nth, action| Rule::new(action).on(System::Iconik).method("GET").nth(nth);
    bench.arm(iconik(3, page()));
    bench.arm(iconik(5, broken()));
    let bucket = |nth| Rule::new(page()).on(System::Bucket).method("GET").nth(nth);
    bench.arm(bucket(2));
    bench.arm(bucket(4));
    for (method, path, action) in [
        ("POST", path::NAMES, page()),
        ("POST", path::SESSION, broken()),
        ("POST", path::CLOSE, broken()),
        ("POST", path::CREATE, page()),
        ("GET", path::VERSIONS, broken()),
        ("PUT", path::DESCRIBE, page()),
        ("GET", path::CONTENT, page()),
        ("GET", "*/v2/multipart/settings", broken()),
    ] {
        bench.arm(server(method, path, action));
    }
    bench.arm(server("POST", path::PART, page()).nth(2));
    bench.arm(server("POST", path::PART, broken()).nth(5));
    bench.files(&masters);
    bench.parts_stored_once(7);
    assert_eq!(bench.effects("create").len(), 3);
    bench.stop();
}

#[test]
fn f21_deep_answers_are_asked_for_again_and_huge_ones_park_the_item() {
    let mut bench = Bench::new(&[PARTS]);
    let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    let deep = || body(200, deep.clone());
    let usize_of = |bytes: u64| usize::try_from(bytes).expect("it fits");
    // Sound JSON, but more of it than any page is: refused by its size alone.
    let huge = format!("{{\"results\": \"{}\"}}", "x".repeat(usize_of(33 * MIB)));
    let huge = || body(200, huge.clone());
    let iconik = |nth, action| Rule::new(action).on(System::Iconik).method("GET").nth(nth);
    bench.arm(iconik(3, deep()));
    bench.arm(server("POST", path::NAMES, deep()));
    bench.arm(server("GET", path::VERSIONS, huge()));
    let (code, lines) = bench.archive(&[]);
    assert_eq!(code, 1, "{lines:#?}");
    let (_, message) = trouble(&lines, "parked");
    assert!(message.contains("larger than 32.0 MiB"), "{message}");
    bench.disarm();
    bench.nothing_published();
    bench.systems.must(&["resume", "--retry", "parked"]);
    bench.filed(&[PARTS]);
    bench.parts_stored_once(7);
    bench.stop();
}

/// Stores every master under a key of its own: what is tried are the names people gave, and an
/// address with `..` in it is none.
fn store_plainly(campaign: &mut Campaign) {
    let sets = campaign
        .assets
        .iter_mut()
        .flat_map(|asset| asset.versions.iter_mut().flatten())
        .flat_map(|format| &mut format.sets);
    for (number, file) in sets.flat_map(|set| &mut set.files).enumerate() {
        file.name = format!("object-{number}");
    }
}

#[test]
fn f52_every_name_is_filed_under_one_of_its_own() {
    let mut campaign = campaign::names();
    store_plainly(&mut campaign);
    let wanted: Vec<_> = campaign
        .assets
        .iter()
        .map(|asset| asset.title.clone())
        .collect();
    let bench = Bench::of(campaign);
    let lines = bench.systems.archive(&[]);
    let done = items(of_type(&lines, "summary"), "done");
    assert_eq!(done, wanted.len() as u64, "{lines:#?}");
    let versions = bench.systems.versions();
    assert_eq!(versions.len(), wanted.len());
    let mut folded: Vec<_> = versions
        .iter()
        .map(|version| {
            let name = &version.name;
            assert!(name.chars().count() <= 248 && !name.contains(':'), "{name}");
            assert_eq!(name.trim(), name);
            name.to_lowercase()
        })
        .collect();
    folded.sort();
    folded.dedup();
    assert_eq!(folded.len(), versions.len(), "no two alike");
    // The record keeps the name as it was.
    let mut kept: Vec<_> = bench
        .journal("done")
        .iter()
        .map(|receipt| receipt["title"].as_str().expect("a title").to_owned())
        .collect();
    let mut wanted = wanted;
    kept.sort();
    wanted.sort();
    assert_eq!(kept, wanted);
    bench.stop();
}

#[test]
fn f53_the_same_bytes_twice_are_two_documents() {
    let file = |name: &str| FileSpec::generated(name, 7, 5 * MIB);
    let campaign = Campaign::new()
        .asset(AssetSpec::new("Master", vec![file("master.mxf")]))
        .asset(AssetSpec::new("Copy", vec![file("copy.mxf")]));
    let bench = Bench::of(campaign);
    let lines = bench.systems.archive(&[]);
    assert_eq!(items(of_type(&lines, "summary"), "done"), 2);
    let (one, other) = (bench.published("master.mxf"), bench.published("copy.mxf"));
    assert_eq!((one.len(), other.len()), (1, 1));
    assert_ne!(one[0].node, other[0].node);
    assert_ne!(one[0].marker, other[0].marker);
    assert_eq!(one[0].sha256, other[0].sha256);
    bench.stop();
}

/// A host of nobody's that must not be called.
fn trap() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.set_nonblocking(true).expect("a socket");
    let address = listener.local_addr().expect("an address");
    (listener, format!("http://{address}/elsewhere"))
}

#[track_caller]
fn never_called(trap: &TcpListener) {
    let called = trap.accept();
    let error = called.map(|(_, from)| from).expect_err("it was called");
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
}

fn redirect(to: &str, code: u16) -> Action {
    Action::Status {
        code,
        headers: BTreeMap::from([("location".to_owned(), to.to_owned())]),
        body: String::new(),
        applied: false,
        read_body: true,
    }
}

#[test]
fn f56_addresses_and_redirects_that_lead_elsewhere_are_never_dialled() {
    // A storage that redirects.
    let (listener, elsewhere) = trap();
    let mut bench = Bench::new(&[SMALL]);
    let rule = Rule::new(redirect(&elsewhere, 302)).on(System::Bucket);
    bench.arm(rule.always());
    let (code, lines) = bench.archive(&[]);
    assert_eq!(code, 1, "{lines:#?}");
    assert_eq!(items(of_type(&lines, "summary"), "parked"), 1, "{lines:#?}");
    bench.disarm();
    never_called(&listener);
    assert_eq!(bench.systems.versions(), []);
    bench.stop();

    // iconik hands out addresses of the machine's own network, of files, and of nothing.
    for hostile in [
        "http://169.254.169.254",
        "https://10.0.0.1",
        "https://[fd00::1]",
        "file://",
        "gopher://127.0.0.1:70",
        "https://user:secret@example.com",
    ] {
        let bench = Bench::with(Options::with(super::bench::campaign(&[SMALL])));
        bench.systems.simulator.parts().bucket.set_url(hostile);
        let (code, lines) = bench.archive(&["--no-wait"]);
        assert_eq!(code, 1, "{hostile}: {lines:#?}");
        let parked = items(of_type(&lines, "summary"), "parked");
        assert_eq!(parked, 1, "{hostile}: {lines:#?}");
        let text = format!("{lines:?}");
        assert!(
            !text.contains("X-Amz") && !text.contains("secret"),
            "{text}"
        );
        assert_eq!(bench.systems.versions(), []);
        bench.stop();
    }
}

#[test]
fn f57_secrets_stay_with_the_host_they_belong_to() {
    let (listener, elsewhere) = trap();
    let mut bench = Bench::new(&[PARTS]);
    bench.arm(server("POST", path::NAMES, redirect(&elsewhere, 307)));
    bench.arm(server("POST", path::PART, redirect(&elsewhere, 308)).nth(2));
    let (code, lines) = bench.archive(&[]);
    bench.disarm();
    never_called(&listener);
    let bucket = &bench.systems.simulator.parts().bucket;
    assert_eq!(bucket.leaks(), 0, "no credential went to the bucket");
    // A redirect is a disturbance: asked again, the server answers for itself.
    assert_eq!(code, 0, "{lines:#?}");
    bench.filed(&[PARTS]);
    bench.stop();
}

#[test]
fn f58_a_name_never_becomes_a_path() {
    let hostile = ["../../etc/passwd", "/tmp/x", "..", "CON", "a\\..\\b", "~/x"];
    let mut campaign = (60..)
        .zip(hostile)
        .fold(Campaign::new(), |campaign, (seed, name)| {
            let file = FileSpec::generated(name, seed, 1_000 + seed);
            campaign.asset(AssetSpec::new(name, vec![file]))
        });
    store_plainly(&mut campaign);
    let bench = Bench::of(campaign);
    let place = bench.systems.place.path().to_owned();
    let list = || {
        let mut names: Vec<_> = std::fs::read_dir(&place)
            .expect("a directory")
            .map(|entry| entry.expect("an entry").file_name())
            .filter(|name| !name.to_string_lossy().starts_with("longhaul."))
            .collect();
        names.sort();
        names
    };
    let before = list();
    let lines = bench.systems.archive(&[]);
    assert_eq!(items(of_type(&lines, "summary"), "done"), 6, "{lines:#?}");
    bench.systems.must(&["verify"]);
    assert_eq!(list(), before, "nothing but the ledger");
    assert!(!std::path::Path::new("/tmp/x").exists());
    let server = bench.systems.simulator.content_server();
    let effects = server.history();
    let folders = effects.iter().filter(|e| e["type"] == 0).count();
    assert_eq!(folders, 0, "no name made a folder");
    assert_eq!(bench.systems.versions().len(), 6);
    assert_eq!(bench.published(&name(1)).len(), 0);
    bench.stop();
}
