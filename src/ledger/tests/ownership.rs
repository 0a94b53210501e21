//! Who may open what, and what the next owner learns of the last.

use std::os::unix::fs::{MetadataExt, PermissionsExt};

use super::*;

#[track_caller]
fn refused(path: &Path, because: &str) -> Error {
    let error = Ledger::open(path, "test").unwrap_err();
    assert!(error.to_string().contains(because), "{error}");
    error
}

/// Changes the file past the ledger, without its lock file noticing.
fn edit(place: &Place, sql: &str) {
    place.sqlite().execute_batch(sql).unwrap();
}

#[tokio::test]
async fn a_second_owner_is_told_who_the_first_is() {
    let place = Place::new();
    let ledger = Ledger::open(&place.path(), "archive").unwrap();
    let error = refused(&place.path(), "archive");
    let pid = format!("process {}", std::process::id());
    assert!(error.to_string().contains(&pid), "{error}");
    assert!(error.to_string().contains("longhaul status"), "{error}");
    assert!(matches!(error, Error::InUse { .. }));
    assert_eq!(error.class(), FailureClass::StopEverything);

    let clone = ledger.clone();
    drop(ledger);
    refused(&place.path(), "archive");
    run(&clone).await;
    drop(clone);
    place.open();
}

#[tokio::test]
async fn only_the_owner_can_read_its_files() {
    let place = Place::new();
    let ledger = place.open();
    run(&ledger).await;
    for suffix in ["", "-wal", "-shm", ".lock"] {
        let found = std::fs::metadata(place::beside(&place.path(), suffix)).unwrap();
        assert_eq!(found.mode() & 0o777, 0o600, "{suffix}");
    }
    drop(ledger);
    let open = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(place.path(), open).unwrap();
    drop(place.open());
    let found = std::fs::metadata(place.path()).unwrap();
    assert_eq!(found.mode() & 0o777, 0o600, "narrowed again");
}

#[test]
fn paths_that_cannot_hold_a_ledger_are_left_as_they_are() {
    let place = Place::new();
    refused(place.dir.path(), "it is a directory");
    refused(&place.path().join("x"), "create it first");
    let link = place.dir.path().join("link");
    std::os::unix::fs::symlink(place.path(), &link).unwrap();
    refused(&link, "symbolic link");
    assert_eq!(std::fs::read_dir(place.dir.path()).unwrap().count(), 1);
}

#[test]
fn somebody_elses_database_is_not_touched() {
    let place = Place::new();
    edit(&place, "CREATE TABLE theirs (a); PRAGMA user_version = 1;");
    let before = std::fs::read(place.path()).unwrap();
    refused(&place.path(), "not a ledger of longhaul");
    let error = Reader::open(&place.path()).unwrap_err();
    assert!(matches!(error, Error::NotALedger { .. }));
    assert_eq!(std::fs::read(place.path()).unwrap(), before);
    assert_eq!(std::fs::read_dir(place.dir.path()).unwrap().count(), 1);
}

/// What a process leaves that is killed after the file's first page was written and before the
/// transaction that wrote it was over.
fn killed_while_creating(place: &Place) {
    edit(
        place,
        &format!("PRAGMA application_id = {}", place::APPLICATION_ID),
    );
    // The header of a rollback journal, as the file format describes it: no page to restore, and
    // a database of no pages before.
    let mut journal = vec![0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7];
    for number in [0_u32, 1, 0, 512, 4096] {
        journal.extend_from_slice(&number.to_be_bytes());
    }
    journal.resize(512, 0);
    std::fs::write(place::beside(&place.path(), "-journal"), journal).unwrap();
}

#[tokio::test]
async fn a_ledger_whose_creation_was_cut_short_is_created_and_stays_one() {
    let place = Place::new();
    killed_while_creating(&place);
    let ledger = place.open();
    let id = run(&ledger).await;
    drop(ledger);
    let ledger = place.open();
    assert_eq!(ledger.run(Some(id)).await.unwrap().unwrap().id, id);
}

#[test]
fn a_newer_schema_is_refused_with_its_number() {
    let place = Place::new();
    drop(place.open());
    edit(&place, "PRAGMA user_version = 7");
    refused(&place.path(), "newer longhaul (schema 7); use that version");
    let error = Reader::open(&place.path()).unwrap_err();
    assert!(matches!(error, Error::Newer { found: 7, .. }), "{error}");
    edit(&place, "PRAGMA user_version = 0");
    let error = Reader::open(&place.path()).unwrap_err();
    assert!(matches!(error, Error::Older { found: 0, .. }), "{error}");
}

#[tokio::test]
async fn a_damaged_file_is_kept_and_adopting_is_offered() {
    let place = Place::new();
    let ledger = place.open();
    let run = run(&ledger).await;
    let items = (0..500).map(|n| new_item(&n.to_string())).collect();
    ledger.add_items(run, items).await.unwrap();
    drop(ledger);
    let mut bytes = std::fs::read(place.path()).unwrap();
    for page in (4096 * 20..bytes.len()).step_by(4096) {
        bytes[page..page + 200].fill(0xee);
    }
    std::fs::write(place.path(), &bytes).unwrap();
    let error = refused(&place.path(), "longhaul adopt");
    assert!(matches!(error, Error::Damaged { .. }));
    assert!(error.is_fatal());
    assert_eq!(std::fs::read(place.path()).unwrap(), bytes);

    std::fs::write(place.path(), &bytes[..10_000]).unwrap();
    refused(&place.path(), "longhaul adopt");
    std::fs::write(place.path(), &bytes[..50]).unwrap();
    refused(&place.path(), "not a ledger");
}

