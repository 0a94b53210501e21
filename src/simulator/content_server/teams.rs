//! Who works in a workspace: its roles, with their rights and their members.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::answer::{INACCESSIBLE, Outcome, Refusal, list};
use super::call::Call;
use super::icons;
use super::members::{Member, ROLE};
use super::permissions::Rights;
use super::relations;
use super::workspaces;
use super::world::World;

/// Rows of a page of members, unasked.
const PAGE: u32 = 100;
/// Members that a row of a role shows, unasked.
const SHOWN: i64 = 10;
/// What each right is in a mask.
const BITS: [(Rights, u32); 10] = [
    (Rights::SEE, 130),
    (Rights::CONTENTS, 36_865),
    (Rights::MODIFY, 65_536),
    (Rights::ATTRIBUTES, 131_072),
    (Rights::ADD, 4),
    (Rights::RESERVE, 8_192),
    (Rights::MAJOR, 4_194_304),
    (Rights::VERSIONS, 16_384),
    (Rights::DELETE, 8),
    (Rights::PERMISSIONS, 16),
];

fn mask(rights: Rights) -> u32 {
    let held = BITS.iter().filter(|(right, _)| rights.has(*right));
    held.fold(0, |mask, (_, bits)| mask | bits)
}

fn of_mask(mask: i64) -> Rights {
    let held = BITS
        .iter()
        .filter(|(_, bits)| mask & i64::from(*bits) == i64::from(*bits));
    held.fold(Rights::NONE, |rights, (right, _)| rights.with(*right))
}

struct Role {
    workspace: i64,
    name: String,
    description: String,
    leader: bool,
    members: BTreeSet<i64>,
    rights: Rights,
}

/// Roles by id.
#[derive(Default)]
pub(super) struct Teams {
    roles: BTreeMap<i64, Role>,
}

impl Teams {
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

    /// A role as a member is shown.
    pub(super) fn member(&self, id: i64) -> Option<Value> {
        let role = self.roles.get(&id)?;
        let initials = role.name.chars().next().map(String::from);
        Some(json!({
            "deleted": false, "id": id, "initials": initials, "leader_id": null, "name": role.name,
            "name_formatted": role.name, "node_id": role.workspace, "type": ROLE,
            "type_name": "Workspace Role",
        }))
    }

    /// All roles, as members are shown.
    pub(super) fn all(&self) -> impl Iterator<Item = Value> {
        self.roles.keys().filter_map(|id| self.member(*id))
    }

    /// The roles of a workspace: who leads first, the others by name.
    fn of(&self, workspace: i64) -> Vec<(i64, &Role)> {
        let own = self
            .roles
            .iter()
            .filter(|(_, role)| role.workspace == workspace);
        let mut own: Vec<_> = own.map(|(id, role)| (*id, role)).collect();
        own.sort_by_key(|(_, role)| (!role.leader, role.name.to_lowercase()));
        own
    }
}

/// Gives a new workspace its two roles; its maker leads it.
pub(super) fn found(world: &mut World, workspace: i64, maker: i64) {
    for (name, leader) in [("Manager", Some(maker)), ("Team member", None)] {
        let role = Role {
            workspace,
            name: name.to_owned(),
            description: String::new(),
            leader: leader.is_some(),
            members: leader.into_iter().collect(),
            rights: if leader.is_some() {
                Rights::ALL
            } else {
                Rights::READ
            },
        };
        add(world, role, 0);
    }
}

/// Adds a role, which has its rights on the workspace; its id.
fn add(world: &mut World, role: Role, apply_to: i64) -> i64 {
    let id = world.id();
    let (workspace, rights) = (role.workspace, role.rights);
    world.workspaces.teams.roles.insert(id, role);
    give(world, workspace, id, rights, apply_to);
    id
}

