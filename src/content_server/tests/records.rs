//! Records, classifications, holds, clearance and external facts.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use super::super::{ExternalFacts, RecordFields};
use super::*;
use crate::types::{FailureClass, NodeId, Reason};

const RM: &str = "v1/nodes/5/rmclassifications";

fn record(class: Option<i64>, token: &str, official: bool, status: &str) -> Value {
    let rows: Vec<Value> = class
        .map(|class| {
            json!({"rmclassification_id": class, "inherited_rmclassification_id": null, "file_number": "008-7-1",
                "rsi": null, "record_date": "2026-04-16T00:00:00", "file_status": status, "official": official,
                "cycle_period": null})
        })
        .into_iter()
        .collect();
    json!({"canFinalize": true, "canRMClassify": true, "data": rows, "rm_metadataToken": token})
}

/// A server with one node, whose record is kept: class, official, status, and a counter in the
/// token.
#[derive(Default)]
struct Kept {
    class: Option<i64>,
    official: bool,
    status: String,
    writes: u32,
}

fn keep(kept: &Mutex<Kept>, seen: &Seen) -> Reply {
    let mut kept = kept.lock().unwrap();
    if seen.method == Method::GET {
        let token = format!("token-{}", kept.writes);
        return ok(record(kept.class, &token, kept.official, &kept.status));
    }
    let parameters = seen.parameters();
    if let Some(token) = parameters["rm_metadataToken"].as_str()
        && token != format!("token-{}", kept.writes)
    {
        return error(409, "Could not update metadata (edit conflict).");
    }
    kept.writes += 1;
    if let Some(class) = parameters["class_id"].as_i64() {
        kept.class = Some(class);
    }
    if let Some(official) = parameters["official"].as_bool() {
        kept.official = official;
    }
    if let Some(status) = parameters["file_status"].as_str() {
        status.clone_into(&mut kept.status);
    }
    ok(json!({}))
}

fn active() -> RecordFields {
    RecordFields {
        status: Some("ACTIVE".to_owned()),
        record_date: Some("2026-04-16".to_owned()),
        ..RecordFields::default()
    }
}

#[tokio::test]
async fn a_node_becomes_a_record_and_what_the_first_call_did_not_take_is_set() {
    let kept = Arc::new(Mutex::new(Kept::default()));
    let server = Server::start(move |seen| keep(&kept, seen)).await;
    let client = server.client();
    let state = client
        .declare_record(NodeId(5), NodeId(41320), &active())
        .await
        .unwrap();
    let found = state.record.unwrap();
    assert_eq!(found.class, Some(NodeId(41320)));
    assert_eq!(found.fields.status.as_deref(), Some("ACTIVE"));
    assert_eq!(found.file_number.as_deref(), Some("008-7-1"));
    let writes: Vec<_> = server
        .seen()
        .iter()
        .filter(|seen| seen.method != Method::GET)
        .map(|seen| (seen.line(), seen.parameters()))
        .collect();
    assert_eq!(
        writes,
        [
            (
                format!("POST {RM}"),
                json!({"class_id": 41320, "apply_to_sub_items": false, "status": "ACTIVE",
                    "record_date": "2026-04-16", "rm_metadataToken": "token-0"})
            ),
            (
                format!("PUT {RM}"),
                json!({"file_status": "ACTIVE", "rm_metadataToken": "token-1"})
            ),
        ]
    );
    let before = server.seen().len();
    client
        .declare_record(NodeId(5), NodeId(41320), &active())
        .await
        .unwrap();
    assert!(
        server.seen()[before..]
            .iter()
            .all(|seen| seen.method == Method::GET)
    );
}

#[tokio::test]
async fn a_record_of_another_class_stays_where_it_is() {
    let server = Server::start(|_| ok(record(Some(7), "t", false, "ACTIVE"))).await;
    let failure = server
        .client()
        .declare_record(NodeId(5), NodeId(8), &RecordFields::default())
        .await
        .unwrap_err();
    assert_eq!(failure.reason, Reason::Held);
    assert!(failure.message.contains("class 7"), "{failure}");
    assert_eq!(server.only().line(), format!("GET {RM}"));
}

