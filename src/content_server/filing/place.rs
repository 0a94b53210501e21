//! Where a record goes: a workspace, and folders below it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::Instant;

use super::super::Client;
use super::super::categories::CategoryValues;
use super::super::workspaces::{NewWorkspace, ObjectReference, WorkspaceType};
use super::Filing;
use crate::types::{Failure, NodeId, Reason};

/// How long a place that was found counts as there.
const KNOWN_FOR: Duration = Duration::from_secs(60);

/// A workspace that records are filed in, found by its object or its name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorkspacePlace {
    /// Its type, by name.
    pub kind: String,
    /// The template it is made from, by name; the type's only one when unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// Its name.
    pub name: String,
    /// The object it stands for: system, type and id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<(String, String, String)>,
    /// Whether a missing one is made.
    pub create: bool,
    /// Values that a new one gets, by category and attribute key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub categories: BTreeMap<i64, BTreeMap<String, Value>>,
    /// Who takes part in it: members by role.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub participants: BTreeMap<String, Vec<i64>>,
    /// The setting that describes it, for errors; `publish.workspace` when unset.
    #[serde(skip)]
    pub setting: Option<&'static str>,
}

impl WorkspacePlace {
    fn setting(&self) -> &'static str {
        self.setting.unwrap_or("publish.workspace")
    }
}

/// Places found lately, by their description. Held while one is looked for, so that several
/// records that need the same new place make it once.
#[derive(Default)]
pub(in super::super) struct Places(tokio::sync::Mutex<BTreeMap<String, (Instant, NodeId)>>);

impl Client {
    /// The container that a record belongs in, found or made.
    ///
    /// # Errors
    ///
    /// A workspace type, template or role that the server does not have; a name that is taken.
    pub async fn place_of(&self, filing: &Filing) -> Result<NodeId, Failure> {
        if filing.workspace.is_none() && filing.folders.is_empty() {
            return Ok(filing.base);
        }
        let key = serde_json::to_string(&(filing.base, &filing.workspace, &filing.folders))
            .map_err(|error| Failure::stop(format!("a place cannot be written: {error}")))?;
        let mut places = self.0.places.0.lock().await;
        if let Some((found, node)) = places.get(&key)
            && found.elapsed() < KNOWN_FOR
        {
            return Ok(*node);
        }
        let base = match &filing.workspace {
            Some(workspace) => self.workspace_at(filing.base, workspace).await?,
            None => filing.base,
        };
        let node = self.folder_at(base, &filing.folders).await?;
        places.insert(key, (Instant::now(), node));
        Ok(node)
    }

    /// The container that a record belongs in, as far as it is there now; makes nothing.
    ///
    /// # Errors
    ///
    /// A workspace type or template that the server does not have; otherwise as any read.
    pub async fn place_now(&self, filing: &Filing) -> Result<Option<NodeId>, Failure> {
        let base = match &filing.workspace {
            Some(workspace) => {
                let wanted = self.wanted(filing.base, workspace).await?;
                match self.find_wanted(&wanted).await? {
                    Some(there) => there,
                    None => return Ok(None),
                }
            }
            None => filing.base,
        };
        self.find_path(base, &filing.folders).await
    }

    /// Whether the workspace type and the template of a place are there.
    ///
    /// # Errors
    ///
    /// Of class `StopEverything` when they are not; otherwise as any read.
    pub async fn check_workspace_type(&self, place: &WorkspacePlace) -> Result<(), Failure> {
        named(&self.workspace_types().await?, place).map(|_| ())
    }

