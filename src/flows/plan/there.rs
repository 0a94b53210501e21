//! What the destination has of a version that would move: its document, itself, or another with
//! its name.

use super::decide::Inner;
use super::{Action, Version};
use crate::flows::{Error, intake};
use crate::ledger::NewItem;
use crate::transfer::Node;
use crate::types::{Failure, NodeId, VersionNote};

/// What is known of where an asset's document is, from one version to the next.
#[derive(Default)]
pub(super) struct Place {
    /// Its document.
    pub(super) document: Option<NodeId>,
    /// Whether an earlier version of the plan makes it.
    to_be_made: bool,
}

impl Inner {
    /// Looks at the destination, as the engine would before it sends a byte: whose is what has
    /// the document's name?
    pub(super) async fn look_there(
        &self,
        item: &NewItem,
        other: &str,
        version: &mut Version,
        place: &mut Place,
    ) -> Result<(), Error> {
        let folder = item.kind == "folder";
        if place.document.is_none() {
            let found = self.find(item, other, folder, version).await?;
            place.document = found;
        }
        let Some(node) = place.document.filter(|_| !folder) else {
            // An earlier version that moves with this plan makes the document.
            if place.to_be_made && !folder {
                version.action = Action::NewVersion;
            }
            place.to_be_made |= !folder;
            return Ok(());
        };
        version.node = Some(node);
        version.action = Action::NewVersion;
        for stored in self.systems.destination.versions(node).await? {
            let ours = VersionNote::parse(&stored.description)
                .is_some_and(|note| note.marker.as_str() == item.marker);
            // The ledger knows that its version has other content.
            let known = version.version == Some(stored.number);
            if ours && stored.size == version.bytes && !known {
                version.action = Action::AlreadyThere;
                version.version = Some(stored.number);
                version.why = "already-there".to_owned();
                version.detail = format!(
                    "version {} of node {node} has its marker and size; a run reads it back",
                    stored.number
                );
            }
        }
        Ok(())
    }

    /// The published document that is this asset's; what else has its name is noted.
    async fn find(
        &self,
        item: &NewItem,
        other: &str,
        folder: bool,
        version: &mut Version,
    ) -> Result<Option<NodeId>, Error> {
        let destination = &self.systems.destination;
        let mut markers = vec![item.marker.clone()];
        markers.extend(item.kin.iter().cloned());
        for id in self.ledger(|ledger| ledger.adopted(&markers))? {
            match destination.node(id).await {
                Ok(node) if node.is_document() && node.parent != self.rules.staging => {
                    return Ok(Some(id));
                }
                Ok(_) => {}
                Err(failure) if is_hidden(&failure) => {}
                Err(failure) => return Err(failure.into()),
            }
        }
        for name in [item.name.as_str(), other] {
            let Some(node) = destination.child(NodeId(item.parent), name).await? else {
                continue;
            };
            if self.is_ours(&node, &markers, item, folder).await? {
                if !folder {
                    return Ok(Some(node.id));
                }
                version.node = Some(node.id);
                version.action = Action::AlreadyThere;
                version.why = "already-there".to_owned();
                version.detail = format!(
                    "folder {} holds a file with its marker; a run files what is missing",
                    node.id
                );
                return Ok(None);
            }
            if name == item.name {
                version.detail = format!("its name is taken by node {}", node.id);
                version.filed_as = Some(other.to_owned());
                // The node is not its own: only the text names it.
            }
        }
        // A name that another item of the ledger is going to take.
        if version.filed_as.is_none() {
            let named =
                self.ledger(|ledger| ledger.items_named(self.systems.target, &item.name))?;
            let own = intake::asset_of(&item.key);
            let rival = named.iter().find(|rival| {
                intake::asset_of(&rival.key) != own
                    && matches!(rival.state.as_str(), "planned" | "active" | "waiting")
            });
            if let Some(rival) = rival {
                version.detail = format!("its name is taken by {} of run {}", rival.key, rival.run);
                version.filed_as = Some(other.to_owned());
            }
        }
        Ok(None)
    }

    async fn is_ours(
        &self,
        node: &Node,
        markers: &[String],
        item: &NewItem,
        folder: bool,
    ) -> Result<bool, Error> {
        let destination = &self.systems.destination;
        if node.container != folder || node.original.is_some() {
            return Ok(false);
        }
        let mut document = node.id;
        let mut wanted = markers;
        let first;
        if folder {
            let Some(file) = item.files.first() else {
                return Ok(false);
            };
            for name in file.dir.split('/').filter(|name| !name.is_empty()) {
                match destination.child(document, name).await? {
                    Some(inside) if inside.container => document = inside.id,
                    _ => return Ok(false),
                }
            }
            match destination.child(document, &file.name).await? {
                Some(child) if child.is_document() => document = child.id,
                _ => return Ok(false),
            }
            first = [file.marker.clone()];
            wanted = &first;
        }
        let versions = destination.versions(document).await?;
        Ok(versions.iter().any(|version| {
            VersionNote::parse(&version.description)
                .is_some_and(|note| wanted.iter().any(|marker| marker == note.marker.as_str()))
        }))
    }
}

fn is_hidden(failure: &Failure) -> bool {
    use crate::types::Reason;
    matches!(failure.reason, Reason::Inaccessible | Reason::NotFound)
}
