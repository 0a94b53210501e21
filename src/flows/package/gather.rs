//! Puts together what a package is made of: the ledger's items of a collection's assets with what
//! their journal says, the approvals, and the assets that its edits use.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use futures::TryStreamExt as _;
use serde_json::Value;

use super::facts::{Facts, Part};
use super::filed::{self, Filed};
use super::lacking;
use super::paths::Paths;
use super::proving;
use super::release::{Only, Released, remarks};
use super::sources::{self, Edit, Match, Names, Search, Sources};
use super::{Bench, Order};
use crate::flows::{Error, archive, intake};
use crate::iconik::Asset;
use crate::ledger::{Item, Line};
use crate::sidecar::campaign::{Exception, Kind, LeftOut};
use crate::types::{AssetId, CollectionId, Failure, NodeId, Reason, Role, VersionId};

pub(super) const PAGE: usize = 500;
pub(super) const ATTEMPTS: u32 = 6;

/// What a collection's package is made of now. `known` is what the package holds already.
pub(super) async fn gather(
    bench: Bench<'_>,
    order: &Order,
    collection: &CollectionId,
    known: &Facts,
) -> Result<Facts, Error> {
    let Bench { systems, pace, .. } = bench;
    let title = systems.iconik.collection(collection).await?.title;
    let mut gathering = Gathering {
        bench,
        order,
        known,
        packed: Packed::of(known),
        facts: Facts {
            title: title
                .filter(|title| !title.trim().is_empty())
                .unwrap_or_else(|| collection.to_string()),
            ..Facts::default()
        },
        paths: Paths::new(&known.payload),
        names: Names::default(),
        outside: false,
    };
    // In order of id, so that the same assets give the same package however they are listed.
    let mut assets = BTreeMap::new();
    let mut listed = archive::assets(systems, std::slice::from_ref(collection));
    while let Some(id) = listed.try_next().await? {
        assets.insert(id.0.clone(), id);
    }
    let mut lacking = BTreeSet::new();
    for id in assets.into_values() {
        gathering.names.belongs(id.as_str());
        if !gathering.asset(&id).await? {
            lacking.insert(id);
        }
    }
    lacking::explain(bench, lacking, order.most_files, &mut gathering.facts).await?;
    gathering.sources().await?;
    let Gathering {
        mut facts,
        mut paths,
        ..
    } = gathering;
    proving::papers(systems, pace, known, &mut facts, &mut paths).await?;
    // What was in the package stays in it: its versions stay in Content Server.
    let places: HashMap<String, usize> = facts
        .payload
        .iter()
        .enumerate()
        .map(|(place, payload)| (payload.path.clone(), place))
        .collect();
    for payload in &known.payload {
        let now = places.get(&payload.path).copied();
        match now.and_then(|place| facts.payload.get_mut(place)) {
            None => facts.payload.push(payload.clone()),
            // A check of the package has read what the run did not.
            Some(now) if now.node == payload.node && now.version == payload.version => {
                now.digests = now.digests.or(payload.digests);
                now.level = now.level.max(payload.level);
            }
            Some(_) => {}
        }
    }
    facts.payload.sort_by(|a, b| a.path.cmp(&b.path));
    facts.events.extend(known.events.iter().cloned());
    // One that was read from a package's papers has its time to the millisecond only.
    let mut told = HashSet::new();
    facts.events.retain(|event| told.insert(event.id));
    facts.licences.sort_by(|a, b| a.sidecar.cmp(&b.sidecar));
    facts.exceptions.sort();
    facts.exceptions.dedup();
    // An edit's source may be in it all the same.
    let is_in: HashSet<(&str, &str)> = facts.payload.iter().map(|one| one.of_version()).collect();
    facts.left_out.retain(|out| {
        let version = out.version.as_deref();
        version.is_none_or(|version| !is_in.contains(&(out.asset.as_str(), version)))
    });
    facts.left_out.sort();
    facts.left_out.dedup();
    facts
        .approvals
        .sort_by(|a, b| (a.at, &a.subject, &a.by).cmp(&(b.at, &b.subject, &b.by)));
    facts
        .events
        .sort_by(|a, b| (a.at, &a.path, a.id).cmp(&(b.at, &b.path, b.id)));
    Ok(facts)
}

/// What a package holds already.
struct Packed {
    /// Masters, by asset and version.
    masters: HashSet<(String, String)>,
    /// Split masters that it lists whole.
    wholes: HashSet<NodeId>,
}

impl Packed {
    fn of(known: &Facts) -> Self {
        let masters = known.payload.iter().filter(|one| one.kind == Kind::Master);
        let wholes = known.payload.iter().filter(|one| one.version.is_none());
        Self {
            masters: masters
                .map(|one| (one.asset.clone(), one.asset_version.clone()))
                .collect(),
            wholes: wholes.map(|one| one.node).collect(),
        }
    }
}

/// A package as it is put together.
struct Gathering<'a> {
    bench: Bench<'a>,
    order: &'a Order,
    /// What the package holds already.
    known: &'a Facts,
    packed: Packed,
    facts: Facts,
    paths: Paths,
    names: Names,
    /// Whether what is added is not the campaign's own, but used by its edits.
    outside: bool,
}

