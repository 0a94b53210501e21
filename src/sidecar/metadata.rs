//! The metadata sidecar: what the source knew about a master, for readers of standards and for none.
//!
//! The document is `longhaul-metadata/1`: the shared fields, an IPTC Video Metadata Hub 1.5 item
//! made from them, and the source's own values, raw, by view and field, so that no mapping loses
//! anything, and the destination's values as they are filed. Facts that change because of the filing
//! itself (when and by whom the asset was last changed, the moment of writing, the number of the
//! document) have no place here: they would make every run write a new version. `exported` is
//! therefore the newest date among the facts. A value is `from` the destination where the mapping says
//! that its truth is there and both sides have been compared.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::rights::Status;
use super::rights::odrl::Document;
use crate::types::{ByteCount, Md5Digest, Sha256Digest};

/// The document's name for itself; changes when a reader would have to.
pub const SCHEMA: &str = "longhaul-metadata/1";

/// Stands for the master's SHA-256 until the master has been hashed: as long as one in hex.
pub const MASTER_SHA256: &str = "sha256-of-the-master--filled-in-once-it-has-been-hashed---------";

/// The shared fields that every sidecar has a place for, and which of them hold several values.
const SHARED: [(&str, bool); 7] = [
    ("project_name", false),
    ("campaign", false),
    ("rights_status", false),
    ("owner", false),
    ("region", true),
    ("language", false),
    ("expiry_date", false),
];

/// Papers by what they prove, and the Video Metadata Hub's name for a list of them.
const RELEASES: [(&str, &str); 2] = [
    ("talent-release", "modelReleaseDocuments"),
    ("location-release", "propertyReleaseDocuments"),
];

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
    /// What the filing puts beside it.
    #[serde(skip)]
    pub filing: FilingFacts,
    /// The source's field for a shared one, where it has another name.
    #[serde(skip)]
    pub shared: BTreeMap<String, String>,
    /// Whether the master is a folder of files, however many there are: it has no digest then.
    #[serde(skip)]
    pub folder: bool,
}

/// What a filing makes of a master, as far as it is known before the master is filed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FilingFacts {
    /// Values by category id and attribute key, as the destination takes them.
    pub categories: BTreeMap<i64, BTreeMap<String, Value>>,
    /// Shared fields whose truth is the destination, as both sides last agreed.
    pub theirs: BTreeMap<String, Vec<String>>,
    /// Whether rights are cleared, as the licences are read.
    pub status: Option<Status>,
    /// The name of the rights policy that is filed too.
    pub policy: Option<String>,
    /// Papers that prove the rights.
    pub documents: Vec<Document>,
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
        let raw = serde_json::to_value(&sorted).expect("plain facts are always JSON");
        let mut value = json!({
            "format": SCHEMA,
            "exported": sorted.newest().map(|at| at.to_string()),
            "asset": sorted.identity(),
            "fields": sorted.fields(),
            "vmhub": [{"photoVideoMetadataIPTC": sorted.hub()}],
            "source": {"iconik": raw, "otcs": sorted.destination()},
        });
        without_signatures(&mut value);
        // Written through a value, whose members are kept in order of their names.
        let mut text = serde_json::to_vec_pretty(&value).expect("a value is always JSON");
        text.push(b'\n');
        text
    }
}

impl MetadataSidecar {
    /// The newest date among the facts.
    fn newest(&self) -> Option<Timestamp> {
        let files = self
            .files
            .iter()
            .flat_map(|file| [file.created, file.modified]);
        files
            .chain([self.asset.created, self.version.created])
            .flatten()
            .max()
    }

    /// The destination's values; nothing where there is no record with values.
    fn destination(&self) -> Value {
        match self.filing.categories.is_empty() {
            true => json!({}),
            false => json!({"categories": self.filing.categories}),
        }
    }

    /// The only file of a master that is one.
    fn only(&self) -> Option<&FileFacts> {
        match self.files.as_slice() {
            [only] if !self.folder => Some(only),
            _ => None,
        }
    }

