//! The metadata sidecar: everything the source knew about a master, in plain JSON.
//!
//! Values are raw, by view and field, so that no mapping loses anything; the mapped standard
//! documents are built elsewhere from the same facts. Facts that change because of the filing
//! itself (when and by whom the asset was last changed) have no place here: they would make every
//! run write a new version.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use crate::types::{ByteCount, Md5Digest, Sha256Digest};

/// The document's name for itself; changes when a reader would have to.
pub const SCHEMA: &str = "longhaul/metadata/1";

/// What the sidecar of `master` is called.
pub fn metadata_name(master: &str) -> String {
    format!("{master}.metadata.json")
}

/// The facts of one master.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct MetadataSidecar {
    /// The account the ids belong to.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub domain: String,
    /// The asset.
    pub asset: AssetFacts,
    /// Its version.
    pub version: VersionFacts,
    /// The format the files are of.
    pub format: FormatFacts,
    /// The files; written in order of folder, name and id.
    pub files: Vec<FileFacts>,
    /// The collections the asset is in; written in order of id.
    pub collections: Vec<CollectionFacts>,
    /// Metadata values by view id.
    pub views: BTreeMap<String, ViewFacts>,
    /// What could not be read, so that an absent value is not taken for an empty one.
    pub hidden: Vec<String>,
}

/// The asset.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct AssetFacts {
    /// Its id.
    pub id: String,
    /// Its title.
    pub title: String,
    /// What it is, in the source's word.
    #[serde(rename = "type", skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// The metadata category.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// The id another system gave it. Leave out one that the filing itself writes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// When it was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<Timestamp>,
    /// Who made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_by: Option<PersonFacts>,
    /// When it was imported.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub imported: Option<Timestamp>,
}

/// A person.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct PersonFacts {
    /// Their user id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Their name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// The asset version.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct VersionFacts {
    /// Its id.
    pub id: String,
    /// Its number.
    pub number: i64,
    /// When it was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<Timestamp>,
}

/// The format.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct FormatFacts {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
}

/// One file.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct FileFacts {
    /// Its id.
    pub id: String,
    /// The name its user gave it.
    pub name: String,
    /// Its folder below the master's top; empty for the top.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub folder: String,
    /// Size in bytes.
    pub size: ByteCount,
    /// The digest computed while it was moved, once known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Sha256Digest>,
    /// The checksum the source quotes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub md5: Option<Md5Digest>,
    /// When the file was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<Timestamp>,
    /// When the file was changed last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modified: Option<Timestamp>,
}

/// A collection.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct CollectionFacts {
    /// Its id.
    pub id: String,
    /// Its title, when it was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
}

/// A metadata view.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ViewFacts {
    /// The name people gave it.
    pub name: String,
    /// Its fields by name; those without values are there, with none.
    pub fields: BTreeMap<String, FieldFacts>,
}

/// A metadata field.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct FieldFacts {
    /// The name people gave it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Its type, in the source's word.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Its values, in the source's order.
    pub values: Vec<Value>,
}

impl MetadataSidecar {
    /// The document: indented JSON in UTF-8, members sorted, ending in a line feed.
    pub fn to_json(&self) -> Vec<u8> {
        let mut sorted = self.clone();
        sorted
            .files
            .sort_by(|a, b| (&a.folder, &a.name, &a.id).cmp(&(&b.folder, &b.name, &b.id)));
        sorted.collections.sort_by(|a, b| a.id.cmp(&b.id));
        sorted.hidden.sort();
        let mut value = serde_json::to_value(&sorted).expect("plain facts are always JSON");
        value["schema"] = SCHEMA.into();
        without_signatures(&mut value);
        // Written through a value, whose members are kept in order of their names.
        let mut text = serde_json::to_vec_pretty(&value).expect("a value is always JSON");
        text.push(b'\n');
        text
    }
}

