//! Values that callers send, checked against the definition.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::super::answer::Refusal;
use super::super::arguments::{as_number, as_text};
use super::super::call::Call;
use super::super::nodes::Node;
use super::super::world::World;
use super::{Applied, AppliedAll, Attribute, AttributeKind, Definition, Sent, TEXT};

/// Text for a value, a key or a row that does not fit the definition.
pub(super) const INVALID: &str = "Invalid attribute entry found";

/// Where a key points to in a definition.
enum Target<'a> {
    /// `{cat}_1`: the token, or "apply with defaults".
    Pseudo,
    /// An attribute, under its plain key.
    Attribute(&'a Attribute, String),
    /// `{cat}_{set}_{row}`: the row is taken away.
    Row(&'a Attribute, usize),
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
        (Some(set), Some(row), None, None) if matches!(set.kind, AttributeKind::Set(_)) => {
            Some(Target::Row(set, numbered(row)?))
        }
        (Some(set), Some(row), Some(member), None) => match &set.kind {
            AttributeKind::Set(members) => {
                numbered(row)?;
                let member = members.iter().find(|attribute| attribute.id == member)?;
                Some(Target::Attribute(member, plain.to_owned()))
            }
            _ => None,
        },
        _ => None,
    }
}

/// The number of a row, from 1.
fn numbered(row: i64) -> Option<usize> {
    usize::try_from(row).ok().filter(|row| *row > 0)
}

/// The row in what follows a set's key: `{row}_{attribute}`.
fn row_of(rest: &str) -> Option<(usize, &str)> {
    let (row, member) = rest.split_once('_')?;
    Some((row.parse().ok()?, member))
}

/// How many rows of a set there are; the first always is.
pub(super) fn rows(values: &BTreeMap<String, Value>, set: &str) -> usize {
    let prefix = format!("{set}_");
    let own = values.keys().filter_map(|key| key.strip_prefix(&prefix));
    let numbers = own.filter_map(|rest| Some(row_of(rest)?.0));
    numbers.max().unwrap_or(1)
}

/// Takes a row out of a set; the rows behind it move up.
fn remove_row(values: &mut BTreeMap<String, Value>, set: &str, row: usize) {
    let prefix = format!("{set}_");
    let all = std::mem::take(values);
    let moved = all.into_iter().filter_map(|(key, value)| {
        match key.strip_prefix(&prefix).and_then(row_of) {
            Some((own, _)) if own == row => None,
            Some((own, member)) if own > row => {
                Some((format!("{prefix}{}_{member}", own - 1), value))
            }
            _ => Some((key, value)),
        }
    });
    *values = moved.collect();
}

/// Gives every attribute without a value the one it has unset, in every row of a set.
///
/// # Errors
///
/// A set that has more rows than its definition allows.
fn fill(definition: &Definition, values: &mut BTreeMap<String, Value>) -> Result<(), Refusal> {
    for attribute in &definition.attributes {
        let key = format!("{}_{}", definition.id, attribute.id);
        let AttributeKind::Set(members) = &attribute.kind else {
            values.entry(key).or_insert_with(|| attribute.unset());
            continue;
        };
        let rows = rows(values, &key);
        if rows > attribute.room() {
            return Err(Refusal::failed(INVALID));
        }
        for (row, member) in (1..=rows).flat_map(|row| members.iter().map(move |own| (row, own))) {
            let key = format!("{key}_{row}_{}", member.id);
            values.entry(key).or_insert_with(|| member.unset());
        }
    }
    Ok(())
}

/// A category as it begins, whether or not what it requires is filled.
pub(super) fn begun(definition: &Definition) -> Applied {
    let mut applied = Applied {
        inherited: true,
        ..Applied::default()
    };
    // One row of each set is always allowed.
    let _ = fill(definition, &mut applied.values);
    applied
}

/// The name of a required attribute without a value.
fn lacking<'a>(definition: &'a Definition, values: &BTreeMap<String, Value>) -> Option<&'a str> {
    let lacks = |own: &Attribute, key: String| own.required && empty(values.get(&key));
    definition.attributes.iter().find_map(|attribute| {
        let key = format!("{}_{}", definition.id, attribute.id);
        let AttributeKind::Set(members) = &attribute.kind else {
            return lacks(attribute, key).then_some(attribute.name.as_str());
        };
        let cells =
            (1..=rows(values, &key)).flat_map(|row| members.iter().map(move |own| (row, own)));
        let mut lacking = cells.filter(|(row, own)| lacks(own, format!("{key}_{row}_{}", own.id)));
        lacking.next().map(|(_, own)| own.name.as_str())
    })
}

