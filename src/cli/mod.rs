//! The command line: arguments, one file per subcommand, output and exit codes.
//!
//! Arguments are what was typed; [`settings`](crate::settings) resolves them with environment and
//! file; `connect` makes each module's own configuration. Only this module prints or exits.

mod adopt;
mod approval;
mod archive;
mod audit;
mod bench;
mod connect;
mod decide;
mod doctor;
mod examples;
mod exchange;
mod exit;
mod export;
mod freeze;
mod init;
mod lifecycle;
mod manual;
mod map;
mod metadata;
mod migrate;
mod new_file;
mod output;
mod package;
mod plan;
mod progress;
mod publish;
mod reconcile;
mod record;
mod references;
mod report;
mod resume;
mod retry;
mod rights;
mod run;
#[cfg(test)]
mod sample;
mod schedule;
mod select;
mod settings;
mod signals;
#[cfg(feature = "simulator")]
mod simulate;
mod status;
mod steer;
mod top;
mod verify;
mod when;
mod who;
mod words;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use self::exit::Exit;
use self::output::Output;
use crate::settings::{Flag, Resolved, Sources};
use crate::telemetry;

/// Moves media masters from iconik to OpenText Content Server: streamed, hashed in flight,
/// resumable, proved.
#[derive(Debug, Parser)]
#[command(
    name = "longhaul",
    version,
    arg_required_else_help = true,
    propagate_version = true
)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Options of every command")]
struct Global {
    /// Settings file [default: LONGHAUL_CONFIG, ./longhaul.toml, the user's own]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Ledger file [default: longhaul.db]
    #[arg(long, global = true, value_name = "FILE")]
    ledger: Option<String>,
    /// Print JSON lines; the last is of type `exit`
    #[arg(long, global = true)]
    json: bool,
    /// Print results and errors only
    #[arg(long, short, global = true)]
    quiet: bool,
    /// What to log to standard error: error, warn, info, debug, trace, or filters
    #[arg(long, global = true, value_name = "FILTER", default_value = "warn")]
    log_level: String,
    /// How to log
    #[arg(long, global = true, value_enum, default_value = "text")]
    log_format: LogFormat,
    /// When to use colour
    #[arg(long, global = true, value_enum, default_value = "auto")]
    color: Color,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Color {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
enum Command {
    // A text above a variant would replace the longer one, with its examples, of its arguments.
    /// Show the main job, end to end, on built-in simulators
    #[cfg(feature = "simulator")]
    Demo(simulate::demo::Arguments),
    /// Measure how fast masters go through
    Bench(bench::Arguments),
    /// Write a settings file to fill in
    Init(init::Arguments),
    Doctor(doctor::Arguments),
    Plan(plan::Arguments),
    Archive(archive::Arguments),
    Migrate(migrate::Arguments),
    Freeze(freeze::Arguments),
    Publish(publish::Arguments),
    Metadata(metadata::Arguments),
    /// Ask what may be done with an asset, and which licences end
    #[command(subcommand)]
    Rights(rights::Command),
    Approval(approval::Arguments),
    Lifecycle(lifecycle::Arguments),
    References(references::Arguments),
    Exchange(exchange::Arguments),
    Run(schedule::Arguments),
    /// Try the field mapping on an asset
    #[command(subcommand)]
    Map(map::Command),
    Status(status::Arguments),
    Resume(resume::Arguments),
    Top(top::Arguments),
    Pause(steer::Pause),
    Drain(steer::Drain),
    Limit(steer::Limit),
    Retry(retry::Arguments),
    /// Read back what is filed and compare it with the record
    Verify(verify::Arguments),
    /// Decide what becomes of items that stopped
    Decide(decide::Arguments),
    Reconcile(reconcile::Arguments),
    Report(report::Arguments),
    /// Learn from Content Server what a lost ledger knew
    Adopt(adopt::Arguments),
    /// Show the journal, or check that no line of it was changed
    Audit(audit::Arguments),
    /// Write a filed master to a file or standard output
    Export(export::Arguments),
    /// Write a campaign's package to disk, or check it in Content Server
    #[command(subcommand)]
    Package(package::Command),
    /// Show or check the settings
    #[command(subcommand)]
    Settings(settings::Command),
    Completions(manual::Completions),
    Man(manual::Manual),
    /// Serve simulators of iconik, its storage and Content Server until stopped
    #[cfg(feature = "simulator")]
    Simulate(simulate::Arguments),
}

/// What every command has.
pub(crate) struct Context {
    pub(crate) output: Arc<Output>,
    sources: Sources,
}

impl Context {
    /// The settings, with the command's own flags.
    pub(crate) fn settings(&self, flags: Vec<Flag>) -> anyhow::Result<Resolved> {
        let mut sources = self.sources.clone();
        sources.flags.extend(flags);
        let resolved = crate::settings::load(&sources)?;
        for warning in &resolved.warnings {
            tracing::warn!("{warning}");
        }
        Ok(resolved)
    }
}

/// A setting that a command's own flag sets.
pub(crate) fn flag(name: &str, key: &str, value: impl ToString) -> Flag {
    Flag {
        flag: format!("--{name}"),
        key: key.to_owned(),
        value: value.to_string(),
    }
}

/// The command line's one definition: help, completions and manual pages come from it.
fn command() -> clap::Command {
    examples::with_examples(Cli::command())
}

/// Parses the arguments and runs the command.
pub fn main() -> ExitCode {
    let parsed = command()
        .try_get_matches()
        .and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    match cli.global.color {
        Color::Auto => {}
        Color::Always => anstream::ColorChoice::Always.write_global(),
        Color::Never => anstream::ColorChoice::Never.write_global(),
    }
    harden();
    let output = Arc::new(Output::new(cli.global.json, cli.global.quiet));
    report_panics(&output);
    let format = match cli.global.log_format {
        LogFormat::Text => telemetry::Format::Text,
        LogFormat::Json => telemetry::Format::Json,
    };
    let logs = Arc::clone(&output);
    let started = telemetry::init(&cli.global.log_level, format, move || {
        output::Log(Arc::clone(&logs))
    });
    if let Err(error) = started {
        output.exit(Exit::Usage, Some(&format!("--log-level: {error}")));
        return Exit::Usage.code().into();
    }
    let flags = cli
        .global
        .ledger
        .iter()
        .map(|path| flag("ledger", "ledger.path", path))
        .collect();
    let context = Context {
        output: Arc::clone(&output),
        sources: Sources::of_process(cli.global.config, flags),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            output.exit(
                Exit::Defect,
                Some(&format!("the runtime cannot start: {error}")),
            );
            return Exit::Defect.code().into();
        }
    };
    let ended = runtime.block_on(async {
        signals::take_file_size();
        dispatch(&context, cli.command).await
    });
    // Blocking tasks (a hash, a read) hold nothing that must be waited for.
    runtime.shutdown_background();
    let exit = match ended {
        Ok(exit) => {
            output.exit(exit, None);
            exit
        }
        Err(error) => {
            let exit = Exit::of_error(&error);
            output.exit(exit, Some(&explain(&error)));
            exit
        }
    };
    exit.code().into()
}

async fn dispatch(context: &Context, command: Command) -> anyhow::Result<Exit> {
    match command {
        #[cfg(feature = "simulator")]
        Command::Demo(arguments) => Box::pin(simulate::demo::run(context, arguments)).await,
        Command::Bench(arguments) => Box::pin(bench::run(context, arguments)).await,
        Command::Init(arguments) => init::run(context, &arguments),
        Command::Doctor(arguments) => Box::pin(doctor::run(context, arguments)).await,
        Command::Plan(arguments) => Box::pin(plan::run(context, arguments)).await,
        Command::Archive(arguments) => Box::pin(archive::run(context, arguments)).await,
        Command::Migrate(arguments) => Box::pin(migrate::run(context, arguments)).await,
        Command::Freeze(arguments) => Box::pin(freeze::run(context, arguments)).await,
        Command::Map(command) => Box::pin(map::run(context, command)).await,
        Command::Rights(command) => Box::pin(rights::run(context, command)).await,
        Command::Metadata(arguments) => Box::pin(metadata::run(context, arguments)).await,
        Command::Approval(arguments) => Box::pin(approval::run(context, arguments)).await,
        Command::Lifecycle(arguments) => Box::pin(lifecycle::run(context, arguments)).await,
        Command::References(arguments) => Box::pin(references::run(context, arguments)).await,
        Command::Exchange(arguments) => Box::pin(exchange::run(context, arguments)).await,
        Command::Run(arguments) => Box::pin(schedule::run(context, arguments)).await,
        Command::Publish(arguments) => Box::pin(publish::run(context, arguments)).await,
        Command::Status(arguments) => status::run(context, &arguments).await,
        Command::Resume(arguments) => Box::pin(resume::run(context, arguments)).await,
        Command::Top(arguments) => top::run(context, &arguments).await,
        Command::Pause(arguments) => steer::pause(context, arguments).await,
        Command::Drain(arguments) => steer::drain(context, arguments).await,
        Command::Limit(arguments) => steer::limit(context, arguments).await,
        Command::Retry(arguments) => retry::run(context, arguments).await,
        Command::Verify(arguments) => Box::pin(verify::run(context, arguments)).await,
        Command::Decide(arguments) => Box::pin(decide::run(context, arguments)).await,
        Command::Reconcile(arguments) => Box::pin(reconcile::run(context, arguments)).await,
        Command::Report(arguments) => report::run(context, &arguments),
        Command::Adopt(arguments) => Box::pin(adopt::run(context, arguments)).await,
        Command::Audit(arguments) => Box::pin(audit::run(context, &arguments)).await,
        Command::Export(arguments) => Box::pin(export::run(context, arguments)).await,
        Command::Package(command) => Box::pin(package::run(context, command)).await,
        Command::Settings(command) => settings::run(context, &command).await,
        Command::Completions(arguments) => manual::completions(context, &arguments),
        Command::Man(arguments) => manual::man(context, &arguments),
        #[cfg(feature = "simulator")]
        Command::Simulate(arguments) => Box::pin(simulate::run(context, arguments)).await,
    }
}

/// An error with its causes, each said once.
fn explain(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        if !text.contains(&cause) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&cause);
        }
    }
    text
}

