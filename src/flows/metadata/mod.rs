//! Metadata in step: the mapped fields of filed assets, both ways.
//!
//! For each filed asset the values of both sides are compared with those they last agreed on, field
//! by field ([`merge`](mod@crate::sidecar::mapping::merge)). What has to be written is journalled
//! with the value that it overwrites, then written, then remembered; whoever is killed in between
//! finds both sides equal the next time and writes nothing. What a side says after a write is
//! compared, not what was sent, so an own write never comes back as somebody's edit.
//!
//! A quick look asks iconik's search index what was changed since the last run and Content Server
//! when each node was changed; a full one compares every filed asset.
//!
//! | File | Holds |
//! |---|---|
//! | `mod.rs` | runs: which assets are looked at |
//! | `known` | what the ledger remembers of a pair |
//! | `plan` | what has to happen to the fields of a pair |
//! | `carry` | doing that |
//! | `decide` | what a person chose |
//! | `in_step` | which fields are kept in step, for `publish` |

mod carry;
mod decide;
mod in_step;
mod known;
mod plan;

pub use decide::{Conflict, conflict_of, decide};
pub use in_step::InStep;
pub use known::Take;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::TryStreamExt as _;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;

use self::known::Known;
use super::write_back::ItemSource;
use super::{Error, Systems};
use crate::content_server::Changed;
use crate::iconik::Selection;
use crate::ledger::{Entry, Item, Ledger};
use crate::sidecar::mapping::Binding;
use crate::sidecar::mapping::merge::Side;
use crate::types::{AssetId, FailureClass, NodeId, Reason};

/// The name under which the ledger remembers what this flow knows.
pub const FLOW: &str = "metadata";
/// The fact that is about the pair and no field of it.
const PAIR: &str = "";
/// Filed items read from the ledger at once.
const PAGE: usize = 200;
/// How far before the last run's start a quick look begins: iconik's index lags behind.
const OVERLAP: Duration = Duration::from_secs(600);
/// Where the start of the last run stands in the ledger.
const CURSOR: &str = "metadata looked at";
/// How often a pair is read again because somebody else was writing.
const TRIES: u32 = 3;

/// A run of the flow.
pub struct Sync<'a> {
    /// Both systems.
    pub systems: &'a Systems,
    /// The ledger.
    pub ledger: &'a Ledger,
    /// The fields.
    pub binding: &'a Binding,
    /// Compare everything, not only what seems changed.
    pub full: bool,
    /// Say what would be done, and do nothing.
    pub dry_run: bool,
}

/// What was decided about one field of one asset.
#[derive(Clone, Debug, Serialize)]
pub struct Decision {
    /// The asset.
    pub asset: AssetId,
    /// Its title.
    pub title: String,
    /// Its document.
    pub node: NodeId,
    /// The field; empty for the asset as a whole.
    pub field: String,
    /// What follows.
    pub outcome: Outcome,
    /// What iconik has, in Content Server's spelling.
    pub iconik: Side,
    /// What Content Server has.
    pub content_server: Side,
    /// Why, for people.
    pub why: String,
}

/// What follows from comparing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// iconik's values go to Content Server.
    ToContentServer,
    /// Content Server's values go to iconik.
    ToIconik,
    /// A person has to decide.
    Conflict,
    /// The other side cannot take the values.
    Refused,
    /// One side has no such object any more, or it may not be seen.
    Gone,
}

impl Outcome {
    /// The word for people and machines.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ToContentServer => "to-content-server",
            Self::ToIconik => "to-iconik",
            Self::Conflict => "conflict",
            Self::Refused => "refused",
            Self::Gone => "gone",
        }
    }
}

/// What a run came to.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Totals {
    /// Filed assets.
    pub assets: u64,
    /// Those whose values were compared.
    pub compared: u64,
    /// Fields by what followed.
    pub outcomes: BTreeMap<Outcome, u64>,
}

/// An asset and its document.
#[derive(Clone, Debug)]
struct Pair {
    pub(super) asset: AssetId,
    pub(super) title: String,
    pub(super) node: NodeId,
    pub(super) item: Item,
}