    /// Whose document it is. Several files have no digest in common.
    fn identity(&self) -> Value {
        let only = self.only();
        json!({
            "file": only.map_or(&self.asset.title, |file| &file.name),
            "size": self.files.iter().map(|file| file.size).sum::<u64>(),
            "sha256": only.map(|file| match file.sha256 {
                Some(digest) => digest.to_string(),
                None => MASTER_SHA256.to_owned(),
            }),
            "iconik_asset": self.asset.id,
            "iconik_file": only.map(|file| &file.id),
        })
    }

    /// The values of the source's field; `None` when no view that may be seen has it.
    fn values(&self, field: &str) -> Option<Vec<&Value>> {
        let own = self.shared.get(field).map_or(field, String::as_str);
        let mut views = self.views.values();
        let found = views.find_map(|view| view.fields.get(own))?;
        let there = found.values.iter().filter(|value| !value.is_null());
        Some(there.collect())
    }

    /// The shared fields that could be read; empty ones are null.
    fn fields(&self) -> Map<String, Value> {
        let mut fields = Map::new();
        for (name, several) in SHARED {
            let (values, from) = match (self.filing.theirs.get(name), self.values(name)) {
                (Some(values), _) => (values.iter().map(|value| json!(value)).collect(), "otcs"),
                // The word that every reader knows; the source's own is among its values.
                (None, Some(_)) if name == "rights_status" && self.filing.status.is_some() => {
                    let status = self.filing.status.map(Status::as_str);
                    (vec![json!(status)], "iconik")
                }
                (None, Some(values)) => (values.into_iter().cloned().collect(), "iconik"),
                (None, None) => continue,
            };
            let mut values: Vec<Value> = values;
            let value = match several && !values.is_empty() {
                true => Value::Array(values),
                false if values.is_empty() => Value::Null,
                false => values.swap_remove(0),
            };
            fields.insert(name.to_owned(), json!({"value": value, "from": from}));
        }
        fields
    }

    /// The facts as a Video Metadata Hub item; it forbids members of our own.
    fn hub(&self) -> Map<String, Value> {
        let fields = self.fields();
        let text = |field: &str| {
            let first = match fields.get(field) {
                Some(shared) => shared["value"].as_str()?,
                None => self.values(field)?.first()?.as_str()?,
            };
            let text = first.trim();
            (!text.is_empty()).then(|| text.to_owned())
        };
        // Nobody said which language a name is in.
        let named = |name: &str| json!({ "und": name });
        let mut hub = Map::new();
        hub.insert(
            "identifier".to_owned(),
            format!("urn:iconik:asset:{}", self.asset.id).into(),
        );
        if !self.asset.title.is_empty() {
            hub.insert("title".to_owned(), named(&self.asset.title));
        }
        if let Some(description) = text("description") {
            hub.insert("description".to_owned(), named(&description));
        }
        if let Some(only) = self.only() {
            let kind = mime_guess::from_path(&only.name).first_or_octet_stream();
            hub.insert("mediaType".to_owned(), kind.essence_str().into());
        }
        if let Some(language) = text("language").filter(|tag| is_language(tag)) {
            hub.insert("language".to_owned(), language.into());
        }
        let references: Vec<Value> = [("project_name", "project"), ("campaign", "campaign")]
            .into_iter()
            .filter_map(|(field, role)| {
                let name = named(&text(field)?);
                Some(json!({"name": name, "role": [format!("urn:longhaul:role:{role}")]}))
            })
            .collect();
        if !references.is_empty() {
            hub.insert("planningRefs".to_owned(), references.into());
        }
        if let Some(owner) = text("owner") {
            hub.insert(
                "copyrightOwners".to_owned(),
                json!([{"name": named(&owner)}]),
            );
        }
        let keywords: Vec<Value> = self
            .values("keywords")
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(named)
            .collect();
        if !keywords.is_empty() {
            hub.insert("keywords".to_owned(), keywords.into());
        }
        if let Some(created) = self.asset.created {
            hub.insert("dateCreated".to_owned(), created.to_string().into());
        }
        for (role, name) in RELEASES {
            let papers = self.filing.documents.iter();
            let papers: Vec<&str> = papers
                .filter(|paper| paper.role == role)
                .map(|paper| paper.id.as_str())
                .collect();
            if !papers.is_empty() {
                hub.insert(name.to_owned(), json!(papers));
            }
        }
        if let Some(policy) = &self.filing.policy {
            hub.insert(
                "linkedEncRightsExpr".to_owned(),
                json!([{
                    "linkedRightsExpr": policy,
                    "rightsExprEncType": "application/ld+json",
                    "rightsExprLangId": "http://www.w3.org/ns/odrl/2/",
                }]),
            );
        }
        hub
    }
}

