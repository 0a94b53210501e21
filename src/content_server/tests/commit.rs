//! New documents, versions and folders: what is sent, and what every answer means.

use super::*;
use crate::transfer::{ByteStream, Committed, Content, Destination, NewContent, Session};
use crate::types::{FailureClass, NodeId, Reason, UploadKey, VersionNumber};

fn body(text: &'static str) -> NewContent {
    NewContent::Body {
        file_name: "Ann's \"cut\".mov".into(),
        mime: "video/quicktime".into(),
        content: Content::Chunks(vec![Bytes::from_static(text.as_bytes())]),
    }
}

fn streamed(len: u64, frames: Vec<Result<Bytes, Failure>>) -> NewContent {
    let stream: ByteStream = Box::pin(stream::iter(frames));
    NewContent::Body {
        file_name: "a.mov".into(),
        mime: "video/quicktime".into(),
        content: Content::Stream { len, stream },
    }
}

fn closed() -> NewContent {
    NewContent::Session(Session {
        key: UploadKey::from("canary-key"),
        part_size: 4,
        parts: 3,
    })
}

fn added(node: i64, number: i64, size: u64) -> Value {
    json!({"results": {"data": {"properties": document(node, 2, "a", size),
        "versions": {"id": node, "version_number": number, "file_size": size}}}})
}

#[tokio::test]
async fn a_document_is_one_form_of_parameters_and_file() {
    let server = Server::start(|_| ok(single(document(9, 2, "Über.mov", 4)))).await;
    let client = server.client();
    let contents = [
        body("abcd"),
        streamed(4, vec![Ok("ab".into()), Ok("cd".into())]),
    ];
    for content in contents {
        let made = client
            .create_document(NodeId(2), "Über.mov", content)
            .await
            .unwrap();
        assert_eq!(
            made,
            Committed {
                node: NodeId(9),
                version: VersionNumber(1),
                size: Some(4)
            }
        );
    }
    let seen = server.seen();
    assert_eq!(seen[0].line(), "POST v2/nodes");
    for request in &seen {
        let parts = request.parts().await;
        let parameters: Value = serde_json::from_slice(&parts[0].3).unwrap();
        assert_eq!(parts[0].0, "body");
        assert_eq!(
            parameters,
            json!({"type": 144, "parent_id": 2, "name": "Über.mov"})
        );
        assert_eq!(
            (parts[1].0.as_str(), &parts[1].3[..]),
            ("file", &b"abcd"[..])
        );
        assert_eq!(parts[1].2.as_deref(), Some("video/quicktime"));
    }
    assert_eq!(
        seen[0].parts().await[1].1.as_deref(),
        Some("Ann's %22cut%22.mov")
    );
}

#[tokio::test]
async fn a_document_of_an_upload_session_is_plain_fields() {
    let server = Server::start(|_| ok(single(document(9, 2, "a", 9)))).await;
    server
        .client()
        .create_document(NodeId(2), "a", closed())
        .await
        .unwrap();
    let fields = server.only().fields();
    let fields: Vec<_> = fields
        .iter()
        .map(|(k, v)| (k.as_str(), v.as_str()))
        .collect();
    assert_eq!(
        fields,
        [
            ("name", "a"),
            ("parent_id", "2"),
            ("type", "144"),
            ("upload_key", "canary-key")
        ]
    );
}

#[tokio::test]
async fn an_empty_document_is_a_form_with_an_empty_file() {
    let server = Server::start(|_| ok(single(document(9, 2, "a", 0)))).await;
    let client = server.client();
    for content in [body(""), streamed(0, vec![])] {
        let made = client
            .create_document(NodeId(2), "a", content)
            .await
            .unwrap();
        assert_eq!(made.size, Some(0));
    }
    for request in server.seen() {
        assert!(request.parts().await[1].3.is_empty());
    }
}

#[tokio::test]
async fn a_folder_is_created_by_name() {
    let server = Server::start(|_| {
        ok(single(
            json!({"id": 31, "parent_id": 2, "name": "Reel", "type": 0, "container": true}),
        ))
    })
    .await;
    let made = server
        .client()
        .create_container(NodeId(2), "Reel")
        .await
        .unwrap();
    assert_eq!(made, NodeId(31));
    let sent = server.only().parameters();
    assert_eq!(sent, json!({"type": 0, "parent_id": 2, "name": "Reel"}));
}

