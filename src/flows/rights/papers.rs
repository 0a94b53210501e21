//! The papers of an asset: found by rule, in iconik or in Content Server.

use std::collections::BTreeMap;

use futures::TryStreamExt as _;
use serde_json::Value;

use super::{Licensing, PaperRule, PaperSource};
use crate::flows::filter::fits;
use crate::flows::{Error, Systems};
use crate::iconik::{Asset, Attached, Master, Versions};
use crate::types::{Failure, FailureClass, NodeId, Reason};

/// Papers of one kind that an asset may have; more point at a pattern that fits too much.
const MOST: usize = 200;

/// A paper.
#[derive(Clone, Debug)]
pub struct Paper {
    /// What it proves.
    pub role: String,
    /// Where it is.
    pub at: At,
}

/// Where a paper is.
#[derive(Clone, Debug)]
pub enum At {
    /// In Content Server.
    Node(NodeId),
    /// In iconik, as a file that can be filed like a master.
    Source(Box<Master>),
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// The papers.
    pub papers: Vec<Paper>,
    /// What is missing or cannot be used, for people.
    pub problems: Vec<String>,
}

impl Licensing {
    /// Looks for the papers of an asset. `source` has its values by field, `value` those that a
    /// pattern may name.
    ///
    /// # Errors
    ///
    /// Either system's, where it does not say whether there is a paper.
    pub async fn find(
        &self,
        systems: &Systems,
        asset: &Asset,
        source: &BTreeMap<String, Vec<Value>>,
        value: impl Fn(&str) -> Option<String>,
    ) -> Result<Found, Error> {
        let mut found = Found::default();
        let mut attached: Option<Vec<Attached>> = None;
        for rule in &self.papers {
            let pattern = match rule
                .files
                .as_ref()
                .map(|files| files.fill(&value))
                .transpose()
            {
                Ok(pattern) => pattern,
                Err(field) => {
                    if rule.required.of(source) {
                        found.problems.push(format!(
                            "`{field}` has no value, and the paper `{}` is found by it",
                            rule.name
                        ));
                    }
                    continue;
                }
            };
            let before = found.papers.len();
            let named = |name: &str| pattern.as_deref().is_none_or(|pattern| fits(pattern, name));
            match &rule.source {
                PaperSource::Relation(kind) => {
                    related(systems, asset, kind, rule, &named, &mut found).await?;
                }
                PaperSource::Format(format) => {
                    let all = match &mut attached {
                        Some(all) => all,
                        none => none.insert(systems.iconik.attached_files(&asset.id, None).await?),
                    };
                    let own = all.iter().filter(|file| {
                        file.format.name.as_deref() == Some(format)
                            && named(file.file.display_name())
                    });
                    let masters = own.filter_map(|file| file.master(asset));
                    found.papers.extend(masters.map(|master| Paper {
                        role: rule.role.clone(),
                        at: At::Source(Box::new(master)),
                    }));
                }
                PaperSource::Field(field) => {
                    in_field(systems, source.get(field), field, rule, &mut found).await?;
                }
                PaperSource::Folder(folder) => {
                    in_folder(systems, *folder, rule, &named, &mut found).await?;
                }
            }
            let count = found.papers.len() - before;
            if count > MOST {
                found.papers.truncate(before);
                found.problems.push(format!(
                    "{count} files are papers of kind `{}`; tighten `rights.papers.{}.files`",
                    rule.name, rule.name
                ));
            } else if count == 0 && rule.required.of(source) {
                found.problems.push(format!(
                    "its {} is missing (`rights.papers.{}`: {}{})",
                    rule.role,
                    rule.name,
                    rule.source,
                    pattern.map_or_else(String::new, |pattern| format!(", named {pattern:?}"))
                ));
            }
        }
        Ok(found)
    }
}

impl std::fmt::Display for PaperSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Relation(kind) => write!(f, "no asset with the relation {kind}"),
            Self::Format(format) => write!(f, "no file in the format {format}"),
            Self::Field(field) => write!(f, "no node in the field {field}"),
            Self::Folder(folder) => write!(f, "no document in folder {folder}"),
        }
    }
}

/// Assets that `asset` is related to, each with the file of its newest version.
async fn related(
    systems: &Systems,
    asset: &Asset,
    kind: &str,
    rule: &PaperRule,
    named: &impl Fn(&str) -> bool,
    found: &mut Found,
) -> Result<(), Error> {
    let mut others = systems.iconik.related_assets(&asset.id, Some(kind));
    let mut seen = 0;
    while let Some(other) = others.try_next().await? {
        seen += 1;
        if seen > MOST {
            found.problems.push(format!(
                "more than {MOST} assets have the relation {kind} to it, for papers of kind `{}`",
                rule.name
            ));
            return Ok(());
        }
        let title = other.title.clone();
        // What a listing says of an asset may be less than the asset.
        let plan = systems
            .iconik
            .plan_asset(&other.id, &Versions::Current)
            .await?;
        match plan.masters.into_iter().next_back() {
            Some(master) if master.many => found.problems.push(format!(
                "the paper {title:?} (`rights.papers.{}`) is many files; one is wanted",
                rule.name
            )),
            Some(master) => {
                let name = master.files.first().map_or("", |file| file.name.as_str());
                if named(name) {
                    found.papers.push(Paper {
                        role: rule.role.clone(),
                        at: At::Source(Box::new(master)),
                    });
                }
            }
            None => {
                let why = plan
                    .out
                    .first()
                    .map_or("it has no file", |out| out.detail.as_str());
                found.problems.push(format!(
                    "the paper {title:?} (`rights.papers.{}`) has no file: {why}",
                    rule.name
                ));
            }
        }
    }
    Ok(())
}

