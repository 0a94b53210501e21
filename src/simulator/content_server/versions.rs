//! Versions of documents: adding, reading, describing, deleting, promoting, locking, and their
//! content.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::answer::{Answer, Download, INACCESSIBLE, Outcome, Refusal, list, v1};
use super::call::Call;
use super::categories::AppliedAll;
use super::content::Blob;
use super::nodes::{External, Node, external, node_data};
use super::permissions::{Rights, lacking};
use super::renditions::Rendition;
use super::world::{Deed, World};

const OCTETS: &str = "application/octet-stream";

/// One version.
#[derive(Clone)]
pub(super) struct Version {
    /// Its own id; with the id of its stored content following.
    pub(super) id: i64,
    /// 1, 2, 3 … never reused on its node.
    pub(super) number: i64,
    pub(super) major: i64,
    pub(super) minor: i64,
    pub(super) description: String,
    pub(super) external: External,
    pub(super) file_name: String,
    pub(super) mime: String,
    pub(super) blob: Blob,
    /// Offsets of stored bytes that have a flipped bit.
    pub(super) flips: BTreeSet<u64>,
    pub(super) created: Timestamp,
    pub(super) modified: Timestamp,
    pub(super) owner: i64,
    pub(super) locked: Option<(i64, Timestamp)>,
    /// The node's categories when the next version came; of the newest, those of the node.
    categories: Option<AppliedAll>,
    /// The same content in other forms.
    pub(super) renditions: Vec<Rendition>,
}

/// Content that is about to become a version.
pub(super) struct Incoming {
    pub(super) blob: Blob,
    pub(super) file_name: String,
    pub(super) mime: String,
    /// The upload session it came through.
    pub(super) key: Option<String>,
}

/// What a caller says of a new version.
pub(super) struct New {
    pub(super) major: bool,
    pub(super) external: External,
    pub(super) description: String,
}

/// The content that a create or add-version call brings: its file, or a closed upload session.
/// `parameter` is how the refusal names a missing file.
pub(super) fn incoming(
    world: &World,
    call: &mut Call,
    parameter: &str,
) -> Result<Incoming, Refusal> {
    // The older interface knows no upload sessions.
    let key = call.arguments.text("upload_key").filter(|_| !call.v1);
    let found = match (key, call.take_file("file")) {
        (Some(key), _) => {
            let upload = world.uploads.ready(&key, call)?;
            Incoming {
                blob: upload.blob,
                file_name: upload.file_name,
                mime: upload.mime,
                key: Some(key),
            }
        }
        (None, Some(file)) => {
            let guess = || {
                mime_guess::from_path(&file.name)
                    .first_raw()
                    .unwrap_or(OCTETS)
                    .to_owned()
            };
            Incoming {
                mime: file
                    .mime
                    .clone()
                    .filter(|mime| !mime.is_empty())
                    .unwrap_or_else(guess),
                file_name: base_name(&file.name),
                blob: file.blob,
                key: None,
            }
        }
        // A file came, in a field that is not the file's.
        (None, None) if !call.files.is_empty() => {
            return Err(Refusal::bad(
                "Error: File could not be found within the upload directory.",
            ));
        }
        (None, None) => return Err(Refusal::missing(parameter)),
    };
    if world.config.quota.is_some_and(|quota| world.held > quota) {
        return Err(full());
    }
    Ok(found)
}

/// The refusal of a server whose storage is full. No source quotes the words.
pub(super) fn full() -> Refusal {
    Refusal::failed("Error writing file: There is not enough space on the disk.")
}

/// The last part of a path; some clients send the whole.
fn base_name(name: &str) -> String {
    name.rsplit(['/', '\\'])
        .next()
        .unwrap_or_default()
        .to_owned()
}

/// Adds a version to a node.
pub(super) fn append(
    world: &mut World,
    node: &mut Node,
    incoming: Incoming,
    new: New,
    call: &Call,
) {
    node.last_version += 1;
    let before = node.categories.clone();
    if let Some(last) = node.versions.last_mut() {
        last.categories = Some(before);
    }
    let (major, minor) = match (node.advanced, node.latest()) {
        (false, _) => (0, node.last_version),
        (true, Some(last)) if !new.major => (last.major, last.minor + 1),
        (true, None) if !new.major => (0, 1),
        (true, last) => (last.map_or(0, |last| last.major) + 1, 0),
    };
    // The stored content has an id of its own, just before the version's.
    world.id();
    node.versions.push(Version {
        id: world.id(),
        number: node.last_version,
        major,
        minor,
        description: new.description,
        external: new.external,
        file_name: incoming.file_name,
        mime: incoming.mime,
        blob: incoming.blob,
        flips: BTreeSet::new(),
        created: call.now,
        modified: call.now,
        owner: call.user,
        locked: None,
        categories: None,
        renditions: Vec::new(),
    });
}

