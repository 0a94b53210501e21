//! `report`: what a run came to, as a page to sign, a table, or JSON lines.

use std::io::{BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde_json::json;

use super::exit::{Ended, Exit};
use super::new_file::NewFile;
use super::output::{BAD, GOOD, WARN, styled};
use super::{Context, connect, freeze};
use crate::ledger::Reader;
use crate::report::{self, Report, Setting, Standing};
use crate::settings::Resolved;
use crate::types::RunId;

/// Write down what a run came to: verdict, numbers that add up, proof, failures, speed
///
/// The HTML form is one file to read, print and sign; the CSV form has a row for each item; the JSON
/// form has a line for each item and one of type `report`. All have the same numbers. Works beside a
/// running process and after a dead one. A file is written whole or not at all, for its owner alone.
///
/// Examples:
///   longhaul report --out report.html
///   longhaul report --run 3 --out items.csv
///   longhaul report --format json | jq 'select(.type == "report") | .verdict'
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Arguments {
    /// The run [default: the last]
    #[arg(long, value_name = "N")]
    run: Option<i64>,
    /// The form [default: by the name of --out, else html; json with --json]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Where to write [default: standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Replace a file that exists
    #[arg(long, requires = "out")]
    force: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Html,
    Csv,
    Json,
}

impl Format {
    fn of_name(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_str()?.to_ascii_lowercase();
        match extension.as_str() {
            "html" | "htm" => Some(Self::Html),
            "csv" => Some(Self::Csv),
            "json" | "jsonl" | "ndjson" => Some(Self::Json),
            _ => None,
        }
    }
}

pub(crate) fn run(context: &Context, arguments: &Arguments) -> anyhow::Result<Exit> {
    let settings = context.settings(Vec::new())?;
    let output = &context.output;
    let out = arguments
        .out
        .as_deref()
        .filter(|path| *path != Path::new("-"));
    let format = arguments
        .format
        .or_else(|| out.and_then(Format::of_name))
        .unwrap_or(if output.json() && out.is_none() {
            Format::Json
        } else {
            Format::Html
        });
    let ledger = connect::existing_ledger(&settings)?;
    let Some(run) = ledger.run(arguments.run.map(RunId))? else {
        return Err(Ended::usage(match arguments.run {
            Some(number) => format!("the ledger has no run {number}"),
            None => "the ledger has no run yet".to_owned(),
        }));
    };
    let job = Job {
        ledger: &ledger,
        run: &run,
        settings: now(&settings),
        format,
        migration: freeze::line(&ledger)?
            .filter(|_| run.command == "migrate")
            .map(|(_, said)| said),
    };
    let Some(path) = out else {
        return to_stdout(context, job);
    };
    let file = NewFile::at(path, &settings.ledger.path, arguments.force)?;
    let report = file.write(|writer| Ok(job.write(writer)?))?;
    let style = match report.standing {
        Standing::Good => GOOD,
        Standing::Open => WARN,
        Standing::Bad => BAD,
    };
    output.say(styled(style, &report.verdict));
    output.say(format!("written to {}", file.path().display()));
    output.event(
        "reported",
        json!({"run": report.run, "to": file.path(), "standing": report.standing, "verdict": report.verdict, "items": report.planned.items, "bytes": report.planned.bytes, "digest": report.chain.digest}),
    );
    Ok(exit(&report))
}

fn to_stdout(context: &Context, job: Job<'_>) -> anyhow::Result<Exit> {
    let output = &context.output;
    if output.json() {
        if job.format != Format::Json {
            return Err(Ended::usage(
                "--json and this form would mix on standard output; name a file with --out",
            ));
        }
        let mut report = report::collect(job.ledger, job.run, job.settings, &mut |row| {
            output.event("report_item", report::json::row(row));
            Ok(())
        })?;
        report.migration = job.migration;
        output.event("report", report::json::report(&report));
        return Ok(exit(&report));
    }
    if job.format == Format::Html && std::io::stdout().is_terminal() {
        return Err(Ended::usage(
            "a page is for a browser: name a file with --out report.html, or send it on through a pipe",
        ));
    }
    let mut writer = BufWriter::new(std::io::stdout().lock());
    let written = job.write(&mut writer).and_then(|report| {
        writer.flush()?;
        Ok(report)
    });
    match written {
        Ok(report) => Ok(exit(&report)),
        // Whoever reads has seen enough.
        Err(report::Error::Write(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => {
            Ok(Exit::Done)
        }
        Err(error) => Err(error.into()),
    }
}

/// A report of an unfinished run is still a report; one of a changed journal proves nothing.
fn exit(report: &Report) -> Exit {
    if report.chain.intact {
        Exit::Done
    } else {
        Exit::Mismatch
    }
}

struct Job<'a> {
    ledger: &'a Reader,
    run: &'a crate::ledger::Run,
    settings: Vec<Setting>,
    format: Format,
    /// How a frozen migration stands.
    migration: Option<String>,
}

impl Job<'_> {
    fn write(self, to: &mut dyn Write) -> Result<Report, report::Error> {
        let (ledger, run, settings) = (self.ledger, self.run, self.settings);
        let migration = self.migration;
        match self.format {
            Format::Html => {
                let mut report = report::collect(ledger, run, settings, &mut |_| Ok(()))?;
                report.migration = migration;
                to.write_all(report::html::page(&report).as_bytes())?;
                Ok(report)
            }
            Format::Csv => {
                let mut writer = report::csv::Writer::new(to)?;
                let report = report::collect(ledger, run, settings, &mut |row| writer.row(row))?;
                writer.finish()?;
                Ok(report)
            }
            Format::Json => {
                let mut report = report::collect(ledger, run, settings, &mut |row| {
                    Ok(writeln!(to, "{}", report::json::row(row))?)
                })?;
                report.migration = migration;
                writeln!(to, "{}", report::json::report(&report))?;
                Ok(report)
            }
        }
    }
}

/// The settings as they are now, without secrets.
fn now(settings: &Resolved) -> Vec<Setting> {
    let shown = settings.shown.iter().filter(|shown| !shown.secret);
    shown
        .filter_map(|shown| {
            let value = crate::telemetry::scrub(shown.value.as_deref()?).into_owned();
            Some(Setting {
                key: shown.key.to_owned(),
                value,
            })
        })
        .collect()
}
