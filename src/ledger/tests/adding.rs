//! Adding, taking, blocking and asking again.

use super::*;

const DAY: i64 = 86_400_000;

/// Brings the item of `key` into `state`.
async fn bring(ledger: &Ledger, key: &str, to: &str) -> Item {
    let item = ledger.item_by_key(key).await.unwrap().unwrap();
    ledger
        .apply(Change::new().item(item.id, state(to)))
        .await
        .unwrap();
    ledger.item(item.id).await.unwrap().unwrap()
}

fn changed(key: &str) -> NewItem {
    NewItem {
        fingerprint: "f2".into(),
        title: "Newer".into(),
        name: "newer.mov".into(),
        files: vec![new_file(1), new_file(2)],
        ..new_item(key)
    }
}

fn refused(key: &str) -> NewItem {
    NewItem {
        refused: Some((
            "item-is-wrong".into(),
            "unsupported".into(),
            "a link".into(),
        )),
        ..new_item(key)
    }
}

async fn events(ledger: &Ledger, item: ItemId) -> Vec<String> {
    let lines = ledger.journal(None, Some(item), 0, 100).await.unwrap();
    lines.into_iter().map(|line| line.event).collect()
}

#[tokio::test]
async fn new_items_are_planned_or_parked_and_journalled() {
    let place = Place::new();
    let ledger = place.open();
    let run = run(&ledger).await;
    let items = vec![new_item("a"), refused("b")];
    let added = ledger.add_items(run, items).await.unwrap();
    assert_eq!(
        added,
        Added {
            new: 2,
            ..Added::default()
        }
    );
    let a = ledger.item_by_key("a").await.unwrap().unwrap();
    assert_eq!(
        (a.state.as_str(), a.run, a.files, a.bytes),
        ("planned", run, 1, 10)
    );
    assert_eq!((a.proof.as_str(), a.attempts, a.next_at), ("none", 0, 0));
    let b = ledger.item_by_key("b").await.unwrap().unwrap();
    assert_eq!(b.state, "parked");
    assert_eq!(b.class.as_deref(), Some("item-is-wrong"));
    assert_eq!(b.reason.as_deref(), Some("unsupported"));
    assert_eq!(b.message.as_deref(), Some("a link"));
    assert_eq!(events(&ledger, a.id).await, ["planned"]);
    assert_eq!(events(&ledger, b.id).await, ["planned"]);
}

#[tokio::test]
async fn a_done_item_that_comes_again_unchanged_is_counted_and_left_alone() {
    let place = Place::new();
    let ledger = place.open();
    let first = run(&ledger).await;
    add(&ledger, first, new_item("a")).await;
    let before = bring(&ledger, "a", "done").await;
    let second = run(&ledger).await;
    let added = ledger.add_items(second, vec![new_item("a")]).await.unwrap();
    assert_eq!(
        added,
        Added {
            already_done: 1,
            ..Added::default()
        }
    );
    assert_eq!(ledger.item(before.id).await.unwrap().unwrap(), before);
    let count = async |id| ledger.run(Some(id)).await.unwrap().unwrap().already_done;
    assert_eq!(count(second).await, 1);
    // The same page again within the run that did it: it was not done before the run.
    let added = ledger.add_items(first, vec![new_item("a")]).await.unwrap();
    assert_eq!(added.already_done, 1);
    assert_eq!(count(first).await, 0);
}

