//! A licence as the source has it: fields with words, read into terms.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde_json::Value;

use super::licences::LicenceFields;
use super::regions::Region;

/// What a field of the source says about a licence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Facet {
    /// Whether the rights are cleared.
    Status,
    /// Who grants them.
    Owner,
    /// Who has them.
    Licensee,
    /// The first day.
    Begins,
    /// The last day.
    Ends,
    /// Where it may be used.
    Regions,
    /// Where it may not.
    Excluded,
    /// In which media.
    Media,
    /// How often.
    Uses,
    /// For which purposes.
    Purpose,
    /// In which industries.
    Industry,
    /// In which languages.
    Language,
    /// By or for whom.
    Recipient,
    /// What may not be done with it.
    Restrictions,
    /// What must be done with each use.
    Duties,
}

impl Facet {
    /// All of them, in the order of the settings.
    pub const ALL: [Self; 15] = [
        Self::Status,
        Self::Owner,
        Self::Licensee,
        Self::Begins,
        Self::Ends,
        Self::Regions,
        Self::Excluded,
        Self::Media,
        Self::Uses,
        Self::Purpose,
        Self::Industry,
        Self::Language,
        Self::Recipient,
        Self::Restrictions,
        Self::Duties,
    ];

    /// The settings' word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Owner => "owner",
            Self::Licensee => "licensee",
            Self::Begins => "begins",
            Self::Ends => "ends",
            Self::Regions => "regions",
            Self::Excluded => "excluded",
            Self::Media => "media",
            Self::Uses => "uses",
            Self::Purpose => "purpose",
            Self::Industry => "industry",
            Self::Language => "language",
            Self::Recipient => "recipient",
            Self::Restrictions => "restrictions",
            Self::Duties => "duties",
        }
    }
}

/// Which field of the source says what, and what its words mean.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RightsFields {
    /// The field for each facet.
    pub fields: BTreeMap<Facet, String>,
    /// Words of the source and what they stand for, by facet.
    pub words: BTreeMap<Facet, BTreeMap<String, Vec<String>>>,
    /// Several licences, each with fields of its own; `fields` are what they have in common then.
    pub licences: Vec<LicenceFields>,
}

/// Whether rights are cleared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// They are.
    Cleared,
    /// They are, within limits.
    Restricted,
    /// Not yet.
    Pending,
    /// Not any more.
    Expired,
    /// Nobody said.
    #[default]
    Unknown,
}

impl Status {
    const ALL: [Self; 5] = [
        Self::Cleared,
        Self::Restricted,
        Self::Pending,
        Self::Expired,
        Self::Unknown,
    ];

    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cleared => "cleared",
            Self::Restricted => "restricted",
            Self::Pending => "pending",
            Self::Expired => "expired",
            Self::Unknown => "unknown",
        }
    }

    /// The status of that word.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == name)
    }

    /// Whether anything may be done at all.
    pub fn permits(self) -> bool {
        matches!(self, Self::Cleared | Self::Restricted)
    }
}

/// The terms of a licence.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// Whether the rights are cleared; `None` when no field says it.
    pub status: Option<Status>,
    /// Who grants them.
    pub owner: Option<String>,
    /// Who has them.
    pub licensee: Option<String>,
    /// The first day.
    pub begins: Option<Date>,
    /// The last day.
    pub ends: Option<Date>,
    /// Where it may be used; everywhere when empty.
    pub regions: Vec<Region>,
    /// Where it may not.
    pub excluded: Vec<Region>,
    /// In which media; in all when empty.
    pub media: Vec<String>,
    /// How often.
    pub uses: Option<u64>,
    /// Purpose, industry, language and recipient; all of each when empty.
    pub limits: BTreeMap<Facet, Vec<String>>,
    /// Actions that are forbidden.
    pub forbidden: Vec<String>,
    /// Actions that each use asks for.
    pub duties: Vec<String>,
}

/// A value that is not understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The field of the source.
    pub field: String,
    /// What is wrong with its value, and what to do.
    pub what: String,
}

/// Media that need no entry in the settings.
pub const MEDIA: [&str; 6] = ["tv", "web", "social", "cinema", "print", "ooh"];

/// Actions of the ODRL core vocabulary that rules are made of.
pub const ACTIONS: [&str; 18] = [
    "use",
    "distribute",
    "display",
    "play",
    "stream",
    "present",
    "reproduce",
    "modify",
    "derive",
    "translate",
    "archive",
    "delete",
    "attribute",
    "obtainConsent",
    "inform",
    "reviewPolicy",
    "grantUse",
    "print",
];

