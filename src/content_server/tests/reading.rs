//! Nodes, children, names, versions and content.

use futures::StreamExt;

use super::super::Profile;
use super::*;
use crate::transfer::{ByteStream, Destination};
use crate::types::{FailureClass, NodeId, Reason, VersionNumber};

const NO_ROUTE: &str = "The REST API URL could not be found in the mappings registry";

fn paged(rows: &[Value], section: &str, seen: &Seen) -> Value {
    let number = |name: &str| seen.query[name].parse::<usize>().unwrap();
    let (page, limit) = (number("page"), number("limit"));
    let results: Vec<_> = rows
        .iter()
        .skip((page - 1) * limit)
        .take(limit)
        .map(|row| json!({"data": {section: row}}))
        .collect();
    json!({"collection": {"paging": {"page": page, "limit": limit, "total_count": rows.len(),
        "page_total": rows.len().div_ceil(limit)}}, "results": results})
}

#[tokio::test]
async fn a_node_is_read_with_its_reserver() {
    let server = Server::start(|_| {
        let mut node = document(5, 2, "a.mov", 77);
        node["reserved"] = true.into();
        node["reserved_user_id"] = 1000.into();
        ok(single(node))
    })
    .await;
    let node = server.client().node(NodeId(5)).await.unwrap();
    assert_eq!((node.parent, node.size), (NodeId(2), Some(77)));
    assert_eq!(node.reserved_by.as_deref(), Some("user 1000"));
    assert_eq!(server.only().line(), "GET v2/nodes/5");
}

#[tokio::test]
async fn a_missing_and_a_forbidden_node_are_both_inaccessible() {
    for (code, text) in [
        (400, "Could not get a node for 5"),
        (
            500,
            "Sorry, the item you requested could not be accessed. Either it does not exist, or you do not have permission to access it.",
        ),
    ] {
        let server = Server::start(move |_| error(code, text)).await;
        let failure = server.client().node(NodeId(5)).await.unwrap_err();
        assert_eq!(
            (failure.class, failure.reason),
            (FailureClass::ItemIsWrong, Reason::Inaccessible)
        );
    }
}

#[tokio::test]
async fn another_node_than_the_one_asked_for_is_refused() {
    let server = Server::start(|_| ok(single(document(6, 2, "a", 1)))).await;
    let failure = server.client().node(NodeId(5)).await.unwrap_err();
    assert_eq!(
        (failure.class, failure.reason),
        (FailureClass::RetryNow, Reason::Other)
    );
}

