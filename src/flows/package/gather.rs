//! Puts together what a package is made of: the ledger's items of a collection's assets with what
//! their journal says, the approvals, and the assets that its edits use.

use std::collections::{BTreeMap, HashMap, HashSet};

use futures::TryStreamExt as _;
use jiff::Timestamp;
use serde_json::Value;

use super::approvals::approvals;
use super::facts::{Facts, Happened, Payload};
use super::paths::Paths;
use super::proving;
use super::sources::{self, Edit, Match, Names, Search, Sources};
use super::{Bench, Order};
use crate::flows::{Error, archive, intake};
use crate::iconik::Locator;
use crate::ledger::{File, Item, Ledger, Line};
use crate::sidecar::campaign::{Exception, Kind};
use crate::sidecar::edit::EditKind;
use crate::sidecar::mhl::Digests;
use crate::sidecar::premis::EventKind;
use crate::types::{AssetId, CollectionId, Failure, ProofLevel, Reason, Role, Sha256Digest};

const PAGE: usize = 500;
/// The journal's lines that a package is made of.
const TELLING: [&str; 3] = ["proved", "committed", "done"];
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
        ledger: bench.ledger,
        most: order.most_files,
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
    for id in assets.into_values() {
        gathering.names.belongs(id.as_str());
        let before = gathering.facts.payload.len();
        if !gathering.asset(&id).await? {
            continue;
        }
        let own = &gathering.facts.payload[before..];
        let is_edit = own.iter().any(|one| one.kind == Kind::EditDecisionRecord);
        match systems.iconik.asset(&id).await {
            Ok(asset) => {
                // The title of an edit is no medium's.
                if !is_edit {
                    gathering.names.add(&asset.title, &asset.id.0);
                }
                approvals(systems, &asset, known, &mut gathering.facts).await?;
            }
            Err(error) if error.is_not_found() || error.is_forbidden() => {}
            Err(error) => return Err(error.into()),
        }
    }
    gathering.sources(bench, order.sources, known).await?;
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
    facts.licences.sort_by(|a, b| a.sidecar.cmp(&b.sidecar));
    facts.exceptions.sort();
    facts.exceptions.dedup();
    facts
        .approvals
        .sort_by(|a, b| (a.at, &a.subject, &a.by).cmp(&(b.at, &b.subject, &b.by)));
    facts
        .events
        .sort_by(|a, b| (a.at, &a.path, a.id).cmp(&(b.at, &b.path, b.id)));
    facts.events.dedup_by_key(|event| event.id);
    Ok(facts)
}

/// A package as it is put together.
struct Gathering<'a> {
    ledger: &'a Ledger,
    most: usize,
    facts: Facts,
    paths: Paths,
    names: Names,
    /// Whether what is added is not the campaign's own, but used by its edits.
    outside: bool,
}

