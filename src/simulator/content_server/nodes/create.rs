//! Creating and copying nodes.

use serde_json::json;

use super::super::answer::{Answer, INACCESSIBLE, Outcome, Refusal};
use super::super::call::Call;
use super::super::categories;
use super::super::classifications;
use super::super::permissions::Rights;
use super::super::records;
use super::super::security;
use super::super::versions;
use super::super::world::World;
use super::names;
use super::properties::{self, LANGUAGE};
use super::tree::{External, Languages, Node, Place, Taken};
use super::types::{COLLECTION, COMPOUND, DOCUMENT, GENERATION, Kind, SHORTCUT, URL};

const SOURCES: [&str; 23] = [
    "file_system",
    "mobile_device",
    "scanner",
    "fax",
    "ftp",
    "shared_drive",
    "removable_disk",
    "backup_media",
    "optical_disk",
    "onedrive",
    "cloud_storage",
    "camera",
    "email_server",
    "elink",
    "opentext_core",
    "edocs",
    "sap",
    "document_management",
    "exchange_mailbox",
    "notes_mailbox",
    "outlook_pst",
    "file_stream",
    "mailbox_other",
];

const IDENTITIES: [&str; 10] = [
    "email_address",
    "domain_userid",
    "generic_userid",
    "name",
    "last_name",
    "windows_sid",
    "guid",
    "phone_number",
    "ldap_name",
    "exchange_mailboxid",
];

/// The external facts among the arguments, on top of `before`.
///
/// # Errors
///
/// A source or identity type that is not registered, a date that is none.
pub(in super::super) fn external(call: &Call, before: External) -> Result<External, Refusal> {
    let listed = |key: &str, list: &[&str], text: &str| match call.arguments.text(key) {
        Some(value) if value.is_empty() || list.contains(&value.as_str()) => Ok(Some(value)),
        Some(_) => Err(Refusal::bad(text)),
        None => Ok(None),
    };
    let date = |key: &str| match call.arguments.text(key).filter(|text| !text.is_empty()) {
        None => Ok(None),
        Some(text) => full_date(&text)
            .map(Some)
            .ok_or_else(|| Refusal::datatype(key)),
    };
    Ok(External {
        create_date: date("external_create_date")?.or(before.create_date),
        modify_date: date("external_modify_date")?.or(before.modify_date),
        source: listed("external_source", &SOURCES, "External source not found")?
            .unwrap_or(before.source),
        identity: call
            .arguments
            .text("external_identity")
            .unwrap_or(before.identity),
        identity_type: listed(
            "external_identity_type",
            &IDENTITIES,
            "Error getting identity type id",
        )?
        .unwrap_or(before.identity_type),
    })
}

/// A text and the same in further languages: with `{key}_multilingual` the plain one is ignored.
pub(in super::super) fn worded(call: &Call, key: &str) -> (Option<String>, Option<Languages>) {
    let Some(all) = call.arguments.object(&format!("{key}_multilingual")) else {
        return (call.arguments.text(key), None);
    };
    let mut all: Languages = all
        .iter()
        .filter_map(|(language, text)| Some((language.clone(), text.as_str()?.to_owned())))
        .collect();
    let own = all.remove(LANGUAGE);
    let own = own.or_else(|| all.values().next().cloned());
    (own.or_else(|| call.arguments.text(key)), Some(all))
}

/// `YYYY-MM-DD`, with or without a time, as the answer writes it: with one and without a zone.
pub(in super::super) fn full_date(text: &str) -> Option<String> {
    let bare = text.trim_end_matches('Z');
    let bare = bare.split(['.', '+']).next()?;
    let time: jiff::civil::DateTime = match bare.parse::<jiff::civil::DateTime>() {
        Ok(time) => time,
        Err(_) => bare
            .parse::<jiff::civil::Date>()
            .ok()?
            .to_datetime(jiff::civil::Time::midnight()),
    };
    Some(time.strftime("%Y-%m-%dT%H:%M:%S").to_string())
}

