//! Forms for people.

use super::*;

fn people() -> Vec<Attribute> {
    let name = Attribute::new(5, "Name", AttributeKind::Text).required();
    vec![
        Attribute::new(2, "Title", AttributeKind::Text),
        Attribute::new(3, "Cast", AttributeKind::Set(vec![name.clone()])).at_most(4),
        Attribute::new(4, "Lead", AttributeKind::Set(vec![name])),
    ]
}

#[tokio::test]
async fn a_category_form_has_rows_for_sets_of_many_and_fields_for_sets_of_one() {
    let site = Site::new().await;
    let category = site.cs.add_category("Media", people());
    let key = |rest: &str| format!("{category}_{rest}");
    let base = "/v1/forms/nodes/categories";
    let at = format!("{base}/create?id={}&category_id={category}", site.folder);
    let form = site.get(&at).await.json()["forms"][0].clone();
    let data = &form["data"];
    assert_eq!(data[key("1")]["metadata_token"], "");
    assert_eq!(data[key("3")], json!([{key("3_x_5"): null}]));
    assert_eq!(data[key("3_1")], Value::Null);
    assert_eq!(data[key("4")], json!({key("4_1_5"): null}));
    let properties = &form["schema"]["properties"];
    assert_eq!(properties[key("3")]["maxItems"], 4);
    assert_eq!(
        properties[key("3")]["items"]["properties"][key("3_x_5")]["required"],
        true
    );
    assert_eq!(
        properties[key("4")]["properties"][key("4_1_5")]["title"],
        "Name"
    );

    refused(
        &site.get(&format!("{base}/create")).await,
        400,
        "Invalid or missing parameters",
    );
    let picker = site
        .get(&format!("{base}/create?id={}", site.folder))
        .await
        .json();
    assert_eq!(picker["forms"][0]["data"], json!({"category_id": null}));
    let missing = format!("{base}/create?id={}&category_id=5", site.folder);
    refused(&site.get(&missing).await, 500, "Category 5 has no version");
    let update = format!("{base}/update?id={}", site.folder);
    refused(
        &site.get(&update).await,
        400,
        "Argument 'category_id' is required",
    );
    let update = format!("{update}&category_id={category}");
    refused(
        &site.get(&update).await,
        500,
        &format!(
            "Category ID {category} is not a category on node {}",
            site.folder
        ),
    );
    let values =
        json!({"category_id": category, key("3_2_5"): "b", key("3_1_5"): "a", key("4_1_5"): "c"});
    let put = format!("/v2/nodes/{}/categories", site.folder);
    assert_eq!(site.body("POST", &put, values).await.status, 200);
    let form = site.get(&update).await.json()["forms"][0].clone();
    assert_eq!(
        form["data"][key("3")],
        json!([{key("3_x_5"): "a"}, {key("3_x_5"): "b"}])
    );
    assert!(
        !form["data"][key("1")]["metadata_token"]
            .as_str()
            .unwrap()
            .is_empty()
    );

    // What a container passes on stands in the form for what is made in it.
    let create = format!("/v1/forms/nodes/create?parent_id={}&type=0", site.folder);
    let forms = site.get(&create).await.json()["forms"].clone();
    assert_eq!(forms[0]["data"]["parent_id"], site.folder);
    assert_eq!(forms[1]["role_name"], "categories");
    assert_eq!(
        forms[1]["data"][category.to_string()][key("4")][key("4_1_5")],
        "c"
    );
}

