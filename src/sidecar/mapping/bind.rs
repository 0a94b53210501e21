//! An asset's values as the values of categories.

use std::collections::BTreeMap;

use jiff::civil::{Date, DateTime};
use serde::Serialize;
use serde_json::Value;

use super::merge::Values;
use super::{Binding, BoundField, FieldKind, FieldMap, Truth};

/// Where a written value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// The source, as it is.
    Source,
    /// The source, translated by the value list.
    Translated,
    /// The mapping's default.
    Default,
    /// Nowhere: there is no value.
    Nothing,
}

/// What becomes of one declared field of an asset.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FieldOutcome {
    /// The declared field.
    pub field: String,
    /// The source's values.
    pub source: Vec<Value>,
    /// The values for the destination.
    pub written: Vec<Value>,
    /// Where they come from.
    pub origin: Origin,
    /// Why nothing can be written, for people.
    pub problem: Option<String>,
}

/// Everything that is to be written for an asset.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bound {
    /// Values by category id and attribute key.
    pub categories: BTreeMap<i64, BTreeMap<String, Value>>,
    /// What became of each field, in the order declared.
    pub fields: Vec<FieldOutcome>,
}

impl Bound {
    /// The fields that a person must see to.
    pub fn problems(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields.iter().filter_map(|outcome| {
            let problem = outcome.problem.as_deref()?;
            Some((outcome.field.as_str(), problem))
        })
    }
}

impl Binding {
    /// Turns an asset's values, by source field, into the values of categories. A field that has
    /// none is left as the destination has it, unless the mapping clears or fills it; one whose
    /// truth lies with the destination is filled at the source's word only by the other flows.
    pub fn bind(&self, source: &BTreeMap<String, Vec<Value>>) -> Bound {
        let mut bound = Bound::default();
        for field in &self.fields {
            let outcome = field.outcome(source);
            let category = bound.categories.entry(field.category).or_default();
            if outcome.problem.is_none() && field.map.truth != Truth::ContentServer {
                field.place(&outcome, category);
            }
            bound.fields.push(outcome);
        }
        bound
    }
}

impl FieldMap {
    /// The source's words for the destination's values.
    ///
    /// # Errors
    ///
    /// A value that the value list does not translate back.
    pub fn reversed(&self, values: &[String]) -> Result<Values, String> {
        let reverse = |word: &String| {
            if self.values.is_empty() {
                return Ok(word.clone());
            }
            let known = self.values.iter().find(|(_, theirs)| *theirs == word);
            known.map(|(ours, _)| ours.clone()).ok_or_else(|| {
                format!(
                    "has the value {word:?} in Content Server, which its value list does not translate back; add it to `map.fields.{}.values`",
                    self.name
                )
            })
        };
        values.iter().map(reverse).collect()
    }
}

impl BoundField {
    /// What becomes of the field of one asset.
    pub fn outcome(&self, source: &BTreeMap<String, Vec<Value>>) -> FieldOutcome {
        let found: Vec<Value> = source
            .get(&self.map.source)
            .into_iter()
            .flatten()
            .filter(|value| !is_empty(value))
            .cloned()
            .collect();
        let mut outcome = FieldOutcome {
            field: self.map.name.clone(),
            written: Vec::new(),
            origin: Origin::Nothing,
            problem: None,
            source: found,
        };
        let (words, origin) = self.words(&outcome.source);
        outcome.origin = origin;
        for word in words {
            match word.and_then(|word| self.value(&word)) {
                Ok(value) if outcome.written.contains(&value) => {}
                Ok(value) => outcome.written.push(value),
                Err(problem) => {
                    outcome.problem = Some(problem);
                    outcome.written.clear();
                    return outcome;
                }
            }
        }
        let needed = self.map.required || self.attribute.required;
        outcome.problem = if outcome.written.is_empty() && needed {
            Some(format!(
                "has no value, and {} asks for one; fill `{}` in iconik or give the mapping a default",
                if self.map.required {
                    "the mapping"
                } else {
                    "the category"
                },
                self.map.source
            ))
        } else {
            self.too_many(outcome.written.len())
        };
        if outcome.problem.is_some() {
            outcome.written.clear();
        }
        outcome
    }

