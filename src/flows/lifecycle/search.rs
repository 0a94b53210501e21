//! Starting a disposition search for records that were told their marks.
//!
//! A search makes a new snapshot, and of a record only its newest snapshot counts. So none is
//! started while a snapshot has any record that is in review here: reviewers decide there first.
//! Whether a start that got no answer was carried out shows in the next run, by its snapshot.

use jiff::Timestamp;
use serde_json::json;

use super::{Error, Lifecycle, Place, Run};
use crate::ledger::{Change, Entry};
use crate::types::{FailureClass, Reason};

/// Where the last start stands in the ledger.
const SEARCHED: &str = "lifecycle search started";

impl Lifecycle<'_> {
    /// When a search was started last.
    pub(super) async fn last_search(&self) -> Result<Option<Timestamp>, Error> {
        let last = self.ledger.meta(SEARCHED).await?;
        Ok(last.and_then(|text| text.parse().ok()))
    }

    /// Starts the disposition search that the settings name, when records wait for one.
    pub(super) async fn start_search(&self, run: &mut Run<'_>) -> Result<(), Error> {
        let Some((Place::Disposition(search), _)) = &self.policy.outcome else {
            return Ok(());
        };
        if !self.policy.start_search || run.unsearched.is_empty() {
            return Ok(());
        }
        let server = &self.systems.content_server;
        let mut asked = run.unsearched.clone();
        asked.extend(&run.in_review);
        if !server.dispositions(*search, &asked).await?.is_empty() {
            return Ok(());
        }
        run.totals.search = Some(*search);
        if self.dry_run {
            return Ok(());
        }
        let now = Timestamp::now();
        let line = json!({
            "search": search, "records": run.unsearched.len(), "who": self.who,
            "why": format!("{} records were told their marks and are in no snapshot", run.unsearched.len()),
        });
        let change = Change::new().journal(Entry {
            event: "lifecycle-searching".to_owned(),
            data: line.to_string(),
            ..Entry::default()
        });
        self.ledger.apply(change).await?;
        match server.start_disposition_search(*search).await {
            Ok(()) => {}
            Err(failure) if failure.class == FailureClass::ItemIsWrong => {
                let what = format!(
                    "disposition search {search} cannot be started (`lifecycle.outcome.start`)"
                );
                return Err(failure.context(what).into());
            }
            Err(failure) if failure.reason == Reason::Ambiguous => {
                tracing::warn!(%search, %failure, "the next run sees whether it was started");
                return Ok(());
            }
            Err(failure) => return Err(failure.into()),
        }
        self.ledger.set_meta(SEARCHED, &now.to_string()).await?;
        Ok(())
    }
}
