//! A fixity history, read: its chain, and the digests that its manifests hold.

use serde::Deserialize;

use super::Digests;

/// A chain or a manifest that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// It is no XML, or not that of a history.
    #[error("it is not what a fixity history looks like: {0}")]
    Xml(#[from] quick_xml::DeError),
    /// A digest is none.
    #[error("{path}: {text:?} is no digest")]
    Digest {
        /// The file.
        path: String,
        /// What stands there.
        text: String,
    },
}

#[derive(Deserialize)]
struct Directory {
    #[serde(default)]
    hashlist: Vec<Listed>,
}

#[derive(Deserialize)]
struct Listed {
    path: String,
    c4: String,
}

#[derive(Deserialize)]
struct HashList {
    #[serde(default)]
    hashes: Hashes,
}

#[derive(Default, Deserialize)]
struct Hashes {
    #[serde(default)]
    hash: Vec<Hash>,
}

#[derive(Deserialize)]
struct Hash {
    path: Text,
    xxh128: Option<Text>,
    xxh64: Option<Text>,
}

/// A text of an element with attributes.
#[derive(Deserialize)]
struct Text {
    #[serde(rename = "@action")]
    action: Option<String>,
    #[serde(rename = "$text", default)]
    text: String,
}

/// The manifests that a chain lists, oldest first: each name, and the C4 digest of its bytes.
///
/// # Errors
///
/// When it is no chain.
pub fn chain_of(xml: &str) -> Result<Vec<(String, String)>, Unreadable> {
    let directory: Directory = quick_xml::de::from_str(xml)?;
    let lists = directory.hashlist.into_iter();
    Ok(lists.map(|list| (list.path, list.c4)).collect())
}

/// The files of a manifest by path. Digests are those that stand for a file's content from then
/// on: none where one of the two is missing, or where the file was found changed.
///
/// # Errors
///
/// When it is no manifest, or a digest cannot be read.
pub fn digests_of(xml: &str) -> Result<Vec<(String, Option<Digests>)>, Unreadable> {
    let list: HashList = quick_xml::de::from_str(xml)?;
    let hashes = list.hashes.hash.into_iter();
    hashes
        .map(|hash| {
            let path = hash.path.text;
            let digests = match (hash.xxh128, hash.xxh64) {
                (Some(xxh128), Some(xxh64)) if !failed(&xxh128) && !failed(&xxh64) => {
                    Some(Digests {
                        xxh128: u128::from_str_radix(&xxh128.text, 16)
                            .map_err(|_| no_digest(&path, xxh128.text))?,
                        xxh64: u64::from_str_radix(&xxh64.text, 16)
                            .map_err(|_| no_digest(&path, xxh64.text))?,
                    })
                }
                _ => None,
            };
            Ok((path, digests))
        })
        .collect()
}

fn failed(digest: &Text) -> bool {
    digest.action.as_deref() == Some("failed")
}

fn no_digest(path: &str, text: String) -> Unreadable {
    Unreadable::Digest {
        path: path.to_owned(),
        text,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Action, Hashed, Manifest, c4, chain};
    use super::*;

    fn manifest(files: Vec<Hashed>) -> String {
        let manifest = Manifest {
            created: "2026-03-02T18:22:41Z".parse().unwrap(),
            hostname: "mover-01".into(),
            version: "1.0.0".into(),
            comment: "a <comment> & more".into(),
            in_place: false,
            files,
        };
        manifest.to_xml()
    }

    fn hashed(path: &str, action: Action) -> Hashed {
        Hashed {
            path: path.into(),
            size: 3,
            modified: None,
            digests: Digests::of(path.as_bytes()),
            action,
            at: "2026-03-02T18:22:41Z".parse().unwrap(),
        }
    }

    #[test]
    fn what_is_written_is_read_with_its_digests_and_what_changed_has_none() {
        let xml = manifest(vec![
            hashed("masters/A & <B>  \"ü\".mov", Action::Original),
            hashed("masters/changed.mov", Action::Failed),
            hashed("masters/seen.mov", Action::Verified),
        ]);
        let path = "masters/A & <B>  \"ü\".mov";
        assert_eq!(
            digests_of(&xml).unwrap(),
            [
                (path.to_owned(), Some(Digests::of(path.as_bytes()))),
                ("masters/changed.mov".to_owned(), None),
                (
                    "masters/seen.mov".to_owned(),
                    Some(Digests::of(b"masters/seen.mov"))
                ),
            ]
        );
        assert_eq!(digests_of(&manifest(vec![])).unwrap(), []);
    }

    #[test]
    fn the_chain_is_read_in_its_order() {
        let lists = [
            ("0001_data.mhl".to_owned(), c4(b"a")),
            ("0002_data.mhl".to_owned(), c4(b"b")),
        ];
        assert_eq!(chain_of(&chain(&lists)).unwrap(), lists);
        assert_eq!(chain_of(&chain(&[])).unwrap(), []);
    }

    #[test]
    fn what_is_no_history_is_refused_with_the_place() {
        for xml in [
            "",
            "<",
            "{}",
            "<hashlist><hashes><hash/></hashes></hashlist>",
        ] {
            assert!(digests_of(xml).is_err(), "{xml}");
        }
        let xml =
            manifest(vec![hashed("a.mov", Action::Original)]).replace("</xxh64>", "g</xxh64>");
        let error = digests_of(&xml).unwrap_err().to_string();
        assert!(
            error.starts_with("a.mov: ") && error.ends_with("is no digest"),
            "{error}"
        );
    }
}
