//! The account: every row, and the campaign turned into rows and objects.
//!
//! Rows live here behind one lock; handlers read and change them and say what they changed, so
//! that the search index can lag and webhooks can fire.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use serde::Serialize;
use serde_json::{Value, json};

use super::call::Token;
use super::jobs::Button;
use super::library::Library;
use super::members::{Member, Memberships};
use super::notify::Delivery;
use super::table::{Kind, Row, Table, id, row, text};
use crate::simulator::bucket::Bucket;
use crate::simulator::clock::Clock;

/// Writes and events kept for audits.
const KEPT: usize = 20_000;

/// A change a client made, as sent.
#[derive(Clone, Debug, Serialize)]
pub struct Write {
    /// Counts writes from 1.
    pub number: u64,
    /// Date of the simulator's clock.
    pub date: String,
    /// Method.
    pub method: String,
    /// Path.
    pub path: String,
    /// The user it was made for.
    pub user: String,
    /// Status of the reply; refused writes are listed too.
    pub status: u16,
    /// The body as sent.
    pub body: Value,
}

/// A row as it was before a change.
pub(super) type Former = (i64, Option<Row>);

/// Whom and what a metadata value belongs to: object type, object, version (or nothing), view.
pub(super) type ValueKey = (String, String, String, String);

/// Everything in the account.
pub(super) struct World {
    pub(super) clock: Clock,
    pub(super) bucket: Bucket,
    pub(super) user: String,
    pub(super) domain: String,
    pub(super) tokens: Vec<Token>,
    pub(super) library: Option<Library>,
    pub(super) root: String,
    pub(super) tables: HashMap<Kind, Table>,
    /// Rows of one kind that belong to a row, in order.
    pub(super) children: HashMap<(Kind, String), Vec<String>>,
    pub(super) members: Memberships,
    pub(super) fields: Table,
    /// By object type and name.
    pub(super) categories: BTreeMap<(String, String), Row>,
    pub(super) values: HashMap<ValueKey, Row>,
    pub(super) relations: Vec<Row>,
    pub(super) relation_types: Table,
    /// Approval request and votes by object type, object and version (or nothing).
    pub(super) approvals: HashMap<(String, String, String), (Row, Vec<Row>)>,
    /// Bucket key of each explicit file.
    pub(super) keys: HashMap<String, String>,
    /// Every key in use.
    pub(super) taken: HashSet<String>,
    /// Signed addresses that are handed out again, with the moment of signing.
    pub(super) links: HashMap<String, (String, i64)>,
    pub(super) former: HashMap<String, Vec<Former>>,
    pub(super) lag_ms: i64,
    pub(super) zoneless_dates: bool,
    pub(super) link_cache_ms: i64,
    pub(super) thaw_ms: i64,
    /// Restores under way: job and the moment it ends.
    pub(super) thawing: Vec<(String, i64)>,
    pub(super) grace_ms: i64,
    pub(super) writes: VecDeque<Write>,
    pub(super) write_count: u64,
    pub(super) events: Vec<Value>,
    pub(super) buttons: Vec<Button>,
    pub(super) deliveries: Vec<Delivery>,
    /// Webhooks that come late on purpose.
    pub(super) held_back: Vec<Delivery>,
    pub(super) action_token_ms: i64,
    pub(super) webhook_patience_ms: i64,
    pub(super) webhook_duplicates: bool,
    pub(super) webhook_reorder: bool,
    counts: HashMap<Kind, u32>,
}

impl World {
    pub(super) fn new(clock: Clock, bucket: Bucket) -> Self {
        Self {
            clock,
            bucket,
            user: id(Kind::User, 1, false),
            domain: id(Kind::Other, 1, false),
            tokens: Vec::new(),
            library: None,
            root: String::new(),
            tables: HashMap::new(),
            children: HashMap::new(),
            members: Memberships::default(),
            fields: Table::default(),
            categories: BTreeMap::new(),
            values: HashMap::new(),
            relations: Vec::new(),
            relation_types: Table::default(),
            approvals: HashMap::new(),
            keys: HashMap::new(),
            taken: HashSet::new(),
            links: HashMap::new(),
            former: HashMap::new(),
            lag_ms: 0,
            zoneless_dates: true,
            link_cache_ms: 24 * 3_600_000,
            thaw_ms: 0,
            thawing: Vec::new(),
            grace_ms: 24 * 3_600_000,
            writes: VecDeque::new(),
            write_count: 0,
            events: Vec::new(),
            buttons: Vec::new(),
            deliveries: Vec::new(),
            held_back: Vec::new(),
            action_token_ms: 0,
            webhook_patience_ms: 0,
            webhook_duplicates: false,
            webhook_reorder: false,
            counts: HashMap::new(),
        }
    }

    /// A fresh id.
    pub(super) fn next_id(&mut self, kind: Kind) -> String {
        let count = self.counts.entry(kind).or_default();
        *count += 1;
        id(kind, *count, false)
    }

    pub(super) fn table(&mut self, kind: Kind) -> &mut Table {
        self.tables.entry(kind).or_default()
    }

    /// Adds a row that belongs to `parent`.
    pub(super) fn adopt(&mut self, kind: Kind, parent: &str, child: Row) {
        let child_id = text(&child, "id").to_owned();
        self.table(kind).put(&child_id, child);
        self.children
            .entry((kind, parent.to_owned()))
            .or_default()
            .push(child_id);
    }

    /// Ids of the rows of a kind that belong to `parent`.
    pub(super) fn children(&self, kind: Kind, parent: &str) -> Vec<String> {
        if let Some(library) = &self.library {
            let numbered = |from: Kind| library.number(from, parent);
            let number = match kind {
                Kind::Format => numbered(Kind::Asset),
                Kind::FileSet => numbered(Kind::Format),
                Kind::File => numbered(Kind::FileSet),
                _ => None,
            };
            if let Some(n) = number {
                return vec![id(kind, n, true)];
            }
        }
        self.children
            .get(&(kind, parent.to_owned()))
            .cloned()
            .unwrap_or_default()
    }

