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

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::TryStreamExt as _;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::publish::values_of;
use super::write_back::ItemSource;
use super::{Error, Systems};
use crate::content_server::Changed;
use crate::iconik::{Asset, Metadata, Selection, WriteMode, Writing};
use crate::ledger::{Change, Entry, Fact, Item, Ledger};
use crate::sidecar::mapping::merge::{Merge, Side, Values, merge};
use crate::sidecar::mapping::{Binding, BoundField};
use crate::types::{AssetId, Failure, FailureClass, NodeId, Reason, ViewId};

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

/// What the ledger remembers of a field.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Remembered {
    /// What both sides last agreed on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    base: Option<Values>,
    /// The edits that a person has to choose from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    conflict: Option<(Side, Side)>,
    /// What a person chose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    take: Option<Take>,
    /// What a side did not take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refused: Option<Refusal>,
}

/// Values that a side did not take: they are not offered again while nothing changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Refusal {
    iconik: Values,
    content_server: Values,
    why: String,
}

/// Which side a person chose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Take {
    /// iconik's values.
    Iconik,
    /// Content Server's values.
    ContentServer,
}

/// What the ledger remembers of a pair: when each side was changed, as it was when last compared.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Stamps {
    iconik: Option<Timestamp>,
    content_server: String,
}

/// Everything that the ledger remembers of a pair.
#[derive(Clone, Debug, Default)]
struct Known {
    stamps: Stamps,
    /// By field, with whether it waits for a person.
    fields: BTreeMap<String, (Remembered, bool)>,
}

impl Known {
    fn of(facts: &[Fact]) -> Self {
        let mut known = Self::default();
        for fact in facts {
            if fact.field == PAIR {
                known.stamps = serde_json::from_str(&fact.data).unwrap_or_default();
            } else if let Ok(field) = serde_json::from_str(&fact.data) {
                known.fields.insert(fact.field.clone(), (field, fact.open));
            }
        }
        known
    }

    /// Whether something is to be done or said although neither side was edited.
    fn is_unsettled(&self) -> bool {
        let mut fields = self.fields.values();
        fields.any(|(field, _)| field.take.is_some() || field.refused.is_some())
    }
}

/// An asset and its document.
#[derive(Clone, Debug)]
struct Pair {
    asset: AssetId,
    title: String,
    node: NodeId,
    item: Item,
}

/// A field that waits for a person.
#[derive(Clone, Debug, Serialize)]
pub struct Conflict {
    /// The asset.
    pub asset: AssetId,
    /// The field.
    pub field: String,
    /// iconik's edit.
    pub iconik: Side,
    /// Content Server's edit.
    pub content_server: Side,
    /// Since when, Unix milliseconds.
    pub since: i64,
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

