//! Heads, retries, cookies and limits.

use std::sync::Arc;
use std::time::Duration;

use ::http::{HeaderName, HeaderValue, StatusCode};
use bytes::Bytes;
use serde::Deserialize;

use super::super::{Body, CookieJar, Error, JSON_LIMIT, Repeat};
use super::server::{Server, Step, answer, whole};
use super::{client, get, post, quick};
use crate::pace::Calls;
use crate::types::{FailureClass, Reason};

#[tokio::test]
async fn a_request_says_who_we_are_and_wants_plain_bytes_and_its_connection_is_used_again() {
    let server = Server::start(vec![whole("200 OK", "", "{}"), whole("200 OK", "", "{}")]).await;
    let client = client(quick());
    for _ in 0..2 {
        let request = get(&server.url("/a?b=c#fragment")).header(
            HeaderName::from_static("x-one"),
            HeaderValue::from_static("1"),
        );
        let response = client.send(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.bytes(10).await.unwrap(), "{}");
    }
    let seen = server.seen();
    assert!(
        seen[0].head.starts_with("GET /a?b=c HTTP/1.1\r\n"),
        "{seen:?}"
    );
    let agent = format!("user-agent: longhaul/{}\r\n", env!("CARGO_PKG_VERSION"));
    for line in ["accept-encoding: identity\r\n", "x-one: 1\r\n", &agent] {
        assert!(
            seen[0].head.contains(line),
            "{line} not in {}",
            seen[0].head
        );
    }
    assert_eq!(server.accepted(), 1);
}

#[tokio::test]
async fn redirects_are_handed_on_and_never_followed() {
    let elsewhere = Server::start(vec![whole("200 OK", "", "secret")]).await;
    let location = format!("Location: {}\r\n", elsewhere.url("/"));
    for status in [
        "301 Moved",
        "302 Found",
        "303 See Other",
        "307 Again",
        "308 Again",
    ] {
        let server = Server::start(vec![whole(status, &location, "")]).await;
        let response = client(quick()).send(get(&server.url("/"))).await.unwrap();
        assert!(response.status().is_redirection());
    }
    assert_eq!(elsewhere.accepted(), 0);
}

#[tokio::test]
async fn throttling_is_waited_out_without_burning_attempts() {
    let throttled = || whole("429 Slow Down", "Retry-After: 3600\r\n", "{}");
    let mut scripts: Vec<_> = (0..10).map(|_| throttled()).collect();
    scripts.push(whole("503 Busy", "Retry-After: 0\r\n", ""));
    scripts.push(whole("200 OK", "", "done"));
    let server = Server::start(scripts).await;
    let response = client(quick()).send(get(&server.url("/"))).await.unwrap();
    assert_eq!(response.bytes(10).await.unwrap(), "done");
    assert_eq!(server.seen().len(), 12);
}

#[tokio::test]
async fn a_server_that_throttles_without_end_is_handed_on() {
    let scripts = (0..200)
        .map(|_| whole("429 Slow Down", "Retry-After: 0\r\n", ""))
        .collect();
    let server = Server::start(scripts).await;
    let response = client(quick()).send(get(&server.url("/"))).await.unwrap();
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(response.retry_after(), Some(Duration::ZERO));
    assert!(server.seen().len() < 150);
}

