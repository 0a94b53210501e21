//! Categories: definitions with attributes, and their values on nodes.
//!
//! The interface is flat on v2 nodes (`{cat}_{attr}` keys) and nested per category on v1 and on
//! workspaces; both are read here into the same values.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::answer::{Answer, Outcome, Refusal};
use super::arguments::{as_number, as_text};
use super::call::Call;
use super::nodes::Node;
use super::permissions::{Rights, lacking};
use super::world::{Deed, World};

/// Longest text value unless the attribute says otherwise.
const TEXT: usize = 254;

/// What an attribute holds.
#[derive(Clone, Debug, PartialEq)]
pub enum AttributeKind {
    /// One line of text.
    Text,
    /// A whole number.
    Integer,
    /// A date, with or without a time.
    Date,
    /// Yes or no.
    Boolean,
    /// The id of a member.
    User,
    /// Rows of attributes; the numbers of its members are theirs alone.
    Set(Vec<Attribute>),
}

/// An attribute of a category, for
/// [`ContentServer::add_category`](super::ContentServer::add_category).
#[derive(Clone, Debug, PartialEq)]
pub struct Attribute {
    /// Its number within the category, from 2.
    pub id: i64,
    /// Name for people.
    pub name: String,
    /// What it holds.
    pub kind: AttributeKind,
    /// May not stay empty.
    pub required: bool,
    /// Takes several values.
    pub multiple: bool,
    /// Longest text value, in characters.
    pub max_length: Option<usize>,
    /// Value when none is given.
    pub default: Value,
}

impl Attribute {
    /// An optional single-value attribute.
    pub fn new(id: i64, name: &str, kind: AttributeKind) -> Self {
        Self {
            id,
            name: name.to_owned(),
            kind,
            required: false,
            multiple: false,
            max_length: None,
            default: Value::Null,
        }
    }

    /// The same, required.
    #[must_use]
    pub fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// The same, with several values.
    #[must_use]
    pub fn multiple(mut self) -> Self {
        self.multiple = true;
        self
    }
}

/// A category.
#[derive(Clone)]
pub(super) struct Definition {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) attributes: Vec<Attribute>,
}

/// A category on a node.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Applied {
    /// Values by key.
    values: BTreeMap<String, Value>,
    revision: u64,
    /// New children get it too.
    inherited: bool,
}

/// Values per category, as a caller sent them.
type Sent = BTreeMap<i64, Map<String, Value>>;

/// A token that changes with `revision`.
pub(super) fn token_of(of: &[i64], revision: u64) -> String {
    let mut hasher = Sha256::new();
    for id in of {
        hasher.update(id.to_be_bytes());
    }
    hasher.update(revision.to_be_bytes());
    hex::encode(&hasher.finalize()[..16])
}

/// The token of a category's values on a node.
pub(super) fn token(node: i64, category: i64, applied: &Applied) -> String {
    token_of(&[node, category], applied.revision)
}

/// Where a key points to in a definition.
enum Target<'a> {
    /// `{cat}_1`: the token, or "apply with defaults".
    Pseudo,
    /// An attribute, of a set when a row is named.
    Attribute(&'a Attribute, String),
    /// `{cat}_{set}_{row}`: the row is taken away.
    Row(String),
}

fn target<'a>(definition: &'a Definition, key: &str) -> Option<Target<'a>> {
    let plain = key.strip_suffix("_multilingual").unwrap_or(key);
    let mut numbers = plain.split('_').map(str::parse::<i64>);
    let mut next = || numbers.next().and_then(Result::ok);
    if next()? != definition.id {
        return None;
    }
    let (first, row, member, rest) = (next()?, next(), next(), next());
    let attribute = definition
        .attributes
        .iter()
        .find(|attribute| attribute.id == first);
    match (attribute, row, member, rest) {
        (_, None, None, None) if first == 1 => Some(Target::Pseudo),
        (Some(attribute), None, None, None) if !matches!(attribute.kind, AttributeKind::Set(_)) => {
            Some(Target::Attribute(attribute, plain.to_owned()))
        }
        (Some(set), Some(row), None, None)
            if row > 0 && matches!(set.kind, AttributeKind::Set(_)) =>
        {
            Some(Target::Row(plain.to_owned()))
        }
        (Some(set), Some(row), Some(member), None) if row > 0 => match &set.kind {
            AttributeKind::Set(members) => {
                let member = members.iter().find(|attribute| attribute.id == member)?;
                Some(Target::Attribute(member, plain.to_owned()))
            }
            _ => None,
        },
        _ => None,
    }
}

