//! Which fields of an asset are kept in step, for other flows that write them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use super::FLOW;
use super::known::Known;
use crate::ledger::{Error, Reader};
use crate::sidecar::mapping::merge::Values;
use crate::types::AssetId;

/// The fields that were merged, as the ledger remembers them.
#[derive(Clone, Debug)]
pub struct InStep(Arc<Mutex<Reader>>);

impl InStep {
    /// Those of a ledger; nothing while it does not exist.
    ///
    /// # Errors
    ///
    /// The ledger's.
    pub fn in_ledger(path: &Path) -> Result<Option<Self>, Error> {
        if !path.exists() {
            return Ok(None);
        }
        let reader = Reader::open(path)?;
        Ok(Some(Self(Arc::new(Mutex::new(reader)))))
    }

    /// The mapped fields of an asset that were merged before, with what both sides agreed on last.
    ///
    /// # Errors
    ///
    /// The ledger's.
    pub fn fields(&self, asset: &AssetId) -> Result<BTreeMap<String, Option<Values>>, Error> {
        let reader = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let facts = reader.remembered(FLOW, asset.as_str())?;
        let fields = Known::of(&facts).fields.into_iter();
        Ok(fields
            .map(|(name, (field, _))| (name, field.base))
            .collect())
    }
}