    /// A row of any kind, generated ones included.
    pub(super) fn row(&self, kind: Kind, wanted: &str) -> Option<Row> {
        if let Some(row) = self.tables.get(&kind).and_then(|t| t.get(wanted)) {
            return Some(row.clone());
        }
        let library = self.library.as_ref()?;
        let n = library.number(kind, wanted)?;
        let storage = id(Kind::Storage, 1, false);
        Some(match kind {
            Kind::Asset => library.asset(n, &self.user, &self.root),
            Kind::Format => Library::format(n, &self.user),
            Kind::FileSet => Library::file_set(n, &storage),
            Kind::File => library.file(n, &storage, &self.user),
            _ => return None,
        })
    }

    /// Changes a row and stamps it; the new row. None when there is no such row, or it is
    /// generated and of a kind that cannot be changed.
    pub(super) fn change(
        &mut self,
        kind: Kind,
        wanted: &str,
        change: impl FnOnce(&mut Row),
    ) -> Option<Row> {
        let old = self.row(kind, wanted)?;
        let mut new = old.clone();
        change(&mut new);
        new.insert("date_modified".into(), self.clock.stamp().into());
        self.remember(wanted, Some(old));
        let library = self.library.as_mut();
        match library.and_then(|l| Some((l.number(kind, wanted)?, l))) {
            Some((n, library)) if kind == Kind::Asset => {
                library.keep(n, &new, &self.user, &self.root);
            }
            Some(_) => return None,
            None => self.table(kind).put(wanted, new.clone()),
        }
        Some(new)
    }

    /// Keeps what a row was, for the index to lag behind.
    pub(super) fn remember(&mut self, wanted: &str, old: Option<Row>) {
        let now = self.clock.now_ms();
        if self.lag_ms > 0 {
            let former = self.former.entry(wanted.to_owned()).or_default();
            former.retain(|(at, _)| *at > now - self.lag_ms);
            former.push((now, old));
        }
    }

    /// A row as the search index knows it: what it was before changes that are too recent.
    pub(super) fn indexed(&self, kind: Kind, wanted: &str) -> Option<Row> {
        let since = self.clock.now_ms() - self.lag_ms;
        let fresh = |(at, _): &&Former| *at > since;
        match self.former.get(wanted).and_then(|f| f.iter().find(fresh)) {
            Some((_, old)) => old.clone(),
            None => self.row(kind, wanted),
        }
    }

    /// Members of a collection as the index knows them, generated ones aside.
    pub(super) fn members(&self, collection: &str) -> impl Iterator<Item = &Member> {
        let until = self.clock.now_ms() - self.lag_ms;
        let lags = self.lag_ms > 0;
        self.members
            .of(collection)
            .filter(move |member| !lags || member.since_ms <= until)
    }

    /// Whether the library lies in this collection.
    pub(super) fn library_in(&self, collection: &str) -> Option<&Library> {
        self.library.as_ref().filter(|_| collection == self.root)
    }

    /// Adds a membership; whether it is new.
    pub(super) fn add_member(
        &mut self,
        collection: &str,
        kind: &'static str,
        wanted: &str,
    ) -> bool {
        let since_ms = self.clock.now_ms();
        let member = Member {
            kind,
            id: wanted.to_owned(),
            since_ms,
        };
        self.members.add(collection, member)
    }

    /// Collections that an object is in.
    pub(super) fn collections_of(&self, wanted: &str) -> Vec<String> {
        let mut found = self.members.homes_of(wanted);
        let library = self.library.as_ref();
        if library.is_some_and(|l| l.number(Kind::Asset, wanted).is_some()) {
            found.push(self.root.clone());
        }
        found.sort_unstable();
        found
    }

    /// Those collections and everything above them, each once.
    pub(super) fn ancestors(&self, wanted: &str) -> Vec<String> {
        let mut found = self.collections_of(wanted);
        let mut at = 0;
        while let Some(collection) = found.get(at).cloned() {
            for above in self.collections_of(&collection) {
                if !found.contains(&above) {
                    found.push(above);
                }
            }
            at += 1;
        }
        found
    }

    /// A line in an asset's history.
    pub(super) fn history(&mut self, asset: &str, user: &str, operation: &str, about: &str) -> Row {
        let line = row(json!({
            "id": self.next_id(Kind::History),
            "asset_id": asset,
            "operation_type": operation,
            "operation_description": about,
            "user_id": user,
            "job_id": null,
            "share_id": null,
            "share_user_id": null,
            "system_domain_id": self.domain,
            "date_created": self.clock.stamp(),
            "date_modified": self.clock.stamp(),
        }));
        self.adopt(Kind::History, asset, line.clone());
        line
    }

    /// Tells webhooks about a change.
    pub(super) fn event(&mut self, what: [&str; 3], object: &str, user: &str, data: Value) {
        let [event_type, realm, operation] = what;
        let event = json!({
            "system_domain_id": self.domain,
            "event_type": event_type,
            "object_id": object,
            "user_id": user,
            "realm": realm,
            "operation": operation,
            "request_id": self.next_id(Kind::Other),
            "data": data,
        });
        self.events.push(event);
    }

    /// Notes what a client wrote.
    pub(super) fn note(&mut self, mut write: Write) {
        self.write_count += 1;
        write.number = self.write_count;
        write.date = self.clock.stamp();
        if self.writes.len() == KEPT {
            self.writes.pop_front();
        }
        self.writes.push_back(write);
    }
}
