//! Documents that travel with masters: a sidecar beside each, the papers of a package, and the
//! field mapping.
//!
//! Pure functions: facts in, bytes out. The same facts always give the same bytes (sorted members,
//! no time of writing but one that is a fact), because a document's digest says whether it has to
//! be filed again. Signed addresses are never written.
//!
//! | Part | Format |
//! |---|---|
//! | `metadata` | the metadata sidecar, JSON |
//! | [`bagit`] | BagIt 1.0 |
//! | [`mhl`] | ASC MHL 2.0 |
//! | [`premis`] | PREMIS 3.0 |
//! | [`campaign`] | `longhaul-campaign/1` and the summary for people |
//! | [`rights`] | ODRL 2.2 in JSON-LD, and whether a use is allowed |
//! | [`edit`] | CMX 3600 and OpenTimelineIO, read |
//! | [`mapping`] | which field of the source fills which attribute |

pub mod bagit;
pub mod campaign;
pub mod edit;
pub mod mapping;
mod metadata;
pub mod mhl;
pub mod premis;
pub mod rights;
mod xml;

pub use xml::escaped;

pub use metadata::{
    AssetFacts, CollectionFacts, FieldFacts, FileFacts, FilingFacts, FormatFacts, MASTER_SHA256,
    MetadataSidecar, PersonFacts, SCHEMA, VersionFacts, ViewFacts, metadata_name,
    with_master_digest,
};
