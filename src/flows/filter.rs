//! Which assets of a selection are wanted: filters by name, date, metadata, size, format, storage,
//! collection and list of ids.
//!
//! An asset is in or out as a whole, with a reason that says which filter and which value decided.
//! What the asset's own row says is asked first, then its metadata, then its newest master, so that
//! what is out costs as few calls as possible. A filter never guesses: what iconik does not say
//! does not match.

use std::collections::HashSet;
use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

use super::Error;
use crate::iconik::{Asset, Found, Master, Metadata};
use crate::types::{AssetId, ByteCount, display_bytes};

/// Filters; those that are not set let everything through. All that are set must let an asset
/// through.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Filter {
    /// Patterns of titles; one of them must fit.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub name: Vec<String>,
    /// Patterns of titles; none of them may fit.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_name: Vec<String>,
    /// Made at this time or later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_after: Option<Timestamp>,
    /// Made before this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_before: Option<Timestamp>,
    /// Changed at this time or later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modified_after: Option<Timestamp>,
    /// Changed before this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modified_before: Option<Timestamp>,
    /// Collections; the asset must be directly in one of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub collection: Vec<String>,
    /// Fields and patterns of their values; every one must fit.
    #[serde(rename = "where", skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<(String, String)>,
    /// Fewest bytes of the newest master.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_size: Option<ByteCount>,
    /// Most bytes of the newest master.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_size: Option<ByteCount>,
    /// Extensions or media types; a file of the newest master must have one of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub format: Vec<String>,
    /// Storages by id or name; the newest master must be read from one of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub storage: Vec<String>,
    /// A file with ids; the asset must be one of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub only_ids: Option<std::path::PathBuf>,
    /// Digests of those ids, once they are read.
    #[serde(skip)]
    pub ids: Option<std::sync::Arc<HashSet<u128>>>,
}

/// Why an asset is left out: which filter, and what it found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The filter's name, such as `filter-name`.
    pub why: &'static str,
    /// The same for people.
    pub detail: String,
}

type Verdict = Result<(), Refused>;

fn refuse(why: &'static str, detail: impl Into<String>) -> Verdict {
    Err(Refused {
        why,
        detail: detail.into(),
    })
}

/// What is known of an asset before its masters are looked at.
struct Facts<'a> {
    id: &'a str,
    title: &'a str,
    created: Option<Timestamp>,
    modified: Option<Timestamp>,
    collections: Vec<&'a str>,
}

impl Filter {
    /// Whether nothing is filtered.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Reads the list of ids, if there is one.
    ///
    /// # Errors
    ///
    /// A list that cannot be opened or has a broken line.
    pub fn read_ids(&mut self) -> Result<(), Error> {
        if let Some(path) = &self.only_ids {
            self.ids = Some(std::sync::Arc::new(ids_of(path)?));
        }
        Ok(())
    }