impl Gathering<'_> {
    /// Adds what the ledger has of an asset; whether it has anything.
    async fn asset(&mut self, id: &AssetId) -> Result<bool, Error> {
        let ledger = self.bench.ledger;
        let prefix = format!("{id}/");
        let mut items = ledger.items_below_after(&prefix, "", PAGE).await?;
        if items.is_empty() {
            return Ok(false);
        }
        let asset = match self.bench.systems.iconik.asset(id).await {
            Ok(asset) => Some(asset),
            Err(error) if error.is_not_found() || error.is_forbidden() => None,
            Err(error) => return Err(error.into()),
        };
        let before = self.facts.payload.len();
        // Page by page: an asset may have any number of versions.
        while let Some(last) = items.last().map(|item| item.key.clone()) {
            for item in &items {
                self.item(item, asset.as_ref()).await?;
                if self.facts.payload.len() > self.order.most_files {
                    return Err(too_many(&self.facts.title, self.order.most_files));
                }
            }
            items = ledger.items_below_after(&prefix, &last, PAGE).await?;
        }
        let own = &self.facts.payload[before..];
        let is_edit = own.iter().any(|one| one.kind == Kind::EditDecisionRecord);
        if let Some(asset) = &asset {
            // The title of an edit is no medium's.
            if !is_edit && !self.outside {
                self.names.add(&asset.title, &asset.id.0);
            }
            if self.facts.payload.len() > before {
                remarks(self.bench.systems, asset, &mut self.facts).await?;
            }
        }
        Ok(true)
    }

    /// Adds what the edits name as their sources, and where it is to be, the assets that those are.
    async fn sources(&mut self) -> Result<(), Error> {
        let (bench, policy) = (self.bench, self.order.sources);
        let now: HashSet<&str> = self
            .facts
            .payload
            .iter()
            .map(|one| one.path.as_str())
            .collect();
        let before = self
            .known
            .payload
            .iter()
            .filter(|one| !now.contains(one.path.as_str()));
        let edits: Vec<Edit> = self
            .facts
            .payload
            .iter()
            .chain(before)
            .filter_map(Edit::of)
            .collect();
        let problems = &mut self.facts.exceptions;
        let mut references =
            sources::references(bench.systems, bench.pace, &edits, problems).await?;
        references.sort_by(|a, b| a.from.cmp(&b.from));
        let names = std::mem::take(&mut self.names);
        let mut search = Search::new(bench.systems, &names);
        self.outside = true;
        let mut added: HashMap<String, bool> = HashMap::new();
        let left_out = self.left_out();
        for mut reference in references {
            let (asset, inside) = match search.find(&reference).await? {
                Match::Inside(asset) => (AssetId(asset), true),
                Match::Outside(asset) => (asset, false),
                Match::Gap(why) => {
                    reference.gap = Some(why);
                    self.facts.references.push(reference);
                    continue;
                }
            };
            let left_out = left_out.get(asset.as_str()).filter(|_| inside);
            match (policy, left_out) {
                (_, None) if inside => reference.iconik_asset = Some(asset.0),
                (Sources::List, Some(why)) => {
                    reference.left_out = Some(why.clone());
                    reference.iconik_asset = Some(asset.0);
                }
                (Sources::List, None) => reference.gap = policy.gap(&asset),
                (Sources::Include, _) => {
                    let filed = match added.get(asset.as_str()) {
                        Some(filed) => *filed,
                        None => {
                            let filed = self.asset(&asset).await?;
                            added.insert(asset.0.clone(), filed);
                            filed
                        }
                    };
                    match filed {
                        true => reference.iconik_asset = Some(asset.0),
                        false => {
                            reference.gap = Some(format!(
                                "it is asset {asset}, outside the campaign, of which nothing was filed"
                            ));
                        }
                    }
                }
            }
            self.facts.references.push(reference);
        }
        Ok(())
    }

    /// Why the assets are left out of which nothing else is in the package.
    fn left_out(&self) -> HashMap<String, String> {
        let payload = self.facts.payload.iter().chain(&self.known.payload);
        let is_in: HashSet<&str> = payload.map(|one| one.asset.as_str()).collect();
        let out = self.facts.left_out.iter();
        out.filter(|out| !is_in.contains(out.asset.as_str()))
            .map(|out| (out.asset.clone(), out.reason.clone()))
            .collect()
    }

    /// Adds an item: its files, or why it is missing or left out.
    async fn item(&mut self, item: &Item, asset: Option<&Asset>) -> Result<(), Error> {
        let id = intake::asset_of(&item.key).to_owned();
        let kind = filed::kind_of(item, self.outside);
        let is_done = item.state == "done";
        let only_final = self.order.finality.only == Only::Final && kind == Kind::Master;
        let released = match asset {
            Some(asset) if is_done || only_final => {
                let version = VersionId(filed::version_of(&item.key));
                let finality = &self.order.finality;
                let systems = self.bench.systems;
                finality
                    .of(systems, asset, &version, self.known, &mut self.facts)
                    .await?
            }
            _ if is_done => {
                let version = VersionId(filed::version_of(&item.key));
                Released::known(self.known, &id, &version)
            }
            _ => Released::default(),
        };
        if only_final && self.is_left_out(item, &id, &released) {
            // An edit may use it all the same.
            self.names.add(&item.name, &id);
            return Ok(());
        }
        if !is_done {
            self.missing(item);
            return Ok(());
        }
        self.facts.approvals.extend(released.approvals);
        let lines = filed::telling(self.bench.ledger, item).await?;
        let whole = match item.kind.as_str() {
            "split" => self.whole(item, kind, &lines).await?,
            _ => None,
        };
        let filed = Filed {
            item,
            asset: &id,
            kind,
            release: released.release.as_ref(),
            lines: &lines,
            whole: whole.as_ref(),
        };
        let mut from = 0;
        loop {
            let files = self.bench.ledger.files(item.id, from, PAGE).await?;
            let Some(last) = files.last() else {
                return Ok(());
            };
            from = last.seq + 1;
            for file in &files {
                let role = Role::from_name(&file.role);
                let is_part = matches!(role, Some(Role::Segment(_) | Role::Join));
                if is_part && whole.is_none() {
                    continue;
                }
                let Some(payload) = filed.payload(file, &mut self.paths) else {
                    continue;
                };
                if role == Some(Role::Master) {
                    self.names.add(&file.name, &id);
                }
                filed::happened(&payload, file, &lines, &mut self.facts);
                if payload.kind == Kind::Rights
                    && let Some(content) = &file.content
                {
                    proving::licence(&payload, content, &mut self.facts);
                }
                self.facts.payload.push(payload);
            }
        }
    }

    /// The master that the segments of a split one are parts of; nothing when a package that was
    /// made before lists it whole, and goes on with that.
    async fn whole(
        &mut self,
        item: &Item,
        kind: Kind,
        lines: &[Line],
    ) -> Result<Option<Part>, Error> {
        let done = lines.iter().rev().find(|line| line.event == "done");
        let data = done.and_then(|line| serde_json::from_str::<Value>(&line.data).ok());
        let sha256 = data.and_then(|data| data["sha256"].as_str()?.parse().ok());
        let (Some(sha256), Some(node)) = (sha256, item.node) else {
            return Ok(None);
        };
        self.names.add(&item.name, intake::asset_of(&item.key));
        if self.packed.wholes.contains(&node) {
            return Ok(None);
        }
        let wanted = format!("data/{}/{}", kind.folder(), item.name);
        Ok(Some(Part {
            whole: self.paths.take_for((node, None), &wanted, sha256),
            sha256,
            size: filed::split_size(self.bench.ledger, item).await?,
            node,
        }))
    }

    /// Takes note of an item that is not filed.
    fn missing(&mut self, item: &Item) {
        let why = item.message.as_deref();
        let reason = match item.state.as_str() {
            "declined" => match why.and_then(|why| why.strip_prefix("declined: ")) {
                Some(why) => format!("a person decided not to file it: {why}"),
                None => "a person decided not to file it".to_owned(),
            },
            state => {
                match state {
                    "held" | "waiting" | "planned" | "active" => self.facts.held += 1,
                    _ => self.facts.failed += 1,
                }
                format!("{state}: {}", why.unwrap_or("not finished"))
            }
        };
        self.facts.exceptions.push(Exception {
            path: item.title.clone(),
            reason,
        });
    }

    /// Whether a master is no part of a package that takes only final ones. What is in the package
    /// stays in it.
    fn is_left_out(&mut self, item: &Item, asset: &str, released: &Released) -> bool {
        let version = filed::version_of(&item.key);
        let is_in = (asset.to_owned(), version.clone());
        if self.packed.masters.contains(&is_in) {
            return false;
        }
        let says = match &released.release {
            Some(release) => release.says.as_str(),
            None => "iconik does not show it",
        };
        match released
            .release
            .as_ref()
            .and_then(|release| release.is_final)
        {
            Some(true) => false,
            Some(false) => {
                self.facts.left_out.push(LeftOut {
                    title: item.title.clone(),
                    asset: asset.to_owned(),
                    version: Some(version),
                    why: "not-final".to_owned(),
                    reason: format!(
                        "it is not final, and the package takes only what is (`package.only`): {says}"
                    ),
                });
                true
            }
            // What stopped it is said below.
            None if item.state != "done" => false,
            None => {
                self.facts.exceptions.push(Exception {
                    path: item.title.clone(),
                    reason: format!(
                        "whether it is final cannot be known, and the package takes only what is (`package.only`): {says}"
                    ),
                });
                true
            }
        }
    }
}

/// More files than the papers of one package may list.
fn too_many(title: &str, most: usize) -> Error {
    Failure::item(
        Reason::TooLarge,
        format!(
            "the package of {title} would list more than {most} files; what is filed stays filed. Pack the \
             collections below it one by one, or raise `package.files` (about 10 KB of memory each)"
        ),
    )
    .into()
}