/// `POST /v1/nodes` and `/v2/nodes`.
pub(in super::super) fn create(world: &mut World, mut call: Call) -> Outcome {
    if call.arguments.is_empty() && call.files.is_empty() {
        return Err(Refusal::bad(
            "Parameters are required for PUT, POST, and PATCH methods",
        ));
    }
    let original = call.arguments.number("original_id")?;
    let (subtype, parent) = match (
        call.arguments.number("type")?,
        call.arguments.number("parent_id")?,
    ) {
        (None, Some(_)) if original.is_some() => return copy(world, call),
        (None, _) => return Err(Refusal::missing("type")),
        (Some(subtype), Some(parent)) => (subtype, parent),
        // A file sent to a volume names the volume's type and no parent.
        (Some(volume), None) => match world.tree.volume(volume) {
            Some(node) if !call.files.is_empty() => (DOCUMENT, node.id),
            _ => return Err(Refusal::missing("parent_id")),
        },
    };
    let kind = Kind::of(subtype)
        .ok_or_else(|| Refusal::bad(format!("Subtype {subtype} not registered")))?;
    let (name, languages) = worded(&call, "name");
    let name = name.ok_or_else(|| Refusal::missing("name"))?;
    let name = names::clean(&name, &world.config.names)?;
    let cannot = || Refusal::bad(format!("Could not create a new {}", kind.name));
    let access = admit(world, &call, parent, kind, cannot)?;
    if !kind.creatable {
        return Err(cannot());
    }
    if world.tree.child(parent, &name).is_some() {
        return Err(names::taken(&call, &name));
    }
    let incoming = match subtype {
        DOCUMENT => Some(versions::incoming(world, &mut call, "file")?),
        _ => None,
    };
    if call.arguments.has("external_identity") && !world.config.external_on_create {
        return Err(Refusal::bad("Error getting identity type id"));
    }
    let external = external(&call, External::default())?;
    let original = match subtype {
        SHORTCUT | GENERATION => {
            let original = original.ok_or_else(|| Refusal::missing("original_id"))?;
            world
                .visible(call.user, original)
                .ok_or_else(|| Refusal::bad(INACCESSIBLE))?;
            Some(original)
        }
        _ => None,
    };
    let roles = call.arguments.object("roles").unwrap_or_default();
    let applied = categories::for_new(world, &call, parent, roles.get("categories"))?;
    let classes = classifications::of_role(world, &call, parent, &roles)?;
    let record = records::of_role(world, &call, &roles)?;
    let security = security::of_role(&roles);

    let id = world.id();
    let place = Place {
        parent,
        user: call.user,
        now: call.now,
        access,
    };
    let mut node = Node::new(id, subtype, &name, place);
    let (description, descriptions) = worded(&call, "description");
    node.description = description.unwrap_or_default();
    node.names = languages.unwrap_or_default();
    node.descriptions = descriptions.unwrap_or_default();
    node.record = record;
    node.external = external.clone();
    node.original = original;
    node.categories = applied;
    node.classifications = classes;
    if subtype == GENERATION {
        node.original_version = call.arguments.number("version_number")?;
    }
    if subtype == URL {
        node.url = call.arguments.text("url");
    }
    let control = world.tree.get(parent).is_some_and(|parent| parent.advanced);
    node.advanced = match call.arguments.flag("advanced_versioning")? {
        Some(advanced) => advanced,
        None => control && subtype == DOCUMENT,
    };
    let (mut content, mut key) = (None, None);
    if let Some(incoming) = incoming {
        key = incoming.key.clone();
        content = Some(incoming.blob.clone());
        let major = call.arguments.flag("add_major_version")?.unwrap_or(false);
        versions::append(
            world,
            &mut node,
            incoming,
            versions::New {
                major,
                external,
                description: String::new(),
            },
            &call,
        );
    }
    insert(world, &call, node)?;
    if let Some(security) = security {
        world.clearances.set(id, security);
    }
    if let Some(key) = &key {
        world.uploads.spend(key, world.config.multipart.single_use);
    }
    let detail = json!({"parent": parent, "name": name, "type": subtype, "version": content.as_ref().map(|_| 1), "upload_key": key});
    world.record_content(&call, "create", Some(id), detail, content);
    answer(world, &call, id)
}

/// Whether something of that kind can be created in the container by the caller; the access it
/// will have.
pub(super) fn admit(
    world: &World,
    call: &Call,
    parent: i64,
    kind: &Kind,
    cannot: impl Fn() -> Refusal,
) -> Result<super::super::permissions::Access, Refusal> {
    let container = world
        .visible(call.user, parent)
        .ok_or_else(|| Refusal::bad(INACCESSIBLE))?;
    // Categories live in their volume only; everything else anywhere but in the bin.
    let fits =
        container.container() && container.subtype != 402 && kind.number != container.subtype
            || kind.number == container.subtype && container.container();
    // A compound document is made of documents and of compound documents.
    let compound = container.subtype == COMPOUND && kind.container && kind.number != COMPOUND;
    // A collection lists nodes and holds none.
    let collection = container.subtype == COLLECTION;
    if !fits || compound || collection || !world.rights(call.user, parent).has(Rights::ADD) {
        return Err(cannot());
    }
    Ok(container.access.inherited(call.user))
}

