//! `[lifecycle]`: what means obsolete, superseded or expired, and what follows.

use std::collections::BTreeMap;

use super::layers::{Reader, Reported};
use super::raw::Raw;
use super::record::{name_or_id, one_of};
use super::sections::{Parsed, node, text, wrong, yes_or_no};
use super::table::{Entries, named};
use crate::flows::lifecycle::{Archive, Mark, Outcome};
use crate::types::{NodeId, StorageId};

/// `[lifecycle]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LifecycleSettings {
    /// The field whose values are marks.
    pub status: Option<(String, BTreeMap<String, Mark>)>,
    /// The relation by which an asset supersedes another.
    pub relation: Option<String>,
    /// The field with the last day of use.
    pub expiry: Option<String>,
    /// The record's status for a mark.
    pub record_status: BTreeMap<Mark, String>,
    /// The attribute that is told the mark.
    pub attribute: Option<AttributeSettings>,
    /// Days until a marked record is to be reviewed.
    pub review_days: Option<u32>,
    /// Type of the cross-reference from a superseded record to its successor.
    pub cross_reference: Option<String>,
    /// Where Content Server's outcome is read.
    pub outcome: Option<DispositionSettings>,
    /// What archiving does in iconik.
    pub archive: Archive,
    /// Whether anything may be destroyed.
    pub destroy: bool,
    /// Folders below the target for certificates.
    pub certificates: Vec<String>,
}

/// An attribute that is told the mark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttributeSettings {
    /// The category, by name or id.
    pub category: String,
    /// The attribute.
    pub attribute: String,
    /// The attribute with the day, of the same category.
    pub date: Option<String>,
    /// The attribute's word for a mark.
    pub values: BTreeMap<Mark, String>,
}

/// Where Content Server's outcome is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DispositionSettings {
    /// The place.
    pub place: OutcomePlace,
    /// The outcome behind each of its words.
    pub values: BTreeMap<String, Outcome>,
}

/// A place in Content Server that has an outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutcomePlace {
    /// An attribute, by category and name.
    Attribute(String, String),
    /// The next action of the record's retention schedule, once it is due.
    Schedule,
    /// The reviews of a disposition search, and whether longhaul starts it.
    Disposition(NodeId, bool),
}

pub(super) fn lifecycle(reader: &mut Reader) -> Result<LifecycleSettings, Reported> {
    let status = reader.optional("lifecycle.status", status);
    let relation = reader.optional("lifecycle.relation", text);
    let expiry = reader.optional("lifecycle.expiry", text);
    let record_status = reader.optional("lifecycle.record_status", by_mark);
    let attribute = reader.optional("lifecycle.attribute", attribute);
    let review_days = reader.optional("lifecycle.review_days", days);
    let cross_reference = reader.optional("lifecycle.cross_reference", text);
    let outcome = reader.optional("lifecycle.outcome", outcome);
    let archive = reader.get("lifecycle.archive", archive);
    let destroy = reader.get("lifecycle.destroy", yes_or_no);
    let certificates = reader.get("lifecycle.certificates", |raw| {
        let path = text(raw)?;
        let names = path.split('/').map(str::trim);
        Ok(names
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect())
    });
    Ok(LifecycleSettings {
        status: status?,
        relation: relation?,
        expiry: expiry?,
        record_status: record_status?.unwrap_or_default(),
        attribute: attribute?,
        review_days: review_days?,
        cross_reference: cross_reference?,
        outcome: outcome?,
        archive: archive?,
        destroy: destroy?,
        certificates: certificates?,
    })
}

fn mark(raw: &Raw) -> Parsed<Mark> {
    one_of(raw, &Mark::ALL, Mark::as_str)
}

fn days(raw: &Raw) -> Parsed<u32> {
    let number = match raw {
        Raw::Integer(number) => u32::try_from(*number).ok(),
        Raw::Word(word) => word.trim().parse().ok(),
        _ => None,
    };
    match number {
        Some(number) if (1..=36_500).contains(&number) => Ok(number),
        _ => wrong("a number of days from 1 to 36500", raw),
    }
}

fn by_mark(raw: &Raw) -> Parsed<BTreeMap<Mark, String>> {
    let mut entries = Entries::of(raw, "a table { obsolete, superseded, expired }")?;
    let values: Vec<(Mark, Option<String>)> = Mark::ALL
        .into_iter()
        .map(|mark| (mark, entries.optional(mark.as_str(), text)))
        .collect();
    entries.finish(|| {
        let given = values.into_iter();
        Some(
            given
                .filter_map(|(mark, word)| Some((mark, word?)))
                .collect(),
        )
    })
}

fn status(raw: &Raw) -> Parsed<(String, BTreeMap<String, Mark>)> {
    let mut entries = Entries::of(raw, "a table { field, values }")?;
    let field = entries.needed("field", text);
    let values = entries.needed("values", |raw| {
        named(
            raw,
            "a table of obsolete, superseded or expired by the field's value",
            |_, raw| mark(raw),
        )
    });
    entries.finish(|| Some((field?, values?.into_iter().collect())))
}

