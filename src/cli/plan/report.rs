//! The numbers of a plan, for people and as JSON.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::cli::Context;
use crate::cli::output::{BAD, BOLD, DIM, GOOD, styled};
use crate::cli::words::brief;
use crate::flows::package::Foreseen;
use crate::flows::plan::probe::Probe;
use crate::flows::plan::saved::End;
use crate::flows::plan::{Depth, Hours, Known, Rate, Reason, Records, Totals};
use crate::settings::{Duplicates, Price, Resolved};
use crate::telemetry::Resources;
use crate::transfer::Window;
use crate::types::{ByteCount, display_bytes};

/// The tally whose names have a retention.
const CLASS: &str = "records classification";
/// Names of a tally that people are shown.
const SHOWN: usize = 12;
/// Calls that a full look takes for an asset of one version.
const FULL_CALLS: u64 = 4;

/// What a plan came to.
pub(super) struct Facts<'a> {
    pub(super) settings: &'a Resolved,
    pub(super) totals: &'a Totals,
    pub(super) known: &'a Known,
    pub(super) depth: Depth,
    /// Bytes of the originals by iconik's own account.
    pub(super) stated: Option<ByteCount>,
    /// Calls that the plan itself made.
    pub(super) made: u64,
    pub(super) took: Duration,
    pub(super) window: Option<Window>,
    pub(super) saved: Option<(&'a Path, &'a End)>,
    pub(super) changed: bool,
    /// What a package would miss.
    pub(super) foreseen: Option<&'a Foreseen>,
}

impl Facts<'_> {
    fn calls_per_second(&self) -> u32 {
        self.settings
            .iconik()
            .map_or(1, |iconik| iconik.calls_per_second)
    }

    fn hours(&self) -> Hours {
        Hours::of(
            self.totals.bytes,
            self.totals.calls,
            self.calls_per_second(),
            self.settings.pace.bandwidth.bytes_per_second(),
            self.known,
        )
    }

    /// What is paid for, with its price.
    fn costs(&self) -> Vec<(&'static str, &Price, ByteCount)> {
        let prices = &self.settings.prices;
        let totals = self.totals;
        [
            ("egress", &prices.egress, totals.cloud_bytes),
            ("restore", &prices.restore, totals.archived_bytes),
            ("storage-month", &prices.storage, totals.bytes),
        ]
        .into_iter()
        .filter_map(|(what, price, bytes)| Some((what, price.as_ref()?, bytes)))
        .collect()
    }
}

/// Says what a plan came to.
pub(super) fn report(context: &Context, command: &str, facts: &Facts<'_>) {
    context.output.event("summary", summary(command, facts));
    if !context.output.json() {
        for line in lines(command, facts) {
            context.output.say(line);
        }
    }
}

fn summary(command: &str, facts: &Facts<'_>) -> Value {
    let full = facts.depth == Depth::Full;
    let costs: Vec<Value> = facts
        .costs()
        .into_iter()
        .map(|(what, price, bytes)| {
            json!({
                "what": what, "price": price.to_string(), "bytes": bytes, "currency": price.currency(),
                "millionths": u64::try_from(price.millionths_of(bytes)).unwrap_or(u64::MAX), "text": price.of(bytes),
            })
        })
        .collect();
    json!({
        "command": "plan", "plan_of": command, "depth": facts.depth, "totals": facts.totals,
        "calls_made": facts.made, "calls_per_second": facts.calls_per_second(), "seconds": facts.took.as_secs_f64(),
        "peak_memory": Resources::now().peak_memory, "stated_bytes": facts.stated,
        "hours": full.then(|| facts.hours()), "history": facts.known.rates, "probe": facts.known.probe,
        "costs": if full { json!(costs) } else { Value::Null },
        "package": facts.foreseen,
        "window": facts.window.map(|window| json!({"min": window.min, "max": window.max})),
        "saved": facts.saved.map(|(path, end)| json!({"path": path, "assets": end.assets, "sha256": end.sha256})),
    })
}

