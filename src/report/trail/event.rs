//! What a line of the journal says: for people, and in PREMIS's words when it has one.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::pages::identifier;
use crate::ledger::Line;
use crate::sidecar::premis;
use crate::telemetry::scrub;

/// Something that happened.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Happened {
    pub(super) seq: i64,
    pub(super) at: String,
    pub(super) event: String,
    pub(super) asset: String,
    /// Who, as far as it says so.
    pub(super) who: String,
    /// What, for people.
    pub(super) what: String,
    /// The content that it is about.
    pub(super) sha256: String,
    pub(super) node: Option<i64>,
    pub(super) version: Option<i64>,
    pub(super) digest: String,
    /// The line's own facts.
    pub(super) data: Value,
}

/// Whether an event is a step of a decision about what an item has filed.
pub(super) fn is_decision(event: &str) -> bool {
    event.starts_with("approval-") || event.starts_with("lifecycle-")
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn first(values: &[&Value]) -> String {
    let mut texts = values.iter().map(|value| text(value));
    texts.find(|text| !text.is_empty()).unwrap_or_default()
}

/// A line as an event. `content` is what its item has filed.
pub(super) fn happened(line: &Line, data: Value, asset: String, content: String) -> Happened {
    let said = data.pointer("/line/said").cloned().unwrap_or_default();
    let who = first(&[
        &said["author"],
        &said["author_id"],
        &data["ending"]["by"],
        &data["who"],
        &data["decided"]["who"],
        &data["approver"],
        &data["by"],
    ]);
    let what = if said.is_null() {
        done(&data)
    } else {
        spoken(&data["line"])
    };
    let at = Timestamp::from_millisecond(line.at);
    let sha256 = first(&[&said["content"]["sha256"], &data["sha256"]]);
    Happened {
        seq: line.seq,
        at: at.map_or_else(|_| String::new(), |at| at.to_string()),
        event: line.event.clone(),
        asset,
        who: scrub(&who).into_owned(),
        what: scrub(&what).into_owned(),
        sha256: if sha256.is_empty() { content } else { sha256 },
        node: said["content"]["node"].as_i64().or(data["node"].as_i64()),
        version: said["content"]["version"]
            .as_i64()
            .or(data["version"].as_i64())
            .or(data["document_version"].as_i64()),
        digest: line.digest.clone(),
        data,
    }
}

/// What somebody said or decided, as a review record has it.
fn spoken(line: &Value) -> String {
    let said = &line["said"];
    let at = text(&said["at"]);
    let at = if at.is_empty() {
        at
    } else {
        format!(" at {at}")
    };
    format!(
        "{} {} in {}{at}: {}",
        text(&line["kind"]),
        text(&line["event"]),
        text(&line["origin"]),
        text(&said["text"]),
    )
}

/// What was done, as far as the line's facts say it.
fn done(data: &Value) -> String {
    let mut parts: Vec<String> = Vec::new();
    let ending = &data["ending"];
    if let Some(verdict) = ending["verdict"].as_str() {
        let at = ending["at"].as_str().map(|at| format!(" at {at}"));
        let comment = ending["comment"].as_str().map(|said| format!(": {said}"));
        let parts_of = [at.unwrap_or_default(), comment.unwrap_or_default()];
        parts.push(format!("{verdict}{}", parts_of.concat()));
    }
    let words = first(&[
        &data["because"],
        &data["why"],
        &data["error"],
        &data["field"],
        &data["history"],
        &data["comment"],
    ]);
    parts.extend(Some(words).filter(|words| !words.is_empty()));
    if let Some(vote) = data["vote"].as_str() {
        parts.push(format!("the vote {vote} in iconik"));
    }
    if let Some(ruling) = data.get("ruling") {
        parts.push(format!("decided: {}", spelled(ruling)));
    }
    if data["after"].is_string() || data["after"].is_object() {
        let what = text(&data["attribute"]);
        let (before, after) = (spelled(&data["before"]), spelled(&data["after"]));
        parts.push(format!("{what} {before} becomes {after}").trim().to_owned());
    }
    let step = |name: &str| {
        let steps = data["progress"]["steps"].as_array().into_iter().flatten();
        let names = steps.filter(|step| step["over"].as_bool() == Some(name == "over"));
        let names: Vec<&str> = names.filter_map(|step| step["name"].as_str()).collect();
        names.join(", ")
    };
    let (over, open) = (step("over"), step("open"));
    if ending.is_null() && !(over.is_empty() && open.is_empty()) {
        let state = [("over", over), ("open", open)];
        let state = state.iter().filter(|(_, names)| !names.is_empty());
        let state: Vec<String> = state.map(|(is, names)| format!("{names} {is}")).collect();
        parts.push(state.join(", "));
    }
    if let Some(remark) = data["segment"].as_str() {
        parts.push(format!(
            "line {} is remark {remark} in iconik",
            spelled(&data["line"])
        ));
    }
    if let (Some(schedule), true) = (data["schedule"].as_str(), data.get("due").is_some()) {
        let due = data["due"].as_str().unwrap_or("at no date that was told");
        parts.push(format!(
            "kept under retention schedule {schedule}, due next {due}"
        ));
    }
    if let Some(process) = data["process"].as_i64() {
        parts.push(format!("process {process}"));
    }
    parts.join("; ")
}

/// A value in a few words.
fn spelled(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::String(text) => format!("{text:?}"),
        other => other.to_string(),
    }
}

/// The event in PREMIS's words, when it has one.
pub(super) fn preserved(event: &Happened) -> Option<premis::Event> {
    use premis::EventKind;
    let said = event.data.pointer("/line/kind").and_then(Value::as_str);
    let (kind, success) = match (event.event.as_str(), said) {
        ("committed", _) => (EventKind::Ingested, true),
        ("proved", _) => (EventKind::Checked, true),
        ("approval-ended", _) => {
            let verdict = event.data["ending"]["verdict"].as_str();
            (EventKind::Approved, verdict == Some("approved"))
        }
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_approval_says_who_decided_what_about_which_content() {
        let of = |event: &str, data: Value| {
            let line = Line {
                seq: 1,
                at: 0,
                run: None,
                item: None,
                file: None,
                event: event.to_owned(),
                data: String::new(),
                digest: String::new(),
            };
            happened(&line, data, "a".to_owned(), "d1".to_owned())
        };
        let ending = json!({"verdict": "rejected", "by": "anna", "at": "2026-10-04", "comment": "no licence"});
        let ended = of("approval-ended", json!({"ending": ending, "process": 9}));
        assert_eq!(ended.who, "anna");
        assert_eq!(ended.what, "rejected at 2026-10-04: no licence; process 9");
        assert_eq!(ended.sha256, "d1");
        let moved = json!({"process": 9, "progress": {"steps": [
            {"name": "Legal", "over": true}, {"name": "Compliance", "over": false},
        ]}});
        assert_eq!(
            of("approval-moved", moved).what,
            "Legal over, Compliance open; process 9"
        );
        let marking = json!({"attribute": "State", "before": ["x"], "after": "approved"});
        assert_eq!(
            of("approval-marking", marking).what,
            "State [\"x\"] becomes \"approved\""
        );
        let destroying = json!({"decided": {"who": "rita"}, "why": "expired"});
        let destroying = of("lifecycle-destroying", destroying);
        assert_eq!(
            (destroying.who.as_str(), destroying.what.as_str()),
            ("rita", "expired")
        );
    }
}
