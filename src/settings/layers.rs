//! The layers a value can come from, flags over environment over file over default, and the
//! reader that takes typed values out of them.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use secrecy::SecretString;

use super::keys::{self, Key, Kind, SECRET_PLACES};
use super::raw::{self, Located, Raw};
use super::secret::{self, Place, SecretRef, split_words};
use super::words::Expected;
use super::{Origin, Problem};

/// A setting given on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flag {
    /// The flag as typed, for messages: `--ledger`.
    pub flag: String,
    /// The setting it sets.
    pub key: String,
    /// The value as text.
    pub value: String,
}

/// What settings are read from. Tests make their own; [`Sources::of_process`] takes the real ones.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The file named by `--config`.
    pub config: Option<PathBuf>,
    /// Settings given as flags.
    pub flags: Vec<Flag>,
    /// The environment. An empty variable counts as not set.
    pub environment: BTreeMap<OsString, OsString>,
}

impl Sources {
    /// The process's own environment, with what the command line said.
    pub fn of_process(config: Option<PathBuf>, flags: Vec<Flag>) -> Self {
        Self {
            config,
            flags,
            environment: std::env::vars_os().collect(),
        }
    }

    fn variable(&self, name: &str) -> Option<&OsString> {
        self.environment
            .get(std::ffi::OsStr::new(name))
            .filter(|value| !value.is_empty())
    }

    /// The settings file: as named by `--config` or `LONGHAUL_CONFIG`, else the first that
    /// exists of `./longhaul.toml` and the user's own.
    fn file(&self) -> Option<(PathBuf, Option<Origin>)> {
        if let Some(path) = &self.config {
            return Some((path.clone(), Some(Origin::Flag("--config".to_owned()))));
        }
        if let Some(path) = self.variable("LONGHAUL_CONFIG") {
            let origin = Origin::Environment("LONGHAUL_CONFIG".to_owned());
            return Some((path.into(), Some(origin)));
        }
        let user = self
            .variable("XDG_CONFIG_HOME")
            .map(PathBuf::from)
            .or_else(|| {
                self.variable("HOME")
                    .map(|home| Path::new(home).join(".config"))
            });
        let candidates =
            [Some(PathBuf::new()), user.map(|user| user.join("longhaul"))].map(|directory| {
                directory
                    .map(|directory| directory.join("longhaul.toml"))
                    .filter(|path| path.exists())
            });
        candidates
            .into_iter()
            .flatten()
            .next()
            .map(|path| (path, None))
    }
}

/// One value and where it came from.
#[derive(Clone, Debug)]
pub(super) struct Value {
    pub(super) raw: Raw,
    pub(super) origin: Origin,
}

/// Every value that was set, strongest layer first.
#[derive(Debug, Default)]
pub(super) struct Layers {
    /// The settings file, when there is one.
    pub(super) file: Option<PathBuf>,
    /// Why a literal secret in the file is refused, `None` when the file is private.
    file_not_private: Option<String>,
    values: BTreeMap<&'static str, Value>,
    /// Who set a value that a stronger layer replaced, strongest first.
    replaced: BTreeMap<&'static str, Vec<Origin>>,
    pub(super) problems: Vec<Problem>,
    pub(super) warnings: Vec<String>,
}

impl Layers {
    /// Gathers the layers. Problems are collected, not returned: the typed values have theirs too.
    pub(super) fn gather(sources: &Sources) -> Self {
        let mut layers = Self::default();
        layers.take_file(sources);
        layers.take_environment(sources);
        layers.take_flags(&sources.flags);
        layers
    }

