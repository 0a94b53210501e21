//! Nodes, versions and content.

use super::*;

#[tokio::test]
async fn a_document_is_created_by_one_form_and_shows_every_property() {
    let site = Site::new().await;
    let body = json!({"type": 144, "parent_id": site.folder, "name": " cut.mov ", "description": "d",
        "external_source": "file_system", "external_modify_date": "2026-01-01"});
    let got = site
        .upload(
            "/v2/nodes",
            &[("body", &body.to_string())],
            ("file", "C:\\x\\raw.mov", b"12345"),
        )
        .await;
    let properties = &got.json()["results"]["data"]["properties"];
    for (key, value) in [
        ("name", json!("cut.mov")),
        ("size", json!(5)),
        ("type", json!(144)),
        ("type_name", json!("Document")),
        ("mime_type", json!("application/octet-stream")),
        ("parent_id", json!(site.folder)),
        ("volume_id", json!(-2000)),
        ("container", json!(false)),
        ("versionable", json!(true)),
        ("guid", Value::Null),
        ("owner", json!("Admin")),
        ("reserved", json!(false)),
        ("reserved_user_id", json!(0)),
        ("external_modify_date", json!("2026-01-01T00:00:00")),
        ("external_create_date", Value::Null),
        ("description_multilingual", json!({"en": "d"})),
    ] {
        assert_eq!(properties[key], value, "{key}");
    }
    assert!(properties["id"].as_i64().unwrap() > 2000);
    assert!(
        !got.text().contains("sha256") && !got.text().contains("hash"),
        "no digest anywhere"
    );
    let versions = site
        .get(&format!("/v2/nodes/{}/versions", id(&got)))
        .await
        .json();
    assert_eq!(
        versions["results"][0]["data"]["versions"]["file_name"],
        "raw.mov"
    );
}

#[tokio::test]
async fn a_taken_name_is_500_on_v2_and_400_on_v1_and_the_collation_decides() {
    let site = Site::new().await;
    let form = |name: &str| format!("type=0&parent_id={}&name={name}", site.folder);
    assert_eq!(site.form("POST", "/v2/nodes", &form("A")).await.status, 200);
    refused(
        &site.form("POST", "/v2/nodes", &form("a")).await,
        500,
        "An item with the name 'a' already exists.",
    );
    refused(
        &site.form("POST", "/v1/nodes", &form("A")).await,
        400,
        "already exists",
    );
    site.cs
        .configure(|config| config.collation = Collation::CaseSensitive)
        .unwrap();
    let created = site.form("POST", "/v1/nodes", &form("a")).await.json();
    assert!(
        created["id"].is_i64() && created.as_object().unwrap().len() == 1,
        "{created}"
    );
    assert!(
        site.cs
            .configure(|config| config.collation = Collation::CaseInsensitive)
            .is_err()
    );
    for name in ["a%3Ab", "+", &"x".repeat(249)] {
        assert_eq!(
            site.form("POST", "/v2/nodes", &form(name)).await.status,
            400,
            "{name}"
        );
    }
}

