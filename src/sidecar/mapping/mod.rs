//! The field mapping: which field of the source is which attribute of which category.
//!
//! Declared once, by names that people see. [`resolve`] finds the attributes behind the names in
//! the definitions that the destination gives and says everything that does not fit; a [`Binding`]
//! that it returns turns an asset's values into the values of categories ([`Binding::bind`]).
//!
//! | File | Holds |
//! |---|---|
//! | `mod.rs` | what is declared, what a category is, and how the two find each other |
//! | `bind.rs` | values: translation, types, several of them, what is missing |
//! | `merge.rs` | one field on two sides |

mod bind;
pub mod merge;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use bind::{Bound, FieldOutcome, Origin};

/// One declared field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldMap {
    /// What it is called here: `campaign`, `rights_status`.
    pub name: String,
    /// The source's field.
    pub source: String,
    /// The category, by the name or the id it has at the destination.
    pub category: String,
    /// The set within the category that the attribute is in, by name.
    pub set: Option<String>,
    /// The attribute, by name.
    pub attribute: String,
    /// How its values are read.
    pub kind: FieldKind,
    /// The destination's word for the source's; when there are any, no other word is accepted.
    pub values: BTreeMap<String, String>,
    /// What is written when the source has no value.
    pub default: Option<String>,
    /// Whether an asset without a value is held.
    pub required: bool,
    /// Whose value counts when both sides have one.
    pub truth: Truth,
}

/// How a field's values are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FieldKind {
    /// Any text.
    #[default]
    Text,
    /// A whole number.
    Integer,
    /// A number.
    Real,
    /// A day, with or without a time.
    Date,
    /// Yes or no.
    Boolean,
    /// A user or group of the destination, by id.
    User,
}

impl FieldKind {
    /// Every kind, in the order in which they are named to people.
    pub const ALL: [Self; 6] = [
        Self::Text,
        Self::Integer,
        Self::Real,
        Self::Date,
        Self::Boolean,
        Self::User,
    ];

    /// The word in the settings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Integer => "integer",
            Self::Real => "real",
            Self::Date => "date",
            Self::Boolean => "boolean",
            Self::User => "user",
        }
    }

    /// Whether an attribute of that type can hold it.
    fn fits(self, attribute: &AttributeFacts) -> bool {
        let user = matches!(attribute.persona.as_str(), "user" | "member");
        match attribute.kind.as_str() {
            // A text holds anything as it is written.
            "String" => !user,
            "Integer" if user => self == Self::User,
            // Not every definition says whose number it is.
            "Integer" => matches!(self, Self::Integer | Self::User),
            "Real" => matches!(self, Self::Real | Self::Integer),
            "Date" => self == Self::Date,
            "Boolean" => self == Self::Boolean,
            "User" => self == Self::User,
            _ => false,
        }
    }
}

/// Whose value counts when both sides have one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Truth {
    /// The source's.
    #[default]
    Iconik,
    /// The destination's: it is never overwritten.
    ContentServer,
    /// The one that was changed last.
    Newest,
    /// A person decides.
    Review,
}

impl Truth {
    /// Every answer, in the order in which they are named to people.
    pub const ALL: [Self; 4] = [
        Self::Iconik,
        Self::ContentServer,
        Self::Newest,
        Self::Review,
    ];

    /// The word in the settings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Iconik => "iconik",
            Self::ContentServer => "content-server",
            Self::Newest => "newest",
            Self::Review => "review",
        }
    }
}

/// A category as the destination defines it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CategoryFacts {
    /// Its id.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// What it consists of.
    pub attributes: Vec<AttributeFacts>,
}

/// An attribute as the destination defines it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AttributeFacts {
    /// Its id within the category, or within its set.
    pub id: i64,
    /// The set it is in.
    pub set: Option<SetFacts>,
    /// Its name.
    pub name: String,
    /// Its type in the destination's word.
    pub kind: String,
    /// `user` or `member` when the number it holds is one's id.
    pub persona: String,
    /// Whether it holds several values.
    pub multiple: bool,
    /// Whether nodes without it are refused.
    pub required: bool,
    /// Whether it refuses changes.
    pub read_only: bool,
    /// Most characters of a text.
    pub max_length: Option<u64>,
    /// The only values it takes, when it is a list.
    pub options: Vec<String>,
}

/// A set of attributes that come in rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SetFacts {
    /// Its id within the category.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// Most rows it has.
    pub rows: Option<u64>,
}

