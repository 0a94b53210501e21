//! Documents that travel with a master, and the field mapping.
//!
//! Pure functions: facts in, bytes out. The same facts always give the same bytes (sorted members,
//! no time of writing), because a document's digest says whether it has to be filed again. Signed
//! addresses are never written.

pub mod mapping;
mod metadata;

pub use metadata::{
    AssetFacts, CollectionFacts, FieldFacts, FileFacts, FormatFacts, MASTER_SHA256,
    MetadataSidecar, PersonFacts, SCHEMA, VersionFacts, ViewFacts, metadata_name,
    with_master_digest,
};
