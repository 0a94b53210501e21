//! Users, groups, and the roles of workspaces.

use super::*;

fn property(got: &Got, key: &str) -> Value {
    got.json()["results"]["data"]["properties"][key].clone()
}

#[tokio::test]
async fn the_groups_of_others_are_for_administrators() {
    let site = Site::new().await;
    let (ann, ticket) = site.reader().await;
    let own = site
        .as_user(&ticket, "GET", &format!("/v2/members/{ann}/memberof"), "")
        .await;
    assert_eq!(own.json()["results"][0]["data"]["properties"]["id"], 999);
    refused(
        &site
            .as_user(&ticket, "GET", "/v2/members/1000/memberof", "")
            .await,
        403,
        "Insufficient View Permissions",
    );
    refused(
        &site.get("/v2/members/999999/memberof").await,
        400,
        "Could not get a member for 999999",
    );
    let page = format!("/v2/members/{ann}/memberof?page=0");
    refused(
        &site.get(&page).await,
        400,
        "Could not set feature Page Number, the value 0 is less than the minimum value (1)",
    );
    // Who administers users is told, too.
    let form = "privilege_user_admin_rights=true";
    site.form("PUT", &format!("/v2/members/{ann}"), form).await;
    let told = site
        .as_user(&ticket, "GET", "/v2/members/1000/memberof", "")
        .await;
    assert_eq!(told.status, 200);
}

#[tokio::test]
async fn users_are_made_changed_found_and_deleted() {
    let site = Site::new().await;
    let new = json!({"type": 0, "name": "bea", "password": "pw", "group_id": 999, "first_name": "Bea",
        "last_name": "Cole", "business_email": "bea@films.example", "title": "Editor"});
    let made = site.body("POST", "/v2/members", new.clone()).await;
    let bea = property(&made, "id");
    assert_eq!(property(&made, "type_name"), "User");
    assert_eq!(property(&made, "title"), "Editor");
    refused(
        &site.body("POST", "/v2/members", new).await,
        500,
        "Error creating a new user",
    );
    for (without, status, text) in [
        (
            json!({"type": 0, "group_id": 999}),
            500,
            "Missing required parameter 'Name'",
        ),
        (
            json!({"type": 0, "name": "c"}),
            500,
            "Missing required parameter 'Group'",
        ),
        (
            json!({"type": 5, "name": "c"}),
            500,
            "Member type 5 not registered",
        ),
        (json!({"name": "c", "group_id": bea}), 500, "base group"),
    ] {
        refused(
            &site.body("POST", "/v2/members", without).await,
            status,
            text,
        );
    }
    let old = site
        .body("POST", "/v1/members", json!({"type": 0, "group_id": 999}))
        .await;
    refused(&old, 400, "Missing required parameter 'Name'");

    let ticket = site.login("bea", "pw").await;
    let path = format!("/v2/members/{bea}");
    let changed = site.as_user(&ticket, "PUT", &path, "title=Producer").await;
    assert_eq!(property(&changed, "title"), "Producer");
    let more = site
        .as_user(&ticket, "PUT", &path, "privilege_modify_users=true")
        .await;
    refused(&more, 400, "Could not process object, invalid request");
    let made = site
        .as_user(&ticket, "POST", "/v2/members", "type=1&name=g")
        .await;
    refused(&made, 400, "invalid action 'create'");
    let wrong = site.form("PUT", &path, "privilege_login=perhaps").await;
    refused(
        &wrong,
        400,
        "Could not set feature Log-in, value must be a Boolean",
    );

    for query in [
        "where_last_name=col",
        "where_business_email=films",
        "query=BEA&where_type=0",
    ] {
        let found = site.get(&format!("/v2/members?{query}")).await.json();
        assert_eq!(found["collection"]["paging"]["total_count"], 1, "{query}");
        assert_eq!(
            found["results"][0]["data"]["properties"]["id"], bea,
            "{query}"
        );
    }
    refused(
        &site.get("/v2/members?query=b&where_name=b").await,
        400,
        "The parameter(s) 'query' cannot be used together",
    );
    assert_eq!(site.form("DELETE", &path, "").await.status, 200);
    refused(
        &site.form("DELETE", &path, "").await,
        500,
        "already deleted",
    );
    assert_eq!(property(&site.get(&path).await, "deleted"), true);
    let found = site.get("/v2/members?where_name=bea").await.json();
    assert_eq!(found["results"], json!([]));
    let login = site
        .raw("POST", "/v1/auth", &[FORM], "username=bea&password=pw")
        .await;
    assert_eq!(login.status, 401);
}

