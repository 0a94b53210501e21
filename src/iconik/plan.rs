//! From an asset to the files that make up its master, or the reason why it has none.
//!
//! One asset costs four calls as a rule: asset, formats, file sets, files. Storages are looked up
//! only where there is a choice. A copy that is not complete is passed over for the next one.

use futures::TryStreamExt as _;
use jiff::Timestamp;

use super::choice::{self, Candidate};
use super::reader::complete;
use super::{
    ArchiveStatus, Asset, AssetKind, AssetStatus, AssetVersion, Client, Error, File, FileSet,
    FileSetKind, FileSetStatus, FileStatus, FileType, Format, FormatStatus, Found, Locator, Method,
    VersionStatus,
};
use crate::transfer::SourceFile;
use crate::types::{
    AssetId, ByteCount, CollectionId, FailureClass, FileId, FileSetId, FormatId, Md5Digest, Reason,
    StorageId, VersionId,
};

/// The name of the format that holds masters.
const ORIGINAL: &str = "ORIGINAL";

/// Which versions of an asset to plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Versions {
    /// The newest one.
    Current,
    /// All that exist, oldest first.
    All,
    /// This one.
    One(VersionId),
}

/// What planning an asset found.
#[derive(Clone, Debug)]
pub struct AssetPlan {
    /// The asset as iconik describes it now.
    pub asset: Asset,
    /// Its masters, oldest version first.
    pub masters: Vec<Master>,
    /// What is left out, and why.
    pub out: Vec<Out>,
}

/// The master of one asset version: the files of the chosen copy of its original format.
#[derive(Clone, Debug)]
pub struct Master {
    /// The asset.
    pub asset: AssetId,
    /// The asset's title.
    pub title: String,
    /// The version.
    pub version: VersionId,
    /// Its number; its place among the versions, from 1, when iconik gave it none.
    pub version_number: i64,
    /// The original format.
    pub format: FormatId,
    /// The copy chosen.
    pub file_set: FileSetId,
    /// The copy's name: a folder's, when there are many files.
    pub name: String,
    /// The storage it is on.
    pub storage: Option<StorageId>,
    /// How that storage is reached.
    pub method: Method,
    /// The files, in the order of iconik's listing. Never empty.
    pub files: Vec<MasterFile>,
    /// Whether it is a set of files (an image sequence, a camera card) rather than one.
    pub many: bool,
    /// Whether the bytes may have to be restored from an archive first.
    pub archived: bool,
    /// What iconik says of the version's archive state.
    pub archive_status: ArchiveStatus,
    /// Free text that other systems identify the asset by.
    pub external_id: Option<String>,
    /// The collections the asset is in.
    pub collections: Vec<CollectionId>,
    /// When the version was made.
    pub date_created: Option<Timestamp>,
}

/// One file of a master.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MasterFile {
    /// Its id.
    pub id: FileId,
    /// The name its user gave it.
    pub name: String,
    /// Its folder below the set's top folder, with `/` between parts; empty for the top.
    pub dir: String,
    /// Size in bytes.
    pub size: ByteCount,
    /// The MD5 iconik quotes, when it is one.
    pub md5: Option<Md5Digest>,
    /// When the file itself was made.
    pub date_created: Option<Timestamp>,
    /// When the file itself was changed last.
    pub date_modified: Option<Timestamp>,
    directory_path: String,
    stored_name: String,
}

impl MasterFile {
    /// A file as iconik lists it, in the folder `dir` of its set; `None` while its size is unknown.
    pub(super) fn of(row: &File, dir: String) -> Option<Self> {
        let name = row.display_name().to_owned();
        Some(Self {
            md5: row.md5(),
            size: row.size?,
            dir,
            directory_path: row.directory_path.clone().unwrap_or_default(),
            stored_name: row.name.clone().unwrap_or_else(|| name.clone()),
            date_created: row.file_date_created,
            date_modified: row.file_date_modified,
            id: row.id.clone(),
            name,
        })
    }
}

impl Master {
    /// Bytes of all files.
    pub fn size(&self) -> ByteCount {
        self.files.iter().map(|file| file.size).sum()
    }