    /// The words to write, before they are read as values.
    fn words(&self, source: &[Value]) -> (Vec<Result<String, String>>, Origin) {
        if source.is_empty() {
            let default = self.map.default.clone();
            let origin = default
                .as_ref()
                .map_or(Origin::Nothing, |_| Origin::Default);
            return (default.into_iter().map(Ok).collect(), origin);
        }
        let translated = !self.map.values.is_empty();
        let words = source.iter().map(|value| {
            let word = as_text(value);
            if !translated {
                return Ok(word);
            }
            let known = self.map.values.get(&word);
            known.cloned().ok_or_else(|| {
                let words: Vec<&str> = self.map.values.keys().map(String::as_str).collect();
                format!(
                    "has the value {word:?}, which its value list does not translate ({}); add it to `map.fields.{}.values`",
                    words.join(", "),
                    self.map.name
                )
            })
        });
        let origin = if translated {
            Origin::Translated
        } else {
            Origin::Source
        };
        (words.collect(), origin)
    }

    fn too_many(&self, values: usize) -> Option<String> {
        let rows = match &self.attribute.set {
            Some(set) => set.rows.unwrap_or(u64::MAX),
            None if self.attribute.multiple => u64::MAX,
            None => 1,
        };
        (values as u64 > rows).then(|| {
            format!(
                "has {values} values, and the attribute {:?} holds {rows}",
                self.attribute.name
            )
        })
    }

    /// One value in the attribute's type.
    fn value(&self, word: &str) -> Result<Value, String> {
        let word = word.trim();
        let expects = |what: &str| format!("has the value {word:?}, where {what} is expected");
        let value = match self.map.kind {
            FieldKind::Text => Value::from(word),
            FieldKind::Integer => {
                Value::from(word.parse::<i64>().map_err(|_| expects("a whole number"))?)
            }
            FieldKind::Real => {
                let number: f64 = word.parse().map_err(|_| expects("a number"))?;
                serde_json::Number::from_f64(number)
                    .map(Value::Number)
                    .ok_or_else(|| expects("a finite number"))?
            }
            FieldKind::Date => Value::from(day(word).ok_or_else(|| {
                expects("a date such as 2026-12-31")
            })?),
            FieldKind::Boolean => Value::from(match word.to_lowercase().as_str() {
                "true" | "yes" | "1" => true,
                "false" | "no" | "0" => false,
                _ => return Err(expects("true or false")),
            }),
            FieldKind::User => Value::from(word.parse::<i64>().map_err(|_| {
                expects("the id of a user or group; translate names with the mapping's value list, where")
            })?),
        };
        // A text attribute holds every kind as it is written.
        let value = match value {
            Value::String(text) => Value::String(text),
            other if self.attribute.kind == "String" => Value::String(as_text(&other)),
            other => other,
        };
        if let (Value::String(text), Some(most)) = (&value, self.attribute.max_length)
            && text.chars().count() as u64 > most
        {
            return Err(format!(
                "has a value of {} characters, and the attribute {:?} holds {most}",
                text.chars().count(),
                self.attribute.name
            ));
        }
        let options = &self.attribute.options;
        if !options.is_empty() && !options.contains(&as_text(&value)) {
            return Err(format!(
                "has the value {word:?}, which is not in the attribute's list ({}); translate it in `map.fields.{}.values`",
                options.join(", "),
                self.map.name
            ));
        }
        Ok(value)
    }

    /// Puts the values under the attribute's key, each in a row of its own in a set.
    fn place(&self, outcome: &FieldOutcome, values: &mut BTreeMap<String, Value>) {
        if !outcome.written.is_empty() {
            values.extend(self.keyed(&outcome.written));
        }
    }

