//! The switches of a simulated Content Server: what an administrator sets, and what no source
//! settles, so that a test can try every answer.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::types::{ByteCount, MIB};

/// Durations as whole milliseconds, the way `serverinfo` writes them.
mod millis {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(u64::try_from(value.as_millis()).unwrap_or(u64::MAX))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        u64::deserialize(from).map(Duration::from_millis)
    }
}

/// How a ticket ages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TicketMode {
    /// It expires a lifetime after the last request; answers carry a fresh one.
    Sliding,
    /// It expires a lifetime after the login; fresh tickets keep that end.
    Fixed,
    /// It ages from the login, and answers carry no fresh one.
    None,
}

/// Whether two names that differ only in case are the same name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Collation {
    /// As on PostgreSQL and Oracle: they are two names.
    CaseSensitive,
    /// As on SQL Server: they collide.
    CaseInsensitive,
}

/// What an update does that asks for another parent and another name at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MoveAndRename {
    /// Both.
    Both,
    /// It is refused.
    Refused,
    /// It moves; the name is passed over.
    MoveOnly,
}

/// The site's rules for node names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Names {
    /// Longest name, in UTF-16 units.
    pub limit: usize,
    /// Characters that are refused.
    pub refused: String,
    /// Dots at the end stay; off, they are cut off as white space is.
    pub final_dots: bool,
    /// Characters beyond the basic plane stay; off, a question mark is stored for each.
    pub astral: bool,
}

impl Default for Names {
    fn default() -> Self {
        Self {
            limit: 248,
            refused: ":".to_owned(),
            final_dots: true,
            astral: true,
        }
    }
}

/// What becomes of received content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Keep {
    /// Content equal to a registered master is kept as a reference to it, anything else is
    /// stored; both can be read back.
    Recognise,
    /// Every byte is stored.
    Store,
    /// Only the length stays, and nothing is worked out: for measurements of the other end.
    /// Reading it is refused.
    Count,
    /// Only the length stays, and the SHA-256 of content that arrived in one piece. Reading it
    /// is refused.
    Drop,
}

/// What a refusal says when no source quotes the real server's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wording {
    /// `Could not process object, invalid action '…'`, the documented answer for an operation
    /// that type, state or permission forbids.
    Documented,
    /// A sentence that names the state (reserved, on hold, finalised).
    Telling,
}

/// Large File Upload as the administrator set it up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Multipart {
    /// Whether the release has the calls at all; without them they are unknown addresses.
    pub exists: bool,
    /// The feature switch.
    pub enabled: bool,
    /// Smallest file taken, in bytes, inclusive.
    pub min_size: ByteCount,
    /// Largest file taken, in bytes, inclusive.
    pub max_size: ByteCount,
    /// Exact size of every part but the last, in bytes.
    pub part_size: ByteCount,
    /// Retries that the start call recommends.
    pub max_retries: u32,
    /// Idle time after which a session is gone.
    #[serde(rename = "lifetime_ms", with = "millis")]
    pub lifetime: Duration,
    /// Refuses a part whose length is not the one its number asks for.
    pub check_part_length: bool,
    /// Refuses to close while parts are missing. Without it the holes are left out.
    pub require_all_parts: bool,
    /// A key serves one successful create or add-version call.
    pub single_use: bool,
    /// A session is known only to the cluster node that opened it (see [`Config::nodes`]).
    pub one_node: bool,
}

impl Default for Multipart {
    fn default() -> Self {
        Self {
            exists: true,
            enabled: true,
            // The window of the one published settings answer: 100 MiB to 3.39 GiB.
            min_size: 100 * MIB,
            max_size: 3_638_558_720,
            part_size: 16 * MIB,
            max_retries: 5,
            lifetime: Duration::from_secs(24 * 3600),
            check_part_length: true,
            require_all_parts: true,
            single_use: true,
            one_node: false,
        }
    }
}

