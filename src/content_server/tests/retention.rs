//! Due dates, disposition reviews and cross-references against a scripted server.

use std::collections::BTreeSet;

use super::*;
use crate::types::{NodeId, Reason};

#[tokio::test]
async fn of_each_node_the_newest_snapshot_counts_and_pages_end() {
    let server = Server::start(|seen| match seen.path.as_str() {
        "v2/snapshottable/9" => ok(json!({"results": {"data": [
            {"qdate": "20260101"}, {"qdate": "20260301"}, {"qdate": "20260201"}]}})),
        "v2/nodes/9/disposition-snapshots/qdate/20260301" => ok(json!({"results": [
            {"id": 5, "disp_action": "32", "review_decision": "approve"}]})),
        "v2/nodes/9/disposition-snapshots/qdate/20260201" => ok(json!({"results": [
            {"id": 5, "disp_action": "0", "review_decision": "approve"},
            {"id": "6", "disp_action": 10, "review_decision": "pending"}]})),
        _ => ok(json!({"results": []})),
    })
    .await;
    let asked = BTreeSet::from([NodeId(5), NodeId(6), NodeId(7)]);
    let client = server.client();
    let found = client.dispositions(NodeId(9), &asked).await.unwrap();
    assert_eq!(found[&NodeId(5)].action.as_deref(), Some("32"));
    assert_eq!(found[&NodeId(6)].approved(), None);
    assert!(!found.contains_key(&NodeId(7)));
    let before = server.seen().len();
    let none = client.dispositions(NodeId(9), &BTreeSet::new()).await;
    assert!(none.unwrap().is_empty());
    assert_eq!(server.seen().len(), before, "nobody is asked about nothing");
}

#[tokio::test]
async fn rubbish_is_an_error_and_never_none() {
    for answer in [json!({}), json!({"data": 7}), json!({"data": [7]})] {
        let server = Server::start(move |_| ok(answer.clone())).await;
        let client = server.client();
        assert!(client.retention(NodeId(5), "M1").await.is_err());
    }
    let none = "The REST API URL could not be found in the mappings registry";
    let server = Server::start(move |_| error(400, none)).await;
    let failure = server
        .client()
        .retention(NodeId(5), "M1")
        .await
        .unwrap_err();
    assert_eq!(failure.reason, Reason::Unsupported);
    let odd = server.client().retention(NodeId(5), "a/../b").await;
    assert!(
        odd.unwrap_err()
            .message
            .contains("cannot stand in an address")
    );
}