/// Parameters that make an address a secret.
const SIGNATURES: [&str; 6] = [
    "x-amz-signature=",
    "x-goog-signature=",
    "signature=",
    "sig=",
    "authorization=",
    "auth_token=",
];

/// Cuts the query from every signed address: a person may have pasted one into a field.
fn without_signatures(value: &mut Value) {
    match value {
        Value::String(text) => {
            let lower = text.to_ascii_lowercase();
            if lower.contains("://")
                && SIGNATURES.iter().any(|name| lower.contains(name))
                && let Some(query) = text.find(['?', '#'])
            {
                text.truncate(query);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(without_signatures),
        Value::Object(members) => members.values_mut().for_each(without_signatures),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sidecar() -> MetadataSidecar {
        let file = |id: &str, name: &str| FileFacts {
            id: id.into(),
            name: name.into(),
            size: 3,
            sha256: Some(Sha256Digest([1; 32])),
            ..FileFacts::default()
        };
        let field = FieldFacts {
            kind: Some("drop_down".into()),
            values: vec![json!("Spring"), json!(7)],
            ..FieldFacts::default()
        };
        MetadataSidecar {
            domain: "d".into(),
            asset: AssetFacts {
                id: "a".into(),
                title: "Spot – 30 s".into(),
                created: Some("2026-02-03T10:11:12.5Z".parse().unwrap()),
                ..AssetFacts::default()
            },
            files: vec![file("2", "b.mov"), file("1", "a.mov")],
            views: BTreeMap::from([(
                "v".to_owned(),
                ViewFacts {
                    name: "Campaign".into(),
                    fields: BTreeMap::from([
                        ("campaign".to_owned(), field),
                        ("empty".to_owned(), FieldFacts::default()),
                    ]),
                },
            )]),
            ..MetadataSidecar::default()
        }
    }

    #[test]
    fn the_same_facts_give_the_same_bytes_in_whatever_order_they_came() {
        let first = sidecar().to_json();
        let mut turned = sidecar();
        turned.files.reverse();
        assert_eq!(first, turned.to_json());
        let text = String::from_utf8(first).unwrap();
        assert!(text.ends_with("}\n"));
        let members: Vec<usize> = [
            "\"asset\"",
            "\"collections\"",
            "\"files\"",
            "\"schema\"",
            "\"views\"",
        ]
        .iter()
        .map(|name| text.find(name).unwrap())
        .collect();
        assert!(members.is_sorted(), "{text}");
    }

    #[test]
    fn the_document_says_what_it_is_and_keeps_every_value() {
        let value: Value = serde_json::from_slice(&sidecar().to_json()).unwrap();
        assert_eq!(value["schema"], SCHEMA);
        assert_eq!(value["asset"]["title"], "Spot – 30 s");
        assert_eq!(value["asset"]["created"], "2026-02-03T10:11:12.5Z");
        assert_eq!(value["files"][0]["name"], "a.mov");
        let fields = &value["views"]["v"]["fields"];
        assert_eq!(fields["campaign"]["values"], json!(["Spring", 7]));
        assert_eq!(fields["empty"]["values"], json!([]));
    }

    #[test]
    fn no_signed_address_is_written_and_plain_ones_stay() {
        let mut sidecar = sidecar();
        let view = sidecar.views.get_mut("v").unwrap();
        let signed = "https://b.test/k?X-Amz-Date=1&X-Amz-Signature=canary";
        let plain = "https://b.test/page?id=7";
        view.fields.get_mut("campaign").unwrap().values = vec![
            json!(signed),
            json!({"url": signed, "label": "l"}),
            json!(plain),
        ];
        let text = String::from_utf8(sidecar.to_json()).unwrap();
        assert!(!text.contains("canary"), "{text}");
        assert!(text.contains("https://b.test/k\"") && text.contains(plain));
    }

    #[test]
    fn a_sidecar_is_named_after_its_master() {
        assert_eq!(metadata_name("TV30.mov"), "TV30.mov.metadata.json");
    }
}
