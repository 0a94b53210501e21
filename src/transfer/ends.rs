//! The two ends of a transfer: where bytes come from and where versions are filed.
//!
//! Everything here is neutral: a source hands out byte ranges of a file pinned to one
//! [`Validator`]; a destination holds named nodes in containers, and documents with versions.
//! Both report a [`Failure`] whose class and reason the engine acts on; neither retries a call
//! whose repetition could make something twice.

use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use serde::{Deserialize, Serialize};

use super::kept::Kept;
use crate::types::{ByteCount, ByteRange, Failure, Md5Digest, NodeId, UploadKey, VersionNumber};

/// Bytes as they arrive, in order. An error ends the stream.
pub type ByteStream = BoxStream<'static, Result<Bytes, Failure>>;

/// What a destination is to make of an item beyond its bytes; a ledger row keeps it as JSON.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Record {
    /// The name that what was published before gets, when it still has the one it was given.
    pub rename: Option<String>,
    /// Whether it is moved when its place is another now.
    pub relocate: bool,
    /// Whether new content of a record that takes none is filed as a document of its own.
    pub supersede: bool,
    /// When it was to be looked at again although nothing about it is new.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub again: Option<String>,
    /// Place, values, rights and marks; only the destination reads it.
    pub filing: serde_json::Value,
}

impl Record {
    /// How its document was filed, whose item has this name and container.
    pub fn filed<'a>(&self, name: &'a str, container: NodeId) -> Filed<'a> {
        Filed {
            name,
            stays_in: (!self.relocate).then_some(container),
        }
    }
}

/// How a published record was filed.
#[derive(Clone, Copy, Debug)]
pub struct Filed<'a> {
    /// The name.
    pub name: &'a str,
    /// The container that it stays in by policy, wherever it would be filed now.
    pub stays_in: Option<NodeId>,
}

/// Which document of an item is dressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The item itself: a master, or the folder of many.
    Master,
    /// What accompanies it, such as a sidecar: seen by the same people, no record of its own.
    Companion,
}

/// The result of a call to one of the ends.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, Failure>>;

/// One file at the source, as the ledger recorded it.
#[derive(Clone, Debug)]
pub struct SourceFile {
    /// What the source needs to find the bytes again; only the source reads it. Never holds a
    /// signed address.
    pub locator: String,
    /// The name to show people.
    pub name: String,
    /// Size in bytes as recorded when the file was planned.
    pub size: ByteCount,
}

/// What identifies one generation of a file's content; compared on every response.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Validator {
    /// Size in bytes.
    pub size: ByteCount,
    /// Strong entity tag, when there is one.
    pub etag: Option<String>,
    /// Modification date as the source wrote it.
    pub last_modified: Option<String>,
}

/// What a source said when the file was first touched.
#[derive(Clone, Debug)]
pub struct Opened {
    /// The content's identity; every later read is pinned to it.
    pub validator: Validator,
    /// Whether byte ranges are honoured. Without them the file is streamed once from 0.
    pub ranges: bool,
    /// The MD5 that the source quotes for the whole file, if any.
    pub md5: Option<Md5Digest>,
}

/// What became of a request to bring a file back from cold storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Restore {
    /// The bytes can be read now.
    Ready,
    /// A restore is on its way.
    Underway {
        /// When to ask again: minutes for a restore that has taken long already.
        look_again: Duration,
    },
}

/// A system that masters are read from.
pub trait Source: Send + Sync {
    /// Touches the file: is it complete, is it what was planned, can it be read by ranges?
    /// A file that is still growing, missing or not complete is a failure with the class that
    /// says whether waiting helps.
    fn open<'a>(&'a self, file: &'a SourceFile) -> Answer<'a, Opened>;

