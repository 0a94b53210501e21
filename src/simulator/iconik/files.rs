//! `/files/v1/…`: storages, formats, file sets, files, and the signed addresses of their bytes.

use http::Method;
use serde_json::{Value, json};

use super::assets::{check_choices, check_texts, demand, sort_by};
use super::call::{Answer, Call, invalid, missing, refuse};
use super::table::{Kind, Row, row, text};
use super::world::World;
use crate::simulator::bucket::{LISTED, Vendor};

const FILE_STATES: [&str; 9] = [
    "OPEN",
    "GROWING",
    "AWAITED",
    "CLOSED",
    "FAILED",
    "ARCHIVED",
    "MISSING",
    "REDISCOVERED",
    "DELETED",
];

/// Cached addresses; all are forgotten when there are more.
const LINKS: usize = 10_000;

impl World {
    pub(super) fn files(&mut self, call: &Call<'_>, path: &[&str]) -> Answer {
        match (&call.method, path) {
            (_, ["storages", rest @ ..]) => self.storages(call, rest),
            (&Method::GET, ["files", "checksum", checksum]) => self.by_checksum(call, checksum),
            (_, ["file_sets", set, "files"]) if call.method == Method::GET => {
                self.set_files(call, set)
            }
            (_, ["assets", asset, rest @ ..]) => {
                if self.row(Kind::Asset, asset).is_none() {
                    return Err(missing("Asset"));
                }
                self.asset_files(call, asset, rest)
            }
            _ => Err(refuse(404, "Not found")),
        }
    }

    fn storages(&mut self, call: &Call<'_>, rest: &[&str]) -> Answer {
        call.need("can_read_storages")?;
        let shown = |mut storage: Row| -> Value {
            // Settings hold more than a non-administrator may see.
            if !call.token.admin
                && let Some(settings) = storage.get_mut("settings").and_then(Value::as_object_mut)
            {
                settings.retain(|name, _| {
                    ["path", "mount_point", "read", "write", "delete"].contains(&name.as_str())
                });
            }
            storage.into()
        };
        let table = self.tables.get(&Kind::Storage);
        let all: Vec<Row> = table.into_iter().flat_map(|t| t.iter()).cloned().collect();
        match (&call.method, rest) {
            (&Method::GET, []) => {
                let mut rows: Vec<Value> = all
                    .into_iter()
                    .filter(|row| {
                        let fields = ["id", "name", "method", "status", "purpose"];
                        let same =
                            |f: &&str| call.param(f).is_none_or(|wanted| text(row, f) == wanted);
                        let ids = call.param("ids");
                        fields.iter().all(same)
                            && ids.is_none_or(|ids| ids.split(',').any(|i| i == text(row, "id")))
                    })
                    .map(shown)
                    .collect();
                sort_by(&mut rows, call.param("sort").unwrap_or(""));
                call.page_list(100, &rows)
            }
            (&Method::GET, ["matching", purpose, rest @ ..]) => {
                let fits = |row: &Row| {
                    let methods = match rest {
                        ["method", method] => text(row, "method") == *method,
                        _ => true,
                    };
                    text(row, "purpose") == *purpose && methods
                };
                let found = all
                    .into_iter()
                    .find(fits)
                    .ok_or_else(|| missing("Storage"))?;
                Ok((200, shown(found)))
            }
            (&Method::GET, [purpose, "default"])
                if purpose.chars().all(|c| c.is_ascii_uppercase()) =>
            {
                let found = all.into_iter().find(|r| text(r, "purpose") == *purpose);
                Ok((200, shown(found.ok_or_else(|| missing("Storage"))?)))
            }
            (&Method::GET, [storage]) => {
                let found = self
                    .row(Kind::Storage, storage)
                    .ok_or_else(|| missing("Storage"))?;
                Ok((200, shown(found)))
            }
            (&Method::GET, [storage, "files"]) => {
                let files = self.tables.get(&Kind::File);
                let rows: Vec<Value> = files
                    .into_iter()
                    .flat_map(|t| t.iter())
                    .filter(|row| {
                        let fields = ["directory_path", "checksum", "name", "type", "status"];
                        text(row, "storage_id") == *storage
                            && fields
                                .iter()
                                .all(|f| call.param(f).is_none_or(|w| text(row, f) == w))
                    })
                    .cloned()
                    .map(Value::Object)
                    .collect();
                call.page_list(100, &rows)
            }
            _ => Err(refuse(404, "Not found")),
        }
    }

