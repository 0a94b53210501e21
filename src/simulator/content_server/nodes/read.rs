//! Reading nodes: one, many, children, ancestors, volumes, the recycle bin.

use std::cmp::Ordering;

use http::Method;
use serde_json::{Map, Value, json};

use super::super::answer::{Answer, Outcome, Refusal, link, list, v1};
use super::super::call::Call;
use super::super::permissions::Rights;
use super::super::world::{Deed, World};
use super::properties::{data, properties, token};
use super::tree::{Binned, Node};
use super::types::{COLLECTION, Kind};

/// Most ids that one list call takes.
const LIST_LIMIT: usize = 250;
/// Most ids whose actions are asked for in an address.
const ACTIONS_LIMIT: usize = 100;

fn visible<'a>(world: &'a World, call: &Call, id: i64, status: u16) -> Result<&'a Node, Refusal> {
    match (world.tree.get(id), world.visible(call.user, id)) {
        (_, Some(node)) => Ok(node),
        (Some(_), None) => Err(Refusal::inaccessible(status)),
        (None, None) => Err(Refusal::new(
            status,
            format!("Could not get a node for {id}"),
        )),
    }
}

/// `GET /v1/nodes/{id}` and `/v2/nodes/{id}`.
pub(in super::super) fn get(world: &mut World, call: &Call, id: i64) -> Outcome {
    let node = visible(world, call, id, 400)?;
    if !call.v1 {
        return Ok(call.results(data(world, call, node)));
    }
    let kind = Kind::of(node.subtype);
    let name = kind.map_or("Unknown", |kind| kind.name);
    let Answer::Json(mut answer) = v1(properties(world, call, node)) else {
        return Err(Refusal::inaccessible(400));
    };
    answer["type"] = node.subtype.into();
    answer["type_name"] = name.into();
    answer["type_info"] =
        json!({"advanced_versioning": node.advanced, "container": node.container()});
    let icon =
        |kind: &Kind| json!({"icon": kind.icon, "type": kind.number, "type_name": kind.name});
    answer["addable_types"] = makeable(world, call, node).map(icon).collect();
    let actions = actions_of(world, call, node, &[]);
    let action = |action: &Value| json!({"parameterless": false, "read_only": false, "type": action, "type_name": action, "webnode_signature": null});
    let names = actions["order"].as_array().into_iter().flatten();
    answer["available_actions"] = names.map(action).collect();
    answer["available_roles"] = json!([]);
    answer["definitions_base"] = json!([]);
    Ok(Answer::Json(answer))
}

/// `GET /v2/nodes/{id}/properties`.
pub(in super::super) fn properties_only(world: &mut World, call: &Call, id: i64) -> Outcome {
    let node = visible(world, call, id, 400)?;
    let object = call.shape.cut("properties", properties(world, call, node));
    let mut results = json!({"data": {"properties": object}});
    if call.shape.state {
        results["state"] = json!({"properties": {"metadata_token": token(node)}});
    }
    Ok(call.results(results))
}