fn lines(command: &str, facts: &Facts<'_>) -> Vec<String> {
    let totals = facts.totals;
    let mut lines = vec![styled(
        BOLD,
        match facts.depth {
            Depth::Full => format!("plan of {command}"),
            Depth::Listing => format!("plan of {command}, by the search index alone"),
        },
    )];
    lines.push(format!("  {:>8} assets looked at", totals.assets));
    reasons(
        &mut lines,
        &styled(GOOD, "in"),
        totals.assets_in,
        &totals.moving,
    );
    reasons(
        &mut lines,
        &styled(DIM, "out"),
        totals.assets_out,
        &totals.left_out,
    );
    reasons(
        &mut lines,
        &styled(BAD, "blocked, a person must see to them"),
        totals.assets_blocked,
        &totals.waiting,
    );
    match facts.depth {
        Depth::Full => full(&mut lines, command, facts),
        Depth::Listing => listing(&mut lines, facts),
    }
    if let Some(foreseen) = facts.foreseen {
        package(&mut lines, foreseen);
    }
    let memory = Resources::now()
        .peak_memory
        .map_or_else(String::new, |peak| {
            format!(" and {} of memory", display_bytes(peak))
        });
    lines.push(styled(
        DIM,
        format!(
            "  this plan took {} calls to iconik, {}{memory}; nothing was changed at either end",
            facts.made,
            brief(facts.took)
        ),
    ));
    if let Some((path, end)) = facts.saved {
        lines.push(format!(
            "saved {} assets to {}; `longhaul {command} --plan {}` does exactly that",
            end.assets,
            path.display(),
            path.display()
        ));
    }
    lines
}

fn reasons(lines: &mut Vec<String>, word: &str, assets: u64, reasons: &BTreeMap<String, Reason>) {
    lines.push(format!("  {assets:>8} {word}"));
    for (why, reason) in reasons {
        let (title, detail) = reason
            .examples
            .first()
            .map(|(title, detail)| (title.as_str(), detail.as_str()))
            .unwrap_or_default();
        let more = if reason.assets > 1 {
            ", and others"
        } else {
            ""
        };
        let detail = if detail.is_empty() {
            String::new()
        } else {
            format!(": {detail}")
        };
        lines.push(styled(
            DIM,
            format!(
                "           {:>8} {why}  {title}{detail}{more}",
                reason.assets
            ),
        ));
    }
}

/// What a package would miss or leave out, apart from what stays out or is blocked.
fn package(lines: &mut Vec<String>, foreseen: &Foreseen) {
    let gaps = match foreseen.gaps.len() {
        0 => styled(GOOD, "no gap"),
        gaps => styled(BAD, counted(gaps as u64, "gap")),
    };
    let left_out = match foreseen.left_out.len() {
        0 => String::new(),
        out => format!("; {} left out as not final", counted(out as u64, "master")),
    };
    lines.push(format!(
        "  a package: {} with {}, {} outside the campaign; {gaps}{left_out}",
        counted(foreseen.edits, "edit"),
        counted(foreseen.references, "source reference"),
        counted(foreseen.sources, "asset"),
    ));
    for list in [&foreseen.gaps, &foreseen.left_out] {
        for one in list.iter().take(SHOWN) {
            lines.push(styled(
                DIM,
                format!("           {}: {}", one.path, one.reason),
            ));
        }
        if list.len() > SHOWN {
            let more = list.len() - SHOWN;
            lines.push(styled(
                DIM,
                format!("           and {more} more; --json has them all"),
            ));
        }
    }
}

