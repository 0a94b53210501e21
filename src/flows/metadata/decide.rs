//! Fields that wait for a person, and what a person chose.

use serde::Serialize;
use serde_json::json;

use super::FLOW;
use super::known::{Remembered, Take};
use crate::flows::Error;
use crate::ledger::{Change, Entry, Fact, Ledger};
use crate::sidecar::mapping::merge::Side;
use crate::types::{AssetId, Failure};

/// A field that waits for a person.
#[derive(Clone, Debug, Serialize)]
pub struct Conflict {
    /// The asset.
    pub asset: AssetId,
    /// The field.
    pub field: String,
    /// iconik's edit.
    pub iconik: Side,
    /// Content Server's edit.
    pub content_server: Side,
    /// Since when, Unix milliseconds.
    pub since: i64,
}

/// The conflict that a fact of this flow describes.
pub fn conflict_of(fact: &Fact) -> Option<Conflict> {
    let known: Remembered = serde_json::from_str(&fact.data).ok()?;
    let (iconik, content_server) = known.conflict?;
    Some(Conflict {
        asset: AssetId(fact.object.clone()),
        field: fact.field.clone(),
        iconik,
        content_server,
        since: fact.at,
    })
}

/// Records which side a person chose; nothing when there is no such conflict.
///
/// # Errors
///
/// The ledger's.
pub async fn decide(
    ledger: &Ledger,
    asset: &AssetId,
    field: &str,
    take: Take,
    who: &str,
    because: &str,
) -> Result<Option<Conflict>, Error> {
    let facts = ledger.remembered(FLOW, asset.as_str()).await?;
    let Some(fact) = facts
        .into_iter()
        .find(|fact| fact.field == field && fact.open)
    else {
        return Ok(None);
    };
    let Some(conflict) = conflict_of(&fact) else {
        return Ok(None);
    };
    let known: Remembered = serde_json::from_str(&fact.data)
        .map_err(|error| Failure::stop(format!("a remembered field cannot be read: {error}")))?;
    let decided = Remembered {
        take: Some(take),
        ..known
    };
    let line = json!({"asset": asset, "field": field, "take": take, "who": who, "because": because, "conflict": conflict});
    let change = Change::new()
        .fact(Fact {
            data: serde_json::to_string(&decided).unwrap_or_default(),
            ..fact
        })
        .journal(Entry {
            event: "metadata-decided".to_owned(),
            data: line.to_string(),
            ..Entry::default()
        });
    ledger.apply(change).await?;
    Ok(Some(conflict))
}
