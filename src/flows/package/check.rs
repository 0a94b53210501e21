//! Looks at a package again: is everything it lists still in Content Server, and, when asked for,
//! is it the same byte for byte? What was read makes a new generation of the fixity history.

use std::collections::HashSet;

use super::facts::Kept;
use super::{Bench, Packed, begin, file, filed, papers, place, scoped};
use crate::flows::Error;
use crate::sidecar::mhl;
use crate::transfer::{Outcome, Whole, read_back};
use crate::types::{CollectionId, Failure, NodeId, ProofLevel, Reason, VersionNote, VersionNumber};

const ATTEMPTS: u32 = 6;

/// How a package is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Versions are there and have their sizes; papers are read.
    Size,
    /// Every byte is read.
    ReadBack,
}

/// What a look found.
#[derive(Clone, Debug, Default)]
pub struct Checked {
    /// Files that agree.
    pub good: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Those that do not, with what is wrong.
    pub bad: Vec<(String, String)>,
    /// Digests to be added to the history.
    measured: Vec<mhl::Hashed>,
}

/// Looks at every file and paper of a package. After reading back, the history is filed with a
/// generation more.
///
/// # Errors
///
/// Content Server's and the ledger's; what differs is no error but in [`Checked::bad`].
pub async fn check(
    bench: Bench<'_>,
    collection: &CollectionId,
    mut kept: Kept,
    look: Look,
) -> Result<(Outcome, Checked, Option<Packed>), Error> {
    let mut checked = Checked::default();
    // What an earlier process left unfinished; looking alone files nothing.
    if !kept.complete && look == Look::ReadBack {
        let (outcome, packed) = file(bench, collection, kept.clone()).await?;
        if !packed.complete {
            return Ok((outcome, checked, Some(packed)));
        }
        kept.folder = packed.folder;
        kept.complete = true;
    }
    for paper in papers(&bench.systems.instance, &kept) {
        let size = paper.content.len() as u64;
        match filed(bench.ledger, collection, &paper.path).await? {
            None => checked.bad.push((
                paper.path,
                "is not filed; `longhaul archive` files it".to_owned(),
            )),
            Some((node, version)) => {
                // Papers are small, and what everything else is judged by: they are read in any case.
                let (mut same, mut at) = (true, 0);
                let read = read_back(
                    &*bench.systems.destination,
                    bench.pace,
                    node,
                    version,
                    size,
                    ATTEMPTS,
                    &mut |bytes| {
                        same &= paper.content.get(at..at + bytes.len()) == Some(bytes);
                        at += bytes.len();
                        Ok(())
                    },
                )
                .await;
                let wrong = match read {
                    Ok(_) if same => stored(bench, node, version, size).await?,
                    Ok(_) => Some("holds other bytes than were filed".to_owned()),
                    Err(failure) => Some(lost(failure)?),
                };
                note(&mut checked, paper.path, size, wrong);
            }
        }
    }
    let at = jiff::Timestamp::now();
    let files = kept.facts.payload.clone();
    let in_history: HashSet<String> = kept.in_history().into_iter().map(str::to_owned).collect();
    for (place, payload) in files.into_iter().enumerate() {
        let wrong = match look {
            Look::Size => match payload.version {
                Some(version) => stored(bench, payload.node, version, payload.size).await?,
                None => joined(bench, payload.node, payload.size).await?,
            },
            Look::ReadBack => {
                let mut hasher = mhl::Hasher::default();
                let destination = &*bench.systems.destination;
                let mut sink = |bytes: &[u8]| {
                    hasher.update(bytes);
                    Ok(())
                };
                let pieces = match payload.version {
                    Some(version) => Ok(Whole::version(payload.node, version, payload.size)),
                    None => place::again(|| Box::pin(Whole::find(destination, payload.node))).await,
                };
                let read = match pieces {
                    Ok(pieces) => {
                        let pace = bench.pace;
                        pieces.read(destination, pace, ATTEMPTS, &mut sink).await
                    }
                    Err(failure) => Err(failure),
                };
                match read {
                    Ok(sha256) => {
                        let digests = hasher.digests();
                        let same = sha256 == payload.sha256;
                        // The first digest of a file is taken only from content that is proved.
                        let known = payload
                            .digests
                            .filter(|_| in_history.contains(&payload.path));
                        if same || known.is_some() {
                            checked.measured.push(mhl::Hashed {
                                path: scoped(&payload.path).to_owned(),
                                size: payload.size,
                                modified: None,
                                digests,
                                action: mhl::Action::of(known, digests),
                                at,
                            });
                        }
                        if same && let Some(file) = kept.facts.payload.get_mut(place) {
                            file.digests = Some(digests);
                            file.level = ProofLevel::ReadBack;
                        }
                        (!same).then(|| {
                            format!("reads back as {sha256}, filed was {}", payload.sha256)
                        })
                    }
                    Err(failure) => Some(lost(failure)?),
                }
            }
        };
        let wrong = match (look, wrong, payload.version) {
            (Look::ReadBack, None, Some(version)) => {
                stored(bench, payload.node, version, payload.size).await?
            }
            (_, wrong, _) => wrong,
        };
        note(&mut checked, payload.path, payload.size, wrong);
    }
    if checked.measured.is_empty() {
        return Ok((Outcome::Finished, checked, None));
    }
    kept.fingerprint = papers::fingerprint(&bench.systems.instance, &kept);
    begin(bench, collection, &mut kept).await?;
    let comment = format!(
        "run {}, package check, level read-back, {} of {} files agree",
        bench.run,
        checked.good,
        checked.good + checked.bad.len() as u64
    );
    kept.add_generation(std::mem::take(&mut checked.measured), comment, true);
    let (outcome, packed) = file(bench, collection, kept).await?;
    Ok((outcome, checked, Some(packed)))
}

