//! Reviews, segments, relations, history, attached files, links, the recycle bin and what
//! collections say.

use std::sync::atomic::{AtomicBool, Ordering};

use futures::TryStreamExt as _;
use serde_json::{Value, json};

use super::double::{Double, Reply, Seen};
use crate::iconik::{
    ArchiveStatus, Asset, AssetKind, Binned, Collection, Error, NewLink, NewSegment, SegmentKind,
    WriteMode, Writing,
};
use crate::types::AssetId;

const SEGMENTS: &str = "/assets/v1/assets/a/segments/";

fn id(text: &str) -> AssetId {
    AssetId::from(text)
}

fn page(rows: &[Value]) -> Reply {
    Reply::json(json!({"objects": rows, "page": 1, "pages": 1, "per_page": 100}))
}

fn comment(external_id: &str) -> NewSegment {
    NewSegment {
        kind: SegmentKind::Comment,
        text: "archived".to_owned(),
        external_id: external_id.to_owned(),
        version: Some("v2".into()),
        range_ms: None,
    }
}

#[tokio::test]
async fn a_review_says_who_asked_whom_and_who_decided_what() {
    let double = Double::start(|_| {
        |seen: &Seen| match seen.path.as_str() {
            "/assets/v1/assets/a/versions/v2/approvals/request/" => Reply::json(json!({
                "status": "MIXED", "version_id": "v2", "min_number": "2", "users": ["u1", "u2"],
                "groups": null, "externals": ["x@example.com"], "requested_by": "u0",
                "request_date": "2026-02-03T10:11:12", "change_date": "2026-02-04T10:11:12+00:00"})),
            "/assets/v1/assets/a/versions/v2/approvals/" => page(&[
                json!({"user": "u1", "status": "APPROVED", "change_date": "2026-02-04T10:11:12"}),
                json!({"external": "x@example.com", "user": null, "status": "NOT_APPROVED"}),
            ]),
            _ => Reply::error(404, "no"),
        }
    })
    .await;
    let client = double.client();
    let asset: Asset = serde_json::from_value(
        json!({"id": "a", "versions": [{"id": "v1", "version_number": 1}, {"id": "v2", "version_number": 2}]}),
    )
    .unwrap();
    let review = client.review_of(&asset).await.unwrap();
    assert_eq!(review.status.as_deref(), Some("MIXED"));
    assert_eq!((review.min_number, review.users.len()), (Some(2), 2));
    assert!(review.groups.is_empty() && review.request_date.is_some());
    let version = asset.current_version().unwrap().id.clone();
    let votes: Vec<_> = client
        .votes(&asset.id, Some(&version))
        .try_collect()
        .await
        .unwrap();
    assert_eq!(votes[0].user.as_deref(), Some("u1"));
    assert_eq!(votes[1].email.as_deref(), Some("x@example.com"));
    let none: Vec<_> = client.votes(&id("b"), None).try_collect().await.unwrap();
    assert!(none.is_empty(), "nobody asked: 404");
}

#[tokio::test]
async fn segments_come_with_their_authors_and_without_deleted_ones() {
    let double = Double::start(|_| {
        |_: &Seen| {
            page(&[
                json!({"id": "s1", "segment_type": "COMMENT", "segment_text": "too loud", "status": "ACTIVE",
                    "time_start_milliseconds": 1500, "segment_checked": "True", "user_id": "u1",
                    "user_info": {"first_name": "Ann", "last_name": "Lee"}}),
                json!({"id": "s2", "segment_type": "SHOT", "share_user_email": "x@example.com"}),
                json!({"id": "s3", "segment_type": "COMMENT", "status": "DELETED"}),
            ])
        }
    })
    .await;
    let client = double.client();
    let all: Vec<_> = client
        .segments(&id("a"), Some(&SegmentKind::Comment), Some(&"v2".into()))
        .try_collect()
        .await
        .unwrap();
    assert_eq!(all.len(), 2);
    assert_eq!(all[0].author().to_string(), "Ann Lee");
    assert_eq!((all[0].start_ms, all[0].checked), (Some(1500), true));
    assert_eq!(all[1].author().to_string(), "x@example.com");
    assert_eq!(all[1].kind.as_str(), "SHOT");
    let seen = &double.seen()[0];
    assert_eq!(seen.query("segment_type"), Some("COMMENT"));
    assert_eq!(seen.query("version_id"), Some("v2"));
    assert_eq!(seen.query("include_users"), Some("true"));
}

