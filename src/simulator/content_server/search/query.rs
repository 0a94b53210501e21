//! Search texts: what they ask for, and whether something indexed answers.
//!
//! `OTName:"a b" and (OTSubType:144 or not master*)`: terms with or without a region, `and`, `or`,
//! `not` and parentheses. Words count whole; a star stands for the rest of one. A value is compared
//! after `<`, `>`, `<=`, `>=` or `=`.

use super::super::answer::Refusal;

/// What is asked for.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Query {
    All(Vec<Query>),
    Any(Vec<Query>),
    Not(Box<Query>),
    Term {
        /// Without one, the whole text is meant.
        region: Option<String>,
        how: How,
        value: String,
    },
}

/// How a value is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// Its words stand there one after the other.
    Has,
    Less,
    More,
    AtMost,
    AtLeast,
    Is,
}

/// How words are put together into a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Complex,
    AllWords,
    AnyWords,
    Phrase,
}

/// What a query is refused with that cannot be read.
pub(super) fn wrong() -> Refusal {
    Refusal::bad(
        "Error Evaluating Query, You have either not specified any search criterion at all, or one of your \
        Livelink Query Language statements is incorrect. Edit the query by clicking an option in at least \
        one list and/or correcting the statements that appear in the fields",
    )
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Open,
    Close,
    And,
    Or,
    Not,
    Region(String),
    Compare(How),
    Value(String),
}

/// The tokens of a text in the query language.
fn tokens(text: &str) -> Result<Vec<Token>, Refusal> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let taken = match first {
            '(' | ')' => {
                tokens.push(if first == '(' {
                    Token::Open
                } else {
                    Token::Close
                });
                1
            }
            '"' => {
                let inner = &rest[1..];
                let end = inner.find('"').ok_or_else(wrong)?;
                tokens.push(Token::Value(inner[..end].to_owned()));
                end + 2
            }
            '<' | '>' | '=' => {
                let both = rest[1..].starts_with('=');
                tokens.push(Token::Compare(match (first, both) {
                    ('<', false) => How::Less,
                    ('<', true) => How::AtMost,
                    ('>', false) => How::More,
                    ('>', true) => How::AtLeast,
                    _ => How::Is,
                }));
                1 + usize::from(both)
            }
            '[' => {
                // `[QLREGION "OTName"]`, the long way to name a region.
                let end = rest.find(']').ok_or_else(wrong)?;
                let name = rest[1..end].split('"').nth(1).ok_or_else(wrong)?;
                tokens.push(Token::Region(name.to_owned()));
                end + 1
            }
            _ => {
                let ends = |c: char| c.is_whitespace() || "()\"<>=:".contains(c);
                let end = rest.find(ends).unwrap_or(rest.len());
                let word = &rest[..end];
                if rest[end..].starts_with(':') && !word.is_empty() {
                    tokens.push(Token::Region(word.to_owned()));
                    end + 1
                } else {
                    tokens.push(match word.to_ascii_lowercase().as_str() {
                        "and" => Token::And,
                        "or" => Token::Or,
                        "not" => Token::Not,
                        _ => Token::Value(word.to_owned()),
                    });
                    end.max(1)
                }
            }
        };
        rest = rest[taken..].trim_start();
    }
    Ok(tokens)
}

/// Deepest nesting of a query that is read.
const DEPTH: usize = 50;

struct Reader<'a> {
    tokens: std::iter::Peekable<std::slice::Iter<'a, Token>>,
}

