//! The arguments of one call: query, form fields and the JSON of the `body` field, merged.
//!
//! Numbers may be texts, booleans any case, lists repeated keys or JSON arrays. The reading
//! functions give the server's own refusals for what they cannot read.

use std::collections::BTreeMap;

use serde_json::Value;

use super::answer::Refusal;

/// Arguments by name.
#[derive(Clone, Debug, Default)]
pub(super) struct Arguments(BTreeMap<String, Value>);

impl Arguments {
    /// The arguments of a query string or url-encoded form.
    pub(super) fn from_form(text: &[u8]) -> Self {
        let mut arguments = Self::default();
        for (key, value) in url::form_urlencoded::parse(text) {
            arguments.push(&key, value.into_owned());
        }
        arguments
    }

    /// Adds one field; a repeated key becomes a list.
    pub(super) fn push(&mut self, key: &str, value: String) {
        let value = Value::String(value);
        match self.0.get_mut(key) {
            None => {
                self.0.insert(key.to_owned(), value);
            }
            Some(Value::Array(list)) => list.push(value),
            Some(single) => *single = Value::Array(vec![single.take(), value]),
        }
    }

    /// Takes over all of `other`; what both name, `other` decides.
    pub(super) fn merge(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Takes over the members of a JSON object.
    ///
    /// # Errors
    ///
    /// `Body parameter is invalid` for any other JSON and for what is no JSON.
    pub(super) fn merge_json(&mut self, text: &str) -> Result<(), Refusal> {
        match serde_json::from_str(text) {
            Ok(Value::Object(members)) => {
                self.0.extend(members);
                Ok(())
            }
            _ => Err(Refusal::bad("Body parameter is invalid")),
        }
    }

    /// Resolves the field named `body`.
    ///
    /// # Errors
    ///
    /// As [`merge_json`](Self::merge_json).
    pub(super) fn unpack(&mut self) -> Result<(), Refusal> {
        match self.0.remove("body") {
            None => Ok(()),
            Some(Value::String(text)) => self.merge_json(&text),
            Some(Value::Object(members)) => {
                self.0.extend(members);
                Ok(())
            }
            Some(_) => Err(Refusal::bad("Body parameter is invalid")),
        }
    }

    /// Whether nothing was given.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the name was given at all, with or without a value.
    pub(super) fn has(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    /// The raw value.
    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key)
    }

    /// All arguments in the order of their names.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// A text; numbers and booleans as they are written. Of a list the last.
    pub(super) fn text(&self, key: &str) -> Option<String> {
        match self.0.get(key)? {
            Value::Array(list) => list.last().and_then(as_text),
            value => as_text(value),
        }
    }

