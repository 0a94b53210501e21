//! What a package would miss or leave out, before anything is filed: the edits' references, read
//! from iconik and matched with the names that a plan met, and the masters that are not final.

use std::collections::{BTreeMap, BTreeSet};

use futures::TryStreamExt as _;
use serde::Serialize;

use super::facts::Kept;
use super::filed::{kind_of_name, version_of};
use super::release::{Finality, Only};
use super::sources::{EDIT_MAX, Match, Names, Search, Sources, parse};
use crate::flows::intake::{self, Intake};
use crate::flows::plan::{Decision, Version};
use crate::flows::{Error, Systems, Wanted};
use crate::iconik::MasterFile;
use crate::pace::Pace;
use crate::sidecar::campaign::{Exception, Kind, SourceReference};
use crate::sidecar::edit::EditKind;
use crate::transfer::{Source, SourceFile};
use crate::types::{AssetId, ByteRange, Failure, FailureClass, VersionId};

/// Disturbances that one edit decision record waits out.
const WAITS: u32 = 4;

/// What a plan met that a package is made of.
#[derive(Default)]
pub struct Foresight {
    names: Names,
    edits: Vec<(AssetId, String, String)>,
    /// Masters, by title, in order of their assets; gathered where only final ones are taken.
    masters: BTreeMap<AssetId, Vec<(VersionId, String)>>,
    only: Only,
    /// Masters that the package holds already, by asset and version: they stay in it.
    held: BTreeSet<(String, String)>,
}

/// What a package would miss.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Foreseen {
    /// Edit decision records.
    pub edits: u64,
    /// What they name as their sources.
    pub references: u64,
    /// Assets outside the campaign that they use, each once.
    pub sources: u64,
    /// Source references that would be gaps, edit decision records that cannot be read, and masters
    /// of which it cannot be known whether they are final.
    pub gaps: Vec<Exception>,
    /// Masters that are not final, where only final ones are taken.
    pub left_out: Vec<Exception>,
}

impl Foresight {
    /// Of packages that take these masters, and hold already what is `kept` of them.
    pub fn of(only: Only, kept: &[Kept]) -> Self {
        let payload = kept.iter().flat_map(|kept| &kept.facts.payload);
        let masters = payload.filter(|one| one.kind == Kind::Master);
        Self {
            only,
            held: masters
                .map(|one| (one.asset.clone(), one.asset_version.clone()))
                .collect(),
            ..Self::default()
        }
    }

    /// Takes an asset into account.
    pub fn offer(&mut self, decision: &Decision) {
        self.names.belongs(decision.asset.as_str());
        let is_in = |version: &&Version| version.action.moves() || version.action.is_there();
        for version in decision.versions.iter().flatten().filter(is_in) {
            let asset = &decision.asset;
            if EditKind::of_name(&version.name).is_some() {
                let edit = (asset.clone(), version.key.clone(), version.name.clone());
                self.edits.push(edit);
                continue;
            }
            self.names.add(&decision.title, asset.as_str());
            self.names.add(&version.name, asset.as_str());
            let alone = version.files <= 1 && version.segments == 0;
            if self.only == Only::Final && kind_of_name(&version.name, alone) == Kind::Master {
                let id = version_of(&version.key);
                if !self.held.contains(&(asset.to_string(), id.clone())) {
                    let own = self.masters.entry(asset.clone()).or_default();
                    own.push((VersionId(id), decision.title.clone()));
                }
            }
        }
    }

