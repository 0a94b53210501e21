//! A Content Server with the REST interface, as far as filing documents and records goes.
//!
//! It follows the published interface and, where that and observed traffic differ, the traffic.
//! What no source settles is a switch in [`Config`]. Everything it knows lies in one `World`
//! behind one lock; a call is read whole, carried out whole and answered, so that a broken
//! connection leaves either nothing or a commit whose answer was lost.
//!
//! ```text
//! exchange ─ credentials ─ body (files into the spool) ─ arguments ─ routes ─ one call ─ answer
//!   auth       forms, content            arguments        routes    nodes, versions, multipart,
//!                                                                   categories, permissions …
//! ```
//!
//! # Faults
//!
//! The wire is the server's business. These [`Action::Named`](super::faults::Action::Named)
//! switches, set on a request, are understood here:
//!
//! | Name | Parameters | Effect |
//! |---|---|---|
//! | `ticket_expired` | `{"after_bytes": n}` | the session ends; with a number only after so many body bytes |
//! | `upload_expired` | | the upload sessions are found expired |
//! | `upload_lost` | | the upload sessions are found unknown |
//! | `parts_exchanged`, `part_lost` | | the session's content was put together wrongly (on the call that spends it) |
//! | `other_node` | | another cluster node takes the call |
//! | `name_taken` | | somebody creates a node with the call's name just before |
//! | `reserved` | | somebody reserves the node just before |
//! | `held`, `finalised` | | the node is put on hold, or finalised, just before |
//! | `full` | | the storage is full |
//! | `inaccessible` | `{"status": 400}` | the node cannot be accessed |
//! | `conflict` | | the metadata was changed meanwhile: 409 |
//! | `corrupt` | `{"at": n}` | a bit of the version stored by this call flips |
//! | `feature_off` | | Large File Upload is found switched off |
//!
//! [`Action::ApplyLate`](super::faults::Action::ApplyLate) closes the connection once the body
//! has been received and carries the call out later, never later than the request limit.

mod answer;
mod arguments;
mod auth;
mod browsing;
mod call;
mod categories;
mod classifications;
mod codes;
mod config;
mod content;
mod cross_references;
mod forms;
mod history;
mod holds;
mod icons;
mod members;
mod membership;
mod multipart;
mod nodes;
mod permissions;
mod personal;
mod queue;
mod records;
mod relations;
mod renditions;
mod reply;
mod retention;
mod routes;
mod schedules;
mod search;
mod security;
mod shape;
mod statistics;
mod teams;
mod versions;
mod workflow;
mod workspaces;
mod world;

#[cfg(test)]
mod tests;

pub use categories::{Attribute, AttributeKind};
pub use config::{Collation, Config, Keep, MoveAndRename, Multipart, Names, TicketMode, Wording};
pub use history::{VisibleVersion, duplicates};
pub use members::User;
pub use workflow::{StepScript, WorkflowMap, WorkflowStep};

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use http::header::{EXPECT, HOST, RANGE};
use http::{HeaderMap, Method};
use serde_json::{Value, json};

use self::answer::{Answer, Outcome, Refusal};
use self::arguments::Arguments;
use self::auth::Caller;
use self::call::Call;
use self::content::Store;
use self::forms::{Form, Reading, Stop};
use self::members::{ADMIN, DEFAULT_GROUP, Member};
use self::nodes::{CATEGORY, CLASSIFICATION, Node, Place, RECORDS_CLASS};
use self::permissions::Rights;
use self::reply::Sealed;
use self::shape::Shape;
use self::world::World;
use super::clock::Clock;
use super::faults::ServiceFaults;
use super::masters::Master;
use super::server::{self, Exchange, Reply, Server, Service};

/// Login name of the administrator.
pub const ADMIN_NAME: &str = "Admin";
/// The administrator's password.
pub const ADMIN_PASSWORD: &str = "livelink";
/// The Enterprise volume, where everybody's folders start.
pub const ENTERPRISE: i64 = nodes::ENTERPRISE;

/// Cookie that names the cluster node.
const NODE_COOKIE: &str = "otcs_node";

/// A call's address: which part of the server it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Area {
    V1,
    V2,
    V3,
    Otds,
    Support,
    Elsewhere,
}

