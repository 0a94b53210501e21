//! Asks a Content Server what no documentation says of it, in a scratch folder that is removed
//! again, and remembers the answers.
//!
//! What servers do differently (ranges, moving and renaming at once, names, descriptions, upload
//! sessions) is asked by doing it to documents of a few bytes. Everything made carries a mark that
//! the ledger knew before the server did, so that a probe that was killed leaves nothing that the
//! next one does not find (`scratch.rs`). What cannot be asked without harm is in [`NOT_ASKED`].
//!
//! The answers the client goes by are a [`Profile`], kept with the address and the release that
//! gave it ([`profiles`]); another release has to be asked again.
//!
//! | File | Holds |
//! |---|---|
//! | `scratch.rs` | the folder: made, found again, removed |
//! | `names.rs`, `nodes.rs`, `versions.rs`, `uploads.rs` | the questions |

mod names;
mod nodes;
mod scratch;
mod stored;
mod uploads;
mod versions;

pub use scratch::{Left, Removed};
pub use stored::{Stored, profiles};

use serde::{Deserialize, Serialize};

use self::scratch::Scratch;
use super::Error;
use crate::content_server::{Client, Profile, ScratchNode};
use crate::ledger::Ledger;
use crate::telemetry::crash_point;
use crate::transfer::{Content, NewContent};
use crate::types::{ByteCount, Failure, FailureClass, NodeId};

/// How an answer is to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// As longhaul wants it.
    Ok,
    /// There is no answer.
    Unknown,
    /// longhaul gets along with it, at a price.
    Warn,
    /// Something will not work.
    Fail,
}

/// An answer of the server's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The question's id.
    pub question: String,
    /// How it is to be taken.
    pub verdict: Verdict,
    /// What was seen.
    pub seen: String,
    /// What that means for a run.
    pub means: String,
}

/// A question, and what is done to ask it.
#[derive(Clone, Copy, Debug)]
pub struct Question {
    /// Its id.
    pub id: &'static str,
    /// What is asked.
    pub asks: &'static str,
    /// What is done in the scratch folder.
    pub does: &'static str,
}

const fn question(id: &'static str, asks: &'static str, does: &'static str) -> Question {
    Question { id, asks, does }
}

/// Everything that is asked, in order.
pub const QUESTIONS: [Question; 19] = [
    question(
        "duplicate-name",
        "is a second node of one name refused, in words that longhaul knows?",
        "creates a folder twice",
    ),
    question(
        "case",
        "are names that differ only by case one name?",
        "creates a folder in another case",
    ),
    question(
        "move-and-rename",
        "does one call move and rename?",
        "moves a document into a folder beside it under another name",
    ),
    question(
        "name-length",
        "how long may a name be?",
        "renames a document to longer names",
    ),
    question(
        "name-characters",
        "which characters are refused in names, beside the colon?",
        "renames a document to names with them",
    ),
    question(
        "name-emoji",
        "do characters beyond the basic plane stay in names?",
        "renames a document to a name with one",
    ),
    question(
        "name-ends",
        "do dots at the end of a name stay?",
        "renames a document to a name that ends with one",
    ),
    question(
        "version-note",
        "is the description given with a new version kept?",
        "adds a version of a few bytes with one",
    ),
    question(
        "version-number",
        "does a second version get the number 2?",
        "looks at that version",
    ),
    question(
        "description-length",
        "how long may a version's description be?",
        "describes a version with longer texts",
    ),
    question(
        "range",
        "is content read by ranges?",
        "reads a document from its middle",
    ),
    question(
        "empty-file",
        "may a document be empty?",
        "creates one without a byte",
    ),
    question(
        "external-identity",
        "is an external identity taken when a document is created?",
        "creates a document with one",
    ),
    question(
        "category-on-create",
        "does a category given when a document is created stick?",
        "creates a document with one of the mapped categories",
    ),
    question(
        "single-post",
        "which bodies are refused as too large?",
        "creates a document of up to --send-up-to bytes, and announces larger ones that are never sent",
    ),
    question(
        "upload-sessions",
        "are upload sessions offered, and of which sizes?",
        "opens a session and cancels it",
    ),
    question(
        "upload-hole",
        "is a session refused that lacks a part?",
        "sends one byte as the last part of a session and closes it",
    ),
    question(
        "upload-part-twice",
        "is a part that came twice told from a new one?",
        "sends the parts of the smallest session, one of them twice, if that is at most --send-up-to bytes",
    ),
    question(
        "upload-key-twice",
        "can a key be used twice?",
        "creates two documents with that session's key",
    ),
];

/// What is not asked, and why.
pub const NOT_ASKED: [(&str, &str); 6] = [
    (
        "request-limits",
        "how many calls are let through, and for how long one may last: only a flood or a very long call would tell; a 429 is obeyed when it comes, and content_server.request_limit is for the time",
    ),
    (
        "session-life",
        "how long an upload session waits, and whether it outlives a restart or another frontend: would take hours; a session that is gone is begun anew",
    ),
    (
        "locked-records",
        "what is said of reserved, held, official and final documents: marks that a scratch could not be rid of; look at `status` when it happens",
    ),
    (
        "late-commit",
        "whether a call that was cut off takes effect later, and how late: nobody can wait for what may not come; content_server.commit_quiet is for that",
    ),
    (
        "required-attributes",
        "what is said when a required attribute is missing: depends on the category; `map test` shows one asset's values against the definitions",
    ),
    (
        "sign-in",
        "whether NTLM, Kerberos or Basic stand before the interface: longhaul signs in as configured, and `doctor` says whether that works",
    ),
];