    /// Reads the edits and looks for what they use, and at what is final.
    ///
    /// # Errors
    ///
    /// iconik's, when it stays away.
    pub async fn look(
        &self,
        systems: &Systems,
        intake: &Intake,
        pace: &Pace,
        policy: Sources,
        finality: &Finality,
    ) -> Result<Foreseen, Error> {
        let mut foreseen = Foreseen {
            edits: self.edits.len() as u64,
            ..Foreseen::default()
        };
        let mut search = Search::new(systems, &self.names);
        let (mut sources, mut used) = (BTreeSet::new(), BTreeSet::new());
        for (asset, key, name) in &self.edits {
            if EditKind::of_name(name) == Some(EditKind::Opaque) {
                continue;
            }
            let references = match read(systems, intake, pace, asset, key, name).await? {
                Ok(references) => references,
                Err(reason) => {
                    foreseen.gaps.push(Exception {
                        path: name.clone(),
                        reason,
                    });
                    continue;
                }
            };
            foreseen.references += references.len() as u64;
            for reference in references {
                let why = match search.find(&reference).await? {
                    Match::Inside(asset) => {
                        used.insert(asset);
                        continue;
                    }
                    Match::Outside(asset) => {
                        let why = policy.gap(&asset);
                        sources.insert(asset);
                        why
                    }
                    Match::Gap(why) => Some(why),
                };
                foreseen.gaps.extend(why.map(|why| Exception {
                    path: reference.clip,
                    reason: format!("used by {name}; {why}"),
                }));
            }
        }
        foreseen.sources = sources.len() as u64;
        let left_out = self
            .look_at_masters(systems, finality, &mut foreseen.gaps)
            .await?;
        // What an edit uses is taken as its source.
        let stays_out = |asset: &AssetId| policy == Sources::List || !used.contains(asset.as_str());
        foreseen.left_out = left_out
            .into_iter()
            .filter_map(|(asset, out)| stays_out(&asset).then_some(out))
            .collect();
        foreseen.gaps.sort();
        foreseen.gaps.dedup();
        foreseen.left_out.sort();
        Ok(foreseen)
    }

    /// Which masters would be left out because they are not final.
    async fn look_at_masters(
        &self,
        systems: &Systems,
        finality: &Finality,
        gaps: &mut Vec<Exception>,
    ) -> Result<Vec<(AssetId, Exception)>, Error> {
        let mut left_out = Vec::new();
        for (id, versions) in &self.masters {
            let asset = match systems.iconik.asset(id).await {
                Ok(asset) => Some(asset),
                Err(error) if error.is_not_found() || error.is_forbidden() => None,
                Err(error) => return Err(error.into()),
            };
            for (version, title) in versions {
                let (is_final, reason) = match &asset {
                    Some(asset) => finality.standing(systems, asset, version).await?,
                    None => (None, "iconik does not show it".to_owned()),
                };
                let path = title.clone();
                match is_final {
                    Some(true) => {}
                    Some(false) => left_out.push((id.clone(), Exception { path, reason })),
                    None => gaps.push(Exception {
                        path,
                        reason: format!("whether it is final cannot be known: {reason}"),
                    }),
                }
            }
        }
        Ok(left_out)
    }
}

/// What an edit decision record names, or why that is not known.
async fn read(
    systems: &Systems,
    intake: &Intake,
    pace: &Pace,
    asset: &AssetId,
    key: &str,
    name: &str,
) -> Result<Result<Vec<SourceReference>, String>, Error> {
    let wanted = Wanted::from(asset.clone());
    let looked = intake::look_patiently(systems, intake, &wanted, WAITS).await?;
    let mut items = looked.items.into_iter();
    let master = items.find(|(item, _)| item.key == key);
    let Some(master) = master.and_then(|(_, master)| master) else {
        return Ok(Err("iconik no longer has it".to_owned()));
    };
    let is_it = |file: &&MasterFile| file.size <= EDIT_MAX;
    let Some(file) = master.files.first().filter(is_it) else {
        return Ok(Err(super::sources::TOO_LARGE.to_owned()));
    };
    if master.archived {
        return Ok(Err(
            "it is archived; its source references are read once it is restored".to_owned(),
        ));
    }
    let reader = systems.iconik.reader();
    let file = master.source_file(file);
    let mut waits = 0;
    let content = loop {
        match content(&reader, &file, pace).await {
            Err(failure) if passes(&failure) && waits < WAITS => {
                waits += 1;
                reader.renew(&file).await?;
            }
            other => break other,
        }
    };
    match content {
        Ok(content) => Ok(parse(name, &content)),
        Err(failure) if failure.class == FailureClass::StopEverything => Err(failure.into()),
        Err(failure) => Ok(Err(format!("it cannot be read: {failure}"))),
    }
}

fn passes(failure: &Failure) -> bool {
    matches!(
        failure.class,
        FailureClass::RetryNow | FailureClass::RetryLater | FailureClass::Resign
    )
}

async fn content(source: &dyn Source, file: &SourceFile, pace: &Pace) -> Result<Vec<u8>, Failure> {
    let opened = source.open(file).await?;
    let mut content = Vec::new();
    if file.size > 0 {
        let whole = ByteRange::new(0, file.size);
        let mut body = source.read(file, whole, &opened.validator).await?;
        while let Some(chunk) = body.try_next().await? {
            pace.take(chunk.len() as u64).await;
            content.extend_from_slice(&chunk);
        }
    }
    Ok(content)
}
