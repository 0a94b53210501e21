//! From an asset to its master.

use serde_json::{Value, json};

use super::double::{Double, Reply, Seen};
use crate::iconik::{AssetPlan, Config, Locator, Method, Versions, Why};

/// Plans asset `a` against a world of JSON by path.
async fn plan(world: Value, versions: Versions) -> (AssetPlan, Double) {
    plan_with(world, versions, |_| {}).await
}

async fn plan_with(
    world: Value,
    versions: Versions,
    settings: impl FnOnce(&mut Config),
) -> (AssetPlan, Double) {
    let double = Double::start(|_| {
        move |seen: &Seen| match world.get(&seen.path) {
            Some(Value::Array(rows)) => Reply::json(json!({ "objects": rows })),
            Some(object) => Reply::json(object.clone()),
            None => Reply::error(404, "does not exist"),
        }
    })
    .await;
    let mut config = double.config();
    settings(&mut config);
    let client = double.client_with(config);
    let plan = client.plan_asset(&"a".into(), &versions).await.unwrap();
    (plan, double)
}

fn file(id: &str, status: &str) -> Value {
    json!({
        "id": id, "name": format!("{id}_stored.mov"), "original_name": format!("{id}.mov"),
        "directory_path": "/", "size": 7, "type": "FILE", "status": status, "storage_method": "S3",
        "checksum": "0123456789abcdef0123456789abcdef", "file_date_created": "2026-01-02 03:04:05"
    })
}

/// One version, one format, copies `c1`, `c2` … with these files on storages `s1`, `s2` ….
fn world(copies: &[Value]) -> Value {
    let sets: Vec<Value> = (1..=copies.len())
        .map(|n| json!({"id": format!("c{n}"), "storage_id": format!("s{n}"), "name": "Set", "base_dir": "/"}))
        .collect();
    let mut world = json!({
        "/assets/v1/assets/a/": {
            "id": "a", "title": "Promo", "status": "ACTIVE", "type": "ASSET",
            "in_collections": ["k"], "external_id": "x7",
            "versions": [{"id": "v", "version_number": 4, "status": "ACTIVE"}]
        },
        "/files/v1/assets/a/formats/": [
            {"id": "p", "name": "PPRO_PROXY"}, {"id": "f", "name": "ORIGINAL", "version_id": "v"}
        ],
        "/files/v1/assets/a/formats/f/file_sets/": sets,
        "/files/v1/storages/s1/": {"id": "s1", "method": "S3", "name": "one"},
        "/files/v1/storages/s2/": {"id": "s2", "method": "S3", "name": "two"},
    });
    for (n, files) in copies.iter().enumerate() {
        world[format!("/files/v1/assets/a/file_sets/c{}/files/", n + 1)] = files.clone();
    }
    world
}

fn why(plan: &AssetPlan) -> Vec<Why> {
    plan.out.iter().map(|out| out.why).collect()
}

#[tokio::test]
async fn a_single_file_is_planned_with_four_calls() {
    let (plan, double) = plan(world(&[json!([file("m", "CLOSED")])]), Versions::Current).await;
    assert!(plan.out.is_empty(), "{:?}", plan.out);
    let master = &plan.masters[0];
    assert_eq!(double.seen().len(), 4);
    assert_eq!(master.version_number, 4);
    assert_eq!(master.external_id.as_deref(), Some("x7"));
    assert_eq!(master.collections, ["k".into()]);
    assert!(!master.many && !master.archived);
    let file = &master.files[0];
    assert_eq!(
        (file.name.as_str(), file.dir.as_str(), file.size),
        ("m.mov", "", 7)
    );
    assert!(file.md5.is_some() && file.date_created.is_some());
    let source = master.source_file(file);
    let locator = Locator::parse(&source.locator).unwrap();
    assert_eq!(locator.name, "m_stored.mov");
    assert_eq!(locator.method, Method::S3);
    assert_eq!(double.seen()[3].query("generate_signed_url"), Some("false"));
}

#[tokio::test]
async fn a_sequence_keeps_its_folders_and_leaves_directory_rows_out() {
    let row = |id: &str, dir: &str, kind: &str| {
        let mut row = file(id, "CLOSED");
        row["directory_path"] = dir.into();
        row["type"] = kind.into();
        row
    };
    let mut world = world(&[json!([
        row("d", "Card", "DIRECTORY"),
        row("1", "Card", "FILE"),
        row("2", "Card/CONTENTS/VIDEO", "FILE")
    ])]);
    world["/files/v1/assets/a/formats/f/file_sets/"][0]["base_dir"] = "Card".into();
    let (plan, _) = plan(world, Versions::Current).await;
    let master = &plan.masters[0];
    assert!(master.many);
    assert_eq!(master.name, "Set");
    assert_eq!(master.size(), 14);
    let dirs: Vec<&str> = master.files.iter().map(|file| file.dir.as_str()).collect();
    assert_eq!(dirs, ["", "CONTENTS/VIDEO"]);
    assert_eq!(master.locator(&master.files[1]).files, 2);
}

