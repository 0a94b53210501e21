//! Users and groups.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::answer::{Outcome, Refusal, list, v1};
use super::call::Call;
use super::world::World;

/// The administrator.
pub(super) const ADMIN: i64 = 1000;
/// The group everybody is in.
pub(super) const DEFAULT_GROUP: i64 = 999;

/// Rows of a page of members that the server gives at most, and unasked.
const PAGE: (u32, u32) = (10, 20);

/// A user account for [`ContentServer::add_user`](super::ContentServer::add_user).
#[derive(Clone, Debug)]
pub struct User {
    /// Login name.
    pub name: String,
    /// Password.
    pub password: String,
    /// May do and see everything.
    pub administrator: bool,
}

/// A user or a group.
#[derive(Clone)]
pub(super) struct Member {
    pub(super) id: i64,
    pub(super) name: String,
    /// `None` for a group.
    pub(super) password: Option<String>,
    pub(super) administrator: bool,
    pub(super) groups: Vec<i64>,
    /// First and last name.
    pub(super) called: (String, String),
    /// The row is kept.
    pub(super) deleted: bool,
}

/// All members by id.
#[derive(Default)]
pub(super) struct Members(BTreeMap<i64, Member>);

impl Members {
    pub(super) fn insert(&mut self, member: Member) {
        self.0.insert(member.id, member);
    }

    pub(super) fn get_mut(&mut self, id: i64) -> Option<&mut Member> {
        self.0.get_mut(&id)
    }

    pub(super) fn get(&self, id: i64) -> Option<&Member> {
        self.0.get(&id)
    }

    /// The user with that login name, in any case.
    pub(super) fn login(&self, name: &str) -> Option<&Member> {
        let same =
            |member: &&Member| member.password.is_some() && member.name.eq_ignore_ascii_case(name);
        self.0.values().find(same)
    }

    /// Whether a password signs for a user.
    pub(super) fn signs(&self, id: i64, password: &str) -> bool {
        let own = self.get(id).and_then(|member| member.password.as_deref());
        own == Some(password)
    }

    /// A name for people; the id when there is no such member.
    pub(super) fn name(&self, id: i64) -> String {
        self.get(id)
            .map_or_else(|| id.to_string(), |member| member.name.clone())
    }
}

impl Member {
    /// The member as the REST API shows it.
    pub(super) fn json(&self) -> Value {
        let group = self.password.is_none();
        let mut json = json!({
            "id": self.id,
            "name": self.name,
            "name_formatted": self.name,
            "type": if group { 1 } else { 0 },
            "type_name": if group { "Group" } else { "User" },
            "deleted": self.deleted,
        });
        if !group {
            let extra = json!({
                "first_name": self.called.0, "last_name": self.called.1, "middle_name": "", "title": "",
                "business_email": format!("{}@example.com", self.name.to_lowercase()),
                "display_name": self.name, "group_id": DEFAULT_GROUP, "time_zone": -1,
                "display_language": null, "photo_id": 0,
                "privilege_login": true, "privilege_public_access": true,
                "privilege_system_admin_rights": self.administrator,
                "privilege_user_admin_rights": self.administrator,
                "privilege_modify_users": self.administrator,
                "privilege_modify_groups": self.administrator,
                "privilege_content_manager": self.administrator,
                "privilege_grant_discovery": self.administrator,
            });
            if let (Value::Object(json), Value::Object(extra)) = (&mut json, extra) {
                json.extend(extra);
            }
        }
        json
    }
}

fn find(world: &World, id: i64) -> Result<&Member, Refusal> {
    let member = world.members.get(id);
    member.ok_or_else(|| Refusal::failed(format!("Could not get a member for {id}")))
}

/// `GET /v1/auth`: the caller.
pub(super) fn current(world: &mut World, call: &Call) -> Outcome {
    Ok(v1(find(world, call.user)?.json()))
}

/// `GET /v1/members/{id}` and `/v2/members/{id}`.
pub(super) fn get(world: &mut World, call: &Call, id: i64) -> Outcome {
    let json = find(world, id)?.json();
    Ok(match call.v1 {
        true => v1(json),
        false => call.results(json!({"data": {"properties": call.shape.cut("properties", json)}})),
    })
}

/// `GET /v2/members`.
pub(super) fn browse(world: &mut World, call: &Call) -> Outcome {
    let page = call.page_of(PAGE.0, PAGE.1)?;
    let kind = call.arguments.number("where_type")?;
    let name = call
        .arguments
        .text("where_name")
        .or_else(|| call.arguments.text("query"));
    let name = name.unwrap_or_default().to_lowercase();
    let wanted = |member: &&Member| {
        let own = i64::from(member.password.is_none());
        kind.is_none_or(|kind| kind == own) && member.name.to_lowercase().contains(&name)
    };
    let found: Vec<_> = world.members.0.values().filter(wanted).collect();
    let row = |member: &&Member| json!({"data": {"properties": call.shape.cut("properties", member.json())}});
    let rows = found
        .iter()
        .skip(page.skip())
        .take(page.limit)
        .map(row)
        .collect();
    Ok(list(&call.href, rows, page, found.len(), Some("asc_id")))
}

/// `GET /v2/members/{id}/memberof`: of others only administrators are told.
pub(super) fn groups(world: &mut World, call: &Call, id: i64) -> Outcome {
    let page = call.page_of(PAGE.0, PAGE.1)?;
    let own = find(world, id)?.groups.clone();
    if call.user != id && !find(world, call.user)?.administrator {
        return Err(Refusal::failed(
            "Insufficient permissions to perform that action",
        ));
    }
    let groups: Vec<_> = own.iter().filter_map(|id| world.members.get(*id)).collect();
    let rows = groups.iter().skip(page.skip()).take(page.limit);
    let rows = rows
        .map(|group| json!({"data": {"properties": call.shape.cut("properties", group.json())}}))
        .collect();
    Ok(list(&call.href, rows, page, groups.len(), Some("asc_id")))
}

/// `GET /v2/members/{id}/members`: who is in a group.
pub(super) fn of_group(world: &mut World, call: &Call, id: i64) -> Outcome {
    let page = call.page_of(PAGE.0, PAGE.1)?;
    if find(world, id)?.password.is_some() {
        return Err(Refusal::failed(format!("Invalid group {id}")));
    }
    let members = world.members.0.values();
    let mut found: Vec<_> = members
        .filter(|member| member.groups.contains(&id) && !member.deleted)
        .collect();
    let sort = call.arguments.text("sort");
    match sort.as_deref() {
        Some("first_name") => found.sort_by_key(|member| member.called.0.to_lowercase()),
        Some("last_name") => found.sort_by_key(|member| member.called.1.to_lowercase()),
        Some("name" | "mailaddress") => found.sort_by_key(|member| member.name.to_lowercase()),
        _ => {}
    }
    let rows = found.iter().skip(page.skip()).take(page.limit);
    let rows = rows
        .map(|member| json!({"data": {"properties": call.shape.cut("properties", member.json())}}))
        .collect();
    let sort = sort.as_deref().or(Some("asc_id"));
    Ok(list(&call.href, rows, page, found.len(), sort))
}
