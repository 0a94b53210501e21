//! Rows as JSON objects, in order of arrival, and their ids.

use std::collections::HashMap;

use serde_json::{Map, Value};

/// What an id names; the second group of its digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum Kind {
    /// An asset.
    Asset = 0xa55e,
    /// A version of an asset.
    Version = 0x7e51,
    /// A collection.
    Collection = 0xc011,
    /// A format.
    Format = 0xf047,
    /// A file set.
    FileSet = 0xf5e7,
    /// A file.
    File = 0xf11e,
    /// A format's component.
    Component = 0xc0c0,
    /// A storage.
    Storage = 0x5704,
    /// A metadata view.
    View = 0x71e3,
    /// A job.
    Job = 0x0b0b,
    /// A step of a job.
    Step = 0x57e9,
    /// A user.
    User = 0x05e4,
    /// A group of users.
    Group = 0x6404,
    /// A segment.
    Segment = 0x5e60,
    /// A line of an asset's history.
    History = 0x4157,
    /// A saved search.
    SavedSearch = 0x5a5e,
    /// A webhook.
    Webhook = 0x4e6b,
    /// A custom action.
    Action = 0xac70,
    /// Everything that is not kept: requests, tokens, the tenant.
    Other = 0x0000,
}

/// The id of row `index` of a kind: a time-based UUID to look at, the same on every run, and in
/// the order of the indices. `library` rows are generated and have ids of their own.
pub fn id(kind: Kind, index: u32, library: bool) -> String {
    let space = u8::from(library);
    format!(
        "{index:08x}-{:04x}-100{space:x}-8000-6c6f6e676861",
        kind as u16
    )
}

/// The index of a generated row of this kind, when `id` is one.
pub(super) fn library_index(kind: Kind, text: &str) -> Option<u32> {
    let index = u32::from_str_radix(text.get(..8)?, 16).ok()?;
    (id(kind, index, true) == text).then_some(index)
}

/// A JSON object; a row of every table.
pub(super) type Row = Map<String, Value>;

/// Rows by id, in order of arrival.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    order: Vec<String>,
    rows: HashMap<String, Row>,
}

impl Table {
    /// Adds a row, or replaces the one with this id in its place.
    pub(super) fn put(&mut self, id: &str, row: Row) {
        if self.rows.insert(id.to_owned(), row).is_none() {
            self.order.push(id.to_owned());
        }
    }

    /// A row.
    pub(super) fn get(&self, id: &str) -> Option<&Row> {
        self.rows.get(id)
    }

    /// Takes a row out.
    pub(super) fn remove(&mut self, id: &str) -> Option<Row> {
        let row = self.rows.remove(id)?;
        self.order.retain(|other| other != id);
        Some(row)
    }

    /// Every row, oldest first.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &Row> {
        self.order.iter().filter_map(|id| self.rows.get(id))
    }

    /// How many rows there are.
    pub(super) fn len(&self) -> usize {
        self.order.len()
    }
}

/// A row's text field, or nothing.
pub(super) fn text<'a>(row: &'a Row, field: &str) -> &'a str {
    row.get(field).and_then(Value::as_str).unwrap_or("")
}

/// The object inside a `json!` value; anything else gives an empty row.
pub(super) fn row(value: Value) -> Row {
    match value {
        Value::Object(row) => row,
        _ => Row::new(),
    }
}

/// A row without its null fields.
pub(super) fn without_nulls(mut row: Row) -> Row {
    row.retain(|_, value| !value.is_null());
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_uuids_in_the_order_of_their_indices_and_read_back() {
        let (a, b) = (id(Kind::Asset, 255, true), id(Kind::Asset, 256, true));
        assert!(a < b);
        assert_eq!(uuid::Uuid::parse_str(&a).unwrap().get_version_num(), 1);
        assert_eq!(library_index(Kind::Asset, &b), Some(256));
        assert_eq!(library_index(Kind::Format, &b), None);
        assert_eq!(library_index(Kind::Asset, &id(Kind::Asset, 1, false)), None);
        assert_eq!(library_index(Kind::Asset, "ä"), None);
    }
}
