//! `init`: a settings file to fill in.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use serde_json::json;

use super::Context;
use super::exit::{Ended, Exit};
use crate::settings::{KEYS, Key, Kind};

/// Write a settings file with every setting explained; what must be filled in is at the top of its
/// section. An existing file is never overwritten.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Where to write it
    #[arg(value_name = "FILE", default_value = "longhaul.toml")]
    path: PathBuf,
}

/// What has no sensible default, with what to write in its place.
const NEEDED: [(&str, &str); 8] = [
    ("iconik.url", "\"https://app.iconik.io\""),
    ("iconik.app_id", "\"\""),
    ("iconik.token", "{ file = \"/run/secrets/iconik-token\" }"),
    (
        "content_server.url",
        "\"https://cs.example.com/otcs/cs.exe\"",
    ),
    ("content_server.auth.user", "\"\""),
    (
        "content_server.auth.password",
        "{ file = \"/run/secrets/content-server-password\" }",
    ),
    ("content_server.target.folder", "0"),
    ("content_server.target.staging", "0"),
];

pub(crate) fn run(context: &Context, arguments: &Arguments) -> anyhow::Result<Exit> {
    let path = &arguments.path;
    // Only the owner reads it: somebody may write a secret into it.
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    let mut file = file.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => Ended::usage(format!(
            "{} exists already and is left as it is; name another file",
            path.display()
        )),
        _ => Ended::usage(format!("cannot write {}: {error}", path.display())),
    })?;
    file.write_all(text().as_bytes())
        .map_err(|error| Ended::usage(format!("cannot write {}: {error}", path.display())))?;
    context.output.event("init", json!({"file": path}));
    context.output.say(format!("wrote {}", path.display()));
    context.output.note(
        "fill in what stands open, then `longhaul settings check` and `longhaul doctor` say what is missing",
    );
    Ok(Exit::Done)
}

/// The file: needed settings open, all others as comments with their defaults.
fn text() -> String {
    let mut text = String::from(
        "# Settings of longhaul. Each can also be set in the environment: iconik.app_id is\n\
         # LONGHAUL_ICONIK_APP_ID. Secrets: { file = \"…\" } (mode 0600), { env = \"…\" },\n\
         # { command = \"…\" } or { credential = \"…\" } of the systemd unit.\n",
    );
    let mut sections: Vec<&str> = Vec::new();
    for key in KEYS {
        let section = key.path.split('.').next().unwrap_or_default();
        if sections.last() != Some(&section) {
            sections.push(section);
        }
    }
    for section in sections {
        let keys: Vec<&Key> = KEYS
            .iter()
            .filter(|key| key.path.split('.').next() == Some(section))
            .collect();
        let _ = write!(text, "\n[{section}]\n");
        for (needed, value) in NEEDED {
            if let Some(key) = keys.iter().find(|key| key.path == needed) {
                let _ = write!(text, "# {}\n{} = {value}\n", key.about, name(key));
            }
        }
        for key in keys {
            if NEEDED.iter().all(|(needed, _)| *needed != key.path) {
                let _ = write!(
                    text,
                    "# {}\n# {} = {}\n",
                    key.about,
                    name(key),
                    example(key)
                );
            }
        }
    }
    text
}

fn name(key: &Key) -> &str {
    key.path.split_once('.').map_or(key.path, |(_, name)| name)
}

/// The default, or what a value looks like.
fn example(key: &Key) -> String {
    match (key.kind, key.default) {
        (_, Some("")) => "[]".into(),
        (_, Some(value)) if value.parse::<i64>().is_ok() || value.parse::<bool>().is_ok() => {
            value.into()
        }
        (_, Some(value)) => format!("{value:?}"),
        (Kind::Secret, None) => "{ file = \"…\" }".into(),
        (Kind::Structured, None) => key.example.unwrap_or("{}").into(),
        (Kind::Plain, None) => "\"…\"".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_stands_in_the_file_once() {
        let text = text();
        let table: toml::Table = text.parse().unwrap();
        assert_eq!(
            table["iconik"]["url"].as_str(),
            Some("https://app.iconik.io")
        );
        for key in KEYS {
            let lines = text
                .lines()
                .filter(|line| {
                    let line = line.strip_prefix("# ").unwrap_or(line);
                    line.split_once(" = ")
                        .is_some_and(|(left, _)| left == name(key))
                })
                .count();
            let namesakes = KEYS.iter().filter(|other| name(other) == name(key)).count();
            assert_eq!(lines, namesakes, "{}", key.path);
        }
    }

    #[test]
    fn what_stands_in_comments_can_be_taken_out_of_them() {
        let open: String = text()
            .lines()
            .map(|line| match line.strip_prefix("# ") {
                Some(rest)
                    if !rest.contains('…')
                        && rest
                            .split_once(" = ")
                            .is_some_and(|(left, _)| KEYS.iter().any(|key| name(key) == left)) =>
                {
                    format!("{rest}\n")
                }
                _ => format!("{line}\n"),
            })
            .collect();
        let table: toml::Table = open.parse().unwrap();
        assert_eq!(table["transfer"]["memory"].as_str(), Some("256 MiB"));
    }
}
