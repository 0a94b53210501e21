//! Several licences of one asset: one for television in one country, one for the web in another.
//!
//! Each licence has fields of its own and shares those that all have in common. Its terms hold
//! within it alone: what it permits it permits in its own term, places and media, and what it
//! restricts is restricted there.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::terms::{Facet, Problem, RightsFields, Status, Terms};

/// Where the source keeps one of several licences, or a list of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LicenceFields {
    /// The settings' name for it.
    pub name: String,
    /// Its own field for each facet; the others are those that all licences share.
    pub fields: BTreeMap<Facet, String>,
    /// Whether these fields hold several licences: the first value of each belongs to the first
    /// licence, the second to the second.
    pub rows: bool,
    /// The relation to assets of which each is such a licence, and has these fields.
    pub relation: Option<String>,
}

/// A licence.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Licensed {
    /// Its name; none for the only one of an asset.
    pub name: Option<String>,
    /// Its terms.
    pub terms: Terms,
    /// Whether its restrictions are its own, and not those of all licences of the asset.
    pub own_restrictions: bool,
}

impl Licensed {
    /// The only licence of an asset.
    pub fn only(terms: Terms) -> Self {
        Self {
            terms,
            ..Self::default()
        }
    }
}

impl RightsFields {
    /// Reads the licences of an asset, and what of them is not understood. One that none of its own
    /// fields says anything about is not there.
    pub fn read_all(&self, source: &BTreeMap<String, Vec<Value>>) -> (Vec<Licensed>, Vec<Problem>) {
        if self.licences.is_empty() {
            let (terms, problems) = self.read(source);
            return (vec![Licensed::only(terms)], problems);
        }
        let (mut all, mut problems) = (Vec::new(), Vec::new());
        for licence in &self.licences {
            let own = Self {
                fields: self
                    .fields
                    .iter()
                    .chain(&licence.fields)
                    .map(|(facet, field)| (*facet, field.clone()))
                    .collect(),
                words: self.words.clone(),
                licences: Vec::new(),
            };
            let own_restrictions = licence.fields.contains_key(&Facet::Restrictions);
            let mut take = |name: String, source: &BTreeMap<String, Vec<Value>>| {
                let (terms, wrong) = own.read(source);
                all.push(Licensed {
                    name: Some(name),
                    terms,
                    own_restrictions,
                });
                problems.extend(wrong);
            };
            let values = licence.values(source);
            let most = values.values().map(|values| values.len()).max();
            match most.unwrap_or_default() {
                0 => {}
                _ if !licence.rows => take(licence.name.clone(), source),
                rows => {
                    let uneven = values.iter().filter(|(_, values)| values.len() != rows);
                    let mut uneven = uneven.peekable();
                    if uneven.peek().is_none() {
                        for row in 0..rows {
                            let own = values.iter().map(|(field, values)| {
                                let value = values.get(row).map(|value| (*value).clone());
                                ((*field).to_owned(), value.into_iter().collect())
                            });
                            let mut source = source.clone();
                            source.extend(own);
                            take(format!("{} {}", licence.name, row + 1), &source);
                        }
                    }
                    problems.extend(uneven.map(|(field, values)| Problem {
                        field: (*field).to_owned(),
                        what: format!(
                            "it has {} values for {rows} licences (`rights.licences.{}`); each needs one",
                            values.len(),
                            licence.name
                        ),
                    }));
                }
            }
        }
        (all, problems)
    }

    /// Every field of an asset itself that says something about its rights.
    pub fn fields_of_the_asset(&self) -> BTreeSet<&str> {
        let own = self
            .licences
            .iter()
            .filter(|licence| licence.relation.is_none())
            .flat_map(|licence| licence.fields.values());
        self.fields
            .values()
            .chain(own)
            .map(String::as_str)
            .collect()
    }
}

impl LicenceFields {
    /// What its own fields say. Rows keep their empty values, which stand for no limit.
    fn values<'a>(
        &'a self,
        source: &'a BTreeMap<String, Vec<Value>>,
    ) -> BTreeMap<&'a str, Vec<&'a Value>> {
        let is_empty = |value: &Value| match value {
            Value::Null => true,
            Value::String(text) => text.trim().is_empty(),
            _ => false,
        };
        let fields = self.fields.values();
        fields
            .filter_map(|field| {
                let values: Vec<&Value> = source.get(field)?.iter().collect();
                let says = values.iter().any(|value| !is_empty(value));
                says.then_some((field.as_str(), values))
            })
            .collect()
    }
}