    /// Reads `range`, pinned to `pin`. The stream yields exactly `range.len()` bytes or ends in
    /// an error; a source that answers with another range, generation, encoding or length is
    /// refused before its first byte is used. `range` is never empty.
    ///
    /// With `pin` unable to be honoured by ranges ([`Opened::ranges`] false), `range` is always
    /// the whole file.
    fn read<'a>(
        &'a self,
        file: &'a SourceFile,
        range: ByteRange,
        pin: &'a Validator,
    ) -> Answer<'a, ByteStream>;

    /// Drops what was cached for reaching the file (a signed address) and gets it anew. Called
    /// after a failure of class [`Resign`](crate::types::FailureClass::Resign); many callers at
    /// once cause one renewal.
    fn renew<'a>(&'a self, file: &'a SourceFile) -> Answer<'a, ()>;

    /// Asks for a file in cold storage to be made readable, or how far that is. Idempotent.
    fn restore<'a>(&'a self, file: &'a SourceFile) -> Answer<'a, Restore>;

    /// Asks the system whether it is there at all, apart from any file. Tells an outage from a
    /// file that cannot be read.
    fn reachable(&self) -> Answer<'_, ()>;
}

/// The sizes a destination takes through upload sessions; both ends exclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Only files larger than this.
    pub min: ByteCount,
    /// Only files smaller than this.
    pub max: ByteCount,
}

/// An upload session: numbered parts, in any order, that cannot be replaced once accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Names the session in every later call.
    pub key: UploadKey,
    /// Exact size of every part but the last, in bytes; dictated by the destination.
    pub part_size: ByteCount,
    /// Number of parts; numbered from 1.
    pub parts: u32,
}

impl Session {
    /// The bytes of part `number` (from 1) of a file of `size` bytes.
    pub fn part(&self, number: u32, size: ByteCount) -> ByteRange {
        let start = self
            .part_size
            .saturating_mul(u64::from(number.saturating_sub(1)))
            .min(size);
        ByteRange::new(start, start.saturating_add(self.part_size).min(size))
    }
}

/// A body to send.
pub enum Content {
    /// Held in memory, in order; can be sent again.
    Chunks(Vec<Bytes>),
    /// Exactly `len` bytes that pass once.
    Stream {
        /// Length in bytes.
        len: ByteCount,
        /// The bytes; a failure inside it aborts the request before it is complete.
        stream: ByteStream,
    },
}

impl Content {
    /// Length in bytes.
    pub fn len(&self) -> ByteCount {
        match self {
            Self::Chunks(chunks) => chunks.iter().map(|chunk| chunk.len() as u64).sum(),
            Self::Stream { len, .. } => *len,
        }
    }

    /// Whether there are no bytes to send.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Where a new document's or version's content comes from.
pub enum NewContent {
    /// A closed upload session.
    Session(Session),
    /// The body of the call itself.
    Body {
        /// The name the version keeps.
        file_name: String,
        /// Media type; `application/octet-stream` when unknown.
        mime: String,
        /// The bytes.
        content: Content,
    },
}

/// What the destination said of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartReceipt {
    /// Stored by this call.
    Stored,
    /// An earlier call had stored it ("already been uploaded").
    AlreadyThere,
}

/// A committed version, as the commit's own answer described it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The document.
    pub node: NodeId,
    /// The version, when the answer named it (a new document's is 1).
    pub version: VersionNumber,
    /// Size that the answer stated, in bytes.
    pub size: Option<ByteCount>,
}

/// A node at the destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its id.
    pub id: NodeId,
    /// The container it is in.
    pub parent: NodeId,
    /// Its name there.
    pub name: String,
    /// Whether other nodes can be created in it.
    pub container: bool,
    /// For documents: bytes of the current version.
    pub size: Option<ByteCount>,
    /// Who reserved it, as a text for people.
    pub reserved_by: Option<String>,
    /// The node that it only stands for: it has no content of its own.
    pub original: Option<NodeId>,
}

impl Node {
    /// Whether it can have versions of its own.
    pub fn is_document(&self) -> bool {
        !self.container && self.original.is_none()
    }
}

