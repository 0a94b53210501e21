//! Sends stopped items back to the start, by class, state, key or all. Their finished parts stay.

use super::Error;
use super::protocol::Retry;
use crate::ledger::{ClassCount, Facts, Item, Ledger, Reader};
use crate::types::{FailureClass, ItemId, RunId};

/// States that a retry may send back. What is quarantined needs a person's decision first.
const STATES: [&str; 5] = ["failed", "parked", "held", "conflict", "waiting"];
const PAGE: usize = 500;

/// What a retry did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retried {
    /// Items that are planned again.
    pub items: u64,
    /// Items that could not be planned at all, so that there is nothing to try yet.
    pub unplanned: u64,
    /// Items that stopped in a state that was not asked for.
    pub others: u64,
}

/// Sends the items that `wanted` names back to the start.
///
/// # Errors
///
/// [`Error::Refused`] for an unknown state, class or key, or an item that cannot be tried again;
/// then none is. The ledger's own.
pub async fn retry(ledger: &Ledger, run: RunId, wanted: &Retry) -> Result<Retried, Error> {
    let states = states_of(wanted)?;
    if !wanted.keys.is_empty() {
        let mut items = Vec::with_capacity(wanted.keys.len());
        // All are looked at before any is changed.
        for key in &wanted.keys {
            items.push(named(key, ledger.item_by_key(key).await?)?.id);
        }
        let mut done = Retried::default();
        for item in items {
            done.items += u64::from(ledger.requeue_item(item).await?);
        }
        return Ok(done);
    }
    let class = wanted.class.as_deref();
    let items = ledger.requeue(run, &states, class).await?;
    let facts = ledger.facts(run).await?;
    let asked = |count: &&ClassCount| states.contains(&count.state.as_str());
    let unplanned = facts
        .classes
        .iter()
        .filter(asked)
        .filter(|count| class.is_none_or(|class| class == count.class))
        .map(|count| count.items)
        .sum();
    Ok(Retried {
        items,
        unplanned,
        others: others(&facts, &states),
    })
}

/// What [`retry`] would do: hands every item that would be sent back to `each`, and changes
/// nothing.
///
/// # Errors
///
/// As [`retry`].
pub fn would_retry(
    reader: &Reader,
    run: RunId,
    wanted: &Retry,
    mut each: impl FnMut(&Item),
) -> Result<Retried, Error> {
    let states = states_of(wanted)?;
    let mut found = Retried::default();
    if !wanted.keys.is_empty() {
        let mut items = Vec::with_capacity(wanted.keys.len());
        for key in &wanted.keys {
            items.push(named(key, reader.item_by_key(key)?)?);
        }
        for item in items {
            found.items += 1;
            each(&item);
        }
        return Ok(found);
    }
    found.others = others(&reader.facts(run)?, &states);
    for state in states {
        let mut after = ItemId(0);
        loop {
            let items = reader.items(run, Some(state), after, PAGE)?;
            let Some(last) = items.last() else { break };
            after = last.id;
            for item in &items {
                if wanted.class.is_some() && wanted.class != item.class {
                    continue;
                }
                if item.files == 0 {
                    found.unplanned += 1;
                } else {
                    found.items += 1;
                    each(item);
                }
            }
        }
    }
    Ok(found)
}

/// Items that stopped in none of these states.
fn others(facts: &Facts, states: &[&str]) -> u64 {
    let stopped = facts.classes.iter();
    stopped
        .filter(|count| !states.contains(&count.state.as_str()))
        .map(|count| count.items)
        .sum()
}

/// The states that are wanted, once everything that is asked for makes sense.
fn states_of(wanted: &Retry) -> Result<Vec<&str>, Error> {
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
    Ok(if !wanted.states.is_empty() {
        wanted.states.iter().map(String::as_str).collect()
    } else if wanted.all || wanted.class.is_some() {
        STATES.to_vec()
    } else {
        vec!["failed"]
    })
}

/// An item that is named by its key, when it can be tried again.
fn named(key: &str, item: Option<Item>) -> Result<Item, Error> {
    let Some(item) = item else {
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
    Ok(item)
}
