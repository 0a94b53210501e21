//! A document that a flow writes itself, such as a certificate: a ledger item with its content, filed
//! by the engine like any sidecar.

use sha2::{Digest as _, Sha256};

use crate::ledger::{NewFile, NewItem};
use crate::types::{NodeId, Role, Sha256Digest};

/// A document and its content.
pub(in crate::flows) struct Own {
    /// The item's key.
    pub(in crate::flows) key: String,
    /// Its title, for people.
    pub(in crate::flows) title: String,
    /// The folder it is filed in.
    pub(in crate::flows) parent: NodeId,
    /// Its name there, as the destination takes it.
    pub(in crate::flows) name: String,
    /// Its marker.
    pub(in crate::flows) marker: String,
    /// What it is.
    pub(in crate::flows) mime: &'static str,
    /// What it holds.
    pub(in crate::flows) content: Vec<u8>,
}

impl Own {
    /// The document as an item; the digest of its content says whether it is another.
    pub(in crate::flows) fn item(self) -> NewItem {
        NewItem {
            key: self.key,
            kind: "document".to_owned(),
            title: self.title,
            parent: self.parent.0,
            name: self.name.clone(),
            marker: self.marker.clone(),
            fingerprint: Sha256Digest(Sha256::digest(&self.content).into()).to_string(),
            source: "{}".to_owned(),
            files: vec![NewFile {
                role: Role::Master.name(),
                marker: self.marker,
                name: self.name,
                size: self.content.len() as u64,
                mime: self.mime.to_owned(),
                content: Some(self.content),
                ..NewFile::default()
            }],
            ..NewItem::default()
        }
    }
}