/// A node beside a record that stands for another one, such as a paper that proves its rights.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Link {
    /// Its id.
    pub node: NodeId,
    /// The node it stands for.
    pub to: NodeId,
    /// The container it is in.
    pub parent: NodeId,
    /// Its name there.
    pub name: String,
    /// Whether it was made just now.
    #[serde(skip)]
    pub new: bool,
}

/// A version of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// Its number.
    pub number: VersionNumber,
    /// Bytes.
    pub size: ByteCount,
    /// The description, where the marker lives.
    pub description: String,
    /// The file name it keeps.
    pub file_name: String,
}

/// A system that versions are filed in.
///
/// Every failure of [`create_document`](Self::create_document),
/// [`create_container`](Self::create_container) and [`add_version`](Self::add_version) carries
/// one of the reasons `NotDone`, `Ambiguous` or `NameTaken` (or a more exact one that implies
/// "not done", such as `Locked`, `Held`, `Full`, `SessionGone`): the engine looks up before any
/// repeat of an ambiguous one.
pub trait Destination: Send + Sync {
    /// The name the destination can hold for `original`: deterministic, and injective within a
    /// container together with the original's own spelling.
    fn map_name(&self, original: &str) -> String;

    /// Whether the note of [`add_version`](Self::add_version) is there once the version is. Where
    /// it may be missing, a version without one is ours as possibly as nobody's.
    fn keeps_notes(&self) -> bool {
        true
    }

    /// Whether it can hold that name as it is. A name that was planned before more was known of the
    /// destination may be one that it cannot.
    fn holds(&self, _name: &str) -> bool {
        true
    }

    /// The sizes taken through upload sessions, `None` when there are none.
    fn window(&self) -> Answer<'_, Option<Window>>;