#[tokio::test]
async fn forms_about_nodes_say_what_is_and_what_can_be_said() {
    let site = Site::new().await;
    let document = site.document("cut.mov", b"12345").await;
    let get = async |rest: &str| site.get(&format!("/v1/forms/nodes/{rest}")).await;
    let forms = async |rest: &str| get(rest).await.json()["forms"].clone();
    let of = |rest: &str| format!("{rest}?id={document}");

    let general = forms(&of("properties/general")).await;
    assert_eq!(general[0]["data"]["name"], "cut.mov");
    let token = general[0]["data"]["metadata_token"].clone();
    let node = site
        .get(&format!("/v2/nodes/{document}?state"))
        .await
        .json();
    assert_eq!(
        node["results"]["state"]["properties"]["metadata_token"],
        token
    );
    assert_eq!(
        general[0]["schema"]["properties"]["owner_user_id"]["readonly"],
        true
    );
    let specific = forms(&of("properties/specific")).await;
    assert_eq!(specific[0]["data"]["file_size_formatted"], "5 Bytes");
    let rename = forms(&of("rename")).await;
    assert_eq!(rename[0]["schema"]["properties"]["name"]["maxLength"], 248);
    assert_eq!(
        rename[0]["options"]["form"]["attributes"],
        json!({"action": format!("api/v1/nodes/{document}"), "method": "PUT"})
    );
    let update = forms(&format!("update?id={}&role=versionscontrol", site.folder)).await;
    assert_eq!(update.as_array().unwrap().len(), 1);
    assert_eq!(update[0]["role_name"], "versionscontrol");
    let copy = forms(&of("copy")).await;
    assert_eq!(copy[0]["data"]["name"], "cut.mov");

    let category = site.cs.add_category("Media", people());
    let there = format!(
        "&parent_id={}&inheritance=1&category_id={category}",
        site.folder
    );
    let moved = forms(&format!("{}{there}", of("move"))).await;
    assert_eq!(moved[0]["data"]["parent_id"], site.folder);
    assert_eq!(
        moved[1]["schema"]["properties"][category.to_string()]["title"],
        "Media"
    );
    for (rest, status, text) in [
        ("move", 400, "Invalid or missing parameters"),
        ("rename", 400, "Argument 'id' is required"),
        (
            "rename?id=x",
            400,
            "Invalid datatype specified for argument 'id'",
        ),
        ("rename?id=999999", 500, "Could not get a node for 999999"),
        ("create?type=0", 400, "Argument 'parent_id' is required"),
        (
            "create?type=7&parent_id=2000",
            500,
            "Subtype 7 not registered",
        ),
        (
            "create?type=141&parent_id=2000",
            500,
            "type 141 has no action 'create'",
        ),
        (
            "create?type=0&parent_id=2000&category_id=5",
            400,
            "Category ID 5 is not a valid category.",
        ),
    ] {
        refused(&get(rest).await, status, text);
    }
}

#[tokio::test]
async fn forms_about_versions_know_their_version() {
    let site = Site::new().await;
    let document = site.document("cut.mov", b"12345").await;
    let get = async |rest: &str| site.get(&format!("/v1/forms/nodes/versions/{rest}")).await;
    let add = get(&format!("create?id={document}")).await.json();
    assert_eq!(
        add["forms"][0]["schema"]["properties"]["file"]["required"],
        true
    );
    refused(
        &get(&format!("create?id={}", site.folder)).await,
        500,
        "does not support the 'Versions-add' action",
    );
    let of = |rest: &str, number: i64| format!("{rest}?id={document}&version_number={number}");
    let update = get(&of("update", 1)).await.json();
    assert_eq!(
        update["forms"][0]["data"],
        json!({"description": "", "version_number": 1})
    );
    refused(
        &get(&of("update", 2)).await,
        500,
        &format!("The version number 2 is not a version on the node {document}"),
    );
    let general = get(&of("properties/general", 1)).await.json();
    assert_eq!(general["forms"][0]["data"]["version_number_name"], "1");
    let specific = get(&of("properties/specific", 1)).await.json();
    assert_eq!(specific["forms"][0]["data"]["file_type"], "mov");
    let none = get(&of("categories", 1)).await.json();
    assert_eq!(none["forms"], json!([]));
    let missing = get(&format!("properties/general?id={document}")).await;
    refused(&missing, 400, "Argument 'version_number' is required");
}
