//! What assets have to do with each other, and what happened to them.

use ::http::Method;
use futures::TryStreamExt as _;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;

use super::call::Call;
use super::pages::{Rows, Style};
use super::tolerant::{date, flag, id, maybe_id, text};
use super::{Asset, Client, Error};
use crate::types::{AssetId, JobId, VersionId};

/// A kind of relation; an account has its own.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct RelationType {
    /// Its name, which relations carry.
    #[serde(deserialize_with = "id")]
    pub name: String,
    /// What people see at the asset that has the relation.
    #[serde(default, deserialize_with = "text")]
    pub source_label: Option<String>,
    /// What people see at the other asset.
    #[serde(default, deserialize_with = "text")]
    pub destination_label: Option<String>,
    /// Whether the two ends differ.
    #[serde(default, deserialize_with = "flag")]
    pub is_directional: bool,
}

/// A line of an asset's history.
#[derive(Clone, Debug, Deserialize)]
pub struct HistoryLine {
    /// Its id, when said.
    #[serde(default, deserialize_with = "text")]
    pub id: Option<String>,
    /// What was done: iconik's word, such as `DOWNLOAD`, `ARCHIVE` or `CUSTOM`.
    #[serde(default, rename = "operation_type", deserialize_with = "text")]
    pub operation: Option<String>,
    /// The same in words.
    #[serde(default, rename = "operation_description", deserialize_with = "text")]
    pub description: Option<String>,
    /// Who did it: a user id.
    #[serde(default, deserialize_with = "text")]
    pub user_id: Option<String>,
    /// The version it was done to.
    #[serde(default, deserialize_with = "maybe_id")]
    pub version_id: Option<VersionId>,
    /// The job that did it.
    #[serde(default, deserialize_with = "maybe_id")]
    pub job_id: Option<JobId>,
    /// When.
    #[serde(default, deserialize_with = "date")]
    pub date_created: Option<Timestamp>,
}

impl Client {
    /// The kinds of relations that the account has.
    pub fn relation_types(&self) -> Rows<RelationType> {
        let call = Call::get(
            &["assets", "v1", "assets", "relation_types"],
            "can_read_asset_relations",
            "listing the kinds of relations",
        );
        self.rows(call, Style::Page, true)
    }

    /// The assets that `asset` is related to, of one kind of relation where it is given: iconik
    /// lists assets here, not relations.
    pub fn related_assets(&self, asset: &AssetId, kind: Option<&str>) -> Rows<Asset> {
        let mut path = vec!["assets", "v1", "assets", asset.as_str(), "relations"];
        path.extend(kind);
        let call = Call::get(
            &path,
            "can_read_asset_relations",
            format!("listing what asset {asset} is related to"),
        );
        self.rows(call, Style::Page, true)
    }

    /// Relates `asset` to `other`. Safe to repeat: iconik takes one that is there already.
    ///
    /// # Errors
    ///
    /// [`Error::Status`] with 400 when the account has no such kind of relation.
    pub async fn relate_assets(
        &self,
        asset: &AssetId,
        kind: &str,
        other: &AssetId,
        description: &str,
    ) -> Result<(), Error> {
        let call = Call::new(
            Method::POST,
            &["assets", "v1", "assets", asset.as_str(), "relations"],
            "can_write_asset_relations",
            format!("relating asset {asset} to asset {other}"),
        )
        .body(json!({
            "related_to_asset_id": other.as_str(),
            "relation_type": kind,
            "description": description,
        }))
        .repeatable();
        self.done(&call).await
    }

    /// The history of an asset, newest first; of one operation where it is given. Lines say who
    /// did what, not which values a field had before.
    pub fn history(&self, asset: &AssetId, operation: Option<&str>) -> Rows<HistoryLine> {
        let mut call = Call::get(
            &["assets", "v1", "assets", asset.as_str(), "history"],
            "can_read_assets_history",
            format!("reading the history of asset {asset}"),
        )
        .query("sort", "date_created,desc");
        if let Some(operation) = operation {
            call = call.query("filter", format!("operation_type,eq,{operation}"));
        }
        let wanted = operation.map(str::to_owned);
        // An account that does not know the filter lists everything.
        let rows = self.rows::<HistoryLine>(call, Style::Page, true);
        Box::pin(rows.try_filter(move |line| {
            let fits = wanted.is_none() || line.operation == wanted;
            std::future::ready(fits)
        }))
    }
}