impl Sync<'_> {
    /// Compares filed assets and carries edits over. Every decision is told to `each`.
    ///
    /// # Errors
    ///
    /// The ledger's, and what makes no sense to go on with: a system that is away, a sign-in that
    /// is refused. One asset's own trouble is a decision.
    pub async fn run(&self, each: &mut (dyn FnMut(&Decision) + Send)) -> Result<Totals, Error> {
        let begun = Timestamp::now();
        let edited = edited_since_last(self.systems, self.ledger, CURSOR, self.full).await?;
        let mut totals = Totals::default();
        let mut after = String::new();
        let mut last: Option<Pair> = None;
        loop {
            let page = self.ledger.filed(&after, PAGE).await?;
            let ended = page.len() < PAGE;
            if let Some(item) = page.last() {
                after.clone_from(&item.key);
            }
            // An asset's versions follow each other; they share a document, the newest counts.
            let mut pairs: Vec<Pair> = Vec::new();
            for pair in last
                .take()
                .into_iter()
                .chain(page.into_iter().filter_map(pair_of))
            {
                match pairs.last_mut() {
                    Some(before) if before.asset == pair.asset => *before = newer(before, pair),
                    _ => pairs.push(pair),
                }
            }
            if !ended {
                last = pairs.pop();
            }
            self.look_at(&pairs, edited.as_ref(), &mut totals, each)
                .await?;
            if ended {
                break;
            }
        }
        if !self.dry_run {
            self.ledger.set_meta(CURSOR, &begun.to_string()).await?;
        }
        Ok(totals)
    }

    /// The same for one asset, however quick the look.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub async fn one(
        &self,
        asset: &AssetId,
        each: &mut (dyn FnMut(&Decision) + Send),
    ) -> Result<Totals, Error> {
        let mut totals = Totals::default();
        let page = self.ledger.filed(&format!("{asset}/"), PAGE).await?;
        let own = page.into_iter().filter_map(pair_of);
        let newest = own
            .filter(|pair| pair.asset == *asset)
            .reduce(|before, pair| newer(&before, pair));
        if let Some(pair) = newest {
            let only = BTreeSet::from([asset.clone()]);
            self.look_at(&[pair], Some(&only), &mut totals, each)
                .await?;
        }
        Ok(totals)
    }

    async fn look_at(
        &self,
        pairs: &[Pair],
        edited: Option<&BTreeSet<AssetId>>,
        totals: &mut Totals,
        each: &mut (dyn FnMut(&Decision) + Send),
    ) -> Result<(), Error> {
        let nodes: Vec<NodeId> = pairs.iter().map(|pair| pair.node).collect();
        let changed: BTreeMap<NodeId, Changed> = self
            .systems
            .content_server
            .changed(&nodes)
            .await?
            .into_iter()
            .map(|changed| (changed.node, changed))
            .collect();
        for pair in pairs {
            totals.assets += 1;
            let remembered = self.ledger.remembered(FLOW, pair.asset.as_str()).await?;
            let Some(server) = changed.get(&pair.node) else {
                let gone = self.gone(pair, "Content Server has no such document, or does not show it; `longhaul reconcile` says more");
                count(totals, &gone, each);
                continue;
            };
            let known = Known::of(&remembered);
            let quiet = edited.is_some_and(|edited| !edited.contains(&pair.asset))
                && known.stamps.content_server == server.stamp
                && !known.is_unsettled();
            if quiet {
                continue;
            }
            totals.compared += 1;
            match self.compare(pair, server, &known, totals, each).await {
                Ok(()) => {}
                Err(error) => {
                    let failure = error.into_failure();
                    let own = failure.class == FailureClass::ItemIsWrong
                        || failure.reason == Reason::Incomplete;
                    if !own {
                        return Err(failure.into());
                    }
                    let decision = self.gone(pair, &failure.to_string());
                    count(totals, &decision, each);
                }
            }
        }
        Ok(())
    }

    fn gone(&self, pair: &Pair, why: &str) -> Decision {
        Decision {
            asset: pair.asset.clone(),
            title: pair.title.clone(),
            node: pair.node,
            field: String::new(),
            outcome: Outcome::Gone,
            iconik: Side::default(),
            content_server: Side::default(),
            why: why.to_owned(),
        }
    }
}

/// The assets that iconik's index calls changed since the run whose start the ledger has as
/// `cursor`; `None` when everything has to be looked at.
pub(super) async fn edited_since_last(
    systems: &Systems,
    ledger: &Ledger,
    cursor: &str,
    full: bool,
) -> Result<Option<BTreeSet<AssetId>>, Error> {
    let last = ledger.meta(cursor).await?;
    let last = last.and_then(|text| text.parse::<Timestamp>().ok());
    let Some(last) = last.filter(|_| !full) else {
        return Ok(None);
    };
    let since = last
        .checked_sub(jiff::SignedDuration::try_from(OVERLAP).unwrap_or_default())
        .unwrap_or(last);
    let criteria = json!({
        "doc_types": ["assets"],
        "filter": {"operator": "AND", "terms": [
            {"name": "date_modified", "range": {"min": since.to_string()}},
        ]},
    });
    let found = systems
        .iconik
        .select(&Selection::Criteria(criteria))
        .try_collect()
        .await?;
    Ok(Some(found))
}

fn count(totals: &mut Totals, decision: &Decision, each: &mut (dyn FnMut(&Decision) + Send)) {
    *totals.outcomes.entry(decision.outcome).or_default() += 1;
    each(decision);
}

fn pair_of(item: Item) -> Option<Pair> {
    let source: ItemSource = serde_json::from_str(&item.source).ok()?;
    Some(Pair {
        asset: source.asset,
        title: item.title.clone(),
        node: item.node?,
        item,
    })
}

fn newer(before: &Pair, pair: Pair) -> Pair {
    let number = |pair: &Pair| {
        let source = serde_json::from_str::<ItemSource>(&pair.item.source);
        source.map_or(0, |source| source.version_number)
    };
    if number(&pair) >= number(before) {
        pair
    } else {
        before.clone()
    }
}

fn entry(pair: &Pair, event: &str, decision: &Decision) -> Entry {
    Entry {
        item: Some(pair.item.id),
        event: event.to_owned(),
        data: serde_json::to_string(decision).unwrap_or_default(),
        ..Entry::default()
    }
}
