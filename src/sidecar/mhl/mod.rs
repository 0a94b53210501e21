//! ASC MHL 2.0: the fixity history of a package's `data/` folder.
//!
//! A history is a row of manifests that never change and a chain that lists them, each with the C4
//! digest of its exact bytes. What was measured and when it was filed is the caller's to say;
//! nothing here invents a digest: a file without one of the two kinds is left out, and the caller
//! says so in the comment. What was written is read again where somebody else goes on with it.

mod read;

use std::collections::BTreeMap;

use jiff::Timestamp;
use sha2::{Digest as _, Sha512};

pub use read::{Unreadable, chain_of, digests_of};

use super::xml::Xml;
use crate::types::ByteCount;

/// The name of the chain in the folder `ascmhl`.
pub const CHAIN: &str = "ascmhl_chain.xml";
/// The folder of a history, below the one it speaks of.
pub const FOLDER: &str = "ascmhl";

/// The two digests a history keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(into = "Texts", try_from = "Texts")]
pub struct Digests {
    /// XXH3, 128 bits, seed 0.
    pub xxh128: u128,
    /// XXH64, seed 0.
    pub xxh64: u64,
}

/// The digests in hex: JSON has no numbers so large.
#[derive(serde::Serialize, serde::Deserialize)]
struct Texts {
    xxh128: String,
    xxh64: String,
}

impl From<Digests> for Texts {
    fn from(Digests { xxh128, xxh64 }: Digests) -> Self {
        Self {
            xxh128: format!("{xxh128:032x}"),
            xxh64: format!("{xxh64:016x}"),
        }
    }
}

impl TryFrom<Texts> for Digests {
    type Error = std::num::ParseIntError;

    fn try_from(texts: Texts) -> Result<Self, Self::Error> {
        Ok(Self {
            xxh128: u128::from_str_radix(&texts.xxh128, 16)?,
            xxh64: u64::from_str_radix(&texts.xxh64, 16)?,
        })
    }
}

/// Computes both in one pass.
#[derive(Clone, Default)]
pub struct Hasher {
    xxh128: xxhash_rust::xxh3::Xxh3,
    xxh64: xxhash_rust::xxh64::Xxh64,
}

impl std::fmt::Debug for Hasher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hasher").finish_non_exhaustive()
    }
}

impl Hasher {
    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.xxh128.update(bytes);
        self.xxh64.update(bytes);
    }

    /// The digests of all that came.
    pub fn digests(&self) -> Digests {
        Digests {
            xxh128: self.xxh128.digest128(),
            xxh64: self.xxh64.digest(),
        }
    }
}

impl Digests {
    /// Of bytes in memory.
    pub fn of(bytes: &[u8]) -> Self {
        let mut hasher = Hasher::default();
        hasher.update(bytes);
        hasher.digests()
    }
}

/// What a manifest says of a digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The first one of this file.
    Original,
    /// The same as before.
    Verified,
    /// Another one than before: the value is what was measured.
    Failed,
}

impl Action {
    fn as_str(self) -> &'static str {
        match self {
            Self::Original => "original",
            Self::Verified => "verified",
            Self::Failed => "failed",
        }
    }

    /// What a measured digest is, next to the one that the history holds.
    pub fn of(known: Option<Digests>, measured: Digests) -> Self {
        match known {
            None => Self::Original,
            Some(known) if known == measured => Self::Verified,
            Some(_) => Self::Failed,
        }
    }
}

/// One file of a manifest.
#[derive(Clone, Debug)]
pub struct Hashed {
    /// Relative to the scope, with `/`.
    pub path: String,
    /// Bytes.
    pub size: ByteCount,
    /// When the source says that it was changed last.
    pub modified: Option<Timestamp>,
    /// Its digests.
    pub digests: Digests,
    /// What they are.
    pub action: Action,
    /// When they were computed.
    pub at: Timestamp,
}

/// One generation.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// When it was made.
    pub created: Timestamp,
    /// The machine that did it.
    pub hostname: String,
    /// Name of the program's version.
    pub version: String,
    /// For people: the run, the proof level, what is missing.
    pub comment: String,
    /// Whether files were looked at where they are, rather than moved.
    pub in_place: bool,
    /// The files.
    pub files: Vec<Hashed>,
}

