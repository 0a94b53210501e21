//! One page that needs nothing else: to read on any screen, to print, to sign.
//!
//! Every text goes through the template's escaping; the only raw parts are the style sheet and the
//! picture, which are our own.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::record::KINDS;
use super::{Count, Open, Report, Standing, moment, plot, shown};
use crate::types::{FailureClass, display_bytes};

const STYLE: &str = include_str!("report.css");

/// The page.
pub fn page(report: &Report) -> String {
    let standing = match report.standing {
        Standing::Good => "good",
        Standing::Open => "open",
        Standing::Bad => "bad",
    };
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="generator" content={ "longhaul " (report.longhaul) };
                title { "longhaul report, run " (report.run) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    p.kicker { "Transfer report · iconik → Content Server" }
                    h1 { "Run " (report.run) ", " (report.command) }
                    p.verdict.(standing) {
                        span.stamp { (match report.standing { Standing::Good => "Complete", Standing::Open => "Open", Standing::Bad => "Look into it" }) }
                        span { (report.verdict) }
                    }
                    dl.facts {
                        (fact("Started", &moment(report.started)))
                        (fact("Ended", &report.ended.map_or_else(|| format!("not ended ({})", report.outcome), moment)))
                        @if let Some(migration) = &report.migration { (fact("Migration", migration)) }
                        (fact("Report made", &moment(report.made)))
                        (fact("By", &format!("longhaul {}", report.longhaul)))
                    }
                }
                main {
                    (reconciliation(report))
                    (proof(report))
                    (records(report))
                    (retention(report))
                    (failures(report))
                    (open(report))
                    (speed(report))
                    (repeated(report))
                    (deviations(report))
                    (chain(report))
                    (settings(report))
                    (signatures())
                }
            }
        }
    }
    .into_string()
}

fn fact(name: &str, value: &str) -> Markup {
    html! { div { dt { (name) } dd { (value) } } }
}

/// A number with its thousands apart.
fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

fn counted(count: &Count, kind: &str, means: &str) -> Markup {
    html! {
        tr data-kind=(kind) data-name=(count.name) data-items=(count.items) data-bytes=(count.bytes) {
            th scope="row" { (count.name) @if !means.is_empty() { span.means { (means) } } }
            td.n { (number(count.items)) }
            td.n { (display_bytes(count.bytes)) span.exact { (number(count.bytes)) " B" } }
        }
    }
}

fn reconciliation(report: &Report) -> Markup {
    html! {
        section {
            h2 { "Reconciliation" }
            p.lead { "Every item is one version of one asset. The lines below add up to the total." }
            div.scroll { table {
                thead { tr { th { "State" } th.n { "Items" } th.n { "Bytes" } } }
                tbody { @for count in &report.states { (counted(count, "state", state_means(&count.name))) } }
                tfoot { (counted(&report.planned, "total", "all items of this run")) }
            } }
            dl.facts {
                (fact("Filed before, unchanged", &number(report.already_done)))
                (fact("Assets left out", &if report.left_out_why.is_empty() || report.left_out == 0 {
                    number(report.left_out)
                } else {
                    format!("{} ({})", number(report.left_out), report.left_out_why.join(", "))
                }))
                (fact("Enumeration", if report.scan_done { "complete" } else { "not at its end: there may be more" }))
            }
            p.note { "What a later run took up again is counted in that run's report." }
        }
    }
}

fn state_means(state: &str) -> &'static str {
    match state {
        "done" => "filed, proved and published",
        "failed" => "tried as often as makes sense",
        "parked" => "cannot be filed as it is",
        "held" => "a record on hold or final, or something that must be there is missing",
        "conflict" => "the name is somebody else's",
        "quarantined" => "stored, but not what was sent; hidden",
        "declined" => "a person decided against it",
        "waiting" => "tried again later",
        "active" => "on its way",
        "planned" => "not begun",
        _ => "",
    }
}

fn proof(report: &Report) -> Markup {
    let means = |level: &str| match level {
        "read-back" => "read again after the commit, SHA-256 equal",
        "stored" => "the destination's own digest is equal",
        "sent" => "the bytes sent hash to the SHA-256, sizes equal",
        "size" => "sizes equal",
        _ => "nothing compared",
    };
    html! {
        section {
            h2 { "Proof" }
            @if report.proofs.is_empty() { p.none { "Nothing is filed yet." } } @else {
                div.scroll { table {
                    thead { tr { th { "Level" } th.n { "Items" } th.n { "Bytes" } } }
                    tbody { @for count in &report.proofs { (counted(count, "proof", means(&count.name))) } }
                } }
            }
            @if let Some((first, last)) = report.verified_between {
                p { (number(report.verified)) " later checks of files found them as recorded, from " (moment(first)) " to " (moment(last)) "." }
            }
        }
    }
}

