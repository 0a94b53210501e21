//! Storages, formats, file sets and files.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use futures::TryStreamExt as _;
use jiff::Timestamp;
use serde::Deserialize;
use tokio::sync::Mutex;

use super::call::Call;
use super::pages::{Rows, Style};
use super::tolerant::{date, flag, id, maybe_id, size, text, texts, words};
use super::{ArchiveStatus, Client, Error};
use crate::types::{
    AssetId, ByteCount, FileId, FileSetId, FormatId, Md5Digest, StorageId, VersionId,
};

words! {
    /// How a storage is reached.
    Method {
        /// An on-premise share behind a gateway: no addresses, only mounts.
        File = "FILE",
        /// A web server.
        Http = "HTTP",
        /// An FTP server.
        Ftp = "FTP",
        /// An SFTP server.
        Sftp = "SFTP",
        /// Amazon S3 or a compatible store.
        S3 = "S3",
        /// Backblaze B2.
        B2 = "B2",
        /// Google Cloud Storage.
        Gcs = "GCS",
        /// Azure Blob Storage.
        Azure = "AZURE",
        /// iconik's own portal.
        Portal = "PORTAL",
        /// Something a customer made.
        Custom = "CUSTOM",
    }
}

impl Method {
    /// Whether the storage is an object store that signs addresses.
    pub fn is_cloud(&self) -> bool {
        matches!(self, Self::S3 | Self::B2 | Self::Gcs | Self::Azure)
    }
}

words! {
    /// Whether a format is in the recycle bin.
    FormatStatus {
        /// In use.
        Active = "ACTIVE",
        /// In the recycle bin.
        Deleted = "DELETED",
    }
}

words! {
    /// What a file set is.
    FileSetStatus {
        /// A copy in use.
        Active = "ACTIVE",
        /// A copy whose bytes went to the archive.
        Archived = "ARCHIVED",
        /// In the recycle bin.
        Deleted = "DELETED",
    }
}

words! {
    /// How the rows of a file set are meant.
    FileSetKind {
        /// A row is an object.
        Regular = "REGULAR",
        /// A row may be a pattern for many objects.
        ManyFiles = "MANY_FILES",
    }
}

words! {
    /// What a file row is.
    FileType {
        /// A file.
        File = "FILE",
        /// A directory: no bytes.
        Directory = "DIRECTORY",
        /// A symbolic link.
        Symlink = "SYMLINK",
    }
}

words! {
    /// How far a file is.
    FileStatus {
        /// Being written.
        Open = "OPEN",
        /// Being written to a watched folder.
        Growing = "GROWING",
        /// Announced, not there yet.
        Awaited = "AWAITED",
        /// Complete. The only status that promises whole bytes.
        Closed = "CLOSED",
        /// Could not be written.
        Failed = "FAILED",
        /// In cold storage.
        Archived = "ARCHIVED",
        /// Not found where it was.
        Missing = "MISSING",
        /// Found again, not yet looked at.
        Rediscovered = "REDISCOVERED",
        /// In the recycle bin.
        Deleted = "DELETED",
    }
}

/// A storage.
#[derive(Clone, Debug, Deserialize)]
pub struct Storage {
    /// Its id.
    #[serde(deserialize_with = "id")]
    pub id: StorageId,
    /// The name people gave it.
    #[serde(default, deserialize_with = "text")]
    pub name: Option<String>,
    /// How it is reached.
    #[serde(default)]
    pub method: Method,
    /// What it is for: `FILES`, `ARCHIVE`, `PROXIES`, …
    #[serde(default, deserialize_with = "text")]
    pub purpose: Option<String>,
    /// `ACTIVE`, `INACTIVE` or `FAILING`.
    #[serde(default, deserialize_with = "text")]
    pub status: Option<String>,
    #[serde(default, deserialize_with = "settings")]
    settings: Settings,
}

/// The two settings of a storage that matter here; the others may hold its secrets and are not
/// kept.
#[derive(Clone, Debug, Default, Deserialize)]
struct Settings {
    #[serde(default, deserialize_with = "flag")]
    filename_is_external_id: bool,
}

fn settings<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Settings, D::Error> {
    let value = serde_json::Value::deserialize(d)?;
    Ok(Settings::deserialize(value).unwrap_or_default())
}

impl Storage {
    /// Whether its scanner fills `external_id` from file names, so that nobody else may.
    pub fn owns_external_ids(&self) -> bool {
        self.settings.filename_is_external_id
    }

    /// The name people gave it, else its id.
    pub fn label(&self) -> &str {
        self.name
            .as_deref()
            .filter(|name| !name.is_empty())
            .unwrap_or(self.id.as_str())
    }
}

