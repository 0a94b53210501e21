//! Answers and parameters in the forms that the reference draws and live servers do not use, and the
//! other way round.

use super::super::{Holder, RecordFields};
use super::*;
use crate::transfer::{Destination, NewContent, Part, Session, Window};
use crate::types::{ByteCount, FailureClass, NodeId, UploadKey, VersionNumber};

/// A row as the reference draws it: every object inside a list.
fn drawn(section: &str, value: &Value) -> Value {
    json!({"data": [{ section: [value] }]})
}

#[tokio::test]
async fn answers_are_read_as_the_reference_draws_them() {
    let version = json!({"version_number": 1, "file_size": 3, "description": "d", "locked": 0});
    let server = Server::start(move |seen| {
        let rows = |rows: Vec<Value>| {
            let paging = json!([{"page": 1, "limit": 100, "page_total": 1, "total_count": rows.len()}]);
            ok(json!({"collection": [{"paging": paging}], "links": [{"data": [{}]}], "results": rows}))
        };
        let folder = json!({"id": 5, "parent_id": 2, "name": "f", "type": 0, "container": true});
        match seen.path.as_str() {
            "v2/nodes/5" => ok(json!({"results": [drawn("properties", &folder)]})),
            "v2/nodes/5/nodes" => rows(vec![drawn("properties", &document(6, 5, "a", 3))]),
            "v2/nodes/6/versions" => rows(vec![drawn("versions", &version)]),
            "v2/nodes/6/permissions" => rows(vec![drawn(
                "permissions",
                &json!({"type": "public", "right_id": null, "permissions": "see,see_contents"}),
            )]),
            "v2/nodes/6/categories" => ok(json!({"results": [{
                "data": [{"categories": [{"9_2": "x"}, {"8_2": "y"}]}],
                "metadata": [{"categories": [{"9": {"name": "Nine"}}, {"8": {"name": "Eight"}}]}],
            }]})),
            "v2/multipart/settings" => {
                ok(json!({"is_enabled": true, "min_size": 5, "max_size": 900}))
            }
            "v2/multipart" => {
                ok(json!({"upload_key": "k", "part_size": 10, "num_parts": 1, "max_retries": 3}))
            }
            "v1/serverinfo" => ok(json!({"server": [{"version": "25.4"}],
                "sessions": [{"session_timeout": "60000", "expire_after_last_request": true}]})),
            other => panic!("{other}"),
        }
    })
    .await;
    let client = server.client();
    assert_eq!(client.node(NodeId(5)).await.unwrap().name, "f");
    let (children, more) = client.children(NodeId(5), 1).await.unwrap();
    assert!(children.len() == 1 && children[0].id == NodeId(6) && !more);
    let versions = client.versions(NodeId(6)).await.unwrap();
    assert_eq!(
        (versions[0].size, versions[0].description.as_str()),
        (3, "d")
    );
    let grants = client.permissions(NodeId(6)).await.unwrap();
    assert!(grants[0].holder == Holder::Public && grants[0].rights.len() == 2);
    let categories = client.categories(NodeId(6)).await.unwrap();
    let names: Vec<_> = categories.iter().map(|c| c.name.as_deref()).collect();
    assert_eq!(names, [Some("Eight"), Some("Nine")]);
    let window = client.window().await.unwrap();
    assert_eq!(window, Some(Window { min: 5, max: 900 }));
    let session = client.open_session("a", 10, "video/mp4").await.unwrap();
    assert_eq!((session.key.as_str(), session.parts), ("k", 1));
    let info = client.server_info().await.unwrap();
    assert_eq!(info.version.as_deref(), Some("25.4"));
    assert_eq!(info.session_timeout.map(|life| life.as_secs()), Some(60));
}

#[tokio::test]
async fn a_page_that_only_names_the_next_one_is_not_the_last() {
    let server = Server::start(|seen| {
        let page: usize = seen.query["page"].parse().unwrap();
        let row =
            json!({"data": {"properties": document(5 + page as i64, 2, &format!("n{page}"), 1)}});
        let mut paging = json!({"page": page, "limit": 100, "links": {"data": {}}});
        if page < 3 {
            paging["links"]["data"]["next"] =
                json!({"href": format!("/api/v2/x?page={}", page + 1)});
        }
        ok(json!({"collection": {"paging": paging}, "results": [row]}))
    })
    .await;
    let client = server.client();
    for (page, more) in [(1, true), (2, true), (3, false)] {
        assert_eq!(client.children(NodeId(2), page).await.unwrap().1, more);
    }
}

/// The only field called `name` of a form, or nothing.
fn field(seen: &Seen, name: &str) -> Option<String> {
    let mut fields = seen.fields().into_iter();
    fields
        .find(|(other, _)| other == name)
        .map(|(_, value)| value)
}