    /// Opens an upload session.
    fn open_session<'a>(
        &'a self,
        file_name: &'a str,
        size: ByteCount,
        mime: &'a str,
    ) -> Answer<'a, Session>;

    /// Sends part `number`. Safe to repeat: an accepted part answers `AlreadyThere`.
    fn send_part<'a>(
        &'a self,
        session: &'a Session,
        number: u32,
        content: Content,
    ) -> Answer<'a, PartReceipt>;

    /// Closes the session once every part is acknowledged. Repeating it fails with
    /// [`Reason::SessionClosed`](crate::types::Reason::SessionClosed).
    fn close_session<'a>(&'a self, session: &'a Session) -> Answer<'a, ()>;

    /// Gives the session up; what it held is forgotten.
    fn cancel_session<'a>(&'a self, session: &'a Session) -> Answer<'a, ()>;

    /// Creates a container.
    fn create_container<'a>(&'a self, parent: NodeId, name: &'a str) -> Answer<'a, NodeId>;

    /// Creates a document with its first version.
    fn create_document<'a>(
        &'a self,
        parent: NodeId,
        name: &'a str,
        content: NewContent,
    ) -> Answer<'a, Committed>;

    /// Adds a version; `note` becomes its description in the same call.
    fn add_version<'a>(
        &'a self,
        node: NodeId,
        note: &'a str,
        content: NewContent,
    ) -> Answer<'a, Committed>;

    /// The node with exactly that name in the container; `None` only when a complete answer said
    /// the name is free.
    fn child<'a>(&'a self, parent: NodeId, name: &'a str) -> Answer<'a, Option<Node>>;

    /// Whether none of these names is taken in the container, as a complete answer says. Asked for
    /// several at once by destinations that can.
    fn all_free<'a>(&'a self, parent: NodeId, names: &'a [&'a str]) -> Answer<'a, bool> {
        Box::pin(async move {
            for name in names {
                if self.child(parent, name).await?.is_some() {
                    return Ok(false);
                }
            }
            Ok(true)
        })
    }

    /// One page of a container's children, in a stable order, and whether there are more.
    /// `page` counts from 1.
    fn children(&self, parent: NodeId, page: u32) -> Answer<'_, (Vec<Node>, bool)>;

    /// A node by id. A missing and a forbidden node are both `Inaccessible`.
    fn node(&self, id: NodeId) -> Answer<'_, Node>;

    /// All versions of a document, lowest number first.
    fn versions(&self, id: NodeId) -> Answer<'_, Vec<Version>>;

    /// Writes a version's description. Safe to repeat.
    fn describe<'a>(
        &'a self,
        node: NodeId,
        version: VersionNumber,
        text: &'a str,
    ) -> Answer<'a, ()>;

    /// Moves and renames a node in one call. Safe to repeat.
    fn publish<'a>(&'a self, node: NodeId, parent: NodeId, name: &'a str) -> Answer<'a, ()>;

    /// Renames a node where it is. Safe to repeat.
    fn rename<'a>(&'a self, node: NodeId, name: &'a str) -> Answer<'a, ()>;

    /// The container that a record belongs in, found or made. Safe to repeat.
    fn place<'a>(&'a self, _filing: &'a serde_json::Value) -> Answer<'a, NodeId> {
        Box::pin(async { Err(Failure::stop("the destination keeps no records")) })
    }

    /// Before a published record is changed: whether it takes any change, and that only the right
    /// people will see it. Writes nothing that is so already. `brings` says whether there is new
    /// content.
    ///
    /// A record that takes no change is a failure with reason
    /// [`Held`](crate::types::Reason::Held), unless nothing is to be changed about it.
    fn prepare<'a>(
        &'a self,
        _node: NodeId,
        _filed: Filed<'a>,
        _filing: &'a serde_json::Value,
        _brings: bool,
    ) -> Answer<'a, ()> {
        Box::pin(async { Ok(()) })
    }

    /// Rights and values, before people see it; again after it was moved, because a move may
    /// change them. Writes nothing that is so already.
    fn dress<'a>(
        &'a self,
        _node: NodeId,
        _filing: &'a serde_json::Value,
        _part: Part,
    ) -> Answer<'a, ()> {
        Box::pin(async { Ok(()) })
    }

    /// The links that belong beside a record: found, or made in `staging`, dressed there and moved.
    /// `companions` are the documents beside it, `known_as` is the name it was last filed under.
    /// Safe to repeat; writes nothing that is so already.
    fn link<'a>(
        &'a self,
        _node: NodeId,
        _companions: &'a [NodeId],
        _known_as: &'a str,
        _filing: &'a serde_json::Value,
        _staging: NodeId,
    ) -> Answer<'a, Vec<Link>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    /// The nodes that [`link`](Self::link) made for a record and that are beside it: they follow
    /// it, those that are wanted no more too.
    fn links<'a>(
        &'a self,
        _node: NodeId,
        _known_as: &'a str,
        _filing: &'a serde_json::Value,
    ) -> Answer<'a, Vec<NodeId>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    /// What may refuse later changes (classification, official, final), last of all. Writes
    /// nothing that is so already. `first` says that it was never sealed to the end before, so that
    /// what cannot be made final is not taken for final.
    fn seal<'a>(
        &'a self,
        _node: NodeId,
        _filing: &'a serde_json::Value,
        _first: bool,
    ) -> Answer<'a, ()> {
        Box::pin(async { Ok(()) })
    }

    /// What a sealed record is kept under; `None` for what is no record, and where the destination
    /// has no answer or gives none. Only a passing disturbance is a failure.
    fn kept<'a>(
        &'a self,
        _node: NodeId,
        _filing: &'a serde_json::Value,
    ) -> Answer<'a, Option<Kept>> {
        Box::pin(async { Ok(None) })
    }

    /// Reads a version's content from byte `from` to its end.
    fn read<'a>(
        &'a self,
        node: NodeId,
        version: VersionNumber,
        from: ByteCount,
    ) -> Answer<'a, ByteStream>;
}
