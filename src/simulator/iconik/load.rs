//! Turns a campaign into rows of the account and objects of the bucket.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::library::{self, EPOCH, Library, date};
use super::table::{Kind, Row, id, row, text};
use super::world::World;
use crate::simulator::bucket::{Object, Temperature};
use crate::simulator::campaign::{
    AssetSpec, Campaign, Checksum, Etag, FileSetSpec, FileSpec, FormatSpec, StorageKind,
};
use crate::simulator::masters::Master;

/// The users of every account: first name, last name, e-mail address.
const USERS: [(&str, &str, &str); 3] = [
    ("Archive", "Service", "archive@studio.example"),
    ("Ada", "Editor", "ada@studio.example"),
    ("Rui", "Reviewer", "rui@studio.example"),
];

/// Metadata fields: name, label, type, several values allowed, options.
const FIELDS: [(&str, &str, &str, bool, &[&str]); 19] = [
    ("project_name", "Project name", "string", false, &[]),
    ("campaign", "Campaign", "string", false, &[]),
    (
        "rights_status",
        "Rights status",
        "drop_down",
        false,
        &["cleared", "restricted", "pending", "unknown"],
    ),
    ("owner", "Owner", "string", false, &[]),
    (
        "region",
        "Region",
        "drop_down",
        true,
        &["emea", "amer", "apac"],
    ),
    ("language", "Language", "string", false, &[]),
    ("expires_on", "Expires on", "date", false, &[]),
    ("keywords", "Keywords", "tag_cloud", true, &[]),
    ("obsolete", "Obsolete", "boolean", false, &[]),
    ("licensee", "Licensee", "string", false, &[]),
    ("media", "Media", "string", true, &[]),
    ("talent", "Shows talent", "string", false, &[]),
    (
        "licence_node",
        "Licence in the record system",
        "string",
        false,
        &[],
    ),
    (
        "archive_state",
        "Archive state",
        "drop_down",
        false,
        &["requested", "kept", "failed"],
    ),
    ("archive_date", "Archived on", "datetime", false, &[]),
    ("archive_package", "Package", "string_exact", false, &[]),
    ("archive_digest", "SHA-256", "string_exact", false, &[]),
    ("archive_link", "Record", "url", false, &[]),
    ("archive_size", "Archived bytes", "integer", false, &[]),
];

/// Views: name and number of fields from the list above, one after the other.
const VIEWS: [(&str, usize); 2] = [("Campaign", 13), ("Archive", 6)];

/// The id of a storage.
pub fn storage_id(kind: StorageKind) -> String {
    let at = StorageKind::ALL
        .iter()
        .position(|&k| k == kind)
        .unwrap_or(0);
    id(Kind::Storage, u32::try_from(at).unwrap_or(0) + 1, false)
}

/// The id of the n-th view, from 0: `Campaign`, `Archive`.
pub fn view_id(n: u32) -> String {
    id(Kind::View, n + 1, false)
}

/// The folder of a storage's keys in the bucket.
fn prefix(kind: StorageKind) -> &'static str {
    match kind {
        StorageKind::Cloud => "cloud",
        StorageKind::SecondCloud => "second",
        StorageKind::OnPremise => "",
        StorageKind::Archive => "archive",
    }
}

fn method(kind: StorageKind) -> &'static str {
    match kind {
        StorageKind::OnPremise => "FILE",
        _ => "S3",
    }
}

