//! Faults of the destination: answers to a commit that are lost, late or unreadable, parts and
//! sessions, sign-in, names, locks, room, and what happens to a document afterwards.

use std::time::Duration;

use longhaul::simulator::Options;
use longhaul::simulator::campaign::{AssetSpec, Campaign, FileSpec};
use longhaul::simulator::content_server::User;
use longhaul::simulator::faults::{Action, Rule, System};
use longhaul::simulator::masters;
use longhaul::simulator::server::Record;
use longhaul::types::{ByteCount, MIB};
use serde_json::{Value, json};

use super::bench::{Bench, PARTS, POST, SMALL, campaign, name, path, trouble};
use crate::support::{items, of_type};

/// A call of that kind to Content Server.
fn call(method: &str, path: &str, action: Action) -> Rule {
    Rule::new(action)
        .on(System::ContentServer)
        .method(method)
        .path(path)
}

fn named(method: &str, path: &str, switch: &str) -> Rule {
    call(method, path, Action::named(switch))
}

/// Everything that takes an answer away, the work done or not.
fn lost(applied: bool) -> Vec<Action> {
    let html = |code| Action::Html {
        code,
        body: None,
        applied,
    };
    let error = Action::Status {
        code: 500,
        headers: Default::default(),
        body: r#"{"error":"Something nobody has described."}"#.into(),
        applied,
        read_body: true,
    };
    vec![
        Action::Reset {
            after: None,
            applied,
        },
        Action::Empty2xx { code: 200, applied },
        html(200),
        html(502),
        error,
    ]
}

/// Requests that create a node.
fn creates(bench: &Bench) -> Vec<Record> {
    let mut records = bench.requests(System::ContentServer, "POST", "/api/v2/nodes");
    records.retain(|record| record.path.ends_with("/api/v2/nodes"));
    records
}

/// Requests that add a version.
fn adds(bench: &Bench) -> Vec<Record> {
    let mut records = bench.requests(System::ContentServer, "POST", "/versions");
    records.retain(|record| record.path.ends_with("/versions"));
    records
}

/// Masters of that size.
fn several(first: u64, count: usize, size: ByteCount) -> Vec<(u64, ByteCount)> {
    (first..).take(count).map(|seed| (seed, size)).collect()
}

/// A bench whose requests live so long, and so the quiet time a second more.
fn limited(masters: &[(u64, ByteCount)], limit: Duration) -> Bench {
    let mut options = Options::with(campaign(masters));
    options.content_server.request_limit = limit;
    Bench::with(options)
}

#[test]
fn f22_a_created_document_whose_answer_was_lost_is_found_and_not_sent_again() {
    // By each way in: an upload session, one streamed POST, and from memory.
    for size in [PARTS.1, POST.1, SMALL.1] {
        let mut actions = lost(true);
        actions.push(Action::DropReply);
        if size == SMALL.1 {
            // Silence for longer than the server lets a request live.
            actions.push(Action::Delay {
                ms: 5_000,
                applied: true,
            });
        }
        let masters = several(11, actions.len(), size);
        let mut bench = limited(&masters, Duration::from_secs(1));
        for (nth, action) in (1..).zip(actions) {
            bench.arm(call("POST", path::CREATE, action).nth(nth));
        }
        bench.files(&masters);
        assert_eq!(creates(&bench).len(), masters.len(), "each was sent once");
        assert_eq!(bench.effects("create").len(), masters.len());
        bench.stop();
    }
}

#[test]
fn f22_a_create_that_never_happened_is_sent_again_once() {
    for size in [PARTS.1, POST.1, SMALL.1] {
        let actions = lost(false);
        let masters = several(11, actions.len(), size);
        let mut bench = Bench::new(&masters);
        let faults = actions.len();
        for (nth, action) in (1..).zip(actions) {
            bench.arm(call("POST", path::CREATE, action).nth(nth));
        }
        bench.files(&masters);
        assert_eq!(bench.effects("create").len(), masters.len());
        assert_eq!(creates(&bench).len(), masters.len() + faults);
        bench.stop();
    }
}