/// Gives a role rights on a node, and on what `apply_to` says lies below.
fn give(world: &mut World, node: i64, role: i64, rights: Rights, apply_to: i64) -> usize {
    let reach = world.tree.reach(node, apply_to);
    for id in &reach {
        if let Some(node) = world.tree.get_mut(*id) {
            node.access.custom.insert(role, rights);
        }
    }
    reach.len()
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
        ("GET", ["roles"]) => {
            let all = world.workspaces.teams.of(id);
            Ok(call.results(all.iter().map(|(id, role)| row(*id, role)).collect()))
        }
        ("POST", ["roles"]) => add_role(world, call, id),
        ("GET", ["members"]) => everybody(world, call, id),
        ("GET", ["members", member, "members"]) => {
            let role = of_workspace(world, id, number(member, "member_id")?)?;
            members(world, call, role, true)
        }
        (_, ["roles", role, rest @ ..]) => {
            let role = of_workspace(world, id, number(role, "role_id")?)?;
            match (method, rest) {
                ("GET", []) => Ok(call.results(shown(world, role))),
                ("PUT", []) => update(world, call, id, role),
                ("DELETE", []) => remove(world, call, id, role),
                ("GET", ["members"]) => members(world, call, role, false),
                ("POST", ["members"]) => join(world, call, id, role),
                ("GET", ["members", member]) => {
                    let member = taking_part(world, role, number(member, "member_id")?)?;
                    Ok(call.results(json!({"data": {"properties": member.json()}})))
                }
                ("DELETE", ["members", member]) => {
                    leave(world, call, id, (role, number(member, "member_id")?))
                }
                _ => Err(Refusal::unmapped()),
            }
        }
        ("GET", ["relateditems"]) => relations::related(world, call, id),
        ("GET", ["relateditemspicklist"]) => relations::candidates(world, call, id),
        ("POST", ["relateditems"]) => relations::relate(world, call, id),
        ("DELETE", ["relateditems", other]) => {
            relations::part(world, call, id, number(other, "rel_bw_id")?)
        }
        ("POST" | "PUT", ["icons"]) => icons::put(world, call, id, method == "POST"),
        ("DELETE", ["icons"]) => icons::remove(world, call, id),
        ("PUT" | "DELETE", ["workspacereferences"]) => workspaces::refer(world, call, id),
        _ => Err(Refusal::unmapped()),
    }
}

/// The role, when it is one of that workspace.
fn of_workspace(world: &World, workspace: i64, role: i64) -> Result<i64, Refusal> {
    let known = world.workspaces.teams.roles.get(&role);
    let known = known.filter(|own| own.workspace == workspace);
    known
        .map(|_| role)
        .ok_or_else(|| Refusal::bad("The role could not be found."))
}

fn row(id: i64, role: &Role) -> Value {
    json!({
        "actions": {"data": {}, "map": {}, "order": []},
        "data": {"properties": {
            "id": id, "name": role.name, "description": role.description, "leader": role.leader,
            "perms": mask(role.rights), "inherited_from_id": null,
        }},
    })
}

fn shown(world: &World, id: i64) -> Value {
    let role = world.workspaces.teams.roles.get(&id);
    role.map_or_else(|| json!({}), |role| row(id, role))
}

pub(super) fn leads(world: &World, call: &Call, workspace: i64) -> Result<(), Refusal> {
    if world.rights(call.user, workspace).has(Rights::PERMISSIONS) {
        return Ok(());
    }
    Err(Refusal::bad(
        "Insufficient permissions to perform that action",
    ))
}

/// The rights among the arguments: by name, or as a mask.
fn rights(call: &Call) -> Result<Option<Rights>, Refusal> {
    if let Some(mask) = call.arguments.number("perms")? {
        return Ok(Some(of_mask(mask)));
    }
    let names = call.arguments.has("permissions");
    let names = names.then(|| call.arguments.texts("permissions"));
    let invalid = |name| Refusal::bad(format!("Invalid permission '{name}'"));
    names
        .map(|names| Rights::named(&names).map_err(invalid))
        .transpose()
}

fn scope(call: &Call) -> Result<i64, Refusal> {
    match call.arguments.number("apply_to")?.unwrap_or(0) {
        scope @ 0..=3 => Ok(scope),
        _ => Err(Refusal::bad("Could not process object, invalid request")),
    }
}

