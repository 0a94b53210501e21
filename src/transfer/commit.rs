//! Makes the version, exactly once.
//!
//! The intent is durable before the call; an answer that leaves the outcome open is followed by a
//! look-up, never by a blind repeat. [`decide`](super::decide) says what comes next and why; this
//! file carries it out. Everything that may take its time (memory, a permit, the bytes of a small
//! file, the closing of a session) is at hand before a send is recorded, so that the recorded
//! moment is that of the send. Waiting is a ledger row and holds nothing.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use tokio::time::Instant;

use super::clock::Uptime;
use super::decide::{self, Next, View};
use super::ends::{Committed, Content, NewContent, Opened, Session};
use super::hash::HashState;
use super::mover::{Mover, Placement};
use super::plan::may_hold;
use super::progress::{Gauge, Progress};
use super::send::again_after;
use super::state::{Intent, Target};
use super::{clock, ledger_failure};
use crate::ledger::{Change, FilePatch};
use crate::telemetry::crash_point;
use crate::types::{
    Failure, FailureClass, Md5Digest, Reason, Sha256Digest, VersionNote, VersionNumber,
};

/// What a look-up found.
enum Found {
    Version(Committed),
    Nothing,
}

impl Mover<'_> {
    /// Announces a commit: the step and its facts (`with` among them) are durable before the call.
    pub(super) async fn intend(
        &mut self,
        target: Target,
        sha256: Option<Sha256Digest>,
        with: FilePatch,
    ) -> Result<(), Failure> {
        let intent = Intent {
            target,
            sent_at: self.shared.now_ms(),
            sent_up: Some(Uptime::now()),
            sends: 0,
            found: false,
            refused: false,
            session_gone: false,
        };
        crash_point("sealed");
        let patch = FilePatch {
            step: Some("intent".into()),
            intent: Some(Some(text(&intent)?)),
            sha256: Some(sha256.map(|digest| digest.0.to_vec())),
            ..with
        };
        let facts = json!({"target": intent.target, "sha256": sha256});
        if self.held.is_some() {
            // A small file's bytes are at hand, so it is sent at once: what is announced here is
            // written with the moment it is sent. Until then nothing has happened outside.
            self.file.step = "intent".into();
            self.file.intent = Some(text(&intent)?);
            self.file.sha256 = sha256.map(|digest| digest.0.to_vec());
            self.announced = Some((patch, self.entry("intent", facts)));
            return Ok(());
        }
        self.advance(patch, Some(("intent", facts))).await
    }

    /// Sends the announced commit, or finds out that it was done.
    pub(super) async fn commit(
        &mut self,
        mut intent: Intent,
        session: Option<Session>,
        sha256: Option<Sha256Digest>,
    ) -> Result<(), Failure> {
        let mut attempt = 0;
        let mut looked: Option<Instant> = None;
        let mut taken: Option<Failure> = None;
        loop {
            match decide::next(&intent, &self.view(&intent, looked, taken.is_some())) {
                Next::Send => {}
                Next::LookUp => {
                    let began = Instant::now();
                    match self.look_up(&intent, sha256).await? {
                        Found::Version(committed) => {
                            return self.committed(intent, committed, sha256, true).await;
                        }
                        Found::Nothing => looked = Some(began),
                    }
                    continue;
                }
                Next::Wait(left) => {
                    return Err(Failure {
                        class: FailureClass::RetryLater,
                        reason: Reason::Ambiguous,
                        message: format!(
                            "waiting until an earlier add-version can no longer take effect ({} s)",
                            left.as_secs() + 1
                        ),
                        retry_after: Some(left),
                    });
                }
                Next::StartOver => {
                    return Err(Failure::new(
                        FailureClass::RetryNow,
                        Reason::SessionGone,
                        "the upload session is gone and nothing came of it",
                    ));
                }
                Next::NameTaken => {
                    let failure = taken.unwrap_or_else(|| {
                        Failure::item(Reason::NameTaken, "the name is taken".to_owned())
                    });
                    return Err(failure.context("the name in staging is taken by something else"));
                }
            }
            let sends = intent.sends;
            let failure = match self
                .send_commit(&mut intent, session.as_ref(), sha256)
                .await
            {
                Ok((committed, digest)) => {
                    return self.committed(intent, committed, digest, false).await;
                }
                Err(failure) => failure,
            };
            attempt += 1;
            let sent = intent.sends > sends;
            tracing::debug!(file = %self.file.id, attempt, sent, error = %failure, reason = ?failure.reason, "commit not confirmed");
            if sent {
                looked = None;
                intent.refused = failure.reason.nothing_done();
            }
            intent.session_gone = failure.reason == Reason::SessionGone;
            if intent.refused || intent.session_gone {
                self.record(&intent).await?;
            }
            match failure.reason {
                Reason::Ambiguous | Reason::NameTaken if sent => {
                    self.journal(
                        "ambiguous",
                        json!({"error": failure.message, "sends": intent.sends}),
                    )
                    .await?;
                    if attempt >= self.shared.config.attempts || self.shared.draining() {
                        return Err(failure);
                    }
                    if failure.reason == Reason::NameTaken {
                        taken = Some(failure);
                    } else {
                        tokio::time::sleep(self.shared.config.backoff(attempt)).await;
                    }
                }
                Reason::SessionGone => {}
                _ => again_after(&self.shared, &failure, attempt)
                    .await
                    .ok_or(failure)?,
            }
        }
    }

    fn view(&self, intent: &Intent, looked: Option<Instant>, name_taken: bool) -> View {
        let calendar = self.shared.now_ms().saturating_sub(intent.sent_at);
        let since_sent = clock::waited(
            &Uptime::now(),
            intent.sent_up.as_ref(),
            Duration::from_millis(u64::try_from(calendar).unwrap_or(0)),
            self.shared.started.elapsed(),
        );
        View {
            since_sent,
            since_start: self.shared.started.elapsed(),
            since_look: looked.map(|began| began.elapsed()),
            quiet: self.shared.config.commit_quiet,
            barrier: self.shared.config.start_barrier,
            name_taken,
        }
    }

    /// What is recorded here is read again only by another process or after the next step.
    async fn record(&mut self, intent: &Intent) -> Result<(), Failure> {
        let announced = self.announced.take();
        let (patch, entry) =
            announced.map_or_else(Default::default, |(patch, entry)| (patch, Some(entry)));
        let patch = FilePatch {
            intent: Some(Some(text(intent)?)),
            ..patch
        };
        let mut change = Change::new().file(self.file.id, patch);
        if let Some(entry) = entry {
            change = change.journal(entry);
        }
        self.shared
            .ledger
            .apply(change)
            .await
            .map_err(ledger_failure)
    }

    /// One send of the commit, with the digest of what was sent. A failure before the send is
    /// recorded leaves `intent` as it is.
    async fn send_commit(
        &mut self,
        intent: &mut Intent,
        session: Option<&Session>,
        sha256: Option<Sha256Digest>,
    ) -> Result<(Committed, Option<Sha256Digest>), Failure> {
        if let Some(session) = session {
            {
                let _waiting = Gauge::up(&self.shared.progress.waiting_destination);
                match self.shared.destination.close_session(session).await {
                    Err(failure) if failure.reason != Reason::SessionClosed => {
                        // Nothing was committed by a close: it may simply be repeated, unless the
                        // answer says more exactly what is wrong.
                        let reason = match failure.reason {
                            Reason::Other | Reason::Ambiguous => Reason::NotDone,
                            exact => exact,
                        };
                        return Err(Failure { reason, ..failure });
                    }
                    _ => {}
                }
            }
            let content = NewContent::Session(session.clone());
            return Ok((self.call(intent, content, sha256).await?, sha256));
        }
        let new = |content| NewContent::Body {
            file_name: self.file.name.clone(),
            mime: self.file.mime.clone(),
            content,
        };
        if let Some(known) = sha256 {
            // Read again only by another process, or when it has to be sent again.
            let whole = match self.held.take() {
                Some(whole) => whole,
                None => self.whole().await?,
            };
            let (_claim, chunks, state) = whole;
            if state.sha256() != known {
                return Err(Failure::new(
                    FailureClass::RetryNow,
                    Reason::SourceChanged,
                    format!("{} changed between hashing and sending", self.file.name),
                ));
            }
            let _permit = self.upload_permit().await;
            let content = new(Content::Chunks(chunks));
            return Ok((self.call(intent, content, sha256).await?, sha256));
        }
        let (body, content) = self.body().await?;
        let committed = self.call(intent, new(content), None).await?;
        let digest = body.state().map(|state| state.sha256());
        Ok((committed, digest))
    }

    /// Records that the commit is sent, then sends it.
    async fn call(
        &mut self,
        intent: &mut Intent,
        content: NewContent,
        sha256: Option<Sha256Digest>,
    ) -> Result<Committed, Failure> {
        let announced = Intent {
            sends: intent.sends + 1,
            sent_at: self.shared.now_ms(),
            sent_up: Some(Uptime::now()),
            refused: false,
            session_gone: false,
            ..intent.clone()
        };
        self.record(&announced).await?;
        *intent = announced;
        crash_point("commit-sending");
        let destination = &self.shared.destination;
        // A body is content on its way; the commit of a session is only that.
        let progress = &self.shared.progress;
        let _waiting = Gauge::up(match &content {
            NewContent::Session(_) => &progress.waiting_commit,
            NewContent::Body { .. } => &progress.waiting_destination,
        });
        let committed = match &intent.target {
            Target::Create { parent, name } => {
                destination.create_document(*parent, name, content).await
            }
            Target::Version { node, .. } => {
                let note = VersionNote {
                    marker: self.marker()?,
                    sha256,
                };
                destination
                    .add_version(*node, &note.to_string(), content)
                    .await
            }
        }?;
        crash_point("commit-answered");
        Ok(committed)
    }

    /// A ledger older than the world does not know that it was published; what stands in staging
    /// is then a late twin. What people see may also be of another content: only the digest tells.
    async fn published_since(
        &mut self,
        sha256: Option<Sha256Digest>,
    ) -> Result<Option<Committed>, Failure> {
        if self.published(sha256).await?.is_none() {
            return Ok(None);
        }
        let wanted = match sha256 {
            Some(digest) => digest,
            None => self.source_digest().await?,
        };
        let found = self.published(Some(wanted)).await?;
        Ok(found.map(|(node, version)| Committed {
            node,
            version: version.number,
            size: Some(version.size),
        }))
    }

    /// Looks for what the commit would have made. Only a complete answer counts as "nothing".
    async fn look_up(
        &mut self,
        intent: &Intent,
        sha256: Option<Sha256Digest>,
    ) -> Result<Found, Failure> {
        if let Target::Create { .. } = intent.target
            && matches!(self.placement, Placement::Alone)
            && let Some(found) = self.published_since(sha256).await?
        {
            return Ok(Found::Version(found));
        }
        let destination = Arc::clone(&self.shared.destination);
        let (node, above) = match &intent.target {
            Target::Create { parent, name } => match destination.child(*parent, name).await? {
                Some(node) => (node.id, VersionNumber(0)),
                None => return Ok(Found::Nothing),
            },
            Target::Version { node, base } => (*node, *base),
        };
        let versions = destination.versions(node).await?;
        let create = matches!(intent.target, Target::Create { .. });
        let unmarked = !destination.keeps_notes();
        let ours: Vec<_> = versions
            .iter()
            .filter(|version| version.number > above)
            .filter(|version| match VersionNote::parse(&version.description) {
                Some(note) => note.marker.as_str() == self.file.marker && may_hold(&note, sha256),
                // A create is ours by its name until its description is written; what was added
                // where no note is kept is told by being read back.
                None => {
                    create
                        || (unmarked
                            && version.description.is_empty()
                            && version.size == self.file.size)
                }
            })
            .collect();
        match ours.as_slice() {
            [] => Ok(Found::Nothing),
            [version] if version.size == self.file.size => Ok(Found::Version(Committed {
                node,
                version: version.number,
                size: Some(version.size),
            })),
            [version] => Err(Failure::item(
                Reason::Mismatch,
                format!(
                    "node {node} version {} carries our marker but holds {} bytes instead of {}",
                    version.number, version.size, self.file.size
                ),
            )),
            many => Err(Failure::item(
                Reason::Mismatch,
                format!(
                    "node {node} has {} versions with the marker of one; nothing was deleted",
                    many.len()
                ),
            )),
        }
    }

    async fn committed(
        &mut self,
        mut intent: Intent,
        committed: Committed,
        sha256: Option<Sha256Digest>,
        found: bool,
    ) -> Result<(), Failure> {
        intent.found = found;
        self.created = !found && matches!(intent.target, Target::Create { .. });
        if self.file.session.is_none() {
            Progress::add(&self.shared.progress.sent, self.file.size);
            Progress::add(&self.shared.progress.confirmed, self.file.size);
        }
        let patch = FilePatch {
            step: Some("committed".into()),
            intent: Some(Some(text(&intent)?)),
            node: Some(Some(committed.node)),
            version: Some(Some(committed.version)),
            sha256: Some(sha256.map(|digest| digest.0.to_vec())),
            add_bytes_sent: if self.file.session.is_none() {
                self.file.size
            } else {
                0
            },
            ..Default::default()
        };
        let facts = json!({
            "node": committed.node, "version": committed.version, "sha256": sha256, "found_by_look_up": found,
        });
        self.advance(patch, Some(("committed", facts))).await?;
        crash_point("committed");
        Ok(())
    }

    /// Compares with the MD5 that the source quotes.
    pub(super) fn check_md5(&self, state: &HashState) -> Result<(), Failure> {
        check_md5(self.file.md5.as_deref(), state.md5(), &self.file.name)
    }

    /// The checks that run when the hash has seen the last byte and before it leaves.
    pub(super) fn end_check(&self) -> Result<EndCheck, Failure> {
        Ok(EndCheck {
            source: std::sync::Arc::clone(&self.shared.source),
            file: self.source_file()?,
            pin: self.pin()?,
            md5: self.file.md5.clone(),
        })
    }

    /// Gives up a session that the destination no longer knows; the file starts again.
    pub(super) async fn start_over(&mut self, why: &str) -> Result<(), Failure> {
        if self.file.step != "planned" && self.file.step != "open" && self.file.step != "intent" {
            return Ok(());
        }
        let recorded = self
            .shared
            .ledger
            .parts(self.file.id)
            .await
            .map_err(ledger_failure)?;
        let acked = recorded.iter().filter(|part| part.acked).count();
        let patch = FilePatch {
            step: Some("planned".into()),
            session: Some(None),
            sha256: Some(None),
            intent: Some(None),
            // Segments are of the generation that their master was split at, whatever happens.
            validator: (!self.is_segment()).then_some(None),
            add_restarts: 1,
            ..Default::default()
        };
        let change = Change::new()
            .clear_parts(self.file.id)
            .file(self.file.id, patch)
            .journal(self.entry(
                "started-over",
                json!({"why": why, "acknowledged_parts_lost": acked}),
            ));
        self.shared
            .ledger
            .apply(change)
            .await
            .map_err(ledger_failure)?;
        self.reload().await
    }
}

