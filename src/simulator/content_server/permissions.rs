//! Rights on nodes: owner, group, public and assigned access.
//!
//! A right a caller lacks never shows as such where seeing is concerned: the node looks missing.

use std::collections::BTreeMap;

use http::Method;
use serde_json::{Value, json};

use super::answer::{INACCESSIBLE, Outcome, Refusal, list};
use super::arguments::as_number;
use super::call::Call;
use super::world::World;

/// The rights by name, in the order the server lists them.
const NAMES: [&str; 10] = [
    "see",
    "see_contents",
    "modify",
    "edit_attributes",
    "add_items",
    "reserve",
    "add_major_version",
    "delete_versions",
    "delete",
    "edit_permissions",
];

/// A set of rights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Rights(u16);

impl Rights {
    pub(super) const NONE: Self = Self(0);
    pub(super) const ALL: Self = Self((1 << NAMES.len()) - 1);
    pub(super) const READ: Self = Self(0b11);
    pub(super) const SEE: Self = Self(1);
    pub(super) const CONTENTS: Self = Self(1 << 1);
    pub(super) const MODIFY: Self = Self(1 << 2);
    pub(super) const ATTRIBUTES: Self = Self(1 << 3);
    pub(super) const ADD: Self = Self(1 << 4);
    pub(super) const RESERVE: Self = Self(1 << 5);
    pub(super) const MAJOR: Self = Self(1 << 6);
    pub(super) const VERSIONS: Self = Self(1 << 7);
    pub(super) const DELETE: Self = Self(1 << 8);
    pub(super) const PERMISSIONS: Self = Self(1 << 9);

    /// Whether every right of `other` is in it.
    pub(super) fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    pub(super) fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The rights with these names; seeing contents and the rest imply seeing.
    ///
    /// # Errors
    ///
    /// The first name that is no right.
    pub(super) fn named<S: AsRef<str>>(names: &[S]) -> Result<Self, String> {
        names.iter().try_fold(Self::NONE, |rights, name| {
            let name = name.as_ref();
            let index = NAMES.iter().position(|known| *known == name);
            match index {
                Some(index) => Ok(rights.with(Self::SEE).with(Self(1 << index))),
                None => Err(name.to_owned()),
            }
        })
    }

    fn json(self) -> Value {
        let names = NAMES.iter().enumerate();
        names
            .filter(|(bit, _)| self.0 >> bit & 1 == 1)
            .map(|(_, name)| *name)
            .collect()
    }
}

/// Who may do what with a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Access {
    pub(super) owner: Option<(i64, Rights)>,
    pub(super) group: Option<(i64, Rights)>,
    pub(super) public: Option<Rights>,
    pub(super) custom: BTreeMap<i64, Rights>,
}

impl Access {
    /// What a member of `groups` who is `user` may do.
    pub(super) fn of(&self, user: i64, groups: &[i64]) -> Rights {
        let is = |id: i64| id == user || groups.contains(&id);
        let named = [self.owner, self.group].into_iter().flatten();
        let custom = self.custom.iter().map(|(id, rights)| (*id, *rights));
        named
            .chain(custom)
            .filter(|(id, _)| is(*id))
            .fold(self.public.unwrap_or(Rights::NONE), |all, (_, rights)| {
                all.with(rights)
            })
    }

    /// The access of a new node in a container with this one: the container's, with the creator
    /// as owner.
    pub(super) fn inherited(&self, creator: i64) -> Self {
        Self {
            owner: Some((creator, Rights::ALL)),
            ..self.clone()
        }
    }

    fn rows(&self) -> Vec<Value> {
        let row = |kind: &str, id: Option<i64>, rights: Rights| json!({"permissions": rights.json(), "right_id": id, "type": kind});
        let mut rows = Vec::new();
        rows.extend(
            self.owner
                .map(|(id, rights)| row("owner", Some(id), rights)),
        );
        rows.extend(
            self.group
                .map(|(id, rights)| row("group", Some(id), rights)),
        );
        rows.extend(self.public.map(|rights| row("public", None, rights)));
        rows.extend(
            self.custom
                .iter()
                .map(|(id, rights)| row("custom", Some(*id), *rights)),
        );
        rows
    }
}

