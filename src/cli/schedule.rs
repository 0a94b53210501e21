//! `run`: a configured set of flows, once, in order: what a timer calls.

use std::path::{Path, PathBuf};

use clap::FromArgMatches as _;
use serde::Deserialize;
use serde_json::json;

use super::exit::{Ended, Exit};
use super::output::{BAD, BOLD, GOOD, WARN, styled};
use super::{Cli, Command, Context, command, dispatch, explain};

/// Commands that a schedule may name.
const FLOWS: [&str; 13] = [
    "archive",
    "migrate",
    "publish",
    "metadata",
    "approval",
    "references",
    "lifecycle",
    "exchange",
    "resume",
    "retry",
    "verify",
    "reconcile",
    "report",
];

/// Run the configured flows once, one after the other, with one summary.
///
/// The flows are command lines without `longhaul`, in `schedule.flows` of the settings or in a file
/// with `flows = ["publish --search ID", "metadata"]`. All are read before the first begins. What one
/// leaves undone does not stop the next; a system that is away, a refused sign-in and a stop do.
///
/// Examples:
///   longhaul run
///   longhaul run nightly.toml --json
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Arguments {
    /// File with the flows, instead of the settings' own
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// Only say what would be run
    #[arg(long)]
    dry_run: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    flows: Vec<String>,
}

/// A flow and the command that it is.
struct Flow {
    line: String,
    command: Command,
}

pub(crate) async fn run(context: &Context, arguments: Arguments) -> anyhow::Result<Exit> {
    let (lines, place) = match &arguments.file {
        Some(path) => (read(path)?, path.display().to_string()),
        None => (
            context.settings(Vec::new())?.schedule,
            "`schedule.flows`".to_owned(),
        ),
    };
    if lines.is_empty() {
        return Err(Ended::usage(
            "no flow is configured: set `schedule.flows`, such as [\"publish --search ID\", \"metadata\"], or name a file",
        ));
    }
    let flows = lines
        .iter()
        .map(|line| parse(line).map_err(|what| Ended::usage(format!("{place}: {line:?} {what}"))))
        .collect::<Result<Vec<_>, _>>()?;
    let output = &context.output;
    let mut exits = Vec::new();
    let mut stopped = false;
    for flow in flows {
        if arguments.dry_run || stopped {
            let why = if stopped { "not begun" } else { "would run" };
            output.event(
                "flow",
                json!({"flow": flow.line, "code": null, "message": why}),
            );
            output.say(format!("{} {why}", styled(BOLD, &flow.line)));
            continue;
        }
        output.say(styled(BOLD, format!("longhaul {}", flow.line)));
        let (exit, message) = match Box::pin(dispatch(context, flow.command)).await {
            Ok(exit) => (exit, None),
            Err(error) => (Exit::of_error(&error), Some(explain(&error))),
        };
        output.event(
            "flow",
            json!({"flow": flow.line, "code": exit.code(), "message": message}),
        );
        let word = format!("{} ({})", exit.name(), exit.code());
        let style = match exit {
            Exit::Done | Exit::Empty => GOOD,
            Exit::SomeFailed | Exit::Held => WARN,
            _ => BAD,
        };
        output.say(format!(
            "  {}{}",
            styled(style, word),
            message.map(|text| format!(": {text}")).unwrap_or_default()
        ));
        stopped = matches!(
            exit,
            Exit::Defect | Exit::Ledger | Exit::Refused | Exit::Unreachable | Exit::Stopped
        );
        exits.push(exit);
    }
    Ok(Exit::of_all(exits))
}

fn read(path: &Path) -> anyhow::Result<Vec<String>> {
    let shown = path.display();
    let text = std::fs::read_to_string(path)
        .map_err(|error| Ended::usage(format!("{shown} cannot be read: {error}")))?;
    let file: File = toml::from_str(&text).map_err(|error| {
        Ended::usage(format!(
            "{shown} is no list of flows: {}; it holds `flows = [\"publish --search ID\", \"metadata\"]`",
            error.message()
        ))
    })?;
    Ok(file.flows)
}

/// What is wrong with a line, if anything is.
pub(super) fn wrong(line: &str) -> Option<String> {
    parse(line).err()
}

/// The command behind a line, or what is wrong with it.
fn parse(line: &str) -> Result<Flow, String> {
    let words = shlex::split(line).ok_or("has a quote without its end")?;
    let name = words.first().map(String::as_str).unwrap_or_default();
    if !FLOWS.contains(&name) {
        return Err(format!("is no flow; flows are {}", FLOWS.join(", ")));
    }
    let words = std::iter::once("longhaul").chain(words.iter().map(String::as_str));
    let matches = command()
        .try_get_matches_from(words)
        .map_err(|error| brief(&error))?;
    let cli = Cli::from_arg_matches(&matches).map_err(|error| brief(&error))?;
    Ok(Flow {
        line: line.to_owned(),
        command: cli.command,
    })
}

/// The first line of a refusal, without its label.
fn brief(error: &clap::Error) -> String {
    let text = error.to_string();
    let first = text.lines().next().unwrap_or_default();
    format!("is refused: {}", first.trim_start_matches("error: "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_command_with_words_and_quotes_or_says_what_is_wrong() {
        assert!(matches!(
            parse("publish --query 'title:a b'").unwrap().command,
            Command::Publish(_)
        ));
        assert!(matches!(
            parse("metadata --full").unwrap().command,
            Command::Metadata(_)
        ));
        let said = |line: &str| parse(line).err().expect("a refusal");
        assert!(said("run").contains("flows are archive"));
        assert!(said("").contains("is no flow"));
        assert!(said("publish --query 'x").contains("quote"));
        assert!(said("metadata --fulll").contains("is refused: unexpected argument"));
    }
}
