//! From settings to what a record is: the mapping found in the server's definitions, and the
//! policy of publishing.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::connect::Connected;
use super::exit::Ended;
use crate::content_server::{self, ExternalFacts, Marks, WorkspacePlace};
use crate::flows::approval::Rejections;
use crate::flows::metadata::InStep;
use crate::flows::package::{Mark, Place};
use crate::flows::publish::{Approved, EVERY_ASSET_HAS, Policy, Template, Workspace};
use crate::flows::rights::{Filed, Licensing};
use crate::flows::write_back::{Fact, Told};
use crate::iconik;
use crate::settings::{ContentServerSettings, Locked, Resolved, RightsSidecar, WorkspaceSettings};
use crate::sidecar::mapping::{self, Binding, FieldMap, Mismatch};
use crate::types::{NodeId, ViewId};

/// The policy of publishing, with every name of the mapping found.
///
/// # Errors
///
/// Everything in the settings that does not fit the server's definitions.
pub(crate) async fn policy(
    settings: &Resolved,
    connected: &Connected,
    again: bool,
) -> anyhow::Result<Arc<Policy>> {
    let publish = &settings.publish;
    let place = publish
        .place
        .iter()
        .map(|folder| template("publish.place", folder))
        .collect::<Result<_, _>>()?;
    let wanted = source_fields(settings);
    if let Some(unknown) = unknown_fields(&connected.systems.iconik, &wanted).await?
        && !unknown.is_empty()
    {
        return Err(Ended::usage(unknown.join("\n")));
    }
    let server = &connected.systems.content_server;
    let binding = binding(&settings.map, server, connected.systems.target).await?;
    Ok(Arc::new(Policy {
        approved: publish.approved.clone(),
        rejections: Rejections::in_ledger(&settings.ledger.path)?,
        in_step: InStep::in_ledger(&settings.ledger.path)?,
        binding,
        base: connected.systems.target,
        again: again.then(|| jiff::Timestamp::now().to_string()),
        place,
        workspace: publish
            .workspace
            .as_ref()
            .map(|given| workspace("publish.workspace", given))
            .transpose()?,
        rights: publish.permissions.clone(),
        access: publish.access.clone(),
        marks: Marks {
            classifications: publish.classifications.clone(),
            official: publish.official,
            finalise: publish.finalise,
            cross_reference: settings.rights.cross_reference.clone(),
            shortcuts: settings.rights.shortcuts,
            relates_rights: settings.rights.sidecar == RightsSidecar::Related,
            external: ExternalFacts {
                source: Some("cloud_storage".to_owned()),
                ..ExternalFacts::default()
            },
            ..Marks::default()
        },
        records_class: publish.records_class.clone(),
        security: publish.security.clone(),
        rename: publish.rename,
        relocate: publish.relocate,
        supersede: publish.locked == Locked::Supersede,
    }))
}

/// What is known of licences and their papers; nothing when the settings have none.
pub(crate) fn licensing(settings: &Resolved) -> Option<Arc<Licensing>> {
    let rights = &settings.rights;
    if rights.fields.is_empty() && rights.papers.is_empty() {
        return None;
    }
    Some(Arc::new(Licensing {
        fields: rights.fields.clone(),
        papers: rights.papers.clone(),
        place: rights.papers_place.clone(),
        rendition: match &rights.sidecar {
            RightsSidecar::Rendition(kind) => Some(kind.clone()),
            RightsSidecar::Document | RightsSidecar::Related => None,
        },
        filed: Filed::new(settings.ledger.path.clone()),
    }))
}

/// The mapping, found in the definitions of the categories that it names.
pub(crate) async fn binding(
    map: &[FieldMap],
    server: &content_server::Client,
    target: NodeId,
) -> anyhow::Result<Binding> {
    find(map, server, target).await?.map_err(|wrong| {
        let lines: Vec<String> = wrong
            .iter()
            .map(|mismatch| format!("`map.fields.{}` {}", mismatch.field, mismatch.what))
            .collect();
        Ended::usage(lines.join("\n"))
    })
}

/// iconik's fields that publishing is configured with, each with the setting that names it.
pub(crate) fn source_fields(settings: &Resolved) -> Vec<(String, String)> {
    let publish = &settings.publish;
    let mapped = settings.map.iter();
    let mut fields: Vec<(String, String)> = mapped
        .map(|field| (format!("`map.fields.{}`", field.name), field.source.clone()))
        .collect();
    if let Approved::Field { field, .. } = &publish.approved {
        fields.push(("`publish.approved`".to_owned(), field.clone()));
    }
    // The others name a mapped field, one of iconik, or what every asset has.
    let mut chosen: Vec<(&str, String)> = Vec::new();
    let workspace = publish.workspace.as_ref();
    let workspace = workspace.into_iter().flat_map(|workspace| {
        let id = workspace.external.as_ref().map(|(_, _, id)| id);
        [Some(&workspace.name), id].into_iter().flatten()
    });
    let texts = publish.place.iter().map(|text| ("`publish.place`", text));
    for (setting, text) in texts.chain(workspace.map(|text| ("`publish.workspace`", text))) {
        if let Ok(template) = Template::parse(text) {
            chosen.extend(template.fields().map(|field| (setting, field.to_owned())));
        }
    }
    let access = publish.access.as_ref().and_then(|by| by.field.as_ref());
    let class = publish.records_class.as_ref();
    let class = class.and_then(|by| by.field.as_ref());
    let security = publish.security.as_ref().and_then(|by| by.field.as_ref());
    for (setting, field) in [
        ("`publish.access`", access),
        ("`publish.records_class`", class),
        ("`publish.security`", security),
    ] {
        chosen.extend(field.map(|field| (setting, field.clone())));
    }
    for (setting, field) in chosen {
        let is_known = EVERY_ASSET_HAS.contains(&field.as_str())
            || settings.map.iter().any(|mapped| mapped.name == field)
            || fields
                .iter()
                .any(|(of, known)| of == setting && *known == field);
        if !is_known {
            fields.push((setting.to_owned(), field));
        }
    }
    fields
}

