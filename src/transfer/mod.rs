//! The engine: moves files from a source to a destination, resumably. It names no vendor.
//!
//! The folder reads as the pipeline: [`fetch`](self) reads ranges ahead of the hash, pinned to
//! one generation; `hash` digests them in file order off the reactor; `send` hands over parts, or
//! one streamed body; `commit` makes the version exactly once, as `decide` says; `verify` proves what is stored, `join` finds a split master's pieces;
//! `mover` takes one file through these
//! steps; `item` takes all files of one and publishes them; `run` keeps as many items in hand as the settings allow. `state` is the one
//! place that says which step may follow which, `budget` bounds the bytes in memory, `hold` keeps
//! new items back during an outage, `steer` is what can be changed meanwhile, `tuner` finds out how many
//! streams each end likes, `clock` is the one that nobody sets, `ends` are the two traits
//! a system implements.
//!
//! How the stages hold each other back: a part's memory is claimed before its bytes are read, in
//! hash order, first come first served over all files; a part that has been hashed waits for an
//! upload permit while holding its memory; nobody waits for memory while holding an upload permit.
//! So the slowest stage sets the pace and memory stays within the budget whatever the file sizes.

mod budget;
mod buffers;
mod clock;
mod commit;
mod decide;
#[cfg(test)]
mod doubles;
mod ends;
mod fetch;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod hash;
mod hold;
mod item;
mod join;
pub mod kept;
mod mover;
mod pieces;
mod plan;
mod progress;
mod record;
mod run;
mod send;
mod state;
mod steer;
mod survey;
#[cfg(test)]
mod tests;
mod tuner;
mod verify;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

pub use budget::{Budget, Claim};
pub use ends::{
    Answer, ByteStream, Committed, Content, Destination, Filed, Link, NewContent, Node, Opened,
    Part, PartReceipt, Record, Restore, Session, Source, SourceFile, Validator, Version, Window,
};
pub use hash::{BadState, HashState};
pub use hold::{End, Outage};
pub use item::suffixed;
pub use join::Whole;
pub use kept::Kept;
pub use plan::{JoinManifest, JoinSegment, pieces};
pub use progress::{Progress, Waiting, limiting_stage};
pub use run::Outcome;
pub use state::{Intent, Step, Target};
pub use steer::{Places, Steer};
pub use survey::{Seen, SetAside, set_aside, set_aside_name, survey};
pub use verify::read_back;

use crate::ledger::Ledger;
use crate::pace::Pace;
use crate::types::{ByteCount, Failure, FailureClass, GIB, MIB, NodeId, ProofLevel, Reason};

/// How the engine behaves; every default has its reason beside it.
#[derive(Clone, Debug)]
pub struct Config {
    /// Container, closed to everybody else, where documents wait until they are complete.
    pub staging: NodeId,
    /// Bytes in memory over all transfers. 256 MiB keeps three parts of the usual sizes moving.
    pub memory: ByteCount,
    /// Uploads at once. 3 is what the destination's own clients use: its stock server has eight
    /// threads that people need too.
    pub uploads: usize,
    /// Reads at once. 32 keeps a 100 ms line full.
    pub streams: usize,
    /// Whether the numbers of uploads and reads are found out, within those; otherwise they are
    /// those.
    pub tune: bool,
    /// Items in hand at once.
    pub items: usize,
    /// Attempts without progress before a transient failure is given up.
    pub attempts: u32,
    /// First wait between attempts; doubles with full jitter up to 30 s.
    pub first_backoff: Duration,
    /// How far each version is proved.
    pub verify: VerifyPolicy,
    /// Wait before an add-version of unknown outcome may be sent again: the server's request
    /// limit and a margin.
    pub commit_quiet: Duration,
    /// Largest body of a single POST above the upload window; `None` refuses those.
    pub single_post_max: Option<ByteCount>,
    /// What happens to masters that fit no way in.
    pub oversize: Oversize,
    /// Whether an MD5 is computed when the source quotes one.
    pub source_md5: bool,
    /// Whether reading back also computes the digests of a fixity history. Read back is what is
    /// stored, so that no state of theirs has to be kept over a resume.
    pub history_digests: bool,
    /// What happens when the name is taken by something else.
    pub conflict: Conflict,
    /// Whether a run with only waiting items left stays.
    pub wait: bool,
    /// Whether the ledger may be older than the world: add-version then waits the quiet time from
    /// the start before its first commit.
    pub start_barrier: bool,
}

