//! Sends stopped items back to the start, by class, state, key or all. Their finished parts stay.

use super::Error;
use super::protocol::Retry;
use crate::ledger::Ledger;
use crate::types::{FailureClass, RunId};

/// States that a retry may send back. What is quarantined needs a person's decision first.
const STATES: [&str; 5] = ["failed", "parked", "held", "conflict", "waiting"];

/// What a retry did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retried {
    /// Items that are planned again.
    pub items: u64,
    /// Items that could not be planned at all, so that there is nothing to try yet.
    pub unplanned: u64,
}

/// Sends the items that `wanted` names back to the start.
///
/// # Errors
///
/// [`Error::Refused`] for an unknown state, class or key, or an item that cannot be tried again;
/// then none is. The ledger's own.
pub async fn retry(ledger: &Ledger, run: RunId, wanted: &Retry) -> Result<Retried, Error> {
    let refused = |text: String| Err(Error::Refused(text));
    if let Some(class) = &wanted.class
        && FailureClass::from_name(class).is_none()
    {
        let known = FailureClass::ALL.map(FailureClass::as_str).join(", ");
        return refused(format!("{class:?} is no failure class; they are {known}"));
    }
    if let Some(state) = wanted
        .states
        .iter()
        .find(|state| !STATES.contains(&state.as_str()))
    {
        return refused(if state == "quarantined" {
            "what is quarantined needs a person: `longhaul decide KEY` with --retry, --afresh or --decline".to_owned()
        } else {
            format!(
                "items in state {state:?} are not tried again; those are {}",
                STATES.join(", ")
            )
        });
    }
    if !wanted.keys.is_empty() {
        return by_key(ledger, &wanted.keys).await;
    }
    let states: Vec<&str> = if !wanted.states.is_empty() {
        wanted.states.iter().map(String::as_str).collect()
    } else if wanted.all || wanted.class.is_some() {
        STATES.to_vec()
    } else {
        vec!["failed"]
    };
    let class = wanted.class.as_deref();
    let items = ledger.requeue(run, &states, class).await?;
    let facts = ledger.facts(run).await?;
    let unplanned = facts
        .classes
        .iter()
        .filter(|count| states.contains(&count.state.as_str()))
        .filter(|count| class.is_none_or(|class| class == count.class))
        .map(|count| count.items)
        .sum();
    Ok(Retried { items, unplanned })
}

async fn by_key(ledger: &Ledger, keys: &[String]) -> Result<Retried, Error> {
    let mut items = Vec::with_capacity(keys.len());
    // All are looked at before any is changed.
    for key in keys {
        let Some(item) = ledger.item_by_key(key).await? else {
            return Err(Error::Refused(format!(
                "the ledger has no item {key:?}; `longhaul status` shows keys"
            )));
        };
        if !STATES.contains(&item.state.as_str()) {
            return Err(Error::Refused(match item.state.as_str() {
                "quarantined" => format!(
                    "{:?} is quarantined: `longhaul decide {key}` first",
                    item.title
                ),
                state => format!("{:?} is {state}: there is nothing to try again", item.title),
            }));
        }
        if item.files == 0 {
            return Err(Error::Refused(format!(
                "{:?} could not be planned, so there is nothing to try yet: `longhaul resume --retry {}` looks at it in iconik again",
                item.title, item.state
            )));
        }
        items.push(item.id);
    }
    let mut done = Retried::default();
    for item in items {
        done.items += u64::from(ledger.requeue_item(item).await?);
    }
    Ok(done)
}
