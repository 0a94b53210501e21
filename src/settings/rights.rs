//! `[rights]`: which fields hold a licence, and which papers prove it.

use std::collections::BTreeMap;

use super::layers::{Reader, Reported};
use super::raw::Raw;
use super::record::folders;
use super::sections::{Parsed, list, node, text, wrong, yes_or_no};
use super::table::{Entries, named};
use crate::flows::publish::Template;
use crate::flows::rights::{PaperRule, PaperSource, Required};
use crate::sidecar::rights::terms::Facet;
use crate::sidecar::rights::{LicenceFields, RightsFields};

/// `[rights]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RightsSettings {
    /// Which field of iconik says what about a licence, and what its words mean.
    pub fields: RightsFields,
    /// Papers that prove it.
    pub papers: Vec<PaperRule>,
    /// Folders below the target that papers are filed in.
    pub papers_place: Vec<String>,
    /// The kind of cross-reference from a record to its papers.
    pub cross_reference: Option<String>,
    /// Whether shortcuts to its papers are kept beside a record.
    pub shortcuts: bool,
    /// What a record's rights sidecar is beyond a document beside it.
    pub sidecar: RightsSidecar,
}

/// What a record's rights sidecar is. It is a document beside the master in any case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum RightsSidecar {
    /// Nothing more.
    #[default]
    Document,
    /// A related item of the record, by `rights.cross_reference`.
    Related,
    /// A rendition of the master of this type too.
    Rendition(String),
}

pub(super) fn rights(reader: &mut Reader) -> Result<RightsSettings, Reported> {
    let fields = reader.optional("rights.fields", |raw| by_facet(raw, text));
    let words = reader.optional("rights.words", |raw| {
        by_facet(raw, |raw| {
            let words = named(
                raw,
                "a table of texts or lists by word",
                |_, raw| match raw {
                    Raw::List(_) => list(text)(raw),
                    raw => text(raw).map(|word| vec![word]),
                },
            )?;
            Ok(words.into_iter().collect::<BTreeMap<_, _>>())
        })
    });
    let licences = reader.optional("rights.licences", |raw| {
        named(raw, "a table of licences by name", licence)
    });
    let papers = reader.optional("rights.papers", |raw| {
        named(raw, "a table of kinds of papers by name", paper)
    });
    let place = reader.get("rights.papers_place", |raw| {
        text(raw).map(|path| folders(&path))
    });
    let cross_reference = reader.optional("rights.cross_reference", text);
    let shortcuts = reader.get("rights.shortcuts", yes_or_no);
    let sidecar = reader.get("rights.sidecar", sidecar);
    let (cross_reference, sidecar) = (cross_reference?, sidecar?);
    if sidecar == RightsSidecar::Related && cross_reference.is_none() {
        return Err(reader.problem(
            "rights.sidecar",
            "`rights.sidecar` is \"related\" and `rights.cross_reference` does not say by which kind; add it, as records management defines it",
        ));
    }
    Ok(RightsSettings {
        fields: RightsFields {
            fields: fields?.unwrap_or_default(),
            words: words?.unwrap_or_default(),
            licences: licences?
                .unwrap_or_default()
                .into_iter()
                .map(|(_, licence)| licence)
                .collect(),
        },
        papers: papers?
            .unwrap_or_default()
            .into_iter()
            .map(|(_, paper)| paper)
            .collect(),
        papers_place: place?,
        cross_reference,
        shortcuts: shortcuts?,
        sidecar,
    })
}

fn sidecar(raw: &Raw) -> Parsed<RightsSidecar> {
    let wanted = "document, related, or a table { rendition = \"TYPE\" }";
    if let Raw::Table(_) = raw {
        let mut entries = Entries::of(raw, wanted)?;
        let kind = entries.needed("rendition", |raw| match text(raw)? {
            kind if kind.trim().is_empty() => wrong("a type of renditions", raw),
            kind => Ok(kind),
        });
        return entries.finish(|| Some(RightsSidecar::Rendition(kind?)));
    }
    match text(raw)?.as_str() {
        "document" => Ok(RightsSidecar::Document),
        "related" => Ok(RightsSidecar::Related),
        _ => wrong(wanted, raw),
    }
}

/// A table whose entries are about facets of a licence.
fn by_facet<T>(raw: &Raw, parse: impl Fn(&Raw) -> Parsed<T>) -> Parsed<BTreeMap<Facet, T>> {
    let names = Facet::ALL.map(Facet::as_str).join(", ");
    let mut entries = Entries::of(raw, &format!("a table with entries of {names}"))?;
    let mut all = BTreeMap::new();
    for facet in Facet::ALL {
        if let Some(value) = entries.optional(facet.as_str(), &parse) {
            all.insert(facet, value);
        }
    }
    entries.finish(|| Some(all))
}

fn licence(name: &str, raw: &Raw) -> Parsed<LicenceFields> {
    let mut entries = Entries::of(raw, "a table { fields, rows | relation }")?;
    let fields = entries.needed("fields", |raw| {
        let fields = by_facet(raw, text)?;
        if fields.is_empty() {
            return wrong("at least one field that is this licence's own", raw);
        }
        Ok(fields)
    });
    let rows = entries.optional("rows", yes_or_no);
    let relation = entries.optional("relation", text);
    entries.finish(|| {
        Some(LicenceFields {
            name: name.to_owned(),
            fields: fields?,
            rows: rows.unwrap_or_default(),
            relation,
        })
    })
}

