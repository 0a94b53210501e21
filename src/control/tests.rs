//! The socket from both ends, and the handle behind it.

use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use super::*;
use crate::flows::drive::Scan;
use crate::ledger::{Ledger, NewFile, NewItem, NewRun};
use crate::pace::{Calendar, Calls, Pace};
use crate::transfer::{Progress, Steer, Stop};
use crate::types::{MIB, RunId};

struct Rig {
    dir: tempfile::TempDir,
    ledger: Ledger,
    run: RunId,
    steer: Arc<Steer>,
    pace: Arc<Pace>,
    calls: Arc<Calls>,
    progress: Arc<Progress>,
    stop: Stop,
}

impl Rig {
    async fn new() -> Self {
        let dir = crate::ledger::tests::directory();
        let ledger = Ledger::open(&dir.path().join("l.db"), "archive").unwrap();
        let new = NewRun {
            command: "archive".into(),
            arguments: "{}".into(),
        };
        let run = ledger.start_run(new).await.unwrap();
        Self {
            dir,
            ledger,
            run,
            steer: Arc::new(Steer::alone(3, 32)),
            pace: Arc::new(Pace::new(Some(8 * MIB), Calendar::default())),
            calls: Arc::new(Calls::new(45)),
            progress: Arc::default(),
            stop: Stop::default(),
        }
    }

    fn live(&self, bounds: Bounds) -> Arc<Live> {
        let means = Means {
            ledger: self.ledger.clone(),
            run: self.run,
            steer: Arc::clone(&self.steer),
            pace: Arc::clone(&self.pace),
            calls: Arc::clone(&self.calls),
            stop: self.stop.clone(),
            progress: Arc::clone(&self.progress),
            scan: Arc::new(Scan::default()),
            outages: Box::new(Vec::new),
        };
        Live::new(means, bounds)
    }

    async fn steered(&self) -> Vec<serde_json::Value> {
        let lines = self.ledger.journal(None, None, 0, 100).await.unwrap();
        let lines = lines.iter().filter(|line| line.event == "steered");
        lines
            .map(|line| serde_json::from_str(&line.data).unwrap())
            .collect()
    }
}

fn anna() -> From {
    From {
        user: "anna".into(),
        command: "longhaul pause".into(),
        uid: 1,
        pid: 2,
    }
}

#[tokio::test]
async fn a_request_is_carried_out_and_journalled_with_who_asked() {
    let rig = Rig::new().await;
    let path = rig.ledger.path().to_owned();
    let server = serve(&path, rig.live(Bounds::default())).unwrap();
    let mode = std::fs::metadata(server.path()).unwrap().permissions();
    assert_eq!(mode.mode() & 0o777, 0o600);

    let mut client = Client::connect(&path).await.unwrap();
    let said = client
        .ask(Ask::Pause { until: None }, &anna())
        .await
        .unwrap();
    assert!(said.contains("paused") && rig.steer.is_paused(), "{said}");
    // A second asker is told who it was.
    let mut other = Client::connect(&path).await.unwrap();
    let said = other
        .ask(Ask::Pause { until: None }, &From::default())
        .await
        .unwrap();
    assert!(said.contains("already, by anna"), "{said}");
    let paused = client.facts().await.unwrap().paused.unwrap();
    let pid = std::process::id();
    assert!(
        paused.contains(&format!("process {pid}")),
        "the kernel's number: {paused}"
    );
    client.ask(Ask::Resume, &anna()).await.unwrap();
    assert!(rig.steer.is_open());

    let steered = rig.steered().await;
    let what: Vec<_> = steered.iter().map(|line| line["what"].clone()).collect();
    assert_eq!(what, ["pause", "resume"]);
    let by = steered[0]["by"].as_str().unwrap();
    let uid = rustix::process::geteuid().as_raw();
    assert!(
        by.contains("anna") && by.contains(&format!("uid {uid},")),
        "{by}"
    );

    drop(server);
    tokio::task::yield_now().await;
    let error = Client::connect(&path).await.unwrap_err();
    assert!(matches!(error, Error::Nobody { .. }), "{error}");
}

