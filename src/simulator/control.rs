//! The control endpoint: how a test in another process looks at a simulator and steers it.
//!
//! | Method and path under `/__control` | What it does |
//! |---|---|
//! | `GET state` | campaign, counters, clock |
//! | `GET history` (`?system=`) | exchanges: method, path, status, times |
//! | `GET writes` | every change a client made in iconik |
//! | `GET effects` | every effect in Content Server, with digests |
//! | `GET versions` | every visible version in Content Server, with digests |
//! | `GET duplicates` | versions that exist more than once |
//! | `GET faults`, `POST faults`, `DELETE faults`, `DELETE faults/{id}` | rules: a rule, a list or a scenario |
//! | `POST clock` `{"advance_ms"}` | moves the clock: addresses and tickets expire |
//! | `GET quirks`, `POST quirks` | iconik's habits; named ones are changed |
//! | `GET config`, `POST config` | Content Server's switches; named ones are changed |
//! | `GET links`, `POST links` | `{"iconik" "bucket" "content_server": {latency_ms, …}}` |
//! | `POST bucket` `{"url_ttl_ms"}` | lifetime of addresses signed from now on |
//! | `POST objects` `{"key","seed","size"}` | replaces an object, as if the file had changed |
//! | `DELETE objects/{key}` | removes an object |
//! | `POST tokens` `{"token","admin","denied"}`, `DELETE tokens/{token}` | iconik's tokens |
//! | `PATCH assets/{id}`, `PATCH files/{id}`, … | changes a row as a user would |
//! | `POST tickets/expire` | ends every login of Content Server |
//! | `POST uploads/expire`, `POST uploads/lose` (`{"key"}`) | ends upload sessions |
//! | `POST corrupt` `{"node","version","at"}` | flips a stored bit |
//! | `POST reserve` `{"node"}`, `POST hold` `{"node"}`, `POST finalise` `{"node"}` | what people do |
//! | `GET workflows` | every workflow process in Content Server |
//! | `POST workflows` `{"name","steps","form","only"}` | adds a workflow map; its id |
//! | `POST workflows/act` `{"process","action","comment","values"}` | `Approve`, `Reject`, `SendOn` at the present step, or `suspend`, `resume`, `stop`, `archive`, `delete` |
//! | `POST hold` `{"node","after_reads"}` | the same once the node's holds were read so many times |
//! | `POST schedule` `{"code","due","action"}` | a retention schedule |
//! | `POST review` `{"search","date","node","action","decision"}` | a line of a disposition snapshot |
//! | `POST reset` | takes rules, log, links and habits back to quiet |

use std::sync::Arc;

use futures::future::BoxFuture;
use http::Method;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::Parts;
use super::bucket::Object;
use super::content_server::{WorkflowMap, duplicates};
use super::faults::{Rule, Scenario, System};
use super::iconik::{Kind, Quirks};
use super::masters::Master;
use super::server::{Exchange, LinkSettings, Reply, Service};

/// Before every path.
pub const PREFIX: &str = "/__control";

/// Largest body.
const BODY: u64 = 1024 * 1024;

/// The service of the endpoint.
pub struct Control(Arc<Parts>);

/// A request that cannot be carried out, in words.
struct Wrong(u16, String);

type Answer = Result<Value, Wrong>;

fn wrong(error: impl ToString) -> Wrong {
    Wrong(400, error.to_string())
}

