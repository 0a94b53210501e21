//! A settings file and the environment, fed with any bytes.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;

use super::raw;
use super::{Sources, load};

/// The bytes as a settings file, and as the values of variables.
pub(crate) fn settings(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        if let Ok(entries) = raw::parse_document(text) {
            let lines = text.lines().count().max(1);
            assert!(entries.iter().all(|(_, entry)| entry.line <= lines + 1));
        }
        let _ = raw::parse_value(text);
        let _ = super::secret::split_words(text);
    }
    thread_local! {
        static DIRECTORY: tempfile::TempDir =
            tempfile::tempdir().expect("a temporary directory");
    }
    let path = DIRECTORY.with(|directory| directory.path().join("longhaul.toml"));
    std::fs::write(&path, bytes).expect("a file in a temporary directory");
    let mut sources = Sources {
        config: Some(path),
        ..Sources::default()
    };
    said(&sources);
    let value: Vec<u8> = bytes.iter().copied().filter(|byte| *byte != 0).collect();
    sources.config = None;
    for variable in [
        "LONGHAUL_TRANSFER_MEMORY",
        "LONGHAUL_TRANSFER_VERIFY",
        "LONGHAUL_PACE_BANDWIDTH",
        "LONGHAUL_PACE_CALENDAR",
        "LONGHAUL_ICONIK_URL",
        "LONGHAUL_ICONIK_TOKEN",
        "LONGHAUL_NETWORK_ALLOW",
    ] {
        let value = OsString::from_vec(value.clone());
        sources.environment.insert(variable.into(), value);
    }
    said(&sources);
}

/// Whatever is wrong is said, all of it, in words.
fn said(sources: &Sources) {
    if let Err(problems) = load(sources) {
        let text = problems.to_string();
        assert!(!text.trim().is_empty());
    }
}