#[tokio::test]
async fn somebody_elses_change_in_between_is_looked_at_once() {
    let kept = Arc::new(Mutex::new(Kept {
        class: Some(7),
        status: "ACTIVE".to_owned(),
        ..Kept::default()
    }));
    let other = Arc::clone(&kept);
    let first = AtomicU32::new(0);
    let server = Server::start(move |seen| {
        if seen.method == Method::PUT && first.fetch_add(1, Ordering::SeqCst) == 0 {
            other.lock().unwrap().writes += 1;
        }
        keep(&other, seen)
    })
    .await;
    let state = server
        .client()
        .edit_record(NodeId(5), &RecordFields::default(), Some(true))
        .await
        .unwrap();
    assert!(state.record.unwrap().official);
    let tokens: Vec<_> = server
        .seen()
        .iter()
        .filter(|seen| seen.method == Method::PUT)
        .map(|seen| seen.parameters())
        .collect();
    assert_eq!(
        tokens,
        [
            json!({"official": true, "rm_metadataToken": "token-0"}),
            json!({"official": true, "rm_metadataToken": "token-1"}),
        ]
    );
    assert_eq!(kept.lock().unwrap().writes, 2);
}

#[tokio::test]
async fn a_second_conflict_is_left_to_the_next_attempt() {
    let number = AtomicU32::new(0);
    let server = Server::start(move |seen| match seen.method {
        Method::GET => {
            let token = format!("t{}", number.fetch_add(1, Ordering::SeqCst));
            ok(record(Some(7), &token, false, "ACTIVE"))
        }
        _ => error(409, "Could not update metadata (edit conflict)."),
    })
    .await;
    let failure = server
        .client()
        .edit_record(NodeId(5), &RecordFields::default(), Some(true))
        .await
        .unwrap_err();
    assert_eq!(failure.class, FailureClass::RetryNow);
    let writes = server.seen();
    let writes = writes.iter().filter(|seen| seen.method == Method::PUT);
    assert_eq!(writes.count(), 2);
}

#[tokio::test]
async fn a_write_whose_answer_says_nothing_counts_by_what_is_read_back() {
    let kept = Arc::new(Mutex::new(Kept::default()));
    let server = Server::start(move |seen| match (keep(&kept, seen), &seen.method) {
        (reply, &Method::GET) => reply,
        _ => Reply::Answer(200, vec![], Bytes::new()),
    })
    .await;
    let state = server
        .client()
        .declare_record(NodeId(5), NodeId(9), &RecordFields::default())
        .await
        .unwrap();
    assert_eq!(state.record.unwrap().class, Some(NodeId(9)));
}

#[tokio::test]
async fn a_field_that_the_server_does_not_keep_is_named() {
    let server = Server::start(|seen| match seen.method {
        Method::GET => ok(record(Some(7), "t", false, "ACTIVE")),
        _ => ok(json!({})),
    })
    .await;
    let fields = RecordFields {
        subject: Some("Campaign".to_owned()),
        ..RecordFields::default()
    };
    let failure = server
        .client()
        .edit_record(NodeId(5), &fields, None)
        .await
        .unwrap_err();
    assert_eq!(failure.class, FailureClass::ItemIsWrong);
    assert!(failure.message.ends_with("subject"), "{failure}");
}

#[tokio::test]
async fn a_node_without_a_record_is_told_from_a_server_without_records() {
    let server = Server::start(|_| ok(record(None, "t", false, ""))).await;
    let client = server.client();
    assert!(
        client
            .record_state(NodeId(5))
            .await
            .unwrap()
            .record
            .is_none()
    );
    let failure = client.finalise_record(NodeId(5)).await.unwrap_err();
    assert_eq!(failure.reason, Reason::NotFound);
    let none = "The REST API URL could not be found in the mappings registry";
    let server = Server::start(move |_| error(400, none)).await;
    let failure = server.client().record_state(NodeId(5)).await.unwrap_err();
    assert_eq!(failure.reason, Reason::Unsupported);
    assert!(failure.message.contains("no records management"));
}

#[tokio::test]
async fn rubbish_in_place_of_a_record_is_an_error() {
    for answer in [
        json!({}),
        json!({"data": 7}),
        json!({"data": ["x"]}),
        json!([]),
    ] {
        let server = Server::start(move |_| ok(answer.clone())).await;
        let failure = server.client().record_state(NodeId(5)).await.unwrap_err();
        assert_eq!(failure.class, FailureClass::RetryNow, "{failure}");
    }
}

