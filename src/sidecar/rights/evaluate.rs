//! Is a use allowed? Asked of a policy, answered with the rule that decides.
//!
//! A use is allowed when all conditions of one permission hold and no prohibition of it does. No
//! permission means no. A condition that cannot be judged means "ask", never yes.

use jiff::civil::Date;
use serde::Serialize;

use super::odrl::{Constraint, Operand, Policy, Rule, medium_of, region_of};
use super::regions::Region;
use super::terms::{ACTIONS, Facet, RightsFields, slug};

/// What somebody means to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    /// The action; `use` for any.
    pub action: String,
    /// The day.
    pub day: Date,
    /// Where; several when a word of the house stands for several.
    pub regions: Vec<Region>,
    /// In which medium.
    pub medium: Option<String>,
    /// The how-manieth use it is.
    pub count: Option<u64>,
    /// For which purpose, in which industry, in which language, for whom.
    pub limits: Vec<(Facet, String)>,
}

/// Whether a use is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It is.
    Allowed,
    /// It is not.
    NotAllowed,
    /// It cannot be told: ask.
    Unknown,
}

impl Verdict {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::NotAllowed => "not allowed",
            Self::Unknown => "unknown",
        }
    }
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// Whether it is allowed.
    pub verdict: Verdict,
    /// The rule that decided, in a few words; none when there is no permission at all.
    pub rule: Option<String>,
    /// What decided in it, for people.
    pub because: String,
    /// What the use asks for.
    pub duties: Vec<String>,
}

/// Whether something holds; `None` when it cannot be told.
type Holds = Option<bool>;

impl Use {
    /// Reads `web, AT, 2027-07-01`: in any order a date, a region, a medium, an action, or any of
    /// them by name, such as `count=3` or `purpose=launch`. Without a date, `today` is meant.
    ///
    /// # Errors
    ///
    /// The word that is not understood, and what is.
    pub fn parse(text: &str, fields: &RightsFields, today: Date) -> Result<Self, String> {
        let mut wanted = Self {
            action: "use".to_owned(),
            day: today,
            regions: Vec::new(),
            medium: None,
            count: None,
            limits: Vec::new(),
        };
        let mut given = Vec::new();
        for word in text
            .split(',')
            .map(str::trim)
            .filter(|word| !word.is_empty())
        {
            let (name, value) = match word.split_once('=') {
                Some((name, value)) => (name.trim(), value.trim()),
                None => (kind_of(word, fields)?, word),
            };
            if given.contains(&name) {
                return Err(format!("{name} is given twice; ask once for each"));
            }
            given.push(name);
            wanted.take(name, value, fields)?;
        }
        Ok(wanted)
    }

    fn take(&mut self, name: &str, value: &str, fields: &RightsFields) -> Result<(), String> {
        match name {
            "date" => {
                self.day = value
                    .parse()
                    .map_err(|_| format!("{value:?} is no date; write it as 2027-06-30"))?;
            }
            "region" => {
                for word in fields.meaning(Facet::Regions, value) {
                    self.regions
                        .extend(Region::all(&word).map_err(|error| error.to_string())?);
                }
            }
            "media" => {
                let means = fields.meaning(Facet::Media, value);
                let [medium] = means.as_slice() else {
                    return Err(format!("{value:?} stands for several media; ask for one"));
                };
                let medium = slug(medium);
                let known = fields.media();
                if !known.contains(&medium) {
                    return Err(format!("{value:?} is no medium of {}", known.join(", ")));
                }
                self.medium = Some(medium);
            }
            "action" => {
                if !ACTIONS.contains(&value) {
                    return Err(format!("{value:?} is no action of {}", ACTIONS.join(", ")));
                }
                value.clone_into(&mut self.action);
            }
            "count" => {
                let count = value.parse();
                self.count = Some(count.map_err(|_| format!("{value:?} is no number of uses"))?);
            }
            name => {
                let limits = [
                    Facet::Purpose,
                    Facet::Industry,
                    Facet::Language,
                    Facet::Recipient,
                ];
                let Some(facet) = limits.into_iter().find(|facet| facet.as_str() == name) else {
                    return Err(format!(
                        "{name:?} is none of date, region, media, action, count, purpose, industry, language, recipient"
                    ));
                };
                self.limits.push((facet, value.to_owned()));
            }
        }
        Ok(())
    }
}

