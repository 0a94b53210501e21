//! How iconik's answers are read: every field may be missing, null or of a neighbouring type.
//!
//! Generated clients of this API broke on dates, nulls and new enum values. Here a field that
//! cannot be understood is simply absent; only an object without an id is an error.

use std::fmt;

use jiff::Timestamp;
use jiff::civil::DateTime;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// Reads any of the date forms in use: with an offset, without one (then UTC), with a blank in
/// place of the `T`, or a day alone.
pub(super) fn parse_date(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    if let Ok(at) = text.parse::<Timestamp>() {
        return Some(at);
    }
    let civil: DateTime = text.parse().ok()?;
    civil
        .to_zoned(jiff::tz::TimeZone::UTC)
        .ok()
        .map(|zoned| zoned.timestamp())
}

pub(super) fn date<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Timestamp>, D::Error> {
    Ok(Value::deserialize(d)?.as_str().and_then(parse_date))
}

pub(super) fn text<'de, D: Deserializer<'de>>(d: D) -> Result<Option<String>, D::Error> {
    Ok(scalar(&Value::deserialize(d)?))
}

/// A scalar as text; `None` for null, lists and objects.
pub(super) fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

pub(super) fn number<'de, D: Deserializer<'de>>(d: D) -> Result<Option<i64>, D::Error> {
    Ok(match Value::deserialize(d)? {
        Value::Number(number) => number.as_i64().or_else(|| {
            let whole = whole(&number)?;
            i64::try_from(whole).ok()
        }),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    })
}

/// A size or count; negative ones are absent.
pub(super) fn size<'de, D: Deserializer<'de>>(d: D) -> Result<Option<u64>, D::Error> {
    Ok(match Value::deserialize(d)? {
        Value::Number(number) => number.as_u64().or_else(|| whole(&number)),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    })
}

/// A whole number that was written with a decimal point, as some languages write every number.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "whole, not negative and small enough to be exact"
)]
fn whole(number: &serde_json::Number) -> Option<u64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let value = number.as_f64()?;
    ((0.0..EXACT).contains(&value) && value.fract() == 0.0).then_some(value as u64)
}

pub(super) fn flag<'de, D: Deserializer<'de>>(d: D) -> Result<bool, D::Error> {
    Ok(match Value::deserialize(d)? {
        Value::Bool(flag) => flag,
        Value::String(text) => text.eq_ignore_ascii_case("true"),
        _ => false,
    })
}

/// A list whose nulls are left out; anything but a list is an empty one. A row that cannot be
/// read is an error: it must not go missing unseen.
pub(super) fn list<'de, D, T>(d: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    let Value::Array(items) = Value::deserialize(d)? else {
        return Ok(Vec::new());
    };
    items
        .into_iter()
        .filter(|item| !item.is_null())
        .map(|item| T::deserialize(item).map_err(serde::de::Error::custom))
        .collect()
}

/// Texts of a list, scalars of other types included.
pub(super) fn texts<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<String>, D::Error> {
    Ok(match Value::deserialize(d)? {
        Value::Array(items) => items.iter().filter_map(scalar).collect(),
        other => scalar(&other).into_iter().collect(),
    })
}

/// An id that must be there: without it the object cannot be named again.
pub(super) fn id<'de, D: Deserializer<'de>, T: From<String>>(d: D) -> Result<T, D::Error> {
    match scalar(&Value::deserialize(d)?) {
        Some(id) if !id.is_empty() => Ok(T::from(id)),
        _ => Err(serde::de::Error::custom("an id is missing")),
    }
}

/// An id that may be missing, null or empty.
pub(super) fn maybe_id<'de, D, T>(d: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: From<String>,
{
    Ok(scalar(&Value::deserialize(d)?)
        .filter(|id| !id.is_empty())
        .map(T::from))
}

/// A word of iconik's own vocabulary; words it adds later are kept as they came.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
            /// A word this version of longhaul does not know; empty when there was none.
            Other(String),
        }

        impl $name {
            /// The word as iconik writes it.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $word,)+
                    Self::Other(word) => word,
                }
            }
        }

        impl From<&str> for $name {
            fn from(word: &str) -> Self {
                match word {
                    $($word => Self::$variant,)+
                    other => Self::Other(other.to_owned()),
                }
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self::Other(String::new())
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let value = serde_json::Value::deserialize(d)?;
                Ok(value.as_str().map_or_else(Self::default, Self::from))
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.serialize_str(self.as_str())
            }
        }
    };
}
pub(super) use words;