    /// Compares one pair and carries its edits over; once more when somebody wrote meanwhile.
    async fn compare(
        &self,
        pair: &Pair,
        changed: &Changed,
        known: &Known,
        totals: &mut Totals,
        each: &mut (dyn FnMut(&Decision) + Send),
    ) -> Result<(), Error> {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.compare_once(pair, changed, known).await {
                Ok(decisions) => {
                    for decision in &decisions {
                        count(totals, decision, each);
                    }
                    return Ok(());
                }
                // Somebody was quicker: what they wrote is read and merged as well.
                Err(Error::Engine(failure))
                    if failure.class == FailureClass::RetryNow && tries < TRIES =>
                {
                    tracing::info!(asset = %pair.asset, %failure, "read and merged again");
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn compare_once(
        &self,
        pair: &Pair,
        changed: &Changed,
        known: &Known,
    ) -> Result<Vec<Decision>, Error> {
        let asset = self.systems.iconik.asset(&pair.asset).await?;
        let metadata = self.systems.iconik.metadata_of(&asset, None).await?;
        let categories: BTreeMap<i64, BTreeMap<String, Value>> = self
            .systems
            .content_server
            .categories(pair.node)
            .await?
            .into_iter()
            .map(|category| (category.id.0, category.values.0))
            .collect();
        let source = values_of(&metadata);
        let mut plan = Plan {
            pair,
            known,
            again: self.full,
            decisions: Vec::new(),
            to_server: BTreeMap::new(),
            server_fields: Vec::new(),
            to_iconik: BTreeMap::new(),
            facts: BTreeMap::new(),
            now: Timestamp::now().as_millisecond(),
        };
        for field in &self.binding.fields {
            plan.field(field, &asset, &metadata, &source, &categories, changed);
        }
        if self.dry_run {
            return Ok(plan.decisions);
        }
        self.carry_out(pair, &asset, changed, plan).await
    }

    /// Journals what is overwritten, writes both sides, remembers what they agree on.
    async fn carry_out(
        &self,
        pair: &Pair,
        asset: &Asset,
        changed: &Changed,
        mut plan: Plan<'_>,
    ) -> Result<Vec<Decision>, Error> {
        let mut decisions = std::mem::take(&mut plan.decisions);
        let writes = !plan.to_server.is_empty() || !plan.to_iconik.is_empty();
        if writes {
            let mut change = Change::new();
            for decision in decisions.iter().filter(|decision| {
                matches!(
                    decision.outcome,
                    Outcome::ToContentServer | Outcome::ToIconik
                )
            }) {
                change = change.journal(entry(pair, "metadata-carried-over", decision));
            }
            self.ledger.apply(change).await?;
        }
        let mut refused: BTreeMap<String, String> = BTreeMap::new();
        if !plan.to_server.is_empty() {
            match self
                .systems
                .content_server
                .write_values(pair.node, &plan.to_server)
                .await
            {
                Ok(()) => {}
                Err(failure) if failure.class == FailureClass::ItemIsWrong => {
                    for field in &plan.server_fields {
                        refused.insert(field.clone(), failure.to_string());
                    }
                }
                Err(failure) => return Err(failure.into()),
            }
        }
        for (view, writings) in &plan.to_iconik {
            let wrote = self
                .systems
                .iconik
                .write_values(&pair.asset, view, &writings.values)
                .await;
            if let Err(error) = wrote {
                let failure = error.into_failure();
                if failure.class != FailureClass::ItemIsWrong {
                    return Err(failure.into());
                }
                for field in &writings.fields {
                    refused.insert(field.clone(), failure.to_string());
                }
            }
        }
        let mut change = Change::new();
        let mut noted = false;
        for decision in &mut decisions {
            if let Some(why) = refused.remove(&decision.field) {
                decision.outcome = Outcome::Refused;
                decision.why = why;
                plan.refuse(decision);
            }
            let event = match decision.outcome {
                Outcome::Refused => "metadata-refused",
                Outcome::Conflict => "metadata-conflict",
                _ => continue,
            };
            // What is known already is said and not journalled again.
            if plan.facts.contains_key(&decision.field) {
                change = change.journal(entry(pair, event, decision));
            }
        }
        for fact in std::mem::take(&mut plan.facts).into_values() {
            change = change.fact(fact);
            noted = true;
        }
        // After a write the next look compares once more: what the sides say then is what counts.
        let stamps = Stamps {
            iconik: asset.date_modified,
            content_server: if writes {
                String::new()
            } else {
                changed.stamp.clone()
            },
        };
        if stamps != plan.known.stamps {
            change = change.fact(Fact {
                flow: FLOW.to_owned(),
                object: pair.asset.to_string(),
                field: PAIR.to_owned(),
                data: serde_json::to_string(&stamps).unwrap_or_default(),
                open: false,
                at: plan.now,
            });
            noted = true;
        }
        if noted {
            self.ledger.apply(change).await?;
        }
        Ok(decisions)
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

/// What has to happen to one pair.
struct Plan<'a> {
    pair: &'a Pair,
    known: &'a Known,
    /// Whether what was refused is offered again.
    again: bool,
    decisions: Vec<Decision>,
    to_server: BTreeMap<i64, BTreeMap<String, Value>>,
    server_fields: Vec<String>,
    to_iconik: BTreeMap<ViewId, Writings>,
    /// What the ledger has to remember, by field.
    facts: BTreeMap<String, Fact>,
    now: i64,
}

#[derive(Default)]
struct Writings {
    values: Vec<Writing>,
    fields: Vec<String>,
}

impl Plan<'_> {
    fn field(
        &mut self,
        field: &BoundField,
        asset: &Asset,
        metadata: &Metadata,
        source: &BTreeMap<String, Vec<Value>>,
        categories: &BTreeMap<i64, BTreeMap<String, Value>>,
        changed: &Changed,
    ) {
        let name = field.map.name.clone();
        let outcome = field.outcome(source);
        let empty = BTreeMap::new();
        let server = Side {
            values: field.read(categories.get(&field.category).unwrap_or(&empty)),
            at: changed.at,
            by: changed.by.map(|user| format!("user {user}")),
        };
        let iconik = Side {
            values: field.comparable(&outcome.written),
            at: asset.date_modified,
            by: asset
                .updated_by_user_info
                .as_ref()
                .map(ToString::to_string)
                .or_else(|| asset.updated_by_user.clone()),
        };
        let (known, was_open) = self.known.fields.get(&name).cloned().unwrap_or_default();
        // A view that may not be seen is no reason to think that the field is empty.
        let view = metadata
            .views
            .iter()
            .find(|view| view.fields.iter().any(|own| own.name == field.map.source));
        let Some(view) = view else {
            let why = format!(
                "the field `{}` is in no metadata view of the asset that longhaul may see",
                field.map.source
            );
            return self.decide_refused(name, iconik, server, why);
        };
        if let Some(problem) = &outcome.problem {
            let refused = !outcome.source.is_empty() || server.values.is_empty();
            if refused {
                return self.decide_refused(name, iconik, server, problem.clone());
            }
        }
        if let Some(refusal) = known.refused.as_ref().filter(|refusal| {
            refusal.iconik == iconik.values && refusal.content_server == server.values
        }) && !self.again
            && known.take.is_none()
        {
            let why = refusal.why.clone();
            return self.decide(name, Outcome::Refused, iconik, server, why);
        }
        let same_as_shown = known
            .conflict
            .as_ref()
            .is_some_and(|(a, b)| a.values == iconik.values && b.values == server.values);
        let merged = match known.take.filter(|_| same_as_shown) {
            Some(Take::Iconik) => Merge::ToServer(iconik.values.clone()),
            Some(Take::ContentServer) => Merge::ToIconik(server.values.clone()),
            None => merge(field.map.truth, known.base.as_ref(), &iconik, &server),
        };
        let (agreed, outcome_word, why) = match &merged {
            Merge::Agree => (Some(iconik.values.clone()), None, String::new()),
            Merge::ToServer(values) => {
                let keyed = field.keyed(&outcome.written);
                let own = self.to_server.entry(field.category).or_default();
                own.extend(keyed);
                self.server_fields.push(name.clone());
                (
                    Some(values.clone()),
                    Some(Outcome::ToContentServer),
                    reason(field, &known, &iconik, &server),
                )
            }
            Merge::ToIconik(values) => match field.reversed(values) {
                Ok(words) => {
                    let writings = self.to_iconik.entry(view.id.clone()).or_default();
                    writings.fields.push(name.clone());
                    writings.values.push(Writing {
                        field: field.map.source.clone(),
                        values: words,
                        mode: WriteMode::Overwrite,
                    });
                    (
                        Some(values.clone()),
                        Some(Outcome::ToIconik),
                        reason(field, &known, &iconik, &server),
                    )
                }
                Err(why) => {
                    return self.decide_refused(name, iconik, server, why);
                }
            },
            Merge::Conflict => (
                None,
                Some(Outcome::Conflict),
                "both sides were edited since they last agreed; `longhaul metadata decide` says whose edit counts".to_owned(),
            ),
        };
        let next = match agreed {
            Some(values) => Remembered {
                base: Some(values),
                ..Remembered::default()
            },
            None => Remembered {
                base: known.base.clone(),
                conflict: Some((iconik.clone(), server.clone())),
                ..Remembered::default()
            },
        };
        let open = next.conflict.is_some();
        let news = next.base != known.base || open != was_open || (open && !same_as_shown);
        if news || known.take.is_some() || known.refused.is_some() {
            self.remember(&name, &next, open);
        }
        match outcome_word {
            // A conflict that a person knows of is no news.
            Some(Outcome::Conflict) if was_open && same_as_shown => {}
            Some(word) => self.decide(name, word, iconik, server, why),
            None => {}
        }
    }

    fn remember(&mut self, field: &str, next: &Remembered, open: bool) {
        let fact = Fact {
            flow: FLOW.to_owned(),
            object: self.pair.asset.to_string(),
            field: field.to_owned(),
            data: serde_json::to_string(next).unwrap_or_default(),
            open,
            at: self.now,
        };
        self.facts.insert(field.to_owned(), fact);
    }

    fn decide_refused(&mut self, field: String, iconik: Side, content_server: Side, why: String) {
        self.decide(field, Outcome::Refused, iconik, content_server, why);
        if let Some(decision) = self.decisions.last().cloned() {
            self.refuse(&decision);
        }
    }

    /// Remembers a refusal, in place of what would have been remembered had the values been taken;
    /// one that is known already is no news.
    fn refuse(&mut self, decision: &Decision) {
        let (known, was_open) = self
            .known
            .fields
            .get(&decision.field)
            .cloned()
            .unwrap_or_default();
        let refusal = Refusal {
            iconik: decision.iconik.values.clone(),
            content_server: decision.content_server.values.clone(),
            why: decision.why.clone(),
        };
        self.facts.remove(&decision.field);
        if known.refused.as_ref() != Some(&refusal) {
            let next = Remembered {
                refused: Some(refusal),
                ..known
            };
            self.remember(&decision.field, &next, was_open);
        }
    }

    fn decide(
        &mut self,
        field: String,
        outcome: Outcome,
        iconik: Side,
        content_server: Side,
        why: String,
    ) {
        self.decisions.push(Decision {
            asset: self.pair.asset.clone(),
            title: self.pair.title.clone(),
            node: self.pair.node,
            field,
            outcome,
            iconik,
            content_server,
            why,
        });
    }
}

/// Why an edit is carried over, for people.
fn reason(field: &BoundField, known: &Remembered, iconik: &Side, server: &Side) -> String {
    let edited = |side: &Side| known.base.as_ref().is_some_and(|base| *base != side.values);
    match (known.take, &known.base, edited(iconik), edited(server)) {
        (Some(_), ..) => "a person decided".to_owned(),
        (_, None, ..) => "the two sides are compared for the first time".to_owned(),
        (_, _, true, false) => "edited in iconik".to_owned(),
        (_, _, false, true) => "edited in Content Server".to_owned(),
        _ => format!("both were edited; {} counts", field.map.truth.as_str()),
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

/// The conflict that a fact of this flow describes.
pub fn conflict_of(fact: &Fact) -> Option<Conflict> {
    let known: Remembered = serde_json::from_str(&fact.data).ok()?;
    let (iconik, content_server) = known.conflict?;
    Some(Conflict {
        asset: AssetId(fact.object.clone()),
        field: fact.field.clone(),
        iconik,
        content_server,
        since: fact.at,
    })
}

/// Records which side a person chose; nothing when there is no such conflict.
///
/// # Errors
///
/// The ledger's.
pub async fn decide(
    ledger: &Ledger,
    asset: &AssetId,
    field: &str,
    take: Take,
    who: &str,
    because: &str,
) -> Result<Option<Conflict>, Error> {
    let facts = ledger.remembered(FLOW, asset.as_str()).await?;
    let Some(fact) = facts
        .into_iter()
        .find(|fact| fact.field == field && fact.open)
    else {
        return Ok(None);
    };
    let Some(conflict) = conflict_of(&fact) else {
        return Ok(None);
    };
    let known: Remembered = serde_json::from_str(&fact.data)
        .map_err(|error| Failure::stop(format!("a remembered field cannot be read: {error}")))?;
    let decided = Remembered {
        take: Some(take),
        ..known
    };
    let line = json!({"asset": asset, "field": field, "take": take, "who": who, "because": because, "conflict": conflict});
    let change = Change::new()
        .fact(Fact {
            data: serde_json::to_string(&decided).unwrap_or_default(),
            ..fact
        })
        .journal(Entry {
            event: "metadata-decided".to_owned(),
            data: line.to_string(),
            ..Entry::default()
        });
    ledger.apply(change).await?;
    Ok(Some(conflict))
}
