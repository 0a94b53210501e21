//! What is known of an asset's licences: what its own fields say, and what the assets say that it is
//! related to as its licences.

use std::collections::BTreeSet;

use futures::TryStreamExt as _;

use super::Licensing;
use crate::flows::publish::values_of;
use crate::flows::{Error, Systems};
use crate::iconik::{Asset, Metadata};
use crate::sidecar::rights::{LicenceFields, Licensed, RightsFields};
use crate::types::AssetId;

/// Most assets that are licences of one asset by one relation.
const MOST: usize = 200;

impl Licensing {
    /// The licences of an asset, and what of them is not understood, for people.
    ///
    /// A limit that nobody can see is no freedom: where something is permitted, every field of the
    /// licences has to be there to be read, with or without a value.
    ///
    /// # Errors
    ///
    /// iconik's, where it does not say what the asset is related to.
    pub async fn read(
        &self,
        systems: &Systems,
        asset: &AssetId,
        metadata: &Metadata,
    ) -> Result<(Vec<Licensed>, Vec<String>), Error> {
        let mut values = values_of(metadata);
        let mut unread = Vec::new();
        let mut unseen = unseen(&self.fields, metadata);
        let mut fields = RightsFields {
            licences: Vec::new(),
            ..self.fields.clone()
        };
        for licence in &self.fields.licences {
            let Some(kind) = &licence.relation else {
                fields.licences.push(licence.clone());
                continue;
            };
            for other in related(systems, asset, kind, &licence.name, &mut unread).await? {
                let (own, metadata) = other;
                let there = values_of(&metadata);
                unseen.extend(
                    not_in(&metadata, licence.fields.values().map(String::as_str))
                        .map(|field| in_no_view(field, &format!("its licence {:?}", own.title))),
                );
                // Each field under a name that no field of the asset's own has.
                let of = |field: &str| format!("{field} of {:?} ({})", own.title, own.id);
                for field in licence.fields.values() {
                    let value = there.get(field).cloned().unwrap_or_default();
                    values.insert(of(field), value);
                }
                let names = licence.fields.iter();
                fields.licences.push(LicenceFields {
                    name: format!("{}: {}", licence.name, own.title),
                    fields: names.map(|(facet, field)| (*facet, of(field))).collect(),
                    rows: licence.rows,
                    relation: None,
                });
            }
        }
        // Where every licence is an asset and there is none, nothing is known to be permitted.
        let (licences, problems) =
            match fields.licences.is_empty() && !self.fields.licences.is_empty() {
                true => (Vec::new(), Vec::new()),
                false => fields.read_all(&values),
            };
        let mut problems: Vec<String> = problems
            .into_iter()
            .map(|problem| format!("`{}`: {}", problem.field, problem.what))
            .collect();
        problems.extend(unread);
        if licences.iter().any(|licence| licence.terms.permit()) {
            problems.extend(unseen);
        }
        Ok((licences, problems))
    }
}

/// Fields of the asset's own that are in no view of it.
fn unseen(fields: &RightsFields, metadata: &Metadata) -> Vec<String> {
    let own = fields.fields_of_the_asset().into_iter();
    not_in(metadata, own)
        .map(|field| in_no_view(field, "the asset"))
        .collect()
}

fn not_in<'a>(
    metadata: &'a Metadata,
    fields: impl Iterator<Item = &'a str>,
) -> impl Iterator<Item = &'a str> {
    let views = metadata.views.iter().flat_map(|view| &view.fields);
    let there: BTreeSet<&str> = views.map(|field| field.name.as_str()).collect();
    fields.filter(move |field| !there.contains(field))
}

fn in_no_view(field: &str, whose: &str) -> String {
    format!(
        "`{field}` is in no view of {whose} that may be read, so its licence is not known; correct `rights` in the settings or the view"
    )
}

/// The assets that an asset is related to in this way, with their metadata. What may not be read is
/// said in `unread`: it may be the licence that forbids.
async fn related(
    systems: &Systems,
    asset: &AssetId,
    kind: &str,
    name: &str,
    unread: &mut Vec<String>,
) -> Result<Vec<(Asset, Metadata)>, Error> {
    let mut found = Vec::new();
    let mut others = systems.iconik.related_assets(asset, Some(kind));
    while let Some(listed) = others.try_next().await? {
        if found.len() == MOST {
            unread.push(format!(
                "more than {MOST} assets have the relation {kind} to it (`rights.licences.{name}`)"
            ));
            break;
        }
        // What a listing says of an asset may be less than the asset.
        let read = async {
            let other = systems.iconik.asset(&listed.id).await?;
            let metadata = systems.iconik.metadata_of(&other, None).await?;
            Ok((other, metadata))
        };
        match read.await {
            Ok(other) => found.push(other),
            Err(error @ crate::iconik::Error::NotFound { .. })
            | Err(error @ crate::iconik::Error::Forbidden { .. }) => unread.push(format!(
                "its licence {:?} (`rights.licences.{name}`) may not be read: {error}",
                listed.title
            )),
            Err(error) => return Err(error.into()),
        }
    }
    // In one order, however they are listed.
    found.sort_by(|(a, _), (b, _)| a.id.cmp(&b.id));
    Ok(found)
}
