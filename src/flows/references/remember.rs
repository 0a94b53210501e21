//! What the ledger keeps of the documents that are shown, and of the rules that wait.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{At, Copied, FLOW, Place};
use crate::ledger::{Entry, Fact};
use crate::types::{AssetId, NodeId};

/// What is remembered of a document at an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reference {
    /// Its name.
    pub name: String,
    /// Its media type, or the server's word for its kind.
    pub kind: String,
    /// Its newest version.
    pub version: i64,
    /// `reserved` or `available`.
    pub state: String,
    /// When it was changed, as the server writes it.
    pub changed: String,
    /// What people see in iconik.
    pub title: String,
    /// What opens it.
    pub address: String,
    /// Where it is shown.
    pub place: Place,
    /// Whether it is shown at an asset.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub at_asset: bool,
    /// The link, once it is made.
    #[serde(default)]
    pub link: Option<AssetId>,
    /// The copy of its content, once one is begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copy: Option<Copied>,
    /// Whether it is shown, or was.
    pub shown: bool,
    /// Whether showing it was begun and not seen to its end.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub pending: bool,
}

/// A rule that waits for a person at an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// Why.
    pub why: String,
}

/// What stands behind a fact of this flow.
#[derive(Clone, Debug)]
pub enum Remembered {
    /// A document.
    Document(NodeId, Box<Reference>),
    /// A rule that waits.
    Waiting(Waiting),
}

/// The rule and what is remembered; `None` for what cannot be read.
pub fn remembered(fact: &Fact) -> Option<(&str, Remembered)> {
    let (rule, node) = fact.field.rsplit_once('/')?;
    let known = if node.is_empty() {
        Remembered::Waiting(serde_json::from_str(&fact.data).ok()?)
    } else {
        let reference = serde_json::from_str(&fact.data).ok()?;
        Remembered::Document(NodeId(node.parse().ok()?), reference)
    };
    Some((rule, known))
}

pub(super) fn fact(at: &At<'_>, node: &str, data: &impl Serialize, open: bool) -> Fact {
    Fact {
        flow: FLOW.to_owned(),
        object: at.object.id().to_owned(),
        field: format!("{}/{node}", at.rule),
        data: serde_json::to_string(data).unwrap_or_default(),
        open,
        at: Timestamp::now().as_millisecond(),
    }
}

pub(super) fn entry(event: &str, data: &impl Serialize) -> Entry {
    Entry {
        event: event.to_owned(),
        data: serde_json::to_string(data).unwrap_or_default(),
        ..Entry::default()
    }
}
