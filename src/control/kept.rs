//! What a person set until a time is kept in the ledger: it holds for whatever process is at work
//! until then, after a kill as well. What has no end ends with its process.

use serde::{Deserialize, Serialize};

use super::protocol::{Knob, Override};
use crate::ledger::{Error, Fact, Ledger};

const FLOW: &str = "control";
const OBJECT: &str = "until";
const PAUSE: &str = "pause";

/// A pause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Paused {
    /// By whom.
    pub(super) by: String,
    /// Until when, in Unix milliseconds; without, until somebody says so.
    pub(super) until: Option<i64>,
}

/// What an earlier process was told.
#[derive(Debug, Default)]
pub(super) struct Kept {
    pub(super) limits: Vec<Override>,
    pub(super) pause: Option<Paused>,
}

/// A limit to keep, or to forget when it has no end.
pub(super) fn limit(limit: &Override, at: i64) -> Fact {
    fact(
        limit.knob.as_str(),
        limit.until.is_some().then_some(limit),
        at,
    )
}

/// A limit to forget.
pub(super) fn no_limit(knob: Knob, at: i64) -> Fact {
    fact(knob.as_str(), None::<&Override>, at)
}

/// A pause to keep, or to forget when there is none or it has no end.
pub(super) fn pause(pause: Option<&Paused>, at: i64) -> Fact {
    fact(PAUSE, pause.filter(|pause| pause.until.is_some()), at)
}

fn fact<T: Serialize>(field: &str, what: Option<&T>, at: i64) -> Fact {
    Fact {
        flow: FLOW.into(),
        object: OBJECT.into(),
        field: field.to_owned(),
        data: serde_json::to_string(&what).unwrap_or_else(|_| "null".into()),
        open: false,
        at,
    }
}

/// What is kept; what a later version kept otherwise is passed over.
pub(super) async fn read(ledger: &Ledger) -> Result<Kept, Error> {
    let mut kept = Kept::default();
    for fact in ledger.remembered(FLOW, OBJECT).await? {
        if fact.field == PAUSE {
            kept.pause = serde_json::from_str(&fact.data).unwrap_or_default();
        } else if let Ok(Some(limit)) = serde_json::from_str::<Option<Override>>(&fact.data) {
            kept.limits.push(limit);
        }
    }
    Ok(kept)
}