    /// Values by attribute key, as the category takes them; no values empty the attribute.
    pub fn keyed(&self, values: &[Value]) -> Vec<(String, Value)> {
        let (category, id) = (self.category, self.attribute.id);
        let many = || Value::Array(values.to_vec());
        let one = |value: Option<&Value>| value.cloned().unwrap_or(Value::Null);
        match &self.attribute.set {
            Some(set) if self.attribute.multiple => {
                vec![(format!("{category}_{}_1_{id}", set.id), many())]
            }
            Some(set) => (0..values.len().max(1))
                .map(|row| {
                    let key = format!("{category}_{}_{}_{id}", set.id, row + 1);
                    (key, one(values.get(row)))
                })
                .collect(),
            None if self.attribute.multiple => vec![(format!("{category}_{id}"), many())],
            None => vec![(format!("{category}_{id}"), one(values.first()))],
        }
    }

    /// The values that a category on a node has for this field, in the spelling in which both
    /// sides are compared.
    pub fn read(&self, category: &BTreeMap<String, Value>) -> Values {
        let own = category.iter().filter(|(key, _)| self.fills(key));
        let values: Vec<Value> = own.map(|(_, value)| value.clone()).collect();
        self.comparable(&values)
    }

    /// Values in the spelling in which both sides are compared: texts, days without their
    /// midnight, several in a fixed order.
    pub fn comparable(&self, values: &[Value]) -> Values {
        fn flatten(value: &Value, into: &mut Values) {
            match value {
                Value::Array(values) => values.iter().for_each(|value| flatten(value, into)),
                value if is_empty(value) => {}
                value => {
                    let text = as_text(value);
                    into.push(text.strip_suffix("T00:00:00").unwrap_or(&text).to_owned());
                }
            }
        }
        let mut words = Values::new();
        values.iter().for_each(|value| flatten(value, &mut words));
        if self.attribute.multiple || self.attribute.set.is_some() {
            words.sort();
            words.dedup();
        }
        words
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        _ => false,
    }
}