#[tokio::test]
async fn a_done_item_with_other_content_is_planned_again_as_a_version_of_its_node() {
    let place = Place::new();
    let ledger = place.open();
    let first = run(&ledger).await;
    let item = add(&ledger, first, new_item("a")).await;
    let patch = ItemPatch {
        state: Some("done".into()),
        kind: Some("split".into()),
        name: Some("a (2).mov".into()),
        node: Some(Some(NodeId(77))),
        version: Some(Some(VersionNumber(1))),
        container: Some(Some(NodeId(5))),
        proof: Some("sent".into()),
        attempts: Some(3),
        next_at: Some(99),
        ..ItemPatch::default()
    };
    ledger
        .apply(Change::new().item(item.id, patch))
        .await
        .unwrap();
    let second = run(&ledger).await;
    let added = ledger.add_items(second, vec![changed("a")]).await.unwrap();
    assert_eq!(
        added,
        Added {
            reopened: 1,
            ..Added::default()
        }
    );
    let again = ledger.item(item.id).await.unwrap().unwrap();
    let expected = Item {
        run: second,
        title: "Newer".into(),
        name: "a (2).mov".into(),
        fingerprint: "f2".into(),
        node: Some(NodeId(77)),
        files: 2,
        bytes: 3,
        ..item.clone()
    };
    assert_eq!(again, expected);
    assert_eq!(events(&ledger, item.id).await, ["planned", "reopened"]);
    let line = ledger
        .journal(Some(second), None, 0, 1)
        .await
        .unwrap()
        .remove(0);
    assert!(line.data.contains("\"version\":1"), "{}", line.data);
}

#[tokio::test]
async fn a_done_item_stays_done_when_its_source_has_lost_it_or_keeps_another_copy() {
    let place = Place::new();
    let ledger = place.open();
    let first = run(&ledger).await;
    let quoted = |md5: Option<&str>, marker: &str| NewFile {
        md5: md5.map(str::to_owned),
        marker: marker.to_owned(),
        ..new_file(10)
    };
    let filed = NewItem {
        files: vec![quoted(Some("aa"), "m1")],
        ..new_item("a")
    };
    add(&ledger, first, filed.clone()).await;
    let done = bring(&ledger, "a", "done").await;
    let second = run(&ledger).await;
    let other = |files: Vec<NewFile>, archived: bool| NewItem {
        fingerprint: "elsewhere".to_owned(),
        files,
        archived,
        ..new_item("a")
    };
    let gone = NewItem {
        fingerprint: "refused no-files".to_owned(),
        files: Vec::new(),
        ..refused("a")
    };
    for (what, same) in [
        ("nothing is left of it", gone),
        (
            "a copy with the checksum",
            other(vec![quoted(Some("AA"), "m2")], false),
        ),
        (
            "an archived copy that quotes none",
            other(vec![quoted(None, "m2")], true),
        ),
    ] {
        let added = ledger.add_items(second, vec![same]).await.unwrap();
        assert_eq!(added.already_done, 1, "{what}");
        assert_eq!(ledger.item(done.id).await.unwrap().unwrap(), done, "{what}");
    }
    for (what, changed) in [
        (
            "another checksum",
            other(vec![quoted(Some("bb"), "m2")], true),
        ),
        (
            "no checksum, not archived",
            other(vec![quoted(None, "m2")], false),
        ),
        (
            "the same file of another date",
            other(vec![quoted(Some("aa"), "m1")], false),
        ),
        (
            "another size",
            other(
                vec![NewFile {
                    size: 11,
                    ..quoted(Some("aa"), "m2")
                }],
                true,
            ),
        ),
        (
            "a file more",
            other(vec![quoted(Some("aa"), "m2"), new_file(1)], true),
        ),
    ] {
        let added = ledger.add_items(second, vec![changed]).await.unwrap();
        assert_eq!(added.reopened, 1, "{what}");
        ledger.add_items(second, vec![filed.clone()]).await.unwrap();
        bring(&ledger, "a", "done").await;
    }
}

