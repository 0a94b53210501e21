//! The certificate of a destruction, as JSON and for people, filed in Content Server through the
//! same protocol as every other document: by its marker, once.
//!
//! It is made from what the ledger keeps and from nothing else, so that it is the same however
//! often it is made.

use serde_json::{Value, json};

use super::case::{Case, End, Known, Stage};
use super::{Decision, FLOW, Policy, Step, Subject, subject};
use crate::flows::own::Own;
use crate::flows::{Error, Systems};
use crate::ledger::{Change, Entry, Ledger, NewItem};
use crate::transfer::{Engine, Outcome as Ended};
use crate::types::{AssetId, Marker, MarkerFields, NodeId, Role, RunId};

/// Files that a certificate lists one by one.
const LISTED: usize = 2000;
const PAGE: usize = 500;

/// What files certificates.
#[derive(Clone, Copy)]
pub struct Bench<'a> {
    /// Both systems.
    pub systems: &'a Systems,
    /// The ledger.
    pub ledger: &'a Ledger,
    /// The engine.
    pub engine: &'a Engine,
    /// Where certificates go.
    pub policy: &'a Policy,
    /// The run.
    pub run: RunId,
    /// Who runs it.
    pub who: &'a str,
}

/// Files the certificates of destroyed assets, and closes their cases. A certificate that is not
/// filed leaves its case open for the next run.
///
/// # Errors
///
/// Those of Content Server and the ledger; what was recorded stands, and the next run goes on.
pub async fn file(
    bench: Bench<'_>,
    assets: &[AssetId],
    each: &mut (dyn FnMut(&Decision) + Send),
) -> Result<Ended, Error> {
    let server = &bench.systems.content_server;
    let folder = server
        .folder_at(bench.systems.target, &bench.policy.certificates)
        .await?;
    for asset in assets {
        let facts = bench.ledger.remembered(FLOW, asset.as_str()).await?;
        let case = Known::of(&facts)?.case;
        let Some(case) = case.filter(|case| case.stage == Stage::Destroyed) else {
            continue;
        };
        let Some(subject) = subject(bench.ledger, asset).await? else {
            continue;
        };
        let facts = facts_of(bench, &subject, &case).await?;
        let items = papers(bench.systems, &subject, folder, &facts);
        bench.ledger.add_items(bench.run, items.clone()).await?;
        match bench.engine.run(bench.run, || false).await {
            Ended::Finished => {}
            other => return Ok(other),
        }
        let mut filed = Vec::new();
        let mut missing = None;
        for item in &items {
            let done = bench.ledger.item_by_key(&item.key).await?;
            let same = |done: &crate::ledger::Item| {
                done.state == "done" && done.fingerprint == item.fingerprint
            };
            match done {
                Some(done) if same(&done) => filed.extend(done.node),
                other => missing = Some(other.and_then(|item| item.message)),
            }
        }
        let (step, why) = match missing {
            Some(message) => (
                Step::Held,
                format!(
                    "its certificate is not filed yet: {}",
                    message.as_deref().unwrap_or("it waits")
                ),
            ),
            None => (
                Step::Certified,
                format!("certificate in nodes {}", listed(&filed)),
            ),
        };
        if step == Step::Certified {
            let closed = Case {
                stage: Stage::Closed(End::Destroyed),
                problem: None,
                ..case.clone()
            };
            let line = json!({
                "asset": asset, "title": subject.title, "node": subject.node, "who": bench.who,
                "why": why, "certificate": filed, "sha256": items.iter().map(|item| &item.fingerprint).collect::<Vec<_>>(),
            });
            let entry = Entry {
                run: Some(bench.run),
                item: subject.items.last().map(|item| item.id),
                event: "lifecycle-certified".to_owned(),
                data: line.to_string(),
                ..Entry::default()
            };
            let change = Change::new().fact(closed.fact(asset, false)).journal(entry);
            bench.ledger.apply(change).await?;
        }
        each(&Decision {
            asset: asset.clone(),
            title: subject.title.clone(),
            node: subject.node,
            step,
            mark: case.mark,
            why,
            due: case.due.clone(),
        });
    }
    Ok(Ended::Finished)
}

fn listed(nodes: &[NodeId]) -> String {
    let nodes: Vec<String> = nodes.iter().map(ToString::to_string).collect();
    nodes.join(" and ")
}

