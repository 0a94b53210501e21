//! What both systems say of an asset now.
//!
//! iconik lists the remarks of a version; some accounts list those of the newest one only when
//! none is named, so every version is asked for, and what is about a version that was not listed
//! never counts as taken back. Content Server has no comments on a document in its documented
//! interface: they come from an attribute that people write them in, and from the processes that
//! the approval flow remembers.

use std::collections::{BTreeMap, BTreeSet};

use futures::TryStreamExt as _;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::line::{Content, Heard, Kind, Line, Origin, Said};
use super::{Choice, OURS};
use crate::content_server::{Client as Server, ProcessActivity, ProcessComment, ProcessEvent};
use crate::flows::{Error, Systems, approval};
use crate::iconik::{Asset, Segment, SegmentKind};
use crate::ledger::Ledger;
use crate::sidecar::mapping::BoundField;
use crate::types::{AssetId, NodeId, VersionId};

/// Actions that decide nothing.
const PLAIN: [&str; 4] = ["initiate", "start", "sendon", "send on"];

/// What is there, and how much of what could be there was looked at.
#[derive(Default)]
pub(super) struct Gathered {
    pub(super) heard: BTreeMap<String, Heard>,
    kinds: BTreeSet<Kind>,
    versions: BTreeSet<String>,
    current: Option<String>,
    attribute: bool,
}

impl Gathered {
    /// Whether the absence of a line's object means that it is gone.
    pub(super) fn is_complete(&self, line: &Line) -> bool {
        let version = line.said.asset_version.as_ref();
        match (line.origin, line.kind) {
            (Origin::ContentServer, Kind::Comment) => {
                self.attribute && line.object.starts_with("content-server:attribute:")
            }
            (Origin::ContentServer, _) | (_, Kind::Signature) => false,
            (Origin::Iconik, kind @ (Kind::Comment | Kind::Marker)) => {
                self.kinds.contains(&kind)
                    && version.is_none_or(|version| self.versions.contains(version))
            }
            (Origin::Iconik, kind @ (Kind::Status | Kind::Approval)) => {
                self.kinds.contains(&kind) && version == self.current.as_ref()
            }
        }
    }

    fn put(&mut self, object: String, origin: Origin, kind: Kind, said: Said) {
        let heard = Heard {
            origin,
            kind,
            said,
            known: false,
        };
        self.heard.insert(object, heard);
    }
}

/// Reads both systems. `ours` are the texts that longhaul itself put into iconik, by external id.
pub(super) async fn gather(
    systems: &Systems,
    ledger: &Ledger,
    choice: &Choice,
    (asset, node): (&Asset, NodeId),
    ours: &BTreeMap<String, String>,
    contents: &BTreeMap<i64, Content>,
) -> Result<Gathered, Error> {
    let mut gathered = Gathered {
        kinds: choice.record.iter().copied().collect(),
        current: asset
            .current_version()
            .map(|version| version.id.to_string()),
        ..Gathered::default()
    };
    let content = |version: Option<&str>| content_of(asset, version, contents);
    remarks(systems, asset, ours, &content, &mut gathered).await?;
    decisions(systems, asset, &content, &mut gathered).await?;
    if let Some(field) = &choice.comments {
        attribute(&systems.content_server, field, node, &mut gathered).await?;
    }
    if choice.workflow {
        let about = Said {
            asset_version: gathered.current.clone(),
            content: content(gathered.current.as_deref()),
            ..Said::default()
        };
        let known = approvals(ledger, &asset.id).await?;
        for process in known.processes {
            let of = (process, &asset.id);
            process_of(&systems.content_server, of, &about, &mut gathered).await?;
        }
        if known
            .voted
            .contains(about.asset_version.as_deref().unwrap_or_default())
        {
            forget_own_vote(systems, &mut gathered).await?;
        }
    }
    Ok(gathered)
}

/// The content that was filed of a version of the asset; of the current one without a version.
fn content_of(
    asset: &Asset,
    version: Option<&str>,
    contents: &BTreeMap<i64, Content>,
) -> Option<Content> {
    let versions = asset.versions_in_order();
    let at = match version {
        Some(id) => versions.iter().position(|own| own.id.as_str() == id)?,
        None => versions.len().checked_sub(1)?,
    };
    let place = i64::try_from(at + 1).unwrap_or(i64::MAX);
    let number = versions.get(at)?.version_number.unwrap_or(place);
    contents.get(&number).cloned()
}