/// The rows for the `permissions` section of a node answer.
pub(super) fn rows(access: &Access) -> Vec<Value> {
    access.rows()
}

/// One entry of the access list, as an address names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    Owner,
    Group,
    Public,
    Custom(Option<i64>),
}

impl Entry {
    /// The entry of a path segment, `custom` without its id.
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "owner" => Self::Owner,
            "group" => Self::Group,
            "public" => Self::Public,
            "custom" => Self::Custom(None),
            _ => return None,
        })
    }
}

/// `GET …/permissions`.
pub(super) fn browse(world: &mut World, call: &Call, id: i64) -> Outcome {
    let node = world
        .visible(call.user, id)
        .ok_or_else(|| Refusal::inaccessible(500))?;
    let rows = node.access.rows();
    let total = rows.len();
    // Unasked, the whole list comes.
    let page = call.page_of(u32::try_from(total.max(1)).unwrap_or(u32::MAX), u32::MAX)?;
    let rows = rows.into_iter().skip(page.skip()).take(page.limit);
    let rows = rows
        .map(|row| json!({"data": {"permissions": row}}))
        .collect();
    Ok(list(&call.href, rows, page, total, None))
}

/// `GET …/permissions/{entry}`.
pub(super) fn get(world: &mut World, call: &Call, id: i64, entry: Entry) -> Outcome {
    let node = world
        .visible(call.user, id)
        .ok_or_else(|| Refusal::inaccessible(500))?;
    let row = match entry {
        Entry::Owner => node
            .access
            .owner
            .map(|(id, r)| json!({"permissions": r.json(), "right_id": id, "type": "owner"})),
        Entry::Group => node
            .access
            .group
            .map(|(id, r)| json!({"permissions": r.json(), "right_id": id, "type": "group"})),
        Entry::Public => node
            .access
            .public
            .map(|r| json!({"permissions": r.json(), "right_id": null, "type": "public"})),
        Entry::Custom(right) => right
            .and_then(|right| Some((right, node.access.custom.get(&right)?)))
            .map(|(id, r)| json!({"permissions": r.json(), "right_id": id, "type": "custom"})),
    };
    Ok(call.results(json!({"data": {"permissions": row.unwrap_or_else(|| json!({}))}})))
}

/// `GET …/permissions/effective/{right_id}`.
pub(super) fn effective(world: &mut World, call: &Call, id: i64, right: i64) -> Outcome {
    world
        .visible(call.user, id)
        .ok_or_else(|| Refusal::inaccessible(500))?;
    let rights = world.rights(right, id);
    let row = json!({"permissions": rights.json(), "right_id": right, "type": "custom"});
    Ok(call.results(json!({"data": {"permissions": row}})))
}

/// The node is there and the caller may change its rights; whether it is a container.
fn changeable(world: &World, call: &Call, id: i64) -> Result<bool, Refusal> {
    let node = world
        .visible(call.user, id)
        .ok_or_else(|| Refusal::inaccessible(500))?;
    match world.rights(call.user, id).has(Rights::PERMISSIONS) {
        true => Ok(node.container()),
        false => Err(Refusal::failed(
            "Insufficient permissions to perform that action",
        )),
    }
}

/// What a call on rights is refused with that makes no sense.
fn invalid() -> Refusal {
    Refusal::failed("Could not process object, invalid request")
}

/// What the rights are applied to, at most `most`; more than the node itself only of a container.
fn scope(call: &Call, container: bool, most: i64) -> Result<i64, Refusal> {
    let apply_to = call.arguments.number("apply_to")?.unwrap_or(0);
    match (0..=most).contains(&apply_to) && (apply_to == 0 || container) {
        true => Ok(apply_to),
        false => Err(invalid()),
    }
}

