//! Who works in a workspace and what it is related to: roles, their members, related workspaces,
//! and the business object it stands for.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::answer::{Answer, INACCESSIBLE, Outcome, Refusal};
use super::call::Call;
use super::permissions::Rights;
use super::workspaces;
use super::world::World;

/// Rows of a page of related workspaces, unasked and at most.
const PAGE: u32 = 500;

/// What each right is in a mask.
const BITS: [(Rights, u32); 9] = [
    (Rights::SEE, 130),
    (Rights::CONTENTS, 36_865),
    (Rights::MODIFY, 65_536),
    (Rights::ATTRIBUTES, 131_072),
    (Rights::ADD, 4),
    (Rights::RESERVE, 8_192),
    (Rights::VERSIONS, 16_384),
    (Rights::DELETE, 8),
    (Rights::PERMISSIONS, 16),
];

fn mask(rights: Rights) -> u32 {
    let held = BITS.iter().filter(|(right, _)| rights.has(*right));
    held.fold(0, |mask, (_, bits)| mask | bits)
}

struct Role {
    workspace: i64,
    name: String,
    leader: bool,
    members: BTreeSet<i64>,
    rights: Rights,
}

/// Roles by id, and pairs of related workspaces, the parent first.
#[derive(Default)]
pub(super) struct Teams {
    roles: BTreeMap<i64, Role>,
    related: BTreeSet<(i64, i64)>,
}

impl Teams {
    fn add(&mut self, id: i64, workspace: i64, name: &str, leader: Option<i64>) {
        let role = Role {
            workspace,
            name: name.to_owned(),
            leader: leader.is_some(),
            members: leader.into_iter().collect(),
            rights: if leader.is_some() {
                Rights::ALL
            } else {
                Rights::READ
            },
        };
        self.roles.insert(id, role);
    }

    /// Whether there is that role.
    pub(super) fn is_role(&self, id: i64) -> bool {
        self.roles.contains_key(&id)
    }

    /// The roles that a user has, in person or through groups.
    pub(super) fn roles_of(&self, user: i64, groups: &[i64]) -> Vec<i64> {
        let has = |role: &Role| {
            let mut all = role.members.iter();
            all.any(|id| *id == user || groups.contains(id))
        };
        let own = self.roles.iter().filter(|(_, role)| has(role));
        own.map(|(id, _)| *id).collect()
    }
}

/// Gives a new workspace its two roles; its maker leads it.
pub(super) fn found(world: &mut World, workspace: i64, maker: i64) {
    for (name, leader) in [("Manager", Some(maker)), ("Team member", None)] {
        let id = world.id();
        world.workspaces.teams.add(id, workspace, name, leader);
    }
}

/// Carries out `/v2/businessworkspaces/{id}/…`.
pub(super) fn route(world: &mut World, call: &Call, id: i64, path: &[&str]) -> Outcome {
    let method = call.method.as_str();
    let number = |text: &str, argument: &str| -> Result<i64, Refusal> {
        text.parse().map_err(|_| Refusal::datatype(argument))
    };
    if !workspaces::exists(world, call, id) {
        return Err(Refusal::bad(INACCESSIBLE));
    }
    match (method, path) {
        ("GET", ["roles"]) => Ok(call.results(roles(world, id))),
        ("POST", ["roles"]) => add_role(world, call, id),
        ("GET", ["members"]) => members(world, call, id, None),
        (_, ["roles", role, rest @ ..]) => {
            let role = number(role, "role_id")?;
            let known = world.workspaces.teams.roles.get(&role);
            known
                .filter(|role| role.workspace == id)
                .ok_or_else(|| Refusal::bad("The role could not be found."))?;
            match (method, rest) {
                ("GET", []) => Ok(call.results(row(world, role))),
                ("PUT", []) => set_rights(world, call, role),
                ("GET", ["members"]) => members(world, call, id, Some(role)),
                ("POST", ["members"]) => join(world, call, role),
                ("DELETE", ["members", member]) => {
                    leave(world, call, role, number(member, "member_id")?)
                }
                _ => Err(Refusal::unmapped()),
            }
        }
        ("GET", ["relateditems"]) => related(world, call, id),
        ("POST", ["relateditems"]) => relate(world, call, id),
        ("DELETE", ["relateditems", other]) => {
            let pair = pair(call, id, number(other, "rel_id")?)?;
            if !world.workspaces.teams.related.remove(&pair) {
                return Err(Refusal::bad("The relation could not be found."));
            }
            Ok(call.done())
        }
        ("PUT" | "DELETE", ["workspacereferences"]) => workspaces::refer(world, call, id),
        _ => Err(Refusal::unmapped()),
    }
}

fn row(world: &World, id: i64) -> Value {
    let Some(role) = world.workspaces.teams.roles.get(&id) else {
        return json!({});
    };
    json!({"data": {"properties": {
        "id": id, "name": role.name, "description": "", "leader": role.leader,
        "perms": mask(role.rights), "inherited_from_id": null,
    }}})
}