async fn remarks(
    systems: &Systems,
    asset: &Asset,
    ours: &BTreeMap<String, String>,
    content: &impl Fn(Option<&str>) -> Option<Content>,
    gathered: &mut Gathered,
) -> Result<(), Error> {
    if !gathered.kinds.contains(&Kind::Comment) && !gathered.kinds.contains(&Kind::Marker) {
        return Ok(());
    }
    let versions = asset.versions_in_order();
    let listings: Vec<Option<&VersionId>> = std::iter::once(None)
        .chain(versions.iter().map(|version| Some(&version.id)))
        .collect();
    for version in listings {
        let mut rows = systems.iconik.segments(&asset.id, None, version);
        while let Some(segment) = rows.try_next().await? {
            let kind = match segment.kind {
                SegmentKind::Comment => Kind::Comment,
                SegmentKind::Marker => Kind::Marker,
                _ => continue,
            };
            if !gathered.kinds.contains(&kind) {
                continue;
            }
            let mut known = false;
            if let Some(external) = segment.external_id.as_deref()
                && external.starts_with(OURS)
            {
                match ours.get(external) {
                    Some(text) if segment.text.as_ref() != Some(text) => known = true,
                    _ => continue,
                }
            }
            let object = format!("iconik:segment:{}", segment.id);
            gathered.put(object.clone(), Origin::Iconik, kind, said(segment, content));
            if let Some(heard) = gathered.heard.get_mut(&object) {
                heard.known = known;
            }
        }
        gathered.versions.extend(version.map(ToString::to_string));
    }
    Ok(())
}

fn said(segment: Segment, content: &impl Fn(Option<&str>) -> Option<Content>) -> Said {
    let author = segment.author();
    let version = segment.version_id.as_ref().map(ToString::to_string);
    Said {
        text: segment.text.unwrap_or_default(),
        author: Some(author.to_string()),
        author_id: author.id.or(author.email),
        at: segment.date_created.map(|at| at.to_string()),
        start_ms: segment.start_ms,
        end_ms: segment.end_ms,
        answers: segment.parent_id.map(|id| format!("iconik:segment:{id}")),
        resolved: segment.checked,
        content: content(version.as_deref()),
        asset_version: version,
    }
}

/// The review of the current version, and what each person decided.
async fn decisions(
    systems: &Systems,
    asset: &Asset,
    content: &impl Fn(Option<&str>) -> Option<Content>,
    gathered: &mut Gathered,
) -> Result<(), Error> {
    let version = gathered.current.clone();
    let about = Said {
        asset_version: version.clone(),
        content: content(version.as_deref()),
        ..Said::default()
    };
    let place = version.as_deref().unwrap_or("asset");
    if gathered.kinds.contains(&Kind::Status) {
        let review = systems.iconik.review_of(asset).await?;
        let status = review
            .status
            .filter(|status| !status.is_empty() && status != "N/A");
        if let Some(status) = status {
            let said = Said {
                text: status,
                author: match &review.requested_by {
                    Some(user) => systems.iconik.user_name(user).await?,
                    None => None,
                },
                author_id: review.requested_by,
                at: review.change_date.map(|at| at.to_string()),
                ..about.clone()
            };
            let object = format!("iconik:review:{place}");
            gathered.put(object, Origin::Iconik, Kind::Status, said);
        }
    }
    if gathered.kinds.contains(&Kind::Approval) {
        let own = asset.current_version().map(|version| &version.id);
        let mut votes = systems.iconik.votes(&asset.id, own);
        while let Some(vote) = votes.try_next().await? {
            let is_user = vote.user.is_some();
            let (Some(status), Some(who)) = (vote.status, vote.user.or(vote.email)) else {
                continue;
            };
            let name = match is_user {
                true => systems.iconik.user_name(&who).await?,
                false => None,
            };
            let said = Said {
                text: status,
                author: Some(name.unwrap_or_else(|| who.clone())),
                author_id: Some(who.clone()),
                at: vote.change_date.map(|at| at.to_string()),
                ..about.clone()
            };
            let object = format!("iconik:vote:{place}:{who}");
            gathered.put(object, Origin::Iconik, Kind::Approval, said);
        }
    }
    Ok(())
}

