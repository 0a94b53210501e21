//! What a package is made of, as it is kept in the ledger between runs.

use std::collections::{BTreeMap, HashSet};

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::place::Container;
use crate::sidecar::campaign::{Approval, Exception, Kind, LeftOut, Release, SourceReference};
use crate::sidecar::mhl::{self, Digests};
use crate::sidecar::premis::EventKind;
use crate::types::{ByteCount, CollectionId, NodeId, ProofLevel, Sha256Digest, VersionNumber};

/// A file of the package that Content Server holds elsewhere: a master, an edit decision record
/// or a sidecar. Its path never names other content: that gets a path of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Payload {
    /// Its path in the bag.
    pub path: String,
    /// What it is.
    pub kind: Kind,
    /// Bytes.
    pub size: ByteCount,
    /// Its digest.
    pub sha256: Sha256Digest,
    /// How far it is proved.
    pub level: ProofLevel,
    /// Media type.
    pub mime: String,
    /// The asset in iconik.
    pub asset: String,
    /// The version of the asset; empty in what was kept before it was noted.
    #[serde(default)]
    pub asset_version: String,
    /// The file in iconik; empty for documents about one.
    pub file: String,
    /// The document; the folder of a split master that is listed whole.
    pub node: NodeId,
    /// Its version; none for a folder.
    pub version: Option<VersionNumber>,
    /// The digests of a fixity history, when what is stored was read for them.
    pub digests: Option<Digests>,
    /// When it was proved.
    pub at: Timestamp,
    /// Whether it is final, and who said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<Release>,
    /// The split master that it is a part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<Part>,
}

impl Payload {
    /// The asset and the version of it.
    pub fn of_version(&self) -> (&str, &str) {
        (&self.asset, &self.asset_version)
    }

    /// Whether it holds bytes of the split master that it is a part of; the other part is the
    /// manifest that joins them.
    pub fn is_segment(&self) -> bool {
        self.part.is_some() && self.kind != Kind::Metadata
    }
}

/// A split master, whose parts in order of their names are its content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Its path; its parts are in a folder of that name.
    pub whole: String,
    /// Its digest.
    pub sha256: Sha256Digest,
    /// Its bytes.
    pub size: ByteCount,
    /// The folder in Content Server.
    pub node: NodeId,
}

/// Something that happened to a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Happened {
    /// Derived from the journal's line.
    pub id: uuid::Uuid,
    /// What.
    pub kind: EventKind,
    /// When.
    pub at: Timestamp,
    /// More.
    pub detail: String,
    /// The file's path in the bag.
    pub path: String,
}

/// A remark of a reviewer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comment {
    /// The asset's title.
    pub subject: String,
    /// Who.
    pub by: String,
    /// When, if that is known.
    pub at: Option<Timestamp>,
    /// What.
    pub text: String,
    /// Whether it is dealt with.
    pub resolved: bool,
}

/// The licence of an asset, as its rights sidecar says it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Licence {
    /// The policy's name.
    pub policy: String,
    /// The asset in iconik.
    pub asset: String,
    /// The sidecar's path in the bag.
    pub sidecar: String,
    /// What it says, in words.
    pub says: String,
    /// Why no licence is known, where iconik tells of none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unknown: Option<String>,
    /// What is forbidden, in words.
    pub forbidden: Vec<String>,
    /// Whether anything is permitted.
    pub permits: bool,
    /// The first day on which anything is.
    pub begins: Option<Date>,
    /// The last.
    pub ends: Option<Date>,
    /// The papers that prove it.
    pub papers: Vec<Proof>,
}

/// A paper that proves a licence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// What it is: `licence`, `talent-release`, …
    pub role: String,
    /// Its IRI.
    pub id: String,
    /// Its path in the bag; none when it could not be read.
    pub path: Option<String>,
}

