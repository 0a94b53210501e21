//! The campaign manifest, `longhaul-campaign/1`, and the same for people: one HTML page that needs
//! nothing else and can be printed.

use jiff::Timestamp;
use jiff::civil::Date;
use maud::{DOCTYPE, html};
use serde::{Deserialize, Serialize};

use crate::types::{ByteCount, ProofLevel, Sha256Digest, display_bytes};

/// The document's name for itself; changes when a reader would have to.
pub const FORMAT: &str = "longhaul-campaign/1";

/// A campaign as it was packed.
#[derive(Clone, Debug, Serialize)]
pub struct Campaign {
    /// [`FORMAT`].
    pub format: &'static str,
    /// Its name.
    pub campaign: String,
    /// The run that packed it.
    pub run: String,
    /// When.
    pub created: Timestamp,
    /// Sums over the items.
    pub totals: Totals,
    /// Every payload file apart from the manifests about them.
    pub items: Vec<PackedItem>,
    /// What the edits use.
    pub source_references: Vec<SourceReference>,
    /// Who released what.
    pub approvals: Vec<Approval>,
    /// What may be done with what.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rights: Vec<PackedRights>,
    /// What was left out on purpose or failed.
    pub exceptions: Vec<Exception>,
}

/// The licence of an asset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PackedRights {
    /// The asset in iconik.
    pub asset: String,
    /// Path of its rights sidecar.
    pub sidecar: String,
    /// What it says, in words.
    pub says: String,
    /// The last day on which anything is permitted, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ends: Option<Date>,
    /// The papers that prove it.
    pub papers: Vec<ProvingPaper>,
}

/// A paper that proves a licence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProvingPaper {
    /// What it is: `licence`, `talent-release`, …
    pub role: String,
    /// Its path; none when it could not be read, which is a gap.
    pub path: Option<String>,
}

/// Sums.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Files.
    pub files: u64,
    /// Their bytes.
    pub bytes: ByteCount,
    /// Items that failed.
    pub failed: u64,
    /// Items that wait for a person.
    pub held: u64,
}

/// What a file of the package is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A master.
    Master,
    /// An edit decision record.
    EditDecisionRecord,
    /// Approvals and comments.
    ReleaseApproval,
    /// The summary for people.
    CampaignSummary,
    /// Media that an edit uses.
    SourceReference,
    /// A metadata sidecar.
    Metadata,
    /// A rights sidecar.
    Rights,
    /// Fixity history.
    Fixity,
}

impl Kind {
    /// The kind's folder below `data/`.
    pub fn folder(self) -> &'static str {
        match self {
            Self::Master | Self::Metadata | Self::Rights => "masters",
            Self::EditDecisionRecord => "edl",
            Self::ReleaseApproval => "approvals",
            Self::CampaignSummary => "summary",
            Self::SourceReference => "sources",
            Self::Fixity => super::mhl::FOLDER,
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Master => "master",
            Self::EditDecisionRecord => "edit decision record",
            Self::ReleaseApproval => "release approval",
            Self::CampaignSummary => "campaign summary",
            Self::SourceReference => "source reference",
            Self::Metadata => "metadata",
            Self::Rights => "rights",
            Self::Fixity => "fixity",
        }
    }
}

/// A file of the package.
#[derive(Clone, Debug, Serialize)]
pub struct PackedItem {
    /// Its path in the bag.
    pub path: String,
    /// What it is.
    pub kind: Kind,
    /// Bytes.
    pub size: ByteCount,
    /// Its digest.
    pub sha256: Sha256Digest,
    /// How far it is proved.
    pub level: ProofLevel,
    /// Where it came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iconik: Option<IconikIds>,
    /// Where it is filed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub otcs: Option<OtcsIds>,
    /// Paths of the documents about it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sidecars: Vec<String>,
}

/// Ids in iconik.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct IconikIds {
    /// The asset.
    pub asset: String,
    /// The file.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub file: String,
}

/// Ids in Content Server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OtcsIds {
    /// The configured name of the server.
    pub instance: String,
    /// The node.
    pub node: i64,
    /// Its version.
    pub version: i64,
}

/// A use of source media in an edit.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SourceReference {
    /// Path of the edit decision record.
    pub from: String,
    /// The clip.
    pub clip: String,
    /// The reel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reel: Option<String>,
    /// First frame used.
    #[serde(rename = "in", default, skip_serializing_if = "Option::is_none")]
    pub first: Option<String>,
    /// The frame after the last.
    #[serde(rename = "out", default, skip_serializing_if = "Option::is_none")]
    pub last: Option<String>,
    /// The asset of the package that it is; none for a gap.
    pub iconik_asset: Option<String>,
    /// Why it is a gap, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gap: Option<String>,
}

