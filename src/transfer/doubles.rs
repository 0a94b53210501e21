//! A source and a destination in memory, for the engine's own tests: they count what is asked of
//! them and can lose replies, cut bodies and change content at a chosen call.

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use futures::StreamExt;
use sha2::{Digest, Sha256};

use super::*;
use crate::types::{
    ByteRange, FailureClass, Md5Digest, Reason, Sha256Digest, UploadKey, VersionNumber,
};

/// Bytes that depend on their position, with a prime period.
pub(super) fn content(seed: u64, range: ByteRange) -> Vec<u8> {
    let index = |at: u64| usize::try_from(at).unwrap();
    let mut out = Vec::with_capacity(index(range.len()));
    let mut at = range.start;
    // By blocks of 64 KiB, each a pattern of 251 bytes over and over: copied, not worked out byte
    // by byte, because tests are not optimised.
    while at < range.end {
        let block = u8::try_from(at >> 16 & 0xff).unwrap();
        let end = range.end.min((at >> 16 << 16) + (1 << 16));
        let pattern: Vec<u8> = (0..251).map(|byte: u8| byte ^ block).collect();
        while at < end {
            let start = index((at + seed) % 251);
            let take = index(end - at).min(pattern.len() - start);
            out.extend_from_slice(&pattern[start..start + take]);
            at += take as u64;
        }
    }
    out
}

pub(super) fn digest(seed: u64, size: u64) -> Sha256Digest {
    Sha256Digest(Sha256::digest(content(seed, ByteRange::new(0, size))).into())
}

/// Files named by their locator `seed:size`.
#[derive(Default)]
pub(super) struct MemorySource {
    pub(super) reads: AtomicU64,
    pub(super) bytes: AtomicU64,
    /// Cut every body after this many bytes, this many times.
    pub(super) cuts: Mutex<(u64, u32)>,
    /// Answer this many opens and reads with an expired address.
    pub(super) expired: AtomicU64,
    pub(super) renewals: AtomicU64,
    /// Added to every seed: the content changed.
    pub(super) changed: AtomicU64,
    pub(super) md5: Mutex<Option<Md5Digest>>,
    /// Nothing is answered.
    pub(super) down: AtomicBool,
    /// Only whole files are given.
    pub(super) no_ranges: AtomicBool,
}

impl MemorySource {
    fn parse(file: &SourceFile) -> (u64, u64) {
        let (seed, size) = file.locator.split_once(':').unwrap();
        (seed.parse().unwrap(), size.parse().unwrap())
    }

    fn expire(&self) -> Result<(), Failure> {
        if self.down.load(Ordering::SeqCst) {
            return Err(Failure::transient("the source is away"));
        }
        if self
            .expired
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                left.checked_sub(1)
            })
            .is_ok()
        {
            return Err(Failure::new(FailureClass::Resign, Reason::Other, "expired"));
        }
        Ok(())
    }

    fn validator(&self, size: u64) -> Validator {
        Validator {
            size,
            etag: Some(format!("\"{}\"", self.changed.load(Ordering::SeqCst))),
            last_modified: None,
        }
    }
}

impl Source for MemorySource {
    fn open<'a>(&'a self, file: &'a SourceFile) -> Answer<'a, Opened> {
        Box::pin(async {
            self.expire()?;
            let (_, size) = Self::parse(file);
            if file.size != size {
                return Err(Failure::item(
                    Reason::SourceChanged,
                    format!("{} bytes were expected, there are {size}", file.size),
                ));
            }
            Ok(Opened {
                validator: self.validator(size),
                ranges: !self.no_ranges.load(Ordering::SeqCst),
                md5: *self.md5.lock().unwrap(),
            })
        })
    }