/// What licences are as a whole: what all are, restricted where they are not the same and one of
/// them permits something.
pub(super) fn status_of(licences: &[Licensed]) -> Option<Status> {
    let mut all = licences.iter().map(|licence| licence.terms.status);
    let Some(first) = all.next() else {
        return Some(Status::Unknown);
    };
    if all.all(|status| status == first) {
        return first;
    }
    if licences.iter().any(|licence| licence.terms.permit()) {
        return Some(Status::Restricted);
    }
    licences
        .iter()
        .filter_map(|licence| licence.terms.status)
        .max()
}

#[cfg(test)]
mod tests {
    use jiff::civil::Date;
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::{Policy, Use, Verdict};
    use super::*;

    fn fields(all: &[(Facet, &str)]) -> BTreeMap<Facet, String> {
        let all = all.iter();
        all.map(|(facet, field)| (*facet, (*field).to_owned()))
            .collect()
    }

    /// A licence for television and one for the web, with an owner and a status in common.
    fn house() -> RightsFields {
        let own = |name: &str| {
            let field = |facet: Facet| (facet, format!("{name}_{}", facet.as_str()));
            LicenceFields {
                name: name.to_owned(),
                fields: [
                    Facet::Status,
                    Facet::Begins,
                    Facet::Ends,
                    Facet::Regions,
                    Facet::Media,
                    Facet::Restrictions,
                ]
                .map(field)
                .into(),
                rows: false,
                relation: None,
            }
        };
        RightsFields {
            fields: fields(&[(Facet::Owner, "owner")]),
            licences: ["a", "b", "c"].map(own).into(),
            ..RightsFields::default()
        }
    }

    fn policy(fields: &RightsFields, source: &Value) -> Policy {
        let source = serde_json::from_value(source.clone()).unwrap();
        let (licences, problems) = fields.read_all(&source);
        assert_eq!(problems, []);
        let policy = Policy::of("urn:x".into(), "target", &licences, Vec::new());
        let read = Policy::parse(&policy.to_json()).unwrap();
        assert_eq!(read, policy, "it is read as it was written");
        read
    }

    fn answer(policy: &Policy, text: &str) -> (Verdict, Option<String>) {
        let today = "2026-06-01".parse().unwrap();
        let answer = policy.allows(&Use::parse(text, &house(), today).unwrap());
        (answer.verdict, answer.rule)
    }

    #[test]
    fn each_licence_keeps_its_own_terms_and_the_one_that_allows_is_named() {
        let policy = policy(
            &house(),
            &json!({
                "owner": ["Agency Nord"],
                "a_status": ["cleared"], "a_media": ["tv"], "a_regions": ["AT"], "a_ends": ["2026-12-31"],
                "b_status": ["cleared"], "b_media": ["web"], "b_ends": ["2027-06-30"],
            }),
        );
        assert_eq!(policy.permissions.len(), 2);
        let day = |text: &str| Some(text.parse::<Date>().unwrap());
        assert_eq!(
            policy.licences(),
            [
                ("a".to_owned(), day("2026-12-31")),
                ("b".to_owned(), day("2027-06-30"))
            ]
        );
        let (verdict, rule) = answer(&policy, "web, FR, 2027-01-01");
        assert_eq!(verdict, Verdict::Allowed);
        assert!(rule.unwrap().starts_with("permission (b): use when"));
        assert_eq!(answer(&policy, "tv, AT").0, Verdict::Allowed);
        for refused in ["tv, DE", "tv, AT, 2027-01-01", "print, AT"] {
            assert_eq!(answer(&policy, refused).0, Verdict::NotAllowed, "{refused}");
        }
        // A doubt about one licence is none about another.
        assert_eq!(answer(&policy, "web").0, Verdict::Allowed);
        assert_eq!(answer(&policy, "tv").0, Verdict::Unknown);
    }

