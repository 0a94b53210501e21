//! Changing users and groups, and who is in a group.

use serde_json::{Value, json};

use super::answer::{Answer, Outcome, Refusal};
use super::call::Call;
use super::members::{DEFAULT_GROUP, Member, by_version, find, group, said, shown};
use super::world::World;

/// Whether the caller may make and change members of that kind.
fn may(world: &World, call: &Call, groups: bool) -> Result<bool, Refusal> {
    let own = find(world, call.user)?;
    Ok(own.may("privilege_user_admin_rights")
        || own.may(match groups {
            true => "privilege_modify_groups",
            false => "privilege_modify_users",
        }))
}

/// The group that `group_id` names.
fn base_group(world: &World, call: &Call) -> Result<Option<i64>, Refusal> {
    let given = call.arguments.number("group_id").map_err(|_| {
        Refusal::bad(match call.v1 {
            true => "Could not set feature Group. The value must be an integer",
            false => "Could not set feature Group, value must be an Integer",
        })
    })?;
    match given {
        None => Ok(None),
        Some(id) => group(world, id)
            .map(|_| Some(id))
            .map_err(|_| by_version(call, "Error retrieving information for the base group")),
    }
}

/// `POST /v1/members` and `/v2/members`.
pub(super) fn create(world: &mut World, call: &Call) -> Outcome {
    let kind = call.arguments.number("type")?.unwrap_or(0);
    if ![0, 1, 17].contains(&kind) {
        let text = format!("Member type {kind} not registered");
        return Err(by_version(call, text));
    }
    let groups = kind == 1;
    if !may(world, call, groups)? {
        return Err(Refusal::action("create"));
    }
    let name = call.arguments.text("name");
    let name = name.filter(|name| !name.trim().is_empty());
    let name = name.ok_or_else(|| by_version(call, "Missing required parameter 'Name'"))?;
    let base = base_group(world, call)?;
    if !groups && base.is_none() {
        return Err(by_version(call, "Missing required parameter 'Group'"));
    }
    let more = said(call)?;
    let same = |own: &Member| {
        !own.deleted && own.is_group() == groups && own.name.eq_ignore_ascii_case(&name)
    };
    if world.members.iter().any(same) {
        return Err(by_version(
            call,
            match groups {
                true => format!("Could not create group {name}: Specified name already exists"),
                false => "Error creating a new user".to_owned(),
            },
        ));
    }
    let text = |key: &str| call.arguments.text(key).unwrap_or_default();
    let member = Member {
        id: world.id(),
        password: (!groups).then(|| text("password")),
        administrator: more.get("privilege_system_admin_rights") == Some(&Value::Bool(true)),
        groups: base.into_iter().collect(),
        called: (text("first_name"), text("last_name")),
        service: kind == 17,
        more,
        name,
        ..Member::default()
    };
    let (id, answer) = (member.id, shown(call, &member));
    world.members.insert(member);
    world.record(call, "member", None, json!({"member": id, "made": true}));
    Ok(match call.v1 {
        true => Answer::Json(json!({"id": id})),
        false => answer,
    })
}

