//! Files of on-premise storages, read from where the storage is mounted here.
//!
//! The folder and name come from iconik and are not trusted: every component is checked, links are
//! resolved, and what lies outside the mount is refused. The modification time in nanoseconds
//! stands in for an entity tag.

use std::io::SeekFrom;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use bytes::{Bytes, BytesMut};
use futures::stream;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};

use super::{Client, Locator, Master};
use crate::transfer::{ByteStream, Opened, Validator};
use crate::types::{ByteRange, Failure, FailureClass, Reason};

/// Read at once: large enough for a network share, small against a part.
const READ: usize = 1 << 20;

impl Client {
    /// Looks whether the storage of a master is mounted here, as far as the settings say.
    ///
    /// # Errors
    ///
    /// What to mount and where to write it down.
    pub async fn check_mount(&self, master: &Master) -> Result<(), Failure> {
        match master.files.first() {
            Some(file) => self.mount_of(&master.locator(file)).await.map(drop),
            None => Ok(()),
        }
    }

    /// Where the locator's storage is mounted, by its id or name.
    pub(super) async fn mount_of(&self, at: &Locator) -> Result<&Path, Failure> {
        let mounts = &self.config().mounts;
        let mut label = "without a name".to_owned();
        if let Some(id) = &at.storage {
            if let Some(path) = mounts.get(id.as_str()) {
                return Ok(path);
            }
            label = id.to_string();
            if let Some(storage) = self.storage(id).await?
                && let Some(name) = &storage.name
            {
                if let Some(path) = mounts.get(name) {
                    return Ok(path);
                }
                label = format!("{name} ({id})");
            }
        }
        Err(Failure::item(
            Reason::Other,
            format!(
                "storage {label} gives no signed addresses (on-premise ones never do); mount it \
                 here and add it to [iconik.mounts], by id or name"
            ),
        ))
    }
}

/// The path of a file below `mount`, from parts that are not trusted.
fn join(mount: &Path, directory: &str, name: &str) -> Result<PathBuf, Failure> {
    let refuse = |what: &str| {
        let what: String = what.chars().take(120).collect();
        Failure::item(
            Reason::Other,
            format!("{what:?} cannot be part of a path below the mount"),
        )
    };
    let mut path = mount.to_path_buf();
    for part in directory
        .split('/')
        .filter(|part| !matches!(*part, "" | "."))
    {
        if part == ".." || part.contains('\0') || (cfg!(windows) && part.contains(['\\', ':'])) {
            return Err(refuse(part));
        }
        path.push(part);
    }
    if matches!(name, "" | "." | "..")
        || name.contains(['/', '\0'])
        || (cfg!(windows) && name.contains(['\\', ':']))
    {
        return Err(refuse(name));
    }
    path.push(name);
    Ok(path)
}

/// A file below the mount, open, with the identity of what it holds now.
struct Mounted {
    file: tokio::fs::File,
    validator: Validator,
}

async fn open_file(mount: &Path, at: &Locator) -> Result<Mounted, Failure> {
    let wanted = join(mount, &at.directory, &at.name)?;
    let root = tokio::fs::canonicalize(mount).await.map_err(|error| {
        Failure::new(
            FailureClass::RetryLater,
            Reason::Other,
            format!("mount {} cannot be read: {error}", mount.display()),
        )
    })?;
    let path = match tokio::fs::canonicalize(&wanted).await {
        Ok(path) => path,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            // The empty folder below a share that is not mounted proves nothing.
            let mut entries = tokio::fs::read_dir(&root)
                .await
                .map_err(|e| failed(&wanted, &e))?;
            return Err(match entries.next_entry().await {
                Ok(Some(_)) => Failure::item(
                    Reason::NotFound,
                    format!("{} does not exist", wanted.display()),
                ),
                _ => Failure::new(
                    FailureClass::RetryLater,
                    Reason::Other,
                    format!("mount {} is empty; is the storage mounted", root.display()),
                ),
            });
        }
        Err(error) => return Err(failed(&wanted, &error)),
    };
    if !path.starts_with(&root) {
        return Err(Failure::item(
            Reason::Other,
            format!("{} leads out of its mount", wanted.display()),
        ));
    }
    let file = tokio::fs::File::open(&path)
        .await
        .map_err(|e| failed(&path, &e))?;
    let validator = identity(&file, &path).await?;
    Ok(Mounted { file, validator })
}

async fn identity(file: &tokio::fs::File, path: &Path) -> Result<Validator, Failure> {
    let facts = file.metadata().await.map_err(|e| failed(path, &e))?;
    if !facts.is_file() {
        return Err(Failure::item(
            Reason::Other,
            format!("{} is not a regular file", path.display()),
        ));
    }
    let modified = facts
        .modified()
        .ok()
        .and_then(|at| at.duration_since(UNIX_EPOCH).ok())
        .map_or(0, |since| since.as_nanos());
    Ok(Validator {
        size: facts.len(),
        etag: Some(format!("\"{}-{modified}\"", facts.len())),
        last_modified: None,
    })
}

fn failed(path: &Path, error: &std::io::Error) -> Failure {
    let class = if error.kind() == std::io::ErrorKind::PermissionDenied {
        FailureClass::ItemIsWrong
    } else {
        FailureClass::RetryNow
    };
    Failure::new(class, Reason::Other, format!("{}: {error}", path.display()))
}

pub(super) async fn open(mount: &Path, at: &Locator) -> Result<Opened, Failure> {
    let mounted = open_file(mount, at).await?;
    Ok(Opened {
        validator: mounted.validator,
        ranges: true,
        md5: None,
    })
}

