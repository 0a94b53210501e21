//! The lines of a review record: what somebody said or decided, chained like the journal.
//!
//! A line is never changed. An edit, a withdrawal and a change of mind are lines of their own that
//! name the same object, so the record says what was known when.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// What the first line follows.
const BEGINNING: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Where something was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// In iconik.
    Iconik,
    /// In Content Server.
    ContentServer,
}

/// What kind of thing was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A comment, or an answer to one.
    Comment,
    /// A mark on the time line.
    Marker,
    /// The state of a review.
    Status,
    /// What one person decided.
    Approval,
    /// A confirmation by electronic signature.
    Signature,
}

impl Kind {
    /// What can be chosen to be recorded of iconik.
    pub const ALL: [Self; 4] = [Self::Comment, Self::Marker, Self::Status, Self::Approval];

    /// The word for settings, several of them.
    pub fn plural(self) -> &'static str {
        match self {
            Self::Comment => "comments",
            Self::Marker => "markers",
            Self::Status => "status",
            Self::Approval => "approvals",
            Self::Signature => "signatures",
        }
    }

    /// The word for people and machines.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Comment => "comment",
            Self::Marker => "marker",
            Self::Status => "status",
            Self::Approval => "approval",
            Self::Signature => "signature",
        }
    }
}

/// What happened to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// It was said.
    Added,
    /// It says something else now.
    Edited,
    /// It is not there any more.
    Removed,
}

impl Event {
    /// The word for people and machines.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Edited => "edited",
            Self::Removed => "removed",
        }
    }
}

/// The filed content that something is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// Its digest.
    pub sha256: String,
    /// The document.
    pub node: i64,
    /// The document's version.
    pub version: Option<i64>,
}

/// What was said, by whom, when and about what.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// The text, or iconik's word for a decision.
    pub text: String,
    /// Its author by name.
    pub author: Option<String>,
    /// Its author as that system identifies people.
    pub author_id: Option<String>,
    /// When, as that system says it.
    pub at: Option<String>,
    /// Where on the time line it begins, in milliseconds.
    pub start_ms: Option<i64>,
    /// Where it ends.
    pub end_ms: Option<i64>,
    /// The object that it answers.
    pub answers: Option<String>,
    /// Whether it is dealt with.
    pub resolved: bool,
    /// The asset's version that it is about, by id.
    pub asset_version: Option<String>,
    /// The content that was filed of that version, when it was recorded.
    pub content: Option<Content>,
}

impl Said {
    /// Its author for people, as far as one is known.
    pub fn by(&self) -> &str {
        let known = self.author.as_deref().or(self.author_id.as_deref());
        known.unwrap_or("unknown")
    }

    /// Whether it is the same, however its author or its content is called meanwhile.
    pub fn is_same(&self, other: &Self) -> bool {
        let own = |said: &Self| {
            (
                said.text.clone(),
                said.at.clone(),
                (said.start_ms, said.end_ms),
                said.answers.clone(),
                said.resolved,
            )
        };
        own(self) == own(other)
    }
}

/// Something that a system has now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Heard {
    /// Where.
    pub(super) origin: Origin,
    /// What kind.
    pub(super) kind: Kind,
    /// What.
    pub(super) said: Said,
    /// Whether it is known although the record has no line of it: our own words, edited.
    pub(super) known: bool,
}

/// A line of a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// From 1.
    pub seq: u64,
    /// When it was noticed.
    pub noticed: Timestamp,
    /// Where it was said.
    pub origin: Origin,
    /// What kind of thing it is.
    pub kind: Kind,
    /// What happened to it.
    pub event: Event,
    /// Which one it is.
    pub object: String,
    /// What it says; for a removed one what it said last.
    pub said: Said,
    /// Digest of the line before it.
    pub previous: String,
    /// SHA-256 of this line with this field empty, hex.
    pub digest: String,
}

