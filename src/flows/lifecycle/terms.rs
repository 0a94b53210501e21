//! The flow's words: marks and outcomes, what the settings ask for, steps and what they came to.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::sidecar::mapping::BoundField;
use crate::types::{AssetId, NodeId, StorageId};

/// Why an asset is not used any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mark {
    /// Somebody said so.
    Obsolete,
    /// Another asset takes its place.
    Superseded,
    /// Its last day of use is over.
    Expired,
}

impl Mark {
    /// Every mark.
    pub const ALL: [Self; 3] = [Self::Obsolete, Self::Superseded, Self::Expired];

    /// The word for people and machines.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Obsolete => "obsolete",
            Self::Superseded => "superseded",
            Self::Expired => "expired",
        }
    }
}

/// What is to become of an asset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It stays as it is.
    Retain,
    /// It is archived.
    Archive,
    /// It is destroyed.
    Destroy,
}

impl Outcome {
    /// Every outcome.
    pub const ALL: [Self; 3] = [Self::Retain, Self::Archive, Self::Destroy];

    /// The word for people and machines.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Retain => "retain",
            Self::Archive => "archive",
            Self::Destroy => "destroy",
        }
    }
}

/// What the outcome `archive` does in iconik.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Archive {
    /// Nothing.
    Nothing,
    /// The asset is shown as archived; its bytes stay where they are.
    Status,
    /// iconik moves the originals to this storage.
    Storage(StorageId),
}

/// Where Content Server's outcome is read.
#[derive(Clone, Debug)]
pub enum Place {
    /// An attribute of the document.
    Attribute(Box<BoundField>),
    /// The record's retention schedule, once it is due.
    Schedule,
    /// The reviews of a disposition search.
    Disposition(NodeId),
}

/// What is marked, what is written and what may follow.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The field whose values are marks.
    pub status: Option<(String, BTreeMap<String, Mark>)>,
    /// The relation by which an asset supersedes another.
    pub relation: Option<String>,
    /// The field with the last day of use.
    pub expiry: Option<String>,
    /// The record's status for a mark.
    pub record_status: BTreeMap<Mark, String>,
    /// The attribute that is told the mark; its value list translates marks.
    pub attribute: Option<BoundField>,
    /// The attribute that is told the day.
    pub date: Option<BoundField>,
    /// Days until a marked record is to be reviewed.
    pub review_days: Option<u32>,
    /// Type of the cross-reference from a superseded record to its successor.
    pub cross_reference: Option<String>,
    /// Where the outcome is read, and what each word means; a person's decision alone without it.
    pub outcome: Option<(Place, BTreeMap<String, Outcome>)>,
    /// Whether the disposition search that the outcome is read from is started.
    pub start_search: bool,
    /// What archiving does.
    pub archive: Archive,
    /// Whether anything may be destroyed.
    pub destroy: bool,
    /// Folders below the target for certificates.
    pub certificates: Vec<String>,
}

/// What a step came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// The record was told.
    Marked,
    /// The record refers to its successor.
    Linked,
    /// It stays.
    Retained,
    /// iconik was asked to move the originals.
    Archiving,
    /// It is archived.
    Archived,
    /// It is in iconik's recycle bin.
    Destroyed,
    /// The certificate is filed.
    Certified,
    /// A person has to approve the destruction.
    Approve,
    /// Something stops it, and a person has to see to it.
    Held,
    /// Its mark is gone; the record has its former status.
    Withdrawn,
    /// Somebody else deleted it.
    Gone,
    /// It was put off to the next run by something that passes.
    Later,
}

impl Step {
    /// The word for people and machines.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Marked => "marked",
            Self::Linked => "linked",
            Self::Retained => "retained",
            Self::Archiving => "archiving",
            Self::Archived => "archived",
            Self::Destroyed => "destroyed",
            Self::Certified => "certified",
            Self::Approve => "approve",
            Self::Held => "held",
            Self::Withdrawn => "withdrawn",
            Self::Gone => "gone",
            Self::Later => "later",
        }
    }

    /// Whether a person has to see to it.
    pub fn waits(self) -> bool {
        matches!(self, Self::Approve | Self::Held | Self::Later)
    }
}

/// What was done or decided about an asset.
#[derive(Clone, Debug, Serialize)]
pub struct Decision {
    /// The asset.
    pub asset: AssetId,
    /// Its title.
    pub title: String,
    /// Its document.
    pub node: NodeId,
    /// What was done.
    pub step: Step,
    /// The mark.
    pub mark: Option<Mark>,
    /// Why, for people.
    pub why: String,
    /// When the record is due, as far as it is known.
    pub due: Option<String>,
}

/// What a run came to.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Totals {
    /// Filed assets.
    pub assets: u64,
    /// Those that were looked at.
    pub looked_at: u64,
    /// Those that wait for Content Server's outcome.
    pub in_review: u64,
    /// The disposition search that was started.
    pub search: Option<NodeId>,
    /// Steps by kind.
    pub steps: BTreeMap<Step, u64>,
    /// Destroyed assets without a certificate.
    #[serde(skip)]
    pub uncertified: Vec<AssetId>,
}