/// `GET /v2/nodes/{id}/nodes`: the children that the caller may see.
pub(in super::super) fn browse(world: &mut World, call: &Call, id: i64) -> Outcome {
    let node = visible(world, call, id, 500)?;
    if !node.container() || !world.rights(call.user, id).has(Rights::CONTENTS) {
        return Err(Refusal::failed(
            "Could not process object, invalid action 'browse'",
        ));
    }
    let page = call.page(&world.config)?;
    let types = call.arguments.numbers("where_type")?.unwrap_or_default();
    let name = call
        .arguments
        .text("where_name")
        .unwrap_or_default()
        .to_lowercase();
    let hidden = call.arguments.flag("show_hidden")?.unwrap_or(false);
    let sort = call
        .arguments
        .text("sort")
        .unwrap_or_else(|| "asc_name".to_owned());
    let collected = node.collected.iter().filter_map(|id| world.tree.get(*id));
    let wanted = |node: &&Node| {
        let kind = |wanted: &i64| match wanted {
            -1 => node.container(),
            -2 => true,
            -3 => !node.container(),
            subtype => node.subtype == *subtype,
        };
        (types.is_empty() || types.iter().any(kind))
            && (name.is_empty() || node.name.to_lowercase().contains(&name))
            && (hidden || !node.hidden)
            && world.rights(call.user, node.id).has(Rights::SEE)
    };
    let mut found: Vec<&Node> = world
        .tree
        .children(id)
        .chain(collected)
        .filter(wanted)
        .collect();
    order(world, &mut found, &sort)?;
    let rows = found.iter().skip(page.skip()).take(page.limit);
    if call.v1 {
        let rows: Vec<_> = rows.map(|node| row_v1(world, call, node)).collect();
        let mut answer = page.paging(found.len(), &call.href);
        answer["data"] = rows.into();
        answer["sort"] = sort.into();
        answer["where_facet"] = json!([]);
        answer["where_name"] = name.into();
        answer["where_type"] = json!(types);
        answer["definitions"] = json!({});
        answer["definitions_map"] = json!({});
        answer["definitions_order"] = json!([]);
        return Ok(Answer::Json(answer));
    }
    let rows = rows.map(|node| data(world, call, node)).collect();
    Ok(list(&call.href, rows, page, found.len(), Some(&sort)))
}

/// A child as v1 lists it: with what the caller may do.
fn row_v1(world: &World, call: &Call, node: &Node) -> Value {
    let mut row = properties(world, call, node);
    let rights = world.rights(call.user, node.id);
    for (key, right) in [
        ("perm_see", Rights::SEE),
        ("perm_see_contents", Rights::CONTENTS),
        ("perm_modify", Rights::MODIFY),
        ("perm_modify_attributes", Rights::ATTRIBUTES),
        ("perm_create", Rights::ADD),
        ("perm_reserve", Rights::RESERVE),
        ("perm_add_major_version", Rights::MAJOR),
        ("perm_delete_versions", Rights::VERSIONS),
        ("perm_delete", Rights::DELETE),
        ("perm_modify_permissions", Rights::PERMISSIONS),
    ] {
        row[key] = rights.has(right).into();
    }
    row
}

/// Puts nodes in the order named; children come sorted by name already.
pub(in super::super) fn order(
    world: &World,
    nodes: &mut [&Node],
    sort: &str,
) -> Result<(), Refusal> {
    let (descending, key) = match sort.split_once('_') {
        Some(("asc", key)) => (false, key),
        Some(("desc", key)) => (true, key),
        _ => (false, sort),
    };
    let size = |node: &Node| match node.latest() {
        Some(version) => version.blob.len(),
        None => world.tree.count(node.id) as u64,
    };
    type Compare<'a> = Box<dyn Fn(&Node, &Node) -> Ordering + 'a>;
    let compare: Compare<'_> = match key {
        "name" => Box::new(|a, b| a.name.to_lowercase().cmp(&b.name.to_lowercase())),
        "id" => Box::new(|a, b| a.id.cmp(&b.id)),
        "type" => Box::new(|a, b| a.subtype.cmp(&b.subtype)),
        "size" => Box::new(move |a, b| size(a).cmp(&size(b))),
        "create_date" => Box::new(|a, b| a.created.cmp(&b.created)),
        "modify_date" => Box::new(|a, b| a.modified.cmp(&b.modified)),
        "parent_id" => Box::new(|a, b| a.parent.cmp(&b.parent)),
        _ => {
            return Err(Refusal::failed(format!(
                "Could not set feature Sort Column, invalid value '{sort}'"
            )));
        }
    };
    nodes.sort_by(|a, b| {
        let order = compare(a, b);
        if descending { order.reverse() } else { order }.then(a.id.cmp(&b.id))
    });
    Ok(())
}

/// `POST /v2/nodes/list`: what is not there or may not be seen is left out.
pub(in super::super) fn list_ids(world: &mut World, call: &Call) -> Outcome {
    let ids = call.arguments.numbers("ids")?;
    let ids = ids.ok_or_else(|| Refusal::bad("The parameter 'ids' is not specified"))?;
    if ids.len() > LIST_LIMIT {
        return Err(Refusal::bad("Too many items specified for parameter 'ids'"));
    }
    let seen = ids.iter().filter_map(|id| world.visible(call.user, *id));
    let rows: Vec<_> = seen.map(|node| data(world, call, node)).collect();
    Ok(call.results(Value::Array(rows)))
}

