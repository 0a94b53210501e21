//! What records are kept under, on its way into a ledger that others work on.
//!
//! A comparison takes hours and must keep no run waiting, so the ledger is opened for as long as a
//! batch takes and no longer. Where it cannot be opened, because another process has it, nothing is
//! remembered: a run reads what it files itself, and the next comparison the rest.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use super::Error;
use crate::ledger::{Change, Ledger};
use crate::transfer::Kept;
use crate::types::{Failure, NodeId};

/// Records that are held in memory: two or three MiB.
const BATCH: usize = 10_000;
/// Records of one transaction.
const AT_ONCE: usize = 500;

/// A batch of what was read.
#[derive(Debug)]
pub struct Remembering {
    ledger: PathBuf,
    owner: String,
    batch: Mutex<Vec<(NodeId, Kept)>>,
    missed: Mutex<Option<Missed>>,
}

/// What was read and is not remembered.
#[derive(Clone, Debug)]
pub struct Missed {
    /// Records.
    pub records: u64,
    /// Why.
    pub why: String,
}

impl Remembering {
    /// For the ledger at that path; `owner` says who opens it.
    pub fn new(ledger: PathBuf, owner: String) -> Self {
        Self {
            ledger,
            owner,
            batch: Mutex::default(),
            missed: Mutex::default(),
        }
    }

    /// Takes one up.
    ///
    /// # Errors
    ///
    /// The ledger's.
    pub async fn add(&self, node: NodeId, kept: Kept) -> Result<(), Error> {
        let full = {
            let mut batch = self.batch.lock().unwrap_or_else(PoisonError::into_inner);
            batch.push((node, kept));
            (batch.len() >= BATCH).then(|| std::mem::take(&mut *batch))
        };
        match full {
            Some(batch) => self.write(batch).await,
            None => Ok(()),
        }
    }

    /// Writes what is left; what could not be remembered, because the ledger could not be opened.
    ///
    /// # Errors
    ///
    /// The ledger's.
    pub async fn finish(&self) -> Result<Option<Missed>, Error> {
        let rest = {
            let mut batch = self.batch.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *batch)
        };
        if !rest.is_empty() {
            self.write(rest).await?;
        }
        let missed = self.missed.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(missed.clone())
    }

    async fn write(&self, batch: Vec<(NodeId, Kept)>) -> Result<(), Error> {
        let (path, owner) = (self.ledger.clone(), self.owner.clone());
        let opened = tokio::task::spawn_blocking(move || Ledger::open(&path, &owner)).await;
        let opened = opened.map_err(|error| Failure::defect(format!("a thread ended: {error}")))?;
        let ledger = match opened {
            Ok(ledger) => ledger,
            Err(error) => {
                let mut missed = self.missed.lock().unwrap_or_else(PoisonError::into_inner);
                let records = missed.as_ref().map_or(0, |missed| missed.records);
                *missed = Some(Missed {
                    records: records + batch.len() as u64,
                    why: error.to_string(),
                });
                return Ok(());
            }
        };
        for batch in batch.chunks(AT_ONCE) {
            let mut change = Change::new();
            for (node, kept) in batch {
                change = kept.remember(&ledger, change, *node).await?;
            }
            ledger.apply(change).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Reader;
    use crate::transfer::kept;

    #[tokio::test]
    async fn a_ledger_that_another_has_is_left_alone_and_said_to_be() {
        let place = crate::ledger::tests::directory();
        let path = place.path().join("ledger.db");
        let ledger = Ledger::open(&path, "the run").unwrap();
        let kept = Kept {
            schedule: Some("M1".to_owned()),
            ..Kept::default()
        };
        let remembering = Remembering::new(path.clone(), "test".to_owned());
        remembering.add(NodeId(5), kept.clone()).await.unwrap();
        remembering.add(NodeId(6), kept.clone()).await.unwrap();
        let missed = remembering.finish().await.unwrap().expect("it is in use");
        assert_eq!(missed.records, 2);
        assert!(missed.why.contains("the run"), "{}", missed.why);
        let reader = Reader::open(&path).unwrap();
        assert!(!kept::any(&reader).unwrap());
        drop((ledger, reader));

        let remembering = Remembering::new(path.clone(), "test".to_owned());
        assert!(
            remembering.finish().await.unwrap().is_none(),
            "nothing read"
        );
        remembering.add(NodeId(5), kept.clone()).await.unwrap();
        assert!(remembering.finish().await.unwrap().is_none());
        let reader = Reader::open(&path).unwrap();
        let known = kept::of(&reader, NodeId(5)).unwrap();
        assert_eq!(known.expect("it is remembered").kept, kept);
        // Nobody holds it afterwards.
        Ledger::open(&path, "the next run").unwrap();
    }
}
