//! Identifiers as newtypes: two ids cannot be swapped.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! text_id {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl $name {
            /// The id as the other system wrote it.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(id: &str) -> Self {
                Self(id.to_owned())
            }
        }

        impl From<String> for $name {
            fn from(id: String) -> Self {
                Self(id)
            }
        }
    )+};
}

macro_rules! number_id {
    ($($(#[$doc:meta])* $name:ident($inner:ty)),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )+};
}

text_id! {
    /// An iconik asset.
    AssetId,
    /// A version of an iconik asset.
    VersionId,
    /// An iconik format: one logical rendition of a version.
    FormatId,
    /// An iconik file set: one copy of a format on one storage.
    FileSetId,
    /// An iconik file.
    FileId,
    /// An iconik storage.
    StorageId,
    /// An iconik collection.
    CollectionId,
    /// An iconik job.
    JobId,
    /// An iconik metadata view.
    ViewId,
    /// The key of a Content Server upload session. It grants access: never log it.
    UploadKey,
}

number_id! {
    /// A Content Server node.
    NodeId(i64),
    /// The number of a document version; counts 1, 2, 3 … and is never reused.
    VersionNumber(i64),
    /// One command's work, as the ledger numbers it.
    RunId(i64),
    /// One asset version to file, as the ledger numbers it.
    ItemId(i64),
    /// One file of an item, as the ledger numbers it: one master moving to one version.
    TransferId(i64),
}