/// Adds a version with the content of the newest to a document that has one.
pub(super) fn repeat(world: &mut World, call: &Call, id: i64) {
    let Some(mut node) = world.tree.get(id).cloned() else {
        return;
    };
    let Some(last) = node.latest().cloned() else {
        return;
    };
    let content = last.blob.clone();
    let incoming = Incoming {
        blob: last.blob,
        file_name: last.file_name,
        mime: last.mime,
        key: None,
    };
    let new = New {
        major: false,
        external: last.external,
        description: last.description,
    };
    append(world, &mut node, incoming, new, call);
    let detail = json!({"version": node.last_version});
    if let Some(place) = world.tree.get_mut(id) {
        *place = node;
    }
    world.record_content(call, "version", Some(id), detail, Some(content));
}

/// The categories of a version, the newest being 0, too; `None` when there is no such version.
pub(super) fn categories(node: &Node, number: i64) -> Option<&AppliedAll> {
    let version = match number {
        0 => node.latest(),
        number => find(node, number),
    };
    Some(version?.categories.as_ref().unwrap_or(&node.categories))
}

/// The version as the REST API shows it.
pub(super) fn json(world: &World, node: &Node, version: &Version) -> Value {
    let created = world.date(version.created);
    let zoned = |date: &String| match world.config.zoned_dates {
        true => format!("{date}Z"),
        false => date.clone(),
    };
    let file_date = |date: &Option<String>| date.as_ref().map_or_else(|| created.clone(), zoned);
    let kind = version
        .file_name
        .rsplit_once('.')
        .map_or("", |(_, kind)| kind);
    let name = match node.advanced {
        true => format!("{}.{}", version.major, version.minor),
        false => version.number.to_string(),
    };
    json!({
        "create_date": created,
        "description": version.description,
        "external_create_date": version.external.create_date,
        "external_identity": version.external.identity,
        "external_identity_type": version.external.identity_type,
        "external_modify_date": version.external.modify_date,
        "external_source": version.external.source,
        "file_create_date": file_date(&version.external.create_date),
        "file_modify_date": file_date(&version.external.modify_date),
        "file_name": version.file_name,
        "file_size": version.blob.len(),
        "file_type": kind,
        "has_generation": false,
        "id": node.id,
        "locked": version.locked.is_some(),
        "locked_date": version.locked.map(|(_, at)| world.date(at)),
        "locked_user_id": version.locked.map(|(user, _)| user),
        "mime_type": version.mime,
        "modify_date": world.date(version.modified),
        "name": version.file_name,
        "owner_id": version.owner,
        "provider_id": version.id - 1,
        "provider_name": "EFS",
        "version_id": version.id,
        "version_number": version.number,
        "version_number_major": version.major,
        "version_number_minor": version.minor,
        "version_number_name": name,
    })
}

/// The same under the names of v1.
fn json_v1(world: &World, node: &Node, version: &Version) -> Value {
    let mut json = json(world, node, version);
    json["version_major_number"] = version.major.into();
    json["version_minor_number"] = version.minor.into();
    json
}

fn document<'a>(world: &'a World, call: &Call, id: i64, status: u16) -> Result<&'a Node, Refusal> {
    world
        .visible(call.user, id)
        .ok_or_else(|| Refusal::inaccessible(status))
}

/// A version by its number.
pub(super) fn find(node: &Node, number: i64) -> Option<&Version> {
    node.versions
        .iter()
        .find(|version| version.number == number)
}

pub(super) fn find_mut(world: &mut World, id: i64, number: i64) -> Option<&mut Version> {
    let versions = &mut world.tree.get_mut(id)?.versions;
    versions.iter_mut().find(|version| version.number == number)
}