/// Everything that is said of a campaign, apart from when and by which run it is said.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Facts {
    /// The collection's title.
    pub title: String,
    /// The files.
    pub payload: Vec<Payload>,
    /// What happened to them.
    pub events: Vec<Happened>,
    /// What the edits use.
    pub references: Vec<SourceReference>,
    /// Who released what.
    pub approvals: Vec<Approval>,
    /// What people said about it.
    pub comments: Vec<Comment>,
    /// What may be done with it.
    #[serde(default)]
    pub licences: Vec<Licence>,
    /// What is missing.
    pub exceptions: Vec<Exception>,
    /// What is no part of it, and no gap.
    #[serde(default)]
    pub left_out: Vec<LeftOut>,
    /// Items that failed.
    pub failed: u64,
    /// Items that wait for a person.
    pub held: u64,
}

impl Facts {
    /// The split masters by path, each with its parts in order.
    pub fn split_masters(&self) -> BTreeMap<&str, (&Part, Vec<&Payload>)> {
        let mut all: BTreeMap<&str, (&Part, Vec<&Payload>)> = BTreeMap::new();
        for file in &self.payload {
            if let Some(part) = &file.part {
                let whole = all.entry(&part.whole).or_insert((part, Vec::new()));
                whole.1.push(file);
            }
        }
        for (_, files) in all.values_mut() {
            files.sort_by(|a, b| a.path.cmp(&b.path));
        }
        all
    }

    /// What is missing: exceptions and source references that no asset of the package matches.
    pub fn gaps(&self) -> usize {
        let unknown = |reference: &&SourceReference| reference.iconik_asset.is_none();
        self.exceptions.len() + self.references.iter().filter(unknown).count()
    }
}

/// A paper that is filed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FiledPaper {
    /// The document.
    pub node: NodeId,
    /// Its version.
    pub version: VersionNumber,
    /// How far it is proved.
    pub level: ProofLevel,
}

/// A manifest of the fixity history. It never changes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Generation {
    /// Its file name.
    pub name: String,
    /// Its text.
    pub xml: String,
    /// Paths in it.
    pub paths: Vec<String>,
}

/// A package as the ledger keeps it: from this alone its papers are made, byte for byte the same
/// each time.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Kept {
    /// Its name among all packages; none in one that was begun before they had names.
    #[serde(default)]
    pub id: Option<String>,
    /// The folder in Content Server.
    pub folder: Option<NodeId>,
    /// What that is.
    #[serde(default)]
    pub container: Container,
    /// Digest of what the papers say apart from times, run and journal head.
    pub fingerprint: String,
    /// When the present papers were begun.
    pub created: Timestamp,
    /// The run that began them.
    pub run: String,
    /// The journal's head then.
    pub head: String,
    /// Who made it, as packages say it.
    pub organization: Option<String>,
    /// Address of Content Server.
    pub address: String,
    /// What they speak of.
    pub facts: Facts,
    /// The fixity history.
    pub generations: Vec<Generation>,
    /// Where its documents are, by path: the papers that are filed after it name them.
    #[serde(default)]
    pub filed: BTreeMap<String, FiledPaper>,
    /// Whether all papers of this state are filed.
    pub complete: bool,
}

impl Kept {
    /// The paths that the fixity history knows.
    pub fn in_history(&self) -> HashSet<&str> {
        let all = self.generations.iter();
        all.flat_map(|generation| &generation.paths)
            .map(String::as_str)
            .collect()
    }

    /// Appends a generation over files that were measured.
    pub fn add_generation(&mut self, files: Vec<mhl::Hashed>, comment: String, in_place: bool) {
        if files.is_empty() {
            return;
        }
        let number = self.generations.len() + 1;
        let paths = files
            .iter()
            .map(|file| format!("data/{}", file.path))
            .collect();
        let manifest = mhl::Manifest {
            created: self.created,
            hostname: host(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            comment,
            in_place,
            files,
        };
        self.generations.push(Generation {
            name: mhl::manifest_name(number, "data", self.created),
            xml: manifest.to_xml(),
            paths,
        });
    }
}

/// The name of this machine.
fn host() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}

/// Where a package is kept beside the ledger's rows.
pub fn key_of(collection: &CollectionId) -> String {
    format!("package of collection {collection}")
}
