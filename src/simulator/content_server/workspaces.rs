//! Business workspaces: types, creating, finding, reading, and the object one stands for.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::answer::{Answer, INACCESSIBLE, Outcome, Page, Refusal};
use super::call::Call;
use super::categories;
use super::classifications;
use super::nodes::{CLASSIFICATION, External, Node, Place, WORKSPACE, external, node_data, worded};
use super::permissions::Rights;
use super::records;
use super::relations::Relations;
use super::teams::{self, Teams};
use super::world::World;

/// Rows of a page of workspaces, unasked and at most.
const PAGE: u32 = 500;

/// A reference to an object of a business application.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Reference {
    system: String,
    kind: String,
    id: String,
}

struct Workspace {
    kind: i64,
    reference: Option<Reference>,
}

/// Workspace types and what is known of each workspace beyond its node.
#[derive(Default)]
pub(super) struct Workspaces {
    types: BTreeMap<i64, (String, i64)>,
    workspaces: BTreeMap<i64, Workspace>,
    pub(super) teams: Teams,
    pub(super) relations: Relations,
    /// The node of the icon of each workspace that has one.
    pub(super) icons: BTreeMap<i64, i64>,
}

impl Workspaces {
    /// Adds a workspace type with one template.
    pub(super) fn add_type(&mut self, id: i64, name: &str, template: i64) {
        self.types.insert(id, (name.to_owned(), template));
    }

    /// The workspace that a business object has.
    fn referred(&self, wanted: &Reference) -> Option<i64> {
        let found = self
            .workspaces
            .iter()
            .find(|(_, workspace)| workspace.reference.as_ref() == Some(wanted));
        found.map(|(id, _)| *id)
    }
}

/// `GET /v2/businessworkspacetypes`.
pub(super) fn types(world: &mut World, call: &Call) -> Outcome {
    if world.workspaces.types.is_empty() {
        return Err(Refusal::failed("Could not process object, invalid request"));
    }
    let mut all = Vec::new();
    for (id, (name, template)) in &world.workspaces.types {
        all.push(kind_row(call, *id, name, *template)?);
    }
    Ok(call.results(all.into()))
}

/// A workspace type as the lists and the single answer show it: with templates and looks where they
/// are asked for.
fn kind_row(call: &Call, id: i64, name: &str, template: i64) -> Result<Value, Refusal> {
    let mut row = json!({"data": {"properties": {
        "rm_enabled": false, "wksp_type_id": id, "wksp_type_name": name,
        "wksp_type_names": {"en": name}, "wksp_descriptions": {"en": ""}, "config_node_id": null,
        "wksp_creation_enabled": true, "wksp_copy_enabled": true, "wksp_policies_enabled": false,
        "add_creator_to_lead_role": true, "wksp_icon": "",
        "wksp_creation": {"page_display_mode": 0, "wksp_creation_mode": 0},
    }}});
    let data = &mut row["data"];
    if call.arguments.flag("expand_templates")?.unwrap_or(false) {
        data["properties"]["templates"] = json!([{
            "id": template, "name": name, "subType": WORKSPACE, "description": "", "type": WORKSPACE,
        }]);
    }
    if call.arguments.flag("expand_wksp_info")?.unwrap_or(false) {
        data["wksp_info"] = json!({"wksp_type_icon": "", "in_use": true});
    }
    Ok(row)
}

/// `GET /v1/businessworkspacetypes/{id}` and `/v2/businessworkspacetypes/{id}`.
pub(super) fn kind(world: &mut World, call: &Call, id: i64) -> Outcome {
    let (name, template) = world.workspaces.types.get(&id).ok_or_else(|| {
        Refusal::new(
            404,
            format!("Could not get a business workspace type for {id}"),
        )
    })?;
    Ok(match call.v1 {
        true => Answer::Json(json!({
            "icon_url": "", "is_policies_enabled": false, "workspace_type": name,
        })),
        false => call.results(kind_row(call, id, name, *template)?),
    })
}

/// `GET /v1/nodes/{id}/businessworkspacetypes`: the types that can be made in a container.
pub(super) fn node_kinds(world: &mut World, call: &Call, id: i64) -> Outcome {
    let node = world
        .visible(call.user, id)
        .ok_or_else(|| Refusal::bad(INACCESSIBLE))?;
    let open = node.container() && world.rights(call.user, id).has(Rights::ADD);
    let types = world.workspaces.types.iter().filter(|_| open);
    let types: Vec<_> = types
        .map(|(id, (name, template))| {
            let template = json!({"id": template, "name": name, "subType": WORKSPACE});
            json!({"id": id, "name": name, "rm_enabled": false, "templates": [template]})
        })
        .collect();
    Ok(Answer::Json(json!({"businessworkspacetypes": types})))
}