/// Everything that a certificate says.
async fn facts_of(bench: Bench<'_>, subject: &Subject, case: &Case) -> Result<Value, Error> {
    let mut files = Vec::new();
    let mut total = 0_u64;
    for item in &subject.items {
        let mut from = 0;
        loop {
            let page = bench.ledger.files(item.id, from, PAGE).await?;
            let Some(last) = page.last() else { break };
            from = last.seq + 1;
            for file in page {
                total += 1;
                if files.len() < LISTED {
                    files.push(json!({
                        "name": file.name, "role": file.role, "size": file.size,
                        "sha256": file.sha256.map(hex::encode), "proof": file.proof,
                        "node": file.node.or(item.node), "version": file.version.or(item.version),
                    }));
                }
            }
        }
    }
    Ok(json!({
        "format": "longhaul-certificate/1",
        "asset": subject.asset,
        "title": subject.title,
        "iconik": bench.systems.domain,
        "content_server": bench.systems.instance,
        "node": subject.node,
        "mark": case.mark,
        "why": case.why,
        "since": case.since,
        "due": case.due,
        "successor": case.successor,
        "outcome": {"word": "destroy", "source": case.source},
        "decided": case.approval,
        "destroyed": case.destroyed,
        "means": "put into iconik's recycle bin, which iconik purges when its grace period is over",
        "holds": "none on the documents and the containers above them, read right before and after",
        "documents_kept": "the documents in Content Server are not deleted by this; their own disposition is Content Server's",
        "files": files,
        "files_in_all": total,
        "by": format!("longhaul {}", env!("CARGO_PKG_VERSION")),
    }))
}

fn papers(systems: &Systems, subject: &Subject, folder: NodeId, facts: &Value) -> Vec<NewItem> {
    let mut text = serde_json::to_vec_pretty(facts).unwrap_or_default();
    text.push(b'\n');
    let page = html(facts).into_bytes();
    let papers = [
        ("json", "application/json", text),
        ("html", "text/html", page),
    ];
    papers
        .into_iter()
        .map(|(extension, mime, content)| {
            let name = format!("{} - certificate of destruction.{extension}", subject.title);
            let name = systems.destination.map_name(&name);
            let path = format!("certificate.{extension}");
            // Who destroys an asset that came back a second time gets a certificate of its own.
            let when = facts["destroyed"].as_str().unwrap_or_default();
            let marker = Marker::derive(&MarkerFields {
                instance: &systems.instance,
                domain: &systems.domain,
                asset: subject.asset.as_str(),
                version: when,
                format: "certificate",
                file: &path,
                role: &Role::Master,
            })
            .to_string();
            Own {
                key: format!("lifecycle:{}/{when}/{path}", subject.asset),
                title: format!("certificate: {}", subject.title),
                parent: folder,
                name,
                marker,
                mime,
                content,
            }
            .item()
        })
        .collect()
}

/// The same for people.
fn html(facts: &Value) -> String {
    let word = |value: &Value| match value {
        Value::Null => "–".to_owned(),
        Value::String(text) => escaped(text),
        other => escaped(&other.to_string()),
    };
    let decided = &facts["decided"];
    let rows = [
        ("Asset", &facts["title"]),
        ("Asset id in iconik", &facts["asset"]),
        ("iconik system", &facts["iconik"]),
        ("Content Server", &facts["content_server"]),
        ("Document", &facts["node"]),
        ("Status", &facts["mark"]),
        ("Because", &facts["why"]),
        ("Since", &facts["since"]),
        ("Due", &facts["due"]),
        ("Outcome from", &facts["outcome"]["source"]),
        ("Decided by", &decided["who"]),
        ("Reason", &decided["because"]),
        ("Decided at", &decided["at"]),
        ("Destroyed at", &facts["destroyed"]),
        ("Means", &facts["means"]),
        ("Holds", &facts["holds"]),
        ("Documents", &facts["documents_kept"]),
        ("Files in all", &facts["files_in_all"]),
        ("Made by", &facts["by"]),
    ];
    let mut page = String::from(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>Certificate of destruction</title>\n<h1>Certificate of destruction</h1>\n<table>\n",
    );
    for (name, value) in rows {
        page.push_str(&format!(
            "<tr><th>{name}</th><td>{}</td></tr>\n",
            word(value)
        ));
    }
    page.push_str("</table>\n<h2>Files</h2>\n<table>\n<tr><th>Name</th><th>Bytes</th><th>SHA-256</th><th>Document</th><th>Version</th></tr>\n");
    for file in facts["files"].as_array().into_iter().flatten() {
        let cells = ["name", "size", "sha256", "node", "version"].map(|name| word(&file[name]));
        page.push_str(&format!("<tr><td>{}</td></tr>\n", cells.join("</td><td>")));
    }
    page.push_str("</table>\n</html>\n");
    page
}

fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            other => safe.push(other),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_is_no_markup_and_what_is_not_known_is_a_dash() {
        let page = html(&json!({
            "title": "<script>&\"", "mark": "expired",
            "files": [{"name": "a.mov", "size": 7, "sha256": null}],
        }));
        assert!(
            page.contains("<td>&lt;script&gt;&amp;&quot;</td>"),
            "{page}"
        );
        assert!(page.contains("<td>expired</td>"));
        assert!(page.contains("<td>a.mov</td><td>7</td><td>–</td>"));
    }
}
