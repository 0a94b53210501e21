//! Failures of one master while the rest goes on: each with the state it ends in and its remedy.

use longhaul::simulator::Options;
use longhaul::simulator::campaign::{
    AssetSpec, Campaign, Checksum, FileSetSpec, FileSpec, FormatSpec, StorageKind,
};
use longhaul::simulator::content_server::User;
use longhaul::simulator::faults::{Action, Rule, System};
use longhaul::simulator::iconik::Kind;
use longhaul::types::MIB;
use serde_json::json;

use super::{Golden, UNKNOWN, one, systems};
use crate::support::{Systems, replace};

fn file(seed: u64, size: u64) -> FileSpec {
    FileSpec::generated(&format!("master-{seed}.mxf"), seed, size)
}

fn of(asset: AssetSpec) -> Systems {
    systems(Options::with(Campaign::new().asset(asset)))
}

/// An asset whose only original lies on this storage.
fn stored(title: &str, storage: StorageKind) -> AssetSpec {
    let mut asset = AssetSpec::new(title, Vec::new());
    let set = FileSetSpec::new(vec![file(1, 5_000)]).on(storage);
    asset.versions = vec![vec![FormatSpec::original(vec![set])]];
    asset
}

#[track_caller]
fn archived(golden: &mut Golden, name: &'static str, systems: Systems, code: i32) {
    let collection = systems.simulator.collection();
    golden.items(name, &systems, &["archive", &collection, "--no-wait"], code);
    systems.stop();
}

/// Content Server answers these calls like that.
fn faulty(asset: AssetSpec, method: &str, path: &str, action: Action) -> Systems {
    let systems = of(asset);
    let rule = Rule::new(action).on(System::ContentServer);
    systems
        .simulator
        .faults()
        .add(rule.method(method).path(path).always());
    systems
}

fn small() -> AssetSpec {
    AssetSpec::new("Master", vec![file(1, 70_001)])
}

#[test]
fn what_is_wrong_with_a_master_at_its_source_is_said_with_its_ids() {
    let mut golden = Golden::new("source.txt");
    let lost = file(1, 5_000).with(|file| file.lost = true);
    archived(
        &mut golden,
        "file missing",
        of(AssetSpec::new("Master", vec![lost])),
        1,
    );
    let growing = file(1, 5_000).status("GROWING");
    archived(
        &mut golden,
        "still growing",
        of(AssetSpec::new("Master", vec![growing])),
        1,
    );
    let wrong = file(1, 70_001).checksum(Checksum::Wrong);
    archived(
        &mut golden,
        "quoted MD5 differs",
        of(AssetSpec::new("Master", vec![wrong])),
        1,
    );
    let other = file(1, 5_000).with(|file| file.stated_size = Some(6_000));
    archived(
        &mut golden,
        "size differs",
        of(AssetSpec::new("Master", vec![other])),
        1,
    );
    archived(
        &mut golden,
        "storage without mount",
        of(stored("Master", StorageKind::OnPremise)),
        1,
    );
    archived(
        &mut golden,
        "archived storage",
        of(stored("Master", StorageKind::Archive)),
        75,
    );
    archived(&mut golden, "no original", of(AssetSpec::bare("Master")), 1);

    let systems = of(small());
    systems.place.write("ids", &format!("{UNKNOWN}\n"));
    golden.items("asset gone", &systems, &["migrate", "--ids", "ids"], 1);
    systems.stop();

    let systems = of(small());
    systems.simulator.parts().bucket.set_url("https://10.0.0.1");
    archived(&mut golden, "private address refused", systems, 1);
    let systems = of(small());
    systems
        .simulator
        .parts()
        .bucket
        .set_url("http://media.example.com");
    archived(&mut golden, "address without TLS refused", systems, 1);
    let systems = of(small());
    let forbidden = Action::Status {
        code: 403,
        headers: Default::default(),
        body: "<Error><Code>AccessDenied</Code></Error>".into(),
        applied: false,
        read_body: true,
    };
    systems
        .simulator
        .faults()
        .add(Rule::new(forbidden).on(System::Bucket).always());
    archived(&mut golden, "storage forbids", systems, 1);
    let systems = of(small());
    let encoding = "gzip".to_owned();
    let rule = Rule::new(Action::EncodedBody { encoding }).on(System::Bucket);
    systems.simulator.faults().add(rule.always());
    archived(&mut golden, "bytes come compressed", systems, 1);
    golden.check(12);
}