impl Config {
    /// The defaults, with documents waiting in `staging`.
    pub fn new(staging: NodeId) -> Self {
        Self {
            staging,
            memory: 256 * MIB,
            uploads: 3,
            streams: 32,
            tune: true,
            items: 8,
            attempts: 8,
            first_backoff: Duration::from_millis(250),
            verify: VerifyPolicy::default(),
            commit_quiet: Duration::from_secs(35 * 60),
            single_post_max: None,
            oversize: Oversize::Refuse,
            source_md5: true,
            history_digests: true,
            conflict: Conflict::Suffix,
            wait: true,
            start_barrier: false,
        }
    }

    /// The wait before attempt `attempt` (from 1), with full jitter.
    pub(crate) fn backoff(&self, attempt: u32) -> Duration {
        let ceiling = self
            .first_backoff
            .saturating_mul(1 << attempt.saturating_sub(1).min(16))
            .min(Duration::from_secs(30));
        ceiling.mul_f64(rand::random::<f64>().max(0.05))
    }
}

/// How far versions are proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerifyPolicy {
    /// Read back and hash files up to this size; `None` for none.
    pub read_back_up_to: Option<ByteCount>,
    /// The level of the others.
    pub otherwise: ProofLevel,
}

impl Default for VerifyPolicy {
    fn default() -> Self {
        Self {
            read_back_up_to: Some(ByteCount::MAX),
            otherwise: ProofLevel::Sent,
        }
    }
}

impl VerifyPolicy {
    /// The level wanted for a file of `size` bytes.
    pub fn level(&self, size: ByteCount) -> ProofLevel {
        if self.read_back_up_to.is_some_and(|limit| size <= limit) {
            ProofLevel::ReadBack
        } else {
            self.otherwise
        }
    }
}

/// What happens to a master too large for one document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Oversize {
    /// Parked with the remedy.
    Refuse,
    /// Filed as numbered segments with a joining manifest.
    Split,
}

/// What happens when the published name is taken by something that is not ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// Published under the name with a suffix derived from the asset.
    Suffix,
    /// Left in staging for a person to decide.
    Park,
}

/// Largest file that is read whole and hashed before its commit is announced.
const SMALL: ByteCount = MIB;
/// So many streams at once keep the hash busy on a fast line.
const FEW_STREAMS: usize = 4;

/// Largest single POST when the destination offers no upload sessions and no limit is set.
const UNKNOWN_POST_MAX: ByteCount = GIB;

/// How a run is told to stop.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    /// Take nothing new; finish the parts in hand.
    pub drain: CancellationToken,
    /// Leave now; what is in flight is dropped and moves again after a resume.
    pub leave: CancellationToken,
}

/// What every stage shares.
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) source: Arc<dyn Source>,
    pub(crate) destination: Arc<dyn Destination>,
    pub(crate) ledger: Ledger,
    pub(crate) pace: Arc<Pace>,
    pub(crate) budget: Budget,
    buffers: buffers::Buffers,
    pieces: pieces::Pieces,
    uploads: Arc<tuner::Permits>,
    streams: Arc<tuner::Permits>,
    pub(crate) steer: Arc<Steer>,
    pub(crate) progress: Arc<Progress>,
    pub(crate) stop: Stop,
    /// Threads that the machine runs at once.
    cores: usize,
    pub(crate) started: tokio::time::Instant,
    /// The calendar's time then, in Unix milliseconds.
    pub(crate) started_ms: i64,
    pub(crate) hold: hold::Hold,
}

impl Shared {
    /// Now, in Unix milliseconds: the calendar's time at the start and what has gone by since, so
    /// that a clock that is set meanwhile moves no item's turn.
    pub(crate) fn now_ms(&self) -> i64 {
        let ran = i64::try_from(self.started.elapsed().as_millis()).unwrap_or(i64::MAX);
        self.started_ms.saturating_add(ran)
    }

