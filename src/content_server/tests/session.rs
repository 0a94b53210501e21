//! Signing in: once for everybody, renewed by answers, stopped when it cannot work.

use std::collections::HashSet;
use std::sync::Mutex;

use serde_json::json;

use super::*;
use crate::transfer::{Content, Destination, NewContent};
use crate::types::{FailureClass, NodeId, Reason};

fn node_answer() -> Reply {
    ok(single(document(5, 2, "a", 1)))
}

#[tokio::test]
async fn the_first_call_signs_in_with_form_fields_and_presents_the_ticket() {
    let server = Server::start(|_| node_answer()).await;
    let auth = Auth::Password {
        user: "ann & bob".into(),
        password: "canary-pass=word".into(),
        domain: Some("corp".into()),
    };
    server.client_with(auth).node(NodeId(5)).await.unwrap();
    let all = server.seen.lock().unwrap().clone();
    assert_eq!(all[0].line(), "POST v1/auth");
    assert_eq!(
        all[0].fields(),
        [
            ("username", "ann & bob"),
            ("password", "canary-pass=word"),
            ("domain", "corp")
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
    );
    assert_eq!(all[1].ticket(), "ticket-1");
    assert!(!format!("{:?}", server.client()).contains("canary"));
}

#[tokio::test]
async fn many_callers_of_an_expired_session_cause_one_sign_in() {
    let server = Server::start(|seen| match seen.ticket() {
        "ticket-1" => error(401, "Authentication Required"),
        _ => node_answer(),
    })
    .await;
    let client = server.client();
    let calls = (0..8).map(|_| client.node(NodeId(5)));
    for answer in futures::future::join_all(calls).await {
        answer.unwrap();
    }
    assert_eq!(server.logins(), 2);
    assert!(server.seen().len() <= 16);
}

#[tokio::test]
async fn every_answer_may_bring_the_next_ticket() {
    let server = Server::start(|seen| match seen.ticket() {
        "ticket-1" => node_answer().with("OTCSTicket", "slid-1"),
        // Errors bring tickets as well.
        "slid-1" => error(400, "Could not get a node for 5").with("OTCSTicket", "slid-2"),
        _ => node_answer(),
    })
    .await;
    let client = server.client();
    client.node(NodeId(5)).await.unwrap();
    client.node(NodeId(5)).await.unwrap_err();
    client.node(NodeId(5)).await.unwrap();
    let tickets: Vec<_> = server
        .seen()
        .iter()
        .map(|seen| seen.ticket().to_owned())
        .collect();
    assert_eq!(tickets, ["ticket-1", "slid-1", "slid-2"]);
    assert_eq!(server.logins(), 1);
}

#[tokio::test]
async fn a_wrong_password_is_sent_once_and_stops_everybody() {
    let server = Server::bare(|_| error(401, "Invalid username/password specified")).await;
    let client = server.client();
    for _ in 0..3 {
        let failure = client.node(NodeId(5)).await.unwrap_err();
        assert_eq!(failure.class, FailureClass::StopEverything);
        assert!(
            failure.message.contains("Invalid username/password"),
            "{failure}"
        );
        keeps_secrets(&failure);
    }
    let calls = (0..4).map(|_| client.node(NodeId(5)));
    assert!(
        futures::future::join_all(calls)
            .await
            .iter()
            .all(Result::is_err)
    );
    assert_eq!(server.seen.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_restart_during_sign_in_is_no_refusal() {
    let pages = Arc::new(AtomicU32::new(1));
    let left = Arc::clone(&pages);
    let server = Server::bare(move |seen| {
        if seen.line() != "POST v1/auth" {
            return node_answer();
        }
        let down = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
            left.checked_sub(1)
        });
        if down.is_ok() {
            html(200, "Please try again")
        } else {
            ok(json!({"ticket": "t"}))
        }
    })
    .await;
    // A short one passes unnoticed.
    server.client().node(NodeId(5)).await.unwrap();
    pages.store(1000, Ordering::SeqCst);
    let client = server.client();
    let failure = client.node(NodeId(5)).await.unwrap_err();
    assert_eq!(failure.class, FailureClass::RetryNow);
    pages.store(0, Ordering::SeqCst);
    client.node(NodeId(5)).await.unwrap();
}

#[tokio::test]
async fn an_account_used_elsewhere_stops_after_the_second_refusal() {
    // Each ticket works once.
    let used = Mutex::new(HashSet::new());
    let server = Server::start(move |seen| {
        if used.lock().unwrap().insert(seen.ticket().to_owned()) {
            node_answer()
        } else {
            error(401, "Authentication Required")
        }
    })
    .await;
    let client = server.client();
    client.node(NodeId(5)).await.unwrap();
    client.node(NodeId(5)).await.unwrap();
    let failure = client.node(NodeId(5)).await.unwrap_err();
    assert_eq!(failure.class, FailureClass::StopEverything);
    assert!(failure.message.contains("signed in elsewhere"), "{failure}");
    keeps_secrets(&failure);
    assert_eq!(server.logins(), 2);
    client.node(NodeId(5)).await.unwrap_err();
    assert_eq!(server.logins(), 2);
}

#[tokio::test]
async fn missing_permissions_under_401_are_no_expiry() {
    let server =
        Server::start(|_| error(401, "Insufficient permissions to perform that action")).await;
    let failure = server.client().node(NodeId(5)).await.unwrap_err();
    assert_eq!(
        (failure.class, failure.reason),
        (FailureClass::ItemIsWrong, Reason::Inaccessible)
    );
    assert_eq!((server.logins(), server.seen().len()), (1, 1));
}

#[tokio::test]
async fn a_body_that_passed_once_is_left_to_the_engine_with_a_new_session() {
    let server = Server::start(|seen| match seen.ticket() {
        "ticket-1" => error(401, "Authentication Required"),
        _ => ok(single(document(9, 2, "a", 3))),
    })
    .await;
    let client = server.client();
    let content = |passing: bool| NewContent::Body {
        file_name: "a".into(),
        mime: "a/b".into(),
        content: if passing {
            Content::Stream {
                len: 3,
                stream: Box::pin(stream::iter([Ok(Bytes::from_static(b"abc"))])),
            }
        } else {
            Content::Chunks(vec![Bytes::from_static(b"abc")])
        },
    };
    let failure = client
        .create_document(NodeId(2), "a", content(true))
        .await
        .unwrap_err();
    assert_eq!(
        (failure.class, failure.reason),
        (FailureClass::SignInAgain, Reason::NotDone)
    );
    assert_eq!(server.logins(), 2);
    client
        .create_document(NodeId(2), "a", content(true))
        .await
        .unwrap();
    assert_eq!(server.logins(), 2);
}

#[tokio::test]
async fn a_held_body_is_sent_again_after_the_new_sign_in() {
    let server = Server::start(|seen| match seen.ticket() {
        "ticket-1" => error(401, "Authentication Required"),
        _ => ok(single(document(9, 2, "a", 3))),
    })
    .await;
    let content = NewContent::Body {
        file_name: "a".into(),
        mime: "a/b".into(),
        content: Content::Chunks(vec![Bytes::from_static(b"abc")]),
    };
    let made = server
        .client()
        .create_document(NodeId(2), "a", content)
        .await;
    assert_eq!(made.unwrap().node, NodeId(9));
    let seen = server.seen();
    assert_eq!(seen.len(), 2);
    for request in &seen {
        assert_eq!(request.parts().await[1].3, "abc");
    }
}

/// A directory service at `/token` beside the server.
async fn directory(
    tokens: &'static [(u16, &'static str, u64)],
    script: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
) -> (Server, Client) {
    let next = AtomicU32::new(0);
    let server = Server::bare(move |seen| {
        if seen.path != "/token" {
            return script(seen);
        }
        assert!(
            seen.fields()
                .contains(&("client_secret".into(), "canary-secret".into()))
        );
        assert!(
            seen.fields()
                .contains(&("grant_type".into(), "client_credentials".into()))
        );
        let (code, token, life) = tokens[next.fetch_add(1, Ordering::SeqCst) as usize];
        if code == 200 {
            ok(json!({"access_token": token, "token_type": "Bearer", "expires_in": life}))
        } else {
            status(
                code,
                json!({"error": token, "error_description": "no such client"}),
            )
        }
    })
    .await;
    let client = server.client_with(Auth::Otds {
        client_id: "longhaul".into(),
        client_secret: "canary-secret".into(),
        token_url: server.url("/token"),
    });
    (server, client)
}