#[tokio::test]
async fn every_kind_of_node_that_filing_needs_can_be_made() {
    let site = Site::new().await;
    let document = site.document("a", b"1").await;
    let folder = site.folder;
    for (form, key, value) in [
        (
            format!("type=140&parent_id={folder}&name=url&url=http%3A%2F%2Fx"),
            "url",
            json!("http://x"),
        ),
        (
            format!("type=1&parent_id={folder}&name=s&original_id={document}"),
            "original_id",
            json!(document),
        ),
        (
            format!("type=2&parent_id={folder}&name=g&original_id={document}&version_number=1"),
            "version_number",
            json!(1),
        ),
        (
            format!("original_id={document}&parent_id={folder}&name=copy"),
            "size",
            json!(1),
        ),
    ] {
        let got = site.form("POST", "/v2/nodes", &form).await;
        assert_eq!(
            got.json()["results"]["data"]["properties"][key],
            value,
            "{form}: {}",
            got.text()
        );
    }
    let shortcut = site.cs.child(folder, "s").unwrap();
    assert_eq!(
        site.get(&format!("/v2/nodes/{shortcut}/content"))
            .await
            .body,
        b"1"
    );
    let expanded = site
        .get(&format!(
            "/v2/nodes/{shortcut}?expand=properties%7Boriginal_id%7D"
        ))
        .await
        .json();
    let original = &expanded["results"]["data"]["properties"]["original_id_expand"];
    assert_eq!(original["id"], document);
    refused(
        &site
            .form(
                "POST",
                "/v2/nodes",
                &format!("type=7777&parent_id={folder}&name=x"),
            )
            .await,
        400,
        "Subtype 7777 not registered",
    );
    refused(
        &site
            .form(
                "POST",
                "/v2/nodes",
                &format!("type=0&parent_id={document}&name=x"),
            )
            .await,
        400,
        "Could not create a new Folder",
    );
    refused(
        &site
            .form("POST", "/v2/nodes", "type=0&parent_id=999999&name=x")
            .await,
        400,
        "Sorry, the item",
    );
    refused(
        &site
            .form(
                "POST",
                "/v2/nodes",
                &format!("type=144&parent_id={folder}&name=x"),
            )
            .await,
        400,
        "Missing required parameter 'file'",
    );
    let parent = folder.to_string();
    let fields = [("type", "144"), ("parent_id", &*parent), ("name", "x")];
    let wrong = site
        .upload("/v2/nodes", &fields, ("content", "x", b"1"))
        .await;
    let text = "File could not be found within the upload directory.";
    refused(&wrong, 400, text);
    let external = format!("type=0&parent_id={folder}&name=x&external_source=moon");
    refused(
        &site.form("POST", "/v2/nodes", &external).await,
        400,
        "External source not found",
    );
}

#[tokio::test]
async fn children_are_listed_by_name_type_order_and_page() {
    let site = Site::new().await;
    for name in ["beta.mov", "Alpha.mov", "gamma"] {
        site.document(name, name.as_bytes()).await;
    }
    site.cs.add_folder(site.folder, "alphabet");
    let names = |got: Got| -> Vec<String> {
        let rows = got.json()["results"].as_array().unwrap().clone();
        rows.iter()
            .map(|row| {
                row["data"]["properties"]["name"]
                    .as_str()
                    .unwrap()
                    .to_owned()
            })
            .collect()
    };
    let path = |query: &str| format!("/v2/nodes/{}/nodes?{query}", site.folder);
    assert_eq!(
        names(site.get(&path("")).await),
        ["Alpha.mov", "alphabet", "beta.mov", "gamma"]
    );
    assert_eq!(
        names(site.get(&path("where_name=alpha")).await),
        ["Alpha.mov", "alphabet"],
        "not exact"
    );
    assert_eq!(names(site.get(&path("where_type=0")).await), ["alphabet"]);
    assert_eq!(
        names(site.get(&path("where_type=-3&sort=desc_name")).await),
        ["gamma", "beta.mov", "Alpha.mov"]
    );
    assert_eq!(
        names(site.get(&path("sort=size")).await),
        ["alphabet", "gamma", "beta.mov", "Alpha.mov"]
    );
    let first = site.get(&path("limit=3&page=1")).await.json();
    let paging = &first["collection"]["paging"];
    assert_eq!(
        (
            &paging["page_total"],
            &paging["total_count"],
            &paging["range_max"]
        ),
        (&json!(2), &json!(4), &json!(3))
    );
    let next = paging["links"]["data"]["next"]["href"].as_str().unwrap();
    assert!(next.starts_with("/api/v2/nodes/"), "{next}");
    assert_eq!(
        names(site.get(next.strip_prefix("/api").unwrap()).await),
        ["gamma"]
    );
    assert_eq!(
        site.get(&path("limit=100000")).await.json()["collection"]["paging"]["limit"],
        100,
        "capped"
    );
    assert_eq!(site.get(&path("page=0")).await.status, 400);
    let document = site.cs.child(site.folder, "gamma").unwrap();
    refused(
        &site.get(&format!("/v2/nodes/{document}/nodes")).await,
        500,
        "invalid action 'browse'",
    );
    refused(
        &site.get("/v2/nodes/999999/nodes").await,
        500,
        "Could not get a node for 999999",
    );
    assert_eq!(
        names(
            site.get(&format!("/v3/app/container/{}?limit=2", site.folder))
                .await
        )
        .len(),
        2
    );
}