fn reference(call: &Call, prefix: &str) -> Option<Reference> {
    let text = |key: &str| call.arguments.text(&format!("{prefix}{key}"));
    Some(Reference {
        system: text("ext_system_id")?,
        kind: text("bo_type")?,
        id: text("bo_id")?,
    })
}

/// `GET /v2/forms/businessworkspaces/create`.
pub(super) fn create_form(world: &mut World, call: &Call) -> Outcome {
    let template = call.arguments.need_number("template_id")?;
    let mut types = world.workspaces.types.values();
    types
        .find(|(_, own)| *own == template)
        .ok_or_else(|| Refusal::bad("Could not process object, invalid request"))?;
    let field = |title: &str| json!({"readonly": false, "required": title == "Name", "title": title, "type": "string"});
    Ok(Answer::Json(json!({"forms": [{
        "data": {"name": "", "description": ""},
        "options": {"fields": {"name": {"label": "Name", "type": "text"}, "description": {"label": "Description", "type": "textarea"}}},
        "schema": {"properties": {"name": field("Name"), "description": field("Description")}, "type": "object"},
    }]})))
}

/// `POST /v2/businessworkspaces`.
pub(super) fn create(world: &mut World, call: &Call) -> Outcome {
    let missing = |key: &str| Refusal::missing(key);
    let template = call.arguments.number("template_id")?;
    let kind = call.arguments.number("wksp_type_id")?.or_else(|| {
        let found = world
            .workspaces
            .types
            .iter()
            .find(|(_, (_, own))| Some(*own) == template);
        found.map(|(id, _)| *id)
    });
    let kind = kind.ok_or_else(|| missing("template_id"))?;
    if !world.workspaces.types.contains_key(&kind) {
        return Err(Refusal::bad("Could not process object, invalid request"));
    }
    let (name, names) = worded(call, "name");
    let name = name.map(|name| name.trim().to_owned());
    let name = name.filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| missing("name"))?;
    let volume = world.tree.volume(862).map(|node| node.id);
    let parent = call
        .arguments
        .number("parent_id")?
        .or(volume)
        .ok_or_else(|| missing("parent_id"))?;
    let container = world
        .visible(call.user, parent)
        .ok_or_else(|| Refusal::bad(INACCESSIBLE))?;
    if !container.container() || !world.rights(call.user, parent).has(Rights::ADD) {
        return Err(Refusal::bad("Could not create a new Business Workspace"));
    }
    let access = container.access.inherited(call.user);
    let roles = call.arguments.object("roles").unwrap_or_default();
    let applied = categories::for_workspace(world, call, parent, roles.get("categories"))?;
    let external = external(call, External::default())?;
    let mut classes = classifications::of_role(world, call, parent, &roles)?;
    if let Some(class) = call.arguments.number("class_id")? {
        classifications::known(world, call, class, CLASSIFICATION, "classify")?;
        classes.retain(|other| *other != class);
        classes.push(class);
    }
    let record = records::of_role(world, call, &roles)?;
    let id = world.id();
    let place = Place {
        parent,
        user: call.user,
        now: call.now,
        access,
    };
    let mut node = Node::new(id, WORKSPACE, &name, place);
    let (description, descriptions) = worded(call, "description");
    node.description = description.unwrap_or_default();
    node.descriptions = descriptions.unwrap_or_default();
    node.names = names.unwrap_or_default();
    node.categories = applied;
    node.external = external;
    node.record = record;
    node.classifications = classes;
    let taken = |_| Refusal::failed(format!("An item with the name '{name}' already exists."));
    world.tree.insert(node).map_err(taken)?;
    let reference = reference(call, "");
    world
        .workspaces
        .workspaces
        .insert(id, Workspace { kind, reference });
    teams::found(world, id, call.user);
    world.record(
        call,
        "create",
        Some(id),
        json!({"parent": parent, "name": name, "type": WORKSPACE}),
    );
    Ok(call.results(json!({"id": id, "direct_open": true, "sub_folder_id": 0})))
}

/// Whether the caller sees that workspace.
pub(super) fn exists(world: &World, call: &Call, id: i64) -> bool {
    world.visible(call.user, id).is_some() && world.workspaces.workspaces.contains_key(&id)
}

