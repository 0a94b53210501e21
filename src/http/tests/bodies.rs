//! Bodies in both directions: cut, stalled, slow, too long, too short, encoded.

use std::time::Duration;

use ::http::StatusCode;
use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};

use super::super::{Body, Config, Direction, Error, Repeat, Request};
use super::server::{Server, Step, answer, whole};
use super::{client, get, post, quick};
use crate::types::{Failure, FailureClass, Reason};

fn streamed(len: u64, items: Vec<Result<&'static str, Failure>>) -> Body {
    Body::Stream {
        len,
        stream: stream::iter(items)
            .map_ok(|text| Bytes::from_static(text.as_bytes()))
            .boxed(),
    }
}

/// `len` zeros, made as they are asked for.
fn zeros(len: u64) -> Body {
    const FRAME: u64 = 1 << 20;
    let frames = stream::iter(0..len.div_ceil(FRAME)).map(move |n| {
        let size = FRAME.min(len - n * FRAME);
        Ok(Bytes::from(vec![0; usize::try_from(size).unwrap()]))
    });
    Body::Stream {
        len,
        stream: frames.boxed(),
    }
}

async fn received(script: Vec<Step>, config: Config) -> (Vec<u8>, Option<Error>) {
    received_exactly(script, config, None).await
}

async fn received_exactly(
    script: Vec<Step>,
    config: Config,
    len: Option<u64>,
) -> (Vec<u8>, Option<Error>) {
    let server = Server::start(vec![script]).await;
    let response = client(config).send(get(&server.url("/"))).await.unwrap();
    let mut stream = match len {
        Some(len) => response.exactly(len),
        None => response.stream(),
    };
    let mut bytes = Vec::new();
    while let Some(frame) = stream.next().await {
        match frame {
            Ok(frame) => bytes.extend_from_slice(&frame),
            Err(error) => return (bytes, Some(error)),
        }
    }
    (bytes, None)
}

#[tokio::test]
async fn a_body_that_is_cut_anywhere_is_an_error() {
    for cut in [0, 1, 511, 1023] {
        let mut script = answer("HTTP/1.1 200 OK\r\nContent-Length: 1024\r\n\r\n");
        script.extend([Step::Write(vec![b'x'; cut]), Step::Close]);
        let (bytes, error) = received(script, quick()).await;
        assert!(bytes.len() <= cut);
        assert!(
            matches!(error, Some(Error::Incomplete { .. })),
            "{cut}: {error:?}"
        );
    }
    let mut chunked = answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    chunked.push(Step::Close);
    let (_, error) = received(chunked, quick()).await;
    assert!(error.is_some(), "the last chunk was missing");
}

#[tokio::test]
async fn a_reset_in_the_middle_of_a_body_is_an_error() {
    let mut script = answer("HTTP/1.1 200 OK\r\nContent-Length: 1024\r\n\r\nsome");
    script.push(Step::Reset);
    let (_, error) = received(script, quick()).await;
    let failure = error.unwrap().into_failure();
    assert_eq!(
        (failure.class, failure.reason),
        (FailureClass::RetryNow, Reason::Ambiguous)
    );
}

#[tokio::test]
async fn surplus_bytes_never_come_out_and_their_connection_is_dropped() {
    let surplus = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\n\r\nevil";
    let server = Server::start(vec![answer(surplus), whole("200 OK", "", "fine")]).await;
    let client = client(quick());
    for expected in ["hello", "fine"] {
        let response = client.send(get(&server.url("/"))).await.unwrap();
        assert_eq!(response.bytes(100).await.unwrap(), expected);
    }
    assert_eq!(server.accepted(), 2);
}