fn attribute(raw: &Raw) -> Parsed<AttributeSettings> {
    let mut entries = Entries::of(raw, "a table { category, attribute, date, values }")?;
    let category = entries.needed("category", name_or_id);
    let attribute = entries.needed("attribute", text);
    let date = entries.optional("date", text);
    let values = entries.needed("values", by_mark);
    entries.finish(|| {
        Some(AttributeSettings {
            category: category?,
            attribute: attribute?,
            date,
            values: values?,
        })
    })
}

fn outcome(raw: &Raw) -> Parsed<DispositionSettings> {
    #[derive(Clone, Copy)]
    enum From {
        Attribute,
        Schedule,
        Disposition,
    }
    let mut entries = Entries::of(
        raw,
        "a table { from, category, attribute, search, start, values }",
    )?;
    let from = entries.needed("from", |raw| {
        let all = [From::Attribute, From::Schedule, From::Disposition];
        one_of(raw, &all, |from| match from {
            From::Attribute => "attribute",
            From::Schedule => "schedule",
            From::Disposition => "disposition",
        })
    });
    let category = entries.optional("category", name_or_id);
    let attribute = entries.optional("attribute", text);
    let search = entries.optional("search", node);
    let start = entries.optional("start", yes_or_no);
    let values = entries.needed("values", |raw| {
        named(
            raw,
            "a table of retain, archive or destroy by Content Server's word",
            |_, raw| one_of(raw, &Outcome::ALL, Outcome::as_str),
        )
    });
    if start.is_some() && search.is_none() {
        entries.refuse("takes `start` with a `search` only".to_owned());
    }
    let start = start.unwrap_or_default();
    let place = match (from, category, attribute, search) {
        (Some(From::Attribute), Some(category), Some(attribute), None) => {
            Some(OutcomePlace::Attribute(category, attribute))
        }
        (Some(From::Schedule), None, None, None) => Some(OutcomePlace::Schedule),
        (Some(From::Disposition), None, None, Some(search)) => {
            Some(OutcomePlace::Disposition(search, start))
        }
        (None, ..) => None,
        _ => {
            entries.refuse(
                "takes `category` and `attribute` with `from = \"attribute\"`, `search` with `from = \"disposition\"`, and neither with `from = \"schedule\"`"
                    .to_owned(),
            );
            None
        }
    };
    entries.finish(|| {
        let values = values?.into_iter();
        Some(DispositionSettings {
            place: place?,
            values: values
                .map(|(word, outcome)| (word.trim().to_lowercase(), outcome))
                .collect(),
        })
    })
}

fn archive(raw: &Raw) -> Parsed<Archive> {
    match raw.as_text().map(str::trim) {
        Some("nothing") => return Ok(Archive::Nothing),
        Some("status") => return Ok(Archive::Status),
        _ => {}
    }
    let mut entries = Entries::of(raw, "`status`, `nothing`, or a table { storage }")?;
    let storage = entries.needed("storage", text);
    entries.finish(|| Some(Archive::Storage(StorageId(storage?))))
}

#[cfg(test)]
mod tests {
    use super::super::tests::read;
    use super::*;

    #[test]
    fn nothing_is_destroyed_or_even_watched_unless_it_is_said() {
        let lifecycle = read("").unwrap().lifecycle;
        assert!(!lifecycle.destroy);
        assert_eq!(lifecycle.archive, Archive::Status);
        assert!(lifecycle.status.is_none() && lifecycle.outcome.is_none());
    }

    #[test]
    fn a_disposition_search_is_started_only_when_it_is_said() {
        let of = |start: &str| {
            let outcome = format!(
                "[lifecycle]\noutcome = {{ from = \"disposition\", search = 7{start}, values = {{ x = \"retain\" }} }}"
            );
            read(&outcome).unwrap().lifecycle.outcome.unwrap().place
        };
        assert_eq!(of(""), OutcomePlace::Disposition(NodeId(7), false));
        assert_eq!(
            of(", start = true"),
            OutcomePlace::Disposition(NodeId(7), true)
        );
    }

    #[test]
    fn what_cannot_be_meant_is_said_with_what_can() {
        for (text, said) in [
            (
                "status = { field = \"s\", values = { a = \"old\" } }",
                "`obsolete`",
            ),
            (
                "record_status = { obsolet = \"X\" }",
                "did you mean `obsolete`",
            ),
            ("review_days = 0", "a number of days from 1"),
            (
                "outcome = { from = \"schedule\", search = 7, values = {} }",
                "takes `category`",
            ),
            (
                "outcome = { from = \"schedule\", start = true, values = {} }",
                "takes `start` with a `search` only",
            ),
            (
                "outcome = { from = \"schedule\", values = { x = \"burn\" } }",
                "`destroy`",
            ),
            ("archive = \"tape\"", "`nothing`"),
            ("destroy = \"yes\"", "true or false"),
        ] {
            let section = format!("[lifecycle]\n{text}");
            let problems = read(&section).map(|_| ()).unwrap_err();
            assert!(problems.contains(said), "{text}: {problems}");
        }
    }
}
