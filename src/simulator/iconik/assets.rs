//! `/assets/v1/…`: assets, versions, relations, history, segments, approvals, the delete queue.

use http::Method;
use serde_json::{Value, json};

use super::call::{Answer, Call, Refusal, invalid, missing, refuse};
use super::table::{Kind, Row, row, text, without_nulls};
use super::world::World;

/// Fields of an asset that a client may not set; iconik ignores them.
const READ_ONLY: [&str; 12] = [
    "id",
    "created_by_user",
    "created_by_user_info",
    "updated_by_user",
    "updated_by_user_info",
    "date_imported",
    "date_viewed",
    "date_modified",
    "in_collections",
    "versions",
    "favoured",
    "object_type",
];

const OPERATIONS: [&str; 28] = [
    "EXPORT",
    "TRANSCODE",
    "ANALYZE",
    "ADD_FORMAT",
    "DELETE_FORMAT",
    "RESTORE_FORMAT",
    "DELETE_FILESET",
    "DELETE_FILE",
    "RESTORE_FILESET",
    "MODIFY_FILESET",
    "APPROVE",
    "REJECT",
    "DOWNLOAD",
    "METADATA",
    "CUSTOM",
    "TRANSCRIPTION",
    "VERSION_CREATE",
    "VERSION_DELETE",
    "VERSION_UPDATE",
    "VERSION_PROMOTE",
    "RESTORE",
    "RESTORE_FROM_GLACIER",
    "ARCHIVE",
    "RESTORE_ARCHIVE",
    "DELETE",
    "TRANSFER",
    "UNLINK_SUBCLIP",
    "FACE_RECOGNITION",
];

const SEGMENT_TYPES: [&str; 8] = [
    "MARKER",
    "QC",
    "GENERIC",
    "COMMENT",
    "TAG",
    "TRANSCRIPTION",
    "SCENE",
    "PERSON",
];

/// Fields with a fixed list of values.
const CHOICES: [(&str, &[&str]); 4] = [
    (
        "type",
        &[
            "ASSET",
            "SEQUENCE",
            "NLE_PROJECT",
            "PLACEHOLDER",
            "CUSTOM",
            "LINK",
            "SUBCLIP",
        ],
    ),
    ("status", &["ACTIVE", "DELETED"]),
    (
        "archive_status",
        &["NOT_ARCHIVED", "ARCHIVING", "FAILED_TO_ARCHIVE", "ARCHIVED"],
    ),
    (
        "analyze_status",
        &["N/A", "REQUESTED", "IN_PROGRESS", "FAILED", "DONE"],
    ),
];

/// Fields that hold text, or null where the second is true.
const TEXTS: [(&str, bool); 6] = [
    ("title", false),
    ("external_id", true),
    ("external_link", true),
    ("site_name", true),
    ("category", true),
    ("warning", true),
];

/// Refuses values outside their list or of the wrong type.
pub(super) fn check_choices(body: &Row, choices: &[(&str, &[&str])]) -> Result<(), Refusal> {
    for (field, allowed) in choices {
        match body.get(*field) {
            None => {}
            Some(Value::String(value)) if allowed.contains(&value.as_str()) => {}
            Some(Value::Null) => return Err(invalid(field, "Field may not be null.")),
            Some(_) => {
                return Err(invalid(
                    field,
                    &format!("Must be one of: {}.", allowed.join(", ")),
                ));
            }
        }
    }
    Ok(())
}

/// Refuses anything but text; null only where it may be.
pub(super) fn check_texts(body: &Row, texts: &[(&str, bool)]) -> Result<(), Refusal> {
    for (field, nullable) in texts {
        match body.get(*field) {
            None | Some(Value::String(_)) => {}
            Some(Value::Null) if *nullable => {}
            Some(Value::Null) => return Err(invalid(field, "Field may not be null.")),
            Some(_) => return Err(invalid(field, "Not a valid string.")),
        }
    }
    Ok(())
}