    fn by_checksum(&self, call: &Call<'_>, checksum: &str) -> Answer {
        let files = self.tables.get(&Kind::File);
        let ids: Vec<String> = files
            .into_iter()
            .flat_map(|t| t.iter())
            .filter(|row| text(row, "checksum") == checksum)
            .map(|row| text(row, "id").to_owned())
            .collect();
        if ids.is_empty() {
            return Err(missing("File with this checksum"));
        }
        call.after(100, "last_id", &ids, |id| {
            Some(self.row(Kind::File, id)?.into())
        })
    }

    fn asset_files(&mut self, call: &Call<'_>, asset: &str, rest: &[&str]) -> Answer {
        let (version, rest) = match rest {
            ["versions", version, rest @ ..] => {
                let found = self.row(Kind::Asset, asset).unwrap_or_default();
                let versions = found.get("versions").and_then(Value::as_array);
                if !versions.is_some_and(|all| all.iter().any(|v| v["id"] == *version)) {
                    return Err(missing("Version"));
                }
                (Some((*version).to_owned()), rest)
            }
            rest => (None, rest),
        };
        let signs = version.is_some();
        match (&call.method, rest) {
            (&Method::GET, ["formats"]) => {
                call.need("can_read_formats")?;
                let ids = if call.flag("include_all_versions", false)? {
                    self.children(Kind::Format, asset)
                } else {
                    self.formats(asset, version.as_deref())
                };
                call.after(500, "last_id", &ids, |id| {
                    Some(self.row(Kind::Format, id)?.into())
                })
            }
            (&Method::POST, ["formats"]) => self.create_format(call, asset),
            (_, ["formats", format, rest @ ..]) => {
                self.format(call, asset, version.as_deref(), format, rest)
            }
            (&Method::GET, ["file_sets"]) => {
                call.need("can_read_files")?;
                let sets = self.sets(asset, version.as_deref());
                self.list_sets(call, &sets)
            }
            (&Method::POST, ["file_sets"]) => self.create_set(call, asset),
            (_, ["file_sets", set, rest @ ..]) => self.file_set(call, asset, set, rest),
            (&Method::GET, ["files"]) => {
                call.need("can_read_files")?;
                let sets = self.sets(asset, version.as_deref());
                let files: Vec<String> = sets
                    .iter()
                    .flat_map(|s| self.children(Kind::File, s))
                    .collect();
                let sign = call.flag("generate_signed_url", signs)?;
                self.list_files(call, &files, sign)
            }
            (&Method::POST, ["files"]) => self.create_file(call, asset),
            (_, ["files", file, rest @ ..]) => self.file(call, asset, file, rest),
            (&Method::GET, ["proxies" | "keyframes" | "subtitles"]) => call.page_list(100, &[]),
            _ => Err(refuse(404, "Not found")),
        }
    }

    /// Formats of a version; of the newest when none is named.
    fn formats(&self, asset: &str, version: Option<&str>) -> Vec<String> {
        let found = self.row(Kind::Asset, asset).unwrap_or_default();
        let newest = found
            .get("versions")
            .and_then(|v| v[0]["id"].as_str())
            .unwrap_or("");
        let version = version.unwrap_or(newest);
        let mut formats = self.children(Kind::Format, asset);
        formats.retain(|f| {
            let row = self.row(Kind::Format, f);
            row.is_some_and(|r| {
                text(&r, "version_id") == version && text(&r, "status") != "DELETED"
            })
        });
        formats
    }

    fn sets(&self, asset: &str, version: Option<&str>) -> Vec<String> {
        let formats = self.formats(asset, version);
        formats
            .iter()
            .flat_map(|f| self.children(Kind::FileSet, f))
            .collect()
    }

    fn list_sets(&self, call: &Call<'_>, sets: &[String]) -> Answer {
        self.list_sets_with(call, sets, false)
    }

