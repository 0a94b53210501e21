//! A node as the REST API shows it.

use serde_json::{Map, Value, json};

use super::super::call::Call;
use super::super::categories;
use super::super::permissions;
use super::super::versions;
use super::super::world::World;
use super::tree::{Languages, Node};
use super::types::Kind;
use crate::types::display_bytes;

/// The server's own language.
pub(super) const LANGUAGE: &str = "en";

/// The complete properties object.
pub(in super::super) fn properties(world: &World, call: &Call, node: &Node) -> Value {
    let kind = Kind::of(node.subtype);
    let container = node.container();
    let latest = node.latest();
    let children = world.tree.count(node.id);
    let count = if container { children as u64 } else { 0 };
    let (size, size_formatted) = match latest {
        _ if container => (json!(children), format!("{children} Items")),
        Some(version) => (json!(version.blob.len()), size_text(version.blob.len())),
        None => (Value::Null, String::new()),
    };
    let volume = match node.parent {
        -1 => -node.id,
        _ => -world.tree.root(node.id),
    };
    let icon = icon(node, kind);
    let mut json = json!({
        "advanced_versioning": if kind.is_some_and(Kind::versionable) { json!(node.advanced) } else { Value::Null },
        "container": container,
        "container_size": count,
        "create_date": world.date(node.created),
        "create_user_id": node.creator,
        "description": node.description,
        "description_multilingual": in_all(&node.description, &node.descriptions),
        "external_create_date": node.external.create_date,
        "external_identity": node.external.identity,
        "external_identity_type": node.external.identity_type,
        "external_modify_date": node.external.modify_date,
        "external_source": node.external.source,
        "favorite": world.favorites.has(call.user, node.id),
        "guid": null,
        "hidden": node.hidden,
        "icon": format!("{}/webdoc/{icon}.gif", world.config.support),
        "icon_large": format!("{}/webdoc/{icon}_large.gif", world.config.support),
        "id": node.id,
        "mime_type": latest.map(|version| version.mime.as_str()),
        "modify_date": world.date(node.modified),
        "modify_user_id": node.modifier,
        "name": node.name,
        "name_multilingual": in_all(&node.name, &node.names),
        "owner": world.members.name(node.owner),
        "owner_group_id": super::super::members::DEFAULT_GROUP,
        "owner_user_id": node.owner,
        "parent_id": node.parent,
        "permissions_model": "advanced",
        "preferred_rendition_type": [""],
        "reserved": node.reserved.is_some(),
        "reserved_date": node.reserved.map(|(_, at)| world.date(at)),
        "reserved_shared_collaboration": false,
        "reserved_user_id": node.reserved.map_or(0, |(user, _)| user),
        "size": size,
        "size_formatted": size_formatted,
        "status": null,
        "type": node.subtype,
        "type_name": kind.map_or("Unknown", |kind| kind.name),
        "versionable": kind.is_some_and(Kind::versionable),
        "versions_control_advanced": container && node.advanced,
        "volume_id": volume,
    });
    if let Some(original) = node.original {
        json["original_id"] = original.into();
        if call.shape.expands("properties", "original_id")
            && let Some(node) = world.visible(call.user, original)
        {
            json["original_id_expand"] = properties(world, call, node);
        }
    }
    if let Some(version) = node.original_version {
        json["version_number"] = version.into();
    }
    if let Some(url) = &node.url {
        json["url"] = url.as_str().into();
    }
    json
}

/// The size as the web pages write it, such as `874 KB`.
pub(super) fn size_text(size: u64) -> String {
    match size {
        0..1024 => format!("{size} Bytes"),
        _ => display_bytes(size).replace("iB", "B"),
    }
}

fn icon(node: &Node, kind: Option<&Kind>) -> &'static str {
    match node.latest().map(|version| version.mime.as_str()) {
        Some("application/pdf") => "apppdf",
        Some(mime) if mime.starts_with("video/") => "video",
        Some(mime) if mime.starts_with("audio/") => "audio",
        Some(mime) if mime.starts_with("image/") => "image",
        Some(mime) if mime.starts_with("text/") => "text",
        _ => kind.map_or("doc", |kind| kind.icon),
    }
}

