use std::sync::Mutex;

use futures::StreamExt;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::simulator::faults::{Action, Rule};
use crate::simulator::testing::{get, send};

/// Answers every request with the length of its body, and remembers the bodies.
struct Echo(Mutex<Vec<Result<Vec<u8>, String>>>);

impl Echo {
    fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(Vec::new())))
    }

    fn seen(&self) -> Vec<Result<Vec<u8>, String>> {
        self.0.lock().unwrap().clone()
    }
}

impl Service for Echo {
    fn name(&self) -> &'static str {
        "echo"
    }

    fn call(self: Arc<Self>, mut exchange: Exchange) -> BoxFuture<'static, Reply> {
        Box::pin(async move {
            if exchange.path() == "/hang" {
                std::future::pending::<()>().await;
            }
            let body = exchange.body.read_all(1 << 20).await;
            let body = body.map(|b| b.to_vec()).map_err(|e| e.to_string());
            self.0.lock().unwrap().push(body.clone());
            if exchange.path() == "/stream" {
                let frames = (0..10).map(|n| Ok(bytes::Bytes::from(vec![n; 100])));
                return Reply::stream(Some(1000), futures::stream::iter(frames).boxed());
            }
            if exchange.headers.contains_key("range") {
                return Reply::text(206, "01").header("content-range", "bytes 0-1/10");
            }
            Reply::text(200, "0123456789").header("etag", "\"one\"")
        })
    }
}

async fn echo(rules: Vec<Rule>) -> (Server, Arc<Echo>, History) {
    let service = Echo::new();
    let config = Config::new(System::Bucket);
    for rule in rules {
        config.faults.add(rule);
    }
    let history = config.history.clone();
    let server = Server::start(config, service.clone()).await.unwrap();
    (server, service, history)
}

#[tokio::test]
async fn an_exchange_without_faults_is_answered_and_logged_without_its_query() {
    let (server, service, history) = echo(vec![]).await;
    let url = format!("{}/a/b?secret=1", server.url());
    let got = send("POST", &url, &[], "hello").await.unwrap();
    assert_eq!((got.status, got.text().as_str()), (200, "0123456789"));
    assert_eq!(got.header("content-length"), Some("10"));
    assert_eq!(service.seen(), [Ok(b"hello".to_vec())]);
    let records = history.of(System::Bucket);
    assert_eq!(records.len(), 1);
    let record = &records[0];
    assert_eq!((record.path.as_str(), record.status), ("/a/b", Some(200)));
    assert_eq!((record.request_bytes, record.reply_bytes), (5, 10));
    assert_eq!(server.moved(), 15);
    server.stop().await;
}

#[tokio::test]
async fn a_body_is_cut_after_exactly_so_many_bytes_at_every_offset() {
    for after in [0, 1, 99, 100, 101, 550, 999] {
        let (server, _, _) = echo(vec![Rule::new(Action::CutBody { after })]).await;
        let got = get(&format!("{}/stream", server.url())).await.unwrap();
        assert!(got.broken);
        assert_eq!(got.body.len() as u64, after);
        assert_eq!(got.header("content-length"), Some("1000"));
    }
}

#[tokio::test]
async fn a_reset_shows_as_a_reset_before_or_inside_the_reply() {
    for (after, applied, worked) in [(None, false, 0), (None, true, 1), (Some(250), false, 1)] {
        let rule = Rule::new(Action::Reset { after, applied });
        let (server, service, _) = echo(vec![rule]).await;
        let mut stream = TcpStream::connect(server.address()).await.unwrap();
        stream
            .write_all(b"GET /stream HTTP/1.1\r\nhost: x\r\n\r\n")
            .await
            .unwrap();
        let mut read = Vec::new();
        let error = stream.read_to_end(&mut read).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        assert_eq!(service.seen().len(), worked, "{after:?} {applied}");
        if let Some(after) = after {
            let head = read.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
            assert_eq!((read.len() - head) as u64, after);
        }
    }
}