    /// Sources say how their storage is reached.
    fn list_sets_with(&self, call: &Call<'_>, sets: &[String], method: bool) -> Answer {
        let count = call.flag("file_count", false)?;
        call.after(500, "last_id", sets, |id| {
            let mut set = self.row(Kind::FileSet, id)?;
            if method && let Some(storage) = self.row(Kind::Storage, text(&set, "storage_id")) {
                set.insert("storage_method".into(), text(&storage, "method").into());
            }
            if count {
                set.insert(
                    "file_count".into(),
                    self.children(Kind::File, id).len().into(),
                );
            }
            Some(set.into())
        })
    }

    fn format(
        &mut self,
        call: &Call<'_>,
        asset: &str,
        version: Option<&str>,
        wanted: &str,
        rest: &[&str],
    ) -> Answer {
        call.need("can_read_formats")?;
        // By id, or by name among the formats of the version.
        let by_name = || {
            self.formats(asset, version).into_iter().find(|f| {
                self.row(Kind::Format, f)
                    .is_some_and(|r| text(&r, "name") == wanted)
            })
        };
        let own = match self.row(Kind::Format, wanted) {
            Some(row) if text(&row, "asset_id") == asset => wanted.to_owned(),
            _ => by_name().ok_or_else(|| missing("Format for this asset"))?,
        };
        let found = self
            .row(Kind::Format, &own)
            .ok_or_else(|| missing("Format for this asset"))?;
        match (&call.method, rest) {
            (&Method::GET, []) => Ok((200, found.into())),
            (&Method::PATCH | &Method::PUT, []) => {
                call.need("can_write_formats")?;
                let body = call.object()?.clone();
                let states = ["NOT_ARCHIVED", "ARCHIVING", "FAILED_TO_ARCHIVE", "ARCHIVED"];
                check_choices(
                    &body,
                    &[
                        ("archive_status", &states),
                        ("status", &["ACTIVE", "DELETED"]),
                    ],
                )?;
                let changed = self.change(Kind::Format, &own, |row| {
                    row.extend(
                        body.into_iter()
                            .filter(|(k, _)| k != "id" && k != "asset_id"),
                    );
                });
                let changed =
                    changed.ok_or_else(|| refuse(501, "Formats of the library are fixed"))?;
                Ok((200, changed.into()))
            }
            (&Method::GET, ["components"]) => {
                let parts = found.get("components").and_then(Value::as_array).cloned();
                call.page_list(100, &parts.unwrap_or_default())
            }
            (&Method::GET, ["file_sets"]) => {
                let sets = self.children(Kind::FileSet, &own);
                self.list_sets(call, &sets)
            }
            (&Method::GET, ["file_sets", "sources", method @ ..]) => {
                let mut sets = self.children(Kind::FileSet, &own);
                sets.retain(|s| {
                    let storage = self
                        .row(Kind::FileSet, s)
                        .and_then(|r| self.row(Kind::Storage, text(&r, "storage_id")));
                    method
                        .first()
                        .is_none_or(|m| storage.is_some_and(|r| text(&r, "method") == *m))
                });
                self.list_sets_with(call, &sets, true)
            }
            (&Method::GET, ["storages", storage, "file_sets"]) => {
                let mut sets = self.children(Kind::FileSet, &own);
                sets.retain(|s| {
                    self.row(Kind::FileSet, s)
                        .is_some_and(|r| text(&r, "storage_id") == *storage)
                });
                self.list_sets(call, &sets)
            }
            (&Method::POST, ["restore"]) => {
                call.need("can_restore_archived_formats")?;
                self.restore(call, asset, &found)
            }
            (&Method::POST, ["archive"]) => {
                call.need("can_archive_formats")?;
                self.archive(call, asset, &own)
            }
            (&Method::DELETE, []) => {
                self.change(Kind::Format, &own, |row| {
                    row.insert("status".into(), "DELETED".into());
                });
                self.history(asset, &call.token.user, "DELETE_FORMAT", "");
                Ok((200, json!({})))
            }
            (&Method::PUT, ["restore"]) => {
                self.change(Kind::Format, &own, |row| {
                    row.insert("status".into(), "ACTIVE".into());
                });
                Ok((200, json!({})))
            }
            _ => Err(refuse(404, "Not found")),
        }
    }

