//! Regulated production: what people say and decide in either system, in a record that both share.
//!
//! Each filed asset has a review record: lines that are added and never changed, chained by digest.
//! What is new in either system becomes a line, recorded in the ledger and its journal before
//! anything is written outside. The record is filed beside the master as JSON and HTML, by the
//! engine, with a marker each, like any sidecar: more lines are a new version of the same document.
//! What was said in Content Server is shown in iconik as a remark that names author and time,
//! because iconik takes every remark for the token's own; it is found again by its external id, so
//! that none is made twice, and an own remark never comes back as somebody's.
//!
//! | File | Holds |
//! |---|---|
//! | `line` | the lines, and which ones follow from what is there now |
//! | `gather` | what both systems say now |
//! | `known` | what the ledger remembers |
//! | `record` | the documents made of the lines |
//! | `file` | filing them |
//! | `quick` | which assets a quick look may pass over |

mod file;
mod gather;
mod known;
mod line;
mod quick;
mod record;

pub use file::item_key;
pub use known::line_of;
pub use line::{Content, Event, Kind, Line, Origin, Said, is_whole};

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;

use self::gather::short;
use self::known::{Filed, Known, Shown, fact};
use self::line::news;
use self::quick::{Look, Quick};
use self::record::About;
use super::write_back::ItemSource;
use super::{Error, Systems};
use crate::iconik::{AssetStatus, NewSegment, SegmentKind};
use crate::ledger::{Change, Entry, Item, Ledger};
use crate::sidecar::mapping::BoundField;
use crate::telemetry::crash_point;
use crate::transfer::Engine;
use crate::types::{AssetId, FailureClass, NodeId, Reason, RunId, VersionId};

/// The name under which the ledger remembers what this flow knows.
pub const FLOW: &str = "exchange";
/// How external ids of our own remarks in iconik begin.
const OURS: &str = "longhaul:exchange:";
/// Filed items read from the ledger at once.
const PAGE: usize = 200;
/// Fields of the facts of an asset.
const ABOUT: &str = "about";
const LINE: &str = "line:";
const SHOWN: &str = "shown:";

/// What is exchanged, and how.
#[derive(Clone, Debug)]
pub struct Choice {
    /// What of iconik goes into the record.
    pub record: Vec<Kind>,
    /// The attribute that people at Content Server write comments in.
    pub comments: Option<BoundField>,
    /// Whether what is said and decided in an asset's approval processes goes into the record.
    pub workflow: bool,
    /// What a remark from Content Server is in iconik.
    pub show_as: SegmentKind,
}

/// A run of the flow.
pub struct Exchange<'a> {
    /// Both systems.
    pub systems: &'a Systems,
    /// The ledger.
    pub ledger: &'a Ledger,
    /// What files the records.
    pub engine: &'a Engine,
    /// What is exchanged.
    pub choice: &'a Choice,
    /// Look at every filed asset, not only at those that seem changed.
    pub full: bool,
    /// How long after a full look the next one is due.
    pub full_every: Duration,
    /// Say what would be done, and do nothing.
    pub dry_run: bool,
}

/// What was decided about one thing that somebody said.
#[derive(Clone, Debug, Serialize)]
pub struct Decision {
    /// The asset.
    pub asset: AssetId,
    /// Its title.
    pub title: String,
    /// Its document.
    pub node: NodeId,
    /// What follows.
    pub outcome: Outcome,
    /// The line; none for the asset as a whole.
    pub line: Option<Line>,
    /// Why, for people.
    pub why: String,
}

/// What follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Said in iconik: it goes into the record.
    ToContentServer,
    /// Said in Content Server: it goes into the record and is shown in iconik.
    ToIconik,
    /// The other side cannot take it.
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
    /// Those whose remarks were read.
    pub looked: u64,
    /// Whether all were to be.
    pub full: bool,
    /// What followed, and how often.
    pub outcomes: BTreeMap<Outcome, u64>,
    /// Documents of records that are written by this run.
    pub documents: u64,
    /// Documents of records that wait for a person or a resume.
    pub unfiled: u64,
    /// The run that files them; none when there was nothing to file.
    pub run: Option<RunId>,
    /// Whether the engine was stopped before it was done.
    pub stopped: bool,
}