/// Nodes as the lists of records management show them: their properties in the row itself, and
/// where other lists have them. What the caller may not see is left out.
pub(in super::super) fn listed(world: &World, call: &Call, ids: &[i64]) -> Vec<Value> {
    let seen = ids.iter().filter_map(|id| world.visible(call.user, *id));
    seen.map(|node| {
        let mut row = properties(world, call, node);
        row["data"] = json!({"properties": row.clone()});
        row
    })
    .collect()
}

/// A page of such a list, by name.
pub(in super::super) fn listing(world: &World, call: &Call, ids: &[i64], size: u32) -> Outcome {
    let page = call.page_of(size, world.config.page_limit)?;
    let sort = call.arguments.text("sort");
    let sort = sort.unwrap_or_else(|| "asc_name".to_owned());
    let seen = ids.iter().filter_map(|id| world.visible(call.user, *id));
    let mut seen: Vec<&Node> = seen.collect();
    order(world, &mut seen, &sort)?;
    let total = seen.len();
    let ids: Vec<i64> = seen.iter().map(|node| node.id).collect();
    let shown: Vec<i64> = ids.into_iter().skip(page.skip()).take(page.limit).collect();
    let rows = listed(world, call, &shown);
    Ok(list(&call.href, rows, page, total, Some(&sort)))
}

/// `GET /v1/nodes/{id}/ancestors`.
pub(in super::super) fn ancestors(world: &mut World, call: &Call, id: i64) -> Outcome {
    visible(world, call, id, 500)?;
    let row = |id: &i64| {
        let node = world.tree.get(*id)?;
        let name = Kind::of(node.subtype).map_or("Unknown", |kind| kind.name);
        Some(json!({
            "id": node.id, "name": node.name, "parent_id": node.parent, "type": node.subtype,
            "type_name": name, "volume_id": -world.tree.root(node.id),
        }))
    };
    let rows: Vec<_> = world.tree.ancestors(id).iter().filter_map(row).collect();
    Ok(Answer::Json(json!({"ancestors": rows})))
}

/// The subtypes that the caller can make in a node.
fn makeable(world: &World, call: &Call, node: &Node) -> impl Iterator<Item = &'static Kind> {
    let may = node.container()
        && node.subtype != COLLECTION
        && world.rights(call.user, node.id).has(Rights::ADD);
    Kind::creatable().filter(move |_| may)
}

/// `GET /v1/nodes/{id}/addablenodetypes`.
pub(in super::super) fn addable(world: &mut World, call: &Call, id: i64) -> Outcome {
    let node = visible(world, call, id, 500)?;
    let row = |kind: &Kind| {
        let href = format!(
            "api/v1/forms/nodes/create?type={}&parent_id={id}",
            kind.number
        );
        (kind.number.to_string(), Value::String(href))
    };
    let types: Map<_, _> = makeable(world, call, node).map(row).collect();
    Ok(v1(Value::Object(types)))
}

/// `GET /v1/nodes/{id}/actions`: what the caller can do with a node.
pub(in super::super) fn node_actions(world: &mut World, call: &Call, id: i64) -> Outcome {
    let node = visible(world, call, id, 404)?;
    let known = actions_of(world, call, node, &[]);
    let names = known["order"].as_array().into_iter().flatten();
    let rows: Value = names
        .filter_map(Value::as_str)
        .map(|name| {
            let url = known["data"][name]["href"].clone();
            json!({"name": name, "url": url, "children": {}, "signature": name})
        })
        .collect();
    Ok(Answer::Json(json!({
        "actions": rows, "data": {}, "definitions": {}, "definitions_map": {},
        "definitions_order": [],
    })))
}