#[test]
fn f22_a_version_whose_answer_was_lost_is_found_and_one_that_never_was_waits() {
    let limit = Duration::from_secs(1);
    for applied in [true, false] {
        let actions = lost(applied);
        let masters = several(11, actions.len(), SMALL.1);
        let mut bench = limited(&masters, limit);
        bench.files(&masters);
        for (seed, size) in &masters {
            bench.save_over(&name(*seed), seed + 40, size + 1);
        }
        let faults = actions.len();
        for (nth, action) in (1..).zip(actions) {
            bench.arm(call("POST", path::VERSIONS, action).nth(nth));
        }
        let (code, lines) = bench.archive(&[]);
        assert_eq!(code, 0, "{lines:#?}");
        bench.disarm();
        for (seed, size) in &masters {
            bench.holds(&name(*seed), 2, seed + 40, size + 1);
        }
        let sent = adds(&bench);
        if applied {
            assert_eq!(sent.len(), masters.len(), "each was sent once");
        } else {
            assert_eq!(sent.len(), masters.len() + faults);
            // The quiet time is what fences a version: no node is asked twice within it.
            let mut times = std::collections::BTreeMap::<_, Vec<_>>::new();
            for record in &sent {
                times.entry(&record.path).or_default().push(record.at_ms);
            }
            for (node, at) in times {
                assert_eq!(at.len(), 2, "{node}");
                assert!(at[1] - at[0] >= 2_000, "{node}: {at:?}");
            }
        }
        bench.stop();
    }
}

#[test]
fn f23_a_document_created_late_appears_to_nobody_a_second_time() {
    // Late enough for the repeat to be filed and published first, and so soon that both race.
    let mut bench = Bench::new(&[SMALL]);
    bench.arm(call("POST", path::CREATE, Action::ApplyLate { ms: 1_700 }));
    let (code, lines) = bench.archive(&[]);
    assert_eq!(code, 0, "{lines:#?}");
    bench.until("the late one", |bench| bench.effects("create").len() == 2);
    bench.disarm();
    let target = bench.systems.simulator.parts().target;
    let published = |bench: &Bench| {
        let server = bench.systems.simulator.content_server();
        let mut versions = server.visible_versions();
        versions.retain(|version| version.parent == target);
        versions
    };
    let filed = published(&bench);
    assert_eq!(filed.len(), 1, "{filed:?}");
    let (_, lines) = bench.archive(&[]);
    assert_eq!(of_type(&lines, "summary")["already_done"], 1, "{lines:#?}");
    assert_eq!(published(&bench), filed);
    bench.stop();

    let masters = several(11, 4, SMALL.1);
    let mut bench = Bench::new(&masters);
    for (nth, ms) in [(1, 30), (2, 120), (3, 300)] {
        bench.arm(call("POST", path::CREATE, Action::ApplyLate { ms }).nth(nth));
    }
    let (code, lines) = bench.archive(&[]);
    assert_eq!(code, 0, "{lines:#?}");
    std::thread::sleep(Duration::from_millis(400));
    bench.disarm();
    let server = bench.systems.simulator.content_server();
    for (seed, size) in masters {
        let mut versions = server.visible_versions();
        versions.retain(|version| version.parent == target && version.name == name(seed));
        assert_eq!(versions.len(), 1, "{versions:?}");
        let digest = versions[0].sha256.map(|digest| digest.to_string());
        assert_eq!(digest, Some(masters::sha256(seed, size)));
    }
    bench.stop();
}

#[test]
fn f23_a_version_applied_late_is_waited_for_and_not_sent_again() {
    let mut bench = limited(&[SMALL, PARTS], Duration::from_secs(1));
    bench.files(&[SMALL, PARTS]);
    bench.save_over(&name(SMALL.0), 43, SMALL.1 + 1);
    bench.save_over(&name(PARTS.0), 41, PARTS.1 + 1);
    for (nth, ms) in [(1, 900), (2, 400)] {
        bench.arm(call("POST", path::VERSIONS, Action::ApplyLate { ms }).nth(nth));
    }
    let (code, lines) = bench.archive(&[]);
    assert_eq!(code, 0, "{lines:#?}");
    bench.disarm();
    assert_eq!(adds(&bench).len(), 2, "each was sent once");
    bench.holds(&name(SMALL.0), 2, 43, SMALL.1 + 1);
    bench.holds(&name(PARTS.0), 2, 41, PARTS.1 + 1);
    bench.stop();
}

#[test]
fn f24_a_part_whose_answer_was_lost_is_there_once() {
    let mut bench = Bench::new(&[PARTS]);
    bench.arm(call("POST", path::PART, Action::DropReply).nth(2));
    let half = Action::CutRequest {
        after: 1_000,
        reset: false,
    };
    bench.arm(call("POST", path::PART, half).nth(4));
    let page = Action::Html {
        code: 504,
        body: None,
        applied: true,
    };
    bench.arm(call("POST", path::PART, page).nth(6));
    bench.files(&[PARTS]);
    bench.parts_stored_once(7);
    let sent = bench.requests(System::ContentServer, "POST", "/multipart/");
    let sent = sent
        .iter()
        .filter(|record| record.request_bytes > 0 && record.path.matches('/').count() == 7);
    assert!(sent.count() >= 10, "three of seven were sent twice");
    assert_eq!(bench.effects("close").len(), 1);
    bench.stop();
}