    fn read<'a>(
        &'a self,
        file: &'a SourceFile,
        range: ByteRange,
        pin: &'a Validator,
    ) -> Answer<'a, ByteStream> {
        Box::pin(async move {
            self.expire()?;
            let (seed, size) = Self::parse(file);
            assert!(range.end <= size && !range.is_empty(), "{range} of {size}");
            if self.no_ranges.load(Ordering::SeqCst) && range != ByteRange::new(0, size) {
                return Err(Failure::new(
                    FailureClass::RetryNow,
                    Reason::NoRanges,
                    "the whole came",
                ));
            }
            if *pin != self.validator(size) {
                return Err(Failure::new(
                    FailureClass::RetryNow,
                    Reason::SourceChanged,
                    "changed",
                ));
            }
            self.reads.fetch_add(1, Ordering::SeqCst);
            let seed = seed + self.changed.load(Ordering::SeqCst);
            let mut end = range.end;
            let mut cut = self.cuts.lock().unwrap();
            if cut.1 > 0 && range.len() > cut.0 {
                cut.1 -= 1;
                end = range.start + cut.0;
            }
            let whole = end == range.end;
            self.bytes.fetch_add(end - range.start, Ordering::SeqCst);
            let frames = ByteRange::new(range.start, end)
                .pieces(100_003)
                .map(move |piece| Ok(Bytes::from(content(seed, piece))));
            let tail = (!whole).then(|| Err(Failure::transient("cut")));
            // Yields between frames, so that everything interleaves.
            let stream = futures::stream::iter(frames.chain(tail)).then(|frame| async {
                tokio::task::yield_now().await;
                frame
            });
            Ok(stream.boxed() as ByteStream)
        })
    }

    fn renew<'a>(&'a self, _file: &'a SourceFile) -> Answer<'a, ()> {
        self.renewals.fetch_add(1, Ordering::SeqCst);
        Box::pin(async { Ok(()) })
    }

    fn restore<'a>(&'a self, _file: &'a SourceFile) -> Answer<'a, Restore> {
        Box::pin(async { Ok(Restore::Ready) })
    }

    fn reachable(&self) -> Answer<'_, ()> {
        Box::pin(async {
            match self.down.load(Ordering::SeqCst) {
                true => Err(Failure::transient("the source is away")),
                false => Ok(()),
            }
        })
    }
}

#[derive(Clone, Debug)]
pub(super) struct MemoryNode {
    pub(super) parent: NodeId,
    pub(super) name: String,
    pub(super) container: bool,
    pub(super) versions: Vec<(Version, Vec<u8>)>,
}

#[derive(Default)]
struct MemorySession {
    size: u64,
    part_size: u64,
    parts: BTreeMap<u32, Vec<u8>>,
    closed: bool,
}

/// What goes wrong with the next call of that name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The work is done, the reply is lost.
    ReplyLost,
    /// Nothing is done, and that is known.
    Refused,
    /// The session is forgotten.
    SessionGone,
    /// Nothing is done, but nobody can know.
    Vanished,
    /// Nobody can go on as that user.
    SignInRefused,
}

/// Nodes in memory. Node 1 is the staging folder, node 2 the target.
pub(super) struct MemoryDestination {
    pub(super) nodes: Mutex<BTreeMap<i64, MemoryNode>>,
    sessions: Mutex<HashMap<String, MemorySession>>,
    pub(super) window: Option<Window>,
    pub(super) part_size: u64,
    pub(super) trouble: Mutex<Vec<(&'static str, Trouble)>>,
    pub(super) parts_received: AtomicU64,
    pub(super) calls: Mutex<HashMap<&'static str, u64>>,
    /// Nothing is answered.
    pub(super) down: AtomicBool,
}

pub(super) const STAGING: NodeId = NodeId(1);
pub(super) const TARGET: NodeId = NodeId(2);

impl MemoryDestination {
    pub(super) fn new(part_size: u64, window: Option<Window>) -> Self {
        let folder = |name: &str| MemoryNode {
            parent: NodeId(0),
            name: name.into(),
            container: true,
            versions: Vec::new(),
        };
        Self {
            nodes: Mutex::new(BTreeMap::from([
                (1, folder("staging")),
                (2, folder("target")),
            ])),
            sessions: Mutex::default(),
            window,
            part_size,
            trouble: Mutex::default(),
            parts_received: AtomicU64::new(0),
            calls: Mutex::default(),
            down: AtomicBool::new(false),
        }
    }