    #[test]
    fn a_pending_licence_takes_nothing_from_another_and_none_at_all_permits_nothing() {
        let one = policy(
            &house(),
            &json!({"a_status": ["pending"], "b_status": ["cleared"], "b_media": ["web"]}),
        );
        assert_eq!(one.status, Some(Status::Restricted));
        assert_eq!(answer(&one, "web, AT").0, Verdict::Allowed);
        for nothing in [
            json!({"owner": ["Agency Nord"]}),
            json!({"a_status": ["expired"]}),
        ] {
            let none = policy(&house(), &nothing);
            assert_eq!(answer(&none, "web, AT").0, Verdict::NotAllowed, "{nothing}");
            assert_eq!(none.licences(), []);
        }
    }

    #[test]
    fn rows_are_licences_one_by_one_and_uneven_ones_are_not_guessed() {
        let rows = RightsFields {
            fields: fields(&[(Facet::Status, "status")]),
            licences: vec![LicenceFields {
                name: "deal".into(),
                fields: fields(&[(Facet::Media, "media"), (Facet::Ends, "ends")]),
                rows: true,
                relation: None,
            }],
            ..RightsFields::default()
        };
        let source = json!({
            "status": ["cleared"], "media": ["tv", "web"], "ends": ["2026-12-31", "2027-06-30"],
        });
        let two = policy(&rows, &source);
        let names: Vec<String> = two.licences().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["deal 1", "deal 2"]);
        assert_eq!(answer(&two, "web, 2027-01-01").0, Verdict::Allowed);
        assert_eq!(answer(&two, "tv, 2027-01-01").0, Verdict::NotAllowed);
        let uneven = json!({"status": ["cleared"], "media": ["tv", "web"], "ends": ["2026-12-31"]});
        let (licences, problems) = rows.read_all(&serde_json::from_value(uneven).unwrap());
        assert_eq!(licences, []);
        assert_eq!(problems[0].field, "ends");
        assert!(problems[0].what.contains("1 values for 2 licences"));
    }

    const MEDIA: [&str; 3] = ["tv", "web", "print"];
    const REGIONS: [&str; 3] = ["AT", "DE", "FR"];

    #[derive(Clone, Debug)]
    struct Case {
        permits: bool,
        media: Vec<&'static str>,
        regions: Vec<&'static str>,
        months: (i8, i8),
        no_edits: bool,
    }

    fn case() -> impl Strategy<Value = Case> {
        let some = |all: &'static [&'static str]| prop::sample::subsequence(all, 1..=all.len());
        let months = (1i8..=12, 1i8..=12).prop_map(|(a, b)| (a.min(b), a.max(b)));
        (
            any::<bool>(),
            some(&MEDIA),
            some(&REGIONS),
            months,
            any::<bool>(),
        )
            .prop_map(|(permits, media, regions, months, no_edits)| Case {
                permits,
                media,
                regions,
                months,
                no_edits,
            })
    }

    proptest! {
        #[test]
        fn a_use_is_allowed_when_a_licence_allows_it_and_no_prohibition_forbids_it(
            cases in prop::collection::vec(case(), 0..=3),
            medium in prop::sample::select(&MEDIA[..]), region in prop::sample::select(&REGIONS[..]),
            month in 1i8..=12, edits in any::<bool>(),
        ) {
            let mut source = json!({"owner": ["Agency Nord"]});
            for (case, name) in cases.iter().zip(["a", "b", "c"]) {
                source[format!("{name}_status")] = json!([if case.permits { "cleared" } else { "pending" }]);
                source[format!("{name}_media")] = json!(case.media);
                source[format!("{name}_regions")] = json!(case.regions);
                source[format!("{name}_begins")] = json!([format!("2026-{:02}-01", case.months.0)]);
                source[format!("{name}_ends")] = json!([format!("2026-{:02}-28", case.months.1)]);
                if case.no_edits {
                    source[format!("{name}_restrictions")] = json!(["modify"]);
                }
            }
            let policy = policy(&house(), &source);
            let action = if edits { "modify" } else { "play" };
            let (verdict, _) = answer(&policy, &format!("{medium}, {region}, 2026-{month:02}-15, {action}"));
            let covers = |case: &&Case| case.permits && case.media.contains(&medium)
                && case.regions.contains(&region) && (case.months.0..=case.months.1).contains(&month);
            let permitted = cases.iter().any(|case| covers(&case));
            let forbidden = edits && cases.iter().any(|case| covers(&case) && case.no_edits);
            let expected = if permitted && !forbidden { Verdict::Allowed } else { Verdict::NotAllowed };
            prop_assert_eq!(verdict, expected, "{}", policy.words());
        }
    }
}
