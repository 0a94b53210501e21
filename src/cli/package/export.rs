//! `package export`: a whole package on a disk.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::chosen;
use crate::cli::exit::{Ended, Exit};
use crate::cli::export::{ATTEMPTS, unwritten};
use crate::cli::{Context, connect};
use crate::flows::package::{self, Kept, key_of};
use crate::ledger::Reader;
use crate::sidecar::bagit;
use crate::transfer::Whole;
use crate::types::{CollectionId, NodeId, Sha256Digest, VersionNumber, display_bytes};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The directory that the package's own directory goes into; what is there already is kept
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// The collection [default: the only one that has a package]
    #[arg(long, value_name = "ID")]
    collection: Option<String>,
}

/// A file to write.
struct Wanted {
    path: String,
    sha256: Sha256Digest,
    size: u64,
    node: NodeId,
    version: Option<VersionNumber>,
}

fn wanted(
    reader: &Reader,
    instance: &str,
    collection: &CollectionId,
    kept: &Kept,
) -> anyhow::Result<Vec<Wanted>> {
    let mut all = Vec::new();
    for paper in package::papers(instance, kept) {
        let item = reader.item_by_key(&package::item_key(collection, &paper.path))?;
        let filed = item
            .filter(|item| item.state == "done")
            .and_then(|item| item.node.zip(item.version));
        let Some((node, version)) = filed else {
            return Err(Ended::usage(format!(
                "{} of the package is not filed yet; `longhaul archive {collection} --package` goes on with it",
                paper.path
            )));
        };
        all.push(Wanted {
            sha256: Sha256Digest(Sha256::digest(&paper.content).into()),
            size: paper.content.len() as u64,
            path: paper.path,
            node,
            version: Some(version),
        });
    }
    // The list that closes the bag stays the last; the declaration comes first, because by it an
    // unfinished export is known again.
    let last = all.pop();
    all.sort_by_key(|file| file.path != "bagit.txt");
    all.extend(kept.facts.payload.iter().map(|file| Wanted {
        path: file.path.clone(),
        sha256: file.sha256,
        size: file.size,
        node: file.node,
        version: file.version,
    }));
    all.extend(last);
    Ok(all)
}

pub(super) async fn run(context: &Context, arguments: Arguments) -> anyhow::Result<Exit> {
    let settings = context.settings(Vec::new())?;
    let instance = settings.content_server()?.name.clone();
    let reader = connect::existing_ledger(&settings)?;
    let collection = chosen(reader.meta(package::LIST)?.as_deref(), arguments.collection)?;
    let kept = reader
        .meta(&key_of(&collection))?
        .map(|text| package::read(&text))
        .transpose()?
        .ok_or_else(|| Ended::usage(format!("the package of {collection} is not begun yet")))?;
    let files = wanted(&reader, &instance, &collection, &kept)?;
    let top = arguments.to.join(directory(&kept.facts.title));
    claim(&top)?;
    let http = connect::http_client(&settings)?;
    let destination = connect::content_server(&settings, &http).await?;
    let pace = connect::pace(&settings);
    let (mut written, mut there, mut bytes) = (0_u64, 0_u64, 0_u64);
    for file in &files {
        let to = place(&top, &file.path)?;
        bytes += file.size;
        if same(&to, file)? {
            there += 1;
            continue;
        }
        let content = match file.version {
            Some(version) => Whole::version(file.node, version, file.size),
            None => Whole::find(&destination, file.node).await?,
        };
        let folder = to.parent().unwrap_or(&top);
        std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        let mut temporary = tempfile::Builder::new()
            .prefix(".longhaul-")
            .tempfile_in(folder)
            .with_context(|| format!("writing in {}", folder.display()))?;
        let digest = content
            .read(&destination, &pace, ATTEMPTS, &mut |bytes| {
                temporary.write_all(bytes).map_err(unwritten)
            })
            .await
            .with_context(|| file.path.clone())?;
        if digest != file.sha256 {
            return Err(Ended(
                Exit::Mismatch,
                format!(
                    "{} reads back as {digest}, filed was {}",
                    file.path, file.sha256
                ),
            )
            .into());
        }
        temporary.as_file().sync_all()?;
        readable(temporary.as_file())?;
        temporary
            .persist(&to)
            .with_context(|| format!("writing {}", to.display()))?;
        written += 1;
    }
    let joined = joined(&top, &kept)?;
    context.output.event(
        "package_exported",
        json!({
            "collection": collection, "title": kept.facts.title, "to": top,
            "files": files.len(), "bytes": bytes, "written": written, "already_there": there,
        }),
    );
    context.output.say(format!(
        "{}: {} files, {}, {written} written and {there} there already, all compared with what was filed",
        top.display(),
        files.len(),
        display_bytes(bytes)
    ));
    for path in joined {
        context.output.say(format!(
            "  {path} is there in parts, which join to what was filed: cat {0}/{1}.[0-9]* > {1}",
            top.join(&path).display(),
            path.rsplit('/').next().unwrap_or_default()
        ));
    }
    Ok(Exit::Done)
}

