//! What of a filing is not so: for those who look and change nothing.

use std::collections::BTreeMap;

use super::super::Client;
use super::{Filing, differences};
use crate::transfer::Destination as _;
use crate::types::{Failure, NodeId, Reason};

impl Client {
    /// Everything about a record that is not as it was filed, for people; nothing is changed.
    /// `companions` are the documents beside it, such as its sidecars: they have its place and its
    /// rights, and are no records of their own.
    ///
    /// # Errors
    ///
    /// As any read. A server without records management has no marks that could differ.
    pub async fn filing_differences(
        &self,
        node: NodeId,
        companions: &[NodeId],
        filing: &Filing,
    ) -> Result<Vec<String>, Failure> {
        let mut found = Vec::new();
        let place = self.place_now(filing).await?;
        if place.is_none() {
            found.push("its place is not there any more".to_owned());
        }
        found.extend(self.around(node, place, filing).await?);
        let there: BTreeMap<_, _> = if filing.categories.is_empty() {
            BTreeMap::new()
        } else {
            let categories = self.categories(node).await?;
            categories
                .into_iter()
                .map(|category| (category.id.0, category))
                .collect()
        };
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
        match self.missing_marks(node, filing).await {
            Ok(marks) => found.extend(marks),
            Err(failure) if failure.reason == Reason::Unsupported => {}
            Err(failure) => return Err(failure),
        }
        for companion in companions {
            let own = self.around(*companion, place, filing).await?;
            found.extend(
                own.into_iter()
                    .map(|what| format!("beside it, node {companion}: {what}")),
            );
        }
        Ok(found)
    }

    /// What of a node's place and rights is not as it was filed.
    async fn around(
        &self,
        node: NodeId,
        place: Option<NodeId>,
        filing: &Filing,
    ) -> Result<Vec<String>, Failure> {
        let mut found = Vec::new();
        if let Some(place) = place {
            let at = self.node(node).await?.parent;
            if at != place {
                found.push(format!("it is in node {at}, its place is node {place}"));
            }
        }
        if let Some(rights) = &filing.rights {
            let (set, gone) = rights.changes(&self.permissions(node).await?);
            for grant in set {
                found.push(format!("{:?} has other rights", grant.holder));
            }
            for id in gone {
                found.push(format!("user or group {id} has rights of its own"));
            }
        }
        Ok(found)
    }

    async fn missing_marks(&self, node: NodeId, filing: &Filing) -> Result<Vec<String>, Failure> {
        let marks = &filing.marks;
        let mut found = Vec::new();
        if !marks.classifications.is_empty() {
            let there = self.classifications(node).await?;
            for class in &marks.classifications {
                if there.iter().all(|there| there.id != *class) {
                    found.push(format!("it lacks classification {class}"));
                }
            }
        }
        if let Some(kind) = &marks.cross_reference
            && !marks.papers.is_empty()
        {
            let there = self.cross_references(node).await?;
            for paper in &marks.papers {
                if there.iter().all(|there| !there.is(kind, *paper)) {
                    found.push(format!(
                        "it lacks the cross-reference {kind:?} to node {paper}"
                    ));
                }
            }
        }
        if let Some(class) = marks.records_class {
            let state = self.record_state(node).await?;
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
        }
        if marks.clearance.is_some() || !marks.markings.is_empty() {
            let there = self.security(node).await?;
            if marks.clearance.is_some() && there.level != marks.clearance {
                found.push("its security clearance is another".to_owned());
            }
            if !marks.markings.is_subset(&there.markings) {
                found.push("it lacks a supplemental marking".to_owned());
            }
        }
        Ok(found)
    }
}
