//! Decides how one file goes in: where its version belongs, and by which way.

use serde::{Deserialize, Serialize};

use super::ends::{Node, Opened, Version, Window};
use super::mover::{Mover, Placement};
use super::state::Target;
use super::{Oversize, SMALL, UNKNOWN_POST_MAX};
use crate::ledger;
use crate::types::{
    ByteCount, ByteRange, Failure, Marker, NodeId, Reason, Role, Sha256Digest, VersionNote,
    VersionNumber, display_bytes,
};

/// Longest that a single POST may take: a request's life at the destination is 30 minutes.
const POST_MINUTES: u64 = 25;
/// Assumed rate of a single POST until this process has measured one, in bytes per second.
const ASSUMED_RATE: ByteCount = 50 * crate::types::MIB;

/// Where a file's version belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Belongs {
    /// In a new document or as a new version.
    In(Target),
    /// It is there already, from work this ledger does not know of.
    Found {
        node: NodeId,
        version: VersionNumber,
        sha256: Option<Sha256Digest>,
    },
}

/// How a file's bytes go in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Read whole, hashed, then posted from memory.
    Small,
    /// An upload session of numbered parts.
    Session,
    /// One streamed form POST.
    Post,
    /// Numbered segments of at most this many bytes.
    Split(ByteCount),
}

/// The way in for a file of `size` bytes.
///
/// # Errors
///
/// A failure of class `ItemIsWrong` with the administrator's remedy when there is none.
pub(super) fn way_in(
    size: ByteCount,
    window: Option<Window>,
    post_max: Option<ByteCount>,
    oversize: Oversize,
    rate: Option<ByteCount>,
) -> Result<Way, Failure> {
    if size <= SMALL {
        return Ok(Way::Small);
    }
    let post_fits_time = size / rate.unwrap_or(ASSUMED_RATE).max(1) < POST_MINUTES * 60;
    let (largest, why) = match window {
        Some(window) if size <= window.min => return Ok(Way::Post),
        Some(window) if size < window.max => return Ok(Way::Session),
        Some(window) => (
            window.max,
            format!(
                "it is above the server's upload window (under {}); the administrator can raise its max_size, or set \
                 single_post_max, or transfer.oversize = \"split\"",
                display_bytes(window.max)
            ),
        ),
        None => {
            if size <= post_max.unwrap_or(UNKNOWN_POST_MAX) && post_fits_time {
                return Ok(Way::Post);
            }
            (
                UNKNOWN_POST_MAX,
                "the server offers no upload sessions; the administrator can enable large file upload, or set \
                 single_post_max, or transfer.oversize = \"split\""
                    .to_owned(),
            )
        }
    };
    if post_max.is_some_and(|max| size <= max) && post_fits_time {
        return Ok(Way::Post);
    }
    match oversize {
        // Segments must themselves be strictly inside the window.
        Oversize::Split => Ok(Way::Split(largest.saturating_sub(1).max(1))),
        Oversize::Refuse => Err(Failure::item(
            Reason::TooLarge,
            format!("{} does not fit: {why}", display_bytes(size)),
        )),
    }
}

/// In how many pieces a file of `size` bytes would be filed: 1 as a rule, more when it has to be
/// split.
///
/// # Errors
///
/// A failure of class `ItemIsWrong` with the administrator's remedy when there is no way in.
pub fn pieces(
    size: ByteCount,
    window: Option<Window>,
    post_max: Option<ByteCount>,
    oversize: Oversize,
) -> Result<u64, Failure> {
    Ok(match way_in(size, window, post_max, oversize, None)? {
        Way::Split(largest) => size.div_ceil(largest),
        Way::Small | Way::Session | Way::Post => 1,
    })
}

/// The way in for a file whose storage gives it only as a whole: one streamed POST.
///
/// # Errors
///
/// A failure of class `ItemIsWrong` with the remedy when it is too large for that.
pub(super) fn way_in_one_piece(
    size: ByteCount,
    post_max: Option<ByteCount>,
    rate: Option<ByteCount>,
) -> Result<Way, Failure> {
    let in_time = size / rate.unwrap_or(ASSUMED_RATE).max(1) < POST_MINUTES * 60;
    if in_time && size <= post_max.unwrap_or(UNKNOWN_POST_MAX) {
        return Ok(Way::Post);
    }
    Err(Failure::item(
        Reason::NoRanges,
        format!(
            "its storage does not honour byte ranges, so {} would have to go in as one POST; set single_post_max to \
             allow that, or read the storage through another gateway",
            display_bytes(size)
        ),
    ))
}