#[test]
fn what_content_server_makes_of_a_master_is_said_with_its_node() {
    let mut golden = Golden::new("destination.txt");
    let create = "*/api/v2/nodes";
    let full = faulty(small(), "POST", create, Action::named("full"));
    archived(&mut golden, "disk full", full, 75);
    let closed = faulty(small(), "POST", create, Action::named("inaccessible"));
    archived(&mut golden, "no rights any more", closed, 1);
    let large = |status| Action::Status {
        code: status,
        headers: Default::default(),
        body: "<html>Request Entity Too Large</html>".into(),
        applied: false,
        read_body: true,
    };
    archived(
        &mut golden,
        "body limit",
        faulty(small(), "POST", create, large(413)),
        1,
    );

    let mut options =
        Options::with(Campaign::new().asset(AssetSpec::new("Master", vec![file(1, 7 * MIB)])));
    options.content_server.multipart.max_size = 5 * MIB;
    archived(&mut golden, "above the upload window", systems(options), 1);
    let mut options =
        Options::with(Campaign::new().asset(AssetSpec::new("Master", vec![file(1, 7 * MIB)])));
    options.content_server.multipart.enabled = false;
    options.content_server.body_limit = Some(MIB);
    archived(&mut golden, "multipart off", systems(options), 1);

    let answer = |code, body: &str| Action::Status {
        code,
        headers: [("retry-after".to_owned(), "0".to_owned())].into(),
        body: body.into(),
        applied: false,
        read_body: true,
    };
    let busy = answer(429, "{\"error\":\"Rate limit exceeded\"}");
    archived(
        &mut golden,
        "too many calls, all night",
        faulty(small(), "POST", create, busy),
        75,
    );
    let long = format!("{}.mxf", "a long title ".repeat(12));
    let mut options = Options::with(Campaign::new().asset(AssetSpec::new(
        "Master",
        vec![FileSpec::generated(&long, 1, 5_000)],
    )));
    options.content_server.names.limit = 100;
    archived(&mut golden, "name too long", systems(options), 1);
    // The ticket ends in the middle, and the password was changed meanwhile.
    let over = answer(401, "{\"error\":\"Authentication Required\"}");
    let systems_of = faulty(small(), "POST", create, over);
    let changed = Rule::new(answer(
        401,
        "{\"error\":\"Invalid username/password specified.\"}",
    ));
    let changed = changed.on(System::ContentServer).method("POST");
    systems_of
        .simulator
        .faults()
        .add(changed.path("*/v1/auth").nth(2));
    let collection = systems_of.simulator.collection();
    golden.against(
        "ticket over, password changed",
        &systems_of,
        &["archive", &collection, "--no-wait"],
        77,
    );
    systems_of.stop();

    let flip = Action::FlipBit {
        at: 20_000,
        request: true,
    };
    archived(
        &mut golden,
        "another content is stored",
        faulty(small(), "POST", create, flip),
        65,
    );

    // A second version of a document that people have locked, held or deleted.
    for (name, code, does) in [
        (
            "reserved by somebody",
            75,
            Box::new(|systems: &Systems, node| {
                let server = systems.simulator.content_server();
                let user = server.add_user(User {
                    name: "editor".into(),
                    password: "x".into(),
                    administrator: false,
                });
                server.reserve(node, Some(user));
            }) as Box<dyn Fn(&Systems, i64)>,
        ),
        (
            "on hold",
            3,
            Box::new(|systems: &Systems, node| {
                systems
                    .simulator
                    .content_server()
                    .hold(node, "Litigation 7");
            }),
        ),
        (
            "final",
            3,
            Box::new(|systems: &Systems, node| {
                systems.simulator.content_server().finalise(node);
            }),
        ),
    ] {
        let systems = super::systems(Options::with(one()));
        systems.archive(&[]);
        let node = systems.named("master.mxf")[0].node;
        does(&systems, node);
        replace(&systems, "master.mxf", 9, 5_001);
        let asset = systems.assets(&["Master"]).remove(0);
        let changed = json!({"date_modified": "2031-02-02T00:00:00+00:00"});
        systems
            .simulator
            .iconik()
            .change(Kind::Asset, &asset, changed);
        archived(&mut golden, name, systems, code);
    }

    let systems = of(small());
    systems.archive(&[]);
    let node = systems.named("master-1.mxf")[0].node;
    assert!(systems.simulator.content_server().corrupt(node, 1, 5));
    let (code, lines) = systems.run(&["verify"]);
    assert_eq!(code, 65);
    let bad = lines.iter().find(|line| line["as_recorded"] == false);
    let said = bad.expect("what differs")["message"]
        .as_str()
        .expect("a message")
        .to_owned();
    golden.add(
        "changed at rest",
        systems.place.path(),
        "$ longhaul verify",
        65,
        &said,
    );
    systems.stop();
    golden.check(12);
}
