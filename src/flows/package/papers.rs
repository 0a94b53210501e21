//! The documents of a package, made from what is kept of it and from nothing else: the same bytes
//! however often they are made.

use std::collections::BTreeMap;

use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::facts::{Facts, Kept, Payload};
use crate::sidecar::campaign::{
    Campaign, FORMAT, IconikIds, Kind, OtcsIds, PackedItem, PackedRights, ProvingPaper,
    SplitMaster, Totals,
};
use crate::sidecar::{bagit, mhl, premis};
use crate::types::{NodeId, ProofLevel, Sha256Digest, VersionNumber};

/// The list of the others; written last, so that a package that has it is whole.
pub(super) const LAST: &str = "tagmanifest-sha256.txt";
/// Path of the campaign manifest.
pub(super) const CAMPAIGN: &str = "campaign.json";
/// Path of what is said of the bag.
pub(super) const INFO: &str = "bag-info.txt";
/// Path of what happened to the files.
pub(super) const RECORD: &str = "premis.xml";

/// One document.
#[derive(Clone, Debug)]
pub struct Paper {
    /// Its path in the bag.
    pub path: String,
    /// Media type.
    pub mime: &'static str,
    /// Its bytes.
    pub content: Vec<u8>,
}

/// Every document, the list that closes the bag at the end.
pub fn papers(instance: &str, kept: &Kept) -> Vec<Paper> {
    let mut payload: BTreeMap<String, Sha256Digest> = BTreeMap::new();
    let mut bytes = 0;
    for file in &kept.facts.payload {
        payload.insert(file.path.clone(), file.sha256);
        bytes += file.size;
    }
    let mut papers = history(kept);
    for paper in &papers {
        payload.insert(paper.path.clone(), digest(&paper.content));
        bytes += paper.content.len() as u64;
    }
    let files = payload.len() as u64;
    let campaign = campaign(instance, kept, &papers);
    let text = |path: &str, content: String| Paper {
        path: path.to_owned(),
        mime: "text/plain",
        content: content.into_bytes(),
    };
    let mut tags = vec![
        text("bagit.txt", bagit::DECLARATION.to_owned()),
        text("manifest-sha256.txt", bagit::manifest(&payload)),
        text("fetch.txt", bagit::fetch(&fetches(kept))),
        text(
            INFO,
            bag_info(kept, bagit::oxum(bytes, files), &campaign.run),
        ),
        Paper {
            path: CAMPAIGN.to_owned(),
            mime: "application/json",
            content: campaign.to_json(),
        },
        Paper {
            path: "approvals.json".to_owned(),
            mime: "application/json",
            content: approvals(kept),
        },
        Paper {
            path: RECORD.to_owned(),
            mime: "application/xml",
            content: record(instance, &kept.facts).to_xml().into_bytes(),
        },
        Paper {
            path: "summary.html".to_owned(),
            mime: "text/html",
            content: campaign.to_html().into_bytes(),
        },
    ];
    let listed = tags
        .iter()
        .map(|paper| (paper.path.clone(), digest(&paper.content)))
        .collect();
    tags.push(text(LAST, bagit::manifest(&listed)));
    papers.extend(tags);
    papers
}

/// Digest of what the papers say, apart from when, by which run and over which journal it is said.
pub(super) fn fingerprint(instance: &str, kept: &Kept) -> String {
    let facts = &kept.facts;
    let campaign = serde_json::to_vec(&json!({
        "title": facts.title, "payload": facts.payload, "references": facts.references,
        "approvals": facts.approvals, "comments": facts.comments, "exceptions": facts.exceptions,
        "licences": facts.licences, "left_out": facts.left_out,
        "organization": kept.organization, "address": kept.address,
        "version": env!("CARGO_PKG_VERSION"), "failed": facts.failed, "held": facts.held,
    }));
    let mut hasher = Sha256::new();
    hasher.update(campaign.unwrap_or_default());
    hasher.update(record(instance, facts).to_xml());
    hex::encode(hasher.finalize())
}

pub(super) fn digest(content: &[u8]) -> Sha256Digest {
    Sha256Digest(Sha256::digest(content).into())
}

