//! The engine against ends in memory and a real ledger: every way in, every healing, and being
//! stopped at any moment.

mod damage;
mod properties;

use std::sync::Arc;
use std::time::Duration;

use md5::{Digest as _, Md5};

use super::doubles::*;
use super::*;
use crate::ledger::{Ledger, NewFile, NewItem, NewRun};
use crate::types::{ByteRange, MIB, RunId, VersionNote};

struct Rig {
    dir: tempfile::TempDir,
    source: Arc<MemorySource>,
    destination: Arc<MemoryDestination>,
    config: Config,
}

const WINDOW: Window = Window {
    min: 2 * MIB,
    max: 64 * MIB,
};

impl Rig {
    fn new(part_size: u64) -> Self {
        let mut config = Config::new(STAGING);
        config.first_backoff = Duration::from_millis(1);
        config.commit_quiet = Duration::from_millis(150);
        Self {
            dir: crate::ledger::tests::directory(),
            source: Arc::default(),
            destination: Arc::new(MemoryDestination::new(part_size, Some(WINDOW))),
            config,
        }
    }

    /// A destination whose sessions take no more than 16 MiB.
    fn narrow(part_size: u64) -> Self {
        let window = Window {
            max: 16 * MIB,
            ..WINDOW
        };
        Self {
            destination: Arc::new(MemoryDestination::new(part_size, Some(window))),
            ..Self::new(part_size)
        }
    }

    fn ledger(&self) -> Ledger {
        // Tasks of an engine that was dropped midway let go of the last one soon.
        for _ in 0..1000 {
            match Ledger::open(&self.dir.path().join("longhaul.db"), "test") {
                Err(crate::ledger::Error::InUse { .. }) => {
                    std::thread::sleep(Duration::from_millis(10));
                }
                other => return other.unwrap(),
            }
        }
        panic!("somebody keeps the ledger");
    }

    fn engine(&self, ledger: &Ledger) -> Engine {
        Engine::new(
            self.config.clone(),
            self.source.clone(),
            self.destination.clone(),
            ledger.clone(),
            Arc::default(),
            Stop::default(),
        )
    }

    async fn plan(&self, ledger: &Ledger, items: Vec<NewItem>) -> RunId {
        let run = ledger
            .start_run(NewRun {
                command: "test".into(),
                arguments: "{}".into(),
            })
            .await
            .unwrap();
        ledger.add_items(run, items).await.unwrap();
        run
    }

    /// Plans, runs to the end, and returns the states of all items.
    async fn run(&self, items: Vec<NewItem>) -> Vec<crate::ledger::Item> {
        let ledger = self.ledger();
        let run = self.plan(&ledger, items).await;
        let outcome = self.engine(&ledger).run(run, || false).await;
        assert!(matches!(outcome, Outcome::Finished), "{outcome:?}");
        ledger
            .items(run, None, crate::types::ItemId(0), 1000)
            .await
            .unwrap()
    }

    #[track_caller]
    fn check_filed(&self, name: &str, seed: u64, size: u64) {
        let target = self.destination.list(TARGET);
        let (_, node) = target
            .get(name)
            .unwrap_or_else(|| panic!("{name} among {:?}", target.keys()));
        let (version, bytes) = node.versions.last().unwrap();
        assert!(
            *bytes == content(seed, ByteRange::new(0, size)),
            "content of {name}"
        );
        let note = VersionNote::parse(&version.description).expect("a note");
        assert_eq!(note.sha256, Some(digest(seed, size)));
    }

    #[track_caller]
    fn check_nothing_left_in_staging(&self) {
        let left = self.destination.list(STAGING);
        assert!(left.is_empty(), "{:?}", left.keys());
    }
}

fn marker(text: &str) -> String {
    let mut marker: String = text.chars().filter(char::is_ascii_lowercase).collect();
    marker.push_str(&"a".repeat(26));
    marker.truncate(26);
    marker
}

fn file(name: &str, seed: u64, size: u64) -> NewFile {
    NewFile {
        role: "master".into(),
        marker: marker(name),
        name: name.into(),
        size,
        mime: "video/quicktime".into(),
        locator: format!("{seed}:{size}"),
        ..Default::default()
    }
}

