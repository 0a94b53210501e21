//! Whether an asset of a packed campaign may go: everything that it rests on is looked at.

use std::collections::HashSet;

use futures::TryStreamExt as _;

use super::super::check;
use super::super::gather::ATTEMPTS;
use super::{Campaign, Originals};
use crate::flows::intake::{self, Intake};
use crate::flows::{Error, Wanted};
use crate::iconik::{ArchiveStatus, Asset, AssetStatus, FileSetStatus, FileType, Master};
use crate::ledger::{File, Item};
use crate::transfer::read_back;
use crate::types::{
    AssetId, CollectionId, Failure, FailureClass, FormatId, NodeId, ProofLevel, Reason, Role,
    Sha256Digest,
};

/// Disturbances that a look waits out.
const WAITS: u32 = 4;
const PAGE: usize = 500;

/// What was found of an asset before anything is done.
pub(super) enum Found {
    /// Nothing is left to do.
    Over(String),
    /// It stays.
    Stays(String),
    /// It may go: the documents that it rests on.
    Ready(Box<Ready>),
}

pub(super) struct Ready {
    pub(super) asset: Asset,
    /// The original formats, one for each version.
    pub(super) formats: Vec<FormatId>,
    pub(super) nodes: Vec<NodeId>,
    /// What iconik's history is told.
    pub(super) filed: String,
}

