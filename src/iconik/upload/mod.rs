//! Puts files into iconik: format, file set and row first, then the bytes straight to the storage,
//! then the row is closed.
//!
//! Each step looks for what is there before it makes anything, so that whoever was killed in
//! between goes on. S3 and its kin, Google Cloud Storage, Azure and B2 are served, each by its own
//! protocol; memory holds one part. Addresses are signed just before use and never kept.
//!
//! | File | Holds |
//! |---|---|
//! | `mod.rs` | the place of an upload: asset version, format, file set, row |
//! | `sending` | its bytes there, in order, part by part |
//! | `s3`, `google`, `azure`, `b2` | how each kind of storage takes them |
//! | `content` | requests to a storage, and the bytes back |

mod azure;
mod b2;
mod content;
mod google;
mod s3;
mod sending;

use ::http::Method as Verb;
use futures::TryStreamExt as _;
use serde_json::json;

pub use sending::Sending;

use super::call::Call;
use super::{Asset, Client, Error, FileSetStatus, FileStatus, FileType, FormatStatus, Locator};
use crate::types::{AssetId, ByteCount, Failure, FileId, FormatId, Reason, StorageId, VersionId};

/// The format that holds an asset's own content.
const FORMAT: &str = "ORIGINAL";

/// A file to put into iconik.
#[derive(Clone, Debug)]
pub struct NewUpload {
    /// The asset.
    pub asset: AssetId,
    /// Its version, which has to be the current one: iconik gives a new format to that.
    pub version: VersionId,
    /// The storage it goes to.
    pub storage: StorageId,
    /// Its folder there. Ours alone: the file set is found again by this.
    pub directory: String,
    /// Its name.
    pub name: String,
    /// Its media type.
    pub mime: String,
    /// Bytes.
    pub size: ByteCount,
}

/// Where an upload goes.
#[derive(Clone, Debug)]
pub struct Upload {
    at: Locator,
    size: ByteCount,
    name: String,
    /// Whether iconik calls it complete.
    pub closed: bool,
}

impl Upload {
    /// The file row.
    pub fn file(&self) -> &FileId {
        &self.at.file
    }
}

impl Client {
    /// Folders of the file sets that a version's content has; none before it has content.
    ///
    /// # Errors
    ///
    /// Whatever prevents a clear answer.
    pub async fn content_folders(
        &self,
        asset: &AssetId,
        version: &VersionId,
    ) -> Result<Vec<String>, Error> {
        let mut folders = Vec::new();
        let mut formats = self.formats(asset, Some(version));
        while let Some(format) = formats.try_next().await? {
            if format.status == FormatStatus::Deleted {
                continue;
            }
            let mut sets = self.file_sets(asset, &format.id);
            while let Some(set) = sets.try_next().await? {
                if set.status != FileSetStatus::Deleted {
                    folders.push(set.base_dir.unwrap_or_default());
                }
            }
        }
        Ok(folders)
    }

    /// Gives an asset a new version, which becomes the current one; the asset as it is then. Not
    /// safe to repeat: look whether the current version has content first.
    ///
    /// # Errors
    ///
    /// [`Error::Status`] with 409 while iconik works on the asset.
    pub async fn add_version(&self, asset: &AssetId) -> Result<Asset, Error> {
        let call = Call::new(
            Verb::POST,
            &["assets", "v1", "assets", asset.as_str(), "versions"],
            "can_write_versions",
            format!("adding a version to asset {asset}"),
        )
        .body(json!({"copy_metadata": true}));
        self.done(&call).await?;
        self.asset(asset).await
    }

