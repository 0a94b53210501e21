//! Searching, and what is asked beside it.

use super::*;

#[tokio::test]
async fn a_search_evaluates_regions_operators_and_categories() {
    let site = Site::with(|config| config.index_lag = Duration::ZERO).await;
    let title = Attribute::new(2, "Title", AttributeKind::Text);
    let category = site.cs.add_category("Media", vec![title]);
    let cut = site.document("Final cut.mov", b"12345").await;
    let rough = site.document("Rough cut.mov", b"1").await;
    let form = format!("category_id={category}&{category}_2=Spring+film");
    site.form("POST", &format!("/v2/nodes/{rough}/categories"), &form)
        .await;
    let found = async |text: &str, more: &str| -> Vec<i64> {
        let text: String = url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
        let form = format!("where={text}&sort=asc_OTDataID{more}");
        let got = site.form("POST", "/v2/search", &form).await.json();
        let rows = got["results"].as_array().unwrap().clone();
        let id = |row: &Value| row["data"]["properties"]["id"].as_i64().unwrap();
        rows.iter().map(id).collect()
    };
    let by_title = format!("Attr_{category}_2:spring");
    for (text, more, ids) in [
        ("OTName:cut and OTSubType:144", "", vec![cut, rough]),
        ("OTName:cut and not OTName:rough", "", vec![cut]),
        ("OTSubType:144 and OTObjectSize:>2", "", vec![cut]),
        ("OTName:(final or rough)", "", vec![cut, rough]),
        ("OTName:cu", "", vec![]),
        (&by_title, "", vec![rough]),
        ("spring film", "&lookfor=exactphrase", vec![rough]),
        ("final spring", "&lookfor=anywords", vec![cut, rough]),
        ("final spring", "&lookfor=allwords", vec![]),
        ("cut", "&within=content", vec![]),
        ("fin", "&modifier=wordbeginswith", vec![cut]),
        ("inal", "&modifier=wordendswith", vec![cut]),
    ] {
        assert_eq!(found(text, more).await, ids, "{text} {more}");
    }
    let form = "where=OTName%3Afinal&select=%7B%27OTName%27%2C%27OTFileSize%27%7D&options=%7B%27facets%27%7D&metadata";
    let got = site.form("POST", "/v2/search", form).await.json();
    let row = &got["results"][0]["data"];
    assert_eq!(
        row["regions"],
        json!({"OTName": "Final cut.mov", "OTFileSize": "5"})
    );
    assert_eq!(row["versions"]["version_number"], 1);
    let searching = &got["collection"]["searching"];
    assert_eq!(searching["regions_order"], json!(["OTName", "OTFileSize"]));
    assert_eq!(searching["regions_metadata"]["OTName"]["name"], "Name");
    let facet = &searching["facets"]["available"][0];
    assert_eq!(
        facet["facet_items"][0],
        json!({"count": 1, "display_name": "Document", "value": "144"})
    );
    for text in ["", "OTName%3A", "%28a"] {
        let got = site
            .form("POST", "/v2/search", &format!("where={text}"))
            .await;
        refused(&got, 400, "Error Evaluating Query");
    }
}

#[tokio::test]
async fn only_administrators_search_as_somebody_else() {
    let site = Site::with(|config| config.index_lag = Duration::ZERO).await;
    site.document("secret.mov", b"1").await;
    site.cs.publish(site.folder, &[]).unwrap();
    let hidden = site.cs.child(site.folder, "secret.mov").unwrap();
    site.cs.publish(hidden, &[]).unwrap();
    let (_, ticket) = site.reader().await;
    let form = "where=secret&user_login=ann";
    let total = |got: &Got| got.json()["collection"]["paging"]["total_count"].clone();
    assert_eq!(
        total(&site.form("POST", "/v2/search", "where=secret").await),
        1
    );
    assert_eq!(total(&site.form("POST", "/v2/search", form).await), 0);
    let got = site
        .as_user(&ticket, "POST", "/v2/search", "where=a&user_login=Admin")
        .await;
    refused(&got, 400, "You don't have the system administration rights");
}

#[tokio::test]
async fn regions_slices_and_links_are_told() {
    let site = Site::new().await;
    let all = site.get("/v1/regions").await.json()["data"].clone();
    assert!(
        all.as_array()
            .unwrap()
            .iter()
            .any(|row| row["name"] == "OTName")
    );
    let default = site.get("/v1/regions?search_by_default=true").await.json();
    assert_eq!(default["data"][0]["name"], "OTName");
    assert_eq!(default["data"].as_array().unwrap().len(), 1);
    assert_eq!(
        site.get("/v1/slices").await.json()["data"][0]["default_slice"],
        true
    );
    let link = site
        .get(&format!("/v2/nodes/{}/copylink", site.folder))
        .await
        .json();
    let link = link["results"]["link"].as_str().unwrap().to_owned();
    assert!(
        link.ends_with(&format!("/app/nodes/{}", site.folder)),
        "{link}"
    );
    refused(
        &site.get("/v2/nodes/999999/copylink").await,
        404,
        "could not be accessed",
    );
}

#[tokio::test]
async fn rights_come_in_bulk_and_only_to_those_who_can_hold_them() {
    let site = Site::new().await;
    let (ann, _) = site.reader().await;
    let path = format!("/v2/nodes/{}/permissions", site.folder);
    let bulk = format!("{path}/custom/bulk");
    let array = |rows: Value| {
        let rows = rows.to_string();
        let rows: String = url::form_urlencoded::byte_serialize(rows.as_bytes()).collect();
        format!("{bulk}?permissions_array={rows}")
    };
    let rows =
        json!([{"right_id": ann, "permissions": ["see"]}, {"right_id": 999, "permissions": []}]);
    let got = site.form("POST", &array(rows), "").await;
    assert_eq!(got.status, 200, "{}", got.text());
    assert_eq!(
        got.json()["results"][0]["data"]["permissions"]["permissions"],
        json!(["see"])
    );
    let one = site.get(&format!("{path}/custom/{ann}")).await.json();
    assert_eq!(one["results"]["data"]["permissions"]["right_id"], ann);
    refused(
        &site.form("POST", &bulk, "").await,
        400,
        "'permissions_array'",
    );
    for rows in [
        json!([{"right_id": 77_777, "permissions": ["see"]}]),
        json!([{"right_id": ann, "permissions": ["fly"]}]),
        json!({"right_id": ann}),
    ] {
        refused(
            &site.form("POST", &array(rows), "").await,
            500,
            "invalid request",
        );
    }
    let three = format!("{}&apply_to=3", array(json!([])));
    refused(&site.form("POST", &three, "").await, 500, "invalid request");
    // A group does not own, and a user is no owner group.
    for (entry, right) in [("owner", 999), ("group", ann)] {
        let body = json!({"permissions": ["see"], "right_id": right});
        let got = site.body("PUT", &format!("{path}/{entry}"), body).await;
        refused(&got, 500, "invalid request");
    }
    refused(
        &site.get(&format!("{path}/dynamic")).await,
        403,
        "Dynamic Permissions is not enabled",
    );
}