#[tokio::test]
async fn a_dropped_reply_leaves_the_work_done_and_a_refusal_does_not() {
    let status = |applied| Action::Status {
        code: 503,
        headers: [("retry-after".to_owned(), "7".to_owned())].into(),
        body: "{}".to_owned(),
        applied,
        read_body: true,
    };
    for (action, answer, worked) in [
        (Action::DropReply, None, 1),
        (status(false), Some((503, "{}")), 0),
        (status(true), Some((503, "{}")), 1),
        (
            Action::Empty2xx {
                code: 201,
                applied: true,
            },
            Some((201, "")),
            1,
        ),
        (
            Action::Html {
                code: 200,
                body: Some("<p>".to_owned()),
                applied: false,
            },
            Some((200, "<p>")),
            0,
        ),
    ] {
        let (server, service, _) = echo(vec![Rule::new(action.clone())]).await;
        let url = format!("{}/", server.url());
        let got = send("PUT", &url, &[], "x").await;
        match answer {
            None => assert!(got.is_err()),
            Some((code, body)) => {
                let got = got.unwrap();
                assert_eq!(
                    (got.status, got.text().as_str()),
                    (code, body),
                    "{action:?}"
                );
            }
        }
        assert_eq!(service.seen().len(), worked, "{action:?}");
        // The next request meets a healthy server again.
        assert_eq!(get(&url).await.unwrap().status, 200);
    }
}

#[tokio::test]
async fn heads_and_bodies_can_lie() {
    let rules = vec![
        Rule::new(Action::FlipBit {
            at: 3,
            request: false,
        }),
        Rule::new(Action::FlipBit {
            at: 1,
            request: true,
        }),
        Rule::new(Action::ChangeEtag { value: None }),
        Rule::new(Action::EncodedBody {
            encoding: "gzip".to_owned(),
        }),
        Rule::new(Action::Header {
            name: "x-extra".to_owned(),
            value: Some("1".to_owned()),
        }),
        Rule::new(Action::ExtraBody { bytes: 2 }),
        Rule::new(Action::WrongLength { delta: 5 }).nth(2),
        Rule::new(Action::IgnoreRange).nth(3),
        Rule::new(Action::WrongContentRange { value: None }).nth(4),
        Rule::new(Action::WrongLength { delta: -4 }).nth(5),
    ];
    let (server, service, _) = echo(rules).await;
    let url = format!("{}/", server.url());
    let got = send("PUT", &url, &[], "abc").await.unwrap();
    assert_eq!(got.text(), "0122456789++");
    assert_eq!(service.seen(), [Ok(b"acc".to_vec())]);
    assert_eq!(got.header("etag"), Some("\"one-changed\""));
    assert_eq!(got.header("content-encoding"), Some("gzip"));
    assert_eq!(got.header("x-extra"), Some("1"));
    assert_eq!(got.header("content-length"), Some("12"));
    let longer = get(&url).await.unwrap();
    assert!(longer.broken);
    assert_eq!(longer.header("content-length"), Some("15"));
    let ranged = [("range", "bytes=0-1")];
    assert_eq!(send("GET", &url, &ranged, "").await.unwrap().status, 200);
    let shifted = send("GET", &url, &ranged, "").await.unwrap();
    assert_eq!(shifted.header("content-range"), Some("bytes 1-2/10"));
    let shorter = get(&url).await.unwrap();
    assert_eq!(shorter.text(), "012345");
}

#[tokio::test]
async fn a_cut_request_body_breaks_for_both_sides() {
    let rule = Rule::new(Action::CutRequest {
        after: 0,
        reset: false,
    });
    let (server, service, _) = echo(vec![rule]).await;
    let got = send("PUT", &format!("{}/", server.url()), &[], "abc").await;
    assert!(got.is_err());
    assert!(service.seen()[0].is_err());
}

#[tokio::test]
async fn work_that_outlives_the_request_limit_is_dropped_without_a_reply() {
    let config = Config {
        request_limit: Some(Duration::from_millis(40)),
        ..Config::new(System::ContentServer)
    };
    let history = config.history.clone();
    let server = Server::start(config, Echo::new()).await.unwrap();
    assert!(get(&format!("{}/hang", server.url())).await.is_err());
    let record = &history.records()[0];
    assert_eq!((record.status, record.done), (None, true));
}

