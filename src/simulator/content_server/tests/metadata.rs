//! Categories, permissions, records, holds, workspaces, workflows.

use super::*;

fn media() -> Vec<Attribute> {
    vec![
        Attribute::new(2, "Title", AttributeKind::Text).required(),
        Attribute::new(3, "Expires", AttributeKind::Date),
        Attribute::new(4, "Regions", AttributeKind::Text).multiple(),
    ]
}

#[tokio::test]
async fn a_name_in_several_languages_keeps_all_of_them() {
    let site = Site::new().await;
    let named = |en: &str, de: &str| json!({"en": en, "de": de});
    let new = json!({"type": 0, "parent_id": site.folder, "name": "ignored",
        "name_multilingual": named("Spring", "Frühling"), "description_multilingual": named("d", "b")});
    let folder = id(&site.body("POST", "/v2/nodes", new).await);
    let path = format!("/v2/nodes/{folder}");
    let read = async || {
        let node = site.get(&path).await.json();
        node["results"]["data"]["properties"].clone()
    };
    let node = read().await;
    assert_eq!(node["name"], "Spring");
    assert_eq!(node["name_multilingual"], named("Spring", "Frühling"));
    assert_eq!(node["description_multilingual"], named("d", "b"));
    // A plain name is the one in the server's own language.
    site.body("PUT", &path, json!({"name": "Summer"})).await;
    assert_eq!(
        read().await["name_multilingual"],
        named("Summer", "Frühling")
    );
    let all = json!({"name_multilingual": {"en": "Autumn", "fr": "Automne"}});
    site.body("PUT", &path, all.clone()).await;
    assert_eq!(read().await["name_multilingual"], all["name_multilingual"]);
}

#[tokio::test]
async fn a_new_node_is_the_record_that_its_roles_say() {
    let site = Site::new().await;
    let class = site.cs.add_records_class("Media");
    let roles = json!({
        "rmclassifications": {"class_id": class, "official": true, "record_date": "2026-02-03"},
        "securityclearances": {"clearance_level": 20, "supplemental_markings": ["PII"]},
    });
    let new = json!({"type": 0, "parent_id": site.folder, "name": "r", "roles": roles});
    let node = id(&site.body("POST", "/v2/nodes", new).await);
    let record = site
        .get(&format!("/v1/nodes/{node}/rmclassifications"))
        .await;
    let row = &record.json()["data"][0];
    assert_eq!(
        (&row["rmclassification_id"], &row["official"]),
        (&json!(class), &json!(true))
    );
    assert_eq!(row["record_date"], "2026-02-03T00:00:00");
    let security = site
        .get(&format!("/v1/nodes/{node}/securityclearances"))
        .await;
    assert!(security.text().contains("20") && security.text().contains("PII"));
}

#[tokio::test]
async fn categories_are_flat_on_v2_and_nested_on_v1() {
    let site = Site::new().await;
    let cat = site.cs.add_category("Media", media());
    let (title, regions) = (format!("{cat}_2"), format!("{cat}_4"));
    let node = |name: &str, categories: Value| json!({"type": 0, "parent_id": site.folder, "name": name, "roles": {"categories": categories}});
    let flat = json!({&title: "x", &regions: ["DE", "AT"]});
    let created = site
        .body("POST", "/v2/nodes", node("flat", flat.clone()))
        .await;
    let folder = id(&created);
    let nested = json!({cat.to_string(): {&title: "y"}});
    assert_eq!(
        site.body("POST", "/v1/nodes", node("nested", nested.clone()))
            .await
            .status,
        200
    );
    assert_eq!(
        site.body("POST", "/v2/nodes", node("wrong", nested))
            .await
            .status,
        500
    );
    assert_eq!(
        site.body("POST", "/v1/nodes", node("wrong", flat))
            .await
            .status,
        500
    );
    let unset = site
        .body(
            "POST",
            "/v2/nodes",
            node("unset", json!({format!("{cat}_1"): {}})),
        )
        .await;
    refused(&unset, 400, "'Title'");

    let listed = site
        .get(&format!("/v2/nodes/{folder}/categories?metadata"))
        .await
        .json();
    let entry = &listed["results"][0];
    assert_eq!(
        entry["data"]["categories"],
        json!({&title: "x", format!("{cat}_3"): null, &regions: ["DE", "AT"]})
    );
    assert_eq!(
        entry["metadata"]["categories"][cat.to_string()]["name"],
        "Media"
    );
    assert_eq!(
        entry["metadata_order"]["categories"],
        json!([cat.to_string()])
    );
    let one = site
        .get(&format!("/v2/nodes/{folder}/categories/{cat}"))
        .await
        .json();
    assert_eq!(one["results"]["data"]["categories"][&title], "x");
    let in_node = site
        .get(&format!("/v2/nodes/{folder}?fields=categories&metadata"))
        .await
        .json();
    assert_eq!(
        in_node["results"]["data"]["categories"][0][&title], "x",
        "a list there"
    );
    assert_eq!(
        in_node["results"]["metadata"]["categories"][0][cat.to_string()]["persona"],
        "category"
    );

    let child = format!("type=0&parent_id={folder}&name=child");
    let child = id(&site.form("POST", "/v2/nodes", &child).await);
    let inherited = site
        .get(&format!("/v2/nodes/{child}/categories"))
        .await
        .json();
    assert_eq!(
        inherited["results"][0]["data"]["categories"][&title], "x",
        "children inherit"
    );
}

