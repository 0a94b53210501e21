//! What finds a file again: ids and names, never an address.

use serde::{Deserialize, Serialize};

use super::Method;
use crate::types::{AssetId, Failure, FileId, FileSetId, FormatId, Reason, StorageId, VersionId};

/// Where a master's file is in iconik. Stored as JSON in the ledger, so members may only be added.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Locator {
    /// The asset.
    pub asset: AssetId,
    /// Its version.
    pub version: VersionId,
    /// The format.
    pub format: FormatId,
    /// The copy.
    pub file_set: FileSetId,
    /// The file.
    pub file: FileId,
    /// The storage the copy is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage: Option<StorageId>,
    /// How that storage is reached.
    pub method: Method,
    /// The file's folder, relative to the storage.
    #[serde(default)]
    pub directory: String,
    /// The name it is stored under.
    #[serde(default)]
    pub name: String,
    /// The checksum iconik quotes, as it came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksum: Option<String>,
    /// How many files the copy has: those of small sets get their addresses from one listing.
    #[serde(default)]
    pub files: usize,
}

impl Locator {
    /// The locator as the ledger keeps it.
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).expect("ids and texts are always JSON")
    }

    /// Reads a locator back.
    ///
    /// # Errors
    ///
    /// `ItemIsWrong` for a text that is none: it came from another version, or was changed.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        serde_json::from_str(text).map_err(|error| {
            Failure::item(
                Reason::Other,
                format!(
                    "the recorded location of the file cannot be read ({error}); plan it again"
                ),
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locators_round_trip_and_old_ones_stay_readable() {
        let text = r#"{"asset":"a","version":"v","format":"f","file_set":"s","file":"x","method":"WASABI"}"#;
        let locator = Locator::parse(text).unwrap();
        assert_eq!(locator.method.as_str(), "WASABI");
        assert_eq!(Locator::parse(&locator.to_text()).unwrap(), locator);
    }

    #[test]
    fn a_broken_locator_parks_the_item() {
        let failure = Locator::parse("{").unwrap_err();
        assert_eq!(failure.class, crate::types::FailureClass::ItemIsWrong);
    }
}