/// Nothing when nothing was filed as a record.
fn records(report: &Report) -> Markup {
    let means = |kind: &str| {
        let known = KINDS.iter().find(|(known, _)| *known == kind);
        known.map_or("", |(_, means)| *means)
    };
    html! {
        @if !report.records.is_empty() {
            section {
                h2 { "Records" }
                p.lead { "What filed items are beyond their bytes, as it was asked for when they were filed; retention as the server said it when it was read. An item counts in each line that it is." }
                div.scroll { table {
                    thead { tr { th { "What" } th.n { "Items" } th.n { "Bytes" } } }
                    tbody { @for count in &report.records { (counted(count, "record", means(&count.name))) } }
                } }
            }
        }
    }
}

/// Nothing when nothing was filed as a record.
fn retention(report: &Report) -> Markup {
    html! {
        @if report.retention_items > 0 {
            section.wide {
                h2 { "Retention" }
                p.lead { "What each record is kept under and when it is due next, as the server said when it was read: this report asks nobody. What is due first comes first." }
                div.scroll { table {
                    thead { tr { th { "Record" } th { "Schedule" } th { "Due" } th { "As read on" } } }
                    tbody { @for due in &report.retention {
                        tr data-kind="retention" data-name=(due.key) data-schedule=(due.schedule.as_deref().unwrap_or_default())
                            data-due=(due.due.as_deref().unwrap_or_default()) data-read=(due.read.map(|read| read.to_string()).unwrap_or_default()) {
                            th scope="row" { (due.title) span.means { (due.key) @if let Some(node) = due.node { ", node " (node) } } }
                            td.whole { (due.schedule_in_words()) }
                            td.whole { (due.due_in_words()) @if due.is_past(report.made) { span.means { "overdue" } } }
                            td.whole { (due.read_in_words()) }
                        }
                    } }
                } }
                @if report.retention_items > report.retention.len() as u64 {
                    p.note { "and " (number(report.retention_items - report.retention.len() as u64)) " more; the CSV form has a row for each." }
                }
            }
        }
    }
}

fn failures(report: &Report) -> Markup {
    html! {
        section {
            h2 { "Failures" }
            @if report.groups.is_empty() { p.none { "None." } }
            @for group in &report.groups {
                article.failure data-kind="group" data-items=(group.items) data-bytes=(group.bytes) {
                    h3 {
                        span.badge { (group.state) }
                        " "
                        (number(group.items)) @if group.items == 1 { " item" } @else { " items" }
                        ", "
                        (FailureClass::from_name(&group.class).map_or(group.class.as_str(), |class| class.title()))
                        @if !matches!(group.reason.as_str(), "" | "other") { " (" (group.reason) ")" }
                        span.means { (display_bytes(group.bytes)) }
                    }
                    @if !group.example.is_empty() { p.message { @if group.items > 1 { "such as: " } (group.example) } }
                    @if let Some(remedy) = group.remedy { p.remedy { strong { "What helps: " } (marked(remedy)) } }
                }
            }
        }
    }
}

