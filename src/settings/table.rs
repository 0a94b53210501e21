//! Reading a table inside a setting: every entry by name, everything that is wrong at once.

use super::keys;
use super::layers::Wrong;
use super::raw::{Located, Raw};
use super::sections::{Parsed, wrong};

/// The entries of a table, some of them read already.
pub(super) struct Entries<'a> {
    entries: &'a [(String, Located)],
    known: Vec<&'static str>,
    wrongs: Vec<Wrong>,
}

impl<'a> Entries<'a> {
    /// The entries of a value that must be a table.
    pub(super) fn of(raw: &'a Raw, expected: &str) -> Result<Self, Vec<Wrong>> {
        let Raw::Table(entries) = raw else {
            return wrong(expected, raw);
        };
        Ok(Self {
            entries,
            known: Vec::new(),
            wrongs: Vec::new(),
        })
    }

    /// An entry that may be left out.
    pub(super) fn optional<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&Raw) -> Parsed<T>,
    ) -> Option<T> {
        self.known.push(name);
        let (_, value) = self.entries.iter().find(|(found, _)| found == name)?;
        match parse(&value.raw) {
            Ok(parsed) => Some(parsed),
            Err(wrongs) => {
                let inside = wrongs
                    .into_iter()
                    .map(|wrong| wrong.inside(name, value.line));
                self.wrongs.extend(inside);
                None
            }
        }
    }

    /// An entry that must be there.
    pub(super) fn needed<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&Raw) -> Parsed<T>,
    ) -> Option<T> {
        if !self.entries.iter().any(|(found, _)| found == name) {
            self.known.push(name);
            self.refuse(format!("lacks the entry `{name}`"));
            return None;
        }
        self.optional(name, parse)
    }

    /// Records that the table as a whole is wrong.
    pub(super) fn refuse(&mut self, message: String) {
        self.wrongs.push(Wrong {
            inside: String::new(),
            line: self.entries.first().map(|(_, value)| value.line),
            message,
        });
    }

    /// The table's value, unless something in it was wrong or unknown.
    pub(super) fn finish<T>(mut self, value: impl FnOnce() -> Option<T>) -> Parsed<T> {
        for (name, value) in self.entries {
            if self.known.contains(&name.as_str()) {
                continue;
            }
            let message = match keys::nearest(name, self.known.iter().copied()) {
                Some(meant) => format!("has an unknown entry `{name}`; did you mean `{meant}`?"),
                None => format!(
                    "has an unknown entry `{name}`; it takes {}",
                    self.known.join(", ")
                ),
            };
            self.wrongs.push(Wrong {
                inside: String::new(),
                line: Some(value.line),
                message,
            });
        }
        match value() {
            Some(value) if self.wrongs.is_empty() => Ok(value),
            _ => Err(self.wrongs),
        }
    }
}

/// A table whose entries have names of the user's choosing.
pub(super) fn named<T>(
    raw: &Raw,
    expected: &str,
    mut parse: impl FnMut(&str, &Raw) -> Parsed<T>,
) -> Parsed<Vec<(String, T)>> {
    let Raw::Table(entries) = raw else {
        return wrong(expected, raw);
    };
    let (mut values, mut wrongs) = (Vec::new(), Vec::new());
    for (name, value) in entries {
        match parse(name, &value.raw) {
            Ok(parsed) => values.push((name.clone(), parsed)),
            Err(more) => wrongs.extend(more.into_iter().map(|w| w.inside(name, value.line))),
        }
    }
    if wrongs.is_empty() {
        Ok(values)
    } else {
        Err(wrongs)
    }
}