/// Compares the parts of each split master, one after the other, with its digest; their paths.
fn joined(top: &Path, kept: &Kept) -> anyhow::Result<Vec<String>> {
    let mut all = Vec::new();
    for (path, (whole, files)) in kept.facts.split_masters() {
        let mut hasher = Sha256::new();
        for file in files.iter().filter(|file| file.is_segment()) {
            let from = place(top, &file.path)?;
            let mut from = std::fs::File::open(&from)
                .with_context(|| format!("reading {}", from.display()))?;
            hash(&mut from, &mut hasher)?;
        }
        let digest = Sha256Digest(hasher.finalize().into());
        if digest != whole.sha256 {
            return Err(Ended(
                Exit::Mismatch,
                format!(
                    "the parts of {path} join to {digest}, filed was {}",
                    whole.sha256
                ),
            )
            .into());
        }
        all.push(path.to_owned());
    }
    Ok(all)
}

/// Temporary files are for their owner alone; a package is for others.
fn readable(file: &std::fs::File) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    file.set_permissions(std::fs::Permissions::from_mode(0o644))
}

/// A campaign's title as the name of a directory.
fn directory(title: &str) -> String {
    let name: String = title
        .chars()
        .map(|character| match character {
            '/' | '\\' | ':' | '\0'..='\u{1f}' => '_',
            other => other,
        })
        .collect();
    match name.trim().trim_start_matches('.') {
        "" => "package".to_owned(),
        name => name.to_owned(),
    }
}

/// Refuses a directory that holds something else.
fn claim(top: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(top).with_context(|| format!("making {}", top.display()))?;
    let begun = top.join("bagit.txt").is_file();
    // A process that was killed may have left a file that was not finished.
    let foreign = std::fs::read_dir(top)?.flatten().any(|entry| {
        !entry
            .file_name()
            .to_string_lossy()
            .starts_with(".longhaul-")
    });
    if foreign && !begun {
        return Err(Ended::usage(format!(
            "{} holds something else; name another directory with --to",
            top.display()
        )));
    }
    Ok(())
}

/// Where a path of the bag is on disk; never outside.
fn place(top: &Path, path: &str) -> anyhow::Result<PathBuf> {
    if !bagit::is_inside(path) {
        return Err(Ended(
            Exit::Mismatch,
            format!("{path:?} leads out of the package and is not written"),
        )
        .into());
    }
    Ok(top.join(path))
}

/// Whether the file is there already, with this content.
fn same(path: &Path, wanted: &Wanted) -> anyhow::Result<bool> {
    let mut file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error).with_context(|| format!("reading {}", path.display())),
    };
    if file.metadata()?.len() != wanted.size {
        return Ok(false);
    }
    let mut hasher = Sha256::new();
    hash(&mut file, &mut hasher)?;
    Ok(Sha256Digest(hasher.finalize().into()) == wanted.sha256)
}

/// Adds what a file holds.
fn hash(file: &mut std::fs::File, hasher: &mut Sha256) -> std::io::Result<()> {
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok(());
        }
        hasher.update(buffer.get(..read).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_path_leads_out_of_the_package() {
        let top = Path::new("/tmp/bag");
        for path in ["../x", "/etc/passwd", "data/../../x", ""] {
            assert!(place(top, path).is_err(), "{path}");
        }
        assert_eq!(
            place(top, "data/a b").unwrap(),
            Path::new("/tmp/bag/data/a b")
        );
        for title in ["../../etc", "a/b", ".", "", "..", "a\\b"] {
            let name = directory(title);
            assert!(
                !name.contains('/') && !name.contains('\\') && !name.starts_with('.'),
                "{name}"
            );
            assert!(!name.is_empty());
        }
    }
}
