//! What the source says of a version that would move: its names and storage, and what stands in
//! the way of reading it.

use super::Version;
use super::decide::Inner;
use crate::flows::Error;
use crate::iconik::{Master, Method};
use crate::ledger::NewItem;
use crate::transfer::{Source as _, pieces};

/// Files of a mounted master that are looked for; the rest of a long sequence is trusted.
const LOOKED_FOR: usize = 100;

impl Inner {
    /// Names, storage and pieces.
    pub(super) async fn describe(
        &self,
        item: &NewItem,
        master: &Master,
        version: &mut Version,
    ) -> Result<(), Error> {
        let original = if master.many {
            Some(&master.name)
        } else {
            master.files.first().map(|file| &file.name)
        };
        // A later version of a sequence is named by its number, which nobody calls a change.
        let numbered = format!("{} v{}", master.name, master.version_number);
        version.renamed_from = original
            .filter(|original| **original != item.name && numbered != item.name)
            .cloned();
        let inner = item.files.iter().zip(&master.files);
        version.names_changed = if master.many {
            inner.filter(|(file, from)| file.name != from.name).count() as u64
                + u64::from(version.renamed_from.is_some())
        } else {
            u64::from(version.renamed_from.is_some())
        };
        let storage = match &master.storage {
            Some(id) => self.systems.iconik.storage(id).await?,
            None => None,
        };
        version.storage = storage
            .as_ref()
            .map(|storage| storage.label().to_owned())
            .or_else(|| master.storage.as_ref().map(|id| id.0.clone()));
        version.cloud = master.method.is_cloud();
        version.archived = master.archived;
        Ok(())
    }

    /// What a person must do before it can be filed.
    pub(super) async fn hindrance(
        &self,
        item: &NewItem,
        master: &Master,
        version: &mut Version,
    ) -> Result<Option<(&'static str, String)>, Error> {
        for file in &item.files {
            let rules = &self.rules;
            match pieces(
                file.size,
                self.window,
                rules.single_post_max,
                rules.oversize,
            ) {
                Ok(1) => {}
                Ok(pieces) => version.segments += pieces,
                Err(failure) => {
                    return Ok(Some(("oversize", format!("{}: {failure}", file.name))));
                }
            }
        }
        if master.method != Method::File {
            return Ok(None);
        }
        if let Err(failure) = self.systems.iconik.check_mount(master).await {
            return Ok(Some(("no-mount", failure.to_string())));
        }
        // A mounted storage is at hand: whether its files are there costs next to nothing.
        let reader = self.systems.iconik.reader();
        for file in master.files.iter().take(LOOKED_FOR) {
            if let Err(failure) = reader.open(&master.source_file(file)).await {
                return Ok(Some(("missing-file", failure.to_string())));
            }
        }
        Ok(None)
    }
}