#[tokio::test]
async fn an_unfinished_item_is_taken_over_with_its_progress() {
    let place = Place::new();
    let ledger = place.open();
    let first = run(&ledger).await;
    let item = add(&ledger, first, new_item("a")).await;
    let file = only_file(&ledger, item.id).await;
    let part = Part {
        number: 1,
        digest: vec![1; 16],
        state: vec![2],
        acked: true,
    };
    let patch = ItemPatch {
        next_at: Some(7),
        ..state("waiting")
    };
    let change = Change::new()
        .item(item.id, patch)
        .part(file.id, part.clone());
    ledger.apply(change).await.unwrap();
    let second = run(&ledger).await;
    let again = NewItem {
        title: "Other title".into(),
        parent: 3000,
        name: "other.mov".into(),
        ..new_item("a")
    };
    let added = ledger.add_items(second, vec![again.clone()]).await.unwrap();
    assert_eq!(
        added,
        Added {
            taken_over: 1,
            ..Added::default()
        }
    );
    let taken = ledger.item(item.id).await.unwrap().unwrap();
    assert_eq!(
        (taken.run, taken.state.as_str(), taken.next_at),
        (second, "waiting", 7)
    );
    assert_eq!(
        (taken.title.as_str(), taken.name.as_str()),
        ("Other title", "other.mov")
    );
    assert_eq!(taken.parent, NodeId(3000));
    assert_eq!(ledger.parts(file.id).await.unwrap(), [part]);

    // Under a name where something stands already, it stays.
    let staged = ItemPatch {
        container: Some(Some(NodeId(9))),
        ..ItemPatch::default()
    };
    ledger
        .apply(Change::new().item(item.id, staged))
        .await
        .unwrap();
    let third = NewItem {
        name: "third.mov".into(),
        ..again
    };
    ledger.add_items(second, vec![third]).await.unwrap();
    let taken = ledger.item(item.id).await.unwrap().unwrap();
    assert_eq!(taken.name, "other.mov");
}

#[tokio::test]
async fn an_unfinished_item_with_other_content_starts_again() {
    let place = Place::new();
    let ledger = place.open();
    let first = run(&ledger).await;
    for before in ["planned", "waiting", "failed", "parked", "held", "conflict"] {
        let item = add(&ledger, first, new_item(before)).await;
        let file = only_file(&ledger, item.id).await;
        bring(&ledger, before, before).await;
        let added = ledger
            .add_items(first, vec![changed(before)])
            .await
            .unwrap();
        assert_eq!(added.taken_over, 1);
        let again = ledger.item(item.id).await.unwrap().unwrap();
        assert_eq!(again.state, "planned", "{before}");
        assert_eq!((again.files, again.bytes), (2, 3));
        assert_eq!(
            (again.fingerprint.as_str(), again.name.as_str()),
            ("f2", "newer.mov")
        );
        assert!(
            ledger
                .files(item.id, 0, 9)
                .await
                .unwrap()
                .iter()
                .all(|f| f.id != file.id)
        );
        assert_eq!(events(&ledger, item.id).await, ["planned", "replanned"]);
    }
}

#[tokio::test]
async fn what_is_in_work_in_doubt_or_evidence_keeps_its_files() {
    let place = Place::new();
    let ledger = place.open();
    let first = run(&ledger).await;
    let second = run(&ledger).await;
    for key in ["active", "quarantined", "doubt"] {
        let item = add(&ledger, first, new_item(key)).await;
        let file = only_file(&ledger, item.id).await;
        let mut change = Change::new();
        if key == "doubt" {
            let patch = FilePatch {
                intent: Some(Some("{}".into())),
                ..FilePatch::default()
            };
            change = change.item(item.id, state("waiting")).file(file.id, patch);
        } else {
            change = change.item(item.id, state(key));
        }
        ledger.apply(change).await.unwrap();
        let before = ledger.item(item.id).await.unwrap().unwrap();
        let added = ledger.add_items(second, vec![changed(key)]).await.unwrap();
        assert_eq!(added.taken_over, 1);
        let after = ledger.item(item.id).await.unwrap().unwrap();
        assert_eq!(
            after,
            Item {
                run: second,
                ..before
            }
        );
        assert_eq!(only_file(&ledger, item.id).await.id, file.id);
        assert_eq!(
            events(&ledger, item.id).await,
            ["planned", "change-deferred"]
        );
    }
}

#[tokio::test]
async fn another_run_is_another_chance_for_what_failed_but_not_for_what_waits_for_a_person() {
    let place = Place::new();
    let ledger = place.open();
    let first = run(&ledger).await;
    for (before, after) in [
        ("failed", "planned"),
        ("parked", "planned"),
        ("held", "held"),
        ("conflict", "conflict"),
        ("quarantined", "quarantined"),
        ("waiting", "waiting"),
    ] {
        add(&ledger, first, new_item(before)).await;
        bring(&ledger, before, before).await;
        let same = add(&ledger, first, new_item(before)).await;
        assert_eq!(same.state, before, "repeating a page changes nothing");
        let second = run(&ledger).await;
        let other = add(&ledger, second, new_item(before)).await;
        assert_eq!((other.state.as_str(), other.run), (after, second));
    }
    let third = run(&ledger).await;
    assert_eq!(add(&ledger, third, refused("failed")).await.state, "parked");
    assert_eq!(add(&ledger, third, refused("held")).await.state, "held");
}

