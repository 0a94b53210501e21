//! Takes one file from wherever it stands to the step before publishing.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::json;

use super::budget::Claim;
use super::ends::{Opened, Restore, Session, SourceFile, Validator};
use super::hash::HashState;
use super::item::{PAGE, suffixed};
use super::plan::{self, Belongs, Way};
use super::progress::Gauge;
use super::state::{Intent, Step, Target};
use super::{Shared, ledger_failure};
use crate::ledger::{Change, Entry, File, FilePatch, Item, ItemPatch, NewFile};
use crate::telemetry::crash_point;
use crate::types::{
    Failure, FailureClass, Marker, MarkerFields, NodeId, ProofLevel, Reason, Role, Sha256Digest,
    VersionNumber,
};

/// Restarts of one file (lost sessions, changed sources) before a person is asked.
const RESTARTS: u32 = 5;

/// Where a file is created.
#[derive(Clone, Copy, Debug)]
pub(super) enum Placement {
    /// As a document of its own, staged under its marker and published by itself.
    Alone,
    /// In a staged folder that is published as a whole.
    Inside(NodeId),
}

/// One file on its way.
pub(super) struct Mover<'a> {
    pub(super) shared: Arc<Shared>,
    pub(super) item: &'a Item,
    pub(super) file: File,
    pub(super) placement: Placement,
    /// Hash state over the whole master before this segment.
    pub(super) outer: Option<Vec<u8>>,
    /// The digest of the master that this document accompanies, which was moved before it.
    pub(super) master: Option<Sha256Digest>,
    /// A small file's bytes between being hashed and being sent.
    pub(super) held: Option<Whole>,
    /// What is to be written with the moment it is sent.
    pub(super) announced: Option<(FilePatch, Entry)>,
    /// Whether this mover created the document: then nobody else knows of it.
    pub(super) created: bool,
}

/// A whole file in memory, its claim and its digest.
pub(super) type Whole = (Claim, Vec<Bytes>, HashState);

/// A version that is there already: its document, its number and, if known, its digest.
pub(super) type FoundVersion = (NodeId, VersionNumber, Option<Sha256Digest>);

/// A file that is ready to be published.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ready {
    pub(super) node: NodeId,
    pub(super) version: VersionNumber,
    pub(super) sha256: Sha256Digest,
    pub(super) level: ProofLevel,
    /// Already where people see it (a new version of a published document).
    pub(super) visible: bool,
    /// Created just now, so that it stands in staging under its marker.
    pub(super) created: bool,
}

impl<'a> Mover<'a> {
    /// Takes a file up where its row stands.
    pub(super) fn new(
        shared: &Arc<Shared>,
        item: &'a Item,
        file: File,
        placement: Placement,
        outer: Option<Vec<u8>>,
    ) -> Self {
        Self {
            shared: Arc::clone(shared),
            item,
            file,
            placement,
            outer,
            master: None,
            held: None,
            announced: None,
            created: false,
        }
    }
}

