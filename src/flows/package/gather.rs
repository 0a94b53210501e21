//! Finds what a package is made of: the ledger's items of a collection's assets, what their
//! journal says, what iconik says of approvals, and what the edits point at.

use std::collections::{BTreeMap, HashMap, HashSet};

use futures::TryStreamExt as _;
use jiff::Timestamp;
use serde_json::Value;

use super::facts::{Comment, Facts, Happened, Payload};
use super::proving;
use crate::flows::{Error, Systems, archive, intake};
use crate::iconik::{self, Asset, Locator, Segment, SegmentKind, Vote};
use crate::ledger::{File, Item, Ledger, Line};
use crate::pace::Pace;
use crate::sidecar::campaign::{Approval, Exception, Kind, SourceReference};
use crate::sidecar::edit::{self, EditKind};
use crate::sidecar::mhl::Digests;
use crate::sidecar::premis::EventKind;
use crate::transfer::read_back;
use crate::types::{CollectionId, Failure, ProofLevel, Reason, Role, Sha256Digest};

const PAGE: usize = 500;
/// The journal's lines that a package is made of.
const TELLING: [&str; 3] = ["proved", "committed", "done"];
/// The largest edit decision record that is read for its references.
const EDIT_MAX: u64 = 32 << 20;
pub(super) const ATTEMPTS: u32 = 6;

/// What a collection's package is made of now. `known` is what the package holds already.
pub(super) async fn gather(
    systems: &Systems,
    ledger: &Ledger,
    pace: &Pace,
    collection: &CollectionId,
    known: &Facts,
    most: usize,
) -> Result<Facts, Error> {
    let title = systems.iconik.collection(collection).await?.title;
    let mut facts = Facts {
        title: title
            .filter(|title| !title.trim().is_empty())
            .unwrap_or_else(|| collection.to_string()),
        ..Facts::default()
    };
    let mut paths = Paths::new(&known.payload);
    let mut names = Names::default();
    // In order of id, so that the same assets give the same package however they are listed.
    let mut assets = BTreeMap::new();
    let mut listed = archive::assets(systems, std::slice::from_ref(collection));
    while let Some(id) = listed.try_next().await? {
        assets.insert(id.0.clone(), id);
    }
    for id in assets.into_values() {
        let prefix = format!("{id}/");
        let mut items = ledger.items_below_after(&prefix, "", PAGE).await?;
        if items.is_empty() {
            continue;
        }
        match systems.iconik.asset(&id).await {
            Ok(asset) => {
                names.add(&asset.title, &asset.id.0);
                approvals(systems, &asset, &mut facts).await?;
            }
            Err(error) if error.is_not_found() || error.is_forbidden() => {}
            Err(error) => return Err(error.into()),
        }
        // Page by page: an asset may have any number of versions.
        while let Some(last) = items.last().map(|item| item.key.clone()) {
            for item in &items {
                item_of(ledger, item, &mut facts, &mut paths, &mut names).await?;
                if facts.payload.len() > most {
                    return Err(too_many(&facts.title, most));
                }
            }
            items = ledger.items_below_after(&prefix, &last, PAGE).await?;
        }
    }
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
    references(systems, pace, &names, &mut facts).await?;
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

/// Which paths are taken by what content.
pub(super) struct Paths {
    taken: BTreeMap<String, Sha256Digest>,
    now: HashSet<String>,
}

impl Paths {
    fn new(known: &[Payload]) -> Self {
        Self {
            taken: known
                .iter()
                .map(|payload| (payload.path.clone(), payload.sha256))
                .collect(),
            now: HashSet::new(),
        }
    }

    /// A path for this content: its own, or one with a number when that holds another content.
    pub(super) fn take(&mut self, wanted: &str, sha256: Sha256Digest) -> String {
        let wanted = plain(wanted);
        let mut number = 1;
        let mut path = wanted.clone();
        while self.taken.get(&path).is_some_and(|there| *there != sha256)
            || self.now.contains(&path)
        {
            number += 1;
            path = numbered(&wanted, number);
        }
        self.taken.insert(path.clone(), sha256);
        self.now.insert(path.clone());
        path
    }
}

/// A path that every tool reads alike. A bag writes `%` and line ends in a way that `sha256sum`
/// does not know and other tools know in part, a backslash and a colon mean folders elsewhere.
fn plain(path: &str) -> String {
    let steps: Vec<String> = path
        .split('/')
        .map(|step| {
            let step: String = step
                .chars()
                .map(|character| match character {
                    '%' | '\\' | ':' => '_',
                    other if other.is_control() => '_',
                    other => other,
                })
                .collect();
            match step.trim() {
                "" | "." | ".." => "_".to_owned(),
                step => step.to_owned(),
            }
        })
        .collect();
    steps.join("/")
}

/// `a/b.mov` → `a/b.v2.mov`.
fn numbered(path: &str, number: u32) -> String {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    let name = match name.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() => format!("{stem}.v{number}.{extension}"),
        _ => format!("{name}.v{number}"),
    };
    if folder.is_empty() {
        name
    } else {
        format!("{folder}/{name}")
    }
}