fn insert(world: &mut World, call: &Call, node: Node) -> Result<(), Refusal> {
    let name = node.name.clone();
    world
        .tree
        .insert(node)
        .map_err(|Taken(_)| names::taken(call, &name))
}

/// The new node as the call's version of the interface answers it.
fn answer(world: &World, call: &Call, id: i64) -> Outcome {
    if call.v1 {
        return Ok(Answer::Json(json!({"id": id})));
    }
    let node = world
        .tree
        .get(id)
        .ok_or_else(|| Refusal::bad(INACCESSIBLE))?;
    let data = json!({"data": {"properties": properties::properties(world, call, node)}});
    Ok(call.results(data))
}

/// A create call with `original_id` and no type.
fn copy(world: &mut World, call: Call) -> Outcome {
    let original = call.arguments.need_number("original_id")?;
    let parent = call.arguments.need_number("parent_id")?;
    let source = world
        .visible(call.user, original)
        .ok_or_else(|| Refusal::bad(INACCESSIBLE))?
        .clone();
    if !world.rights(call.user, original).has(Rights::CONTENTS) {
        return Err(Refusal::action("copy"));
    }
    let kind = Kind::of(source.subtype).ok_or_else(|| Refusal::action("copy"))?;
    let name = match call.arguments.text("name") {
        Some(name) => names::clean(&name, &world.config.names)?,
        None => source.name.clone(),
    };
    let access = admit(world, &call, parent, kind, || Refusal::action("copy"))?;
    if world.tree.child(parent, &name).is_some() {
        return Err(names::taken(&call, &name));
    }
    if world.tree.inside(parent, original) {
        return Err(Refusal::action("copy"));
    }
    let roles = call.arguments.object("roles").unwrap_or_default();
    let applied = categories::for_copy(world, &call, &source, parent, roles.get("categories"))?;
    let id = world.id();
    let place = Place {
        parent,
        user: call.user,
        now: call.now,
        access,
    };
    let mut node = copied(world, &call, &source, id, &name, place);
    node.categories = applied;
    let (count, content) = (
        node.versions.len(),
        node.latest().map(|version| version.blob.clone()),
    );
    insert(world, &call, node)?;
    let detail = json!({"parent": parent, "name": name, "type": source.subtype, "original": original, "versions": count});
    world.record_content(&call, "copy", Some(id), detail, content);
    // What lies below keeps its names, so nothing can collide any more.
    let mut pending = vec![(original, id)];
    while let Some((from, to)) = pending.pop() {
        let children: Vec<Node> = world.tree.children(from).cloned().collect();
        let access = world.tree.get(to).map(|node| node.access.clone());
        for child in children {
            let Some(access) = access.clone() else {
                continue;
            };
            let id = world.id();
            let place = Place {
                parent: to,
                user: call.user,
                now: call.now,
                access,
            };
            let node = copied(world, &call, &child, id, &child.name, place);
            insert(world, &call, node)?;
            pending.push((child.id, id));
        }
    }
    answer(world, &call, id)
}

/// A copy of one node: content and metadata, without reservation, record and nickname.
fn copied(
    world: &mut World,
    call: &Call,
    source: &Node,
    id: i64,
    name: &str,
    place: Place,
) -> Node {
    let mut node = Node::new(id, source.subtype, name, place);
    node.description.clone_from(&source.description);
    node.external = source.external.clone();
    node.url.clone_from(&source.url);
    node.original = source.original;
    node.advanced = source.advanced;
    node.categories = source.categories.clone();
    node.classifications = source.classifications.clone();
    // A copy holds the current version only.
    if let Some(version) = source.latest() {
        let incoming = versions::Incoming {
            blob: version.blob.clone(),
            file_name: version.file_name.clone(),
            mime: version.mime.clone(),
            key: None,
        };
        let description = version.description.clone();
        let new = versions::New {
            major: false,
            external: version.external.clone(),
            description,
        };
        versions::append(world, &mut node, incoming, new, call);
    }
    node
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn external_dates_are_written_with_a_time_and_without_a_zone() {
        for (given, kept) in [
            ("2026-01-01", Some("2026-01-01T00:00:00")),
            ("2026-01-01T10:11:12", Some("2026-01-01T10:11:12")),
            ("2026-01-01T10:11:12Z", Some("2026-01-01T10:11:12")),
            ("2026-01-01T10:11:12.345Z", Some("2026-01-01T10:11:12")),
            ("yesterday", None),
        ] {
            assert_eq!(full_date(given).as_deref(), kept, "{given}");
        }
    }
}
