//! A plan in a file: JSON lines, written whole or not at all, that say when they were damaged.
//!
//! The first line says what was planned, for which two systems, and in which form; then comes a
//! line for each asset; the last has their number and the SHA-256 of everything before it. Lines
//! are streamed both ways. There is no secret in it and no address.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use super::{Decision, Depth};
use crate::flows::Error;
use crate::flows::filter::Filter;

/// The form of the file.
pub const FORMAT: &str = "longhaul-plan/1";

/// Longest line that is read; an asset of a thousand versions has less.
const LONGEST: u64 = 16 << 20;

/// What was planned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// [`FORMAT`].
    pub format: String,
    /// The program's version that wrote it.
    pub longhaul: String,
    /// When it was made.
    pub made: Timestamp,
    /// The command it is for: `archive` or `migrate`.
    pub command: String,
    /// What the command was told to select.
    pub selection: Value,
    /// The filters.
    #[serde(default)]
    pub filter: Filter,
    /// How closely assets were looked at.
    pub depth: Depth,
    /// Every version of an asset, or the newest alone.
    pub all_versions: bool,
    /// The source system's domain.
    pub domain: String,
    /// The destination's configured name.
    pub instance: String,
    /// The folder that is published in.
    pub target: i64,
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Written<'a> {
    Plan(&'a Header),
    Asset(&'a Decision),
    End(&'a End),
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Line {
    Plan(Box<Header>),
    Asset(Box<Decision>),
    End(End),
}

/// The last line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// Lines of assets.
    pub assets: u64,
    /// SHA-256, hex, of all lines before this one.
    pub sha256: String,
}

/// A plan being written beside its final place.
pub struct Writing {
    path: PathBuf,
    file: BufWriter<NamedTempFile>,
    digest: Sha256,
    assets: u64,
}

fn wrong(path: &Path, what: impl Into<String>) -> Error {
    Error::Plan {
        path: path.display().to_string(),
        what: what.into(),
    }
}

impl Writing {
    /// Begins a plan that will stand at `path`, where nothing may be yet.
    ///
    /// # Errors
    ///
    /// [`Error::Plan`] when something is there or nothing can be written there.
    pub fn begin(path: &Path, header: &Header) -> Result<Self, Error> {
        if path.symlink_metadata().is_ok() {
            return Err(wrong(
                path,
                "is there already; name another file or take it away",
            ));
        }
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let file = NamedTempFile::new_in(folder)
            .map_err(|error| wrong(path, format!("cannot be written: {error}")))?;
        let mut writing = Self {
            path: path.to_owned(),
            file: BufWriter::new(file),
            digest: Sha256::new(),
            assets: 0,
        };
        writing.line(&Written::Plan(header))?;
        Ok(writing)
    }

    /// Adds an asset.
    ///
    /// # Errors
    ///
    /// [`Error::Plan`] when the disk does not take it.
    pub fn add(&mut self, decision: &Decision) -> Result<(), Error> {
        self.assets += 1;
        self.line(&Written::Asset(decision))
    }

    /// Puts the plan in its place, durably.
    ///
    /// # Errors
    ///
    /// [`Error::Plan`] when the disk does not take it or somebody else was faster.
    pub fn finish(mut self) -> Result<End, Error> {
        let end = End {
            assets: self.assets,
            sha256: hex::encode(self.digest.clone().finalize()),
        };
        self.line(&Written::End(&end))?;
        let Self { path, file, .. } = self;
        let unwritten =
            |error: &dyn std::fmt::Display| wrong(&path, format!("cannot be written: {error}"));
        let file = file.into_inner().map_err(|error| unwritten(&error))?;
        file.as_file()
            .sync_all()
            .map_err(|error| unwritten(&error))?;
        file.persist_noclobber(&path)
            .map_err(|error| unwritten(&error.error))?;
        Ok(end)
    }

    fn line(&mut self, line: &Written<'_>) -> Result<(), Error> {
        let mut text =
            serde_json::to_string(line).map_err(|error| wrong(&self.path, error.to_string()))?;
        text.push('\n');
        self.digest.update(&text);
        self.file
            .write_all(text.as_bytes())
            .map_err(|error| wrong(&self.path, format!("cannot be written: {error}")))
    }
}

/// A plan that was read to its end once and is whole.
#[derive(Clone, Debug, PartialEq)]
pub struct Saved {
    /// Where it is.
    pub path: PathBuf,
    /// What was planned.
    pub header: Header,
    /// How many assets, and their digest.
    pub end: End,
}

impl Saved {
    /// Reads a plan to its end, and checks it.
    ///
    /// # Errors
    ///
    /// [`Error::Plan`] when it cannot be read, is no plan, of another form, cut or changed.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let mut lines = Lines::open(path)?;
        for decision in &mut lines {
            decision?;
        }
        let (header, end) = (lines.header, lines.end);
        let end = end.ok_or_else(|| wrong(path, "is cut short"))?;
        Ok(Self {
            path: path.to_owned(),
            header,
            end,
        })
    }

    /// Its assets, one at a time. They end in an error when the file is not what it was.
    ///
    /// # Errors
    ///
    /// Like those of [`open`](Self::open).
    pub fn decisions(
        &self,
    ) -> Result<impl Iterator<Item = Result<Decision, Error>> + Send + use<>, Error> {
        let mut lines = Lines::open(&self.path)?;
        lines.expected = Some(self.end.clone());
        Ok(lines)
    }
}

struct Lines<R> {
    path: PathBuf,
    file: R,
    digest: Sha256,
    number: u64,
    assets: u64,
    header: Header,
    end: Option<End>,
    expected: Option<End>,
    over: bool,
}

impl Lines<BufReader<File>> {
    fn open(path: &Path) -> Result<Self, Error> {
        let unread = |error: std::io::Error| wrong(path, format!("cannot be read: {error}"));
        // Opening a pipe without a writer would wait for ever; a plan is read twice anyway.
        if !std::fs::metadata(path).map_err(unread)?.is_file() {
            return Err(wrong(path, "is no regular file"));
        }
        let file = BufReader::new(File::open(path).map_err(unread)?);
        Self::of(path, file)
    }
}

impl<R: BufRead> Lines<R> {
    fn of(path: &Path, mut file: R) -> Result<Self, Error> {
        let mut digest = Sha256::new();
        let first = next_line(&mut file, path, 1)?.unwrap_or_default();
        digest.update(&first);
        // Looked at loosely first: a plan of another form is told apart from what is no plan.
        let loose: Option<Value> = serde_json::from_slice(&first).ok();
        let format = loose
            .as_ref()
            .and_then(|line| line["plan"]["format"].as_str());
        match format {
            Some(FORMAT) => {}
            Some(other) if other.starts_with("longhaul-plan/") => {
                let other: String = other.chars().take(40).collect();
                return Err(wrong(
                    path,
                    format!("is of form {other:?}; this longhaul reads {FORMAT:?}: plan again"),
                ));
            }
            _ => {
                return Err(wrong(
                    path,
                    "is no plan of longhaul; `longhaul plan … --out FILE` makes one",
                ));
            }
        }
        let Ok(Line::Plan(header)) = serde_json::from_slice(&first) else {
            return Err(wrong(path, "is damaged in line 1: plan again"));
        };
        Ok(Self {
            path: path.to_owned(),
            file,
            digest,
            number: 1,
            assets: 0,
            header: *header,
            end: None,
            expected: None,
            over: false,
        })
    }

    fn damaged(&self, what: &str) -> Error {
        wrong(
            &self.path,
            format!("is damaged in line {}: {what}; plan again", self.number),
        )
    }

    fn read(&mut self) -> Result<Option<Decision>, Error> {
        self.number += 1;
        let Some(line) = next_line(&mut self.file, &self.path, self.number)? else {
            return Err(self.damaged("it is cut short"));
        };
        match serde_json::from_slice(&line) {
            Ok(Line::Asset(decision)) => {
                self.digest.update(&line);
                self.assets += 1;
                Ok(Some(*decision))
            }
            Ok(Line::End(end)) => {
                let sha256 = hex::encode(self.digest.clone().finalize());
                if end.sha256 != sha256 || end.assets != self.assets {
                    return Err(self.damaged("a line above was changed, added or taken away"));
                }
                self.number += 1;
                if next_line(&mut self.file, &self.path, self.number)?.is_some() {
                    return Err(self.damaged("something follows its end"));
                }
                if self
                    .expected
                    .as_ref()
                    .is_some_and(|expected| *expected != end)
                {
                    return Err(wrong(&self.path, "was replaced while it was read"));
                }
                self.end = Some(end);
                Ok(None)
            }
            Ok(Line::Plan(_)) => Err(self.damaged("it begins again")),
            Err(_) => Err(self.damaged("it is no line of a plan")),
        }
    }
}

impl<R: BufRead> Iterator for Lines<R> {
    type Item = Result<Decision, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let read = self.read().transpose();
        self.over = !matches!(read, Some(Ok(_)));
        read
    }
}

