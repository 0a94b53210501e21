//! The three forms of a report agree, whatever the ledger holds.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use jiff::ToSpan;

use super::*;
use crate::ledger::{
    Change, Entry, FilePatch, ItemPatch, Ledger, NewFile, NewItem, NewRun, Reader,
};
use crate::transfer::Kept;
use crate::types::{ItemId, NodeId, TransferId, VersionNumber};

const STATES: [&str; 9] = [
    "planned",
    "waiting",
    "done",
    "failed",
    "parked",
    "held",
    "conflict",
    "quarantined",
    "declined",
];
const LEVELS: [&str; 3] = ["read-back", "sent", "size"];

#[derive(Clone, Debug)]
struct Case {
    title: String,
    state: usize,
    level: usize,
    bytes: u64,
    sent: u64,
    /// Marks of a record, if it is one.
    marks: Option<(bool, u8)>,
    /// Whether it is held for a paper, when it is held.
    paper: bool,
    /// What is remembered of its retention, when it is done: schedule, and days from today to its
    /// due date; without a number none was told.
    kept: Option<(bool, Option<i64>)>,
}

fn cases() -> impl Strategy<Value = Vec<Case>> {
    let title = prop_oneof![
        Just("<script>alert(1)</script>".to_owned()),
        Just("=HYPERLINK(\"http://x\")".to_owned()),
        Just("Spot, \"30\"\nsecond line".to_owned()),
        "[a-z ]{0,8}",
    ];
    let case = (
        title,
        0..STATES.len(),
        0..LEVELS.len(),
        0u64..1 << 40,
        0u64..1 << 41,
        prop::option::of((any::<bool>(), 0u8..3)),
        any::<bool>(),
        prop::option::of((any::<bool>(), prop::option::of(-400i64..800))),
    );
    let case = case.prop_map(
        |(title, state, level, bytes, sent, marks, paper, kept)| Case {
            title,
            state,
            level,
            bytes,
            sent,
            marks,
            paper,
            kept,
        },
    );
    prop::collection::vec(case, 0..12)
}

fn ledger(path: &std::path::Path, cases: &[Case]) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        let ledger = Ledger::open(path, "test").unwrap();
        let run = ledger
            .start_run(NewRun {
                command: "archive".into(),
                arguments: "{\"collections\":[\"c\"]}".into(),
            })
            .await
            .unwrap();
        let items = cases.iter().zip(0..).map(|(case, n)| NewItem {
            key: format!("a{n}/v1"),
            kind: "document".into(),
            title: case.title.clone(),
            name: case.title.clone(),
            source: format!("{{\"asset\":\"a{n}\"}}"),
            record: case.marks.map(|(official, papers)| {
                let papers: Vec<u8> = (0..papers).collect();
                let marks = json!({"official": official, "records_class": 7, "papers": papers});
                json!({"filing": {"folders": [case.title], "marks": marks}}).to_string()
            }),
            files: vec![NewFile {
                role: "master".into(),
                marker: format!("m{n}"),
                name: "f".into(),
                size: case.bytes,
                ..NewFile::default()
            }],
            ..NewItem::default()
        });
        ledger
            .add_page(run, items.collect(), None, true, 3)
            .await
            .unwrap();
        for (case, id) in cases.iter().zip(1..) {
            let done = STATES[case.state] == "done";
            let proved = Entry {
                run: Some(run),
                item: Some(ItemId(id)),
                file: Some(TransferId(id)),
                event: "proved".into(),
                data: format!("{{\"size\":{}}}", case.bytes),
            };
            let mut change = Change::new()
                .item(
                    ItemId(id),
                    ItemPatch {
                        state: Some(STATES[case.state].into()),
                        proof: Some(LEVELS[case.level].into()),
                        node: Some(done.then_some(NodeId(id))),
                        version: Some(done.then_some(VersionNumber(1))),
                        failure: Some((!done).then(|| {
                            let reason = if case.paper { "paper-missing" } else { "other" };
                            (
                                "item-is-wrong".into(),
                                reason.into(),
                                "GET https://b/x?X-Amz-Signature=canary0123456789 <b>".into(),
                            )
                        })),
                        ..ItemPatch::default()
                    },
                )
                .file(
                    TransferId(id),
                    FilePatch {
                        add_bytes_sent: case.sent,
                        ..FilePatch::default()
                    },
                );
            if done {
                change = change.journal(proved);
                if let Some(kept) = kept(case) {
                    let node = NodeId(id);
                    change = kept.remember(&ledger, change, node).await.unwrap();
                }
            }
            ledger.apply(change).await.unwrap();
        }
    });
}