fn as_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A day or a moment as the destination writes it: `2026-12-31T00:00:00`.
fn day(word: &str) -> Option<String> {
    let civil = word
        .parse::<jiff::Timestamp>()
        .map(|at| at.to_zoned(jiff::tz::TimeZone::UTC).datetime())
        .or_else(|_| word.parse::<DateTime>())
        .or_else(|_| word.parse::<Date>().map(|date| date.at(0, 0, 0, 0)))
        .ok()?;
    Some(civil.strftime("%Y-%m-%dT%H:%M:%S").to_string())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::tests::{category, field};
    use super::super::{FieldMap, resolve};
    use super::*;

    fn bind(fields: &[FieldMap], source: &Value) -> Bound {
        let source: BTreeMap<String, Vec<Value>> = serde_json::from_value(source.clone()).unwrap();
        resolve(fields, &[category()]).unwrap().bind(&source)
    }

    #[test]
    fn each_type_is_written_as_the_destination_writes_it() {
        let mut party = field("licensor", "Party", FieldKind::Text);
        party.set = Some("Rights".into());
        let fields = [
            field("campaign", "Campaign", FieldKind::Text),
            field("expiry", "Expiry", FieldKind::Date),
            field("region", "Region", FieldKind::Text),
            field("count", "Count", FieldKind::Integer),
            field("owner", "Owner", FieldKind::User),
            party,
        ];
        let source = json!({
            "campaign": ["Spring"], "expiry": ["2026-12-31T23:30:00Z"], "region": ["DE", "AT", "DE"],
            "count": [7], "owner": ["1000"], "licensor": ["Agency", "Label"],
        });
        let bound = bind(&fields, &source);
        assert_eq!(bound.problems().count(), 0);
        assert_eq!(
            json!(bound.categories[&900]),
            json!({
                "900_2": "Spring", "900_3": "2026-12-31T23:30:00", "900_4": ["DE", "AT"],
                "900_5": 7, "900_6": 1000, "900_8_1_2": "Agency", "900_8_2_2": "Label",
            })
        );
    }

    #[test]
    fn a_list_translates_and_refuses_what_it_does_not_know() {
        let mut region = field("region", "Region", FieldKind::Text);
        region.values = BTreeMap::from([
            ("Germany".into(), "DE".into()),
            ("Austria".into(), "AT".into()),
        ]);
        let known = bind(&[region.clone()], &json!({"region": ["Austria"]}));
        assert_eq!(known.fields[0].written, [json!("AT")]);
        assert_eq!(known.fields[0].origin, Origin::Translated);
        let unknown = bind(&[region], &json!({"region": ["Austria", "Spain"]}));
        let (name, why) = unknown.problems().next().unwrap();
        assert!(name == "region" && why.contains("\"Spain\"") && why.contains("map.fields.region"));
        assert!(unknown.categories[&900].is_empty(), "not half of it");
    }

    #[test]
    fn what_is_missing_takes_the_default_or_is_said() {
        let mut campaign = field("campaign", "Campaign", FieldKind::Text);
        campaign.required = true;
        let empty = json!({"campaign": [" ", null]});
        let missing = bind(&[campaign.clone()], &empty);
        assert!(
            missing
                .problems()
                .next()
                .unwrap()
                .1
                .contains("has no value")
        );
        campaign.default = Some("General".into());
        let filled = bind(&[campaign], &empty);
        assert_eq!(json!(filled.categories[&900]), json!({"900_2": "General"}));
        assert_eq!(filled.fields[0].origin, Origin::Default);
    }

    #[test]
    fn values_that_do_not_fit_are_said_with_their_limit() {
        let said = |field: FieldMap, source: Value| {
            let bound = bind(&[field], &source);
            bound
                .problems()
                .next()
                .map(|(_, why)| why.to_owned())
                .unwrap_or_default()
        };
        let text = |name: &str| field(name, name, FieldKind::Text);
        assert!(said(text("Campaign"), json!({"Campaign": ["01234567890"]})).contains("holds 10"));
        assert!(said(text("Campaign"), json!({"Campaign": ["a", "b"]})).contains("has 2 values"));
        assert!(said(text("Region"), json!({"Region": ["FR"]})).contains("DE, AT"));
        let date = field("Expiry", "Expiry", FieldKind::Date);
        assert!(said(date, json!({"Expiry": ["soon"]})).contains("2026-12-31"));
        let count = field("Count", "Count", FieldKind::Integer);
        assert!(said(count, json!({"Count": ["7.5"]})).contains("whole number"));
    }

    #[test]
    fn what_the_destination_owns_is_shown_and_not_written() {
        let mut campaign = field("campaign", "Campaign", FieldKind::Text);
        campaign.truth = Truth::ContentServer;
        let bound = bind(&[campaign], &json!({"campaign": ["Spring"]}));
        assert_eq!(bound.fields[0].written, [json!("Spring")]);
        assert!(bound.categories[&900].is_empty());
    }

    proptest! {
        #[test]
        fn no_value_makes_it_panic_and_a_written_one_always_fits(word in ".{0,40}") {
            for kind in FieldKind::ALL {
                let attribute = match kind {
                    FieldKind::Text => "Campaign",
                    FieldKind::Date => "Expiry",
                    FieldKind::Integer => "Count",
                    FieldKind::User => "Owner",
                    FieldKind::Real | FieldKind::Boolean => continue,
                };
                let bound = bind(&[field("f", attribute, kind)], &json!({"f": [word]}));
                for value in bound.categories[&900].values() {
                    if let Value::String(text) = value {
                        prop_assert!(attribute != "Campaign" || text.chars().count() <= 10);
                    } else {
                        prop_assert!(value.is_i64());
                    }
                }
            }
        }
    }
}