impl RightsFields {
    /// Whether any field says anything about rights.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty() && self.licences.is_empty()
    }

    /// The media that are known: the usual ones, and those that words of the house stand for.
    pub fn media(&self) -> Vec<String> {
        let house = self.words.get(&Facet::Media).into_iter().flatten();
        let house = house.flat_map(|(_, means)| means).map(|word| slug(word));
        let mut media: Vec<String> = MEDIA.iter().map(|word| (*word).to_owned()).collect();
        for word in house {
            if !media.contains(&word) {
                media.push(word);
            }
        }
        media
    }

    /// What a word of the house stands for; the word itself when it has no entry.
    pub fn meaning(&self, facet: Facet, word: &str) -> Vec<String> {
        let words = self.words.get(&facet).and_then(|words| words.get(word));
        words.map_or_else(|| vec![word.to_owned()], Clone::clone)
    }

    /// Reads the terms from the source's values by field, and what of them is not understood.
    pub fn read(&self, source: &BTreeMap<String, Vec<Value>>) -> (Terms, Vec<Problem>) {
        let mut reading = Reading {
            fields: self,
            source,
            problems: Vec::new(),
        };
        let region = |word: &str| Region::all(word).map_err(|error| error.to_string());
        let action = |word: &str| {
            let known = ACTIONS.contains(&word);
            known
                .then(|| vec![word.to_owned()])
                .ok_or_else(|| format!("{word:?} is none of {}", ACTIONS.join(", ")))
        };
        let day = |word: &str| {
            let day = word.get(..10).unwrap_or(word);
            let rest = word.get(10..).unwrap_or_default();
            match day.parse::<Date>() {
                Ok(date) if rest.is_empty() || rest.starts_with(['T', ' ']) => Ok(vec![date]),
                _ => Err(format!("{word:?} is no date; write it as 2027-06-30")),
            }
        };
        let text = |word: &str| Ok(vec![word.to_owned()]);
        let media = self.media();
        let medium = |word: &str| {
            let word = slug(word);
            if media.contains(&word) {
                Ok(vec![word])
            } else {
                Err(format!("{word:?} is none of {}", media.join(", ")))
            }
        };
        let mut terms = Terms {
            status: reading.one(Facet::Status, |word| {
                let status = Status::from_name(&word.to_lowercase());
                let names = Status::ALL.map(Status::as_str).join(", ");
                status
                    .map(|status| vec![status])
                    .ok_or_else(|| format!("{word:?} is none of {names}"))
            }),
            owner: reading.one(Facet::Owner, text),
            licensee: reading.one(Facet::Licensee, text),
            begins: reading.one(Facet::Begins, day),
            ends: reading.one(Facet::Ends, day),
            regions: reading.all(Facet::Regions, region),
            excluded: reading.all(Facet::Excluded, region),
            media: reading.all(Facet::Media, medium),
            uses: reading.one(Facet::Uses, |word| {
                let count = word.parse::<u64>();
                count
                    .map(|count| vec![count])
                    .map_err(|_| format!("{word:?} is no number of uses"))
            }),
            limits: BTreeMap::new(),
            forbidden: reading.all(Facet::Restrictions, action),
            duties: reading.all(Facet::Duties, action),
        };
        for facet in [
            Facet::Purpose,
            Facet::Industry,
            Facet::Language,
            Facet::Recipient,
        ] {
            let values = reading.all(facet, text);
            if !values.is_empty() {
                terms.limits.insert(facet, values);
            }
        }
        if self.fields.contains_key(&Facet::Status) && terms.status.is_none() {
            terms.status = Some(Status::Unknown);
        }
        if let (Some(begins), Some(ends)) = (terms.begins, terms.ends)
            && begins > ends
        {
            reading.problem(
                Facet::Ends,
                format!("the last day, {ends}, is before the first, {begins}"),
            );
        }
        (terms, reading.problems)
    }
}

impl Terms {
    /// Whether they permit anything: what has no status is permitted within the limits it has.
    pub fn permit(&self) -> bool {
        match self.status {
            Some(status) => status.permits(),
            None => self.say_something(),
        }
    }

    /// Whether they say anything beyond the status.
    pub fn say_something(&self) -> bool {
        let plain = Self {
            status: self.status,
            ..Self::default()
        };
        *self != plain
    }
}

/// A reading of the source's values, with what went wrong so far.
struct Reading<'a> {
    fields: &'a RightsFields,
    source: &'a BTreeMap<String, Vec<Value>>,
    problems: Vec<Problem>,
}

