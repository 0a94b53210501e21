//! The cut-over of a migration: after it, the source is looked at and nothing is moved.
//!
//! One mark in the ledger, for all `migrate` runs of it: who made it, when and why. Setting and
//! lifting it are one journal line each, in the same transaction as the mark.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::flows::Error;
use crate::ledger::{Change, Entry, Fact, Ledger, Reader};

const FLOW: &str = "migrate";
const OBJECT: &str = "freeze";
const FIELD: &str = "cut-over";
/// What the last look at the source found, beside the rows.
const LOOKED: &str = "migrate looked since the freeze";

/// The mark of a cut-over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Freeze {
    /// Since when.
    pub at: Timestamp,
    /// By whom.
    pub by: String,
    /// Why.
    pub because: String,
}

/// What a look at the source after the freeze found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Look {
    /// When.
    pub at: Timestamp,
    /// Assets of the selection that were looked at.
    pub assets: u64,
    /// What is not as it was moved, by kind of change.
    pub changes: BTreeMap<String, u64>,
}

/// The mark as it is kept; one that was lifted stays, as such.
#[derive(Serialize, Deserialize)]
struct Kept {
    #[serde(flatten)]
    freeze: Freeze,
    lifted: bool,
}

/// The freeze that stands, if one does.
///
/// # Errors
///
/// The ledger's.
pub fn standing(reader: &Reader) -> Result<Option<Freeze>, Error> {
    Ok(read(reader.remembered(FLOW, OBJECT)?))
}

/// The same, asked of the ledger's owner.
///
/// # Errors
///
/// The ledger's.
pub async fn of(ledger: &Ledger) -> Result<Option<Freeze>, Error> {
    Ok(read(ledger.remembered(FLOW, OBJECT).await?))
}

fn read(facts: Vec<Fact>) -> Option<Freeze> {
    let fact = facts.into_iter().find(|fact| fact.field == FIELD)?;
    let kept: Kept = serde_json::from_str(&fact.data).ok()?;
    (!kept.lifted).then_some(kept.freeze)
}

/// Sets the freeze.
///
/// # Errors
///
/// The ledger's.
pub async fn set(ledger: &Ledger, freeze: &Freeze) -> Result<(), Error> {
    mark(ledger, freeze.clone(), false, freeze).await
}

/// Lifts the freeze that stands; `by` whom and why is what `lift` says.
///
/// # Errors
///
/// The ledger's.
pub async fn lift(ledger: &Ledger, standing: Freeze, lift: &Freeze) -> Result<(), Error> {
    mark(ledger, standing, true, lift).await
}

async fn mark(
    ledger: &Ledger,
    freeze: Freeze,
    lifted: bool,
    journalled: &Freeze,
) -> Result<(), Error> {
    let data = serde_json::to_string(&Kept { freeze, lifted }).unwrap_or_default();
    let fact = Fact {
        flow: FLOW.into(),
        object: OBJECT.into(),
        field: FIELD.into(),
        data,
        open: false,
        at: journalled.at.as_millisecond(),
    };
    let entry = Entry {
        event: if lifted { "freeze-lifted" } else { "frozen" }.into(),
        data: serde_json::to_string(journalled).unwrap_or_default(),
        ..Entry::default()
    };
    Ok(ledger
        .apply(Change::new().fact(fact).journal(entry))
        .await?)
}

/// Remembers what a look found. The journal says it when it is something else than before.
///
/// # Errors
///
/// The ledger's.
pub async fn looked(ledger: &Ledger, look: &Look) -> Result<(), Error> {
    let before: Option<Look> = ledger
        .meta(LOOKED)
        .await?
        .and_then(|text| serde_json::from_str(&text).ok());
    let text = serde_json::to_string(look).unwrap_or_default();
    if before.is_none_or(|before| before.changes != look.changes) {
        let entry = Entry {
            event: "looked-since-freeze".into(),
            data: text.clone(),
            ..Entry::default()
        };
        ledger.apply(Change::new().journal(entry)).await?;
    }
    Ok(ledger.set_meta(LOOKED, &text).await?)
}

/// What the last look since the freeze found; nothing when there was none.
///
/// # Errors
///
/// The ledger's.
pub fn last_look(reader: &Reader, freeze: &Freeze) -> Result<Option<Look>, Error> {
    let look: Option<Look> = reader
        .meta(LOOKED)?
        .and_then(|text| serde_json::from_str(&text).ok());
    Ok(look.filter(|look| look.at >= freeze.at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_freeze_stands_until_it_is_lifted_and_both_are_in_the_journal() {
        let place = crate::ledger::tests::directory();
        let path = place.path().join("ledger.db");
        let ledger = Ledger::open(&path, "test").unwrap();
        assert_eq!(of(&ledger).await.unwrap(), None);
        let freeze = Freeze {
            at: "2026-03-02T18:00:00Z".parse().unwrap(),
            by: "anna (uid 1)".into(),
            because: "cut-over".into(),
        };
        set(&ledger, &freeze).await.unwrap();
        let reader = Reader::open(&path).unwrap();
        assert_eq!(standing(&reader).unwrap().as_ref(), Some(&freeze));
        let mut look = Look {
            at: freeze.at,
            assets: 3,
            changes: BTreeMap::from([("new".to_owned(), 1)]),
        };
        looked(&ledger, &look).await.unwrap();
        looked(&ledger, &look).await.unwrap();
        assert_eq!(last_look(&reader, &freeze).unwrap().as_ref(), Some(&look));
        look.changes.insert("gone".into(), 1);
        looked(&ledger, &look).await.unwrap();
        let later = Freeze {
            at: "2026-03-03T18:00:00Z".parse().unwrap(),
            ..freeze.clone()
        };
        lift(&ledger, freeze, &later).await.unwrap();
        assert_eq!(of(&ledger).await.unwrap(), None);
        assert_eq!(last_look(&reader, &later).unwrap(), None, "it was before");
        let lines = ledger.journal(None, None, 0, 100).await.unwrap();
        let events: Vec<&str> = lines.iter().map(|line| line.event.as_str()).collect();
        assert_eq!(
            events,
            [
                "frozen",
                "looked-since-freeze",
                "looked-since-freeze",
                "freeze-lifted"
            ]
        );
    }
}
