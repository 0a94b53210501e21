//! Filing the record's documents, by the engine like any sidecar.

use tokio_util::sync::CancellationToken;

use super::record::{self, About};
use super::{Exchange, FLOW, Line, Totals};
use crate::flows::own::Own;
use crate::flows::{Error, write_back};
use crate::ledger::{NewItem, NewRun};
use crate::transfer::Outcome as Ended;
use crate::types::{AssetId, Marker, MarkerFields, Role, RunId};

impl Exchange<'_> {
    /// Puts the record's documents among the items to file, as far as they are not filed yet.
    pub(super) async fn offer(
        &self,
        about: &About,
        lines: &[Line],
        totals: &mut Totals,
    ) -> Result<(), Error> {
        let papers = [
            ("json", "application/json", record::json(about, lines)),
            ("html", "text/html", record::html(about, lines)),
        ];
        for (form, mime, content) in papers {
            let item = self.paper(about, form, mime, content);
            let there = self.ledger.item_by_key(&item.key).await?;
            let same = there
                .as_ref()
                .filter(|there| there.fingerprint == item.fingerprint);
            match same.map(|there| there.state.as_str()) {
                Some("done") => continue,
                Some("failed" | "parked" | "held" | "conflict" | "quarantined" | "declined") => {
                    totals.unfiled += 1;
                    continue;
                }
                _ => {}
            }
            let run = match totals.run {
                Some(run) => run,
                None => {
                    let new = NewRun {
                        command: FLOW.to_owned(),
                        arguments: "{}".to_owned(),
                    };
                    let run = self.ledger.start_run(new).await?;
                    totals.run = Some(run);
                    run
                }
            };
            self.ledger.add_items(run, vec![item]).await?;
        }
        Ok(())
    }

    fn paper(&self, about: &About, form: &str, mime: &'static str, content: Vec<u8>) -> NewItem {
        let name = format!("{}.review.{form}", about.name);
        let name = self.systems.destination.map_name(&name);
        let marker = Marker::derive(&MarkerFields {
            instance: &self.systems.instance,
            domain: &self.systems.domain,
            asset: about.asset.as_str(),
            version: FLOW,
            format: FLOW,
            file: form,
            role: &Role::Master,
        })
        .to_string();
        Own {
            key: item_key(&about.asset, form),
            title: format!("review record of {} ({form})", about.title),
            parent: about.parent,
            name,
            marker,
            mime,
            content,
        }
        .item()
    }

    /// Files what was offered.
    pub(super) async fn file(&self, run: RunId, totals: &mut Totals) -> Result<(), Error> {
        // Whoever was killed had items in hand; nobody has them now.
        self.ledger.give_back(run).await?;
        self.ledger.scan_progress(run, None, true, 0).await?;
        let outcome = self.engine.run(run, || false).await;
        let (word, ended) = match &outcome {
            Ended::Finished => ("done", true),
            Ended::Stopped | Ended::Waiting => ("stopped", false),
            Ended::Failed(_) => ("failed", false),
        };
        self.ledger.give_back(run).await?;
        // What is filed of a record is no news for iconik; the messages about it are settled.
        let never = CancellationToken::new();
        while write_back::deliver(self.systems, self.ledger, &never).await? > 0 {}
        self.ledger.end_run(run, word, ended).await?;
        for count in self.ledger.summary(run).await? {
            match count.state.as_str() {
                "done" => totals.documents += count.items,
                _ => totals.unfiled += count.items,
            }
        }
        match outcome {
            Ended::Finished => Ok(()),
            Ended::Stopped | Ended::Waiting => {
                totals.stopped = true;
                Ok(())
            }
            Ended::Failed(failure) => Err(failure.into()),
        }
    }
}

/// The key of a record's document among the items.
pub fn item_key(asset: &AssetId, form: &str) -> String {
    format!("exchange:{asset}/{form}")
}