impl Reading<'_> {
    fn problem(&mut self, facet: Facet, what: String) {
        let field = self.fields.fields.get(&facet).cloned().unwrap_or_default();
        self.problems.push(Problem { field, what });
    }

    /// All values of a facet, translated and understood; sorted, each once.
    fn all<T: Ord>(
        &mut self,
        facet: Facet,
        mut understand: impl FnMut(&str) -> Result<Vec<T>, String>,
    ) -> Vec<T> {
        let Some(field) = self.fields.fields.get(&facet) else {
            return Vec::new();
        };
        let mut found = Vec::new();
        for value in self.source.get(field).into_iter().flatten() {
            let word = match value {
                Value::Null => continue,
                Value::String(text) => text.trim().to_owned(),
                other => other.to_string(),
            };
            if word.is_empty() {
                continue;
            }
            for word in self.fields.meaning(facet, &word) {
                match understand(&word) {
                    Ok(values) => found.extend(values),
                    Err(what) => {
                        let facet_name = facet.as_str();
                        self.problem(
                            facet,
                            format!("{what}; correct it, or say what it means in `rights.words.{facet_name}`"),
                        );
                    }
                }
            }
        }
        found.sort();
        found.dedup();
        found
    }

    /// The only value of a facet.
    fn one<T>(
        &mut self,
        facet: Facet,
        understand: impl FnMut(&str) -> Result<Vec<T>, String>,
    ) -> Option<T>
    where
        T: Ord,
    {
        let mut all = self.all(facet, understand);
        if all.len() > 1 {
            let count = all.len();
            self.problem(facet, format!("it has {count} values; one is wanted"));
        }
        if all.is_empty() {
            None
        } else {
            Some(all.remove(0))
        }
    }
}

/// A name as part of an IRI: letters and digits in lower case, with hyphens between.
pub(super) fn slug(name: &str) -> String {
    let lower = name.to_lowercase();
    let words = lower.split(|char: char| !char.is_alphanumeric());
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    words.join("-")
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::*;

    /// Every facet in a field of its own name, with a few words of the house.
    pub(in super::super) fn house() -> RightsFields {
        let words = |facet, words: &[(&str, &[&str])]| {
            let words = words.iter().map(|(word, means)| {
                let means = means.iter().map(|word| (*word).to_owned()).collect();
                ((*word).to_owned(), means)
            });
            (facet, words.collect())
        };
        RightsFields {
            fields: Facet::ALL
                .into_iter()
                .map(|facet| (facet, facet.as_str().to_owned()))
                .collect(),
            words: [
                words(Facet::Regions, &[("DACH", &["DE", "AT", "CH"])]),
                words(Facet::Restrictions, &[("No edits", &["modify", "derive"])]),
                words(Facet::Status, &[("Freigegeben", &["cleared"])]),
            ]
            .into(),
            licences: Vec::new(),
        }
    }

    pub(in super::super) fn read(values: Value) -> (Terms, Vec<Problem>) {
        house().read(&serde_json::from_value(values).unwrap())
    }

    #[test]
    fn words_of_the_house_are_translated_and_others_are_taken_as_they_are() {
        let (terms, problems) = read(json!({
            "status": ["Freigegeben"], "owner": ["Agency Nord"], "ends": ["2026-12-31T00:00:00"],
            "regions": ["DACH", "AT", "fr"], "media": ["Web", "TV"], "uses": [3],
            "restrictions": ["No edits"], "duties": ["attribute"], "purpose": ["launch"],
        }));
        assert_eq!(problems, []);
        assert_eq!(terms.status, Some(Status::Cleared));
        assert_eq!(terms.ends, Some("2026-12-31".parse().unwrap()));
        let regions: Vec<&str> = terms.regions.iter().map(Region::as_str).collect();
        assert_eq!(regions, ["AT", "CH", "DE", "FR"]);
        assert_eq!(terms.media, ["tv", "web"]);
        assert_eq!(terms.uses, Some(3));
        assert_eq!(terms.forbidden, ["derive", "modify"]);
        assert_eq!(terms.limits[&Facet::Purpose], ["launch"]);
        assert!(terms.say_something());
    }

    #[test]
    fn what_is_not_understood_is_named_with_its_field() {
        let (_, problems) = read(json!({
            "status": ["maybe"], "regions": ["Austria"], "media": ["pigeon post"], "uses": ["few"],
            "restrictions": ["sneeze"], "begins": ["2027-01-01"], "ends": ["2026-12-31", "soon"],
            "licensee": ["A", "B"],
        }));
        let said: Vec<String> = problems
            .iter()
            .map(|problem| format!("{}: {}", problem.field, problem.what))
            .collect();
        let said = said.join("\n");
        for part in [
            "status: \"maybe\" is none of cleared",
            "regions: \"Austria\" is no region",
            "`rights.words.regions`",
            "media: \"pigeon-post\" is none of tv",
            "uses: \"few\" is no number",
            "restrictions: \"sneeze\" is none of use",
            "ends: \"soon\" is no date",
            "ends: the last day, 2026-12-31, is before",
            "licensee: it has 2 values",
        ] {
            assert!(said.contains(part), "{part} in {said}");
        }
    }

    #[test]
    fn a_status_field_without_a_value_is_unknown_and_no_field_is_silence() {
        let (terms, _) = read(json!({}));
        assert_eq!(terms.status, Some(Status::Unknown));
        assert!(!terms.say_something());
        let (terms, _) = RightsFields::default().read(&BTreeMap::new());
        assert_eq!(terms.status, None);
    }
}
