//! Words everyone uses, without I/O: ids, byte ranges, sizes, digests, proof levels, failure
//! classes and the marker.

mod digest;
mod failure;
mod id;
mod marker;
mod range;
mod size;

pub use digest::{Md5Digest, ParseDigestError, Sha256Digest, Xxh3Digest};
pub use failure::{Failure, FailureClass, ProofLevel, Reason};
pub use id::{
    AssetId, CollectionId, FileId, FileSetId, FormatId, ItemId, JobId, NodeId, RunId, StorageId,
    TransferId, UploadKey, VersionId, VersionNumber, ViewId,
};
pub use marker::{Marker, MarkerFields, Role, VersionNote};
pub use range::ByteRange;
pub use size::{ByteCount, GIB, KIB, MIB, ParseSizeError, TIB, display_bytes, parse_size};