/// Titles and file names of the campaign's assets, in lower case.
#[derive(Default)]
struct Names(HashMap<String, String>);

impl Names {
    fn add(&mut self, name: &str, asset: &str) {
        let name = name.trim().to_lowercase();
        let stem = name.rsplit_once('.').map(|(stem, _)| stem.to_owned());
        for name in [Some(name), stem].into_iter().flatten() {
            if !name.is_empty() {
                self.0.entry(name).or_insert_with(|| asset.to_owned());
            }
        }
    }

    fn find(&self, names: &[String]) -> Option<String> {
        names
            .iter()
            .find_map(|name| self.0.get(&name.to_lowercase()).cloned())
    }
}

/// What people decided and said about an asset's current version.
async fn approvals(systems: &Systems, asset: &Asset, facts: &mut Facts) -> Result<(), Error> {
    let version = asset.current_version().map(|version| &version.id);
    let votes = systems.iconik.votes(&asset.id, version);
    let votes: Vec<Vote> = readable(votes.try_collect().await, asset, "approvals", facts)?;
    for vote in votes {
        let outcome = match vote.status.as_deref() {
            Some("APPROVED") => "approved",
            Some("NOT_APPROVED") => "rejected",
            _ => continue,
        };
        let Some(at) = vote.change_date else { continue };
        facts.approvals.push(Approval {
            subject: asset.title.clone(),
            outcome: outcome.to_owned(),
            by: vote
                .user
                .or(vote.email)
                .unwrap_or_else(|| "unknown".to_owned()),
            at,
            document: None,
        });
    }
    let said = systems
        .iconik
        .segments(&asset.id, Some(&SegmentKind::Comment), version);
    let said: Vec<Segment> = readable(said.try_collect().await, asset, "comments", facts)?;
    facts.comments.extend(said.into_iter().map(|said| Comment {
        subject: asset.title.clone(),
        by: said.author().to_string(),
        at: said.date_created,
        text: said.text.unwrap_or_default(),
        resolved: said.checked,
    }));
    Ok(())
}

/// What may not be read is a gap, and no reason to make no package.
fn readable<T>(
    read: Result<Vec<T>, iconik::Error>,
    asset: &Asset,
    what: &str,
    facts: &mut Facts,
) -> Result<Vec<T>, Error> {
    match read {
        Ok(read) => Ok(read),
        Err(error) if error.is_not_found() => Ok(Vec::new()),
        Err(error) if error.is_forbidden() => {
            facts.exceptions.push(Exception {
                path: asset.title.clone(),
                reason: format!("its {what} may not be read: {error}"),
            });
            Ok(Vec::new())
        }
        Err(error) => Err(error.into()),
    }
}

