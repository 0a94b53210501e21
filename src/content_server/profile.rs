//! What was learnt of one server by asking it: the answers that no documentation gives.
//!
//! A [`Profile`] belongs to one address and one release. What it does not know is left to the
//! careful way: the client then asks for more than it needs and checks what came of it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Client;
use super::names::NameRules;

/// How one server behaves where servers may differ.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Profile {
    /// Whether content is read by ranges. Where it is not, none are asked for: a read that goes on
    /// in the middle starts from the first byte and passes over what is not wanted.
    pub ranges: Option<bool>,
    /// Whether one call moves and renames. Where it does not, a document is renamed where it is
    /// and then moved, so that people never see it under a name that is not its own.
    pub move_and_rename: Option<bool>,
    /// Whether the description given with a new version is kept. Where it is not, a version that
    /// nobody described counts as possibly ours after an unclear answer, and is read back.
    pub version_notes: Option<bool>,
    /// The names it holds.
    pub names: NameRules,
}

impl Client {
    /// From now on goes by what was learnt of this server. For the start of a command: names that
    /// were given before stay as they are.
    pub fn learn(&self, profile: Profile) {
        *self
            .0
            .profile
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner) = Arc::new(profile);
    }

    /// What is known of this server.
    pub fn profile(&self) -> Arc<Profile> {
        Arc::clone(
            &self
                .0
                .profile
                .read()
                .unwrap_or_else(std::sync::PoisonError::into_inner),
        )
    }
}
