//! Which assets a quick look may pass over.
//!
//! Reading the remarks of every filed asset costs several calls each. Between two full looks only
//! those are read of which something says that they changed: iconik's index names the asset or a
//! segment of it, the document was changed at Content Server, an approval process runs, or
//! something of an earlier run is not settled. What none of these tell (a remark that was taken
//! back, a vote at an asset whose date stays) waits for the next full look.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::file::item_key;
use super::known::{Filed, Shown, fact};
use super::{ABOUT, Exchange, FLOW, SHOWN};
use crate::flows::metadata::edited_since_last;
use crate::flows::{Error, approval};
use crate::ledger::{Change, Fact};
use crate::types::{AssetId, FailureClass};

/// Where the start of the last run stands in the ledger.
const CURSOR: &str = "exchange looked at";
/// Where the start of the last full run stands.
const FULL: &str = "exchange looked at everything";
/// How far before the last run's start a quick look begins: iconik's index lags behind.
const OVERLAP: Duration = Duration::from_secs(600);
/// The field of the fact about the last look.
const LOOK: &str = "look";

/// What a quick look goes by.
pub(super) struct Quick {
    assets: BTreeSet<AssetId>,
    since_ms: i64,
}

/// What is remembered of the last look at an asset.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Look {
    /// When the document was changed, as the server wrote it; empty where that does not matter.
    pub(super) stamp: String,
    /// Versions that were filed.
    pub(super) filed: usize,
    /// Whether the asset's own trouble ended it.
    pub(super) held: bool,
}

impl Exchange<'_> {
    /// What a quick look goes by; `None` when everything has to be looked at.
    pub(super) async fn quick(&self, begun: Timestamp) -> Result<Option<Quick>, Error> {
        let at = async |key: &str| -> Result<Option<Timestamp>, Error> {
            let text = self.ledger.meta(key).await?;
            Ok(text.and_then(|text| text.parse().ok()))
        };
        let (Some(last), Some(full)) = (at(CURSOR).await?, at(FULL).await?) else {
            return Ok(None);
        };
        let every = SignedDuration::try_from(self.full_every).unwrap_or(SignedDuration::MAX);
        if self.full || begun.duration_since(full) >= every || begun < full {
            return Ok(None);
        }
        let overlap = SignedDuration::try_from(OVERLAP).unwrap_or_default();
        let since = last.checked_sub(overlap).unwrap_or(last);
        let edited = edited_since_last(self.systems, self.ledger, CURSOR, false).await?;
        let Some(mut assets) = edited else {
            return Ok(None);
        };
        match self.systems.iconik.remarked_since(since).await {
            Ok(remarked) => assets.extend(remarked),
            Err(error) => {
                let failure = error.into_failure();
                if failure.class != FailureClass::ItemIsWrong {
                    return Err(failure.into());
                }
                tracing::warn!(%failure, "iconik does not search segments; every filed asset is looked at");
                return Ok(None);
            }
        }
        Ok(Some(Quick {
            assets,
            since_ms: since.as_millisecond(),
        }))
    }

    /// Notes that filed assets were looked at.
    pub(super) async fn looked_at(&self, begun: Timestamp, full: bool) -> Result<(), Error> {
        let begun = begun.to_string();
        if full {
            self.ledger.set_meta(FULL, &begun).await?;
        }
        self.ledger.set_meta(CURSOR, &begun).await?;
        Ok(())
    }

    /// Whether a quick look has to read an asset.
    pub(super) async fn is_worth_it(
        &self,
        quick: &Quick,
        filed: &Filed,
        stamp: &str,
    ) -> Result<bool, Error> {
        if quick.assets.contains(&filed.asset) {
            return Ok(true);
        }
        let facts = self.ledger.remembered(FLOW, filed.asset.as_str()).await?;
        let now = Look {
            stamp: stamp.to_owned(),
            filed: filed.items.len(),
            held: false,
        };
        if look_of(&facts).is_none_or(|before| before != now) {
            return Ok(true);
        }
        let not_shown = |fact: &Fact| {
            let shown = serde_json::from_str::<Shown>(&fact.data);
            shown.map_or(true, |shown| shown.segment.is_none())
        };
        let mut remarks = facts.iter().filter(|fact| fact.field.starts_with(SHOWN));
        if remarks.any(not_shown) {
            return Ok(true);
        }
        if facts.iter().any(|fact| fact.field == ABOUT) {
            for form in ["json", "html"] {
                let key = item_key(&filed.asset, form);
                let item = self.ledger.item_by_key(&key).await?;
                if item.is_none_or(|item| item.state != "done") {
                    return Ok(true);
                }
            }
        }
        if !self.choice.workflow {
            return Ok(false);
        }
        let object = filed.asset.as_str();
        let cases = self.ledger.remembered(approval::FLOW, object).await?;
        Ok(cases.iter().any(|case| {
            let runs = |data: &Value| {
                let stage = data.get("stage");
                let is = |word: &str| stage.is_some_and(|stage| stage.get(word).is_some());
                is("running") || is("puzzling")
            };
            case.at >= quick.since_ms
                || serde_json::from_str(&case.data).map_or(true, |data| runs(&data))
        }))
    }

    /// Remembers a look at an asset, unless it is as the last one.
    pub(super) async fn note_look(&self, asset: &AssetId, look: &Look) -> Result<(), Error> {
        let facts = self.ledger.remembered(FLOW, asset.as_str()).await?;
        if look_of(&facts).as_ref() == Some(look) {
            return Ok(());
        }
        let change = Change::new().fact(fact(asset, LOOK.to_owned(), look)?);
        self.ledger.apply(change).await?;
        Ok(())
    }
}

fn look_of(facts: &[Fact]) -> Option<Look> {
    let fact = facts.iter().find(|fact| fact.field == LOOK)?;
    serde_json::from_str(&fact.data).ok()
}
