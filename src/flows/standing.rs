//! How the flows stand: when each ended last, and what waits in it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Error;
use crate::ledger::{Ledger, Reader};

/// The flows that end without leaving items of their own.
const FLOWS: [&str; 6] = [
    "adopt",
    "metadata",
    "approval",
    "references",
    "lifecycle",
    "exchange",
];

/// How a flow stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Standing {
    /// The flow.
    pub flow: &'static str,
    /// When it went through to its end last; `None` when it never did.
    pub last_success: Option<Timestamp>,
    /// When it ended last, in whatever way that was said.
    pub ended: Option<Timestamp>,
    /// The exit code that it ended with.
    pub code: Option<i32>,
    /// What it found then, by kind.
    pub found: BTreeMap<String, u64>,
    /// What waits for a person now.
    pub waiting: u64,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Noted {
    last_success: Option<Timestamp>,
    ended: Option<Timestamp>,
    code: i32,
    found: BTreeMap<String, u64>,
}

fn key(flow: &str) -> String {
    format!("flow {flow} ended")
}

/// Remembers that a flow ended. `through` says whether it went to its end; `found` counts what it
/// found, by kind.
///
/// # Errors
///
/// The ledger's.
pub async fn note(
    ledger: &Ledger,
    flow: &str,
    code: i32,
    through: bool,
    found: BTreeMap<String, u64>,
) -> Result<(), Error> {
    let key = key(flow);
    let before: Noted = ledger
        .meta(&key)
        .await?
        .and_then(|text| serde_json::from_str(&text).ok())
        .unwrap_or_default();
    let now = Some(Timestamp::now());
    let noted = Noted {
        last_success: if through { now } else { before.last_success },
        ended: now,
        code,
        found,
    };
    let text = serde_json::to_string(&noted).unwrap_or_default();
    Ok(ledger.set_meta(&key, &text).await?)
}

/// The flows that ran at least once or in which something waits.
///
/// # Errors
///
/// The ledger's.
pub fn all(reader: &Reader) -> Result<Vec<Standing>, Error> {
    let open: BTreeMap<String, u64> = reader.open_questions()?.into_iter().collect();
    let mut standings = Vec::new();
    for flow in FLOWS {
        let noted: Option<Noted> = reader
            .meta(&key(flow))?
            .and_then(|text| serde_json::from_str(&text).ok());
        let waiting = open.get(flow).copied().unwrap_or(0);
        if noted.is_none() && waiting == 0 {
            continue;
        }
        let code = noted.as_ref().map(|noted| noted.code);
        let noted = noted.unwrap_or_default();
        standings.push(Standing {
            flow,
            last_success: noted.last_success,
            ended: noted.ended,
            code,
            found: noted.found,
            waiting,
        });
    }
    Ok(standings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_flow_that_broke_off_keeps_its_last_success() {
        let place = crate::ledger::tests::directory();
        let path = place.path().join("ledger.db");
        let ledger = Ledger::open(&path, "test").unwrap();
        let reader = Reader::open(&path).unwrap();
        assert_eq!(all(&reader).unwrap(), []);
        let found = BTreeMap::from([("overdue".to_owned(), 2)]);
        note(&ledger, "approval", 3, true, found).await.unwrap();
        let first = all(&reader).unwrap().remove(0);
        assert_eq!((first.flow, first.code), ("approval", Some(3)));
        assert_eq!(first.found["overdue"], 2);
        note(&ledger, "approval", 75, false, BTreeMap::new())
            .await
            .unwrap();
        let second = all(&reader).unwrap().remove(0);
        assert_eq!(second.last_success, first.last_success);
        assert_eq!(second.code, Some(75));
    }
}