    /// The filters that only a look at metadata and files can answer.
    pub fn needs_detail(&self) -> Vec<&'static str> {
        [
            ("--where", !self.values.is_empty()),
            ("--min-size", self.min_size.is_some()),
            ("--max-size", self.max_size.is_some()),
            ("--format", !self.format.is_empty()),
            ("--storage", !self.storage.is_empty()),
        ]
        .into_iter()
        .filter_map(|(name, set)| set.then_some(name))
        .collect()
    }

    /// Whether the metadata has to be read.
    pub fn needs_metadata(&self) -> bool {
        !self.values.is_empty()
    }

    /// What the asset's own row says.
    ///
    /// # Errors
    ///
    /// Why it is left out.
    pub fn asset(&self, asset: &Asset) -> Verdict {
        self.facts(&Facts {
            id: asset.id.as_str(),
            title: &asset.title,
            created: asset.date_created,
            modified: asset.date_modified,
            collections: asset.in_collections.iter().map(|id| id.as_str()).collect(),
        })
    }

    /// What the search index says of it.
    ///
    /// # Errors
    ///
    /// Why it is left out.
    pub fn found(&self, found: &Found) -> Verdict {
        self.facts(&Facts {
            id: &found.id,
            title: found.title.as_deref().unwrap_or_default(),
            created: found.date_created,
            modified: found.date_modified,
            collections: found.in_collections.iter().map(String::as_str).collect(),
        })
    }

    fn facts(&self, asset: &Facts<'_>) -> Verdict {
        if let Some(ids) = &self.ids
            && !ids.contains(&xxh3_128(asset.id.as_bytes()))
        {
            return refuse("filter-ids", "it is not in the list of ids");
        }
        if !self.name.is_empty() && !self.name.iter().any(|name| fits(name, asset.title)) {
            return refuse(
                "filter-name",
                format!("its title fits none of {}", quoted(&self.name)),
            );
        }
        if let Some(name) = self.not_name.iter().find(|name| fits(name, asset.title)) {
            return refuse("filter-name", format!("its title fits {name:?}"));
        }
        for (why, what, date, after, before) in [
            (
                "filter-created",
                "made",
                asset.created,
                self.created_after,
                self.created_before,
            ),
            (
                "filter-modified",
                "changed",
                asset.modified,
                self.modified_after,
                self.modified_before,
            ),
        ] {
            if after.is_none() && before.is_none() {
                continue;
            }
            let Some(date) = date else {
                return refuse(why, format!("iconik does not say when it was {what}"));
            };
            if let Some(after) = after.filter(|after| date < *after) {
                return refuse(why, format!("{what} {date}, before {after}"));
            }
            if let Some(before) = before.filter(|before| date >= *before) {
                return refuse(why, format!("{what} {date}, not before {before}"));
            }
        }
        if !self.collection.is_empty()
            && !asset
                .collections
                .iter()
                .any(|id| self.collection.iter().any(|wanted| wanted == id))
        {
            return refuse(
                "filter-collection",
                format!("it is directly in none of {}", self.collection.join(", ")),
            );
        }
        Ok(())
    }

    /// What its metadata says.
    ///
    /// # Errors
    ///
    /// Why it is left out.
    pub fn metadata(&self, metadata: &Metadata) -> Verdict {
        let flat = metadata.flat();
        for (field, pattern) in &self.values {
            let values = flat.get(field.as_str());
            let fitting = values.is_some_and(|all| all.iter().any(|value| fits(pattern, value)));
            if fitting {
                continue;
            }
            return refuse(
                "filter-where",
                match values {
                    Some(values) => format!("{field} is {}, not {pattern:?}", quoted(values)),
                    None if metadata.hidden.is_empty() => format!("{field} has no value"),
                    None => format!("{field} has no value that this token may see"),
                },
            );
        }
        Ok(())
    }

    /// What its newest master says; `storage` is the name people gave the master's storage.
    ///
    /// # Errors
    ///
    /// Why it is left out.
    pub fn master(&self, master: &Master, storage: Option<&str>) -> Verdict {
        let size = master.size();
        if let Some(least) = self.min_size.filter(|least| size < *least) {
            return refuse(
                "filter-size",
                format!("{} is below {}", display_bytes(size), display_bytes(least)),
            );
        }
        if let Some(most) = self.max_size.filter(|most| size > *most) {
            return refuse(
                "filter-size",
                format!("{} is above {}", display_bytes(size), display_bytes(most)),
            );
        }
        let names = || master.files.iter().map(|file| file.name.as_str());
        if !self.format.is_empty() && !names().any(|name| self.is_of_format(name)) {
            return refuse(
                "filter-format",
                format!(
                    "{:?} is of none of the formats {}",
                    names().next().unwrap_or_default(),
                    self.format.join(", ")
                ),
            );
        }
        if !self.storage.is_empty() {
            let id = master.storage.as_ref().map(|id| id.as_str());
            let there = [id, storage];
            let wanted = |wanted: &String| there.contains(&Some(wanted.as_str()));
            if !self.storage.iter().any(wanted) {
                let on = storage.or(id).unwrap_or("no known storage");
                return refuse("filter-storage", format!("it is on {on}"));
            }
        }
        Ok(())
    }

    fn is_of_format(&self, name: &str) -> bool {
        let extension = Path::new(name).extension().and_then(|text| text.to_str());
        let media = mime_guess::from_path(name);
        self.format.iter().any(|wanted| {
            if wanted.contains('/') {
                return media.iter().any(|kind| fits(wanted, kind.essence_str()));
            }
            let wanted = wanted.trim_start_matches('.');
            extension.is_some_and(|extension| extension.eq_ignore_ascii_case(wanted))
        })
    }
}

fn ids_of(path: &Path) -> Result<HashSet<u128>, Error> {
    let mut ids = HashSet::new();
    for id in super::migrate::ids(path)? {
        let AssetId(id) = id?;
        ids.insert(xxh3_128(id.as_bytes()));
    }
    Ok(ids)
}

fn quoted(texts: &[String]) -> String {
    let shown: Vec<String> = texts
        .iter()
        .take(5)
        .map(|text| format!("{text:?}"))
        .collect();
    shown.join(", ")
}

