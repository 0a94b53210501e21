//! What a run came to, for an auditor: one walk over the ledger, three forms.
//!
//! [`collect()`] reads a run's items and journal once, at one moment, and hands every item out as a
//! [`Row`] while it adds up the [`Report`]. [`csv`] writes the rows, [`json`] the rows and the
//! report, [`html`] the report: their numbers agree because they are the same numbers. Memory holds
//! totals and short lists; what is longer than a list says how much longer.
//!
//! [`trail`] is the other report: of assets instead of a run.
//!
//! Nothing here reads a secret: the ledger holds none, and texts of other systems go through the
//! same redaction as the logs before they are written.

mod collect;
pub mod csv;
mod due;
pub mod html;
pub mod json;
mod plot;
mod record;
mod speed;
#[cfg(test)]
mod tests;
pub mod trail;

use serde::Serialize;

pub use collect::collect;
pub use due::Due;
pub use record::{Record, Retention};
pub use speed::Speed;

use crate::types::ByteCount;

/// Why a report could not be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The ledger could not be read.
    #[error(transparent)]
    Ledger(#[from] crate::ledger::Error),
    /// The report could not be written.
    #[error("the report cannot be written: {0}")]
    Write(#[from] std::io::Error),
}

impl From<::csv::Error> for Error {
    fn from(error: ::csv::Error) -> Self {
        Self::Write(error.into())
    }
}

/// One item, the same in CSV and JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// The run.
    pub run: i64,
    /// Its number.
    pub item: i64,
    /// Its key: asset and version in iconik.
    pub key: String,
    /// The asset.
    pub asset: String,
    /// Its title.
    pub title: String,
    /// `document`, `folder` or `split`.
    pub kind: String,
    /// Its state.
    pub state: String,
    /// Bytes of its files.
    pub bytes: ByteCount,
    /// Number of its files.
    pub files: u64,
    /// Lowest proof level over its files.
    pub proof: String,
    /// SHA-256 of its master, or of the first of its files.
    pub sha256: Option<String>,
    /// The container at the destination.
    pub parent: i64,
    /// The node.
    pub node: Option<i64>,
    /// The version.
    pub version: Option<i64>,
    /// The name there.
    pub name: String,
    /// Attempts burned.
    pub attempts: u32,
    /// Bytes handed to the destination over all attempts.
    pub bytes_sent: ByteCount,
    /// Those of them that moved more than once.
    pub bytes_again: ByteCount,
    /// Files started again from their beginning.
    pub restarts: u64,
    /// Class of the last failure.
    pub class: Option<String>,
    /// Its reason.
    pub reason: Option<String>,
    /// Its message.
    pub message: Option<String>,
    /// What it is beyond its bytes.
    #[serde(flatten)]
    pub record: Record,
}

/// Items and bytes of one line of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Count {
    /// What is counted: a state or a proof level.
    pub name: String,
    /// Items.
    pub items: u64,
    /// Bytes.
    pub bytes: ByteCount,
}

/// Items that stopped in the same way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Group {
    /// Their state.
    pub state: String,
    /// The failure class.
    pub class: String,
    /// The reason.
    pub reason: String,
    /// Items.
    pub items: u64,
    /// Bytes.
    pub bytes: ByteCount,
    /// The message of the first of them.
    pub example: String,
    /// What helps.
    pub remedy: Option<&'static str>,
}

/// An item that a person must look at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Open {
    /// Its key.
    pub key: String,
    /// Its title.
    pub title: String,
    /// Its state.
    pub state: String,
    /// Bytes.
    pub bytes: ByteCount,
    /// Why.
    pub message: String,
    /// The required papers that it is held for, in words.
    pub papers_missing: Option<String>,
    /// The commands that settle it.
    pub commands: Vec<String>,
}

/// Something that is not as it was meant, or that happened on the way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Deviation {
    /// The journal's word.
    pub event: String,
    /// What it means.
    pub means: &'static str,
    /// How often.
    pub times: u64,
    /// The first few: when (Unix milliseconds) and what.
    pub examples: Vec<(i64, String)>,
}

/// The same content, filed for several assets. Nothing of it was left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Repeated {
    /// Contents.
    pub contents: u64,
    /// Assets beyond the first of each.
    pub copies: u64,
    /// Their bytes.
    pub bytes: ByteCount,
    /// The largest of them.
    pub largest: Vec<Same>,
}

