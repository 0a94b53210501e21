//! What the ledger remembers of a pair.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::PAIR;
use crate::ledger::Fact;
use crate::sidecar::mapping::merge::{Side, Values};

/// What the ledger remembers of a field.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Remembered {
    /// What both sides last agreed on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) base: Option<Values>,
    /// The edits that a person has to choose from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) conflict: Option<(Side, Side)>,
    /// What a person chose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) take: Option<Take>,
    /// What a side did not take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) refused: Option<Refusal>,
}

/// Values that a side did not take: they are not offered again while nothing changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Refusal {
    pub(super) iconik: Values,
    pub(super) content_server: Values,
    pub(super) why: String,
}

/// Which side a person chose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Take {
    /// iconik's values.
    Iconik,
    /// Content Server's values.
    ContentServer,
}

/// What the ledger remembers of a pair: when each side was changed, as it was when last compared.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stamps {
    pub(super) iconik: Option<Timestamp>,
    pub(super) content_server: String,
}

/// Everything that the ledger remembers of a pair.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    pub(super) stamps: Stamps,
    /// By field, with whether it waits for a person.
    pub(super) fields: BTreeMap<String, (Remembered, bool)>,
}

impl Known {
    pub(super) fn of(facts: &[Fact]) -> Self {
        let mut known = Self::default();
        for fact in facts {
            if fact.field == PAIR {
                known.stamps = serde_json::from_str(&fact.data).unwrap_or_default();
            } else if let Ok(field) = serde_json::from_str(&fact.data) {
                known.fields.insert(fact.field.clone(), (field, fact.open));
            }
        }
        known
    }

    /// Whether something is to be done or said although neither side was edited.
    pub(super) fn is_unsettled(&self) -> bool {
        let mut fields = self.fields.values();
        fields.any(|(field, _)| field.take.is_some() || field.refused.is_some())
    }
}
