//! The rights sidecar: terms as an ODRL 2.2 policy in JSON-LD.
//!
//! Source: the W3C ODRL Information Model and Vocabulary 2.2. Dates carry their type and regions,
//! media and parties are IRIs, so that a JSON-LD processor reads what was meant. The context is
//! named and never fetched.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde_json::{Map, Value, json};

use super::licences::{Licensed, status_of};
use super::terms::{Facet, Status, Terms, slug};

/// The ODRL context, by its name.
const CONTEXT: &str = "http://www.w3.org/ns/odrl.jsonld";
/// Our own terms: a profile of ODRL.
const PROFILE: &str = "urn:longhaul:rights:1";

const REGION: &str = "urn:longhaul:region:";
const MEDIUM: &str = "urn:longhaul:media:";

/// A policy: what may be done with one asset.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Its name.
    pub uid: String,
    /// What the source says of the rights as a whole.
    pub status: Option<Status>,
    /// Whether a licence is on file.
    pub is_agreement: bool,
    /// What is permitted.
    pub permissions: Vec<Rule>,
    /// What is forbidden; it wins over what is permitted.
    pub prohibitions: Vec<Rule>,
    /// Papers that prove it.
    pub documents: Vec<Document>,
}

/// A permission or a prohibition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// What it is about.
    pub target: String,
    /// Who says so.
    pub assigner: Option<String>,
    /// Whom it is said to.
    pub assignee: Option<String>,
    /// The licence that it is of, where there are several.
    pub licence: Option<String>,
    /// The action.
    pub action: String,
    /// All of them must hold.
    pub constraints: Vec<Constraint>,
    /// What each use asks for.
    pub duties: Vec<String>,
}

/// A condition of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Constraint {
    /// What is compared: ODRL's word.
    pub left: String,
    /// How: ODRL's word.
    pub operator: String,
    /// With what.
    pub right: Operand,
}

/// What is compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operand {
    /// A day.
    Day(Date),
    /// A number.
    Number(u64),
    /// IRIs.
    Iris(Vec<String>),
    /// Texts.
    Texts(Vec<String>),
    /// Something of another kind.
    Other(Value),
}

/// A paper.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Document {
    /// Its IRI.
    pub id: String,
    /// What it is: `licence`, `talent-release`, …
    pub role: String,
}

/// The role of a paper that makes an agreement.
pub const LICENCE: &str = "licence";

impl Policy {
    /// The policy of an asset with these licences.
    ///
    /// Where no licence permits anything, every use is forbidden: a policy needs a rule, and the
    /// absence of a permission cannot be written as one. A restriction that only one of several
    /// licences has is forbidden in its term, places and media.
    pub fn of(
        uid: String,
        target: &str,
        licences: &[Licensed],
        mut documents: Vec<Document>,
    ) -> Self {
        documents.sort();
        documents.dedup();
        let party = |name: &Option<String>| {
            let slug = slug(name.as_deref()?);
            (!slug.is_empty()).then(|| format!("urn:longhaul:party:{slug}"))
        };
        let rule = |terms: &Terms, action: &str| Rule {
            target: target.to_owned(),
            assigner: party(&terms.owner),
            assignee: party(&terms.licensee),
            action: action.to_owned(),
            ..Rule::default()
        };
        let (mut permissions, mut prohibitions) = (Vec::new(), Vec::new());
        for licence in licences {
            let terms = &licence.terms;
            let is_own = licence.name.is_some() && licence.own_restrictions;
            for word in &terms.forbidden {
                let forbidden = match is_own {
                    false => rule(terms, word),
                    // What a licence restricts that permits nothing is forbidden as it is.
                    true if !terms.permit() => continue,
                    true => Rule {
                        licence: licence.name.clone(),
                        constraints: scope(terms),
                        ..rule(terms, word)
                    },
                };
                if !prohibitions.contains(&forbidden) {
                    prohibitions.push(forbidden);
                }
            }
            if terms.permit() {
                permissions.push(Rule {
                    licence: licence.name.clone(),
                    constraints: constraints(terms),
                    duties: terms.duties.clone(),
                    ..rule(terms, "use")
                });
            }
        }
        if permissions.is_empty() {
            let none = Terms::default();
            let terms = licences.first().map_or(&none, |licence| &licence.terms);
            prohibitions.insert(0, rule(terms, "use"));
        }
        let has_parties = licences
            .iter()
            .any(|one| one.terms.owner.is_some() && one.terms.licensee.is_some());
        Self {
            uid,
            status: status_of(licences),
            is_agreement: has_parties && documents.iter().any(|paper| paper.role == LICENCE),
            permissions,
            prohibitions,
            documents,
        }
    }

