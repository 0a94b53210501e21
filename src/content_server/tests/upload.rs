//! Upload sessions.

use super::*;
use crate::transfer::{ByteStream, Content, Destination, PartReceipt, Session, Window};
use crate::types::{FailureClass, Reason, UploadKey};

fn session() -> Session {
    Session {
        key: UploadKey::from("canary key/1"),
        part_size: 4,
        parts: 3,
    }
}

fn chunks(text: &'static str) -> Content {
    Content::Chunks(vec![Bytes::from_static(text.as_bytes())])
}

fn passing(len: u64, frames: Vec<Result<Bytes, Failure>>) -> Content {
    let stream: ByteStream = Box::pin(stream::iter(frames));
    Content::Stream { len, stream }
}

async fn window(reply: fn() -> Reply) -> Result<Option<Window>, Failure> {
    Server::start(move |_| reply())
        .await
        .client()
        .window()
        .await
}

#[tokio::test]
async fn the_window_is_what_the_administrator_set() {
    let found = window(|| {
        ok(
            json!({"results": {"data": {"is_enabled": true, "min_size": 104_857_600, "max_size": "3638558720"}}}),
        )
    });
    assert_eq!(
        found.await.unwrap(),
        Some(Window {
            min: 104_857_600,
            max: 3_638_558_720
        })
    );
}

#[tokio::test]
async fn switches_sizes_and_keys_of_a_neighbouring_type_are_understood() {
    let texts = window(|| {
        ok(json!({"results": {"data": {"is_enabled": "True", "min_size": "1", "max_size": "9"}}}))
    });
    assert_eq!(texts.await.unwrap(), Some(Window { min: 1, max: 9 }));
    let odd = window(|| ok(json!({"results": {"data": {"is_enabled": "maybe", "max_size": 9}}})));
    assert!(odd.await.is_err(), "no guess");
    for (key, read) in [
        (json!(880_000_001), Some("880000001")),
        (json!("a/b+c=1?x#y z%41"), Some("a/b+c=1?x#y z%41")),
        (json!(".."), None),
        (json!(""), None),
        (json!("a\nb"), None),
    ] {
        let sent = key.clone();
        let server = Server::start(move |_| {
            ok(json!({"results": {"data": {"upload_key": sent, "part_size": "4", "num_parts": 3}}}))
        })
        .await;
        let opened = server.client().open_session("a", 10, "x/y").await;
        assert_eq!(
            opened.as_ref().ok().map(|session| session.key.as_str()),
            read,
            "{key}"
        );
    }
}

#[tokio::test]
async fn a_server_without_the_feature_has_no_window() {
    let off =
        || ok(json!({"results": {"data": {"is_enabled": false, "min_size": 1, "max_size": 2}}}));
    assert_eq!(window(off).await.unwrap(), None);
    let old = || {
        error(
            400,
            "The REST API URL could not be found in the mappings registry",
        )
    };
    assert_eq!(window(old).await.unwrap(), None);
    let empty =
        || ok(json!({"results": {"data": {"is_enabled": true, "min_size": 9, "max_size": 9}}}));
    assert_eq!(window(empty).await.unwrap(), None);
}

#[tokio::test]
async fn trouble_is_never_taken_for_no_window() {
    assert!(window(|| html(500, "Please try again")).await.is_err());
    assert!(window(|| ok(json!({"results": {}}))).await.is_err());
}

async fn open(size: u64, started: Value) -> Result<Session, Failure> {
    let server = Server::start(move |seen| {
        assert_eq!(seen.line(), "POST v2/multipart");
        let names: Vec<_> = seen.fields().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["file_name", "file_size", "mime_type"]);
        ok(json!({"results": {"data": started}}))
    })
    .await;
    server.client().open_session("a b.mov", size, "").await
}

#[tokio::test]
async fn a_session_is_opened_as_the_server_plans_it() {
    let started = json!({"upload_key": "k", "part_size": 4, "num_parts": 3, "max_retries": 3});
    let session = open(9, started).await.unwrap();
    assert_eq!((session.part_size, session.parts), (4, 3));
}

