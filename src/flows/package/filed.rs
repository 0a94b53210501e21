//! What the ledger knows of an item's files, as payload of a package and as what happened to it.

use jiff::Timestamp;
use serde_json::Value;

use super::facts::{Facts, Happened, Part, Payload};
use super::gather::PAGE;
use super::paths::Paths;
use super::sources::is_media;
use crate::flows::Error;
use crate::iconik::Locator;
use crate::ledger::{File, Item, Ledger, Line};
use crate::sidecar::campaign::{Kind, Release};
use crate::sidecar::edit::EditKind;
use crate::sidecar::mhl::Digests;
use crate::sidecar::premis::EventKind;
use crate::types::{ProofLevel, Role, Sha256Digest};

/// The journal's lines that a package is made of.
const TELLING: [&str; 3] = ["proved", "committed", "done"];

/// What an item's master is.
pub(super) fn kind_of(item: &Item, outside: bool) -> Kind {
    match outside {
        true => Kind::SourceReference,
        false => kind_of_name(&item.name, item.kind == "document"),
    }
}

/// What a version of the campaign's own is, which is `alone` unless it is a folder or was split.
pub(super) fn kind_of_name(name: &str, alone: bool) -> Kind {
    match EditKind::of_name(name) {
        Some(_) => Kind::EditDecisionRecord,
        // Files of a folder belong together, whatever they are.
        None if alone && !is_media(&name.to_lowercase()) => Kind::SupportingDocument,
        None => Kind::Master,
    }
}

/// A done item, as its files become payload.
pub(super) struct Filed<'a> {
    pub(super) item: &'a Item,
    pub(super) asset: &'a str,
    /// What its master is.
    pub(super) kind: Kind,
    pub(super) release: Option<&'a Release>,
    pub(super) lines: &'a [Line],
    /// The master that its segments are parts of, when it was split.
    pub(super) whole: Option<&'a Part>,
}

/// An item's journal, as far as a package is made of it.
pub(super) async fn telling(ledger: &Ledger, item: &Item) -> Result<Vec<Line>, Error> {
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
pub(super) fn source_of(file: &File) -> String {
    Locator::parse(&file.locator)
        .map(|locator| locator.file.0)
        .unwrap_or_default()
}

/// Bytes of a split master: those of its segments.
pub(super) async fn split_size(ledger: &Ledger, item: &Item) -> Result<u64, Error> {
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

impl Filed<'_> {
    /// A file of the item; nothing when it is not filed.
    pub(super) fn payload(&self, file: &File, paths: &mut Paths) -> Option<Payload> {
        let Self { item, lines, .. } = self;
        let role = Role::from_name(&file.role);
        let sha256 = Sha256Digest(file.sha256.as_deref()?.try_into().ok()?);
        let (node, version) = (file.node?, file.version?);
        let kind = match role {
            Some(Role::Master) if self.kind == Kind::Master => {
                match EditKind::of_name(&file.name) {
                    Some(_) => Kind::EditDecisionRecord,
                    None => Kind::Master,
                }
            }
            Some(Role::Master | Role::Segment(_)) => self.kind,
            Some(Role::Metadata | Role::Join) => Kind::Metadata,
            Some(Role::Rights) => Kind::Rights,
            // Papers that others file beside a master.
            _ => Kind::ReleaseApproval,
        };
        let is_part = matches!(role, Some(Role::Segment(_) | Role::Join));
        let part = self.whole.filter(|_| is_part);
        // Sidecars are beside what they are about.
        let folder = match kind {
            Kind::Metadata | Kind::Rights => self.kind.folder(),
            other => other.folder(),
        };
        let mut name = format!("data/{folder}/");
        if let Some(part) = part {
            name = format!("{}/", part.whole);
        } else if item.kind == "folder" {
            name.push_str(&item.name);
            name.push('/');
            if !file.dir.is_empty() {
                name.push_str(&file.dir);
                name.push('/');
            }
        }
        // The item's own name may carry a suffix, because another document has the plain one.
        if item.kind == "document" && role == Some(Role::Master) {
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
        let is_medium = !matches!(kind, Kind::Metadata | Kind::Rights | Kind::ReleaseApproval);
        Some(Payload {
            path: paths.take_for((node, Some(version)), &name, sha256),
            kind,
            size: file.size,
            sha256,
            level: level_of(&file.proof),
            mime: file.mime.clone(),
            asset: self.asset.to_owned(),
            asset_version: version_of(&item.key),
            file: source_of(file),
            node,
            version: Some(version),
            digests: digests.or_else(|| file.content.as_deref().map(Digests::of)),
            at: proved.map_or(Timestamp::UNIX_EPOCH, at_of),
            release: self.release.filter(|_| is_medium).cloned(),
            part: part.cloned(),
        })
    }
}

/// The version of the asset that an item of that key is of.
pub(super) fn version_of(key: &str) -> String {
    let version = key.split('/').nth(1).unwrap_or_default();
    version.to_owned()
}

fn digests_of(data: &Value) -> Option<Digests> {
    let hex = |name: &str| data[name].as_str();
    Some(Digests {
        xxh128: u128::from_str_radix(hex("xxh128")?, 16).ok()?,
        xxh64: u64::from_str_radix(hex("xxh64")?, 16).ok()?,
    })
}

pub(super) fn level_of(text: &str) -> ProofLevel {
    ProofLevel::from_name(text).unwrap_or(ProofLevel::None)
}

pub(super) fn at_of(line: &Line) -> Timestamp {
    Timestamp::from_millisecond(line.at).unwrap_or(Timestamp::UNIX_EPOCH)
}

pub(super) fn happened(payload: &Payload, file: &File, lines: &[Line], facts: &mut Facts) {
    let own = lines.iter().filter(|line| line.file == Some(file.id));
    facts
        .events
        .extend(own.filter_map(|line| event(payload, line)));
}

/// A line of the journal as something that happened to a file.
pub(super) fn event(payload: &Payload, line: &Line) -> Option<Happened> {
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