/// The fixity history. There is none before a file was measured for it.
pub(super) fn history(kept: &Kept) -> Vec<Paper> {
    let path = |name: &str| format!("data/{}/{name}", mhl::FOLDER);
    let mut papers: Vec<Paper> = Vec::new();
    let mut chain = Vec::new();
    for generation in &kept.generations {
        chain.push((generation.name.clone(), mhl::c4(generation.xml.as_bytes())));
        papers.push(Paper {
            path: path(&generation.name),
            mime: "application/xml",
            content: generation.xml.clone().into_bytes(),
        });
    }
    if !chain.is_empty() {
        papers.push(Paper {
            path: path(mhl::CHAIN),
            mime: "application/xml",
            content: mhl::chain(&chain).into_bytes(),
        });
    }
    papers
}

/// Where each file is that the package does not hold itself. A split master is its parts, each at
/// its own address; one that an older package lists whole has none.
fn fetches(kept: &Kept) -> Vec<bagit::Fetch> {
    let base = kept.address.trim_end_matches('/');
    let addressed = |file: &Payload| {
        let version = file.version?;
        Some(bagit::Fetch {
            url: format!(
                "{base}/api/v2/nodes/{}/versions/{version}/content",
                file.node
            ),
            length: Some(file.size),
            path: file.path.clone(),
        })
    };
    kept.facts.payload.iter().filter_map(addressed).collect()
}

fn bag_info(kept: &Kept, oxum: String, run: &str) -> String {
    let facts = &kept.facts;
    let mut fields = Vec::new();
    if let Some(organization) = &kept.organization {
        fields.push(("Source-Organization", organization.clone()));
    }
    match &kept.id {
        Some(id) => fields.extend([
            ("External-Identifier", id.clone()),
            ("Internal-Sender-Identifier", format!("run {run}")),
        ]),
        // As it was written before packages had one.
        None => fields.push(("External-Identifier", format!("run {run}"))),
    }
    fields.extend([
        (
            "External-Description",
            format!("Campaign {}, end-of-campaign transfer", facts.title),
        ),
        (
            "Bagging-Date",
            kept.created.strftime("%Y-%m-%d").to_string(),
        ),
        ("Payload-Oxum", oxum),
        (
            "Bag-Software-Agent",
            format!("longhaul {}", env!("CARGO_PKG_VERSION")),
        ),
        ("Longhaul-Journal-Head", kept.head.clone()),
    ]);
    let split = facts.payload.iter().filter(|file| file.version.is_none());
    for file in split {
        fields.push((
            "Longhaul-Split",
            format!("{} is in segments in node {}", file.path, file.node),
        ));
    }
    for (part, files) in facts.split_masters().into_values() {
        fields.push((
            "Longhaul-Split",
            format!(
                "{} is {} parts in the folder of that name, joined in order of their names; SHA-256 {}",
                part.whole,
                files.iter().filter(|file| file.is_segment()).count(),
                part.sha256
            ),
        ));
    }
    bagit::info(&fields)
}

pub(super) fn urn(instance: &str, node: NodeId, version: Option<VersionNumber>) -> String {
    let version = version.map_or_else(String::new, |version| format!(":version:{version}"));
    format!("urn:otcs:{instance}:node:{node}{version}")
}