/// What joins the segments of a split master; filed beside them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinManifest {
    /// `longhaul/join/1`.
    pub schema: String,
    /// The master's name.
    pub name: String,
    /// The master's size in bytes.
    pub size: ByteCount,
    /// SHA-256 over all segments in order.
    pub sha256: Sha256Digest,
    /// The segments, in order.
    pub segments: Vec<JoinSegment>,
}

/// One segment of a split master.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinSegment {
    /// Its document's name, beside the manifest.
    pub name: String,
    /// First byte within the master.
    pub offset: ByteCount,
    /// Bytes.
    pub size: ByteCount,
    /// Its own SHA-256.
    pub sha256: Sha256Digest,
}

impl JoinManifest {
    /// The schema name.
    pub const SCHEMA: &str = "longhaul/join/1";
}

/// The rows that replace an oversize master: its segments and the manifest that joins them.
pub(super) fn segments(
    master: &ledger::File,
    largest: ByteCount,
    map_name: impl Fn(&str) -> String,
    marker: impl Fn(&Role) -> String,
) -> Vec<ledger::NewFile> {
    let pieces: Vec<ByteRange> = ByteRange::new(0, master.size).pieces(largest).collect();
    let width = pieces.len().to_string().len().max(3);
    let mut files = Vec::with_capacity(pieces.len() + 1);
    for (number, piece) in (1u32..).zip(pieces) {
        let role = Role::Segment(number);
        files.push(ledger::NewFile {
            marker: marker(&role),
            role: role.name(),
            name: map_name(&format!("{}.{number:0width$}", master.name)),
            dir: String::new(),
            size: piece.len(),
            offset: piece.start,
            mime: "application/octet-stream".into(),
            locator: master.locator.clone(),
            md5: None,
            validator: master.validator.clone(),
            content: None,
        });
    }
    files.push(ledger::NewFile {
        role: Role::Join.name(),
        marker: marker(&Role::Join),
        name: map_name(&format!("{}.join.json", master.name)),
        mime: "application/json".into(),
        // What the source quotes of the whole, to be compared before the manifest is written.
        md5: master.md5.clone(),
        content: Some(Vec::new()),
        ..Default::default()
    });
    files
}

/// Whether a version with that note can have the content with that digest, as far as both are
/// known.
pub(super) fn may_hold(note: &VersionNote, sha256: Option<Sha256Digest>) -> bool {
    match (note.sha256, sha256) {
        (Some(noted), Some(wanted)) => noted == wanted,
        _ => true,
    }
}

