//! Plain classifications of nodes, and what is classified.

use serde_json::{Map, Value, json};

use super::answer::{Answer, Outcome, Refusal, records_done};
use super::arguments::as_number;
use super::call::Call;
use super::nodes::{CLASSIFICATION, RECORDS_CLASS, listed};
use super::permissions::{Rights, lacking};
use super::records;
use super::world::World;

/// Rows of a page, unasked.
const PAGE: u32 = 25;

/// Whether `class` is a classification of that subtype which the caller sees. No source quotes the
/// refusals: a node that is missing or hidden is refused as any other, and one of another kind as
/// an operation that its type does not have.
pub(super) fn known(
    world: &World,
    call: &Call,
    class: i64,
    subtype: i64,
    action: &str,
) -> Result<(), Refusal> {
    match world.seen(call.user, class)?.subtype == subtype {
        true => Ok(()),
        false => Err(Refusal::action(action)),
    }
}

fn all_known(world: &World, call: &Call, classes: &[i64]) -> Result<(), Refusal> {
    classes
        .iter()
        .try_for_each(|class| known(world, call, *class, CLASSIFICATION, "classify"))
}

/// The classifications that a new node is to have by `roles.classifications`
/// (`{"create_id":[],"id":[55]}`), beside those that its container hands down.
pub(super) fn of_role(
    world: &World,
    call: &Call,
    parent: i64,
    roles: &Map<String, Value>,
) -> Result<Vec<i64>, Refusal> {
    let asked = roles.get("classifications").and_then(|role| role.get("id"));
    let ids = match asked {
        Some(Value::Array(ids)) => ids.iter().filter_map(as_number).collect(),
        Some(one) => as_number(one).into_iter().collect(),
        None => Vec::new(),
    };
    all_known(world, call, &ids)?;
    let above = world
        .tree
        .get(parent)
        .filter(|node| node.classes_handed_down);
    let mut all = above.map_or_else(Vec::new, |node| node.classifications.clone());
    all.extend(ids);
    let mut unique = Vec::new();
    for class in all {
        if !unique.contains(&class) {
            unique.push(class);
        }
    }
    Ok(unique)
}

fn node<'a>(world: &'a World, call: &Call, id: i64) -> Result<&'a super::nodes::Node, Refusal> {
    let missing = || Refusal::bad(format!("Could not get node for {id}"));
    world.visible(call.user, id).ok_or_else(missing)
}

/// `GET /v1/nodes/{id}/classifications`.
pub(super) fn browse(world: &mut World, call: &Call, id: i64) -> Outcome {
    let own = node(world, call, id)?;
    let row = |class: &i64| {
        let name = world
            .tree
            .get(*class)
            .map_or_else(|| class.to_string(), |node| node.name.clone());
        json!({"id": class, "name": name, "type": CLASSIFICATION, "selectable": true, "management_type": "manual",
            "score": null, "inherit_flag": own.classes_handed_down, "classvolumeid": null, "parent_managed": null})
    };
    let rows: Vec<_> = own.classifications.iter().map(row).collect();
    let may = world.rights(call.user, id).has(Rights::ATTRIBUTES);
    let volume = world.tree.volume(198).map(|node| node.id);
    Ok(Answer::Json(json!({
        "bCanApplyClass": may, "bCanRemoveClass": may, "canModify": may, "classVolumeID": volume, "data": rows,
        "definitions": {}, "definitions_map": {"name": ["menu"]}, "definitions_order": ["name"],
    })))
}

/// `POST /v1/nodes/{id}/classifications`: the list replaces what was there.
pub(super) fn classify(world: &mut World, call: &Call, id: i64) -> Outcome {
    node(world, call, id)?;
    lacking(world, call.user, id, Rights::ATTRIBUTES, "classify")?;
    let classes = call.arguments.numbers("class_id")?;
    let classes = classes.ok_or_else(|| Refusal::bad("Missing required parameter"))?;
    all_known(world, call, &classes)?;
    let below = call.arguments.flag("apply_to_sub_items")?.unwrap_or(false);
    let handed_down = call.arguments.flag("inherit_flag")?;
    set(world, call, id, below, |node| {
        node.classifications.clone_from(&classes);
        node.classes_handed_down = handed_down.unwrap_or(node.classes_handed_down);
    });
    world.record(call, "classify", Some(id), json!({"classes": classes}));
    Ok(records_done(0))
}

