//! Folders by path, and business workspaces.

use std::sync::atomic::{AtomicBool, Ordering};

use super::super::{CategoryValues, NewWorkspace, ObjectReference, Relation};
use super::*;
use crate::types::{FailureClass, NodeId, Reason};

const GONE: &str = "Sorry, the item you requested could not be accessed";

fn folder(id: i64, parent: i64, name: &str) -> Value {
    json!({"id": id, "parent_id": parent, "name": name, "type": 0, "container": true})
}

fn row(id: i64, parent: i64, kind: i64, name: &str) -> Value {
    json!({"data": {"properties": {"id": id, "parent_id": parent, "name": name, "type": 848,
        "container": true, "wnf_wksp_type_id": kind, "wksp_type_name": "Customer"}}})
}

fn list(rows: &[Value]) -> Reply {
    ok(
        json!({"paging": {"page": 1, "limit": 500, "page_total": 1, "total_count": rows.len()},
        "results": rows, "wksp_info": {}}),
    )
}

fn wanted() -> NewWorkspace {
    NewWorkspace {
        kind: 16,
        template: 300,
        name: "Acme".to_owned(),
        parent: Some(NodeId(20)),
        description: String::new(),
        categories: CategoryValues::default(),
        reference: None,
    }
}

/// A server that keeps the children of every container by parent and name.
fn tree(nodes: &Mutex<Vec<Value>>, seen: &Seen, lose: &AtomicBool) -> Reply {
    let mut nodes = nodes.lock().unwrap();
    let find = |parent: i64, name: &str| {
        let mut all = nodes.iter();
        all.find(|node| node["parent_id"] == parent && node["name"] == name)
            .cloned()
    };
    match seen.line().as_str() {
        "POST v1/validation/nodes/names" => {
            let asked = seen.parameters();
            let parent = asked["parent_id"].as_i64().unwrap();
            let name = asked["names"][0].as_str().unwrap();
            let row = find(parent, name).map(|node| json!({"id": node["id"], "name": name}));
            ok(json!({"results": row.into_iter().collect::<Vec<_>>()}))
        }
        "POST v2/nodes" => {
            let asked = seen.parameters();
            let parent = asked["parent_id"].as_i64().unwrap();
            let name = asked["name"].as_str().unwrap();
            if find(parent, name).is_some() {
                return error(500, "An item with the name 'x' already exists.");
            }
            let node = folder(100 + i64::try_from(nodes.len()).unwrap(), parent, name);
            nodes.push(node.clone());
            match lose.swap(false, Ordering::SeqCst) {
                true => Reply::Hangup,
                false => ok(single(node)),
            }
        }
        _ => {
            let id: i64 = seen.path.rsplit('/').next().unwrap().parse().unwrap();
            match nodes.iter().find(|node| node["id"] == id) {
                Some(node) => ok(single(node.clone())),
                None => error(400, GONE),
            }
        }
    }
}