/// Demands fields of a body.
pub(super) fn demand(body: &Row, fields: &[&str]) -> Result<(), Refusal> {
    let absent: Row = fields
        .iter()
        .filter(|field| !body.contains_key(**field))
        .map(|field| {
            (
                (*field).to_owned(),
                json!(["Missing data for required field."]),
            )
        })
        .collect();
    if absent.is_empty() {
        return Ok(());
    }
    Err(Refusal {
        status: 400,
        errors: Value::Object(absent),
    })
}

impl World {
    pub(super) fn assets(&mut self, call: &Call<'_>, path: &[&str]) -> Answer {
        match (&call.method, path) {
            (&Method::GET, ["assets"]) => self.list_assets(call),
            (&Method::POST, ["assets"]) => self.create_asset(call),
            (_, ["assets", "relation_types", rest @ ..]) => self.relation_types(call, rest),
            (_, ["assets", asset, rest @ ..]) => self.one_asset(call, asset, rest),
            (_, ["delete_queue", rest @ ..]) => self.delete_queue(call, rest),
            (_, ["collections", rest @ ..]) if rest.get(1).is_none_or(|s| *s != "approvals") => {
                self.collections(call, rest)
            }
            (_, [object_type, object, "approvals", rest @ ..]) => {
                self.approvals(call, object_type, object, "", rest)
            }
            (_, ["custom_actions", rest @ ..]) => self.custom_actions(call, rest),
            _ => Err(refuse(404, "Not found")),
        }
    }

    fn one_asset(&mut self, call: &Call<'_>, asset: &str, rest: &[&str]) -> Answer {
        let found = self
            .row(Kind::Asset, asset)
            .ok_or_else(|| missing("Asset"))?;
        match (&call.method, rest) {
            (&Method::GET, []) => {
                call.need("can_read_assets")?;
                let mut asset = found;
                if call.flag("include_collections", false)? {
                    let within = self.collections_of(text(&asset, "id"));
                    asset.insert("in_collections".into(), within.into());
                } else {
                    asset.remove("in_collections");
                }
                if call.flag("include_users", false)? {
                    self.add_users(&mut asset);
                }
                Ok((200, asset.into()))
            }
            (&Method::PATCH | &Method::PUT, []) => self.change_asset(call, asset),
            (&Method::DELETE, []) => {
                call.need("can_delete_assets")?;
                self.set_deleted(call, asset, true);
                Ok((204, Value::Null))
            }
            (&Method::PUT, ["restore"]) => {
                self.set_deleted(call, asset, false);
                Ok((204, Value::Null))
            }
            (&Method::DELETE, ["purge"]) => {
                self.purge_asset(call, asset);
                Ok((204, Value::Null))
            }
            (&Method::POST, ["views"]) => Ok((200, found.into())),
            (_, ["versions", version, "approvals", rest @ ..]) => {
                self.approvals(call, "assets", asset, version, rest)
            }
            (_, ["versions", rest @ ..]) => self.versions(call, asset, rest),
            (_, ["history", rest @ ..]) => self.asset_history(call, asset, rest),
            (_, ["relations", rest @ ..]) => self.asset_relations(call, asset, rest),
            (_, ["segments", rest @ ..]) => self.segments(call, asset, rest),
            (_, ["approvals", rest @ ..]) => self.approvals(call, "assets", asset, "", rest),
            _ => Err(refuse(404, "Not found")),
        }
    }

    /// Adds what is known about the users that a row names.
    fn add_users(&self, row: &mut Row) {
        for field in ["created_by_user", "updated_by_user", "deleted_by_user"] {
            if let Some(info) = self.user_info(text(row, field)) {
                row.insert(format!("{field}_info"), info);
            }
        }
    }

    pub(super) fn user_info(&self, user: &str) -> Option<Value> {
        let user = self.row(Kind::User, user)?;
        Some(json!({
            "id": user["id"], "first_name": user["first_name"], "last_name": user["last_name"],
            "email": user["email"],
        }))
    }