/// The simulated server. Shared by every connection; the methods are for tests and for the
/// control endpoint.
pub struct ContentServer {
    world: Mutex<World>,
    store: Store,
    clock: Clock,
    /// When the server was made, by that clock.
    start_ms: i64,
    turns: std::sync::atomic::AtomicU32,
}

impl ContentServer {
    /// A server with its volumes and the administrator, and nothing else.
    ///
    /// # Errors
    ///
    /// The spool for content cannot be made.
    pub fn new(config: Config) -> io::Result<Arc<Self>> {
        Self::with_clock(config, Clock::default())
    }

    /// The same, on a clock that other systems share.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn with_clock(config: Config, clock: Clock) -> io::Result<Arc<Self>> {
        let store = Store::new(config.spool.as_deref())?;
        let mut world = World::new(config, clock.now());
        world.uploads.bind(world.config.multipart.one_node);
        world.members.insert(Member {
            id: ADMIN,
            name: ADMIN_NAME.to_owned(),
            password: Some(ADMIN_PASSWORD.to_owned()),
            administrator: true,
            groups: vec![DEFAULT_GROUP],
            ..Member::default()
        });
        Ok(Arc::new(Self {
            world: Mutex::new(world),
            store,
            start_ms: clock.now_ms(),
            clock,
            turns: std::sync::atomic::AtomicU32::new(0),
        }))
    }

    /// Serves it with the request limit it advertises.
    ///
    /// # Errors
    ///
    /// The port cannot be bound.
    pub async fn serve(self: &Arc<Self>, mut config: server::Config) -> io::Result<Server> {
        config.request_limit = Some(self.config().request_limit);
        Server::start(config, Arc::clone(self) as Arc<dyn Service>).await
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The switches as they are.
    pub fn config(&self) -> Config {
        self.world().config.clone()
    }

    /// Changes switches; what is under way goes on with the old ones. The request limit of a
    /// running server stays what it was.
    ///
    /// # Errors
    ///
    /// Names that are two now would be one under the new collation.
    pub fn configure(&self, change: impl FnOnce(&mut Config)) -> Result<(), String> {
        let mut world = self.world();
        let mut config = world.config.clone();
        change(&mut config);
        if config.collation != world.config.collation {
            let collided = world.tree.collate(config.collation);
            collided
                .map_err(|taken| format!("two names would become the one of node {}", taken.0))?;
        }
        world.uploads.bind(config.multipart.one_node);
        world.config = config;
        Ok(())
    }

    /// Changes the switches that a JSON object names.
    ///
    /// # Errors
    ///
    /// An unknown switch, a value of the wrong type, or as [`configure`](Self::configure).
    pub fn configure_json(&self, patch: &Value) -> Result<(), String> {
        let mut whole = serde_json::to_value(self.config()).map_err(|error| error.to_string())?;
        overlay(&mut whole, patch);
        let config: Config = serde_json::from_value(whole).map_err(|error| error.to_string())?;
        self.configure(|old| *old = config)
    }

    /// Makes a master recognisable, so that it is kept without being stored.
    pub fn register(&self, master: Master) {
        self.store.register(master);
    }

    /// Adds a user to the default group; gives the id.
    pub fn add_user(&self, user: User) -> i64 {
        let mut world = self.world();
        let id = world.id();
        world.members.insert(Member {
            id,
            name: user.name,
            password: Some(user.password),
            administrator: user.administrator,
            groups: vec![DEFAULT_GROUP],
            ..Member::default()
        });
        id
    }

    /// Gives a user a first and a last name; whether there is that user.
    pub fn call_user(&self, id: i64, first: &str, last: &str) -> bool {
        let mut world = self.world();
        let own = world.members.get_mut(id);
        own.map(|own| own.called = (first.to_owned(), last.to_owned()))
            .is_some()
    }

    /// Deletes a user, whose row stays; whether there was one.
    pub fn delete_user(&self, id: i64) -> bool {
        let mut world = self.world();
        world
            .members
            .get_mut(id)
            .is_some_and(|own| !std::mem::replace(&mut own.deleted, true))
    }

    /// The user with that login name, made when there is none.
    pub fn ensure_user(&self, name: &str, password: &str) -> i64 {
        let there = self.world().members.login(name).map(|member| member.id);
        there.unwrap_or_else(|| {
            self.add_user(User {
                name: name.to_owned(),
                password: password.to_owned(),
                administrator: false,
            })
        })
    }

    /// Lets an OAuth client sign in as a user.
    pub fn add_client(&self, id: &str, secret: &str, user: i64) {
        self.world().sessions.add_client(id, secret, user);
    }

    /// Creates a folder in the administrator's name; gives its id, the existing one's when the
    /// name is taken.
    pub fn add_folder(&self, parent: i64, name: &str) -> i64 {
        self.plant(parent, name, nodes::FOLDER)
    }

    fn plant(&self, parent: i64, name: &str, subtype: i64) -> i64 {
        let mut world = self.world();
        if let Some(id) = world.tree.child(parent, name) {
            return id;
        }
        let id = world.id();
        let access = World::open_access();
        let place = Place {
            parent,
            user: ADMIN,
            now: self.clock.now(),
            access,
        };
        match world.tree.insert(Node::new(id, subtype, name, place)) {
            Ok(()) => id,
            Err(taken) => taken.0,
        }
    }

    /// Defines a category in the categories volume; gives its id.
    pub fn add_category(&self, name: &str, attributes: Vec<Attribute>) -> i64 {
        let volume = self
            .world()
            .tree
            .volume(133)
            .map_or(ENTERPRISE, |node| node.id);
        let id = self.plant(volume, name, CATEGORY);
        let name = name.to_owned();
        self.world().definitions.insert(
            id,
            categories::Definition {
                id,
                name,
                attributes,
            },
        );
        id
    }

    /// Adds a workspace type; gives its template's id.
    pub fn add_workspace_type(&self, id: i64, name: &str) -> i64 {
        let volume = self
            .world()
            .tree
            .volume(862)
            .map_or(ENTERPRISE, |node| node.id);
        let template = self.plant(volume, &format!("{name} template"), nodes::FOLDER);
        self.world().workspaces.add_type(id, name, template);
        template
    }

    /// Adds a classification; gives its id.
    pub fn add_classification(&self, name: &str) -> i64 {
        let volume = self
            .world()
            .tree
            .volume(198)
            .map_or(ENTERPRISE, |node| node.id);
        self.plant(volume, name, CLASSIFICATION)
    }

    /// Adds a records classification; gives its id.
    pub fn add_records_class(&self, name: &str) -> i64 {
        let volume = self
            .world()
            .tree
            .volume(550)
            .map_or(ENTERPRISE, |node| node.id);
        self.plant(volume, name, RECORDS_CLASS)
    }

    /// Makes a group of holds; gives its id.
    pub fn add_hold_group(&self, name: &str) -> i64 {
        let mut world = self.world();
        let id = world.id();
        world.holds.add_group(id, name);
        id
    }

    /// Defines a kind of cross-references.
    pub fn add_cross_reference_kind(&self, kind: &str) {
        self.world().cross_references.define(kind);
    }

    /// Adds a workflow map of one step, which its initiator gets; gives its id.
    pub fn add_workflow(&self, name: &str) -> i64 {
        let review = WorkflowStep {
            name: "Review".to_owned(),
            ..WorkflowStep::default()
        };
        self.add_workflow_map(WorkflowMap::new(name, vec![review]))
    }

    /// Adds a workflow map; gives its id.
    pub fn add_workflow_map(&self, map: WorkflowMap) -> i64 {
        let mut world = self.world();
        let id = world.id();
        world.workflows.add_map(id, map);
        id
    }

    /// Whoever has the present step of a process acts (`Approve`, `Reject`, `SendOn`), or somebody
    /// steers it (`suspend`, `resume`, `stop`, `archive`, `delete`). `values` go into its form.
    ///
    /// # Errors
    ///
    /// Why not.
    pub fn act_in_workflow(
        &self,
        process: i64,
        action: &str,
        comment: &str,
        values: serde_json::Map<String, Value>,
    ) -> Result<(), String> {
        let world = &mut *self.world();
        let said = (action, comment);
        world
            .workflows
            .act(&world.members, process, said, values, self.clock.now())
    }

    /// Every workflow process.
    pub fn workflow_processes(&self) -> Value {
        self.world().workflows.shown(self.clock.now())
    }

    /// Moves a workflow process to `ontime`, `workflowlate`, `completed` or `stopped`; whether
    /// it exists.
    pub fn set_workflow_status(&self, process: i64, status: &str) -> bool {
        self.world().workflows.set_status(process, status)
    }

    /// Gives a member these rights on a node, and on nothing below it that exists already.
    ///
    /// # Errors
    ///
    /// The first name that is no right.
    pub fn grant(&self, node: i64, member: i64, rights: &[&str]) -> Result<(), String> {
        let rights = Rights::named(rights)?;
        if let Some(node) = self.world().tree.get_mut(node) {
            node.access.custom.insert(member, rights);
        }
        Ok(())
    }

    /// Sets what everybody, and the default group, may do with a node.
    ///
    /// # Errors
    ///
    /// The first name that is no right.
    pub fn publish(&self, node: i64, rights: &[&str]) -> Result<(), String> {
        let rights = Rights::named(rights)?;
        if let Some(node) = self.world().tree.get_mut(node) {
            node.access.public = Some(rights);
            node.access.group = Some((DEFAULT_GROUP, rights));
        }
        Ok(())
    }

    /// Puts the server's clock forward: tickets and upload sessions age.
    pub fn advance(&self, by: Duration) {
        self.clock
            .advance(i64::try_from(by.as_millis()).unwrap_or(i64::MAX));
    }

    /// Time since the server was made.
    fn uptime(&self) -> Duration {
        let passed = self.clock.now_ms().saturating_sub(self.start_ms);
        Duration::from_millis(u64::try_from(passed).unwrap_or(0))
    }

    /// Ends every login: the next call of everybody is refused.
    pub fn expire_tickets(&self) {
        self.world().sessions.end_all();
    }

    /// Ends a user's logins, as a sign-in elsewhere does where that is forbidden.
    pub fn sign_out(&self, user: i64) {
        self.world().sessions.end_user(user);
    }

    /// Ends one upload session, or every one, as if it had been idle too long.
    pub fn expire_uploads(&self, key: Option<&str>) {
        self.world().uploads.expire_now(key);
    }

    /// Forgets one upload session, or every one, as a cluster node does that never heard of it.
    pub fn lose_uploads(&self, key: Option<&str>) {
        self.world().uploads.forget(key);
    }

    /// Upload sessions that are neither spent nor ended.
    pub fn uploads(&self) -> usize {
        self.world().uploads.live()
    }

    /// Flips a bit of a stored byte; whether there is such a byte and it was sound before.
    pub fn corrupt(&self, node: i64, version: i64, at: u64) -> bool {
        versions::corrupt(&mut self.world(), node, version, at)
    }

    /// Reserves a node for a user, or for nobody, whoever holds it.
    pub fn reserve(&self, node: i64, user: Option<i64>) {
        let now = self.clock.now();
        if let Some(node) = self.world().tree.get_mut(node) {
            node.reserved = user.map(|user| (user, now));
        }
    }

    /// Deletes a node with everything in it, for good; whether it was there.
    pub fn delete(&self, node: i64) -> bool {
        self.world().tree.remove(node).is_some()
    }

    /// Puts a new hold on a node; gives the hold's id.
    pub fn hold(&self, node: i64, name: &str) -> i64 {
        let mut world = self.world();
        let date = self.clock.now().strftime("%Y-%m-%dT%H:%M:%S").to_string();
        let hold = holds::add_hold(&mut world, ADMIN, name, "Legal", &date);
        holds::hold_node(&mut world, hold, node);
        hold
    }

    /// Takes a hold off a node; whether it was on it.
    pub fn release(&self, node: i64, hold: i64) -> bool {
        holds::release(&mut self.world(), hold, node)
    }

    /// Puts a new hold on a node once its holds were read `reads` times more: the moment between a
    /// look and what follows from it.
    pub fn hold_after(&self, node: i64, name: &str, reads: u32) {
        self.world().retention.hold_after(node, name, reads);
    }

    /// Makes or changes a retention schedule: when what is to be done. The action is a code or a
    /// word.
    pub fn set_schedule(&self, code: &str, due: &str, action: &str) {
        self.world().retention.schedules.set(code, due, action);
    }

    /// Adds a stage to a retention schedule; one that is never due is permanent.
    pub fn add_stage(&self, code: &str, name: &str, due: Option<&str>, action: &str) {
        let mut world = self.world();
        world.retention.schedules.add_stage(code, name, due, action);
    }

    /// Assigns a retention schedule to a records classification, for what is classified from now
    /// on.
    pub fn assign_schedule(&self, class: i64, code: &str) {
        self.world().retention.schedules.assign(class, code);
    }

    /// Makes a node a disposition search for records of a status, with what is done with them.
    pub fn add_disposition_search(&self, search: i64, status: &str, action: &str) {
        let mut world = self.world();
        world.retention.add_search(search, status, action);
    }

    /// The snapshots of a disposition search, oldest first.
    pub fn snapshots(&self, search: i64) -> Vec<String> {
        self.world().retention.dates(search)
    }

    /// Puts a node into a snapshot of a disposition search, with the action and the reviewer's
    /// decision.
    pub fn review(&self, search: i64, date: &str, node: i64, action: &str, decision: &str) {
        let mut world = self.world();
        world
            .retention
            .review((search, date), node, action, decision);
    }

    /// Makes a node a finalised record.
    pub fn finalise(&self, node: i64) {
        records::make_final(&mut self.world(), node);
    }

    /// Bytes of content held, references to masters included.
    pub fn held(&self) -> u64 {
        self.store.held()
    }

    /// The id of a child by its name.
    pub fn child(&self, parent: i64, name: &str) -> Option<i64> {
        self.world().tree.child(parent, name)
    }

    /// Every effect since the start, in order, as JSON with `sequence`, `kind`, `user`, `node`
    /// and what belongs to the kind; filed content with its `size` and `sha256`. Works out
    /// digests that nobody asked for yet, so it may take as long as reading that content.
    pub fn history(&self) -> Vec<Value> {
        // Digests are worked out without the lock: the server goes on meanwhile.
        let blobs: Vec<_> = self
            .world()
            .history
            .iter()
            .filter_map(|event| event.content.clone())
            .collect();
        for blob in blobs {
            blob.digest();
        }
        let world = self.world();
        world
            .history
            .iter()
            .map(|event| event.json(&world.members.name(event.user)))
            .collect()
    }

    /// Every version of every document that is not deleted, by node and number, with digests
    /// of the content as received. May take as long as reading the content.
    pub fn visible_versions(&self) -> Vec<VisibleVersion> {
        let versions = self.world().versions();
        let with_digest = |(mut version, blob): (VisibleVersion, content::Blob)| {
            version.sha256 = blob.digest();
            version
        };
        versions.into_iter().map(with_digest).collect()
    }
}