/// What to ask.
#[derive(Clone, Debug)]
pub struct Ask {
    /// The server's address, as profiles are kept by.
    pub server: String,
    /// The folder that the scratch is made in.
    pub parent: NodeId,
    /// Most bytes that are sent in one body or session.
    pub send_up_to: ByteCount,
    /// A category to create a document with, and its name.
    pub category: Option<(NodeId, String)>,
}

/// What a probe tells as it goes.
#[derive(Debug)]
pub enum Event<'a> {
    /// What an earlier probe left, and what became of it.
    Earlier(&'a Left),
    /// The scratch folder is there.
    Made {
        /// Its id.
        node: NodeId,
        /// Its name.
        name: &'a str,
    },
    /// An answer.
    Answer(&'a Answer),
    /// What became of the scratch folder.
    Removed(&'a Left),
}

/// Hears what a probe tells.
pub type Tell<'a> = &'a mut (dyn FnMut(Event<'_>) + Send);

/// Removes what earlier probes left, and tells of it. Nothing else is touched.
///
/// # Errors
///
/// The ledger's, and a server that does not answer.
pub async fn clean(
    client: &Client,
    ledger: &Ledger,
    server: &str,
    tell: Tell<'_>,
) -> Result<(), Error> {
    for left in scratch::clean(client, ledger, server).await? {
        tell(Event::Earlier(&left));
    }
    Ok(())
}

/// Asks everything; the answers, kept in the ledger. What earlier probes left is removed first,
/// and the scratch folder in the end, however the questions went.
///
/// # Errors
///
/// The ledger's; a scratch folder that cannot be made; a server that went away meanwhile.
pub async fn ask(
    client: &Client,
    ledger: &Ledger,
    ask: &Ask,
    tell: Tell<'_>,
) -> Result<Stored, Error> {
    let version = client.server_info().await?.version.unwrap_or_default();
    clean(client, ledger, &ask.server, tell).await?;
    let scratch = Scratch::make(client, ledger, &ask.server, ask.parent).await?;
    tell(Event::Made {
        node: scratch.node,
        name: &scratch.mark,
    });
    let mut asking = Asking {
        client,
        ask,
        scratch: &scratch,
        profile: Profile::default(),
        answers: Vec::new(),
        tell,
    };
    let asked = asking.everything().await;
    let Asking {
        profile, answers, ..
    } = asking;
    // A server that is away now is not told twice: the next probe removes the rest.
    let removed = scratch.remove(client, ledger).await;
    if let Ok(left) = &removed {
        tell(Event::Removed(left));
    }
    asked?;
    removed?;
    let stored = Stored::new(version, profile, answers);
    stored.keep(ledger, &ask.server).await?;
    Ok(stored)
}

struct Asking<'a> {
    client: &'a Client,
    ask: &'a Ask,
    scratch: &'a Scratch,
    profile: Profile,
    answers: Vec<Answer>,
    tell: Tell<'a>,
}

/// The bytes of a small document.
const SAMPLE: &[u8] = b"longhaul asks this server how it behaves; this document may be deleted.\n";

impl Asking<'_> {
    async fn everything(&mut self) -> Result<(), Failure> {
        self.ask_nodes().await?;
        self.ask_names().await?;
        self.ask_versions().await?;
        self.ask_creation().await?;
        self.ask_bodies().await?;
        self.ask_sessions().await
    }

    fn answer(
        &mut self,
        question: &'static str,
        verdict: Verdict,
        seen: impl Into<String>,
        means: &str,
    ) {
        let answer = Answer {
            question: question.to_owned(),
            verdict,
            seen: seen.into(),
            means: means.to_owned(),
        };
        (self.tell)(Event::Answer(&answer));
        self.answers.push(answer);
        crash_point("probe-answered");
    }

    /// An answer that did not come. A server that is away or signs us out ends the probe.
    fn unanswered(&mut self, questions: &[&'static str], failure: Failure) -> Result<(), Failure> {
        let gone = matches!(
            failure.class,
            FailureClass::StopEverything | FailureClass::SignInAgain
        );
        if gone {
            return Err(failure);
        }
        for question in questions {
            self.answer(
                question,
                Verdict::Unknown,
                failure.message.clone(),
                "no answer: longhaul stays with the careful way; ask again later",
            );
        }
        Ok(())
    }

    /// Makes a document of a few bytes.
    async fn document(&self, name: &str, with: serde_json::Value) -> Result<NodeId, Failure> {
        let content = body(name, bytes::Bytes::from_static(SAMPLE));
        self.make(name, Some(content), with).await
    }

    async fn folder(&self, name: &str) -> Result<NodeId, Failure> {
        self.make(name, None, serde_json::Value::Null).await
    }

    /// Makes a node in the scratch; without content it is a folder.
    async fn make(
        &self,
        name: &str,
        content: Option<NewContent>,
        with: serde_json::Value,
    ) -> Result<NodeId, Failure> {
        let node = ScratchNode {
            parent: self.scratch.node,
            name,
            mark: &self.scratch.mark,
            content,
            with,
        };
        Ok(self.client.create_in_scratch(node).await?.node)
    }
}

fn body(name: &str, content: bytes::Bytes) -> NewContent {
    NewContent::Body {
        file_name: name.to_owned(),
        mime: "application/octet-stream".to_owned(),
        content: Content::Chunks(vec![content]),
    }
}