/// A text in which commands stand between back quotes.
fn marked(text: &str) -> Markup {
    html! {
        @for (i, part) in text.split('`').enumerate() {
            @if i % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}

fn open(report: &Report) -> Markup {
    html! {
        section {
            h2 { "To be decided" }
            @if report.open.is_empty() { p.none { "Nothing waits for a person." } }
            @if report.papers_missing > 0 {
                p data-kind="papers-missing" data-items=(report.papers_missing) { (number(report.papers_missing)) " of these wait for a required paper." }
            }
            @for item in &report.open { (one_open(item)) }
            @if report.open_items > report.open.len() as u64 {
                p.note { "and " (number(report.open_items - report.open.len() as u64)) " more; the CSV form has a row for each." }
            }
        }
    }
}

fn one_open(item: &Open) -> Markup {
    html! {
        article.item {
            h3 { span.badge { (item.state) } " " (item.title) span.means { (display_bytes(item.bytes)) } }
            p.key { (item.key) }
            @match &item.papers_missing {
                Some(missing) => p.message.missing { strong { "Missing papers: " } (missing) },
                None => @if !item.message.is_empty() { p.message { (item.message) } },
            }
            @for command in &item.commands { p.command { code { (command) } } }
        }
    }
}

fn speed(report: &Report) -> Markup {
    html! {
        section.wide {
            h2 { "Speed over time" }
            @match plot::svg(&report.speed, &report.marks) {
                Some(picture) => {
                    figure { (PreEscaped(picture)) figcaption {
                        "Bytes of proved files, spread over the time from their first part to their commit. "
                        (display_bytes(report.speed.total())) " in all, at most " (display_bytes(report.speed.peak())) "/s."
                    } }
                }
                None => p.none { "No bytes moved in this run." }
            }
            @if !report.marks.is_empty() {
                ol.marks { @for mark in &report.marks {
                    li { span.{"swatch m-" (mark.kind)} {} strong { (mark.kind) } " " (moment(mark.from))
                        @if let Some(to) = mark.to { " to " (moment(to)) }
                        ": " (mark.what) }
                } }
            }
            @if report.marks_all > report.marks.len() as u64 {
                p.note { "and " (number(report.marks_all - report.marks.len() as u64)) " more in the journal." }
            }
        }
    }
}

fn repeated(report: &Report) -> Markup {
    let repeated = &report.repeated;
    html! {
        @if repeated.contents > 0 {
            section.wide {
                h2 { "The same content for several assets" }
                dl.facts {
                    (fact("Contents", &number(repeated.contents)))
                    (fact("Assets beyond the first of each", &number(repeated.copies)))
                    (fact("Their bytes", &display_bytes(repeated.bytes)))
                }
                p.note { "Each asset has a document of its own; nothing was left out for it." }
                @for same in &repeated.largest {
                    details {
                        summary { strong { (display_bytes(same.bytes)) } ", " (number(same.assets)) " assets" span.means { "SHA-256 " (same.sha256) } }
                        ul { @for (key, title, node) in &same.filed { li { (title) " (" code { (key) } ")" @if let Some(node) = node { ", node " (node) } } } }
                    }
                }
            }
        }
    }
}

fn deviations(report: &Report) -> Markup {
    html! {
        section.wide {
            h2 { "Deviations" }
            dl.facts {
                (fact("Handed to Content Server", &display_bytes(report.bytes_sent)))
                (fact("Of these moved twice", &display_bytes(report.bytes_again)))
                (fact("Files begun again", &number(report.restarts)))
            }
            @if report.deviations.is_empty() { p.none { "Nothing else was out of the ordinary." } }
            @for deviation in &report.deviations {
                details open[deviation.times <= 5] {
                    summary { strong { (deviation.event) } ", " (number(deviation.times)) "×" span.means { (deviation.means) } }
                    ul { @for (at, what) in &deviation.examples { li { time { (moment(*at)) } " " (what) } } }
                    @if deviation.times > deviation.examples.len() as u64 {
                        p.note { "and more: " code { "longhaul audit --run " (report.run) } }
                    }
                }
            }
        }
    }
}

fn chain(report: &Report) -> Markup {
    html! {
        section {
            h2 { "Journal" }
            @if report.chain.intact {
                p { "The chain of digests over all " (number(report.chain.line.unsigned_abs())) " lines of the journal is " strong.good { "intact" } ". Its last digest, to keep elsewhere:" }
                p.digest { (report.chain.digest) }
            } @else {
                p { strong.bad { "The journal was changed." } " First bad line: " (report.chain.line) ", " (report.chain.digest) "." }
            }
            p.note { "Check it again with " code { "longhaul audit verify" } "." }
        }
    }
}

fn settings(report: &Report) -> Markup {
    html! {
        section.wide {
            h2 { "Settings" }
            p.lead { "What the run was told, from the ledger:" }
            p.digest { (report.told) }
            @if !report.settings.is_empty() {
                p.lead { "Settings as they are now, when this report is made (without secrets); the run may have had others:" }
                div.scroll { table.settings { tbody { @for setting in &report.settings {
                    tr { th scope="row" { (setting.key) } td { (shown(&setting.value)) } }
                } } } }
            }
        }
    }
}

fn signatures() -> Markup {
    html! {
        section.wide.sign {
            h2 { "Signatures" }
            div.lines {
                @for who in ["Operator", "Records manager", "Auditor"] {
                    div { p.line {} p { (who) } p.line {} p { "Place, date" } }
                }
            }
        }
    }
}
