//! Which fields of an asset are kept in step, for other flows that write them.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use super::{FLOW, PAIR};
use crate::ledger::{Error, Reader};
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

    /// The mapped fields of an asset that were merged before.
    ///
    /// # Errors
    ///
    /// The ledger's.
    pub fn fields(&self, asset: &AssetId) -> Result<BTreeSet<String>, Error> {
        let reader = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let facts = reader.remembered(FLOW, asset.as_str())?;
        let fields = facts.into_iter().map(|fact| fact.field);
        Ok(fields.filter(|field| field != PAIR).collect())
    }
}