#[tokio::test]
async fn work_goes_on_when_the_client_leaves() {
    let delay = Rule::new(Action::Delay {
        ms: 30,
        applied: false,
    });
    let (server, service, _) = echo(vec![delay]).await;
    // The delay sits before the work; a client that leaves during it is never served, one that
    // leaves after the request reached the service is.
    let (done, finished) = tokio::sync::oneshot::channel();
    let done = Mutex::new(Some(done));
    let slow = FnService::new("slow", move |_| {
        let done = done.lock().unwrap().take();
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(30)).await;
            done.unwrap().send(()).unwrap();
            Reply::new(200)
        })
    });
    let slow_server = Server::start(Config::new(System::ContentServer), slow)
        .await
        .unwrap();
    let mut stream = TcpStream::connect(slow_server.address()).await.unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    tokio::time::timeout(Duration::from_millis(10), stream.read_u8())
        .await
        .unwrap_err();
    drop(stream);
    finished.await.unwrap();
    assert!(service.seen().is_empty());
    drop(server);
}

#[tokio::test]
async fn a_stalled_body_moves_on_after_its_silence() {
    let rules = vec![
        Rule::new(Action::StallBody {
            after: 150,
            ms: Some(5),
        }),
        Rule::new(Action::StallRequest {
            after: 0,
            ms: Some(5),
        }),
        Rule::new(Action::Trickle {
            bytes_per_second: 100_000,
            after: 500,
        }),
    ];
    let (server, service, history) = echo(rules).await;
    let got = send("PUT", &format!("{}/stream", server.url()), &[], "abc")
        .await
        .unwrap();
    assert_eq!(got.body.len(), 1000);
    assert!(!got.broken);
    assert_eq!(service.seen(), [Ok(b"abc".to_vec())]);
    assert_eq!(
        history.records()[0].faults,
        ["stall_body", "stall_request", "trickle"]
    );
}

#[tokio::test]
async fn a_cap_lets_connections_wait_and_serves_them_all() {
    let config = Config::new(System::Bucket);
    config.link.set(LinkSettings {
        connections: Some(1),
        latency_ms: 1,
        total: Some(1_000_000),
        ..LinkSettings::default()
    });
    let server = Server::start(config, Echo::new()).await.unwrap();
    let url = format!("{}/stream", server.url());
    let all = futures::future::join_all((0..5).map(|_| get(&url))).await;
    assert!(
        all.iter()
            .all(|got| got.as_ref().unwrap().body.len() == 1000)
    );
}

#[tokio::test]
async fn a_head_reply_may_announce_a_length_and_has_no_body() {
    let service = FnService::new("head", |_| {
        Box::pin(async { Reply::new(200).header("content-length", "1234") })
    });
    let server = Server::start(Config::new(System::Bucket), service)
        .await
        .unwrap();
    let got = send("HEAD", &format!("{}/", server.url()), &[], "")
        .await
        .unwrap();
    assert_eq!(
        (got.header("content-length"), got.body.len()),
        (Some("1234"), 0)
    );
}

#[tokio::test]
async fn named_faults_reach_the_service() {
    let service = FnService::new("named", |exchange: Exchange| {
        Box::pin(async move {
            let named = exchange.faults.named("full").cloned();
            let late = exchange.faults.apply_late();
            Reply::json(
                200,
                &json!([
                    named,
                    late.map(|l| l.as_millis()),
                    exchange.faults.expire_url()
                ]),
            )
        })
    });
    let config = Config::new(System::ContentServer);
    for action in [
        Action::named("full"),
        Action::ApplyLate { ms: 9 },
        Action::ExpireUrl,
    ] {
        config.faults.add(Rule::new(action));
    }
    let server = Server::start(config, service).await.unwrap();
    let got = get(&format!("{}/", server.url())).await.unwrap();
    assert_eq!(got.json(), json!([null, 9, true]));
    assert_eq!(got.header("content-type"), Some("application/json"));
}
