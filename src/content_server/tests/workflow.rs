//! Processes from draft to end; people; searches.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use ::futures::TryStreamExt as _;

use super::super::{MemberKind, NewProcess, ProcessStatus};
use super::*;
use crate::types::{FailureClass, NodeId, Reason};

fn new() -> NewProcess {
    NewProcess {
        map: NodeId(6686),
        documents: vec![NodeId(384), NodeId(9684)],
        marker: "lh-1".to_owned(),
        title: "Approval of a.mov".to_owned(),
        values: BTreeMap::from([("WorkflowForm_10".to_owned(), json!("v"))]),
        comment: "please".to_owned(),
    }
}

fn rows(processes: &[(i64, &str)]) -> Reply {
    let rows: Vec<_> = processes
        .iter()
        .map(|(id, name)| json!({"data": {"wfstatus": {"process_id": id, "subprocess_id": id, "wf_name": name}}}))
        .collect();
    ok(json!({ "results": rows }))
}

/// A server that starts processes; `lose` loses the reply of the start, `hide` never lists it.
fn starting(lose: bool, hide: bool) -> impl Fn(&Seen) -> Reply + Send + Sync + 'static {
    let started = AtomicBool::new(false);
    move |seen| match seen.line().as_str() {
        "GET v2/workflows/status" => {
            let runs = seen.query["wstatus"] == "ontime" && started.load(Ordering::SeqCst);
            match runs && !hide {
                true => rows(&[(7, "other [lh-11]"), (159, "Approval of a.mov [lh-1]")]),
                false => rows(&[]),
            }
        }
        "POST v2/draftprocesses" => {
            ok(json!({"results": {"draftprocess_id": 12, "workflow_type": "1_1"}}))
        }
        "PUT v2/draftprocesses/12" if seen.parameters()["action"] == "Initiate" => {
            started.store(true, Ordering::SeqCst);
            match lose {
                true => Reply::Hangup,
                false => {
                    ok(json!({"results": {"custom_message": "", "process_id": 159, "WorkID": 159}}))
                }
            }
        }
        "PUT v2/draftprocesses/12" => ok(json!({"results": {}})),
        line => panic!("{line}"),
    }
}

fn writes(server: &Server) -> Vec<Value> {
    let seen = server.seen();
    let writes = seen.iter().filter(|seen| seen.method != Method::GET);
    writes.map(Seen::parameters).collect()
}

#[tokio::test]
async fn a_process_is_drafted_filled_started_and_found_again() {
    let server = Server::start(starting(false, false)).await;
    let client = server.client();
    assert_eq!(client.ensure_process(&new()).await.unwrap(), (159, true));
    assert_eq!(client.ensure_process(&new()).await.unwrap(), (159, false));
    assert_eq!(
        writes(&server),
        [
            json!({"workflow_id": 6686, "doc_ids": "384,9684", "AttachDocuments": "true"}),
            json!({"action": "formUpdate", "values": {"WorkflowForm_10": "v",
                "WorkflowForm_Title": "Approval of a.mov [lh-1]"}}),
            json!({"action": "Initiate", "comment": "please"}),
        ]
    );
}

#[tokio::test]
async fn a_start_whose_reply_was_lost_is_found_by_its_marker_and_not_done_twice() {
    let server = Server::start(starting(true, false)).await;
    let client = server.client();
    assert_eq!(client.ensure_process(&new()).await.unwrap(), (159, true));
    assert_eq!(client.ensure_process(&new()).await.unwrap(), (159, false));
    let starts = writes(&server);
    let starts = starts.iter().filter(|body| body["action"] == "Initiate");
    assert_eq!(starts.count(), 1);
}

#[tokio::test]
async fn a_start_that_does_not_show_yet_is_left_open() {
    let server = Server::start(starting(true, true)).await;
    let failure = server.client().ensure_process(&new()).await.unwrap_err();
    assert_eq!(
        (failure.class, failure.reason),
        (FailureClass::RetryNow, Reason::Ambiguous)
    );
    let mut none = new();
    none.marker.clear();
    let failure = server.client().ensure_process(&none).await.unwrap_err();
    assert_eq!(failure.reason, Reason::Defect);
}