/// The members of a properties object that name another object, resolved when asked for.
fn expand(world: &World, call: &Call, properties: &mut Value) {
    let people = [
        "create_user_id",
        "modify_user_id",
        "owner_user_id",
        "reserved_user_id",
        "owner_group_id",
    ];
    for key in people {
        if call.shape.expands("properties", key)
            && let Some(id) = properties[key].as_i64()
            && let Some(member) = world.members.get(id)
        {
            properties[format!("{key}_expand")] = member.json();
        }
    }
    for key in ["parent_id", "id", "volume_id"] {
        if call.shape.expands("properties", key)
            && let Some(id) = properties[key].as_i64()
            && let Some(node) = world.visible(call.user, id.abs())
        {
            let plain = Call {
                shape: super::super::shape::Shape::default(),
                ..sketch(call)
            };
            properties[format!("{key}_expand")] = self::properties(world, &plain, node);
        }
    }
}

/// The same call without arguments and files, for objects inside an answer.
fn sketch(call: &Call) -> Call {
    Call {
        user: call.user,
        session: call.session,
        v1: call.v1,
        method: call.method.clone(),
        href: call.href.clone(),
        arguments: super::super::arguments::Arguments::default(),
        files: Vec::new(),
        shape: super::super::shape::Shape::default(),
        node: call.node,
        now: call.now,
        clock: call.clock,
    }
}

/// The token of a node's own metadata.
pub(super) fn token(node: &Node) -> String {
    super::super::categories::token_of(&[node.id, 0], node.revision)
}

/// `data`, and beside it what `metadata`, `state` and `actions` ask for: one v2 result.
pub(in super::super) fn data(world: &World, call: &Call, node: &Node) -> Value {
    let shape = &call.shape;
    let mut data = Map::new();
    let mut result = Map::new();
    if shape.wants("properties") {
        let mut object = properties(world, call, node);
        expand(world, call, &mut object);
        data.insert("properties".to_owned(), shape.cut("properties", object));
    }
    if shape.wants("versions") {
        // The latest first: `versions.element(0)` is how clients ask for it.
        let rows = node
            .versions
            .iter()
            .rev()
            .map(|version| versions::json(world, node, version));
        data.insert(
            "versions".to_owned(),
            shape.cut_list("versions", rows.collect()),
        );
    }
    if shape.wants("permissions") {
        let rows = permissions::rows(&node.access);
        data.insert(
            "permissions".to_owned(),
            shape.cut_list("permissions", rows),
        );
    }
    let mut metadata = Map::new();
    if shape.wants("categories") {
        let (values, definitions) = categories::in_node(world, node);
        data.insert("categories".to_owned(), Value::Array(values));
        metadata.insert("categories".to_owned(), Value::Array(definitions));
    }
    if shape.metadata {
        if shape.wants("properties") {
            metadata.insert("properties".to_owned(), definitions());
        }
        let order: Vec<_> = node.categories.keys().map(ToString::to_string).collect();
        result.insert("metadata".to_owned(), Value::Object(metadata));
        result.insert(
            "metadata_map".to_owned(),
            json!({"categories": categories::map(world, node)}),
        );
        result.insert("metadata_order".to_owned(), json!({"categories": order}));
    }
    if shape.state {
        let mut tokens = Map::new();
        for (id, applied) in &node.categories {
            let token = categories::token(node.id, *id, applied);
            tokens.insert(format!("{id}_1"), json!({"metadata_token": token}));
        }
        let state = json!({"properties": {"metadata_token": token(node)}, "categories": tokens});
        result.insert("state".to_owned(), state);
    }
    if !shape.actions.is_empty() {
        result.insert(
            "actions".to_owned(),
            super::read::actions_of(world, call, node, &shape.actions),
        );
    }
    result.insert("data".to_owned(), Value::Object(data));
    Value::Object(result)
}

/// Definitions of the properties that clients show.
fn definitions() -> Value {
    let row = |key: &str, name: &str, kind: &str, length: Value| {
        json!({"key": key, "name": name, "type_name": kind, "multi_value": false, "required": false,
            "read_only": false, "hidden": false, "max_length": length, "min_length": null, "persona": ""})
    };
    json!({
        "id": row("id", "ID", "Integer", Value::Null),
        "name": row("name", "Name", "String", json!(248)),
        "description": row("description", "Description", "String", Value::Null),
        "type": row("type", "Type", "Integer", Value::Null),
        "size": row("size", "Size", "Integer", Value::Null),
        "parent_id": row("parent_id", "Parent ID", "Integer", Value::Null),
        "create_date": row("create_date", "Created", "Date", Value::Null),
        "modify_date": row("modify_date", "Modified", "Date", Value::Null),
    })
}

fn in_all(own: &str, others: &Languages) -> Value {
    let mut all = json!(others);
    all[LANGUAGE] = own.into();
    all
}
