//! What `archive`, `migrate` and `resume` share: connect, drive, report.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use serde_json::json;

use super::connect::{self, Connected};
use super::exit::{Ended, Exit};
use super::output::{BAD, BOLD, DIM, GOOD, styled};
use super::progress::Watch;
use super::select::Selection;
use super::signals;
use super::when;
use super::{Context, freeze, record};
use crate::control::{self, Bounds, Live, Means};
use crate::flows::approval::Rejections;
use crate::flows::drive::{Drive, Scan};
use crate::flows::intake::Intake;
use crate::flows::migrate;
use crate::flows::package::{Finality, Order, Packed, Told};
use crate::flows::{self};
use crate::ledger::{Ledger, NewRun, STOPPED, StateCount};
use crate::settings::Resolved;
use crate::telemetry::Resources;
use crate::transfer::Outcome;
use crate::types::{CollectionId, FailureClass, ItemId, RunId, display_bytes, parse_size};
use tokio_util::task::AbortOnDropHandle;

/// Flags of every command that moves masters.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Moving {
    /// Leave when only items that wait are left (exit code 75)
    #[arg(long)]
    pub(crate) no_wait: bool,
    /// Most bytes per second for this run, such as `200 MiB/s`
    #[arg(long, value_name = "RATE")]
    pub(crate) limit_bandwidth: Option<String>,
    /// Drain at this time, such as `06:00` or `2026-03-02 06:00`
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<String>,
    /// Drain after this many confirmed bytes, such as `2 TiB`; parts in hand come on top
    #[arg(long, value_name = "SIZE")]
    pub(crate) max_bytes: Option<String>,
    /// Drain after this many items that stopped short of done
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) max_failures: Option<u64>,
    /// Versions of an asset to file: all or current
    #[arg(long, value_name = "WHICH")]
    pub(crate) versions: Option<String>,
    /// Node id of the folder to publish in
    #[arg(long, value_name = "NODE")]
    pub(crate) target: Option<String>,
    /// Proof wanted: read-back, sent, size, or `read-back up to 10 GiB, else sent`
    #[arg(long, value_name = "LEVEL")]
    pub(crate) verify: Option<String>,
    /// Whether a migration that is frozen moves all the same; only `migrate` and `resume` ask.
    #[arg(skip)]
    pub(crate) despite_freeze: bool,
}

impl Moving {
    /// When the run drains by itself.
    pub(crate) fn bounds(&self) -> anyhow::Result<Bounds> {
        let until = self.until.as_deref();
        let max_bytes = self.max_bytes.as_deref();
        Ok(Bounds {
            until: until.map(|text| when::until("--until", text)).transpose()?,
            max_bytes: max_bytes
                .map(|text| {
                    parse_size(text).map_err(|error| Ended::usage(format!("--max-bytes: {error}")))
                })
                .transpose()?,
            max_failures: self.max_failures,
        })
    }

    /// Whether any of them is given.
    pub(crate) fn any(&self) -> bool {
        let texts = [
            &self.limit_bandwidth,
            &self.until,
            &self.max_bytes,
            &self.versions,
            &self.target,
            &self.verify,
        ];
        self.no_wait || self.max_failures.is_some() || texts.iter().any(|text| text.is_some())
    }

    pub(crate) fn settings(&self, context: &Context) -> anyhow::Result<Resolved> {
        // What is wrong with them is said before anything is begun.
        self.bounds()?;
        let flags = [
            ("limit-bandwidth", "pace.bandwidth", &self.limit_bandwidth),
            ("versions", "iconik.versions", &self.versions),
            ("target", "content_server.target.folder", &self.target),
            ("verify", "transfer.verify", &self.verify),
        ];
        context.settings(
            flags
                .iter()
                .filter_map(|(name, key, value)| Some(super::flag(name, key, value.as_ref()?)))
                .collect(),
        )
    }
}

/// A run with everything it needs.
pub(crate) struct Prepared {
    pub(crate) settings: Resolved,
    pub(crate) connected: Connected,
    pub(crate) ledger: Ledger,
    pub(crate) run: RunId,
    pub(crate) intake: Intake,
    pub(crate) collection: Option<CollectionId>,
    pub(crate) wait: bool,
    pub(crate) bounds: Bounds,
    pub(crate) package: Option<Order>,
}

