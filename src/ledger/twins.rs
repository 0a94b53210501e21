//! Masters with the same content: by what the source quotes of it, and by digest once it was moved.
//!
//! Only documents are compared: the frames of a sequence may well be alike, and belong together.
//! Papers are not masters, and empty files are not content.

use rusqlite::params;

use super::Error;
use super::decode::{Cells, limit_of, stored};
use super::reader::Reader;
use crate::types::{ByteCount, NodeId, RunId};

/// The condition on an item and its file.
const MASTERS: &str = "item.kind = 'document' AND item.key NOT LIKE 'paper/%'
    AND file.role = 'master' AND file.content IS NULL AND file.size > 0";
/// The asset that an item's key is about.
const ASSET: &str = "substr(item.key, 1, instr(item.key, '/') - 1)";

/// An item with the content of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Twin {
    /// Its key.
    pub key: String,
    /// Its title.
    pub title: String,
    /// The document, once it is filed.
    pub node: Option<NodeId>,
}

/// A content that several assets were filed with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Same {
    /// Its SHA-256, 32 bytes.
    pub sha256: Vec<u8>,
    /// Its bytes.
    pub size: ByteCount,
    /// How many assets have it.
    pub assets: u64,
}

/// What was filed more than once, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Repeated {
    /// Contents that several assets were filed with.
    pub contents: u64,
    /// Assets beyond the first of each.
    pub copies: u64,
    /// Their bytes.
    pub bytes: ByteCount,
}

impl Reader {
    /// The first item of another asset than `asset` with this content, by the checksum (hex) and
    /// size that the source quotes. One that a person declined is none.
    pub fn twin(&self, md5: &str, size: ByteCount, asset: &str) -> Result<Option<Twin>, Error> {
        let found = self.many(
            &format!(
                "SELECT item.key, item.title, item.node
                 FROM file INDEXED BY file_md5 JOIN item ON item.id = file.item
                 WHERE file.md5 = ?1 AND file.size = ?2 AND {MASTERS}
                     AND item.state <> 'declined' AND {ASSET} <> ?3
                 ORDER BY item.id LIMIT 1"
            ),
            params![md5, stored("a file's size", size)?, asset],
            twin,
        )?;
        Ok(found.into_iter().next())
    }

    /// Contents that several assets were filed with, one of them by this run: how many.
    pub fn repeated(&self, run: RunId) -> Result<Repeated, Error> {
        let found = self.many(
            &format!(
                "SELECT count(*), coalesce(sum(assets - 1), 0), coalesce(sum((assets - 1) * size), 0)
                 FROM ({})",
                same("?1")
            ),
            [run.0],
            |row| {
                let mut cells = Cells::of_group(row, "file", run.0);
                Ok(Repeated {
                    contents: cells.count()?,
                    copies: cells.count()?,
                    bytes: cells.count()?,
                })
            },
        )?;
        Ok(found.into_iter().next().unwrap_or_default())
    }

    /// The largest of them.
    pub fn largest_repeated(&self, run: RunId, limit: usize) -> Result<Vec<Same>, Error> {
        self.many(
            &format!(
                "SELECT sha256, size, assets FROM ({})
                 ORDER BY size * (assets - 1) DESC, sha256 LIMIT ?2",
                same("?1")
            ),
            params![run.0, limit_of(limit)],
            |row| {
                Ok(Same {
                    sha256: row.get(0)?,
                    size: row.get::<_, i64>(1)?.unsigned_abs(),
                    assets: row.get::<_, i64>(2)?.unsigned_abs(),
                })
            },
        )
    }

    /// Up to `limit` items that were filed with this content, in order.
    pub fn filed_with(&self, sha256: &[u8], limit: usize) -> Result<Vec<Twin>, Error> {
        self.many(
            &format!(
                "SELECT item.key, item.title, item.node
                 FROM file INDEXED BY file_sha256 JOIN item ON item.id = file.item
                 WHERE file.sha256 = ?1 AND {MASTERS} AND item.state = 'done'
                 ORDER BY item.id LIMIT ?2"
            ),
            params![sha256, limit_of(limit)],
            twin,
        )
    }
}

