//! When licences end: remembered by day, so that those about to end are found without a look at all
//! the others.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::flows::Error;
use crate::ledger::{Change, Fact, Ledger, Reader};
use crate::types::AssetId;

/// The name under which the ledger remembers the last day of each asset's licences: by their names,
/// an empty one for the only licence of an asset.
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
    /// The licence, where the asset has several.
    pub licence: Option<String>,
    /// The asset's title.
    pub title: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Remembered {
    /// The last day; none for what never ends, or may not be used at all.
    ends: Option<Date>,
    title: String,
}

/// Adds to `change` what has to be remembered of the last days of an asset's licences; nothing when
/// they are known. One that is not among them any more counts no more.
///
/// # Errors
///
/// The ledger's.
pub async fn remember(
    ledger: &Ledger,
    change: Change,
    asset: &AssetId,
    title: &str,
    licences: &[(String, Option<Date>)],
) -> Result<(Change, bool), Error> {
    let facts = ledger.remembered(FLOW, asset.as_str()).await?;
    let mut known: BTreeMap<String, Option<Remembered>> = facts
        .into_iter()
        .map(|fact| (fact.field, serde_json::from_str(&fact.data).ok()))
        .collect();
    let (mut change, mut is_new) = (change, false);
    let now = licences.iter().map(|(name, ends)| (name.clone(), *ends));
    let mut now: BTreeMap<String, Option<Date>> = now.collect();
    for name in known.keys() {
        now.entry(name.clone()).or_default();
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
    for (name, ends) in now {
        let before = known.remove(&name).flatten();
        let now = Remembered {
            ends,
            title: title.to_owned(),
        };
        if before.as_ref() == Some(&now) || (before.is_none() && ends.is_none()) {
            continue;
        }
        is_new = true;
        let by_day = by_day(asset, &name);
        // A day that counts no more is left empty.
        if let Some(before) = before.and_then(|before| before.ends)
            && ends != Some(before)
        {
            let none = fact(BY_DAY, before.to_string(), by_day.clone(), String::new());
            change = change.fact(none);
        }
        if let Some(day) = ends {
            let title = now.title.clone();
            change = change.fact(fact(BY_DAY, day.to_string(), by_day, title));
        }
        let data = serde_json::to_string(&now).unwrap_or_default();
        change = change.fact(fact(FLOW, asset.to_string(), name, data));
    }
    Ok((change, is_new))
}

/// An asset's licence under a day. Ids of assets have no spaces.
fn by_day(asset: &AssetId, licence: &str) -> String {
    if licence.is_empty() {
        asset.to_string()
    } else {
        format!("{asset} {licence}")
    }
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
                let (asset, licence) = match fact.field.split_once(' ') {
                    Some((asset, licence)) => (asset, Some(licence.to_owned())),
                    None => (fact.field.as_str(), None),
                };
                each(Ending {
                    ends,
                    asset: AssetId(asset.to_owned()),
                    licence,
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
            let licences = [(String::new(), ends.map(day))];
            let (change, changed) = remember(&ledger, Change::new(), &asset, "Spot", &licences)
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

    #[tokio::test]
    async fn each_of_several_licences_has_its_day_and_one_that_is_gone_has_none() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("ledger.db");
        let ledger = Ledger::open(&path, "test").unwrap();
        let set = async |licences: &[(&str, &str)]| {
            let licences: Vec<_> = licences
                .iter()
                .map(|(name, ends)| ((*name).to_owned(), Some(day(ends))))
                .collect();
            let asset = AssetId("a".to_owned());
            let (change, changed) = remember(&ledger, Change::new(), &asset, "Spot", &licences)
                .await
                .unwrap();
            if changed {
                ledger.apply(change).await.unwrap();
            }
            changed
        };
        let found = || {
            let mut all = Vec::new();
            let reader = Reader::open(&path).unwrap();
            ending(&reader, day("2026-01-01"), day("2027-12-31"), |one| {
                assert_eq!(one.asset.0, "a");
                all.push((one.ends.to_string(), one.licence.unwrap_or_default()));
            })
            .unwrap();
            all
        };
        let pairs = |all: &[(&str, &str)]| -> Vec<(String, String)> {
            let all = all.iter();
            all.map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
                .collect()
        };
        assert!(set(&[("", "2026-12-31")]).await);
        let both = [("tv", "2026-12-31"), ("web 1", "2026-12-31")];
        assert!(set(&both).await);
        assert!(!set(&both).await, "nothing new, nothing written");
        let expected = [("2026-12-31", "tv"), ("2026-12-31", "web 1")];
        assert_eq!(found(), pairs(&expected));
        assert!(set(&[("web 1", "2027-06-30")]).await);
        assert_eq!(found(), pairs(&[("2027-06-30", "web 1")]));
        assert!(!set(&[("web 1", "2027-06-30")]).await);
    }
}