#[tokio::test]
async fn a_segment_without_an_id_ends_the_listing_in_an_error() {
    let double = Double::start(|_| |_: &Seen| page(&[json!({"segment_type": "COMMENT"})])).await;
    let rows = double.client().segments(&id("a"), None, None);
    let read: Result<Vec<_>, _> = rows.try_collect().await;
    assert!(matches!(read, Err(Error::Listing { .. })), "{read:?}");
}

#[tokio::test]
async fn a_segment_is_made_once_even_when_the_reply_is_lost() {
    let double = Double::start(|_| {
        let made = AtomicBool::new(false);
        move |seen: &Seen| {
            if seen.method == "POST" {
                made.store(true, Ordering::SeqCst);
                return Reply::json(json!({"id": "s1"})).cut(3);
            }
            match made.load(Ordering::SeqCst) {
                true => {
                    page(&[json!({"id": "s1", "segment_type": "COMMENT", "external_id": "m-1"})])
                }
                false => {
                    page(&[json!({"id": "s0", "segment_type": "COMMENT", "external_id": null})])
                }
            }
        }
    })
    .await;
    let client = double.client();
    for _ in 0..2 {
        let segment = client
            .ensure_segment(&id("a"), &comment("m-1"))
            .await
            .unwrap();
        assert_eq!(segment.id, "s1");
    }
    let seen = double.seen();
    let posts: Vec<_> = seen
        .iter()
        .filter(|seen| seen.is("POST", SEGMENTS))
        .collect();
    assert_eq!(posts.len(), 1);
    assert_eq!(
        posts[0].body,
        json!({"segment_type": "COMMENT", "segment_text": "archived", "external_id": "m-1", "version_id": "v2"})
    );
}

#[tokio::test]
async fn a_refused_segment_is_not_looked_for_again() {
    let double = Double::start(|_| {
        |seen: &Seen| match seen.method.as_str() {
            "POST" => Reply::error(403, "no"),
            _ => page(&[]),
        }
    })
    .await;
    let refused = double
        .client()
        .ensure_segment(&id("a"), &comment("m"))
        .await;
    assert!(refused.unwrap_err().is_forbidden());
    assert_eq!(double.seen().len(), 2);
}

#[tokio::test]
async fn a_segment_is_edited_with_its_kind() {
    let double = Double::start(|_| {
        |seen: &Seen| match seen.method.as_str() {
            "PATCH" => Reply::json(json!({"id": "s1"})),
            _ => page(&[json!({"id": "s1", "segment_type": "QC"})]),
        }
    })
    .await;
    let client = double.client();
    let all: Vec<_> = client
        .segments(&id("a"), None, None)
        .try_collect()
        .await
        .unwrap();
    client
        .edit_segment(&id("a"), &all[0], None, Some(true))
        .await
        .unwrap();
    let patch = double.seen().pop().unwrap();
    assert!(patch.is("PATCH", &format!("{SEGMENTS}s1/")));
    assert_eq!(
        patch.body,
        json!({"segment_type": "QC", "segment_checked": true})
    );
}

#[tokio::test]
async fn relations_list_assets_and_are_made_by_type() {
    let double = Double::start(|_| {
        |seen: &Seen| match (seen.method.as_str(), seen.path.as_str()) {
            ("GET", "/assets/v1/assets/relation_types/") => page(&[
                json!({"name": "supersedes", "source_label": "replaces", "is_directional": true}),
            ]),
            ("GET", "/assets/v1/assets/a/relations/supersedes/") => {
                page(&[json!({"id": "b", "title": "old", "versions": null})])
            }
            ("POST", _) => Reply::status(200),
            _ => Reply::error(404, "no"),
        }
    })
    .await;
    let client = double.client();
    let types: Vec<_> = client.relation_types().try_collect().await.unwrap();
    assert_eq!(types[0].name, "supersedes");
    assert!(types[0].is_directional);
    let related: Vec<_> = client
        .related_assets(&id("a"), Some("supersedes"))
        .try_collect()
        .await
        .unwrap();
    assert_eq!(related[0].id, id("b"));
    let none: Vec<_> = client
        .related_assets(&id("a"), None)
        .try_collect()
        .await
        .unwrap();
    assert!(none.is_empty());
    client
        .relate_assets(&id("a"), "supersedes", &id("b"), "filed")
        .await
        .unwrap();
    assert_eq!(
        double.seen().pop().unwrap().body,
        json!({"related_to_asset_id": "b", "relation_type": "supersedes", "description": "filed"})
    );
}