/// What no history lists.
const IGNORED: [&str; 3] = [".DS_Store", "ascmhl", "ascmhl/"];

impl Manifest {
    /// The document. Of files with the same path the first counts.
    pub fn to_xml(&self) -> String {
        let mut xml = Xml::new();
        xml.open(
            "hashlist",
            &[("version", "2.0"), ("xmlns", "urn:ASC:MHL:v2.0")],
        );
        xml.open("creatorinfo", &[]);
        xml.leaf("creationdate", &second(self.created));
        xml.leaf("hostname", &self.hostname);
        xml.leaf_with("tool", &[("version", &self.version)], "longhaul");
        if !self.comment.is_empty() {
            xml.leaf("comment", &self.comment);
        }
        xml.close();
        xml.open("processinfo", &[]);
        let process = if self.in_place {
            "in-place"
        } else {
            "transfer"
        };
        xml.leaf("process", process);
        xml.open("ignore", &[]);
        for pattern in IGNORED {
            xml.leaf("pattern", pattern);
        }
        xml.close();
        xml.close();
        xml.open("hashes", &[]);
        let mut files: BTreeMap<&str, &Hashed> = BTreeMap::new();
        for file in &self.files {
            files.entry(&file.path).or_insert(file);
        }
        for (path, file) in files {
            xml.open("hash", &[]);
            let size = file.size.to_string();
            let modified = file.modified.map(second);
            let mut attributes = vec![("size", size.as_str())];
            if let Some(modified) = &modified {
                attributes.push(("lastmodificationdate", modified));
            }
            xml.leaf_with("path", &attributes, path);
            let at = second(file.at);
            let attributes = [("action", file.action.as_str()), ("hashdate", &at)];
            let Digests { xxh128, xxh64 } = file.digests;
            // In order of their names, as the schema wants them.
            xml.leaf_with("xxh128", &attributes, &format!("{xxh128:032x}"));
            xml.leaf_with("xxh64", &attributes, &format!("{xxh64:016x}"));
            xml.close();
        }
        xml.finish()
    }
}

/// The name of generation `number` (from 1) of the scope's history.
pub fn manifest_name(number: usize, scope: &str, started: Timestamp) -> String {
    let at = started.strftime("%Y-%m-%d_%H%M%SZ");
    format!("{number:04}_{scope}_{at}.mhl")
}

/// The chain over the manifests' names and bytes, oldest first.
pub fn chain(generations: &[(String, String)]) -> String {
    let mut xml = Xml::new();
    xml.open(
        "ascmhldirectory",
        &[("xmlns", "urn:ASC:MHL:DIRECTORY:v2.0")],
    );
    for ((name, c4), number) in generations.iter().zip(1_usize..) {
        xml.open("hashlist", &[("sequencenr", &number.to_string())]);
        xml.leaf("path", name);
        xml.leaf("c4", c4);
        xml.close();
    }
    xml.finish()
}

/// C4 (SMPTE ST 2114): SHA-512 as a number in base 58.
pub fn c4(bytes: &[u8]) -> String {
    c4_of(Sha512::digest(bytes).into())
}

fn c4_of(digest: [u8; 64]) -> String {
    const ALPHABET: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
    let mut number = digest;
    let mut digits = [b'1'; 88];
    for digit in digits.iter_mut().rev() {
        let mut rest = 0_u32;
        for byte in &mut number {
            let value = (rest << 8) | u32::from(*byte);
            let [.., quotient] = (value / 58).to_be_bytes();
            *byte = quotient;
            rest = value % 58;
        }
        *digit = usize::try_from(rest)
            .ok()
            .and_then(|rest| ALPHABET.get(rest))
            .copied()
            .unwrap_or(b'1');
    }
    format!("c4{}", String::from_utf8_lossy(&digits))
}

