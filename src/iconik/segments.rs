//! Segments: comments, markers and other remarks on an asset's time line.

use std::collections::BTreeSet;

use ::http::Method;
use futures::TryStreamExt as _;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::call::Call;
use super::pages::{Rows, Style};
use super::tolerant::{date, flag, id, maybe_id, number, text, words};
use super::{Client, Error, Person};
use crate::types::{AssetId, VersionId};

words! {
    /// What a segment is.
    SegmentKind {
        /// A remark of a reviewer, or an answer to one.
        Comment = "COMMENT",
        /// A mark on the time line.
        Marker = "MARKER",
        /// A finding of quality control.
        Qc = "QC",
        /// Time-based metadata.
        Generic = "GENERIC",
        /// A tag on a range.
        Tag = "TAG",
        /// Spoken words.
        Transcription = "TRANSCRIPTION",
        /// A scene.
        Scene = "SCENE",
        /// Somebody who is seen.
        Person = "PERSON",
    }
}

/// A remark on an asset, or on a range of its time line.
#[derive(Clone, Debug, Deserialize)]
pub struct Segment {
    /// Its id.
    #[serde(deserialize_with = "id")]
    pub id: String,
    /// What it is.
    #[serde(default, rename = "segment_type")]
    pub kind: SegmentKind,
    /// What it says.
    #[serde(default, rename = "segment_text", deserialize_with = "text")]
    pub text: Option<String>,
    /// Whether it is dealt with.
    #[serde(default, rename = "segment_checked", deserialize_with = "flag")]
    pub checked: bool,
    /// The one that it answers.
    #[serde(default, deserialize_with = "text")]
    pub parent_id: Option<String>,
    /// Where it begins, in milliseconds; nothing for the whole asset.
    #[serde(
        default,
        rename = "time_start_milliseconds",
        deserialize_with = "number"
    )]
    pub start_ms: Option<i64>,
    /// Where it ends, in milliseconds.
    #[serde(default, rename = "time_end_milliseconds", deserialize_with = "number")]
    pub end_ms: Option<i64>,
    /// The version it was made on.
    #[serde(default, deserialize_with = "maybe_id")]
    pub version_id: Option<VersionId>,
    /// Its author: a user id.
    #[serde(default, deserialize_with = "text")]
    pub user_id: Option<String>,
    /// The same with names.
    #[serde(default)]
    pub user_info: Option<Person>,
    /// The author's first name, where only that is said.
    #[serde(default, deserialize_with = "text")]
    user_first_name: Option<String>,
    /// The author's last name, where only that is said.
    #[serde(default, deserialize_with = "text")]
    user_last_name: Option<String>,
    /// The author of a remark made through a share, who has no account.
    #[serde(default, deserialize_with = "text")]
    pub share_user_email: Option<String>,
    /// Free text that other systems identify it by.
    #[serde(default, deserialize_with = "text")]
    pub external_id: Option<String>,
    /// The transcription it belongs to: an asset may have several, each with all its words.
    #[serde(default, deserialize_with = "text")]
    pub transcription_id: Option<String>,
    /// When it was made.
    #[serde(default, deserialize_with = "date")]
    pub date_created: Option<Timestamp>,
    /// When it was changed last.
    #[serde(default, deserialize_with = "date")]
    pub date_modified: Option<Timestamp>,
    #[serde(default, deserialize_with = "text")]
    status: Option<String>,
}

impl Segment {
    /// Whether it is in the recycle bin.
    pub fn is_deleted(&self) -> bool {
        self.status.as_deref() == Some("DELETED")
    }

    /// Its author by name, as far as one is said.
    pub fn author(&self) -> Person {
        let told = self.user_info.clone().unwrap_or_default();
        Person {
            id: told.id.or_else(|| self.user_id.clone()),
            email: told.email.or_else(|| self.share_user_email.clone()),
            first_name: told.first_name.or_else(|| self.user_first_name.clone()),
            last_name: told.last_name.or_else(|| self.user_last_name.clone()),
        }
    }
}

/// A segment as a search finds it.
#[derive(Deserialize)]
struct Remarked {
    #[serde(default, deserialize_with = "maybe_id")]
    asset_id: Option<AssetId>,
}

/// A segment to make.
#[derive(Clone, Debug)]
pub struct NewSegment {
    /// What it is.
    pub kind: SegmentKind,
    /// What it says.
    pub text: String,
    /// Ours alone: it is found again by this, so that none is made twice.
    pub external_id: String,
    /// The version it is about.
    pub version: Option<VersionId>,
    /// Where it begins and ends, in milliseconds; nothing for the whole asset.
    pub range_ms: Option<(i64, i64)>,
}