/// Nodes that a field names.
async fn in_field(
    systems: &Systems,
    values: Option<&Vec<Value>>,
    field: &str,
    rule: &PaperRule,
    found: &mut Found,
) -> Result<(), Error> {
    for value in values.into_iter().flatten() {
        let word = match value {
            Value::String(text) => text.trim().to_owned(),
            other => other.to_string(),
        };
        if word.is_empty() {
            continue;
        }
        let Some(node) = node_of(&word) else {
            found.problems.push(format!(
                "`{field}` says {word:?}, which is neither a node id nor an address of a node (`rights.papers.{}`)",
                rule.name
            ));
            continue;
        };
        match systems.destination.node(node).await {
            Ok(there) if there.container => found.problems.push(format!(
                "`{field}` names node {node}, which is a folder and no paper (`rights.papers.{}`)",
                rule.name
            )),
            // A shortcut is no paper: what it stands for is.
            Ok(there) => found.papers.push(Paper {
                role: rule.role.clone(),
                at: At::Node(there.original.unwrap_or(node)),
            }),
            Err(failure) if is_missing(&failure) => found.problems.push(format!(
                "`{field}` names node {node}, which is not there or may not be read (`rights.papers.{}`)",
                rule.name
            )),
            Err(failure) => return Err(failure.into()),
        }
    }
    Ok(())
}

fn is_missing(failure: &Failure) -> bool {
    failure.class == FailureClass::ItemIsWrong
        && matches!(failure.reason, Reason::Inaccessible | Reason::Other)
}

/// Documents of a folder.
async fn in_folder(
    systems: &Systems,
    folder: NodeId,
    rule: &PaperRule,
    named: &impl Fn(&str) -> bool,
    found: &mut Found,
) -> Result<(), Error> {
    let before = found.papers.len();
    for page in 1.. {
        let (nodes, more) = systems
            .destination
            .children(folder, page)
            .await
            .map_err(|failure| failure.context(format!("`rights.papers.{}.folder`", rule.name)))?;
        let papers = nodes
            .into_iter()
            .filter(|node| !node.container && named(&node.name));
        for node in papers {
            // A shortcut is no paper: what it stands for is, however many there are to it.
            let id = node.original.unwrap_or(node.id);
            let mut known = found.papers[before..].iter();
            if !known.any(|paper| matches!(paper.at, At::Node(there) if there == id)) {
                found.papers.push(Paper {
                    role: rule.role.clone(),
                    at: At::Node(id),
                });
            }
        }
        if !more || found.papers.len() > 2 * MOST {
            break;
        }
    }
    Ok(())
}

/// The node of a plain id or of an address such as `https://cs/otcs/cs.exe/app/nodes/123`.
fn node_of(word: &str) -> Option<NodeId> {
    let id = match word.parse::<i64>() {
        Ok(id) => id,
        Err(_) => {
            let url = url::Url::parse(word).ok()?;
            let by_query = url
                .query_pairs()
                .find(|(name, _)| name.eq_ignore_ascii_case("objId"))
                .and_then(|(_, id)| id.parse().ok());
            let segments: Vec<&str> = url.path_segments()?.collect();
            let by_path = segments.windows(2).rev().find_map(|pair| {
                let before = matches!(
                    pair[0],
                    "nodes" | "link" | "open" | "overview" | "properties"
                );
                before.then(|| pair[1].parse::<i64>().ok())?
            });
            by_query.or(by_path)?
        }
    };
    (id > 0).then_some(NodeId(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_named_by_id_or_by_address() {
        for (word, node) in [
            ("4711", Some(4711)),
            ("https://cs.test/otcs/cs.exe/app/nodes/4711", Some(4711)),
            ("https://cs.test/otcs/cs.exe/link/4711", Some(4711)),
            (
                "https://cs.test/otcs/cs.exe?func=ll&objId=4711&objAction=browse",
                Some(4711),
            ),
            ("-5", None),
            ("0", None),
            ("contract.pdf", None),
            ("https://cs.test/otcs/cs.exe/app/nodes/x", None),
        ] {
            assert_eq!(node_of(word).map(|node| node.0), node, "{word}");
        }
    }
}
