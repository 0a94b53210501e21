//! A record, read as far as somebody needs it who goes on with a package: its events.

use jiff::Timestamp;
use serde::Deserialize;

use super::{Event, EventKind};

/// A record that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// It is no XML, or no record.
    #[error("it is not what a record looks like: {0}")]
    Xml(#[from] quick_xml::DeError),
    /// A member of an event cannot be read.
    #[error("event {event}: {text:?} is no {what}")]
    Event {
        /// The event.
        event: String,
        /// What stands there.
        text: String,
        /// What should.
        what: &'static str,
    },
}

#[derive(Deserialize)]
struct Record {
    #[serde(default)]
    event: Vec<Written>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    event_identifier: Identifier,
    event_type: Text,
    event_date_time: String,
    event_detail_information: Option<Detail>,
    event_outcome_information: Option<Outcome>,
    linking_object_identifier: Option<Linked>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Identifier {
    event_identifier_value: String,
}

#[derive(Deserialize)]
struct Text {
    #[serde(rename = "$text", default)]
    text: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Detail {
    #[serde(default)]
    event_detail: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Outcome {
    event_outcome: Text,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Linked {
    linking_object_identifier_type: String,
    linking_object_identifier_value: String,
}

/// The events of a record that longhaul wrote, in its order.
///
/// # Errors
///
/// When it is no record, or an event is not one of those that longhaul writes.
pub fn events_of(xml: &str) -> Result<Vec<Event>, Unreadable> {
    let record: Record = quick_xml::de::from_str(xml)?;
    record.event.into_iter().map(event).collect()
}

fn event(written: Written) -> Result<Event, Unreadable> {
    let name = written.event_identifier.event_identifier_value;
    let no = |what, text: &str| Unreadable::Event {
        event: name.clone(),
        text: text.to_owned(),
        what,
    };
    let (word, at) = (&written.event_type.text, &written.event_date_time);
    let kind = EventKind::ALL
        .into_iter()
        .find(|kind| kind.word().0 == word);
    let at: Result<Timestamp, _> = at.parse();
    Ok(Event {
        id: name.parse().map_err(|_| no("UUID", &name))?,
        kind: kind.ok_or_else(|| no("event of longhaul's", word))?,
        at: at.map_err(|_| no("time", &written.event_date_time))?,
        detail: written
            .event_detail_information
            .map_or_else(String::new, |detail| detail.event_detail),
        success: written
            .event_outcome_information
            .is_none_or(|outcome| outcome.event_outcome.text != super::FAIL),
        object: written.linking_object_identifier.map(|object| {
            (
                object.linking_object_identifier_type,
                object.linking_object_identifier_value,
            )
        }),
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::record;
    use super::*;

    #[test]
    fn events_are_read_as_they_were_written() {
        let written = record();
        assert!(!written.events.is_empty());
        assert_eq!(events_of(&written.to_xml()).unwrap(), written.events);
    }

    #[test]
    fn what_is_no_record_of_longhaul_is_refused_with_the_event() {
        assert!(events_of("<premis><event/></premis>").is_err());
        let text = record().to_xml();
        let id = record().events[0].id.to_string();
        for (from, to, what) in [
            (
                ">fixity check<",
                ">digestion<",
                "\"digestion\" is no event of longhaul's",
            ),
            ("<eventDateTime>2", "<eventDateTime>x", "is no time"),
        ] {
            let error = events_of(&text.replace(from, to)).unwrap_err().to_string();
            assert!(error.starts_with(&format!("event {id}: ")), "{error}");
            assert!(error.ends_with(what), "{error}");
        }
    }
}
