//! A document's content as a file in iconik, when a rule asks for it.
//!
//! The bytes come from Content Server in file order, are hashed on the way, and go straight to the
//! storage, part by part and by the storage's own protocol: memory holds one part. The asset
//! version, the upload's id and the digest are remembered before the next step; a folder that has the document's version in its name finds
//! the file again without the ledger. A copy counts as made when iconik gives back the same bytes.

use bytes::BytesMut;
use futures::TryStreamExt as _;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::remember::Reference;
use super::{At, References, entry, fact};
use crate::content_server::Listed;
use crate::flows::Error;
use crate::iconik::{NewUpload, Sending, Upload};
use crate::ledger::Change;
use crate::telemetry::crash_point;
use crate::types::{
    AssetId, ByteCount, Failure, FailureClass, FileId, NodeId, Reason, Sha256Digest, StorageId,
    VersionId, VersionNumber,
};

/// How often an upload is begun again after a passing disturbance, in one run.
const ATTEMPTS: u32 = 3;

/// How content is copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copying {
    /// The storage it goes to.
    pub storage: StorageId,
    /// Whether a new version of the document becomes a new version of the asset; else the copy
    /// stays that of the version that was copied first.
    pub versions: bool,
}

impl Copying {
    /// Whether nothing is left to copy.
    pub(super) fn is_done(&self, known: &Reference) -> bool {
        known.copy.as_ref().is_some_and(|copy| {
            let is_whole = copy.sha256.is_some();
            is_whole && (copy.document_version == known.version || !self.versions)
        })
    }
}

/// A copy of a document's version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Copied {
    /// The document's version.
    pub document_version: i64,
    /// The version of the asset that has it.
    pub version: Option<VersionId>,
    /// The file in iconik.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<FileId>,
    /// Bytes.
    pub size: ByteCount,
    /// The upload in parts that is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upload: Option<String>,
    /// The digest, once iconik gave the same bytes back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

impl Copied {
    /// The same, to be made once more.
    pub(super) fn unproved(self) -> Self {
        Self {
            sha256: None,
            ..self
        }
    }
}

/// A document's version on its way.
struct Way<'a> {
    at: &'a At<'a>,
    node: NodeId,
    asset: AssetId,
    upload: Upload,
}