fn same(run: &str) -> String {
    format!(
        "SELECT file.sha256 AS sha256, max(file.size) AS size, count(DISTINCT {ASSET}) AS assets
         FROM file INDEXED BY file_sha256 JOIN item ON item.id = file.item
         WHERE file.sha256 IS NOT NULL AND {MASTERS} AND item.state = 'done'
         GROUP BY file.sha256 HAVING assets > 1 AND max(item.run = {run}) = 1"
    )
}

fn twin(row: &rusqlite::Row<'_>) -> Result<Twin, Error> {
    Ok(Twin {
        key: row.get(0)?,
        title: row.get(1)?,
        node: row.get::<_, Option<i64>>(2)?.map(NodeId),
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Change, FilePatch, ItemPatch, Ledger, NewFile, NewItem, NewRun};
    use super::*;
    use crate::types::{ItemId, TransferId};

    fn item(key: &str, kind: &str, md5: Option<&str>) -> NewItem {
        let file = NewFile {
            role: "master".into(),
            marker: key.into(),
            name: key.into(),
            size: 10,
            md5: md5.map(str::to_owned),
            ..NewFile::default()
        };
        NewItem {
            key: key.into(),
            kind: kind.into(),
            title: format!("title of {key}"),
            name: key.into(),
            source: "{}".into(),
            files: vec![file],
            ..NewItem::default()
        }
    }

    #[tokio::test]
    async fn the_same_content_is_found_before_and_after_it_is_moved() {
        let dir = crate::ledger::tests::directory();
        let path = dir.path().join("l.db");
        let ledger = Ledger::open(&path, "test").unwrap();
        let new = NewRun {
            command: "migrate".into(),
            arguments: "{}".into(),
        };
        let run = ledger.start_run(new).await.unwrap();
        let items = vec![
            item("a/1", "document", Some("m")),
            item("a/2", "document", Some("m")),
            item("b/1", "document", Some("m")),
            item("c/1", "folder", Some("m")),
            item("paper/d/1", "document", Some("m")),
            item("e/1", "document", None),
        ];
        ledger.add_page(run, items, None, true, 0).await.unwrap();
        let reader = Reader::open(&path).unwrap();
        let twin = |md5, size, asset| {
            let found = reader.twin(md5, size, asset).unwrap();
            found.map(|twin| twin.key)
        };
        assert_eq!(twin("m", 10, "b").as_deref(), Some("a/1"));
        assert_eq!(
            twin("m", 10, "a").as_deref(),
            Some("b/1"),
            "no version of its own"
        );
        assert_eq!(twin("m", 11, "b"), None);
        assert_eq!(twin("n", 10, "b"), None);
        assert_eq!(reader.repeated(run).unwrap(), Repeated::default());

        let mut change = Change::new();
        for id in 1..=6 {
            let sha256 = FilePatch {
                sha256: Some(Some(vec![3; 32])),
                ..FilePatch::default()
            };
            let done = ItemPatch {
                state: Some(if id == 2 { "failed" } else { "done" }.into()),
                node: Some(Some(NodeId(90 + id))),
                ..ItemPatch::default()
            };
            change = change.file(TransferId(id), sha256).item(ItemId(id), done);
        }
        ledger.apply(change).await.unwrap();
        let repeated = reader.repeated(run).unwrap();
        assert_eq!(
            (repeated.contents, repeated.copies, repeated.bytes),
            (1, 2, 20)
        );
        assert_eq!(reader.repeated(RunId(9)).unwrap(), Repeated::default());
        let same = reader.largest_repeated(run, 9).unwrap();
        assert_eq!((same.len(), same[0].assets, same[0].size), (1, 3, 10));
        let filed = reader.filed_with(&same[0].sha256, 9).unwrap();
        let keys: Vec<&str> = filed.iter().map(|twin| twin.key.as_str()).collect();
        assert_eq!(keys, ["a/1", "b/1", "e/1"]);
    }
}