/// What a word without a name is.
fn kind_of(word: &str, fields: &RightsFields) -> Result<&'static str, String> {
    let house = |facet| {
        fields
            .words
            .get(&facet)
            .is_some_and(|words| words.contains_key(word))
    };
    if word.parse::<Date>().is_ok() {
        return Ok("date");
    }
    if house(Facet::Media) || fields.media().contains(&slug(word)) {
        return Ok("media");
    }
    if house(Facet::Regions) || Region::all(word).is_ok() {
        return Ok("region");
    }
    if ACTIONS.contains(&word) {
        return Ok("action");
    }
    if word.starts_with(|c: char| c.is_ascii_digit()) && word.contains(['-', '.', '/']) {
        return Err(format!("{word:?} is no date; write it as 2027-06-30"));
    }
    Err(format!(
        "{word:?} is no date (2027-06-30), region (AT, DE-BY, 150, EU, world), medium ({}) or action ({}); name what it is, as in `purpose={word}`",
        fields.media().join(", "),
        ACTIONS.join(", ")
    ))
}

impl Policy {
    /// Whether `wanted` is allowed.
    pub fn allows(&self, wanted: &Use) -> Answer {
        let answer = |verdict, rule: Option<String>, because: String, duties: &[String]| Answer {
            verdict,
            rule,
            because,
            duties: duties.to_vec(),
        };
        let named = |kind: &str, rule: &Rule| {
            let licence = rule.licence.as_ref();
            let licence = licence.map_or_else(String::new, |name| format!(" ({name})"));
            Some(format!("{kind}{licence}: {}", rule.words()))
        };
        let mut doubt: Option<Answer> = None;
        for rule in self
            .prohibitions
            .iter()
            .filter(|rule| rule.covers(&wanted.action))
        {
            let (holds, why) = rule.holds(wanted);
            match holds {
                Some(true) => {
                    let because = match self.status.filter(|status| !status.permits()) {
                        Some(status) if rule.action == "use" => {
                            format!("the rights are {}", status.as_str())
                        }
                        _ => "it is forbidden".to_owned(),
                    };
                    let rule = named("prohibition", rule);
                    return answer(Verdict::NotAllowed, rule, because, &[]);
                }
                Some(false) => {}
                None => {
                    doubt = Some(answer(
                        Verdict::Unknown,
                        named("prohibition", rule),
                        why,
                        &[],
                    ));
                }
            }
        }
        let (mut refused, mut maybe): (Option<Answer>, Option<Answer>) = (None, None);
        let covering = self
            .permissions
            .iter()
            .filter(|rule| rule.covers(&wanted.action));
        for rule in covering.clone() {
            let (holds, why) = rule.holds(wanted);
            let rule_named = named("permission", rule);
            match holds {
                Some(true) => {
                    // What may be forbidden is not allowed by any of them.
                    if let Some(doubt) = doubt {
                        return doubt;
                    }
                    if rule.duties.iter().all(|duty| duty != "obtainConsent") {
                        let because = "all its conditions hold".to_owned();
                        return answer(Verdict::Allowed, rule_named, because, &rule.duties);
                    }
                    let because = "consent has to be obtained first".to_owned();
                    let consent = answer(Verdict::Unknown, rule_named, because, &rule.duties);
                    maybe.get_or_insert(consent);
                }
                Some(false) => {
                    refused.get_or_insert(answer(Verdict::NotAllowed, rule_named, why, &[]));
                }
                None => {
                    maybe.get_or_insert(answer(Verdict::Unknown, rule_named, why, &[]));
                }
            }
        }
        // A doubtful prohibition of what nothing permits is no doubt.
        let mut found = maybe.or(refused).unwrap_or_else(|| {
            let because = "nothing permits it".to_owned();
            answer(Verdict::NotAllowed, None, because, &[])
        });
        let several = covering.count();
        if several > 1 && found.verdict == Verdict::NotAllowed {
            found
                .because
                .push_str(&format!("; none of the {several} licences allows it"));
        }
        found
    }
}

impl Rule {
    /// Whether it is about the action. Every action is a kind of use.
    fn covers(&self, action: &str) -> bool {
        let own = self.action.rsplit(['/', ':']).next().unwrap_or_default();
        own == action || own == "use"
    }

    /// Whether all its conditions hold, and otherwise which does not, or cannot be told.
    fn holds(&self, wanted: &Use) -> (Holds, String) {
        let mut doubt = None;
        for one in &self.constraints {
            match one.holds(wanted) {
                Some(true) => {}
                Some(false) => return (Some(false), format!("it asks for {}", one.words())),
                None => {
                    doubt.get_or_insert_with(|| {
                        format!("it cannot be told whether {} holds", one.words())
                    });
                }
            }
        }
        match doubt {
            None => (Some(true), String::new()),
            Some(why) => (None, why),
        }
    }
}

