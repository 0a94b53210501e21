//! Shortcuts, and what a record does with them.

use super::super::filing::Filing;
use super::super::{Marks, is_staged_link};
use super::*;
use crate::transfer::Destination as _;
use crate::types::{NodeId, Reason};

/// Nodes by id, as a server keeps them: what was created, renamed and moved is seen.
fn shelf(nodes: Value, lost: u32) -> impl Fn(&Seen) -> Reply + Send + Sync + 'static {
    let kept = Mutex::new((nodes.as_array().cloned().unwrap_or_default(), lost));
    move |seen| {
        let mut guard = kept.lock().expect("nobody panics with it");
        let (nodes, lost) = &mut *guard;
        let id = seen.path.split('/').nth(2).and_then(|id| id.parse().ok());
        let row = |node: &Value| json!({"data": {"properties": node}});
        match (seen.method.as_str(), seen.path.as_str()) {
            ("POST", "v1/validation/nodes/names") => {
                let asked = &seen.parameters();
                let taken = nodes.iter().filter(|node| {
                    node["parent_id"] == asked["parent_id"] && node["name"] == asked["names"][0]
                });
                let taken: Vec<Value> = taken.map(|node| json!({"id": node["id"]})).collect();
                ok(json!({ "results": taken }))
            }
            ("POST", "v2/nodes") => {
                let mut node = seen.parameters();
                node["id"] = (900 + nodes.len()).into();
                nodes.push(node.clone());
                if *lost > 0 {
                    *lost -= 1;
                    return error(500, "Timed out");
                }
                ok(json!({"results": row(&node)}))
            }
            ("GET", path) if path.ends_with("/nodes") => {
                let part = seen.query.get("where_name").cloned().unwrap_or_default();
                let found: Vec<Value> = nodes
                    .iter()
                    .filter(|node| {
                        node["parent_id"].as_i64() == id
                            && node["name"]
                                .as_str()
                                .is_some_and(|name| name.contains(&part))
                    })
                    .map(row)
                    .collect();
                ok(json!({ "results": found }))
            }
            ("GET", _) => match nodes.iter().find(|node| node["id"].as_i64() == id) {
                Some(node) => ok(json!({"results": row(node)})),
                None => error(400, "Could not get a node for 1"),
            },
            ("PUT", _) => {
                let change = seen.parameters();
                let node = nodes.iter_mut().find(|node| node["id"].as_i64() == id);
                if let (Some(node), Some(change)) = (node, change.as_object()) {
                    for (key, value) in change {
                        node[key] = value.clone();
                    }
                }
                ok(json!({"results": {}}))
            }
            _ => error(400, "Pattern of argument was not recognized."),
        }
    }
}

fn document(id: i64, parent: i64, name: &str) -> Value {
    json!({"id": id, "parent_id": parent, "name": name, "type": 144, "container": false})
}

fn filing(papers: &[i64]) -> Value {
    let filing = Filing {
        marks: Marks {
            papers: papers.iter().map(|id| NodeId(*id)).collect(),
            shortcuts: true,
            ..Marks::default()
        },
        ..Filing::below(NodeId(2))
    };
    serde_json::to_value(filing).unwrap()
}

const STAGING: NodeId = NodeId(3);

#[tokio::test]
async fn one_is_made_in_staging_moved_and_found_again_after_a_lost_reply() {
    let nodes = json!([
        document(10, 2, "spot.mov"),
        document(11, 7, "spot.mov.rights.jsonld"),
        document(20, 5, "release.pdf"),
        document(21, 6, "release.pdf"),
    ]);
    let server = Server::start(shelf(nodes, 1)).await;
    let client = server.client();
    let (filing, beside) = (filing(&[20, 21]), [NodeId(11)]);
    let link = || client.link(NodeId(10), &beside, "spot.mov", &filing, STAGING);
    let made = link().await.unwrap();
    let seen: Vec<(i64, &str, i64, bool)> = made
        .iter()
        .map(|link| (link.to.0, link.name.as_str(), link.parent.0, link.new))
        .collect();
    // Where its sidecar is; two papers of one name do not share it.
    assert_eq!(
        seen,
        [
            (20, "spot.mov.rights.release.pdf", 7, true),
            (21, "spot.mov.rights.release~21.pdf", 7, true),
        ]
    );
    let creates: Vec<Value> = server
        .seen()
        .iter()
        .filter(|seen| seen.line() == "POST v2/nodes")
        .map(Seen::parameters)
        .collect();
    assert_eq!(creates.len(), 2, "the lost reply is looked up");
    assert_eq!(
        creates[0],
        json!({"type": 1, "parent_id": 3, "name": "paper-20-of-10", "original_id": 20,
            "description": "proves the rights of node 10 (longhaul)"})
    );
    let before = server.seen().len();
    let again = link().await.unwrap();
    assert!(again.iter().all(|link| !link.new));
    assert_eq!(again.len(), 2);
    let writes = |seen: &Seen| seen.method == Method::PUT || seen.line() == "POST v2/nodes";
    assert!(!server.seen()[before..].iter().any(writes));
    assert_eq!(
        client.links(NodeId(11), "spot.mov", &filing).await.unwrap(),
        [],
        "another node's are none of its"
    );
}