/// What is remembered of an item's retention.
fn kept(case: &Case) -> Option<Kept> {
    let (scheduled, due) = case.kept?;
    let today = jiff::Timestamp::now()
        .to_zoned(jiff::tz::TimeZone::UTC)
        .date();
    let day = due.map(|days| today.checked_add(days.days()).unwrap());
    Some(Kept {
        class: Some(NodeId(7)),
        // A code may be as hostile as a title.
        schedule: scheduled.then(|| format!("=M<b>{}", case.title)),
        due: day
            .filter(|_| scheduled)
            .map(|day| format!("{day}T00:00:00")),
        unsaid: scheduled && due.is_none(),
    })
}

type Sums = BTreeMap<String, (u64, u64)>;

fn attribute(tag: &str, name: &str) -> String {
    let (_, rest) = tag
        .split_once(&format!("{name}=\""))
        .expect("the attribute");
    rest.split_once('"').expect("its end").0.to_owned()
}

/// Items and bytes by what the page's rows say they are.
fn of_page(page: &str, kind: &str) -> Sums {
    let rows = page
        .split("<tr ")
        .skip(1)
        .filter(|row| attribute(row, "data-kind") == kind);
    let number = |row: &str, name: &str| attribute(row, name).parse().unwrap();
    rows.map(|row| {
        (
            attribute(row, "data-name"),
            (number(row, "data-items"), number(row, "data-bytes")),
        )
    })
    .collect()
}