fn full(lines: &mut Vec<String>, command: &str, facts: &Facts<'_>) {
    let totals = facts.totals;
    lines.push(if totals.versions() == 0 {
        format!("  {}", styled(BOLD, "nothing would move"))
    } else {
        format!(
            "  {} in {} would move: {}, {}, {}",
            styled(BOLD, display_bytes(totals.bytes)),
            counted(totals.files, "file"),
            counted(totals.new_documents, "new document"),
            counted(totals.new_versions, "new version"),
            counted(totals.new_folders, "new folder")
        )
    });
    // Papers have none.
    let sidecars = totals
        .versions()
        .saturating_sub(totals.records.papers_to_file);
    if facts.settings.transfer.sidecar && sidecars > 0 {
        lines.push(format!(
            "  {sidecars:>8} metadata sidecars are filed beside them"
        ));
    }
    for (count, text) in [
        (totals.already_filed, "versions are filed already"),
        (
            totals.already_there,
            "versions are at the destination without the ledger knowing; a run reads them back",
        ),
        (totals.declined, "versions were declined"),
        (totals.blocked, "versions cannot be filed as they are"),
        (totals.names_changed, "names change"),
        (
            totals.conflicts,
            "names are taken by something else: filed under a name with a suffix",
        ),
        (
            totals.archived,
            "versions are archived: a restore comes first",
        ),
    ] {
        if count > 0 {
            lines.push(format!("  {count:>8} {text}"));
        }
    }
    if totals.duplicates > 0 {
        let becomes = match facts.settings.migrate.duplicates {
            Duplicates::Hold if command == "migrate" => {
                "held for a person (migrate.duplicates = \"hold\")"
            }
            _ => "filed as well",
        };
        lines.push(format!(
            "  {:>8} versions ({}) have the content of another asset, by size and MD5: {becomes}",
            totals.duplicates,
            display_bytes(totals.duplicate_bytes)
        ));
    }
    if command == "migrate" && facts.settings.migrate.duplicates == Duplicates::Hold {
        for (count, why) in [
            (
                totals.uncompared_without_md5,
                "versions are filed without a look for duplicates: iconik quotes no MD5 of them",
            ),
            (
                totals.uncompared_of_several_files,
                "versions are filed without a look for duplicates: they have several files",
            ),
        ] {
            if count > 0 {
                lines.push(format!("  {count:>8} {why}"));
            }
        }
    }
    if totals.split > 0 {
        lines.push(format!(
            "  {:>8} masters are too large for one document: {} segments (transfer.oversize = \"split\")",
            totals.split, totals.segments
        ));
    }
    if let Some(too_large) = totals.waiting.get("oversize") {
        lines.push(format!(
            "  {:>8} masters are too large for one document and stay (transfer.oversize = {:?}; \"split\" would file them in segments)",
            too_large.assets,
            super::oversize(facts.settings)
        ));
    }
    records(lines, &totals.records);
    let calls = facts.calls_per_second();
    lines.push(format!(
        "  {} calls to iconik, at {calls} a second {} at least",
        totals.calls,
        brief(seconds(totals.calls as f64 / f64::from(calls.max(1))))
    ));
    if let Some(probe) = &facts.known.probe {
        measured(lines, probe);
    }
    if totals.versions() > 0 {
        hours(lines, facts);
    }
    for (what, price, bytes) in facts.costs().into_iter().filter(|(_, _, bytes)| *bytes > 0) {
        let what = match what {
            "egress" => "egress from cloud storages",
            "restore" => "restores",
            _ => "storage, each month",
        };
        lines.push(format!(
            "  {} for {what} ({} at {price})",
            price.of(bytes),
            display_bytes(bytes)
        ));
    }
    if facts.changed {
        lines.push(styled(
            DIM,
            "  what has changed since the saved plan stands with each asset",
        ));
    }
}

