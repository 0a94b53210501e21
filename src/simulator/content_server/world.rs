//! Everything the server knows, behind one lock: a call changes it whole or not at all.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::answer::Refusal;
use super::auth::Sessions;
use super::call::Call;
use super::categories::Definition;
use super::codes::Codes;
use super::config::{Config, Wording};
use super::content::Blob;
use super::cross_references::CrossReferences;
use super::history::{Event, VisibleVersion};
use super::holds::Holds;
use super::members::{ADMIN, DEFAULT_GROUP, Member, Members};
use super::multipart::Uploads;
use super::nodes::{Node, Tree};
use super::permissions::{Access, Rights};
use super::personal::Favorites;
use super::queue::Queue;
use super::retention::Retention;
use super::security::Clearances;
use super::workflow::Workflows;
use super::workspaces::Workspaces;

/// The state of the server.
pub(super) struct World {
    pub(super) config: Config,
    pub(super) members: Members,
    pub(super) sessions: Sessions,
    pub(super) tree: Tree,
    pub(super) uploads: Uploads,
    pub(super) definitions: BTreeMap<i64, Definition>,
    pub(super) holds: Holds,
    pub(super) cross_references: CrossReferences,
    pub(super) retention: Retention,
    /// The codes of records management.
    pub(super) codes: Codes,
    /// Tasks of records management that wait for their turn.
    pub(super) queue: Queue,
    pub(super) workspaces: Workspaces,
    pub(super) workflows: Workflows,
    pub(super) clearances: Clearances,
    pub(super) favorites: Favorites,
    pub(super) history: Vec<Event>,
    /// Bytes held in the store, as of the call at work.
    pub(super) held: u64,
    last_id: i64,
}

/// What a caller is about to do to a node, for the states that forbid it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    /// Add, change or remove versions.
    Version,
    /// Change name, place or metadata.
    Edit,
    /// Remove the node.
    Delete,
}

impl World {
    pub(super) fn new(config: Config, now: Timestamp) -> Self {
        let mut members = Members::default();
        members.insert(Member {
            id: DEFAULT_GROUP,
            name: "DefaultGroup".to_owned(),
            ..Member::default()
        });
        let mut world = Self {
            tree: Tree::new(config.collation),
            config,
            members,
            sessions: Sessions::new(),
            uploads: Uploads::default(),
            definitions: BTreeMap::new(),
            holds: Holds::default(),
            cross_references: CrossReferences::default(),
            retention: Retention::default(),
            codes: Codes::default(),
            queue: Queue::default(),
            workspaces: Workspaces::default(),
            workflows: Workflows::default(),
            clearances: Clearances::default(),
            favorites: Favorites::default(),
            history: Vec::new(),
            held: 0,
            last_id: 2999,
        };
        world.tree.plant(now);
        world
    }

    /// The next id of a node, version, member or hold: one number space, never reused.
    pub(super) fn id(&mut self) -> i64 {
        self.last_id += 1;
        self.last_id
    }

    /// A date as this release writes it.
    pub(super) fn date(&self, at: Timestamp) -> String {
        let format = if self.config.zoned_dates {
            "%Y-%m-%dT%H:%M:%SZ"
        } else {
            "%Y-%m-%dT%H:%M:%S"
        };
        at.strftime(format).to_string()
    }

    /// Writes down an effect.
    pub(super) fn record(
        &mut self,
        call: &Call,
        kind: &'static str,
        node: Option<i64>,
        detail: Value,
    ) {
        self.record_content(call, kind, node, detail, None);
    }

    /// Writes down an effect of what somebody asked for in an earlier call.
    pub(super) fn record_by(&mut self, call: &Call, user: i64, kind: &'static str, node: i64) {
        let (sequence, at) = (self.history.len() as u64 + 1, call.now);
        self.history.push(Event {
            sequence,
            at,
            user,
            kind,
            node: Some(node),
            detail: serde_json::json!({}),
            content: None,
        });
    }

    /// Writes down an effect that filed content.
    pub(super) fn record_content(
        &mut self,
        call: &Call,
        kind: &'static str,
        node: Option<i64>,
        detail: Value,
        content: Option<Blob>,
    ) {
        let sequence = self.history.len() as u64 + 1;
        let (at, user) = (call.now, call.user);
        self.history.push(Event {
            sequence,
            at,
            user,
            kind,
            node,
            detail,
            content,
        });
    }

