//! An example at the end of every command's help.
//!
//! A command may say its examples in its own text, where they stand beside what they explain; the
//! rest are in the table here. Either way they end up at the end of the help, where an eye looks.

use clap::Command;

/// Commands whose own text has no example, by their words after `longhaul`.
const EXAMPLES: &[(&str, &[&str])] = &[
    (
        "",
        &[
            "longhaul demo                                # no accounts needed",
            "longhaul init && longhaul doctor             # before the first run",
            "longhaul plan archive COLLECTION             # looks, changes nothing",
            "longhaul archive COLLECTION",
        ],
    ),
    (
        "demo",
        &[
            "longhaul demo",
            "longhaul demo --keep /tmp/longhaul-demo      # look at its ledger afterwards",
        ],
    ),
    (
        "bench",
        &[
            "longhaul bench --size 8GiB --json > today.json",
            "longhaul bench --size 8GiB --compare today.json",
        ],
    ),
    (
        "init",
        &["longhaul init", "longhaul init /etc/longhaul/longhaul.toml"],
    ),
    (
        "verify",
        &[
            "longhaul verify                              # reads all of the last run back",
            "longhaul verify --run 3 --level size         # quick, no bytes",
        ],
    ),
    (
        "decide",
        &[
            "longhaul decide KEY --retry --because 'legal hold released, ticket 4711'",
            "longhaul decide KEY --decline --because 'test footage' --dry-run",
        ],
    ),
    (
        "adopt",
        &[
            "longhaul adopt",
            "longhaul adopt --folder 48210                # people moved documents there",
        ],
    ),
    (
        "audit",
        &[
            "longhaul audit --item KEY",
            "longhaul audit --run 3 --json > journal.jsonl",
        ],
    ),
    (
        "package",
        &[
            "longhaul package export --to /mnt/lto",
            "longhaul package check --read-back",
        ],
    ),
    (
        "package export",
        &[
            "longhaul package export --to /mnt/lto",
            "longhaul package export --to /mnt/lto --collection 8ae2c3d4-0000-11ee-8000-0242ac120002",
        ],
    ),
    (
        "package check",
        &[
            "longhaul package check                       # versions and sizes",
            "longhaul package check --read-back           # every byte, and a generation of the history",
        ],
    ),
    ("audit verify", &["longhaul audit verify"]),
    (
        "export",
        &[
            "longhaul export --item KEY --to master.mxf",
            "longhaul export --node 48211 --to - | ffprobe -",
        ],
    ),
    (
        "settings",
        &["longhaul settings show --origin", "longhaul settings check"],
    ),
    (
        "settings show",
        &[
            "longhaul settings show",
            "longhaul settings show --origin | grep environment",
        ],
    ),
    (
        "settings check",
        &["longhaul settings check --config /etc/longhaul/longhaul.toml"],
    ),
    (
        "simulate",
        &[
            "longhaul simulate                            # the first line has addresses and settings",
            "longhaul simulate --port 9000",
        ],
    ),
    (
        "completions",
        &[
            "longhaul completions bash > ~/.local/share/bash-completion/completions/longhaul",
            "longhaul completions zsh > ~/.zfunc/_longhaul",
            "longhaul completions fish > ~/.config/fish/completions/longhaul.fish",
            "longhaul completions powershell >> $PROFILE",
        ],
    ),
    (
        "rights",
        &[
            "longhaul rights test ASSET --use 'web, AT, 2027-07-01'",
            "longhaul rights expiring --within 30d",
        ],
    ),
    (
        "map",
        &["longhaul map test 0b1c2d3e-0000-11ee-8000-0242ac120002"],
    ),
    (
        "man",
        &[
            "longhaul man | man -l -",
            "longhaul man --out ~/.local/share/man/man1",
        ],
    ),
];

/// The command with examples at the end of its help and of all commands below it.
pub(super) fn with_examples(command: Command) -> Command {
    below(command, "")
}