impl Exchange<'_> {
    /// Looks at filed assets, or at one, and carries over what is new. Every decision is told to
    /// `each`.
    ///
    /// # Errors
    ///
    /// The ledger's, and what makes no sense to go on with: a system that is away, a sign-in that
    /// is refused. One asset's own trouble is a decision.
    pub async fn run(
        &self,
        only: Option<&AssetId>,
        each: &mut (dyn FnMut(&Decision) + Send),
    ) -> Result<Totals, Error> {
        let begun = Timestamp::now();
        let quick = match only {
            Some(_) => None,
            None => self.quick(begun).await?,
        };
        let mut totals = Totals {
            full: quick.is_none() && only.is_none(),
            ..Totals::default()
        };
        let looked = self.look(only, quick.as_ref(), &mut totals, each).await;
        if looked.is_ok() && only.is_none() && !self.dry_run {
            self.looked_at(begun, totals.full).await?;
        }
        let Some(run) = totals.run else {
            return looked.map(|()| totals);
        };
        if let Err(error) = looked {
            // What is offered already is taken over by the next run.
            self.ledger.end_run(run, "failed", false).await?;
            return Err(error);
        }
        self.file(run, &mut totals).await?;
        Ok(totals)
    }

    async fn look(
        &self,
        only: Option<&AssetId>,
        quick: Option<&Quick>,
        totals: &mut Totals,
        each: &mut (dyn FnMut(&Decision) + Send),
    ) -> Result<(), Error> {
        let mut after = only.map_or_else(String::new, |asset| format!("{asset}/"));
        let mut last: Option<Filed> = None;
        loop {
            let page = self.ledger.filed(&after, PAGE).await?;
            let ended = page.len() < PAGE
                || only.is_some_and(|only| {
                    !page
                        .last()
                        .is_some_and(|item| item.key.starts_with(only.as_str()))
                });
            if let Some(item) = page.last() {
                after.clone_from(&item.key);
            }
            let mut batch: Vec<Filed> = last.take().into_iter().collect();
            for item in page {
                let source = serde_json::from_str::<ItemSource>(&item.source);
                let (Ok(source), Some(_)) = (source, item.node) else {
                    continue;
                };
                if only.is_some_and(|only| *only != source.asset) {
                    continue;
                }
                // An asset's versions follow each other.
                match batch.last_mut() {
                    Some(filed) if filed.asset == source.asset => filed.items.push((source, item)),
                    _ => batch.push(Filed {
                        asset: source.asset.clone(),
                        items: vec![(source, item)],
                    }),
                }
            }
            if !ended {
                last = batch.pop();
            }
            self.look_at_all(&batch, quick, totals, each).await?;
            if ended {
                return Ok(());
            }
        }
    }

    async fn look_at_all(
        &self,
        batch: &[Filed],
        quick: Option<&Quick>,
        totals: &mut Totals,
        each: &mut (dyn FnMut(&Decision) + Send),
    ) -> Result<(), Error> {
        let mut stamps: BTreeMap<NodeId, String> = BTreeMap::new();
        if self.choice.comments.is_some() {
            let nodes = batch.iter().filter_map(Filed::newest);
            let nodes: Vec<NodeId> = nodes.map(|(_, node)| node).collect();
            let changed = self.systems.content_server.changed(&nodes).await?;
            stamps.extend(
                changed
                    .into_iter()
                    .map(|changed| (changed.node, changed.stamp)),
            );
        }
        for filed in batch {
            let Some((item, node)) = filed.newest() else {
                continue;
            };
            totals.assets += 1;
            let stamp = stamps.remove(&node).unwrap_or_default();
            if let Some(quick) = quick
                && !self.is_worth_it(quick, filed, &stamp).await?
            {
                continue;
            }
            totals.looked += 1;
            let held = self.look_at(filed, (item, node), totals, each).await?;
            if !self.dry_run {
                let look = Look {
                    stamp,
                    filed: filed.items.len(),
                    held,
                };
                self.note_look(&filed.asset, &look).await?;
            }
        }
        Ok(())
    }

    /// Looks at one asset; whether its own trouble ended it.
    async fn look_at(
        &self,
        filed: &Filed,
        (item, node): (&Item, NodeId),
        totals: &mut Totals,
        each: &mut (dyn FnMut(&Decision) + Send),
    ) -> Result<bool, Error> {
        let Err(error) = self.exchange(filed, item, node, totals, each).await else {
            return Ok(false);
        };
        let failure = error.into_failure();
        let own =
            failure.class == FailureClass::ItemIsWrong || failure.reason == Reason::Incomplete;
        if !own {
            return Err(failure.into());
        }
        let missing = matches!(failure.reason, Reason::NotFound | Reason::Inaccessible);
        let decision = Decision {
            asset: filed.asset.clone(),
            title: item.title.clone(),
            node,
            outcome: if missing {
                Outcome::Gone
            } else {
                Outcome::Refused
            },
            line: None,
            why: failure.to_string(),
        };
        count(totals, &decision, each);
        Ok(true)
    }

    async fn exchange(
        &self,
        filed: &Filed,
        item: &Item,
        node: NodeId,
        totals: &mut Totals,
        each: &mut (dyn FnMut(&Decision) + Send),
    ) -> Result<(), Error> {
        let facts = self.ledger.remembered(FLOW, filed.asset.as_str()).await?;
        let mut known = Known::of(&facts)?;
        let document = self.systems.destination.node(node).await?;
        let asset = self.systems.iconik.asset(&filed.asset).await?;
        let contents = self.contents(filed).await?;
        let ours: BTreeMap<String, String> = known
            .shown
            .values()
            .map(|shown| (shown.external_id.clone(), shown.text.clone()))
            .collect();
        let gathered = gather::gather(
            self.systems,
            self.ledger,
            self.choice,
            (&asset, node),
            &ours,
            &contents,
        )
        .await?;
        let now = Timestamp::from_millisecond(Timestamp::now().as_millisecond())
            .unwrap_or(Timestamp::UNIX_EPOCH);
        let lines = news(
            &known.lines,
            &gathered.heard,
            |line| gathered.is_complete(line),
            now,
        );
        for line in &lines {
            let decision = Decision {
                asset: filed.asset.clone(),
                title: item.title.clone(),
                node,
                outcome: match line.origin {
                    Origin::Iconik => Outcome::ToContentServer,
                    Origin::ContentServer => Outcome::ToIconik,
                },
                line: Some(line.clone()),
                why: why(line),
            };
            count(totals, &decision, each);
        }
        if self.dry_run {
            return Ok(());
        }
        if !lines.is_empty() {
            let about = known.about.clone().unwrap_or_else(|| About {
                asset: filed.asset.clone(),
                title: item.title.clone(),
                domain: self.systems.domain.clone(),
                instance: self.systems.instance.clone(),
                node,
                parent: document.parent,
                name: item.name.clone(),
            });
            let version = asset.current_version().map(|version| version.id.clone());
            self.record(&mut known, about, item, lines, version).await?;
        }
        if let Some(about) = known.about.as_ref().filter(|_| !known.lines.is_empty()) {
            self.offer(about, &known.lines, totals).await?;
        }
        if asset.status == AssetStatus::Deleted {
            // Nothing is said at an asset in the recycle bin; it is once somebody takes it out.
            return Ok(());
        }
        self.show(&filed.asset, item, &mut known).await
    }

    /// The content that is filed of each version of the asset.
    async fn contents(&self, filed: &Filed) -> Result<BTreeMap<i64, Content>, Error> {
        let mut contents = BTreeMap::new();
        for (source, item) in &filed.items {
            let files = self.ledger.files(item.id, 0, 1).await?;
            let digest = files.first().and_then(|file| file.sha256.as_ref());
            if let (Some(digest), Some(node)) = (digest, item.node) {
                let content = Content {
                    sha256: hex::encode(digest),
                    node: node.0,
                    version: item.version.map(|version| version.0),
                };
                contents.insert(source.version_number, content);
            }
        }
        Ok(contents)
    }

    /// Records new lines, and what has to be shown of them: nothing is written outside before.
    async fn record(
        &self,
        known: &mut Known,
        about: About,
        item: &Item,
        lines: Vec<Line>,
        version: Option<VersionId>,
    ) -> Result<(), Error> {
        let asset = about.asset.clone();
        let mut change = Change::new();
        if known.about.is_none() {
            change = change.fact(fact(&asset, ABOUT.to_owned(), &about)?);
            known.about = Some(about);
        }
        for line in lines {
            change = change.fact(fact(&asset, format!("{LINE}{:08}", line.seq), &line)?);
            let data = json!({"asset": asset, "node": item.node, "line": line});
            change = change.journal(entry(item, "exchange-recorded", &data));
            if line.origin == Origin::ContentServer {
                let before = known.lines.iter();
                let nth = before.filter(|own| own.object == line.object).count();
                let key = short(&[&line.object, &nth.to_string(), line.event.as_str()]);
                let shown = Shown {
                    external_id: format!("{OURS}{key}"),
                    text: shown_text(&line),
                    version: version.clone(),
                    segment: None,
                };
                change = change.fact(fact(&asset, format!("{SHOWN}{:08}", line.seq), &shown)?);
                known.shown.insert(line.seq, shown);
            }
            known.lines.push(line);
        }
        self.ledger.apply(change).await?;
        crash_point("review-recorded");
        Ok(())
    }

    /// Shows in iconik what is not shown yet.
    async fn show(&self, asset: &AssetId, item: &Item, known: &mut Known) -> Result<(), Error> {
        for (seq, shown) in &mut known.shown {
            if shown.segment.is_some() {
                continue;
            }
            let new = NewSegment {
                kind: self.choice.show_as.clone(),
                text: shown.text.clone(),
                external_id: shown.external_id.clone(),
                version: shown.version.clone(),
                range_ms: None,
            };
            let segment = self.systems.iconik.ensure_segment(asset, &new).await?;
            crash_point("review-shown");
            shown.segment = Some(segment.id.clone());
            let data = json!({"asset": asset, "line": seq, "segment": segment.id});
            let change = Change::new()
                .fact(fact(asset, format!("{SHOWN}{seq:08}"), shown)?)
                .journal(entry(item, "exchange-shown", &data));
            self.ledger.apply(change).await?;
        }
        Ok(())
    }
}

