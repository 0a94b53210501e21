//! The audit trail of assets: what is filed of them, who approved which content and when, and what
//! happened to it since. One walk over the ledger's items and one over its journal, which checks
//! the chain of digests on the way; memory holds a line at a time and the ids of the assets that
//! were asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use super::Error;
use super::csv::cell;
use crate::ledger::{GENESIS, Item, Line, Reader};
use crate::sidecar::{escaped, premis};
use crate::telemetry::scrub;
use crate::types::{ItemId, Sha256Digest};

/// Rows read at once.
const PAGE: usize = 500;
/// Items whose asset is kept in mind.
const KEPT: usize = 4096;

/// How a trail is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// For people.
    Html,
    /// Events, a row each.
    Csv,
    /// One JSON document.
    Json,
    /// PREMIS 3.0: the files, and the events that its vocabulary has a word for.
    Premis,
}

/// What a trail came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trail {
    /// Filed files that it names.
    pub files: u64,
    /// Assets among them.
    pub assets: u64,
    /// Events.
    pub lines: u64,
    /// Whether every line of the journal follows from the one before it.
    pub intact: bool,
    /// Digest of the journal's last line; none when the chain is broken.
    pub head: Option<String>,
}

/// A file as it is filed.
#[derive(Clone, Debug, Serialize)]
struct Filed {
    asset: String,
    title: String,
    name: String,
    sha256: Option<String>,
    bytes: u64,
    mime: String,
    node: Option<i64>,
    version: Option<i64>,
    proof: String,
}

/// Something that happened.
#[derive(Clone, Debug, Serialize)]
struct Happened {
    seq: i64,
    at: String,
    event: String,
    asset: String,
    /// Who, as far as it says so.
    who: String,
    /// What, for people.
    what: String,
    /// The content that it is about.
    sha256: String,
    node: Option<i64>,
    version: Option<i64>,
    digest: String,
    /// The line's own facts.
    data: Value,
}

/// Writes the trail of these assets, or of all.
///
/// # Errors
///
/// The ledger's and the writer's.
pub fn write(
    ledger: &Reader,
    assets: Option<&BTreeSet<String>>,
    form: Form,
    to: &mut dyn Write,
) -> Result<Trail, Error> {
    let mut trail = Trail::default();
    let mut pages = Pages::begin(form, to)?;
    let mut known = Known {
        ledger,
        assets: BTreeMap::new(),
    };
    filed(
        ledger,
        assets,
        &mut |file| {
            trail.files += 1;
            pages.file(to, file)
        },
        &mut trail.assets,
    )?;
    pages.middle(to)?;
    let mut previous = GENESIS.to_owned();
    let (mut after, mut intact) = (0, true);
    loop {
        let lines = ledger.journal(None, None, after, PAGE)?;
        for line in &lines {
            intact &= line.seq == after + 1 && line.chained_to(&previous) == line.digest;
            after = line.seq;
            previous.clone_from(&line.digest);
            let data: Value = serde_json::from_str(&line.data).unwrap_or_default();
            let asset = known.asset_of(line, &data)?;
            let wanted = match assets {
                None => true,
                Some(assets) => asset.as_ref().is_some_and(|asset| assets.contains(asset)),
            };
            if wanted {
                trail.lines += 1;
                pages.event(to, &happened(line, data, asset.unwrap_or_default()))?;
            }
        }
        if lines.len() < PAGE {
            break;
        }
    }
    trail.intact = intact;
    trail.head = intact.then_some(previous);
    pages.end(to, &trail)?;
    Ok(trail)
}

/// The assets of items, by a look-up each that is kept for a while.
struct Known<'a> {
    ledger: &'a Reader,
    assets: BTreeMap<i64, Option<String>>,
}