/// Starts a run over a selection and drives it to its end.
pub(crate) async fn start(
    context: &Context,
    selection: Selection,
    moving: &Moving,
    package: bool,
) -> anyhow::Result<Exit> {
    let settings = moving.settings(context)?;
    settings.systems()?;
    let mut told = selection.told();
    let package = package || (selection.command == "archive" && settings.package.enabled);
    if package {
        told["package"] = true.into();
    }
    let ledger = connect::open_ledger(&settings.ledger.path, selection.command)?;
    let frozen = match selection.command {
        "migrate" => migrate::freeze::of(&ledger).await?,
        _ => None,
    };
    if let Some(frozen) = &frozen {
        if !moving.despite_freeze {
            return freeze::look(context, &settings, &selection, frozen, Some(&ledger)).await;
        }
        told[freeze::DESPITE] = true.into();
    }
    let connected = connect::connect(&settings).await?;
    let package = match package {
        true => Some(ordered(&settings, &connected, &selection).await?),
        false => None,
    };
    selection.check(&connected.systems).await?;
    let assets = selection.enumerate(&connected.systems);
    let intake = selection.intake(&settings, &connected).await?;
    let run = ledger
        .start_run(NewRun {
            command: selection.command.into(),
            arguments: told.to_string(),
        })
        .await?;
    if let Some(frozen) = &frozen {
        freeze::moved_despite(&ledger, run, frozen).await?;
    }
    let prepared = Prepared {
        intake,
        settings,
        connected,
        ledger,
        run,
        collection: selection.collections().into_iter().next(),
        wait: !moving.no_wait,
        bounds: moving.bounds()?,
        package,
    };
    drive(context, prepared, Some(assets)).await
}

/// The packages of a run: those of its collections.
pub(crate) async fn ordered(
    settings: &Resolved,
    connected: &Connected,
    selection: &Selection,
) -> anyhow::Result<Order> {
    Ok(Order {
        collections: selection.collections(),
        address: settings.content_server()?.url.to_string(),
        organization: settings.package.organization.clone(),
        place: record::package_place(settings, connected).await?,
        most_files: settings.package.files,
        mark: record::package_mark(settings)?,
        sources: settings.package.sources,
        finality: finality(settings)?,
    })
}

/// Which masters a package takes.
pub(crate) fn finality(settings: &Resolved) -> anyhow::Result<Finality> {
    Ok(Finality {
        only: settings.package.only,
        approved: settings.publish.approved.clone(),
        rejections: Rejections::in_ledger(&settings.ledger.path)?,
    })
}

/// Drives the run to its end and reports it.
pub(crate) async fn drive(
    context: &Context,
    prepared: Prepared,
    assets: Option<flows::Enumerate>,
) -> anyhow::Result<Exit> {
    let Prepared {
        settings,
        connected,
        ledger,
        run,
        intake,
        collection,
        wait,
        bounds,
        package,
    } = prepared;
    let output = Arc::clone(&context.output);
    let stop = signals::listen(Arc::clone(&output))?;
    let pace = connect::pace(&settings);
    let engine = connect::engine(&settings, &connected, &ledger, &pace, stop.clone(), wait)?;
    let drive = Drive {
        systems: connected.systems,
        ledger: ledger.clone(),
        engine,
        pace,
        run,
        intake,
        scan: Arc::new(Scan::default()),
        collection,
        package,
        packed: std::sync::Mutex::default(),
    };
    ledger.end_run(run, "running", false).await?;
    bounds.keep(&ledger, run).await?;
    output.event("run", json!({"run": run}));
    let means = Means {
        ledger: ledger.clone(),
        run,
        steer: drive.engine.steer(),
        pace: Arc::clone(&drive.pace),
        calls: Arc::clone(drive.systems.iconik.calls()),
        stop,
        progress: drive.progress(),
        scan: Arc::clone(&drive.scan),
        outages: Box::new(drive.engine.watch_outages()),
    };
    let live = Live::new(means, bounds);
    for said in live.take_up().await? {
        output.note(format!("still in force: {said}"));
    }
    // A run that cannot be steered is still a run.
    let server = control::serve(ledger.path(), Arc::clone(&live));
    if let Err(error) = &server {
        output.note(format!(
            "this run cannot be steered from another shell: {error}"
        ));
    }
    let watch = Watch {
        output: Arc::clone(&output),
        ledger: ledger.clone(),
        run,
        live: Arc::clone(&live),
    };
    let begun = tokio::time::Instant::now();
    let outcome = {
        let watching = AbortOnDropHandle::new(tokio::spawn(watch.show()));
        let tended = Arc::clone(&live);
        let _tending =
            AbortOnDropHandle::new(tokio::spawn(async move { tended.look_after().await }));
        // Boxed: it holds what is told to iconik beside the whole engine.
        let outcome = Box::pin(drive.go(assets)).await;
        drop(watching);
        outcome
    };
    let (word, ended) = match &outcome {
        Ok(Outcome::Finished) => ("done", true),
        Ok(Outcome::Stopped | Outcome::Waiting) => ("stopped", false),
        Ok(Outcome::Failed(_)) | Err(_) => ("failed", false),
    };
    if let Ok(server) = server {
        server.close().await;
    }
    live.note_signal().await;
    // Whoever left at once had items in hand; nobody has them now.
    let recorded = match ledger.give_back(run).await {
        Ok(_) => ledger.end_run(run, word, ended).await,
        Err(error) => Err(error),
    };
    let summary = ledger.summary(run).await?;
    let stopped_by = live.draining().filter(|_| word == "stopped");
    report(
        context,
        &ledger,
        run,
        &summary,
        &drive,
        begun.elapsed(),
        stopped_by,
    )
    .await?;
    recorded?;
    let packed = std::mem::take(&mut *drive.packed.lock().unwrap_or_else(PoisonError::into_inner));
    let gaps = packed.iter().any(|packed| {
        packed.gaps > 0 || packed.folder.is_none() || matches!(packed.told, Some(Told::Refused(_)))
    });
    for packed in &packed {
        say_packed(context, packed);
    }
    let mut exits: Vec<Exit> = summary
        .iter()
        .map(|count| Exit::of_state(&count.state))
        .collect();
    if gaps || ledger.posts_refused().await?.is_some() {
        exits.push(Exit::SomeFailed);
    }
    match outcome {
        Ok(Outcome::Finished) => {}
        Ok(Outcome::Stopped | Outcome::Waiting) => exits.push(Exit::Stopped),
        Ok(Outcome::Failed(failure)) => return Err(failure.into()),
        Err(error) => return Err(error.into()),
    }
    // What waits for an earlier version that cannot be done is no reason to resume.
    if word == "done" {
        for exit in &mut exits {
            if *exit == Exit::Stopped {
                *exit = Exit::SomeFailed;
            }
        }
    }
    Ok(Exit::of_all(exits))
}