impl Mover<'_> {
    /// Takes the file to the step before publishing.
    pub(super) async fn run(&mut self) -> Result<Ready, Failure> {
        loop {
            self.shared.may_begin().await;
            let step = Step::of(&self.file).map_err(|error| Failure::stop(error.to_string()))?;
            let outcome = match step {
                Step::Planned => self.begin().await,
                Step::Open { session } => self.fill(session).await,
                Step::Intent {
                    intent,
                    session,
                    sha256,
                } => self.commit(intent, session, sha256).await,
                Step::Committed {
                    node,
                    version,
                    sha256,
                    found,
                } => self.prove(node, version, sha256, found).await,
                // Dressing has no outside effect yet, so it needs no record of its own.
                Step::Proved {
                    node,
                    version,
                    sha256,
                    level,
                }
                | Step::Dressed {
                    node,
                    version,
                    sha256,
                    level,
                } => {
                    let visible = self.is_version();
                    return Ok(Ready {
                        node,
                        version,
                        sha256,
                        level,
                        visible,
                        created: self.created,
                    });
                }
            };
            if let Err(failure) = outcome {
                self.heal(failure).await?;
            }
        }
    }

    /// Failures that mean "this file starts again".
    async fn heal(&mut self, failure: Failure) -> Result<(), Failure> {
        let again = matches!(failure.reason, Reason::SessionGone | Reason::SourceChanged);
        if !again
            || self.file.restarts >= RESTARTS
            || matches!(self.file.step.as_str(), "committed" | "proved" | "dressed")
        {
            return Err(failure);
        }
        if self.file.offset > 0 || self.outer.is_some() {
            // A segment of a master that changed: the segments before it are of another content.
            if failure.reason == Reason::SourceChanged {
                return Err(Failure::item(Reason::SourceChanged, failure.message));
            }
        }
        self.start_over(&failure.message).await
    }

    async fn begin(&mut self) -> Result<(), Failure> {
        let target = match self.belongs(None).await? {
            Belongs::Found { .. } => match self.proved_found(None).await? {
                Ok(found) => return self.was_found(found).await,
                Err(target) => target,
            },
            Belongs::In(target) => target,
        };
        let mut pinned = FilePatch::default();
        let way = if self.file.content.is_some() {
            Way::Small
        } else {
            let opened;
            (opened, pinned) = self.touch_source().await?;
            let window = self.shared.destination.window().await?;
            let config = &self.shared.config;
            let way = plan::way_in(
                self.file.size,
                window,
                config.single_post_max,
                config.oversize,
                self.measured_rate(),
            )?;
            if !opened.ranges && matches!(way, Way::Session | Way::Split(_)) {
                plan::way_in_one_piece(self.file.size, config.single_post_max, self.measured_rate())
                    .map_err(|failure| failure.context(&self.file.name))?
            } else {
                way
            }
        };
        match way {
            Way::Small => {
                let whole = self.whole().await?;
                let sha256 = whole.2.sha256();
                self.held = Some(whole);
                self.intend(target, Some(sha256), pinned).await
            }
            Way::Post => self.intend(target, None, pinned).await,
            Way::Session => {
                crash_point("session-opening");
                let session = self
                    .shared
                    .destination
                    .open_session(&self.file.name, self.file.size, &self.file.mime)
                    .await?;
                crash_point("session-opened");
                let patch = FilePatch {
                    step: Some("open".into()),
                    session: Some(Some((
                        session.key.0.clone(),
                        session.part_size,
                        session.parts,
                    ))),
                    ..pinned
                };
                let facts = json!({"part_size": session.part_size, "parts": session.parts});
                self.advance(patch, Some(("session-opened", facts))).await?;
                crash_point("session-recorded");
                Ok(())
            }
            Way::Split(largest) => self.split(largest).await,
        }
    }

    /// Goes on from a version that was there before this ledger knew of it.
    pub(super) async fn was_found(
        &mut self,
        (node, version, sha256): FoundVersion,
    ) -> Result<(), Failure> {
        let patch = FilePatch {
            step: Some("committed".into()),
            node: Some(Some(node)),
            version: Some(Some(version)),
            sha256: Some(sha256.map(|digest| digest.0.to_vec())),
            intent: Some(None),
            ..Default::default()
        };
        let facts = json!({"node": node, "version": version, "sha256": sha256});
        self.advance(patch, Some(("found", facts))).await
    }

    /// A version under our marker was found that this ledger does not know of. It is this file's
    /// if it has the content that the source has now; otherwise the source has changed since, and
    /// where the new content belongs is the answer.
    pub(super) async fn proved_found(
        &mut self,
        known: Option<Sha256Digest>,
    ) -> Result<Result<FoundVersion, Target>, Failure> {
        let digest = match known {
            Some(digest) => digest,
            None => self.source_digest().await?,
        };
        Ok(match self.belongs(Some(digest)).await? {
            Belongs::Found { node, version, .. } => Ok((node, version, Some(digest))),
            Belongs::In(target) => Err(target),
        })
    }

    async fn fill(&mut self, session: Session) -> Result<(), Failure> {
        if self.pin()?.is_none() {
            self.open_source().await?;
        }
        let state = self.send_parts(&session).await?;
        crash_point("parts-sent");
        self.end_check()?.run(&state).await?;
        if let Some(outer) = state.outer() {
            let patch = FilePatch {
                outer_state: Some(Some(outer.save())),
                ..Default::default()
            };
            self.advance(patch, None).await?;
        }
        let target = match self.belongs(Some(state.sha256())).await? {
            Belongs::In(target) => target,
            // Work that an older ledger does not know of had filed it already.
            Belongs::Found {
                node,
                version,
                sha256,
            } => {
                let sha256 = sha256.or(Some(state.sha256()));
                return self.was_found((node, version, sha256)).await;
            }
        };
        self.intend(target, Some(state.sha256()), FilePatch::default())
            .await
    }

    /// Reads the source for the digest of what it holds now, and pins the file to it.
    pub(super) async fn source_digest(&mut self) -> Result<Sha256Digest, Failure> {
        if self.pin()?.is_none() && self.file.content.is_none() {
            self.open_source().await?;
        }
        Ok(self.hash_source().await?.sha256())
    }

    /// Touches the source and pins the file to what it holds now.
    pub(super) async fn open_source(&mut self) -> Result<Opened, Failure> {
        let (opened, patch) = self.touch_source().await?;
        self.advance(patch, None).await?;
        Ok(opened)
    }

    /// Touches the source; what the file is pinned to is recorded with the patch.
    async fn touch_source(&mut self) -> Result<(Opened, FilePatch), Failure> {
        let file = self.source_file()?;
        let opened = match self.shared.source.open(&file).await {
            Err(failure) if failure.class == FailureClass::Resign => {
                // An address that was handed out near its end may expire once more at once.
                self.shared.source.renew(&file).await?;
                match self.shared.source.open(&file).await {
                    Err(failure) if failure.class == FailureClass::Resign => {
                        self.shared.source.renew(&file).await?;
                        self.shared
                            .source
                            .open(&file)
                            .await
                            .map_err(super::fetch::withdrawn)
                    }
                    other => other,
                }
            }
            Err(failure) if failure.reason == Reason::ColdStorage => {
                match self.shared.source.restore(&file).await? {
                    Restore::Ready => self.shared.source.open(&file).await,
                    Restore::Underway { look_again } => {
                        return Err(Failure {
                            class: FailureClass::RetryLater,
                            reason: Reason::ColdStorage,
                            message: format!(
                                "{} is being restored from cold storage",
                                self.file.name
                            ),
                            retry_after: Some(look_again),
                        });
                    }
                }
            }
            other => other,
        }?;
        self.check_opened(&opened)?;
        let validator = serde_json::to_string(&opened.validator)
            .map_err(|error| Failure::stop(format!("a validator cannot be written: {error}")))?;
        let md5 = opened.md5.map(|md5| md5.to_string());
        let patch = FilePatch {
            validator: Some(Some(validator)),
            // A segment is no whole file: the quoted MD5 says nothing about it.
            md5: (self.outer.is_none() && md5.is_some()).then_some(md5),
            ..Default::default()
        };
        self.file
            .validator
            .clone_from(&patch.validator.clone().flatten());
        if let Some(md5) = &patch.md5 {
            self.file.md5.clone_from(md5);
        }
        Ok((opened, patch))
    }

    /// Replaces a master that fits no way in by its segments and their manifest.
    async fn split(&mut self, largest: u64) -> Result<(), Failure> {
        let base = self.marker()?;
        let derive = |role: &Role| {
            Marker::derive(&MarkerFields {
                instance: "",
                domain: "",
                asset: base.as_str(),
                version: "",
                format: "",
                file: "",
                role,
            })
            .to_string()
        };
        let mut files = plan::segments(
            &self.file,
            largest,
            |name| self.shared.destination.map_name(name),
            derive,
        );
        // What accompanies the master goes with it into the folder.
        let all = self
            .shared
            .ledger
            .files(self.item.id, 0, PAGE)
            .await
            .map_err(ledger_failure)?;
        files.extend(
            all.into_iter()
                .filter(|file| file.id != self.file.id)
                .map(|file| NewFile {
                    role: file.role,
                    marker: file.marker,
                    name: file.name,
                    dir: file.dir,
                    size: file.size,
                    offset: file.offset,
                    mime: file.mime,
                    locator: file.locator,
                    md5: file.md5,
                    validator: file.validator,
                    content: file.content,
                }),
        );
        let change = Change::new()
            .replace_files(self.item.id, files)
            .item(
                self.item.id,
                ItemPatch {
                    kind: Some("split".into()),
                    ..Default::default()
                },
            )
            .journal(self.entry(
                "split",
                json!({"largest_segment": largest, "size": self.file.size}),
            ));
        self.shared
            .ledger
            .apply(change)
            .await
            .map_err(ledger_failure)?;
        Err(Failure::new(
            FailureClass::RetryLater,
            Reason::Stopped,
            "split into segments",
        ))
    }

    pub(super) fn is_master(&self) -> bool {
        self.file.role == Role::Master.name()
    }

    /// Whether the file is one segment of a split master.
    pub(super) fn is_segment(&self) -> bool {
        matches!(Role::from_name(&self.file.role), Some(Role::Segment(_)))
    }

    /// Whether the commit added a version to a published document.
    fn is_version(&self) -> bool {
        let created = self
            .file
            .intent
            .as_deref()
            .and_then(|text| serde_json::from_str::<Intent>(text).ok())
            .is_some_and(|intent| matches!(intent.target, Target::Create { .. }));
        // Without an intent it was found by a look-up: where it stands decides at publishing.
        !created && self.file.intent.is_some()
    }

    /// Its name where people see it.
    pub(super) fn name(&self) -> String {
        super::item::held(&*self.shared.destination, &self.file.name)
    }

    pub(super) fn suffixed_name(&self) -> String {
        let marker = self.item.kin.first().unwrap_or(&self.item.marker);
        suffixed(&self.file.name, marker, |name| {
            self.shared.destination.map_name(name)
        })
    }

    pub(super) fn source_file(&self) -> Result<SourceFile, Failure> {
        // A segment's own size is not the source file's: that is in the generation it shares.
        let size = match self.pin()? {
            Some(pin) if self.is_segment() => pin.size,
            _ => self.file.size,
        };
        Ok(SourceFile {
            locator: self.file.locator.clone(),
            name: self.file.name.clone(),
            size,
        })
    }

    pub(super) fn pin(&self) -> Result<Option<Validator>, Failure> {
        let Some(text) = &self.file.validator else {
            return Ok(None);
        };
        serde_json::from_str(text).map(Some).map_err(|error| {
            Failure::stop(format!(
                "file {} has an unreadable validator: {error}",
                self.file.id
            ))
        })
    }

    /// Writes facts and step in one transaction, then reads the row again.
    pub(super) async fn advance(
        &mut self,
        patch: FilePatch,
        event: Option<(&str, serde_json::Value)>,
    ) -> Result<(), Failure> {
        if let Some(after) = &patch.step
            && !Step::may_follow(&self.file.step, after)
        {
            return Err(Failure::defect(format_args!(
                "file {} cannot go from {} to {after}",
                self.file.id, self.file.step
            )));
        }
        let mut change = Change::new().file(self.file.id, patch);
        if let Some((event, facts)) = event {
            change = change.journal(self.entry(event, facts));
        }
        let _waiting = Gauge::up(&self.shared.progress.waiting_ledger);
        self.file = self
            .shared
            .ledger
            .advance(change, self.file.item, self.file.seq)
            .await
            .map_err(ledger_failure)?;
        Ok(())
    }

    pub(super) async fn reload(&mut self) -> Result<(), Failure> {
        let rows = self
            .shared
            .ledger
            .files(self.file.item, self.file.seq, 1)
            .await
            .map_err(ledger_failure)?;
        self.file = rows.into_iter().next().ok_or_else(|| {
            Failure::stop(format!("file {} vanished from the ledger", self.file.id))
        })?;
        Ok(())
    }

    pub(super) fn entry(&self, event: &str, data: serde_json::Value) -> Entry {
        Entry {
            run: Some(self.item.run),
            item: Some(self.item.id),
            file: Some(self.file.id),
            event: event.to_owned(),
            data: data.to_string(),
        }
    }

    pub(super) async fn journal(
        &self,
        event: &str,
        data: serde_json::Value,
    ) -> Result<(), Failure> {
        self.shared
            .ledger
            .apply(Change::new().journal(self.entry(event, data)))
            .await
            .map_err(ledger_failure)
    }

    /// The hash state over the whole master after this segment, when it was not recorded on the
    /// way (a segment posted in one body, or found already filed): the segment is read again.
    pub(super) async fn outer_after(&mut self) -> Result<Vec<u8>, Failure> {
        if self.pin()?.is_none() {
            self.open_source().await?;
        }
        let state = self.hash_source().await?;
        let outer = state
            .outer()
            .ok_or_else(|| Failure::defect("a segment without an outer hash"))?
            .save();
        let patch = FilePatch {
            outer_state: Some(Some(outer.clone())),
            ..Default::default()
        };
        self.advance(patch, None).await?;
        Ok(outer)
    }
}
