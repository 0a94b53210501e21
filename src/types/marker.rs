//! The marker: the name longhaul gives a file in the other system, derived, never random.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Sha256Digest;

/// What a file is within its item.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// The master itself.
    Master,
    /// The folder that holds an item of many files.
    Folder,
    /// One numbered segment of a master too large for the destination (numbered from 1).
    Segment(u32),
    /// The manifest that joins the segments.
    Join,
    /// The metadata sidecar.
    Metadata,
    /// The rights sidecar.
    Rights,
    /// A paper that proves rights: filed once, whoever needs it.
    Paper,
}

impl Role {
    /// The role's name in the ledger and in the marker's fields.
    pub fn name(&self) -> String {
        match self {
            Self::Master => "master".into(),
            Self::Folder => "folder".into(),
            Self::Segment(number) => format!("segment-{number}"),
            Self::Join => "join".into(),
            Self::Metadata => "metadata".into(),
            Self::Rights => "rights".into(),
            Self::Paper => "paper".into(),
        }
    }

    /// The role with that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "master" => Self::Master,
            "folder" => Self::Folder,
            "join" => Self::Join,
            "metadata" => Self::Metadata,
            "rights" => Self::Rights,
            "paper" => Self::Paper,
            other => Self::Segment(other.strip_prefix("segment-")?.parse().ok()?),
        })
    }
}

/// The facts a marker is derived from: no validator, no folder, no digest, so it is the same on
/// any machine and after total loss of the ledger, and known before the first byte.
#[derive(Clone, Debug)]
pub struct MarkerFields<'a> {
    /// The configured name of the Content Server instance.
    pub instance: &'a str,
    /// The iconik system domain.
    pub domain: &'a str,
    /// The asset's id.
    pub asset: &'a str,
    /// The asset version's id.
    pub version: &'a str,
    /// The format's id.
    pub format: &'a str,
    /// The file's id; for [`Role::Folder`] the file set's.
    pub file: &'a str,
    /// What the file is.
    pub role: &'a Role,
}

/// 26 characters of lower-case base32: the first 16 bytes of a SHA-256 over [`MarkerFields`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Marker(String);

const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
const MARKER_LEN: usize = 26;

impl Marker {
    /// Derives the marker of a file.
    pub fn derive(fields: &MarkerFields<'_>) -> Self {
        let mut hasher = Sha256::new();
        let role = fields.role.name();
        for field in [
            "lh1",
            fields.instance,
            fields.domain,
            fields.asset,
            fields.version,
            fields.format,
            fields.file,
            &role,
        ] {
            hasher.update((field.len() as u64).to_be_bytes());
            hasher.update(field.as_bytes());
        }
        Self(base32(&hasher.finalize()[..16]))
    }

    /// The marker's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Base32 of RFC 4648 in lower case, without padding.
fn base32(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(5) * 8);
    let (mut buffer, mut bits) = (0u32, 0u32);
    for &byte in bytes {
        buffer = (buffer << 8) | u32::from(byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            text.push(char::from(ALPHABET[(buffer >> bits & 31) as usize]));
        }
    }
    if bits > 0 {
        text.push(char::from(ALPHABET[(buffer << (5 - bits) & 31) as usize]));
    }
    text
}

impl fmt::Display for Marker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Marker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Marker({})", self.0)
    }
}

/// A text that is no marker.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a marker (26 characters of a-z and 2-7)")]
pub struct ParseMarkerError(String);

impl FromStr for Marker {
    type Err = ParseMarkerError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() == MARKER_LEN && text.bytes().all(|b| ALPHABET.contains(&b)) {
            Ok(Self(text.to_owned()))
        } else {
            Err(ParseMarkerError(text.chars().take(60).collect()))
        }
    }
}

impl TryFrom<String> for Marker {
    type Error = ParseMarkerError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Marker> for String {
    fn from(marker: Marker) -> Self {
        marker.0
    }
}

/// What longhaul writes into the description of a version: `lh1 <marker> sha256=<hex>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionNote {
    /// Whose version this is.
    pub marker: Marker,
    /// The content's digest, once known.
    pub sha256: Option<Sha256Digest>,
}

impl VersionNote {
    /// Finds a note at the start of a description; anything after it is left to people.
    pub fn parse(description: &str) -> Option<Self> {
        let mut words = description.split_whitespace();
        if words.next()? != "lh1" {
            return None;
        }
        let marker = words.next()?.parse().ok()?;
        let sha256 = words.find_map(|word| word.strip_prefix("sha256=")?.parse().ok());
        Some(Self { marker, sha256 })
    }
}

impl fmt::Display for VersionNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "lh1 {}", self.marker)?;
        match &self.sha256 {
            Some(sha256) => write!(f, " sha256={sha256}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields<'a>(file: &'a str, role: &'a Role) -> MarkerFields<'a> {
        MarkerFields {
            instance: "cs",
            domain: "d",
            asset: "a",
            version: "v",
            format: "f",
            file,
            role,
        }
    }

    #[test]
    fn a_marker_is_the_same_on_every_machine() {
        let marker = Marker::derive(&fields("file", &Role::Master));
        assert_eq!(marker.as_str().len(), MARKER_LEN);
        assert_eq!(
            marker.as_str(),
            GOLDEN,
            "markers already filed would no longer be found"
        );
        assert_eq!(marker.as_str().parse(), Ok(marker.clone()));
    }

    const GOLDEN: &str = "kgtw4zv5p724huuwb66wovo5pu";

    #[test]
    fn every_field_counts_and_lengths_keep_them_apart() {
        let master = Marker::derive(&fields("file", &Role::Master));
        assert_ne!(master, Marker::derive(&fields("file", &Role::Metadata)));
        let shifted = MarkerFields {
            asset: "av",
            version: "",
            ..fields("file", &Role::Master)
        };
        assert_ne!(master, Marker::derive(&shifted));
    }

    #[test]
    fn base32_follows_the_published_vectors() {
        assert_eq!(base32(b"foobar"), "mzxw6ytboi");
        assert_eq!(base32(b"f"), "my");
    }

    #[test]
    fn a_note_is_found_again_and_a_persons_words_are_not_one() {
        let note = VersionNote {
            marker: Marker::derive(&fields("file", &Role::Master)),
            sha256: Some(Sha256Digest([7; 32])),
        };
        assert_eq!(VersionNote::parse(&note.to_string()), Some(note.clone()));
        assert_eq!(
            VersionNote::parse(&format!("{note} checked by Ann")),
            Some(note.clone())
        );
        assert!(note.to_string().len() <= 255);
        assert_eq!(VersionNote::parse("final cut"), None);
        assert_eq!(VersionNote::parse("lh1 short"), None);
    }

    #[test]
    fn roles_round_trip_through_their_names() {
        for role in [
            Role::Master,
            Role::Folder,
            Role::Segment(12),
            Role::Join,
            Role::Metadata,
            Role::Rights,
            Role::Paper,
        ] {
            assert_eq!(Role::from_name(&role.name()), Some(role));
        }
        assert_eq!(Role::from_name("segment-x"), None);
    }
}
