//! Migration of a legacy library: what a saved search, a query, an id list or a CSV names.
//!
//! | File | Holds |
//! |---|---|
//! | `mod.rs` | the assets of a library, streamed |
//! | `freeze.rs` | the mark of the cut-over |
//! | `drift.rs` | what the source has by now that was not moved |

pub mod drift;
pub mod freeze;

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};

use super::{Error, Systems};
use crate::iconik::{Found, Selection};
use crate::types::AssetId;

/// Ids that one search asks for.
const ASKED_AT_ONCE: usize = 100;

/// Where the assets of a migration come from.
#[derive(Clone, Debug)]
pub enum Library {
    /// A saved search, by id.
    SavedSearch(String),
    /// A query in Lucene syntax.
    Query(String),
    /// A text file with an asset id on each line; empty lines and lines that start with `#` are
    /// passed over.
    Ids(PathBuf),
    /// A CSV with a header line, and the name of the column that holds asset ids.
    Csv(PathBuf, String),
}

/// The assets of a library, streamed: nothing is held whole.
///
/// # Errors
///
/// A list that cannot be opened, whose header lacks the column, or that has a broken line: a list
/// is checked to its end first, so that a slip in its last line does not show after a weekend. A
/// list that is changed while it is read can still end the stream with a line's number.
pub fn assets(
    systems: &Systems,
    library: &Library,
) -> Result<BoxStream<'static, Result<AssetId, Error>>, Error> {
    let selection = match library {
        Library::SavedSearch(id) => Selection::SavedSearch(id.clone()),
        Library::Query(query) => Selection::Query(query.clone()),
        Library::Ids(path) => return ids_of_list(path, None),
        Library::Csv(path, column) => return ids_of_list(path, Some(column)),
    };
    Ok(systems
        .iconik
        .select(&selection)
        .map_err(Error::from)
        .boxed())
}

/// The ids of a list with an id on each line, one at a time.
pub(super) fn ids(
    path: &Path,
) -> Result<impl Iterator<Item = Result<AssetId, Error>> + use<>, Error> {
    Ids::open(path, None)
}

/// The assets of a library as the search index knows them; lists are asked for by the hundred.
///
/// # Errors
///
/// Like those of [`assets`].
pub fn found(
    systems: &Systems,
    library: &Library,
) -> Result<BoxStream<'static, Result<Found, Error>>, Error> {
    let selection = match library {
        Library::SavedSearch(id) => Selection::SavedSearch(id.clone()),
        Library::Query(query) => Selection::Query(query.clone()),
        Library::Ids(_) | Library::Csv(..) => {
            return Ok(found_of_ids(systems, assets(systems, library)?));
        }
    };
    Ok(systems
        .iconik
        .select_found(&selection)
        .map_err(Error::from)
        .boxed())
}

/// What the index knows of these assets; those it does not know are named with their id alone.
pub fn found_of_ids(
    systems: &Systems,
    ids: BoxStream<'static, Result<AssetId, Error>>,
) -> BoxStream<'static, Result<Found, Error>> {
    let client = systems.iconik.clone();
    ids.try_chunks(ASKED_AT_ONCE)
        .map_err(|broken| broken.1)
        .and_then(move |ids| {
            let client = client.clone();
            async move {
                let rows: Vec<Found> = client
                    .select_found(&Selection::Assets(ids.clone()))
                    .try_collect()
                    .await?;
                let mut known: HashMap<String, Found> =
                    rows.into_iter().map(|row| (row.id.clone(), row)).collect();
                let rows = ids.into_iter().map(move |id| {
                    Ok(known
                        .remove(id.as_str())
                        .unwrap_or_else(|| Found::unknown(id)))
                });
                Ok(stream::iter(rows))
            }
        })
        .try_flatten()
        .boxed()
}

/// Reads a list to its end without asking anybody: what is wrong with it is said before anything
/// else. Searches have nothing to read.
///
/// # Errors
///
/// As [`assets`] of the list.
pub fn check_list(library: &Library) -> Result<(), Error> {
    match library {
        Library::SavedSearch(_) | Library::Query(_) => Ok(()),
        Library::Ids(path) => check_ids(path, None),
        Library::Csv(path, column) => check_ids(path, Some(column)),
    }
}

fn check_ids(path: &Path, column: Option<&str>) -> Result<(), Error> {
    for id in Ids::open(path, column)? {
        id?;
    }
    Ok(())
}

/// The columns of a table for people; a file that is no table has its own idea of a column.
pub(in crate::flows) fn columns(headers: &csv::StringRecord) -> String {
    const MOST: usize = 300;
    let all = headers.iter().collect::<Vec<_>>().join(", ");
    match all.char_indices().nth(MOST) {
        Some((at, _)) => format!("{} …", &all[..at]),
        None => all,
    }
}

fn ids_of_list(
    path: &Path,
    column: Option<&str>,
) -> Result<BoxStream<'static, Result<AssetId, Error>>, Error> {
    check_ids(path, column)?;
    Ok(stream::iter(Ids::open(path, column)?).boxed())
}

/// The ids of a list, line by line. A broken line is the last: what comes after it cannot be
/// trusted to be in step.
struct Ids<R> {
    path: String,
    records: Option<csv::StringRecordsIntoIter<R>>,
    /// Which field of a record holds the id.
    at: usize,
}

