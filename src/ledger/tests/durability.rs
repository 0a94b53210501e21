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
    // And everywhere else, evenly, up to 500 and some.
    let every = whole_log.len() / 500;
    cuts.extend((0..whole_log.len()).step_by(every).map(|at| at + at % 7));
    cuts.retain(|&at| at <= whole_log.len());
    cuts.sort_unstable();
    cuts.dedup();
    assert!(cuts.len() >= 500, "{} cuts", cuts.len());
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
    for at in (0..whole_log.len()).step_by(whole_log.len() / 100) {
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

/// What the ledger says of every item: its state, node and name, and its file's step and digest.
/// `None` for what it refuses to read.
async fn says(ledger: &Ledger, run: RunId) -> Option<Vec<String>> {
    let mut said = Vec::new();
    for item in ledger.items(run, None, ItemId(0), 100).await.ok()? {
        let files = ledger.files(item.id, 0, 10).await.ok()?;
        said.push(format!(
            "{} {} {:?} {}",
            item.key, item.state, item.node, item.name
        ));
        for file in files {
            let parts = ledger.parts(file.id).await.ok()?;
            said.push(format!("{} {:?} {}", file.step, file.sha256, parts.len()));
        }
    }
    Some(said)
}

/// Twenty items, every other one done; what is true of them.
async fn half_done(place: &Place) -> (Ledger, RunId, Vec<String>) {
    let ledger = place.open();
    let run = run(&ledger).await;
    for number in 0..20u8 {
        let item = add(&ledger, run, new_item(&format!("item-{number}"))).await;
        if number % 2 == 0 {
            let file = only_file(&ledger, item.id).await;
            let change = Change::new()
                .item(
                    item.id,
                    ItemPatch {
                        state: Some("done".into()),
                        node: Some(Some(NodeId(1000 + i64::from(number)))),
                        ..ItemPatch::default()
                    },
                )
                .file(
                    file.id,
                    FilePatch {
                        step: Some("dressed".into()),
                        sha256: Some(Some(vec![number; 32])),
                        ..FilePatch::default()
                    },
                )
                .journal(event(item.id, "done"));
            ledger.apply(change).await.unwrap();
        }
    }
    let truth = says(&ledger, run).await.unwrap();
    (ledger, run, truth)
}

#[tokio::test]
async fn a_flipped_bit_in_a_closed_file_is_refused_and_what_to_do_is_said() {
    let place = Place::new();
    let (ledger, run, truth) = half_done(&place).await;
    drop(ledger);
    let whole = std::fs::read(place.path()).unwrap();
    let lock = std::fs::read(place::beside(&place.path(), ".lock")).unwrap();
    let (mut flips, mut older) = (0, 0);
    for at in (0..whole.len()).step_by(whole.len() / 200) {
        let mut flipped = whole.clone();
        flipped[at] ^= 1 << (at % 8);
        std::fs::write(place.path(), &flipped).unwrap();
        std::fs::write(place::beside(&place.path(), ".lock"), &lock).unwrap();
        flips += 1;
        match Ledger::open(&place.path(), "test") {
            Err(
                error @ (Error::Damaged { .. } | Error::NotALedger { .. } | Error::Newer { .. }),
            ) => {
                let text = error.to_string();
                assert!(
                    ["adopt", "name another file", "use that version"]
                        .iter()
                        .any(|advice| text.contains(advice)),
                    "flip at {at}: {text}"
                );
                assert_eq!(
                    std::fs::read(place.path()).unwrap(),
                    flipped,
                    "flip at {at}"
                );
            }
            Err(error) => panic!("flip at {at}: {error}"),
            // The flip hit the very count of commits, or the ledger's id: then it is taken for an
            // older copy or another ledger, and every commit is looked up before it is made.
            Ok(ledger) => {
                older += 1;
                assert!(ledger.started_after_unclean_boot(), "flip at {at}");
                assert_eq!(
                    says(&ledger, run).await.as_ref(),
                    Some(&truth),
                    "flip at {at}"
                );
            }
        }
    }
    assert!(flips >= 200, "{flips} flips");
    assert!(older <= 2, "{older} of them passed");

    std::fs::write(place.path(), &whole).unwrap();
    std::fs::write(place::beside(&place.path(), ".lock"), &lock).unwrap();
    assert_eq!(says(&place.open(), run).await, Some(truth));
}

#[tokio::test]
async fn a_flipped_bit_in_the_file_of_a_dead_process_never_makes_an_item_done() {
    let place = Place::new();
    let (ledger, run, truth) = half_done(&place).await;
    // Folded in, so that the file and not its log holds the rows.
    place
        .sqlite()
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        .unwrap();
    let crashed = place.crash();
    drop(ledger);
    let whole = std::fs::read(crashed.path()).unwrap();
    let lock = std::fs::read(place::beside(&crashed.path(), ".lock")).unwrap();
    let done: Vec<&String> = truth
        .iter()
        .filter(|line| line.contains(" done "))
        .collect();
    assert_eq!(done.len(), 10);
    let (mut opened, mut refused) = (0, 0);
    for at in (0..whole.len()).step_by(whole.len() / 200) {
        let mut flipped = whole.clone();
        flipped[at] ^= 1 << (at % 8);
        std::fs::write(crashed.path(), &flipped).unwrap();
        std::fs::write(place::beside(&crashed.path(), ".lock"), &lock).unwrap();
        for suffix in ["-wal", "-shm"] {
            let _ = std::fs::remove_file(place::beside(&crashed.path(), suffix));
        }
        let Ok(ledger) = Ledger::open(&crashed.path(), "test") else {
            refused += 1;
            continue;
        };
        opened += 1;
        let summary = ledger.summary(run).await;
        for counted in summary.into_iter().flatten() {
            assert!(
                counted.state != "done" || counted.items <= 10,
                "flip at {at}"
            );
        }
        for number in 0..20 {
            let key = format!("item-{number}");
            if let Ok(Some(item)) = ledger.item_by_key(&key).await
                && item.state == "done"
            {
                assert_eq!(item.key, key, "flip at {at}");
                assert_eq!(number % 2, 0, "flip at {at}");
            }
        }
        for item in ledger
            .take_items(run, i64::MAX, 100)
            .await
            .into_iter()
            .flatten()
        {
            let number: u8 = item.key.trim_start_matches("item-").parse().unwrap_or(1);
            assert_eq!(
                number % 2,
                1,
                "a done item is not taken again; flip at {at}"
            );
        }
        let _ = ledger.verify_chain().await;
    }
    assert!(
        opened > 20 && refused > 10,
        "{opened} opened, {refused} refused"
    );
}

#[tokio::test]
async fn a_commit_that_fails_at_any_place_is_not_there_and_nothing_follows_it() {
    let steps = 12;
    for nth in 0..=u64::from(steps) {
        let place = Place::new();
        let ledger = place.open();
        let run = run(&ledger).await;
        let item = add(&ledger, run, new_item("a")).await;
        ledger.fail_after(nth);
        let mut acknowledged = 0;
        for step in 1..=steps {
            let change = Change::new()
                .item(
                    item.id,
                    ItemPatch {
                        attempts: Some(step),
                        ..ItemPatch::default()
                    },
                )
                .journal(event(item.id, "step"));
            match ledger.apply(change).await {
                Ok(()) => {
                    assert_eq!(acknowledged + 1, step, "none is skipped");
                    acknowledged = step;
                }
                Err(error) => assert!(error.is_fatal(), "{error}"),
            }
        }
        assert_eq!(u64::from(acknowledged), nth);
        drop(ledger);
        let ledger = place.open();
        let item = ledger.item(item.id).await.unwrap().unwrap();
        assert_eq!(
            u64::from(item.attempts),
            nth,
            "what was acknowledged, and no more"
        );
        assert!(matches!(
            ledger.verify_chain().await.unwrap(),
            Chain::Whole { lines, .. } if lines == i64::from(acknowledged) + 1
        ));
    }
}

#[tokio::test]
async fn an_older_file_under_a_newer_log_is_refused() {
    let place = Place::new();
    let ledger = history(&place, 20).await;
    let fold = || {
        place
            .sqlite()
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
            .unwrap();
    };
    fold();
    let backup = std::fs::read(place.path()).unwrap();
    let item = ledger.item_by_key("a").await.unwrap().unwrap();
    let work = |count: u32| {
        let (ledger, item) = (ledger.clone(), item.id);
        async move {
            for _ in 0..count {
                let change = Change::new().journal(event(item, "later"));
                ledger.apply(change).await.unwrap();
            }
        }
    };
    work(200).await;
    // The log begins anew: what it held is in the file alone.
    fold();
    work(3).await;
    let crashed = place.crash();
    drop(ledger);
    std::fs::write(crashed.path(), backup).unwrap();
    let error = Ledger::open(&crashed.path(), "test").unwrap_err();
    assert!(matches!(error, Error::Damaged { .. }), "{error}");
    assert!(error.to_string().contains("longhaul adopt"), "{error}");
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
