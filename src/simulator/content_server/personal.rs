//! What a user has at hand: favorites in tabs, reserved and recent nodes.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::answer::{Outcome, Refusal, list};
use super::call::Call;
use super::nodes::{Node, node_data, order};
use super::world::World;

/// Rows of a page, unasked and at most.
const PAGE: (u32, u32) = (25, 100);
/// Most nodes that are remembered as recent, and most containers.
const RECENT: usize = 25;
const TARGETS: usize = 15;

/// One favorite: its own name, its place, its tab.
#[derive(Clone, Default)]
struct Favorite {
    name: Option<String>,
    order: i64,
    tab: Option<i64>,
}

/// The favorites of one user by node, and the tabs by id: name and place.
#[derive(Default)]
struct Shelf {
    favorites: BTreeMap<i64, Favorite>,
    tabs: BTreeMap<i64, (String, i64)>,
}

/// The favorites of all users.
#[derive(Default)]
pub(super) struct Favorites(BTreeMap<i64, Shelf>);

impl Favorites {
    /// Whether a node is a favorite of a user.
    pub(super) fn has(&self, user: i64, node: i64) -> bool {
        let shelf = self.0.get(&user);
        shelf.is_some_and(|shelf| shelf.favorites.contains_key(&node))
    }
}

/// Carries out `/v2/members/favorites…`.
pub(super) fn route(world: &mut World, call: &Call, path: &[&str]) -> Outcome {
    let number = |text: &str, feature: &str| -> Result<i64, Refusal> {
        let wrong = || {
            Refusal::failed(format!(
                "Could not set feature {feature}, value must be a Integer"
            ))
        };
        text.parse().map_err(|_| wrong())
    };
    let tab = |text: &str| -> Result<i64, Refusal> {
        text.parse()
            .map_err(|_| Refusal::failed("Invalid value for tabID"))
    };
    match (call.method.as_str(), path) {
        ("GET", []) => favorites(world, call, |_| true),
        ("GET", ["tabs"]) => tabs(world, call),
        ("POST", ["tabs"]) => add_tab(world, call),
        ("GET", ["tabs", "unsorted", "nodes"]) => favorites(world, call, |tab| tab.is_none()),
        ("GET", ["tabs", id, "nodes"]) => {
            let id = tab(id)?;
            favorites(world, call, move |tab| tab == Some(id))
        }
        ("PUT", ["tabs", id]) => change_tab(world, call, number(id, "Tab ID")?),
        ("DELETE", ["tabs", id]) => remove_tab(world, call, number(id, "Tab ID")?),
        ("POST", [id]) => add(world, call, number(id, "Node ID")?),
        ("PUT", [id]) => change(world, call, number(id, "Node ID")?),
        ("DELETE", [id]) => {
            let id = number(id, "Node ID")?;
            shelf(world, call).favorites.remove(&id);
            Ok(call.done())
        }
        _ => Err(Refusal::unmapped()),
    }
}

fn shelf<'a>(world: &'a mut World, call: &Call) -> &'a mut Shelf {
    world.favorites.0.entry(call.user).or_default()
}

/// The caller's favorites in the tabs that are wanted.
fn favorites(world: &World, call: &Call, wanted: impl Fn(Option<i64>) -> bool) -> Outcome {
    let empty = Shelf::default();
    let shelf = world.favorites.0.get(&call.user).unwrap_or(&empty);
    let all = shelf.favorites.iter().filter(|(_, own)| wanted(own.tab));
    let nodes = all.filter_map(|(id, _)| world.visible(call.user, *id));
    let sort = call.arguments.text("sort").unwrap_or_default();
    let (descending, key) = match sort.split_once('_') {
        Some(("desc", key)) => (true, key),
        Some(("asc", key)) => (false, key),
        _ => (false, sort.as_str()),
    };
    let mut nodes: Vec<&Node> = nodes.collect();
    let own = |node: &Node| shelf.favorites.get(&node.id).cloned().unwrap_or_default();
    match key {
        "" | "order" => nodes.sort_by_key(|node| own(node).order),
        "tab_id" => nodes.sort_by_key(|node| own(node).tab),
        "name" => nodes.sort_by_key(|node| node.name.to_lowercase()),
        _ => return Err(Refusal::failed("Invalid value for sort")),
    }
    if descending {
        nodes.reverse();
    }
    page(world, call, nodes, |node, row| {
        let own = own(node);
        row["data"]["favorites"] = json!({
            "name": own.name.as_deref().unwrap_or(&node.name), "order": own.order, "tab_id": own.tab,
        });
    })
}

