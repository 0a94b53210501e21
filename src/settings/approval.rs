//! `[approval]`: which workflow an asset goes into, and who is told what came of it.

use std::collections::BTreeMap;

use super::layers::{Reader, Reported};
use super::raw::{Located, Raw};
use super::record::{approved, name_or_id};
use super::sections::{Parsed, list, text, wrong, yes_or_no};
use super::table::{Entries, named};
use crate::flows::approval::TELLABLE;
use crate::flows::publish::Approved;
use crate::sidecar::mapping::{FieldKind, FieldMap, Truth};

/// `[approval]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApprovalSettings {
    /// When a filed asset is ready.
    pub when: Approved,
    /// The ways, in order.
    pub routes: Vec<RouteSettings>,
    /// Where the outcome is read.
    pub outcome: OutcomeSettings,
    /// The attribute on the document, and its words.
    pub mark: Option<MarkSettings>,
    /// The view that is told, and what goes to which field of it.
    pub tell: Option<(String, Vec<(String, String)>)>,
    /// Whether iconik's review gets a vote.
    pub vote: bool,
}

/// A way that an asset may go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteSettings {
    /// What people call it.
    pub name: String,
    /// The workflow map, by name or node id.
    pub map: String,
    /// Values by field.
    pub when: BTreeMap<String, Vec<String>>,
    /// Templates by label or key of the form.
    pub form: BTreeMap<String, String>,
}

/// Where the outcome is read, and its words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutcomeSettings {
    /// Where.
    pub from: OutcomeFrom,
    /// Words that mean yes.
    pub approved: Vec<String>,
    /// Words that mean no.
    pub rejected: Vec<String>,
}

/// Where the outcome is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutcomeFrom {
    /// The actions of activities.
    Activities,
    /// What people wrote.
    Comments,
    /// The audit's messages.
    Audit,
    /// The steps' names.
    Steps,
    /// An attribute of the workflow.
    Attribute(String),
    /// An attribute of the document.
    Document(Box<FieldMap>),
}

/// The attribute on the document that says how far its approval is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MarkSettings {
    /// The attribute.
    pub field: FieldMap,
    /// Its word while a process runs.
    pub running: Option<String>,
    /// Its word when it is approved.
    pub approved: Option<String>,
    /// Its word when it is rejected.
    pub rejected: Option<String>,
}

const FROM: [&str; 6] = [
    "activities",
    "comments",
    "audit",
    "steps",
    "attribute",
    "document",
];

impl Default for OutcomeSettings {
    fn default() -> Self {
        let words = |all: [&str; 2]| all.map(str::to_owned).to_vec();
        Self {
            from: OutcomeFrom::Activities,
            approved: words(["Approve", "Approved"]),
            rejected: words(["Reject", "Rejected"]),
        }
    }
}

pub(super) fn read(reader: &mut Reader) -> Result<ApprovalSettings, Reported> {
    let when = reader.get("approval.when", approved);
    let routes = reader.optional("approval.routes", routes);
    let outcome = reader.optional("approval.outcome", outcome);
    let mark = reader.optional("approval.mark", mark);
    let tell = reader.optional("approval.tell", tell);
    let vote = reader.get("approval.vote", yes_or_no);
    Ok(ApprovalSettings {
        when: when?,
        routes: routes?.unwrap_or_default(),
        outcome: outcome?.unwrap_or_default(),
        mark: mark?,
        tell: tell?,
        vote: vote?,
    })
}

fn routes(raw: &Raw) -> Parsed<Vec<RouteSettings>> {
    let Raw::List(elements) = raw else {
        return wrong("an array of tables { name, map, when, form }", raw);
    };
    let (mut routes, mut wrongs) = (Vec::new(), Vec::new());
    for Located { raw, line } in elements {
        match route(raw) {
            Ok(route) => routes.push(route),
            Err(more) => {
                let nth = (routes.len() + 1).to_string();
                wrongs.extend(more.into_iter().map(|own| own.inside(&nth, *line)));
            }
        }
    }
    if wrongs.is_empty() {
        Ok(routes)
    } else {
        Err(wrongs)
    }
}

