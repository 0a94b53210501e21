//! The campaign as a page for people: it loads nothing and can be printed.

use maud::{DOCTYPE, Markup, html};

use super::{Campaign, Release};
use crate::types::display_bytes;

impl Campaign {
    /// The page for people.
    pub fn to_html(&self) -> String {
        let gaps = self.gaps();
        html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'";
                    title { (self.campaign) " – campaign summary" }
                    style { (maud::PreEscaped(STYLE)) }
                }
                body {
                    h1 { (self.campaign) }
                    p { "Campaign package, made by longhaul on " (self.created.strftime("%-d %B %Y, %H:%M UTC")) ", run " (self.run) "." }
                    dl {
                        div { dt { "Files" } dd { (self.totals.files) } }
                        div { dt { "Content" } dd { (display_bytes(self.totals.bytes)) } }
                        div { dt { "Approvals" } dd { (self.approvals.len()) } }
                        div { dt { "Gaps" } dd class=[(gaps > 0).then_some("bad")] { (gaps) } }
                        @if !self.left_out.is_empty() { div { dt { "Left out" } dd { (self.left_out.len()) } } }
                    }
                    p { (self.verdict()) }
                    @if gaps > 0 {
                        h2 { "Gaps" }
                        table {
                            thead { tr { th { "What" } th { "Why" } } }
                            tbody {
                                @for exception in &self.exceptions { tr { td { (exception.path) } td { (exception.reason) } } }
                                @for reference in self.source_references.iter().filter(|reference| reference.iconik_asset.is_none()) {
                                    tr { td { (reference.clip) } td { "used by " (reference.from) "; " (reference.gap.as_deref().unwrap_or("no asset of the campaign has this name")) } }
                                }
                            }
                        }
                    }
                    @if !self.left_out.is_empty() {
                        h2 { "Left out, and no gap" }
                        table {
                            thead { tr { th { "What" } th { "Why" } } }
                            tbody { @for out in &self.left_out { tr { td { (out.title) } td { (out.reason) } } } }
                        }
                    }
                    h2 { "What is in it" }
                    table {
                        thead { tr { th { "File" } th { "Kind" } th { "Final" } th { "Size" } th { "Proof" } th { "Node" } th { "SHA-256" } } }
                        tbody {
                            @for item in &self.items {
                                tr {
                                    td { (item.path) } td { (item.kind.words()) } td { @if let Some(release) = &item.release { (released(release)) } } td class="n" { (display_bytes(item.size)) } td { (item.level.as_str()) }
                                    td class="n" { @if let Some(otcs) = &item.otcs { (otcs.node) " v" (otcs.version) } }
                                    td { code { (item.sha256.to_string()) } }
                                }
                            }
                        }
                    }
                    @if !self.split_masters.is_empty() {
                        h2 { "Masters in parts" }
                        table {
                            thead { tr { th { "Master" } th { "Parts" } th { "Size" } th { "Proof" } th { "Node" } th { "SHA-256 of the whole" } } }
                            tbody {
                                @for split in &self.split_masters {
                                    tr {
                                        td { (split.path) } td class="n" { (split.parts.len()) } td class="n" { (display_bytes(split.size)) }
                                        td { (split.level.as_str()) } td class="n" { (split.node) } td { code { (split.sha256.to_string()) } }
                                    }
                                }
                            }
                        }
                    }
                    h2 { "Who approved" }
                    @if self.approvals.is_empty() { p { "No approval is recorded in iconik." } } @else {
                        table {
                            thead { tr { th { "Subject" } th { "Outcome" } th { "By" } th { "When" } } }
                            tbody {
                                @for approval in &self.approvals {
                                    tr { td { (approval.subject) } td { (approval.outcome) } td { (approval.by) } td { (approval.at.strftime("%Y-%m-%d %H:%M UTC")) } }
                                }
                            }
                        }
                    }
                    h2 { "Rights" }
                    @if self.rights.is_empty() { p { "No rights sidecar is in this package." } } @else {
                        table {
                            thead { tr { th { "Sidecar" } th { "What it says" } th { "Last day" } th { "Proved by" } } }
                            tbody {
                                @for rights in &self.rights {
                                    tr {
                                        td { (rights.sidecar) } td { (rights.says) }
                                        td class="n" { @if let Some(day) = rights.ends { (day) } }
                                        td { @for paper in &rights.papers { div { (paper.role) ": " (paper.path.as_deref().unwrap_or("not in the package")) } } }
                                    }
                                }
                            }
                        }
                    }
                    h2 { "Source references" }
                    @if self.source_references.is_empty() { p { "No edit decision record of this campaign names its sources." } } @else {
                        table {
                            thead { tr { th { "Edit" } th { "Clip" } th { "In" } th { "Out" } th { "Asset" } } }
                            tbody {
                                @for reference in &self.source_references {
                                    tr {
                                        td { (reference.from) } td { (reference.clip) }
                                        td { (reference.first.as_deref().unwrap_or("")) } td { (reference.last.as_deref().unwrap_or("")) }
                                        td {
                                            (reference.iconik_asset.as_deref().unwrap_or("not found"))
                                            @if let Some(why) = &reference.left_out { ", not in this package: " (why) }
                                        }
                                    }
                                }
                            }
                        }
                    }
                    footer { p { "The same for machines: campaign.json. Check the files with `sha256sum -c manifest-sha256.txt`." } }
                }
            }
        }
        .into_string()
    }

    /// How the package stands, in words that agree with the numbers above them.
    fn verdict(&self) -> String {
        let mut said = match self.gaps() {
            0 => "Complete: every file is filed and every source reference is known.".to_owned(),
            1 => "Not complete: there is a gap, below.".to_owned(),
            gaps => format!("Not complete: there are {gaps} gaps, below."),
        };
        if self.totals.failed + self.totals.held > 0 {
            said.push_str(&format!(
                " Of what was to be filed, {} failed and {} wait.",
                self.totals.failed, self.totals.held
            ));
        }
        if !self.left_out.is_empty() {
            said.push_str(" What was left out on purpose is listed with its reasons.");
        }
        said
    }
}

/// Whether a version is final, and who says so.
fn released(release: &Release) -> Markup {
    html! {
        @match release.is_final { Some(true) => "yes", Some(false) => "no", None => "not known" }
        ": " (release.says)
        @if !release.by.is_empty() { ", by " (release.by.join(", ")) }
        @if let Some(at) = release.at { ", " (at.strftime("%Y-%m-%d %H:%M UTC")) }
    }
}

const STYLE: &str = "body{font:15px/1.45 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:#1b1f24}\
table{border-collapse:collapse;width:100%;margin:.5rem 0 1.5rem}th{white-space:nowrap}th,td{text-align:left;vertical-align:top;padding:.25rem .6rem;border-bottom:1px solid #d0d5db;overflow-wrap:anywhere}\
td.n{white-space:nowrap}code{font-size:11px}dl{display:flex;gap:2.5rem;flex-wrap:wrap}dt{color:#59636e}dd{margin:0;font-size:1.4rem}dd.bad{color:#b3261e}\
@media print{body{margin:0;font-size:10px}thead{display:table-header-group}tr{break-inside:avoid}}";
