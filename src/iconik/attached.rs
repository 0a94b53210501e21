//! Files of an asset that are not its master: proxies of its users' making, documents, reports.

use futures::TryStreamExt as _;

use super::files::{FileSetStatus, FileStatus, FileType, FormatStatus};
use super::{Asset, Client, Error, File, FileSet, Format, Master, MasterFile};
use crate::types::{AssetId, VersionId};

/// The format that holds the master.
const ORIGINAL: &str = "ORIGINAL";

/// A file with what it belongs to.
#[derive(Clone, Debug)]
pub struct Attached {
    /// Its format, whose name says what it is for.
    pub format: Format,
    /// The copy it belongs to; a format may have several.
    pub file_set: FileSet,
    /// The file.
    pub file: File,
}

impl Attached {
    /// The file as the master that it would be, so that it can be filed with the same guarantees;
    /// `None` while iconik does not know its size or version.
    pub fn master(&self, asset: &Asset) -> Option<Master> {
        let version = self.format.version_id.clone();
        let version = version.or_else(|| Some(asset.current_version()?.id.clone()))?;
        let number = asset
            .versions_in_order()
            .iter()
            .position(|one| one.id == version)
            .and_then(|place| i64::try_from(place + 1).ok());
        let file = MasterFile::of(&self.file, String::new())?;
        Some(Master {
            asset: asset.id.clone(),
            title: format!("{}: {}", asset.title, file.name),
            version,
            version_number: number.unwrap_or(1),
            format: self.format.id.clone(),
            file_set: self.file_set.id.clone(),
            name: file.name.clone(),
            storage: self.file_set.storage_id.clone(),
            method: self.file.storage_method.clone(),
            files: vec![file],
            many: false,
            archived: false,
            archive_status: self.format.archive_status.clone(),
            external_id: None,
            collections: asset.in_collections.clone(),
            date_created: self.file.file_date_created,
        })
    }
}

impl Client {
    /// The complete files of a version in every format but `ORIGINAL`, of the newest version
    /// without one. What is in the recycle bin or archived is left out. One call for each format
    /// and each copy; formats hold few files.
    ///
    /// # Errors
    ///
    /// Whatever prevents a clear answer.
    pub async fn attached_files(
        &self,
        asset: &AssetId,
        version: Option<&VersionId>,
    ) -> Result<Vec<Attached>, Error> {
        let mut attached = Vec::new();
        let mut formats = self.formats(asset, version);
        while let Some(format) = formats.try_next().await? {
            if format.name.as_deref() == Some(ORIGINAL) || format.status == FormatStatus::Deleted {
                continue;
            }
            let mut sets = self.file_sets(asset, &format.id);
            while let Some(file_set) = sets.try_next().await? {
                if matches!(
                    file_set.status,
                    FileSetStatus::Archived | FileSetStatus::Deleted
                ) {
                    continue;
                }
                let mut files = self.files(asset, &file_set.id, false);
                while let Some(file) = files.try_next().await? {
                    let bytes = !matches!(file.kind, FileType::Directory | FileType::Symlink);
                    if file.status == FileStatus::Closed && bytes {
                        attached.push(Attached {
                            format: format.clone(),
                            file_set: file_set.clone(),
                            file,
                        });
                    }
                }
            }
        }
        Ok(attached)
    }
}
