use std::collections::BTreeSet;

use super::*;
use crate::simulator::campaign::{self, AssetSpec, Checksum, FileSpec};
use crate::simulator::faults::{Action, Faults, Rule, System};
use crate::simulator::server::{Config, FnService, Server};
use crate::simulator::testing::{Got, send};
use crate::types::ByteRange;

/// An account with its bucket, called over sockets.
struct Api {
    iconik: Arc<Iconik>,
    bucket: Bucket,
    clock: Clock,
    server: Server,
    faults: Faults,
    _bucket_server: Server,
}

impl Api {
    async fn start(campaign: Campaign, change: impl FnOnce(&mut Quirks)) -> Self {
        let clock = Clock::default();
        let bucket = Bucket::new(clock.clone(), 60_000);
        let bucket_server = Server::start(Config::new(System::Bucket), Arc::new(bucket.clone()))
            .await
            .unwrap();
        bucket.set_url(&bucket_server.url());
        let mut quirks = Quirks {
            calls_per_second: None,
            ..Quirks::default()
        };
        change(&mut quirks);
        let iconik = Iconik::new(&campaign, clock.clone(), bucket.clone(), quirks);
        let service = Arc::clone(&iconik) as Arc<dyn Service>;
        let config = Config::new(System::Iconik);
        let faults = config.faults.clone();
        let server = Server::start(config, service).await.unwrap();
        Self {
            iconik,
            bucket,
            clock,
            server,
            faults,
            _bucket_server: bucket_server,
        }
    }

    async fn small() -> Self {
        Self::start(campaign::small(), |_| {}).await
    }

    async fn call(&self, method: &str, path: &str, body: Value) -> Got {
        self.call_as(self.iconik.token(), method, path, body).await
    }

    async fn call_as(&self, token: &str, method: &str, path: &str, body: Value) -> Got {
        let url = if path.starts_with("/API") {
            format!("{}{path}", self.server.url())
        } else {
            format!("{}/API/{path}", self.server.url())
        };
        let headers = [("App-ID", self.iconik.app_id()), ("Auth-Token", token)];
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        send(method, &url, &headers, body).await.unwrap()
    }

    /// A GET that succeeds.
    async fn get(&self, path: &str) -> Value {
        let got = self.call("GET", path, Value::Null).await;
        assert_eq!(got.status, 200, "{path}: {}", got.text());
        got.json()
    }

    /// Any call that answers with this status.
    async fn expect(&self, status: u16, method: &str, path: &str, body: Value) -> Value {
        let got = self.call(method, path, body).await;
        assert_eq!(got.status, status, "{method} {path}: {}", got.text());
        if got.body.is_empty() {
            Value::Null
        } else {
            got.json()
        }
    }

    /// Follows `next_url` to the end.
    async fn all(&self, path: &str) -> Vec<Value> {
        let mut found = Vec::new();
        let mut next = path.to_owned();
        while !next.is_empty() {
            let page = self.get(&next).await;
            found.extend(page["objects"].as_array().unwrap().clone());
            next = page["next_url"].as_str().unwrap().to_owned();
            assert!(next.is_empty() || next.starts_with("/API/"), "{next}");
        }
        found
    }