    fn take_file(&mut self, sources: &Sources) {
        let Some((path, named_by)) = sources.file() else {
            return;
        };
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) => {
                let message = format!("cannot read the settings file {}: {error}", path.display());
                self.problems.push(Problem {
                    origin: named_by,
                    message,
                });
                return;
            }
        };
        self.file_not_private = std::fs::metadata(&path)
            .ok()
            .and_then(|metadata| secret::not_private(&metadata));
        self.file = Some(path.clone());
        match raw::parse_document(&text) {
            Ok(entries) => self.take_section("", &entries, &path),
            Err(errors) => self.problems.extend(errors.into_iter().map(|error| {
                Problem::at(
                    Origin::File {
                        path: path.clone(),
                        line: error.line,
                    },
                    format!("this is not TOML: {}", error.message),
                )
            })),
        }
    }

    fn take_section(&mut self, section: &str, entries: &[(String, Located)], file: &Path) {
        for (name, value) in entries {
            let path = if section.is_empty() {
                name.clone()
            } else {
                format!("{section}.{name}")
            };
            let origin = Origin::File {
                path: file.to_owned(),
                line: value.line,
            };
            if let Some(key) = keys::find(&path) {
                let raw = value.raw.clone();
                self.put(key, Value { raw, origin });
            } else if !keys::is_section(&path) {
                self.problems
                    .push(Problem::at(origin, unknown(&path, "setting")));
            } else if let Raw::Table(entries) = &value.raw {
                self.take_section(&path, entries, file);
            } else {
                let message = format!(
                    "`{path}` expects a table with {}, found {}",
                    keys::children(&path).join(", "),
                    found(&value.raw, holds_secret(&path))
                );
                self.problems.push(Problem::at(origin, message));
            }
        }
    }

    fn take_environment(&mut self, sources: &Sources) {
        for key in keys::KEYS {
            let mut set: Vec<(String, Option<&str>, &OsString)> = Vec::new();
            let variable = key.variable();
            if let Some(value) = sources.variable(&variable) {
                set.push((variable, None, value));
            }
            if key.kind == Kind::Secret {
                for place in SECRET_PLACES {
                    let variable = keys::variable(&format!("{}.{place}", key.path));
                    if let Some(value) = sources.variable(&variable) {
                        set.push((variable, Some(place), value));
                    }
                }
            }
            if let [(first, ..), (second, ..), ..] = set.as_slice() {
                let message = format!("{second} is set too; keep one of them");
                self.problems
                    .push(Problem::at(Origin::Environment(first.clone()), message));
            } else if let Some((variable, place, value)) = set.pop() {
                let origin = Origin::Environment(variable);
                let Some(text) = value.to_str() else {
                    self.problems
                        .push(Problem::at(origin, "is not text in UTF-8"));
                    continue;
                };
                self.take_word(key, place, text, origin);
            }
        }
        self.warn_of_misspelt_variables(sources);
    }

    /// A near miss of a variable is likely a mistake. It is a warning, because other programs
    /// make such names too (Kubernetes: `LONGHAUL_PORT`, for a service of that name).
    fn warn_of_misspelt_variables(&mut self, sources: &Sources) {
        let known: Vec<String> = keys::KEYS.iter().map(Key::variable).collect();
        for name in sources.environment.keys() {
            let Some(name) = name.to_str().filter(|name| name.starts_with("LONGHAUL_")) else {
                continue;
            };
            let place_of_secret = keys::KEYS.iter().any(|key| {
                key.kind == Kind::Secret
                    && SECRET_PLACES
                        .iter()
                        .any(|place| keys::variable(&format!("{}.{place}", key.path)) == name)
            });
            if place_of_secret || known.iter().any(|variable| variable == name) {
                continue;
            }
            let near = known
                .iter()
                .find(|known| strsim::damerau_levenshtein(name, known) <= 2);
            if let Some(meant) = near {
                self.warnings.push(format!(
                    "the environment variable {name} means nothing to longhaul; did you mean {meant}?"
                ));
            }
        }
    }

    fn take_flags(&mut self, flags: &[Flag]) {
        for Flag { flag, key, value } in flags {
            let origin = Origin::Flag(flag.clone());
            match keys::find(key) {
                None => self
                    .problems
                    .push(Problem::at(origin, unknown(key, "setting"))),
                Some(key) if key.kind == Kind::Secret => {
                    let message = format!(
                        "`{}` is a secret and cannot be a flag, where every user of the machine \
                         could read it; use the settings file or {}_FILE",
                        key.path,
                        key.variable()
                    );
                    self.problems.push(Problem::at(origin, message));
                }
                Some(key) => self.take_word(key, None, value, origin),
            }
        }
    }

    /// Takes a text from the environment or a flag.
    fn take_word(
        &mut self,
        key: &'static Key,
        place: Option<&'static str>,
        text: &str,
        origin: Origin,
    ) {
        let word = Raw::Word(text.to_owned());
        let located = |raw| Located { raw, line: 1 };
        let raw = match (key.kind, place) {
            (Kind::Plain, _) => word,
            (Kind::Structured, _) => raw::parse_value(text).unwrap_or(word),
            (Kind::Secret, None) => word,
            (Kind::Secret, Some(place)) => {
                // A command may be a line or a TOML array of words.
                let value = if place == "command" && text.trim_start().starts_with('[') {
                    raw::parse_value(text).unwrap_or(word)
                } else {
                    word
                };
                Raw::Table(vec![(place.to_owned(), located(value))])
            }
        };
        self.put(key, Value { raw, origin });
    }

    fn put(&mut self, key: &'static Key, value: Value) {
        if let Some(weaker) = self.values.insert(key.path, value) {
            self.replaced
                .entry(key.path)
                .or_default()
                .insert(0, weaker.origin);
        }
    }
}

