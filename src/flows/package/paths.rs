//! Paths in a package's bag: one never comes to mean other content.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::facts::Payload;
use crate::types::{NodeId, Sha256Digest, VersionNumber};

/// A document's version; none for the folder of a split master.
pub(super) type Version = (NodeId, Option<VersionNumber>);

/// Which paths are taken by what content.
pub(super) struct Paths {
    taken: BTreeMap<String, Sha256Digest>,
    /// The path that a version has in the package already.
    of_version: HashMap<Version, String>,
    now: HashSet<String>,
}

impl Paths {
    pub(super) fn new(known: &[Payload]) -> Self {
        let mut paths = Self {
            taken: BTreeMap::new(),
            of_version: HashMap::new(),
            now: HashSet::new(),
        };
        for payload in known {
            let version = (payload.node, payload.version);
            paths.taken.insert(payload.path.clone(), payload.sha256);
            paths.of_version.insert(version, payload.path.clone());
            // The folder of a split master's parts is taken too.
            if let Some(part) = &payload.part {
                paths.taken.insert(part.whole.clone(), part.sha256);
                paths
                    .of_version
                    .insert((part.node, None), part.whole.clone());
            }
        }
        paths
    }

    /// A path for a version: the one that it has in the package already, wherever a file of its
    /// kind would go now; otherwise one for its content.
    pub(super) fn take_for(
        &mut self,
        version: Version,
        wanted: &str,
        sha256: Sha256Digest,
    ) -> String {
        let known = self.of_version.get(&version);
        let known = known.filter(|path| self.taken.get(*path) == Some(&sha256));
        match known.filter(|path| !self.now.contains(*path)).cloned() {
            Some(path) => {
                self.now.insert(path.clone());
                path
            }
            None => self.take(wanted, sha256),
        }
    }

    /// A path for this content: its own, or one with a number when that holds another content.
    pub(super) fn take(&mut self, wanted: &str, sha256: Sha256Digest) -> String {
        let wanted = plain(wanted);
        let mut number = 1;
        let mut path = wanted.clone();
        while self.taken.get(&path).is_some_and(|there| *there != sha256)
            || self.now.contains(&path)
        {
            number += 1;
            path = numbered(&wanted, number);
        }
        self.taken.insert(path.clone(), sha256);
        self.now.insert(path.clone());
        path
    }
}

/// A path that every tool reads alike. A bag writes `%` and line ends in a way that `sha256sum`
/// does not know and other tools know in part, a backslash and a colon mean folders elsewhere.
fn plain(path: &str) -> String {
    let steps: Vec<String> = path
        .split('/')
        .map(|step| {
            let step: String = step
                .chars()
                .map(|character| match character {
                    '%' | '\\' | ':' => '_',
                    other if other.is_control() => '_',
                    other => other,
                })
                .collect();
            match step.trim() {
                "" | "." | ".." => "_".to_owned(),
                step => step.to_owned(),
            }
        })
        .collect();
    steps.join("/")
}

/// `a/b.mov` → `a/b.v2.mov`.
fn numbered(path: &str, number: u32) -> String {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    let name = match name.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() => format!("{stem}.v{number}.{extension}"),
        _ => format!("{name}.v{number}"),
    };
    if folder.is_empty() {
        name
    } else {
        format!("{folder}/{name}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_content_gets_a_path_of_its_own_and_the_same_content_its_old_one() {
        let (first, second) = (Sha256Digest([1; 32]), Sha256Digest([2; 32]));
        let mut paths = Paths::new(&[]);
        assert_eq!(
            paths.take("data/masters/a.mov", first),
            "data/masters/a.mov"
        );
        assert_eq!(
            paths.take("data/masters/a.mov", second),
            "data/masters/a.v2.mov"
        );
        let known: Vec<Payload> = Vec::new();
        let mut again = Paths::new(&known);
        again.taken = paths.taken;
        assert_eq!(
            again.take("data/masters/a.mov", second),
            "data/masters/a.v2.mov"
        );
        assert_eq!(
            again.take("data/masters/a.mov", first),
            "data/masters/a.mov"
        );
    }

    #[test]
    fn paths_are_such_that_every_tool_reads_them() {
        let mut paths = Paths::new(&[]);
        let sha256 = Sha256Digest([1; 32]);
        let take = |paths: &mut Paths, path: &str| paths.take(path, sha256);
        assert_eq!(
            take(&mut paths, "data/masters/100 %.mov"),
            "data/masters/100 _.mov"
        );
        // Two names that become one stay two paths.
        assert_eq!(
            take(&mut paths, "data/masters/100 :.mov"),
            "data/masters/100 _.v2.mov"
        );
        assert_eq!(take(&mut paths, "data/a\nb/../c\\d "), "data/a_b/_/c_d");
    }

    #[test]
    fn a_version_keeps_the_path_that_the_package_has_for_it() {
        let sha256 = Sha256Digest([1; 32]);
        let mut paths = Paths::new(&[]);
        paths.taken.insert("data/masters/brief.pdf".into(), sha256);
        let known = (NodeId(7), Some(VersionNumber(1)));
        paths
            .of_version
            .insert(known, "data/masters/brief.pdf".into());
        let wanted = "data/documents/brief.pdf";
        assert_eq!(
            paths.take_for(known, wanted, sha256),
            "data/masters/brief.pdf"
        );
        // Once; another document, or other content of the same, goes where its kind goes.
        assert_eq!(paths.take_for(known, wanted, sha256), wanted);
        let other = (NodeId(8), Some(VersionNumber(1)));
        assert_eq!(
            paths.take_for(other, "data/documents/list.pdf", sha256),
            "data/documents/list.pdf"
        );
    }
}
