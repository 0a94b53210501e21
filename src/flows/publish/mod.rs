//! Publishing: final, approved media become the system of record.
//!
//! What is chosen is decided asset by asset while a run enumerates ([`Policy::refusal`]): an asset
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

use super::approval::Rejections;
use super::metadata::InStep;
use super::{Error, Systems};
use crate::content_server::{Filing, Marks, Rights, WorkspacePlace};
use crate::iconik::{Asset, Metadata};
use crate::ledger::NewItem;
use crate::sidecar::mapping::{Binding, Bound, Truth};
use crate::transfer::Record;
use crate::types::{Failure, NodeId};

/// Which assets are published, and as what.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Which assets are final.
    pub approved: Approved,
    /// What approval processes rejected; nothing while there is no ledger.
    pub rejections: Option<Rejections>,
    /// What the flow `metadata` keeps in step; nothing while there is no ledger.
    pub in_step: Option<InStep>,
    /// Which field of the source fills which attribute.
    pub binding: Binding,
    /// The folder that everything is filed below.
    pub base: NodeId,
    /// When everything was to be looked at again; makes every record another.
    pub again: Option<String>,
    /// Folders below it.
    pub place: Vec<Template>,
    /// The workspace that takes the place of the folder.
    pub workspace: Option<Workspace>,
    /// Who may do what with a record.
    pub rights: Option<Rights>,
    /// Who may do what with it instead, by a field's value.
    pub access: Option<ByValue<Rights>>,
    /// Marks that every record gets.
    pub marks: Marks,
    /// The records classification by a field's value.
    pub records_class: Option<ByValue<NodeId>>,
    /// Clearance level and markings by a field's value.
    pub security: Option<ByValue<(Option<i64>, Vec<String>)>>,
    /// Whether a record follows a new name.
    pub rename: bool,
    /// Whether a record follows a new place.
    pub relocate: bool,
    /// Whether new content of a record that takes none becomes a document of its own.
    pub supersede: bool,
}

/// The workspace that a record goes to, before an asset's values are in it.
#[derive(Clone, Debug)]
pub struct Workspace {
    /// What does not depend on the asset.
    pub place: WorkspacePlace,
    /// Its name.
    pub name: Template,
    /// The id of the object it stands for: system, type, id.
    pub object: Option<(String, String, Template)>,
    /// Mapped fields whose values a new one gets.
    pub fields: Vec<String>,
}

/// Something that a field's value chooses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ByValue<T> {
    /// The field; without one, the same for everything.
    pub field: Option<String>,
    /// What each value chooses.
    pub values: BTreeMap<String, T>,
    /// What everything else gets.
    pub default: Option<T>,
}

impl<T: Clone> ByValue<T> {
    /// What a field's value chooses; `spellings` are its words at either end.
    fn choose(&self, spellings: impl Fn(&str) -> Vec<String>) -> Option<T> {
        let words = self.field.as_deref().map(spellings).unwrap_or_default();
        words
            .iter()
            .find_map(|word| self.values.get(word))
            .or(self.default.as_ref())
            .cloned()
    }
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

impl Approved {
    /// Why an asset is not final; nothing when it is.
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
        Ok(match self {
            Self::Any => None,
            Self::Field { field, values } => {
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
            Self::Review => {
                let review = systems.iconik.review_of(asset).await?;
                (!review.is_approved()).then(|| review.to_string())
            }
        })
    }
}

impl Policy {
    /// Why an asset is not published; nothing when it is final, and its current version was not
    /// rejected in Content Server.
    ///
    /// # Errors
    ///
    /// iconik's; the ledger's.
    pub async fn refusal(
        &self,
        systems: &Systems,
        asset: &Asset,
        metadata: &Metadata,
    ) -> Result<Option<String>, Error> {
        if let Some(rejections) = &self.rejections
            && let Some(version) = asset.current_version()
            && let Some(why) = rejections.of(&asset.id, &version.id)?
        {
            return Ok(Some(why));
        }
        self.approved.refusal(systems, asset, metadata).await
    }

