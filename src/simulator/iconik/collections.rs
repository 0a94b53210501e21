//! `/assets/v1/collections/…`: the folders of the account, one level at a time.

use std::collections::HashSet;

use http::Method;
use serde_json::{Value, json};

use super::assets::{check_texts, demand, sort_by};
use super::call::{Answer, Call, invalid, missing, refuse, to_usize};
use super::table::{Kind, Row, id, row, text};
use super::world::World;

impl World {
    pub(super) fn collections(&mut self, call: &Call<'_>, rest: &[&str]) -> Answer {
        match (&call.method, rest) {
            (&Method::GET, []) => {
                call.need("can_read_collections")?;
                let mut rows: Vec<Value> = self
                    .tables
                    .get(&Kind::Collection)
                    .into_iter()
                    .flat_map(|t| t.iter())
                    .filter(|row| {
                        ["is_root", "status", "external_id"].iter().all(|field| {
                            call.param(field)
                                .is_none_or(|wanted| match row.get(*field) {
                                    Some(Value::Bool(b)) => wanted == b.to_string(),
                                    Some(Value::String(s)) => wanted == s,
                                    _ => false,
                                })
                        })
                    })
                    .cloned()
                    .map(Value::Object)
                    .collect();
                sort_by(&mut rows, call.param("sort").unwrap_or(""));
                call.page_list(500, &rows)
            }
            (&Method::POST, []) => self.create_collection(call),
            (_, [collection, rest @ ..]) => {
                let found = self
                    .row(Kind::Collection, collection)
                    .ok_or_else(|| missing("Collection"))?;
                call.need("can_read_collections")?;
                self.one_collection(call, collection, found, rest)
            }
            _ => Err(refuse(405, "Method not allowed")),
        }
    }

    fn one_collection(
        &mut self,
        call: &Call<'_>,
        collection: &str,
        found: Row,
        rest: &[&str],
    ) -> Answer {
        match (&call.method, rest) {
            (&Method::GET, []) => Ok((200, found.into())),
            (&Method::PATCH | &Method::PUT, []) => {
                call.need("can_write_collections")?;
                let body = call.object()?.clone();
                check_texts(
                    &body,
                    &[("title", false), ("external_id", true), ("category", true)],
                )?;
                let changed = self.change(Kind::Collection, collection, |row| {
                    let keep = [
                        "id",
                        "parents",
                        "in_collections",
                        "permissions",
                        "object_type",
                    ];
                    row.extend(
                        body.into_iter()
                            .filter(|(k, _)| !keep.contains(&k.as_str())),
                    );
                });
                let changed = changed.map_or(Value::Null, Value::Object);
                let what = ["collections", "entity", "update"];
                self.event(what, collection, &call.token.user, changed.clone());
                Ok((200, changed))
            }
            (&Method::DELETE, []) => {
                self.change(Kind::Collection, collection, |row| {
                    row.insert("status".into(), "DELETED".into());
                });
                let what = ["collections", "entity", "delete"];
                self.event(
                    what,
                    collection,
                    &call.token.user,
                    json!({"id": collection}),
                );
                Ok((202, json!({})))
            }
            (&Method::PUT, ["restore"]) => {
                self.change(Kind::Collection, collection, |row| {
                    row.insert("status".into(), "ACTIVE".into());
                });
                Ok((201, json!({})))
            }
            (&Method::DELETE, ["purge"]) => {
                self.table(Kind::Collection).remove(collection);
                self.members.remove_everywhere(collection);
                Ok((202, json!({})))
            }
            (_, ["contents", rest @ ..]) => self.contents(call, collection, rest),
            (&Method::GET, ["content", "info"]) => {
                let (assets, collections) = self.below(collection);
                let (size, files) = self.size_of(&assets, None);
                Ok((
                    200,
                    json!({
                        "title": found["title"],
                        "assets_count": assets.len() as u64 + self.library_below(&collections, collection),
                        "collections_count": collections.len(),
                        "total_size": size + self.library_bytes(&collections, collection),
                        "total_duration_milliseconds": 0,
                        "storage_info": [{
                            "storage_id": id(Kind::Storage, 1, false),
                            "assets_count": assets.len(),
                            "file_count": files,
                            "total_size": size,
                            "total_duration_milliseconds": 0,
                        }],
                    }),
                ))
            }
            (&Method::GET, ["size"]) => {
                let (mut assets, mut collections) = self.below(collection);
                if !call.flag("include_subcollections", false)? {
                    assets = self
                        .members(collection)
                        .filter(|m| m.kind == "assets")
                        .map(|m| m.id.clone())
                        .collect();
                    collections.clear();
                }
                let (size, _) = self.size_of(&assets, call.param("format_name"));
                let size = size + self.library_bytes(&collections, collection);
                Ok((
                    200,
                    json!({"id": collection, "title": found["title"], "size": size}),
                ))
            }
            (&Method::GET, ["ancestors"]) => {
                let above = self.ancestors(collection);
                let rows = above.iter().filter(|a| *a != collection);
                let rows: Vec<Value> = rows
                    .filter_map(|a| Some(self.row(Kind::Collection, a)?.into()))
                    .collect();
                call.page_list(500, &rows)
            }
            (&Method::GET, ["full", "path"]) => {
                let mut titles = vec![text(&found, "title").to_owned()];
                let mut seen = HashSet::from([collection.to_owned()]);
                let mut at = found;
                while let Some(parent) = at.get("parent_id").and_then(Value::as_str) {
                    // The account may hold a cycle; a path does not.
                    if !seen.insert(parent.to_owned()) {
                        break;
                    }
                    let Some(above) = self.row(Kind::Collection, parent) else {
                        break;
                    };
                    titles.push(text(&above, "title").to_owned());
                    at = above;
                }
                titles.reverse();
                Ok((200, titles.join("/").into()))
            }
            _ => Err(refuse(404, "Not found")),
        }
    }

