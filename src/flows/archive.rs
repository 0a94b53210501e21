//! End-of-campaign archive: everything in one or more collections, and below them.

use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};

use super::{Error, Systems};
use crate::iconik::{Found, Selection};
use crate::types::{AssetId, CollectionId};

/// Looks whether the collections exist, so that a slip shows before anything is begun.
///
/// # Errors
///
/// iconik's: above all that it has no such collection.
pub async fn check(systems: &Systems, collections: &[CollectionId]) -> Result<(), Error> {
    for collection in collections {
        systems.iconik.collection(collection).await?;
    }
    Ok(())
}

/// The same as the search index knows them.
pub fn found(
    systems: &Systems,
    collections: &[CollectionId],
) -> BoxStream<'static, Result<Found, Error>> {
    let client = systems.iconik.clone();
    stream::iter(collections.to_vec())
        .flat_map(move |collection| client.select_found(&Selection::Collection(collection)))
        .map_err(Error::from)
        .boxed()
}

/// The assets of the collections, each collection walked to its leaves.
pub fn assets(
    systems: &Systems,
    collections: &[CollectionId],
) -> BoxStream<'static, Result<AssetId, Error>> {
    let client = systems.iconik.clone();
    stream::iter(collections.to_vec())
        .flat_map(move |collection| client.select(&Selection::Collection(collection)))
        .map_err(Error::from)
        .boxed()
}
