//! Statuses as a real run has them, for the tests of what is shown.

use crate::control::{InForce, Knob, LiveFacts, Outage, Override, Status};
use crate::ledger::{ClassCount, Facts, InHand, Owner, ProofCount, Run, StateCount};
use crate::types::{GIB, ItemId, MIB, RunId};

fn states() -> Vec<StateCount> {
    [
        ("done", 184, 7_000 * GIB),
        ("active", 2, 230 * GIB),
        ("planned", 207, 5_000 * GIB),
        ("waiting", 4, 90 * GIB),
        ("failed", 3, 12 * GIB),
        ("held", 2, 4 * GIB),
    ]
    .into_iter()
    .map(|(state, items, bytes)| StateCount {
        state: state.into(),
        items,
        bytes,
    })
    .collect()
}

fn class(state: &str, class: &str, reason: &str, items: u64, example: &str) -> ClassCount {
    ClassCount {
        state: state.into(),
        class: class.into(),
        reason: reason.into(),
        items,
        attempts: 8,
        next_at: jiff::Timestamp::now().as_millisecond() + 40_000,
        example: example.into(),
    }
}

fn hand(id: i64, title: &str, bytes: u64, confirmed: u64) -> InHand {
    InHand {
        id: ItemId(id),
        title: title.into(),
        bytes,
        confirmed,
    }
}

/// A run in the hands of a process.
pub(crate) fn at_work() -> Status {
    let now = jiff::Timestamp::now().as_millisecond();
    let run = Run {
        id: RunId(3),
        command: "archive".into(),
        arguments: "{}".into(),
        started: now - 11_560_000,
        ended: None,
        scan_done: true,
        scan_cursor: None,
        already_done: 12,
        left_out: 7,
        outcome: "running".into(),
    };
    let facts = Facts {
        states: states(),
        proofs: vec![
            ProofCount {
                proof: "read-back".into(),
                items: 171,
                bytes: 6_000 * GIB,
            },
            ProofCount {
                proof: "sent".into(),
                items: 13,
                bytes: 1_000 * GIB,
            },
        ],
        classes: vec![
            class(
                "failed",
                "re-sign",
                "other",
                3,
                "TV30_master_v7.mov: the storage refused the address (403)",
            ),
            class(
                "held",
                "item-is-wrong",
                "held",
                2,
                "the record is on hold: Legal 2026-11",
            ),
            class(
                "waiting",
                "retry-later",
                "locked",
                4,
                "reserved by Maria Meier",
            ),
        ],
        in_hand: vec![
            hand(4, "TV30_master_v7.mov", 218 * GIB, 133 * GIB),
            hand(5, "Social_cut_9x16_für_Österreich.mxf", 12 * GIB, 11 * GIB),
        ],
        confirmed_unfinished: 144 * GIB,
        blocked: 1,
        outbox: 0,
    };
    let live = LiveFacts {
        run: 3,
        pid: 4711,
        since: now - 11_560_000,
        seen: 402,
        confirmed: 7_144 * GIB,
        rate_now: 612 * MIB,
        rate_ten: Some(588 * MIB),
        limits: InForce {
            bandwidth: Some(700 * MIB),
            calls: (45, 45),
            uploads: (3, 3),
            streams: (32, 32),
            tuned: (3, 8),
        },
        overrides: vec![Override {
            knob: Knob::Bandwidth,
            value: 700 * MIB,
            until: Some(now + 3_600_000),
            by: "anna (uid 1000, process 99, `longhaul limit`)".into(),
        }],
        limited_by: Some("Content Server".into()),
        max_failures: Some(20),
        stopped_here: 5,
        ..LiveFacts::default()
    };
    // Its own fields are the ledger's; it is read as the lock file is.
    let owner: Owner = serde_json::from_value(serde_json::json!({
        "pid": 4711, "text": "longhaul archive, process 4711", "since": now, "alive": true, "ledger": "l",
    }))
    .unwrap();
    Status::new(run, Some(owner), facts, Some(live), now)
}

fn with(change: impl FnOnce(&mut LiveFacts)) -> Status {
    let mut status = at_work();
    change(status.live.as_mut().unwrap());
    status
}

/// Paused.
pub(crate) fn paused() -> Status {
    with(|live| live.paused = Some("anna (uid 1000, process 99, `longhaul pause`)".into()))
}

/// With Content Server away.
pub(crate) fn outage() -> Status {
    with(|live| {
        live.outages = vec![Outage {
            system: "destination".into(),
            since: jiff::Timestamp::now().as_millisecond() - 60_000,
            next_in: 40,
            asked: 4,
            error: "connection refused".into(),
            full: false,
        }];
    })
}

/// Of a process that died.
pub(crate) fn dead() -> Status {
    let mut status = at_work();
    (status.live, status.owner) = (None, None);
    status
}