#[tokio::test]
async fn a_directory_token_is_traded_for_a_ticket() {
    let (server, client) = directory(&[(200, "canary-token", 1000)], |seen| {
        if seen.line() == "GET v1/auth" {
            assert_eq!(seen.header("authorization"), "Bearer canary-token");
            return ok(json!({"data": {"id": 1}})).with("OTCSTicket", "traded");
        }
        assert_eq!(
            (seen.ticket(), seen.header("authorization")),
            ("traded", "")
        );
        node_answer()
    })
    .await;
    client.node(NodeId(5)).await.unwrap();
    client.node(NodeId(5)).await.unwrap();
    assert_eq!(server.seen().len(), 4);
}

#[tokio::test]
async fn a_server_that_trades_none_takes_the_token_on_every_call_and_a_new_one_before_its_end() {
    // The first token is due for renewal as soon as it is there.
    let (server, client) = directory(&[(200, "one", 0), (200, "two", 1000)], |seen| {
        match seen.line().as_str() {
            "GET v1/auth" => error(
                400,
                "The REST API URL could not be found in the mappings registry",
            ),
            _ => node_answer(),
        }
    })
    .await;
    for token in ["Bearer one", "Bearer two", "Bearer two"] {
        client.node(NodeId(5)).await.unwrap();
        assert_eq!(server.seen().last().unwrap().header("authorization"), token);
    }
}