    /// The licences that permit something, each with its last day; the only one of an asset has an
    /// empty name.
    pub fn licences(&self) -> Vec<(String, Option<Date>)> {
        let all = self.permissions.iter();
        all.map(|rule| (rule.licence.clone().unwrap_or_default(), rule.last_day()))
            .collect()
    }

    /// The first day on which anything is permitted; `None` when that is not said.
    pub fn begins(&self) -> Option<Date> {
        let first = |rule: &Rule| {
            let days = rule.constraints.iter().filter_map(|one| match &one.right {
                Operand::Day(day) if one.left == "dateTime" && one.operator == "gteq" => Some(*day),
                _ => None,
            });
            days.max()
        };
        self.permissions.iter().filter_map(first).min()
    }

    /// Everything in it in a few words, for people.
    pub fn words(&self) -> String {
        let permitted = self.permissions.iter().map(|rule| match &rule.licence {
            Some(licence) => format!("{licence}: {}", rule.words()),
            None => rule.words(),
        });
        let forbidden = self.prohibitions.iter();
        let forbidden = forbidden.map(|rule| format!("forbidden: {}", rule.words()));
        let all: Vec<String> = permitted.chain(forbidden).collect();
        all.join("; ")
    }

    /// The last day on which anything is permitted; `None` when there is none, or nothing is.
    pub fn ends(&self) -> Option<Date> {
        let mut days = self.permissions.iter().map(Rule::last_day);
        // One without a last day goes on for ever.
        days.try_fold(None, |latest: Option<Date>, day| {
            Some(latest.max(Some(day?)))
        })?
    }

    /// The document: indented JSON in UTF-8, members sorted, ending in a line feed.
    pub fn to_json(&self) -> Vec<u8> {
        let mut policy = json!({
            "@context": [CONTEXT, {"lh": format!("{PROFILE}#"), "dct": "http://purl.org/dc/terms/"}],
            "@type": if self.is_agreement { "Agreement" } else { "Set" },
            "uid": self.uid,
            "profile": PROFILE,
            "conflict": "prohibit",
        });
        let rules = |rules: &[Rule]| rules.iter().map(Rule::to_value).collect::<Vec<_>>();
        for (name, all) in [
            ("permission", &self.permissions),
            ("prohibition", &self.prohibitions),
        ] {
            if !all.is_empty() {
                policy[name] = rules(all).into();
            }
        }
        if let Some(status) = self.status {
            policy["dct:accessRights"] = status.as_str().into();
        }
        if !self.documents.is_empty() {
            let papers = self.documents.iter();
            policy["lh:document"] = papers
                .map(|paper| json!({"@id": paper.id, "lh:role": paper.role}))
                .collect();
        }
        let mut text = serde_json::to_vec_pretty(&policy).expect("a value is always JSON");
        text.push(b'\n');
        text
    }

    /// Reads a policy. What it has beyond what is known here is kept as something that cannot be
    /// told.
    ///
    /// # Errors
    ///
    /// What the text lacks of a policy, for people.
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        let value: Value =
            serde_json::from_slice(text).map_err(|error| format!("it is no JSON: {error}"))?;
        let kind = value["@type"].as_str().unwrap_or_default();
        if !matches!(kind, "Set" | "Offer" | "Agreement" | "Policy") {
            return Err(
                "it is no ODRL policy: `@type` is none of Set, Offer, Agreement".to_owned(),
            );
        }
        let rules = |name: &str| -> Vec<Rule> { many(&value[name]).map(Rule::read).collect() };
        let documents = many(&value["lh:document"]).filter_map(|paper| {
            Some(Document {
                id: paper["@id"].as_str()?.to_owned(),
                role: paper["lh:role"].as_str().unwrap_or_default().to_owned(),
            })
        });
        Ok(Self {
            uid: value["uid"].as_str().unwrap_or_default().to_owned(),
            status: value["dct:accessRights"]
                .as_str()
                .and_then(Status::from_name),
            is_agreement: kind == "Agreement",
            permissions: rules("permission"),
            prohibitions: rules("prohibition"),
            documents: documents.collect(),
        })
    }
}