fn route(raw: &Raw) -> Parsed<RouteSettings> {
    let mut entries = Entries::of(raw, "a table { name, map, when, form }")?;
    let name = entries.needed("name", text);
    let map = entries.needed("map", name_or_id);
    let when = entries.optional("when", |raw| {
        named(
            raw,
            "a table of lists of values by field",
            |_, raw| match raw {
                Raw::List(_) => list(text)(raw),
                raw => text(raw).map(|value| vec![value]),
            },
        )
    });
    let form = entries.optional("form", |raw| {
        named(
            raw,
            "a table of templates by the form's label or key",
            |_, raw| text(raw),
        )
    });
    entries.finish(|| {
        Some(RouteSettings {
            name: name?,
            map: map?,
            when: when.unwrap_or_default().into_iter().collect(),
            form: form.unwrap_or_default().into_iter().collect(),
        })
    })
}

fn outcome(raw: &Raw) -> Parsed<OutcomeSettings> {
    let mut entries = Entries::of(
        raw,
        "a table { from, attribute, category, set, approved, rejected }",
    )?;
    let from = entries.needed("from", |raw| {
        let word = raw.as_text().map(str::trim).unwrap_or_default();
        match FROM.iter().find(|own| **own == word) {
            Some(found) => Ok(*found),
            None => wrong(format!("one of `{}`", FROM.join("`, `")), raw),
        }
    });
    let attribute = entries.optional("attribute", text);
    let category = entries.optional("category", name_or_id);
    let set = entries.optional("set", text);
    let words = OutcomeSettings::default();
    let approved = entries.optional("approved", list(text));
    let rejected = entries.optional("rejected", list(text));
    let from = match (from, attribute, category) {
        (Some("attribute"), Some(attribute), _) => Some(OutcomeFrom::Attribute(attribute)),
        (Some("document"), Some(attribute), Some(category)) => Some(OutcomeFrom::Document(
            Box::new(attribute_of("outcome", category, set, attribute)),
        )),
        (Some("attribute"), None, _) => {
            entries.refuse(
                "reads an attribute of the workflow; it lacks the entry `attribute`".to_owned(),
            );
            None
        }
        (Some("document"), ..) => {
            entries.refuse(
                "reads an attribute of the document; it needs the entries `category` and `attribute`"
                    .to_owned(),
            );
            None
        }
        (Some("comments"), ..) => Some(OutcomeFrom::Comments),
        (Some("audit"), ..) => Some(OutcomeFrom::Audit),
        (Some("steps"), ..) => Some(OutcomeFrom::Steps),
        (Some(_), ..) => Some(OutcomeFrom::Activities),
        (None, ..) => None,
    };
    let approved = approved.unwrap_or(words.approved);
    let rejected = rejected.unwrap_or(words.rejected);
    let twice = approved.iter().find(|word| {
        rejected
            .iter()
            .any(|other| other.eq_ignore_ascii_case(word))
    });
    if let Some(word) = twice {
        entries.refuse(format!("has the word {word:?} for both yes and no"));
    }
    entries.finish(|| {
        Some(OutcomeSettings {
            from: from?,
            approved,
            rejected,
        })
    })
}

fn mark(raw: &Raw) -> Parsed<MarkSettings> {
    let mut entries = Entries::of(
        raw,
        "a table { category, set, attribute, running, approved, rejected }",
    )?;
    let category = entries.needed("category", name_or_id);
    let set = entries.optional("set", text);
    let attribute = entries.needed("attribute", text);
    let running = entries.optional("running", text);
    let approved = entries.optional("approved", text);
    let rejected = entries.optional("rejected", text);
    if running.is_none() && approved.is_none() && rejected.is_none() {
        entries.refuse("has no word; it takes `running`, `approved`, `rejected`".to_owned());
    }
    entries.finish(|| {
        Some(MarkSettings {
            field: attribute_of("mark", category?, set, attribute?),
            running,
            approved,
            rejected,
        })
    })
}