impl Reader<'_> {
    fn any(&mut self, region: Option<&str>, depth: usize) -> Result<Query, Refusal> {
        let mut all = vec![self.all(region, depth)?];
        while self.tokens.next_if(|token| **token == Token::Or).is_some() {
            all.push(self.all(region, depth)?);
        }
        Ok(match all.len() {
            1 => all.remove(0),
            _ => Query::Any(all),
        })
    }

    fn all(&mut self, region: Option<&str>, depth: usize) -> Result<Query, Refusal> {
        let mut all = vec![self.one(region, depth)?];
        loop {
            match self.tokens.peek() {
                Some(Token::And) => drop(self.tokens.next()),
                // Terms beside each other belong together.
                None | Some(Token::Or | Token::Close) => break,
                Some(_) => {}
            }
            all.push(self.one(region, depth)?);
        }
        Ok(match all.len() {
            1 => all.remove(0),
            _ => Query::All(all),
        })
    }

    fn one(&mut self, region: Option<&str>, depth: usize) -> Result<Query, Refusal> {
        if depth > DEPTH {
            return Err(wrong());
        }
        match self.tokens.next() {
            Some(Token::Not) => Ok(Query::Not(Box::new(self.one(region, depth + 1)?))),
            Some(Token::Open) => {
                let inner = self.any(region, depth + 1)?;
                match self.tokens.next() {
                    Some(Token::Close) => Ok(inner),
                    _ => Err(wrong()),
                }
            }
            Some(Token::Region(name)) => self.one(Some(name), depth + 1),
            Some(Token::Compare(how)) => match self.tokens.next() {
                Some(Token::Value(value)) if region.is_some() => Ok(Query::Term {
                    region: region.map(str::to_owned),
                    how: *how,
                    value: value.clone(),
                }),
                _ => Err(wrong()),
            },
            Some(Token::Value(value)) => Ok(Query::Term {
                region: region.map(str::to_owned),
                how: How::Has,
                value: value.clone(),
            }),
            _ => Err(wrong()),
        }
    }
}

impl Query {
    /// Reads a text.
    ///
    /// # Errors
    ///
    /// An empty text, or one that is not of the language.
    pub(super) fn parse(text: &str, mode: Mode) -> Result<Self, Refusal> {
        let term = |value: &str| Self::Term {
            region: None,
            how: How::Has,
            value: value.to_owned(),
        };
        if words(text).is_empty() {
            return Err(wrong());
        }
        let parts = || text.split_whitespace().map(term).collect();
        Ok(match mode {
            Mode::AllWords => Self::All(parts()),
            Mode::AnyWords => Self::Any(parts()),
            Mode::Phrase => term(text.trim_matches('"')),
            Mode::Complex => {
                let tokens = tokens(text)?;
                let mut reader = Reader {
                    tokens: tokens.iter().peekable(),
                };
                let query = reader.any(None, 0)?;
                match reader.tokens.next() {
                    None => query,
                    Some(_) => return Err(wrong()),
                }
            }
        })
    }

    /// The same with a star before or behind every word: they only end or begin so.
    #[must_use]
    pub(super) fn widened(self, before: bool) -> Self {
        let all = |all: Vec<Self>| all.into_iter().map(|own| own.widened(before)).collect();
        match self {
            Self::All(own) => Self::All(all(own)),
            Self::Any(own) => Self::Any(all(own)),
            Self::Not(own) => Self::Not(Box::new(own.widened(before))),
            Self::Term { region, how, value } => {
                let words = words(&value).into_iter().map(|word| match before {
                    true => format!("*{word}"),
                    false => format!("{word}*"),
                });
                let value = match how {
                    How::Has => words.collect::<Vec<_>>().join(" "),
                    _ => value,
                };
                Self::Term { region, how, value }
            }
        }
    }

    /// Whether what is indexed answers; `indexed` gives the values of a region.
    pub(super) fn matches(&self, indexed: &dyn Fn(Option<&str>) -> Vec<String>) -> bool {
        match self {
            Self::All(all) => all.iter().all(|query| query.matches(indexed)),
            Self::Any(all) => all.iter().any(|query| query.matches(indexed)),
            Self::Not(query) => !query.matches(indexed),
            Self::Term { region, how, value } => {
                let values = indexed(region.as_deref());
                values.iter().any(|own| compares(own, *how, value))
            }
        }
    }
}