impl World {
    /// Fills an empty account.
    pub(super) fn load(&mut self, campaign: &Campaign) {
        self.load_users();
        self.load_storages();
        self.load_metadata();
        let collections: Vec<String> = campaign
            .collections
            .iter()
            .map(|_| self.next_id(Kind::Collection))
            .collect();
        for (spec, own) in campaign.collections.iter().zip(&collections) {
            let parents: Vec<&String> = spec
                .parents
                .iter()
                .filter_map(|&p| collections.get(p))
                .collect();
            let collection = row(json!({
                "id": own,
                "title": spec.title,
                "status": "ACTIVE",
                "is_root": parents.is_empty(),
                "parent_id": parents.first(),
                "parents": parents,
                "in_collections": parents,
                "storage_id": null,
                "external_id": null,
                "category": null,
                "custom_keyframe": null,
                "custom_poster": null,
                "custom_order_status": "DISABLED",
                "favoured": false,
                "object_type": "collections",
                "permissions": ["read", "write", "delete", "change-acl"],
                "created_by_user": self.user,
                "date_created": date(0),
                "date_modified": date(0),
            }));
            for parent in parents {
                self.add_member(parent, "collections", own);
            }
            self.table(Kind::Collection).put(own, collection);
        }
        self.root = collections.first().cloned().unwrap_or_default();
        if let Some(spec) = campaign.library {
            self.library = Some(Library::new(spec));
            self.bucket.set_lookup(Arc::new(move |key| {
                library::object(spec, key.strip_prefix("cloud/")?)
            }));
        }
        let assets: Vec<String> = campaign
            .assets
            .iter()
            .map(|_| self.next_id(Kind::Asset))
            .collect();
        for (spec, own) in campaign.assets.iter().zip(&assets) {
            self.load_asset(spec, own, &assets, &collections);
            let others = spec.relations.iter();
            let there = others.filter_map(|(kind, other)| Some((kind, assets.get(*other)?)));
            self.relations.extend(there.map(|(kind, other)| {
                row(json!({
                    "related_from_asset_id": own, "related_to_asset_id": other,
                    "relation_type": kind,
                }))
            }));
        }
        // What was there from the start is in the index.
        self.members.backdate();
    }

    fn load_users(&mut self) {
        for (first, last, email) in USERS {
            let own = self.next_id(Kind::User);
            let user = row(json!({
                "id": own,
                "first_name": first,
                "last_name": last,
                "email": email,
                "type": "POWER",
                "status": "ACTIVE",
                "groups": [id(Kind::Group, 1, false)],
                "primary_group": id(Kind::Group, 1, false),
                "is_admin": false,
                "is_super_admin": false,
                "system_domain_id": self.domain,
                "system_domains": [self.domain],
                "system_name": "simulated",
                "date_created": date(0),
                "date_modified": date(0),
            }));
            self.table(Kind::User).put(&own, user);
        }
    }

    fn load_storages(&mut self) {
        for kind in StorageKind::ALL {
            let own = self.next_id(Kind::Storage);
            let (name, purpose) = match kind {
                StorageKind::Cloud => ("Masters", "FILES"),
                StorageKind::SecondCloud => ("Masters, second region", "FILES"),
                StorageKind::OnPremise => ("Edit suite", "FILES"),
                StorageKind::Archive => ("Deep archive", "ARCHIVE"),
            };
            let settings = match kind {
                StorageKind::OnPremise => json!({
                    "mount_point": "/mnt/edit", "read": true, "write": true, "delete": false, "scan": true,
                }),
                _ => json!({
                    "bucket": "masters", "path": prefix(kind), "region": "eu-west-1",
                    "read": true, "write": true, "delete": kind != StorageKind::Archive, "scan": false,
                }),
            };
            let storage = row(json!({
                "id": own,
                "name": name,
                "description": null,
                "method": method(kind),
                "purpose": purpose,
                "status": "ACTIVE",
                "status_message": null,
                "default": kind == StorageKind::Cloud,
                "last_scanned": null,
                "scanner_status": null,
                "version": "4.0",
                "settings": settings,
            }));
            self.table(Kind::Storage).put(&own, storage);
        }
    }

    fn load_metadata(&mut self) {
        let mut left = FIELDS.as_slice();
        let mut views = Vec::new();
        for (name, count) in VIEWS {
            let (mine, rest) = left.split_at(count);
            left = rest;
            let mut fields: Vec<Value> = Vec::new();
            for &(field, label, field_type, multi, options) in mine {
                let options: Vec<Value> = options
                    .iter()
                    .map(|o| json!({"label": o, "value": o}))
                    .collect();
                let definition = row(json!({
                    "name": field, "label": label, "field_type": field_type, "multi": multi,
                    "options": options, "required": false, "read_only": false, "auto_set": false,
                    "hide_if_not_set": false, "is_block_field": false, "is_warning_field": false,
                    "representative": false, "sortable": true, "use_as_facet": multi,
                    "mapped_field_name": field, "date_created": date(0), "date_modified": date(0),
                }));
                self.fields.put(field, definition);
                fields.push(json!({"name": field, "label": label, "field_type": field_type}));
            }
            if fields.len() > 1 {
                // Layout separators are listed as fields too.
                let separator =
                    json!({"name": "__separator__", "label": "Details", "field_type": "string"});
                fields.insert(1, separator);
            }
            let own = self.next_id(Kind::View);
            let view = row(json!({
                "id": own, "name": name, "description": null, "view_fields": fields,
                "date_created": date(0), "date_modified": date(0),
            }));
            self.table(Kind::View).put(&own, view);
            views.push(own);
        }
        for object_type in ["assets", "collections", "segments"] {
            let category = row(json!({
                "name": "default", "label": "Default", "object_type": object_type,
                "view_ids": views, "date_created": date(0), "date_modified": date(0),
            }));
            self.categories
                .insert((object_type.to_owned(), "default".to_owned()), category);
        }
    }

