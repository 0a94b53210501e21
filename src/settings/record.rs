//! `[map]` and `[publish]`: how media become records.

use std::collections::{BTreeMap, BTreeSet};

use super::layers::{Reader, Reported};
use super::raw::Raw;
use super::sections::{Parsed, list, node, text, wrong, yes_or_no};
use super::table::{Entries, named};
use crate::content_server::{Right, Rights};
use crate::flows::publish::{Approved, ByValue, Template};
use crate::sidecar::mapping::{FieldKind, FieldMap, Truth};
use crate::types::NodeId;

/// `[publish]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishSettings {
    /// Which assets are final.
    pub approved: Approved,
    /// Folders below the target, such as `/{campaign}/{region}`; empty for the target itself.
    pub place: Vec<String>,
    /// The business workspace that takes the place of the target folder.
    pub workspace: Option<WorkspaceSettings>,
    /// Who may do what with a record.
    pub permissions: Option<Rights>,
    /// Who may do what with it instead, by a field's value.
    pub access: Option<ByValue<Rights>>,
    /// Classifications that a record gets.
    pub classifications: Vec<NodeId>,
    /// The records management classification that makes it a record.
    pub records_class: Option<ByValue<NodeId>>,
    /// Clearance level and supplemental markings by a field's value.
    pub security: Option<ByValue<(Option<i64>, Vec<String>)>>,
    /// Whether it is marked official.
    pub official: bool,
    /// Whether it is finalised.
    pub finalise: bool,
    /// What becomes of new content of a record that is finalised or held.
    pub locked: Locked,
    /// Whether a record follows the asset's new name.
    pub rename: bool,
    /// Whether a record moves when its place changes.
    pub relocate: bool,
    /// Where iconik is told what was filed.
    pub write_back: Option<WriteBackSettings>,
}

/// A business workspace that records are filed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkspaceSettings {
    /// The workspace type, by name.
    pub kind: String,
    /// The template new ones are made from, by name; the type's only one when unset.
    pub template: Option<String>,
    /// The workspace's name, a template such as `{campaign}`.
    pub name: String,
    /// The external object it stands for: system, type, and a template for the id.
    pub external: Option<(String, String, String)>,
    /// Whether a missing one is created.
    pub create: bool,
    /// Mapped fields whose values a new one gets.
    pub fields: Vec<String>,
    /// Who takes part in it: ids of members by role.
    pub participants: BTreeMap<String, Vec<i64>>,
}

/// What becomes of new content of a record that is finalised or held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Locked {
    /// It waits for a person.
    Hold,
    /// It is filed as a document of its own that supersedes the record.
    Supersede,
}

/// Fields of an iconik metadata view that are told what was filed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriteBackSettings {
    /// The view.
    pub view: String,
    /// Facts by the field they go to: `record`, `version`, `link`, `sha256`, `proof`, `filed`.
    pub fields: Vec<(String, String)>,
}

/// The facts that can be told to iconik.
pub const FACTS: [&str; 6] = ["record", "version", "link", "sha256", "proof", "filed"];

pub(super) fn map(reader: &mut Reader) -> Result<Vec<FieldMap>, Reported> {
    let fields = reader.optional("map.fields", |raw| {
        named(raw, "a table of fields by name", field)
    })?;
    let fields = fields.unwrap_or_default().into_iter();
    Ok(fields
        .map(|(name, field)| FieldMap { name, ..field })
        .collect())
}

pub(super) fn field(name: &str, raw: &Raw) -> Parsed<FieldMap> {
    let mut entries = Entries::of(
        raw,
        "a table { iconik, category, set, attribute, type, values, default, required, truth }",
    )?;
    let source = entries.optional("iconik", text);
    let category = entries.needed("category", name_or_id);
    let set = entries.optional("set", text);
    let attribute = entries.needed("attribute", text);
    let kind = entries.optional("type", |raw| {
        one_of(raw, &FieldKind::ALL, FieldKind::as_str)
    });
    let values = entries.optional("values", |raw| {
        named(raw, "a table of texts by text", |_, raw| text(raw))
    });
    let default = entries.optional("default", text);
    let required = entries.optional("required", yes_or_no);
    let truth = entries.optional("truth", |raw| one_of(raw, &Truth::ALL, Truth::as_str));
    entries.finish(|| {
        Some(FieldMap {
            name: name.to_owned(),
            source: source.unwrap_or_else(|| name.to_owned()),
            category: category?,
            set,
            attribute: attribute?,
            kind: kind.unwrap_or_default(),
            values: values.unwrap_or_default().into_iter().collect(),
            default,
            required: required.unwrap_or_default(),
            truth: truth.unwrap_or_default(),
        })
    })
}