fn note(checked: &mut Checked, path: String, size: u64, wrong: Option<String>) {
    match wrong {
        Some(wrong) => checked.bad.push((path, wrong)),
        None => {
            checked.good += 1;
            checked.bytes += size;
        }
    }
}

/// What is wrong with a stored version, by its size and by what came after it: whoever opens the
/// document sees its newest version.
pub(super) async fn stored(
    bench: Bench<'_>,
    node: NodeId,
    version: VersionNumber,
    size: u64,
) -> Result<Option<String>, Error> {
    let versions = match place::again(|| bench.systems.destination.versions(node)).await {
        Ok(versions) => versions,
        Err(failure) => return Ok(Some(lost(failure)?)),
    };
    let found = versions.iter().find(|stored| stored.number == version);
    Ok(match found {
        None => Some(format!("node {node} no longer has version {version}")),
        Some(found) if found.size != size => Some(format!(
            "node {node} version {version} holds {} bytes, filed were {size}",
            found.size
        )),
        Some(_) => versions
            .iter()
            .find(|later| {
                later.number > version && VersionNote::parse(&later.description).is_none()
            })
            .map(|later| {
                format!(
                    "node {node} has a version {} since that longhaul did not file",
                    later.number
                )
            }),
    })
}

/// What is wrong with the segments of a split master, by their sizes.
async fn joined(bench: Bench<'_>, node: NodeId, size: u64) -> Result<Option<String>, Error> {
    let destination = &*bench.systems.destination;
    let found = match place::again(|| Box::pin(Whole::find(destination, node))).await {
        Ok(found) => found.size(),
        Err(failure) => return Ok(Some(lost(failure)?)),
    };
    Ok((found != size)
        .then(|| format!("the segments in node {node} hold {found} bytes, filed were {size}")))
}

/// A file that is gone or cut is a finding; any other failure ends the look.
fn lost(failure: Failure) -> Result<String, Error> {
    match failure.reason {
        Reason::NotFound | Reason::Inaccessible | Reason::Mismatch => Ok(failure.message),
        _ => Err(failure.into()),
    }
}
