//! What lies in the simulated iconik account: campaigns of assets, by name or built by a test.
//!
//! A [`Campaign`] is a description; `iconik` turns it into rows and `bucket` into objects. The
//! named ones hold every shape the migration has to cope with ([`small`]), content that does not
//! match what is said about it ([`faulty`]), edits with their sources ([`edits`]), a
//! whole campaign at its end ([`season`]), awkward names ([`names`]), one big master ([`one`]) or a library of any size
//! whose rows are worked out when asked for ([`library`]).

mod named;
mod season;

pub use named::{edits, faulty, library, named, names, one, small};
pub use season::season;

use bytes::Bytes;
use serde_json::{Value, json};

use super::content_server::WorkflowMap;
use super::masters::Master;
use crate::types::ByteCount;

/// A storage of the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StorageKind {
    /// A cloud bucket; the ordinary place.
    Cloud,
    /// A second bucket in another region.
    SecondCloud,
    /// On premises behind a gateway: no signed addresses.
    OnPremise,
    /// A bucket of purpose `ARCHIVE`, whose objects are in Glacier.
    Archive,
}

impl StorageKind {
    /// Every storage, in the order of their ids.
    pub const ALL: [Self; 4] = [
        Self::Cloud,
        Self::SecondCloud,
        Self::OnPremise,
        Self::Archive,
    ];
}

/// What iconik quotes as a file's checksum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Checksum {
    /// Nothing, as for most large new files.
    Absent,
    /// The MD5 of the content.
    Md5,
    /// A multipart entity tag: an MD5 with a dash and a number.
    Multipart,
    /// An MD5 of other content.
    Wrong,
}

/// One file of a file set.
#[derive(Clone, Debug)]
pub struct FileSpec {
    /// The user's name for it.
    pub original_name: String,
    /// The name in the storage.
    pub name: String,
    /// Folder, relative to the storage.
    pub directory: String,
    /// `FILE`, `DIRECTORY` or `SYMLINK`.
    pub kind: &'static str,
    /// `CLOSED`, `GROWING`, …
    pub status: &'static str,
    /// The bytes in the bucket.
    pub master: Master,
    /// The size that iconik states; the true one when absent.
    pub stated_size: Option<ByteCount>,
    /// The checksum that iconik states.
    pub checksum: Checksum,
    /// The object is missing from the bucket.
    pub lost: bool,
    /// Each signed address serves so many bytes and then expires.
    pub link_serves: Option<u64>,
    /// The bucket sends no entity tag, or a weak one.
    pub etag: Etag,
    /// The bucket ignores Range.
    pub no_ranges: bool,
}

/// The entity tag of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Etag {
    /// A strong one.
    Strong,
    /// A weak one.
    Weak,
    /// None.
    Absent,
}

impl FileSpec {
    /// A complete file with this content.
    pub fn new(name: &str, master: Master) -> Self {
        Self {
            original_name: name.to_owned(),
            name: name.to_owned(),
            directory: String::new(),
            kind: "FILE",
            status: "CLOSED",
            master,
            stated_size: None,
            checksum: Checksum::Absent,
            lost: false,
            link_serves: None,
            etag: Etag::Strong,
            no_ranges: false,
        }
    }

    /// A complete file of generated content.
    pub fn generated(name: &str, seed: u64, size: ByteCount) -> Self {
        Self::new(name, Master::generated(seed, size))
    }

    /// A complete file with real content (a clip embedded in the program).
    pub fn real(name: &str, content: &'static [u8]) -> Self {
        Self::new(name, Master::literal(Bytes::from_static(content))).checksum(Checksum::Md5)
    }

    /// In this folder of the storage.
    #[must_use]
    pub fn within(mut self, directory: &str) -> Self {
        directory.clone_into(&mut self.directory);
        self
    }

