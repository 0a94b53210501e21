//! Renditions: the content of a version in other forms, one of each type.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::answer::{Answer, Download, Outcome, Refusal};
use super::call::Call;
use super::content::Blob;
use super::nodes::{External, Node, external};
use super::permissions::Rights;
use super::versions::{Incoming, Version, find, find_mut, incoming, json as version_json};
use super::world::{Deed, World};

/// One rendition of a version.
#[derive(Clone)]
pub(super) struct Rendition {
    /// Its type, as its maker called it.
    kind: String,
    /// What its content is called to be: `pdf`, beside the MIME type.
    file_type: String,
    file_name: String,
    mime: String,
    blob: Blob,
    external: External,
    created: Timestamp,
    owner: i64,
}

impl Rendition {
    fn new(call: &Call, kind: String, incoming: Incoming) -> Result<Self, Refusal> {
        let ending = |name: &str| name.rsplit_once('.').map(|(_, ending)| ending.to_owned());
        let file_type = call.arguments.text("file_type");
        Ok(Self {
            kind,
            file_type: file_type
                .or_else(|| ending(&incoming.file_name))
                .unwrap_or_default(),
            file_name: incoming.file_name,
            mime: incoming.mime,
            blob: incoming.blob,
            external: external(call, External::default())?,
            created: call.now,
            owner: call.user,
        })
    }

    /// As it is shown: as its version, with its own file.
    fn json(&self, world: &World, node: &Node, version: &Version) -> Value {
        let created = world.date(self.created);
        let mut json = version_json(world, node, version);
        if let Value::Object(json) = &mut json {
            for key in [
                "has_generation",
                "locked",
                "locked_date",
                "locked_user_id",
                "provider_id",
                "version_id",
            ] {
                json.remove(key);
            }
        }
        for (key, value) in [
            ("create_date", json!(created)),
            ("modify_date", json!(created)),
            ("file_create_date", json!(created)),
            ("file_modify_date", json!(created)),
            ("external_create_date", json!(self.external.create_date)),
            ("external_modify_date", json!(self.external.modify_date)),
            ("external_source", json!(self.external.source)),
            ("external_identity", json!(self.external.identity)),
            ("external_identity_type", json!(self.external.identity_type)),
            ("file_name", json!(self.file_name)),
            ("name", json!(self.file_name)),
            ("file_size", json!(self.blob.len())),
            ("file_type", json!(self.file_type)),
            ("mime_type", json!(self.mime)),
            ("rendition_type", json!(self.kind)),
            ("owner_id", json!(self.owner)),
            ("version_major_number", json!(version.major)),
            ("version_minor_number", json!(version.minor)),
        ] {
            json[key] = value;
        }
        json
    }
}

/// A node that has versions.
fn document<'a>(world: &'a World, call: &Call, id: i64) -> Result<&'a Node, Refusal> {
    let node = world.seen(call.user, id)?;
    match node.versions.is_empty() {
        true => Err(Refusal::bad("Could not get Renditions for object")),
        false => Ok(node),
    }
}

fn required(call: &Call, argument: &str) -> Result<String, Refusal> {
    let given = call.arguments.text(argument);
    given.ok_or_else(|| Refusal::bad(format!("Argument \"{argument}\" is required")))
}

fn rows(world: &World, node: &Node, version: &Version) -> Vec<Value> {
    let all = version.renditions.iter();
    all.map(|own| own.json(world, node, version)).collect()
}

/// `GET …/versions/renditions`: all renditions, by version.
pub(super) fn all(world: &mut World, call: &Call, id: i64) -> Outcome {
    let node = document(world, call, id)?;
    let by_version: Map<String, Value> = node
        .versions
        .iter()
        .map(|version| {
            (
                version.number.to_string(),
                rows(world, node, version).into(),
            )
        })
        .collect();
    Ok(call.results(json!({"data": by_version})))
}

/// `GET …/versions/{n}/renditions`, and of the latest version: all of them, or that of a type.
pub(super) fn of_version(world: &mut World, call: &Call, id: i64, number: Option<i64>) -> Outcome {
    let node = document(world, call, id)?;
    let version = match number {
        Some(number) => find(node, number)
            .ok_or_else(|| Refusal::failed(format!("Invalid version number '{number}'."))),
        None => node
            .latest()
            .ok_or_else(|| Refusal::failed("Node version could not be found.")),
    };
    let version = version?;
    let data = match call.arguments.text("rendition_type") {
        None => rows(world, node, version).into(),
        Some(kind) => {
            let own = version.renditions.iter().find(|own| own.kind == kind);
            own.ok_or_else(|| Refusal::failed("Unable to get node rendition"))?
                .json(world, node, version)
        }
    };
    Ok(call.results(json!({"data": data})))
}

