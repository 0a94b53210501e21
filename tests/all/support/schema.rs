//! The schema of the JSON lines, and as much of JSON Schema as it uses: `type`, `const`, `enum`,
//! `required`, `properties`, `additionalProperties`, `items`, `anyOf`, and `oneOf` by `type`.

use std::sync::OnceLock;

use serde_json::Value;

/// `fixtures/schema/longhaul-1.json`.
pub(crate) fn schema() -> &'static Value {
    static SCHEMA: OnceLock<Value> = OnceLock::new();
    SCHEMA.get_or_init(|| {
        let text = include_str!("../../../fixtures/schema/longhaul-1.json");
        serde_json::from_str(text).expect("the schema is JSON")
    })
}

/// Why a line is not as the schema says.
pub(crate) fn check_line(line: &Value) -> Result<(), String> {
    let kind = line["type"].as_str().ok_or("it has no type")?;
    let of_kind = schema()["$defs"]
        .get(kind)
        .ok_or_else(|| format!("the schema has no type {kind:?}"))?;
    check(of_kind, line, kind)
}

fn check(schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    let rules = schema.as_object().ok_or("a schema is an object")?;
    for (rule, wanted) in rules {
        match rule.as_str() {
            "description" => {}
            "type" => {
                let one = std::slice::from_ref(wanted);
                let names = wanted.as_array().map_or(one, Vec::as_slice);
                if !names
                    .iter()
                    .any(|name| is(value, name.as_str().unwrap_or_default()))
                {
                    return Err(format!("{at} should be {wanted}, is {value}"));
                }
            }
            "const" if value == wanted => {}
            "const" => return Err(format!("{at} should be {wanted}, is {value}")),
            "enum" => {
                let known = wanted.as_array().ok_or("enum is an array")?;
                if !known.contains(value) {
                    return Err(format!("{at} should be one of {wanted}, is {value}"));
                }
            }
            "required" => {
                for name in wanted.as_array().ok_or("required is an array")? {
                    let name = name.as_str().ok_or("a name")?;
                    if value.is_object() && value.get(name).is_none() {
                        return Err(format!("{at}.{name} is missing"));
                    }
                }
            }
            "properties" => {
                for (name, schema) in wanted.as_object().ok_or("properties is an object")? {
                    if let Some(value) = value.get(name) {
                        check(schema, value, &format!("{at}.{name}"))?;
                    }
                }
            }
            "additionalProperties" => {
                let named = rules.get("properties");
                for (name, value) in value.as_object().into_iter().flatten() {
                    if named.is_none_or(|named| named.get(name).is_none()) {
                        check(wanted, value, &format!("{at}.{name}"))?;
                    }
                }
            }
            "items" => {
                for (i, value) in value.as_array().into_iter().flatten().enumerate() {
                    check(wanted, value, &format!("{at}[{i}]"))?;
                }
            }
            "anyOf" => {
                let ways = wanted.as_array().ok_or("anyOf is an array")?;
                let mut wrong = Vec::new();
                for way in ways {
                    match check(way, value, at) {
                        Ok(()) => wrong.clear(),
                        Err(error) => {
                            wrong.push(error);
                            continue;
                        }
                    }
                    break;
                }
                if !wrong.is_empty() {
                    return Err(wrong.join(", and "));
                }
            }
            other => return Err(format!("this checker does not know {other:?}")),
        }
    }
    Ok(())
}

fn is(value: &Value, name: &str) -> bool {
    match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => false,
    }
}