/// `PUT /v1/members/{id}` and `/v2/members/{id}`. Users change what they say of themselves.
pub(super) fn update(world: &mut World, call: &Call, id: i64) -> Outcome {
    let missing = || by_version(call, format!("Could not get a member for {id}"));
    let own = world.members.get(id).filter(|own| !own.deleted);
    let mut own = own.ok_or_else(missing)?.clone();
    if call.arguments.is_empty() {
        return Err(Refusal::bad(
            "Parameters are required for PUT, POST, and PATCH methods",
        ));
    }
    let invalid = || Refusal::bad("Could not process object, invalid request");
    let more = said(call)?;
    let (name, base) = (call.arguments.text("name"), base_group(world, call)?);
    let leader = call
        .arguments
        .number("leader_id")
        .map_err(|_| Refusal::bad("Could not set feature Leader, value must be an Integer"))?;
    let privileged = name.is_some()
        || base.is_some()
        || leader.is_some()
        || more.keys().any(|key| key.starts_with("privilege_"));
    if !may(world, call, own.is_group())? && (privileged || call.user != id) {
        return Err(invalid());
    }
    let user = |id: i64| world.members.get(id).is_some_and(|own| !own.is_group());
    if leader.is_some_and(|leader| !user(leader)) {
        return Err(invalid());
    }
    own.name = name.unwrap_or(own.name);
    own.leader = leader.or(own.leader);
    if let Some(password) = call.arguments.text("password")
        && !own.is_group()
    {
        own.password = Some(password);
    }
    if let Some(first) = call.arguments.text("first_name") {
        own.called.0 = first;
    }
    if let Some(last) = call.arguments.text("last_name") {
        own.called.1 = last;
    }
    if let Some(base) = base {
        own.groups.retain(|group| *group != base);
        own.groups.insert(0, base);
    }
    if let Some(rights) = more.get("privilege_system_admin_rights") {
        own.administrator = *rights == Value::Bool(true);
    }
    own.more.extend(more);
    let answer = match call.v1 {
        true => {
            let json = own.json();
            Answer::Json(json!({
                "deleted": false, "id": id, "leader_id": own.leader, "name": own.name,
                "type": json["type"], "type_name": json["type_name"],
            }))
        }
        false => shown(call, &own),
    };
    world.members.insert(own);
    world.record(call, "member", None, json!({"member": id}));
    Ok(answer)
}

/// `DELETE /v1/members/{id}` and `/v2/members/{id}`: the row stays, the member is gone.
pub(super) fn delete(world: &mut World, call: &Call, id: i64) -> Outcome {
    let missing = || by_version(call, format!("Could not get a member for {id}"));
    let own = world.members.get(id).ok_or_else(missing)?;
    if own.deleted {
        let text = format!("Could not delete member {id}, already deleted");
        return Err(by_version(call, text));
    }
    if !may(world, call, own.is_group())? || [super::members::ADMIN, DEFAULT_GROUP].contains(&id) {
        return Err(Refusal::bad("Could not process object, invalid request"));
    }
    if let Some(own) = world.members.get_mut(id) {
        own.deleted = true;
    }
    world.sessions.end_user(id);
    world.record(call, "member", None, json!({"member": id, "deleted": true}));
    Ok(call.done())
}

/// `POST` and `DELETE /v2/members/{id}/members`: puts members into a group or takes them out, all or
/// none.
pub(super) fn change(world: &mut World, call: &Call, id: i64, join: bool) -> Outcome {
    group(world, id)?;
    let ids = call
        .arguments
        .numbers("member_id")
        .map_err(|_| Refusal::failed("Could not set feature Member ID, value must be a Integer"))?;
    let ids = ids.filter(|ids| !ids.is_empty());
    let ids = ids.ok_or_else(|| Refusal::missing("member_id"))?;
    if !may(world, call, true)? {
        return Err(Refusal::failed("Insufficient privileges"));
    }
    let fits = |one: &i64| match (world.members.get(*one), join) {
        // No group can come to be within itself.
        (Some(own), true) => {
            !own.deleted && *one != id && !world.members.groups_of(id).contains(one)
        }
        (Some(own), false) => own.groups.contains(&id),
        (None, _) => false,
    };
    if !ids.iter().all(fits) {
        let deed = if join { "add" } else { "delete" };
        return Err(Refusal::failed(format!(
            "Could not {deed} a member: 'Could not locate specified child name.'"
        )));
    }
    for own in world.members.iter_mut().filter(|own| ids.contains(&own.id)) {
        own.groups.retain(|group| *group != id);
        own.groups.extend(join.then_some(id));
    }
    world.record(
        call,
        "member",
        None,
        json!({"group": id, "members": ids, "in": join}),
    );
    Ok(call.done())
}
