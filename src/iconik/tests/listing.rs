//! Listings, sign-in and refusals.

use futures::TryStreamExt as _;
use serde_json::{Value, json};

use super::double::{Double, Reply, Seen};
use crate::iconik::{Error, Selection};
use crate::types::{AssetId, FailureClass};

fn rows(ids: impl IntoIterator<Item = usize>) -> Vec<Value> {
    ids.into_iter()
        .map(|id| json!({ "id": format!("r{id}"), "name": "ORIGINAL" }))
        .collect()
}

fn page(seen: &Seen) -> usize {
    seen.query("page").unwrap().parse().unwrap()
}

#[tokio::test]
async fn numbered_pages_are_read_to_their_end_and_credentials_go_along() {
    let double = Double::start(|_| {
        |seen: &Seen| {
            let page = page(seen);
            // Fewer rows than asked for: the server has a limit of its own.
            Reply::json(json!({
                "objects": rows((page - 1) * 10..page * 10), "page": page, "pages": 3,
                "per_page": 10, "total": 30, "next_url": null
            }))
        }
    })
    .await;
    let storages: Vec<_> = double.client().storages().try_collect().await.unwrap();
    assert_eq!(storages.len(), 30);
    assert_eq!(storages[29].id.as_str(), "r29");
    let seen = double.seen();
    assert_eq!(seen.len(), 3);
    assert!(seen[0].is("GET", "/files/v1/storages/"));
    assert_eq!(seen[0].header("app-id"), Some("app"));
    assert_eq!(seen[0].header("auth-token"), Some("canary-token"));
}

