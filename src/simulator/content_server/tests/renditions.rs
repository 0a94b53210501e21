//! Renditions of versions, and the categories that versions had.

use super::*;

#[tokio::test]
async fn a_version_has_one_rendition_of_each_type() {
    let site = Site::new().await;
    let document = site.document("cut.mov", b"12345").await;
    let all = format!("/v2/nodes/{document}/versions/renditions");
    let own = format!("/v2/nodes/{document}/versions/1/renditions");
    let kind = |kind| [("rendition_type", kind)];
    let file = ("file", "cut.pdf", &b"pdf"[..]);
    refused(
        &site.upload(&all, &[], file).await,
        400,
        "Argument \"rendition_type\" is required",
    );
    refused(
        &site.upload(&all, &kind(""), file).await,
        400,
        "the length of '' is less",
    );
    refused(
        &site.form("POST", &all, "rendition_type=pdf").await,
        400,
        "Argument \"file\" is required",
    );
    let made = site.upload(&all, &kind("pdf"), file).await.json();
    let data = &made["results"]["data"];
    for (key, value) in [
        ("rendition_type", json!("pdf")),
        ("file_name", json!("cut.pdf")),
        ("file_type", json!("pdf")),
        ("file_size", json!(3)),
        ("version_number", json!(1)),
        ("id", json!(document)),
    ] {
        assert_eq!(data[key], value, "{key}");
    }
    refused(
        &site.upload(&all, &kind("pdf"), file).await,
        400,
        "Could not add Rendition 'pdf' to version '1'",
    );
    let versions = format!("/v2/nodes/{document}/versions");
    site.upload(&versions, &[], ("file", "cut.mov", b"6")).await;
    let listed = site.get(&all).await.json();
    assert_eq!(listed["results"]["data"]["1"][0]["rendition_type"], "pdf");
    assert_eq!(listed["results"]["data"]["2"], json!([]));
    let latest = format!("/v2/nodes/{document}/versions/latest/renditions");
    assert_eq!(site.get(&latest).await.json()["results"]["data"], json!([]));
    let one = site.get(&format!("{own}?rendition_type=pdf")).await.json();
    assert_eq!(
        one["results"]["data"]["mime_type"],
        "application/octet-stream"
    );
    refused(
        &site.get(&format!("{own}?rendition_type=png")).await,
        500,
        "Unable to get node rendition",
    );
    let content = site.get(&format!("{own}/content?rendition_type=pdf")).await;
    assert_eq!(content.text(), "pdf");
    assert!(
        content
            .header("content-disposition")
            .unwrap()
            .contains("cut_pdf.pdf")
    );
    refused(
        &site.get(&format!("{own}/content")).await,
        400,
        "Argument 'rendition_type' is required.",
    );

    let headers = [MULTIPART, ("OTCSTicket", site.ticket.as_str())];
    let new = multipart(&kind("pdf"), Some(("file", "b.pdf", b"other")));
    assert_eq!(site.raw("PUT", &own, &headers, new).await.status, 200);
    let content = site.get(&format!("{own}/content?rendition_type=pdf")).await;
    assert_eq!(content.text(), "other");
    let new = multipart(&kind("png"), Some(("file", "b.png", b"x")));
    refused(
        &site.raw("PUT", &own, &headers, new).await,
        400,
        "Could not replace Rendition 'png' in version '1'",
    );
    let gone = format!("{own}?rendition_type=pdf");
    assert_eq!(site.form("DELETE", &gone, "").await.status, 200);
    refused(
        &site.form("DELETE", &gone, "").await,
        500,
        "Error deleting the specified rendition.",
    );
}

#[tokio::test]
async fn a_missing_right_is_the_401_that_no_new_ticket_mends() {
    let site = Site::new().await;
    let document = site.document("a", b"1").await;
    let (_, ticket) = site.reader().await;
    let path = format!("/v2/nodes/{document}/versions/renditions");
    let form = multipart(&[("rendition_type", "pdf")], Some(("file", "a.pdf", b"x")));
    let headers = [MULTIPART, ("OTCSTicket", ticket.as_str())];
    let got = site.raw("POST", &path, &headers, form).await;
    refused(&got, 401, "Insufficient permissions to perform that action");
}

#[tokio::test]
async fn a_version_keeps_the_categories_it_had() {
    let site = Site::new().await;
    let title = Attribute::new(2, "Title", AttributeKind::Text);
    let category = site.cs.add_category("Media", vec![title]);
    let document = site.document("a", b"1").await;
    let path = format!("/v2/nodes/{document}");
    let key = format!("{category}_2");
    let form = format!("category_id={category}&{key}=first");
    site.form("POST", &format!("{path}/categories"), &form)
        .await;
    site.upload(&format!("{path}/versions"), &[], ("file", "a", b"2"))
        .await;
    let form = format!("{key}=second");
    site.form("PUT", &format!("{path}/categories/{category}"), &form)
        .await;
    for (number, value) in [(1, "first"), (2, "second"), (0, "second")] {
        let at = format!("{path}/versions/{number}/categories?metadata");
        let got = site.get(&at).await.json();
        let row = &got["results"][0];
        assert_eq!(row["data"]["categories"][&key], value, "version {number}");
        assert_eq!(
            row["metadata_order"]["categories"],
            json!([category.to_string()])
        );
    }
    let old = site
        .get(&format!("/v1/nodes/{document}/versions/1/categories"))
        .await
        .json();
    assert_eq!(old["data"], json!({&key: "first"}));
    assert_eq!(old["definitions"][&key]["name"], "Title");
    refused(
        &site.get(&format!("{path}/versions/9/categories")).await,
        400,
        "Error getting version for node",
    );
}
