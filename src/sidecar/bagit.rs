//! BagIt 1.0 (RFC 8493): the tag files of a bag, written and read.
//!
//! Only LF, CR and `%` are escaped in paths, as the standard says; `sha256sum` reads such a
//! manifest as long as no name holds one of those or begins with a backslash.

use std::collections::BTreeMap;

use crate::types::{ByteCount, Sha256Digest};

/// `bagit.txt`, exactly.
pub const DECLARATION: &str = "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n";

/// A line of a tag file that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A line does not have the parts it must have.
    #[error("line {line} is not what a bag's list looks like")]
    Line {
        /// The line, from 1.
        line: usize,
    },
    /// A path leaves the bag, or is none.
    #[error("line {line}: {path:?} is no path inside a bag")]
    Path {
        /// The line, from 1.
        line: usize,
        /// The path.
        path: String,
    },
    /// A path is there twice.
    #[error("line {line}: {path:?} is listed twice")]
    Twice {
        /// The line, from 1.
        line: usize,
        /// The path.
        path: String,
    },
}

/// A payload file that is elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetch {
    /// Where it is: a plain address, never a signed one.
    pub url: String,
    /// Bytes, when known; nobody reads more than that.
    pub length: Option<ByteCount>,
    /// Its path in the bag.
    pub path: String,
}

/// `manifest-sha256.txt` or `tagmanifest-sha256.txt`, in order of path.
pub fn manifest(files: &BTreeMap<String, Sha256Digest>) -> String {
    files
        .iter()
        .map(|(path, digest)| format!("{digest}  {}\n", escape(path)))
        .collect()
}

/// `fetch.txt`.
pub fn fetch(files: &[Fetch]) -> String {
    files
        .iter()
        .map(|file| {
            let length = file
                .length
                .map_or("-".to_owned(), |length| length.to_string());
            // A blank would end the address.
            let url = file
                .url
                .replace(' ', "%20")
                .replace('\t', "%09")
                .replace('\n', "%0A")
                .replace('\r', "%0D");
            format!("{url} {length} {}\n", escape(&file.path))
        })
        .collect()
}

/// `bag-info.txt`: a label and its value a line. A line end inside a value becomes a blank.
pub fn info(fields: &[(&str, String)]) -> String {
    fields
        .iter()
        .map(|(label, value)| {
            let value: Vec<&str> = value.split_whitespace().collect();
            format!("{label}: {}\n", value.join(" "))
        })
        .collect()
}

/// The value of a label, of the first line that has it.
pub fn info_value<'a>(text: &'a str, label: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        (name == label).then(|| value.trim())
    })
}

/// `Payload-Oxum`: bytes and files of the payload.
pub fn oxum(bytes: ByteCount, files: u64) -> String {
    format!("{bytes}.{files}")
}

/// Reads a manifest.
///
/// # Errors
///
/// The first line that cannot be used.
pub fn read_manifest(text: &str) -> Result<BTreeMap<String, Sha256Digest>, Error> {
    let mut files = BTreeMap::new();
    for (line, number) in text.lines().zip(1..) {
        let bad = || Error::Line { line: number };
        let (digest, path) = line.split_once([' ', '\t']).ok_or_else(bad)?;
        let digest = digest.to_ascii_lowercase().parse().map_err(|_| bad())?;
        let path = path.trim_start_matches([' ', '\t']);
        // The sign of `sha256sum` for binary mode.
        let path = inside(path.strip_prefix('*').unwrap_or(path), number)?;
        if files.insert(path.clone(), digest).is_some() {
            return Err(Error::Twice { line: number, path });
        }
    }
    Ok(files)
}

/// Reads `fetch.txt`.
///
/// # Errors
///
/// The first line that cannot be used.
pub fn read_fetch(text: &str) -> Result<Vec<Fetch>, Error> {
    let mut files = Vec::new();
    for (line, number) in text.lines().zip(1..) {
        let bad = || Error::Line { line: number };
        let (url, rest) = line.split_once([' ', '\t']).ok_or_else(bad)?;
        let (length, path) = rest
            .trim_start_matches([' ', '\t'])
            .split_once([' ', '\t'])
            .ok_or_else(bad)?;
        let length = match length {
            "-" => None,
            length => Some(length.parse().map_err(|_| bad())?),
        };
        files.push(Fetch {
            url: url.to_owned(),
            length,
            path: inside(path.trim_start_matches([' ', '\t']), number)?,
        });
    }
    Ok(files)
}

