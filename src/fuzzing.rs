//! The parsers at the edge, each fed with any bytes. Tests replay what is kept in
//! `fixtures/fuzz`, the fuzzer (`.ci/fuzz`) looks for more. No other build has this module.
//!
//! A target panics when a promise is broken, not when an input is wrong.

/// A target: it takes any bytes.
pub type Target = fn(&[u8]);

/// The targets by name; each has a folder of that name in `fixtures/fuzz`.
pub const TARGETS: [(&str, Target); 10] = [
    ("content-range", crate::iconik::fuzz::content_range),
    ("retry-after", crate::http::fuzz_retry_after),
    ("iconik-json", crate::iconik::fuzz::json),
    ("content-server-json", crate::content_server::fuzz::json),
    ("error-page", crate::content_server::fuzz::error_page),
    ("name-map", crate::content_server::fuzz::name),
    ("checkpoint-row", crate::transfer::fuzz::row),
    ("settings", crate::settings::fuzz::settings),
    ("list", crate::flows::migrate::fuzz),
    ("plan", crate::flows::plan::saved::fuzz),
];

/// The target of that name.
pub fn target(name: &str) -> Option<Target> {
    TARGETS
        .into_iter()
        .find_map(|(known, target)| (known == name).then_some(target))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn everything_in_the_corpus_keeps_every_promise() {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/fuzz");
        let mut folders = 0;
        for folder in std::fs::read_dir(&corpus).unwrap() {
            let folder = folder.unwrap();
            let name = folder.file_name().into_string().unwrap();
            let target = target(&name).unwrap_or_else(|| panic!("no target is called {name}"));
            let mut inputs = 0;
            for input in std::fs::read_dir(folder.path()).unwrap() {
                let path = input.unwrap().path();
                let bytes = std::fs::read(&path).unwrap();
                let outcome = std::panic::catch_unwind(|| target(&bytes));
                assert!(outcome.is_ok(), "{} breaks a promise", path.display());
                inputs += 1;
            }
            assert!(inputs >= 5, "{name} has a corpus of {inputs}");
            folders += 1;
        }
        assert_eq!(folders, TARGETS.len(), "every target has a corpus");
    }

    proptest! {
        #[test]
        fn any_bytes_keep_every_promise(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            for (_, target) in TARGETS {
                target(&bytes);
            }
        }
    }
}