/// A content that several assets have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Same {
    /// Its SHA-256.
    pub sha256: String,
    /// Its bytes.
    pub bytes: ByteCount,
    /// How many assets have it.
    pub assets: u64,
    /// The first of them: key, title and node.
    pub filed: Vec<(String, String, Option<i64>)>,
}

/// Something that changed the speed: a limit, a pause, an outage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Mark {
    /// `outage`, `pause`, `limit`, `drain` or `retry`.
    pub kind: &'static str,
    /// Unix milliseconds.
    pub from: i64,
    /// Its end, for what lasts; `None` when none is recorded.
    pub to: Option<i64>,
    /// What, and by whom.
    pub what: String,
}

/// The state of the journal's chain of digests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChainState {
    /// Whether every line follows from the one before it.
    pub intact: bool,
    /// Number of lines, or the first that is wrong.
    pub line: i64,
    /// The last line's digest; why it is broken otherwise.
    pub digest: String,
}

/// A setting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Setting {
    /// Its key.
    pub key: String,
    /// Its value.
    pub value: String,
}

/// How a run stands, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// Everything is filed.
    Good,
    /// Something is not finished, or somebody has to decide.
    Open,
    /// A digest or the journal disagrees.
    Bad,
}

/// What a run came to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The run.
    pub run: i64,
    /// The command.
    pub command: String,
    /// What it was told, as JSON.
    pub told: serde_json::Value,
    /// Unix milliseconds.
    pub started: i64,
    /// Unix milliseconds.
    pub ended: Option<i64>,
    /// How its last process ended.
    pub outcome: String,
    /// Whether the enumeration reached its end.
    pub scan_done: bool,
    /// When this report was made, in Unix milliseconds.
    pub made: i64,
    /// The version of longhaul that made it.
    pub longhaul: &'static str,
    /// How it stands.
    pub standing: Standing,
    /// The verdict in a sentence.
    pub verdict: String,
    /// All items; the states add up to it.
    pub planned: Count,
    /// By state, in a fixed order, states without items left out.
    pub states: Vec<Count>,
    /// Done items by proof level, strongest first.
    pub proofs: Vec<Count>,
    /// Done items by what they are as records; an item counts in each that it is.
    pub records: Vec<Count>,
    /// Found filed already by an earlier run.
    pub already_done: u64,
    /// Assets that were left out.
    pub left_out: u64,
    /// Why, as far as the journal says: one word each.
    pub left_out_why: Vec<String>,
    /// Items that stopped, by state, class and reason.
    pub groups: Vec<Group>,
    /// Items that need a decision, the first of them.
    pub open: Vec<Open>,
    /// How many there are.
    pub open_items: u64,
    /// How many are held for a required paper.
    pub papers_missing: u64,
    /// Filed records with their retention, the first that are due.
    pub retention: Vec<Due>,
    /// How many there are.
    pub retention_items: u64,
    /// Bytes handed to the destination over all attempts.
    pub bytes_sent: ByteCount,
    /// Those of them that moved more than once.
    pub bytes_again: ByteCount,
    /// Files started again from their beginning.
    pub restarts: u64,
    /// Files that `verify` found as recorded, and when first and last.
    pub verified: u64,
    /// The first and last of these checks, in Unix milliseconds.
    pub verified_between: Option<(i64, i64)>,
    /// Contents that several assets were filed with, one of them by this run.
    pub repeated: Repeated,
    /// How a frozen migration stands, in words.
    pub migration: Option<String>,
    /// What is not as it was meant.
    pub deviations: Vec<Deviation>,
    /// Bytes over time.
    pub speed: Speed,
    /// Limits, pauses and outages.
    pub marks: Vec<Mark>,
    /// How many there are.
    pub marks_all: u64,
    /// The journal's chain.
    pub chain: ChainState,
    /// Settings as they are when the report is made.
    pub settings: Vec<Setting>,
}

impl Report {
    /// Items in these states.
    pub fn items(&self, states: &[&str]) -> u64 {
        let wanted = self.states.iter();
        wanted
            .filter(|count| states.contains(&count.name.as_str()))
            .map(|count| count.items)
            .sum()
    }
}

/// A text of another system or of the ledger, as it may be shown.
fn shown(text: &str) -> String {
    crate::telemetry::scrub(text).into_owned()
}

/// A moment in UTC.
fn moment(milliseconds: i64) -> String {
    jiff::Timestamp::from_millisecond(milliseconds).map_or_else(
        |_| "an unknown time".into(),
        |at| at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
    )
}