#[tokio::test]
async fn a_page_of_the_enumeration_and_its_cursor_are_one() {
    let place = Place::new();
    let ledger = place.open();
    let run = run(&ledger).await;
    let page = vec![
        new_item("a"),
        NewItem {
            after: Some("none".into()),
            ..new_item("b")
        },
    ];
    let error = ledger
        .add_page(run, page, Some("2".into()), false, 4)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("not in the ledger"), "{error}");
    assert_eq!(ledger.run(None).await.unwrap().unwrap().left_out, 0);
    assert_eq!(ledger.item_by_key("a").await.unwrap(), None);
    assert!(ledger.journal(None, None, 0, 9).await.unwrap().is_empty());

    ledger
        .add_page(run, vec![new_item("a")], Some("2".into()), false, 4)
        .await
        .unwrap();
    let found = ledger.run(None).await.unwrap().unwrap();
    assert_eq!(
        (found.left_out, found.scan_cursor.as_deref()),
        (4, Some("2"))
    );
    // An enumeration from the beginning counts anew what the one before it counted.
    ledger.begin_scan(run).await.unwrap();
    let found = ledger.run(None).await.unwrap().unwrap();
    assert_eq!((found.left_out, found.scan_cursor), (0, None));
    assert!(ledger.item_by_key("a").await.unwrap().is_some());
    let error = ledger.add_items(RunId(99), vec![]).await.unwrap_err();
    assert!(
        matches!(error, Error::Missing { table: "run", .. }),
        "{error}"
    );
}

fn taken(items: &[Item]) -> Vec<&str> {
    items.iter().map(|item| item.key.as_str()).collect()
}