    /// A whole number.
    ///
    /// # Errors
    ///
    /// `Invalid datatype specified for argument '…'` for anything else that is not empty.
    pub(super) fn number(&self, key: &str) -> Result<Option<i64>, Refusal> {
        match self.0.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => match as_number(value) {
                Some(number) => Ok(Some(number)),
                None if as_text(value).is_some_and(|text| text.trim().is_empty()) => Ok(None),
                None => Err(Refusal::datatype(key)),
            },
        }
    }

    /// A whole number that has to be there.
    ///
    /// # Errors
    ///
    /// `Missing required parameter '…'`, or as [`number`](Self::number).
    pub(super) fn need_number(&self, key: &str) -> Result<i64, Refusal> {
        self.number(key)?.ok_or_else(|| Refusal::missing(key))
    }

    /// A whole number that has to be there, as the forms and some others ask for it.
    ///
    /// # Errors
    ///
    /// `Argument '…' is required`, or as [`number`](Self::number).
    pub(super) fn required(&self, key: &str) -> Result<i64, Refusal> {
        let missing = || Refusal::bad(format!("Argument '{key}' is required"));
        self.number(key)?.ok_or_else(missing)
    }

    /// A yes or no; a name without a value is a yes.
    ///
    /// # Errors
    ///
    /// `Invalid datatype specified for argument '…'` for anything else.
    pub(super) fn flag(&self, key: &str) -> Result<Option<bool>, Refusal> {
        match self.0.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => match as_text(value)
                .map(|t| t.trim().to_ascii_lowercase())
                .as_deref()
            {
                Some("true" | "1" | "") => Ok(Some(true)),
                Some("false" | "0") => Ok(Some(false)),
                _ => Err(Refusal::datatype(key)),
            },
        }
    }

    /// Every value given under that name, as texts: repeated keys and JSON arrays alike.
    pub(super) fn texts(&self, key: &str) -> Vec<String> {
        match self.0.get(key) {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(list)) => list.iter().filter_map(as_text).collect(),
            Some(value) => as_text(value).into_iter().collect(),
        }
    }

    /// A list of whole numbers: repeated keys, a JSON array (also as a text), or joined by
    /// commas. `None` when the name is absent.
    ///
    /// # Errors
    ///
    /// `Invalid datatype specified for argument '…'` when an entry is no number.
    pub(super) fn numbers(&self, key: &str) -> Result<Option<Vec<i64>>, Refusal> {
        if !self.has(key) {
            return Ok(None);
        }
        let mut numbers = Vec::new();
        for text in self.texts(key) {
            let inner = text
                .trim()
                .trim_matches(|c| matches!(c, '[' | ']' | '{' | '}'));
            for piece in inner
                .split(',')
                .map(str::trim)
                .filter(|piece| !piece.is_empty())
            {
                numbers.push(piece.parse().map_err(|_| Refusal::datatype(key))?);
            }
        }
        Ok(Some(numbers))
    }

    /// A JSON object, given as one or as its text.
    pub(super) fn object(&self, key: &str) -> Option<serde_json::Map<String, Value>> {
        match self.0.get(key)? {
            Value::Object(members) => Some(members.clone()),
            Value::String(text) => serde_json::from_str(text).ok(),
            _ => None,
        }
    }
}

/// A scalar as text.
pub(super) fn as_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// A scalar as a whole number, texts included.
pub(super) fn as_number(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_field_decides_over_query_and_form() {
        let mut arguments = Arguments::from_form(b"type=0&name=query");
        arguments.merge(Arguments::from_form(
            b"name=form&body=%7B%22name%22%3A%22json%22%2C%22parent_id%22%3A%222000%22%7D",
        ));
        arguments.unpack().unwrap();
        assert_eq!(arguments.text("name").as_deref(), Some("json"));
        assert_eq!(arguments.number("parent_id").unwrap(), Some(2000));
        assert_eq!(arguments.number("type").unwrap(), Some(0));
        assert!(!arguments.has("body"));
    }

    #[test]
    fn lists_come_repeated_as_json_or_joined() {
        for form in ["ids=1&ids=2", "ids=1,2", "ids=[1,2]", "ids=%7B1,2%7D"] {
            let arguments = Arguments::from_form(form.as_bytes());
            assert_eq!(
                arguments.numbers("ids").unwrap(),
                Some(vec![1, 2]),
                "{form}"
            );
        }
        let mut arguments = Arguments::default();
        arguments.merge_json(r#"{"ids":[1,"2"]}"#).unwrap();
        assert_eq!(arguments.numbers("ids").unwrap(), Some(vec![1, 2]));
    }

    #[test]
    fn booleans_come_in_any_case_and_flags_without_a_value() {
        let arguments = Arguments::from_form(b"a=True&b=FALSE&metadata&c=maybe");
        assert_eq!(arguments.flag("a").unwrap(), Some(true));
        assert_eq!(arguments.flag("b").unwrap(), Some(false));
        assert_eq!(arguments.flag("metadata").unwrap(), Some(true));
        assert_eq!(arguments.flag("none").unwrap(), None);
        assert!(arguments.flag("c").is_err());
    }

    #[test]
    fn what_cannot_be_read_gets_the_servers_words() {
        let mut arguments = Arguments::from_form(b"parent_id=two&body=%5B1%5D");
        let error = arguments.number("parent_id").unwrap_err();
        assert_eq!(
            error.text(),
            "Invalid datatype specified for argument 'parent_id'"
        );
        assert_eq!(
            arguments.need_number("type").unwrap_err().text(),
            "Missing required parameter 'type'"
        );
        assert_eq!(
            arguments.unpack().unwrap_err().text(),
            "Body parameter is invalid"
        );
    }
}