/// One value as the attribute keeps it.
fn scalar(attribute: &Attribute, value: &Value) -> Result<Value, Refusal> {
    let invalid = || Refusal::failed("Invalid attribute entry found");
    let text = match value {
        Value::Null => return Ok(Value::Null),
        value => as_text(value).ok_or_else(invalid)?,
    };
    if text.is_empty() {
        return Ok(Value::Null);
    }
    match attribute.kind {
        AttributeKind::Text => {
            let most = attribute.max_length.unwrap_or(TEXT);
            match text.chars().count() > most {
                true => Err(Refusal::bad(format!(
                    "Could not set attribute '{}', the length of the value is greater than the maximum length ({most})",
                    attribute.name
                ))),
                false => Ok(text.into()),
            }
        }
        AttributeKind::Integer | AttributeKind::User => text
            .trim()
            .parse::<i64>()
            .map(Value::from)
            .map_err(|_| invalid()),
        AttributeKind::Boolean => match text.to_ascii_lowercase().as_str() {
            "true" | "1" => Ok(true.into()),
            "false" | "0" => Ok(false.into()),
            _ => Err(invalid()),
        },
        AttributeKind::Date => {
            let bare = text.trim_end_matches('Z');
            let time = bare.parse::<jiff::civil::DateTime>().or_else(|_| {
                let date = bare.parse::<jiff::civil::Date>();
                date.map(|date| date.to_datetime(jiff::civil::Time::midnight()))
            });
            let time = time.map_err(|_| invalid())?;
            Ok(time.strftime("%Y-%m-%dT%H:%M:%S").to_string().into())
        }
        AttributeKind::Set(_) => Err(invalid()),
    }
}

fn checked(attribute: &Attribute, value: &Value) -> Result<Value, Refusal> {
    // Multilingual values count by their English text here.
    let value = value.get("en").unwrap_or(value);
    match (value, attribute.multiple) {
        (Value::Array(list), true) => list.iter().map(|value| scalar(attribute, value)).collect(),
        (Value::Array(list), false) if list.len() > 1 => {
            Err(Refusal::failed("Invalid attribute entry found"))
        }
        (Value::Array(list), false) => scalar(attribute, list.first().unwrap_or(&Value::Null)),
        (value, true) => Ok(Value::Array(vec![scalar(attribute, value)?])),
        (value, false) => scalar(attribute, value),
    }
}

fn empty(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => true,
        Some(Value::Array(list)) => list.iter().all(|value| empty(Some(value))),
        Some(Value::String(text)) => text.is_empty(),
        Some(_) => false,
    }
}

/// `before` with what was sent on top; with `complete`, required attributes have to be filled.
fn merged(
    definition: &Definition,
    before: Option<&Applied>,
    sent: &Map<String, Value>,
    complete: bool,
) -> Result<Applied, Refusal> {
    let mut applied = before.cloned().unwrap_or_else(|| {
        let mut applied = Applied {
            inherited: true,
            ..Applied::default()
        };
        for attribute in &definition.attributes {
            if !attribute.default.is_null() {
                applied.values.insert(
                    format!("{}_{}", definition.id, attribute.id),
                    attribute.default.clone(),
                );
            }
        }
        applied
    });
    applied.revision += 1;
    for (key, value) in sent {
        match target(definition, key) {
            Some(Target::Pseudo) => {}
            Some(Target::Attribute(attribute, key)) => {
                applied.values.insert(key, checked(attribute, value)?);
            }
            Some(Target::Row(row)) => {
                let prefix = format!("{row}_");
                applied.values.retain(|key, _| !key.starts_with(&prefix));
            }
            None => {
                return Err(Refusal::bad(format!(
                    "Category ID '{}' was specified for Categories Update, but a non-matching attribute ('{key}') was found",
                    definition.id
                )));
            }
        }
    }
    let lacks = |attribute: &&Attribute| {
        let key = format!("{}_{}", definition.id, attribute.id);
        attribute.required && empty(applied.values.get(&key))
    };
    match definition.attributes.iter().find(lacks) {
        Some(attribute) if complete => Err(Refusal::bad(format!(
            "A value is required for the attribute '{}' of the category '{}'.",
            attribute.name, definition.name
        ))),
        _ => Ok(applied),
    }
}