#[test]
fn f25_parts_put_together_in_the_wrong_order_are_quarantined() {
    let mut bench = Bench::new(&[PARTS]);
    bench.arm(named("POST", path::CREATE, "parts_exchanged"));
    let (code, lines) = bench.archive(&[]);
    assert_eq!(code, 65, "{lines:#?}");
    let (reason, message) = trouble(&lines, "quarantined");
    assert_eq!(reason, "mismatch");
    assert!(
        message.contains(&masters::sha256(PARTS.0, PARTS.1)),
        "{message}"
    );
    bench.disarm();
    bench.nothing_published();
    // Nobody but a person decides what becomes of it: it is neither deleted nor filed again.
    let (code, _) = bench.archive(&[]);
    assert_eq!(code, 65);
    assert_eq!(bench.effects("create").len(), 1);
    assert_eq!(bench.effects("delete").len(), 0);
    bench.stop();
}

#[test]
fn f26_a_session_that_is_gone_is_looked_behind_and_begun_anew() {
    let cases = [
        ("upload_expired", path::PART, 3),
        ("upload_lost", path::PART, 5),
        ("upload_expired", path::CLOSE, 1),
        ("upload_lost", path::CREATE, 1),
    ];
    for (switch, path, nth) in cases {
        let mut bench = Bench::new(&[PARTS]);
        bench.arm(named("POST", path, switch).nth(nth));
        bench.files(&[PARTS]);
        assert_eq!(bench.effects("upload_start").len(), 2, "{switch} {path}");
        assert_eq!(bench.effects("create").len(), 1);
        let lost = &bench.journal("started-over")[0]["acknowledged_parts_lost"];
        assert!(lost.is_u64(), "what moves again is counted: {lost}");
        bench.stop();
    }
}

#[test]
fn f27_a_ticket_that_ends_inside_a_part_costs_one_sign_in() {
    let mut bench = Bench::new(&[PARTS]);
    let action = Action::Named {
        name: "ticket_expired".into(),
        params: json!({"after_bytes": 500_000}),
    };
    bench.arm(call("POST", path::PART, action).nth(3));
    bench.files(&[PARTS]);
    bench.parts_stored_once(7);
    let sign_ins = bench.requests(System::ContentServer, "POST", "/v1/auth");
    assert_eq!(sign_ins.len(), 2, "the first, and one for all who met it");
    bench.stop();
}

#[test]
fn f28_a_refused_sign_in_is_tried_once_and_stops_everything() {
    let bench = Bench::new(&[PARTS]);
    let settings = bench.systems.place.path().join("longhaul.toml");
    let good = std::fs::read_to_string(settings).expect("settings");
    let wrong = good.replace("password = \"simulated\"", "password = \"wrong\"");
    assert_ne!(good, wrong);
    bench.systems.place.write("longhaul.toml", &wrong);
    let (code, lines) = bench.archive(&[]);
    assert_eq!(code, 77, "{lines:#?}");
    let sign_ins = bench.requests(System::ContentServer, "POST", "/v1/auth");
    assert_eq!(sign_ins.len(), 1, "no loop that locks the account");
    assert_eq!(bench.systems.versions(), []);
    bench.stop();

    // The account is locked while parts are on their way.
    let mut bench = Bench::new(&[PARTS]);
    bench.arm(named("POST", path::PART, "ticket_expired").nth(4));
    let refused = Action::Status {
        code: 401,
        headers: Default::default(),
        body: r#"{"error":"Invalid username/password specified."}"#.into(),
        applied: false,
        read_body: true,
    };
    bench.arm(call("POST", "*/v1/auth", refused).nth(2).every(1));
    let (code, lines) = bench.archive(&[]);
    assert_eq!(code, 77, "{lines:#?}");
    assert_eq!(bench.fired(), 1);
    bench.disarm();
    bench.nothing_published();
    bench.systems.must(&["resume"]);
    bench.filed(&[PARTS]);
    bench.parts_stored_once(7);
    bench.stop();
}