/// Says what became of a package.
pub(crate) fn say_packed(context: &Context, packed: &Packed) {
    context.output.event(
        "package",
        json!({
            "collection": packed.collection, "title": packed.title, "folder": packed.folder,
            "files": packed.files, "bytes": packed.bytes, "gaps": packed.gaps,
            "left_out": packed.left_out, "written": packed.written, "complete": packed.complete,
            "collection_marked": packed.told.as_ref().map(|told| match told {
                Told::Before => "before",
                Told::Now => "now",
                Told::Refused(_) => "refused",
            }),
        }),
    );
    let gaps = match packed.gaps {
        0 => String::new(),
        1 => ", with 1 gap; summary.html lists it".to_owned(),
        gaps => format!(", with {gaps} gaps; summary.html lists them"),
    };
    let (style, state) = match (packed.complete, packed.written, packed.gaps) {
        (false, ..) => (BAD, "not complete; `longhaul resume` goes on"),
        (true, 0, 0) => (DIM, "as it was, nothing written"),
        (true, 0, _) => (BAD, "as it was, nothing written"),
        (true, _, 0) => (GOOD, "complete"),
        (true, ..) => (BAD, "written"),
    };
    let gaps = if packed.complete { gaps } else { String::new() };
    context.output.say(match packed.folder {
        None => styled(
            BAD,
            format!(
                "  no package of {}: nothing of it is there to be packed",
                packed.title
            ),
        ),
        Some(folder) => format!(
            "  package {} in node {folder}: {} files, {}, {}",
            packed.title,
            packed.files,
            display_bytes(packed.bytes),
            styled(style, format!("{state}{gaps}"))
        ),
    });
    match &packed.told {
        Some(Told::Now) => context.output.say("  the collection in iconik says so now"),
        Some(Told::Refused(why)) => context.output.say(styled(
            BAD,
            format!("  the collection could not be marked: {why}; see `package.mark`"),
        )),
        Some(Told::Before) | None => {}
    }
    if packed.left_out > 0 {
        context.output.say(styled(
            DIM,
            format!(
                "  {:>6} left out and no gaps: not final (`package.only`), or with no content of their own; summary.html lists them",
                packed.left_out
            ),
        ));
    }
}