/// Sorts what a caller sent by category: flat on v2, nested on v1.
fn sort(call: &Call, strict: bool, categories: Option<&Value>) -> Result<Sent, Refusal> {
    let invalid = || Refusal::failed("Invalid attribute entry found");
    let mut sent = Sent::new();
    let members = match categories {
        None | Some(Value::Null) => return Ok(sent),
        Some(Value::Object(members)) => members,
        Some(_) => return Err(Refusal::bad("Body parameter is invalid")),
    };
    for (key, value) in members.iter().filter(|(key, _)| *key != "inheritance") {
        let (category, flat) = key
            .split_once('_')
            .map_or((key.as_str(), false), |(category, _)| (category, true));
        let category: i64 = category.parse().map_err(|_| invalid())?;
        let values = sent.entry(category).or_default();
        match value {
            _ if flat && (!call.v1 || !strict) => {
                values.insert(key.clone(), value.clone());
            }
            Value::Object(inner) if !flat && (call.v1 || !strict) => values.extend(inner.clone()),
            _ => return Err(invalid()),
        }
    }
    Ok(sent)
}

fn definition(world: &World, id: i64) -> Result<&Definition, Refusal> {
    let refusal = || Refusal::bad("No permissions to access the attribute definition node");
    world.definitions.get(&id).ok_or_else(refusal)
}

/// What a container passes on to a new child.
fn passed_on(world: &World, parent: i64) -> BTreeMap<i64, Applied> {
    let applied = world.tree.get(parent).map(|node| &node.categories);
    let passed = applied
        .into_iter()
        .flatten()
        .filter(|(_, applied)| applied.inherited);
    passed.map(|(id, applied)| (*id, applied.clone())).collect()
}

fn with(
    world: &World,
    mut base: BTreeMap<i64, Applied>,
    sent: &Sent,
) -> Result<BTreeMap<i64, Applied>, Refusal> {
    for (id, values) in sent {
        let applied = merged(definition(world, *id)?, base.get(id), values, true)?;
        base.insert(*id, applied);
    }
    for (id, applied) in &base {
        merged(definition(world, *id)?, Some(applied), &Map::new(), true)?;
    }
    Ok(base)
}

/// The categories of a new node: the container's and those sent.
pub(super) fn for_new(
    world: &World,
    call: &Call,
    parent: i64,
    categories: Option<&Value>,
) -> Result<BTreeMap<i64, Applied>, Refusal> {
    let sent = sort(call, world.config.strict, categories)?;
    with(world, passed_on(world, parent), &sent)
}

/// Categories of a workspace: nested, whatever the version of the interface.
pub(super) fn for_workspace(
    world: &World,
    call: &Call,
    parent: i64,
    categories: Option<&Value>,
) -> Result<BTreeMap<i64, Applied>, Refusal> {
    let sent = sort(call, false, categories)?;
    with(world, passed_on(world, parent), &sent)
}

/// The categories of a copy. `inheritance`: 0 the original's, 1 the destination's, 2 both.
pub(super) fn for_copy(
    world: &World,
    call: &Call,
    source: &Node,
    parent: i64,
    categories: Option<&Value>,
) -> Result<BTreeMap<i64, Applied>, Refusal> {
    let sent = sort(call, world.config.strict, categories)?;
    let mode = categories
        .and_then(|categories| categories.get("inheritance"))
        .and_then(as_number);
    let base = match mode {
        Some(1) => passed_on(world, parent),
        Some(2) => {
            let mut base = passed_on(world, parent);
            base.extend(source.categories.clone());
            base
        }
        _ => source.categories.clone(),
    };
    with(world, base, &sent)
}

/// The categories of a node that is moved or gets a version; `None` when nothing was said.
pub(super) fn for_move(
    world: &World,
    call: &Call,
    id: i64,
    parent: i64,
    categories: Option<&Value>,
) -> Result<Option<BTreeMap<i64, Applied>>, Refusal> {
    match (categories, world.tree.get(id)) {
        (Some(_), Some(node)) => for_copy(world, call, node, parent, categories).map(Some),
        _ => Ok(None),
    }
}