#[tokio::test]
async fn exactly_the_expected_bytes_come_or_an_error_before_the_last_of_them() {
    let plain = |headers: &str, body: &str| {
        let mut script = answer(format!("HTTP/1.1 200 OK\r\n{headers}\r\n{body}"));
        script.push(Step::Close);
        script
    };
    let chunked = "Transfer-Encoding: chunked\r\n";
    // Announced, chunked and ended by the connection, of the right length.
    for script in [
        plain("Content-Length: 5\r\n", "hello"),
        plain(chunked, "2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"),
        plain("", "hello"),
    ] {
        let (bytes, error) = received_exactly(script, quick(), Some(5)).await;
        assert_eq!(bytes, b"hello");
        assert!(error.is_none(), "{error:?}");
    }
    for script in [
        plain("Content-Length: 6\r\n", "hello!"),
        plain("Content-Length: 4\r\n", "hell"),
        plain(chunked, "2\r\nhe\r\n3\r\nllo\r\n1\r\n!\r\n0\r\n\r\n"),
        plain(chunked, "4\r\nhell\r\n0\r\n\r\n"),
        plain("", "hello!"),
        plain("", "hell"),
    ] {
        let (bytes, error) = received_exactly(script, quick(), Some(5)).await;
        assert!(bytes.len() < 5, "{bytes:?}");
        assert!(
            matches!(error, Some(Error::WrongLength { expected: 5, .. })),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn a_stalled_body_is_given_up() {
    let mut script = answer("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
    script.push(Step::Silence);
    let config = Config {
        stall_timeout: Duration::from_millis(50),
        ..quick()
    };
    let (bytes, error) = received(script, config).await;
    assert_eq!(bytes, b"hello");
    assert!(
        matches!(
            error,
            Some(Error::Stall {
                direction: Direction::Receiving,
                ..
            })
        ),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_trickling_body_is_given_up_though_it_never_stalls() {
    let mut script = answer("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
    script.push(Step::Trickle(Duration::from_millis(2)));
    let config = Config {
        progress_window: Duration::from_millis(50),
        min_bytes_per_minute: 60 << 20,
        ..quick()
    };
    let (_, error) = received(script, config).await;
    assert!(
        matches!(
            error,
            Some(Error::Trickle {
                direction: Direction::Receiving,
                ..
            })
        ),
        "{error:?}"
    );
}

#[tokio::test]
async fn an_encoded_body_is_refused_before_its_first_byte() {
    let gzip =
        answer("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\u{8}ab");
    let (bytes, error) = received(gzip, quick()).await;
    assert!(bytes.is_empty());
    assert!(matches!(error, Some(Error::Encoded { .. })), "{error:?}");
    let identity =
        answer("HTTP/1.1 200 OK\r\nContent-Encoding: Identity\r\nContent-Length: 4\r\n\r\nabcd");
    assert_eq!(received(identity, quick()).await.0, b"abcd");
}

#[tokio::test]
async fn a_body_beyond_the_callers_limit_is_refused() {
    let chunked =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n3\r\n!!!\r\n0\r\n\r\n";
    for script in [whole("200 OK", "", "hello!!!"), answer(chunked)] {
        let server = Server::start(vec![script]).await;
        let response = client(quick()).send(get(&server.url("/"))).await.unwrap();
        let error = response.bytes(7).await.unwrap_err();
        assert!(
            matches!(error, Error::BodyTooLarge { limit: 7, .. }),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_streamed_body_arrives_whole_with_its_length() {
    let server = Server::start(vec![whole("200 OK", "", "")]).await;
    let request = post(&server.url("/")).body(zeros(3_000_001));
    assert!(client(quick()).send(request).await.is_ok());
    let seen = &server.seen()[0];
    assert!(
        seen.head.contains("content-length: 3000001\r\n"),
        "{}",
        seen.head
    );
    assert_eq!(seen.body.len(), 3_000_001);
}

#[tokio::test]
async fn a_streamed_body_of_the_wrong_length_never_makes_a_whole_request() {
    for (len, items) in [
        (8, vec![Ok("hello"), Ok("ab")]),
        (6, vec![Ok("hello"), Ok("ab")]),
        (5, vec![Ok("hello"), Ok("ab")]),
        (4, vec![Ok("hello")]),
    ] {
        let server = Server::start(vec![whole("200 OK", "", "")]).await;
        let request = post(&server.url("/")).body(streamed(len, items));
        let error = client(quick()).send(request).await.unwrap_err();
        assert!(
            matches!(error, Error::BodyLength { expected, .. } if expected == len),
            "{len}: {error}"
        );
        for seen in server.seen() {
            assert!((seen.body.len() as u64) < len, "{len}: {seen:?}");
        }
    }
}

#[tokio::test]
async fn a_failing_source_cuts_the_request_and_its_failure_comes_back() {
    let server = Server::start(vec![whole("200 OK", "", "")]).await;
    let failure = Failure::item(Reason::SourceChanged, "the source changed at byte 5");
    let body = streamed(10, vec![Ok("hello"), Err(failure)]);
    let error = client(quick())
        .send(post(&server.url("/")).body(body))
        .await
        .unwrap_err();
    let failure = error.into_failure();
    assert_eq!(failure.reason, Reason::SourceChanged);
    assert_eq!(failure.message, "the source changed at byte 5");
}

#[tokio::test]
async fn a_stream_is_never_sent_twice() {
    let server = Server::start(vec![vec![Step::Read, Step::Reset], whole("200 OK", "", "")]).await;
    let request = post(&server.url("/")).body(streamed(5, vec![Ok("hello")]));
    let error = client(quick())
        .send(request.repeat(Repeat::Safe))
        .await
        .unwrap_err();
    assert!(!error.not_sent(), "{error}");
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_server_that_stops_reading_is_a_stall_while_sending() {
    let server = Server::start(vec![vec![Step::ReadHead, Step::Hold]]).await;
    let config = Config {
        stall_timeout: Duration::from_millis(100),
        ..quick()
    };
    let request = post(&server.url("/")).body(zeros(256 << 20));
    let error = client(config).send(request).await.unwrap_err();
    assert!(!error.not_sent(), "{error}");
    assert!(
        matches!(
            error,
            Error::Stall {
                direction: Direction::Sending,
                ..
            }
        ),
        "{error}"
    );
}

#[tokio::test]
async fn a_slow_source_does_not_run_the_servers_clock() {
    let server = Server::start(vec![whole("200 OK", "", "")]).await;
    let config = Config {
        first_byte_timeout: Duration::from_millis(100),
        stall_timeout: Duration::from_millis(100),
        progress_window: Duration::from_millis(100),
        min_bytes_per_minute: 60 << 20,
        ..quick()
    };
    let slow = stream::iter(["hel", "lo"]).then(|text| async move {
        tokio::time::sleep(Duration::from_millis(400)).await;
        Ok(Bytes::from_static(text.as_bytes()))
    });
    let body = Body::Stream {
        len: 5,
        stream: slow.boxed(),
    };
    let response = client(config)
        .send(post(&server.url("/")).body(body))
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(server.seen()[0].body, b"hello");
}

#[tokio::test]
async fn a_refusal_that_overtakes_the_body_is_read_and_a_success_that_does_is_not_believed() {
    let refusal = "HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig";
    let server = Server::start(vec![vec![
        Step::ReadHead,
        Step::Write(refusal.into()),
        Step::Silence,
    ]])
    .await;
    let endless = || Body::Stream {
        len: 1 << 40,
        stream: stream::iter(std::iter::repeat_with(|| {
            Ok(Bytes::from_static(&[0; 65536]))
        }))
        .boxed(),
    };
    let response = client(quick())
        .send(post(&server.url("/")).body(endless()))
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(response.bytes(10).await.unwrap(), "big");

    let server = Server::start(vec![vec![
        Step::ReadHead,
        Step::Write("HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}".into()),
        Step::Silence,
    ]])
    .await;
    let error = client(quick())
        .send(post(&server.url("/")).body(endless()))
        .await
        .unwrap_err();
    assert_eq!(error.into_failure().reason, Reason::Ambiguous);
}

async fn expecting(script: Vec<Step>) -> (Server, Result<super::super::Response, Error>) {
    let server = Server::start(vec![script]).await;
    let request: Request = post(&server.url("/")).expect_continue();
    let response = client(quick())
        .send(request.body(streamed(5, vec![Ok("hello")])))
        .await;
    (server, response)
}

#[tokio::test]
async fn the_body_waits_until_the_server_agrees() {
    let (server, response) = expecting(vec![
        Step::ReadHead,
        Step::Write("HTTP/1.1 100 Continue\r\n\r\n".into()),
        Step::ReadBody(5),
        Step::Write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".into()),
    ])
    .await;
    assert_eq!(response.unwrap().status(), StatusCode::OK);
    let seen = &server.seen()[0];
    assert!(seen.head.contains("expect: 100-continue\r\n"));
    assert_eq!(seen.body, b"hello");

    let (server, response) = expecting(vec![
        Step::ReadHead,
        Step::Write("HTTP/1.1 401 No\r\nContent-Length: 2\r\n\r\n{}".into()),
        Step::Silence,
    ])
    .await;
    let response = response.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(response.bytes(10).await.unwrap(), "{}");
    assert_eq!(server.seen()[0].body, b"");
}
