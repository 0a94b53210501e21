//! When licences end: remembered by day, so that those about to end are found without a look at all
//! the others.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::flows::Error;
use crate::ledger::{Change, Fact, Ledger, Reader};
use crate::types::AssetId;

/// The name under which the ledger remembers each asset's last day.
const FLOW: &str = "rights";
/// The name under which it remembers the assets of each last day.
pub(crate) const BY_DAY: &str = "rights by day";
/// Facts read at once.
const PAGE: usize = 200;

/// A licence and its last day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Ending {
    /// The last day.
    pub ends: Date,
    /// The asset.
    pub asset: AssetId,
    /// Its title.
    pub title: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Remembered {
    /// The last day; none for what never ends, or may not be used at all.
    ends: Option<Date>,
    title: String,
}

/// Adds to `change` what has to be remembered of an asset's last day; nothing when it is known.
///
/// # Errors
///
/// The ledger's.
pub async fn remember(
    ledger: &Ledger,
    change: Change,
    asset: &AssetId,
    title: &str,
    ends: Option<Date>,
) -> Result<(Change, bool), Error> {
    let facts = ledger.remembered(FLOW, asset.as_str()).await?;
    let known: Option<Remembered> = facts
        .first()
        .and_then(|fact| serde_json::from_str(&fact.data).ok());
    let now = Remembered {
        ends,
        title: title.to_owned(),
    };
    if known.as_ref() == Some(&now) || (known.is_none() && ends.is_none()) {
        return Ok((change, false));
    }
    let at = jiff::Timestamp::now().as_millisecond();
    let fact = |flow: &str, object: String, field: String, data: String| Fact {
        flow: flow.to_owned(),
        object,
        field,
        data,
        open: false,
        at,
    };
    let mut change = change;
    // A day that counts no more is left empty.
    if let Some(before) = known.and_then(|known| known.ends)
        && ends != Some(before)
    {
        change = change.fact(fact(
            BY_DAY,
            before.to_string(),
            asset.to_string(),
            String::new(),
        ));
    }
    if let Some(day) = ends {
        let title = now.title.clone();
        change = change.fact(fact(BY_DAY, day.to_string(), asset.to_string(), title));
    }
    let data = serde_json::to_string(&now).unwrap_or_default();
    Ok((
        change.fact(fact(FLOW, asset.to_string(), String::new(), data)),
        true,
    ))
}

/// Licences whose last day is `from`, `until` or between, earliest first, each given to `each`;
/// their number.
///
/// # Errors
///
/// The ledger's.
pub fn ending(
    reader: &Reader,
    from: Date,
    until: Date,
    mut each: impl FnMut(Ending),
) -> Result<u64, Error> {
    // Days are texts that sort as they follow each other.
    let mut after = (
        from.yesterday().unwrap_or(from).to_string(),
        "\u{10ffff}".to_owned(),
    );
    let mut count = 0;
    loop {
        let page = reader.remembered_page(BY_DAY, (&after.0, &after.1), false, PAGE)?;
        for fact in &page {
            let Ok(ends) = fact.object.parse::<Date>() else {
                continue;
            };
            if ends > until {
                return Ok(count);
            }
            if !fact.data.is_empty() {
                count += 1;
                each(Ending {
                    ends,
                    asset: AssetId(fact.field.clone()),
                    title: fact.data.clone(),
                });
            }
        }
        match page.last() {
            Some(last) if page.len() == PAGE => {
                after = (last.object.clone(), last.field.clone());
            }
            _ => return Ok(count),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Date {
        text.parse().unwrap()
    }

    #[tokio::test]
    async fn licences_are_found_by_their_last_day_and_a_new_day_replaces_the_old_one() {
        let place = crate::ledger::tests::directory();
        let path = place.path().join("ledger.db");
        let ledger = Ledger::open(&path, "test").unwrap();
        let set = async |asset: &str, ends: Option<&str>| {
            let asset = AssetId(asset.to_owned());
            let ends = ends.map(day);
            let (change, changed) = remember(&ledger, Change::new(), &asset, "Spot", ends)
                .await
                .unwrap();
            if changed {
                ledger.apply(change).await.unwrap();
            }
            changed
        };
        assert!(set("a", Some("2026-12-31")).await);
        assert!(set("b", Some("2026-12-01")).await);
        assert!(set("c", Some("2027-02-01")).await);
        assert!(!set("d", None).await);
        assert!(
            !set("a", Some("2026-12-31")).await,
            "nothing new, nothing written"
        );
        let reader = Reader::open(&path).unwrap();
        let found = |from: &str, until: &str| {
            let mut all = Vec::new();
            let count =
                ending(&reader, day(from), day(until), |one| all.push(one.asset.0)).unwrap();
            assert_eq!(count, all.len() as u64);
            all
        };
        assert_eq!(found("2026-12-01", "2026-12-31"), ["b", "a"]);
        assert_eq!(found("2026-12-02", "2027-12-31"), ["a", "c"]);
        assert!(set("a", Some("2027-03-01")).await);
        assert!(set("b", None).await);
        assert_eq!(found("2026-01-01", "2027-12-31"), ["c", "a"]);
        assert!(set("b", Some("2026-12-01")).await);
        assert_eq!(found("2026-12-01", "2026-12-01"), ["b"]);
    }
}