/// Those of some fields that iconik does not have, as sentences; nothing when it does not say.
pub(crate) async fn unknown_fields(
    client: &iconik::Client,
    wanted: &[(String, String)],
) -> Result<Option<Vec<String>>, iconik::Error> {
    let mut known = BTreeMap::new();
    let mut unknown = Vec::new();
    for (setting, field) in wanted {
        let there = match known.get(field) {
            Some(there) => *there,
            None => match client.has_field(field).await? {
                Some(there) => *known.entry(field).or_insert(there),
                None => return Ok(None),
            },
        };
        if !there {
            let said =
                format!("{setting} names {field:?}, and iconik has no metadata field of that name");
            unknown.push((field, said));
        }
    }
    if unknown.is_empty() {
        return Ok(Some(Vec::new()));
    }
    // What cannot be read by its name may be listed all the same.
    let listed = client.field_names().await?;
    if listed.is_empty() && !known.values().any(|there| *there) {
        return Ok(None);
    }
    unknown.retain(|(field, _)| !listed.contains(*field));
    Ok(Some(unknown.into_iter().map(|(_, said)| said).collect()))
}

/// Fields, found in the definitions of the categories that they name, or what does not fit.
pub(crate) async fn find(
    map: &[FieldMap],
    server: &content_server::Client,
    target: NodeId,
) -> anyhow::Result<Result<Binding, Vec<Mismatch>>> {
    if map.is_empty() {
        return Ok(Ok(Binding::default()));
    }
    let mut names: Vec<&str> = map.iter().map(|field| field.category.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let categories = server.category_facts(&names, target).await?;
    Ok(mapping::resolve(map, &categories))
}

fn template(key: &str, text: &str) -> anyhow::Result<Template> {
    Template::parse(text).map_err(|error| Ended::usage(format!("`{key}`: {error}")))
}

/// Where packages go.
///
/// # Errors
///
/// Everything in the settings that does not fit the server's definitions.
pub(crate) async fn package_place(
    settings: &Resolved,
    connected: &Connected,
) -> anyhow::Result<Place> {
    let package = &settings.package;
    let workspace = match &package.workspace {
        Some(given) => Some(workspace("package.workspace", given)?),
        None => None,
    };
    let binding = match &workspace {
        Some(workspace) if !workspace.fields.is_empty() => {
            let server = &connected.systems.content_server;
            binding(&settings.map, server, connected.systems.target).await?
        }
        _ => Binding::default(),
    };
    Ok(Place {
        container: package.container,
        workspace,
        binding,
    })
}

/// What a collection is told once its package is complete.
pub(crate) fn package_mark(settings: &Resolved) -> anyhow::Result<Option<Mark>> {
    let Some(mark) = &settings.package.mark else {
        return Ok(None);
    };
    let mut values = Vec::new();
    for (field, text) in &mark.values {
        let template = template("package.mark", text)?;
        let known = |name: &str| Mark::PLACEHOLDERS.contains(&name).then(|| "x".to_owned());
        if let Err(name) = template.fill(known) {
            return Err(Ended::usage(format!(
                "`package.mark`: {{{name}}} in the text for {field:?} stands for nothing; there are {}",
                Mark::PLACEHOLDERS
                    .map(|name| format!("{{{name}}}"))
                    .join(", ")
            )));
        }
        values.push((field.clone(), template));
    }
    Ok(Some(Mark {
        view: ViewId(mark.view.clone()),
        values,
        link: page_link(settings.content_server()?),
    }))
}

/// What stands before a node's id in the address of its page.
fn page_link(server: &ContentServerSettings) -> String {
    let mut link = server.url.clone();
    if let Ok(mut path) = link.path_segments_mut() {
        path.pop_if_empty().extend(["app", "nodes", ""]);
    }
    link.into()
}

pub(crate) fn workspace(
    key: &'static str,
    workspace: &WorkspaceSettings,
) -> anyhow::Result<Workspace> {
    let object = match &workspace.external {
        None => None,
        Some((system, kind, id)) => Some((
            system.clone(),
            kind.clone(),
            template(&format!("{key}.external_id"), id)?,
        )),
    };
    Ok(Workspace {
        place: WorkspacePlace {
            kind: workspace.kind.clone(),
            template: workspace.template.clone(),
            name: String::new(),
            object: None,
            create: workspace.create,
            categories: std::collections::BTreeMap::new(),
            participants: workspace.participants.clone(),
            setting: Some(key),
        },
        name: template(&format!("{key}.name"), &workspace.name)?,
        object,
        fields: workspace.fields.clone(),
    })
}

/// What iconik is told of a filed record.
pub(crate) fn told(
    settings: &Resolved,
    server: &ContentServerSettings,
) -> anyhow::Result<Option<Arc<Told>>> {
    let Some(write_back) = &settings.publish.write_back else {
        return Ok(None);
    };
    let fields = write_back.fields.iter();
    Ok(Some(Arc::new(Told {
        view: ViewId(write_back.view.clone()),
        fields: fields
            .filter_map(|(fact, field)| Some((Fact::from_name(fact)?, field.clone())))
            .collect(),
        link: page_link(server),
    })))
}