    /// Parts of one file under way at once: those being read, those being sent, and those that
    /// wait for the hash, because streams of one speed end together: half as many as are read,
    /// and as many once there are so many streams that each must be slow. Several files share
    /// them: what waits too long in memory is out of the cache when it is hashed.
    pub(crate) fn read_ahead(&self) -> usize {
        let reads = self.streams.target();
        let waiting = if reads > FEW_STREAMS {
            reads
        } else {
            reads / 2
        };
        let all = reads + waiting + self.uploads.target().max(3);
        all.div_ceil(self.active()).max(2)
    }

    /// Items in hand.
    fn active(&self) -> usize {
        let active = self.progress.items_active.load(Ordering::Relaxed);
        usize::try_from(active).unwrap_or(usize::MAX).max(1)
    }

    /// Whether there are so many files in hand that threads of their own for hashing would only
    /// take turns on the cores.
    pub(crate) fn hash_inline(&self) -> bool {
        self.active() >= self.cores
    }

    /// Most of them there can ever be.
    pub(crate) fn most_ahead(&self) -> usize {
        self.streams.cap() * 2 + self.uploads.cap().max(3)
    }

    /// Waits until something new may be begun: no pause, no closed window. A drain does not wait.
    pub(crate) async fn may_begin(&self) {
        if self.steer.is_open() {
            return;
        }
        tokio::select! {
            biased;
            () = self.stop.drain.cancelled() => {}
            () = self.steer.open() => {}
        }
    }

    /// Whether work is to end after what is in hand.
    pub(crate) fn draining(&self) -> bool {
        self.stop.drain.is_cancelled()
    }
}

/// Moves items of a run from a source to a destination.
pub struct Engine {
    shared: Arc<Shared>,
}

impl Engine {
    /// Puts an engine together.
    pub fn new(
        config: Config,
        source: Arc<dyn Source>,
        destination: Arc<dyn Destination>,
        ledger: Ledger,
        pace: Arc<Pace>,
        stop: Stop,
    ) -> Self {
        let permits = |first, cap| {
            let first = if config.tune { first } else { cap };
            Arc::new(tuner::Permits::new(first, cap))
        };
        let uploads = permits(tuner::UPLOADS, config.uploads);
        let streams = permits(tuner::READS, config.streams);
        let steer = Arc::new(Steer::new(Arc::clone(&uploads), Arc::clone(&streams)));
        Self {
            shared: Arc::new(Shared {
                budget: Budget::new(config.memory),
                buffers: buffers::Buffers::default(),
                pieces: pieces::Pieces::default(),
                uploads,
                streams,
                steer,
                progress: Arc::default(),
                cores: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
                started: tokio::time::Instant::now(),
                started_ms: jiff::Timestamp::now().as_millisecond(),
                hold: hold::Hold::default(),
                config,
                source,
                destination,
                ledger,
                pace,
                stop,
            }),
        }
    }

    /// Returns when somebody says stop.
    pub async fn stopping(&self) {
        self.shared.stop.drain.cancelled().await;
    }

    /// What can be changed while it works.
    pub fn steer(&self) -> Arc<Steer> {
        Arc::clone(&self.shared.steer)
    }

    /// Looks at which systems are away, as long as the engine is there.
    pub fn watch_outages(&self) -> impl Fn() -> Vec<Outage> + Send + Sync + use<> {
        let shared = Arc::downgrade(&self.shared);
        move || {
            shared
                .upgrade()
                .map(|shared| shared.hold.outages())
                .unwrap_or_default()
        }
    }

    /// The counters of what the engine is doing.
    pub fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.shared.progress)
    }
}

/// A ledger that cannot record stops everything: no effect without a durable record.
pub(crate) fn ledger_failure(error: crate::ledger::Error) -> Failure {
    Failure::new(
        FailureClass::StopEverything,
        Reason::Ledger,
        format!("the ledger cannot record: {error}"),
    )
}
