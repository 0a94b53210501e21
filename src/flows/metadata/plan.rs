//! What has to happen to the fields of a pair.

use std::collections::BTreeMap;

use serde_json::Value;

use super::known::{Known, Refusal, Remembered, Take};
use super::{Decision, FLOW, Outcome, Pair};
use crate::content_server::Changed;
use crate::iconik::{Asset, Metadata, WriteMode, Writing};
use crate::ledger::Fact;
use crate::sidecar::mapping::BoundField;
use crate::sidecar::mapping::merge::{Merge, Side, merge};
use crate::types::ViewId;

/// What has to happen to one pair.
pub(super) struct Plan<'a> {
    pub(super) pair: &'a Pair,
    pub(super) known: &'a Known,
    /// Whether what was refused is offered again.
    pub(super) again: bool,
    pub(super) decisions: Vec<Decision>,
    pub(super) to_server: BTreeMap<i64, BTreeMap<String, Value>>,
    pub(super) server_fields: Vec<String>,
    pub(super) to_iconik: BTreeMap<ViewId, Writings>,
    /// What the ledger has to remember, by field.
    pub(super) facts: BTreeMap<String, Fact>,
    pub(super) now: i64,
}

#[derive(Default)]
pub(super) struct Writings {
    pub(super) values: Vec<Writing>,
    pub(super) fields: Vec<String>,
}