#[tokio::test]
async fn an_incomplete_copy_is_passed_over_for_a_complete_one() {
    let copies = [json!([file("m", "MISSING")]), json!([file("n", "CLOSED")])];
    let (first, _) = plan(world(&copies), Versions::Current).await;
    assert_eq!(first.masters[0].file_set.as_str(), "c2");
    let copies = [json!([file("m", "GROWING")]), json!([file("n", "MISSING")])];
    let (none, _) = plan(world(&copies), Versions::Current).await;
    assert_eq!(
        why(&none),
        [Why::Unfinished],
        "the best copy's reason counts"
    );
    assert!(none.out[0].why.passes());
}

#[tokio::test]
async fn a_preferred_storage_is_read_from_first() {
    let copies = [json!([file("m", "CLOSED")]), json!([file("n", "CLOSED")])];
    let (plan, _) = plan_with(world(&copies), Versions::Current, |config| {
        config.prefer_storages = vec!["two".into()];
    })
    .await;
    assert_eq!(plan.masters[0].storage.as_ref().unwrap().as_str(), "s2");
}

#[tokio::test]
async fn an_archived_copy_is_planned_for_restoring() {
    let (plan, _) = plan(world(&[json!([file("m", "ARCHIVED")])]), Versions::Current).await;
    assert!(plan.masters[0].archived);
}

#[tokio::test]
async fn whatever_has_no_master_says_why() {
    let good = || world(&[json!([file("m", "CLOSED")])]);
    let asset = |changes: Value| {
        let mut world = good();
        for (name, value) in changes.as_object().unwrap() {
            world["/assets/v1/assets/a/"][name] = value.clone();
        }
        world
    };
    for (changes, reason) in [
        (json!({"status": "DELETED"}), Why::Deleted),
        (json!({"type": "LINK"}), Why::NoBytes),
        (json!({"type": "PLACEHOLDER"}), Why::NoBytes),
        (
            json!({"type": "SUBCLIP", "original_asset_id": "o"}),
            Why::Subclip,
        ),
        (json!({"versions": []}), Why::NoVersion),
        (
            json!({"versions": [{"id": "v", "status": "IN_PROGRESS"}]}),
            Why::Unfinished,
        ),
    ] {
        let (plan, _) = plan(asset(changes), Versions::Current).await;
        assert!(plan.masters.is_empty());
        assert_eq!(why(&plan), [reason]);
    }
    let mut world = good();
    world["/files/v1/assets/a/formats/"] = json!([{"id": "p", "name": "PPRO_PROXY"}]);
    assert_eq!(
        why(&plan(world, Versions::Current).await.0),
        [Why::NoOriginal]
    );
    let mut world = good();
    world["/files/v1/assets/a/formats/f/file_sets/"][0]["status"] = "DELETED".into();
    assert_eq!(why(&plan(world, Versions::Current).await.0), [Why::NoFiles]);
    let world = self::world(&[json!([])]);
    assert_eq!(why(&plan(world, Versions::Current).await.0), [Why::NoFiles]);
}

#[tokio::test]
async fn pattern_rows_are_refused_unless_rows_are_objects() {
    let mut pattern = file("m", "CLOSED");
    pattern["template"] = "shot.####.dpx".into();
    let mut world = world(&[json!([pattern])]);
    world["/files/v1/assets/a/formats/f/file_sets/"][0]["type"] = "MANY_FILES".into();
    let count = |count: Value| {
        let mut world = world.clone();
        world["/files/v1/assets/a/versions/v/file_sets/"] =
            json!([{"id": "c1", "file_count": count}]);
        world
    };
    for (objects, reason) in [
        (json!(250), vec![Why::Pattern]),
        (json!(null), vec![Why::Pattern]),
        (json!(1), vec![]),
    ] {
        let (plan, _) = plan(count(objects), Versions::Current).await;
        assert_eq!(why(&plan), reason);
    }
}

#[tokio::test]
async fn every_version_is_planned_from_its_own_formats() {
    let mut world = world(&[json!([file("m", "CLOSED")])]);
    world["/assets/v1/assets/a/"]["versions"] = json!([
        {"id": "v", "version_number": 2}, {"id": "u", "version_number": 1}
    ]);
    world["/files/v1/assets/a/versions/v/formats/"] = json!([{"id": "f", "name": "ORIGINAL"}]);
    world["/files/v1/assets/a/versions/u/formats/"] = json!([]);
    let (all, _) = plan(world.clone(), Versions::All).await;
    assert_eq!(all.masters.len(), 1);
    assert_eq!(all.masters[0].version.as_str(), "v");
    assert_eq!(why(&all), [Why::NoOriginal]);
    let (one, _) = plan(world.clone(), Versions::One("u".into())).await;
    assert_eq!((one.masters.len(), why(&one)), (0, vec![Why::NoOriginal]));
    let (current, _) = plan(world, Versions::Current).await;
    assert_eq!(current.masters[0].version.as_str(), "v");
}