#[tokio::test]
async fn a_process_that_died_leaves_its_items_planned_and_needs_no_barrier() {
    let place = Place::new();
    let ledger = place.open();
    let run = run(&ledger).await;
    add(&ledger, run, new_item("a")).await;
    ledger.take_items(run, 0, 1).await.unwrap();
    let crashed = place.crash();
    let owner = Reader::open(&crashed.path()).unwrap().owner().unwrap();
    assert!(!owner.alive);
    assert!(Reader::open(&place.path()).unwrap().owner().unwrap().alive);

    let ledger = crashed.open();
    let item = ledger.item_by_key("a").await.unwrap().unwrap();
    assert_eq!(item.state, "planned");
    assert!(!ledger.started_after_unclean_boot());
    assert_eq!(ledger.start_barrier(), None);
}

#[tokio::test]
async fn a_new_start_of_the_machine_calls_for_a_barrier_unless_the_stop_was_clean() {
    let place = Place::new();
    let ledger = place.open();
    assert!(!ledger.started_after_unclean_boot(), "a new ledger");
    run(&ledger).await;
    let boot = "UPDATE meta SET value = 'another' WHERE key = 'ledger.boot'";
    let crashed = place.crash();
    edit(&crashed, boot);
    let reopened = crashed.open();
    assert!(reopened.started_after_unclean_boot());
    assert_eq!(reopened.start_barrier().unwrap().0, Barrier::Rebooted);
    let since = reopened.start_barrier().unwrap().1;
    drop(reopened);
    // Stopping during the wait does not end it.
    let again = crashed.open();
    assert_eq!(again.start_barrier(), Some((Barrier::Rebooted, since)));

    drop(ledger);
    edit(&place, boot);
    assert!(!place.open().started_after_unclean_boot());
}

#[tokio::test]
async fn an_older_copy_in_place_of_the_ledger_is_noticed() {
    let place = Place::new();
    let ledger = place.open();
    let id = run(&ledger).await;
    let during = place.crash();
    add(&ledger, id, new_item("a")).await;
    drop(ledger);
    let stopped = std::fs::read(place.path()).unwrap();
    drop(place.open());

    let restore = |bytes: &[u8]| std::fs::write(place.path(), bytes).unwrap();
    restore(&stopped);
    let barrier = place.open().start_barrier().unwrap().0;
    assert_eq!(
        barrier,
        Barrier::Restored,
        "a copy from before the last open"
    );

    // A copy taken while the owner worked, on the same boot.
    let fresh = Place::new();
    for suffix in ["", "-wal"] {
        let from = place::beside(&during.path(), suffix);
        std::fs::copy(from, place::beside(&fresh.path(), suffix)).unwrap();
    }
    let lock = place::beside(&place.path(), ".lock");
    std::fs::copy(lock, place::beside(&fresh.path(), ".lock")).unwrap();
    assert_eq!(fresh.open().start_barrier().unwrap().0, Barrier::Restored);

    // A copy without the lock file, and a file that is gone.
    let moved = place.crash();
    std::fs::remove_file(place::beside(&moved.path(), ".lock")).unwrap();
    edit(&moved, "DELETE FROM meta WHERE key = 'ledger.barrier'");
    assert_eq!(moved.open().start_barrier().unwrap().0, Barrier::Moved);
    std::fs::remove_file(moved.path()).unwrap();
    assert_eq!(moved.open().start_barrier().unwrap().0, Barrier::Restored);
}

#[tokio::test]
async fn a_reader_sees_what_is_acknowledged_and_changes_nothing() {
    let place = Place::new();
    let error = Reader::open(&place.path()).unwrap_err();
    assert!(error.to_string().contains("there is none yet"), "{error}");
    assert_eq!(std::fs::read_dir(place.dir.path()).unwrap().count(), 0);

    let ledger = place.open();
    let run = run(&ledger).await;
    let reader = Reader::open(&place.path()).unwrap();
    let item = add(&ledger, run, new_item("a")).await;
    assert_eq!(reader.item(item.id).unwrap().unwrap(), item);
    assert_eq!(reader.item_by_key("a").unwrap().unwrap(), item);
    assert_eq!(
        reader.items(run, None, ItemId(0), 9).unwrap(),
        std::slice::from_ref(&item)
    );
    assert_eq!(reader.files(item.id, 0, 9).unwrap().len(), 1);
    assert_eq!(reader.summary(run).unwrap()[0].bytes, 10);
    assert_eq!(reader.journal(Some(run), None, 0, 9).unwrap().len(), 1);
    assert!(matches!(
        reader.verify_chain().unwrap(),
        Chain::Whole { lines: 1, .. }
    ));
    assert_eq!(reader.run(None).unwrap().unwrap().id, run);
    let error = reader.conn.execute("DELETE FROM item", []);
    assert!(error.unwrap_err().to_string().contains("readonly"));

    // The owner dies; its log is still to be folded in.
    let crashed = place.crash();
    let before = std::fs::read(crashed.path()).unwrap();
    let reader = Reader::open(&crashed.path()).unwrap();
    assert_eq!(reader.item(item.id).unwrap().unwrap(), item);
    drop(reader);
    assert_eq!(std::fs::read(crashed.path()).unwrap(), before);
    assert!(place::beside(&crashed.path(), "-wal").exists());
    assert_eq!(crashed.open().item(item.id).await.unwrap().unwrap(), item);

    // The owner stops in order.
    drop(ledger);
    let before = std::fs::read(place.path()).unwrap();
    let reader = Reader::open(&place.path()).unwrap();
    assert_eq!(reader.item(item.id).unwrap().unwrap(), item);
    assert_eq!(reader.meta("nothing").unwrap(), None);
    drop(reader);
    assert_eq!(std::fs::read(place.path()).unwrap(), before);
}
