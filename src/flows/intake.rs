//! From assets to ledger items: which masters, under which names and markers, in which order.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::stream::{BoxStream, StreamExt};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::drive::Scan;
use super::filter::Filter;
use super::plan::Decision;
use super::publish::Policy;
use super::write_back::ItemSource;
use super::{Enumerate, Error, Systems, Wanted};
use crate::iconik::{Asset, Master, Out, Versions, Why};
use crate::ledger::{Change, Entry, Ledger, NewFile, NewItem};
use crate::sidecar::MetadataSidecar;
use crate::telemetry::crash_point;
use crate::types::{
    AssetId, CollectionId, FailureClass, Marker, MarkerFields, Reason, Role, RunId, display_bytes,
};

/// Assets asked about at once; iconik's call limit is the brake, not this.
const AT_ONCE: usize = 4;
/// Items recorded in one transaction.
const BATCH: usize = 64;

/// First and longest wait for iconik to come back.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// The fingerprint of an asset that iconik does not have.
const MISSING: &str = "missing";

/// How masters become items.
#[derive(Clone, Debug, Default)]
pub struct Intake {
    /// Every version of an asset, or the current one alone.
    pub all_versions: bool,
    /// Whether a metadata sidecar is filed beside each master.
    pub sidecar: bool,
    /// Which assets are wanted.
    pub filter: Filter,
    /// Whether the assets were selected by their collections: a plan that is followed leaves out
    /// those that have been taken out of theirs.
    pub in_collections: bool,
    /// iconik's field for each shared one of the sidecar, where it has another name.
    pub shared: BTreeMap<String, String>,
    /// Fields that longhaul itself writes in iconik: a sidecar that said them would have to be
    /// filed again after every filing.
    pub written_back: Vec<String>,
    /// What makes records of masters; plain filing when there is nothing.
    pub publish: Option<Arc<Policy>>,
}

/// Plans every asset into the ledger. While iconik is away it waits; a listing that broke off is
/// begun anew, which is safe: an item that is known keeps its progress, and counts start again.
///
/// # Errors
///
/// The listing's and iconik's, unless they pass or concern a single missing asset; the ledger's.
pub async fn scan(
    systems: &Systems,
    ledger: &Ledger,
    run: RunId,
    intake: &Intake,
    assets: &Enumerate,
    scan: &Scan,
) -> Result<(), Error> {
    let mut wait = FIRST_WAIT;
    loop {
        let seen = scan.seen.swap(0, Ordering::Relaxed);
        scan.planned.store(0, Ordering::Relaxed);
        scan.left_out.store(0, Ordering::Relaxed);
        scan.forget_changes();
        if seen > 0 {
            // It had got somewhere.
            wait = FIRST_WAIT;
        }
        match scan_once(systems, ledger, run, intake, assets()?, scan).await {
            Err(error) if error.is_passing() => pause(&error, &mut wait).await,
            other => return other,
        }
    }
}

/// A look that waits out at most `waits` disturbances.
pub(super) async fn look_patiently(
    systems: &Systems,
    intake: &Intake,
    wanted: &Wanted,
    waits: u32,
) -> Result<Looked, Error> {
    let mut wait = FIRST_WAIT;
    for _ in 0..waits {
        match look(systems, intake, wanted).await {
            Err(error) if error.is_passing() => pause(&error, &mut wait).await,
            other => return other,
        }
    }
    look(systems, intake, wanted).await
}

/// Waits out a disturbance, each time twice as long, up to a minute.
async fn pause(error: &Error, wait: &mut Duration) {
    tracing::warn!(%error, ?wait, "the enumeration goes on when iconik is back");
    tokio::time::sleep(*wait).await;
    *wait = (*wait * 2).min(LONGEST_WAIT);
}