fn of_json(report: &Value, list: &str) -> Sums {
    let counts = report[list].as_array().unwrap().iter();
    let number = |count: &Value, name: &str| count[name].as_u64().unwrap();
    counts
        .map(|count| {
            (
                count["name"].as_str().unwrap().to_owned(),
                (number(count, "items"), number(count, "bytes")),
            )
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn the_numbers_of_all_three_forms_agree(cases in cases()) {
        let dir = crate::ledger::tests::directory();
        let path = dir.path().join("l.db");
        ledger(&path, &cases);
        let reader = Reader::open(&path).unwrap();
        let run = reader.run(None).unwrap().unwrap();

        let mut table = Vec::new();
        let mut lines = Vec::new();
        let mut writer = csv::Writer::new(&mut table).unwrap();
        let report = collect(&reader, &run, Vec::new(), &mut |row| {
            lines.push(json::row(row));
            writer.row(row)
        })
        .unwrap();
        writer.finish().unwrap();
        let page = html::page(&report);
        let told = json::report(&report);

        let (mut states, mut proofs, mut again) = (Sums::new(), Sums::new(), 0);
        let mut records = Sums::new();
        let (mut rows, mut missing) = (0, 0);
        let mut retained: Vec<[String; 4]> = Vec::new();
        let made = jiff::Timestamp::from_millisecond(report.made).unwrap();
        let today = made.to_zoned(jiff::tz::TimeZone::UTC).date();
        let next_year = today.checked_add(1.year()).unwrap();
        for record in ::csv::Reader::from_reader(&table[..]).deserialize::<BTreeMap<String, String>>() {
            let record = record.unwrap();
            let bytes: u64 = record["bytes"].parse().unwrap();
            let add = |sums: &mut Sums, name: &str| {
                let sum = sums.entry(record[name].clone()).or_default();
                *sum = (sum.0 + 1, sum.1 + bytes);
            };
            add(&mut states, "state");
            if record["state"] == "done" {
                add(&mut proofs, "proof");
                let due: Option<jiff::civil::Date> =
                    record["retention_due"].get(..10).and_then(|day| day.parse().ok());
                let retention = record["retention"].as_str();
                let is = [
                    ("schedule", matches!(retention, "scheduled" | "dates-not-told")),
                    ("no-schedule", retention == "no-schedule"),
                    ("schedule-not-read", retention == "not-read"),
                    ("overdue", due.is_some_and(|due| due < today)),
                    ("due-in-a-year", due.is_some_and(|due| due >= today && due <= next_year)),
                    ("place", !record["place"].is_empty()),
                    ("class", record["records_class"] == "7"),
                    ("official", record["marks"] == "official"),
                    ("papers", record["papers"] != "0"),
                ];
                for (kind, _) in is.into_iter().filter(|(_, is)| *is) {
                    let sum = records.entry(kind.to_owned()).or_default();
                    *sum = (sum.0 + 1, sum.1 + bytes);
                }
            }
            if !record["retention"].is_empty() {
                prop_assert_eq!(&record["state"], "done");
                let plain = |name: &str| {
                    let text = &record[name];
                    text.strip_prefix('\'').unwrap_or(text).to_owned()
                };
                retained.push(["key", "retention_schedule", "retention_due", "retention_read"].map(plain));
            }
            if !record["papers_missing"].is_empty() {
                prop_assert_eq!((&*record["state"], &*record["reason"]), ("held", "paper-missing"));
                missing += 1;
            }
            again += record["bytes_again"].parse::<u64>().unwrap();
            rows += 1;
            prop_assert!(record.values().all(|cell| !cell.starts_with(['=', '+', '-', '@'])));
        }
        prop_assert_eq!(rows, cases.len());
        prop_assert_eq!(lines.len(), cases.len());
        let all = states.values().fold((0, 0), |sum, count| (sum.0 + count.0, sum.1 + count.1));
        prop_assert_eq!(of_page(&page, "total")["planned"], all);
        prop_assert_eq!((told["planned"]["items"].as_u64(), told["planned"]["bytes"].as_u64()), (Some(all.0), Some(all.1)));
        prop_assert_eq!(&of_page(&page, "state"), &states);
        prop_assert_eq!(&of_json(&told, "states"), &states);
        prop_assert_eq!(&of_page(&page, "proof"), &proofs);
        prop_assert_eq!(&of_json(&told, "proofs"), &proofs);
        prop_assert_eq!(&of_page(&page, "record"), &records);
        prop_assert_eq!(&of_json(&told, "records"), &records);
        prop_assert_eq!(told["bytes_again"].as_u64(), Some(again));
        prop_assert_eq!(told["papers_missing"].as_u64(), Some(missing));
        let with = |list: &[Value]| list.iter().filter(|row| !row["papers_missing"].is_null()).count() as u64;
        prop_assert_eq!(with(&lines), missing);
        prop_assert_eq!(with(told["open"].as_array().unwrap()), missing);
        prop_assert_eq!(page.matches("Missing papers: ").count() as u64, missing);
        let stated = format!("data-kind=\"papers-missing\" data-items=\"{missing}\"");
        prop_assert_eq!(page.contains(&stated), missing > 0);

        let text = |row: &Value, name: &str| row[name].as_str().unwrap_or_default().to_owned();
        let read = |row: &Value| ["key", "schedule", "due", "read"].map(|name| text(row, name));
        let mut of_lines: Vec<_> = told["retention"].as_array().unwrap().iter().map(read).collect();
        let days: Vec<_> = of_lines.iter().map(|[_, _, due, _]| (due.is_empty(), due.clone())).collect();
        prop_assert!(days.is_sorted(), "{:?}", days);
        prop_assert_eq!(told["retention_items"].as_u64(), Some(retained.len() as u64));
        of_lines.sort();
        retained.sort();
        prop_assert_eq!(&of_lines, &retained);
        let shown = page.split("<tr ").skip(1).filter(|row| attribute(row, "data-kind") == "retention");
        let plain = |text: String| text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&");
        let shown = shown.map(|row| ["data-name", "data-schedule", "data-due", "data-read"].map(|name| plain(attribute(row, name))));
        let mut shown: Vec<_> = shown.collect();
        shown.sort();
        prop_assert_eq!(&shown, &retained);
        let moved: u64 = proofs.values().map(|(_, bytes)| bytes).sum();
        prop_assert_eq!(report.speed.total(), moved, "what is done has moved");

        prop_assert!(!page.contains("<script") && !page.contains("<b>"));
        for text in [page, told.to_string(), String::from_utf8(table).unwrap(), format!("{lines:?}")] {
            prop_assert!(!text.contains("canary"), "a signed address");
        }
    }
}

#[test]
fn the_verdict_is_a_sentence_with_the_numbers_that_matter() {
    let case = |state: &str, level: usize| Case {
        title: "x".into(),
        state: STATES.iter().position(|known| *known == state).unwrap(),
        level,
        bytes: 5,
        sent: 5,
        marks: None,
        paper: false,
        kept: None,
    };
    for (cases, verdict, standing) in [
        (
            vec![
                case("done", 0),
                case("done", 0),
                case("held", 0),
                case("parked", 0),
            ],
            "2 of 4 items are filed and read back; 2 need a decision.",
            Standing::Open,
        ),
        (
            vec![case("done", 0), case("done", 1)],
            "All 2 items are filed (1 of them read back).",
            Standing::Good,
        ),
        (
            vec![case("quarantined", 0), case("failed", 0)],
            "None of 2 items is filed; 1 needs a decision; 1 failed.",
            Standing::Bad,
        ),
        (Vec::new(), "This run had nothing to file.", Standing::Good),
    ] {
        let dir = crate::ledger::tests::directory();
        let path = dir.path().join("l.db");
        ledger(&path, &cases);
        let reader = Reader::open(&path).unwrap();
        let run = reader.run(None).unwrap().unwrap();
        let report = collect(&reader, &run, Vec::new(), &mut |_| Ok(())).unwrap();
        // The scan is not marked as done by adding a page alone.
        let said = report.verdict.replace(
            " The enumeration has not reached its end: there may be more.",
            "",
        );
        assert_eq!(said, verdict);
        if report.scan_done {
            assert_eq!(report.standing, standing, "{verdict}");
        }
    }
}