pub(super) fn publish(reader: &mut Reader) -> Result<PublishSettings, Reported> {
    let approved = reader.get("publish.approved", approved);
    let place = reader.optional("publish.place", |raw| {
        let folders = folders(&text(raw)?);
        match folders.iter().find_map(|name| Template::parse(name).err()) {
            Some(bad) => wrong(
                format!("a path such as \"/{{campaign}}/{{region}}\" (its folder {bad})"),
                raw,
            ),
            None => Ok(folders),
        }
    });
    let workspace = reader.optional("publish.workspace", workspace);
    let permissions = reader.optional("publish.permissions", permissions);
    let access = reader.optional("publish.access", access);
    let classifications = reader.optional("publish.classifications", list(node));
    let records_class = reader.optional("publish.records_class", records_class);
    let security = reader.optional("publish.security", security);
    let official = reader.get("publish.official", yes_or_no);
    let finalise = reader.get("publish.finalise", yes_or_no);
    let locked = reader.get("publish.locked", |raw| {
        one_of(
            raw,
            &[Locked::Hold, Locked::Supersede],
            |locked| match locked {
                Locked::Hold => "hold",
                Locked::Supersede => "supersede",
            },
        )
    });
    let rename = reader.get("publish.rename", yes_or_no);
    let relocate = reader.get("publish.relocate", yes_or_no);
    let write_back = reader.optional("publish.write_back", write_back);
    Ok(PublishSettings {
        approved: approved?,
        place: place?.unwrap_or_default(),
        workspace: workspace?,
        permissions: permissions?,
        access: access?,
        classifications: classifications?.unwrap_or_default(),
        records_class: records_class?,
        security: security?,
        official: official?,
        finalise: finalise?,
        locked: locked?,
        rename: rename?,
        relocate: relocate?,
        write_back: write_back?,
    })
}

