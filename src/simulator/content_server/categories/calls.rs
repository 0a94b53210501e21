//! The calls on the categories of a node and of its versions.

use serde_json::{Map, Value, json};

use super::super::answer::{Answer, Outcome, Refusal, v1};
use super::super::arguments::{as_number, as_text};
use super::super::call::Call;
use super::super::nodes::Node;
use super::super::permissions::{Rights, lacking};
use super::super::versions;
use super::super::world::{Deed, World};
use super::shown::{definitions, keys, row, values};
use super::values::{INVALID, definition, merged};
use super::{Applied, AppliedAll, Definition, token};

pub(super) fn node<'a>(world: &'a World, call: &Call, id: i64) -> Result<&'a Node, Refusal> {
    let missing = || Refusal::failed(format!("Could not get a node for {id}"));
    world.visible(call.user, id).ok_or_else(missing)
}

/// `GET …/categories`.
pub(in super::super) fn browse(world: &mut World, call: &Call, id: i64) -> Outcome {
    let node = node(world, call, id)?;
    let known = known(world, &node.categories);
    if call.v1 {
        let row = |definition: &Definition| json!({"id": definition.id, "name": definition.name});
        return Ok(v1(known.map(|(definition, _)| row(definition)).collect()));
    }
    Ok(call.results(
        known
            .map(|(definition, applied)| row(call, definition, applied))
            .collect(),
    ))
}

/// `GET …/categories/{cat}`.
pub(in super::super) fn get(world: &mut World, call: &Call, id: i64, category: i64) -> Outcome {
    let node = node(world, call, id)?;
    let missing = || {
        Refusal::bad(format!(
            "Category ID '{category}' is not a category on node '{id}'"
        ))
    };
    let applied = node.categories.get(&category).ok_or_else(missing)?;
    let definition = definition(world, category)?;
    Ok(match call.v1 {
        true => defined(std::iter::once((definition, applied))),
        false => call.results(row(call, definition, applied)),
    })
}

/// The v1 answer with values of categories and their definitions.
fn defined<'a>(all: impl Iterator<Item = (&'a Definition, &'a Applied)>) -> Answer {
    let (mut data, mut all_definitions, mut order) = (Map::new(), Map::new(), Vec::new());
    for (definition, applied) in all {
        data.extend(values(definition, applied));
        if let Value::Object(own) = definitions(definition) {
            all_definitions.extend(own);
        }
        order.extend(keys(definition));
    }
    Answer::Json(json!({
        "data": data, "definitions": all_definitions, "definitions_map": {},
        "definitions_order": order,
    }))
}

/// `GET …/versions/{n}/categories`: as they were when the next version came.
pub(in super::super) fn of_version(
    world: &mut World,
    call: &Call,
    id: i64,
    number: i64,
) -> Outcome {
    let node = world.seen(call.user, id)?;
    let frozen = versions::categories(node, number);
    let frozen = frozen.ok_or_else(|| Refusal::bad("Error getting version for node"))?;
    let known = known(world, frozen);
    Ok(match call.v1 {
        true => defined(known),
        false => call.results(
            known
                .map(|(definition, applied)| row(call, definition, applied))
                .collect(),
        ),
    })
}

/// Categories with their definitions.
fn known<'a>(
    world: &'a World,
    all: &'a AppliedAll,
) -> impl Iterator<Item = (&'a Definition, &'a Applied)> {
    all.iter()
        .filter_map(|(id, applied)| Some((world.definitions.get(id)?, applied)))
}

/// What does not fit the definition is 400 on v1 and 500 on v2.
fn told(call: &Call, refusal: Refusal) -> Refusal {
    match call.v1 && refusal.text() == INVALID {
        true => Refusal::bad(INVALID),
        false => refusal,
    }
}

/// The attribute keys among the arguments; everything else is not a value.
fn sent(call: &Call, category: i64) -> Map<String, Value> {
    let prefix = format!("{category}_");
    let value = |key: &str, value: &Value| {
        let parsed = value
            .as_str()
            .filter(|text| text.starts_with(['{', '[']))
            .map(serde_json::from_str::<Value>);
        (
            key.to_owned(),
            parsed.and_then(Result::ok).unwrap_or_else(|| value.clone()),
        )
    };
    let keys = call.arguments.iter().filter(|(key, _)| {
        key.starts_with(&prefix)
            || (key.contains('_') && key.starts_with(|c: char| c.is_ascii_digit()))
    });
    keys.map(|(key, argument)| value(key, argument)).collect()
}

/// `POST …/categories`: applies one.
pub(in super::super) fn assign(world: &mut World, call: &Call, id: i64) -> Outcome {
    let node = node(world, call, id)?;
    lacking(world, call.user, id, Rights::ATTRIBUTES, "categories-add")?;
    world.free(call.user, id, Deed::Edit, "categories-add")?;
    let category = call.arguments.need_number("category_id")?;
    if world.visible(call.user, category).is_none() {
        return Err(Refusal::bad(
            "No permissions to access the attribute definition node",
        ));
    }
    let definition = definition(world, category)?;
    if node.categories.contains_key(&category) {
        return Err(Refusal::bad(format!(
            "The attribute group '{}' already exists",
            definition.name
        )));
    }
    let applied =
        merged(definition, None, &sent(call, category)).map_err(|refusal| told(call, refusal))?;
    put(world, call, id, category, applied);
    Ok(call.done())
}

