//! Content Server documents inside iconik: briefs, contracts, guidelines and approval records are
//! shown at a collection or an asset, as links that open the document under the user's own rights.
//!
//! [`Rule`] chooses the documents; what the audience may not see, or of which that cannot be told,
//! is not shown. No content is copied unless the rule asks for it. Each document that is shown is
//! remembered before it is, so that whoever is killed in between finds it again: a link by its
//! external id, an address by its text, a copy by its folder. A document that is renamed, gets a
//! new version or is reserved has its link changed; one that is withdrawn, or may not be seen any
//! more, has it put into the recycle bin. Only what longhaul made is touched: remembered here, and
//! recognised there.
//!
//! A rule that cannot be followed (a folder that is away, a workspace that is not unique) is held
//! for a person and takes nothing away, but for documents that the audience certainly lost.
//!
//! | File | Holds |
//! |---|---|
//! | `mod.rs` | what is looked at, and what follows |
//! | `objects` | what documents are shown at |
//! | `rules` | which documents are shown where |
//! | `remember` | what the ledger keeps |
//! | `show` | showing a document and taking it away |
//! | `copy` | its content as a file in iconik |

mod copy;
mod objects;
mod remember;
mod rules;
mod show;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

pub use copy::{Copied, Copying};
pub use remember::{Reference, Remembered, Waiting, remembered};
pub use rules::{MOST, Origin, Place, Rule, Show};

use self::objects::{Followed, Object};
use self::remember::{entry, fact};

use super::{Error, Systems};
use crate::content_server::Right;
use crate::ledger::{Change, Fact, Ledger};
use crate::types::{AssetId, CollectionId, Failure, FailureClass, NodeId, Reason};

/// The name under which the ledger remembers what this flow knows.
pub const FLOW: &str = "references";
/// How long the server's index may lag behind a change: for so long, a document that a search
/// does not find any more is no document that is gone.
const INDEX_LAG: Duration = Duration::from_secs(3600);
/// Remembered documents read from the ledger at once.
const PAGE: usize = 200;

/// A run of the flow.
pub struct References<'a> {
    /// Both systems.
    pub systems: &'a Systems,
    /// The ledger; a preview does without one where there is none yet.
    pub ledger: Option<&'a Ledger>,
    /// What is shown where.
    pub rules: &'a [Rule],
    /// The user or group in Content Server whose rights decide.
    pub audience: i64,
    /// What comes before a node's id in the address that opens it.
    pub opens: &'a str,
    /// Look at what is there in iconik too, not only at what changed in Content Server.
    pub full: bool,
    /// Say what would be done, and do nothing.
    pub dry_run: bool,
}

/// What was decided about a document, or about a rule as a whole.
#[derive(Clone, Debug, Serialize)]
pub struct Decision {
    /// The rule.
    pub rule: String,
    /// The collection that it is shown at, when it is one.
    pub collection: Option<CollectionId>,
    /// The asset that it is shown at, when it is one.
    pub asset: Option<AssetId>,
    /// The document; none for the rule as a whole.
    pub node: Option<NodeId>,
    /// What people see.
    pub title: String,
    /// What follows.
    pub outcome: Outcome,
    /// Why, for people.
    pub why: String,
}

/// What follows for a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It is shown.
    Shown,
    /// What is shown of it was changed.
    Updated,
    /// It is shown no more.
    Withdrawn,
    /// A person has to look.
    Held,
}

impl Outcome {
    /// The word for people and machines.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Shown => "shown",
            Self::Updated => "updated",
            Self::Withdrawn => "withdrawn",
            Self::Held => "held",
        }
    }
}

/// What a run came to.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Totals {
    /// Documents that the rules choose.
    pub chosen: u64,
    /// Those of them that the audience may not see, or of which that cannot be told.
    pub hidden: u64,
    /// Documents by what followed.
    pub outcomes: BTreeMap<Outcome, u64>,
}

type Each<'e> = dyn FnMut(&Decision) + Send + 'e;

/// One rule at one object.
struct At<'a> {
    rule: &'a str,
    object: &'a Object,
}

