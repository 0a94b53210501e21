//! The iconik API: a small account with iconik's habits.
//!
//! Header sign-in, trailing slashes, four ways of paging, rate limits, an index that lags, errors
//! as `{"errors": …}`. What an exchange looks like follows iconik's published API description;
//! what only prose or other people's code tells can be switched ([`Quirks`]).
//!
//! Faults by name, for rules with [`Action::Named`](super::faults::Action::Named), are listed in
//! `twist`: pages that loop, answers too large or too deep, addresses that lead elsewhere.
//!
//! `table` and `world` hold rows, `load` fills them from a campaign, `library` works out rows of
//! large ones, `call` is a request with its paging; then one file for each service. The bytes are
//! the bucket's.

mod assets;
mod call;
mod collections;
mod deliver;
mod files;
mod jobs;
mod library;
mod limits;
mod load;
mod members;
mod metadata;
mod notify;
mod people;
mod search;
mod table;
#[cfg(test)]
mod tests;
mod twist;
mod world;

pub use call::Token;
pub use library::library_master;
pub use load::{storage_id, view_id};
pub use people::PASSWORD;
pub use table::{Kind, id};
pub use world::Write;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use self::call::{Answer, Call, Refusal, refuse};
use self::limits::{Limiter, Verdict};
use self::notify::Purpose;
use self::world::World;
use super::bucket::Bucket;
use super::campaign::Campaign;
use super::clock::Clock;
use super::server::{BodyError, Exchange, Reply, Service};

/// Largest request body.
const BODY: u64 = 10 * 1024 * 1024;

/// Habits of the real service that can be switched while the simulator runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Quirks {
    /// Calls a second; absent means no limit.
    pub calls_per_second: Option<u32>,
    /// Whether a 429 says how long to wait.
    pub retry_after: bool,
    /// Every how-manieth reply carries fields nobody documented; 0 never.
    pub unknown_fields_every: u64,
    /// Every how-manieth reply has null where the description knows no null; 0 never.
    pub nulls_every: u64,
    /// Every how-manieth successful GET answers 201; 0 never.
    pub created_every: u64,
    /// How far search and contents lag behind writes, in milliseconds.
    pub index_lag_ms: i64,
    /// Dates of the index have no zone, as clients of the real service meet them though its
    /// description says otherwise.
    pub zoneless_dates: bool,
    /// How long a signed address is handed out again, in milliseconds.
    pub link_cache_ms: i64,
    /// How long a restore from Glacier takes, in milliseconds.
    pub thaw_ms: i64,
    /// How long deleted objects stay in the recycle bin, in milliseconds.
    pub delete_grace_ms: i64,
    /// How long a receiver may take, in milliseconds (ten seconds at iconik).
    pub action_timeout_ms: u64,
    /// How long the token of a custom action lives, in milliseconds.
    pub action_token_ms: i64,
    /// How long a webhook may fail before it is disabled, in milliseconds.
    pub webhook_patience_ms: i64,
    /// Webhooks are sent twice.
    pub webhook_duplicates: bool,
    /// Webhooks come out of order.
    pub webhook_reorder: bool,
}

impl Default for Quirks {
    fn default() -> Self {
        Self {
            calls_per_second: Some(50),
            retry_after: true,
            unknown_fields_every: 7,
            nulls_every: 0,
            created_every: 0,
            index_lag_ms: 0,
            zoneless_dates: true,
            link_cache_ms: 24 * 3_600_000,
            thaw_ms: 1_000,
            delete_grace_ms: 24 * 3_600_000,
            action_timeout_ms: 10_000,
            action_token_ms: 10 * 60_000,
            webhook_patience_ms: 5 * 3_600_000,
            webhook_duplicates: false,
            webhook_reorder: false,
        }
    }
}

/// The simulated service.
pub struct Iconik {
    world: Mutex<World>,
    quirks: Mutex<Quirks>,
    limiter: Limiter,
    replies: AtomicU64,
    app_id: String,
    token: String,
}