#[tokio::test]
async fn a_page_of_null_is_empty_but_an_answer_that_is_no_page_is_an_error() {
    for (answer, rows) in [
        (json!({"objects": null, "total": 0}), Some(0)),
        (json!({"total": 0, "pages": 0}), Some(0)),
        (json!({"errors": ["the index is being built"]}), None),
        (json!({}), None),
    ] {
        let body = answer.clone();
        let double = Double::start(|_| move |_: &Seen| Reply::json(body.clone())).await;
        let listed: Result<Vec<_>, _> = double.client().storages().try_collect().await;
        match (rows, listed) {
            (Some(rows), Ok(listed)) => assert_eq!(listed.len(), rows, "{answer}"),
            (None, Err(Error::Listing { .. })) => {}
            (_, other) => panic!("{answer}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_missing_page_beyond_the_first_ends_a_listing_but_another_error_does_not() {
    let double = Double::start(|_| {
        |seen: &Seen| match (seen.path.as_str(), page(seen)) {
            (_, 1) => Reply::json(json!({"objects": rows(0..100), "next_url": "/API/x"})),
            ("/files/v1/storages/", _) => Reply::error(404, "page does not exist"),
            _ => Reply::error(500, "out of order"),
        }
    })
    .await;
    let client = double.client();
    let storages: Vec<_> = client.storages().try_collect().await.unwrap();
    assert_eq!(storages.len(), 100);
    let jobs: Result<Vec<_>, _> = client.jobs_of(&"a".into()).try_collect().await;
    assert!(
        matches!(jobs, Err(Error::Status { .. })),
        "half a listing is none: {jobs:?}"
    );
}

#[tokio::test]
async fn cursors_advance_by_the_last_id() {
    let double = Double::start(|_| {
        |seen: &Seen| match seen.query("last_id") {
            None => Reply::json(json!({"objects": rows(0..100)})),
            Some("r99") => Reply::json(json!({"objects": rows(100..130), "next_url": ""})),
            Some(other) => panic!("unexpected cursor {other}"),
        }
    })
    .await;
    let asset = AssetId::from("a");
    let formats: Vec<_> = double
        .client()
        .formats(&asset, None)
        .try_collect()
        .await
        .unwrap();
    assert_eq!(formats.len(), 130);
    assert_eq!(double.count("/files/v1/assets/a/formats/"), 2);
}

#[tokio::test]
async fn a_listing_that_repeats_itself_is_an_error_and_not_an_endless_loop() {
    let double = Double::start(|_| {
        |_: &Seen| Reply::json(json!({"objects": rows(0..100), "next_url": "/API/more"}))
    })
    .await;
    let client = double.client();
    let formats: Result<Vec<_>, _> = client.formats(&"a".into(), None).try_collect().await;
    assert!(matches!(formats, Err(Error::Listing { .. })), "{formats:?}");
    let storages: Result<Vec<_>, _> = client.storages().try_collect().await;
    assert!(matches!(storages, Err(Error::Listing { .. })));
}

#[tokio::test]
async fn a_search_continues_after_the_last_rows_sort_keys_until_nothing_comes() {
    let double = Double::start(|_| {
        |seen: &Seen| {
            let from = seen.body["search_after"][0].as_u64().map_or(0, |at| at + 1);
            let objects: Vec<Value> = (from..(from + 2).min(5))
                .map(|n| {
                    json!({"id": format!("a{n}"), "object_type": "assets", "_sort": [n, "id"],
                                "status": if n == 3 { "DELETED" } else { "ACTIVE" }})
                })
                .collect();
            Reply::json(json!({"objects": objects, "page": 1, "pages": 3}))
        }
    })
    .await;
    let found: Vec<AssetId> = double
        .client()
        .select(&Selection::Query("title:x".into()))
        .try_collect()
        .await
        .unwrap();
    let found: Vec<&str> = found.iter().map(AssetId::as_str).collect();
    assert_eq!(found, ["a0", "a1", "a2", "a4"]);
    let seen = double.seen();
    assert_eq!(seen.len(), 4);
    assert!(
        seen.iter()
            .all(|seen| seen.is("POST", "/search/v1/search/"))
    );
    assert!(seen.iter().all(|seen| seen.query("page") == Some("1")));
    assert_eq!(seen[0].query("save_search_history"), Some("false"));
    assert_eq!(seen[0].query("generate_signed_url"), Some("false"));
    assert_eq!(seen[1].body["query"], "title:x");
}

#[tokio::test]
async fn a_search_without_sort_keys_falls_back_to_numbered_pages() {
    let double = Double::start(|_| {
        |seen: &Seen| {
            let page = page(seen);
            let next = (page < 3).then_some("/API/next");
            Reply::json(json!({"objects": rows([page]), "next_url": next}))
        }
    })
    .await;
    let found: Vec<_> = double
        .client()
        .search(json!({}))
        .try_collect()
        .await
        .unwrap();
    assert_eq!(found.len(), 3);
}

#[tokio::test]
async fn a_saved_search_is_run_by_its_criteria() {
    let double = Double::start(|_| {
        |seen: &Seen| match seen.path.as_str() {
            "/search/v1/search/saved/s1/" => Reply::json(json!({
                "id": "s1", "search_criteria_document": {"criteria": {"query": "q", "filter": null}}
            })),
            _ if seen.body.get("search_after").is_some() => Reply::json(json!({"objects": []})),
            _ => Reply::json(json!({"objects": [{"id": "a", "_sort": [1]}]})),
        }
    })
    .await;
    let selection = Selection::SavedSearch("s1".into());
    let found: Vec<_> = double
        .client()
        .select(&selection)
        .try_collect()
        .await
        .unwrap();
    assert_eq!(found, [AssetId::from("a")]);
    let seen = double.seen();
    assert_eq!(seen[0].query("include_results"), Some("false"));
    assert_eq!(seen[1].body["query"], "q");
    assert_eq!(seen[1].body.get("filter"), None);
}

#[tokio::test]
async fn a_walk_yields_every_asset_once_through_cycles_and_several_parents() {
    let double = Double::start(|_| {
        |seen: &Seen| {
            let asset = |id: &str| json!({"id": id, "object_type": "assets"});
            let collection = |id: &str| json!({"id": id, "object_type": "collections"});
            let objects = match seen.path.as_str() {
                "/assets/v1/collections/root/" => return Reply::json(json!({"id": "root"})),
                "/assets/v1/collections/root/contents/" => json!([
                    asset("a1"), collection("x"), collection("y"),
                    {"id": "gone", "object_type": "assets", "status": "DELETED"},
                    {"id": "bin", "object_type": "collections", "status": "DELETED"}
                ]),
                "/assets/v1/collections/x/contents/" => {
                    json!([
                        asset("a2"),
                        asset("a1"),
                        collection("z"),
                        collection("root")
                    ])
                }
                "/assets/v1/collections/y/contents/" => json!([collection("z"), asset("a3")]),
                "/assets/v1/collections/z/contents/" => json!([asset("a4"), collection("x")]),
                other => panic!("unexpected {other}"),
            };
            Reply::json(json!({"objects": objects, "pages": 1}))
        }
    })
    .await;
    let found: Vec<_> = double
        .client()
        .walk(&"root".into())
        .try_collect()
        .await
        .unwrap();
    let ids: Vec<&str> = found.iter().map(|found| found.id.as_str()).collect();
    assert_eq!(ids, ["a1", "a2", "a3", "a4"]);
    assert_eq!(double.count("/assets/v1/collections/z/contents/"), 1);
}

#[tokio::test]
async fn the_account_is_named_by_the_token_or_else_by_its_user() {
    let by_token = Double::start(|_| {
        |seen: &Seen| match seen.path.as_str() {
            "/auth/v1/auth/token/" => Reply::json(json!({"system_domain_id": "d1"})),
            _ => Reply::error(403, "no"),
        }
    })
    .await;
    let client = by_token.client();
    assert_eq!(client.domain().await.unwrap(), "d1");
    assert_eq!(client.validate().await.unwrap().user, None);
    assert_eq!(by_token.seen().len(), 2, "the answer is kept");

    let by_user = Double::start(|_| {
        |seen: &Seen| match seen.path.as_str() {
            "/auth/v1/auth/token/" => Reply::status(200),
            _ => Reply::json(json!({"id": "u", "system_domain_id": "d2", "is_admin": true})),
        }
    })
    .await;
    assert_eq!(by_user.client().domain().await.unwrap(), "d2");
}

#[tokio::test]
async fn a_refused_token_stops_everything_and_is_never_repeated_in_the_message() {
    let double = Double::start(|_| {
        |_: &Seen| {
            Reply::error(
                401,
                "token canary-token eyJhbGciOiJIUzI1NiJ9.canary is invalid",
            )
        }
    })
    .await;
    let error = double.client().validate().await.unwrap_err();
    let failure = crate::types::Failure::from(error);
    assert_eq!(failure.class, FailureClass::StopEverything);
    assert!(
        failure.message.contains("iconik.token"),
        "{}",
        failure.message
    );
    assert!(!failure.message.contains("eyJ"), "{}", failure.message);
}

#[tokio::test]
async fn refusals_name_the_role_and_a_portals_page_proves_nothing() {
    let double = Double::start(|_| {
        |seen: &Seen| match seen.path.as_str() {
            "/assets/v1/assets/secret/" => Reply::error(403, "permission denied"),
            "/assets/v1/assets/gone/" => Reply::error(404, "does not exist"),
            "/assets/v1/assets/page/" => Reply::status(404)
                .header("Content-Type", "text/html")
                .body("<html>log in</html>"),
            "/assets/v1/assets/hello/" => Reply::status(200)
                .header("Content-Type", "text/html")
                .body("<html>log in</html>"),
            _ => Reply::error(429, "slow down").header("Retry-After", 7),
        }
    })
    .await;
    let client = double.client();
    let failure = |id: &str| {
        let (client, id) = (client.clone(), AssetId::from(id));
        async move { client.asset(&id).await.unwrap_err().into_failure() }
    };
    let secret = failure("secret").await;
    assert!(
        secret.message.contains("can_read_assets"),
        "{}",
        secret.message
    );
    assert_eq!(failure("gone").await.reason, crate::types::Reason::NotFound);
    for page in ["page", "hello"] {
        assert_eq!(failure(page).await.class, FailureClass::RetryNow, "{page}");
    }
    let busy = failure("busy").await;
    assert_eq!(busy.class, FailureClass::RetryLater);
    assert_eq!(busy.retry_after.map(|wait| wait.as_secs()), Some(7));
}

#[tokio::test]
async fn an_asset_that_names_no_versions_has_those_of_its_formats() {
    let double = Double::start(|_| {
        |seen: &Seen| match seen.path.as_str() {
            "/assets/v1/assets/a/" => Reply::json(json!({"id": "a", "title": "A"})),
            "/files/v1/assets/a/formats/" => Reply::json(json!({"objects": [
                {"id": "f", "name": "ORIGINAL", "version_id": "v", "date_created": "2026-01-02T00:00:00"},
                {"id": "p", "name": "PPRO_PROXY", "version_id": "v"},
            ]})),
            _ => Reply::error(404, "not found"),
        }
    })
    .await;
    let client = double.client();
    let asset = client.asset(&"a".into()).await.unwrap();
    let versions: Vec<_> = asset.versions.iter().map(|v| v.id.as_str()).collect();
    assert_eq!(versions, ["v"]);
    let listing = client.asset(&"b".into()).await;
    assert!(listing.unwrap_err().is_not_found());
}