/// A person as iconik's `*_info` members name one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Person {
    /// Their user id.
    #[serde(deserialize_with = "text")]
    pub id: Option<String>,
    /// Mail address, when the token's user may see it.
    #[serde(deserialize_with = "text")]
    pub email: Option<String>,
    /// First name.
    #[serde(deserialize_with = "text")]
    pub first_name: Option<String>,
    /// Last name.
    #[serde(deserialize_with = "text")]
    pub last_name: Option<String>,
}

impl fmt::Display for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = [self.first_name.as_deref(), self.last_name.as_deref()];
        let name: Vec<&str> = names
            .into_iter()
            .flatten()
            .filter(|n| !n.is_empty())
            .collect();
        if name.is_empty() {
            f.write_str(
                self.email
                    .as_deref()
                    .or(self.id.as_deref())
                    .unwrap_or("unknown"),
            )
        } else {
            f.write_str(&name.join(" "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::iconik::FileStatus;

    #[test]
    fn every_date_form_in_use_is_read_and_without_a_zone_is_utc() {
        let at = |text: &str| parse_date(text).map(|at| at.to_string());
        let whole = Some("2022-04-29T00:22:10.316685Z".to_owned());
        assert_eq!(at("2022-04-29T00:22:10.316685+00:00"), whole);
        assert_eq!(at("2022-04-29T02:22:10.316685+02:00"), whole);
        assert_eq!(at("2022-04-29T00:22:10.316685"), whole);
        assert_eq!(at("2022-04-29 00:22:10.316685"), whole);
        assert_eq!(
            at("2022-04-29T00:22:10Z").as_deref(),
            Some("2022-04-29T00:22:10Z")
        );
        assert_eq!(at("2022-04-29").as_deref(), Some("2022-04-29T00:00:00Z"));
        for odd in ["", "soon", "2022-13-01T00:00:00", "0"] {
            assert_eq!(at(odd), None, "{odd:?}");
        }
    }

    #[derive(Deserialize, Default, Debug)]
    #[serde(default)]
    struct Row {
        #[serde(deserialize_with = "size")]
        size: Option<u64>,
        #[serde(deserialize_with = "date")]
        at: Option<Timestamp>,
        #[serde(deserialize_with = "text")]
        name: Option<String>,
        #[serde(deserialize_with = "flag")]
        on: bool,
        #[serde(deserialize_with = "list")]
        people: Vec<Person>,
        status: FileStatus,
    }

    #[test]
    fn a_whole_number_with_a_decimal_point_is_that_number_and_others_are_none() {
        let size = |value: serde_json::Value| -> Option<u64> {
            serde_json::from_value::<Row>(serde_json::json!({ "size": value }))
                .unwrap()
                .size
        };
        assert_eq!(size(serde_json::json!(264_032_992.0)), Some(264_032_992));
        assert_eq!(size(serde_json::json!("17")), Some(17));
        for odd in [1.5, -1.0, 1e300] {
            assert_eq!(size(serde_json::json!(odd)), None, "{odd}");
        }
    }

    #[test]
    fn odd_values_are_absent_and_never_an_error() {
        for odd in [
            "null", "{}", "[]", "[null]", "-1", "\"x\"", "true", "1e300", "\"\"",
        ] {
            let text = format!(
                r#"{{"size":{odd},"at":{odd},"name":{odd},"on":{odd},"people":{odd},"status":{odd}}}"#
            );
            let row: Row = serde_json::from_str(&text).unwrap();
            assert_eq!(row.size, None, "{odd}");
            assert_eq!(row.at, None, "{odd}");
        }
        let row: Row = serde_json::from_str(
            r#"{"size":"264032992","on":"True","status":"OPEN","people":[null,{"first_name":"Ann"}],"new":1}"#,
        )
        .unwrap();
        assert_eq!(row.size, Some(264_032_992));
        assert!(row.on);
        assert_eq!(row.status, FileStatus::Open);
        assert_eq!(row.people[0].to_string(), "Ann");
        let row: Row = serde_json::from_str(r#"{"status":"VIOLET"}"#).unwrap();
        assert_eq!(row.status.as_str(), "VIOLET");
        assert_eq!(row.name, None);
    }
}