#[tokio::test]
async fn answers_are_shaped_by_fields_metadata_state_and_actions() {
    let site = Site::new().await;
    let document = site.document("a.mov", b"1").await;
    let path = format!(
        "/v2/nodes/{document}?fields=properties%7Bid,name%7D&fields=versions.element(0)&fields=permissions&metadata&state&actions=delete"
    );
    let got = site.get(&path).await.json();
    let results = &got["results"];
    assert_eq!(
        results["data"]["properties"],
        json!({"id": document, "name": "a.mov"})
    );
    assert_eq!(results["data"]["versions"]["version_number"], 1);
    assert!(results["data"]["permissions"].is_array());
    assert!(results["metadata"]["properties"]["name"]["max_length"] == 248);
    assert!(results["state"]["properties"]["metadata_token"].is_string());
    assert!(results["actions"]["data"]["delete"]["href"].is_string());
    assert_eq!(got["links"]["data"]["self"]["method"], "GET");
    let expanded = site
        .get(&format!(
            "/v2/nodes/{document}?expand=properties%7Bparent_id,create_user_id%7D"
        ))
        .await
        .json();
    let properties = &expanded["results"]["data"]["properties"];
    assert_eq!(properties["parent_id_expand"]["name"], "Masters");
    assert_eq!(properties["create_user_id_expand"]["name"], "Admin");
    refused(
        &site.get("/v2/nodes/999999").await,
        400,
        "Could not get a node for 999999",
    );
}

#[tokio::test]
async fn names_are_checked_one_way_and_the_other() {
    let site = Site::new().await;
    let document = site.document("a.mov", b"1").await;
    let body = json!({"parent_id": site.folder, "names": ["A.mov", "free"]});
    let got = site
        .body("POST", "/v1/validation/nodes/names", body.clone())
        .await
        .json();
    assert_eq!(got, json!({"results": [{"id": document, "name": "a.mov"}]}));
    let got = site.body("POST", "/v1/validation/nodes", body).await.json();
    assert_eq!(got["results"][0]["versioned"], true);
    assert_eq!(
        got["results"][1],
        json!({"id": null, "name": "free", "type": null, "versioned": null})
    );
    let missing = site
        .body(
            "POST",
            "/v1/validation/nodes/names",
            json!({"names": ["a"]}),
        )
        .await;
    refused(&missing, 400, "Body Parameter 'parent_id' is missing");
}