impl References<'_> {
    /// Brings what is shown up to date. Every decision is told to `each`.
    ///
    /// # Errors
    ///
    /// The ledger's, and what makes no sense to go on with: a system that is away, a sign-in that
    /// is refused. One rule's own trouble is a decision.
    pub async fn run(&self, each: &mut Each<'_>) -> Result<Totals, Error> {
        let mut totals = Totals::default();
        let mut followed = Followed::default();
        for rule in self.rules {
            let objects = match self.objects(rule).await {
                Ok(objects) => objects,
                Err((from, error)) => {
                    let failure = own_trouble(error)?;
                    let at = At {
                        rule: &rule.name,
                        object: &from,
                    };
                    self.hold(&at, &failure, &mut totals, each).await?;
                    // What it is for is not known, so nothing is taken away from it.
                    followed.unknown.insert(&rule.name);
                    continue;
                }
            };
            for object in objects {
                let at = At {
                    rule: &rule.name,
                    object: &object,
                };
                let known = self.known(&at).await?;
                match self.follow(rule, &at, &known, &mut totals, each).await {
                    Ok(()) => self.settle(&at).await?,
                    Err(error) => {
                        let failure = own_trouble(error)?;
                        self.hold(&at, &failure, &mut totals, each).await?;
                        self.take_from_those_who_lost_it(&at, &known, &mut totals, each)
                            .await?;
                    }
                }
                followed
                    .objects
                    .insert((object.id().to_owned(), rule.name.as_str()));
            }
        }
        self.sweep(&followed, &mut totals, each).await?;
        Ok(totals)
    }

    /// What is remembered at an object.
    async fn facts(&self, object: &Object) -> Result<Vec<Fact>, Error> {
        match self.ledger {
            Some(ledger) => Ok(ledger.remembered(FLOW, object.id()).await?),
            None => Ok(Vec::new()),
        }
    }

    /// Records a change; without a ledger nothing may be done that would have to be recorded.
    async fn apply(&self, change: Change) -> Result<(), Error> {
        let none = || Failure::stop("there is no ledger to record what is done");
        let ledger = self.ledger.ok_or_else(none)?;
        ledger.apply(change).await?;
        Ok(())
    }

    /// What is remembered of a rule's documents at an object.
    async fn known(&self, at: &At<'_>) -> Result<BTreeMap<NodeId, Reference>, Error> {
        let facts = self.facts(at.object).await?;
        let own = facts.iter().filter_map(remembered);
        Ok(own
            .filter_map(|(rule, known)| match known {
                Remembered::Document(node, reference) if rule == at.rule => {
                    Some((node, *reference))
                }
                _ => None,
            })
            .collect())
    }

    async fn follow(
        &self,
        rule: &Rule,
        at: &At<'_>,
        known: &BTreeMap<NodeId, Reference>,
        totals: &mut Totals,
        each: &mut Each<'_>,
    ) -> Result<(), Error> {
        let Some(values) = self.values(at.object).await? else {
            // Links are not shown at links.
            return Ok(());
        };
        let server = &self.systems.content_server;
        let mut chosen = rule.choose(server, &values).await?;
        let found: BTreeSet<NodeId> = chosen.iter().map(|listed| listed.node).collect();
        let missing = known
            .iter()
            .filter(|(node, reference)| reference.shown && !found.contains(node));
        let missing: Vec<NodeId> = missing.map(|(node, _)| *node).collect();
        if matches!(rule.origin, Origin::Search(_)) && !missing.is_empty() {
            let begun = Timestamp::now();
            let lag = jiff::SignedDuration::try_from(INDEX_LAG).unwrap_or_default();
            for listed in server.listed(&missing).await? {
                let lately = listed.at.is_none_or(|at| begun.duration_since(at) < lag);
                let wanted = rule.wanted(&values);
                if lately && rule.fits(server, listed.node, wanted.as_ref()).await? {
                    chosen.push(listed);
                }
            }
        }
        let mut kept = BTreeSet::new();
        for listed in &chosen {
            totals.chosen += 1;
            if !kept.insert(listed.node) {
                continue;
            }
            let before = known.get(&listed.node);
            let may = server.may(self.audience, listed.node, &READ).await?;
            if may == Some(true) {
                self.show(rule, at, listed, before, totals, each).await?;
                continue;
            }
            totals.hidden += 1;
            if let Some(before) = before.filter(|before| before.shown) {
                let why = match may {
                    None => "the server does not say whether the audience may read it",
                    _ => "the audience may not read it any more",
                };
                self.withdraw(at, listed.node, before, why, totals, each)
                    .await?;
            }
        }
        for node in missing.iter().filter(|node| !kept.contains(node)) {
            if let Some(before) = known.get(node) {
                let why = "the rule does not choose it any more: it was moved, deleted or changed";
                self.withdraw(at, *node, before, why, totals, each).await?;
            }
        }
        Ok(())
    }

    /// Documents of a rule that cannot be followed are left, unless the audience certainly lost
    /// the right to read them.
    async fn take_from_those_who_lost_it(
        &self,
        at: &At<'_>,
        known: &BTreeMap<NodeId, Reference>,
        totals: &mut Totals,
        each: &mut Each<'_>,
    ) -> Result<(), Error> {
        let shown = known.iter().filter(|(_, reference)| reference.shown);
        for (node, reference) in shown {
            let may = self.systems.content_server.may(self.audience, *node, &READ);
            if may.await? == Some(false) {
                let why = "the audience may not read it any more";
                let done = self.withdraw(at, *node, reference, why, totals, each).await;
                if let Err(error) = done {
                    own_trouble(error)?;
                }
            }
        }
        Ok(())
    }

    /// Withdraws what no rule of the settings shows any more.
    async fn sweep(
        &self,
        followed: &Followed<'_>,
        totals: &mut Totals,
        each: &mut Each<'_>,
    ) -> Result<(), Error> {
        let Some(ledger) = self.ledger else {
            return Ok(());
        };
        let mut after = (String::new(), String::new());
        loop {
            let page = ledger
                .remembered_page(FLOW, (&after.0, &after.1), PAGE)
                .await?;
            for fact in &page {
                let Some((rule, known)) = remembered(fact) else {
                    continue;
                };
                if followed.has(&fact.object, rule) {
                    continue;
                }
                let at_asset = match &known {
                    Remembered::Document(_, reference) => reference.at_asset,
                    Remembered::Waiting(_) => false,
                };
                let object = match at_asset {
                    true => Object::Asset(AssetId(fact.object.clone())),
                    false => Object::Collection(CollectionId(fact.object.clone())),
                };
                let at = At {
                    rule,
                    object: &object,
                };
                let done = match &known {
                    Remembered::Document(node, reference) if reference.shown => {
                        let why = "no rule of the settings shows it any more";
                        self.withdraw(&at, *node, reference, why, totals, each)
                            .await
                    }
                    Remembered::Waiting(_) if fact.open => self.settle(&at).await,
                    _ => Ok(()),
                };
                if let Err(error) = done {
                    let failure = own_trouble(error)?;
                    self.hold(&at, &failure, totals, each).await?;
                }
            }
            match page.last() {
                Some(fact) if page.len() == PAGE => {
                    after = (fact.object.clone(), fact.field.clone());
                }
                _ => return Ok(()),
            }
        }
    }

    /// Remembers that a rule waits, and says so; what is known already is not journalled again.
    async fn hold(
        &self,
        at: &At<'_>,
        failure: &Failure,
        totals: &mut Totals,
        each: &mut Each<'_>,
    ) -> Result<(), Error> {
        let decision = Decision {
            why: failure.to_string(),
            ..at.object.decision(at.rule, None, Outcome::Held)
        };
        count(totals, &decision, each);
        let waiting = Waiting {
            why: failure.to_string(),
        };
        let there = self.waiting(at).await?;
        if self.dry_run || there.as_ref() == Some(&waiting) {
            return Ok(());
        }
        let change = Change::new()
            .fact(fact(at, "", &waiting, true))
            .journal(entry("reference-held", &decision));
        self.apply(change).await?;
        Ok(())
    }

    /// Remembers that a rule waits no more.
    async fn settle(&self, at: &At<'_>) -> Result<(), Error> {
        if let Some(waiting) = self.waiting(at).await?
            && !self.dry_run
        {
            let change = Change::new().fact(fact(at, "", &waiting, false));
            self.apply(change).await?;
        }
        Ok(())
    }

    async fn waiting(&self, at: &At<'_>) -> Result<Option<Waiting>, Error> {
        let field = format!("{}/", at.rule);
        let facts = self.facts(at.object).await?;
        let open = facts.iter().find(|fact| fact.open && fact.field == field);
        Ok(open.and_then(|fact| serde_json::from_str(&fact.data).ok()))
    }
}

/// What reading takes.
const READ: [Right; 2] = [Right::See, Right::SeeContents];

/// What is one rule's own trouble; everything else ends the run.
fn own_trouble(error: Error) -> Result<Failure, Error> {
    if matches!(error, Error::Ledger(_)) {
        return Err(error);
    }
    let failure = error.into_failure();
    if failure.class == FailureClass::ItemIsWrong || failure.reason == Reason::Incomplete {
        Ok(failure)
    } else {
        Err(failure.into())
    }
}

fn count(totals: &mut Totals, decision: &Decision, each: &mut Each<'_>) {
    *totals.outcomes.entry(decision.outcome).or_default() += 1;
    each(decision);
}
