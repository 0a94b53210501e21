//! Where a ledger may be: its path, its file system, its file's mode and first bytes.
//!
//! Everything here is settled before SQLite touches the file, because SQLite would happily follow
//! a link, recover somebody else's database or map memory that a network file system does not
//! keep coherent.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tracing::warn;

use super::Error;

/// "lhgL", in the header of every ledger.
pub(super) const APPLICATION_ID: i32 = 0x6c68_674c;

/// Only the owner reads it: hash states hold up to 63 bytes of content, sessions grant access.
const MODE: u32 = 0o600;

/// What is at the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// No file, or an empty one.
    Nothing,
    /// A file with a ledger's header.
    Ledger,
}

/// The path of a file that stands beside the ledger.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

/// Looks at the path without changing anything.
///
/// # Errors
///
/// [`Error::BadPath`], [`Error::NotALedger`], [`Error::NetworkFileSystem`], or what reading the
/// file's first bytes failed with.
pub(super) fn inspect(path: &Path) -> Result<Found, Error> {
    let bad = |problem: String| Error::BadPath {
        path: path.to_owned(),
        problem,
    };
    if path.file_name().is_none() {
        return Err(bad("it names no file".into()));
    }
    let parent = parent(path);
    match fs::metadata(parent) {
        Ok(found) if found.is_dir() => {}
        Ok(_) => return Err(bad(format!("{} is not a directory", parent.display()))),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(bad(format!(
                "there is no directory {}; create it first",
                parent.display()
            )));
        }
        Err(error) => return Err(bad(format!("{}: {error}", parent.display()))),
    }
    if let Some(kind) = network_file_system(parent) {
        return Err(Error::NetworkFileSystem {
            path: path.to_owned(),
            kind,
        });
    }
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(error) => return Err(bad(error.to_string())),
    };
    if found.is_symlink() {
        return Err(bad("it is a symbolic link; name the file itself".into()));
    }
    if found.is_dir() {
        return Err(bad("it is a directory; name a file in it".into()));
    }
    if !found.is_file() {
        return Err(bad("it is not a regular file".into()));
    }
    if found.nlink() > 1 {
        // The lock and the log are found by name: under another name there would be others.
        return Err(bad("the file has a second name (a hard link)".into()));
    }
    if found.len() == 0 {
        return Ok(Found::Nothing);
    }
    let mut header = [0; 72];
    let mut file = File::open(path).map_err(|error| bad(error.to_string()))?;
    match file.read_exact(&mut header) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
            return Err(Error::NotALedger {
                path: path.to_owned(),
            });
        }
        Err(error) => return Err(bad(error.to_string())),
    }
    // The file format puts the application id at byte 68, big-endian.
    if header.starts_with(b"SQLite format 3\0") && header[68..] == APPLICATION_ID.to_be_bytes() {
        Ok(Found::Ledger)
    } else {
        Err(Error::NotALedger {
            path: path.to_owned(),
        })
    }
}

/// Makes sure that only the owner reads the ledger: creates the file if it is missing, narrows
/// its mode and that of its log if they are wider.
///
/// # Errors
///
/// [`Error::BadPath`] when that is not possible, or when a log stands there without its file.
pub(super) fn prepare(path: &Path) -> Result<(), Error> {
    let bad = |problem: String| Error::BadPath {
        path: path.to_owned(),
        problem,
    };
    let log = beside(path, "-wal");
    match create(path) {
        Ok(_) => {
            // The file's name must survive a power cut as surely as its content.
            File::open(parent(path))
                .and_then(|directory| directory.sync_all())
                .map_err(|error| bad(error.to_string()))?;
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(bad(error.to_string())),
    }
    let empty = fs::metadata(path).is_ok_and(|found| found.len() == 0);
    if empty && fs::metadata(&log).is_ok_and(|found| found.len() > 0) {
        return Err(bad(format!(
            "the file is gone but its log {} is there; restore the file or move the log away",
            log.display()
        )));
    }
    for file in [path, &log, &beside(path, "-shm")] {
        match fs::metadata(file) {
            Ok(found) if found.mode() & 0o077 != 0 => {
                warn!(path = %file.display(), mode = format!("{:o}", found.mode() & 0o777), "others could read the ledger; its mode is now 600");
                fs::set_permissions(file, Permissions::from_mode(MODE))
                    .map_err(|error| bad(format!("others can read it: {error}")))?;
            }
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(bad(error.to_string())),
        }
    }
    Ok(())
}

fn create(path: &Path) -> std::io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(MODE)
        .open(path)
}

/// Opens the file that is locked, creating it if need be; never through a symbolic link.
pub(super) fn open_lock(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(MODE);
    #[cfg(target_os = "linux")]
    if let Ok(flag) = i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()) {
        options.custom_flags(flag);
    }
    options.open(path)
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// The name of the network or cluster file system that holds `directory`, if it is one.
fn network_file_system(directory: &Path) -> Option<&'static str> {
    #[cfg(target_os = "linux")]
    {
        let found = rustix::fs::statfs(directory).ok()?;
        // Magic numbers have 32 bits; the field's width and sign differ between targets.
        let kind = kind_of(found.f_type as u64 & 0xffff_ffff)?;
        // `ntfs-3g` and its like serve a local disk through FUSE.
        (kind != FUSE || !is_fuse_of_a_disk(directory)).then_some(kind)
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = directory;
        None
    }
}

