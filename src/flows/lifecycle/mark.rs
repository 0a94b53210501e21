//! What iconik says of an asset: marked by a field, superseded by another asset, expired.
//!
//! A field that may not be seen says nothing, and a relation that is listed at both of its ends
//! does not say which of the two supersedes the other: both wait for a person.

use futures::TryStreamExt as _;
use jiff::civil::Date;
use serde_json::json;

use super::case::{EXPIRES, SUCCESSOR, Stage};
use super::{Error, Lifecycle, Mark, Run, Work};
use crate::iconik::{Asset, AssetStatus, Metadata};
use crate::types::{AssetId, Failure, Reason};

/// A mark with its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Marked {
    pub(super) mark: Mark,
    pub(super) why: String,
    /// The day since when it holds, when iconik says so.
    pub(super) since: Option<Date>,
    pub(super) successor: Option<AssetId>,
}

impl Lifecycle<'_> {
    /// Refuses a relation that the account does not have.
    pub(super) async fn check_relation(&self) -> Result<(), Error> {
        let Some(relation) = &self.policy.relation else {
            return Ok(());
        };
        let types: Vec<_> = self.systems.iconik.relation_types().try_collect().await?;
        if types.iter().any(|kind| kind.name == *relation) {
            return Ok(());
        }
        let names: Vec<&str> = types.iter().map(|kind| kind.name.as_str()).collect();
        Err(Failure::stop(format!(
            "`lifecycle.relation` is {relation:?}, which this iconik account does not have; it has {}",
            if names.is_empty() { "none".to_owned() } else { names.join(", ") }
        ))
        .into())
    }

    /// Remembers the filed assets that this one supersedes.
    pub(super) async fn find_superseded(
        &self,
        asset: &Asset,
        run: &mut Run<'_>,
    ) -> Result<(), Error> {
        let Some(relation) = &self.policy.relation else {
            return Ok(());
        };
        let mut others = self
            .systems
            .iconik
            .related_assets(&asset.id, Some(relation));
        while let Some(other) = others.try_next().await? {
            if other.id == asset.id || self.subject(&other.id).await?.is_none() {
                continue;
            }
            let facts = self
                .ledger
                .remembered(super::FLOW, other.id.as_str())
                .await?;
            let known = super::Known::of(&facts)?;
            if known.successor.as_ref() == Some(&asset.id) {
                continue;
            }
            if self.lists(&other.id, &asset.id, relation).await? {
                return Err(Failure::item(
                    Reason::Incomplete,
                    format!(
                        "iconik lists `{relation}` between assets {} and {} at both of them and so does not say which supersedes which; say it with `lifecycle.status` instead",
                        asset.id, other.id
                    ),
                )
                .into());
            }
            if !self.dry_run {
                self.note(&other.id, SUCCESSOR, json!(asset.id)).await?;
                run.superseded.push(other.id);
            } else if let Some(subject) = self.subject(&other.id).await? {
                let why = format!("asset {} supersedes it", asset.id);
                let mark = Some(Mark::Superseded);
                run.tell(&subject, mark, super::Step::Marked, why, None);
            }
        }
        Ok(())
    }

    async fn lists(&self, asset: &AssetId, other: &AssetId, relation: &str) -> Result<bool, Error> {
        let mut related = self.systems.iconik.related_assets(asset, Some(relation));
        while let Some(one) = related.try_next().await? {
            if one.id == *other {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What marks an asset now.
    pub(super) async fn marked(
        &self,
        asset: &Asset,
        work: &Work<'_>,
        run: &Run<'_>,
    ) -> Result<Option<Marked>, Error> {
        let metadata = self.systems.iconik.metadata_of(asset, None).await?;
        for field in self
            .policy
            .status
            .iter()
            .map(|(field, _)| field)
            .chain(&self.policy.expiry)
        {
            let seen = has(&metadata, field);
            if !seen && work.case.stage != Stage::None {
                return Err(Failure::item(
                    Reason::Incomplete,
                    format!(
                        "the field `{field}` is in no metadata view of the asset that longhaul may see, so whether it is still marked is not known"
                    ),
                )
                .into());
            }
        }
        let flat = metadata.flat();
        if let Some((field, values)) = &self.policy.status {
            let words = flat.get(field.as_str()).into_iter().flatten();
            let mut marks = words.filter_map(|word| Some((word, *values.get(word.trim())?)));
            if let Some((word, mark)) = marks.next() {
                return Ok(Some(Marked {
                    mark,
                    why: format!("`{field}` is {word:?} in iconik"),
                    since: None,
                    successor: work.known.successor.clone(),
                }));
            }
        }
        if let Some(marked) = self.superseded_by(work).await? {
            return Ok(Some(marked));
        }
        let Some(field) = &self.policy.expiry else {
            return Ok(None);
        };
        let Some(word) = flat.get(field.as_str()).and_then(|words| words.first()) else {
            return Ok(None);
        };
        let day = day_of(word).ok_or_else(|| {
            Failure::item(
                Reason::Incomplete,
                format!("`{field}` is {word:?} in iconik, which is no day; write it as 2027-12-31"),
            )
        })?;
        if work.known.expires != Some(day) && !self.dry_run {
            self.note(&asset.id, EXPIRES, json!(day)).await?;
        }
        Ok((day < run.today).then(|| Marked {
            mark: Mark::Expired,
            why: format!("`{field}` is {day} in iconik"),
            since: Some(day),
            successor: None,
        }))
    }

    /// The asset that still supersedes this one.
    async fn superseded_by(&self, work: &Work<'_>) -> Result<Option<Marked>, Error> {
        let (Some(relation), Some(successor)) = (&self.policy.relation, &work.known.successor)
        else {
            return Ok(None);
        };
        let there = self.systems.iconik.asset(successor).await?;
        let holds = there.status != AssetStatus::Deleted
            && self.lists(successor, &work.subject.asset, relation).await?;
        Ok(holds.then(|| Marked {
            mark: Mark::Superseded,
            why: format!("asset {successor} ({:?}) supersedes it", there.title),
            since: None,
            successor: Some(successor.clone()),
        }))
    }
}

fn has(metadata: &Metadata, field: &str) -> bool {
    let mut fields = metadata.views.iter().flat_map(|view| &view.fields);
    fields.any(|own| own.name == field)
}

/// The day of a date, with or without a time.
pub(super) fn day_of(text: &str) -> Option<Date> {
    text.trim().get(..10)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_read_with_or_without_its_time_and_rubbish_is_none() {
        let day: Date = "2027-07-01".parse().unwrap();
        for text in ["2027-07-01", " 2027-07-01T08:00:00Z", "2027-07-01 00:00"] {
            assert_eq!(day_of(text), Some(day), "{text}");
        }
        for text in ["", "soon", "2027-13-01", "2027-7-1", "ääääääää"] {
            assert_eq!(day_of(text), None, "{text}");
        }
    }
}
