//! The steps of a case in their order, and how each is kept.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{End, Error, FLOW, Lifecycle, Outcome, Run, Stage, Step, Work};
use crate::iconik::AssetStatus;
use crate::ledger::{Change, Entry, Fact};
use crate::types::AssetId;

impl Lifecycle<'_> {
    /// Carries a case as far as it goes now.
    pub(super) async fn advance(
        &self,
        work: &mut Work<'_>,
        run: &mut Run<'_>,
    ) -> Result<(), Error> {
        let asset = match self.systems.iconik.asset(&work.subject.asset).await {
            Ok(asset) if asset.status == AssetStatus::Deleted => {
                return self.binned(work, run).await;
            }
            Ok(asset) => asset,
            Err(error) if error.is_not_found() => return self.purged(work, run, error).await,
            Err(error) => return Err(error.into()),
        };
        if work.case.stage == Stage::Destroyed {
            let why =
                "somebody took it out of iconik's recycle bin before its certificate was filed";
            return self.stop(work, run, "lifecycle-back", why).await;
        }
        self.find_superseded(&asset, run).await?;
        let marked = self.marked(&asset, work, run).await?;
        let closed = matches!(work.case.stage, Stage::Closed(_));
        match (marked, work.case.stage) {
            (None, Stage::None) => return Ok(()),
            (None, Stage::Closed(End::Retained | End::Archived))
            | (
                None,
                Stage::Found | Stage::Marked | Stage::Review | Stage::Archiving | Stage::Destroying,
            ) => {
                return self.withdraw(work, run).await;
            }
            (None, _) => return Ok(()),
            (Some(marked), stage) => {
                let same = work.case.mark == Some(marked.mark);
                let anew = match stage {
                    Stage::None | Stage::Found => true,
                    Stage::Closed(End::Retained | End::Archived) => !same,
                    Stage::Closed(_) => true,
                    _ => !same,
                };
                if anew {
                    self.begin_case(work, run, marked).await?;
                } else if closed && !self.reopen(work, run).await? {
                    return Ok(());
                }
            }
        }
        if matches!(work.case.stage, Stage::None | Stage::Found) {
            // Only said, in a dry run.
            return Ok(());
        }
        if work.case.stage == Stage::Marked {
            if self.dry_run {
                run.say(work, Step::Marked, work.case.why.clone());
                return Ok(());
            }
            self.tell_record(work, run).await?;
        }
        self.link(work, run).await?;
        self.settle(&asset, work, run).await
    }

    /// A case that ended gently is open again when Content Server changed its mind; only a full
    /// look asks.
    pub(super) async fn reopen(
        &self,
        work: &mut Work<'_>,
        run: &mut Run<'_>,
    ) -> Result<bool, Error> {
        if !self.full || self.policy.outcome.is_none() {
            return Ok(false);
        }
        let before = match work.case.stage {
            Stage::Closed(End::Retained) => Outcome::Retain,
            _ => Outcome::Archive,
        };
        let now = self.outcome_now(work, Some(run)).await?;
        if now.as_ref().is_none_or(|read| read.outcome == before) {
            return Ok(false);
        }
        work.case.stage = Stage::Review;
        work.case.approval = None;
        Ok(true)
    }

    /// The asset is in the recycle bin.
    pub(super) async fn binned(&self, work: &mut Work<'_>, run: &mut Run<'_>) -> Result<(), Error> {
        match work.case.stage {
            Stage::None | Stage::Closed(_) => Ok(()),
            Stage::Destroying if self.dry_run => Ok(()),
            Stage::Destroying => self.after_the_act(work, run).await,
            Stage::Destroyed => {
                run.totals.uncertified.push(work.subject.asset.clone());
                Ok(())
            }
            Stage::Found | Stage::Marked | Stage::Review | Stage::Archiving => {
                self.close(
                    work,
                    run,
                    End::Gone,
                    Step::Gone,
                    "somebody put the asset into iconik's recycle bin; longhaul did not",
                )
                .await
            }
        }
    }

    /// iconik has no such asset.
    pub(super) async fn purged(
        &self,
        work: &mut Work<'_>,
        run: &mut Run<'_>,
        error: crate::iconik::Error,
    ) -> Result<(), Error> {
        match work.case.stage {
            Stage::None | Stage::Closed(_) => Ok(()),
            Stage::Destroyed => {
                run.totals.uncertified.push(work.subject.asset.clone());
                Ok(())
            }
            Stage::Destroying if self.dry_run => Ok(()),
            Stage::Destroying => self.destroyed(work, run, "iconik has purged it").await,
            _ => Err(error.into()),
        }
    }

    /// Ends a case.
    pub(super) async fn close(
        &self,
        work: &mut Work<'_>,
        run: &mut Run<'_>,
        end: End,
        step: Step,
        why: &str,
    ) -> Result<(), Error> {
        if !self.dry_run {
            work.case.stage = Stage::Closed(end);
            work.case.problem = None;
            let event = format!("lifecycle-{}", step.as_str());
            self.save(work, false, Some((&event, json!({"why": why}))))
                .await?;
        }
        run.say(work, step, why);
        Ok(())
    }

    /// Remembers what stops a case. What is known already is said and not journalled again.
    pub(super) async fn hold(
        &self,
        work: &mut Work<'_>,
        run: &mut Run<'_>,
        why: &str,
    ) -> Result<(), Error> {
        self.wait(work, run, Step::Held, why).await
    }

    pub(super) async fn wait(
        &self,
        work: &mut Work<'_>,
        run: &mut Run<'_>,
        step: Step,
        why: &str,
    ) -> Result<(), Error> {
        run.say(work, step, why);
        work.waits = true;
        let known = work.known.open && work.case.problem.as_deref() == Some(why);
        if self.dry_run || known {
            return Ok(());
        }
        work.case.problem = Some(why.to_owned());
        let event = format!("lifecycle-{}", step.as_str());
        self.save(work, true, Some((&event, json!({"why": why}))))
            .await
    }

    /// Keeps the case, with a line of the journal where something is done or decided.
    pub(super) async fn save(
        &self,
        work: &mut Work<'_>,
        open: bool,
        line: Option<(&str, Value)>,
    ) -> Result<(), Error> {
        let mut change = Change::new().fact(work.case.fact(&work.subject.asset, open));
        if let Some((event, mut data)) = line {
            data["asset"] = json!(work.subject.asset);
            data["title"] = json!(work.subject.title);
            data["node"] = json!(work.subject.node);
            data["mark"] = json!(work.case.mark);
            data["who"] = json!(self.who);
            change = change.journal(Entry {
                item: work.subject.items.last().map(|item| item.id),
                event: event.to_owned(),
                data: data.to_string(),
                ..Entry::default()
            });
        }
        self.ledger.apply(change).await?;
        work.known.open = open;
        Ok(())
    }

    /// Remembers a fact about an asset beside its case.
    pub(super) async fn note(
        &self,
        asset: &AssetId,
        field: &str,
        data: Value,
    ) -> Result<(), Error> {
        let fact = Fact {
            flow: FLOW.to_owned(),
            object: asset.to_string(),
            field: field.to_owned(),
            data: data.to_string(),
            open: false,
            at: Timestamp::now().as_millisecond(),
        };
        Ok(self.ledger.apply(Change::new().fact(fact)).await?)
    }
}