async fn report(
    context: &Context,
    ledger: &Ledger,
    run: RunId,
    summary: &[StateCount],
    drive: &Drive,
    took: Duration,
    stopped_by: Option<String>,
) -> anyhow::Result<()> {
    use std::sync::atomic::Ordering::Relaxed;
    let output = &context.output;
    let facts = ledger.run(Some(run)).await?;
    let already = facts.as_ref().map_or(0, |run| run.already_done);
    let left_out = facts.as_ref().map_or(0, |run| run.left_out);
    let progress = drive.progress();
    let (confirmed, resent, read_back) = (
        progress.confirmed.load(Relaxed),
        progress.resent.load(Relaxed),
        progress.read_back.load(Relaxed),
    );
    let changes = drive.scan.changes();
    let untold = ledger.posts_waiting().await?;
    let (refused, why) = ledger.posts_refused().await?.unwrap_or_default();
    let used = Resources::now();
    output.event(
        "summary",
        json!({
            "run": run, "states": summary.iter().map(|count| json!({"state": count.state, "items": count.items, "bytes": count.bytes})).collect::<Vec<_>>(),
            "stopped_by": stopped_by, "already_done": already, "left_out": left_out, "changed_since_plan": changes, "outbox": untold, "not_told": refused, "bytes_confirmed": confirmed, "bytes_resent": resent, "bytes_read_back": read_back,
            "seconds": took.as_secs_f64(), "cpu_seconds": used.cpu.as_secs_f64(), "peak_memory": used.peak_memory,
            "waited_seconds": progress.waited().into_iter().map(|(name, time)| (name.to_owned(), json!(time.as_secs_f64()))).collect::<serde_json::Map<_, _>>(),
        }),
    );
    output.say(styled(BOLD, format!("run {run}")));
    if let Some(why) = stopped_by {
        output.say(format!("  drained by {why}; `longhaul resume` goes on"));
    }
    for count in summary {
        let style = match count.state.as_str() {
            "done" => GOOD,
            "planned" | "active" | "waiting" => DIM,
            _ => BAD,
        };
        output.say(format!(
            "  {:>6} {} ({})",
            count.items,
            styled(style, &count.state),
            display_bytes(count.bytes)
        ));
    }
    if already > 0 {
        output.say(format!("  {already:>6} done before, unchanged"));
    }
    if left_out > 0 {
        output.say(format!(
            "  {left_out:>6} left out by a filter or with nothing to file (`longhaul audit --run {run}` says why)"
        ));
    }
    for (what, count) in &changes {
        output.say(format!(
            "  {count:>6} {} since the plan (`longhaul audit --run {run}` says which)",
            what.replace('-', " ")
        ));
    }
    output.note(styled(
        DIM,
        format!(
            "  {} confirmed by this process, {} sent again, {} read back",
            display_bytes(confirmed),
            display_bytes(resent),
            display_bytes(read_back)
        ),
    ));
    let memory = used.peak_memory.map_or_else(String::new, |peak| {
        format!(", {} of memory at most", display_bytes(peak))
    });
    output.note(styled(
        DIM,
        format!(
            "  {:.1} s, {:.1} s of CPU{memory}",
            took.as_secs_f64(),
            used.cpu.as_secs_f64()
        ),
    ));
    if refused > 0 {
        output.say(styled(
            BAD,
            format!(
                "  {refused:>6} filed, but iconik did not take what it was told: {why}; mend `publish.write_back`, and the next run tells it"
            ),
        ));
    }
    let later = untold.saturating_sub(refused);
    if later > 0 {
        output.say(format!(
            "  {later:>6} filed, but iconik was not told yet; `longhaul resume` tells it"
        ));
    }
    for state in STOPPED {
        trouble(context, ledger, run, state).await?;
    }
    Ok(())
}

/// Items a person must look at, the first few of each state.
async fn trouble(
    context: &Context,
    ledger: &Ledger,
    run: RunId,
    state: &str,
) -> anyhow::Result<()> {
    const SHOWN: usize = 20;
    let items = ledger.items(run, Some(state), ItemId(0), SHOWN + 1).await?;
    for item in items.iter().take(SHOWN) {
        let message = item.message.as_deref().unwrap_or("no reason recorded");
        let class = item.class.as_deref().and_then(FailureClass::from_name);
        // What is held waits for somebody: nothing of it need be wrong.
        let title = class
            .filter(|_| state != "held")
            .map_or_else(String::new, |class| format!(" [{}]", class.title()));
        context.output.say(format!(
            "  {} {}{title}: {message}",
            styled(BAD, state),
            item.title
        ));
        context.output.event(
            "item",
            json!({"item": item.id, "key": item.key, "title": item.title, "state": state, "class": item.class, "reason": item.reason, "message": message, "attempts": item.attempts, "remedy": class.map(|class| class.remedy_for(state, item.reason.as_deref()))}),
        );
    }
    if items.len() > SHOWN {
        context.output.say(format!(
            "  … `longhaul status --run {run} --state {state}` lists them all"
        ));
    }
    if !items.is_empty()
        && let Some(remedy) = super::decide::remedy(state)
    {
        context.output.note(styled(DIM, format!("  {remedy}")));
    }
    Ok(())
}
