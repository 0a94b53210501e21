//! Records management beyond one record: many at once, codes, groups of holds, cross-references.

use super::*;

/// A site with records of one class.
async fn records(count: usize) -> (Site, i64, Vec<i64>) {
    let site = Site::new().await;
    let class = site.cs.add_records_class("Masters");
    let mut all = Vec::new();
    for number in 0..count {
        let document = site.document(&format!("d{number}"), b"1").await;
        let path = format!("/v1/nodes/{document}/rmclassifications");
        let got = site.body("POST", &path, json!({"class_id": class})).await;
        assert_eq!(got.status, 200, "{}", got.text());
        all.push(document);
    }
    (site, class, all)
}

async fn details(site: &Site, id: i64) -> Value {
    site.get(&format!("/v1/nodes/{id}/rmclassifications"))
        .await
        .json()
}

#[tokio::test]
async fn metadata_of_many_records_changes_for_all_or_for_none() {
    let (site, class, all) = records(2).await;
    let path = "/v1/rmclassifications/RMMetadata";
    refused(
        &site.form("POST", path, "essential=VITAL").await,
        404,
        "ID is required",
    );
    let ids = format!("ids={}&ids={}", all[0], all[1]);
    let form = format!(
        "{ids}&essential=VITAL&docDate=20260203&fileStatus=CLOSED&vitalRecordCycle=12&official=1"
    );
    let got = site.form("POST", path, &form).await;
    assert_eq!(got.status, 200, "{}", got.text());
    for id in &all {
        let row = details(&site, *id).await["data"][0].clone();
        for (key, value) in [
            ("essential", json!("VITAL")),
            ("record_date", json!("2026-02-03T00:00:00")),
            ("file_status", json!("CLOSED")),
            ("cycle_period", json!("12")),
            ("official", json!(true)),
            ("name", json!("Masters")),
            ("rmclassification_id", json!(class)),
        ] {
            assert_eq!(row[key], value, "{key}");
        }
    }
    for (form, text) in [
        ("fileStatus=LOST", "Incorrect Status specified."),
        ("rsi=NONE", "Incorrect RSI specified."),
        ("vitalRecordCycle=5", "Incorrect Cycle Period specified."),
    ] {
        refused(
            &site.form("POST", path, &format!("{ids}&{form}")).await,
            400,
            text,
        );
    }
    let other = format!("{ids}&ids={}&essential=NR", site.folder);
    refused(
        &site.form("POST", path, &other).await,
        400,
        "Cannot retrieve node",
    );
    assert_eq!(
        details(&site, all[0]).await["data"][0]["essential"],
        "VITAL"
    );
    let got = site
        .form("PUT", "/v1/rmclassifications/finalizerecords", "ids=x")
        .await;
    refused(&got, 404, "ID is not an integer or is missing");
}

#[tokio::test]
async fn many_nodes_are_classified_at_once_by_either_kind() {
    let (site, class, records) = records(1).await;
    let plain = site.cs.add_classification("Finished");
    let document = site.document("n", b"1").await;
    let add = "/v1/rmclassifications/batchAddClassification";
    refused(
        &site.form("POST", add, "classID=5").await,
        404,
        "ID is not specified",
    );
    for of in [class, plain] {
        let form = format!("ids={document}&ids={}&classID={of}", records[0]);
        let got = site.form("POST", add, &form).await;
        assert_eq!(got.status, 200, "{}", got.text());
    }
    assert_eq!(
        details(&site, document).await["data"][0]["rmclassification_id"],
        class
    );
    let classes = site
        .get(&format!("/v1/nodes/{document}/classifications"))
        .await
        .json();
    assert_eq!(classes["data"][0]["id"], plain);
    // The reference misspells one address; both are there.
    for name in ["rmclassifications", "rmcassifications"] {
        let path = format!("/v1/{name}/batchRemoveClassification");
        let form = format!("ids={document}&classID={plain}");
        assert_eq!(site.form("POST", &path, &form).await.status, 200, "{name}");
    }
    let path = "/v1/rmcassifications/batchRemoveClassification";
    let form = format!("ids={document}&classID={class}");
    assert_eq!(site.form("POST", path, &form).await.status, 200);
    assert_eq!(details(&site, document).await["data"], json!([]));
}

