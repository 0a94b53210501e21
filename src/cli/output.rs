//! The one place that prints: text for people, or JSON lines.
//!
//! Every JSON line has `schema` (`longhaul/1`) and `type`; the last is always `exit`. A closed
//! pipe ends the output, never the work.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};

use anstyle::{AnsiColor, Style};
use serde_json::{Value, json};

use super::exit::Exit;

/// The version of the JSON lines.
const SCHEMA: &str = "longhaul/1";

/// Where a command's results go.
#[derive(Debug)]
pub(crate) struct Output {
    json: bool,
    quiet: bool,
    closed: AtomicBool,
}

/// Emphasis for people; nothing in pipes, under `NO_COLOR` or in JSON.
pub(crate) const BOLD: Style = Style::new().bold();
/// What went well.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
/// What a person must see to.
pub(crate) const BAD: Style = AnsiColor::Red.on_default();
/// What is less important.
pub(crate) const DIM: Style = Style::new().dimmed();

/// A text in a style.
pub(crate) fn styled(style: Style, text: impl std::fmt::Display) -> String {
    format!("{style}{text}{style:#}")
}

impl Output {
    pub(crate) fn new(json: bool, quiet: bool) -> Self {
        Self {
            json,
            quiet,
            closed: AtomicBool::new(false),
        }
    }

    /// Whether JSON lines are wanted.
    pub(crate) fn json(&self) -> bool {
        self.json
    }

    /// A line for people: a result. Not in JSON.
    pub(crate) fn say(&self, line: impl std::fmt::Display) {
        if !self.json {
            self.write(&format!("{line}\n"));
        }
    }

    /// A line for people about what is going on: not with `--quiet`.
    pub(crate) fn note(&self, line: impl std::fmt::Display) {
        if !self.quiet {
            self.say(line);
        }
    }

    /// A JSON line of `kind`, when JSON is wanted.
    pub(crate) fn event(&self, kind: &str, data: Value) {
        if self.json {
            let mut line = json!({"schema": SCHEMA, "type": kind});
            if let (Value::Object(line), Value::Object(data)) = (&mut line, data) {
                line.extend(data);
            }
            self.write(&format!("{line}\n"));
        }
    }

    /// Bytes as they are (an exported master, the first line of the simulators).
    pub(crate) fn raw(&self, bytes: &[u8]) -> std::io::Result<()> {
        let mut out = std::io::stdout().lock();
        out.write_all(bytes)?;
        out.flush()
    }

    /// The end of a command: an error's text for people on standard error, or the `exit` line.
    pub(crate) fn exit(&self, exit: Exit, message: Option<&str>) {
        if self.json {
            self.event(
                "exit",
                json!({"code": exit.code(), "name": exit.name(), "message": message}),
            );
        } else if let Some(message) = message {
            let label = styled(
                BAD,
                if exit == Exit::Stopped {
                    "stopped"
                } else {
                    "error"
                },
            );
            let _closed_or_written = writeln!(anstream::stderr(), "{label}: {message}");
        }
    }

    fn write(&self, text: &str) {
        if self.closed.load(Ordering::Relaxed) {
            return;
        }
        let mut out = anstream::stdout().lock();
        if out
            .write_all(text.as_bytes())
            .and_then(|()| out.flush())
            .is_err()
        {
            self.closed.store(true, Ordering::Relaxed);
        }
    }
}
