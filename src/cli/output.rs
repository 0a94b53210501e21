//! The one place that prints: text for people, or JSON lines.
//!
//! Results go to standard output, what is going on to standard error, so that a pipe holds only
//! what was asked for. Every JSON line has `schema` (`longhaul/1`) and `type`; the last is always
//! `exit`. A closed pipe ends the output, never the work. Titles and messages of other systems
//! cannot steer the terminal: only our own colours pass.

use std::borrow::Cow;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anstyle::{AnsiColor, Style};
use indicatif::ProgressBar;
use serde_json::{Value, json};

use super::exit::Exit;
use crate::telemetry;

/// The version of the JSON lines.
const SCHEMA: &str = "longhaul/1";

/// Where a command's results go.
#[derive(Debug)]
pub(crate) struct Output {
    json: bool,
    quiet: bool,
    closed: AtomicBool,
    exited: AtomicBool,
    live: Mutex<Option<ProgressBar>>,
}

/// Emphasis for people; nothing in pipes, under `NO_COLOR` or in JSON.
pub(crate) const BOLD: Style = Style::new().bold();
/// What went well.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
/// What may be wrong.
pub(crate) const WARN: Style = AnsiColor::Yellow.on_default();
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
            exited: AtomicBool::new(false),
            live: Mutex::new(None),
        }
    }

    /// Whether JSON lines are wanted.
    pub(crate) fn json(&self) -> bool {
        self.json
    }

    /// Lines that are printed while this bar is drawn go above it; `None` when it is gone.
    pub(crate) fn above(&self, bar: Option<ProgressBar>) {
        *self.live.lock().unwrap_or_else(PoisonError::into_inner) = bar;
    }

    /// A line for people: a result. Not in JSON.
    pub(crate) fn say(&self, line: impl std::fmt::Display) {
        if !self.json {
            self.write(&format!("{line}\n"));
        }
    }

    /// A line for people about what is going on: not in JSON, not with `--quiet`.
    pub(crate) fn note(&self, line: impl std::fmt::Display) {
        if !self.quiet && !self.json {
            self.aside(&line.to_string());
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
    /// Only the first end counts.
    pub(crate) fn exit(&self, exit: Exit, message: Option<&str>) {
        if self.exited.swap(true, Ordering::Relaxed) {
            return;
        }
        let message = message.map(telemetry::scrub);
        if self.json {
            self.event(
                "exit",
                json!({"code": exit.code(), "name": exit.name(), "message": message}),
            );
        } else if let Some(message) = message {
            let label = match exit {
                Exit::Stopped => "stopped",
                _ => "error",
            };
            self.aside(&format!("{}: {message}", styled(BAD, label)));
        }
    }

    /// A line on standard error. Whether anybody reads it changes nothing.
    fn aside(&self, line: &str) {
        self.around_the_bar(|| {
            let _ = writeln!(anstream::stderr(), "{}", harmless(line));
        });
    }

    fn write(&self, text: &str) {
        if self.closed.load(Ordering::Relaxed) {
            return;
        }
        self.around_the_bar(|| {
            let mut out = anstream::stdout().lock();
            if out
                .write_all(harmless(text).as_bytes())
                .and_then(|()| out.flush())
                .is_err()
            {
                self.closed.store(true, Ordering::Relaxed);
            }
        });
    }

    fn around_the_bar(&self, print: impl FnOnce()) {
        let bar = self
            .live
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        match bar {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }
}

/// Log lines: on standard error, above the live line while one is drawn.
pub(crate) struct Log(pub(crate) Arc<Output>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut written = Ok(());
        self.0
            .around_the_bar(|| written = std::io::stderr().write_all(bytes));
        written.map(|()| bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        std::io::stderr().flush()
    }
}

/// The text without control characters, but for line ends, tabs and colours (`ESC [ … m`). What
/// another system calls a file must not move the cursor or set the window's title.
fn harmless(text: &str) -> Cow<'_, str> {
    let allowed = |c: char| !c.is_control() || matches!(c, '\n' | '\t');
    if text.chars().all(allowed) {
        return Cow::Borrowed(text);
    }
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let colour = rest.strip_prefix("\u{1b}[").and_then(|after| {
            let end = after.find(|c: char| !(c.is_ascii_digit() || c == ';'))?;
            after[end..].starts_with('m').then_some(2 + end + 1)
        });
        let taken = colour.unwrap_or(c.len_utf8());
        if colour.is_some() || allowed(c) {
            kept.push_str(&rest[..taken]);
        } else {
            kept.push('\u{fffd}');
        }
        rest = &rest[taken..];
    }
    Cow::Owned(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_from_elsewhere_cannot_steer_the_terminal() {
        assert_eq!(harmless("Über\tclip\n"), "Über\tclip\n");
        assert_eq!(
            harmless("a\u{1b}]0;owned\u{7}b\u{1b}[2Jc\rd\u{9b}1A"),
            "a\u{fffd}]0;owned\u{fffd}b\u{fffd}[2Jc\u{fffd}d\u{fffd}1A"
        );
        let bad = styled(BAD, "failed");
        assert_eq!(harmless(&bad), bad, "our own colours pass");
        assert_eq!(harmless("\u{1b}[31"), "\u{fffd}[31");
    }
}