/// What versions become beyond their bytes; nothing where nothing becomes a record.
fn records(lines: &mut Vec<String>, records: &Records) {
    if records.is_empty() {
        return;
    }
    lines.push(format!(
        "  {}",
        styled(
            BOLD,
            format!("{} become records:", counted(records.versions, "version"))
        )
    ));
    for (what, tally) in [
        (CLASS, &records.classes),
        ("classification", &records.classifications),
        ("place", &records.places),
        ("mark", &records.marks),
        ("permissions", &records.access),
        ("rights", &records.rights),
    ] {
        if tally.is_empty() {
            continue;
        }
        lines.push(format!("    by {what}"));
        let ranked = tally.ranked();
        for (name, count) in ranked.iter().take(SHOWN) {
            let retention = match records.retention.get(*name) {
                Some(retention) if what == CLASS => format!(": {}", retention.in_words()),
                _ => String::new(),
            };
            lines.push(format!("      {count:>8} {name}{retention}"));
        }
        let rest: u64 = ranked.iter().skip(SHOWN).map(|(_, count)| count).sum();
        let rest = rest + tally.others;
        if rest > 0 {
            lines.push(styled(
                DIM,
                format!("      {rest:>8} others (all with --json)"),
            ));
        }
    }
    let papers = [
        (
            records.papers_filed,
            "are documents already, counted with each version that they prove",
        ),
        (records.papers_to_file, "are filed first"),
    ];
    for (count, text) in papers.into_iter().filter(|(count, _)| *count > 0) {
        lines.push(format!("    {count:>8} papers {text}"));
    }
    if records.after_papers > 0 {
        lines.push(format!(
            "    {:>8} versions follow once their papers are filed; what they become is known then",
            records.after_papers
        ));
    }
    if records.papers_missing > 0 {
        lines.push(styled(
            BAD,
            format!(
                "    {:>8} versions are held: a required paper is missing",
                records.papers_missing
            ),
        ));
    }
}

/// What a probe read, and how fast.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rate in whole bytes is never negative and fits"
)]
fn measured(lines: &mut Vec<String>, probe: &Probe) {
    if probe.masters > 0 {
        lines.push(format!(
            "  probe: {} of {} read in {:.1} s, from {}/s by one stream to {}/s by several; nothing was written, so Content Server was not measured",
            display_bytes(probe.bytes),
            counted(probe.masters, "master"),
            probe.seconds,
            display_bytes(probe.slowest as u64),
            display_bytes(probe.fastest as u64)
        ));
    } else {
        lines.push("  probe: no master could be read from".to_owned());
    }
    for refused in &probe.refused {
        lines.push(styled(DIM, format!("         {refused}")));
    }
}

fn hours(lines: &mut Vec<String>, facts: &Facts<'_>) {
    let hours = facts.hours();
    let (Some(low), Some(high)) = (hours.low, hours.high) else {
        lines.push(format!(
            "  how long is not known: this ledger has no finished run to go by (--probe measures the source); the limits alone ask for {}",
            brief(seconds(hours.least))
        ));
        return;
    };
    let (low, high) = (brief(seconds(low)), brief(seconds(high)));
    let range = if low == high {
        format!("about {low}")
    } else {
        format!("{low} to {high}")
    };
    let runs = facts.known.rates.len();
    if runs == 0 {
        lines.push(format!(
            "  {} as fast as the source was just now, and more where Content Server is slower",
            styled(BOLD, range)
        ));
        return;
    }
    lines.push(format!(
        "  {} by the {runs} finished {} of this ledger",
        styled(BOLD, range),
        if runs == 1 { "run" } else { "runs" }
    ));
    // Small masters are slow for their bytes: their runs say little of large ones.
    let (items, bytes) = facts
        .known
        .rates
        .iter()
        .fold((0, 0), |(items, bytes), rate: &Rate| {
            (items + rate.items, bytes + rate.bytes)
        });
    let theirs = bytes / items.max(1);
    let ours = facts.totals.bytes / facts.totals.versions().max(1);
    if ours / 10 > theirs || theirs / 10 > ours {
        lines.push(styled(
            DIM,
            format!(
                "  (a rough guess: their masters had {} on average, these have {})",
                display_bytes(theirs),
                display_bytes(ours)
            ),
        ));
    }
}

fn listing(lines: &mut Vec<String>, facts: &Facts<'_>) {
    if let Some(stated) = facts.stated {
        lines.push(format!(
            "  {} of originals in the collections by iconik's own account, before any filter",
            styled(BOLD, display_bytes(stated))
        ));
    }
    let calls = facts.totals.assets_in * FULL_CALLS;
    lines.push(format!(
        "  files, versions, names and cost need --depth full: some {calls} calls, {} at {} a second",
        brief(seconds(
            calls as f64 / f64::from(facts.calls_per_second().max(1))
        )),
        facts.calls_per_second()
    ));
}

fn counted(number: u64, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}
