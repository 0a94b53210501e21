//! Migration of a legacy library: what a saved search, a query, an id list or a CSV names.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};

use super::{Error, Systems};
use crate::iconik::Selection;
use crate::types::AssetId;

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
/// A list that cannot be opened or whose header lacks the column. A broken line ends the stream
/// with its number.
pub fn assets(
    systems: &Systems,
    library: &Library,
) -> Result<BoxStream<'static, Result<AssetId, Error>>, Error> {
    let selection = match library {
        Library::SavedSearch(id) => Selection::SavedSearch(id.clone()),
        Library::Query(query) => Selection::Query(query.clone()),
        Library::Ids(path) => return ids_of_csv(path, None),
        Library::Csv(path, column) => return ids_of_csv(path, Some(column)),
    };
    Ok(systems
        .iconik
        .select(&selection)
        .map_err(Error::from)
        .boxed())
}

fn ids_of_csv(
    path: &Path,
    column: Option<&str>,
) -> Result<BoxStream<'static, Result<AssetId, Error>>, Error> {
    let name = path.display().to_string();
    let wrong = {
        let name = name.clone();
        move |line: u64, what: String| Error::List {
            path: name.clone(),
            line,
            what,
        }
    };
    let file = File::open(path).map_err(|source| Error::Unopened {
        path: name.clone(),
        source,
    })?;
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(column.is_some())
        .comment(column.is_none().then_some(b'#'))
        .trim(csv::Trim::All)
        .from_reader(BufReader::new(file));
    let at = match column {
        None => 0,
        Some(column) => {
            let headers = reader
                .headers()
                .map_err(|error| wrong(1, error.to_string()))?;
            headers.iter().position(|header| header.trim_start_matches('\u{feff}') == column).ok_or_else(|| {
                let found = headers.iter().collect::<Vec<_>>().join(", ");
                wrong(1, format!("has no column {column:?}; its columns are: {found}. Name one with --id-column"))
            })?
        }
    };
    let records = reader.into_records();
    Ok(stream::unfold(Some(records), move |records| {
        let mut records = records;
        let wrong = wrong.clone();
        async move {
            let reader = records.as_mut()?;
            let line = reader.reader().position().line();
            let record = reader.next()?;
            let id = record
                .map_err(|error| wrong(error.position().map_or(line, csv::Position::line), "is not a CSV record of the header's columns".into()))
                .and_then(|record| {
                    let line = record.position().map_or(line, csv::Position::line);
                    let text = record.get(at).unwrap_or_default();
                    match uuid::Uuid::try_parse(text) {
                        Ok(_) => Ok(AssetId(text.to_ascii_lowercase())),
                        Err(_) => {
                            let shown: String = text.chars().take(60).collect();
                            Err(wrong(line, format!("{shown:?} is no asset id; ids look like 0b1c2d3e-0000-11ee-8000-0242ac120002")))
                        }
                    }
                });
            // A broken line ends the list: what comes after it cannot be trusted to be in step.
            let rest = if id.is_ok() { records } else { None };
            Some((id, rest))
        }
    })
    .boxed())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    async fn read(text: &str, column: Option<&str>) -> Result<Vec<AssetId>, Error> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        ids_of_csv(file.path(), column)?.try_collect().await
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
        assert!(error.to_string().contains("no column"), "{error}");
    }
}