#[test]
fn f29_a_name_that_others_hold_is_left_to_them() {
    let mut bench = Bench::new(&[SMALL, PARTS]);
    let target = bench.systems.simulator.parts().target;
    let server = bench.systems.simulator.content_server();
    let theirs = server.add_folder(target, &name(SMALL.0));
    // And one that somebody takes at the very moment of publishing.
    let publish = Rule::new(Action::named("name_taken"))
        .on(System::ContentServer)
        .method("PUT")
        .path("*/v2/nodes/????");
    bench.arm(publish.nth(1));
    let (code, lines) = bench.archive(&[]);
    assert_eq!(code, 0, "{lines:#?}");
    bench.disarm();
    let server = bench.systems.simulator.content_server();
    assert_eq!(server.child(target, &name(SMALL.0)), Some(theirs));
    let versions = bench.systems.versions();
    assert_eq!(versions.len(), 2, "{versions:?}");
    let taken = bench.journal("name-taken");
    assert!(!taken.is_empty());
    for conflict in taken {
        let name = conflict["published_as"].as_str().expect("a name");
        assert!(name.contains('~'), "{name}");
        assert_eq!(bench.published(name).len(), 1, "{name}");
    }
    // Nothing of it depends on the ledger: without one the same names are found again.
    std::fs::remove_file(bench.systems.place.path().join("longhaul.db")).expect("a ledger");
    bench.systems.archive(&[]);
    assert_eq!(bench.systems.versions(), versions);
    bench.stop();
}

#[test]
fn f30_masters_of_one_name_get_their_own_names_for_ever() {
    let masters = [
        ("One", "same.mxf", 21),
        ("Two", "same.mxf", 22),
        ("Three", "SAME.mxf", 23),
    ];
    let campaign = masters
        .iter()
        .fold(Campaign::new(), |campaign, (title, file, seed)| {
            let file = FileSpec::generated(file, *seed, 1_000 + seed);
            campaign.asset(AssetSpec::new(title, vec![file]))
        });
    let bench = Bench::of(campaign);
    let lines = bench.systems.archive(&[]);
    assert_eq!(items(of_type(&lines, "summary"), "done"), 3);
    let first = bench.systems.versions();
    let mut names: Vec<_> = first.iter().map(|v| v.name.to_lowercase()).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 3, "{names:?}");
    let mut digests: Vec<_> = first.iter().filter_map(|v| v.sha256).map(|d| d.0).collect();
    digests.sort_unstable();
    digests.dedup();
    assert_eq!(digests.len(), 3);

    std::fs::remove_file(bench.systems.place.path().join("longhaul.db")).expect("a ledger");
    bench.systems.archive(&[]);
    assert_eq!(bench.systems.versions(), first, "found again, none doubled");
    bench.stop();
}

#[test]
fn f31_reserved_and_forbidden_documents_wait_or_are_parked_and_stay_as_they_are() {
    let mut bench = Bench::new(&[SMALL]);
    bench.files(&[SMALL]);
    let server = bench.systems.simulator.content_server();
    let somebody = server.add_user(User {
        name: "editor".into(),
        password: "x".into(),
        administrator: false,
    });
    let node = bench.published(&name(SMALL.0))[0].node;
    server.reserve(node, Some(somebody));
    bench.save_over(&name(SMALL.0), 43, SMALL.1 + 1);
    let (code, lines) = bench.archive(&["--no-wait"]);
    assert_eq!(code, 75, "{lines:#?}");
    let (reason, message) = trouble(&lines, "waiting");
    assert_eq!(reason, "locked", "{message}");
    assert_eq!(bench.published(&name(SMALL.0)).len(), 1);
    assert_eq!(bench.effects("unreserve").len(), 0, "it is the editor's");
    let server = bench.systems.simulator.content_server();
    server.reserve(node, None);
    bench.systems.must(&["resume"]);
    bench.holds(&name(SMALL.0), 2, 43, SMALL.1 + 1);
    assert_eq!(
        bench.effects("create").len(),
        1,
        "nothing was made elsewhere"
    );
    bench.stop();

    let mut bench = Bench::new(&[SMALL]);
    bench.arm(named("POST", path::CREATE, "inaccessible").every(1));
    let (code, lines) = bench.archive(&[]);
    assert_eq!(code, 1, "{lines:#?}");
    let (reason, _) = trouble(&lines, "parked");
    assert_eq!(reason, "inaccessible");
    bench.disarm();
    assert_eq!(bench.effects("create").len(), 0);
    bench.systems.must(&["resume", "--retry", "parked"]);
    bench.filed(&[SMALL]);
    bench.stop();
}