/// Whether a pattern fits a whole text, in any case: `*` stands for any characters, `?` for one.
pub fn fits(pattern: &str, text: &str) -> bool {
    let fold = |text: &str| -> Vec<char> { text.chars().flat_map(char::to_lowercase).collect() };
    let (pattern, text) = (fold(pattern), fold(text));
    let (mut p, mut t) = (0, 0);
    // Where to go on when what follows the last `*` does not fit here.
    let mut again: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                again = Some((p + 1, t));
                p += 1;
            }
            Some(c) if *c == '?' || *c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match &mut again {
                Some((behind, from)) => {
                    *from += 1;
                    (p, t) = (*behind, *from);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn asset(fields: serde_json::Value) -> Asset {
        let mut row = json!({"id": "a1", "title": "Promo 30s"});
        if let (Some(row), serde_json::Value::Object(fields)) = (row.as_object_mut(), fields) {
            row.extend(fields);
        }
        serde_json::from_value(row).unwrap()
    }

    #[test]
    fn patterns_fit_whole_texts_in_any_case() {
        for (pattern, text, fit) in [
            ("promo*", "Promo 30s", true),
            ("promo", "Promo 30s", false),
            ("*30?", "Promo 30s", true),
            ("*a*b*c", "xaxbxbc", true),
            ("*a*b*c", "xaxbxbcx", false),
            ("", "", true),
            ("*", "", true),
            ("?", "", false),
            ("ÜBER*", "über alles", true),
        ] {
            assert_eq!(fits(pattern, text), fit, "{pattern:?} {text:?}");
        }
    }

    proptest! {
        #[test]
        fn a_pattern_made_of_a_text_fits_it(text in "[a-c]{0,12}", holes in prop::collection::vec(any::<bool>(), 12)) {
            let pattern: String = text.chars().zip(&holes).map(|(c, hole)| if *hole { '*' } else { c }).collect();
            prop_assert!(fits(&pattern, &text));
            let longer = format!("{text}d");
            prop_assert!(!fits(&text, &longer));
        }
    }

    #[test]
    fn each_filter_names_itself_and_what_it_found() {
        let made = asset(json!({"date_created": "2026-01-31T10:00:00Z", "in_collections": ["c1"]}));
        let date = |text: &str| Some(text.parse::<Timestamp>().unwrap());
        for (filter, why) in [
            (
                Filter {
                    name: vec!["spot*".into(), "film*".into()],
                    ..Filter::default()
                },
                "filter-name",
            ),
            (
                Filter {
                    not_name: vec!["*30s".into()],
                    ..Filter::default()
                },
                "filter-name",
            ),
            (
                Filter {
                    created_after: date("2026-02-01T00:00:00Z"),
                    ..Filter::default()
                },
                "filter-created",
            ),
            (
                Filter {
                    created_before: date("2026-01-31T10:00:00Z"),
                    ..Filter::default()
                },
                "filter-created",
            ),
            // iconik does not say when it was changed: no guess.
            (
                Filter {
                    modified_before: date("2030-01-01T00:00:00Z"),
                    ..Filter::default()
                },
                "filter-modified",
            ),
            (
                Filter {
                    collection: vec!["c2".into()],
                    ..Filter::default()
                },
                "filter-collection",
            ),
            (
                Filter {
                    ids: Some(std::sync::Arc::new(HashSet::new())),
                    ..Filter::default()
                },
                "filter-ids",
            ),
        ] {
            let refused = filter.asset(&made).unwrap_err();
            assert_eq!(refused.why, why, "{refused:?}");
            assert!(!refused.detail.is_empty());
        }
        let all = Filter {
            name: vec!["promo*".into()],
            not_name: vec!["*60s".into()],
            created_after: date("2026-01-31T10:00:00Z"),
            created_before: date("2026-01-31T10:00:01Z"),
            collection: vec!["c2".into(), "c1".into()],
            ..Filter::default()
        };
        assert_eq!(all.asset(&made), Ok(()));
        assert!(!all.is_empty() && Filter::default().is_empty());
    }

    #[test]
    fn formats_are_extensions_or_media_types() {
        let filter = |formats: &[&str]| Filter {
            format: formats.iter().map(|&format| format.to_owned()).collect(),
            ..Filter::default()
        };
        for (formats, name, fit) in [
            (&["mov"][..], "A001.MOV", true),
            (&[".mov"], "A001.mov", true),
            (&["mxf", "mov"], "a.b.mov", true),
            (&["mov"], "mov", false),
            (&["video/*"], "a.mov", true),
            (&["image/*"], "a.mov", false),
            (&["application/mxf"], "a.mxf", true),
        ] {
            assert_eq!(
                filter(formats).is_of_format(name),
                fit,
                "{formats:?} {name}"
            );
        }
    }

    #[test]
    fn filters_are_the_same_after_they_were_written_and_read() {
        let filter = Filter {
            values: vec![("Region".into(), "AT*".into())],
            min_size: Some(7),
            modified_after: Some("2026-01-31T00:00:00Z".parse().unwrap()),
            ..Filter::default()
        };
        let text = serde_json::to_string(&filter).unwrap();
        assert_eq!(serde_json::from_str::<Filter>(&text).unwrap(), filter);
        assert_eq!(serde_json::to_string(&Filter::default()).unwrap(), "{}");
        assert!(serde_json::from_str::<Filter>(r#"{"nmae": []}"#).is_err());
    }
}