impl Client {
    /// The assets that have a remark that was made or changed since then, as the search index knows
    /// it: it lags behind, and what was deleted is not in it.
    ///
    /// # Errors
    ///
    /// iconik's; an account that does not search segments refuses.
    pub async fn remarked_since(&self, since: Timestamp) -> Result<BTreeSet<AssetId>, Error> {
        let criteria = json!({
            "doc_types": ["segments"],
            "include_fields": ["id", "asset_id", "object_type", "date_created"],
            "filter": {"operator": "AND", "terms": [
                {"name": "date_modified", "range": {"min": since.to_string()}},
            ]},
            "sort": [
                {"name": "date_created", "order": "asc"}, {"name": "id", "order": "asc"},
            ],
        });
        let call = Call::new(
            Method::POST,
            &["search", "v1", "search"],
            "can_search",
            "searching remarks",
        )
        .query("page", 1)
        .query("generate_signed_url", false)
        .query("generate_signed_download_url", false)
        .query("save_search_history", false)
        .body(criteria)
        .repeatable();
        let mut rows = self.rows::<Remarked>(call, Style::SearchAfter, false);
        let mut assets = BTreeSet::new();
        while let Some(row) = rows.try_next().await? {
            assets.extend(row.asset_id);
        }
        Ok(assets)
    }

    /// The segments of an asset that are not deleted, with their authors; of one kind and one
    /// version where they are given. Without a version some accounts list the newest one's only.
    pub fn segments(
        &self,
        asset: &AssetId,
        kind: Option<&SegmentKind>,
        version: Option<&VersionId>,
    ) -> Rows<Segment> {
        let mut call = Call::get(
            &["assets", "v1", "assets", asset.as_str(), "segments"],
            "can_read_segments",
            format!("listing the segments of asset {asset}"),
        )
        .query("include_users", true);
        if let Some(kind) = kind {
            call = call.query("segment_type", kind.as_str());
        }
        if let Some(version) = version {
            call = call.query("version_id", version);
        }
        let rows = self.rows::<Segment>(call, Style::Page, true);
        Box::pin(rows.try_filter(|segment| std::future::ready(!segment.is_deleted())))
    }

    /// The segment with that external id, if the asset has one.
    ///
    /// # Errors
    ///
    /// Whatever prevents a clear answer.
    pub async fn find_segment(
        &self,
        asset: &AssetId,
        kind: &SegmentKind,
        version: Option<&VersionId>,
        external_id: &str,
    ) -> Result<Option<Segment>, Error> {
        let mut rows = self.segments(asset, Some(kind), version);
        while let Some(segment) = rows.try_next().await? {
            if segment.external_id.as_deref() == Some(external_id) {
                return Ok(Some(segment));
            }
        }
        Ok(None)
    }

    /// Finds the segment with that external id, or makes it. What is there stays as it is. Safe to
    /// repeat: after a reply that was lost it is looked for once more.
    ///
    /// # Errors
    ///
    /// Whatever prevents a clear answer; [`Error::Forbidden`] where the token's user may not.
    pub async fn ensure_segment(
        &self,
        asset: &AssetId,
        new: &NewSegment,
    ) -> Result<Segment, Error> {
        let find = || self.find_segment(asset, &new.kind, new.version.as_ref(), &new.external_id);
        if let Some(there) = find().await? {
            return Ok(there);
        }
        let mut body = json!({
            "segment_type": new.kind.as_str(),
            "segment_text": new.text,
            "external_id": new.external_id,
        });
        if let Some(version) = &new.version {
            body["version_id"] = version.as_str().into();
        }
        if let Some((start, end)) = new.range_ms {
            body["time_start_milliseconds"] = start.into();
            body["time_end_milliseconds"] = end.into();
        }
        let call = Call::new(
            Method::POST,
            &["assets", "v1", "assets", asset.as_str(), "segments"],
            "can_write_segments",
            format!("adding a segment to asset {asset}"),
        )
        .body(body);
        match self.json(&call).await {
            Ok(made) => Ok(made),
            Err(error) if error.is_passing() || matches!(error, Error::Exchange { .. }) => {
                find().await?.ok_or(error)
            }
            Err(error) => Err(error),
        }
    }

    /// Changes what a segment says, and whether it is dealt with, where they are given. Safe to
    /// repeat.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] when it is gone.
    pub async fn edit_segment(
        &self,
        asset: &AssetId,
        segment: &Segment,
        text: Option<&str>,
        checked: Option<bool>,
    ) -> Result<(), Error> {
        // The kind is demanded even though it cannot change.
        let mut body: Value = json!({"segment_type": segment.kind.as_str()});
        if let Some(text) = text {
            body["segment_text"] = text.into();
        }
        if let Some(checked) = checked {
            body["segment_checked"] = checked.into();
        }
        let path = [
            "assets",
            "v1",
            "assets",
            asset.as_str(),
            "segments",
            &segment.id,
        ];
        let call = Call::new(
            Method::PATCH,
            &path,
            "can_write_segments",
            format!("changing segment {} of asset {asset}", segment.id),
        )
        .body(body)
        .repeatable();
        self.done(&call).await
    }
}