#[tokio::test]
async fn holds_move_between_groups_and_maintenance_lists_both() {
    let site = Site::new().await;
    let group = site.cs.add_hold_group("Lawsuits");
    let mut holds = Vec::new();
    for name in ["A", "B"] {
        let form = format!("type=Legal&name={name}&date_applied=2026-01-01");
        let made = site.form("POST", "/v1/holds", &form).await.json();
        holds.push(made["holdID"].as_i64().unwrap());
    }
    let names = async |group: i64, query: &str| -> Vec<Value> {
        let got = site
            .get(&format!("/v2/holdmaintenance/{group}{query}"))
            .await
            .json();
        let rows = got["data"].as_array().unwrap().clone();
        rows.iter().map(|row| row["data"]["name"].clone()).collect()
    };
    assert_eq!(names(0, "").await, ["A", "B", "Lawsuits"]);
    assert_eq!(names(0, "?sort=desc_name&limit=1").await, ["Lawsuits"]);
    let form = format!("holdGroupID={group}&holdIDs={}+{}", holds[0], holds[1]);
    assert_eq!(site.form("PUT", "/v1/holds/move", &form).await.status, 200);
    assert_eq!(names(0, "").await, ["Lawsuits"]);
    assert_eq!(names(group, "").await, ["A", "B"]);
    let own = site
        .get(&format!("/v2/holdmaintenance/{group}"))
        .await
        .json();
    assert_eq!(
        (&own["title"], &own["paging"]["total_count"]),
        (&json!("Lawsuits"), &json!(2))
    );
    assert_eq!(own["data"][0]["data"]["type_name"], "Hold");
    let form = format!("holdGroupID=0&holdIDs={}", holds[0]);
    assert_eq!(site.form("PUT", "/v1/holds/move", &form).await.status, 200);
    assert_eq!(names(0, "").await, ["A", "Lawsuits"]);
    for form in ["holdGroupID=0", "holdIDs=1", "holdGroupID=77&holdIDs=1"] {
        refused(
            &site.form("PUT", "/v1/holds/move", form).await,
            400,
            "Missing data",
        );
    }
    let unknown = site.get("/v2/holdmaintenance/999999").await;
    assert_eq!(unknown.status, 400);
    let counts = site.get("/v1/rmstatistics/holds").await.json();
    assert_eq!(counts, json!({"directHoldsCount": 0, "totalCount": 2}));
}

#[tokio::test]
async fn a_stage_is_changed_approved_and_deleted() {
    let site = Site::new().await;
    let made = site
        .form("POST", "/v2/rsischedules", "name=M10Y&status=ACTIVE")
        .await
        .json();
    let id = made["results"]["id"].as_i64().unwrap();
    let stages = format!("/v2/rsischedules/{id}/stages");
    let form =
        "objectType=LRM&stage=FINAL&eventType=1&dateToUse=95&retentionYears=10&actionCode=32";
    let made = site.form("POST", &stages, form).await.json();
    let stage = made["results"]["id"].as_i64().unwrap();
    let own = format!("{stages}/{stage}");
    let got = site.form("PUT", &own, &form.replace("=10", "=7")).await;
    assert_eq!(
        got.json()["results"],
        json!({"ok": true, "errMsg": "", "id": stage})
    );
    let read = async || {
        let listed = site.get("/v2/rsis").await.json();
        listed["results"]["data"]["rsis"][0].clone()
    };
    assert_eq!(read().await["RetYears"], 7);
    let approve = format!("/v2/rsischedules/{id}/approve/{stage}");
    assert_eq!(site.form("PUT", &approve, "").await.status, 400);
    let form = "updateApproval=updateapproval&approvedDate=2026-02-03&approvalComment=fine";
    assert_eq!(site.form("PUT", &approve, form).await.status, 200);
    let history = site
        .get(&format!("/v2/rsischedules/{id}/approvalhistory"))
        .await
        .json();
    let row = &history["data"][0]["data"];
    for (key, value) in [
        ("user_id", json!(1000)),
        ("approved_date", json!("2026-02-03T00:00:00")),
        ("approval_comments", json!("fine")),
        ("ret_stage", json!("FINAL")),
    ] {
        assert_eq!(row[key], value, "{key}");
    }
    assert_eq!(history["paging"]["total_count"], 1);
    assert_eq!(site.form("DELETE", &own, "").await.status, 200);
    assert_eq!(site.form("PUT", &own, form).await.status, 400);
    let missing = site.get("/v2/rsischedules/999999/approvalhistory").await;
    refused(&missing, 400, "Insufficient Permissions");
}