/// Members that are to take part, all of whom have to be there.
fn asked_members(world: &World, call: &Call) -> Result<Option<BTreeSet<i64>>, Refusal> {
    let ids = call.arguments.numbers("members")?;
    for id in ids.iter().flatten() {
        known(world, *id)?;
    }
    Ok(ids.map(|ids| ids.into_iter().collect()))
}

fn known(world: &World, id: i64) -> Result<&Member, Refusal> {
    let member = world.members.get(id).filter(|own| !own.deleted);
    member.ok_or_else(|| Refusal::failed(format!("Could not get a member for {id}")))
}

/// Only one role leads.
fn lead_alone(world: &mut World, workspace: i64, role: i64) {
    for (id, own) in &mut world.workspaces.teams.roles {
        own.leader &= own.workspace != workspace || *id == role;
    }
}

fn add_role(world: &mut World, call: &Call, workspace: i64) -> Outcome {
    leads(world, call, workspace)?;
    let name = call.arguments.text("name");
    let name = name.filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| Refusal::missing("name"))?;
    let same = |role: &Role| role.name.eq_ignore_ascii_case(&name);
    if world
        .workspaces
        .teams
        .of(workspace)
        .iter()
        .any(|(_, role)| same(role))
    {
        return Err(Refusal::failed(format!(
            "An item with the name '{name}' already exists."
        )));
    }
    let role = Role {
        workspace,
        name,
        description: call.arguments.text("description").unwrap_or_default(),
        leader: call.arguments.flag("leader")?.unwrap_or(false),
        members: asked_members(world, call)?.unwrap_or_default(),
        rights: rights(call)?.unwrap_or(Rights::READ),
    };
    let leader = role.leader;
    let id = add(world, role, scope(call)?);
    if leader {
        lead_alone(world, workspace, id);
    }
    world.record(call, "role", Some(workspace), json!({"role": id}));
    Ok(call.results(shown(world, id)))
}

fn update(world: &mut World, call: &Call, workspace: i64, id: i64) -> Outcome {
    leads(world, call, workspace)?;
    let (rights, scope, leader) = (rights(call)?, scope(call)?, call.arguments.flag("leader")?);
    let joining = asked_members(world, call)?;
    if let Some(role) = world.workspaces.teams.roles.get_mut(&id) {
        if let Some(name) = call.arguments.text("name").filter(|name| !name.is_empty()) {
            role.name = name;
        }
        if let Some(description) = call.arguments.text("description") {
            role.description = description;
        }
        role.leader = leader.unwrap_or(role.leader);
        role.members.extend(joining.unwrap_or_default());
        role.rights = rights.unwrap_or(role.rights);
    }
    if let Some(rights) = rights {
        give(world, workspace, id, rights, scope);
    }
    if leader == Some(true) {
        lead_alone(world, workspace, id);
    }
    world.record(call, "role", Some(workspace), json!({"role": id}));
    Ok(call.results(shown(world, id)))
}

fn remove(world: &mut World, call: &Call, workspace: i64, id: i64) -> Outcome {
    leads(world, call, workspace)?;
    world.workspaces.teams.roles.remove(&id);
    world.tree.forget(id);
    let detail = json!({"role": id, "removed": true});
    world.record(call, "role", Some(workspace), detail);
    Ok(call.done())
}

/// The members of a role, by name.
fn people(world: &World, role: i64) -> Vec<&Member> {
    let role = world.workspaces.teams.roles.get(&role);
    let ids = role.into_iter().flat_map(|role| &role.members);
    let mut all: Vec<_> = ids.filter_map(|id| world.members.get(*id)).collect();
    all.sort_by_key(|own| own.name.to_lowercase());
    all
}