    fn list_assets(&self, call: &Call<'_>) -> Answer {
        call.need("can_read_assets")?;
        let library = self.library.as_ref().map_or(0, |l| l.len());
        let known = ["page", "per_page", "sort", "scroll", "scroll_id"];
        let wanted: Vec<(&String, &String)> = call
            .query
            .iter()
            .filter(|(k, _)| !known.contains(&k.as_str()))
            .collect();
        let table = self.tables.get(&Kind::Asset);
        let rows = table.into_iter().flat_map(|t| t.iter()).cloned();
        let made = (0..library).filter_map(|n| {
            let id = super::table::id(Kind::Asset, n, true);
            self.row(Kind::Asset, &id)
        });
        // Without a filter only the page is made.
        if wanted.is_empty() && call.param("sort").is_none() {
            let explicit: Vec<Row> = rows.collect();
            let total = explicit.len() as u64 + u64::from(library);
            return call.paged(500, total, |offset, len| {
                let offset = super::call::to_usize(offset);
                let after =
                    u32::try_from(offset.saturating_sub(explicit.len())).unwrap_or(u32::MAX);
                let made = (after..library)
                    .filter_map(|n| self.row(Kind::Asset, &super::table::id(Kind::Asset, n, true)));
                let rows = explicit.iter().skip(offset).cloned().chain(made);
                rows.take(super::call::to_usize(len))
                    .map(|r| self.listed(r))
                    .collect()
            });
        }
        let mut found: Vec<Value> = rows
            .chain(made)
            .filter(|row| {
                wanted
                    .iter()
                    .all(|(k, v)| row.get(*k).is_some_and(|f| f == v.as_str()))
            })
            .map(|row| self.listed(row))
            .collect();
        sort_by(&mut found, call.param("sort").unwrap_or(""));
        call.page_list(500, &found)
    }

    /// An asset as lists show it.
    pub(super) fn listed(&self, mut asset: Row) -> Value {
        asset.insert("object_type".into(), "assets".into());
        asset.into()
    }

    fn create_asset(&mut self, call: &Call<'_>) -> Answer {
        call.need("can_create_assets")?;
        let body = call.object()?;
        demand(body, &["title"])?;
        check_texts(body, &TEXTS)?;
        check_choices(body, &CHOICES)?;
        let own = self.next_id(Kind::Asset);
        let now = self.clock.stamp();
        let version = self.new_version(1);
        let mut asset = row(json!({
            "id": own, "type": "ASSET", "status": "ACTIVE", "archive_status": "NOT_ARCHIVED",
            "analyze_status": "N/A", "face_recognition_status": "N/A", "is_online": false,
            "is_blocked": false, "category": null, "external_id": null, "external_link": null,
            "site_name": null, "warning": null, "favoured": false, "created_by_user": call.token.user,
            "updated_by_user": call.token.user, "date_created": now, "date_modified": now,
            "date_imported": now, "versions": [version],
        }));
        for (field, value) in body {
            if !READ_ONLY.contains(&field.as_str()) && field != "collection_id" {
                asset.insert(field.clone(), value.clone());
            }
        }
        if let Some(collection) = body.get("collection_id").and_then(Value::as_str) {
            if self.row(Kind::Collection, collection).is_none() {
                return Err(invalid("collection_id", "Collection does not exist"));
            }
            if call.flag("assign_to_collection", false)? {
                self.add_member(collection, "assets", &own);
            }
        }
        self.remember(&own, None);
        self.table(Kind::Asset).put(&own, asset.clone());
        self.event(
            ["assets", "entity", "create"],
            &own,
            &call.token.user,
            asset.clone().into(),
        );
        Ok((201, asset.into()))
    }

