//! The engine over a ledger that fails, or that is older than the world.

use std::path::Path;

use super::*;

/// Sizes that go in from memory, as one body and in parts.
const SMALL: u64 = 1000;
const BODY: u64 = MIB + 1;
const PARTS: u64 = 2 * MIB + 5;

fn rig() -> Rig {
    let mut rig = Rig::new(MIB);
    rig.config.commit_quiet = Duration::from_millis(5);
    rig.config.attempts = 3;
    rig
}

/// What is to be filed: documents by each way in, an asset with two versions, a folder, and one
/// document whose content changes in the second round without changing its size, or has done so.
fn rounds(changed: bool) -> [Vec<NewItem>; 2] {
    let kin = vec![marker("one"), marker("two")];
    let asset = |number: u64, key: &str, mark: &str| {
        let mut version = item("asset.mov", number, SMALL + number);
        version.key = key.into();
        version.files[0].marker = marker(mark);
        version.kin.clone_from(&kin);
        version
    };
    let mut second = asset(12, "two", "two");
    second.after = Some("one".into());
    let mut card = item("CARD", 0, 0);
    card.kind = "folder".into();
    card.files = vec![
        // As on a camera card: nothing lies at the top.
        NewFile {
            dir: "CONTENTS/CLIP".into(),
            ..file("clipa.mxf", 31, SMALL)
        },
        NewFile {
            dir: "CONTENTS".into(),
            ..file("clipb.mxf", 32, SMALL)
        },
    ];
    let changing = |seed| {
        [SMALL, BODY, PARTS].map(|size| item(&format!("changing{}.mov", word(size)), seed, size))
    };
    let mut first = vec![
        item("small.wav", 1, SMALL),
        item("body.mov", 2, BODY),
        item("parts.mov", 3, PARTS),
        asset(11, "one", "one"),
        second,
        card,
    ];
    first.extend(changing(if changed { 22 } else { 21 }));
    [first, changing(22).into()]
}

fn word(size: u64) -> &'static str {
    match size {
        SMALL => "small",
        BODY => "body",
        _ => "parts",
    }
}

/// Plans and runs both rounds; false when the ledger failed on the way. `changed` says whether the
/// source has the second round's content, and is set when it has: it does not go back.
async fn drive(rig: &Rig, ledger: &Ledger, changed: &mut bool) -> bool {
    for (round, items) in rounds(*changed).into_iter().enumerate() {
        *changed |= round > 0;
        let new = NewRun {
            command: "test".into(),
            arguments: "{}".into(),
        };
        let Ok(run) = ledger.start_run(new).await else {
            return false;
        };
        if ledger.add_items(run, items).await.is_err() {
            return false;
        }
        match rig.engine(ledger).run(run, || false).await {
            Outcome::Finished => {}
            Outcome::Failed(failure) => {
                assert_eq!(failure.class, FailureClass::StopEverything, "{failure}");
                return false;
            }
            other => panic!("{other:?}"),
        }
        let items = ledger.items(run, None, crate::types::ItemId(0), 100).await;
        for item in items.unwrap() {
            assert_eq!(item.state, "done", "{}: {:?}", item.title, item.message);
        }
    }
    true
}

