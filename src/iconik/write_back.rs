//! What longhaul leaves in iconik about a filed master: an external id and a line of history.

use ::http::Method;
use futures::TryStreamExt as _;
use serde_json::json;

use super::call::Call;
use super::pages::Style;
use super::tolerant::text;
use super::{Client, Error};
use crate::types::{AssetId, StorageId};

/// What became of an external id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExternalId {
    /// It is ours now.
    Written,
    /// It was ours already.
    AlreadyThere,
    /// Somebody else uses the field; it was left alone.
    Taken(String),
    /// A storage's scanner fills the field from file names; it was left alone.
    FilledByScanner,
}

impl Client {
    /// Writes an asset's `external_id`, but only where the field is empty or `is_ours`, and never
    /// where a scanner of one of `storages` owns it. The field is read just before.
    ///
    /// # Errors
    ///
    /// Whatever prevents a clear answer; the field is unchanged or ours.
    pub async fn write_external_id(
        &self,
        asset: &AssetId,
        ours: &str,
        is_ours: impl Fn(&str) -> bool,
        storages: &[StorageId],
    ) -> Result<ExternalId, Error> {
        for storage in storages {
            if self
                .storage(storage)
                .await?
                .is_some_and(|storage| storage.owns_external_ids())
            {
                return Ok(ExternalId::FilledByScanner);
            }
        }
        match self.asset(asset).await?.external_id {
            Some(there) if there == ours => return Ok(ExternalId::AlreadyThere),
            Some(there) if !there.is_empty() && !is_ours(&there) => {
                return Ok(ExternalId::Taken(there));
            }
            _ => {}
        }
        let call = Call::new(
            Method::PATCH,
            &["assets", "v1", "assets", asset.as_str()],
            "can_write_assets",
            format!("writing the external id of asset {asset}"),
        )
        .body(json!({ "external_id": ours }))
        .repeatable();
        self.done(&call).await?;
        Ok(ExternalId::Written)
    }

    /// Adds a line to an asset's history. Not safe to repeat: each call adds one.
    ///
    /// # Errors
    ///
    /// [`Error::Forbidden`] where the token's user may not; worth a warning, not a stop.
    pub async fn add_history(&self, asset: &AssetId, line: &str) -> Result<(), Error> {
        let call = Call::new(
            Method::POST,
            &["assets", "v1", "assets", asset.as_str(), "history"],
            "can_write_assets_history",
            format!("adding to the history of asset {asset}"),
        )
        .body(json!({ "operation_type": "CUSTOM", "operation_description": line }));
        self.done(&call).await
    }

    /// Whether an asset's history has this line, or may have: it is asked before a line is added
    /// whose first adding got no clear answer.
    ///
    /// # Errors
    ///
    /// Whatever prevents a clear answer. A token that may not read histories is a clear "no": a
    /// line twice is the lesser evil.
    pub async fn has_history(&self, asset: &AssetId, line: &str) -> Result<bool, Error> {
        let call = Call::get(
            &["assets", "v1", "assets", asset.as_str(), "history"],
            "can_read_assets_history",
            format!("reading the history of asset {asset}"),
        )
        .query("sort", "date_created,desc");
        let mut rows = self.rows::<HistoryRow>(call, Style::Page, true);
        loop {
            match rows.try_next().await {
                Ok(Some(row)) if row.operation_description.as_deref() == Some(line) => {
                    return Ok(true);
                }
                Ok(Some(_)) => {}
                Ok(None) | Err(Error::Forbidden { .. }) => return Ok(false),
                Err(error) => return Err(error),
            }
        }
    }
}

#[derive(serde::Deserialize)]
struct HistoryRow {
    #[serde(default, deserialize_with = "text")]
    operation_description: Option<String>,
}