    /// Where `file`, one of this master's, is.
    pub fn locator(&self, file: &MasterFile) -> Locator {
        Locator {
            asset: self.asset.clone(),
            version: self.version.clone(),
            format: self.format.clone(),
            file_set: self.file_set.clone(),
            file: file.id.clone(),
            storage: self.storage.clone(),
            method: self.method.clone(),
            directory: file.directory_path.clone(),
            name: file.stored_name.clone(),
            checksum: file.md5.map(|md5| md5.to_string()),
            files: self.files.len(),
        }
    }

    /// `file`, one of this master's, as the ledger and the engine take it.
    pub fn source_file(&self, file: &MasterFile) -> SourceFile {
        SourceFile {
            locator: self.locator(file).to_text(),
            name: file.name.clone(),
            size: file.size,
        }
    }
}

/// An asset or version without a master to move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Out {
    /// The version, when it is about one.
    pub version: Option<VersionId>,
    /// Why.
    pub why: Why,
    /// The same for people.
    pub detail: String,
}

/// Why there is no master to move.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Why {
    /// The asset is in the recycle bin.
    Deleted,
    /// Links and placeholders have no bytes.
    NoBytes,
    /// A subclip is a range of another asset, which is moved itself.
    Subclip,
    /// A document of the destination that longhaul shows here.
    Reference,
    /// The version does not exist, failed, or there is none.
    NoVersion,
    /// The version has no original format.
    NoOriginal,
    /// No copy of the original has files.
    NoFiles,
    /// Rows are patterns for files that iconik does not list.
    Pattern,
    /// Not complete yet: planning again later may find it.
    Unfinished,
    /// A file is missing, failed or deleted on every copy.
    Broken,
}

impl Why {
    /// Whether planning again later may find a master without anybody's help.
    pub fn passes(self) -> bool {
        self == Self::Unfinished
    }

    /// The reason's name in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deleted => "deleted",
            Self::NoBytes => "no-bytes",
            Self::Subclip => "subclip",
            Self::Reference => "reference",
            Self::NoVersion => "no-version",
            Self::NoOriginal => "no-original",
            Self::NoFiles => "no-files",
            Self::Pattern => "pattern",
            Self::Unfinished => "unfinished",
            Self::Broken => "broken",
        }
    }
}

type Verdict<T> = Result<T, (Why, String)>;

impl Client {
    /// Finds the masters of an asset.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] for a purged asset, and whatever prevents a clear answer. An asset
    /// without a master is no error: the reason is in [`AssetPlan::out`].
    pub async fn plan_asset(
        &self,
        asset: &AssetId,
        versions: &Versions,
    ) -> Result<AssetPlan, Error> {
        self.plan_of(self.asset(asset).await?, versions).await
    }

    /// Finds the masters of an asset that was just read.
    ///
    /// # Errors
    ///
    /// Whatever prevents a clear answer.
    pub async fn plan_of(&self, asset: Asset, versions: &Versions) -> Result<AssetPlan, Error> {
        let mut plan = AssetPlan {
            masters: Vec::new(),
            out: Vec::new(),
            asset,
        };
        let asset = &plan.asset;
        if let Some((why, detail)) = no_master(asset) {
            plan.out.push(Out {
                version: None,
                why,
                detail,
            });
            return Ok(plan);
        }
        let all = asset.versions_in_order();
        let mut wanted: Vec<(usize, &AssetVersion)> = all.iter().copied().enumerate().collect();
        match versions {
            Versions::All => {}
            Versions::Current => {
                wanted.drain(..wanted.len().saturating_sub(1));
            }
            Versions::One(id) => wanted.retain(|(_, version)| version.id == *id),
        }
        if wanted.is_empty() {
            plan.out.push(Out {
                version: None,
                why: Why::NoVersion,
                detail: "the asset has no such version".to_owned(),
            });
        }
        for (place, version) in wanted {
            match self.master(asset, version, place, all.len() > 1).await? {
                Ok(master) => plan.masters.push(master),
                Err((why, detail)) => plan.out.push(Out {
                    version: Some(version.id.clone()),
                    why,
                    detail,
                }),
            }
        }
        Ok(plan)
    }

