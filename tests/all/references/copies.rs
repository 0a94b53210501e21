//! Documents whose content is copied into iconik, onto storages of each vendor.

use super::*;

#[test]
fn content_is_copied_once_and_again_with_each_version() {
    let desk = Desk::new();
    desk.copied();
    let brief = desk.file("Brief.pdf");
    let lines = desk.systems.must(&["references"]);
    assert_eq!(outcomes(&lines), json!({"shown": 1}));
    let copies = desk.copies();
    assert_eq!((copies.len(), desk.links().len()), (1, 0));
    assert_eq!(copies[0]["title"], "Brief.pdf");
    assert_eq!(desk.contents(&copies[0]), [b"Brief.pdf".to_vec()]);
    desk.quiet(0);
    let listed = desk.systems.must(&["references", "list"]);
    let copy = &of_type(&listed, "reference_shown")["copy"];
    assert_eq!(copy["sha256"].as_str().map(str::len), Some(64), "{copy}");

    // A new version of the document is a new version of the asset.
    desk.person(|server| async move { server.add_version(brief, "second", content("2")).await });
    assert_eq!(
        outcomes(&desk.systems.must(&["references"])),
        json!({"updated": 1})
    );
    let copies = desk.copies();
    assert_eq!(copies.len(), 1);
    assert_eq!(copies[0]["versions"].as_array().map(Vec::len), Some(2));
    let both = [b"Brief.pdf".to_vec(), b"2".to_vec()];
    assert_eq!(desk.contents(&copies[0]), both);
    desk.quiet(0);

    // What somebody opens again in iconik is looked at, and found whole.
    let iconik = desk.systems.simulator.iconik();
    let rows = iconik.rows(Kind::File);
    let last = rows.iter().filter(|row| row["asset_id"] == copies[0]["id"]);
    let last = last.max_by_key(|row| row["directory_path"].to_string());
    let last = last.expect("a file")["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    assert!(iconik.change(Kind::File, &last, json!({"status": "OPEN"})));
    assert_eq!(outcomes(&desk.systems.must(&["references"])), json!({}));
    let full = desk.systems.must(&["references", "--full"]);
    assert_eq!(outcomes(&full), json!({"updated": 1}));
    assert_eq!(desk.contents(&copies[0]), both);
    desk.quiet(0);

    // A copy is no master: it does not come back as one.
    let before = desk.systems.versions().len();
    let (_, lines) = desk
        .systems
        .run(&["archive", &desk.systems.simulator.collection()]);
    let filed = desk.systems.versions();
    assert!(
        filed.len() > before,
        "the collection's own master is: {lines:#?}"
    );
    assert!(
        !filed
            .iter()
            .any(|version| version.name.starts_with("Brief") && version.node != brief.0)
    );

    let server = desk.systems.simulator.content_server();
    server.publish(brief.0, &[]).expect("no rights");
    assert_eq!(
        outcomes(&desk.systems.must(&["references"])),
        json!({"withdrawn": 1})
    );
    assert_eq!(desk.copies().len(), 0);
    desk.quiet(0);
    desk.systems.stop();
}

#[test]
fn a_copy_killed_anywhere_is_finished_and_nothing_is_there_twice() {
    let desk = Desk::new();
    desk.copied();
    // Two whole parts and a bit.
    let large = |seed: u64| {
        let master = Master::generated(seed, 16 * MIB + 77);
        desk.systems
            .simulator
            .content_server()
            .register(master.clone());
        master.read(ByteRange::new(0, master.size()))
    };
    let first = large(7);
    let folder = NodeId(desk.folder);
    let body = first.clone();
    let document = desk.person(|server| async move {
        let made = server
            .create_document(folder, "Long.pdf", bytes(body))
            .await?;
        Ok(made.node)
    });
    desk.file("Short.pdf");
    desk.die_at_each_step();
    desk.systems.must(&["references"]);
    let sent = || {
        let seen = desk.systems.simulator.history().of(System::Bucket);
        seen.iter().filter(|seen| seen.method == "PUT").count()
    };
    assert_eq!(sent(), 3 + 1, "no part is sent again, nor the short one");
    let copies = desk.copies();
    assert_eq!(copies.len(), 2);
    assert_eq!(desk.contents(&copies[0]), std::slice::from_ref(&first));
    assert_eq!(desk.contents(&copies[1]), [b"Short.pdf".to_vec()]);
    desk.quiet(0);

    // The same on the way to a second version.
    let second = large(8);
    let body = second.clone();
    desk.person(|server| async move { server.add_version(document, "two", bytes(body)).await });
    for place in [
        "copy-version:1",
        "copy-placed:1",
        "copy-part:2",
        "copy-sent:1",
    ] {
        desk.die(place);
    }
    desk.systems.must(&["references"]);
    let copies = desk.copies();
    assert_eq!(copies[0]["versions"].as_array().map(Vec::len), Some(2));
    assert_eq!(desk.contents(&copies[0]), [first, second]);
    assert_eq!(desk.systems.simulator.parts().bucket.open_uploads(), 0);
    desk.quiet(0);

    // A lost ledger finds the copies and their files again.
    for name in ["longhaul.db", "longhaul.db-wal", "longhaul.db-shm"] {
        let path = desk.systems.place.path().join(name);
        assert!(!path.exists() || std::fs::remove_file(&path).is_ok());
    }
    desk.systems.must(&["references"]);
    assert_eq!(desk.copies(), copies);
    desk.quiet(0);
    desk.systems.stop();
}

fn bytes(content: Vec<u8>) -> NewContent {
    NewContent::Body {
        file_name: "long.pdf".to_owned(),
        mime: "application/pdf".to_owned(),
        content: Content::Chunks(vec![Bytes::from(content)]),
    }
}

#[test]
fn a_copy_that_cannot_be_made_says_why_and_waits() {
    let desk = Desk::new();
    desk.file("Brief.pdf");
    let rows = desk.systems.simulator.iconik().rows(Kind::Storage);
    let share = rows.iter().find(|row| row["method"] == "FILE");
    let share = share.expect("a share")["id"].as_str().expect("an id");
    for (storage, words) in [
        (
            share,
            "Edit suite is reached by FILE; files are put on S3 and compatible, GCS, AZURE and B2 storages only",
        ),
        ("nowhere", "no storage nowhere"),
    ] {
        desk.rule(&format!(
            "folder = {}\ncopy = {{ storage = \"{storage}\" }}",
            desk.folder
        ));
        let (code, lines) = desk.systems.run(&["references"]);
        assert_eq!(code, 3, "{lines:#?}");
        let held = lines.iter().find(|line| line["outcome"] == "held");
        let why = held.expect("held")["why"].to_string();
        assert!(why.contains(words), "{why}");
        desk.quiet(3);
    }
    // A storage that refuses what was signed for it, with some of the parts.
    desk.copied();
    let faults = desk.systems.simulator.faults();
    let status = |code: u16| Action::Status {
        code,
        headers: std::collections::BTreeMap::new(),
        body: String::new(),
        applied: false,
        read_body: true,
    };
    let rule = faults.add(
        Rule::new(status(403))
            .on(System::Bucket)
            .method("PUT")
            .always(),
    );
    let (code, lines) = desk.systems.run(&["references"]);
    assert_eq!(code, 3, "{lines:#?}");
    let held = lines.iter().find(|line| line["outcome"] == "held");
    let why = held.expect("held")["why"].to_string();
    assert!(why.contains("refuses what iconik signed"), "{why}");
    desk.quiet(3);
    assert!(faults.remove(rule));
    // One that loses its breath once is asked again.
    let rule = Rule::new(status(500))
        .on(System::Bucket)
        .method("PUT")
        .nth(1);
    faults.add(rule);
    // Mended, it goes on with the asset that is there.
    desk.systems.must(&["references"]);
    let copies = desk.copies();
    assert_eq!(copies.len(), 1);
    assert_eq!(desk.contents(&copies[0]), [b"Brief.pdf".to_vec()]);
    desk.quiet(0);
    desk.systems.stop();
}

/// Content of two whole parts and a bit.
fn large(desk: &Desk, seed: u64) -> Vec<u8> {
    let master = Master::generated(seed, 16 * MIB + 77);
    let server = desk.systems.simulator.content_server();
    server.register(master.clone());
    master.read(ByteRange::new(0, master.size()))
}

/// The storage for copies becomes one of another vendor.
fn on(desk: &Desk, method: &str) {
    let iconik = desk.systems.simulator.iconik();
    let changed = iconik.change(Kind::Storage, &desk.storage(), json!({"method": method}));
    assert!(changed, "the storage can be changed");
}

/// Requests to the bucket that bring bytes, or begin.
fn asked(desk: &Desk, method: &str) -> usize {
    let seen = desk.systems.simulator.history().of(System::Bucket);
    seen.iter().filter(|seen| seen.method == method).count()
}

/// Nothing that opens an upload stays behind.
#[track_caller]
fn no_secrets(desk: &Desk) {
    for name in ["longhaul.db", "longhaul.db-wal"] {
        let path = desk.systems.place.path().join(name);
        let kept = std::fs::read(path).unwrap_or_default();
        let kept = String::from_utf8_lossy(&kept);
        for secret in [
            "-secret",
            "b2api",
            "upload_id=",
            "X-Goog-Signature",
            "&sig=",
        ] {
            assert!(!kept.contains(secret), "{secret} is in {name}");
        }
    }
}

/// A short and a long document, copied to a storage of this method with kills in between.
fn killed_on(method: &str) -> Desk {
    let desk = Desk::new();
    let storage = desk.storage();
    desk.copied();
    on(&desk, method);
    let content = large(&desk, 7);
    let (folder, body) = (NodeId(desk.folder), content.clone());
    desk.person(|server| async move {
        let made = server.create_document(folder, "Long.pdf", bytes(body));
        Ok(made.await?.node)
    });
    desk.file("Short.pdf");
    desk.die_at_each_step();
    desk.systems.must(&["references"]);
    let copies = desk.copies();
    assert_eq!(copies.len(), 2);
    assert_eq!(desk.contents(&copies[0]), [content]);
    assert_eq!(desk.contents(&copies[1]), [b"Short.pdf".to_vec()]);
    assert_eq!(desk.systems.simulator.parts().bucket.open_uploads(), 0);
    let rows = desk.systems.simulator.iconik().rows(Kind::File);
    let ours = rows
        .iter()
        .filter(|row| row["storage_id"] == storage.as_str());
    assert_eq!(
        ours.filter(|row| row["storage_method"] == method).count(),
        2,
        "each has one file"
    );
    no_secrets(&desk);
    desk.quiet(0);
    desk
}

#[test]
fn google_takes_content_in_sessions_and_a_killed_one_begins_another() {
    let desk = killed_on("GCS");
    // An empty document has a session too.
    let folder = NodeId(desk.folder);
    desk.person(|server| async move {
        let made = server.create_document(folder, "Void.txt", bytes(Vec::new()));
        Ok(made.await?.node)
    });
    desk.systems.must(&["references"]);
    let copies = desk.copies();
    assert_eq!(desk.contents(&copies[2]), [Vec::<u8>::new()]);
    desk.quiet(0);
    desk.systems.stop();
}

#[test]
fn azure_takes_content_in_blocks_and_no_block_twice() {
    let desk = killed_on("AZURE");
    let (blocks, list, short) = (3, 1, 1);
    assert_eq!(asked(&desk, "PUT"), blocks + list + short);
    desk.systems.stop();
}

#[test]
fn azure_addresses_that_may_only_write_cost_sending_again_and_nothing_else() {
    let desk = Desk::new();
    desk.copied();
    on(&desk, "AZURE");
    desk.systems.simulator.parts().bucket.set_azure_may("cw");
    let content = large(&desk, 9);
    let (folder, body) = (NodeId(desk.folder), content.clone());
    desk.person(|server| async move {
        let made = server.create_document(folder, "Long.pdf", bytes(body));
        Ok(made.await?.node)
    });
    desk.die("copy-part:2");
    desk.systems.must(&["references"]);
    assert_eq!(asked(&desk, "PUT"), 2 + 3 + 1);
    assert_eq!(desk.contents(&desk.copies()[0]), [content]);
    desk.quiet(0);
    desk.systems.stop();
}

#[test]
fn a_session_goes_on_where_the_store_says_after_every_disturbance() {
    let desk = Desk::new();
    desk.copied();
    on(&desk, "GCS");
    let content = large(&desk, 11);
    let (folder, body) = (NodeId(desk.folder), content.clone());
    desk.person(|server| async move {
        let made = server.create_document(folder, "Long.pdf", bytes(body));
        Ok(made.await?.node)
    });
    let faults = desk.systems.simulator.faults();
    let put = |action, nth| Rule::new(action).on(System::Bucket).method("PUT").nth(nth);
    let refuse = |applied| Action::Status {
        code: 500,
        headers: std::collections::BTreeMap::new(),
        body: String::new(),
        applied,
        read_body: true,
    };
    // The store takes less than it was sent, has a bad moment, and loses an answer.
    let bucket = &desk.systems.simulator.parts().bucket;
    bucket.set_google_takes(Some(3 * MIB));
    faults.add(put(refuse(false), 2));
    faults.add(put(refuse(true), 5));
    desk.systems.must(&["references"]);
    assert_eq!(desk.contents(&desk.copies()[0]), [content]);
    assert_eq!(asked(&desk, "POST"), 1, "one session is enough");
    no_secrets(&desk);
    desk.quiet(0);

    // A store that forgets the session gets another, in the same run.
    let second = large(&desk, 12);
    let body = second.clone();
    bucket.set_google_takes(None);
    faults.add(
        Rule::new(Action::Status {
            code: 410,
            headers: std::collections::BTreeMap::new(),
            body: String::new(),
            applied: false,
            read_body: true,
        })
        .on(System::Bucket)
        .method("PUT")
        .nth(2),
    );
    desk.person(|server| async move {
        let made = server.create_document(folder, "Other.pdf", bytes(body));
        Ok(made.await?.node)
    });
    desk.systems.must(&["references"]);
    assert_eq!(asked(&desk, "POST"), 3);
    assert_eq!(desk.contents(&desk.copies()[1]), [second]);
    desk.quiet(0);
    desk.systems.stop();
}

#[test]
fn b2_takes_content_in_parts_each_once_with_a_token_of_its_own() {
    let desk = killed_on("B2");
    let (parts, short) = (3, 1);
    assert_eq!(asked(&desk, "POST"), parts + short);
    // An address that was withdrawn is replaced, for whole files and for parts.
    let faults = desk.systems.simulator.faults();
    let post = |code, nth| {
        let refused = Action::Status {
            code,
            headers: std::collections::BTreeMap::new(),
            body: String::new(),
            applied: false,
            read_body: true,
        };
        Rule::new(refused)
            .on(System::Bucket)
            .method("POST")
            .nth(nth)
    };
    for (code, nth) in [(503, 1), (408, 3), (401, 4)] {
        faults.add(post(code, nth));
    }
    let content = large(&desk, 8);
    let (folder, body) = (NodeId(desk.folder), content.clone());
    desk.person(|server| async move {
        let made = server.create_document(folder, "Other.pdf", bytes(body));
        Ok(made.await?.node)
    });
    desk.file("Ü 1.pdf");
    desk.systems.must(&["references"]);
    let copies = desk.copies();
    assert_eq!(desk.contents(&copies[1]), [content]);
    assert_eq!(desk.contents(&copies[3]), ["Ü 1.pdf".as_bytes().to_vec()]);
    assert_eq!(desk.systems.simulator.parts().bucket.open_uploads(), 0);
    no_secrets(&desk);
    desk.quiet(0);
    desk.systems.stop();
}