/// Whether a path stays inside the folder it is taken from, on any machine.
pub fn is_inside(path: &str) -> bool {
    !path.is_empty()
        && !path.contains(['\0', '\\'])
        && !path
            .split('/')
            .any(|step| matches!(step, "" | "." | "..") || step.contains(':') && step.len() == 2)
}

fn inside(path: &str, line: usize) -> Result<String, Error> {
    let path = unescape(path);
    if is_inside(&path) {
        Ok(path)
    } else {
        Err(Error::Path { line, path })
    }
}

fn escape(path: &str) -> String {
    path.replace('%', "%25")
        .replace('\n', "%0A")
        .replace('\r', "%0D")
}

fn unescape(path: &str) -> String {
    path.replace("%0A", "\n")
        .replace("%0a", "\n")
        .replace("%0D", "\r")
        .replace("%0d", "\r")
        .replace("%25", "%")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn a_manifest_looks_as_sha256sum_wants_it() {
        let files = BTreeMap::from([("data/masters/TV30 b.mov".to_owned(), ABC.parse().unwrap())]);
        assert_eq!(
            manifest(&files),
            format!("{ABC}  data/masters/TV30 b.mov\n")
        );
    }

    #[test]
    fn only_line_ends_and_per_cent_signs_are_escaped() {
        let name = "data/100%\r\n\u{e4}.mov".to_owned();
        let text = manifest(&BTreeMap::from([(name, ABC.parse().unwrap())]));
        assert_eq!(text, format!("{ABC}  data/100%25%0D%0A\u{e4}.mov\n"));
    }

    #[test]
    fn paths_that_leave_the_bag_are_refused() {
        for path in [
            "/etc/passwd",
            "../x",
            "data/../../x",
            "data//x",
            "data\\x",
            "C:/x",
            "",
        ] {
            let text = format!("{ABC}  {path}\n");
            assert!(read_manifest(&text).is_err(), "{path}");
            let text = format!("https://otcs.test/1 3 {path}\n");
            assert!(read_fetch(&text).is_err(), "{path}");
        }
        let twice = format!("{ABC}  data/a\n{ABC} *data/a\n");
        assert_eq!(
            read_manifest(&twice),
            Err(Error::Twice {
                line: 2,
                path: "data/a".into()
            })
        );
    }

    #[test]
    fn labels_keep_to_one_line_each() {
        let text = info(&[
            ("Source-Organization", "Brand X\r\nPayload-Oxum: 0.0".into()),
            ("Payload-Oxum", oxum(3, 1)),
        ]);
        assert_eq!(
            text,
            "Source-Organization: Brand X Payload-Oxum: 0.0\nPayload-Oxum: 3.1\n"
        );
        assert_eq!(info_value(&text, "Payload-Oxum"), Some("3.1"));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(names in prop::collection::btree_set("[^\0\\\\/]{1,12}", 1..8)) {
            let files: BTreeMap<String, Sha256Digest> = names
                .iter()
                .filter(|name| is_inside(name))
                .map(|name| (format!("data/{name}"), ABC.parse().unwrap()))
                .collect();
            let text = manifest(&files);
            prop_assert_eq!(text.split('\n').count(), files.len() + 1);
            prop_assert_eq!(read_manifest(&text).unwrap(), files.clone());
            let fetches: Vec<Fetch> = files
                .keys()
                .map(|path| Fetch { url: "https://otcs.test/a%20b".into(), length: Some(3), path: path.clone() })
                .collect();
            prop_assert_eq!(read_fetch(&fetch(&fetches)).unwrap(), fetches);
        }

        #[test]
        fn no_text_makes_reading_panic(text in ".*") {
            let _ = read_manifest(&text);
            let _ = read_fetch(&text);
        }
    }
}
