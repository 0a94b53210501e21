//! Metadata, external ids, history and jobs.

use serde_json::{Map, Value, json};

use super::double::{Double, Reply, Seen};
use crate::iconik::{
    Asset, ExternalId, JobEnd, NewJob, Step, StepStatus, Told, WriteMode, Writing,
};

fn asset(category: Option<&str>) -> Asset {
    serde_json::from_value(json!({"id": "a", "category": category})).unwrap()
}

#[tokio::test]
async fn metadata_is_read_view_by_view_and_what_is_hidden_is_noted() {
    let double = Double::start(|_| {
        |seen: &Seen| match seen.path.as_str() {
            "/metadata/v1/assets/categories/" => Reply::json(json!({"objects": [
                {"name": "spots", "view_ids": ["v1", "v2", "v3", "v4"]}
            ]})),
            "/metadata/v1/views/v1/" => Reply::json(json!({"id": "v1", "name": "Campaign", "view_fields": [
                {"name": "campaign", "label": "Campaign", "field_type": "string"},
                {"name": "__separator__"}, {"name": "note"}
            ]})),
            "/metadata/v1/views/v2/" | "/metadata/v1/views/v4/" => {
                Reply::json(json!({"name": "Rights", "view_fields": [{"name": "owner"}]}))
            }
            "/metadata/v1/views/v3/" => Reply::error(403, "no"),
            "/metadata/v1/assets/a/views/v1/" => Reply::json(json!({"metadata_values": {
                "campaign": {"field_values": [{"value": "BRANDX"}]}, "old": {"field_values": [{"value": 3}]}
            }})),
            "/metadata/v1/assets/a/views/v4/" => Reply::error(403, "no"),
            _ => Reply::error(404, "no values"),
        }
    })
    .await;
    let client = double.client();
    let metadata = client
        .metadata_of(&asset(Some("spots")), None)
        .await
        .unwrap();
    assert_eq!(metadata.hidden, ["v3", "v4"]);
    assert_eq!(metadata.views.len(), 2);
    let names: Vec<&str> = metadata.views[0]
        .fields
        .iter()
        .map(|f| f.name.as_str())
        .collect();
    assert_eq!(names, ["campaign", "note", "old"]);
    assert_eq!(metadata.flat()["campaign"], ["BRANDX"]);
    assert!(
        metadata.views[1].fields[0].values.is_empty(),
        "404 means no values"
    );
    client
        .metadata_of(&asset(Some("spots")), None)
        .await
        .unwrap();
    assert_eq!(double.count("/metadata/v1/views/v1/"), 1, "views are kept");
    assert_eq!(double.count("/metadata/v1/assets/categories/"), 1);
}

#[tokio::test]
async fn an_account_without_categories_has_every_view_there_is() {
    let double = Double::start(|_| {
        |seen: &Seen| match seen.path.as_str() {
            "/metadata/v1/assets/categories/" => Reply::json(json!({"objects": []})),
            "/metadata/v1/views/" => {
                Reply::json(json!({"objects": [{"id": "v", "name": "Campaign"}, {"id": null}]}))
            }
            "/metadata/v1/views/v/" => {
                Reply::json(json!({"name": "Campaign", "view_fields": [{"name": "campaign"}]}))
            }
            "/metadata/v1/assets/a/views/v/" => Reply::json(
                json!({"metadata_values": {"campaign": {"field_values": [{"value": "x"}]}}}),
            ),
            other => panic!("{other}"),
        }
    })
    .await;
    let client = double.client();
    for category in [Some("spots"), None] {
        let metadata = client.metadata_of(&asset(category), None).await.unwrap();
        assert_eq!(metadata.flat()["campaign"], ["x"]);
    }
    assert_eq!(double.count("/metadata/v1/views/"), 1, "they are kept");
}

#[tokio::test]
async fn views_that_may_not_be_listed_are_hidden_and_not_missing() {
    let double = Double::start(|_| {
        |seen: &Seen| match seen.path.as_str() {
            "/metadata/v1/assets/categories/" => Reply::json(json!({"objects": []})),
            _ => Reply::error(403, "no"),
        }
    })
    .await;
    let client = double.client();
    let metadata = client.metadata_of(&asset(None), None).await.unwrap();
    assert_eq!(metadata.hidden, ["views"]);
    assert_eq!(client.views_of(&asset(None)).await.unwrap(), 0);
}

#[tokio::test]
async fn the_newest_versions_metadata_is_the_assets_own_and_older_ones_have_theirs() {
    let double = Double::start(|_| {
        |seen: &Seen| match seen.path.as_str() {
            "/metadata/v1/assets/categories/" => {
                Reply::json(json!({"objects": [{"name": "default", "view_ids": ["w"]}]}))
            }
            "/metadata/v1/views/w/" => Reply::json(json!({"view_fields": [{"name": "f"}]})),
            path => {
                Reply::json(json!({"metadata_values": {"f": {"field_values": [{"value": path}]}}}))
            }
        }
    })
    .await;
    let client = double.client();
    let asset: Asset = serde_json::from_value(json!({
        "id": "a", "versions": [{"id": "v2", "version_number": 2}, {"id": "v1", "version_number": 1}]
    }))
    .unwrap();
    for (version, path) in [
        ("v2", "/metadata/v1/assets/a/views/w/"),
        ("v1", "/metadata/v1/assets/a/versions/v1/views/w/"),
    ] {
        let metadata = client
            .metadata_of(&asset, Some(&version.into()))
            .await
            .unwrap();
        assert_eq!(metadata.flat()["f"], [path]);
    }
}

