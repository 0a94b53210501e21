//! Assets and their versions.

use futures::TryStreamExt as _;
use jiff::Timestamp;
use serde::Deserialize;

use super::call::Call;
use super::files::Format;
use super::tolerant::{Person, date, flag, id, list, maybe_id, number, text, texts, words};
use super::{Client, Error};
use crate::types::{AssetId, CollectionId, VersionId};

words! {
    /// What an asset is.
    AssetKind {
        /// A media file or a set of them.
        Asset = "ASSET",
        /// An image sequence or an ordered list.
        Sequence = "SEQUENCE",
        /// A project of an editing program.
        Project = "NLE_PROJECT",
        /// A stand-in for something to come; it has no bytes.
        Placeholder = "PLACEHOLDER",
        /// Anything a customer defined.
        Custom = "CUSTOM",
        /// A link to a page elsewhere; it has no bytes.
        Link = "LINK",
        /// A range of another asset; it has no bytes of its own.
        Subclip = "SUBCLIP",
    }
}

words! {
    /// Whether an asset is in the recycle bin.
    AssetStatus {
        /// In use.
        Active = "ACTIVE",
        /// In the recycle bin.
        Deleted = "DELETED",
    }
}

words! {
    /// Whether originals are in iconik's own archive.
    ArchiveStatus {
        /// They are not.
        NotArchived = "NOT_ARCHIVED",
        /// They are on their way there.
        Archiving = "ARCHIVING",
        /// They should be and are not (sometimes they are nevertheless).
        FailedToArchive = "FAILED_TO_ARCHIVE",
        /// They are.
        Archived = "ARCHIVED",
    }
}

words! {
    /// How far an asset version is.
    VersionStatus {
        /// In use.
        Active = "ACTIVE",
        /// Being made.
        InProgress = "IN_PROGRESS",
        /// Could not be made.
        Failed = "FAILED",
        /// On its way out.
        Deleting = "DELETING",
        /// In the recycle bin.
        Deleted = "DELETED",
    }
}

/// An asset.
#[derive(Clone, Debug, Deserialize)]
pub struct Asset {
    /// Its id.
    #[serde(deserialize_with = "id")]
    pub id: AssetId,
    /// Its title; empty when it has none.
    #[serde(default, deserialize_with = "title")]
    pub title: String,
    /// What it is.
    #[serde(default, rename = "type")]
    pub kind: AssetKind,
    /// Whether it is in the recycle bin.
    #[serde(default)]
    pub status: AssetStatus,
    /// Whether its originals are archived.
    #[serde(default)]
    pub archive_status: ArchiveStatus,
    /// Whether some original bytes can be reached.
    #[serde(default, deserialize_with = "flag")]
    pub is_online: bool,
    /// Whether a metadata field forbids sharing and download.
    #[serde(default, deserialize_with = "flag")]
    pub is_blocked: bool,
    /// The warning a metadata field raises.
    #[serde(default, deserialize_with = "text")]
    pub warning: Option<String>,
    /// The metadata category.
    #[serde(default, deserialize_with = "text")]
    pub category: Option<String>,
    /// Free text that other systems identify the asset by.
    #[serde(default, deserialize_with = "text")]
    pub external_id: Option<String>,
    /// Where a link leads.
    #[serde(default, deserialize_with = "text")]
    pub external_link: Option<String>,
    /// The asset a subclip is a range of.
    #[serde(default, deserialize_with = "maybe_id")]
    pub original_asset_id: Option<AssetId>,
    /// Who made it: a user id.
    #[serde(default, deserialize_with = "text")]
    pub created_by_user: Option<String>,
    /// The same with names, when asked for.
    #[serde(default)]
    pub created_by_user_info: Option<Person>,
    /// Who changed it last: a user id.
    #[serde(default, deserialize_with = "text")]
    pub updated_by_user: Option<String>,
    /// The same with names, when asked for.
    #[serde(default)]
    pub updated_by_user_info: Option<Person>,
    /// When it was made.
    #[serde(default, deserialize_with = "date")]
    pub date_created: Option<Timestamp>,
    /// When it was changed last.
    #[serde(default, deserialize_with = "date")]
    pub date_modified: Option<Timestamp>,
    /// When it was imported.
    #[serde(default, deserialize_with = "date")]
    pub date_imported: Option<Timestamp>,
    /// The collections it is in, when asked for.
    #[serde(default, deserialize_with = "collections")]
    pub in_collections: Vec<CollectionId>,
    /// Its versions, in no dependable order; see [`versions_in_order`](Self::versions_in_order).
    #[serde(default, deserialize_with = "list")]
    pub versions: Vec<AssetVersion>,
}

/// One version of an asset.
#[derive(Clone, Debug, Deserialize)]
pub struct AssetVersion {
    /// Its id.
    #[serde(deserialize_with = "id")]
    pub id: VersionId,
    /// Its number; accounts' older versions have none.
    #[serde(default, deserialize_with = "number")]
    pub version_number: Option<i64>,
    /// How far it is.
    #[serde(default)]
    pub status: VersionStatus,
    /// Whether its originals are archived.
    #[serde(default)]
    pub archive_status: ArchiveStatus,
    /// Who made it: a user id.
    #[serde(default, deserialize_with = "text")]
    pub created_by_user: Option<String>,
    /// When it was made.
    #[serde(default, deserialize_with = "date")]
    pub date_created: Option<Timestamp>,
}

