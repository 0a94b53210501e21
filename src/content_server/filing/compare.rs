//! What of a filing is not so: for those who look and change nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;

use serde::Serialize;

use super::super::Client;
use super::{Filing, Marks, differences};
use crate::transfer::Destination as _;
use crate::transfer::Filed;
use crate::types::{Failure, NodeId, Reason};

/// A part of a filing that the server keeps by calls of its own, which it may not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Area {
    /// Where it is.
    Place,
    /// Who may do what with it.
    Permissions,
    /// Its categories and their values.
    Categories,
    /// Its plain classifications.
    Classifications,
    /// Its cross-references to papers.
    CrossReferences,
    /// The shortcuts to papers beside it.
    Shortcuts,
    /// Its rights as a rendition.
    Renditions,
    /// Its records classification, whether it is official and final.
    Records,
    /// Its security clearance and supplemental markings.
    Security,
}

impl Area {
    /// In words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Place => "places",
            Self::Permissions => "permissions",
            Self::Categories => "categories",
            Self::Classifications => "classifications",
            Self::CrossReferences => "cross-references",
            Self::Shortcuts => "shortcuts to papers",
            Self::Renditions => "renditions",
            Self::Records => "records management",
            Self::Security => "security clearances",
        }
    }
}

/// What comparing a record with its filing found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Compared {
    /// What is not as it was filed, for people.
    pub differences: Vec<String>,
    /// What was filed and could not be looked at, because the server does not have it.
    pub unsupported: BTreeSet<Area>,
    /// Whether it would be filed elsewhere now and stays by policy.
    pub stays: bool,
}

impl Compared {
    /// What looking at one area found: an area that the server does not have ends no other.
    async fn look(
        &mut self,
        area: Area,
        look: impl Future<Output = Result<Vec<String>, Failure>>,
    ) -> Result<(), Failure> {
        match look.await {
            Ok(found) => self.differences.extend(found),
            Err(failure) if failure.reason == Reason::Unsupported => {
                self.unsupported.insert(area);
            }
            Err(failure) => return Err(failure),
        }
        Ok(())
    }
}

impl Client {
    /// Everything about a record that is not as it was filed; nothing is changed. `companions` are
    /// the documents beside it, such as its sidecars: they have its place and its rights, and are
    /// no records of their own.
    ///
    /// # Errors
    ///
    /// As any read; an area that the server does not have is no error, and the others are compared
    /// all the same.
    pub async fn compare_filing(
        &self,
        node: NodeId,
        companions: &[NodeId],
        filed: Filed<'_>,
        filing: &Filing,
    ) -> Result<Compared, Failure> {
        let mut compared = Compared::default();
        let place = match self.place_now(filing).await {
            Ok(place) if filed.stays_in.is_some() => {
                compared.stays = place != filed.stays_in;
                filed.stays_in
            }
            Ok(Some(place)) => Some(place),
            Ok(None) => {
                let gone = "its place is not there any more".to_owned();
                compared.differences.push(gone);
                None
            }
            Err(failure) if failure.reason == Reason::Unsupported => {
                compared.unsupported.insert(Area::Place);
                None
            }
            Err(failure) => return Err(failure),
        };
        self.around(&mut compared, node, place, filing, "").await?;
        if !filing.categories.is_empty() {
            let look = self.other_values(node, filing);
            compared.look(Area::Categories, look).await?;
        }
        let marks = &filing.marks;
        if !marks.classifications.is_empty() {
            let look = self.missing_classifications(node, marks);
            compared.look(Area::Classifications, look).await?;
        }
        if let Some(kind) = &marks.cross_reference
            && (!marks.papers.is_empty() || marks.relates_rights)
        {
            let look = async {
                let mut others = marks.papers.clone();
                if marks.relates_rights {
                    others.extend(self.rights_sidecars(companions).await?);
                }
                self.missing_cross_references(node, kind, &others).await
            };
            compared.look(Area::CrossReferences, look).await?;
        }
        let mut links = Vec::new();
        if marks.shortcuts && !marks.papers.is_empty() {
            let look = async {
                let (there, missing) = self
                    .links_now(node, companions, filed.name, &marks.papers)
                    .await?;
                links = there;
                let lacks = missing
                    .iter()
                    .map(|paper| format!("it lacks the shortcut to node {paper}"));
                let seen = self.nodes(&marks.papers).await?;
                let is_gone = |paper: &&NodeId| seen.iter().all(|node| node.id != **paper);
                let gone = marks.papers.iter().filter(is_gone);
                let gone = gone
                    .map(|paper| format!("its paper, node {paper}, is gone or may not be seen"));
                Ok(lacks.chain(gone).collect())
            };
            compared.look(Area::Shortcuts, look).await?;
        }
        if let Some(rendition) = &filing.rendition {
            let look = self.other_rendition(node, rendition);
            compared.look(Area::Renditions, look).await?;
        }
        if let Some(class) = marks.records_class {
            let look = self.other_record(node, class, marks);
            compared.look(Area::Records, look).await?;
        }
        if marks.clearance.is_some() || !marks.markings.is_empty() {
            let look = self.other_security(node, marks);
            compared.look(Area::Security, look).await?;
        }
        let beside = |node: &NodeId| format!("beside it, node {node}: ");
        for companion in companions {
            self.around(&mut compared, *companion, place, filing, &beside(companion))
                .await?;
        }
        // They were found where they belong.
        for link in &links {
            self.around(&mut compared, *link, None, filing, &beside(link))
                .await?;
        }
        Ok(compared)
    }