#[tokio::test]
async fn codes_are_added_once_and_listed_by_both_versions() {
    let site = Site::new().await;
    let path = "/v1/recordsmanagement/rmcodes/file_status";
    let form = "code=REVIEW&description=To+be+reviewed";
    let made = site.form("POST", path, form).await.json();
    assert_eq!(
        made,
        json!({"code": "REVIEW", "description": "To be reviewed"})
    );
    refused(
        &site.form("POST", path, form).await,
        400,
        "Could not insert into the table",
    );
    refused(
        &site.form("POST", path, "").await,
        400,
        "Missing required parameter 'code'",
    );
    for (table, needs) in [
        ("essential", "vitalRec"),
        ("hold_type", "DefaultPeriod"),
        ("stage", "stageOrder"),
        ("xref_type", "relatedCode"),
    ] {
        let path = format!("/v1/recordsmanagement/rmcodes/{table}");
        refused(&site.form("POST", &path, form).await, 400, needs);
    }
    let kinds = "/v1/recordsmanagement/rmcodes/xref_type";
    let pair = "code=Before&description=b&relatedCode=After";
    assert_eq!(site.form("POST", kinds, pair).await.status, 200);
    let other = site.get("/v1/xrefs/After").await.json();
    assert_eq!(other["related_code"], "Before");
    let nothing = "/v1/recordsmanagement/rmcodes/nothing";
    refused(
        &site.form("POST", nothing, form).await,
        400,
        "Could not get table description",
    );
    let new = site.get("/v2/recordsmanagement/rmcodes").await.json();
    let values = new["results"]["data"]["status"]["values"]
        .as_array()
        .unwrap();
    assert!(
        values.iter().any(|row| row["code"] == "REVIEW"),
        "{values:?}"
    );
    let old = site.get("/v1/recordsmanagement/rmcodes").await.json();
    let rows = old["rmstatuscode"].as_array().unwrap();
    assert!(rows.iter().any(|row| row["status"] == "REVIEW"), "{rows:?}");
}

#[tokio::test]
async fn cross_references_are_of_kinds_and_come_and_go_by_many() {
    let (site, _, all) = records(3).await;
    let kind = "xref_type=Replaces&related_code=Replaced+by&desc=d&related_desc=r";
    let unread = site
        .form("POST", "/v1/xrefs", &format!("{kind}&hold_id=x"))
        .await;
    refused(&unread, 404, "Please provide integer value for the Hold ID");
    let made = site
        .form("POST", "/v1/xrefs", &format!("{kind}&hold_id=0"))
        .await;
    assert_eq!(made.status, 200);
    let other = site.get("/v1/xrefs/Replaced%20by").await.json();
    assert_eq!(
        (&other["related_code"], &other["desc"]),
        (&json!("Replaces"), &json!("r"))
    );
    refused(
        &site.get("/v1/xrefs/None").await,
        400,
        "Could not get a Cross-Reference",
    );

    let listed =
        async |id: i64| site.get(&format!("/v1/nodes/{id}/xrefs")).await.json()["data"].clone();
    let assign = "/v1/rmclassifications/assignxref";
    let unsaid = "ID is not specified or Cross-Reference type is not specified";
    refused(&site.form("POST", assign, "ids=1").await, 404, unsaid);
    let form = format!(
        "ids={}&ids={}&xref_id={}&xref_type=Replaced+by&comment=c",
        all[0], all[1], all[2]
    );
    assert_eq!(site.form("POST", assign, &form).await.status, 200);
    for id in &all[..2] {
        let rows = listed(*id).await;
        assert_eq!(
            (&rows[0]["id"], &rows[0]["comment"]),
            (&json!(all[2]), &json!("c"))
        );
        assert_eq!(rows[0]["related_code"], "Replaces");
        assert_eq!(rows[0]["size"], 1);
    }
    let used = site.form("DELETE", "/v1/xrefs/Replaced%20by", "").await;
    refused(&used, 400, "in use");
    let by_list = format!("uniqueIDList={}_Replaced+by", all[2]);
    let own = format!("/v1/nodes/{}/xrefs", all[0]);
    assert_eq!(site.form("PUT", &own, &by_list).await.status, 200);
    assert_eq!(listed(all[0]).await, json!([]));
    let remove = "/v1/rmclassifications/removexref";
    refused(
        &site.form("POST", remove, &format!("ids={}", all[1])).await,
        404,
        unsaid,
    );
    let form = format!("ids={}&xref_id={}", all[1], all[2]);
    assert_eq!(site.form("POST", remove, &form).await.status, 200);
    assert_eq!(listed(all[1]).await, json!([]));
    let gone = site.form("DELETE", "/v1/xrefs/Replaced%20by", "").await;
    assert_eq!(gone.status, 200);
    refused(
        &site.form("DELETE", "/v1/xrefs/Replaced%20by", "").await,
        404,
        "Cross-Reference does not exist.",
    );
}

#[tokio::test]
async fn what_cannot_be_reached_is_refused_in_the_words_of_records_management() {
    let site = Site::new().await;
    for path in [
        "holds",
        "xrefs",
        "rsis",
        "rsi/X/GetRSIDetails",
        "securityclearances",
    ] {
        let got = site.get(&format!("/v1/nodes/999999/{path}")).await;
        refused(&got, 400, "Accessibility error. Not enough permissions.");
    }
}