#[tokio::test]
async fn groups_within_groups_hand_on_their_rights() {
    let site = Site::new().await;
    let (ann, ticket) = site.reader().await;
    let mut groups = Vec::new();
    for name in ["Editors", "Film"] {
        let made = site
            .body("POST", "/v2/members", json!({"type": 1, "name": name}))
            .await;
        groups.push(property(&made, "id").as_i64().unwrap());
    }
    let [editors, film] = groups[..] else {
        panic!("two groups");
    };
    refused(
        &site
            .body("POST", "/v2/members", json!({"type": 1, "name": "film"}))
            .await,
        500,
        "Specified name already exists",
    );
    let members = |group: i64| format!("/v2/members/{group}/members");
    let join = |member: i64| format!("member_id={member}");
    let joined = site.form("POST", &members(editors), &join(ann)).await;
    assert_eq!(joined.status, 200);
    let joined = site.form("POST", &members(film), &join(editors)).await;
    assert_eq!(joined.status, 200);
    refused(
        &site.form("POST", &members(editors), &join(film)).await,
        500,
        "Could not add a member: 'Could not locate specified child name.'",
    );
    refused(
        &site.form("POST", &members(editors), "member_id=x").await,
        500,
        "Could not set feature Member ID, value must be a Integer",
    );
    let by_ann = site
        .as_user(&ticket, "POST", &members(film), &join(ann))
        .await;
    refused(&by_ann, 500, "Insufficient privileges");

    site.cs.publish(site.folder, &[]).unwrap();
    let folder = format!("/v2/nodes/{}", site.folder);
    assert_eq!(site.as_user(&ticket, "GET", &folder, "").await.status, 400);
    let rights = json!({"right_id": film, "permissions": ["see", "see_contents"]});
    site.body("POST", &format!("{folder}/permissions/custom"), rights)
        .await;
    assert_eq!(site.as_user(&ticket, "GET", &folder, "").await.status, 200);
    let out = format!("{}?member_id={ann}", members(editors));
    assert_eq!(site.form("DELETE", &out, "").await.status, 200);
    assert_eq!(site.as_user(&ticket, "GET", &folder, "").await.status, 400);
    refused(
        &site.form("DELETE", &out, "").await,
        500,
        "Could not delete a member",
    );
}

#[tokio::test]
async fn a_role_gives_its_members_its_rights_in_the_workspace() {
    let site = Site::new().await;
    let (ann, ticket) = site.reader().await;
    site.cs.publish(site.folder, &[]).unwrap();
    let template = site.cs.add_workspace_type(16, "Campaign");
    let body = json!({"template_id": template, "name": "Spring", "parent_id": site.folder});
    let made = site
        .body("POST", "/v2/businessworkspaces", body)
        .await
        .json();
    let workspace = made["results"]["id"].as_i64().unwrap();
    let own = format!("/v2/businessworkspaces/{workspace}");
    let role =
        json!({"name": "Guests", "description": "d", "permissions": ["see", "see_contents"]});
    let made = site
        .body("POST", &format!("{own}/roles"), role.clone())
        .await;
    let role_id = property(&made, "id");
    assert_eq!(property(&made, "perms"), 130 | 36_865);
    let again = site.body("POST", &format!("{own}/roles"), role).await;
    refused(&again, 500, "already exists");

    let as_member = site.get(&format!("/v2/members/{role_id}")).await;
    assert_eq!(property(&as_member, "type"), 848);
    let found = site
        .get("/v2/members?where_type=848&where_name=guest")
        .await
        .json();
    assert_eq!(found["results"][0]["data"]["properties"]["id"], role_id);

    let node = format!("/v2/nodes/{workspace}");
    assert_eq!(site.as_user(&ticket, "GET", &node, "").await.status, 400);
    let at = format!("{own}/roles/{role_id}");
    site.body("POST", &format!("{at}/members"), json!({"id": ann}))
        .await;
    assert_eq!(site.as_user(&ticket, "GET", &node, "").await.status, 200);
    let one = site.get(&format!("{at}/members/{ann}")).await;
    assert_eq!(property(&one, "name"), "ann");
    let new = format!("type=0&name=f&parent_id={workspace}");
    assert_eq!(
        site.as_user(&ticket, "POST", "/v2/nodes", &new)
            .await
            .status,
        400
    );
    let more = json!({"permissions": ["see", "see_contents", "add_items"], "apply_to": 2});
    assert_eq!(
        property(&site.body("PUT", &at, more).await, "perms"),
        130 | 36_865 | 4
    );
    assert_eq!(
        site.as_user(&ticket, "POST", "/v2/nodes", &new)
            .await
            .status,
        200
    );

    let all = site.get(&format!("{own}/members")).await.json();
    let row = |index: usize| &all["results"][index]["data"];
    assert_eq!(row(0)["properties"]["leader"], true);
    assert_eq!(row(1)["properties"]["name"], "Guests");
    assert_eq!(row(1)["members"][0]["id"], ann);
    assert_eq!(site.form("DELETE", &at, "").await.status, 200);
    assert_eq!(site.as_user(&ticket, "GET", &node, "").await.status, 400);
    refused(&site.get(&at).await, 400, "role could not be found");
}

