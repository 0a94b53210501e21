//! Rows and journal lines that somebody edited.

use super::*;

/// A stopped ledger with six journal lines.
async fn written() -> Place {
    let place = Place::new();
    let ledger = place.open();
    let run = run(&ledger).await;
    let item = add(&ledger, run, new_item("a")).await;
    let file = only_file(&ledger, item.id).await;
    for number in 2..=6 {
        let entry = Entry {
            run: Some(run),
            item: (number % 2 == 0).then_some(item.id),
            file: (number % 3 == 0).then_some(file.id),
            event: format!("event-{number}"),
            data: format!("{{\"number\":{number}}}"),
        };
        ledger.apply(Change::new().journal(entry)).await.unwrap();
    }
    drop(ledger);
    place
}

/// Applies the statement to a copy and says where the chain breaks.
#[track_caller]
fn breaks(place: &Place, sql: &str) -> (i64, Break) {
    let copy = place.crash();
    copy.sqlite().execute_batch(sql).unwrap();
    match Reader::open(&copy.path()).unwrap().verify_chain().unwrap() {
        Chain::Broken { seq, why } => (seq, why),
        whole @ Chain::Whole { .. } => panic!("{sql} went unnoticed: {whole:?}"),
    }
}

#[tokio::test]
async fn an_untouched_journal_is_whole_and_its_export_can_be_checked_elsewhere() {
    let place = written().await;
    let reader = Reader::open(&place.path()).unwrap();
    let Chain::Whole { lines, digest } = reader.verify_chain().unwrap() else {
        panic!("the chain is broken");
    };
    assert_eq!(lines, 6);
    let mut previous = GENESIS.to_owned();
    for line in reader.journal(None, None, 0, 99).unwrap() {
        let json = line.to_json();
        let tail = format!(",\"digest\":\"{}\"}}", line.digest);
        let canonical = json.strip_suffix(&tail).unwrap().to_owned() + "}";
        assert_eq!(canonical, line.canonical());
        assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok());
        previous = line.chained_to(&previous);
    }
    assert_eq!(previous, digest);
    assert_eq!(reader.journal(None, None, 4, 1).unwrap()[0].seq, 5);
}

#[tokio::test]
async fn every_edited_cell_of_every_line_is_named() {
    let place = written().await;
    for seq in 1..=6 {
        for (column, value) in [
            ("at", "at + 1"),
            ("run", "iif(run IS NULL, 1, NULL)"),
            ("run", "coalesce(run, 0) + 1"),
            ("item", "iif(item IS NULL, 1, NULL)"),
            ("file", "iif(file IS NULL, 1, NULL)"),
            ("event", "event || 'x'"),
            ("event", "'\"'"),
            ("data", "'{}'"),
            ("data", "data || ' '"),
            ("digest", "upper(digest) || '0'"),
            ("digest", "''"),
        ] {
            let sql = format!("UPDATE journal SET {column} = {value} WHERE seq = {seq}");
            assert_eq!(breaks(&place, &sql), (seq, Break::Digest), "{sql}");
        }
    }
}

#[tokio::test]
async fn removed_added_and_exchanged_lines_are_named() {
    let place = written().await;
    for seq in 1..=6 {
        let sql = format!("DELETE FROM journal WHERE seq = {seq}");
        assert_eq!(breaks(&place, &sql), (seq, Break::Gap));
        let sql = format!("DELETE FROM journal WHERE seq >= {seq}");
        assert_eq!(breaks(&place, &sql), (seq, Break::Gap), "a removed tail");
    }
    let copy = |seq: i64| {
        format!(
            "INSERT INTO journal SELECT {seq}, at, run, item, file, event, data, digest
             FROM journal WHERE seq = 3"
        )
    };
    assert_eq!(breaks(&place, &copy(0)), (0, Break::Order));
    assert_eq!(breaks(&place, &copy(-4)), (-4, Break::Order));
    assert_eq!(breaks(&place, &copy(7)), (7, Break::Digest));
    assert_eq!(breaks(&place, &copy(9)), (7, Break::Gap));
    let exchange = "UPDATE journal SET seq = 100 WHERE seq = 2;
        UPDATE journal SET seq = 2 WHERE seq = 3; UPDATE journal SET seq = 3 WHERE seq = 100;";
    assert_eq!(breaks(&place, exchange), (2, Break::Digest));
}