fn path(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

#[tokio::test]
async fn folders_are_found_or_made_and_a_lost_reply_makes_none_twice() {
    let nodes = Arc::new(Mutex::new(vec![folder(50, 20, "2026")]));
    let kept = Arc::clone(&nodes);
    let lose = AtomicBool::new(true);
    let server = Server::start(move |seen| tree(&kept, seen, &lose)).await;
    let client = server.client();
    let all = path(&["2026", "Spring", "Masters"]);
    assert_eq!(client.find_path(NodeId(20), &all).await.unwrap(), None);
    assert_eq!(nodes.lock().unwrap().len(), 1);
    let made = client.folder_at(NodeId(20), &all).await.unwrap();
    assert_eq!(nodes.lock().unwrap().len(), 3);
    assert_eq!(client.folder_at(NodeId(20), &all).await.unwrap(), made);
    assert_eq!(
        client.find_path(NodeId(20), &all).await.unwrap(),
        Some(made)
    );
    assert_eq!(nodes.lock().unwrap().len(), 3);
    assert_eq!(client.folder_at(NodeId(20), &[]).await.unwrap(), NodeId(20));
}

#[tokio::test]
async fn a_document_in_the_way_of_a_folder_is_named() {
    let nodes = Mutex::new(vec![document(50, 20, "2026", 1)]);
    let lose = AtomicBool::new(false);
    let server = Server::start(move |seen| tree(&nodes, seen, &lose)).await;
    let client = server.client();
    for failure in [
        client
            .folder_at(NodeId(20), &path(&["2026", "x"]))
            .await
            .unwrap_err(),
        client
            .find_path(NodeId(20), &path(&["2026", "x"]))
            .await
            .unwrap_err(),
    ] {
        assert_eq!(failure.reason, Reason::NameTaken);
        assert!(failure.message.contains("\"2026\" in node 20"), "{failure}");
    }
}

#[tokio::test]
async fn types_come_with_their_templates() {
    let server = Server::start(|_| {
        ok(json!({"results": [
            {"data": {"properties": {"wksp_type_id": "16", "wksp_type_name": "Customer", "rm_enabled": true,
                "templates": [{"id": 300, "name": "Customer template", "subType": 848}]}, "wksp_info": {}}},
            {"data": {"properties": {"wksp_type_id": 17, "wksp_type_name": "Case", "templates": null}}},
        ]}))
    })
    .await;
    let types = server.client().workspace_types().await.unwrap();
    assert_eq!(types.len(), 2);
    assert_eq!((types[0].id, types[0].records), (16, Some(true)));
    assert_eq!(types[0].templates[0].id, 300);
    assert!(types[1].templates.is_empty());
    assert_eq!(server.only().query["expand_templates"], "true");
}

#[tokio::test]
async fn similar_names_and_other_types_are_not_taken_for_the_one_asked_for() {
    let server = Server::start(|_| {
        list(&[
            row(1, 20, 16, "Acme"),
            row(2, 21, 16, "Acme Ltd"),
            row(3, 20, 17, "Acme"),
        ])
    })
    .await;
    let found = server.client().workspaces_named(16, "Acme").await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].id, NodeId(1));
    let seen = server.only();
    assert_eq!(seen.query["expanded_view"], "true");
    assert_eq!(seen.query["where_workspace_type_id"], "16");
}

#[tokio::test]
async fn every_way_of_saying_no_workspace_for_an_object_is_none() {
    let object = ObjectReference {
        system: "TE 1".to_owned(),
        kind: "KNA1".to_owned(),
        id: "00/50".to_owned(),
    };
    for nothing in [
        (
            404,
            json!({"error": "The business workspace could not be found."}),
        ),
        (200, json!({"results": []})),
        (200, json!({"results": {}})),
    ] {
        let server = Server::start(move |_| status(nothing.0, nothing.1.clone())).await;
        let found = server.client().workspace_of_object(&object).await.unwrap();
        assert_eq!(found, None);
        assert_eq!(
            server.only().path,
            "v2/externalsystems/TE%201/botypes/KNA1/boids/00%2F50"
        );
    }
    for (code, said) in [(500, "Something odd"), (404, "")] {
        let server = Server::start(move |_| match code {
            404 => html(404, "gateway"),
            code => error(code, said),
        })
        .await;
        assert!(server.client().workspace_of_object(&object).await.is_err());
    }
}

