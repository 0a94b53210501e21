//! The destination: OpenText Content Server (Extended ECM) through its REST interface.
//!
//! [`Client`] signs in, keeps the session alive and implements
//! [`Destination`](crate::transfer::Destination); what the engine has no word for (permissions,
//! categories, server facts) are methods of its own. The server's habits shape it: business errors
//! are told by text rather than status, success pages may be HTML, nothing has a checksum, parts
//! of an upload session cannot be listed or replaced, and a lost reply to a commit proves
//! nothing. So every answer is read against what was asked, and anything unclear about a commit
//! is [`Ambiguous`](crate::types::Reason::Ambiguous), never a guess.
//!
//! | File | Holds |
//! |---|---|
//! | `auth.rs` | the session: tickets, tokens, renewal, who may sign in and how often |
//! | `call.rs` | one call: address, body, credential, the repeat after a new sign-in |
//! | `errors.rs` | what refusals mean; what a caller does next |
//! | `wire.rs`, `form.rs` | shapes of answers; streamed form bodies |
//! | `names.rs` | names the server can hold |
//! | `profile.rs`, `probe.rs` | what was learnt of this server by asking it; the calls that ask |
//! | `server.rs`, `nodes.rs`, `versions.rs` | reading: server facts, nodes, versions, content |
//! | `upload.rs`, `commit.rs` | writing: upload sessions; new documents, versions and folders |
//! | `permissions.rs`, `categories.rs` | who may do what; attributes |
//! | `definitions.rs` | categories as they are defined, by name |
//! | `folders.rs`, `workspaces.rs` | containers by their names; business workspaces, their people and relations |
//! | `records.rs`, `holds.rs` | classifications and records; holds, clearance, external facts |
//! | `cross_references.rs` | which nodes have to do with each other |
//! | `shortcuts.rs` | nodes that stand for another one |
//! | `renditions.rs` | other forms of a version, kept with it |
//! | `retention.rs` | due dates, disposition reviews |
//! | `changes.rs` | when nodes were changed last |
//! | `filing/` | what makes a document a record: its place, values, rights and marks |
//!
//! Left to others: when and how often to repeat a call, how many calls run at once, what to file
//! where, and the proof of content by reading it back. Nothing here deletes a node or a version,
//! but for the scratch of a probe or a trial, which must say of itself that it is one.

mod auth;
mod call;
mod categories;
mod changes;
mod commit;
mod cross_references;
mod definitions;
mod destination;
mod documents;
mod errors;
mod filing;
mod folders;
mod form;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod holds;
mod names;
mod nodes;
mod people;
mod permissions;
mod probe;
mod profile;
mod records;
mod renditions;
mod retention;
mod server;
mod shortcuts;
#[cfg(test)]
mod tests;
mod upload;
mod versions;
mod wire;
mod workflow;
mod workspaces;

use std::collections::HashMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use secrecy::SecretString;
use url::Url;

pub use categories::{AttributeDefinition, Category, CategoryValues};
pub use changes::Changed;
pub use cross_references::CrossReference;
pub use documents::{Complete, Listed, ListedPage};
pub use filing::{Area, Compared, Filing, Marks, Rights, WorkspacePlace, is_staged_link};
pub use folders::Container;
pub use holds::{ExternalFacts, HoldsOver, NodeHold, Security};
pub use names::{MAX_NAME, NameRules, fold, map_name};
pub use people::{Member, MemberKind, SearchHit};
pub use permissions::{ApplyTo, Grant, Holder, Right};
pub use probe::{Announced, Marked, RangeSeen, ScratchNode};
pub use profile::Profile;
pub use records::{Classification, Record, RecordFields, RecordState};
pub use renditions::Rendition;
pub use retention::{DispositionEntry, RetentionStage};
pub use server::{CurrentUser, ServerInfo};
pub use workflow::{
    DraftForm, NewProcess, Process, ProcessActivity, ProcessComment, ProcessEvent, ProcessInfo,
    ProcessStatus, ProcessStep, WorkflowMap,
};
pub use workspaces::{
    NewWorkspace, ObjectReference, Participant, Relation, Workspace, WorkspaceRole,
    WorkspaceTemplate, WorkspaceType,
};

use crate::http;
use crate::transfer::Window;
use crate::types::{Failure, UploadKey};