/// Whether the member can hold that entry: a user owns, a group is the owner group.
fn fits(world: &World, entry: Entry, right: i64) -> bool {
    let group = world.members.get(right).map(|own| own.password.is_none());
    match entry {
        Entry::Owner => group == Some(false),
        Entry::Group => group == Some(true),
        Entry::Public => false,
        // Roles of workspaces are assigned rights, too.
        Entry::Custom(_) => group.is_some() || world.workspaces.teams.is_role(right),
    }
}

/// The rights among the arguments of a call that sets some.
fn asked(call: &Call) -> Result<Rights, Refusal> {
    let mut names = call.arguments.texts("permissions");
    // A form field may hold the JSON list as its text.
    if let [one] = names.as_slice()
        && let Ok(list) = serde_json::from_str::<Vec<String>>(one)
    {
        names = list;
    }
    match call.arguments.has("permissions") {
        true => Rights::named(&names).map_err(|_| invalid()),
        false => Err(Refusal::missing("permissions")),
    }
}

/// PUT, POST and DELETE on an entry. `include_sub_types` names kinds with rights of a simpler
/// model, of which there are none here; all others are reached anyway.
pub(super) fn change(world: &mut World, call: &Call, id: i64, entry: Entry) -> Outcome {
    let container = changeable(world, call, id)?;
    let apply_to = scope(call, container, 3)?;
    let right = match entry {
        Entry::Custom(Some(named)) => Some(named),
        Entry::Public => None,
        _ => call.arguments.number("right_id")?,
    };
    if right.is_some_and(|right| !fits(world, entry, right)) {
        return Err(invalid());
    }
    let change = match call.method {
        Method::DELETE => None,
        _ => Some(asked(call)?),
    };
    if matches!(entry, Entry::Custom(_)) && right.is_none() {
        return Err(Refusal::missing("right_id"));
    }
    for target in world.tree.reach(id, apply_to) {
        set(world, target, entry, right, change);
    }
    let kind = match entry {
        Entry::Owner => "owner",
        Entry::Group => "group",
        Entry::Public => "public",
        Entry::Custom(_) => "custom",
    };
    let text = change.map_or(Value::Null, Rights::json);
    let detail =
        json!({"entry": kind, "right_id": right, "permissions": text, "apply_to": apply_to});
    world.record(call, "permissions", Some(id), detail);
    Ok(match (call.method == Method::POST, entry, change) {
        (true, Entry::Custom(_), Some(rights)) => {
            call.results(json!({"data": {"permissions": assigned(right, rights)}}))
        }
        _ => call.done(),
    })
}

/// One assigned right as it is shown.
fn assigned(right: Option<i64>, rights: Rights) -> Value {
    json!({"permissions": rights.json(), "right_id": right, "type": "custom"})
}

/// Sets an entry of one node, or takes it away.
fn set(world: &mut World, id: i64, entry: Entry, right: Option<i64>, change: Option<Rights>) {
    let Some(node) = world.tree.get_mut(id) else {
        return;
    };
    let access = &mut node.access;
    match (entry, change) {
        (Entry::Owner, Some(rights)) => {
            let owner = right
                .or(access.owner.map(|(id, _)| id))
                .unwrap_or(node.owner);
            access.owner = Some((owner, rights));
            node.owner = owner;
        }
        (Entry::Owner, None) => access.owner = None,
        (Entry::Group, Some(rights)) => {
            let group = right.or(access.group.map(|(id, _)| id));
            access.group = Some((group.unwrap_or(super::members::DEFAULT_GROUP), rights));
        }
        (Entry::Group, None) => access.group = None,
        (Entry::Public, rights) => access.public = rights,
        (Entry::Custom(_), rights) => match (right, rights) {
            (Some(right), Some(rights)) => drop(access.custom.insert(right, rights)),
            (Some(right), None) => drop(access.custom.remove(&right)),
            (None, _) => {}
        },
    }
}