#[tokio::test]
async fn due_items_are_taken_oldest_first_and_only_once() {
    let place = Place::new();
    let ledger = place.open();
    let first = run(&ledger).await;
    let items = ["a", "b", "c", "d"].map(new_item).to_vec();
    ledger.add_items(first, items).await.unwrap();
    let b = ledger.item_by_key("b").await.unwrap().unwrap();
    let patch = ItemPatch {
        next_at: Some(DAY),
        ..state("waiting")
    };
    ledger.apply(Change::new().item(b.id, patch)).await.unwrap();
    assert_eq!(ledger.next_due(first).await.unwrap(), Some(0));

    let items = ledger.take_items(first, 0, 2).await.unwrap();
    assert_eq!(taken(&items), ["a", "c"]);
    assert!(items.iter().all(|item| item.state == "active"));
    let stored = ledger
        .items(first, Some("active"), ItemId(0), 9)
        .await
        .unwrap();
    assert_eq!(stored, items);
    // What waited comes before what was planned after it.
    let items = ledger.take_items(first, DAY, 1).await.unwrap();
    assert_eq!(taken(&items), ["b"]);
    assert_eq!(
        taken(&ledger.take_items(first, DAY, 9).await.unwrap()),
        ["d"]
    );
    assert!(ledger.take_items(first, DAY, 9).await.unwrap().is_empty());
    assert_eq!(ledger.next_due(first).await.unwrap(), None);
    assert!(
        ledger
            .take_items(RunId(2), DAY, 9)
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn versions_of_an_asset_are_taken_one_after_the_other() {
    let place = Place::new();
    let ledger = place.open();
    let first = run(&ledger).await;
    let after = |key: &str, after: &str| NewItem {
        after: Some(after.into()),
        ..new_item(key)
    };
    // The order within a batch does not matter.
    let items = vec![after("v3", "v2"), after("v2", "v1"), new_item("v1")];
    ledger.add_items(first, items).await.unwrap();
    for version in ["v1", "v2", "v3"] {
        let items = ledger.take_items(first, 0, 9).await.unwrap();
        assert_eq!(taken(&items), [version]);
        assert_eq!(ledger.next_due(first).await.unwrap(), None);
        assert!(ledger.take_items(first, 0, 9).await.unwrap().is_empty());
        assert_eq!(
            ledger.blocked(first).await.unwrap(),
            0,
            "only waiting its turn"
        );
        bring(&ledger, version, "done").await;
    }
    // The first is opened again: what comes after it and is not done waits again.
    bring(&ledger, "v2", "planned").await;
    add(&ledger, first, changed("v1")).await;
    assert_eq!(
        taken(&ledger.take_items(first, 0, 9).await.unwrap()),
        ["v1"]
    );
    bring(&ledger, "v1", "done").await;
    assert_eq!(
        taken(&ledger.take_items(first, 0, 9).await.unwrap()),
        ["v2"]
    );
}

#[tokio::test]
async fn what_comes_after_a_stopped_item_is_blocked_and_counted() {
    let place = Place::new();
    let ledger = place.open();
    let first = run(&ledger).await;
    let after = |key: &str, after: &str| NewItem {
        after: Some(after.into()),
        ..new_item(key)
    };
    let items = vec![
        new_item("v1"),
        after("v2", "v1"),
        after("v3", "v2"),
        new_item("x"),
    ];
    ledger.add_items(first, items).await.unwrap();
    for stopped in ["failed", "parked", "held", "conflict", "quarantined"] {
        bring(&ledger, "v1", stopped).await;
        assert_eq!(ledger.blocked(first).await.unwrap(), 2, "{stopped}");
    }
    bring(&ledger, "x", "done").await;
    assert_eq!(ledger.next_due(first).await.unwrap(), None);
    assert_eq!(
        ledger.requeue(first, &["quarantined"], None).await.unwrap(),
        1
    );
    assert_eq!(ledger.blocked(first).await.unwrap(), 0);
    assert_eq!(ledger.next_due(first).await.unwrap(), Some(0));

    // Nobody works on an earlier run's leftovers.
    let second = run(&ledger).await;
    add(&ledger, second, after("v4", "v3")).await;
    assert_eq!(ledger.blocked(second).await.unwrap(), 1);
}

#[tokio::test]
async fn items_that_would_wait_for_each_other_are_refused() {
    let place = Place::new();
    let ledger = place.open();
    let run = run(&ledger).await;
    let after = |key: &str, after: &str| NewItem {
        after: Some(after.into()),
        ..new_item(key)
    };
    for items in [
        vec![after("a", "a")],
        vec![after("a", "b"), after("b", "a")],
        vec![after("a", "b"), after("b", "c"), after("c", "a")],
    ] {
        let error = ledger.add_items(run, items).await.unwrap_err();
        assert!(error.to_string().contains("wait for each other"), "{error}");
    }
    assert!(ledger.summary(run).await.unwrap().is_empty());
}

#[tokio::test]
async fn stopped_items_go_back_to_the_start_by_state_and_class() {
    let place = Place::new();
    let ledger = place.open();
    let run = run(&ledger).await;
    let items = ["a", "b", "c"].map(new_item).to_vec();
    ledger.add_items(run, items).await.unwrap();
    for (key, to, class) in [
        ("a", "failed", "retry-now"),
        ("b", "failed", "item-is-wrong"),
        ("c", "parked", "retry-now"),
    ] {
        let item = ledger.item_by_key(key).await.unwrap().unwrap();
        let patch = ItemPatch {
            attempts: Some(5),
            next_at: Some(DAY),
            failure: Some(Some((class.into(), "other".into(), "text".into()))),
            ..state(to)
        };
        ledger
            .apply(Change::new().item(item.id, patch))
            .await
            .unwrap();
    }
    let class = Some("retry-now");
    assert_eq!(ledger.requeue(run, &["failed"], class).await.unwrap(), 1);
    let a = ledger.item_by_key("a").await.unwrap().unwrap();
    assert_eq!(
        (a.state.as_str(), a.attempts, a.next_at, a.class),
        ("planned", 0, 0, None)
    );
    assert_eq!(
        ledger
            .requeue(run, &["failed", "parked"], None)
            .await
            .unwrap(),
        2
    );
    assert_eq!(
        ledger
            .requeue(run, &["failed", "parked"], None)
            .await
            .unwrap(),
        0
    );
    for wrong in ["done", "active", "planned", "nonsense"] {
        let error = ledger.requeue(run, &[wrong], None).await.unwrap_err();
        assert!(matches!(error, Error::Refused { .. }), "{error}");
    }
    let lines = ledger.journal(Some(run), None, 0, 99).await.unwrap();
    let requeued = lines.iter().filter(|line| line.event == "requeued");
    assert_eq!(requeued.count(), 2);
}

#[tokio::test]
async fn names_that_a_container_takes_for_the_same_are_found() {
    let place = Place::new();
    let ledger = place.open();
    let run = run(&ledger).await;
    let named = |key: &str, name: &str| NewItem {
        name: name.into(),
        ..new_item(key)
    };
    let items = vec![
        named("a", "Caf\u{e9}.MOV"),
        named("b", "cafe\u{301}.mov"),
        named("c", "cafe.mov"),
        NewItem {
            parent: 1,
            ..named("d", "caf\u{e9}.mov")
        },
    ];
    ledger.add_items(run, items).await.unwrap();
    let found = ledger
        .items_named(NodeId(2000), "CAF\u{c9}.mov")
        .await
        .unwrap();
    assert_eq!(taken(&found), ["a", "b"]);
    let patch = ItemPatch {
        name: Some("other.mov".into()),
        ..ItemPatch::default()
    };
    ledger
        .apply(Change::new().item(found[0].id, patch))
        .await
        .unwrap();
    let found = ledger
        .items_named(NodeId(2000), "caf\u{e9}.mov")
        .await
        .unwrap();
    assert_eq!(taken(&found), ["b"]);
}

/// The details of a query plan, one line a step.
fn plan(conn: &rusqlite::Connection, sql: &str) -> String {
    let mut statement = conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    let mut steps = statement.raw_query();
    let mut plan = String::new();
    while let Some(step) = steps.next().unwrap() {
        plan += &step.get::<_, String>(3).unwrap();
        plan.push('\n');
    }
    plan
}

#[tokio::test]
async fn a_hundred_thousand_items_are_added_and_taken_without_looking_at_them_all() {
    let place = Place::new();
    let ledger = place.open();
    let run = run(&ledger).await;
    for page in 0..100 {
        let items = (0..1000)
            .map(|n| new_item(&format!("{page:03}-{n:03}")))
            .collect();
        ledger
            .add_page(run, items, None, page == 99, 0)
            .await
            .unwrap();
    }
    let items = ledger.take_items(run, 0, 64).await.unwrap();
    assert_eq!(items.len(), 64);
    assert_eq!(items[63].key, "000-063");
    let summary = ledger.summary(run).await.unwrap();
    let planned = summary
        .iter()
        .find(|count| count.state == "planned")
        .unwrap();
    assert_eq!((planned.items, planned.bytes), (99_936, 999_360));
    let page = ledger.items(run, None, ItemId(50_000), 2).await.unwrap();
    assert_eq!(page[0].id, ItemId(50_001));
    drop(ledger);

    let conn = place.sqlite();
    let mut queries = vec![
        reader::items_sql(true),
        reader::items_sql(false),
        reader::SUMMARY.to_owned(),
        reader::BLOCKED.to_owned(),
    ];
    for state in ["planned", "waiting"] {
        queries.push(items::take_sql(state));
        queries.push(reader::next_due_sql(state));
    }
    for sql in queries {
        let plan = plan(&conn, &sql);
        assert!(!plan.contains("TEMP B-TREE"), "{sql}\n{plan}");
        for step in plan.lines().filter(|step| step.starts_with("SCAN")) {
            // The recursion's own queue is scanned, never a table.
            assert_eq!(step, "SCAN stuck", "{sql}\n{plan}");
        }
    }
}
