//! What `publish` and `package` are configured with: fields and views of iconik; workspace types,
//! members and classes of Content Server.

use std::collections::BTreeMap;

use super::super::exit::Exit;
use super::super::record;
use super::Findings;
use crate::content_server;
use crate::flows::rights::PaperSource;
use crate::iconik;
use crate::settings::Resolved;
use crate::transfer::Destination as _;
use crate::types::{FailureClass, NodeId, Reason, ViewId};

/// Looks at the names of iconik's fields and views.
pub(super) async fn names(
    client: &iconik::Client,
    settings: &Resolved,
    findings: &mut Findings<'_>,
) {
    let mut wanted = record::source_fields(settings);
    let rights = &settings.rights;
    let licences = rights.fields.licences.iter();
    let facets = rights
        .fields
        .fields
        .iter()
        .chain(licences.flat_map(|licence| &licence.fields));
    wanted.extend(facets.map(|(facet, field)| {
        (
            format!("`rights.fields` ({})", facet.as_str()),
            field.clone(),
        )
    }));
    for paper in &rights.papers {
        if let PaperSource::Field(field) = &paper.source {
            wanted.push((
                format!("`rights.papers.{}.field`", paper.name),
                field.clone(),
            ));
        }
    }
    if !wanted.is_empty() {
        const REMEDY: &str = "iconik lists its fields in Admin, Metadata, Fields; the settings use their names, not their labels";
        let what = "iconik's fields";
        match record::unknown_fields(client, &wanted).await {
            Ok(Some(unknown)) if unknown.is_empty() => findings.ok(
                what,
                format!("those that the settings name are there ({})", wanted.len()),
            ),
            Ok(Some(unknown)) => findings.fail(what, unknown.join("; "), REMEDY, Exit::Usage),
            Ok(None) => findings.unknown(
                what,
                "whether those that the settings name are there cannot be looked at",
                "give the token's user the role can_read_metadata_fields",
            ),
            Err(error) => findings.error(what, &error.into(), REMEDY),
        }
    }
    if let Some(told) = &settings.publish.write_back {
        let fields = told.fields.iter().map(|(_, field)| field.as_str());
        look_at_view(client, "publish.write_back", &told.view, fields, findings).await;
    }
    if let Some(mark) = &settings.package.mark {
        let fields = mark.values.iter().map(|(field, _)| field.as_str());
        look_at_view(client, "package.mark", &mark.view, fields, findings).await;
    }
}

async fn look_at_view(
    client: &iconik::Client,
    setting: &str,
    view: &str,
    names: impl Iterator<Item = &str>,
    findings: &mut Findings<'_>,
) {
    let remedy = format!(
        "name the id of a metadata view and fields of it in `{setting}`: it ends the address of the view in Admin, Metadata, Views"
    );
    match client.view_fields(&ViewId(view.to_owned())).await {
        Ok(Some(there)) => {
            let missing: Vec<&str> = names
                .filter(|name| !there.iter().any(|field| field == name))
                .collect();
            if missing.is_empty() {
                findings.ok(setting, format!("its view {view} and fields are there"));
            } else {
                findings.fail(
                    setting,
                    format!(
                        "view {view} has no field {}; it has {}",
                        missing.join(", "),
                        some(&there)
                    ),
                    &remedy,
                    Exit::Usage,
                );
            }
        }
        Ok(None) => findings.fail(
            setting,
            format!("there is no metadata view {view:?} that the token's user may read"),
            &remedy,
            Exit::Usage,
        ),
        Err(error) => findings.error(setting, &error.into(), &remedy),
    }
}

/// The first of some names.
fn some(names: &[String]) -> String {
    const SHOWN: usize = 12;
    match names {
        [] => "none".to_owned(),
        few if few.len() <= SHOWN => few.join(", "),
        many => format!(
            "{} and {} more",
            many[..SHOWN].join(", "),
            many.len() - SHOWN
        ),
    }
}

