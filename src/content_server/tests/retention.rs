//! Due dates, disposition reviews and cross-references against a scripted server.

use std::collections::BTreeSet;

use super::*;
use crate::transfer::{Destination as _, Kept};
use crate::types::{FailureClass, NodeId, Reason};

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

/// A record of class 77 with this schedule.
fn record(schedule: Value) -> Value {
    json!({"data": [{"rmclassification_id": 77, "rsi": schedule, "official": false}],
        "rm_metadataToken": "t"})
}

#[tokio::test]
async fn a_record_is_kept_under_its_schedule_until_the_stage_that_is_due_first() {
    let server = Server::start(|seen| match seen.path.as_str() {
        "v1/nodes/5/rmclassifications" => ok(record(json!("M 1"))),
        "v1/nodes/6/rmclassifications" => ok(record(json!(null))),
        "v1/nodes/7/rmclassifications" => ok(json!({"data": []})),
        "v1/nodes/5/rsi/M%201/GetRSIDetails" => ok(json!({"data": [
            {"Stage": "Final", "CalculatedDate": "2040-01-01T00:00:00", "ActionToPerform": 32},
            {"Stage": "Event", "CalculatedDate": "when it is over", "ActionToPerform": 1},
            {"Stage": "Close", "CalculatedDate": "2031-01-01", "ActionToPerform": 7},
            {"Stage": "Keep", "CalculatedDate": null, "Permanent": true}]})),
        "v1/nodes/77/rsis" => ok(json!({"data": [
            {"class_id": 77, "rsi": "M 1"}, {"class_id": 77, "rsi": "A"},
            {"class_id": 78, "rsi": "A"}, {"class_id": 78, "rsi": null}]})),
        path => panic!("{path}"),
    })
    .await;
    let client = server.client();
    let kept = client.kept_under(NodeId(5)).await.unwrap();
    let expected = Kept {
        class: Some(NodeId(77)),
        schedule: Some("M 1".to_owned()),
        due: Some("2031-01-01".to_owned()),
        unsaid: false,
    };
    assert_eq!(kept.as_ref(), Some(&expected));
    let kept = client
        .kept_under(NodeId(6))
        .await
        .unwrap()
        .expect("a record");
    assert_eq!((kept.schedule, kept.unsaid), (None, false));
    assert_eq!(client.kept_under(NodeId(7)).await.unwrap(), None);
    let schedules = client.schedules_of(NodeId(77)).await.unwrap();
    assert_eq!(schedules, Some(vec!["A".to_owned(), "M 1".to_owned()]));

    let before = server.seen().len();
    let plain = client
        .kept(NodeId(5), &json!({"base": 1, "marks": {}}))
        .await;
    assert_eq!(plain.unwrap(), None);
    assert_eq!(
        server.seen().len(),
        before,
        "nobody is asked about no record"
    );
    let own = json!({"base": 1, "marks": {"records_class": 77}});
    assert_eq!(client.kept(NodeId(5), &own).await.unwrap(), Some(expected));
}

#[tokio::test]
async fn only_a_disturbance_is_a_failure_of_reading_what_a_record_is_kept_under() {
    let refusals: [fn() -> Reply; 4] = [
        || {
            error(
                400,
                "The REST API URL could not be found in the mappings registry",
            )
        },
        || error(400, "Accessibility error. Not enough permissions."),
        || error(500, "Something that nobody has described"),
        || ok(json!({"rows": []})),
    ];
    for refuse in refusals {
        // The whole of records management, or the dates alone.
        let server = Server::start(move |_| refuse()).await;
        let client = server.client();
        assert_eq!(client.kept_under(NodeId(5)).await.unwrap(), None);
        assert_eq!(client.schedules_of(NodeId(5)).await.unwrap(), None);
        let server = Server::start(move |seen| {
            if seen.path.ends_with("/rmclassifications") {
                ok(record(json!("M1")))
            } else {
                refuse()
            }
        })
        .await;
        let kept = server.client().kept_under(NodeId(5)).await.unwrap();
        let kept = kept.expect("a record");
        assert_eq!((kept.schedule.as_deref(), kept.unsaid), (Some("M1"), true));
    }
    let server = Server::start(|_| html(503, "restarting")).await;
    let failure = server.client().kept_under(NodeId(5)).await.unwrap_err();
    assert_eq!(failure.class, FailureClass::RetryNow, "{failure}");
}