/// One value as the attribute keeps it.
fn scalar(attribute: &Attribute, value: &Value) -> Result<Value, Refusal> {
    let invalid = || Refusal::failed(INVALID);
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
        (Value::Array(list), true) if list.len() > attribute.room() => {
            Err(Refusal::failed(INVALID))
        }
        (Value::Array(list), true) => list.iter().map(|value| scalar(attribute, value)).collect(),
        (Value::Array(list), false) if list.len() > 1 => Err(Refusal::failed(INVALID)),
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

/// `before` with what was sent on top, or else the category as it begins; required attributes have
/// to be filled.
pub(super) fn merged(
    definition: &Definition,
    before: Option<&Applied>,
    sent: &Map<String, Value>,
) -> Result<Applied, Refusal> {
    let mut applied = before.cloned().unwrap_or_else(|| begun(definition));
    applied.revision += 1;
    let mut gone = Vec::new();
    for (key, value) in sent {
        match target(definition, key) {
            Some(Target::Pseudo) => {}
            Some(Target::Attribute(attribute, key)) => {
                applied.values.insert(key, checked(attribute, value)?);
            }
            Some(Target::Row(set, row)) => gone.push((row, set.id)),
            None => {
                return Err(Refusal::bad(format!(
                    "Category ID '{}' was specified for Categories Update, but a non-matching attribute ('{key}') was found",
                    definition.id
                )));
            }
        }
    }
    // From the last row on, so that the others keep the numbers they were named by.
    gone.sort_unstable_by(|a, b| b.cmp(a));
    for (row, set) in gone {
        let set = format!("{}_{set}", definition.id);
        remove_row(&mut applied.values, &set, row);
    }
    fill(definition, &mut applied.values)?;
    match lacking(definition, &applied.values) {
        Some(name) => Err(Refusal::bad(format!(
            "A value is required for the attribute '{name}' of the category '{}'.",
            definition.name
        ))),
        None => Ok(applied),
    }
}

/// Sorts what a caller sent by category: flat on v2, nested on v1.
fn sort(call: &Call, strict: bool, categories: Option<&Value>) -> Result<Sent, Refusal> {
    let invalid = || Refusal::failed(INVALID);
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

pub(super) fn definition(world: &World, id: i64) -> Result<&Definition, Refusal> {
    let refusal = || Refusal::bad("No permissions to access the attribute definition node");
    world.definitions.get(&id).ok_or_else(refusal)
}

/// What a container passes on to a new child.
pub(super) fn passed_on(world: &World, parent: i64) -> AppliedAll {
    let applied = world.tree.get(parent).map(|node| &node.categories);
    let passed = applied
        .into_iter()
        .flatten()
        .filter(|(_, applied)| applied.inherited);
    passed.map(|(id, applied)| (*id, applied.clone())).collect()
}

fn with(world: &World, mut base: AppliedAll, sent: &Sent) -> Result<AppliedAll, Refusal> {
    for (id, values) in sent {
        let applied = merged(definition(world, *id)?, base.get(id), values)?;
        base.insert(*id, applied);
    }
    for (id, applied) in &base {
        merged(definition(world, *id)?, Some(applied), &Map::new())?;
    }
    Ok(base)
}

/// The categories of a new node: the container's and those sent.
pub(in super::super) fn for_new(
    world: &World,
    call: &Call,
    parent: i64,
    categories: Option<&Value>,
) -> Result<AppliedAll, Refusal> {
    let sent = sort(call, world.config.strict, categories)?;
    with(world, passed_on(world, parent), &sent)
}

/// Categories of a workspace: nested, whatever the version of the interface.
pub(in super::super) fn for_workspace(
    world: &World,
    call: &Call,
    parent: i64,
    categories: Option<&Value>,
) -> Result<AppliedAll, Refusal> {
    let sent = sort(call, false, categories)?;
    with(world, passed_on(world, parent), &sent)
}

/// The categories of a copy. `inheritance`: 0 the original's, 1 the destination's, 2 both.
pub(in super::super) fn for_copy(
    world: &World,
    call: &Call,
    source: &Node,
    parent: i64,
    categories: Option<&Value>,
) -> Result<AppliedAll, Refusal> {
    let sent = sort(call, world.config.strict, categories)?;
    let mode = categories
        .and_then(|categories| categories.get("inheritance"))
        .and_then(as_number);
    let base = inherited(world, source, parent, mode);
    with(world, base, &sent)
}

/// The categories of a node in another place, by the model of inheritance.
pub(in super::super) fn inherited(
    world: &World,
    source: &Node,
    parent: i64,
    model: Option<i64>,
) -> AppliedAll {
    match model {
        Some(1) => passed_on(world, parent),
        Some(2) => {
            let mut base = passed_on(world, parent);
            base.extend(source.categories.clone());
            base
        }
        _ => source.categories.clone(),
    }
}

/// The categories of a node that is moved or gets a version; `None` when nothing was said.
pub(in super::super) fn for_move(
    world: &World,
    call: &Call,
    id: i64,
    parent: i64,
    categories: Option<&Value>,
) -> Result<Option<AppliedAll>, Refusal> {
    match (categories, world.tree.get(id)) {
        (Some(_), Some(node)) => for_copy(world, call, node, parent, categories).map(Some),
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::shown::{definitions, values};
    use super::super::token;
    use super::*;

    fn definition() -> Definition {
        let age = Attribute::new(6, "Age", AttributeKind::Integer);
        let aliases = Attribute::new(7, "Aliases", AttributeKind::Text).at_most(2);
        Definition {
            id: 9830,
            name: "Media".to_owned(),
            attributes: vec![
                Attribute::new(2, "Title", AttributeKind::Text).required(),
                Attribute::new(3, "Released", AttributeKind::Date),
                Attribute::new(4, "Regions", AttributeKind::Text).multiple(),
                Attribute::new(5, "People", AttributeKind::Set(vec![age, aliases])).at_most(3),
            ],
        }
    }

    fn merge(before: Option<&Applied>, sent: Value) -> Result<Applied, Refusal> {
        merged(&definition(), before, sent.as_object().unwrap())
    }

    fn shown(applied: &Applied) -> Value {
        values(&definition(), applied).into()
    }

    #[test]
    fn values_are_checked_and_kept_by_key() {
        let applied = merge(
            None,
            json!({"9830_1": {}, "9830_2": "x", "9830_3": "2026-01-02", "9830_4": "DE", "9830_5_1_6": "41"}),
        )
        .unwrap();
        assert_eq!(
            shown(&applied),
            json!({"9830_2": "x", "9830_3": "2026-01-02T00:00:00", "9830_4": ["DE"], "9830_5_1_6": 41,
                "9830_5_1_7": []})
        );
    }

    #[test]
    fn a_set_has_a_first_row_and_rows_between_are_empty() {
        let applied = merge(None, json!({"9830_2": "x"})).unwrap();
        assert_eq!(shown(&applied)["9830_5_1_6"], Value::Null);
        assert_eq!(shown(&applied)["9830_5_1_7"], json!([]));
        let third = merge(Some(&applied), json!({"9830_5_3_7": ["", "b"]})).unwrap();
        assert_eq!(shown(&third)["9830_5_2_6"], Value::Null);
        assert_eq!(shown(&third)["9830_5_3_7"], json!([null, "b"]));
    }

    #[test]
    fn rows_behind_one_that_goes_move_up_and_the_first_never_goes() {
        let three = json!({"9830_2": "x", "9830_5_1_6": 1, "9830_5_2_6": 2, "9830_5_3_6": 3});
        let three = merge(None, three).unwrap();
        let two = merge(Some(&three), json!({"9830_5_1": ""})).unwrap();
        assert_eq!(shown(&two)["9830_5_1_6"], 2);
        assert_eq!(shown(&two)["9830_5_2_6"], 3);
        assert_eq!(shown(&two).get("9830_5_3_6"), None);
        let none = merge(
            Some(&three),
            json!({"9830_5_1": "", "9830_5_2": "", "9830_5_3": ""}),
        );
        assert_eq!(shown(&none.unwrap())["9830_5_1_6"], Value::Null);
    }

    #[test]
    fn wrong_values_and_foreign_keys_are_refused() {
        for sent in [
            json!({"9830_2": "x", "9830_3": "soon"}),
            json!({"9830_2": "x", "9830_5_1_6": "old"}),
            json!({"9830_2": "x", "9830_5_4_6": 1}),
            json!({"9830_2": "x", "9830_5_0_6": 1}),
            json!({"9830_2": "x", "9830_5_1_7": ["a", "b", "c"]}),
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
    fn definitions_name_the_category_first_set_members_by_x_and_how_many_rows_there_can_be() {
        let Value::Object(entries) = definitions(&definition()) else {
            panic!("an object");
        };
        assert_eq!(entries["9830"]["persona"], "category");
        assert_eq!(entries["9830"]["next_id"], 8);
        assert_eq!(entries["9830_5_x_6"]["type_name"], "Integer");
        for (key, most) in [
            ("9830_2", 1),
            ("9830_4", 50),
            ("9830_5", 3),
            ("9830_5_x_7", 2),
        ] {
            assert_eq!(entries[key]["multi_value_length_max"], most, "{key}");
        }
    }
}