    fn change_asset(&mut self, call: &Call<'_>, asset: &str) -> Answer {
        call.need("can_write_assets")?;
        let body = call.object()?;
        if call.method == Method::PUT {
            demand(body, &["title"])?;
        }
        check_texts(body, &TEXTS)?;
        check_choices(body, &CHOICES)?;
        let changed = self
            .change(Kind::Asset, asset, |row| {
                for (field, value) in body {
                    if !READ_ONLY.contains(&field.as_str()) {
                        row.insert(field.clone(), value.clone());
                    }
                }
                row.insert("updated_by_user".into(), call.token.user.clone().into());
            })
            .ok_or_else(|| missing("Asset"))?;
        let data = Value::Object(changed.clone());
        self.event(
            ["assets", "entity", "update"],
            asset,
            &call.token.user,
            data,
        );
        Ok((200, changed.into()))
    }

    pub(super) fn set_deleted(&mut self, call: &Call<'_>, asset: &str, deleted: bool) {
        let (now, user) = (self.clock.stamp(), call.token.user.clone());
        let changed = self.change(Kind::Asset, asset, |row| {
            let status = if deleted { "DELETED" } else { "ACTIVE" };
            row.insert("status".into(), status.into());
            if deleted {
                row.insert("date_deleted".into(), now.into());
                row.insert("deleted_by_user".into(), user.into());
            } else {
                row.remove("date_deleted");
                row.remove("deleted_by_user");
            }
        });
        let operation = if deleted { "delete" } else { "restore" };
        let data = changed.map_or(Value::Null, Value::Object);
        self.event(
            ["assets", "entity", operation],
            asset,
            &call.token.user,
            data,
        );
    }

    /// Removes an asset for good, with its objects where the storage allows it.
    pub(super) fn purge_asset(&mut self, call: &Call<'_>, asset: &str) {
        for format in self.children(Kind::Format, asset) {
            for set in self.children(Kind::FileSet, &format) {
                self.purge_set(&set, false);
            }
            self.table(Kind::Format).remove(&format);
        }
        let old = self.table(Kind::Asset).remove(asset);
        self.remember(asset, old);
        self.members.remove_everywhere(asset);
        self.values.retain(|(_, object, ..), _| object != asset);
        self.event(
            ["assets", "entity", "purge"],
            asset,
            &call.token.user,
            json!({"id": asset}),
        );
    }

    fn new_version(&mut self, number: u64) -> Value {
        json!({
            "id": self.next_id(Kind::Version), "version_number": number, "status": "ACTIVE",
            "archive_status": "NOT_ARCHIVED", "analyze_status": "N/A",
            "face_recognition_status": "N/A", "transcribe_status": "N/A",
            "transcribed_languages": [], "is_online": false,
            "created_by_user": self.user, "date_created": self.clock.stamp(),
        })
    }

    fn versions(&mut self, call: &Call<'_>, asset: &str, rest: &[&str]) -> Answer {
        call.need("can_write_versions")?;
        let list = |row: &Row| {
            row.get("versions")
                .and_then(Value::as_array)
                .cloned()
                .unwrap_or_default()
        };
        let found = self
            .row(Kind::Asset, asset)
            .ok_or_else(|| missing("Asset"))?;
        let versions = list(&found);
        let position = |wanted: &str| {
            let at = versions.iter().position(|v| v["id"] == wanted);
            at.ok_or_else(|| missing("Version"))
        };
        let mut new = versions.clone();
        let (operation, status, body): (&str, u16, _) = match (&call.method, rest) {
            (&Method::POST, []) => {
                let number = versions
                    .iter()
                    .filter_map(|v| v["version_number"].as_u64())
                    .max();
                new.insert(0, self.new_version(number.unwrap_or(0) + 1));
                (
                    "VERSION_CREATE",
                    200,
                    json!({"asset_id": asset, "versions": new}),
                )
            }
            (&Method::PATCH | &Method::PUT, [version]) => {
                let at = position(version)?;
                if let Some(row) = new[at].as_object_mut() {
                    let body = call.object()?;
                    check_choices(body, &CHOICES[2..])?;
                    row.extend(body.clone().into_iter().filter(|(k, _)| k != "id"));
                }
                ("VERSION_UPDATE", 200, new[at].clone())
            }
            (&Method::PUT, [version, "promote"]) => {
                let promoted = new.remove(position(version)?);
                new.insert(0, promoted);
                ("VERSION_PROMOTE", 204, Value::Null)
            }
            (&Method::DELETE, ["old"]) => {
                new.truncate(1);
                ("VERSION_DELETE", 204, Value::Null)
            }
            (&Method::DELETE, [version]) => {
                new.remove(position(version)?);
                ("VERSION_DELETE", 204, Value::Null)
            }
            _ => return Err(refuse(404, "Not found")),
        };
        self.change(Kind::Asset, asset, |row| {
            row.insert("versions".into(), new.into());
        });
        self.history(asset, &call.token.user, operation, "");
        Ok((status, body))
    }