/// A whole line with its end; `None` at the end of the file.
fn next_line(file: &mut impl BufRead, path: &Path, number: u64) -> Result<Option<Vec<u8>>, Error> {
    let mut line = Vec::new();
    std::io::Read::take(file, LONGEST)
        .read_until(b'\n', &mut line)
        .map_err(|error| wrong(path, format!("cannot be read: {error}")))?;
    match line.last() {
        None => Ok(None),
        Some(b'\n') => Ok(Some(line)),
        Some(_) => Err(wrong(
            path,
            format!("is damaged in line {number}: it is cut short or too long; plan again"),
        )),
    }
}

/// Any bytes as a plan, as they are and with their digest made anew.
#[cfg(any(test, fuzzing))]
pub(crate) fn fuzz(bytes: &[u8]) {
    let end = End {
        assets: bytes.iter().filter(|byte| **byte == b'\n').count() as u64,
        sha256: hex::encode(Sha256::digest(bytes)),
    };
    let end = End {
        assets: end.assets.saturating_sub(1),
        ..end
    };
    let sealed = serde_json::to_vec(&Written::End(&end)).unwrap_or_default();
    let sealed = [bytes, &sealed, b"\n"].concat();
    for bytes in [bytes, &sealed] {
        let Ok(mut lines) = Lines::of(Path::new("plan"), bytes) else {
            continue;
        };
        assert_eq!(lines.header.format, FORMAT);
        let mut whole = 0;
        while let Some(Ok(_)) = lines.next() {
            whole += 1;
        }
        assert!(lines.next().is_none(), "nothing comes after the end");
        if let Some(end) = &lines.end {
            assert_eq!(end.assets, whole, "a plan is whole or refused");
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::flows::plan::Verdict;

    fn header() -> Header {
        Header {
            format: FORMAT.to_owned(),
            longhaul: "0".to_owned(),
            made: Timestamp::UNIX_EPOCH,
            command: "archive".to_owned(),
            selection: json!({"collections": ["c"]}),
            filter: Filter::default(),
            depth: Depth::Full,
            all_versions: true,
            domain: "d".to_owned(),
            instance: "i".to_owned(),
            target: 7,
        }
    }

    fn decision(asset: &str) -> Decision {
        Decision {
            asset: asset.into(),
            title: "T".to_owned(),
            verdict: Verdict::In,
            why: "new".to_owned(),
            detail: String::new(),
            collections: Vec::new(),
            versions: Some(Vec::new()),
            views: 0,
        }
    }

    fn write(folder: &Path, assets: &[&str]) -> (PathBuf, End) {
        let path = folder.join("plan.jsonl");
        let mut writing = Writing::begin(&path, &header()).unwrap();
        for asset in assets {
            writing.add(&decision(asset)).unwrap();
        }
        (path, writing.finish().unwrap())
    }

    #[test]
    fn a_plan_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let (path, end) = write(folder.path(), &["a", "b"]);
        let saved = Saved::open(&path).unwrap();
        assert_eq!((&saved.header, &saved.end), (&header(), &end));
        let read: Vec<Decision> = saved.decisions().unwrap().map(Result::unwrap).collect();
        assert_eq!(read, [decision("a"), decision("b")]);
    }

    #[test]
    fn every_single_changed_byte_of_a_plan_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let (path, _) = write(folder.path(), &["a", "b"]);
        let whole = std::fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            std::fs::write(&path, &changed).unwrap();
            assert!(Saved::open(&path).is_err(), "byte {at}");
            std::fs::write(&path, &whole[..at]).unwrap();
            assert!(Saved::open(&path).is_err(), "cut at {at}");
        }
        let lines: Vec<&[u8]> = whole.split_inclusive(|byte| *byte == b'\n').collect();
        let without = [lines[0], lines[1], lines[3]].concat();
        std::fs::write(&path, without).unwrap();
        let error = Saved::open(&path).unwrap_err().to_string();
        assert!(error.contains("changed, added or taken away"), "{error}");
    }

    #[test]
    fn what_is_no_plan_and_what_is_of_another_form_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let (path, _) = write(folder.path(), &[]);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replace("longhaul-plan/1", "longhaul-plan/9")).unwrap();
        let error = Saved::open(&path).unwrap_err().to_string();
        assert!(
            error.contains("longhaul-plan/9") && error.contains("plan again"),
            "{error}"
        );
        std::fs::write(&path, "id,title\n").unwrap();
        let error = Saved::open(&path).unwrap_err().to_string();
        assert!(error.contains("no plan of longhaul"), "{error}");
        assert!(Saved::open(folder.path()).is_err());
        assert!(Saved::open(&folder.path().join("none")).is_err());
    }

    #[test]
    fn an_unfinished_plan_leaves_nothing_and_a_finished_one_is_not_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plan.jsonl");
        let mut writing = Writing::begin(&path, &header()).unwrap();
        writing.add(&decision("a")).unwrap();
        drop(writing);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        write(folder.path(), &["a"]);
        assert!(Writing::begin(&path, &header()).is_err());
    }

    #[test]
    fn a_plan_replaced_between_two_looks_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let (path, _) = write(folder.path(), &["a"]);
        let saved = Saved::open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        write(folder.path(), &["b"]);
        let last = saved.decisions().unwrap().last().unwrap();
        assert!(last.unwrap_err().to_string().contains("replaced"));
    }
}