#[tokio::test]
async fn a_workspace_is_made_with_its_values_and_found_again() {
    let made = Arc::new(AtomicBool::new(false));
    let server = Server::start(move |seen| match seen.line().as_str() {
        "POST v1/validation/nodes/names" if made.load(Ordering::SeqCst) => {
            ok(json!({"results": [{"id": 77, "name": "Acme"}]}))
        }
        "POST v1/validation/nodes/names" => ok(json!({"results": []})),
        "POST v2/businessworkspaces" => {
            made.store(true, Ordering::SeqCst);
            ok(json!({"results": {"id": 77, "direct_open": true, "sub_folder_id": 0}}))
        }
        "GET v2/nodes/77" => ok(single(folder(77, 20, "Acme"))),
        _ => ok(json!({"results": [row(77, 20, 16, "Acme")]})),
    })
    .await;
    let client = server.client();
    let mut new = wanted();
    new.categories = CategoryValues::default()
        .apply(NodeId(9))
        .set("9_2", "x")
        .set("10_3_1_4", 7);
    assert_eq!(
        client.ensure_workspace(&new).await.unwrap(),
        (NodeId(77), true)
    );
    assert_eq!(
        client.ensure_workspace(&new).await.unwrap(),
        (NodeId(77), false)
    );
    let posts: Vec<_> = server
        .seen()
        .iter()
        .filter(|seen| seen.line() == "POST v2/businessworkspaces")
        .map(Seen::parameters)
        .collect();
    assert_eq!(
        posts,
        [
            json!({"template_id": 300, "wksp_type_id": 16, "type": 848, "name": "Acme", "description": "",
            "parent_id": 20, "roles": {"categories": {"9": {"9_1": {}, "9_2": "x"}, "10": {"10_3_1_4": 7}}}})
        ]
    );
}

#[tokio::test]
async fn a_lost_reply_is_looked_up_by_the_object_and_never_made_twice() {
    for shows in [true, false] {
        let made = Arc::new(AtomicBool::new(false));
        let server = Server::start(move |seen| match seen.line().as_str() {
            "POST v2/businessworkspaces" => {
                made.store(true, Ordering::SeqCst);
                Reply::Hangup
            }
            line if line.starts_with("GET v2/externalsystems") => {
                match made.load(Ordering::SeqCst) && shows {
                    true => ok(json!({"results": row(77, 20, 16, "Acme")})),
                    false => error(404, "The business workspace could not be found."),
                }
            }
            _ => ok(json!({"results": []})),
        })
        .await;
        let mut new = wanted();
        new.parent = None;
        new.reference = Some(ObjectReference {
            system: "TE1".to_owned(),
            kind: "KNA1".to_owned(),
            id: "50".to_owned(),
        });
        let outcome = server.client().ensure_workspace(&new).await;
        match shows {
            true => assert_eq!(outcome.unwrap(), (NodeId(77), true)),
            false => assert_eq!(outcome.unwrap_err().reason, Reason::Ambiguous),
        }
        let seen = server.seen();
        let posts = seen
            .iter()
            .filter(|seen| seen.line() == "POST v2/businessworkspaces");
        assert_eq!(posts.count(), 1);
    }
}

#[tokio::test]
async fn a_name_that_something_else_has_is_no_workspace() {
    for other in [None, Some(17)] {
        let server = Server::start(move |seen| match seen.line().as_str() {
            "POST v1/validation/nodes/names" => {
                ok(json!({"results": [{"id": 77, "name": "Acme"}]}))
            }
            "GET v2/nodes/77" => ok(single(folder(77, 20, "Acme"))),
            _ => match other {
                Some(kind) => ok(json!({"results": row(77, 20, kind, "Acme")})),
                None => error(400, GONE),
            },
        })
        .await;
        let failure = server
            .client()
            .ensure_workspace(&wanted())
            .await
            .unwrap_err();
        assert_eq!(failure.reason, Reason::NameTaken, "{failure}");
        assert!(
            server
                .seen()
                .iter()
                .all(|seen| seen.line() != "POST v2/businessworkspaces")
        );
    }
}

#[tokio::test]
async fn two_workspaces_of_one_name_are_not_chosen_between() {
    let server = Server::start(|_| list(&[row(1, 20, 16, "Acme"), row(2, 21, 16, "Acme")])).await;
    let mut new = wanted();
    new.parent = None;
    let failure = server.client().ensure_workspace(&new).await.unwrap_err();
    assert_eq!(
        (failure.class, failure.reason),
        (FailureClass::ItemIsWrong, Reason::NameTaken)
    );
}

