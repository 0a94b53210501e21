//! An asset's facts as the neutral documents take them.

use std::collections::BTreeMap;

use super::{Asset, Collection, Master, Metadata};
use crate::sidecar::{
    AssetFacts, CollectionFacts, FieldFacts, FileFacts, FilingFacts, FormatFacts, MetadataSidecar,
    PersonFacts, VersionFacts, ViewFacts,
};

impl Master {
    /// The facts for this master's metadata sidecar. `collections` give titles to those of the
    /// asset's that they are about. Left to the caller: the digests of the files, and the external
    /// id, which the filing itself may write.
    pub fn describe(
        &self,
        domain: &str,
        asset: &Asset,
        metadata: &Metadata,
        collections: &[Collection],
    ) -> MetadataSidecar {
        let created_by = asset.created_by_user_info.as_ref().map_or_else(
            || {
                asset.created_by_user.as_ref().map(|id| PersonFacts {
                    id: Some(id.clone()),
                    name: None,
                })
            },
            |person| {
                Some(PersonFacts {
                    id: person.id.clone().or_else(|| asset.created_by_user.clone()),
                    name: Some(person.to_string()),
                })
            },
        );
        MetadataSidecar {
            domain: domain.to_owned(),
            asset: AssetFacts {
                id: asset.id.to_string(),
                title: asset.title.clone(),
                kind: asset.kind.as_str().to_owned(),
                category: asset.category.clone(),
                external_id: None,
                created: asset.date_created,
                created_by,
                imported: asset.date_imported,
            },
            version: VersionFacts {
                id: self.version.to_string(),
                number: self.version_number,
                created: self.date_created,
            },
            format: FormatFacts {
                id: self.format.to_string(),
                name: "ORIGINAL".to_owned(),
            },
            files: self
                .files
                .iter()
                .map(|file| FileFacts {
                    id: file.id.to_string(),
                    name: file.name.clone(),
                    folder: file.dir.clone(),
                    size: file.size,
                    sha256: None,
                    md5: file.md5,
                    created: file.date_created,
                    modified: file.date_modified,
                })
                .collect(),
            collections: self
                .collections
                .iter()
                .map(|id| CollectionFacts {
                    id: id.to_string(),
                    title: collections
                        .iter()
                        .find(|collection| collection.id == *id)
                        .and_then(|collection| collection.title.clone()),
                })
                .collect(),
            views: metadata
                .views
                .iter()
                .map(|view| {
                    let fields = view
                        .fields
                        .iter()
                        .map(|field| {
                            let facts = FieldFacts {
                                label: field.label.clone(),
                                kind: field.kind.clone(),
                                values: field.values.clone(),
                            };
                            (field.name.clone(), facts)
                        })
                        .collect();
                    let facts = ViewFacts {
                        name: view.name.clone(),
                        fields,
                    };
                    (view.id.to_string(), facts)
                })
                .collect(),
            hidden: metadata.hidden.clone(),
            filing: FilingFacts::default(),
            shared: BTreeMap::new(),
            folder: self.many,
        }
    }
}