    /// What a member may do with a node.
    pub(super) fn rights(&self, user: i64, id: i64) -> Rights {
        let Some(node) = self.tree.get(id) else {
            return Rights::NONE;
        };
        match self.members.get(user) {
            _ if user == ADMIN => Rights::ALL,
            Some(member) if member.administrator => Rights::ALL,
            Some(_) => {
                let mut all = self.members.groups_of(user);
                let teams = &self.workspaces.teams;
                all.extend(teams.roles_of(user, &all));
                node.access.of(user, &all)
            }
            None => Rights::NONE,
        }
    }

    /// A node that the member may see.
    pub(super) fn visible(&self, user: i64, id: i64) -> Option<&Node> {
        let node = self.tree.get(id)?;
        self.rights(user, id).has(Rights::SEE).then_some(node)
    }

    /// A node that the member may see.
    ///
    /// # Errors
    ///
    /// The one refusal for a node that is missing and for one that is not for the member.
    pub(super) fn seen(&self, user: i64, id: i64) -> Result<&Node, Refusal> {
        self.visible(user, id)
            .ok_or_else(|| Refusal::inaccessible(400))
    }

    /// Whether states of the node forbid the deed: reserved by somebody else, on hold, official
    /// or finalised. `action` is what the documented refusal calls it.
    ///
    /// # Errors
    ///
    /// The refusal.
    pub(super) fn free(&self, user: i64, id: i64, deed: Deed, action: &str) -> Result<(), Refusal> {
        let Some(node) = self.tree.get(id) else {
            return Err(Refusal::inaccessible(400));
        };
        let telling = if let Some((holder, _)) = node.reserved
            && holder != user
        {
            Some(format!(
                "This item is reserved by {}.",
                self.members.name(holder)
            ))
        } else if let Some(record) = &node.record
            && record.finalised
        {
            Some("This item is a finalized record and cannot be changed.".to_owned())
        } else if let Some(record) = &node.record
            && record.official
            && !self
                .members
                .get(user)
                .is_some_and(|member| member.administrator)
        {
            Some("This item is an official record and cannot be changed.".to_owned())
        } else if node.record.is_some() && deed == Deed::Delete {
            Some("This item is a managed record; disposition decides about it.".to_owned())
        } else if self.holds.active_on(id)
            && (deed == Deed::Delete || self.config.holds_block_changes)
        {
            Some("This item is on hold and cannot be changed.".to_owned())
        } else {
            None
        };
        match (telling, self.config.wording) {
            (None, _) => Ok(()),
            (Some(_), Wording::Documented) => Err(Refusal::action(action)),
            (Some(text), Wording::Telling) => Err(Refusal::bad(text)),
        }
    }

    /// Every version of every document that is not deleted, by place and number.
    pub(super) fn versions(&self) -> Vec<(VisibleVersion, Blob)> {
        let mut found = Vec::new();
        for node in self.tree.iter() {
            for version in &node.versions {
                let visible = VisibleVersion {
                    parent: node.parent,
                    node: node.id,
                    name: node.name.clone(),
                    version: version.number,
                    counted: (version.major, version.minor),
                    description: version.description.clone(),
                    marker: VisibleVersion::marker_of(&version.description, &node.name),
                    size: version.blob.len(),
                    sha256: None,
                    corrupted: !version.flips.is_empty(),
                    recognised: version.blob.recognised(),
                };
                found.push((visible, version.blob.clone()));
            }
        }
        found
    }

    /// Drops upload sessions that have been idle too long.
    pub(super) fn expire(&mut self, clock: Duration) {
        self.uploads.expire(clock, self.config.multipart.lifetime);
    }

    /// The access of everything planted at the start: the administrator owns it, everybody
    /// reads it.
    pub(super) fn open_access() -> Access {
        Access {
            owner: Some((ADMIN, Rights::ALL)),
            group: Some((DEFAULT_GROUP, Rights::READ)),
            public: Some(Rights::READ),
            custom: BTreeMap::new(),
        }
    }
}