/// A page of nodes whose names have the part asked for.
fn page(
    world: &World,
    call: &Call,
    mut nodes: Vec<&Node>,
    more: impl Fn(&Node, &mut Value),
) -> Outcome {
    for (key, feature) in [("limit", "Page Size"), ("page", "Page Number")] {
        if let Some(value) = call.arguments.number(key)?.filter(|value| *value < 1) {
            return Err(Refusal::failed(format!(
                "Could not set feature {feature}, the value {value} is less than the minimum value (1)"
            )));
        }
    }
    let name = call.arguments.text("where_name").unwrap_or_default();
    let name = name.to_lowercase();
    nodes.retain(|node| node.name.to_lowercase().contains(&name));
    let page = call.page_of(PAGE.0, PAGE.1)?;
    let total = nodes.len();
    let rows = nodes.into_iter().skip(page.skip()).take(page.limit);
    let rows = rows.map(|node| {
        let mut row = node_data(world, call, node);
        more(node, &mut row);
        row
    });
    let sort = call.arguments.text("sort");
    Ok(list(
        &call.href,
        rows.collect(),
        page,
        total,
        sort.as_deref(),
    ))
}

/// `POST …/favorites/{id}`.
fn add(world: &mut World, call: &Call, id: i64) -> Outcome {
    world
        .visible(call.user, id)
        .ok_or_else(|| Refusal::inaccessible(500))?;
    let shelf = shelf(world, call);
    let order = i64::try_from(shelf.favorites.len()).unwrap_or(i64::MAX);
    let new = Favorite {
        order,
        ..Favorite::default()
    };
    shelf.favorites.entry(id).or_insert(new);
    Ok(call.done())
}

/// `PUT …/favorites/{id}`.
fn change(world: &mut World, call: &Call, id: i64) -> Outcome {
    if call.arguments.is_empty() {
        return Err(Refusal::bad(
            "Parameters are required for PUT, POST, and PATCH methods",
        ));
    }
    let order = place(call)?;
    let tab = call.arguments.number("tab_id")?;
    let shelf = shelf(world, call);
    let known = tab.is_none_or(|tab| shelf.tabs.contains_key(&tab));
    let own = shelf.favorites.get_mut(&id).filter(|_| known);
    let own = own.ok_or_else(|| Refusal::failed("Invalid value for node ID"))?;
    own.order = order.unwrap_or(own.order);
    if let Some(name) = call.arguments.text("name") {
        own.name = Some(name);
    }
    if call.arguments.has("tab_id") {
        own.tab = tab;
    }
    Ok(call.done())
}

fn place(call: &Call) -> Result<Option<i64>, Refusal> {
    let order = call.arguments.number("order");
    order.map_err(|_| Refusal::failed("Invalid value for order"))
}

fn tab_row(id: i64, (name, order): &(String, i64)) -> Value {
    json!({"data": {"tabs": {"tab_id": id, "name": name, "order": order}}})
}

/// `GET …/favorites/tabs`.
fn tabs(world: &World, call: &Call) -> Outcome {
    let own = world.favorites.0.get(&call.user);
    let mut tabs: Vec<_> = own.into_iter().flat_map(|shelf| &shelf.tabs).collect();
    match call.arguments.text("sort").as_deref().unwrap_or("order") {
        "order" | "asc_order" => tabs.sort_by_key(|(_, (_, order))| *order),
        "desc_order" => tabs.sort_by_key(|(_, (_, order))| std::cmp::Reverse(*order)),
        "name" | "asc_name" => tabs.sort_by_key(|(_, (name, _))| name.to_lowercase()),
        "desc_name" => tabs.sort_by_key(|(_, (name, _))| std::cmp::Reverse(name.to_lowercase())),
        _ => return Err(Refusal::failed("Invalid value for sort")),
    }
    Ok(call.results(tabs.iter().map(|(id, tab)| tab_row(**id, tab)).collect()))
}

