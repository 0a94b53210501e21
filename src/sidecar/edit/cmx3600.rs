//! CMX 3600: a line an event, comments below it that name clips and files.

use super::{Error, Reference};

pub(super) fn references(text: &str) -> Result<Vec<Reference>, Error> {
    let mut found: Vec<Event> = Vec::new();
    // Old lists end their lines with a carriage return alone.
    for line in text.split(['\n', '\r']) {
        let line = line.trim();
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