#[tokio::test]
async fn they_are_known_by_what_they_say_or_by_name_and_original() {
    let named = |id: i64, name: &str, description: &str, original: i64| {
        json!({"id": id, "parent_id": 2, "name": name, "type": 1, "container": false,
            "description": description, "original_id": original})
    };
    let ours = "proves the rights of node 10 (longhaul)";
    let nodes = json!([
        document(10, 2, "film.mov"),
        document(20, 5, "release.pdf"),
        document(21, 5, "deal.pdf"),
        // Made when the record had another name; and one that a person described.
        named(30, "spot.mov.rights.release.pdf", ours, 20),
        named(31, "film.mov.rights.deal.pdf", "the deal", 21),
        named(32, "film.mov.rights.deal2.pdf", "the rights of another", 21),
    ]);
    let server = Server::start(shelf(nodes, 0)).await;
    let client = server.client();
    let filing = filing(&[20, 21]);
    let links = client.link(NodeId(10), &[], "spot.mov", &filing, STAGING);
    let links = links.await.unwrap();
    let found: Vec<(i64, &str, bool)> = links
        .iter()
        .map(|link| (link.node.0, link.name.as_str(), link.new))
        .collect();
    assert_eq!(
        found,
        [
            (30, "film.mov.rights.release.pdf", false),
            (31, "film.mov.rights.deal.pdf", false),
        ]
    );
}

#[tokio::test]
async fn a_refusal_names_record_paper_and_setting() {
    let nodes = json!([document(10, 2, "spot.mov"), document(20, 5, "release.pdf")]);
    let shelf = shelf(nodes, 0);
    let server = Server::start(move |seen| match seen.line().as_str() {
        "POST v2/nodes" => error(400, "Could not create a new Shortcut"),
        _ => shelf(seen),
    })
    .await;
    let filing = filing(&[20]);
    let client = server.client();
    let link = client.link(NodeId(10), &[], "spot.mov", &filing, STAGING);
    let failure = link.await.unwrap_err();
    for part in ["node 10", "node 20", "a new Shortcut", "rights.shortcuts"] {
        assert!(failure.message.contains(part), "{part} in {failure}");
    }
    assert_ne!(failure.reason, Reason::NameTaken);
}

#[tokio::test]
async fn what_may_be_created_is_read_from_keys_or_addresses() {
    let form = |kind: i64| json!(format!("api/v1/forms/nodes/create?type={kind}&parent_id=2"));
    for (data, takes) in [
        (json!({"0": form(0), "1": form(1)}), Some(true)),
        (json!({"shortcut": form(1)}), Some(true)),
        (json!({"0": form(0), "document": form(144)}), None),
        (json!({}), Some(false)),
    ] {
        let server = Server::start(move |_| ok(json!({"data": data.clone()}))).await;
        let said = server.client().takes_shortcuts(NodeId(2)).await.unwrap();
        assert_eq!(said, takes);
    }
    let server = Server::start(|_| ok(json!([]))).await;
    assert!(server.client().takes_shortcuts(NodeId(2)).await.is_err());
}

#[test]
fn in_staging_only_a_shortcut_to_the_paper_in_its_name_is_on_its_way() {
    let node = |name: &str, original: Option<i64>| crate::transfer::Node {
        id: NodeId(1),
        parent: STAGING,
        name: name.into(),
        container: false,
        size: None,
        reserved_by: None,
        original: original.map(NodeId),
    };
    assert!(is_staged_link(&node("paper-20-of-10", Some(20))));
    assert!(!is_staged_link(&node("paper-20-of-10", Some(2))));
    assert!(!is_staged_link(&node("paper-20-of-10", None)));
    assert!(!is_staged_link(&node("mine", Some(20))));
}
