//! Carrying an outcome out in iconik. Only what is decided, allowed and free of holds is destroyed,
//! and it goes into the recycle bin, never further.

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::case::{Approval, End, Stage};
use super::outcome::{Read, as_json};
use super::{Archive, Error, Lifecycle, Outcome, Run, Step, Work};
use crate::iconik::{ArchiveStatus, Asset, Binned};
use crate::types::{Failure, Reason, StorageId};

/// How long iconik may take to archive what it was asked to.
const ARCHIVED_WITHIN: SignedDuration = SignedDuration::from_hours(24);

/// What stops a case, and what was done about it.
pub(super) struct Stopped<'a> {
    why: &'a str,
    /// Said this once, behind the reason.
    did: &'a str,
}

impl<'a> From<&'a str> for Stopped<'a> {
    fn from(why: &'a str) -> Self {
        Self { why, did: "" }
    }
}

impl Lifecycle<'_> {
    /// Reads the outcome and carries it out, as far as nothing stops it.
    pub(super) async fn settle(
        &self,
        asset: &Asset,
        work: &mut Work<'_>,
        run: &mut Run<'_>,
    ) -> Result<(), Error> {
        let read = self.outcome_now(work, Some(run)).await?;
        let decided = work.case.approval.clone();
        let read = match (&self.policy.outcome, read, &decided) {
            (None, _, Some(decided)) => Read {
                outcome: decided.outcome,
                source: format!("decided by {}", decided.who),
            },
            (_, None, _) => return self.in_review(work, run).await,
            (_, Some(read), Some(decided)) if decided.outcome != read.outcome => {
                let why = format!(
                    "{} says {}, {} decided {}; nothing is done while the two differ",
                    read.source,
                    read.outcome.as_str(),
                    decided.who,
                    decided.outcome.as_str()
                );
                return self.hold(work, run, &why).await;
            }
            (_, Some(read), _) => read,
        };
        work.case.source.clone_from(&read.source);
        if read.outcome == Outcome::Retain {
            let why = format!("{}: it stays as it is", read.source);
            return self
                .close(work, run, End::Retained, Step::Retained, &why)
                .await;
        }
        if let Some(held) = self.protection(work.subject).await? {
            return self
                .stop(work, run, "lifecycle-stopped", held.as_str())
                .await;
        }
        match read.outcome {
            Outcome::Archive => self.archive(asset, work, run, &read).await,
            _ => self.destroy(work, run, &read).await,
        }
    }

    /// No outcome yet.
    async fn in_review(&self, work: &mut Work<'_>, run: &mut Run<'_>) -> Result<(), Error> {
        run.totals.in_review += 1;
        if work.case.stage != Stage::Review && !self.dry_run {
            // Its outcome was taken back.
            work.case.stage = Stage::Review;
            self.save(work, work.known.open, None).await?;
        }
        Ok(())
    }

    /// A hold stops a case, and voids what was decided before it was known.
    pub(super) async fn stop<'s>(
        &self,
        work: &mut Work<'_>,
        run: &mut Run<'_>,
        event: &str,
        held: impl Into<Stopped<'s>> + Send,
    ) -> Result<(), Error> {
        let Stopped { why: held, did } = held.into();
        let said = format!("{held}{did}");
        let news = work.case.problem.as_deref() != Some(held)
            || work.case.approval.is_some()
            || work.case.stage != Stage::Review;
        if news && !self.dry_run {
            let line = json!({
                "why": said, "voided": work.case.approval, "stage": work.case.stage,
            });
            work.case.stage = Stage::Review;
            work.case.approval = None;
            work.case.problem = Some(held.to_owned());
            self.save(work, true, Some((event, line))).await?;
        }
        work.waits = true;
        run.say(work, Step::Held, said);
        Ok(())
    }

    async fn archive(
        &self,
        asset: &Asset,
        work: &mut Work<'_>,
        run: &mut Run<'_>,
        read: &Read,
    ) -> Result<(), Error> {
        let iconik = &self.systems.iconik;
        let id = &work.subject.asset;
        let why = format!("{}: archive", read.source);
        if self.dry_run {
            run.say(work, Step::Archived, why);
            return Ok(());
        }
        match &self.policy.archive {
            Archive::Nothing => {}
            Archive::Status if asset.archive_status == ArchiveStatus::Archived => {}
            Archive::Status => {
                let line = json!({
                    "why": why, "outcome": as_json(read), "decided": work.case.approval,
                    "overwrites": asset.archive_status.as_str(),
                });
                work.case.stage = Stage::Archiving;
                self.save(work, false, Some(("lifecycle-archiving", line)))
                    .await?;
                iconik
                    .set_archive_status(id, &ArchiveStatus::Archived)
                    .await?;
            }
            Archive::Storage(storage) => {
                if !self.move_originals(work, run, storage, &why).await? {
                    return Ok(());
                }
            }
        }
        self.close(work, run, End::Archived, Step::Archived, &why)
            .await
    }

    /// Has iconik move the originals; whether they are there. It is asked once: what becomes of it
    /// is seen from the formats.
    async fn move_originals(
        &self,
        work: &mut Work<'_>,
        run: &mut Run<'_>,
        storage: &StorageId,
        why: &str,
    ) -> Result<bool, Error> {
        let iconik = &self.systems.iconik;
        let id = work.subject.asset.clone();
        let archiving = iconik.archiving(&id).await?;
        if archiving.failed > 0 {
            return Err(Failure::item(
                Reason::Other,
                "iconik says that archiving failed; look at its jobs, then decide again with `longhaul lifecycle decide`",
            )
            .into());
        }
        if archiving.open.is_empty() && archiving.underway == 0 {
            return Ok(true);
        }
        let now = Timestamp::now();
        if work.case.stage == Stage::Archiving {
            let asked = work.case.asked.unwrap_or(now);
            if now.duration_since(asked) > ARCHIVED_WITHIN {
                return Err(Failure::item(
                    Reason::Other,
                    format!(
                        "iconik was asked at {asked} to archive it and has not; look at its jobs, then decide again with `longhaul lifecycle decide`"
                    ),
                )
                .into());
            }
            run.say(work, Step::Archiving, "iconik is moving the originals");
            return Ok(false);
        }
        let line = json!({"why": why, "storage": storage, "decided": work.case.approval});
        work.case.stage = Stage::Archiving;
        work.case.asked = Some(now);
        self.save(work, false, Some(("lifecycle-archiving", line)))
            .await?;
        for format in &archiving.open {
            iconik.archive_format(&id, format, storage).await?;
        }
        let after = iconik.archiving(&id).await?;
        if after.open.is_empty() && after.underway == 0 && after.failed == 0 {
            return Ok(true);
        }
        run.say(
            work,
            Step::Archiving,
            format!("{why}; iconik moves the originals"),
        );
        Ok(false)
    }

    async fn destroy(
        &self,
        work: &mut Work<'_>,
        run: &mut Run<'_>,
        read: &Read,
    ) -> Result<(), Error> {
        if !self.policy.destroy {
            let why = format!(
                "{}: destroy, which `lifecycle.destroy` does not allow; nothing is destroyed by default",
                read.source
            );
            return self.hold(work, run, &why).await;
        }
        let approval = match &work.case.approval {
            Some(approval) => approval.clone(),
            None if self.yes => Approval {
                outcome: Outcome::Destroy,
                who: self.who.clone(),
                because: "--yes".to_owned(),
                at: Timestamp::now(),
            },
            None => {
                let why = format!(
                    "{}: destroy; a person decides it with `longhaul lifecycle decide {} --outcome destroy --because TEXT`",
                    read.source, work.subject.asset
                );
                return self.wait(work, run, Step::Approve, &why).await;
            }
        };
        let why = format!(
            "{}: destroy, decided by {} ({})",
            read.source, approval.who, approval.because
        );
        if self.dry_run {
            run.say(work, Step::Destroyed, why);
            return Ok(());
        }
        let line = json!({
            "why": why, "outcome": as_json(read), "decided": approval, "holds": [],
        });
        work.case.approval = Some(approval);
        work.case.stage = Stage::Destroying;
        work.case.asked = Some(Timestamp::now());
        work.case.problem = None;
        self.save(work, false, Some(("lifecycle-destroying", line)))
            .await?;
        // Everything it rests on once more, the holds last of all.
        let asset = self.systems.iconik.asset(&work.subject.asset).await?;
        if self.marked(&asset, work, run).await?.is_none() {
            return self.withdraw(work, run).await;
        }
        if self.policy.outcome.is_some() {
            let again = self.outcome_now(work, None).await?;
            if again.as_ref().map(|read| read.outcome) != Some(Outcome::Destroy) {
                let why = "Content Server took its outcome back in the last moment";
                return self.stop(work, run, "lifecycle-stopped", why).await;
            }
        }
        if let Some(held) = self.protection(work.subject).await? {
            return self
                .stop(work, run, "lifecycle-stopped", held.as_str())
                .await;
        }
        match self.systems.iconik.bin_asset(&work.subject.asset).await? {
            Binned::Now | Binned::Before => self.after_the_act(work, run).await,
            Binned::Gone => self.destroyed(work, run, "iconik has purged it").await,
        }
    }

    /// The asset is in the recycle bin by our hand. A hold that came in that very moment takes it
    /// out again.
    pub(super) async fn after_the_act(
        &self,
        work: &mut Work<'_>,
        run: &mut Run<'_>,
    ) -> Result<(), Error> {
        if let Some(held) = self.protection(work.subject).await? {
            let line = json!({"why": held, "decided": work.case.approval});
            self.save(work, false, Some(("lifecycle-restoring", line)))
                .await?;
            let asset = &work.subject.asset;
            self.systems.iconik.restore_binned(asset).await?;
            let held = Stopped {
                why: &held,
                did: "; the asset was taken out of the recycle bin again",
            };
            return self.stop(work, run, "lifecycle-restored", held).await;
        }
        self.destroyed(
            work,
            run,
            "it is in iconik's recycle bin, which iconik purges when its time is over",
        )
        .await
    }

    /// Records that an asset is destroyed.
    pub(super) async fn destroyed(
        &self,
        work: &mut Work<'_>,
        run: &mut Run<'_>,
        how: &str,
    ) -> Result<(), Error> {
        work.case.stage = Stage::Destroyed;
        work.case.destroyed = Some(Timestamp::now());
        work.case.problem = None;
        let line = json!({"why": how, "decided": work.case.approval, "source": work.case.source});
        self.save(work, false, Some(("lifecycle-destroyed", line)))
            .await?;
        run.say(work, Step::Destroyed, how);
        run.totals.uncertified.push(work.subject.asset.clone());
        Ok(())
    }
}
