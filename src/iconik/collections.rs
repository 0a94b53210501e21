//! Collections, and the walk through everything below one.

use std::collections::{HashSet, VecDeque};

use futures::stream::{self, StreamExt as _};
use jiff::Timestamp;
use serde::Deserialize;
use xxhash_rust::xxh3::xxh3_128;

use super::call::Call;
use super::pages::{Rows, Style};
use super::search::Found;
use super::tolerant::{date, id, size, text, texts, words};
use super::{AssetStatus, Client, Error};
use crate::types::{AssetId, ByteCount, CollectionId};

words! {
    /// Whether a collection is in the recycle bin.
    CollectionStatus {
        /// In use.
        Active = "ACTIVE",
        /// In use, not shown.
        Hidden = "HIDDEN",
        /// In the recycle bin.
        Deleted = "DELETED",
    }
}

/// A collection.
#[derive(Clone, Debug, Deserialize)]
pub struct Collection {
    /// Its id.
    #[serde(deserialize_with = "id")]
    pub id: CollectionId,
    /// Its title.
    #[serde(default, deserialize_with = "text")]
    pub title: Option<String>,
    /// Whether it is in the recycle bin.
    #[serde(default)]
    pub status: CollectionStatus,
    /// The collections it is in, of which there may be several.
    #[serde(default, deserialize_with = "texts")]
    pub parents: Vec<String>,
    /// The metadata category.
    #[serde(default, deserialize_with = "text")]
    pub category: Option<String>,
    /// Free text that other systems identify it by.
    #[serde(default, deserialize_with = "text")]
    pub external_id: Option<String>,
    /// When it was made.
    #[serde(default, deserialize_with = "date")]
    pub date_created: Option<Timestamp>,
}

impl Client {
    /// A collection.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] when it does not exist.
    pub async fn collection(&self, collection: &CollectionId) -> Result<Collection, Error> {
        let call = Call::get(
            &["assets", "v1", "collections", collection.as_str()],
            "can_read_collections",
            format!("reading collection {collection}"),
        );
        self.json(&call).await
    }

    /// Bytes of the originals in a collection and below it, by iconik's own account; `None` when it
    /// does not say.
    ///
    /// # Errors
    ///
    /// Whatever prevents a clear answer.
    pub async fn collection_size(
        &self,
        collection: &CollectionId,
    ) -> Result<Option<ByteCount>, Error> {
        #[derive(Deserialize)]
        struct Stated {
            #[serde(default, deserialize_with = "size")]
            size: Option<u64>,
        }
        let call = Call::get(
            &["assets", "v1", "collections", collection.as_str(), "size"],
            "can_read_collections",
            format!("asking for the size of collection {collection}"),
        )
        .query("format_name", "ORIGINAL")
        .query("include_subcollections", true);
        match self.json::<Stated>(&call).await {
            Ok(stated) => Ok(stated.size),
            Err(error) if error.is_not_found() || error.is_forbidden() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What is directly in a collection: assets and collections, as the search index knows them,
    /// which may be a little old.
    pub fn contents(&self, collection: &CollectionId) -> Rows<Found> {
        let call = Call::get(
            &[
                "assets",
                "v1",
                "collections",
                collection.as_str(),
                "contents",
            ],
            "can_read_collections",
            format!("listing collection {collection}"),
        )
        .query("object_types", "assets,collections");
        self.rows(call, Style::Page, false)
    }

    /// Every asset in a collection and below it, each once, however many collections hold it.
    /// What is in the recycle bin is left out; cycles end. Ids seen stay in memory, 16 bytes each.
    pub fn walk(&self, collection: &CollectionId) -> Rows<Found> {
        let walk = Walk {
            client: self.clone(),
            started: false,
            waiting: VecDeque::from([collection.clone()]),
            open: None,
            collections: HashSet::from([xxh3_128(collection.as_str().as_bytes())]),
            assets: HashSet::new(),
        };
        stream::try_unfold(walk, |mut walk| async move {
            Ok(walk.next().await?.map(|found| (found, walk)))
        })
        .boxed()
    }
}

struct Walk {
    client: Client,
    started: bool,
    /// Breadth first: one listing is open at a time, ids of the others wait.
    waiting: VecDeque<CollectionId>,
    open: Option<Rows<Found>>,
    collections: HashSet<u128>,
    assets: HashSet<u128>,
}

impl Walk {
    async fn next(&mut self) -> Result<Option<Found>, Error> {
        loop {
            let Some(rows) = &mut self.open else {
                let Some(collection) = self.waiting.pop_front() else {
                    return Ok(None);
                };
                if !self.started {
                    self.started = true;
                    let root = self.client.collection(&collection).await?;
                    if root.status == CollectionStatus::Deleted {
                        return Err(Error::NotFound {
                            doing: format!("listing collection {collection}"),
                            said: "it is in the recycle bin".to_owned(),
                        });
                    }
                }
                self.open = Some(self.client.contents(&collection));
                continue;
            };
            let Some(found) = rows.next().await.transpose()? else {
                self.open = None;
                continue;
            };
            if found.status == AssetStatus::Deleted {
                continue;
            }
            let id = xxh3_128(found.id.as_bytes());
            if found.is_collection() {
                if self.collections.insert(id) {
                    self.waiting.push_back(CollectionId(found.id));
                }
            } else if found.is_asset() && self.assets.insert(id) {
                return Ok(Some(found));
            }
        }
    }
}

impl From<&Found> for AssetId {
    fn from(found: &Found) -> Self {
        Self(found.id.clone())
    }
}