/// A declared field and the attribute behind its names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoundField {
    /// What is declared.
    pub map: FieldMap,
    /// The category's id.
    pub category: i64,
    /// The category's name.
    pub category_name: String,
    /// The attribute.
    pub attribute: AttributeFacts,
}

impl BoundField {
    /// Whether a key of its category is of this field.
    pub fn fills(&self, key: &str) -> bool {
        let Some(rest) = key.strip_prefix(&format!("{}_", self.category)) else {
            return false;
        };
        match &self.attribute.set {
            None => rest == self.attribute.id.to_string(),
            Some(set) => {
                let own = rest.strip_prefix(&format!("{}_", set.id));
                let row = own.and_then(|rest| rest.split_once('_'));
                row.is_some_and(|(_, id)| id == self.attribute.id.to_string())
            }
        }
    }
}

/// Every declared field, found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Binding {
    /// The fields, in the order declared.
    pub fields: Vec<BoundField>,
}

/// Something declared that does not fit what the destination defines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// The declared field.
    pub field: String,
    /// What is wrong and what to write instead.
    pub what: String,
}

/// Finds the attributes behind the names.
///
/// # Errors
///
/// Everything that does not fit, at once.
pub fn resolve(
    fields: &[FieldMap],
    categories: &[CategoryFacts],
) -> Result<Binding, Vec<Mismatch>> {
    let (mut bound, mut wrong) = (Vec::new(), Vec::new());
    for map in fields {
        match find(map, categories) {
            Ok(field) => bound.push(field),
            Err(what) => wrong.push(Mismatch {
                field: map.name.clone(),
                what,
            }),
        }
    }
    for (at, field) in bound.iter().enumerate() {
        let twin = bound[..at]
            .iter()
            .find(|other| other.category == field.category && other.attribute == field.attribute);
        if let Some(twin) = twin {
            wrong.push(Mismatch {
                field: field.map.name.clone(),
                what: format!(
                    "fills the same attribute as `{}`; one of the two has to go",
                    twin.map.name
                ),
            });
        }
    }
    if wrong.is_empty() {
        Ok(Binding { fields: bound })
    } else {
        Err(wrong)
    }
}

fn find(map: &FieldMap, categories: &[CategoryFacts]) -> Result<BoundField, String> {
    let same = |a: &str, b: &str| a.trim().eq_ignore_ascii_case(b.trim());
    let category = categories
        .iter()
        .find(|category| {
            same(&category.name, &map.category) || category.id.to_string() == map.category
        })
        .ok_or_else(|| {
            let names = categories.iter().map(|category| category.name.as_str());
            format!("names the category {:?}, {}", map.category, there_is(names))
        })?;
    let in_set = |attribute: &&AttributeFacts| match (&map.set, &attribute.set) {
        (None, None) => true,
        (Some(wanted), Some(set)) => same(&set.name, wanted),
        _ => false,
    };
    if let Some(wanted) = &map.set {
        let mut sets = category.attributes.iter().filter_map(|a| a.set.as_ref());
        if !sets.any(|set| same(&set.name, wanted)) {
            let sets = category.attributes.iter().filter_map(|a| a.set.as_ref());
            return Err(format!(
                "names the set {wanted:?} in category {:?}, {}",
                category.name,
                there_is(sets.map(|set| set.name.as_str()))
            ));
        }
    }
    let attribute = category
        .attributes
        .iter()
        .filter(in_set)
        .find(|attribute| same(&attribute.name, &map.attribute))
        .ok_or_else(|| {
            let names = category.attributes.iter().filter(in_set);
            format!(
                "names the attribute {:?} in category {:?}, {}",
                map.attribute,
                category.name,
                there_is(names.map(|attribute| attribute.name.as_str()))
            )
        })?;
    if !map.kind.fits(attribute) {
        return Err(format!(
            "is of type `{}`, but the attribute {:?} is a {}{}",
            map.kind.as_str(),
            attribute.name,
            attribute.kind,
            if attribute.persona.is_empty() {
                String::new()
            } else {
                format!(" ({})", attribute.persona)
            }
        ));
    }
    if attribute.read_only {
        return Err(format!(
            "fills the attribute {:?}, which is read-only",
            attribute.name
        ));
    }
    let outside =
        |value: &&String| !attribute.options.is_empty() && !attribute.options.contains(value);
    if let Some(value) = map.values.values().chain(&map.default).find(outside) {
        return Err(format!(
            "writes {value:?}, which is not in the attribute's list ({})",
            listed(attribute.options.iter().map(String::as_str))
        ));
    }
    Ok(BoundField {
        map: map.clone(),
        category: category.id,
        category_name: category.name.clone(),
        attribute: attribute.clone(),
    })
}

