//! What the ledger knows of a master before it is looked at again, for its metadata sidecar: every
//! flow says the same of it, whichever filed it last.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use crate::flows::Error;
use crate::flows::metadata::InStep;
use crate::flows::rights::Filed;
use crate::ledger::NewItem;
use crate::sidecar::FilingFacts;
use crate::sidecar::mapping::{FieldMap, Truth};
use crate::types::AssetId;

/// What is remembered of earlier filings.
#[derive(Debug)]
pub struct Remembered {
    filed: Filed,
    in_step: Option<InStep>,
    /// Fields whose truth is the destination.
    theirs: Vec<FieldMap>,
}

/// Of a record, what a sidecar says of it.
#[derive(Default, Deserialize)]
struct Recorded {
    #[serde(default)]
    filing: Values,
}

#[derive(Default, Deserialize)]
struct Values {
    #[serde(default)]
    categories: BTreeMap<i64, BTreeMap<String, Value>>,
}

impl Remembered {
    /// What the ledger at `path` remembers of masters whose fields are mapped so.
    ///
    /// # Errors
    ///
    /// The ledger's.
    pub fn in_ledger(path: &Path, map: &[FieldMap]) -> Result<Self, Error> {
        let theirs = map
            .iter()
            .filter(|field| field.truth == Truth::ContentServer);
        Ok(Self {
            filed: Filed::new(path.to_owned()),
            in_step: InStep::in_ledger(path)?,
            theirs: theirs.cloned().collect(),
        })
    }

    /// The facts of an asset's item: of the record that it is to be, else of the one that it is.
    pub(super) fn facts(&self, asset: &AssetId, item: &NewItem) -> Result<FilingFacts, Error> {
        let record = match &item.record {
            Some(record) => Some(record.clone()),
            None => self.filed.item(&item.key)?.and_then(|known| known.record),
        };
        let recorded: Recorded = record
            .and_then(|record| serde_json::from_str(&record).ok())
            .unwrap_or_default();
        let mut facts = FilingFacts {
            categories: recorded.filing.categories,
            ..FilingFacts::default()
        };
        if let Some(in_step) = self.in_step.as_ref().filter(|_| !self.theirs.is_empty()) {
            let agreed = in_step.fields(asset)?;
            for field in &self.theirs {
                if let Some(Some(values)) = agreed.get(&field.name) {
                    let words = field.reversed(values).unwrap_or_else(|_| values.clone());
                    facts.theirs.insert(field.name.clone(), words);
                }
            }
        }
        Ok(facts)
    }
}
