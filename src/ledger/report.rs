//! What a report and a reconciliation ask beside the rows themselves, page by page.

use super::Error;
use super::decode::{Cells, limit_of};
use super::reader::Reader;
use crate::types::{ByteCount, ItemId, NodeId, RunId, VersionNumber};

/// What the files of an item come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileTotals {
    /// The item.
    pub item: ItemId,
    /// Bytes handed to the destination over all attempts.
    pub bytes_sent: ByteCount,
    /// Bytes handed over beyond those of the files: what moved more than once.
    pub bytes_again: ByteCount,
    /// Times a file was started again from its beginning.
    pub restarts: u64,
    /// SHA-256 of the first file, 32 bytes, once it is sealed.
    pub sha256: Option<Vec<u8>>,
}

impl Reader {
    /// Runs `read` over one unchanging view of the ledger, whatever its owner does meanwhile. The
    /// log cannot be folded in until it is over: for reads of seconds, not of hours.
    ///
    /// # Errors
    ///
    /// Those of `read`, and a fault of the store.
    pub fn at_one_moment<T, E: From<Error>>(
        &self,
        read: impl FnOnce(&Self) -> Result<T, E>,
    ) -> Result<T, E> {
        let snapshot = self
            .conn
            .unchecked_transaction()
            .map_err(|error| E::from(error.into()))?;
        let outcome = read(self);
        drop(snapshot);
        outcome
    }

    /// What the files of a run's items come to, for items above `after` up to `last`, in order.
    /// Items without files are left out.
    pub fn file_totals(
        &self,
        run: RunId,
        after: ItemId,
        last: ItemId,
    ) -> Result<Vec<FileTotals>, Error> {
        self.many(
            "SELECT file.item, sum(bytes_sent),
                 sum(CASE WHEN bytes_sent > size THEN bytes_sent - size ELSE 0 END),
                 sum(restarts), max(CASE WHEN seq = 0 THEN sha256 END)
             FROM file JOIN item ON item.id = file.item
             WHERE file.item > ?2 AND file.item <= ?3 AND item.run = ?1
             GROUP BY file.item ORDER BY file.item",
            [run.0, after.0, last.0],
            |row| {
                let mut cells = Cells::new(row, "file")?;
                Ok(FileTotals {
                    item: ItemId(cells.int()?),
                    bytes_sent: cells.count()?,
                    bytes_again: cells.count()?,
                    restarts: cells.count()?,
                    sha256: cells.opt_blob()?,
                })
            },
        )
    }

    /// The versions that this ledger filed, by files above `after`, in order: the file's number,
    /// the document and the version; version 0 of a document whose next version waits to be filed.
    pub fn filed_versions(
        &self,
        after: i64,
        limit: usize,
    ) -> Result<Vec<(i64, NodeId, VersionNumber)>, Error> {
        self.many(
            "SELECT id, node, coalesce(version, 0) FROM file
             WHERE id > ?1 AND node IS NOT NULL ORDER BY id LIMIT ?2",
            [after, limit_of(limit)],
            |row| {
                let mut cells = Cells::new(row, "file")?;
                Ok((
                    cells.int()?,
                    NodeId(cells.int()?),
                    VersionNumber(cells.int()?),
                ))
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Change, FilePatch, ItemPatch, Ledger, NewFile, NewItem, NewRun};
    use super::*;
    use crate::types::TransferId;

    fn item(key: &str, sizes: &[u64]) -> NewItem {
        let files = sizes.iter().zip(0..).map(|(size, n)| NewFile {
            role: "master".into(),
            marker: format!("{key}{n}"),
            name: format!("{key}{n}.mov"),
            size: *size,
            ..NewFile::default()
        });
        NewItem {
            key: key.into(),
            kind: "document".into(),
            title: key.into(),
            name: key.into(),
            source: "{}".into(),
            files: files.collect(),
            ..NewItem::default()
        }
    }

    #[tokio::test]
    async fn files_are_added_up_by_item_and_a_view_of_one_moment_does_not_move() {
        let dir = crate::ledger::tests::directory();
        let path = dir.path().join("l.db");
        let ledger = Ledger::open(&path, "test").unwrap();
        let run = ledger
            .start_run(NewRun {
                command: "archive".into(),
                arguments: "{}".into(),
            })
            .await
            .unwrap();
        let items = vec![item("a", &[10, 5]), item("b", &[]), item("c", &[7])];
        ledger.add_page(run, items, None, true, 0).await.unwrap();
        let patch = FilePatch {
            sha256: Some(Some(vec![3; 32])),
            node: Some(Some(NodeId(90))),
            version: Some(Some(VersionNumber(2))),
            add_bytes_sent: 25,
            add_restarts: 1,
            ..FilePatch::default()
        };
        ledger
            .apply(Change::new().file(TransferId(1), patch))
            .await
            .unwrap();
        // Its next version is on its way.
        let waits = FilePatch {
            node: Some(Some(NodeId(91))),
            ..FilePatch::default()
        };
        ledger
            .apply(Change::new().file(TransferId(2), waits))
            .await
            .unwrap();
        let reader = Reader::open(&path).unwrap();
        let totals = reader.file_totals(run, ItemId(0), ItemId(9)).unwrap();
        assert_eq!(totals.len(), 2, "b has no files");
        assert_eq!((totals[0].bytes_sent, totals[0].bytes_again), (25, 15));
        assert_eq!((totals[0].restarts, totals[1].bytes_sent), (1, 0));
        assert_eq!(totals[0].sha256.as_deref(), Some(&[3; 32][..]));
        let filed = reader.filed_versions(0, 10).unwrap();
        let (done, open) = (VersionNumber(2), VersionNumber(0));
        assert_eq!(filed, [(1, NodeId(90), done), (2, NodeId(91), open)]);
        assert!(reader.filed_versions(2, 10).unwrap().is_empty());

        let view = reader.at_one_moment(|reader| {
            let before = reader.items(run, Some("done"), ItemId(0), 9)?.len();
            let done = ItemPatch {
                state: Some("done".into()),
                ..ItemPatch::default()
            };
            let change = Change::new().item(ItemId(1), done);
            std::thread::scope(|scope| {
                let ledger = ledger.clone();
                scope
                    .spawn(move || {
                        let runtime = tokio::runtime::Builder::new_current_thread().build();
                        runtime.unwrap().block_on(ledger.apply(change))
                    })
                    .join()
                    .unwrap()
            })?;
            Ok::<_, Error>((before, reader.items(run, Some("done"), ItemId(0), 9)?.len()))
        });
        assert_eq!(view.unwrap(), (0, 0));
        let after = reader.items(run, Some("done"), ItemId(0), 9).unwrap();
        assert_eq!(after.len(), 1);
    }
}