#[tokio::test]
async fn a_history_is_filtered_whether_or_not_iconik_does() {
    let double = Double::start(|_| {
        |_: &Seen| {
            page(&[
                json!({"id": "h1", "operation_type": "DOWNLOAD", "user_id": "u1",
                    "date_created": "2026-02-03T10:11:12"}),
                json!({"id": "h2", "operation_type": "METADATA"}),
                json!({"operation_type": null}),
            ])
        }
    })
    .await;
    let client = double.client();
    let all: Vec<_> = client.history(&id("a"), None).try_collect().await.unwrap();
    assert_eq!(all.len(), 3);
    let some: Vec<_> = client
        .history(&id("a"), Some("DOWNLOAD"))
        .try_collect()
        .await
        .unwrap();
    assert_eq!(some.len(), 1);
    assert_eq!(some[0].user_id.as_deref(), Some("u1"));
    let seen = double.seen().pop().unwrap();
    assert_eq!(seen.query("filter"), Some("operation_type,eq,DOWNLOAD"));
}

#[tokio::test]
async fn attached_files_are_complete_ones_of_other_formats() {
    let double = Double::start(|_| {
        |seen: &Seen| match seen.path.as_str() {
            "/files/v1/assets/a/formats/" => page(&[
                json!({"id": "f0", "name": "ORIGINAL"}),
                json!({"id": "f1", "name": "REPORT"}),
                json!({"id": "f2", "name": "OLD", "status": "DELETED"}),
            ]),
            "/files/v1/assets/a/formats/f1/file_sets/" => page(&[
                json!({"id": "s1", "status": "ACTIVE"}),
                json!({"id": "s2", "status": "DELETED"}),
            ]),
            "/files/v1/assets/a/file_sets/s1/files/" => page(&[
                json!({"id": "d", "type": "DIRECTORY", "status": "CLOSED"}),
                json!({"id": "x", "type": "FILE", "status": "GROWING"}),
                json!({"id": "y", "type": "FILE", "status": "CLOSED", "name": "qc.pdf"}),
            ]),
            _ => Reply::error(404, "no"),
        }
    })
    .await;
    let found = double
        .client()
        .attached_files(&id("a"), None)
        .await
        .unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].format.name.as_deref(), Some("REPORT"));
    assert_eq!(found[0].file.name.as_deref(), Some("qc.pdf"));
    assert!(
        double
            .seen()
            .iter()
            .all(|seen| !seen.path.contains("/f0/") && !seen.path.contains("/s2/"))
    );
}

#[tokio::test]
async fn an_asset_goes_into_the_bin_once_and_comes_back() {
    let double = Double::start(|_| {
        let binned = AtomicBool::new(false);
        move |seen: &Seen| match (seen.method.as_str(), seen.path.as_str()) {
            ("DELETE", "/assets/v1/assets/a/") => {
                binned.store(true, Ordering::SeqCst);
                Reply::error(502, "gateway")
            }
            ("PUT", "/assets/v1/assets/a/restore/") => {
                binned.store(false, Ordering::SeqCst);
                Reply::status(204)
            }
            ("GET", "/assets/v1/assets/a/") => {
                let status = if binned.load(Ordering::SeqCst) {
                    "DELETED"
                } else {
                    "ACTIVE"
                };
                Reply::json(json!({"id": "a", "status": status}))
            }
            _ => Reply::error(404, "no"),
        }
    })
    .await;
    let client = double.client();
    assert_eq!(client.bin_asset(&id("a")).await.unwrap(), Binned::Now);
    assert_eq!(client.bin_asset(&id("a")).await.unwrap(), Binned::Before);
    assert_eq!(client.bin_asset(&id("b")).await.unwrap(), Binned::Gone);
    client.restore_binned(&id("a")).await.unwrap();
    client.restore_binned(&id("a")).await.unwrap();
    let seen = double.seen();
    let count = |method: &str| seen.iter().filter(|seen| seen.method == method).count();
    assert_eq!((count("DELETE"), count("PUT")), (1, 1));
    assert!(seen.iter().all(|seen| !seen.path.contains("purge")));
}