    /// What an asset's record is. `name` is the name its document gets, `papers` are the documents
    /// that prove its rights.
    ///
    /// # Errors
    ///
    /// The ledger's.
    pub fn record(
        &self,
        asset: &Asset,
        metadata: &Metadata,
        name: &str,
        papers: &[NodeId],
    ) -> Result<Recorded, Error> {
        let source = values_of(metadata);
        let mut bound = self.binding.bind(&source);
        self.leave_in_step(asset, &mut bound)?;
        let mut missing: Vec<String> = bound
            .problems()
            .map(|(field, problem)| format!("`{field}` {problem}"))
            .collect();
        let value = |field: &str| {
            let mapped = bound.fields.iter().find(|outcome| outcome.field == field);
            let values = match mapped {
                Some(outcome) => Some(&outcome.written),
                None => source.get(field),
            };
            word_of(asset, values, field)
        };
        // Settings may name a value as it is written or as it stands in iconik.
        let spellings = |field: &str| -> Vec<String> {
            let mapped = bound.fields.iter().find(|outcome| outcome.field == field);
            let read = mapped.map(|outcome| &outcome.source);
            let read = read.and_then(|values| word_of(asset, Some(values), field));
            value(field).into_iter().chain(read).collect()
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
        let workspace = self.workspace.as_ref().and_then(|workspace| {
            match workspace.fill(&bound, &self.binding, value) {
                Ok(place) => Some(place),
                Err(field) => {
                    missing.push(format!(
                        "`{field}` has no value, and its workspace ({}) needs one",
                        workspace.name
                    ));
                    None
                }
            }
        });
        missing.dedup();
        let mut marks = self.marks.clone();
        if let Some(class) = &self.records_class {
            marks.records_class = class.choose(spellings);
        }
        if let Some((level, markings)) = self.security.as_ref().and_then(|by| by.choose(spellings))
        {
            marks.clearance = level;
            marks.markings = markings.into_iter().collect();
        }
        marks.papers = papers.to_vec();
        marks.papers.sort_unstable();
        marks.papers.dedup();
        marks.external.created = asset.date_created.map(day);
        let record = missing.is_empty().then(|| {
            let filing = Filing {
                folders: place.clone(),
                categories: bound.categories.clone(),
                rights: self
                    .access
                    .as_ref()
                    .and_then(|access| access.choose(spellings))
                    .or_else(|| self.rights.clone()),
                workspace,
                marks,
                ..Filing::below(self.base)
            };
            Record {
                rename: self.rename.then(|| name.to_owned()),
                relocate: self.relocate,
                supersede: self.supersede,
                again: self.again.clone(),
                filing: serde_json::to_value(filing).unwrap_or_default(),
            }
        });
        Ok(Recorded {
            record,
            bound,
            place,
            missing,
        })
    }

    /// Leaves out the values of fields that another flow keeps in step and that may be the
    /// destination's by now: writing the source's would undo an edit there.
    fn leave_in_step(&self, asset: &Asset, bound: &mut Bound) -> Result<(), Error> {
        let Some(in_step) = &self.in_step else {
            return Ok(());
        };
        let merged = in_step.fields(&asset.id)?;
        for field in &self.binding.fields {
            if field.map.truth != Truth::Iconik
                && merged.contains_key(&field.map.name)
                && let Some(values) = bound.categories.get_mut(&field.category)
            {
                values.retain(|key, _| !field.fills(key));
            }
        }
        Ok(())
    }
}

impl Workspace {
    /// The workspace with values.
    ///
    /// # Errors
    ///
    /// The field that has none.
    pub(in crate::flows) fn fill<'a>(
        &'a self,
        bound: &Bound,
        binding: &Binding,
        value: impl Fn(&str) -> Option<String> + Copy,
    ) -> Result<WorkspacePlace, &'a str> {
        let mut categories = self.place.categories.clone();
        for field in &binding.fields {
            if self.fields.contains(&field.map.name)
                && let Some(values) = bound.categories.get(&field.category)
            {
                let own = categories.entry(field.category).or_default();
                let keys = values.iter().filter(|(key, _)| field.fills(key));
                own.extend(keys.map(|(key, value)| (key.clone(), value.clone())));
            }
        }
        let object = match &self.object {
            None => None,
            Some((system, kind, id)) => Some((system.clone(), kind.clone(), id.fill(value)?)),
        };
        Ok(WorkspacePlace {
            name: crate::content_server::map_name(&self.name.fill(value)?),
            object,
            categories,
            ..self.place.clone()
        })
    }
}

/// A moment as a day, in UTC.
fn day(at: jiff::Timestamp) -> String {
    at.strftime("%Y-%m-%d").to_string()
}

/// Names that stand for what every asset has beside its fields.
pub const EVERY_ASSET_HAS: [&str; 2] = ["title", "asset_id"];

/// What a placeholder stands for: an asset's title or id, or the first of a field's values.
pub fn word_of(asset: &Asset, values: Option<&Vec<Value>>, field: &str) -> Option<String> {
    match field {
        "title" => Some(asset.title.clone()),
        "asset_id" => Some(asset.id.to_string()),
        _ => values?.first().map(|value| match value {
            // A day says no more as a moment.
            Value::String(text) => text.strip_suffix("T00:00:00").unwrap_or(text).to_owned(),
            other => other.to_string(),
        }),
    }
}

/// An asset's values by field; a field in several views is there once.
pub fn values_of(metadata: &Metadata) -> BTreeMap<String, Vec<Value>> {
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
pub async fn place_now(systems: &Systems, item: &NewItem) -> Result<Option<NodeId>, Error> {
    let Some(record) = &item.record else {
        return Ok(Some(NodeId(item.parent)));
    };
    let filing = serde_json::from_str::<Record>(record)
        .and_then(|record| serde_json::from_value::<Filing>(record.filing))
        .map_err(|error| Failure::stop(format!("a record cannot be read: {error}")))?;
    systems
        .content_server
        .place_now(&filing)
        .await
        .map_err(Error::from)
}
