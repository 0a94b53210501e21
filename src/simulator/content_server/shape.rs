//! `fields`, `expand`, `metadata` and `state`: which parts of an object a caller wants.

use serde_json::{Map, Value};

use super::arguments::Arguments;

/// One entry of `fields` or `expand`, such as `properties{id,name}` or `versions.element(0)`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Section {
    name: String,
    only: Option<Vec<String>>,
    element: Option<usize>,
    limit: Option<usize>,
}

impl Section {
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let end = text.find(['{', '.']).unwrap_or(text.len());
        let (name, rest) = text.split_at(end);
        let call = |name: &str| -> Option<usize> {
            let start = rest.find(name)? + name.len();
            let inner = &rest[start..];
            inner[..inner.find(')')?].trim().parse().ok()
        };
        let only = rest.find('{').map(|open| {
            let inner = &rest[open + 1..];
            let inner = &inner[..inner.find('}').unwrap_or(inner.len())];
            let names = inner.split(',').map(|name| name.trim().to_owned());
            names.filter(|name| !name.is_empty()).collect()
        });
        (!name.trim().is_empty()).then(|| Self {
            name: name.trim().to_owned(),
            only,
            element: call(".element("),
            limit: call(".limit("),
        })
    }
}

/// The shaping arguments of one call.
#[derive(Clone, Debug, Default)]
pub(super) struct Shape {
    fields: Vec<Section>,
    expand: Vec<Section>,
    /// Data-type definitions are wanted.
    pub(super) metadata: bool,
    /// Metadata tokens are wanted.
    pub(super) state: bool,
    /// Actions that are wanted, by name.
    pub(super) actions: Vec<String>,
}

/// Splits at commas that are not inside braces.
fn split(text: &str) -> Vec<&str> {
    let (mut depth, mut start, mut pieces) = (0usize, 0, Vec::new());
    for (at, c) in text.char_indices() {
        match c {
            '{' | '(' => depth += 1,
            '}' | ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                pieces.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    pieces.push(&text[start..]);
    pieces
}

fn sections(arguments: &Arguments, key: &str) -> Vec<Section> {
    let texts = arguments.texts(key);
    let pieces = texts.iter().flat_map(|text| split(text));
    pieces.filter_map(Section::parse).collect()
}

impl Shape {
    /// What the arguments ask for.
    pub(super) fn of(arguments: &Arguments) -> Self {
        Self {
            fields: sections(arguments, "fields"),
            expand: sections(arguments, "expand"),
            metadata: arguments.has("metadata"),
            state: arguments.has("state"),
            actions: arguments
                .texts("actions")
                .iter()
                .flat_map(|text| text.split(',').map(|name| name.trim().to_owned()))
                .filter(|name| !name.is_empty())
                .collect(),
        }
    }

    /// Whether section `name` is wanted. Without `fields` only the properties are.
    pub(super) fn wants(&self, name: &str) -> bool {
        match self.fields.is_empty() {
            true => name == "properties",
            false => self.fields.iter().any(|section| section.name == name),
        }
    }

    /// Whether the ids named `id` in section `section` are to be resolved.
    pub(super) fn expands(&self, section: &str, id: &str) -> bool {
        self.expand.iter().any(|entry| {
            (entry.name == section
                && entry
                    .only
                    .as_ref()
                    .is_none_or(|only| only.iter().any(|name| name == id)))
                || entry.name == id
        })
    }

    /// Cuts an object down to the wanted members of its section; `id` always stays out unless
    /// asked for, as on the server.
    pub(super) fn cut(&self, name: &str, object: Value) -> Value {
        let Some(only) = self.only(name) else {
            return object;
        };
        match object {
            Value::Object(members) => {
                let wanted = |key: &String| {
                    let base = key.strip_suffix("_expand").unwrap_or(key);
                    only.iter()
                        .any(|name| *name == key || name.as_str() == base)
                };
                let kept: Map<_, _> = members.into_iter().filter(|(key, _)| wanted(key)).collect();
                Value::Object(kept)
            }
            other => other,
        }
    }

    /// Cuts a list down to the wanted element or number of elements, and each element down to
    /// its wanted members.
    pub(super) fn cut_list(&self, name: &str, mut list: Vec<Value>) -> Value {
        let section = self.fields.iter().find(|section| section.name == name);
        if let Some(limit) = section.and_then(|section| section.limit) {
            list.truncate(limit);
        }
        if let Some(element) = section.and_then(|section| section.element) {
            let picked = (element < list.len()).then(|| list.swap_remove(element));
            return self.cut(name, picked.unwrap_or_else(|| Value::Object(Map::new())));
        }
        Value::Array(
            list.into_iter()
                .map(|value| self.cut(name, value))
                .collect(),
        )
    }

    /// Union of the members asked for of a section; `None` when all are wanted.
    fn only(&self, name: &str) -> Option<Vec<&String>> {
        let mut union = Vec::new();
        for section in self.fields.iter().filter(|section| section.name == name) {
            union.extend(section.only.as_ref()?.iter());
        }
        (!union.is_empty()).then_some(union)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shape(query: &str) -> Shape {
        Shape::of(&Arguments::from_form(query.as_bytes()))
    }

    #[test]
    fn without_fields_only_the_properties_come() {
        let shape = shape("");
        assert!(shape.wants("properties") && !shape.wants("versions"));
    }

    #[test]
    fn sections_and_members_are_picked_from_repeated_and_joined_fields() {
        let shape =
            shape("fields=properties%7Bid,name%7D,categories&fields=versions.element(0)&metadata");
        assert!(shape.wants("properties") && shape.wants("categories") && shape.wants("versions"));
        assert!(!shape.wants("permissions") && shape.metadata && !shape.state);
        assert_eq!(
            shape.cut("properties", json!({"id": 1, "name": "a", "size": 3})),
            json!({"id": 1, "name": "a"})
        );
        let versions = vec![json!({"version_number": 2}), json!({"version_number": 1})];
        assert_eq!(
            shape.cut_list("versions", versions),
            json!({"version_number": 2})
        );
    }

    #[test]
    fn ids_are_expanded_by_section_or_by_name() {
        let shape = shape("expand=properties%7Bparent_id%7D&expand=user_id");
        assert!(shape.expands("properties", "parent_id"));
        assert!(!shape.expands("properties", "id"));
        assert!(shape.expands("audit", "user_id"));
        assert!(shape_all().expands("properties", "original_id"));
    }

    fn shape_all() -> Shape {
        shape("expand=properties")
    }

    #[test]
    fn odd_texts_do_no_harm() {
        for query in [
            "fields=%7B",
            "fields=a%7Bb",
            "fields=.element(",
            "fields=,,&expand=%7D%7D",
        ] {
            let shape = shape(query);
            shape.cut("a", json!({"b": 1}));
            shape.cut_list("a", vec![json!({})]);
        }
    }
}
