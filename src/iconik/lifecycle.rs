//! What may become of an asset: marked as archived, into the recycle bin and back; and links, the
//! assets that lead elsewhere.
//!
//! Nothing here purges, and nothing is done unless it is asked for by name: what goes into the
//! bin is purged by iconik itself once the account's grace period is over (a day, unless it was
//! set otherwise), with its metadata, relations and shares, and with its bytes where the storage
//! allows it. Only iconik's support can bring that back.

use ::http::Method;
use futures::TryStreamExt as _;
use serde_json::json;

use super::call::Call;
use super::pages::{Rows, Style};
use super::{
    ArchiveStatus, Asset, AssetKind, AssetStatus, Client, Error, FileSetStatus, FormatStatus,
};
use crate::types::{AssetId, CollectionId, FileSetId, FormatId, StorageId};

/// How external ids begin of the links and copies that longhaul makes for documents.
pub const REFERENCE: &str = "longhaul:reference:";

/// What became of an asset that was to go into the recycle bin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binned {
    /// It is there now, until the grace period is over.
    Now,
    /// It was there already.
    Before,
    /// It does not exist: it was purged.
    Gone,
}

/// How far the archiving of originals is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Archiving {
    /// Formats that are archived.
    pub archived: usize,
    /// Formats that are being archived.
    pub underway: usize,
    /// Formats whose archiving failed.
    pub failed: usize,
    /// Formats that nobody archives.
    pub open: Vec<FormatId>,
}

/// A link to make: an asset that leads to an address, without files or with a copy of what is there.
#[derive(Clone, Debug)]
pub struct NewLink {
    /// Its title.
    pub title: String,
    /// The address.
    pub address: String,
    /// The name of the place it leads to.
    pub site: String,
    /// Ours alone: the link is found again by this, so that none is made twice.
    pub external_id: String,
    /// The collection it is put in.
    pub collection: Option<CollectionId>,
    /// `Link`, or `Asset` for one that gets files.
    pub kind: AssetKind,
}

impl Client {
    /// Sets what iconik shows as an asset's archive state, as engines outside it do. It moves no
    /// bytes and removes none. The formats have states of their own. Safe to repeat.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] when the asset does not exist.
    pub async fn set_archive_status(
        &self,
        asset: &AssetId,
        status: &ArchiveStatus,
    ) -> Result<(), Error> {
        let call = Call::new(
            Method::PATCH,
            &["assets", "v1", "assets", asset.as_str()],
            "can_write_assets",
            format!("setting the archive state of asset {asset}"),
        )
        .body(json!({"archive_status": status.as_str()}))
        .repeatable();
        self.done(&call).await
    }

    /// How far the archiving of an asset's originals is, of one version or of all.
    ///
    /// # Errors
    ///
    /// Whatever prevents a clear answer.
    pub async fn archiving(&self, asset: &AssetId) -> Result<Archiving, Error> {
        let mut archiving = Archiving::default();
        let mut formats = self.formats(asset, None);
        while let Some(format) = formats.try_next().await? {
            let original = format.name.as_deref() == Some("ORIGINAL");
            if !original || format.status != FormatStatus::Active {
                continue;
            }
            match format.archive_status {
                ArchiveStatus::Archived => archiving.archived += 1,
                ArchiveStatus::Archiving => archiving.underway += 1,
                ArchiveStatus::FailedToArchive => archiving.failed += 1,
                _ => archiving.open.push(format.id),
            }
        }
        Ok(archiving)
    }

    /// Has iconik move a format to an archive storage. It copies the files there and then removes
    /// them from where they were, in a job of its own. Not safe to repeat.
    ///
    /// # Errors
    ///
    /// [`Error::Forbidden`] where the token's user may not.
    pub async fn archive_format(
        &self,
        asset: &AssetId,
        format: &FormatId,
        storage: &StorageId,
    ) -> Result<(), Error> {
        let call = Call::new(
            Method::POST,
            &[
                "files",
                "v1",
                "assets",
                asset.as_str(),
                "formats",
                format.as_str(),
                "archive",
            ],
            "can_archive_formats",
            format!("archiving a format of asset {asset}"),
        )
        .body(json!({"destination_storage_id": storage.as_str()}));
        self.done(&call).await
    }

    /// Puts an asset into the recycle bin; see above for what follows. Its state is read just
    /// before. Safe to repeat.
    ///
    /// # Errors
    ///
    /// [`Error::Forbidden`] where the token's user may not.
    pub async fn bin_asset(&self, asset: &AssetId) -> Result<Binned, Error> {
        match self.asset(asset).await {
            Ok(there) if there.status == AssetStatus::Deleted => return Ok(Binned::Before),
            Ok(_) => {}
            Err(error) if error.is_not_found() => return Ok(Binned::Gone),
            Err(error) => return Err(error),
        }
        let call = Call::new(
            Method::DELETE,
            &["assets", "v1", "assets", asset.as_str()],
            "can_delete_assets",
            format!("putting asset {asset} into the recycle bin"),
        );
        match self.done(&call).await {
            Ok(()) => Ok(Binned::Now),
            // The reply may be what was lost, not the call.
            Err(error) if error.is_not_found() || error.is_passing() => {
                match self.asset(asset).await {
                    Ok(there) if there.status == AssetStatus::Deleted => Ok(Binned::Now),
                    Err(again) if again.is_not_found() => Ok(Binned::Gone),
                    _ => Err(error),
                }
            }
            Err(error) => Err(error),
        }
    }

