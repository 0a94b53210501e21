//! What the source has by now that was not moved: new, changed and gone assets of a selection.
//!
//! Every asset is looked at as a run's own intake would, sidecars included, and compared with what
//! the ledger says was filed: ids, sizes, checksums and dates of its files, and the content of its
//! sidecar. Then what was filed and is not in the selection any more is asked for one by one.
//! Nothing is written. Memory holds 16 bytes of each asset of the selection.

use std::collections::{HashMap, HashSet};

use futures::TryStreamExt as _;
use futures::stream::{BoxStream, StreamExt as _};
use xxhash_rust::xxh3::xxh3_128;

use crate::flows::intake::{self, Intake, Looked};
use crate::flows::{Error, Systems, Wanted};
use crate::iconik::AssetStatus;
use crate::ledger::{Item, NewItem, Reader};
use crate::types::{AssetId, RunId, display_bytes};

/// Assets looked at at once; iconik's call limit is the brake, not this.
const AT_ONCE: usize = 8;
/// Disturbances of iconik that one asset waits out, a minute in all.
const WAITS: u32 = 6;
/// Rows of the ledger that are read at once.
const PAGE: usize = 500;

/// Something that is not as it was moved.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Drift {
    /// The asset.
    pub asset: AssetId,
    /// Its title; the id when it cannot be read any more.
    pub title: String,
    /// The key of the version it is about.
    pub key: String,
    /// As one word: `new`, `new-version`, `changed`, `metadata-changed`, `gone`, `version-gone`,
    /// `no-longer-selected`, or `not-moved` for what was known and never arrived.
    pub change: &'static str,
    /// For people.
    pub detail: String,
}

/// Hands everything that is not as it was moved to `each`; how many assets were looked at. `runs`
/// are those that moved this selection: only what they filed can have left it.
///
/// # Errors
///
/// iconik's, when it stays away, and the ledger's.
pub async fn drift(
    systems: &Systems,
    reader: &Reader,
    intake: &Intake,
    assets: BoxStream<'static, Result<Wanted, Error>>,
    runs: &HashSet<RunId>,
    mut each: impl FnMut(Drift),
) -> Result<u64, Error> {
    let mut seen: HashSet<u128> = HashSet::new();
    let mut looks = assets
        .map(|wanted| async move {
            // A plan that is followed says what it knew; here the ledger does.
            let wanted = Wanted::from(wanted?.asset);
            let looked = intake::look_patiently(systems, intake, &wanted, WAITS).await?;
            Ok::<_, Error>((wanted.asset, looked))
        })
        .buffered(AT_ONCE);
    while let Some((asset, looked)) = looks.try_next().await? {
        if seen.insert(identity(&asset)) {
            compare(reader, intake, &asset, looked, &mut each)?;
        }
    }
    drop(looks);
    let mut after = String::new();
    loop {
        let items = reader.filed(&after, PAGE)?;
        let Some(last) = items.last() else { break };
        after.clone_from(&last.key);
        for item in items {
            let asset = AssetId(intake::asset_of(&item.key).to_owned());
            if intake::is_paper(&item.key)
                || !runs.contains(&item.run)
                || !seen.insert(identity(&asset))
            {
                continue;
            }
            let (change, detail) = left(systems, &asset).await?;
            each(Drift {
                asset,
                title: item.title,
                key: item.key,
                change,
                detail,
            });
        }
    }
    Ok(seen.len() as u64)
}

fn identity(asset: &AssetId) -> u128 {
    xxh3_128(asset.0.as_bytes())
}

/// Why a filed asset is not in the selection any more.
async fn left(systems: &Systems, asset: &AssetId) -> Result<(&'static str, String), Error> {
    match systems.iconik.asset(asset).await {
        Ok(found) if found.status == AssetStatus::Deleted => {
            Ok(("gone", "it is in iconik's recycle bin".to_owned()))
        }
        Ok(_) => Ok((
            "no-longer-selected",
            "it is in iconik, and the selection does not name it any more".to_owned(),
        )),
        Err(error) if error.is_not_found() || error.is_forbidden() => {
            Ok(("gone", error.to_string()))
        }
        Err(error) => Err(error.into()),
    }
}