#[tokio::test]
async fn limits_never_pass_what_the_settings_allow_and_end_at_their_time() {
    let rig = Rig::new().await;
    let live = rig.live(Bounds::default());
    let set = |limits: Limits| {
        let live = Arc::clone(&live);
        async move { live.apply(&Ask::Limit(limits), &anna()).await }
    };
    let uploads = |n| Limits {
        uploads: Some(n),
        ..Limits::default()
    };
    let refused = set(uploads(4)).await.unwrap_err().to_string();
    assert!(refused.contains("content_server.uploads = 3"), "{refused}");
    let refused = set(uploads(0)).await.unwrap_err().to_string();
    assert!(refused.contains("longhaul pause"), "{refused}");
    let past = Limits {
        until: Some(1),
        ..uploads(1)
    };
    assert!(set(past).await.is_err());
    assert!(set(Limits::default()).await.is_err(), "none is named");
    assert_eq!(rig.steered().await.len(), 0, "a refusal is no change");

    let in_an_hour = jiff::Timestamp::now().as_millisecond() + 3_600_000;
    let limits = Limits {
        bandwidth: Some(2 * MIB),
        calls: Some(5),
        streams: Some(4),
        until: Some(in_an_hour),
        ..uploads(1)
    };
    set(limits).await.unwrap();
    let force = live.facts().limits;
    assert_eq!(force.bandwidth, Some(2 * MIB));
    assert_eq!(
        (force.calls, force.uploads, force.streams),
        ((5, 45), (1, 3), (4, 32))
    );
    assert_eq!(live.facts().overrides.len(), 4);
    live.tick(in_an_hour - 1).await;
    assert_eq!(rig.calls.per_second(), 5);
    live.tick(in_an_hour).await;
    let force = live.facts().limits;
    assert_eq!(force.bandwidth, Some(8 * MIB), "the settings' own");
    assert_eq!(
        (force.calls.0, force.uploads.0, force.streams.0),
        (45, 3, 32)
    );
    assert_eq!(live.facts().overrides, []);

    let limits = Limits {
        bandwidth: Some(0),
        ..Limits::default()
    };
    set(limits).await.unwrap();
    assert_eq!(
        rig.pace.limit(),
        None,
        "no limit at all, when a person says so"
    );
    live.apply(&Ask::Unlimit, &anna()).await.unwrap();
    assert_eq!(rig.pace.limit(), Some(8 * MIB));
    let what: Vec<_> = rig.steered().await;
    let what: Vec<_> = what.iter().map(|line| line["what"].clone()).collect();
    assert_eq!(what, ["limit", "limit-over", "limit", "unlimit"]);
}