/// Changes a node, and with `below` everything below it that the caller may change.
fn set(
    world: &mut World,
    call: &Call,
    id: i64,
    below: bool,
    change: impl Fn(&mut super::nodes::Node),
) {
    for id in world.tree.reach(id, if below { 2 } else { 0 }) {
        if world.rights(call.user, id).has(Rights::ATTRIBUTES)
            && let Some(node) = world.tree.get_mut(id)
        {
            change(node);
        }
    }
}

/// `DELETE /v1/nodes/{id}/classifications/{class}`, and without a class all of them.
pub(super) fn unclassify(world: &mut World, call: &Call, id: i64, class: Option<i64>) -> Outcome {
    node(world, call, id)?;
    lacking(world, call.user, id, Rights::ATTRIBUTES, "unclassify")?;
    set(world, call, id, false, |node| {
        node.classifications
            .retain(|other| class.is_some_and(|class| class != *other));
    });
    world.record(call, "classify", Some(id), json!({"removed": class}));
    Ok(records_done(0))
}

/// `POST /v1/rmclassifications/batchAddClassification` and `batchRemoveClassification`: of either
/// kind.
pub(super) fn batch(world: &mut World, call: &Call, on: bool) -> Outcome {
    let ids = call.arguments.numbers("ids")?.unwrap_or_default();
    let class = call.arguments.number("classID")?;
    let (Some(class), false) = (class, ids.is_empty()) else {
        return Err(Refusal::new(404, "ID is not specified"));
    };
    let of_records = world.seen(call.user, class)?.subtype == RECORDS_CLASS;
    if !of_records {
        known(world, call, class, CLASSIFICATION, "classify")?;
    }
    for id in &ids {
        node(world, call, *id)?;
        lacking(world, call.user, *id, Rights::ATTRIBUTES, "classify")?;
    }
    for id in ids {
        match (of_records, on) {
            (true, true) => records::declare_as(world, call, id, class)?,
            (true, false) => records::undeclare_as(world, call, id, class)?,
            (false, on) => {
                if let Some(node) = world.tree.get_mut(id) {
                    node.classifications.retain(|other| *other != class);
                    node.classifications.extend(on.then_some(class));
                }
                let detail = json!({"class": class, "on": on});
                world.record(call, "classify", Some(id), detail);
            }
        }
    }
    Ok(records_done(0))
}

/// `GET /v2/classifieditems/{id}` and `/page`: what has a classification of either kind.
pub(super) fn items(world: &mut World, call: &Call, class: i64) -> Outcome {
    let own = node(world, call, class)?;
    if ![CLASSIFICATION, RECORDS_CLASS].contains(&own.subtype) {
        return Err(Refusal::bad(format!("Could not get node for {class}")));
    }
    let classified = world.tree.iter().filter(|node| {
        node.classifications.contains(&class)
            || node
                .record
                .as_ref()
                .is_some_and(|record| record.is_of(class))
    });
    let ids: Vec<i64> = classified.map(|node| node.id).collect();
    let above = world.tree.ancestors(class);
    let ancestors = listed(world, call, &above[..above.len().saturating_sub(1)]);
    let page = call.page_of(PAGE, world.config.page_limit)?;
    let rows = listed(world, call, &ids);
    let total = rows.len();
    let rows: Vec<_> = rows
        .into_iter()
        .skip(page.skip())
        .take(page.limit)
        .collect();
    Ok(Answer::Json(json!({
        "collection": {"paging": page.paging(total, &call.href)},
        "results": {"ancestors": ancestors, "contents": rows},
    })))
}
