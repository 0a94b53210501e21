//! Icons of workspaces: documents in the volume of workspaces that nobody sees in its list.

use serde_json::json;

use super::answer::{Outcome, Refusal};
use super::call::Call;
use super::nodes::{DOCUMENT, External, Node, Place};
use super::versions::{self, Incoming, New};
use super::world::World;

/// Images are smaller than that.
const MOST: u64 = 1024 * 1024;

/// The image that a call brings.
fn image(call: &Call) -> Result<Incoming, Refusal> {
    let text = |key: &str| {
        call.arguments
            .text(key)
            .ok_or_else(|| Refusal::missing(key))
    };
    let (mime, file_name) = (text("file_content_type")?, text("file_filename")?);
    let file = call.files.iter().find(|file| file.field == "file");
    let file = file.ok_or_else(|| Refusal::missing("file"))?;
    let image = ["image/jpeg", "image/png", "image/gif"].contains(&mime.as_str());
    if !image || file.blob.len() >= MOST {
        return Err(Refusal::bad("The widget icon could not be uploaded."));
    }
    Ok(Incoming {
        blob: file.blob.clone(),
        file_name,
        mime,
        key: None,
    })
}

fn none() -> Refusal {
    Refusal::bad("The workspace has no widget icon.")
}

/// `POST` and `PUT /v2/businessworkspaces/{id}/icons`: adds the icon, or puts another in its place.
pub(super) fn put(world: &mut World, call: &Call, workspace: i64, new: bool) -> Outcome {
    super::teams::leads(world, call, workspace)?;
    let image = image(call)?;
    let icon = world.workspaces.icons.get(&workspace).copied();
    let known = icon.and_then(|icon| world.tree.get(icon)).cloned();
    let mut node = match (known, new) {
        (Some(node), _) => node,
        (None, false) => return Err(none()),
        (None, true) => {
            let volume = world.tree.volume(862).ok_or_else(none)?;
            let (parent, access) = (volume.id, volume.access.inherited(call.user));
            let place = Place {
                parent,
                user: call.user,
                now: call.now,
                access,
            };
            let name = format!("Icon of {workspace}");
            let mut node = Node::new(world.id(), DOCUMENT, &name, place);
            node.hidden = true;
            world.tree.insert(node.clone()).map_err(|_| none())?;
            node
        }
    };
    let content = image.blob.clone();
    let version = New {
        major: false,
        external: External::default(),
        description: String::new(),
    };
    versions::append(world, &mut node, image, version, call);
    let id = node.id;
    let version = node.latest().map(|version| version.id);
    if let Some(place) = world.tree.get_mut(id) {
        *place = node;
    }
    world.workspaces.icons.insert(workspace, id);
    world.record_content(
        call,
        "icon",
        Some(workspace),
        json!({"icon": id}),
        Some(content),
    );
    Ok(call.results(json!({"icon_node_id": id, "icon_version_id": version, "msg": ""})))
}

/// `DELETE /v2/businessworkspaces/{id}/icons`.
pub(super) fn remove(world: &mut World, call: &Call, workspace: i64) -> Outcome {
    super::teams::leads(world, call, workspace)?;
    let icon = world.workspaces.icons.remove(&workspace).ok_or_else(none)?;
    world.tree.remove(icon);
    world.record(call, "icon", Some(workspace), json!({"removed": icon}));
    Ok(call.results(json!({"icon_node_id": icon, "msg": ""})))
}
