//! Log set-up, redaction, the names of spans, and what this process has used.
//!
//! Logs go where the caller says, one event a line, as text for people or JSON for machines.
//! Secrets are kept out where they are born (types that do not print them); [`scrub`] is the last
//! line of defence, on every line just before it leaves.

mod crash;
mod redact;
mod resources;
pub mod spans;

use std::io::{self, Write};

use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

pub use crash::{CRASH_POINTS, crash_point};
pub use redact::{register_secret, scrub};
pub use resources::Resources;

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// A filter that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error(
    "log filter {filter:?} is not understood; write a level such as info, or module=level: {cause}"
)]
pub struct BadFilter {
    filter: String,
    cause: String,
}

/// Starts logging to what `out` makes, one writer a line. `filter` is a level (`info`) or a list of
/// `module=level`. A second call, or one after somebody else's set-up, changes nothing.
///
/// # Errors
///
/// [`BadFilter`] when `filter` cannot be read.
pub fn init<W: Write + 'static>(
    filter: &str,
    format: Format,
    out: impl Fn() -> W + Send + Sync + 'static,
) -> Result<(), BadFilter> {
    let levels = EnvFilter::try_new(filter).map_err(|error| BadFilter {
        filter: filter.to_owned(),
        cause: error.to_string(),
    })?;
    // No colours: their escapes would stand between a name and its value, where redaction looks.
    let builder = tracing_subscriber::fmt()
        .with_env_filter(levels)
        .with_writer(Scrubbed(out))
        .with_ansi(false);
    // Fails only when a subscriber is set already, which is what a second call means.
    let _ = match format {
        Format::Text => builder.try_init(),
        Format::Json => builder.json().flatten_event(true).try_init(),
    };
    Ok(())
}

/// Makes writers whose every line is scrubbed.
struct Scrubbed<M>(M);

impl<'a, M: MakeWriter<'a>> MakeWriter<'a> for Scrubbed<M> {
    type Writer = Line<M::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        Line {
            out: self.0.make_writer(),
            text: Vec::new(),
        }
    }
}

/// Gathers one event and lets it out scrubbed; a secret cannot be split between two writes.
struct Line<W: Write> {
    out: W,
    text: Vec<u8>,
}

impl<W: Write> Write for Line<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let text = std::mem::take(&mut self.text);
        self.out
            .write_all(scrub(&String::from_utf8_lossy(&text)).as_bytes())?;
        self.out.flush()
    }
}

impl<W: Write> Drop for Line<W> {
    fn drop(&mut self) {
        // A closed standard error or a full disk must not stop a transfer.
        let _ = self.flush();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<Vec<u8>>>);

    impl Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(json: bool) -> String {
        let memory = Memory::default();
        let made = memory.clone();
        let builder = tracing_subscriber::fmt()
            .with_writer(Scrubbed(move || made.clone()))
            .with_ansi(false);
        let log = || {
            tracing::warn!(
                url = "https://bucket.test/key?X-Amz-Signature=canary&x=1",
                headers = ?[("OTCSTicket", "canary")],
                body = r#"{"password":"canary","kept":"visible"}"#,
                error = "Authorization: Bearer canary",
                "chunk refused",
            );
        };
        if json {
            let subscriber = builder.json().flatten_event(true).finish();
            tracing::subscriber::with_default(subscriber, log);
        } else {
            tracing::subscriber::with_default(builder.finish(), log);
        }
        String::from_utf8(memory.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn no_secret_leaves_through_any_field_in_either_format() {
        for json in [false, true] {
            let line = logged(json);
            assert!(!line.contains("canary"), "{line}");
            for kept in ["chunk refused", "bucket.test/key", "visible"] {
                assert!(line.contains(kept), "{kept} not in {line}");
            }
            assert_eq!(line.lines().count(), 1);
            if json {
                serde_json::from_str::<serde_json::Value>(&line).unwrap();
            }
        }
    }

    #[test]
    fn set_up_can_be_repeated_and_a_bad_filter_is_named() {
        for format in [Format::Text, Format::Json, Format::Text] {
            init("off", format, io::stderr).unwrap();
        }
        let error = init("longhaul=loud", Format::Text, io::stderr).unwrap_err();
        assert!(error.to_string().contains("longhaul=loud"), "{error}");
    }
}
