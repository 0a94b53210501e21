//! PREMIS 3.0: what was preserved and what happened to it, from facts like a journal's. Events are
//! read again where somebody else goes on with a record.

mod read;

use jiff::Timestamp;
use jiff::civil::Date;

pub use read::{Unreadable, events_of};

use super::xml::Xml;
use crate::types::{ByteCount, Sha256Digest};

/// A file that is preserved.
#[derive(Clone, Debug)]
pub struct Object {
    /// Its identifiers, type and value; the first one links events to it.
    pub identifiers: Vec<(String, String)>,
    /// Its digest.
    pub sha256: Sha256Digest,
    /// Bytes.
    pub size: ByteCount,
    /// Media type.
    pub format: String,
    /// Its path in the package.
    pub name: String,
}

/// What can happen, with the code of its word in the Library of Congress's vocabulary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EventKind {
    /// A digest was computed while reading.
    Digested,
    /// A digest was compared.
    Checked,
    /// A version was committed.
    Ingested,
    /// A bag was closed.
    Packed,
    /// A file was moved from one system to the other.
    Transferred,
    /// A release was approved.
    Approved,
}

/// The word of an outcome that is no success.
const FAIL: &str = "fail";

impl EventKind {
    const ALL: [Self; 6] = [
        Self::Digested,
        Self::Checked,
        Self::Ingested,
        Self::Packed,
        Self::Transferred,
        Self::Approved,
    ];

    fn word(self) -> (&'static str, Option<&'static str>) {
        match self {
            Self::Digested => ("message digest calculation", Some("mes")),
            Self::Checked => ("fixity check", Some("fix")),
            Self::Ingested => ("ingestion", Some("ing")),
            Self::Packed => ("packing", Some("pac")),
            Self::Transferred => ("transfer", None),
            Self::Approved => ("approval", None),
        }
    }
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its UUID: derived, so that the same event is the same one in every version of the record.
    pub id: uuid::Uuid,
    /// What.
    pub kind: EventKind,
    /// When.
    pub at: Timestamp,
    /// More, for people and programs: `level=read-back; run=7`.
    pub detail: String,
    /// Whether it went well.
    pub success: bool,
    /// The object it happened to: type and value of its identifier.
    pub object: Option<(String, String)>,
}

/// What may be done with files, and what says so.
#[derive(Clone, Debug)]
pub struct Licence {
    /// Its name: type and value.
    pub id: (String, String),
    /// Papers that prove it: type and value of each, and its role.
    pub papers: Vec<(String, String, String)>,
    /// The terms in words.
    pub terms: String,
    /// Why there are none to be told of; the basis of the statement is no licence then.
    pub unknown: Option<String>,
    /// Whether anything is permitted.
    pub permits: bool,
    /// What is not, in words.
    pub restrictions: Vec<String>,
    /// First and last day.
    pub days: (Option<Date>, Option<Date>),
    /// The objects it is about: type and value of their identifiers.
    pub objects: Vec<(String, String)>,
}

/// The whole record.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// Files, at least one.
    pub objects: Vec<Object>,
    /// Events.
    pub events: Vec<Event>,
    /// Rights.
    pub licences: Vec<Licence>,
    /// The program's version.
    pub version: String,
}

impl Record {
    /// The document.
    pub fn to_xml(&self) -> String {
        let mut writer = Writer::new();
        let mut text = String::new();
        for object in &self.objects {
            text.push_str(&writer.object(object));
        }
        for event in &self.events {
            text.push_str(&writer.event_of(event, &self.version));
        }
        text.push_str(&writer.finish_with(&self.version, &self.licences));
        text
    }
}

/// Writes a record piece by piece: objects, then events, then its end.
#[derive(Debug)]
pub struct Writer(Xml);

impl Default for Writer {
    fn default() -> Self {
        Self::new()
    }
}

impl Writer {
    /// Begins a record.
    pub fn new() -> Self {
        let mut xml = Xml::new();
        xml.open(
            "premis",
            &[
                ("xmlns", "http://www.loc.gov/premis/v3"),
                ("xmlns:xsi", "http://www.w3.org/2001/XMLSchema-instance"),
                ("version", "3.0"),
            ],
        );
        Self(xml)
    }

    /// The text of an object, after what was not handed out before it.
    pub fn object(&mut self, object: &Object) -> String {
        write_object(&mut self.0, object);
        self.0.take()
    }

    /// The text of an event that this version of longhaul saw.
    pub fn event(&mut self, event: &Event) -> String {
        self.event_of(event, env!("CARGO_PKG_VERSION"))
    }

    fn event_of(&mut self, event: &Event, version: &str) -> String {
        write_event(&mut self.0, event, &format!("longhaul/{version}"));
        self.0.take()
    }

    /// The end of the record, with the program that made it.
    pub fn finish(self, version: &str) -> String {
        self.finish_with(version, &[])
    }