impl Constraint {
    fn holds(&self, wanted: &Use) -> Holds {
        match (self.left.as_str(), &self.right) {
            ("dateTime", Operand::Day(day)) => compare(&self.operator, &wanted.day, day),
            ("count", Operand::Number(most)) => compare(&self.operator, &wanted.count?, most),
            ("spatial", Operand::Iris(iris)) => {
                let regions: Option<Vec<Region>> = iris
                    .iter()
                    .map(|iri| region_of(iri)?.parse().ok())
                    .collect();
                let regions = regions?;
                let asked = wanted.regions.as_slice();
                if asked.is_empty() {
                    return None;
                }
                match self.operator.as_str() {
                    "isAnyOf" | "eq" | "isPartOf" => {
                        Some(asked.iter().all(|region| region.is_within(&regions)))
                    }
                    "isNoneOf" | "neq" => Some(!asked.iter().any(|region| region.meets(&regions))),
                    _ => None,
                }
            }
            ("media", Operand::Iris(iris)) => {
                let media: Option<Vec<&str>> = iris.iter().map(|iri| medium_of(iri)).collect();
                among(&self.operator, wanted.medium.as_deref()?, &media?)
            }
            (left, Operand::Texts(texts)) => {
                let mut limits = wanted.limits.iter();
                let (_, asked) = limits.find(|(facet, _)| facet.as_str() == left)?;
                let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
                among(&self.operator, asked, &texts)
            }
            _ => None,
        }
    }
}

fn compare<T: Ord>(operator: &str, left: &T, right: &T) -> Holds {
    Some(match operator {
        "eq" => left == right,
        "neq" => left != right,
        "gt" => left > right,
        "gteq" => left >= right,
        "lt" => left < right,
        "lteq" => left <= right,
        _ => return None,
    })
}