fn below(mut command: Command, path: &str) -> Command {
    let names: Vec<String> = command
        .get_subcommands()
        .map(|command| command.get_name().to_owned())
        .collect();
    for name in names {
        let path = if path.is_empty() {
            name.clone()
        } else {
            format!("{path} {name}")
        };
        command = command.mut_subcommand(name, |command| below(command, &path));
    }
    if let Some(line) = command
        .get_about()
        .map(|about| first_sentence(&about.to_string()))
    {
        command = command.about(line);
    }
    let said = command.get_long_about().map(ToString::to_string);
    if let Some((text, examples)) = said.as_deref().and_then(split) {
        return command.long_about(text).after_help(examples);
    }
    match EXAMPLES.iter().find(|(of, _)| *of == path) {
        Some((_, lines)) => command.after_help(format!("Examples:\n  {}", lines.join("\n  "))),
        None => command,
    }
}

/// The first sentence, in one line and without its full stop: what a list of commands shows.
fn first_sentence(text: &str) -> String {
    let paragraph = text.split("\n\n").next().unwrap_or_default();
    let line = paragraph.split_whitespace().collect::<Vec<_>>().join(" ");
    let sentence = line.split(". ").next().unwrap_or_default();
    sentence.trim_end_matches('.').to_owned()
}

/// A command's text, and the examples at its end.
fn split(text: &str) -> Option<(String, String)> {
    let at = text
        .find("\nExamples:\n")
        .or_else(|| text.find("\nExample: "))?;
    let (text, examples) = (text[..at].trim(), text[at..].trim());
    let lines = examples.lines().map(|line| {
        let line = line.trim().trim_start_matches("Example: ");
        match line {
            "Examples:" => String::new(),
            line => format!("\n  {line}"),
        }
    });
    Some((
        text.to_owned(),
        format!("Examples:{}", lines.collect::<String>()),
    ))
}

#[cfg(test)]
mod tests {
    use super::super::command;
    use super::*;

    /// The words of an example as a shell reads them, up to a comment, a pipe or a redirection.
    fn words(line: &str) -> Vec<String> {
        let mut words = vec![String::new()];
        let mut quoted = false;
        for c in line.chars() {
            match c {
                '\'' => quoted = !quoted,
                '#' | '|' | '>' | '&' if !quoted => break,
                ' ' if !quoted => words.push(String::new()),
                c => words.last_mut().expect("never empty").push(c),
            }
        }
        words.retain(|word| !word.is_empty());
        words
    }

    fn walk(command: &Command, path: &str, seen: &mut usize) {
        let help = command.clone().render_long_help().to_string();
        let (_, examples) = help
            .rsplit_once("Examples:\n")
            .unwrap_or_else(|| panic!("`{path} --help` has no example:\n{help}"));
        let mut of_this = 0;
        for line in examples.lines().filter(|line| !line.trim().is_empty()) {
            let line = line.trim();
            assert!(
                line.starts_with("longhaul "),
                "{path}: {line:?} is no command line"
            );
            let words = words(line);
            if let Err(error) = super::super::command().try_get_matches_from(&words) {
                panic!("{path}: the example {line:?} does not work: {error}");
            }
            of_this += usize::from(words.join(" ").starts_with(path));
        }
        assert!(of_this > 0, "{path}: no example shows it:\n{examples}");
        *seen += 1;
        for below in command
            .get_subcommands()
            .filter(|below| below.get_name() != "help")
        {
            walk(below, &format!("{path} {}", below.get_name()), seen);
        }
    }

    #[test]
    fn the_help_of_every_command_ends_with_examples_that_work() {
        let mut command = command();
        command.build();
        let mut seen = 0;
        walk(&command, "longhaul", &mut seen);
        assert!(seen >= 25, "only {seen} commands were seen");
    }

    #[test]
    fn no_example_in_the_table_is_of_a_command_that_is_gone() {
        for (path, _) in EXAMPLES {
            let found = path
                .split_whitespace()
                .try_fold(command(), |command, name| {
                    command.find_subcommand(name).cloned()
                });
            let simulated = ["demo", "bench", "simulate"].contains(path);
            assert!(
                found.is_some() || simulated,
                "there is no `longhaul {path}`"
            );
        }
    }
}