/// Whether a text looks like a BCP 47 language tag: `de`, `de-AT`, `zh-Hant`.
fn is_language(tag: &str) -> bool {
    let mut parts = tag.split('-');
    let letters = |part: &str, least: usize, most: usize| {
        (least..=most).contains(&part.len())
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    parts
        .next()
        .is_some_and(|first| letters(first, 2, 3) && first.bytes().all(|b| b.is_ascii_alphabetic()))
        && parts.all(|part| letters(part, 2, 8))
}

/// Puts the master's digest where a document waits for it. The length stays.
pub fn with_master_digest(document: &[u8], sha256: &Sha256Digest) -> Vec<u8> {
    let mut filled = document.to_vec();
    let waiting = MASTER_SHA256.as_bytes();
    if let Some(at) = document
        .windows(waiting.len())
        .position(|window| window == waiting)
    {
        filled[at..at + waiting.len()].copy_from_slice(sha256.to_string().as_bytes());
    }
    filled
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
            "\"exported\"",
            "\"fields\"",
            "\"format\"",
            "\"source\"",
            "\"vmhub\"",
        ]
        .iter()
        .map(|name| text.find(name).unwrap())
        .collect();
        assert!(members.is_sorted(), "{text}");
    }

    #[test]
    fn the_document_says_what_it_is_and_keeps_every_value() {
        let value: Value = serde_json::from_slice(&sidecar().to_json()).unwrap();
        assert_eq!(value["format"], SCHEMA);
        let raw = &value["source"]["iconik"];
        assert_eq!(raw["asset"]["title"], "Spot – 30 s");
        assert_eq!(raw["asset"]["created"], "2026-02-03T10:11:12.5Z");
        assert_eq!(value["exported"], "2026-02-03T10:11:12.5Z");
        assert_eq!(raw["files"][0]["name"], "a.mov");
        let fields = &raw["views"]["v"]["fields"];
        assert_eq!(fields["campaign"]["values"], json!(["Spring", 7]));
        assert_eq!(fields["empty"]["values"], json!([]));
        assert_eq!(
            value["fields"],
            json!({"campaign": {"value": "Spring", "from": "iconik"}})
        );
    }

    #[test]
    fn the_video_metadata_hub_item_has_what_it_has_names_for_and_nothing_else() {
        let mut sidecar = sidecar();
        let field = |values: Value| FieldFacts {
            values: values.as_array().unwrap().clone(),
            ..FieldFacts::default()
        };
        let view = sidecar.views.get_mut("v").unwrap();
        view.fields
            .insert("rights_owner".into(), field(json!(["Brand X"])));
        view.fields
            .insert("language".into(), field(json!(["de-AT"])));
        view.fields
            .insert("region".into(), field(json!(["DE", "AT"])));
        view.fields
            .insert("keywords".into(), field(json!(["tv", "spring"])));
        sidecar.shared.insert("owner".into(), "rights_owner".into());
        let value: Value = serde_json::from_slice(&sidecar.to_json()).unwrap();
        assert_eq!(
            value["vmhub"],
            json!([{"photoVideoMetadataIPTC": {
                "identifier": "urn:iconik:asset:a",
                "title": {"und": "Spot – 30 s"},
                "language": "de-AT",
                "planningRefs": [{"name": {"und": "Spring"}, "role": ["urn:longhaul:role:campaign"]}],
                "copyrightOwners": [{"name": {"und": "Brand X"}}],
                "keywords": [{"und": "tv"}, {"und": "spring"}],
                "dateCreated": "2026-02-03T10:11:12.5Z",
            }}])
        );
        assert_eq!(value["fields"]["region"]["value"], json!(["DE", "AT"]));
        assert!(!is_language("German spoken") && !is_language("d") && is_language("zh-Hant"));
    }

    #[test]
    fn what_is_filed_beside_it_is_named_and_the_destination_s_truth_is_its_own() {
        let mut sidecar = sidecar();
        let paper = |id: &str, role: &str| Document {
            id: id.into(),
            role: role.into(),
        };
        sidecar.filing = FilingFacts {
            categories: BTreeMap::from([(
                7,
                BTreeMap::from([("7_2".to_owned(), json!("Spring"))]),
            )]),
            theirs: BTreeMap::from([
                ("owner".to_owned(), vec!["Brand X GmbH".to_owned()]),
                ("region".to_owned(), vec!["DE".to_owned(), "AT".to_owned()]),
                ("expiry_date".to_owned(), vec![]),
            ]),
            status: Some(Status::Restricted),
            policy: Some("urn:longhaul:policy:d:a:v".into()),
            documents: vec![
                paper("urn:otcs:t:node:5", "talent-release"),
                paper("urn:otcs:t:node:6", "licence"),
            ],
        };
        let view = sidecar.views.get_mut("v").unwrap();
        let word = FieldFacts {
            values: vec![json!("teilweise")],
            ..FieldFacts::default()
        };
        view.fields.insert("rights_status".into(), word);
        let value: Value = serde_json::from_slice(&sidecar.to_json()).unwrap();
        assert_eq!(
            value["source"]["otcs"],
            json!({"categories": {"7": {"7_2": "Spring"}}})
        );
        let fields = &value["fields"];
        assert_eq!(
            fields["owner"],
            json!({"value": "Brand X GmbH", "from": "otcs"})
        );
        assert_eq!(fields["region"]["value"], json!(["DE", "AT"]));
        assert_eq!(fields["expiry_date"]["value"], Value::Null);
        assert_eq!(fields["campaign"]["from"], "iconik");
        assert_eq!(fields["rights_status"]["value"], "restricted");
        let hub = &value["vmhub"][0]["photoVideoMetadataIPTC"];
        assert_eq!(hub["copyrightOwners"][0]["name"]["und"], "Brand X GmbH");
        assert_eq!(hub["modelReleaseDocuments"], json!(["urn:otcs:t:node:5"]));
        assert_eq!(hub["propertyReleaseDocuments"], Value::Null);
        assert_eq!(
            hub["linkedEncRightsExpr"],
            json!([{"linkedRightsExpr": "urn:longhaul:policy:d:a:v", "rightsExprEncType": "application/ld+json",
                    "rightsExprLangId": "http://www.w3.org/ns/odrl/2/"}])
        );
    }

    #[test]
    fn the_master_s_digest_is_filled_in_without_changing_the_length() {
        let mut sidecar = sidecar();
        sidecar.files.truncate(1);
        sidecar.files[0].sha256 = None;
        let open = sidecar.to_json();
        let digest = Sha256Digest([0xab; 32]);
        let filled = with_master_digest(&open, &digest);
        assert_eq!(filled.len(), open.len());
        let value: Value = serde_json::from_slice(&filled).unwrap();
        assert_eq!(value["asset"]["sha256"], "ab".repeat(32));
        sidecar.folder = true;
        let many: Value = serde_json::from_slice(&sidecar.to_json()).unwrap();
        assert_eq!(
            many["asset"]["sha256"],
            Value::Null,
            "of a folder there is none"
        );
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