#[tokio::test]
async fn a_record_is_finalised_by_either_way_in_and_watched_until_it_is() {
    let reads = Arc::new(AtomicUsize::new(0));
    let seen_by = Arc::clone(&reads);
    let server = Server::start(move |seen| match seen.line().as_str() {
        "PUT v1/rmclassifications/finalizerecords" => error(
            400,
            "The REST API URL could not be found in the mappings registry",
        ),
        "POST v1/rmqueues" => ok(json!({"errMsg": "", "task_status": "queued"})),
        _ => {
            let mut record = record(Some(7), "t", true, "ACTIVE");
            // Before, right after, and once the queue has worked.
            record["canFinalize"] = json!(seen_by.fetch_add(1, Ordering::Relaxed) < 2);
            ok(record)
        }
    })
    .await;
    server.client().finalise_record(NodeId(5)).await.unwrap();
    assert_eq!(reads.load(Ordering::Relaxed), 3);
    let seen = server.seen();
    assert_eq!(seen[1].fields(), [("ids".to_owned(), "5".to_owned())]);
    assert_eq!(seen[2].query["task_name"], "rm_FinalizeRecord");
    assert_eq!(seen[2].query["id"], "5");
    // Final already.
    let server = Server::start(|seen| match seen.method {
        Method::PUT => error(
            400,
            "This item is a finalized record and cannot be changed.",
        ),
        _ => ok(record(Some(7), "t", true, "ACTIVE")),
    })
    .await;
    server.client().finalise_record(NodeId(5)).await.unwrap();
}

#[tokio::test]
async fn a_record_that_is_not_final_is_not_said_to_be() {
    let of = |can: bool| {
        let mut record = record(Some(7), "t", true, "ACTIVE");
        record["canFinalize"] = can.into();
        record
    };
    // Taken, and nothing came of it.
    let server = Server::start(move |seen| match seen.method {
        Method::PUT => ok(json!({})),
        _ => ok(of(true)),
    })
    .await;
    let failure = server
        .client()
        .finalise_record(NodeId(5))
        .await
        .unwrap_err();
    // Waited for, and not without end.
    assert_eq!(failure.class, FailureClass::RetryNow);
    assert_eq!(failure.retry_after, Some(Duration::from_secs(300)));
    assert!(failure.message.contains("not final yet"), "{failure}");
    // It cannot be finalised because we may not.
    let server = Server::start(move |seen| match seen.method {
        Method::PUT => error(403, "Insufficient permissions to perform this action"),
        _ => ok(of(false)),
    })
    .await;
    assert!(server.client().finalise_record(NodeId(5)).await.is_err());
}

#[tokio::test]
async fn classifications_are_added_to_those_that_are_there() {
    let there = Arc::new(Mutex::new(vec![5]));
    let server = Server::start(move |seen| {
        let mut there = there.lock().unwrap();
        if seen.method == Method::POST {
            *there = serde_json::from_value(seen.parameters()["class_id"].clone()).unwrap();
            return ok(json!({}));
        }
        let rows: Vec<_> = there
            .iter()
            .map(|id| json!({"id": id, "name": "x"}))
            .collect();
        ok(json!({"bCanApplyClass": true, "data": rows}))
    })
    .await;
    let client = server.client();
    for _ in 0..2 {
        client
            .add_classifications(NodeId(9), &[NodeId(5), NodeId(6)])
            .await
            .unwrap();
    }
    let all = client.classifications(NodeId(9)).await.unwrap();
    assert_eq!(
        all.iter().map(|class| class.id.0).collect::<Vec<_>>(),
        [5, 6]
    );
    let seen = server.seen();
    let writes = seen.iter().filter(|seen| seen.method == Method::POST);
    assert_eq!(writes.count(), 1);
}

#[tokio::test]
async fn holds_are_gathered_from_the_node_upwards() {
    let server = Server::start(|seen| match seen.path.as_str() {
        "v1/nodes/9/ancestors" => {
            ok(json!({"ancestors": [{"id": 2000}, {"id": 7}, {"id": 8}, {"id": 9}]}))
        }
        "v1/nodes/9/holds" => ok(json!({"data": [
            {"hold_id": 1, "hold_name": "Audit", "active": 1}]})),
        "v1/nodes/8/holds" => ok(json!({"data": [
            {"hold_id": "1", "hold_name": "Audit", "active": true},
            {"hold_id": 2, "hold_name": "Old", "active": 0, "hold_comment": ""}]})),
        "v1/nodes/7/holds" => error(
            400,
            "Sorry, the item you requested could not be accessed. Contact somebody.",
        ),
        _ => ok(json!({"data": []})),
    })
    .await;
    let over = server.client().holds_over(NodeId(9)).await.unwrap();
    let said: Vec<_> = over
        .holds
        .iter()
        .map(|(node, hold)| (node.0, hold.id, hold.protects()))
        .collect();
    assert_eq!(said, [(9, 1, true), (8, 2, false)]);
    assert_eq!(over.unseen, [NodeId(7)]);
}