    /// What of the rights of documents inside a folder is not as the folder was filed; nothing is
    /// changed.
    ///
    /// # Errors
    ///
    /// As [`compare_filing`](Self::compare_filing).
    pub async fn compare_inside(
        &self,
        inside: &[NodeId],
        filing: &Filing,
    ) -> Result<Compared, Failure> {
        let mut compared = Compared::default();
        for node in inside {
            let whose = format!("inside it, node {node}: ");
            self.around(&mut compared, *node, None, filing, &whose)
                .await?;
        }
        Ok(compared)
    }

    /// What of a node's place and rights is not as it was filed.
    async fn around(
        &self,
        compared: &mut Compared,
        node: NodeId,
        place: Option<NodeId>,
        filing: &Filing,
        whose: &str,
    ) -> Result<(), Failure> {
        if let Some(place) = place {
            let look = async {
                let at = self.node(node).await?.parent;
                let elsewhere = format!("{whose}it is in node {at}, its place is node {place}");
                Ok((at != place).then_some(elsewhere).into_iter().collect())
            };
            compared.look(Area::Place, look).await?;
        }
        if let Some(rights) = &filing.rights {
            let look = async {
                let (set, gone) = rights.changes(&self.permissions(node).await?);
                let set = set
                    .into_iter()
                    .map(|grant| format!("{whose}{} has other rights", grant.holder));
                let gone = gone
                    .into_iter()
                    .map(|id| format!("{whose}user or group {id} has rights of its own"));
                Ok(set.chain(gone).collect())
            };
            compared.look(Area::Permissions, look).await?;
        }
        Ok(())
    }

    async fn other_values(&self, node: NodeId, filing: &Filing) -> Result<Vec<String>, Failure> {
        let there: BTreeMap<_, _> = self
            .categories(node)
            .await?
            .into_iter()
            .map(|category| (category.id.0, category))
            .collect();
        let mut found = Vec::new();
        for (id, wanted) in &filing.categories {
            let Some(category) = there.get(id) else {
                found.push(format!("it does not have category {id}"));
                continue;
            };
            let values = differences(Some(&category.values.0), wanted);
            for (key, value) in values.into_iter().flatten() {
                let now = category.values.0.get(&key).cloned().unwrap_or_default();
                let name = category.name.as_deref().unwrap_or("its category");
                found.push(format!("{name} {key} says {now}, filed was {value}"));
            }
        }
        Ok(found)
    }

    async fn missing_classifications(
        &self,
        node: NodeId,
        marks: &Marks,
    ) -> Result<Vec<String>, Failure> {
        let there = self.classifications(node).await?;
        let missing = marks
            .classifications
            .iter()
            .filter(|class| there.iter().all(|there| there.id != **class));
        Ok(missing
            .map(|class| format!("it lacks classification {class}"))
            .collect())
    }

    async fn missing_cross_references(
        &self,
        node: NodeId,
        kind: &str,
        others: &[NodeId],
    ) -> Result<Vec<String>, Failure> {
        let there = self.cross_references(node).await?;
        let missing = others
            .iter()
            .filter(|other| there.iter().all(|there| !there.is(kind, **other)));
        Ok(missing
            .map(|other| format!("it lacks the cross-reference {kind:?} to node {other}"))
            .collect())
    }

    async fn other_record(
        &self,
        node: NodeId,
        class: NodeId,
        marks: &Marks,
    ) -> Result<Vec<String>, Failure> {
        let state = self.record_state(node).await?;
        let mut found = Vec::new();
        // A server that does not say whether it could be made final is not doubted.
        if marks.finalise && state.can_finalise == Some(true) {
            found.push("it is not final".to_owned());
        }
        match state.record {
            None => found.push("it is no record".to_owned()),
            Some(record) => {
                if record.class != Some(class) {
                    found.push(format!("its records classification is not {class}"));
                }
                if marks.official && !record.official {
                    found.push("it is not official".to_owned());
                }
            }
        }
        Ok(found)
    }

    async fn other_security(&self, node: NodeId, marks: &Marks) -> Result<Vec<String>, Failure> {
        let there = self.security(node).await?;
        let mut found = Vec::new();
        if marks.clearance.is_some() && there.level != marks.clearance {
            found.push("its security clearance is another".to_owned());
        }
        if !marks.markings.is_subset(&there.markings) {
            found.push("it lacks a supplemental marking".to_owned());
        }
        Ok(found)
    }
}
