//! What stands after a cut, a flipped bit, a full disk.

use super::*;

/// Runs a history of `steps` changes; each writes a journal line and the same number to a row.
async fn history(place: &Place, steps: u32) -> Ledger {
    let ledger = place.open();
    let run = run(&ledger).await;
    let item = add(&ledger, run, new_item("a")).await;
    let file = only_file(&ledger, item.id).await;
    for step in 1..=steps {
        let change = Change::new()
            .item(
                item.id,
                ItemPatch {
                    attempts: Some(step),
                    ..ItemPatch::default()
                },
            )
            .part(
                file.id,
                Part {
                    number: step,
                    digest: vec![1; 16],
                    state: vec![2; 104],
                    acked: false,
                },
            )
            .journal(event(item.id, "step"));
        ledger.apply(change).await.unwrap();
    }
    ledger
}

/// The step that a reopened ledger stands at, after checking that everything in it is of that
/// step; -1 while there is no item.
fn step(path: &Path) -> i64 {
    let reader = Reader::open(path).unwrap();
    let Chain::Whole { lines, .. } = reader.verify_chain().unwrap() else {
        panic!("the chain is broken");
    };
    let Some(item) = reader.item_by_key("a").unwrap() else {
        assert_eq!(lines, 0);
        return -1;
    };
    let file = &reader.files(item.id, 0, 1).unwrap()[0];
    let parts = reader.parts(file.id).unwrap();
    assert_eq!(parts.len(), usize::try_from(item.attempts).unwrap());
    assert_eq!(lines, i64::from(item.attempts) + 1);
    item.attempts.into()
}

#[tokio::test]
async fn a_log_cut_anywhere_leaves_a_prefix_of_history() {
    let place = Place::new();
    let ledger = history(&place, 12).await;
    let crashed = place.crash();
    drop(ledger);
    let (db, log) = (crashed.path(), place::beside(&crashed.path(), "-wal"));
    let (whole_db, whole_log) = (std::fs::read(&db).unwrap(), std::fs::read(&log).unwrap());
    let lock = std::fs::read(place::beside(&db, ".lock")).unwrap();
    // Frame edges, their neighbours, and places in between.
    let frame = 4096 + 24;
    let edges = (0..)
        .map(|n| 32 + n * frame)
        .take_while(|&at| at <= whole_log.len());
    let cuts = edges.flat_map(|at| [at, at.saturating_sub(1), at + 11, at + frame / 2]);
    let mut cuts: Vec<usize> = cuts.filter(|&at| at <= whole_log.len()).collect();
    cuts.extend([0, 1, 31, whole_log.len()]);
    cuts.sort_unstable();
    cuts.dedup();
    assert!(cuts.len() > 100);
    let (mut last, mut seen) = (-1, std::collections::BTreeSet::new());
    for cut in cuts {
        std::fs::write(&db, &whole_db).unwrap();
        std::fs::write(&log, &whole_log[..cut]).unwrap();
        std::fs::write(place::beside(&db, ".lock"), &lock).unwrap();
        let _ = std::fs::remove_file(place::beside(&db, "-shm"));
        let ledger = match Ledger::open(&db, "test") {
            Ok(ledger) => ledger,
            Err(error) => panic!("cut at {cut}: {error}"),
        };
        let at = step(&db);
        assert!(at >= last, "cut at {cut}");
        assert_eq!(
            ledger.started_after_unclean_boot(),
            at < 12,
            "a lost tail is noticed; cut at {cut}"
        );
        last = at;
        seen.insert(at);
    }
    let all: std::collections::BTreeSet<i64> = (-1..=12).collect();
    assert_eq!(seen, all, "every step is some cut's state");
}

#[tokio::test]
async fn a_flipped_bit_in_the_log_is_a_prefix_of_history_too_and_noticed() {
    let place = Place::new();
    let ledger = history(&place, 6).await;
    let crashed = place.crash();
    drop(ledger);
    let (db, log) = (crashed.path(), place::beside(&crashed.path(), "-wal"));
    let (whole_db, whole_log) = (std::fs::read(&db).unwrap(), std::fs::read(&log).unwrap());
    let lock = std::fs::read(place::beside(&db, ".lock")).unwrap();
    for at in (0..whole_log.len()).step_by(whole_log.len() / 60) {
        let mut flipped = whole_log.clone();
        flipped[at] ^= 1 << (at % 8);
        std::fs::write(&db, &whole_db).unwrap();
        std::fs::write(&log, &flipped).unwrap();
        std::fs::write(place::beside(&db, ".lock"), &lock).unwrap();
        let _ = std::fs::remove_file(place::beside(&db, "-shm"));
        let ledger = Ledger::open(&db, "test").unwrap();
        assert_eq!(
            ledger.started_after_unclean_boot(),
            step(&db) < 6,
            "flip at {at}"
        );
    }
}