    fn load_asset(
        &mut self,
        spec: &AssetSpec,
        own: &str,
        assets: &[String],
        collections: &[String],
    ) {
        let n = u32::try_from(self.table(Kind::Asset).len()).unwrap_or(u32::MAX);
        let created = date(n * 60);
        let mut versions = Vec::new();
        let mut online = false;
        for (at, formats) in spec.versions.iter().enumerate() {
            let version = self.next_id(Kind::Version);
            let mut version_online = false;
            let mut archived = false;
            for format in formats {
                let (reachable, cold) = self.load_format(own, &version, format, &created);
                version_online |= reachable;
                archived |= cold;
            }
            online |= version_online;
            versions.push(json!({
                "id": version,
                "version_number": at + 1,
                "status": "ACTIVE",
                "archive_status": if archived { "ARCHIVED" } else { "NOT_ARCHIVED" },
                "analyze_status": "N/A",
                "face_recognition_status": "N/A",
                "transcribe_status": if spec.transcript.is_some() { "DONE" } else { "N/A" },
                "transcribed_languages": [],
                "is_online": version_online,
                "created_by_user": self.user,
                "date_created": date(n * 60 + u32::try_from(at).unwrap_or(0)),
            }));
        }
        // The newest first, as clients have met it.
        versions.reverse();
        let newest = versions
            .first()
            .map(|v| v["id"].clone())
            .unwrap_or_default();
        let mut asset = row(json!({
            "id": own,
            "title": spec.title,
            "type": spec.kind,
            "status": if spec.deleted { "DELETED" } else { "ACTIVE" },
            "archive_status": "NOT_ARCHIVED",
            "analyze_status": "N/A",
            "face_recognition_status": "N/A",
            "is_online": online,
            "is_blocked": false,
            "category": null,
            "external_id": null,
            "external_link": null,
            "site_name": null,
            "custom_keyframe": null,
            "custom_poster": null,
            "warning": null,
            "favoured": false,
            "has_unconfirmed_persons": false,
            "person_ids": [],
            "created_by_user": self.user,
            "updated_by_user": self.user,
            "date_created": created,
            "date_modified": created,
            "date_imported": created,
            "versions": versions,
        }));
        if spec.deleted {
            asset.insert("date_deleted".into(), self.clock.stamp().into());
            asset.insert("deleted_by_user".into(), self.user.clone().into());
        }
        if let Some((parent, from, to)) = spec.subclip
            && let Some(parent) = assets.get(parent)
        {
            asset.insert("original_asset_id".into(), parent.clone().into());
            asset.insert("time_start_milliseconds".into(), from.into());
            asset.insert("time_end_milliseconds".into(), to.into());
        }
        if let Value::Object(fields) = spec.fields.clone() {
            asset.extend(fields);
        }
        self.table(Kind::Asset).put(own, asset);
        for collection in spec.collections.iter().filter_map(|&c| collections.get(c)) {
            self.add_member(collection, "assets", own);
        }
        self.load_values(spec, own);
        self.load_review(spec, own, newest.as_str().unwrap_or(""));
    }