/// "which is not there; there is A, B and C".
fn there_is<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names = listed(names);
    if names.is_empty() {
        "and there is none at all".to_owned()
    } else {
        format!("which is not there; there is {names}")
    }
}

fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut names: Vec<&str> = names.collect();
    names.dedup();
    names.join(", ")
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn field(name: &str, attribute: &str, kind: FieldKind) -> FieldMap {
        FieldMap {
            name: name.into(),
            source: name.into(),
            category: "Media record".into(),
            set: None,
            attribute: attribute.into(),
            kind,
            values: BTreeMap::new(),
            default: None,
            required: false,
            truth: Truth::Iconik,
        }
    }

    pub(crate) fn category() -> CategoryFacts {
        let attribute = |id, name: &str, kind: &str| AttributeFacts {
            id,
            name: name.into(),
            kind: kind.into(),
            ..AttributeFacts::default()
        };
        let rights = Some(SetFacts {
            id: 8,
            name: "Rights".into(),
            rows: Some(3),
        });
        CategoryFacts {
            id: 900,
            name: "Media record".into(),
            attributes: vec![
                AttributeFacts {
                    max_length: Some(10),
                    ..attribute(2, "Campaign", "String")
                },
                attribute(3, "Expiry", "Date"),
                AttributeFacts {
                    multiple: true,
                    options: vec!["DE".into(), "AT".into()],
                    ..attribute(4, "Region", "String")
                },
                attribute(5, "Count", "Integer"),
                AttributeFacts {
                    persona: "user".into(),
                    ..attribute(6, "Owner", "Integer")
                },
                AttributeFacts {
                    read_only: true,
                    ..attribute(7, "Stamp", "String")
                },
                AttributeFacts {
                    set: rights,
                    ..attribute(2, "Party", "String")
                },
            ],
        }
    }

    #[test]
    fn names_are_found_whatever_their_case_and_a_category_by_its_id_too() {
        let mut by_id = field("expiry_date", "EXPIRY", FieldKind::Date);
        by_id.category = "900".into();
        let mut party = field("licensor", "Party", FieldKind::Text);
        party.set = Some("rights".into());
        let all = [field("campaign", "campaign", FieldKind::Text), by_id, party];
        let binding = resolve(&all, &[category()]).unwrap();
        let ids: Vec<i64> = binding.fields.iter().map(|f| f.attribute.id).collect();
        assert_eq!(ids, [2, 3, 2]);
        assert_eq!(binding.fields[2].attribute.set.as_ref().unwrap().id, 8);
    }

    #[test]
    fn everything_that_does_not_fit_is_said_at_once_with_what_there_is() {
        let mut elsewhere = field("a", "Campaign", FieldKind::Text);
        elsewhere.category = "Medium record".into();
        let mut no_set = field("b", "Party", FieldKind::Text);
        no_set.set = Some("Parties".into());
        let mut outside = field("g", "Region", FieldKind::Text);
        outside.values.insert("France".into(), "FR".into());
        let all = [
            elsewhere,
            no_set,
            field("c", "Party", FieldKind::Text),
            field("d", "Expiry", FieldKind::Text),
            field("e", "Stamp", FieldKind::Text),
            field("f", "Owner", FieldKind::Integer),
            outside,
            field("h", "Campaign", FieldKind::Text),
            field("i", "campaign", FieldKind::Text),
        ];
        let wrong = resolve(&all, &[category()]).unwrap_err();
        let said = |name: &str| {
            let found = wrong.iter().find(|mismatch| mismatch.field == name);
            found
                .map_or("", |mismatch| mismatch.what.as_str())
                .to_owned()
        };
        assert!(said("a").contains("there is Media record"), "{}", said("a"));
        assert!(said("b").contains("there is Rights"), "{}", said("b"));
        assert!(
            said("c").contains("there is Campaign, Expiry"),
            "{}",
            said("c")
        );
        assert!(said("d").contains("is a Date"), "{}", said("d"));
        assert!(said("e").contains("read-only"), "{}", said("e"));
        assert!(said("f").contains("(user)"), "{}", said("f"));
        assert!(said("g").contains("DE, AT"), "{}", said("g"));
        assert!(
            said("i").contains("the same attribute as `h`"),
            "{}",
            said("i")
        );
        assert_eq!(wrong.len(), 8);
    }
}
