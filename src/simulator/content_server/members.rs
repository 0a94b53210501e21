//! Users and groups: what they are, and the calls that read them.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::answer::{Answer, Outcome, Page, Refusal, list, v1};
use super::call::Call;
use super::world::World;

/// The administrator.
pub(super) const ADMIN: i64 = 1000;
/// The group everybody is in.
pub(super) const DEFAULT_GROUP: i64 = 999;

/// The type of a role of a workspace.
pub(super) const ROLE: i64 = 848;

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

/// What users say of themselves, beside their names.
const PROFILE: [&str; 22] = [
    "birth_date",
    "business_fax",
    "business_phone",
    "cell_phone",
    "display_language",
    "gender",
    "home_address_1",
    "home_address_2",
    "home_address_3",
    "home_fax",
    "home_phone",
    "middle_name",
    "notes",
    "office_location",
    "pager",
    "personal_email",
    "personal_interests",
    "personal_url_1",
    "personal_url_2",
    "personal_url_3",
    "personal_website",
    "title",
];

/// What a user may do, by what the refusal of a value calls it; and whether users have it from the
/// start.
const PRIVILEGES: [(&str, &str, bool); 8] = [
    ("privilege_content_manager", "Content Manager", false),
    ("privilege_grant_discovery", "eDiscovery Rights", false),
    ("privilege_login", "Log-in", true),
    ("privilege_modify_groups", "Create/Modify Groups", false),
    ("privilege_modify_users", "Create/Modify Users", false),
    ("privilege_public_access", "Public Access", true),
    (
        "privilege_system_admin_rights",
        "System Administration Rights",
        false,
    ),
    (
        "privilege_user_admin_rights",
        "User Administration Rights",
        false,
    ),
];

/// A user or a group.
#[derive(Clone, Default)]
pub(super) struct Member {
    pub(super) id: i64,
    pub(super) name: String,
    /// `None` for a group.
    pub(super) password: Option<String>,
    pub(super) administrator: bool,
    /// The groups it is in; of a user, the base group first.
    pub(super) groups: Vec<i64>,
    /// First and last name.
    pub(super) called: (String, String),
    /// The row is kept.
    pub(super) deleted: bool,
    /// Of a group.
    pub(super) leader: Option<i64>,
    /// Only serves programs.
    pub(super) service: bool,
    /// What else was said of it, as it is shown.
    pub(super) more: Map<String, Value>,
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
        let same = |member: &&Member| {
            !member.is_group() && !member.deleted && member.name.eq_ignore_ascii_case(name)
        };
        self.0.values().find(same)
    }

    /// All of them, by id.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Member> {
        self.0.values()
    }

    /// All of them, to change.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Member> {
        self.0.values_mut()
    }

    /// The groups that a member is in, directly or through others.
    pub(super) fn groups_of(&self, id: i64) -> Vec<i64> {
        let direct = |id: i64| self.get(id).map(|own| own.groups.as_slice());
        let mut all: Vec<i64> = direct(id).unwrap_or_default().to_vec();
        let mut next = 0;
        while let Some(&at) = all.get(next) {
            let above = direct(at).unwrap_or_default().iter();
            let new: Vec<i64> = above.filter(|id| !all.contains(id)).copied().collect();
            all.extend(new);
            next += 1;
        }
        all
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
    pub(super) fn is_group(&self) -> bool {
        self.password.is_none()
    }

    /// Its type: 0 a user, 1 a group, 17 a service user.
    fn kind(&self) -> i64 {
        match (self.is_group(), self.service) {
            (true, _) => 1,
            (false, true) => 17,
            (false, false) => 0,
        }
    }

    /// Whether it has a privilege; whoever administers the system has all of them.
    pub(super) fn may(&self, privilege: &str) -> bool {
        let start = PRIVILEGES.iter().find(|(name, ..)| *name == privilege);
        let own = self.more.get(privilege).and_then(Value::as_bool);
        self.administrator || own.unwrap_or(start.is_some_and(|(.., start)| *start))
    }

    /// The member as the REST API shows it.
    pub(super) fn json(&self) -> Value {
        let kind = self.kind();
        let initials = self
            .name
            .chars()
            .next()
            .map(|c| c.to_uppercase().to_string());
        let mut json = json!({
            "id": self.id,
            "name": self.name,
            "name_formatted": self.name,
            "initials": initials.unwrap_or_default(),
            "type": kind,
            "type_name": match kind { 1 => "Group", 17 => "Service User", _ => "User" },
            "deleted": self.deleted,
        });
        if self.is_group() {
            json["leader_id"] = json!(self.leader);
            return json;
        }
        for key in PROFILE {
            json[key] = self.more.get(key).cloned().unwrap_or(match key {
                "middle_name" | "title" | "notes" => "".into(),
                _ => Value::Null,
            });
        }
        for (key, ..) in PRIVILEGES {
            json[key] = match key {
                // The administrator's own word for it.
                "privilege_login" | "privilege_public_access" => {
                    self.more.get(key).cloned().unwrap_or(true.into())
                }
                _ => self.may(key).into(),
            };
        }
        let own = |key: &str, other: Value| self.more.get(key).cloned().unwrap_or(other);
        let address = format!("{}@example.com", self.name.to_lowercase());
        for (key, value) in [
            ("first_name", json!(self.called.0)),
            ("last_name", json!(self.called.1)),
            ("business_email", own("business_email", address.into())),
            ("display_name", json!(self.name)),
            (
                "group_id",
                json!(self.groups.first().unwrap_or(&DEFAULT_GROUP)),
            ),
            ("time_zone", own("time_zone", (-1).into())),
            ("photo_id", own("photo_id", 0.into())),
            ("photo_url", Value::Null),
            ("proxy_proxy_user_id", Value::Null),
            ("transactional", own("transactional", false.into())),
        ] {
            json[key] = value;
        }
        json
    }
}

