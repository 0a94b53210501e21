//! Values as they were written, before anyone says what they should be.
//!
//! A file has types, so `streams = "32"` there is an error; the environment and flags have only
//! text, so [`Raw::Word`] is read as whatever the setting needs.

use std::fmt;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A written value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Raw {
    /// Text from the environment, a flag or a default: not typed.
    Word(String),
    /// A TOML string.
    Text(String),
    /// A TOML integer.
    Integer(i64),
    /// A TOML boolean.
    Bool(bool),
    /// A TOML array.
    List(Vec<Located>),
    /// A TOML table, in the order written.
    Table(Vec<(String, Located)>),
    /// What no setting takes: a float, a date.
    Other(&'static str),
}

/// A written value and its line, from 1.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Located {
    pub(super) raw: Raw,
    pub(super) line: usize,
}

impl fmt::Display for Raw {
    /// As one would write it in the file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Word(text) => f.write_str(text),
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Integer(number) => write!(f, "{number}"),
            Self::Bool(flag) => write!(f, "{flag}"),
            Self::List(items) => {
                f.write_str("[")?;
                for (i, item) in items.iter().enumerate() {
                    let comma = if i == 0 { "" } else { ", " };
                    write!(f, "{comma}{}", item.raw)?;
                }
                f.write_str("]")
            }
            Self::Table(entries) => {
                f.write_str("{")?;
                for (i, (name, value)) in entries.iter().enumerate() {
                    let comma = if i == 0 { "" } else { "," };
                    write!(f, "{comma} {name} = {}", value.raw)?;
                }
                f.write_str(" }")
            }
            Self::Other(kind) => write!(f, "({kind})"),
        }
    }
}

impl Raw {
    /// What was found, for an error: kind and, where short, the value.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Word(text) | Self::Text(text) => {
                let shown: String = text.chars().take(60).collect();
                let more = if shown.len() < text.len() { "…" } else { "" };
                format!("the text \"{}{more}\"", shown.escape_debug())
            }
            Self::Integer(number) => format!("the number {number}"),
            Self::Bool(flag) => format!("the boolean {flag}"),
            Self::List(_) => "an array".to_owned(),
            Self::Table(_) => "a table".to_owned(),
            Self::Other(kind) => (*kind).to_owned(),
        }
    }

    /// The text, wherever it was written.
    pub(super) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Word(text) | Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// A place in a TOML text that is not TOML: line (from 1) and what was wrong, without the text
/// itself, which may be a secret.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SyntaxError {
    pub(super) line: usize,
    pub(super) message: String,
}

/// Reads a TOML document; all syntax errors at once.
pub(super) fn parse_document(text: &str) -> Result<Vec<(String, Located)>, Vec<SyntaxError>> {
    let (table, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        Ok(entries(table.get_ref(), text))
    } else {
        Err(errors
            .iter()
            .map(|error| SyntaxError {
                line: error.span().map_or(1, |span| line_of(text, span.start)),
                message: error.message().to_owned(),
            })
            .collect())
    }
}

/// Reads one TOML value, such as an inline table in an environment variable.
pub(super) fn parse_value(text: &str) -> Option<Raw> {
    let value = DeValue::parse(text).ok()?;
    Some(raw(value.get_ref(), text))
}

fn entries(table: &DeTable<'_>, text: &str) -> Vec<(String, Located)> {
    let mut entries: Vec<_> = table
        .iter()
        .map(|(name, value)| {
            let located = Located {
                raw: raw(value.get_ref(), text),
                // A table written by its header starts there; a value starts at its key.
                line: line_of(text, name.span().start),
            };
            (name.span().start, name.get_ref().to_string(), located)
        })
        .collect();
    entries.sort_by_key(|(start, ..)| *start);
    entries
        .into_iter()
        .map(|(_, name, located)| (name, located))
        .collect()
}

fn raw(value: &DeValue<'_>, text: &str) -> Raw {
    match value {
        DeValue::String(string) => Raw::Text(string.to_string()),
        DeValue::Integer(integer) => i64::from_str_radix(integer.as_str(), integer.radix())
            .map_or(Raw::Other("a number beyond 64 bits"), Raw::Integer),
        DeValue::Float(_) => Raw::Other("a number with a fraction"),
        DeValue::Boolean(flag) => Raw::Bool(*flag),
        DeValue::Datetime(_) => Raw::Other("a date or time"),
        DeValue::Array(items) => Raw::List(
            items
                .iter()
                .map(|item: &Spanned<DeValue<'_>>| Located {
                    raw: raw(item.get_ref(), text),
                    line: line_of(text, item.span().start),
                })
                .collect(),
        ),
        DeValue::Table(table) => Raw::Table(entries(table, text)),
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    let end = offset.min(text.len());
    1 + text.as_bytes()[..end]
        .iter()
        .filter(|byte| **byte == b'\n')
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_keep_their_types_and_lines() {
        let document = parse_document(
            "[source]\nstreams = 1_000\n\n[network]\nallow = [\n  \"10.0.0.0/8\",\n]\n",
        )
        .unwrap();
        let Raw::Table(source) = &document[0].1.raw else {
            panic!("{document:?}")
        };
        assert_eq!(
            (&source[0].0[..], &source[0].1.raw, source[0].1.line),
            ("streams", &Raw::Integer(1000), 2)
        );
        let Raw::Table(network) = &document[1].1.raw else {
            panic!("{document:?}")
        };
        let Raw::List(allow) = &network[0].1.raw else {
            panic!("{network:?}")
        };
        assert_eq!((network[0].1.line, allow[0].line), (5, 6));
    }

    #[test]
    fn every_syntax_error_has_its_line_and_no_text_of_the_file() {
        let errors = parse_document("[iconik]\ntoken = hunter2\nurl = \"x\"\napp_id = swordfish\n")
            .unwrap_err();
        let lines: Vec<_> = errors.iter().map(|error| error.line).collect();
        assert!(lines.contains(&2) && lines.contains(&4), "{errors:?}");
        let all = format!("{errors:?}");
        assert!(!all.contains("hunter2") && !all.contains("swordfish"));
    }

    #[test]
    fn inline_tables_are_read_from_one_variable() {
        let value = parse_value("{ \"a-b\" = \"/mnt\" }").unwrap();
        assert_eq!(value.to_string(), "{ a-b = \"/mnt\" }");
        assert_eq!(parse_value("{ a = "), None);
    }
}
