//! `demo`: the main job, end to end, with a real kill half way.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};
use tokio::process::Child;

use super::child::{Longhaul, of_type, unexpected};
use crate::cli::Context;
use crate::cli::exit::{Ended, Exit};
use crate::cli::output::{BOLD, DIM, GOOD, styled};
use crate::ledger::Reader;
use crate::simulator::content_server::duplicates;
use crate::simulator::{Options, Simulator, campaign};
use crate::types::{ItemId, display_bytes};

/// Show what longhaul is for: a small campaign is archived from simulated systems, the transfer
/// is really killed half way, goes on, and everything is read back.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Keep ledger and settings in this folder (it must not exist yet)
    #[arg(long, value_name = "FOLDER")]
    keep: Option<PathBuf>,
}

/// Slow enough that a kill hits the middle of the large master.
const RATE: &str = "12 MiB/s";
/// Longest wait for the moment to kill.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) async fn run(context: &Context, arguments: Arguments) -> anyhow::Result<Exit> {
    let output = &context.output;
    let simulator = Simulator::start(Options::with(campaign::small())).await?;
    let temporary = tempfile::tempdir().context("making a folder for the demo")?;
    let folder = match &arguments.keep {
        Some(folder) => {
            std::fs::create_dir(folder).with_context(|| format!("making {}", folder.display()))?;
            folder.clone()
        }
        None => temporary.path().to_owned(),
    };
    let longhaul = Longhaul::within(&folder, &simulator.settings_toml())?;
    let collection = simulator.collection();

    output.say(styled(
        BOLD,
        "longhaul files masters from iconik in OpenText Content Server, and proves it.",
    ));
    output.say("Both systems are simulated on this machine. A campaign has ended; its collection holds masters of");
    output.say("several kinds: films, sound, an image sequence, a camera card, an asset with two versions, and some");
    output.say("that cannot be filed.\n");

    step(
        context,
        1,
        "Archive the collection, and kill the process half way (SIGKILL).",
    );
    output.say(styled(DIM, format!("   $ longhaul archive {collection}")));
    let mut child =
        longhaul.start(&["archive", &collection, "--limit-bandwidth", RATE, "--json"])?;
    let reached = half_way(&mut child, &longhaul.ledger).await?;
    child.kill().await.context("killing the transfer")?;
    output.say(format!(
        "   killed with {} items filed and {} of {} parts of {:?} acknowledged\n",
        reached.done, reached.acked, reached.parts, reached.title
    ));
    output.event("killed", json!({"items_done": reached.done, "parts_acknowledged": reached.acked, "parts": reached.parts}));

    step(
        context,
        2,
        "Resume. Nothing that was acknowledged moves again.",
    );
    output.say(styled(DIM, "   $ longhaul resume"));
    let (resumed, lines) = longhaul.finish(&["resume", "--json"]).await?;
    let summary = of_type(&lines, "summary").cloned().unwrap_or_default();
    for state in summary["states"].as_array().into_iter().flatten() {
        output.say(format!(
            "   {:>4} {} ({})",
            state["items"],
            state["state"].as_str().unwrap_or_default(),
            display_bytes(state["bytes"].as_u64().unwrap_or(0))
        ));
    }
    output.say(format!(
        "   {:>4} left out: links, placeholders, subclips, deleted assets",
        summary["left_out"]
    ));
    output.say(format!(
        "   sent again after the kill: {}",
        display_bytes(summary["bytes_resent"].as_u64().unwrap_or(0))
    ));
    for item in lines.iter().filter(|line| line["type"] == "item") {
        output.say(format!(
            "   for a person: {} is {}: {}",
            item["title"].as_str().unwrap_or_default(),
            item["state"].as_str().unwrap_or_default(),
            item["message"].as_str().unwrap_or_default()
        ));
    }
    // Assets that cannot be filed are part of the campaign: "some failed" is the right end.
    if resumed != i32::from(Exit::SomeFailed.code()) && resumed != 0 {
        return Err(unexpected("resume", resumed, &lines));
    }

    output.say("");
    step(
        context,
        3,
        "Read every filed version back and compare its SHA-256 with the record.",
    );
    output.say(styled(DIM, "   $ longhaul verify"));
    let (verified, lines) = longhaul.finish(&["verify", "--json"]).await?;
    let facts = of_type(&lines, "verified").cloned().unwrap_or_default();
    if verified != 0 {
        return Err(unexpected("verify", verified, &lines));
    }
    output.say(format!(
        "   {} files, {} read back, {} differ\n",
        facts["files"],
        display_bytes(facts["bytes"].as_u64().unwrap_or(0)),
        facts["differ"]
    ));

    step(
        context,
        4,
        "Prove that the journal is whole, and that a second run has nothing to do.",
    );
    output.say(styled(DIM, "   $ longhaul audit verify"));
    let (audited, lines) = longhaul.finish(&["audit", "verify", "--json"]).await?;
    if audited != 0 {
        return Err(unexpected("audit verify", audited, &lines));
    }
    output.say(format!(
        "   {} chained journal lines, none changed",
        of_type(&lines, "audit").map_or(&Value::Null, |line| &line["lines"])
    ));
    output.say(styled(DIM, format!("   $ longhaul archive {collection}")));
    let before = simulator.content_server().visible_versions().len();
    let (again, lines) = longhaul.finish(&["archive", &collection, "--json"]).await?;
    if again != i32::from(Exit::SomeFailed.code()) && again != 0 {
        return Err(unexpected("archive, a second time,", again, &lines));
    }
    let already =
        of_type(&lines, "summary").map_or(Value::Null, |line| line["already_done"].clone());
    let versions = simulator.content_server().visible_versions();
    let twice = duplicates(&versions);
    if versions.len() != before || !twice.is_empty() {
        return Err(Ended(
            Exit::Mismatch,
            format!("Content Server holds {} versions after the second run, {before} before it, {} of them twice", versions.len(), twice.len()),
        )
        .into());
    }
    output.say(format!("   {already} items filed before, unchanged; {before} versions in Content Server, none of them twice\n"));
    output.say(styled(
        GOOD,
        "Done: killed, resumed, filed once, read back.",
    ));
    output.event(
        "demo",
        json!({"versions": before, "duplicates": twice.len(), "files_verified": facts["files"]}),
    );
    if arguments.keep.is_some() {
        output.say(format!("Ledger and settings are in {}.", folder.display()));
    }
    simulator.stop().await;
    Ok(Exit::Done)
}