#[tokio::test]
async fn a_node_is_renamed_described_and_moved_in_one_call_or_not_at_all() {
    let site = Site::new().await;
    let document = site.document("staging", b"1").await;
    site.document("taken", b"2").await;
    let target = site.cs.add_folder(ENTERPRISE, "Published");
    let path = format!("/v2/nodes/{document}");
    refused(
        &site.body("PUT", &path, json!({"name": "taken"})).await,
        500,
        "already exists",
    );
    assert_eq!(site.properties(document).await["name"], "staging");
    let got = site
        .body(
            "PUT",
            &path,
            json!({"parent_id": target, "name": "final.mov", "description": "x"}),
        )
        .await;
    assert_eq!(got.json()["results"], json!({}));
    let properties = site.properties(document).await;
    assert_eq!(
        (&properties["parent_id"], &properties["name"]),
        (&json!(target), &json!("final.mov"))
    );
    let into_itself = site
        .body(
            "PUT",
            &format!("/v2/nodes/{target}"),
            json!({"parent_id": target}),
        )
        .await;
    refused(&into_itself, 400, "invalid action 'move'");
    let ancestors = site
        .get(&format!("/v1/nodes/{document}/ancestors"))
        .await
        .json();
    let names: Vec<_> = ancestors["ancestors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["name"].clone())
        .collect();
    assert_eq!(names, ["Enterprise", "Published", "final.mov"]);
}

#[tokio::test]
async fn a_stale_token_is_an_edit_conflict() {
    let site = Site::new().await;
    let document = site.document("a", b"1").await;
    let token = site
        .get(&format!("/v2/nodes/{document}?state"))
        .await
        .json()["results"]["state"]["properties"]["metadata_token"]
        .clone();
    let path = format!("/v2/nodes/{document}");
    let got = site
        .body("PUT", &path, json!({"name": "b", "metadata_token": token}))
        .await
        .json();
    assert_ne!(
        got["results"]["state"]["properties"]["metadata_token"],
        token
    );
    let got = site
        .body("PUT", &path, json!({"name": "c", "metadata_token": token}))
        .await;
    refused(&got, 409, "Could not update metadata (edit conflict).");
}

#[tokio::test]
async fn a_reserved_node_takes_changes_only_from_its_holder() {
    let site = Site::new().await;
    let (ann, _) = site.reader().await;
    let document = site.document("a", b"1").await;
    let path = format!("/v2/nodes/{document}");
    assert_eq!(
        site.body("PUT", &path, json!({"reserved_user_id": 1000}))
            .await
            .status,
        200
    );
    let properties = site.properties(document).await;
    assert_eq!(
        (&properties["reserved"], &properties["reserved_user_id"]),
        (&json!(true), &json!(1000))
    );
    assert_eq!(
        site.body("PUT", &path, json!({"description": "mine"}))
            .await
            .status,
        200
    );
    assert_eq!(
        site.body("PUT", &path, json!({"reserved_user_id": null}))
            .await
            .status,
        200
    );
    site.cs.reserve(document, Some(ann));
    let versions = format!("/v2/nodes/{document}/versions");
    refused(
        &site.upload(&versions, &[], ("file", "a", b"2")).await,
        400,
        "reserved by ann",
    );
    refused(
        &site.body("PUT", &path, json!({"name": "b"})).await,
        400,
        "reserved",
    );
    refused(
        &site.form("DELETE", &path, "").await,
        400,
        "invalid action 'delete'",
    );
    site.cs
        .configure(|config| config.wording = Wording::Documented)
        .unwrap();
    refused(
        &site.upload(&versions, &[], ("file", "a", b"2")).await,
        400,
        "invalid action 'versions-add'",
    );
}

#[tokio::test]
async fn versions_count_on_and_are_never_reused() {
    let site = Site::new().await;
    let document = site.document("a.mov", b"one").await;
    let path = format!("/v2/nodes/{document}/versions");
    let fields = [
        ("description", "lh1 marker"),
        ("external_modify_date", "2026-02-03T04:05:06"),
    ];
    let got = site
        .upload(&path, &fields, ("file", "two.mov", b"twotwo"))
        .await
        .json();
    let version = &got["results"]["data"]["versions"];
    for (key, value) in [
        ("version_number", json!(2)),
        ("version_number_major", json!(0)),
        ("version_number_minor", json!(2)),
        ("version_number_name", json!("2")),
        ("file_size", json!(6)),
        ("file_name", json!("two.mov")),
        ("file_type", json!("mov")),
        ("description", json!("lh1 marker")),
        ("external_modify_date", json!("2026-02-03T04:05:06")),
        ("file_modify_date", json!("2026-02-03T04:05:06Z")),
        ("id", json!(document)),
        ("locked", json!(false)),
        ("locked_date", Value::Null),
    ] {
        assert_eq!(version[key], value, "{key}");
    }
    assert_ne!(version["version_id"], version["id"]);
    let properties = &got["results"]["data"]["properties"];
    assert_eq!(
        (&properties["size"], &properties["name"]),
        (&json!(6), &json!("a.mov")),
        "the name stays"
    );
    assert_eq!(
        site.form("DELETE", &format!("{path}/2"), "").await.status,
        200
    );
    let third = site
        .upload(
            &format!("/v1/nodes/{document}/versions"),
            &[],
            ("file", "x", b"3"),
        )
        .await
        .json();
    assert_eq!(third, json!({"id": document, "version_number": 3}));
    let numbers = |got: Got| -> Vec<i64> {
        let rows = got.json()["results"].as_array().unwrap().clone();
        rows.iter()
            .map(|row| row["data"]["versions"]["version_number"].as_i64().unwrap())
            .collect()
    };
    assert_eq!(numbers(site.get(&path).await), [3, 1]);
    assert_eq!(
        numbers(site.get(&format!("{path}?order=asc")).await),
        [1, 3]
    );
    assert_eq!(
        numbers(site.get(&format!("{path}?order=asc&limit=1&page=2")).await),
        [3]
    );
    let latest = site
        .get(&format!("/v1/nodes/{document}/versions/latest"))
        .await
        .json();
    assert_eq!(latest["data"]["version_number"], 3);
    refused(
        &site
            .get(&format!("/v2/nodes/{document}/versions/latest"))
            .await,
        400,
        "argument 'version_number'",
    );
    refused(
        &site.get(&format!("{path}/2")).await,
        400,
        "Error getting version for node",
    );
    let got = site
        .form("PUT", &format!("{path}/1"), "description=final")
        .await
        .json();
    assert_eq!(got["results"]["data"]["versions"]["description"], "final");
    refused(
        &site.form("POST", &path, "description=x").await,
        400,
        "Missing required parameter 'File'",
    );
    refused(
        &site.form("POST", &path, "add_major_version=maybe").await,
        400,
        "must be a Boolean",
    );
}

#[tokio::test]
async fn versions_are_purged_promoted_and_locked_by_their_rules() {
    let site = Site::new().await;
    let document = site.document("a", b"1").await;
    let path = format!("/v2/nodes/{document}/versions");
    for content in [b"2", b"3"] {
        site.upload(&path, &[], ("file", "a", content)).await;
    }
    refused(
        &site.form("POST", &format!("{path}/1/promote"), "").await,
        500,
        "standard versioning",
    );
    let locked = site
        .form("POST", &format!("{path}/1/lock"), "")
        .await
        .json();
    assert_eq!(locked["results"]["data"]["versions"]["locked"], true);
    refused(
        &site.form("POST", &format!("{path}/1/lock"), "").await,
        500,
        "Could not lock version",
    );
    refused(
        &site.form("DELETE", &format!("{path}/1"), "").await,
        400,
        "invalid action 'versions-delete'",
    );
    refused(
        &site.form("DELETE", &path, "number_to_keep=0").await,
        500,
        "Invalid value for NumberToKeep",
    );
    assert_eq!(
        site.form("DELETE", &format!("{path}?number_to_keep=1"), "")
            .await
            .status,
        200
    );
    assert_eq!(site.cs.visible_versions().len(), 2, "the locked one stays");

    let body = json!({"type": 144, "parent_id": site.folder, "name": "adv", "advanced_versioning": "True"}).to_string();
    let advanced = id(&site
        .upload("/v2/nodes", &[("body", &body)], ("file", "a", b"1"))
        .await);
    let path = format!("/v2/nodes/{advanced}/versions");
    let names = async |fields: &[(&str, &str)]| {
        let got = site.upload(&path, fields, ("file", "a", b"2")).await.json();
        got["results"]["data"]["versions"]["version_number_name"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(names(&[]).await, "0.2");
    assert_eq!(names(&[("add_major_version", "true")]).await, "1.0");
    assert_eq!(names(&[]).await, "1.1");
    let promoted = site
        .form("POST", &format!("{path}/4/promote"), "")
        .await
        .json();
    assert_eq!(
        promoted["results"]["data"]["versions"]["version_number_name"],
        "2.0"
    );
    site.form("DELETE", &path, "number_to_keep=1").await;
    let kept = site.get(&format!("{path}?order=asc")).await.json();
    let kept: Vec<_> = kept["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["data"]["versions"]["version_number_name"].clone())
        .collect();
    assert_eq!(kept, ["1.0", "1.1", "2.0"], "only minor ones go");
}

#[tokio::test]
async fn content_comes_back_whole_and_by_range_only_where_that_is_on() {
    let site = Site::new().await;
    let document = site.document("ü \"1\".mov", b"0123456789").await;
    site.upload(
        &format!("/v2/nodes/{document}/versions"),
        &[],
        ("file", "b", b"newer"),
    )
    .await;
    for (path, content) in [
        (format!("/v2/nodes/{document}/content"), "newer"),
        (
            format!("/v1/nodes/{document}/content?action=download"),
            "newer",
        ),
        (
            format!("/v2/nodes/{document}/versions/1/content"),
            "0123456789",
        ),
        (
            format!("/v1/nodes/{document}/versions/1/content/x.mov"),
            "0123456789",
        ),
    ] {
        let got = site.get(&path).await;
        assert_eq!(got.text(), content);
        assert_eq!(
            got.header("content-length").unwrap(),
            content.len().to_string()
        );
        let head = site.form("HEAD", &path, "").await;
        assert_eq!((head.status, head.body.len()), (200, 0));
        assert_eq!(
            head.header("content-length"),
            got.header("content-length"),
            "{path}"
        );
    }
    let first = format!("/v2/nodes/{document}/versions/1/content");
    let disposition = site
        .get(&first)
        .await
        .header("content-disposition")
        .unwrap()
        .to_owned();
    assert!(
        disposition.starts_with("attachment; filename=\"")
            && disposition.contains("filename*=UTF-8''%C3%BC"),
        "{disposition}"
    );
    let ranged = [("Range", "bytes=2-4"), ("OTCSTicket", site.ticket.as_str())];
    assert_eq!(
        site.raw("GET", &first, &ranged, "").await.status,
        200,
        "ignored"
    );
    site.cs.configure(|config| config.ranges = true).unwrap();
    let got = site.raw("GET", &first, &ranged, "").await;
    assert_eq!((got.status, got.text().as_str()), (206, "234"));
    assert_eq!(got.header("content-range"), Some("bytes 2-4/10"));
    let beyond = [("Range", "bytes=10-"), ("OTCSTicket", site.ticket.as_str())];
    assert_eq!(site.raw("GET", &first, &beyond, "").await.status, 416);
    refused(
        &site
            .get(&format!("/v2/nodes/{document}/versions/9/content"))
            .await,
        500,
        "The version is not found",
    );
}

#[tokio::test]
async fn deleted_nodes_lie_in_the_bin_until_purged_or_restored() {
    let site = Site::new().await;
    let document = site.document("a", b"1").await;
    assert_eq!(
        site.form("DELETE", &format!("/v2/nodes/{document}"), "")
            .await
            .json()["results"],
        json!({})
    );
    refused(
        &site
            .form("DELETE", &format!("/v2/nodes/{document}"), "")
            .await,
        400,
        "Could not get node for",
    );
    let bin = site.get("/v2/volumes/recyclebin/nodes").await.json();
    assert_eq!(
        bin["results"][0]["data"]["properties"]["deleted_user_id"],
        1000
    );
    site.document("a", b"2").await;
    let form = format!("ids={document}");
    let got = site
        .form("POST", "/v2/volumes/recyclebin/nodes/restore", &form)
        .await;
    assert_eq!(
        (got.status, &got.json()["results"]["failure"]["ids"]),
        (400, &json!([document])),
        "the name is taken"
    );
    let other = site.cs.child(site.folder, "a").unwrap();
    site.form("DELETE", &format!("/v2/nodes/{other}"), "").await;
    let got = site
        .form("POST", "/v2/volumes/recyclebin/nodes/restore", &form)
        .await;
    assert_eq!(got.json()["results"]["success"]["ids"], json!([document]));
    assert_eq!(
        site.get(&format!("/v2/nodes/{document}/content"))
            .await
            .body,
        b"1"
    );
    let got = site
        .form(
            "POST",
            "/v2/volumes/recyclebin/nodes/purge",
            &format!("ids={other}"),
        )
        .await;
    assert_eq!(got.status, 200);
}

#[tokio::test]
async fn history_and_audit_tell_every_effect_in_order() {
    let site = Site::new().await;
    let document = site.document("a", b"1").await;
    site.upload(
        &format!("/v2/nodes/{document}/versions"),
        &[],
        ("file", "a", b"22"),
    )
    .await;
    site.form("PUT", &format!("/v2/nodes/{document}"), "name=b")
        .await;
    let history = site.cs.history();
    let kinds: Vec<_> = history
        .iter()
        .map(|event| event["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["create", "version", "rename"]);
    let sequence: Vec<_> = history
        .iter()
        .map(|event| event["sequence"].as_u64().unwrap())
        .collect();
    assert_eq!(sequence, [1, 2, 3]);
    assert_eq!(
        (&history[1]["size"], &history[1]["user"]),
        (&json!(2), &json!("Admin"))
    );
    assert_eq!(
        history[0]["sha256"],
        "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b"
    );
    let audit = site
        .get(&format!("/v2/nodes/{document}/audit"))
        .await
        .json();
    let rows = audit["results"]["data"]["audit"].as_array().unwrap();
    assert_eq!(
        (rows.len(), &rows[2]["event_type"]),
        (3, &json!(1)),
        "newest first"
    );
    let versions = site.cs.visible_versions();
    assert_eq!(
        versions.iter().map(|v| v.version).collect::<Vec<_>>(),
        [1, 2]
    );
    assert!(duplicates(&versions).is_empty());
}