/// `POST …/favorites/tabs`.
fn add_tab(world: &mut World, call: &Call) -> Outcome {
    let name = call.arguments.text("name").filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| Refusal::failed("Argument 'name' is required"))?;
    let order = place(call)?;
    let id = world.id();
    let shelf = shelf(world, call);
    let last = i64::try_from(shelf.tabs.len()).unwrap_or(i64::MAX);
    let tab = (name, order.unwrap_or(last));
    let row = tab_row(id, &tab);
    shelf.tabs.insert(id, tab);
    Ok(call.results(row))
}

/// `PUT …/favorites/tabs/{id}`.
fn change_tab(world: &mut World, call: &Call, id: i64) -> Outcome {
    if call.arguments.is_empty() {
        return Err(Refusal::bad(
            "Parameters are required for PUT, POST, and PATCH methods",
        ));
    }
    let order = place(call)?;
    let tab = shelf(world, call).tabs.get_mut(&id);
    let tab = tab.ok_or_else(|| Refusal::failed("Invalid value for tab ID"))?;
    if let Some(name) = call.arguments.text("name") {
        tab.0 = name;
    }
    tab.1 = order.unwrap_or(tab.1);
    Ok(call.done())
}

/// `DELETE …/favorites/tabs/{id}`, with the favorites in it.
fn remove_tab(world: &mut World, call: &Call, id: i64) -> Outcome {
    let shelf = shelf(world, call);
    if shelf.tabs.remove(&id).is_none() {
        return Err(Refusal::failed("Invalid Value For tab ID"));
    }
    shelf.favorites.retain(|_, own| own.tab != Some(id));
    Ok(call.done())
}

/// `GET /v2/members/reserved`: what the caller has reserved.
pub(super) fn reserved(world: &World, call: &Call) -> Outcome {
    let own = |node: &&Node| node.reserved.is_some_and(|(user, _)| user == call.user);
    let mut nodes: Vec<&Node> = world.tree.iter().filter(own).collect();
    sorted(world, call, &mut nodes)?;
    page(world, call, nodes, |_, _| {})
}

fn sorted(world: &World, call: &Call, nodes: &mut [&Node]) -> Result<(), Refusal> {
    match call.arguments.text("sort") {
        Some(sort) => order(world, nodes, &sort),
        None => Ok(()),
    }
}

/// The nodes that the caller changed, the last first, each once.
fn recent(world: &World, user: i64) -> impl Iterator<Item = &Node> {
    let mut seen = BTreeSet::new();
    let own = world
        .history
        .iter()
        .rev()
        .filter(move |event| event.user == user);
    let ids = own.filter_map(|event| event.node);
    ids.filter(move |id| seen.insert(*id))
        .filter_map(move |id| world.visible(user, id))
}

/// `GET /v2/members/accessed`: here, what the caller changed lately.
pub(super) fn accessed(world: &World, call: &Call) -> Outcome {
    let kinds = call.arguments.numbers("where_type")?;
    let parent = call.arguments.number("where_parent_id")?;
    let wanted = |node: &&Node| {
        kinds
            .as_ref()
            .is_none_or(|kinds| kinds.contains(&node.subtype))
            && parent.is_none_or(|parent| world.tree.inside(node.id, parent))
    };
    let nodes = recent(world, call.user).filter(wanted);
    let mut nodes: Vec<&Node> = nodes.take(RECENT).collect();
    sorted(world, call, &mut nodes)?;
    page(world, call, nodes, |_, _| {})
}

/// `GET /v2/members/targets`: the containers of what the caller changed lately.
pub(super) fn targets(world: &World, call: &Call) -> Outcome {
    let mut seen = BTreeSet::new();
    let parents = recent(world, call.user).map(|node| node.parent);
    let parents = parents.filter(|id| seen.insert(*id));
    let nodes = parents.filter_map(|id| world.visible(call.user, id));
    page(world, call, nodes.take(TARGETS).collect(), |_, _| {})
}