impl Mover<'_> {
    /// Checks what the source says against what was planned.
    pub(super) fn check_opened(&self, opened: &Opened) -> Result<(), Failure> {
        match self.pin()? {
            Some(pin) if pin != opened.validator => Err(Failure::new(
                crate::types::FailureClass::RetryNow,
                Reason::SourceChanged,
                format!(
                    "{} changed at the source since it was first read",
                    self.file.name
                ),
            )),
            Some(_) => Ok(()),
            None if self.is_segment() => Ok(()),
            None if opened.validator.size != self.file.size => Err(Failure::item(
                Reason::Mismatch,
                format!(
                    "the source lists {} with {} bytes but its storage holds {}",
                    self.file.name, self.file.size, opened.validator.size
                ),
            )),
            None => Ok(()),
        }
    }

    /// Finds out where the file's version belongs, before anything is sent. With the content's
    /// digest, a version of ours that names another one is of other content; without, any version
    /// of ours that has the size is found, and only the digest can tell.
    pub(super) async fn belongs(&self, sha256: Option<Sha256Digest>) -> Result<Belongs, Failure> {
        match self.placement {
            Placement::Inside(container) => self.belongs_inside(container, sha256).await,
            Placement::Alone => self.belongs_alone(sha256).await,
        }
    }

    async fn belongs_inside(
        &self,
        container: NodeId,
        sha256: Option<Sha256Digest>,
    ) -> Result<Belongs, Failure> {
        let destination = &self.shared.destination;
        let create = Target::Create {
            parent: container,
            name: self.name(),
        };
        let Some(node) = destination.child(container, &self.name()).await? else {
            return Ok(Belongs::In(create));
        };
        match self.own_version(&node, sha256).await? {
            Some(found) => Ok(found),
            None => Err(Failure::item(
                Reason::NameTaken,
                format!(
                    "{} in the item's folder is held by node {} with other content",
                    self.file.name, node.id
                ),
            )),
        }
    }

    async fn belongs_alone(&self, sha256: Option<Sha256Digest>) -> Result<Belongs, Failure> {
        let destination = &self.shared.destination;
        let staging = self.shared.config.staging;
        // Where people see it, first: beside it, what is in staging is only a late twin.
        let mut belongs = None;
        for node in self.documents().await? {
            if let Some(there) = self.belongs_to(node, sha256).await? {
                belongs = Some(there);
                break;
            }
        }
        if let Some(found @ Belongs::Found { .. }) = belongs {
            return Ok(found);
        }
        if let Some(node) = destination.child(staging, &self.file.marker).await? {
            if belongs.is_none()
                && let Some(found) = self.own_version(&node, sha256).await?
            {
                return Ok(found);
            }
            // Something under our marker beside what is published, or of other content: an earlier
            // generation that never got out of staging. Nobody but us sees it; set it aside for the
            // janitor.
            let aside = super::survey::set_aside_name(&self.file.marker, node.id);
            destination.rename(node.id, &aside).await?;
            self.journal(
                "set-aside",
                serde_json::json!({"node": node.id, "name": aside}),
            )
            .await?;
        }
        Ok(belongs.unwrap_or(Belongs::In(Target::Create {
            parent: staging,
            name: self.file.marker.clone(),
        })))
    }

    /// Published documents that may be this asset's: the recorded one, else by name.
    async fn documents(&self) -> Result<Vec<NodeId>, Failure> {
        let destination = &self.shared.destination;
        let mut known = Vec::new();
        if self.is_master() {
            known.extend(self.item.node);
            if let Some(before) = self.item.after {
                let before = self.shared.ledger.item(before).await;
                known.extend(
                    before
                        .map_err(super::ledger_failure)?
                        .and_then(|item| item.node),
                );
            }
        } else if self.file.content.is_some() {
            // A sidecar filed before, wherever its record has been moved since.
            known.extend(self.file.node);
        }
        let mut documents = Vec::new();
        for id in &known {
            // A sequence or split master is a folder: its later content is a folder of its own.
            if destination.node(*id).await?.is_document() {
                documents.push(*id);
            }
        }
        let (name, suffixed) = (self.name(), self.suffixed_name());
        let names = [name.as_str(), suffixed.as_str()];
        if known.is_empty() && !destination.all_free(self.item.parent, &names).await? {
            for name in names {
                if let Some(node) = destination.child(self.item.parent, name).await?
                    && node.is_document()
                {
                    documents.push(node.id);
                }
            }
        }
        if known.is_empty() {
            // Moved or renamed by a person since, and then the ledger was lost: a walk over the
            // destination may have found it.
            let mut markers = vec![self.file.marker.clone()];
            if self.is_master() {
                markers.extend(self.item.kin.iter().cloned());
            }
            let found = self.shared.adopted(markers).await?;
            documents.extend(
                found
                    .into_iter()
                    .filter(|node| node.parent != self.shared.config.staging && node.is_document())
                    .map(|node| node.id),
            );
        }
        Ok(documents)
    }

    /// Our version in a published document, made by work that this ledger does not know of.
    pub(super) async fn published(
        &self,
        sha256: Option<Sha256Digest>,
    ) -> Result<Option<(NodeId, Version)>, Failure> {
        for node in self.documents().await? {
            let versions = self.shared.destination.versions(node).await?;
            if let Some((_, version)) = self.own_published(node, versions, sha256).await? {
                return Ok(Some((node, version)));
            }
        }
        Ok(None)
    }

    /// The newest of our versions of a published document that has the wanted content, with what it
    /// says of itself. One that this ledger has filed other content above counts no more: what is
    /// again as it once was is filed once more, because people see the newest. A ledger that does
    /// not know what was filed above may be older than the world, and files nothing twice.
    async fn own_published(
        &self,
        node: NodeId,
        versions: Vec<Version>,
        sha256: Option<Sha256Digest>,
    ) -> Result<Option<(VersionNote, Version)>, Failure> {
        let mut above = Vec::new();
        for version in versions.into_iter().rev() {
            let Some(note) = VersionNote::parse(&version.description)
                .filter(|note| note.marker.as_str() == self.file.marker)
            else {
                continue;
            };
            if version.size == self.file.size
                && self.holds(node, &version, Some(&note), sha256).await?
            {
                let is_behind = !above.is_empty() && self.has_filed(node, &above).await?;
                return Ok((!is_behind).then_some((note, version)));
            }
            above.push(version.number);
        }
        Ok(None)
    }

    /// Whether this ledger has filed one of these versions, or has found it filed.
    async fn has_filed(&self, node: NodeId, versions: &[VersionNumber]) -> Result<bool, Failure> {
        const PAGE: usize = 500;
        let mut after = 0;
        loop {
            let lines = self
                .shared
                .ledger
                .journal(None, Some(self.item.id), after, PAGE)
                .await
                .map_err(super::ledger_failure)?;
            let Some(last) = lines.last() else {
                return Ok(false);
            };
            after = last.seq;
            let filed = lines
                .iter()
                .filter(|line| matches!(line.event.as_str(), "committed" | "found"));
            for line in filed {
                let facts: serde_json::Value = serde_json::from_str(&line.data).unwrap_or_default();
                if facts["node"] == node.0
                    && versions.iter().any(|version| facts["version"] == version.0)
                {
                    return Ok(true);
                }
            }
        }
    }

    /// Whether a record takes no new content and policy files it as a document of its own.
    async fn is_superseded(&self, node: NodeId) -> Result<bool, Failure> {
        let record = super::record::read(self.item)?.filter(|record| record.supersede);
        let Some(record) = record.filter(|_| self.is_master()) else {
            return Ok(false);
        };
        match self
            .shared
            .destination
            .prepare(
                node,
                record.filed(&self.item.name, self.item.parent),
                &record.filing,
                true,
            )
            .await
        {
            Err(failure) if failure.reason == Reason::Held => {
                self.journal(
                    "superseded",
                    serde_json::json!({"node": node, "why": failure.message}),
                )
                .await?;
                Ok(true)
            }
            other => other.map(|()| false),
        }
    }

    /// Whether a published document is this asset's: then our version is there, or belongs there.
    async fn belongs_to(
        &self,
        node: NodeId,
        sha256: Option<Sha256Digest>,
    ) -> Result<Option<Belongs>, Failure> {
        let versions = self.shared.destination.versions(node).await?;
        let base = versions.iter().map(|version| version.number).max();
        let notes = versions
            .iter()
            .filter_map(|version| VersionNote::parse(&version.description));
        let mut ours = notes.into_iter().any(|note| {
            note.marker.as_str() == self.file.marker
                || self.item.kin.iter().any(|kin| kin == note.marker.as_str())
        });
        // Even when this item is known to have new content: a ledger restored from a copy does not
        // know that the new content is filed already.
        if let Some((note, version)) = self.own_published(node, versions, sha256).await? {
            return Ok(Some(Belongs::Found {
                node,
                version: version.number,
                sha256: note.sha256,
            }));
        }
        ours |= self.item.node == Some(node);
        ours |= !self.is_master() && self.file.node == Some(node);
        if ours && self.is_superseded(node).await? {
            return Ok(None);
        }
        Ok(base
            .filter(|_| ours)
            .map(|base| Belongs::In(Target::Version { node, base })))
    }

    /// Our version in a document that stands where ours would: marker and size fit, or the marker
    /// was never written and the size fits (only reading it back proves it then).
    async fn own_version(
        &self,
        node: &Node,
        sha256: Option<Sha256Digest>,
    ) -> Result<Option<Belongs>, Failure> {
        if !node.is_document() {
            return Ok(None);
        }
        let versions = self.shared.destination.versions(node.id).await?;
        for version in &versions {
            let note = VersionNote::parse(&version.description);
            let ours = note
                .as_ref()
                .is_none_or(|note| note.marker.as_str() == self.file.marker);
            if ours
                && version.size == self.file.size
                && self.holds(node.id, version, note.as_ref(), sha256).await?
            {
                return Ok(Some(Belongs::Found {
                    node: node.id,
                    version: version.number,
                    sha256: note.and_then(|note| note.sha256),
                }));
            }
        }
        Ok(None)
    }

    /// Whether a version of the right size has the wanted content. One that does not name its
    /// digest is read back: it may be a late twin of an earlier content, whose description nobody
    /// wrote.
    async fn holds(
        &self,
        node: NodeId,
        version: &Version,
        note: Option<&VersionNote>,
        sha256: Option<Sha256Digest>,
    ) -> Result<bool, Failure> {
        match (note.and_then(|note| note.sha256), sha256) {
            (Some(noted), Some(wanted)) => Ok(noted == wanted),
            (None, Some(wanted)) => {
                let stored = self.shared.read_back(node, version.number, version.size);
                Ok(stored.await?.0 == wanted)
            }
            (_, None) => Ok(true),
        }
    }

    /// Bytes per second that this process has confirmed so far, once that means something.
    pub(super) fn measured_rate(&self) -> Option<ByteCount> {
        let seconds = self.shared.started.elapsed().as_secs();
        let confirmed = self
            .shared
            .progress
            .confirmed
            .load(std::sync::atomic::Ordering::Relaxed);
        (seconds >= 30 && confirmed > 0).then(|| confirmed / seconds)
    }

    pub(super) fn marker(&self) -> Result<Marker, Failure> {
        self.file
            .marker
            .parse()
            .map_err(|error| Failure::stop(format!("file {} in the ledger: {error}", self.file.id)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transfer::state::tests::row;
    use crate::types::{GIB, MIB};

    const SOURCES_WINDOW: Window = Window {
        min: 104_857_600,
        max: 3_638_558_720,
    };

    #[test]
    fn the_way_in_follows_the_window() {
        let way = |size, post_max, oversize| {
            way_in(
                size,
                Some(SOURCES_WINDOW),
                post_max,
                oversize,
                Some(100 * MIB),
            )
        };
        assert_eq!(way(0, None, Oversize::Refuse).unwrap(), Way::Small);
        assert_eq!(way(SMALL + 1, None, Oversize::Refuse).unwrap(), Way::Post);
        assert_eq!(
            way(SOURCES_WINDOW.min, None, Oversize::Refuse).unwrap(),
            Way::Post
        );
        assert_eq!(
            way(SOURCES_WINDOW.min + 1, None, Oversize::Refuse).unwrap(),
            Way::Session
        );
        assert_eq!(
            way(SOURCES_WINDOW.max - 1, None, Oversize::Refuse).unwrap(),
            Way::Session
        );
        let refused = way(SOURCES_WINDOW.max, None, Oversize::Refuse).unwrap_err();
        assert_eq!(refused.reason, Reason::TooLarge);
        assert!(
            refused.message.contains("max_size") && refused.message.contains("3.39 GiB"),
            "{refused}"
        );
        assert_eq!(
            way(4 * GIB, Some(5 * GIB), Oversize::Refuse).unwrap(),
            Way::Post
        );
        assert_eq!(
            way(4 * GIB, None, Oversize::Split).unwrap(),
            Way::Split(SOURCES_WINDOW.max - 1)
        );
    }

    #[test]
    fn a_post_that_would_outlive_its_request_is_not_tried() {
        let slow = way_in(
            100 * GIB,
            Some(SOURCES_WINDOW),
            Some(200 * GIB),
            Oversize::Split,
            Some(10 * MIB),
        );
        assert_eq!(slow.unwrap(), Way::Split(SOURCES_WINDOW.max - 1));
    }

    #[test]
    fn segments_cover_the_master_and_end_with_the_manifest() {
        let mut master = row("planned");
        master.size = 10 * GIB + 17;
        let files = segments(&master, SOURCES_WINDOW.max - 1, str::to_owned, |role| {
            role.name()
        });
        let (join, segments) = files.split_last().unwrap();
        assert_eq!(join.role, "join");
        assert_eq!(join.name, "A001.mov.join.json");
        let mut at = 0;
        for segment in segments {
            assert_eq!(segment.offset, at);
            assert!(segment.size < SOURCES_WINDOW.max);
            at += segment.size;
        }
        assert_eq!(at, master.size);
        assert_eq!(segments[0].name, "A001.mov.001");
    }
}
