//! Cross-references between nodes.

use super::super::CrossReference;
use super::*;
use crate::types::NodeId;

#[tokio::test]
async fn what_is_there_is_not_added_again_and_a_lost_reply_is_looked_up() {
    let kept = Mutex::new(vec![
        json!({"xref_type": "Supporting Document", "xref_id": "7"}),
    ]);
    let server = Server::start(move |seen| {
        let mut kept = kept.lock().expect("nobody panics with it");
        if seen.method == Method::GET {
            return ok(json!({"data": *kept, "definitions": {}}));
        }
        // The other end as some releases name it; the answer says that it failed.
        kept.push(json!({"xref_type": "Supporting document", "id": 8}));
        error(500, "Timed out")
    })
    .await;
    let client = server.client();
    let kind = "Supporting document";
    client
        .add_cross_references(NodeId(5), kind, &[NodeId(7), NodeId(8)], "why")
        .await
        .unwrap();
    let added: Vec<String> = server.seen().iter().map(Seen::line).collect();
    let posts: Vec<&String> = added
        .iter()
        .filter(|line| line.starts_with("POST"))
        .collect();
    assert_eq!(posts.len(), 1, "{added:?}");
    let there = client.cross_references(NodeId(5)).await.unwrap();
    assert_eq!(
        there[1],
        CrossReference {
            kind: kind.into(),
            to: NodeId(8)
        }
    );
}

#[tokio::test]
async fn rubbish_is_no_empty_list() {
    for rubbish in [
        json!({}),
        json!({"data": [{"xref_type": "x"}]}),
        json!({"data": [{"xref_id": 7}]}),
    ] {
        let server = Server::start(move |_| ok(rubbish.clone())).await;
        assert!(server.client().cross_references(NodeId(5)).await.is_err());
    }
}

#[tokio::test]
async fn an_answer_without_a_body_is_no_proof_of_a_cross_reference() {
    let server = Server::start(|seen| match seen.method == Method::GET {
        true => ok(json!({"data": []})),
        false => Reply::Answer(200, Vec::new(), Default::default()),
    })
    .await;
    let failure = server
        .client()
        .add_cross_references(NodeId(5), "Supporting document", &[NodeId(7)], "why")
        .await
        .unwrap_err();
    assert!(failure.message.ends_with("does not keep what leads to 7"));
}