async fn scan_once(
    systems: &Systems,
    ledger: &Ledger,
    run: RunId,
    intake: &Intake,
    assets: BoxStream<'static, Result<Wanted, Error>>,
    scan: &Scan,
) -> Result<(), Error> {
    ledger.begin_scan(run).await?;
    let mut planned = assets
        .map(|asset| async move {
            let asset = asset?;
            let mut wait = FIRST_WAIT;
            loop {
                match look(systems, intake, &asset).await {
                    Err(error) if error.is_passing() => pause(&error, &mut wait).await,
                    other => return other.map(|looked| (asset.asset, looked)),
                }
            }
        })
        .buffered(AT_ONCE)
        .ready_chunks(BATCH);
    while let Some(batch) = planned.next().await {
        let mut items = Vec::new();
        let (mut left_out, mut notes) = (0, 0);
        let mut change = Change::new();
        let mut failed = None;
        for planned in batch {
            match planned {
                Ok((asset, looked)) => {
                    scan.seen.fetch_add(1, Ordering::Relaxed);
                    items.extend(looked.items.into_iter().map(|(item, _)| item));
                    let mut note = |event: &str, data: serde_json::Value| {
                        notes += 1;
                        change = std::mem::take(&mut change).journal(Entry {
                            run: Some(run),
                            event: event.to_owned(),
                            data: data.to_string(),
                            ..Default::default()
                        });
                    };
                    for (what, key, detail) in looked.changes {
                        scan.changed(what);
                        note(
                            "changed-since-plan",
                            json!({"asset": asset, "title": looked.title, "key": key, "change": what, "detail": detail}),
                        );
                    }
                    if let Some((why, detail)) = looked.left_out {
                        left_out += 1;
                        note(
                            "left-out",
                            json!({"asset": asset, "title": looked.title, "why": why, "detail": detail}),
                        );
                    }
                }
                Err(error) => {
                    failed.get_or_insert(error);
                }
            }
        }
        if notes > 0 {
            ledger.apply(change).await?;
            scan.left_out.fetch_add(left_out, Ordering::Relaxed);
        }
        let count = items.len() as u64;
        ledger.add_page(run, items, None, false, left_out).await?;
        crash_point("planned");
        scan.planned.fetch_add(count, Ordering::Relaxed);
        if let Some(error) = failed {
            return Err(error);
        }
    }
    ledger.scan_progress(run, None, true, 0).await?;
    Ok(())
}