#[test]
fn f32_a_full_destination_is_waited_for_with_the_session_kept() {
    let masters = [PARTS, SMALL];
    let mut bench = Bench::new(&masters);
    bench.arm(named("POST", path::CREATE, "full").every(1));
    let (code, lines) = bench.archive(&["--no-wait"]);
    assert_eq!(code, 75, "{lines:#?}");
    let (reason, message) = trouble(&lines, "waiting");
    assert_eq!(reason, "full");
    assert!(message.contains("space"), "{message}");
    let tries = bench.fired();
    assert!(tries <= 2, "nothing is sent only to be refused: {tries}");
    bench.disarm();
    bench.nothing_published();
    bench.systems.must(&["resume"]);
    bench.filed(&masters);
    bench.parts_stored_once(7);
    assert_eq!(
        bench.effects("upload_start").len(),
        1,
        "the session was kept"
    );
    bench.stop();
}

#[test]
fn f33_a_version_of_another_size_is_quarantined() {
    let mut bench = Bench::new(&[PARTS]);
    bench.arm(named("POST", path::CREATE, "part_lost"));
    let (code, lines) = bench.archive(&[]);
    assert_eq!(code, 65, "{lines:#?}");
    let (reason, message) = trouble(&lines, "quarantined");
    assert_eq!(reason, "mismatch");
    assert!(message.contains(&PARTS.1.to_string()), "{message}");
    bench.disarm();
    bench.nothing_published();
    bench.stop();
}

#[test]
fn f34_a_bit_flipped_on_the_way_is_quarantined_with_both_digests() {
    let cases = [
        (PARTS, path::PART, 3),
        (POST, path::CREATE, 1),
        (SMALL, path::CREATE, 1),
    ];
    for (master, path, nth) in cases {
        let mut bench = Bench::new(&[master]);
        let flip = Action::FlipBit {
            at: 5_000,
            request: true,
        };
        bench.arm(call("POST", path, flip).nth(nth));
        let (code, lines) = bench.archive(&[]);
        assert_eq!(code, 65, "{lines:#?}");
        let (reason, message) = trouble(&lines, "quarantined");
        assert_eq!(reason, "mismatch");
        let stored = bench.systems.versions()[0].sha256.expect("a digest");
        let sent = masters::sha256(master.0, master.1);
        assert_ne!(stored.to_string(), sent);
        for digest in [stored.to_string(), sent] {
            assert!(message.contains(&digest), "{message} without {digest}");
        }
        bench.disarm();
        bench.nothing_published();
        bench.stop();
    }
}

#[test]
fn f35_a_bit_flipped_at_rest_is_reported_and_not_repaired() {
    let mut bench = Bench::new(&[PARTS, SMALL]);
    bench.files(&[PARTS, SMALL]);
    let node = bench.published(&name(PARTS.0))[0].node;
    let server = bench.systems.simulator.content_server();
    assert!(server.corrupt(node, 1, 3 * MIB));
    let effects = server.history().len();
    let (code, lines) = bench.systems.run(&["verify"]);
    assert_eq!(code, 65, "{lines:#?}");
    assert_eq!(of_type(&lines, "verified")["differ"], 1);
    let bad: Vec<&Value> = lines
        .iter()
        .filter(|line| line["type"] == "file" && line["as_recorded"] == false)
        .collect();
    assert_eq!(bad.len(), 1);
    assert_eq!(bad[0]["node"], node);
    let message = bad[0]["message"].as_str().expect("what differs");
    assert!(message.contains(&masters::sha256(PARTS.0, PARTS.1)));
    // Again, and by another run: nothing is written.
    assert_eq!(bench.systems.run(&["verify"]).0, 65);
    let (_, lines) = bench.archive(&[]);
    assert_eq!(of_type(&lines, "summary")["already_done"], 2);
    let server = bench.systems.simulator.content_server();
    assert_eq!(server.history().len(), effects, "no self-repair");
    bench.stop();
}

#[test]
fn f36_a_refused_description_keeps_the_content_and_is_tried_again_alone() {
    let mut bench = Bench::new(&[PARTS]);
    bench.arm(named("PUT", path::DESCRIBE, "inaccessible").every(1));
    let (code, lines) = bench.archive(&[]);
    assert_eq!(code, 1, "{lines:#?}");
    trouble(&lines, "parked");
    bench.disarm();
    bench.nothing_published();
    assert_eq!(bench.systems.versions().len(), 1, "the content stays");
    // Once more with an answer that is lost: writing the same again does no harm.
    bench.arm(call("PUT", path::DESCRIBE, Action::DropReply));
    bench.systems.must(&["resume", "--retry", "parked"]);
    bench.disarm();
    bench.filed(&[PARTS]);
    bench.parts_stored_once(7);
    assert_eq!(creates(&bench).len(), 1);
    bench.stop();
}