    /// Puts a copy of a format into the recycle bin; iconik purges it, and its bytes where the
    /// storage allows it, once the account's grace period is over. Its state is read just before.
    /// Safe to repeat. `true` when it was done now.
    ///
    /// # Errors
    ///
    /// [`Error::Forbidden`] where the token's user may not.
    pub async fn bin_file_set(
        &self,
        asset: &AssetId,
        format: &FormatId,
        file_set: &FileSetId,
    ) -> Result<bool, Error> {
        if !self.has_file_set(asset, format, file_set).await? {
            return Ok(false);
        }
        let call = Call::new(
            Method::DELETE,
            &[
                "files",
                "v1",
                "assets",
                asset.as_str(),
                "file_sets",
                file_set.as_str(),
            ],
            "can_delete_files",
            format!("putting a copy of asset {asset} into the recycle bin"),
        );
        match self.done(&call).await {
            Ok(()) => Ok(true),
            // The reply may be what was lost, not the call.
            Err(error) if error.is_not_found() || error.is_passing() => {
                match self.has_file_set(asset, format, file_set).await {
                    Ok(false) => Ok(true),
                    _ => Err(error),
                }
            }
            Err(error) => Err(error),
        }
    }

    /// Whether a copy is there and not in the recycle bin.
    async fn has_file_set(
        &self,
        asset: &AssetId,
        format: &FormatId,
        file_set: &FileSetId,
    ) -> Result<bool, Error> {
        let mut sets = self.file_sets(asset, format);
        while let Some(set) = sets.try_next().await? {
            if set.id == *file_set {
                return Ok(set.status != FileSetStatus::Deleted);
            }
        }
        Ok(false)
    }

    /// Takes an asset out of the recycle bin. Safe to repeat.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] when it was purged.
    pub async fn restore_binned(&self, asset: &AssetId) -> Result<(), Error> {
        if self.asset(asset).await?.status != AssetStatus::Deleted {
            return Ok(());
        }
        let call = Call::new(
            Method::PUT,
            &["assets", "v1", "assets", asset.as_str(), "restore"],
            "can_write_assets",
            format!("taking asset {asset} out of the recycle bin"),
        )
        .repeatable();
        self.done(&call).await
    }

    /// The assets in the recycle bin.
    pub fn binned_assets(&self) -> Rows<Asset> {
        let call = Call::get(
            &["assets", "v1", "delete_queue", "assets"],
            "can_read_assets",
            "listing the recycle bin",
        );
        self.rows(call, Style::Page, true)
    }

    /// The link with that external id and of that kind, if there is one that is not deleted.
    ///
    /// # Errors
    ///
    /// Whatever prevents a clear answer.
    pub async fn find_link(
        &self,
        external_id: &str,
        kind: &AssetKind,
    ) -> Result<Option<Asset>, Error> {
        let call = Call::get(
            &["assets", "v1", "assets"],
            "can_read_assets",
            "looking for a link",
        )
        .query("external_id", external_id);
        let mut rows = self.rows::<Asset>(call, Style::Page, true);
        while let Some(asset) = rows.try_next().await? {
            if asset.external_id.as_deref() == Some(external_id)
                && asset.kind == *kind
                && asset.status != AssetStatus::Deleted
            {
                return Ok(Some(asset));
            }
        }
        Ok(None)
    }

    /// Finds the link with that external id, or makes it. What is there stays as it is. Safe to
    /// repeat: after a reply that was lost it is looked for once more.
    ///
    /// # Errors
    ///
    /// Whatever prevents a clear answer; [`Error::Forbidden`] where the token's user may not.
    pub async fn ensure_link(&self, new: &NewLink) -> Result<Asset, Error> {
        if let Some(there) = self.find_link(&new.external_id, &new.kind).await? {
            return Ok(there);
        }
        let mut body = json!({
            "title": new.title,
            "type": new.kind.as_str(),
            "external_link": new.address,
            "site_name": new.site,
            "external_id": new.external_id,
        });
        let mut call = Call::new(
            Method::POST,
            &["assets", "v1", "assets"],
            "can_create_assets",
            format!("making the link {:?}", new.title),
        )
        // Without it the link may be visible to its maker alone.
        .query("apply_default_acls", true);
        if let Some(collection) = &new.collection {
            body["collection_id"] = collection.as_str().into();
            call = call.query("assign_to_collection", true);
        }
        match self.json(&call.body(body)).await {
            Ok(made) => Ok(made),
            Err(error) if error.is_passing() || matches!(error, Error::Exchange { .. }) => {
                let there = self.find_link(&new.external_id, &new.kind).await?;
                there.ok_or(error)
            }
            Err(error) => Err(error),
        }
    }

    /// Gives a link another title and address. Safe to repeat.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] when it was purged.
    pub async fn edit_link(&self, link: &AssetId, title: &str, address: &str) -> Result<(), Error> {
        let call = Call::new(
            Method::PATCH,
            &["assets", "v1", "assets", link.as_str()],
            "can_write_assets",
            format!("changing the link {link}"),
        )
        .body(json!({"title": title, "external_link": address}))
        .repeatable();
        self.done(&call).await
    }
}
