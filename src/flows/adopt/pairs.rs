//! Pairs of assets and documents, from a list and from an attribute.

use std::collections::VecDeque;
use std::fs::File;
use std::path::Path;

use futures::stream::{self, BoxStream, StreamExt as _};

use super::Pair;
use crate::flows::migrate::columns;
use crate::flows::{Error, Systems};
use crate::sidecar::mapping::BoundField;
use crate::types::{AssetId, NodeId};

/// The pairs of a CSV with a header line; the whole of it is checked before the first is given.
///
/// # Errors
///
/// A file that cannot be opened, lacks a column, or has a line that is no pair.
pub fn listed(
    path: &Path,
    assets: &str,
    nodes: &str,
) -> Result<BoxStream<'static, Result<Pair, Error>>, Error> {
    for pair in lines(path, assets, nodes)? {
        pair?;
    }
    Ok(stream::iter(lines(path, assets, nodes)?).boxed())
}

fn lines(
    path: &Path,
    assets: &str,
    nodes: &str,
) -> Result<impl Iterator<Item = Result<Pair, Error>> + Send + use<>, Error> {
    let name = path.display().to_string();
    let unopened = |source| Error::Unopened {
        path: path.display().to_string(),
        source,
    };
    // Looked at before it is opened: opening a pipe without a writer would wait for ever.
    if !std::fs::metadata(path).map_err(unopened)?.is_file() {
        return Err(unopened(std::io::Error::other(
            "it is no regular file; save the list to one",
        )));
    }
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_reader(File::open(path).map_err(unopened)?);
    let wrong = move |line, what: String| Error::List {
        path: name.clone(),
        line,
        what,
    };
    let headers = reader
        .headers()
        .map_err(|error| wrong(1, error.to_string()))?
        .clone();
    let column = |wanted: &str| {
        let mut names = headers.iter();
        let at = names.position(|header| header.trim_start_matches('\u{feff}') == wanted);
        at.ok_or_else(|| {
            let found = columns(&headers);
            wrong(1, format!("has no column {wanted:?}; its columns are: {found}. Name them with --id-column and --node-column"))
        })
    };
    let (asset_at, node_at) = (column(assets)?, column(nodes)?);
    Ok(reader.into_records().enumerate().map(move |(at, record)| {
        let line = at as u64 + 2;
        let record =
            record.map_err(|error| wrong(line, format!("is not a CSV record: {error}")))?;
        let line = record.position().map_or(line, csv::Position::line);
        let (asset, node) = (
            record.get(asset_at).unwrap_or_default(),
            record.get(node_at).unwrap_or_default(),
        );
        let shown = |text: &str| text.chars().take(60).collect::<String>();
        let id = uuid::Uuid::try_parse(asset)
            .map_err(|_| wrong(line, format!("{:?} is no asset id", shown(asset))))?;
        let node: i64 = node
            .parse()
            .ok()
            .filter(|node| *node > 0)
            .ok_or_else(|| wrong(line, format!("{:?} is no node id", shown(node))))?;
        Ok(Pair {
            asset: AssetId(id.hyphenated().to_string()),
            node: Some(NodeId(node)),
        })
    }))
}

/// The documents below a folder whose attribute holds an asset's id.
pub fn by_attribute(
    systems: &Systems,
    folder: NodeId,
    field: BoundField,
) -> BoxStream<'static, Result<Pair, Error>> {
    let open = vec![(folder, 1u32)];
    let first = (systems.clone(), field, open, VecDeque::new());
    stream::try_unfold(
        first,
        |(systems, field, mut open, mut documents)| async move {
            loop {
                if let Some(node) = documents.pop_front() {
                    let categories = systems.content_server.categories(node).await?;
                    let own = categories.iter().find(|one| one.id.0 == field.category);
                    let ids: Vec<AssetId> = own
                        .map(|own| field.read(&own.values.0))
                        .into_iter()
                        .flatten()
                        .filter_map(|value| uuid::Uuid::try_parse(value.trim()).ok())
                        .map(|id| AssetId(id.hyphenated().to_string()))
                        .collect();
                    // Several ids, or none, say nothing of whose it is.
                    let [asset] = &ids[..] else { continue };
                    let pair = Pair {
                        asset: asset.clone(),
                        node: Some(node),
                    };
                    return Ok::<_, Error>(Some((pair, (systems, field, open, documents))));
                }
                let Some((folder, page)) = open.pop() else {
                    return Ok(None);
                };
                let (children, more) = systems.destination.children(folder, page).await?;
                if more {
                    open.push((folder, page + 1));
                }
                for node in children {
                    if node.container {
                        open.push((node.id, 1));
                    } else if node.is_document() {
                        documents.push_back(node.id);
                    }
                }
            }
        },
    )
    .boxed()
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use futures::TryStreamExt as _;

    use super::*;

    #[tokio::test]
    async fn a_list_of_pairs_is_checked_to_its_end_before_the_first_is_taken() {
        let read = async |text: &str| {
            let mut file = tempfile::NamedTempFile::new().unwrap();
            file.write_all(text.as_bytes()).unwrap();
            let pairs = listed(file.path(), "id", "node")?;
            pairs.try_collect::<Vec<Pair>>().await
        };
        let id = "0b1c2d3e-0000-11ee-8000-0242ac120001";
        let pairs = read(&format!("node,id\n17,{id}\n")).await.unwrap();
        assert_eq!(pairs[0].node, Some(NodeId(17)));
        assert_eq!(pairs[0].asset.as_str(), id);
        for (text, said) in [
            (
                format!("id,node\n{id},17\n{id},x\n"),
                "line 3: \"x\" is no node id",
            ),
            (format!("id,node\n{id},-4\n"), "no node id"),
            (
                "id,node\nmine,17\n".to_owned(),
                "line 2: \"mine\" is no asset id",
            ),
            (format!("id,node\n{id}\n"), "line 2"),
            ("id,title\n".to_owned(), "--node-column"),
        ] {
            let error = read(&text).await.unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
