//! Puts files into iconik: format, file set and row first, then the bytes straight to the storage,
//! then the row is closed.
//!
//! Each step looks for what is there before it makes anything, so that whoever was killed in
//! between goes on. A small file is one PUT; a large one goes in parts (S3's multipart upload), of
//! which the store itself says after a restart which ones it has. Only S3 and its kin are served:
//! how the others take an upload is another protocol each. Addresses are signed just before use
//! and never kept.

use std::collections::BTreeMap;

use ::http::header::ETAG;
use ::http::{Method as Verb, StatusCode};
use bytes::Bytes;
use futures::TryStreamExt as _;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::call::Call;
use super::tolerant::text;
use super::{
    Asset, Client, Error, FileSetStatus, FileStatus, FileType, FormatStatus, Locator, Method,
    bucket,
};
use crate::http::{Answer, Body, Repeat, Request, SignedUrl};
use crate::transfer::{Source as _, SourceFile};
use crate::types::{
    AssetId, ByteCount, ByteRange, Failure, FailureClass, FileId, MIB, Reason, Sha256Digest,
    StorageId, VersionId,
};

/// The format that holds an asset's own content.
const FORMAT: &str = "ORIGINAL";
/// Most of a store's answer that is read: a list of 10,000 parts is some 3 MiB.
const ANSWER: usize = 8 << 20;
/// Bytes read back at once.
const READ: ByteCount = 8 * MIB;

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

/// A part that a store has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its entity tag, with quotes where the store writes them.
    pub etag: String,
    /// Bytes.
    pub size: ByteCount,
}

/// Addresses that a file row has for its upload.
#[derive(Deserialize)]
struct Addresses {
    #[serde(default, deserialize_with = "text")]
    upload_url: Option<String>,
    #[serde(default, deserialize_with = "text")]
    multipart_upload_url: Option<String>,
}

