//! Edit decision records: the source references of CMX 3600 lists and OpenTimelineIO timelines.
//!
//! The records themselves are kept byte for byte; this only reads what they point at. AAF, FCPXML
//! and project files are known by their names and not looked into.

use std::borrow::Cow;
use std::collections::HashSet;

mod cmx3600;
mod otio;

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
/// end of its address, also without extension or frame number, then the reel.
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
    match file.split_once('#') {
        // A sequence is called by what its frames have in common, or by the folder they are in.
        Some((common, _)) => {
            add(common.trim_end_matches(['.', '_', '-', ' ']));
            if let Some(folder) = clip.rsplit(['/', '\\']).nth(1) {
                add(&percent_encoding::percent_decode_str(folder).decode_utf8_lossy());
            }
        }
        None => add(file.rsplit_once('.').map_or("", |(stem, _)| stem)),
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
    /// JSON of more levels than are read.
    #[error("its objects are nested too deep to be read, line {line}")]
    TooDeep {
        /// Where the level too many begins.
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
        EditKind::Cmx3600 => cmx3600::references(&text_of(content))?,
        EditKind::Otio => otio::references(&text_of(content))?,
        EditKind::Opaque => Vec::new(),
    };
    let mut seen = HashSet::new();
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

/// The text of a record. Editing systems write UTF-8, UTF-16 with its mark, or what Windows writes.
fn text_of(content: &[u8]) -> Cow<'_, str> {
    match encoding_rs::Encoding::for_bom(content) {
        Some((encoding, mark)) => {
            let (text, _) = encoding.decode_without_bom_handling(&content[mark..]);
            text
        }
        None => match std::str::from_utf8(content) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => {
                let (text, _) = encoding_rs::WINDOWS_1252.decode_without_bom_handling(content);
                text
            }
        },
    }
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
    fn a_sequence_of_images_is_found_by_its_frames_its_folder_or_its_clip() {
        let timeline = json!({"OTIO_SCHEMA": "Track.1", "children": [
            {"OTIO_SCHEMA": "Clip.2", "name": "", "media_references": {"DEFAULT_MEDIA": {
                "OTIO_SCHEMA": "ImageSequenceReference.1", "target_url_base": "file:///v/sh%20010?sig=canary",
                "name_prefix": "plate_v2.", "name_suffix": ".exr", "start_frame": 1001, "frame_zero_padding": 4}}},
        ]});
        let found = references(EditKind::Otio, timeline.to_string().as_bytes()).unwrap();
        assert_eq!(found[0].clip, "file:///v/sh%20010/plate_v2.####.exr");
        let names = names(&found[0].clip, Some("shot 10"));
        assert_eq!(
            names[1..],
            ["plate_v2.####.exr", "plate_v2", "sh 010", "shot 10"]
        );
    }

    #[test]
    fn numbers_that_are_none_hide_no_clip() {
        let text = r#"{"OTIO_SCHEMA": "Clip.2", "name": "say \"NaN\" -Inf\\",
            "metadata": {"a": NaN, "b": [-Infinity, Infinity, -1]}}"#;
        let found = references(EditKind::Otio, text.as_bytes()).unwrap();
        assert_eq!(found[0].clip, "say \"NaN\" -Inf\\");
    }

    #[test]
    fn a_timeline_that_is_too_deep_is_not_called_broken() {
        let mut deep = String::from(r#"{"OTIO_SCHEMA": "Stack.1", "children": "#);
        deep.push_str(&"[".repeat(500));
        assert_eq!(
            references(EditKind::Otio, deep.as_bytes()),
            Err(Error::TooDeep { line: 1 })
        );
    }

    #[test]
    fn lists_are_read_in_the_encodings_that_editing_systems_write() {
        let list = EDL.replace("A002C006_141024_R2EC.MOV", "Überblick.mov");
        let utf16 = |unit: fn(u16) -> [u8; 2]| -> Vec<u8> {
            let marked = format!("\u{feff}{list}");
            marked.encode_utf16().flat_map(unit).collect()
        };
        let windows = list.chars().map(|c| u8::try_from(u32::from(c)).unwrap());
        for content in [
            list.clone().into_bytes(),
            format!("\u{feff}{list}").into_bytes(),
            list.replace('\n', "\r").into_bytes(),
            list.replace('\n', "\r\n").into_bytes(),
            utf16(u16::to_le_bytes),
            utf16(u16::to_be_bytes),
            windows.collect(),
        ] {
            let found = references(EditKind::Cmx3600, &content).unwrap();
            assert_eq!((found.len(), found[0].clip.as_str()), (2, "Überblick.mov"));
        }
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