    /// Stored under another name than the user's.
    #[must_use]
    pub fn stored_as(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// With this checksum stated.
    #[must_use]
    pub fn checksum(mut self, checksum: Checksum) -> Self {
        self.checksum = checksum;
        self
    }

    /// In this state.
    #[must_use]
    pub fn status(mut self, status: &'static str) -> Self {
        self.status = status;
        self
    }

    /// With any other change.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}

/// One copy of a format on a storage.
#[derive(Clone, Debug)]
pub struct FileSetSpec {
    /// Where it lies.
    pub storage: StorageKind,
    /// Its top folder.
    pub base_dir: String,
    /// Its files.
    pub files: Vec<FileSpec>,
    /// Whether it is an archive copy.
    pub archive: bool,
    /// Whether rows may stand for numbered files (2026).
    pub many_files: bool,
}

impl FileSetSpec {
    /// Files on the ordinary bucket.
    pub fn new(files: Vec<FileSpec>) -> Self {
        Self {
            storage: StorageKind::Cloud,
            base_dir: "/".to_owned(),
            files,
            archive: false,
            many_files: false,
        }
    }

    /// On this storage; the archive storage makes it an archive copy.
    #[must_use]
    pub fn on(mut self, storage: StorageKind) -> Self {
        self.storage = storage;
        self.archive = storage == StorageKind::Archive;
        self
    }

    /// With this top folder.
    #[must_use]
    pub fn base(mut self, base_dir: &str) -> Self {
        base_dir.clone_into(&mut self.base_dir);
        self
    }
}

/// A rendition of a version.
#[derive(Clone, Debug)]
pub struct FormatSpec {
    /// `ORIGINAL`, `PPRO_PROXY`, …
    pub name: String,
    /// Its copies.
    pub sets: Vec<FileSetSpec>,
}

impl FormatSpec {
    /// The format of masters.
    pub fn original(sets: Vec<FileSetSpec>) -> Self {
        Self {
            name: "ORIGINAL".to_owned(),
            sets,
        }
    }
}

/// A comment on the timeline.
#[derive(Clone, Debug)]
pub struct CommentSpec {
    /// Its text.
    pub text: String,
    /// From, in milliseconds.
    pub from_ms: u64,
    /// An answer to the comment before.
    pub reply: bool,
    /// Written by a guest of a share, known by e-mail address only.
    pub guest: Option<String>,
}

/// An asset.
#[derive(Clone, Debug)]
pub struct AssetSpec {
    /// Its title.
    pub title: String,
    /// `ASSET`, `SEQUENCE`, `LINK`, …
    pub kind: &'static str,
    /// Soft-deleted.
    pub deleted: bool,
    /// The formats of each version, oldest first.
    pub versions: Vec<Vec<FormatSpec>>,
    /// Positions of the collections it is in.
    pub collections: Vec<usize>,
    /// Metadata values by field.
    pub metadata: Vec<(String, Vec<String>)>,
    /// Further fields of the asset row.
    pub fields: Value,
    /// Relations to other assets: their kind, and the other's position.
    pub relations: Vec<(&'static str, usize)>,
    /// For a subclip: position of the parent and range in milliseconds.
    pub subclip: Option<(usize, u64, u64)>,
    /// Approval: status of the request and the votes.
    pub approval: Option<(&'static str, Vec<&'static str>)>,
    /// Comments, in order.
    pub comments: Vec<CommentSpec>,
    /// Spoken words, transcribed twice.
    pub transcript: Option<String>,
}

impl AssetSpec {
    /// An asset of one version whose original is one file set of these files.
    pub fn new(title: &str, files: Vec<FileSpec>) -> Self {
        Self {
            versions: vec![vec![FormatSpec::original(vec![FileSetSpec::new(files)])]],
            ..Self::bare(title)
        }
    }

    /// An asset of one version without formats.
    pub fn bare(title: &str) -> Self {
        Self {
            title: title.to_owned(),
            kind: "ASSET",
            deleted: false,
            versions: vec![Vec::new()],
            collections: vec![0],
            metadata: Vec::new(),
            fields: json!({}),
            relations: Vec::new(),
            subclip: None,
            approval: None,
            comments: Vec::new(),
            transcript: None,
        }
    }

    /// With a metadata value.
    #[must_use]
    pub fn value(mut self, field: &str, values: &[&str]) -> Self {
        let values = values.iter().map(|&v| v.to_owned()).collect();
        self.metadata.push((field.to_owned(), values));
        self
    }

    /// With any other change.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}

/// A collection.
#[derive(Clone, Debug)]
pub struct CollectionSpec {
    /// Its title.
    pub title: String,
    /// Positions of the collections it is in; none for a root.
    pub parents: Vec<usize>,
}

/// Assets that are worked out when asked for.
#[derive(Clone, Copy, Debug)]
pub struct LibrarySpec {
    /// How many.
    pub assets: u32,
    /// Size of each master in bytes.
    pub size: ByteCount,
}

/// Everything in the account.
#[derive(Clone, Debug)]
pub struct Campaign {
    /// Its name.
    pub name: String,
    /// Collections; the first is the one to migrate.
    pub collections: Vec<CollectionSpec>,
    /// Assets.
    pub assets: Vec<AssetSpec>,
    /// A large library in the first collection.
    pub library: Option<LibrarySpec>,
    /// Workflow maps in Content Server; who has their steps is there too.
    pub workflows: Vec<WorkflowMap>,
    /// Records classes in Content Server, by name.
    pub records_classes: Vec<String>,
    /// Sections for the settings file that publish and pack it; `<NAME>` stands for the id of that
    /// records class.
    pub settings: String,
}

impl Default for Campaign {
    fn default() -> Self {
        Self::new()
    }
}

impl Campaign {
    /// One empty collection.
    pub fn new() -> Self {
        Self::titled("campaign", "Campaign")
    }

    fn titled(name: &str, title: &str) -> Self {
        Self {
            name: name.to_owned(),
            collections: vec![CollectionSpec {
                title: title.to_owned(),
                parents: Vec::new(),
            }],
            assets: Vec::new(),
            library: None,
            workflows: Vec::new(),
            records_classes: Vec::new(),
            settings: String::new(),
        }
    }

    /// With one more asset; its position is the number of assets before it.
    #[must_use]
    pub fn asset(mut self, asset: AssetSpec) -> Self {
        self.assets.push(asset);
        self
    }

    /// With a workflow map in Content Server.
    #[must_use]
    pub fn workflow(mut self, map: WorkflowMap) -> Self {
        self.workflows.push(map);
        self
    }

    /// With one more collection inside others; its position is the number before it.
    #[must_use]
    pub fn collection(mut self, title: &str, parents: &[usize]) -> Self {
        self.collections.push(CollectionSpec {
            title: title.to_owned(),
            parents: parents.to_vec(),
        });
        self
    }
}
