//! The steps of one file, and which may follow which.
//!
//! A step is written to the ledger with the facts it rests on, in one transaction, before the
//! next outside effect. Rows outlive code, so a row becomes a [`Step`] only after checks.
//!
//! ```text
//! planned ─► open ─► sealed+intent ─► committed ─► proved ─► dressed      (upload session)
//!    │                                   ▲
//!    └─────► intent (digest unknown until the body has passed) ┘          (one streamed POST)
//! ```
//!
//! `open` covers streaming: the part rows say how far it is. An intent whose commit may have been
//! sent is ambiguous until a look-up says otherwise; both are the same row, because after a crash
//! they cannot be told apart.

use serde::{Deserialize, Serialize};

use super::clock::Uptime;
use super::ends::Session;
use crate::ledger;
use crate::types::{NodeId, ProofLevel, Sha256Digest, TransferId, UploadKey, VersionNumber};

/// How far one file has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing has been done.
    Planned,
    /// An upload session is open; parts are recorded and acknowledged.
    Open {
        /// The session.
        session: Session,
    },
    /// A commit is about to be sent, or was.
    Intent {
        /// The commit.
        intent: Intent,
        /// The session whose content it commits, unless the content is the call's own body.
        session: Option<Session>,
        /// The content's digest; unknown while a body is still streaming.
        sha256: Option<Sha256Digest>,
    },
    /// The version exists.
    Committed {
        /// The document.
        node: NodeId,
        /// Its version.
        version: VersionNumber,
        /// The content's digest; unknown when the answer to a streamed body was lost.
        sha256: Option<Sha256Digest>,
        /// Whether a look-up found it, so that only reading it back proves its content.
        found: bool,
    },
    /// Size compared, marker and digest in the description, and as much as the policy asks read
    /// back.
    Proved {
        /// The document.
        node: NodeId,
        /// Its version.
        version: VersionNumber,
        /// The content's digest.
        sha256: Sha256Digest,
        /// What was proved.
        level: ProofLevel,
    },
    /// Ready to be published.
    Dressed {
        /// The document.
        node: NodeId,
        /// Its version.
        version: VersionNumber,
        /// The content's digest.
        sha256: Sha256Digest,
        /// What was proved.
        level: ProofLevel,
    },
}

/// The commit that is about to be sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// What the call makes.
    pub target: Target,
    /// Unix milliseconds of the last moment a send may have begun.
    pub sent_at: i64,
    /// The same moment on the machine's own clock.
    #[serde(default)]
    pub sent_up: Option<Uptime>,
    /// How often it has been sent before.
    pub sends: u32,
    /// Whether a look-up found the version after an unclear answer.
    #[serde(default)]
    pub found: bool,
    /// Whether the last send was certainly refused, so that nothing of it can take effect later.
    /// (Every send before it had its quiet time before the next.)
    #[serde(default)]
    pub refused: bool,
    /// Whether the destination said that it no longer knows the upload session.
    #[serde(default)]
    pub session_gone: bool,
}

/// What a commit makes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "mode")]
pub enum Target {
    /// A new document under `name` in `parent`; the unique name is the fence.
    Create {
        /// The container, in staging.
        parent: NodeId,
        /// The marker, or the mapped name inside a staged folder.
        name: String,
    },
    /// A new version of `node`; the quiet time is the fence.
    Version {
        /// The document.
        node: NodeId,
        /// Its highest version before; ours is above it.
        base: VersionNumber,
    },
}

/// A row that is no step.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "file {file} is recorded at step {step:?}, which needs {needs}; the ledger was changed by something else"
)]
pub struct BadRow {
    file: TransferId,
    step: String,
    needs: &'static str,
}