/// Puts the members of `patch` into `whole`, objects into objects.
fn overlay(whole: &mut Value, patch: &Value) {
    match (whole, patch) {
        (Value::Object(whole), Value::Object(patch)) => {
            for (key, value) in patch {
                overlay(whole.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (whole, patch) => *whole = patch.clone(),
    }
}

impl Service for ContentServer {
    fn name(&self) -> &'static str {
        "content-server"
    }

    fn call(self: Arc<Self>, exchange: Exchange) -> BoxFuture<'static, Reply> {
        Box::pin(self.answer(exchange))
    }
}

/// A request whose credentials were accepted and whose body is read.
struct Received {
    caller: Caller,
    form: Form,
    method: Method,
    v1: bool,
    path: Vec<String>,
    href: String,
    url: String,
    node: u32,
    faults: ServiceFaults,
}

impl ContentServer {
    async fn answer(self: Arc<Self>, mut exchange: Exchange) -> Reply {
        let config = self.config();
        let (area, path, href) = place(&config, &exchange);
        let node = self.cluster_node(&config, &exchange);
        let query = Arguments::from_form(exchange.uri.query().unwrap_or_default().as_bytes());
        let mut sealed = Sealed::new(
            &config,
            query.has("suppress_response_codes"),
            exchange.method == Method::HEAD,
        );
        if config.nodes > 1 && cookie(&exchange.headers, NODE_COOKIE).is_none() {
            sealed.cookie = Some(format!("{NODE_COOKIE}={node}; Path=/; HttpOnly"));
        }
        let open = match (area, path.as_slice()) {
            (Area::V1, [one]) if one == "ping" => Some(Ok(Answer::Json(auth::ping()))),
            (Area::Support, _) => Some(Ok(Answer::Json(json!({"configured": true})))),
            (Area::Elsewhere, _) => Some(Err(Refusal::page(
                404,
                "404 - File or directory not found.",
            ))),
            _ => None,
        };
        if let Some(outcome) = open {
            forms::swallow(&mut exchange.body).await;
            return sealed.reply(outcome, None, None);
        }
        // A login is the one call of the interface itself that needs no credentials.
        let login = matches!((area, path.as_slice()), (Area::V1, [one]) if one == "auth")
            && exchange.method == Method::POST;
        let expired = exchange.faults.named("ticket_expired").cloned();
        let now = self.uptime();
        let caller = match area {
            _ if login => None,
            Area::Otds => None,
            _ => {
                let identified = auth::identify(&mut self.world(), &exchange.headers, now);
                match identified {
                    Ok(caller) => Some(caller),
                    Err(refusal) => {
                        forms::swallow(&mut exchange.body).await;
                        return sealed.reply(Err(refusal), None, None);
                    }
                }
            }
        };
        let stop_after = expired
            .as_ref()
            .and_then(|params| params["after_bytes"].as_u64());
        if let (Some(_), None, Some(caller)) = (&expired, stop_after, caller) {
            self.world().sessions.end(caller.session);
            forms::swallow(&mut exchange.body).await;
            return sealed.reply(Err(Refusal::unauthenticated()), None, None);
        }
        if let (Some(limit), Some(length)) = (config.body_limit, exchange.body.length())
            && length > limit
        {
            // Whoever asks before sending is told before it sends.
            if !exchange.headers.contains_key(EXPECT) {
                forms::swallow(&mut exchange.body).await;
            }
            return sealed.reply(
                Err(Refusal::page(413, "413 Request Entity Too Large")),
                None,
                None,
            );
        }
        let slot = match (area, path.as_slice()) {
            (Area::V2, [one, key, number]) if one == "multipart" => {
                self.world().uploads.slot(key, number)
            }
            _ => None,
        };
        let json_body = !config.strict
            || area == Area::Otds
            || path.first().is_some_and(|p| p == "businessworkspaces");
        let sink = || match slot {
            Some(slot) => self.store.receive(config.keep, slot.from, Some(slot.size)),
            None => self.store.receive(config.keep, 0, None),
        };
        let reading = Reading {
            json: json_body,
            limit: config.body_limit,
            stop_after,
            sink: &sink,
        };
        let Exchange {
            method,
            headers,
            body,
            faults,
            request_limit,
            ..
        } = exchange;
        let mut form = match forms::read(&headers, body, reading).await {
            Ok(form) => form,
            Err(stop) => {
                if let (Stop::Reached, Some(caller)) = (&stop, caller) {
                    self.world().sessions.end(caller.session);
                }
                return match refusal_of(stop) {
                    Some(refusal) => sealed.reply(Err(refusal), None, None),
                    None => Reply::hang_up(),
                };
            }
        };
        let mut arguments = query;
        arguments.merge(std::mem::take(&mut form.arguments));
        if let Err(refusal) = arguments.unpack() {
            return sealed.reply(Err(refusal), None, None);
        }
        form.arguments = arguments;
        let Some(caller) = caller else {
            let mut world = self.world();
            let outcome = match login {
                true => auth::login(&mut world, &form.arguments, now),
                false => {
                    let path = format!("/{}", path.join("/"));
                    auth::otds(&mut world, &method, &path, &headers, &form.arguments, now)
                }
            };
            return sealed.reply(outcome, None, None);
        };
        let late = faults.apply_late();
        let received = Received {
            caller,
            form,
            method: method.clone(),
            v1: area == Area::V1,
            path,
            href,
            url: format!("http://{}{}", host(&headers), config.cgi),
            node,
            faults,
        };
        if let Some(late) = late {
            let late = request_limit.map_or(late, |limit| late.min(limit));
            let server = Arc::clone(&self);
            tokio::spawn(async move {
                tokio::time::sleep(late).await;
                if let Err(refusal) = server.carry_out(received) {
                    tracing::debug!(refusal = refusal.text(), "a late call was refused");
                }
            });
            return Reply::hang_up();
        }
        let outcome = self.carry_out(received);
        let fresh = match &outcome {
            Ok(_) => auth::renew(&mut self.world(), caller, self.uptime()),
            Err(_) => None,
        };
        let fresh = fresh.map(|(ticket, expires)| {
            let life = jiff::SignedDuration::try_from(expires.saturating_sub(self.uptime()));
            let ends = self
                .clock
                .now()
                .checked_add(life.unwrap_or(jiff::SignedDuration::MAX));
            (ticket, ends.unwrap_or(jiff::Timestamp::MAX))
        });
        let range = headers
            .get(RANGE)
            .and_then(|value| value.to_str().ok())
            .filter(|_| config.ranges);
        sealed.reply(outcome, fresh, range)
    }

    /// Does what the call asks, under the lock, with the faults that are the service's own.
    fn carry_out(&self, received: Received) -> Outcome {
        let Received {
            caller,
            form,
            method,
            v1,
            path,
            href,
            url,
            node,
            faults,
        } = received;
        let mut world = self.world();
        let clock = self.uptime();
        world.expire(clock);
        world.held = self.store.held();
        let shape = Shape::of(&form.arguments);
        let call = Call {
            user: caller.user,
            session: Some(caller.session),
            v1,
            method,
            href,
            arguments: form.arguments,
            files: form.files,
            shape,
            node: node + u32::from(faults.named("other_node").is_some()),
            now: self.clock.now(),
            clock,
        };
        queue::work(&mut world, &call);
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        stage(&mut world, &call, &path, &faults)?;
        let off = faults.named("feature_off").is_some() && world.config.multipart.enabled;
        if off {
            world.config.multipart.enabled = false;
        }
        let corrupt = faults
            .named("corrupt")
            .map(|params| params["at"].as_u64().unwrap_or(0));
        let before = world.history.len();
        let outcome = routes::route(&mut world, call, &path, &url);
        if off {
            world.config.multipart.enabled = true;
        }
        if let Some(at) = corrupt {
            let filed: Vec<_> = world.history[before..]
                .iter()
                .filter_map(|event| event.node)
                .collect();
            for node in filed {
                let latest = world
                    .tree
                    .get(node)
                    .and_then(Node::latest)
                    .map(|version| version.number);
                if let Some(version) = latest {
                    versions::corrupt(&mut world, node, version, at);
                }
            }
        }
        outcome
    }

    /// Which cluster node takes a request: the one its cookie names, else the next in turn.
    fn cluster_node(&self, config: &Config, exchange: &Exchange) -> u32 {
        let nodes = config.nodes.max(1);
        let named =
            cookie(&exchange.headers, NODE_COOKIE).and_then(|value| value.parse::<u32>().ok());
        match named {
            Some(node) => node % nodes,
            None => {
                self.turns
                    .fetch_add(1, std::sync::atomic::Ordering::Relaxed)
                    % nodes
            }
        }
    }
}

/// Brings about what the faults of a call say happened just before it.
fn stage(
    world: &mut World,
    call: &Call,
    path: &[&str],
    faults: &ServiceFaults,
) -> Result<(), Refusal> {
    let node = match path {
        ["nodes", id, ..] => id.parse::<i64>().ok(),
        _ => None,
    };
    let somebody = DEFAULT_GROUP;
    if faults.named("upload_expired").is_some() {
        world.uploads.expire_now(None);
    }
    if faults.named("upload_lost").is_some() {
        world.uploads.forget(None);
    }
    for (switch, exchange) in [("parts_exchanged", true), ("part_lost", false)] {
        if faults.named(switch).is_some()
            && let Some(key) = call.arguments.text("upload_key")
        {
            world.uploads.damage(&key, exchange);
        }
    }
    if let (Some(_), Some(name)) = (faults.named("name_taken"), call.arguments.text("name")) {
        let parent = call
            .arguments
            .number("parent_id")?
            .or_else(|| world.tree.get(node?).map(|node| node.parent));
        if let Some(parent) = parent {
            let id = world.id();
            let access = World::open_access();
            let place = Place {
                parent,
                user: somebody,
                now: call.now,
                access,
            };
            // Taken already is taken, too.
            let _ = world
                .tree
                .insert(Node::new(id, nodes::FOLDER, name.trim(), place));
        }
    }
    if let (Some(_), Some(id)) = (faults.named("reserved"), node)
        && let Some(node) = world.tree.get_mut(id)
    {
        node.reserved = Some((somebody, call.now));
    }
    if let (Some(_), Some(id)) = (faults.named("held"), node) {
        let date = call.now.strftime("%Y-%m-%dT%H:%M:%S").to_string();
        let hold = holds::add_hold(world, ADMIN, &format!("Hold of {id}"), "Legal", &date);
        holds::hold_node(world, hold, id);
    }
    if let (Some(_), Some(id)) = (faults.named("finalised"), node) {
        records::make_final(world, id);
    }
    if faults.named("full").is_some() {
        return Err(versions::full());
    }
    if let Some(params) = faults.named("inaccessible") {
        let status = params["status"]
            .as_u64()
            .and_then(|status| u16::try_from(status).ok());
        return Err(Refusal::inaccessible(status.unwrap_or(400)));
    }
    if faults.named("conflict").is_some() {
        return Err(Refusal::new(
            409,
            "Could not update metadata (edit conflict).",
        ));
    }
    Ok(())
}

/// The answer to a body that was not read to its end; `None` when nobody is there to read it.
fn refusal_of(stop: Stop) -> Option<Refusal> {
    match stop {
        Stop::Broken => None,
        Stop::TooLarge => Some(Refusal::page(413, "413 Request Entity Too Large")),
        Stop::Reached => Some(Refusal::unauthenticated()),
        Stop::Refused(refusal) => Some(refusal),
        Stop::Disk(error) => {
            tracing::warn!(error = %error, "content could not be spooled");
            Some(versions::full())
        }
    }
}

/// Which part of the server an address is for, the segments behind it, and the address from
/// `/api` on.
fn place(config: &Config, exchange: &Exchange) -> (Area, Vec<String>, String) {
    let path = exchange.path();
    let segments = |rest: &str| -> Vec<String> {
        let parts = rest.split('/').filter(|part| !part.is_empty());
        parts
            .map(|part| {
                percent_encoding::percent_decode_str(part)
                    .decode_utf8_lossy()
                    .into_owned()
            })
            .collect()
    };
    // CGI entries are matched as web servers on Windows do, in any case.
    let after = |prefix: &str| {
        let head = path.get(..prefix.len())?;
        let rest = &path[prefix.len()..];
        (head.eq_ignore_ascii_case(prefix) && (rest.is_empty() || rest.starts_with('/')))
            .then_some(rest)
    };
    if let Some(rest) = after(&config.cgi).and_then(|rest| rest.strip_prefix("/api/")) {
        let (version, rest) = rest.split_once('/').unwrap_or((rest, ""));
        let area = match version {
            "v1" => Area::V1,
            "v2" => Area::V2,
            _ => Area::V3,
        };
        let query = exchange
            .uri
            .query()
            .map(|query| format!("?{query}"))
            .unwrap_or_default();
        return (
            area,
            segments(rest),
            format!("/api/{version}/{rest}{query}"),
        );
    }
    if let Some(rest) = after("/otdsws") {
        return (Area::Otds, segments(rest), String::new());
    }
    match after(&config.support) {
        Some(rest) => (Area::Support, segments(rest), String::new()),
        None => (Area::Elsewhere, Vec::new(), String::new()),
    }
}

fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let cookies = headers.get_all(http::header::COOKIE).into_iter();
    let pairs = cookies
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(';'));
    pairs
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value)
}

fn host(headers: &HeaderMap) -> &str {
    headers
        .get(HOST)
        .and_then(|value| value.to_str().ok())
        .unwrap_or("localhost")
}