fn compare(
    reader: &Reader,
    intake: &Intake,
    asset: &AssetId,
    looked: Looked,
    each: &mut impl FnMut(Drift),
) -> Result<(), Error> {
    let mut known: HashMap<String, Item> = HashMap::new();
    reader.each_item_below(&format!("{asset}/"), |item| {
        if item.state != "declined" {
            known.insert(item.key.clone(), item);
        }
    })?;
    let was_moved = known.values().any(|item| item.node.is_some());
    let title = looked.title;
    let mut say = |key: &str, change: &'static str, detail: String| {
        each(Drift {
            asset: asset.clone(),
            title: title.clone(),
            key: key.to_owned(),
            change,
            detail,
        });
    };
    if let Some((why, detail)) = looked.left_out {
        if was_moved {
            let change = match why {
                "deleted" => "gone",
                _ => "no-longer-selected",
            };
            say(&format!("{asset}/-"), change, detail);
        }
        return Ok(());
    }
    let count = looked.items.len();
    let mut keys = HashSet::new();
    for (at, (item, master)) in looked.items.into_iter().enumerate() {
        keys.insert(item.key.clone());
        if intake::is_missing(&item) {
            let why = item.refused.map_or_else(String::new, |refused| refused.2);
            let change = if was_moved { "gone" } else { "not-moved" };
            say(&item.key, change, why);
            return Ok(());
        }
        let changed = master
            .iter()
            .flat_map(|master| &master.files)
            .filter_map(|file| file.date_modified)
            .max()
            .map_or_else(String::new, |date| format!(", dated {date:.0}"));
        let bytes = display_bytes(intake::master_bytes(&item));
        // A person's word stands as long as the content is the one it was about.
        let Some(before) = reader.item_by_key(&item.key)? else {
            let change = if was_moved { "new-version" } else { "new" };
            say(&item.key, change, format!("{bytes}{changed}"));
            continue;
        };
        let same = reader.is_content_of(&before, &item)?;
        match before.state.as_str() {
            "done" | "declined" if !same && item.refused.is_some() => {
                let why = item.refused.map_or_else(String::new, |refused| refused.2);
                say(
                    &item.key,
                    "changed",
                    format!("it cannot be moved now: {why}"),
                );
            }
            "done" | "declined" if !same => {
                say(
                    &item.key,
                    "changed",
                    format!(
                        "run {} moved it with other content; now {bytes}{changed}",
                        before.run
                    ),
                );
            }
            "done" => {
                // What an earlier version says of itself is not filed anew.
                if at + 1 == count && is_described_otherwise(reader, &before, &item)? {
                    say(
                        &item.key,
                        "metadata-changed",
                        "its sidecar would be another".to_owned(),
                    );
                }
            }
            "declined" => {}
            state => {
                let why = before.message.unwrap_or_default();
                let colon = if why.is_empty() { "" } else { ": " };
                say(
                    &item.key,
                    "not-moved",
                    format!("{bytes}, {state}{colon}{why}"),
                );
            }
        }
    }
    if intake.all_versions {
        let mut gone: Vec<&Item> = known
            .values()
            .filter(|item| item.node.is_some() && !keys.contains(&item.key))
            .collect();
        gone.sort_by_key(|item| item.id);
        for item in gone {
            let detail = format!(
                "run {} moved a version that the asset no longer has",
                item.run
            );
            say(&item.key, "version-gone", detail);
        }
    }
    Ok(())
}

/// Whether a document of its own (a sidecar) has another content now.
fn is_described_otherwise(reader: &Reader, before: &Item, item: &NewItem) -> Result<bool, Error> {
    let mut wanted: HashMap<&str, &[u8]> = item
        .files
        .iter()
        .filter_map(|file| Some((file.marker.as_str(), file.content.as_deref()?)))
        .collect();
    let mut from = 0;
    while !wanted.is_empty() {
        let files = reader.files(before.id, from, PAGE)?;
        let Some(last) = files.last() else { break };
        from = last.seq + 1;
        for file in files {
            let Some(content) = wanted.remove(file.marker.as_str()) else {
                continue;
            };
            if file.content.as_deref() != Some(content) {
                return Ok(true);
            }
        }
    }
    // One that was never filed, because sidecars were not wanted then, is one more.
    Ok(!wanted.is_empty())
}