    fn asset(&self, title: &str) -> String {
        let assets = self.iconik.rows(Kind::Asset);
        let found = assets.iter().find(|a| a["title"] == title);
        found.unwrap_or_else(|| panic!("no asset {title}"))["id"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// The only original format, file set and file of an asset.
    async fn original(&self, asset: &str) -> (String, String, Value) {
        let format = self
            .get(&format!("files/v1/assets/{asset}/formats/ORIGINAL/"))
            .await;
        let format = format["id"].as_str().unwrap().to_owned();
        let sets = self
            .all(&format!(
                "files/v1/assets/{asset}/formats/{format}/file_sets/"
            ))
            .await;
        let set = sets[0]["id"].as_str().unwrap().to_owned();
        let files = self
            .all(&format!(
                "files/v1/assets/{asset}/file_sets/{set}/files/?generate_signed_url=false"
            ))
            .await;
        (format, set, files[0].clone())
    }
}

fn ids(objects: &[Value]) -> Vec<&str> {
    objects.iter().map(|o| o["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn calls_without_a_known_token_are_refused_and_roles_are_needed() {
    let api = Api::small().await;
    let current = "users/v1/users/current/";
    for token in ["", "unknown"] {
        let got = api.call_as(token, "GET", current, Value::Null).await;
        assert_eq!(got.status, 401);
        assert_eq!(got.json(), json!({"errors": ["Token is invalid"]}));
    }
    let bare = send(
        "GET",
        &format!("{}/API/{current}", api.server.url()),
        &[],
        "",
    )
    .await
    .unwrap();
    assert_eq!(bare.status, 401);
    api.iconik.add_token("weak", false, &["can_read_assets"]);
    let asset = format!("assets/v1/assets/{}/", api.asset("Feature"));
    let got = api.call_as("weak", "GET", &asset, Value::Null).await;
    assert_eq!(got.status, 403);
    assert!(got.text().contains("can_read_assets"));
    assert_eq!(api.get("auth/v1/auth/token/").await, json!({}));
    assert!(api.iconik.revoke("weak"));
    assert_eq!(
        api.call_as("weak", "GET", current, Value::Null)
            .await
            .status,
        401
    );
}

#[tokio::test]
async fn a_user_signs_in_with_a_password() {
    let api = Api::small().await;
    let body = json!({"email": "ada@studio.example", "password": PASSWORD});
    let path = "auth/v1/auth/simple/login/";
    let token = api.expect(201, "POST", path, body).await;
    let token = token["token"].as_str().unwrap();
    let user = api
        .call_as(token, "GET", "users/v1/users/current/", Value::Null)
        .await
        .json();
    assert_eq!(user["first_name"], "Ada");
    let wrong = json!({"email": "ada@studio.example", "password": "x"});
    api.expect(401, "POST", path, wrong).await;
    api.expect(400, "POST", path, json!({})).await;
}

#[tokio::test]
async fn pages_are_ten_long_by_default_and_links_are_relative() {
    let api = Api::small().await;
    let path = format!(
        "assets/v1/collections/{}/contents/",
        api.iconik.collection()
    );
    let first = api.get(&path).await;
    assert_eq!(first["objects"].as_array().unwrap().len(), 10);
    assert_eq!(
        (&first["page"], &first["per_page"]),
        (&json!(1), &json!(10))
    );
    assert!(
        first["next_url"]
            .as_str()
            .unwrap()
            .starts_with("/API/assets/v1/collections/")
    );
    let all = api.all(&path).await;
    assert_eq!(
        all.len(),
        usize::try_from(first["total"].as_u64().unwrap()).unwrap()
    );
    let distinct: BTreeSet<&str> = ids(&all).into_iter().collect();
    assert_eq!(distinct.len(), all.len());
    let pages = first["pages"].as_u64().unwrap();
    let beyond = format!("{path}?page={}", pages + 1);
    let refused = api.expect(404, "GET", &beyond, Value::Null).await;
    assert_eq!(
        refused,
        json!({"errors": ["Requested page does not exist"]})
    );
    api.expect(400, "GET", &format!("{path}?per_page=0"), Value::Null)
        .await;
    api.expect(400, "GET", &format!("{path}?page=x"), Value::Null)
        .await;
}

#[tokio::test]
async fn lists_by_cursor_continue_behind_the_last_id() {
    let api = Api::small().await;
    let asset = api.asset("Shot 020");
    let (_, set, _) = api.original(&asset).await;
    let path = format!("files/v1/assets/{asset}/file_sets/{set}/files/");
    let all = api.all(&format!("{path}?generate_signed_url=false")).await;
    assert_eq!(all.len(), 24);
    let page = api
        .get(&format!("{path}?per_page=5&last_id={}", ids(&all)[4]))
        .await;
    assert_eq!(ids(page["objects"].as_array().unwrap()), ids(&all)[5..10]);
    let last = api.get(&format!("{path}?last_id={}", ids(&all)[23])).await;
    assert_eq!(
        (&last["objects"], &last["next_url"]),
        (&json!([]), &json!(""))
    );
    let fields = api
        .get("metadata/v1/fields/?per_page=4&last_field_name=owner")
        .await;
    assert_eq!(fields["objects"][0]["name"], "region");
}

#[tokio::test]
async fn too_many_calls_are_told_so_with_or_without_a_time() {
    let api = Api::start(campaign::small(), |q| q.calls_per_second = Some(5)).await;
    let path = "users/v1/users/current/";
    let mut remaining = Vec::new();
    let refused = loop {
        let got = api.call("GET", path, Value::Null).await;
        if got.status == 429 {
            break got;
        }
        remaining.push(
            got.header("ratelimit-remaining")
                .unwrap()
                .parse::<u64>()
                .unwrap(),
        );
    };
    assert!(remaining.len() >= 10);
    assert_eq!(remaining[0], 9);
    assert_eq!(refused.header("ratelimit-remaining"), Some("0"));
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert!(refused.json()["errors"].is_array());
    api.iconik.set_quirks(Quirks {
        calls_per_second: Some(1),
        retry_after: false,
        ..Quirks::default()
    });
    let got = loop {
        let got = api.call("GET", path, Value::Null).await;
        if got.status == 429 {
            break got;
        }
    };
    assert_eq!(got.header("retry-after"), None);
}

#[tokio::test]
async fn replies_carry_new_fields_nulls_and_201_now_and_then() {
    let api = Api::start(campaign::small(), |q| {
        q.unknown_fields_every = 2;
        q.nulls_every = 3;
        q.created_every = 5;
    })
    .await;
    let path = "files/v1/storages/";
    let mut seen = Vec::new();
    for _ in 0..6 {
        let got = api.call("GET", path, Value::Null).await;
        let body = got.json();
        seen.push((
            body.get("introduced_lately").is_some(),
            body["next_url"].is_null(),
            got.status,
        ));
    }
    let expected: Vec<_> = (1..=6u16)
        .map(|n| (n % 2 == 0, n % 3 == 0, if n == 5 { 201 } else { 200 }))
        .collect();
    assert_eq!(seen, expected);
    let body = json!({"title": "x", "color_of_the_week": {"any": 1}});
    api.expect(201, "POST", "assets/v1/assets/", body).await;
}

#[tokio::test]
async fn collections_form_a_graph_with_a_cycle_and_several_parents() {
    let api = Api::small().await;
    let root = api.iconik.collection();
    let mut open = vec![root.clone()];
    let (mut seen, mut assets) = (BTreeSet::from([root.clone()]), BTreeSet::new());
    let mut met = 0;
    while let Some(collection) = open.pop() {
        for entry in api
            .all(&format!("assets/v1/collections/{collection}/contents/"))
            .await
        {
            let id = entry["id"].as_str().unwrap().to_owned();
            met += 1;
            if entry["object_type"] == "assets" {
                assets.insert(id);
            } else if seen.insert(id.clone()) {
                open.push(id);
            }
        }
    }
    assert_eq!(seen.len(), 4);
    assert!(met > seen.len() + assets.len(), "something is met twice");
    let shared = api
        .get(&format!(
            "assets/v1/collections/{root}/contents/?object_types=collections"
        ))
        .await;
    assert!(
        shared["objects"]
            .as_array()
            .unwrap()
            .iter()
            .all(|o| o["object_type"] == "collections")
    );
    let info = api
        .get(&format!("assets/v1/collections/{root}/content/info/"))
        .await;
    assert_eq!(info["assets_count"], assets.len());
    assert_eq!(info["collections_count"], 3);
    let poster = api
        .get(&format!(
            "assets/v1/assets/{}/?include_collections=true",
            api.asset("Poster artwork")
        ))
        .await;
    assert_eq!(poster["in_collections"].as_array().unwrap().len(), 2);
    let interviews = seen.iter().nth(1).unwrap();
    let path = api
        .get(&format!("assets/v1/collections/{interviews}/full/path/"))
        .await;
    assert_eq!(path, "Spring campaign/Interviews");
    let above = api
        .get(&format!("assets/v1/collections/{interviews}/ancestors/"))
        .await;
    assert_eq!(above["objects"].as_array().unwrap().len(), 3);
    api.expect(404, "GET", "assets/v1/collections/none/", Value::Null)
        .await;
}

#[tokio::test]
async fn assets_of_every_kind_are_there_and_a_deleted_one_still_shows_in_lists() {
    let api = Api::small().await;
    let kinds: BTreeSet<String> = api
        .all("assets/v1/assets/?per_page=100")
        .await
        .iter()
        .map(|a| a["type"].as_str().unwrap().to_owned())
        .collect();
    for kind in ["ASSET", "SEQUENCE", "LINK", "PLACEHOLDER", "SUBCLIP"] {
        assert!(kinds.contains(kind), "{kind}");
    }
    let gone = api.asset("Thrown away");
    let found = api.get(&format!("assets/v1/assets/{gone}/")).await;
    assert_eq!(found["status"], "DELETED");
    let root = api.iconik.collection();
    let listed = api
        .get(&format!(
            "assets/v1/collections/{root}/contents/?object_ids={gone}"
        ))
        .await;
    assert_eq!(listed["objects"][0]["status"], "DELETED");
    let clip = api
        .get(&format!(
            "assets/v1/assets/{}/",
            api.asset("Feature: opening")
        ))
        .await;
    assert_eq!(clip["original_asset_id"], api.asset("Feature"));
    let with_users = api
        .get(&format!("assets/v1/assets/{gone}/?include_users=true"))
        .await;
    assert_eq!(with_users["created_by_user_info"]["first_name"], "Archive");
}

#[tokio::test]
async fn an_asset_is_changed_by_patch_and_the_change_is_logged() {
    let api = Api::small().await;
    let path = format!("assets/v1/assets/{}/", api.asset("Feature"));
    let changed = api
        .expect(
            200,
            "PATCH",
            &path,
            json!({"external_id": "lh1", "id": "other"}),
        )
        .await;
    assert_eq!(
        (&changed["external_id"], &changed["title"]),
        (&json!("lh1"), &json!("Feature"))
    );
    assert!(changed["date_modified"].as_str().unwrap() > changed["date_created"].as_str().unwrap());
    for (field, value) in [
        ("title", json!(null)),
        ("title", json!(5)),
        ("archive_status", json!("GONE")),
    ] {
        let refused = api
            .expect(400, "PATCH", &path, json!({ field: value }))
            .await;
        assert!(refused["errors"][field].is_array(), "{refused}");
    }
    api.expect(400, "PATCH", &path, json!([])).await;
    api.expect(404, "PATCH", "assets/v1/assets/none/", json!({}))
        .await;
    let missing = api
        .expect(400, "POST", "assets/v1/assets/", json!({}))
        .await;
    assert_eq!(
        missing,
        json!({"errors": {"title": ["Missing data for required field."]}})
    );
    let writes = api.iconik.writes();
    assert_eq!(writes.len(), 7);
    assert_eq!(
        (writes[0].method.as_str(), writes[0].status),
        ("PATCH", 200)
    );
    assert_eq!(writes[0].body["external_id"], "lh1");
    assert_eq!(writes[6].number, 7);
}

#[tokio::test]
async fn versions_have_their_own_files_and_the_plain_lists_show_the_newest() {
    let api = Api::small().await;
    let asset = api.asset("Trailer");
    let row = api.get(&format!("assets/v1/assets/{asset}/")).await;
    let versions = row["versions"].as_array().unwrap();
    assert_eq!(versions.len(), 2);
    let newest = versions
        .iter()
        .max_by_key(|v| v["version_number"].as_u64())
        .unwrap();
    let oldest = versions
        .iter()
        .min_by_key(|v| v["version_number"].as_u64())
        .unwrap();
    let mut names = Vec::new();
    for version in [newest, oldest] {
        let own = version["id"].as_str().unwrap();
        let files = api
            .get(&format!("files/v1/assets/{asset}/versions/{own}/files/"))
            .await;
        let file = &files["objects"][0];
        assert!(file["url"].is_string(), "signed by default");
        names.push(file["name"].as_str().unwrap().to_owned());
    }
    let plain = api.get(&format!("files/v1/assets/{asset}/files/")).await;
    assert_eq!(plain["objects"][0]["name"], names[0]);
    assert!(
        plain["objects"][0]["url"].is_null(),
        "not signed by default"
    );
    assert_ne!(names[0], names[1]);
    let made = api
        .expect(
            200,
            "POST",
            &format!("assets/v1/assets/{asset}/versions/"),
            json!({}),
        )
        .await;
    assert_eq!(made["versions"][0]["version_number"], 3);
    let promote = format!(
        "assets/v1/assets/{asset}/versions/{}/promote/",
        oldest["id"].as_str().unwrap()
    );
    api.expect(204, "PUT", &promote, Value::Null).await;
    let row = api.get(&format!("assets/v1/assets/{asset}/")).await;
    assert_eq!(row["versions"][0]["id"], oldest["id"]);
    let none = format!("files/v1/assets/{asset}/versions/none/formats/");
    api.expect(404, "GET", &none, Value::Null).await;
}

#[tokio::test]
async fn formats_and_file_sets_show_every_copy() {
    let api = Api::small().await;
    let asset = api.asset("Two copies");
    let formats = api.all(&format!("files/v1/assets/{asset}/formats/")).await;
    let names: Vec<&str> = formats
        .iter()
        .map(|f| f["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["ORIGINAL", "PPRO_PROXY"]);
    let own = formats[0]["id"].as_str().unwrap();
    let sets = api
        .all(&format!("files/v1/assets/{asset}/formats/{own}/file_sets/"))
        .await;
    let storages: Vec<&str> = sets
        .iter()
        .map(|s| s["storage_id"].as_str().unwrap())
        .collect();
    let (shelf, cloud) = (
        storage_id(campaign::StorageKind::OnPremise),
        storage_id(campaign::StorageKind::SecondCloud),
    );
    assert_eq!(storages, [shelf.as_str(), cloud.as_str()]);
    assert_eq!(
        sets[0]["component_ids"][0],
        formats[0]["components"][0]["id"]
    );
    let shelf_files = sets[0]["id"].as_str().unwrap();
    let files = api
        .get(&format!("files/v1/file_sets/{shelf_files}/files/"))
        .await;
    assert!(
        files["objects"][0]["url"].is_null(),
        "no address on premises"
    );
    let storage = api.get(&format!("files/v1/storages/{shelf}/")).await;
    assert_eq!(
        (&storage["method"], &storage["settings"]["mount_point"]),
        (&json!("FILE"), &json!("/mnt/edit"))
    );
    let counted = api
        .get(&format!(
            "files/v1/assets/{asset}/file_sets/?file_count=true"
        ))
        .await;
    assert_eq!(counted["objects"][0]["file_count"], 1);
    let proxy_only = api.asset("Proxy only");
    let none = format!("files/v1/assets/{proxy_only}/formats/ORIGINAL/");
    api.expect(404, "GET", &none, Value::Null).await;
}

#[tokio::test]
async fn files_come_in_every_state_and_shape() {
    let api = Api::small().await;
    let card = api.asset("Card 01");
    let files = api.all(&format!("files/v1/assets/{card}/files/")).await;
    assert_eq!(files.len(), 6);
    assert_eq!(files.iter().filter(|f| f["type"] == "DIRECTORY").count(), 1);
    assert!(
        files
            .iter()
            .any(|f| f["directory_path"] == "CARD01/CONTENTS/CLIP")
    );
    let (_, _, poster) = api.original(&api.asset("Poster artwork")).await;
    assert_ne!(poster["name"], poster["original_name"]);
    assert_eq!(poster["checksum"].as_str().unwrap().len(), 32);
    let (_, _, empty) = api.original(&api.asset("Empty slate")).await;
    assert_eq!(
        (&empty["size"], &empty["checksum"]),
        (&json!(0), &json!(null))
    );
    let (_, _, growing) = api.original(&api.asset("Still growing")).await;
    assert_eq!(growing["status"], "GROWING");
    let long = api.iconik.rows(Kind::File);
    assert!(
        long.iter()
            .any(|f| f["original_name"].as_str().unwrap().len() > 248)
    );
    assert!(
        long.iter()
            .any(|f| f["name"].as_str().unwrap().contains("东京"))
    );
}

#[tokio::test]
async fn checksums_sizes_and_bytes_may_disagree() {
    let api = Api::start(campaign::faulty(), |_| {}).await;
    let master = |file: &Value| {
        api.bucket
            .get(&api.iconik.key(file["id"].as_str().unwrap()).unwrap())
    };
    let (_, _, sound) = api.original(&api.asset("Sound")).await;
    assert_eq!(sound["checksum"], master(&sound).unwrap().master.md5());
    let (_, _, wrong) = api.original(&api.asset("Wrong checksum")).await;
    assert_ne!(wrong["checksum"], master(&wrong).unwrap().master.md5());
    let (_, _, dashed) = api.original(&api.asset("Multipart tag")).await;
    assert!(dashed["checksum"].as_str().unwrap().ends_with("-3"));
    let (_, _, short) = api.original(&api.asset("Wrong size")).await;
    assert_ne!(short["size"], master(&short).unwrap().master.size());
    let (_, _, lost) = api.original(&api.asset("Lost object")).await;
    assert!(master(&lost).is_none());
    let (_, set, pattern) = api.original(&api.asset("Numbered pattern")).await;
    assert_eq!(pattern["template_engine"], "SIMPLE");
    assert_eq!(
        api.iconik.row(Kind::FileSet, &set).unwrap()["type"],
        "MANY_FILES"
    );
}

#[tokio::test]
async fn a_signed_address_is_handed_out_again_until_a_fresh_one_is_asked_for() {
    let api = Api::small().await;
    let asset = api.asset("Legal notes");
    let (_, _, file) = api.original(&asset).await;
    let path = format!(
        "files/v1/assets/{asset}/files/{}/",
        file["id"].as_str().unwrap()
    );
    let url = async |query: &str| {
        let file = api.get(&format!("{path}{query}")).await;
        file["url"].as_str().unwrap().to_owned()
    };
    let first = url("").await;
    assert_eq!(url("").await, first);
    let fetched = send("GET", &first, &[], "").await.unwrap();
    let key = api.iconik.key(file["id"].as_str().unwrap()).unwrap();
    let master = api.bucket.get(&key).unwrap().master;
    assert_eq!(fetched.body, master.read(ByteRange::new(0, master.size())));
    api.clock.advance(120_000);
    assert_eq!(url("").await, first, "cached although expired");
    assert_eq!(send("GET", &first, &[], "").await.unwrap().status, 403);
    let fresh = url("?bypass_url_cache=true").await;
    assert_ne!(fresh, first);
    assert_eq!(send("GET", &fresh, &[], "").await.unwrap().status, 200);
    assert_eq!(url("").await, fresh);
    api.clock.advance(24 * 3_600_000);
    assert_ne!(url("").await, fresh, "the cache lasts a day");
    let history = format!("assets/v1/assets/{asset}/history/");
    assert_eq!(api.get(&history).await["total"], 0);
    let download = api.get(&format!("{path}download_url/")).await;
    assert!(download["url"].is_string());
    assert_eq!(
        api.get(&history).await["objects"][0]["operation_type"],
        "DOWNLOAD"
    );
}

#[tokio::test]
async fn a_cold_format_is_restored_by_a_job() {
    let api = Api::start(campaign::faulty(), |q| q.thaw_ms = 60_000).await;
    let asset = api.asset("In Glacier");
    let (format, _, file) = api.original(&asset).await;
    let path = format!(
        "files/v1/assets/{asset}/files/{}/?bypass_url_cache=true",
        file["id"].as_str().unwrap()
    );
    let fetch = async || {
        let url = api.get(&path).await["url"].as_str().unwrap().to_owned();
        send("GET", &url, &[], "").await.unwrap().status
    };
    assert_eq!(fetch().await, 403);
    let restore = format!("files/v1/assets/{asset}/formats/{format}/restore/");
    api.expect(202, "POST", &restore, json!({})).await;
    let jobs = format!("jobs/v1/jobs/?object_id={asset}&type=RESTORE_FROM_GLACIER");
    assert_eq!(api.get(&jobs).await["objects"][0]["status"], "STARTED");
    assert_eq!(fetch().await, 403);
    api.clock.advance(60_000);
    assert_eq!(fetch().await, 200);
    let job = &api.get(&jobs).await["objects"][0];
    assert_eq!(
        (&job["status"], &job["progress"]),
        (&json!("FINISHED"), &json!(100))
    );
    let warm = api.asset("Sound");
    let (format, _, _) = api.original(&warm).await;
    let restore = format!("files/v1/assets/{warm}/formats/{format}/restore/");
    api.expect(400, "POST", &restore, json!({})).await;
}

#[tokio::test]
async fn search_filters_sorts_and_continues_behind_the_last_object() {
    let api = Api::small().await;
    let root = api.iconik.collection();
    let path = "search/v1/search/?per_page=4&generate_signed_url=false";
    let mut criteria = json!({
        "doc_types": ["assets"],
        "filter": {"operator": "AND", "terms": [
            {"name": "ancestor_collections", "value": root},
            {"name": "status", "value": "ACTIVE"},
            {"name": "type", "value_in": ["ASSET", "SEQUENCE"]},
            {"name": "external_id", "missing": true},
        ]},
        "sort": [{"name": "date_created", "order": "asc"}, {"name": "id", "order": "asc"}],
        "include_fields": ["title", "status", "type"],
        "facets": ["type"],
    });
    let mut found: Vec<Value> = Vec::new();
    loop {
        let page = api.expect(200, "POST", path, criteria.clone()).await;
        let objects = page["objects"].as_array().unwrap().clone();
        let Some(last) = objects.last() else { break };
        assert!(
            last["date_created"].is_null(),
            "not among the wanted fields"
        );
        criteria["search_after"] = last["_sort"].clone();
        found.extend(objects);
    }
    let assets = api.iconik.rows(Kind::Asset);
    let expected: Vec<&str> = assets
        .iter()
        .filter(|a| {
            a["status"] == "ACTIVE" && ["ASSET", "SEQUENCE"].iter().any(|t| a["type"] == *t)
        })
        .map(|a| a["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids(&found), expected);
    let text = json!({"query": "title:trailer AND status:ACTIVE", "facets": ["type"]});
    let found = api.expect(200, "POST", path, text).await;
    assert_eq!(
        (&found["total"], &found["objects"][0]["title"]),
        (&json!(1), &json!("Trailer"))
    );
    assert_eq!(
        found["facets"]["type"]["buckets"],
        json!([{"key": "ASSET", "doc_count": 1}])
    );
    let range = json!({"filter": {"operator": "AND", "terms": [
        {"name": "date_created", "range": {"min": "2026-01-05T09:01:00", "max": "2026-01-05T09:02:00"}}]}});
    let found = api.expect(200, "POST", path, range).await;
    assert_eq!(found["total"], 2);
    assert!(
        !found["objects"][0]["date_created"]
            .as_str()
            .unwrap()
            .contains('+'),
        "no zone"
    );
    let flat = json!({"filter": {"operator": "AND", "terms": [{"name": "metadata.keywords", "value": "night"}]}});
    let found = api.expect(200, "POST", path, flat).await;
    assert_eq!(
        found["objects"][0]["metadata"]["keywords"],
        json!(["news", "night"])
    );
    for wrong in [
        json!({"page": 2}),
        json!({"filter": {"terms": []}}),
        json!({"sort": [{"name": "id", "order": "up"}]}),
        json!({"search_after": ["x"]}),
    ] {
        api.expect(400, "POST", path, wrong).await;
    }
    assert!(api.iconik.writes().is_empty(), "searching changes nothing");
}

#[tokio::test]
async fn a_saved_search_brings_its_results() {
    let api = Api::small().await;
    let criteria = json!({"doc_types": ["assets"], "query": "title:trailer"});
    let body = json!({"name": "Trailers", "criteria": criteria});
    let saved = api
        .expect(201, "POST", "search/v1/search/saved/", body)
        .await;
    let own = saved["id"].as_str().unwrap();
    let found = api.get(&format!("search/v1/search/saved/{own}/")).await;
    assert_eq!(found["objects"][0]["title"], "Trailer");
    assert_eq!(found["search_criteria_document"]["criteria"], criteria);
    let list = api.get("search/v1/search/saved/").await;
    assert!(list["objects"][0]["criteria"].is_string());
}

#[tokio::test]
async fn the_index_lags_behind_writes() {
    let api = Api::start(campaign::small(), |q| q.index_lag_ms = 60_000).await;
    let asset = api.asset("Feature");
    let path = format!("assets/v1/assets/{asset}/");
    api.expect(200, "PATCH", &path, json!({"external_id": "new"}))
        .await;
    assert_eq!(api.get(&path).await["external_id"], "new");
    let made = api
        .expect(201, "POST", "assets/v1/assets/", json!({"title": "Fresh"}))
        .await;
    let by_id =
        |id: &Value| json!({"filter": {"operator": "AND", "terms": [{"name": "id", "value": id}]}});
    let search = "search/v1/search/";
    let stale = api.expect(200, "POST", search, by_id(&json!(asset))).await;
    assert_eq!(stale["objects"][0]["external_id"], Value::Null);
    assert_eq!(
        api.expect(200, "POST", search, by_id(&made["id"])).await["total"],
        0
    );
    let contents = format!(
        "assets/v1/collections/{}/contents/",
        api.iconik.collection()
    );
    let member = json!({"object_id": made["id"], "object_type": "assets"});
    let before = api.get(&contents).await["total"].clone();
    api.expect(201, "POST", &contents, member).await;
    assert_eq!(api.get(&contents).await["total"], before);
    api.clock.advance(60_001);
    let fresh = api.expect(200, "POST", search, by_id(&json!(asset))).await;
    assert_eq!(fresh["objects"][0]["external_id"], "new");
    assert_ne!(api.get(&contents).await["total"], before);
}

#[tokio::test]
async fn metadata_is_read_and_written_through_views() {
    let api = Api::small().await;
    let (asset, bare) = (api.asset("Feature"), api.asset("Legal notes"));
    let categories = api.get("metadata/v1/assets/categories/").await;
    let view = categories["objects"][0]["view_ids"][0]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(view, view_id(0));
    let fields = api.get(&format!("metadata/v1/views/{view}/")).await;
    let listed = fields["view_fields"].as_array().unwrap();
    assert!(listed.iter().any(|f| f["name"] == "__separator__"));
    let rights = listed
        .iter()
        .find(|f| f["name"] == "rights_status")
        .unwrap();
    assert_eq!(
        (&rights["field_type"], &rights["options"][0]["value"]),
        (&json!("drop_down"), &json!("cleared"))
    );
    let plain = api
        .get(&format!("metadata/v1/views/{view}/?merge_fields=false"))
        .await;
    assert!(plain["view_fields"][0]["options"].is_null());
    let path = |asset: &str| format!("metadata/v1/assets/{asset}/views/{view}/");
    let values = api.get(&path(&asset)).await;
    assert_eq!(
        values["metadata_values"]["project_name"]["field_values"][0]["value"],
        "Spring campaign"
    );
    api.expect(404, "GET", &path(&bare), Value::Null).await;
    let put = |field: &str, value: Value| json!({"metadata_values": {field: value}});
    let one = |value: &str| json!({"field_values": [{"value": value}]});
    for (field, value) in [
        ("rights_status", one("perhaps")),
        ("archive_state", one("kept")),
        ("expires_on", one("tomorrow")),
        ("obsolete", one("maybe")),
        ("nowhere", one("x")),
        (
            "owner",
            json!({"field_values": [{"value": "a"}, {"value": "b"}]}),
        ),
        ("owner", json!({"mode": "replace", "field_values": []})),
    ] {
        let refused = api
            .expect(400, "PUT", &path(&bare), put(field, value))
            .await;
        assert!(refused["errors"][field].is_array(), "{refused}");
    }
    api.expect(200, "PUT", &path(&bare), put("owner", one("Ada")))
        .await;
    let more = json!({"mode": "append", "field_values": [{"value": "night"}, {"value": "rain"}]});
    api.expect(200, "PUT", &path(&asset), put("keywords", more))
        .await;
    let less = json!({"mode": "delete", "field_values": [{"value": "news"}]});
    let values = api
        .expect(200, "PUT", &path(&asset), put("keywords", less))
        .await;
    let keywords = &values["metadata_values"]["keywords"]["field_values"];
    assert_eq!(*keywords, json!([{"value": "night"}, {"value": "rain"}]));
    assert_eq!(
        values["metadata_values"]["project_name"]["field_values"][0]["value"],
        "Spring campaign"
    );
    assert_eq!(
        (&values["object_id"], &values["object_type"]),
        (&json!(asset), &json!("assets"))
    );
    let all = format!("metadata/v1/assets/{asset}/");
    api.expect(403, "GET", &all, Value::Null).await;
    api.iconik.add_token("admin", true, &[]);
    let got = api.call_as("admin", "GET", &all, Value::Null).await;
    assert_eq!(
        (
            got.status,
            got.json()["metadata_values"]["keywords"].is_object()
        ),
        (200, true)
    );
}

#[tokio::test]
async fn comments_have_threads_guests_and_transcripts_come_twice() {
    let api = Api::small().await;
    let asset = api.asset("Feature");
    let path = format!("assets/v1/assets/{asset}/segments/");
    let comments = api
        .get(&format!("{path}?segment_type=COMMENT&include_users=true"))
        .await;
    let comments = comments["objects"].as_array().unwrap();
    assert_eq!(comments[1]["parent_id"], comments[0]["id"]);
    assert_eq!(comments[0]["user_info"]["first_name"], "Ada");
    assert_eq!(comments[2]["share_user_email"], "guest@agency.example");
    assert!(comments[2]["user_id"].is_null());
    let spoken = api.get(&format!("{path}TRANSCRIPTION/")).await;
    let spoken = spoken["objects"].as_array().unwrap();
    assert_eq!(spoken.len(), 2);
    assert_ne!(spoken[0]["transcription_id"], spoken[1]["transcription_id"]);
    let body = json!({"segment_type": "MARKER", "segment_text": "here"});
    let made = api.expect(201, "POST", &path, body).await;
    let one = format!("{path}{}/", made["id"].as_str().unwrap());
    api.expect(200, "PATCH", &one, json!({"segment_text": "there"}))
        .await;
    api.expect(204, "DELETE", &one, Value::Null).await;
    api.expect(400, "POST", &path, json!({"segment_type": "SHOUT"}))
        .await;
}

#[tokio::test]
async fn approvals_are_asked_for_mixed_or_not_there() {
    let api = Api::small().await;
    let request = |title: &str| format!("assets/v1/assets/{}/approvals/request/", api.asset(title));
    assert_eq!(api.get(&request("Feature")).await["status"], "APPROVED");
    let trailer = api.get(&request("Trailer")).await;
    assert_eq!(trailer["status"], "MIXED");
    assert_eq!(trailer["approvals_by"].as_array().unwrap().len(), 2);
    let mut answers = BTreeSet::new();
    for asset in api.iconik.rows(Kind::Asset) {
        let path = format!(
            "assets/v1/assets/{}/approvals/request/",
            asset["id"].as_str().unwrap()
        );
        let got = api.call("GET", &path, Value::Null).await;
        answers.insert((got.status, got.json()["status"].as_str().map(str::to_owned)));
    }
    assert!(answers.contains(&(404, None)));
    assert!(answers.contains(&(200, Some("N/A".to_owned()))));
    let votes = format!("assets/v1/assets/{}/approvals/", api.asset("Feature"));
    assert_eq!(
        api.get(&votes).await["objects"].as_array().unwrap().len(),
        2
    );
    api.expect(200, "PUT", &votes, json!({"status": "NOT_APPROVED"}))
        .await;
    assert_eq!(api.get(&request("Feature")).await["status"], "MIXED");
}

#[tokio::test]
async fn jobs_show_derived_progress_steps_and_children() {
    let api = Api::small().await;
    let body = json!({
        "title": "Archive", "type": "CUSTOM", "custom_type": "LONGTERM_ARCHIVE", "status": "STARTED",
        "has_children": true, "progress_total": 200, "steps": [{"label": "copy", "status": "WAITING"}],
    });
    let job = api.expect(201, "POST", "jobs/v1/jobs/", body).await;
    let own = job["id"].as_str().unwrap();
    let path = format!("jobs/v1/jobs/{own}/");
    let changed = api
        .expect(200, "PATCH", &path, json!({"progress_processed": 50}))
        .await;
    assert_eq!(changed["progress"], 25);
    let step = job["steps"][0]["id"].as_str().unwrap();
    let done = json!({"status": "DONE", "message": "copied"});
    let changed = api
        .expect(200, "PATCH", &format!("{path}steps/{step}/"), done)
        .await;
    assert_eq!(changed["steps"][0]["status"], "DONE");
    let second = json!({"steps": [{"label": "prove", "status": "IN_PROGRESS"}]});
    let changed = api
        .expect(200, "PATCH", &format!("{path}steps/"), second)
        .await;
    assert_eq!(changed["steps"].as_array().unwrap().len(), 2);
    let child = json!({"title": "One", "type": "TRANSFER", "status": "STARTED", "parent_id": own});
    let child = api.expect(201, "POST", "jobs/v1/jobs/", child).await;
    let plain = json!({"progress_processed": 70, "status": "FINISHED"});
    let child_path = format!("jobs/v1/jobs/{}/", child["id"].as_str().unwrap());
    assert_eq!(
        api.expect(200, "PATCH", &child_path, plain).await["progress"],
        70
    );
    let again = json!({"message": "late"});
    api.expect(200, "PATCH", &child_path, again).await;
    let parent = api.get(&path).await;
    assert_eq!(
        parent["children_progress"][child["id"].as_str().unwrap()]["status"],
        "FINISHED"
    );
    assert_eq!(parent["status"], "STARTED");
    let listed = api
        .get(&format!(
            "jobs/v1/jobs/?parent_id={own}&status=FINISHED,FAILED"
        ))
        .await;
    assert_eq!(listed["total"], 1);
    for wrong in [
        json!({"status": "DONE"}),
        json!({"type": "DANCE"}),
        json!({"progress_processed": "many"}),
    ] {
        api.expect(400, "PATCH", &path, wrong).await;
    }
    api.expect(400, "POST", "jobs/v1/jobs/", json!({"title": "x"}))
        .await;
    api.expect(400, "GET", "jobs/v1/jobs/?per_page=101", Value::Null)
        .await;
}

/// A receiver that keeps what it is sent and answers with a status and a body.
async fn receiver(status: u16, reply: Value) -> (Server, Arc<Mutex<Vec<(Option<String>, Value)>>>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&seen);
    let service = FnService::new("receiver", move |mut exchange: Exchange| {
        let (kept, reply) = (Arc::clone(&kept), reply.clone());
        Box::pin(async move {
            let secret = exchange.header("x-secret").map(str::to_owned);
            let body = exchange.body.read_all(BODY).await.unwrap();
            let body = serde_json::from_slice(&body).unwrap();
            kept.lock().unwrap().push((secret, body));
            Reply::json(status, &reply)
        })
    });
    let server = Server::start(Config::new(System::Control), service)
        .await
        .unwrap();
    (server, seen)
}

/// Waits until something holds that other tasks are about to bring about.
async fn until(mut holds: impl FnMut() -> bool) {
    let holding = async {
        while !holds() {
            tokio::task::yield_now().await;
        }
    };
    let patience = Duration::from_secs(30);
    tokio::time::timeout(patience, holding)
        .await
        .expect("it never came to hold");
}

#[tokio::test]
async fn a_pressed_button_calls_the_address_in_the_job() {
    let api = Api::small().await;
    let (server, seen) = receiver(200, json!({})).await;
    let url = format!("{}/abort", server.url());
    let body = json!({
        "title": "x", "type": "CUSTOM", "status": "STARTED",
        "action_context": {"ABORT": {"url": url, "bulk": false}},
    });
    let job = api.expect(201, "POST", "jobs/v1/jobs/", body).await;
    let press = json!({"action": "ABORT", "job_ids": [job["id"]]});
    api.expect(201, "PUT", "jobs/v1/jobs/state/", press).await;
    until(|| !seen.lock().unwrap().is_empty()).await;
    assert_eq!(seen.lock().unwrap()[0].1["job_id"], job["id"]);
    let path = format!("jobs/v1/jobs/{}/", job["id"].as_str().unwrap());
    assert_eq!(api.get(&path).await["status"], "ABORT_PENDING");
}

#[tokio::test]
async fn webhooks_carry_their_headers_and_come_twice_when_asked() {
    let api = Api::start(campaign::small(), |q| q.webhook_duplicates = true).await;
    let (server, seen) = receiver(200, json!({})).await;
    let hook = json!({
        "url": server.url(), "event_type": "assets", "realm": "entity", "operation": "update",
        "status": "ENABLED", "headers": {"x-secret": "s"}, "query": "data.status=\"ACTIVE\"",
    });
    api.expect(201, "POST", "notifications/v1/webhooks/", hook)
        .await;
    let path = format!("assets/v1/assets/{}/", api.asset("Feature"));
    api.expect(200, "PATCH", &path, json!({"category": "x"}))
        .await;
    until(|| seen.lock().unwrap().len() == 2).await;
    let (secret, event) = seen.lock().unwrap()[0].clone();
    assert_eq!(secret.as_deref(), Some("s"));
    assert_eq!(
        (&event["operation"], &event["data"]["category"]),
        (&json!("update"), &json!("x"))
    );
}

#[tokio::test]
async fn a_failing_webhook_is_disabled_after_five_hours() {
    let api = Api::small().await;
    let (server, seen) = receiver(500, json!({})).await;
    let hook = json!({"url": server.url(), "event_type": "assets", "status": "ENABLED"});
    let hook = api
        .expect(201, "POST", "notifications/v1/webhooks/", hook)
        .await;
    let own = hook["id"].as_str().unwrap().to_owned();
    let status = || {
        api.iconik.row(Kind::Webhook, &own).unwrap()["status"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let path = format!("assets/v1/assets/{}/", api.asset("Feature"));
    api.expect(200, "PATCH", &path, json!({"category": "1"}))
        .await;
    until(|| status() == "FAILING").await;
    api.clock.advance(5 * 3_600_000);
    api.expect(200, "PATCH", &path, json!({"category": "2"}))
        .await;
    until(|| status() == "DISABLED").await;
    let before = seen.lock().unwrap().len();
    api.expect(200, "PATCH", &path, json!({"category": "3"}))
        .await;
    assert_eq!(seen.lock().unwrap().len(), before);
    let read = api
        .expect(
            201,
            "GET",
            &format!("notifications/v1/webhooks/{own}/"),
            Value::Null,
        )
        .await;
    assert!(read["last_error"].as_str().unwrap().contains("500"));
}

#[tokio::test]
async fn a_custom_action_gets_a_token_that_ends_and_may_redirect() {
    let api = Api::start(campaign::small(), |q| q.action_token_ms = 60_000).await;
    let (server, seen) = receiver(200, json!({"redirect_url": "https://report.example/"})).await;
    let action = json!({"title": "Archive", "url": server.url(), "type": "POST"});
    let action = api
        .expect(201, "POST", "assets/v1/custom_actions/COLLECTION/", action)
        .await;
    let own = action["id"].as_str().unwrap();
    let callback = format!("assets/v1/custom_actions/COLLECTION/{own}/callback/");
    let click = json!({"collection_ids": [api.iconik.collection()]});
    let reply = api.expect(200, "POST", &callback, click).await;
    assert_eq!(reply["redirect_url"], "https://report.example/");
    let (_, payload) = seen.lock().unwrap()[0].clone();
    assert_eq!(payload["collection_ids"][0], api.iconik.collection());
    assert!(!payload["date_created"].as_str().unwrap().contains('+'));
    let token = payload["auth_token"].as_str().unwrap();
    let current = "users/v1/users/current/";
    assert_eq!(
        api.call_as(token, "GET", current, Value::Null).await.status,
        200
    );
    api.clock.advance(60_000);
    assert_eq!(
        api.call_as(token, "GET", current, Value::Null).await.status,
        401
    );
    drop(server);
    let silent = FnService::new("silent", |_| Box::pin(std::future::pending()));
    let silent = Server::start(Config::new(System::Control), silent)
        .await
        .unwrap();
    api.iconik.set_quirks(Quirks {
        action_timeout_ms: 20,
        calls_per_second: None,
        ..Quirks::default()
    });
    let path = format!("assets/v1/custom_actions/COLLECTION/{own}/");
    api.expect(200, "PATCH", &path, json!({"url": silent.url()}))
        .await;
    api.expect(200, "POST", &callback, json!({})).await;
    assert_eq!(
        api.iconik.row(Kind::Action, own).unwrap()["status"],
        "FAILING"
    );
}

#[tokio::test]
async fn deleted_assets_wait_in_the_recycle_bin_and_take_their_bytes_along() {
    let api = Api::small().await;
    let asset = api.asset("Legal notes");
    let (_, _, file) = api.original(&asset).await;
    let key = api.iconik.key(file["id"].as_str().unwrap()).unwrap();
    let path = format!("assets/v1/assets/{asset}/");
    let queue = "assets/v1/delete_queue/assets/";
    api.expect(204, "DELETE", &path, Value::Null).await;
    assert_eq!(api.get(queue).await["total"], 2);
    assert_eq!(api.get(&path).await["status"], "DELETED");
    api.expect(204, "PUT", &format!("{path}restore/"), Value::Null)
        .await;
    assert_eq!(api.get(queue).await["total"], 1);
    api.expect(204, "DELETE", &path, Value::Null).await;
    assert!(api.bucket.get(&key).is_some());
    api.clock.advance(25 * 3_600_000);
    assert_eq!(api.get(queue).await["total"], 0);
    api.expect(404, "GET", &path, Value::Null).await;
    assert!(
        api.bucket.get(&key).is_none(),
        "the storage allows deleting"
    );
    let two = api.asset("Half way");
    let (_, set, file) = api.original(&two).await;
    let key = api.iconik.key(file["id"].as_str().unwrap()).unwrap();
    let path = format!("files/v1/assets/{two}/file_sets/{set}/");
    api.expect(200, "DELETE", &path, Value::Null).await;
    assert!(api.bucket.get(&key).is_some());
    api.expect(204, "DELETE", &format!("{path}purge/"), Value::Null)
        .await;
    assert!(api.bucket.get(&key).is_none());
}

#[tokio::test]
async fn history_and_relations_are_kept() {
    let api = Api::small().await;
    let (asset, other) = (api.asset("Feature"), api.asset("Trailer"));
    let path = format!("assets/v1/assets/{asset}/history/");
    let line = json!({"operation_type": "CUSTOM", "operation_description": "archived"});
    let made = api.expect(201, "POST", &path, line).await;
    assert_eq!(made["asset_id"], asset);
    api.expect(400, "POST", &path, json!({"operation_type": "SING"}))
        .await;
    let custom = api
        .get(&format!("{path}?filter=operation_type,eq,CUSTOM;"))
        .await;
    assert_eq!(custom["objects"][0]["operation_description"], "archived");
    let path = format!("assets/v1/assets/{asset}/relations/");
    let link = json!({"related_to_asset_id": other, "relation_type": "supersedes"});
    api.expect(201, "POST", &path, link.clone()).await;
    api.expect(200, "POST", &path, link).await;
    assert_eq!(api.get(&path).await["objects"][0]["id"], other);
    api.expect(
        204,
        "DELETE",
        &format!("{path}supersedes/{other}/"),
        Value::Null,
    )
    .await;
    assert_eq!(api.get(&path).await["total"], 0);
}

#[tokio::test]
async fn files_can_be_put_on_record_by_others() {
    let api = Api::start(Campaign::new(), |_| {}).await;
    let asset = api
        .expect(201, "POST", "assets/v1/assets/", json!({"title": "New"}))
        .await;
    let base = format!("files/v1/assets/{}", asset["id"].as_str().unwrap());
    let format = api
        .expect(
            201,
            "POST",
            &format!("{base}/formats/"),
            json!({"name": "ORIGINAL"}),
        )
        .await;
    let set = json!({
        "name": "a.mov", "format_id": format["id"], "base_dir": "/", "component_ids": [],
        "storage_id": storage_id(campaign::StorageKind::Cloud),
    });
    let set = api
        .expect(201, "POST", &format!("{base}/file_sets/"), set)
        .await;
    let file = json!({
        "original_name": "a.mov", "directory_path": "", "type": "FILE", "size": "12",
        "file_set_id": set["id"],
    });
    let file = api
        .expect(201, "POST", &format!("{base}/files/"), file)
        .await;
    assert_eq!(
        (&file["size"], &file["status"]),
        (&json!(12), &json!("OPEN"))
    );
    let path = format!("{base}/files/{}/", file["id"].as_str().unwrap());
    let closed = api
        .expect(
            200,
            "PATCH",
            &path,
            json!({"status": "CLOSED", "checksum": "x"}),
        )
        .await;
    assert_eq!(closed["status"], "CLOSED");
    assert_eq!(api.get("files/v1/files/checksum/x/").await["total"], 1);
    api.expect(404, "GET", "files/v1/files/checksum/y/", Value::Null)
        .await;
    api.expect(400, "PATCH", &path, json!({"status": "SHUT"}))
        .await;
}

#[tokio::test]
async fn a_large_library_is_listed_searched_and_changed_without_being_held() {
    let api = Api::start(campaign::library(1_000_000, 5_000), |_| {}).await;
    let root = api.iconik.collection();
    let contents = format!("assets/v1/collections/{root}/contents/?per_page=100");
    let page = api.get(&format!("{contents}&page=9999")).await;
    assert_eq!(
        (&page["total"], &page["pages"]),
        (&json!(1_000_000), &json!(10_000))
    );
    assert_eq!(page["objects"][0]["title"], "Library 0999800");
    let asset = page["objects"][0]["id"].as_str().unwrap().to_owned();
    let (_, _, file) = api.original(&asset).await;
    let path = format!(
        "files/v1/assets/{asset}/files/{}/",
        file["id"].as_str().unwrap()
    );
    let url = api.get(&path).await["url"].as_str().unwrap().to_owned();
    let spec = campaign::library(1_000_000, 5_000).library.unwrap();
    let master = library_master(spec, 999_800);
    let got = send("GET", &url, &[], "").await.unwrap();
    assert_eq!(got.body, master.read(ByteRange::new(0, 5_000)));
    let one = format!("assets/v1/assets/{asset}/");
    api.expect(200, "PATCH", &one, json!({"external_id": "mine"}))
        .await;
    assert_eq!(api.get(&one).await["external_id"], "mine");
    let search = "search/v1/search/?per_page=50";
    let mut criteria = json!({
        "doc_types": ["assets"],
        "filter": {"operator": "AND", "terms": [
            {"name": "ancestor_collections", "value": root}, {"name": "external_id", "missing": true},
        ]},
        "sort": [{"name": "date_created", "order": "asc"}, {"name": "id", "order": "asc"}],
        "search_after": ["2026-01-16T22:43:15", ""],
    });
    let found = api.expect(200, "POST", search, criteria.clone()).await;
    assert_eq!(found["total"], 999_999);
    let titles: Vec<&str> = found["objects"]
        .as_array()
        .unwrap()
        .iter()
        .map(|o| o["title"].as_str().unwrap())
        .collect();
    assert_eq!(titles.len(), 50);
    assert_eq!(
        titles[..3],
        ["Library 0999795", "Library 0999796", "Library 0999797"]
    );
    assert!(!titles.contains(&"Library 0999800"));
    criteria["search_after"] = found["objects"][49]["_sort"].clone();
    let next = api.expect(200, "POST", search, criteria).await;
    assert_eq!(next["objects"][0]["title"], "Library 0999846");
    let size = api
        .get(&format!("assets/v1/collections/{root}/size/"))
        .await;
    assert_eq!(size["size"], 5_000_000_000u64);
}

#[tokio::test]
async fn a_test_builds_its_own_campaign() {
    let campaign = Campaign::new().collection("Inner", &[0]).asset(
        AssetSpec::new(
            "Mine",
            vec![FileSpec::generated("m.mov", 5, 10).checksum(Checksum::Md5)],
        )
        .with(|a| a.collections = vec![1]),
    );
    let api = Api::start(campaign, |_| {}).await;
    let inner = &api.iconik.rows(Kind::Collection)[1];
    let path = format!(
        "assets/v1/collections/{}/contents/",
        inner["id"].as_str().unwrap()
    );
    assert_eq!(api.get(&path).await["objects"][0]["title"], "Mine");
}

#[tokio::test]
async fn paths_without_their_last_slash_work_and_unknown_ones_do_not() {
    let api = Api::small().await;
    api.get("users/v1/users/current").await;
    for path in ["nothing/v1/x/", "assets/v2/assets/", "files/v1/", "/APIs/x"] {
        api.expect(404, "GET", path, Value::Null).await;
    }
    let url = format!("{}/API/assets/v1/assets/", api.server.url());
    let headers = [
        ("App-ID", api.iconik.app_id()),
        ("Auth-Token", api.iconik.token()),
    ];
    assert_eq!(send("POST", &url, &headers, "{").await.unwrap().status, 400);
    assert_eq!(
        send("POST", &url, &headers, vec![b' '; 10_485_761])
            .await
            .unwrap()
            .status,
        413
    );
}

#[tokio::test]
async fn answers_are_twisted_by_name() {
    let api = Api::small().await;
    let path = format!(
        "assets/v1/collections/{}/contents/",
        api.iconik.collection()
    );
    let sound = api.get(&path).await;
    let twisted = async |name: &str, params: Value, path: &str| {
        let name = name.to_owned();
        api.faults.add(Rule::new(Action::Named { name, params }));
        api.get(path).await
    };
    let looping = twisted("page_loops", Value::Null, &path).await;
    assert_eq!(looping["next_url"], format!("/API/{path}"));
    let short = twisted("page_ends_early", Value::Null, &path).await;
    assert_eq!(
        (&short["next_url"], &short["total"]),
        (&json!(""), &sound["total"])
    );
    let missing = twisted("row_missing", Value::Null, &path).await;
    assert_eq!(missing["objects"].as_array().unwrap().len(), 9);
    let repeated = twisted("row_repeated", Value::Null, &path).await;
    assert_eq!(repeated["objects"][0], repeated["objects"][10]);
    let huge = twisted("huge_json", json!({"bytes": 100_000}), &path).await;
    assert_eq!(huge["filler"].as_str().unwrap().len(), 100_000);
    let deep = twisted("deep_json", json!({"depth": 3}), &path).await;
    assert_eq!(deep["nested"], json!([[[0]]]));
    let asset = api.asset("Legal notes");
    let (_, _, file) = api.original(&asset).await;
    let path = format!(
        "files/v1/assets/{asset}/files/{}/",
        file["id"].as_str().unwrap()
    );
    let elsewhere = json!({"url": "http://169.254.169.254/"});
    let led = twisted("foreign_url", elsewhere, &path).await;
    assert_eq!(led["url"], "http://169.254.169.254/");
    assert_eq!(
        api.get(&path).await["url"]
            .as_str()
            .unwrap()
            .split("/masters")
            .count(),
        2
    );
}