#[tokio::test]
async fn records_management_counts_what_it_has() {
    let (site, _, all) = records(2).await;
    site.cs.set_schedule("M10Y", "2036-01-01", "32");
    let class = all[0];
    let token = details(&site, class).await["rm_metadataToken"].clone();
    let form = json!({"rm_metadataToken": token, "rsi": "M10Y", "file_status": "OBSOLETE"});
    let path = format!("/v1/nodes/{class}/rmclassifications");
    assert_eq!(site.body("PUT", &path, form).await.status, 200);
    let get = async |path: &str| site.get(path).await.json();
    assert_eq!(
        get("/v1/rmclassifications/compliance").await,
        json!({"oldCnt": 1, "retentionCnt": 1, "totalCnt": 2})
    );
    assert_eq!(
        get("/v1/rmclassifications/managedrecords").await,
        json!({"managedRecordsCnt": 2})
    );
    assert_eq!(
        get("/v1/rmstatistics/rsis").await,
        json!({"data": [{"rsi": "M10Y", "cnt": 1}]})
    );
    assert_eq!(get("/v2/classificationvolume").await["type"], 198);
    let info = format!(
        "/v1/rmclassifications/createinfo?objType=144&parentId={}",
        site.folder
    );
    assert_eq!(get(&info).await["canrmclassify"], true);
    assert_eq!(
        get("/v1/classifications/createinfo?objType=5").await["canclassify"],
        false
    );
}

#[tokio::test]
async fn snapshots_of_a_disposition_search_are_listed_in_their_own_shape() {
    let (site, _, all) = records(1).await;
    let search = site.folder;
    site.cs.add_disposition_search(search, "ACTIVE", "32");
    let started = format!("/v1/nodes/{search}/startdispsearch");
    assert_eq!(site.form("POST", &started, "").await.status, 200);
    let table = site
        .get(&format!("/v2/snapshottable/{search}"))
        .await
        .json();
    assert_eq!(table["paging"]["total_count"], 1);
    let row = &table["data"][0]["data"];
    assert_eq!(
        (&row["record_count"], &row["id"]),
        (&json!(1), &json!(search))
    );
    let date = row["qdate"].as_str().unwrap();
    let path = format!("/v2/nodes/{search}/disposition-snapshots/qdate/{date}");
    let items = site.get(&path).await.json();
    assert_eq!(items["collection"]["paging"]["total_count"], 1);
    let item = &items["results"]["data"][0]["data"];
    assert_eq!(
        (&item["id"], &item["disp_action"]),
        (&json!(all[0]), &json!("32"))
    );
    assert_eq!(item["review_decision"], "pending");
    refused(
        &site.get("/v2/snapshottable/999999").await,
        400,
        "Could not get snapshots",
    );
}

#[tokio::test]
async fn clearances_of_users_and_of_many_nodes() {
    let (site, _, all) = records(2).await;
    let (ann, ticket) = site.reader().await;
    let user = format!("/v2/members/usersecurity/{ann}");
    let level = format!("{user}/securityclearancelevel");
    let set = site.form("POST", &level, "securityLevel=20").await.json();
    assert_eq!(set["data"][0]["security_level"], 20);
    let marks = format!("{user}/supplementalmarkings");
    site.form("POST", &marks, "suppMarks=PII&suppMarks=EU")
        .await;
    let own = site
        .as_user(&ticket, "GET", "/v1/securityclearances", "")
        .await
        .json();
    let own = &own["data"];
    assert_eq!(own["clearance_levels"]["data"][0]["security_level"], 20);
    assert_eq!(
        own["supplemental_markings"]["data"][1]["supplemental_marking"],
        "EU"
    );
    let by_ann = site
        .as_user(&ticket, "POST", &level, "securityLevel=99")
        .await;
    refused(
        &by_ann,
        400,
        "Could not update user Security Clearance Level",
    );

    let ids = format!("ids={}&ids={}", all[0], all[1]);
    let levels = "/v1/UpdateSecurityClearanceLevel";
    refused(
        &site.form("POST", levels, "").await,
        404,
        "Missing parameter or format not correct",
    );
    site.form("POST", levels, &format!("{ids}&currentSecurity=10"))
        .await;
    let markings = "/v1/UpdateSupplementalMarkings";
    site.form(
        "POST",
        markings,
        &format!("{ids}&action=2&supplemental_markings=PII"),
    )
    .await;
    let read = async |id: i64| {
        site.get(&format!("/v1/nodes/{id}/securityclearances"))
            .await
            .json()["data"]
            .clone()
    };
    for id in &all {
        let data = read(*id).await;
        assert_eq!(data["clearance_level"], 10);
        assert_eq!(
            data["supplemental_markings"][0]["supplemental_marking"],
            "PII"
        );
    }
    site.form(
        "POST",
        markings,
        &format!("{ids}&action=3&supplemental_markings=PII"),
    )
    .await;
    assert_eq!(read(all[0]).await["supplemental_markings"], json!([]));
}
