//! A file that a command writes: there whole or not at all, and never over another one unasked.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::exit::Ended;

/// A place for a file.
pub(super) struct NewFile {
    path: PathBuf,
    force: bool,
}

impl NewFile {
    /// Looks whether a file may be written there; `force` replaces one that is there.
    ///
    /// # Errors
    ///
    /// The ledger's own files, and what is there already.
    pub(super) fn at(path: &Path, ledger: &Path, force: bool) -> anyhow::Result<Self> {
        let path = std::path::absolute(path)?;
        if belongs_to_ledger(&path, ledger) {
            return Err(Ended::usage(format!(
                "{} is the ledger's own file",
                path.display()
            )));
        }
        if path.exists() && !(force && path.is_file()) {
            return Err(Ended::usage(format!(
                "{} exists; --force replaces a file",
                path.display()
            )));
        }
        Ok(Self { path, force })
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes it. Its mode is 0600; nobody sees it before it is whole.
    ///
    /// # Errors
    ///
    /// A directory that is missing, the disk's, and those of `write`.
    pub(super) fn write<T>(
        &self,
        write: impl FnOnce(&mut BufWriter<&mut File>) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let folder = self.path.parent().unwrap_or(Path::new("/"));
        if !folder.is_dir() {
            return Err(Ended::usage(format!(
                "there is no directory {}; create it first",
                folder.display()
            )));
        }
        let mut file = tempfile::NamedTempFile::new_in(folder)
            .with_context(|| format!("writing in {}", folder.display()))?;
        let written = {
            let mut writer = BufWriter::new(file.as_file_mut());
            let written = write(&mut writer)?;
            writer.flush()?;
            written
        };
        file.as_file().sync_all()?;
        let kept = if self.force {
            file.persist(&self.path)
        } else {
            file.persist_noclobber(&self.path)
        };
        kept.with_context(|| format!("writing {}", self.path.display()))?;
        // The name lasts as the content does.
        File::open(folder)?.sync_all()?;
        Ok(written)
    }
}

/// Whether a path is the ledger, its log, its lock or its socket.
fn belongs_to_ledger(path: &Path, ledger: &Path) -> bool {
    let ledger = std::path::absolute(ledger).unwrap_or_else(|_| ledger.to_owned());
    let (path, ledger) = (path.to_string_lossy(), ledger.to_string_lossy());
    ["", "-wal", "-shm", ".lock", ".sock"]
        .iter()
        .any(|suffix| *path == format!("{ledger}{suffix}"))
}