    /// Moves the copies of a format to an archive storage: new file sets with files of their own,
    /// the old ones are archived and have nothing left to read.
    fn archive(&mut self, call: &Call<'_>, asset: &str, format: &str) -> Answer {
        let body = call.object()?;
        demand(body, &["destination_storage_id"])?;
        let wanted = text(body, "destination_storage_id").to_owned();
        let storage = self
            .row(Kind::Storage, &wanted)
            .ok_or_else(|| invalid("destination_storage_id", "Storage does not exist"))?;
        if text(&storage, "purpose") != "ARCHIVE" {
            return Err(invalid(
                "destination_storage_id",
                "Storage must have the purpose ARCHIVE",
            ));
        }
        for set in self.children(Kind::FileSet, format) {
            let Some(mut copy) = self.row(Kind::FileSet, &set) else {
                continue;
            };
            if text(&copy, "status") != "ACTIVE" || copy.get("is_archive") == Some(&json!(true)) {
                continue;
            }
            let own = self.next_id(Kind::FileSet);
            copy.insert("id".into(), own.clone().into());
            copy.insert("is_archive".into(), true.into());
            let before = copy.insert("storage_id".into(), wanted.clone().into());
            copy.insert("original_storage_id".into(), before.unwrap_or_default());
            self.dated(&mut copy);
            self.adopt(Kind::FileSet, format, copy);
            for file in self.children(Kind::File, &set) {
                let Some(mut row) = self.row(Kind::File, &file) else {
                    continue;
                };
                let id = self.next_id(Kind::File);
                row.insert("id".into(), id.clone().into());
                row.insert("file_set_id".into(), own.clone().into());
                row.insert("storage_id".into(), wanted.clone().into());
                row.insert(
                    "storage_method".into(),
                    storage.get("method").cloned().unwrap_or_default(),
                );
                self.dated(&mut row);
                self.adopt(Kind::File, &own, row);
                if let Some(key) = self.keys.remove(&file) {
                    self.keys.insert(id, key);
                }
                self.change(Kind::File, &file, |row| {
                    row.insert("status".into(), "ARCHIVED".into());
                });
            }
            self.change(Kind::FileSet, &set, |row| {
                row.insert("status".into(), "ARCHIVED".into());
                row.insert("archive_file_set_id".into(), own.into());
            });
        }
        for (kind, row) in [(Kind::Format, format), (Kind::Asset, asset)] {
            self.change(kind, row, |row| {
                row.insert("archive_status".into(), "ARCHIVED".into());
            });
        }
        self.history(asset, &call.token.user, "ARCHIVE", "");
        Ok((202, json!({})))
    }

    /// Starts bringing back the cold objects of a format; a job shows how far that is. The reply
    /// names no job, as documented.
    fn restore(&mut self, call: &Call<'_>, asset: &str, format: &Row) -> Answer {
        let own = text(format, "id").to_owned();
        let thaw = self.thaw_ms;
        let mut any = false;
        for set in self.children(Kind::FileSet, &own) {
            for file in self.children(Kind::File, &set) {
                if let Some(key) = self.keys.get(&file) {
                    any |= self.bucket.thaw(key, thaw);
                }
            }
        }
        if !any && text(format, "archive_status") != "ARCHIVED" {
            return Err(refuse(400, "Format is not archived"));
        }
        let job = self.next_id(Kind::Job);
        let now = self.clock.stamp();
        let row = row(json!({
            "id": job, "title": "Restore", "type": "RESTORE_FROM_GLACIER", "status": "STARTED",
            "object_type": "assets", "object_id": asset, "progress": 0, "progress_processed": 0,
            "progress_total": 100, "has_children": false, "priority": 5, "steps": [], "message": "restoring", "created_by": call.token.user,
            "date_created": now, "date_modified": now, "started_at": now,
        }));
        self.table(Kind::Job).put(&job, row);
        self.thawing.push((job, self.clock.now_ms() + thaw));
        self.history(asset, &call.token.user, "RESTORE_FROM_GLACIER", "");
        Ok((202, json!({})))
    }

