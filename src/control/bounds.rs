//! When a run drains by itself. Its bounds are kept in the ledger: whoever goes on with a run that
//! was killed half way goes by what is left of them.
//!
//! A time that has passed is over: the next day's is not meant. Bytes that were confirmed since the
//! bound was set count; one that is reached is over, because whoever resumes then wants more.
//! Failures are counted anew by each process, so that a bound on them keeps guarding.

use serde::{Deserialize, Serialize};

use super::live::now_ms;
use crate::ledger::{Change, Error, Fact, Ledger};
use crate::types::{ByteCount, RunId};

const FLOW: &str = "control";
const FIELD: &str = "bounds";

/// When a run drains by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Bounds {
    /// At this time, Unix milliseconds.
    pub until: Option<i64>,
    /// After this many confirmed bytes; parts in hand come on top.
    pub max_bytes: Option<ByteCount>,
    /// After this many items that stopped short of done.
    pub max_failures: Option<u64>,
}

/// What an earlier process of a run was told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Inherited {
    /// What is left of it: the bytes that are still to come.
    pub holds: Bounds,
    /// What is over: a time that has passed, bytes that were reached.
    pub over: Bounds,
}

/// As it lies in the ledger.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Kept {
    bounds: Bounds,
    /// Bytes of the run that were confirmed when the bounds were set.
    confirmed: ByteCount,
}

impl Bounds {
    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self == Self::default()
    }

    /// These bounds, and those of `others` that are not among them.
    #[must_use]
    pub fn or(self, others: Self) -> Self {
        Self {
            until: self.until.or(others.until),
            max_bytes: self.max_bytes.or(others.max_bytes),
            max_failures: self.max_failures.or(others.max_failures),
        }
    }

    /// The bounds of `self` that `given` does not name anew.
    #[must_use]
    pub fn without(self, given: Self) -> Self {
        Self {
            until: self.until.filter(|_| given.until.is_none()),
            max_bytes: self.max_bytes.filter(|_| given.max_bytes.is_none()),
            max_failures: self.max_failures.filter(|_| given.max_failures.is_none()),
        }
    }

    /// Keeps them for the process that may have to go on; writes nothing where nothing changes.
    ///
    /// # Errors
    ///
    /// The ledger's.
    pub async fn keep(self, ledger: &Ledger, run: RunId) -> Result<(), Error> {
        let before = ledger.remembered(FLOW, &object(run)).await?;
        if self.is_empty() && before.is_empty() {
            return Ok(());
        }
        let kept = Kept {
            bounds: self,
            confirmed: confirmed(ledger, run).await?,
        };
        let fact = Fact {
            flow: FLOW.into(),
            object: object(run),
            field: FIELD.into(),
            data: serde_json::to_string(&kept).unwrap_or_else(|_| "null".into()),
            open: false,
            at: now_ms(),
        };
        ledger.apply(Change::new().fact(fact)).await
    }
}

/// What the last process of that run was told, and what is left of it.
///
/// # Errors
///
/// The ledger's. What a later version kept otherwise is passed over.
pub async fn inherited(ledger: &Ledger, run: RunId) -> Result<Inherited, Error> {
    let facts = ledger.remembered(FLOW, &object(run)).await?;
    let kept = facts
        .iter()
        .find(|fact| fact.field == FIELD)
        .and_then(|fact| serde_json::from_str::<Kept>(&fact.data).ok());
    let Some(kept) = kept.filter(|kept| !kept.bounds.is_empty()) else {
        return Ok(Inherited::default());
    };
    Ok(left(&kept, confirmed(ledger, run).await?, now_ms()))
}

fn left(kept: &Kept, confirmed: ByteCount, now: i64) -> Inherited {
    let Bounds {
        until,
        max_bytes,
        max_failures,
    } = kept.bounds;
    let since = confirmed.saturating_sub(kept.confirmed);
    Inherited {
        holds: Bounds {
            until: until.filter(|until| *until > now),
            max_bytes: max_bytes
                .map(|most| most.saturating_sub(since))
                .filter(|rest| *rest > 0),
            max_failures,
        },
        over: Bounds {
            until: until.filter(|until| *until <= now),
            max_bytes: max_bytes.filter(|most| *most <= since),
            max_failures: None,
        },
    }
}

fn object(run: RunId) -> String {
    format!("run {run}")
}

/// Bytes of a run that are confirmed, those of unfinished files among them.
async fn confirmed(ledger: &Ledger, run: RunId) -> Result<ByteCount, Error> {
    let done = ledger.summary(run).await?;
    let done = done.iter().filter(|count| count.state == "done");
    let unfinished = ledger.facts(run).await?.confirmed_unfinished;
    Ok(done.map(|count| count.bytes).sum::<ByteCount>() + unfinished)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(bounds: Bounds) -> Kept {
        Kept {
            bounds,
            confirmed: 100,
        }
    }

    #[test]
    fn a_time_that_has_passed_and_bytes_that_were_reached_are_over() {
        let all = Bounds {
            until: Some(1_000),
            max_bytes: Some(50),
            max_failures: Some(3),
        };
        let early = left(&kept(all), 120, 999);
        assert_eq!(
            early.holds,
            Bounds {
                max_bytes: Some(30),
                ..all
            }
        );
        assert!(early.over.is_empty());
        let late = left(&kept(all), 150, 1_000);
        assert_eq!(
            late.holds,
            Bounds {
                max_failures: Some(3),
                ..Bounds::default()
            }
        );
        assert_eq!(
            late.over,
            Bounds {
                max_failures: None,
                ..all
            }
        );
        // A ledger that was put back knows fewer bytes than when the bound was set.
        assert_eq!(left(&kept(all), 20, 0).holds, all);
    }

    #[test]
    fn what_is_given_anew_replaces_what_was_given_before() {
        let before = Bounds {
            until: Some(5),
            max_bytes: Some(6),
            max_failures: None,
        };
        let given = Bounds {
            max_bytes: Some(7),
            ..Bounds::default()
        };
        let both = given.or(before);
        assert_eq!((both.until, both.max_bytes), (Some(5), Some(7)));
        let rest = before.without(given);
        assert_eq!((rest.until, rest.max_bytes), (Some(5), None));
    }

    #[tokio::test]
    async fn bounds_outlive_the_process_and_none_are_written_where_there_are_none() {
        let dir = crate::ledger::tests::directory();
        let path = dir.path().join("l.db");
        let new = crate::ledger::NewRun {
            command: "archive".into(),
            arguments: "{}".into(),
        };
        let ledger = Ledger::open(&path, "test").unwrap();
        let run = ledger.start_run(new).await.unwrap();
        Bounds::default().keep(&ledger, run).await.unwrap();
        assert!(
            ledger
                .remembered(FLOW, &object(run))
                .await
                .unwrap()
                .is_empty()
        );
        let bounds = Bounds {
            until: Some(i64::MAX),
            max_bytes: Some(9),
            max_failures: Some(1),
        };
        bounds.keep(&ledger, run).await.unwrap();
        drop(ledger);
        let ledger = Ledger::open(&path, "test").unwrap();
        let found = inherited(&ledger, run).await.unwrap();
        assert_eq!((found.holds, found.over), (bounds, Bounds::default()));
        Bounds::default().keep(&ledger, run).await.unwrap();
        let found = inherited(&ledger, run).await.unwrap();
        assert_eq!(found, Inherited::default(), "none any more");
    }
}
