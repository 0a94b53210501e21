//! What a run would do, worked out without doing it: reads both ends and the ledger, changes none.
//!
//! A plan asks the same questions as a run's own intake (the same code answers them), and then
//! those that the engine would ask before it sends a byte: is it filed already, whose document is
//! it, is the name free, is there a way in for a file of that size. Every asset gets a
//! [`Decision`]; [`Totals`] adds them up; [`saved`] keeps them in a file that a run can be told
//! to follow.
//!
//! At depth `listing` only the search index is asked, some hundred assets a call: a quick count.
//! Decisions are streamed; what stays in memory is a digest of every asset, so that none is listed
//! twice, and of every name that would be taken.
//!
//! | File | Holds |
//! |---|---|
//! | `decide.rs` | what becomes of each asset and version |
//! | `source.rs` | what the source says of a version that would move |
//! | `there.rs` | what the destination has of it |
//! | `settle.rs` | what assets of one plan mean for each other |
//! | `records.rs` | what versions become beyond their bytes, counted |
//! | `retention.rs` | what their classes mean for retention |
//! | `totals.rs` | the sums |
//!
//! Not asked, because only moving answers it: whether the bytes of a cloud storage are all there,
//! and whether a version found under our marker has this very content.

mod decide;
pub mod probe;
mod records;
mod retention;
pub mod saved;
mod settle;
mod source;
mod there;
mod totals;

use serde::{Deserialize, Serialize};

pub use decide::{PlannedFile, Planner, Rules};
pub use records::{Records, Tally, Words};
pub use retention::{ClassRetention, SaidBy};
pub use totals::{Hours, Known, Rate, Reason, Totals};

use crate::types::{AssetId, ByteCount, CollectionId, NodeId, VersionNumber};

/// How closely assets are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Depth {
    /// The search index alone.
    Listing,
    /// Formats, files and the destination.
    Full,
}

/// What becomes of an asset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Something of it would move.
    In,
    /// Nothing of it would move, and nobody needs to do anything.
    Out,
    /// It is wanted and cannot move before a person does something.
    Blocked,
}

/// What becomes of an asset version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// A document is made.
    NewDocument,
    /// A version is added to a document.
    NewVersion,
    /// A folder of documents is made.
    NewFolder,
    /// The ledger says that it is filed, and the source has not changed.
    AlreadyFiled,
    /// The destination has a version under its marker and of its size that the ledger does not
    /// know of; a run reads it back instead of sending it.
    AlreadyThere,
    /// A person decided that it is not filed.
    Declined,
    /// It cannot be filed as it is.
    Blocked,
}

impl Action {
    /// Whether bytes would move.
    pub fn moves(self) -> bool {
        matches!(self, Self::NewDocument | Self::NewVersion | Self::NewFolder)
    }

    /// Whether its content is at the destination already.
    pub fn is_there(self) -> bool {
        matches!(self, Self::AlreadyFiled | Self::AlreadyThere)
    }
}

/// What a plan says of one asset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// The asset.
    pub asset: AssetId,
    /// Its title.
    #[serde(default)]
    pub title: String,
    /// Whether it is in.
    pub verdict: Verdict,
    /// Why, as one word.
    pub why: String,
    /// Why, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// The collections it is in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub collections: Vec<CollectionId>,
    /// Its versions that were looked at, oldest first; `None` when none were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub versions: Option<Vec<Version>>,
    /// How many views its metadata is in.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub views: u64,
}

impl Decision {
    /// Whether a run that follows the plan looks at the asset at all.
    pub fn is_wanted(&self) -> bool {
        self.verdict != Verdict::Out
            || self
                .versions
                .as_ref()
                .is_some_and(|versions| !versions.is_empty())
    }
}

/// What a plan says of one asset version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// The item's key.
    pub key: String,
    /// Its number among the asset's versions.
    #[serde(default)]
    pub number: i64,
    /// What becomes of it.
    pub action: Action,
    /// Why, as one word.
    pub why: String,
    /// Why, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// Digest of what the source says of the content.
    pub fingerprint: String,
    /// Bytes of its files.
    #[serde(default)]
    pub bytes: ByteCount,
    /// Number of its files.
    #[serde(default)]
    pub files: u64,
    /// The name it is filed under.
    #[serde(default)]
    pub name: String,
    /// The name it has at the source, where that is another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renamed_from: Option<String>,
    /// How many names, the files' in a folder included, are not the source's.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub names_changed: u64,
    /// The name is taken by something else; it would be filed under this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filed_as: Option<String>,
    /// The node that is there already: of its document, or of what has its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<NodeId>,
    /// The version that is there already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<VersionNumber>,
    /// The key of a version of another asset with the same content, by the checksum that the source
    /// quotes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duplicate_of: Option<String>,
    /// Why its content is compared with no other's: `no-md5` or `several-files`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uncompared: Option<String>,
    /// Documents that its files too large for one would become.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub segments: u64,
    /// The storage it is read from, by name or id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage: Option<String>,
    /// Whether reading it costs egress.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cloud: bool,
    /// Whether its bytes may have to be restored first.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub archived: bool,
    /// What it becomes beyond its bytes: place, values, rights and marks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<serde_json::Value>,
    /// What its licence says as a whole: its status, or `permitted` and `nothing permitted` where no
    /// status is kept; with `, N licences` where there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rights: Option<String>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands out references"
)]
fn is_zero(number: &u64) -> bool {
    *number == 0
}
