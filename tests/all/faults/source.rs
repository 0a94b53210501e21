//! Faults of the source: addresses that end, ranges that are none, content that changes, masters
//! that are not what is said of them, and the sockets they come through.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use longhaul::simulator::Options;
use longhaul::simulator::bucket::Object;
use longhaul::simulator::campaign::{AssetSpec, Campaign, Checksum, Etag, FileSpec};
use longhaul::simulator::faults::{Action, Rule, System};
use longhaul::simulator::masters::Master;
use longhaul::types::MIB;
use serde_json::json;

use super::bench::{Bench, PARTS, POST, SMALL, campaign, name, path, trouble};
use crate::support::{items, of_type};

/// The `nth` read of a master.
fn read(nth: u64, action: Action) -> Rule {
    Rule::new(action).on(System::Bucket).method("GET").nth(nth)
}

fn header(name: &str, value: Option<&str>) -> Action {
    Action::Header {
        name: name.into(),
        value: value.map(Into::into),
    }
}

/// A status with a body, instead of the bytes.
fn status(code: u16, headers: &[(&str, &str)], body: &str) -> Action {
    Action::Status {
        code,
        headers: headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect::<BTreeMap<_, _>>(),
        body: body.into(),
        applied: false,
        read_body: true,
    }
}

/// One master of that size, with other habits of its storage.
fn one(seed: u64, size: u64, change: impl FnOnce(&mut FileSpec)) -> Campaign {
    let file = FileSpec::generated(&name(seed), seed, size).with(change);
    Campaign::new().asset(AssetSpec::new("One", vec![file]))
}

/// Whether a read began that far into one of the parts of 1 MiB.
fn began_at(bench: &Bench, into_the_part: u64) -> bool {
    bench.reads().iter().any(|range| {
        let from = range.strip_prefix("bytes=").unwrap_or_default();
        let from = from.split('-').next().and_then(|from| from.parse().ok());
        from.is_some_and(|from: u64| from % MIB == into_the_part)
    })
}

#[test]
fn f01_an_address_that_ends_is_renewed_and_reading_goes_on_at_the_byte() {
    // Every address serves 8 MiB and has then expired, as S3 says it with 403. What is being read
    // by then goes on, so that with two streams none serves as much as 10 MiB: four addresses at
    // least for 36 MiB, whatever happens first. A stream that is refused by three addresses in a row
    // gives up, and the other cannot use up so much while it waits.
    let size = 36 * MIB - 5;
    let campaign = one(1, size, |file| file.link_serves = Some(8 * MIB));
    let streams = "[source]\nstreams = 2\n";
    let mut bench = Bench::tuned(Options::with(campaign), streams);
    bench.arm(read(3, Action::CutBody { after: 300_000 }));
    // And once as S3 says it of temporary credentials.
    let expired = "<Error><Code>ExpiredToken</Code></Error>";
    bench.arm(read(4, status(400, &[], expired)));
    bench.arm(read(9, Action::ExpireUrl));
    bench.files(&[(1, size)]);
    assert!(began_at(&bench, 300_000), "{:?}", bench.reads());
    let refused = bench.requests(System::Bucket, "GET", "/masters/");
    let refused = refused
        .iter()
        .filter(|read| matches!(read.status, Some(400 | 403)))
        .count();
    assert!(refused >= 3, "{refused} refusals");
    // Chunks that are refused together cause one renewal: at most one for each refusal.
    let row = bench.row(&name(1));
    let asked = bench.requests(System::Iconik, "GET", row["id"].as_str().expect("an id"));
    assert!(
        (4..=refused + 2).contains(&asked.len()),
        "{} addresses for {refused} refusals",
        asked.len()
    );
    bench.stop();
}

#[test]
fn f02_withdrawn_and_deleted_masters_are_parked_and_nothing_of_them_is_filed() {
    let masters = [(1, 5 * MIB), (2, 5 * MIB), (3, 5 * MIB)];
    let mut bench = Bench::new(&masters);
    let of = |bench: &Bench, seed| format!("*{}", bench.key(&name(seed)));
    let withdrawn = "<Error><Code>AccessDenied</Code></Error>";
    let rule = read(1, status(403, &[], withdrawn)).path(&of(&bench, 1));
    bench.arm(rule.always());
    let rule = read(1, status(410, &[], "")).path(&of(&bench, 2));
    bench.arm(rule.always());
    let key = bench.key(&name(3));
    assert!(bench.systems.simulator.parts().bucket.remove(&key));

    let (code, lines) = bench.archive(&[]);
    assert_eq!(code, 1, "{lines:#?}");
    assert_eq!(items(of_type(&lines, "summary"), "parked"), 3, "{lines:#?}");
    let mut reasons: Vec<_> = lines
        .iter()
        .filter(|line| line["type"] == "item")
        .map(|item| item["reason"].as_str().expect("a reason"))
        .collect();
    reasons.sort_unstable();
    assert_eq!(reasons, ["inaccessible", "not-found", "not-found"]);
    bench.disarm();
    assert_eq!(bench.systems.versions(), []);
    assert_eq!(bench.effects("create").len(), 0);
    assert_eq!(bench.systems.simulator.content_server().uploads(), 0);
    bench.stop();
}