/// One rule, several, or a scenario with a sentence about them.
#[derive(Deserialize)]
#[serde(untagged)]
enum Rules {
    Scenario(Scenario),
    Several(Vec<Rule>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewObject {
    key: String,
    seed: u64,
    size: u64,
    #[serde(default)]
    flip: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewToken {
    token: String,
    #[serde(default)]
    admin: bool,
    #[serde(default)]
    denied: Vec<String>,
}

impl Control {
    /// Steers these parts.
    pub fn new(parts: Arc<Parts>) -> Arc<Self> {
        Arc::new(Self(parts))
    }

    async fn answer(&self, mut exchange: Exchange) -> Reply {
        let body = match exchange.body.read_all(BODY).await {
            Ok(body) => body,
            Err(error) => return Reply::json(400, &json!({"error": error.to_string()})),
        };
        let body = if body.is_empty() {
            Ok(Value::Null)
        } else {
            serde_json::from_slice(&body).map_err(wrong)
        };
        let answer = match body {
            Ok(body) => self.route(&exchange, body).await,
            Err(error) => Err(error),
        };
        match answer {
            Ok(value) => Reply::json(200, &value),
            Err(Wrong(status, error)) => Reply::json(status, &json!({"error": error})),
        }
    }

    async fn route(&self, exchange: &Exchange, body: Value) -> Answer {
        let parts = &self.0;
        let segments = exchange.segments();
        let path: Vec<&str> = segments.iter().map(String::as_str).collect();
        let path = match path.as_slice() {
            ["__control", rest @ ..] => rest,
            _ => return Err(Wrong(404, "not found".to_owned())),
        };
        match (&exchange.method, path) {
            (&Method::GET, ["state"]) => Ok(json!({
                "campaign": parts.campaign,
                "exchanges": parts.history.count(),
                "connections": parts.history.connections(),
                "writes": parts.iconik.writes().len(),
                "leaked_credentials": parts.bucket.leaks(),
                "uploads": parts.content_server.uploads(),
                "held_bytes": parts.content_server.held(),
                "now_ms": parts.clock.now_ms(),
                "url_ttl_ms": parts.bucket.ttl(),
                "rules": parts.faults.list().len(),
            })),
            (&Method::GET, ["history"]) => {
                let system = exchange.query().remove("system");
                match system {
                    None => Ok(json!(parts.history.records())),
                    Some(system) => {
                        let system: System = parse(system.into())?;
                        Ok(json!(parts.history.of(system)))
                    }
                }
            }
            (&Method::GET, ["writes"]) => Ok(json!(parts.iconik.writes())),
            (&Method::GET, ["effects"]) => self.slowly(|p| json!(p.content_server.history())).await,
            (&Method::GET, ["versions"]) => {
                self.slowly(|p| json!(p.content_server.visible_versions()))
                    .await
            }
            (&Method::GET, ["workflows"]) => Ok(parts.content_server.workflow_processes()),
            (&Method::POST, ["workflows"]) => {
                let map: WorkflowMap = parse(body)?;
                Ok(json!({"map": parts.content_server.add_workflow_map(map)}))
            }
            (&Method::GET, ["duplicates"]) => {
                self.slowly(|p| json!(duplicates(&p.content_server.visible_versions())))
                    .await
            }
            (&Method::POST, ["clock"]) => {
                let ms = body["advance_ms"].as_i64();
                let ms = ms.ok_or_else(|| wrong("advance_ms is a number of milliseconds"))?;
                parts.clock.advance(ms);
                Ok(json!({"now_ms": parts.clock.now_ms()}))
            }
            (method, ["faults", rest @ ..]) => self.faults(method, rest, body),
            (method, ["quirks"]) => {
                if method == Method::POST {
                    let quirks: Quirks = parse(merged(json!(parts.iconik.quirks()), body)?)?;
                    parts.iconik.set_quirks(quirks);
                }
                Ok(json!(parts.iconik.quirks()))
            }
            (method, ["config"]) => {
                if method == Method::POST {
                    parts.content_server.configure_json(&body).map_err(wrong)?;
                }
                Ok(json!(parts.content_server.config()))
            }
            (method, ["links"]) => self.links(method, body),
            (&Method::POST, ["bucket"]) => {
                let ttl = body["url_ttl_ms"].as_u64();
                parts
                    .bucket
                    .set_ttl(ttl.ok_or_else(|| wrong("url_ttl_ms is a number"))?);
                Ok(json!({"url_ttl_ms": parts.bucket.ttl()}))
            }
            (&Method::POST, ["objects"]) => {
                let new: NewObject = parse(body)?;
                let mut master = Master::generated(new.seed, new.size);
                if let Some(at) = new.flip {
                    master = master.flipped(at);
                }
                let mut object = Object::new(master, &format!("{:x}-{:x}", new.seed, new.size));
                object.last_modified = parts.clock.now();
                parts.bucket.put(&new.key, object);
                Ok(json!({"key": new.key}))
            }
            (&Method::DELETE, ["objects", key @ ..]) => {
                Ok(json!({"removed": parts.bucket.remove(&key.join("/"))}))
            }
            (&Method::POST, ["tokens"]) => {
                let new: NewToken = parse(body)?;
                let denied: Vec<&str> = new.denied.iter().map(String::as_str).collect();
                parts.iconik.add_token(&new.token, new.admin, &denied);
                Ok(json!({}))
            }
            (&Method::DELETE, ["tokens", token]) => {
                Ok(json!({"revoked": parts.iconik.revoke(token)}))
            }
            (&Method::PATCH, [kind, id]) => self.change(kind, id, body),
            (&Method::POST, ["reset"]) => {
                parts.faults.clear();
                parts.history.clear();
                parts.iconik.set_quirks(Quirks::default());
                for link in [
                    &parts.links.iconik,
                    &parts.links.bucket,
                    &parts.links.content_server,
                ] {
                    link.set(LinkSettings::default());
                }
                Ok(json!({}))
            }
            (&Method::POST, path) => self.people(path, &body),
            _ => Err(Wrong(404, "not found".to_owned())),
        }
    }

    /// Answers that may read content run where they block nobody.
    async fn slowly(&self, work: impl FnOnce(&Parts) -> Value + Send + 'static) -> Answer {
        let parts = Arc::clone(&self.0);
        tokio::task::spawn_blocking(move || work(&parts))
            .await
            .map_err(|error| Wrong(500, error.to_string()))
    }

    fn faults(&self, method: &Method, rest: &[&str], body: Value) -> Answer {
        let faults = &self.0.faults;
        match (method, rest) {
            (&Method::GET, []) => Ok(json!(faults.list())),
            (&Method::POST, []) => {
                let rules = if body.get("action").is_some() {
                    vec![parse::<Rule>(body)?]
                } else {
                    match parse::<Rules>(body)? {
                        Rules::Scenario(scenario) => scenario.rules,
                        Rules::Several(rules) => rules,
                    }
                };
                let ids: Vec<u64> = rules.into_iter().map(|rule| faults.add(rule)).collect();
                Ok(json!({"ids": ids}))
            }
            (&Method::DELETE, []) => {
                faults.clear();
                Ok(json!({}))
            }
            (&Method::DELETE, [id]) => {
                let id = id.parse().map_err(wrong)?;
                Ok(json!({"removed": faults.remove(id)}))
            }
            _ => Err(Wrong(404, "not found".to_owned())),
        }
    }

    fn links(&self, method: &Method, body: Value) -> Answer {
        let links = &self.0.links;
        let named = [
            ("iconik", &links.iconik),
            ("bucket", &links.bucket),
            ("content_server", &links.content_server),
        ];
        if method == Method::POST {
            let wanted = body
                .as_object()
                .ok_or_else(|| wrong("an object is expected"))?;
            // All are read before any is set.
            let mut new = Vec::new();
            for (name, settings) in wanted {
                let link = named.iter().find(|(known, _)| known == name);
                let (_, link) = link.ok_or_else(|| wrong(format!("there is no link {name:?}")))?;
                let settings: LinkSettings =
                    parse(merged(json!(link.settings()), settings.clone())?)?;
                new.push((link, settings));
            }
            for (link, settings) in new {
                link.set(settings);
            }
        }
        Ok(named
            .iter()
            .map(|(name, link)| ((*name).to_owned(), json!(link.settings())))
            .collect())
    }

    fn change(&self, kind: &str, id: &str, body: Value) -> Answer {
        let kind = match kind {
            "assets" => Kind::Asset,
            "collections" => Kind::Collection,
            "formats" => Kind::Format,
            "file_sets" => Kind::FileSet,
            "files" => Kind::File,
            "storages" => Kind::Storage,
            "jobs" => Kind::Job,
            _ => return Err(Wrong(404, "not found".to_owned())),
        };
        if self.0.iconik.change(kind, id, body) {
            return Ok(self.0.iconik.row(kind, id).unwrap_or_default());
        }
        Err(Wrong(404, format!("there is no such row {id:?}")))
    }

    /// What administrators, people and time do in Content Server.
    fn people(&self, path: &[&str], body: &Value) -> Answer {
        let server = &self.0.content_server;
        let number = |field: &str| {
            let number = body[field].as_i64();
            number.ok_or_else(|| wrong(format!("{field} is a number")))
        };
        let text = |field: &str| {
            let text = body[field].as_str();
            text.ok_or_else(|| wrong(format!("{field} is a text")))
        };
        match path {
            ["tickets", "expire"] => server.expire_tickets(),
            ["uploads", "expire"] => server.expire_uploads(body["key"].as_str()),
            ["uploads", "lose"] => server.lose_uploads(body["key"].as_str()),
            ["corrupt"] => {
                let at = body["at"].as_u64().unwrap_or(0);
                let done = server.corrupt(number("node")?, number("version")?, at);
                return Ok(json!({"corrupted": done}));
            }
            ["reserve"] => server.reserve(number("node")?, body["user"].as_i64()),
            ["hold"] => {
                let name = body["name"].as_str().unwrap_or("Hold");
                if let Some(reads) = body["after_reads"].as_u64() {
                    let reads = u32::try_from(reads).map_err(wrong)?;
                    server.hold_after(number("node")?, name, reads);
                    return Ok(json!({"hold": null}));
                }
                return Ok(json!({"hold": server.hold(number("node")?, name)}));
            }
            ["workflows", "act"] => {
                let text = |field: &str| body[field].as_str().unwrap_or_default();
                let values = body["values"].as_object().cloned().unwrap_or_default();
                let process = number("process")?;
                server
                    .act_in_workflow(process, text("action"), text("comment"), values)
                    .map_err(wrong)?;
            }
            ["finalise"] => server.finalise(number("node")?),
            ["schedule"] => server.set_schedule(text("code")?, text("due")?, text("action")?),
            ["review"] => server.review(
                number("search")?,
                text("date")?,
                number("node")?,
                text("action")?,
                text("decision")?,
            ),
            _ => return Err(Wrong(404, "not found".to_owned())),
        }
        Ok(json!({}))
    }
}

fn parse<T: DeserializeOwned>(value: Value) -> Result<T, Wrong> {
    serde_json::from_value(value).map_err(wrong)
}

/// `whole` with the members that `patch` names changed.
fn merged(mut whole: Value, patch: Value) -> Result<Value, Wrong> {
    match (&mut whole, patch) {
        (Value::Object(whole), Value::Object(patch)) => whole.extend(patch),
        _ => return Err(wrong("an object is expected")),
    }
    Ok(whole)
}

impl Service for Control {
    fn name(&self) -> &'static str {
        "control"
    }

    fn call(self: Arc<Self>, exchange: Exchange) -> BoxFuture<'static, Reply> {
        Box::pin(async move { self.answer(exchange).await })
    }
}