    fn asset_history(&mut self, call: &Call<'_>, asset: &str, rest: &[&str]) -> Answer {
        match (&call.method, rest) {
            (&Method::GET, []) => {
                call.need("can_read_assets_history")?;
                let mut lines = self.rows_of(Kind::History, asset);
                if let Some(wanted) = call
                    .param("filter")
                    .and_then(|f| f.strip_prefix("operation_type,eq,"))
                {
                    let wanted = wanted.trim_end_matches(';');
                    lines.retain(|line| line["operation_type"] == wanted);
                }
                call.page_list(500, &lines)
            }
            (&Method::POST, []) => {
                call.need("can_write_assets_history")?;
                let body = call.object()?;
                demand(body, &["operation_type"])?;
                check_choices(body, &[("operation_type", &OPERATIONS)])?;
                check_texts(body, &[("operation_description", true)])?;
                let about = text(body, "operation_description");
                let operation = text(body, "operation_type");
                let line = self.history(asset, &call.token.user, operation, about);
                Ok((201, line.into()))
            }
            (&Method::GET, [line]) => {
                let line = self
                    .row(Kind::History, line)
                    .filter(|l| text(l, "asset_id") == asset);
                // One of the GETs that are documented as 201.
                Ok((201, line.ok_or_else(|| missing("History entity"))?.into()))
            }
            _ => Err(refuse(404, "Not found")),
        }
    }

    /// Rows of a kind that belong to `parent`, as values.
    pub(super) fn rows_of(&self, kind: Kind, parent: &str) -> Vec<Value> {
        let ids = self.children(kind, parent);
        ids.iter()
            .filter_map(|id| Some(self.row(kind, id)?.into()))
            .collect()
    }

    fn relation_types(&mut self, call: &Call<'_>, rest: &[&str]) -> Answer {
        match (&call.method, rest) {
            (&Method::GET, []) => {
                let all: Vec<Value> = self
                    .relation_types
                    .iter()
                    .cloned()
                    .map(Value::Object)
                    .collect();
                call.page_list(500, &all)
            }
            (&Method::POST, []) => {
                let body = call.object()?;
                demand(body, &["name"])?;
                self.relation_types.put(text(body, "name"), body.clone());
                Ok((201, call.body.clone()))
            }
            (&Method::GET, [name]) => {
                let found = self
                    .relation_types
                    .get(name)
                    .ok_or_else(|| missing("Relation type"))?;
                Ok((200, found.clone().into()))
            }
            _ => Err(refuse(404, "Not found")),
        }
    }

