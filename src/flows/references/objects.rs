//! What documents are shown at: collections and assets.

use std::collections::{BTreeMap, BTreeSet};

use futures::TryStreamExt as _;

use super::{At, Decision, MOST, Outcome, References, Rule};
use crate::flows::Error;
use crate::iconik::{AssetStatus, CollectionStatus};
use crate::types::{AssetId, CollectionId, Failure, NodeId, Reason};

/// What documents are shown at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Object {
    Collection(CollectionId),
    Asset(AssetId),
}

impl Object {
    pub(super) fn id(&self) -> &str {
        match self {
            Self::Collection(id) => id.as_str(),
            Self::Asset(id) => id.as_str(),
        }
    }

    pub(super) fn decision(&self, rule: &str, node: Option<NodeId>, outcome: Outcome) -> Decision {
        let (collection, asset) = match self {
            Self::Collection(id) => (Some(id.clone()), None),
            Self::Asset(id) => (None, Some(id.clone())),
        };
        Decision {
            rule: rule.to_owned(),
            collection,
            asset,
            node,
            title: String::new(),
            outcome,
            why: String::new(),
        }
    }
}

impl std::fmt::Display for Object {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Collection(id) => write!(f, "collection {id}"),
            Self::Asset(id) => write!(f, "asset {id}"),
        }
    }
}

/// What the rules were followed for.
#[derive(Default)]
pub(super) struct Followed<'r> {
    /// Objects with a rule each.
    pub(super) objects: BTreeSet<(String, &'r str)>,
    /// Rules of which it is not known what they are for.
    pub(super) unknown: BTreeSet<&'r str>,
}

impl Followed<'_> {
    pub(super) fn has(&self, object: &str, rule: &str) -> bool {
        self.unknown.contains(rule) || self.objects.contains(&(object.to_owned(), rule))
    }
}

impl References<'_> {
    /// What a rule is for; with the collection that could not be looked into.
    pub(super) async fn objects(&self, rule: &Rule) -> Result<BTreeSet<Object>, (Object, Error)> {
        let collections = rule.collections.iter().cloned().map(Object::Collection);
        let assets = rule.assets.iter().cloned().map(Object::Asset);
        let mut objects: BTreeSet<Object> = collections.chain(assets).collect();
        for collection in &rule.assets_of {
            let from = || Object::Collection(collection.clone());
            let mut found = self.systems.iconik.walk(collection);
            loop {
                match found.try_next().await {
                    Ok(Some(found)) if found.is_own_asset() => {
                        objects.insert(Object::Asset(AssetId(found.id)));
                    }
                    Ok(Some(_)) => {}
                    Ok(None) => break,
                    Err(error) => return Err((from(), error.into())),
                }
                if objects.len() > MOST {
                    let what = format!("is for more than {MOST} objects; narrow it down");
                    return Err((from(), Failure::item(Reason::Other, what).into()));
                }
            }
            // The look into it may have failed before.
            let at = At {
                rule: &rule.name,
                object: &from(),
            };
            self.settle(&at).await.map_err(|error| (from(), error))?;
        }
        Ok(objects)
    }

    /// An object's values by field, and its title; nothing for what this flow made itself.
    pub(super) async fn values(
        &self,
        object: &Object,
    ) -> Result<Option<BTreeMap<String, String>>, Error> {
        let iconik = &self.systems.iconik;
        let gone = || {
            Failure::item(
                Reason::Other,
                format!("{object} is in iconik's recycle bin"),
            )
        };
        let (title, metadata) = match object {
            Object::Collection(id) => {
                let found = iconik.collection(id).await?;
                if found.status == CollectionStatus::Deleted {
                    return Err(gone().into());
                }
                let metadata = iconik.collection_metadata(&found).await?;
                (found.title, metadata)
            }
            Object::Asset(id) => {
                let found = iconik.asset(id).await?;
                if found.status == AssetStatus::Deleted {
                    return Err(gone().into());
                }
                if found.is_reference() {
                    return Ok(None);
                }
                let metadata = iconik.metadata_of(&found, None).await?;
                (Some(found.title), metadata)
            }
        };
        let mut values: BTreeMap<String, String> = metadata
            .flat()
            .into_iter()
            .filter_map(|(name, values)| Some((name.to_owned(), values.into_iter().next()?)))
            .collect();
        if let Some(title) = title {
            values.insert("title".to_owned(), title);
        }
        Ok(Some(values))
    }
}