/// `PUT` and `DELETE /v2/businessworkspaces/{id}/workspacereferences`.
pub(super) fn refer(world: &mut World, call: &Call, id: i64) -> Outcome {
    let wanted = reference(call, "").ok_or_else(|| Refusal::missing("ext_system_id"))?;
    let holder = world.workspaces.referred(&wanted);
    let set = call.method == http::Method::PUT;
    if holder.is_some_and(|holder| holder != id) || (!set && holder.is_none()) {
        return Err(Refusal::bad(
            "The workspace reference could not be changed.",
        ));
    }
    if let Some(workspace) = world.workspaces.workspaces.get_mut(&id) {
        workspace.reference = set.then_some(wanted);
    }
    Ok(call.done())
}

/// The paging of workspaces, which stands at the top of an answer.
fn paging(page: Page, total: usize, href: &str) -> Value {
    let mut paging = page.paging(total, href);
    let next = paging["links"]["data"]["next"].take();
    paging["actions"] = json!({"next": {"href": next["href"]}});
    paging
}

pub(super) fn row(world: &World, call: &Call, node: &Node) -> Value {
    let mut row = node_data(world, call, node);
    if let Some(workspace) = world.workspaces.workspaces.get(&node.id) {
        let (name, template) = world
            .workspaces
            .types
            .get(&workspace.kind)
            .cloned()
            .unwrap_or_default();
        if let Some(properties) = row["data"]["properties"].as_object_mut() {
            properties.insert("wksp_type_name".to_owned(), name.as_str().into());
            properties.insert("wnf_wksp_type_id".to_owned(), workspace.kind.into());
            properties.insert("wnf_wksp_template_id".to_owned(), template.into());
            properties.insert("rm_enabled".to_owned(), false.into());
            let icon = world.workspaces.icons.get(&node.id);
            let icon = icon.map(|icon| format!("/api/v1/nodes/{icon}/content"));
            properties.insert("image_url".to_owned(), json!(icon));
        }
        if call.shape.wants("business_properties") {
            row["data"]["business_properties"] = json!({
                "has_default_display": false, "has_default_search": false, "isEarly": false,
                "workspace_type_id": workspace.kind, "workspace_type_name": name,
                "workspace_type_name_multilingual": {"en": name},
            });
        }
        if call.shape.wants("wksp_info") {
            row["data"]["wksp_info"] = json!({"wksp_type_icon": ""});
        }
        if call.shape.wants("workspace_references") {
            let reference = workspace.reference.as_ref().map(
                |Reference { system, kind, id }| json!({"ext_system_id": system, "bo_type": kind, "bo_id": id}),
            );
            row["data"]["workspace_references"] = reference.into_iter().collect();
        }
    }
    row
}

/// The workspaces that the caller sees.
pub(super) fn all<'a>(world: &'a World, call: &Call) -> impl Iterator<Item = &'a Node> {
    let user = call.user;
    let ids = world.workspaces.workspaces.keys();
    ids.filter_map(move |id| world.visible(user, *id))
}

/// Whether a workspace is of one of the types; none given, it is.
pub(super) fn is_of(world: &World, id: i64, kinds: Option<&[i64]>) -> bool {
    let own = world.workspaces.workspaces.get(&id).map(|own| own.kind);
    kinds.is_none_or(|kinds| own.is_some_and(|own| kinds.contains(&own)))
}

/// Whether a workspace has a name, after `contains_` or `startswith_` a part of it.
pub(super) fn is_called(node: &Node, name: &str) -> bool {
    let own = node.name.to_lowercase();
    let name = name.to_lowercase();
    match (
        name.strip_prefix("contains_"),
        name.strip_prefix("startswith_"),
    ) {
        _ if name.is_empty() => true,
        (Some(part), _) => own.contains(part),
        (_, Some(start)) => own.starts_with(start),
        _ => own == name,
    }
}

