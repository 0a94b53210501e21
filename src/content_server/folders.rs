//! Folders by their names: found, or made on the way.

use tracing::debug;

use super::Client;
use super::categories::CategoryValues;
use crate::transfer::Destination as _;
use crate::types::{Failure, NodeId, Reason};

/// What is made to hold documents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Container {
    /// A folder.
    #[default]
    Folder,
    /// A compound document, which takes documents and compound documents but no folders.
    CompoundDocument,
}

impl Client {
    /// The container at the end of `path` below `base`; folders that are missing are made. Names
    /// are filed as they are given: map them first ([`map_name`](super::map_name)). Several may
    /// want the same one at once, whoever comes second finds the first one's. Safe to repeat.
    ///
    /// # Errors
    ///
    /// `NameTaken` when a name on the way belongs to something that holds nothing; otherwise as
    /// any read or as [`create_container`](crate::transfer::Destination::create_container).
    pub async fn folder_at(&self, base: NodeId, path: &[String]) -> Result<NodeId, Failure> {
        let mut at = base;
        for name in path {
            at = self.container_in(at, name, Container::Folder).await?;
        }
        Ok(at)
    }

    /// The container at the end of `path` below `base`, as it is now; `None` when a folder on the
    /// way is missing. Makes nothing: for plans.
    ///
    /// # Errors
    ///
    /// As [`folder_at`](Self::folder_at), without those of making.
    pub async fn find_path(
        &self,
        base: NodeId,
        path: &[String],
    ) -> Result<Option<NodeId>, Failure> {
        let mut at = base;
        for name in path {
            let Some(node) = self.child(at, name).await? else {
                return Ok(None);
            };
            if !node.container {
                return Err(no_folder(at, name));
            }
            at = node.id;
        }
        Ok(Some(at))
    }

    /// The container of that name, made as `kind` when it is missing. Safe to repeat.
    ///
    /// # Errors
    ///
    /// As [`folder_at`](Self::folder_at).
    pub async fn container_in(
        &self,
        parent: NodeId,
        name: &str,
        kind: Container,
    ) -> Result<NodeId, Failure> {
        let mut made = false;
        loop {
            if let Some(node) = self.child(parent, name).await? {
                if node.container {
                    return Ok(node.id);
                }
                return Err(no_folder(parent, name));
            }
            let plain = CategoryValues::default();
            match self.create_holder(kind, parent, name, &plain).await {
                Ok(node) => return Ok(node),
                Err(failure)
                    if !made && matches!(failure.reason, Reason::NameTaken | Reason::Ambiguous) =>
                {
                    debug!(%parent, name, %failure, "looked up again");
                    made = true;
                }
                Err(failure) => return Err(failure),
            }
        }
    }
}

fn no_folder(parent: NodeId, name: &str) -> Failure {
    Failure::item(
        Reason::NameTaken,
        format!(
            "{name:?} in node {parent} is a document, where a folder is needed; rename it or choose another place"
        ),
    )
}
