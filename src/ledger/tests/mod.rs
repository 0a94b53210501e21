//! The ledger as its users see it. Here: the helpers, concurrency, atomicity and small calls.

mod adding;
mod durability;
mod facts;
mod model;
mod ownership;
mod records;
mod tampering;

use std::path::{Path, PathBuf};

use super::*;
use crate::types::{ByteCount, FailureClass, VersionNumber};

/// A directory for a test's ledger, in memory where the system has room there: tests sync many
/// thousands of records, what they prove are the bytes after a crash, and a disk adds only waiting.
pub(crate) fn directory() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let room = rustix::fs::statvfs(memory).map_or(0, |found| found.f_bavail * found.f_frsize);
    match room > 1 << 30 {
        true => tempfile::tempdir_in(memory).or_else(|_| tempfile::tempdir()),
        false => tempfile::tempdir(),
    }
    .unwrap()
}

/// A directory with a ledger in it.
pub(super) struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    pub(super) fn new() -> Self {
        Self { dir: directory() }
    }

    pub(super) fn path(&self) -> PathBuf {
        self.dir.path().join("longhaul.db")
    }

    pub(super) fn open(&self) -> Ledger {
        Ledger::open(&self.path(), "test").unwrap()
    }

    /// The files as they are at this moment, in another place: what a crash leaves behind.
    pub(super) fn crash(&self) -> Self {
        let copy = Self::new();
        for suffix in ["", "-wal", ".lock"] {
            let from = place::beside(&self.path(), suffix);
            if from.exists() {
                std::fs::copy(from, place::beside(&copy.path(), suffix)).unwrap();
            }
        }
        copy
    }

    /// The file, past the ledger. Its owner will not ask whether it is as it was closed.
    pub(super) fn sqlite(&self) -> rusqlite::Connection {
        let lock = place::beside(&self.path(), ".lock");
        if let Ok(text) = std::fs::read_to_string(&lock)
            && let Some((kept, _)) = text.split_once("closed ")
        {
            std::fs::write(&lock, kept).unwrap();
        }
        rusqlite::Connection::open(self.path()).unwrap()
    }
}

pub(super) fn new_file(size: ByteCount) -> NewFile {
    NewFile {
        role: "master".into(),
        marker: "m".into(),
        name: "a.mov".into(),
        size,
        mime: "video/quicktime".into(),
        locator: "{\"file\":1}".into(),
        ..NewFile::default()
    }
}

pub(super) fn new_item(key: &str) -> NewItem {
    NewItem {
        key: key.into(),
        kind: "document".into(),
        title: format!("Title of {key}"),
        parent: 2000,
        name: format!("{key}.mov"),
        marker: format!("m-{key}"),
        fingerprint: "f1".into(),
        source: "{}".into(),
        files: vec![new_file(10)],
        ..NewItem::default()
    }
}

pub(super) fn state(state: &str) -> ItemPatch {
    ItemPatch {
        state: Some(state.into()),
        ..ItemPatch::default()
    }
}

pub(super) fn event(item: ItemId, event: &str) -> Entry {
    Entry {
        item: Some(item),
        event: event.into(),
        ..Entry::default()
    }
}

pub(super) async fn run(ledger: &Ledger) -> RunId {
    ledger
        .start_run(NewRun {
            command: "archive".into(),
            arguments: "{}".into(),
        })
        .await
        .unwrap()
}

pub(super) async fn add(ledger: &Ledger, run: RunId, item: NewItem) -> Item {
    let key = item.key.clone();
    ledger.add_items(run, vec![item]).await.unwrap();
    ledger.item_by_key(&key).await.unwrap().unwrap()
}

