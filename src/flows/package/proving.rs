//! Rights in a package: what each rights sidecar says, and the papers that prove it.
//!
//! The papers are documents of Content Server; those that came from iconik were filed there before
//! the masters that need them. Each becomes payload of the package, once however many licences it
//! proves. Its content is read for its digests when the package does not know the version yet.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::facts::{Facts, Licence, Payload, Proof};
use super::gather::ATTEMPTS;
use super::paths::Paths;
use crate::flows::{Error, Systems};
use crate::pace::Pace;
use crate::sidecar::campaign::{Exception, Kind};
use crate::sidecar::mhl;
use crate::sidecar::rights::Policy;
use crate::sidecar::rights::terms::Status;
use crate::transfer::read_back;
use crate::types::{Failure, NodeId, ProofLevel, Reason};

/// Takes note of what a rights sidecar says.
pub(super) fn licence(sidecar: &Payload, content: &[u8], facts: &mut Facts) {
    let policy = match Policy::parse(content) {
        Ok(policy) => policy,
        Err(problem) => {
            facts.exceptions.push(Exception {
                path: sidecar.path.clone(),
                reason: format!("its rights cannot be read: {problem}"),
            });
            return;
        }
    };
    let unknown = unknown(&policy).map(str::to_owned);
    let forbidden = policy.prohibitions.iter();
    facts.licences.push(Licence {
        asset: sidecar.asset.clone(),
        sidecar: sidecar.path.clone(),
        says: unknown.clone().unwrap_or_else(|| policy.words()),
        unknown,
        forbidden: forbidden.map(|rule| rule.words()).collect(),
        permits: !policy.permissions.is_empty(),
        begins: policy.begins(),
        ends: policy.ends(),
        papers: policy
            .documents
            .iter()
            .map(|document| Proof {
                role: document.role.clone(),
                id: document.id.clone(),
                path: None,
            })
            .collect(),
        policy: policy.uid,
    });
}

/// Why a sidecar tells of no licence; nothing when it does. It forbids every use then, because a
/// policy needs a rule: that is no term of anybody's.
fn unknown(policy: &Policy) -> Option<&'static str> {
    if !policy.permissions.is_empty() {
        return None;
    }
    match policy.status {
        None | Some(Status::Unknown) => Some(
            "the rights are unknown: iconik says nothing of a licence, so no use is known to be permitted",
        ),
        Some(Status::Pending) => {
            Some("the rights are not cleared yet (pending), so no use is permitted so far")
        }
        Some(Status::Cleared | Status::Restricted | Status::Expired) => None,
    }
}

/// Makes payload of the papers that prove the licences.
pub(super) async fn papers(
    systems: &Systems,
    pace: &Pace,
    known: &Facts,
    facts: &mut Facts,
    paths: &mut Paths,
) -> Result<(), Error> {
    // In order of id, so that names that meet get the same numbers each time.
    let mut wanted: BTreeMap<NodeId, String> = BTreeMap::new();
    for licence in &facts.licences {
        for paper in &licence.papers {
            if let Some(node) = node_of(&paper.id) {
                wanted.entry(node).or_insert_with(|| licence.asset.clone());
            }
        }
    }
    let mut found = BTreeMap::new();
    for (node, asset) in wanted {
        match paper(systems, pace, known, node, asset, paths).await {
            Ok(payload) => {
                found.insert(node, payload.path.clone());
                facts.payload.push(payload);
            }
            Err(failure) if matches!(failure.reason, Reason::NotFound | Reason::Inaccessible) => {
                facts.exceptions.push(Exception {
                    path: format!("node {node}"),
                    reason: format!("a paper that proves rights is not to be had: {failure}"),
                });
            }
            Err(failure) => return Err(failure.into()),
        }
    }
    for licence in &mut facts.licences {
        for paper in &mut licence.papers {
            paper.path = node_of(&paper.id).and_then(|node| found.get(&node).cloned());
        }
    }
    Ok(())
}

/// The node in `urn:otcs:<instance>:node:<id>`.
fn node_of(id: &str) -> Option<NodeId> {
    let (_, node) = id.rsplit_once(":node:")?;
    node.parse().ok().map(NodeId)
}

/// The latest version of a paper; as it is known, or read for its digests.
async fn paper(
    systems: &Systems,
    pace: &Pace,
    known: &Facts,
    node: NodeId,
    asset: String,
    paths: &mut Paths,
) -> Result<Payload, Failure> {
    let destination = &systems.destination;
    let versions = destination.versions(node).await?;
    let Some(version) = versions.into_iter().next_back() else {
        return Err(Failure::item(
            Reason::NotFound,
            format!("node {node} has no version"),
        ));
    };
    let same = |payload: &&Payload| {
        payload.kind == Kind::Rights
            && payload.node == node
            && payload.version == Some(version.number)
            && payload.size == version.size
    };
    if let Some(payload) = known.payload.iter().find(same) {
        let path = paths.take(&payload.path, payload.sha256);
        return Ok(Payload {
            path,
            ..payload.clone()
        });
    }
    let name = destination.node(node).await?.name;
    let mut hasher = mhl::Hasher::default();
    let sha256 = read_back(
        &**destination,
        pace,
        node,
        version.number,
        version.size,
        ATTEMPTS,
        &mut |bytes| {
            hasher.update(bytes);
            Ok(())
        },
    )
    .await?;
    Ok(Payload {
        path: paths.take(&format!("data/rights/{name}"), sha256),
        kind: Kind::Rights,
        size: version.size,
        sha256,
        level: ProofLevel::ReadBack,
        mime: "application/octet-stream".to_owned(),
        asset,
        file: String::new(),
        node,
        version: Some(version.number),
        digests: Some(hasher.digests()),
        at: Timestamp::now(),
        asset_version: String::new(),
        release: None,
        part: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_read_off_its_name() {
        assert_eq!(node_of("urn:otcs:prod:node:42"), Some(NodeId(42)));
        assert_eq!(node_of("urn:otcs:a:node:b:node:7"), Some(NodeId(7)));
        for other in ["urn:otcs:prod:node:", "https://x/42", "urn:otcs:prod:42"] {
            assert_eq!(node_of(other), None, "{other}");
        }
    }
}