#[cfg(target_os = "linux")]
const FUSE: &str = "FUSE";

/// Magic numbers of file systems whose locks or shared memory end at the machine's edge
/// (`linux/magic.h` and the drivers' own headers).
#[cfg(target_os = "linux")]
fn kind_of(magic: u64) -> Option<&'static str> {
    Some(match magic {
        0x6969 => "NFS",
        0x517b => "SMB",
        0xfe53_4d42 => "SMB2",
        0xff53_4d42 => "CIFS",
        0x5346_414f | 0x6b41_4653 => "AFS",
        0x00c3_6400 => "Ceph",
        0x7375_7245 => "Coda",
        0x564c => "NCP",
        0x0bd0_0bd0 => "Lustre",
        0x4750_4653 => "GPFS",
        0x1983_0326 => "BeeGFS",
        0x2003_0528 => "OrangeFS",
        0x786f_4256 => "a virtual machine's shared folder",
        0x6573_5546 => FUSE,
        _ => return None,
    })
}

/// Whether the mount of `directory` is of type `fuseblk`: FUSE over a block device.
#[cfg(target_os = "linux")]
fn is_fuse_of_a_disk(directory: &Path) -> bool {
    let (Ok(found), Ok(mounts)) = (
        fs::metadata(directory),
        fs::read_to_string("/proc/self/mountinfo"),
    ) else {
        return false;
    };
    let (major, minor) = (
        rustix::fs::major(found.dev()),
        rustix::fs::minor(found.dev()),
    );
    mount_type(&mounts, &format!("{major}:{minor}")) == Some("fuseblk")
}

/// The type of the mount with that device number, from the text of `mountinfo`.
#[cfg(target_os = "linux")]
fn mount_type<'a>(mounts: &'a str, device: &str) -> Option<&'a str> {
    mounts.lines().find_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        (before.split(' ').nth(2)? == device).then(|| after.split(' ').next())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(path: &Path, because: &str) {
        let error = inspect(path).unwrap_err().to_string();
        assert!(error.contains(because), "{error}");
    }

    #[test]
    fn a_path_that_cannot_hold_a_ledger_is_refused_with_what_is_in_the_way() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        assert_eq!(inspect(&file).unwrap(), Found::Nothing);
        assert_eq!(
            inspect(&dir.path().join("none")).unwrap(),
            Found::Nothing,
            "and nothing is created by looking"
        );
        assert!(!dir.path().join("none").exists());

        refused(dir.path(), "it is a directory");
        refused(&dir.path().join("a/b.db"), "create it first");
        refused(&file.join("b.db"), "not a directory");
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&file, &link).unwrap();
        refused(&link, "symbolic link");
        fs::hard_link(&file, dir.path().join("second")).unwrap();
        refused(&file, "hard link");
        let _socket = std::os::unix::net::UnixListener::bind(dir.path().join("socket")).unwrap();
        refused(&dir.path().join("socket"), "not a regular file");
        refused(Path::new("/"), "names no file");
        fs::write(dir.path().join("notes.txt"), "my notes").unwrap();
        refused(&dir.path().join("notes.txt"), "not a ledger of longhaul");
    }

    #[test]
    fn a_log_without_its_file_is_not_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("l.db");
        fs::write(dir.path().join("l.db-wal"), "commits").unwrap();
        let error = prepare(&path).unwrap_err().to_string();
        assert!(error.contains("move the log away"), "{error}");
        assert_eq!(fs::read(dir.path().join("l.db-wal")).unwrap(), b"commits");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn network_file_systems_are_known_by_their_magic_numbers() {
        for (magic, kind) in [
            (0x6969, "NFS"),
            (0x517b, "SMB"),
            (0xfe53_4d42, "SMB2"),
            (0xff53_4d42, "CIFS"),
            (0x5346_414f, "AFS"),
            (0x6b41_4653, "AFS"),
            (0x00c3_6400, "Ceph"),
            (0x6573_5546, "FUSE"),
        ] {
            assert_eq!(kind_of(magic), Some(kind));
        }
        // ext4, xfs, btrfs, tmpfs, overlayfs, zfs
        for magic in [
            0xef53,
            0x5846_5342,
            0x9123_683e,
            0x0102_1994,
            0x794c_7630,
            0x2fc1_2fc1,
        ] {
            assert_eq!(kind_of(magic), None);
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn fuse_over_a_block_device_is_told_from_fuse_over_a_network() {
        let mounts = "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - fuseblk /dev/sda1 rw\n\
                      37 35 0:51 / /srv rw shared:2 - fuse.sshfs host:/ rw\n";
        assert_eq!(mount_type(mounts, "98:0"), Some("fuseblk"));
        assert_eq!(mount_type(mounts, "0:51"), Some("fuse.sshfs"));
        assert_eq!(mount_type(mounts, "8:1"), None);
    }
}