#[tokio::test]
async fn limits_and_pauses_with_an_end_are_taken_up_by_the_next_process_until_then() {
    let rig = Rig::new().await;
    let live = rig.live(Bounds::default());
    let soon = jiff::Timestamp::now().as_millisecond() + 300;
    let in_an_hour = soon + 3_600_000;
    let limit = |limits| Ask::Limit(limits);
    let calls = limit(Limits {
        calls: Some(7),
        until: Some(in_an_hour),
        ..Limits::default()
    });
    live.apply(&calls, &anna()).await.unwrap();
    let uploads = limit(Limits {
        uploads: Some(2),
        until: Some(soon),
        ..Limits::default()
    });
    live.apply(&uploads, &anna()).await.unwrap();
    let streams = limit(Limits {
        streams: Some(4),
        ..Limits::default()
    });
    live.apply(&streams, &anna()).await.unwrap();
    let pause = Ask::Pause {
        until: Some(in_an_hour),
    };
    live.apply(&pause, &anna()).await.unwrap();
    drop(live);
    while jiff::Timestamp::now().as_millisecond() <= soon {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    let next = Rig {
        steer: Arc::new(Steer::alone(3, 32)),
        calls: Arc::new(Calls::new(45)),
        pace: Arc::clone(&rig.pace),
        progress: Arc::default(),
        stop: Stop::default(),
        ledger: rig.ledger.clone(),
        run: rig.run,
        dir: crate::ledger::tests::directory(),
    };
    let live = next.live(Bounds::default());
    let said = live.take_up().await.unwrap();
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(
        said[0].contains("7 calls") && said[0].contains("anna"),
        "{said:?}"
    );
    assert!(next.steer.is_paused());
    let facts = live.facts();
    let in_force = facts.limits;
    assert_eq!((in_force.calls.0, in_force.uploads.0), (7, 3));
    assert_eq!(facts.paused_until, Some(in_an_hour));
    live.tick(in_an_hour).await;
    assert!(next.steer.is_open(), "its time is over");
    assert_eq!(next.calls.per_second(), 45);
    assert_eq!(live.take_up().await.unwrap(), Vec::<String>::new());
    let what: Vec<_> = rig.steered().await;
    let what: Vec<_> = what.iter().map(|line| line["what"].clone()).collect();
    assert_eq!(
        what,
        [
            "limit",
            "limit",
            "limit",
            "pause",
            "limit-over",
            "taken-up",
            "limit-over",
            "resume"
        ]
    );
}

#[tokio::test]
async fn a_run_drains_at_its_bounds_and_says_which() {
    let bounds = [
        (
            Bounds {
                until: Some(1000),
                ..Bounds::default()
            },
            "--until",
        ),
        (
            Bounds {
                max_bytes: Some(10),
                ..Bounds::default()
            },
            "--max-bytes",
        ),
        (
            Bounds {
                max_failures: Some(2),
                ..Bounds::default()
            },
            "--max-failures 2: 2 items",
        ),
    ];
    for (bounds, word) in bounds {
        let rig = Rig::new().await;
        let live = rig.live(bounds);
        rig.progress.confirmed.store(9, Relaxed);
        rig.progress.items_stopped.store(1, Relaxed);
        live.tick(999).await;
        assert!(!rig.stop.drain.is_cancelled(), "{word}");
        rig.progress.confirmed.store(10, Relaxed);
        rig.progress.items_stopped.store(2, Relaxed);
        live.tick(1000).await;
        assert!(rig.stop.drain.is_cancelled() && !rig.stop.leave.is_cancelled());
        assert!(live.draining().unwrap().contains(word), "{word}");
        live.tick(1001).await;
        assert_eq!(rig.steered().await.len(), 1, "said once");
    }
}

#[tokio::test]
async fn retry_sends_back_by_class_and_refuses_what_makes_no_sense() {
    let rig = Rig::new().await;
    let item = |key: &str, class: &str, files: usize| NewItem {
        key: key.into(),
        kind: "document".into(),
        title: key.into(),
        name: key.into(),
        fingerprint: "f".into(),
        source: "{}".into(),
        refused: Some((class.into(), "other".into(), "no".into())),
        files: (0..files)
            .map(|i| NewFile {
                role: "master".into(),
                marker: format!("{key}{i}"),
                name: key.into(),
                size: 5,
                ..NewFile::default()
            })
            .collect(),
        ..NewItem::default()
    };
    let items = vec![
        item("a/1", "re-sign", 1),
        item("b/1", "item-is-wrong", 1),
        item("c/1", "re-sign", 0),
    ];
    rig.ledger.add_items(rig.run, items).await.unwrap();
    let live = rig.live(Bounds::default());
    let ask = |wanted: Retry| {
        let live = Arc::clone(&live);
        async move { live.apply(&Ask::Retry(wanted), &anna()).await }
    };
    let class = |class: &str| Retry {
        class: Some(class.into()),
        ..Retry::default()
    };
    let refused = ask(class("resign")).await.unwrap_err().to_string();
    assert!(refused.contains("re-sign"), "{refused}");
    let key = |key: &str| Retry {
        keys: vec!["b/1".into(), key.into()],
        ..Retry::default()
    };
    assert!(ask(key("z/9")).await.is_err());
    let refused = ask(key("c/1")).await.unwrap_err().to_string();
    assert!(refused.contains("could not be planned"), "{refused}");
    let state = |key: &str| {
        let (ledger, key) = (rig.ledger.clone(), key.to_owned());
        async move { ledger.item_by_key(&key).await.unwrap().unwrap().state }
    };
    assert_eq!(state("b/1").await, "parked", "all or none");

    let (said, _) = ask(class("re-sign")).await.unwrap();
    assert!(
        said.starts_with("1 item ") && said.contains("1 could not be planned"),
        "{said}"
    );
    assert_eq!(
        (state("a/1").await, state("b/1").await),
        ("planned".into(), "parked".into())
    );
    ask(Retry {
        keys: vec!["b/1".into()],
        ..Retry::default()
    })
    .await
    .unwrap();
    assert_eq!(state("b/1").await, "planned");
    let last = rig.steered().await.pop().unwrap();
    assert_eq!(last["keys"], serde_json::json!(["b/1"]));
}

#[tokio::test]
async fn what_is_no_request_is_answered_and_what_is_too_long_is_not_read() {
    let rig = Rig::new().await;
    let path = rig.ledger.path().to_owned();
    let server = serve(&path, rig.live(Bounds::default())).unwrap();
    let talk = |bytes: Vec<u8>| {
        let socket = server.path().to_owned();
        async move {
            let mut stream = UnixStream::connect(socket).await.unwrap();
            // It may hang up before everything is written.
            let _cut = stream.write_all(&bytes).await;
            let mut answer = vec![0; 4096];
            let got = stream.read(&mut answer).await.unwrap_or(0);
            String::from_utf8(answer[..got].to_vec()).unwrap()
        }
    };
    let said = talk(b"hello\n".to_vec()).await;
    assert!(said.contains("\"ok\":false"), "{said}");
    let said = talk(b"{\"v\":2,\"do\":\"fly\"}\n".to_vec()).await;
    assert!(said.contains("version 1"), "{said}");
    let said = talk(b"{\"v\":1,\"do\":\"fly\"}\n".to_vec()).await;
    assert!(said.contains("cannot be read"), "{said}");
    let said = talk(vec![b'x'; 70_000]).await;
    assert!(said.is_empty() || said.contains("longer than"), "{said}");
    // It still answers others.
    let mut client = Client::connect(&path).await.unwrap();
    assert_eq!(client.facts().await.unwrap().run, rig.run.0);
}

#[tokio::test]
async fn a_dead_process_s_socket_is_replaced_and_anything_else_is_left_alone() {
    let rig = Rig::new().await;
    let ledger = rig.ledger.path().to_owned();
    let socket = socket_of(&ledger);
    drop(tokio::net::UnixListener::bind(&socket).unwrap());
    assert!(matches!(
        Client::connect(&ledger).await,
        Err(Error::Nobody { .. })
    ));
    let server = serve(&ledger, rig.live(Bounds::default())).unwrap();
    assert!(Client::connect(&ledger).await.is_ok());
    drop(server);
    assert!(!socket.exists());

    std::fs::write(&socket, "mine").unwrap();
    let error = serve(&ledger, rig.live(Bounds::default())).unwrap_err();
    assert!(error.to_string().contains("no socket"), "{error}");
    assert_eq!(std::fs::read(&socket).unwrap(), b"mine");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_in_hand_is_answered_before_the_socket_is_gone() {
    for _ in 0..50 {
        let rig = Rig::new().await;
        let path = rig.ledger.path().to_owned();
        let live = rig.live(Bounds::default());
        let server = serve(&path, Arc::clone(&live)).unwrap();
        let mut client = Client::connect(&path).await.unwrap();
        let drained = tokio::spawn(async move {
            let ask = Ask::Drain { now: true };
            client.ask(ask, &From::default()).await
        });
        while live.draining().is_none() {
            tokio::task::yield_now().await;
        }
        server.close().await;
        assert!(drained.await.unwrap().is_ok());
    }
}

#[tokio::test]
async fn a_ledger_deep_in_folders_has_a_socket_too() {
    let rig = Rig::new().await;
    let deep = rig.dir.path().join("f".repeat(90)).join("g".repeat(90));
    std::fs::create_dir_all(&deep).unwrap();
    let ledger = deep.join("l.db");
    let server = serve(&ledger, rig.live(Bounds::default())).unwrap();
    let found = std::fs::symlink_metadata(server.path()).unwrap();
    assert!(found.file_type().is_socket());
    assert!(Client::connect(&ledger).await.is_ok());
}

#[test]
fn nobody_but_the_owner_and_root_may_steer() {
    assert!(server::may_steer(1000, 1000) && server::may_steer(0, 1000));
    assert!(!server::may_steer(1001, 1000) && !server::may_steer(1000, 0));
}

#[test]
fn time_left_is_said_only_when_it_means_something() {
    let count = |state: &str, items, bytes| crate::ledger::StateCount {
        state: state.into(),
        items,
        bytes,
    };
    let run = crate::ledger::Run {
        id: RunId(1),
        command: "archive".into(),
        arguments: "{}".into(),
        started: 0,
        ended: None,
        scan_done: true,
        scan_cursor: None,
        already_done: 0,
        left_out: 0,
        outcome: "running".into(),
    };
    let facts = crate::ledger::Facts {
        states: vec![
            count("done", 1, 1000),
            count("planned", 1, 3000),
            count("failed", 1, 500),
        ],
        confirmed_unfinished: 1000,
        ..Default::default()
    };
    let live = LiveFacts {
        run: 1,
        rate_now: 20,
        rate_ten: Some(10),
        ..LiveFacts::default()
    };
    let status = |live: Option<LiveFacts>| Status::new(run.clone(), None, facts.clone(), live, 0);
    let left = status(Some(live.clone())).left().unwrap();
    assert_eq!(left, (Duration::from_secs(95), Duration::from_secs(250)));
    let none = [
        LiveFacts {
            scanning: true,
            ..live.clone()
        },
        LiveFacts {
            rate_ten: None,
            ..live.clone()
        },
        LiveFacts {
            rate_ten: Some(0),
            ..live.clone()
        },
        LiveFacts {
            paused: Some("anna".into()),
            ..live.clone()
        },
        LiveFacts {
            closed_until: Some(5),
            ..live.clone()
        },
        LiveFacts {
            draining: Some("anna".into()),
            ..live.clone()
        },
        LiveFacts {
            run: 2,
            ..live.clone()
        },
    ];
    for live in none {
        assert_eq!(status(Some(live.clone())).left(), None, "{live:?}");
    }
    let dead = status(None);
    assert_eq!((dead.left(), dead.doing()), (None, Doing::Gone));
    assert_eq!((dead.confirmed(), dead.bytes_total()), (2000, 4500));
    assert_eq!(dead.json()["bytes_per_second"], serde_json::Value::Null);
}