impl References<'_> {
    /// Copies the content of a document that is shown, as far as that is not done.
    pub(super) async fn copy(
        &self,
        at: &At<'_>,
        listed: &Listed,
        now: &mut Reference,
        copying: &Copying,
    ) -> Result<(), Error> {
        let Some(asset) = now.link.clone().filter(|_| !copying.is_done(now)) else {
            return Ok(());
        };
        let versions = self.systems.destination.versions(listed.node).await?;
        let number = match &now.copy {
            Some(copy) if !copying.versions => copy.document_version,
            _ => now.version,
        };
        let version = versions.iter().find(|version| version.number.0 == number);
        let version = version.ok_or_else(|| {
            let what = format!("document {} has no version {number} any more", listed.node);
            Failure::item(Reason::Incomplete, what)
        })?;
        let directory = format!("longhaul/{asset}/{}-v{number}", listed.node);
        let asset_version = self.version_for(&asset, &directory).await?;
        let before = now.copy.take().filter(|copy| {
            copy.document_version == number && copy.version.as_ref() == Some(&asset_version)
        });
        let mut copied = before.unwrap_or(Copied {
            document_version: number,
            version: Some(asset_version.clone()),
            file: None,
            size: version.size,
            upload: None,
            sha256: None,
        });
        let new = NewUpload {
            asset: asset.clone(),
            version: asset_version,
            storage: copying.storage.clone(),
            directory,
            name: file_name(&now.name, &version.file_name),
            mime: now.kind.clone(),
            size: version.size,
        };
        let upload = self.systems.iconik.ensure_upload(&new).await?;
        copied.file = Some(upload.file().clone());
        let way = Way {
            at,
            node: listed.node,
            asset,
            upload,
        };
        self.note(&way, now, &copied, None).await?;
        crash_point("copy-placed");
        let mut attempt = 1;
        let digest = loop {
            let failure = match self.carry(&way, now, &mut copied).await {
                Ok(digest) => break digest,
                Err(Error::Engine(failure)) => failure,
                Err(error) => return Err(error),
            };
            match failure.class {
                FailureClass::RetryNow | FailureClass::Resign if attempt < ATTEMPTS => {
                    tracing::debug!(node = %way.node, attempt, %failure, "copied again");
                    attempt += 1;
                }
                // Each address was signed a moment before.
                FailureClass::Resign => {
                    let what = format!(
                        "storage {} refuses what iconik signed for it: {failure}",
                        copying.storage
                    );
                    return Err(Failure::item(Reason::Other, what).into());
                }
                _ => return Err(failure.into()),
            }
        };
        copied.upload = None;
        copied.sha256 = Some(digest.to_string());
        let line = json!({
            "rule": at.rule, "node": way.node, "version": number, "asset": way.asset,
            "file": copied.file, "sha256": digest.to_string(), "size": copied.size,
        });
        self.note(&way, now, &copied, Some(("reference-copied", line)))
            .await?;
        now.copy = Some(copied);
        Ok(())
    }

    /// Whether a copy is still in iconik as it was made.
    pub(super) async fn is_copied(&self, known: &Reference) -> Result<bool, Error> {
        let Some(copy) = &known.copy else {
            return Ok(!known.place.is_copy());
        };
        let (Some(asset), Some(file)) = (&known.link, &copy.file) else {
            return Ok(false);
        };
        match self.systems.iconik.file(asset, file).await {
            Ok(row) => Ok(row.status == crate::iconik::FileStatus::Closed),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// The version of the asset that the content goes to: the current one while it has none, or
    /// has this; else a new one.
    async fn version_for(&self, asset: &AssetId, directory: &str) -> Result<VersionId, Error> {
        let iconik = &self.systems.iconik;
        let none = || Failure::item(Reason::Other, format!("asset {asset} has no version"));
        let found = iconik.asset(asset).await?;
        let current = found.current_version().ok_or_else(none)?.id.clone();
        let folders = iconik.content_folders(asset, &current).await?;
        if folders.is_empty() || folders.iter().any(|own| own == directory) {
            return Ok(current);
        }
        let found = iconik.add_version(asset).await?;
        crash_point("copy-version");
        let new = found.current_version().ok_or_else(none)?.id.clone();
        if new == current {
            // Nothing is put beside content that is there.
            let what = format!("iconik does not show the new version of asset {asset}");
            return Err(Failure::transient(what).into());
        }
        Ok(new)
    }

    /// Remembers how far a copy is.
    async fn note(
        &self,
        way: &Way<'_>,
        now: &Reference,
        copied: &Copied,
        line: Option<(&str, serde_json::Value)>,
    ) -> Result<(), Error> {
        let begun = Reference {
            pending: true,
            copy: Some(copied.clone()),
            ..now.clone()
        };
        let node = way.node.to_string();
        let mut change = Change::new().fact(fact(way.at, &node, &begun, false));
        if let Some((event, data)) = line {
            change = change.journal(entry(event, &data));
        }
        self.apply(change).await
    }

    /// Carries the bytes over, and reads them back.
    async fn carry(
        &self,
        way: &Way<'_>,
        now: &Reference,
        copied: &mut Copied,
    ) -> Result<Sha256Digest, Error> {
        let iconik = &self.systems.iconik;
        // A file that is closed was put before; what it should be is hashed all the same.
        let mut sending = match way.upload.closed {
            true => None,
            false => Some(self.begin(way, now, copied).await?),
        };
        let digest = self.send(way, now, copied, sending.as_mut()).await?;
        crash_point("copy-sent");
        if let Some(sending) = &sending {
            iconik.finish_sending(&way.upload, sending).await?;
            copied.upload = None;
        }
        if !way.upload.closed {
            iconik.set_closed(&way.upload, true).await?;
        }
        crash_point("copy-closed");
        let back = iconik.read_back(&way.upload).await;
        match back {
            Ok(back) if back == digest => Ok(back),
            Err(failure)
                if failure.reason != Reason::SourceChanged
                    && failure.reason != Reason::NotFound =>
            {
                Err(failure.into())
            }
            _ => {
                // Nobody may take it for whole.
                iconik.set_closed(&way.upload, false).await?;
                let what = format!(
                    "the copy of document {} in iconik is not what was sent; it was opened again, and the next run sends it anew",
                    way.node
                );
                Err(Failure::item(Reason::Mismatch, what).into())
            }
        }
    }

    /// Begins to send, or goes on; what that needs after a restart is remembered first.
    async fn begin(
        &self,
        way: &Way<'_>,
        now: &Reference,
        copied: &mut Copied,
    ) -> Result<Sending, Error> {
        let iconik = &self.systems.iconik;
        let known = copied.upload.as_deref();
        let sending = iconik.begin_sending(&way.upload, known).await?;
        self.keep_up(way, now, copied, &sending).await?;
        Ok(sending)
    }

    /// Remembers what going on with a sending needs, where that changed.
    async fn keep_up(
        &self,
        way: &Way<'_>,
        now: &Reference,
        copied: &mut Copied,
        sending: &Sending,
    ) -> Result<(), Error> {
        let id = sending.id();
        if id != copied.upload {
            copied.upload = id;
            self.note(way, now, copied, None).await?;
        }
        Ok(())
    }

    /// Sends the document's content and hashes it; only hashes it when there is nothing to send.
    async fn send(
        &self,
        way: &Way<'_>,
        now: &Reference,
        copied: &mut Copied,
        mut to: Option<&mut Sending>,
    ) -> Result<Sha256Digest, Error> {
        let iconik = &self.systems.iconik;
        let number = VersionNumber(copied.document_version);
        let server = &self.systems.destination;
        let mut content = server.read(way.node, number, 0).await?;
        let mut hasher = Sha256::new();
        let mut buffer = BytesMut::new();
        let mut read = 0;
        while let Some(frame) = content.try_next().await? {
            read += frame.len() as u64;
            if read > copied.size {
                break;
            }
            hasher.update(&frame);
            let Some(to) = to.as_deref_mut() else {
                continue;
            };
            let part = usize::try_from(to.part()).unwrap_or(usize::MAX);
            buffer.extend_from_slice(&frame);
            // The last part waits until the content is known to end with it.
            while buffer.len() > part {
                let content = buffer.split_to(part).freeze();
                let sent = iconik.send_part(&way.upload, to, content).await?;
                self.keep_up(way, now, copied, to).await?;
                if sent {
                    crash_point("copy-part");
                }
            }
        }
        if read != copied.size {
            let what = format!(
                "document {} gave {read} bytes of version {number}, and it has {}",
                way.node, copied.size
            );
            return Err(Failure::transient(what).into());
        }
        if let Some(to) = to {
            let sent = iconik.send_part(&way.upload, to, buffer.freeze()).await?;
            self.keep_up(way, now, copied, to).await?;
            if sent && copied.size > to.part() {
                crash_point("copy-part");
            }
        }
        Ok(Sha256Digest(hasher.finalize().into()))
    }
}

/// The name of a copy: the document's, with the ending of its file where it has none of its own.
fn file_name(document: &str, file: &str) -> String {
    let name: String = document
        .chars()
        .map(|c| {
            if matches!(c, '/' | '\\') || c.is_control() {
                '_'
            } else {
                c
            }
        })
        .collect();
    let ending = |name: &str| {
        let (stem, ending) = name.rsplit_once('.')?;
        let plain = !stem.is_empty() && (1..=5).contains(&ending.len());
        let plain = plain && ending.chars().all(|c| c.is_ascii_alphanumeric());
        plain.then(|| ending.to_owned())
    };
    match (ending(&name), ending(file)) {
        (None, Some(ending)) => format!("{name}.{ending}"),
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_named_like_its_document_and_ends_like_its_file() {
        assert_eq!(file_name("Brief", "b.pdf"), "Brief.pdf");
        assert_eq!(file_name("Brief.docx", "b.pdf"), "Brief.docx");
        assert_eq!(file_name("A/B v1.2 final", "x"), "A_B v1.2 final");
        assert_eq!(file_name("Brief", "none"), "Brief");
    }
}