#[tokio::test]
async fn throttled_posts_are_handed_on_at_once() {
    let server = Server::start(vec![whole("429 Slow Down", "Retry-After: 1\r\n", "")]).await;
    let response = client(quick()).send(post(&server.url("/"))).await.unwrap();
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(response.retry_after().is_some());
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn passing_disturbances_are_tried_again_and_the_last_answer_is_handed_on() {
    let page = "Content-Type: text/html\r\n";
    let server = Server::start(vec![
        whole("502 Bad Gateway", "", "no"),
        whole("500 Error", page, "<html>Please try again"),
        whole("200 OK", "", "yes"),
    ])
    .await;
    let response = client(quick()).send(get(&server.url("/"))).await.unwrap();
    assert_eq!(response.bytes(10).await.unwrap(), "yes");

    let server = Server::start((0..5).map(|_| whole("503 Down", "", "no")).collect()).await;
    let response = client(quick()).send(get(&server.url("/"))).await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(server.seen().len(), 3);

    let server = Server::start(vec![whole("500 Error", "", r#"{"error":"x"}"#)]).await;
    let response = client(quick()).send(get(&server.url("/"))).await.unwrap();
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
}

#[tokio::test]
async fn a_reset_is_tried_again_for_what_is_safe_and_ambiguous_for_what_is_not() {
    let broken = || vec![Step::Read, Step::Reset];
    let server = Server::start(vec![broken(), broken(), whole("200 OK", "", "")]).await;
    let body = Body::Chunks(vec![Bytes::from_static(b"a"), Bytes::from_static(b"bc")]);
    let request = post(&server.url("/")).body(body).repeat(Repeat::Safe);
    assert!(client(quick()).send(request).await.is_ok());
    let bodies: Vec<_> = server.seen().into_iter().map(|seen| seen.body).collect();
    assert_eq!(bodies, [b"abc", b"abc", b"abc"]);

    let server = Server::start(vec![broken(), whole("200 OK", "", "")]).await;
    let error = client(quick())
        .send(post(&server.url("/")))
        .await
        .unwrap_err();
    assert!(!error.not_sent());
    let failure = error.into_failure();
    assert_eq!(
        (failure.class, failure.reason),
        (FailureClass::RetryNow, Reason::Ambiguous)
    );
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_refused_connection_is_not_done() {
    let port = Server::start(vec![]).await.port;
    // The listener is gone with its server; nothing else takes the port meanwhile.
    tokio::task::yield_now().await;
    let error = client(quick())
        .send(post(&format!("http://127.0.0.1:{port}/")))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Connect { .. }), "{error}");
    assert!(error.not_sent());
    assert_eq!(error.into_failure().reason, Reason::NotDone);
}

#[tokio::test]
async fn a_name_without_address_is_a_dns_error() {
    let lookup: super::super::connect::Lookup =
        Arc::new(|_| Box::pin(async { Err(std::io::Error::other("no such name")) }));
    let config = super::super::Config {
        attempts: 1,
        ..quick()
    };
    let client = super::super::Client::with(config, None, &lookup).unwrap();
    let error = client.send(get("https://nowhere.test/")).await.unwrap_err();
    assert!(matches!(error, Error::Dns { .. }), "{error}");
    assert!(error.not_sent() && error.to_string().contains("no such name"));
}

#[tokio::test]
async fn silence_after_the_request_is_a_first_byte_timeout() {
    let config = super::super::Config {
        attempts: 1,
        ..quick()
    };
    let server = Server::start(vec![vec![Step::Read, Step::Silence]]).await;
    let request = get(&server.url("/")).first_byte(Duration::from_millis(50));
    let error = client(config).send(request).await.unwrap_err();
    assert!(matches!(error, Error::FirstByteTimeout { .. }), "{error}");
    assert!(!error.not_sent());
}

#[tokio::test]
async fn what_is_not_http_or_has_a_giant_head_is_an_error() {
    for reply in [
        "SSH-2.0-OpenSSH_9.9\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab".to_owned(),
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n".to_owned(),
        format!(
            "HTTP/1.1 200 OK\r\nX: {}\r\nContent-Length: 0\r\n\r\n",
            "x".repeat(70_000)
        ),
        format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(2_000_000)),
    ] {
        let server = Server::start(vec![answer(reply.clone())]).await;
        let error = client(quick()).send(post(&server.url("/"))).await;
        let error = error
            .err()
            .unwrap_or_else(|| panic!("{:.60} was accepted", reply));
        assert!(
            matches!(error, Error::Broken { .. } | Error::BodyTooLarge { .. }),
            "{error}"
        );
    }
}

#[tokio::test]
async fn cookies_of_a_session_come_back_and_the_jar_is_the_sessions_own() {
    let server = Server::start(vec![
        whole(
            "200 OK",
            "Set-Cookie: ROUTE=n2; Path=/\r\nSet-Cookie: B=1\r\n",
            "",
        ),
        whole("200 OK", "Set-Cookie: B=; Max-Age=0\r\n", ""),
        whole("200 OK", "", ""),
        whole("200 OK", "", ""),
    ])
    .await;
    let (client, jar) = (client(quick()), CookieJar::default());
    for _ in 0..3 {
        client
            .send(get(&server.url("/")).cookies(&jar))
            .await
            .unwrap();
    }
    client.send(get(&server.url("/"))).await.unwrap();
    let cookies: Vec<_> = server
        .seen()
        .iter()
        .map(|seen| {
            let line = seen
                .head
                .lines()
                .find_map(|line| line.strip_prefix("cookie: "));
            line.map(str::to_owned)
        })
        .collect();
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(
        cookies,
        [None, some("B=1; ROUTE=n2"), some("ROUTE=n2"), None]
    );
}

#[tokio::test]
async fn every_attempt_takes_a_call_permit_and_the_rate_limit_left_is_noted() {
    let server = Server::start(vec![
        whole("502 Bad", "", ""),
        whole("200 OK", "RateLimit-Remaining: 40\r\n", ""),
    ])
    .await;
    let calls = Arc::new(Calls::new(1000));
    let request = get(&server.url("/")).pace(&calls);
    assert!(client(quick()).send(request).await.is_ok());
}

#[derive(Debug, Deserialize)]
struct Page {
    objects: Vec<Asset>,
}

#[derive(Debug, Deserialize)]
struct Asset {
    id: u64,
}

#[tokio::test]
async fn json_errors_name_the_system_and_the_field_but_no_value() {
    let server = Server::start(vec![
        whole("200 OK", "", r#"{"objects":[{"id":1},{"id":"canary"}]}"#),
        whole("200 OK", "", r#"{"objects":[{"id":7}]}"#),
        whole(
            "200 OK",
            "Content-Type: text/html\r\n",
            "<!DOCTYPE html><p>Sign in to the hotel",
        ),
        whole("200 OK", "", r#"{"objects":[]} and more"#),
        whole(
            "200 OK",
            "",
            &format!("{}1{}", "[".repeat(5000), "]".repeat(5000)),
        ),
    ])
    .await;
    let client = client(quick());
    let read = async || {
        let response = client.send(get(&server.url("/"))).await.unwrap();
        response.json::<Page>(JSON_LIMIT).await
    };
    let error = read().await.unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("objects[1].id") && text.contains("127.0.0.1"),
        "{text}"
    );
    assert!(!text.contains("canary"), "{text}");
    assert_eq!(error.into_failure().class, FailureClass::RetryNow);
    assert_eq!(read().await.unwrap().objects[0].id, 7);
    assert!(read().await.unwrap_err().to_string().contains("HTML"));
    assert!(matches!(read().await, Err(Error::Decode { .. })));
    assert!(matches!(read().await, Err(Error::Decode { .. })));
}

#[tokio::test]
async fn a_call_is_tried_again_when_its_body_is_cut() {
    let cut = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{\"a\"";
    let server = Server::start(vec![
        vec![Step::Read, Step::Write(cut.into()), Step::Close],
        whole("200 OK", "", "[1]"),
    ])
    .await;
    let answer = client(quick())
        .call(get(&server.url("/")), 100)
        .await
        .unwrap();
    assert_eq!(answer.json::<Vec<u64>>().unwrap(), [1]);
}

#[tokio::test]
async fn a_read_that_brings_a_page_or_nothing_is_tried_again() {
    let server = Server::start(vec![
        whole("200 OK", "Content-Type: text/html\r\n", "<html>restarting"),
        whole("200 OK", "", " "),
        whole("200 OK", "", "[1]"),
    ])
    .await;
    let answer = client(quick())
        .call(get(&server.url("/")), 100)
        .await
        .unwrap();
    assert_eq!(answer.json::<Vec<u64>>().unwrap(), [1]);
}

#[tokio::test]
async fn a_page_that_stays_and_one_for_a_change_are_the_callers_to_judge() {
    let page = || whole("200 OK", "Content-Type: text/html\r\n", "<html>sign in");
    let server = Server::start(vec![page(), page(), page(), page(), page()]).await;
    let client = client(quick());
    let read = client.call(get(&server.url("/")), 100).await.unwrap();
    assert!(read.looks_like_html());
    assert_eq!(server.seen().len(), 3, "as many as attempts");
    let change = client.call(post(&server.url("/")), 100).await.unwrap();
    assert!(change.looks_like_html());
    assert_eq!(
        server.seen().len(),
        4,
        "what may have been done is not repeated"
    );
}