fn among(operator: &str, asked: &str, all: &[&str]) -> Holds {
    let is_in = all.contains(&asked);
    match operator {
        "isAnyOf" | "eq" => Some(is_in),
        "isNoneOf" | "neq" => Some(!is_in),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::super::Licensed;
    use super::super::terms::tests::{house, read};
    use super::*;

    fn policy(values: Value) -> Policy {
        let (terms, problems) = read(values);
        assert_eq!(problems, []);
        Policy::of("uid".into(), "target", &[Licensed::only(terms)], Vec::new())
    }

    fn asked(text: &str) -> Result<Use, String> {
        Use::parse(text, &house(), "2026-06-01".parse().unwrap())
    }

    fn answer(policy: &Policy, text: &str) -> Answer {
        policy.allows(&asked(text).unwrap())
    }

    #[test]
    fn the_rule_that_decides_is_named() {
        let policy = policy(json!({
            "status": ["restricted"], "begins": ["2026-01-01"], "ends": ["2026-12-31"],
            "regions": ["DACH"], "excluded": ["DE-BY"], "media": ["web", "tv"],
            "restrictions": ["modify"], "duties": ["attribute"],
        }));
        for (text, verdict, because) in [
            (
                "web, AT, 2026-07-01",
                Verdict::Allowed,
                "all its conditions hold",
            ),
            ("AT, web", Verdict::Allowed, "all"),
            (
                "web, AT, 2027-07-01",
                Verdict::NotAllowed,
                "date until 2026-12-31",
            ),
            (
                "web, AT, 2025-07-01",
                Verdict::NotAllowed,
                "date from 2026-01-01",
            ),
            ("web, FR", Verdict::NotAllowed, "region one of AT, CH, DE"),
            ("web, DE", Verdict::NotAllowed, "region none of DE-BY"),
            ("web, DE-BE", Verdict::Allowed, "all"),
            ("cinema, AT", Verdict::NotAllowed, "media one of tv, web"),
            ("web, AT, modify", Verdict::NotAllowed, "it is forbidden"),
            ("web, DACH", Verdict::NotAllowed, "region none of DE-BY"),
            ("AT", Verdict::Unknown, "cannot be told whether media"),
            ("web", Verdict::Unknown, "cannot be told whether region"),
        ] {
            let answer = answer(&policy, text);
            assert_eq!(answer.verdict, verdict, "{text}: {answer:?}");
            assert!(answer.because.contains(because), "{text}: {answer:?}");
        }
        let allowed = answer(&policy, "web, AT");
        assert_eq!(allowed.duties, ["attribute"]);
        assert!(
            allowed
                .rule
                .unwrap()
                .starts_with("permission: use when date from")
        );
    }

    #[test]
    fn without_a_permission_the_answer_is_no() {
        let pending = answer(&policy(json!({"status": ["pending"]})), "web, AT");
        assert_eq!(pending.verdict, Verdict::NotAllowed);
        assert_eq!(pending.because, "the rights are pending");
        let nothing = Policy::default().allows(&asked("web").unwrap());
        assert_eq!(nothing.verdict, Verdict::NotAllowed);
        assert_eq!(nothing.rule, None);
    }

    #[test]
    fn what_is_cleared_without_limits_is_allowed_and_consent_has_to_be_asked_for() {
        let free = policy(json!({"status": ["cleared"]}));
        assert_eq!(answer(&free, "").verdict, Verdict::Allowed);
        let consent = policy(json!({"status": ["cleared"], "duties": ["obtainConsent"]}));
        let answer = answer(&consent, "web, AT");
        assert_eq!(answer.verdict, Verdict::Unknown);
        assert!(answer.because.contains("consent"));
    }

    #[test]
    fn counts_and_purposes_are_compared_when_they_are_given() {
        let policy = policy(json!({"status": ["cleared"], "uses": ["2"], "purpose": ["launch"]}));
        for (text, verdict) in [
            ("count=2, purpose=launch", Verdict::Allowed),
            ("count=3, purpose=launch", Verdict::NotAllowed),
            ("count=1", Verdict::Unknown),
            ("count=1, purpose=other", Verdict::NotAllowed),
        ] {
            assert_eq!(answer(&policy, text).verdict, verdict, "{text}");
        }
    }

    #[test]
    fn an_operand_of_another_kind_is_never_a_yes() {
        let text = json!({
            "@type": "Set", "permission": [{"action": "use", "target": "t", "constraint": [
                {"leftOperand": "resolution", "operator": "lteq", "rightOperand": 1200}]}],
        });
        let policy = Policy::parse(text.to_string().as_bytes()).unwrap();
        assert_eq!(answer(&policy, "web, AT").verdict, Verdict::Unknown);
        // What a doubtful prohibition forbids is not permitted by another rule.
        let text = json!({
            "@type": "Set", "permission": [{"action": "use", "target": "t"}],
            "prohibition": [{"action": "use", "target": "t", "constraint": [
                {"leftOperand": "event", "operator": "eq", "rightOperand": {"@id": "urn:x"}}]}],
        });
        let policy = Policy::parse(text.to_string().as_bytes()).unwrap();
        assert_eq!(answer(&policy, "web").verdict, Verdict::Unknown);
    }

    #[test]
    fn words_that_are_not_understood_are_named() {
        for (text, part) in [
            ("pigeon", "\"pigeon\" is no date"),
            ("AT, DE", "region is given twice"),
            ("count=many", "no number"),
            ("date=2027", "no date"),
            ("media=pigeon", "no medium of tv"),
            ("colour=red", "none of date, region"),
            ("action=sneeze", "no action of use"),
        ] {
            let error = asked(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    proptest! {
        /// Whatever else is asked, a day outside the licence is never allowed.
        #[test]
        fn no_use_outside_the_term_is_allowed(
            day in 0i32..1000, media in prop::sample::select(vec!["tv", "web", "print"]),
            region in prop::sample::select(vec!["AT", "DE", "FR", "150", "world"]),
        ) {
            let policy = policy(json!({
                "status": ["cleared"], "begins": ["2026-01-01"], "ends": ["2026-12-31"],
                "regions": ["DACH"], "media": ["tv", "web"],
            }));
            let first: Date = "2025-06-01".parse().unwrap();
            let day = first.checked_add(jiff::Span::new().days(day)).unwrap();
            let inside = day >= "2026-01-01".parse().unwrap() && day <= "2026-12-31".parse().unwrap();
            let expected = inside && media != "print" && ["AT", "DE"].contains(&region);
            let answer = answer(&policy, &format!("{media}, {region}, {day}"));
            prop_assert_eq!(answer.verdict == Verdict::Allowed, expected);
            prop_assert!(answer.verdict != Verdict::Unknown);
        }

        #[test]
        fn any_text_is_a_use_or_an_error(text in ".{0,40}") {
            let _read = asked(&text);
            let _policy = Policy::parse(text.as_bytes());
        }
    }
}
