//! `freeze`: the cut-over of a migration, and what has changed at the source since.

use std::collections::{BTreeMap, HashSet};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::exit::{Ended, Exit};
use super::output::{BAD, BOLD, DIM, GOOD, WARN, styled};
use super::select::Selection;
use super::{Context, connect, when, who};
use crate::flows::migrate::drift::drift;
use crate::flows::migrate::freeze::{self, Freeze, Look};
use crate::ledger::{Change, Entry, Ledger, Reader, Run};
use crate::settings::Resolved;
use crate::types::RunId;

/// What a run is told that moves although the migration is frozen.
pub(crate) const DESPITE: &str = "despite_freeze";

/// Changes that people are shown one by one; `--json` has all.
const SHOWN: u64 = 100;
const PAGE: usize = 500;

/// Mark the cut-over of the migration: from now on `migrate` moves nothing
///
/// It says what has changed at the source since instead (new, changed and gone assets), and ends with
/// 3 when something has. `--lift` takes the mark back. Who, when and why is in the journal.
///
/// Examples:
///   longhaul freeze --because 'cut-over, change 4711' --dry-run
///   longhaul freeze --because 'cut-over, change 4711'
///   longhaul migrate --query 'title:promo*'          # says what has changed since
///   longhaul freeze --lift --because 'late delivery of campaign X'
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Arguments {
    /// Take the mark back: `migrate` moves what is new or changed again
    #[arg(long)]
    lift: bool,
    /// Why, for the journal
    #[arg(long, value_name = "TEXT")]
    because: String,
    /// Only say what would be marked
    #[arg(long)]
    dry_run: bool,
}

pub(crate) async fn run(context: &Context, arguments: Arguments) -> anyhow::Result<Exit> {
    let mark = Freeze {
        at: Timestamp::now(),
        by: who::described(),
        because: who::because(&arguments.because)?.to_owned(),
    };
    let settings = context.settings(Vec::new())?;
    let path = connect::must_exist(&settings)?;
    let (standing, unmoved, ledger) = if arguments.dry_run {
        let reader = Reader::open(path)?;
        (freeze::standing(&reader)?, unmoved(&reader)?, None)
    } else {
        let ledger = connect::open_ledger(path, "freeze")?;
        let unmoved = unmoved(&Reader::open(path)?)?;
        (freeze::of(&ledger).await?, unmoved, Some(ledger))
    };
    let output = &context.output;
    let would = if arguments.dry_run { "would be" } else { "is" };
    let (state, freeze) = match (arguments.lift, standing) {
        (false, Some(standing)) => {
            output.say(format!("already {}; nothing is changed", said(&standing)));
            ("frozen", Some(standing))
        }
        (false, None) => {
            if let Some(ledger) = &ledger {
                freeze::set(ledger, &mark).await?;
            }
            output.say(format!(
                "the migration {would} {} now: `migrate` moves nothing until `longhaul freeze --lift`",
                styled(GOOD, "frozen")
            ));
            ("frozen", Some(mark))
        }
        (true, Some(standing)) => {
            if let Some(ledger) = &ledger {
                freeze::lift(ledger, standing, &mark).await?;
            }
            output.say(format!(
                "the freeze {would} {}: `migrate` moves what is new or changed again",
                styled(GOOD, "lifted")
            ));
            ("lifted", Some(mark))
        }
        (true, None) => {
            output.say("no freeze stands; nothing is changed");
            ("lifted", None)
        }
    };
    if state == "frozen" && unmoved > 0 {
        output.say(styled(
            WARN,
            format!("{unmoved} items of the migration are not moved (`longhaul status` says why); they stay where they are"),
        ));
    }
    output.event(
        "freeze",
        json!({
            "state": state, "at": freeze.as_ref().map(|freeze| freeze.at),
            "by": freeze.as_ref().map(|freeze| &freeze.by),
            "because": freeze.as_ref().map(|freeze| &freeze.because),
            "dry_run": arguments.dry_run, "not_moved": unmoved, "assets": Value::Null, "changes": Value::Null,
        }),
    );
    Ok(Exit::Done)
}

/// Items of the ledger's migrations that are neither moved nor declined.
fn unmoved(reader: &Reader) -> anyhow::Result<u64> {
    let mut unmoved = 0;
    for run in migrations(reader)? {
        unmoved += crate::flows::drive::not_done(&reader.summary(run.id)?);
    }
    Ok(unmoved)
}

fn migrations(reader: &Reader) -> anyhow::Result<Vec<Run>> {
    let mut found = Vec::new();
    let mut after = RunId(0);
    loop {
        let runs = reader.runs(after, PAGE)?;
        let Some(last) = runs.last() else {
            return Ok(found);
        };
        after = last.id;
        found.extend(runs.into_iter().filter(|run| run.command == "migrate"));
    }
}

/// The freeze that stands in the ledger, if there is a ledger.
pub(crate) fn standing(settings: &Resolved) -> anyhow::Result<Option<Freeze>> {
    // A file without content is what a run leaves that was cut short before it began.
    match std::fs::metadata(&settings.ledger.path) {
        Ok(facts) if facts.len() > 0 => {
            Ok(freeze::standing(&Reader::open(&settings.ledger.path)?)?)
        }
        _ => Ok(None),
    }
}

/// A freeze, for people.
pub(crate) fn said(freeze: &Freeze) -> String {
    format!(
        "frozen since {} by {} ({})",
        when::moment(freeze.at.as_millisecond()),
        freeze.by,
        freeze.because
    )
}

/// Why a run is not resumed while its migration is frozen, when that is so.
pub(crate) fn refusal(reader: &Reader, run: &Run) -> anyhow::Result<Option<String>> {
    if run.command != "migrate" || moves_despite(run) {
        return Ok(None);
    }
    Ok(freeze::standing(reader)?.map(|frozen| refused(run, &frozen)))
}