#[tokio::test]
async fn a_version_carries_its_note_in_the_same_call() {
    let server = Server::start(|_| ok(added(9, 3, 4))).await;
    let client = server.client();
    let note = format!("lh1 x {}", "y".repeat(300));
    for content in [closed(), body("abcd")] {
        let made = client.add_version(NodeId(9), &note, content).await.unwrap();
        assert_eq!(
            made,
            Committed {
                node: NodeId(9),
                version: VersionNumber(3),
                size: Some(4)
            }
        );
    }
    let seen = server.seen();
    assert_eq!(seen[0].line(), "POST v2/nodes/9/versions");
    let fields = seen[0].fields();
    assert_eq!(
        fields[0],
        ("upload_key".to_owned(), "canary-key".to_owned())
    );
    assert_eq!(
        (fields[1].0.as_str(), fields[1].1.as_str()),
        ("description", &note[..255])
    );
    let parts = seen[1].parts().await;
    assert_eq!(
        (parts[0].0.as_str(), &parts[0].3[..]),
        ("description", &note.as_bytes()[..255])
    );
    assert_eq!(
        (parts[1].0.as_str(), &parts[1].3[..]),
        ("file", &b"abcd"[..])
    );
}

#[tokio::test]
async fn an_old_server_gets_versions_through_v1_and_is_remembered() {
    let server = Server::start(|seen| {
        if seen.path.starts_with("v2/") {
            error(
                400,
                "The REST API URL could not be found in the mappings registry",
            )
        } else {
            ok(json!({"id": 9, "version_number": 4}))
        }
    })
    .await;
    let client = server.client();
    for _ in 0..2 {
        let made = client
            .add_version(NodeId(9), "lh1", body("abcd"))
            .await
            .unwrap();
        assert_eq!((made.version, made.size), (VersionNumber(4), None));
    }
    let lines: Vec<_> = server.seen().iter().map(Seen::line).collect();
    assert_eq!(
        lines,
        [
            "POST v2/nodes/9/versions",
            "POST v1/nodes/9/versions",
            "POST v1/nodes/9/versions"
        ]
    );
}

#[tokio::test]
async fn a_passing_body_meets_the_old_interface_at_the_next_attempt() {
    let server = Server::start(|seen| {
        if seen.path.starts_with("v2/") {
            error(
                400,
                "The REST API URL could not be found in the mappings registry",
            )
        } else {
            ok(json!({"id": 9, "version_number": 4}))
        }
    })
    .await;
    let client = server.client();
    let content = || streamed(2, vec![Ok("ab".into())]);
    let failure = client
        .add_version(NodeId(9), "lh1", content())
        .await
        .unwrap_err();
    assert_eq!(
        (failure.class, failure.reason),
        (FailureClass::RetryNow, Reason::NotDone)
    );
    client
        .add_version(NodeId(9), "lh1", content())
        .await
        .unwrap();
}

/// An answer, and what it means for the commit that got it.
type Case = (fn() -> Reply, FailureClass, Reason);

#[track_caller]
fn means(failure: &Failure, class: FailureClass, reason: Reason) {
    assert_eq!(
        (failure.class, failure.reason),
        (class, reason),
        "{failure}"
    );
    keeps_secrets(failure);
}

#[tokio::test]
async fn every_answer_to_a_commit_says_whether_it_may_have_happened() {
    use FailureClass::*;
    let cases: [Case; 16] = [
        (
            || error(500, "An item with the name 'a' already exists."),
            ItemIsWrong,
            Reason::NameTaken,
        ),
        (
            || error(400, "Could not create a new Document"),
            ItemIsWrong,
            Reason::NotDone,
        ),
        (
            || error(500, "Sorry, the item you requested could not be accessed."),
            ItemIsWrong,
            Reason::Inaccessible,
        ),
        (
            || error(400, "The item is reserved by ann"),
            RetryLater,
            Reason::Locked,
        ),
        (
            || error(400, "The record is finalized"),
            ItemIsWrong,
            Reason::Held,
        ),
        (|| error(500, "The disk is full"), RetryLater, Reason::Full),
        (|| error(409, "edit conflict"), RetryNow, Reason::NotDone),
        (|| error(500, "nobody knows"), RetryNow, Reason::Ambiguous),
        (
            || html(413, "Request Entity Too Large"),
            ItemIsWrong,
            Reason::TooLarge,
        ),
        (|| html(429, "slow"), RetryLater, Reason::NotDone),
        (
            || html(500, "Please try again"),
            RetryNow,
            Reason::Ambiguous,
        ),
        (|| html(502, "bad gateway"), RetryNow, Reason::Ambiguous),
        (
            || html(200, "Content Server Client Error"),
            RetryNow,
            Reason::Ambiguous,
        ),
        (
            || Reply::Answer(200, vec![], Bytes::new()),
            RetryNow,
            Reason::Ambiguous,
        ),
        (|| ok(json!({"results": {}})), RetryNow, Reason::Ambiguous),
        (|| Reply::Hangup, RetryNow, Reason::Ambiguous),
    ];
    for (reply, class, reason) in cases {
        let server = Server::start(move |_| reply()).await;
        let client = server.client();
        let failure = client
            .create_document(NodeId(2), "a", closed())
            .await
            .unwrap_err();
        means(&failure, class, reason);
        let failure = client
            .add_version(NodeId(9), "lh1", body("a"))
            .await
            .unwrap_err();
        means(&failure, class, reason);
        let failure = client.create_container(NodeId(2), "a").await.unwrap_err();
        means(&failure, class, reason);
        assert_eq!(server.seen().len(), 3, "a commit is sent once");
    }
}