impl Known<'_> {
    fn asset_of(&mut self, line: &Line, data: &Value) -> Result<Option<String>, Error> {
        if let Some(asset) = data["asset"].as_str() {
            return Ok(Some(asset.to_owned()));
        }
        let Some(ItemId(id)) = line.item else {
            return Ok(None);
        };
        if let Some(asset) = self.assets.get(&id) {
            return Ok(asset.clone());
        }
        let item = self.ledger.item(ItemId(id))?;
        let asset = item.as_ref().and_then(asset_of);
        if self.assets.len() >= KEPT {
            self.assets.clear();
        }
        self.assets.insert(id, asset.clone());
        Ok(asset)
    }
}

/// The asset that an item is of: a master's source names it, a review record's key does.
fn asset_of(item: &Item) -> Option<String> {
    let source: Value = serde_json::from_str(&item.source).unwrap_or_default();
    if let Some(asset) = source["asset"].as_str() {
        return Some(asset.to_owned());
    }
    let rest = item.key.strip_prefix("exchange:")?;
    Some(rest.rsplit_once('/')?.0.to_owned())
}

fn filed(
    ledger: &Reader,
    assets: Option<&BTreeSet<String>>,
    each: &mut dyn FnMut(&Filed) -> Result<(), Error>,
    count: &mut u64,
) -> Result<(), Error> {
    let mut after = String::new();
    let mut last = String::new();
    loop {
        let items = ledger.filed(&after, PAGE)?;
        for item in &items {
            let Some(asset) = asset_of(item) else {
                continue;
            };
            if assets.is_some_and(|assets| !assets.contains(&asset)) {
                continue;
            }
            // The items of an asset follow each other, those of its record aside.
            if !item.key.starts_with("exchange:") && asset != last {
                *count += 1;
                last.clone_from(&asset);
            }
            let mut from = 0;
            loop {
                let files = ledger.files(item.id, from, PAGE)?;
                for file in &files {
                    each(&Filed {
                        asset: asset.clone(),
                        title: scrub(&item.title).into_owned(),
                        name: scrub(&file.name).into_owned(),
                        sha256: file.sha256.as_ref().map(hex::encode),
                        bytes: file.size,
                        mime: file.mime.clone(),
                        node: file.node.or(item.node).map(|node| node.0),
                        version: file.version.or(item.version).map(|version| version.0),
                        proof: item.proof.clone(),
                    })?;
                }
                from += files.len() as u64;
                if files.len() < PAGE {
                    break;
                }
            }
        }
        match items.last() {
            Some(item) if items.len() == PAGE => after.clone_from(&item.key),
            _ => return Ok(()),
        }
    }
}

fn happened(line: &Line, data: Value, asset: String) -> Happened {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let said = data.pointer("/line/said").cloned().unwrap_or_default();
    let first = |values: &[&Value]| {
        let mut texts = values.iter().map(|value| text(value));
        texts.find(|text| !text.is_empty()).unwrap_or_default()
    };
    let who = first(&[
        &said["author"],
        &said["author_id"],
        &data["who"],
        &data["approver"],
        &data["by"],
    ]);
    let what = if said.is_null() {
        first(&[
            &data["because"],
            &data["why"],
            &data["error"],
            &data["field"],
        ])
    } else {
        let place = &data["line"];
        let at = text(&said["at"]);
        let at = if at.is_empty() {
            at
        } else {
            format!(" at {at}")
        };
        format!(
            "{} {} in {}{at}: {}",
            text(&place["kind"]),
            text(&place["event"]),
            text(&place["origin"]),
            text(&said["text"]),
        )
    };
    let at = Timestamp::from_millisecond(line.at);
    Happened {
        seq: line.seq,
        at: at.map_or_else(|_| String::new(), |at| at.to_string()),
        event: line.event.clone(),
        asset,
        who: scrub(&who).into_owned(),
        what: scrub(&what).into_owned(),
        sha256: first(&[&said["content"]["sha256"], &data["sha256"]]),
        node: said["content"]["node"].as_i64().or(data["node"].as_i64()),
        version: said["content"]["version"]
            .as_i64()
            .or(data["version"].as_i64()),
        digest: line.digest.clone(),
        data,
    }
}

/// What is being written.
enum Pages {
    Html,
    Csv,
    Json { first: bool },
    Premis(premis::Writer),
}

