//! Reviews: what people decided about an asset's version.
//!
//! A request for approval belongs to a version or to the asset; one for the asset counts for its
//! current version only when it names that version or was decided after it was made. No request
//! at all is a 404 or the status `N/A`, and both mean the same.

use std::fmt;

use ::http::Method;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;

use super::call::Call;
use super::pages::{Rows, Style};
use super::tolerant::{date, number, text, texts};
use super::{Asset, Client, Error};
use crate::types::{AssetId, VersionId};

/// The state of a review.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Review {
    /// iconik's word: `REQUESTED`, `APPROVED`, `NOT_APPROVED`, `MIXED`; nothing when nobody asked.
    #[serde(default, deserialize_with = "text")]
    pub status: Option<String>,
    /// The version it is about.
    #[serde(default, deserialize_with = "text")]
    version_id: Option<String>,
    /// When it was changed last.
    #[serde(default, deserialize_with = "date")]
    pub change_date: Option<Timestamp>,
    /// Who asked for it: a user id.
    #[serde(default, deserialize_with = "text")]
    pub requested_by: Option<String>,
    /// When it was asked for.
    #[serde(default, deserialize_with = "date")]
    pub request_date: Option<Timestamp>,
    /// How many have to approve it.
    #[serde(default, deserialize_with = "number")]
    pub min_number: Option<i64>,
    /// Users that were asked, by id.
    #[serde(default, deserialize_with = "texts")]
    pub users: Vec<String>,
    /// Groups that were asked, by id.
    #[serde(default, deserialize_with = "texts")]
    pub groups: Vec<String>,
    /// People without an account that were asked, by mail address.
    #[serde(default, deserialize_with = "texts")]
    pub externals: Vec<String>,
}

/// What one person decided.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Vote {
    /// The user's id.
    #[serde(default, deserialize_with = "text")]
    pub user: Option<String>,
    /// The mail address of somebody without an account.
    #[serde(default, alias = "external", deserialize_with = "text")]
    pub email: Option<String>,
    /// iconik's word: `APPROVED` or `NOT_APPROVED`.
    #[serde(default, deserialize_with = "text")]
    pub status: Option<String>,
    /// When.
    #[serde(default, deserialize_with = "date")]
    pub change_date: Option<Timestamp>,
}

impl Review {
    /// Whether it ended in approval.
    pub fn is_approved(&self) -> bool {
        self.status.as_deref() == Some("APPROVED")
    }

    /// Whether nobody asked for it.
    pub fn is_none(&self) -> bool {
        matches!(self.status.as_deref(), None | Some("N/A" | ""))
    }
}

impl fmt::Display for Review {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.status.as_deref() {
            None | Some("N/A" | "") => f.write_str("nobody has asked for its approval"),
            Some("REQUESTED") => f.write_str("its approval is asked for and not given yet"),
            Some("APPROVED") => f.write_str("it is approved"),
            Some("NOT_APPROVED") => f.write_str("it was rejected"),
            Some("MIXED") => f.write_str("some approved it and some did not"),
            Some(other) => write!(f, "its review says {other}"),
        }
    }
}

impl Client {
    /// The review of an asset's current version.
    ///
    /// # Errors
    ///
    /// iconik's; that there is no review is none.
    pub async fn review_of(&self, asset: &Asset) -> Result<Review, Error> {
        let Some(version) = asset.current_version() else {
            return self.review(&asset.id, None).await;
        };
        let own = self.review(&asset.id, Some(version.id.as_str())).await?;
        if !own.is_none() {
            return Ok(own);
        }
        let general = self.review(&asset.id, None).await?;
        let about_it = match general.version_id.as_deref() {
            None | Some("") => {
                let made = version.date_created;
                made.is_none_or(|made| general.change_date.is_some_and(|changed| changed >= made))
            }
            Some(id) => id == version.id.as_str(),
        };
        Ok(if about_it { general } else { Review::default() })
    }

    /// The review of one version of an asset, whether or not it is the current one.
    ///
    /// # Errors
    ///
    /// As [`review_of`](Self::review_of).
    pub async fn review_of_version(
        &self,
        asset: &Asset,
        version: &VersionId,
    ) -> Result<Review, Error> {
        match asset.current_version() {
            Some(current) if current.id == *version => self.review_of(asset).await,
            _ => self.review(&asset.id, Some(version.as_str())).await,
        }
    }

    /// What each person decided about a version of an asset, or about the asset.
    pub fn votes(&self, asset: &AssetId, version: Option<&VersionId>) -> Rows<Vote> {
        let mut path = vec!["assets", "v1", "assets", asset.as_str()];
        if let Some(version) = version {
            path.extend(["versions", version.as_str()]);
        }
        path.push("approvals");
        let call = Call::get(
            &path,
            "can_read_approval_request",
            format!("reading who approved asset {asset}"),
        );
        self.rows(call, Style::Page, true)
    }

    /// Gives the token's user's own vote on a version of an asset. Safe to repeat: a user has one.
    ///
    /// # Errors
    ///
    /// [`Error::Forbidden`] where the token's user may not vote.
    pub async fn vote(
        &self,
        asset: &AssetId,
        version: &VersionId,
        approved: bool,
    ) -> Result<(), Error> {
        let status = if approved { "APPROVED" } else { "NOT_APPROVED" };
        let call = Call::new(
            Method::PUT,
            &[
                "assets",
                "v1",
                "assets",
                asset.as_str(),
                "versions",
                version.as_str(),
                "approvals",
            ],
            "can_write_approval",
            format!("voting on asset {asset}"),
        )
        .body(json!({ "status": status }))
        .repeatable();
        self.done(&call).await
    }

    async fn review(&self, asset: &AssetId, version: Option<&str>) -> Result<Review, Error> {
        let mut path = vec!["assets", "v1", "assets", asset.as_str()];
        if let Some(version) = version {
            path.extend(["versions", version]);
        }
        path.extend(["approvals", "request"]);
        let call = Call::get(
            &path,
            "can_read_approval_request",
            format!("reading the review of asset {asset}"),
        );
        match self.json(&call).await {
            Err(error) if error.is_not_found() => Ok(Review::default()),
            other => other,
        }
    }
}
