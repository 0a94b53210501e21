//! What a row of the ledger may hold, fed with any bytes: rows outlive code, and files are edited.

use serde::Deserialize;

use super::ends::Validator;
use super::hash::{HashState, Outer};
use super::plan::JoinManifest;
use super::state::Step;
use crate::ledger::File;
use crate::types::{ItemId, NodeId, TransferId, VersionNote, VersionNumber};

/// The cells of a file's row that become a step.
#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Row {
    step: String,
    session: Option<(String, u64, u32)>,
    sha256: Option<Vec<u8>>,
    intent: Option<String>,
    node: Option<i64>,
    version: Option<i64>,
    proof: String,
    validator: Option<String>,
}

/// The bytes as a saved hash state, as a description, as a manifest, and as the JSON of a row.
pub(crate) fn row(bytes: &[u8]) {
    if let Ok(state) = HashState::load(bytes) {
        assert_eq!(state.save(), bytes, "a state is stored in one way only");
    }
    if let Ok(outer) = Outer::load(bytes) {
        assert_eq!(outer.save(), bytes);
    }
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Some(note) = VersionNote::parse(text) {
        assert_eq!(VersionNote::parse(&note.to_string()), Some(note));
    }
    let _ = serde_json::from_str::<JoinManifest>(text);
    let Ok(row) = serde_json::from_str::<Row>(text) else {
        return;
    };
    if let Some(validator) = &row.validator {
        let _ = serde_json::from_str::<Validator>(validator);
    }
    let file = File {
        id: TransferId(1),
        item: ItemId(1),
        seq: 0,
        role: String::new(),
        marker: String::new(),
        name: String::new(),
        dir: String::new(),
        size: 0,
        offset: 0,
        mime: String::new(),
        locator: String::new(),
        md5: None,
        content: None,
        step: row.step,
        validator: row.validator,
        session: row.session,
        sha256: row.sha256,
        outer_state: None,
        intent: row.intent,
        node: row.node.map(NodeId),
        version: row.version.map(VersionNumber),
        proof: row.proof,
        bytes_sent: 0,
        restarts: 0,
    };
    if let Ok(step) = Step::of(&file) {
        assert_eq!(step.name(), file.step);
        if let Step::Committed { .. } | Step::Proved { .. } | Step::Dressed { .. } = step {
            assert!(file.node.is_some() && file.version.is_some());
        }
    }
}