/// A release.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Approval {
    /// What was decided on.
    pub subject: String,
    /// `approved` or `rejected`.
    pub outcome: String,
    /// Who decided: a name, or an id where no name is to be seen.
    pub by: String,
    /// The same by id; none for somebody without an account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by_id: Option<String>,
    /// When.
    pub at: Timestamp,
    /// Where the document is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<String>,
}

/// What is missing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Exception {
    /// What: a path, or the name of an asset.
    pub path: String,
    /// Why.
    pub reason: String,
}

impl Campaign {
    /// The document: indented JSON ending in a line feed.
    pub fn to_json(&self) -> Vec<u8> {
        let mut text = serde_json::to_vec_pretty(self).expect("plain facts are always JSON");
        text.push(b'\n');
        text
    }

    /// The number of source references that no asset of the package matches.
    pub fn unresolved(&self) -> usize {
        self.source_references
            .iter()
            .filter(|reference| reference.iconik_asset.is_none())
            .count()
    }

    /// The page for people.
    pub fn to_html(&self) -> String {
        let unresolved = self.unresolved();
        let gaps = unresolved + self.exceptions.len();
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
                    }
                    @if gaps == 0 { p { "Complete: every file is filed and every source reference is known." } }
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
                    h2 { "What is in it" }
                    table {
                        thead { tr { th { "File" } th { "Kind" } th { "Size" } th { "Proof" } th { "Node" } th { "SHA-256" } } }
                        tbody {
                            @for item in &self.items {
                                tr {
                                    td { (item.path) } td { (item.kind.words()) } td class="n" { (display_bytes(item.size)) } td { (item.level.as_str()) }
                                    td class="n" { @if let Some(otcs) = &item.otcs { (otcs.node) " v" (otcs.version) } }
                                    td { code { (item.sha256.to_string()) } }
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
                                        td { (reference.iconik_asset.as_deref().unwrap_or("not found")) }
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
}

const STYLE: &str = "body{font:15px/1.45 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:#1b1f24}\
table{border-collapse:collapse;width:100%;margin:.5rem 0 1.5rem}th,td{text-align:left;vertical-align:top;padding:.25rem .6rem;border-bottom:1px solid #d0d5db;overflow-wrap:anywhere}\
td.n{white-space:nowrap}code{font-size:11px}dl{display:flex;gap:2.5rem;flex-wrap:wrap}dt{color:#59636e}dd{margin:0;font-size:1.4rem}dd.bad{color:#b3261e}\
@media print{body{margin:0;font-size:10px}thead{display:table-header-group}tr{break-inside:avoid}}";

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn campaign() -> Campaign {
        Campaign {
            format: FORMAT,
            campaign: "BRANDX-Q1".into(),
            run: "7".into(),
            created: "2026-03-02T18:25:00Z".parse().unwrap(),
            totals: Totals {
                files: 1,
                bytes: 3,
                ..Totals::default()
            },
            items: vec![PackedItem {
                path: "data/masters/<b>TV30.mov".into(),
                kind: Kind::Master,
                size: 3,
                sha256: Sha256Digest([7; 32]),
                level: ProofLevel::ReadBack,
                iconik: Some(IconikIds {
                    asset: "a".into(),
                    file: "f".into(),
                }),
                otcs: Some(OtcsIds {
                    instance: "prod".into(),
                    node: 2_481_937,
                    version: 1,
                }),
                sidecars: vec![],
            }],
            source_references: vec![SourceReference {
                from: "data/edl/TV30.edl".into(),
                clip: "A002C006.MOV".into(),
                reel: None,
                first: Some("01:02:03:04".into()),
                last: None,
                iconik_asset: None,
                gap: None,
            }],
            approvals: vec![],
            rights: vec![],
            exceptions: vec![],
        }
    }

    #[test]
    fn the_json_has_the_members_that_the_format_promises() {
        let value: Value = serde_json::from_slice(&campaign().to_json()).unwrap();
        assert_eq!(value["format"], "longhaul-campaign/1");
        assert_eq!(value["created"], "2026-03-02T18:25:00Z");
        assert_eq!(value["items"][0]["kind"], "master");
        assert_eq!(value["items"][0]["level"], "read-back");
        assert_eq!(
            value["items"][0]["otcs"],
            json!({"instance": "prod", "node": 2_481_937, "version": 1})
        );
        assert_eq!(value["source_references"][0]["in"], "01:02:03:04");
        assert_eq!(value["source_references"][0]["iconik_asset"], Value::Null);
        assert_eq!(value["approvals"], json!([]));
        assert_eq!(value["exceptions"], json!([]));
    }

    #[test]
    fn the_page_escapes_names_loads_nothing_and_shows_the_gap() {
        let page = campaign().to_html();
        assert!(page.contains("&lt;b&gt;TV30.mov") && !page.contains("<b>TV30"));
        assert!(page.contains("A002C006.MOV") && page.contains("no asset of the campaign"));
        assert!(!page.contains("http://") && !page.contains("https://"));
    }
}