#[test]
fn f37_a_document_is_visible_only_when_everything_else_is_done() {
    let mut bench = Bench::new(&[PARTS, SMALL]);
    // Every change loses its answer once; repeating any of them shows nothing early.
    bench.arm(call("PUT", "*", Action::DropReply).times(2));
    bench.files(&[PARTS, SMALL]);
    let (target, staging) = {
        let parts = bench.systems.simulator.parts();
        (parts.target, parts.staging)
    };
    for create in bench.effects("create") {
        assert_eq!(create["parent"], staging, "made where nobody looks");
    }
    let puts = bench.requests(System::ContentServer, "PUT", "/v2/nodes/");
    for version in bench.systems.versions() {
        assert_eq!(version.parent, target);
        let node = format!("/v2/nodes/{}", version.node);
        let mine = |record: &&Record| record.path.contains(&node);
        let described = puts
            .iter()
            .filter(mine)
            .filter(|r| r.path.contains("/versions/"));
        let moved = puts.iter().filter(mine).filter(|r| r.path.ends_with(&node));
        let last_description = described.map(|record| record.number).max();
        let first_move = moved.map(|record| record.number).min();
        assert!(
            last_description.is_some() && last_description < first_move,
            "{puts:#?}"
        );
        let read = bench.requests(System::ContentServer, "GET", &node);
        let read = read
            .iter()
            .filter(|record| record.path.ends_with("/content"));
        let read_back = read.map(|record| record.number).max();
        assert!(read_back.is_some() && read_back < first_move);
    }
    assert_eq!(bench.effects("move").len(), 2);
    bench.stop();
}

#[test]
fn f38_documents_that_people_moved_renamed_or_deleted_are_theirs() {
    let masters = several(11, 3, SMALL.1);
    let mut bench = Bench::new(&masters);
    bench.files(&masters);
    let node = |bench: &Bench, seed| bench.published(&name(seed))[0].node;
    let (renamed, moved, deleted) = (node(&bench, 11), node(&bench, 12), node(&bench, 13));
    let target = bench.systems.simulator.parts().target;
    let server = bench.systems.simulator.content_server();
    let elsewhere = server.add_folder(target, "Chosen");
    let rights = ["see", "see_contents", "modify", "add_items", "delete"];
    server.publish(elsewhere, &rights).expect("rights");
    let change = |node: i64, form: &str| {
        let path = format!("/api/v2/nodes/{node}");
        assert_eq!(bench.person("PUT", &path, form), 200, "{form}");
    };
    change(renamed, "name=final+cut.mxf");
    let form = format!("parent_id={elsewhere}&name={}", name(12));
    change(moved, &form);
    let path = format!("/api/v2/nodes/{deleted}");
    assert_eq!(bench.person("DELETE", &path, ""), 200);

    let (code, lines) = bench.systems.run(&["verify"]);
    assert_eq!(code, 65, "{lines:#?}");
    let bad: Vec<&Value> = lines
        .iter()
        .filter(|line| line["type"] == "file" && line["as_recorded"] == false)
        .collect();
    assert_eq!(bad.len(), 1, "found by their ids, all but the deleted one");
    assert_eq!(bad[0]["node"], deleted);

    let (_, lines) = bench.archive(&[]);
    assert_eq!(of_type(&lines, "summary")["already_done"], 3);
    assert_eq!(bench.effects("create").len(), 3, "nothing is made again");

    // New content follows its document wherever it is, and never brings a deleted one back.
    for (seed, size) in &masters {
        bench.save_over(&name(*seed), seed + 40, size + 1);
    }
    let (code, lines) = bench.archive(&[]);
    assert_eq!(code, 1, "{lines:#?}");
    let summary = of_type(&lines, "summary");
    assert_eq!((items(summary, "done"), items(summary, "parked")), (2, 1));
    assert_eq!(bench.effects("create").len(), 3);
    bench.holds("final cut.mxf", 2, 51, SMALL.1 + 1);
    let versions = bench.systems.named(&name(12));
    assert_eq!(versions.len(), 2, "{versions:?}");
    assert!(versions.iter().all(|version| version.parent == elsewhere));
    bench.stop();
}