/// What a look at one asset found.
pub(super) struct Looked {
    /// Its title; the id when it cannot be read.
    pub(super) title: String,
    /// The collections it is in.
    pub(super) collections: Vec<CollectionId>,
    /// How many views its metadata is in; only counted when no sidecar is made.
    pub(super) views: u64,
    /// Its versions as items, oldest first, each with its master unless it is refused.
    pub(super) items: Vec<(NewItem, Option<Master>)>,
    /// Why it is left out: as one word, and for people.
    pub(super) left_out: Option<(&'static str, String)>,
    /// What is not as the plan that is followed says: as one word, the item's key, and for people.
    pub(super) changes: Vec<(&'static str, String, String)>,
}

/// Looks at an asset: its versions as items, or why it is left out.
pub(super) async fn look(
    systems: &Systems,
    intake: &Intake,
    wanted: &Wanted,
) -> Result<Looked, Error> {
    let id = &wanted.asset;
    let planned = wanted.planned.as_deref();
    let mut looked = Looked {
        title: id.0.clone(),
        collections: Vec::new(),
        views: 0,
        items: Vec::new(),
        left_out: None,
        changes: Vec::new(),
    };
    match examine(systems, intake, id, &mut looked).await {
        Ok(()) => {}
        Err(Error::Iconik(error)) if error.is_not_found() || error.is_forbidden() => {
            let was_there = |planned: &Decision| {
                let mut versions = planned.versions.iter().flatten();
                !versions.any(|version| version.fingerprint == MISSING)
            };
            if planned.is_some_and(was_there) {
                let change = ("gone", format!("{id}/-"), error.to_string());
                looked.changes.push(change);
            }
            looked.items = vec![(missing(systems, id, &error.to_string()), None)];
            return Ok(looked);
        }
        Err(error) => return Err(error),
    }
    if let Some(planned) = planned {
        compare(intake, planned, &mut looked);
    }
    Ok(looked)
}

async fn examine(
    systems: &Systems,
    intake: &Intake,
    id: &AssetId,
    looked: &mut Looked,
) -> Result<(), Error> {
    let asset = systems.iconik.asset(id).await?;
    looked.title.clone_from(&asset.title);
    looked.collections.clone_from(&asset.in_collections);
    if let Err(refused) = intake.filter.asset(&asset) {
        looked.left_out = Some((refused.why, refused.detail));
        return Ok(());
    }
    let mut current_metadata = None;
    if intake.filter.needs_metadata() || intake.publish.is_some() {
        let metadata = systems.iconik.metadata_of(&asset, None).await?;
        if let Err(refused) = intake.filter.metadata(&metadata) {
            looked.left_out = Some((refused.why, refused.detail));
            return Ok(());
        }
        if let Some(policy) = &intake.publish
            && let Some(detail) = policy.refusal(systems, &asset, &metadata).await?
        {
            looked.left_out = Some(("not-final", detail));
            return Ok(());
        }
        current_metadata = Some(metadata);
    }
    // All versions even when one is wanted: the others' markers tell whose document it is.
    let plan = systems.iconik.plan_of(asset, &Versions::All).await?;
    if let Some(newest) = plan.masters.last() {
        let name = match &newest.storage {
            Some(storage) if !intake.filter.storage.is_empty() => {
                systems.iconik.storage(storage).await?
            }
            _ => None,
        };
        let name = name.as_ref().map(|storage| storage.label());
        if let Err(refused) = intake.filter.master(newest, name) {
            looked.left_out = Some((refused.why, refused.detail));
            return Ok(());
        }
    }
    for out in &plan.out {
        match out.why {
            // Nothing to move, and nothing that a person must see to.
            Why::Deleted | Why::NoBytes | Why::Subclip => {
                looked.left_out = Some((out.why.as_str(), out.detail.clone()));
            }
            _ => looked
                .items
                .push((refused(systems, &plan.asset, out), None)),
        }
    }
    if !intake.sidecar {
        looked.views = systems.iconik.views_of(&plan.asset).await?;
    }
    let kin: Vec<String> = plan
        .masters
        .iter()
        .flat_map(|master| {
            [Role::Master, Role::Metadata].map(|role| marker(systems, master, &role))
        })
        .collect();
    let mut before: Option<String> = None;
    let wanted = if intake.all_versions {
        0
    } else {
        plan.masters.len().saturating_sub(1)
    };
    let newest = plan
        .asset
        .current_version()
        .map(|version| version.id.clone());
    let record_of = current_metadata.clone().zip(intake.publish.clone());
    for master in plan.masters.into_iter().skip(wanted) {
        let mut item = item(systems, &master, &kin);
        if let Some((metadata, policy)) = &record_of {
            let recorded = policy.record(&plan.asset, metadata, &item.name);
            match recorded.record {
                Some(record) => item.record = serde_json::to_string(&record).ok(),
                None => {
                    let item = incomplete(item, &recorded.missing);
                    looked.items.push((item, Some(master)));
                    continue;
                }
            }
        }
        if intake.sidecar {
            // An asset's own metadata is its newest version's.
            let read = current_metadata
                .take_if(|_| newest.as_ref() == Some(&master.version))
                .map(Ok);
            let mut metadata = match read {
                Some(read) => read,
                None => {
                    systems
                        .iconik
                        .metadata_of(&plan.asset, Some(&master.version))
                        .await
                }
            }?;
            for view in &mut metadata.views {
                view.fields
                    .retain(|field| !intake.written_back.contains(&field.name));
            }
            let content = MetadataSidecar {
                shared: intake.shared.clone(),
                ..master.describe(&systems.domain, &plan.asset, &metadata, &[])
            }
            .to_json();
            let sidecar = NewFile {
                role: Role::Metadata.name(),
                marker: marker(systems, &master, &Role::Metadata),
                name: systems
                    .destination
                    .map_name(&format!("{}.metadata.json", item.name)),
                size: content.len() as u64,
                mime: "application/json".into(),
                content: Some(content),
                ..Default::default()
            };
            item.files.push(sidecar);
        }
        item.after = before
            .replace(item.key.clone())
            .filter(|_| item.kind == "document");
        looked.items.push((item, Some(master)));
    }
    Ok(())
}

/// What has changed since the plan that is followed. A version that the plan does not know is left
/// for another run; one whose content changed is filed as it is now.
fn compare(intake: &Intake, planned: &Decision, looked: &mut Looked) {
    let key = format!("{}/-", planned.asset);
    if let Some((why, detail)) = &looked.left_out {
        let change = match *why {
            "deleted" => "gone",
            _ => "no-longer-selected",
        };
        looked.changes.push((change, key, detail.clone()));
        return;
    }
    let moved_out = intake.in_collections
        && !planned.collections.is_empty()
        && !planned
            .collections
            .iter()
            .any(|collection| looked.collections.contains(collection));
    if moved_out {
        let detail = "it is in none of the collections that it was in".to_owned();
        looked.items.clear();
        looked.left_out = Some(("no-longer-selected", detail.clone()));
        looked.changes.push(("no-longer-selected", key, detail));
        return;
    }
    // A quick count knows no versions: there is nothing to compare with.
    let Some(versions) = &planned.versions else {
        return;
    };
    let mut gone: Vec<&str> = versions
        .iter()
        .map(|version| version.key.as_str())
        .collect();
    let changes = &mut looked.changes;
    looked.items.retain(|(item, _)| {
        gone.retain(|key| *key != item.key);
        let bytes: u64 = master_bytes(item);
        match versions.iter().find(|version| version.key == item.key) {
            None => {
                let detail = format!(
                    "a version of {} that the plan does not know; another run files it",
                    display_bytes(bytes)
                );
                changes.push(("new-version", item.key.clone(), detail));
                false
            }
            Some(then) if then.fingerprint != item.fingerprint => {
                let detail = if item.refused.is_some() {
                    "it can no longer be filed".to_owned()
                } else if then.bytes == bytes {
                    format!("{}, with another checksum or date", display_bytes(bytes))
                } else {
                    format!(
                        "{} when it was planned, now {}",
                        display_bytes(then.bytes),
                        display_bytes(bytes)
                    )
                };
                changes.push(("content-changed", item.key.clone(), detail));
                true
            }
            Some(_) => true,
        }
    });
    for key in gone {
        let detail = "a version that the asset no longer has".to_owned();
        changes.push(("version-gone", key.to_owned(), detail));
    }
    // What came before a version that is left for later is not waited for.
    let kept: Vec<String> = looked
        .items
        .iter()
        .map(|(item, _)| item.key.clone())
        .collect();
    let mut before: Option<String> = None;
    for (item, _) in &mut looked.items {
        if item
            .after
            .as_ref()
            .is_some_and(|after| !kept.contains(after))
        {
            item.after.clone_from(&before);
        }
        before = Some(item.key.clone());
    }
}

/// Bytes of an item without its sidecars.
pub(super) fn master_bytes(item: &NewItem) -> u64 {
    let masters = item.files.iter().filter(|file| file.content.is_none());
    masters.map(|file| file.size).sum()
}

fn marker(systems: &Systems, master: &Master, role: &Role) -> String {
    let file = match role {
        Role::Folder => master.file_set.as_str(),
        _ => master.files.first().map_or("", |file| file.id.as_str()),
    };
    file_marker(systems, master, file, role)
}

fn file_marker(systems: &Systems, master: &Master, file: &str, role: &Role) -> String {
    Marker::derive(&MarkerFields {
        instance: &systems.instance,
        domain: &systems.domain,
        asset: master.asset.as_str(),
        version: master.version.as_str(),
        format: master.format.as_str(),
        file,
        role,
    })
    .to_string()
}

fn item(systems: &Systems, master: &Master, kin: &[String]) -> NewItem {
    let map = |name: &str| systems.destination.map_name(name);
    let mut fingerprint = Sha256::new();
    let mut files = Vec::with_capacity(master.files.len());
    let mut names = std::collections::HashSet::new();
    for file in &master.files {
        let md5 = file.md5.map(|md5| md5.to_string());
        fingerprint.update(format!(
            "{}\0{}\0{md5:?}\0{:?}\0",
            file.id, file.size, file.date_modified
        ));
        // Two names that differ only in case or Unicode form would collide in one folder.
        let mut name = map(&file.name);
        let folded = |name: &str| format!("{}/{}", file.dir, crate::content_server::fold(name));
        if !names.insert(folded(&name)) {
            let own = file_marker(systems, master, file.id.as_str(), &Role::Master);
            name = crate::transfer::suffixed(&name, &own, map);
            names.insert(folded(&name));
        }
        files.push(NewFile {
            role: Role::Master.name(),
            marker: file_marker(systems, master, file.id.as_str(), &Role::Master),
            mime: mime_guess::from_path(&file.name)
                .first_or_octet_stream()
                .to_string(),
            name,
            dir: file.dir.clone(),
            size: file.size,
            offset: 0,
            locator: master.locator(file).to_text(),
            md5,
            validator: None,
            content: None,
        });
    }
    let source = ItemSource {
        asset: master.asset.clone(),
        version_number: master.version_number,
        storage: master.storage.clone(),
    };
    let (kind, own, name) = if master.many {
        // A later version of a sequence is a folder of its own beside the earlier one.
        let name = match master.version_number {
            ..=1 => master.name.clone(),
            number => format!("{} v{number}", master.name),
        };
        ("folder", marker(systems, master, &Role::Folder), map(&name))
    } else {
        let name = files
            .first()
            .map(|file| file.name.clone())
            .unwrap_or_default();
        ("document", marker(systems, master, &Role::Master), name)
    };
    NewItem {
        key: format!("{}/{}", master.asset, master.version),
        kind: kind.into(),
        title: if master.version_number > 1 {
            format!("{} (v{})", master.title, master.version_number)
        } else {
            master.title.clone()
        },
        parent: systems.target.0,
        name,
        marker: own,
        kin: kin.to_vec(),
        fingerprint: hex::encode(&fingerprint.finalize()[..16]),
        source: serde_json::to_string(&source).unwrap_or_default(),
        files,
        ..Default::default()
    }
}

/// An asset version that a person must look at, as an item that says why.
fn refused(systems: &Systems, asset: &Asset, out: &Out) -> NewItem {
    let class = if out.why.passes() {
        FailureClass::RetryLater
    } else {
        FailureClass::ItemIsWrong
    };
    let version = out
        .version
        .clone()
        .or_else(|| asset.current_version().map(|version| version.id.clone()));
    NewItem {
        key: format!(
            "{}/{}",
            asset.id,
            version.map_or("-".to_owned(), |version| version.0)
        ),
        kind: "document".into(),
        title: asset.title.clone(),
        parent: systems.target.0,
        name: asset.title.clone(),
        fingerprint: format!("refused {}", out.why.as_str()),
        source: "{}".into(),
        refused: Some((
            class.as_str().into(),
            reason_name(Reason::Other),
            format!("{} ({})", out.detail, out.why.as_str()),
        )),
        ..Default::default()
    }
}

/// A master whose record lacks something: held without its files, until a later run finds it
/// complete.
fn incomplete(item: NewItem, missing: &[String]) -> NewItem {
    let why = missing.join("; ");
    NewItem {
        fingerprint: format!("refused {}", reason_name(Reason::Incomplete)),
        refused: Some((
            FailureClass::ItemIsWrong.as_str().into(),
            reason_name(Reason::Incomplete),
            format!(
                "its record lacks something: {why}; mend it in iconik and run `longhaul publish` again"
            ),
        )),
        files: Vec::new(),
        ..item
    }
}

fn missing(systems: &Systems, id: &AssetId, message: &str) -> NewItem {
    NewItem {
        key: format!("{id}/-"),
        kind: "document".into(),
        title: id.0.clone(),
        parent: systems.target.0,
        name: id.0.clone(),
        fingerprint: MISSING.into(),
        source: "{}".into(),
        refused: Some((
            FailureClass::ItemIsWrong.as_str().into(),
            reason_name(Reason::Inaccessible),
            message.into(),
        )),
        ..Default::default()
    }
}

fn reason_name(reason: Reason) -> String {
    serde_json::to_value(reason)
        .ok()
        .and_then(|value| value.as_str().map(str::to_owned))
        .unwrap_or_default()
}