/// `POST …/versions`.
pub(super) fn add(world: &mut World, mut call: Call, id: i64) -> Outcome {
    let node = document(world, &call, id, 400)?;
    if node.versions.is_empty() {
        return Err(Refusal::bad(format!(
            "Could not process object, type '{}' has no role 'versions'",
            node.subtype
        )));
    }
    lacking(world, call.user, id, Rights::MODIFY, "versions-add")?;
    world.free(call.user, id, Deed::Version, "versions-add")?;
    let major = call.arguments.flag("add_major_version");
    let major = major
        .map_err(|_| Refusal::bad("Could not set feature Versioning, value must be a Boolean"))?;
    let advanced = world.tree.get(id).is_some_and(|node| node.advanced);
    if major == Some(true) && advanced {
        lacking(world, call.user, id, Rights::MAJOR, "versions-add")?;
    }
    let external = external(&call, External::default())?;
    let description: String = call
        .arguments
        .text("description")
        .filter(|_| world.config.version_notes)
        .unwrap_or_default()
        .chars()
        .take(world.config.description_limit)
        .collect();
    let roles = call.arguments.object("roles").unwrap_or_default();
    let parent = world.tree.get(id).map_or(-1, |node| node.parent);
    let applied = super::categories::for_move(world, &call, id, parent, roles.get("categories"))?;
    let incoming = incoming(world, &mut call, "File")?;
    let (content, key) = (incoming.blob.clone(), incoming.key.clone());

    let Some(mut node) = world.tree.get(id).cloned() else {
        return Err(Refusal::bad(INACCESSIBLE));
    };
    let new = New {
        major: major.unwrap_or(false),
        external: external.clone(),
        description: description.clone(),
    };
    append(world, &mut node, incoming, new, &call);
    node.external = external;
    if let Some(applied) = applied {
        node.categories = applied;
    }
    node.touch(call.user, call.now);
    let number = node.last_version;
    if let Some(place) = world.tree.get_mut(id) {
        *place = node;
    }
    if let Some(key) = &key {
        world.uploads.spend(key, world.config.multipart.single_use);
    }
    let detail = json!({"version": number, "description": description, "upload_key": key});
    world.record_content(&call, "version", Some(id), detail, Some(content));
    if call.v1 {
        return Ok(Answer::Json(json!({"id": id, "version_number": number})));
    }
    let node = document(world, &call, id, 400)?;
    let mut data = node_data(world, &call, node);
    if let Some(version) = node.latest() {
        data["data"]["versions"] = json(world, node, version);
    }
    Ok(call.results(data))
}

/// `GET …/versions`: the highest number first unless asked otherwise; unasked, all of them.
pub(super) fn browse(world: &mut World, call: &Call, id: i64) -> Outcome {
    let node = document(world, call, id, 400)?;
    if call.v1 {
        let rows: Vec<_> = node
            .versions
            .iter()
            .map(|version| json_v1(world, node, version))
            .collect();
        return Ok(v1(rows.into()));
    }
    let total = node.versions.len();
    let page = call.page_of(u32::try_from(total.max(1)).unwrap_or(u32::MAX), u32::MAX)?;
    let order = call
        .arguments
        .text("order")
        .unwrap_or_else(|| "desc".to_owned());
    let row = |version: &Version| {
        let object = call.shape.cut("versions", json(world, node, version));
        json!({"data": {"versions": object}})
    };
    let rows: Vec<_> = match order.to_ascii_lowercase().as_str() {
        "asc" => node
            .versions
            .iter()
            .skip(page.skip())
            .take(page.limit)
            .map(row)
            .collect(),
        _ => node
            .versions
            .iter()
            .rev()
            .skip(page.skip())
            .take(page.limit)
            .map(row)
            .collect(),
    };
    Ok(list(&call.href, rows, page, total, None))
}

/// `GET …/versions/{n}`.
pub(super) fn get(world: &mut World, call: &Call, id: i64, number: i64) -> Outcome {
    let node = document(world, call, id, 400)?;
    let missing = || Refusal::bad("Error getting version for node");
    let version = find(node, number).ok_or_else(missing)?;
    Ok(match call.v1 {
        true => v1(json_v1(world, node, version)),
        false => {
            let object = call.shape.cut("versions", json(world, node, version));
            call.results(json!({"data": {"versions": object}}))
        }
    })
}