impl Plan<'_> {
    pub(super) fn field(
        &mut self,
        field: &BoundField,
        asset: &Asset,
        metadata: &Metadata,
        source: &BTreeMap<String, Vec<Value>>,
        categories: &BTreeMap<i64, BTreeMap<String, Value>>,
        changed: &Changed,
    ) {
        let name = field.map.name.clone();
        let outcome = field.outcome(source);
        let empty = BTreeMap::new();
        let server = Side {
            values: field.read(categories.get(&field.category).unwrap_or(&empty)),
            at: changed.at,
            by: changed.by.map(|user| format!("user {user}")),
        };
        let iconik = Side {
            values: field.comparable(&outcome.written),
            at: asset.date_modified,
            by: asset
                .updated_by_user_info
                .as_ref()
                .map(ToString::to_string)
                .or_else(|| asset.updated_by_user.clone()),
        };
        let (known, was_open) = self.known.fields.get(&name).cloned().unwrap_or_default();
        // A view that may not be seen is no reason to think that the field is empty.
        let view = metadata
            .views
            .iter()
            .find(|view| view.fields.iter().any(|own| own.name == field.map.source));
        let Some(view) = view else {
            let why = format!(
                "the field `{}` is in no metadata view of the asset that longhaul may see",
                field.map.source
            );
            return self.decide_refused(name, iconik, server, why);
        };
        if let Some(problem) = &outcome.problem {
            let refused = !outcome.source.is_empty() || server.values.is_empty();
            if refused {
                return self.decide_refused(name, iconik, server, problem.clone());
            }
        }
        if let Some(refusal) = known.refused.as_ref().filter(|refusal| {
            refusal.iconik == iconik.values && refusal.content_server == server.values
        }) && !self.again
            && known.take.is_none()
        {
            let why = refusal.why.clone();
            return self.decide(name, Outcome::Refused, iconik, server, why);
        }
        let same_as_shown = known
            .conflict
            .as_ref()
            .is_some_and(|(a, b)| a.values == iconik.values && b.values == server.values);
        let merged = match known.take.filter(|_| same_as_shown) {
            Some(Take::Iconik) => Merge::ToServer(iconik.values.clone()),
            Some(Take::ContentServer) => Merge::ToIconik(server.values.clone()),
            None => merge(field.map.truth, known.base.as_ref(), &iconik, &server),
        };
        let (agreed, outcome_word, why) = match &merged {
            Merge::Agree => (Some(iconik.values.clone()), None, String::new()),
            Merge::ToServer(values) => {
                let keyed = field.keyed(&outcome.written);
                let own = self.to_server.entry(field.category).or_default();
                own.extend(keyed);
                self.server_fields.push(name.clone());
                (
                    Some(values.clone()),
                    Some(Outcome::ToContentServer),
                    reason(field, &known, &iconik, &server),
                )
            }
            Merge::ToIconik(values) => match field.map.reversed(values) {
                Ok(words) => {
                    let writings = self.to_iconik.entry(view.id.clone()).or_default();
                    writings.fields.push(name.clone());
                    writings.values.push(Writing {
                        field: field.map.source.clone(),
                        values: words,
                        mode: WriteMode::Overwrite,
                    });
                    (
                        Some(values.clone()),
                        Some(Outcome::ToIconik),
                        reason(field, &known, &iconik, &server),
                    )
                }
                Err(why) => {
                    return self.decide_refused(name, iconik, server, why);
                }
            },
            Merge::Conflict => (
                None,
                Some(Outcome::Conflict),
                "both sides were edited since they last agreed; `longhaul metadata decide` says whose edit counts".to_owned(),
            ),
        };
        let next = match agreed {
            Some(values) => Remembered {
                base: Some(values),
                ..Remembered::default()
            },
            None => Remembered {
                base: known.base.clone(),
                conflict: Some((iconik.clone(), server.clone())),
                ..Remembered::default()
            },
        };
        let open = next.conflict.is_some();
        let news = next.base != known.base || open != was_open || (open && !same_as_shown);
        if news || known.take.is_some() || known.refused.is_some() {
            self.remember(&name, &next, open);
        }
        match outcome_word {
            // A conflict that a person knows of is no news.
            Some(Outcome::Conflict) if was_open && same_as_shown => {}
            Some(word) => self.decide(name, word, iconik, server, why),
            None => {}
        }
    }

    fn remember(&mut self, field: &str, next: &Remembered, open: bool) {
        let fact = Fact {
            flow: FLOW.to_owned(),
            object: self.pair.asset.to_string(),
            field: field.to_owned(),
            data: serde_json::to_string(next).unwrap_or_default(),
            open,
            at: self.now,
        };
        self.facts.insert(field.to_owned(), fact);
    }

    fn decide_refused(&mut self, field: String, iconik: Side, content_server: Side, why: String) {
        self.decide(field, Outcome::Refused, iconik, content_server, why);
        if let Some(decision) = self.decisions.last().cloned() {
            self.refuse(&decision);
        }
    }

    /// Remembers a refusal, in place of what would have been remembered had the values been taken;
    /// one that is known already is no news.
    pub(super) fn refuse(&mut self, decision: &Decision) {
        let (known, was_open) = self
            .known
            .fields
            .get(&decision.field)
            .cloned()
            .unwrap_or_default();
        let refusal = Refusal {
            iconik: decision.iconik.values.clone(),
            content_server: decision.content_server.values.clone(),
            why: decision.why.clone(),
        };
        self.facts.remove(&decision.field);
        if known.refused.as_ref() != Some(&refusal) {
            let next = Remembered {
                refused: Some(refusal),
                ..known
            };
            self.remember(&decision.field, &next, was_open);
        }
    }

    fn decide(
        &mut self,
        field: String,
        outcome: Outcome,
        iconik: Side,
        content_server: Side,
        why: String,
    ) {
        self.decisions.push(Decision {
            asset: self.pair.asset.clone(),
            title: self.pair.title.clone(),
            node: self.pair.node,
            field,
            outcome,
            iconik,
            content_server,
            why,
        });
    }
}

/// Why an edit is carried over, for people.
pub(super) fn reason(
    field: &BoundField,
    known: &Remembered,
    iconik: &Side,
    server: &Side,
) -> String {
    let edited = |side: &Side| known.base.as_ref().is_some_and(|base| *base != side.values);
    match (known.take, &known.base, edited(iconik), edited(server)) {
        (Some(_), ..) => "a person decided".to_owned(),
        (_, None, ..) => "the two sides are compared for the first time".to_owned(),
        (_, _, true, false) => "edited in iconik".to_owned(),
        (_, _, false, true) => "edited in Content Server".to_owned(),
        _ => format!("both were edited; {} counts", field.map.truth.as_str()),
    }
}