pub(super) async fn read(
    mount: &Path,
    at: &Locator,
    range: ByteRange,
    pin: &Validator,
) -> Result<ByteStream, Failure> {
    let Mounted {
        mut file,
        validator,
    } = open_file(mount, at).await?;
    let changed = || {
        Failure::new(
            FailureClass::RetryNow,
            Reason::SourceChanged,
            "the file on the mount changed while it was read",
        )
    };
    if validator != *pin {
        return Err(changed());
    }
    let path = mount.join(&at.name);
    file.set_max_buf_size(READ);
    file.seek(SeekFrom::Start(range.start))
        .await
        .map_err(|e| failed(&path, &e))?;
    let reading = (file, range.len(), pin.clone(), path);
    Ok(Box::pin(stream::try_unfold(
        reading,
        move |(mut file, left, pin, path)| async move {
            if left == 0 {
                return Ok(None);
            }
            let want = usize::try_from(left).map_or(READ, |left| left.min(READ));
            let mut buffer = BytesMut::with_capacity(want);
            while buffer.len() < want {
                let rest = (want - buffer.len()) as u64;
                let got = (&mut file).take(rest).read_buf(&mut buffer).await;
                if got.map_err(|e| failed(&path, &e))? == 0 {
                    return Err(changed());
                }
            }
            let left = left - buffer.len() as u64;
            // The last bytes leave only when nothing was written meanwhile.
            if left == 0 && identity(&file, &path).await? != pin {
                return Err(changed());
            }
            Ok(Some((Bytes::from(buffer), (file, left, pin, path))))
        },
    )))
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt as _;
    use proptest::prelude::*;

    use super::*;

    fn locator(directory: &str, name: &str) -> Locator {
        let mut at = Locator::parse(
            r#"{"asset":"a","version":"v","format":"f","file_set":"s","file":"x","method":"FILE"}"#,
        )
        .unwrap();
        directory.clone_into(&mut at.directory);
        name.clone_into(&mut at.name);
        at
    }

    async fn collect(
        mount: &Path,
        at: &Locator,
        range: ByteRange,
        pin: &Validator,
    ) -> Result<Vec<u8>, Failure> {
        let frames: Vec<Bytes> = read(mount, at, range, pin).await?.try_collect().await?;
        Ok(frames.concat())
    }

    #[tokio::test]
    async fn ranges_of_a_mounted_file_are_read_and_pinned() {
        let mount = tempfile::tempdir().unwrap();
        std::fs::create_dir(mount.path().join("reel 1")).unwrap();
        let content: Vec<u8> = (0..3_000_000u32).map(|i| (i % 251) as u8).collect();
        let path = mount.path().join("reel 1/a.mov");
        std::fs::write(&path, &content).unwrap();
        let at = locator("/reel 1//", "a.mov");
        let opened = open(mount.path(), &at).await.unwrap();
        assert_eq!(opened.validator.size, 3_000_000);
        for range in [
            ByteRange::new(0, 1),
            ByteRange::new(7, 2_500_000),
            ByteRange::new(2_999_999, 3_000_000),
        ] {
            let got = collect(mount.path(), &at, range, &opened.validator)
                .await
                .unwrap();
            let at = |byte: u64| usize::try_from(byte).unwrap();
            assert!(got == content[at(range.start)..at(range.end)], "{range}");
        }
        std::fs::write(&path, b"other").unwrap();
        let failure = collect(mount.path(), &at, ByteRange::new(0, 1), &opened.validator).await;
        assert_eq!(failure.unwrap_err().reason, Reason::SourceChanged);
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn nothing_outside_the_mount_is_read() {
        let outer = tempfile::tempdir().unwrap();
        let mount = outer.path().join("mount");
        std::fs::create_dir(&mount).unwrap();
        std::fs::write(outer.path().join("secret"), b"s").unwrap();
        std::fs::write(mount.join("inside"), b"i").unwrap();
        std::os::unix::fs::symlink(outer.path().join("secret"), mount.join("out")).unwrap();
        std::os::unix::fs::symlink("inside", mount.join("in")).unwrap();
        std::os::unix::fs::symlink("..", mount.join("up")).unwrap();
        for (directory, name) in [
            ("..", "secret"),
            ("a/../..", "secret"),
            ("", "../secret"),
            ("", "out"),
            ("up", "secret"),
            ("", ".."),
            ("", ""),
            ("", "up"),
        ] {
            let failure = open(&mount, &locator(directory, name)).await.unwrap_err();
            assert_eq!(
                failure.class,
                FailureClass::ItemIsWrong,
                "{directory:?} {name:?}"
            );
        }
        assert!(open(&mount, &locator("", "in")).await.is_ok());
    }

    #[tokio::test]
    async fn an_empty_or_absent_mount_is_no_proof_that_the_file_is_gone() {
        let mount = tempfile::tempdir().unwrap();
        let at = locator("", "a.mov");
        let failure = open(mount.path(), &at).await.unwrap_err();
        assert_eq!(failure.class, FailureClass::RetryLater);
        let failure = open(&mount.path().join("absent"), &at).await.unwrap_err();
        assert_eq!(failure.class, FailureClass::RetryLater);
        std::fs::write(mount.path().join("b.mov"), b"b").unwrap();
        let failure = open(mount.path(), &at).await.unwrap_err();
        assert_eq!(failure.reason, Reason::NotFound);
    }

    proptest! {
        #[test]
        fn a_joined_path_has_only_plain_parts_below_the_mount(directory in "[a./\\\\]{0,12}", name in "[a./\\\\]{0,4}") {
            let mount = Path::new("/mnt/x");
            if let Ok(path) = join(mount, &directory, &name) {
                let rest = path.strip_prefix(mount).unwrap();
                prop_assert!(rest.components().all(|part| matches!(part, std::path::Component::Normal(_))));
                prop_assert!(rest.components().count() >= 1);
            }
        }
    }
}