/// Every attribute's value of a category on a node.
fn values(definition: &Definition, applied: &Applied) -> Value {
    let mut values = Map::new();
    for attribute in &definition.attributes {
        let key = format!("{}_{}", definition.id, attribute.id);
        if !matches!(attribute.kind, AttributeKind::Set(_)) {
            let missing = if attribute.multiple {
                json!([])
            } else {
                Value::Null
            };
            values.insert(
                key.clone(),
                applied.values.get(&key).cloned().unwrap_or(missing),
            );
            continue;
        }
        let prefix = format!("{key}_");
        let rows = applied
            .values
            .iter()
            .filter(|(key, _)| key.starts_with(&prefix));
        values.extend(rows.map(|(key, value)| (key.clone(), value.clone())));
    }
    Value::Object(values)
}

fn entry(definition: &Definition, attribute: &Attribute, key: &str) -> Value {
    let (persona, kind, number) = match attribute.kind {
        AttributeKind::Text => ("categoryattribute", "String", -1),
        AttributeKind::Integer => ("categoryattribute", "Integer", 2),
        AttributeKind::Date => ("categoryattribute", "Date", -7),
        AttributeKind::Boolean => ("categoryattribute", "Boolean", 5),
        AttributeKind::User => ("user", "Integer", 2),
        AttributeKind::Set(_) => ("set", "Assoc", -18),
    };
    let length = match attribute.kind {
        AttributeKind::Text => json!(attribute.max_length.unwrap_or(TEXT)),
        _ => Value::Null,
    };
    json!({
        "allow_undefined": false, "bulk_shared": false, "default_value": attribute.default, "description": null,
        "hidden": false, "key": key, "key_value_pairs": false, "max_length": length, "min_length": null,
        "multi_select": false, "multi_value": attribute.multiple, "multi_value_length_default": 1,
        "multi_value_length_fixed": !attribute.multiple, "multi_value_length_max": if attribute.multiple { 50 } else { 1 },
        "multi_value_max_length": null, "multi_value_min_length": null, "multi_value_unique": false,
        "multiline": false, "multilingual": false, "name": attribute.name, "password": false, "persona": persona,
        "read_only": false, "regex": "", "required": attribute.required, "type": number, "type_name": kind,
        "valid_values": [], "valid_values_name": [], "category": definition.id,
    })
}

/// The definitions of a category, by key; the category itself first.
fn definitions(definition: &Definition) -> Value {
    let next = definition
        .attributes
        .iter()
        .map(|attribute| attribute.id)
        .max()
        .unwrap_or(1)
        + 1;
    let mut entries = Map::new();
    entries.insert(
        definition.id.to_string(),
        json!({
            "allow_undefined": false, "bulk_shared": false, "default_value": null, "description": null, "hidden": false,
            "key": definition.id.to_string(), "key_value_pairs": false, "multi_value": false,
            "multi_value_length_default": 1, "multi_value_length_fixed": true, "multi_value_length_max": 1,
            "multi_value_max_length": null, "multi_value_min_length": null, "multi_value_unique": false,
            "name": definition.name, "next_id": next, "persona": "category", "read_only": true, "required": false,
            "type": -18, "type_name": "Assoc", "valid_values": [], "valid_values_name": [],
        }),
    );
    for attribute in &definition.attributes {
        let key = format!("{}_{}", definition.id, attribute.id);
        if let AttributeKind::Set(members) = &attribute.kind {
            for member in members {
                let key = format!("{key}_x_{}", member.id);
                entries.insert(key.clone(), entry(definition, member, &key));
            }
        }
        entries.insert(key.clone(), entry(definition, attribute, &key));
    }
    Value::Object(entries)
}

fn keys(definition: &Definition) -> Vec<String> {
    let key = |attribute: &Attribute| format!("{}_{}", definition.id, attribute.id);
    definition.attributes.iter().map(key).collect()
}

/// The lists for the `categories` section of a node answer: values and definitions.
pub(super) fn in_node(world: &World, node: &Node) -> (Vec<Value>, Vec<Value>) {
    let known = |(id, applied): (&i64, &Applied)| {
        let definition = world.definitions.get(id)?;
        Some((values(definition, applied), definitions(definition)))
    };
    node.categories.iter().filter_map(known).unzip()
}

