//! The campaign manifest, `longhaul-campaign/1`, and the same for people: one HTML page that needs
//! nothing else and can be printed.

mod page;
mod read;

pub use read::{Listing, Unreadable};

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::types::{ByteCount, ProofLevel, Sha256Digest};

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
    /// Masters whose parts are items.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub split_masters: Vec<SplitMaster>,
    /// What the edits use.
    pub source_references: Vec<SourceReference>,
    /// Who released what.
    pub approvals: Vec<Approval>,
    /// What may be done with what.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rights: Vec<PackedRights>,
    /// What is missing: it failed, waits, or nothing of it is filed.
    pub exceptions: Vec<Exception>,
    /// What is no part of it: the settings leave it out, or it has nothing that could be packed.
    pub left_out: Vec<LeftOut>,
}

/// The licence of an asset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PackedRights {
    /// The asset in iconik.
    pub asset: String,
    /// Path of its rights sidecar.
    pub sidecar: String,
    /// Whether anything is known of it.
    pub known: bool,
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
    /// What is missing: exceptions, and source references that no asset matches.
    pub gaps: u64,
    /// What is left out and no gap.
    pub left_out: u64,
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
    /// A script, a brief, a list: neither media nor an edit.
    SupportingDocument,
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
            Self::SupportingDocument => "documents",
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
            Self::SupportingDocument => "supporting document",
            Self::Fixity => "fixity",
        }
    }
}

/// A file of the package.
#[derive(Clone, Debug, Serialize, Deserialize)]
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iconik: Option<IconikIds>,
    /// Where it is filed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub otcs: Option<OtcsIds>,
    /// Whether it is final, and who said so; for media.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<Release>,
    /// Path of the split master that it is a part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part_of: Option<String>,
    /// Paths of the documents about it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sidecars: Vec<String>,
}

/// A master that is stored in parts, because it is too large for one document: the bytes of its
/// parts, one after the other, are its content.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SplitMaster {
    /// Its path, where a program that joins the parts would write it.
    pub path: String,
    /// Bytes.
    pub size: ByteCount,
    /// Its digest.
    pub sha256: Sha256Digest,
    /// How far the least proved of its parts is.
    pub level: ProofLevel,
    /// The folder of its parts in Content Server.
    pub node: i64,
    /// Paths of the parts, in order.
    pub parts: Vec<String>,
    /// Path of the manifest that says the same beside them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub joined_by: Option<String>,
    /// Whether it is final, and who said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<Release>,
    /// Paths of the documents about it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sidecars: Vec<String>,
}

/// Whether a version of an asset is final, as far as iconik says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// Whether it is, by the rule of `publish.approved`; none when that cannot be known.
    #[serde(rename = "final")]
    pub is_final: Option<bool>,
    /// Why, for people.
    pub says: String,
    /// Who approved it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub by: Vec<String>,
    /// When the last of them did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
}

/// Ids in iconik.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IconikIds {
    /// The asset.
    pub asset: String,
    /// Its version.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// The file.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub file: String,
}

/// Ids in Content Server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    /// Why the asset is known and not in the package.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_out: Option<String>,
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

/// What is no part of a package, and no gap.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LeftOut {
    /// Its title.
    pub title: String,
    /// The asset in iconik.
    pub asset: String,
    /// The version, where others of the asset may be in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Why, as one word: `not-final`, `no-bytes`, …
    pub why: String,
    /// Why, for people.
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

    /// What is missing.
    pub fn gaps(&self) -> usize {
        self.exceptions.len() + self.unresolved()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    pub(super) fn campaign() -> Campaign {
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
                    version: "v".into(),
                    file: "f".into(),
                }),
                otcs: Some(OtcsIds {
                    instance: "prod".into(),
                    node: 2_481_937,
                    version: 1,
                }),
                release: Some(Release {
                    is_final: Some(true),
                    says: "it is approved".into(),
                    by: vec!["Rui Reviewer".into()],
                    at: "2026-03-01T09:00:00Z".parse().ok(),
                }),
                part_of: None,
                sidecars: vec![],
            }],
            split_masters: vec![],
            source_references: vec![SourceReference {
                from: "data/edl/TV30.edl".into(),
                clip: "A002C006.MOV".into(),
                reel: None,
                first: Some("01:02:03:04".into()),
                last: None,
                iconik_asset: None,
                gap: None,
                left_out: None,
            }],
            approvals: vec![],
            rights: vec![],
            exceptions: vec![],
            left_out: vec![],
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

    #[test]
    fn the_page_never_says_complete_above_a_gap_and_says_who_released_what() {
        let mut campaign = campaign();
        let page = campaign.to_html();
        assert!(page.contains("Not complete: there is a gap") && !page.contains(">Complete"));
        assert!(page.contains("yes: it is approved, by Rui Reviewer, 2026-03-01 09:00 UTC"));
        campaign.source_references.clear();
        campaign.left_out.push(LeftOut {
            title: "Rushes".into(),
            asset: "b".into(),
            version: None,
            why: "not-final".into(),
            reason: "nobody has asked for its approval".into(),
        });
        let page = campaign.to_html();
        assert!(
            page.contains(">Complete: every file") && page.contains("Rushes"),
            "{page}"
        );
        assert!(page.contains("left out on purpose"));
    }
}
