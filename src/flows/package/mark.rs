//! Telling a collection in iconik that its package is complete, by fields of one metadata view.

use super::facts::Kept;
use crate::flows::publish::Template;
use crate::flows::{Error, Systems};
use crate::iconik::{WriteMode, Writing};
use crate::types::{CollectionId, NodeId, ViewId};

/// What a collection is told.
#[derive(Clone, Debug)]
pub struct Mark {
    /// The metadata view.
    pub view: ViewId,
    /// What each field says, with [placeholders](Self::PLACEHOLDERS).
    pub values: Vec<(String, Template)>,
    /// What stands before a node's id in the address of its page.
    pub link: String,
}

/// Whether a collection was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// It says so already.
    Before,
    /// It says so now.
    Now,
    /// iconik did not take it, for this reason.
    Refused(String),
}

/// Whether a field says a text already; a day reads as its first moment.
fn same(says: &str, text: &str) -> bool {
    says == text
        || says
            .strip_prefix(text)
            .is_some_and(|rest| rest.starts_with("T00:00:00"))
}

impl Mark {
    /// The day the package was made, its node, and the address of its page.
    pub const PLACEHOLDERS: [&'static str; 3] = ["day", "node", "link"];

    /// Tells a collection where its package is, unless it says so already.
    ///
    /// # Errors
    ///
    /// iconik's, other than a refusal of these values.
    pub(super) async fn tell(
        &self,
        systems: &Systems,
        collection: &CollectionId,
        kept: &Kept,
        folder: NodeId,
    ) -> Result<Told, Error> {
        let value = |name: &str| match name {
            "day" => Some(kept.created.strftime("%Y-%m-%d").to_string()),
            "node" => Some(folder.to_string()),
            "link" => Some(format!("{}{folder}", self.link)),
            _ => None,
        };
        let iconik = &systems.iconik;
        let there = match iconik.collection_values(collection, &self.view).await {
            Ok(there) => there,
            Err(error) if error.is_forbidden() => return Ok(Told::Refused(error.to_string())),
            Err(error) => return Err(error.into()),
        };
        let mut writing = Vec::new();
        for (field, template) in &self.values {
            let text = template.fill(value).map_err(|name| {
                crate::types::Failure::stop(format!(
                    "`package.mark` has a placeholder {name:?}; there are {}",
                    Self::PLACEHOLDERS.join(", ")
                ))
            })?;
            let says = there.get(field).map(Vec::as_slice);
            if !matches!(says, Some([one]) if same(one, &text)) {
                writing.push(Writing {
                    field: field.clone(),
                    values: vec![text],
                    mode: WriteMode::Overwrite,
                });
            }
        }
        if writing.is_empty() {
            return Ok(Told::Before);
        }
        match iconik
            .write_collection_values(collection, &self.view, &writing)
            .await
        {
            Ok(()) => Ok(Told::Now),
            Err(error) if error.is_passing() => Err(error.into()),
            Err(error) => Ok(Told::Refused(error.to_string())),
        }
    }
}