/// `POST …/versions/renditions`: one more of the latest version; `PUT …/versions/{n}/renditions`: in
/// place of the one of that type.
pub(super) fn put(world: &mut World, mut call: Call, id: i64, number: Option<i64>) -> Outcome {
    let node = document(world, &call, id)?;
    let version = match number {
        Some(number) => find(node, number)
            .ok_or_else(|| Refusal::failed(format!("Error getting version for node: {number}")))?,
        None => node
            .latest()
            .ok_or_else(|| Refusal::bad("Could not get Renditions for object"))?,
    };
    let number_of = version.number;
    let kind = required(&call, "rendition_type")?;
    if kind.is_empty() {
        return Err(Refusal::bad(
            "Could not set feature Rendition Type, the length of '' is less than the minimum length (1)",
        ));
    }
    if !world.rights(call.user, id).has(Rights::MODIFY) {
        // The one 401 that has nothing to do with a ticket.
        return Err(Refusal::new(
            401,
            "Insufficient permissions to perform that action",
        ));
    }
    let there = version.renditions.iter().any(|own| own.kind == kind);
    let free = world
        .free(call.user, id, Deed::Version, "renditions")
        .is_ok();
    if !free || there != number.is_some() {
        return Err(Refusal::bad(match number {
            Some(_) => {
                format!("Could not replace Rendition '{kind}' in version '{number_of}'")
            }
            None => format!("Could not add Rendition '{kind}' to version '{number_of}'"),
        }));
    }
    if call.files.is_empty() {
        return Err(Refusal::bad("Argument \"file\" is required"));
    }
    let incoming = incoming(world, &mut call, "file")?;
    let (content, name) = (incoming.blob.clone(), kind.clone());
    let rendition = Rendition::new(&call, kind, incoming)?;
    if let Some(version) = find_mut(world, id, number_of) {
        version.renditions.retain(|own| own.kind != name);
        version.renditions.push(rendition);
    }
    let detail = json!({"version": number_of, "type": name});
    world.record_content(&call, "rendition", Some(id), detail, Some(content));
    let node = document(world, &call, id)?;
    let shown = find(node, number_of).and_then(|version| {
        let own = version.renditions.last()?;
        Some(own.json(world, node, version))
    });
    Ok(call.results(json!({"data": shown})))
}

/// `DELETE …/versions/{n}/renditions`.
pub(super) fn delete(world: &mut World, call: &Call, id: i64, number: i64) -> Outcome {
    let node = world.seen(call.user, id)?;
    if node.versions.is_empty() {
        return Err(Refusal::failed("Could not get Renditions for object"));
    }
    let kind = required(call, "rendition_type")?;
    let version = find(node, number);
    let version =
        version.ok_or_else(|| Refusal::failed(format!("Invalid version number '{number}'")))?;
    let there = version.renditions.iter().any(|own| own.kind == kind);
    if !world.rights(call.user, id).has(Rights::MODIFY) {
        return Err(Refusal::failed(
            "Insufficient permissions to perform that action",
        ));
    }
    if !there
        || world
            .free(call.user, id, Deed::Version, "renditions")
            .is_err()
    {
        return Err(Refusal::failed("Error deleting the specified rendition."));
    }
    if let Some(version) = find_mut(world, id, number) {
        version.renditions.retain(|own| own.kind != kind);
    }
    let detail = json!({"version": number, "type": kind});
    world.record(call, "rendition_delete", Some(id), detail);
    Ok(call.done())
}

/// `GET` and `HEAD …/versions/{n}/renditions/content`: named as the node, and where the rendition is
/// of another kind of file, with its type and ending.
pub(super) fn content(world: &mut World, call: &Call, id: i64, number: i64) -> Outcome {
    let kind = call.arguments.text("rendition_type");
    let kind = kind.ok_or_else(|| Refusal::bad("Argument 'rendition_type' is required."))?;
    let node = world
        .visible(call.user, id)
        .filter(|_| world.rights(call.user, id).has(Rights::CONTENTS));
    let found = node.and_then(|node| Some((node, find(node, number)?)));
    let (node, version) =
        found.ok_or_else(|| Refusal::failed(format!("Could not get the version of '{id}'")))?;
    let own = version.renditions.iter().find(|own| own.kind == kind);
    let own = own
        .filter(|own| own.blob.readable())
        .ok_or_else(|| Refusal::failed("Unable to get node rendition"))?;
    let (stem, ending) = node.name.rsplit_once('.').unwrap_or((&node.name, ""));
    let file_name = match own.file_type.eq_ignore_ascii_case(ending) {
        true => node.name.clone(),
        false => format!("{stem}_{kind}.{}", own.file_type),
    };
    Ok(Answer::Content(Download {
        blob: own.blob.clone(),
        flips: Vec::new(),
        mime: own.mime.clone(),
        file_name,
    }))
}