/// Everything that can be set. As JSON it may be changed while the server runs; durations are
/// whole milliseconds there, in fields that end in `_ms`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Path of the CGI entry, before `/api`. `/otcs/cs.exe` and `/cs/cs` are the usual ones.
    pub cgi: String,
    /// Path of the static support files.
    pub support: String,
    /// `server.version`; clients parse it as a decimal number.
    pub version: String,
    /// Holds callers to the published form: no JSON bodies on node calls, `part_content` as the
    /// field of a part, a mime type at the start of a session.
    pub strict: bool,
    /// Checks credentials at all. Off, everybody is the administrator.
    pub authentication: bool,
    /// How tickets age.
    pub tickets: TicketMode,
    /// How long a ticket lives.
    #[serde(rename = "ticket_lifetime_ms", with = "millis")]
    pub ticket_lifetime: Duration,
    /// Sends `OTCSTicketExpires` with each answer.
    pub announce_expiry: bool,
    /// A login ends the same user's earlier sessions.
    pub one_session_per_user: bool,
    /// How names compare.
    pub collation: Collation,
    /// Rows of a page when the caller does not say.
    pub page_size: u32,
    /// Most rows of a page, whatever the caller says.
    pub page_limit: u32,
    /// Honours `Range` on content. Off, the header is ignored and 200 comes back.
    pub ranges: bool,
    /// The rules for node names.
    pub names: Names,
    /// Moving and renaming in one call.
    pub move_and_rename: MoveAndRename,
    /// Keeps the description that comes with an add-version call.
    pub version_notes: bool,
    /// Longest description of a version, in characters; the rest is cut off.
    pub description_limit: usize,
    /// Takes an external identity with a create call.
    pub external_on_create: bool,
    /// Ends node and version dates in `Z`, as newer releases do.
    pub zoned_dates: bool,
    /// What becomes of content.
    pub keep: Keep,
    /// Where content is spooled; the system's temporary directory when absent. Read once.
    pub spool: Option<PathBuf>,
    /// Most bytes of content held in all; more is refused as a full disk.
    pub quota: Option<ByteCount>,
    /// Longest request body in bytes; beyond it a web server answers 413 with a page.
    pub body_limit: Option<ByteCount>,
    /// Longest life of one request. Nothing a request started takes effect later than this
    /// after its arrival.
    #[serde(rename = "request_limit_ms", with = "millis")]
    pub request_limit: Duration,
    /// Cluster nodes behind the address. With more than one a cookie names the node, and calls
    /// without it take turns.
    pub nodes: u32,
    /// How long a change stays unknown to search.
    #[serde(rename = "index_lag_ms", with = "millis")]
    pub index_lag: Duration,
    /// How long a task waits in the queue of records management.
    #[serde(rename = "queue_lag_ms", with = "millis")]
    pub queue_lag: Duration,
    /// Deleted nodes go to the recycle bin.
    pub recycle_bin: bool,
    /// A held document refuses new versions and edits, not only deletion.
    pub holds_block_changes: bool,
    /// The words of refusals that no source quotes.
    pub wording: Wording,
    /// Large File Upload.
    pub multipart: Multipart,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            cgi: "/otcs/cs.exe".to_owned(),
            support: "/cssupport".to_owned(),
            version: "25.4".to_owned(),
            strict: true,
            authentication: true,
            tickets: TicketMode::Sliding,
            ticket_lifetime: Duration::from_secs(30 * 60),
            announce_expiry: false,
            one_session_per_user: false,
            collation: Collation::CaseInsensitive,
            page_size: 25,
            page_limit: 100,
            ranges: false,
            names: Names::default(),
            move_and_rename: MoveAndRename::Both,
            version_notes: true,
            description_limit: 255,
            external_on_create: true,
            zoned_dates: true,
            keep: Keep::Recognise,
            spool: None,
            quota: None,
            body_limit: None,
            request_limit: Duration::from_secs(1800),
            nodes: 1,
            index_lag: Duration::from_secs(5),
            queue_lag: Duration::ZERO,
            recycle_bin: true,
            holds_block_changes: true,
            wording: Wording::Telling,
            multipart: Multipart::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partial_json_changes_only_what_it_names() {
        let config: Config = serde_json::from_str(
            r#"{"ticket_lifetime_ms":1500,"multipart":{"min_size":0},"collation":"case_sensitive"}"#,
        )
        .unwrap();
        assert_eq!(config.ticket_lifetime, Duration::from_millis(1500));
        assert_eq!(config.multipart.min_size, 0);
        assert_eq!(config.multipart.part_size, 16 * MIB);
        assert_eq!(config.cgi, "/otcs/cs.exe");
    }

    #[test]
    fn a_misspelt_switch_is_refused() {
        assert!(serde_json::from_str::<Config>(r#"{"rangess":true}"#).is_err());
    }
}
