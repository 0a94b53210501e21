//! Publishing: final, approved media become the system of record.
//!
//! What is chosen is decided asset by asset while a run enumerates ([`Policy::choose`]): an asset
//! that is not final is left out with its reason, and one that lacks what its record needs is held
//! until a later run finds it complete. What it becomes is worked out by [`Policy::record`] and
//! kept with its item; the engine carries it out around the same pipeline that moves the bytes.
//!
//! | File | Holds |
//! |---|---|
//! | `mod.rs` | which assets are final, and what their records are |
//! | `template.rs` | texts with placeholders |

mod template;

use std::collections::BTreeMap;

use serde_json::Value;

pub use template::{BadTemplate, Template};

use super::{Error, Systems};
use crate::content_server::{Filing, Rights};
use crate::iconik::{Asset, Metadata};
use crate::ledger::NewItem;
use crate::sidecar::mapping::{Binding, Bound};
use crate::transfer::{Destination, Record};
use crate::types::{Failure, NodeId};

/// Which assets are published, and as what.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Which assets are final.
    pub approved: Approved,
    /// Which field of the source fills which attribute.
    pub binding: Binding,
    /// The folder that everything is filed below.
    pub base: NodeId,
    /// Folders below it.
    pub place: Vec<Template>,
    /// Who may do what with a record.
    pub rights: Option<Rights>,
    /// Whether a record follows a new name.
    pub rename: bool,
    /// Whether a record follows a new place.
    pub relocate: bool,
    /// Whether new content of a record that takes none becomes a document of its own.
    pub supersede: bool,
    /// Fields that longhaul itself writes: their values are no news.
    pub written_back: Vec<String>,
}

/// Which assets are final.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Approved {
    /// Those whose current version is approved in iconik.
    Review,
    /// Those with one of these values in a metadata field.
    Field {
        /// The field.
        field: String,
        /// Its values that mean approved.
        values: Vec<String>,
    },
    /// All of them.
    Any,
}

/// What an asset's record is, and why, field by field.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The record; nothing when something is missing.
    pub record: Option<Record>,
    /// The values of its categories, and what became of each field.
    pub bound: Bound,
    /// Folders below the target that it goes to.
    pub place: Vec<String>,
    /// What is missing or does not fit, for people.
    pub missing: Vec<String>,
}

impl Policy {
    /// Why an asset is not published; nothing when it is final.
    ///
    /// # Errors
    ///
    /// iconik's.
    pub async fn refusal(
        &self,
        systems: &Systems,
        asset: &Asset,
        metadata: &Metadata,
    ) -> Result<Option<String>, Error> {
        Ok(match &self.approved {
            Approved::Any => None,
            Approved::Field { field, values } => {
                let found = metadata
                    .flat()
                    .get(field.as_str())
                    .cloned()
                    .unwrap_or_default();
                let is_one = |value: &String| values.iter().any(|wanted| wanted == value);
                (!found.iter().any(is_one)).then(|| {
                    let found = if found.is_empty() {
                        "nothing".to_owned()
                    } else {
                        found.join(", ")
                    };
                    format!("`{field}` says {found}, not {}", values.join(" or "))
                })
            }
            Approved::Review => {
                let review = systems.iconik.review_of(asset).await?;
                (!review.is_approved()).then(|| review.to_string())
            }
        })
    }

    /// What an asset's record is. `name` is the name its document gets.
    pub fn record(&self, asset: &Asset, metadata: &Metadata, name: &str) -> Recorded {
        let source = values_of(metadata);
        let bound = self.binding.bind(&source);
        let mut missing: Vec<String> = bound
            .problems()
            .map(|(field, problem)| format!("`{field}` {problem}"))
            .collect();
        let value = |field: &str| match field {
            "title" => Some(asset.title.clone()),
            "asset_id" => Some(asset.id.to_string()),
            _ => {
                let mapped = bound.fields.iter().find(|outcome| outcome.field == field);
                let values = match mapped {
                    Some(outcome) => Some(&outcome.written),
                    None => source.get(field),
                };
                values?.first().map(|value| match value {
                    Value::String(text) => {
                        // A day says no more as a moment.
                        text.strip_suffix("T00:00:00").unwrap_or(text).to_owned()
                    }
                    other => other.to_string(),
                })
            }
        };
        let mut place = Vec::new();
        for template in &self.place {
            match template.fill(value) {
                // A slash in a value is no way into another folder.
                Ok(folder) => place.push(crate::content_server::map_name(&folder)),
                Err(field) => missing.push(format!(
                    "`{field}` has no value, and its place ({template}) needs one"
                )),
            }
        }
        missing.dedup();
        let record = missing.is_empty().then(|| {
            let filing = Filing {
                folders: place.clone(),
                categories: bound.categories.clone(),
                rights: self.rights.clone(),
                ..Filing::below(self.base)
            };
            Record {
                rename: self.rename.then(|| name.to_owned()),
                relocate: self.relocate,
                supersede: self.supersede,
                filing: serde_json::to_value(filing).unwrap_or_default(),
            }
        });
        Recorded {
            record,
            bound,
            place,
            missing,
        }
    }

    /// The metadata without what longhaul itself writes into it.
    pub fn without_own(&self, metadata: &mut Metadata) {
        for view in &mut metadata.views {
            view.fields
                .retain(|field| !self.written_back.contains(&field.name));
        }
    }
}

/// An asset's values by field; a field in several views is there once.
fn values_of(metadata: &Metadata) -> BTreeMap<String, Vec<Value>> {
    let mut values = BTreeMap::new();
    for field in metadata.views.iter().flat_map(|view| &view.fields) {
        if !field.values.is_empty() {
            values
                .entry(field.name.clone())
                .or_insert_with(|| field.values.clone());
        }
    }
    values
}

/// The container that an item would be published in, as far as it is there now; nothing is made.
///
/// # Errors
///
/// The destination's.
pub async fn place_now(
    destination: &dyn Destination,
    item: &NewItem,
) -> Result<Option<NodeId>, Error> {
    let Some(record) = &item.record else {
        return Ok(Some(NodeId(item.parent)));
    };
    let filing = serde_json::from_str::<Record>(record)
        .and_then(|record| serde_json::from_value::<Filing>(record.filing))
        .map_err(|error| Failure::stop(format!("a record cannot be read: {error}")))?;
    let mut at = filing.base;
    for folder in &filing.folders {
        match destination.child(at, folder).await? {
            Some(node) if node.container => at = node.id,
            _ => return Ok(None),
        }
    }
    Ok(Some(at))
}
