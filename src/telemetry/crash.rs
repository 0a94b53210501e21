//! Named places at which a test lets this process die.
//!
//! A build for tests reads two variables of the environment. `LONGHAUL_CRASH` is
//! `place:occurrence`, or `place:occurrence:pass`; with `pass` the process goes on, because the
//! test lets something else go wrong there. `LONGHAUL_CRASH_LOG` names the file that gets a line
//! when the place was reached, so that a test can prove that it was. In a release build none of
//! this exists: [`crash_point`] is empty and the variables mean nothing.

/// Every place, in the order in which one file passes them.
pub const CRASH_POINTS: [&str; 24] = [
    "planned",
    "taken",
    "session-opening",
    "session-opened",
    "session-recorded",
    "part-hashed",
    "part-sending",
    "part-answered",
    "part-acknowledged",
    "parts-sent",
    "sealed",
    "commit-sending",
    "body-half",
    "body-sent",
    "commit-answered",
    "committed",
    "describing",
    "reading-back",
    "proved",
    "publishing",
    "published",
    "done",
    "telling",
    "told",
];

/// The places of flows that move no bytes: of a review into both systems, and of what is adopted.
#[cfg(debug_assertions)]
const FLOW_POINTS: [&str; 3] = ["review-recorded", "review-shown", "adopted-described"];

/// The places that a record passes when it goes elsewhere, with what is beside it, and those of a
/// shortcut to a paper between staging and where people see it.
#[cfg(debug_assertions)]
const RECORD_POINTS: [&str; 5] = [
    "following",
    "link-making",
    "link-made",
    "link-moving",
    "link-moved",
];

/// The places that a probe of the destination passes between its scratch being noted and gone.
#[cfg(debug_assertions)]
const PROBE_POINTS: [&str; 4] = [
    "probe-noted",
    "probe-made",
    "probe-answered",
    "probe-deleted",
];

/// The places that a document passes on its way into iconik.
#[cfg(debug_assertions)]
const COPY_POINTS: [&str; 5] = [
    "copy-version",
    "copy-placed",
    "copy-part",
    "copy-sent",
    "copy-closed",
];

/// Dies here, if a test said so.
#[inline]
pub fn crash_point(place: &'static str) {
    #[cfg(debug_assertions)]
    armed::reach(place);
    #[cfg(not(debug_assertions))]
    let _ = place;
}

#[cfg(debug_assertions)]
mod armed {
    use std::io::Write;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    struct Armed {
        place: String,
        occurrence: u64,
        pass: bool,
        log: Option<std::ffi::OsString>,
        seen: AtomicU64,
    }

    fn armed() -> Option<&'static Armed> {
        static ARMED: OnceLock<Option<Armed>> = OnceLock::new();
        let read = || {
            let text = std::env::var("LONGHAUL_CRASH").ok()?;
            let mut words = text.split(':');
            Some(Armed {
                place: words.next()?.to_owned(),
                occurrence: words.next().and_then(|n| n.parse().ok()).unwrap_or(1),
                pass: words.next() == Some("pass"),
                log: std::env::var_os("LONGHAUL_CRASH_LOG"),
                seen: AtomicU64::new(0),
            })
        };
        ARMED.get_or_init(read).as_ref()
    }

    pub(super) fn reach(place: &'static str) {
        let mut places = super::CRASH_POINTS
            .iter()
            .chain(&super::FLOW_POINTS)
            .chain(&super::PROBE_POINTS)
            .chain(&super::COPY_POINTS)
            .chain(&super::RECORD_POINTS);
        debug_assert!(places.any(|own| *own == place), "{place} is no place");
        let Some(armed) = armed().filter(|armed| armed.place == place) else {
            return;
        };
        if armed.seen.fetch_add(1, Ordering::SeqCst) + 1 != armed.occurrence {
            return;
        }
        if let Some(path) = &armed.log {
            let log = std::fs::OpenOptions::new()
                .create(true)
                .append(true)
                .open(path);
            let written = log.and_then(|mut log| writeln!(log, "{place}"));
            if let Err(error) = written {
                tracing::warn!(%error, place, "the place was not noted");
            }
        }
        if armed.pass {
            return;
        }
        let died =
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        // Nothing after this line may happen.
        while died.is_ok() {
            std::thread::park();
        }
    }
}