/// To the second, in UTC.
fn second(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Manifest {
        Manifest {
            created: "2026-03-02T18:22:41Z".parse().unwrap(),
            hostname: "mover-01".into(),
            version: "1.0.0".into(),
            comment: "run ca-2026-0113, level read-back".into(),
            in_place: false,
            files: vec![Hashed {
                path: "masters/TV30.mov".into(),
                size: 3,
                modified: Some("2026-02-27T09:14:00Z".parse().unwrap()),
                digests: Digests::of(b"abc"),
                action: Action::Original,
                at: "2026-03-02T18:22:41.5Z".parse().unwrap(),
            }],
        }
    }

    #[test]
    fn digests_are_those_that_other_tools_compute() {
        let of = |bytes: &[u8]| {
            let Digests { xxh128, xxh64 } = Digests::of(bytes);
            (format!("{xxh128:032x}"), format!("{xxh64:016x}"), c4(bytes))
        };
        assert_eq!(
            of(b""),
            (
                "99aa06d3014798d86001c324468d497f".into(),
                "ef46db3751d8e999".into(),
                "c459dsjfscH38cYeXXYogktxf4Cd9ibshE3BHUo6a58hBXmRQdZrAkZzsWcbWtDg5oQstpDuni4Hirj75GEmTc1sFT".into()
            )
        );
        assert_eq!(
            of(b"abc"),
            (
                "06b05ab6733a618578af5f94892f3950".into(),
                "44bc2cf5ad770999".into(),
                "c45S4rnaTNWonxss1u8LzsaJdEph1AJhWUF4sh2waXKMsutyfAxg4ybUeuXVWS9HdNcEypmeXn8FZGonD4w1rj9DZp".into()
            )
        );
    }

    #[test]
    fn c4_holds_the_smallest_and_the_largest_number() {
        assert_eq!(c4_of([0; 64]), format!("c4{}", "1".repeat(88)));
        assert_eq!(
            c4_of([255; 64]),
            "c467rpwLCuS5DGA8KGZXKsVQ7dnPb9goRLoKfgGbLfQg9WoLUgNY77E2jT11fem3coV9nAkguBACzrU1iyZM4B8roQ"
        );
    }

    #[test]
    fn a_manifest_reads_as_the_standard_writes_it() {
        assert_eq!(
            example().to_xml(),
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>
<hashlist version=\"2.0\" xmlns=\"urn:ASC:MHL:v2.0\">
  <creatorinfo>
    <creationdate>2026-03-02T18:22:41Z</creationdate>
    <hostname>mover-01</hostname>
    <tool version=\"1.0.0\">longhaul</tool>
    <comment>run ca-2026-0113, level read-back</comment>
  </creatorinfo>
  <processinfo>
    <process>transfer</process>
    <ignore>
      <pattern>.DS_Store</pattern>
      <pattern>ascmhl</pattern>
      <pattern>ascmhl/</pattern>
    </ignore>
  </processinfo>
  <hashes>
    <hash>
      <path size=\"3\" lastmodificationdate=\"2026-02-27T09:14:00Z\">masters/TV30.mov</path>
      <xxh128 action=\"original\" hashdate=\"2026-03-02T18:22:41Z\">06b05ab6733a618578af5f94892f3950</xxh128>
      <xxh64 action=\"original\" hashdate=\"2026-03-02T18:22:41Z\">44bc2cf5ad770999</xxh64>
    </hash>
  </hashes>
</hashlist>
"
        );
    }

    #[test]
    fn the_chain_lists_generations_in_their_order() {
        let at = "2026-03-02T18:22:00Z".parse().unwrap();
        let first = manifest_name(1, "data", at);
        assert_eq!(first, "0001_data_2026-03-02_182200Z.mhl");
        let generations = [(first, c4(b"abc")), (manifest_name(2, "data", at), c4(b""))];
        let text = chain(&generations);
        let first = text.find("sequencenr=\"1\"").unwrap();
        let second = text.find("sequencenr=\"2\"").unwrap();
        assert!(first < second);
        assert!(text.contains("<path>0002_data_2026-03-02_182200Z.mhl</path>"));
    }

    #[test]
    fn what_is_measured_is_compared_with_what_is_known() {
        let (abc, empty) = (Digests::of(b"abc"), Digests::of(b""));
        assert_eq!(Action::of(None, abc), Action::Original);
        assert_eq!(Action::of(Some(abc), abc), Action::Verified);
        assert_eq!(Action::of(Some(abc), empty), Action::Failed);
    }
}