    fn asset_relations(&mut self, call: &Call<'_>, asset: &str, rest: &[&str]) -> Answer {
        match (&call.method, rest) {
            (&Method::GET, []) | (&Method::GET, [_]) => {
                let related: Vec<Value> = self
                    .relations
                    .iter()
                    .filter(|r| text(r, "related_from_asset_id") == asset)
                    .filter(|r| {
                        rest.first()
                            .is_none_or(|wanted| text(r, "relation_type") == *wanted)
                    })
                    .filter_map(|r| self.row(Kind::Asset, text(r, "related_to_asset_id")))
                    .map(|r| self.listed(r))
                    .collect();
                call.page_list(500, &related)
            }
            (&Method::POST, []) | (&Method::POST, [_, _]) => {
                let mut body = call.body.as_object().cloned().unwrap_or_default();
                if let [kind, other] = rest {
                    body.insert("relation_type".into(), (*kind).into());
                    body.insert("related_to_asset_id".into(), (*other).into());
                }
                demand(&body, &["related_to_asset_id", "relation_type"])?;
                let other = text(&body, "related_to_asset_id").to_owned();
                if self.row(Kind::Asset, &other).is_none() {
                    return Err(invalid("related_to_asset_id", "Asset does not exist"));
                }
                body.insert("related_from_asset_id".into(), asset.into());
                let same = |r: &&Row| {
                    [
                        "related_from_asset_id",
                        "related_to_asset_id",
                        "relation_type",
                    ]
                    .iter()
                    .all(|f| r.get(*f) == body.get(*f))
                };
                if let Some(there) = self.relations.iter().find(same) {
                    return Ok((200, there.clone().into()));
                }
                body.insert("date_created".into(), self.clock.stamp().into());
                body.insert("date_modified".into(), self.clock.stamp().into());
                self.relations.push(body.clone());
                Ok((201, body.into()))
            }
            (&Method::DELETE, [kind, other]) => {
                self.relations.retain(|r| {
                    !(text(r, "related_from_asset_id") == asset
                        && text(r, "related_to_asset_id") == *other
                        && text(r, "relation_type") == *kind)
                });
                Ok((204, Value::Null))
            }
            _ => Err(refuse(404, "Not found")),
        }
    }

    fn segments(&mut self, call: &Call<'_>, asset: &str, rest: &[&str]) -> Answer {
        match (&call.method, rest) {
            (&Method::GET, []) => self.list_segments(call, asset, call.param("segment_type")),
            (&Method::GET, [kind]) if SEGMENT_TYPES.contains(kind) => {
                self.list_segments(call, asset, Some(kind))
            }
            (&Method::POST, []) => {
                call.need("can_write_segments")?;
                let body = call.object()?;
                demand(body, &["segment_type"])?;
                check_choices(body, &[("segment_type", &SEGMENT_TYPES)])?;
                let mut line = body.clone();
                line.insert("id".into(), self.next_id(Kind::Segment).into());
                line.insert("asset_id".into(), asset.into());
                line.insert("user_id".into(), call.token.user.clone().into());
                line.insert("status".into(), "ACTIVE".into());
                line.insert("date_created".into(), self.clock.stamp().into());
                line.insert("date_modified".into(), self.clock.stamp().into());
                self.adopt(Kind::Segment, asset, line.clone());
                let data = Value::Object(line.clone());
                self.event(
                    ["assets", "segments", "create"],
                    asset,
                    &call.token.user,
                    data,
                );
                Ok((201, line.into()))
            }
            (method, [segment]) => {
                let found = self
                    .row(Kind::Segment, segment)
                    .ok_or_else(|| missing("Segment"))?;
                match *method {
                    Method::GET => Ok((200, found.into())),
                    Method::PATCH | Method::PUT => {
                        let body = call.object()?.clone();
                        let changed = self.change(Kind::Segment, segment, |row| {
                            row.extend(body.into_iter().filter(|(k, _)| k != "id"));
                        });
                        Ok((200, changed.map_or(Value::Null, Value::Object)))
                    }
                    Method::DELETE => {
                        self.change(Kind::Segment, segment, |row| {
                            row.insert("status".into(), "DELETED".into());
                        });
                        Ok((204, Value::Null))
                    }
                    _ => Err(refuse(405, "Method not allowed")),
                }
            }
            _ => Err(refuse(404, "Not found")),
        }
    }