/// A logical rendition of an asset version.
#[derive(Clone, Debug, Deserialize)]
pub struct Format {
    /// Its id.
    #[serde(deserialize_with = "id")]
    pub id: FormatId,
    /// Its name; `ORIGINAL` is the master's.
    #[serde(default, deserialize_with = "text")]
    pub name: Option<String>,
    /// Whether it is in the recycle bin.
    #[serde(default)]
    pub status: FormatStatus,
    /// Whether it is archived.
    #[serde(default)]
    pub archive_status: ArchiveStatus,
    /// Methods of the storages that hold copies.
    #[serde(default, deserialize_with = "texts")]
    pub storage_methods: Vec<String>,
    /// The version it renders.
    #[serde(default, deserialize_with = "maybe_id")]
    pub version_id: Option<VersionId>,
    /// When it was made.
    #[serde(default, deserialize_with = "date")]
    pub date_created: Option<Timestamp>,
}

/// One copy of a format on one storage.
#[derive(Clone, Debug, Deserialize)]
pub struct FileSet {
    /// Its id.
    #[serde(deserialize_with = "id")]
    pub id: FileSetId,
    /// Its name.
    #[serde(default, deserialize_with = "text")]
    pub name: Option<String>,
    /// Top folder of its files.
    #[serde(default, deserialize_with = "text")]
    pub base_dir: Option<String>,
    /// The storage it is on.
    #[serde(default, deserialize_with = "maybe_id")]
    pub storage_id: Option<StorageId>,
    /// What it is.
    #[serde(default)]
    pub status: FileSetStatus,
    /// Whether it is an archive copy.
    #[serde(default, deserialize_with = "flag")]
    pub is_archive: bool,
    /// How its rows are meant.
    #[serde(default, rename = "type")]
    pub kind: FileSetKind,
    /// Number of objects, when it was asked for.
    #[serde(default, deserialize_with = "size")]
    pub file_count: Option<u64>,
}

/// A file row. Its address is a secret: `Debug` leaves it out.
#[derive(Clone, Deserialize)]
pub struct File {
    /// Its id.
    #[serde(deserialize_with = "id")]
    pub id: FileId,
    /// The name its user gave it.
    #[serde(default, deserialize_with = "text")]
    pub original_name: Option<String>,
    /// The name it is stored under.
    #[serde(default, deserialize_with = "text")]
    pub name: Option<String>,
    /// Its folder, relative to the storage.
    #[serde(default, deserialize_with = "text")]
    pub directory_path: Option<String>,
    /// Size in bytes.
    #[serde(default, deserialize_with = "size")]
    pub size: Option<ByteCount>,
    /// What it is.
    #[serde(default, rename = "type")]
    pub kind: FileType,
    /// How far it is.
    #[serde(default)]
    pub status: FileStatus,
    /// What iconik calls its checksum; see [`md5`](Self::md5).
    #[serde(default, deserialize_with = "text")]
    pub checksum: Option<String>,
    /// The storage it is on.
    #[serde(default, deserialize_with = "maybe_id")]
    pub storage_id: Option<StorageId>,
    /// How that storage is reached.
    #[serde(default)]
    pub storage_method: Method,
    /// When the file itself was made.
    #[serde(default, deserialize_with = "date")]
    pub file_date_created: Option<Timestamp>,
    /// When the file itself was changed last.
    #[serde(default, deserialize_with = "date")]
    pub file_date_modified: Option<Timestamp>,
    /// When the row was changed last.
    #[serde(default, deserialize_with = "date")]
    pub date_modified: Option<Timestamp>,
    /// A pattern, when the row stands for many objects.
    #[serde(default, deserialize_with = "text")]
    pub template: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub(super) url: Option<String>,
}

impl File {
    /// The checksum as an MD5, when it is one: 32 hex digits and nothing else. Composite values of
    /// multipart uploads (`…-12`) are none.
    pub fn md5(&self) -> Option<Md5Digest> {
        self.checksum
            .as_deref()?
            .trim()
            .to_ascii_lowercase()
            .parse()
            .ok()
    }

    /// The name to show and file: the user's, else the stored one, else the id.
    pub fn display_name(&self) -> &str {
        [self.original_name.as_deref(), self.name.as_deref()]
            .into_iter()
            .flatten()
            .find(|name| !name.is_empty())
            .unwrap_or(self.id.as_str())
    }
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("File")
            .field("id", &self.id)
            .field("name", &self.display_name())
            .field("size", &self.size)
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

/// Storages by id; `None` for one that may not be read.
#[derive(Default)]
pub(super) struct StorageCache(Mutex<HashMap<StorageId, Option<Arc<Storage>>>>);

impl Client {
    /// Every storage the token's user can see.
    pub fn storages(&self) -> Rows<Storage> {
        let call = Call::get(
            &["files", "v1", "storages"],
            "can_read_storages",
            "listing storages",
        );
        self.rows(call, Style::Page, true)
    }

    /// A storage; kept, so that it costs a call only once. `None` when it is gone or the token's
    /// user may not see it.
    ///
    /// # Errors
    ///
    /// Whatever prevents a clear answer.
    pub async fn storage(&self, storage: &StorageId) -> Result<Option<Arc<Storage>>, Error> {
        // Held over the call: many askers at once cause one.
        let mut kept = self.0.storages.0.lock().await;
        if let Some(known) = kept.get(storage) {
            return Ok(known.clone());
        }
        let call = Call::get(
            &["files", "v1", "storages", storage.as_str()],
            "can_read_storages",
            format!("reading storage {storage}"),
        );
        let found = match self.json::<Storage>(&call).await {
            Ok(found) => Some(Arc::new(found)),
            Err(error) if error.is_not_found() || error.is_forbidden() => {
                tracing::warn!(%storage, error = %error, "storage is only known by its id");
                None
            }
            Err(error) => return Err(error),
        };
        kept.insert(storage.clone(), found.clone());
        Ok(found)
    }

