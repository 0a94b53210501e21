//! What the ledger stores, as plain rows.
//!
//! Rows outlive code: steps and states are texts here, and become the engine's own types only
//! after its checks.

use std::fmt;

use crate::types::{ByteCount, ItemId, NodeId, RunId, TransferId, VersionNumber};

/// A run to start.
#[derive(Clone, Debug, Default)]
pub struct NewRun {
    /// The command, such as `archive`.
    pub command: String,
    /// What it was told, as JSON, without secrets.
    pub arguments: String,
}

/// A run: one command's work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Its number.
    pub id: RunId,
    /// The command.
    pub command: String,
    /// What it was told, as JSON.
    pub arguments: String,
    /// Unix milliseconds.
    pub started: i64,
    /// Unix milliseconds; `None` while it is unfinished.
    pub ended: Option<i64>,
    /// Whether the enumeration has reached its end.
    pub scan_done: bool,
    /// Where the enumeration can go on.
    pub scan_cursor: Option<String>,
    /// Items the enumeration found already done and unchanged.
    pub already_done: u64,
    /// Assets the enumeration left out (deleted, links, no original).
    pub left_out: u64,
    /// How the last process that worked on it ended: `running`, `done`, `stopped`, `failed`.
    pub outcome: String,
}

/// An item to plan: one asset version to file.
#[derive(Clone, Debug, Default)]
pub struct NewItem {
    /// Identity across runs and machines; one row per key, ever.
    pub key: String,
    /// Key of the item that must be done first (an earlier version of the same asset).
    pub after: Option<String>,
    /// `document` or `folder`.
    pub kind: String,
    /// The title to show people.
    pub title: String,
    /// Container it is published in.
    pub parent: i64,
    /// Name it is published under.
    pub name: String,
    /// Marker of the item's folder, for kind `folder`; of its master otherwise.
    pub marker: String,
    /// Markers of the asset's other versions, to recognise the document to add a version to.
    pub kin: Vec<String>,
    /// Digest of what the source said of the content (ids, sizes, checksums, dates). A done item
    /// that comes again with another fingerprint is opened again.
    pub fingerprint: String,
    /// What the flows want to keep about it, as JSON.
    pub source: String,
    /// What the destination is to make of it beyond its bytes, as JSON. A done item that comes
    /// again with another one is opened again and keeps its content.
    pub record: Option<String>,
    /// Why it cannot be done, when that is known already: class, reason, message.
    pub refused: Option<(String, String, String)>,
    /// Its files.
    pub files: Vec<NewFile>,
    /// Whether the source keeps the content in an archive by now, where its files may have other
    /// ids. A done item whose files have the same names and sizes stays done.
    pub archived: bool,
}

/// A file to plan.
#[derive(Clone, Debug, Default)]
pub struct NewFile {
    /// Name of the [`Role`](crate::types::Role).
    pub role: String,
    /// Marker text.
    pub marker: String,
    /// Name at the destination.
    pub name: String,
    /// Folder inside the item, `/` between names, empty for the top.
    pub dir: String,
    /// Bytes.
    pub size: ByteCount,
    /// First byte within the source file (segments start above 0).
    pub offset: ByteCount,
    /// Media type.
    pub mime: String,
    /// What the source needs to find the bytes; empty for inline content.
    pub locator: String,
    /// MD5 that the source quotes, hex.
    pub md5: Option<String>,
    /// The generation to read, when it is known already (segments of one master share it).
    pub validator: Option<String>,
    /// Inline content (sidecars); at most a few MiB.
    pub content: Option<Vec<u8>>,
}

/// What adding items did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Added {
    /// New rows.
    pub new: u64,
    /// Done before, same fingerprint: nothing to do.
    pub already_done: u64,
    /// Done before with another fingerprint, record or document of its own: opened again.
    pub reopened: u64,
    /// Unfinished before; now this run's.
    pub taken_over: u64,
}

/// What a flow remembers of one field of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fact {
    /// The flow.
    pub flow: String,
    /// The object: an asset's id, or what the flow knows it by.
    pub object: String,
    /// The field, or the kind of fact.
    pub field: String,
    /// What is remembered, as JSON.
    pub data: String,
    /// Whether a person has to decide.
    pub open: bool,
    /// When it was remembered, Unix milliseconds.
    pub at: i64,
}

