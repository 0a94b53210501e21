//! A short look at how fast the source is: a bounded amount of a few masters is read and dropped.
//!
//! Nothing is written, so the destination's side is not measured; its limits only make a run
//! slower. One stream alone is the slow end of the range, several at once the fast one, as a run
//! reads.

use std::time::Duration;

use futures::TryStreamExt as _;
use serde::Serialize;
use tokio::time::Instant;

use crate::flows::intake::{self, Intake};
use crate::flows::{Error, Systems, Wanted};
use crate::pace::Pace;
use crate::transfer::{Opened, Source, SourceFile};
use crate::types::{AssetId, ByteCount, ByteRange, Failure, MIB};

/// Masters that are read from.
const MASTERS: usize = 3;
/// Bytes of each range.
const RANGE: ByteCount = 8 * MIB;
/// Ranges read at once for the fast end.
const AT_ONCE: u64 = 8;
/// A range that takes longer is given up; what came of it counts.
const LONGEST: Duration = Duration::from_secs(10);
/// Disturbances that one asset waits out.
const WAITS: u32 = 2;

/// The largest versions that would move, of which some bytes are read: at most three.
#[derive(Clone, Debug, Default)]
pub struct Chosen(Vec<(ByteCount, AssetId, String)>);

impl Chosen {
    /// Takes a version into account.
    pub fn offer(&mut self, asset: &AssetId, version: &super::Version) {
        let can = version.action.moves() && !version.archived && version.bytes > 0;
        let smallest = self.0.last().map_or(0, |(bytes, ..)| *bytes);
        if !can || (self.0.len() == MASTERS && version.bytes <= smallest) {
            return;
        }
        self.0
            .push((version.bytes, asset.clone(), version.key.clone()));
        self.0.sort_by_key(|(bytes, ..)| std::cmp::Reverse(*bytes));
        self.0.truncate(MASTERS);
    }
}

/// What was measured.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Probe {
    /// Masters that were read from.
    pub masters: u64,
    /// Bytes read and dropped.
    pub bytes: ByteCount,
    /// Seconds that took.
    pub seconds: f64,
    /// Bytes per second of the slowest master by one stream.
    pub slowest: f64,
    /// Bytes per second of the fastest by several streams at once.
    pub fastest: f64,
    /// Why masters could not be read from, one line each.
    pub refused: Vec<String>,
}

/// Reads from the chosen masters. One that cannot be read is said, and measured without.
///
/// # Errors
///
/// iconik's, when it stays away.
pub async fn probe(
    systems: &Systems,
    intake: &Intake,
    pace: &Pace,
    chosen: Chosen,
) -> Result<Probe, Error> {
    let reader = systems.iconik.reader();
    let mut probe = Probe::default();
    let begun = Instant::now();
    for (_, asset, key) in chosen.0 {
        let wanted = Wanted::from(asset);
        let looked = intake::look_patiently(systems, intake, &wanted, WAITS).await?;
        let master = looked
            .items
            .into_iter()
            .find(|(item, _)| item.key == key)
            .and_then(|(_, master)| master);
        let Some((master, file)) = master
            .as_ref()
            .and_then(|master| Some((master, master.files.iter().max_by_key(|file| file.size)?)))
        else {
            continue;
        };
        match measure(&reader, &master.source_file(file), pace).await {
            Ok((bytes, one, several)) => {
                probe.masters += 1;
                probe.bytes += bytes;
                probe.slowest = match probe.slowest {
                    0.0 => one,
                    slowest => slowest.min(one),
                };
                probe.fastest = probe.fastest.max(several).max(one);
            }
            Err(failure) => probe.refused.push(format!("{}: {failure}", file.name)),
        }
    }
    probe.seconds = begun.elapsed().as_secs_f64();
    Ok(probe)
}

/// Bytes read, and bytes per second by one stream and by several at once.
async fn measure(
    source: &dyn Source,
    file: &SourceFile,
    pace: &Pace,
) -> Result<(ByteCount, f64, f64), Failure> {
    let opened = source.open(file).await?;
    let end = if opened.ranges { RANGE } else { file.size };
    let first = ByteRange::new(0, end.min(file.size));
    let begun = Instant::now();
    let mut bytes = read(source, file, first, &opened, pace).await?;
    let one = rate(bytes, begun);
    let ranges: Vec<ByteRange> = (1..=AT_ONCE)
        .map(|number| (number * RANGE, ((number + 1) * RANGE).min(file.size)))
        .filter(|(from, to)| from < to && opened.ranges)
        .map(|(from, to)| ByteRange::new(from, to))
        .collect();
    if ranges.is_empty() {
        return Ok((bytes, one, one));
    }
    let begun = Instant::now();
    let reads = ranges
        .into_iter()
        .map(|range| read(source, file, range, &opened, pace));
    let more: u64 = futures::future::try_join_all(reads).await?.iter().sum();
    bytes += more;
    Ok((bytes, one, rate(more, begun)))
}

#[expect(
    clippy::cast_precision_loss,
    reason = "an estimate needs no more than 15 digits"
)]
fn rate(bytes: ByteCount, begun: Instant) -> f64 {
    bytes as f64 / begun.elapsed().as_secs_f64().max(1e-6)
}

/// Reads a range and drops it, for a bounded time; how much came.
async fn read(
    source: &dyn Source,
    file: &SourceFile,
    range: ByteRange,
    opened: &Opened,
    pace: &Pace,
) -> Result<ByteCount, Failure> {
    let mut bytes = 0;
    let reading = async {
        let mut body = source.read(file, range, &opened.validator).await?;
        while let Some(chunk) = body.try_next().await? {
            bytes += chunk.len() as u64;
            pace.take(chunk.len() as u64).await;
            // A source without ranges is asked for all and left.
            if bytes >= RANGE {
                break;
            }
        }
        Ok::<(), Failure>(())
    };
    match tokio::time::timeout(LONGEST, reading).await {
        Ok(Err(failure)) => Err(failure),
        Ok(Ok(())) | Err(_) => Ok(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_that_move_are_chosen() {
        let mut chosen = Chosen::default();
        for (action, bytes, archived) in [
            ("new-document", 5, false),
            ("already-filed", 90, false),
            ("new-document", 80, true),
            ("new-version", 7, false),
            ("new-document", 1, false),
            ("new-folder", 6, false),
            ("new-document", 0, false),
        ] {
            let version = serde_json::from_value(serde_json::json!({
                "key": format!("a/{bytes}"), "action": action, "why": "new", "fingerprint": "f",
                "bytes": bytes, "archived": archived,
            }));
            chosen.offer(&"a".into(), &version.unwrap());
        }
        let bytes: Vec<u64> = chosen.0.iter().map(|(bytes, ..)| *bytes).collect();
        assert_eq!(bytes, [7, 6, 5]);
    }
}
