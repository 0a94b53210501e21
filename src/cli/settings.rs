//! `settings`: what is set, and where it came from.

use serde_json::json;

use super::exit::Exit;
use super::output::{DIM, styled};
use super::{Context, explain};
use crate::settings::{self, ContentServerAuth, Origin, Problem, Problems, Shown};

/// What to do with the settings.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Show every setting with its value and where it came from; secrets only as "set"
    Show {
        /// Also say what was overruled, and the variable that would set it
        #[arg(long)]
        origin: bool,
    },
    /// Check the settings, secrets included, and name everything that is wrong or missing at once
    Check,
}

pub(crate) async fn run(context: &Context, command: &Command) -> anyhow::Result<Exit> {
    let settings = context.settings(Vec::new())?;
    let output = &context.output;
    match command {
        Command::Show { origin } => {
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
                    styled(DIM, format!("# {}", origin_of(shown, *origin)))
                ));
                output.event(
                    "setting",
                    json!({
                        "key": shown.key, "value": shown.value, "secret": shown.secret, "origin": shown.origin.to_string(),
                        "replaces": shown.replaces.iter().map(Origin::to_string).collect::<Vec<_>>(), "variable": variable(shown),
                    }),
                );
            }
        }
        Command::Check => {
            let (iconik, server) = settings.systems()?;
            let mut secrets = vec![&iconik.token];
            match &server.auth {
                ContentServerAuth::Password { password, .. } => secrets.push(password),
                ContentServerAuth::Otds { client_secret, .. } => secrets.push(client_secret),
            }
            let mut problems = Vec::new();
            for secret in secrets {
                if let Err(error) = secret.read().await {
                    problems.push(Problem::at(secret.origin.clone(), explain(&error.into())));
                }
            }
            if let Some(path) = &settings.network.ca_file
                && let Err(error) = std::fs::read(path)
            {
                problems.push(Problem::new(format!(
                    "`network.ca_file`: cannot read {}: {error}",
                    path.display()
                )));
            }
            if !problems.is_empty() {
                return Err(Problems(problems).into());
            }
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

/// Where a value came from; in full with what was overruled and how to overrule it.
fn origin_of(shown: &Shown, full: bool) -> String {
    let mut text = shown.origin.to_string();
    if !full {
        return text;
    }
    for replaced in &shown.replaces {
        text.push_str(&format!(", over {replaced}"));
    }
    if !matches!(shown.origin, Origin::Environment(_) | Origin::Flag(_)) {
        text.push_str(&format!(" ({})", variable(shown).unwrap_or_default()));
    }
    text
}

fn variable(shown: &Shown) -> Option<String> {
    settings::find(shown.key).map(settings::Key::variable)
}
