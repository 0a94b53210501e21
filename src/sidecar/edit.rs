//! Edit decision records: the source references of CMX 3600 lists and OpenTimelineIO timelines.
//!
//! The records themselves are kept byte for byte; this only reads what they point at. AAF, FCPXML
//! and project files are known by their names and not looked into.

use serde_json::Value;

/// Timelines nested deeper than this are not followed.
const DEPTH: usize = 64;

/// What kind of edit decision record a file is, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EditKind {
    /// CMX 3600.
    Cmx3600,
    /// OpenTimelineIO.
    Otio,
    /// Kept as it is: nothing is read from it.
    Opaque,
}

impl EditKind {
    /// By the end of the name; `None` when it is no edit decision record.
    pub fn of_name(name: &str) -> Option<Self> {
        let (_, extension) = name.rsplit_once('.')?;
        Some(match extension.to_ascii_lowercase().as_str() {
            "edl" => Self::Cmx3600,
            "otio" => Self::Otio,
            "aaf" | "fcpxml" | "fcpxmld" | "prproj" | "drp" | "avp" | "otioz" | "otiod" => {
                Self::Opaque
            }
            _ => return None,
        })
    }
}

/// A use of source media in an edit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reference {
    /// The clip: a name or, in a timeline, where its media is.
    pub clip: String,
    /// The reel, often cut to eight characters.
    pub reel: Option<String>,
    /// First frame used.
    pub first: Option<String>,
    /// The frame after the last.
    pub last: Option<String>,
}

/// The names under which a source may be found, the best first: the clip, the file name at the
/// end of its address, each also without extension, then the reel.
pub fn names(clip: &str, reel: Option<&str>) -> Vec<String> {
    let mut names = Vec::new();
    let mut add = |name: &str| {
        let name = name.trim();
        if !name.is_empty() && !names.iter().any(|known: &String| known == name) {
            names.push(name.to_owned());
        }
    };
    let file = clip.rsplit(['/', '\\']).next().unwrap_or_default();
    let file = percent_encoding::percent_decode_str(file).decode_utf8_lossy();
    for name in [clip, &file] {
        add(name);
    }
    if let Some((stem, _)) = file.rsplit_once('.') {
        add(stem);
    }
    if let Some(reel) = reel {
        add(reel);
    }
    names
}

/// Why a record tells nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No event in it.
    #[error("no event of a CMX 3600 list is in it")]
    NoEvent,
    /// Not JSON.
    #[error("it is not JSON, line {line}")]
    NotJson {
        /// Where it went wrong.
        line: usize,
    },
    /// JSON, but no timeline.
    #[error("it holds no OpenTimelineIO object")]
    NoTimeline,
}

/// The source references of a record, in order, each once.
///
/// # Errors
///
/// What makes the content another one than its name says.
pub fn references(kind: EditKind, content: &[u8]) -> Result<Vec<Reference>, Error> {
    let mut found = match kind {
        EditKind::Cmx3600 => cmx3600(&String::from_utf8_lossy(content))?,
        EditKind::Otio => otio(content)?,
        EditKind::Opaque => Vec::new(),
    };
    let mut seen = std::collections::HashSet::new();
    found.retain(|reference| {
        seen.insert((
            reference.clip.clone(),
            reference.reel.clone(),
            reference.first.clone(),
            reference.last.clone(),
        ))
    });
    Ok(found)
}

fn cmx3600(text: &str) -> Result<Vec<Reference>, Error> {
    let mut found: Vec<Event> = Vec::new();
    for line in text.lines() {
        let line = line.trim_start_matches('\u{feff}').trim();
        let Some(comment) = line.strip_prefix('*') else {
            found.extend(event(line));
            continue;
        };
        let (Some((label, name)), Some(at)) = (comment.split_once(':'), found.len().checked_sub(1))
        else {
            continue;
        };
        let name = name.trim().to_owned();
        match label.trim().to_ascii_uppercase().as_str() {
            // A dissolve may have two lines of one number: what it comes from is in the first.
            "FROM CLIP NAME" => {
                let before = at.checked_sub(1).filter(|before| {
                    found[*before].number == found[at].number && found[*before].is_nameless()
                });
                found[before.unwrap_or(at)].reference.clip = name;
            }
            "TO CLIP NAME" if found[at].is_nameless() => found[at].reference.clip = name,
            "TO CLIP NAME" => {
                let mut to = found[at].clone();
                to.reference.clip = name;
                found.push(to);
            }
            "SOURCE FILE" => found[at].file = name,
            _ => {}
        }
    }
    if found.is_empty() {
        return Err(Error::NoEvent);
    }
    let named = found.into_iter().filter_map(|event| {
        let mut reference = event.reference;
        let reel = reference.reel.clone().unwrap_or_default();
        if reference.clip.is_empty() {
            reference.clip = event.file;
        }
        // Black and colour bars come from no medium; an event without a clip is known by its reel.
        if reference.clip.is_empty() {
            if matches!(reel.to_ascii_uppercase().as_str(), "BL" | "AX" | "") {
                return None;
            }
            reference.clip = reel;
        }
        Some(reference)
    });
    Ok(named.collect())
}