#[tokio::test]
async fn a_category_is_assigned_once_updated_with_a_token_and_removed() {
    let site = Site::new().await;
    let cat = site.cs.add_category("Media", media());
    let path = format!("/v2/nodes/{}/categories", site.folder);
    let assign = format!("category_id={cat}&{cat}_2=x&{cat}_4=DE&{cat}_4=AT");
    assert_eq!(
        site.form("POST", &path, &assign).await.json()["results"],
        json!({})
    );
    refused(
        &site.form("POST", &path, &assign).await,
        400,
        "The attribute group 'Media' already exists",
    );
    let one = format!("{path}/{cat}");
    let tokens = site
        .get(&format!(
            "/v2/nodes/{}?state&fields=categories",
            site.folder
        ))
        .await
        .json();
    let token =
        tokens["results"]["state"]["categories"][format!("{cat}_1")]["metadata_token"].clone();
    let update =
        json!({format!("{cat}_1"): {"metadata_token": token}, format!("{cat}_3"): "2026-05-06"});
    let got = site.body("PUT", &one, update.clone()).await.json();
    assert!(
        got["results"]["state"]["categories"][format!("{cat}_1")]["metadata_token"].is_string()
    );
    refused(&site.body("PUT", &one, update).await, 409, "edit conflict");
    refused(
        &site.form("PUT", &one, &format!("{}_2=x", cat + 1)).await,
        400,
        "a non-matching attribute",
    );
    refused(
        &site.form("PUT", &one, "").await,
        400,
        "Parameters are required",
    );
    let values = site.get(&one).await.json();
    assert_eq!(
        values["results"]["data"]["categories"][format!("{cat}_3")],
        "2026-05-06T00:00:00"
    );
    let inherit = site
        .form("DELETE", &format!("{one}/inheritance"), "")
        .await
        .json();
    assert!(inherit["links"].is_object(), "never an empty object");
    assert_eq!(site.form("DELETE", &one, "").await.status, 200);
    refused(&site.get(&one).await, 400, "is not a category on node");
}