    fn create_format(&mut self, call: &Call<'_>, asset: &str) -> Answer {
        call.need("can_write_formats")?;
        let body = call.object()?;
        demand(body, &["name"])?;
        check_texts(body, &[("name", false)])?;
        let found = self.row(Kind::Asset, asset).unwrap_or_default();
        let version = found
            .get("versions")
            .map_or(Value::Null, |v| v[0]["id"].clone());
        let mut format = row(json!({
            "storage_methods": [], "metadata": [], "components": [], "status": "ACTIVE",
            "archive_status": "NOT_ARCHIVED", "is_online": false, "user_id": call.token.user,
            "version_id": version, "warnings": [],
        }));
        format.extend(body.clone());
        format.insert("id".into(), self.next_id(Kind::Format).into());
        format.insert("asset_id".into(), asset.into());
        self.dated(&mut format);
        self.adopt(Kind::Format, asset, format.clone());
        self.history(asset, &call.token.user, "ADD_FORMAT", text(body, "name"));
        Ok((201, format.into()))
    }

    fn dated(&self, row: &mut Row) {
        row.insert("date_created".into(), self.clock.stamp().into());
        row.insert("date_modified".into(), self.clock.stamp().into());
    }

    fn create_set(&mut self, call: &Call<'_>, asset: &str) -> Answer {
        call.need("can_write_files")?;
        let body = call.object()?;
        demand(body, &["format_id", "name", "base_dir", "component_ids"])?;
        let format = self.row(Kind::Format, text(body, "format_id"));
        let format = format.ok_or_else(|| invalid("format_id", "Format does not exist"))?;
        let mut set = row(json!({"status": "ACTIVE", "is_archive": false, "type": "REGULAR"}));
        set.extend(body.clone());
        set.insert("id".into(), self.next_id(Kind::FileSet).into());
        set.insert("asset_id".into(), asset.into());
        set.insert(
            "version_id".into(),
            format.get("version_id").cloned().unwrap_or_default(),
        );
        self.dated(&mut set);
        self.adopt(Kind::FileSet, text(&format, "id"), set.clone());
        Ok((201, set.into()))
    }

    fn file_set(&mut self, call: &Call<'_>, asset: &str, set: &str, rest: &[&str]) -> Answer {
        let found = self
            .row(Kind::FileSet, set)
            .filter(|row| text(row, "asset_id") == asset)
            .ok_or_else(|| missing("FileSet for this asset"))?;
        match (&call.method, rest) {
            (&Method::GET, []) => Ok((200, found.into())),
            (&Method::GET, ["files"]) => self.set_files(call, set),
            (&Method::PATCH | &Method::PUT, []) => {
                call.need("can_write_files")?;
                let body = call.object()?.clone();
                let changed = self.change(Kind::FileSet, set, |row| {
                    row.extend(
                        body.into_iter()
                            .filter(|(k, _)| k != "id" && k != "asset_id"),
                    );
                });
                self.history(asset, &call.token.user, "MODIFY_FILESET", "");
                Ok((200, changed.map_or(Value::Null, Value::Object)))
            }
            (&Method::DELETE, []) => {
                call.need("can_delete_files")?;
                self.history(asset, &call.token.user, "DELETE_FILESET", "");
                if call.flag("immediately", false)? {
                    let keep = call.flag("keep_source", false)?;
                    self.purge_set(set, keep);
                    return Ok((204, Value::Null));
                }
                self.change(Kind::FileSet, set, |row| {
                    row.insert("status".into(), "DELETED".into());
                });
                Ok((200, json!({})))
            }
            (&Method::DELETE, ["purge"]) => {
                call.need("can_delete_files")?;
                let keep = call.flag("keep_source", false)?;
                self.purge_set(set, keep);
                Ok((204, Value::Null))
            }
            (&Method::PUT, ["restore"]) => {
                self.change(Kind::FileSet, set, |row| {
                    row.insert("status".into(), "ACTIVE".into());
                });
                Ok((200, json!({})))
            }
            _ => Err(refuse(404, "Not found")),
        }
    }