const COLUMNS: [&str; 9] = [
    "seq", "at", "event", "asset", "who", "what", "sha256", "node", "digest",
];

impl Pages {
    fn begin(form: Form, to: &mut dyn Write) -> Result<Self, Error> {
        Ok(match form {
            Form::Html => {
                to.write_all(HEAD.as_bytes())?;
                Self::Html
            }
            Form::Csv => {
                row(to, &COLUMNS.map(str::to_owned))?;
                Self::Csv
            }
            Form::Json => {
                to.write_all(b"{\"format\":\"longhaul-trail/1\",\n\"files\":[\n")?;
                Self::Json { first: true }
            }
            Form::Premis => Self::Premis(premis::Writer::new()),
        })
    }

    fn file(&mut self, to: &mut dyn Write, file: &Filed) -> Result<(), Error> {
        let number = |number: Option<i64>| number.map(|n| n.to_string()).unwrap_or_default();
        match self {
            Self::Html => {
                let sha256 = file.sha256.as_deref().unwrap_or_default();
                let cells = [
                    &file.title,
                    &file.name,
                    &file.asset,
                    &number(file.node),
                    &number(file.version),
                    &file.proof,
                    sha256,
                ];
                to.write_all(html_row(&cells).as_bytes())?;
            }
            Self::Csv => {}
            Self::Json { first } => json_row(to, first, file)?,
            Self::Premis(writer) => {
                let digest = file.sha256.as_ref().and_then(|text| text.parse().ok());
                let digest: Option<Sha256Digest> = digest;
                if let (Some(sha256), Some(node)) = (digest, file.node) {
                    let object = premis::Object {
                        identifiers: vec![
                            identifier(node, file.version),
                            ("iconik-asset".to_owned(), file.asset.clone()),
                        ],
                        sha256,
                        size: file.bytes,
                        format: file.mime.clone(),
                        name: file.name.clone(),
                    };
                    to.write_all(writer.object(&object).as_bytes())?;
                }
            }
        }
        Ok(())
    }

    fn middle(&mut self, to: &mut dyn Write) -> Result<(), Error> {
        match self {
            Self::Html => to.write_all(MIDDLE.as_bytes())?,
            Self::Json { first } => {
                *first = true;
                to.write_all(b"\n],\n\"events\":[\n")?;
            }
            Self::Csv | Self::Premis(_) => {}
        }
        Ok(())
    }

    fn event(&mut self, to: &mut dyn Write, event: &Happened) -> Result<(), Error> {
        let node = event.node.map(|node| node.to_string()).unwrap_or_default();
        match self {
            Self::Html => {
                let seq = event.seq.to_string();
                let cells = [
                    seq.as_str(),
                    &event.at,
                    &event.event,
                    &event.asset,
                    &event.who,
                    &event.what,
                    &event.sha256,
                ];
                to.write_all(html_row(&cells).as_bytes())?;
            }
            Self::Csv => {
                let cells = [
                    event.seq.to_string(),
                    event.at.clone(),
                    event.event.clone(),
                    cell(&event.asset),
                    cell(&event.who),
                    cell(&event.what),
                    event.sha256.clone(),
                    node,
                    event.digest.clone(),
                ];
                row(to, &cells)?;
            }
            Self::Json { first } => json_row(to, first, event)?,
            Self::Premis(writer) => {
                if let Some(event) = preserved(event) {
                    to.write_all(writer.event(&event).as_bytes())?;
                }
            }
        }
        Ok(())
    }