fn step(context: &Context, number: u8, text: &str) {
    context
        .output
        .say(styled(BOLD, format!("{number}. {text}")));
    context
        .output
        .event("step", json!({"number": number, "text": text}));
}

struct Reached {
    done: u64,
    acked: usize,
    parts: u32,
    title: String,
}

/// Waits until a master of many parts is about half way.
async fn half_way(child: &mut Child, ledger: &Path) -> anyhow::Result<Reached> {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while tokio::time::Instant::now() < deadline {
        if let Some(status) = child.try_wait()? {
            return Err(Ended(
                Exit::Defect,
                format!("the transfer ended before it was killed: {status}"),
            )
            .into());
        }
        if let Some(reached) = look(ledger).unwrap_or_default() {
            return Ok(reached);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Err(Ended(Exit::Defect, "no master came half way in time".into()).into())
}

fn look(ledger: &Path) -> Result<Option<Reached>, crate::ledger::Error> {
    let reader = Reader::open(ledger)?;
    let Some(run) = reader.run(None)? else {
        return Ok(None);
    };
    for item in reader.items(run.id, Some("active"), ItemId(0), 50)? {
        for file in reader.files(item.id, 0, 1)? {
            let Some((_, _, parts)) = file.session else {
                continue;
            };
            let acked = reader
                .parts(file.id)?
                .iter()
                .filter(|part| part.acked)
                .count();
            if parts >= 4 && acked * 5 >= parts as usize * 2 && acked < parts as usize {
                let done = reader
                    .summary(run.id)?
                    .iter()
                    .filter(|count| count.state == "done")
                    .map(|count| count.items)
                    .sum();
                return Ok(Some(Reached {
                    done,
                    acked,
                    parts,
                    title: item.title,
                }));
            }
        }
    }
    Ok(None)
}