#[tokio::test]
async fn a_map_that_cannot_be_loaded_is_the_item_s_fault() {
    let server = Server::start(|seen| match seen.method {
        Method::GET => rows(&[]),
        _ => error(400, "Could not Loadmap 6686"),
    })
    .await;
    let failure = server.client().ensure_process(&new()).await.unwrap_err();
    assert_eq!(failure.class, FailureClass::ItemIsWrong);
    let server = Server::start(|seen| match seen.method {
        Method::GET => rows(&[]),
        _ => ok(json!({"results": {}})),
    })
    .await;
    let failure = server.client().ensure_process(&new()).await.unwrap_err();
    assert!(failure.message.contains("draftprocess_id"), "{failure}");
}

#[tokio::test]
async fn a_process_shows_its_steps_and_who_has_them() {
    let server = Server::start(|_| {
        ok(json!({"results": {
            "attachments": {"attachment_folder_id": 159_311},
            "step_list": {"completed": [], "next": [], "current": [{"process_id": 1, "subprocess_id": 1,
                "task_id": 10, "task_name": "Review", "task_due_date": "", "task_status": "ontime",
                "task_assignees": {"assignee": [{"userId": 1000, "loginName": "Admin"}], "assigneeCount": 1}}]},
            "wf_details": {"date_initiated": "2026-10-03T15:21:23", "due_date": "", "status": "workflowlate",
                "wf_name": "Approval [lh-1]"}}}))
    })
    .await;
    let process = server.client().process(159).await.unwrap().unwrap();
    assert_eq!(process.status, ProcessStatus::Late);
    assert!(!process.status.is_over() && process.completed.is_empty());
    assert_eq!(process.attachments, Some(NodeId(159_311)));
    let step = &process.current[0];
    assert_eq!((step.name.as_str(), step.task_id), ("Review", Some(10)));
    assert_eq!(step.assignees, ["Admin"]);
    assert_eq!((step.due.as_deref(), process.due), (None, None));
}

#[tokio::test]
async fn an_archived_process_is_none_and_an_answer_without_a_status_an_error() {
    let server = Server::start(|_| error(400, "Could not access task status")).await;
    assert_eq!(server.client().process(159).await.unwrap(), None);
    for odd in [
        json!({"results": {}}),
        json!({"results": {"wf_details": {"status": null}}}),
        json!({"results": {"wf_details": {"status": "completed"}, "step_list": {"current": 7}}}),
    ] {
        let server = Server::start(move |_| ok(odd.clone())).await;
        assert!(server.client().process(159).await.is_err());
    }
}

#[tokio::test]
async fn what_was_said_is_read_with_and_without_a_wrapper() {
    let info = json!({"Attributes": {"x": 1}, "comments": [{"USERNAME": "ann", "STEPNAME": "Review",
        "DATESAVED": "2026-10-03T15:21:23", "COMMENTS": "no"}],
        "auditInfo": [{"USER_NAME": "ann", "AUDIT_MSG": "Rejected"}]});
    for answer in [info.clone(), json!({ "results": info })] {
        let server = Server::start(move |_| ok(answer.clone())).await;
        let info = server.client().process_info(159).await.unwrap();
        assert_eq!(info.comments[0].text, "no");
        assert_eq!(info.audit[0].what, "Rejected");
        assert_eq!(info.attributes, json!({"x": 1}));
        assert_eq!(server.only().query["workid"], "159");
    }
    let server = Server::start(|_| ok(json!({"results": {"ok": true}}))).await;
    assert!(server.client().process_info(159).await.is_err());
}