impl Ids<BufReader<File>> {
    fn open(path: &Path, column: Option<&str>) -> Result<Self, Error> {
        let name = path.display().to_string();
        let unopened = |source| Error::Unopened {
            path: name.clone(),
            source,
        };
        // Looked at before it is opened: opening a pipe without a writer would wait for ever.
        if !std::fs::metadata(path).map_err(unopened)?.is_file() {
            // It is read once to check it, once to file it, and again by a resume.
            return Err(unopened(std::io::Error::other(
                "it is no regular file; save the list to one",
            )));
        }
        let file = File::open(path).map_err(unopened)?;
        Self::of(name, BufReader::new(file), column)
    }
}

impl<R: Read> Ids<R> {
    fn of(name: String, list: R, column: Option<&str>) -> Result<Self, Error> {
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(column.is_some())
            .comment(column.is_none().then_some(b'#'))
            .trim(csv::Trim::All)
            .from_reader(list);
        let at = match column {
            None => 0,
            Some(column) => {
                let wrong = |what| Error::List {
                    path: name.clone(),
                    line: 1,
                    what,
                };
                let headers = reader.headers().map_err(|error| wrong(broken(&error)))?;
                if headers.is_empty() {
                    return Err(wrong("the file is empty; it needs a header line".into()));
                }
                let mut names = headers.iter();
                names
                    .position(|header| header.trim_start_matches('\u{feff}') == column)
                    .ok_or_else(|| {
                        let found = columns(headers);
                        wrong(format!("has no column {column:?}; its columns are: {found}. Name one with --id-column"))
                    })?
            }
        };
        Ok(Self {
            path: name,
            records: Some(reader.into_records()),
            at,
        })
    }

    fn wrong(&mut self, line: u64, what: String) -> Error {
        self.records = None;
        Error::List {
            path: self.path.clone(),
            line,
            what,
        }
    }
}

impl<R: Read> Iterator for Ids<R> {
    type Item = Result<AssetId, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let records = self.records.as_mut()?;
        let line = records.reader().position().line();
        let record = match records.next()? {
            Ok(record) => record,
            Err(error) => {
                let line = error.position().map_or(line, csv::Position::line);
                return Some(Err(self.wrong(line, broken(&error))));
            }
        };
        let line = record.position().map_or(line, csv::Position::line);
        let text = record.get(self.at).unwrap_or_default();
        let text = text.trim_start_matches('\u{feff}');
        if let Ok(id) = uuid::Uuid::try_parse(text) {
            // However it was written, iconik writes it in this form.
            return Some(Ok(AssetId(id.hyphenated().to_string())));
        }
        let shown: String = text.chars().take(60).collect();
        let what =
            format!("{shown:?} is no asset id; ids look like 0b1c2d3e-0000-11ee-8000-0242ac120002");
        Some(Err(self.wrong(line, what)))
    }
}

/// What is wrong with a line, and what to do about it.
fn broken(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::UnequalLengths {
            expected_len, len, ..
        } => format!(
            "has {len} fields where the lines before have {expected_len}; is a quote or comma missing?"
        ),
        csv::ErrorKind::Utf8 { .. } => "is not UTF-8; save the list as UTF-8".into(),
        csv::ErrorKind::Io(error) => format!("cannot be read: {error}"),
        _ => "is not a CSV record".into(),
    }
}

/// Any bytes as an id list and as a CSV.
#[cfg(any(test, fuzzing))]
pub(crate) fn fuzz(bytes: &[u8]) {
    for column in [None, Some("id")] {
        let Ok(ids) = Ids::of("list".into(), bytes, column) else {
            continue;
        };
        let mut ended = false;
        for id in ids {
            assert!(!ended, "nothing comes after a broken line");
            match id {
                Ok(id) => assert!(
                    uuid::Uuid::try_parse(&id.0).is_ok() && id.0 == id.0.to_ascii_lowercase(),
                    "{id:?}"
                ),
                Err(error) => {
                    ended = true;
                    assert!(error.to_string().len() < 100_000);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    async fn read(text: &str, column: Option<&str>) -> Result<Vec<AssetId>, Error> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        ids_of_list(file.path(), column)?.try_collect().await
    }

    const ONE: &str = "0b1c2d3e-0000-11ee-8000-0242ac120001";
    const TWO: &str = "0b1c2d3e-0000-11ee-8000-0242ac120002";

    #[tokio::test]
    async fn id_lists_and_csv_columns_are_read() {
        let ids = read(&format!("# masters\n{ONE}\n\n  {TWO}  \n"), None)
            .await
            .unwrap();
        assert_eq!(ids, [AssetId::from(ONE), AssetId::from(TWO)]);
        let csv = format!("\u{feff}title,asset id\n\"A, the film\",{ONE}\nB,{TWO}\n");
        assert_eq!(read(&csv, Some("asset id")).await.unwrap().len(), 2);
    }

    #[tokio::test]
    async fn a_broken_line_is_named_by_its_number() {
        let error = read(
            &format!("id,title\n{ONE},A\nnot-an-id,B\n{TWO},C\n"),
            Some("id"),
        )
        .await
        .unwrap_err();
        assert!(
            error.to_string().contains("line 3") && error.to_string().contains("not-an-id"),
            "{error}"
        );
        let error = read(&format!("id,title\n{ONE},A\n{TWO}\n"), Some("id"))
            .await
            .unwrap_err();
        assert!(error.to_string().contains("line 3"), "{error}");
        let error = read("id,title\n", Some("asset")).await.unwrap_err();
        assert!(
            error.to_string().contains("id, title") && error.to_string().contains("--id-column"),
            "{error}"
        );
        let error = read("", Some("asset")).await.unwrap_err();
        assert!(error.to_string().contains("empty"), "{error}");
    }
}
