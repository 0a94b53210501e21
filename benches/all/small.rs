//! Many small files against a client that makes the same calls and does nothing else.
//!
//! The yardstick signs in, asks iconik what each asset holds, fetches its file, and files it as
//! longhaul does: names checked, created, described, read, moved, read; then iconik is told. It
//! has no ledger and no hash and looks at nothing but the ids it needs. What both sent is counted
//! at the simulated systems and printed, so that anybody sees whether it was the same.

use std::sync::Arc;

use anyhow::Context as _;
use bytes::Bytes;
use futures::TryStreamExt as _;
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use longhaul::simulator::Simulator;
use longhaul::simulator::workload::Workload;
use longhaul::telemetry::Resources;
use longhaul::types::KIB;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::Plan;
use crate::ours::{Longhaul, Told};
use crate::report::{Figures, Row, median};
use crate::yardstick::apart;

/// Files.
const COUNT: u64 = 10_000;
/// Bytes of each.
const SIZE: u64 = 64 * KIB;
/// Files in hand at once, on both sides.
const AT_ONCE: usize = 16;
/// Runs after the warm-up.
const RUNS: usize = 3;

pub(crate) async fn row(plan: &Plan) -> anyhow::Result<Row> {
    let count = plan.scaled(COUNT);
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let (mut our_calls, mut their_calls) = (0.0, 0.0);
    for number in 0..=RUNS {
        let (a, b);
        (a, our_calls) = longhaul(count).await?;
        (b, their_calls) = yardstick(count).await?;
        plan.note(&format!(
            "{count} files: longhaul {:.0} files/s with {our_calls:.1} calls each, yardstick {:.0} with {their_calls:.1}{}",
            rate(&a),
            rate(&b),
            if number == 0 { " (warm-up)" } else { "" }
        ));
        if number > 0 {
            ours.push(a);
            theirs.push(b);
        }
    }
    let pairs: Vec<(&Figures, &Figures)> = ours.iter().zip(&theirs).collect();
    let ratio = median(&pairs, |(a, b)| rate(a) / rate(b));
    let said = |runs: &[Figures], calls: f64| {
        format!(
            "{:.0} files/s, {:.2} ms CPU a file, {calls:.1} calls a file, {:.0} MiB peak",
            median(runs, rate),
            median(runs, |run| run.cpu_seconds_per_gib * SIZE as f64
                / (1_u64 << 30) as f64
                * 1000.0),
            median(runs, |run| run.peak_mib),
        )
    };
    Ok(Row {
        what: format!("{count} files of 64 KiB, single POST (items = {AT_ONCE}, uploads = 8)"),
        longhaul: said(&ours, our_calls),
        yardstick: said(&theirs, their_calls),
        target: "≥ 0.60 of its rate".into(),
        came_to: format!("{ratio:.2} of its rate"),
        met: Some(ratio >= 0.6),
        runs: json!({"longhaul": ours, "yardstick": theirs}),
    })
}

fn rate(figures: &Figures) -> f64 {
    figures.mib_per_second * 1024.0 * KIB as f64 / SIZE as f64
}

fn workload(count: u64) -> Workload {
    Workload {
        single_post: true,
        ..Workload::new(count, SIZE)
    }
}

async fn longhaul(count: u64) -> anyhow::Result<(Figures, f64)> {
    let workload = workload(count);
    let told = Told {
        uploads: 8,
        items: AT_ONCE,
        ..Told::default()
    };
    let simulator = Simulator::start(workload.options()).await?;
    let longhaul = Longhaul::new(&simulator, &workload, &told, |text| text)?;
    let (figures, _) = longhaul.archive(&simulator, count * SIZE).await?;
    let calls = simulator.history().count() as f64 / count as f64;
    simulator.stop().await;
    Ok((figures, calls))
}

async fn yardstick(count: u64) -> anyhow::Result<(Figures, f64)> {
    let workload = workload(count);
    let simulator = Simulator::start(workload.options()).await?;
    let job = Job {
        connection: simulator.connection_json(),
        count,
    };
    let figures = apart("yardstick-small", &job).await?;
    let calls = simulator.history().count() as f64 / count as f64;
    simulator.stop().await;
    Ok((figures, calls))
}

/// What the yardstick's process is told.
#[derive(Serialize, Deserialize)]
struct Job {
    connection: Value,
    count: u64,
}

/// The child: files everything and prints what it came to.
pub(crate) fn child(text: &str) -> anyhow::Result<()> {
    let job: Job = serde_json::from_str(text)?;
    let count = job.count;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let start = Instant::now();
    runtime.block_on(file_all(job))?;
    let figures = Figures::of(
        count * SIZE,
        start.elapsed().as_secs_f64(),
        Resources::now(),
    );
    println!("{}", serde_json::to_string(&figures)?);
    Ok(())
}

