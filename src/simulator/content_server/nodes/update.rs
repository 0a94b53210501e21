//! Changing nodes: rename, describe, move, reserve, delete, and the recycle bin.

use serde_json::{Map, Value, json};

use super::super::answer::{Answer, INACCESSIBLE, Outcome, Refusal};
use super::super::call::Call;
use super::super::categories;
use super::super::config::MoveAndRename;
use super::super::permissions::{Rights, lacking};
use super::super::world::{Deed, World};
use super::collections;
use super::create::{external, worded};
use super::names;
use super::properties;
use super::tree::{Binned, Taken};
use super::types::COLLECTION;

/// `PUT /v1/nodes/{id}` and `/v2/nodes/{id}`: everything is checked before anything changes.
pub(in super::super) fn update(world: &mut World, call: &Call, id: i64) -> Outcome {
    let arguments = &call.arguments;
    let node = world
        .visible(call.user, id)
        .ok_or_else(|| Refusal::bad(INACCESSIBLE))?;
    if arguments.is_empty() {
        return Err(Refusal::bad(
            "Parameters are required for PUT, POST, and PATCH methods",
        ));
    }
    if let Some(token) = arguments.text("metadata_token")
        && token != properties::token(node)
    {
        return Err(Refusal::new(
            409,
            "Could not update metadata (edit conflict).",
        ));
    }
    // The older interface neither reserves nor collects.
    if arguments.has("reserved_user_id") && !call.v1 {
        return reserve(world, call, id);
    }
    if let Some(collection) = arguments.number("collection_id")?.filter(|_| !call.v1) {
        return collections::collect(world, call, id, collection);
    }
    let (parent_before, name_before) = (node.parent, node.name.clone());
    let (name, languages) = worded(call, "name");
    let name = match name {
        Some(name) => names::clean(&name, &world.config.names)?,
        None => name_before.clone(),
    };
    let parent = arguments.number("parent_id")?.unwrap_or(parent_before);
    let moved = parent != parent_before;
    let name = match (moved && name != name_before, world.config.move_and_rename) {
        (true, MoveAndRename::Refused) => {
            return Err(Refusal::bad(
                "Could not process object, invalid action 'move'",
            ));
        }
        (true, MoveAndRename::MoveOnly) => name_before.clone(),
        _ => name,
    };
    let action = if moved { "move" } else { "update" };
    lacking(world, call.user, id, Rights::MODIFY, action)?;
    world.free(call.user, id, Deed::Edit, action)?;
    if parent_before < 0 && (moved || name != name_before) {
        return Err(Refusal::action(action));
    }
    if moved {
        let target = world
            .visible(call.user, parent)
            .ok_or_else(|| Refusal::bad(INACCESSIBLE))?;
        let closed = !target.container() || target.subtype == COLLECTION;
        if closed || world.tree.inside(parent, id) {
            return Err(Refusal::action("move"));
        }
        lacking(world, call.user, parent, Rights::ADD, "move")?;
        lacking(world, call.user, id, Rights::DELETE, "move")?;
    }
    let roles = arguments.object("roles").unwrap_or_default();
    let applied = categories::for_move(world, call, id, parent, roles.get("categories"))?;
    let before = world
        .tree
        .get(id)
        .map(|node| node.external.clone())
        .unwrap_or_default();
    let external = external(call, before)?;
    let advanced = arguments.flag("versions_control_advanced")?;
    let apply_to = arguments.number("apply_to")?.unwrap_or(0);

    world
        .tree
        .relocate(id, parent, &name)
        .map_err(|Taken(_)| names::taken(call, &name))?;
    let reach = world.tree.reach(id, apply_to);
    if let Some(advanced) = advanced {
        for id in reach {
            if let Some(node) = world.tree.get_mut(id) {
                node.advanced = advanced;
            }
        }
    }
    let mut detail = Map::new();
    if let Some(node) = world.tree.get_mut(id) {
        if let Some(languages) = languages {
            node.names = languages;
        }
        let (description, descriptions) = worded(call, "description");
        if let Some(descriptions) = descriptions {
            node.descriptions = descriptions;
        }
        if let Some(description) = description {
            detail.insert("description".into(), description.as_str().into());
            node.description = description;
        }
        if let Some(applied) = applied {
            node.categories = applied;
        }
        node.external = external;
        node.touch(call.user, call.now);
    }
    if moved {
        detail.insert(
            "from".into(),
            json!({"parent": parent_before, "name": name_before}),
        );
        detail.insert("to".into(), json!({"parent": parent, "name": name}));
        world.record(call, "move", Some(id), Value::Object(detail));
    } else if name != name_before {
        detail.insert(
            "from".into(),
            json!({"parent": parent, "name": name_before}),
        );
        detail.insert("to".into(), json!({"parent": parent, "name": name}));
        world.record(call, "rename", Some(id), Value::Object(detail));
    } else {
        world.record(call, "update", Some(id), Value::Object(detail));
    }
    match (arguments.has("metadata_token"), world.tree.get(id)) {
        (true, Some(node)) => {
            let token = properties::token(node);
            Ok(call.results(json!({"state": {"properties": {"metadata_token": token}}})))
        }
        _ => Ok(call.done()),
    }
}