/// Whether a section's name is where people put a secret by mistake (`auth = "hunter2"`).
fn holds_secret(path: &str) -> bool {
    keys::KEYS
        .iter()
        .any(|key| key.kind == Kind::Secret && key.path.starts_with(path))
}

fn found(raw: &Raw, secret: bool) -> String {
    match raw {
        Raw::Word(_) | Raw::Text(_) | Raw::Integer(_) if secret => "something else".to_owned(),
        raw => raw.describe(),
    }
}

fn unknown(path: &str, what: &str) -> String {
    match keys::near(path) {
        Some(meant) => format!("unknown {what} `{path}`; did you mean `{meant}`?"),
        None => {
            format!("unknown {what} `{path}`; `longhaul init` writes a file with all there are")
        }
    }
}

/// A value that a setting does not take.
pub(super) struct Wrong {
    /// Inside the setting, such as `.from`; empty for the setting itself.
    pub(super) inside: String,
    /// Line in the file, when it differs from the setting's.
    pub(super) line: Option<usize>,
    /// The rest of the sentence after the setting's name.
    pub(super) message: String,
}

impl From<Wrong> for Vec<Wrong> {
    fn from(wrong: Wrong) -> Self {
        vec![wrong]
    }
}

impl Wrong {
    pub(super) fn new(expected: &Expected, found: &Raw) -> Self {
        Self {
            inside: String::new(),
            line: None,
            message: format!("{expected}, found {}", found.describe()),
        }
    }

    pub(super) fn inside(mut self, name: &str, line: usize) -> Self {
        self.inside = format!(".{name}{}", self.inside);
        self.line.get_or_insert(line);
        self
    }
}

/// Says that a problem was recorded; only the [`Reader`] makes one, when it records it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reported(());

/// One line of `settings show`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// The setting.
    pub key: &'static str,
    /// Its value as one would write it; of a secret only where it is. `None` when it is not set.
    pub value: Option<String>,
    /// Whether it is a secret.
    pub secret: bool,
    /// Where the value came from.
    pub origin: Origin,
    /// Who set it too, and was overruled; strongest first.
    pub replaces: Vec<Origin>,
}

/// Takes typed values out of the layers and records what is wrong or missing.
pub(super) struct Reader {
    layers: Layers,
    /// What is wrong.
    pub(super) problems: Vec<Problem>,
    /// What was read.
    pub(super) shown: Vec<Shown>,
    /// Settings that commands which need that system miss.
    pub(super) missing: Vec<Missing>,
}

/// A setting without a value or default.
#[derive(Clone, Debug)]
pub(super) struct Missing {
    pub(super) key: &'static str,
    pub(super) problem: Problem,
}

impl Reader {
    pub(super) fn new(mut layers: Layers) -> Self {
        Self {
            problems: std::mem::take(&mut layers.problems),
            layers,
            shown: Vec::new(),
            missing: Vec::new(),
        }
    }

    fn value(&self, key: &'static Key) -> Option<Value> {
        self.layers.values.get(key.path).cloned().or_else(|| {
            key.default.map(|default| Value {
                raw: Raw::Word(default.to_owned()),
                origin: Origin::Default,
            })
        })
    }

    /// The place of a setting's value.
    pub(super) fn origin(&self, path: &str) -> Option<Origin> {
        self.layers
            .values
            .get(path)
            .map(|value| value.origin.clone())
    }

    /// Records a problem with a setting's value, such as one that contradicts another.
    pub(super) fn problem(&mut self, path: &str, message: impl Into<String>) -> Reported {
        self.problems.push(Problem {
            origin: self.origin(path),
            message: message.into(),
        });
        Reported(())
    }

    /// Records a problem at a place.
    pub(super) fn problem_at(&mut self, origin: Origin, message: impl Into<String>) -> Reported {
        self.problems.push(Problem::at(origin, message));
        Reported(())
    }