    /// Documents and folders in a container, by name.
    pub(super) fn list(&self, parent: NodeId) -> BTreeMap<String, (NodeId, MemoryNode)> {
        let nodes = self.nodes.lock().unwrap();
        nodes
            .iter()
            .filter(|(_, node)| node.parent == parent)
            .map(|(id, node)| (node.name.clone(), (NodeId(*id), node.clone())))
            .collect()
    }

    pub(super) fn put(
        &self,
        parent: NodeId,
        name: &str,
        bytes: Vec<u8>,
        description: &str,
    ) -> NodeId {
        let mut nodes = self.nodes.lock().unwrap();
        let id = nodes.keys().max().unwrap() + 1;
        let version = Version {
            number: VersionNumber(1),
            size: bytes.len() as u64,
            description: description.into(),
            file_name: name.into(),
        };
        nodes.insert(
            id,
            MemoryNode {
                parent,
                name: name.into(),
                container: false,
                versions: vec![(version, bytes)],
            },
        );
        NodeId(id)
    }

    fn trouble(&self, call: &'static str) -> Option<Trouble> {
        *self.calls.lock().unwrap().entry(call).or_default() += 1;
        let mut trouble = self.trouble.lock().unwrap();
        let at = trouble.iter().position(|(name, _)| *name == call)?;
        Some(trouble.remove(at).1)
    }

    async fn before(&self, call: &'static str) -> Result<bool, Failure> {
        tokio::task::yield_now().await;
        if self.down.load(Ordering::SeqCst) {
            *self.calls.lock().unwrap().entry("away").or_default() += 1;
            return Err(Failure::transient("the destination is away"));
        }
        match self.trouble(call) {
            None => Ok(false),
            Some(Trouble::ReplyLost) => Ok(true),
            Some(Trouble::Refused) => Err(Failure::new(
                FailureClass::RetryNow,
                Reason::NotDone,
                "refused",
            )),
            Some(Trouble::Vanished) => Err(lost()),
            Some(Trouble::SignInRefused) => Err(Failure::new(
                FailureClass::StopEverything,
                Reason::Refused,
                "sign-in refused",
            )),
            Some(Trouble::SessionGone) => {
                self.sessions.lock().unwrap().clear();
                Err(gone())
            }
        }
    }

    async fn receive(&self, content: Content) -> Result<Vec<u8>, Failure> {
        let (len, mut stream) = match content {
            Content::Chunks(chunks) => return Ok(chunks.concat()),
            Content::Stream { len, stream } => (len, stream),
        };
        let mut bytes = Vec::new();
        while let Some(chunk) = stream.next().await {
            bytes.extend_from_slice(&chunk?);
        }
        assert_eq!(bytes.len() as u64, len, "content-length");
        Ok(bytes)
    }

    async fn take(&self, content: NewContent) -> Result<(Vec<u8>, String), Failure> {
        match content {
            NewContent::Body {
                file_name, content, ..
            } => Ok((self.receive(content).await?, file_name)),
            NewContent::Session(session) => {
                let mut sessions = self.sessions.lock().unwrap();
                let open = sessions.get(session.key.as_str()).ok_or_else(gone)?;
                assert!(open.closed);
                let bytes: Vec<u8> = open.parts.values().flatten().copied().collect();
                assert_eq!(bytes.len() as u64, open.size);
                sessions.remove(session.key.as_str());
                Ok((bytes, "blob".into()))
            }
        }
    }
}

fn gone() -> Failure {
    Failure::new(
        FailureClass::RetryNow,
        Reason::SessionGone,
        "session expired",
    )
}

fn lost() -> Failure {
    Failure::new(FailureClass::RetryNow, Reason::Ambiguous, "reply lost")
}

fn taken(name: &str) -> Failure {
    Failure::new(
        FailureClass::ItemIsWrong,
        Reason::NameTaken,
        format!("{name} already exists"),
    )
}

impl Destination for MemoryDestination {
    fn map_name(&self, original: &str) -> String {
        original.replace(':', "_")
    }

    fn window(&self) -> Answer<'_, Option<Window>> {
        Box::pin(async { Ok(self.window) })
    }