#[tokio::test]
async fn a_page_for_people_is_tried_again_and_then_transient() {
    let server = Server::start(|_| html(200, "Error Processing Request")).await;
    let failure = server.client().node(NodeId(5)).await.unwrap_err();
    assert_eq!(failure.class, FailureClass::RetryNow);
    let server = Server::start(|_| html(500, "Please try again")).await;
    let failure = server.client().node(NodeId(5)).await.unwrap_err();
    assert_eq!(
        (failure.class, failure.reason),
        (FailureClass::RetryNow, Reason::Other)
    );
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn a_throttled_call_carries_the_wait_asked_for() {
    let server = Server::start(|_| html(429, "slow").with("retry-after", "17")).await;
    let failure = server.client().node(NodeId(5)).await.unwrap_err();
    assert_eq!(failure.class, FailureClass::RetryLater);
    assert_eq!(
        failure.retry_after,
        Some(std::time::Duration::from_secs(17))
    );
}

#[tokio::test]
async fn children_come_page_by_page_in_the_order_of_their_names() {
    let rows: Vec<_> = (0..250)
        .map(|i| document(100 + i, 7, &format!("n{i:03}"), 1))
        .collect();
    let server = Server::start(move |seen| ok(paged(&rows, "properties", seen))).await;
    let client = server.client();
    let mut ids = Vec::new();
    for page in 1.. {
        let (nodes, more) = client.children(NodeId(7), page).await.unwrap();
        ids.extend(nodes.iter().map(|node| node.id.0));
        if !more {
            break;
        }
    }
    assert_eq!(ids, (100..350).collect::<Vec<_>>());
    let seen = server.seen();
    assert_eq!(seen.len(), 3);
    assert!(seen.iter().all(|seen| seen.query["sort"] == "asc_name"));
}

#[tokio::test]
async fn a_server_that_repeats_its_first_page_is_found_out() {
    let rows: Vec<_> = (0..250)
        .map(|i| document(100 + i, 7, &format!("n{i:03}"), 1))
        .collect();
    let server = Server::start(move |seen| {
        let mut first = seen.clone();
        first.query.insert("page".into(), "1".into());
        ok(paged(&rows, "properties", &first))
    })
    .await;
    assert!(server.client().children(NodeId(7), 2).await.is_err());
}

#[tokio::test]
async fn the_name_check_says_who_holds_a_name_and_when_it_is_free() {
    let server = Server::start(|seen| match seen.line().as_str() {
        "POST v1/validation/nodes/names" => {
            let asked = seen.parameters();
            assert_eq!(asked["parent_id"], 7);
            if asked["names"] == json!(["taken: no"]) {
                ok(json!({"results": []}))
            } else {
                ok(json!({"results": [{"id": 12, "name": "a.mov"}]}))
            }
        }
        _ => ok(single(document(12, 7, "a.mov", 3))),
    })
    .await;
    let client = server.client();
    assert_eq!(client.child(NodeId(7), "taken: no").await.unwrap(), None);
    let node = client.child(NodeId(7), "A.mov").await.unwrap().unwrap();
    assert_eq!((node.id, node.name.as_str()), (NodeId(12), "a.mov"));
}

#[tokio::test]
async fn an_error_of_the_name_check_is_never_taken_for_free() {
    for script in [
        (|| error(500, "Error retrieving nodes")) as fn() -> Reply,
        || html(200, "Please try again"),
        || ok(json!({})),
        || ok(json!({"results": {}})),
        || Reply::Hangup,
        || error(400, "Sorry, the item you requested could not be accessed."),
    ] {
        let server = Server::start(move |_| script()).await;
        assert!(server.client().child(NodeId(7), "a").await.is_err());
    }
}

#[tokio::test]
async fn a_holder_that_moved_away_meanwhile_is_no_answer() {
    let server = Server::start(|seen| match seen.line().as_str() {
        "POST v1/validation/nodes/names" => ok(json!({"results": [{"id": 12, "name": "a"}]})),
        _ => ok(single(document(12, 8, "a", 3))),
    })
    .await;
    let failure = server.client().child(NodeId(7), "a").await.unwrap_err();
    assert_eq!(failure.class, FailureClass::RetryNow);
}

#[tokio::test]
async fn without_the_name_check_all_similar_children_are_compared_exactly() {
    // 150 names that contain the one looked for; the match is on the second page.
    let mut rows: Vec<_> = (0..150)
        .map(|i| document(100 + i, 7, &format!("a {i:03}"), 1))
        .collect();
    rows.push(document(400, 7, "a", 9));
    let server = Server::start(move |seen| match seen.line().as_str() {
        "POST v1/validation/nodes/names" => error(400, NO_ROUTE),
        _ => ok(paged(&rows, "properties", seen)),
    })
    .await;
    let client = server.client();
    let node = client.child(NodeId(7), "a").await.unwrap().unwrap();
    assert_eq!(node.id, NodeId(400));
    assert_eq!(client.child(NodeId(7), "b").await.unwrap(), None);
    assert!(
        server
            .seen()
            .iter()
            .skip(1)
            .all(|seen| seen.method == Method::POST || !seen.query["where_name"].is_empty())
    );
}

#[tokio::test]
async fn a_listing_that_leaves_rows_out_says_nothing_about_a_name() {
    let server = Server::start(|seen| match seen.line().as_str() {
        "POST v1/validation/nodes/names" => error(400, NO_ROUTE),
        _ => ok(
            json!({"collection": {"paging": {"page": 1, "page_total": 1, "total_count": 2}},
            "results": [{"data": {"properties": document(9, 7, "ab", 1)}}]}),
        ),
    })
    .await;
    assert!(server.client().child(NodeId(7), "a").await.is_err());
}

#[tokio::test]
async fn nodes_are_listed_in_batches_the_server_takes() {
    let server = Server::start(|seen| {
        let fields = seen.fields();
        let ids: Vec<_> = fields.iter().filter(|(name, _)| name == "ids").collect();
        assert!(ids.len() <= 250);
        let results: Vec<_> = ids
            .iter()
            .map(
                |(_, id)| json!({"data": {"properties": document(id.parse().unwrap(), 7, "x", 1)}}),
            )
            .collect();
        ok(json!({ "results": results }))
    })
    .await;
    let ids: Vec<_> = (1..=300).map(NodeId).collect();
    let nodes = server.client().nodes(&ids).await.unwrap();
    assert_eq!(nodes.iter().map(|node| node.id).collect::<Vec<_>>(), ids);
    assert_eq!(server.seen().len(), 2);
}

fn version(number: i64) -> Value {
    json!({"id": 5, "version_number": number, "file_size": number * 10, "description": null, "file_name": "a.mov"})
}

#[tokio::test]
async fn all_versions_are_listed_lowest_first() {
    let rows: Vec<_> = (1..=230).rev().map(version).collect();
    let server = Server::start(move |seen| ok(paged(&rows, "versions", seen))).await;
    let versions = server.client().versions(NodeId(5)).await.unwrap();
    let numbers: Vec<_> = versions.iter().map(|version| version.number.0).collect();
    assert_eq!(numbers, (1..=230).collect::<Vec<_>>());
    assert_eq!(
        (versions[4].size, versions[4].description.as_str()),
        (50, "")
    );
}

#[tokio::test]
async fn a_server_that_ignores_paging_of_versions_is_read_once_more_and_believed() {
    let server = Server::start(|_| {
        let results: Vec<_> = (1..=100)
            .map(|n| json!({"data": {"versions": version(n)}}))
            .collect();
        ok(json!({ "results": results }))
    })
    .await;
    assert_eq!(
        server.client().versions(NodeId(5)).await.unwrap().len(),
        100
    );
}

#[tokio::test]
async fn missing_version_rows_are_noticed() {
    let server = Server::start(|_| {
        ok(
            json!({"collection": {"paging": {"page": 1, "page_total": 1, "total_count": 3}},
            "results": [{"data": {"versions": version(1)}}]}),
        )
    })
    .await;
    assert!(server.client().versions(NodeId(5)).await.is_err());
}

#[tokio::test]
async fn a_description_is_cut_where_the_servers_column_ends() {
    let server = Server::start(|seen| match seen.method {
        Method::PUT => ok(json!({"links": {}, "results": {}})),
        _ => ok(json!({"results": {"data": {"versions": version(3)}}})),
    })
    .await;
    let client = server.client();
    let text = format!("lh1 {}", "\u{1F3AC}".repeat(200));
    client
        .describe(NodeId(5), VersionNumber(3), &text)
        .await
        .unwrap();
    let sent = server.only();
    assert_eq!(sent.line(), "PUT v2/nodes/5/versions/3");
    let description = sent.fields()[0].1.clone();
    assert!(text.starts_with(&description));
    assert_eq!(description.encode_utf16().count(), 254);
    assert_eq!(
        client
            .version(NodeId(5), VersionNumber(3))
            .await
            .unwrap()
            .size,
        30
    );
    assert!(client.version(NodeId(5), VersionNumber(4)).await.is_err());
}

#[tokio::test]
async fn publishing_moves_and_renames_in_one_call() {
    let server = Server::start(|_| ok(json!({"links": {}, "results": {}}))).await;
    let client = server.client();
    client
        .publish(NodeId(5), NodeId(9), "Final.mov")
        .await
        .unwrap();
    client.rename(NodeId(5), "Other.mov").await.unwrap();
    let seen = server.seen();
    assert_eq!(seen[0].line(), "PUT v2/nodes/5");
    assert_eq!(
        seen[0].parameters(),
        json!({"parent_id": 9, "name": "Final.mov"})
    );
    assert_eq!(seen[1].parameters(), json!({"name": "Other.mov"}));
}

#[tokio::test]
async fn a_taken_name_is_told_when_publishing() {
    let server =
        Server::start(|_| error(500, "An item with the name 'Final.mov' already exists.")).await;
    let failure = server
        .client()
        .publish(NodeId(5), NodeId(9), "Final.mov")
        .await
        .unwrap_err();
    assert_eq!(failure.reason, Reason::NameTaken);
}

async fn collect(mut content: ByteStream) -> Result<Vec<u8>, Failure> {
    let mut all = Vec::new();
    while let Some(frame) = content.next().await {
        all.extend_from_slice(&frame?);
    }
    Ok(all)
}

const CONTENT: &[u8] = b"0123456789";

fn download(code: u16, body: &'static [u8]) -> Reply {
    Reply::Answer(
        code,
        vec![
            ("content-type", "text/html".into()),
            (
                "content-disposition",
                "attachment; filename=\"a.html\"".into(),
            ),
        ],
        Bytes::from_static(body),
    )
}

#[tokio::test]
async fn content_is_read_from_any_byte_whether_or_not_ranges_are_honoured() {
    for honoured in [true, false] {
        let server = Server::start(move |seen| {
            let from = seen
                .header("range")
                .strip_prefix("bytes=")
                .map_or(0, |range| {
                    range.trim_end_matches('-').parse::<usize>().unwrap()
                });
            match (honoured, from) {
                (true, 10) => download(416, b"").with("content-range", "bytes */10"),
                (true, from) if from > 0 => download(206, &CONTENT[from..])
                    .with("content-range", format!("bytes {from}-9/10")),
                _ => download(200, CONTENT),
            }
        })
        .await;
        let client = server.client();
        for from in [0, 1, 9, 10] {
            let content = client
                .read(NodeId(5), VersionNumber(2), from)
                .await
                .unwrap();
            let expected = &CONTENT[usize::try_from(from).unwrap()..];
            assert_eq!(
                collect(content).await.unwrap(),
                expected,
                "{honoured} {from}"
            );
        }
        assert_eq!(server.seen()[0].line(), "GET v2/nodes/5/versions/2/content");
    }
}

#[tokio::test]
async fn ranges_are_not_asked_for_where_they_are_known_to_be_passed_over() {
    let server = Server::start(|_| download(200, CONTENT)).await;
    let client = server.client();
    client.learn(Profile {
        ranges: Some(false),
        ..Profile::default()
    });
    let content = client.read(NodeId(5), VersionNumber(2), 4).await.unwrap();
    assert_eq!(collect(content).await.unwrap(), &CONTENT[4..]);
    let seen = server.seen();
    let reads: Vec<_> = seen
        .iter()
        .filter(|seen| seen.path.ends_with("content"))
        .collect();
    assert_eq!(reads.len(), 1);
    assert_eq!(reads[0].header("range"), "");
}

#[tokio::test]
async fn a_range_that_was_not_asked_for_is_refused() {
    let server =
        Server::start(|_| download(206, &CONTENT[2..]).with("content-range", "bytes 2-9/10")).await;
    let answer = server.client().read(NodeId(5), VersionNumber(1), 3).await;
    assert!(answer.is_err());
}

#[tokio::test]
async fn content_that_ends_before_the_byte_asked_for_is_no_success() {
    let server = Server::start(|_| download(200, CONTENT)).await;
    assert!(
        server
            .client()
            .read(NodeId(5), VersionNumber(1), 11)
            .await
            .is_err()
    );
    let server = Server::start(|_| download(416, b"").with("content-range", "bytes */10")).await;
    assert!(
        server
            .client()
            .read(NodeId(5), VersionNumber(1), 11)
            .await
            .is_err()
    );
}

#[tokio::test]
async fn a_restart_page_is_never_content() {
    let server = Server::start(|_| html(200, "Please try again")).await;
    let failure = server
        .client()
        .read(NodeId(5), VersionNumber(1), 0)
        .await
        .err()
        .unwrap();
    assert_eq!(failure.class, FailureClass::RetryNow);
    let server =
        Server::start(|_| error(500, "Could not locate node: 5, The version is not found")).await;
    let failure = server
        .client()
        .read(NodeId(5), VersionNumber(9), 0)
        .await
        .err()
        .unwrap();
    assert_eq!(failure.reason, Reason::Inaccessible);
}

#[tokio::test]
async fn an_expired_session_is_renewed_before_a_download() {
    let server = Server::start(|seen| match seen.ticket() {
        "ticket-1" => error(401, "Authentication Required"),
        _ => download(200, CONTENT),
    })
    .await;
    let content = server
        .client()
        .read(NodeId(5), VersionNumber(1), 0)
        .await
        .unwrap();
    assert_eq!(collect(content).await.unwrap(), CONTENT);
}