/// `POST …/permissions/custom/bulk`: several assigned rights at once, all or none.
pub(super) fn bulk(world: &mut World, call: &Call, id: i64) -> Outcome {
    let container = changeable(world, call, id)?;
    let apply_to = scope(call, container, 2)?;
    let given = match call.arguments.get("permissions_array") {
        None => return Err(Refusal::missing("permissions_array")),
        Some(Value::Array(list)) => list.clone(),
        Some(other) => {
            let text = other.as_str().unwrap_or_default();
            serde_json::from_str(text).map_err(|_| invalid())?
        }
    };
    let mut all = Vec::new();
    for one in given {
        let right = one
            .get("right_id")
            .and_then(as_number)
            .ok_or_else(invalid)?;
        if !fits(world, Entry::Custom(None), right) {
            return Err(invalid());
        }
        let names = one.get("permissions").and_then(Value::as_array);
        let names = names.ok_or_else(invalid)?.iter().filter_map(Value::as_str);
        let names: Vec<&str> = names.collect();
        all.push((right, Rights::named(&names).map_err(|_| invalid())?));
    }
    for target in world.tree.reach(id, apply_to) {
        for (right, rights) in &all {
            set(
                world,
                target,
                Entry::Custom(None),
                Some(*right),
                Some(*rights),
            );
        }
    }
    let mut rows = Vec::new();
    for (right, rights) in all {
        let detail = json!({
            "entry": "custom", "right_id": right, "permissions": rights.json(), "apply_to": apply_to,
        });
        world.record(call, "permissions", Some(id), detail);
        rows.push(json!({"data": {"permissions": assigned(Some(right), rights)}}));
    }
    Ok(call.results(rows.into()))
}

/// `…/permissions/dynamic…`: an option that is not set up.
pub(super) fn dynamic(world: &World, call: &Call, id: i64) -> Outcome {
    world
        .visible(call.user, id)
        .ok_or_else(|| Refusal::inaccessible(500))?;
    Err(Refusal::new(403, "Dynamic Permissions is not enabled"))
}

/// `POST /v2/nodes/permissions/check`: which of these nodes the member may see.
pub(super) fn check(world: &mut World, call: &Call) -> Outcome {
    let ids = call.arguments.numbers("ids")?;
    let ids = ids.ok_or_else(|| Refusal::bad("The parameter 'ids' is not specified"))?;
    let member = call.arguments.number("right_id")?.unwrap_or(call.user);
    let seen: Vec<_> = ids
        .into_iter()
        .filter(|id| world.visible(member, *id).is_some())
        .collect();
    Ok(call.results(json!({"ids": seen})))
}

/// A refusal for a caller who sees the node and may not do that with it.
pub(super) fn lacking(
    world: &World,
    user: i64,
    id: i64,
    right: Rights,
    action: &str,
) -> Result<(), Refusal> {
    match world.rights(user, id) {
        rights if rights.has(right) => Ok(()),
        rights if rights.has(Rights::SEE) => Err(Refusal::action(action)),
        _ => Err(Refusal::bad(INACCESSIBLE)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_add_up_over_owner_group_public_and_assigned_access() {
        let access = Access {
            owner: Some((1, Rights::ALL)),
            group: Some((50, Rights::READ)),
            public: Some(Rights::SEE),
            custom: [(7, Rights::ADD)].into(),
        };
        assert_eq!(access.of(1, &[]), Rights::ALL);
        assert_eq!(access.of(2, &[]), Rights::SEE);
        assert_eq!(access.of(2, &[50]), Rights::READ);
        assert_eq!(access.of(7, &[50]), Rights::READ.with(Rights::ADD));
    }

    #[test]
    fn names_are_read_and_written_and_every_right_implies_seeing() {
        let rights = Rights::named(&["add_items"]).unwrap();
        assert_eq!(rights.json(), json!(["see", "add_items"]));
        assert_eq!(Rights::named(&["fly"]), Err("fly".to_owned()));
        assert_eq!(Rights::named::<&str>(&[]), Ok(Rights::NONE));
    }
}