fn put(world: &mut World, call: &Call, id: i64, category: i64, applied: Applied) {
    let values = json!(applied.values);
    if let Some(node) = world.tree.get_mut(id) {
        node.categories.insert(category, applied);
        node.touch(call.user, call.now);
    }
    world.record(
        call,
        "category",
        Some(id),
        json!({"category": category, "values": values}),
    );
}

/// `PUT …/categories/{cat}`.
pub(in super::super) fn update(world: &mut World, call: &Call, id: i64, category: i64) -> Outcome {
    let node = node(world, call, id)?;
    lacking(
        world,
        call.user,
        id,
        Rights::ATTRIBUTES,
        "categories-update",
    )?;
    world.free(call.user, id, Deed::Edit, "categories-update")?;
    let sent = sent(call, category);
    if sent.is_empty() {
        return Err(Refusal::bad(
            "Parameters are required for PUT, POST, and PATCH methods",
        ));
    }
    let before = node
        .categories
        .get(&category)
        .ok_or_else(|| Refusal::action("categories-update"))?;
    let inner = sent
        .get(&format!("{category}_1"))
        .and_then(|pseudo| pseudo.get("metadata_token"));
    let given = call
        .arguments
        .text("metadata_token")
        .or_else(|| inner.and_then(as_text));
    if given
        .as_ref()
        .is_some_and(|given| *given != token(id, category, before))
    {
        return Err(Refusal::new(
            409,
            "Could not update metadata (edit conflict).",
        ));
    }
    let applied = merged(definition(world, category)?, Some(before), &sent)?;
    let fresh = token(id, category, &applied);
    put(world, call, id, category, applied);
    Ok(match given {
        Some(_) => call.results(json!({"state": {"categories": {
            format!("{category}_1"): {"metadata_token": fresh}}}})),
        None => call.done(),
    })
}

/// `DELETE …/categories/{cat}`.
pub(in super::super) fn remove(world: &mut World, call: &Call, id: i64, category: i64) -> Outcome {
    let node = node(world, call, id)?;
    lacking(
        world,
        call.user,
        id,
        Rights::ATTRIBUTES,
        "categories-remove",
    )?;
    world.free(call.user, id, Deed::Edit, "categories-remove")?;
    if !node.categories.contains_key(&category) {
        return Err(Refusal::action("categories-remove"));
    }
    if let Some(node) = world.tree.get_mut(id) {
        node.categories.remove(&category);
        node.touch(call.user, call.now);
    }
    world.record(
        call,
        "category",
        Some(id),
        json!({"category": category, "values": null}),
    );
    Ok(call.done())
}

/// `POST` and `DELETE …/categories/{cat}/inheritance`.
pub(in super::super) fn inheritance(
    world: &mut World,
    call: &Call,
    id: i64,
    category: i64,
    on: bool,
) -> Outcome {
    let node = node(world, call, id)?;
    if !node.categories.contains_key(&category) {
        return Err(Refusal::failed(format!(
            "Could not find category ID {category} on the node"
        )));
    }
    lacking(
        world,
        call.user,
        id,
        Rights::ATTRIBUTES,
        "categories-inheritance",
    )?;
    let applied = world
        .tree
        .get_mut(id)
        .and_then(|node| node.categories.get_mut(&category));
    if let Some(applied) = applied {
        applied.inherited = on;
    }
    Ok(call.done())
}

/// `PUT …/categories/upgrade`: definitions never change here, so each is the latest.
pub(in super::super) fn upgrade(world: &mut World, call: &Call, id: i64) -> Outcome {
    let node = world
        .visible(call.user, id)
        .ok_or_else(|| Refusal::inaccessible(500))?;
    let asked = call.arguments.numbers("category_id")?;
    let asked = asked.filter(|asked| !asked.is_empty());
    let asked = asked.ok_or_else(|| Refusal::missing("category_id"))?;
    if !world.rights(call.user, id).has(Rights::ATTRIBUTES) {
        return Err(Refusal::failed(
            "Insufficient permissions to perform that action",
        ));
    }
    let foreign = asked.iter().find(|own| !node.categories.contains_key(own));
    Err(Refusal::failed(match (foreign, asked.first()) {
        (None, Some(own)) => {
            format!(
                "Could not upgrade category '{own}' on node '{id}', it is already the latest version"
            )
        }
        (own, _) => format!(
            "Category ID '{}' is not a category on node '{id}'",
            own.copied().unwrap_or_default()
        ),
    }))
}