    async fn master(
        &self,
        asset: &Asset,
        version: &AssetVersion,
        place: usize,
        several: bool,
    ) -> Result<Verdict<Master>, Error> {
        match version.status {
            VersionStatus::InProgress => {
                return Ok(Err((
                    Why::Unfinished,
                    "the version is being made".to_owned(),
                )));
            }
            VersionStatus::Failed => {
                return Ok(Err((
                    Why::NoVersion,
                    "the version could not be made".to_owned(),
                )));
            }
            _ => {}
        }
        let Some(format) = self.original(&asset.id, &version.id, several).await? else {
            return Ok(Err((
                Why::NoOriginal,
                format!("the version has no {ORIGINAL} format"),
            )));
        };
        let sets: Vec<FileSet> = self
            .file_sets(&asset.id, &format.id)
            .try_filter(|set| std::future::ready(set.status != FileSetStatus::Deleted))
            .try_collect()
            .await?;
        let mut refused = None;
        for set in self.in_order(&sets).await? {
            match self.copy(asset, version, &format, set).await? {
                Ok(mut master) => {
                    master.version_number = version
                        .version_number
                        .unwrap_or_else(|| i64::try_from(place + 1).unwrap_or(i64::MAX));
                    return Ok(Ok(master));
                }
                // The best copy's reason is the one to report.
                Err(reason) => {
                    refused.get_or_insert(reason);
                }
            }
        }
        Ok(Err(refused.unwrap_or_else(|| {
            let detail = format!("no copy of the {ORIGINAL} format is left");
            (Why::NoFiles, detail)
        })))
    }

    async fn original(
        &self,
        asset: &AssetId,
        version: &VersionId,
        several: bool,
    ) -> Result<Option<Format>, Error> {
        let mut formats = self.formats(asset, several.then_some(version));
        let mut found: Option<Format> = None;
        while let Some(format) = formats.try_next().await? {
            let original = format
                .name
                .as_deref()
                .is_some_and(|name| name.eq_ignore_ascii_case(ORIGINAL));
            let of_version = format.version_id.as_ref().is_none_or(|id| id == version);
            let first = found.as_ref().is_none_or(|found| {
                (format.date_created, &format.id) < (found.date_created, &found.id)
            });
            if original && of_version && first && format.status != FormatStatus::Deleted {
                found = Some(format);
            }
        }
        Ok(found)
    }

    /// The copies, best first. A single one needs no look at its storage.
    async fn in_order<'a>(&self, sets: &'a [FileSet]) -> Result<Vec<&'a FileSet>, Error> {
        if sets.len() < 2 {
            return Ok(sets.iter().collect());
        }
        let mut storages = Vec::with_capacity(sets.len());
        for set in sets {
            storages.push(match &set.storage_id {
                Some(id) => self.storage(id).await?,
                None => None,
            });
        }
        let mut candidates: Vec<Candidate<'_>> = sets
            .iter()
            .zip(&storages)
            .map(|(set, storage)| Candidate {
                set,
                storage: storage.as_deref(),
            })
            .collect();
        choice::sort(&mut candidates, self.config());
        let order: Vec<FileSetId> = candidates.iter().map(|c| c.set.id.clone()).collect();
        Ok(order
            .iter()
            .filter_map(|id| sets.iter().find(|set| set.id == *id))
            .collect())
    }

    /// The master as this copy holds it.
    async fn copy(
        &self,
        asset: &Asset,
        version: &AssetVersion,
        format: &Format,
        set: &FileSet,
    ) -> Result<Verdict<Master>, Error> {
        let mut files = Vec::new();
        let mut method = Method::default();
        let mut pattern = set.kind == FileSetKind::ManyFiles;
        let mut archived = choice::is_archived(set);
        let mut rows = self.files(&asset.id, &set.id, false);
        while let Some(row) = rows.try_next().await? {
            if row.kind == FileType::Directory {
                continue;
            }
            pattern |= row.template.as_deref().is_some_and(|text| !text.is_empty());
            archived |= row.status == FileStatus::Archived;
            let name = row.display_name().to_owned();
            if let Err(failure) = complete(&row)
                && failure.reason != Reason::ColdStorage
            {
                let why = if failure.class == FailureClass::RetryLater {
                    Why::Unfinished
                } else {
                    Why::Broken
                };
                return Ok(Err((why, format!("{name}: {}", failure.message))));
            }
            if row.size.is_none() {
                let detail = format!("{name}: iconik does not know its size yet");
                return Ok(Err((Why::Unfinished, detail)));
            }
            let directory_path = row.directory_path.as_deref().unwrap_or_default();
            let base = set.base_dir.as_deref().unwrap_or_default();
            let Some(dir) = below(base, directory_path) else {
                let detail = format!("{name}: its folder {directory_path:?} is no usable path");
                return Ok(Err((Why::Broken, detail)));
            };
            if files.is_empty() {
                method = row.storage_method.clone();
            }
            files.extend(MasterFile::of(&row, dir));
        }
        if files.is_empty() {
            return Ok(Err((Why::NoFiles, "the copy has no files".to_owned())));
        }
        if pattern {
            let objects = self.file_count(&asset.id, &version.id, &set.id).await?;
            if objects != u64::try_from(files.len()).ok() {
                let detail = format!(
                    "iconik lists {} rows of a copy that has {} files; \
                     the rows are patterns, which cannot be moved",
                    files.len(),
                    objects.map_or("an unknown number of".to_owned(), |n| n.to_string()),
                );
                return Ok(Err((Why::Pattern, detail)));
            }
        }
        if method == Method::default()
            && let Some(id) = &set.storage_id
            && let Some(storage) = self.storage(id).await?
        {
            method = storage.method.clone();
        }
        let many = files.len() > 1 || set.kind == FileSetKind::ManyFiles;
        if !many {
            // The one file is the master; where it lay is no part of it.
            files[0].dir.clear();
        }
        Ok(Ok(Master {
            asset: asset.id.clone(),
            title: asset.title.clone(),
            version: version.id.clone(),
            version_number: 0,
            format: format.id.clone(),
            file_set: set.id.clone(),
            name: set
                .name
                .clone()
                .filter(|name| !name.is_empty())
                .unwrap_or_else(|| asset.title.clone()),
            storage: set.storage_id.clone(),
            method,
            files,
            many,
            archived,
            archive_status: format.archive_status.clone(),
            external_id: asset.external_id.clone(),
            collections: asset.in_collections.clone(),
            date_created: version.date_created,
        }))
    }
}

