//! Every way in, end to end: part sizes, single POSTs, segments, cold and mounted storages, and
//! the lists a migration starts from.

use std::time::Duration;

use longhaul::simulator::campaign::{AssetSpec, Campaign, FileSpec, StorageKind, faulty, library};
use longhaul::simulator::content_server::{Config, Multipart};
use longhaul::simulator::iconik::{Kind, Quirks};
use longhaul::simulator::{Options, masters};
use longhaul::types::{ByteCount, KIB, MIB};
use serde_json::json;

use crate::support::{Extra, Systems, items, of_type, replace};

/// A campaign of masters: seed and size of each, named after the seed.
fn sizes(masters: &[(u64, ByteCount)]) -> Campaign {
    masters
        .iter()
        .fold(Campaign::new(), |campaign, (seed, size)| {
            let file = FileSpec::generated(&format!("master-{seed}.mxf"), *seed, *size);
            campaign.asset(AssetSpec::new(&format!("Master {seed}"), vec![file]))
        })
}

/// Options with upload sessions like these.
fn multipart(campaign: Campaign, change: impl FnOnce(&mut Multipart)) -> Options {
    let mut options = Options::with(campaign);
    // Long bodies pass on a machine that is busy with other tests.
    options.content_server.request_limit = Duration::from_secs(30);
    change(&mut options.content_server.multipart);
    options
}

/// Everything of `masters` is filed once with its own bytes, and reads back.
#[track_caller]
fn all_filed(systems: &Systems, masters: &[(u64, ByteCount)]) {
    for (seed, size) in masters {
        let versions = systems.named(&format!("master-{seed}.mxf"));
        assert_eq!(versions.len(), 1, "master {seed}: {versions:?}");
        assert_eq!(versions[0].size, *size);
        assert_eq!(
            versions[0].sha256.map(|digest| digest.to_string()),
            Some(masters::sha256(*seed, *size)),
            "master {seed}"
        );
    }
    let lines = systems.must(&["verify"]);
    assert_eq!(of_type(&lines, "verified")["differ"], 0);
}

#[track_caller]
fn with_parts_of(part_size: ByteCount, masters: &[(u64, ByteCount)], memory: &str) {
    let systems = Systems::with(
        multipart(sizes(masters), |multipart| multipart.part_size = part_size),
        Extra {
            sections: &format!("[transfer]\nmemory = \"{memory}\""),
            ..Extra::default()
        },
    );
    systems.archive(&[]);
    all_filed(&systems, masters);
    let parts = systems.simulator.content_server().history();
    let parts = parts.iter().filter(|event| event["kind"] == "part").count() as u64;
    let wanted: u64 = masters
        .iter()
        .map(|(_, size)| size.div_ceil(part_size))
        .sum();
    assert_eq!(parts, wanted, "each part once");
    systems.stop();
}

#[test]
fn parts_of_1_mib() {
    with_parts_of(MIB, &[(1, 9 * MIB), (2, 5 * MIB + 1)], "64 MiB");
}

#[test]
fn parts_of_8_mib_and_17_bytes() {
    let part = 8 * MIB + 17;
    with_parts_of(part, &[(1, 3 * part), (2, 3 * part - 1)], "64 MiB");
}

#[test]
fn parts_of_100_mib() {
    with_parts_of(100 * MIB, &[(1, 150 * MIB + 3)], "256 MiB");
}

#[test]
fn parts_of_256_mib_on_a_budget_that_holds_none_of_them() {
    with_parts_of(256 * MIB, &[(1, 256 * MIB + 5)], "32 MiB");
}

#[test]
fn eight_files_at_once_on_a_budget_of_one_and_a_half_parts() {
    let masters: Vec<_> = (1..=8).map(|seed| (seed, 20 * MIB + seed)).collect();
    with_parts_of(8 * MIB, &masters, "12 MiB");
}

#[test]
fn without_upload_sessions_every_size_goes_in_as_one_post() {
    let masters = [
        (1, 0),
        (2, 1),
        (3, MIB - 1),
        (4, MIB),
        (5, MIB + 1),
        (6, 30 * MIB + 7),
    ];
    let systems = Systems::start(multipart(sizes(&masters), |multipart| {
        multipart.enabled = false;
    }));
    systems.archive(&[]);
    all_filed(&systems, &masters);
    let history = systems.simulator.content_server().history();
    assert!(
        history
            .iter()
            .all(|event| event["kind"] != "part" && event["kind"] != "upload_start")
    );
    systems.stop();
}