#[test]
fn f03_short_and_long_bodies_are_healed_from_the_exact_byte() {
    let mut bench = Bench::new(&[PARTS]);
    for (nth, after) in [(2, 0), (3, 1), (4, 500_000), (5, MIB - 1)] {
        bench.arm(read(nth, Action::CutBody { after }));
    }
    bench.arm(read(7, Action::WrongLength { delta: 5 }));
    bench.arm(read(8, Action::ExtraBody { bytes: 100 }));
    bench.files(&[PARTS]);
    for at in [1, 500_000, MIB - 1] {
        // The last part is shorter: a cut beyond its end cuts nothing of it.
        assert!(
            began_at(&bench, at) || at == MIB - 1,
            "{at}: {:?}",
            bench.reads()
        );
    }
    bench.parts_stored_once(7);
    bench.stop();
}

#[test]
fn f04_a_whole_answer_to_a_range_is_never_used_as_the_range() {
    let mut bench = Bench::new(&[PARTS]);
    bench.arm(read(3, Action::IgnoreRange));
    bench.arm(read(5, Action::IgnoreRange));
    bench.files(&[PARTS]);
    bench.parts_stored_once(7);
    bench.stop();

    // A storage that never honours ranges: the whole, once, in one POST.
    let mut bench = Bench::of(one(1, PARTS.1, |file| file.no_ranges = true));
    bench.files(&[PARTS]);
    assert_eq!(bench.effects("upload_start").len(), 0);
    let whole = bench.requests(System::Bucket, "GET", "/masters/");
    let whole = whole.iter().filter(|read| read.reply_bytes >= PARTS.1);
    assert!(whole.count() <= 2, "read once, and perhaps once to look");
    bench.stop();
}

#[test]
fn f05_ranges_that_are_not_the_one_asked_for_are_refused() {
    let mut bench = Bench::new(&[PARTS]);
    bench.arm(read(2, Action::WrongContentRange { value: None }));
    let other = Some("bytes 0-9/20".to_owned());
    bench.arm(read(3, Action::WrongContentRange { value: other }));
    bench.arm(read(4, header("content-range", None)));
    let several = "multipart/byteranges; boundary=x";
    bench.arm(read(5, header("content-type", Some(several))));
    let quoting = status(200, &[("content-range", "bytes 0-0/7340027")], "x");
    bench.arm(read(6, quoting));
    bench.files(&[PARTS]);
    bench.parts_stored_once(7);
    bench.stop();
}

#[test]
fn f06_an_encoded_body_is_refused() {
    let mut bench = Bench::new(&[PARTS]);
    let encoding = "gzip".to_owned();
    bench.arm(read(1, Action::EncodedBody { encoding }).always());
    let (code, lines) = bench.archive(&[]);
    assert_eq!(code, 1, "{lines:#?}");
    let (_, message) = trouble(&lines, "parked");
    assert!(message.contains("content-encoding"), "{message}");
    bench.disarm();
    assert_eq!(bench.systems.versions(), []);
    bench.stop();
}

/// Starts an archive whose last part falls silent, puts `object` in the master's place once parts
/// are stored, and waits for the end: the new content alone is filed.
#[track_caller]
fn replaced_on_the_way(mut bench: Bench, object: Object) {
    let silence = Action::StallBody {
        after: 70_000,
        ms: None,
    };
    bench.arm(read(8, silence));
    let mut child = bench.spawn(&[]);
    bench.until("two parts stored", |b| b.effects("part").len() >= 2);
    assert!(bench.effects("part").len() < 7, "too late to replace it");
    bench.replace(&name(1), object);
    let status = child.wait().expect("an end");
    assert_eq!(status.code(), Some(0));
    bench.disarm();
    assert_eq!(bench.systems.versions().len(), 1);
    bench.holds(&name(1), 1, 91, PARTS.1);
    let started_over = bench.journal("started-over");
    assert!(!started_over.is_empty());
    let why = started_over[0]["why"].as_str().expect("a reason");
    assert!(why.contains("changed"), "{why}");
    bench.stop();
}