#[tokio::test]
async fn an_answer_about_something_else_leaves_the_outcome_open() {
    let server = Server::start(|seen| {
        if seen.path.ends_with("versions") {
            ok(added(10, 3, 4))
        } else {
            ok(single(document(9, 2, "somebody else's", 4)))
        }
    })
    .await;
    let client = server.client();
    let failure = client
        .create_document(NodeId(2), "a", body("abcd"))
        .await
        .unwrap_err();
    means(&failure, FailureClass::RetryNow, Reason::Ambiguous);
    let failure = client
        .add_version(NodeId(9), "lh1", body("abcd"))
        .await
        .unwrap_err();
    means(&failure, FailureClass::RetryNow, Reason::Ambiguous);
}

#[tokio::test]
async fn a_version_answer_without_a_number_leaves_the_outcome_open() {
    let server = Server::start(|_| ok(single(document(9, 2, "a", 4)))).await;
    let failure = server
        .client()
        .add_version(NodeId(9), "lh1", closed())
        .await
        .unwrap_err();
    means(&failure, FailureClass::RetryNow, Reason::Ambiguous);
}

#[tokio::test]
async fn a_reply_lost_after_the_whole_body_is_ambiguous() {
    let server = Server::start(|_| Reply::Hangup).await;
    let content = streamed(4, vec![Ok("abcd".into())]);
    let failure = server
        .client()
        .create_document(NodeId(2), "a", content)
        .await
        .unwrap_err();
    means(&failure, FailureClass::RetryNow, Reason::Ambiguous);
    assert_eq!(server.only().parts().await[1].3, "abcd");
}

#[tokio::test]
async fn a_body_that_never_became_complete_was_not_committed() {
    let server = Server::start(|_| ok(json!({}))).await;
    let client = server.client();
    let changed = Failure::item(Reason::SourceChanged, "other entity tag");
    let cases = [
        (
            streamed(4, vec![Ok("ab".into()), Err(changed)]),
            Reason::SourceChanged,
        ),
        (
            streamed(4, vec![Ok("ab".into()), Err(Failure::transient("cut"))]),
            Reason::NotDone,
        ),
        (streamed(4, vec![Ok("ab".into())]), Reason::NotDone),
        (streamed(4, vec![Ok("abcde".into())]), Reason::Mismatch),
    ];
    for (content, reason) in cases {
        let failure = client
            .create_document(NodeId(2), "a", content)
            .await
            .unwrap_err();
        assert_eq!(failure.reason, reason, "{failure}");
    }
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_did_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let auth = Auth::Password {
        user: "ann".into(),
        password: "canary-password".into(),
        domain: None,
    };
    let url = format!("http://{address}/otcs/cs.exe").parse().unwrap();
    let client = Client::new(wires(), Config::new(url, "test", auth)).unwrap();
    let failure = client
        .create_document(NodeId(2), "a", closed())
        .await
        .unwrap_err();
    means(&failure, FailureClass::RetryNow, Reason::NotDone);
}

#[tokio::test]
async fn a_success_for_half_a_body_is_ambiguous() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let answers = [json!({"ticket": "t"}), single(document(9, 2, "a", 2))];
    let server = tokio::spawn(async move {
        let mut held = Vec::new();
        for answer in answers {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut first = [0; 4096];
            assert!(socket.read(&mut first).await.unwrap() > 0);
            let body = answer.to_string();
            let head = format!(
                "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            socket.write_all(head.as_bytes()).await.unwrap();
            held.push(socket);
        }
        std::future::pending::<()>().await;
    });
    let auth = Auth::Password {
        user: "ann".into(),
        password: "canary-password".into(),
        domain: None,
    };
    let url = format!("http://{address}/otcs/cs.exe").parse().unwrap();
    let client = Client::new(wires(), Config::new(url, "test", auth)).unwrap();
    // Two of four bytes come, and then nothing more.
    let stream = stream::iter([Ok("ab".into())]);
    let content = NewContent::Body {
        file_name: "a".into(),
        mime: "a/b".into(),
        content: Content::Stream {
            len: 4,
            stream: Box::pin(futures::StreamExt::chain(stream, stream::pending())),
        },
    };
    let failure = client
        .create_document(NodeId(2), "a", content)
        .await
        .unwrap_err();
    means(&failure, FailureClass::RetryNow, Reason::Ambiguous);
    server.abort();
}