/// The words of a text, in small letters; a star belongs to its word.
fn words(text: &str) -> Vec<String> {
    let separates = |c: char| !c.is_alphanumeric() && c != '*';
    let words = text.split(separates).filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect()
}

/// Whether a word is the one looked for, which may end or begin with a star.
fn same(word: &str, wanted: &str) -> bool {
    match (wanted.strip_prefix('*'), wanted.strip_suffix('*')) {
        (Some(end), None) => word.ends_with(end),
        (None, Some(start)) => word.starts_with(start),
        (Some(_), Some(_)) => word.contains(wanted.trim_matches('*')),
        (None, None) => word == wanted,
    }
}

fn compares(own: &str, how: How, value: &str) -> bool {
    let order = match (own.parse::<f64>(), value.parse::<f64>()) {
        (Ok(own), Ok(value)) => own.total_cmp(&value),
        // Dates count by their digits: `20260102` and `2026-01-02T…`.
        _ => {
            let digits = |text: &str| text.replace(['-', ':', 'T'], "").to_lowercase();
            let (own, value) = (digits(own), digits(value));
            let own: String = own.chars().take(value.chars().count()).collect();
            own.cmp(&value)
        }
    };
    match how {
        How::Less => order.is_lt(),
        How::More => order.is_gt(),
        How::AtMost => order.is_le(),
        How::AtLeast => order.is_ge(),
        How::Is => order.is_eq(),
        How::Has => {
            let (own, wanted) = (words(own), words(value));
            let mut windows = own.windows(wanted.len().max(1));
            windows.any(|part| {
                part.iter()
                    .zip(&wanted)
                    .all(|(word, wanted)| same(word, wanted))
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(query: &str, mode: Mode) -> bool {
        let indexed = |region: Option<&str>| -> Vec<String> {
            let text = match region {
                None => "Final cut of the Spring film.mov",
                Some("OTName") => "Final cut.mov",
                Some("OTSubType") => "144",
                Some("OTObjectSize") => "2000",
                Some("OTModifyDate") => "2026-03-04T10:00:00",
                Some(_) => return Vec::new(),
            };
            vec![text.to_owned()]
        };
        Query::parse(query, mode).unwrap().matches(&indexed)
    }

    #[test]
    fn regions_words_and_operators_are_read() {
        for (query, answer) in [
            (r#"OTName:"Final cut" and OTSubType:144"#, true),
            (
                r#"OTName:"Final cut" and (OTSubType:0 or OTSubType:144)"#,
                true,
            ),
            ("OTSubType:(0 or 144) and not spring", false),
            (r#"[QLREGION "OTName"] "final cut" spring"#, true),
            ("OTName:spring", false),
            ("OTName:fin*", true),
            ("OTName:fin", false),
            ("OTName:\"cut final\"", false),
            ("OTObjectSize:>1000 and OTObjectSize:<=2000", true),
            ("OTModifyDate:>=20260304 and OTModifyDate:<2026-03-05", true),
            ("OTNothing:1", false),
        ] {
            assert_eq!(answers(query, Mode::Complex), answer, "{query}");
        }
        assert!(answers("film final", Mode::AllWords));
        assert!(!answers("film autumn", Mode::AllWords));
        assert!(answers("film autumn", Mode::AnyWords));
        assert!(answers("the spring film", Mode::Phrase));
    }

    #[test]
    fn what_is_no_query_is_refused() {
        let deep = format!("{}a{}", "(".repeat(500), ")".repeat(500));
        for query in [
            "", "  ", "and", "a or", "(a", "a)", "\"open", "OTName:", "> 5", "not", &deep,
        ] {
            let refusal = Query::parse(query, Mode::Complex).unwrap_err();
            assert!(
                refusal.text().starts_with("Error Evaluating Query"),
                "{query:?}"
            );
        }
    }
}