/// An update with `reserved_user_id`: a user reserves, `null` or nothing gives back.
fn reserve(world: &mut World, call: &Call, id: i64) -> Outcome {
    lacking(world, call.user, id, Rights::RESERVE, "reserve")?;
    let user = call
        .arguments
        .number("reserved_user_id")?
        .filter(|user| *user != 0);
    let node = world
        .tree
        .get(id)
        .ok_or_else(|| Refusal::bad(INACCESSIBLE))?;
    let holder = node.reserved.map(|(holder, _)| holder);
    let admin = world
        .members
        .get(call.user)
        .is_some_and(|member| member.administrator);
    match (user, holder) {
        (Some(_), Some(holder)) if holder != call.user => return Err(Refusal::action("reserve")),
        (None, None) => return Err(Refusal::action("unreserve")),
        (None, Some(holder)) if holder != call.user && !admin => {
            return Err(Refusal::action("unreserve"));
        }
        (Some(user), _) if world.members.get(user).is_none() => {
            return Err(Refusal::datatype("reserved_user_id"));
        }
        _ => {}
    }
    if let Some(node) = world.tree.get_mut(id) {
        node.reserved = user.map(|user| (user, call.now));
    }
    let kind = if user.is_some() {
        "reserve"
    } else {
        "unreserve"
    };
    world.record(call, kind, Some(id), json!({"reserved_user_id": user}));
    Ok(call.done())
}

/// `DELETE /v2/nodes/{id}`.
pub(in super::super) fn delete(world: &mut World, call: &Call, id: i64) -> Outcome {
    let missing = || Refusal::bad(format!("Could not get node for {id}"));
    let node = world.visible(call.user, id).ok_or_else(missing)?;
    let volume = node.parent < 0;
    for id in world.tree.reach(id, 2) {
        if volume || !world.rights(call.user, id).has(Rights::DELETE) {
            return Err(Refusal::action("delete"));
        }
        // The documented answer for every state that forbids it.
        world
            .free(call.user, id, Deed::Delete, "delete")
            .map_err(|_| Refusal::action("delete"))?;
    }
    let Some((node, below)) = world.tree.remove(id) else {
        return Err(missing());
    };
    let detail = json!({"parent": node.parent, "name": node.name});
    if world.config.recycle_bin {
        let (user, at) = (call.user, call.now);
        world.tree.bin.insert(
            id,
            Binned {
                node,
                below,
                user,
                at,
            },
        );
    }
    world.record(call, "delete", Some(id), detail);
    Ok(call.done())
}

/// The answer of a bin call: 200 when all succeeded, else 400, both with the two lists.
fn both(call: &Call, done: Vec<i64>, failed: Vec<(i64, String)>) -> Outcome {
    let errors: Map<_, _> = failed
        .iter()
        .map(|(id, text)| (id.to_string(), json!({"message": text})))
        .collect();
    let ids: Vec<_> = failed.iter().map(|(id, _)| *id).collect();
    let results = json!({"success": {"ids": done}, "failure": {"ids": ids, "errors": errors}});
    match (failed.is_empty(), call.results(results)) {
        (false, Answer::Json(body)) => Err(Refusal::json(400, body)),
        (_, answer) => Ok(answer),
    }
}

fn ids(call: &Call) -> Result<Vec<i64>, Refusal> {
    let ids = call.arguments.numbers("ids")?;
    ids.ok_or_else(|| Refusal::bad("The parameter 'ids' is not specified."))
}

