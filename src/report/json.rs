//! JSON lines of schema `longhaul/1`: a line of type `report_item` for each item, then one of type
//! `report` with everything else.

use serde_json::{Value, json};

use super::{Report, Row};

/// An item's line.
pub fn row(row: &Row) -> Value {
    typed("report_item", serde_json::to_value(row).unwrap_or_default())
}

/// The last line.
pub fn report(report: &Report) -> Value {
    typed("report", serde_json::to_value(report).unwrap_or_default())
}

fn typed(kind: &str, facts: Value) -> Value {
    let mut line = json!({"schema": "longhaul/1", "type": kind});
    if let (Value::Object(line), Value::Object(facts)) = (&mut line, facts) {
        line.extend(facts);
    }
    line
}