/// Comments that people write in an attribute, a value each. It says neither who nor when; what
/// the node says of its last change is about the node.
async fn attribute(
    server: &Server,
    field: &BoundField,
    node: NodeId,
    gathered: &mut Gathered,
) -> Result<(), Error> {
    gathered.attribute = true;
    let categories = server.categories(node).await?;
    let own = categories
        .iter()
        .find(|category| category.id.0 == field.category);
    let texts = own.map_or_else(Vec::new, |category| field.read(&category.values.0));
    for text in texts {
        let object = format!("content-server:attribute:{}", short(&[&text]));
        let said = Said {
            text,
            ..Said::default()
        };
        gathered.put(object, Origin::ContentServer, Kind::Comment, said);
    }
    Ok(())
}

/// What the approval flow remembers of an asset.
#[derive(Default)]
struct Approvals {
    /// Its processes.
    processes: BTreeSet<i64>,
    /// Its versions that longhaul's user voted on in iconik, as a process had ended.
    voted: BTreeSet<String>,
}

async fn approvals(ledger: &Ledger, asset: &AssetId) -> Result<Approvals, Error> {
    fn find(value: &Value, into: &mut BTreeSet<i64>) {
        match value {
            Value::Object(entries) => {
                let process = entries.get("process").and_then(Value::as_i64);
                into.extend(process.filter(|id| *id > 0));
                entries.values().for_each(|value| find(value, into));
            }
            Value::Array(values) => values.iter().for_each(|value| find(value, into)),
            _ => {}
        }
    }
    let mut found = Approvals::default();
    for fact in ledger.remembered(approval::FLOW, asset.as_str()).await? {
        if let Ok(value) = serde_json::from_str::<Value>(&fact.data) {
            find(&value, &mut found.processes);
            if value.pointer("/done/voted").is_some_and(Value::is_string) {
                found.voted.insert(fact.field);
            }
        }
    }
    Ok(found)
}

/// The vote that longhaul gave says what a process decided, which is heard where it was decided.
async fn forget_own_vote(systems: &Systems, gathered: &mut Gathered) -> Result<(), Error> {
    let user = systems.iconik.validate().await?.user.as_ref();
    let Some(user) = user.and_then(|user| user.id.clone().or_else(|| user.email.clone())) else {
        return Ok(());
    };
    let own = |heard: &Heard| {
        heard.origin == Origin::Iconik
            && heard.kind == Kind::Approval
            && heard.said.author_id.as_deref() == Some(user.as_str())
    };
    gathered.heard.retain(|_, heard| !own(heard));
    Ok(())
}

/// What was said, decided and signed in a process. One that was archived or deleted says no more.
async fn process_of(
    server: &Server,
    (process, asset): (i64, &AssetId),
    about: &Said,
    gathered: &mut Gathered,
) -> Result<(), Error> {
    let Some(state) = server.process(process).await? else {
        return Ok(());
    };
    let info = server.process_info(process).await?;
    let said = info.comments.into_iter();
    // Words of longhaul's own are no news for anybody.
    let said = said.filter(|said| !approval::is_own_comment(&said.text, asset));
    let mut found: Vec<Told> = said.filter_map(comment).collect();
    found.extend(info.audit.into_iter().filter_map(signature));
    let parts: BTreeSet<i64> = state
        .completed
        .iter()
        .chain(&state.current)
        .filter_map(|step| step.subprocess_id)
        .collect();
    for part in parts {
        for activity in server.process_activities(process, part).await? {
            let user = activity.user_id;
            let Some(mut told) = decision(activity) else {
                continue;
            };
            if let Some(user) = user {
                told.1.author = server.member_name(user).await?.or(told.1.author);
            }
            found.push(told);
        }
    }
    let decided: Vec<Said> = found
        .iter()
        .filter(|(kind, ..)| *kind == Kind::Approval)
        .map(|(_, said, _)| said.clone())
        .collect();
    // What somebody said with a decision is part of it.
    let with_it = |said: &Said| {
        let end = format!(": {}", said.text.trim());
        let mut own = decided.iter().filter(|own| own.at == said.at);
        own.any(|own| own.text.ends_with(&end))
    };
    found.retain(|(kind, said, _)| *kind != Kind::Comment || !with_it(said));
    for (kind, said, step) in found {
        let key = short(&[
            &said.text,
            &step,
            said.author_id.as_deref().unwrap_or_default(),
            said.at.as_deref().unwrap_or_default(),
        ]);
        let word = kind.as_str();
        let object = format!("content-server:process:{process}:{word}:{key}");
        let said = Said {
            asset_version: about.asset_version.clone(),
            content: about.content.clone(),
            ..said
        };
        gathered.put(object, Origin::ContentServer, kind, said);
    }
    Ok(())
}