#[tokio::test]
async fn a_flipped_bit_in_the_file_is_an_error_or_nothing_but_never_a_panic() {
    let place = Place::new();
    drop(history(&place, 8).await);
    let whole = std::fs::read(place.path()).unwrap();
    for at in (0..whole.len()).step_by(whole.len() / 97) {
        let mut flipped = whole.clone();
        flipped[at] ^= 1 << (at % 8);
        std::fs::write(place.path(), &flipped).unwrap();
        let Ok(ledger) = Ledger::open(&place.path(), "test") else {
            continue;
        };
        for seq in 0..3 {
            let _ = ledger.journal(None, None, seq, 100).await;
        }
        let _ = ledger.verify_chain().await;
        if let Ok(Some(item)) = ledger.item_by_key("a").await
            && let Ok(files) = ledger.files(item.id, 0, 10).await
        {
            for file in files {
                let _ = ledger.parts(file.id).await;
            }
            let _ = ledger.summary(item.run).await;
            let _ = ledger.run(None).await;
        }
    }
}

#[tokio::test]
async fn a_full_disk_latches_and_nothing_is_done_after_it() {
    let place = Place::new();
    let ledger = place.open();
    let run = run(&ledger).await;
    let item = add(&ledger, run, new_item("a")).await;
    let file = only_file(&ledger, item.id).await;
    ledger
        .write(|tx| {
            let pages: i64 = tx
                .conn
                .pragma_query_value(None, "page_count", |row| row.get(0))?;
            // A limit in pages stands for a disk without room.
            let sql = format!("PRAGMA max_page_count = {}", pages + 2);
            tx.conn.query_row(&sql, [], |_| Ok(()))?;
            Ok(())
        })
        .await
        .unwrap();
    let large = FilePatch {
        content: Some(Some(vec![7; 1 << 20])),
        ..FilePatch::default()
    };
    let small = || Change::new().journal(event(item.id, "small"));
    let (first, large, after) = tokio::join!(
        ledger.apply(small()),
        ledger.apply(Change::new().file(file.id, large)),
        ledger.apply(small()),
    );
    let error = large.unwrap_err();
    assert!(
        matches!(
            error,
            Error::Store {
                fault: Fault::Full,
                ..
            }
        ),
        "{error}"
    );
    let stood = [first, after]
        .iter()
        .filter(|outcome| outcome.is_ok())
        .count();
    for error in [
        ledger.apply(small()).await.unwrap_err(),
        ledger.item(item.id).await.unwrap_err(),
        ledger.take_items(run, 0, 1).await.unwrap_err(),
    ] {
        assert!(
            matches!(
                error,
                Error::Store {
                    fault: Fault::Full,
                    ..
                }
            ),
            "{error}"
        );
        assert!(error.is_fatal());
        assert_eq!(error.class(), FailureClass::StopEverything);
    }
    drop(ledger);

    // With room again, everything that was acknowledged is there and nothing else.
    let ledger = place.open();
    let lines = ledger.journal(None, Some(item.id), 0, 99).await.unwrap();
    assert_eq!(lines.len(), 1 + stood);
    assert!(only_file(&ledger, item.id).await == file);
}

#[tokio::test]
async fn a_file_that_cannot_be_written_latches_too() {
    let place = Place::new();
    let ledger = place.open();
    run(&ledger).await;
    let outcome = ledger
        .write(|tx| Ok(tx.conn.pragma_update(None, "query_only", true)?))
        .await;
    for error in [outcome.unwrap_err(), ledger.run(None).await.unwrap_err()] {
        assert!(
            matches!(
                error,
                Error::Store {
                    fault: Fault::ReadOnly,
                    ..
                }
            ),
            "{error}"
        );
    }
    drop(ledger);
    let ledger = place.open();
    assert!(ledger.run(None).await.unwrap().is_some());
}

#[tokio::test]
async fn a_defect_in_the_writer_ends_every_call_instead_of_hanging_it() {
    let place = Place::new();
    let ledger = place.open();
    let outcome: Result<(), Error> = ledger
        .write(|_| panic!("a defect made for this test"))
        .await;
    for error in [
        outcome.unwrap_err(),
        ledger.run(None).await.unwrap_err(),
        ledger.apply(Change::new()).await.unwrap_err(),
    ] {
        assert!(
            matches!(
                error,
                Error::Store {
                    fault: Fault::Stopped,
                    ..
                }
            ),
            "{error}"
        );
    }
    drop(ledger);
    place.open();
}

#[tokio::test]
async fn a_lock_held_by_a_database_tool_loses_nothing() {
    let place = Place::new();
    let ledger = place.open();
    let id = run(&ledger).await;
    ledger
        .write(|tx| Ok(tx.conn.busy_timeout(std::time::Duration::ZERO)?))
        .await
        .unwrap();
    let tool = place.sqlite();
    tool.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = ledger.end_run(id, "done", true).await.unwrap_err();
    assert!(matches!(error, Error::Busy), "{error}");
    assert_eq!(error.class(), FailureClass::RetryLater);
    tool.execute_batch("ROLLBACK").unwrap();
    ledger.end_run(id, "done", true).await.unwrap();
    assert!(ledger.run(None).await.unwrap().unwrap().ended.is_some());
}