    fn list_segments(&self, call: &Call<'_>, asset: &str, kind: Option<&str>) -> Answer {
        call.need("can_read_segments")?;
        let users = call.flag("include_users", false)?;
        let status = call.param("status").unwrap_or("ACTIVE");
        let is = |line: &Value, field: &str, wanted: Option<&str>| {
            wanted.is_none_or(|wanted| line[field] == wanted)
        };
        let mut lines = self.rows_of(Kind::Segment, asset);
        lines.retain(|line| {
            is(line, "segment_type", kind)
                && is(line, "status", Some(status))
                && is(line, "version_id", call.param("version_id"))
                && is(line, "transcription_id", call.param("transcription_id"))
        });
        if users {
            for line in &mut lines {
                if let Some(info) = line["user_id"].as_str().and_then(|u| self.user_info(u)) {
                    line["user_first_name"] = info["first_name"].clone();
                    line["user_last_name"] = info["last_name"].clone();
                    line["user_info"] = info;
                }
            }
        }
        call.page_list(500, &lines)
    }

    fn approvals(
        &mut self,
        call: &Call<'_>,
        object_type: &str,
        object: &str,
        version: &str,
        rest: &[&str],
    ) -> Answer {
        let kind = match object_type {
            "assets" => Kind::Asset,
            "collections" => Kind::Collection,
            _ => return Err(refuse(404, "Not found")),
        };
        let found = self.row(kind, object).ok_or_else(|| missing("Object"))?;
        // Without a version the newest is meant.
        let newest = found
            .get("versions")
            .and_then(|v| v[0]["id"].as_str())
            .unwrap_or("");
        let version = if version.is_empty() { newest } else { version };
        let key = (
            object_type.to_owned(),
            object.to_owned(),
            version.to_owned(),
        );
        match (&call.method, rest) {
            (&Method::GET, ["request"]) => {
                call.need("can_read_approval_request")?;
                let request = self.approvals.get(&key).map(|(request, _)| request.clone());
                let Some(request) = request else {
                    // Both answers are met; which one depends on the asset alone.
                    if object.as_bytes().get(7).is_some_and(|b| b % 2 == 0) {
                        let none = json!({
                            "object_type": object_type, "object_id": object, "status": "N/A",
                            "users": [], "groups": [], "externals": [], "approvals_by": [],
                        });
                        return Ok((200, none));
                    }
                    return Err(missing("Approval request"));
                };
                Ok((200, without_nulls(request).into()))
            }
            (&Method::GET, []) => {
                let votes = self.approvals.get(&key).map(|(_, votes)| votes.clone());
                let votes: Vec<Value> = votes
                    .unwrap_or_default()
                    .into_iter()
                    .map(Value::Object)
                    .collect();
                call.page_list(500, &votes)
            }
            (&Method::POST | &Method::PUT | &Method::PATCH, ["request"]) => {
                call.need("can_write_approval_request")?;
                let mut request = row(json!({
                    "object_type": object_type, "object_id": object, "version_id": version,
                    "status": "REQUESTED", "min_number": 1, "users": [], "groups": [],
                    "externals": [], "approvals_by": [], "requested_by": call.token.user,
                    "request_date": self.clock.stamp(), "change_date": self.clock.stamp(),
                }));
                request.extend(call.object()?.clone());
                let votes = self
                    .approvals
                    .remove(&key)
                    .map(|(_, votes)| votes)
                    .unwrap_or_default();
                self.approvals.insert(key, (request.clone(), votes));
                let status = if call.method == Method::POST {
                    201
                } else {
                    200
                };
                Ok((status, request.into()))
            }
            (&Method::PUT, []) => {
                let body = call.object()?;
                demand(body, &["status"])?;
                check_choices(body, &[("status", &["APPROVED", "NOT_APPROVED"])])?;
                let vote = row(json!({
                    "object_type": object_type, "object_id": object, "version_id": version,
                    "user": call.token.user, "status": body["status"],
                    "change_date": self.clock.stamp(),
                }));
                let (request, votes) = self.approvals.entry(key).or_default();
                votes.retain(|v| v.get("user") != vote.get("user"));
                votes.push(vote.clone());
                let mixed = votes.iter().any(|v| v["status"] != vote["status"]);
                let status = if mixed {
                    json!("MIXED")
                } else {
                    vote["status"].clone()
                };
                request.insert("status".into(), status);
                request.insert("approvals_by".into(), json!(votes));
                let data = Value::Object(vote.clone());
                self.event(
                    [object_type, "approvals", "update"],
                    object,
                    &call.token.user,
                    data,
                );
                Ok((200, vote.into()))
            }
            _ => Err(refuse(404, "Not found")),
        }
    }

