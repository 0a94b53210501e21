//! How the flows stand: when each ended last, and what waits, disagrees, is late or is held in it.
//!
//! Everything comes from the ledger, whether or not a process is at work on it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::{Error, approval, lifecycle, metadata, rights};
use crate::ledger::{Fact, Ledger, Reader};
use crate::transfer::kept;

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
    /// What waits now: for a person, or in a flow that files items, for a run.
    pub waiting: u64,
    /// What both sides changed and a person has to choose; `None` where that cannot be.
    pub conflicts: Option<u64>,
    /// What is late: approvals whose step or process is, records whose review date is past, licences
    /// that ended, records whose due date as last read is past. `None` where nothing has a date.
    pub overdue: Option<u64>,
    /// What could not be done as it is.
    pub held: u64,
}

/// Words of `found` that mean that something could not be done.
const HELD: [&str; 6] = ["held", "refused", "gone", "unclear", "puzzling", "problem"];
/// The flows that file items, and the command of their runs.
const FILING: [&str; 3] = ["publish", "archive", "migrate"];
/// States of items that a run goes on with.
const WAITING: [&str; 3] = ["planned", "active", "waiting"];
/// States of items that wait for somebody to act.
const STOPPED: [&str; 4] = ["failed", "parked", "held", "quarantined"];
/// Facts read at once.
const PAGE: usize = 500;

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
    let now = Timestamp::now();
    let open: BTreeMap<String, u64> = reader.open_questions()?.into_iter().collect();
    let mut standings = Vec::new();
    for flow in FILING {
        standings.extend(filing(reader, flow)?);
    }
    standings.extend(rights_of(reader, &standings, now)?);
    standings.extend(retention_of(reader, &standings, now)?);
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
        let found = |word: &&str| noted.found.get(*word).copied().unwrap_or(0);
        standings.push(Standing {
            flow,
            waiting,
            conflicts: (flow == metadata::FLOW).then_some(waiting),
            overdue: match flow {
                approval::FLOW => Some(late_approvals(reader, now)?),
                lifecycle::FLOW => Some(late_reviews(reader, now)?),
                _ => None,
            },
            held: HELD.iter().map(found).sum(),
            last_success: noted.last_success,
            ended: noted.ended,
            code,
            found: noted.found,
        });
    }
    Ok(standings)
}

/// How a flow stands whose runs leave items.
fn filing(reader: &Reader, flow: &'static str) -> Result<Option<Standing>, Error> {
    let Some(last) = reader.last_run(flow, false)? else {
        return Ok(None);
    };
    let done = reader.last_run(flow, true)?;
    let found = reader.states_of(flow)?;
    let of = |states: &[&str]| -> u64 { states.iter().filter_map(|state| found.get(*state)).sum() };
    let at = |ms: i64| Timestamp::from_millisecond(ms).ok();
    Ok(Some(Standing {
        flow,
        last_success: done.and_then(|run| run.ended).and_then(at),
        ended: last.ended.and_then(at),
        code: None,
        waiting: of(&WAITING),
        conflicts: Some(of(&["conflict"])),
        overdue: None,
        held: of(&STOPPED),
        found,
    }))
}

/// How rights stand, whose papers are filed with the assets: it went through when one of those
/// flows did.
fn rights_of(
    reader: &Reader,
    filing: &[Standing],
    now: Timestamp,
) -> Result<Option<Standing>, Error> {
    let today = now.to_zoned(TimeZone::UTC).date();
    let mut coming = 0_u64;
    let first = Date::constant(1, 1, 1);
    let ended = rights::ending::ending(reader, first, today.yesterday().unwrap_or(today), |_| {})?;
    // One licence that is not over shows that there are any.
    if ended == 0 {
        let after = (today.to_string(), String::new());
        let page =
            reader.remembered_page(rights::ending::BY_DAY, (&after.0, &after.1), false, 1)?;
        coming = page.len() as u64;
    }
    if ended + coming == 0 {
        return Ok(None);
    }
    Ok(Some(beside("rights", filing, ended)))
}

/// How retention stands, which is read when records are filed: it went through when one of those
/// flows did.
fn retention_of(
    reader: &Reader,
    filing: &[Standing],
    now: Timestamp,
) -> Result<Option<Standing>, Error> {
    if !kept::any(reader)? {
        return Ok(None);
    }
    let overdue = kept::overdue(reader, now.to_zoned(TimeZone::UTC).date())?;
    Ok(Some(beside("retention", filing, overdue)))
}

/// How something stands that is dealt with when assets are filed.
fn beside(flow: &'static str, filing: &[Standing], overdue: u64) -> Standing {
    Standing {
        flow,
        last_success: filing.iter().filter_map(|own| own.last_success).max(),
        ended: filing.iter().filter_map(|own| own.ended).max(),
        code: None,
        found: BTreeMap::new(),
        waiting: 0,
        conflicts: None,
        overdue: Some(overdue),
        held: 0,
    }
}

/// Approvals that are late now.
fn late_approvals(reader: &Reader, now: Timestamp) -> Result<u64, Error> {
    let mut late = 0;
    every(reader, approval::FLOW, |fact| {
        let listed = approval::listed(fact, now);
        late += u64::from(listed.is_ok_and(|listed| listed.overdue));
    })?;
    Ok(late)
}

/// Records of unfinished cases whose review date is past.
fn late_reviews(reader: &Reader, now: Timestamp) -> Result<u64, Error> {
    let today = now.to_zoned(TimeZone::UTC).date();
    let mut late = 0;
    every(reader, lifecycle::FLOW, |fact| {
        let Some(case) = lifecycle::case_of(fact) else {
            return;
        };
        let due = case.due.as_deref().and_then(|due| due.get(..10));
        let due = due.and_then(|due| due.parse::<Date>().ok());
        late += u64::from(case.is_unfinished() && due.is_some_and(|due| due < today));
    })?;
    Ok(late)
}

fn every(reader: &Reader, flow: &str, mut each: impl FnMut(&Fact)) -> Result<(), Error> {
    let mut after = (String::new(), String::new());
    loop {
        let page = reader.remembered_page(flow, (&after.0, &after.1), false, PAGE)?;
        page.iter().for_each(&mut each);
        match page.last() {
            Some(last) if page.len() == PAGE => {
                after = (last.object.clone(), last.field.clone());
            }
            _ => return Ok(()),
        }
    }
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