#[test]
fn sizes_around_the_edge_of_the_upload_window_are_filed_by_the_way_that_takes_them() {
    let masters = [
        (1, 4 * MIB - 1),
        (2, 4 * MIB),
        (3, 4 * MIB + 1),
        (4, 8 * MIB),
    ];
    let systems = Systems::start(multipart(sizes(&masters), |multipart| {
        multipart.min_size = 4 * MIB;
        multipart.max_size = 8 * MIB + 1;
    }));
    systems.archive(&[]);
    all_filed(&systems, &masters);
    systems.stop();
}

#[test]
fn a_changed_master_becomes_a_version_of_its_document_by_either_way_in() {
    for enabled in [true, false] {
        let masters = [(1, 9 * MIB), (2, 2 * MIB)];
        let systems = Systems::start(multipart(sizes(&masters), |multipart| {
            multipart.enabled = enabled;
        }));
        systems.archive(&[]);
        all_filed(&systems, &masters);
        // The bytes behind both files change, and iconik knows it.
        for (seed, size) in [(1, 9 * MIB + 5), (2, 2 * MIB - 5)] {
            replace(&systems, &format!("master-{seed}.mxf"), seed + 10, size);
        }
        let lines = systems.archive(&[]);
        assert_eq!(
            items(of_type(&lines, "summary"), "done"),
            2,
            "{lines:#?}, sessions {enabled}"
        );
        for (seed, size) in [(1, 9 * MIB + 5), (2, 2 * MIB - 5)] {
            let versions = systems.named(&format!("master-{seed}.mxf"));
            assert_eq!(versions.len(), 2, "{versions:?}");
            assert_eq!(versions[0].node, versions[1].node);
            assert_eq!(
                versions[1].sha256.map(|digest| digest.to_string()),
                Some(masters::sha256(seed + 10, size))
            );
        }
        let lines = systems.archive(&[]);
        assert_eq!(of_type(&lines, "summary")["already_done"], 2);
        assert_eq!(systems.named("master-1.mxf").len(), 2);
        systems.stop();
    }
}