    /// Loads a format; whether its bytes are in reach, and whether they are archived.
    fn load_format(
        &mut self,
        asset: &str,
        version: &str,
        spec: &FormatSpec,
        created: &str,
    ) -> (bool, bool) {
        let own = self.next_id(Kind::Format);
        let component = self.next_id(Kind::Component);
        let archived = !spec.sets.is_empty() && spec.sets.iter().all(|s| s.archive);
        let reachable = spec
            .sets
            .iter()
            .any(|s| s.storage != StorageKind::OnPremise && !s.archive);
        let mut methods: Vec<&str> = spec.sets.iter().map(|s| method(s.storage)).collect();
        methods.dedup();
        let format = row(json!({
            "id": own,
            "asset_id": asset,
            "version_id": version,
            "name": spec.name,
            "status": "ACTIVE",
            "archive_status": if archived { "ARCHIVED" } else { "NOT_ARCHIVED" },
            "is_online": reachable,
            "storage_methods": methods,
            "user_id": self.user,
            "metadata": [{"internet_media_type": "application/octet-stream"}],
            "components": [{"id": component, "name": "General", "type": "GENERAL", "metadata": {}}],
            "warnings": [],
            "date_created": created,
            "date_modified": created,
        }));
        self.adopt(Kind::Format, asset, format);
        for set in &spec.sets {
            self.load_set([asset, version, &own, &component], set, created);
        }
        (reachable, archived)
    }

    fn load_set(&mut self, of: [&str; 4], spec: &FileSetSpec, created: &str) {
        let [asset, version, format, component] = of;
        let own = self.next_id(Kind::FileSet);
        let name = spec
            .files
            .iter()
            .find(|f| f.kind == "FILE")
            .map_or("", |f| f.name.as_str());
        let set = row(json!({
            "id": own,
            "asset_id": asset,
            "version_id": version,
            "format_id": format,
            "storage_id": storage_id(spec.storage),
            "name": name,
            "base_dir": spec.base_dir,
            "component_ids": [component],
            "status": "ACTIVE",
            "is_archive": spec.archive,
            "type": if spec.many_files { "MANY_FILES" } else { "REGULAR" },
            "date_created": created,
            "date_modified": created,
        }));
        self.adopt(Kind::FileSet, format, set);
        for file in &spec.files {
            self.load_file([asset, version, format, &own], spec, file, created);
        }
    }

    fn load_file(&mut self, of: [&str; 4], set: &FileSetSpec, spec: &FileSpec, created: &str) {
        let [asset, version, format, file_set] = of;
        let own = self.next_id(Kind::File);
        let key_of = |name: &str| {
            let parts = [prefix(set.storage), spec.directory.as_str(), name];
            let parts: Vec<&str> = parts.into_iter().filter(|p| !p.is_empty()).collect();
            parts.join("/")
        };
        let mut name = spec.name.clone();
        if self.taken.contains(&key_of(&name)) {
            name = format!("{}_{name}", &own[..8]);
        }
        let key = key_of(&name);
        self.taken.insert(key.clone());
        if spec.kind == "FILE" && set.storage != StorageKind::OnPremise {
            if !spec.lost {
                self.bucket.put(&key, object(spec, set, &own));
            }
            self.keys.insert(own.clone(), key);
        }
        let checksum = match spec.checksum {
            Checksum::Absent => Value::Null,
            Checksum::Md5 => spec.master.md5().into(),
            Checksum::Multipart => format!("{}-3", spec.master.md5()).into(),
            Checksum::Wrong => Master::literal("something else").md5().into(),
        };
        let mut file = row(json!({
            "id": own,
            "asset_id": asset,
            "version_id": version,
            "format_id": format,
            "file_set_id": file_set,
            "storage_id": storage_id(set.storage),
            "storage_method": method(set.storage),
            "original_name": spec.original_name,
            "name": name,
            "directory_path": spec.directory,
            "size": spec.stated_size.unwrap_or_else(|| spec.master.size()),
            "type": spec.kind,
            "status": spec.status,
            "checksum": checksum,
            "parent_id": null,
            "user_id": null,
            "format_status": "ACTIVE",
            "file_set_status": "ACTIVE",
            "file_date_created": created,
            "file_date_modified": created,
            "date_created": created,
            "date_modified": created,
            "system_domain_id": self.domain,
        }));
        if set.many_files {
            file.insert("template".into(), spec.name.clone().into());
            file.insert("template_engine".into(), "SIMPLE".into());
        }
        self.adopt(Kind::File, file_set, file);
    }