/// An event of a list, with the number that its lines have and the file it names.
#[derive(Clone)]
struct Event {
    number: String,
    file: String,
    reference: Reference,
}

impl Event {
    fn is_nameless(&self) -> bool {
        self.reference.clip.is_empty()
    }
}

/// `NNN reel track transition [duration] srcIn srcOut recIn recOut`. What times cannot be read have
/// an event all the same, so that its source is not lost.
fn event(line: &str) -> Option<Event> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let [number, reel, _track, transition, rest @ ..] = fields.as_slice() else {
        return None;
    };
    if !number.starts_with(|c: char| c.is_ascii_digit())
        || !transition.starts_with(['C', 'D', 'W', 'K', 'c', 'd', 'w', 'k'])
        || rest.len() < 4
    {
        return None;
    }
    let times = match rest {
        [_duration, times @ ..] if times.len() >= 4 => times,
        times => times,
    };
    let time = |at: usize| {
        let text = times.get(at).filter(|text| is_timecode(text))?;
        Some((*text).to_owned())
    };
    Some(Event {
        number: (*number).to_owned(),
        file: String::new(),
        reference: Reference {
            clip: String::new(),
            reel: Some((*reel).to_owned()),
            first: time(0),
            last: time(1),
        },
    })
}

fn is_timecode(text: &str) -> bool {
    let parts: Vec<&str> = text.split([':', ';']).collect();
    parts.len() == 4
        && parts
            .iter()
            .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
}

fn otio(content: &[u8]) -> Result<Vec<Reference>, Error> {
    let value: Value =
        serde_json::from_slice(content).map_err(|error| Error::NotJson { line: error.line() })?;
    if value.get("OTIO_SCHEMA").is_none() {
        return Err(Error::NoTimeline);
    }
    let mut found = Vec::new();
    walk(&value, &mut found, 0);
    Ok(found)
}