/// JSON-LD writes a list of one as the one.
fn many(value: &Value) -> impl Iterator<Item = &Value> {
    let several = value.as_array().map(Vec::as_slice);
    let one = (!value.is_array() && !value.is_null()).then_some(value);
    several.unwrap_or_default().iter().chain(one)
}

/// The text of a plain value or of one with `@id` or `@value`.
fn text(value: &Value) -> Option<&str> {
    let inner = ["@id", "@value"]
        .into_iter()
        .find_map(|name| value[name].as_str());
    value.as_str().or(inner)
}

impl Rule {
    fn to_value(&self) -> Value {
        let mut rule = Map::new();
        rule.insert("target".to_owned(), self.target.clone().into());
        rule.insert("action".to_owned(), self.action.clone().into());
        for (name, party) in [("assigner", &self.assigner), ("assignee", &self.assignee)] {
            if let Some(party) = party {
                rule.insert(name.to_owned(), party.clone().into());
            }
        }
        if let Some(licence) = &self.licence {
            rule.insert("lh:licence".to_owned(), licence.clone().into());
        }
        if !self.constraints.is_empty() {
            let constraints = self.constraints.iter().map(Constraint::to_value);
            rule.insert("constraint".to_owned(), constraints.collect());
        }
        if !self.duties.is_empty() {
            let duties = self.duties.iter().map(|action| json!({ "action": action }));
            rule.insert("duty".to_owned(), duties.collect());
        }
        Value::Object(rule)
    }

    fn read(value: &Value) -> Self {
        let own = |name: &str| text(&value[name]).map(str::to_owned);
        // An action may be refined; the refinement is one more condition.
        let action = &value["action"];
        let refined = many(&action["refinement"]).chain(many(&value["constraint"]));
        let name = text(action).or_else(|| text(&action["rdf:value"]));
        let duties = many(&value["duty"]).filter_map(|duty| text(&duty["action"]));
        Self {
            target: own("target").unwrap_or_default(),
            assigner: own("assigner"),
            assignee: own("assignee"),
            licence: own("lh:licence"),
            action: name.unwrap_or_default().to_owned(),
            constraints: refined.map(Constraint::read).collect(),
            duties: duties.map(str::to_owned).collect(),
        }
    }

    /// The last day on which it holds; none when it goes on for ever.
    fn last_day(&self) -> Option<Date> {
        let days = self.constraints.iter().filter_map(|one| match &one.right {
            Operand::Day(day) if one.left == "dateTime" && one.operator == "lteq" => Some(*day),
            _ => None,
        });
        days.min()
    }

    /// The rule in a few words, for people.
    pub fn words(&self) -> String {
        let mut words = self.action.clone();
        for (place, one) in self.constraints.iter().enumerate() {
            let joint = if place == 0 { " when " } else { " and " };
            words.push_str(joint);
            words.push_str(&one.words());
        }
        words
    }
}

impl Constraint {
    fn new(left: &str, operator: &str, right: Operand) -> Self {
        Self {
            left: left.to_owned(),
            operator: operator.to_owned(),
            right,
        }
    }

    fn to_value(&self) -> Value {
        let right = match &self.right {
            Operand::Day(day) => json!({"@value": day.to_string(), "@type": "xsd:date"}),
            Operand::Number(number) => json!(number),
            Operand::Iris(all) => all.iter().map(|iri| json!({ "@id": iri })).collect(),
            Operand::Texts(all) => json!(all),
            Operand::Other(other) => other.clone(),
        };
        json!({"leftOperand": self.left, "operator": self.operator, "rightOperand": right})
    }