#[tokio::test]
async fn maps_forms_and_activities_are_read() {
    let server = Server::start(|seen| match seen.path.as_str() {
        "v2/docworkflows" => ok(json!({"results": {"data": [{"DataID": "6686", "Name": "Approval"}]}})),
        "v1/forms/draftprocesses/update" => ok(json!({"data": {}, "forms": [{
            "data": {"WorkflowForm_10": ""}, "options": {"fields": {"WorkflowForm_10": {"label": "Reason"}}},
            "schema": {"properties": {"WorkflowForm_10": {"type": "string"}}}}]})),
        _ => ok(json!({"results": {"data": [
            {"action": "Reject", "comment": "no", "date": "2026-10-03T15:21:23", "user_id": 1000}]}})),
    })
    .await;
    let client = server.client();
    let maps = client.workflow_maps(NodeId(5), NodeId(2)).await.unwrap();
    assert_eq!((maps[0].id, maps[0].name.as_str()), (6686, "Approval"));
    let form = client.draft_form(12).await.unwrap();
    assert_eq!(form.fields["WorkflowForm_10"], "Reason");
    let activities = client.process_activities(159, 159).await.unwrap();
    assert_eq!(activities[0].action.as_deref(), Some("Reject"));
}

#[tokio::test]
async fn a_member_is_found_by_its_whole_name_on_any_page() {
    let server = Server::start(|seen| {
        let page: u32 = seen.query["page"].parse().unwrap();
        let row = |id: i64, name: &str, deleted: bool| {
            json!({"data": {"properties": {"id": id, "name": name,
            "type": 1, "deleted": deleted, "business_email": null}}})
        };
        let rows = match page {
            1 => vec![row(1, "Legal Berlin", false), row(2, "legal", true)],
            _ => vec![row(3, "Legal", false)],
        };
        ok(json!({"collection": {"paging": {"page": page, "page_total": 2}}, "results": rows}))
    })
    .await;
    let client = server.client();
    let found = client
        .find_member(MemberKind::Group, "legal")
        .await
        .unwrap()
        .unwrap();
    assert_eq!((found.id, found.email), (3, None));
    assert_eq!(
        client.find_member(MemberKind::Group, "leg").await.unwrap(),
        None
    );
    assert_eq!(client.groups_of(9).await.unwrap().len(), 3);
    let seen = server.seen();
    assert_eq!(seen[0].query["where_type"], "1");
    assert_eq!(seen[0].query["limit"], "20");
}

#[tokio::test]
async fn a_search_streams_each_node_once_over_its_pages() {
    let server = Server::start(|seen| {
        let fields: HashMap<_, _> = seen.fields().into_iter().collect();
        let page: i64 = fields["page"].parse().unwrap();
        assert_eq!(fields["where"], "OTName:\"a\"");
        assert_eq!(fields["location_id1"], "20");
        let row = |id: i64| {
            json!({"data": {"properties": {"id": id, "name": "a", "type": 144, "parent_id": 20}},
            "search_result_metadata": {}})
        };
        let rows = [row(1), row(page + 1)];
        ok(json!({"collection": {"paging": {"page": page, "page_total": 3}}, "results": rows}))
    })
    .await;
    let hits = server.client().search("OTName:\"a\"", Some(NodeId(20)));
    let hits: Vec<_> = hits.try_collect().await.unwrap();
    let ids: Vec<_> = hits.iter().map(|hit| hit.node().0).collect();
    assert_eq!(ids, [1, 2, 3, 4]);
    assert_eq!(hits[0].parent(), Some(NodeId(20)));
}

#[tokio::test]
async fn a_search_that_never_shows_anything_new_ends_in_an_error() {
    let server = Server::start(|seen| {
        let fields: HashMap<_, _> = seen.fields().into_iter().collect();
        let page: i64 = fields["page"].parse().unwrap();
        let row = json!({"data": {"properties": {"id": 1, "name": "a"}}});
        ok(json!({"collection": {"paging": {"page": page, "page_total": 9999}}, "results": [row]}))
    })
    .await;
    let hits = server.client().search("x", None);
    let read: Result<Vec<_>, _> = hits.try_collect().await;
    assert!(read.is_err());
    let server = Server::start(|_| error(400, "Error Evaluating Query: no")).await;
    let hits = server.client().search("x", None);
    let read: Result<Vec<_>, _> = hits.try_collect().await;
    assert_eq!(read.unwrap_err().class, FailureClass::ItemIsWrong);
}