pub(super) async fn only_file(ledger: &Ledger, item: ItemId) -> File {
    let mut files = ledger.files(item, 0, 2).await.unwrap();
    assert_eq!(files.len(), 1);
    files.remove(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_tasks_write_at_once_and_everything_is_there_after_reopening() {
    let place = Place::new();
    let ledger = place.open();
    let run = run(&ledger).await;
    let item = add(&ledger, run, new_item("a")).await;
    let file = only_file(&ledger, item.id).await;
    let tasks: Vec<_> = (0..64u32)
        .map(|task| {
            let ledger = ledger.clone();
            tokio::spawn(async move {
                for part in 0..20u32 {
                    let number = task * 20 + part + 1;
                    let part = Part {
                        number,
                        digest: vec![0; 16],
                        state: number.to_le_bytes().to_vec(),
                        acked: false,
                    };
                    let change = Change::new()
                        .part(file.id, part)
                        .journal(event(item.id, "part"));
                    ledger.apply(change).await.unwrap();
                    // What was acknowledged is seen.
                    let change = Change::new().ack(file.id, number);
                    ledger.apply(change).await.unwrap();
                    let parts = ledger.parts(file.id).await.unwrap();
                    assert!(parts.iter().any(|part| part.number == number && part.acked));
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    drop(ledger);

    let ledger = place.open();
    let parts = ledger.parts(file.id).await.unwrap();
    assert_eq!(parts.len(), 1280);
    for (number, part) in (1u32..).zip(&parts) {
        assert!(part.acked && part.number == number);
        assert_eq!(part.state, number.to_le_bytes());
    }
    let Chain::Whole { lines, .. } = ledger.verify_chain().await.unwrap() else {
        panic!("the chain is broken");
    };
    assert_eq!(lines, 1281, "one for the item, one for each part");
}

#[tokio::test]
async fn a_change_that_fails_leaves_nothing_and_takes_no_other_with_it() {
    let place = Place::new();
    let ledger = place.open();
    let run = run(&ledger).await;
    let item = add(&ledger, run, new_item("a")).await;
    // All are queued before the writer can answer, so most share a transaction.
    let changes = (0..200u32).map(|number| {
        let change = Change::new()
            .item(
                item.id,
                ItemPatch {
                    attempts: Some(number),
                    ..ItemPatch::default()
                },
            )
            .journal(event(item.id, if number % 3 == 0 { "bad" } else { "good" }))
            .post(NewPost {
                item: Some(item.id),
                kind: "status".into(),
                payload: number.to_string(),
            });
        ledger.apply(match number % 3 {
            0 => change.ack(TransferId(77), 1),
            _ => change,
        })
    });
    let outcomes = futures::future::join_all(changes).await;
    for (number, outcome) in outcomes.iter().enumerate() {
        match outcome {
            Ok(()) => assert_ne!(number % 3, 0),
            Err(error) => {
                assert_eq!(number % 3, 0);
                assert!(matches!(error, Error::Missing { table: "part", .. }));
                assert_eq!(error.class(), FailureClass::ItemIsWrong);
            }
        }
    }
    let lines = ledger.journal(None, None, 0, 1000).await.unwrap();
    assert_eq!(
        lines.iter().filter(|line| line.event == "good").count(),
        133
    );
    assert!(lines.iter().all(|line| line.event != "bad"));
    assert!(lines.iter().zip(1..).all(|(line, seq)| line.seq == seq));
    assert_eq!(ledger.posts_due(0, 1000).await.unwrap().len(), 133);
    let item = ledger.item(item.id).await.unwrap().unwrap();
    assert_ne!(item.attempts % 3, 0);
    assert!(matches!(
        ledger.verify_chain().await.unwrap(),
        Chain::Whole { lines: 134, .. }
    ));
}

#[tokio::test]
async fn every_operation_on_a_row_that_is_not_there_is_an_error() {
    let place = Place::new();
    let ledger = place.open();
    let (item, file) = (ItemId(5), TransferId(6));
    let part = Part {
        number: 1,
        digest: Vec::new(),
        state: Vec::new(),
        acked: false,
    };
    for change in [
        Change::new().item(item, state("done")),
        Change::new().item(item, ItemPatch::default()),
        Change::new().file(file, FilePatch::default()),
        Change::new().file(
            file,
            FilePatch {
                size: Some(5),
                ..FilePatch::default()
            },
        ),
        Change::new().part(file, part),
        Change::new().ack(file, 1),
        Change::new().clear_parts(file),
        Change::new().replace_files(item, Vec::new()),
    ] {
        let text = format!("{change:?}");
        let error = ledger.apply(change).await.unwrap_err();
        assert!(matches!(error, Error::Missing { .. }), "{text}: {error}");
    }
    let missing = |error: Error| assert!(matches!(error, Error::Missing { .. }), "{error}");
    let run = RunId(9);
    missing(ledger.post_begun(1).await.unwrap_err());
    missing(ledger.post_done(1).await.unwrap_err());
    missing(ledger.post_later(1, 5, "").await.unwrap_err());
    missing(ledger.end_run(run, "done", true).await.unwrap_err());
    missing(ledger.requeue(run, &["failed"], None).await.unwrap_err());
    missing(ledger.scan_progress(run, None, true, 0).await.unwrap_err());
    assert_eq!(ledger.run(None).await.unwrap(), None);
    assert_eq!(ledger.run(Some(run)).await.unwrap(), None);
    assert_eq!(ledger.item(item).await.unwrap(), None);
    assert_eq!(ledger.next_due(run).await.unwrap(), None);
    assert!(ledger.take_items(run, 0, 5).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_file_row_takes_every_patch_and_keeps_the_rest() {
    let place = Place::new();
    let ledger = place.open();
    let run = run(&ledger).await;
    let item = add(&ledger, run, new_item("a")).await;
    let before = only_file(&ledger, item.id).await;
    let patch = FilePatch {
        step: Some("streaming".into()),
        size: Some(1 << 40),
        validator: Some(Some("{\"etag\":\"x\"}".into())),
        session: Some(Some(("key".into(), 1 << 33, 7))),
        sha256: Some(Some(vec![7; 32])),
        md5: Some(Some("00".into())),
        outer_state: Some(Some(vec![1])),
        intent: Some(Some("{}".into())),
        node: Some(Some(NodeId(-5))),
        version: Some(Some(VersionNumber(2))),
        proof: Some("sent".into()),
        content: Some(Some(vec![0, 255])),
        add_bytes_sent: 100,
        add_restarts: 2,
    };
    ledger
        .apply(Change::new().file(before.id, patch))
        .await
        .unwrap();
    let expected = File {
        step: "streaming".into(),
        size: 1 << 40,
        validator: Some("{\"etag\":\"x\"}".into()),
        session: Some(("key".into(), 1 << 33, 7)),
        sha256: Some(vec![7; 32]),
        md5: Some("00".into()),
        outer_state: Some(vec![1]),
        intent: Some("{}".into()),
        node: Some(NodeId(-5)),
        version: Some(VersionNumber(2)),
        proof: "sent".into(),
        content: Some(vec![0, 255]),
        bytes_sent: 100,
        restarts: 2,
        ..before.clone()
    };
    assert!(only_file(&ledger, item.id).await == expected);
    let item = ledger.item(item.id).await.unwrap().unwrap();
    assert_eq!(item.bytes, 1 << 40, "the item's total follows");

    let patch = FilePatch {
        session: Some(None),
        intent: Some(None),
        add_bytes_sent: 1,
        ..FilePatch::default()
    };
    ledger
        .apply(Change::new().file(before.id, patch))
        .await
        .unwrap();
    let expected = File {
        session: None,
        intent: None,
        bytes_sent: 101,
        ..expected
    };
    assert!(only_file(&ledger, item.id).await == expected);
}

#[tokio::test]
async fn numbers_and_digests_that_a_row_cannot_hold_are_refused() {
    let place = Place::new();
    let ledger = place.open();
    let run = run(&ledger).await;
    let item = add(&ledger, run, new_item("a")).await;
    let file = only_file(&ledger, item.id).await;
    let size = FilePatch {
        size: Some(u64::MAX),
        ..FilePatch::default()
    };
    let digest = FilePatch {
        sha256: Some(Some(vec![1; 31])),
        ..FilePatch::default()
    };
    let entry = |data: &str| Entry {
        event: "x".into(),
        data: data.into(),
        ..Entry::default()
    };
    for change in [
        Change::new().file(file.id, size),
        Change::new().file(file.id, digest),
        Change::new().replace_files(item.id, vec![new_file(u64::MAX)]),
        Change::new().replace_files(item.id, vec![new_file(1 << 62), new_file(1 << 62)]),
        Change::new().journal(entry("[]")),
        Change::new().journal(entry("{")),
        Change::new().journal(entry("{} {}")),
    ] {
        let text = format!("{change:?}");
        let error = ledger.apply(change).await.unwrap_err();
        assert!(
            matches!(error, Error::TooLarge { .. } | Error::Refused { .. }),
            "{text}: {error}"
        );
    }
    assert!(only_file(&ledger, item.id).await == file);
    ledger
        .apply(Change::new().journal(entry(" {\n\"a\": 1}\n")))
        .await
        .unwrap();
    let line = ledger.journal(None, None, 1, 5).await.unwrap().remove(0);
    assert_eq!(line.data, "{ \"a\": 1}", "one line, whatever it was given");
}

#[tokio::test]
async fn files_come_in_pages_and_their_replacement_takes_the_parts_along() {
    let place = Place::new();
    let ledger = place.open();
    let run = run(&ledger).await;
    let item = NewItem {
        files: (0..2_500).map(new_file).collect(),
        ..new_item("sequence")
    };
    let item = add(&ledger, run, item).await;
    assert_eq!(item.files, 2_500);
    assert_eq!(item.bytes, 2_499 * 2_500 / 2);
    let mut from = 0;
    loop {
        let page = ledger.files(item.id, from, 1_000).await.unwrap();
        for (seq, file) in (from..).zip(&page) {
            assert_eq!((file.seq, file.size), (seq, seq));
        }
        from += page.len() as u64;
        if page.len() < 1_000 {
            break;
        }
    }
    assert_eq!(from, 2_500);
    assert!(
        ledger
            .files(item.id, u64::MAX, 10)
            .await
            .unwrap()
            .is_empty()
    );

    let first = ledger.files(item.id, 0, 1).await.unwrap().remove(0);
    let part = |number| Part {
        number,
        digest: vec![3; 16],
        state: vec![4; 104],
        acked: true,
    };
    let change = Change::new()
        .part(first.id, part(2))
        .part(first.id, part(1))
        .part(
            first.id,
            Part {
                acked: false,
                ..part(2)
            },
        );
    ledger.apply(change).await.unwrap();
    let parts = ledger.parts(first.id).await.unwrap();
    assert_eq!(
        parts,
        [
            part(1),
            Part {
                acked: false,
                ..part(2)
            }
        ]
    );

    let change = Change::new().replace_files(item.id, vec![new_file(3), new_file(4)]);
    ledger.apply(change).await.unwrap();
    assert!(ledger.parts(first.id).await.unwrap().is_empty());
    let item = ledger.item(item.id).await.unwrap().unwrap();
    assert_eq!((item.files, item.bytes), (2, 7));
    let files = ledger.files(item.id, 0, 10).await.unwrap();
    assert!(files.iter().all(|file| file.id > first.id), "ids are new");
}

#[tokio::test]
async fn a_post_keeps_its_number_until_it_is_delivered() {
    let place = Place::new();
    let ledger = place.open();
    let post = |payload: &str| NewPost {
        item: None,
        kind: "status".into(),
        payload: payload.into(),
    };
    let change = Change::new()
        .post(post("a"))
        .post(post("b"))
        .post(post("c"));
    ledger.apply(change).await.unwrap();
    let due = ledger.posts_due(0, 10).await.unwrap();
    let (a, b, c) = (due[0].id, due[1].id, due[2].id);
    assert_eq!(ledger.posts_next().await.unwrap(), Some(0));
    ledger.post_begun(a).await.unwrap();
    ledger.post_later(a, 50, "503").await.unwrap();
    ledger.post_done(b).await.unwrap();
    ledger.post_done(b).await.unwrap();

    let ids = |posts: Vec<Post>| posts.iter().map(|post| post.id).collect::<Vec<_>>();
    assert_eq!(ids(ledger.posts_due(49, 10).await.unwrap()), [c]);
    let due = ledger.posts_due(50, 10).await.unwrap();
    assert_eq!(ids(due.clone()), [c, a], "new ones before those put off");
    assert_eq!((due[1].attempts, due[1].payload.as_str()), (1, "a"));
    assert_eq!(ids(ledger.posts_due(50, 1).await.unwrap()), [c]);
    ledger.post_done(c).await.unwrap();
    assert_eq!(ledger.posts_next().await.unwrap(), Some(50));
    assert_eq!(
        Reader::open(&place.path())
            .unwrap()
            .posts_waiting()
            .unwrap(),
        1
    );
    ledger.post_done(a).await.unwrap();
    assert_eq!(ledger.posts_next().await.unwrap(), None);
}

#[tokio::test]
async fn values_beside_the_rows_are_kept_and_the_ledgers_own_are_out_of_reach() {
    let place = Place::new();
    let ledger = place.open();
    assert_eq!(ledger.meta("instance").await.unwrap(), None);
    ledger.set_meta("instance", "cs1").await.unwrap();
    ledger.set_meta("instance", "cs2").await.unwrap();
    assert_eq!(ledger.meta("instance").await.unwrap().unwrap(), "cs2");
    let error = ledger.set_meta("ledger.commits", "0").await.unwrap_err();
    assert!(matches!(error, Error::Refused { .. }));
}

#[tokio::test]
async fn a_run_remembers_how_far_it_got() {
    let place = Place::new();
    let ledger = place.open();
    let first = run(&ledger).await;
    let second = run(&ledger).await;
    ledger
        .scan_progress(first, Some("page 2".into()), false, 3)
        .await
        .unwrap();
    ledger.scan_progress(first, None, true, 2).await.unwrap();
    ledger.end_run(first, "stopped", false).await.unwrap();
    let found = ledger.run(Some(first)).await.unwrap().unwrap();
    assert_eq!(
        (found.scan_cursor, found.scan_done, found.left_out),
        (None, true, 5)
    );
    assert_eq!((found.outcome.as_str(), found.ended), ("stopped", None));
    ledger.end_run(first, "done", true).await.unwrap();
    let found = ledger.run(Some(first)).await.unwrap().unwrap();
    assert!(found.ended.unwrap() >= found.started);
    assert_eq!(ledger.run(None).await.unwrap().unwrap().id, second);
    let runs = Reader::open(&place.path())
        .unwrap()
        .runs(first, 10)
        .unwrap();
    assert_eq!(runs.len(), 1);
}

#[test]
fn handles_can_be_shared_between_threads() {
    fn shared<T: Clone + Send + Sync + 'static>() {}
    fn sent<T: Send>() {}
    shared::<Ledger>();
    sent::<Reader>();
    let _: fn(&Path) -> Result<Reader, Error> = Reader::open;
}

#[tokio::test]
async fn items_of_one_asset_are_found_by_what_their_keys_begin_with() {
    let place = Place::new();
    let ledger = place.open();
    let run = ledger.start_run(NewRun::default()).await.unwrap();
    let keys = ["a/1", "a/2", "a/\u{10fffe}", "ab/1", "A/1", "a", "b/a/1"];
    let items = keys.iter().map(|key| new_item(key)).collect();
    ledger.add_items(run, items).await.unwrap();
    let reader = Reader::open(&place.path()).unwrap();
    let found = |prefix: &str, limit| -> Vec<String> {
        let items = reader.items_below(prefix, limit).unwrap();
        items.into_iter().map(|item| item.key).collect()
    };
    assert_eq!(found("a/", 10), ["a/1", "a/2", "a/\u{10fffe}"]);
    assert_eq!(found("a/", 2), ["a/1", "a/2"]);
    assert!(found("c/", 10).is_empty());
    // Page by page nothing is missed, said twice or taken from another asset.
    let (mut pages, mut after) = (Vec::new(), String::new());
    loop {
        let page = reader.items_below_after("a/", &after, 1).unwrap();
        let Some(last) = page.into_iter().next_back() else {
            break;
        };
        after = last.key;
        pages.push(after.clone());
    }
    assert_eq!(pages, ["a/1", "a/2", "a/\u{10fffe}"]);
}

#[tokio::test]
async fn a_run_that_only_files_papers_of_its_own_does_not_hide_the_one_to_go_on_with() {
    let place = Place::new();
    let ledger = place.open();
    let begin = async |command: &str| {
        let new = NewRun {
            command: command.into(),
            ..NewRun::default()
        };
        ledger.start_run(new).await.unwrap()
    };
    let exchange = begin("exchange").await;
    assert_eq!(ledger.run(None).await.unwrap().unwrap().id, exchange);
    let archive = begin("archive").await;
    begin("exchange").await;
    begin("lifecycle").await;
    assert_eq!(ledger.run(None).await.unwrap().unwrap().id, archive);
}
