//! Profiles in the ledger: by address and release.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::super::Error;
use super::Answer;
use crate::content_server::Profile;
use crate::ledger::{Change, Fact, Ledger, Reader};

const FLOW: &str = "profile";

/// A profile as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// The release that gave the answers; empty for one that does not say.
    pub version: String,
    /// When it was asked.
    pub asked: Timestamp,
    /// What the client goes by.
    pub profile: Profile,
    /// Every answer.
    pub answers: Vec<Answer>,
}

impl Stored {
    pub(super) fn new(version: String, profile: Profile, answers: Vec<Answer>) -> Self {
        Self {
            version,
            asked: Timestamp::now(),
            profile,
            answers,
        }
    }

    pub(super) async fn keep(&self, ledger: &Ledger, server: &str) -> Result<(), Error> {
        let fact = Fact {
            flow: FLOW.to_owned(),
            object: server.to_owned(),
            field: self.version.clone(),
            data: serde_json::to_string(self).unwrap_or_default(),
            open: false,
            at: self.asked.as_millisecond(),
        };
        Ok(ledger.apply(Change::new().fact(fact)).await?)
    }

    /// Whole days since it was asked.
    pub fn days(&self) -> i64 {
        self.asked.duration_until(Timestamp::now()).as_hours() / 24
    }
}

/// The profiles of the server at that address, the one asked last first. A row that cannot be read
/// (of another release of longhaul) is none.
///
/// # Errors
///
/// The ledger's.
pub fn profiles(reader: &Reader, server: &str) -> Result<Vec<Stored>, Error> {
    let mut found: Vec<Stored> = reader
        .remembered(FLOW, server)?
        .into_iter()
        .filter_map(|fact| serde_json::from_str(&fact.data).ok())
        .collect();
    found.sort_by_key(|stored| std::cmp::Reverse(stored.asked));
    Ok(found)
}