#[tokio::test]
async fn refused_client_credentials_stop_everything_with_the_services_own_words() {
    let (server, client) = directory(&[(401, "invalid_client", 0)], |_| node_answer()).await;
    for _ in 0..2 {
        let failure = client.node(NodeId(5)).await.unwrap_err();
        assert_eq!(failure.class, FailureClass::StopEverything);
        assert!(failure.message.contains("no such client"), "{failure}");
        keeps_secrets(&failure);
    }
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn server_facts_and_the_current_user_are_read() {
    let server = Server::start(|seen| match seen.line().as_str() {
        "GET v1/ping" => ok(json!({"rest_api": [{"build": 2, "href": "api/v1", "version": 1}]})),
        "GET v1/auth" => ok(json!({"data": {"id": 1000, "name": "Admin"}})),
        _ => ok(
            json!({"server": {"version": "25.4", "domain_access_enabled": false},
            "sessions": {"session_timeout": 7_200_000, "expire_after_last_request": true}}),
        ),
    })
    .await;
    let client = server.client();
    client.ping().await.unwrap();
    assert_eq!(server.logins(), 0);
    assert_eq!(client.current_user().await.unwrap().id, 1000);
    let info = client.server_info().await.unwrap();
    assert_eq!(info.version.as_deref(), Some("25.4"));
    assert_eq!(
        info.session_timeout,
        Some(std::time::Duration::from_secs(7200))
    );
    assert_eq!((info.sliding, info.domains), (Some(true), Some(false)));
}

#[tokio::test]
async fn something_else_at_the_address_is_no_content_server() {
    let server = Server::bare(|_| html(200, "welcome")).await;
    let failure = server.client().ping().await.unwrap_err();
    assert!(
        failure.message.contains("looking for content server"),
        "{failure}"
    );
}

#[tokio::test]
async fn refusals_more_than_a_minute_apart_are_expiry() {
    let used = Mutex::new(HashSet::new());
    let server = Server::start(move |seen| {
        if used.lock().unwrap().insert(seen.ticket().to_owned()) {
            node_answer()
        } else {
            error(401, "Authentication Required")
        }
    })
    .await;
    let client = server.client();
    for _ in 0..4 {
        client.node(NodeId(5)).await.unwrap();
        client.0.sign_in.age(std::time::Duration::from_secs(61));
    }
    assert_eq!(server.logins(), 4);
}

#[tokio::test]
async fn an_idle_session_is_proved_before_a_body_that_passes_once() {
    let server = Server::start(|seen| match (seen.line().as_str(), seen.ticket()) {
        ("GET v2/nodes/5", _) => node_answer(),
        (_, "ticket-1") => error(401, "Authentication Required"),
        ("GET v1/auth", _) => ok(json!({"data": {"id": 1}})),
        _ => ok(single(document(9, 2, "a", 3))),
    })
    .await;
    let client = server.client();
    client.node(NodeId(5)).await.unwrap();
    client.0.sign_in.age(std::time::Duration::from_secs(61));
    let content = NewContent::Body {
        file_name: "a".into(),
        mime: "a/b".into(),
        content: Content::Stream {
            len: 3,
            stream: Box::pin(stream::iter([Ok(Bytes::from_static(b"abc"))])),
        },
    };
    client
        .create_document(NodeId(2), "a", content)
        .await
        .unwrap();
    let lines: Vec<_> = server.seen().iter().map(Seen::line).collect();
    assert_eq!(
        lines,
        [
            "GET v2/nodes/5",
            "GET v1/auth",
            "GET v1/auth",
            "POST v2/nodes"
        ]
    );
}

#[tokio::test]
async fn a_refusal_in_unknown_words_is_not_sent_again_either() {
    for (code, text) in [
        (401, "This account is locked"),
        (401, "Please try again later"),
        (401, "Unable to login. Domain support is disabled"),
        (500, "Argument password is required"),
        (400, "Invalid parameter value"),
    ] {
        let server = Server::bare(move |_| error(code, text)).await;
        let client = server.client();
        for _ in 0..2 {
            let failure = client.node(NodeId(5)).await.unwrap_err();
            assert_eq!(failure.class, FailureClass::StopEverything, "{text}");
        }
        assert_eq!(server.seen.lock().unwrap().len(), 1, "{text}");
    }
}

#[tokio::test]
async fn an_address_is_kept_without_secrets_and_must_name_a_host() {
    let auth = || Auth::Password {
        user: "ann".into(),
        password: "canary-password".into(),
        domain: None,
    };
    let client = |url: &str| Client::new(wires(), Config::new(url.parse().unwrap(), "cs", auth()));
    let shown = format!(
        "{:?}",
        client("https://ann:canary@cs.example/otcs/cs.exe?canary#canary").unwrap()
    );
    assert!(
        shown.contains("https://cs.example/otcs/cs.exe") && !shown.contains("canary"),
        "{shown}"
    );
    for url in [
        "mailto:ann@cs.example",
        "file:///otcs/cs.exe",
        "ftp://cs.example/x",
    ] {
        assert_eq!(
            client(url).unwrap_err().class,
            FailureClass::StopEverything,
            "{url}"
        );
    }
}
