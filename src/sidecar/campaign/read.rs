//! The manifest, read as far as somebody needs it who goes on with a package.

use jiff::Timestamp;
use serde::Deserialize;

use super::{FORMAT, PackedItem, SplitMaster};

/// What a package lists.
#[derive(Debug, Deserialize)]
pub struct Listing {
    format: String,
    /// When it was packed.
    pub created: Timestamp,
    /// Every payload file.
    pub items: Vec<PackedItem>,
    /// Masters whose parts are items.
    #[serde(default)]
    pub split_masters: Vec<SplitMaster>,
}

/// A manifest that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// It is no such JSON.
    #[error("{0}")]
    Json(#[from] serde_path_to_error::Error<serde_json::Error>),
    /// It is of another version.
    #[error("it is `{0}`, this version reads `{FORMAT}`")]
    Format(String),
}

impl Listing {
    /// Reads `campaign.json`.
    ///
    /// # Errors
    ///
    /// When it is another document, naming the member that is wrong.
    pub fn from_json(text: &[u8]) -> Result<Self, Unreadable> {
        let mut json = serde_json::Deserializer::from_slice(text);
        let listing: Self = serde_path_to_error::deserialize(&mut json)?;
        if listing.format != FORMAT {
            return Err(Unreadable::Format(listing.format));
        }
        Ok(listing)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::campaign;
    use super::*;

    #[test]
    fn what_is_written_is_read_and_what_is_wrong_is_named() {
        let written = campaign();
        let text = written.to_json();
        let listing = Listing::from_json(&text).unwrap();
        assert_eq!(listing.created, written.created);
        let [item] = listing.items.try_into().expect("one item");
        assert_eq!(
            (item.sha256, item.otcs),
            (written.items[0].sha256, written.items[0].otcs.clone())
        );
        let text = String::from_utf8(text).unwrap();
        for (from, to, wanted) in [
            (
                "longhaul-campaign/1",
                "longhaul-campaign/9",
                "it is `longhaul-campaign/9`",
            ),
            (
                "\"master\"",
                "\"mistress\"",
                "items[0].kind: unknown variant `mistress`",
            ),
        ] {
            let error = Listing::from_json(text.replace(from, to).as_bytes());
            let error = error.unwrap_err().to_string();
            assert!(error.starts_with(wanted), "{error}");
        }
    }
}