    fn load_values(&mut self, spec: &AssetSpec, own: &str) {
        let views: Vec<Row> = self.table(Kind::View).iter().cloned().collect();
        for view in views {
            let listed = view
                .get("view_fields")
                .and_then(Value::as_array)
                .cloned()
                .unwrap_or_default();
            let mut values = Row::new();
            for (field, given) in &spec.metadata {
                if listed.iter().any(|f| f["name"] == field.as_str()) {
                    let given: Vec<Value> = given.iter().map(|v| json!({"value": v})).collect();
                    values.insert(
                        field.clone(),
                        json!({"field_values": given, "date_created": date(0)}),
                    );
                }
            }
            if !values.is_empty() {
                let key = (
                    "assets".into(),
                    own.to_owned(),
                    String::new(),
                    text(&view, "id").to_owned(),
                );
                let saved = row(json!({
                    "metadata_values": values, "date_created": date(0), "date_modified": date(0),
                }));
                self.values.insert(key, saved);
            }
        }
    }

    fn load_review(&mut self, spec: &AssetSpec, own: &str, version: &str) {
        let users = [id(Kind::User, 2, false), id(Kind::User, 3, false)];
        if let Some((status, votes)) = &spec.approval {
            let votes: Vec<Row> = votes
                .iter()
                .zip(users.iter().cycle())
                .map(|(vote, user)| {
                    row(json!({
                        "object_type": "assets", "object_id": own, "version_id": version,
                        "user": user, "status": vote, "change_date": date(3600),
                    }))
                })
                .collect();
            let request = row(json!({
                "object_type": "assets", "object_id": own, "version_id": version,
                "status": status, "min_number": 1, "users": users, "groups": [], "externals": [],
                "requested_by": self.user, "request_date": date(1800), "change_date": date(3600),
                "approvals_by": votes, "share_id": null,
            }));
            let key = ("assets".to_owned(), own.to_owned(), version.to_owned());
            self.approvals.insert(key, (request, votes));
        }
        let mut parent: Option<String> = None;
        for comment in &spec.comments {
            let segment = self.next_id(Kind::Segment);
            let mut line = row(json!({
                "id": segment,
                "asset_id": own,
                "version_id": version,
                "segment_type": "COMMENT",
                "segment_text": comment.text,
                "segment_checked": false,
                "time_start_milliseconds": comment.from_ms,
                "time_end_milliseconds": comment.from_ms,
                "status": "ACTIVE",
                "top_level": !comment.reply,
                "has_drawing": false,
                "external_id": null,
                "metadata_view_id": null,
                "date_created": date(2000),
                "date_modified": date(2000),
            }));
            match &comment.guest {
                Some(guest) => line.insert("share_user_email".into(), guest.clone().into()),
                None => line.insert("user_id".into(), users[0].clone().into()),
            };
            match parent.clone().filter(|_| comment.reply) {
                Some(above) => {
                    line.insert("parent_id".into(), above.into());
                }
                None => parent = Some(segment.clone()),
            }
            self.adopt(Kind::Segment, own, line);
        }
        for _ in 0..if spec.transcript.is_some() { 2 } else { 0 } {
            let transcription = self.next_id(Kind::Other);
            let line = row(json!({
                "id": self.next_id(Kind::Segment),
                "asset_id": own,
                "version_id": version,
                "segment_type": "TRANSCRIPTION",
                "segment_text": spec.transcript,
                "transcription_id": transcription,
                "transcription": {"speaker": 1, "words": words(spec.transcript.as_deref())},
                "time_start_milliseconds": 0,
                "time_end_milliseconds": 4000,
                "status": "ACTIVE",
                "user_id": self.user,
                "date_created": date(2100),
                "date_modified": date(2100),
            }));
            self.adopt(Kind::Segment, own, line);
        }
    }
}

fn words(spoken: Option<&str>) -> Vec<Value> {
    spoken
        .unwrap_or("")
        .split_whitespace()
        .enumerate()
        .map(|(n, word)| json!({"value": word, "start_ms": n * 500, "end_ms": n * 500 + 450, "score": 0.9}))
        .collect()
}

fn object(spec: &FileSpec, set: &FileSetSpec, own: &str) -> Object {
    let mut object = Object::new(spec.master.clone(), own);
    object.etag = match spec.etag {
        Etag::Strong => object.etag,
        Etag::Weak => object.etag.map(|tag| format!("W/{tag}")),
        Etag::Absent => None,
    };
    object.last_modified = Timestamp::from_second(EPOCH).unwrap_or_default();
    object.link_serves = spec.link_serves;
    object.no_ranges = spec.no_ranges;
    if set.storage == StorageKind::Archive {
        object.temperature = Temperature::Cold;
    }
    object
}
