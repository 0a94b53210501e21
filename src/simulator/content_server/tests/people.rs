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