#[tokio::test]
async fn a_plan_that_does_not_add_up_is_refused() {
    for started in [
        json!({"upload_key": "k", "part_size": 4, "num_parts": 2}),
        json!({"upload_key": "k", "part_size": 0, "num_parts": 3}),
        json!({"upload_key": "", "part_size": 4, "num_parts": 3}),
        json!({"upload_key": "..", "part_size": 4, "num_parts": 3}),
        json!({"upload_key": "k", "part_size": 1, "num_parts": 9_000_000_000_u64}),
        json!({"upload_key": "k", "part_size": -4, "num_parts": 3}),
        json!({"part_size": 4, "num_parts": 3}),
    ] {
        let text = started.to_string();
        assert!(open(9, started).await.is_err(), "{text}");
    }
    let started = json!({"upload_key": "k", "part_size": 4, "num_parts": 2});
    let failure = open(9, started).await.unwrap_err();
    assert_eq!(
        (failure.class, failure.reason),
        (FailureClass::ItemIsWrong, Reason::Unsupported)
    );
}

#[tokio::test]
async fn a_size_outside_the_window_is_the_items_fault() {
    let server = Server::start(|_| {
        error(
            500,
            "Invalid block size: File size must be between 5 and 9 bytes.",
        )
    })
    .await;
    let failure = server
        .client()
        .open_session("a", 4, "a/b")
        .await
        .unwrap_err();
    assert_eq!(failure.class, FailureClass::ItemIsWrong);
    assert!(
        failure.message.contains("between 5 and 9 bytes"),
        "{failure}"
    );
}

#[tokio::test]
async fn a_part_is_one_binary_field_of_exact_length() {
    let server = Server::start(|_| ok(json!({}))).await;
    let client = server.client();
    let streamed = passing(4, vec![Ok("ab".into()), Ok("cd".into())]);
    for content in [chunks("abcd"), streamed] {
        let receipt = client.send_part(&session(), 2, content).await.unwrap();
        assert_eq!(receipt, PartReceipt::Stored);
    }
    for seen in server.seen() {
        assert_eq!(seen.line(), "POST v2/multipart/canary%20key%2F1/2");
        let parts = seen.parts().await;
        assert_eq!(parts.len(), 1);
        let (name, file_name, mime, bytes) = &parts[0];
        assert_eq!(
            (name.as_str(), file_name.as_deref()),
            ("part_content", Some("blob"))
        );
        assert_eq!(
            (mime.as_deref(), &bytes[..]),
            (Some("application/octet-stream"), &b"abcd"[..])
        );
    }
}

#[tokio::test]
async fn a_part_stored_before_is_a_receipt() {
    let server =
        Server::start(|_| error(500, "Invalid BlockID: BlockID 1 has already been uploaded."))
            .await;
    let receipt = server
        .client()
        .send_part(&session(), 1, chunks("abcd"))
        .await;
    assert_eq!(receipt.unwrap(), PartReceipt::AlreadyThere);
}