/// `GET …/members`: the roles, each with some of its members.
fn everybody(world: &World, call: &Call, workspace: i64) -> Outcome {
    let page = call.page_of(PAGE, PAGE)?;
    let most = call.arguments.number("limit_members")?.unwrap_or(SHOWN);
    let most = usize::try_from(most).unwrap_or(0);
    let all = world.workspaces.teams.of(workspace);
    let row = |(id, role): &(i64, &Role)| {
        let members = people(world, *id).into_iter().take(most);
        json!({
            "actions": {"data": {}, "map": {}, "order": []},
            "data": {
                "properties": {
                    "id": id, "inherited_from_id": null, "leader": role.leader, "name": role.name,
                    "type": ROLE, "type_formatted": "Workspace Role",
                },
                "members": members.map(Member::json).collect::<Value>(),
            },
        })
    };
    let rows = all.iter().skip(page.skip()).take(page.limit).map(row);
    Ok(list(&call.href, rows.collect(), page, all.len(), None))
}

/// The members of one role; with `paged`, page by page.
fn members(world: &World, call: &Call, role: i64, paged: bool) -> Outcome {
    let all = people(world, role);
    let row =
        |own: &&Member| json!({"data": {"properties": call.shape.cut("properties", own.json())}});
    if !paged {
        return Ok(call.results(all.iter().map(row).collect()));
    }
    let page = call.page_of(PAGE, PAGE)?;
    let rows = all.iter().skip(page.skip()).take(page.limit).map(row);
    Ok(list(&call.href, rows.collect(), page, all.len(), None))
}

fn taking_part(world: &World, role: i64, member: i64) -> Result<&Member, Refusal> {
    let role = world.workspaces.teams.roles.get(&role);
    let own = role.filter(|role| role.members.contains(&member));
    let own = own.and_then(|_| world.members.get(member));
    own.ok_or_else(|| Refusal::bad("The member does not belong to the role."))
}

fn join(world: &mut World, call: &Call, workspace: i64, role: i64) -> Outcome {
    leads(world, call, workspace)?;
    let member = call.arguments.need_number("id")?;
    let shown = known(world, member)?.json();
    if let Some(role) = world.workspaces.teams.roles.get_mut(&role)
        && !role.members.insert(member)
    {
        return Err(Refusal::bad("The member already belongs to the role."));
    }
    Ok(call.results(json!({"data": {"properties": shown}})))
}

fn leave(world: &mut World, call: &Call, workspace: i64, (role, member): (i64, i64)) -> Outcome {
    leads(world, call, workspace)?;
    taking_part(world, role, member)?;
    if let Some(role) = world.workspaces.teams.roles.get_mut(&role) {
        role.members.remove(&member);
    }
    Ok(call.done())
}

/// `POST /v2/nodes/{id}/businessworkspaceroles`: gives a role rights on a node.
pub(super) fn assign(world: &mut World, call: &Call, id: i64) -> Outcome {
    world.seen(call.user, id)?;
    leads(world, call, id)?;
    let role = call.arguments.need_number("role_id")?;
    if !world.workspaces.teams.is_role(role) {
        return Err(Refusal::bad("The role could not be found."));
    }
    let rights = rights(call)?.unwrap_or(Rights::READ);
    let given = give(world, id, role, rights, scope(call)?);
    let detail = json!({"entry": "custom", "right_id": role});
    world.record(call, "permissions", Some(id), detail);
    Ok(call.results(json!({"success": given, "failure": 0})))
}

/// `GET /v2/businessworkspaceroles`: the roles that can be given rights on a node.
pub(super) fn search(world: &World, call: &Call) -> Outcome {
    let node = call.arguments.need_number("addable_to_node_id")?;
    let node = world.seen(call.user, node)?;
    let query = call.arguments.text("query").unwrap_or_default();
    let query = query.to_lowercase();
    let page = call.page_of(PAGE, PAGE)?;
    let above = world.tree.ancestors(node.id);
    let fits = |(id, role): &(&i64, &Role)| {
        above.contains(&role.workspace)
            && !node.access.custom.contains_key(id)
            && role.name.to_lowercase().contains(&query)
    };
    let found: Vec<_> = world.workspaces.teams.roles.iter().filter(fits).collect();
    let teams = &world.workspaces.teams;
    let row = |(id, _): &(&i64, &Role)| json!({"data": teams.member(**id)});
    let rows = found.iter().skip(page.skip()).take(page.limit).map(row);
    Ok(list(
        &call.href,
        rows.collect(),
        page,
        found.len(),
        Some("asc_name"),
    ))
}