/// Addresses of a multipart upload.
#[derive(Deserialize)]
struct PartsAddresses {
    #[serde(default, deserialize_with = "text")]
    complete_url: Option<String>,
    #[serde(default, deserialize_with = "text")]
    list_parts_url: Option<String>,
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
        if storage.method != Method::S3 {
            return Err(wrong(format!(
                "storage {} is reached by {}; files are put on S3 and compatible storages only",
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
    async fn own_format(&self, new: &NewUpload) -> Result<Option<crate::types::FormatId>, Error> {
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

    /// Puts a whole file. Safe to repeat: it replaces what was put before.
    ///
    /// # Errors
    ///
    /// The store's.
    pub async fn put_whole(&self, upload: &Upload, content: Bytes) -> Result<(), Failure> {
        let address = self.upload_addresses(upload).await?.upload_url;
        let body = Body::Chunks(vec![content]);
        self.store(Verb::PUT, address, body, &upload.name).await?;
        Ok(())
    }

    /// Begins an upload in parts; its id at the store.
    ///
    /// # Errors
    ///
    /// The store's.
    pub async fn begin_parts(&self, upload: &Upload) -> Result<String, Failure> {
        let address = self.upload_addresses(upload).await?.multipart_upload_url;
        let answer = self
            .store(Verb::POST, address, Body::Empty, &upload.name)
            .await?;
        let xml = String::from_utf8_lossy(&answer.body);
        let id = elements(&xml, "UploadId").next().map(unescaped);
        id.filter(|id| !id.is_empty()).ok_or_else(|| {
            Failure::transient("the storage began an upload in parts and did not name it")
        })
    }

    /// The parts that the store has of an upload; nothing when it does not know the upload (any
    /// more).
    ///
    /// # Errors
    ///
    /// The store's.
    pub async fn parts_there(
        &self,
        upload: &Upload,
        id: &str,
    ) -> Result<Option<BTreeMap<u32, Part>>, Failure> {
        let address = self.parts_addresses(upload, id).await?.list_parts_url;
        let answer = match self
            .store(Verb::GET, address, Body::Empty, &upload.name)
            .await
        {
            Ok(answer) => answer,
            Err(failure) if failure.reason == Reason::NotFound => return Ok(None),
            Err(failure) => return Err(failure),
        };
        let xml = String::from_utf8_lossy(&answer.body);
        let mut parts = BTreeMap::new();
        for part in elements(&xml, "Part") {
            let of = |name| elements(part, name).next().map(unescaped);
            let number = of("PartNumber").and_then(|number| number.parse().ok());
            let size = of("Size").and_then(|size| size.parse().ok());
            if let (Some(number), Some(size), Some(etag)) = (number, size, of("ETag")) {
                parts.insert(number, Part { etag, size });
            }
        }
        Ok(Some(parts))
    }

    /// Puts a part. Safe to repeat: it replaces what was put before.
    ///
    /// # Errors
    ///
    /// The store's; `NotFound` when it does not know the upload (any more).
    pub async fn put_part(
        &self,
        upload: &Upload,
        id: &str,
        number: u32,
        parts: u32,
        content: Bytes,
    ) -> Result<Part, Failure> {
        let size = content.len() as u64;
        let call = self
            .of_file(Verb::GET, upload, &["multipart_url", "part"])
            .query("upload_id", id)
            .query("parts_num", parts)
            .query("per_page", 1)
            .query("page", number);
        let page: Value = self.json(&call).await?;
        let rows = page.get("objects").and_then(Value::as_array);
        let row = rows
            .into_iter()
            .flatten()
            .find(|row| row["number"] == number);
        let address = row.and_then(|row| row["url"].as_str()).map(str::to_owned);
        let answer = self
            .store(
                Verb::PUT,
                address,
                Body::Chunks(vec![content]),
                &upload.name,
            )
            .await?;
        let etag = answer.header(&ETAG).map(str::to_owned).ok_or_else(|| {
            Failure::transient(format!(
                "the storage took part {number} without an entity tag"
            ))
        })?;
        Ok(Part { etag, size })
    }

    /// Makes one object of the parts. A store that does not know the upload any more may have made
    /// it before: [`read_back`](Self::read_back) tells.
    ///
    /// # Errors
    ///
    /// The store's.
    pub async fn finish_parts(
        &self,
        upload: &Upload,
        id: &str,
        parts: &BTreeMap<u32, Part>,
    ) -> Result<(), Failure> {
        let address = self.parts_addresses(upload, id).await?.complete_url;
        let mut xml = "<CompleteMultipartUpload>".to_owned();
        for (number, part) in parts {
            let etag = crate::sidecar::escaped(&part.etag);
            xml.push_str(&format!(
                "<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>"
            ));
        }
        xml.push_str("</CompleteMultipartUpload>");
        let body = Body::Chunks(vec![xml.into()]);
        match self.store(Verb::POST, address, body, &upload.name).await {
            // The store begins its answer before it is done, and may say then that it failed.
            Ok(answer) if String::from_utf8_lossy(&answer.body).contains("<Error>") => {
                return Err(Failure::transient(
                    "the storage could not put the parts together",
                ));
            }
            Ok(_) => {}
            Err(failure) if failure.reason == Reason::NotFound => {}
            Err(failure) => return Err(failure),
        }
        let call = self
            .of_file(Verb::POST, upload, &["multipart", "cleanup"])
            .body(json!({"upload_id": id, "abort_upload": false}))
            .repeatable();
        // Only iconik's own notes about the parts are left behind.
        if let Err(error) = self.done(&call).await {
            tracing::debug!(%error, "notes about an upload in parts are left");
        }
        Ok(())
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

    /// Reads a closed file back from the storage: its digest, when it has as many bytes as it
    /// should have.
    ///
    /// # Errors
    ///
    /// The store's; `SourceChanged` for another size.
    pub async fn read_back(&self, upload: &Upload) -> Result<Sha256Digest, Failure> {
        let reader = self.reader();
        let file = SourceFile {
            locator: upload.at.to_text(),
            name: upload.name.clone(),
            size: upload.size,
        };
        // What is kept of the row may be older than the upload.
        reader.renew(&file).await?;
        let pin = reader.open(&file).await?.validator;
        let mut hasher = Sha256::new();
        let mut from = 0;
        while from < upload.size {
            let range = ByteRange::new(from, (from + READ).min(upload.size));
            let mut stream = match reader.read(&file, range, &pin).await {
                Err(failure) if failure.class == FailureClass::Resign => {
                    reader.renew(&file).await?;
                    reader.read(&file, range, &pin).await?
                }
                other => other?,
            };
            while let Some(frame) = stream.try_next().await? {
                hasher.update(&frame);
            }
            from = range.end;
        }
        Ok(Sha256Digest(hasher.finalize().into()))
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

    async fn upload_addresses(&self, upload: &Upload) -> Result<Addresses, Error> {
        let call = self
            .of_file(Verb::GET, upload, &[])
            .query("generate_signed_post_url", true);
        self.json(&call).await
    }

    async fn parts_addresses(&self, upload: &Upload, id: &str) -> Result<PartsAddresses, Error> {
        let call = self
            .of_file(Verb::GET, upload, &["multipart_url"])
            .query("upload_id", id)
            .query("type", "S3");
        self.json(&call).await
    }

    /// Sends a request to the store; only a success is `Ok`.
    async fn store(
        &self,
        verb: Verb,
        address: Option<String>,
        body: Body,
        name: &str,
    ) -> Result<Answer, Failure> {
        let address = address.filter(|address| !address.is_empty()).ok_or_else(|| {
            Failure::item(
                Reason::Other,
                format!("iconik gives no address to upload {name} to; may longhaul write to that storage?"),
            )
        })?;
        let url = SignedUrl::parse(&address).map_err(Failure::from)?;
        let request = Request::signed(verb, &url).body(body).repeat(Repeat::Safe);
        let response = self.0.http.send(request).await.map_err(Failure::from)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let retry_after = response.retry_after();
        let answer = response.answer(ANSWER).await.map_err(Failure::from)?;
        if matches!(
            status,
            StatusCode::OK | StatusCode::CREATED | StatusCode::NO_CONTENT
        ) {
            return Ok(answer);
        }
        Err(bucket::refusal(status, &headers, &answer.body, retry_after).context(name))
    }
}

/// What stands in the elements of that name, in order; they are not nested.
fn elements<'x>(xml: &'x str, name: &'x str) -> impl Iterator<Item = &'x str> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let mut rest = xml;
    std::iter::from_fn(move || {
        let (_, behind) = rest.split_once(&open)?;
        let (inner, after) = behind.split_once(&close)?;
        rest = after;
        Some(inner)
    })
}

fn unescaped(text: &str) -> String {
    let plain = text.replace("&quot;", "\"").replace("&#34;", "\"");
    let plain = plain.replace("&lt;", "<").replace("&gt;", ">");
    plain.replace("&amp;", "&").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_read_from_a_stores_list() {
        let xml = "<?xml version=\"1.0\"?><ListPartsResult><UploadId>a&amp;b</UploadId>\
                   <Part><PartNumber>1</PartNumber><ETag>&quot;e1&quot;</ETag><Size>5</Size></Part>\
                   <Part><PartNumber>2</PartNumber></ListPartsResult>";
        assert_eq!(
            elements(xml, "UploadId").next().map(unescaped).as_deref(),
            Some("a&b")
        );
        let part = elements(xml, "Part").next().unwrap();
        assert_eq!(
            elements(part, "ETag").next().map(unescaped).as_deref(),
            Some("\"e1\"")
        );
        assert_eq!(elements(xml, "Part").count(), 1, "one breaks off");
        assert_eq!(elements("", "Part").count(), 0);
    }
}