    /// The formats of one version of an asset; of the newest one without `version`.
    pub fn formats(&self, asset: &AssetId, version: Option<&VersionId>) -> Rows<Format> {
        let mut path = vec!["files", "v1", "assets", asset.as_str()];
        if let Some(version) = version {
            path.extend(["versions", version.as_str()]);
        }
        path.push("formats");
        let call = Call::get(
            &path,
            "can_read_formats",
            format!("listing the formats of asset {asset}"),
        );
        self.rows(call, Style::LastId, true)
    }

    /// The copies of a format.
    pub fn file_sets(&self, asset: &AssetId, format: &FormatId) -> Rows<FileSet> {
        let call = Call::get(
            &[
                "files",
                "v1",
                "assets",
                asset.as_str(),
                "formats",
                format.as_str(),
                "file_sets",
            ],
            "can_read_files",
            format!("listing the file sets of format {format}"),
        );
        self.rows(call, Style::LastId, true)
    }

    /// How many objects a file set has, when iconik says so.
    ///
    /// # Errors
    ///
    /// Whatever prevents a clear answer.
    pub async fn file_count(
        &self,
        asset: &AssetId,
        version: &VersionId,
        file_set: &FileSetId,
    ) -> Result<Option<u64>, Error> {
        let call = Call::get(
            &[
                "files",
                "v1",
                "assets",
                asset.as_str(),
                "versions",
                version.as_str(),
                "file_sets",
            ],
            "can_read_files",
            format!("counting the files of file set {file_set}"),
        )
        .query("file_count", true);
        let mut sets = self.rows::<FileSet>(call, Style::LastId, true);
        while let Some(set) = sets.try_next().await? {
            if set.id == *file_set {
                return Ok(set.file_count);
            }
        }
        Ok(None)
    }

    /// The files of a file set. With `addresses`, each row is signed, which is slow but saves a
    /// call per file.
    pub fn files(&self, asset: &AssetId, file_set: &FileSetId, addresses: bool) -> Rows<File> {
        let call = Call::get(
            &[
                "files",
                "v1",
                "assets",
                asset.as_str(),
                "file_sets",
                file_set.as_str(),
                "files",
            ],
            "can_read_files",
            format!("listing the files of file set {file_set}"),
        )
        .query("generate_signed_url", addresses);
        self.rows(call, Style::LastId, true)
    }

    /// A file, with an address signed for this call: without being told so, iconik may hand out
    /// one that it signed up to a day ago.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] when its row is gone.
    pub async fn file(&self, asset: &AssetId, file: &FileId) -> Result<File, Error> {
        let call = Call::get(
            &[
                "files",
                "v1",
                "assets",
                asset.as_str(),
                "files",
                file.as_str(),
            ],
            "can_read_files",
            format!("reading file {file}"),
        )
        .query("bypass_url_cache", true);
        self.json(&call).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(json: &str) -> File {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn only_32_hex_digits_are_an_md5() {
        let md5 = |checksum: &str| file(&format!(r#"{{"id":"f","checksum":{checksum}}}"#)).md5();
        assert!(md5(r#""0123456789abcdef0123456789ABCDEF""#).is_some());
        for other in [
            "null",
            r#""0123456789abcdef0123456789abcdef-4""#,
            r#""abc""#,
            "17",
        ] {
            assert_eq!(md5(other), None, "{other}");
        }
    }

    #[test]
    fn a_files_address_is_in_no_debug_output() {
        let file = file(r#"{"id":"f","url":"https://bucket.test/k?X-Amz-Signature=canary"}"#);
        assert!(!format!("{file:?}").contains("canary"));
    }

    #[test]
    fn a_file_is_named_as_its_user_named_it() {
        let named = |json: &str| file(json).display_name().to_owned();
        assert_eq!(named(r#"{"id":"f","name":"s","original_name":"o"}"#), "o");
        assert_eq!(named(r#"{"id":"f","name":"s","original_name":""}"#), "s");
        assert_eq!(named(r#"{"id":"f"}"#), "f");
    }

    #[test]
    fn a_storages_secrets_are_not_kept() {
        let storage: Storage = serde_json::from_str(
            r#"{"id":"s","method":"S3","settings":{"secret_key":"canary","filename_is_external_id":true}}"#,
        )
        .unwrap();
        assert!(storage.owns_external_ids());
        assert!(!format!("{storage:?}").contains("canary"));
        let odd: Storage = serde_json::from_str(r#"{"id":"s","settings":[1]}"#).unwrap();
        assert!(!odd.owns_external_ids());
    }
}
