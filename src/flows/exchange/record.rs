//! The review record of an asset as documents: JSON for programs, HTML for people. Both are made
//! of the lines and of nothing else, so the same lines are the same bytes.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::line::{Event, Line, Origin};
use crate::sidecar::escaped;
use crate::types::{AssetId, NodeId};

/// The format's name.
const FORMAT: &str = "longhaul-review/1";

/// What a record is about, as it was when it was begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct About {
    pub(super) asset: AssetId,
    pub(super) title: String,
    pub(super) domain: String,
    pub(super) instance: String,
    /// The master's document.
    pub(super) node: NodeId,
    /// The container that the record is filed in.
    pub(super) parent: NodeId,
    /// What the record's documents are called, without what tells them apart.
    pub(super) name: String,
}

/// The record for programs.
pub(super) fn json(about: &About, lines: &[Line]) -> Vec<u8> {
    let document = json!({
        "format": FORMAT, "asset": about.asset, "title": about.title, "domain": about.domain,
        "instance": about.instance, "node": about.node, "lines": lines,
    });
    let mut text = serde_json::to_vec_pretty(&document).unwrap_or_default();
    text.push(b'\n');
    text
}

/// The record for people.
pub(super) fn html(about: &About, lines: &[Line]) -> Vec<u8> {
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>Review record: {title}</title>\n\
         <style>body{{font:15px/1.5 system-ui,sans-serif;margin:2em;color:#222}}table{{border-collapse:collapse}}\
         td,th{{text-align:left;vertical-align:top;padding:.3em .8em;border-bottom:1px solid #ddd}}\
         .removed{{color:#888}}code{{font-size:85%}}</style>\n\
         <h1>Review record: {title}</h1>\n<p>Asset {asset} of {domain}; document {node} of {instance}. \
         Edits and withdrawals are lines of their own; the digests chain the lines.</p>\n\
         <table><tr><th>#<th>Where<th>What<th>Who<th>When<th>Time code<th>Text<th>Content</tr>\n",
        title = escaped(&about.title),
        asset = escaped(about.asset.as_str()),
        domain = escaped(&about.domain),
        node = about.node,
        instance = escaped(&about.instance),
    );
    for line in lines {
        let said = &line.said;
        let origin = match line.origin {
            Origin::Iconik => "iconik",
            Origin::ContentServer => "Content Server",
        };
        let class = match line.event {
            Event::Removed => " class=\"removed\"",
            Event::Added | Event::Edited => "",
        };
        let mut text = escaped(&said.text);
        if let Some(answers) = &said.answers {
            let thread = lines.iter().find(|line| line.object == *answers);
            let what = thread.map_or_else(|| escaped(answers), |line| format!("#{}", line.seq));
            text = format!("{text} <small>(answers {what})</small>");
        }
        if said.resolved {
            text.push_str(" <small>(resolved)</small>");
        }
        let content = said.content.as_ref().map_or_else(String::new, |content| {
            format!("<code>sha256 {}</code>", escaped(&content.sha256))
        });
        page.push_str(&format!(
            "<tr{class} title=\"{digest}\"><td>{seq}<td>{origin}<td>{kind} {event}<td>{who}<td>{when}<td>{time}<td>{text}<td>{content}</tr>\n",
            digest = line.digest,
            seq = line.seq,
            kind = line.kind.as_str(),
            event = line.event.as_str(),
            who = escaped(said.by()),
            when = escaped(said.at.as_deref().unwrap_or("")),
            time = said.start_ms.map_or_else(String::new, time_code),
        ));
    }
    page.push_str("</table></html>\n");
    page.into_bytes()
}

/// Hours, minutes, seconds and milliseconds.
pub(super) fn time_code(ms: i64) -> String {
    let (sign, ms) = (if ms < 0 { "-" } else { "" }, ms.unsigned_abs());
    let (hours, minutes, seconds) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60);
    format!(
        "{sign}{hours:02}:{minutes:02}:{seconds:02}.{:03}",
        ms % 1000
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_codes_are_written_as_people_read_them() {
        assert_eq!(time_code(3_723_004), "01:02:03.004");
        assert_eq!(time_code(i64::MIN).chars().next(), Some('-'));
    }
}