#[tokio::test]
async fn parameters_are_sent_the_way_that_the_server_looks_for_them() {
    let server = Server::start(|seen| match seen.line().as_str() {
        // Only `body` counts here.
        "POST v2/nodes/list" | "POST v2/nodes" if field(seen, "body").is_none() => {
            error(400, "Missing required parameter 'ids'")
        }
        "POST v2/nodes/list" => {
            assert_eq!(seen.parameters()["ids"], json!([6]));
            ok(json!({"results": [{"data": {"properties": document(6, 5, "a", 3)}}]}))
        }
        "POST v2/nodes" => {
            let asked = seen.parameters();
            assert_eq!(
                (&asked["type"], &asked["upload_key"]),
                (&json!(144), &json!("k"))
            );
            ok(single(document(7, 5, "new", 3)))
        }
        // And here only fields of their own.
        "GET v1/nodes/6/rmclassifications" => ok(json!({"data": [], "canRMClassify": true})),
        "POST v1/nodes/6/rmclassifications" => match field(seen, "class_id") {
            None => error(400, "Missing required parameter 'class_id'"),
            Some(class) => {
                assert_eq!(class, "70");
                error(400, "Node is finalized")
            }
        },
        other => panic!("{other}"),
    })
    .await;
    let client = server.client();
    assert_eq!(client.nodes(&[NodeId(6)]).await.unwrap()[0].name, "a");
    let session = Session {
        key: UploadKey::from("k"),
        part_size: 10,
        parts: 1,
    };
    let made = client
        .create_document(NodeId(5), "new", NewContent::Session(session))
        .await
        .unwrap();
    assert_eq!(made.node, NodeId(7));
    let failure = client
        .declare_record(NodeId(6), NodeId(70), &RecordFields::default())
        .await
        .unwrap_err();
    assert!(failure.message.contains("finalized"), "{failure}");
}

#[tokio::test]
async fn records_management_may_answer_a_change_with_nothing_and_is_read_back() {
    let classified = std::sync::atomic::AtomicBool::new(false);
    let server = Server::start(move |seen| {
        let is = classified.load(Ordering::SeqCst);
        match seen.method {
            Method::GET => {
                let class = if is {
                    json!([{"rmclassification_id": 70}])
                } else {
                    json!([])
                };
                ok(json!({"canRMClassify": !is, "data": class}))
            }
            _ => {
                classified.store(true, Ordering::SeqCst);
                Reply::Answer(200, Vec::new(), Bytes::new())
            }
        }
    })
    .await;
    let client = server.client();
    let node = NodeId(6);
    client
        .declare_record(node, NodeId(70), &RecordFields::default())
        .await
        .unwrap();
    client.finalise_record(node).await.unwrap();
    // Elsewhere an empty answer is a disturbance.
    let silent = Server::start(|_| Reply::Answer(200, Vec::new(), Bytes::new())).await;
    let failure = silent.client().rename(node, "n").await.unwrap_err();
    assert_eq!(failure.class, FailureClass::RetryNow);
}

#[tokio::test]
async fn a_stored_page_is_told_from_a_page_for_people_by_its_length() {
    const SIDECAR: &str = "{\"title\":\"a\"}";
    let read = |stored: ByteCount| async move {
        let server = Server::start(move |seen| match seen.path.ends_with("/content") {
            true => ok(json!({"title": "a"})),
            false => ok(json!({"results": {"data": {"versions":
                {"version_number": 1, "file_size": stored}}}})),
        })
        .await;
        let client = server.client();
        client.read(NodeId(5), VersionNumber(1), 0).await.map(drop)
    };
    read(SIDECAR.len() as u64).await.unwrap();
    read(4711).await.unwrap_err();
}

#[tokio::test]
async fn rights_of_a_folder_reach_what_lies_in_it() {
    let changed = std::sync::atomic::AtomicBool::new(false);
    let server = Server::start(move |seen| {
        let row = |kind: &str, rights: &[&str]| {
            json!({"data": {"permissions":
            {"type": kind, "right_id": 999, "permissions": rights}}})
        };
        match (&seen.method, seen.path.as_str()) {
            (&Method::GET, "v2/nodes/5") => ok(single(
                json!({"id": 5, "parent_id": 2, "name": "f", "type": 0, "container": true}),
            )),
            (&Method::GET, _) => {
                let rights: &[&str] = match changed.load(Ordering::SeqCst) {
                    true => &["see"],
                    false => &[],
                };
                ok(json!({"results": [row("owner", &["see"]), row("group", rights)]}))
            }
            _ => {
                assert_eq!(seen.line(), "PUT v2/nodes/5/permissions/group");
                assert_eq!(seen.parameters()["apply_to"], 2);
                changed.store(true, Ordering::SeqCst);
                ok(json!({"links": {}, "results": {}}))
            }
        }
    })
    .await;
    let filing = json!({"base": 2, "rights": {"group": 999, "group_rights": ["see"]}});
    server
        .client()
        .dress(NodeId(5), &filing, Part::Companion)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_form_without_the_list_around_it_defines_a_category() {
    let server = Server::start(|seen| match seen.path.as_str() {
        "v2/nodes/9" => ok(single(
            json!({"id": 9, "parent_id": 2, "name": "Media", "type": 131}),
        )),
        "v1/forms/nodes/categories/create" => ok(json!({
            "data": {}, "options": {"fields": {}},
            "schema": {"properties": {"9_2": {"type": "string", "title": "Campaign"}}},
        })),
        _ => error(400, "Category ID '9' is not a category on node '2'"),
    })
    .await;
    let facts = server.client().category_facts(&["9"], NodeId(2)).await;
    assert_eq!(facts.unwrap()[0].attributes[0].name, "Campaign");
}
