//! Renditions: kept once, replaced when they differ, and looked at.

use super::super::Rendition;
use super::*;
use crate::types::{FailureClass, NodeId, Reason};

const NOTE: &str = "lh1 mmmmmmmmmmmmmmmmmmmmmmmmmm sha256=0000000000000000000000000000000000000000000000000000000000000000";

fn wanted(content: &str) -> Rendition {
    Rendition {
        kind: "rights".into(),
        file_name: "spot.mov.rights.jsonld".into(),
        mime: "application/ld+json".into(),
        content: content.into(),
    }
}

/// What becomes of a write.
#[derive(Clone, Copy, PartialEq)]
enum Habit {
    Keeps,
    /// It keeps it, and the answer is lost.
    Answers500,
    Forgets,
    Refuses,
}

/// A document with two versions, the second with what was written last; its writes, in order.
async fn document(newest: &'static str, habit: Habit) -> (Server, Arc<Mutex<Vec<String>>>) {
    let kept: Mutex<Option<String>> = Mutex::new(None);
    let writes = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&writes);
    let server = Server::start(move |seen| {
        let mut kept = kept.lock().expect("nobody panics with it");
        match (seen.method.as_str(), seen.path.as_str()) {
            ("GET", "v2/nodes/5/versions") => {
                let row = |number: i64, description: &str| {
                    json!({"data": {"versions": {"version_number": number, "file_size": 3,
                        "description": description, "file_name": "spot.mov"}}})
                };
                ok(json!({
                    "collection": {"paging": {"total_count": 2, "page": 1, "page_total": 1}},
                    "results": [row(1, NOTE), row(2, newest)],
                }))
            }
            ("GET", "v2/nodes/5/versions/2/renditions") => {
                let rows: Vec<Value> = kept
                    .iter()
                    .map(|_| json!({"rendition_type": "rights", "version_number": 2}))
                    .collect();
                ok(json!({"results": {"data": rows}}))
            }
            ("GET", "v2/nodes/5/versions/2/renditions/content") => {
                assert_eq!(seen.query["rendition_type"], "rights");
                Reply::Answer(200, Vec::new(), kept.clone().expect("one").into())
            }
            ("POST" | "PUT", path) => {
                told.lock().unwrap().push(format!("{} {path}", seen.method));
                let body = String::from_utf8_lossy(&seen.body).into_owned();
                assert!(
                    body.contains("name=\"rendition_type\"\r\n\r\nrights\r\n"),
                    "{body}"
                );
                let file = body
                    .split("application/ld+json\r\n\r\n")
                    .nth(1)
                    .expect("a file");
                let file = file.split("\r\n--").next().expect("its end");
                match habit {
                    Habit::Refuses => {
                        return error(401, "Insufficient permissions to perform that action");
                    }
                    Habit::Forgets => {}
                    Habit::Keeps | Habit::Answers500 => *kept = Some(file.to_owned()),
                }
                match habit {
                    Habit::Answers500 => error(500, "Timed out"),
                    _ => ok(json!({"results": {}})),
                }
            }
            other => panic!("{other:?}"),
        }
    })
    .await;
    (server, writes)
}

#[tokio::test]
async fn a_rendition_is_added_once_and_replaced_when_it_differs() {
    for habit in [Habit::Keeps, Habit::Answers500] {
        let (server, writes) = document(NOTE, habit).await;
        let client = server.client();
        let node = NodeId(5);
        let missing = client.other_rendition(node, &wanted("{}")).await.unwrap();
        assert_eq!(missing, ["version 2 lacks its rendition \"rights\""]);
        for content in ["{}", "{}", "{\"a\":1}"] {
            client.keep_rendition(node, &wanted(content)).await.unwrap();
        }
        let found = client.other_rendition(node, &wanted("{\"a\":1}")).await;
        assert_eq!(found.unwrap(), Vec::<String>::new());
        let found = client.other_rendition(node, &wanted("{\"a\":2}")).await;
        assert!(found.unwrap()[0].contains("other content"));
        assert_eq!(
            *writes.lock().unwrap(),
            [
                "POST v2/nodes/5/versions/renditions",
                "PUT v2/nodes/5/versions/2/renditions"
            ]
        );
    }
}

#[tokio::test]
async fn a_version_that_somebody_else_put_on_top_gets_none() {
    let (server, writes) = document("mine", Habit::Keeps).await;
    server
        .client()
        .keep_rendition(NodeId(5), &wanted("{}"))
        .await
        .unwrap();
    let found = server
        .client()
        .other_rendition(NodeId(5), &wanted("{}"))
        .await;
    assert_eq!(found.unwrap(), Vec::<String>::new());
    assert_eq!(*writes.lock().unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn what_is_not_kept_or_not_allowed_is_said() {
    for (habit, reason, words) in [
        (Habit::Forgets, Reason::Other, "does not keep it"),
        (
            Habit::Refuses,
            Reason::Inaccessible,
            "Insufficient permissions",
        ),
    ] {
        let (server, _) = document(NOTE, habit).await;
        let failure = server
            .client()
            .keep_rendition(NodeId(5), &wanted("{}"))
            .await;
        let failure = failure.unwrap_err();
        assert_eq!(
            (failure.class, failure.reason),
            (FailureClass::ItemIsWrong, reason)
        );
        assert!(
            failure
                .message
                .starts_with("the rendition \"rights\" of node 5: "),
            "{failure}"
        );
        assert!(failure.message.contains(words), "{failure}");
    }
}