#[tokio::test]
async fn a_forged_tail_differs_from_the_recorded_last_line() {
    let place = written().await;
    let reader = Reader::open(&place.path()).unwrap();
    let lines = reader.journal(None, None, 4, 2).unwrap();
    drop(reader);
    let mut forged = Line {
        event: "forged".into(),
        ..lines[1].clone()
    };
    forged.digest = forged.chained_to(&lines[0].digest);
    let sql = format!(
        "UPDATE journal SET event = 'forged', digest = '{}' WHERE seq = 6",
        forged.digest
    );
    assert_eq!(breaks(&place, &sql), (6, Break::Head));
    let sql = "UPDATE meta SET value = 'nonsense' WHERE key = 'ledger.head'";
    assert_eq!(breaks(&place, sql), (6, Break::Head));
    let sql = "DELETE FROM meta WHERE key = 'ledger.head'";
    assert_eq!(breaks(&place, sql), (1, Break::Order));

    // An owner does not go on from a journal whose end is not its own.
    for sql in [
        "DELETE FROM journal WHERE seq = 6",
        "UPDATE meta SET value = '-9223372036854775808 x' WHERE key = 'ledger.head'",
        sql,
    ] {
        let copy = place.crash();
        copy.sqlite().execute_batch(sql).unwrap();
        let error = Ledger::open(&copy.path(), "test").unwrap_err();
        assert!(matches!(error, Error::Damaged { .. }), "{sql}: {error}");
    }
}

#[tokio::test]
async fn cells_that_no_longhaul_writes_are_errors_that_name_the_row() {
    let place = written().await;
    let run = RunId(1);
    for (table, sql) in [
        ("item", "UPDATE item SET bytes = -1"),
        ("item", "UPDATE item SET attempts = 4294967296"),
        ("item", "UPDATE item SET files = -1"),
        ("item", "UPDATE item SET kin = '{}'"),
        ("item", "UPDATE item SET name = CAST(x'ff00' AS TEXT)"),
        ("file", "UPDATE file SET size = -5"),
        ("file", "UPDATE file SET offset = -5"),
        ("file", "UPDATE file SET bytes_sent = -5"),
        (
            "file",
            "UPDATE file SET session_key = 'k', part_size = NULL",
        ),
        (
            "file",
            "UPDATE file SET session_key = 'k', part_size = 1, part_count = -1",
        ),
        ("file", "UPDATE file SET sha256 = x'00'"),
        ("part", "INSERT INTO part VALUES (1, 0, x'', x'', 2)"),
        ("part", "INSERT INTO part VALUES (1, -1, x'', x'', 1)"),
        ("run", "UPDATE run SET left_out = -1"),
        ("run", "UPDATE run SET scan_done = 3"),
        (
            "outbox",
            "INSERT INTO outbox (kind, payload, attempts) VALUES ('', '', -1)",
        ),
    ] {
        let copy = place.crash();
        copy.sqlite().execute_batch(sql).unwrap();
        let ledger = copy.open();
        let error = match table {
            "item" => ledger.take_items(run, 0, 9).await.unwrap_err(),
            "file" => ledger.files(ItemId(1), 0, 9).await.unwrap_err(),
            "part" => ledger.parts(TransferId(1)).await.unwrap_err(),
            "run" => ledger.run(Some(run)).await.unwrap_err(),
            _ => ledger.posts_due(0, 9).await.unwrap_err(),
        };
        let Error::BadRow {
            table: named,
            row: 1,
            column,
            ..
        } = &error
        else {
            panic!("{sql}: {error}");
        };
        assert_eq!(*named, table, "{sql}");
        assert!(
            sql.contains(column.as_str()) || table == "part",
            "{sql}: {error}"
        );
        assert!(
            !error.is_fatal(),
            "one bad row does not end the others' work"
        );
        assert!(ledger.verify_chain().await.is_ok());
    }
}