impl Campaign<'_> {
    /// Looks at an asset and everything that it rests on; its title, and what was found.
    pub(super) async fn look(&self, id: &AssetId) -> Result<(String, Found), Error> {
        let iconik = &self.bench.systems.iconik;
        let asset = match iconik.asset(id).await {
            Ok(asset) if asset.status != AssetStatus::Deleted => asset,
            Ok(asset) => return Ok((asset.title, Found::Over("it is in the recycle bin".into()))),
            Err(error) if error.is_not_found() => {
                return Ok((
                    id.to_string(),
                    Found::Over("iconik no longer has it".into()),
                ));
            }
            Err(error) => return Err(error.into()),
        };
        let title = asset.title.clone();
        let found = match self.examine(asset).await {
            Ok(found) => found,
            // What concerns one asset alone stops no other.
            Err(Error::Engine(failure)) if is_about_one(&failure) => {
                Found::Stays(failure.to_string())
            }
            Err(Error::Iconik(error)) if error.is_forbidden() || error.is_not_found() => {
                Found::Stays(error.to_string())
            }
            Err(error) => return Err(error),
        };
        Ok((title, found))
    }

    async fn examine(&self, asset: Asset) -> Result<Found, Error> {
        let stays = |why: String| Ok(Found::Stays(why));
        if let Originals::Status = self.retirement.originals
            && asset.archive_status == ArchiveStatus::Archived
        {
            return Ok(Found::Over("iconik shows it as archived".to_owned()));
        }
        if let Some(elsewhere) = self.elsewhere(&asset).await? {
            return stays(format!(
                "it is in collection {elsewhere} too, which is not part of the campaign"
            ));
        }
        let everything = Intake {
            all_versions: true,
            ..Intake::default()
        };
        let wanted = Wanted::from(asset.id.clone());
        let looked =
            intake::look_patiently(self.bench.systems, &everything, &wanted, WAITS).await?;
        let (mut formats, mut nodes, mut filed) = (Vec::new(), Vec::new(), Vec::new());
        for (new, master) in looked.items {
            let Some(master) = master else {
                // A version without an original has nothing to retire.
                continue;
            };
            let version = master.version_number;
            if master.archived {
                continue;
            }
            let known = self.bench.ledger.item_by_key(&new.key).await?;
            let Some(item) = known else {
                return stays(format!("version {version} is not filed"));
            };
            if item.state != "done" {
                return stays(format!("version {version} is {}", item.state));
            }
            if !self.bench.ledger.is_content_of(&item, &new).await? {
                return stays(format!("version {version} changed since it was filed"));
            }
            if let Some(why) = self.proof(&item, &mut nodes).await? {
                return stays(format!("version {version}: {why}"));
            }
            if self.retirement.originals == Originals::Remove
                && let Some(why) = self.other_copies(&master).await?
            {
                return stays(format!("version {version}: {why}"));
            }
            filed.push(match (item.node, item.version) {
                (Some(node), Some(number)) => format!("node {node} version {number}"),
                (Some(node), None) => format!("node {node}"),
                _ => item.key.clone(),
            });
            formats.push(master.format);
        }
        if formats.is_empty() {
            return Ok(Found::Over(
                "no original of it is left to retire".to_owned(),
            ));
        }
        if let Some(held) = self.holds(&nodes).await? {
            return stays(held);
        }
        Ok(Found::Ready(Box::new(Ready {
            asset,
            formats,
            nodes,
            filed: filed.join(", "),
        })))
    }

    /// A collection outside the campaign that has the asset.
    async fn elsewhere(&self, asset: &Asset) -> Result<Option<CollectionId>, Error> {
        for collection in &asset.in_collections {
            if !self.is_below(collection).await? {
                return Ok(Some(collection.clone()));
            }
        }
        Ok(None)
    }

    /// Whether a collection is the campaign's, or somewhere in it.
    async fn is_below(&self, collection: &CollectionId) -> Result<bool, Error> {
        let mut known = self.below.lock().await;
        if let Some(known) = known.get(collection.as_str()) {
            return Ok(*known);
        }
        let mut open = vec![collection.clone()];
        let mut seen: HashSet<String> = HashSet::new();
        let mut below = false;
        while let Some(next) = open.pop() {
            if next == *self.collection || known.get(next.as_str()) == Some(&true) {
                below = true;
                break;
            }
            if !seen.insert(next.0.clone()) {
                continue;
            }
            match self.bench.systems.iconik.collection(&next).await {
                Ok(there) => open.extend(there.parents.into_iter().map(CollectionId)),
                Err(error) if error.is_not_found() || error.is_forbidden() => {}
                Err(error) => return Err(error.into()),
            }
        }
        known.insert(collection.0.clone(), below);
        Ok(below)
    }

    /// Why an item's content is not proved to be in Content Server and in the package; nothing when
    /// it is. Its documents are added to `nodes`.
    async fn proof(&self, item: &Item, nodes: &mut Vec<NodeId>) -> Result<Option<String>, Error> {
        // One that an older package lists whole has no parts in it.
        let is_whole = item.kind == "split"
            && item
                .node
                .is_some_and(|node| self.held.contains(&(node, None)));
        let mut from = 0;
        loop {
            let files = self.bench.ledger.files(item.id, from, PAGE).await?;
            let Some(last) = files.last() else {
                return Ok(None);
            };
            from = last.seq + 1;
            for file in &files {
                let is_content = matches!(
                    Role::from_name(&file.role),
                    Some(Role::Master | Role::Segment(_))
                );
                if !is_content {
                    continue;
                }
                if let Some(why) = self.proof_of_file(file, is_whole, nodes).await? {
                    return Ok(Some(format!("{} {why}", file.name)));
                }
            }
        }
    }

    async fn proof_of_file(
        &self,
        file: &File,
        is_whole: bool,
        nodes: &mut Vec<NodeId>,
    ) -> Result<Option<String>, Error> {
        let sha256: Option<[u8; 32]> = file
            .sha256
            .as_deref()
            .and_then(|digest| digest.try_into().ok());
        let (Some(node), Some(version), Some(sha256)) = (file.node, file.version, sha256) else {
            return Ok(Some("is not filed".to_owned()));
        };
        if !is_whole && !self.held.contains(&(node, Some(version))) {
            return Ok(Some(
                "is not in the package; `longhaul archive COLLECTION --package` renews it"
                    .to_owned(),
            ));
        }
        nodes.push(node);
        if let Some(wrong) = check::stored(self.bench, node, version, file.size).await? {
            return Ok(Some(format!("is not as it was filed: {wrong}")));
        }
        if self.retirement.read_back && !self.retirement.dry_run {
            let read = read_back(
                &*self.bench.systems.destination,
                self.bench.pace,
                node,
                version,
                file.size,
                ATTEMPTS,
                &mut |_| Ok(()),
            )
            .await?;
            let filed = Sha256Digest(sha256);
            return Ok((read != filed).then(|| format!("reads back as {read}, filed was {filed}")));
        }
        let level = ProofLevel::from_name(&file.proof).unwrap_or(ProofLevel::None);
        Ok((level != ProofLevel::ReadBack && !self.retirement.read_back).then(|| {
            format!(
                "was never read back (it is proved by {}); `longhaul verify`, or --read-back here, does",
                level.as_str()
            )
        }))
    }

    /// Why other copies of a master are not what was filed; nothing when they are, or there are
    /// none.
    async fn other_copies(&self, master: &Master) -> Result<Option<String>, Error> {
        let iconik = &self.bench.systems.iconik;
        let mut wanted: Vec<(String, u64)> = master
            .files
            .iter()
            .map(|file| (file.name.clone(), file.size))
            .collect();
        wanted.sort();
        let mut sets = iconik.file_sets(&master.asset, &master.format);
        while let Some(set) = sets.try_next().await? {
            if set.id == master.file_set || set.status != FileSetStatus::Active || set.is_archive {
                continue;
            }
            let mut found = Vec::new();
            let mut files = iconik.files(&master.asset, &set.id, false);
            while let Some(file) = files.try_next().await? {
                if file.kind != FileType::Directory {
                    found.push((file.display_name().to_owned(), file.size.unwrap_or(0)));
                }
                if found.len() > wanted.len() {
                    break;
                }
            }
            found.sort();
            if found != wanted {
                return Ok(Some(format!(
                    "another copy of it (file set {}) has other files than were filed",
                    set.id
                )));
            }
        }
        Ok(None)
    }

    /// What protects a document, or may.
    pub(super) async fn holds(&self, nodes: &[NodeId]) -> Result<Option<String>, Error> {
        for node in nodes {
            let over = match self.bench.systems.content_server.holds_over(*node).await {
                Ok(over) => over,
                // A server without records management holds nothing.
                Err(failure) if failure.reason == Reason::Unsupported => return Ok(None),
                Err(failure) => return Err(failure.into()),
            };
            if let Some((on, hold)) = over.holds.iter().find(|(_, hold)| hold.protects()) {
                return Ok(Some(format!(
                    "hold {} ({:?}) is on node {on}",
                    hold.id, hold.name
                )));
            }
            if let Some(above) = over.unseen.first() {
                return Ok(Some(format!(
                    "node {above} above node {node} may not be seen, so its holds are not known"
                )));
            }
        }
        Ok(None)
    }
}

/// Whether a failure says something of one asset, and nothing of the systems.
fn is_about_one(failure: &Failure) -> bool {
    failure.class == FailureClass::ItemIsWrong
}