async fn item_of(
    ledger: &Ledger,
    item: &Item,
    facts: &mut Facts,
    paths: &mut Paths,
    names: &mut Names,
) -> Result<(), Error> {
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
            if let Some(payload) = payload_of(item, file, role.as_ref(), &asset, &lines, paths) {
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
        let payload = Payload {
            path: paths.take(&format!("data/masters/{}", item.name), sha256),
            kind: Kind::Master,
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
    lines: &[Line],
    paths: &mut Paths,
) -> Option<Payload> {
    let sha256 = Sha256Digest(file.sha256.as_deref()?.try_into().ok()?);
    let (node, version) = (file.node?, file.version?);
    let kind = match role {
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
    Some(Payload {
        path: paths.take(&format!("data/{}/{name}", kind.folder()), sha256),
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

async fn references(
    systems: &Systems,
    pace: &Pace,
    names: &Names,
    facts: &mut Facts,
) -> Result<(), Error> {
    for payload in &facts.payload {
        let name = payload.path.rsplit('/').next().unwrap_or_default();
        let (Some(kind), Kind::EditDecisionRecord, Some(version)) =
            (EditKind::of_name(name), payload.kind, payload.version)
        else {
            continue;
        };
        if kind == EditKind::Opaque {
            continue;
        }
        let mut problem = |reason: String| {
            facts.exceptions.push(Exception {
                path: payload.path.clone(),
                reason,
            });
        };
        if payload.size > EDIT_MAX {
            problem("it is too large to be an edit decision record; its source references were not read".to_owned());
            continue;
        }
        let mut content = Vec::new();
        let read = read_back(
            &*systems.destination,
            pace,
            payload.node,
            version,
            payload.size,
            ATTEMPTS,
            &mut |bytes| {
                content.extend_from_slice(bytes);
                Ok(())
            },
        )
        .await?;
        if read != payload.sha256 {
            problem("what Content Server holds is not what was filed".to_owned());
            continue;
        }
        match edit::references(kind, &content) {
            Ok(found) => {
                facts
                    .references
                    .extend(found.into_iter().map(|reference| SourceReference {
                        from: payload.path.clone(),
                        iconik_asset: names.find(&reference.names()),
                        clip: reference.clip,
                        reel: reference.reel,
                        first: reference.first,
                        last: reference.last,
                    }))
            }
            Err(error) => problem(format!("its source references cannot be read: {error}")),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_content_gets_a_path_of_its_own_and_the_same_content_its_old_one() {
        let (first, second) = (Sha256Digest([1; 32]), Sha256Digest([2; 32]));
        let mut paths = Paths::new(&[]);
        assert_eq!(
            paths.take("data/masters/a.mov", first),
            "data/masters/a.mov"
        );
        assert_eq!(
            paths.take("data/masters/a.mov", second),
            "data/masters/a.v2.mov"
        );
        let known: Vec<Payload> = Vec::new();
        let mut again = Paths::new(&known);
        again.taken = paths.taken;
        assert_eq!(
            again.take("data/masters/a.mov", second),
            "data/masters/a.v2.mov"
        );
        assert_eq!(
            again.take("data/masters/a.mov", first),
            "data/masters/a.mov"
        );
    }

    #[test]
    fn paths_are_such_that_every_tool_reads_them() {
        let mut paths = Paths::new(&[]);
        let sha256 = Sha256Digest([1; 32]);
        let take = |paths: &mut Paths, path: &str| paths.take(path, sha256);
        assert_eq!(
            take(&mut paths, "data/masters/100 %.mov"),
            "data/masters/100 _.mov"
        );
        // Two names that become one stay two paths.
        assert_eq!(
            take(&mut paths, "data/masters/100 :.mov"),
            "data/masters/100 _.v2.mov"
        );
        assert_eq!(take(&mut paths, "data/a\nb/../c\\d "), "data/a_b/_/c_d");
    }

    #[test]
    fn clips_are_found_by_title_file_name_and_name_without_extension() {
        let mut names = Names::default();
        names.add("A002C006_141024_R2EC.mov", "one");
        names.add("Opening title", "two");
        let find = |name: &str| names.find(&[name.to_owned()]);
        assert_eq!(find("a002c006_141024_r2ec"), Some("one".to_owned()));
        assert_eq!(find("A002C006_141024_R2EC.MOV"), Some("one".to_owned()));
        assert_eq!(find("opening TITLE"), Some("two".to_owned()));
        assert_eq!(find("other"), None);
    }
}