    fn end(self, to: &mut dyn Write, trail: &Trail) -> Result<(), Error> {
        let head = trail.head.as_deref().unwrap_or_default();
        match self {
            Self::Html => {
                let words = if trail.intact {
                    format!(
                        "The chain of the journal is intact; its last digest is <code>{head}</code>."
                    )
                } else {
                    "<strong>The journal was changed: `longhaul audit verify` says where.</strong>"
                        .to_owned()
                };
                let end = format!("</table>\n<p>{words}</p></html>\n");
                to.write_all(end.as_bytes())?;
            }
            Self::Csv => {}
            Self::Json { .. } => {
                let end = json!({"files": trail.files, "assets": trail.assets, "lines": trail.lines, "intact": trail.intact, "head": trail.head});
                to.write_all(format!("\n],\n\"summary\":{end}}}\n").as_bytes())?;
            }
            Self::Premis(writer) => {
                to.write_all(writer.finish(env!("CARGO_PKG_VERSION")).as_bytes())?;
            }
        }
        Ok(())
    }
}

/// The event in PREMIS's words, when it has one.
fn preserved(event: &Happened) -> Option<premis::Event> {
    use premis::EventKind;
    let said = event.data.pointer("/line/kind").and_then(Value::as_str);
    let (kind, success) = match (event.event.as_str(), said) {
        ("committed", _) => (EventKind::Ingested, true),
        ("proved", _) => (EventKind::Checked, true),
        ("exchange-recorded", Some("approval" | "signature")) => {
            let text = event
                .data
                .pointer("/line/said/text")
                .and_then(Value::as_str);
            let text = text.unwrap_or_default().to_lowercase();
            let no = ["not_approved", "reject", "declin", "refus"];
            (
                EventKind::Approved,
                !no.iter().any(|word| text.contains(word)),
            )
        }
        _ => return None,
    };
    let mut bytes = [0; 16];
    let digest = hex::decode(&event.digest).unwrap_or_default();
    for (to, from) in bytes.iter_mut().zip(digest) {
        *to = from;
    }
    let mut detail = format!("journal={}; asset={}", event.seq, event.asset);
    for (name, value) in [
        ("who", &event.who),
        ("what", &event.what),
        ("sha256", &event.sha256),
    ] {
        if !value.is_empty() {
            detail.push_str(&format!("; {name}={value}"));
        }
    }
    Some(premis::Event {
        id: uuid::Builder::from_random_bytes(bytes).into_uuid(),
        kind,
        at: event.at.parse().ok()?,
        detail,
        success,
        object: event.node.map(|node| identifier(node, event.version)),
    })
}

/// A document's version: versions of one document are different files.
fn identifier(node: i64, version: Option<i64>) -> (String, String) {
    let version = version.map_or_else(String::new, |version| format!(":version:{version}"));
    ("otcs-node".to_owned(), format!("{node}{version}"))
}

fn row(to: &mut dyn Write, cells: &[String]) -> Result<(), Error> {
    let mut writer = ::csv::Writer::from_writer(to);
    writer.write_record(cells)?;
    writer.flush()?;
    Ok(())
}

fn json_row(to: &mut dyn Write, first: &mut bool, row: &impl Serialize) -> Result<(), Error> {
    let comma = if std::mem::take(first) { "" } else { ",\n" };
    let text = serde_json::to_string(row).unwrap_or_default();
    to.write_all(format!("{comma}{text}").as_bytes())?;
    Ok(())
}

fn html_row(cells: &[&str]) -> String {
    let cells: Vec<String> = cells
        .iter()
        .map(|cell| format!("<td>{}", escaped(cell)))
        .collect();
    format!("<tr>{}</tr>\n", cells.concat())
}

const HEAD: &str = "<!doctype html>
<html lang=\"en\"><meta charset=\"utf-8\"><title>Audit trail</title>
<style>body{font:15px/1.5 system-ui,sans-serif;margin:2em;color:#222}table{border-collapse:collapse}
td,th{text-align:left;vertical-align:top;padding:.3em .8em;border-bottom:1px solid #ddd;overflow-wrap:anywhere}</style>
<h1>Audit trail</h1>
<h2>What is filed</h2>
<table><tr><th>Title<th>File<th>Asset<th>Node<th>Version<th>Proof<th>SHA-256</tr>
";
const MIDDLE: &str = "</table>
<h2>What happened</h2>
<table><tr><th>Line<th>When<th>What<th>Asset<th>Who<th>More<th>Content (SHA-256)</tr>
";