    fn read(value: &Value) -> Self {
        let word = |name: &str| text(&value[name]).unwrap_or_default().to_owned();
        let right = &value["rightOperand"];
        let day = right["@value"]
            .as_str()
            .filter(|_| {
                right["@type"]
                    .as_str()
                    .is_some_and(|kind| kind.starts_with("xsd:date"))
            })
            .and_then(|day| day.get(..10).unwrap_or(day).parse().ok());
        let iris: Option<Vec<String>> = many(right)
            .map(|one| one["@id"].as_str().map(str::to_owned))
            .collect();
        let texts: Option<Vec<String>> = many(right)
            .map(|one| one.as_str().map(str::to_owned))
            .collect();
        let right = match (day, right.as_u64(), iris, texts) {
            (Some(day), ..) => Operand::Day(day),
            (_, Some(number), ..) => Operand::Number(number),
            (_, _, Some(iris), _) if !iris.is_empty() => Operand::Iris(iris),
            (_, _, _, Some(texts)) if !texts.is_empty() => Operand::Texts(texts),
            _ => Operand::Other(right.clone()),
        };
        Self::new(&word("leftOperand"), &word("operator"), right)
    }

    /// The condition in a few words, for people.
    pub fn words(&self) -> String {
        let operator = match self.operator.as_str() {
            "gteq" => "from",
            "lteq" if self.left == "dateTime" => "until",
            "lteq" => "at most",
            "isAnyOf" => "one of",
            "isNoneOf" => "none of",
            other => other,
        };
        let left = match self.left.as_str() {
            "dateTime" => "date",
            "spatial" => "region",
            other => other,
        };
        let right = match &self.right {
            Operand::Day(day) => day.to_string(),
            Operand::Number(number) => number.to_string(),
            Operand::Iris(all) | Operand::Texts(all) => {
                let short = |iri: &String| iri.rsplit(':').next().unwrap_or(iri).to_owned();
                all.iter().map(short).collect::<Vec<_>>().join(", ")
            }
            Operand::Other(other) => other.to_string(),
        };
        format!("{left} {operator} {right}")
    }
}

/// Where and when a licence is about anything: its term, places and media.
fn scope(terms: &Terms) -> Vec<Constraint> {
    constraints(&Terms {
        begins: terms.begins,
        ends: terms.ends,
        regions: terms.regions.clone(),
        media: terms.media.clone(),
        ..Terms::default()
    })
}

/// The conditions of the terms.
fn constraints(terms: &Terms) -> Vec<Constraint> {
    let regions = |all: &[super::regions::Region]| {
        let iris = all.iter().map(|region| format!("{REGION}{region}"));
        Operand::Iris(iris.collect())
    };
    let mut all = Vec::new();
    if let Some(day) = terms.begins {
        all.push(Constraint::new("dateTime", "gteq", Operand::Day(day)));
    }
    if let Some(day) = terms.ends {
        all.push(Constraint::new("dateTime", "lteq", Operand::Day(day)));
    }
    if !terms.regions.is_empty() {
        all.push(Constraint::new(
            "spatial",
            "isAnyOf",
            regions(&terms.regions),
        ));
    }
    if !terms.excluded.is_empty() {
        let excluded = regions(&terms.excluded);
        all.push(Constraint::new("spatial", "isNoneOf", excluded));
    }
    if !terms.media.is_empty() {
        let media = terms.media.iter().map(|medium| format!("{MEDIUM}{medium}"));
        all.push(Constraint::new(
            "media",
            "isAnyOf",
            Operand::Iris(media.collect()),
        ));
    }
    if let Some(uses) = terms.uses {
        all.push(Constraint::new("count", "lteq", Operand::Number(uses)));
    }
    let limits: &BTreeMap<Facet, Vec<String>> = &terms.limits;
    for (facet, values) in limits {
        let texts = Operand::Texts(values.clone());
        all.push(Constraint::new(facet.as_str(), "isAnyOf", texts));
    }
    all
}

/// The code of a region's IRI.
pub(super) fn region_of(iri: &str) -> Option<&str> {
    iri.strip_prefix(REGION)
}

/// The word of a medium's IRI.
pub(super) fn medium_of(iri: &str) -> Option<&str> {
    iri.strip_prefix(MEDIUM)
}

#[cfg(test)]
mod tests {
    use super::super::terms::tests::read;
    use super::*;

    const TARGET: &str = "urn:iconik:asset:a";

    fn policy(values: Value, papers: &[(&str, &str)]) -> Policy {
        let (terms, problems) = read(values);
        assert_eq!(problems, []);
        let papers = papers.iter().map(|(id, role)| Document {
            id: (*id).to_owned(),
            role: (*role).to_owned(),
        });
        Policy::of(
            "urn:longhaul:policy:a".into(),
            TARGET,
            &[Licensed::only(terms)],
            papers.collect(),
        )
    }