#[tokio::test]
async fn a_node_in_no_workspace_is_told_from_one_that_is_not_for_us() {
    let server = Server::start(|seen| match seen.path.as_str() {
        "v1/nodes/5/businessworkspace" => {
            ok(json!({"id": 77, "isLinked": true, "type": 848, "workspace_type_id": 16}))
        }
        "v2/nodes/6" => ok(single(folder(6, 20, "x"))),
        _ => error(400, GONE),
    })
    .await;
    let client = server.client();
    let around = |id: i64| client.workspace_around(NodeId(id));
    assert_eq!(around(5).await.unwrap(), Some(NodeId(77)));
    assert_eq!(around(6).await.unwrap(), None);
    assert_eq!(around(7).await.unwrap_err().reason, Reason::Inaccessible);
}

#[tokio::test]
async fn members_join_a_role_once() {
    let joined = Arc::new(AtomicBool::new(false));
    let server = Server::start(move |seen| match seen.line().as_str() {
        "GET v2/businessworkspaces/77/roles" => ok(json!({"results": [
            {"data": {"properties": {"id": 80, "name": "Manager", "leader": true, "perms": 4}}}]})),
        "POST v2/businessworkspaces/77/roles/80/members" => {
            joined.store(true, Ordering::SeqCst);
            Reply::Hangup
        }
        _ if joined.load(Ordering::SeqCst) => ok(json!({"results": [
            {"data": {"properties": {"id": 1001, "name": "ann", "type": 0}}}]})),
        _ => ok(json!({"results": []})),
    })
    .await;
    let client = server.client();
    let roles = client.workspace_roles(NodeId(77)).await.unwrap();
    assert_eq!((roles[0].id, roles[0].leader), (80, Some(true)));
    for _ in 0..2 {
        client.add_participant(NodeId(77), 80, 1001).await.unwrap();
    }
    let all = client.participants(NodeId(77), None).await.unwrap();
    assert_eq!((all[0].id, all[0].name.as_str()), (1001, "ann"));
    let seen = server.seen();
    let posts = seen.iter().filter(|seen| seen.method == Method::POST);
    assert_eq!(posts.count(), 1);
}

#[tokio::test]
async fn workspaces_are_related_once() {
    let related = Arc::new(AtomicBool::new(false));
    let server = Server::start(move |seen| match seen.method {
        Method::POST => {
            related.store(true, Ordering::SeqCst);
            // Somebody else was quicker, as far as the server is concerned.
            error(400, "The relation already exists.")
        }
        _ if related.load(Ordering::SeqCst) => list(&[row(5, 20, 16, "Acme")]),
        _ => list(&[]),
    })
    .await;
    let client = server.client();
    for _ in 0..2 {
        client
            .relate_workspaces(NodeId(77), Relation::Child, NodeId(5))
            .await
            .unwrap();
    }
    let seen = server.seen();
    let posts: Vec<_> = seen
        .iter()
        .filter(|seen| seen.method == Method::POST)
        .collect();
    assert_eq!(posts.len(), 1);
    assert_eq!(
        posts[0].fields()[0],
        ("rel_bw_id".to_owned(), "5".to_owned())
    );
    assert_eq!(seen[0].query["where_relationtype"], "child");
}

#[tokio::test]
async fn pages_of_workspaces_that_repeat_themselves_end_in_an_error() {
    let server = Server::start(|seen| {
        let page: u32 = seen.query["page"].parse().unwrap();
        ok(json!({"paging": {"page": page, "page_total": 9}, "results": [row(1, 20, 16, "Acme")]}))
    })
    .await;
    assert!(server.client().workspaces_named(16, "Acme").await.is_err());
    assert_eq!(server.seen().len(), 2);
}