    fn delete_queue(&mut self, call: &Call<'_>, rest: &[&str]) -> Answer {
        self.purge_overdue(call);
        let deleted = |world: &Self, kind: Kind| -> Vec<Row> {
            let table = world.tables.get(&kind);
            let rows = table.into_iter().flat_map(|t| t.iter());
            rows.filter(|r| text(r, "status") == "DELETED")
                .cloned()
                .collect()
        };
        match (&call.method, rest) {
            (&Method::GET, ["assets"]) => {
                let rows: Vec<Value> = deleted(self, Kind::Asset)
                    .into_iter()
                    .map(|r| self.listed(r))
                    .collect();
                call.page_list(500, &rows)
            }
            (&Method::GET, ["collections"]) => {
                let rows = deleted(self, Kind::Collection);
                let rows: Vec<Value> = rows.into_iter().map(Value::Object).collect();
                call.page_list(500, &rows)
            }
            (&Method::POST, ["assets", "purge"]) => {
                let body = call.object()?;
                demand(body, &["ids"])?;
                let ids = body["ids"].as_array().cloned().unwrap_or_default();
                for wanted in ids.iter().filter_map(Value::as_str) {
                    self.purge_asset(call, wanted);
                }
                Ok((204, Value::Null))
            }
            (&Method::POST, ["assets", what @ ("purge" | "restore"), "all"]) => {
                for asset in deleted(self, Kind::Asset) {
                    let own = text(&asset, "id");
                    if *what == "purge" {
                        self.purge_asset(call, own);
                    } else {
                        self.set_deleted(call, own, false);
                    }
                }
                Ok((204, Value::Null))
            }
            (&Method::POST, ["bulk"]) => {
                let body = call.object()?;
                demand(body, &["object_ids", "object_type"])?;
                let ids = body["object_ids"].as_array().cloned().unwrap_or_default();
                if ids.len() > 500 {
                    return Err(invalid("object_ids", "Longer than maximum length 500."));
                }
                for wanted in ids.iter().filter_map(Value::as_str) {
                    self.set_deleted(call, wanted, true);
                }
                Ok((202, json!({})))
            }
            _ => Err(refuse(404, "Not found")),
        }
    }

    /// Purges what has been in the recycle bin for longer than the grace period.
    fn purge_overdue(&mut self, call: &Call<'_>) {
        let until = self.clock.now_ms() - self.grace_ms;
        let overdue: Vec<String> = self
            .tables
            .get(&Kind::Asset)
            .into_iter()
            .flat_map(|t| t.iter())
            .filter(|row| {
                let date = text(row, "date_deleted").parse::<jiff::Timestamp>();
                text(row, "status") == "DELETED" && date.is_ok_and(|d| d.as_millisecond() < until)
            })
            .map(|row| text(row, "id").to_owned())
            .collect();
        for asset in overdue {
            self.purge_asset(call, &asset);
        }
    }
}

/// Sorts by `field,asc;other,desc`.
pub(super) fn sort_by(rows: &mut [Value], order: &str) {
    for part in order.rsplit(';').filter(|p| !p.is_empty()) {
        let (field, direction) = part.split_once(',').unwrap_or((part, "asc"));
        let key = |row: &Value| match &row[field] {
            Value::String(text) => text.clone(),
            Value::Number(number) => format!("{:024}", number.as_u64().unwrap_or(0)),
            _ => String::new(),
        };
        if direction == "desc" {
            rows.sort_by_cached_key(|row| std::cmp::Reverse(key(row)));
        } else {
            rows.sort_by_cached_key(key);
        }
    }
}