fn tell(raw: &Raw) -> Parsed<(String, Vec<(String, String)>)> {
    let mut entries = Entries::of(raw, &format!("a table {{ view, {} }}", TELLABLE.join(", ")))?;
    let view = entries.needed("view", text);
    let mut fields = Vec::new();
    for what in TELLABLE {
        if let Some(field) = entries.optional(what, text) {
            fields.push((what.to_owned(), field));
        }
    }
    if fields.is_empty() {
        entries.refuse(format!("names no field; it takes {}", TELLABLE.join(", ")));
    }
    entries.finish(|| Some((view?, fields)))
}

/// An attribute by the names that people see.
fn attribute_of(name: &str, category: String, set: Option<String>, attribute: String) -> FieldMap {
    FieldMap {
        name: name.to_owned(),
        source: String::new(),
        category,
        set,
        attribute,
        kind: FieldKind::Text,
        values: BTreeMap::new(),
        default: None,
        required: false,
        truth: Truth::ContentServer,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::read;
    use super::*;

    #[test]
    fn unset_it_waits_for_the_review_and_reads_what_people_did() {
        let read = read("").unwrap().approval;
        assert_eq!(read.when, Approved::Review);
        assert!(read.routes.is_empty() && read.mark.is_none() && !read.vote);
        assert_eq!(read.outcome.from, OutcomeFrom::Activities);
    }

    #[test]
    fn routes_outcome_mark_and_fields_are_read_from_tables() {
        let read = read(
            "[approval]\nvote = true\n\
             outcome = { from = \"document\", category = 900, attribute = \"State\", approved = [\"ok\"] }\n\
             mark = { category = \"Media\", attribute = \"Approval\", rejected = \"no\" }\n\
             tell = { view = \"v\", status = \"approval\" }\n\
             [[approval.routes]]\nname = \"legal\"\nmap = 6686\nwhen = { rights = \"restricted\", region = [\"AT\", \"DE\"] }\n\
             form = { Campaign = \"{campaign}\" }\n\
             [[approval.routes]]\nname = \"rest\"\nmap = \"Marketing\"\n",
        )
        .unwrap()
        .approval;
        let names: Vec<&str> = read
            .routes
            .iter()
            .map(|route| route.name.as_str())
            .collect();
        assert_eq!(names, ["legal", "rest"]);
        assert_eq!(read.routes[0].map, "6686");
        assert_eq!(read.routes[0].when["region"], ["AT", "DE"]);
        assert!(matches!(&read.outcome.from,
            OutcomeFrom::Document(field) if field.category == "900" && field.attribute == "State"));
        assert_eq!(read.outcome.approved, ["ok"]);
        assert_eq!(read.tell.unwrap().1.len(), 1);
    }

    #[test]
    fn everything_wrong_is_said_with_its_place() {
        let said = read(
            "[approval]\noutcome = { from = \"attribute\", approved = [\"yes\"], rejected = [\"Yes\"] }\n\
             mark = { category = \"Media\", attribute = \"Approval\" }\n\
             tell = { view = \"v\" }\n\
             [[approval.routes]]\nname = \"legal\"\nmapp = 1\n",
        )
        .unwrap_err();
        for expected in [
            "lacks the entry `attribute`",
            "\"yes\" for both",
            "has no word",
            "names no field",
            "did you mean `map`",
        ] {
            assert!(said.contains(expected), "{expected}: {said}");
        }
        let said = read("[approval]\noutcome = { from = \"mail\" }\nroutes = \"legal\"\n");
        let said = said.unwrap_err();
        assert!(said.contains("`activities`, `comments`"), "{said}");
        assert!(said.contains("an array of tables"), "{said}");
    }
}
