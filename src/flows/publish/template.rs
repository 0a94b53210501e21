//! Texts with placeholders: `{campaign}-{region}`.

use std::fmt;

/// A text with placeholders for an asset's values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Field(String),
}

/// Why a text is no template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} {1}; write a field's name between braces, as in \"{{campaign}}\"")]
pub struct BadTemplate(String, &'static str);

impl Template {
    /// Reads a text with placeholders.
    ///
    /// # Errors
    ///
    /// A brace that is alone, or a placeholder without a name.
    pub fn parse(text: &str) -> Result<Self, BadTemplate> {
        let bad = |what| BadTemplate(text.to_owned(), what);
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some(open) = rest.find(['{', '}']) {
            if rest[open..].starts_with('}') {
                return Err(bad("has a `}` without its `{`"));
            }
            let (before, behind) = rest.split_at(open);
            let (name, after) = behind[1..]
                .split_once('}')
                .ok_or_else(|| bad("has a `{` without its `}`"))?;
            let name = name.trim();
            if name.is_empty() || name.contains('{') {
                return Err(bad("has a placeholder without a name"));
            }
            if !before.is_empty() {
                pieces.push(Piece::Text(before.to_owned()));
            }
            pieces.push(Piece::Field(name.to_owned()));
            rest = after;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        Ok(Self(pieces))
    }

    /// The fields that it has placeholders for.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Field(name) => Some(name.as_str()),
            Piece::Text(_) => None,
        })
    }

    /// The field, when the text is one placeholder and nothing else.
    pub fn only_field(&self) -> Option<&str> {
        match self.0.as_slice() {
            [Piece::Field(name)] => Some(name),
            _ => None,
        }
    }

    /// The text with an asset's values.
    ///
    /// # Errors
    ///
    /// The field that has no value.
    pub fn fill(&self, value: impl Fn(&str) -> Option<String>) -> Result<String, &str> {
        let mut text = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(piece) => text.push_str(piece),
                Piece::Field(name) => {
                    let found = value(name).filter(|value| !value.trim().is_empty());
                    text.push_str(found.ok_or(name.as_str())?.trim());
                }
            }
        }
        Ok(text)
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|piece| match piece {
            Piece::Text(text) => f.write_str(text),
            Piece::Field(name) => write!(f, "{{{name}}}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(text: &str) -> Result<String, String> {
        let template = Template::parse(text).map_err(|error| error.to_string())?;
        assert_eq!(template.to_string(), text);
        let value = |name: &str| match name {
            "campaign" => Some(" Spring ".to_owned()),
            "empty" => Some(" ".to_owned()),
            _ => None,
        };
        template.fill(value).map_err(str::to_owned)
    }

    #[test]
    fn placeholders_take_values_and_the_rest_stays() {
        assert_eq!(fill("{campaign}").unwrap(), "Spring");
        assert_eq!(fill("A {campaign}-x").unwrap(), "A Spring-x");
        assert_eq!(fill("plain ä").unwrap(), "plain ä");
    }

    #[test]
    fn a_field_without_a_value_is_named() {
        assert_eq!(fill("{campaign}/{region}").unwrap_err(), "region");
        assert_eq!(fill("{empty}").unwrap_err(), "empty");
    }

    #[test]
    fn lonely_braces_are_refused() {
        for text in ["{campaign", "campaign}", "{}", "{ }", "{a{b}"] {
            assert!(
                Template::parse(text)
                    .unwrap_err()
                    .to_string()
                    .contains("braces")
            );
        }
    }
}