#[tokio::test]
async fn an_archive_state_is_only_a_word() {
    let double = Double::start(|_| |_: &Seen| Reply::json(json!({"id": "a"}))).await;
    let client = double.client();
    client
        .set_archive_status(&id("a"), &ArchiveStatus::Archived)
        .await
        .unwrap();
    let seen = double.seen().pop().unwrap();
    assert!(seen.is("PATCH", "/assets/v1/assets/a/"));
    assert_eq!(seen.body, json!({"archive_status": "ARCHIVED"}));
}

#[tokio::test]
async fn a_link_is_made_once_and_put_where_people_look() {
    let double = Double::start(|_| {
        let made = AtomicBool::new(false);
        move |seen: &Seen| {
            if seen.method == "POST" {
                made.store(true, Ordering::SeqCst);
                return Reply::error(504, "gateway");
            }
            match made.load(Ordering::SeqCst) {
                true => page(&[
                    json!({"id": "x", "type": "ASSET", "external_id": "m"}),
                    json!({"id": "l", "type": "LINK", "external_id": "m", "external_link": "https://cs.example.com/1"}),
                ]),
                false => page(&[json!({"id": "g", "type": "LINK", "external_id": "m", "status": "DELETED"})]),
            }
        }
    })
    .await;
    let client = double.client();
    let new = NewLink {
        title: "Record".to_owned(),
        address: "https://cs.example.com/1".to_owned(),
        site: "Content Server".to_owned(),
        external_id: "m".to_owned(),
        collection: Some("c".into()),
        kind: AssetKind::Link,
    };
    for _ in 0..2 {
        assert_eq!(client.ensure_link(&new).await.unwrap().id, id("l"));
    }
    let seen = double.seen();
    let posts: Vec<_> = seen.iter().filter(|seen| seen.method == "POST").collect();
    assert_eq!(posts.len(), 1);
    assert_eq!(posts[0].query("apply_default_acls"), Some("true"));
    assert_eq!(posts[0].query("assign_to_collection"), Some("true"));
    assert_eq!(posts[0].body["external_link"], "https://cs.example.com/1");
    assert_eq!(posts[0].body["collection_id"], "c");
}

#[tokio::test]
async fn a_collection_has_metadata_of_its_own() {
    let double = Double::start(|_| {
        |seen: &Seen| match (seen.method.as_str(), seen.path.as_str()) {
            ("PUT", _) => Reply::json(json!({})),
            (_, "/metadata/v1/collections/categories/") => {
                Reply::json(json!({"objects": [{"name": "campaign", "view_ids": ["v"]}]}))
            }
            (_, "/metadata/v1/views/v/") => {
                Reply::json(json!({"name": "Campaign", "view_fields": [{"name": "state"}]}))
            }
            (_, "/metadata/v1/collections/c/views/v/") => Reply::json(
                json!({"metadata_values": {"state": {"field_values": [{"value": "live"}]}}}),
            ),
            _ => Reply::error(404, "no"),
        }
    })
    .await;
    let client = double.client();
    let collection: Collection =
        serde_json::from_value(json!({"id": "c", "category": "campaign"})).unwrap();
    let metadata = client.collection_metadata(&collection).await.unwrap();
    assert_eq!(metadata.flat()["state"], ["live"]);
    let writing = Writing {
        field: "state".to_owned(),
        values: vec!["archived".to_owned()],
        mode: WriteMode::Overwrite,
    };
    client
        .write_collection_values(&collection.id, &"v".into(), &[writing])
        .await
        .unwrap();
    let seen = double.seen().pop().unwrap();
    assert!(seen.is("PUT", "/metadata/v1/collections/c/views/v/"));
    assert_eq!(
        seen.body["metadata_values"]["state"]["field_values"],
        json!([{"value": "archived"}])
    );
}
