//! Shortcuts: what they stand for, and that they have nothing of their own.

use super::*;

fn properties(got: &Got) -> Value {
    got.json()["results"]["data"]["properties"].clone()
}

#[tokio::test]
async fn a_shortcut_needs_an_original_that_its_maker_may_see() {
    let site = Site::new().await;
    let document = site.document("a.pdf", b"1").await;
    let folder = site.folder;
    let node = |more: &str| format!("type=1&parent_id={folder}&name=s{more}");
    refused(
        &site.form("POST", "/v2/nodes", &node("")).await,
        400,
        "Missing required parameter 'original_id'",
    );
    refused(
        &site
            .form("POST", "/v2/nodes", &node("&original_id=999999"))
            .await,
        400,
        "Sorry, the item",
    );
    let user = site.cs.ensure_user("ann", "secret");
    site.cs
        .grant(folder, user, &["see", "see_contents", "add_items"])
        .unwrap();
    site.cs.publish(document, &[]).unwrap();
    let ann = site.login("ann", "secret").await;
    let wanted = node(&format!("&original_id={document}"));
    refused(
        &site.as_user(&ann, "POST", "/v2/nodes", &wanted).await,
        400,
        "Sorry, the item",
    );
    let made = site.form("POST", "/v2/nodes", &wanted).await;
    let made = properties(&made);
    assert_eq!(made["type_name"], "Shortcut");
    assert_eq!(made["original_id"], document);
    assert_eq!(made["container"], false);
    assert_eq!(made["versionable"], false);

    // Who sees the shortcut reads its name, and nothing of what it stands for.
    let shortcut = made["id"].as_i64().unwrap();
    site.cs.grant(shortcut, user, &["see"]).unwrap();
    let path = format!("/v2/nodes/{shortcut}?expand=properties%7Boriginal_id%7D");
    let seen = properties(&site.as_user(&ann, "GET", &path, "").await);
    assert_eq!(seen["name"], "s");
    assert!(seen["original_id_expand"].is_null(), "{seen}");
    let content = format!("/v2/nodes/{shortcut}/content");
    let got = site.as_user(&ann, "GET", &content, "").await;
    assert_eq!(got.status, 500, "{}", got.text());
}

#[tokio::test]
async fn it_has_no_versions_and_outlives_neither_way() {
    let site = Site::new().await;
    let document = site.document("a.pdf", b"1").await;
    let folder = site.folder;
    let form = format!("type=1&parent_id={folder}&name=s&original_id={document}");
    let made = properties(&site.form("POST", "/v2/nodes", &form).await);
    let shortcut = made["id"].as_i64().unwrap();
    let versions = format!("/v2/nodes/{shortcut}/versions");
    assert_eq!(site.get(&versions).await.json()["results"], json!([]));
    let added = site
        .upload(&versions, &[("description", "x")], ("file", "a.pdf", b"2"))
        .await;
    refused(&added, 400, "has no role 'versions'");

    let listed = |kind: i64| format!("/v2/nodes/{folder}/nodes?where_type={kind}&where_name=s");
    let rows = site.get(&listed(1)).await.json();
    let row = &rows["results"][0]["data"]["properties"];
    assert_eq!(row["id"], shortcut);
    assert_eq!(row["original_id"], document);
    assert_eq!(site.get(&listed(144)).await.json()["results"], json!([]));

    // Moved and renamed as any node; its original stays where it is.
    let other = site.cs.add_folder(folder, "other");
    let moved = json!({"parent_id": other, "name": "t"});
    let path = format!("/v2/nodes/{shortcut}");
    assert_eq!(site.body("PUT", &path, moved).await.status, 200);
    assert_eq!(site.cs.child(other, "t"), Some(shortcut));
    assert_eq!(site.cs.child(folder, "a.pdf"), Some(document));

    // Without its original it leads nowhere, and is still there.
    assert!(site.cs.delete(document));
    let seen = properties(&site.get(&path).await);
    assert_eq!(seen["original_id"], document);
    let got = site.get(&format!("/v2/nodes/{shortcut}/content")).await;
    assert_eq!(got.status, 500, "{}", got.text());

    let document = site.document("b.pdf", b"1").await;
    let form = format!("type=1&parent_id={folder}&name=u&original_id={document}");
    let made = properties(&site.form("POST", "/v2/nodes", &form).await);
    let path = format!("/v2/nodes/{}", made["id"]);
    assert_eq!(site.form("DELETE", &path, "").await.status, 200);
    assert_eq!(site.cs.child(folder, "b.pdf"), Some(document));
}