pub(super) fn folders(path: &str) -> Vec<String> {
    let names = path.split('/').map(str::trim);
    names
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

pub(super) fn approved(raw: &Raw) -> Parsed<Approved> {
    match raw.as_text().map(str::trim) {
        Some("review") => return Ok(Approved::Review),
        Some("any") => return Ok(Approved::Any),
        _ => {}
    }
    let mut entries = Entries::of(
        raw,
        "`review` (approved in iconik), `any`, or a table { field, values }",
    )?;
    let field = entries.needed("field", text);
    let values = entries.needed("values", list(text));
    entries.finish(|| {
        Some(Approved::Field {
            field: field?,
            values: values?,
        })
    })
}

pub(super) fn workspace(raw: &Raw) -> Parsed<WorkspaceSettings> {
    let mut entries = Entries::of(
        raw,
        "a table { type, template, name, external_system, external_type, external_id, create, fields, participants }",
    )?;
    let kind = entries.needed("type", text);
    let template = entries.optional("template", text);
    let name = entries.needed("name", text);
    let system = entries.optional("external_system", text);
    let object = entries.optional("external_type", text);
    let id = entries.optional("external_id", text);
    let create = entries.optional("create", yes_or_no);
    let fields = entries.optional("fields", list(text));
    let participants = entries.optional("participants", |raw| {
        named(
            raw,
            "a table of lists of user and group ids by role",
            |_, raw| list(|raw: &Raw| node(raw).map(|id| id.0))(raw),
        )
    });
    let external = match (system, object, id) {
        (Some(system), Some(object), Some(id)) => Some((system, object, id)),
        (None, None, None) => None,
        _ => {
            entries.refuse(
                "has only some of `external_system`, `external_type` and `external_id`; they go together"
                    .to_owned(),
            );
            None
        }
    };
    entries.finish(|| {
        Some(WorkspaceSettings {
            kind: kind?,
            template,
            name: name?,
            external,
            create: create.unwrap_or(true),
            fields: fields.unwrap_or_default(),
            participants: participants.unwrap_or_default().into_iter().collect(),
        })
    })
}

fn permissions(raw: &Raw) -> Parsed<Rights> {
    let mut entries = Entries::of(
        raw,
        "a table { owner, owner_rights, group, group_rights, public, custom }",
    )?;
    let member = |raw: &Raw| node(raw).map(|id| id.0);
    let owner = entries.optional("owner", member);
    let owner_rights = entries.optional("owner_rights", rights);
    let group = entries.optional("group", member);
    let group_rights = entries.optional("group_rights", rights);
    let public = entries.optional("public", rights);
    let custom = entries.optional("custom", |raw| {
        named(
            raw,
            "a table of rights by the id of a user or group",
            |name, raw| match name.parse::<i64>() {
                Ok(id) if id > 0 => Ok((id, rights(raw)?)),
                _ => wrong(
                    format!("the id of a user or group as the entry's name, not {name:?}"),
                    raw,
                ),
            },
        )
    });
    entries.finish(|| {
        Some(Rights {
            owner,
            owner_rights,
            group,
            group_rights,
            public: public.unwrap_or_default(),
            custom: custom
                .unwrap_or_default()
                .into_iter()
                .map(|(_, right)| right)
                .collect(),
        })
    })
}

/// `none`, `read`, or a list of the server's rights.
fn rights(raw: &Raw) -> Parsed<BTreeSet<String>> {
    match raw.as_text().map(str::trim) {
        Some("none") => return Ok(BTreeSet::new()),
        Some("read") => {
            return Ok(["see", "see_contents"].map(str::to_owned).into());
        }
        _ => {}
    }
    let names = list(|raw: &Raw| {
        let name = text(raw)?;
        if Right::from_name(&name).is_some() {
            return Ok(name);
        }
        let names: Vec<&str> = Right::ALL.iter().map(|right| right.as_str()).collect();
        wrong(
            format!("`none`, `read`, or a list of {}", names.join(", ")),
            raw,
        )
    })(raw)?;
    Ok(names.into_iter().collect())
}

fn records_class(raw: &Raw) -> Parsed<ByValue<NodeId>> {
    if let Ok(id) = node(raw) {
        return Ok(ByValue {
            field: None,
            values: BTreeMap::new(),
            default: Some(id),
        });
    }
    let mut entries = Entries::of(
        raw,
        "the node id of a records management classification, or a table { field, values, default }",
    )?;
    let field = entries.needed("field", text);
    let values = entries.needed("values", |raw| {
        named(raw, "a table of node ids by the field's value", |_, raw| {
            node(raw)
        })
    });
    let default = entries.optional("default", node);
    entries.finish(|| {
        Some(ByValue {
            field: Some(field?),
            values: values?.into_iter().collect(),
            default,
        })
    })
}

fn access(raw: &Raw) -> Parsed<ByValue<Rights>> {
    let mut entries = Entries::of(raw, "a table { field, values }")?;
    let field = entries.needed("field", text);
    let values = entries.needed("values", |raw| {
        named(
            raw,
            "a table of permissions by the field's value",
            |_, raw| permissions(raw),
        )
    });
    entries.finish(|| {
        Some(ByValue {
            field: Some(field?),
            values: values?.into_iter().collect(),
            default: None,
        })
    })
}

fn security(raw: &Raw) -> Parsed<ByValue<(Option<i64>, Vec<String>)>> {
    let mut entries = Entries::of(raw, "a table { field, values }")?;
    let field = entries.needed("field", text);
    let values = entries.needed("values", |raw| {
        named(
            raw,
            "a table of { level, markings } by the field's value",
            |_, raw| {
                let mut entries = Entries::of(raw, "a table { level, markings }")?;
                let level = entries.optional("level", |raw| node(raw).map(|level| level.0));
                let markings = entries.optional("markings", list(text));
                entries.finish(|| Some((level, markings.unwrap_or_default())))
            },
        )
    });
    entries.finish(|| {
        Some(ByValue {
            field: Some(field?),
            values: values?.into_iter().collect(),
            default: None,
        })
    })
}

fn write_back(raw: &Raw) -> Parsed<WriteBackSettings> {
    let mut entries = Entries::of(
        raw,
        "a table { view, record, version, link, sha256, proof, filed }",
    )?;
    let view = entries.needed("view", text);
    let mut fields = Vec::new();
    for fact in FACTS {
        if let Some(field) = entries.optional(fact, text) {
            fields.push((fact.to_owned(), field));
        }
    }
    if fields.is_empty() {
        entries.refuse(format!("names no field; it takes {}", FACTS.join(", ")));
    }
    entries.finish(|| {
        Some(WriteBackSettings {
            view: view?,
            fields,
        })
    })
}

pub(super) fn name_or_id(raw: &Raw) -> Parsed<String> {
    match raw {
        Raw::Integer(id) => Ok(id.to_string()),
        raw => text(raw),
    }
}

/// One of a few words.
pub(super) fn one_of<T: Copy>(raw: &Raw, all: &[T], name: fn(T) -> &'static str) -> Parsed<T> {
    let word = raw.as_text().map(str::trim).unwrap_or_default();
    match all.iter().find(|one| name(**one) == word) {
        Some(found) => Ok(*found),
        None => {
            let names: Vec<String> = all.iter().map(|one| format!("`{}`", name(*one))).collect();
            wrong(format!("one of {}", names.join(", ")), raw)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::read;
    use super::*;

    #[test]
    fn a_place_whose_braces_do_not_match_is_refused_at_once() {
        let text = read("[publish]\nplace = \"/{campaign/{region}\"\n").unwrap_err();
        assert!(
            text.contains("publish.place") && text.contains("without its `}`"),
            "{text}"
        );
    }

    #[test]
    fn a_field_needs_a_category_and_an_attribute_and_takes_its_own_name_for_the_rest() {
        let read = read(
            "[map.fields.campaign]\ncategory = 900\nattribute = \"Campaign\"\n\
             [map.fields.region]\niconik = \"territory\"\ncategory = \"Media\"\nset = \"Rights\"\n\
             attribute = \"Region\"\ntruth = \"newest\"\nvalues = { Austria = \"AT\" }\n",
        )
        .unwrap();
        let names: Vec<&str> = read.map.iter().map(|field| field.source.as_str()).collect();
        assert_eq!(names, ["campaign", "territory"]);
        assert_eq!(read.map[0].category, "900");
        assert_eq!(read.map[1].truth, Truth::Newest);
        assert_eq!(read.map[1].values["Austria"], "AT");
    }

    #[test]
    fn everything_wrong_with_a_table_is_said_with_its_place() {
        let said = read(
            "[map.fields.campaign]\nattribut = \"x\"\ntype = \"word\"\n\
             [publish]\nlocked = \"ask\"\n\
             workspace = { type = \"Campaign\", name = \"{campaign}\", external_id = \"x\" }\n\
             permissions = { custom = { bob = \"read\" }, public = [\"sea\"] }\n",
        )
        .unwrap_err();
        for expected in [
            "lacks the entry `category`",
            "did you mean `attribute`",
            "`text`, `integer`",
            "`hold`, `supersede`",
            "they go together",
            "not \"bob\"",
            "see_contents",
        ] {
            assert!(said.contains(expected), "{expected}: {said}");
        }
    }

    #[test]
    fn what_is_published_and_how_is_read_from_words_and_tables() {
        let read = read(
            "[publish]\napproved = { field = \"status\", values = [\"final\"] }\nplace = \"/{campaign}/ {region} \"\n\
             permissions = { public = \"none\", custom = { 2002 = \"read\" } }\nrecords_class = 4711\n",
        )
        .unwrap()
        .publish;
        assert_eq!(read.place, ["{campaign}", "{region}"]);
        let permissions = read.permissions.unwrap();
        assert_eq!(permissions.public, BTreeSet::new());
        assert!(permissions.custom[&2002].contains("see_contents"));
        assert_eq!(read.records_class.unwrap().default, Some(NodeId(4711)));
        assert!(matches!(read.approved, Approved::Field { field, .. } if field == "status"));
        let unset = super::tests::read("").unwrap().publish;
        assert_eq!(
            (unset.approved, unset.locked),
            (Approved::Review, Locked::Hold)
        );
    }
}
