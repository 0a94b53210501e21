//! End-of-campaign archive: everything in one or more collections, and below them.

use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};

use super::{Error, Systems};
use crate::iconik::Selection;
use crate::types::{AssetId, CollectionId};

/// The assets of the collections, each collection walked to its leaves. A collection that does
/// not exist is an error before the first asset.
pub async fn assets(
    systems: &Systems,
    collections: &[CollectionId],
) -> Result<BoxStream<'static, Result<AssetId, Error>>, Error> {
    for collection in collections {
        systems.iconik.collection(collection).await?;
    }
    let client = systems.iconik.clone();
    Ok(stream::iter(collections.to_vec())
        .flat_map(move |collection| client.select(&Selection::Collection(collection)))
        .map_err(Error::from)
        .boxed())
}
