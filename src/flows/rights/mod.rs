//! Rights travel with the media: the licence as a sidecar, the papers that prove it as documents.
//!
//! While a run enumerates, an asset's licence is read from its fields ([`Licensing::read`]) and its
//! papers are looked for ([`papers`]). What is not understood or missing holds the master. Papers
//! that are in iconik become items of their own, filed before the masters that need them: a master
//! waits, held, until the ledger knows its papers' documents, and the run looks at it once more
//! when everything else is done.
//!
//! When licences end is remembered by day, for [`ending`].

pub mod ending;
mod licences;
pub mod papers;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use serde_json::Value;

use super::publish::Template;
use crate::ledger::{self, Item, Reader};
use crate::sidecar::rights::odrl::Document;
use crate::sidecar::rights::{Licensed, Policy, RightsFields};
use crate::types::{AssetId, NodeId, VersionId};

/// What is known of licences and their papers.
#[derive(Debug)]
pub struct Licensing {
    /// Which field says what.
    pub fields: RightsFields,
    /// Papers that are looked for.
    pub papers: Vec<PaperRule>,
    /// Folders below the target that papers from iconik are filed in.
    pub place: Vec<String>,
    /// The type of the rendition that a published master has of its rights sidecar, if any.
    pub rendition: Option<String>,
    /// What is filed already.
    pub filed: Filed,
}

/// A kind of paper.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaperRule {
    /// The settings' name for it.
    pub name: String,
    /// What it proves: `licence`, `talent-release`, …
    pub role: String,
    /// Where it is looked for.
    pub source: PaperSource,
    /// The names that its files have; `*` stands for anything.
    pub files: Option<Template>,
    /// Whether a master must have one.
    pub required: Required,
}

/// Where papers are looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PaperSource {
    /// Assets that the asset has this relation to.
    Relation(String),
    /// Files of the asset in the format of this name.
    Format(String),
    /// Node ids, or addresses of nodes, in this field.
    Field(String),
    /// Documents in this folder of Content Server.
    Folder(NodeId),
}

/// Whether a master must have a paper.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Required {
    /// It need not.
    #[default]
    Never,
    /// It must.
    Always,
    /// It must when a field has one of these values.
    When {
        /// The field of iconik.
        field: String,
        /// Its values.
        values: Vec<String>,
    },
}

impl Required {
    /// Whether it is required of an asset with these values.
    pub fn of(&self, source: &BTreeMap<String, Vec<Value>>) -> bool {
        match self {
            Self::Never => false,
            Self::Always => true,
            Self::When { field, values } => {
                let found = source.get(field).into_iter().flatten();
                let mut words = found.map(|value| match value {
                    Value::String(text) => text.trim().to_owned(),
                    other => other.to_string(),
                });
                words.any(|word| values.contains(&word))
            }
        }
    }
}

impl Licensing {
    /// Whether a rights sidecar is filed beside each master.
    pub fn has_sidecar(&self) -> bool {
        !self.fields.is_empty()
    }
}

/// The policy of an asset version.
pub fn policy(
    domain: &str,
    instance: &str,
    asset: &AssetId,
    version: &VersionId,
    licences: &[Licensed],
    papers: &[(NodeId, String)],
) -> Policy {
    let documents = papers.iter().map(|(node, role)| Document {
        id: format!("urn:otcs:{instance}:node:{node}"),
        role: role.clone(),
    });
    Policy::of(
        format!("urn:longhaul:policy:{domain}:{asset}:{version}"),
        &format!("urn:iconik:asset:{asset}"),
        licences,
        documents.collect(),
    )
}

/// What the ledger knows, read while another thread of the same process may write it.
#[derive(Debug)]
pub struct Filed {
    path: PathBuf,
    reader: Mutex<Option<Reader>>,
}

impl Filed {
    /// What the ledger at `path` knows; nothing as long as there is none.
    pub fn new(path: PathBuf) -> Self {
        Self {
            path,
            reader: Mutex::new(None),
        }
    }

    /// The item of that key.
    pub(super) fn item(&self, key: &str) -> Result<Option<Item>, ledger::Error> {
        if !self.path.exists() {
            return Ok(None);
        }
        let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        let reader = match &mut *reader {
            Some(reader) => reader,
            none => none.insert(Reader::open(&self.path)?),
        };
        reader.item_by_key(key)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_paper_is_required_by_the_values_of_a_field() {
        let source = |value: Value| -> BTreeMap<String, Vec<Value>> {
            serde_json::from_value(json!({"talent": [value]})).unwrap()
        };
        let when = Required::When {
            field: "talent".into(),
            values: vec!["yes".into(), "true".into()],
        };
        assert!(when.of(&source(json!("yes "))));
        assert!(when.of(&source(json!(true))));
        assert!(!when.of(&source(json!("no"))));
        assert!(!when.of(&BTreeMap::new()));
        assert!(Required::Always.of(&BTreeMap::new()));
        assert!(!Required::Never.of(&source(json!("yes"))));
    }

    #[test]
    fn a_ledger_that_is_not_there_yet_knows_nothing() {
        let place = crate::ledger::tests::directory();
        let filed = Filed::new(place.path().join("none.db"));
        assert!(filed.item("paper/x").unwrap().is_none());
    }
}
