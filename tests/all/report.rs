//! The report, from outside: three forms with the same numbers, whole or not at all.

use std::os::unix::fs::PermissionsExt;

use longhaul::simulator::Options;
use longhaul::simulator::campaign::{AssetSpec, Campaign, FileSpec};
use longhaul::types::{KIB, MIB};
use serde_json::json;

use crate::support::{Systems, of_type};

/// Two masters that go through, and an asset without an original.
fn campaign() -> Options {
    let file = |seed, size| {
        vec![FileSpec::generated(
            &format!("master-{seed}.mxf"),
            seed,
            size,
        )]
    };
    Options::with(
        Campaign::new()
            .asset(AssetSpec::new("<i>Spot</i> & co", file(1, 300 * KIB)))
            .asset(AssetSpec::new("=Spot", file(2, 3 * MIB)))
            .asset(
                AssetSpec::new("No original", file(3, KIB))
                    .with(|asset| asset.versions[0][0].name = "PPRO_PROXY".to_owned()),
            ),
    )
}

#[test]
fn a_run_is_reported_as_page_table_and_lines_with_the_same_numbers() {
    let systems = Systems::start(campaign());
    let collection = systems.simulator.collection();
    let (code, _) = systems.run(&["archive", &collection]);
    assert_eq!(code, 1, "one is parked");

    let lines = systems.must(&["report"]);
    let report = of_type(&lines, "report");
    assert_eq!(
        report["verdict"],
        "2 of 3 items are filed and read back; 1 needs a decision."
    );
    assert_eq!(
        (&report["standing"], &report["planned"]["items"]),
        (&json!("open"), &json!(3))
    );
    assert_eq!(report["chain"]["intact"], true);
    let rows: Vec<_> = lines
        .iter()
        .filter(|line| line["type"] == "report_item")
        .collect();
    assert_eq!(rows.len(), 3);
    let bytes: u64 = rows.iter().filter_map(|row| row["bytes"].as_u64()).sum();
    assert_eq!(report["planned"]["bytes"], bytes);

    let told = systems.must(&["report", "--out", "r.html"]);
    assert_eq!(of_type(&told, "reported")["bytes"], bytes);
    let path = systems.place.path().join("r.html");
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let page = std::fs::read_to_string(&path).unwrap();
    assert!(page.contains("2 of 3 items are filed and read back"));
    assert!(
        page.contains("&lt;i&gt;Spot") || !page.contains("<i>"),
        "escaped"
    );
    assert!(page.contains(&format!("data-items=\"3\" data-bytes=\"{bytes}\"")));
    assert!(page.contains("<svg") && page.contains("longhaul resume --retry parked"));
    assert!(page.contains(report["chain"]["digest"].as_str().unwrap()));
    for outside in ["src=\"", "href=\"", "url(", "<script", "@import"] {
        assert!(!page.contains(outside), "{outside}");
    }
    assert!(!page.contains(longhaul::simulator::PASSWORD), "a secret");

    systems.must(&["report", "--out", "items.csv"]);
    let table = std::fs::read_to_string(systems.place.path().join("items.csv")).unwrap();
    assert_eq!(table.lines().count(), 4, "{table}");
    assert!(table.contains(",'=Spot,"), "{table}");
    systems.stop();
}

#[test]
fn a_report_overwrites_nothing_and_least_of_all_the_ledger() {
    let systems = Systems::start(campaign());
    let (code, _) = systems.run(&["report"]);
    assert_eq!(code, 2, "no ledger yet");
    let collection = systems.simulator.collection();
    systems.run(&["archive", &collection]);
    let (code, _) = systems.run(&["report", "--out", "longhaul.db", "--force"]);
    assert_eq!(code, 2);
    systems.place.write("mine.html", "keep");
    let (code, lines) = systems.run(&["report", "--out", "mine.html"]);
    assert_eq!(code, 2);
    assert!(
        of_type(&lines, "exit")["message"]
            .to_string()
            .contains("--force")
    );
    let kept = || std::fs::read_to_string(systems.place.path().join("mine.html")).unwrap();
    assert_eq!(kept(), "keep");
    systems.must(&["report", "--out", "mine.html", "--force"]);
    assert!(kept().starts_with("<!DOCTYPE html>"));
    let (code, _) = systems.run(&["report", "--run", "9"]);
    assert_eq!(code, 2);
    let (code, _) = systems.run(&["report", "--format", "csv"]);
    assert_eq!(code, 2, "CSV and JSON lines do not mix");
    systems.must(&["audit", "verify"]);
    systems.stop();
}