#[tokio::test]
async fn the_holds_of_a_node_that_is_not_for_us_are_an_error() {
    let server = Server::start(|_| error(400, "Could not get node for 9")).await;
    let failure = server.client().holds_over(NodeId(9)).await.unwrap_err();
    assert_eq!(failure.reason, Reason::Inaccessible);
    let server = Server::start(|_| ok(json!({"data": [{"hold_name": "x"}]}))).await;
    assert!(server.client().holds_on(NodeId(9)).await.is_err());
}

#[tokio::test]
async fn an_answer_without_holds_is_neither_none_nor_a_disturbance() {
    let server = Server::start(|_| ok(json!({"definitions": {}}))).await;
    let failure = server.client().holds_on(NodeId(9)).await.unwrap_err();
    assert_eq!(failure.class, FailureClass::ItemIsWrong);
    assert!(failure.to_string().contains("`data`"), "{failure}");
}

#[tokio::test]
async fn clearance_is_only_written_when_it_differs() {
    let level = Arc::new(Mutex::new((0_i64, Vec::<String>::new())));
    let server = Server::start(move |seen| {
        let mut own = level.lock().unwrap();
        if seen.method == Method::PUT {
            let parameters = seen.parameters();
            own.0 = parameters["clearance_level"].as_i64().unwrap();
            own.1 = serde_json::from_value(parameters["supplemental_markings"].clone()).unwrap();
        }
        let marks: Vec<_> = own
            .1
            .iter()
            .map(|mark| json!({"supplemental_marking": mark, "desc": ""}))
            .collect();
        ok(
            json!({"data": {"clearance_level": own.0, "supplemental_markings": marks,
            "can_user_edit_security": true}}),
        )
    })
    .await;
    let client = server.client();
    let markings = BTreeSet::from(["EMB".to_owned()]);
    assert_eq!(client.security(NodeId(9)).await.unwrap().level, None);
    for _ in 0..2 {
        client
            .set_security(NodeId(9), Some(20), &markings)
            .await
            .unwrap();
    }
    let security = client.security(NodeId(9)).await.unwrap();
    assert_eq!((security.level, security.markings), (Some(20), markings));
    let seen = server.seen();
    let writes = seen.iter().filter(|seen| seen.method == Method::PUT);
    assert_eq!(writes.count(), 1);
}

#[tokio::test]
async fn a_marking_that_the_server_drops_is_an_error() {
    let server = Server::start(|_| {
        ok(json!({"data": {"clearance_level": null, "supplemental_markings": []}}))
    })
    .await;
    let markings = BTreeSet::from(["EMB".to_owned()]);
    let failure = server
        .client()
        .set_security(NodeId(9), None, &markings)
        .await
        .unwrap_err();
    assert_eq!(failure.class, FailureClass::ItemIsWrong);
}

#[tokio::test]
async fn external_facts_that_the_server_leaves_out_show_in_what_comes_back() {
    let dates = Arc::new(Mutex::new(None::<String>));
    let server = Server::start(move |seen| {
        let mut date = dates.lock().unwrap();
        if seen.method == Method::PUT {
            *date = seen.parameters()["external_modify_date"]
                .as_str()
                .map(|day| format!("{day}T00:00:00"));
            return ok(json!({"links": {}, "results": {}}));
        }
        let mut node = document(9, 2, "a.mov", 1);
        node["external_modify_date"] = json!(*date);
        node["external_source"] = json!("");
        ok(single(node))
    })
    .await;
    let client = server.client();
    let mut wanted = ExternalFacts {
        modified: Some("2026-01-02".to_owned()),
        ..ExternalFacts::default()
    };
    let there = client.set_external_facts(NodeId(9), &wanted).await.unwrap();
    assert!(wanted.fulfilled_by(&there));
    wanted.source = Some("cloud_storage".to_owned());
    let there = client.set_external_facts(NodeId(9), &wanted).await.unwrap();
    assert!(!wanted.fulfilled_by(&there));
    assert_eq!(there.source, None);
}