/// The actions among `wanted` that the caller may take, as v2 lists them.
pub(super) fn actions_of(world: &World, call: &Call, node: &Node, wanted: &[String]) -> Value {
    let (id, user) = (node.id, call.user);
    let rights = world.rights(user, id);
    let free = |deed| world.free(user, id, deed, "").is_ok();
    let known: [(&str, &str, bool); 9] = [
        ("open", "GET", rights.has(Rights::CONTENTS)),
        (
            "download",
            "GET",
            rights.has(Rights::CONTENTS) && node.latest().is_some(),
        ),
        ("properties", "GET", rights.has(Rights::SEE)),
        (
            "rename",
            "PUT",
            rights.has(Rights::MODIFY) && free(Deed::Edit),
        ),
        (
            "move",
            "PUT",
            rights.has(Rights::MODIFY) && rights.has(Rights::DELETE) && free(Deed::Edit),
        ),
        ("copy", "POST", rights.has(Rights::CONTENTS)),
        (
            "addversion",
            "POST",
            node.latest().is_some() && rights.has(Rights::MODIFY) && free(Deed::Version),
        ),
        (
            "reserve",
            "PUT",
            rights.has(Rights::RESERVE) && node.reserved.is_none(),
        ),
        (
            "delete",
            "DELETE",
            rights.has(Rights::DELETE) && free(Deed::Delete) && node.parent >= 0,
        ),
    ];
    let asked = |name: &str| wanted.is_empty() || wanted.iter().any(|wanted| wanted == name);
    let mut found = Map::new();
    let mut order = Vec::new();
    for (name, method, may) in known {
        if may && asked(name) {
            found.insert(
                name.to_owned(),
                link(method, &format!("/api/v2/nodes/{id}")),
            );
            order.push(name);
        }
    }
    json!({"data": found, "map": {"default_action": "open"}, "order": order})
}

/// `GET` and `POST /v2/nodes/actions`.
pub(in super::super) fn actions(world: &mut World, call: &Call) -> Outcome {
    let ids = call.arguments.numbers("ids")?;
    let ids = ids.ok_or_else(|| Refusal::bad("The parameter 'ids' is not specified"))?;
    if call.method == Method::GET && ids.len() > ACTIONS_LIMIT {
        return Err(Refusal::bad("Too many items specified for parameter 'ids'"));
    }
    let row = |id: i64| {
        let node = world.visible(call.user, id)?;
        Some((
            id.to_string(),
            actions_of(world, call, node, &call.shape.actions),
        ))
    };
    let rows: Map<_, _> = ids.into_iter().filter_map(row).collect();
    Ok(call.results(Value::Object(rows)))
}

/// `GET /v2/nicknames/{nickname}/nodes`.
pub(in super::super) fn nickname(world: &mut World, call: &Call, nickname: &str) -> Outcome {
    let named = |node: &&Node| node.nickname.as_deref() == Some(nickname);
    let node = world
        .tree
        .iter()
        .find(named)
        .and_then(|node| world.visible(call.user, node.id));
    let node = node.ok_or_else(|| {
        Refusal::new(
            404,
            format!(
                "Sorry, no exact match was found for an item with the Nickname {nickname}. \
                Either it does not exist or you do not have permission to access it. \
                If you were sent a link to this item, please contact the sender for assistance."
            ),
        )
    })?;
    Ok(call.results(data(world, call, node)))
}

/// `GET /v1/volumes` and `/v2/volumes`.
pub(in super::super) fn volumes(world: &mut World, call: &Call) -> Outcome {
    let seen = world
        .tree
        .volumes()
        .filter(|node| world.visible(call.user, node.id).is_some());
    Ok(match call.v1 {
        true => v1(seen.map(|node| properties(world, call, node)).collect()),
        false => call.results(seen.map(|node| data(world, call, node)).collect()),
    })
}

fn volume_id(world: &World, call: &Call, subtype: i64) -> Result<i64, Refusal> {
    let missing = || match Kind::of(subtype) {
        Some(_) => Refusal::failed(format!("Subtype {subtype} is not a root subtype")),
        None => Refusal::failed(format!("Subtype {subtype} not registered")),
    };
    let node = world.tree.volume(subtype).ok_or_else(missing)?;
    world
        .visible(call.user, node.id)
        .map(|node| node.id)
        .ok_or_else(missing)
}