pub(super) fn find(world: &World, id: i64) -> Result<&Member, Refusal> {
    let member = world.members.get(id);
    member.ok_or_else(|| Refusal::failed(format!("Could not get a member for {id}")))
}

/// What v1 refuses with 400 v2 mostly refuses with 500.
pub(super) fn by_version(call: &Call, text: impl Into<String>) -> Refusal {
    Refusal::new(if call.v1 { 400 } else { 500 }, text)
}

/// The page asked for, refused in the words of the calls on members.
fn page(call: &Call, status: u16) -> Result<Page, Refusal> {
    for (key, feature) in [("limit", "Limit"), ("page", "Page Number")] {
        if let Some(value) = call.arguments.number(key)?.filter(|value| *value < 1) {
            return Err(Refusal::new(
                status,
                format!(
                    "Could not set feature {feature}, the value {value} is less than the minimum value (1)"
                ),
            ));
        }
    }
    call.page_of(PAGE.0, PAGE.1)
}

/// `GET /v1/auth`: the caller.
pub(super) fn current(world: &mut World, call: &Call) -> Outcome {
    Ok(v1(find(world, call.user)?.json()))
}

/// One member as the call's version of the interface answers it.
pub(super) fn shown(call: &Call, member: &Member) -> Answer {
    let json = member.json();
    if !call.v1 {
        return call.results(json!({"data": {"properties": call.shape.cut("properties", json)}}));
    }
    let (kind, name) = (json["type"].clone(), json["type_name"].clone());
    Answer::Json(json!({
        "available_actions": [], "data": json, "definitions": {}, "definitions_map": {},
        "definitions_order": [], "type": kind, "type_name": name,
    }))
}

/// `GET /v1/members/{id}` and `/v2/members/{id}`.
pub(super) fn get(world: &mut World, call: &Call, id: i64) -> Outcome {
    let missing = || by_version(call, format!("Could not get a member for {id}"));
    if let Some(role) = world.workspaces.teams.member(id) {
        return Ok(match call.v1 {
            true => v1(role),
            false => {
                call.results(json!({"data": {"properties": call.shape.cut("properties", role)}}))
            }
        });
    }
    let member = world.members.get(id).ok_or_else(missing)?;
    Ok(shown(call, member))
}

/// A page of members, in the order named.
fn listed(call: &Call, page: Page, mut found: Vec<&Member>, prefixed: bool) -> Outcome {
    let asked = call.arguments.text("sort");
    let sort = asked.clone().unwrap_or_else(|| "asc_id".to_owned());
    let (descending, key) = match sort.split_once('_') {
        Some(("asc", key)) if prefixed => (false, key),
        Some(("desc", key)) if prefixed => (true, key),
        _ => (false, sort.as_str()),
    };
    match key {
        "name" => found.sort_by_key(|own| own.name.to_lowercase()),
        "first_name" => found.sort_by_key(|own| own.called.0.to_lowercase()),
        "last_name" => found.sort_by_key(|own| own.called.1.to_lowercase()),
        "group_id" => found.sort_by_key(|own| own.groups.first().copied()),
        "mailaddress" => found.sort_by_key(|own| own.json()["business_email"].to_string()),
        _ => {}
    }
    if descending {
        found.reverse();
    }
    let total = found.len();
    let rows = found.into_iter().skip(page.skip()).take(page.limit);
    if call.v1 {
        let rows: Vec<Value> = rows.map(Member::json).collect();
        return Ok(Answer::Json(json!({"data": rows})));
    }
    let rows = rows
        .map(|own| json!({"data": {"properties": call.shape.cut("properties", own.json())}}))
        .collect();
    Ok(list(&call.href, rows, page, total, Some(&sort)))
}

