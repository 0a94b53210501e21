//! Categories: definitions with attributes, and their values on nodes.
//!
//! The interface is flat on v2 nodes (`{cat}_{attr}` keys) and nested per category on v1 and on
//! workspaces; both are read here into the same values. A set always has a first row
//! (`{cat}_{set}_1_{attr}`), empty where nobody filled it, and at most as many rows as its
//! definition names.
//!
//! `values` reads what callers send, `shown` writes what they get, `calls` are the addresses and
//! `forms` the forms for people.

mod calls;
mod forms;
mod shown;
mod values;

pub(super) use calls::{
    actions, apply, assign, browse, enforcement, get, inheritance, of_version, remove, update,
    upgrade,
};
pub(super) use forms::{add_asked, create_form, form, of_node as form_of_node, of_role, sent_to};
pub(super) use shown::{in_node, map};
pub(super) use values::{for_copy, for_move, for_new, for_workspace, inherited};

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::arguments::as_text;

/// Longest text value unless the attribute says otherwise.
const TEXT: usize = 254;
/// Most values of an attribute that takes several, unless it says otherwise.
const SEVERAL: u32 = 50;

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
    /// Takes several values; of a set, several rows.
    pub multiple: bool,
    /// Most values, or rows, that it takes when it takes several.
    pub most: u32,
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
            most: SEVERAL,
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

    /// The same, with so many values at most.
    #[must_use]
    pub fn at_most(mut self, most: u32) -> Self {
        self.most = most;
        self.multiple()
    }

    /// How many values, or rows, it can have.
    fn room(&self) -> usize {
        match self.multiple {
            true => usize::try_from(self.most).unwrap_or(usize::MAX),
            false => 1,
        }
    }

    /// Its value where none was given.
    fn unset(&self) -> Value {
        match (self.multiple, &self.default) {
            (true, Value::Null) => Value::Array(Vec::new()),
            (_, default) => default.clone(),
        }
    }
}

/// A category.
#[derive(Clone)]
pub(super) struct Definition {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) attributes: Vec<Attribute>,
}

impl Definition {
    /// Whether any of its attributes has to be filled.
    fn requires(&self) -> bool {
        let of_set = |kind: &AttributeKind| match kind {
            AttributeKind::Set(members) => members.iter().any(|member| member.required),
            _ => false,
        };
        let mut all = self.attributes.iter();
        all.any(|own| own.required || of_set(&own.kind))
    }
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

impl Applied {
    /// Its values as texts.
    pub(super) fn texts(&self) -> Vec<String> {
        self.values.values().flat_map(texts).collect()
    }

    /// The texts of one attribute, by its key without a row: `{cat}_{attr}` or
    /// `{cat}_{set}_{attr}`.
    pub(super) fn of(&self, key: &str) -> Vec<String> {
        let rowless = |own: &str| match own.split('_').collect::<Vec<_>>().as_slice() {
            [category, set, _, attribute] => format!("{category}_{set}_{attribute}"),
            _ => own.to_owned(),
        };
        let own = self.values.iter().filter(|(own, _)| rowless(own) == key);
        own.flat_map(|(_, value)| texts(value)).collect()
    }
}

/// A value as texts.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Array(all) => all.iter().filter_map(as_text).collect(),
        one => as_text(one).into_iter().collect(),
    }
}

/// The categories on a node, by id.
pub(super) type AppliedAll = BTreeMap<i64, Applied>;

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