    fn open_session<'a>(
        &'a self,
        _name: &'a str,
        size: u64,
        _mime: &'a str,
    ) -> Answer<'a, Session> {
        Box::pin(async move {
            self.before("open_session").await?;
            let mut sessions = self.sessions.lock().unwrap();
            let key = format!(
                "key-{}-{}",
                sessions.len(),
                self.calls.lock().unwrap()["open_session"]
            );
            sessions.insert(
                key.clone(),
                MemorySession {
                    size,
                    part_size: self.part_size,
                    ..Default::default()
                },
            );
            Ok(Session {
                key: UploadKey(key),
                part_size: self.part_size,
                parts: u32::try_from(size.div_ceil(self.part_size)).unwrap(),
            })
        })
    }

    fn send_part<'a>(
        &'a self,
        session: &'a Session,
        number: u32,
        content: Content,
    ) -> Answer<'a, PartReceipt> {
        Box::pin(async move {
            let bytes = self.receive(content).await?;
            let lose = self.before("send_part").await?;
            self.parts_received.fetch_add(1, Ordering::SeqCst);
            let mut sessions = self.sessions.lock().unwrap();
            let open = sessions.get_mut(session.key.as_str()).ok_or_else(gone)?;
            let range = session.part(number, open.size);
            assert_eq!(bytes.len() as u64, range.len(), "part {number}");
            assert_eq!(open.part_size, session.part_size);
            if open.parts.contains_key(&number) {
                return Ok(PartReceipt::AlreadyThere);
            }
            open.parts.insert(number, bytes);
            if lose {
                Err(Failure::transient("reply lost"))
            } else {
                Ok(PartReceipt::Stored)
            }
        })
    }

    fn close_session<'a>(&'a self, session: &'a Session) -> Answer<'a, ()> {
        Box::pin(async move {
            let lose = self.before("close_session").await?;
            let mut sessions = self.sessions.lock().unwrap();
            let open = sessions.get_mut(session.key.as_str()).ok_or_else(gone)?;
            assert_eq!(
                open.parts.len(),
                session.parts as usize,
                "closed with parts missing"
            );
            if std::mem::replace(&mut open.closed, true) {
                return Err(Failure::new(
                    FailureClass::ItemIsWrong,
                    Reason::SessionClosed,
                    "already closed",
                ));
            }
            if lose { Err(lost()) } else { Ok(()) }
        })
    }

    fn cancel_session<'a>(&'a self, session: &'a Session) -> Answer<'a, ()> {
        self.sessions.lock().unwrap().remove(session.key.as_str());
        Box::pin(async { Ok(()) })
    }

    fn create_container<'a>(&'a self, parent: NodeId, name: &'a str) -> Answer<'a, NodeId> {
        Box::pin(async move {
            let lose = self.before("create_container").await?;
            if self.list(parent).contains_key(name) {
                return Err(taken(name));
            }
            let mut nodes = self.nodes.lock().unwrap();
            let id = nodes.keys().max().unwrap() + 1;
            nodes.insert(
                id,
                MemoryNode {
                    parent,
                    name: name.into(),
                    container: true,
                    versions: Vec::new(),
                },
            );
            if lose { Err(lost()) } else { Ok(NodeId(id)) }
        })
    }

    fn create_document<'a>(
        &'a self,
        parent: NodeId,
        name: &'a str,
        content: NewContent,
    ) -> Answer<'a, Committed> {
        Box::pin(async move {
            let lose = self.before("create_document").await?;
            if self.list(parent).contains_key(name) {
                return Err(taken(name));
            }
            let (bytes, _) = self.take(content).await?;
            let size = bytes.len() as u64;
            let node = self.put(parent, name, bytes, "");
            if lose {
                return Err(lost());
            }
            Ok(Committed {
                node,
                version: VersionNumber(1),
                size: Some(size),
            })
        })
    }

    fn add_version<'a>(
        &'a self,
        node: NodeId,
        note: &'a str,
        content: NewContent,
    ) -> Answer<'a, Committed> {
        Box::pin(async move {
            let lose = self.before("add_version").await?;
            let (bytes, file_name) = self.take(content).await?;
            let mut nodes = self.nodes.lock().unwrap();
            let versions = &mut nodes.get_mut(&node.0).unwrap().versions;
            let number = VersionNumber(versions.last().unwrap().0.number.0 + 1);
            let size = bytes.len() as u64;
            versions.push((
                Version {
                    number,
                    size,
                    description: note.into(),
                    file_name,
                },
                bytes,
            ));
            if lose {
                Err(lost())
            } else {
                Ok(Committed {
                    node,
                    version: number,
                    size: Some(size),
                })
            }
        })
    }

    fn child<'a>(&'a self, parent: NodeId, name: &'a str) -> Answer<'a, Option<Node>> {
        Box::pin(async move {
            self.before("child").await?;
            Ok(self
                .list(parent)
                .remove(name)
                .map(|(id, node)| describe(id, &node)))
        })
    }

    fn children(&self, parent: NodeId, _page: u32) -> Answer<'_, (Vec<Node>, bool)> {
        Box::pin(async move {
            Ok((
                self.list(parent)
                    .into_values()
                    .map(|(id, node)| describe(id, &node))
                    .collect(),
                false,
            ))
        })
    }

    fn node(&self, id: NodeId) -> Answer<'_, Node> {
        Box::pin(async move {
            self.before("node").await?;
            let nodes = self.nodes.lock().unwrap();
            nodes
                .get(&id.0)
                .map(|node| describe(id, node))
                .ok_or_else(|| Failure::item(Reason::Inaccessible, "no such node"))
        })
    }

    fn versions(&self, id: NodeId) -> Answer<'_, Vec<Version>> {
        Box::pin(async move {
            self.before("versions").await?;
            let nodes = self.nodes.lock().unwrap();
            Ok(nodes[&id.0]
                .versions
                .iter()
                .map(|(version, _)| version.clone())
                .collect())
        })
    }

    fn describe<'a>(
        &'a self,
        node: NodeId,
        version: VersionNumber,
        text: &'a str,
    ) -> Answer<'a, ()> {
        Box::pin(async move {
            let lose = self.before("describe").await?;
            let mut nodes = self.nodes.lock().unwrap();
            let versions = &mut nodes.get_mut(&node.0).unwrap().versions;
            versions
                .iter_mut()
                .find(|(v, _)| v.number == version)
                .unwrap()
                .0
                .description = text.into();
            if lose {
                Err(Failure::transient("reply lost"))
            } else {
                Ok(())
            }
        })
    }

    fn publish<'a>(&'a self, node: NodeId, parent: NodeId, name: &'a str) -> Answer<'a, ()> {
        Box::pin(async move {
            let lose = self.before("publish").await?;
            if self
                .list(parent)
                .get(name)
                .is_some_and(|(id, _)| *id != node)
            {
                return Err(taken(name));
            }
            let mut nodes = self.nodes.lock().unwrap();
            let moved = nodes.get_mut(&node.0).unwrap();
            moved.parent = parent;
            moved.name = name.into();
            if lose {
                Err(Failure::transient("reply lost"))
            } else {
                Ok(())
            }
        })
    }

    fn rename<'a>(&'a self, node: NodeId, name: &'a str) -> Answer<'a, ()> {
        self.nodes.lock().unwrap().get_mut(&node.0).unwrap().name = name.into();
        Box::pin(async { Ok(()) })
    }

    fn read<'a>(
        &'a self,
        node: NodeId,
        version: VersionNumber,
        from: u64,
    ) -> Answer<'a, ByteStream> {
        Box::pin(async move {
            self.before("read").await?;
            let nodes = self.nodes.lock().unwrap();
            let (_, bytes) = nodes[&node.0]
                .versions
                .iter()
                .find(|(v, _)| v.number == version)
                .unwrap();
            let bytes = Bytes::copy_from_slice(&bytes[usize::try_from(from).unwrap()..]);
            Ok(futures::stream::iter([Ok(bytes)]).boxed() as ByteStream)
        })
    }
}

fn describe(id: NodeId, node: &MemoryNode) -> Node {
    Node {
        id,
        parent: node.parent,
        name: node.name.clone(),
        container: node.container,
        size: node.versions.last().map(|(version, _)| version.size),
        reserved_by: None,
        original: None,
    }
}