    fn finish_with(self, version: &str, licences: &[Licence]) -> String {
        let Self(mut xml) = self;
        xml.open("agent", &[]);
        xml.open("agentIdentifier", &[]);
        xml.leaf("agentIdentifierType", "software");
        xml.leaf("agentIdentifierValue", &format!("longhaul/{version}"));
        xml.close();
        xml.leaf("agentName", "longhaul");
        xml.leaf("agentType", "software");
        xml.leaf("agentVersion", version);
        xml.close();
        if !licences.is_empty() {
            xml.open("rights", &[]);
            for licence in licences {
                write_licence(&mut xml, licence);
            }
            xml.close();
        }
        xml.finish()
    }
}

/// The papers of a licence, in elements of these names: the paper, its identifier's type and value,
/// and its role.
fn documentation(xml: &mut Xml, names: [&'static str; 4], licence: &Licence) {
    let [paper, of_type, of_value, of_role] = names;
    for (kind, value, role) in &licence.papers {
        xml.open(paper, &[]);
        xml.leaf(of_type, kind);
        xml.leaf(of_value, value);
        xml.leaf(of_role, role);
        xml.close();
    }
}

fn write_licence(xml: &mut Xml, licence: &Licence) {
    xml.open("rightsStatement", &[]);
    xml.open("rightsStatementIdentifier", &[]);
    xml.leaf("rightsStatementIdentifierType", &licence.id.0);
    xml.leaf("rightsStatementIdentifierValue", &licence.id.1);
    xml.close();
    if let Some(why) = &licence.unknown {
        xml.leaf("rightsBasis", "other");
        xml.open("otherRightsInformation", &[]);
        let names = [
            "otherRightsDocumentationIdentifier",
            "otherRightsDocumentationIdentifierType",
            "otherRightsDocumentationIdentifierValue",
            "otherRightsDocumentationRole",
        ];
        documentation(xml, names, licence);
        xml.leaf("otherRightsBasis", "unknown");
        xml.leaf("otherRightsNote", why);
        xml.close();
    } else {
        xml.leaf("rightsBasis", "license");
        xml.open("licenseInformation", &[]);
        let names = [
            "licenseDocumentationIdentifier",
            "licenseDocumentationIdentifierType",
            "licenseDocumentationIdentifierValue",
            "licenseDocumentationRole",
        ];
        documentation(xml, names, licence);
        xml.leaf("licenseTerms", &licence.terms);
        days(xml, "licenseApplicableDates", licence.days);
        xml.close();
    }
    if licence.permits {
        xml.open("rightsGranted", &[]);
        xml.leaf("act", "use");
        for restriction in &licence.restrictions {
            xml.leaf("restriction", restriction);
        }
        days(xml, "termOfGrant", licence.days);
        xml.close();
    }
    for (kind, value) in &licence.objects {
        xml.open("linkingObjectIdentifier", &[]);
        xml.leaf("linkingObjectIdentifierType", kind);
        xml.leaf("linkingObjectIdentifierValue", value);
        xml.close();
    }
    xml.close();
}

/// A span of days. The schema wants a first one: without it the terms alone say the last.
fn days(xml: &mut Xml, name: &'static str, (first, last): (Option<Date>, Option<Date>)) {
    let Some(first) = first else { return };
    xml.open(name, &[]);
    xml.leaf("startDate", &first.to_string());
    if let Some(last) = last {
        xml.leaf("endDate", &last.to_string());
    }
    xml.close();
}

fn write_object(xml: &mut Xml, object: &Object) {
    xml.open("object", &[("xsi:type", "file")]);
    for (kind, value) in &object.identifiers {
        xml.open("objectIdentifier", &[]);
        xml.leaf("objectIdentifierType", kind);
        xml.leaf("objectIdentifierValue", value);
        xml.close();
    }
    xml.open("objectCharacteristics", &[]);
    xml.open("fixity", &[]);
    xml.leaf("messageDigestAlgorithm", "SHA-256");
    xml.leaf("messageDigest", &object.sha256.to_string());
    xml.leaf("messageDigestOriginator", "longhaul");
    xml.close();
    xml.leaf("size", &object.size.to_string());
    xml.open("format", &[]);
    xml.open("formatDesignation", &[]);
    xml.leaf("formatName", &object.format);
    xml.close();
    xml.close();
    xml.close();
    xml.leaf("originalName", &object.name);
    xml.close();
}

fn write_event(xml: &mut Xml, event: &Event, agent: &str) {
    xml.open("event", &[]);
    xml.open("eventIdentifier", &[]);
    xml.leaf("eventIdentifierType", "UUID");
    xml.leaf("eventIdentifierValue", &event.id.to_string());
    xml.close();
    let (word, code) = event.kind.word();
    let address =
        code.map(|code| format!("http://id.loc.gov/vocabulary/preservation/eventType/{code}"));
    let attributes: Vec<(&str, &str)> = address
        .iter()
        .map(|address| ("valueURI", address.as_str()))
        .collect();
    xml.leaf_with("eventType", &attributes, word);
    let at = event.at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string();
    xml.leaf("eventDateTime", &at);
    xml.open("eventDetailInformation", &[]);
    xml.leaf("eventDetail", &event.detail);
    xml.close();
    xml.open("eventOutcomeInformation", &[]);
    let (code, word) = if event.success {
        ("suc", "success")
    } else {
        ("fai", FAIL)
    };
    let outcome = format!("http://id.loc.gov/vocabulary/preservation/eventOutcome/{code}");
    xml.leaf_with("eventOutcome", &[("valueURI", &outcome)], word);
    xml.close();
    xml.open("linkingAgentIdentifier", &[]);
    xml.leaf("linkingAgentIdentifierType", "software");
    xml.leaf("linkingAgentIdentifierValue", agent);
    xml.close();
    if let Some((kind, value)) = &event.object {
        xml.open("linkingObjectIdentifier", &[]);
        xml.leaf("linkingObjectIdentifierType", kind);
        xml.leaf("linkingObjectIdentifierValue", value);
        xml.close();
    }
    xml.close();
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn record() -> Record {
        let file = ("iconik-file".to_owned(), "7d1f <&>".to_owned());
        Record {
            objects: vec![Object {
                identifiers: vec![file.clone()],
                sha256: Sha256Digest([7; 32]),
                size: 3,
                format: "video/quicktime".into(),
                name: "data/masters/TV30.mov".into(),
            }],
            events: vec![
                Event {
                    id: uuid::Uuid::from_u128(7),
                    kind: EventKind::Checked,
                    at: "2026-03-02T18:22:41.512Z".parse().unwrap(),
                    detail: "level=read-back; run=7".into(),
                    success: true,
                    object: Some(file),
                },
                Event {
                    id: uuid::Uuid::from_u128(8),
                    kind: EventKind::Approved,
                    at: "2026-03-02T18:22:41Z".parse().unwrap(),
                    detail: String::new(),
                    success: true,
                    object: None,
                },
            ],
            licences: vec![Licence {
                id: ("odrl".into(), "urn:longhaul:policy:a".into()),
                papers: vec![(
                    "URI".into(),
                    "urn:otcs:prod:node:7".into(),
                    "licence".into(),
                )],
                terms: "use when date until 2027-03-02".into(),
                unknown: None,
                permits: true,
                restrictions: vec!["distribute".into()],
                days: ("2026-03-02".parse().ok(), "2027-03-02".parse().ok()),
                objects: vec![("otcs-node".into(), "urn:otcs:prod:node:3:version:1".into())],
            }],
            version: "1.0.0".into(),
        }
    }

    #[test]
    fn a_record_keeps_the_order_that_the_schema_wants() {
        let text = record().to_xml();
        let order = [
            "<objectIdentifierType>iconik-file",
            "7d1f &lt;&amp;&gt;</objectIdentifierValue>",
            "<messageDigestAlgorithm>SHA-256",
            "<size>3</size>",
            "<formatName>video/quicktime",
            "<originalName>data/masters/TV30.mov",
            "<event>",
            "<eventType valueURI=\"http://id.loc.gov/vocabulary/preservation/eventType/fix\">fixity check</eventType>",
            "<eventDateTime>2026-03-02T18:22:41.512Z",
            "level=read-back; run=7",
            "eventOutcome/suc\">success",
            "<linkingAgentIdentifierValue>longhaul/1.0.0",
            "<linkingObjectIdentifierValue>7d1f",
            "<eventType>approval</eventType>",
            "<agent>",
            "<rights>",
            "<rightsStatementIdentifierValue>urn:longhaul:policy:a",
            "<rightsBasis>license",
            "<licenseDocumentationIdentifierType>URI",
            "<licenseDocumentationIdentifierValue>urn:otcs:prod:node:7",
            "<licenseDocumentationRole>licence",
            "<licenseTerms>use when date until 2027-03-02",
            "<licenseApplicableDates>",
            "<act>use",
            "<restriction>distribute",
            "<termOfGrant>",
            "<linkingObjectIdentifierValue>urn:otcs:prod:node:3:version:1",
        ];
        let places: Vec<usize> = order
            .iter()
            .map(|part| {
                text.find(part)
                    .unwrap_or_else(|| panic!("{part} in {text}"))
            })
            .collect();
        assert!(places.is_sorted(), "{places:?}\n{text}");
    }

    #[test]
    fn rights_that_nobody_knows_are_no_licence() {
        let licence = Licence {
            id: ("odrl".into(), "urn:longhaul:policy:a".into()),
            papers: vec![("URI".into(), "urn:x".into(), "talent-release".into())],
            terms: "the rights are unknown".into(),
            unknown: Some("the rights are unknown".into()),
            permits: false,
            restrictions: vec!["use".into()],
            days: (None, None),
            objects: vec![],
        };
        let text = Record {
            licences: vec![licence],
            ..Record::default()
        }
        .to_xml();
        let order = [
            "<rightsBasis>other",
            "<otherRightsInformation>",
            "<otherRightsDocumentationIdentifierValue>urn:x",
            "<otherRightsBasis>unknown",
            "<otherRightsNote>the rights are unknown",
        ];
        let places: Vec<_> = order.iter().map(|part| text.find(part)).collect();
        assert!(
            places.iter().all(Option::is_some) && places.is_sorted(),
            "{text}"
        );
        assert!(
            !text.contains("license") && !text.contains("<act>"),
            "{text}"
        );
    }
}