/// Roles that papers can have.
const ROLES: [&str; 5] = [
    "licence",
    "talent-release",
    "location-release",
    "music-licence",
    "usage-restriction",
];

fn paper(name: &str, raw: &Raw) -> Parsed<PaperRule> {
    let mut entries = Entries::of(
        raw,
        "a table { role, relation | format | field | folder, files, required }",
    )?;
    let role = entries.needed("role", |raw| {
        let role = text(raw)?;
        if ROLES.contains(&role.as_str()) {
            return Ok(role);
        }
        wrong(format!("one of {}", ROLES.join(", ")), raw)
    });
    let sources = [
        entries
            .optional("relation", text)
            .map(PaperSource::Relation),
        entries.optional("format", text).map(PaperSource::Format),
        entries.optional("field", text).map(PaperSource::Field),
        entries.optional("folder", node).map(PaperSource::Folder),
    ];
    let files = entries.optional("files", |raw| {
        let pattern = text(raw)?;
        Template::parse(&pattern).or_else(|error| wrong(error, raw))
    });
    let required = entries.optional("required", required);
    let mut sources = sources.into_iter().flatten();
    let source = sources.next();
    if source.is_none() || sources.next().is_some() {
        entries.refuse(
            "takes exactly one of `relation` (of iconik assets), `format` (of the asset's files), `field` (with node ids) and `folder` (in Content Server)"
                .to_owned(),
        );
    }
    entries.finish(|| {
        Some(PaperRule {
            name: name.to_owned(),
            role: role?,
            source: source?,
            files,
            required: required.unwrap_or_default(),
        })
    })
}

fn required(raw: &Raw) -> Parsed<Required> {
    if let Ok(always) = yes_or_no(raw) {
        return Ok(if always {
            Required::Always
        } else {
            Required::Never
        });
    }
    let mut entries = Entries::of(raw, "true, false, or a table { field, values }")?;
    let field = entries.needed("field", text);
    let values = entries.needed("values", list(text));
    entries.finish(|| {
        Some(Required::When {
            field: field?,
            values: values?,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::read;
    use super::*;
    use crate::types::NodeId;

    #[test]
    fn a_licence_has_fields_words_and_papers() {
        let rights = read(
            "[rights]\nfields = { ends = \"expires_on\", regions = \"region\" }\n\
             words = { regions = { DACH = [\"DE\", \"AT\", \"CH\"], Austria = \"AT\" } }\n\
             [rights.licences.tv]\nfields = { media = \"tv_media\", ends = \"tv_until\" }\nrows = true\n\
             [rights.papers.model]\nrole = \"talent-release\"\nrelation = \"RELEASE\"\n\
             required = { field = \"talent\", values = [\"yes\"] }\n\
             [rights.papers.deal]\nrole = \"licence\"\nfolder = 77\nfiles = \"*{campaign}*.pdf\"\nrequired = true\n",
        )
        .unwrap()
        .rights;
        assert_eq!(rights.fields.fields[&Facet::Ends], "expires_on");
        assert_eq!(rights.fields.words[&Facet::Regions]["Austria"], ["AT"]);
        let tv = &rights.fields.licences[0];
        assert_eq!((tv.name.as_str(), tv.rows), ("tv", true));
        assert_eq!(tv.fields[&Facet::Ends], "tv_until");
        assert_eq!(rights.papers_place, ["Rights papers"]);
        let deal = rights
            .papers
            .iter()
            .find(|paper| paper.name == "deal")
            .unwrap();
        assert_eq!(
            (&deal.source, &deal.required),
            (&PaperSource::Folder(NodeId(77)), &Required::Always)
        );
        let model = rights
            .papers
            .iter()
            .find(|paper| paper.name == "model")
            .unwrap();
        assert!(matches!(&model.required, Required::When { field, .. } if field == "talent"));
    }

    #[test]
    fn slips_are_named_with_what_is_meant() {
        for (text, part) in [
            ("[rights]\nfields = { end = \"x\" }", "did you mean `ends`"),
            (
                "[rights.licences.tv]\nrows = true",
                "lacks the entry `fields`",
            ),
            ("[rights.licences.tv]\nfields = {}", "at least one field"),
            (
                "[rights.papers.a]\nrole = \"paper\"\nfield = \"x\"",
                "one of licence, talent-release",
            ),
            (
                "[rights.papers.a]\nrole = \"licence\"",
                "exactly one of `relation`",
            ),
            (
                "[rights.papers.a]\nrole = \"licence\"\nfield = \"x\"\nfolder = 7",
                "exactly one of `relation`",
            ),
            (
                "[rights.papers.a]\nrole = \"licence\"\nfield = \"x\"\nrequired = { field = \"y\" }",
                "lacks the entry `values`",
            ),
        ] {
            let said = read(text).unwrap_err();
            assert!(said.contains(part), "{said}");
        }
    }
}
