//! Compares a pair and carries its edits over.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use super::known::{Known, Stamps};
use super::plan::Plan;
use super::{Decision, FLOW, Outcome, PAIR, Pair, Sync, TRIES, Totals, count, entry};
use crate::content_server::Changed;
use crate::flows::Error;
use crate::flows::publish::values_of;
use crate::iconik::Asset;
use crate::ledger::{Change, Fact};
use crate::types::FailureClass;

impl Sync<'_> {
    /// Compares one pair and carries its edits over; once more when somebody wrote meanwhile.
    pub(super) async fn compare(
        &self,
        pair: &Pair,
        changed: &Changed,
        known: &Known,
        totals: &mut Totals,
        each: &mut (dyn FnMut(&Decision) + Send),
    ) -> Result<(), Error> {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.compare_once(pair, changed, known).await {
                Ok(decisions) => {
                    for decision in &decisions {
                        count(totals, decision, each);
                    }
                    return Ok(());
                }
                // Somebody was quicker: what they wrote is read and merged as well.
                Err(Error::Engine(failure))
                    if failure.class == FailureClass::RetryNow && tries < TRIES =>
                {
                    tracing::info!(asset = %pair.asset, %failure, "read and merged again");
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn compare_once(
        &self,
        pair: &Pair,
        changed: &Changed,
        known: &Known,
    ) -> Result<Vec<Decision>, Error> {
        let asset = self.systems.iconik.asset(&pair.asset).await?;
        let metadata = self.systems.iconik.metadata_of(&asset, None).await?;
        let categories: BTreeMap<i64, BTreeMap<String, Value>> = self
            .systems
            .content_server
            .categories(pair.node)
            .await?
            .into_iter()
            .map(|category| (category.id.0, category.values.0))
            .collect();
        let source = values_of(&metadata);
        let mut plan = Plan {
            pair,
            known,
            again: self.full,
            decisions: Vec::new(),
            to_server: BTreeMap::new(),
            server_fields: Vec::new(),
            to_iconik: BTreeMap::new(),
            facts: BTreeMap::new(),
            now: Timestamp::now().as_millisecond(),
        };
        for field in &self.binding.fields {
            plan.field(field, &asset, &metadata, &source, &categories, changed);
        }
        if self.dry_run {
            return Ok(plan.decisions);
        }
        self.carry_out(pair, &asset, changed, plan).await
    }

    /// Journals what is overwritten, writes both sides, remembers what they agree on.
    async fn carry_out(
        &self,
        pair: &Pair,
        asset: &Asset,
        changed: &Changed,
        mut plan: Plan<'_>,
    ) -> Result<Vec<Decision>, Error> {
        let mut decisions = std::mem::take(&mut plan.decisions);
        let writes = !plan.to_server.is_empty() || !plan.to_iconik.is_empty();
        if writes {
            let mut change = Change::new();
            for decision in decisions.iter().filter(|decision| {
                matches!(
                    decision.outcome,
                    Outcome::ToContentServer | Outcome::ToIconik
                )
            }) {
                change = change.journal(entry(pair, "metadata-carried-over", decision));
            }
            self.ledger.apply(change).await?;
        }
        let mut refused: BTreeMap<String, String> = BTreeMap::new();
        if !plan.to_server.is_empty() {
            match self
                .systems
                .content_server
                .write_values(pair.node, &plan.to_server)
                .await
            {
                Ok(()) => {}
                Err(failure) if failure.class == FailureClass::ItemIsWrong => {
                    for field in &plan.server_fields {
                        refused.insert(field.clone(), failure.to_string());
                    }
                }
                Err(failure) => return Err(failure.into()),
            }
        }
        for (view, writings) in &plan.to_iconik {
            let wrote = self
                .systems
                .iconik
                .write_values(&pair.asset, view, &writings.values)
                .await;
            if let Err(error) = wrote {
                let failure = error.into_failure();
                if failure.class != FailureClass::ItemIsWrong {
                    return Err(failure.into());
                }
                for field in &writings.fields {
                    refused.insert(field.clone(), failure.to_string());
                }
            }
        }
        let mut change = Change::new();
        let mut noted = false;
        for decision in &mut decisions {
            if let Some(why) = refused.remove(&decision.field) {
                decision.outcome = Outcome::Refused;
                decision.why = why;
                plan.refuse(decision);
            }
            let event = match decision.outcome {
                Outcome::Refused => "metadata-refused",
                Outcome::Conflict => "metadata-conflict",
                _ => continue,
            };
            // What is known already is said and not journalled again.
            if plan.facts.contains_key(&decision.field) {
                change = change.journal(entry(pair, event, decision));
            }
        }
        for fact in std::mem::take(&mut plan.facts).into_values() {
            change = change.fact(fact);
            noted = true;
        }
        // After a write the next look compares once more: what the sides say then is what counts.
        let stamps = Stamps {
            iconik: asset.date_modified,
            content_server: if writes {
                String::new()
            } else {
                changed.stamp.clone()
            },
        };
        if stamps != plan.known.stamps {
            change = change.fact(Fact {
                flow: FLOW.to_owned(),
                object: pair.asset.to_string(),
                field: PAIR.to_owned(),
                data: serde_json::to_string(&stamps).unwrap_or_default(),
                open: false,
                at: plan.now,
            });
            noted = true;
        }
        if noted {
            self.ledger.apply(change).await?;
        }
        Ok(decisions)
    }
}
