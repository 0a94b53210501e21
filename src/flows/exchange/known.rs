//! What the ledger remembers of an asset's review, and what is filed of the asset.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::line::{Line, is_whole};
use super::record::About;
use super::{ABOUT, FLOW, LINE, SHOWN};
use crate::flows::Error;
use crate::flows::write_back::ItemSource;
use crate::ledger::{Fact, Item};
use crate::types::{AssetId, Failure, NodeId, VersionId};

/// A remark of Content Server as it is shown in iconik.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Shown {
    pub(super) external_id: String,
    pub(super) text: String,
    pub(super) version: Option<VersionId>,
    /// The remark, once it is there.
    pub(super) segment: Option<String>,
}

/// Everything that the ledger remembers of an asset.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    pub(super) about: Option<About>,
    pub(super) lines: Vec<Line>,
    pub(super) shown: BTreeMap<u64, Shown>,
}

impl Known {
    pub(super) fn of(facts: &[Fact]) -> Result<Self, Error> {
        let bad = |fact: &Fact| {
            Failure::stop(format!(
                "what the ledger remembers of the review of asset {} cannot be read ({})",
                fact.object, fact.field
            ))
        };
        let mut known = Self::default();
        for fact in facts {
            if fact.field == ABOUT {
                known.about = Some(serde_json::from_str(&fact.data).map_err(|_| bad(fact))?);
            } else if fact.field.starts_with(LINE) {
                let line = serde_json::from_str(&fact.data).map_err(|_| bad(fact))?;
                known.lines.push(line);
            } else if let Some(seq) = fact.field.strip_prefix(SHOWN) {
                let seq = seq.parse().map_err(|_| bad(fact))?;
                let shown = serde_json::from_str(&fact.data).map_err(|_| bad(fact))?;
                known.shown.insert(seq, shown);
            }
        }
        known.lines.sort_by_key(|line| line.seq);
        if !is_whole(&known.lines) {
            let object = facts.first().map_or("", |fact| fact.object.as_str());
            return Err(Failure::stop(format!(
                "the review record of asset {object} was changed in the ledger: its lines do not follow from each other; restore the ledger from a copy"
            ))
            .into());
        }
        Ok(known)
    }
}

/// An asset with all that is filed of it.
pub(super) struct Filed {
    pub(super) asset: AssetId,
    pub(super) items: Vec<(ItemSource, Item)>,
}

impl Filed {
    /// The newest version's item, with its document.
    pub(super) fn newest(&self) -> Option<(&Item, NodeId)> {
        let newest = self
            .items
            .iter()
            .max_by_key(|(source, _)| source.version_number)?;
        Some((&newest.1, newest.1.node?))
    }
}

/// The line that a fact of this flow is, with its asset.
pub fn line_of(fact: &Fact) -> Option<(AssetId, Line)> {
    if !fact.field.starts_with(LINE) {
        return None;
    }
    let line = serde_json::from_str(&fact.data).ok()?;
    Some((AssetId(fact.object.clone()), line))
}

pub(super) fn fact(asset: &AssetId, field: String, data: &impl Serialize) -> Result<Fact, Error> {
    let data = serde_json::to_string(data)
        .map_err(|error| Failure::stop(format!("a review cannot be recorded: {error}")))?;
    Ok(Fact {
        flow: FLOW.to_owned(),
        object: asset.to_string(),
        field,
        data,
        open: false,
        at: Timestamp::now().as_millisecond(),
    })
}
