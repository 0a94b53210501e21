//! The auditor: judges everything that ever happened in the simulated Content Server.
//!
//! What may be visible is written in [`Books`]; the history of effects is played again from the
//! beginning, and the invariants are checked after every one of them.

use std::collections::{BTreeMap, BTreeSet};

use longhaul::simulator::content_server::duplicates;
use longhaul::types::ByteCount;
use serde_json::Value;

use super::{Systems, of_type};

/// What each published document may hold: its contents, oldest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Books {
    files: BTreeMap<String, Vec<(ByteCount, String)>>,
}

impl Books {
    /// The next content of a file: size and SHA-256.
    pub(crate) fn file(&mut self, name: &str, size: ByteCount, sha256: &str) {
        let contents = self.files.entry(name.to_owned()).or_default();
        contents.push((size, sha256.to_owned()));
    }
}

/// Whether an effect made a document or version with content.
pub(crate) fn is_content(event: &Value) -> bool {
    matches!(event["kind"].as_str(), Some("create" | "version")) && event["sha256"].is_string()
}

/// How many documents and versions with content were ever made.
pub(crate) fn contents(systems: &Systems) -> usize {
    let history = systems.simulator.content_server().history();
    history.iter().filter(|event| is_content(event)).count()
}

/// The counts of one audit.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) effects: usize,
    pub(crate) visible: usize,
    pub(crate) in_staging: usize,
}

/// Plays the history again: at no instant were two visible versions the same content, and nothing
/// was ever visible that is not in the books. Safe at any moment, also in the middle of work.
#[track_caller]
pub(crate) fn history(systems: &Systems, books: &Books) -> Counts {
    let server = systems.simulator.content_server();
    let history = server.history();
    let target = systems.simulator.connection_json()["content_server"]["target"]
        .as_i64()
        .expect("the target folder");
    let known: BTreeMap<&str, &str> = books
        .files
        .iter()
        .flat_map(|(name, contents)| {
            let digests = contents.iter();
            digests.map(move |(_, digest)| (digest.as_str(), name.as_str()))
        })
        .collect();
    // Of each node: the container, and the digests of its versions.
    let mut nodes: BTreeMap<i64, (i64, Vec<String>)> = BTreeMap::new();
    for event in &history {
        let Some(node) = event["node"].as_i64() else {
            continue;
        };
        match event["kind"].as_str() {
            Some("create") => {
                let parent = event["parent"].as_i64().expect("where it was made");
                let digest = event["sha256"].as_str().map(str::to_owned);
                nodes.insert(node, (parent, digest.into_iter().collect()));
            }
            Some("version") => {
                let digest = event["sha256"].as_str().expect("content is kept");
                let (_, versions) = nodes.get_mut(&node).expect("made before");
                versions.push(digest.to_owned());
            }
            Some("move") => {
                let to = event["to"]["parent"].as_i64().expect("where it went");
                nodes.get_mut(&node).expect("made before").0 = to;
            }
            Some("delete" | "version_delete" | "purge") => {
                panic!("longhaul deletes nothing: {event}")
            }
            _ => continue,
        }
        let mut seen = BTreeSet::new();
        for (parent, versions) in nodes.values() {
            let visible = !versions.is_empty() && is_below(&nodes, *parent, target);
            for digest in versions.iter().filter(|_| visible) {
                let master = known.contains_key(digest.as_str());
                assert!(
                    !master || seen.insert(digest),
                    "visible twice after {event}: {}",
                    known[digest.as_str()]
                );
            }
        }
    }
    let visible = server.visible_versions();
    let (published, staged): (Vec<_>, Vec<_>) = visible
        .into_iter()
        .partition(|version| is_below(&nodes, version.parent, target));
    assert!(duplicates(&published).is_empty(), "{published:#?}");
    for version in &published {
        // A name that was taken gets a suffix, which no audit here expects.
        let Some(contents) = books.files.get(&version.name) else {
            assert!(version.name.ends_with(".json"), "{version:?}");
            continue;
        };
        let digest = version.sha256.expect("content is kept").to_string();
        assert!(
            contents.contains(&(version.size, digest)),
            "neither this content nor that: {version:?}"
        );
    }
    Counts {
        effects: history.len(),
        visible: published.len(),
        in_staging: staged.len(),
    }
}

/// Whether a container is `top` or somewhere in it.
fn is_below(nodes: &BTreeMap<i64, (i64, Vec<String>)>, mut container: i64, top: i64) -> bool {
    while container != top {
        match nodes.get(&container) {
            Some((parent, _)) => container = *parent,
            None => return false,
        }
    }
    true
}

/// Everything is done: each file has exactly its contents, in order, and longhaul's own record
/// and proofs agree.
#[track_caller]
pub(crate) fn all(systems: &Systems, books: &Books) -> Counts {
    let counts = history(systems, books);
    let staging = systems.simulator.connection_json()["content_server"]["staging"]
        .as_i64()
        .expect("the staging folder");
    let published: BTreeSet<i64> = systems
        .simulator
        .content_server()
        .visible_versions()
        .iter()
        .filter(|version| version.parent != staging)
        .map(|version| version.node)
        .collect();
    for (name, contents) in &books.files {
        let versions: Vec<_> = systems
            .simulator
            .content_server()
            .visible_versions()
            .into_iter()
            .filter(|version| version.name == *name && published.contains(&version.node))
            .map(|version| {
                let digest = version.sha256.expect("content is kept").to_string();
                (version.version, (version.size, digest))
            })
            .collect();
        let mut versions = versions;
        versions.sort();
        let filed: Vec<_> = versions.into_iter().map(|(_, content)| content).collect();
        if filed != *contents {
            // The journal says how it came to that.
            let (_, journal) = systems.run(&["audit"]);
            panic!("{name}: {filed:?} instead of {contents:?}\n{journal:#?}");
        }
    }
    assert_eq!(systems.simulator.parts().bucket.leaks(), 0, "a secret left");
    let verified = systems.must(&["verify"]);
    assert_eq!(of_type(&verified, "verified")["differ"], 0);
    systems.must(&["audit", "verify"]);
    counts
}