/// `GET /v1/nodes/{id}/categories/actions`, and the same for one category: what the caller may do.
pub(in super::super) fn actions(
    world: &mut World,
    call: &Call,
    id: i64,
    category: Option<i64>,
) -> Outcome {
    let node = node(world, call, id)?;
    if category.is_some_and(|category| !node.categories.contains_key(&category)) {
        return Err(Refusal::bad("Could not process object, invalid request"));
    }
    let may = world.rights(call.user, id).has(Rights::ATTRIBUTES)
        && world.free(call.user, id, Deed::Edit, "").is_ok();
    let base = format!("api/v1/nodes/{id}/categories");
    let forms = "api/v1/forms/nodes/categories";
    let known = match category {
        None => vec![("categories-add", format!("{forms}/create?id={id}"))],
        Some(category) => vec![
            ("categories-remove", format!("{base}/{category}")),
            (
                "categories-update",
                format!("{forms}/update?id={id}&category_id={category}"),
            ),
        ],
    };
    let known: Map<String, Value> = known
        .into_iter()
        .filter(|_| may)
        .map(|(action, address)| (action.to_owned(), address.into()))
        .collect();
    let order: Vec<Value> = known.keys().map(|key| key.as_str().into()).collect();
    Ok(Answer::Json(json!({
        "data": known, "definitions": {}, "definitions_map": {}, "definitions_order": order,
    })))
}

/// One category of an apply-down, and what is done with it.
struct Step {
    category: i64,
    action: String,
    applied: Applied,
}

/// What `apply` is to do.
fn steps(call: &Call, source: &AppliedAll) -> Result<Vec<Step>, Refusal> {
    const ACTIONS: [&str; 6] = ["add", "add_upgrade", "upgrade", "replace", "delete", "none"];
    let unread = || Refusal::failed("Body parameter is invalid");
    let list = match call.arguments.get("categories") {
        Some(Value::Array(list)) => list.clone(),
        Some(Value::String(text)) => serde_json::from_str(text).map_err(|_| unread())?,
        _ => return Err(unread()),
    };
    let step = |step: &Value| {
        let category = step.get("id").and_then(as_number).ok_or_else(unread)?;
        let missing = || {
            Refusal::failed(format!(
                "Could not find category ID '{category}' on the node"
            ))
        };
        let applied = source.get(&category).ok_or_else(missing)?.clone();
        let action = step.get("action").and_then(as_text);
        let action = action.unwrap_or_else(|| "add_upgrade".to_owned());
        match ACTIONS.contains(&action.as_str()) {
            true => Ok(Step {
                category,
                action,
                applied,
            }),
            false => Err(Refusal::failed("Invalid specification.")),
        }
    };
    list.iter().map(step).collect()
}

/// `POST …/categories/apply`: the node's categories on everything below it.
pub(in super::super) fn apply(world: &mut World, call: &Call, id: i64) -> Outcome {
    let node = node(world, call, id)?;
    let source = node.categories.clone();
    let container = node.container();
    lacking(world, call.user, id, Rights::ATTRIBUTES, "categories-apply")?;
    if !container {
        return Err(Refusal::action("categories-apply"));
    }
    let flag = |key: &str, feature: &str| match call.arguments.flag(key) {
        Ok(flag) => Ok(flag.unwrap_or(false)),
        Err(_) => Err(Refusal::failed(format!(
            "Could not set feature {feature}, value must be a Boolean"
        ))),
    };
    let clear = flag("clear_existing_categories", "Clear Existing Categories")?;
    let add_version = flag("add_version", "Add Version")?;
    let steps = steps(call, &source)?;
    let (mut processed, mut skipped) = (0, 0);
    for below in world.tree.reach(id, 1) {
        let may = world.rights(call.user, below).has(Rights::ATTRIBUTES);
        let free = world
            .free(call.user, below, Deed::Edit, "categories-apply")
            .is_ok();
        if !may || !free {
            skipped += 1;
            continue;
        }
        if add_version {
            versions::repeat(world, call, below);
        }
        let Some(node) = world.tree.get_mut(below) else {
            continue;
        };
        if clear {
            node.categories.clear();
        }
        for step in &steps {
            let own = &mut node.categories;
            match step.action.as_str() {
                "replace" => drop(own.insert(step.category, step.applied.clone())),
                "delete" => drop(own.remove(&step.category)),
                "none" | "upgrade" => {}
                _ => {
                    own.entry(step.category)
                        .or_insert_with(|| step.applied.clone());
                }
            }
        }
        node.touch(call.user, call.now);
        processed += 1;
    }
    world.record(
        call,
        "category",
        Some(id),
        json!({"applied_below": processed}),
    );
    Ok(call.results(json!({"message": "", "processed": processed, "skipped": skipped})))
}

/// `POST /v1/validation/nodes/categories/enforcement`: nodes with categories that require values.
pub(in super::super) fn enforcement(world: &mut World, call: &Call) -> Outcome {
    let ids = call.arguments.numbers("ids");
    let ids = ids.map_err(|_| Refusal::bad("Body Parameter 'ids' is invalid"))?;
    let ids = ids.ok_or_else(|| Refusal::bad("Body Parameter 'ids' is missing"))?;
    let mut rows = Vec::new();
    for id in ids {
        let node = world.seen(call.user, id)?;
        if known(world, &node.categories).any(|(definition, _)| definition.requires()) {
            rows.push(json!({"id": id}));
        }
    }
    Ok(Answer::Json(json!({"results": rows})))
}