    /// Finds the place of an upload, or makes it. Safe to repeat.
    ///
    /// # Errors
    ///
    /// `ItemIsWrong` for a storage that takes no uploads of this kind, and where the token's user
    /// may not.
    pub async fn ensure_upload(&self, new: &NewUpload) -> Result<Upload, Failure> {
        let asset = &new.asset;
        let wrong = |what: String| Failure::item(Reason::Other, what);
        let storage = self.storage(&new.storage).await?.ok_or_else(|| {
            wrong(format!(
                "iconik has no storage {} that longhaul may see",
                new.storage
            ))
        })?;
        if !sending::is_served(&storage.method) {
            return Err(wrong(format!(
                "storage {} is reached by {}; files are put on S3 and compatible, GCS, AZURE and B2 storages only: name one of those",
                storage.label(),
                storage.method.as_str()
            )));
        }
        if storage.owns_external_ids() {
            return Err(wrong(format!(
                "a scanner of storage {} takes external ids from file names, and this asset is found again by its own; name another storage",
                storage.label()
            )));
        }
        let format = match self.own_format(new).await? {
            Some(format) => format,
            None => {
                let call = Call::new(
                    Verb::POST,
                    &["files", "v1", "assets", asset.as_str(), "formats"],
                    "can_write_formats",
                    format!("giving asset {asset} a format"),
                );
                self.done(&call.body(json!({
                    "name": FORMAT,
                    "metadata": [{"internet_media_type": new.mime}],
                    "storage_methods": [storage.method.as_str()],
                })))
                .await?;
                let made = self.own_format(new).await?;
                made.ok_or_else(|| {
                    Failure::transient(format!(
                        "version {} of asset {asset} is not the current one any more",
                        new.version
                    ))
                })?
            }
        };
        let sets = async || -> Result<_, Error> {
            let mut sets = self.file_sets(asset, &format);
            while let Some(set) = sets.try_next().await? {
                if set.status == FileSetStatus::Active
                    && set.base_dir.as_deref() == Some(new.directory.as_str())
                    && set.storage_id.as_ref() == Some(&new.storage)
                {
                    return Ok(Some(set.id));
                }
            }
            Ok(None)
        };
        let set = match sets().await? {
            Some(set) => set,
            None => {
                let call = Call::new(
                    Verb::POST,
                    &["files", "v1", "assets", asset.as_str(), "file_sets"],
                    "can_write_files",
                    format!("giving asset {asset} a file set"),
                );
                self.done(&call.body(json!({
                    "name": new.name, "format_id": format.as_str(), "storage_id": new.storage.as_str(),
                    "base_dir": new.directory, "component_ids": [],
                })))
                .await?;
                let made = sets().await?;
                made.ok_or_else(|| Failure::transient("iconik does not list the file set it made"))?
            }
        };
        let row = async || -> Result<_, Error> {
            let mut rows = self.files(asset, &set, false);
            while let Some(row) = rows.try_next().await? {
                if row.kind == FileType::File && row.status != FileStatus::Deleted {
                    return Ok(Some(row));
                }
            }
            Ok(None)
        };
        let row = match row().await? {
            Some(row) => row,
            None => {
                let call = Call::new(
                    Verb::POST,
                    &["files", "v1", "assets", asset.as_str(), "files"],
                    "can_write_files",
                    format!("giving asset {asset} a file"),
                );
                self.done(&call.body(json!({
                    "original_name": new.name, "directory_path": new.directory, "size": new.size,
                    "type": "FILE", "storage_id": new.storage.as_str(),
                    "file_set_id": set.as_str(), "format_id": format.as_str(),
                })))
                .await?;
                let made = row().await?;
                made.ok_or_else(|| Failure::transient("iconik does not list the file it made"))?
            }
        };
        if row.size.is_some_and(|size| size != new.size) {
            return Err(wrong(format!(
                "file {} of asset {asset} is for {} bytes, and the content has {}; delete its file set in iconik",
                row.id,
                row.size.unwrap_or_default(),
                new.size
            )));
        }
        Ok(Upload {
            closed: row.status == FileStatus::Closed,
            at: Locator {
                asset: asset.clone(),
                version: new.version.clone(),
                format,
                file_set: set,
                file: row.id,
                storage: Some(new.storage.clone()),
                method: storage.method.clone(),
                directory: new.directory.clone(),
                name: row.name.unwrap_or_else(|| new.name.clone()),
                checksum: None,
                files: 1,
            },
            size: new.size,
            name: new.name.clone(),
        })
    }

    /// The content's format of a version.
    async fn own_format(&self, new: &NewUpload) -> Result<Option<FormatId>, Error> {
        let mut formats = self.formats(&new.asset, Some(&new.version));
        while let Some(format) = formats.try_next().await? {
            let own = format
                .version_id
                .as_ref()
                .is_none_or(|own| *own == new.version);
            if own
                && format.name.as_deref() == Some(FORMAT)
                && format.status != FormatStatus::Deleted
            {
                return Ok(Some(format.id));
            }
        }
        Ok(None)
    }

    /// Says that a file is complete, or that it is not. Safe to repeat.
    ///
    /// # Errors
    ///
    /// iconik's.
    pub async fn set_closed(&self, upload: &Upload, closed: bool) -> Result<(), Error> {
        let status = if closed { "CLOSED" } else { "OPEN" };
        let call = self
            .of_file(Verb::PATCH, upload, &[])
            .body(json!({"status": status}))
            .repeatable();
        self.done(&call).await
    }

    fn of_file(&self, verb: Verb, upload: &Upload, below: &[&str]) -> Call {
        let (asset, file) = (upload.at.asset.as_str(), upload.at.file.as_str());
        let mut path = vec!["files", "v1", "assets", asset, "files", file];
        path.extend(below);
        Call::new(
            verb,
            &path,
            "can_write_files",
            format!("uploading file {file}"),
        )
    }
}
