//! The forms that a trail is written in.

use std::io::Write;

use serde::Serialize;
use serde_json::json;

use super::event::{Happened, preserved};
use super::{Form, Trail};
use crate::report::Error;
use crate::report::csv::cell;
use crate::sidecar::{escaped, premis};
use crate::types::Sha256Digest;

/// A file as it is filed.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Filed {
    pub(super) asset: String,
    pub(super) title: String,
    pub(super) name: String,
    pub(super) sha256: Option<String>,
    pub(super) bytes: u64,
    pub(super) mime: String,
    pub(super) node: Option<i64>,
    pub(super) version: Option<i64>,
    pub(super) proof: String,
}

/// What is being written.
pub(super) enum Pages {
    Html,
    Csv,
    Json { first: bool },
    Premis(premis::Writer),
}

const COLUMNS: [&str; 9] = [
    "seq", "at", "event", "asset", "who", "what", "sha256", "node", "digest",
];

impl Pages {
    pub(super) fn begin(form: Form, to: &mut dyn Write) -> Result<Self, Error> {
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

    pub(super) fn file(&mut self, to: &mut dyn Write, file: &Filed) -> Result<(), Error> {
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

    pub(super) fn middle(&mut self, to: &mut dyn Write) -> Result<(), Error> {
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

    pub(super) fn event(&mut self, to: &mut dyn Write, event: &Happened) -> Result<(), Error> {
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

    pub(super) fn end(self, to: &mut dyn Write, trail: &Trail) -> Result<(), Error> {
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

/// A document's version: versions of one document are different files.
pub(super) fn identifier(node: i64, version: Option<i64>) -> (String, String) {
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
th{white-space:nowrap}td,th{text-align:left;vertical-align:top;padding:.3em .8em;border-bottom:1px solid #ddd;overflow-wrap:anywhere}</style>
<h1>Audit trail</h1>
<h2>What is filed</h2>
<table><tr><th>Title<th>File<th>Asset<th>Node<th>Version<th>Proof<th>SHA-256</tr>
";
const MIDDLE: &str = "</table>
<h2>What happened</h2>
<table><tr><th>Line<th>When<th>What<th>Asset<th>Who<th>More<th>Content (SHA-256)</tr>
";
