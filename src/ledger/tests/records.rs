//! Records and documents of an item's own: what opens a done item again, and what does not.

use super::*;

fn sidecar(text: &str) -> NewFile {
    NewFile {
        role: "metadata".into(),
        marker: "s".repeat(26),
        name: "a.mov.metadata.json".into(),
        size: text.len() as u64,
        content: Some(text.as_bytes().to_vec()),
        ..NewFile::default()
    }
}

fn item(record: Option<&str>, text: &str) -> NewItem {
    NewItem {
        record: record.map(str::to_owned),
        files: vec![new_file(1), sidecar(text)],
        ..new_item("a")
    }
}

/// Adds the item to a run of its own and brings it to done, all its files filed.
async fn done(ledger: &Ledger, new: NewItem) -> Item {
    let run = run(ledger).await;
    ledger.add_items(run, vec![new]).await.unwrap();
    let item = ledger.item_by_key("a").await.unwrap().unwrap();
    let mut change = Change::new().item(
        item.id,
        ItemPatch {
            node: Some(Some(NodeId(70))),
            version: Some(Some(VersionNumber(1))),
            ..state("done")
        },
    );
    for (file, node) in ledger.files(item.id, 0, 9).await.unwrap().iter().zip(70..) {
        let patch = FilePatch {
            step: Some("proved".into()),
            node: Some(Some(NodeId(node))),
            version: Some(Some(VersionNumber(1))),
            sha256: Some(Some(vec![7; 32])),
            ..FilePatch::default()
        };
        change = change.file(file.id, patch);
    }
    ledger.apply(change).await.unwrap();
    ledger.item(item.id).await.unwrap().unwrap()
}

async fn again(ledger: &Ledger, new: NewItem) -> (Added, Item, Vec<File>) {
    let run = run(ledger).await;
    let added = ledger.add_items(run, vec![new]).await.unwrap();
    let item = ledger.item_by_key("a").await.unwrap().unwrap();
    let files = ledger.files(item.id, 0, 9).await.unwrap();
    (added, item, files)
}

#[tokio::test]
async fn another_record_opens_a_done_item_and_leaves_its_files_as_they_are() {
    let place = Place::new();
    let ledger = place.open();
    done(&ledger, item(Some("one"), "x")).await;
    let (added, same, _) = again(&ledger, item(Some("one"), "x")).await;
    assert_eq!((added.already_done, same.state.as_str()), (1, "done"));
    let (added, plain, _) = again(&ledger, item(None, "x")).await;
    assert_eq!(
        (added.already_done, plain.record.as_deref()),
        (1, Some("one")),
        "plain filing takes no record away"
    );
    let (added, opened, files) = again(&ledger, item(Some("two"), "x")).await;
    assert_eq!((added.reopened, opened.state.as_str()), (1, "planned"));
    assert_eq!(opened.record.as_deref(), Some("two"));
    assert_eq!(opened.node, Some(NodeId(70)));
    assert!(files.iter().all(|file| file.step == "proved"));
}

#[tokio::test]
async fn another_sidecar_is_planned_again_as_the_same_document() {
    let place = Place::new();
    let ledger = place.open();
    let before = done(&ledger, item(None, "x")).await;
    let (added, opened, files) = again(&ledger, item(None, "longer")).await;
    assert_eq!(added.reopened, 1);
    assert_eq!(opened.bytes, before.bytes + 5);
    let steps: Vec<_> = files.iter().map(|file| file.step.as_str()).collect();
    assert_eq!(steps, ["proved", "planned"]);
    assert_eq!(files[1].content.as_deref(), Some("longer".as_bytes()));
    assert_eq!((files[1].node, files[1].version), (Some(NodeId(71)), None));
}

#[tokio::test]
async fn new_content_keeps_the_sidecar_s_document() {
    let place = Place::new();
    let ledger = place.open();
    done(&ledger, item(None, "x")).await;
    let new = NewItem {
        fingerprint: "f2".into(),
        ..item(None, "y")
    };
    let (_, opened, files) = again(&ledger, new).await;
    assert_eq!(opened.state, "planned");
    assert_eq!((files[0].node, files[1].node), (None, Some(NodeId(71))));
}

#[tokio::test]
async fn an_earlier_version_is_not_opened_for_its_sidecar() {
    let place = Place::new();
    let ledger = place.open();
    done(&ledger, item(Some("one"), "x")).await;
    let later = NewItem {
        after: Some("a".into()),
        ..new_item("b")
    };
    let run = run(&ledger).await;
    ledger.add_items(run, vec![later]).await.unwrap();
    let (added, first, _) = again(&ledger, item(Some("two"), "y")).await;
    assert_eq!((added.already_done, first.state.as_str()), (1, "done"));
}

#[tokio::test]
async fn what_lacks_something_is_held_until_it_is_complete() {
    let place = Place::new();
    let ledger = place.open();
    let lacking = |why: &str| NewItem {
        fingerprint: "refused incomplete".into(),
        refused: Some(("item-is-wrong".into(), "incomplete".into(), why.into())),
        files: Vec::new(),
        ..new_item("a")
    };
    let (_, held, _) = again(&ledger, lacking("no campaign")).await;
    assert_eq!(held.state, "held");
    let (_, held, _) = again(&ledger, lacking("no region")).await;
    assert_eq!(
        (held.state.as_str(), held.message.as_deref()),
        ("held", Some("no region"))
    );
    assert!(
        !ledger.requeue_item(held.id).await.unwrap(),
        "there is nothing to try"
    );
    let (_, complete, files) = again(&ledger, item(Some("one"), "x")).await;
    assert_eq!((complete.state.as_str(), files.len()), ("planned", 2));
    assert_eq!(complete.message, None);
}