/// `GET /v1/nodes/{id}/versions/latest`.
pub(super) fn latest(world: &mut World, call: &Call, id: i64) -> Outcome {
    let node = document(world, call, id, 400)?;
    let version = node.latest().ok_or_else(|| Refusal::bad(INACCESSIBLE))?;
    Ok(v1(json_v1(world, node, version)))
}

/// The answer to a call that changed one version.
fn changed(world: &World, call: &Call, id: i64, number: i64) -> Outcome {
    let node = document(world, call, id, 400)?;
    let version = find(node, number).ok_or_else(|| Refusal::bad(INACCESSIBLE))?;
    Ok(call.results(json!({"data": {"versions": json(world, node, version)}})))
}

/// `PUT …/versions/{n}`: the description.
pub(super) fn describe(world: &mut World, call: &Call, id: i64, number: i64) -> Outcome {
    let node = document(world, call, id, 400)?;
    let version = find(node, number).ok_or_else(|| Refusal::bad(INACCESSIBLE))?;
    if version.locked.is_some_and(|(user, _)| user != call.user) {
        return Err(Refusal::action("versions-update"));
    }
    lacking(world, call.user, id, Rights::MODIFY, "versions-update")?;
    world.free(call.user, id, Deed::Version, "versions-update")?;
    let description = call
        .arguments
        .text("description")
        .ok_or_else(|| Refusal::missing("description"))?;
    let description: String = description
        .chars()
        .take(world.config.description_limit)
        .collect();
    if let Some(version) = find_mut(world, id, number) {
        version.description.clone_from(&description);
        version.modified = call.now;
    }
    world.record(
        call,
        "describe",
        Some(id),
        json!({"version": number, "description": description}),
    );
    changed(world, call, id, number)
}

/// `DELETE …/versions/{n}`.
pub(super) fn delete(world: &mut World, call: &Call, id: i64, number: i64) -> Outcome {
    let node = document(world, call, id, 400)?;
    let version =
        find(node, number).ok_or_else(|| Refusal::bad("Error getting version for node"))?;
    // A document keeps at least one version.
    if version.locked.is_some() || node.versions.len() == 1 {
        return Err(Refusal::action("versions-delete"));
    }
    lacking(world, call.user, id, Rights::VERSIONS, "versions-delete")?;
    world.free(call.user, id, Deed::Version, "versions-delete")?;
    if let Some(node) = world.tree.get_mut(id) {
        node.versions.retain(|version| version.number != number);
        node.touch(call.user, call.now);
    }
    world.record(call, "version_delete", Some(id), json!({"version": number}));
    Ok(call.done())
}

/// `DELETE …/versions`: keeps the newest, and with advanced versioning every major one.
pub(super) fn purge(world: &mut World, call: &Call, id: i64) -> Outcome {
    let node = document(world, call, id, 500)?;
    if node.versions.is_empty() {
        let text = format!(
            "Could not process object, type '{}' has no role 'versions'",
            node.subtype
        );
        return Err(Refusal::failed(text));
    }
    let keep = call.arguments.number("number_to_keep");
    let keep = keep
        .map_err(|_| Refusal::failed("Invalid value for NumberToKeep"))?
        .unwrap_or(1);
    let keep = usize::try_from(keep).ok().filter(|keep| *keep > 0);
    let keep = keep.ok_or_else(|| Refusal::failed("Invalid value for NumberToKeep"))?;
    let allowed = lacking(world, call.user, id, Rights::VERSIONS, "versions-delete")
        .and_then(|()| world.free(call.user, id, Deed::Version, "versions-delete"));
    allowed.map_err(|_| Refusal::failed("Error purging versions"))?;
    let mut gone = Vec::new();
    if let Some(node) = world.tree.get_mut(id) {
        let advanced = node.advanced;
        let counts = |version: &Version| !advanced || version.minor != 0;
        let mut spare = node
            .versions
            .iter()
            .filter(|version| counts(version))
            .count()
            .saturating_sub(keep);
        node.versions.retain(|version| {
            let old = spare > 0 && counts(version);
            spare -= usize::from(old);
            let goes = old && version.locked.is_none();
            if goes {
                gone.push(version.number);
            }
            !goes
        });
        node.touch(call.user, call.now);
    }
    world.record(call, "version_delete", Some(id), json!({"versions": gone}));
    Ok(call.done())
}

