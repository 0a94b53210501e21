//! What holds for any plan, any window and any order of troubles.

use futures::StreamExt;
use proptest::prelude::*;
use std::sync::atomic::Ordering::SeqCst;

use super::fetch::Reader;
use super::pieces::PIECE;
use super::*;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_retry_waits_at_most_the_doubled_first_wait_and_never_above_the_cap(
        attempt in 0u32..100,
        first in 0u64..60_000,
    ) {
        let config = Config {
            first_backoff: Duration::from_millis(first),
            ..Config::new(STAGING)
        };
        let ceiling = config
            .first_backoff
            .saturating_mul(1 << attempt.saturating_sub(1).min(16))
            .min(Duration::from_secs(30));
        let wait = config.backoff(attempt);
        prop_assert!(wait <= ceiling && wait <= Duration::from_secs(30), "{wait:?}");
        prop_assert!(wait >= ceiling.mul_f64(0.049), "never at once: {wait:?} of {ceiling:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn ranges_read_ahead_come_out_in_order_and_never_beyond_the_window(
        start in 0u64..3 * MIB,
        len in 0u64..70 * MIB,
        window in 0u64..5 * PIECE,
        cuts in 0u32..4,
    ) {
        let rig = Rig::new(MIB);
        *rig.source.cuts.lock().unwrap() = (3_000_001, cuts);
        let size = start + len + 1;
        runtime().block_on(async {
            let ledger = rig.ledger();
            let engine = rig.engine(&ledger);
            let file = SourceFile {
                locator: format!("7:{size}"),
                name: "a.mov".into(),
                size,
            };
            let pin = rig.source.open(&file).await.unwrap().validator;
            let reader = Reader::new(Arc::clone(&engine.shared), file, pin);
            let range = ByteRange::new(start, start + len);
            let mut chunks = reader.ordered(range, window, PIECE);
            let mut at = start;
            while let Some(chunk) = chunks.next().await {
                let chunk = chunk.unwrap();
                let end = at + chunk.len() as u64;
                assert!(!chunk.is_empty() && end <= range.end);
                assert!(chunk == content(7, ByteRange::new(at, end)), "bytes at {at}");
                at = end;
                // What is asked for and not yet handed on; below two pieces it is one request.
                if cuts == 0 && window >= 2 * PIECE && range.len() > PIECE {
                    let asked = rig.source.bytes.load(SeqCst);
                    assert!(asked <= at - start + window, "{asked} bytes were asked for");
                }
            }
            assert_eq!(at, range.end, "the range is complete");
        });
    }

    #[test]
    fn items_and_bytes_are_conserved_whatever_goes_wrong(
        sizes in proptest::collection::vec(prop_oneof![0u64..3_000, MIB..2 * MIB + 9, 3 * MIB..5 * MIB], 1..6),
        troubles in proptest::collection::vec(
            (
                prop::sample::select(vec!["send_part", "close_session", "create_document", "describe", "publish", "open_session"]),
                prop::sample::select(vec![Trouble::ReplyLost, Trouble::Refused, Trouble::SessionGone, Trouble::Vanished]),
            ),
            0..6,
        ),
        expired in 0u64..3,
        cuts in 0u32..4,
    ) {
        let mut rig = Rig::new(MIB);
        rig.config.attempts = 3;
        rig.config.commit_quiet = Duration::from_millis(5);
        *rig.destination.trouble.lock().unwrap() = troubles;
        *rig.source.cuts.lock().unwrap() = (200_000, cuts);
        rig.source.expired.store(expired, SeqCst);
        let items: Vec<_> = (1u64..)
            .zip(&sizes)
            .map(|(seed, &size)| item(&format!("{}.mov", "x".repeat(usize::try_from(seed).unwrap())), seed, size))
            .collect();
        runtime().block_on(async {
            let ledger = rig.ledger();
            let run = rig.plan(&ledger, items).await;
            let outcome = rig.engine(&ledger).run(run, || false).await;
            assert!(matches!(outcome, Outcome::Finished), "{outcome:?}");
            let summary = ledger.summary(run).await.unwrap();
            assert_eq!(summary.iter().map(|count| count.items).sum::<u64>(), sizes.len() as u64);
            assert_eq!(summary.iter().map(|count| count.bytes).sum::<u64>(), sizes.iter().sum::<u64>());
            let target = rig.destination.list(TARGET);
            let mut done = 0;
            for item in ledger.items(run, None, crate::types::ItemId(0), 100).await.unwrap() {
                let file = ledger.files(item.id, 0, 1).await.unwrap().remove(0);
                let filed = target.get(&item.name);
                match item.state.as_str() {
                    "done" => {
                        done += 1;
                        let (_, node) = filed.expect("done, and not there");
                        assert_eq!(node.versions.len(), 1);
                        assert_eq!(node.versions[0].1.len() as u64, file.size);
                        assert!(file.bytes_sent >= file.size, "{} of {}", file.bytes_sent, file.size);
                        let again = file.bytes_sent - file.size;
                        assert!(again <= u64::from(file.restarts) * file.size, "{again} bytes more than once");
                    }
                    "failed" | "parked" => assert!(item.message.is_some()),
                    other => panic!("an item ended as {other}"),
                }
            }
            assert!(target.len() >= done, "every done item has a document of its own");
            let read = rig.source.bytes.load(SeqCst);
            let needed: u64 = target.values().map(|(_, node)| node.versions[0].1.len() as u64).sum();
            assert!(read >= needed, "{read} bytes were read for {needed}");
        });
    }
}
