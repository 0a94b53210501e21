//! Collections: what they list, and that what they list stays where it is.

use super::*;

async fn collection(site: &Site) -> i64 {
    let form = format!("type=298&parent_id={}&name=c", site.folder);
    let made = site.form("POST", "/v2/nodes", &form).await;
    id(&made)
}

async fn listed(site: &Site, collection: i64) -> Vec<i64> {
    let got = site.get(&format!("/v2/nodes/{collection}/nodes")).await;
    let rows = got.json()["results"].as_array().unwrap().clone();
    let id = |row: &Value| row["data"]["properties"]["id"].as_i64().unwrap();
    rows.iter().map(id).collect()
}

#[tokio::test]
async fn a_node_is_collected_and_taken_out_again() {
    let site = Site::new().await;
    let document = site.document("a.pdf", b"1").await;
    let collection = collection(&site).await;
    let path = format!("/v2/nodes/{document}");
    let wanted = json!({"collection_id": collection});
    assert_eq!(site.body("PUT", &path, wanted).await.status, 200);
    assert_eq!(listed(&site, collection).await, [document]);
    assert_eq!(site.properties(document).await["parent_id"], site.folder);

    let wanted = json!({"collection_id": collection, "operation": "remove"});
    let out = site.body("PUT", &path, wanted.clone()).await;
    assert_eq!(out.status, 200, "{}", out.text());
    assert!(listed(&site, collection).await.is_empty());
    let again = site.body("PUT", &path, wanted).await;
    refused(&again, 400, "is not in the collection");
    let folder = json!({"collection_id": site.folder});
    refused(
        &site.body("PUT", &path, folder).await,
        400,
        "invalid action 'collect'",
    );
    let nowhere = json!({"collection_id": 999_999});
    refused(
        &site.body("PUT", &path, nowhere).await,
        400,
        "Sorry, the item",
    );
}

#[tokio::test]
async fn many_are_collected_at_once_each_with_its_outcome() {
    let site = Site::new().await;
    let first = site.document("a.pdf", b"1").await;
    let second = site.document("b.pdf", b"1").await;
    let collection = collection(&site).await;
    let path = format!("/v2/nodes/{collection}/collection");
    let form = format!("ids={first}&ids={second}&ids=999999&operation=add");
    let got = site.form("PUT", &path, &form).await.json();
    let status = &got["results"][0]["data"][0]["status"][0];
    assert_eq!(status["total_count"], 3, "{got}");
    assert_eq!(status["success_count"], 2);
    assert_eq!(status["error_count"], 1);
    assert_eq!(status["errors"][0]["id"], 999_999);
    assert_eq!(listed(&site, collection).await, [first, second]);

    let form = format!("ids={first}&operation=remove");
    assert_eq!(site.form("PUT", &path, &form).await.status, 200);
    assert_eq!(listed(&site, collection).await, [second]);
    assert!(site.cs.delete(second));
    assert!(listed(&site, collection).await.is_empty());

    let many = format!("operation=add{}", format!("&ids={first}").repeat(31));
    refused(&site.form("PUT", &path, &many).await, 400, "at most 30");
    let bare = format!("ids={first}");
    refused(&site.form("PUT", &path, &bare).await, 400, "'operation'");
    let wrong = format!("ids={first}&operation=keep");
    refused(&site.form("PUT", &path, &wrong).await, 400, "'keep'");
    let folder = format!("/v2/nodes/{}/collection", site.folder);
    let form = format!("ids={first}&operation=add");
    refused(
        &site.form("PUT", &folder, &form).await,
        400,
        "invalid action 'collect'",
    );
}

#[tokio::test]
async fn a_collection_holds_nothing_and_the_older_interface_does_not_collect() {
    let site = Site::new().await;
    let document = site.document("a.pdf", b"1").await;
    let collection = collection(&site).await;
    let form = format!("type=0&parent_id={collection}&name=f");
    refused(
        &site.form("POST", "/v2/nodes", &form).await,
        400,
        "Could not create a new Folder",
    );
    let copy = json!({"original_id": document, "parent_id": collection});
    let copied = site.body("POST", "/v2/nodes", copy).await;
    refused(&copied, 400, "invalid action 'copy'");
    let moved = json!({"parent_id": collection});
    let path = format!("nodes/{document}");
    refused(
        &site.body("PUT", &format!("/v2/{path}"), moved).await,
        400,
        "invalid action 'move'",
    );
    let types = site
        .get(&format!("/v1/nodes/{collection}/addablenodetypes"))
        .await;
    assert_eq!(types.json()["data"], json!({}));
    // Neither is an argument there.
    let form = json!({"collection_id": collection, "reserved_user_id": 1000, "name": "b.pdf"});
    let old = site.body("PUT", &format!("/v1/{path}"), form).await;
    assert_eq!(old.status, 200, "{}", old.text());
    assert!(listed(&site, collection).await.is_empty());
    let properties = site.properties(document).await;
    assert_eq!(properties["name"], "b.pdf");
    assert_eq!(properties["reserved"], false);
}