/// See [`Mover::end_check`]; owned, so that it can run inside a request body.
#[derive(Clone)]
pub(super) struct EndCheck {
    source: std::sync::Arc<dyn super::ends::Source>,
    file: super::ends::SourceFile,
    pin: Option<super::ends::Validator>,
    md5: Option<String>,
}

impl EndCheck {
    /// Touches the source; an address that has ended is renewed once.
    pub(super) async fn open(&self) -> Result<Opened, Failure> {
        match self.source.open(&self.file).await {
            Err(failure) if failure.class == FailureClass::Resign => {
                self.source.renew(&self.file).await?;
                self.source.open(&self.file).await
            }
            other => other,
        }
    }

    /// The source still holds the same generation, and its quoted MD5 agrees.
    pub(super) async fn run(&self, state: &HashState) -> Result<(), Failure> {
        check_md5(self.md5.as_deref(), state.md5(), &self.file.name)?;
        let opened = self.open().await?;
        if self
            .pin
            .as_ref()
            .is_some_and(|pin| *pin != opened.validator)
        {
            return Err(Failure::new(
                FailureClass::RetryNow,
                Reason::SourceChanged,
                format!("{} changed at the source while it was read", self.file.name),
            ));
        }
        Ok(())
    }
}

pub(super) fn check_md5(
    quoted: Option<&str>,
    computed: Option<Md5Digest>,
    name: &str,
) -> Result<(), Failure> {
    let (Some(quoted), Some(computed)) = (quoted, computed) else {
        return Ok(());
    };
    if quoted
        .parse::<Md5Digest>()
        .is_ok_and(|quoted| quoted != computed)
    {
        return Err(Failure::item(
            Reason::Other,
            format!(
                "the source quotes MD5 {quoted} for {name} but its bytes have {computed}: the source is corrupt or its checksum is stale"
            ),
        ));
    }
    Ok(())
}

fn text(intent: &Intent) -> Result<String, Failure> {
    serde_json::to_string(intent)
        .map_err(|error| Failure::stop(format!("an intent cannot be written: {error}")))
}