fn campaign(instance: &str, kept: &Kept, history: &[Paper]) -> Campaign {
    let facts = &kept.facts;
    let mut items: Vec<PackedItem> = Vec::new();
    let sidecars = sidecars(facts);
    let about = |file: &Payload| {
        sidecars
            .get(&file.of_version())
            .cloned()
            .unwrap_or_default()
    };
    let otcs = |node: NodeId, version: VersionNumber| OtcsIds {
        instance: instance.to_owned(),
        node: node.0,
        version: version.0,
    };
    for file in &facts.payload {
        items.push(PackedItem {
            path: file.path.clone(),
            kind: file.kind,
            size: file.size,
            sha256: file.sha256,
            level: file.level,
            iconik: Some(IconikIds {
                asset: file.asset.clone(),
                version: file.asset_version.clone(),
                file: file.file.clone(),
            }),
            otcs: file.version.map(|version| otcs(file.node, version)),
            release: file.release.clone(),
            part_of: file.part.as_ref().map(|part| part.whole.clone()),
            sidecars: match file.part.is_none() && is_content(file) {
                true => about(file),
                false => Vec::new(),
            },
        });
    }
    for paper in history {
        let filed = kept.filed.get(&paper.path);
        items.push(PackedItem {
            path: paper.path.clone(),
            kind: Kind::Fixity,
            size: paper.content.len() as u64,
            sha256: digest(&paper.content),
            level: filed.map_or(ProofLevel::None, |filed| filed.level),
            iconik: None,
            otcs: filed.map(|filed| otcs(filed.node, filed.version)),
            release: None,
            part_of: None,
            sidecars: Vec::new(),
        });
    }
    let split_masters = facts
        .split_masters()
        .into_values()
        .filter_map(|(part, files)| {
            let segments = || files.iter().filter(|file| file.is_segment());
            let joined_by = files.iter().find(|file| !file.is_segment());
            let first = segments().next()?;
            Some(SplitMaster {
                path: part.whole.clone(),
                size: part.size,
                sha256: part.sha256,
                level: segments().map(|file| file.level).min()?,
                node: part.node.0,
                parts: segments().map(|file| file.path.clone()).collect(),
                joined_by: joined_by.map(|file| file.path.clone()),
                release: first.release.clone(),
                sidecars: about(first),
            })
        });
    Campaign {
        format: FORMAT,
        campaign: facts.title.clone(),
        run: kept.run.clone(),
        created: kept.created,
        totals: Totals {
            files: items.len() as u64,
            bytes: items.iter().map(|item| item.size).sum(),
            failed: facts.failed,
            held: facts.held,
            gaps: facts.gaps() as u64,
            left_out: facts.left_out.len() as u64,
        },
        items,
        split_masters: split_masters.collect(),
        source_references: facts.references.clone(),
        approvals: facts.approvals.clone(),
        rights: rights(facts),
        exceptions: facts.exceptions.clone(),
        left_out: facts.left_out.clone(),
    }
}

/// Paths of the documents about each version of an asset.
fn sidecars(facts: &Facts) -> BTreeMap<(&str, &str), Vec<String>> {
    let mut all: BTreeMap<(&str, &str), Vec<String>> = BTreeMap::new();
    for file in &facts.payload {
        // Papers that prove rights are about licences, and named there.
        let is_one = matches!(file.kind, Kind::Metadata | Kind::Rights)
            && file.part.is_none()
            && !file.path.starts_with("data/rights/");
        if is_one {
            let own = all.entry(file.of_version()).or_default();
            own.push(file.path.clone());
        }
    }
    all
}

/// Whether a file is what sidecars are about.
fn is_content(file: &Payload) -> bool {
    matches!(
        file.kind,
        Kind::Master | Kind::EditDecisionRecord | Kind::SupportingDocument | Kind::SourceReference
    )
}

fn approvals(kept: &Kept) -> Vec<u8> {
    let document = json!({
        "format": "longhaul-approvals/1", "campaign": kept.facts.title,
        "approvals": kept.facts.approvals, "comments": kept.facts.comments,
    });
    let mut text = serde_json::to_vec_pretty(&document).unwrap_or_default();
    text.push(b'\n');
    text
}

/// What is said of rights.
fn rights(facts: &Facts) -> Vec<PackedRights> {
    let licences = facts.licences.iter();
    licences
        .map(|licence| PackedRights {
            asset: licence.asset.clone(),
            sidecar: licence.sidecar.clone(),
            known: licence.unknown.is_none(),
            says: licence.says.clone(),
            ends: licence.ends,
            papers: licence
                .papers
                .iter()
                .map(|paper| ProvingPaper {
                    role: paper.role.clone(),
                    path: paper.path.clone(),
                })
                .collect(),
        })
        .collect()
}

/// The same for PREMIS, with the objects that each licence is about.
fn licences(instance: &str, facts: &Facts) -> Vec<premis::Licence> {
    let masters = |asset: &str| {
        let about = facts
            .payload
            .iter()
            .filter(move |file| file.asset == asset && is_content(file));
        about
            .map(|file| {
                (
                    "otcs-node".to_owned(),
                    urn(instance, file.node, file.version),
                )
            })
            .collect()
    };
    facts
        .licences
        .iter()
        .map(|licence| premis::Licence {
            id: ("odrl".to_owned(), licence.policy.clone()),
            papers: licence
                .papers
                .iter()
                .map(|paper| ("URI".to_owned(), paper.id.clone(), paper.role.clone()))
                .collect(),
            terms: licence.says.clone(),
            unknown: licence.unknown.clone(),
            permits: licence.permits,
            restrictions: licence.forbidden.clone(),
            days: (licence.begins, licence.ends),
            objects: masters(&licence.asset),
        })
        .collect()
}

