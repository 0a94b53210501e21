//! `pause`, `drain`, `limit`: steers a run at work from another shell.

use std::time::Duration;

use serde_json::json;

use super::exit::{Ended, Exit};
use super::{Context, connect, when, who};
use crate::control::{self, Ask, Client, Limits};
use crate::ledger::Reader;
use crate::settings::{Rate, Resolved, parse_duration};

/// Pause the run at work
///
/// Parts in flight are finished, nothing new is begun; `longhaul resume` goes on. A pause burns no
/// attempt; upload sessions live on at the server as long as it keeps them. A pause with an end time
/// survives the process: whatever goes on before then is paused as well.
///
/// Examples:
///   longhaul pause
///   longhaul pause --until 18:00
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Pause {
    /// For how long, such as `2h`; then it goes on by itself
    #[arg(long = "for", value_name = "TIME", conflicts_with = "until")]
    lasting: Option<String>,
    /// Until when, such as `18:00` or `2026-03-02 06:00`
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
}

/// The end time that two flags say.
fn end(lasting: Option<&String>, until: Option<&String>) -> anyhow::Result<Option<i64>> {
    if let Some(text) = lasting {
        let lasting = parse_duration(text)
            .map_err(|expected| Ended::usage(format!("--for {text}: {expected}")))?;
        let lasting = i64::try_from(lasting.as_millis()).unwrap_or(i64::MAX);
        let now = jiff::Timestamp::now().as_millisecond();
        return Ok(Some(now.saturating_add(lasting)));
    }
    until.map(|text| when::until("--until", text)).transpose()
}

/// End the run at work after what is in hand
///
/// Parts in hand are finished and recorded, then it leaves with 75; `longhaul resume` goes on where it
/// was. The same as a first Ctrl-C, from another shell.
///
/// Examples:
///   longhaul drain
///   longhaul drain --wait      # returns when the process has left
///   longhaul drain --now       # leaves at once; what is in flight moves again
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Drain {
    /// Leave at once: what is recorded stands, what is in flight moves again
    #[arg(long)]
    now: bool,
    /// Return only when the process has left
    #[arg(long)]
    wait: bool,
}

/// Give the run at work other limits than the settings'
///
/// They hold within a second, without a restart; with an end time also after one. Uploads, reads and calls never pass what the settings
/// allow; bandwidth may, and counts before the calendar.
///
/// Examples:
///   longhaul limit --bandwidth '200 MiB/s' --until 18:00
///   longhaul limit --uploads 1 --for 2h
///   longhaul limit --clear
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Limit {
    /// Most bytes per second, such as `200 MiB/s`, or `unlimited`
    #[arg(long, value_name = "RATE")]
    bandwidth: Option<String>,
    /// Most calls a second to iconik
    #[arg(long, value_name = "N")]
    calls: Option<u32>,
    /// Most uploads at once
    #[arg(long, value_name = "N")]
    uploads: Option<u32>,
    /// Most reads at once
    #[arg(long, value_name = "N")]
    streams: Option<u32>,
    /// For how long, such as `2h`; then the settings hold again
    #[arg(long = "for", value_name = "TIME", conflicts_with = "until")]
    lasting: Option<String>,
    /// Until when, such as `18:00` or `2026-03-02 06:00`
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Back to the settings' limits
    #[arg(long, conflicts_with_all = ["bandwidth", "calls", "uploads", "streams", "lasting", "until"])]
    clear: bool,
}

impl Limit {
    fn ask(&self) -> anyhow::Result<Ask> {
        if self.clear {
            return Ok(Ask::Unlimit);
        }
        let bandwidth = match &self.bandwidth {
            None => None,
            Some(text) => Some(
                text.parse::<Rate>()
                    .map_err(|expected| Ended::usage(format!("--bandwidth {text}: {expected}")))?
                    .bytes_per_second()
                    .unwrap_or(0),
            ),
        };
        let until = end(self.lasting.as_ref(), self.until.as_ref())?;
        let limits = Limits {
            bandwidth,
            calls: self.calls,
            uploads: self.uploads,
            streams: self.streams,
            until,
        };
        if limits
            == (Limits {
                until,
                ..Limits::default()
            })
        {
            return Err(Ended::usage(
                "name a limit: --bandwidth, --calls, --uploads or --streams; or --clear",
            ));
        }
        Ok(Ask::Limit(limits))
    }
}

pub(crate) async fn pause(context: &Context, arguments: Pause) -> anyhow::Result<Exit> {
    let until = end(arguments.lasting.as_ref(), arguments.until.as_ref())?;
    tell(context, "pause", Ask::Pause { until }).await
}

pub(crate) async fn limit(context: &Context, arguments: Limit) -> anyhow::Result<Exit> {
    let ask = arguments.ask()?;
    tell(context, "limit", ask).await
}

pub(crate) async fn drain(context: &Context, arguments: Drain) -> anyhow::Result<Exit> {
    const LOOK_EVERY: Duration = Duration::from_millis(100);
    let Drain { now, wait } = arguments;
    let settings = context.settings(Vec::new())?;
    let path = connect::must_exist(&settings)?;
    let mut client = match Client::connect(path).await {
        Ok(client) => client,
        Err(control::Error::Nobody { .. }) if owner(&settings).is_none() => {
            say(context, "drain", "nothing runs; there is nothing to drain");
            return Ok(Exit::Done);
        }
        Err(error) => return Err(explained(&settings, "drain", error)),
    };
    let said = client
        .ask(Ask::Drain { now }, &who::asks("drain"))
        .await
        .map_err(|error| explained(&settings, "drain", error))?;
    say(context, "drain", &said);
    while wait && owner(&settings).is_some() {
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(Exit::Done)
}

/// Tells the process at work.
async fn tell(context: &Context, command: &str, ask: Ask) -> anyhow::Result<Exit> {
    let settings = context.settings(Vec::new())?;
    let path = connect::must_exist(&settings)?;
    let told = async {
        let mut client = Client::connect(path).await?;
        client.ask(ask, &who::asks(command)).await
    };
    let said = told
        .await
        .map_err(|error| explained(&settings, command, error))?;
    say(context, command, &said);
    Ok(Exit::Done)
}

pub(crate) fn say(context: &Context, command: &str, said: &str) {
    context.output.say(said);
    let event = json!({"what": command, "said": said});
    context.output.event("steered", event);
}

/// The process that has the ledger, when one has.
fn owner(settings: &Resolved) -> Option<crate::ledger::Owner> {
    let reader = Reader::open(&settings.ledger.path).ok()?;
    reader.owner().filter(|owner| owner.alive)
}

/// An error of the socket, with what to do about it.
pub(crate) fn explained(
    settings: &Resolved,
    command: &str,
    error: control::Error,
) -> anyhow::Error {
    match error {
        control::Error::Nobody { ledger } => Ended::usage(match owner(settings) {
            Some(owner) => format!(
                "{} has {} and cannot be steered (now): only `archive`, `migrate` and `resume` can, once they are signed in at both ends",
                owner.text,
                ledger.display()
            ),
            None => format!(
                "nothing runs on {}, so there is nothing to {command}; `longhaul resume` goes on with the last run",
                ledger.display()
            ),
        }),
        control::Error::Refused(said) => Ended::usage(said),
        control::Error::Ledger(error) => error.into(),
        error @ control::Error::Socket { .. } => Ended(Exit::Unreachable, error.to_string()).into(),
    }
}