#[tokio::test]
async fn favorites_lie_in_tabs_and_reserved_and_recent_nodes_are_listed() {
    let site = Site::new().await;
    let document = site.document("a.pdf", b"1").await;
    let base = "/v2/members/favorites";
    let one = format!("{base}/{document}");
    assert_eq!(site.form("POST", &one, "").await.status, 200);
    refused(
        &site.form("POST", &format!("{base}/999999"), "").await,
        500,
        "could not be accessed",
    );
    refused(
        &site.form("POST", &format!("{base}/x"), "").await,
        500,
        "Could not set feature Node ID, value must be a Integer",
    );
    assert_eq!(site.properties(document).await["favorite"], true);
    let tab = site
        .form("POST", &format!("{base}/tabs"), "name=Film")
        .await
        .json();
    let tab = tab["results"]["data"]["tabs"]["tab_id"].clone();
    let unsorted = format!("{base}/tabs/unsorted/nodes");
    let total = async |path: &str| {
        site.get(path).await.json()["collection"]["paging"]["total_count"].clone()
    };
    assert_eq!(total(&unsorted).await, 1);
    let moved = site
        .form("PUT", &one, &format!("tab_id={tab}&name=Cut"))
        .await;
    assert_eq!(moved.status, 200);
    assert_eq!(total(&unsorted).await, 0);
    let inside = site.get(&format!("{base}/tabs/{tab}/nodes")).await.json();
    assert_eq!(
        inside["results"][0]["data"]["favorites"],
        json!({"name": "Cut", "order": 0, "tab_id": tab})
    );
    refused(
        &site.form("PUT", &one, "").await,
        400,
        "Parameters are required",
    );
    refused(
        &site.get(&format!("{base}?sort=age")).await,
        500,
        "Invalid value for sort",
    );
    let gone = format!("{base}/tabs/{tab}");
    assert_eq!(site.form("DELETE", &gone, "").await.status, 200);
    assert_eq!(total(base).await, 0);
    refused(
        &site.form("DELETE", &gone, "").await,
        500,
        "Invalid Value For tab ID",
    );

    assert_eq!(total("/v2/members/reserved").await, 0);
    let reserve = json!({"reserved_user_id": 1000});
    site.body("PUT", &format!("/v2/nodes/{document}"), reserve)
        .await;
    assert_eq!(total("/v2/members/reserved?where_name=A").await, 1);
    assert_eq!(total("/v2/members/accessed?where_type=144").await, 1);
    let targets = site.get("/v2/members/targets").await.json();
    assert_eq!(
        targets["results"][0]["data"]["properties"]["id"],
        site.folder
    );
}

#[tokio::test]
async fn a_workspace_has_one_icon() {
    let site = Site::new().await;
    let template = site.cs.add_workspace_type(16, "Campaign");
    let body = json!({"template_id": template, "name": "Spring", "parent_id": site.folder});
    let made = site
        .body("POST", "/v2/businessworkspaces", body)
        .await
        .json();
    let own = format!("/v2/businessworkspaces/{}", made["results"]["id"]);
    let path = format!("{own}/icons");
    let fields = [
        ("file_content_type", "image/png"),
        ("file_filename", "a.png"),
    ];
    let file = ("file", "a.png", &b"png"[..]);
    let put = async |method: &str, fields: &[(&str, &str)]| {
        let headers = [MULTIPART, ("OTCSTicket", site.ticket.as_str())];
        site.raw(method, &path, &headers, multipart(fields, Some(file)))
            .await
    };
    refused(&put("PUT", &fields).await, 400, "has no widget icon");
    refused(&put("POST", &fields[..1]).await, 400, "'file_filename'");
    let text = [("file_content_type", "text/plain"), fields[1]];
    refused(&put("POST", &text).await, 400, "could not be uploaded");
    let icon = put("POST", &fields).await.json()["results"]["icon_node_id"].clone();
    assert!(icon.is_i64(), "{icon}");
    assert_eq!(
        put("PUT", &fields).await.json()["results"]["icon_node_id"],
        icon
    );
    let shown = site.get(&own).await.json();
    let url = shown["results"]["data"]["properties"]["image_url"].clone();
    assert_eq!(url, format!("/api/v1/nodes/{icon}/content"));
    let image = site.get(&format!("/v1/nodes/{icon}/content")).await;
    assert_eq!(image.text(), "png");
    assert_eq!(site.form("DELETE", &path, "").await.status, 200);
    refused(
        &site.form("DELETE", &path, "").await,
        400,
        "has no widget icon",
    );
}
