//! `completions` and `man`: what shells and `man` know of the command line, from its one definition.

use std::path::{Path, PathBuf};

use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};
use serde_json::json;

use super::exit::{Ended, Exit, TABLE};
use super::{Context, command};

/// Print a shell's completion script
///
/// Put its output where the shell looks for completions; it knows every command and flag.
#[derive(Debug, clap::Args)]
pub(crate) struct Completions {
    /// The shell
    #[arg(value_enum, value_name = "SHELL")]
    shell: Kind,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Kind {
    Bash,
    Zsh,
    Fish,
    #[value(name = "powershell")]
    PowerShell,
}

/// Print the manual page, or write one for every command
///
/// Without --out the page of `longhaul` itself goes to standard output.
#[derive(Debug, clap::Args)]
pub(crate) struct Manual {
    /// Write a page for every command into this folder; it is made when it does not exist
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Only name the pages that would be written
    #[arg(long, requires = "out")]
    dry_run: bool,
}

pub(crate) fn completions(context: &Context, arguments: &Completions) -> anyhow::Result<Exit> {
    let script = script(arguments.shell);
    if context.output.json() {
        let shell = format!("{:?}", arguments.shell).to_lowercase();
        let script = String::from_utf8_lossy(&script);
        context
            .output
            .event("completions", json!({"shell": shell, "script": script}));
    } else {
        raw(context, &script)?;
    }
    Ok(Exit::Done)
}

fn script(shell: Kind) -> Vec<u8> {
    let shell = match shell {
        Kind::Bash => clap_complete::Shell::Bash,
        Kind::Zsh => clap_complete::Shell::Zsh,
        Kind::Fish => clap_complete::Shell::Fish,
        Kind::PowerShell => clap_complete::Shell::PowerShell,
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command(), "longhaul", &mut script);
    script
}

pub(crate) fn man(context: &Context, arguments: &Manual) -> anyhow::Result<Exit> {
    let output = &context.output;
    let mut pages = pages()?;
    let Some(folder) = &arguments.out else {
        let page = pages.swap_remove(0);
        if output.json() {
            let text = String::from_utf8_lossy(&page.roff);
            output.event("man", json!({"page": page.name, "text": text}));
        } else {
            raw(context, &page.roff)?;
        }
        return Ok(Exit::Done);
    };
    let cannot = |path: &Path, error| {
        Ended::usage(format!(
            "cannot write {}: {error}; name a folder that you may write to",
            path.display()
        ))
    };
    if !arguments.dry_run {
        std::fs::create_dir_all(folder).map_err(|error| cannot(folder, error))?;
    }
    for page in pages {
        let path = folder.join(&page.name);
        if !arguments.dry_run {
            std::fs::write(&path, &page.roff).map_err(|error| cannot(&path, error))?;
        }
        output.event(
            "man",
            json!({"page": page.name, "file": path, "dry_run": arguments.dry_run}),
        );
        let did = if arguments.dry_run {
            "would write"
        } else {
            "wrote"
        };
        output.say(format!("{did} {}", path.display()));
    }
    Ok(Exit::Done)
}

/// Bytes to standard output. Nobody who stops reading is an error.
fn raw(context: &Context, bytes: &[u8]) -> anyhow::Result<()> {
    match context.output.raw(bytes) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

struct Page {
    name: String,
    roff: Vec<u8>,
}

/// The page of every command that the help shows, `longhaul` itself first.
fn pages() -> std::io::Result<Vec<Page>> {
    let mut command = command().disable_help_subcommand(true);
    command.build();
    let mut pages = Vec::new();
    let mut open = vec![command];
    while let Some(command) = open.pop() {
        pages.push(page(&command, pages.is_empty())?);
        let below = command
            .get_subcommands()
            .filter(|below| !below.is_hide_set());
        open.extend(below.cloned());
    }
    Ok(pages)
}

fn page(command: &clap::Command, top: bool) -> std::io::Result<Page> {
    let after = command.get_after_help().map(ToString::to_string);
    let examples = after.unwrap_or_default();
    let man = Man::new(command.clone()).manual("longhaul");
    let name = man.get_filename();
    let mut roff = Vec::new();
    man.render_title(&mut roff)?;
    man.render_name_section(&mut roff)?;
    man.render_synopsis_section(&mut roff)?;
    man.render_description_section(&mut roff)?;
    man.render_options_section(&mut roff)?;
    if command.get_subcommands().any(|below| !below.is_hide_set()) {
        man.render_subcommands_section(&mut roff)?;
    }
    let mut rest = Roff::default();
    rest.control("SH", ["EXAMPLES"]);
    rest.control("nf", []);
    for line in examples.lines().skip(1) {
        rest.text([roman(line.trim())]);
    }
    rest.control("fi", []);
    rest.control("SH", ["EXIT STATUS"]);
    for (exit, means) in TABLE {
        rest.control("TP", []);
        rest.text([bold(exit.code().to_string())]);
        rest.text([roman(format!("{}: {means}", exit.name()))]);
    }
    if top {
        rest.control("SH", ["ENVIRONMENT"]);
        rest.text([roman(
            "Every setting is also a variable: its path in capitals after LONGHAUL_, so that iconik.app_id is \
             LONGHAUL_ICONIK_APP_ID. LONGHAUL_CONFIG names the settings file; NO_COLOR turns colours off.",
        )]);
    }
    rest.to_writer(&mut roff)?;
    Ok(Page { name, roff })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page_with_its_examples_and_exit_codes() {
        let pages = pages().unwrap();
        assert_eq!(pages[0].name, "longhaul.1");
        let names: Vec<&str> = pages.iter().map(|page| page.name.as_str()).collect();
        for wanted in [
            "longhaul-archive.1",
            "longhaul-plan-migrate.1",
            "longhaul-settings-show.1",
        ] {
            assert!(names.contains(&wanted), "{names:?}");
        }
        for page in &pages {
            let text = String::from_utf8(page.roff.clone()).unwrap();
            let (_, after) = text.split_once("EXAMPLES").expect("examples");
            assert!(after.contains("longhaul"), "{}: {after}", page.name);
            assert!(after.contains("refused"), "{}: {after}", page.name);
        }
    }

    #[test]
    fn every_shell_learns_every_command() {
        for shell in [Kind::Bash, Kind::Zsh, Kind::Fish, Kind::PowerShell] {
            let text = String::from_utf8(script(shell)).unwrap();
            for command in command().get_subcommands() {
                assert!(
                    text.contains(command.get_name()),
                    "{shell:?}: {}",
                    command.get_name()
                );
            }
            assert!(text.contains("limit-bandwidth"), "{shell:?} knows no flags");
        }
    }
}