/// Where the server is and how to talk to it.
#[derive(Clone, Debug)]
pub struct Config {
    /// The server's address, ending in its CGI path: `https://cs.example.com/otcs/cs.exe`.
    pub url: Url,
    /// The configured name of this server; markers are derived from it, so it never changes.
    pub instance: String,
    /// How to sign in.
    pub auth: Auth,
    /// How long the server may work on one request: time to the answer of calls that store or
    /// assemble content. The stock proxies in front of it give up after 1800 s, and a longer
    /// request may get the server restarted.
    pub request_limit: Duration,
    /// Time to the answer of one part after it was sent, and to the first byte of a download.
    /// Both are short work, but a server whose eight threads are busy queues them, and content in
    /// an archive is slow to start.
    pub part_limit: Duration,
    /// Rows per page of listings. The official clients ask for 100; larger pages are capped by
    /// some servers.
    pub page_size: u32,
    /// How versions of the documents it creates are counted.
    pub versioning: Versioning,
}

/// How versions of a document are counted. The kind is the document's: one that exists keeps it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Versioning {
    /// One after the other.
    #[default]
    Standard,
    /// Advanced, each a major version.
    Major,
    /// Advanced, each a minor version.
    Minor,
}

impl Config {
    /// The configuration with every limit at its default.
    pub fn new(url: Url, instance: impl Into<String>, auth: Auth) -> Self {
        Self {
            url,
            instance: instance.into(),
            auth,
            request_limit: Duration::from_secs(1800),
            part_limit: Duration::from_secs(300),
            page_size: 100,
            versioning: Versioning::default(),
        }
    }
}

/// How to sign in.
#[derive(Clone, Debug)]
pub enum Auth {
    /// Content Server's own sign-in.
    Password {
        /// Login name.
        user: String,
        /// Password.
        password: SecretString,
        /// Login domain, where the server uses them.
        domain: Option<String>,
    },
    /// Client credentials of OpenText Directory Services.
    Otds {
        /// The OAuth client's id.
        client_id: String,
        /// The OAuth client's secret.
        client_secret: SecretString,
        /// The token endpoint, such as `https://otds.example.com/otdsws/oauth2/token`.
        token_url: Url,
    },
}

impl Auth {
    /// Whom the server will see, as a text for people.
    fn who(&self) -> String {
        match self {
            Self::Password { user, .. } => format!("user {user:?}"),
            Self::Otds { client_id, .. } => format!("client {client_id:?}"),
        }
    }
}

/// A signed-in connection to one Content Server. Cheap to clone; clones share the session.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    http: http::Client,
    config: Config,
    sign_in: auth::SignIn,
    /// Cookies of the upload sessions in progress: a balancer may bind each to one frontend.
    cookies: Mutex<HashMap<UploadKey, http::CookieJar>>,
    /// Set once the server said that it has no v2 route for adding versions.
    old_versions: AtomicBool,
    /// Where records went lately.
    places: filing::Places,
    /// What members are called.
    names: people::Names,
    /// What was learnt of this server.
    profile: RwLock<Arc<Profile>>,
    /// When the window of upload sessions was asked for, and what it is.
    window: tokio::sync::Mutex<Option<(tokio::time::Instant, Option<Window>)>>,
}

impl Client {
    /// A client; nothing is sent before the first call.
    ///
    /// # Errors
    ///
    /// A failure of class `StopEverything` when the address is not an absolute http(s) one.
    pub fn new(http: http::Client, mut config: Config) -> Result<Self, Failure> {
        // Nothing but the place: what else stands in an address could be a secret, and the
        // address is shown.
        config.url.set_query(None);
        config.url.set_fragment(None);
        let named = config.url.set_username("").is_ok() && config.url.set_password(None).is_ok();
        if !named {
            return Err(Failure::stop(
                "the address of content server names no host; write it as https://cs.example.com/otcs/cs.exe",
            ));
        }
        config.page_size = config.page_size.clamp(1, 1000);
        let sign_in = auth::SignIn::new(http.clone(), config.url.clone(), config.auth.clone())?;
        Ok(Self(Arc::new(Inner {
            http,
            sign_in,
            config,
            cookies: Mutex::default(),
            old_versions: AtomicBool::new(false),
            places: filing::Places::default(),
            names: people::Names::default(),
            profile: RwLock::default(),
            window: tokio::sync::Mutex::default(),
        })))
    }

    /// The configured name of the server.
    pub fn instance(&self) -> &str {
        &self.0.config.instance
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("url", &self.0.config.url.as_str())
            .field("instance", &self.0.config.instance)
            .finish_non_exhaustive()
    }
}