impl Line {
    fn sealed(mut self) -> Self {
        self.digest = String::new();
        let text = serde_json::to_vec(&self).unwrap_or_default();
        self.digest = hex::encode(Sha256::digest(text));
        self
    }
}

/// The lines that follow from what is there now. `complete` says of a line's object whether its
/// absence means that it is gone.
pub(super) fn news(
    lines: &[Line],
    heard: &BTreeMap<String, Heard>,
    complete: impl Fn(&Line) -> bool,
    noticed: Timestamp,
) -> Vec<Line> {
    let mut last: BTreeMap<&str, &Line> = BTreeMap::new();
    for line in lines {
        last.insert(&line.object, line);
    }
    let mut found: Vec<(Event, &str, Origin, Kind, Said)> = Vec::new();
    for (object, heard) in heard {
        let event = match last.get(object.as_str()) {
            None if heard.known => Event::Edited,
            None => Event::Added,
            Some(line) if line.event == Event::Removed => Event::Added,
            Some(line) if line.said.is_same(&heard.said) => continue,
            Some(_) => Event::Edited,
        };
        found.push((event, object, heard.origin, heard.kind, heard.said.clone()));
    }
    // In the order in which it was said, as far as that is known.
    found.sort_by(|a, b| a.4.at.cmp(&b.4.at).then_with(|| a.1.cmp(b.1)));
    for line in last.values() {
        let gone = line.event != Event::Removed && !heard.contains_key(&line.object);
        if gone && complete(line) {
            let said = line.said.clone();
            found.push((Event::Removed, &line.object, line.origin, line.kind, said));
        }
    }
    let mut previous = lines
        .last()
        .map_or_else(|| BEGINNING.to_owned(), |line| line.digest.clone());
    let first = lines.last().map_or(0, |line| line.seq) + 1;
    let mut news = Vec::new();
    for (seq, (event, object, origin, kind, said)) in (first..).zip(found) {
        let line = Line {
            seq,
            noticed,
            origin,
            kind,
            event,
            object: object.to_owned(),
            said,
            previous,
            digest: String::new(),
        }
        .sealed();
        previous = line.digest.clone();
        news.push(line);
    }
    news
}

/// Whether every line follows from the one before it.
pub fn is_whole(lines: &[Line]) -> bool {
    let mut previous = BEGINNING;
    for (at, line) in lines.iter().enumerate() {
        let whole = line.seq == at as u64 + 1
            && line.previous == previous
            && line.clone().sealed().digest == line.digest;
        if !whole {
            return false;
        }
        previous = &line.digest;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(text: &str) -> BTreeMap<String, Heard> {
        let said = Said {
            text: text.to_owned(),
            ..Said::default()
        };
        let one = Heard {
            origin: Origin::Iconik,
            kind: Kind::Comment,
            said,
            known: false,
        };
        BTreeMap::from([("a".to_owned(), one)])
    }

    #[test]
    fn each_change_is_one_line_and_no_change_is_none() {
        let now = Timestamp::UNIX_EPOCH;
        let mut lines: Vec<Line> = Vec::new();
        let mut say = |heard: &BTreeMap<String, Heard>, complete: bool| {
            let more = news(&lines, heard, |_| complete, now);
            let events: Vec<Event> = more.iter().map(|line| line.event).collect();
            lines.extend(more);
            assert!(is_whole(&lines));
            events
        };
        assert_eq!(say(&heard("one"), true), [Event::Added]);
        assert_eq!(say(&heard("one"), true), []);
        assert_eq!(say(&heard("two"), true), [Event::Edited]);
        assert_eq!(say(&BTreeMap::new(), false), [], "it was not looked for");
        assert_eq!(say(&BTreeMap::new(), true), [Event::Removed]);
        assert_eq!(say(&BTreeMap::new(), true), []);
        assert_eq!(say(&heard("two"), true), [Event::Added]);
        lines[1].said.text = "forged".to_owned();
        assert!(!is_whole(&lines));
        lines.remove(1);
        assert!(!is_whole(&lines));
    }
}