fn walk(value: &Value, found: &mut Vec<Reference>, depth: usize) {
    if depth > DEPTH {
        return;
    }
    let schema = value["OTIO_SCHEMA"].as_str().unwrap_or_default();
    let name = schema.split('.').next().unwrap_or_default();
    match name {
        "Clip" => found.extend(clip(value)),
        "Timeline" => walk(&value["tracks"], found, depth + 1),
        "SerializableCollection" | "Stack" | "Track" => {
            for child in value["children"].as_array().into_iter().flatten() {
                walk(child, found, depth + 1);
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
    let address = media.and_then(|media| media["target_url"].as_str());
    // A signed address may have been written into it: what comes after the path is not kept.
    let address = address.map(|url| url.split(['?', '#']).next().unwrap_or_default());
    let name = value["name"].as_str();
    let clip = [address, name]
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

/// `value/rate`.
fn frames(time: &Value) -> Option<String> {
    let (value, rate) = (time["value"].as_f64()?, time["rate"].as_f64()?);
    Some(format!("{value}/{rate}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const EDL: &str = "TITLE: TV30\nFCM: NON-DROP FRAME\n\n\
        001  A002C006 V     C        01:02:03:04 01:02:05:04 01:00:00:00 01:00:02:00\n\
        * FROM CLIP NAME: A002C006_141024_R2EC.MOV\n\
        002  BL       V     C        00:00:00:00 00:00:01:00 01:00:02:00 01:00:03:00\n\
        003  TAPE7    V     D    012 10:00:00;00 10:00:01;00 01:00:03:00 01:00:04:00\n";

    #[test]
    fn an_edit_list_names_its_clips_and_reels() {
        let found = references(EditKind::Cmx3600, EDL.as_bytes()).unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].clip, "A002C006_141024_R2EC.MOV");
        assert_eq!(found[0].reel.as_deref(), Some("A002C006"));
        assert_eq!(found[0].first.as_deref(), Some("01:02:03:04"));
        assert_eq!(found[0].last.as_deref(), Some("01:02:05:04"));
        assert_eq!(
            names(&found[0].clip, found[0].reel.as_deref()),
            [
                "A002C006_141024_R2EC.MOV",
                "A002C006_141024_R2EC",
                "A002C006"
            ]
        );
        assert_eq!(found[1].clip, "TAPE7");
        assert_eq!(found[1].first.as_deref(), Some("10:00:00;00"));
    }

    #[test]
    fn both_sides_of_a_dissolve_files_and_unreadable_times_are_kept() {
        let list = "001  AX V C        00:00:00:00 00:00:00:00 01:00:00:00 01:00:00:00\n\
                    001  AX V D    024 00:00:00:00 00:00:02:00 01:00:00:00 01:00:02:00\n\
                    * FROM CLIP NAME: A.MOV\n* TO CLIP NAME: B.MOV\n\
                    002  AX V C        00:00:00:00 00:00:02:00 01:00:02:00 01:00:04:00\n\
                    * SOURCE FILE: C.MOV\n\
                    003  BROKEN V C 00:00:00 xx yy zz\n* FROM CLIP NAME: D.MOV\n\
                    004  BL V C        00:00:00:00 00:00:02:00 01:00:04:00 01:00:06:00\n";
        let found = references(EditKind::Cmx3600, list.as_bytes()).unwrap();
        let clips: Vec<&str> = found.iter().map(|one| one.clip.as_str()).collect();
        assert_eq!(clips, ["A.MOV", "B.MOV", "C.MOV", "D.MOV"]);
        assert_eq!(
            (&found[3].reel, &found[3].first),
            (&Some("BROKEN".to_owned()), &None)
        );
    }

    #[test]
    fn a_timeline_names_the_media_of_its_clips() {
        let timeline = json!({
            "OTIO_SCHEMA": "Timeline.1", "tracks": {"OTIO_SCHEMA": "Stack.1", "children": [
                {"OTIO_SCHEMA": "Track.1", "children": [
                    {"OTIO_SCHEMA": "Gap.1"},
                    {"OTIO_SCHEMA": "Clip.2", "name": "shot 1", "active_media_reference_key": "hi",
                     "media_references": {"hi": {"OTIO_SCHEMA": "ExternalReference.1", "target_url": "file:///v/A%20B.mov?X-Amz-Signature=canary"}},
                     "source_range": {"start_time": {"value": 24.0, "rate": 24.0}, "duration": {"value": 48.0, "rate": 24.0}}},
                    {"OTIO_SCHEMA": "Clip.2", "name": "missing.wav", "media_references": {"DEFAULT_MEDIA": {"OTIO_SCHEMA": "MissingReference.1"}}},
                ]}]}
        });
        let found = references(EditKind::Otio, timeline.to_string().as_bytes()).unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].clip, "file:///v/A%20B.mov");
        assert_eq!(found[0].first.as_deref(), Some("24/24"));
        assert_eq!(found[0].last.as_deref(), Some("72/24"));
        assert!(names(&found[0].clip, found[0].reel.as_deref()).contains(&"A B.mov".to_owned()));
        assert_eq!(found[1].clip, "missing.wav");
    }

    #[test]
    fn other_records_are_known_by_their_names_and_not_read() {
        assert_eq!(EditKind::of_name("cut.AAF"), Some(EditKind::Opaque));
        assert_eq!(EditKind::of_name("a.b.EDL"), Some(EditKind::Cmx3600));
        assert_eq!(EditKind::of_name("master.mov"), None);
        assert_eq!(references(EditKind::Opaque, b"\x00\xd0\xcf"), Ok(vec![]));
    }

    #[test]
    fn what_is_no_edit_is_said_to_be_none() {
        assert_eq!(references(EditKind::Cmx3600, b"hello"), Err(Error::NoEvent));
        assert_eq!(
            references(EditKind::Otio, b"{]"),
            Err(Error::NotJson { line: 1 })
        );
        assert_eq!(references(EditKind::Otio, b"{}"), Err(Error::NoTimeline));
    }

    proptest! {
        #[test]
        fn no_content_makes_reading_panic(content in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = references(EditKind::Cmx3600, &content);
            let _ = references(EditKind::Otio, &content);
        }

        #[test]
        fn no_list_of_fields_makes_reading_panic(lines in "([0-9]{1,3} [A-Z0-9]{1,8} V [CDWK][0-9]{0,3}( [0-9:;]{1,11}){0,6}\n){1,4}") {
            let _ = references(EditKind::Cmx3600, lines.as_bytes());
        }
    }
}
