//! `simulate` and `demo`: what stands on the built-in simulators.

pub(crate) mod child;
pub(super) mod demo;

use serde_json::json;

use super::Context;
use super::exit::{Ended, Exit};
use crate::simulator::{Options, Ports, Simulator, campaign};

/// Serve simulators of iconik, its storage and Content Server on this machine until stopped.
///
/// The first line on standard output is one JSON object with addresses, credentials and a ready
/// settings file.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Port of the simulated iconik; the bucket, Content Server and the control endpoint take the
    /// next three. 0 takes free ones
    #[arg(long, value_name = "N", default_value_t = 0)]
    port: u16,
    /// What lies in iconik: small, faulty, names, edits, season, one[:SIZE] or library[:ASSETS[:SIZE]], such
    /// as `one:10 GiB` or `library:1000:64 KiB`
    #[arg(long, value_name = "NAME", default_value = "small")]
    campaign: String,
}

pub(crate) async fn run(context: &Context, arguments: Arguments) -> anyhow::Result<Exit> {
    let campaign = campaign::named(&arguments.campaign).ok_or_else(|| {
        Ended::usage(format!(
            "there is no campaign {:?}; there are small, faulty, names, edits, season, one[:SIZE] and library[:ASSETS[:SIZE]]",
            arguments.campaign
        ))
    })?;
    let next = |step: u16| {
        if arguments.port == 0 {
            Some(0)
        } else {
            arguments.port.checked_add(step)
        }
    };
    let ports = match (next(0), next(1), next(2), next(3)) {
        (Some(iconik), Some(bucket), Some(content_server), Some(control)) => Ports {
            iconik,
            bucket,
            content_server,
            control,
        },
        _ => {
            return Err(Ended::usage(
                "--port leaves no room for three more above it",
            ));
        }
    };
    let simulator = Simulator::start(Options {
        ports,
        ..Options::with(campaign)
    })
    .await?;
    context
        .output
        .raw(format!("{}\n", simulator.connection_json()).as_bytes())?;
    let stop = super::signals::listen(std::sync::Arc::clone(&context.output))?;
    stop.drain.cancelled().await;
    simulator.stop().await;
    context
        .output
        .event("simulated", json!({"campaign": arguments.campaign}));
    Ok(Exit::Done)
}
