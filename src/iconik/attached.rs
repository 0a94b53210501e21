//! Files of an asset that are not its master: proxies of its users' making, documents, reports.

use futures::TryStreamExt as _;

use super::files::{FileSetStatus, FileStatus, FileType, FormatStatus};
use super::{Client, Error, File, FileSet, Format};
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