#[test]
fn a_master_above_the_window_is_split_joined_and_survives_a_kill_inside() {
    let size = 40 * MIB + 5;
    let systems = Systems::with(
        multipart(sizes(&[(1, size)]), |multipart| {
            multipart.max_size = 9 * MIB;
        }),
        Extra {
            sections: "[transfer]\noversize = \"split\"",
            ..Extra::default()
        },
    );
    let collection = systems.simulator.collection();
    let mut child = systems
        .place
        .killable()
        .args(["archive", &collection, "--limit-bandwidth", "10 MiB/s"])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("longhaul starts");
    // Killed once the second segment is on its way.
    let started = tokio::time::Instant::now();
    loop {
        let history = systems.simulator.content_server().history();
        let begun = history.iter().filter(|e| e["kind"] == "upload_start");
        if begun.count() >= 2 || started.elapsed() > Duration::from_secs(60) {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    if let Some(status) = child.try_wait().expect("a child") {
        let (_, lines) = systems.run(&["status"]);
        panic!("it ended too soon, {status}: {lines:#?}");
    }
    child.kill().expect("a kill");
    child.wait().expect("an end");

    systems.must(&["resume"]);
    let mut segments = systems.versions();
    segments.retain(|version| version.name.starts_with("master-1.mxf.0"));
    assert_eq!(segments.len(), 5, "{segments:?}");
    assert_eq!(segments.iter().map(|s| s.size).sum::<u64>(), size);
    let join = systems.named("master-1.mxf.join.json");
    assert_eq!(join.len(), 1);
    assert!(segments.iter().all(|s| s.parent == join[0].parent));
    let lines = systems.must(&["verify"]);
    assert_eq!(of_type(&lines, "verified")["differ"], 0);
    let folder = join[0].parent.to_string();
    let lines = systems.must(&["export", "--node", &folder, "--to", "joined.mxf"]);
    assert_eq!(
        of_type(&lines, "exported")["sha256"],
        masters::sha256(1, size)
    );
    let joined = systems.place.path().join("joined.mxf");
    assert_eq!(joined.metadata().expect("a file").len(), size);
    systems.stop();
}

#[test]
fn without_permission_to_split_an_oversize_master_is_parked_with_the_remedy() {
    let systems = Systems::start(multipart(sizes(&[(1, 12 * MIB)]), |multipart| {
        multipart.max_size = 9 * MIB;
    }));
    let collection = systems.simulator.collection();
    let (code, lines) = systems.run(&["archive", &collection]);
    assert_eq!(code, 1);
    let item = of_type(&lines, "item");
    assert_eq!(item["state"], "parked");
    let message = item["message"].as_str().expect("a message");
    assert!(
        message.contains("9.00 MiB") && message.contains("oversize"),
        "{message}"
    );
    assert_eq!(systems.versions().len(), 0);
    systems.stop();
}

/// A campaign with one master in Glacier.
fn cold() -> Campaign {
    let mut campaign = faulty();
    campaign.assets.retain(|asset| asset.title == "In Glacier");
    campaign
}

#[test]
fn a_master_in_glacier_is_restored_waited_for_and_filed() {
    let systems = Systems::start(Options {
        quirks: Quirks {
            thaw_ms: 1_500,
            ..Quirks::default()
        },
        ..Options::with(cold())
    });
    systems.archive(&[]);
    let filed = systems.named("cold.mxf");
    assert_eq!(filed.len(), 1);
    assert_eq!(
        filed[0].sha256.map(|digest| digest.to_string()),
        Some(masters::sha256(40, 2 * MIB))
    );
    let restores = systems.simulator.iconik().rows(Kind::Job);
    let restores = restores
        .iter()
        .filter(|job| job["type"] == "RESTORE_FROM_GLACIER");
    assert_eq!(restores.count(), 1, "asked for once");
    systems.stop();
}

#[test]
fn a_cold_master_is_parked_when_nobody_may_restore_it_and_left_when_told_not_to_wait() {
    let systems = Systems::start(Options {
        quirks: Quirks {
            thaw_ms: 600_000,
            ..Quirks::default()
        },
        ..Options::with(cold())
    });
    let collection = systems.simulator.collection();
    let (code, lines) = systems.run(&["archive", &collection, "--no-wait"]);
    assert_eq!(code, 75, "{lines:#?}");
    assert_eq!(items(of_type(&lines, "summary"), "waiting"), 1);

    let other = Systems::start(Options::with(cold()));
    let iconik = other.simulator.iconik();
    iconik.add_token("nobody", true, &["can_restore_archived_formats"]);
    let own = other.simulator.settings_toml();
    let settings = own.replace(iconik.token(), "nobody");
    other.place.write("longhaul.toml", &settings);
    let collection = other.simulator.collection();
    let (code, lines) = other.run(&["archive", &collection]);
    assert_eq!(code, 1, "{lines:#?}");
    let item = of_type(&lines, "item");
    assert_eq!(
        (&item["state"], &item["reason"]),
        (&json!("parked"), &json!("cold-storage"))
    );
    let message = item["message"].as_str().expect("a message");
    assert!(message.contains("restore"), "{message}");
    systems.stop();
    other.stop();
}

#[test]
fn a_master_on_premises_is_read_from_its_mount_and_parked_without_one() {
    let campaign = Campaign::new().asset(
        AssetSpec::new(
            "On the shelf",
            vec![FileSpec::generated("shelf.mov", 7, 6 * MIB).within("Films/2031")],
        )
        .with(|asset| {
            let set = &mut asset.versions[0][0].sets[0];
            *set = set.clone().on(StorageKind::OnPremise);
        }),
    );
    let systems = Systems::start(Options::with(campaign));
    let collection = systems.simulator.collection();
    let (code, lines) = systems.run(&["archive", &collection]);
    assert_eq!(code, 1);
    let message = of_type(&lines, "item")["message"].clone();
    let message = message.as_str().expect("a message");
    assert!(message.contains("mount"), "{message}");

    let rows = systems.simulator.iconik().rows(Kind::File);
    let row = rows
        .iter()
        .find(|row| row["original_name"] == "shelf.mov")
        .expect("the file");
    let storage = row["storage_id"].as_str().expect("a storage");
    let folder = row["directory_path"].as_str().expect("a folder");
    let mount = systems.place.path().join("mnt");
    let folder = mount.join(folder.trim_start_matches('/'));
    std::fs::create_dir_all(&folder).expect("a folder");
    let content = masters::Master::generated(7, 6 * MIB);
    let name = row["name"].as_str().expect("a name");
    let bytes = content.read(longhaul::types::ByteRange::new(0, 6 * MIB));
    std::fs::write(folder.join(name), bytes).expect("a master");
    systems.configure(Extra {
        iconik: &format!("mounts = {{ \"{storage}\" = \"{}\" }}", mount.display()),
        ..Extra::default()
    });
    systems.archive(&[]);
    let filed = systems.named("shelf.mov");
    assert_eq!(filed.len(), 1);
    assert_eq!(
        filed[0].sha256.map(|digest| digest.to_string()),
        Some(masters::sha256(7, 6 * MIB))
    );
    systems.stop();
}

#[test]
fn a_library_is_migrated_by_query_saved_search_ids_and_csv_and_never_twice() {
    let masters: Vec<_> = (1..=6).map(|seed| (seed, 10 * KIB + seed)).collect();
    let systems = Systems::start(Options::with(sizes(&masters)));
    let ids = systems.assets(&["Master 1", "Master 2", "Master 3", "Master 4"]);

    let lines = systems.must(&["migrate", "--query", "title:\"Master 6\""]);
    assert_eq!(items(of_type(&lines, "summary"), "done"), 1);
    assert_eq!(systems.named("master-6.mxf").len(), 1);

    systems.place.write(
        "ids.txt",
        &format!(
            "# two, one of them twice\n{}\n{}\n{}\n",
            ids[0], ids[1], ids[0]
        ),
    );
    let lines = systems.must(&["migrate", "--ids", "ids.txt"]);
    assert_eq!(items(of_type(&lines, "summary"), "done"), 2);

    let csv = format!("title,asset\n\"Two, again\",{}\nThree,{}\n", ids[1], ids[2]);
    systems.place.write("list.csv", &csv);
    let lines = systems.must(&["migrate", "--csv", "list.csv", "--id-column", "asset"]);
    let summary = of_type(&lines, "summary");
    assert_eq!(items(summary, "done"), 1);
    assert_eq!(summary["already_done"], 1);

    let saved = saved_search(&systems, "Master");
    let lines = systems.must(&["migrate", "--search", &saved]);
    let summary = of_type(&lines, "summary");
    assert_eq!(items(summary, "done"), 2, "{lines:#?}");
    assert_eq!(summary["already_done"], 4);
    all_filed(&systems, &masters);
    systems.stop();
}

/// Saves a search for that word, as a person would on the web page; its id.
fn saved_search(systems: &Systems, word: &str) -> String {
    use std::io::{Read as _, Write as _};
    let iconik = systems.simulator.iconik();
    let address = systems.simulator.iconik_url();
    let host = address.trim_start_matches("http://").trim_end_matches('/');
    let body = json!({"name": "Everything", "criteria": {"doc_types": ["assets"], "query": word}})
        .to_string();
    let mut stream = std::net::TcpStream::connect(host).expect("iconik");
    write!(
        stream,
        "POST /API/search/v1/search/saved/ HTTP/1.1\r\nHost: {host}\r\nApp-ID: {}\r\nAuth-Token: {}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        iconik.app_id(),
        iconik.token(),
        body.len()
    )
    .expect("a request");
    let mut reply = String::new();
    stream.read_to_string(&mut reply).expect("a reply");
    assert!(reply.starts_with("HTTP/1.1 201"), "{reply}");
    let json = &reply[reply.find('{').expect("JSON")..=reply.rfind('}').expect("JSON")];
    let saved: serde_json::Value = serde_json::from_str(json).expect("JSON");
    saved["id"].as_str().expect("an id").to_owned()
}

#[test]
fn a_broken_list_is_named_with_its_line_before_anything_is_filed() {
    let systems = Systems::start(Options::with(sizes(&[(1, KIB), (2, KIB)])));
    let ids = systems.assets(&["Master 1", "Master 2"]);
    let csv = format!(
        "id,title\n{},One\nno-id-at-all,Two\n{},Three\n",
        ids[0], ids[1]
    );
    systems.place.write("list.csv", &csv);
    let (code, lines) = systems.run(&["migrate", "--csv", "list.csv"]);
    assert_eq!(code, 2, "{lines:#?}");
    let message = of_type(&lines, "exit")["message"].clone();
    let message = message.as_str().expect("a message");
    assert!(
        message.contains("list.csv")
            && message.contains("line 3")
            && message.contains("no-id-at-all"),
        "{message}"
    );
    assert!(
        systems.named("master-1.mxf").is_empty() && systems.named("master-2.mxf").is_empty(),
        "a slip anywhere is known before the first byte moves"
    );

    systems.place.write("empty.txt", "");
    let (code, _) = systems.run(&["migrate", "--ids", "empty.txt"]);
    assert_eq!(code, 0);
    let (code, lines) = systems.run(&["migrate", "--csv", "absent.csv"]);
    assert_eq!(code, 2);
    let message = of_type(&lines, "exit")["message"].to_string();
    assert!(message.contains("absent.csv"), "{message}");
    systems.place.write("other.csv", "name\nx\n");
    let (code, lines) = systems.run(&["migrate", "--csv", "other.csv"]);
    assert_eq!(code, 2);
    let message = of_type(&lines, "exit")["message"].to_string();
    assert!(message.contains("--id-column"), "{message}");
    systems.stop();
}

#[test]
fn a_library_of_hundreds_streams_through() {
    let mut options = Options::with(library(300, 2 * KIB));
    options.quirks.calls_per_second = None;
    options.content_server = Config {
        request_limit: Duration::from_secs(30),
        ..options.content_server
    };
    let systems = Systems::with(
        options,
        Extra {
            iconik: "calls_per_second = 1000",
            sections: "[transfer]\nsidecar = false",
            ..Extra::default()
        },
    );
    let lines = systems.must(&["migrate", "--query", "*"]);
    let done = items(of_type(&lines, "summary"), "done");
    assert_eq!(done, 300);
    assert_eq!(systems.versions().len(), 300);
    systems.stop();
}