/// Whether a run was begun to move although the migration is frozen.
fn moves_despite(run: &Run) -> bool {
    let told: Value = serde_json::from_str(&run.arguments).unwrap_or_default();
    told[DESPITE] == true
}

fn refused(run: &Run, frozen: &Freeze) -> String {
    format!(
        "run {} is of a migration that is {}: `longhaul freeze --lift` ends that, and --despite-freeze goes on all the same",
        run.id,
        said(frozen)
    )
}

/// Refuses to go on with a migration that is frozen, unless that is asked for; then the journal
/// says who did.
pub(crate) async fn allow(ledger: &Ledger, run: &Run, despite: bool) -> anyhow::Result<()> {
    if run.command != "migrate" || moves_despite(run) {
        return Ok(());
    }
    let Some(frozen) = freeze::of(ledger).await? else {
        return Ok(());
    };
    if !despite {
        return Err(Ended(Exit::Held, refused(run, &frozen)).into());
    }
    moved_despite(ledger, run.id, &frozen).await
}

/// Says in the journal who moves although the migration is frozen.
pub(crate) async fn moved_despite(
    ledger: &Ledger,
    run: RunId,
    frozen: &Freeze,
) -> anyhow::Result<()> {
    let entry = Entry {
        run: Some(run),
        event: "moved-despite-freeze".into(),
        data: json!({"by": who::described(), "frozen": frozen.at}).to_string(),
        ..Entry::default()
    };
    Ok(ledger.apply(Change::new().journal(entry)).await?)
}

/// The runs that moved this selection, whether by name or by a plan of it.
fn runs_of(reader: &Reader, selection: &Selection) -> anyhow::Result<HashSet<RunId>> {
    let (source, filter) = (selection.source(), &selection.filter);
    let mut same = HashSet::new();
    for run in migrations(reader)? {
        // A plan whose file is gone cannot say what it was of.
        if let Ok(other) = Selection::of_run(&run)
            && other.source() == source
            && other.filter == *filter
        {
            same.insert(run.id);
        }
    }
    Ok(same)
}

/// Instead of a run: what a frozen migration's source has by now that was not moved. What was found
/// is remembered with `ledger`, for `status` and `report`.
pub(crate) async fn look(
    context: &Context,
    settings: &Resolved,
    selection: &Selection,
    frozen: &Freeze,
    ledger: Option<&Ledger>,
) -> anyhow::Result<Exit> {
    let output = &context.output;
    let connected = connect::connect(settings).await?;
    let systems = &connected.systems;
    selection.check(systems).await?;
    let reader = Reader::open(&settings.ledger.path)?;
    let intake = selection.intake(settings, &connected).await?;
    let runs = runs_of(&reader, selection)?;
    output.say(format!(
        "the migration is {}: nothing is moved",
        styled(BOLD, said(frozen))
    ));
    let mut changes: BTreeMap<String, u64> = BTreeMap::new();
    let mut all = 0;
    let assets = selection.enumerate(systems)()?;
    let looked = drift(systems, &reader, &intake, assets, &runs, |drift| {
        *changes.entry(drift.change.to_owned()).or_default() += 1;
        all += 1;
        output.event(
            "changed_since_freeze",
            serde_json::to_value(&drift).unwrap_or_default(),
        );
        if all <= SHOWN {
            output.say(format!(
                "{} {}: {} ({})",
                styled(BAD, drift.change.replace('-', " ")),
                drift.title,
                drift.detail,
                drift.key
            ));
        }
    })
    .await?;
    if all > SHOWN {
        output.say(styled(
            DIM,
            format!("… {} more; --json lists them all", all - SHOWN),
        ));
    }
    let look = Look {
        at: Timestamp::now(),
        assets: looked,
        changes,
    };
    if let Some(ledger) = ledger {
        freeze::looked(ledger, &look).await?;
    }
    output.event(
        "freeze",
        json!({
            "state": "frozen", "at": frozen.at, "by": frozen.by, "because": frozen.because,
            "dry_run": ledger.is_none(), "not_moved": Value::Null, "assets": look.assets, "changes": look.changes,
        }),
    );
    output.say(format!("{looked} assets looked at: {}", counted(&look)));
    if all == 0 {
        return Ok(Exit::Done);
    }
    output.note(styled(
        DIM,
        "move it all the same with --despite-freeze, or after `longhaul freeze --lift`",
    ));
    Ok(Exit::Held)
}

/// What a look found, in words.
pub(crate) fn counted(look: &Look) -> String {
    let counts: Vec<String> = look
        .changes
        .iter()
        .map(|(change, count)| format!("{count} {}", change.replace('-', " ")))
        .collect();
    if counts.is_empty() {
        "all is as it was moved".to_owned()
    } else {
        counts.join(", ")
    }
}

/// How a frozen migration stands, as JSON and in a line; nothing when none is frozen.
pub(crate) fn line(reader: &Reader) -> anyhow::Result<Option<(Value, String)>> {
    let Some(frozen) = freeze::standing(reader)? else {
        return Ok(None);
    };
    let look = freeze::last_look(reader, &frozen)?;
    let since = match &look {
        Some(look) => format!(
            "{} at {}",
            counted(look),
            when::moment(look.at.as_millisecond())
        ),
        None => "`longhaul migrate` says what has changed since".to_owned(),
    };
    let value = json!({
        "state": "frozen", "at": frozen.at, "by": frozen.by, "because": frozen.because,
        "dry_run": false, "not_moved": Value::Null, "assets": look.as_ref().map(|look| look.assets),
        "changes": look.map(|look| look.changes),
    });
    Ok(Some((value, format!("{}: {since}", said(&frozen)))))
}