    fn create_collection(&mut self, call: &Call<'_>) -> Answer {
        call.need("can_create_collections")?;
        let body = call.object()?;
        demand(body, &["title"])?;
        check_texts(
            body,
            &[("title", false), ("parent_id", true), ("external_id", true)],
        )?;
        let parent = body.get("parent_id").and_then(Value::as_str);
        if parent.is_some_and(|p| self.row(Kind::Collection, p).is_none()) {
            return Err(invalid("parent_id", "Collection does not exist"));
        }
        let own = self.next_id(Kind::Collection);
        let parents: Vec<&str> = parent.into_iter().collect();
        let collection = row(json!({
            "id": own, "title": body["title"], "status": "ACTIVE", "is_root": parent.is_none(),
            "parent_id": parent, "parents": parents, "in_collections": parents,
            "external_id": body.get("external_id"), "category": body.get("category"),
            "storage_id": null, "custom_order_status": "DISABLED", "object_type": "collections",
            "permissions": ["read", "write", "delete", "change-acl"],
            "created_by_user": call.token.user,
            "date_created": self.clock.stamp(), "date_modified": self.clock.stamp(),
        }));
        if let Some(parent) = parent {
            self.add_member(parent, "collections", &own);
        }
        self.remember(&own, None);
        self.table(Kind::Collection).put(&own, collection.clone());
        let data = Value::Object(collection);
        self.event(
            ["collections", "entity", "create"],
            &own,
            &call.token.user,
            data.clone(),
        );
        Ok((201, data))
    }

    fn contents(&mut self, call: &Call<'_>, collection: &str, rest: &[&str]) -> Answer {
        match (&call.method, rest) {
            (&Method::GET, []) => self.list_contents(call, collection),
            (&Method::POST, []) => {
                call.need("can_write_collections")?;
                let body = call.object()?;
                demand(body, &["object_id", "object_type"])?;
                let (kind, object_type) = match text(body, "object_type") {
                    "assets" => (Kind::Asset, "assets"),
                    "collections" => (Kind::Collection, "collections"),
                    _ => {
                        return Err(invalid(
                            "object_type",
                            "Must be one of: assets, collections.",
                        ));
                    }
                };
                let object = text(body, "object_id").to_owned();
                if self.row(kind, &object).is_none() {
                    return Err(invalid("object_id", "Object does not exist"));
                }
                self.add_member(collection, object_type, &object);
                let data = json!({
                    "collection_id": collection, "object_id": object, "object_type": object_type,
                    "date_created": self.clock.stamp(),
                });
                let what = ["collections", "contents", "create"];
                self.event(what, collection, &call.token.user, data.clone());
                Ok((201, data))
            }
            (&Method::DELETE, [_, object]) => {
                call.need("can_write_collections")?;
                self.members.remove(collection, object);
                let data = json!({"collection_id": collection, "object_id": object});
                self.event(
                    ["collections", "contents", "delete"],
                    collection,
                    &call.token.user,
                    data,
                );
                Ok((204, Value::Null))
            }
            _ => Err(refuse(404, "Not found")),
        }
    }