/// `GET /v2/volumes/{type}`.
pub(in super::super) fn volume(world: &mut World, call: &Call, subtype: i64) -> Outcome {
    let id = volume_id(world, call, subtype)?;
    get(world, call, id)
}

/// `GET /v2/volumes/{type}/nodes`.
pub(in super::super) fn volume_nodes(world: &mut World, call: &Call, subtype: i64) -> Outcome {
    let id = volume_id(world, call, subtype)?;
    browse(world, call, id)
}

/// What of the recycle bin is shown: whose, and whether of today only.
const MODES: [(&str, &str, bool, bool); 4] = [
    ("user_deleted_today", "Deleted by Me Today", false, true),
    ("user_deleted", "Deleted by Me", false, false),
    (
        "anyone_deleted_today",
        "Deleted by Anyone Today",
        true,
        true,
    ),
    ("anyone_deleted", "Deleted by Anyone", true, false),
];

/// `GET /v2/volumes/recyclebin/nodes`: containers stand before everything else.
pub(in super::super) fn recycled(world: &mut World, call: &Call) -> Outcome {
    let page = call.page(&world.config)?;
    let mode = call.arguments.text("mode");
    let mode = mode.unwrap_or_else(|| "user_deleted_today".to_owned());
    let found = MODES.iter().find(|(name, ..)| *name == mode);
    let &(_, title, anyone, today) = found.ok_or_else(|| {
        Refusal::new(
            403,
            format!("Could not set feature mode, invalid value '{mode}'"),
        )
    })?;
    let name = call.arguments.text("where_name").unwrap_or_default();
    let name = name.to_lowercase();
    let day = |at: jiff::Timestamp| at.strftime("%Y-%m-%d").to_string();
    let mut found: Vec<&Binned> = world
        .tree
        .bin
        .values()
        .filter(|binned| anyone || binned.user == call.user)
        .filter(|binned| !today || day(binned.at) == day(call.now))
        .filter(|binned| binned.node.name.to_lowercase().starts_with(&name))
        .collect();
    let sort = call.arguments.text("sort");
    let sort = sort.unwrap_or_else(|| "desc_deleted_date".to_owned());
    let (ascending, key) = match sort.split_once('_') {
        Some(("asc", key)) => (true, key),
        Some(("desc", key)) => (false, key),
        _ => (false, sort.as_str()),
    };
    match key {
        "name" => found.sort_by_key(|binned| binned.node.name.to_lowercase()),
        "deleted_date" => found.sort_by_key(|binned| binned.at),
        "deleted_user_id" => found.sort_by_key(|binned| binned.user),
        "type" => found.sort_by_key(|binned| binned.node.subtype),
        _ => {
            return Err(Refusal::failed(format!(
                "Could not set feature Sort Column, invalid value '{sort}'"
            )));
        }
    }
    if !ascending {
        found.reverse();
    }
    found.sort_by_key(|binned| !binned.node.container());
    let total = found.len();
    let rows = found.into_iter().skip(page.skip()).take(page.limit);
    let rows = rows.map(|binned| {
        let mut object = properties(world, call, &binned.node);
        object["deleted_user_id"] = binned.user.into();
        object["deleted_date"] = world.date(binned.at).into();
        object["purged_date"] = Value::Null;
        json!({"data": {"properties": call.shape.cut("properties", object)}})
    });
    let rows = rows.collect();
    let Answer::Json(mut answer) = list(&call.href, rows, page, total, Some(&sort)) else {
        return Err(Refusal::inaccessible(400));
    };
    let shown = |name: &str, title: &str| json!({"display_name": title, "value": name});
    let available = MODES.iter().map(|(name, title, ..)| shown(name, title));
    answer["collection"]["filtering"] = json!({
        "filter": [{"key": "mode", "value": mode}],
        "modes": {"available": available.collect::<Value>(), "selected": [shown(&mode, title)]},
    });
    Ok(Answer::Json(answer))
}