/// An item's row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its number.
    pub id: ItemId,
    /// The run it belongs to.
    pub run: RunId,
    /// Identity across runs.
    pub key: String,
    /// The item that must be done first.
    pub after: Option<ItemId>,
    /// `document`, `folder` or `split`.
    pub kind: String,
    /// The title to show people.
    pub title: String,
    /// Container it is published in.
    pub parent: NodeId,
    /// Name it is published under.
    pub name: String,
    /// Marker text.
    pub marker: String,
    /// Markers of the asset's other versions.
    pub kin: Vec<String>,
    /// What the source said of the content.
    pub fingerprint: String,
    /// What the flows keep about it, as JSON.
    pub source: String,
    /// `planned`, `active`, `waiting`, `done`, `failed`, `parked`, `held`, `conflict`,
    /// `quarantined`.
    pub state: String,
    /// The staged folder of a folder item.
    pub container: Option<NodeId>,
    /// The published node.
    pub node: Option<NodeId>,
    /// The published version.
    pub version: Option<VersionNumber>,
    /// Lowest proof level over its files.
    pub proof: String,
    /// Bytes over all its files.
    pub bytes: ByteCount,
    /// Number of files.
    pub files: u64,
    /// Attempts burned.
    pub attempts: u32,
    /// Not before this time, Unix milliseconds.
    pub next_at: i64,
    /// Failure class of the last failure.
    pub class: Option<String>,
    /// Reason of the last failure.
    pub reason: Option<String>,
    /// Message of the last failure.
    pub message: Option<String>,
    /// What the destination is to make of it beyond its bytes, as JSON.
    pub record: Option<String>,
}

/// A file's row.
#[derive(Clone, PartialEq, Eq)]
pub struct File {
    /// Its number.
    pub id: TransferId,
    /// The item.
    pub item: ItemId,
    /// Place within the item, from 0.
    pub seq: u64,
    /// Name of its role.
    pub role: String,
    /// Marker text.
    pub marker: String,
    /// Name at the destination.
    pub name: String,
    /// Folder inside the item.
    pub dir: String,
    /// Bytes.
    pub size: ByteCount,
    /// First byte within the source file.
    pub offset: ByteCount,
    /// Media type.
    pub mime: String,
    /// What the source needs to find the bytes.
    pub locator: String,
    /// MD5 that the source quotes.
    pub md5: Option<String>,
    /// Inline content.
    pub content: Option<Vec<u8>>,
    /// Name of the engine's step.
    pub step: String,
    /// Validator the reads are pinned to, as JSON.
    pub validator: Option<String>,
    /// Upload session: key, part size, number of parts.
    pub session: Option<(String, ByteCount, u32)>,
    /// Digest of the whole file once sealed, 32 bytes.
    pub sha256: Option<Vec<u8>>,
    /// Hash state of the whole master up to the end of this segment (split masters only).
    pub outer_state: Option<Vec<u8>>,
    /// The commit that was about to be sent, as JSON.
    pub intent: Option<String>,
    /// The document.
    pub node: Option<NodeId>,
    /// The version.
    pub version: Option<VersionNumber>,
    /// Proof level reached.
    pub proof: String,
    /// Bytes handed to the destination over all attempts.
    pub bytes_sent: ByteCount,
    /// Times its transfer was started again from its beginning or a new session.
    pub restarts: u32,
}

/// What may stand in a log: an upload session's key grants access, the commit about to be sent
/// holds it, and content is content.
impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("File")
            .field("id", &self.id)
            .field("item", &self.item)
            .field("seq", &self.seq)
            .field("role", &self.role)
            .field("marker", &self.marker)
            .field("size", &self.size)
            .field("offset", &self.offset)
            .field("step", &self.step)
            .field("session", &self.session.is_some())
            .field("sha256", &self.sha256.as_ref().map(hex::encode))
            .field("intent", &self.intent.is_some())
            .field("node", &self.node)
            .field("version", &self.version)
            .field("proof", &self.proof)
            .finish_non_exhaustive()
    }
}

/// One part of an upload session that has been hashed, and perhaps acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// From 1.
    pub number: u32,
    /// XXH3-128 of the part's bytes, 16 bytes; empty when it was streamed and is not known.
    pub digest: Vec<u8>,
    /// Hash state at the part's end, in the engine's own format.
    pub state: Vec<u8>,
    /// Whether the destination acknowledged it.
    pub acked: bool,
}

/// A version of longhaul's that was found at the destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adopted {
    /// Its file's marker.
    pub marker: String,
    /// The document.
    pub node: NodeId,
    /// The version.
    pub version: VersionNumber,
    /// Bytes.
    pub size: ByteCount,
    /// SHA-256 that was recorded with it, 32 bytes.
    pub sha256: Option<Vec<u8>>,
}

/// A marker that more than one version has, and where those are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doubled {
    /// The marker.
    pub marker: String,
    /// The versions, by node.
    pub versions: Vec<(NodeId, VersionNumber)>,
}