impl Iconik {
    /// An account that holds `campaign`; its bytes go into `bucket`.
    pub fn new(campaign: &Campaign, clock: Clock, bucket: Bucket, quirks: Quirks) -> Arc<Self> {
        let iconik = Self {
            world: Mutex::new(World::new(clock, bucket)),
            quirks: Mutex::new(quirks.clone()),
            limiter: Limiter::default(),
            replies: AtomicU64::new(0),
            app_id: id(Kind::Other, 0xa99, false),
            token: "simulated-iconik-token".to_owned(),
        };
        {
            let mut world = iconik.world();
            let own = Token {
                token: iconik.token.clone(),
                app_id: iconik.app_id.clone(),
                user: world.user.clone(),
                admin: false,
                denied: Vec::new(),
                expires_ms: None,
            };
            world.tokens.push(own);
            world.load(campaign);
            world.configure(&quirks);
        }
        Arc::new(iconik)
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Value of `App-ID`.
    pub fn app_id(&self) -> &str {
        &self.app_id
    }

    /// Value of `Auth-Token`.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Adds a token for the same application: `admin`, or without some roles (`*` for all).
    pub fn add_token(&self, token: &str, admin: bool, denied: &[&str]) {
        let mut world = self.world();
        let user = world.user.clone();
        world.tokens.push(Token {
            token: token.to_owned(),
            app_id: self.app_id.clone(),
            user,
            admin,
            denied: denied.iter().map(|&d| d.to_owned()).collect(),
            expires_ms: None,
        });
    }

    /// Withdraws a token: 401 from now on; whether it was known.
    pub fn revoke(&self, token: &str) -> bool {
        let mut world = self.world();
        let before = world.tokens.len();
        world.tokens.retain(|t| t.token != token);
        world.tokens.len() < before
    }

    /// The present habits.
    pub fn quirks(&self) -> Quirks {
        self.quirks
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Changes the habits.
    pub fn set_quirks(&self, quirks: Quirks) {
        self.world().configure(&quirks);
        *self.quirks.lock().unwrap_or_else(PoisonError::into_inner) = quirks;
    }

    /// The collection to migrate.
    pub fn collection(&self) -> String {
        self.world().root.clone()
    }

    /// What clients wrote: the last 20 000 changes, refused ones included.
    pub fn writes(&self) -> Vec<Write> {
        self.world().writes.iter().cloned().collect()
    }

    /// A row, as the database holds it.
    pub fn row(&self, kind: Kind, wanted: &str) -> Option<Value> {
        Some(self.world().row(kind, wanted)?.into())
    }

    /// Every kept row of a kind; generated ones are not among them.
    pub fn rows(&self, kind: Kind) -> Vec<Value> {
        let world = self.world();
        let table = world.tables.get(&kind);
        table
            .into_iter()
            .flat_map(|t| t.iter())
            .cloned()
            .map(Value::Object)
            .collect()
    }

    /// Changes a row behind the API's back, as a user in the web interface would; whether it
    /// was there.
    pub fn change(&self, kind: Kind, wanted: &str, fields: Value) -> bool {
        let Value::Object(fields) = fields else {
            return false;
        };
        self.world()
            .change(kind, wanted, |row| row.extend(fields))
            .is_some()
    }

    /// Fills an asset's metadata field as a user in the web interface would; whether a view has
    /// that field.
    pub fn set_values(&self, asset: &str, field: &str, values: &[&str]) -> bool {
        self.world().set_values(asset, field, values)
    }

    /// Makes a kind of relation, as an administrator would.
    pub fn add_relation_type(&self, name: &str) {
        let kind = json!({"name": name, "is_directional": true, "is_system": false});
        self.world().relation_types.put(name, table::row(kind));
    }

    /// Relates one asset to another, as a user in the web interface would.
    pub fn relate(&self, from: &str, kind: &str, to: &str) {
        let relation = json!({
            "related_from_asset_id": from, "related_to_asset_id": to, "relation_type": kind,
        });
        self.world().relations.push(table::row(relation));
    }

    /// Every relation between assets.
    pub fn relations(&self) -> Vec<Value> {
        let world = self.world();
        world.relations.iter().cloned().map(Value::Object).collect()
    }

    /// The bucket key of a file.
    pub fn key(&self, file: &str) -> Option<String> {
        self.world().keys.get(file).cloned()
    }

    /// Metadata values of an object in a view.
    pub fn values(&self, object_type: &str, object: &str, view: &str) -> Option<Value> {
        let key = (
            object_type.to_owned(),
            object.to_owned(),
            String::new(),
            view.to_owned(),
        );
        Some(
            self.world()
                .values
                .get(&key)?
                .get("metadata_values")?
                .clone(),
        )
    }

    async fn answer(self: Arc<Self>, mut exchange: Exchange) -> Reply {
        let body = match exchange.body.read_all(BODY).await {
            Ok(body) => body,
            Err(BodyError::TooLarge(_)) => return error(&refuse(413, "Request entity too large")),
            Err(BodyError::Broken(_)) => return Reply::hang_up(),
        };
        let quirks = self.quirks();
        let app = exchange.header("app-id").unwrap_or("").to_owned();
        let remaining = match quirks.calls_per_second {
            None => None,
            Some(rate) => match self.limiter.take(&app, rate) {
                Verdict::Pass { remaining } => Some(remaining),
                Verdict::Wait(wait) => {
                    let reply =
                        error(&refuse(429, "Too many requests")).header("ratelimit-remaining", "0");
                    if !quirks.retry_after {
                        return reply;
                    }
                    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
                    return reply.header("retry-after", &seconds.to_string());
                }
            },
        };
        let body = if body.is_empty() {
            Ok(Value::Null)
        } else {
            serde_json::from_slice(&body).map_err(|_| refuse(400, "Invalid JSON"))
        };
        let answer = match body {
            Ok(body) => self.handle(&exchange, body).await,
            Err(refusal) => Err(refusal),
        };
        let reply = match answer {
            Ok((status, mut body)) => {
                twist::twist(&mut body, &exchange);
                self.shape(status, body, &exchange.method, &quirks)
            }
            Err(refusal) => error(&refusal),
        };
        match remaining {
            Some(remaining) => reply.header("ratelimit-remaining", &remaining.to_string()),
            None => reply,
        }
    }

    async fn handle(self: &Arc<Self>, exchange: &Exchange, body: Value) -> Answer {
        let segments = exchange.segments();
        let path: Vec<&str> = segments.iter().map(String::as_str).collect();
        let Some((&"API", path)) = path.split_first() else {
            return Err(refuse(404, "Not found"));
        };
        if let (&Method::POST, ["auth", "v1", "auth", "simple", "login"]) = (&exchange.method, path)
        {
            return self.world().login(&body);
        }
        let call = Call {
            method: exchange.method.clone(),
            path: exchange.path(),
            query: exchange.query(),
            body,
            token: self.known(exchange)?,
        };
        let (answer, deliveries) = {
            let mut world = self.world();
            let answer = world.route(&call, path);
            let searches =
                path.starts_with(&["search"]) && call.method == Method::POST && path.len() == 3;
            if call.method != Method::GET && call.method != Method::HEAD && !searches {
                world.note(Write {
                    number: 0,
                    date: String::new(),
                    method: call.method.to_string(),
                    path: call.path.to_owned(),
                    user: call.token.user.clone(),
                    status: match &answer {
                        Ok((status, _)) => *status,
                        Err(refusal) => refusal.status,
                    },
                    body: call.body.clone(),
                });
            }
            (answer, world.dispatch())
        };
        let mut redirect = None;
        let mut later = Vec::new();
        for delivery in deliveries {
            let patience = Duration::from_millis(self.quirks().action_timeout_ms);
            if matches!(delivery.purpose, Purpose::CustomAction(_)) {
                // A click waits for its answer.
                let result = deliver::deliver(&delivery, patience).await;
                self.world().delivered(&delivery, &result);
                redirect = result
                    .ok()
                    .and_then(|reply| reply.get("redirect_url").cloned());
            } else {
                later.push((delivery, patience));
            }
        }
        if !later.is_empty() {
            let iconik = Arc::clone(self);
            tokio::spawn(async move {
                for (delivery, patience) in later {
                    let result = deliver::deliver(&delivery, patience).await;
                    iconik.world().delivered(&delivery, &result);
                }
            });
        }
        match (answer, redirect) {
            (Ok((status, mut body)), Some(url)) => {
                body["redirect_url"] = url;
                Ok((status, body))
            }
            (answer, _) => answer,
        }
    }

    /// The token of a call, when it is known and the application's own.
    fn known(&self, exchange: &Exchange) -> Result<Token, Refusal> {
        let unknown = || refuse(401, "Token is invalid");
        let (token, app) = (exchange.header("auth-token"), exchange.header("app-id"));
        let (token, app) = token.zip(app).ok_or_else(unknown)?;
        let world = self.world();
        let now = world.clock.now_ms();
        world
            .tokens
            .iter()
            .find(|t| t.token == token && t.app_id == app)
            .filter(|t| t.expires_ms.is_none_or(|at| now < at))
            .cloned()
            .ok_or_else(unknown)
    }

    /// The reply with the habits of the real service.
    fn shape(&self, status: u16, mut body: Value, method: &Method, quirks: &Quirks) -> Reply {
        let count = self.replies.fetch_add(1, Ordering::Relaxed) + 1;
        let due = |every: u64| every > 0 && count.is_multiple_of(every);
        if let Some(fields) = body.as_object_mut() {
            if due(quirks.unknown_fields_every) {
                fields.insert(
                    "introduced_lately".into(),
                    json!({"by": "an additive change"}),
                );
            }
            if due(quirks.nulls_every) {
                for value in fields.values_mut() {
                    if *value == Value::String(String::new()) {
                        *value = Value::Null;
                    }
                }
                fields.entry("date_deleted").or_insert(Value::Null);
            }
        }
        let status = if status == 200 && method == Method::GET && due(quirks.created_every) {
            201
        } else {
            status
        };
        if body.is_null() {
            Reply::new(status)
        } else {
            Reply::json(status, &body)
        }
    }
}

impl World {
    fn configure(&mut self, quirks: &Quirks) {
        self.lag_ms = quirks.index_lag_ms;
        self.zoneless_dates = quirks.zoneless_dates;
        self.link_cache_ms = quirks.link_cache_ms;
        self.thaw_ms = quirks.thaw_ms;
        self.grace_ms = quirks.delete_grace_ms;
        self.action_token_ms = quirks.action_token_ms;
        self.webhook_patience_ms = quirks.webhook_patience_ms;
        self.webhook_duplicates = quirks.webhook_duplicates;
        self.webhook_reorder = quirks.webhook_reorder;
    }

    fn route(&mut self, call: &Call<'_>, path: &[&str]) -> Answer {
        match path {
            ["assets", "v1", rest @ ..] => self.assets(call, rest),
            ["files", "v1", rest @ ..] => self.files(call, rest),
            ["search", "v1", rest @ ..] => self.search(call, rest),
            ["metadata", "v1", rest @ ..] => self.metadata(call, rest),
            ["jobs", "v1", rest @ ..] => self.jobs(call, rest),
            ["auth", "v1", rest @ ..] => self.auth(call, rest),
            ["users", "v1", rest @ ..] => self.users(call, rest),
            ["acls", "v1", rest @ ..] => self.acls(call, rest),
            ["notifications", "v1", rest @ ..] => self.notifications(call, rest),
            ["users-notifications", "v1", rest @ ..] => self.messages(call, rest),
            _ => Err(refuse(404, "Not found")),
        }
    }
}

fn error(refusal: &Refusal) -> Reply {
    Reply::json(refusal.status, &json!({"errors": refusal.errors}))
}

impl Service for Iconik {
    fn name(&self) -> &'static str {
        "iconik"
    }

    fn call(self: Arc<Self>, exchange: Exchange) -> BoxFuture<'static, Reply> {
        Box::pin(self.answer(exchange))
    }
}
