//! One parser of longhaul under libFuzzer: `LONGHAUL_FUZZ_TARGET` names it.
#![no_main]

use std::sync::OnceLock;

use longhaul::fuzzing::{TARGETS, Target, target};

static TARGET: OnceLock<Target> = OnceLock::new();

libfuzzer_sys::fuzz_target!(
    init: {
        let name = std::env::var("LONGHAUL_FUZZ_TARGET").unwrap_or_default();
        let found = target(&name).unwrap_or_else(|| {
            let names: Vec<_> = TARGETS.iter().map(|(name, _)| *name).collect();
            panic!("LONGHAUL_FUZZ_TARGET is {name:?}; the targets are {}", names.join(", "))
        });
        TARGET.set(found).expect("set once");
    },
    |bytes: &[u8]| TARGET.get().expect("set at the start")(bytes)
);