    /// Removes a file set for good, with its objects where the storage allows it.
    pub(super) fn purge_set(&mut self, set: &str, keep_source: bool) {
        let Some(found) = self.row(Kind::FileSet, set) else {
            return;
        };
        let storage = self
            .row(Kind::Storage, text(&found, "storage_id"))
            .unwrap_or_default();
        let deletes = storage.get("settings").is_some_and(|s| s["delete"] == true);
        for file in self.children(Kind::File, set) {
            self.table(Kind::File).remove(&file);
            if let Some(key) = self.keys.remove(&file).filter(|_| deletes && !keep_source) {
                self.bucket.remove(&key);
                self.taken.remove(&key);
            }
        }
        self.table(Kind::FileSet).remove(set);
        self.children.remove(&(Kind::File, set.to_owned()));
        let format = (Kind::FileSet, text(&found, "format_id").to_owned());
        if let Some(sets) = self.children.get_mut(&format) {
            sets.retain(|s| s != set);
        }
    }

    fn set_files(&mut self, call: &Call<'_>, set: &str) -> Answer {
        call.need("can_read_files")?;
        if self.row(Kind::FileSet, set).is_none() {
            return Err(missing("FileSet"));
        }
        let sign = call.flag("generate_signed_url", true)?;
        let files = self.children(Kind::File, set);
        self.list_files(call, &files, sign)
    }

    fn list_files(&mut self, call: &Call<'_>, files: &[String], sign: bool) -> Answer {
        let (status, mut reply) = call.after(500, "last_id", files, |id| {
            Some(self.row(Kind::File, id)?.into())
        })?;
        if sign {
            for file in reply["objects"].as_array_mut().into_iter().flatten() {
                if let Some(file) = file.as_object_mut()
                    && let Some(url) = self.link(file, false, None)
                {
                    file.insert("url".into(), url.into());
                }
            }
        }
        Ok((status, reply))
    }

    /// The signed address of a file: the cached one for up to a day, whether it still works or
    /// not, unless a fresh one is asked for. None where iconik cannot reach the bytes.
    fn link(&mut self, file: &Row, fresh: bool, attachment: Option<&str>) -> Option<String> {
        if text(file, "type") != "FILE" || text(file, "storage_method") == "FILE" {
            return None;
        }
        let own = text(file, "id");
        let now = self.clock.now_ms();
        let cached = self
            .links
            .get(own)
            .filter(|(_, at)| now - at < self.link_cache_ms);
        if let (Some((url, _)), false, None) = (cached, fresh, attachment) {
            return Some(url.clone());
        }
        let key = self.object_key(file);
        let vendor = Vendor::of(text(file, "storage_method"));
        let url = self.bucket.sign(vendor, "GET", &key, attachment);
        if attachment.is_none() {
            if self.links.len() >= LINKS {
                self.links.clear();
            }
            self.links.insert(own.to_owned(), (url.clone(), now));
        }
        Some(url)
    }

    /// The object that a file row stands for.
    fn object_key(&self, file: &Row) -> String {
        if let Some(key) = self.keys.get(text(file, "id")) {
            return key.clone();
        }
        let parts = ["cloud", text(file, "directory_path"), text(file, "name")];
        let parts: Vec<&str> = parts.into_iter().filter(|p| !p.is_empty()).collect();
        parts.join("/")
    }

    /// Adds the addresses that the bytes of a file go to.
    fn add_upload_addresses(&self, file: &mut Row) {
        let method = text(file, "storage_method");
        if method == "B2" {
            let key = self.object_key(file);
            let (url, token) = self.bucket.open_b2(&key, None);
            file.insert("upload_url".into(), url.into());
            file.insert("upload_method".into(), "POST".into());
            file.insert("upload_filename".into(), key.into());
            let token = json!({"authorizationToken": token});
            file.insert("upload_credentials".into(), token);
            return;
        }
        if !["S3", "GCS", "AZURE"].contains(&method) {
            return;
        }
        let vendor = Vendor::of(method);
        let key = self.object_key(file);
        let verb = match vendor {
            Vendor::Google => "POST",
            Vendor::S3 | Vendor::Azure => "PUT",
        };
        let whole = self.bucket.sign(vendor, verb, &key, None);
        file.insert("upload_url".into(), whole.into());
        file.insert("upload_method".into(), verb.into());
        if vendor == Vendor::S3 {
            let parts = [("uploads", "")];
            let parts = self.bucket.sign_with(vendor, "POST", &key, &parts);
            file.insert("multipart_upload_url".into(), parts.into());
        }
    }

