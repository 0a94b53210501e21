//! Rows of a large library, worked out from their number: no asset costs memory until changed.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::table::{Kind, Row, id, library_index, row};
use crate::simulator::bucket::Object;
use crate::simulator::campaign::LibrarySpec;
use crate::simulator::clock::stamp;
use crate::simulator::masters::Master;
use crate::types::ByteCount;

/// The first second of the simulated account: 2026-01-05 09:00 UTC.
pub(super) const EPOCH: i64 = 1_767_603_600;

/// Seeds of library masters begin here, apart from those of other campaigns.
const SEEDS: u64 = 1 << 32;

/// A date so many seconds after the account began.
pub(super) fn date(seconds: u32) -> String {
    let start = Timestamp::from_second(EPOCH).unwrap_or_default();
    let at = start.checked_add(SignedDuration::from_secs(i64::from(seconds)));
    stamp(at.unwrap_or(start))
}

/// The library of a campaign.
#[derive(Clone, Debug)]
pub(super) struct Library {
    spec: LibrarySpec,
    /// What was changed, by number, as compact JSON.
    patches: HashMap<u32, Box<str>>,
}

impl Library {
    pub(super) fn new(spec: LibrarySpec) -> Self {
        Self {
            spec,
            patches: HashMap::new(),
        }
    }

    pub(super) fn len(&self) -> u32 {
        self.spec.assets
    }

    pub(super) fn size(&self) -> ByteCount {
        self.spec.size
    }

    /// The number of a row of this kind, when the id is one of this library's.
    pub(super) fn number(&self, kind: Kind, text: &str) -> Option<u32> {
        library_index(kind, text).filter(|&n| n < self.spec.assets)
    }

    pub(super) fn title(n: u32) -> String {
        format!("Library {n:07}")
    }

    fn file_name(n: u32) -> String {
        format!("library_{n:07}.mxf")
    }

    /// Whether the row was changed.
    pub(super) fn changed(&self, n: u32) -> bool {
        self.patches.contains_key(&n)
    }

    /// Numbers of the changed rows.
    pub(super) fn changes(&self) -> impl Iterator<Item = u32> {
        self.patches.keys().copied()
    }

    /// Keeps the fields of `row` that differ from the generated ones.
    pub(super) fn keep(&mut self, n: u32, row: &Row, user: &str, collection: &str) {
        let made = self.made(n, user, collection);
        let patch: Row = row
            .iter()
            .filter(|(name, value)| made.get(*name) != Some(value))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        let text = Value::Object(patch).to_string();
        self.patches.insert(n, text.into_boxed_str());
    }

    /// The asset.
    pub(super) fn asset(&self, n: u32, user: &str, collection: &str) -> Row {
        let mut asset = self.made(n, user, collection);
        if let Some(patch) = self.patches.get(&n)
            && let Ok(Value::Object(patch)) = serde_json::from_str(patch)
        {
            asset.extend(patch);
        }
        asset
    }

    fn made(&self, n: u32, user: &str, collection: &str) -> Row {
        let date = date(n);
        row(json!({
            "id": id(Kind::Asset, n, true),
            "title": Self::title(n),
            "type": "ASSET",
            "status": "ACTIVE",
            "archive_status": "NOT_ARCHIVED",
            "analyze_status": "N/A",
            "face_recognition_status": "N/A",
            "is_online": true,
            "is_blocked": false,
            "category": null,
            "external_id": null,
            "external_link": null,
            "site_name": null,
            "warning": null,
            "favoured": false,
            "created_by_user": user,
            "updated_by_user": user,
            "date_created": date,
            "date_modified": date,
            "date_imported": date,
            "in_collections": [collection],
            "versions": [{
                "id": id(Kind::Version, n, true),
                "version_number": 1,
                "status": "ACTIVE",
                "archive_status": "NOT_ARCHIVED",
                "analyze_status": "N/A",
                "face_recognition_status": "N/A",
                "transcribe_status": "N/A",
                "transcribed_languages": [],
                "is_online": true,
                "created_by_user": user,
                "date_created": date,
            }],
        }))
    }

    pub(super) fn format(n: u32, user: &str) -> Row {
        row(json!({
            "id": id(Kind::Format, n, true),
            "asset_id": id(Kind::Asset, n, true),
            "version_id": id(Kind::Version, n, true),
            "name": "ORIGINAL",
            "status": "ACTIVE",
            "archive_status": "NOT_ARCHIVED",
            "is_online": true,
            "storage_methods": ["S3"],
            "user_id": user,
            "metadata": [{"internet_media_type": "application/mxf"}],
            "components": [{
                "id": id(Kind::Component, n, true),
                "name": "General",
                "type": "GENERAL",
                "metadata": {"format": "MXF"},
            }],
            "warnings": [],
            "date_created": date(n),
            "date_modified": date(n),
        }))
    }

    pub(super) fn file_set(n: u32, storage: &str) -> Row {
        row(json!({
            "id": id(Kind::FileSet, n, true),
            "asset_id": id(Kind::Asset, n, true),
            "version_id": id(Kind::Version, n, true),
            "format_id": id(Kind::Format, n, true),
            "storage_id": storage,
            "name": Self::file_name(n),
            "base_dir": "/",
            "component_ids": [id(Kind::Component, n, true)],
            "status": "ACTIVE",
            "is_archive": false,
            "date_created": date(n),
            "date_modified": date(n),
        }))
    }

    pub(super) fn file(&self, n: u32, storage: &str, user: &str) -> Row {
        row(json!({
            "id": id(Kind::File, n, true),
            "asset_id": id(Kind::Asset, n, true),
            "version_id": id(Kind::Version, n, true),
            "format_id": id(Kind::Format, n, true),
            "file_set_id": id(Kind::FileSet, n, true),
            "storage_id": storage,
            "storage_method": "S3",
            "original_name": Self::file_name(n),
            "name": Self::file_name(n),
            "directory_path": "library",
            "size": self.spec.size,
            "type": "FILE",
            "status": "CLOSED",
            "checksum": null,
            "parent_id": null,
            "user_id": user,
            "format_status": "ACTIVE",
            "file_set_status": "ACTIVE",
            "file_date_created": date(n),
            "file_date_modified": date(n),
            "date_created": date(n),
            "date_modified": date(n),
        }))
    }
}

/// The object behind a key of the library, such as `library/library_0000042.mxf`.
pub(super) fn object(spec: LibrarySpec, key: &str) -> Option<Object> {
    let number = key
        .strip_prefix("library/library_")?
        .strip_suffix(".mxf")?
        .parse::<u32>()
        .ok()
        .filter(|&n| n < spec.assets)?;
    let master = Master::generated(SEEDS + u64::from(number), spec.size);
    let mut object = Object::new(master, &format!("library-{number:08x}"));
    object.last_modified = Timestamp::from_second(EPOCH + i64::from(number)).unwrap_or_default();
    Some(object)
}

/// The content of library asset `n`; what a test compares with.
pub fn library_master(spec: LibrarySpec, n: u32) -> Master {
    Master::generated(SEEDS + u64::from(n), spec.size)
}