/// Something told in a process, with the step it was told at.
type Told = (Kind, Said, String);

fn comment(comment: ProcessComment) -> Option<Told> {
    if comment.text.trim().is_empty() {
        return None;
    }
    let said = Said {
        author: comment.by(),
        text: comment.text,
        author_id: comment.user,
        at: comment.date,
        ..Said::default()
    };
    Some((Kind::Comment, said, comment.step.unwrap_or_default()))
}

fn signature(event: ProcessEvent) -> Option<Told> {
    if !is_signature(&event.what) {
        return None;
    }
    let said = Said {
        author: event.by(),
        text: event.what,
        author_id: event.user,
        at: event.date,
        ..Said::default()
    };
    Some((Kind::Signature, said, String::new()))
}

/// What somebody decided. Starting a process and sending it on decide nothing.
fn decision(activity: ProcessActivity) -> Option<Told> {
    let action = activity.action?.trim().to_owned();
    if action.is_empty() || PLAIN.contains(&action.to_lowercase().as_str()) {
        return None;
    }
    let text = match activity.comment.as_deref().map(str::trim) {
        None | Some("") => action,
        Some(comment) => format!("{action}: {comment}"),
    };
    let user = activity.user_id.map(|id| id.to_string());
    let said = Said {
        text,
        author: user.as_ref().map(|id| format!("user {id}")),
        author_id: user,
        at: activity.date,
        ..Said::default()
    };
    Some((Kind::Approval, said, String::new()))
}

/// Whether a process's event tells of a signature. The words are the server's own and documented
/// nowhere; these are those of its signing steps.
fn is_signature(what: &str) -> bool {
    let words = ["signed", "signature", "signing", "authenticated"];
    let what = what.to_lowercase();
    words.iter().any(|word| what.contains(word))
}

/// A short digest of parts that are kept apart.
pub(super) fn short(parts: &[&str]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    hex::encode(&hasher.finalize()[..16])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_told_from_other_events() {
        assert!(is_signature("Step electronically Signed by anna"));
        assert!(is_signature("Signature confirmed"));
        assert!(!is_signature("Workflow initiated"));
    }

    #[test]
    fn decisions_and_signatures_keep_who_and_when() {
        let activity = |action: &str, comment: &str| ProcessActivity {
            action: Some(action.to_owned()),
            comment: Some(comment.to_owned()),
            date: Some("2026-10-03T15:21:23".to_owned()),
            user_id: Some(1000),
        };
        let (kind, said, _) = decision(activity("Approve", " with pleasure ")).unwrap();
        assert_eq!(
            (kind, said.text.as_str()),
            (Kind::Approval, "Approve: with pleasure")
        );
        assert_eq!(said.author_id.as_deref(), Some("1000"));
        assert_eq!(said.at.as_deref(), Some("2026-10-03T15:21:23"));
        assert_eq!(decision(activity("Initiate", "please")), None);
        assert_eq!(decision(activity(" ", "please")), None);
        let event = |what: &str| ProcessEvent {
            user_id: None,
            name: None,
            user: Some("anna".to_owned()),
            date: Some("2026-10-03T15:21:23".to_owned()),
            what: what.to_owned(),
        };
        let (kind, said, _) = signature(event("Step signed")).unwrap();
        assert_eq!(
            (kind, said.author.as_deref()),
            (Kind::Signature, Some("anna"))
        );
        assert_eq!(signature(event("Step done")), None);
    }

    #[test]
    fn parts_are_kept_apart() {
        assert_ne!(short(&["ab", "c"]), short(&["a", "bc"]));
    }
}