#[tokio::test]
async fn values_are_put_into_their_view() {
    let double = Double::start(|_| |_: &Seen| Reply::json(json!({}))).await;
    let values = [Writing {
        field: "archive_state".into(),
        values: vec!["kept".into()],
        mode: WriteMode::Overwrite,
    }];
    double
        .client()
        .write_values(&"a".into(), &"v".into(), &values)
        .await
        .unwrap();
    let seen = &double.seen()[0];
    assert!(seen.is("PUT", "/metadata/v1/assets/a/views/v/"));
    assert_eq!(
        seen.body,
        json!({"metadata_values": {"archive_state": {"field_values": [{"value": "kept"}]}}})
    );
}

#[tokio::test]
async fn an_external_id_is_written_only_where_nobody_elses_is() {
    let double = Double::start(|_| {
        |seen: &Seen| {
            let external = match seen.path.as_str() {
                "/assets/v1/assets/empty/" => json!(null),
                "/assets/v1/assets/old/" => json!("otcs:1:2"),
                "/assets/v1/assets/same/" => json!("otcs:1:3"),
                "/assets/v1/assets/theirs/" => json!("HOUSE-77"),
                "/files/v1/storages/scan/" => {
                    return Reply::json(
                        json!({"id": "scan", "settings": {"filename_is_external_id": true}}),
                    );
                }
                _ => return Reply::json(json!({"id": "plain", "settings": null})),
            };
            Reply::json(json!({"id": "x", "external_id": external}))
        }
    })
    .await;
    let client = double.client();
    let write = |asset: &'static str, storage: &'static str| {
        let client = client.clone();
        async move {
            let ours = |id: &str| id.starts_with("otcs:");
            client
                .write_external_id(&asset.into(), "otcs:1:3", ours, &[storage.into()])
                .await
                .unwrap()
        }
    };
    assert_eq!(write("empty", "plain").await, ExternalId::Written);
    assert_eq!(write("old", "plain").await, ExternalId::Written);
    assert_eq!(write("same", "plain").await, ExternalId::AlreadyThere);
    assert_eq!(
        write("theirs", "plain").await,
        ExternalId::Taken("HOUSE-77".into())
    );
    assert_eq!(write("empty", "scan").await, ExternalId::FilledByScanner);
    let written: Vec<Value> = double
        .seen()
        .into_iter()
        .filter(|seen| seen.method == "PATCH")
        .map(|seen| seen.body)
        .collect();
    assert_eq!(written, vec![json!({"external_id": "otcs:1:3"}); 2]);
}

#[tokio::test]
async fn history_gets_a_custom_line() {
    let double = Double::start(|_| |_: &Seen| Reply::json(json!({"id": "h"}))).await;
    double
        .client()
        .add_history(&"a".into(), "filed as node 7")
        .await
        .unwrap();
    let seen = &double.seen()[0];
    assert!(seen.is("POST", "/assets/v1/assets/a/history/"));
    assert_eq!(seen.body["operation_type"], "CUSTOM");
}

fn new_job() -> NewJob {
    NewJob {
        title: "Publish".into(),
        custom_type: "LONGHAUL_PUBLISH".into(),
        collection: Some("k".into()),
        total: Some(1000),
        facts: Map::from_iter([("run".to_owned(), json!(7))]),
        ..NewJob::default()
    }
}

#[tokio::test]
async fn a_job_shows_the_run_without_a_message_for_every_chunk() {
    let double = Double::start(|_| |_: &Seen| Reply::json(json!({"id": "j"}))).await;
    let report = double.client().start_job(&new_job()).await.unwrap();
    assert!(matches!(
        report.progress(10, Some(1000), "copying").await,
        Told::Done
    ));
    assert!(matches!(
        report.progress(20, None, "copying").await,
        Told::Skipped
    ));
    let step = Step {
        id: "s".into(),
        label: "Copy".into(),
        status: StepStatus::Done,
        message: None,
    };
    assert!(matches!(report.steps(&[step]).await, Told::Done));
    assert!(matches!(
        report.finish(&JobEnd::Finished, 1000, 1000).await,
        Told::Done
    ));
    let seen = double.seen();
    assert_eq!(seen.len(), 4);
    assert_eq!(seen[0].body["type"], "CUSTOM");
    assert_eq!(seen[0].body["object_type"], "collections");
    assert_eq!(seen[0].body["progress_total"], 1000);
    assert!(seen[2].is("PATCH", "/jobs/v1/jobs/j/steps/"));
    assert_eq!(seen[3].body["status"], "FINISHED");
    assert_eq!(seen[3].body["progress_processed"], 1000);
}

#[tokio::test]
async fn a_job_that_cannot_be_written_never_fails_the_run() {
    let double = Double::start(|_| |_: &Seen| Reply::error(403, "no")).await;
    let client = double.client();
    assert!(
        client
            .start_job(&new_job())
            .await
            .unwrap_err()
            .is_forbidden()
    );
    let report = client.report_to("j".into());
    assert!(matches!(
        report.progress(1, None, "x").await,
        Told::Refused(_)
    ));
    assert!(matches!(report.progress(2, None, "x").await, Told::Skipped));
    assert!(!report.is_open(), "nothing is told any more");
    let strange = Double::start(|_| |_: &Seen| Reply::error(400, "no such step")).await;
    let report = strange.client().report_to("j".into());
    assert!(report.is_open());
    assert!(matches!(report.steps(&[]).await, Told::Refused(_)));
    assert!(!report.is_open(), "it is not asked again at once");
    let throttled = Double::start(|_| |_: &Seen| Reply::error(429, "slow down")).await;
    let report = throttled.client().report_to("j".into());
    assert!(matches!(
        report.progress(1, None, "x").await,
        Told::Refused(_)
    ));
    assert!(matches!(
        report
            .finish(&JobEnd::Failed("no space".into()), 1, 1)
            .await,
        Told::Refused(_)
    ));
}