#[test]
fn f07_a_master_replaced_while_it_is_read_is_filed_as_its_new_content_alone() {
    let object = Object::new(Master::generated(91, PARTS.1), "replaced");
    replaced_on_the_way(Bench::new(&[PARTS]), object);

    // One answer that claims to be of another generation is reason enough to begin again.
    let mut bench = Bench::new(&[PARTS]);
    bench.arm(read(4, Action::ChangeEtag { value: None }));
    bench.files(&[PARTS]);
    assert_eq!(bench.journal("started-over").len(), 1);
    bench.stop();
}

#[test]
fn f08_without_a_strong_tag_a_replaced_master_is_noticed_by_its_date() {
    let mut object = Object::new(Master::generated(91, PARTS.1), "");
    object.etag = Some("W/\"weak\"".into());
    object.last_modified = (SystemTime::UNIX_EPOCH + Duration::from_secs(2_000_000_000))
        .try_into()
        .expect("a date");
    replaced_on_the_way(
        Bench::of(one(1, PARTS.1, |file| file.etag = Etag::Weak)),
        object,
    );
    let mut bench = Bench::of(one(1, PARTS.1, |file| file.etag = Etag::Absent));
    bench.files(&[PARTS]);
    bench.stop();
}

#[test]
fn f09_a_growing_master_is_not_begun_until_it_is_closed() {
    let mut bench = Bench::new(&[PARTS]);
    bench.change_row(&name(1), json!({"status": "GROWING"}));
    let (code, lines) = bench.archive(&[]);
    assert_eq!(code, 1, "{lines:#?}");
    let (_, message) = trouble(&lines, "parked");
    assert!(message.contains("GROWING"), "{message}");
    assert_eq!(bench.reads().len(), 0);
    assert_eq!(bench.effects("upload_start").len(), 0);

    bench.change_row(&name(1), json!({"status": "CLOSED"}));
    // The next run takes it up by itself.
    bench.files(&[PARTS]);
    bench.stop();
}

#[test]
fn f10_bytes_that_differ_from_the_sources_digest_are_never_committed() {
    let mut campaign = Campaign::new();
    for (seed, size) in [PARTS, POST, SMALL] {
        let file = FileSpec::generated(&name(seed), seed, size).checksum(Checksum::Wrong);
        campaign = campaign.asset(AssetSpec::new(&format!("Master {seed}"), vec![file]));
    }
    let bench = Bench::of(campaign);
    let (code, lines) = bench.archive(&[]);
    assert_eq!(code, 1, "{lines:#?}");
    assert_eq!(items(of_type(&lines, "summary"), "parked"), 3, "{lines:#?}");
    let (_, message) = trouble(&lines, "parked");
    assert!(message.contains("MD5"), "{message}");
    assert_eq!(bench.systems.versions(), []);
    assert_eq!(bench.effects("create").len(), 0);
    bench.stop();

    // A bit that flips on the way here is caught by a digest that was right.
    let file = FileSpec::generated(&name(1), 1, PARTS.1).checksum(Checksum::Md5);
    let asset = AssetSpec::new("Flipped", vec![file]);
    let mut bench = Bench::of(Campaign::new().asset(asset));
    bench.arm(read(
        3,
        Action::FlipBit {
            at: 4_711,
            request: false,
        },
    ));
    let (code, lines) = bench.archive(&[]);
    assert_eq!(code, 1, "{lines:#?}");
    trouble(&lines, "parked");
    bench.disarm();
    assert_eq!(bench.effects("create").len(), 0);
    bench.stop();
}