fn usage(error: &clap::Error) -> ExitCode {
    use clap::error::ErrorKind;
    let asked = matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    );
    let json = std::env::args_os().any(|argument| argument == "--json");
    if json && !asked {
        Output::new(true, false).exit(Exit::Usage, Some(error.render().to_string().trim()));
    } else if error.print().is_err() {
        // Nobody reads the help any more.
    }
    if asked {
        ExitCode::SUCCESS
    } else {
        Exit::Usage.code().into()
    }
}

/// Secrets are in this process's memory: no core dumps, no reading by others.
fn harden() {
    #[cfg(target_os = "linux")]
    if let Err(error) =
        rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)
    {
        tracing::debug!(%error, "core dumps stay on");
    }
}

/// A panic is a defect: one line that says so, and exit code 70, whichever task it is in. The
/// ledger is durable at every step, so leaving at once loses nothing that is recorded.
fn report_panics(output: &Arc<Output>) {
    let output = Arc::clone(output);
    let backtrace = std::env::var_os("RUST_BACKTRACE").is_some();
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if backtrace {
            usual(panic);
        }
        let place = panic
            .location()
            .map(|place| format!(" at {}:{}", place.file(), place.line()))
            .unwrap_or_default();
        let what = panic.payload_as_str().unwrap_or("no further word");
        output.exit(
            Exit::Defect,
            Some(&format!(
                "defect{place}: {what}; please report it. The ledger is good: `longhaul resume` goes on"
            )),
        );
        leave(Exit::Defect.code().into());
    }));
}

/// Ends the process where it stands: after a defect, and for whoever sends a third signal.
#[expect(
    clippy::exit,
    reason = "a defect must not go on, and a third signal wants the process gone"
)]
fn leave(code: i32) {
    std::process::exit(code);
}