fn no_master(asset: &Asset) -> Option<(Why, String)> {
    match (&asset.kind, &asset.original_asset_id) {
        (AssetKind::Subclip, Some(original)) if asset.status != AssetStatus::Deleted => {
            Some((Why::Subclip, format!("a subclip of asset {original}")))
        }
        _ if asset.is_reference() => Some((
            Why::Reference,
            "a copy of a document that is filed already".to_owned(),
        )),
        (kind, _) => without_master(&asset.status, kind),
    }
}

/// What can be said without a look at the formats.
fn without_master(status: &AssetStatus, kind: &AssetKind) -> Option<(Why, String)> {
    if *status == AssetStatus::Deleted {
        return Some((Why::Deleted, "the asset is in the recycle bin".to_owned()));
    }
    match kind {
        AssetKind::Link | AssetKind::Placeholder => {
            Some((Why::NoBytes, format!("assets of type {kind} have no bytes")))
        }
        AssetKind::Subclip => Some((Why::Subclip, "a subclip of another asset".to_owned())),
        _ => None,
    }
}

impl Found {
    /// Why the asset has no master, as far as the index knows.
    pub fn without_master(&self) -> Option<(Why, String)> {
        without_master(&self.status, &self.kind)
    }

    /// Whether it is an asset with content of its own that is not in the recycle bin, as far as
    /// the index knows.
    pub fn is_own_asset(&self) -> bool {
        self.is_asset() && self.without_master().is_none()
    }
}

/// The folder `path` below `base`, or from the storage's top when it is not below; `None` when it
/// climbs.
fn below(base: &str, path: &str) -> Option<String> {
    let parts = |text: &'_ str| -> Vec<String> {
        text.split('/')
            .filter(|part| !matches!(*part, "" | "."))
            .map(str::to_owned)
            .collect()
    };
    let (base, path) = (parts(base), parts(path));
    if path.iter().any(|part| part == "..") {
        return None;
    }
    Some(
        path.strip_prefix(base.as_slice())
            .unwrap_or(&path)
            .join("/"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_relative_to_the_sets_top() {
        for (base, path, dir) in [
            ("/", "", ""),
            ("", "Card/CONTENTS/VIDEO", "Card/CONTENTS/VIDEO"),
            ("Card", "Card/CONTENTS//VIDEO/", "CONTENTS/VIDEO"),
            ("/Card/", "./Card", ""),
            ("Card", "Cardigan/x", "Cardigan/x"),
        ] {
            assert_eq!(below(base, path).as_deref(), Some(dir), "{base:?} {path:?}");
        }
        assert_eq!(below("a", "a/../../etc"), None);
    }
}