    async fn workspace_at(
        &self,
        parent: NodeId,
        place: &WorkspacePlace,
    ) -> Result<NodeId, Failure> {
        let wanted = self.wanted(parent, place).await?;
        let workspace = if place.create {
            self.ensure_workspace(&wanted).await?.0
        } else {
            self.find_wanted(&wanted).await?.ok_or_else(|| {
                Failure::item(
                    Reason::Incomplete,
                    format!(
                        "there is no workspace {:?} of type {:?}, and `{}.create` is false; create it, then run it again",
                        place.name, place.kind, place.setting()
                    ),
                )
            })?
        };
        if !place.participants.is_empty() {
            let roles = self.workspace_roles(workspace).await?;
            for (name, members) in &place.participants {
                let role = roles.iter().find(|role| role.name == *name);
                let role = role.ok_or_else(|| {
                    let names: Vec<&str> = roles.iter().map(|role| role.name.as_str()).collect();
                    Failure::item(
                        Reason::Incomplete,
                        format!(
                            "workspace {:?} has no role {name:?}; it has {}",
                            place.name,
                            names.join(", ")
                        ),
                    )
                })?;
                for member in members {
                    self.add_participant(workspace, role.id, *member).await?;
                }
            }
        }
        Ok(workspace)
    }

    async fn wanted(
        &self,
        parent: NodeId,
        place: &WorkspacePlace,
    ) -> Result<NewWorkspace, Failure> {
        let (kind, template) = named(&self.workspace_types().await?, place)?;
        let values = place.categories.values().flatten();
        Ok(NewWorkspace {
            kind,
            template,
            name: place.name.clone(),
            parent: Some(parent),
            description: String::new(),
            categories: CategoryValues(
                values
                    .map(|(key, value)| (key.clone(), value.clone()))
                    .collect(),
            ),
            reference: place
                .object
                .clone()
                .map(|(system, kind, id)| ObjectReference { system, kind, id }),
        })
    }
}

/// The ids of the type and the template that a place names.
fn named(types: &[WorkspaceType], place: &WorkspacePlace) -> Result<(i64, i64), Failure> {
    let listed = |names: Vec<&str>| match names.as_slice() {
        [] => "none that this user sees".to_owned(),
        names => names.join(", "),
    };
    let kind = types
        .iter()
        .find(|kind| kind.name.eq_ignore_ascii_case(place.kind.trim()))
        .ok_or_else(|| {
            let names = types.iter().map(|kind| kind.name.as_str()).collect();
            Failure::stop(format!(
                "`{}.type` names {:?}; the server has {}",
                place.setting(),
                place.kind,
                listed(names)
            ))
        })?;
    let template = match &place.template {
        Some(name) => kind
            .templates
            .iter()
            .find(|template| template.name.eq_ignore_ascii_case(name.trim())),
        None if kind.templates.len() == 1 => kind.templates.first(),
        None => None,
    };
    let template = template.ok_or_else(|| {
        let names = kind.templates.iter().map(|t| t.name.as_str()).collect();
        Failure::stop(format!(
            "`{}.template` must name a template of type {:?}: {}",
            place.setting(),
            kind.name,
            listed(names)
        ))
    })?;
    Ok((kind.id, template.id))
}

#[cfg(test)]
mod tests {
    use super::super::super::workspaces::WorkspaceTemplate;
    use super::*;

    fn types() -> Vec<WorkspaceType> {
        let template = |id, name: &str| WorkspaceTemplate {
            id,
            name: name.into(),
        };
        let kind = |id, name: &str, templates| WorkspaceType {
            id,
            name: name.into(),
            templates,
            records: None,
        };
        vec![
            kind(16, "Campaign", vec![template(30, "Campaign")]),
            kind(
                17,
                "Project",
                vec![template(31, "Small"), template(32, "Large")],
            ),
        ]
    }

    fn place(kind: &str, template: Option<&str>) -> WorkspacePlace {
        WorkspacePlace {
            kind: kind.into(),
            template: template.map(str::to_owned),
            name: "Spring".into(),
            object: None,
            create: true,
            categories: BTreeMap::new(),
            participants: BTreeMap::new(),
            setting: None,
        }
    }

    #[test]
    fn types_and_templates_are_found_by_name_and_the_only_template_needs_none() {
        assert_eq!(named(&types(), &place("campaign", None)).unwrap(), (16, 30));
        assert_eq!(
            named(&types(), &place("Project", Some("large"))).unwrap(),
            (17, 32)
        );
        let said = |place| named(&types(), &place).unwrap_err().message;
        assert!(said(place("Film", None)).contains("the server has Campaign, Project"));
        assert!(said(place("Project", None)).contains("Small, Large"));
        assert!(said(place("Project", Some("Huge"))).contains("Small, Large"));
    }
}
