//! Requests and answers, as they are written: one line of JSON each. Fields are only ever added
//! within a version.

use serde::{Deserialize, Serialize};

use crate::types::ByteCount;

/// The version of requests and answers.
pub const VERSION: u32 = 1;
/// Longest request.
pub(super) const REQUEST: u64 = 64 * 1024;
/// Longest answer.
pub(super) const ANSWER: u64 = 1024 * 1024;

/// A request: what is asked, and who asks, as far as only they can say. The user's and the
/// process's numbers come from the kernel.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Request {
    pub(super) v: u32,
    #[serde(default)]
    pub(super) from: From,
    #[serde(flatten)]
    pub(super) ask: Ask,
}

/// Who asks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct From {
    /// The user's name, as the asking process knows it.
    #[serde(default)]
    pub user: String,
    /// The command, such as `longhaul pause`.
    #[serde(default)]
    pub command: String,
    /// The user's number.
    #[serde(default)]
    pub uid: u32,
    /// The asking process.
    #[serde(default)]
    pub pid: i32,
}

impl std::fmt::Display for From {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            user,
            command,
            uid,
            pid,
        } = self;
        let command = match command.as_str() {
            "" => String::new(),
            command => format!(", `{command}`"),
        };
        match user.as_str() {
            "" => write!(f, "uid {uid}, process {pid}{command}"),
            user => write!(f, "{user} (uid {uid}, process {pid}{command})"),
        }
    }
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum Ask {
    /// What only the process knows.
    Facts,
    /// Begin nothing new.
    Pause {
        /// Until when, in Unix milliseconds; without, until somebody says so or the process ends.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<i64>,
    },
    /// Go on.
    Resume,
    /// Finish what is in hand and end.
    Drain {
        /// Leave at once instead.
        #[serde(default)]
        now: bool,
    },
    /// Other limits than the settings'.
    Limit(Limits),
    /// The settings' limits again.
    Unlimit,
    /// Try stopped items again.
    Retry(Retry),
}

/// Limits to set; what is absent stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Bytes per second; 0 is no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bandwidth: Option<ByteCount>,
    /// Calls a second to iconik.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calls: Option<u32>,
    /// Uploads at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uploads: Option<u32>,
    /// Reads at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub streams: Option<u32>,
    /// Until when, in Unix milliseconds; without, until it is cleared or the process ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<i64>,
}

/// Which stopped items are tried again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retry {
    /// Those in these states; none means `failed`, and with a class or all every state that can
    /// be tried again.
    #[serde(default)]
    pub states: Vec<String>,
    /// Those of this failure class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// These alone, by key.
    #[serde(default)]
    pub keys: Vec<String>,
    /// All that can be tried again.
    #[serde(default)]
    pub all: bool,
}

/// The answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Answer {
    pub(super) v: u32,
    pub(super) ok: bool,
    /// What was done, or why it was not.
    pub(super) said: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) facts: Option<Box<LiveFacts>>,
}

/// What can be limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Knob {
    /// Bytes per second; 0 is no limit.
    Bandwidth,
    /// Calls a second to iconik.
    Calls,
    /// Uploads at once.
    Uploads,
    /// Reads at once.
    Streams,
}

impl Knob {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bandwidth => "bandwidth",
            Self::Calls => "calls",
            Self::Uploads => "uploads",
            Self::Streams => "streams",
        }
    }
}

/// A limit that a person set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Override {
    /// What.
    pub knob: Knob,
    /// To what.
    pub value: u64,
    /// Until when, in Unix milliseconds.
    pub until: Option<i64>,
    /// By whom.
    pub by: String,
}

/// The limits in force, whoever set them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InForce {
    /// Bytes per second; `None` for no limit.
    pub bandwidth: Option<ByteCount>,
    /// Calls a second to iconik, and the most it can be set to.
    pub calls: (u32, u32),
    /// Uploads at once, and the most.
    pub uploads: (usize, usize),
    /// Reads at once, and the most.
    pub streams: (usize, usize),
    /// Uploads and reads at once as the tuner has them now, within those.
    #[serde(default)]
    pub tuned: (usize, usize),
}

/// A system that is away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outage {
    /// `source` or `destination`.
    pub system: String,
    /// Since when, in Unix milliseconds; 0 when it is only full.
    pub since: i64,
    /// Seconds until it is asked again.
    pub next_in: u64,
    /// Questions it did not answer.
    pub asked: u32,
    /// What it said, or what happened instead.
    pub error: String,
    /// It is there, but has no room.
    pub full: bool,
}

/// What only the process at work knows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveFacts {
    /// The run.
    pub run: i64,
    /// The process.
    pub pid: u32,
    /// Since when it works, in Unix milliseconds.
    pub since: i64,
    /// Who paused it, when it is paused.
    pub paused: Option<String>,
    /// Until when, in Unix milliseconds, when that was said.
    #[serde(default)]
    pub paused_until: Option<i64>,
    /// Until when the calendar lets nothing be begun, in Unix milliseconds.
    pub closed_until: Option<i64>,
    /// Why it is draining, when it is.
    pub draining: Option<String>,
    /// Whether the enumeration goes on.
    pub scanning: bool,
    /// Assets that it has seen.
    pub seen: u64,
    /// Bytes that the destination acknowledged for the first time.
    pub confirmed: ByteCount,
    /// Bytes sent again.
    pub resent: ByteCount,
    /// Bytes read back.
    pub read_back: ByteCount,
    /// Confirmed bytes per second over the last ten seconds.
    pub rate_now: ByteCount,
    /// And over the last ten minutes, or since the start; `None` before it means something.
    pub rate_ten: Option<ByteCount>,
    /// Limits in force.
    pub limits: InForce,
    /// Those that a person set.
    pub overrides: Vec<Override>,
    /// What limits the rate.
    pub limited_by: Option<String>,
    /// Systems that are away or full.
    pub outages: Vec<Outage>,
    /// Drains then, in Unix milliseconds.
    pub stop_at: Option<i64>,
    /// Drains after this many confirmed bytes of this process.
    pub max_bytes: Option<ByteCount>,
    /// Drains after this many items that stopped in this process.
    pub max_failures: Option<u64>,
    /// Items that stopped in this process.
    pub stopped_here: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_read_as_they_are_documented() {
        let read = |text: &str| serde_json::from_str::<Request>(text);
        assert_eq!(
            read(r#"{"v":1,"do":"pause"}"#).unwrap().ask,
            Ask::Pause { until: None }
        );
        assert_eq!(
            read(r#"{"v":1,"do":"drain"}"#).unwrap().ask,
            Ask::Drain { now: false }
        );
        let limit = read(r#"{"v":1,"do":"limit","uploads":2,"until":5}"#).unwrap();
        let Ask::Limit(limits) = limit.ask else {
            panic!("no limit")
        };
        assert_eq!((limits.uploads, limits.until), (Some(2), Some(5)));
        assert!(read(r#"{"v":1,"do":"format"}"#).is_err());
        assert!(read(r#"{"do":"pause"}"#).is_err(), "a version is needed");
    }

    #[test]
    fn who_asked_is_said_with_the_numbers_of_the_kernel() {
        let from = From {
            user: "anna".into(),
            command: "longhaul pause".into(),
            uid: 1000,
            pid: 42,
        };
        assert_eq!(
            from.to_string(),
            "anna (uid 1000, process 42, `longhaul pause`)"
        );
    }
}