/// `POST /v2/volumes/recyclebin/nodes/purge`.
pub(in super::super) fn purge(world: &mut World, call: &Call) -> Outcome {
    let (mut done, mut failed) = (Vec::new(), Vec::new());
    for id in ids(call)? {
        match world.tree.bin.remove(&id) {
            Some(_) => {
                world.record(call, "purge", Some(id), json!({}));
                done.push(id);
            }
            None => failed.push((id, format!("Could not get a node for {id}"))),
        }
    }
    both(call, done, failed)
}

/// `POST /v2/volumes/recyclebin/nodes/restore`.
pub(in super::super) fn restore(world: &mut World, call: &Call) -> Outcome {
    let (mut done, mut failed) = (Vec::new(), Vec::new());
    for id in ids(call)? {
        let Some(binned) = world.tree.bin.get(&id) else {
            failed.push((id, format!("Could not get a node for {id}")));
            continue;
        };
        let node = &binned.node;
        if world.tree.get(node.parent).is_none() {
            failed.push((id, INACCESSIBLE.to_owned()));
        } else if world.tree.child(node.parent, &node.name).is_some() {
            failed.push((
                id,
                format!("An item with the name '{}' already exists.", node.name),
            ));
        } else if let Some(binned) = world.tree.bin.remove(&id) {
            for node in std::iter::once(binned.node).chain(binned.below) {
                // The place is free and names below were unique when they went.
                if let Err(Taken(other)) = world.tree.insert(node) {
                    failed.push((id, format!("Could not get a node for {other}")));
                }
            }
            world.record(call, "restore", Some(id), json!({}));
            done.push(id);
        }
    }
    both(call, done, failed)
}

/// `PUT /v2/nodes/{id}/nicknames`.
pub(in super::super) fn set_nickname(world: &mut World, call: &Call, id: i64) -> Outcome {
    world
        .visible(call.user, id)
        .ok_or_else(|| Refusal::bad(INACCESSIBLE))?;
    lacking(world, call.user, id, Rights::MODIFY, "update")?;
    let nickname = call
        .arguments
        .text("nickname")
        .ok_or_else(|| Refusal::missing("nickname"))?;
    let units = nickname.encode_utf16().count();
    let bad = |c: char| c.is_whitespace() || r##"!%()-{}[]";'<>?,./\#"##.contains(c);
    let refuse = if units == 0 {
        Some(
            "Could not set feature Nickname, the length of '' is less than the minimum length (1)"
                .to_owned(),
        )
    } else if units > 248 {
        Some(format!(
            "Could not set feature Nickname, the length of '{nickname}' is greater than the maximum length (248)"
        ))
    } else if nickname.contains(bad) {
        Some(format!(
            "Nickname not in valid format, '{nickname}' contains one or more of the following bad characters or a space"
        ))
    } else if nickname.parse::<i64>().is_ok_and(|number| number != id) {
        Some("Nickname cannot be a number".to_owned())
    } else if world
        .tree
        .iter()
        .any(|node| node.id != id && node.nickname.as_deref() == Some(&nickname))
    {
        Some("Nicknames must be unique".to_owned())
    } else {
        None
    };
    if let Some(text) = refuse {
        return Err(Refusal::failed(text));
    }
    if let Some(node) = world.tree.get_mut(id) {
        node.nickname = Some(nickname.clone());
    }
    world.record(call, "nickname", Some(id), json!({"nickname": nickname}));
    Ok(call.done())
}

/// `PUT /v2/nodes/{id}/systemattributes`.
pub(in super::super) fn system_attributes(world: &mut World, call: &Call, id: i64) -> Outcome {
    world
        .visible(call.user, id)
        .ok_or_else(|| Refusal::bad(INACCESSIBLE))?;
    lacking(world, call.user, id, Rights::ATTRIBUTES, "update")?;
    let values: Vec<_> = call
        .arguments
        .iter()
        .map(|(key, value)| (key.to_owned(), value.clone()))
        .collect();
    if let Some(node) = world.tree.get_mut(id) {
        node.system.extend(values);
        node.touch(call.user, call.now);
    }
    world.record(call, "update", Some(id), json!({}));
    let node = world.tree.get(id);
    let node = node.ok_or_else(|| Refusal::bad(INACCESSIBLE))?;
    let own = properties::properties(world, call, node);
    Ok(call.results(json!({"data": {
        "properties": call.shape.cut("properties", own), "system_attributes": node.system,
    }})))
}