/// Looks at places, members and classes of Content Server.
pub(super) async fn places(
    client: &content_server::Client,
    settings: &Resolved,
    target: NodeId,
    findings: &mut Findings<'_>,
) {
    let publish = &settings.publish;
    let workspaces = [
        ("publish.workspace", &publish.workspace),
        ("package.workspace", &settings.package.workspace),
    ];
    for (setting, workspace) in workspaces {
        let Some(workspace) = workspace else { continue };
        let place = match record::workspace(setting, workspace) {
            Ok(workspace) => workspace.place,
            Err(error) => {
                findings.error(setting, &error, "mend the texts with braces");
                continue;
            }
        };
        match client.check_workspace_type(&place).await {
            Ok(()) => findings.ok(setting, format!("type {:?} is there", place.kind)),
            Err(failure) if failure.class == FailureClass::StopEverything => findings.fail(
                setting,
                failure.message,
                "name a type and a template that longhaul's user may use",
                Exit::Usage,
            ),
            Err(failure) => findings.error(
                setting,
                &failure.into(),
                "longhaul's user must be able to list workspace types",
            ),
        }
        let members = workspace.participants.iter().flat_map(|(role, ids)| {
            let setting = format!("{setting}.participants.{role}");
            ids.iter().map(move |id| (*id, setting.clone()))
        });
        look_at_members(client, members.collect(), findings).await;
    }
    let mut members = BTreeMap::new();
    let access = publish.access.as_ref();
    let access = access.map(|by| by.values.values().chain(by.default.as_ref()));
    let granted = access
        .into_iter()
        .flatten()
        .map(|rights| ("publish.access", rights));
    let own = publish.permissions.as_ref();
    for (setting, rights) in own
        .map(|rights| ("publish.permissions", rights))
        .into_iter()
        .chain(granted)
    {
        let holders = rights.owner.iter().chain(&rights.group);
        for id in holders.chain(rights.custom.keys()) {
            members.entry(*id).or_insert_with(|| setting.to_owned());
        }
    }
    look_at_members(client, members, findings).await;
    let mut classes: BTreeMap<NodeId, &str> = BTreeMap::new();
    let by = publish.records_class.as_ref();
    for class in by
        .into_iter()
        .flat_map(|by| by.values.values().chain(by.default.as_ref()))
    {
        classes.insert(*class, "publish.records_class");
    }
    if !classes.is_empty() {
        look_for_records_management(client, target, findings).await;
    }
    for class in &publish.classifications {
        classes.insert(*class, "publish.classifications");
    }
    for (class, setting) in classes {
        match client.node(class).await {
            Ok(node) => findings.ok(setting, format!("{class} is {:?}", node.name)),
            Err(failure) => findings.error(
                setting,
                &failure.into(),
                "name the node id of a classification that longhaul's user sees",
            ),
        }
    }
    if publish.security.is_some() {
        look_for_security(client, target, findings).await;
    }
}

/// Whether records can be made here at all; a class is a node like any other and says nothing of it.
async fn look_for_records_management(
    client: &content_server::Client,
    target: NodeId,
    findings: &mut Findings<'_>,
) {
    // What else it may answer about a folder is no reason not to begin.
    if let Err(failure) = client.record_state(target).await
        && failure.reason == Reason::Unsupported
    {
        findings.fail(
            "publish.records_class",
            failure.message,
            "have Records Management installed, or take publish.records_class out",
            Exit::Usage,
        );
    }
}

/// Whether nodes have clearances here; which levels and markings there are is told nobody.
async fn look_for_security(
    client: &content_server::Client,
    target: NodeId,
    findings: &mut Findings<'_>,
) {
    match client.security(target).await {
        Err(failure) if failure.reason == Reason::Unsupported => findings.fail(
            "publish.security",
            format!("this server has no security clearances: {}", failure.message),
            "have Security Clearance installed, or take publish.security out",
            Exit::Usage,
        ),
        _ => findings.unknown(
            "publish.security",
            "whether its clearance levels and markings are there cannot be looked at",
            "publish one asset: a level or marking that is not there is refused before the record is final",
        ),
    }
}

async fn look_at_members(
    client: &content_server::Client,
    members: BTreeMap<i64, String>,
    findings: &mut Findings<'_>,
) {
    for (id, setting) in members {
        match client.member(id).await {
            Ok(member) => findings.ok(&setting, format!("{id} is {:?}", member.name)),
            // A missing member looks like a server in trouble, which was seen to be well before.
            Err(failure) => findings.fail(
                &setting,
                format!("member {id}: {}", failure.message),
                "name the id of a user or group that is there",
                Exit::Usage,
            ),
        }
    }
}