impl Step {
    /// The step's name in the ledger.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Open { .. } => "open",
            Self::Intent { .. } => "intent",
            Self::Committed { .. } => "committed",
            Self::Proved { .. } => "proved",
            Self::Dressed { .. } => "dressed",
        }
    }

    /// Which step may follow which. Forward by one; back to the start when a session or a source
    /// generation is gone and nothing was committed; a file found already filed jumps to
    /// `committed`; one that was only part of a damaged hash state starts its session anew.
    pub fn may_follow(before: &str, after: &str) -> bool {
        matches!(
            (before, after),
            ("planned", "open" | "intent" | "committed" | "planned")
                | ("open", "open" | "intent" | "committed" | "planned")
                | ("intent", "intent" | "committed" | "planned")
                | ("committed", "committed" | "proved")
                | ("proved", "dressed")
        )
    }

    /// Reads a row.
    ///
    /// # Errors
    ///
    /// `BadRow` names the step and what its row lacks.
    pub fn of(file: &ledger::File) -> Result<Self, BadRow> {
        let bad = |needs| BadRow {
            file: file.id,
            step: file.step.clone(),
            needs,
        };
        let session = || {
            file.session
                .as_ref()
                .map(|(key, part_size, parts)| Session {
                    key: UploadKey(key.clone()),
                    part_size: *part_size,
                    parts: *parts,
                })
        };
        let sha256 = || match &file.sha256 {
            None => Ok(None),
            Some(bytes) => <[u8; 32]>::try_from(bytes.as_slice())
                .map(|bytes| Some(Sha256Digest(bytes)))
                .map_err(|_| bad("a digest of 32 bytes")),
        };
        let stored = || match (file.node, file.version) {
            (Some(node), Some(version)) => Ok((node, version)),
            _ => Err(bad("a node and a version")),
        };
        let level = || ProofLevel::from_name(&file.proof).ok_or(bad("a known proof level"));
        let intent = || {
            let text = file.intent.as_deref().ok_or(bad("an intent"))?;
            serde_json::from_str::<Intent>(text).map_err(|_| bad("an intent that can be read"))
        };
        Ok(match file.step.as_str() {
            "planned" => Self::Planned,
            "open" => Self::Open {
                session: session()
                    .filter(|session| session.part_size > 0 && session.parts > 0)
                    .ok_or(bad("an upload session"))?,
            },
            "intent" => Self::Intent {
                intent: intent()?,
                session: session(),
                sha256: sha256()?,
            },
            "committed" => {
                let (node, version) = stored()?;
                Self::Committed {
                    node,
                    version,
                    sha256: sha256()?,
                    found: file.intent.is_none() || intent()?.found,
                }
            }
            "proved" | "dressed" => {
                let (node, version) = stored()?;
                let sha256 = sha256()?.ok_or(bad("a digest"))?;
                let level = level()?;
                if file.step == "proved" {
                    Self::Proved {
                        node,
                        version,
                        sha256,
                        level,
                    }
                } else {
                    Self::Dressed {
                        node,
                        version,
                        sha256,
                        level,
                    }
                }
            }
            _ => return Err(bad("a step this version of longhaul knows")),
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::types::ItemId;

    pub(crate) fn row(step: &str) -> ledger::File {
        ledger::File {
            id: TransferId(7),
            item: ItemId(1),
            seq: 0,
            role: "master".into(),
            marker: "a".repeat(26),
            name: "A001.mov".into(),
            dir: String::new(),
            size: 10,
            offset: 0,
            mime: "video/quicktime".into(),
            locator: "{}".into(),
            md5: None,
            content: None,
            step: step.into(),
            validator: None,
            session: None,
            sha256: None,
            outer_state: None,
            intent: None,
            node: None,
            version: None,
            proof: "none".into(),
            bytes_sent: 0,
            restarts: 0,
        }
    }

    #[test]
    fn a_row_without_the_facts_of_its_step_is_refused_by_name() {
        for (step, needs) in [
            ("open", "an upload session"),
            ("intent", "an intent"),
            ("committed", "a node and a version"),
            ("dressed", "a node and a version"),
            ("flying", "a step this version of longhaul knows"),
        ] {
            let error = Step::of(&row(step)).unwrap_err().to_string();
            assert!(
                error.contains(needs) && error.contains("file 7") && error.contains(step),
                "{error}"
            );
        }
        let mut done = row("proved");
        done.node = Some(NodeId(1));
        done.version = Some(VersionNumber(1));
        assert!(
            Step::of(&done)
                .unwrap_err()
                .to_string()
                .contains("a digest")
        );
        done.sha256 = Some(vec![0; 31]);
        assert!(
            Step::of(&done)
                .unwrap_err()
                .to_string()
                .contains("32 bytes")
        );
    }

    #[test]
    fn a_committed_version_never_goes_back() {
        for back in ["planned", "open", "intent"] {
            for step in ["committed", "proved", "dressed"] {
                assert!(!Step::may_follow(step, back), "{step} → {back}");
            }
        }
        assert!(Step::may_follow("planned", "open") && Step::may_follow("intent", "committed"));
        assert!(!Step::may_follow("planned", "proved") && !Step::may_follow("open", "dressed"));
    }

    #[test]
    fn an_intent_round_trips_through_its_text() {
        let intent = Intent {
            target: Target::Version {
                node: NodeId(5),
                base: VersionNumber(2),
            },
            sent_at: 17,
            sent_up: Some(Uptime::now()),
            sends: 1,
            found: false,
            refused: false,
            session_gone: false,
        };
        let mut file = row("intent");
        file.intent = Some(serde_json::to_string(&intent).unwrap());
        let step = Step::of(&file).unwrap();
        assert_eq!(
            step,
            Step::Intent {
                intent,
                session: None,
                sha256: None
            }
        );
    }
}
