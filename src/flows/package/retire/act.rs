//! What is done with an asset that may go, each step in the journal before it is taken.

use futures::TryStreamExt as _;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::look::Ready;
use super::{Campaign, FLOW, Originals, Retired, Step, known};
use crate::flows::Error;
use crate::iconik::{ArchiveStatus, FileSetStatus};
use crate::ledger::{Change, Entry, Fact};
use crate::types::AssetId;

const FIELD: &str = "original";
/// How long iconik may take to archive what it was asked to.
const ARCHIVED_WITHIN: SignedDuration = SignedDuration::from_hours(24);

impl Campaign<'_> {
    /// Records the end of what an earlier run began, when there is nothing left to do.
    pub(super) async fn finish(&self, asset: &AssetId, title: &str) -> Result<Step, Error> {
        let Some(begun) = self.begun(asset).await? else {
            return Ok(Step::Before);
        };
        if begun.done || self.retirement.dry_run {
            return Ok(Step::Before);
        }
        self.note(asset, title, &begun.how, "", true).await?;
        Ok(match self.retirement.originals {
            Originals::Archive(_) => Step::Archived,
            Originals::Remove => Step::Removed,
            Originals::Status => Step::Marked,
            Originals::Keep => Step::Before,
        })
    }

    /// What the ledger remembers of an asset.
    async fn begun(&self, asset: &AssetId) -> Result<Option<Retired>, Error> {
        let facts = self.bench.ledger.remembered(FLOW, asset.as_str()).await?;
        Ok(known(&facts))
    }

    /// Does what the policy says with an asset that may go.
    pub(super) async fn act(&self, ready: Ready) -> Result<(Step, String), Error> {
        let iconik = &self.bench.systems.iconik;
        let id = ready.asset.id.clone();
        let (title, filed) = (&ready.asset.title, &ready.filed);
        let (how, step) = match &self.retirement.originals {
            Originals::Keep => {
                return Ok((Step::Kept, "`package.originals` keeps them".to_owned()));
            }
            Originals::Status => ("shown as archived", Step::Marked),
            Originals::Archive(_) => ("originals moved to the archive storage", Step::Archived),
            Originals::Remove => ("originals removed", Step::Removed),
        };
        let why = format!("filed as {filed}");
        if self.retirement.dry_run {
            return Ok((step, why));
        }
        // Holds once more: the look may be some time ago.
        if let Some(held) = self.holds(&ready.nodes).await? {
            return Ok((Step::Kept, held));
        }
        match &self.retirement.originals {
            Originals::Keep => {}
            Originals::Status => {
                self.note(&id, title, how, filed, false).await?;
                iconik
                    .set_archive_status(&id, &ArchiveStatus::Archived)
                    .await?;
            }
            Originals::Archive(storage) => {
                let now = Timestamp::now();
                let asked = self.begun(&id).await?.filter(|before| {
                    !before.done && now.duration_since(before.at) < ARCHIVED_WITHIN
                });
                if asked.is_none() {
                    self.note(&id, title, how, filed, false).await?;
                    let archiving = iconik.archiving(&id).await?;
                    for format in archiving
                        .open
                        .iter()
                        .filter(|own| ready.formats.contains(own))
                    {
                        iconik.archive_format(&id, format, storage).await?;
                    }
                }
                let archiving = iconik.archiving(&id).await?;
                if archiving.failed > 0 {
                    return Ok((
                        Step::Kept,
                        "iconik says that archiving failed; its jobs say why".to_owned(),
                    ));
                }
                if !archiving.open.is_empty() || archiving.underway > 0 {
                    return Ok((Step::Archiving, "iconik is moving the originals".to_owned()));
                }
            }
            Originals::Remove => {
                self.note(&id, title, how, filed, false).await?;
                let line = format!("longhaul: originals removed, {why}");
                // Said before it is done: a reader of the history finds where they are.
                match iconik.has_history(&id, &line).await {
                    Ok(false) => {
                        if let Err(error) = iconik.add_history(&id, &line).await {
                            tracing::warn!(asset = %id, %error, "iconik's history was not told");
                        }
                    }
                    Ok(true) => {}
                    Err(error) => {
                        tracing::warn!(asset = %id, %error, "iconik's history was not read")
                    }
                }
                for format in &ready.formats {
                    let sets: Vec<_> = iconik.file_sets(&id, format).try_collect().await?;
                    for set in sets {
                        if set.status == FileSetStatus::Active && !set.is_archive {
                            iconik.bin_file_set(&id, format, &set.id).await?;
                        }
                    }
                }
            }
        }
        self.note(&id, title, how, filed, true).await?;
        Ok((step, why))
    }

    /// Records what is about to be done, or is.
    async fn note(
        &self,
        asset: &AssetId,
        title: &str,
        how: &str,
        filed: &str,
        done: bool,
    ) -> Result<(), Error> {
        let now = Timestamp::now();
        let retired = Retired {
            done,
            how: how.to_owned(),
            at: now,
            who: self.retirement.who.clone(),
            because: self.retirement.because.clone(),
        };
        let entry = Entry {
            event: if done { "retired" } else { "retiring" }.to_owned(),
            data: json!({
                "asset": asset, "title": title, "collection": self.collection,
                "how": how, "filed": filed, "who": retired.who, "because": retired.because,
                "read_back": self.retirement.read_back,
            })
            .to_string(),
            ..Entry::default()
        };
        let fact = Fact {
            flow: FLOW.to_owned(),
            object: asset.to_string(),
            field: FIELD.to_owned(),
            data: serde_json::to_string(&retired).unwrap_or_default(),
            open: false,
            at: now.as_millisecond(),
        };
        let change = Change::new().fact(fact).journal(entry);
        self.bench.ledger.apply(change).await?;
        Ok(())
    }
}