    #[test]
    fn every_term_has_its_place_and_is_read_back() {
        let policy = policy(
            json!({
                "status": ["restricted"], "owner": ["Talent Agency Nord"],
                "licensee": ["Brand X GmbH"], "begins": ["2026-01-01"], "ends": ["2026-12-31"],
                "regions": ["DE", "AT"], "excluded": ["DE-BY"], "media": ["web"], "uses": ["5"],
                "purpose": ["launch"], "restrictions": ["modify"], "duties": ["attribute"],
            }),
            &[("urn:otcs:prod:node:7", LICENCE)],
        );
        let text = policy.to_json();
        let value: Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(value["@type"], "Agreement");
        assert_eq!(value["@context"][0], CONTEXT);
        assert_eq!(
            (&value["profile"], &value["conflict"]),
            (&json!(PROFILE), &json!("prohibit"))
        );
        let permission = &value["permission"][0];
        assert_eq!(
            permission["assigner"],
            "urn:longhaul:party:talent-agency-nord"
        );
        assert_eq!(permission["action"], "use");
        assert_eq!(
            permission["constraint"],
            json!([
                {"leftOperand": "dateTime", "operator": "gteq",
                 "rightOperand": {"@value": "2026-01-01", "@type": "xsd:date"}},
                {"leftOperand": "dateTime", "operator": "lteq",
                 "rightOperand": {"@value": "2026-12-31", "@type": "xsd:date"}},
                {"leftOperand": "spatial", "operator": "isAnyOf",
                 "rightOperand": [{"@id": "urn:longhaul:region:AT"}, {"@id": "urn:longhaul:region:DE"}]},
                {"leftOperand": "spatial", "operator": "isNoneOf",
                 "rightOperand": [{"@id": "urn:longhaul:region:DE-BY"}]},
                {"leftOperand": "media", "operator": "isAnyOf",
                 "rightOperand": [{"@id": "urn:longhaul:media:web"}]},
                {"leftOperand": "count", "operator": "lteq", "rightOperand": 5},
                {"leftOperand": "purpose", "operator": "isAnyOf", "rightOperand": ["launch"]},
            ])
        );
        assert_eq!(permission["duty"], json!([{"action": "attribute"}]));
        assert_eq!(value["prohibition"][0]["action"], "modify");
        assert_eq!(
            value["lh:document"],
            json!([{"@id": "urn:otcs:prod:node:7", "lh:role": "licence"}])
        );
        assert_eq!(Policy::parse(&text).unwrap(), policy);
        assert_eq!(policy.ends(), Some("2026-12-31".parse().unwrap()));
    }

    #[test]
    fn rights_that_are_not_cleared_forbid_every_use() {
        for values in [
            json!({"status": ["pending"], "ends": ["2030-01-01"]}),
            json!({"status": ["expired"]}),
            json!({}),
        ] {
            let policy = policy(values, &[]);
            assert_eq!(policy.permissions, []);
            assert_eq!(policy.prohibitions[0].action, "use");
            assert_eq!(policy.ends(), None);
            assert!(!policy.is_agreement);
        }
    }

    #[test]
    fn a_policy_without_a_last_day_ends_never() {
        assert_eq!(policy(json!({"status": ["cleared"]}), &[]).ends(), None);
    }

    #[test]
    fn other_people_s_policies_are_read_and_rubbish_is_refused() {
        let text = json!({
            "@type": "Set", "uid": "x",
            "permission": {"target": {"@id": "t"}, "action": {"rdf:value": {"@id": "odrl:print"},
                "refinement": {"leftOperand": "resolution", "operator": "lteq", "rightOperand": {"@value": "1200", "@type": "xsd:integer"}}}},
        });
        let policy = Policy::parse(text.to_string().as_bytes()).unwrap();
        assert_eq!(policy.permissions[0].action, "odrl:print");
        assert_eq!(policy.permissions[0].constraints[0].left, "resolution");
        assert!(Policy::parse(b"{").unwrap_err().contains("no JSON"));
        assert!(Policy::parse(b"{}").unwrap_err().contains("no ODRL"));
    }
}
