//! From assets to ledger items: which masters, under which names and markers, in which order.
//!
//! | File | Holds |
//! |---|---|
//! | `mod.rs` | the enumeration, recorded page by page |
//! | `look.rs` | one asset: its versions as items, or why it is left out |
//! | `item.rs` | a master as an item |
//! | `papers.rs` | papers that prove rights, as items that come before their masters |
//! | `twins.rs` | masters whose content another asset has too |

mod item;
mod look;
mod papers;
mod remembered;
mod twins;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::stream::{BoxStream, StreamExt};
use serde_json::json;

pub(super) use item::{is_missing, master_bytes, reason_name};
pub(super) use look::Looked;
use look::look;
pub(super) use papers::{asset_of, comes_after_papers, is_paper};
pub use remembered::Remembered;
pub(super) use twins::{is_settled, quoted, uncompared};

use super::drive::Scan;
use super::filter::Filter;
use super::publish::Policy;
use super::rights::Licensing;
use super::rights::ending;
use super::{Enumerate, Error, Systems, Wanted};
use crate::ledger::{Change, Entry, Ledger};
use crate::telemetry::crash_point;
use crate::types::{AssetId, ItemId, RunId};

/// Assets asked about at once; iconik's call limit is the brake, not this.
const AT_ONCE: usize = 4;
/// Items recorded in one transaction.
const BATCH: usize = 64;

/// First and longest wait for iconik to come back.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// The fingerprint of an asset that iconik does not have.
const MISSING: &str = "missing";

/// What becomes of a master whose content another asset has too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Duplicates {
    /// It is filed as well.
    #[default]
    File,
    /// It is held until a person says whether it is, where iconik's checksum shows it before.
    Hold,
}

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
    /// What earlier filings left to say in the sidecar.
    pub remembered: Option<Arc<Remembered>>,
    /// Fields that longhaul itself writes in iconik: a sidecar that said them would have to be
    /// filed again after every filing.
    pub written_back: Vec<String>,
    /// What makes records of masters; plain filing when there is nothing.
    pub publish: Option<Arc<Policy>>,
    /// What becomes of masters whose content another asset has too.
    pub duplicates: Duplicates,
    /// What is known of licences and their papers, when they travel with the masters.
    pub rights: Option<Arc<Licensing>>,
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
    record(systems, ledger, run, intake, assets, scan).await?;
    ledger.scan_progress(run, None, true, 0).await?;
    Ok(())
}

/// Looks once more at the masters of a run that were held until their papers are filed; how many
/// there were.
///
/// # Errors
///
/// As [`scan`], without waiting for an iconik that is away longer than one call waits.
pub async fn scan_waiting(
    systems: &Systems,
    ledger: &Ledger,
    run: RunId,
    intake: &Intake,
    scan: &Scan,
) -> Result<u64, Error> {
    const PAGE: usize = 200;
    let (mut after, mut found) = (ItemId(0), 0);
    loop {
        let items = ledger.items(run, Some("held"), after, PAGE).await?;
        let Some(last) = items.last() else {
            return Ok(found);
        };
        after = last.id;
        let mut waiting: Vec<AssetId> = items
            .iter()
            .filter(|item| papers::waits(&item.fingerprint))
            .map(|item| AssetId(asset_of(&item.key).to_owned()))
            .collect();
        waiting.dedup();
        found += waiting.len() as u64;
        scan_more(systems, ledger, run, intake, waiting, scan).await?;
    }
}

/// Looks at assets beside the enumeration.
///
/// # Errors
///
/// As [`scan_waiting`].
pub async fn scan_more(
    systems: &Systems,
    ledger: &Ledger,
    run: RunId,
    intake: &Intake,
    assets: Vec<AssetId>,
    scan: &Scan,
) -> Result<(), Error> {
    let assets = assets.into_iter().map(|asset| Ok(Wanted::from(asset)));
    let assets = futures::stream::iter(assets).boxed();
    record(systems, ledger, run, intake, assets, scan).await
}

/// Records what a look at each asset finds, a page at a time.
async fn record(
    systems: &Systems,
    ledger: &Ledger,
    run: RunId,
    intake: &Intake,
    assets: BoxStream<'static, Result<Wanted, Error>>,
    scan: &Scan,
) -> Result<(), Error> {
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
        let (mut left_out, mut notes) = (0, 0u64);
        let mut change = Change::new();
        let mut failed = None;
        let mut last_days = Vec::new();
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
                    if let Some(ends) = looked.ends {
                        last_days.push((asset.clone(), looked.title.clone(), ends));
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
        for (asset, title, ends) in last_days {
            let (with, new) = ending::remember(ledger, change, &asset, &title, &ends).await?;
            change = with;
            notes += u64::from(new);
        }
        if notes > 0 {
            ledger.apply(change).await?;
            scan.left_out.fetch_add(left_out, Ordering::Relaxed);
        }
        twins::hold(ledger, intake.duplicates, &mut items).await?;
        let count = items.len() as u64;
        ledger.add_page(run, items, None, false, left_out).await?;
        crash_point("planned");
        scan.planned.fetch_add(count, Ordering::Relaxed);
        if let Some(error) = failed {
            return Err(error);
        }
    }
    Ok(())
}