/// Changes to an item; `None` leaves a column as it is.
#[derive(Clone, Debug, Default)]
pub struct ItemPatch {
    /// New state.
    pub state: Option<String>,
    /// New kind (`split` once a master is too large for one document).
    pub kind: Option<String>,
    /// The container it is published in.
    pub parent: Option<NodeId>,
    /// The staged folder.
    pub container: Option<Option<NodeId>>,
    /// The published node.
    pub node: Option<Option<NodeId>>,
    /// The published version.
    pub version: Option<Option<VersionNumber>>,
    /// New published name.
    pub name: Option<String>,
    /// Proof level.
    pub proof: Option<String>,
    /// Attempts burned.
    pub attempts: Option<u32>,
    /// Not before, Unix milliseconds.
    pub next_at: Option<i64>,
    /// Last failure: class, reason, message; `Some(None)` clears it.
    pub failure: Option<Option<(String, String, String)>>,
}

/// Changes to a file; `None` leaves a column as it is.
#[derive(Clone, Default)]
pub struct FilePatch {
    /// New step.
    pub step: Option<String>,
    /// Size found when the source was touched.
    pub size: Option<ByteCount>,
    /// Validator, as JSON.
    pub validator: Option<Option<String>>,
    /// Upload session.
    pub session: Option<Option<(String, ByteCount, u32)>>,
    /// Digest of the whole file.
    pub sha256: Option<Option<Vec<u8>>>,
    /// MD5 that the source quotes.
    pub md5: Option<Option<String>>,
    /// Hash state over the whole master (split masters).
    pub outer_state: Option<Option<Vec<u8>>>,
    /// The commit about to be sent, as JSON.
    pub intent: Option<Option<String>>,
    /// The document.
    pub node: Option<Option<NodeId>>,
    /// The version.
    pub version: Option<Option<VersionNumber>>,
    /// Proof level.
    pub proof: Option<String>,
    /// Inline content (a joining manifest is known only after its segments).
    pub content: Option<Option<Vec<u8>>>,
    /// Added to the bytes handed to the destination.
    pub add_bytes_sent: ByteCount,
    /// Added to the restarts.
    pub add_restarts: u32,
}

/// As little as a [`File`] shows.
impl fmt::Debug for FilePatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FilePatch")
            .field("step", &self.step)
            .field("size", &self.size)
            .field("session", &self.session.as_ref().map(Option::is_some))
            .field("intent", &self.intent.as_ref().map(Option::is_some))
            .field("node", &self.node)
            .field("version", &self.version)
            .field("proof", &self.proof)
            .finish_non_exhaustive()
    }
}

/// A journal line to append.
#[derive(Clone, Debug, Default)]
pub struct Entry {
    /// The run, if any.
    pub run: Option<RunId>,
    /// The item, if any.
    pub item: Option<ItemId>,
    /// The file, if any.
    pub file: Option<TransferId>,
    /// What happened, a short kebab-case word.
    pub event: String,
    /// Facts, as a JSON object; never a secret.
    pub data: String,
}

/// A journal line as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// From 1, without gaps.
    pub seq: i64,
    /// Unix milliseconds.
    pub at: i64,
    /// The run.
    pub run: Option<RunId>,
    /// The item.
    pub item: Option<ItemId>,
    /// The file.
    pub file: Option<TransferId>,
    /// What happened.
    pub event: String,
    /// Facts, as JSON.
    pub data: String,
    /// SHA-256 over the previous line's digest and this line, hex.
    pub digest: String,
}

/// A message to another system that must arrive, eventually, at least once.
#[derive(Clone, Debug, Default)]
pub struct NewPost {
    /// The item it is about.
    pub item: Option<ItemId>,
    /// What the flows understand it as.
    pub kind: String,
    /// Facts, as JSON.
    pub payload: String,
}

/// An outbox row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Post {
    /// Its number; the same at every attempt.
    pub id: i64,
    /// The item it is about.
    pub item: Option<ItemId>,
    /// What the flows understand it as.
    pub kind: String,
    /// Facts, as JSON.
    pub payload: String,
    /// Attempts begun so far.
    pub attempts: u32,
}

/// Items and bytes in one state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StateCount {
    /// The state.
    pub state: String,
    /// Items in it.
    pub items: u64,
    /// Bytes of those items.
    pub bytes: ByteCount,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_session_key_or_content_shows_in_a_log() {
        let patch = FilePatch {
            session: Some(Some(("canary".into(), 5, 1))),
            intent: Some(Some("canary".into())),
            content: Some(Some(b"canary".to_vec())),
            ..FilePatch::default()
        };
        let text = format!("{patch:?}");
        assert!(!text.contains("canary"), "{text}");
        assert!(text.contains("session: Some(true)"), "{text}");
    }
}