    /// Records that a setting is needed by whoever needs its system.
    fn missing(&mut self, key: &'static str, message: String) {
        self.missing.push(Missing {
            key,
            problem: Problem::new(message),
        });
    }

    /// A setting that may be absent; `show` writes it for people.
    fn shown_as<T>(
        &mut self,
        path: &'static str,
        parse: impl FnOnce(&Value) -> Result<T, Vec<Wrong>>,
        show: impl FnOnce(&T, &Value) -> String,
    ) -> Result<Option<T>, Reported> {
        let key = keys::find(path).expect("settings are read by the names in the table");
        let secret = key.kind == Kind::Secret;
        let Some(value) = self.value(key) else {
            self.shown.push(Shown {
                key: key.path,
                value: None,
                secret,
                origin: Origin::Default,
                replaces: Vec::new(),
            });
            return Ok(None);
        };
        match parse(&value) {
            Ok(parsed) => {
                self.shown.push(Shown {
                    key: key.path,
                    value: Some(show(&parsed, &value)),
                    secret,
                    origin: value.origin,
                    replaces: self.layers.replaced.get(path).cloned().unwrap_or_default(),
                });
                Ok(Some(parsed))
            }
            Err(wrongs) => {
                for wrong in wrongs {
                    let origin = match (&value.origin, wrong.line) {
                        (Origin::File { path, .. }, Some(line)) => Origin::File {
                            path: path.clone(),
                            line,
                        },
                        (origin, _) => origin.clone(),
                    };
                    let message = format!("`{path}{}` {}", wrong.inside, wrong.message);
                    self.problems.push(Problem::at(origin, message));
                }
                Err(Reported(()))
            }
        }
    }

    /// A setting that may be absent.
    pub(super) fn optional<T>(
        &mut self,
        path: &'static str,
        parse: impl FnOnce(&Raw) -> Result<T, Vec<Wrong>>,
    ) -> Result<Option<T>, Reported> {
        self.shown_as(
            path,
            |value| parse(&value.raw),
            |_, value| value.raw.to_string(),
        )
    }

    /// A setting with a default.
    pub(super) fn get<T>(
        &mut self,
        path: &'static str,
        parse: impl FnOnce(&Raw) -> Result<T, Vec<Wrong>>,
    ) -> Result<T, Reported> {
        let value = self.optional(path, parse)?;
        Ok(value.expect("the table has a default for every setting read this way"))
    }

    /// A setting without a default that its system cannot do without.
    pub(super) fn needed<T>(
        &mut self,
        path: &'static str,
        parse: impl FnOnce(&Raw) -> Result<T, Vec<Wrong>>,
    ) -> Result<Option<T>, Reported> {
        let value = self.optional(path, parse)?;
        if value.is_none() {
            let variable = keys::variable(path);
            self.missing(
                path,
                format!("`{path}` is not set; put it in the settings file or in {variable}"),
            );
        }
        Ok(value)
    }

    /// A path; relative to the settings file's directory when the file says so.
    pub(super) fn path(&mut self, path: &'static str) -> Result<Option<PathBuf>, Reported> {
        self.shown_as(
            path,
            |value| match value.raw.as_text() {
                Some(text) => Ok(beside(&value.origin, text)),
                None => Err(Wrong::new(&Expected("a path".to_owned()), &value.raw).into()),
            },
            |path, _| path.display().to_string(),
        )
    }

    /// A map from names to paths.
    pub(super) fn paths(
        &mut self,
        path: &'static str,
    ) -> Result<BTreeMap<String, PathBuf>, Reported> {
        let expected = || Expected("a table of paths".to_owned());
        let map = self.shown_as(
            path,
            |value| {
                let Raw::Table(entries) = &value.raw else {
                    return Err(Wrong::new(&expected(), &value.raw).into());
                };
                let mut wrongs = Vec::new();
                let mut map = BTreeMap::new();
                for (name, entry) in entries {
                    match entry.raw.as_text() {
                        Some(text) => {
                            map.insert(name.clone(), beside(&value.origin, text));
                        }
                        None => wrongs.push(
                            Wrong::new(&Expected("a path".to_owned()), &entry.raw)
                                .inside(name, entry.line),
                        ),
                    }
                }
                if wrongs.is_empty() {
                    Ok(map)
                } else {
                    Err(wrongs)
                }
            },
            |_, value| value.raw.to_string(),
        )?;
        Ok(map.unwrap_or_default())
    }