/// `POST …/versions/{n}/promote`: the content as the next major version.
pub(super) fn promote(world: &mut World, call: &Call, id: i64, number: i64) -> Outcome {
    let node = document(world, call, id, 500)?;
    let name = node.name.clone();
    if node.versions.is_empty() {
        return Err(Refusal::failed(format!(
            "Could not process object, type '{}' has no role 'versions'",
            node.subtype
        )));
    }
    if !node.advanced {
        return Err(Refusal::failed(format!(
            "You cannot promote a version for {name} which is using standard versioning"
        )));
    }
    let version = find(node, number)
        .ok_or_else(|| Refusal::failed("Error getting version for node"))?
        .clone();
    let allowed = lacking(world, call.user, id, Rights::MAJOR, "promote")
        .and_then(|()| world.free(call.user, id, Deed::Version, "promote"));
    let text = format!("You do not have permission to promote a version for '{name}'");
    allowed.map_err(|_| Refusal::failed(text))?;
    let Some(mut node) = world.tree.get(id).cloned() else {
        return Err(Refusal::inaccessible(500));
    };
    let description = call
        .arguments
        .text("description")
        .unwrap_or_else(|| version.description.clone());
    let incoming = Incoming {
        blob: version.blob.clone(),
        file_name: version.file_name,
        mime: version.mime,
        key: None,
    };
    let new = New {
        major: true,
        external: version.external,
        description: description.clone(),
    };
    append(world, &mut node, incoming, new, call);
    node.touch(call.user, call.now);
    let promoted = node.last_version;
    if let Some(place) = world.tree.get_mut(id) {
        *place = node;
    }
    let detail = json!({"version": promoted, "promoted": number, "description": description});
    world.record_content(call, "version", Some(id), detail, Some(version.blob));
    changed(world, call, id, promoted)
}

/// `POST …/versions/{n}/lock` and `/unlock`.
pub(super) fn lock(world: &mut World, call: &Call, id: i64, number: i64, lock: bool) -> Outcome {
    let node = document(world, call, id, 500)?;
    let version =
        find(node, number).ok_or_else(|| Refusal::failed("Error getting version for node"))?;
    let word = if lock { "lock" } else { "unlock" };
    let refuse = || {
        Refusal::failed(format!(
            "Could not {word} version '{number}' for node '{id}'"
        ))
    };
    if lock == version.locked.is_some() || !world.rights(call.user, id).has(Rights::RESERVE) {
        return Err(refuse());
    }
    if let Some(version) = find_mut(world, id, number) {
        version.locked = lock.then_some((call.user, call.now));
    }
    world.record(
        call,
        "lock",
        Some(id),
        json!({"version": number, "locked": lock}),
    );
    changed(world, call, id, number)
}

/// `GET` and `HEAD` of content: a version by number, or the latest.
pub(super) fn content(
    world: &mut World,
    call: &Call,
    id: i64,
    number: Option<i64>,
    name: Option<&str>,
) -> Outcome {
    let node = document(world, call, id, 500)?;
    // A shortcut stands for its original, a generation for one version of it.
    let (node, number) = match node.original {
        Some(original) => (
            document(world, call, original, 500)?,
            number.or(node.original_version),
        ),
        None => (node, number),
    };
    if !world.rights(call.user, node.id).has(Rights::CONTENTS) {
        return Err(Refusal::inaccessible(500));
    }
    let version = match number {
        Some(number) => find(node, number),
        None => node.latest(),
    };
    let missing = || {
        Refusal::failed(format!(
            "Could not locate node: {id}, The version is not found"
        ))
    };
    let version = version.ok_or_else(missing)?;
    if !version.blob.readable() {
        return Err(missing());
    }
    Ok(Answer::Content(Download {
        blob: version.blob.clone(),
        flips: version.flips.iter().copied().collect(),
        mime: version.mime.clone(),
        file_name: name.map_or_else(|| version.file_name.clone(), str::to_owned),
    }))
}

/// Flips a bit of a stored byte.
pub(super) fn corrupt(world: &mut World, id: i64, number: i64, at: u64) -> bool {
    let version = find_mut(world, id, number).filter(|version| at < version.blob.len());
    version.is_some_and(|version| version.flips.insert(at))
}