/// A page of workspaces in the order asked for; paging stands at the top here.
pub(super) fn listed<'a, T: Copy>(
    call: &Call,
    mut found: Vec<T>,
    node: impl Fn(T) -> &'a Node,
    row: impl Fn(T) -> Value,
) -> Outcome {
    let page = call.page_of(PAGE, PAGE)?;
    let sort = call.arguments.text("sort");
    let sort = sort.unwrap_or_else(|| "asc_name".to_owned());
    let (descending, key) = match sort.split_once('_') {
        Some(("asc", key)) => (false, key),
        Some(("desc", key)) => (true, key),
        _ => (false, sort.as_str()),
    };
    match key {
        "id" => found.sort_by_key(|own| node(*own).id),
        "create_date" => found.sort_by_key(|own| node(*own).created),
        "modify_date" => found.sort_by_key(|own| node(*own).modified),
        _ => found.sort_by_cached_key(|own| node(*own).name.to_lowercase()),
    }
    if descending {
        found.reverse();
    }
    let rows = found.iter().skip(page.skip()).take(page.limit);
    let rows: Vec<Value> = rows.map(|own| row(*own)).collect();
    let Answer::Json(mut answer) = call.results(rows.into()) else {
        return Err(Refusal::failed("Could not process object, invalid request"));
    };
    answer["paging"] = paging(page, found.len(), &call.href);
    if !call.arguments.flag("include_total_count")?.unwrap_or(true)
        && let Some(paging) = answer["paging"].as_object_mut()
    {
        paging.remove("total_count");
        paging.remove("page_total");
    }
    answer["wksp_info"] = json!({"wksp_type_icon": ""});
    Ok(Answer::Json(answer))
}

/// `GET /v2/businessworkspaces`.
pub(super) fn browse(world: &mut World, call: &Call) -> Outcome {
    let kind = call.arguments.numbers("where_workspace_type_id")?;
    let kind_name = call.arguments.text("where_workspace_type_name");
    let name = call.arguments.text("where_name").unwrap_or_default();
    let text = |key: &str| call.arguments.text(key);
    let asked = [
        text("where_ext_system_id"),
        text("where_bo_type"),
        text("where_bo_id"),
    ];
    // Nothing here waits for its business object.
    let early = call.arguments.flag("where_is_early")?.unwrap_or(false);
    // Unless asked to search, only what the caller had in hand lately is looked at; here, what the
    // caller made.
    let everything = call.arguments.flag("expanded_view")?.unwrap_or(false);
    let referred = |own: Option<&Reference>| {
        let own = own.map(|own| [&own.system, &own.kind, &own.id]);
        asked.iter().enumerate().all(|(at, asked)| {
            let own = own.map(|own| own[at]);
            asked.is_none() || asked.as_ref() == own
        })
    };
    let wanted = |node: &&Node| {
        let Some(own) = world.workspaces.workspaces.get(&node.id) else {
            return false;
        };
        let kind_of = world.workspaces.types.get(&own.kind);
        is_of(world, node.id, kind.as_deref())
            && !early
            && kind_name
                .as_ref()
                .is_none_or(|name| kind_of.is_some_and(|(own, _)| own == name))
            && referred(own.reference.as_ref())
            && (everything || node.creator == call.user)
            && is_called(node, &name)
    };
    let found: Vec<&Node> = all(world, call).filter(wanted).collect();
    listed(call, found, |node| node, |node| row(world, call, node))
}

/// `GET /v2/businessworkspaces/{id}`.
pub(super) fn get(world: &mut World, call: &Call, id: i64) -> Outcome {
    let node = world
        .visible(call.user, id)
        .filter(|_| world.workspaces.workspaces.contains_key(&id));
    let node = node.ok_or_else(|| Refusal::bad(INACCESSIBLE))?;
    Ok(call.results(row(world, call, node)))
}

/// `GET /v2/externalsystems/{system}/botypes/{type}/boids/{id}`.
pub(super) fn by_object(
    world: &mut World,
    call: &Call,
    system: &str,
    kind: &str,
    id: &str,
) -> Outcome {
    let wanted = Reference {
        system: system.to_owned(),
        kind: kind.to_owned(),
        id: id.to_owned(),
    };
    let found = world
        .workspaces
        .referred(&wanted)
        .and_then(|id| world.visible(call.user, id));
    let node =
        found.ok_or_else(|| Refusal::new(404, "The business workspace could not be found."))?;
    Ok(call.results(row(world, call, node)))
}

/// `GET /v1/nodes/{id}/businessworkspace`: the workspace a node lies in.
pub(super) fn containing(world: &mut World, call: &Call, id: i64) -> Outcome {
    world
        .visible(call.user, id)
        .ok_or_else(|| Refusal::bad(INACCESSIBLE))?;
    let path = world.tree.ancestors(id);
    let found = path
        .iter()
        .rev()
        .find_map(|id| Some((id, world.workspaces.workspaces.get(id)?)));
    let (id, workspace) = found.ok_or_else(|| Refusal::bad(INACCESSIBLE))?;
    let linked = workspace.reference.is_some();
    Ok(Answer::Json(
        json!({"id": id, "isLinked": linked, "type": WORKSPACE, "workspace_type_id": workspace.kind}),
    ))
}