    /// A secret that its system cannot do without, when `needed`.
    pub(super) fn secret(
        &mut self,
        path: &'static str,
        needed: bool,
    ) -> Result<Option<SecretRef>, Reported> {
        let file_not_private = self.layers.file_not_private.clone();
        let secret = self.shown_as(
            path,
            |value| {
                secret_place(value, file_not_private.as_deref()).map(|place| SecretRef {
                    key: path,
                    place,
                    origin: value.origin.clone(),
                })
            },
            |secret, _| secret.describe(),
        )?;
        if secret.is_none() && needed {
            self.missing(
                path,
                format!(
                    "`{path}` is not set; put {{ file = … }} in the settings file, or the path of \
                     a private file in {}_FILE",
                    keys::variable(path)
                ),
            );
        }
        Ok(secret)
    }

    /// Ends the reading.
    pub(super) fn finish(self) -> (Option<PathBuf>, Vec<String>, Vec<Shown>, Vec<Missing>) {
        (
            self.layers.file,
            self.layers.warnings,
            self.shown,
            self.missing,
        )
    }
}

/// A path as its writer meant it: one in the settings file stands beside that file.
fn beside(origin: &Origin, text: &str) -> PathBuf {
    match origin {
        Origin::File { path, .. } => path.parent().unwrap_or(Path::new("")).join(text),
        _ => PathBuf::from(text),
    }
}

/// Where a secret is, as written. No error shows the value: it may be the secret itself.
fn secret_place(value: &Value, file_not_private: Option<&str>) -> Result<Place, Vec<Wrong>> {
    let wrong = |message: String| {
        vec![Wrong {
            inside: String::new(),
            line: None,
            message,
        }]
    };
    let expected = || {
        wrong("expects { file = … }, { env = … }, { command = … } or { credential = … }".to_owned())
    };
    match &value.raw {
        Raw::Word(secret) => Ok(Place::Literal(SecretString::from(secret.clone()))),
        Raw::Text(secret) => match (file_not_private, &value.origin) {
            (Some(why), Origin::File { path, .. }) => Err(wrong(format!(
                "is written in a file that is not private ({why}); chmod 600 {}, or put \
                 {{ file = … }}, {{ env = … }}, {{ command = … }} or {{ credential = … }} here",
                path.display()
            ))),
            _ => Ok(Place::Literal(SecretString::from(secret.clone()))),
        },
        Raw::Table(entries) => {
            let [(name, place)] = entries.as_slice() else {
                return Err(expected());
            };
            match (name.as_str(), &place.raw) {
                ("file", raw) if raw.as_text().is_some_and(|text| !text.is_empty()) => {
                    let text = raw.as_text().unwrap_or_default();
                    Ok(Place::File(beside(&value.origin, text)))
                }
                ("env", raw) if raw.as_text().is_some_and(|text| !text.is_empty()) => {
                    let variable = raw.as_text().unwrap_or_default();
                    super::secret::keep_from_children(variable);
                    Ok(Place::Environment(variable.to_owned()))
                }
                ("command", Raw::List(words)) if !words.is_empty() => words
                    .iter()
                    .map(|word| word.raw.as_text().map(str::to_owned))
                    .collect::<Option<_>>()
                    .map(Place::Command)
                    .ok_or_else(|| wrong(".command expects an array of texts".to_owned())),
                ("command", raw) if raw.as_text().is_some() => {
                    split_words(raw.as_text().unwrap_or_default())
                        .map(Place::Command)
                        .ok_or_else(|| {
                            wrong(
                                "expects a command without a shell's signs, as no shell runs it; \
                                 write command = [\"sh\", \"-c\", \"…\"] if one must"
                                    .to_owned(),
                            )
                        })
                }
                ("credential", raw) if raw.as_text().is_some_and(secret::is_credential) => {
                    let name = raw.as_text().unwrap_or_default();
                    Ok(Place::Credential(name.to_owned()))
                }
                ("credential", _) => Err(wrong(
                    ".credential expects the name of a systemd credential, without a folder"
                        .to_owned(),
                )),
                ("file" | "env" | "command", _) => Err(expected()),
                (other, _) => Err(match keys::nearest(other, SECRET_PLACES) {
                    Some(meant) => wrong(format!(
                        "has an unknown place `{other}`; did you mean `{meant}`?"
                    )),
                    None => expected(),
                }),
            }
        }
        Raw::Integer(_) | Raw::Bool(_) | Raw::List(_) | Raw::Other(_) => Err(expected()),
    }
}
