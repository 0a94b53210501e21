//! The rules for names, and the two calls that ask which names are taken.

use serde_json::{Value, json};

use super::super::answer::{Answer, Outcome, Refusal};
use super::super::call::Call;
use super::super::config::Names;
use super::super::world::World;
use super::types::Kind;

/// The name as the server keeps it: without surrounding white space.
///
/// # Errors
///
/// Empty, too long, or with a character that is refused. No source quotes the real texts; these
/// follow the pattern of the ones for nicknames.
pub(super) fn clean(name: &str, rules: &Names) -> Result<String, Refusal> {
    let name = match rules.final_dots {
        true => name.trim(),
        false => name
            .trim()
            .trim_end_matches(|c: char| c == '.' || c.is_whitespace()),
    };
    let units = name.encode_utf16().count();
    if units == 0 {
        return Err(Refusal::bad(format!(
            "Could not set feature Name, the length of '{name}' is less than the minimum length (1)"
        )));
    }
    if units > rules.limit {
        return Err(Refusal::bad(format!(
            "Could not set feature Name, the length of '{name}' is greater than the maximum length ({})",
            rules.limit
        )));
    }
    if name.chars().any(|c| rules.refused.contains(c)) {
        return Err(Refusal::bad(format!(
            "Could not set feature Name, invalid value '{name}'"
        )));
    }
    Ok(match rules.astral {
        true => name.to_owned(),
        false => name
            .chars()
            .map(|c| if c > '\u{ffff}' { '?' } else { c })
            .collect(),
    })
}

/// The refusal for a name that is taken: 500 on v2, 400 on v1.
pub(super) fn taken(call: &Call, name: &str) -> Refusal {
    let status = if call.v1 { 400 } else { 500 };
    Refusal::new(
        status,
        format!("An item with the name '{name}' already exists."),
    )
}

fn question(world: &World, call: &Call) -> Result<(i64, Vec<String>), Refusal> {
    let parent = match call.arguments.number("parent_id") {
        Ok(Some(parent)) => parent,
        Ok(None) => return Err(Refusal::bad("Body Parameter 'parent_id' is missing")),
        Err(_) => return Err(Refusal::bad("Body Parameter 'parent_id' is invalid")),
    };
    let names = match call.arguments.get("names") {
        None => return Err(Refusal::bad("Body Parameter 'names' is missing")),
        Some(Value::Array(_)) => call.arguments.texts("names"),
        Some(Value::String(text)) => match serde_json::from_str::<Vec<String>>(text) {
            Ok(list) => list,
            Err(_) => vec![text.clone()],
        },
        Some(_) => return Err(Refusal::bad("Body Parameter 'names' is invalid")),
    };
    world
        .visible(call.user, parent)
        .ok_or_else(|| Refusal::inaccessible(400))?;
    Ok((parent, names))
}

/// `POST /v1/validation/nodes/names`: the names that are taken. Names of nodes that the caller
/// may not see count too, as the create call would refuse them.
pub(in super::super) fn check_names(world: &mut World, call: &Call) -> Outcome {
    let (parent, names) = question(world, call)?;
    let row = |name: &String| {
        let id = world.tree.child(parent, name.trim())?;
        let node = world.tree.get(id)?;
        Some(json!({"id": id, "name": node.name}))
    };
    let rows: Vec<_> = names.iter().filter_map(row).collect();
    Ok(Answer::Json(json!({"results": rows})))
}

/// `POST /v1/validation/nodes`: a row for every name.
pub(in super::super) fn check_nodes(world: &mut World, call: &Call) -> Outcome {
    let (parent, names) = question(world, call)?;
    let row = |name: &String| {
        let found = world
            .tree
            .child(parent, name.trim())
            .and_then(|id| world.tree.get(id));
        let versioned = |subtype| Kind::of(subtype).is_some_and(Kind::versionable);
        json!({
            "id": found.map(|node| node.id),
            "name": name,
            "type": found.map(|node| node.subtype),
            "versioned": found.map(|node| versioned(node.subtype)),
        })
    };
    let rows: Vec<_> = names.iter().map(row).collect();
    Ok(Answer::Json(json!({"results": rows})))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_trimmed_and_held_to_length_and_colon() {
        assert_eq!(
            clean("  a/b*?.mov ", &Names::default()).unwrap(),
            "a/b*?.mov"
        );
        assert!(clean(&"x".repeat(248), &Names::default()).is_ok());
        assert!(clean(&"x".repeat(249), &Names::default()).is_err());
        assert!(
            clean(&"😀".repeat(124), &Names::default()).is_ok(),
            "two units each"
        );
        assert!(clean(&"😀".repeat(125), &Names::default()).is_err());
        assert!(clean("a:b", &Names::default()).is_err());
        assert!(clean("   ", &Names::default()).is_err());
    }
}