fn record(instance: &str, facts: &Facts) -> premis::Record {
    let node = |file: &Payload| {
        (
            "otcs-node".to_owned(),
            urn(instance, file.node, file.version),
        )
    };
    let by_path: BTreeMap<&str, &Payload> = facts
        .payload
        .iter()
        .map(|file| (file.path.as_str(), file))
        .collect();
    premis::Record {
        objects: facts
            .payload
            .iter()
            .map(|file| premis::Object {
                identifiers: std::iter::once(node(file))
                    .chain(
                        (!file.file.is_empty())
                            .then(|| ("iconik-file".to_owned(), file.file.clone())),
                    )
                    .collect(),
                sha256: file.sha256,
                size: file.size,
                format: file.mime.clone(),
                name: file.path.clone(),
            })
            .collect(),
        events: facts
            .events
            .iter()
            .map(|event| premis::Event {
                id: event.id,
                kind: event.kind,
                at: event.at,
                detail: event.detail.clone(),
                success: true,
                object: by_path.get(event.path.as_str()).map(|file| node(file)),
            })
            .collect(),
        licences: licences(instance, facts),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept() -> Kept {
        let mut kept = Kept {
            created: "2026-03-02T18:25:00Z".parse().unwrap(),
            run: "7".into(),
            head: "ab".into(),
            address: "https://otcs.test/cs".into(),
            ..Kept::default()
        };
        kept.facts.title = "BRANDX-Q1".into();
        kept.facts.payload = vec![Payload {
            path: "data/masters/TV30.mov".into(),
            kind: Kind::Master,
            size: 3,
            sha256: digest(b"abc"),
            level: ProofLevel::ReadBack,
            mime: "video/quicktime".into(),
            asset: "a".into(),
            file: "f".into(),
            node: NodeId(7),
            version: Some(VersionNumber(2)),
            digests: Some(mhl::Digests::of(b"abc")),
            at: kept.created,
            asset_version: "v".into(),
            release: None,
            part: None,
        }];
        kept
    }

    fn content<'a>(papers: &'a [Paper], path: &str) -> &'a str {
        let paper = papers.iter().find(|paper| paper.path == path).unwrap();
        std::str::from_utf8(&paper.content).unwrap()
    }

    #[test]
    fn lists_agree_with_what_they_list() {
        let mut kept = kept();
        kept.add_generation(
            vec![mhl::Hashed {
                path: "masters/TV30.mov".into(),
                size: 3,
                modified: None,
                digests: mhl::Digests::of(b"abc"),
                action: mhl::Action::Original,
                at: kept.created,
            }],
            String::new(),
            false,
        );
        let papers = papers("prod", &kept);
        assert_eq!(papers.last().unwrap().path, LAST);
        let manifest = bagit::read_manifest(content(&papers, "manifest-sha256.txt")).unwrap();
        assert_eq!(manifest["data/masters/TV30.mov"], digest(b"abc"));
        let tags = bagit::read_manifest(content(&papers, LAST)).unwrap();
        let mut bytes = 3;
        for paper in &papers[..papers.len() - 1] {
            let listed = if paper.path.starts_with("data/") {
                bytes += paper.content.len() as u64;
                manifest[&paper.path]
            } else {
                tags[&paper.path]
            };
            assert_eq!(listed, digest(&paper.content), "{}", paper.path);
        }
        assert_eq!(manifest.len(), 3);
        let info = content(&papers, "bag-info.txt");
        assert_eq!(
            bagit::info_value(info, "Payload-Oxum"),
            Some(bagit::oxum(bytes, 3).as_str())
        );
        assert_eq!(
            content(&papers, "fetch.txt"),
            "https://otcs.test/cs/api/v2/nodes/7/versions/2/content 3 data/masters/TV30.mov\n"
        );
        assert!(kept.in_history().contains("data/masters/TV30.mov"));
    }

    #[test]
    fn times_runs_and_heads_are_no_news_and_anything_else_is() {
        let first = kept();
        let mut again = first.clone();
        again.created = "2027-01-01T00:00:00Z".parse().unwrap();
        again.run = "8".into();
        again.head = "cd".into();
        assert_eq!(fingerprint("prod", &first), fingerprint("prod", &again));
        again.facts.failed = 1;
        assert_ne!(fingerprint("prod", &first), fingerprint("prod", &again));
    }
}
