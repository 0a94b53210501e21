//! `settings`: what is set, and where it came from.

use serde_json::json;

use super::Context;
use super::exit::Exit;
use super::output::{DIM, styled};

/// What to do with the settings.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Show every setting with its value and where it came from; secrets only as "set"
    Show,
    /// Check the settings and name everything that is wrong or missing at once
    Check,
}

pub(crate) fn run(context: &Context, command: &Command) -> anyhow::Result<Exit> {
    let settings = context.settings(Vec::new())?;
    let output = &context.output;
    match command {
        Command::Show => {
            let width = settings
                .shown
                .iter()
                .map(|shown| shown.key.len())
                .max()
                .unwrap_or(0);
            for shown in &settings.shown {
                let value = shown.value.as_deref().unwrap_or("(not set)");
                output.say(format!(
                    "{:width$}  {value}  {}",
                    shown.key,
                    styled(DIM, format!("# {}", shown.origin))
                ));
                output.event(
                    "setting",
                    json!({"key": shown.key, "value": shown.value, "secret": shown.secret, "origin": shown.origin.to_string()}),
                );
            }
        }
        Command::Check => {
            settings.systems()?;
            let from = settings
                .file
                .as_ref()
                .map_or("no file".to_owned(), |path| path.display().to_string());
            output.say(format!("the settings are complete ({from})"));
            output.event("settings", json!({"file": settings.file, "complete": true}));
        }
    }
    Ok(Exit::Done)
}