impl Gathering<'_> {
    /// Adds what the ledger has of an asset; whether it has anything.
    async fn asset(&mut self, id: &AssetId) -> Result<bool, Error> {
        let prefix = format!("{id}/");
        let mut items = self.ledger.items_below_after(&prefix, "", PAGE).await?;
        let any = !items.is_empty();
        // Page by page: an asset may have any number of versions.
        while let Some(last) = items.last().map(|item| item.key.clone()) {
            for item in &items {
                self.item(item).await?;
                if self.facts.payload.len() > self.most {
                    return Err(too_many(&self.facts.title, self.most));
                }
            }
            items = self.ledger.items_below_after(&prefix, &last, PAGE).await?;
        }
        Ok(any)
    }

    /// Adds what the edits name as their sources, and where it is to be, the assets that those are.
    async fn sources(
        &mut self,
        bench: Bench<'_>,
        policy: Sources,
        known: &Facts,
    ) -> Result<(), Error> {
        let now: HashSet<&str> = self
            .facts
            .payload
            .iter()
            .map(|one| one.path.as_str())
            .collect();
        let before = known
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
        for mut reference in references {
            match search.find(&reference).await? {
                Match::Inside(asset) => reference.iconik_asset = Some(asset),
                Match::Gap(why) => reference.gap = Some(why),
                Match::Outside(asset) if policy == Sources::List => {
                    reference.gap = policy.gap(&asset);
                }
                Match::Outside(asset) => {
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

impl Gathering<'_> {
    /// Adds an item: its files, or why it is missing.
    async fn item(&mut self, item: &Item) -> Result<(), Error> {
        let Self {
            ledger,
            facts,
            paths,
            names,
            ..
        } = self;
        let outside = self.outside;
        let asset = intake::asset_of(&item.key).to_owned();
        match item.state.as_str() {
            "done" => {}
            "declined" => {
                facts.exceptions.push(Exception {
                    path: item.title.clone(),
                    reason: "a person decided not to file it".to_owned(),
                });
                return Ok(());
            }
            state => {
                match state {
                    "held" | "waiting" | "planned" | "active" => facts.held += 1,
                    _ => facts.failed += 1,
                }
                facts.exceptions.push(Exception {
                    path: item.title.clone(),
                    reason: format!(
                        "{state}: {}",
                        item.message.as_deref().unwrap_or("not finished")
                    ),
                });
                return Ok(());
            }
        }
        let lines = telling(ledger, item).await?;
        let mut from = 0;
        let mut segment: Option<File> = None;
        loop {
            let files = ledger.files(item.id, from, PAGE).await?;
            let Some(last) = files.last() else { break };
            from = last.seq + 1;
            for file in &files {
                let role = Role::from_name(&file.role);
                if matches!(role, Some(Role::Segment(_) | Role::Join)) {
                    segment = segment.or_else(|| Some(file.clone()));
                    continue;
                }
                let payload = payload_of(item, file, role.as_ref(), &asset, outside, &lines, paths);
                if let Some(payload) = payload {
                    if payload.kind == Kind::Master || payload.kind == Kind::EditDecisionRecord {
                        names.add(&file.name, &asset);
                    }
                    happened(&payload, file, &lines, facts);
                    if payload.kind == Kind::Rights
                        && let Some(content) = &file.content
                    {
                        proving::licence(&payload, content, facts);
                    }
                    facts.payload.push(payload);
                }
            }
        }
        if item.kind == "split"
            && let Some(done) = lines.iter().rev().find(|line| line.event == "done")
            && let Ok(data) = serde_json::from_str::<Value>(&done.data)
            && let Some(sha256) = data["sha256"].as_str().and_then(|text| text.parse().ok())
            && let Some(node) = item.node
        {
            names.add(&item.name, &asset);
            let kind = if outside {
                Kind::SourceReference
            } else {
                Kind::Master
            };
            let payload = Payload {
                path: paths.take(&format!("data/{}/{}", kind.folder(), item.name), sha256),
                kind,
                size: split_size(ledger, item).await?,
                sha256,
                level: level_of(&item.proof),
                mime: mime_guess::from_path(&item.name)
                    .first_or_octet_stream()
                    .to_string(),
                asset,
                file: segment
                    .map(|segment| source_of(&segment))
                    .unwrap_or_default(),
                node,
                version: None,
                digests: None,
                at: at_of(done),
            };
            // What happened to its segments happened to it; their names are in the detail.
            for line in lines.iter().filter(|line| line.file.is_some()) {
                facts.events.extend(event(&payload, line));
            }
            facts.payload.push(payload);
        }
        Ok(())
    }
}

/// An item's journal, as far as a package is made of it.
async fn telling(ledger: &Ledger, item: &Item) -> Result<Vec<Line>, Error> {
    let (mut after, mut all) = (0, Vec::new());
    loop {
        let lines = ledger.journal(None, Some(item.id), after, PAGE).await?;
        let Some(last) = lines.last() else {
            return Ok(all);
        };
        after = last.seq;
        all.extend(
            lines
                .into_iter()
                .filter(|line| TELLING.contains(&line.event.as_str())),
        );
    }
}

/// The file in iconik that a ledger's file is from.
fn source_of(file: &File) -> String {
    Locator::parse(&file.locator)
        .map(|locator| locator.file.0)
        .unwrap_or_default()
}

/// Bytes of a split master: those of its segments.
async fn split_size(ledger: &Ledger, item: &Item) -> Result<u64, Error> {
    let (mut from, mut size) = (0, 0);
    loop {
        let files = ledger.files(item.id, from, PAGE).await?;
        let Some(last) = files.last() else {
            return Ok(size);
        };
        from = last.seq + 1;
        size += files
            .iter()
            .filter(|file| matches!(Role::from_name(&file.role), Some(Role::Segment(_))))
            .map(|file| file.size)
            .sum::<u64>();
    }
}

fn payload_of(
    item: &Item,
    file: &File,
    role: Option<&Role>,
    asset: &str,
    outside: bool,
    lines: &[Line],
    paths: &mut Paths,
) -> Option<Payload> {
    let sha256 = Sha256Digest(file.sha256.as_deref()?.try_into().ok()?);
    let (node, version) = (file.node?, file.version?);
    let kind = match role {
        Some(Role::Master) if outside => Kind::SourceReference,
        Some(Role::Master) if EditKind::of_name(&file.name).is_some() => Kind::EditDecisionRecord,
        Some(Role::Master) => Kind::Master,
        Some(Role::Metadata) => Kind::Metadata,
        Some(Role::Rights) => Kind::Rights,
        // Papers that others file beside a master.
        _ => Kind::ReleaseApproval,
    };
    let mut name = String::new();
    if item.kind == "folder" {
        name.push_str(&item.name);
        name.push('/');
        if !file.dir.is_empty() {
            name.push_str(&file.dir);
            name.push('/');
        }
    }
    // The item's own name may carry a suffix, because another document has the plain one.
    if item.kind == "document" && role == Some(&Role::Master) {
        name.push_str(&item.name);
    } else {
        name.push_str(&file.name);
    }
    let proved = lines
        .iter()
        .rev()
        .find(|line| line.event == "proved" && line.file == Some(file.id));
    let data: Value = proved
        .and_then(|line| serde_json::from_str(&line.data).ok())
        .unwrap_or_default();
    let measured = data["sha256"].as_str() == Some(sha256.to_string().as_str());
    let digests = digests_of(&data).filter(|_| measured);
    // Sidecars are beside what they are about.
    let folder = match outside {
        true => Kind::SourceReference.folder(),
        false => kind.folder(),
    };
    Some(Payload {
        path: paths.take(&format!("data/{folder}/{name}"), sha256),
        kind,
        size: file.size,
        sha256,
        level: level_of(&file.proof),
        mime: file.mime.clone(),
        asset: asset.to_owned(),
        file: source_of(file),
        node,
        version: Some(version),
        digests: digests.or_else(|| file.content.as_deref().map(Digests::of)),
        at: proved.map_or(Timestamp::UNIX_EPOCH, at_of),
    })
}

fn digests_of(data: &Value) -> Option<Digests> {
    let hex = |name: &str| data[name].as_str();
    Some(Digests {
        xxh128: u128::from_str_radix(hex("xxh128")?, 16).ok()?,
        xxh64: u64::from_str_radix(hex("xxh64")?, 16).ok()?,
    })
}

fn level_of(text: &str) -> ProofLevel {
    ProofLevel::from_name(text).unwrap_or(ProofLevel::None)
}

fn at_of(line: &Line) -> Timestamp {
    Timestamp::from_millisecond(line.at).unwrap_or(Timestamp::UNIX_EPOCH)
}

fn happened(payload: &Payload, file: &File, lines: &[Line], facts: &mut Facts) {
    let own = lines.iter().filter(|line| line.file == Some(file.id));
    facts
        .events
        .extend(own.filter_map(|line| event(payload, line)));
}

/// A line of the journal as something that happened to a file.
fn event(payload: &Payload, line: &Line) -> Option<Happened> {
    let kind = match line.event.as_str() {
        "proved" => EventKind::Checked,
        "committed" => EventKind::Ingested,
        _ => return None,
    };
    let data: Value = serde_json::from_str(&line.data).unwrap_or_default();
    let mut detail: Vec<String> = ["level", "node", "version"]
        .into_iter()
        .filter_map(|name| match &data[name] {
            Value::Null => None,
            Value::String(text) => Some(format!("{name}={text}")),
            other => Some(format!("{name}={other}")),
        })
        .collect();
    detail.push(format!("journal={}", line.seq));
    let mut bytes = [0; 16];
    let digest = hex::decode(&line.digest).unwrap_or_default();
    for (to, from) in bytes.iter_mut().zip(digest) {
        *to = from;
    }
    Some(Happened {
        id: uuid::Builder::from_random_bytes(bytes).into_uuid(),
        kind,
        at: at_of(line),
        detail: detail.join("; "),
        path: payload.path.clone(),
    })
}