    /// Addresses of an upload in parts.
    fn multipart(&self, call: &Call<'_>, file: &Row, rest: &[&str]) -> Answer {
        call.need("can_write_files")?;
        let key = self.object_key(file);
        let id = call.param("upload_id").unwrap_or_default();
        if id.is_empty() {
            return Err(invalid("upload_id", "Missing data for required field."));
        }
        if text(file, "storage_method") != "S3" {
            return Err(refuse(
                400,
                "Multipart upload is not supported by this storage",
            ));
        }
        if rest == ["part"] {
            let parts = call.param("parts_num").and_then(|parts| parts.parse().ok());
            let parts: u32 = parts.unwrap_or(0).min(10_000);
            return call.paged(100, u64::from(parts), |offset, len| {
                let numbers = (1..=parts).skip(super::call::to_usize(offset));
                let row = |number: u32| {
                    let part = [("partNumber", &*number.to_string()), ("uploadId", id)];
                    json!({"number": number, "url": self.bucket.sign_with(Vendor::S3, "PUT", &key, &part)})
                };
                numbers.take(super::call::to_usize(len)).map(row).collect()
            });
        }
        let of = |method: &str| {
            let upload = [("uploadId", id)];
            self.bucket.sign_with(Vendor::S3, method, &key, &upload)
        };
        // The store lists a thousand parts at once.
        let most: u32 = call
            .param("max_part_number")
            .and_then(|most| most.parse().ok())
            .unwrap_or(1000);
        let lists = (0..most.clamp(1, 10_000)).step_by(LISTED).map(|behind| {
            let behind = behind.to_string();
            let page = [("uploadId", id), ("part-number-marker", &behind)];
            self.bucket.sign_with(Vendor::S3, "GET", &key, &page)
        });
        let lists: Vec<String> = lists.collect();
        Ok((
            200,
            json!({"complete_url": of("POST"), "abort_url": of("DELETE"), "list_parts_url": lists}),
        ))
    }

    /// A large file at B2: begun, or given another address; finished; given up.
    fn large(&self, call: &Call<'_>, file: &Row, what: &str) -> Answer {
        call.need("can_write_files")?;
        if text(file, "storage_method") != "B2" {
            return Err(refuse(400, "The storage is not a Backblaze B2 storage"));
        }
        let key = self.object_key(file);
        let body = call.object()?;
        let given = text(body, "upload_file_id");
        match what {
            "start" => {
                let own = match given {
                    "" => self.bucket.begin_b2(&key),
                    given if self.bucket.knows_b2(given) => given.to_owned(),
                    _ => {
                        let wrong = json!({"error": "No active upload for this file", "error_code": "bad_request", "status": "400"});
                        return Ok((200, wrong));
                    }
                };
                let (url, token) = self.bucket.open_b2(&key, Some(&own));
                let started = json!({
                    "upload_file_id": own, "upload_url": url, "authorization_token": token,
                });
                Ok((200, started))
            }
            "finish" => {
                demand(body, &["upload_file_id", "sha1_list"])?;
                let list = body.get("sha1_list").and_then(Value::as_array);
                let list: Vec<&str> = list
                    .into_iter()
                    .flatten()
                    .filter_map(Value::as_str)
                    .collect();
                match self.bucket.finish_b2(given, &list) {
                    Ok(()) => Ok((200, json!({}))),
                    Err(code) => Err(refuse(400, code)),
                }
            }
            "cancel" if self.bucket.cancel_b2(given) => Ok((200, json!({}))),
            "cancel" => Err(refuse(400, "bad_request")),
            _ => Err(refuse(404, "Not found")),
        }
    }