#[test]
fn f11_sizes_around_every_edge_go_in_whole() {
    let sizes = [
        0,
        1,
        63,
        64,
        65,
        MIB - 1,
        MIB,
        MIB + 1,
        4 * MIB - 1,
        4 * MIB,
        4 * MIB + 1,
        5 * MIB,
    ];
    let masters: Vec<_> = (21..).zip(sizes).collect();
    let mut bench = Bench::new(&masters);
    let lines = bench.files(&masters);
    assert_eq!(items(of_type(&lines, "summary"), "done"), 12);
    let empty = bench.requests(System::Bucket, "GET", &bench.key(&name(21)));
    assert!(!empty.is_empty());
    assert!(empty.iter().all(|read| read.range.is_none()), "{empty:?}");
    let digest = bench.published(&name(21))[0].sha256;
    assert_eq!(
        digest.map(|digest| digest.to_string()).as_deref(),
        Some("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    );
    bench.stop();
}

#[test]
fn f12_a_master_beyond_every_limit_is_refused_before_its_first_byte() {
    // 6 TiB, more than 32 bits of parts of 1 MiB would be worth sending.
    let size = 6 << 40;
    let bench = Bench::new(&[SMALL]);
    let object = Object::new(Master::generated(SMALL.0, size), "huge");
    let key = bench.key(&name(SMALL.0));
    bench.systems.simulator.parts().bucket.put(&key, object);
    bench.change_row(&name(SMALL.0), json!({"size": size, "checksum": null}));
    let (code, lines) = bench.archive(&[]);
    assert_eq!(code, 1, "{lines:#?}");
    let (reason, message) = trouble(&lines, "parked");
    assert_eq!(reason, "too-large");
    assert!(message.contains("6.00 TiB"), "{message}");
    assert!(
        bench.reads().iter().all(|range| range == "bytes=0-0"),
        "{:?}",
        bench.reads()
    );
    assert_eq!(bench.effects("upload_start").len(), 0);
    bench.stop();
}

#[test]
fn f13_a_socket_that_falls_silent_is_left_for_a_new_one() {
    let mut bench = Bench::new(&[PARTS]);
    let silent = |after| Action::StallBody { after, ms: None };
    bench.arm(read(3, silent(1_000)));
    let deaf = Action::StallRequest {
        after: 100_000,
        ms: None,
    };
    let rule = Rule::new(deaf).on(System::ContentServer).method("POST");
    bench.arm(rule.path(path::PART).nth(2));
    bench.files(&[PARTS]);
    assert!(began_at(&bench, 1_000), "{:?}", bench.reads());
    bench.parts_stored_once(7);
    bench.stop();
}

#[test]
fn f15_resets_everywhere_are_tried_again_and_double_nothing() {
    let mut bench = Bench::of(campaign(&[PARTS, POST, SMALL]));
    let reset = |after, applied| Action::Reset { after, applied };
    bench.arm(read(3, reset(None, false)).every(4).times(3));
    bench.arm(read(4, reset(Some(70_000), true)));
    let server = |path, action| Rule::new(action).on(System::ContentServer).path(path);
    bench.arm(server(path::PART, reset(None, false)).nth(2));
    bench.arm(server(path::PART, reset(None, true)).nth(4));
    let half = Action::CutRequest {
        after: 50_000,
        reset: true,
    };
    bench.arm(server(path::PART, half).nth(6));
    bench.arm(server(path::NAMES, reset(None, false)));
    bench.arm(server(path::CLOSE, reset(None, true)).method("POST"));
    bench.arm(server(path::DESCRIBE, reset(None, true)).method("PUT"));
    let iconik = Rule::new(reset(None, false)).on(System::Iconik);
    bench.arm(iconik.method("GET").nth(3).every(3).times(3));
    bench.files(&[PARTS, POST, SMALL]);
    bench.parts_stored_once(7);
    assert_eq!(bench.effects("create").len(), 3);
    bench.stop();
}

#[test]
fn f19_an_enumeration_waits_for_iconik_and_goes_on_by_itself() {
    let masters = [PARTS, POST, SMALL];
    let mut bench = Bench::new(&masters);
    let away = || status(500, &[], r#"{"errors": ["Internal error"]}"#);
    let iconik = |path: &str| {
        Rule::new(away())
            .on(System::Iconik)
            .method("GET")
            .path(path)
    };
    // The listing itself, and what is asked about each asset.
    bench.arm(iconik("*/contents/*"));
    bench.arm(iconik("*/formats/*").nth(2));
    bench.files(&masters);
    let lines = bench.systems.must(&["status"]);
    let status = of_type(&lines, "status");
    assert_eq!(status["scan_done"], true);
    assert_eq!(status["left_out"], 0);
    bench.stop();
}

#[test]
fn f18_throttling_is_obeyed_and_burns_no_attempt() {
    let mut bench = Bench::new(&[PARTS]);
    let throttle = |code, retry_after: Option<&str>| Action::Throttle429 {
        retry_after: retry_after.map(Into::into),
        code,
    };
    bench.arm(read(3, throttle(429, Some("1"))));
    bench.arm(read(4, throttle(503, Some("soon"))));
    let server = |path, action| {
        Rule::new(action)
            .on(System::ContentServer)
            .method("POST")
            .path(path)
    };
    let past = "Thu, 01 Jan 1970 00:00:00 GMT";
    bench.arm(server(path::PART, throttle(429, Some(past))).nth(2));
    bench.arm(server(path::PART, throttle(429, None)).nth(4));
    bench.arm(server(path::CREATE, throttle(503, Some("0"))));
    let iconik = Rule::new(throttle(429, Some("0"))).on(System::Iconik);
    bench.arm(iconik.method("GET").nth(2));
    bench.files(&[PARTS]);
    bench.parts_stored_once(7);
    assert_eq!(bench.journal("waiting").len(), 0, "no item was put back");
    assert_eq!(bench.journal("failed").len(), 0);
    bench.stop();
}
