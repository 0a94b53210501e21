//! What the ledger keeps of an asset's way through its lifecycle, and a person's decision.

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Error, FLOW, Mark, Outcome};
use crate::content_server::RecordFields;
use crate::ledger::{Change, Entry, Fact, Ledger};
use crate::types::{AssetId, Failure};

/// The fact that is the case.
pub(super) const CASE: &str = "case";
/// The fact with the last day of use.
pub(super) const EXPIRES: &str = "expires";
/// The fact with the asset that takes the place of this one.
pub(super) const SUCCESSOR: &str = "successor";

/// How far a case is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// There is no case.
    #[default]
    None,
    /// It is marked in iconik; what its record has now is not known yet.
    Found,
    /// Its record is being told.
    Marked,
    /// Its record was told; the outcome is awaited.
    Review,
    /// iconik is asked to archive it.
    Archiving,
    /// It is about to go into the recycle bin.
    Destroying,
    /// It is in the recycle bin; its certificate is not filed yet.
    Destroyed,
    /// Over.
    Closed(End),
}

/// How a case ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// It stays.
    Retained,
    /// It is archived.
    Archived,
    /// It is destroyed, and the certificate is filed.
    Destroyed,
    /// Its mark was taken away.
    Withdrawn,
    /// Somebody else deleted it.
    Gone,
}

/// A person's decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// What was decided.
    pub outcome: Outcome,
    /// By whom.
    pub who: String,
    /// Why.
    pub because: String,
    /// When.
    pub at: Timestamp,
}

/// What the record had before it was told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Before {
    #[serde(default)]
    pub(super) record: RecordFields,
    #[serde(default)]
    pub(super) attribute: Vec<String>,
    #[serde(default)]
    pub(super) date: Vec<String>,
}

/// An asset's way through its lifecycle.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Case {
    /// How far it is.
    pub stage: Stage,
    /// Why it is not used any more.
    pub mark: Option<Mark>,
    /// The same in words.
    pub why: String,
    /// Since when: a day.
    pub since: String,
    /// The asset that takes its place.
    pub successor: Option<AssetId>,
    /// Whether the record refers to the successor's.
    pub linked: bool,
    /// When the record is due, as the server wrote it.
    pub due: Option<String>,
    /// A person's decision.
    pub approval: Option<Approval>,
    /// What stops it.
    pub problem: Option<String>,
    /// Where the outcome came from, in words.
    pub source: String,
    /// When its record was told.
    pub told: Option<Timestamp>,
    /// When iconik was asked to archive or destroy it.
    pub asked: Option<Timestamp>,
    /// When it was found destroyed.
    pub destroyed: Option<Timestamp>,
    pub(super) before: Before,
}

impl Case {
    pub(super) fn fact(&self, asset: &AssetId, open: bool) -> Fact {
        Fact {
            flow: FLOW.to_owned(),
            object: asset.to_string(),
            field: CASE.to_owned(),
            data: serde_json::to_string(self).unwrap_or_default(),
            open,
            at: Timestamp::now().as_millisecond(),
        }
    }

    /// Whether a person may still decide.
    pub fn is_decidable(&self) -> bool {
        matches!(self.stage, Stage::Marked | Stage::Review | Stage::Archiving)
    }

    /// Whether something is still to come.
    pub fn is_unfinished(&self) -> bool {
        !matches!(self.stage, Stage::None | Stage::Closed(_)) || self.problem.is_some()
    }
}

/// Everything that the ledger remembers of an asset.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    pub(super) case: Option<Case>,
    /// Whether the case waits for a person.
    pub(super) open: bool,
    pub(super) expires: Option<Date>,
    pub(super) successor: Option<AssetId>,
}

impl Known {
    pub(super) fn of(facts: &[Fact]) -> Result<Self, Error> {
        let mut known = Self::default();
        for fact in facts {
            match fact.field.as_str() {
                CASE => {
                    // A case that cannot be read must not begin anew: it may be half destroyed.
                    let case = serde_json::from_str(&fact.data).map_err(|error| {
                        Failure::stop(format!(
                            "what the ledger keeps of the lifecycle of asset {} cannot be read: {error}",
                            fact.object
                        ))
                    })?;
                    known.case = Some(case);
                    known.open = fact.open;
                }
                EXPIRES => known.expires = serde_json::from_str(&fact.data).unwrap_or_default(),
                SUCCESSOR => known.successor = serde_json::from_str(&fact.data).unwrap_or_default(),
                _ => {}
            }
        }
        Ok(known)
    }

    pub(super) fn is_unfinished(&self) -> bool {
        self.case.as_ref().is_some_and(Case::is_unfinished)
    }
}

/// The case that a fact of this flow is, when it is one.
pub fn case_of(fact: &Fact) -> Option<Case> {
    if fact.field != CASE {
        return None;
    }
    serde_json::from_str(&fact.data).ok()
}

/// Records what a person decided; nothing when the asset has no case that is open to it.
///
/// # Errors
///
/// The ledger's.
pub async fn decide(
    ledger: &Ledger,
    asset: &AssetId,
    approval: Approval,
) -> Result<Option<Case>, Error> {
    let facts = ledger.remembered(FLOW, asset.as_str()).await?;
    let Some(mut case) = Known::of(&facts)?.case.filter(Case::is_decidable) else {
        return Ok(None);
    };
    let line = json!({
        "asset": asset, "outcome": approval.outcome, "who": approval.who,
        "because": approval.because, "before": case.approval,
    });
    case.approval = Some(approval);
    case.problem = None;
    if case.stage == Stage::Archiving {
        case.stage = Stage::Review;
    }
    let change = Change::new().fact(case.fact(asset, false)).journal(Entry {
        event: "lifecycle-decided".to_owned(),
        data: line.to_string(),
        ..Entry::default()
    });
    ledger.apply(change).await?;
    Ok(Some(case))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_kept_is_read_again_and_what_cannot_be_read_stops_everything() {
        let case = Case {
            stage: Stage::Closed(End::Archived),
            mark: Some(Mark::Expired),
            due: Some("2027-01-01".into()),
            ..Case::default()
        };
        let fact = case.fact(&AssetId("a".into()), true);
        let known = Known::of(std::slice::from_ref(&fact)).unwrap();
        assert_eq!(known.case, Some(case));
        assert!(known.open && !known.is_unfinished());
        let broken = Fact {
            data: "{\"stage\":\"burning\"}".into(),
            ..fact
        };
        assert!(Known::of(&[broken]).is_err());
    }
}