fn item(name: &str, seed: u64, size: u64) -> NewItem {
    NewItem {
        key: name.into(),
        kind: "document".into(),
        title: name.into(),
        parent: TARGET.0,
        name: name.into(),
        marker: marker(name),
        kin: vec![marker(name)],
        fingerprint: format!("{seed}:{size}"),
        source: "{}".into(),
        files: vec![file(name, seed, size)],
        ..Default::default()
    }
}

#[track_caller]
fn check_states(items: &[crate::ledger::Item], expected: &[&str]) {
    let states: Vec<_> = items
        .iter()
        .map(|item| (item.state.as_str(), item.message.as_deref().unwrap_or("")))
        .collect();
    let only: Vec<_> = states.iter().map(|(state, _)| *state).collect();
    assert_eq!(only, expected, "{states:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_size_goes_in_by_its_way_and_reads_back() {
    for size in [
        0,
        1,
        63,
        64,
        65,
        MIB - 1,
        MIB,
        MIB + 1,
        2 * MIB,
        2 * MIB + 1,
        5 * MIB,
        17 * MIB + 3,
    ] {
        let rig = Rig::new(MIB + 17);
        let items = rig.run(vec![item("a.mov", 3, size)]).await;
        check_states(&items, &["done"]);
        assert_eq!(items[0].proof, "read-back", "{size}");
        rig.check_filed("a.mov", 3, size);
        rig.check_nothing_left_in_staging();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn part_sizes_above_and_below_the_budget_all_work() {
    for (part_size, memory) in [
        (MIB, 4 * MIB),
        (4 * MIB + 17, 6 * MIB),
        (4 * MIB + 17, 32 * MIB),
        (20 * MIB, 8 * MIB),
        (50 * MIB, 8 * MIB),
    ] {
        let mut rig = Rig::new(part_size);
        rig.config.memory = memory;
        let items = rig.run(vec![item("a.mov", 5, 21 * MIB + 1)]).await;
        check_states(&items, &["done"]);
        rig.check_filed("a.mov", 5, 21 * MIB + 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_files_share_a_budget_of_one_and_a_half_parts() {
    let mut rig = Rig::new(4 * MIB + 17);
    rig.config.memory = 6 * MIB;
    let names: Vec<_> = (0..8u64)
        .map(|n| {
            (
                format!("{}.mov", char::from(b'a' + u8::try_from(n).unwrap())),
                n,
            )
        })
        .collect();
    let items = rig
        .run(
            names
                .iter()
                .map(|(name, n)| item(name, *n, (9 + n) * MIB + n))
                .collect(),
        )
        .await;
    check_states(&items, &["done"; 8]);
    for (name, n) in &names {
        rig.check_filed(name, *n, (9 + n) * MIB + n);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cuts_and_expired_addresses_are_healed_inside_the_transfer() {
    for size in [MIB / 2, 2 * MIB, 20 * MIB] {
        let rig = Rig::new(3 * MIB);
        *rig.source.cuts.lock().unwrap() = (300_000, 5);
        rig.source
            .expired
            .store(2, std::sync::atomic::Ordering::SeqCst);
        let items = rig.run(vec![item("a.mov", 1, size)]).await;
        check_states(&items, &["done"]);
        rig.check_filed("a.mov", 1, size);
        assert_eq!(
            rig.source
                .renewals
                .load(std::sync::atomic::Ordering::SeqCst),
            2
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_reply_at_any_call_makes_no_second_version() {
    for size in [1000, 2 * MIB, 9 * MIB] {
        for call in [
            "send_part",
            "close_session",
            "create_document",
            "describe",
            "publish",
        ] {
            let rig = Rig::new(2 * MIB);
            rig.destination
                .trouble
                .lock()
                .unwrap()
                .push((call, Trouble::ReplyLost));
            let items = rig.run(vec![item("a.mov", 9, size)]).await;
            check_states(&items, &["done"]);
            rig.check_filed("a.mov", 9, size);
            rig.check_nothing_left_in_staging();
            let (_, node) = &rig.destination.list(TARGET)["a.mov"];
            assert_eq!(node.versions.len(), 1, "{call}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_was_refused_for_now_is_made_again() {
    for call in ["send_part", "create_document", "describe", "publish"] {
        let rig = Rig::new(2 * MIB);
        rig.destination
            .trouble
            .lock()
            .unwrap()
            .push((call, Trouble::Refused));
        let items = rig.run(vec![item("a.mov", 9, 9 * MIB)]).await;
        check_states(&items, &["done"]);
        rig.check_filed("a.mov", 9, 9 * MIB);
        let (_, node) = &rig.destination.list(TARGET)["a.mov"];
        assert_eq!(node.versions.len(), 1, "{call}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_gone_starts_the_file_again() {
    for call in ["send_part", "close_session", "create_document"] {
        let rig = Rig::new(2 * MIB);
        rig.destination
            .trouble
            .lock()
            .unwrap()
            .push((call, Trouble::SessionGone));
        let items = rig.run(vec![item("a.mov", 9, 9 * MIB)]).await;
        check_states(&items, &["done"]);
        rig.check_filed("a.mov", 9, 9 * MIB);
        let files = rig.ledger().files(items[0].id, 0, 10).await.unwrap();
        assert_eq!(files[0].restarts, 1, "{call}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_version_of_an_asset_becomes_a_version_of_its_document() {
    let rig = Rig::new(2 * MIB);
    rig.destination
        .trouble
        .lock()
        .unwrap()
        .push(("add_version", Trouble::ReplyLost));
    let items = rig.run(two_versions(3 * MIB, 5 * MIB)).await;
    check_states(&items, &["done", "done"]);
    assert_eq!(items[0].node, items[1].node);
    let (_, node) = &rig.destination.list(TARGET)["a.mov"];
    assert_eq!(node.versions.len(), 2);
    rig.check_filed("a.mov", 2, 5 * MIB);
}

/// A document and a later version of it, of these sizes.
fn two_versions(first: u64, second: u64) -> Vec<NewItem> {
    let kin = vec![marker("one"), marker("two")];
    let mut before = item("a.mov", 1, first);
    before.key = "v1".into();
    before.files[0].marker = marker("one");
    before.kin.clone_from(&kin);
    let mut after = item("a.mov", 2, second);
    after.key = "v2".into();
    after.after = Some("v1".into());
    after.files[0].marker = marker("two");
    after.kin = kin;
    vec![before, after]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_gone_at_an_add_version_is_opened_anew_after_the_quiet_time() {
    for call in ["close_session", "add_version"] {
        let rig = Rig::new(2 * MIB);
        // The first document is small and opens none.
        rig.destination
            .trouble
            .lock()
            .unwrap()
            .push((call, Trouble::SessionGone));
        let items = rig.run(two_versions(1000, 5 * MIB)).await;
        check_states(&items, &["done", "done"]);
        let (_, node) = &rig.destination.list(TARGET)["a.mov"];
        assert_eq!(node.versions.len(), 2, "{call}");
        rig.check_filed("a.mov", 2, 5 * MIB);
        let files = rig.ledger().files(items[1].id, 0, 10).await.unwrap();
        assert_eq!(files[0].restarts, 1, "{call}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_content_of_the_same_size_becomes_a_version_and_the_same_content_does_not() {
    let rig = Rig::new(2 * MIB);
    let plan = |fingerprint: &str, seed| {
        let mut item = item("a.mov", seed, 5 * MIB);
        item.fingerprint = fingerprint.into();
        vec![item]
    };
    rig.run(plan("one", 1)).await;
    let items = rig.run(plan("two", 2)).await;
    check_states(&items, &["done"]);
    rig.check_filed("a.mov", 2, 5 * MIB);
    // Its fingerprint changed, its bytes did not; or an older ledger forgot that they are filed.
    let items = rig.run(plan("three", 2)).await;
    check_states(&items, &["done"]);
    let (_, node) = &rig.destination.list(TARGET)["a.mov"];
    assert_eq!(node.versions.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn content_that_is_again_what_it_once_was_is_the_newest_version_again() {
    for size in [1000, 5 * MIB] {
        let mut rig = Rig::new(2 * MIB);
        for (seed, number, is_lost) in [
            (1, 1, false),
            (2, 2, false),
            (1, 3, false),
            (2, 4, false),
            (2, 4, true),
            (1, 5, false),
        ] {
            // A create of the first content that was given up took effect late.
            if number == 3 {
                let twin = content(1, ByteRange::new(0, size));
                rig.destination.put(STAGING, &marker("a.mov"), twin, "");
            }
            // A new ledger learns what is there by finding it.
            if is_lost {
                rig.dir = crate::ledger::tests::directory();
            }
            let items = rig.run(vec![item("a.mov", seed, size)]).await;
            check_states(&items, &["done"]);
            rig.check_filed("a.mov", seed, size);
            let (_, node) = &rig.destination.list(TARGET)["a.mov"];
            assert_eq!(node.versions.len(), number, "{size}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_twin_of_an_earlier_content_of_the_same_size_is_set_aside() {
    for size in [1000, 5 * MIB] {
        let rig = Rig::new(2 * MIB);
        rig.run(vec![item("a.mov", 1, size)]).await;
        // A create that was given up took effect after the document was published.
        let twin = content(1, ByteRange::new(0, size));
        rig.destination.put(STAGING, &marker("a.mov"), twin, "");
        let items = rig.run(vec![item("a.mov", 2, size)]).await;
        check_states(&items, &["done"]);
        rig.check_filed("a.mov", 2, size);
        let (_, node) = &rig.destination.list(TARGET)["a.mov"];
        assert_eq!(node.versions.len(), 2);
        let left: Vec<String> = rig.destination.list(STAGING).into_keys().collect();
        assert!(left[0].starts_with("set-aside "), "{left:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_an_unclear_add_version_waits_before_it_is_sent_again() {
    let case = || {
        let mut rig = Rig::new(2 * MIB);
        // Never over within the test: whoever waits for it stays at `waiting`.
        rig.config.commit_quiet = Duration::from_secs(3600);
        rig.config.wait = false;
        (rig, two_versions(1000, 1500))
    };
    let (rig, items) = case();
    rig.destination
        .trouble
        .lock()
        .unwrap()
        .push(("add_version", Trouble::Refused));
    let items = rig.run(items).await;
    check_states(&items, &["done", "done"]);
    assert_eq!(rig.destination.calls.lock().unwrap()["add_version"], 2);
    assert_eq!(rig.destination.list(TARGET)["a.mov"].1.versions.len(), 2);
    rig.check_filed("a.mov", 2, 1500);

    let (rig, items) = case();
    rig.destination
        .trouble
        .lock()
        .unwrap()
        .push(("add_version", Trouble::Vanished));
    let ledger = rig.ledger();
    let run = rig.plan(&ledger, items).await;
    let outcome = rig.engine(&ledger).run(run, || false).await;
    assert!(matches!(outcome, Outcome::Waiting), "{outcome:?}");
    assert_eq!(rig.destination.calls.lock().unwrap()["add_version"], 1);
    assert_eq!(rig.destination.list(TARGET)["a.mov"].1.versions.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_refused_while_a_session_is_closed_ends_the_run_as_refused() {
    let rig = Rig::new(2 * MIB);
    rig.destination
        .trouble
        .lock()
        .unwrap()
        .push(("close_session", Trouble::SignInRefused));
    let ledger = rig.ledger();
    let run = rig.plan(&ledger, vec![item("a.mov", 1, 5 * MIB)]).await;
    match rig.engine(&ledger).run(run, || false).await {
        Outcome::Failed(failure) => assert_eq!(
            (failure.class, failure.reason),
            (FailureClass::StopEverything, Reason::Refused)
        ),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_taken_is_never_overwritten() {
    let mut rig = Rig::new(2 * MIB);
    rig.destination
        .put(TARGET, "a.mov", b"theirs".to_vec(), "final cut");
    let items = rig.run(vec![item("a.mov", 1, 1000)]).await;
    check_states(&items, &["done"]);
    let other = suffixed("a.mov", &marker("a.mov"), str::to_owned);
    rig.check_filed(&other, 1, 1000);
    assert_eq!(
        rig.destination.list(TARGET)["a.mov"].1.versions[0].1,
        b"theirs"
    );

    rig.config.conflict = Conflict::Park;
    let mut parked = item("a.mov", 2, 1000);
    parked.key = "other".into();
    parked.files[0].marker = marker("other");
    parked.kin = vec![marker("other")];
    let items = rig.run(vec![parked]).await;
    check_states(&items, &["conflict"]);
    assert_eq!(rig.destination.list(TARGET).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finished_plan_run_again_writes_nothing() {
    let rig = Rig::new(2 * MIB);
    check_states(&rig.run(vec![item("a.mov", 1, 5 * MIB)]).await, &["done"]);
    let before = format!("{:?}", rig.destination.calls.lock().unwrap());
    let ledger = rig.ledger();
    let run = rig.plan(&ledger, vec![item("a.mov", 1, 5 * MIB)]).await;
    assert!(matches!(
        rig.engine(&ledger).run(run, || false).await,
        Outcome::Finished
    ));
    assert_eq!(
        before,
        format!("{:?}", rig.destination.calls.lock().unwrap())
    );
    assert_eq!(
        ledger.run(Some(run)).await.unwrap().unwrap().already_done,
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_ledger_finds_what_is_filed_and_files_it_once() {
    let mut rig = Rig::new(2 * MIB);
    let all = || vec![item("a.mov", 1, 5 * MIB), item("b.wav", 2, 1000)];
    check_states(&rig.run(all()).await, &["done", "done"]);
    rig.dir = crate::ledger::tests::directory();
    let items = rig.run(all()).await;
    check_states(&items, &["done", "done"]);
    assert_eq!(items[0].proof, "read-back");
    assert_eq!(rig.destination.list(TARGET).len(), 2);
    assert!(
        rig.destination
            .list(TARGET)
            .values()
            .all(|(_, node)| node.versions.len() == 1)
    );
    rig.check_nothing_left_in_staging();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_ledger_takes_no_earlier_content_of_the_same_size_for_the_current() {
    for size in [5 * MIB, 1000] {
        let mut rig = Rig::new(2 * MIB);
        check_states(&rig.run(vec![item("a.mov", 1, size)]).await, &["done"]);
        rig.dir = crate::ledger::tests::directory();
        // Saved over since, by something that keeps the length.
        rig.source
            .changed
            .store(7, std::sync::atomic::Ordering::SeqCst);
        check_states(&rig.run(vec![item("a.mov", 1, size)]).await, &["done"]);
        rig.check_filed("a.mov", 8, size);
        assert_eq!(rig.destination.list(TARGET)["a.mov"].1.versions.len(), 2);

        rig.dir = crate::ledger::tests::directory();
        check_states(&rig.run(vec![item("a.mov", 1, size)]).await, &["done"]);
        assert_eq!(rig.destination.list(TARGET)["a.mov"].1.versions.len(), 2);
        rig.check_nothing_left_in_staging();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_files_of_one_item_appear_together() {
    let rig = Rig::new(2 * MIB);
    let mut card = item("CARD", 0, 0);
    card.kind = "folder".into();
    card.files = (0..20u64)
        .map(|n| {
            let mut clip = file(&format!("A{n:03}.MXF"), n, 1000 + n * 200_000);
            clip.marker = marker(&format!("clip{}", "b".repeat(usize::try_from(n).unwrap())));
            clip.dir = if n % 3 == 0 {
                String::new()
            } else {
                format!("CONTENTS/{}", n % 3)
            };
            clip
        })
        .collect();
    rig.destination
        .trouble
        .lock()
        .unwrap()
        .push(("create_container", Trouble::ReplyLost));
    let items = rig.run(vec![card]).await;
    check_states(&items, &["done"]);
    rig.check_nothing_left_in_staging();
    let top = rig.destination.list(TARGET)["CARD"].0;
    let listed = rig.destination.list(top);
    assert_eq!(listed.len(), 7 + 1);
    let contents = rig.destination.list(listed["CONTENTS"].0);
    let (_, node) = &rig.destination.list(contents["1"].0)["A004.MXF"];
    assert_eq!(
        node.versions[0].1,
        content(4, ByteRange::new(0, 1000 + 4 * 200_000))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_above_the_window_is_refused_or_split_and_joined() {
    let size = 37 * MIB + 5;
    let rig = Rig::narrow(2 * MIB);
    let items = rig.run(vec![item("big.mov", 7, size)]).await;
    check_states(&items, &["parked"]);
    assert!(items[0].message.as_deref().unwrap().contains("max_size"));

    let mut rig = Rig::narrow(2 * MIB);
    rig.config.oversize = Oversize::Split;
    let mut big = item("big.mov", 7, size);
    big.files.push(NewFile {
        role: "metadata".into(),
        marker: marker("sidecar"),
        name: "big.mov.metadata.json".into(),
        size: 2,
        mime: "application/json".into(),
        content: Some(b"{}".to_vec()),
        ..Default::default()
    });
    let items = rig.run(vec![big]).await;
    check_states(&items, &["done"]);
    let folder = rig.destination.list(TARGET)["big.mov"].0;
    let parts = rig.destination.list(folder);
    let manifest: JoinManifest =
        serde_json::from_slice(&parts["big.mov.join.json"].1.versions[0].1).unwrap();
    assert_eq!((manifest.size, manifest.segments.len()), (size, 3));
    assert_eq!(manifest.sha256, digest(7, size));
    assert_eq!(parts["big.mov.metadata.json"].1.versions[0].1, b"{}");
    let joined: Vec<u8> = manifest
        .segments
        .iter()
        .flat_map(|segment| parts[&segment.name].1.versions[0].1.clone())
        .collect();
    assert!(joined == content(7, ByteRange::new(0, size)));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_md5_that_the_source_quotes_is_compared_over_all_segments() {
    let size = 17 * MIB + 5;
    let right: [u8; 16] = Md5::digest(content(7, ByteRange::new(0, size))).into();
    for (quoted, state) in [(right, "done"), ([1; 16], "parked")] {
        let mut rig = Rig::narrow(2 * MIB);
        rig.config.oversize = Oversize::Split;
        *rig.source.md5.lock().unwrap() = Some(crate::types::Md5Digest(quoted));
        let items = rig.run(vec![item("big.mov", 7, size)]).await;
        check_states(&items, &[state]);
        assert_eq!(items[0].kind, "split");
        if state == "parked" {
            assert!(items[0].message.as_deref().unwrap().contains("MD5"));
            assert!(rig.destination.list(TARGET).is_empty());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_md5_at_the_source_is_never_committed() {
    for size in [1000, 2 * MIB, 9 * MIB] {
        let rig = Rig::new(2 * MIB);
        *rig.source.md5.lock().unwrap() = Some(crate::types::Md5Digest([1; 16]));
        let items = rig.run(vec![item("a.mov", 1, size)]).await;
        check_states(&items, &["parked"]);
        assert!(items[0].message.as_deref().unwrap().contains("MD5"));
        assert!(
            rig.destination.list(TARGET).is_empty() && rig.destination.list(STAGING).is_empty()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stopped_at_any_moment_it_goes_on_and_files_once() {
    for (size, memory) in [
        (600_000, 64 * MIB),
        (2 * MIB, 64 * MIB),
        (23 * MIB + 9, 64 * MIB),
        (23 * MIB + 9, 6 * MIB),
    ] {
        let mut rig = Rig::new(4 * MIB);
        rig.config.memory = memory;
        let ledger = rig.ledger();
        let run = rig.plan(&ledger, vec![item("a.mov", 4, size)]).await;
        drop(ledger);
        let mut stops = 0;
        loop {
            let ledger = rig.ledger();
            let engine = rig.engine(&ledger);
            // Longer each time, so that every stretch of the journey is cut somewhere.
            let patience = Duration::from_millis(1).mul_f64(1.12_f64.powi(stops));
            let outcome = tokio::time::timeout(patience, engine.run(run, || false)).await;
            drop((engine, ledger));
            match outcome {
                Ok(outcome) => {
                    assert!(matches!(outcome, Outcome::Finished), "{outcome:?}");
                    break;
                }
                Err(_) => stops += 1,
            }
            assert!(stops < 120, "never ends");
        }
        rig.check_filed("a.mov", 4, size);
        rig.check_nothing_left_in_staging();
        assert_eq!(rig.destination.list(TARGET)["a.mov"].1.versions.len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_does_not_wait_for_a_destination_that_is_gone() {
    let mut rig = Rig::new(MIB);
    // Patience without end: only the drain can end it.
    rig.config.attempts = u32::MAX;
    let refusals = std::iter::repeat_n(("send_part", Trouble::Refused), 100_000);
    rig.destination.trouble.lock().unwrap().extend(refusals);
    let ledger = rig.ledger();
    let run = rig.plan(&ledger, vec![item("a.mov", 4, 9 * MIB)]).await;
    let engine = rig.engine(&ledger);
    let drain = engine.shared.stop.drain.clone();
    let destination = rig.destination.clone();
    tokio::spawn(async move {
        let asked = || destination.calls.lock().unwrap().get("send_part").copied();
        while asked().unwrap_or(0) < 5 {
            tokio::task::yield_now().await;
        }
        drain.cancel();
    });
    assert!(matches!(engine.run(run, || false).await, Outcome::Stopped));
    let items = ledger
        .items(run, None, crate::types::ItemId(0), 9)
        .await
        .unwrap();
    check_states(&items, &["planned"]);
    assert_eq!(items[0].attempts, 0, "a drain burns no attempt");
    rig.destination.trouble.lock().unwrap().clear();
    rig.config.attempts = 8;
    assert!(matches!(
        rig.engine(&ledger).run(run, || false).await,
        Outcome::Finished
    ));
    rig.check_filed("a.mov", 4, 9 * MIB);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_ends_between_parts_and_a_resume_sends_only_the_rest() {
    let rig = Rig::new(MIB);
    let ledger = rig.ledger();
    let run = rig.plan(&ledger, vec![item("a.mov", 4, 40 * MIB)]).await;
    let engine = rig.engine(&ledger);
    let drain = engine.shared.stop.drain.clone();
    let destination = rig.destination.clone();
    let watch = tokio::spawn(async move {
        while destination
            .parts_received
            .load(std::sync::atomic::Ordering::SeqCst)
            < 5
        {
            tokio::task::yield_now().await;
        }
        drain.cancel();
    });
    assert!(matches!(engine.run(run, || false).await, Outcome::Stopped));
    watch.await.unwrap();
    let sent = rig
        .destination
        .parts_received
        .load(std::sync::atomic::Ordering::SeqCst);
    assert!(sent < 40, "{sent}");
    let outcome = rig.engine(&ledger).run(run, || false).await;
    assert!(matches!(outcome, Outcome::Finished));
    assert_eq!(
        rig.destination
            .parts_received
            .load(std::sync::atomic::Ordering::SeqCst),
        40
    );
    rig.check_filed("a.mov", 4, 40 * MIB);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_hours_fails_no_item_and_ends_by_itself() {
    for source_is_down in [false, true] {
        let mut rig = Rig::new(2 * MIB);
        rig.config.attempts = 2;
        let rig = Arc::new(rig);
        let down = {
            let rig = Arc::clone(&rig);
            move |down| {
                let switch = if source_is_down {
                    &rig.source.down
                } else {
                    &rig.destination.down
                };
                switch.store(down, std::sync::atomic::Ordering::SeqCst);
            }
        };
        down(true);
        let ledger = rig.ledger();
        let names: Vec<String> = (1..=12).map(|n| format!("a{n}.mov")).collect();
        let items = names
            .iter()
            .zip(1..)
            .map(|(n, seed)| item(n, seed, 3 * MIB));
        let mut items: Vec<_> = items.collect();
        for (n, item) in (0u8..).zip(&mut items) {
            let own = marker(&char::from(b'a' + n).to_string().repeat(26));
            item.files[0].marker.clone_from(&own);
            item.marker.clone_from(&own);
            item.kin = vec![own];
        }
        let run = rig.plan(&ledger, items).await;
        let engine = rig.engine(&ledger);
        let work = engine.run(run, || false);
        tokio::pin!(work);
        // Many times as long as two attempts of everything would have taken.
        let outages = engine.watch_outages();
        let outage = async {
            while outages().first().is_none_or(|outage| outage.asked < 6) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            let found = ledger.items(run, None, crate::types::ItemId(0), 100).await;
            let found = found.unwrap();
            assert!(found.iter().all(|item| item.attempts == 0), "{found:?}");
            let tried = |item: &&crate::ledger::Item| item.state != "planned";
            let tried: Vec<_> = found.iter().filter(tried).collect();
            assert!(
                tried.len() <= rig.config.items,
                "nothing new is taken: {tried:?}"
            );
            assert!(tried.iter().all(|item| item.state != "failed"), "{tried:?}");
            let lines = ledger.journal(Some(run), None, 0, 10_000).await.unwrap();
            let told = |event| lines.iter().filter(|line| line.event == event).count();
            assert_eq!(told("outage"), 1, "one asks for all");
            assert!(
                told("waiting") <= rig.config.items,
                "none is tried only to fail"
            );
        };
        tokio::select! {
            outcome = &mut work => panic!("it ended during the outage: {outcome:?}"),
            () = outage => {}
        }
        down(false);
        let outcome = work.await;
        assert!(matches!(outcome, Outcome::Finished), "{outcome:?}");
        assert!(outages().is_empty());
        let items = ledger
            .items(run, None, crate::types::ItemId(0), 100)
            .await
            .unwrap();
        check_states(&items, &["done"; 12]);
        for (name, seed) in names.iter().zip(1..) {
            rig.check_filed(name, seed, 3 * MIB);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_that_a_clock_set_back_has_put_out_of_reach_is_taken_all_the_same() {
    let rig = Rig::new(2 * MIB);
    let ledger = rig.ledger();
    let run = rig.plan(&ledger, vec![item("a.mov", 1, MIB)]).await;
    let planned = ledger
        .items(run, None, crate::types::ItemId(0), 10)
        .await
        .unwrap();
    let ten_days = 10 * 24 * 3_600_000;
    let patch = crate::ledger::ItemPatch {
        state: Some("waiting".into()),
        next_at: Some(jiff::Timestamp::now().as_millisecond() + ten_days),
        ..Default::default()
    };
    let change = crate::ledger::Change::new().item(planned[0].id, patch);
    ledger.apply(change).await.unwrap();
    let outcome = rig.engine(&ledger).run(run, || false).await;
    assert!(matches!(outcome, Outcome::Finished), "{outcome:?}");
    rig.check_filed("a.mov", 1, MIB);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_without_ranges_is_streamed_once_from_its_start() {
    let rig = Rig::new(2 * MIB);
    rig.source
        .no_ranges
        .store(true, std::sync::atomic::Ordering::SeqCst);
    // Cut once: what follows the cut cannot be asked for, so the whole comes again.
    *rig.source.cuts.lock().unwrap() = (20 * MIB, 1);
    let items = rig.run(vec![item("a.mov", 5, 40 * MIB)]).await;
    check_states(&items, &["done"]);
    rig.check_filed("a.mov", 5, 40 * MIB);
    let calls = rig.destination.calls.lock().unwrap().clone();
    assert!(!calls.contains_key("open_session"), "{calls:?}");
    assert_eq!(rig.destination.list(TARGET)["a.mov"].1.versions.len(), 1);

    let mut large = Rig::new(2 * MIB);
    large.config.single_post_max = Some(30 * MIB);
    large
        .source
        .no_ranges
        .store(true, std::sync::atomic::Ordering::SeqCst);
    let items = large.run(vec![item("a.mov", 5, 40 * MIB)]).await;
    check_states(&items, &["parked"]);
    let message = items[0].message.as_deref().unwrap();
    assert!(message.contains("single_post_max"), "{message}");
}