/// Everything is there, once, and with its own content.
#[track_caller]
fn check_world(rig: &Rig, when: &str) {
    rig.check_nothing_left_in_staging();
    let target = rig.destination.list(TARGET);
    let versions = |name: &str| -> Vec<Vec<u8>> {
        let node = &target
            .get(name)
            .unwrap_or_else(|| panic!("{when}: no {name}"))
            .1;
        node.versions
            .iter()
            .map(|(_, bytes)| bytes.clone())
            .collect()
    };
    let whole = |seed, size| content(seed, ByteRange::new(0, size));
    for (name, seeds, size) in [
        ("small.wav", &[1][..], SMALL),
        ("body.mov", &[2], BODY),
        ("parts.mov", &[3], PARTS),
        ("changingsmall.mov", &[21, 22], SMALL),
        ("changingbody.mov", &[21, 22], BODY),
        ("changingparts.mov", &[21, 22], PARTS),
    ] {
        let expected: Vec<_> = seeds.iter().map(|&seed| whole(seed, size)).collect();
        let found = versions(name);
        assert_eq!(found.len(), expected.len(), "{when}: versions of {name}");
        assert!(found == expected, "{when}: content of {name}");
    }
    assert!(
        versions("asset.mov") == [whole(11, SMALL + 11), whole(12, SMALL + 12)],
        "{when}: versions of asset.mov"
    );
    let card = rig.destination.list(target["CARD"].0);
    let contents = rig.destination.list(card["CONTENTS"].0);
    assert_eq!(
        (card.len(), contents.len()),
        (1, 2),
        "{when}: {:?}",
        contents.keys()
    );
    assert_eq!(contents["clipb.mxf"].1.versions.len(), 1, "{when}");
    let clips = rig.destination.list(contents["CLIP"].0);
    assert_eq!(clips["clipa.mxf"].1.versions.len(), 1, "{when}");
    assert_eq!(target.len(), 8, "{when}: {:?}", target.keys());
}

fn copy_ledger(from: &Path, to: &Path, suffixes: &[&str]) {
    for suffix in suffixes {
        let name = format!("longhaul.db{suffix}");
        if from.join(&name).exists() {
            std::fs::copy(from.join(&name), to.join(&name)).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_that_fails_at_any_commit_or_is_put_back_to_it_makes_no_second_version() {
    let mut commits = 0;
    loop {
        let mut rig = rig();
        let ledger = rig.ledger();
        ledger.fail_after(commits);
        let mut changed = false;
        let whole = drive(&rig, &ledger, &mut changed).await;
        // A ledger that is put back knows no more than this.
        let known = changed;
        let backup = crate::ledger::tests::directory();
        copy_ledger(rig.dir.path(), backup.path(), &["", "-wal"]);
        drop(ledger);

        let when = format!("after commit {commits}");
        let ledger = rig.ledger();
        assert!(!ledger.started_after_unclean_boot(), "{when}");
        assert!(drive(&rig, &ledger, &mut changed).await, "{when}");
        drop(ledger);
        check_world(&rig, &when);

        // At every third place in turn, to keep the test short: two ways to lose what came after.
        for keep_lock in [true, false] {
            if commits % 6 != 3 * u64::from(keep_lock) && !whole {
                continue;
            }
            let when = format!("put back to commit {commits}, lock file kept: {keep_lock}");
            for entry in std::fs::read_dir(rig.dir.path()).unwrap() {
                let entry = entry.unwrap();
                if !keep_lock || !entry.file_name().to_string_lossy().ends_with(".lock") {
                    std::fs::remove_file(entry.path()).unwrap();
                }
            }
            copy_ledger(backup.path(), rig.dir.path(), &["", "-wal"]);
            let ledger = rig.ledger();
            rig.config.start_barrier = ledger.started_after_unclean_boot();
            assert!(rig.config.start_barrier, "{when}");
            assert!(drive(&rig, &ledger, &mut known.clone()).await, "{when}");
            drop(ledger);
            check_world(&rig, &when);
        }
        if whole {
            break;
        }
        commits += 1;
    }
    assert!(commits > 40, "only {commits} commits were tried");
    eprintln!("{commits} places in the ledger's history");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_ledger_never_takes_old_content_for_new_content_of_the_same_size() {
    for size in [SMALL, BODY, PARTS] {
        let mut rig = rig();
        check_states(&rig.run(vec![item("a.mov", 1, size)]).await, &["done"]);
        rig.dir = crate::ledger::tests::directory();
        check_states(&rig.run(vec![item("a.mov", 2, size)]).await, &["done"]);
        let target = rig.destination.list(TARGET);
        assert_eq!(target.len(), 1);
        assert_eq!(target["a.mov"].1.versions.len(), 2, "{size}");
        rig.check_filed("a.mov", 2, size);
    }
}