#[tokio::test]
async fn permissions_are_read_set_and_taken_away() {
    let site = Site::new().await;
    let (user, ann) = site.reader().await;
    let document = site.document("a", b"1").await;
    let path = format!("/v2/nodes/{document}/permissions");
    let rows = site.get(&path).await.json();
    let kinds: Vec<_> = rows["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["data"]["permissions"]["type"].clone())
        .collect();
    assert_eq!(kinds, ["owner", "group", "public"]);
    let body = json!({"permissions": ["see", "see_contents"], "right_id": user});
    let got = site
        .body("POST", &format!("{path}/custom"), body)
        .await
        .json();
    assert_eq!(got["results"]["data"]["permissions"]["right_id"], user);
    for entry in ["public", "group"] {
        assert_eq!(
            site.body(
                "PUT",
                &format!("{path}/{entry}"),
                json!({"permissions": []})
            )
            .await
            .status,
            200
        );
    }
    let effective = site.get(&format!("{path}/effective/{user}")).await.json();
    assert_eq!(
        effective["results"]["data"]["permissions"]["permissions"],
        json!(["see", "see_contents"])
    );
    assert_eq!(
        site.as_user(&ann, "GET", &format!("/v2/nodes/{document}/content"), "")
            .await
            .status,
        200
    );
    let denied = site
        .as_user(&ann, "PUT", &format!("{path}/public"), "permissions=see")
        .await;
    refused(
        &denied,
        500,
        "Insufficient permissions to perform that action",
    );
    assert_eq!(
        site.form("DELETE", &format!("{path}/custom/{user}"), "")
            .await
            .status,
        200
    );
    assert_eq!(
        site.as_user(&ann, "GET", &format!("/v2/nodes/{document}"), "")
            .await
            .status,
        400
    );
    let wrong = site
        .body(
            "PUT",
            &format!("{path}/public"),
            json!({"permissions": ["see"], "apply_to": 2}),
        )
        .await;
    refused(&wrong, 500, "invalid request");
}

#[tokio::test]
async fn rights_can_be_applied_to_everything_below() {
    let site = Site::new().await;
    let document = site.document("a", b"1").await;
    let body = json!({"permissions": [], "apply_to": 2});
    for entry in ["public", "group"] {
        site.body(
            "PUT",
            &format!("/v2/nodes/{}/permissions/{entry}", site.folder),
            body.clone(),
        )
        .await;
    }
    let (_, ann) = site.reader().await;
    assert_eq!(
        site.as_user(&ann, "GET", &format!("/v2/nodes/{document}"), "")
            .await
            .status,
        400
    );
}

#[tokio::test]
async fn a_record_is_declared_edited_with_a_token_and_finalised() {
    let site = Site::new().await;
    let document = site.document("a", b"1").await;
    let path = format!("/v1/nodes/{document}/rmclassifications");
    assert_eq!(site.get(&path).await.json()["data"], json!([]));
    let class = site.cs.add_records_class("Masters");
    let plain = site.cs.add_classification("Media");
    refused(
        &site.body("POST", &path, json!({"class_id": 41})).await,
        400,
        "could not be accessed",
    );
    refused(
        &site.body("POST", &path, json!({"class_id": plain})).await,
        400,
        "invalid action 'rmclassify'",
    );
    assert_eq!(
        site.body("POST", &path, json!({"class_id": class}))
            .await
            .status,
        200
    );
    let details = site.get(&path).await.json();
    assert_eq!(
        (
            &details["data"][0]["rmclassification_id"],
            &details["data"][0]["file_status"]
        ),
        (&json!(class), &json!("ACTIVE"))
    );
    let body = json!({"rm_metadataToken": details["rm_metadataToken"], "official": true, "essential": "VITAL"});
    assert_eq!(site.body("PUT", &path, body.clone()).await.status, 200);
    refused(&site.body("PUT", &path, body).await, 409, "edit conflict");
    refused(
        &site
            .form("DELETE", &format!("/v2/nodes/{document}"), "")
            .await,
        400,
        "invalid action 'delete'",
    );
    refused(
        &site
            .form("PUT", "/v1/rmclassifications/finalizerecords", "")
            .await,
        404,
        "ID is not an integer or is missing",
    );
    let finalise = format!("ids={document}");
    assert_eq!(
        site.form("PUT", "/v1/rmclassifications/finalizerecords", &finalise)
            .await
            .status,
        200
    );
    let versions = format!("/v2/nodes/{document}/versions");
    refused(
        &site.upload(&versions, &[], ("file", "a", b"2")).await,
        400,
        "finalized record",
    );
    refused(
        &site
            .form("PUT", &format!("/v2/nodes/{document}"), "name=b")
            .await,
        400,
        "finalized record",
    );
}

#[tokio::test]
async fn a_held_document_takes_no_version_until_the_hold_is_suspended() {
    let site = Site::new().await;
    let document = site.document("a", b"1").await;
    let form = "type=Legal&name=Case+7&date_applied=2026-01-01";
    let hold = site.form("POST", "/v1/holds", form).await.json()["holdID"]
        .as_i64()
        .unwrap();
    refused(
        &site.form("POST", "/v1/holds", form).await,
        400,
        "Could not insert into the Hold Disposition table",
    );
    let path = format!("/v1/nodes/{document}/holds");
    refused(
        &site.form("POST", &path, "").await,
        400,
        "Missing LLPARAMS_LIST",
    );
    assert_eq!(
        site.body("POST", &path, json!({"hold_id": hold}))
            .await
            .status,
        200
    );
    assert_eq!(
        site.get(&path).await.json()["data"][0]["hold_name"],
        "Case 7"
    );
    let versions = format!("/v2/nodes/{document}/versions");
    refused(
        &site.upload(&versions, &[], ("file", "a", b"2")).await,
        400,
        "on hold",
    );
    refused(
        &site
            .form("DELETE", &format!("/v2/nodes/{document}"), "")
            .await,
        400,
        "invalid action 'delete'",
    );
    assert_eq!(
        site.get("/v2/holds").await.json()["results"]["data"]["holds"][0]["ActiveHold"],
        1
    );
    let named = site.get("/v2/hold?holdname=Case%207").await.json();
    assert_eq!(named["results"]["data"]["hold"]["HoldID"], hold);
    let applied = &named["results"]["data"]["hold"]["DateApplied"];
    assert_eq!(applied, "2026-01-01T00:00:00");
    assert_eq!(
        site.get(&format!("/v2/holditems/{hold}")).await.json()["results"][0]["data"]["properties"]
            ["id"],
        document
    );
    site.form(
        "PUT",
        "/v1/holds",
        &format!("id={hold}&date_removed=2026-02-01"),
    )
    .await;
    assert_eq!(
        site.upload(&versions, &[], ("file", "a", b"2"))
            .await
            .status,
        200,
        "suspended"
    );
    refused(
        &site.form("DELETE", &format!("/v1/holds/{hold}"), "").await,
        400,
        "is in use",
    );
    assert_eq!(
        site.form("DELETE", &format!("{path}/{hold}"), "")
            .await
            .status,
        200
    );
    refused(
        &site.form("DELETE", &format!("{path}/{hold}"), "").await,
        400,
        "Object does not have this Hold",
    );
    let by_name = "/v2/hold?holdname=Case%207";
    let gone = site.form("DELETE", by_name, "").await.json();
    assert_eq!(
        gone["results"],
        json!({"ok": true, "errMsg": "", "id": hold})
    );
    assert_eq!(site.form("DELETE", by_name, "").await.status, 400);
}

#[tokio::test]
async fn a_task_in_the_queue_is_pending_until_its_turn_comes() {
    let site = Site::with(|config| config.queue_lag = Duration::from_secs(60)).await;
    let document = site.document("a", b"1").await;
    let class = site.cs.add_records_class("Masters");
    let path = format!("/v1/nodes/{document}/rmclassifications");
    site.body("POST", &path, json!({"class_id": class})).await;
    let task = format!("task_name=rm_FinalizeRecord&id={document}");
    let queued = site.form("POST", "/v1/rmqueues", &task).await.json();
    assert_eq!(queued["task_status"], "pending");
    let at = queued["location"].as_str().unwrap();
    let at = at.trim_start_matches("/api").to_owned();
    assert_eq!(site.get(&path).await.json()["canFinalize"], true);
    site.cs.advance(Duration::from_secs(61));
    assert_eq!(site.get(&at).await.json()["task_status"], "completed");
    assert_eq!(site.get(&path).await.json()["canFinalize"], false);
    assert_eq!(site.get("/v1/rmqueues/1").await.status, 404);
}

#[tokio::test]
async fn a_schedule_is_made_of_stages_that_count_from_a_date_of_the_record() {
    let site = Site::new().await;
    let made = site
        .form("POST", "/v2/rsischedules", "name=M10Y&status=ACTIVE")
        .await
        .json();
    let id = made["results"]["id"].as_i64().unwrap();
    let stage =
        "objectType=LRM&stage=FINAL&eventType=1&dateToUse=95&retentionYears=10&actionCode=32";
    let stages = format!("/v2/rsischedules/{id}/stages");
    assert_eq!(site.form("POST", &stages, stage).await.status, 200);
    let listed = site.get("/v2/rsis").await.json();
    let row = &listed["results"]["data"]["rsis"][0];
    assert_eq!(
        (&row["RSI"], &row["RetYears"]),
        (&json!("M10Y"), &json!(10))
    );
    let document = site.document("a", b"1").await;
    let class = site.cs.add_records_class("Masters");
    let record = json!({"class_id": class, "rsi": "M10Y", "record_date": "2026-02-03"});
    let path = format!("/v1/nodes/{document}");
    let got = site
        .body("POST", &format!("{path}/rmclassifications"), record)
        .await;
    assert_eq!(got.status, 200, "{}", got.text());
    let due = site.get(&format!("{path}/rsi/M10Y/GetRSIDetails")).await;
    assert_eq!(
        due.json()["data"][0]["CalculatedDate"],
        "2036-02-03T00:00:00"
    );
    let items = site.get(&format!("/v2/rsiitems/{id}")).await.json();
    assert_eq!(items["results"][0]["id"], document);
    let used = site
        .form("DELETE", &format!("/v2/rsischedules/{id}"), "")
        .await;
    refused(&used, 400, "in use");
}

#[tokio::test]
async fn classifications_replace_each_other() {
    let site = Site::new().await;
    let path = format!("/v1/nodes/{}/classifications", site.folder);
    let of = ["a", "b", "c"].map(|name| site.cs.add_classification(name));
    site.body("POST", &path, json!({"class_id": of[..2]})).await;
    site.body("POST", &path, json!({"class_id": [of[2]]})).await;
    let records = site.cs.add_records_class("Masters");
    for (wrong, text) in [
        (999_999, "could not be accessed"),
        (site.folder, "invalid action 'classify'"),
        (records, "invalid action 'classify'"),
    ] {
        let got = site.body("POST", &path, json!({"class_id": [wrong]})).await;
        refused(&got, 400, text);
    }
    let read = site.get(&path).await.json();
    assert_eq!(read["data"].as_array().unwrap().len(), 1);
    assert_eq!(read["data"][0]["id"], of[2]);
    let items = site.get(&format!("/v2/classifieditems/{}", of[2])).await;
    assert_eq!(items.json()["results"]["contents"][0]["id"], site.folder);
}

#[tokio::test]
async fn a_workspace_is_created_found_and_contains_its_documents() {
    let site = Site::new().await;
    assert_eq!(
        site.get("/v2/businessworkspacetypes").await.status,
        500,
        "no type yet"
    );
    let template = site.cs.add_workspace_type(16, "Campaign");
    let types = site
        .get("/v2/businessworkspacetypes?expand_templates=True")
        .await
        .json();
    assert_eq!(
        types["results"][0]["data"]["properties"]["templates"][0]["id"],
        template
    );
    let body = json!({"template_id": template, "wksp_type_id": "16", "name": "Spring", "parent_id": site.folder,
        "ext_system_id": "LH", "bo_type": "collection", "bo_id": "c1"});
    let created = site
        .body("POST", "/v2/businessworkspaces", body.clone())
        .await
        .json();
    let workspace = created["results"]["id"].as_i64().unwrap();
    refused(
        &site.body("POST", "/v2/businessworkspaces", body).await,
        500,
        "already exists",
    );
    let found = site
        .get("/v2/businessworkspaces?where_workspace_type_name=Campaign&where_name=contains_spr")
        .await
        .json();
    assert_eq!(
        (
            &found["paging"]["total_count"],
            &found["results"][0]["data"]["properties"]["id"]
        ),
        (&json!(1), &json!(workspace))
    );
    // Somebody who has not had it in hand has to ask for a search.
    let (_, ann) = site.reader().await;
    for (view, count) in [("", 0), ("&expanded_view=true", 1)] {
        let path = format!("/v2/businessworkspaces?where_name=Spring{view}");
        let found = site.as_user(&ann, "GET", &path, "").await.json();
        assert_eq!(found["paging"]["total_count"], count, "{view}");
    }
    let by_object = site
        .get("/v2/externalsystems/LH/botypes/collection/boids/c1")
        .await
        .json();
    assert_eq!(
        by_object["results"]["data"]["properties"]["wksp_type_name"],
        "Campaign"
    );
    let inner = site.cs.add_folder(workspace, "inner");
    assert_eq!(
        site.get(&format!("/v1/nodes/{inner}/businessworkspace"))
            .await
            .json()["id"],
        workspace
    );
}

#[tokio::test]
async fn a_workflow_is_started_from_a_draft_and_watched_to_its_end() {
    let site = Site::new().await;
    let document = site.document("a", b"1").await;
    let map = site.cs.add_workflow("Approval");
    let maps = site
        .get(&format!("/v2/docworkflows?doc_id={document}"))
        .await
        .json();
    assert_eq!(maps["results"]["data"][0]["DataID"], map);
    let draft = site
        .body(
            "POST",
            "/v2/draftprocesses",
            json!({"workflow_id": map, "doc_ids": document.to_string()}),
        )
        .await
        .json();
    let draft = draft["results"]["draftprocess_id"].as_i64().unwrap();
    let path = format!("/v2/draftprocesses/{draft}");
    let values = json!({"action": "formUpdate", "values": {"WorkflowForm_Title": "t"}});
    assert_eq!(site.body("PUT", &path, values).await.status, 200);
    let started = site
        .body("PUT", &path, json!({"action": "Initiate"}))
        .await
        .json();
    let process = started["results"]["process_id"].as_i64().unwrap();
    let status = format!("/v2/workflows/status/processes/{process}");
    assert_eq!(
        site.get(&status).await.json()["results"]["wf_details"]["status"],
        "ontime"
    );
    assert!(site.cs.set_workflow_status(process, "completed"));
    let over = site.get(&status).await.json();
    assert_eq!(over["results"]["wf_details"]["status"], "completed");
    refused(
        &site.get("/v2/workflows/status/processes/1").await,
        400,
        "Could not access task status",
    );
}

#[tokio::test]
async fn steps_are_acted_on_by_those_who_have_them_and_processes_steered() {
    let site = Site::new().await;
    let steps = ["Legal", "Compliance"].map(|name| WorkflowStep {
        name: name.to_owned(),
        ..WorkflowStep::default()
    });
    let map = WorkflowMap::new("Approval", steps.to_vec()).field(10, "Campaign");
    let map = site.cs.add_workflow_map(map);
    let closed = WorkflowMap {
        only: vec![1],
        ..WorkflowMap::new("Closed", Vec::new())
    };
    let closed = site.cs.add_workflow_map(closed);
    let draft = |map: i64| json!({ "workflow_id": map });
    refused(
        &site.body("POST", "/v2/draftprocesses", draft(closed)).await,
        400,
        "Could not Loadmap",
    );
    let start = "/v2/draftprocesses/startwf";
    let started = site.body("POST", start, draft(map)).await.json();
    let process = started["results"]["process_id"].as_i64().unwrap();
    let task =
        |number: i64| format!("/v2/processes/{process}/subprocesses/{process}/tasks/{number}");
    let approve = json!({"custom_action": "Approve", "comment": "fine"});
    refused(
        &site.body("PUT", &task(2), approve.clone()).await,
        400,
        "not assigned",
    );
    let both = json!({"custom_action": "Approve", "action": "SendOn"});
    refused(&site.body("PUT", &task(1), both).await, 400, "unknown");
    assert_eq!(site.body("PUT", &task(1), approve).await.status, 200);
    let path = format!("/v2/processes/{process}/status");
    let steer = |word: &str| json!({ "status": word });
    assert_eq!(site.body("PUT", &path, steer("suspend")).await.status, 200);
    let status = format!("/v2/workflows/status/processes/{process}");
    let shown = site.get(&status).await.json();
    let details = &shown["results"]["wf_details"];
    assert_eq!(details["status"], "suspended");
    let steps = &shown["results"]["step_list"];
    assert_eq!(steps["completed"][0]["task_name"], "Legal");
    assert_eq!(steps["current"][0]["task_name"], "Compliance");
    for state in ["ontime", "workflowlate", "completed", "stopped"] {
        let listed = format!("/v2/workflows/status?Kind=Initiated&wstatus={state}");
        assert_eq!(site.get(&listed).await.json()["results"], json!([]));
    }
    assert_eq!(site.body("PUT", &path, steer("stop")).await.status, 200);
    assert_eq!(site.body("PUT", &path, steer("archive")).await.status, 200);
    refused(
        &site.get(&status).await,
        400,
        "Could not access task status",
    );
}

#[tokio::test]
async fn search_lags_behind() {
    let site = Site::new().await;
    site.document("needle.mov", b"1").await;
    let form = "where=OTName%3Aneedle&lookfor=complexQuery";
    let found = async || {
        site.form("POST", "/v2/search", form).await.json()["collection"]["paging"]["total_count"]
            .clone()
    };
    assert_eq!(found().await, 0);
    site.cs.advance(Duration::from_secs(6));
    assert_eq!(found().await, 1);
}

#[tokio::test]
async fn volumes_members_and_nicknames_answer() {
    let site = Site::new().await;
    assert_eq!(
        site.get("/v2/volumes/141").await.json()["results"]["data"]["properties"]["id"],
        2000
    );
    refused(
        &site.get("/v2/volumes/144").await,
        500,
        "Subtype 144 is not a root subtype",
    );
    assert_eq!(
        site.get("/v2/members/1000").await.json()["results"]["data"]["properties"]["name"],
        "Admin"
    );
    assert_eq!(
        site.get("/v2/members?where_type=0").await.json()["results"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    let path = format!("/v2/nodes/{}/nicknames", site.folder);
    assert_eq!(
        site.form("PUT", &path, "nickname=masters").await.status,
        200
    );
    refused(
        &site.form("PUT", &path, "nickname=a+b").await,
        500,
        "Nickname not in valid format",
    );
    let found = site.get("/v2/nicknames/masters/nodes").await.json();
    assert_eq!(found["results"]["data"]["properties"]["id"], site.folder);
    assert_eq!(site.get("/v2/nicknames/none/nodes").await.status, 404);
}

#[tokio::test]
async fn a_workspace_has_roles_members_relations_and_a_reference() {
    let site = Site::new().await;
    let template = site.cs.add_workspace_type(16, "Campaign");
    let mut made = Vec::new();
    for name in ["Spring", "Summer"] {
        let body = json!({"template_id": template, "name": name, "parent_id": site.folder});
        let created = site
            .body("POST", "/v2/businessworkspaces", body)
            .await
            .json();
        made.push(created["results"]["id"].as_i64().unwrap());
    }
    let form = format!("/v2/forms/businessworkspaces/create?template_id={template}");
    let form = site.get(&form).await.json();
    assert_eq!(
        form["forms"][0]["schema"]["properties"]["name"]["required"],
        true
    );
    let own = format!("/v2/businessworkspaces/{}", made[0]);
    let roles = site.get(&format!("{own}/roles")).await.json();
    let role = |index: usize| &roles["results"][index]["data"]["properties"];
    assert_eq!(
        (&role(0)["leader"], &role(1)["leader"]),
        (&json!(true), &json!(false))
    );
    let members = format!("{own}/roles/{}/members", role(1)["id"]);
    assert_eq!(site.get(&members).await.json()["results"], json!([]));
    site.form("POST", &members, "id=1000").await;
    refused(
        &site.form("POST", &members, "id=1000").await,
        400,
        "already belongs",
    );
    let found = site.get(&members).await.json();
    assert_eq!(found["results"][0]["data"]["properties"]["id"], 1000);
    let other = site
        .get(&format!(
            "/v2/businessworkspaces/{}/roles/{}",
            made[1],
            role(1)["id"]
        ))
        .await;
    refused(&other, 400, "role could not be found");

    let related = format!("{own}/relateditems");
    let summer = made[1].to_string();
    let child = format!("rel_bw_id={summer}&rel_type=child");
    assert_eq!(site.form("POST", &related, &child).await.status, 200);
    refused(
        &site.form("POST", &related, &child).await,
        400,
        "already exists",
    );
    let children = site
        .get(&format!("{related}?where_relationtype=child"))
        .await
        .json();
    assert_eq!(children["paging"]["total_count"], 1);
    assert_eq!(children["results"][0]["data"]["properties"]["id"], made[1]);
    let parents = site
        .get(&format!(
            "/v2/businessworkspaces/{}/relateditems?where_rel_types={{'parent'}}",
            made[1]
        ))
        .await
        .json();
    assert_eq!(
        parents["results"][0]["data"]["properties"]["rel_type"],
        "parent"
    );
    let gone = site
        .form("DELETE", &format!("{related}/{summer}?rel_type=child"), "")
        .await;
    assert_eq!(gone.status, 200);
    assert_eq!(site.get(&related).await.json()["results"], json!([]));

    let object = "ext_system_id=LH&bo_type=collection&bo_id=c9";
    let refer = format!("{own}/workspacereferences");
    assert_eq!(site.form("PUT", &refer, object).await.status, 200);
    let by_object = "/v2/externalsystems/LH/botypes/collection/boids/c9";
    assert_eq!(
        site.get(by_object).await.json()["results"]["data"]["properties"]["id"],
        made[0]
    );
    assert_eq!(site.form("DELETE", &refer, object).await.status, 200);
    assert_eq!(site.get(by_object).await.status, 404);
}

#[tokio::test]
async fn browsers_are_told_columns_facets_unique_names_and_clearances() {
    let site = Site::new().await;
    let folder = site.folder;
    let columns = site
        .get(&format!("/v2/nodes/{folder}/columns"))
        .await
        .json();
    assert_eq!(
        columns["results"]["columns_to_display"]["global_columns"][1],
        "Name"
    );
    let facets = site.get(&format!("/v2/facets/{folder}")).await.json();
    assert_eq!(facets["results"]["data"]["facets"], json!({}));
    site.form(
        "PUT",
        &format!("/v2/nodes/{folder}/nicknames"),
        "nickname=inbox",
    )
    .await;
    let names = site
        .get("/v2/uniquenames?where_names={inbox,outbox}")
        .await
        .json();
    assert_eq!(
        names["results"],
        json!([{"NodeId": folder, "NodeName": names["results"][0]["NodeName"], "UniqueName": "inbox"}])
    );
    let path = format!("/v1/nodes/{folder}/securityclearances");
    assert_eq!(site.get(&path).await.json()["data"]["clearance_level"], 0);
    site.body(
        "PUT",
        &path,
        json!({"clearance_level": 50, "supplemental_markings": ["EUR"]}),
    )
    .await;
    let set = site.get(&path).await.json();
    assert_eq!(set["data"]["clearance_level"], 50);
    assert_eq!(
        set["data"]["supplemental_markings"][0]["supplemental_marking"],
        "EUR"
    );
}

#[tokio::test]
async fn one_workspace_type_is_told_and_where_it_can_be_made() {
    let site = Site::new().await;
    let template = site.cs.add_workspace_type(7, "Production");
    let listed = site.get("/v2/businessworkspacetypes").await.json()["results"][0].clone();
    let one = site.get("/v2/businessworkspacetypes/7").await.json();
    assert_eq!(one["results"], listed);
    assert_eq!(listed["data"]["properties"]["wksp_type_id"], 7);
    let old = site.get("/v1/businessworkspacetypes/7").await.json();
    assert_eq!(old["workspace_type"], "Production");
    let none = site.get("/v2/businessworkspacetypes/8").await;
    refused(&none, 404, "Could not get a business workspace type for 8");

    let kinds = |id: i64| format!("/v1/nodes/{id}/businessworkspacetypes");
    let inside = site.get(&kinds(site.folder)).await.json();
    let own = &inside["businessworkspacetypes"][0];
    assert_eq!(
        (&own["id"], &own["name"]),
        (&json!(7), &json!("Production"))
    );
    assert_eq!(own["templates"][0]["id"], template);
    let document = site.document("a.pdf", b"1").await;
    let inside = site.get(&kinds(document)).await.json();
    assert_eq!(inside["businessworkspacetypes"], json!([]));
}

#[tokio::test]
async fn a_search_by_get_answers_as_one_by_post() {
    let site = Site::with(|config| config.index_lag = std::time::Duration::ZERO).await;
    let document = site.document("needle.pdf", b"1").await;
    let asked = "where=needle";
    let posted = site.form("POST", "/v2/search", asked).await.json();
    let got = site.get(&format!("/v2/search?{asked}")).await.json();
    let found = &got["results"][0]["data"]["properties"]["id"];
    assert_eq!(found, document);
    assert_eq!(got["results"], posted["results"]);
}
