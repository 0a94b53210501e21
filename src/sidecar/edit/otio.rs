//! OpenTimelineIO: a tree of JSON objects, each with its schema's name.

use std::borrow::Cow;

use serde_json::Value;

use super::{Error, Reference};

/// What it writes for numbers that are none, longer ones first.
const WORDS: [&str; 5] = ["-Infinity", "Infinity", "-Inf", "Inf", "NaN"];

pub(super) fn references(text: &str) -> Result<Vec<Reference>, Error> {
    let value: Value = serde_json::from_str(&without_infinities(text)).map_err(|error| {
        // The reader's own limit; it has no kind of its own for it.
        match error.to_string().starts_with("recursion limit exceeded") {
            true => Error::TooDeep { line: error.line() },
            false => Error::NotJson { line: error.line() },
        }
    })?;
    if value.get("OTIO_SCHEMA").is_none() {
        return Err(Error::NoTimeline);
    }
    let mut found = Vec::new();
    walk(&value, &mut found);
    Ok(found)
}

/// Numbers that JSON has no words for and OpenTimelineIO writes all the same, as null.
fn without_infinities(text: &str) -> Cow<'_, str> {
    if !text.contains("NaN") && !text.contains("Inf") {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let (mut rest, mut quoted) = (text, false);
    while let Some(at) = rest.find(['"', '\\', 'N', 'I', '-']) {
        plain.push_str(&rest[..at]);
        rest = &rest[at..];
        let word = (!quoted)
            .then(|| WORDS.iter().find(|word| rest.starts_with(**word)))
            .flatten();
        let length = match word {
            Some(word) => {
                plain.push_str("null");
                word.len()
            }
            None => {
                quoted ^= rest.starts_with('"');
                // What is escaped ends no text.
                let escaped = quoted && rest.starts_with('\\');
                let length: usize = rest
                    .chars()
                    .take(if escaped { 2 } else { 1 })
                    .map(char::len_utf8)
                    .sum();
                plain.push_str(&rest[..length]);
                length
            }
        };
        rest = &rest[length..];
    }
    plain.push_str(rest);
    Cow::Owned(plain)
}

/// Its depth is the reader's, which is limited.
fn walk(value: &Value, found: &mut Vec<Reference>) {
    let schema = value["OTIO_SCHEMA"].as_str().unwrap_or_default();
    let name = schema.split('.').next().unwrap_or_default();
    match name {
        "Clip" => found.extend(clip(value)),
        "Timeline" => walk(&value["tracks"], found),
        "SerializableCollection" | "Stack" | "Track" => {
            for child in value["children"].as_array().into_iter().flatten() {
                walk(child, found);
            }
        }
        _ => {}
    }
}

fn clip(value: &Value) -> Option<Reference> {
    // Clip.1 had one reference.
    let key = value["active_media_reference_key"]
        .as_str()
        .unwrap_or("DEFAULT_MEDIA");
    let media = [&value["media_references"][key], &value["media_reference"]]
        .into_iter()
        .find(|media| media.is_object());
    let address = media.and_then(|media| match &media["target_url"] {
        Value::String(url) => Some(path_of(url).to_owned()),
        _ => sequence(media),
    });
    let name = value["name"].as_str();
    let clip = [address.as_deref(), name]
        .into_iter()
        .flatten()
        .find(|text| !text.is_empty())?;
    let range = &value["source_range"];
    let first = frames(&range["start_time"]);
    let last = match (
        range["start_time"]["value"].as_f64(),
        range["duration"]["value"].as_f64(),
        range["duration"]["rate"].as_f64(),
    ) {
        (Some(start), Some(length), Some(rate)) => Some(format!("{}/{rate}", start + length)),
        _ => None,
    };
    Some(Reference {
        clip: clip.to_owned(),
        reel: name
            .filter(|name| !name.is_empty() && *name != clip)
            .map(str::to_owned),
        first,
        last,
    })
}

/// The frames of an image sequence as one address, its frame number as `#` signs: `shot.####.exr`.
fn sequence(media: &Value) -> Option<String> {
    let text = |member: &str| media[member].as_str().unwrap_or_default();
    let (prefix, suffix) = (text("name_prefix"), text("name_suffix"));
    if prefix.is_empty() && suffix.is_empty() {
        return None;
    }
    let digits = media["frame_zero_padding"].as_u64().unwrap_or(1);
    let digits = usize::try_from(digits).unwrap_or(1).clamp(1, 16);
    let mut address = path_of(text("target_url_base")).to_owned();
    if !address.is_empty() && !address.ends_with('/') {
        address.push('/');
    }
    Some(format!("{address}{prefix}{}{suffix}", "#".repeat(digits)))
}

/// An address without what comes after its path: a signed one may have been written into a timeline.
fn path_of(address: &str) -> &str {
    address.split(['?', '#']).next().unwrap_or_default()
}

/// `value/rate`.
fn frames(time: &Value) -> Option<String> {
    let (value, rate) = (time["value"].as_f64()?, time["rate"].as_f64()?);
    Some(format!("{value}/{rate}"))
}