    fn create_file(&mut self, call: &Call<'_>, asset: &str) -> Answer {
        call.need("can_write_files")?;
        let body = call.object()?;
        demand(
            body,
            &["original_name", "directory_path", "type", "file_set_id"],
        )?;
        check_choices(
            body,
            &[
                ("type", &["FILE", "DIRECTORY", "SYMLINK"]),
                ("status", &FILE_STATES),
            ],
        )?;
        let set = self.row(Kind::FileSet, text(body, "file_set_id"));
        let set = set.ok_or_else(|| invalid("file_set_id", "FileSet does not exist"))?;
        let storage = self
            .row(Kind::Storage, text(&set, "storage_id"))
            .unwrap_or_default();
        let mut file = row(json!({
            "status": "OPEN", "checksum": null, "name": body["original_name"],
            "storage_id": set["storage_id"], "storage_method": storage.get("method"),
            "version_id": set["version_id"], "format_id": set["format_id"],
            "user_id": call.token.user, "size": 0,
        }));
        file.extend(body.clone());
        // Sizes may be sent as text; replies have numbers.
        if let Some(size) = file
            .get("size")
            .and_then(Value::as_str)
            .and_then(|s| s.parse::<u64>().ok())
        {
            file.insert("size".into(), size.into());
        }
        file.insert("id".into(), self.next_id(Kind::File).into());
        file.insert("asset_id".into(), asset.into());
        self.dated(&mut file);
        self.adopt(Kind::File, text(&set, "id"), file.clone());
        self.add_upload_addresses(&mut file);
        Ok((201, file.into()))
    }

    fn file(&mut self, call: &Call<'_>, asset: &str, wanted: &str, rest: &[&str]) -> Answer {
        call.need("can_read_files")?;
        let mut found = self
            .row(Kind::File, wanted)
            .filter(|row| text(row, "asset_id") == asset)
            .ok_or_else(|| missing("File for this asset"))?;
        match (&call.method, rest) {
            (&Method::GET, []) => {
                let fresh = call.flag("bypass_url_cache", false)?;
                let attachment = call.param("content_disposition") == Some("attachment");
                let name = text(&found, "original_name").to_owned();
                if let Some(url) = self.link(&found, fresh, attachment.then_some(&name)) {
                    found.insert("url".into(), url.into());
                }
                if call.flag("generate_signed_post_url", false)? {
                    call.need("can_write_files")?;
                    self.add_upload_addresses(&mut found);
                }
                Ok((200, found.into()))
            }
            (&Method::GET, ["multipart_url", rest @ ..]) => self.multipart(call, &found, rest),
            (&Method::POST, ["multipart", "b2", what]) => self.large(call, &found, what),
            (&Method::POST, ["multipart", "cleanup"]) => Ok((200, json!({}))),
            (&Method::GET, ["download_url"]) => {
                let name = text(&found, "original_name").to_owned();
                let url = self
                    .link(&found, true, Some(&name))
                    .ok_or_else(|| refuse(400, "The file is not reachable"))?;
                self.history(asset, &call.token.user, "DOWNLOAD", &name);
                let what = ["assets", "files", "download"];
                self.event(what, asset, &call.token.user, json!({"id": wanted}));
                Ok((200, json!({"url": url})))
            }
            (&Method::PATCH | &Method::PUT, []) => {
                call.need("can_write_files")?;
                let body = call.object()?.clone();
                check_choices(&body, &[("status", &FILE_STATES)])?;
                let changed = self.change(Kind::File, wanted, |row| {
                    let keep = ["id", "asset_id", "url"];
                    row.extend(
                        body.into_iter()
                            .filter(|(k, _)| !keep.contains(&k.as_str())),
                    );
                });
                let changed =
                    changed.ok_or_else(|| refuse(501, "Files of the library are fixed"))?;
                let data = Value::Object(changed.clone());
                self.event(["assets", "files", "update"], asset, &call.token.user, data);
                Ok((200, changed.into()))
            }
            (&Method::DELETE, []) => {
                self.table(Kind::File).remove(wanted);
                let set = (Kind::File, text(&found, "file_set_id").to_owned());
                if let Some(files) = self.children.get_mut(&set) {
                    files.retain(|f| f != wanted);
                }
                Ok((204, Value::Null))
            }
            _ => Err(refuse(404, "Not found")),
        }
    }

    /// Ends restore jobs whose objects have thawed.
    pub(super) fn finish_thawing(&mut self) {
        let now = self.clock.now_ms();
        let done: Vec<String> = self
            .thawing
            .extract_if(.., |(_, ready)| *ready <= now)
            .map(|(job, _)| job)
            .collect();
        for job in done {
            let stamp = self.clock.stamp();
            self.change(Kind::Job, &job, |row| {
                row.insert("status".into(), "FINISHED".into());
                row.insert("progress".into(), 100.into());
                row.insert("progress_processed".into(), 100.into());
                row.insert("completed_at".into(), stamp.into());
            });
        }
    }
}