/// The keys of each category on a node.
pub(super) fn map(world: &World, node: &Node) -> Value {
    let known = node
        .categories
        .keys()
        .filter_map(|id| world.definitions.get(id));
    Value::Object(
        known
            .map(|definition| (definition.id.to_string(), json!(keys(definition))))
            .collect(),
    )
}

/// One entry of the category calls.
fn row(call: &Call, definition: &Definition, applied: &Applied) -> Value {
    let id = definition.id.to_string();
    let mut row = json!({"data": {"categories": values(definition, applied)}});
    if call.shape.metadata {
        row["metadata"] = json!({"categories": definitions(definition)});
        row["metadata_map"] = json!({"categories": {&id: keys(definition)}});
        row["metadata_order"] = json!({"categories": [id]});
    }
    row
}

fn node<'a>(world: &'a World, call: &Call, id: i64) -> Result<&'a Node, Refusal> {
    let missing = || Refusal::failed(format!("Could not get a node for {id}"));
    world.visible(call.user, id).ok_or_else(missing)
}

/// `GET …/categories`.
pub(super) fn browse(world: &mut World, call: &Call, id: i64) -> Outcome {
    let node = node(world, call, id)?;
    let known = node
        .categories
        .iter()
        .filter_map(|(id, applied)| Some((world.definitions.get(id)?, applied)));
    if call.v1 {
        let row = |definition: &Definition| json!({"id": definition.id, "name": definition.name});
        return Ok(super::answer::v1(
            known.map(|(definition, _)| row(definition)).collect(),
        ));
    }
    Ok(call.results(
        known
            .map(|(definition, applied)| row(call, definition, applied))
            .collect(),
    ))
}