/// `GET /v1/members` and `/v2/members`: those that nobody deleted.
pub(super) fn browse(world: &mut World, call: &Call) -> Outcome {
    const FILTERS: [&str; 4] = [
        "where_business_email",
        "where_name",
        "where_first_name",
        "where_last_name",
    ];
    let page = page(call, 400)?;
    let kind = call.arguments.number("where_type")?;
    let text = |key: &str| call.arguments.text(key).map(|text| text.to_lowercase());
    let query = text("query");
    if query.is_some() && FILTERS.iter().any(|key| call.arguments.has(key)) {
        return Err(Refusal::bad(
            "The parameter(s) 'query' cannot be used together with parameter(s) 'where_business_email, where_name, where_first_name, where_last_name '",
        ));
    }
    if kind == Some(ROLE) && !call.v1 {
        return roles(
            world,
            call,
            page,
            &query.or(text("where_name")).unwrap_or_default(),
        );
    }
    let filters = FILTERS.map(|key| text(key).filter(|_| !call.v1));
    let wanted = |own: &&Member| {
        let (first, last) = (&own.called.0, &own.called.1);
        let email = own.json()["business_email"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let all = [&email, &own.name, first, last];
        let holds = |value: &String, part: &String| value.to_lowercase().contains(part.as_str());
        let filtered = all.iter().zip(&filters);
        kind.is_none_or(|kind| kind == own.kind())
            && !own.deleted
            && filtered
                .into_iter()
                .all(|(value, part)| part.as_ref().is_none_or(|part| holds(value, part)))
            && query
                .as_ref()
                .is_none_or(|part| all.iter().any(|value| holds(value, part)))
    };
    let found = world.members.iter().filter(wanted).collect();
    listed(call, page, found, true)
}

/// The roles of workspaces whose names have that part.
fn roles(world: &World, call: &Call, page: Page, part: &str) -> Outcome {
    let named = |role: &Value| {
        let name = role["name"].as_str().unwrap_or_default();
        name.to_lowercase().contains(part)
    };
    let found: Vec<Value> = world.workspaces.teams.all().filter(named).collect();
    let total = found.len();
    let rows = found.into_iter().skip(page.skip()).take(page.limit);
    let rows = rows
        .map(|role| json!({"data": {"properties": call.shape.cut("properties", role)}}))
        .collect();
    Ok(list(&call.href, rows, page, total, Some("asc_id")))
}

/// `GET /v2/members/{id}/memberof`: of others only administrators of the system and of users are
/// told.
pub(super) fn groups(world: &mut World, call: &Call, id: i64) -> Outcome {
    let page = page(call, 400)?;
    let missing = || Refusal::bad(format!("Could not get a member for {id}"));
    let own = world.members.get(id).ok_or_else(missing)?;
    let asks = find(world, call.user)?;
    if call.user != id && !asks.may("privilege_user_admin_rights") {
        return Err(Refusal::new(403, "Insufficient View Permissions"));
    }
    let groups = own.groups.iter().filter_map(|id| world.members.get(*id));
    listed(
        call,
        page,
        groups.filter(|group| !group.deleted).collect(),
        true,
    )
}

/// The group with that id.
pub(super) fn group(world: &World, id: i64) -> Result<&Member, Refusal> {
    match find(world, id)? {
        own if own.is_group() => Ok(own),
        _ => Err(Refusal::failed(format!("Invalid group {id}"))),
    }
}

/// `GET /v2/members/{id}/members`: who is in a group.
pub(super) fn of_group(world: &mut World, call: &Call, id: i64) -> Outcome {
    let page = page(call, 500)?;
    group(world, id)?;
    let inside = |own: &&Member| own.groups.contains(&id) && !own.deleted;
    let found = world.members.iter().filter(inside).collect();
    listed(call, page, found, false)
}

/// The profile fields among the arguments.
///
/// # Errors
///
/// A privilege that is no yes or no, a time zone or picture that is no number.
pub(super) fn said(call: &Call) -> Result<Map<String, Value>, Refusal> {
    let mut all = Map::new();
    for key in PROFILE.iter().chain(&["business_email"]) {
        if let Some(text) = call.arguments.text(key) {
            all.insert((*key).to_owned(), text.into());
        }
    }
    for (key, feature) in [("time_zone", "TimeZone"), ("photo_id", "Photo")] {
        let number = call.arguments.number(key).map_err(|_| {
            Refusal::bad(format!(
                "Could not set feature {feature}, value must be an Integer"
            ))
        })?;
        if let Some(number) = number {
            all.insert(key.to_owned(), number.into());
        }
    }
    let flags = PRIVILEGES.iter().map(|(key, feature, _)| (*key, *feature));
    for (key, feature) in flags.chain([("transactional", "Transactional")]) {
        let flag = call.arguments.flag(key).map_err(|_| {
            Refusal::bad(format!(
                "Could not set feature {feature}, value must be a Boolean"
            ))
        })?;
        if let Some(flag) = flag {
            all.insert(key.to_owned(), flag.into());
        }
    }
    Ok(all)
}
