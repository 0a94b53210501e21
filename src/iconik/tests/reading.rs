//! Bytes from signed addresses.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::TryStreamExt as _;
use serde_json::json;

use super::double::{Double, Reply, Seen};
use crate::iconik::{Locator, Reader};
use crate::transfer::{Restore, Source as _, SourceFile, Validator};
use crate::types::{ByteRange, Failure, FailureClass, Reason};

fn content() -> Vec<u8> {
    (0..100_000u32)
        .map(|at| at.wrapping_mul(2_654_435_761).to_be_bytes()[1])
        .collect()
}

fn piece(range: ByteRange) -> Vec<u8> {
    let at = |byte: u64| usize::try_from(byte).unwrap();
    content()[at(range.start)..at(range.end)].to_vec()
}

fn source_file(size: u64, files: usize) -> SourceFile {
    file_named("x", size, files, "S3")
}

fn file_named(id: &str, size: u64, files: usize, method: &str) -> SourceFile {
    let text = json!({
        "asset": "a", "version": "v", "format": "f", "file_set": "c", "file": id,
        "storage": "s", "method": method, "directory": "", "name": "stored.mov", "files": files
    });
    Locator::parse(&text.to_string()).unwrap();
    SourceFile {
        locator: text.to_string(),
        name: "m.mov".into(),
        size,
    }
}

/// A bucket that honours ranges.
fn bucket(seen: &Seen, content: &[u8], etag: &str) -> Reply {
    let Some(range) = seen.header("range") else {
        return Reply::status(200).header("ETag", etag).body(content);
    };
    let (first, last) = range
        .strip_prefix("bytes=")
        .unwrap()
        .split_once('-')
        .unwrap();
    let (first, last): (usize, usize) = (first.parse().unwrap(), last.parse().unwrap());
    let last = last.min(content.len() - 1);
    Reply::status(206)
        .header("ETag", etag)
        .header(
            "Content-Range",
            format!("bytes {first}-{last}/{}", content.len()),
        )
        .body(&content[first..=last])
}

fn row(address: &str, size: usize) -> serde_json::Value {
    json!({
        "id": "x", "status": "CLOSED", "size": size, "type": "FILE", "storage_method": "S3",
        "url": format!("{address}/bucket/key?X-Amz-Signature=canary"),
        "checksum": "0123456789abcdef0123456789abcdef"
    })
}

const FILE: &str = "/files/v1/assets/a/files/x/";
const KEY: &str = "/bucket/key";

async fn collect(
    reader: &Reader,
    file: &SourceFile,
    range: ByteRange,
    pin: &Validator,
) -> Result<Vec<u8>, Failure> {
    let frames: Vec<_> = reader.read(file, range, pin).await?.try_collect().await?;
    Ok(frames.concat())
}