fn roles(world: &World, workspace: i64) -> Value {
    let own = world.workspaces.teams.roles.iter();
    own.filter(|(_, role)| role.workspace == workspace)
        .map(|(id, _)| row(world, *id))
        .collect()
}

fn leads(world: &World, call: &Call, workspace: i64) -> Result<(), Refusal> {
    if world.rights(call.user, workspace).has(Rights::PERMISSIONS) {
        return Ok(());
    }
    Err(Refusal::bad(
        "Insufficient permissions to perform that action",
    ))
}

fn add_role(world: &mut World, call: &Call, workspace: i64) -> Outcome {
    leads(world, call, workspace)?;
    let name = call
        .arguments
        .text("name")
        .filter(|name| !name.is_empty())
        .ok_or_else(|| Refusal::missing("name"))?;
    let id = world.id();
    world.workspaces.teams.add(id, workspace, &name, None);
    Ok(call.results(row(world, id)))
}

fn set_rights(world: &mut World, call: &Call, role: i64) -> Outcome {
    let names = call.arguments.texts("permissions");
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let rights = Rights::named(&names).map_err(Refusal::bad)?;
    if let Some(role) = world.workspaces.teams.roles.get_mut(&role) {
        role.rights = rights;
    }
    Ok(call.done())
}

fn members(world: &World, call: &Call, workspace: i64, role: Option<i64>) -> Outcome {
    let own = world.workspaces.teams.roles.iter();
    let ids: BTreeSet<i64> = own
        .filter(|(id, own)| own.workspace == workspace && role.is_none_or(|role| role == **id))
        .flat_map(|(_, role)| role.members.iter().copied())
        .collect();
    let rows = ids
        .iter()
        .filter_map(|id| world.members.get(*id))
        .map(|member| json!({"data": {"properties": member.json()}}))
        .collect();
    Ok(call.results(rows))
}

fn join(world: &mut World, call: &Call, role: i64) -> Outcome {
    let member = call.arguments.need_number("id")?;
    let known = world.members.get(member).map(|member| member.json());
    let member_json =
        known.ok_or_else(|| Refusal::failed(format!("Could not get a member for {member}")))?;
    if let Some(role) = world.workspaces.teams.roles.get_mut(&role)
        && !role.members.insert(member)
    {
        return Err(Refusal::bad("The member already belongs to the role."));
    }
    Ok(call.results(json!({"data": {"properties": member_json}})))
}

fn leave(world: &mut World, call: &Call, role: i64, member: i64) -> Outcome {
    let role = world.workspaces.teams.roles.get_mut(&role);
    if !role.is_some_and(|role| role.members.remove(&member)) {
        return Err(Refusal::bad("The member does not belong to the role."));
    }
    Ok(call.done())
}

/// Both ends of a relation, the parent first.
fn pair(call: &Call, workspace: i64, other: i64) -> Result<(i64, i64), Refusal> {
    match call.arguments.text("rel_type").as_deref() {
        None | Some("child") => Ok((workspace, other)),
        Some("parent") => Ok((other, workspace)),
        Some(_) => Err(Refusal::bad("Invalid value for rel_type")),
    }
}

fn relate(world: &mut World, call: &Call, workspace: i64) -> Outcome {
    let other = call.arguments.need_number("rel_bw_id")?;
    if !workspaces::exists(world, call, other) || other == workspace {
        return Err(Refusal::bad(INACCESSIBLE));
    }
    let pair = pair(call, workspace, other)?;
    if !world.workspaces.teams.related.insert(pair) {
        return Err(Refusal::bad("The relation already exists."));
    }
    Ok(call.done())
}

/// Related workspaces, `child` unless asked otherwise, with the paging of workspaces.
fn related(world: &World, call: &Call, workspace: i64) -> Outcome {
    let asked = call
        .arguments
        .text("where_rel_types")
        .or_else(|| call.arguments.text("where_relationtype"))
        .unwrap_or_else(|| "child".to_owned());
    let name = call.arguments.text("where_name").unwrap_or_default();
    let page = call.page_of(PAGE, PAGE)?;
    let pairs = world.workspaces.teams.related.iter();
    let found: Vec<(i64, &str)> = pairs
        .filter_map(|&(parent, child)| {
            if parent == workspace && asked.contains("child") {
                Some((child, "child"))
            } else if child == workspace && asked.contains("parent") {
                Some((parent, "parent"))
            } else {
                None
            }
        })
        .filter(|(id, _)| {
            let start = name.to_lowercase();
            world
                .visible(call.user, *id)
                .is_some_and(|node| node.name.to_lowercase().starts_with(&start))
        })
        .collect();
    let rows: Vec<Value> = found
        .iter()
        .skip(page.skip())
        .take(page.limit)
        .filter_map(|(id, kind)| {
            let mut row = workspaces::row(world, call, world.visible(call.user, *id)?);
            row["data"]["properties"]["rel_type"] = (*kind).into();
            Some(row)
        })
        .collect();
    let Answer::Json(mut answer) = call.results(rows.into()) else {
        return Err(Refusal::failed("Could not process object, invalid request"));
    };
    answer["paging"] = workspaces::paging(page, found.len(), &call.href);
    Ok(Answer::Json(answer))
}