/// An asset as it was answered. To name no versions is not to say that there are none.
struct Answered {
    asset: Asset,
    leaves_versions_out: bool,
}

impl<'de> Deserialize<'de> for Answered {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(d)?;
        let leaves_versions_out = value.get("versions").is_none_or(serde_json::Value::is_null);
        let asset = Asset::deserialize(value).map_err(serde::de::Error::custom)?;
        Ok(Self {
            asset,
            leaves_versions_out,
        })
    }
}

fn title<'de, D: serde::Deserializer<'de>>(d: D) -> Result<String, D::Error> {
    Ok(text(d)?.unwrap_or_default())
}

fn collections<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Vec<CollectionId>, D::Error> {
    Ok(texts(d)?.into_iter().map(CollectionId::from).collect())
}

impl Asset {
    /// Whether longhaul made it to show a document of the other system.
    pub fn is_reference(&self) -> bool {
        let external = self.external_id.as_deref().unwrap_or_default();
        external.starts_with(super::REFERENCE)
    }

    /// The versions that still exist, oldest first: by version number where all have one, else by
    /// date. iconik promises no order of its own.
    pub fn versions_in_order(&self) -> Vec<&AssetVersion> {
        let mut versions: Vec<&AssetVersion> = self
            .versions
            .iter()
            .filter(|version| {
                !matches!(
                    version.status,
                    VersionStatus::Deleting | VersionStatus::Deleted
                )
            })
            .collect();
        let numbered = versions.iter().all(|v| v.version_number.is_some());
        versions.sort_by(|a, b| {
            let numbers = if numbered {
                a.version_number.cmp(&b.version_number)
            } else {
                std::cmp::Ordering::Equal
            };
            numbers
                .then_with(|| a.date_created.cmp(&b.date_created))
                .then_with(|| a.id.cmp(&b.id))
        });
        versions
    }

    /// The newest version that still exists.
    pub fn current_version(&self) -> Option<&AssetVersion> {
        self.versions_in_order().pop()
    }
}

impl Client {
    /// An asset with the collections it is in and the names of its people.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] when it does not exist; purged assets do not.
    pub async fn asset(&self, asset: &AssetId) -> Result<Asset, Error> {
        let call = Call::get(
            &["assets", "v1", "assets", asset.as_str()],
            "can_read_assets",
            format!("reading asset {asset}"),
        )
        .query("include_collections", true)
        .query("include_users", true);
        let mut found: Answered = self.json(&call).await?;
        if found.leaves_versions_out {
            found.asset.versions = self.versions_of_formats(asset).await?;
        }
        Ok(found.asset)
    }

    /// The versions that an asset's formats name, for an answer that names none itself: the formats
    /// listed without a version are those of the newest one.
    async fn versions_of_formats(&self, asset: &AssetId) -> Result<Vec<AssetVersion>, Error> {
        let formats: Result<Vec<Format>, Error> = self.formats(asset, None).try_collect().await;
        let formats = match formats {
            // Without versions it is not filed, and the reason is said then.
            Err(error) if !error.is_passing() => Vec::new(),
            other => other?,
        };
        let mut versions: Vec<AssetVersion> = Vec::new();
        for format in formats {
            if let Some(id) = format.version_id
                && versions.iter().all(|known| known.id != id)
            {
                versions.push(AssetVersion {
                    id,
                    version_number: None,
                    status: VersionStatus::default(),
                    archive_status: ArchiveStatus::default(),
                    created_by_user: None,
                    date_created: format.date_created,
                });
            }
        }
        Ok(versions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asset(versions: &str) -> Asset {
        serde_json::from_str(&format!(
            r#"{{"id":"a","title":null,"versions":{versions}}}"#
        ))
        .unwrap()
    }

    fn order(versions: &str) -> Vec<String> {
        let asset = asset(versions);
        asset
            .versions_in_order()
            .iter()
            .map(|v| v.id.to_string())
            .collect()
    }

    #[test]
    fn versions_are_ordered_by_number_when_all_have_one() {
        let versions = r#"[
            {"id":"new","version_number":2,"date_created":"2020-01-01T00:00:00"},
            {"id":"old","version_number":"1","date_created":"2021-01-01T00:00:00"},
            {"id":"gone","version_number":3,"status":"DELETED"}]"#;
        assert_eq!(order(versions), ["old", "new"]);
        assert_eq!(
            asset(versions).current_version().unwrap().id.as_str(),
            "new"
        );
    }

    #[test]
    fn without_numbers_the_date_orders_versions() {
        let versions = r#"[
            {"id":"b","date_created":"2021-01-01 00:00:00","version_number":1},
            {"id":"a","date_created":"2020-01-01T00:00:00+00:00"}, null]"#;
        assert_eq!(order(versions), ["a", "b"]);
    }

    #[test]
    fn an_asset_with_nothing_but_an_id_is_read() {
        let asset = asset("null");
        assert_eq!(asset.title, "");
        assert!(asset.current_version().is_none());
        assert!(serde_json::from_str::<Asset>(r#"{"title":"x"}"#).is_err());
    }
}