fn entry(item: &Item, event: &str, data: &serde_json::Value) -> Entry {
    Entry {
        item: Some(item.id),
        event: event.to_owned(),
        data: data.to_string(),
        ..Entry::default()
    }
}

fn count(totals: &mut Totals, decision: &Decision, each: &mut (dyn FnMut(&Decision) + Send)) {
    *totals.outcomes.entry(decision.outcome).or_default() += 1;
    each(decision);
}

fn why(line: &Line) -> String {
    let place = match line.origin {
        Origin::Iconik => "iconik",
        Origin::ContentServer => "Content Server",
    };
    match line.event {
        Event::Added => format!("said in {place}"),
        Event::Edited => format!("edited in {place}"),
        Event::Removed => format!("not in {place} any more"),
    }
}

/// How a line of Content Server reads in iconik: whose words they are and of when is part of them.
fn shown_text(line: &Line) -> String {
    let said = &line.said;
    let mut head = format!("[Content Server {}]", line.kind.as_str());
    if let Some(author) = &said.author {
        head.push_str(&format!(" {author}"));
    }
    if let Some(at) = &said.at {
        head.push_str(&format!(" ({at})"));
    }
    match line.event {
        Event::Removed => format!("{head} withdrawn: {}", said.text),
        Event::Edited => format!("{head} now: {}", said.text),
        Event::Added => format!("{head}: {}", said.text),
    }
}