/// `GET …/categories/{cat}`.
pub(super) fn get(world: &mut World, call: &Call, id: i64, category: i64) -> Outcome {
    let node = node(world, call, id)?;
    let missing = || {
        Refusal::bad(format!(
            "Category ID '{category}' is not a category on node '{id}'"
        ))
    };
    let applied = node.categories.get(&category).ok_or_else(missing)?;
    let definition = definition(world, category)?;
    Ok(match call.v1 {
        true => super::answer::v1(values(definition, applied)),
        false => call.results(row(call, definition, applied)),
    })
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
pub(super) fn assign(world: &mut World, call: &Call, id: i64) -> Outcome {
    let node = node(world, call, id)?;
    lacking(world, call.user, id, Rights::ATTRIBUTES, "categories-add")?;
    world.free(call.user, id, Deed::Edit, "categories-add")?;
    let category = call.arguments.need_number("category_id")?;
    let definition = definition(world, category)?;
    if node.categories.contains_key(&category) {
        return Err(Refusal::bad(format!(
            "The attribute group '{}' already exists",
            definition.name
        )));
    }
    let applied = merged(definition, None, &sent(call, category), true)?;
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
pub(super) fn update(world: &mut World, call: &Call, id: i64, category: i64) -> Outcome {
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
    let applied = merged(definition(world, category)?, Some(before), &sent, true)?;
    let fresh = token(id, category, &applied);
    put(world, call, id, category, applied);
    Ok(match given {
        Some(_) => call.results(json!({"state": {"categories": {
            format!("{category}_1"): {"metadata_token": fresh}}}})),
        None => call.done(),
    })
}

/// `DELETE …/categories/{cat}`.
pub(super) fn remove(world: &mut World, call: &Call, id: i64, category: i64) -> Outcome {
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
pub(super) fn inheritance(
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
    let applied = world
        .tree
        .get_mut(id)
        .and_then(|node| node.categories.get_mut(&category));
    if let Some(applied) = applied {
        applied.inherited = on;
    }
    Ok(call.done())
}

/// `POST …/categories/apply`: the node's categories on everything below it.
pub(super) fn apply(world: &mut World, call: &Call, id: i64) -> Outcome {
    let node = node(world, call, id)?;
    let source = node.categories.clone();
    let list = match call.arguments.get("categories") {
        Some(Value::Array(list)) => list.clone(),
        Some(Value::String(text)) => serde_json::from_str(text).unwrap_or_default(),
        _ => Vec::new(),
    };
    let clear = call
        .arguments
        .flag("clear_existing_categories")?
        .unwrap_or(false);
    let mut steps = Vec::new();
    for step in &list {
        let category = step
            .get("id")
            .and_then(as_number)
            .ok_or_else(|| Refusal::datatype("categories"))?;
        let missing = || {
            Refusal::failed(format!(
                "Could not find category ID '{category}' on the node"
            ))
        };
        let applied = source.get(&category).ok_or_else(missing)?.clone();
        let action = step
            .get("action")
            .and_then(as_text)
            .unwrap_or_else(|| "add_upgrade".to_owned());
        steps.push((category, action, applied));
    }
    let (mut processed, mut skipped) = (0, 0);
    for below in world.tree.reach(id, 1) {
        let may = world.rights(call.user, below).has(Rights::ATTRIBUTES);
        let free = world
            .free(call.user, below, Deed::Edit, "categories-apply")
            .is_ok();
        let Some(node) = world.tree.get_mut(below).filter(|_| may && free) else {
            skipped += 1;
            continue;
        };
        if clear {
            node.categories.clear();
        }
        for (category, action, applied) in &steps {
            match action.as_str() {
                "replace" => drop(node.categories.insert(*category, applied.clone())),
                "delete" => drop(node.categories.remove(category)),
                "none" | "upgrade" => {}
                _ => drop(
                    node.categories
                        .entry(*category)
                        .or_insert_with(|| applied.clone()),
                ),
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

/// `GET /v1/forms/nodes/categories/create` and `/update`: the form of one category.
pub(super) fn form(world: &mut World, call: &Call) -> Outcome {
    let id = call.arguments.need_number("id")?;
    let node = node(world, call, id)?;
    let category = call.arguments.need_number("category_id")?;
    let missing = || Refusal::failed(format!("Category {category} has no version"));
    let definition = world.definitions.get(&category).ok_or_else(missing)?;
    let unset = Applied::default();
    let applied = node.categories.get(&category).unwrap_or(&unset);
    Ok(Answer::Json(
        json!({"forms": [form_of(definition, applied)]}),
    ))
}

/// `GET /v1/forms/nodes/create`: general properties, and the categories the container passes on.
pub(super) fn create_form(world: &mut World, call: &Call) -> Outcome {
    let parent = call.arguments.need_number("parent_id")?;
    let subtype = call.arguments.need_number("type")?;
    node(world, call, parent)?;
    let property = |kind: &str, title: &str, required: bool| json!({"type": kind, "title": title, "required": required, "readonly": false});
    let general = json!({
        "data": {"name": "", "description": "", "parent_id": parent, "type": subtype},
        "options": {"fields": {"name": {"label": "Name"}, "description": {"label": "Description"}}},
        "schema": {"type": "object", "properties": {
            "name": property("string", "Name", true), "description": property("string", "Description", false),
        }},
    });
    let mut forms = vec![general];
    for (id, applied) in passed_on(world, parent) {
        if let Some(definition) = world.definitions.get(&id) {
            forms.push(form_of(definition, &applied));
        }
    }
    Ok(Answer::Json(json!({"forms": forms})))
}

fn form_of(definition: &Definition, applied: &Applied) -> Value {
    let (fields, properties) = form_fields(&format!("{}", definition.id), &definition.attributes);
    json!({
        "data": values(definition, applied),
        "options": {"fields": fields, "form": {}},
        "schema": {"type": "object", "title": definition.name, "properties": properties},
    })
}

/// How attributes are shown and what they hold, by key.
fn form_fields(prefix: &str, attributes: &[Attribute]) -> (Map<String, Value>, Map<String, Value>) {
    let (mut fields, mut properties) = (Map::new(), Map::new());
    for attribute in attributes {
        let key = format!("{prefix}_{}", attribute.id);
        let mut field = json!({"label": attribute.name, "hidden": false});
        let mut holds = match &attribute.kind {
            AttributeKind::Integer => json!({"type": "integer"}),
            AttributeKind::User => {
                field["type"] = "otcs_user_picker".into();
                json!({"type": "integer"})
            }
            AttributeKind::Boolean => json!({"type": "boolean"}),
            AttributeKind::Text => json!({"type": "string"}),
            AttributeKind::Date => {
                field["type"] = "datetime".into();
                json!({"type": "string", "format": "datetime"})
            }
            AttributeKind::Set(members) => {
                let (shown, members) = form_fields(&format!("{key}_x"), members);
                field["fields"] = json!({"item": {"fields": shown}});
                json!({"type": "object", "properties": members})
            }
        };
        if let Some(most) = attribute.max_length {
            holds["maxLength"] = most.into();
        }
        let mut property = match (&attribute.kind, attribute.multiple) {
            (AttributeKind::Set(_), _) | (_, true) => json!({"type": "array", "items": holds}),
            _ => holds,
        };
        property["title"] = attribute.name.clone().into();
        property["required"] = attribute.required.into();
        property["readonly"] = false.into();
        fields.insert(key.clone(), field);
        properties.insert(key, property);
    }
    (fields, properties)
}

/// `POST /v1/validation/nodes/categories/enforcement`: nodes with empty required attributes.
pub(super) fn enforcement(world: &mut World, call: &Call) -> Outcome {
    let ids = call
        .arguments
        .numbers("ids")?
        .ok_or_else(|| Refusal::missing("ids"))?;
    let incomplete = |id: &i64| {
        let node = world.visible(call.user, *id)?;
        let lacks = |(id, applied): (&i64, &Applied)| {
            let definition = world.definitions.get(id)?;
            merged(definition, Some(applied), &Map::new(), true).err()
        };
        node.categories
            .iter()
            .find_map(lacks)
            .map(|_| json!({"id": id}))
    };
    let rows: Vec<_> = ids.iter().filter_map(incomplete).collect();
    Ok(Answer::Json(json!({"results": rows})))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn definition() -> Definition {
        Definition {
            id: 9830,
            name: "Media".to_owned(),
            attributes: vec![
                Attribute::new(2, "Title", AttributeKind::Text).required(),
                Attribute::new(3, "Released", AttributeKind::Date),
                Attribute::new(4, "Regions", AttributeKind::Text).multiple(),
                Attribute::new(
                    5,
                    "People",
                    AttributeKind::Set(vec![Attribute::new(6, "Age", AttributeKind::Integer)]),
                ),
            ],
        }
    }

    fn merge(before: Option<&Applied>, sent: Value) -> Result<Applied, Refusal> {
        merged(&definition(), before, sent.as_object().unwrap(), true)
    }

    #[test]
    fn values_are_checked_and_kept_by_key() {
        let applied = merge(
            None,
            json!({"9830_1": {}, "9830_2": "x", "9830_3": "2026-01-02", "9830_4": "DE", "9830_5_1_6": "41"}),
        )
        .unwrap();
        assert_eq!(
            values(&definition(), &applied),
            json!({"9830_2": "x", "9830_3": "2026-01-02T00:00:00", "9830_4": ["DE"], "9830_5_1_6": 41})
        );
        let without_row = merge(Some(&applied), json!({"9830_5_1": ""})).unwrap();
        assert_eq!(values(&definition(), &without_row).get("9830_5_1_6"), None);
    }

    #[test]
    fn wrong_values_and_foreign_keys_are_refused() {
        for sent in [
            json!({"9830_2": "x", "9830_3": "soon"}),
            json!({"9830_2": "x", "9830_5_1_6": "old"}),
            json!({"9830_2": "x", "9830_9": 1}),
            json!({"9830_2": "x", "1_2": 1}),
            json!({"9830_2": "x".repeat(255)}),
            json!({"9830_2": ["a", "b"]}),
        ] {
            assert!(merge(None, sent.clone()).is_err(), "{sent}");
        }
    }

    #[test]
    fn a_required_attribute_has_to_be_filled_and_is_named_when_it_is_not() {
        let refusal = merge(None, json!({"9830_1": {}})).unwrap_err();
        assert!(refusal.text().contains("'Title'"), "{}", refusal.text());
    }

    #[test]
    fn the_token_changes_with_every_update() {
        let first = merge(None, json!({"9830_2": "x"})).unwrap();
        let second = merge(Some(&first), json!({"9830_2": "x"})).unwrap();
        assert_ne!(token(1, 9830, &first), token(1, 9830, &second));
    }

    #[test]
    fn definitions_name_the_category_first_and_set_members_by_x() {
        let Value::Object(entries) = definitions(&definition()) else {
            panic!("an object");
        };
        assert_eq!(entries["9830"]["persona"], "category");
        assert_eq!(entries["9830_5_x_6"]["type_name"], "Integer");
    }
}
