//! What goes wrong on purpose.

use super::*;

impl Site {
    async fn try_create(&self, name: &str) -> Result<Got, hyper::Error> {
        let form = format!("type=0&parent_id={}&name={name}", self.folder);
        self.try_raw(
            "POST",
            "/v2/nodes",
            &[FORM, ("OTCSTicket", self.ticket.as_str())],
            form,
        )
        .await
    }

    /// Waits until the child is there.
    async fn appears(&self, name: &str) {
        while self.cs.child(self.folder, name).is_none() {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn a_lost_reply_leaves_the_commit() {
    let site = Site::new().await;
    site.fault("POST", "*/v2/nodes", Action::DropReply);
    assert!(site.try_create("a").await.is_err());
    assert!(site.cs.child(site.folder, "a").is_some());
    refused(&site.try_create("a").await.unwrap(), 500, "already exists");
}

#[tokio::test]
async fn a_late_commit_takes_effect_after_the_client_was_cut_off() {
    let site = Site::new().await;
    site.fault("POST", "*/v2/nodes", Action::ApplyLate { ms: 30 });
    assert!(site.try_create("late").await.is_err());
    site.appears("late").await;
    assert_eq!(site.cs.history().len(), 1);
}

#[tokio::test]
async fn nothing_takes_effect_later_than_the_request_limit() {
    let site = Site::with(|config| config.request_limit = Duration::from_millis(20)).await;
    site.fault("POST", "*/v2/nodes", Action::ApplyLate { ms: 3_600_000 });
    assert!(site.try_create("late").await.is_err());
    site.appears("late").await;
}

#[tokio::test]
async fn a_ticket_can_expire_before_a_call_and_in_the_middle_of_its_body() {
    let site = Site::new().await;
    site.fault("GET", "*/v2/nodes/*", Action::named("ticket_expired"));
    refused(
        &site.get("/v2/nodes/2000").await,
        401,
        "Authentication Required",
    );
    refused(
        &site.get("/v2/nodes/2000").await,
        401,
        "Authentication Required",
    );
    let site = Site::new().await;
    let params = json!({"after_bytes": 100_000});
    site.fault(
        "POST",
        "*/v2/nodes",
        Action::Named {
            name: "ticket_expired".into(),
            params,
        },
    );
    let body = json!({"type": 144, "parent_id": site.folder, "name": "a"}).to_string();
    let form = multipart(&[("body", &body)], Some(("file", "a", &vec![0; 200_000])));
    let headers = [MULTIPART, ("OTCSTicket", site.ticket.as_str())];
    // The answer or a reset, as the network has it; never a document.
    if let Ok(got) = site.try_raw("POST", "/v2/nodes", &headers, form).await {
        refused(&got, 401, "Authentication Required");
    }
    assert_eq!(site.cs.child(site.folder, "a"), None);
    refused(
        &site.get("/v2/nodes/2000").await,
        401,
        "Authentication Required",
    );
}

#[tokio::test]
async fn named_faults_bring_about_what_they_say() {
    let site = Site::new().await;
    let document = site.document("a", b"1").await;
    let versions = format!("/v2/nodes/{document}/versions");
    for (name, params, status, text) in [
        ("full", Value::Null, 500, "not enough space on the disk"),
        (
            "inaccessible",
            json!({"status": 500}),
            500,
            "Sorry, the item",
        ),
        ("conflict", Value::Null, 409, "edit conflict"),
        ("reserved", Value::Null, 400, "reserved by"),
    ] {
        site.fault(
            "POST",
            "*/versions",
            Action::Named {
                name: name.into(),
                params,
            },
        );
        refused(
            &site.upload(&versions, &[], ("file", "a", b"2")).await,
            status,
            text,
        );
    }
    site.cs.reserve(document, None);
    for (name, text) in [("held", "on hold"), ("finalised", "finalized")] {
        site.fault("POST", "*/versions", Action::named(name));
        refused(
            &site.upload(&versions, &[], ("file", "a", b"2")).await,
            400,
            text,
        );
    }
    site.fault("POST", "*/v2/nodes", Action::named("name_taken"));
    refused(
        &site.try_create("race").await.unwrap(),
        500,
        "already exists",
    );
    site.fault("GET", "*/settings", Action::named("feature_off"));
    let settings = site.get("/v2/multipart/settings").await.json();
    assert_eq!(settings["results"]["data"]["is_enabled"], false);
    assert_eq!(site.cs.visible_versions().len(), 1);
}

#[tokio::test]
async fn stored_bytes_can_be_corrupted_and_only_reading_back_shows_it() {
    let site = Site::new().await;
    site.fault(
        "POST",
        "*/v2/nodes",
        Action::Named {
            name: "corrupt".into(),
            params: json!({"at": 2}),
        },
    );
    let document = site.document("a", b"abcd").await;
    assert_eq!(site.properties(document).await["size"], 4);
    assert_eq!(
        site.get(&format!("/v2/nodes/{document}/content"))
            .await
            .body,
        b"abbd"
    );
    let version = &site.cs.visible_versions()[0];
    assert!(version.corrupted);
    assert!(site.cs.corrupt(document, 1, 0) && !site.cs.corrupt(document, 1, 9));
    assert_eq!(
        site.get(&format!("/v2/nodes/{document}/content"))
            .await
            .body,
        b"`bbd"
    );
}

#[tokio::test]
async fn a_full_store_and_an_oversized_body_are_refused() {
    let site = Site::with(|config| {
        config.quota = Some(5);
        config.body_limit = Some(10_000);
    })
    .await;
    site.document("a", b"12345").await;
    let body = json!({"type": 144, "parent_id": site.folder, "name": "b"}).to_string();
    let got = site
        .upload("/v2/nodes", &[("body", &body)], ("file", "b", b"6"))
        .await;
    refused(&got, 500, "not enough space on the disk");
    let got = site
        .upload("/v2/nodes", &[("body", &body)], ("file", "b", &[0; 20_000]))
        .await;
    assert_eq!(
        (got.status, got.header("content-type")),
        (413, Some("text/html; charset=utf-8"))
    );
}

#[tokio::test]
async fn switches_are_changed_by_json_while_the_server_runs() {
    let site = Site::new().await;
    site.cs
        .configure_json(&json!({"multipart": {"part_size": 7}, "ticket_lifetime_ms": 1000}))
        .unwrap();
    let config = site.cs.config();
    assert_eq!(
        (config.multipart.part_size, config.ticket_lifetime),
        (7, Duration::from_secs(1))
    );
    assert_eq!(config.multipart.min_size, 0, "what is not named stays");
    assert!(site.cs.configure_json(&json!({"nonsense": 1})).is_err());
}