/// A double whose bucket answers as `answer` says and whose API signs when asked.
async fn with_bucket(answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> (Double, Reader) {
    let double = Double::start(|address| {
        move |seen: &Seen| match seen.path.as_str() {
            FILE => Reply::json(row(&address, 100_000)),
            KEY => answer(seen),
            other => panic!("unexpected {other}"),
        }
    })
    .await;
    let reader = double.client().reader();
    (double, reader)
}

#[tokio::test]
async fn a_file_is_touched_by_one_byte_and_read_by_ranges_without_our_secrets() {
    let (double, reader) = with_bucket(|seen| bucket(seen, &content(), "\"e1\"")).await;
    let file = source_file(100_000, 1);
    let opened = reader.open(&file).await.unwrap();
    assert!(opened.ranges && opened.md5.is_some());
    assert_eq!(opened.validator.size, 100_000);
    assert_eq!(opened.validator.etag.as_deref(), Some("\"e1\""));
    for range in [
        ByteRange::new(0, 100_000),
        ByteRange::new(5, 6),
        ByteRange::new(99_000, 100_000),
    ] {
        let got = collect(&reader, &file, range, &opened.validator)
            .await
            .unwrap();
        assert!(got == piece(range), "{range}");
    }
    let seen = double.seen();
    assert_eq!(double.count(FILE), 1, "the address is signed once");
    assert_eq!(seen[0].query("bypass_url_cache"), Some("true"));
    assert_eq!(seen[1].header("range"), Some("bytes=0-0"));
    for seen in seen.iter().filter(|seen| seen.path == KEY) {
        assert_eq!(seen.method, "GET");
        assert!(seen.header("auth-token").is_none() && seen.header("app-id").is_none());
        assert_eq!(seen.header("accept-encoding"), Some("identity"));
    }
}

#[tokio::test]
async fn an_empty_file_is_fetched_plainly() {
    let double = Double::start(|address| {
        move |seen: &Seen| match seen.path.as_str() {
            FILE => Reply::json(row(&address, 0)),
            _ => Reply::status(200),
        }
    })
    .await;
    let opened = double
        .client()
        .reader()
        .open(&source_file(0, 1))
        .await
        .unwrap();
    assert_eq!(opened.validator.size, 0);
    assert_eq!(double.seen()[1].header("range"), None);
}

#[tokio::test]
async fn another_size_than_planned_is_never_read() {
    let (_double, reader) = with_bucket(|seen| bucket(seen, &content()[..50], "\"e\"")).await;
    let failure = reader.open(&source_file(100_000, 1)).await.unwrap_err();
    assert_eq!(
        failure.reason,
        Reason::SourceChanged,
        "the bucket disagrees with the row"
    );
    let failure = reader.open(&source_file(99, 1)).await.unwrap_err();
    assert_eq!(
        (failure.class, failure.reason),
        (FailureClass::ItemIsWrong, Reason::SourceChanged)
    );
}

#[tokio::test]
async fn a_store_without_ranges_is_recognised_and_streamed_whole() {
    let (_double, reader) = with_bucket(|_| Reply::status(200).body(content())).await;
    let file = source_file(100_000, 1);
    let opened = reader.open(&file).await.unwrap();
    assert!(!opened.ranges);
    let whole = ByteRange::new(0, 100_000);
    assert!(
        collect(&reader, &file, whole, &opened.validator)
            .await
            .unwrap()
            == content()
    );
    let failure = collect(&reader, &file, ByteRange::new(0, 10), &opened.validator).await;
    assert_eq!(failure.unwrap_err().reason, Reason::NoRanges);
}

#[tokio::test]
async fn a_new_generation_is_refused_before_its_first_byte() {
    let (_double, reader) = with_bucket(|seen| {
        let first = seen.header("range") == Some("bytes=0-0");
        bucket(seen, &content(), if first { "\"e1\"" } else { "\"e2\"" })
    })
    .await;
    let file = source_file(100_000, 1);
    let opened = reader.open(&file).await.unwrap();
    let failure = collect(&reader, &file, ByteRange::new(1, 9), &opened.validator).await;
    let failure = failure.unwrap_err();
    assert_eq!(failure.reason, Reason::SourceChanged);
    assert!(!failure.message.contains("canary"));
}

#[tokio::test]
async fn a_cut_body_is_a_passing_failure_after_the_bytes_that_came() {
    let (_double, reader) = with_bucket(|seen| match seen.header("range") {
        Some("bytes=0-0") => bucket(seen, &content(), "\"e\""),
        _ => bucket(seen, &content(), "\"e\"").cut(1000),
    })
    .await;
    let file = source_file(100_000, 1);
    let opened = reader.open(&file).await.unwrap();
    let range = ByteRange::new(10, 90_000);
    let mut stream = reader.read(&file, range, &opened.validator).await.unwrap();
    let mut got = 0;
    let failure = loop {
        match stream.try_next().await {
            Ok(Some(frame)) => got += frame.len(),
            Ok(None) => panic!("a cut body ended well"),
            Err(failure) => break failure,
        }
    };
    assert_eq!(failure.class, FailureClass::RetryNow);
    assert!(got <= 1000);
}

#[tokio::test]
async fn many_refused_chunks_cause_one_renewal() {
    let signed = Arc::new(AtomicUsize::new(0));
    let signs = Arc::clone(&signed);
    let double = Double::start(|address| {
        move |seen: &Seen| match seen.path.as_str() {
            FILE => {
                let n = signs.fetch_add(1, Ordering::SeqCst) + 1;
                let mut row = row(&address, 100_000);
                row["url"] = format!("{address}/bucket/{n}?sig=canary").into();
                Reply::json(row)
            }
            // The first address works for the first touch only.
            "/bucket/1" if seen.header("range") != Some("bytes=0-0") => Reply::status(403).body(
                "<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>",
            ),
            _ => bucket(seen, &content(), "\"e\""),
        }
    })
    .await;
    let reader = double.client().reader();
    let file = source_file(100_000, 1);
    let pin = reader.open(&file).await.unwrap().validator;
    let chunks: Vec<_> = ByteRange::new(0, 100_000).pieces(10_000).collect();
    let read = |range: ByteRange| {
        let (reader, file, pin) = (reader.clone(), file.clone(), pin.clone());
        async move {
            match collect(&reader, &file, range, &pin).await {
                Err(failure) if failure.class == FailureClass::Resign => {
                    reader.renew(&file).await?;
                    collect(&reader, &file, range, &pin).await
                }
                other => other,
            }
        }
    };
    let parts: Vec<Vec<u8>> = futures::future::try_join_all(chunks.into_iter().map(read))
        .await
        .unwrap();
    assert!(parts.concat() == content());
    assert_eq!(signed.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn files_that_are_not_complete_say_whether_waiting_helps() {
    let double = Double::start(|address| {
        move |seen: &Seen| {
            let status = seen.path.rsplit('/').nth(1).unwrap();
            let mut row = row(&address, 7);
            row["id"] = status.into();
            row["status"] = status.into();
            Reply::json(row)
        }
    })
    .await;
    let reader = double.client().reader();
    for (status, class, reason) in [
        ("OPEN", FailureClass::RetryLater, Reason::Other),
        ("GROWING", FailureClass::RetryLater, Reason::Other),
        ("AWAITED", FailureClass::RetryLater, Reason::Other),
        ("ARCHIVED", FailureClass::RetryLater, Reason::ColdStorage),
        ("MISSING", FailureClass::ItemIsWrong, Reason::NotFound),
        ("DELETED", FailureClass::ItemIsWrong, Reason::NotFound),
        ("FAILED", FailureClass::ItemIsWrong, Reason::Other),
        ("NOVEL", FailureClass::ItemIsWrong, Reason::Other),
    ] {
        let failure = reader
            .open(&file_named(status, 7, 1, "S3"))
            .await
            .unwrap_err();
        assert_eq!((failure.class, failure.reason), (class, reason), "{status}");
    }
}

#[tokio::test]
async fn the_addresses_of_a_small_set_come_from_one_listing() {
    let double = Double::start(|address| {
        move |seen: &Seen| match seen.path.as_str() {
            "/files/v1/assets/a/file_sets/c/files/" => {
                let rows: Vec<_> = (0..20)
                    .map(|n| {
                        let mut row = row(&address, 100_000);
                        row["id"] = format!("x{n}").into();
                        row
                    })
                    .collect();
                Reply::json(json!({ "objects": rows }))
            }
            KEY => bucket(seen, &content(), "\"e\""),
            other => panic!("unexpected {other}"),
        }
    })
    .await;
    let reader = double.client().reader();
    let opens = (0..20).map(|n| {
        let reader = reader.clone();
        async move {
            reader
                .open(&file_named(&format!("x{n}"), 100_000, 20, "S3"))
                .await
        }
    });
    futures::future::try_join_all(opens).await.unwrap();
    assert_eq!(double.count("/files/v1/assets/a/file_sets/c/files/"), 1);
    assert_eq!(double.seen()[0].query("generate_signed_url"), Some("true"));
}

#[tokio::test]
async fn an_on_premise_file_is_read_from_its_mount_or_parked_with_the_setting_to_add() {
    let double = Double::start(|_| {
        |seen: &Seen| match seen.path.as_str() {
            FILE => Reply::json(json!({"id": "x", "status": "CLOSED", "size": 3})),
            "/files/v1/storages/s/" => {
                Reply::json(json!({"id": "s", "name": "NAS 1", "method": "FILE"}))
            }
            other => panic!("unexpected {other}"),
        }
    })
    .await;
    let file = file_named("x", 3, 1, "FILE");
    let failure = double.client().reader().open(&file).await.unwrap_err();
    assert_eq!(failure.class, FailureClass::ItemIsWrong);
    assert!(failure.message.contains("[iconik.mounts]") && failure.message.contains("NAS 1"));

    let mount = tempfile::tempdir().unwrap();
    std::fs::write(mount.path().join("stored.mov"), b"abc").unwrap();
    let mut config = double.config();
    config.mounts.insert("NAS 1".into(), mount.path().into());
    let reader = double.client_with(config).reader();
    let opened = reader.open(&file).await.unwrap();
    let range = ByteRange::new(1, 3);
    assert_eq!(
        collect(&reader, &file, range, &opened.validator)
            .await
            .unwrap(),
        b"bc"
    );
}

const COLD: &str = "<Error><Code>InvalidObjectState</Code></Error>";

#[tokio::test]
async fn a_restore_is_asked_for_once_and_followed_to_its_end() {
    let asked = Arc::new(AtomicUsize::new(0));
    let polls = Arc::new(AtomicUsize::new(0));
    let (asks, jobs) = (Arc::clone(&asked), Arc::clone(&polls));
    let double = Double::start(|address| {
        move |seen: &Seen| match seen.path.as_str() {
            FILE => Reply::json(row(&address, 100_000)),
            KEY if jobs.load(Ordering::SeqCst) > 3 => bucket(seen, &content(), "\"e\""),
            KEY => Reply::status(403).body(COLD),
            "/jobs/v1/jobs/" => {
                let old = json!({"id": "old", "type": "RESTORE", "status": "FAILED",
                                 "date_created": "2020-01-01T00:00:00"});
                let ours = json!({"id": "new", "type": "RESTORE_FROM_GLACIER", "status": "STARTED",
                                  "date_created": "2026-01-01T00:00:00"});
                // The list of jobs lags behind the request.
                let n = jobs.fetch_add(1, Ordering::SeqCst);
                let rows = if n < 2 { vec![old] } else { vec![old, ours] };
                Reply::json(json!({ "objects": rows }))
            }
            "/files/v1/assets/a/formats/f/restore/" => {
                assert_eq!(seen.method, "POST");
                asks.fetch_add(1, Ordering::SeqCst);
                Reply::status(202)
            }
            other => panic!("unexpected {other}"),
        }
    })
    .await;
    let reader = double.client().reader();
    let file = source_file(100_000, 1);
    assert_eq!(
        reader.open(&file).await.unwrap_err().reason,
        Reason::ColdStorage
    );
    for _ in 0..4 {
        let restore = reader.restore(&file).await.unwrap();
        assert!(matches!(restore, Restore::Underway { .. }), "{restore:?}");
    }
    assert_eq!(reader.restore(&file).await.unwrap(), Restore::Ready);
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    assert!(reader.open(&file).await.unwrap().ranges);
}

#[tokio::test]
async fn a_restore_that_may_not_be_asked_for_parks_the_item_with_the_role() {
    let double = Double::start(|address| {
        move |seen: &Seen| match seen.path.as_str() {
            FILE => Reply::json(row(&address, 100_000)),
            KEY => Reply::status(403).body(COLD),
            "/jobs/v1/jobs/" => Reply::json(json!({"objects": []})),
            _ => Reply::error(403, "no"),
        }
    })
    .await;
    let failure = double
        .client()
        .reader()
        .restore(&source_file(100_000, 1))
        .await
        .unwrap_err();
    assert_eq!(failure.class, FailureClass::ItemIsWrong);
    assert!(
        failure.message.contains("can_restore_archived_formats"),
        "{}",
        failure.message
    );
}
