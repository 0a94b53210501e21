//! What iconik is told about what was filed: once, whatever happens to the messages.

use longhaul::simulator::Options;
use longhaul::simulator::campaign::{AssetSpec, Campaign, FileSpec};
use longhaul::simulator::faults::{Action, Rule, System};
use longhaul::simulator::iconik::Kind;

use crate::support::{Systems, items, of_type};

const MASTERS: u64 = 12;

fn systems() -> Systems {
    let campaign = (1..=MASTERS).fold(Campaign::new(), |campaign, seed| {
        let file = FileSpec::generated(&format!("master-{seed}.mxf"), seed, 3_000 + seed);
        campaign.asset(AssetSpec::new(&format!("Master {seed}"), vec![file]))
    });
    Systems::start(Options::with(campaign))
}

/// The lines that each asset's history got from us.
#[track_caller]
fn told(systems: &Systems) -> Vec<String> {
    let mut lines: Vec<String> = systems
        .simulator
        .iconik()
        .rows(Kind::History)
        .iter()
        .filter_map(|row| row["operation_description"].as_str())
        .filter(|line| line.starts_with("Filed in Content Server"))
        .map(str::to_owned)
        .collect();
    lines.sort();
    let all = lines.len();
    lines.dedup();
    assert_eq!(lines.len(), all, "a line is there twice");
    lines
}

fn status(code: u16, applied: bool) -> Action {
    Action::Status {
        code,
        headers: std::collections::BTreeMap::new(),
        body: "{\"errors\": [\"not now\"]}".into(),
        applied,
        read_body: true,
    }
}

#[test]
fn a_line_whose_receipt_was_lost_is_not_written_again() {
    let systems = systems();
    for applied in [true, false] {
        systems.simulator.faults().add(
            Rule::new(status(503, applied))
                .on(System::Iconik)
                .method("POST")
                .path("*/history/")
                .nth(if applied { 1 } else { 2 })
                .every(4)
                .times(2),
        );
    }
    let lines = systems.archive(&[]);
    let summary = of_type(&lines, "summary");
    assert_eq!(items(summary, "done"), MASTERS);
    assert_eq!(summary["outbox"], 0, "{summary}");
    assert_eq!(told(&systems).len() as u64, MASTERS);
    systems.stop();
}

#[test]
fn a_refused_external_id_does_not_keep_the_line_from_being_written() {
    let systems = systems();
    systems.simulator.faults().add(
        Rule::new(status(403, false))
            .on(System::Iconik)
            .method("PATCH")
            .path("*/assets/v1/assets/*")
            .always(),
    );
    let lines = systems.archive(&[]);
    assert_eq!(items(of_type(&lines, "summary"), "done"), MASTERS);
    assert_eq!(told(&systems).len() as u64, MASTERS);
    let assets = systems.simulator.iconik().rows(Kind::Asset);
    assert!(assets.iter().all(|asset| asset["external_id"].is_null()));
    systems.stop();
}
