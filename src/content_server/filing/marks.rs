//! The marks that make a document a record: classifications, official, final, clearance.
//!
//! They come last, because each can refuse what comes after it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::super::records::RecordFields;
use super::super::{Client, ExternalFacts};
use super::Filing;
use crate::types::{Failure, NodeId, Reason};

/// How the names of rights sidecars end.
const RIGHTS: &str = ".rights.jsonld";

/// Marks of a record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Marks {
    /// Plain classifications; others stay.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub classifications: Vec<NodeId>,
    /// The records management classification that makes it a record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub records_class: Option<NodeId>,
    /// Whether it is the official copy.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub official: bool,
    /// Whether it is final.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub finalise: bool,
    /// The security clearance level.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clearance: Option<i64>,
    /// Supplemental markings.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub markings: BTreeSet<String>,
    /// Documents that prove its rights.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub papers: Vec<NodeId>,
    /// The kind of cross-reference to them; without one they are not cross-referenced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cross_reference: Option<String>,
    /// Whether its rights sidecar is a related item of it: cross-referenced by that kind too.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub relates_rights: bool,
    /// Whether shortcuts to them are kept beside it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub shortcuts: bool,
    /// Where it came from.
    pub external: ExternalFacts,
}

impl Client {
    /// Whether a published record takes new content.
    ///
    /// # Errors
    ///
    /// Reason `Held` when a hold is on it or above it, or when it is final.
    pub(in super::super) async fn check_open(
        &self,
        node: NodeId,
        filing: &Filing,
    ) -> Result<(), Failure> {
        let held = |why: String| {
            Failure::item(Reason::Held, format!("node {node} takes no changes: {why}"))
        };
        match self.holds_over(node).await {
            Ok(over) => {
                // One that does not say whether it is suspended protects.
                if let Some((at, hold)) = over.holds.iter().find(|(_, hold)| hold.protects()) {
                    return Err(held(format!("hold {:?} is on node {at}", hold.name)));
                }
            }
            // A server without records management holds nothing.
            Err(failure) if failure.reason == Reason::Unsupported => {}
            Err(failure) => return Err(failure),
        }
        if filing.marks.finalise {
            let state = self.record_state(node).await?;
            if state.record.is_some() && state.can_finalise == Some(false) {
                return Err(held(
                    "the record is final, or this user may not finalise it".to_owned(),
                ));
            }
        }
        Ok(())
    }

    /// Makes a record's rights sidecar a related item of it, where that is wanted. `companions` are
    /// the documents beside it.
    pub(in super::super) async fn relate_rights(
        &self,
        node: NodeId,
        companions: &[NodeId],
        marks: &Marks,
    ) -> Result<(), Failure> {
        let Some(kind) = marks
            .cross_reference
            .as_ref()
            .filter(|_| marks.relates_rights)
        else {
            return Ok(());
        };
        let sidecars = self.rights_sidecars(companions).await?;
        let comment = "says the rights of this record";
        self.add_cross_references(node, kind, &sidecars, comment)
            .await
    }

    /// Which of the documents beside a record are its rights.
    pub(super) async fn rights_sidecars(
        &self,
        companions: &[NodeId],
    ) -> Result<Vec<NodeId>, Failure> {
        let nodes = self.nodes(companions).await?;
        let own = nodes.into_iter().filter(|node| node.name.ends_with(RIGHTS));
        Ok(own.map(|node| node.id).collect())
    }

    /// Sets the marks, as far as they are not so already. `first` says that this was never done to
    /// the end before.
    pub(in super::super) async fn seal_node(
        &self,
        node: NodeId,
        marks: &Marks,
        first: bool,
    ) -> Result<(), Failure> {
        if marks.external != ExternalFacts::default() {
            self.set_external_facts(node, &marks.external).await?;
        }
        if !marks.classifications.is_empty() {
            self.add_classifications(node, &marks.classifications)
                .await?;
        }
        if let Some(kind) = &marks.cross_reference {
            let comment = "proves the rights of this record";
            self.add_cross_references(node, kind, &marks.papers, comment)
                .await?;
        }
        if marks.clearance.is_some() || !marks.markings.is_empty() {
            self.set_security(node, marks.clearance, &marks.markings)
                .await?;
        }
        let Some(class) = marks.records_class else {
            return Ok(());
        };
        let state = self
            .declare_record(node, class, &RecordFields::default())
            .await?;
        let state = if marks.official && !state.record.as_ref().is_some_and(|it| it.official) {
            self.edit_record(node, &RecordFields::default(), Some(true))
                .await?
        } else {
            state
        };
        // One that cannot be finalised may be final already or not ours to finalise: the call tells.
        if marks.finalise && (first || state.can_finalise != Some(false)) {
            self.finalise_record(node).await?;
        }
        Ok(())
    }
}