    /// One level, as the search index knows it; soft-deleted assets are still there.
    fn list_contents(&self, call: &Call<'_>, collection: &str) -> Answer {
        let types = call.param("object_types").unwrap_or("assets,collections");
        let wants = |kind: &str| types.split(',').any(|t| t.trim() == kind);
        let ids: Option<Vec<&str>> = call.param("object_ids").map(|ids| ids.split(',').collect());
        let named = |id: &str| ids.as_ref().is_none_or(|ids| ids.contains(&id));
        let explicit: Vec<Value> = self
            .members(collection)
            .filter(|m| wants(m.kind) && named(&m.id))
            .filter_map(|m| {
                let kind = if m.kind == "assets" {
                    Kind::Asset
                } else {
                    Kind::Collection
                };
                self.document(kind, &m.id)
            })
            .collect();
        let keep = |row: &Value| {
            let same = |wanted: &str| row["external_id"] == wanted;
            call.param("external_id").is_none_or(same)
        };
        let library = self.library_in(collection).filter(|_| wants("assets"));
        let Some(library) = library else {
            let mut rows: Vec<Value> = explicit.into_iter().filter(keep).collect();
            sort_by(&mut rows, call.param("sort").unwrap_or(""));
            return call.page_list(500, &rows);
        };
        if let Some(ids) = &ids {
            let rows: Vec<Value> = ids
                .iter()
                .filter_map(|i| self.document(Kind::Asset, i))
                .collect();
            return call.page_list(500, &rows);
        }
        let total = explicit.len() as u64 + u64::from(library.len());
        call.paged(500, total, |offset, len| {
            let offset = to_usize(offset);
            let first = u32::try_from(offset.saturating_sub(explicit.len())).unwrap_or(u32::MAX);
            let made = (first..library.len())
                .filter_map(|n| self.document(Kind::Asset, &id(Kind::Asset, n, true)));
            let rows = explicit.iter().skip(offset).cloned().chain(made);
            rows.take(to_usize(len)).collect()
        })
    }

    /// Explicit assets in a collection and everything below it, and those collections.
    fn below(&self, collection: &str) -> (Vec<String>, Vec<String>) {
        let (mut assets, mut collections) = (Vec::new(), Vec::new());
        let mut open = vec![collection.to_owned()];
        let mut seen: HashSet<String> = HashSet::from([collection.to_owned()]);
        while let Some(at) = open.pop() {
            for member in self.members(&at) {
                if !seen.insert(member.id.clone()) {
                    continue;
                }
                if member.kind == "assets" {
                    assets.push(member.id.clone());
                } else {
                    collections.push(member.id.clone());
                    open.push(member.id.clone());
                }
            }
        }
        (assets, collections)
    }

    fn library_below(&self, below: &[String], collection: &str) -> u64 {
        let within = |c: &str| self.library_in(c).is_some();
        if within(collection) || below.iter().any(|c| within(c)) {
            self.library.as_ref().map_or(0, |l| u64::from(l.len()))
        } else {
            0
        }
    }

    fn library_bytes(&self, below: &[String], collection: &str) -> u64 {
        let size = self.library.as_ref().map_or(0, |l| l.size());
        self.library_below(below, collection).saturating_mul(size)
    }

    /// Bytes and number of the files of assets.
    fn size_of(&self, assets: &[String], format_name: Option<&str>) -> (u64, u64) {
        let (mut size, mut count) = (0, 0);
        for asset in assets {
            for format in self.children(Kind::Format, asset) {
                let row = self.row(Kind::Format, &format);
                let named = |wanted: &str| row.as_ref().is_some_and(|r| text(r, "name") == wanted);
                if !format_name.is_none_or(named) {
                    continue;
                }
                for set in self.children(Kind::FileSet, &format) {
                    for file in self.rows_of(Kind::File, &set) {
                        size += file["size"].as_u64().unwrap_or(0);
                        count += 1;
                    }
                }
            }
        }
        (size, count)
    }
}