/// A pooled client that knows both systems.
struct Bare {
    http: Client<HttpConnector, Full<Bytes>>,
    iconik: String,
    app: String,
    token: String,
    server: String,
    ticket: String,
    target: i64,
    staging: i64,
}

/// A ticket of Content Server.
pub(crate) async fn sign_in(connection: &Value) -> anyhow::Result<String> {
    let text = |key: &str| {
        connection["content_server"][key]
            .as_str()
            .unwrap_or_default()
    };
    let form = format!("username={}&password={}", text("user"), text("password"));
    let request = http::Request::post(format!("{}/api/v1/auth", text("url")))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Full::from(form))?;
    let http = Client::builder(TokioExecutor::new()).build_http();
    let answer = read(&http, request).await?;
    let ticket = answer["ticket"].as_str().context("a ticket")?;
    Ok(ticket.to_owned())
}

async fn file_all(job: Job) -> anyhow::Result<()> {
    let text = |system: &str, key: &str| {
        job.connection[system][key]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    let mut tcp = HttpConnector::new();
    tcp.set_nodelay(true);
    let mut bare = Bare {
        http: Client::builder(TokioExecutor::new()).build(tcp),
        iconik: text("iconik", "url"),
        app: text("iconik", "app_id"),
        token: text("iconik", "token"),
        server: text("content_server", "url"),
        ticket: String::new(),
        target: job.connection["content_server"]["target"]
            .as_i64()
            .unwrap_or(0),
        staging: job.connection["content_server"]["staging"]
            .as_i64()
            .unwrap_or(0),
    };
    bare.ticket = sign_in(&job.connection).await?;
    let bare = Arc::new(bare);
    let collection = text("iconik", "collection");
    let first = Some((Arc::clone(&bare), 1));
    let pages = futures::stream::try_unfold(first, move |next| {
        let collection = collection.clone();
        async move {
            let Some((bare, page)) = next else {
                return Ok(None);
            };
            let path =
                format!("assets/v1/collections/{collection}/contents/?per_page=100&page={page}");
            let answer = bare.ask("GET", &path, None).await?;
            let ids: Vec<anyhow::Result<String>> = answer["objects"]
                .as_array()
                .into_iter()
                .flatten()
                .filter(|row| row["object_type"] == "assets")
                .filter_map(|row| row["id"].as_str().map(|id| Ok(id.to_owned())))
                .collect();
            let more = answer["next_url"]
                .as_str()
                .is_some_and(|url| !url.is_empty());
            let next = more.then_some((bare, page + 1));
            anyhow::Ok(Some((futures::stream::iter(ids), next)))
        }
    });
    pages
        .try_flatten()
        .map_ok(|asset| {
            let bare = Arc::clone(&bare);
            async move { tokio::spawn(async move { bare.one(&asset).await }).await? }
        })
        .try_buffer_unordered(AT_ONCE)
        .try_fold((), |(), ()| async { Ok(()) })
        .await
}

impl Bare {
    /// One asset from iconik to Content Server.
    async fn one(&self, asset: &str) -> anyhow::Result<()> {
        let files = format!("files/v1/assets/{asset}");
        let about = self
            .ask("GET", &format!("assets/v1/assets/{asset}/"), None)
            .await?;
        let format = self.ask("GET", &format!("{files}/formats/"), None).await?;
        let format = format["objects"][0]["id"]
            .as_str()
            .context("a format")?
            .to_owned();
        let sets = self
            .ask("GET", &format!("{files}/formats/{format}/file_sets/"), None)
            .await?;
        let set = sets["objects"][0]["id"]
            .as_str()
            .context("a file set")?
            .to_owned();
        let listed = self
            .ask(
                "GET",
                &format!("{files}/file_sets/{set}/files/?generate_signed_url=true"),
                None,
            )
            .await?;
        let file = &listed["objects"][0];
        let id = file["id"].as_str().context("a file")?;
        let mut address = file["url"].as_str().unwrap_or_default().to_owned();
        if address.is_empty() {
            let file = self
                .ask("GET", &format!("{files}/files/{id}/"), None)
                .await?;
            address = file["url"].as_str().context("an address")?.to_owned();
        }
        for range in ["bytes=0-0".to_owned(), format!("bytes=0-{}", SIZE - 1)] {
            let request = http::Request::get(&address)
                .header("range", range)
                .body(Full::default())?;
            let answer = self.http.request(request).await?;
            anyhow::ensure!(
                answer.status() == 206,
                "the bucket answered {}",
                answer.status()
            );
            let body = answer.into_body().collect().await?.to_bytes();
            if body.len() as u64 == SIZE {
                self.file(asset, about["title"].as_str().unwrap_or("master"), body)
                    .await?;
            }
        }
        self.ask("GET", &format!("assets/v1/assets/{asset}/"), None)
            .await?;
        let mine = json!({"external_id": format!("bench:{asset}")});
        self.ask("PATCH", &format!("assets/v1/assets/{asset}/"), Some(mine))
            .await?;
        let entry = json!({"operation_type": "CUSTOM", "operation_description": "filed"});
        self.ask(
            "POST",
            &format!("assets/v1/assets/{asset}/history/"),
            Some(entry),
        )
        .await?;
        Ok(())
    }

    async fn file(&self, asset: &str, title: &str, content: Bytes) -> anyhow::Result<()> {
        let free = |parent, names| json!({"parent_id": parent, "names": names});
        let names = json!([
            format!("{title}.mxf"),
            format!("{title}~{}.mxf", &asset[..6])
        ]);
        self.tell(
            "POST",
            "v1/validation/nodes/names",
            &free(self.target, names),
        )
        .await?;
        self.tell(
            "POST",
            "v1/validation/nodes/names",
            &free(self.staging, json!([asset])),
        )
        .await?;
        let boundary = "----bench";
        let mut form = Vec::with_capacity(content.len() + 1024);
        for (name, value) in [
            ("type", "144".to_owned()),
            ("parent_id", self.staging.to_string()),
            ("name", asset.to_owned()),
        ] {
            form.extend_from_slice(format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n").as_bytes());
        }
        form.extend_from_slice(format!("--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{title}.mxf\"\r\nContent-Type: application/mxf\r\n\r\n").as_bytes());
        form.extend_from_slice(&content);
        form.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
        let kind = format!("multipart/form-data; boundary={boundary}");
        let made = self.call("POST", "v2/nodes", &kind, form.into()).await?;
        let node = made["results"]["data"]["properties"]["id"]
            .as_i64()
            .context("a node")?;
        let described = json!({"description": format!("lh1 {asset} sha256={:064}", 0)});
        self.tell("PUT", &format!("v2/nodes/{node}/versions/1"), &described)
            .await?;
        self.call(
            "GET",
            &format!("v2/nodes/{node}/versions"),
            "",
            Bytes::new(),
        )
        .await?;
        let moved = json!({"parent_id": self.target, "name": format!("{title}.mxf")});
        self.tell("PUT", &format!("v2/nodes/{node}"), &moved)
            .await?;
        self.call(
            "GET",
            &format!("v2/nodes/{node}?fields=properties"),
            "",
            Bytes::new(),
        )
        .await?;
        Ok(())
    }

    async fn ask(&self, method: &str, path: &str, body: Option<Value>) -> anyhow::Result<Value> {
        let request = http::Request::builder()
            .method(method)
            .uri(format!("{}/API/{path}", self.iconik))
            .header("app-id", &self.app)
            .header("auth-token", &self.token)
            .header("content-type", "application/json")
            .body(Full::from(
                body.map_or_else(String::new, |body| body.to_string()),
            ))?;
        read(&self.http, request).await
    }

    async fn tell(&self, method: &str, path: &str, body: &Value) -> anyhow::Result<Value> {
        let text: String = percent_encoding::percent_encode(
            body.to_string().as_bytes(),
            percent_encoding::NON_ALPHANUMERIC,
        )
        .to_string();
        let kind = "application/x-www-form-urlencoded";
        self.call(method, path, kind, format!("body={text}").into())
            .await
    }

    async fn call(
        &self,
        method: &str,
        path: &str,
        kind: &str,
        body: Bytes,
    ) -> anyhow::Result<Value> {
        let mut request = http::Request::builder()
            .method(method)
            .uri(format!("{}/api/{path}", self.server))
            .header("otcsticket", &self.ticket);
        if !kind.is_empty() {
            request = request.header("content-type", kind);
        }
        read(&self.http, request.body(Full::from(body))?).await
    }
}

async fn read(
    http: &Client<HttpConnector, Full<Bytes>>,
    request: http::Request<Full<Bytes>>,
) -> anyhow::Result<Value> {
    let asked = format!("{} {}", request.method(), request.uri().path());
    let answer = http.request(request).await?;
    let status = answer.status();
    let body = answer.into_body().collect().await?.to_bytes();
    anyhow::ensure!(
        status.is_success(),
        "{asked} answered {status}: {}",
        String::from_utf8_lossy(&body)
    );
    Ok(serde_json::from_slice(&body).unwrap_or(Value::Null))
}