#[tokio::test]
async fn parts_of_a_wrong_number_or_length_never_leave() {
    let server = Server::start(|_| ok(json!({}))).await;
    let client = server.client();
    for (number, text) in [
        (0, "abcd"),
        (4, "abcd"),
        (1, "abc"),
        (1, "abcde"),
        (3, ""),
        (3, "abcde"),
    ] {
        let failure = client
            .send_part(&session(), number, chunks(text))
            .await
            .unwrap_err();
        assert_eq!(failure.reason, Reason::Mismatch, "{number} {text}");
    }
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn the_states_of_a_session_are_told_apart() {
    let gone = "Failed to complete request. Either the UploadKey is invalid, or you do not have permission to access this upload session";
    for (text, reason) in [
        (gone, Reason::SessionGone),
        ("Multipart Upload session expired", Reason::SessionGone),
        (
            "Invalid status. Cannot close an empty or already closed upload.",
            Reason::SessionClosed,
        ),
    ] {
        let server = Server::start(move |_| error(500, text)).await;
        let client = server.client();
        assert_eq!(
            client.close_session(&session()).await.unwrap_err().reason,
            reason
        );
        let part = client.send_part(&session(), 1, chunks("abcd")).await;
        assert_eq!(part.unwrap_err().reason, reason);
    }
}

#[tokio::test]
async fn a_part_number_the_server_refuses_is_the_items_fault() {
    let server =
        Server::start(|_| error(500, "Invalid BlockID: Expected BlockID between 1 and 2")).await;
    let failure = server
        .client()
        .send_part(&session(), 3, chunks("a"))
        .await
        .unwrap_err();
    assert_eq!(failure.class, FailureClass::ItemIsWrong);
}

#[tokio::test]
async fn closing_and_cancelling_name_the_session_and_nothing_else() {
    let server = Server::start(|_| ok(json!({}))).await;
    let client = server.client();
    client.close_session(&session()).await.unwrap();
    client.cancel_session(&session()).await.unwrap();
    let seen = server.seen();
    assert_eq!(seen[0].line(), "POST v2/multipart/canary%20key%2F1");
    assert!(seen[0].fields().is_empty());
    assert_eq!(seen[1].line(), "DELETE v2/multipart/canary%20key%2F1");
}

#[tokio::test]
async fn cancelling_a_session_that_is_gone_is_done() {
    let server = Server::start(|_| {
        error(500, "Failed to complete request. Either the UploadKey is invalid, or you do not have permission to access this upload session.")
    })
    .await;
    server.client().cancel_session(&session()).await.unwrap();
}

#[tokio::test]
async fn a_lost_reply_to_a_part_is_transient_and_never_shows_the_key() {
    let server = Server::start(|_| Reply::Hangup).await;
    let client = server.client();
    let failure = client
        .send_part(&session(), 1, chunks("abcd"))
        .await
        .unwrap_err();
    assert_eq!(
        (failure.class, failure.reason),
        (FailureClass::RetryNow, Reason::Other)
    );
    keeps_secrets(&failure);
    let server = Server::start(|_| error(500, "no session canary key/1 here")).await;
    let failure = server.client().close_session(&session()).await.unwrap_err();
    keeps_secrets(&failure);
}

#[tokio::test]
async fn a_source_that_fails_within_a_part_is_named_as_it_failed() {
    let server = Server::start(|_| ok(json!({}))).await;
    let broken = Failure::new(
        FailureClass::Resign,
        Reason::Other,
        "the signed address expired",
    );
    let content = passing(4, vec![Ok("ab".into()), Err(broken)]);
    let failure = server
        .client()
        .send_part(&session(), 1, content)
        .await
        .unwrap_err();
    assert_eq!(failure.class, FailureClass::Resign);
    assert!(
        server.seen().is_empty(),
        "an incomplete request is never seen whole"
    );
}

#[tokio::test]
async fn an_expired_session_between_parts_costs_one_sign_in() {
    let server = Server::start(|seen| match seen.ticket() {
        "ticket-1" => error(401, "Authentication Required"),
        _ => ok(json!({})),
    })
    .await;
    let client = server.client();
    let sends = (1..=2).map(|number| {
        let (client, session) = (client.clone(), session());
        async move { client.send_part(&session, number, chunks("abcd")).await }
    });
    for receipt in futures::future::join_all(sends).await {
        assert_eq!(receipt.unwrap(), PartReceipt::Stored);
    }
    assert_eq!(server.logins(), 2);
}

#[tokio::test]
async fn cookies_stay_with_their_upload_session() {
    let next = AtomicU32::new(0);
    let server = Server::start(move |seen| {
        if seen.line() == "POST v2/multipart" {
            let number = next.fetch_add(1, Ordering::SeqCst);
            let started =
                json!({"upload_key": format!("k{number}"), "part_size": 4, "num_parts": 1});
            return ok(json!({"results": {"data": started}}))
                .with("set-cookie", format!("lb=frontend{number}; Path=/"));
        }
        ok(json!({}))
    })
    .await;
    let client = server.client();
    let first = client.open_session("a", 4, "a/b").await.unwrap();
    let second = client.open_session("b", 4, "a/b").await.unwrap();
    client.send_part(&second, 1, chunks("abcd")).await.unwrap();
    client.send_part(&first, 1, chunks("abcd")).await.unwrap();
    client.node_free_call().await;
    let cookies: Vec<_> = server
        .seen()
        .iter()
        .map(|seen| seen.header("cookie").to_owned())
        .collect();
    assert_eq!(cookies, ["", "", "lb=frontend1", "lb=frontend0", ""]);
}

impl Client {
    /// Any call that belongs to no upload session.
    async fn node_free_call(&self) {
        self.server_info().await.unwrap();
    }
}
