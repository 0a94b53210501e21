//! From assets to ledger items: which masters, under which names and markers, in which order.

use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::stream::{BoxStream, StreamExt};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::drive::Scan;
use super::write_back::ItemSource;
use super::{Enumerate, Error, Systems};
use crate::iconik::{Asset, Master, Out, Versions, Why};
use crate::ledger::{Change, Entry, Ledger, NewFile, NewItem};
use crate::telemetry::crash_point;
use crate::types::{AssetId, FailureClass, Marker, MarkerFields, Reason, Role, RunId};

/// Assets asked about at once; iconik's call limit is the brake, not this.
const AT_ONCE: usize = 4;
/// Items recorded in one transaction.
const BATCH: usize = 64;

/// First and longest wait for iconik to come back.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// How masters become items.
#[derive(Clone, Debug)]
pub struct Intake {
    /// Every version of an asset, or the current one alone.
    pub all_versions: bool,
    /// Whether a metadata sidecar is filed beside each master.
    pub sidecar: bool,
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
    assets: BoxStream<'static, Result<AssetId, Error>>,
    scan: &Scan,
) -> Result<(), Error> {
    ledger.begin_scan(run).await?;
    let mut planned = assets
        .map(|asset| async move {
            let asset = asset?;
            let mut wait = FIRST_WAIT;
            loop {
                match plan(systems, intake, &asset).await {
                    Err(error) if error.is_passing() => pause(&error, &mut wait).await,
                    other => return other,
                }
            }
        })
        .buffered(AT_ONCE)
        .ready_chunks(BATCH);
    while let Some(batch) = planned.next().await {
        let mut items = Vec::new();
        let mut left_out = 0;
        let mut change = Change::new();
        let mut failed = None;
        for planned in batch {
            match planned {
                Ok(planned) => {
                    scan.seen.fetch_add(1, Ordering::Relaxed);
                    items.extend(planned.items);
                    for data in planned.left_out {
                        left_out += 1;
                        let event = "left-out".to_owned();
                        change = change.journal(Entry {
                            run: Some(run),
                            event,
                            data: data.to_string(),
                            ..Default::default()
                        });
                    }
                }
                Err(error) => {
                    failed.get_or_insert(error);
                }
            }
        }
        if left_out > 0 {
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

struct Planned {
    items: Vec<NewItem>,
    left_out: Vec<serde_json::Value>,
}

async fn plan(systems: &Systems, intake: &Intake, id: &AssetId) -> Result<Planned, Error> {
    // All versions even when one is wanted: the others' markers tell whose document it is.
    let plan = match systems.iconik.plan_asset(id, &Versions::All).await {
        Ok(plan) => plan,
        Err(error) if error.is_not_found() || error.is_forbidden() => {
            return Ok(Planned {
                items: vec![missing(systems, id, &error.to_string())],
                left_out: Vec::new(),
            });
        }
        Err(error) => return Err(error.into()),
    };
    let mut planned = Planned {
        items: Vec::new(),
        left_out: Vec::new(),
    };
    for out in &plan.out {
        match out.why {
            // Nothing to move, and nothing that a person must see to.
            Why::Deleted | Why::NoBytes | Why::Subclip => planned.left_out.push(json!({
                "asset": id, "title": plan.asset.title, "why": out.why.as_str(), "detail": out.detail,
            })),
            _ => planned.items.push(refused(systems, &plan.asset, out)),
        }
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
    for master in plan.masters.iter().skip(wanted) {
        let mut item = item(systems, master, &kin);
        if intake.sidecar {
            let metadata = systems
                .iconik
                .metadata_of(&plan.asset, Some(&master.version))
                .await?;
            let content = master
                .describe(&systems.domain, &plan.asset, &metadata, &[])
                .to_json();
            let sidecar = NewFile {
                role: Role::Metadata.name(),
                marker: marker(systems, master, &Role::Metadata),
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
        planned.items.push(item);
    }
    Ok(planned)
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

fn missing(systems: &Systems, id: &AssetId, message: &str) -> NewItem {
    NewItem {
        key: format!("{id}/-"),
        kind: "document".into(),
        title: id.0.clone(),
        parent: systems.target.0,
        name: id.0.clone(),
        fingerprint: "missing".into(),
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
